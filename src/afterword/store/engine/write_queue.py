"""The write queue: one transaction for all that waits, an answer only after the commit.

A unit of work is rows to insert, update or delete (`Rows`), rows that depend on stored rows (`ConditionalWrite`), or
any function of a `Transaction`. A transaction of the first two kinds alone is sent to the database's `Writer`, with one
statement for many rows of a table. If that fails, or with functions among them, it is run here: units stand each in a
savepoint, so that a bad one spoils no other; rows of neighbouring units still go together, and only if that fails are
they halved until the bad unit stands alone.

One thread writes to SQLite. PostgreSQL has a few: while one waits for its commit, the next takes what has come since.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Connection

from afterword.errors import Unavailable
from afterword.store.engine.database import Database, Writer
from afterword.store.engine.running_statements import Operation, Operations, no_answer
from afterword.store.engine.statements import (
    Change,
    ConditionalWrite,
    FoundRows,
    Insert,
    Owned,
    Row,
    RowLookup,
    Rows,
    Transaction,
    joined,
    writing,
)

Unit: TypeAlias = Rows | ConditionalWrite | Callable[[Transaction], Any]
# So much is committed at once: more would make the first of them wait without making the last any faster.
MAX_COMMIT_UNITS = 2_000
# A transaction that was in another's way is tried again so often.
MAX_ATTEMPTS = 6
# Seconds between two empty writes after one that got no answer.
PROBE_SECONDS = 1.0


@dataclass(slots=True)
class Job:
    """Units that one caller waits for together."""

    units: Sequence[Unit]
    size: int
    loop: asyncio.AbstractEventLoop | None
    future: asyncio.Future[list[Any]] | concurrent.futures.Future[list[Any]]
    results: list[Any] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)
    expired: bool = False
    """Whether its caller was answered already, because it waited for too long."""


Answer: TypeAlias = tuple[Job, list[Any]]
"""What is told to whoever waits for a job: the result of each unit, or its exception."""


class WriteQueue:
    """Take units of work, commit them in groups, answer each."""

    def __init__(self, database: Database, operations: Operations, *, most_units: int, most_bytes: int) -> None:
        self._database = database
        self._operations = operations
        self._most_units = most_units
        self._most_bytes = most_bytes
        self._waiting: deque[Job] = deque()
        self._gathered: list[Job] = []
        self._units = 0
        self._bytes = 0
        self._wake = threading.Condition()
        self._closing = False
        self.committed = 0
        """How many units were committed so far."""
        self.inserted: Counter[str] = Counter()
        """How many rows were put into which table so far."""
        self.fault: Exception | None = None
        """Why the last commit failed; None as soon as one succeeds."""
        self.damage: Exception | None = None
        """Why nothing is written any more, until the store is opened again."""
        self.watch: Callable[[int, float], None] | None = None
        """Called after each commit, in a writer's thread, with the number of its units and its seconds."""
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
        """Return how many units wait, and about how many bytes they hold."""
        return self._units, self._bytes

    @property
    def oldest(self) -> float:
        """Return for how many seconds the oldest write has been waited for, or a writer has been at a commit."""
        with self._wake:
            since = [job.since for job in itertools.islice(self._waiting, 1)]
            since += [job.since for writer in self._writers for job in writer.jobs[:1]]
        return time.monotonic() - min(since) if since else 0.0

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
            self._check_writers()
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
            self._check_writers()
            self._units += 1
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
        """Commit what waits and stop."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()

    # ------------------------------------------------------------------------------------ the writers' threads

    def _work(self, committing: GroupCommitter) -> None:
        committing.open()
        while jobs := self._take(committing):
            started = time.perf_counter()
            try:
                inserted = committing.commit(jobs)
            except BaseException as error:
                self.fault = committing.explain(error)
                if getattr(self.fault, "code", None) == "store_damaged" and not self._database.SHARED:
                    self.damage = self.fault
                committing.let_go()
                for job in jobs:
                    job.results = [self.fault] * len(job.units)
            else:
                self._count(sum(len(job.units) for job in jobs), inserted, time.perf_counter() - started)
            with self._wake:
                committing.end()
                answers = [(job, job.results) for job in jobs if not job.expired]
            self._answer(answers)
        committing.let_go()

    def _expire(self, now: float) -> None:
        """Answer callers who have waited for too long: those whose writes no writer has taken are told that nothing was
        stored, and so are those of a transaction that has not come to its COMMIT, which it does not do any more."""
        before, answers = now - self._operations.timeout, list[Answer]()
        with self._wake:
            while self._waiting and self._waiting[0].since <= before:
                job = self._waiting.popleft()
                self._units -= len(job.units)
                self._bytes -= job.size
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

    def _take(self, committing: GroupCommitter) -> list[Job]:
        with self._wake:
            while not self._waiting and not self._closing:
                # Where no other write comes, an empty one tells that the writer answers again.
                if not self._wake.wait(PROBE_SECONDS if self._is_interrupted() else None) and self._is_interrupted():
                    probe: concurrent.futures.Future[list[Any]] = concurrent.futures.Future()
                    self._waiting.append(Job([[]], 0, None, probe))
                    self._units += 1
            jobs, units = [], 0
            while self._waiting and (not jobs or units + len(self._waiting[0].units) <= MAX_COMMIT_UNITS):
                job = self._waiting.popleft()
                units += len(job.units)
                self._bytes -= job.size
                jobs.append(job)
            self._units -= units
            committing.begin(jobs)
            return jobs

    def _is_interrupted(self) -> bool:
        # Other servers' news bring writes all the time, and an empty one waits for no standby.
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


class GivenUp(Exception):
    """The callers were told that nothing was stored."""


class GroupCommitter:
    """What one thread commits with: the database's writer, and a connection for units that are functions."""

    def __init__(self, database: Database, operations: Operations) -> None:
        self._database = database
        self._operations = operations
        self._dialect = database.writer.dialect
        self._writer: Writer | None = None
        self._connection: Connection | None = None
        self._operation: Operation | None = None
        self.reached_commit = False
        """Whether it had come to the COMMIT, so that nobody knows what became of it if the connection was lost."""
        self.jobs: list[Job] = []
        """What it is at."""
        self._given_up = False
        self._deciding = threading.Lock()

    def open(self) -> None:
        """Open the writer ahead of the first commit; where it fails, that commit tries again and says why."""
        with contextlib.suppress(Exception):
            self._writer = self._database.start_writer()

    @property
    def is_stuck(self) -> bool:
        """Tell whether callers whose writes it has were answered, because it has been at them for too long."""
        return bool(self.jobs) and self.jobs[0].expired

    def begin(self, jobs: list[Job]) -> None:
        """Take jobs."""
        self.jobs = jobs
        self._given_up = self.reached_commit = False

    def end(self) -> None:
        """Be done with them."""
        self.jobs = []

    def give_up(self) -> bool:
        """See to it that nothing of a transaction is committed; tell whether that was still possible."""
        with self._deciding:
            self._given_up = self._given_up or not self.reached_commit
            return self._given_up

    def explain(self, error: BaseException) -> Exception:
        """Say why the transaction failed, as the callers shall read it."""
        if self._given_up:
            return no_answer(self._operations.timeout, stored=False)
        return self._database.explain(error, committing=self.reached_commit)

    def _stop(self) -> None:
        """End what it waits for, called by another thread. A commit that waits at a database which answers others
        waits for a standby or a lock; it goes on then, where another connection would wait for the same."""
        operation, certain = self._operation, self.give_up()
        while not certain and self._operation is operation and self._database.is_alive():
            if self._operations.closing.wait(self._operations.timeout):
                break
        if self._operation is not operation:
            return
        if self._writer is not None:
            self._writer.interrupt(committing=not certain)
        if self._connection is not None and (driver := self._connection.connection.dbapi_connection) is not None:
            self._database.interrupt(driver)

    def commit(self, jobs: list[Job]) -> Counter[str]:
        """Commit jobs and note their results; return how many rows were put into which table."""
        with self._operations.under_way(self._stop) as self._operation:
            try:
                return self._commit_with_attempts(jobs)
            finally:
                self._operation = None

    def _commit_with_attempts(self, jobs: list[Job]) -> Counter[str]:
        for attempt in range(MAX_ATTEMPTS):
            try:
                self._database.check()
                inserted = self._commit(jobs)
                self._database.check(committed=True)
                return inserted
            except Exception as error:
                lost = self._database.is_connection_lost(error) and not self.reached_commit and attempt == 0
                if self._given_up:
                    raise
                if not (lost or self._database.is_transient(error)) or attempt == MAX_ATTEMPTS - 1:
                    raise
                self.let_go()
                for job in jobs:
                    job.results = []
        raise AssertionError("unreachable")

    def _commit(self, jobs: list[Job]) -> Counter[str]:
        self.reached_commit = False
        inserted = self._commit_plainly(jobs)
        if inserted is not None:
            return inserted
        if self._connection is None:
            self._connection = self._database.connect_writer()
        with self._connection.begin():
            transaction = Transaction(self._connection)
            own = _own_ids(jobs)
            transaction.execute(self._database.claim(own))
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
            transaction.execute(self._database.release(own))
            transaction.close()
            self._go_to_commit()
        return Counter(transaction.inserted)

    def _commit_plainly(self, jobs: list[Job]) -> Counter[str] | None:
        """Commit rows, and rows that depend on what is stored, without savepoints: most often none is bad. Return how
        many rows were put into which table; None where it could not be done so."""
        units = [unit for job in jobs for unit in job.units]
        conditional_writes = [unit for unit in units if isinstance(unit, ConditionalWrite)]
        plain = [unit for unit in units if not callable(unit)]
        own = _own_ids(jobs)
        if len(conditional_writes) + len(plain) < len(units) or len(set(own)) < len(own):
            return None
        if self._writer is None:
            self._writer = self._database.start_writer()
        rows, conditional_rows = joined(plain), {}
        results: list[Any] = []
        statements = [(self._database.BEGIN, ()), *self._database.claim(own), *writing(self._dialect, rows)]
        try:
            if conditional_writes:
                lookup = RowLookup(self._dialect, [key for unit in conditional_writes for key in unit.keys])
                found_rows = lookup.rows_by_key(self._writer.run([*statements, *lookup.statements]))
                conditional_rows, results = _prepare_writes(conditional_writes, found_rows)
                statements = writing(self._dialect, conditional_rows)
            self._go_to_commit()
            self._writer.run([*statements, *self._database.release(own), ("COMMIT", ())])
        except Exception as error:
            if self._given_up or self._database.is_fatal(error):
                raise
            self.reached_commit = False
            return None
        answers = iter(results)
        for job in jobs:
            job.results = [next(answers) if isinstance(unit, ConditionalWrite) else None for unit in job.units]
        inserted: Counter[str] = Counter()
        for statement, written_rows in (*rows.items(), *conditional_rows.items()):
            if isinstance(statement, Insert):
                inserted[statement.table.name] += len(written_rows)
        return inserted

    def _go_to_commit(self) -> None:
        with self._deciding:
            if self._given_up:
                raise GivenUp
            self.reached_commit = True

    def _insert(self, transaction: Transaction, units: list[tuple[Job, Rows]]) -> None:
        """Write the rows of many units; halve them where that fails."""
        if not units:
            return
        failure = self._attempt(transaction, lambda transaction: transaction.put_all([unit for _, unit in units]))
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
            if self._database.is_fatal(error):
                raise
            transaction.take_back()
            return error
        transaction.release()
        return result

    def let_go(self) -> None:
        """Close what it commits with; it is opened anew when it is needed."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _own_ids(jobs: list[Job]) -> list[UUID]:
    """Return the ids that callers chose for what units write."""
    owning = (unit for job in jobs for unit in job.units if isinstance(unit, ConditionalWrite | Owned))
    return [unit.own for unit in owning if unit.own is not None]


def _prepare_writes(units: list[ConditionalWrite], found_rows: FoundRows) -> tuple[dict[Change, list[Row]], list[Any]]:
    """Tell units what was found; return the rows that they write, and their results, or what they raised."""
    written: list[Rows] = []
    results: list[Any] = []
    for unit in units:
        try:
            rows, result = unit.prepare_write(found_rows)
        except Exception as error:
            results.append(error)
        else:
            written.append(rows)
            results.append(result)
    return joined(written), results


def _resolve(answers: list[Answer]) -> None:
    for job, results in answers:
        if not job.future.done():
            job.future.set_result(results)
