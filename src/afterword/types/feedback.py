"""What people thought: feedback on a completion, preferences, outcomes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import UNSET, UnsetType

from afterword.types.base import Input, Kind, Message, Moment, Output, SessionId, Tie, Value


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
    """A value on one completion under one key, by someone, with details. Bool values are 0.0 and 1.0.

    `kind` is that of the feedback key: whoever imports the feedback elsewhere can register the key alike.
    """

    feedback_id: UUID
    completion_id: UUID
    metric: str
    value: float
    details: str | None
    reason: str | None
    user: str | None
    actor: str
    created_at: datetime
    kind: Kind = "scalar"
    mine: bool = False


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


class PreferenceChange(Input):
    """What to change of a preference."""

    preferred_completion: UUID | UnsetType = UNSET
    tied: Tie | UnsetType | None = UNSET
    details: str | UnsetType | None = UNSET


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
    mine: bool = False


class NewOutcome(Input):
    """A value on a whole session under a feedback key.

    `outcome_id` may be given by the caller: the same again is then answered as the first time.
    """

    session_id: SessionId
    metric: str
    value: Value
    project: str | None = None
    details: str | None = None
    user: str | None = None
    created_at: Moment | None = None
    outcome_id: UUID | None = None


class OutcomeRecorded(Output):
    """The id under which an outcome was stored."""

    outcome_id: UUID


class OutcomeChange(Input):
    """What to change of an outcome."""

    value: Value | UnsetType = UNSET
    details: str | UnsetType | None = UNSET


class Outcome(Output):
    """A value on a whole session under one key, by someone, with details. Bool values are 0.0 and 1.0."""

    outcome_id: UUID
    session_id: UUID
    project: str
    metric: str
    value: float
    details: str | None
    user: str | None
    actor: str
    created_at: datetime
    mine: bool = False


class OutcomePage(Output):
    """A page of outcomes. Give `next` as `cursor` to go on; null where it ends.

    `count` is the exact size of the whole set, only when asked for.
    """

    outcomes: list[Outcome]
    next: str | None
    count: int | None = None
