"""kill -9 under load: what was acknowledged is there, whole; nothing is half there; the next start is clean.

AFTERWORD_CRASH_ROUNDS raises the number of kills.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
import pytest

from afterword.message_words import CONTENTS
from afterword.store.background.packing import FULL_TURNS
from afterword.store.schema import content_number

ROUNDS = int(os.environ.get("AFTERWORD_CRASH_ROUNDS", "5"))
# So many acknowledgements a round before the kill comes.
ENOUGH = 80
JPEG = "data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8\xff" + bytes(2_000)).decode()

# The numbers under which the index of labels has what an interaction holds beside text.
CONTENT_NUMBERS = ", ".join(str(content_number(project, name)) for project in range(1, 4) for name in CONTENTS)

# What must never be: each query finds the halves of something.
HALVES = {
    "a payload without its interaction": "SELECT 1 FROM payloads p LEFT JOIN interactions i ON i.id = p.interaction_id "
    "WHERE i.id IS NULL",
    "an interaction without its payload": "SELECT 1 FROM interactions i LEFT JOIN payloads p "
    "ON p.interaction_id = i.id WHERE p.interaction_id IS NULL",
    "a label of no interaction": "SELECT 1 FROM interaction_labels l LEFT JOIN interactions i "
    "ON i.id = l.interaction_id WHERE i.id IS NULL",
    "a label that no word stands for": "SELECT 1 FROM interaction_labels l LEFT JOIN labels d ON d.number = l.label "
    f"WHERE d.number IS NULL AND l.label NOT IN ({CONTENT_NUMBERS})",
    "labels in the row that are not in the index, or the other way": "SELECT 1 FROM interactions i WHERE "
    "(SELECT count(*) FROM json_each(coalesce(i.labels, '{}'))) != "
    "(SELECT count(*) FROM interaction_labels l JOIN labels d ON d.number = l.label WHERE l.interaction_id = i.id "
    "AND l.created_at = i.created_at AND json_extract(i.labels, '$.' || d.key) = d.value)",
    "feedback on no interaction": "SELECT 1 FROM feedback f LEFT JOIN interactions i ON i.id = f.interaction_id "
    "WHERE i.id IS NULL",
    "half a preference": "SELECT 1 FROM preferences GROUP BY id HAVING count(*) != 2",
    "an image that is shown but not there": "SELECT 1 FROM interaction_images u LEFT JOIN images m ON m.hash = u.hash "
    "WHERE m.hash IS NULL",
    "an image that nobody shows": "SELECT 1 FROM images m LEFT JOIN interaction_images u ON u.hash = m.hash "
    "WHERE u.hash IS NULL",
    "a payload without what it is packed against": "SELECT 1 FROM payloads p LEFT JOIN payloads b "
    "ON b.interaction_id = p.base WHERE p.base IS NOT NULL AND (b.interaction_id IS NULL OR b.base IS NOT NULL)",
    "an image of no interaction": "SELECT 1 FROM interaction_images u LEFT JOIN interactions i "
    "ON i.id = u.interaction_id WHERE i.id IS NULL",
}


LABELS_OF_POSTGRESQL = (
    "SELECT 1 FROM interactions i WHERE (SELECT count(*) FROM json_object_keys(coalesce(i.labels, '{}')::json)) != "
    "(SELECT count(*) FROM interaction_labels l JOIN labels d ON d.number = l.label WHERE l.interaction_id = i.id "
    "AND l.created_at = i.created_at AND i.labels::json ->> d.key = d.value)"
)


def check_whole(server: Any) -> None:
    """Check what is stored, past the server."""
    if server.database_url:
        with psycopg.connect(server.database_url) as store:
            for what, query in HALVES.items():
                query = LABELS_OF_POSTGRESQL if "json_each" in query else query
                assert store.execute(query.encode()).fetchall() == [], what
        return
    directory = server.directory
    for name in ("afterword.db", "search.db"):
        with closing(sqlite3.connect(f"{(directory / name).as_uri()}?mode=ro", uri=True)) as store:
            assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)], name
            if name == "afterword.db":
                for what, query in HALVES.items():
                    assert store.execute(query).fetchall() == [], what


def is_packed(server: Any) -> bool:
    """Return whether some payload is packed against another."""
    query = "SELECT EXISTS (SELECT 1 FROM payloads WHERE base IS NOT NULL)"
    if server.database_url:
        with psycopg.connect(server.database_url) as store:
            return bool(store.execute(query.encode()).fetchall()[0][0])
    with closing(sqlite3.connect(f"{(server.directory / 'afterword.db').as_uri()}?mode=ro", uri=True)) as store:
        return bool(store.execute(query).fetchall()[0][0])


class Ledger:
    """What must be there by what was answered: for each id the state it has, or those it may have."""

    def __init__(self) -> None:
        self.states: dict[str, list[dict[str, Any] | None]] = {}
        self._acknowledged = 0
        self._more = threading.Condition()

    def during(self, call: Callable[[], httpx.Response], after: dict[str, dict[str, Any] | None]) -> None:
        """Make a call that turns these ids into these states. Raises `httpx.TransportError` where it is cut off."""
        for one, state in after.items():
            self.states[one] = [*self.states.get(one, [None]), state]
        answer = call()
        assert answer.status_code in (200, 201), answer.text
        if answer.headers["content-type"] == "application/x-ndjson":
            assert {json.loads(line)["status"] for line in answer.text.splitlines()} == {201}
        for one, state in after.items():
            self.states[one] = [state]
        with self._more:
            self._acknowledged += 1
            self._more.notify_all()

    def wait_for(self, more: int) -> None:
        """Wait until so many more calls were acknowledged."""
        with self._more:
            target = self._acknowledged + more
            assert self._more.wait_for(lambda: self._acknowledged >= target, timeout=60), "The server answers nothing."


def interaction(n: int, worker: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A new interaction, and what shows of it."""
    text = f"question {n} of {worker}"
    content: Any = text
    if n % 3 == 0:
        own = base64.b64encode(b"\x89PNG\r\n\x1a\n" + uuid4().bytes).decode()
        images = (f"data:image/png;base64,{own}", JPEG)
        content = [{"type": "text", "text": text}, *({"type": "image_url", "image_url": one} for one in images)]
    shown = {
        "messages": [{"role": "user", "content": content}],
        "completion": f"answer {n} " * 40,
        "labels": {"worker": worker, "n": str(n)},
        "parameters": {"n": n},
    }
    body = {**shown, "completion_id": str(uuid4()), "feedbacks": [{"metric": "CSAT", "value": v} for v in (n, n + 1)]}
    return body, {**shown, "values": [n, n + 1]}


