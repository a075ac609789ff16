"""A full disk, a second process, a store from the future, too many calls at once, a stop in the middle of it all."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

pytestmark = pytest.mark.thorough

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Why?"}], "completion": "So. " * 500}


def log(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/api/v1/interactions", json={**BODY, **fields})


def check_busy(answer: httpx.Response, code: str) -> None:
    """Check that it is the one error object, and says when to try again."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param", "hint"}
    assert (error["type"], error["code"]) == ("overloaded_error", code)


def everything(http: httpx.Client) -> set[str]:
    """The ids of all interactions."""
    found: set[str] = set()
    query: dict[str, Any] = {"limit": 500}
    while True:
        page = http.get("/api/v1/interactions", params=query).json()
        found |= {one["completion_id"] for one in page["interactions"]}
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


def check_files(server: Any) -> None:
    if server.database_url:
        return
    directory = server.directory
    with closing(sqlite3.connect(f"{(directory / 'afterword.db').as_uri()}?mode=ro", uri=True)) as store:
        assert store.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# ------------------------------------------------------------------------------------------------ a full disk


@pytest.mark.embedded
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
@pytest.mark.parametrize("room", ["none", "a little"])
def test_a_full_disk_refuses_writes_and_loses_nothing(new_server: Any, room: str):
    running = new_server()
    wal = running.directory / "afterword.db-wal"
    with running.client() as http:
        http.post("/api/v1/metrics", json={"key": "CSAT"}).raise_for_status()
        kept = {log(http, completion_id=str(uuid4()), labels={"a": "b"}).json()["completion_id"] for _ in range(20)}
        one = min(kept)
        limit = 4096 if room == "none" else wal.stat().st_size + 100_000
        with running.files_no_larger_than(limit):
            while (answer := log(http, completion_id=str(uuid4()))).status_code == 201:
                kept.add(answer.json()["completion_id"])
            check_busy(answer, "store_unavailable")
            assert (len(kept) == 20) == (room == "none")
            refused = {
                "interaction": log(http, completion="x" * 100_000),
                "with a new model": log(http, model=f"m-{uuid4()}", completion="x" * 100_000),
                "feedback": http.post(
                    "/api/v1/feedback",
                    json={"completion_id": one, "metric": "CSAT", "value": 1, "details": "x" * 99_000},
                ),
                "labels": http.patch(
                    f"/api/v1/interactions/{one}/labels", json={"set": {f"k{n}": "x" * 1000 for n in range(60)}}
                ),
                "metric": http.post("/api/v1/metrics", json={"key": "new", "description": "x" * 99_000}),
                "project": http.post("/api/v1/projects", json={"key": "new", "description": "x" * 99_000}),
            }
            for what, answer in refused.items():
                assert answer.status_code == 503, what
                check_busy(answer, "store_unavailable")
            batch = http.post("/api/v1/interactions/batch", json=[{**BODY, "completion": "x" * 100_000}] * 2)
            lines = [line for line in batch.text.splitlines() if '"status":503' in line]
            assert len(lines) == 2
            # Reading goes on, and what was refused is not there.
            assert http.get("/health").json()["status"] == "degraded"
            assert everything(http) == kept
            shown = http.get(f"/api/v1/interactions/{one}").json()
            assert (shown["labels"], shown["feedback"]) == ({"a": "b"}, [])
            assert [m["key"] for m in http.get("/api/v1/metrics").json()["metrics"]] == ["CSAT"]
            assert [p["key"] for p in http.get("/api/v1/projects").json()["projects"]] == ["default"]
            assert http.get("/api/v1/interactions", params={"label": "a:b", "count": True}).json()["count"] == 20
        told = running.log.read_text()
        assert "Traceback" not in told
        # One line of each part of the background, however often it tried.
        assert sum("it is tried again" in line for line in told.splitlines()) <= 6
        answer = log(http, completion_id=str(uuid4()))
        assert answer.status_code == 201, answer.text
        kept.add(answer.json()["completion_id"])
        assert http.get("/health").json()["status"] == "ok"
        assert http.post("/api/v1/metrics", json={"key": "new"}).status_code == 201
        assert everything(http) == kept
    check_files(running)
    running.kill()
    running.start()
    with running.client() as http:
        assert everything(http) == kept
        while http.get("/health").json()["search"]["waiting"]:
            pass
        assert http.get("/api/v1/interactions", params={"q": "why", "count": True}).json()["count"] == len(kept)
    check_files(running)


# ------------------------------------------------------------------------------------------------ starting


def attempt(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start a server that shall not start."""
    command = [sys.executable, "-m", "afterword", "serve", "--port", "0", "--data", str(directory)]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def check_told(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check that it ended with one clear line."""
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.strip().splitlines()
    assert line.startswith("afterword: ")
    for word in words:
        assert word in line


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir() if file.name != "lock"}


@pytest.mark.embedded
def test_a_second_process_on_the_same_directory_is_refused(new_server: Any):
    running = new_server()
    check_told(attempt(running.directory), "Another Afterword server", f"process {running.process.pid}", "--data")
    with running.client() as http:
        assert log(http).status_code == 201
    running.kill()
    running.start()
    check_told(attempt(running.directory), f"process {running.process.pid}")


