"""The words of Afterword, as they stand on the wire.

Times are RFC 3339 text in UTC, to the millisecond. Ids are UUIDs. A field that is not given on input is `None`, or
`UNSET` where "leave it as it is" and "make it empty" differ. Inputs refuse unknown fields by name; outputs may grow.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

Value: TypeAlias = bool | int | float
"""A feedback value: true, false, 0 or 1 under a bool key; any finite number under a scalar key."""
Moment: TypeAlias = str | int | float
"""A time on input: RFC 3339, a bare date, epoch milliseconds, or words such as `now - 1 month | Europe/Paris`."""
Message: TypeAlias = dict[str, Any]
"""A message as sent: `role`, `content` (text or a list of parts), and whatever else came with it."""
Kind: TypeAlias = Literal["scalar", "bool"]
ScoringType: TypeAlias = Literal["higher_is_better", "lower_is_better"]
Source: TypeAlias = Literal["LIVE", "OFFLINE", "AUTOMATION", "DATASET", "EVALUATION"]
Role: TypeAlias = Literal["admin", "member", "ingest", "viewer"]
Tie: TypeAlias = Literal["good", "bad"]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]


class Input(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a caller sends. Unknown fields are refused by name."""


class Output(msgspec.Struct, kw_only=True):
    """What the server answers."""


# ------------------------------------------------------------------------------------------------ projects


class Project(Output):
    """A space of its own: its interactions, metrics and labels are seen from no other."""

    id: UUID
    key: str
    name: str
    description: str
    created_at: datetime
    archived: bool


class NewProject(Input):
    """A project to create. `name` defaults to the key."""

    key: Key
    name: str | None = None
    description: str = ""


