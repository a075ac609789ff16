"""Feedback on completions, preferences between completions, and outcomes of sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from afterword.types.base import (
    COMPARISON_ID,
    COMPLETION_ID,
    END_USER,
    FEEDBACK_ID,
    HAPPENED_AT,
    METRIC,
    METRIC_KEY,
    METRIC_KIND,
    NEXT_CURSOR,
    OUTCOME_ID,
    PROJECT,
    PROJECT_KEY,
    Input,
    Kind,
    Message,
    Moment,
    Output,
    SessionId,
    Tie,
    Value,
)

FEEDBACK_VALUE = Meta(
    description="A feedback value: true, false, 0 or 1 under a bool key; any finite number under a scalar key."
)
REASON = Meta(description="Why, as a word to filter by.")
STORED_VALUE = Meta(description="The value; a bool one is 0.0 or 1.0.")
ACTOR = Meta(description="The name of the API key that gave it.")
GIVEN_AT = Meta(description="When it was given.")
OWN_FEEDBACK = Meta(
    description="True where this key gave it, or another key of the same user: this one may change and delete it."
)
TIED = Meta(description="`good` or `bad` where both completions are equally good or bad; null where one is preferred.")
OWN_ID = Meta(description="Your own id for it: the same again answers as the first time.")
COMPARED_COMPLETION = Meta(description="A completion_id, or `{text, model}` together with `messages`.")


class InlineFeedback(Input):
    """A value that is sent together with the interaction that it rates."""

    metric: Annotated[str, METRIC]
    value: Annotated[Value, FEEDBACK_VALUE]
    details: Annotated[str | None, Meta(description="Why, in words.")] = None
    reason: Annotated[str | None, REASON] = None
    user: Annotated[str | None, END_USER] = None
    created_at: Annotated[Moment | None, HAPPENED_AT] = None


class NewFeedback(Input):
    """A value on one completion under one feedback key.

    The caller may choose `feedback_id`: a repeated request then gets the first answer again.
    """

    completion_id: Annotated[str, COMPLETION_ID]
    metric: Annotated[str, METRIC]
    value: Annotated[Value, FEEDBACK_VALUE]
    details: Annotated[str | None, Meta(description="Why, in words.")] = None
    reason: Annotated[str | None, REASON] = None
    user: Annotated[str | None, END_USER] = None
    created_at: Annotated[Moment | None, HAPPENED_AT] = None
    feedback_id: Annotated[UUID | None, OWN_ID] = None


class FeedbackChange(Input):
    """Changes to a feedback."""

    value: Annotated[Value | UnsetType, FEEDBACK_VALUE] = UNSET
    details: Annotated[str | UnsetType | None, Meta(description="Why, in words.")] = UNSET
    reason: Annotated[str | UnsetType | None, REASON] = UNSET


class Feedback(Output):
    """A value on one completion under one feedback key, with its giver and details. Bool values are 0.0 and 1.0.

    `kind` is that of the feedback key, so that an import elsewhere can register the key in the same way.
    """

    feedback_id: Annotated[UUID, FEEDBACK_ID]
    completion_id: Annotated[UUID, COMPLETION_ID]
    metric: Annotated[str, METRIC_KEY]
    value: Annotated[float, STORED_VALUE]
    details: Annotated[str | None, Meta(description="Why, in words.")]
    reason: Annotated[str | None, REASON]
    user: Annotated[str | None, END_USER]
    actor: Annotated[str, ACTOR]
    created_at: Annotated[datetime, GIVEN_AT]
    kind: Annotated[Kind, METRIC_KIND] = "scalar"
    mine: Annotated[bool, OWN_FEEDBACK] = False


class FeedbackRecorded(Output):
    """The id under which a feedback was stored."""

    feedback_id: Annotated[UUID, FEEDBACK_ID]


class NewText(Input):
    """A completion given as its text, with the model that wrote it."""

    text: Annotated[str, Meta(description="The text of the completion.")]
    model: Annotated[str | None, Meta(description="The model that wrote it.")] = None


class NewPreference(Input):
    """A preference for one completion over another, or a tie.

    Each side is a completion_id, or `{text, model}` together with the `messages` that both answer.
    The caller may choose `comparison_id`: a repeated request then gets the first answer again.
    """

    metric: Annotated[str, METRIC]
    preferred_completion: Annotated[str | NewText, COMPARED_COMPLETION]
    other_completion: Annotated[str | NewText, COMPARED_COMPLETION]
    tied: Annotated[Tie | None, TIED] = None
    messages: Annotated[
        list[Message] | None, Meta(description="What both texts answer. Needed with texts, ignored with ids.")
    ] = None
    project: Annotated[str | None, PROJECT] = None
    labels: Annotated[dict[str, str] | None, Meta(description="Labels for completions that are given as texts.")] = None
    details: Annotated[str | None, Meta(description="Why, in words.")] = None
    user: Annotated[str | None, END_USER] = None
    created_at: Annotated[Moment | None, HAPPENED_AT] = None
    comparison_id: Annotated[UUID | None, OWN_ID] = None


class PreferenceRecorded(Output):
    """The id under which a preference was stored."""

    comparison_id: Annotated[UUID, COMPARISON_ID]


class PreferenceChange(Input):
    """Changes to a preference."""

    preferred_completion: Annotated[str | UnsetType, Meta(description="Which of the two is preferred.")] = UNSET
    tied: Annotated[Tie | UnsetType | None, TIED] = UNSET
    details: Annotated[str | UnsetType | None, Meta(description="Why, in words.")] = UNSET


class Preference(Output):
    """A preference for one completion over another, or a good or bad tie. Both completions show it.

    `prompt_mismatch` is true if the two did not answer the same messages.
    """

    comparison_id: Annotated[UUID, COMPARISON_ID]
    metric: Annotated[str, METRIC_KEY]
    preferred_completion: Annotated[
        UUID, Meta(description="The completion that was preferred; in a tie, the one that was named first.")
    ]
    other_completion: Annotated[UUID, Meta(description="The other completion.")]
    tied: Annotated[Tie | None, TIED]
    prompt_mismatch: Annotated[
        bool, Meta(description="True where the two completions did not answer the same messages.")
    ]
    details: Annotated[str | None, Meta(description="Why, in words.")]
    user: Annotated[str | None, END_USER]
    actor: Annotated[str, ACTOR]
    created_at: Annotated[datetime, GIVEN_AT]
    mine: Annotated[bool, OWN_FEEDBACK] = False


class NewOutcome(Input):
    """A value on a whole session under a feedback key.

    The caller may choose `outcome_id`: a repeated request then gets the first answer again.
    """

    session_id: Annotated[
        SessionId, Meta(description="The session that the value is about: its id, or what the caller named it.")
    ]
    metric: Annotated[str, METRIC]
    value: Annotated[Value, FEEDBACK_VALUE]
    project: Annotated[str | None, PROJECT] = None
    details: Annotated[str | None, Meta(description="Why, in words.")] = None
    user: Annotated[str | None, END_USER] = None
    created_at: Annotated[Moment | None, HAPPENED_AT] = None
    outcome_id: Annotated[UUID | None, Meta(description="An id of your own, which makes the call repeatable.")] = None


class OutcomeRecorded(Output):
    """The id under which an outcome was stored."""

    outcome_id: Annotated[UUID, OUTCOME_ID]


class OutcomeChange(Input):
    """Changes to an outcome."""

    value: Annotated[Value | UnsetType, FEEDBACK_VALUE] = UNSET
    details: Annotated[str | UnsetType | None, Meta(description="Why, in words.")] = UNSET


class Outcome(Output):
    """A value on a whole session under one feedback key, with its giver and details. Bool values are 0.0 and 1.0."""

    outcome_id: Annotated[UUID, OUTCOME_ID]
    session_id: Annotated[UUID, Meta(description="The session that the value is about.")]
    project: Annotated[str, PROJECT_KEY]
    metric: Annotated[str, METRIC_KEY]
    value: Annotated[float, STORED_VALUE]
    details: Annotated[str | None, Meta(description="Why, in words.")]
    user: Annotated[str | None, END_USER]
    actor: Annotated[str, ACTOR]
    created_at: Annotated[datetime, GIVEN_AT]
    mine: Annotated[bool, OWN_FEEDBACK] = False


class OutcomePage(Output):
    """A page of outcomes. Pass `next` as `cursor` for the next page; null on the last.

    `count` is the exact number of matches, if the request asked for it.
    """

    outcomes: list[Outcome]
    next: Annotated[str | None, NEXT_CURSOR]
    count: Annotated[int | None, Meta(description="How many.")] = None
