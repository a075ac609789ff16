"""What people thought: feedback on a completion, preferences between two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import Connection, Row

from afterword.errors import AfterwordError, Conflict, Invalid, NotFound
from afterword.ids import uuid7
from afterword.service import repetition
from afterword.service.access import check_amends
from afterword.service.context import Context, no_completion, parse_id
from afterword.service.drafts import checked_labels
from afterword.service.interactions import Draft, drafted
from afterword.service.moments import parse_created_at
from afterword.service.presenting import present_feedback, present_preference
from afterword.service.values import check_text, feedback_value, value_text
from afterword.store import feedback as stored
from afterword.store import interactions as stored_interactions
from afterword.store import rollups
from afterword.store.engine import Informed, Rows
from afterword.types import (
    Deleted,
    Feedback,
    FeedbackChange,
    FeedbackRecorded,
    NewFeedback,
    NewInteraction,
    NewPreference,
    NewText,
    Preference,
    PreferenceChange,
    PreferenceRecorded,
)


async def record(context: Context, *, body: NewFeedback) -> FeedbackRecorded:
    """Log feedback on a completion.

    The value stands under a registered feedback key of the completion's project. Several on one completion are kept
    side by side. A `feedback_id` of the caller's own makes the call repeatable.
    """
    try:
        answer = await context.store.write(feedback_unit(context, body), 500)
    except NotFound as error:
        raise await explained(context, error, body.completion_id) from None
    context.home.live.rated([body.completion_id])
    return answer


def feedback_unit(context: Context, body: NewFeedback) -> Informed:
    """Return the unit of work that logs a feedback. Raises what can be said before looking."""
    completion_id = completion_id_of(body.completion_id, param="completion_id")
    now = context.now()
    created_at = parse_created_at(body.created_at, param="created_at", now=now)
    _check_texts(body.details, body.user, body.reason)
    feedback_id = body.feedback_id or uuid7()
    request_hash = repetition.request_hash(body) if body.feedback_id else None

    def write(found: Sequence[Any] | None, existing: Sequence[Any] | None = None) -> tuple[Rows, FeedbackRecorded]:
        if existing is not None:
            project = found[0] if found is not None and context.actor.sees(found[0]) else None
            stored_row = stored.FeedbackContent(*existing)
            if not _is_stored(context, stored_row, body, request_hash, created_at, project):
                raise _changed_since(
                    context, stored_row, feedback_id, project is not None and stored_row.is_on(completion_id)
                )
            return [], FeedbackRecorded(feedback_id=feedback_id)
        if found is None or not context.actor.sees(found[0]):
            raise no_completion(completion_id, "completion_id")
        metric = context.metric(found[0], body.metric)
        value = feedback_value(metric, body.value)
        row = (
            completion_id,
            feedback_id,
            metric.number,
            value,
            body.details,
            body.reason,
            body.user,
            context.actor.number,
            created_at,
            request_hash,
        )
        rows = [(stored.INSERT_FEEDBACK, [row]), *rollups.marks(found[0], found[1])]
        return rows, FeedbackRecorded(feedback_id=feedback_id)

    wanted = [(stored.FIND_COMPLETION, completion_id)]
    if body.feedback_id:
        wanted.append((stored.FIND_FEEDBACK, feedback_id))
    return Informed(wanted, write, own=body.feedback_id)


async def get(context: Context, feedback_id: str) -> Feedback:
    """Show a feedback."""
    return await _feedback(context, parse_id(feedback_id, what="feedback", param="feedback_id"))


async def change(context: Context, feedback_id: str, *, body: FeedbackChange) -> Feedback:
    """Change the value, details or reason of a feedback; what is not named stays.

    Whoever gave it may; keys that may edit may change that of others, too.
    """
    row = await _amended(context, feedback_id)
    values: dict[str, Any] = {
        name: value for name in ("details", "reason") if (value := getattr(body, name)) is not UNSET
    }
    _check_texts(values.get("details"), None, values.get("reason"))
    if body.value is not UNSET:
        values["value"] = feedback_value(context.catalog.metrics[row.metric], body.value)
    if values:
        if not await context.store.write(lambda transaction: stored.change(transaction, row.id, values)):
            _no_feedback(feedback_id)
        context.home.live.changed([row.interaction_id])
    return await _feedback(context, row.id)


async def delete(context: Context, feedback_id: str) -> Deleted:
    """Delete a feedback.

    Whoever gave it may; keys that may edit may delete that of others, too.
    """
    row = await _amended(context, feedback_id)
    if not await context.store.write(lambda transaction: stored.remove(transaction, row.id)):
        _no_feedback(feedback_id)
    context.home.live.changed([row.interaction_id])
    return Deleted()


async def _amended(context: Context, feedback_id: str) -> Row[Any]:
    """Return the row of a feedback that the actor may change. Raises `NotFound` and `Forbidden`."""
    wanted = parse_id(feedback_id, what="feedback", param="feedback_id")
    found = await context.store.read(stored.find, wanted)
    if found is None or not context.actor.sees(found[1]):
        _no_feedback(feedback_id)
    row, project = found
    check_amends(context, project, row.actor, what=f"feedback {wanted}", param="feedback_id")
    return row


async def prefer(context: Context, *, body: NewPreference) -> PreferenceRecorded:
    """Log a preference: this completion over that one, or a good or bad tie.

    Each side is the completion_id of a logged completion, or `{text, model}`, which is logged first as an answer to
    `messages`. Seen from both completions. A `comparison_id` of the caller's own makes the call repeatable.
    """
    unit, size = await preference_unit(context, body)
    try:
        answer = await context.store.write(unit, size)
    except NotFound as error:
        named = [side for side in (body.preferred_completion, body.other_completion) if isinstance(side, str)]
        raise await explained(context, error, *named) from None
    context.home.indexer.wake()
    sides = (body.preferred_completion, body.other_completion)
    context.home.live.rated([side for side in sides if isinstance(side, str)])
    return answer


async def get_preference(context: Context, comparison_id: str) -> Preference:
    """Show a preference."""
    wanted = parse_id(comparison_id, what="preference", param="comparison_id")

    def read(connection: Connection) -> Preference | None:
        found = stored.find_preference(connection, wanted)
        return present_preference(context, found[0]) if found and context.actor.sees(found[1]) else None

    return await context.store.read(read) or _no_preference(comparison_id)


async def change_preference(context: Context, comparison_id: str, *, body: PreferenceChange) -> Preference:
    """Change which completion is preferred, whether it is a tie, or the details; what is not named stays.

    Whoever gave it may; keys that may edit may change that of others, too.
    """
    row = await _amended_preference(context, comparison_id)
    values: dict[str, Any] = {
        name: value for name in ("tied", "details") if (value := getattr(body, name)) is not UNSET
    }
    _check_texts(values.get("details"), None, None)
    preferred = None if body.preferred_completion is UNSET else body.preferred_completion
    if preferred is not None and preferred not in (row.interaction_id, row.other_id):
        raise Invalid(
            f"preferred_completion is {preferred}, which the preference is not about.",
            code="not_compared",
            param="preferred_completion",
            hint=f"It is between {row.interaction_id} and {row.other_id}.",
        )
    if values or preferred is not None:
        changed = await context.store.write(lambda one: stored.change_preference(one, row.id, preferred, values))
        if not changed:
            _no_preference(comparison_id)
        context.home.live.changed([row.interaction_id, row.other_id])
    return await get_preference(context, comparison_id)


async def withdraw(context: Context, comparison_id: str) -> Deleted:
    """Delete a preference: neither of its completions shows it any more, and rankings do not count it.

    Whoever gave it may; keys that may edit may delete that of others, too.
    """
    row = await _amended_preference(context, comparison_id)
    if not await context.store.write(lambda transaction: stored.remove_preference(transaction, row.id)):
        _no_preference(comparison_id)
    context.home.live.changed([row.interaction_id, row.other_id])
    return Deleted()


async def _amended_preference(context: Context, comparison_id: str) -> Row[Any]:
    """Return the row of a preference that the actor may change. Raises `NotFound` and `Forbidden`."""
    wanted = parse_id(comparison_id, what="preference", param="comparison_id")
    found = await context.store.read(stored.find_preference, wanted)
    if found is None or not context.actor.sees(found[1]):
        _no_preference(comparison_id)
    row, project = found
    check_amends(context, project, row.actor, what=f"preference {wanted}", param="comparison_id")
    return row


async def preference_unit(context: Context, body: NewPreference) -> tuple[Informed, int]:
    """Return the unit of work that logs a preference, and its size."""
    given = {"preferred_completion": body.preferred_completion, "other_completion": body.other_completion}
    comparison_id = body.comparison_id or uuid7()
    request_hash = repetition.request_hash(body) if body.comparison_id else None
    now = context.now()
    created_at = parse_created_at(body.created_at, param="created_at", now=now)
    _check_texts(body.details, body.user, None)
    drafts: dict[str, Draft] = {}
    sides: list[UUID] = []
    for name, side in given.items():
        if isinstance(side, NewText):
            drafts[name] = await _text_draft(context, body, side, name)
            sides.append(drafts[name].recorded.completion_id)
        else:
            sides.append(completion_id_of(side, param=name))
    if sides[0] == sides[1]:
        raise Invalid(
            f"preferred_completion and other_completion are both {sides[0]}.",
            code="same_completion",
            param="other_completion",
            hint="A preference is between two completions.",
        )

    def write(*rows: Sequence[Any] | None) -> tuple[Rows, PreferenceRecorded]:
        *found, existing = rows if body.comparison_id else (*rows, None)
        if existing is not None:
            if existing[0] != request_hash:
                raise Conflict(
                    f"The comparison_id {comparison_id} is taken by a preference with other content.",
                    code="comparison_exists",
                    param="comparison_id",
                    hint="A repetition must be the same in every field. To change a preference, send what changes to "
                    f"PATCH /api/v1/preferences/{comparison_id}.",
                )
            return [], PreferenceRecorded(comparison_id=comparison_id)
        stored_sides = iter(found)
        compared: list[Sequence[Any]] = []
        for name, side in zip(given, sides, strict=True):
            row = drafts[name].compared if name in drafts else next(stored_sides)
            if row is None or not context.actor.sees(row[0]):
                raise no_completion(side, name)
            compared.append(row)
        (project, prompt), (other_project, other_prompt) = compared
        if project != other_project:
            raise no_completion(sides[1], "other_completion", " in the project of the preferred one")
        metric = context.metric(project, body.metric)
        rest = (
            body.tied,
            metric.number,
            prompt != other_prompt,
            body.details,
            body.user,
            context.actor.number,
            created_at,
            request_hash,
        )
        both = [(sides[0], comparison_id, sides[1], 1, *rest), (sides[1], comparison_id, sides[0], 2, *rest)]
        texts = [pair for draft in drafts.values() for pair in draft.rows]
        return [*texts, (stored.INSERT_PREFERENCE, both)], PreferenceRecorded(comparison_id=comparison_id)

    wanted = [(stored.FIND_SIDE, side) for name, side in zip(given, sides, strict=True) if name not in drafts]
    if body.comparison_id:
        wanted.append((stored.FIND_PREFERENCE, comparison_id))
    return Informed(wanted, write, own=body.comparison_id), 500 + sum(draft.size for draft in drafts.values())


async def _text_draft(context: Context, body: NewPreference, side: NewText, name: str) -> Draft:
    if not body.messages:
        raise Invalid(
            f"{name} is given as a text, but messages are missing.",
            code="missing_messages",
            param="messages",
            hint="Give the messages that both completions answer, or the completion_ids of logged completions.",
        )
    new = NewInteraction(
        messages=body.messages,
        completion=side.text,
        model=side.model,
        project=body.project,
        labels=checked_labels(context, body.labels or {}),
        user=body.user,
        created_at=body.created_at,
    )
    return await drafted(context, new)


# ------------------------------------------------------------------------------------------------ what may go wrong


def completion_id_of(text: str, *, param: str) -> UUID:
    """Read a completion_id. Raises `Invalid`, with advice for who passes a response's id."""
    try:
        return UUID(text)
    except ValueError:
        raise Invalid(
            f"{param} is {text[:80]!r}, which is not a UUID.",
            code="invalid_completion_id",
            param=param,
            hint="Use the completion_id of the choice (choices[0].completion_id), not the id of the response.",
        ) from None


