"""Feedback on completions, and preferences between two completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import Connection, Row

from afterword.errors import AfterwordError, Conflict, Invalid, NotFound
from afterword.ids import find_uuid, uuid7
from afterword.service import repetition
from afterword.service.access import check_amends
from afterword.service.context import Context, completion_not_found, parse_id
from afterword.service.interactions.completion_ids import resolve_completion_id
from afterword.service.interactions.preparation import checked_labels
from afterword.service.interactions.recording import PreparedInteraction, prepare_interaction
from afterword.service.interactions.serializing import serialize_feedback, serialize_preference
from afterword.service.timestamps import parse_created_at
from afterword.service.validation import check_text, feedback_value, value_text
from afterword.store import feedback as stored
from afterword.store import interactions as stored_interactions
from afterword.store.background import rollups
from afterword.store.engine import ConditionalWrite, Rows
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

    The feedback key must be registered in the completion's project. A completion may have any number of feedbacks. With
    a `feedback_id` of your own, you can repeat the call safely.
    """
    await resolve_ids_of_feedback(context, body)
    try:
        answer = await context.store.write(feedback_unit(context, body), 500)
    except NotFound as error:
        raise await explained_error(context, error, body.completion_id) from None
    if body.details:
        context.state.search_index_worker.wake()
    context.state.broadcast.publish_rated([body.completion_id])
    return answer


async def resolve_ids_of_feedback(context: Context, body: NewFeedback) -> None:
    """Replace the id of an answer by that of its completion. Raises as `resolve_completion_id` does."""
    if find_uuid(body.completion_id) is None:
        body.completion_id = str(await resolve_completion_id(context, body.completion_id, param="completion_id"))


def feedback_unit(context: Context, body: NewFeedback) -> ConditionalWrite:
    """Return the unit of work that logs a feedback. Raises the errors that need no read of the store."""
    completion_id = UUID(body.completion_id)
    now = context.now()
    created_at = parse_created_at(body.created_at, param="created_at", now=now)
    _check_texts(body.details, body.user, body.reason)
    feedback_id = body.feedback_id or uuid7()
    request_hash = repetition.request_hash(body) if body.feedback_id else None

    def write(
        completion_row: Sequence[Any] | None, existing: Sequence[Any] | None = None
    ) -> tuple[Rows, FeedbackRecorded]:
        if existing is not None:
            project = (
                completion_row[0] if completion_row is not None and context.actor.sees(completion_row[0]) else None
            )
            stored_row = stored.FeedbackContent(*existing)
            if not _is_repetition(context, stored_row, body, request_hash, created_at, project):
                raise _feedback_conflict(
                    context, stored_row, feedback_id, project is not None and stored_row.is_on(completion_id)
                )
            return [], FeedbackRecorded(feedback_id=feedback_id)
        if completion_row is None or not context.actor.sees(completion_row[0]):
            raise completion_not_found(completion_id, "completion_id")
        metric = context.metric(completion_row[0], body.metric)
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
        rows = [(stored.INSERT_FEEDBACK, [row]), *rollups.dirty_hour(completion_row[0], completion_row[1])]
        if body.details:
            rows += stored.pending_details(completion_id)
        return rows, FeedbackRecorded(feedback_id=feedback_id)

    lookups = [(stored.FIND_COMPLETION, completion_id)]
    if body.feedback_id:
        lookups.append((stored.FIND_FEEDBACK, feedback_id))
    return ConditionalWrite(lookups, write, own=body.feedback_id)


async def get_feedback(context: Context, feedback_id: str) -> Feedback:
    """Show a feedback."""
    return await _feedback_by_id(context, parse_id(feedback_id, noun="feedback", param="feedback_id"))


async def update_feedback(context: Context, feedback_id: str, *, body: FeedbackChange) -> Feedback:
    """Change the value, details or reason of a feedback; omitted fields stay.

    Allowed for the user or key that gave it, and for keys that may edit.
    """
    row = await _amendable_feedback(context, feedback_id)
    values: dict[str, Any] = {
        name: value for name in ("details", "reason") if (value := getattr(body, name)) is not UNSET
    }
    _check_texts(values.get("details"), None, values.get("reason"))
    if body.value is not UNSET:
        values["value"] = feedback_value(context.catalog.metrics[row.metric], body.value)
    if values:
        if not await context.store.write(lambda transaction: stored.change(transaction, row, values)):
            _raise_feedback_not_found(feedback_id)
        context.state.search_index_worker.wake()
        context.state.broadcast.publish_changed([row.interaction_id])
    return await _feedback_by_id(context, row.id)


