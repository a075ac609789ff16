"""The seam: how a statement is run, on SQLite or PostgreSQL. One write queue, readers apart.

read(function, ...)        runs function(connection, ...) in a reader's thread, in one snapshot
write(unit)                commits, then returns
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, select

from afterword.errors import Unavailable
from afterword.store.payloads import Compression
from afterword.store.schema import dictionaries

from .database import Database, Index, StoreError
from .queue import Unit, WriteQueue
from .statements import Delete, Find, Informed, Insert, Prepared, Rows, Transaction, Update

__all__ = [
    "Database",
    "Delete",
    "Find",
    "Index",
    "Informed",
    "Insert",
    "Prepared",
    "Rows",
    "Store",
    "StoreError",
    "Transaction",
    "Unit",
    "Update",
    "open_database",
]

P = ParamSpec("P")
T = TypeVar("T")

READERS = 4
# Counts, groups and exports go over many rows. They have lanes of their own, so that a page never waits for them.
LONG_READERS = 2


class Store:
    """The open store. Raises `StoreError` with what to do when it cannot be opened."""

    def __init__(
        self,
        directory: Path,
        database_url: str | None = None,
        *,
        most_waiting: int = 10_000,
        most_waiting_bytes: int = 256 << 20,
    ) -> None:
        self.database = open_database(directory, database_url)
        self.queue = WriteQueue(self.database, most_units=most_waiting, most_bytes=most_waiting_bytes)
        self.server: int | None = None
        """The number of this server, where several work over one database."""
        self.in_charge_until = 0.0
        """Up to when this server does the chores, where there are several; by time.monotonic()."""
        self.compression = Compression(self._learn)
        for content in self.read_now(_dictionaries):
            self.compression.add(content)
        self._short = _Lane("afterword-reader", READERS)
        self._long = _Lane("afterword-long-reader", LONG_READERS)

    @property
    def in_charge(self) -> bool:
        """Tell whether this server does what one server does for all: it fills the text index, say."""
        return not self.database.SHARED or time.monotonic() < self.in_charge_until

    async def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(connection, ...)` in a reader's thread, in one snapshot of the store."""
        return await self._short.run(lambda: self.read_now(function, *args, **kwargs))

    async def read_long(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same for what goes over many rows: it waits for its like alone."""
        return await self._long.run(lambda: self.read_now(function, *args, **kwargs))

    def read_now(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same in the calling thread. Raises `Unavailable` when the database cannot be read."""
        for attempt in range(2):
            try:
                with self.database.reader.connect() as connection, connection.begin():
                    return function(connection, *args, **kwargs)
            except Exception as error:
                if not self.database.lost(error):
                    raise
                # A connection that lay idle may be of before the database was restarted; a new one tells.
                if attempt:
                    raise self.database.explain(error) from None
        raise AssertionError("unreachable")

    def fetch(self, function: Callable[[Connection], T]) -> T:
        """Run `function(connection)` over a connection of its own: also from within a read, whose thread has one of
        the readers' already."""
        try:
            with self.database.writer.connect() as connection:
                return function(connection)
        except Exception as error:
            if not self.database.lost(error):
                raise
            raise self.database.explain(error) from None

    async def write(self, unit: Unit, size: int = 0) -> Any:
        """Commit a unit of work; see `WriteQueue.write`."""
        return await self.queue.write(unit, size)

    async def write_many(self, units: Sequence[Unit], size: int = 0) -> list[Any]:
        """Commit units of work in one go; see `WriteQueue.write_many`."""
        return await self.queue.write_many(units, size)

    def _learn(self) -> None:
        for content in self.fetch(_dictionaries):
            self.compression.add(content)

    def close(self) -> None:
        """Commit what waits, then close."""
        self._short.close()
        self._long.close()
        # The writer closes last: it alone can fold the log into the file.
        self.database.reader.dispose()
        self.queue.close()
        self.database.close()


def open_database(directory: Path, database_url: str | None = None, readers: int = READERS + LONG_READERS) -> Database:
    """Open the database that is named, or the embedded one. Each is loaded only where it is used.

    Raises `StoreError`.
    """
    if database_url is None:
        from .sqlite import Sqlite

        return Sqlite(directory, readers=readers)
    from .postgresql import Postgresql

    return Postgresql(database_url, readers=readers)


def _dictionaries(connection: Connection) -> list[bytes]:
    return list(connection.execute(select(dictionaries.c.content).order_by(dictionaries.c.number)).scalars())


class _Lane:
    """A few threads with a bounded queue before them."""

    MOST_WAITING = 500

    def __init__(self, name: str, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._waiting = 0

    async def run(self, function: Callable[[], T]) -> T:
        if self._waiting >= self.MOST_WAITING:
            raise Unavailable("Too many reads are waiting.", code="overloaded", retry_after=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
