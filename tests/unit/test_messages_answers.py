"""Answers of chat as messages of Anthropic's Messages API, whole and streamed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import pytest

from afterword.errors import Invalid, NotFound, RateLimited, Unauthorized
from afterword.gateway.call_format import AnswerIds, FormatEvent
from afterword.gateway.formats.messages.answers import message_of_answer
from afterword.gateway.formats.messages.errors import error_body
from afterword.gateway.formats.messages.event_writer import MessageEventWriter
from afterword.gateway.provider import ProviderError

COMPLETION_ID = UUID("0192d3a4-5b6c-7d8e-9f00-112233445566")
SESSION_ID = UUID("0192d3a4-5b6c-7d8e-9f00-112233445567")
IDS = AnswerIds(SESSION_ID, lambda _: COMPLETION_ID)
REQUEST = {"model": "m", "max_tokens": 9, "messages": [], "stop_sequences": ["END"]}
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
URL = {"url": "https://a.example", "title": "A", "content": "Herons"}
PASSAGE = {"type": "char_location", "document_index": 0, "document_title": "Birds", "cited_text": "Waders."}
CITATION = {
    "type": "web_search_result_location",
    "url": "https://a.example",
    "title": "A",
    "cited_text": "Herons",
    "encrypted_index": "",
}


def call(id_: str, name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def tool_use(id_: str, name: str, arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": arguments}


def text(content: str, citations: Any = None) -> dict[str, Any]:
    return {"type": "text", "text": content, "citations": citations}


def whole(message: dict[str, Any], finish_reason: str = "stop", usage: Any = USAGE, **choice: Any) -> dict[str, Any]:
    choices = [{"index": 0, "message": message, "finish_reason": finish_reason, **choice}]
    return message_of_answer({"model": "gpt", "choices": choices, "usage": usage}, REQUEST, IDS)


def written(deltas: Iterable[dict[str, Any]], finish_reason: str = "stop", usage: Any = USAGE) -> list[FormatEvent]:
    writer = MessageEventWriter(REQUEST, IDS)
    events: list[FormatEvent] = []
    for delta in deltas:
        events += writer.take({"model": "gpt", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    events += writer.take({"model": "gpt", "choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    return [*events, *writer.end(usage)]


def accumulated(events: list[FormatEvent]) -> dict[str, Any]:
    """Put a message together as Anthropic's SDKs do, and hold the events to the order that these demand."""
    message: dict[str, Any] = {}
    json_texts: dict[int, str] = {}
    stopped: set[int] = set()
    for name, event in events:
        assert name == event["type"]
        assert message or name == "message_start"
        index: Any = event.get("index")
        match name:
            case "message_start":
                message = json.loads(json.dumps(event["message"], default=str))
            case "content_block_start":
                assert index == len(message["content"])
                message["content"].append({"citations": None, **event["content_block"]})
            case "content_block_delta":
                assert index not in stopped
                block, delta = message["content"][index], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "thinking_delta":
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "citations_delta":
                        block["citations"] = [*(block["citations"] or ()), delta["citation"]]
                    case "input_json_delta":
                        json_texts[index] = json_texts.get(index, "") + delta["partial_json"]
                        block["input"] = None
            case "content_block_stop":
                assert index not in stopped
                stopped.add(index)
                if index in json_texts:
                    message["content"][index]["input"] = json.loads(json_texts[index])
            case "message_delta":
                assert stopped == set(range(len(message["content"])))
                message |= event["delta"]
                message["usage"] |= event["usage"]
    assert events[-1].name == "message_stop"
    for block in message["content"]:
        if block["type"] != "text":
            del block["citations"]
    return message


# ------------------------------------------------------------------------------------------------ whole answers


def test_a_message_has_its_ids_model_usage_and_reason():
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_creation_tokens": 30},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert whole({"content": "Hello"}, usage=usage) == {
        "id": f"msg_{COMPLETION_ID}",
        "type": "message",
        "role": "assistant",
        "model": "gpt",
        "completion_id": COMPLETION_ID,
        "session_id": SESSION_ID,
        "content": [text("Hello")],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 30,
            "cache_read_input_tokens": 60,
            "output_tokens": 7,
            "output_tokens_details": {"thinking_tokens": 3},
        },
    }


