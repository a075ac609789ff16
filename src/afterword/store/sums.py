"""The sums of analytics.py, from the rollups where these are up to date and from the rows elsewhere: the same answers.

The rollups know hours and models. They answer where the filter speaks of nothing else, and where nothing else splits;
what the rest of an hour is asked for, and hours with a mark, are summed from the rows. All is one snapshot.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, and_, cast, func, literal, not_, null, select

from afterword.store import analytics
from afterword.store.analytics import MOST_SPLITS, Sums, TrendPart, TrendParts, Values
from afterword.store.filters import leaves
from afterword.store.float_sums import SCALE, deviation, reference, within_square
from afterword.store.rollups import HOUR, INTERACTIONS, MEASURES, MOST_VALUES
from afterword.store.schema import models, rollup_marks, rollup_values, rollups

# Marked hours are read from the rows in so many pieces at most; with more, hours between them are read so as well.
MOST_PIECES = 20
# No interaction is as old or as new as that, in hours.
FIRST, LAST = 0, 1 << 30


def summed(connection: Connection, values: Values) -> list[Sums]:
    """Return the values of each split, or of all as one; see `analytics.summed`."""
    plan = _plan(connection, values)
    if plan is None:
        return analytics.summed(connection, values)
    parts = plan.sums(connection)
    for piece in plan.pieces:
        parts += analytics.summed(connection, piece, None)
    together: dict[str | None, list[Sums]] = defaultdict(list)
    for part in parts:
        together[part.key].append(part)
    found = sorted(map(_one, together.values()), key=lambda one: (-one.count, one.key is not None, one.key))
    return found[:MOST_SPLITS]


def distribution(connection: Connection, values: Values, least: float, most: float) -> list[tuple[float, float, int]]:
    """Return start, end and count of bins; see `analytics.distribution`."""
    plan = _plan(connection, values)
    counts = None if plan is None else plan.values(connection)
    if plan is None or counts is None:
        return analytics.distribution(connection, values, least, most)
    for piece in plan.pieces:
        if len(counts) <= MOST_VALUES:
            for value, count in analytics.counted(connection, piece):
                counts[value] = counts.get(value, 0) + count
    if len(counts) > MOST_VALUES:
        return analytics.distribution(connection, values, least, most)
    return [(value, value, counts[value]) for value in sorted(counts)]


def span(connection: Connection, values: Values) -> tuple[int, int] | None:
    """Return the times of the first and the last interaction with such a value; see `analytics.span`."""
    plan = _plan(connection, values)
    if plan is None:
        return analytics.span(connection, values)
    ends = [analytics.span(connection, one) for one in (*plan.pieces, *plan.outer_hours(connection))]
    found = [one for one in ends if one is not None]
    return (min(first for first, _ in found), max(last for _, last in found)) if found else None


def over_time(connection: Connection, values: Values, quantum: int) -> TrendParts:
    """Return the values in each stretch of time; see `analytics.over_time`."""
    plan = None if quantum % HOUR else _plan(connection, values)
    if plan is None:
        return analytics.over_time(connection, values, quantum)
    parts = plan.over_time(connection, quantum)
    for piece in plan.pieces:
        for key, part in analytics.over_time(connection, piece, quantum).items():
            parts[key] = parts[key] + part if key in parts else part
    return parts


def _one(parts: list[Sums]) -> Sums:
    """Return sums as one: means and deviations by the formula of Chan, Golub and LeVeque."""
    if len(parts) == 1:
        return parts[0]
    count = sum(one.count for one in parts)
    near = reference(parts[0].mean)
    above = sum(one.count * (one.mean - near) for one in parts)
    # Where that is beyond the range of floats, the mean is summed from the share of each part.
    average = near + above / count if math.isfinite(above) else sum(one.mean * (one.count / count) for one in parts)
    least, most = min(one.min for one in parts), max(one.max for one in parts)
    distances = [(one.count, within_square(one.mean - near)) for one in parts]
    squares = sum(within_square(one.stddev or 0.0) ** 2 * (one.count - 1) for one in parts)
    spread = deviation(
        count,
        sum(number * distance for number, distance in distances),
        squares + sum(number * distance**2 for number, distance in distances),
    )
    return Sums(parts[0].key, count, min(max(average, least), most), least, most, spread)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which rollups answer: those where `which` holds, a function of the table. `pieces` are the values of the rest."""

    asked: Values
    which: Any
    pieces: list[Values]

    def sums(self, connection: Connection) -> list[Sums]:
        """Return the sums of the rollups, by split."""
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
            Sums(key, int(count), mean, least, most, deviation(int(count), 0.0, squares))
            for key, count, mean, squares, least, most in _rows(connection, query)
        ]

    def over_time(self, connection: Connection, quantum: int) -> TrendParts:
        """Return the sums of the rollups in each stretch, by split."""
        c, key = rollups.c, self._key
        stretch = c.hour // literal(quantum // HOUR)
        if self.asked.metric is None:
            query = self._from(key.label("split"), stretch.label("stretch"), func.sum(c.count))
            rows = _rows(connection, query.group_by("split", "stretch"))
            return {(key, at * quantum): TrendPart(int(count)) for key, at, count in rows}
        # Deviations are summed from the mean of each stretch.
        alike = [key, stretch]
        mean = func.sum(c.total).over(partition_by=alike) / func.sum(c.count).over(partition_by=alike)
        each = self._from(
            key.label("split"), stretch.label("stretch"), c.count, c.total, c.squares, mean.label("mean")
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
            for key, at, count, total, squares in _rows(connection, query)
        }

    def values(self, connection: Connection) -> dict[float, int] | None:
        """Return how often each value was given; None where that is not known of all, or where there are many."""
        number = connection.execute(select(func.sum(rollups.c.count)).where(self.which(rollups))).scalar()
        value, count = rollup_values.c.value, func.sum(rollup_values.c.count)
        query = select(value, count).where(self.which(rollup_values)).group_by(value).limit(MOST_VALUES + 1)
        counts = {row[0]: int(row[1]) for row in connection.execute(query)}
        return counts if sum(counts.values()) == (number or 0) else None

    def outer_hours(self, connection: Connection) -> list[Values]:
        """Return the values of the first and of the last hour of the rollups: which part of an hour, the rows know."""
        hour = rollups.c.hour
        first, last = connection.execute(select(func.min(hour), func.max(hour)).where(self.which(rollups))).one()
        return [] if first is None else [_within(self.asked, one, one) for one in sorted({first, last})]

    @property
    def _key(self) -> ColumnElement[Any]:
        return cast(null(), Text) if self.asked.split_by is None else models.c.key

    def _from(self, *columns: Any) -> Any:
        """Return a query for columns of the rollups."""
        source = (
            rollups if self.asked.split_by is None else rollups.outerjoin(models, models.c.number == rollups.c.model)
        )
        return select(*columns).select_from(source).where(self.which(rollups))


