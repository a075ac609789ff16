"""Reader threads with bounded queues, and the connection for lookups."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection

from afterword.errors import Unavailable
from afterword.store.engine.database import Database
from afterword.store.engine.running_statements import Operation, Operations, no_answer

T = TypeVar("T")

MAX_WAITING_COUNT = 500
# Upper bound on the time for which the event loop waits for a lookup: no other call makes progress meanwhile.
LOOP_SECONDS = 0.5


class WaitingRead:
    """A read that a caller is waiting for."""

    __slots__ = ("_abandoned", "_operation", "expired", "future", "is_stuck", "loop", "running", "since")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.since = time.monotonic()
        self.loop = loop
        self.future: asyncio.Future[Any] | None = None
        self.running = False
        self.expired = False
        self.is_stuck = False
        self._operation: Operation | None = None
        self._abandoned = False

    def begin(self, operation: Operation) -> None:
        """Keep the operation of the read, so that `abandon` can end it."""
        self._operation = operation
        if self._abandoned:
            operation.abandoned = True

    def abandon(self) -> None:
        """End the read, because its caller has hung up."""
        self._abandoned = True
        if self._operation is not None:
            self._operation.abandon()


class Lane:
    """Some reader threads with one queue. A caller who waits for too long gets an error, even if the thread hangs."""

    def __init__(self, name: str, threads: int, operations: Operations, *, is_long: bool) -> None:
        self._number = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._operations = operations
        self._is_long = is_long
        self._waiting: set[WaitingRead] = set()
        self._lock = threading.Lock()
        self._stuck = 0
        """The number of threads that still run a read whose caller got an error."""
        operations.call_to_expire(self._expire)

    @property
    def oldest(self) -> float:
        """Return the seconds for which the oldest read has been waiting."""
        since = min((read.since for read in list(self._waiting)), default=None)
        return 0.0 if since is None else time.monotonic() - since

    async def run(self, function: Callable[[WaitingRead], T]) -> T:
        """Run a function in one of the threads. Raises `Unavailable` if too many reads wait, or if it takes too long.

        If the caller is cancelled, the read is ended.
        """
        if len(self._waiting) >= MAX_WAITING_COUNT:
            raise Unavailable("Too many reads are waiting.", code="overloaded", retry_after=1)
        if self._stuck >= self._number:
            raise no_answer(self._operations.timeout)
        loop = asyncio.get_running_loop()
        waiting = WaitingRead(loop)
        waiting.future = loop.run_in_executor(self._threads, self._work, waiting, function)
        self._waiting.add(waiting)
        try:
            return await waiting.future
        except asyncio.CancelledError:
            if not waiting.expired:
                waiting.abandon()
                raise
            raise no_answer(time.monotonic() - waiting.since) from None
        finally:
            self._waiting.discard(waiting)

    def _work(self, waiting: WaitingRead, function: Callable[[WaitingRead], T]) -> T:
        waiting.running = True
        try:
            return function(waiting)
        finally:
            with self._lock:
                waiting.running = False
                self._stuck -= waiting.is_stuck

    def _expire(self, now: float) -> None:
        limit = self._operations.limit(is_long=self._is_long)
        for read in list(self._waiting):
            if read.future is None or read.expired or now - read.since <= limit:
                continue
            with self._lock:
                read.expired, read.is_stuck = True, read.running
                self._stuck += read.is_stuck
            if not read.loop.is_closed():
                read.loop.call_soon_threadsafe(read.future.cancel)

    def close(self) -> None:
        """Wait for the running reads; cancel the waiting ones."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class Lookups:
    """A thread with a connection, for lookups by callers that cannot wait for a reader thread."""

    def __init__(self, database: Database, operations: Operations) -> None:
        self._database = database
        self._operations = operations
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="afterword-lookup")
        self._connection: Connection | None = None
        self._late_lookup: concurrent.futures.Future[Any] | None = None

    def run(self, function: Callable[[Connection], T]) -> T:
        """Run a function on the connection, and wait for it. Raises `Unavailable` if that takes too long."""
        seconds = LOOP_SECONDS if _is_in_event_loop() else self._operations.timeout
        if self._late_lookup is not None and not self._late_lookup.done():
            raise no_answer(seconds)
        future = self._thread.submit(self._look_up, function)
        try:
            return future.result(seconds)
        except concurrent.futures.TimeoutError:
            self._late_lookup = future
            raise no_answer(seconds) from None

    def _look_up(self, function: Callable[[Connection], T]) -> T:
        with self._operations.under_way() as operation:
            for attempt in range(2):
                try:
                    connection = self._connection = self._connection or self._database.writer.connect()
                    driver = connection.connection.dbapi_connection
                    operation.stop = lambda driver=driver: self._database.interrupt(driver)
                    with connection.begin():
                        return function(connection)
                except Exception as error:
                    self._disconnect()
                    if operation.stopped or not self._database.is_connection_lost(error) or attempt:
                        raise (
                            self._database.explain(error) if self._database.is_connection_lost(error) else error
                        ) from None
        raise AssertionError("unreachable")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.invalidate()
                connection.close()

    def close(self) -> None:
        """Wait for the running lookup, and close the connection."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._disconnect()


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
