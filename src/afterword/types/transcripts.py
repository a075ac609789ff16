"""Sessions of interactions: their summaries, and their turns as one transcript."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from msgspec import Meta

from afterword.types.base import (
    COMPLETION_ID,
    END_USER,
    NEXT_CURSOR,
    PARENT,
    PROJECT_KEY,
    STEP,
    USAGE,
    Message,
    Output,
    State,
)
from afterword.types.feedback import Feedback, Outcome, Preference


class SessionSummary(Output):
    """A session: the interactions that share a session_id, with their sums.

    An interaction that was logged without a session_id is a session of its own. Token counts are sums over the turns
    of which they are known.
    """

    session_id: Annotated[UUID, Meta(description="The id of the session.")]
    session: Annotated[
        str | None,
        Meta(description="What the caller named the session, where that is no UUID; session_id stands for it."),
    ]
    project: Annotated[str, PROJECT_KEY]
    first_activity: Annotated[datetime, Meta(description="When its first turn happened.")]
    last_activity: Annotated[datetime, Meta(description="When its last turn happened.")]
    turn_count: Annotated[int, Meta(description="How many interactions it has, steps included.")]
    step_count: Annotated[int, Meta(description="How many of them have a parent.")]
    failed_turn_count: Annotated[int, Meta(description="How many of its calls failed.")]
    prompt_tokens: Annotated[int, Meta(description="The tokens of its prompts.")]
    completion_tokens: Annotated[int, Meta(description="The tokens of its completions.")]
    total_tokens: Annotated[int, Meta(description="The tokens of its prompts and completions.")]
    users: Annotated[list[str], Meta(description="The end users of its turns.")]
    models: Annotated[list[str], Meta(description="The keys of the models that completed its turns.")]
    outcomes: Annotated[list[Outcome], Meta(description="The values on the whole session, the newest first.")]


class SessionPage(Output):
    """A page of sessions. Pass `next` as `cursor` for the next page; null on the last.

    A page may hold fewer sessions than `limit`, even none, where few of many turns match; `next` then goes on.
    """

    sessions: list[SessionSummary]
    next: Annotated[str | None, NEXT_CURSOR]


ParentPage: TypeAlias = Literal["this", "earlier", "later", "other_session"]


class SessionTurn(Output):
    """An interaction of a session, with only those messages that the turn before did not have already.

    A turn with a `parent` is a step of that turn. The turn before a step is the step before it under the same parent,
    or else the parent, if that is earlier. The turn before one without a parent is the last one without a parent.
    `resent_count` is the number of messages that were left out. `message` is the whole assistant message, if more than
    a text was logged. `expired` is true where retention has deleted the texts.
    """

    completion_id: Annotated[UUID, COMPLETION_ID]
    created_at: Annotated[datetime, Meta(description="When it happened.")]
    model: Annotated[str | None, Meta(description="The key of the model that wrote it; null where none was named.")]
    user: Annotated[str | None, END_USER]
    state: Annotated[State, Meta(description="How the call went; `complete` for what was only logged.")]
    finish_reason: Annotated[str | None, Meta(description="Why the model ended, such as `stop` or `length`.")]
    error: Annotated[dict[str, Any] | None, Meta(description="What the caller was told of a call that failed.")]
    messages: Annotated[list[Message], Meta(description="The messages that are new against the turn before.")]
    resent_count: Annotated[int, Meta(description="How many messages the turn before had already.")]
    completion: Annotated[str, Meta(description="The text of the completion.")]
    message: Annotated[
        Message | None, Meta(description="The whole assistant message, where more than a text was logged.")
    ]
    labels: Annotated[dict[str, str], Meta(description="The labels, key to value.")]
    usage: Annotated[dict[str, Any] | None, USAGE]
    feedback: Annotated[list[Feedback], Meta(description="All feedback on this completion, the newest first.")]
    preferences: list[Preference]
    size: Annotated[int, Meta(description="The size in bytes of what was logged, as JSON.")]
    expired: Annotated[bool, Meta(description="Its texts were deleted, by the project's payload_retention_days.")]
    step: Annotated[str | None, STEP] = None
    parent: Annotated[UUID | None, PARENT] = None
    parent_missing: Annotated[
        bool, Meta(description="The project has no interaction `parent`: it is not logged yet, or was deleted.")
    ] = False
    parent_page: Annotated[
        ParentPage | None,
        Meta(
            description="The page of the transcript that has `parent`: `this`, an `earlier` or a `later` one; none if "
            "it is in an `other_session`. Null without a parent, and if it is missing."
        ),
    ] = None


class SessionTranscript(SessionSummary):
    """A session with a page of its turns, the oldest first. Pass `next` as `cursor` for the turns after them."""

    turns: list[SessionTurn]
    next: Annotated[str | None, NEXT_CURSOR]
