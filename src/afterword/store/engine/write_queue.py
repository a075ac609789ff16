"""The write queue: one transaction for all waiting units of work, and an answer only after the commit.

SQLite has one writer thread. PostgreSQL has two: while one waits for its commit, the other takes the next units.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar, overload

from afterword.errors import Unavailable
from afterword.store.engine.database import Database
from afterword.store.engine.group_committer import GroupCommitter, Job, Unit
from afterword.store.engine.running_statements import Operations, no_answer
from afterword.store.engine.statements import Rows, Transaction

# Units of work in one transaction. With more, the first one would wait longer, and the last one would not be faster.
MAX_COMMIT_UNITS = 2_000
# Seconds between two empty writes that test whether the writer answers again.
PROBE_INTERVAL_SECONDS = 1.0

T = TypeVar("T")
Answer: TypeAlias = tuple[Job, list[Any]]
"""A job, and for each of its units of work the result or the exception."""


class WriteQueue:
    """Takes units of work, commits them in groups, and answers each caller after the commit."""

    def __init__(self, database: Database, operations: Operations, *, max_units: int, max_bytes: int) -> None:
        self._database = database
        self._operations = operations
        self._max_units = max_units
        self._max_bytes = max_bytes
        self._waiting: deque[Job] = deque()
        self._gathered: list[Job] = []
        self._waiting_units = 0
        self._waiting_bytes = 0
        self._wake = threading.Condition()
        self._closing = False
        self.committed = 0
        """The number of units of work committed so far."""
        self.inserted: Counter[str] = Counter()
        """The number of rows inserted so far, by table."""
        self.fault: Exception | None = None
        """The error of the last commit; None if it succeeded."""
        self.damage: Exception | None = None
        """The error of a damaged store, which is not written again until it is reopened."""
        self.watch: Callable[[int, float], None] | None = None
        """Called after each commit, in a writer's thread, with its number of units of work and its seconds."""
        self._counting = threading.Lock()
        self._writers = [GroupCommitter(database, operations) for _ in range(database.WRITERS)]
        self._threads = [
            threading.Thread(target=self._work, args=(writer,), name=f"afterword-writer-{number}", daemon=True)
            for number, writer in enumerate(self._writers)
        ]
        operations.call_to_expire(self._expire)
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> tuple[int, int]:
        """Return the number of waiting units of work, and about how many bytes of memory they hold."""
        return self._waiting_units, self._waiting_bytes

    @property
    def oldest(self) -> float:
        """Return the seconds for which the oldest write has been waiting, be it for its turn or for its commit."""
        with self._wake:
            since = [job.since for job in itertools.islice(self._waiting, 1)]
            since += [job.since for writer in self._writers for job in writer.jobs[:1]]
        return time.monotonic() - min(since) if since else 0.0

    async def write(self, unit: Unit, size: int = 0) -> object:
        """Commit a unit of work; return its result, or raise its exception.

        `size` is about how many bytes it holds in memory while it waits. Raises `Unavailable` if too many units wait,
        or if the store cannot write.
        """
        [result] = await self.write_many([unit], size)
        if isinstance(result, Exception):
            raise result
        return result

    async def write_many(self, units: Sequence[Unit], size: int = 0) -> list[Any]:
        """Commit units of work together; return the result of each, or the exception that it failed with."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        job = Job(units, size, loop, future)
        with self._wake:
            if self._closing:
                raise Unavailable("The server is shutting down.", code="shutting_down", retry_after=2)
            self._check_writers()
            full = self._waiting_units + len(units) > self._max_units or self._waiting_bytes + size > self._max_bytes
            if full and self._waiting_units:
                raise Unavailable(
                    "Too many writes are waiting; nothing was stored.",
                    code="overloaded",
                    hint="Send it again after the time that Retry-After gives.",
                    retry_after=1,
                )
            self._waiting_units += len(units)
            self._waiting_bytes += size
        # Hand the job over at the end of this iteration of the event loop, with all other jobs of the iteration. A
        # commit of the first one alone would make the others wait for it (30 in flight: 2,400/s instead of 3,400/s).
        if not self._gathered:
            loop.call_soon(self._hand_over)
        self._gathered.append(job)
        return await future

    @overload
    def write_from_thread(self, unit: Rows) -> None: ...

    @overload
    def write_from_thread(self, unit: Callable[[Transaction], T]) -> T: ...

    def write_from_thread(self, unit: Unit) -> object:
        """Commit a unit of work as `write` does, and wait for it in the calling thread."""
        future: concurrent.futures.Future[list[Any]] = concurrent.futures.Future()
        with self._wake:
            if self._closing:
                raise Unavailable("The server is shutting down.", code="shutting_down")
            self._check_writers()
            self._waiting_units += 1
            self._waiting.append(Job([unit], 0, None, future))
            self._wake.notify()
        [result] = future.result()
        if isinstance(result, Exception):
            raise result
        return result

    def _check_writers(self) -> None:
        if self.damage is not None:
            raise self.damage
        if all(writer.is_stuck for writer in self._writers):
            raise no_answer(self._operations.timeout, stored=False)

    def _hand_over(self) -> None:
        jobs, self._gathered = self._gathered, []
        with self._wake:
            self._waiting.extend(jobs)
            self._wake.notify()

    def close(self) -> None:
        """Commit the waiting units of work, then stop."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()

    # ------------------------------------------------------------------------------------ the writers' threads

    def _work(self, committer: GroupCommitter) -> None:
        committer.open()
        while jobs := self._take(committer):
            started = time.perf_counter()
            try:
                inserted = committer.commit(jobs)
            except BaseException as error:
                self.fault = committer.explain(error)
                if getattr(self.fault, "code", None) == "store_damaged" and not self._database.SHARED:
                    self.damage = self.fault
                committer.disconnect()
                for job in jobs:
                    job.results = [self.fault] * len(job.units)
            else:
                self._count(sum(len(job.units) for job in jobs), inserted, time.perf_counter() - started)
            with self._wake:
                committer.end()
                answers = [(job, job.results) for job in jobs if not job.expired]
            self._answer(answers)
        committer.disconnect()

    def _expire(self, now: float) -> None:
        """Answer callers who have waited for too long with an error.

        It says that nothing was stored if no writer has taken the job, or if its transaction has not reached the
        COMMIT: the transaction is then given up. Otherwise it says that the job may have been stored.
        """
        before, answers = now - self._operations.timeout, list[Answer]()
        with self._wake:
            while self._waiting and self._waiting[0].since <= before:
                job = self._waiting.popleft()
                self._waiting_units -= len(job.units)
                self._waiting_bytes -= job.size
                answers.append((job, [no_answer(now - job.since, stored=False)] * len(job.units)))
            for writer in self._writers:
                late = [job for job in writer.jobs if job.since <= before and not job.expired]
                if late:
                    stored = not writer.give_up()
                    answers += [(job, [no_answer(now - job.since, stored=stored)] * len(job.units)) for job in late]
            for job, _ in answers:
                job.expired = True
        if answers:
            self.fault = answers[-1][1][0]
            self._answer(answers)

    def _count(self, units: int, inserted: Counter[str], seconds: float) -> None:
        with self._counting:
            self.fault = None
            self.committed += units
            self.inserted.update(inserted)
            if self.watch is not None:
                self.watch(units, seconds)

    def _take(self, committer: GroupCommitter) -> list[Job]:
        with self._wake:
            while not self._waiting and not self._closing:
                # An empty write finds out whether the writer answers again, if no other write comes.
                if (
                    not self._wake.wait(PROBE_INTERVAL_SECONDS if self._is_interrupted() else None)
                    and self._is_interrupted()
                ):
                    probe: concurrent.futures.Future[list[Any]] = concurrent.futures.Future()
                    self._waiting.append(Job([[]], 0, None, probe))
                    self._waiting_units += 1
            jobs, units = [], 0
            while self._waiting and (not jobs or units + len(self._waiting[0].units) <= MAX_COMMIT_UNITS):
                job = self._waiting.popleft()
                units += len(job.units)
                self._waiting_bytes -= job.size
                jobs.append(job)
            self._waiting_units -= units
            committer.begin(jobs)
            return jobs

    def _is_interrupted(self) -> bool:
        # A shared database needs no probe: heartbeats write all the time, and an empty write waits for no standby.
        return not self._database.SHARED and getattr(self.fault, "code", None) == "store_interrupted"

    @staticmethod
    def _answer(answers: list[Answer]) -> None:
        loops: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
        for job, results in answers:
            if job.loop is None:
                _resolve([(job, results)])
            else:
                loops.setdefault(job.loop, []).append((job, results))
        for loop, loop_answers in loops.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, loop_answers)


def _resolve(answers: list[Answer]) -> None:
    for job, results in answers:
        if not job.future.done():
            job.future.set_result(results)
