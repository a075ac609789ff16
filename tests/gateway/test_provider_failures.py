"""A failure of the provider is never taken for an answer, whichever way it tells of it; the caller learns its words."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

WHY = "the context is too long"
EVENTS, JSON = "text/event-stream", "application/json"


def chunk(delta: dict[str, Any] | None = None, finish_reason: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish_reason, **more.pop("choice", {})}
    return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


def stream(*events: Any, done: bool = True) -> str:
    """Return a stream of these events: objects, or texts as they are."""
    texts = [one if isinstance(one, str) else f"data: {json.dumps(one)}" for one in events]
    return "".join(f"{text}\n\n" for text in [*texts, *(["data: [DONE]"] if done else [])])


def completion_json(*choices: dict[str, Any], **more: Any) -> str:
    return json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, **more})


def ask(gateway: Any, kind: str, body: str, *, status: int = 200, **more: Any) -> httpx.Response:
    """Make a call that the provider answers with this body."""
    says = {"type": kind, "body": body, "status": status}
    return gateway.ask(gateway.model("says"), stream=kind == EVENTS, says=says, **more)


def errors_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """Return the errors that the caller was told of."""
    if answer.headers["content-type"] == JSON:
        return [answer.json()["error"]] if "error" in answer.json() else []
    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    return [event["error"] for event in map(json.loads, events) if "error" in event]


WORD = chunk({"role": "assistant", "content": "The first half"})
ERROR = {"message": WHY, "type": "exceed_context", "code": "context_length_exceeded", "param": "messages"}
STREAMS: dict[str, str] = {
    "a field error": stream(WORD, f"error: {json.dumps({'code': 400, 'message': WHY})}"),
    "a field error at once": stream(f"error: {json.dumps({'code': 400, 'message': WHY})}"),
    "an event error of an object": stream(WORD, f"event: error\ndata: {json.dumps({'message': WHY})}"),
    "an event error of a text": stream(WORD, f"event: error\ndata: {WHY}"),
    "an object after good chunks": stream(WORD, {"error": ERROR}),
    "an object after the last chunk": stream(WORD, chunk({}, "stop"), {"error": ERROR}),
    "a text": stream(WORD, {"error": WHY, "error_type": "overloaded"}),
    "a message alone": stream(WORD, {"message": WHY, "code": 429}),
    "an object that is one": stream(WORD, {"object": "error", "message": WHY, "code": 40303}),
    "JSON without a field": stream(WORD, json.dumps({"error": ERROR}), done=False),
    "JSON without a field, on several lines": stream(WORD, json.dumps({"error": ERROR}, indent=1), done=False),
    "Google: a list": stream(WORD, [{"error": ERROR}]),
    "Google: a list without a field": stream(WORD, json.dumps([{"error": ERROR}]), done=False),
    "JSON without a field, at once": json.dumps({"error": ERROR}),
    "beside the choices": stream(WORD, chunk({"content": ""}, "error", error=ERROR)),
    "on the choice": stream(WORD, chunk({"content": ""}, "error", choice={"error": ERROR})),
}
REASONS = ["error", "ERROR", "abort", "insufficient_system_resource", "network_error"]
UNFINISHED = {
    "no finish_reason, and done": stream(WORD, chunk({"content": " and"})),
    "no finish_reason": stream(WORD, chunk({"content": " and"}), done=False),
    "one of two choices without a finish_reason": stream(
        WORD, chunk({"content": "Another"}, choice={"index": 1}), chunk({}, "stop")
    ),
    "no choice at all": stream({"id": "x", "choices": [], "usage": {"prompt_tokens": 3}}),
    "nothing but done": stream(),
}
MESSAGE = {"role": "assistant", "content": "The first half"}
WHOLES = {
    "an error alone": json.dumps({"error": ERROR}),
    "an error beside the choices": completion_json(
        {"index": 0, "message": MESSAGE, "finish_reason": "stop"}, error=ERROR
    ),
    "an error on the choice": completion_json(
        {"index": 0, "message": MESSAGE, "finish_reason": "error", "error": ERROR}
    ),
    "a message alone": json.dumps({"message": WHY, "code": 429}),
    "an object that is one": json.dumps({"object": "error", "message": WHY}),
    "Google: a list": json.dumps([{"error": ERROR}]),
}


@pytest.mark.parametrize(
    ("kind", "body"),
    [(EVENTS, body) for body in STREAMS.values()] + [(JSON, body) for body in WHOLES.values()],
    ids=[*(f"stream: {name}" for name in STREAMS), *(f"whole: {name}" for name in WHOLES)],
)
def test_a_failure_is_told_and_stored_in_the_providers_words(gateway, kind: str, body: str):
    answer = ask(gateway, kind, body)
    [error] = errors_of(answer)
    assert WHY in error["message"]
    assert "[DONE]" not in answer.text
    call = gateway.newest()["call"]
    assert (call["state"], call["error"]["message"]) == ("failed", error["message"])
    if '"context_length_exceeded"' in body:
        assert (error["code"], error["type"], error["param"]) == (ERROR["code"], ERROR["type"], ERROR["param"])
        assert {name: call["error"][name] for name in ("code", "type", "param")} == {
            name: ERROR[name] for name in ("code", "type", "param")
        }


@pytest.mark.parametrize("reason", REASONS)
def test_an_end_that_is_a_failure_is_no_answer(gateway, reason: str):
    for kind, body in (
        (EVENTS, stream(WORD, chunk({}, reason))),
        (JSON, completion_json({"index": 0, "message": MESSAGE, "finish_reason": reason})),
    ):
        answer = ask(gateway, kind, body)
        assert reason in errors_of(answer)[0]["message"]
        assert gateway.newest()["call"]["state"] == "failed"


@pytest.mark.parametrize("shape", UNFINISHED)
def test_a_stream_that_does_not_say_why_it_ends_is_no_answer(gateway, shape: str):
    answer = ask(gateway, EVENTS, UNFINISHED[shape], n=2 if "two" in shape else 1)
    [error] = errors_of(answer)
    assert error["code"] in ("provider_answer_unfinished", "provider_hung_up")
    row = gateway.newest()
    assert row["call"]["state"] == "failed"
    if "content" in UNFINISHED[shape]:
        assert row["completion"]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "where a stream was asked for"])
def test_a_whole_answer_without_choices_is_passed_on_and_kept(gateway, streamed: bool, n: int):
    found = [{"prompt_index": 0, "content_filter_results": {"violence": {"filtered": True, "severity": "high"}}}]
    usage = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}
    says = {"type": JSON, "body": completion_json(usage=usage, prompt_filter_results=found)}
    answer = gateway.ask(gateway.model("says"), stream=streamed, says=says, n=n)
    assert errors_of(answer) == []
    if not streamed:
        assert (answer.status_code, answer.json()["choices"], answer.json()["usage"]) == (200, [], usage)
    interaction = gateway.newest()
    assert (interaction["call"]["state"], interaction["call"]["error"]) == ("complete", None)
    assert (interaction["completion"], interaction["usage"]) == ("", usage)
    if not streamed:
        assert interaction["facts"]["answer"]["prompt_filter_results"] == found


def test_a_whole_answer_without_the_member_choices_is_a_failure(gateway):
    [error] = errors_of(ask(gateway, JSON, json.dumps({"id": "x", "object": "chat.completion", "usage": {}})))
    assert error["code"] == "provider_answer_unreadable"
    assert gateway.newest()["call"]["state"] == "failed"


def test_what_a_provider_says_beside_its_message_reaches_caller_and_log(gateway):
    found = {"violence": {"filtered": True, "severity": "medium"}}
    refusal = {
        **{"message": "It was filtered.", "type": None, "param": "prompt", "code": "content_filter", "status": 400},
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": found},
    }
    for body in (json.dumps({"error": refusal}), json.dumps([{"error": refusal}])):
        answer = ask(gateway, JSON, body, status=400)
        told = answer.json()["error"]
        assert (answer.status_code, told["code"], told["param"]) == (400, "content_filter", "prompt")
        assert told["innererror"]["content_filter_result"] == found
        stored = gateway.newest()["call"]["error"]
        assert stored["innererror"]["content_filter_result"] == found
        assert (stored["status"], stored["code"], stored["param"]) == (400, "content_filter", "prompt")


def test_of_choices_that_were_never_answered_none_is_complete(gateway):
    for kind, body in (
        (EVENTS, stream(WORD, chunk({}, "stop"))),
        (JSON, completion_json({"index": 0, "message": MESSAGE, "finish_reason": "stop"})),
    ):
        ask(gateway, kind, body, n=3, labels={"kind": kind.replace("/", "-")}).raise_for_status()
        query = {"project": gateway.project, "label": f"kind:{kind.replace('/', '-')}", "view": "full"}
        rows = gateway.http.get("/api/v1/interactions", params=query).raise_for_status().json()["interactions"]
        assert [row["completion"] for row in rows if row["call"]["state"] == "complete"] == ["The first half"]
        for row in rows:
            if row["call"]["state"] != "complete":
                assert row["call"]["error"]["code"] == "provider_left_out_choice"


QUIET: dict[str, tuple[dict[str, Any], str | None]] = {
    "no message": ({"index": 0, "finish_reason": "content_filter"}, "content_filter"),
    "message null": ({"index": 0, "message": None, "finish_reason": "length"}, "length"),
    "content null": ({"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": "stop"}, "stop"),
    "index null": ({"index": None, "message": MESSAGE, "finish_reason": "stop"}, "stop"),
    "index a text": ({"index": "0", "message": MESSAGE, "finish_reason": "stop"}, "stop"),
    "no index": ({"message": MESSAGE, "finish_reason": "stop"}, "stop"),
    "finish_reason a number": ({"index": 0, "message": MESSAGE, "finish_reason": 2}, "2"),
}


@pytest.mark.parametrize("shape", QUIET)
def test_an_answer_of_few_words_is_an_answer(gateway, shape: str):
    choice, reason = QUIET[shape]
    answer = ask(gateway, JSON, completion_json(choice)).raise_for_status().json()
    assert answer["choices"][0]["finish_reason"] == reason
    assert answer["choices"][0]["message"]["role"] == "assistant"
    call = gateway.logged(answer["choices"][0]["completion_id"])["call"]
    assert (call["state"], call["finish_reason"]) == ("complete", reason)


def test_choices_that_share_an_index_are_numbered(gateway):
    choices = [{"index": 0, "message": {"role": "assistant", "content": text}} for text in ("one", "two")]
    answer = ask(gateway, JSON, completion_json(*choices), n=2).raise_for_status().json()
    assert [gateway.logged(one["completion_id"])["completion"] for one in answer["choices"]] == ["one", "two"]


# ------------------------------------------------------------------------------------------------ bounds

DEEP = '{"a":' * 250 + "1" + "}" * 250
BEYOND: dict[str, tuple[str, str]] = {
    **{
        f"a choice of index {index}": (
            stream(chunk({"content": "x"}, "stop", choice={"index": json.loads(index)})),
            completion_json({"index": json.loads(index), "message": MESSAGE, "finish_reason": "stop"}),
        )
        for index in ("-1", "128", "4000000000", "1e300", "0.5", "true", '"first"', "[]", "{}")
    },
    "thousands of choices": (
        stream({"choices": [{"index": index, "delta": {"content": "x"}} for index in range(5000)]}),
        completion_json(*({"index": index, "message": MESSAGE} for index in range(5000))),
    ),
    "one choice thousands of times": (
        stream({"choices": [{"index": 0, "delta": {"content": "x"}}] * 5000}),
        completion_json(*({"message": MESSAGE} for _ in range(5000))),
    ),
    "250 levels": (
        stream(json.dumps(chunk({"content": "x"})).replace('"x"', DEEP).join(("data: ", ""))),
        completion_json({"index": 0, "message": MESSAGE}).replace('"m"', DEEP),
    ),
    "5,000 levels": (
        stream("data: " + "[" * 5000 + "]" * 5000),
        "[" * 5000 + "]" * 5000,
    ),
}
TOO_MANY = {
    "tool calls at once": [{"tool_calls": [{"index": index, "id": f"c{index}"} for index in range(5000)]}],
    "tool calls one by one": [{"tool_calls": [{"index": index, "id": f"c{index}"}]} for index in range(2000)],
    "parts": [{"content": [{"type": f"part{index}", "text": "x"} for index in range(5000)]}],
    "members": [{str(index): {} for index in range(300_000)}],
}


@pytest.mark.parametrize("shape", BEYOND)
def test_an_answer_beyond_the_bounds_is_an_error_that_says_so(gateway, shape: str):
    for kind, body in zip((EVENTS, JSON), BEYOND[shape], strict=True):
        answer = ask(gateway, kind, body)
        assert answer.status_code == 502, answer.text[:500]
        assert answer.json()["error"]["code"] in ("provider_answer_out_of_bounds", "provider_answer_unreadable")
        assert gateway.newest()["call"]["state"] == "failed"
        assert gateway.http.get("/health").elapsed.total_seconds() < 1


@pytest.mark.parametrize("shape", TOO_MANY)
def test_a_message_of_too_many_parts_is_an_error_that_says_so(gateway, shape: str):
    answer = ask(gateway, EVENTS, stream(*map(chunk, TOO_MANY[shape]), chunk({}, "stop")))
    [error] = errors_of(answer)
    assert error["code"] == "provider_answer_too_large"
    assert "[DONE]" not in answer.text
    assert gateway.newest()["call"]["state"] == "failed"


ODD_CALLS: list[Any] = [
    {"index": None, "id": "c1", "function": None},
    {"index": "0", "id": "c1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}},
    {"index": -1, "id": 7, "function": {"name": None, "arguments": None}},
    {"index": 0.5, "id": {}, "function": "f"},
    {"index": [], "function": {"name": ["f"], "arguments": ["a"]}},
    *(None, 5, "f", [], {}),
]


@pytest.mark.parametrize("odd", ODD_CALLS, ids=json.dumps)
def test_odd_tool_calls_are_never_a_failure_of_ours(gateway, odd: Any):
    message = {"role": "assistant", "content": None}
    for kind, body in (
        (EVENTS, stream(chunk({"tool_calls": [odd]}), chunk({"tool_calls": [odd, odd]}), chunk({}, "tool_calls"))),
        (EVENTS, stream(chunk({"tool_calls": odd}), chunk({}, "tool_calls"))),
        (
            EVENTS,
            completion_json({"index": 0, "message": {**message, "tool_calls": [odd]}, "finish_reason": "tool_calls"}),
        ),
        (
            JSON,
            completion_json({"index": 0, "message": {**message, "tool_calls": [odd]}, "finish_reason": "tool_calls"}),
        ),
        (JSON, completion_json({"index": 0, "message": {**message, "tool_calls": odd}, "finish_reason": "tool_calls"})),
    ):
        answer = ask(gateway, kind, body)
        assert answer.status_code == 200, answer.text
        assert not errors_of(answer), answer.text
        assert gateway.newest()["call"]["state"] == "complete"


@pytest.mark.parametrize("number", ["1e400", "1" + "0" * 400, "-1", "NaN", '"many"', "[]", "null", "true"])
def test_odd_numbers_of_tokens_are_never_a_failure_of_ours(gateway, number: str):
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, name: "@"}
        body = completion_json({"index": 0, "message": MESSAGE, "finish_reason": "stop"}, usage=usage)
        answer = ask(gateway, JSON, body.replace('"@"', number))
        assert answer.status_code == 200, answer.text
        ends = stream(WORD, chunk({}, "stop"), {"choices": [], "usage": usage}).replace('"@"', number)
        answer = ask(gateway, EVENTS, ends, stream_options={"include_usage": True})
        assert not errors_of(answer), answer.text
        assert gateway.newest()["call"]["state"] == "complete"
