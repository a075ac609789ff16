"""Whatever a provider does: the caller gets the right error, the row tells the truth, and nothing is left behind."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.thorough

# How the provider behaves, and what a call is answered with: whole or streamed, nothing has left before.
FAILS = [
    ("error-400", 400, "some_code"),
    ("error-401", 502, "provider_refused_key"),
    ("error-403", 403, "some_code"),
    ("error-404", 404, "some_code"),
    ("error-422", 422, "some_code"),
    ("error-429", 429, "some_code"),
    ("error-500", 500, "some_code"),
    ("error-502", 502, "some_code"),
    ("error-503", 503, "some_code"),
    ("error-529", 503, "some_code"),
    ("garbage", 502, "provider_answer_unreadable"),
    ("html", 502, "provider_answer_unreadable"),
    ("list", 502, "provider_answer_unreadable"),
    ("strange", 502, "provider_answer_unreadable"),
    ("redirect", 502, "provider_redirected"),
    ("drop", 502, "provider_hung_up"),
    ("cut-after-0", 502, "provider_hung_up"),
    ("error-after-0", 502, "fell_over"),
]
# What goes wrong with a whole answer alone.
WHOLE_FAILS = [
    ("cut-after-2", "provider_hung_up"),
    ("empty", "provider_answer_unreadable"),
    ("error-in-stream", "fell_over"),
]
# What goes wrong after the first words of a stream: the error of a provider that speaks OpenAI's API, of Anthropic's.
CUT = [
    ("cut-after-2", "provider_hung_up", "provider_hung_up"),
    ("no-done", "provider_hung_up", "provider_hung_up"),
    ("error-in-stream", "fell_over", "overloaded_error"),
    ("garbage-in-stream", "provider_answer_unreadable", "provider_answer_unreadable"),
]
# Odd, and still a whole answer.
ODD = ["plain", "finished-no-done", "hang-after-done", "split", "gzip", "preface", "running-usage", "unasked"]


@pytest.fixture(autouse=True)
def nothing_is_left_behind(gateway):
    """After each test no call is under way, neither here nor at the provider."""
    yield
    gateway.wait_until_quiet()


def outcome(gateway) -> tuple[str, str | None]:
    """Return state and finish_reason of the newest interaction."""
    call = gateway.newest()["call"]
    return call["state"], call["finish_reason"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("behaviour", "status", "code"), FAILS, ids=[one[0] for one in FAILS])
def test_a_call_that_fails_before_its_first_word_is_an_error_of_its_own(
    gateway, behaviour: str, status: int, code: str, streamed: bool
):
    answer = gateway.ask(gateway.model(behaviour), stream=streamed)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    if behaviour in ("error-429", "error-503"):
        assert answer.headers["retry-after"] == "7"
    if behaviour.startswith("error-4") and status != 502:
        assert f"The provider says {status}." in error["message"]
    row = gateway.newest()
    assert row["call"]["state"] == "failed"
    assert row["call"]["finish_reason"] == "error"
    assert row["call"]["error"]["status"] == status
    assert row["call"]["error"]["message"] == error["message"]
    assert row["completion"] == ""
    assert row["messages"] == [{"role": "user", "content": "Hello there"}]


@pytest.mark.parametrize(("behaviour", "code"), WHOLE_FAILS, ids=[one[0] for one in WHOLE_FAILS])
def test_a_whole_answer_that_is_none_is_an_error(gateway, behaviour: str, code: str):
    answer = gateway.ask(gateway.model(behaviour))
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, code)
    assert outcome(gateway) == ("failed", "error")


def test_anthropics_errors_with_a_good_status_are_errors_too(gateway):
    for behaviour, kind in (("error-in-stream", "overloaded_error"), ("strange", "provider_error")):
        answer = gateway.ask(gateway.model(behaviour, provider="anthropic"))
        assert answer.status_code >= 500
        assert answer.json()["error"]["type"] == kind
        assert outcome(gateway) == ("failed", "error")


@pytest.mark.parametrize("behaviour", ["drop", "cut-after-0", "cut-after-2", "garbage", "error-500", "error-503"])
def test_a_call_that_the_provider_may_have_taken_on_is_not_made_twice(gateway, behaviour: str):
    model = gateway.model(behaviour)
    gateway.ask(model)
    gateway.ask(model, stream=True)
    assert len(gateway.upstream.seen(model.partition("/")[2])) == 2


@pytest.mark.parametrize("provider", ["open_ai", "anthropic"])
@pytest.mark.parametrize(("behaviour", "code", "anthropics"), CUT, ids=[one[0] for one in CUT])
def test_a_stream_that_breaks_off_ends_in_an_error_and_never_in_done(
    gateway, behaviour: str, code: str, anthropics: str, provider: str
):
    chunks, done = gateway.stream(gateway.model(behaviour, provider=provider))
    assert not done
    assert chunks[-1]["error"]["code"] == (code if provider == "open_ai" else anthropics)
    assert not [choice for chunk in chunks[:-1] for choice in chunk["choices"] if choice.get("finish_reason")]
    row = gateway.logged(chunks[0]["choices"][0]["completion_id"])
    said = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks[:-1])
    assert row["completion"] == said != ""
    assert (row["call"]["state"], row["call"]["finish_reason"]) == ("failed", "error")
    assert row["call"]["error"]["code"] == chunks[-1]["error"]["code"]
    assert row["usage"]["estimated"]


@pytest.mark.parametrize("behaviour", ODD)
def test_an_odd_stream_is_passed_on_whole(gateway, behaviour: str):
    chunks, done = gateway.stream(gateway.model(behaviour), stream_options={"include_usage": True})
    assert done
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == "You said: Hello there"
    assert chunks[-1]["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    [completion_id] = {choice["completion_id"] for choice in choices}
    row = gateway.logged(completion_id)
    assert row["completion"] == "You said: Hello there"
    assert row["usage"]["total_tokens"] == 18
    assert (row["call"]["state"], row["call"]["finish_reason"]) == ("complete", "stop")


def test_a_stream_that_begins_with_nothing_is_an_error(gateway):
    answer = gateway.ask(gateway.model("empty"), stream=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_hung_up")
    assert outcome(gateway) == ("failed", "error")


def test_a_huge_chunk_passes_through_and_is_kept(gateway):
    chunks, done = gateway.stream(gateway.model("huge-3000000"))
    assert done
    assert gateway.logged(chunks[0]["choices"][0]["completion_id"])["completion"].count("x") == 3_000_000


def test_slow_chunks_leave_as_they_come(gateway):
    body = {"model": gateway.model("slow-150"), "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    times = []
    with gateway.http.stream("POST", "/api/v1/chat/completions", json=body) as answer:
        times = [time.monotonic() for line in answer.iter_lines() if line.startswith("data: {")]
    gaps = [later - earlier for earlier, later in pairwise(times[:4])]
    assert min(gaps) > 0.05


def test_a_provider_that_was_busy_for_a_moment_is_asked_again(gateway):
    assert gateway.ask(gateway.model("flaky-1")).status_code == 200
    assert gateway.stream(gateway.model("flaky-1"))[1]
    assert gateway.ask(gateway.model("flaky-9")).status_code == 503


def test_caller_disconnect_closes_provider_stream_and_keeps_partial_text(gateway):
    model = gateway.model("hang-after-4")
    [external] = gateway.external
    body = {"model": model, "messages": [{"role": "user", "content": "Hello there"}], "stream": True}
    with gateway.server.client() as http, http.stream("POST", "/api/v1/chat/completions", json=body) as answer:
        lines = (line for line in answer.iter_lines() if line)
        heard = [next(lines) for _ in range(4)]
        assert gateway.upstream.under_way(external) == 1
    gateway.wait_until_quiet()
    row = gateway.newest()
    assert row["completion_id"] in heard[0]
    assert row["completion"] == "You said: Hello"
    assert (row["call"]["state"], row["call"]["finish_reason"]) == ("cancelled", "cancelled")


def test_caller_disconnect_before_first_chunk_leaves_cancelled_row(gateway):
    model = gateway.model("hang")
    for streamed in (False, True):
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": streamed}
        with gateway.server.client() as http, pytest.raises(httpx.ReadTimeout):
            http.post("/api/v1/chat/completions", json=body, timeout=0.5)
        gateway.wait_until_quiet()
        assert outcome(gateway) == ("cancelled", "cancelled")
    assert gateway.count() == 2


def test_disconnects_at_any_chunk_keep_partial_rows_and_no_connection(gateway):
    model = gateway.model("slow-5")
    text = "one two three four five six seven eight nine ten"

    def call(number: int) -> tuple[str, str, bool]:
        """Hang up after so many chunks; return the id, what was said until then, and whether it was all."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}
        completion_id, said = "", ""
        with gateway.server.client() as http, http.stream("POST", "/api/v1/chat/completions", json=body) as answer:
            for place, line in enumerate(line for line in answer.iter_lines() if line):
                if line == "data: [DONE]":
                    return completion_id, said, True
                [choice] = json.loads(line[6:])["choices"]
                completion_id, said = choice["completion_id"], said + (choice["delta"].get("content") or "")
                if place == number:
                    break
        return completion_id, said, False

    with ThreadPoolExecutor(16) as threads:
        heard = list(threads.map(call, (number % 16 for number in range(48))))
    gateway.wait_until_quiet()
    states = set()
    for completion_id, said, done in heard:
        row = gateway.logged(completion_id)
        states.add(row["call"]["state"])
        assert row["completion"].startswith(said)
        if done:
            assert (row["call"]["state"], row["completion"]) == ("complete", f"You said: {text}")
    assert states == {"complete", "cancelled"}
    assert gateway.count() == 48
    # Idle ones are closed after some seconds; one of a call that was cut off never would be.
    end = time.monotonic() + 20
    while gateway.upstream.connections():
        assert time.monotonic() < end, "connections with the provider are left"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def impatient(server, upstream, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that waits a second for providers."""
    running = type(server)(
        tmp_path_factory.mktemp("impatient") / "data",
        environment={
            "AFTERWORD_PROVIDER_FIRST_BYTE_TIMEOUT": "1",
            "AFTERWORD_PROVIDER_IDLE_TIMEOUT": "1",
        },
    )
    yield running
    running.stop()


@pytest.fixture
def hasty(impatient, gateway) -> Any:
    """That server as a gateway."""
    made = type(gateway)(impatient, "default", gateway.upstream)
    yield made
    made.wait_until_quiet()
    made.http.close()


def test_silence_ends_in_a_timeout_before_the_first_word_and_after(hasty):
    model = hasty.model("hang")
    for streamed in (False, True):
        answer = hasty.ask(model, stream=streamed)
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "provider_timed_out")
        assert outcome(hasty) == ("failed", "error")
    model = hasty.model("hang-after-3")
    answer = hasty.ask(model)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "provider_timed_out")
    chunks, done = hasty.stream(model)
    assert not done
    assert chunks[-1]["error"]["code"] == "provider_timed_out"
    assert hasty.newest()["completion"] == "You said:"


def test_more_calls_than_a_provider_may_have_are_refused_with_503(new_server, gateway):
    narrow = type(gateway)(new_server(AFTERWORD_MAX_PROVIDER_CALLS="2"), "default", gateway.upstream)
    model = narrow.model("hang-after-1")
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with (
        narrow.server.client() as http,
        http.stream("POST", "/api/v1/chat/completions", json=body) as first,
        http.stream("POST", "/api/v1/chat/completions", json=body) as second,
    ):
        # A generator that is let go hangs up.
        lines = [first.iter_lines(), second.iter_lines()]
        assert all(map(next, lines))
        answer = narrow.ask(model)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "provider_busy")
        assert answer.headers["retry-after"] == "1"
    narrow.wait_until_quiet()
    narrow.http.close()


def test_a_model_that_fails_is_stood_in_for_by_its_fallback(gateway):
    second = gateway.model("good").partition("/")[2]
    for behaviour in ("error-500", "error-429", "html"):
        model = gateway.model(behaviour, fallback=second)
        whole = gateway.ask(model).raise_for_status().json()["choices"][0]
        chunks, done = gateway.stream(model)
        assert done
        for choice in (whole, chunks[0]["choices"][0]):
            assert choice["model"] == second
            logged = gateway.logged(choice["completion_id"])
            assert logged["model"] == second
            [attempt] = logged["parameters"]["attempts"]
            assert attempt["model"] == model.partition("/")[2]
    refused = gateway.ask(gateway.model("error-400", fallback=second))
    assert refused.status_code == 400


def test_a_provider_that_is_not_there_is_named(gateway):
    answer = gateway.ask(gateway.model("good", endpoint="http://127.0.0.1:9/v1"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_unreachable")
    assert "127.0.0.1:9" in answer.json()["error"]["message"]
