"""A store is copied from SQLite to PostgreSQL and back: all of it, also in two goes, and never over another."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from afterword.store.background.packing import PackingWorker
from afterword.store.engine import Store
from afterword.store.schema import payloads

pytestmark = pytest.mark.shared

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhg"
    "GAWjR9awAAAABJRU5ErkJggg=="
)


def fill(http: Any, number: int) -> None:
    """Log something of each kind."""
    http.post("/api/v1/metrics", json={"key": "CSAT"})
    http.post("/api/v1/teams", json={"key": "readers"})
    ids = []
    for place in range(number):
        parts = [{"type": "text", "text": f"Question {place}"}, {"type": "image_url", "image_url": {"url": PNG}}]
        body = {
            "messages": [{"role": "user", "content": parts if place % 10 == 0 else f"Question {place} \0 ü"}],
            "completion": f"Answer {place}",
            "model": f"m{place % 3}",
            "labels": {"place": str(place % 7)},
            "feedbacks": [{"metric": "CSAT", "value": place / 3, "details": "so"}],
            "usage": {"prompt_tokens": place},
        }
        ids.append(http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"])
    pair = {"metric": "CSAT", "preferred_completion": ids[0], "other_completion": ids[1]}
    http.post("/api/v1/preferences", json=pair).raise_for_status()


def converse(http: Any) -> list[str]:
    """Log the turns of an agent, which repeat the turns before them and call a tool; return their ids."""
    messages: list[dict[str, Any]] = []
    ids = []
    for turn in range(6):
        function = {"name": "search", "arguments": json.dumps({"query": Random(turn).randbytes(400).hex()})}
        calling = {"role": "assistant", "content": None, "tool_calls": [{"id": f"c{turn}", "type": "function",
                   "function": function}]}  # fmt: skip
        messages.append({"role": "user", "content": f"Turn {turn}"})
        body = {"messages": messages, "completion": calling, "session_id": "agent"}
        ids.append(http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"])
        messages += [calling, {"role": "tool", "tool_call_id": f"c{turn}", "content": f"Result {turn}"}]
    return ids[::-1]


def packed_count(location: Path, url: str | None = None) -> int:
    """Pack the conversations of a store that no server uses; return the number of its packed payloads."""
    store = Store(location, url)
    store.in_charge_until = math.inf
    worker = PackingWorker(store, quiet_seconds=0)
    while worker.step():
        pass
    is_packed = select(func.count()).where(payloads.c.base.is_not(None))
    number = store.read_now(lambda connection: connection.execute(is_packed).scalar_one())
    store.close()
    return number


def ids_with_tool(http: Any) -> list[str]:
    """The ids of the interactions that call the agent's tool, newest first."""
    page = http.get("/api/v1/interactions", params={"tool": "search"}).json()
    return [row["completion_id"] for row in page["interactions"]]


def all_interactions(http: Any) -> Any:
    """All interactions, whole."""
    return http.get("/api/v1/interactions", params={"limit": 500, "view": "full", "images": "inline"}).json()


def copied(source: str, target: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "afterword", "db", "copy", "--from", source, "--to", target]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_store_is_copied_to_postgresql_and_back(tmp_path: Path, postgresql: Any, server_at: Any):
    first = server_at(tmp_path / "first", None)
    with first.client() as http:
        turns = converse(http)
        fill(http, 60)
        before = all_interactions(http)
        assert ids_with_tool(http) == turns
    in_use = copied(str(tmp_path / "first"), postgresql.new())
    assert in_use.returncode == 1
    assert "has the data directory" in in_use.stderr
    first.stop()
    packed = packed_count(tmp_path / "first")
    assert packed > 0

    url = postgresql.new()
    done = copied(str(tmp_path / "first"), url)
    assert done.returncode == 0, done.stderr
    assert "Copied and checked, row by row" in done.stdout
    with psycopg.connect(url) as connection:
        query = "SELECT count(*) FROM payloads WHERE base IS NOT NULL"
        assert connection.execute(query).fetchone() == (packed,)
    second = server_at(tmp_path / "second", url)
    with second.client() as http:
        assert all_interactions(http) == before
        assert ids_with_tool(http) == turns
        while http.get("/health").json()["search"]["waiting"]:
            pass
        assert (
            len(http.get("/api/v1/interactions", params={"q": "question", "limit": 500}).json()["interactions"]) == 60
        )
        # What is new gets numbers of its own.
        http.post("/api/v1/projects", json={"key": "later"}).raise_for_status()
        http.post("/api/v1/metrics", json={"key": "later"}).raise_for_status()
        fill(http, 3)
        after = all_interactions(http)
    assert "servers use this database" in copied(url, str(tmp_path / "third")).stderr
    second.stop()

    back = copied(url, str(tmp_path / "third"))
    assert back.returncode == 0, back.stderr
    third = server_at(tmp_path / "third", None)
    with third.client() as http:
        assert all_interactions(http) == after
        assert ids_with_tool(http) == turns
        for turn in turns[:2]:
            http.delete(f"/api/v1/interactions/{turn}").raise_for_status()
        assert ids_with_tool(http) == turns[2:]
        shown = {row["completion_id"]: row for row in all_interactions(http)["interactions"]}
        assert [shown[row["completion_id"]] for row in after["interactions"] if row["completion_id"] in turns[2:]] == [
            row for row in after["interactions"] if row["completion_id"] in turns[2:]
        ]
        while http.get("/health").json()["search"]["waiting"]:
            pass
        assert len(http.get("/api/v1/interactions", params={"q": "answer", "limit": 500}).json()["interactions"]) == 63


@pytest.mark.thorough
def test_database_copy_resumes_and_never_overwrites_another_store(tmp_path: Path, postgresql: Any, server_at: Any):
    one = server_at(tmp_path / "one", None)
    line = {"messages": [{"role": "user", "content": "?"}], "completion": "!", "labels": {"a": "b"}}
    with one.client() as http:
        http.post("/api/v1/interactions/batch", json=[line] * 8_000).raise_for_status()
    one.stop()
    url = postgresql.new()
    command = [sys.executable, "-m", "afterword", "db", "copy", "--from", str(tmp_path / "one"), "--to", url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as broken_off:
        while not 0 < rows_of(url, "payloads") < 8_000:
            assert broken_off.poll() is None
        broken_off.kill()
    done = copied(str(tmp_path / "one"), url)
    assert done.returncode == 0, done.stderr
    assert rows_of(url, "payloads") == rows_of(url, "interactions") == 8_000
    other = server_at(tmp_path / "other", None)
    other.stop()
    refused = copied(str(tmp_path / "other"), url)
    assert refused.returncode == 1
    assert "holds another store" in refused.stderr


def rows_of(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        try:
            return connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()[0]  # pyright: ignore
        except psycopg.errors.UndefinedTable:
            return 0


def test_db_distribute_is_not_supported_and_names_db_copy():
    command = [sys.executable, "-m", "afterword", "db", "distribute", "--database-url", "postgresql://nowhere/none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "not supported" in done.stderr
    assert "db copy" in done.stderr
    assert "Traceback" not in done.stderr
