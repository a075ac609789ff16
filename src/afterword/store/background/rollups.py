"""Rollups: sums over a project's hours, updated in the background and never wrong.

Every change of facts (an interaction is logged or deleted, a call ends, feedback is given, changed or deleted) marks
the interaction's hour as dirty in the same transaction. Writers only add marks, so that they never wait for each other.
Reads take clean hours from the rollups and dirty hours from the rows, in one snapshot (rollup_statistics.py).

A background worker sums dirty hours in a snapshot. Then one transaction replaces their rollups and deletes the marks
that the snapshot showed. No change is lost, with any number of writers, on any database whose reads are snapshots:

- A fact that the snapshot did not show has a mark that it did not show either. That mark stays.
- The transaction deletes all marks that overlap the hours, or does nothing. If two servers sum the same hour, the one
  with the older snapshot finds its marks deleted; an older sum never replaces a newer one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, delete, func, literal, select

from afterword.ids import uuid7
from afterword.store.background.worker import ThreadWorker
from afterword.store.calls import COMPLETE, SYSTEM_METRICS
from afterword.store.engine import Delete, Insert, Rows, Store, Transaction
from afterword.store.engine.dialect import any_of, without_index
from afterword.store.query.float_sums import summable
from afterword.store.schema import calls, feedback, interactions, rollup_marks, rollup_values, rollups

log = logging.getLogger("afterword.rollups")

HOUR_MS = 3_600_000
INTERACTIONS_MEASURE_ID = 0
MEASURES = {name: -position for position, name in enumerate(SYSTEM_METRICS, 1)}
"""The system metrics as measures. These numbers are on disk."""
# Upper bound on the distinct values of a measure in an hour whose counts are stored: each takes a row.
MAX_VALUE_ROWS = 20

INSERT_MARK = Insert(rollup_marks, once=True)
DELETE_MARK = Delete(rollup_marks, "id")
INSERT = Insert(rollups)
INSERT_VALUE = Insert(rollup_values)

# Debounce: sum an hour once nothing in it has changed for QUIET_SECONDS, or for REST_FACTOR times the duration of its
# last summing, whichever is longer. Summing an hour that keeps changing would be in vain.
QUIET_SECONDS = 5.0
REST_FACTOR = 20.0
# More marks than this on a range are merged into one, because readers read all marks. A poll reads at most
# MAX_MARK_ROWS.
MERGE_MARK_COUNT = 50
MAX_MARK_ROWS = 20_000
# Interactions from before the store had rollups are summed in steps of about this many, the newest first.
STEP_ROWS = 20_000
# A poll sums hours for this many seconds, then writes them.
BUDGET_SECONDS = 0.25


def dirty_hour(project: int, created_at: int) -> Rows:
    """Return the rows to write with every change of facts of an interaction created at this time."""
    hour = created_at // HOUR_MS
    return [(INSERT_MARK, [(uuid7(), project, hour, hour)])]


def mark_hours_dirty(transaction: Transaction, project: int, start: int, end: int) -> None:
    """Mark the hours from `start` to `end` (milliseconds) as dirty, for a change of many interactions at once."""
    transaction.put(INSERT_MARK, [(uuid7(), project, start // HOUR_MS, end // HOUR_MS)])


@dataclass(frozen=True, slots=True)
class HourRange:
    """A range of dirty hours of a project, from `first` to `last`, and the ids of all marks on it."""

    project: int
    first: int
    last: int
    mark_ids: frozenset[UUID]

    @property
    def key(self) -> tuple[int, int, int]:
        """Return the identity of the range, which does not depend on its marks."""
        return self.project, self.first, self.last


def merge_marks(rows: Iterable[Any]) -> list[HourRange]:
    """Merge marks that overlap, rows of (id, project, first, last), to ranges."""
    merged: list[list[Any]] = []
    for id, project, first, last in sorted(rows, key=lambda row: (row[1], row[2])):
        if merged and merged[-1][0] == project and first <= merged[-1][2]:
            merged[-1][2] = max(merged[-1][2], last)
            merged[-1][3].append(id)
        else:
            merged.append([project, first, last, [id]])
    return [HourRange(project, first, last, frozenset(ids)) for project, first, last, ids in merged]


# ------------------------------------------------------------------------------------------------ summing


@dataclass(slots=True)
class HourSums:
    """The rows of `rollups` and `rollup_values` for some hours, and the hours that cannot be summed."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    values: list[tuple[Any, ...]] = field(default_factory=list)
    unsummable: set[int] = field(default_factory=set)


