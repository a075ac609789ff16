"""The transaction of one writer thread: it commits many units of work together.

A unit of work is rows to insert, update or delete (`Rows`), rows that depend on stored rows (`ConditionalWrite`), or a
function of a `Transaction`. A transaction without functions is sent to the database's `Writer`, with one statement for
many rows of a table.

If that fails, or if there are functions, the transaction runs here. Each function runs in a savepoint, so that a
failing unit of work affects no other. The rows of neighbouring units share a savepoint; if it fails, they are halved
until the failing unit is found.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Connection

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
    driver_statements,
    group_by_statement,
)

Unit: TypeAlias = Rows | ConditionalWrite | Callable[[Transaction], Any]
# Attempts of a transaction that conflicts with others.
MAX_ATTEMPTS = 6


@dataclass(slots=True)
class Job:
    """Units of work that one caller waits for together."""

    units: Sequence[Unit]
    size: int
    loop: asyncio.AbstractEventLoop | None
    future: asyncio.Future[list[Any]] | concurrent.futures.Future[list[Any]]
    results: list[Any] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)
    expired: bool = False
    """Whether its caller got an error already, because it waited for too long."""


class GivenUp(Exception):
    """The callers got the answer that nothing was stored."""


class GroupCommitter:
    """Commits the transactions of one writer thread.

    It has the database's writer, and a connection for units of work that are functions.
    """

    def __init__(self, database: Database, operations: Operations) -> None:
        self._database = database
        self._operations = operations
        self._dialect = database.writer.dialect
        self._writer: Writer | None = None
        self._connection: Connection | None = None
        self._operation: Operation | None = None
        self.reached_commit = False
        """Whether a COMMIT was sent: if the connection is lost then, it is unknown whether it succeeded."""
        self.jobs: list[Job] = []
        """The jobs of the current transaction."""
        self._given_up = False
        self._deciding = threading.Lock()

    def open(self) -> None:
        """Open the writer before the first commit. If that fails, the first commit tries again and raises the error."""
        with contextlib.suppress(Exception):
            self._writer = self._database.start_writer()

    @property
    def is_stuck(self) -> bool:
        """Return whether the callers of the current jobs got an error, because the transaction takes too long."""
        return bool(self.jobs) and self.jobs[0].expired

    def begin(self, jobs: list[Job]) -> None:
        """Begin with jobs."""
        self.jobs = jobs
        self._given_up = self.reached_commit = False

    def end(self) -> None:
        """End the current jobs."""
        self.jobs = []

    def give_up(self) -> bool:
        """Keep the current transaction from being committed; return whether that was still possible."""
        with self._deciding:
            self._given_up = self._given_up or not self.reached_commit
            return self._given_up

    def explain(self, error: BaseException) -> Exception:
        """Return the error that tells the callers why the transaction failed."""
        if self._given_up:
            return no_answer(self._operations.timeout, stored=False)
        return self._database.explain(error, committing=self.reached_commit)

    def _stop(self) -> None:
        """Interrupt the current transaction. Called by another thread.

        While the database answers new connections, a commit that takes long waits for a standby or a lock. It
        continues, because a new connection would wait for the same.
        """
        operation, is_certain = self._operation, self.give_up()
        while not is_certain and self._operation is operation and self._database.is_alive():
            if self._operations.closing.wait(self._operations.timeout):
                break
        if self._operation is not operation:
            return
        if self._writer is not None:
            self._writer.interrupt(committing=not is_certain)
        if self._connection is not None and (driver := self._connection.connection.dbapi_connection) is not None:
            self._database.interrupt(driver)

    def commit(self, jobs: list[Job]) -> Counter[str]:
        """Commit jobs and store their results in them; return the number of inserted rows by table."""
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
                self.disconnect()
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
        """Commit without savepoints, since units of work seldom fail. Return the number of inserted rows by table; None
        if a unit is a function, two have the same id, or one fails."""
        units = [unit for job in jobs for unit in job.units]
        conditional_writes = [unit for unit in units if isinstance(unit, ConditionalWrite)]
        plain = [unit for unit in units if not callable(unit)]
        own = _own_ids(jobs)
        if len(conditional_writes) + len(plain) < len(units) or len(set(own)) < len(own):
            return None
        if self._writer is None:
            self._writer = self._database.start_writer()
        rows, conditional_rows = group_by_statement(plain), {}
        results: list[Any] = []
        statements = [(self._database.BEGIN, ()), *self._database.claim(own), *driver_statements(self._dialect, rows)]
        try:
            if conditional_writes:
                lookup = RowLookup(self._dialect, [key for unit in conditional_writes for key in unit.keys])
                found_rows = lookup.rows_by_key(self._writer.run([*statements, *lookup.statements]))
                conditional_rows, results = _prepare_writes(conditional_writes, found_rows)
                statements = driver_statements(self._dialect, conditional_rows)
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
        """Write the rows of many units of work; if that fails, try each half of the units."""
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
            transaction.roll_back()
            return error
        transaction.release()
        return result

    def disconnect(self) -> None:
        """Close the writer and the connection; the next commit opens them again."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def _own_ids(jobs: list[Job]) -> list[UUID]:
    """Return the ids that callers chose for what these jobs write."""
    owning = (unit for job in jobs for unit in job.units if isinstance(unit, ConditionalWrite | Owned))
    return [unit.own for unit in owning if unit.own is not None]


def _prepare_writes(units: list[ConditionalWrite], found_rows: FoundRows) -> tuple[dict[Change, list[Row]], list[Any]]:
    """Pass the found rows to units of work; return the rows that they write, and the result or exception of each."""
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
    return group_by_statement(written), results