async def explained(context: Context, error: NotFound, *named: str) -> AfterwordError:
    """Return the error with better advice where the id that was given is that of something else."""
    if error.code != "completion_not_found":
        return error

    def look(connection: Connection, wanted: UUID) -> str | None:
        if any(map(context.actor.sees, stored_interactions.projects_of_session(connection, wanted))):
            return "session_id"
        found = stored.find(connection, wanted)
        return "feedback_id" if found and context.actor.sees(found[1]) else None

    for text in named:
        found = await context.store.read(look, UUID(text))
        if found and UUID(text).hex in error.message.replace("-", ""):
            error.hint = f"This is a {found}; use the completion_id that the interaction was logged under."
    return error


def _is_stored(
    context: Context,
    stored_row: stored.FeedbackContent,
    body: NewFeedback,
    request_hash: int | None,
    created_at: int,
    project: int | None,
) -> bool:
    """Tell whether a body asks for the very feedback that is stored now: it was sent again, or says the same.

    `project` is that of the completion which the body names, None where the key may not see it.
    """
    try:
        value = float(body.value)
    except OverflowError:
        return False
    if (value, body.details, body.reason) != (stored_row.value, stored_row.details, stored_row.reason):
        return False
    if stored_row.request_hash == request_hash:
        return True
    metric = None if project is None else context.catalog.find_metric(project, body.metric)
    return (
        metric is not None
        and metric.number == stored_row.metric
        and stored_row.is_on(UUID(body.completion_id))
        and body.user == stored_row.user
        and (body.created_at is None or created_at == stored_row.created_at)
    )