async def delete_feedback(context: Context, feedback_id: str) -> Deleted:
    """Delete a feedback.

    Allowed for the user or key that gave it, and for keys that may edit.
    """
    row = await _amendable_feedback(context, feedback_id)
    if not await context.store.write(lambda transaction: stored.remove(transaction, row)):
        _raise_feedback_not_found(feedback_id)
    context.state.search_index_worker.wake()
    context.state.broadcast.publish_changed([row.interaction_id])
    return Deleted()


async def _amendable_feedback(context: Context, feedback_id: str) -> Row[Any]:
    """Return the row of a feedback that the actor may change. Raises `NotFound` and `Forbidden`."""
    feedback_uuid = parse_id(feedback_id, noun="feedback", param="feedback_id")
    row_and_project = await context.store.read(stored.find_feedback, feedback_uuid)
    if row_and_project is None or not context.actor.sees(row_and_project[1]):
        _raise_feedback_not_found(feedback_id)
    row, project = row_and_project
    check_amends(context, project, row.actor, noun=f"feedback {feedback_uuid}", param="feedback_id")
    return row


async def prefer(context: Context, *, body: NewPreference) -> PreferenceRecorded:
    """Log a preference of one completion over another, or a good or bad tie.

    Each side is the completion_id of a logged completion, or `{text, model}`, which is logged first as an answer to
    `messages`. Both completions show the preference. With a `comparison_id` of your own, you can repeat the call
    safely.
    """
    await resolve_ids_of_preference(context, body)
    unit, size = await preference_unit(context, body)
    try:
        answer = await context.store.write(unit, size)
    except NotFound as error:
        completion_ids = [side for side in (body.preferred_completion, body.other_completion) if isinstance(side, str)]
        raise await explained_error(context, error, *completion_ids) from None
    context.state.search_index_worker.wake()
    sides = (body.preferred_completion, body.other_completion)
    context.state.broadcast.publish_rated([side for side in sides if isinstance(side, str)])
    return answer


async def get_preference(context: Context, comparison_id: str) -> Preference:
    """Show a preference."""
    comparison_uuid = parse_id(comparison_id, noun="preference", param="comparison_id")

    def read(connection: Connection) -> Preference | None:
        row_and_project = stored.find_preference(connection, comparison_uuid)
        return (
            serialize_preference(context, row_and_project[0])
            if row_and_project and context.actor.sees(row_and_project[1])
            else None
        )

    return await context.store.read(read) or _raise_preference_not_found(comparison_id)


async def update_preference(context: Context, comparison_id: str, *, body: PreferenceChange) -> Preference:
    """Change which completion is preferred, whether it is a tie, or the details; omitted fields stay.

    Allowed for the user or key that gave it, and for keys that may edit.
    """
    row = await _amendable_preference(context, comparison_id)
    values: dict[str, Any] = {
        name: value for name in ("tied", "details") if (value := getattr(body, name)) is not UNSET
    }
    _check_texts(values.get("details"), None, None)
    preferred = None
    if body.preferred_completion is not UNSET:
        preferred = await resolve_completion_id(context, body.preferred_completion, param="preferred_completion")
    if preferred is not None and preferred not in (row.interaction_id, row.other_id):
        raise Invalid(
            f"preferred_completion is {preferred}, which the preference is not about.",
            code="not_compared",
            param="preferred_completion",
            hint=f"It is between {row.interaction_id} and {row.other_id}.",
        )
    if values or preferred is not None:
        is_changed = await context.store.write(
            lambda transaction: stored.change_preference(transaction, row, preferred, values)
        )
        if not is_changed:
            _raise_preference_not_found(comparison_id)
        context.state.search_index_worker.wake()
        context.state.broadcast.publish_changed([row.interaction_id, row.other_id])
    return await get_preference(context, comparison_id)


async def delete_preference(context: Context, comparison_id: str) -> Deleted:
    """Delete a preference: its completions no longer show it, and rankings no longer count it.

    Allowed for the user or key that gave it, and for keys that may edit.
    """
    row = await _amendable_preference(context, comparison_id)
    if not await context.store.write(lambda transaction: stored.remove_preference(transaction, row)):
        _raise_preference_not_found(comparison_id)
    context.state.search_index_worker.wake()
    context.state.broadcast.publish_changed([row.interaction_id, row.other_id])
    return Deleted()


