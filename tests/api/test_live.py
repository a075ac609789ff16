"""Watching interactions as they come and change."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest

Refused = Callable[..., dict[str, Any]]


class Watcher:
    """Someone who reads events in a thread of their own. With `watches` they watch several lists."""

    def __init__(self, url: str, key: str, watches: list[dict[str, Any]] | None = None, **query: Any) -> None:
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._ready = threading.Event()
        self._gone = False
        self.beats = 0
        self._url, self._headers = f"{url}/api/v1/interactions/live", {"Authorization": f"Bearer {key}"}
        self._query, self._watches = query, watches
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        assert self._ready.wait(20)

    def _read(self) -> None:
        name = ""
        method, body = ("GET", None) if self._watches is None else ("POST", {"watches": self._watches})
        with (
            httpx.Client(timeout=60, headers=self._headers, params=self._query) as client,
            client.stream(method, self._url, json=body) as answer,
        ):
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream")
            for line in answer.iter_lines():
                if self._gone:
                    return
                if line == ": still here":
                    self.beats += 1
                elif line == ": ready":
                    self._ready.set()
                elif line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    self.events.put((name, json.loads(line[6:])))
        self.events.put(("end", None))

    def leave(self) -> None:
        """Read no more, at the latest after the next word that the server sends to show that it is there."""
        self._gone = True

    def next(self, wanted: str = "interaction") -> Any:
        """Return what the next event carries, which must be one of these."""
        name, carried = self.events.get(timeout=20)
        assert name == wanted, (name, carried)
        return carried


@pytest.fixture
def watch(server, project: str) -> Iterator[Callable[..., Watcher]]:
    with ExitStack() as watchers:

        def begin(key: str | None = None, **query: Any) -> Watcher:
            query = query if "watches" in query else {"project": project, **query}
            watcher = Watcher(server.url, key or server.api_key, **query)
            watchers.callback(watcher.leave)
            return watcher

        yield begin


@pytest.fixture
def log(http: httpx.Client, project: str) -> Callable[..., str]:
    def logged(text: str = "Hello", **more: Any) -> str:
        body = {"messages": [{"role": "user", "content": text}], "completion": "Hi", "project": project, **more}
        answer = http.post("/api/v1/interactions", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["completion_id"]

    return logged


def test_what_is_logged_appears(watch: Callable[..., Watcher], log: Callable[..., str]):
    watcher = watch()
    logged = log("Good day", labels={"env": "prod"})
    seen = watcher.next()
    assert (seen["completion_id"], seen["prompt"], seen["labels"]) == (logged, "Good day", {"env": "prod"})


def test_a_streamed_call_appears_with_its_completion(watch: Callable[..., Watcher], gateway):
    watcher = watch()
    chunks, done = gateway.stream(gateway.model())
    assert done
    seen = watcher.next()
    while seen["call"]["state"] == "open":
        seen = watcher.next()
    assert seen["completion_id"] == chunks[0]["choices"][0]["completion_id"]
    assert seen["completion"]


def test_feedback_labels_and_deletion_are_told(
    watch: Callable[..., Watcher], log: Callable[..., str], http: httpx.Client, project: str
):
    http.post("/api/v1/metrics", json={"key": "CSAT", "project": project}).raise_for_status()
    logged = log()
    watcher = watch()
    said = http.post("/api/v1/feedback", json={"completion_id": logged, "metric": "CSAT", "value": 4}).json()
    assert [one["value"] for one in watcher.next()["feedback"]] == [4]
    http.patch(f"/api/v1/feedback/{said['feedback_id']}", json={"value": 5}).raise_for_status()
    assert [one["value"] for one in watcher.next()["feedback"]] == [5]
    http.patch(f"/api/v1/interactions/{logged}/labels", json={"set": {"seen": "yes"}}).raise_for_status()
    assert watcher.next()["labels"] == {"seen": "yes"}
    http.delete(f"/api/v1/feedback/{said['feedback_id']}").raise_for_status()
    assert watcher.next()["feedback"] == []
    http.delete(f"/api/v1/interactions/{logged}").raise_for_status()
    assert watcher.next("deleted") == {"completion_id": logged}


def test_a_preference_is_told_of_both_sides(
    watch: Callable[..., Watcher], log: Callable[..., str], http: httpx.Client, project: str
):
    http.post("/api/v1/metrics", json={"key": "better", "kind": "bool", "project": project}).raise_for_status()
    sides = {log("a"), log("b")}
    watcher = watch()
    preferred, other = sides
    body = {"metric": "better", "preferred_completion": preferred, "other_completion": other}
    http.post("/api/v1/comparison", json=body).raise_for_status()
    assert {watcher.next()["completion_id"], watcher.next()["completion_id"]} == sides


@pytest.mark.parametrize(
    "query",
    [
        {"label": "env:prod"},
        {"filter": '{"label": {"key": "env", "value": {"eq": "prod"}}}'},
        {"label": "env", "filter": '{"not": {"label": {"key": "env", "value": {"eq": "test"}}}}'},
    ],
)
def test_only_what_matches_is_sent(watch: Callable[..., Watcher], log: Callable[..., str], query: dict[str, str]):
    watcher = watch(**query)
    log("no", labels={"env": "test"})
    log("neither")
    wanted = log("yes", labels={"env": "prod"})
    assert watcher.next()["completion_id"] == wanted


def test_other_projects_are_not_seen(watch: Callable[..., Watcher], log: Callable[..., str], http: httpx.Client):
    watcher = watch()
    elsewhere = f"elsewhere-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": elsewhere}).raise_for_status()
    log("secret", project=elsewhere)
    mine = log("mine")
    assert watcher.next()["completion_id"] == mine


def test_what_comes_too_fast_is_counted(watch: Callable[..., Watcher], http: httpx.Client, project: str):
    watcher = watch()
    line = json.dumps({"messages": [{"role": "user", "content": "x"}], "completion": "y"})
    batch = "\n".join([line] * 3000)
    query = {"project": project}
    kind = {"content-type": "application/x-ndjson"}
    http.post("/api/v1/interactions/batch", params=query, content=batch, headers=kind).raise_for_status()
    seen = 0
    while seen < 3000:
        name, carried = watcher.events.get(timeout=20)
        seen += carried["count"] if name == "missed" else 1
    assert seen == 3000


def test_a_revoked_key_sees_nothing_more(
    watch: Callable[..., Watcher], log: Callable[..., str], http: httpx.Client, project: str
):
    key = http.post("/api/v1/keys", json={"name": "eye", "role": "viewer", "projects": [project]}).json()
    watcher = watch(key["api_key"])
    http.delete(f"/api/v1/keys/{key['id']}").raise_for_status()
    log("after")
    assert "revoked" in watcher.next("error")["error"]["message"]
    assert watcher.events.get(timeout=20) == ("end", None)


@pytest.mark.thorough
@pytest.mark.any_store
def test_live_stream_sends_heartbeats_while_nothing_matches(watch: Callable[..., Watcher], log: Callable[..., str]):
    watcher = watch(label="env:prod")
    began = time.monotonic()
    while not watcher.beats:
        assert time.monotonic() - began < 60
        log("Something else")
    assert watcher.events.empty()


def test_several_lists_are_watched_over_one_connection(
    watch: Callable[..., Watcher], log: Callable[..., str], http: httpx.Client, project: str
):
    other = f"other-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": other}).raise_for_status()
    prod = {"label": {"key": "env", "value": {"eq": "prod"}}}
    watcher = watch(
        watches=[
            {"name": "all", "project": project},
            {"name": "prod", "project": project, "filter": prod},
            {"name": "other", "project": other},
        ]
    )
    both, elsewhere = log(labels={"env": "prod"}), log(project=other)
    seen = [watcher.next(), watcher.next()]
    assert {one["interaction"]["completion_id"]: one["watches"] for one in seen} == {
        both: ["all", "prod"],
        elsewhere: ["other"],
    }
    http.delete(f"/api/v1/interactions/{elsewhere}").raise_for_status()
    assert watcher.next("deleted") == {"watches": ["other"], "completion_id": elsewhere}


@pytest.mark.parametrize(
    ("watches", "status", "param"),
    [
        ([], 422, "watches"),
        ([{"name": str(number)} for number in range(51)], 422, "watches"),
        ([{"name": "a"}, {"name": "b", "project": "nowhere"}], 404, "watches[1].project"),
        ([{"name": "a", "filter": {"label": {}, "model": {}}}], 422, None),
        ([{"name": "a", "filter": {"model": {}}}], 422, "watches[0].filter.model"),
    ],
)
def test_of_several_watches_the_wrong_one_is_named(
    http: httpx.Client, refused: Refused, watches: list[dict[str, Any]], status: int, param: str | None
):
    refused(http.post("/api/v1/interactions/live", json={"watches": watches}), status, param=param)


@pytest.mark.parametrize("text", ["no json", "{}", '{"label": {}}', '{"nothing": 1}', "[" * 5000])
def test_a_bad_filter_is_refused_before_the_stream_begins(http: httpx.Client, refused: Refused, text: str):
    answer = http.get("/api/v1/interactions/live", params={"filter": text})
    assert refused(answer, 422)["param"].startswith("filter")


def test_the_number_of_watchers_is_limited(new_server, refused: Refused):
    running = new_server(AFTERWORD_MAX_LIVE="1")
    watcher = Watcher(running.url, running.api_key)
    with running.client() as http:
        answer = http.get("/api/v1/interactions/live")
        refused(answer, 503, "too_many_watch")
        assert int(answer.headers["retry-after"]) > 0
        assert watcher.thread.is_alive()


def test_the_server_stops_at_once_although_someone_watches(new_server):
    running = new_server()
    watcher = Watcher(running.url, running.api_key)
    running.stop()
    assert watcher.events.get(timeout=20) == ("end", None)
