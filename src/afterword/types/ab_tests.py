"""A/B tests: they find which of several models people prefer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.analytics import Level
from afterword.types.base import DEFAULT_NAME, METRIC, METRIC_KEY, PROJECT, PROJECT_KEY, Input, Key, Output

FeedbackType: TypeAlias = Literal["metric", "preference"]
ABTestStatus: TypeAlias = Literal["warmup", "in_progress", "done", "cancelled"]


FEEDBACK_TYPE = Meta(
    description="What counts: `metric`, the values under the metric, or `preference`, those between two models."
)
TEST_LEVEL = Meta(
    description="What the values are on: `interaction`, the feedback on calls of the test, or `session`, the outcomes "
    "of sessions with such calls. A session counts once, and only if its calls were all of one model."
)
TRAFFIC_SPLIT = Meta(description="The share of the calls that name no model which takes part, from 0 to 1.")
AUTO_DEPLOY = Meta(description="Whether the winner becomes the project's default model.")
TESTED_MODELS = Meta(description="The models, in the order in which they were named.")


class NewABTest(Input):
    """An A/B test to start: calls that name no model are divided among these models.

    `traffic_split` is the share of such calls that take part. With `auto_deploy` the winner becomes the project's
    default model.
    """

    key: Annotated[Key, Meta(description="Unique over all projects.")]
    metric: Annotated[str, METRIC]
    models: Annotated[
        list[str],
        Meta(min_length=2, max_length=20),
        Meta(description="Two or more models that the project may call, by key or id."),
    ]
    name: Annotated[str | None, DEFAULT_NAME] = None
    project: Annotated[str | None, PROJECT] = None
    feedback_type: Annotated[FeedbackType, FEEDBACK_TYPE] = "metric"
    level: Annotated[Level, TEST_LEVEL] = "interaction"
    traffic_split: Annotated[float, Meta(ge=0, le=1), TRAFFIC_SPLIT] = 1.0
    auto_deploy: Annotated[bool, AUTO_DEPLOY] = False


class ABInterval(Output):
    """The interval of the true mean. It holds with 95 % confidence, however often it is read."""

    start: Annotated[float, Meta(description="The lower end.")]
    middle: Annotated[float, Meta(description="The mean.")]
    end: Annotated[float, Meta(description="The upper end.")]


class ABComparison(Output):
    """The preferences between a variant and another model."""

    model: Annotated[str, Meta(description="The other model.")]
    feedbacks: Annotated[int, Meta(description="How many preferences there are between both.")]
    wins: Annotated[int, Meta(description="How often this one was preferred.")]
    losses: Annotated[int, Meta(description="How often the other was.")]
    ties_good: Annotated[int, Meta(description="Ties of two good completions.")]
    ties_bad: Annotated[int, Meta(description="Ties of two bad ones.")]


class ABVariant(Output):
    """A model of a test, and its feedback.

    `mean` is the mean of the values. In a preference test it is the share of wins; a tie counts as half a win.
    """

    model: Annotated[str, Meta(description="The model's key.")]
    feedbacks: Annotated[int, Meta(description="How many values, preferences or sessions count for it.")]
    mean: Annotated[
        float | None, Meta(description="The mean of the values, or the share of wins; null where there are none.")
    ]
    interval: Annotated[
        ABInterval | None, Meta(description="Where the true mean lies; null for fewer than 30 feedbacks.")
    ]
    comparisons: Annotated[
        list[ABComparison] | None, Meta(description="How it did against each other model; null in metric tests.")
    ] = None


class ABReport(Output):
    """The result of the feedback, computed at the time of the request.

    `p_value` is for the claim that the leading variant is better than all others. It stays valid however often it is
    read. It is null during the warm-up.
    """

    p_value: Annotated[
        float | None,
        Meta(description="Of the claim that the leading model is better than all others; null during the warm-up."),
    ]
    variants: Annotated[list[ABVariant], TESTED_MODELS]
    mixed_sessions: Annotated[
        int | None,
        Meta(
            description="How many sessions with a value are left out, because several of the models answered them; "
            "null where sessions do not count."
        ),
    ] = None


class ABTest(Output):
    """A test of models on the calls of a project.

    It is in `warmup` until each model has 30 feedbacks. Then it is `in_progress` until one model is better than all
    others (`done`, with its `winner`), or until it is `cancelled`. Lists leave out the report.
    """

    id: UUID
    key: str
    name: str
    project: Annotated[str, PROJECT_KEY]
    metric: Annotated[str, METRIC_KEY]
    models: Annotated[list[str], TESTED_MODELS]
    feedback_type: Annotated[FeedbackType, FEEDBACK_TYPE]
    level: Annotated[Level, TEST_LEVEL]
    traffic_split: Annotated[float, TRAFFIC_SPLIT]
    auto_deploy: Annotated[bool, AUTO_DEPLOY]
    alpha: Annotated[float, Meta(description="The chance of naming a model as better that is not.")]
    status: Annotated[ABTestStatus, Meta(description="`warmup`, `in_progress`, `done` or `cancelled`.")]
    created_at: Annotated[datetime, Meta(description="When it began.")]
    ended_at: Annotated[datetime | None, Meta(description="When it ended; null while it is active.")]
    winner: Annotated[str | None, Meta(description="The model that is better than all others; null where none is yet.")]
    feedbacks: Annotated[int, Meta(description="How many values, preferences or sessions count so far.")]
    has_enough_feedbacks: Annotated[bool, Meta(description="Whether each model has the 30 that it takes to judge it.")]
    report: Annotated[ABReport | None, Meta(description="What the feedback says; null in lists.")] = None


class ABTestList(Output):
    """The A/B tests that the key may see, the newest first."""

    ab_tests: Annotated[list[ABTest], Meta(description="The tests, the newest first.")] = msgspec.field(
        default_factory=list
    )