async def _amendable_preference(context: Context, comparison_id: str) -> Row[Any]:
    """Return the row of a preference that the actor may change. Raises `NotFound` and `Forbidden`."""
    comparison_uuid = parse_id(comparison_id, noun="preference", param="comparison_id")
    row_and_project = await context.store.read(stored.find_preference, comparison_uuid)
    if row_and_project is None or not context.actor.sees(row_and_project[1]):
        _raise_preference_not_found(comparison_id)
    row, project = row_and_project
    check_amends(context, project, row.actor, noun=f"preference {comparison_uuid}", param="comparison_id")
    return row


async def resolve_ids_of_preference(context: Context, body: NewPreference) -> None:
    """Replace the ids of answers by those of their completions. Raises as `resolve_completion_id` does."""
    for name in ("preferred_completion", "other_completion"):
        side = getattr(body, name)
        if isinstance(side, str) and find_uuid(side) is None:
            setattr(body, name, str(await resolve_completion_id(context, side, param=name)))


async def preference_unit(context: Context, body: NewPreference) -> tuple[ConditionalWrite, int]:
    """Return the unit of work that logs a preference, and its size."""
    sides_by_param = {"preferred_completion": body.preferred_completion, "other_completion": body.other_completion}
    comparison_id = body.comparison_id or uuid7()
    request_hash = repetition.request_hash(body) if body.comparison_id else None
    now = context.now()
    created_at = parse_created_at(body.created_at, param="created_at", now=now)
    _check_texts(body.details, body.user, None)
    prepared_texts: dict[str, PreparedInteraction] = {}
    sides: list[UUID] = []
    for name, side in sides_by_param.items():
        if isinstance(side, NewText):
            prepared_texts[name] = await _prepared_text(context, body, side, name)
            sides.append(prepared_texts[name].response.completion_id)
        else:
            sides.append(UUID(side))
    _check_are_two(*sides)

    def write(*rows: Sequence[Any] | None) -> tuple[Rows, PreferenceRecorded]:
        *completion_rows, existing = rows if body.comparison_id else (*rows, None)
        if existing is not None:
            _check_repeats_preference(existing, request_hash, comparison_id)
            return [], PreferenceRecorded(comparison_id=comparison_id)
        stored_sides = iter(completion_rows)
        compared_rows: list[Sequence[Any]] = []
        for name, side in zip(sides_by_param, sides, strict=True):
            side_row = prepared_texts[name].comparison_key if name in prepared_texts else next(stored_sides)
            if side_row is None or not context.actor.sees(side_row[0]):
                raise completion_not_found(side, name)
            compared_rows.append(side_row)
        (project, prompt), (other_project, other_prompt) = compared_rows
        if project != other_project:
            raise completion_not_found(sides[1], "other_completion", " in the project of the preferred one")
        metric = context.metric(project, body.metric)
        shared_values = (
            body.tied,
            metric.number,
            prompt != other_prompt,
            body.details,
            body.user,
            context.actor.number,
            created_at,
            request_hash,
        )
        texts = [pair for prepared in prepared_texts.values() for pair in prepared.rows]
        preference_rows = _preference_rows(sides, comparison_id, shared_values, has_details=bool(body.details))
        return [*texts, *preference_rows], PreferenceRecorded(comparison_id=comparison_id)

    lookups = [
        (stored.FIND_SIDE, side) for name, side in zip(sides_by_param, sides, strict=True) if name not in prepared_texts
    ]
    if body.comparison_id:
        lookups.append((stored.FIND_PREFERENCE, comparison_id))
    return ConditionalWrite(lookups, write, own=body.comparison_id), 500 + sum(
        prepared.size for prepared in prepared_texts.values()
    )


def _preference_rows(
    sides: Sequence[UUID], comparison_id: UUID, shared_values: tuple[Any, ...], *, has_details: bool
) -> Rows:
    preferred, other = sides
    rows = [(preferred, comparison_id, other, 1, *shared_values), (other, comparison_id, preferred, 2, *shared_values)]
    return [(stored.INSERT_PREFERENCE, rows), *(stored.pending_details(*sides) if has_details else [])]


