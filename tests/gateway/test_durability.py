"""Rows under load, over kills, stops and full disks: what a caller was told of is there."""

from __future__ import annotations

import json
import os
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.thorough

ROUNDS = int(os.environ.get("AFTERWORD_CRASH_ROUNDS", "3"))


def gateway_to(gateway, running) -> Any:
    """Return another server as a gateway to the same upstream."""
    return type(gateway)(running, "default", gateway.upstream)


def test_as_many_rows_are_stored_as_answers_were_given_and_equal_to_them(gateway):
    model = gateway.model()

    def call(number: int) -> dict[str, str]:
        """Return the texts by their ids."""
        if number % 3:
            answer = gateway.ask(model, f"question {number}", n=number % 2 + 1).raise_for_status().json()
            return {one["completion_id"]: one["message"]["content"] for one in answer["choices"]}
        chunks, done = gateway.stream(model, f"question {number}")
        assert done
        choices = [one for chunk in chunks for one in chunk["choices"]]
        return {choices[0]["completion_id"]: "".join(one["delta"].get("content") or "" for one in choices)}

    with ThreadPoolExecutor(32) as threads:
        given = [one for its in threads.map(call, range(240)) for one in its.items()]
    assert len(dict(given)) == len(given) == gateway.count()
    query: dict[str, Any] = {"project": gateway.project, "limit": 500, "view": "full"}
    rows = gateway.http.get("/api/v1/interactions", params=query).json()["interactions"]
    assert {row["completion_id"]: row["completion"] for row in rows} == dict(given)
    for row in rows:
        assert row["completion"] == f"You said: {row['prompt']}"
        assert row["usage"]["total_tokens"] == 18
        assert row["call"] == {**row["call"], "state": "complete", "finish_reason": "stop", "error": None}


def test_every_id_that_a_caller_saw_exists_after_a_kill(new_server, gateway):
    running = new_server()
    other = gateway_to(gateway, running)
    model, quick = other.model("slow-30"), other.model()
    for _ in range(ROUNDS):
        seen: dict[str, bool] = {}
        heard = threading.Semaphore(0)

        def call(seen: dict[str, bool] = seen, heard: threading.Semaphore = heard) -> None:
            body = {"model": model, "messages": [{"role": "user", "content": "One two three"}], "stream": True}
            with (
                suppress(httpx.TransportError),
                running.client() as http,
                http.stream("POST", "/api/v1/chat/completions", json=body) as answer,
            ):
                completion_id = ""
                for line in answer.iter_lines():
                    if line.startswith("data: {"):
                        completion_id = json.loads(line[6:])["choices"][0]["completion_id"]
                        seen.setdefault(completion_id, False)
                        heard.release()
                    elif line == "data: [DONE]":
                        seen[completion_id] = True

        def call_whole(seen: dict[str, bool] = seen) -> None:
            body = {"model": quick, "messages": [{"role": "user", "content": "One two three"}]}
            with suppress(httpx.TransportError), running.client() as http:
                while True:
                    answer = http.post("/api/v1/chat/completions", json=body).raise_for_status()
                    seen[answer.json()["choices"][0]["completion_id"]] = True

        threads = [threading.Thread(target=one) for one in [call] * 8 + [call_whole] * 2]
        for thread in threads:
            thread.start()
        chunks = 0
        while chunks < 24 or len(seen) <= 8:
            assert heard.acquire(timeout=20)
            chunks += 1
        running.kill()
        for thread in threads:
            thread.join()
        running.start()
        other.server = running
        other.http = running.client()
        # Where others may work over the same database, a server is given up some time later: below.
        left = ("open",) if running.database_url else ()
        for completion_id, done in seen.items():
            call_ = other.logged(completion_id)["call"]
            assert call_["state"] in (("complete",) if done else ("complete", "interrupted", *left))
        if not left:
            assert '"open"' not in other.http.get("/api/v1/interactions?limit=500").text
    end = time.monotonic() + 90
    while '"open"' in other.http.get("/api/v1/interactions?limit=500").text:
        assert time.monotonic() < end, "calls of a server that is no more are still open"
        time.sleep(0.2)


