"""OpenAI's Responses API at the provider. The model's behaviours are those of serving.py, where they make sense, and:

search             searches the web, then answers with a citation
reasoning          thinks with a summary and an encrypted text, then answers
tools              calls a function get_weather, until its output is given
ends-REASON        answers, and is incomplete for this reason
native-strict      refuses ids and texts that are another's
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from disturbances import disturbed
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 18,
}
FELL_OVER = {"code": "fell_over", "message": "The model fell over."}
FOREIGN = re.compile(r'"(id|previous_response_id)": "\w+_[0-9a-f]{8}-|"afterword\.|"(labels|session_id|completion_id)"')
NOT_FOUND = {
    "message": "Previous response with id 'resp_gone' not found.",
    "type": "invalid_request_error",
    "param": "previous_response_id",
    "code": "previous_response_not_found",
}


def text_of(input_: Any) -> str:
    """Return what is answered: the last text of the user."""
    if isinstance(input_, str):
        return f"You said: {input_}"
    for item in reversed(input_):
        if item.get("role") == "user":
            content = item["content"]
            if isinstance(content, list):
                content = " ".join(part.get("text", part["type"]) for part in content)
            return f"You said: {content}"
    return "You said nothing."


def items_of(behaviour: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the output."""
    input_ = body["input"]
    has_output = isinstance(input_, list) and any(item.get("type") == "function_call_output" for item in input_)
    if behaviour == "tools" and not has_output:
        call = {"id": "fc_up", "type": "function_call", "status": "completed", "call_id": "call_up"}
        return [{**call, "name": "get_weather", "arguments": '{"city":"Paris"}'}]
    text, annotations = text_of(input_), []
    if behaviour == "json":
        text = json.dumps(dict.fromkeys(body["text"]["format"]["schema"]["properties"], "x"))
    items: list[dict[str, Any]] = []
    if behaviour == "reasoning":
        summary = [{"type": "summary_text", "text": "Let me think."}]
        items.append({"id": "rs_up", "type": "reasoning", "summary": summary, "encrypted_content": "gAAA"})
    if behaviour == "search":
        action = {"type": "search", "query": "rain"}
        items.append({"id": "ws_up", "type": "web_search_call", "status": "completed", "action": action})
        source = {"url": "https://rain.example", "title": "Rain", "start_index": 0, "end_index": 3}
        annotations = [{"type": "url_citation", **source}]
    part = {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}
    message = {"id": "msg_up", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    return [*items, message]


def response_of(body: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return the object."""
    echoed = {name: body.get(name) for name in ("instructions", "previous_response_id", "temperature", "top_p")}
    return {
        "id": "resp_up",
        "object": "response",
        "created_at": 1760000000,
        "model": "upstream-1",
        "status": "in_progress",
        "output": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": body.get("tools") or [],
        "service_tier": "default",
        **echoed,
        **members,
    }


def end_of(behaviour: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the members that end a response."""
    usage = {"usage": None if behaviour == "no-usage" else USAGE, "output": items}
    if behaviour.startswith("ends-"):
        return {"status": "incomplete", "incomplete_details": {"reason": behaviour.removeprefix("ends-")}, **usage}
    return {"status": "completed", **usage}


def parts_of(position: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of one item."""
    at = {"item_id": item["id"], "output_index": position}
    empty, parts = {**item, "status": "in_progress"}, []
    if item["type"] == "message":
        [part] = item["content"]
        empty["content"] = []
        words = re.findall(r"\S+\s*", part["text"])
        place = {**at, "content_index": 0}
        blank = {**part, "text": "", "annotations": []}
        parts = [
            {"type": "response.content_part.added", **place, "part": blank},
            *({"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in words),
            {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []},
            {"type": "response.content_part.done", **place, "part": part},
        ]
    elif item["type"] == "function_call":
        empty["arguments"] = ""
        pieces = re.findall(".{1,6}", item["arguments"])
        parts = [
            *({"type": "response.function_call_arguments.delta", **at, "delta": piece} for piece in pieces),
            {"type": "response.function_call_arguments.done", **at, "arguments": item["arguments"]},
        ]
    elif item["type"] == "reasoning":
        [summary] = item["summary"]
        empty = {**item, "summary": []}
        place = {**at, "summary_index": 0}
        parts = [
            {"type": "response.reasoning_summary_part.added", **place, "part": {**summary, "text": ""}},
            {"type": "response.reasoning_summary_text.delta", **place, "delta": summary["text"]},
            {"type": "response.reasoning_summary_text.done", **place, "text": summary["text"]},
            {"type": "response.reasoning_summary_part.done", **place, "part": summary},
        ]
    return [
        {"type": "response.output_item.added", "output_index": position, "item": empty},
        *parts,
        {"type": "response.output_item.done", "output_index": position, "item": item},
    ]


class Responses:
    """The endpoint, with what serving.py has for all its endpoints."""

    def __init__(
        self,
        met: Callable[[Request, dict[str, Any]], Awaitable[Response | None]],
        streamed: Callable[[str, AsyncIterator[bytes]], Response],
        at_once: Callable[[str, dict[str, Any]], Response],
    ) -> None:
        self._met = met
        self._streamed = streamed
        self._at_once = at_once

    async def answer(self, request: Request) -> Response:
        """Answer a request."""
        body = await request.json()
        behaviour = body["model"].partition(":")[0]
        if refusal := await self._met(request, body):
            return refusal
        if body.get("previous_response_id") == "resp_gone":
            return JSONResponse({"error": NOT_FOUND}, 400)
        if behaviour == "native-strict" and (match := FOREIGN.search(json.dumps(body))):
            return JSONResponse({"error": {"message": f"This is not mine: {match[0]}", "code": "foreign"}}, 400)
        if behaviour == "strange":
            return JSONResponse({"output": ["what is this?"], "usage": "much"})
        items = items_of(behaviour, body)
        if behaviour == "unasked" or (body.get("stream") and behaviour != "plain"):
            return self._streamed(body["model"], self._stream(behaviour, body, items))
        if behaviour == "error-in-stream" or behaviour.startswith("error-after-"):
            return JSONResponse(response_of(body, status="failed", error=FELL_OVER))
        return self._at_once(body["model"], response_of(body, **end_of(behaviour, items)))

    async def _stream(self, behaviour: str, body: dict[str, Any], items: list[dict[str, Any]]) -> AsyncIterator[bytes]:
        if behaviour == "empty":
            return
        head = response_of(body)
        events = [
            {"type": "response.created", "response": head},
            {"type": "response.in_progress", "response": head},
            *(event for position, item in enumerate(items) for event in parts_of(position, item)),
        ]
        end = end_of(behaviour, items)
        if behaviour.startswith("huge-"):
            events[4]["delta"] = "x" * int(behaviour[5:])
        sent = 0
        for number, event in enumerate(events):
            if event["type"].endswith(".delta") or number == 0:
                failed = {"type": "response.failed", "response": response_of(body, status="failed", error=FELL_OVER)}
                if last := await disturbed(behaviour, sent, _encoded(number, failed)):
                    yield last
                    return
                sent += 1
            yield _encoded(number, event)
        if behaviour != "no-done":
            kind = f"response.{end['status']}"
            yield _encoded(len(events), {"type": kind, "response": response_of(body, **end)})
        if behaviour == "hang-after-done":
            await disturbed("hang-after-0", 0, b"")


def _encoded(number: int, event: dict[str, Any]) -> bytes:
    data = json.dumps({**event, "sequence_number": number})
    return f"event: {event['type']}\ndata: {data}\n\n".encode()