class ProjectChange(Input):
    """What to change of a project; the key stays."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    archived: bool | UnsetType = UNSET


class ProjectList(Output):
    """Projects that the key may see, by key."""

    projects: list[Project]


# ------------------------------------------------------------------------------------------------ metrics


class Metric(Output):
    """A feedback key: what is measured, bool or scalar, and which way is better."""

    id: UUID
    key: str
    name: str
    project: str
    kind: Kind
    scoring_type: ScoringType
    description: str
    unit: str
    created_at: datetime


class NewMetric(Input):
    """A feedback key to register. `name` defaults to the key, `project` as for interactions."""

    key: Key
    name: str | None = None
    kind: Kind = "scalar"
    scoring_type: ScoringType = "higher_is_better"
    description: str = ""
    unit: str = ""
    project: str | None = None


class MetricChange(Input):
    """What to change of a feedback key. Its key and kind stay."""

    name: str | UnsetType = UNSET
    scoring_type: ScoringType | UnsetType = UNSET
    description: str | UnsetType = UNSET
    unit: str | UnsetType = UNSET


class MetricList(Output):
    """The feedback keys of a project, by key."""

    metrics: list[Metric]


# ------------------------------------------------------------------------------------------------ feedback


class InlineFeedback(Input):
    """A value given together with the interaction that it rates."""

    metric: str
    value: Value
    details: str | None = None
    reason: str | None = None
    user: str | None = None
    created_at: Moment | None = None


class NewFeedback(Input):
    """A value on one completion under one feedback key.

    `feedback_id` may be given by the caller: the same again is then answered as the first time.
    """

    completion_id: str
    metric: str
    value: Value
    details: str | None = None
    reason: str | None = None
    user: str | None = None
    created_at: Moment | None = None
    feedback_id: UUID | None = None


class FeedbackChange(Input):
    """What to change of a feedback."""

    value: Value | UnsetType = UNSET
    details: str | UnsetType | None = UNSET
    reason: str | UnsetType | None = UNSET


class Feedback(Output):
    """A value on one completion under one key, by someone, with details. Bool values are 0.0 and 1.0."""

    feedback_id: UUID
    completion_id: UUID
    metric: str
    value: float
    details: str | None
    reason: str | None
    user: str | None
    actor: str
    created_at: datetime


class FeedbackRecorded(Output):
    """The id under which a feedback was stored."""

    feedback_id: UUID


class NewText(Input):
    """A completion given as its text, with the model that wrote it."""

    text: str
    model: str | None = None


class NewPreference(Input):
    """This completion over that one, or a tie.

    Each side is a completion_id, or `{text, model}` together with the `messages` that both answer.
    `comparison_id` may be given by the caller: the same again is then answered as the first time.
    """

    metric: str
    preferred_completion: str | NewText
    other_completion: str | NewText
    tied: Tie | None = None
    messages: list[Message] | None = None
    project: str | None = None
    labels: dict[str, str] | None = None
    details: str | None = None
    user: str | None = None
    created_at: Moment | None = None
    comparison_id: UUID | None = None


class PreferenceRecorded(Output):
    """The id under which a preference was stored."""

    comparison_id: UUID


class Preference(Output):
    """This completion over that one, or a good or bad tie. Seen from both completions.

    `prompt_mismatch` says that the two did not answer the same messages.
    """

    comparison_id: UUID
    metric: str
    preferred_completion: UUID
    other_completion: UUID
    tied: Tie | None
    prompt_mismatch: bool
    details: str | None
    user: str | None
    actor: str
    created_at: datetime


class NewOutcome(Input):
    """A value on a whole session under a feedback key."""

    session_id: UUID
    metric: str
    value: Value
    project: str | None = None
    details: str | None = None
    user: str | None = None
    created_at: Moment | None = None


class OutcomeRecorded(Output):
    """The id under which an outcome was stored."""

    outcome_id: UUID


# ------------------------------------------------------------------------------------------------ interactions


class NewInteraction(Input):
    """A completion to log, with the messages that it answers.

    `completion` is the text, or a whole assistant message (`{"role": "assistant", "content", "tool_calls", ...}`).
    `completion_id` may be given by the caller: the same again is then answered as the first time, other content
    under it is refused with 409.
    """

    messages: list[Message]
    completion: str | Message
    project: str | None = None
    model: Key | None = None
    labels: dict[str, str] | None = None
    feedbacks: list[InlineFeedback] | None = None
    user: str | None = None
    session_id: UUID | None = None
    created_at: Moment | None = None
    usage: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    completion_id: UUID | None = None


class Recorded(Output):
    """The ids under which an interaction was stored."""

    completion_id: UUID
    session_id: UUID
    feedback_ids: list[UUID]


class Interaction(Output):
    """Messages in, completion out, and what people thought of it.

    In the short view of a list, `prompt` and `completion` are cut to 300 characters and `messages` is left out
    (null); `size` is the true size in bytes of messages, completion, usage, timings and parameters as JSON.
    `message` is the whole assistant message where more than a text was logged.
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
    feedback: list[Feedback]
    preferences: list[Preference]


class InteractionPage(Output):
    """A page of interactions. Give `next` or `previous` as `cursor` to go on in that direction; null where it ends.

    `count` is the exact size of the whole set, only when asked for.
    """

    interactions: list[Interaction]
    next: str | None
    previous: str | None
    count: int | None = None


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

    `prompt` shows the prompt, cut to 300 characters, when grouped by prompt.
    """

    key: str | None
    count: int
    metrics: list[MetricStatistics]
    prompt: str | None = None


class GroupPage(Output):
    """A page of groups. `count` is the number of all groups, only when asked for."""

    groups: list[Group]
    next: str | None
    count: int | None = None


class LabelChange(Input):
    """Labels to set (added, or given a new value) and keys to remove, all or nothing."""

    set: dict[str, str] = {}
    remove: list[str] = []


class Labels(Output):
    """The labels of an interaction."""

    labels: dict[str, str]


class LabelValue(Output):
    """A value of a label key: on how many interactions, and the time of the newest of them."""

    value: str
    count: int
    last_used: datetime


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
    error: dict[str, Any] | None = None


# ------------------------------------------------------------------------------------------------ filters


class TimeRange(Input, rename={"from_": "from"}):
    """From (inclusive) to (exclusive), over the interaction's created_at. Either may be left out."""

    from_: Moment | None = None
    to: Moment | None = None