def _check_are_two(preferred: UUID, other: UUID) -> None:
    if preferred == other:
        raise Invalid(
            f"preferred_completion and other_completion are both {preferred}.",
            code="same_completion",
            param="other_completion",
            hint="A preference is between two completions.",
        )


def _check_repeats_preference(existing: Sequence[Any], request_hash: int | None, comparison_id: UUID) -> None:
    if existing[0] != request_hash:
        raise Conflict(
            f"The comparison_id {comparison_id} is taken by a preference with other content.",
            code="comparison_exists",
            param="comparison_id",
            hint="A repetition must be the same in every field. To change a preference, send what changes to "
            f"PATCH /api/v1/preferences/{comparison_id}.",
        )


async def _prepared_text(context: Context, body: NewPreference, side: NewText, name: str) -> PreparedInteraction:
    if not body.messages:
        raise Invalid(
            f"{name} is given as a text, but messages are missing.",
            code="missing_messages",
            param="messages",
            hint="Give the messages that both completions answer, or the completion_ids of logged completions.",
        )
    new_interaction = NewInteraction(
        messages=body.messages,
        completion=side.text,
        model=side.model,
        project=body.project,
        labels=checked_labels(context, body.labels or {}),
        user=body.user,
        created_at=body.created_at,
    )
    return await prepare_interaction(context, new_interaction)


# ------------------------------------------------------------------------------------------------ errors


async def explained_error(context: Context, error: NotFound, *completion_ids: str) -> AfterwordError:
    """Return the error, with a better hint if the id is that of a session or a feedback."""
    if error.code != "completion_not_found":
        return error

    def find_id_kind(connection: Connection, searched_id: UUID) -> str | None:
        if any(map(context.actor.sees, stored_interactions.projects_of_session(connection, searched_id))):
            return "session_id"
        row_and_project = stored.find_feedback(connection, searched_id)
        return "feedback_id" if row_and_project and context.actor.sees(row_and_project[1]) else None

    for text in completion_ids:
        id_kind = await context.store.read(find_id_kind, UUID(text))
        if id_kind and UUID(text).hex in error.message.replace("-", ""):
            error.hint = f"This is a {id_kind}; use the completion_id that the interaction was logged under."
    return error


def _is_repetition(
    context: Context,
    stored_row: stored.FeedbackContent,
    body: NewFeedback,
    request_hash: int | None,
    created_at: int,
    project: int | None,
) -> bool:
    """Tell whether a body repeats the stored feedback: it is the same request, or has the same content.

    `project` is that of the completion that the body names, None if the key may not see it.
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


def _feedback_conflict(
    context: Context, stored_row: stored.FeedbackContent, feedback_id: UUID, is_visible: bool
) -> Conflict:
    metric = context.catalog.metrics.get(stored_row.metric) if is_visible else None
    stored_value_text = ""
    if metric is not None:
        stored_value_text = f" Stored now is the value {value_text(metric, stored_row.value)} under {metric.key!r}."
    return Conflict(
        f"The feedback_id {feedback_id} is taken with other content.{stored_value_text}",
        code="feedback_exists",
        param="feedback_id",
        hint=f"To change it, send value, details or reason to PATCH /api/v1/feedback/{feedback_id}; "
        "to log another, give it a feedback_id of its own.",
    )


def _check_texts(details: str | None, user: str | None, reason: str | None) -> None:
    for param, text in (("details", details), ("user", user), ("reason", reason)):
        if text is not None:
            check_text(text, param=param)


async def _feedback_by_id(context: Context, feedback_id: UUID) -> Feedback:
    def read(connection: Connection) -> Feedback | None:
        row_and_project = stored.find_feedback(connection, feedback_id)
        return (
            serialize_feedback(context, row_and_project[0])
            if row_and_project and context.actor.sees(row_and_project[1])
            else None
        )

    return await context.store.read(read) or _raise_feedback_not_found(str(feedback_id))


def _raise_feedback_not_found(feedback_id: str | UUID) -> NoReturn:
    raise NotFound(
        f"{feedback_id} does not exist, or this key may not see it.",
        noun="feedback",
        code="feedback_not_found",
        param="feedback_id",
        hint="Use the feedback_id that logging the feedback answered.",
    )


def _raise_preference_not_found(comparison_id: str) -> NoReturn:
    raise NotFound(
        f"{comparison_id} does not exist, or this key may not see it.",
        noun="preference",
        code="preference_not_found",
        param="comparison_id",
        hint="Use the comparison_id that logging the preference answered.",
    )