def test_a_stop_lets_calls_end_and_takes_no_new_ones(new_server, gateway):
    running = new_server()
    other = gateway_to(gateway, running)
    slow, whole = other.model("slow-150"), other.model("slow-800")
    body = {"model": slow, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with (
        ThreadPoolExecutor(1) as threads,
        running.client() as http,
        http.stream("POST", "/api/v1/chat/completions", json=body) as answer,
    ):
        under_way = threads.submit(other.ask, whole)
        lines = (line for line in answer.iter_lines() if line)
        heard = [next(lines)]
        while not gateway.upstream.seen(whole.partition("/")[2]):
            heard.append(next(lines))
        running.process.send_signal(signal.SIGTERM)
        heard += lines
        assert under_way.result().status_code == 200
    assert heard[-1] == "data: [DONE]"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{running.url}/health")
    running.process.wait(20)
    running.start()
    with running.client() as http:
        completion_id = json.loads(heard[0][6:])["choices"][0]["completion_id"]
        row = http.get(f"/api/v1/interactions/{completion_id}").json()
    assert (row["call"]["state"], row["completion"]) == ("complete", "You said: Hi")


def test_stream_longer_than_shutdown_grace_keeps_partial_text(new_server, gateway):
    running = new_server(AFTERWORD_SHUTDOWN_GRACE="1")
    other = gateway_to(gateway, running)
    body = {"model": other.model("hang-after-3"), "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    heard = []
    with running.client() as http, http.stream("POST", "/api/v1/chat/completions", json=body) as answer:
        lines = (line for line in answer.iter_lines() if line)
        heard = [next(lines) for _ in range(3)]
        running.process.send_signal(signal.SIGTERM)
        with suppress(httpx.TransportError):
            heard += lines
    assert "data: [DONE]" not in heard
    running.process.wait(20)
    running.start()
    with running.client() as http:
        completion_id = json.loads(heard[0][6:])["choices"][0]["completion_id"]
        row = http.get(f"/api/v1/interactions/{completion_id}").json()
    assert (row["call"]["state"], row["call"]["finish_reason"]) == ("interrupted", "interrupted")
    assert row["completion"] == "You said:"


@pytest.mark.embedded
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
def test_call_with_failed_final_write_is_closed_while_server_runs(new_server, gateway):
    running = new_server()
    other = gateway_to(gateway, running)
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    hanging, slow = ({**body, "model": other.model(behaviour)} for behaviour in ("hang-after-3", "slow-400"))
    path = "/api/v1/chat/completions"
    with running.client() as http, http.stream("POST", path, json=hanging) as on:
        said = (line for line in on.iter_lines() if line)
        going_on = completion_of(next(said))
        with http.stream("POST", path, json=slow) as cut:
            heard = (line for line in cut.iter_lines() if line)
            left = completion_of(next(heard))
            # From here on no file grows: the end of the call is refused.
            with running.files_no_larger_than(4096):
                assert "data: [DONE]" not in list(heard)
        while (state := state_of(http, left)) == "open":
            pass
        assert state == "interrupted"
        assert state_of(http, going_on) == "open"


def completion_of(line: str) -> str:
    return json.loads(line[6:])["choices"][0]["completion_id"]


def state_of(http: httpx.Client, completion_id: str) -> str:
    answer = http.get(f"/api/v1/interactions/{completion_id}")
    return answer.json()["call"]["state"] if answer.status_code == 200 else "open"


@pytest.mark.embedded
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
@pytest.mark.parametrize("policy", ["refuse", "pass"])
def test_unwritable_store_refuses_or_skips_logging_as_configured(new_server, gateway, policy: str):
    running = new_server(AFTERWORD_ON_STORE_FAILURE=policy)
    other = gateway_to(gateway, running)
    model = other.model()
    other.http.post("/api/v1/metrics", json={"key": "liked"}).raise_for_status()
    with running.files_no_larger_than(4096):
        whole = other.ask(model)
        streamed = other.ask(model, stream=True)
        if policy == "refuse":
            for answer in (whole, streamed):
                assert answer.status_code == 503
                assert answer.headers["retry-after"]
        else:
            assert other.http.get("/health").json()["status"] == "degraded"
            assert streamed.text.endswith("data: [DONE]\n\n")
            for completion_id in (
                whole.json()["choices"][0]["completion_id"],
                json.loads(streamed.text.splitlines()[0][6:])["choices"][0]["completion_id"],
            ):
                refused = other.http.post(
                    "/api/v1/feedback", json={"completion_id": completion_id, "metric": "liked", "value": 1}
                )
                assert refused.status_code in (404, 503)
            assert "afterword_calls_unlogged_total 2.0" in other.http.get("/metrics").text
    assert other.ask(model).status_code == 200
    assert other.count() == 1
