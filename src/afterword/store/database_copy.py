"""Copy a store from one database to another, as a stream that can be interrupted and resumed.

Rows are copied in the order of their keys, `BATCH_ROWS` in a transaction, so that the last key in the target tells
where to resume. The text index is not copied: the target builds its own.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Table, exists, func, literal, select, tuple_

from afterword.store import servers
from afterword.store.calls import OPEN
from afterword.store.engine import Database, StoreError, open_database
from afterword.store.engine.partitions import Month
from afterword.store.schema import calls, interactions, metadata, projects, search_pending

# Tables that belong to one running store: messages between servers, and the queue of the text index.
EXCLUDED_TABLES = {"servers", "leases", "versions", "news", "search_pending", "details_pending"}
BATCH_ROWS = 1_000
# Generated ids begin with a time of 2020 or later, in milliseconds. A month with fewer interactions than this gets no
# partition: its ids may be chosen by callers, and fall into the month by chance.
FIRST_ID_MS = 1_577_836_800_000
MIN_PARTITION_ROWS = 1_000

Progress = Callable[[str, int, int], None]
"""Called with a table's name, the number of rows copied so far, and the number of all its rows."""


@dataclass(frozen=True, slots=True)
class TableCheck:
    """The result of comparing a table in both stores: its number of rows, and the hash of all of them."""

    table: str
    rows: int
    digest: str


@contextmanager
def open_store(location: str) -> Iterator[Database]:
    """Open the store in a directory, or the database of a URL. Raises `StoreError`, also if a server uses it."""
    url = location if "://" in location else None
    if url is None and not Path(location).is_dir() and Path(location).exists():
        raise StoreError(f"{location} is not a directory.")
    database = open_database(Path(location), url, 2)
    try:
        if database.SHARED:
            with database.reader.connect() as connection:
                if alive := servers.alive_servers(connection):
                    raise StoreError(
                        f"{len(alive)} Afterword servers use this database, or were killed in the last "
                        f"{servers.GONE_AFTER_MS // 1000} seconds. Stop them, then try again."
                    )
        yield database
    finally:
        database.close()


def tables() -> list[Table]:
    """Return the tables to copy, projects first: they identify the target as a copy of this source."""
    copied = [table for table in metadata.sorted_tables if table.name not in EXCLUDED_TABLES]
    return sorted(copied, key=lambda table: table is not projects)


def copy(source: Database, target: Database, progress: Progress) -> None:
    """Copy the rows that the target does not have yet. Raises `StoreError` if the target holds another store."""
    with source.reader.connect() as source_connection, target.writer.connect() as target_connection:
        with source_connection.begin(), target_connection.begin():
            _check_same_store(source_connection, target_connection)
        with source_connection.begin():
            _make_months(source_connection, target)
        for table in tables():
            with source_connection.begin():
                number = _count(source_connection, table)
                _copy_table(
                    source_connection,
                    target_connection,
                    table,
                    lambda done, of=table.name, all_=number: progress(of, done, all_),
                )
        with target_connection.begin():
            target.advance_sequences(target_connection)
            _queue_for_search(target_connection)


def check(source: Database, target: Database, progress: Progress) -> list[TableCheck]:
    """Compare the rows of both stores, one by one. Raises `StoreError` naming the table that differs."""
    checks = []
    with source.reader.connect() as source_connection, target.writer.connect() as target_connection:
        for table in tables():
            with source_connection.begin(), target_connection.begin():
                number = _count(source_connection, table)
                report = lambda done, of=table.name, all_=number: progress(of, done, all_)  # noqa: E731
                source_digest = _digest(source_connection, table, report)
                target_digest = _digest(target_connection, table, lambda _: None)
            if source_digest != target_digest:
                source_rows, target_rows = source_digest[0], target_digest[0]
                raise StoreError(
                    f"The table {table.name} differs: {source_rows:,} rows in the one store, {target_rows:,} in the "
                    f"other{'' if source_rows != target_rows else ', with other content'}. Was one of them in use "
                    "meanwhile? Empty the target and copy again."
                )
            checks.append(TableCheck(table.name, *source_digest))
    return checks