@pytest.mark.embedded
@pytest.mark.parametrize("ending", ["in order", "killed"])
def test_a_store_of_a_newer_version_is_left_untouched(new_server: Any, ending: str):
    running = new_server()
    with running.client() as http:
        log(http).raise_for_status()
    running.stop()
    with closing(sqlite3.connect(running.directory / "afterword.db", isolation_level=None)) as store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
        if ending == "in order":
            store.close()
        # Else it stands in the log alone, as with one that was killed.
        before = contents(running.directory)
        check_told(attempt(running.directory), "newer", "9999", "untouched")
        after = contents(running.directory)
    names = ("afterword.db", "afterword.db-wal") if ending == "killed" else tuple({*before, *after})
    assert [after[name] for name in names] == [before[name] for name in names]


@pytest.mark.parametrize("content", [b"no store " * 1000, b"SQLite format 3\0" + bytes(4080)])
def test_what_is_no_store_is_left_untouched(tmp_path: Path, content: bytes):
    (tmp_path / "afterword.db").write_bytes(content)
    check_told(attempt(tmp_path), "afterword.db")
    assert (tmp_path / "afterword.db").read_bytes() == content


def test_the_store_of_another_program_is_left_untouched(tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "afterword.db")) as other:
        other.execute("CREATE TABLE bookmarks (url)")
    before = contents(tmp_path)
    check_told(attempt(tmp_path), "afterword.db", "not an Afterword store", "bookmarks")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("where", ["a file", "below a file"])
def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path, where: str):
    (tmp_path / "file").write_text("here")
    directory = tmp_path / "file" if where == "a file" else tmp_path / "file" / "data"
    check_told(attempt(directory), str(directory), "cannot be used", "AFTERWORD_DATA")
    assert (tmp_path / "file").read_text() == "here"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_is_named(tmp_path: Path):
    directory = tmp_path / "data"
    directory.mkdir(mode=0o500)
    check_told(attempt(directory), str(directory), "cannot be used", "AFTERWORD_DATA")


# ------------------------------------------------------------------------------------------------ too much at once


class Crowd:
    """Callers at the same time, each logging until it is told to stop or cut off."""

    def __init__(self, running: Any, callers: int) -> None:
        self.running = running
        self.acknowledged: set[str] = set()
        self.refused: dict[str, httpx.Response] = {}
        self.unknown: set[str] = set()
        self.enough = threading.Event()
        self.seen = threading.Condition()
        self.threads = [threading.Thread(target=self._call) for _ in range(callers)]
        for thread in self.threads:
            thread.start()

    def _call(self) -> None:
        with self.running.client() as http:
            while not self.enough.is_set():
                one = str(uuid4())
                try:
                    answer = log(http, completion_id=one)
                except httpx.TransportError:
                    self.unknown.add(one)
                    break
                if answer.status_code == 201:
                    self.acknowledged.add(one)
                else:
                    self.refused[one] = answer
                with self.seen:
                    self.seen.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.seen:
            assert self.seen.wait_for(condition, timeout=60)

    def join(self) -> None:
        self.enough.set()
        for thread in self.threads:
            thread.join()


def test_excess_concurrent_writes_are_refused_at_once_and_never_halved(new_server: Any):
    running = new_server(AFTERWORD_MAX_WAITING_WRITES="1")
    crowd = Crowd(running, 16)
    crowd.wait_for(lambda: len(crowd.refused) >= 20 and len(crowd.acknowledged) >= 20)
    with running.client() as http:
        # Reading goes on meanwhile, and a batch waits for room.
        assert http.get("/health").json()["status"] == "ok"
        batch = http.post("/api/v1/interactions/batch", json=[BODY] * 10)
        assert batch.text.count('"status":201') == 10
        crowd.join()
        there = everything(http)
        answer = http.get("/health").json()
    assert answer["status"] == "ok"
    for answer in crowd.refused.values():
        check_busy(answer, "overloaded")
    assert crowd.unknown == set()
    assert crowd.acknowledged <= there
    assert not there & set(crowd.refused)
    assert len(there) == len(crowd.acknowledged) + 10


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_the_middle_of_writes_loses_nothing_acknowledged(new_server: Any, sign: signal.Signals):
    running = new_server()
    crowd = Crowd(running, 8)
    crowd.wait_for(lambda: len(crowd.acknowledged) >= 50)
    running.process.send_signal(sign)
    running.process.wait(20)
    crowd.join()
    # In order: the log was folded into the file, and nobody was left hanging.
    assert not (running.directory / "afterword.db-wal").exists()
    assert "Traceback" not in running.log.read_text()
    for answer in crowd.refused.values():
        check_busy(answer, "shutting_down")
    running.start()
    with running.client() as http:
        there = everything(http)
    assert crowd.acknowledged <= there <= crowd.acknowledged | crowd.unknown
    assert not there & set(crowd.refused)
