"""Damaged, deleted and replaced files of the embedded store, under a server that runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.embedded, pytest.mark.thorough]

PAGE = 8192
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Why?"}], "completion": "So. " * 50}


def eventually(true: Callable[[], bool], seconds: float = 40.0) -> None:
    """Wait until something is so."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < seconds, "it did not come to be"
        time.sleep(0.02)


def fill(running: Any, number: int = 300) -> None:
    """Log interactions, and start again, so that all stands in the file and none in its log."""
    with running.client() as http:
        bodies = [{**BODY, "labels": {"n": str(n)}} for n in range(number)]
        http.post("/api/v1/interactions/batch", json=bodies).raise_for_status()
        eventually(lambda: http.get("/health").json()["search"]["waiting"] == 0)
    running.stop()
    running.start()


def overwrite(file: Path, first: int) -> None:
    """Write noise over all pages from one on."""
    with file.open("r+b") as pages:
        pages.seek(first * PAGE)
        pages.write(os.urandom(file.stat().st_size - first * PAGE))


def words(answer: httpx.Response, code: str) -> str:
    """Check the error; return its message and hint."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"]
    error = answer.json()["error"]
    assert error["code"] == code, error
    return f"{error['message']} {error['hint']}"


def test_damaged_store_is_reported_stops_writes_and_is_not_ready(new_server: Any):
    running = new_server()
    fill(running)
    with running.client() as http:
        assert http.get("/ready").status_code == 200
        overwrite(running.directory / "afterword.db", 40)
        told = words(http.get("/api/v1/interactions", params={"limit": 500, "view": "full"}), "store_damaged")
        assert "afterword restore" in told
        assert "backup" in told
        words(http.get("/ready"), "store_damaged")
        assert http.get("/health").json()["status"] == "degraded"
        words(http.post("/api/v1/interactions", json=BODY), "store_damaged")
        words(http.post("/api/v1/projects", json={"key": "new"}), "store_damaged")
    assert "Traceback" not in running.log.read_text()


@pytest.mark.parametrize("how", ["noise", "deleted", "no database"])
def test_a_damaged_text_index_is_made_anew_while_the_server_runs(new_server: Any, how: str):
    running = new_server()
    fill(running)
    index = running.directory / "search.db"
    if how == "noise":
        overwrite(index, 2)
    elif how == "deleted":
        index.unlink()
    else:
        index.write_bytes(b"no database " * 10_000)
    with running.client() as http:
        assert http.post("/api/v1/interactions", json={**BODY, "completion": "afterwards"}).status_code == 201

        def is_found(word: str) -> int:
            answer = http.get("/api/v1/interactions", params={"q": word, "limit": 500})
            if answer.status_code == 503:
                assert "being rebuilt" in words(answer, "search_rebuilding")
                assert http.get("/api/v1/interactions").status_code == 200
                return -1
            return len(answer.json()["interactions"])

        eventually(lambda: (is_found("so"), is_found("afterwards")) == (300, 1))
        assert http.get("/ready").status_code == 200


def test_a_second_server_is_refused_where_the_file_of_the_lock_was_deleted(new_server: Any, tmp_path: Path):
    running = new_server()
    (running.directory / "lock").unlink()
    other = tmp_path / "other"
    other.mkdir()
    places = [running.directory]
    if sys.platform == "linux":
        # The same file in another directory.
        for name in ("afterword.db", "afterword.db-wal"):
            (other / name).symlink_to(running.directory / name)
        places.append(other)
    for place in places:
        command = [sys.executable, "-m", "afterword", "serve", "--port", "0", "--data", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1, done.stdout
        assert "Another Afterword server" in done.stderr
    with running.client() as http:
        assert http.post("/api/v1/interactions", json=BODY).status_code == 201


@pytest.mark.parametrize("how", ["deleted", "replaced", "log deleted"])
def test_nothing_is_acknowledged_into_a_file_that_was_deleted_or_replaced(new_server: Any, how: str):
    running = new_server()
    file = running.directory / ("afterword.db-wal" if how == "log deleted" else "afterword.db")
    away = running.directory / "away"
    with running.client() as http:
        http.post("/api/v1/interactions", json=BODY).raise_for_status()
        file.rename(away)
        if how == "replaced":
            shutil.copy(away, file)
        told = words(http.post("/api/v1/interactions", json=BODY), "store_replaced")
        assert file.name in told
        assert "restore" in told
        words(http.get("/ready"), "store_replaced")
        assert http.get("/health").json()["status"] == "degraded"
        # Put back, it is the same file, and the server goes on.
        away.replace(file)
        assert http.post("/api/v1/interactions", json=BODY).status_code == 201
        assert http.get("/ready").status_code == 200
