"""The log of the embedded store begins anew though somebody always reads."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from afterword.store.engine.sqlite_writer import WriterProcess

PAGE_BYTES = 8192
SETTINGS = (f"PRAGMA page_size={PAGE_BYTES}", "PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=20")


@pytest.fixture
def database_file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def writer(database_file: Path) -> Iterator[WriterProcess]:
    database_file.touch()
    with closing(WriterProcess(f"{database_file.as_uri()}?mode=rw", SETTINGS)) as process:
        process.run([("CREATE TABLE bytes (value BLOB)", ())])
        yield process


def write_pages(writer: WriterProcess, count: int) -> None:
    for _ in range(count):
        writer.run([("INSERT INTO bytes VALUES (zeroblob(?))", (PAGE_BYTES,))])


def log_pages(file: Path) -> float:
    return Path(f"{file}-wal").stat().st_size / PAGE_BYTES


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Read in a transaction meanwhile."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM bytes").fetchone()
        yield


def read_until(finished: threading.Event, file: Path) -> None:
    """Read again and again, some 20 ms each time."""
    while not finished.is_set():
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(
                "WITH RECURSIVE numbers (n) AS (SELECT count(*) FROM bytes UNION ALL "
                "SELECT n + 1 FROM numbers WHERE n < 200000) SELECT max(n) FROM numbers"
            ).fetchone()


def test_the_log_does_not_grow_while_somebody_always_reads(writer: WriterProcess, database_file: Path):
    finished = threading.Event()
    readers = [threading.Thread(target=read_until, args=(finished, database_file)) for _ in range(3)]
    for reader in readers:
        reader.start()
    sizes = []
    for _ in range(150):
        write_pages(writer, 1)
        sizes.append(log_pages(database_file))
    finished.set()
    for reader in readers:
        reader.join()
    assert max(sizes) < 100


def test_a_log_that_grew_during_a_long_read_gives_its_room_back(writer: WriterProcess, database_file: Path):
    with reading(database_file):
        write_pages(writer, 30)
        assert log_pages(database_file) > 60
    write_pages(writer, 20)
    assert log_pages(database_file) < 50
