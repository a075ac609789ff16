"""A store moved from one database to another, as a stream, in steps that can be taken up again.

Rows go in the order of their keys, some thousand a transaction, so that the last key that has arrived tells where to go
on. The text index is not copied: the target makes its own.
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
from afterword.store.engine.months import Month
from afterword.store.schema import calls, interactions, metadata, projects, search_pending

# What a store has for itself: what servers tell each other, and what is still to be done.
OWN = {"servers", "leases", "versions", "news", "search_pending"}
ROWS = 1_000
# Ids of our own begin with a time of 2020 or later, in milliseconds. So few of a month may be chance: callers' own.
FIRST = 1_577_836_800_000
FEW = 1_000

Progress = Callable[[str, int, int], None]
"""Called with a table's name, how many of its rows are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A table as it was found in both stores: its rows, and the hash of them all."""

    table: str
    rows: int
    digest: str


@contextmanager
def opened(place: str) -> Iterator[Database]:
    """Open the store in a directory, or the database of a URL, that no server works over. Raises `StoreError`."""
    url = place if "://" in place else None
    if url is None and not Path(place).is_dir() and Path(place).exists():
        raise StoreError(f"{place} is no directory.")
    database = open_database(Path(place), url, 2)
    try:
        if database.SHARED:
            with database.reader.connect() as connection:
                if there := servers.alive(connection):
                    raise StoreError(
                        f"{len(there)} Afterword servers work over this database, or have ended without a word in the "
                        f"last {servers.GONE // 1000} seconds. Stop them, and try again then."
                    )
        yield database
    finally:
        database.close()


def tables() -> list[Table]:
    """Return the tables that are copied, the projects first: with them the target is known for a copy."""
    copied = [table for table in metadata.sorted_tables if table.name not in OWN]
    return sorted(copied, key=lambda table: table is not projects)


def copy(source: Database, target: Database, progress: Progress) -> None:
    """Copy what the target does not have yet. Raises `StoreError` where it holds another store."""
    with source.reader.connect() as one, target.writer.connect() as other:
        with one.begin(), other.begin():
            _check_kin(one, other)
        with one.begin():
            _make_months(one, target)
        for table in tables():
            with one.begin():
                number = _count(one, table)
                _copy_table(one, other, table, lambda done, of=table.name, all_=number: progress(of, done, all_))
        with other.begin():
            target.number_on(other)
            _queue_for_search(other)


def check(source: Database, target: Database, progress: Progress) -> list[Checked]:
    """Compare the rows of both stores, one by one. Raises `StoreError` naming the table that differs."""
    found = []
    with source.reader.connect() as one, target.writer.connect() as other:
        for table in tables():
            with one.begin(), other.begin():
                number = _count(one, table)
                report = lambda done, of=table.name, all_=number: progress(of, done, all_)  # noqa: E731
                here, there = _digest(one, table, report), _digest(other, table, lambda _: None)
            if here != there:
                raise StoreError(
                    f"The table {table.name} differs: {here[0]:,} rows in the one store, {there[0]:,} in the other"
                    f"{'' if here[0] != there[0] else ', with other content'}. Was one of them in use meanwhile? "
                    "Empty the target and copy again."
                )
            found.append(Checked(table.name, *here))
    return found


def _check_kin(one: Connection, other: Connection) -> None:
    """Raise `StoreError` where the target holds what the source does not; empty it where it is new."""
    here = {row.number: row.id for row in one.execute(select(projects.c.number, projects.c.id))}
    there = {row.number: row.id for row in other.execute(select(projects.c.number, projects.c.id))}
    if not there:
        # What a new store begins with, roles for instance, has other ids here.
        for table in tables():
            other.execute(table.delete())
    if there.items() - here.items():
        raise StoreError(
            "The target holds another store: projects that the source does not have. "
            "Give an empty database or directory."
        )


def _make_months(one: Connection, target: Database) -> None:
    """Make the parts of all months of which the source has many interactions, where the target has parts."""
    if target.months is None:
        return
    month, now = Month.of(FIRST), time.time_ns() // 1_000_000
    while month.start <= now:
        first, end = month.ids
        its = select(interactions.c.id).where(interactions.c.id >= first, interactions.c.id < end)
        if one.execute(its.order_by(interactions.c.id).offset(FEW).limit(1)).first():
            target.months.make(month.start, month.start)
        month = Month.of(month.end)


def _copy_table(one: Connection, other: Connection, table: Table, report: Callable[[int], None]) -> None:
    with other.begin():
        last, done = _last_key(other, table), _count(other, table)
    report(done)
    for rows in _walk(one, table, last):
        with other.begin():
            other.execute(table.insert(), [dict(row._mapping) for row in rows])
        done += len(rows)
        report(done)


def _walk(connection: Connection, table: Table, last: tuple[Any, ...] | None) -> Iterator[Sequence[Any]]:
    """Yield a table's rows after a key, some at a time, by their keys."""
    keys = list(table.primary_key.columns)
    while True:
        query = select(table).order_by(*keys).limit(ROWS)
        if last is not None:
            beyond = tuple_(*(literal(value, key.type) for key, value in zip(keys, last, strict=True)))
            query = query.where(tuple_(*keys) > beyond)
        rows = connection.execute(query).all()
        if rows:
            yield rows
        if len(rows) < ROWS:
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
    for rows in _walk(connection, table, None):
        for row in rows:
            digest.update(repr([_plain(value) for value in row]).encode())
        number += len(rows)
        report(number)
    return number, digest.hexdigest()


def _plain(value: Any) -> Any:
    """Return a value as it is in either database."""
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, memoryview):
        return bytes(value)
    return int(value) if isinstance(value, bool) else value


def _queue_for_search(connection: Connection) -> None:
    """Let the target take all texts into its index."""
    under_way = exists().where(calls.c.interaction_id == interactions.c.id, calls.c.state == OPEN)
    queued = exists().where(search_pending.c.interaction_id == interactions.c.id)
    fresh = select(interactions.c.id, literal(None, search_pending.c.erased.type)).where(~under_way, ~queued)
    connection.execute(search_pending.insert().from_select(["interaction_id", "erased"], fresh))
