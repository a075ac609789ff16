"""Retention: what is older than a project keeps it is deleted in the background, some at a time.

It rests between the batches, so that no other write waits for long. Nothing is noted of how far it came: what is too
old is found by its time, and what was deleted is not found again, so that a server that is stopped or killed in the
middle goes on with the rest.

On PostgreSQL the tables have a part for each month. A part of which nothing is to stay is dropped as a whole.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, false, not_, or_, select
from sqlalchemy.exc import OperationalError

from afterword.store.engine import Store, Transaction
from afterword.store.engine.months import SAID, Month, Months
from afterword.store.erasing import (
    MOST_STAYING,
    erase,
    erase_month,
    forget,
    forget_month,
    scrub,
    staying_of,
    unscrubbed,
)
from afterword.store.faults import FaultLog
from afterword.store.schema import interactions, payloads, search_pending

log = logging.getLogger("afterword.retention")

# So many are deleted in a transaction.
BATCH = 100
# So many are looked at at once for whether they still have their text.
LOOK = 1_000
# Between two batches it rests so many times as long as the last one took, and longer while others write.
REST = 1.0
YIELDED = 9.0
# What is deleted waits to be taken out of the text index. While so much of it waits there, none is added to it.
MOST_PENDING = 5_000
# Seconds between two looks for what has become too old.
PACE = 600.0
# Seconds after which it sees that other periods were set, or that it is in charge now.
GLANCE = 0.5
# After a fault it tries again sooner.
PATIENCE = 30.0
# Texts are looked for from where the last look ended. What came later with an older time is found when all are looked
# at again: once a day. So often months are looked at, too.
DAY = 86_400.0
DAY_MS = 86_400_000
START = (-1, UUID(int=0))
# Parts are dropped while nobody reads them, which is tried so often, after so many seconds.
ATTEMPTS = 5
PAUSE = 2.0


class Periods(NamedTuple):
    """How many days a project keeps interactions, and what was said in them. None: for ever."""

    interactions: int | None
    payloads: int | None


class Retention:
    """One thread that deletes what is too old.

    `periods` tells what each project keeps. Where several servers work over one database, the one in charge deletes;
    whether it still is, is asked before each batch.
    """

    def __init__(
        self,
        store: Store,
        periods: Callable[[], Mapping[int, Periods]],
        *,
        erased: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._periods = periods
        self._erased = erased
        self._stop = threading.Event()
        self._faults = FaultLog(log, store, "What is too old could not be deleted")
        self._looked: dict[int, tuple[int, UUID]] = {}
        self._looked_at_all = -math.inf
        self._dropped_by: Mapping[int, Periods] | None = None
        self.interactions = 0
        """How many interactions were deleted so far."""
        self.payloads = 0
        """Of how many interactions the text was deleted so far, and the rest kept."""
        self._thread = threading.Thread(target=self._work, name="afterword-retention", daemon=True)

    def start(self) -> None:
        """Start deleting."""
        self._thread.start()

    def close(self) -> None:
        """Finish the batch at hand and stop; the rest is deleted after the next start."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(self._store.operations.patience)

    def _work(self) -> None:
        while not self._stop.is_set():
            before, pause = (self.interactions, self.payloads), PACE
            periods, in_charge = dict(self._periods()), self._store.in_charge
            try:
                if in_charge:
                    self._look(periods)
            except _Changed:
                pause = 0.0
            except Exception as error:
                self._faults.log_error(error)
                pause = PATIENCE
            if (self.interactions, self.payloads) != before:
                log.info(
                    "Deleted %s interactions that were too old, and the text of %s.",
                    self.interactions - before[0],
                    self.payloads - before[1],
                )
            until = time.monotonic() + pause
            while time.monotonic() < until and not self._stop.wait(GLANCE):
                if periods != self._periods() or in_charge != self._store.in_charge:
                    break

    def _look(self, periods: Mapping[int, Periods]) -> None:
        """Delete what is too old by these periods. Raises `_Changed` as soon as they are others: who has said too
        little and takes it back loses no more."""
        now = time.time_ns() // 1_000_000
        if time.monotonic() - self._looked_at_all >= DAY:
            self._looked.clear()
            self._tend()
            self._looked_at_all, self._dropped_by = time.monotonic(), None
        if periods != self._dropped_by:
            self._drop_months(periods, now)
            self._dropped_by = periods
        for project, kept in periods.items():
            if kept.interactions is not None:
                self._delete_interactions(periods, project, now - kept.interactions * DAY_MS)
            if kept.payloads is not None:
                self._delete_payloads(periods, project, now - kept.payloads * DAY_MS)

    def _tend(self) -> None:
        try:
            self._store.database.tend()
        except OperationalError as error:
            log.warning("The database could not be tended: %s. It is tried again in a day.", error.orig)

    def _delete_interactions(self, periods: Mapping[int, Periods], project: int, before: int) -> None:
        after = START
        while found := self._store.read_now(_older, project, before, after, BATCH):
            self._check(periods)
            self.interactions += self._delete(erase, [one for _, one in found])
            after = found[-1]

    def _delete_payloads(self, periods: Mapping[int, Periods], project: int, before: int) -> None:
        while found := self._store.read_now(_older, project, before, self._looked.get(project, START), LOOK):
            said = self._store.read_now(_with_text, [one for _, one in found])
            self._check(periods)
            for start in range(0, len(said), BATCH):
                self._check(periods)
                self.payloads += self._delete(forget, said[start : start + BATCH])
            self._looked[project] = found[-1]

    def _drop_months(self, periods: Mapping[int, Periods], now: int) -> None:
        """Drop the months of which nothing is to stay. What is too old of another is deleted some at a time."""
        months = self._store.database.months
        if months is None:
            return
        whole = {one: now - kept.interactions * DAY_MS for one, kept in periods.items() if kept.interactions}
        said = {one: now - kept.payloads * DAY_MS for one, kept in periods.items() if kept.payloads}
        said = {one: max(whole.get(one, 0), said.get(one, 0)) for one in {**whole, **said}}
        for month, tables in months.there().items():
            self._check(periods)
            if self._nothing_stays(month, whole):
                self.interactions += self._drop(months, month, tables, erase_month, whole)
            elif "payloads" in tables and self._nothing_stays(month, said):
                self._scrub(periods, month, said)
                self.payloads += self._drop(months, month, tables & SAID, forget_month, said)

    def _nothing_stays(self, month: Month, limits: Mapping[int, int]) -> bool:
        if not limits or month.end > max(limits.values()):
            return False
        staying = self._store.read_now(lambda connection: connection.execute(staying_of(month, _young(limits))).all())
        return len(staying) <= MOST_STAYING

    def _scrub(self, periods: Mapping[int, Periods], month: Month, limits: Mapping[int, int]) -> None:
        after = UUID(int=month.ids[0].int - 1)
        while found := self._store.read_now(_to_scrub, month, limits, after, LOOK):
            self._check(periods)
            self._delete(scrub, found)
            after = found[-1]

    def _drop(
        self,
        months: Months,
        month: Month,
        tables: set[str],
        how: Callable[[Any, Month, ColumnElement[bool]], int | None],
        limits: Mapping[int, int],
    ) -> int:
        """Drop parts; return how many interactions were in them. None is dropped while others read it for long."""
        for _ in range(ATTEMPTS):
            try:
                with months.closed(month, tables) as closed:
                    number = how(closed, month, _young(limits)) or 0
                self._erased()
                return number
            except OperationalError:
                if self._stop.wait(PAUSE):
                    raise _Changed from None
        log.warning("The part of %s could not be dropped: it is read all the time. It is tried again.", month.name)
        return 0

    def _delete(self, how: Callable[[Transaction, list[UUID]], int], ids: list[UUID]) -> int:
        """Delete a batch, and rest. Return how many were there."""
        started, committed = time.monotonic(), self._store.queue.committed
        number: int = self._store.queue.write_from_thread(lambda transaction: how(transaction, ids))
        self._erased()
        took = time.monotonic() - started
        others = self._store.queue.committed - committed > 1
        self._stop.wait(took * (YIELDED if others else REST))
        return number

    def _check(self, periods: Mapping[int, Periods]) -> None:
        """Wait while many texts are still to leave the index. Raises `_Changed` where the look is to end."""
        while self._store.read_now(many_leave):
            if self._stop.wait(1.0):
                break
        if self._stop.is_set() or not self._store.in_charge or periods != self._periods():
            raise _Changed