def _plan(connection: Connection, values: Values) -> _Plan | None:
    """Return how the rollups answer; None where they do not."""
    parts = leaves(connection, values.filter, values.names)
    if values.level == "session" or values.split_by not in (None, "model"):
        return None
    if any(one.bounds is None and one.models is None for one in parts):
        return None
    start, end = FIRST * HOUR, LAST * HOUR
    for first, last in (one.bounds for one in parts if one.bounds is not None):
        start, end = max(start, first or start), end if last is None else min(end, last)
    # The hours of which all is asked for.
    first, last = -(-start // HOUR), end // HOUR - 1
    if first > last:
        return None
    marked = _marked(connection, values.names.project, first, last)
    pieces = [_within(values, *one) for one in marked]
    if start < first * HOUR:
        pieces.append(replace(values, between=(start, first * HOUR)))
    if end > (last + 1) * HOUR:
        pieces.append(replace(values, between=((last + 1) * HOUR, end)))
    metric = values.metric
    measure = INTERACTIONS if metric is None else MEASURES[metric] if isinstance(metric, str) else metric

    def which(table: Any) -> ColumnElement[bool]:
        c = table.c
        return and_(
            c.project == values.names.project,
            c.measure == measure,
            c.hour >= first,
            c.hour <= last,
            *(not_(c.hour.between(*one)) for one in marked),
            *(one.models(c.model) for one in parts if one.models is not None),
        )

    return _Plan(values, which, pieces)


def _rows(connection: Connection, query: Any) -> Any:
    return connection.execute(query)


def _within(values: Values, first: int, last: int) -> Values:
    return replace(values, between=(first * HOUR, (last + 1) * HOUR))


def _marked(connection: Connection, project: int, first: int, last: int) -> list[tuple[int, int]]:
    """Return the marked hours between two as few ranges that do not touch."""
    c = rollup_marks.c
    query = select(c.first, c.last).where(c.project == project, c.first <= last, c.last >= first).distinct()
    ranges = _merged((max(one.first, first), min(one.last, last)) for one in connection.execute(query))
    if len(ranges) > MOST_PIECES:
        # The smallest gaps are closed.
        gaps = sorted(later[0] - earlier[1] for earlier, later in pairwise(ranges))
        ranges = _merged(ranges, gap=gaps[-MOST_PIECES])
    return ranges


def _merged(ranges: Iterable[tuple[int, int]], gap: int = 1) -> list[tuple[int, int]]:
    """Return ranges in order, those put together that overlap or lie no farther apart."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged
