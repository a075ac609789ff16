"""The write queue: one thread, one transaction for all that waits, an answer only after the commit.

A unit of work is either rows to insert or update (`Rows`) or a function of a `Transaction`. Units of one transaction
stand each in a savepoint, so that a bad one spoils no other. Rows of neighbouring units go to the driver in one call;
only if that fails are they halved until the bad unit stands alone.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection

from afterword.errors import Unavailable

from .statements import Insert, Row, Transaction, Update

Rows: TypeAlias = list[tuple[Insert | Update, Sequence[Row]]]
Unit: TypeAlias = Rows | Callable[[Transaction], Any]
# So much is committed at once: more would make the first of them wait without making the last any faster.
MOST_UNITS_A_COMMIT = 2_000


@dataclass(slots=True)
class Job:
    """Units that one caller waits for together."""

    units: Sequence[Unit]
    size: int
    loop: asyncio.AbstractEventLoop | None
    future: asyncio.Future[list[Any]] | concurrent.futures.Future[list[Any]]
    results: list[Any] = field(default_factory=list)


class WriteQueue:
    """Take units of work, commit them in groups, answer each.

    `connect` opens the writing connection (again after a fault). `fatal` says whether an error ended
    the whole transaction (disk full, connection lost); `explain` turns it into the error that the callers get.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        *,
        fatal: Callable[[BaseException], bool],
        explain: Callable[[BaseException], Exception],
        most_units: int,
        most_bytes: int,
    ) -> None:
        self._connect = connect
        self._fatal = fatal
        self._explain = explain
        self._most_units = most_units
        self._most_bytes = most_bytes
        self._waiting: deque[Job] = deque()
        self._gathered: list[Job] = []
        self._units = 0
        self._bytes = 0
        self._wake = threading.Condition()
        self._closing = False
        self._connection: Connection | None = None
        self.committed = 0
        """How many units were committed so far."""
        self.inserted: Counter[str] = Counter()
        """How many rows were put into which table so far."""
        self.fault: Exception | None = None
        """Why the last commit failed; None as soon as one succeeds."""
        self.watch: Callable[[int, float], None] | None = None
        """Called after each commit, in the writer's thread, with the number of its units and its seconds."""
        self._thread = threading.Thread(target=self._work, name="afterword-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> tuple[int, int]:
        """Return how many units wait, and about how many bytes they hold."""
        return self._units, self._bytes

    async def write(self, unit: Unit, size: int = 0) -> Any:
        """Commit a unit; return what its function returned, or raise what it raised.

        `size` is about how many bytes it keeps in memory meanwhile. Raises `Unavailable` when too much waits, and
        when the store cannot write.
        """
        [result] = await self.write_many([unit], size)
        if isinstance(result, Exception):
            raise result
        return result

    async def write_many(self, units: Sequence[Unit], size: int = 0) -> list[Any]:
        """Commit units in one go; return for each its result, or the exception that it alone failed with."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        job = Job(units, size, loop, future)
        with self._wake:
            if self._closing:
                raise Unavailable("The server is shutting down.", code="shutting_down", retry_after=2)
            full = self._units + len(units) > self._most_units or self._bytes + size > self._most_bytes
            if full and self._units:
                raise Unavailable(
                    "Too many writes are waiting; nothing was stored.",
                    code="overloaded",
                    hint="Send it again after the time that Retry-After gives.",
                    retry_after=1,
                )
            self._units += len(units)
            self._bytes += size
        # Handed over at the end of this turn of the loop, with all that this turn brings: a commit for the first of
        # them alone would keep the others waiting for it (30 in flight: 2,400/s so, 3,400/s like this).
        if not self._gathered:
            loop.call_soon(self._hand_over)
        self._gathered.append(job)
        return await future

    def write_from_thread(self, unit: Unit) -> Any:
        """Commit a unit and wait for it, in a thread of the server's own."""
        future: concurrent.futures.Future[list[Any]] = concurrent.futures.Future()
        with self._wake:
            if self._closing:
                raise Unavailable("The server is shutting down.", code="shutting_down")
            self._units += 1
            self._waiting.append(Job([unit], 0, None, future))
            self._wake.notify()
        [result] = future.result()
        if isinstance(result, Exception):
            raise result
        return result

    def _hand_over(self) -> None:
        jobs, self._gathered = self._gathered, []
        with self._wake:
            self._waiting.extend(jobs)
            self._wake.notify()

    def close(self) -> None:
        """Commit what waits and stop."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    # ------------------------------------------------------------------------------------ the writer's thread

    def _work(self) -> None:
        while jobs := self._take():
            started = time.perf_counter()
            try:
                self._commit(jobs)
                self.fault = None
                number = sum(len(job.units) for job in jobs)
                self.committed += number
                if self.watch is not None:
                    self.watch(number, time.perf_counter() - started)
            except BaseException as error:
                self.fault = self._explain(error)
                self._drop_connection()
                for job in jobs:
                    job.results = [self.fault] * len(job.units)
            self._answer(jobs)
        self._drop_connection()

    def _take(self) -> list[Job]:
        with self._wake:
            while not self._waiting and not self._closing:
                self._wake.wait()
            jobs, units = [], 0
            while self._waiting and (not jobs or units + len(self._waiting[0].units) <= MOST_UNITS_A_COMMIT):
                job = self._waiting.popleft()
                units += len(job.units)
                self._bytes -= job.size
                jobs.append(job)
            self._units -= units
            return jobs

    def _commit(self, jobs: list[Job]) -> None:
        if self._connection is None:
            self._connection = self._connect()
        if self._commit_plainly(self._connection, jobs):
            return
        with self._connection.begin():
            transaction = Transaction(self._connection)
            rows: list[tuple[Job, Rows]] = []
            for job in jobs:
                for unit in job.units:
                    if callable(unit):
                        self._insert(transaction, rows)
                        rows = []
                        job.results.append(self._attempt(transaction, unit))
                    else:
                        rows.append((job, unit))
            self._insert(transaction, rows)
            transaction.close()
        self.inserted.update(transaction.inserted)

    def _commit_plainly(self, connection: Connection, jobs: list[Job]) -> bool:
        """Commit units that are all rows without a savepoint: most often none is bad. Tell whether that was so."""
        units: list[Rows] = []
        for job in jobs:
            for unit in job.units:
                if callable(unit):
                    return False
                units.append(unit)
        try:
            with connection.begin():
                transaction = Transaction(connection)
                _insert_all(transaction, units)
                transaction.close()
        except Exception as error:
            if self._fatal(error):
                raise
            return False
        self.inserted.update(transaction.inserted)
        for job in jobs:
            job.results = [None] * len(job.units)
        return True

    def _insert(self, transaction: Transaction, units: list[tuple[Job, Rows]]) -> None:
        """Write the rows of many units; halve them where that fails."""
        if not units:
            return
        failure = self._attempt(transaction, lambda transaction: _insert_all(transaction, [unit for _, unit in units]))
        if failure is None or len(units) == 1:
            for job, _ in units:
                job.results.append(failure)
        else:
            half = len(units) // 2
            self._insert(transaction, units[:half])
            self._insert(transaction, units[half:])

    def _attempt(self, transaction: Transaction, unit: Callable[[Transaction], Any]) -> Any:
        transaction.savepoint()
        try:
            result = unit(transaction)
        except Exception as error:
            if self._fatal(error):
                raise
            transaction.take_back()
            return error
        transaction.release()
        return result

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    @staticmethod
    def _answer(jobs: list[Job]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[Job]] = {}
        for job in jobs:
            if job.loop is None:
                job.future.set_result(job.results)
            else:
                loops.setdefault(job.loop, []).append(job)
        for loop, its in loops.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, its)


def _insert_all(transaction: Transaction, units: list[Rows]) -> None:
    """Write the rows of many units, table by table."""
    together: dict[Insert | Update, list[Row]] = {}
    for unit in units:
        for statement, rows in unit:
            together.setdefault(statement, []).extend(rows)
    for statement, rows in together.items():
        transaction.put(statement, rows)


def _resolve(jobs: list[Job]) -> None:
    for job in jobs:
        if not job.future.done():
            job.future.set_result(job.results)
