"""Retention: delete interactions and texts older than a project's retention period, in the background, in batches.

The worker rests between batches, so that no other write waits for long. It stores no progress: expired rows are found
by their time and deleted rows are not found again, so that a server that is stopped or killed continues with the rest.

On PostgreSQL the tables have a partition for each month. A partition of which nothing is to stay is dropped as a whole.
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, false, not_, or_, select

from afterword.store.background.worker import ThreadWorker
from afterword.store.deletion import (
    MAX_STAYING_ROWS,
    erase,
    erase_month,
    forget,
    forget_month,
    scrub,
    staying_of,
    unscrubbed,
)
from afterword.store.engine import Store, Transaction
from afterword.store.engine.dialect import any_of
from afterword.store.engine.partitions import TEXT_TABLES, Month, Partitions, PartitionsBusy
from afterword.store.schema import interactions, payloads, search_pending

log = logging.getLogger("afterword.retention")

# Interactions deleted in one transaction.
BATCH_ROWS = 100
# Interactions checked at once for whether they still have their text.
SCAN_ROWS = 1_000
# Deleted texts are queued for removal from the text index. Deletion pauses while more than this many are queued.
MAX_PENDING_ROWS = 5_000
BACKLOG_PAUSE_SECONDS = 1.0
# Seconds between two scans for expired rows.
SCAN_INTERVAL_SECONDS = 600.0
# A scan for texts continues where the last one ended. Rows that were inserted later with an older time are found by a
# full scan once a day, which also checks the months.
DAY_SECONDS = 86_400.0
DAY_MS = 86_400_000
START_POSITION = (-1, UUID(int=0))
# Attempts to drop a partition while nobody reads it, and the seconds between them.
ATTEMPTS = 5
PAUSE_SECONDS = 2.0


class Periods(NamedTuple):
    """The days for which a project keeps interactions, and their payloads. None: for ever."""

    interactions: int | None
    payloads: int | None


class Retention(ThreadWorker):
    """A worker that deletes expired interactions and payloads.

    `periods` returns the retention periods by project. Where several servers share a database, the one in charge
    deletes. `erased` is called after each batch.
    """

    name = "retention"
    log = log
    failure_text = "What is too old could not be deleted"
    # The delay until a changed retention period takes effect.
    poll_seconds = 0.5
    retry_seconds = 30.0
    rest_factor = 1.0
    yield_factor = 9.0
    # A batch is one commit.
    busy_commit_count = 1

    def __init__(
        self,
        store: Store,
        periods: Callable[[], Mapping[int, Periods]],
        *,
        erased: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(store)
        self._periods = periods
        self._erased = erased
        self._scan: Iterator[None] | None = None
        self._scan_periods: Mapping[int, Periods] | None = None
        self._next_scan_at = -math.inf
        self._numbers_logged = 0, 0
        self._scanned_to: dict[int, tuple[int, UUID]] = {}
        self._full_scan_at = -math.inf
        self._dropped_by: Mapping[int, Periods] | None = None
        self.interactions = 0
        """The number of interactions deleted so far."""
        self.payloads = 0
        """The number of interactions whose text alone was deleted so far."""

    def step(self) -> bool:
        """Delete one batch. A scan ends as soon as the periods change: a period that was set too short by mistake
        deletes nothing more once it is corrected."""
        periods = dict(self._periods())
        if not self._store.in_charge:
            self._end_scan(next_scan_at=-math.inf)
            return False
        if periods != self._scan_periods:
            self._end_scan(next_scan_at=-math.inf)
        if self._scan is None:
            if time.monotonic() < self._next_scan_at:
                return False
            self._scan, self._scan_periods = self._delete_expired(periods), periods
        if self._store.read_now(is_removal_backlogged):
            self.pause(BACKLOG_PAUSE_SECONDS)
            return True
        try:
            next(self._scan)
        except StopIteration:
            self._end_scan(next_scan_at=time.monotonic() + SCAN_INTERVAL_SECONDS)
            return False
        except Exception:
            self._end_scan(next_scan_at=-math.inf)
            raise
        return True

    def finish(self) -> None:
        """Log what was deleted so far."""
        self._end_scan(next_scan_at=-math.inf)

    def _end_scan(self, *, next_scan_at: float) -> None:
        self._scan, self._next_scan_at = None, next_scan_at
        numbers, logged = (self.interactions, self.payloads), self._numbers_logged
        if numbers != logged:
            self._numbers_logged = numbers
            log.info(
                "Deleted %s interactions that were too old, and the text of %s.",
                numbers[0] - logged[0],
                numbers[1] - logged[1],
            )

    def _delete_expired(self, periods: Mapping[int, Periods]) -> Iterator[None]:
        """Delete what has expired; yield before each batch."""
        now = time.time_ns() // 1_000_000
        if time.monotonic() - self._full_scan_at >= DAY_SECONDS:
            self._scanned_to.clear()
            self._run_maintenance()
            self._full_scan_at, self._dropped_by = time.monotonic(), None
        if periods != self._dropped_by:
            yield from self._drop_months(periods, now)
            self._dropped_by = periods
        for project, period in periods.items():
            if period.interactions is not None:
                yield from self._delete_interactions(project, now - period.interactions * DAY_MS)
            if period.payloads is not None:
                yield from self._delete_payloads(project, now - period.payloads * DAY_MS)

    def _run_maintenance(self) -> None:
        try:
            self._store.database.run_maintenance()
        except PartitionsBusy as error:
            log.warning("The database's maintenance failed: %s. It is tried again in a day.", error)

    def _delete_interactions(self, project: int, before: int) -> Iterator[None]:
        after = START_POSITION
        while rows := self._store.read_now(_older, project, before, after, BATCH_ROWS):
            yield
            self.interactions += self._delete(erase, [id for _, id in rows])
            after = rows[-1]

    def _delete_payloads(self, project: int, before: int) -> Iterator[None]:
        while rows := self._store.read_now(
            _older, project, before, self._scanned_to.get(project, START_POSITION), SCAN_ROWS
        ):
            yield
            ids = self._store.read_now(_with_text, [id for _, id in rows])
            for start in range(0, len(ids), BATCH_ROWS):
                yield
                self.payloads += self._delete(forget, ids[start : start + BATCH_ROWS])
            self._scanned_to[project] = rows[-1]

    def _drop_months(self, periods: Mapping[int, Periods], now: int) -> Iterator[None]:
        """Drop the months of which nothing is to stay. Expired rows of other months are deleted in batches."""
        months = self._store.database.partitions
        if months is None:
            return
        interaction_limits = {
            project: now - period.interactions * DAY_MS for project, period in periods.items() if period.interactions
        }
        payload_limits = {
            project: now - period.payloads * DAY_MS for project, period in periods.items() if period.payloads
        }
        payload_limits = {
            project: max(interaction_limits.get(project, 0), payload_limits.get(project, 0))
            for project in {**interaction_limits, **payload_limits}
        }
        for month, tables in months.existing_months().items():
            yield
            if self._nothing_stays(month, interaction_limits):
                self.interactions += self._drop(months, month, tables, erase_month, interaction_limits)
            elif "payloads" in tables and self._nothing_stays(month, payload_limits):
                yield from self._scrub(month, payload_limits)
                self.payloads += self._drop(months, month, tables & TEXT_TABLES, forget_month, payload_limits)

    def _nothing_stays(self, month: Month, limits: Mapping[int, int]) -> bool:
        if not limits or month.end > max(limits.values()):
            return False
        staying = self._store.read_now(lambda connection: connection.execute(staying_of(month, _young(limits))).all())
        return len(staying) <= MAX_STAYING_ROWS

    def _scrub(self, month: Month, limits: Mapping[int, int]) -> Iterator[None]:
        after = UUID(int=month.ids[0].int - 1)
        while ids := self._store.read_now(_to_scrub, month, limits, after, SCAN_ROWS):
            yield
            self._delete(scrub, ids)
            after = ids[-1]

    def _drop(
        self,
        months: Partitions,
        month: Month,
        tables: set[str],
        how: Callable[[Any, Month, ColumnElement[bool]], int | None],
        limits: Mapping[int, int],
    ) -> int:
        """Drop partitions; return the number of their interactions, 0 if others keep reading them or on a stop."""
        for _ in range(ATTEMPTS):
            try:
                with months.closed(month, tables) as closed:
                    number = how(closed, month, _young(limits)) or 0
                self._erased()
                return number
            except PartitionsBusy:
                if self.pause(PAUSE_SECONDS):
                    return 0
        log.warning("The partition %s could not be dropped: it is read all the time. It is tried again.", month.name)
        return 0

    def _delete(self, how: Callable[[Transaction, list[UUID]], int], ids: list[UUID]) -> int:
        """Delete a batch; return the number of deleted interactions."""
        number: int = self._store.queue.write_from_thread(lambda transaction: how(transaction, ids))
        self._erased()
        return number


def _older(
    connection: Connection, project: int, before: int, after: tuple[int, UUID], limit: int
) -> list[tuple[int, UUID]]:
    """Return (time, id) of a project's oldest interactions before a time, after the position `after`."""
    at, id = interactions.c.created_at, interactions.c.id
    rows = connection.execute(
        select(at, id)
        .where(interactions.c.project == project, at < before)
        .where(at >= after[0], or_(at > after[0], id > after[1]))
        .order_by(at, id)
        .limit(limit)
    )
    return [(row.created_at, row.id) for row in rows]