@pytest.mark.parametrize(
    ("message", "blocks"),
    [
        ({"content": None}, []),
        ({"content": ""}, []),
        (
            {"content": "So", "reasoning_content": "Hm"},
            [{"type": "thinking", "thinking": "Hm", "signature": ""}, text("So")],
        ),
        ({"content": "So", "reasoning": "Hm"}, [{"type": "thinking", "thinking": "Hm", "signature": ""}, text("So")]),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, [text("ab")]),
        ({"content": None, "refusal": "No."}, [text("No.")]),
        (
            {"content": "x", "annotations": [{"type": "url_citation", "url_citation": {**URL, "start_index": 0}}]},
            [text("x", [CITATION])],
        ),
        (
            {"content": "x", "annotations": [{"type": "file_citation", "file_citation": {**PASSAGE, "end_index": 1}}]},
            [text("x", [PASSAGE])],
        ),
        (
            {"content": "I look.", "tool_calls": [call("1", "a", '{"x": 1}'), call("2", "b", "")]},
            [text("I look."), tool_use("1", "a", {"x": 1}), tool_use("2", "b", {})],
        ),
        ({"tool_calls": [call("1", "a", '{"x": ')]}, [tool_use("1", "a", {"INVALID_JSON": '{"x": '})]),
        ({"tool_calls": [call("1", "a", "[1]")]}, [tool_use("1", "a", {"INVALID_JSON": "[1]"})]),
        ({"tool_calls": [call("1", "a", {"x": 1})]}, [tool_use("1", "a", {"x": 1})]),
    ],
)
def test_a_message_of_chat_becomes_blocks(message: dict[str, Any], blocks: list[dict[str, Any]]):
    assert whole({"role": "assistant", **message})["content"] == blocks


@pytest.mark.parametrize(
    ("finish_reason", "choice", "expected"),
    [
        ("stop", {}, ("end_turn", None)),
        ("length", {}, ("max_tokens", None)),
        ("content_filter", {}, ("refusal", None)),
        ("tool_calls", {}, ("tool_use", None)),
        ("odd", {}, ("end_turn", None)),
        ("stop", {"stop_reason": "END"}, ("stop_sequence", "END")),
        ("stop", {"stop_reason": 128009}, ("end_turn", None)),
        ("stop", {"stop_reason": "pause_turn"}, ("pause_turn", None)),
    ],
)
def test_stop_reasons(finish_reason: str, choice: dict[str, Any], expected: tuple[str, Any]):
    message = whole({"content": "x"}, finish_reason, **choice)
    assert (message["stop_reason"], message["stop_sequence"]) == expected


def test_calls_and_refusals_are_reasons_to_stop_whatever_the_provider_says():
    assert whole({"tool_calls": [call("1", "a", "{}")]}, "stop")["stop_reason"] == "tool_use"
    assert whole({"refusal": "No."}, "stop")["stop_reason"] == "refusal"
    assert accumulated(written([{"refusal": "No."}]))["stop_reason"] == "refusal"


def test_a_call_without_an_id_gets_one():
    [block] = whole({"tool_calls": [{"function": {"name": "a", "arguments": "{}"}}]})["content"]
    assert block["id"].startswith("toolu_")


# ------------------------------------------------------------------------------------------------ streams


def piece(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **more, "function": {"arguments": arguments}}]}


def first_piece(index: int, id_: str, name: str, arguments: str = "") -> dict[str, Any]:
    return {"tool_calls": [{**call(id_, name, arguments), "index": index}]}


