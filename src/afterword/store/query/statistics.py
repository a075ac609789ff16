"""Statistics over the rows of many interactions: the values of a metric, their distribution and trend; preferences.

Where the rollups are up to date, rollup_statistics.py computes the same without reading the rows.
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
from afterword.store.engine.dialect import without_index
from afterword.store.query.conditions import Names
from afterword.store.query.float_sums import deviation, mean, reference, scaled_sum, squarable, within_square
from afterword.store.query.groups import grouping_of
from afterword.store.query.matches import Matches
from afterword.store.schema import calls, feedback, interactions, outcomes, preferences
from afterword.types import Filter, Level

# Up to this many distinct values, each has a bin of its own in a distribution.
MAX_SINGLE_VALUE_BINS = 20
MAX_SPLIT_COUNT = 50


@dataclass(frozen=True, slots=True)
class ValueSelection:
    """Which values to read: those of a metric by number, of a system metric by key; None counts the interactions.

    `between` replaces the filter's time range by a part of it: start (inclusive) and end (exclusive) in milliseconds.
    """

    matches: Matches
    metric: int | str | None
    split_by: str | None = None
    between: tuple[int, int] | None = None
    level: Level = "interaction"
    """At the level "session" the values are outcomes of sessions with an interaction that the filter matches."""

    @property
    def connection(self) -> Connection:
        """The connection to read from."""
        return self.matches.connection


@dataclass(frozen=True, slots=True)
class ValueSummary:
    """Statistics of the values of one split, whose key is `key`. `stddev` is None for fewer than two values."""

    key: str | None
    count: int
    mean: float
    min: float
    max: float
    stddev: float | None


@dataclass(frozen=True, slots=True)
class TrendPart:
    """The values of one split in one interval. Interactions have no value: for them there is only a count."""

    count: int
    scaled_total: float = 0.0
    """The sum of the values, as `float_sums` scales it."""
    squares: float = 0.0
    """The sum of the squared deviations of the values from their mean."""

    def __add__(self, other: TrendPart) -> TrendPart:
        """Return both parts combined, by the formula of Chan, Golub and LeVeque."""
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
"""Parts of a trend by the key of their split and the start of their interval in milliseconds."""


def summarize(values: ValueSelection, limit: int | None = MAX_SPLIT_COUNT) -> list[ValueSummary]:
    """Return the statistics of each split, or of all values as one; an empty list if there are no values.

    Of the splits, return the `limit` with the most values.
    """
    rows = _ValueSource(values)
    value = rows.value
    above = rows.above(values)
    if above is None:
        return []
    query = rows.grouped(
        func.count(value),
        # The mean is computed from the sum: PostgreSQL's avg also sums squares, which may overflow.
        scaled_sum(value),
        func.min(value),
        func.max(value),
        func.sum(above),
        func.sum(above * above),
    )
    if rows.key is not None:
        query = query.order_by(func.count(value).desc(), *rows.order).limit(limit)
    summaries: list[ValueSummary] = []
    for key, count, scaled_total, lowest, highest, *deviation_sums in _rows(values, query):
        if count:
            ends = float(lowest), float(highest)
            average = mean(count, scaled_total, *ends)
            summaries.append(ValueSummary(key, count, average, *ends, deviation(count, *deviation_sums)))
    return summaries


def _rows(values: ValueSelection, query: Any) -> Any:
    return values.connection.execute(query)


def count_values(values: ValueSelection) -> list[tuple[float, int]]:
    """Return up to `MAX_SINGLE_VALUE_BINS` + 1 distinct values and their counts."""
    rows = _ValueSource(values)
    query = select(rows.value, func.count()).select_from(rows.source).where(rows.which).group_by(rows.value)
    return [(float(row[0]), row[1]) for row in _rows(values, query.limit(MAX_SINGLE_VALUE_BINS + 1))]


def distribution(values: ValueSelection, minimum: float, maximum: float) -> list[tuple[float, float, int]]:
    """Return (start, end, count) of bins: one for each value, or bins of equal width if there are too many values."""
    value_counts = count_values(values)
    if len(value_counts) <= MAX_SINGLE_VALUE_BINS:
        return [(value, value, count) for value, count in sorted(value_counts)]
    rows = _ValueSource(values)
    value = rows.value
    width = maximum / MAX_SINGLE_VALUE_BINS - minimum / MAX_SINGLE_VALUE_BINS
    # Computed by halves: the sum of all widths may exceed the range of floats.
    ends = [2 * (minimum / 2 + width / 2 * index) for index in range(1, MAX_SINGLE_VALUE_BINS)] + [maximum]
    bin_index = case(*((value < end, index) for index, end in enumerate(ends[:-1])), else_=MAX_SINGLE_VALUE_BINS - 1)
    binned = select(bin_index.label("place"), func.count()).select_from(rows.source).where(rows.which).group_by("place")
    counts = {row[0]: row[1] for row in values.connection.execute(binned)}
    starts = [minimum, *ends[:-1]]
    return [(start, end, counts.get(index, 0)) for index, (start, end) in enumerate(zip(starts, ends, strict=True))]


def span(values: ValueSelection) -> tuple[int, int] | None:
    """Return the times of the first and the last selected value in milliseconds; None if there is none."""
    rows = _ValueSource(values)
    ends = select(func.min(rows.time), func.max(rows.time))
    ends_row = values.connection.execute(ends.select_from(rows.source).where(rows.which))
    first, last = ends_row.one()
    return None if first is None else (first, last)


def over_time(values: ValueSelection, quantum: int) -> TrendParts:
    """Return the values of each interval of `quantum` milliseconds that has values."""
    rows = _ValueSource(values)
    interval = (rows.time // literal(quantum)).label("stretch")
    columns: list[Any] = [interval, func.count(rows.value)]
    if values.metric is not None:
        above = rows.above(values)
        if above is None:
            return {}
        columns += [scaled_sum(rows.value), func.sum(above), func.sum(above * above)]
    return {
        (key, at * quantum): TrendPart(count, *_total_and_squares(count, *map(float, sums)))
        for key, at, count, *sums in _rows(values, rows.grouped(*columns).group_by("stretch"))
        if count
    }


def _total_and_squares(
    count: int, scaled_total: float = 0.0, above: float = 0.0, squares: float = 0.0
) -> tuple[float, float]:
    return scaled_total, max(0.0, squares - above * above / count)


def count_preferences(
    connection: Connection, names: Names, filter: Filter | None, metric: int
) -> list[tuple[int, int, str | None, int]]:
    """Return (preferred model, other model, kind of tie, count) of the preferences between two models."""
    preferred, other = interactions.alias("one"), interactions.alias("other")
    query = (
        select(preferred.c.model, other.c.model, preferences.c.tied, func.count())
        .select_from(
            preferences.join(preferred, preferred.c.id == preferences.c.interaction_id).join(
                other, other.c.id == preferences.c.other_id
            )
        )
        .where(
            preferences.c.metric == metric,
            preferences.c.side == 1,
            preferred.c.project == names.project,
            preferred.c.model != other.c.model,
        )
        .group_by(preferred.c.model, other.c.model, preferences.c.tied)
    )
    if filter is not None:
        matching = select(interactions.c.id).where(Matches(connection, names, filter).where_clause())
        query = query.where(preferences.c.interaction_id.in_(matching), preferences.c.other_id.in_(matching))
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]


class _ValueSource:
    """The rows that hold the values: `source` where `which` holds, with the columns `value`, `time` and, of the split,
    `key`."""

    def __init__(self, values: ValueSelection) -> None:
        self.time: ColumnElement[int] = interactions.c.created_at
        self.key: ColumnElement[Any] | None = None
        self.words: Any = None
        self.source: FromClause = interactions
        of_metric = isinstance(values.metric, int) and values.level == "interaction"
        matches = values.matches
        where, is_lookup = matches.where_clause_for_join(between=values.between, is_joined=of_metric)
        which = [where]
        if values.split_by is not None:
            # Interactions without the label count under the key None.
            split = grouping_of(matches.connection, matches.names, values.split_by, where)
            self.key, self.source, self.words = split.key, split.source, split.words
            where = split.condition
            which = [where]
        self.value: ColumnElement[Any]
        if values.level == "session":
            which = self._outcomes(values, where)
        elif values.metric is None:
            self.value = interactions.c.id
        elif isinstance(values.metric, str):
            self.source = self.source.join(calls, calls.c.interaction_id == interactions.c.id)
            self.value = calls.c[values.metric]
            which += [without_index(calls.c.state) == COMPLETE, self.value.is_not(None)]
        else:
            self.source = self.source.join(feedback, feedback.c.interaction_id == interactions.c.id)
            self.value = feedback.c.value
            # After a lookup of interactions, an expression in place of the column makes the database read the feedback
            # of each interaction, not that of the metric.
            metric = without_index(feedback.c.metric) if is_lookup else feedback.c.metric
            which.append(metric == values.metric)
        self.which = and_(*which)

    def _outcomes(self, values: ValueSelection, where: ColumnElement[bool]) -> list[ColumnElement[bool]]:
        """Select outcomes in place of interactions; return their conditions.

        A session with interactions of several splits counts once in each of them.
        """
        columns: list[ColumnElement[Any]] = [
            func.coalesce(interactions.c.session_id, interactions.c.id, type_=interactions.c.id.type)
        ]
        if self.key is not None:
            columns.append(self.key)
        labelled = [column.label(name) for name, column in zip(("session", "key"), columns, strict=False)]
        sessions = select(*labelled).select_from(self.source).where(where).distinct().subquery()
        self.source = outcomes.join(sessions, sessions.c.session == outcomes.c.session_id)
        self.value, self.time = outcomes.c.value, outcomes.c.created_at
        if self.key is not None:
            self.key = sessions.c.key
        return [outcomes.c.project == values.matches.names.project, outcomes.c.metric == values.metric]

    def above(self, values: ValueSelection) -> ColumnElement[Any] | None:
        """Return the difference of each value from a reference, which is one of the values; None if there are none.

        Deviations are summed from the reference: squares of large values lose the small differences between them.
        """
        unsplit = _ValueSource(replace(values, split_by=None))
        one_value = select(unsplit.value).select_from(unsplit.source).where(unsplit.which).limit(1)
        nearby_value = values.connection.execute(one_value).scalar()
        return None if nearby_value is None else squarable(self.value - literal(reference(nearby_value)))

    @property
    def order(self) -> tuple[Any, ...]:
        """Return the columns that order splits of equal counts."""
        word = self.words[1]
        return word.is_not(None), word

    def grouped(self, *columns: Any) -> Any:
        """Return a query for these columns of each split, after its key."""
        if self.key is None:
            return select(null(), *columns).select_from(self.source).where(self.which)
        number, word = self.words
        source = self.source.outerjoin(number.table, number == self.key)
        return select(word, *columns).select_from(source).where(self.which).group_by(word)
