"""An agent of ten turns with three tools, called through the gateway: found by what it called, never shown empty."""

from __future__ import annotations

import json
from typing import Any

import pytest

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
TOOLS = {"weather": "Paris", "clock": "Tokyo", "calendar": "Lisbon"}
TURNS = 10


def tool_of(turn: int) -> tuple[str, str]:
    name = list(TOOLS)[turn % len(TOOLS)]
    return name, json.dumps({"city": TOOLS[name], "turn": f"step{turn}"})


def calling(body: dict[str, Any]) -> tuple[int, dict[str, str], list[bytes]]:
    """Call the turn's tool; the turn is the number of results so far."""
    turn = sum(message["role"] == "tool" for message in body["messages"])
    name, arguments = tool_of(turn)
    call = {"id": f"c{turn}", "type": "function", "function": {"name": name, "arguments": arguments}}
    if not body.get("stream"):
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
        answer = {**CHUNK, "object": "chat.completion", "choices": choices}
        return 200, {"Content-Type": "application/json"}, [json.dumps(answer).encode()]
    begun = {"index": 0, **call, "function": {"name": name, "arguments": arguments[:5]}}
    deltas = [
        {"role": "assistant", "content": None, "tool_calls": [begun]},
        {"tool_calls": [{"index": 0, "function": {"arguments": arguments[5:]}}]},
    ]
    chunks = [{**CHUNK, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    end = {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    parts = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in (*chunks, end)]
    return 200, {"Content-Type": "text/event-stream"}, [*parts, b"data: [DONE]\n\n"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_agent_is_found_by_its_tools_and_their_arguments(gateway: Any, provider: Any, model: str, streamed: bool):
    provider.script = lambda body: provider.Reply(*calling(body))
    tools: Any = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in TOOLS]
    messages: list[Any] = [{"role": "user", "content": "Plan my trip"}]
    for turn in range(TURNS):
        body = {"model": model, "messages": messages, "tools": tools, "stream": streamed}
        gateway.http.post("/api/v1/chat/completions", json=body).raise_for_status()
        name, arguments = tool_of(turn)
        call = {"id": f"c{turn}", "type": "function", "function": {"name": name, "arguments": arguments}}
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": f"c{turn}", "content": f"result{turn}"})

    def completions(**query: Any) -> list[str]:
        page = gateway.http.get("/api/v1/interactions", params={"project": gateway.project, "limit": 50, **query})
        return [row["completion"] for row in page.raise_for_status().json()["interactions"]]

    words = [
        f'{name}(city: "{TOOLS[name]}", turn: "step{turn}")' for turn in range(TURNS) for name in [tool_of(turn)[0]]
    ]
    assert sorted(completions()) == sorted(words)
    assert len(completions(has="tools")) == TURNS
    assert sorted(completions(tool="weather")) == sorted(said for said in words if said.startswith("weather"))
    while gateway.http.get("/health").json()["search"]["waiting"]:
        pass
    # Later turns repeat the call in their messages.
    assert len(completions(q="weather")) == len(completions(q="paris")) == TURNS
    assert completions(q="step9") == words[9:]
    assert len(completions(q="result0")) == TURNS - 1
