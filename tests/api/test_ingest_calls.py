"""Calls that went straight to a provider, logged as the gateway logs those that pass through it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

pytestmark = pytest.mark.any_store

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "Where is the Louvre?"}]}
Log = Callable[..., dict[str, Any]]


@pytest.fixture
def log(http: httpx.Client, project: str) -> Log:
    """Log a call; return its first interaction."""

    def logged(operation: str = "chat", request: dict[str, Any] = REQUEST, **members: Any) -> dict[str, Any]:
        call = {"completion_id": str(uuid4()), "operation": operation, "request": request, **members}
        answer = http.post("/api/v1/ingest/calls", params={"project": project}, json=[call])
        assert answer.status_code == 200, answer.text
        assert json.loads(answer.text)["completion_id"] == call["completion_id"]
        return http.get(f"/api/v1/interactions/{call['completion_id']}").json()

    return logged


def chunk(text: str | None = None, **members: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **members}


def test_a_message_with_only_content_is_logged_as_its_text(log: Log):
    message = {"role": "assistant", "content": "In Paris.", "refusal": None, "annotations": []}
    shown = log(answer={"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    assert (shown["completion"], shown["message"]) == ("In Paris.", None)
    calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    shown = log(answer={"choices": [{"index": 0, "message": {**message, "tool_calls": calls}}]})
    assert shown["message"] == {"role": "assistant", "content": "In Paris.", "tool_calls": calls}


@pytest.mark.parametrize(
    ("operation", "members", "error"),
    [
        ("chat", {"answer": {"error": {"code": "overloaded"}}}, {"code": "overloaded"}),
        ("chat", {"events": [chunk("In "), {"error": "cut off"}, chunk("Rome")]}, {"message": "cut off"}),
        (
            "messages",
            {
                "events": [
                    {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {}}},
                    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "In "}},
                    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
                ]
            },
            {"type": "overloaded_error", "message": "Overloaded"},
        ),
        (
            "responses",
            {"answer": {"id": "resp_1", "status": "failed", "error": {"code": "server_error"}, "output": []}},
            {"code": "server_error"},
        ),
    ],
    ids=["chat answer", "chat stream", "messages stream", "responses answer"],
)
def test_an_error_within_an_answer_makes_the_call_failed(
    log: Log, operation: str, members: dict[str, Any], error: dict[str, Any]
):
    request = {**REQUEST, "max_tokens": 9} if operation != "responses" else {"model": "m", "input": "Where?"}
    shown = log(operation, request, **members)
    assert (shown["call"]["state"], shown["call"]["finish_reason"]) == ("failed", "error")
    assert shown["call"]["error"] == error
    assert shown["completion"] == ("In " if "events" in members else "")


def test_malformed_choices_are_refused_alone(http: httpx.Client, project: str):
    calls = [
        {"completion_id": str(uuid4()), "operation": "chat", "request": REQUEST, "answer": {"choices": choices}}
        for choices in (["text"], [{"index": "0", "message": {"content": "Yes"}}])
    ]
    answer = http.post("/api/v1/ingest/calls", params={"project": project}, json=calls)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["status"] for line in lines] == [422, 201]
    assert lines[0]["error"]["code"] == "unreadable_call"
