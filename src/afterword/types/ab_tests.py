"""A/B tests: which of several models people are happiest with."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.base import Input, Key, Output

FeedbackType: TypeAlias = Literal["metric", "preference"]
ABTestStatus: TypeAlias = Literal["warmup", "in_progress", "done", "cancelled"]


class NewABTest(Input):
    """An A/B test to start: calls that name no model are shared out among these models.

    `traffic_split` is the share of such calls that take part. With `auto_deploy` the winner becomes the project's
    default model.
    """

    key: Key
    metric: str
    models: Annotated[list[str], Meta(min_length=2, max_length=20)]
    name: str | None = None
    project: str | None = None
    feedback_type: FeedbackType = "metric"
    traffic_split: Annotated[float, Meta(ge=0, le=1)] = 1.0
    auto_deploy: bool = False


class ABInterval(Output):
    """Where the true mean lies, by 95 % and at all looks together."""

    start: float
    middle: float
    end: float


class ABComparison(Output):
    """The preferences between a variant and one of the others."""

    model: str
    feedbacks: int
    wins: int
    losses: int
    ties_good: int
    ties_bad: int


class ABVariant(Output):
    """One of the models of a test, and what was thought of it.

    `mean` is the mean of the values or, of a preference test, the share of wins, a tie being half of one.
    """

    model: str
    feedbacks: int
    mean: float | None
    interval: ABInterval | None
    comparisons: list[ABComparison] | None = None


class ABReport(Output):
    """What the feedback says, counted when it was asked for.

    `p_value` belongs to the claim that the leading variant is better than all others; it holds however often one
    looks. It is null during the warm-up.
    """

    p_value: float | None
    variants: list[ABVariant]


class ABTest(Output):
    """A test of models on the calls of a project.

    It is in `warmup` until each model has 30 feedbacks, then `in_progress` until one is better than all others
    (`done`, with its `winner`) or it is `cancelled`. Lists leave the report out.
    """

    id: UUID
    key: str
    name: str
    project: str
    metric: str
    models: list[str]
    feedback_type: FeedbackType
    traffic_split: float
    auto_deploy: bool
    alpha: float
    status: ABTestStatus
    created_at: datetime
    ended_at: datetime | None
    winner: str | None
    feedbacks: int
    has_enough_feedbacks: bool
    report: ABReport | None = None


class ABTestList(Output):
    """The A/B tests that the key may see, the newest first."""

    ab_tests: list[ABTest] = msgspec.field(default_factory=list)
