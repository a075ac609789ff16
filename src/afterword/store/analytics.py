"""Sums over the rows of many interactions: the values of a metric, how they lie, over time; what was preferred to what.

Where there are rollups, sums.py answers the same without going over the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    case,
    func,
    literal,
    null,
    select,
)

from afterword.store.calls import COMPLETE
from afterword.store.filters import Names, between
from afterword.store.float_sums import deviation, mean, reference, scaled_sum, squarable, within_square
from afterword.store.groups import grouped_by
from afterword.store.pages import narrowed, narrowed_beside
from afterword.store.schema import calls, feedback, interactions, outcomes, preferences
from afterword.types import Filter, Level

# Up to so many values each have a bin of their own.
MOST_VALUES = 20
MOST_SPLITS = 50


@dataclass(frozen=True, slots=True)
class Values:
    """Which values: those of a metric by number, of a system metric by key; None for the interactions themselves.

    `between` are times within those of the filter, and stand in their place: from (inclusive) to (exclusive),
    milliseconds.
    """

    names: Names
    filter: Filter | None
    metric: int | str | None
    split_by: str | None = None
    between: tuple[int, int] | None = None
    level: Level = "interaction"
    """At the level of sessions the values are outcomes, of sessions that have an interaction which the filter finds."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Values in short; `key` is that of the split. `stddev` is None for fewer than two."""

    key: str | None
    count: int
    mean: float
    min: float
    max: float
    stddev: float | None


@dataclass(frozen=True, slots=True)
class TrendPart:
    """The values of one split within some time. Of interactions, which have no value, there is only a count."""

    count: int
    scaled_total: float = 0.0
    """The sum of the values, as `float_sums` scales it."""
    squares: float = 0.0
    """The sum of the squares of what the values are above or below their mean."""

    def __add__(self, other: TrendPart) -> TrendPart:
        """Return two parts as one, by the formula of Chan, Golub and LeVeque."""
        count = self.count + other.count
        squares = (
            self.squares + other.squares + within_square(self.mean - other.mean) ** 2 * self.count * other.count / count
        )
        return TrendPart(count, self.scaled_total + other.scaled_total, squares)

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return mean(self.count, self.scaled_total)

    @property
    def stddev(self) -> float | None:
        """The sample standard deviation; None for fewer than two values."""
        return deviation(self.count, 0.0, self.squares)


TrendParts: TypeAlias = dict[tuple[str | None, int], TrendPart]
"""Parts of a trend by the key of their split and by when they begin, in milliseconds."""


def summed(connection: Connection, values: Values, most: int | None = MOST_SPLITS) -> list[Sums]:
    """Return the values of each split, or of all as one; none where there are no values. Of splits, those with the most
    values."""
    chosen = _Chosen(connection, values)
    value = chosen.value
    above = chosen.above(connection, values)
    if above is None:
        return []
    query = chosen.grouped(
        func.count(value),
        # The mean is of the sum: PostgreSQL's avg sums squares, too, which may be too large for it.
        scaled_sum(value),
        func.min(value),
        func.max(value),
        func.sum(above),
        func.sum(above * above),
    )
    if chosen.key is not None:
        query = query.order_by(func.count(value).desc(), *chosen.order).limit(most)
    found: list[Sums] = []
    for key, count, scaled_total, lowest, highest, *of_deviation in _rows(connection, query):
        if count:
            ends = float(lowest), float(highest)
            found.append(Sums(key, count, mean(count, scaled_total, *ends), *ends, deviation(count, *of_deviation)))
    return found


def _rows(connection: Connection, query: Any) -> Any:
    return connection.execute(query)


def counted(connection: Connection, values: Values) -> list[tuple[float, int]]:
    """Return the values and how often each is there, up to one more than have a bin of their own."""
    chosen = _Chosen(connection, values)
    query = select(chosen.value, func.count()).select_from(chosen.source).where(chosen.which).group_by(chosen.value)
    return [(float(row[0]), row[1]) for row in connection.execute(query.limit(MOST_VALUES + 1))]


def distribution(connection: Connection, values: Values, least: float, most: float) -> list[tuple[float, float, int]]:
    """Return start, end and count of bins: a value each, or as many of the same width where there are too many."""
    few = counted(connection, values)
    if len(few) <= MOST_VALUES:
        return [(one, one, count) for one, count in sorted(few)]
    chosen = _Chosen(connection, values)
    value = chosen.value
    width = most / MOST_VALUES - least / MOST_VALUES
    # By halves: so many widths may be beyond the range of floats.
    ends = [2 * (least / 2 + width / 2 * place) for place in range(1, MOST_VALUES)] + [most]
    place = case(*((value < end, index) for index, end in enumerate(ends[:-1])), else_=MOST_VALUES - 1)
    binned = select(place.label("place"), func.count()).select_from(chosen.source).where(chosen.which).group_by("place")
    counts = {row[0]: row[1] for row in connection.execute(binned)}
    starts = [least, *ends[:-1]]
    return [(start, end, counts.get(index, 0)) for index, (start, end) in enumerate(zip(starts, ends, strict=True))]


def span(connection: Connection, values: Values) -> tuple[int, int] | None:
    """Return the times of the first and the last interaction with such a value, or outcome, in milliseconds."""
    chosen = _Chosen(connection, values)
    ends = select(func.min(chosen.time), func.max(chosen.time))
    found = connection.execute(ends.select_from(chosen.source).where(chosen.which))
    first, last = found.one()
    return None if first is None else (first, last)


def over_time(connection: Connection, values: Values, quantum: int) -> TrendParts:
    """Return the values in each stretch of `quantum` milliseconds that has any."""
    chosen = _Chosen(connection, values)
    stretch = (chosen.time // literal(quantum)).label("stretch")
    columns: list[Any] = [stretch, func.count(chosen.value)]
    if values.metric is not None:
        above = chosen.above(connection, values)
        if above is None:
            return {}
        columns += [scaled_sum(chosen.value), func.sum(above), func.sum(above * above)]
    return {
        (key, at * quantum): TrendPart(count, *_total_and_squares(count, *map(float, sums)))
        for key, at, count, *sums in _rows(connection, chosen.grouped(*columns).group_by("stretch"))
        if count
    }


def _total_and_squares(
    count: int, scaled_total: float = 0.0, above: float = 0.0, squares: float = 0.0
) -> tuple[float, float]:
    return scaled_total, max(0.0, squares - above * above / count)


def compared(
    connection: Connection, names: Names, filter: Filter | None, metric: int
) -> list[tuple[int, int, str | None, int]]:
    """Return the preferred and the other model, the kind of tie and how many, for preferences between two models."""
    one, other = interactions.alias("one"), interactions.alias("other")
    query = (
        select(one.c.model, other.c.model, preferences.c.tied, func.count())
        .select_from(
            preferences.join(one, one.c.id == preferences.c.interaction_id).join(
                other, other.c.id == preferences.c.other_id
            )
        )
        .where(
            preferences.c.metric == metric,
            preferences.c.side == 1,
            one.c.project == names.project,
            one.c.model != other.c.model,
        )
        .group_by(one.c.model, other.c.model, preferences.c.tied)
    )
    if filter is not None:
        matching = select(interactions.c.id).where(narrowed(connection, names, filter))
        query = query.where(preferences.c.interaction_id.in_(matching), preferences.c.other_id.in_(matching))
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]


class _Chosen:
    """The rows that values stand in: `source` where `which` holds, `value` and `time` in each; `key` is the split's."""

    def __init__(self, connection: Connection, values: Values) -> None:
        self.time: ColumnElement[int] = interactions.c.created_at
        self.key: ColumnElement[Any] | None = None
        self.words: Any = None
        self.source: FromClause = interactions
        of_metric = isinstance(values.metric, int) and values.level == "interaction"
        times = None if values.between is None else between(values.names, *values.between)
        wanted, sought = narrowed_beside(connection, values.names, values.filter, times=times, another=of_metric)
        which = [wanted]
        if values.split_by is not None:
            # Interactions without the label count, too: under no key.
            split = grouped_by(connection, values.names, values.split_by, wanted)
            self.key, self.source, self.words = split.key, split.source, split.words
            wanted = split.condition
            which = [wanted]
        self.value: ColumnElement[Any]
        if values.level == "session":
            which = self._outcomes(values, wanted)
        elif values.metric is None:
            self.value = interactions.c.id
        elif isinstance(values.metric, str):
            self.source = self.source.join(calls, calls.c.interaction_id == interactions.c.id)
            self.value = calls.c[values.metric]
            which += [calls.c.state + literal(0) == COMPLETE, self.value.is_not(None)]
        else:
            self.source = self.source.join(feedback, feedback.c.interaction_id == interactions.c.id)
            self.value = feedback.c.value
            # An expression in place of the column where interactions are sought: their feedback is wanted then, not
            # that of the metric.
            metric = feedback.c.metric + literal(0) if sought else feedback.c.metric
            which.append(metric == values.metric)
        self.which = and_(*which)

    def _outcomes(self, values: Values, wanted: ColumnElement[bool]) -> list[ColumnElement[bool]]:
        """Take outcomes in place of interactions; return which.

        A session with interactions of several splits counts in each of them, once.
        """
        columns: list[ColumnElement[Any]] = [
            func.coalesce(interactions.c.session_id, interactions.c.id, type_=interactions.c.id.type)
        ]
        if self.key is not None:
            columns.append(self.key)
        labelled = [column.label(name) for name, column in zip(("session", "key"), columns, strict=False)]
        sessions = select(*labelled).select_from(self.source).where(wanted).distinct().subquery()
        self.source = outcomes.join(sessions, sessions.c.session == outcomes.c.session_id)
        self.value, self.time = outcomes.c.value, outcomes.c.created_at
        if self.key is not None:
            self.key = sessions.c.key
        return [outcomes.c.project == values.names.project, outcomes.c.metric == values.metric]

    def above(self, connection: Connection, values: Values) -> ColumnElement[Any] | None:
        """Return what each value is above one of them; None where there is none.

        Deviations are summed from it: the squares of large values lose the small differences between them.
        """
        unsplit = _Chosen(connection, replace(values, split_by=None))
        one_value = select(unsplit.value).select_from(unsplit.source).where(unsplit.which).limit(1)
        near = connection.execute(one_value).scalar()
        return None if near is None else squarable(self.value - literal(reference(near)))

    @property
    def order(self) -> tuple[Any, ...]:
        """Return what splits with as many values are ordered by."""
        word = self.words[1]
        return word.is_not(None), word

    def grouped(self, *columns: Any) -> Any:
        """Return a query for these columns of each split, after its key."""
        if self.key is None:
            return select(null(), *columns).select_from(self.source).where(self.which)
        number, word = self.words
        source = self.source.outerjoin(number.table, number == self.key)
        return select(word, *columns).select_from(source).where(self.which).group_by(word)