@pytest.mark.parametrize(
    ("deltas", "blocks"),
    [
        ([], []),
        ([{"role": "assistant", "content": ""}, {"content": "a"}, {"content": "b"}], [text("ab")]),
        (
            [{"reasoning_content": "Hm"}, {"reasoning_content": "m"}, {"content": "So"}],
            [{"type": "thinking", "thinking": "Hmm", "signature": ""}, text("So")],
        ),
        (
            [
                {"reasoning_content": "Hm", "thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "Hm"}]},
                {"thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "", "signature": "sig"}]},
                {"thinking_blocks": [{"index": 1, "type": "redacted_thinking", "data": "x"}]},
                {"content": "So"},
            ],
            [
                {"type": "thinking", "thinking": "Hm", "signature": "sig"},
                {"type": "redacted_thinking", "data": "x"},
                text("So"),
            ],
        ),
        (
            [{"content": "x"}, {"annotations": [{"type": "url_citation", "url_citation": URL}]}],
            [text("x", [CITATION])],
        ),
        (
            [
                {"content": "I look."},
                first_piece(0, "1", "a"),
                piece(0, '{"x":'),
                piece(0, " 1}"),
                first_piece(1, "2", "b", '{"y": 2}'),
            ],
            [text("I look."), tool_use("1", "a", {"x": 1}), tool_use("2", "b", {"y": 2})],
        ),
        (
            # The pieces of two calls that arrive by turns.
            [
                first_piece(0, "1", "a"),
                first_piece(1, "2", "b"),
                piece(0, '{"x":'),
                piece(1, '{"y":'),
                piece(0, "1}"),
                piece(1, "2}"),
            ],
            [tool_use("1", "a", {"x": 1}), tool_use("2", "b", {"y": 2})],
        ),
        ([first_piece(0, "1", "a")], [tool_use("1", "a", {})]),
        ([piece(0, '{"x":', id="1"), {"tool_calls": [{"index": 0, "function": {"name": "a"}}]}, piece(0, "1}")],
         [tool_use("1", "a", {"x": 1})]),
        ([{"function_call": {"name": "a", "arguments": ""}}, {"function_call": {"arguments": "{}"}}], None),
        ([first_piece(0, "1", "a", "{}"), {"content": "Done"}], [tool_use("1", "a", {}), text("Done")]),
    ],
)  # fmt: skip
def test_events_add_up_to_the_message(deltas: list[dict[str, Any]], blocks: list[dict[str, Any]] | None):
    message = accumulated(written(deltas))
    if blocks is None:
        assert [(block["type"], block["name"]) for block in message["content"]] == [("tool_use", "a")]
    else:
        assert message["content"] == blocks
    assert (message["id"], message["completion_id"]) == (f"msg_{COMPLETION_ID}", str(COMPLETION_ID))
    assert message["usage"] == {
        "input_tokens": 11,
        "output_tokens": 7,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }
    has_calls = any(block["type"] == "tool_use" for block in message["content"])
    assert message["stop_reason"] == ("tool_use" if has_calls else "end_turn")


def test_a_block_of_a_call_ends_before_the_next_begins():
    events = written([first_piece(0, "1", "a", '{"x": 1}'), first_piece(1, "2", "b", '{"y": 2}')])
    names = [(event.name, event.body.get("index")) for event in events if event.name.startswith("content_block")]
    assert names == [(f"content_block_{step}", index) for index in (0, 1) for step in ("start", "delta", "stop")]


def test_a_stream_without_a_chunk_is_a_message_too():
    events = MessageEventWriter(REQUEST, IDS).end(None)
    assert [event.name for event in events] == ["message_start", "ping", "message_delta", "message_stop"]


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("error", "status", "type_"),
    [
        (Invalid("max_tokens: Field required.", param="max_tokens"), 400, "invalid_request_error"),
        (Unauthorized("No key."), 401, "authentication_error"),
        (NotFound("None."), 404, "not_found_error"),
        (Invalid("Too much."), 413, "request_too_large"),
        (RateLimited("Busy."), 429, "rate_limit_error"),
        (ProviderError("Down.", status=502), 502, "api_error"),
        (ProviderError("Silent.", status=504), 504, "timeout_error"),
        (ProviderError("Busy.", status=503), 503, "overloaded_error"),
        (ProviderError("Busy.", status=502, type="overloaded_error"), 502, "overloaded_error"),
        (ProviderError("Fell.", status=409, type="server_error"), 409, "invalid_request_error"),
    ],
)
def test_an_error_has_the_type_of_its_status(error: Any, status: int, type_: str):
    body = error_body(error, status, "req_1")
    assert (body["type"], body["request_id"]) == ("error", "req_1")
    assert (body["error"]["type"], body["error"]["message"]) == (type_, error.message)


def test_an_error_in_a_stream_is_an_event_of_its_own():
    writer = MessageEventWriter(REQUEST, IDS)
    writer.take({"choices": [{"index": 0, "delta": {"content": "x"}}]})
    [event] = writer.fail(ProviderError("Overloaded", status=503, details={"more": 1}, code="c"))
    assert event.name == "error"
    assert event.body["error"] == {"type": "overloaded_error", "message": "Overloaded", "code": "c", "more": 1}
