"""Statistics over many interactions: summaries and trends of a metric, and models ranked by preferences."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import UNSET
from sqlalchemy import Connection

from afterword.errors import Invalid
from afterword.service.context import Context, ProjectNames
from afterword.service.interactions.plain_filters import plain_filter
from afterword.service.timestamps import to_datetime
from afterword.statistics.bradley_terry import PairCounts, ratings, win_rate
from afterword.store.query import rollup_statistics as stored
from afterword.store.query.matches import Matches
from afterword.store.query.statistics import MAX_SPLIT_COUNT, TrendPart, ValueSelection, count_preferences
from afterword.types import (
    Bin,
    Filter,
    Interval,
    Level,
    Match,
    MetricSummary,
    NewCountTrend,
    NewRanking,
    NewSummary,
    NewTrend,
    Point,
    RankedModel,
    RankedPair,
    Ranking,
    Series,
    SplitSummary,
    Trend,
)
from afterword.types.queries import CountTrendQuery, RankingQuery, SummaryQuery, TrendQuery

_TrendSeries: TypeAlias = dict[str | None, dict[datetime, TrendPart]]
"""The parts of each split, by the start of their interval."""

MAX_TREND_POINT_COUNT = 2_000
MAX_RANKED_MODELS = 100
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
# The offsets of all time zones are multiples of a quarter of an hour.
QUARTER_HOUR_MS = 15 * MINUTE_MS


async def summarise(context: Context, metric: str, *, query: SummaryQuery) -> MetricSummary:
    """Summarise the values of a metric: count, mean, minimum, maximum, standard deviation and distribution.

    Filters are those of the list of interactions. `split_by` (model or label:KEY) adds a summary for each model or
    label value. System metrics can be summarised, too. With `level=session` the values are the outcomes of sessions.
    """
    filter = await plain_filter(context, query)
    return await _summarise(context, metric, query.project, filter, query.split_by, query.level)


async def summarise_filtered(context: Context, metric: str, *, body: NewSummary) -> MetricSummary:
    """Summarise the values of a metric with a filter tree; otherwise as with GET."""
    return await _summarise(context, metric, body.project, body.filter, body.split_by, body.level)


async def trend(context: Context, metric: str, *, query: TrendQuery) -> Trend:
    """Show the values of a metric over time: count, mean and deviation by minute, hour, day or week of a time zone.

    Values count at the time of their interaction, not of the feedback; with `level=session`, at the time of the
    outcome. Intervals without values are left out.
    """
    trend_request = await _trend_request(context, query)
    return await _trend(context, metric, trend_request)


async def trend_filtered(context: Context, metric: str, *, body: NewTrend) -> Trend:
    """Show the values of a metric over time with a filter tree; otherwise as with GET."""
    return await _trend(context, metric, body)


async def count_over_time(context: Context, *, query: CountTrendQuery) -> Trend:
    """Count interactions over time, by minute, hour, day or week of a time zone.

    With `failures`, each point also has the number of interactions that failed.
    """
    trend_request = await _trend_request(context, query)
    return await _trend(context, None, trend_request, failures=query.failures)


async def count_filtered_over_time(context: Context, *, body: NewCountTrend) -> Trend:
    """Count interactions over time with a filter tree; otherwise as with GET."""
    return await _trend(context, None, body, failures=body.failures)


async def rank(context: Context, *, query: RankingQuery) -> Ranking:
    """Rank models by the preferences under a metric: wins, losses, ties, ratings with 95 % intervals.

    A preference counts if both of its interactions match the filters. Ratings follow the Bradley-Terry model, with
    Davidson's extension for ties.
    """
    return await _rank(context, query.metric, query.project, await plain_filter(context, query))


async def rank_filtered(context: Context, *, body: NewRanking) -> Ranking:
    """Rank models by the preferences under a metric with a filter tree; otherwise as with GET."""
    return await _rank(context, body.metric, body.project, body.filter)


async def _summarise(
    context: Context, metric: str, project: str | None, filter: Filter | None, split_by: str | None, level: Level
) -> MetricSummary:
    select_values, key, kind, scoring_type = _metric_values(context, metric, project, filter, split_by, level)

    def read(connection: Connection) -> MetricSummary:
        values = select_values(connection)
        unsplit = replace(values, split_by=None)
        total_rows = stored.summarize(unsplit)
        splits = stored.summarize(values) if split_by is not None and total_rows else []
        [sums] = total_rows or [None]
        bins = [] if sums is None else stored.distribution(unsplit, sums.min, sums.max)
        return MetricSummary(
            metric=key,
            kind=kind,
            scoring_type=scoring_type,
            count=sums.count if sums else 0,
            mean=sums and sums.mean,
            min=sums and sums.min,
            max=sums and sums.max,
            stddev=sums and sums.stddev,
            distribution=[Bin(start=start, end=end, count=count) for start, end, count in bins],
            splits=[
                SplitSummary(
                    key=split_sums.key,
                    count=split_sums.count,
                    mean=split_sums.mean,
                    min=split_sums.min,
                    max=split_sums.max,
                    stddev=split_sums.stddev,
                )
                for split_sums in splits
            ],
        )

    return await context.store.read_long(read)


async def _trend(context: Context, metric: str | None, trend_request: NewTrend, *, failures: bool = False) -> Trend:
    zone = _zone(trend_request.timezone)
    select_failures: Callable[[Connection], ValueSelection] | None = None
    if metric is None:
        _refuse_sessions(trend_request.level, "without a metric interactions are counted")
        names = context.names(context.project(trend_request.project))
        split = _checked_split(trend_request.split_by)
        select_values = _value_selector(names, trend_request.filter, None, split)
        if failures:
            select_failures = _value_selector(names, _failed(trend_request.filter), None, split)
        key = None
    else:
        select_values, key, _, _ = _metric_values(
            context, metric, trend_request.project, trend_request.filter, trend_request.split_by, trend_request.level
        )

    def read(connection: Connection) -> Trend:
        values = select_values(connection)
        time_span = stored.span(replace(values, split_by=None))
        series: _TrendSeries = {}
        failed_series: _TrendSeries = {}
        if time_span is not None:
            _check_span(*time_span, trend_request.interval)
            series = _series_over_time(values, trend_request.interval, zone, time_span)
            if select_failures is not None:
                failed_series = _series_over_time(select_failures(connection), trend_request.interval, zone, time_span)
        counts = {split: sum(part.count for part in parts.values()) for split, parts in series.items()}
        split_order = sorted(series, key=lambda split_key: (-counts[split_key], split_key is not None, split_key))
        return Trend(
            metric=key,
            interval=trend_request.interval,
            timezone=trend_request.timezone,
            series=[
                Series(
                    key=split,
                    points=[
                        Point(
                            start=start.astimezone(UTC),
                            end=_bucket_end(start, trend_request.interval).astimezone(UTC),
                            count=part.count,
                            mean=None if key is None else part.mean,
                            stddev=None if key is None else part.stddev,
                            failed=_count_at(failed_series, split, start) if failures else UNSET,
                        )
                        for start, part in sorted(series[split].items(), key=itemgetter(0))
                    ],
                )
                for split in split_order[:MAX_SPLIT_COUNT]
            ],
        )

    return await context.store.read_long(read)


def _failed(filter: Filter | None) -> Filter:
    """Return the filter of the failed interactions among those that `filter` matches."""
    failed = Filter(state=Match(eq="failed"))
    return failed if filter is None else Filter(and_=[filter, failed])


def _series_over_time(
    values: ValueSelection, interval: Interval, zone: ZoneInfo, time_span: tuple[int, int]
) -> _TrendSeries:
    series: _TrendSeries = defaultdict(dict)
    start_of = _start_of(interval, zone)
    quantum = MINUTE_MS if interval == "minute" else _quantum(zone, *time_span)
    for (split, bucket_start), part in stored.over_time(values, quantum).items():
        start = start_of(bucket_start)
        before = series[split].get(start)
        series[split][start] = part if before is None else before + part
    return series


def _count_at(series: _TrendSeries, split: str | None, start: datetime) -> int:
    part = series.get(split, {}).get(start)
    return 0 if part is None else part.count


async def _rank(context: Context, metric: str, project: str | None, filter: Filter | None) -> Ranking:
    project_row = context.project(project)
    row = context.metric(project_row.number, metric)
    names = context.names(project_row)

    def read(connection: Connection) -> Ranking:
        sides = count_preferences(connection, names, filter, row.number)
        return _ranking(context, row.key, sides)

    return await context.store.read_long(read)


def _ranking(context: Context, metric: str, sides: list[tuple[int, int, str | None, int]]) -> Ranking:
    counts_by_pair: dict[tuple[int, int], dict[str, int]] = defaultdict(_zero_counts)
    for preferred, other, tied, count in sides:
        is_reversed = preferred > other
        pair = (other, preferred) if is_reversed else (preferred, other)
        counts_by_pair[pair][f"{tied}_ties" if tied else "losses" if is_reversed else "wins"] += count
    numbers = sorted({number for pair in counts_by_pair for number in pair})
    if len(numbers) > MAX_RANKED_MODELS:
        raise Invalid(
            f"{len(numbers)} models are compared; at most {MAX_RANKED_MODELS} are ranked.",
            code="too_many_models",
            param="filter",
            hint="Narrow the filter to some of the models.",
        )
    if not numbers:
        return Ranking(metric=metric, models=[], pairs=[])
    index_of_model = {number: index for index, number in enumerate(numbers)}
    pair_counts = {
        (index_of_model[a], index_of_model[b]): _pair_counts(counts) for (a, b), counts in counts_by_pair.items()
    }
    totals = [_zero_counts() for _ in numbers]
    for (first, second), counts in counts_by_pair.items():
        for name, count in counts.items():
            totals[index_of_model[first]][name] += count
            totals[index_of_model[second]][_REVERSED_COUNT_NAMES.get(name, name)] += count
    model_ratings = ratings(len(numbers), pair_counts)
    keys = [context.catalog.models[number].key for number in numbers]
    order = sorted(range(len(numbers)), key=lambda index: -model_ratings[index].value)
    pairs = []
    for (first, second), counts in counts_by_pair.items():
        share, low, high = win_rate(pair_counts[index_of_model[first], index_of_model[second]])
        model_key, other = keys[index_of_model[first]], keys[index_of_model[second]]
        pairs.append(RankedPair(model=model_key, other_model=other, win_rate=share, low=low, high=high, **counts))
    return Ranking(
        metric=metric,
        models=[
            RankedModel(
                rank=rank,
                model=keys[index],
                rating=model_ratings[index].value,
                low=model_ratings[index].low,
                high=model_ratings[index].high,
                **totals[index],
            )
            for rank, index in enumerate(order, 1)
        ],
        pairs=pairs,
    )


def _zero_counts() -> dict[str, int]:
    return {"wins": 0, "losses": 0, "good_ties": 0, "bad_ties": 0}


_REVERSED_COUNT_NAMES = {"wins": "losses", "losses": "wins"}


def _pair_counts(counts: dict[str, int]) -> PairCounts:
    return PairCounts(counts["wins"], counts["losses"], counts["good_ties"] + counts["bad_ties"])


def _metric_values(
    context: Context, metric: str, project: str | None, filter: Filter | None, split_by: str | None, level: Level
) -> tuple[Callable[[Connection], ValueSelection], str, Any, Any]:
    """Return a function that selects the values, with the key, kind and scoring type of their metric."""
    project_row = context.project(project)
    names = context.names(project_row)
    split = _checked_split(split_by)
    if names.measured(metric):
        _refuse_sessions(level, f"{metric!r} is a system metric, which is measured for each interaction")
        scoring_type = "higher_is_better" if metric == "tokens_per_second" else "lower_is_better"
        return _value_selector(names, filter, metric, split), metric, "scalar", scoring_type
    row = context.metric(project_row.number, metric)
    return _value_selector(names, filter, row.number, split, level), row.key, row.kind, row.scoring_type


def _value_selector(
    names: ProjectNames,
    filter: Filter | None,
    metric: int | str | None,
    split_by: str | None,
    level: Level = "interaction",
) -> Callable[[Connection], ValueSelection]:
    """Return a function that compiles the filter over a connection, once for all reads of the selection."""
    return lambda connection: ValueSelection(Matches(connection, names, filter), metric, split_by, level=level)


async def _trend_request(context: Context, query: TrendQuery) -> NewTrend:
    """Return the request that plain parameters describe."""
    trend_options = {name: getattr(query, name) for name in ("project", "split_by", "interval", "timezone", "level")}
    return NewTrend(filter=await plain_filter(context, query), **trend_options)


def _refuse_sessions(level: Level, reason: str) -> None:
    if level == "session":
        raise Invalid(
            f"level is 'session', but {reason}.",
            code="invalid_level",
            param="level",
            hint="Leave level out, or name a feedback key that outcomes are logged under.",
        )


def _checked_split(split_by: str | None) -> str | None:
    if split_by is not None and split_by != "model" and not re.fullmatch("label:.+", split_by, re.DOTALL):
        raise Invalid(
            f"split_by is {split_by!r:.80}.",
            code="invalid_split_by",
            param="split_by",
            hint="Split by model or label:KEY.",
        )
    return split_by


# ------------------------------------------------------------------------------------------------ time


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            f"timezone is {name!r:.80}, which is no time zone.",
            code="invalid_timezone",
            param="timezone",
            hint="Give a name such as Europe/Paris.",
        ) from None


def _check_span(first: int, last: int, interval: Interval) -> None:
    points = (last - first) / (MINUTE_MS * {"minute": 1, "hour": 60, "day": 24 * 60, "week": 168 * 60}[interval])
    if points > MAX_TREND_POINT_COUNT:
        raise Invalid(
            f"From {to_datetime(first):%Y-%m-%d} to {to_datetime(last):%Y-%m-%d} there are {points:,.0f} {interval}s.",
            code="too_many_points",
            param="interval",
            hint=f"At most {MAX_TREND_POINT_COUNT:,} points are shown: take a longer interval, "
            "or from and to closer together.",
        )


def _quantum(zone: ZoneInfo, first: int, last: int) -> int:
    """Return the longest step (an hour or a quarter of one, in milliseconds) whose intervals each lie in one bucket."""
    step = timedelta(days=30)
    local_time, end = _local_time(zone, first), _local_time(zone, last)
    while local_time < end + step:
        offset = local_time.utcoffset() or timedelta()
        if offset.seconds % 3600:
            return QUARTER_HOUR_MS
        local_time += step
    return HOUR_MS


def _local_time(zone: ZoneInfo, timestamp: int) -> datetime:
    return to_datetime(timestamp).astimezone(zone)


def _start_of(interval: Interval, zone: ZoneInfo) -> Callable[[int], datetime]:
    def start(timestamp: int) -> datetime:
        local_time = _local_time(zone, timestamp)
        if interval == "minute":
            return local_time.astimezone(UTC)
        if interval == "hour":
            # Computed in UTC, so that an hour that the clock shows twice makes two buckets.
            return local_time.astimezone(UTC) - timedelta(minutes=local_time.minute)
        local_time = local_time.replace(hour=0, minute=0)
        return local_time - timedelta(days=local_time.weekday()) if interval == "week" else local_time

    return start


def _bucket_end(start: datetime, interval: Interval) -> datetime:
    # Wall-clock arithmetic in the zone: a day may have 23 or 25 hours.
    lengths: dict[Interval, timedelta] = {
        "minute": timedelta(minutes=1),
        "hour": timedelta(hours=1),
        "day": timedelta(days=1),
        "week": timedelta(days=7),
    }
    return start + lengths[interval]