class Match(Input):
    """One of `eq`, `in`, `neq`. `neq` is the negation of `eq`: what has no value at all matches it too."""

    eq: str | None = None
    in_: list[str] | None = msgspec.field(name="in", default=None)
    neq: str | None = None


class LabelCondition(Input):
    """Has this label key; with `value`, has it with such a value. `neq` matches what has no such key, too."""

    key: str
    value: Match | None = None


class NumberCondition(Input):
    """Comparisons with numbers; all that are given must hold."""

    eq: float | None = None
    neq: float | None = None
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


class FeedbackCondition(Input):
    """Has feedback under this metric; with `value`, `reasons` or `user`, at least one feedback that meets them all."""

    metric: str
    value: NumberCondition | None = None
    reasons: list[str] | None = None
    user: str | None = None


class PreferenceCondition(Input):
    """Takes part in a preference under this metric."""

    metric: str


class TextCondition(Input):
    """`eq`: exactly this text. `contains`: these words next to each other, whatever their case."""

    eq: str | None = None
    contains: str | None = None


class Filter(Input, rename={"and_": "and", "or_": "or", "not_": "not"}):
    """A tree of conditions. Each node carries exactly one; `{"and": []}` is everything, `{"or": []}` nothing."""

    and_: list[Filter] | None = None
    or_: list[Filter] | None = None
    not_: Filter | None = None
    timerange: TimeRange | None = None
    model: Match | None = None
    label: LabelCondition | None = None
    feedback: FeedbackCondition | None = None
    preference: PreferenceCondition | None = None
    source: Match | None = None
    prompt_hash: Match | None = None
    session_id: Match | None = None
    user: Match | None = None
    completion_id: Match | None = None
    prompt: TextCondition | None = None
    completion: TextCondition | None = None
    text: str | None = None
    """Words to find in prompt or completion: all of them; "in quotes" next to each other; with * their beginnings."""


Order: TypeAlias = Literal["-created_at", "created_at"]
View: TypeAlias = Literal["short", "full"]
Images: TypeAlias = Literal["links", "inline"]


class Search(Input):
    """A filter tree with how to page through it. `project` defaults as for interactions."""

    project: str | None = None
    filter: Filter | None = None
    order: Order = "-created_at"
    limit: Annotated[int, Meta(ge=1, le=500)] = 50
    cursor: str | None = None
    count: bool = False
    view: View = "short"
    images: Images = "links"
    group_by: str | None = None
    """`model`, `prompt`, `session` or `label:KEY`: answers groups in place of interactions."""


# ------------------------------------------------------------------------------------------------ keys


class ApiKey(Output):
    """A key that calls are made with. The key itself is shown once, when created; `prefix` tells it apart.

    `projects` is null where the key is for all projects.
    """

    id: UUID
    name: str
    prefix: str
    role: Role
    projects: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewApiKey(Input):
    """A key to create. Roles: admin (everything), member (read, log, rate, register), ingest (log and rate, read
    nothing), viewer (read)."""

    name: str
    role: Role = "member"
    projects: list[str] | None = None
    expires_at: Moment | None = None


class CreatedApiKey(ApiKey):
    """A key as created: the only time that `api_key` is shown."""

    api_key: str


class ApiKeyList(Output):
    """All keys, the newest first."""

    keys: list[ApiKey]


class SearchHealth(Output):
    """The text index: how many interactions wait to be indexed."""

    waiting: int


class Health(Output):
    """How the server is. `status` is `ok`, or `degraded` while it cannot write."""

    status: Literal["ok", "degraded"]
    version: str
    search: SearchHealth
