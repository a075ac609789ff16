"""Rollups: what the facts of a project's hours add up to, kept up in the background and never wrong.

Whatever changes facts (an interaction is logged or deleted, a call ends, feedback is given, changed, deleted) puts a
mark on the interaction's hour in the same transaction. Writers only ever add marks, and so never wait for each other.
Who reads takes the hours without a mark from the rollups and the others from the rows, in one snapshot (sums.py).

The background adds up marked hours in a snapshot, and then, in one transaction, replaces their rollups and deletes the
marks that the snapshot showed on them. So none is lost, with any number of writers on any database whose reads are
snapshots:

- A fact that the snapshot did not show has a mark that it did not show either. That one stays.
- All marks that overlap the hours must go, or nothing is done. Of two servers that add up the same hour, the one with
  the older snapshot finds that its marks are gone; an older sum never replaces a newer one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Float, and_, case, cast, delete, func, literal, null, or_, select

from afterword.ids import uuid7
from afterword.store.calls import COMPLETE, SYSTEM_METRICS
from afterword.store.engine import Delete, Insert, Rows, Store, Transaction
from afterword.store.faults import FaultLog
from afterword.store.schema import calls, feedback, interactions, rollup_marks, rollup_values, rollups

log = logging.getLogger("afterword.rollups")

HOUR = 3_600_000
INTERACTIONS = 0
MEASURES = {name: -place for place, name in enumerate(SYSTEM_METRICS, 1)}
"""The system metrics as measures. These numbers are on disk."""
# Of a measure with more different values in an hour, how often each was given is not kept: it would be as many rows.
MOST_VALUES = 20
# The squares of larger values are not finite, those of smaller ones nothing, which PostgreSQL refuses. Hours with such
# a value stay with the rows.
LARGEST, SMALLEST = 1e100, 1e-100

INSERT_MARK = Insert(rollup_marks, once=True)
DELETE_MARK = Delete(rollup_marks, "id")
INSERT = Insert(rollups)
INSERT_VALUE = Insert(rollup_values)

# Seconds between two looks for marks.
PACE = 2.0
# An hour is added up when it has had no new mark for so many seconds, and for so many times as long as it took last
# time: while more comes in it is read from the rows anyway, and adding it up would be in vain.
QUIET = 5.0
REST = 20.0
# So many marks on an hour become one. Readers go through all marks.
MANY_MARKS = 50
MOST_MARKS = 20_000
# What a store had before there were rollups is added up in steps of about so many interactions, the newest first.
STEP = 20_000
# A look adds up hours for so many seconds, and then writes them.
BUDGET = 0.25
# As the text index does (search.py): while others write a lot, most of the time is theirs.
BUSY = 20
YIELDED = 4.0


def marks(project: int, created_at: int) -> Rows:
    """Return what is to be written with every change of facts on an interaction of this time."""
    hour = created_at // HOUR
    return [(INSERT_MARK, [(uuid7(), project, hour, hour)])]


def mark_range(transaction: Transaction, project: int, start: int, end: int) -> None:
    """Mark the hours from `start` to `end`, milliseconds: for what changes the facts of many interactions at once."""
    transaction.put(INSERT_MARK, [(uuid7(), project, start // HOUR, end // HOUR)])


@dataclass(frozen=True, slots=True)
class Stretch:
    """Hours of a project that marks lie on, without a gap, and all of these marks."""

    project: int
    first: int
    last: int
    marks: frozenset[UUID]

    @property
    def key(self) -> tuple[int, int, int]:
        """Return what stays the same when it is marked again."""
        return self.project, self.first, self.last


def stretches(found: Iterable[Any]) -> list[Stretch]:
    """Return marks, rows of (id, project, first, last), put together where they overlap."""
    made: list[list[Any]] = []
    for id, project, first, last in sorted(found, key=lambda one: (one[1], one[2])):
        if made and made[-1][0] == project and first <= made[-1][2]:
            made[-1][2] = max(made[-1][2], last)
            made[-1][3].append(id)
        else:
            made.append([project, first, last, [id]])
    return [Stretch(project, first, last, frozenset(ids)) for project, first, last, ids in made]


# ------------------------------------------------------------------------------------------------ adding up


@dataclass(slots=True)
class Sums:
    """The rows of `rollups` and `rollup_values` for some hours, and the hours that cannot be added up."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    values: list[tuple[Any, ...]] = field(default_factory=list)
    hopeless: set[int] = field(default_factory=set)