def _check_same_store(source: Connection, target: Connection) -> None:
    """Raise `StoreError` if the target holds projects that the source does not have; empty a new target."""
    source_projects = {row.number: row.id for row in source.execute(select(projects.c.number, projects.c.id))}
    target_projects = {row.number: row.id for row in target.execute(select(projects.c.number, projects.c.id))}
    if not target_projects:
        # A new store begins with rows of its own, such as roles, whose ids differ from the source's.
        for table in tables():
            target.execute(table.delete())
    if target_projects.items() - source_projects.items():
        raise StoreError(
            "The target holds another store: projects that the source does not have. "
            "Give an empty database or directory."
        )


def _make_months(source: Connection, target: Database) -> None:
    """Create the target's partitions, if it has any, for each month with many interactions in the source."""
    if target.partitions is None:
        return
    month, now = Month.of(FIRST_ID_MS), time.time_ns() // 1_000_000
    while month.start <= now:
        first, end = month.ids
        month_ids = select(interactions.c.id).where(interactions.c.id >= first, interactions.c.id < end)
        if source.execute(month_ids.order_by(interactions.c.id).offset(MIN_PARTITION_ROWS).limit(1)).first():
            target.partitions.make(month.start, month.start)
        month = Month.of(month.end)


def _copy_table(source: Connection, target: Connection, table: Table, report: Callable[[int], None]) -> None:
    with target.begin():
        last, done = _last_key(target, table), _count(target, table)
    report(done)
    for rows in _read_batches(source, table, last):
        with target.begin():
            target.execute(table.insert(), [dict(row._mapping) for row in rows])
        done += len(rows)
        report(done)


def _read_batches(connection: Connection, table: Table, last: tuple[Any, ...] | None) -> Iterator[Sequence[Any]]:
    """Yield the rows of a table after the key `last`, in batches, in the order of their keys."""
    keys = list(table.primary_key.columns)
    while True:
        query = select(table).order_by(*keys).limit(BATCH_ROWS)
        if last is not None:
            beyond = tuple_(*(literal(value, key.type) for key, value in zip(keys, last, strict=True)))
            query = query.where(tuple_(*keys) > beyond)
        rows = connection.execute(query).all()
        if rows:
            yield rows
        if len(rows) < BATCH_ROWS:
            return
        last = tuple(getattr(rows[-1], key.name) for key in keys)


def _last_key(connection: Connection, table: Table) -> tuple[Any, ...] | None:
    keys = list(table.primary_key.columns)
    row = connection.execute(select(*keys).order_by(*(key.desc() for key in keys)).limit(1)).first()
    return None if row is None else tuple(row)


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _digest(connection: Connection, table: Table, report: Callable[[int], None]) -> tuple[int, str]:
    digest, number = hashlib.blake2b(digest_size=16), 0
    for rows in _read_batches(connection, table, None):
        for row in rows:
            digest.update(repr([_plain(value) for value in row]).encode())
        number += len(rows)
        report(number)
    return number, digest.hexdigest()


def _plain(value: Any) -> Any:
    """Return a value in the form that is the same for both databases."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, memoryview):
        return bytes(value)
    return int(value) if isinstance(value, bool) else value


def _queue_for_search(connection: Connection) -> None:
    """Queue all interactions for the target's text index, except those whose call is still open."""
    is_running = exists().where(calls.c.interaction_id == interactions.c.id, calls.c.state == OPEN)
    queued = exists().where(search_pending.c.interaction_id == interactions.c.id)
    unqueued = select(interactions.c.id, literal(None, search_pending.c.erased.type)).where(~is_running, ~queued)
    connection.execute(search_pending.insert().from_select(["interaction_id", "erased"], unqueued))