def sum_hours(connection: Connection, project: int, first: int, last: int) -> HourSums:
    """Sum the facts of the hours from `first` to `last`."""
    sums = HourSums()
    time = interactions.c.created_at
    which = and_(interactions.c.project == project, time >= first * HOUR_MS, time < (last + 1) * HOUR_MS)
    hour = (time // literal(HOUR_MS)).label("hour")
    model = func.coalesce(interactions.c.model, 0).label("model_number")
    counted = select(hour, model, func.count()).where(which).group_by("hour", "model_number")
    for row in connection.execute(counted):
        sums.rows.append((project, INTERACTIONS_MEASURE_ID, row[0], row[1], row[2], 0.0, 0.0, 0.0, 0.0))
    if not sums.rows:
        return sums
    countable_metrics = _add_feedback(connection, project, which, hour, model, sums)
    _add_values(connection, project, which, hour, model, countable_metrics, sums)
    _add_calls(connection, project, which, hour, model, sums)
    sums.rows = [row for row in sums.rows if row[2] not in sums.unsummable]
    sums.values = [row for row in sums.values if row[2] not in sums.unsummable]
    return sums


def _parts(value: ColumnElement[Any], mean: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    """Return count, total, squares, least and most of values, given the mean of each value's group."""
    difference = value - mean
    return [func.count(value), func.sum(value), func.sum(difference * difference), func.min(value), func.max(value)]


def _add_feedback(connection: Connection, project: int, which: Any, hour: Any, model: Any, sums: HourSums) -> set[int]:
    """Add the values of metrics; return the metrics with at most `MAX_VALUE_ROWS` distinct values in some hour."""
    countable_metrics: set[int] = set()
    value = summable(feedback.c.value)
    group = [hour.element, model.element, feedback.c.metric]
    each = (
        select(
            hour, model, feedback.c.metric, value.label("value"), func.avg(value).over(partition_by=group).label("mean")
        )
        .select_from(interactions.join(feedback, feedback.c.interaction_id == interactions.c.id))
        .where(which)
        .subquery()
    )
    key = (each.c.hour, each.c.model_number, each.c.metric)
    different = func.count(each.c.value.distinct())
    query: Any = select(*key, func.count(), different, *_parts(each.c.value, each.c.mean)).group_by(*key)
    rows: Any = connection.execute(query)
    for row_hour, model_number, metric, number, distinct, *parts in rows:
        if parts[0] < number:
            sums.unsummable.add(row_hour)
        else:
            sums.rows.append((project, metric, row_hour, model_number, *parts))
        if distinct <= MAX_VALUE_ROWS:
            countable_metrics.add(metric)
    return countable_metrics


def _add_values(
    connection: Connection, project: int, which: Any, hour: Any, model: Any, countable_metrics: set[int], sums: HourSums
) -> None:
    """Add the count of each value, for hours with at most `MAX_VALUE_ROWS` distinct values."""
    if not countable_metrics:
        return
    query = (
        select(hour, model, feedback.c.metric, feedback.c.value, func.count())
        .select_from(interactions.join(feedback, feedback.c.interaction_id == interactions.c.id))
        # Not by the index of metrics: read the feedback of each interaction, not all feedback of each metric.
        .where(which, without_index(feedback.c.metric).in_(sorted(countable_metrics)))
        .group_by("hour", "model_number", feedback.c.metric, feedback.c.value)
    )
    value_counts_by_key: dict[tuple[int, int, int], list[tuple[float, int]]] = {}
    for row_hour, model_number, metric, value, number in connection.execute(query):
        value_counts = value_counts_by_key.setdefault((metric, row_hour, model_number), [])
        if len(value_counts) <= MAX_VALUE_ROWS:
            value_counts.append((value, number))
    for key, value_counts in value_counts_by_key.items():
        if len(value_counts) <= MAX_VALUE_ROWS:
            sums.values += [(project, *key, *value_count) for value_count in value_counts]


def _add_calls(connection: Connection, project: int, which: Any, hour: Any, model: Any, sums: HourSums) -> None:
    """Add the system metrics of complete calls."""
    values = [summable(calls.c[name]).label(name) for name in SYSTEM_METRICS]
    means = [
        func.avg(value.element).over(partition_by=[hour.element, model.element]).label(f"mean_{value.name}")
        for value in values
    ]
    each = (
        select(hour, model, *values, *means, *(calls.c[name].label(f"raw_{name}") for name in SYSTEM_METRICS))
        .select_from(interactions.join(calls, calls.c.interaction_id == interactions.c.id))
        .where(which, without_index(calls.c.state) == COMPLETE)
        .subquery()
    )
    parts = [
        part
        for name in SYSTEM_METRICS
        for part in (func.count(each.c[f"raw_{name}"]), *_parts(each.c[name], each.c[f"mean_{name}"]))
    ]
    query: Any = select(each.c.hour, each.c.model_number, *parts).group_by(each.c.hour, each.c.model_number)
    rows: Any = connection.execute(query)
    for row in rows:
        for position, measure in enumerate(MEASURES.values()):
            number, *measured = row[2 + 6 * position : 8 + 6 * position]
            if measured[0] < number:
                sums.unsummable.add(row[0])
            elif number:
                sums.rows.append((project, measure, row[0], row[1], *measured))


# ------------------------------------------------------------------------------------------------ the worker


class Overtaken(Exception):
    """The marks on the hours have changed since the snapshot: another server was faster."""


@dataclass(frozen=True, slots=True)
class SummedHours:
    """The sums of the hours of a range, from `start` to its end."""

    hour_range: HourRange
    start: int
    sums: HourSums


class RollupWorker(ThreadWorker):
    """A worker that sums dirty hours.

    Where several servers share a store, the one in charge does it. Two at once are correct, only slower.
    """

    name = "rollups"
    log = log
    failure_text = "The rollups could not be brought up to date"
    poll_seconds = 2.0
    yield_factor = 4.0

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        # For each range of hours: its known marks and the time when the last one was added; the duration of its last
        # summing, if that was long; the marks with which it could not be summed.
        self._last_seen: dict[tuple[int, int, int], tuple[frozenset[UUID], float]] = {}
        self._durations: dict[tuple[int, int, int], float] = {}
        self._unsummable: dict[tuple[int, int, int], frozenset[UUID]] = {}

    @staticmethod
    def waiting(connection: Connection) -> int:
        """Return the number of marks on hours."""
        return connection.execute(select(func.count()).select_from(rollup_marks)).scalar_one()

    def step(self) -> bool:
        """Sum some of the hours that are due, at the server in charge."""
        return self._store.in_charge and self.catch_up()

    def catch_up(self, quiet_seconds: float = QUIET_SECONDS) -> bool:
        """Sum some of the hours without a new mark for `quiet_seconds`; return whether there may be more of them."""
        summed, crowded, has_more = self._store.read_now(self._sum_due_hours, quiet_seconds)
        if crowded:
            self._store.queue.write_from_thread(
                [pair for hour_range in crowded for pair in self._single_mark(hour_range)]
            )
        if summed:
            try:
                self._store.queue.write_from_thread(partial(_replace, summed))
            except Overtaken:
                log.info("Some hours changed meanwhile or were summed by another server; they are summed later.")
        return has_more

    def _sum_due_hours(
        self, connection: Connection, quiet_seconds: float
    ) -> tuple[list[SummedHours], list[HourRange], bool]:
        """Return the summed hours, the ranges with too many marks, and whether there may be more to sum."""
        c = rollup_marks.c
        rows = connection.execute(select(c.id, c.project, c.first, c.last).order_by(c.id).limit(MAX_MARK_ROWS)).all()
        hour_ranges = merge_marks(rows)
        if len(rows) == MAX_MARK_ROWS:
            # There may be marks on these hours that were not read.
            return [], [hour_range for hour_range in hour_ranges if len(hour_range.mark_ids) > 1], True
        due = self._due(hour_ranges, quiet_seconds)
        begin, summed = time.monotonic(), []
        while due and not self.is_stopping and (not summed or time.monotonic() - begin < BUDGET_SECONDS):
            hour_range = due.pop(0)
            started = time.monotonic()
            start = hour_range.first if hour_range.first == hour_range.last else _start_of_step(connection, hour_range)
            sums = sum_hours(connection, hour_range.project, start, hour_range.last)
            if REST_FACTOR * (took := time.monotonic() - started) > QUIET_SECONDS:
                self._durations[hour_range.key] = took
            if hour_range.first == hour_range.last and sums.unsummable:
                self._unsummable[hour_range.key] = hour_range.mark_ids
                continue
            summed.append(SummedHours(hour_range, start, sums))
        done = {hours.hour_range.key for hours in summed}
        crowded = [
            hour_range
            for hour_range in hour_ranges
            if len(hour_range.mark_ids) > MERGE_MARK_COUNT and hour_range.key not in done
        ]
        return summed, crowded, bool(due) or any(hours.start > hours.hour_range.first for hours in summed)

    def _due(self, hour_ranges: Sequence[HourRange], quiet_seconds: float) -> list[HourRange]:
        """Note which marks are new; return the ranges without a new mark for long enough, single hours first."""
        now = time.monotonic()
        last_seen, due = {}, []
        for hour_range in hour_ranges:
            before, since = self._last_seen.get(hour_range.key, (frozenset[UUID](), now))
            since = since if hour_range.mark_ids <= before else now
            last_seen[hour_range.key] = (hour_range.mark_ids, since)
            # A range of several hours is not what is being logged now, so that it need not be debounced.
            rest_seconds = (
                quiet_seconds + REST_FACTOR * self._durations.get(hour_range.key, 0.0)
                if quiet_seconds and hour_range.first == hour_range.last
                else 0.0
            )
            if now - since >= rest_seconds and self._unsummable.get(hour_range.key) != hour_range.mark_ids:
                due.append(hour_range)
        self._last_seen = last_seen
        self._unsummable = {key: marks for key, marks in self._unsummable.items() if key in last_seen}
        return sorted(due, key=lambda hour_range: hour_range.last - hour_range.first)

    def _single_mark(self, hour_range: HourRange) -> Rows:
        """Return the rows that replace many marks by a new one: another server that sums this range then finds the
        marks of its snapshot deleted."""
        id = uuid7()
        since = self._last_seen.get(hour_range.key, (None, time.monotonic()))[1]
        self._last_seen[hour_range.key] = (hour_range.mark_ids | {id}, since)
        return [
            (DELETE_MARK, [(mark_id,) for mark_id in hour_range.mark_ids]),
            (INSERT_MARK, [(id, hour_range.project, hour_range.first, hour_range.last)]),
        ]


def _start_of_step(connection: Connection, hour_range: HourRange) -> int:
    """Return the hour from which about `STEP_ROWS` interactions lie before the end of a range."""
    time = interactions.c.created_at
    query = select(time).where(
        interactions.c.project == hour_range.project,
        time >= hour_range.first * HOUR_MS,
        time < (hour_range.last + 1) * HOUR_MS,
    )
    start_time = connection.execute(query.order_by(time.desc()).offset(STEP_ROWS).limit(1)).scalar()
    # The hour in which the step would begin is left for the next step, unless it is the last one.
    return hour_range.first if start_time is None else min(start_time // HOUR_MS + 1, hour_range.last)


def _replace(summed: Sequence[SummedHours], transaction: Transaction) -> None:
    """Replace the rollups of hours and delete their marks. Raises `Overtaken` if one of the marks does not exist."""
    connection = transaction.connection
    for hours in summed:
        hour_range, ids = hours.hour_range, sorted(hours.hour_range.mark_ids)
        deleted_count = 0
        for start in range(0, len(ids), 512):
            batch = any_of(rollup_marks.c.id, ids[start : start + 512])
            deleted_count += connection.execute(delete(rollup_marks).where(batch)).rowcount
        if deleted_count < len(ids):
            raise Overtaken
        remaining_marks = [(uuid7(), hour_range.project, hour, hour) for hour in sorted(hours.sums.unsummable)]
        if hours.start > hour_range.first:
            remaining_marks.append((uuid7(), hour_range.project, hour_range.first, hours.start - 1))
        transaction.put(INSERT_MARK, remaining_marks)
        for table in (rollups, rollup_values):
            condition = (table.c.project == hour_range.project, table.c.hour.between(hours.start, hour_range.last))
            connection.execute(delete(table).where(*condition))
        transaction.put(INSERT, hours.sums.rows)
        transaction.put(INSERT_VALUE, hours.sums.values)
