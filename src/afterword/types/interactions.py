"""Interactions, pages and groups of them, their labels."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from afterword.types.base import (
    COMPARISON_ID,
    COMPLETION_ID,
    END_USER,
    FEEDBACK_ID,
    HAPPENED_AT,
    MAX,
    METRIC_KEY,
    NEXT_CURSOR,
    OPERATION,
    OUTCOME_ID,
    PARENT,
    PROJECT,
    PROJECT_KEY,
    SESSION_ID,
    STEP,
    USAGE,
    Input,
    Key,
    LoggedOperation,
    Message,
    Moment,
    Output,
    SessionId,
    Source,
    State,
)
from afterword.types.feedback import Feedback, InlineFeedback, Outcome, Preference
from afterword.types.plans import EXPLAINED, PlanStep

Identifier: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
"""An id of another system: of a provider, a proxy, a tracer."""


ENVIRONMENT = Meta(description="Where your product ran, such as `production`: up to 200 characters.")
TIMINGS = Meta(description="Durations: any JSON object, kept as sent.")
PARAMETERS = Meta(description="Sampling parameters: any JSON object, kept as sent.")
AB_CAMPAIGN = Meta(description="The A/B test that it belongs to, by key or id.")
PROVIDER_FACTS = Meta(
    description="What the provider told beside the text: `answer` holds members of its answer, such as "
    "`citations`, `system_fingerprint` and `prompt_filter_results`; `choice` those of this "
    "choice, such as `logprobs` and `content_filter_results`; `left_out` names members that "
    "were too large, with their size in bytes."
)
REQUEST_ID = Meta(description="The `x-request-id` of Afterword's answer.")
PROVIDER_REQUEST_ID = Meta(
    description="The id of the request in the headers of the provider's answer, for the provider's support."
)
RESPONSE_ID = Meta(description="The `id` of the provider's answer, such as `chatcmpl-...`.")
PROVIDER_MODEL = Meta(description="The model as the provider names it in its answer, mostly with a date.")
CALL_TRACE_ID = Meta(description="The trace that the caller's `traceparent` names.")
FEEDBACK_IDS = Meta(description="The ids of the feedback given inline, in their order.")
LAST_USED = Meta(description="The time of the newest interaction that carries it.")


class NewCall(Input):
    """The result of a call that was made elsewhere, with the same fields as `call` of an interaction."""

    state: Annotated[
        Literal["complete", "failed", "cancelled", "interrupted"],
        Meta(
            description="`complete`, `failed`, `cancelled` (the caller hung up) or `interrupted` (the server stopped)."
        ),
    ] = "complete"
    finish_reason: Annotated[
        Annotated[str, Meta(max_length=200)] | None,
        Meta(description="Why the model ended, such as `stop` or `length`."),
    ] = None
    error: Annotated[dict[str, Any] | None, Meta(description="Why it failed: any JSON object, kept as sent.")] = None
    request_id: Annotated[Identifier | None, REQUEST_ID] = None
    provider_request_id: Annotated[Identifier | None, PROVIDER_REQUEST_ID] = None
    response_id: Annotated[Identifier | None, RESPONSE_ID] = None
    provider_model: Annotated[Identifier | None, PROVIDER_MODEL] = None
    trace_id: Annotated[Identifier | None, CALL_TRACE_ID] = None
    streamed: Annotated[bool | None, Meta(description="Whether the answer was streamed.")] = None


class NewInteraction(Input):
    """A completion to log, with the messages that it answers.

    `completion` is the text, or a whole assistant message (`{"role": "assistant", "content", "tool_calls", ...}`).
    The caller may choose `completion_id`: a repeated request then gets the first answer again, and different content is
    refused with 409. `ab_campaign` names the A/B test in which its feedback counts; `model` must then be one of the
    test's. `call` describes a call that was made elsewhere. `source` says how the interaction was made; the default is
    OFFLINE. `call` and `source` have the form of an export.
    """

    messages: Annotated[
        list[Message],
        Meta(
            description="The messages that the completion answers. Each is kept as sent: `role`, `content` and "
            "whatever else it carries. Images are `image_url` parts with a data URI, or with an "
            "address, which is kept and not fetched."
        ),
    ]
    completion: Annotated[
        str | Message, Meta(description="What the model answered: the text, or a whole assistant message.")
    ]
    project: Annotated[str | None, PROJECT] = None
    model: Annotated[Key | None, Meta(description="The model that wrote it. A key not seen before is registered.")] = (
        None
    )
    labels: Annotated[
        dict[str, str] | None,
        Meta(description="Up to 64 labels, key to value: keys of 1 to 128 characters, values of up to 1,024."),
    ] = None
    feedbacks: Annotated[
        list[InlineFeedback] | None,
        Meta(description="Values given together with the interaction, stored all or nothing with it."),
    ] = None
    user: Annotated[str | None, END_USER] = None
    environment: Annotated[str | None, ENVIRONMENT] = None
    step: Annotated[str | None, STEP] = None
    parent: Annotated[str | None, PARENT] = None
    session_id: Annotated[SessionId | None, SESSION_ID] = None
    created_at: Annotated[Moment | None, HAPPENED_AT] = None
    usage: Annotated[dict[str, Any] | None, USAGE] = None
    timings: Annotated[dict[str, Any] | None, TIMINGS] = None
    parameters: Annotated[dict[str, Any] | None, PARAMETERS] = None
    completion_id: Annotated[
        UUID | None,
        Meta(
            description="Your own id for it: the same again answers as the first time, other content under it is "
            "refused with 409."
        ),
    ] = None
    ab_campaign: Annotated[str | None, AB_CAMPAIGN] = None
    call: Annotated[NewCall | None, Meta(description="How the call went that was made elsewhere.")] = None
    facts: Annotated[dict[str, Any] | None, PROVIDER_FACTS] = None
    source: Annotated[
        Source | None, Meta(description="How it came to be, where it is copied: OFFLINE where it is left out.")
    ] = None
    operation: Annotated[LoggedOperation, OPERATION] = "chat"


class Recorded(Output):
    """The ids under which an interaction was stored."""

    completion_id: Annotated[UUID, COMPLETION_ID]
    session_id: Annotated[UUID, SESSION_ID]
    feedback_ids: Annotated[list[UUID], FEEDBACK_IDS]


class Call(Output):
    """The model call that produced a completion.

    `state` is open (under way), complete, failed (see `error`), cancelled (the caller hung up), or interrupted (the
    server stopped). `error` is the error that the caller got: `{status, type, code, message}`, with `param` and
    further members of the provider's error if it has them. The ids are those of the caller, the provider and a
    tracer.
    """

    state: Annotated[
        State,
        Meta(
            description="`open` (under way), `complete`, `failed`, `cancelled` (the caller hung up) or "
            "`interrupted` (the server stopped)."
        ),
    ]
    finish_reason: Annotated[
        str | None, Meta(description="The provider's word; or `error`, `cancelled`, `interrupted`.")
    ]
    error: Annotated[
        dict[str, Any] | None, Meta(description="What the caller was told: `{status, type, code, message}`.")
    ]
    request_id: Annotated[str | None, REQUEST_ID]
    provider_request_id: Annotated[str | None, PROVIDER_REQUEST_ID] = None
    response_id: Annotated[str | None, RESPONSE_ID] = None
    provider_model: Annotated[str | None, PROVIDER_MODEL] = None
    trace_id: Annotated[str | None, CALL_TRACE_ID] = None
    streamed: Annotated[bool | None, Meta(description="Whether the answer was streamed.")] = None


class Interaction(Output):
    """A prompt with its completion and feedback.

    In the short view of a list, `prompt` and `completion` are in words, which take in tool calls, refusals, sound,
    files and images, and are cut to 300 characters; `messages` is left out (null). `size` is the true size in bytes of
    messages, completion, usage, timings and parameters as JSON.
    `message` is the whole assistant message, if more than a text was logged. `call` describes the call, if the gateway
    made it or the caller logged it. `facts` (in the full view) holds further data of the provider: `answer` those of
    the whole answer, `choice` those of this choice, `left_out` the names of members that were too large. `image_urls`
    are those of the images in the messages; the short view of a very long interaction leaves them out.

    Texts are deleted after the project's `payload_retention_days`. Then `expired` is true, texts and messages are
    empty, and labels, feedback and the numbers of the call stay. In the full view, `outcomes` are those of the
    session, and `ab_campaign` is the A/B test in which its feedback counts.
    """

    completion_id: Annotated[UUID, COMPLETION_ID]
    project: Annotated[str, PROJECT_KEY]
    model: Annotated[str | None, Meta(description="The key of the model that wrote it; null where none was named.")]
    source: Annotated[
        Source,
        Meta(
            description="How it came: LIVE (a call of a model, through the gateway or told by a wrapper, LiteLLM or "
            "OpenTelemetry), OFFLINE (logged), AUTOMATION, DATASET or EVALUATION."
        ),
    ]
    prompt: Annotated[str, Meta(description="The text of the messages that the completion answers.")]
    messages: Annotated[list[Message] | None, Meta(description="The messages as sent; null in the short view.")]
    completion: Annotated[str, Meta(description="The text of the completion.")]
    message: Annotated[
        Message | None, Meta(description="The whole assistant message, where more than a text was logged.")
    ]
    labels: Annotated[dict[str, str], Meta(description="The labels, key to value.")]
    session_id: Annotated[UUID, Meta(description="The session that it belongs to.")]
    user: Annotated[str | None, END_USER]
    created_at: Annotated[datetime, Meta(description="When it happened.")]
    prompt_hash: Annotated[str, Meta(description="The hash of roles, texts and images: the same for the same prompt.")]
    size: Annotated[int, Meta(description="The size in bytes of what was logged, as JSON.")]
    usage: Annotated[dict[str, Any] | None, USAGE]
    timings: Annotated[dict[str, Any] | None, TIMINGS]
    parameters: Annotated[dict[str, Any] | None, PARAMETERS]
    call: Annotated[
        Call | None,
        Meta(
            description="How the call went, where the gateway made it or it was logged with its call; null otherwise."
        ),
    ]
    feedback: Annotated[list[Feedback], Meta(description="All feedback on this completion, the newest first.")]
    preferences: list[Preference]
    image_urls: Annotated[list[str], Meta(description="Where its images are served, in their order.")] = msgspec.field(
        default_factory=list
    )
    expired: Annotated[
        bool, Meta(description="What was said was deleted, by the project's payload_retention_days.")
    ] = False
    facts: Annotated[dict[str, Any] | None, PROVIDER_FACTS] = None
    outcomes: list[Outcome] | None = None
    ab_campaign: Annotated[str | None, AB_CAMPAIGN] = None
    session: Annotated[
        str | None,
        Meta(description="What the caller named the session, where that is no UUID; session_id stands for it."),
    ] = None
    environment: Annotated[str | None, ENVIRONMENT] = None
    step: Annotated[str | None, STEP] = None
    parent: Annotated[UUID | None, PARENT] = None
    operation: Annotated[LoggedOperation, OPERATION] = "chat"


class InteractionPage(Output):
    """A page of interactions. Pass `next` or `previous` as `cursor` for the page in that direction; null at the end.

    `count` is the exact number of matches, if the request asked for it.
    """

    interactions: list[Interaction]
    next: Annotated[str | None, NEXT_CURSOR]
    previous: Annotated[
        str | None, Meta(description="The `cursor` of the page before this one; null where the list begins.")
    ]
    count: Annotated[
        int | None, Meta(description="The exact size of the whole set, where `count` was asked for; else null.")
    ] = None
    explain: Annotated[list[PlanStep] | UnsetType, EXPLAINED] = UNSET


class MetricStatistics(Output):
    """The values under one feedback key: count, mean, minimum, maximum and sample standard deviation.

    `stddev` is null for fewer than two values. For a bool key the mean is the share of true.
    """

    metric: Annotated[str, METRIC_KEY]
    count: Annotated[int, Meta(description="How many values.")]
    mean: Annotated[float, Meta(description="Over a bool key: the share of true.")]
    min: Annotated[float, Meta(description="The least value.")]
    max: Annotated[float, MAX]
    stddev: Annotated[float | None, Meta(description="The sample standard deviation; null for fewer than two values.")]


class Group(Output):
    """The interactions of one model, prompt, session or label value; `key` is null for interactions without one.

    `prompt` is the prompt, cut to 300 characters, in groups by prompt. `session` is the caller's name of the session,
    if that is not a UUID.
    """

    key: Annotated[
        str | None,
        Meta(
            description="The model's key, the prompt's hash, the session's id or the label's value; null where "
            "there is none."
        ),
    ]
    count: Annotated[int, Meta(description="How many interactions.")]
    metrics: list[MetricStatistics]
    prompt: Annotated[str | None, Meta(description="The prompt, cut to 300 characters, when grouped by prompt.")] = None
    session: Annotated[
        str | None,
        Meta(description="What the caller named the session, where that is no UUID, when grouped by session."),
    ] = None


class GroupPage(Output):
    """A page of groups. `count` is the number of all groups, if the request asked for it."""

    groups: list[Group]
    next: Annotated[str | None, NEXT_CURSOR]
    count: Annotated[
        int | None, Meta(description="The number of all groups, where `count` was asked for; else null.")
    ] = None
    explain: Annotated[list[PlanStep] | UnsetType, EXPLAINED] = UNSET


class LabelChange(Input):
    """Labels to add or overwrite, and keys to remove. Either all changes are made or none."""

    set: Annotated[dict[str, str], Meta(description="Labels to add or to give a new value.")] = msgspec.field(
        default_factory=dict
    )
    remove: Annotated[list[str], Meta(description="Label keys to take away.")] = msgspec.field(default_factory=list)


class Labels(Output):
    """The labels of an interaction."""

    labels: Annotated[dict[str, str], Meta(description="The labels, key to value.")]


class LabelValue(Output):
    """A value of a label key, with the number of its interactions and the time of the newest."""

    value: Annotated[str, Meta(description="The value.")]
    count: Annotated[int, Meta(description="On how many interactions.")]
    last_used: Annotated[datetime, LAST_USED]


class WatchedInteraction(Output):
    """An interaction that was logged or changed, and the names of the watches that it matches."""

    watches: Annotated[list[str], Meta(description="The names of the watches that the interaction matches.")]
    interaction: Interaction


class LabelKey(Output):
    """A label key with its values, the most frequent first."""

    key: str
    count: Annotated[int, Meta(description="On how many interactions.")]
    last_used: Annotated[datetime, LAST_USED]
    values: Annotated[list[LabelValue], Meta(description="How many values.")]


class LabelList(Output):
    """The label keys of a project."""

    labels: Annotated[list[LabelKey], Meta(description="The label keys, each with its values.")]


class Deleted(Output):
    """The id of the deleted object."""

    deleted: Annotated[bool, Meta(description="True.")] = True


class LineResult(Output, omit_defaults=True):
    """The result of one line of a batch: the ids, or the error. `line` counts from 1."""

    line: Annotated[int, Meta(description="The line of the batch, from 1.")]
    status: Annotated[int, Meta(description="The HTTP status that the line would have had on its own.")]
    completion_id: Annotated[UUID | None, COMPLETION_ID] = None
    session_id: Annotated[UUID | None, SESSION_ID] = None
    feedback_ids: Annotated[list[UUID] | None, FEEDBACK_IDS] = None
    feedback_id: Annotated[UUID | None, FEEDBACK_ID] = None
    comparison_id: Annotated[UUID | None, COMPARISON_ID] = None
    outcome_id: Annotated[UUID | None, OUTCOME_ID] = None
    error: dict[str, Any] | None = None
