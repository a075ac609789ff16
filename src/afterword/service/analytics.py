"""What many interactions say together: the values of a metric in short and over time, and models by preference."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection

from afterword.errors import Invalid
from afterword.service.context import Context
from afterword.service.moments import shown
from afterword.service.plain_filters import plain_filter
from afterword.service.ranking import Outcomes, ratings, win_rate
from afterword.store import sums as stored
from afterword.store.analytics import MOST_SPLITS, TrendPart, Values, compared
from afterword.types import (
    Bin,
    Filter,
    Interval,
    Level,
    MetricSummary,
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

MOST_POINTS = 2_000
MOST_RANKED = 100
MINUTE = 60_000
HOUR = 60 * MINUTE
# All zones keep to quarters of an hour.
QUARTER = 15 * MINUTE


async def summarise(context: Context, metric: str, *, query: Any) -> MetricSummary:
    """Sum up the values under a metric: how many, mean, least, greatest, deviation, and how they lie.

    Filters are those of the list of interactions. With `split_by` (model or label:KEY) for each model or label value,
    too. Also for the system metrics. With `level=session` the values are the outcomes of sessions.
    """
    filter = await plain_filter(context, query)
    return await _summarise(context, metric, query.project, filter, query.split_by, query.level)


async def summarise_filtered(context: Context, metric: str, *, body: NewSummary) -> MetricSummary:
    """Sum up the values under a metric, over a tree of conditions; as with GET."""
    return await _summarise(context, metric, body.project, body.filter, body.split_by, body.level)


async def trend(context: Context, metric: str, *, query: Any) -> Trend:
    """Show the values under a metric over time: count, mean and deviation by minute, hour, day or week of a time zone.

    An interaction's time counts, not that of the feedback on it; at the `level` of sessions, that of the outcome.
    Points where there is nothing are left out.
    """
    wanted = await _wanted(context, query)
    return await _trend(context, metric, wanted)


async def trend_filtered(context: Context, metric: str, *, body: NewTrend) -> Trend:
    """Show the values under a metric over time, over a tree of conditions; as with GET."""
    return await _trend(context, metric, body)


async def count_over_time(context: Context, *, query: Any) -> Trend:
    """Count interactions over time, by minute, hour, day or week of a time zone."""
    wanted = await _wanted(context, query)
    return await _trend(context, None, wanted)


async def count_filtered_over_time(context: Context, *, body: NewTrend) -> Trend:
    """Count interactions over time, over a tree of conditions; as with GET."""
    return await _trend(context, None, body)


async def rank(context: Context, *, query: Any) -> Ranking:
    """Rank models by the preferences under a metric: wins, losses, ties, ratings with 95 % intervals.

    A preference counts where both its interactions match the filters. Ratings are those of Bradley and Terry, with ties
    as Davidson has them.
    """
    return await _rank(context, query.metric, query.project, await plain_filter(context, query))


async def rank_filtered(context: Context, *, body: NewRanking) -> Ranking:
    """Rank models by the preferences under a metric, over a tree of conditions; as with GET."""
    return await _rank(context, body.metric, body.project, body.filter)


async def _summarise(
    context: Context, metric: str, project: str | None, filter: Filter | None, split_by: str | None, level: Level
) -> MetricSummary:
    values, key, kind, better = _values(context, metric, project, filter, split_by, level)

    def read(connection: Connection) -> MetricSummary:
        whole = stored.summed(connection, replace(values, split_by=None))
        splits = stored.summed(connection, values) if split_by is not None and whole else []
        [sums] = whole or [None]
        bins = [] if sums is None else stored.distribution(connection, values, sums.min, sums.max)
        return MetricSummary(
            metric=key,
            kind=kind,
            scoring_type=better,
            count=sums.count if sums else 0,
            mean=sums and sums.mean,
            min=sums and sums.min,
            max=sums and sums.max,
            stddev=sums and sums.stddev,
            distribution=[Bin(start=start, end=end, count=count) for start, end, count in bins],
            splits=[
                SplitSummary(key=one.key, count=one.count, mean=one.mean, min=one.min, max=one.max, stddev=one.stddev)
                for one in splits
            ],
        )

    return await context.store.read_long(read)


async def _trend(context: Context, metric: str | None, wanted: NewTrend) -> Trend:
    zone = _zone(wanted.timezone)
    if metric is None:
        _refuse_sessions(wanted.level, "without a metric interactions are counted")
        names = context.names(context.project(wanted.project))
        values = Values(names, wanted.filter, None, _split(wanted.split_by))
        key = None
    else:
        values, key, _, _ = _values(context, metric, wanted.project, wanted.filter, wanted.split_by, wanted.level)

    def read(connection: Connection) -> Trend:
        found = stored.span(connection, values)
        series: dict[str | None, dict[datetime, TrendPart]] = defaultdict(dict)
        if found is not None:
            _check_span(*found, wanted.interval)
            start_of = _start_of(wanted.interval, zone)
            quantum = MINUTE if wanted.interval == "minute" else _quantum(zone, *found)
            for (split, at), part in stored.over_time(connection, values, quantum).items():
                start = start_of(at)
                before = series[split].get(start)
                series[split][start] = part if before is None else before + part
        counts = {split: sum(part.count for part in parts.values()) for split, parts in series.items()}
        most = sorted(series, key=lambda one: (-counts[one], one is not None, one))
        return Trend(
            metric=key,
            interval=wanted.interval,
            timezone=wanted.timezone,
            series=[
                Series(
                    key=split,
                    points=[
                        Point(
                            start=start.astimezone(UTC),
                            end=_end_of(start, wanted.interval).astimezone(UTC),
                            count=part.count,
                            mean=None if key is None else part.mean,
                            stddev=None if key is None else part.stddev,
                        )
                        for start, part in sorted(series[split].items(), key=itemgetter(0))
                    ],
                )
                for split in most[:MOST_SPLITS]
            ],
        )

    return await context.store.read_long(read)


async def _rank(context: Context, metric: str, project: str | None, filter: Filter | None) -> Ranking:
    its_project = context.project(project)
    row = context.metric(its_project.number, metric)
    names = context.names(its_project)

    def read(connection: Connection) -> Ranking:
        sides = compared(connection, names, filter, row.number)
        return _ranking(context, row.key, sides)

    return await context.store.read_long(read)


def _ranking(context: Context, metric: str, sides: list[tuple[int, int, str | None, int]]) -> Ranking:
    said: dict[tuple[int, int], dict[str, int]] = defaultdict(_nothing)
    for preferred, other, tied, count in sides:
        turned = preferred > other
        pair = (other, preferred) if turned else (preferred, other)
        said[pair][f"{tied}_ties" if tied else "losses" if turned else "wins"] += count
    numbers = sorted({number for pair in said for number in pair})
    if len(numbers) > MOST_RANKED:
        raise Invalid(
            f"{len(numbers)} models are compared; at most {MOST_RANKED} are ranked.",
            code="too_many_models",
            param="filter",
            hint="Narrow the filter to some of the models.",
        )
    if not numbers:
        return Ranking(metric=metric, models=[], pairs=[])
    place = {number: index for index, number in enumerate(numbers)}
    outcomes = {(place[a], place[b]): _outcomes(its) for (a, b), its in said.items()}
    totals = [_nothing() for _ in numbers]
    for (first, second), its in said.items():
        for name, count in its.items():
            totals[place[first]][name] += count
            totals[place[second]][_TURNED.get(name, name)] += count
    rated = ratings(len(numbers), outcomes)
    keys = [context.catalog.models[number].key for number in numbers]
    order = sorted(range(len(numbers)), key=lambda index: -rated[index].value)
    pairs = []
    for (first, second), its in said.items():
        share, low, high = win_rate(outcomes[place[first], place[second]])
        one, other = keys[place[first]], keys[place[second]]
        pairs.append(RankedPair(model=one, other_model=other, win_rate=share, low=low, high=high, **its))
    return Ranking(
        metric=metric,
        models=[
            RankedModel(
                rank=rank,
                model=keys[index],
                rating=rated[index].value,
                low=rated[index].low,
                high=rated[index].high,
                **totals[index],
            )
            for rank, index in enumerate(order, 1)
        ],
        pairs=pairs,
    )


def _nothing() -> dict[str, int]:
    return {"wins": 0, "losses": 0, "good_ties": 0, "bad_ties": 0}


_TURNED = {"wins": "losses", "losses": "wins"}


def _outcomes(said: dict[str, int]) -> Outcomes:
    return Outcomes(said["wins"], said["losses"], said["good_ties"] + said["bad_ties"])


def _values(
    context: Context, metric: str, project: str | None, filter: Filter | None, split_by: str | None, level: Level
) -> tuple[Values, str, Any, Any]:
    """Return which values are meant, with the key, kind and scoring type of their metric."""
    its_project = context.project(project)
    names = context.names(its_project)
    split = _split(split_by)
    if names.measured(metric):
        _refuse_sessions(level, f"{metric!r} is a system metric, which is measured for each interaction")
        better = "higher_is_better" if metric == "tokens_per_second" else "lower_is_better"
        return Values(names, filter, metric, split), metric, "scalar", better
    row = context.metric(its_project.number, metric)
    return Values(names, filter, row.number, split, level=level), row.key, row.kind, row.scoring_type


async def _wanted(context: Context, query: Any) -> NewTrend:
    """Return what plain parameters ask for."""
    rest = {name: getattr(query, name) for name in ("project", "split_by", "interval", "timezone", "level")}
    return NewTrend(filter=await plain_filter(context, query), **rest)


def _refuse_sessions(level: Level, why: str) -> None:
    if level == "session":
        raise Invalid(
            f"level is 'session', but {why}.",
            code="invalid_level",
            param="level",
            hint="Leave level out, or name a feedback key that outcomes are logged under.",
        )


def _split(split_by: str | None) -> str | None:
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
    points = (last - first) / (MINUTE * {"minute": 1, "hour": 60, "day": 24 * 60, "week": 168 * 60}[interval])
    if points > MOST_POINTS:
        raise Invalid(
            f"From {shown(first):%Y-%m-%d} to {shown(last):%Y-%m-%d} there are {points:,.0f} {interval}s.",
            code="too_many_points",
            param="interval",
            hint=f"At most {MOST_POINTS:,} points are shown: take a longer interval, or from and to closer together.",
        )


def _quantum(zone: ZoneInfo, first: int, last: int) -> int:
    """Return the longest stretch that lies in one bucket wherever it lies, in milliseconds."""
    step = timedelta(days=30)
    at, end = _local(zone, first), _local(zone, last)
    while at < end + step:
        offset = at.utcoffset() or timedelta()
        if offset.seconds % 3600:
            return QUARTER
        at += step
    return HOUR


def _local(zone: ZoneInfo, moment: int) -> datetime:
    return shown(moment).astimezone(zone)


def _start_of(interval: Interval, zone: ZoneInfo) -> Callable[[int], datetime]:
    def start(moment: int) -> datetime:
        at = _local(zone, moment)
        if interval == "minute":
            return at.astimezone(UTC)
        if interval == "hour":
            # Counted in UTC: in the hour that comes twice, each stays by itself.
            return at.astimezone(UTC) - timedelta(minutes=at.minute)
        at = at.replace(hour=0, minute=0)
        return at - timedelta(days=at.weekday()) if interval == "week" else at

    return start


def _end_of(start: datetime, interval: Interval) -> datetime:
    # Of a day in its zone, which may have 23 or 25 hours: the sum is one of clocks.
    lengths: dict[Interval, timedelta] = {
        "minute": timedelta(minutes=1),
        "hour": timedelta(hours=1),
        "day": timedelta(days=1),
        "week": timedelta(days=7),
    }
    return start + lengths[interval]
