"""Statistics, trends and rankings over many interactions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from afterword.types.base import (
    BETTER_WAY,
    CONDITION_TREE,
    INTERVAL,
    LEVEL,
    MAX,
    METRIC,
    METRIC_KIND,
    MODEL,
    PROJECT,
    SPLIT_BY,
    TIMEZONE,
    Input,
    Kind,
    Output,
    ScoringType,
)
from afterword.types.filters import Filter

Interval: TypeAlias = Literal["minute", "hour", "day", "week"]
Level: TypeAlias = Literal["interaction", "session"]
"""Values rate either interactions (feedback) or sessions (outcomes)."""


SPLIT_KEY = Meta(description="The model, or the value of the label; null where there is none.")
FAILURES = Meta(description="Whether to tell of each point how many interactions failed.")
END = Meta(description="Where it ends, exclusive; of the last bin, inclusive.")
MEAN = Meta(description="The mean of the values; of bool ones, the share of true.")
STDDEV = Meta(description="The sample standard deviation; null for fewer than two.")
LOWER_END = Meta(description="The lower end of the 95 % interval.")
UPPER_END = Meta(description="The upper end of the 95 % interval.")


class NewSummary(Input):
    """A request to summarise the values on the interactions that match a filter. `split_by` is `model` or `label:KEY`.

    At the level `session` these are the outcomes of sessions with such an interaction.
    """

    project: Annotated[str | None, PROJECT] = None
    filter: Annotated[Filter | None, CONDITION_TREE] = None
    split_by: Annotated[str | None, SPLIT_BY] = None
    level: Annotated[Level, LEVEL] = "interaction"


class NewTrend(NewSummary):
    """A request for values over time: by minute, hour, day or week (from Monday) of a time zone. Times are those of the
    interactions."""

    interval: Annotated[Interval, INTERVAL] = "day"
    timezone: Annotated[str, TIMEZONE] = "UTC"


class NewCountTrend(NewTrend):
    """A request for the number of interactions over time; with `failures`, each point also has the failed ones."""

    failures: Annotated[bool, FAILURES] = False


class NewRanking(Input):
    """A request to count the preferences under a metric between interactions that both match a filter."""

    metric: Annotated[str, METRIC]
    project: Annotated[str | None, PROJECT] = None
    filter: Annotated[Filter | None, CONDITION_TREE] = None


class Bin(Output):
    """The number of values between two numbers. If both are equal, the number of values that equal them."""

    start: Annotated[float, Meta(description="Where it begins, inclusive.")]
    end: Annotated[float, END]
    count: Annotated[int, Meta(description="How many.")]


class SplitSummary(Output):
    """The values on the interactions of one model or label value; `key` is null for interactions without one."""

    key: Annotated[str | None, SPLIT_KEY]
    count: Annotated[int, Meta(description="How many.")]
    mean: Annotated[float, MEAN]
    min: Annotated[float, Meta(description="The least value.")]
    max: Annotated[float, MAX]
    stddev: Annotated[float | None, STDDEV]


class MetricSummary(Output):
    """The values under one metric. Mean, min and max are null without values, stddev for fewer than two.

    `distribution` has a bin for each distinct value, or 20 bins of equal width for more than 20 distinct values.
    `splits` are the 50 with the most values.
    """

    metric: Annotated[str, METRIC]
    kind: Annotated[Kind, METRIC_KIND]
    scoring_type: Annotated[ScoringType, BETTER_WAY]
    count: Annotated[int, Meta(description="How many.")]
    mean: Annotated[float | None, MEAN]
    min: Annotated[float | None, Meta(description="The least value.")]
    max: Annotated[float | None, MAX]
    stddev: Annotated[float | None, STDDEV]
    distribution: Annotated[list[Bin], Meta(description="How many values lie where.")]
    splits: Annotated[list[SplitSummary], Meta(description="The values by model or label value.")] = msgspec.field(
        default_factory=list
    )


class Point(Output):
    """The values on the interactions of one interval; `mean` is null if only interactions are counted.

    `stddev` is the sample standard deviation, null for fewer than two values. With `count` it gives the standard error
    of the mean.
    """

    start: Annotated[datetime, Meta(description="Where it begins, inclusive.")]
    end: Annotated[datetime, END]
    count: Annotated[int, Meta(description="How many.")]
    mean: Annotated[float | None, MEAN] = None
    stddev: Annotated[float | None, STDDEV] = None
    failed: Annotated[
        int | UnsetType,
        Meta(description="How many of them failed; only where interactions are counted with `failures`."),
    ] = UNSET


class Series(Output):
    """Points in the order of time, without empty ones; `key` is that of the split."""

    key: Annotated[str | None, SPLIT_KEY]
    points: Annotated[list[Point], Meta(description="Counts and means, in the order of time.")]


class Trend(Output):
    """Values over time; if `metric` is null, the number of interactions over time."""

    metric: Annotated[str | None, METRIC]
    interval: Annotated[Interval, INTERVAL]
    timezone: Annotated[str, TIMEZONE]
    series: Annotated[
        list[Series], Meta(description="One for each model or label value; without a split a single one.")
    ]


class RankedModel(Output):
    """The rank of a model among those that it was compared with.

    `rating` is on the Elo scale: the mean of the models is 1,000, and 400 more mean ten wins for each loss. `low` and
    `high` are the ends of its 95 % interval.
    """

    rank: Annotated[int, Meta(description="Its place, from 1.")]
    model: Annotated[str, MODEL]
    rating: Annotated[float, Meta(description="On the scale of Elo; the mean of the models is 1,000.")]
    low: Annotated[float, LOWER_END]
    high: Annotated[float, UPPER_END]
    wins: Annotated[int, Meta(description="How often it was preferred.")]
    losses: Annotated[int, Meta(description="How often the other was.")]
    good_ties: Annotated[int, Meta(description="How often both were good.")]
    bad_ties: Annotated[int, Meta(description="How often both were bad.")]


class RankedPair(Output):
    """The preferences between two models, from the side of the first.

    `win_rate` counts a tie as half a win; `low` and `high` are the ends of its 95 % interval.
    """

    model: Annotated[str, MODEL]
    other_model: Annotated[str, Meta(description="The other model.")]
    wins: Annotated[int, Meta(description="How often it was preferred.")]
    losses: Annotated[int, Meta(description="How often the other was.")]
    good_ties: Annotated[int, Meta(description="How often both were good.")]
    bad_ties: Annotated[int, Meta(description="How often both were bad.")]
    win_rate: Annotated[float, Meta(description="The share of wins, a tie being half of one.")]
    low: Annotated[float, LOWER_END]
    high: Annotated[float, UPPER_END]


class Ranking(Output):
    """Models ranked by preferences, with the Bradley-Terry model and Davidson's extension for ties.

    Preferences between completions of the same model, or without a model, are not counted.
    """

    metric: Annotated[str, METRIC]
    models: Annotated[list[RankedModel], Meta(description="The models.")]
    pairs: Annotated[list[RankedPair], Meta(description="Each two models that were compared.")]
