"""The seam: how a statement is run, on SQLite or PostgreSQL. One write queue, readers apart.

read(function, ...)        runs function(connection, ...) in a reader's thread, in one snapshot
write(unit)                commits, then returns
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, select

from afterword.errors import Unavailable
from afterword.store.engine.reader_pool import Lane, Lookups, WaitingRead
from afterword.store.engine.running_statements import STALLED_SECONDS, Abandoned, Operations, no_answer
from afterword.store.engine.write_queue import Unit, WriteQueue
from afterword.store.payloads import Compression
from afterword.store.schema import dictionaries

from .database import Database, Index, StoreError
from .statements import ConditionalWrite, Delete, Find, Insert, Owned, Prepared, Rows, Transaction, Update

__all__ = [
    "ConditionalWrite",
    "Database",
    "Delete",
    "Find",
    "Index",
    "Insert",
    "Owned",
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

READER_THREADS = 4
# Counts, groups and exports go over many rows. They have lanes of their own, so that a page never waits for them.
LONG_READER_THREADS = 2


class Store:
    """The open store. Raises `StoreError` with what to do when it cannot be opened.

    `timeout` is for how many seconds a read or a write is waited for.
    """

    def __init__(
        self,
        directory: Path,
        database_url: str | None = None,
        *,
        most_waiting: int = 10_000,
        most_waiting_bytes: int = 256 << 20,
        timeout: float = 30.0,
    ) -> None:
        self.database = open_database(directory, database_url)
        self.operations = Operations(timeout)
        self.queue = WriteQueue(self.database, self.operations, most_units=most_waiting, most_bytes=most_waiting_bytes)
        self.server: int | None = None
        """The number of this server, where several work over one database."""
        self.in_charge_until = 0.0
        """Up to when this server does the chores, where there are several; by time.monotonic()."""
        self._read_fault: Unavailable | None = None
        self._lookups = Lookups(self.database, self.operations)
        self.compression = Compression(self._learn)
        for content in self.read_now(_dictionaries):
            self.compression.add(content)
        if self.database.SHARED:
            # Its connection is open before the loop's thread needs it.
            self.fetch(lambda connection: None)
        self._short = Lane("afterword-reader", READER_THREADS, self.operations, is_long=False)
        self._long = Lane("afterword-long-reader", LONG_READER_THREADS, self.operations, is_long=True)

    @property
    def in_charge(self) -> bool:
        """Tell whether this server does what one server does for all: it fills the text index, say."""
        return not self.database.SHARED or time.monotonic() < self.in_charge_until

    @property
    def fault(self) -> Exception | None:
        """Return why the last commit or the last read failed, or that one has waited for long; None where all is well.

        It asks the database nothing.
        """
        waited = max(self.queue.oldest, self._short.oldest, self.operations.oldest())
        if waited >= STALLED_SECONDS:
            return no_answer(waited)
        return self.queue.damage or self.queue.fault or self._read_fault

    async def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function(connection, ...)` in a reader's thread, in one snapshot of the store."""
        return await self._short.run(
            lambda waiting: self._read(lambda connection: function(connection, *args, **kwargs), waiting, is_long=False)
        )

    async def read_long(
        self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same for what goes over many rows: it waits for its like alone."""
        return await self._long.run(
            lambda waiting: self._read(lambda connection: function(connection, *args, **kwargs), waiting, is_long=True)
        )

    def read_now(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same in the calling thread. Raises `Unavailable` when the database cannot be read."""
        return self._read(lambda connection: function(connection, *args, **kwargs), None, is_long=True)

    def _read(self, function: Callable[[Connection], T], waiting: WaitingRead | None, *, is_long: bool) -> T:
        with self.operations.under_way(is_long=is_long) as operation:
            if waiting is not None:
                waiting.begin(operation)
            for attempt in range(2):
                try:
                    with self.database.reader.connect() as connection:
                        driver = connection.connection.dbapi_connection
                        # The rollback is never interrupted: a connection that it fails on is thrown away.
                        with (
                            connection.begin(),
                            operation.stoppable(lambda driver=driver: self.database.interrupt(driver)),
                        ):
                            result = function(connection)
                    self.database.check()
                    self._read_fault = None
                    return result
                except Exception as error:
                    if operation.abandoned:
                        raise Abandoned from None
                    if operation.stopped:
                        self._read_fault = no_answer(time.monotonic() - operation.since)
                        raise self._read_fault from None
                    if not self.database.is_connection_lost(error):
                        raise
                    # A connection that lay idle may be of before the database was restarted; a new one tells.
                    if attempt:
                        raise self._explain_lost(error) from None
        raise AssertionError("unreachable")

    def _explain_lost(self, error: Exception) -> Exception:
        explained = self.database.explain(error)
        # Without the text index all else goes on.
        if isinstance(explained, Unavailable) and explained.code != "search_rebuilding":
            self._read_fault = explained
            if explained.code == "store_damaged" and not self.database.SHARED:
                self.queue.damage = explained
        return explained

    def fetch(self, function: Callable[[Connection], T]) -> T:
        """Run `function(connection)` over a connection of its own: also from within a read, whose thread has one of
        the readers' already, and in the loop's thread, which waits for no longer than `LOOP_SECONDS`."""
        return self._lookups.run(function)

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
        self.operations.closing.set()
        self._short.close()
        self._long.close()
        self._lookups.close()
        # The writer closes last: it alone can fold the log into the file.
        self.database.reader.dispose()
        self.queue.close()
        self.operations.close()
        self.database.close()


def open_database(
    directory: Path, database_url: str | None = None, readers: int = READER_THREADS + LONG_READER_THREADS
) -> Database:
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
