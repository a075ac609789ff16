"""The statistics of statistics.py, from the rollups where these are up to date, otherwise from the rows.

Rollups are by hour and model. They can answer if the filter and the split use nothing else. Dirty hours, and parts of
an hour at the ends of a time range, are read from the rows. All reads are of one snapshot.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, and_, cast, func, literal, not_, null, select

from afterword.store.background.rollups import HOUR_MS, INTERACTIONS_MEASURE_ID, MAX_VALUE_ROWS, MEASURES
from afterword.store.query import statistics
from afterword.store.query.float_sums import SCALE, deviation, reference, within_square
from afterword.store.query.statistics import MAX_SPLIT_COUNT, TrendPart, TrendParts, ValueSelection, ValueSummary
from afterword.store.schema import models, rollup_marks, rollup_values, rollups

# Upper bound on the ranges of dirty hours that are read from the rows; with more, the smallest gaps are read as well.
MAX_PIECE_COUNT = 20
# Hours before the first and after the last interaction of any store.
FIRST_HOUR, LAST_HOUR = 0, 1 << 30


def summarize(values: ValueSelection) -> list[ValueSummary]:
    """Return the statistics of each split, or of all values as one; see `statistics.summarize`."""
    plan = _find_plan(values)
    if plan is None:
        return statistics.summarize(values)
    parts = plan.sums()
    for piece in plan.pieces:
        parts += statistics.summarize(piece, None)
    sums_by_split: dict[str | None, list[ValueSummary]] = defaultdict(list)
    for part in parts:
        sums_by_split[part.key].append(part)
    summaries = sorted(
        map(_combined, sums_by_split.values()),
        key=lambda summary: (-summary.count, summary.key is not None, summary.key),
    )
    return summaries[:MAX_SPLIT_COUNT]


def distribution(values: ValueSelection, minimum: float, maximum: float) -> list[tuple[float, float, int]]:
    """Return (start, end, count) of bins; see `statistics.distribution`."""
    plan = _find_plan(values)
    counts = None if plan is None else plan.values()
    if plan is None or counts is None:
        return statistics.distribution(values, minimum, maximum)
    for piece in plan.pieces:
        if len(counts) <= MAX_VALUE_ROWS:
            for value, count in statistics.count_values(piece):
                counts[value] = counts.get(value, 0) + count
    if len(counts) > MAX_VALUE_ROWS:
        return statistics.distribution(values, minimum, maximum)
    return [(value, value, counts[value]) for value in sorted(counts)]


def span(values: ValueSelection) -> tuple[int, int] | None:
    """Return the times of the first and the last selected value; see `statistics.span`."""
    plan = _find_plan(values)
    if plan is None:
        return statistics.span(values)
    ends = [statistics.span(piece) for piece in (*plan.pieces, *plan.outer_hours())]
    spans = [end for end in ends if end is not None]
    return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None


def over_time(values: ValueSelection, quantum: int) -> TrendParts:
    """Return the values of each interval; see `statistics.over_time`."""
    plan = None if quantum % HOUR_MS else _find_plan(values)
    if plan is None:
        return statistics.over_time(values, quantum)
    parts = plan.over_time(quantum)
    for piece in plan.pieces:
        for key, part in statistics.over_time(piece, quantum).items():
            parts[key] = parts[key] + part if key in parts else part
    return parts


def _combined(parts: list[ValueSummary]) -> ValueSummary:
    """Return parts combined: means and deviations by the formula of Chan, Golub and LeVeque."""
    if len(parts) == 1:
        return parts[0]
    count = sum(part.count for part in parts)
    nearby_mean = reference(parts[0].mean)
    above = sum(part.count * (part.mean - nearby_mean) for part in parts)
    # If that exceeds the range of floats, the mean is summed from the share of each part.
    average = (
        nearby_mean + above / count if math.isfinite(above) else sum(part.mean * (part.count / count) for part in parts)
    )
    minimum, maximum = min(part.min for part in parts), max(part.max for part in parts)
    distances = [(part.count, within_square(part.mean - nearby_mean)) for part in parts]
    squares = sum(within_square(part.stddev or 0.0) ** 2 * (part.count - 1) for part in parts)
    spread = deviation(
        count,
        sum(number * distance for number, distance in distances),
        squares + sum(number * distance**2 for number, distance in distances),
    )
    return ValueSummary(parts[0].key, count, min(max(average, minimum), maximum), minimum, maximum, spread)


@dataclass(frozen=True, slots=True)
class _RollupPlan:
    """Which rollups to read: those where `which(table)` holds. `pieces` select the values to read from the rows."""

    selection: ValueSelection
    which: Any
    pieces: list[ValueSelection]

    def sums(self) -> list[ValueSummary]:
        """Return the statistics of the rollups, by split."""
        c, key = rollups.c, self._key
        # Deviations are summed from the mean of each split.
        mean = func.sum(c.total).over(partition_by=key) / func.sum(c.count).over(partition_by=key)
        each = self._from(
            key.label("split"), c.count, c.total, c.squares, c.least, c.most, mean.label("mean")
        ).subquery()
        above = each.c.total / each.c.count - each.c.mean
        query = select(
            each.c.split,
            func.sum(each.c.count),
            func.min(each.c.mean),
            func.sum(each.c.squares + each.c.count * above * above),
            func.min(each.c.least),
            func.max(each.c.most),
        ).group_by(each.c.split)
        return [
            ValueSummary(key, int(count), mean, minimum, maximum, deviation(int(count), 0.0, squares))
            for key, count, mean, squares, minimum, maximum in self._rows(query)
        ]

    def over_time(self, quantum: int) -> TrendParts:
        """Return the statistics of the rollups in each interval, by split."""
        c, key = rollups.c, self._key
        interval = c.hour // literal(quantum // HOUR_MS)
        if self.selection.metric is None:
            query = self._from(key.label("split"), interval.label("stretch"), func.sum(c.count))
            rows = self._rows(query.group_by("split", "stretch"))
            return {(key, at * quantum): TrendPart(int(count)) for key, at, count in rows}
        # Deviations are summed from the mean of each interval.
        alike = [key, interval]
        mean = func.sum(c.total).over(partition_by=alike) / func.sum(c.count).over(partition_by=alike)
        each = self._from(
            key.label("split"), interval.label("stretch"), c.count, c.total, c.squares, mean.label("mean")
        ).subquery()
        above = each.c.total / each.c.count - each.c.mean
        query = select(
            each.c.split,
            each.c.stretch,
            func.sum(each.c.count),
            func.sum(each.c.total),
            func.sum(each.c.squares + each.c.count * above * above),
        ).group_by(each.c.split, each.c.stretch)
        return {
            (key, at * quantum): TrendPart(int(count), total * SCALE, squares)
            for key, at, count, total, squares in self._rows(query)
        }

    def values(self) -> dict[float, int] | None:
        """Return the count of each value; None if the rollups do not hold all counts."""
        number = self._rows(select(func.sum(rollups.c.count)).where(self.which(rollups))).scalar()
        value, count = rollup_values.c.value, func.sum(rollup_values.c.count)
        query = select(value, count).where(self.which(rollup_values)).group_by(value).limit(MAX_VALUE_ROWS + 1)
        counts = {row[0]: int(row[1]) for row in self._rows(query)}
        return counts if sum(counts.values()) == (number or 0) else None

    def outer_hours(self) -> list[ValueSelection]:
        """Select the values of the first and of the last hour of the rollups, whose exact times only the rows hold."""
        hour = rollups.c.hour
        first, last = self._rows(select(func.min(hour), func.max(hour)).where(self.which(rollups))).one()
        return (
            []
            if first is None
            else [_hours_of(self.selection, outer_hour, outer_hour) for outer_hour in sorted({first, last})]
        )

    @property
    def _key(self) -> ColumnElement[Any]:
        return cast(null(), Text) if self.selection.split_by is None else models.c.key

    def _rows(self, query: Any) -> Any:
        return self.selection.connection.execute(query)

    def _from(self, *columns: Any) -> Any:
        """Return a query for columns of the rollups."""
        source = (
            rollups
            if self.selection.split_by is None
            else rollups.outerjoin(models, models.c.number == rollups.c.model)
        )
        return select(*columns).select_from(source).where(self.which(rollups))


def _find_plan(values: ValueSelection) -> _RollupPlan | None:
    """Return the plan to answer from the rollups; None if they cannot answer."""
    conditions, project = values.matches.conditions, values.matches.names.project
    if values.level == "session" or values.split_by not in (None, "model"):
        return None
    if any(condition.bounds is None and condition.model_check is None for condition in conditions):
        return None
    start, end = FIRST_HOUR * HOUR_MS, LAST_HOUR * HOUR_MS
    for first, last in (condition.bounds for condition in conditions if condition.bounds is not None):
        start, end = max(start, first or start), end if last is None else min(end, last)
    # The hours that lie entirely in the time range.
    first, last = -(-start // HOUR_MS), end // HOUR_MS - 1
    if first > last:
        return None
    dirty_ranges = _dirty_ranges(values.connection, project, first, last)
    pieces = [_hours_of(values, *hours) for hours in dirty_ranges]
    if start < first * HOUR_MS:
        pieces.append(replace(values, between=(start, first * HOUR_MS)))
    if end > (last + 1) * HOUR_MS:
        pieces.append(replace(values, between=((last + 1) * HOUR_MS, end)))
    metric = values.metric
    measure = INTERACTIONS_MEASURE_ID if metric is None else MEASURES[metric] if isinstance(metric, str) else metric

    def which(table: Any) -> ColumnElement[bool]:
        c = table.c
        return and_(
            c.project == project,
            c.measure == measure,
            c.hour >= first,
            c.hour <= last,
            *(not_(c.hour.between(*hours)) for hours in dirty_ranges),
            *(condition.model_check(c.model) for condition in conditions if condition.model_check is not None),
        )

    return _RollupPlan(values, which, pieces)


def _hours_of(values: ValueSelection, first: int, last: int) -> ValueSelection:
    return replace(values, between=(first * HOUR_MS, (last + 1) * HOUR_MS))


def _dirty_ranges(connection: Connection, project: int, first: int, last: int) -> list[tuple[int, int]]:
    """Return the dirty hours from `first` to `last` as a few ranges that do not touch."""
    c = rollup_marks.c
    query = select(c.first, c.last).where(c.project == project, c.first <= last, c.last >= first).distinct()
    ranges = _merged((max(row.first, first), min(row.last, last)) for row in connection.execute(query))
    if len(ranges) > MAX_PIECE_COUNT:
        # Merge the ranges across the smallest gaps.
        gaps = sorted(later[0] - earlier[1] for earlier, later in pairwise(ranges))
        ranges = _merged(ranges, gap=gaps[-MAX_PIECE_COUNT])
    return ranges


def _merged(ranges: Iterable[tuple[int, int]], gap: int = 1) -> list[tuple[int, int]]:
    """Return ranges in order, merging those that overlap or are at most `gap` apart."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
