"""What many interactions say together: statistics, trends and rankings."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from afterword.types.base import Input, Kind, Output, ScoringType
from afterword.types.filters import Filter

Interval: TypeAlias = Literal["minute", "hour", "day", "week"]
Level: TypeAlias = Literal["interaction", "session"]
"""What values are on: interactions (feedback), or sessions (outcomes)."""


class NewSummary(Input):
    """Whose values to sum up: those on the interactions that a filter finds. `split_by` is `model` or `label:KEY`.

    At the level `session` these are the outcomes of sessions that have such an interaction.
    """

    project: str | None = None
    filter: Filter | None = None
    split_by: str | None = None
    level: Level = "interaction"


class NewTrend(NewSummary):
    """The same over time: by minute, hour, day or week (from Monday) of a time zone, as the interactions were made."""

    interval: Interval = "day"
    timezone: str = "UTC"


class NewRanking(Input):
    """Whose preferences to count: those under a metric, between interactions that a filter finds both of."""

    metric: str
    project: str | None = None
    filter: Filter | None = None


class Bin(Output):
    """How many values lie between two numbers. Where both are the same, how many are exactly that."""

    start: float
    end: float
    count: int


class SplitSummary(Output):
    """The values on the interactions of one model or label value; `key` is null where they have none."""

    key: str | None
    count: int
    mean: float
    min: float
    max: float
    stddev: float | None


class MetricSummary(Output):
    """The values under one metric. Mean, min and max are null where there are none, stddev for fewer than two.

    `distribution` has a bin for each value, or 20 of the same width where there are more than 20 values. `splits` are
    the 50 with the most values.
    """

    metric: str
    kind: Kind
    scoring_type: ScoringType
    count: int
    mean: float | None
    min: float | None
    max: float | None
    stddev: float | None
    distribution: list[Bin]
    splits: list[SplitSummary] = msgspec.field(default_factory=list)


class Point(Output):
    """The values on the interactions of some time; `mean` is null where only interactions are counted.

    `stddev` is the sample standard deviation, null for fewer than two values. With `count` it tells how sure the mean
    is.
    """

    start: datetime
    end: datetime
    count: int
    mean: float | None = None
    stddev: float | None = None


class Series(Output):
    """Points in the order of time, without those where nothing is; `key` is that of the split."""

    key: str | None
    points: list[Point]


class Trend(Output):
    """Values, or interactions where `metric` is null, over time."""

    metric: str | None
    interval: Interval
    timezone: str
    series: list[Series]


class RankedModel(Output):
    """A model among those that it was compared with.

    `rating` is on the scale of Elo, 1,000 being the mean of the models; 400 more stand for ten wins to one. `low` and
    `high` are the ends of its 95 % interval.
    """

    rank: int
    model: str
    rating: float
    low: float
    high: float
    wins: int
    losses: int
    good_ties: int
    bad_ties: int


class RankedPair(Output):
    """The preferences between two models, from the first one's side.

    `win_rate` counts a tie as half a win; `low` and `high` are the ends of its 95 % interval.
    """

    model: str
    other_model: str
    wins: int
    losses: int
    good_ties: int
    bad_ties: int
    win_rate: float
    low: float
    high: float


class Ranking(Output):
    """Models by what was preferred, by the model of Bradley and Terry with Davidson's ties.

    Preferences between completions of the same model, or without a model, are not counted.
    """

    metric: str
    models: list[RankedModel]
    pairs: list[RankedPair]
