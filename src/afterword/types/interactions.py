"""Interactions, pages and groups of them, their labels."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from afterword.types.base import Input, Key, Message, Moment, Output, SessionId, Source, State
from afterword.types.feedback import Feedback, InlineFeedback, Outcome, Preference
from afterword.types.plans import EXPLAINED, PlanStep

Identifier: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
"""An id of another system: of a provider, a proxy, a tracer."""


class NewCall(Input):
    """How a call went that was made elsewhere, in the words in which an interaction shows its `call`."""

    state: Literal["complete", "failed", "cancelled", "interrupted"] = "complete"
    finish_reason: Annotated[str, Meta(max_length=200)] | None = None
    error: dict[str, Any] | None = None
    request_id: Identifier | None = None
    provider_request_id: Identifier | None = None
    response_id: Identifier | None = None
    provider_model: Identifier | None = None
    trace_id: Identifier | None = None
    streamed: bool | None = None


class NewInteraction(Input):
    """A completion to log, with the messages that it answers.

    `completion` is the text, or a whole assistant message (`{"role": "assistant", "content", "tool_calls", ...}`).
    `completion_id` may be given by the caller: the same again is then answered as the first time, other content
    under it is refused with 409. `ab_campaign` names the A/B test that the feedback on it counts for; `model` is then
    one of the test's. `call` tells how a call went that was made elsewhere, `source` how the interaction came to be
    (OFFLINE where it is left out): both are what an export says of an interaction.
    """

    messages: list[Message]
    completion: str | Message
    project: str | None = None
    model: Key | None = None
    labels: dict[str, str] | None = None
    feedbacks: list[InlineFeedback] | None = None
    user: str | None = None
    session_id: SessionId | None = None
    created_at: Moment | None = None
    usage: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    completion_id: UUID | None = None
    ab_campaign: str | None = None
    call: NewCall | None = None
    facts: dict[str, Any] | None = None
    source: Source | None = None


class Recorded(Output):
    """The ids under which an interaction was stored."""

    completion_id: UUID
    session_id: UUID
    feedback_ids: list[UUID]


class Call(Output):
    """How the call of the model went that made a completion.

    `state` is open (under way), complete, failed (see `error`), cancelled (the caller hung up), or interrupted (the
    server stopped). `error` is what the caller was told: `{status, type, code, message}`, with `param` and the further
    members of the provider's own error where it has them. The ids are those under which the caller, the provider and
    a tracer know the call.
    """

    state: State
    finish_reason: str | None
    error: dict[str, Any] | None
    request_id: str | None
    provider_request_id: str | None = None
    response_id: str | None = None
    provider_model: str | None = None
    trace_id: str | None = None
    streamed: bool | None = None


class Interaction(Output):
    """Messages in, completion out, and what people thought of it.

    In the short view of a list, `prompt` and `completion` are cut to 300 characters and `messages` is left out
    (null); `size` is the true size in bytes of messages, completion, usage, timings and parameters as JSON.
    `message` is the whole assistant message where more than a text was logged. `call` tells how the call went, where
    the gateway made it or the caller said it. `facts` is what the provider told beside the text (in the full view):
    `answer` what stood at the top of its answer, `choice` what stood on this choice, `left_out` what was too large.
    `image_urls` are those of the images in the messages, except in the short view of a very long
    one. What was said is deleted after the project's `payload_retention_days`: `expired` is true then, texts are empty
    and messages none, while labels, feedback and the numbers of the call stay. `outcomes` are those of the session,
    and `ab_campaign` is the A/B test that feedback on it counts for; both in the full view.
    """

    completion_id: UUID
    project: str
    model: str | None
    source: Source
    prompt: str
    messages: list[Message] | None
    completion: str
    message: Message | None
    labels: dict[str, str]
    session_id: UUID
    user: str | None
    created_at: datetime
    prompt_hash: str
    size: int
    usage: dict[str, Any] | None
    timings: dict[str, Any] | None
    parameters: dict[str, Any] | None
    call: Call | None
    feedback: list[Feedback]
    preferences: list[Preference]
    image_urls: list[str] = msgspec.field(default_factory=list)
    expired: bool = False
    facts: dict[str, Any] | None = None
    outcomes: list[Outcome] | None = None
    ab_campaign: str | None = None
    session: str | None = None


class InteractionPage(Output):
    """A page of interactions. Give `next` or `previous` as `cursor` to go on in that direction; null where it ends.

    `count` is the exact size of the whole set, only when asked for.
    """

    interactions: list[Interaction]
    next: str | None
    previous: str | None
    count: int | None = None
    explain: Annotated[list[PlanStep] | UnsetType, EXPLAINED] = UNSET


class MetricStatistics(Output):
    """The values under one feedback key: how many, their mean, least, greatest and sample standard deviation.

    `stddev` is null for fewer than two values. Over a bool key the mean is the share of true.
    """

    metric: str
    count: int
    mean: float
    min: float
    max: float
    stddev: float | None


class Group(Output):
    """The interactions of one model, prompt, session or label value; `key` is null where they have none.

    `prompt` shows the prompt, cut to 300 characters, when grouped by prompt. `session` is what the caller named the
    session, where that is no UUID.
    """

    key: str | None
    count: int
    metrics: list[MetricStatistics]
    prompt: str | None = None
    session: str | None = None


class GroupPage(Output):
    """A page of groups. `count` is the number of all groups, only when asked for."""

    groups: list[Group]
    next: str | None
    count: int | None = None
    explain: Annotated[list[PlanStep] | UnsetType, EXPLAINED] = UNSET


class LabelChange(Input):
    """Labels to set (added, or given a new value) and keys to remove, all or nothing."""

    set: dict[str, str] = msgspec.field(default_factory=dict)
    remove: list[str] = msgspec.field(default_factory=list)


class Labels(Output):
    """The labels of an interaction."""

    labels: dict[str, str]


class LabelValue(Output):
    """A value of a label key: on how many interactions, and the time of the newest of them."""

    value: str
    count: int
    last_used: datetime


class WatchedInteraction(Output):
    """An interaction that was logged or has changed, and the names of the watches that it matches."""

    watches: list[str]
    interaction: Interaction


class LabelKey(Output):
    """A label key with its values, the most frequent first."""

    key: str
    count: int
    last_used: datetime
    values: list[LabelValue]


class LabelList(Output):
    """The label keys of a project."""

    labels: list[LabelKey]


class Deleted(Output):
    """What was deleted."""

    deleted: bool = True


class LineResult(Output, omit_defaults=True):
    """The outcome of one line of a batch: the ids, or the error. `line` counts from 1."""

    line: int
    status: int
    completion_id: UUID | None = None
    session_id: UUID | None = None
    feedback_ids: list[UUID] | None = None
    feedback_id: UUID | None = None
    comparison_id: UUID | None = None
    outcome_id: UUID | None = None
    error: dict[str, Any] | None = None
