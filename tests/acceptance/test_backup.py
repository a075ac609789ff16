"""A backup is made while the server is written to, holds all that was acknowledged before, and is restored whole."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

pytestmark = pytest.mark.embedded

Run = Callable[..., subprocess.CompletedProcess[str]]
# Random, so that it takes its space in the store.
LONG = "".join(uuid4().hex for _ in range(500))


@pytest.fixture
def afterword(tmp_path: Path) -> Run:
    """Run a command in the test's directory."""

    def run(*arguments: Any, code: int = 0, **more: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "afterword", *map(str, arguments)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AFTERWORD")}
        done = subprocess.run(
            command, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=120, check=False, **more
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def log(http: httpx.Client, text: str = "Why?", **more: Any) -> str:
    body = {"messages": [{"role": "user", "content": text}], "completion": "So.", **more}
    return http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"]


def everything(http: httpx.Client) -> dict[str, dict[str, Any]]:
    """Return all interactions, whole, by their ids."""
    found, query = {}, {"limit": 200, "view": "full", "images": "inline"}
    while True:
        page = http.get("/api/v1/interactions", params=query).raise_for_status().json()
        found |= {one["completion_id"]: one for one in page["interactions"]}
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


def filled(http: httpx.Client, number: int = 20) -> None:
    http.post("/api/v1/metrics", json={"key": "CSAT"}).raise_for_status()
    for place in range(number):
        log(http, f"Question {place}", labels={"n": str(place)}, feedbacks=[{"metric": "CSAT", "value": place}])


def digests(directory: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes() for file in directory.iterdir() if file.name not in ("lock", "afterword.db-shm")
    }


@pytest.fixture
def writers(new_server: Any) -> Iterator[Callable[[Any, int], list[str]]]:
    """Log with several threads until the test ends; what was acknowledged is in the list."""
    stop, threads = threading.Event(), []

    def start(server: Any, number: int) -> list[str]:
        acknowledged: list[str] = []

        def work() -> None:
            with server.client() as http:
                while not stop.is_set():
                    acknowledged.append(log(http, LONG, labels={"by": "writers"}))

        threads.extend(threading.Thread(target=work) for _ in range(number))
        for thread in threads:
            thread.start()
        return acknowledged

    yield start
    stop.set()
    for thread in threads:
        thread.join()


@pytest.mark.thorough
def test_backup_under_load_holds_everything_acknowledged_before_it(
    new_server: Any, writers: Any, afterword: Run, tmp_path: Path
):
    server = new_server()
    acknowledged = writers(server, 4)
    with server.client() as http:
        http.post("/api/v1/interactions/batch", json=[
            {"messages": [{"role": "user", "content": f"{n} {LONG[::-1]}{n}"}], "completion": "x"} for n in range(1500)
        ]).raise_for_status()  # fmt: skip
    for number in range(3):
        while len(acknowledged) < 100 * (number + 1):
            threading.Event().wait(0.01)
        before = set(acknowledged)
        made = json.loads(
            afterword("backup", "--data", server.directory, tmp_path / f"backup {number}", "--json").stdout
        )
        assert len(acknowledged) > len(before), "the writers stood still meanwhile"
        assert made["rows"]["interactions"] == made["rows"]["payloads"] >= len(before) + 1500
        with closing(sqlite3.connect(tmp_path / f"backup {number}" / "afterword.db")) as copied:
            assert copied.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            there = {str(uuid_of(row)) for row in copied.execute("SELECT id FROM interactions")}
            assert before <= there
            pending = copied.execute("SELECT count(*) FROM search_pending").fetchone()[0]
            assert pending <= made["rows"]["interactions"]
    afterword("restore", tmp_path / "backup 2", "--data", tmp_path / "restored")
    restored = new_server(directory="restored")
    with restored.client() as http, server.client() as at_the_first:
        found = everything(http)
        assert before <= set(found)
        assert found.items() <= everything(at_the_first).items()


def uuid_of(row: tuple[bytes]) -> Any:
    from uuid import UUID

    return UUID(bytes=row[0])


def test_a_restored_server_answers_the_same(new_server: Any, afterword: Run, tmp_path: Path):
    server = new_server(AFTERWORD_API_KEY="")
    server.api_key = (server.directory / "admin.key").read_text().strip()
    model = {"key": "secret", "provider": "open_ai", "external_model_id": "x", "api_key": "sk-1", "project": "default"}
    with server.client() as http:
        filled(http)
        http.post("/api/v1/models", json=model).raise_for_status()
        before = everything(http), http.get("/api/v1/models").json(), http.get("/api/v1/projects").json()
    said = afterword("backup", "--data", server.directory, "backup")
    assert "Backed up 20 interactions" in said.stdout
    assert said.stderr == ""
    backup = tmp_path / "backup"
    assert {file.name for file in backup.iterdir()} == {"afterword.db", "admin.key", "secret.key", "backup.json"}
    assert [stat.S_IMODE(file.stat().st_mode) for file in (backup, *backup.iterdir())] == [0o700, *[0o600] * 4]

    # Nothing of the first is needed.
    server.stop()
    for file in server.directory.iterdir():
        file.unlink()
    said = afterword("restore", "backup", "--data", server.directory)
    assert "Restored 20 interactions" in said.stdout
    assert stat.S_IMODE((server.directory / "secret.key").stat().st_mode) == 0o600
    server.start()
    with server.client() as http:
        assert (everything(http), http.get("/api/v1/models").json(), http.get("/api/v1/projects").json()) == before
        while http.get("/health").json()["search"]["waiting"]:
            pass
        found = http.get("/api/v1/interactions", params={"q": "Question", "limit": 500}).json()["interactions"]
        assert len(found) == 20
        # The key of the provider can be read: changing something else of the model needs it.
        http.patch("/api/v1/models/secret", json={"endpoint": "http://127.0.0.1:9/v1"}).raise_for_status()


@pytest.mark.thorough
def test_without_keys_it_says_what_else_must_be_kept(new_server: Any, afterword: Run, tmp_path: Path):
    server = new_server(AFTERWORD_API_KEY="")
    server.api_key = (server.directory / "admin.key").read_text().strip()
    said = afterword("backup", "--data", server.directory, "backup", "--without-keys")
    assert {file.name for file in (tmp_path / "backup").iterdir()} == {"afterword.db", "backup.json"}
    assert "secret" in said.stderr
    said = afterword("restore", "backup", "--data", "restored")
    assert "secret.key" in said.stderr
    assert not (tmp_path / "restored" / "admin.key").exists()


@pytest.mark.thorough
@pytest.mark.parametrize("ended", ["stop", "kill"])
def test_a_store_that_no_server_serves_is_backed_up_too(new_server: Any, afterword: Run, tmp_path: Path, ended: str):
    server = new_server()
    with server.client() as http:
        filled(http)
    getattr(server, ended)()
    # After a kill the process that writes may still fold the log into the file before it ends, too.
    assert ended == "kill" or not (server.directory / "afterword.db-wal").exists()
    made = json.loads(afterword("backup", "--data", server.directory, "backup", "--json").stdout)
    assert made["rows"]["interactions"] == 20
    server.start()
    with server.client() as http:
        assert len(everything(http)) == 20


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.fixture
def backed_up(new_server: Any, afterword: Run) -> Any:
    """A server with a few interactions, and a backup of it in `backup`."""
    server = new_server()
    with server.client() as http:
        filled(http, 3)
    afterword("backup", "--data", server.directory, "backup")
    return server


@pytest.mark.thorough
def test_a_backup_overwrites_nothing_and_needs_a_store(backed_up: Any, afterword: Run, tmp_path: Path):
    before = digests(tmp_path / "backup")
    assert "exists already" in afterword("backup", "--data", backed_up.directory, "backup", code=1).stderr
    assert digests(tmp_path / "backup") == before
    assert "holds no store" in afterword("backup", "--data", tmp_path, "another", code=1).stderr
    assert "does not exist" in afterword("backup", "--data", backed_up.directory, "no/such/place", code=1).stderr
    clean = {**os.environ, "AFTERWORD_DATABASE_URL": "postgresql://db/afterword"}
    command = [sys.executable, "-m", "afterword", "backup", "another"]
    done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "pg_dump" in done.stderr
    assert sorted(file.name for file in tmp_path.iterdir() if "backup" in file.name or "another" in file.name) == [
        "backup"
    ]


@pytest.mark.thorough
def test_a_restore_spares_the_store_that_is_there_and_a_served_one_always(
    backed_up: Any, afterword: Run, tmp_path: Path
):
    for more in ((), ("--replace",)):
        said = afterword("restore", "backup", "--data", backed_up.directory, *more, code=1)
        assert f"(process {backed_up.process.pid}) has the data directory" in said.stderr
    with backed_up.client() as http:
        filled(http, 2)
    backed_up.stop()
    before = digests(backed_up.directory)
    assert "holds a store already" in afterword("restore", "backup", "--data", backed_up.directory, code=1).stderr
    assert digests(backed_up.directory) == before
    afterword("restore", "backup", "--data", backed_up.directory, "--replace")
    backed_up.start()
    with backed_up.client() as http:
        assert len(everything(http)) == 3
        while http.get("/health").json()["search"]["waiting"]:
            pass
        assert len(http.get("/api/v1/interactions", params={"q": "Question"}).json()["interactions"]) == 3


@pytest.mark.thorough
def test_replacing_a_store_that_was_left_by_a_crash_takes_its_log_along(backed_up: Any, afterword: Run):
    with backed_up.client() as http:
        filled(http, 5)
    backed_up.cut()
    assert (backed_up.directory / "afterword.db-wal").stat().st_size
    afterword("restore", "backup", "--data", backed_up.directory, "--replace")
    backed_up.start()
    with backed_up.client() as http:
        assert len(everything(http)) == 3


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda backup: (backup / "backup.json").unlink(), "is not a backup"),
        (lambda backup: (backup / "backup.json").write_text("{"), "cannot be read"),
        (lambda backup: changed(backup, "schema", "9999"), "newer Afterword"),
        (lambda backup: changed(backup, "format", 2), "newer Afterword"),
        (lambda backup: flipped(backup / "afterword.db"), "is not what was backed up"),
        (lambda backup: os.truncate(backup / "afterword.db", 8192), "is not what was backed up"),
        (lambda backup: (backup / "afterword.db").unlink(), "afterword.db"),
    ],
    ids=["no description", "half a description", "newer", "another format", "a flipped bit", "cut off", "no store"],
)
@pytest.mark.thorough
def test_a_backup_that_is_none_any_more_is_refused_and_changes_nothing(
    backed_up: Any, afterword: Run, tmp_path: Path, spoil: Callable[[Path], Any], said: str
):
    spoil(tmp_path / "backup")
    backed_up.stop()
    before = digests(backed_up.directory)
    assert said in afterword("restore", "backup", "--data", backed_up.directory, "--replace", code=1).stderr
    assert digests(backed_up.directory) == before