def log_singly(http: httpx.Client, ledger: Ledger, worker: str) -> None:
    """Log one after the other; change the labels of some, rate some, delete some."""
    n = 0
    while True:
        n += 1
        body, state = interaction(n, worker)
        path = f"/api/v1/interactions/{body['completion_id']}"
        ledger.during(lambda body=body: http.post("/api/v1/interactions", json=body), {body["completion_id"]: state})
        if n % 4 == 1:
            state = {**state, "labels": {"worker": worker, "changed": "yes"}}
            change = {"set": {"changed": "yes"}, "remove": ["n"]}
            ledger.during(
                lambda path=path, change=change: http.patch(f"{path}/labels", json=change),
                {body["completion_id"]: state},
            )
        if n % 4 == 2:
            state = {**state, "values": [*state["values"], 99]}
            rating = {"completion_id": body["completion_id"], "metric": "CSAT", "value": 99}
            ledger.during(
                lambda rating=rating: http.post("/api/v1/feedback", json=rating), {body["completion_id"]: state}
            )
        if n % 4 == 3:
            ledger.during(lambda path=path: http.delete(path), {body["completion_id"]: None})


def log_in_batches(http: httpx.Client, ledger: Ledger, worker: str) -> None:
    """Log batches of more lines than share a commit, with single ones between, so that they do not outgrow all."""
    headers = {"content-type": "application/x-ndjson"}

    def send(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
        content = "\n".join(json.dumps(body) for body, _ in pairs)
        ledger.during(
            lambda: http.post("/api/v1/interactions/batch", content=content, headers=headers),
            {body["completion_id"]: state for body, state in pairs},
        )

    n = 0
    while True:
        for lines in (110, *[1] * 15):
            send([interaction(n + line, worker) for line in range(lines)])
            n += lines


def log_preferences(http: httpx.Client, ledger: Ledger, worker: str) -> None:
    """Log pairs of texts."""
    n = 0
    while True:
        n += 1
        body = {
            "metric": "CSAT",
            "messages": [{"role": "user", "content": f"which {n} of {worker}"}],
            "preferred_completion": {"text": "this"},
            "other_completion": {"text": "that"},
            "labels": {"pair": "yes"},
        }
        ledger.during(lambda body=body: http.post("/api/v1/preferences", json=body), {})


def log_conversations(http: httpx.Client, ledger: Ledger, worker: str) -> None:
    """Log conversations, each long enough to be packed at once."""
    headers = {"content-type": "application/x-ndjson"}
    n = 0
    while True:
        session_id, messages, pairs = str(uuid4()), list[Any](), list[tuple[dict[str, Any], dict[str, Any]]]()
        for _ in range(FULL_TURNS):
            n += 1
            body, state = interaction(n, worker)
            messages = [*messages, *body["messages"]]
            pairs.append(({**body, "messages": messages, "session_id": session_id}, {**state, "messages": messages}))
            messages = [*messages, {"role": "assistant", "content": body["completion"]}]
        content = "\n".join(json.dumps(body) for body, _ in pairs)
        ledger.during(
            lambda content=content: http.post("/api/v1/interactions/batch", content=content, headers=headers),
            {body["completion_id"]: state for body, state in pairs},
        )


WORKERS = (log_singly, log_singly, log_singly, log_in_batches, log_preferences, log_conversations)


def until_cut_off(work: Callable[..., None], running: Any, ledger: Ledger, worker: str) -> None:
    with running.client() as http:
        try:
            work(http, ledger, worker)
        except httpx.TransportError:
            return


def shown(one: dict[str, Any]) -> dict[str, Any]:
    state = {name: one[name] for name in ("messages", "completion", "labels", "parameters")}
    return {**state, "values": sorted(feedback["value"] for feedback in one["feedback"])}


def listed(http: httpx.Client, **query: Any) -> Iterator[dict[str, Any]]:
    query = {"limit": 500, "view": "full", "images": "inline", **query}
    while True:
        page = http.get("/api/v1/interactions", params=query).json()
        yield from page["interactions"]
        if page["next"] is None:
            return
        query["cursor"] = page["next"]


def check_acknowledged(http: httpx.Client, ledger: Ledger) -> None:
    """Check that all is in one of the states that it may have, and found by its labels and words."""
    there = {one["completion_id"]: shown(one) for one in listed(http, label="worker")}
    assert set(there) <= set(ledger.states)
    for one, states in ledger.states.items():
        assert there.get(one) in states, one
        # What it is from now on: the next kill shall find the same.
        ledger.states[one] = [there.get(one)]
    for worker in {state["labels"]["worker"] for state in there.values()}:
        by_label = {one["completion_id"] for one in listed(http, label=f"worker:{worker}", view="short")}
        assert by_label == {one for one, state in there.items() if state["labels"]["worker"] == worker}
    for pair in listed(http, label="pair"):
        assert len(pair["preferences"]) == 1
    while http.get("/health").json()["search"]["waiting"]:
        pass
    by_words = {one["completion_id"] for one in listed(http, q='question "of"', view="short")}
    assert by_words == set(there)


def test_nothing_acknowledged_is_lost_and_nothing_is_half_there(new_server: Any):
    running = new_server()
    ledger = Ledger()
    with running.client() as http:
        http.post("/api/v1/metrics", json={"key": "CSAT"}).raise_for_status()
    for number in range(ROUNDS):
        threads = [
            threading.Thread(target=until_cut_off, args=(work, running, ledger, f"{number}.{place}"))
            for place, work in enumerate(WORKERS)
        ]
        for thread in threads:
            thread.start()
        ledger.wait_for(ENOUGH)
        running.kill()
        for thread in threads:
            thread.join()
        running.start()
        check_whole(running)
        with running.client() as http:
            check_acknowledged(http, ledger)
    assert "Traceback" not in running.log.read_text()
    assert is_packed(running)


@pytest.mark.thorough
@pytest.mark.embedded
def test_the_writing_process_ends_with_a_server_that_is_killed(new_server: Any):
    running = new_server()
    children = psutil.Process(running.process.pid).children()
    assert children
    running.kill()
    assert psutil.wait_procs(children, timeout=30)[1] == []


@pytest.mark.thorough
@pytest.mark.embedded
def test_the_writing_process_may_be_killed_under_load(new_server: Any):
    running = new_server()
    acknowledged: list[str] = []
    refused = threading.Event()
    killed = threading.Event()

    def log() -> None:
        body = {"messages": [{"role": "user", "content": "?"}], "completion": "!"}
        with running.client() as http:
            after = 0
            while after < 20:
                answer = http.post("/api/v1/interactions", json=body)
                assert answer.status_code in (201, 503), answer.text
                if answer.status_code == 201:
                    acknowledged.append(answer.json()["completion_id"])
                    after += refused.is_set()
                elif killed.is_set():
                    refused.set()

    threads = [threading.Thread(target=log) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 100:
        threads[0].join(0.01)
    killed.set()
    for child in psutil.Process(running.process.pid).children():
        child.kill()
    for thread in threads:
        thread.join()
    with running.client() as http:
        assert set(acknowledged) <= {one["completion_id"] for one in listed(http)}
        assert http.get("/health").json()["status"] == "ok"
    running.stop()
    check_whole(running)


@pytest.mark.thorough
@pytest.mark.embedded
@pytest.mark.parametrize("made", ["lock", "afterword.db-wal", "search.db"])
def test_kill_during_first_start_leaves_a_startable_directory(new_server: Any, tmp_path: Path, made: str):
    command = [sys.executable, "-m", "afterword", "serve", "--port", "0", "--data", str(tmp_path / "data")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "data" / made).exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    running = new_server()
    with running.client() as http:
        body = {"messages": [{"role": "user", "content": "?"}], "completion": "!"}
        assert http.post("/api/v1/interactions", json=body).status_code == 201
    check_whole(running)
