"""Whatever a provider does to a call in Anthropic's form: the caller gets the right error, the row tells the truth, and
nothing is left behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.thorough

MESSAGES = "/api/v1/messages"
PROVIDERS = ["anthropic", "open_ai"]
# How the provider behaves, and what a call is answered with: whole or streamed, nothing has left before.
FAILS = [
    ("error-400", 400, "invalid_request_error"),
    ("error-401", 502, "api_error"),
    ("error-403", 403, "permission_error"),
    ("error-404", 404, "not_found_error"),
    ("error-422", 422, "invalid_request_error"),
    ("error-429", 429, "rate_limit_error"),
    ("error-500", 500, "api_error"),
    ("error-503", 529, "overloaded_error"),
    ("error-529", 529, "overloaded_error"),
    ("garbage", 502, "api_error"),
    ("html", 502, "api_error"),
    ("list", 502, "api_error"),
    ("redirect", 502, "api_error"),
    ("drop", 502, "api_error"),
    ("empty", 502, "api_error"),
]
# What goes wrong after the first words of a stream.
CUT = ["cut-after-2", "no-done", "error-in-stream", "garbage-in-stream"]
# Odd, and still a whole answer. Some of it only a provider with OpenAI's API does.
ODD = ["split", "gzip", "slow-5"]
ODD_CHAT = ["plain", "finished-no-done", "hang-after-done", "preface", "running-usage", "unasked", "no-usage"]


@pytest.fixture(autouse=True)
def nothing_is_left_behind(gateway):
    """After each test no call is under way, neither here nor at the provider."""
    yield
    gateway.wait_until_quiet()


def request(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "Hello there"}], **fields}


def stream(gateway: Any, model: str) -> list[dict[str, Any]]:
    with gateway.http.stream("POST", MESSAGES, json=request(model, stream=True)) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
        return [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("behaviour", "status", "type_"), FAILS, ids=[one[0] for one in FAILS])
def test_a_call_that_fails_before_its_first_word_is_an_error_of_its_own(
    gateway, behaviour: str, status: int, type_: str, streamed: bool, provider: str
):
    answer = gateway.http.post(MESSAGES, json=request(gateway.model(behaviour, provider=provider), stream=streamed))
    error = answer.json()
    assert (answer.status_code, error["type"], error["error"]["type"]) == (status, "error", type_)
    assert error["request_id"] == answer.headers["request-id"]
    if behaviour in ("error-429", "error-503"):
        assert answer.headers["retry-after"] == "7"
    row = gateway.newest()
    assert (row["call"]["state"], row["call"]["finish_reason"]) == ("failed", "error")
    assert row["call"]["error"]["message"] == error["error"]["message"]
    assert row["completion"] == ""


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("behaviour", CUT)
def test_a_stream_that_breaks_off_ends_in_an_error_event(gateway, behaviour: str, provider: str):
    *events, error = stream(gateway, gateway.model(behaviour, provider=provider))
    assert error["type"] == "error"
    overloaded = (behaviour, provider) == ("error-in-stream", "anthropic")
    assert error["error"]["type"] == ("overloaded_error" if overloaded else "api_error")
    assert events[0]["type"] == "message_start"
    assert not [event for event in events if event["type"] in ("message_delta", "message_stop")]
    row = gateway.logged(events[0]["message"]["id"])
    assert row["completion"] == text_of(events) != ""
    assert (row["call"]["state"], row["call"]["finish_reason"]) == ("failed", "error")


@pytest.mark.parametrize(
    ("behaviour", "provider"),
    [
        *((behaviour, provider) for behaviour in ODD for provider in PROVIDERS),
        *((behaviour, "open_ai") for behaviour in ODD_CHAT),
    ],
)
def test_an_odd_stream_is_passed_on_whole(gateway, behaviour: str, provider: str):
    events = stream(gateway, gateway.model(behaviour, provider=provider))
    assert events[-1]["type"] == "message_stop"
    assert text_of(events).strip() == "You said: Hello there"
    row = gateway.logged(events[0]["message"]["id"])
    assert row["completion"].strip() == "You said: Hello there"
    assert row["usage"]["completion_tokens"] == events[-2]["usage"]["output_tokens"] > 0
    assert (row["call"]["state"], row["call"]["finish_reason"]) == ("complete", "stop")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_caller_disconnect_closes_provider_stream_and_keeps_partial_text(gateway, provider: str):
    model = gateway.model("hang-after-4" if provider == "open_ai" else "hang-after-3", provider=provider)
    with (
        gateway.server.client() as http,
        http.stream("POST", MESSAGES, json=request(model, stream=True)) as answer,
    ):
        lines = (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: "))
        heard = []
        while "Hello" not in text_of(heard):
            heard.append(next(lines))
    gateway.wait_until_quiet()
    row = gateway.logged(heard[0]["message"]["id"])
    assert row["completion"].strip() == "You said: Hello"
    assert (row["call"]["state"], row["call"]["finish_reason"]) == ("cancelled", "cancelled")