def changed(backup: Path, name: str, value: Any) -> None:
    about = json.loads((backup / "backup.json").read_text())
    (backup / "backup.json").write_text(json.dumps({**about, name: value}))


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.thorough
def test_a_damaged_store_gives_no_backup(backed_up: Any, afterword: Run, tmp_path: Path):
    backed_up.stop()
    file = backed_up.directory / "afterword.db"
    content = bytearray(file.read_bytes())
    content[5 * 8192 : 8 * 8192] = os.urandom(3 * 8192)
    file.write_bytes(content)
    said = afterword("backup", "--data", backed_up.directory, "another", code=1).stderr
    assert "damaged" in said or "malformed" in said
    assert not list(tmp_path.glob("another*"))


@pytest.mark.thorough
def test_a_full_disk_leaves_nothing_behind_and_says_so(backed_up: Any, afterword: Run, tmp_path: Path):
    def small() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, 64 << 10))

    said = afterword("backup", "--data", backed_up.directory, "another", code=1, preexec_fn=small).stderr
    assert "failed" in said
    assert "The copy was deleted" in said
    assert not list(tmp_path.glob("another*"))
    said = afterword("restore", "backup", "--data", "restored", code=1, preexec_fn=small).stderr
    assert "failed" in said
    assert [file.name for file in (tmp_path / "restored").iterdir()] == ["lock"]