def _changed_since(context: Context, stored_row: stored.FeedbackContent, feedback_id: UUID, visible: bool) -> Conflict:
    metric = context.catalog.metrics.get(stored_row.metric) if visible else None
    now = ""
    if metric is not None:
        now = f" Stored now is the value {value_text(metric, stored_row.value)} under {metric.key!r}."
    return Conflict(
        f"The feedback_id {feedback_id} is taken with other content.{now}",
        code="feedback_exists",
        param="feedback_id",
        hint=f"To change it, send value, details or reason to PATCH /api/v1/feedback/{feedback_id}; "
        "to log another, give it a feedback_id of its own.",
    )


def _check_texts(details: str | None, user: str | None, reason: str | None) -> None:
    for param, text in (("details", details), ("user", user), ("reason", reason)):
        if text is not None:
            check_text(text, param=param)


async def _feedback(context: Context, feedback_id: UUID) -> Feedback:
    def read(connection: Connection) -> Feedback | None:
        found = stored.find(connection, feedback_id)
        return present_feedback(context, found[0]) if found and context.actor.sees(found[1]) else None

    return await context.store.read(read) or _no_feedback(str(feedback_id))


def _no_feedback(feedback_id: str | UUID) -> NoReturn:
    raise NotFound(
        f"EntityNotFound: feedback {feedback_id} does not exist, or this key may not see it.",
        code="feedback_not_found",
        param="feedback_id",
        hint="Use the feedback_id that logging the feedback answered.",
    )


def _no_preference(comparison_id: str) -> NoReturn:
    raise NotFound(
        f"EntityNotFound: preference {comparison_id} does not exist, or this key may not see it.",
        code="preference_not_found",
        param="comparison_id",
        hint="Use the comparison_id that logging the preference answered.",
    )
