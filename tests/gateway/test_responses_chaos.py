"""Calls of the Responses API whose provider fails: the right error, the truth in the log, and nothing left behind."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.thorough

# How the provider behaves, and what a call is answered with: whole or streamed, nothing has left before.
FAILURES = [
    ("error-400", 400, "some_code"),
    ("error-401", 502, "provider_refused_key"),
    ("error-429", 429, "some_code"),
    ("error-500", 500, "some_code"),
    ("error-503", 503, "some_code"),
    ("garbage", 502, "provider_answer_unreadable"),
    ("html", 502, "provider_answer_unreadable"),
    ("list", 502, "provider_answer_unreadable"),
    ("strange", 502, "provider_answer_unreadable"),
    ("redirect", 502, "provider_redirected"),
    ("drop", 502, "provider_hung_up"),
    ("cut-after-0", 502, "provider_hung_up"),
]
# What goes wrong after the first words of a stream.
CUTS = [
    ("cut-after-3", "provider_hung_up"),
    ("no-done", "provider_hung_up"),
    ("error-after-3", "fell_over"),
    ("garbage-in-stream", "provider_answer_unreadable"),
]
# Odd, and still a whole answer.
ODD = ["plain", "hang-after-done", "split", "gzip", "unasked"]


@pytest.fixture(autouse=True)
def nothing_is_left_behind(gateway):
    """After each test no call is under way, neither here nor at the provider."""
    yield
    gateway.wait_until_quiet()


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("behaviour", "status", "code"), FAILURES, ids=[row[0] for row in FAILURES])
def test_a_failure_before_the_first_word_is_an_error(
    face, gateway, behaviour: str, status: int, code: str, streamed: bool
):
    body = {"model": face.model(behaviour), "input": "Hello there", "stream": streamed}
    answer = gateway.http.post("/api/v1/responses", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert {"message", "type", "code", "param"} <= error.keys()
    row = gateway.newest()
    assert (row["call"]["state"], row["call"]["error"]["status"], row["completion"]) == ("failed", status, "")
    assert row["messages"] == [{"role": "user", "content": "Hello there"}]


@pytest.mark.parametrize(("behaviour", "code"), CUTS, ids=[row[0] for row in CUTS])
def test_a_stream_that_breaks_off_ends_in_a_failed_response(face, gateway, behaviour: str, code: str):
    events = face.stream(face.model(behaviour))
    failed, error = events[-2:]
    assert (failed["type"], error["type"]) == ("response.failed", "error")
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["id"] == events[0]["response"]["id"]
    assert error["code"] == failed["response"]["error"]["code"] == error["error"]["code"] == code
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    row = face.logged(failed["response"])
    assert row["completion"] == text != ""
    assert (row["call"]["state"], row["call"]["error"]["code"]) == ("failed", code)
    shown = gateway.http.get(f"/api/v1/responses/{failed['response']['id']}").json()
    assert (shown["status"], shown["error"]["code"]) == ("failed", code)


@pytest.mark.parametrize("behaviour", ODD)
def test_an_odd_stream_is_passed_on_whole(face, behaviour: str):
    events = face.stream(face.model(behaviour))
    assert events[-1]["type"] == "response.completed"
    response = events[-1]["response"]
    assert response["output"][-1]["content"][0]["text"] == "You said: Hello there"
    row = face.logged(response)
    assert (row["completion"], row["call"]["state"]) == ("You said: Hello there", "complete")
    assert row["usage"]["total_tokens"] == 18


def test_usage_is_estimated_where_the_provider_tells_none(translated):
    response = translated.stream(translated.model("no-usage"))[-1]["response"]
    assert response["usage"]["total_tokens"] > 0
    assert translated.logged(response)["usage"]["estimated"]


def test_an_empty_stream_is_an_error(face, gateway):
    body = {"model": face.model("empty"), "input": "Hi", "stream": True}
    answer = gateway.http.post("/api/v1/responses", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_hung_up")


def test_a_caller_who_hangs_up_leaves_a_cancelled_row(face, gateway):
    model = face.model("hang-after-4")
    body = {"model": model, "input": "Hello there", "stream": True}
    with gateway.server.client() as http, http.stream("POST", "/api/v1/responses", json=body) as answer:
        lines = answer.iter_lines()
        while '"delta"' not in next(lines):
            pass
    gateway.wait_until_quiet()
    row = gateway.newest()
    assert "You said: Hello there".startswith(row["completion"])
    assert row["call"]["state"] == "cancelled"


def test_a_fallback_stands_in_across_forms(face, gateway):
    second = gateway.model("good", endpoint=f"{gateway.upstream.url}/chat-only/v1").partition("/")[2]
    more = {} if face.kind == "native" else {"endpoint": f"{gateway.upstream.url}/chat-only/v1"}
    model = gateway.model("error-500", fallback=second, **more)
    for response in (face.ask(model), face.stream(model)[-1]["response"]):
        row = face.logged(response)
        assert (row["model"], row["completion"]) == (second, "You said: Hello there")
        assert row["parameters"]["attempts"][0]["model"] == model.partition("/")[2]