def _young(limits: Mapping[int, int]) -> ColumnElement[bool]:
    """Return the condition that an interaction has not expired; `limits` are times in milliseconds by project."""
    alike: dict[int, list[int]] = defaultdict(list)
    for project, before in limits.items():
        alike[before].append(project)
    columns = interactions.c
    old = (and_(columns.project.in_(projects), columns.created_at < before) for before, projects in alike.items())
    return not_(or_(false(), *old))


def _to_scrub(connection: Connection, month: Month, limits: Mapping[int, int], after: UUID, limit: int) -> list[UUID]:
    """Return ids of a month's interactions, after the id `after`, that still hold parts of expired texts."""
    id = interactions.c.id
    query = select(id).where(id > after, id < month.ids[1], not_(_young(limits)), unscrubbed())
    return list(connection.execute(query.order_by(id).limit(limit)).scalars())


def _with_text(connection: Connection, ids: list[UUID]) -> list[UUID]:
    """Return those of these interactions whose text is still there, in the same order."""
    with_text = set(
        connection.execute(select(payloads.c.interaction_id).where(any_of(payloads.c.interaction_id, ids))).scalars()
    )
    return [id for id in ids if id in with_text]


def is_removal_backlogged(connection: Connection) -> bool:
    """Return whether more than `MAX_PENDING_ROWS` deleted texts are queued for removal from the text index.

    They are older than the texts queued for insertion, so that they come first.
    """
    c = search_pending.c
    query = select(c.erased.is_not(None)).order_by(c.interaction_id).limit(1).offset(MAX_PENDING_ROWS)
    return bool(connection.execute(query).scalar())