def added_up(connection: Connection, project: int, first: int, last: int) -> Sums:
    """Add up the facts of the hours from `first` to `last`."""
    sums = Sums()
    time = interactions.c.created_at
    which = and_(interactions.c.project == project, time >= first * HOUR, time < (last + 1) * HOUR)
    hour = (time // literal(HOUR)).label("hour")
    model = func.coalesce(interactions.c.model, 0).label("its_model")
    counted = select(hour, model, func.count()).where(which).group_by("hour", "its_model")
    for row in connection.execute(counted):
        sums.rows.append((project, INTERACTIONS, row[0], row[1], row[2], 0.0, 0.0, 0.0, 0.0))
    if not sums.rows:
        return sums
    few = _add_feedback(connection, project, which, hour, model, sums)
    _add_values(connection, project, which, hour, model, few, sums)
    _add_calls(connection, project, which, hour, model, sums)
    sums.rows = [row for row in sums.rows if row[2] not in sums.hopeless]
    sums.values = [row for row in sums.values if row[2] not in sums.hopeless]
    return sums


def _finite(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a value as a float, null where it is too large or too small to be summed."""
    fits = or_(value == 0, func.abs(value).between(SMALLEST, LARGEST))
    return case((fits, cast(value, Float)), else_=null())


def _parts(value: ColumnElement[Any], mean: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """Return count, total, squares, least and most of values whose mean stands beside each."""
    above = value - mean
    return [func.count(value), func.sum(value), func.sum(above * above), func.min(value), func.max(value)]


def _add_feedback(connection: Connection, project: int, which: Any, hour: Any, model: Any, sums: Sums) -> set[int]:
    """Add the values of metrics; return the metrics with few different ones in some hour."""
    few: set[int] = set()
    value = _finite(feedback.c.value)
    alike = [hour.element, model.element, feedback.c.metric]
    each = (
        select(
            hour, model, feedback.c.metric, value.label("value"), func.avg(value).over(partition_by=alike).label("mean")
        )
        .select_from(interactions.join(feedback, feedback.c.interaction_id == interactions.c.id))
        .where(which)
        .subquery()
    )
    key = (each.c.hour, each.c.its_model, each.c.metric)
    different = func.count(each.c.value.distinct())
    query: Any = select(*key, func.count(), different, *_parts(each.c.value, each.c.mean)).group_by(*key)
    rows: Any = connection.execute(query)
    for at, its_model, metric, number, distinct, *parts in rows:
        if parts[0] < number:
            sums.hopeless.add(at)
        else:
            sums.rows.append((project, metric, at, its_model, *parts))
        if distinct <= MOST_VALUES:
            few.add(metric)
    return few


def _add_values(
    connection: Connection, project: int, which: Any, hour: Any, model: Any, few: set[int], sums: Sums
) -> None:
    """Add how often each value was given, where there are few in an hour."""
    if not few:
        return
    query = (
        select(hour, model, feedback.c.metric, feedback.c.value, func.count())
        .select_from(interactions.join(feedback, feedback.c.interaction_id == interactions.c.id))
        # An expression in place of the column: the feedback of each interaction is wanted, not that of each metric.
        .where(which, (feedback.c.metric + literal(0)).in_(sorted(few)))
        .group_by("hour", "its_model", feedback.c.metric, feedback.c.value)
    )
    together: dict[tuple[int, int, int], list[tuple[float, int]]] = {}
    for at, its_model, metric, value, number in connection.execute(query):
        its = together.setdefault((metric, at, its_model), [])
        if len(its) <= MOST_VALUES:
            its.append((value, number))
    for key, its in together.items():
        if len(its) <= MOST_VALUES:
            sums.values += [(project, *key, *one) for one in its]


def _add_calls(connection: Connection, project: int, which: Any, hour: Any, model: Any, sums: Sums) -> None:
    """Add the system metrics, of calls that are complete."""
    values = [_finite(calls.c[name]).label(name) for name in SYSTEM_METRICS]
    means = [
        func.avg(value.element).over(partition_by=[hour.element, model.element]).label(f"mean_{value.name}")
        for value in values
    ]
    each = (
        select(hour, model, *values, *means, *(calls.c[name].label(f"raw_{name}") for name in SYSTEM_METRICS))
        .select_from(interactions.join(calls, calls.c.interaction_id == interactions.c.id))
        .where(which, calls.c.state + literal(0) == COMPLETE)
        .subquery()
    )
    parts = [
        part
        for name in SYSTEM_METRICS
        for part in (func.count(each.c[f"raw_{name}"]), *_parts(each.c[name], each.c[f"mean_{name}"]))
    ]
    query: Any = select(each.c.hour, each.c.its_model, *parts).group_by(each.c.hour, each.c.its_model)
    rows: Any = connection.execute(query)
    for row in rows:
        for place, measure in enumerate(MEASURES.values()):
            number, *its = row[2 + 6 * place : 8 + 6 * place]
            if its[0] < number:
                sums.hopeless.add(row[0])
            elif number:
                sums.rows.append((project, measure, row[0], row[1], *its))


# ------------------------------------------------------------------------------------------------ the background


class Overtaken(Exception):
    """Other marks lie on the hours than the snapshot showed: another server was quicker."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """Hours of a stretch that were added up, from `start` to its end."""

    stretch: Stretch
    start: int
    sums: Sums


class Roller:
    """One thread that adds up what is marked.

    Where several servers share a store, the one in charge does it. Two that do it both are only slower.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._faults = FaultLog(log, store, "The rollups could not be brought up to date")
        self._stop = threading.Event()
        # Of each stretch: the marks that are known and since when there was no other; how long it took, where that was
        # long; the marks with which it could not be added up.
        self._known: dict[tuple[int, int, int], tuple[frozenset[UUID], float]] = {}
        self._took: dict[tuple[int, int, int], float] = {}
        self._hopeless: dict[tuple[int, int, int], frozenset[UUID]] = {}
        self._thread = threading.Thread(target=self._work, name="afterword-roller", daemon=True)

    def start(self) -> None:
        """Start adding up."""
        self._thread.start()

    def close(self) -> None:
        """Finish the hours at hand and stop; the rest stays marked."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(self._store.operations.patience)

    @staticmethod
    def waiting(connection: Connection) -> int:
        """Return how many marks there are on hours."""
        return connection.execute(select(func.count()).select_from(rollup_marks)).scalar_one()

    def _work(self) -> None:
        while not self._stop.is_set():
            more = False
            try:
                more = self._store.in_charge and self.catch_up()
            except Exception as error:
                self._faults.log_error(error)
            if not more:
                self._stop.wait(PACE)

    def catch_up(self, quiet: float = QUIET) -> bool:
        """Add up some of the hours that had no new mark for so many seconds; tell whether there may be more of them."""
        started, committed = time.monotonic(), self._store.queue.committed
        rolled, crowded, more = self._store.read_now(self._look, quiet)
        if crowded:
            self._store.queue.write_from_thread([pair for one in crowded for pair in self._one_mark(one)])
        if rolled:
            try:
                self._store.queue.write_from_thread(partial(_replace, rolled))
            except Overtaken:
                log.info("Some hours were marked anew or added up by another server meanwhile; they come later.")
        if self._store.queue.committed - committed > BUSY:
            self._stop.wait((time.monotonic() - started) * YIELDED)
        return more

    def _look(self, connection: Connection, quiet: float) -> tuple[list[Rolled], list[Stretch], bool]:
        """Return the hours that were added up, and the stretches with too many marks."""
        c = rollup_marks.c
        found = connection.execute(select(c.id, c.project, c.first, c.last).order_by(c.id).limit(MOST_MARKS)).all()
        there = stretches(found)
        if len(found) == MOST_MARKS:
            # There may be marks on these hours that were not read.
            return [], [one for one in there if len(one.marks) > 1], True
        due = self._due(there, quiet)
        begin, rolled = time.monotonic(), []
        while due and not self._stop.is_set() and (not rolled or time.monotonic() - begin < BUDGET):
            one = due.pop(0)
            started = time.monotonic()
            start = one.first if one.first == one.last else _start_of_step(connection, one)
            sums = added_up(connection, one.project, start, one.last)
            if REST * (took := time.monotonic() - started) > QUIET:
                self._took[one.key] = took
            if one.first == one.last and sums.hopeless:
                self._hopeless[one.key] = one.marks
                continue
            rolled.append(Rolled(one, start, sums))
        done = {one.stretch.key for one in rolled}
        crowded = [one for one in there if len(one.marks) > MANY_MARKS and one.key not in done]
        return rolled, crowded, bool(due) or any(one.start > one.stretch.first for one in rolled)

    def _due(self, there: Sequence[Stretch], quiet: float) -> list[Stretch]:
        """Note which marks are new; return the stretches that had none for long enough, single hours first."""
        now = time.monotonic()
        known, due = {}, []
        for one in there:
            before, since = self._known.get(one.key, (frozenset[UUID](), now))
            since = since if one.marks <= before else now
            known[one.key] = (one.marks, since)
            # What is longer than an hour is not what was just logged.
            wanted = quiet + REST * self._took.get(one.key, 0.0) if quiet and one.first == one.last else 0.0
            if now - since >= wanted and self._hopeless.get(one.key) != one.marks:
                due.append(one)
        self._known = known
        self._hopeless = {key: its for key, its in self._hopeless.items() if key in known}
        return sorted(due, key=lambda one: one.last - one.first)

    def _one_mark(self, stretch: Stretch) -> Rows:
        """Return what puts one mark in the place of many. Like all others it is a new one, so that another server that
        is adding up this stretch finds the marks that it took gone."""
        id = uuid7()
        since = self._known.get(stretch.key, (None, time.monotonic()))[1]
        self._known[stretch.key] = (stretch.marks | {id}, since)
        return [
            (DELETE_MARK, [(one,) for one in stretch.marks]),
            (INSERT_MARK, [(id, stretch.project, stretch.first, stretch.last)]),
        ]


def _start_of_step(connection: Connection, stretch: Stretch) -> int:
    """Return the hour to start at so that some `STEP` interactions lie between it and the end of a stretch."""
    time = interactions.c.created_at
    query = select(time).where(
        interactions.c.project == stretch.project, time >= stretch.first * HOUR, time < (stretch.last + 1) * HOUR
    )
    found = connection.execute(query.order_by(time.desc()).offset(STEP).limit(1)).scalar()
    # The hour that is cut through is left for the next step, unless it is all there is.
    return stretch.first if found is None else min(found // HOUR + 1, stretch.last)


def _replace(rolled: Sequence[Rolled], transaction: Transaction) -> None:
    """Replace the rollups of hours and delete their marks, which must all be there. Raises `Overtaken`."""
    connection = transaction.connection
    for one in rolled:
        stretch, ids = one.stretch, sorted(one.stretch.marks)
        gone = 0
        for place in range(0, len(ids), 500):
            some = rollup_marks.c.id.in_(ids[place : place + 500])
            gone += connection.execute(delete(rollup_marks).where(some)).rowcount
        if gone < len(ids):
            raise Overtaken
        left = [(uuid7(), stretch.project, hour, hour) for hour in sorted(one.sums.hopeless)]
        if one.start > stretch.first:
            left.append((uuid7(), stretch.project, stretch.first, one.start - 1))
        transaction.put(INSERT_MARK, left)
        for table in (rollups, rollup_values):
            its = (table.c.project == stretch.project, table.c.hour.between(one.start, stretch.last))
            connection.execute(delete(table).where(*its))
        transaction.put(INSERT, one.sums.rows)
        transaction.put(INSERT_VALUE, one.sums.values)
