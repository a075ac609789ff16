"""Answers in the form of Anthropic's Messages API, whole and as the events of a stream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from disturbances import disturbed
from framing import event

OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}
USAGE = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 4}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "heron"}}
PAGE = {"type": "web_search_result", "url": "https://birds.example", "title": "Birds", "encrypted_content": "x"}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [PAGE]}
CITATION = {
    "type": "web_search_result_location",
    "url": "https://birds.example",
    "title": "Birds",
    "cited_text": "Herons wade.",
    "encrypted_index": "x",
}


def message_of(behaviour: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the whole message."""
    content: list[dict[str, Any]] = []
    if body.get("thinking"):
        content.append({"type": "thinking", "thinking": "Let me think.", "signature": "sig"})
    if behaviour == "tools":
        content.append({"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}})
    else:
        last = body["messages"][-1]["content"]
        texts = [part["text"] for part in last if part.get("type") == "text"] if isinstance(last, list) else [last]
        answer = {"type": "text", "text": f"You said: {' '.join(map(str, texts))}"}
        content += [SEARCH, FOUND, {**answer, "citations": [CITATION]}] if behaviour == "search" else [answer]
    usage = {**USAGE, "server_tool_use": {"web_search_requests": 1}} if behaviour == "search" else USAGE
    return {
        "id": "msg_up",
        "type": "message",
        "role": "assistant",
        "model": "claude-up",
        "content": content,
        "stop_reason": "tool_use" if behaviour == "tools" else "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


async def stream(behaviour: str, message: dict[str, Any]) -> AsyncIterator[bytes]:
    """Yield the events of a stream."""
    if behaviour == "empty":
        return
    usage = message["usage"]
    yield _named(
        "message_start", message={**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    )
    yield _named("ping")
    for index, block in enumerate(message["content"]):
        start, deltas = _parts_of(block)
        yield _named("content_block_start", index=index, content_block=start)
        for place, delta in enumerate(deltas):
            if last := await disturbed(behaviour, place, _named("error", error=OVERLOADED)):
                yield last
                return
            yield _named("content_block_delta", index=index, delta=delta)
        if behaviour == "no-done":
            return
        yield _named("content_block_stop", index=index)
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _named("message_delta", delta=delta, usage={**usage, "output_tokens": 5})
    if behaviour != "finished-no-done":
        yield _named("message_stop")


def _named(kind: str, **more: Any) -> bytes:
    return b"event: %s\n" % kind.encode() + event({"type": kind, **more})


def _parts_of(block: dict[str, Any]) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """Return what a block begins with, and its deltas."""
    match block["type"]:
        case "text":
            cited = ({"type": "citations_delta", "citation": one} for one in block.get("citations") or ())
            said = ({"type": "text_delta", "text": f"{word} "} for word in block["text"].split(" "))
            return {"type": "text", "text": ""}, (delta for deltas in (said, cited) for delta in deltas)
        case "thinking":
            thought = [{"type": "thinking_delta", "thinking": part} for part in ("Let me ", "think.")]
            return {"type": "thinking", "thinking": "", "signature": ""}, iter(
                [*thought, {"type": "signature_delta", "signature": block["signature"]}]
            )
        case "tool_use" | "server_tool_use":
            text = json.dumps(block["input"])
            pieces = ("", text[:8], text[8:])
            return {**block, "input": {}}, ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
        case _:
            return block, iter(())
