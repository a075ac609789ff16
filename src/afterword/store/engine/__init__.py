"""The seam to the database: how statements run, on SQLite or PostgreSQL.

read(function, ...)        runs function(connection, ...) in a reader's thread, in one snapshot
write(unit)                commits a unit of work in the write queue, then returns
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from sqlalchemy import Connection, select

from afterword.errors import Unavailable
from afterword.store.compression import Compression
from afterword.store.engine.group_committer import Unit
from afterword.store.engine.reader_pool import Lane, Lookups, WaitingRead
from afterword.store.engine.running_statements import STALLED_SECONDS, Abandoned, Operations, no_answer
from afterword.store.engine.write_queue import WriteQueue
from afterword.store.schema import dictionaries

from .database import Database, Index, StoreError
from .statements import ConditionalWrite, Delete, DeleteByKey, Find, Insert, Owned, Prepared, Rows, Transaction, Update

__all__ = [
    "ConditionalWrite",
    "Database",
    "Delete",
    "DeleteByKey",
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
# Counts, groups and exports read many rows. They have threads of their own, so that a page never waits for them.
LONG_READER_THREADS = 2


class Store:
    """The open store. Raises `StoreError` if it cannot be opened; the message says what to do.

    A read or a write raises `Unavailable` after `timeout` seconds. The write queue refuses units of work beyond
    `max_waiting_units`, or beyond `max_waiting_bytes` in memory.
    """

    def __init__(
        self,
        directory: Path,
        database_url: str | None = None,
        *,
        max_waiting_units: int = 10_000,
        max_waiting_bytes: int = 256 << 20,
        timeout: float = 30.0,
    ) -> None:
        self.database = open_database(directory, database_url)
        self.operations = Operations(timeout)
        self.queue = WriteQueue(
            self.database, self.operations, max_units=max_waiting_units, max_bytes=max_waiting_bytes
        )
        self.server: int | None = None
        """The number of this server, if servers share the database."""
        self.in_charge_until = 0.0
        """The end of this server's lease on the background work, by time.monotonic()."""
        self._read_fault: Unavailable | None = None
        self._lookups = Lookups(self.database, self.operations)
        self.compression = Compression(self._learn)
        for content in self.read_now(_dictionaries):
            self.compression.add(content)
        if self.database.SHARED:
            # Open the connection now: the event loop would wait for it.
            self.fetch(lambda connection: None)
        self._short = Lane("afterword-reader", READER_THREADS, self.operations, is_long=False)
        self._long = Lane("afterword-long-reader", LONG_READER_THREADS, self.operations, is_long=True)

    @property
    def in_charge(self) -> bool:
        """Return whether this server does the work that one server does for all, such as filling the text index."""
        return not self.database.SHARED or time.monotonic() < self.in_charge_until

    @property
    def fault(self) -> Exception | None:
        """Return the error of the last commit or read, or an error if one has waited for too long; None if neither.

        Does not query the database.
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
        """Run a function that reads many rows, as `read` does. It waits only for other such functions."""
        return await self._long.run(
            lambda waiting: self._read(lambda connection: function(connection, *args, **kwargs), waiting, is_long=True)
        )

    def read_now(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function as `read` does, in the calling thread. Raises `Unavailable` if the database cannot be read."""
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
                            result = _run(function, connection)
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
                    # An idle connection may be older than a restart of the database: try once more with a new one.
                    if attempt:
                        raise self._explain_lost(error) from None
        raise AssertionError("unreachable")

    def _explain_lost(self, error: Exception) -> Exception:
        explained = self.database.explain(error)
        # Everything else works without the text index.
        if isinstance(explained, Unavailable) and explained.code != "search_rebuilding":
            self._read_fault = explained
            if explained.code == "store_damaged" and not self.database.SHARED:
                self.queue.damage = explained
        return explained

    def fetch(self, function: Callable[[Connection], T]) -> T:
        """Run `function(connection)` on the connection for lookups.

        It may be called within a read, which has one of the readers' connections, and in the event loop, which waits
        for `LOOP_SECONDS` at most.
        """
        return self._lookups.run(function)

    @overload
    async def write(self, unit: Rows, size: int = 0) -> None: ...

    @overload
    async def write(self, unit: Callable[[Transaction], T], size: int = 0) -> T: ...

    async def write(self, unit: Unit, size: int = 0) -> object:
        """Commit a unit of work; see `WriteQueue.write`."""
        return await self.queue.write(unit, size)

    async def write_many(self, units: Sequence[Unit], size: int = 0) -> list[Any]:
        """Commit units of work together; see `WriteQueue.write_many`."""
        return await self.queue.write_many(units, size)

    def _learn(self) -> None:
        for content in self.fetch(_dictionaries):
            self.compression.add(content)

    def close(self) -> None:
        """Commit the waiting units of work, then close."""
        self.operations.closing.set()
        self._short.close()
        self._long.close()
        self._lookups.close()
        # The writer closes last: only it can move the contents of the log into the database file.
        self.database.reader.dispose()
        self.queue.close()
        self.operations.close()
        self.database.close()


def _run(function: Callable[[Connection], T], connection: Connection) -> T:
    try:
        return function(connection)
    except Exception as error:
        # A query that is not read to its end stays open as long as the traceback has its rows. After an interruption,
        # SQLite then interrupts the rollback, too.
        traceback.clear_frames(error.__traceback__)
        raise


def open_database(
    directory: Path, database_url: str | None = None, readers: int = READER_THREADS + LONG_READER_THREADS
) -> Database:
    """Open the database of a URL, or the embedded one in a directory. Raises `StoreError`.

    Only the module of the database that is used is imported.
    """
    if database_url is None:
        from .sqlite import Sqlite

        return Sqlite(directory, readers=readers)
    from .postgresql import Postgresql

    return Postgresql(database_url, readers=readers)


def _dictionaries(connection: Connection) -> list[bytes]:
    return list(connection.execute(select(dictionaries.c.content).order_by(dictionaries.c.number)).scalars())
