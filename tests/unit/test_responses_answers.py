"""Answers in the form of OpenAI's Responses API: from chat's, whole and streamed, and from providers of that form."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from afterword.errors import Unavailable
from afterword.gateway.accumulator import MessageAccumulator
from afterword.gateway.call_format import AnswerIds, FormatEvent
from afterword.gateway.formats.responses import Responses
from afterword.gateway.formats.responses.sealing import unsealed
from afterword.gateway.provider import Body

COMPLETION = UUID("0192d3a4-5b6c-7d8e-9f00-112233445566")
SESSION = UUID("0192d3a4-5b6c-7d8e-9f00-aabbccddeeff")
IDS = AnswerIds(SESSION, lambda index: COMPLETION)
FORM = Responses()
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
RESPONSE_USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 18,
}
HEAD = {"id": "chatcmpl-up", "created": 1760000000, "model": "up-1"}
CITATION = {"type": "url_citation", "url": "https://a/b", "title": "B", "start_index": 0, "end_index": 4}
CHAT_CITATION = {"type": "url_citation", "url_citation": {name: CITATION[name] for name in CITATION if name != "type"}}
LOGPROB = {"token": "Blue", "logprob": -0.1, "bytes": [66], "top_logprobs": []}
THOUGHT = {"type": "thinking", "thinking": "Look up.", "signature": "sig"}


def chunk(delta: Body, **choice: Any) -> Body:
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": None, **choice}]}


def call(index: int, **members: Any) -> Body:
    return {"index": index, **members}


FIRST = call(0, id="call_1", type="function", function={"name": "look", "arguments": ""})
SECOND = call(1, id="call_2", type="function", function={"name": "sql", "arguments": '{"input": "select'})
STREAM = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "Look ", "thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "Look "}]}),
    chunk({"reasoning_content": "up.", "thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "up."}]}),
    chunk({"thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "", "signature": "sig"}]}),
    chunk({"content": "Blue"}, logprobs={"content": [LOGPROB]}),
    chunk({"content": " sky."}),
    chunk({"annotations": [CHAT_CITATION]}),
    chunk({"tool_calls": [FIRST]}),
    chunk({"tool_calls": [call(0, function={"arguments": '{"at":'})]}),
    chunk({"tool_calls": [SECOND]}),
    chunk({"tool_calls": [call(0, function={"arguments": '"sky"}'}), call(1, function={"arguments": ' 1"}'})]}),
    chunk({}, finish_reason="tool_calls"),
]
WHOLE = {
    **HEAD,
    "usage": USAGE,
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "logprobs": {"content": [LOGPROB]},
            "message": {
                "role": "assistant",
                "content": "Blue sky.",
                "reasoning_content": "Look up.",
                "thinking_blocks": [THOUGHT],
                "annotations": [CHAT_CITATION],
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":"sky"}'}},
                    {
                        "id": "call_2",
                        "type": "function",
                        "function": {"name": "sql", "arguments": '{"input": "select 1"}'},
                    },
                ],
            },
        }
    ],
}
REQUEST: Body = {"model": "default/m", "input": "Hi", "tools": [{"type": "custom", "name": "sql"}], "temperature": 0.5}


def events_of(chunks: list[Body], request: Body = REQUEST, usage: Body | None = USAGE) -> list[FormatEvent]:
    writer = FORM.event_writer(request, IDS)
    events = [event for part in chunks for event in writer.take(part)]
    return [*events, *writer.end(usage)]


def without_time(response: Body) -> Body:
    return {name: value for name, value in response.items() if name != "completed_at"}


def test_an_answer_has_the_items_of_its_message():
    response = FORM.answer(WHOLE, REQUEST, IDS)
    kinds = [(item["type"], item["id"]) for item in response["output"]]
    assert kinds == [
        ("reasoning", f"rs_{COMPLETION}"),
        ("message", f"msg_{COMPLETION}"),
        ("function_call", f"fc_{COMPLETION}"),
        ("custom_tool_call", f"ctc_{COMPLETION}"),
    ]
    reasoning, message, function_call, custom_call = response["output"]
    assert reasoning["content"] == [{"type": "reasoning_text", "text": "Look up."}]
    assert unsealed(reasoning["encrypted_content"]) == {"thinking_blocks": [THOUGHT]}
    assert message["content"] == [
        {"type": "output_text", "text": "Blue sky.", "annotations": [CITATION], "logprobs": [LOGPROB]}
    ]
    assert (function_call["call_id"], function_call["arguments"]) == ("call_1", '{"at":"sky"}')
    assert (custom_call["call_id"], custom_call["input"]) == ("call_2", "select 1")
    assert response["usage"] == RESPONSE_USAGE
    assert (response["id"], response["status"], response["model"]) == (f"resp_{COMPLETION}", "completed", "up-1")
    assert (response["completion_id"], response["session_id"]) == (str(COMPLETION), str(SESSION))
    assert (response["temperature"], response["tool_choice"], response["tools"]) == (0.5, "auto", REQUEST["tools"])


def test_a_stream_ends_with_the_response_of_a_whole_answer():
    assert without_time(events_of(STREAM)[-1].body["response"]) == without_time(FORM.answer(WHOLE, REQUEST, IDS))


def test_events_come_in_the_order_of_the_api():
    events = events_of(STREAM)
    assert [event.name.removeprefix("response.") for event in events] == [
        "created", "in_progress",
        "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta",
        "reasoning_text.done", "content_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.annotation.added", "output_text.done", "content_part.done", "output_item.done",
        "output_item.added", "function_call_arguments.delta", "output_item.added", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    assert [event.body["sequence_number"] for event in events] == list(range(len(events)))
    assert all(event.body["type"] == event.name for event in events)


def test_reasoning_is_a_summary_where_one_was_asked_for():
    request = {**REQUEST, "reasoning": {"effort": "low", "summary": "auto"}}
    names = [event.name.removeprefix("response.") for event in events_of(STREAM, request)]
    assert names[2:9] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.delta", "reasoning_summary_text.done", "reasoning_summary_part.done",
        "output_item.done",
    ]  # fmt: skip
    reasoning = FORM.answer(WHOLE, request, IDS)["output"][0]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Look up."}]


@pytest.mark.parametrize(
    ("finish_reason", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_was_cut_short_is_incomplete(finish_reason: str, reason: str):
    end = events_of([chunk({"content": "Blue"}), chunk({}, finish_reason=finish_reason)])[-1]
    assert end.name == "response.incomplete"
    assert end.body["response"]["incomplete_details"] == {"reason": reason}
    assert end.body["response"]["output"][0]["status"] == "incomplete"


def test_a_refusal_is_a_part_of_the_message():
    events = events_of([chunk({"refusal": "I will "}), chunk({"refusal": "not."}), chunk({}, finish_reason="stop")])
    assert [event.name.removeprefix("response.") for event in events[3:8]] == [
        "content_part.added", "refusal.delta", "refusal.delta", "refusal.done", "content_part.done",
    ]  # fmt: skip
    assert events[-1].body["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "I will not."}]


def test_a_failure_ends_the_stream_with_what_arrived():
    writer = FORM.event_writer(REQUEST, IDS)
    writer.take(chunk({"content": "Blue"}))
    failed, error = writer.fail(Unavailable("Gone.", code="provider_hung_up"))
    assert failed.name == "response.failed"
    assert failed.body["response"]["error"] == {"code": "provider_hung_up", "message": "Gone."}
    assert failed.body["response"]["id"] == f"resp_{COMPLETION}"
    assert (error.name, error.body["code"], error.body["error"]["message"]) == ("error", "provider_hung_up", "Gone.")


# ------------------------------------------------------------------------------------------------ native providers

SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}}
REASONED = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Look"}, {"type": "summary_text", "text": "Up"}],
    "encrypted_content": "gAAA",
}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Blue sky.", "annotations": [CITATION], "logprobs": [LOGPROB]}],
}
CALLED = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": "{}"}
NATIVE = {
    "id": "resp_up",
    "object": "response",
    "created_at": 1760000000,
    "model": "up-1",
    "status": "completed",
    "output": [REASONED, SEARCH, SAID, CALLED],
    "tools": [{"type": "web_search"}],
    "service_tier": "default",
    "usage": RESPONSE_USAGE,
}
LOGGED = {
    "role": "assistant",
    "content": "Blue sky.",
    "reasoning_content": "Look\n\nUp",
    "annotations": [CHAT_CITATION],
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
    "response_items": [REASONED, SEARCH, SAID, CALLED],
}


def native_events(output: list[Body]) -> list[Body]:
    events: list[Body] = [{"type": "response.created", "response": {**NATIVE, "status": "in_progress", "output": []}}]
    for place, item in enumerate(output):
        at = {"item_id": item["id"], "output_index": place}
        events.append({"type": "response.output_item.added", "output_index": place, "item": {**item, "arguments": ""}})
        if item is REASONED:
            for number, part in enumerate(item["summary"]):
                events += [
                    {"type": "response.reasoning_summary_text.delta", **at, "summary_index": number, "delta": piece}
                    for piece in part["text"]
                ]
        elif item is SAID:
            for piece, logprobs in (("Blue", [LOGPROB]), (" sky.", [])):
                events.append({"type": "response.output_text.delta", **at, "delta": piece, "logprobs": logprobs})
        elif item is CALLED:
            events += [{"type": "response.function_call_arguments.delta", **at, "delta": piece} for piece in "{}"]
        events.append({"type": "response.output_item.done", "output_index": place, "item": item})
    return [*events, {"type": "response.completed", "response": NATIVE}]


def logged(events: list[Body]) -> tuple[MessageAccumulator, list[Body], bool]:
    log, message = FORM.event_log(), MessageAccumulator()
    chunks = [chunk for event in events for chunk in log.take(FormatEvent(event["type"], event))]
    for each in chunks:
        for choice in each["choices"]:
            message.take(choice)
    return message, chunks, log.is_finished


def test_a_providers_response_is_logged_whole():
    answer = FORM.chat_answer(NATIVE)
    choice = answer["choices"][0]
    assert choice["message"] == LOGGED
    assert (choice["finish_reason"], choice["logprobs"]) == ("tool_calls", {"content": [LOGPROB]})
    assert answer["usage"]["completion_tokens_details"] == {"reasoning_tokens": 3}
    assert answer["usage"]["prompt_tokens"] == 11
    assert (answer["id"], answer["model"], answer["service_tier"]) == ("resp_up", "up-1", "default")
    assert "tools" not in answer


def test_a_providers_stream_is_logged_as_its_whole_response():
    message, chunks, is_finished = logged(native_events(NATIVE["output"]))
    assert is_finished
    assert message.message() == LOGGED
    assert message.finish_reason == "tool_calls"
    assert chunks[-1]["usage"] == FORM.chat_answer(NATIVE)["usage"]


def test_a_stream_without_deltas_is_logged_from_its_items():
    events = [event for event in native_events(NATIVE["output"]) if not event["type"].endswith(".delta")]
    assert logged(events)[0].message() == LOGGED


def test_a_plain_response_is_logged_as_a_text():
    plain = {**SAID, "content": [{"type": "output_text", "text": "Blue sky.", "annotations": []}]}
    message, _, _ = logged([event for event in native_events([plain]) if "added" not in event["type"]])
    assert (message.text, message.message()) == ("Blue sky.", None)


def test_texts_of_two_messages_stand_apart():
    second = {**SAID, "id": "msg_2"}
    response = {**NATIVE, "output": [SAID, second]}
    message = FORM.chat_answer(response)["choices"][0]["message"]
    assert message["content"] == "Blue sky.\n\nBlue sky."
    assert [each["url_citation"]["start_index"] for each in message["annotations"]] == [0, 11]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.failed", "response": {**NATIVE, "error": {"code": "server_error", "message": "Fell over."}}},
        {**NATIVE, "status": "failed", "error": {"code": "server_error", "message": "Fell over."}},
        {"type": "error", "code": "server_error", "message": "Fell over.", "param": None},
        {"type": "error", "error": {"code": "server_error", "message": "Fell over."}},
    ],
)
def test_a_providers_failure_is_found(event: Body):
    failure = FORM.find_error(event)
    assert failure is not None
    assert (failure.error["code"], failure.error["message"], failure.status) == ("server_error", "Fell over.", 500)


def test_only_failures_are_found():
    assert [
        FORM.find_error(event) for event in (NATIVE, *native_events(NATIVE["output"])) if FORM.find_error(event)
    ] == []


def test_a_native_stream_that_breaks_off_ends_with_what_arrived():
    log = FORM.event_log()
    for number, event in enumerate(native_events(NATIVE["output"])[:-1]):
        log.take(FormatEvent(event["type"], {**event, "sequence_number": number}))
    failed, error = log.fail(Unavailable("Gone.", code="provider_hung_up"))
    assert failed.body["response"]["output"] == NATIVE["output"]
    assert (failed.body["sequence_number"], error.body["sequence_number"]) == (number + 1, number + 2)


@pytest.mark.parametrize("answer", [{}, {"output": "x"}, {"output": [None]}, {"error": None}])
def test_another_object_is_no_response(answer: Body):
    with pytest.raises((AttributeError, ValueError, KeyError, TypeError)):
        FORM.chat_answer(answer)


def test_ids_of_the_provider_are_replaced_in_answers_and_events():
    answer, event = dict(NATIVE), {"type": "response.completed", "response": dict(NATIVE)}
    for body in (answer, event):
        FORM.put_ids(body, IDS)
    assert answer["id"] == event["response"]["id"] == f"resp_{COMPLETION}"
    assert answer["completion_id"] == str(COMPLETION)
