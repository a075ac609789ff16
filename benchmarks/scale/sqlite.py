"""Millions of interactions into the embedded store without the server, in big transactions that wait for no disk.

The server makes the empty store and registers metrics and models; the rows go into its files while it is down. Workers
make rows, this process writes afterword.db, one more writes search.db. Only the end is synced: a load that breaks off
is to be thrown away.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sqlalchemy.dialects import sqlite

from afterword.store.engine import Insert
from afterword.store.engine.text_search import IndexedTexts
from afterword.store.schema import dictionaries, labels, rollup_marks
from benchmarks.scale.loading import BATCH_ROWS, Clock, Loaded, Plan, ReportProgress, batches, mark, prepare
from benchmarks.scale.population import METRICS, MODELS
from benchmarks.scale.rows import TABLES, Batch, Names
from benchmarks.server import Server, running

DIALECT = sqlite.dialect()
INSERTS = {table.name: Insert(table).text(DIALECT, 1) for table in TABLES}
INSERT_LABEL = Insert(labels, ignore_existing=True).text(DIALECT, 1)
INSERT_MARK = Insert(rollup_marks).text(DIALECT, 1)
FAST = ("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA locking_mode=EXCLUSIVE")
CACHE_KB = 1_500_000  # KB: the indexes that are not written in order stay in memory
# Transactions of so many batches.
COMMIT_BATCH_COUNT = 50
# FTS5 gathers so many bytes of words before it writes them as a part of the index, and joins parts when there are 16 of
# a kind. With the server's 1 MB, and parts joined all the time, it writes each word several times.
GATHERED, GATHERED_BY_SERVER = 128 << 20, 1 << 20
FILES = ("afterword.db", "search.db")


class Embedded:
    """The embedded store in a directory."""

    name = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, size: int, tell: ReportProgress) -> Loaded:
        """Fill it."""
        return load(self._directory, size, tell)

    def start(self) -> Server:
        """Start a server over it."""
        return Server(self._directory)

    def sizes(self) -> list[tuple[str, int, bool]]:
        """Return the sizes of its files."""
        return [(name, (self._directory / name).stat().st_size, name == "afterword.db") for name in FILES]

    def memory(self, server: Server) -> int:
        """Return the bytes that the server and its writing process hold."""
        return server.memory


@contextmanager
def open_store(folder: Path) -> Iterator[Embedded]:
    """Give the store in a folder."""
    yield Embedded(folder / "data")


def load(directory: Path, size: int, tell: ReportProgress) -> Loaded:
    """Fill a new store in `directory`."""
    with running(directory) as server:
        plan = prepare(server, size)
    file, search = (directory / name for name in FILES)
    clock = Clock()
    context = get_context("spawn")
    texts: Any = context.Queue(3)
    indexer = context.Process(target=index, args=(search, texts))
    indexer.start()
    try:
        _write(file, plan, texts, indexer.is_alive, tell)
        rows = clock.seconds
        texts.put(None)
        indexer.join()
    finally:
        indexer.kill()
    if indexer.exitcode:
        raise RuntimeError(f"The process that fills the text index ended with status {indexer.exitcode}.")
    indexed = clock.seconds
    for path in (file, search):
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    return clock.loaded(size, rows, indexed)


def _write(file: Path, plan: Plan, texts: Any, indexing: Callable[[], bool], tell: ReportProgress) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    run, run_many = connection.execute, connection.executemany
    for pragma in (*FAST, f"PRAGMA cache_size=-{CACHE_KB}"):
        run(pragma)
    plan = plan._replace(
        names=Names(
            run("SELECT number FROM projects WHERE key = 'default'").fetchone()[0],
            {key: number for key, number in run("SELECT key, number FROM models") if key in MODELS},
            {key: number for key, number in run("SELECT key, number FROM metrics") if key in METRICS},
        )
    )
    run(f"INSERT INTO {dictionaries.name} (content, created_at) VALUES (?, ?)", (plan.dictionary, plan.end))
    written_labels: set[Any] = set()
    run("BEGIN")
    for number, batch in enumerate(batches(plan, as_it_is), 1):
        for table, rows in batch.rows.items():
            run_many(INSERTS[table], rows)
        if new_labels := batch.labels - written_labels:
            run_many(INSERT_LABEL, list(new_labels))
            written_labels |= new_labels
        if not indexing():
            raise RuntimeError("The process that fills the text index has ended.")
        texts.put(batch.texts)
        if number % COMMIT_BATCH_COUNT == 0:
            run("COMMIT")
            run("BEGIN")
            tell(number * BATCH_ROWS)
    run_many(INSERT_MARK, [mark(plan)])
    run("COMMIT")
    run("PRAGMA journal_mode=WAL")
    connection.close()


def as_it_is(batch: Batch) -> Batch:
    """The driver takes the rows as they are."""
    return batch


def index(file: Path, texts: Any) -> None:
    """Take texts into the index, until there comes None."""
    connection = sqlite3.connect(file, isolation_level=None)
    run, run_many = connection.execute, connection.executemany
    for pragma in (*FAST, "PRAGMA cache_size=-200000"):
        run(pragma)
    _set_words(connection, GATHERED, 0)
    run("DELETE FROM is_new")
    [number] = run("SELECT coalesce(max(number), 0) FROM documents").fetchone()
    batch_number = 0
    run("BEGIN")
    while (new_texts := texts.get()) is not None:
        numbered = list(enumerate(new_texts, number + 1))
        run_many(
            "INSERT INTO documents (number, interaction_id) VALUES (?, ?)",
            [(row, interaction_id) for row, (interaction_id, _) in numbered],
        )
        run_many(
            f"INSERT INTO words (rowid, {', '.join(IndexedTexts._fields)}) VALUES (?, ?, ?, ?)",
            [(row, *indexed) for row, (_, indexed) in numbered],
        )
        number += len(new_texts)
        batch_number += 1
        if batch_number % COMMIT_BATCH_COUNT == 0:
            run("COMMIT")
            run("BEGIN")
    run("COMMIT")
    _set_words(connection, GATHERED_BY_SERVER, 4)
    run("PRAGMA journal_mode=WAL")
    connection.close()


def _set_words(connection: sqlite3.Connection, gathered: int, joined: int) -> None:
    for name, value in (("hashsize", gathered), ("automerge", joined)):
        connection.execute("INSERT INTO words (words, rank) VALUES (?, ?)", (name, value))