class _Changed(Exception):
    """The server stops, is not in charge any more, or keeps what it has for another time."""


def _older(
    connection: Connection, project: int, before: int, after: tuple[int, UUID], most: int
) -> list[tuple[int, UUID]]:
    """Return time and id of a project's oldest interactions from before a time, after the one named."""
    at, id = interactions.c.created_at, interactions.c.id
    rows = connection.execute(
        select(at, id)
        .where(interactions.c.project == project, at < before)
        .where(at >= after[0], or_(at > after[0], id > after[1]))
        .order_by(at, id)
        .limit(most)
    )
    return [(row.created_at, row.id) for row in rows]


def _young(limits: Mapping[int, int]) -> ColumnElement[bool]:
    """Return whether an interaction is not too old; those of projects without a limit never are."""
    alike: dict[int, list[int]] = defaultdict(list)
    for project, before in limits.items():
        alike[before].append(project)
    its = interactions.c
    old = (and_(its.project.in_(projects), its.created_at < before) for before, projects in alike.items())
    return not_(or_(false(), *old))


def _to_scrub(connection: Connection, month: Month, limits: Mapping[int, int], after: UUID, most: int) -> list[UUID]:
    """Return the ids of some interactions of a month, after one, that repeat something of texts that are too old."""
    id = interactions.c.id
    query = select(id).where(id > after, id < month.ids[1], not_(_young(limits)), unscrubbed())
    return list(connection.execute(query.order_by(id).limit(most)).scalars())


def _with_text(connection: Connection, ids: list[UUID]) -> list[UUID]:
    """Return those of these interactions whose text is still there, in the same order."""
    found = set(
        connection.execute(select(payloads.c.interaction_id).where(payloads.c.interaction_id.in_(ids))).scalars()
    )
    return [one for one in ids if one in found]


def many_leave(connection: Connection) -> bool:
    """Tell whether many deleted texts are still to be taken out of the text index.

    They are older than what waits to be taken in, so that they stand before it.
    """
    c = search_pending.c
    query = select(c.erased.is_not(None)).order_by(c.interaction_id).limit(1).offset(MOST_PENDING)
    return bool(connection.execute(query).scalar())
