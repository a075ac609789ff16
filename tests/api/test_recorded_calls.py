"""Calls that went straight to a provider and are logged from what went over the wire, in the form of each API."""

from __future__ import annotations

import json
from itertools import takewhile
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

HELLO = [{"role": "user", "content": "Hello there"}]
# By operation: the path at the provider, and the members of the request.
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": HELLO, "temperature": 0.5}),
    "completions": ("/v1/completions", {"prompt": "Hello there", "temperature": 0.5}),
    "responses": ("/v1/responses", {"input": "Hello there", "temperature": 0.5}),
    "messages": ("/v1/messages", {"messages": HELLO, "temperature": 0.5, "max_tokens": 64}),
}
TOOLS: dict[str, dict[str, Any]] = {
    "responses": {"tools": [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}]},
    "messages": {"tools": [{"name": "get_weather", "input_schema": {"type": "object"}}]},
}
CREDENTIALS = {"authorization": "Bearer sk-x", "x-api-key": "sk-x", "anthropic-version": "2023-06-01"}


def exchange(upstream: Any, operation: str, behaviour: str = "good", **fields: Any) -> dict[str, Any]:
    """Call the provider; return the request and what came back, as they are logged."""
    path, members = CALLS[operation]
    request = {"model": f"{behaviour}:{uuid4().hex[:8]}", **members, **fields}
    answer = httpx.post(f"{upstream.url}{path}", json=request, headers=CREDENTIALS).raise_for_status()
    call = {"completion_id": str(uuid4()), "operation": operation, "request": request, "latency": 1.5}
    if not request.get("stream"):
        return {**call, "answer": answer.json()}
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ") and line != "data: [DONE]"]
    return {**call, "events": [json.loads(line) for line in lines], "streamed": True, "ttft": 0.25}


def log(http: httpx.Client, project: str, call: dict[str, Any]) -> dict[str, Any]:
    """Log the call; return its interaction."""
    results = [json.loads(line) for line in send(http, project, call).raise_for_status().text.splitlines()]
    assert [result["status"] for result in results] == [201], results
    return http.get(f"/api/v1/interactions/{call['completion_id']}").raise_for_status().json()


def send(http: httpx.Client, project: str, *calls: dict[str, Any]) -> httpx.Response:
    content = b"".join(json.dumps(call).encode() + b"\n" for call in calls)
    return http.post("/api/v1/ingest/calls", params={"project": project}, content=content)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("operation", CALLS)
def test_a_call_of_each_api_is_logged_whole(http, project: str, upstream: Any, operation: str, stream: bool):
    own_fields = {"labels": {"app": "shop"}, "session_id": "s-1", "user": "ann"}
    asks_for_usage = {"stream_options": {"include_usage": True}} if stream and operation == "chat" else {}
    call = exchange(upstream, operation, stream=stream, **asks_for_usage)
    call["request"] |= own_fields
    row = log(http, project, call)
    assert row["messages"] == HELLO
    assert row["completion"].strip() == "You said: Hello there"
    assert (row["labels"], row["session"], row["user"]) == ({"app": "shop"}, "s-1", "ann")
    assert row["parameters"]["temperature"] == 0.5
    assert (row["call"]["state"], row["call"]["finish_reason"]) == ("complete", "stop")
    assert row["call"]["streamed"] == stream
    assert row["call"]["response_id"]
    if operation != "completions" or not stream:
        assert row["usage"]["total_tokens"] > row["usage"]["completion_tokens"] > 0
    assert row["timings"]["latency"] == 1500


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("operation", TOOLS)
def test_calls_of_tools_are_logged_in_one_form(http, project: str, upstream: Any, operation: str, stream: bool):
    row = log(http, project, exchange(upstream, operation, "tools", stream=stream, **TOOLS[operation]))
    [tool_call] = row["message"]["tool_calls"]
    assert tool_call["function"]["name"] == "get_weather"
    assert json.loads(tool_call["function"]["arguments"])["city"] == "Paris"
    assert row["call"]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("operation", CALLS)
def test_a_stream_that_was_closed_is_logged_as_far_as_it_came(http, project: str, upstream: Any, operation: str):
    call = exchange(upstream, operation, stream=True)
    events = list(takewhile(lambda event: "there" not in json.dumps(event), call["events"]))
    row = log(http, project, {**call, "events": events, "state": "cancelled"})
    assert row["completion"].strip() == "You said: Hello"
    assert row["call"]["state"] == "cancelled"


@pytest.mark.parametrize("operation", CALLS)
def test_a_failed_call_keeps_its_error(http, project: str, upstream: Any, operation: str):
    call = exchange(upstream, operation)
    del call["answer"]
    row = log(http, project, {**call, "state": "failed", "error": {"status": 500, "message": "fell over"}})
    assert (row["completion"], row["call"]["state"]) == ("", "failed")
    assert row["call"]["error"]["message"] == "fell over"


@pytest.mark.parametrize("operation", CALLS)
def test_a_call_that_is_sent_again_is_stored_once(http, project: str, upstream: Any, operation: str):
    call = exchange(upstream, operation)
    for _ in range(2):
        [line] = send(http, project, call).raise_for_status().text.splitlines()
        assert json.loads(line)["status"] == 201
    query = {"project": project, "limit": 1, "count": True}
    assert http.get("/api/v1/interactions", params=query).json()["count"] == 1


@pytest.mark.parametrize("operation", ["responses", "messages"])
@pytest.mark.parametrize("answer", [{"output": 5, "content": 5}, {"output": [5], "content": [5]}])
def test_an_answer_of_another_form_is_refused_by_its_line(
    http, project: str, upstream: Any, operation: str, answer: dict[str, Any]
):
    good = exchange(upstream, operation)
    wrong = {**good, "completion_id": str(uuid4()), "answer": answer}
    lines = [json.loads(line) for line in send(http, project, wrong, good).text.splitlines()]
    assert [(line["line"], line["status"]) for line in lines] == [(1, 422), (2, 201)]
    assert lines[0]["error"]["code"] == "unreadable_call"
    assert UUID(lines[1]["completion_id"]) == UUID(good["completion_id"])
