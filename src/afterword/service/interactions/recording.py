"""Logging, reading, changing and deleting interactions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NoReturn
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from afterword.errors import Conflict, Invalid, Unavailable
from afterword.ids import uuid7
from afterword.service import repetition
from afterword.service.context import Context, completion_not_found
from afterword.service.interactions import preparation
from afterword.service.interactions.completion_ids import resolve_completion_id
from afterword.service.interactions.serializing import serialize_interactions, shown_media
from afterword.service.models.models import model_number
from afterword.service.models.routing import check_model_of, get_running_test
from afterword.service.timestamps import parse_created_at
from afterword.service.validation import check_text, checked_session, feedback_value
from afterword.store import calls
from afterword.store import interactions as stored
from afterword.store.ab_tests import INSERT_INTERACTION
from afterword.store.catalog import ProjectRow
from afterword.store.deletion import erase
from afterword.store.engine import Rows, Transaction
from afterword.types import (
    Deleted,
    Images,
    InlineFeedback,
    Interaction,
    LabelChange,
    Labels,
    NewInteraction,
    Recorded,
)
from afterword.types.fields import TEXT_FIELDS
from afterword.types.queries import InteractionQuery

# Above this a payload is compressed in a thread, so that other calls go on meanwhile.
LARGE_PAYLOAD_BYTES = 256 << 10


class PreparedInteraction(msgspec.Struct):
    """An interaction that is ready to be written: its ids, its rows, and their approximate size in bytes."""

    response: Recorded
    rows: Rows
    size: int
    request_hash: int | None
    new_labels: list[int]
    comparison_key: tuple[int, int]
    """Its project and prompt hash, which a preference compares."""

    def note_commit(self, context: Context) -> None:
        """Publish the interaction after its commit."""
        context.catalog.keep_labels(self.new_labels)
        context.state.search_index_worker.wake()
        context.state.broadcast.publish_changed([self.response.completion_id])


async def record(context: Context, *, body: NewInteraction) -> Recorded:
    """Log an interaction.

    Send a completion made elsewhere with its messages, labels and feedback; either all of it is stored or nothing. The
    answer is sent once it is on disk. With a `completion_id` of your own, you can repeat the call safely: the answer is
    that of the first call. Other content under the same id is refused with 409.
    """
    prepared = await prepare_interaction(context, body)
    try:
        await context.store.write(prepared.rows, prepared.size)
    except Exception as error:
        await check_repetition(context, prepared, error)
    prepared.note_commit(context)
    return prepared.response


async def prepare_interaction(context: Context, body: NewInteraction) -> PreparedInteraction:
    """Check an interaction and make its rows. Raises `NotFound`, `Invalid`, `TooLarge`."""
    if body.parent is not None:
        # The request hash must not depend on how the id is written.
        body.parent = str(await resolve_completion_id(context, body.parent, param="parent"))
    test = get_running_test(context, body.ab_campaign) if body.ab_campaign else None
    project_key = context.catalog.projects[test.project].key if test and body.project is None else body.project
    project = context.project(project_key, writing=True)
    if test is not None:
        check_model_of(context, test, context.catalog.find_model(body.model or ""), project)
    model = None if body.model is None else await model_number(context, body.model)
    if _rough_size(body) > LARGE_PAYLOAD_BYTES:
        prepared = await asyncio.to_thread(prepared_interaction, context, body, project, model)
    else:
        prepared = prepared_interaction(context, body, project, model)
    if test is not None:
        prepared.rows.append((INSERT_INTERACTION, [(prepared.response.completion_id, test.number, model)]))
    return prepared


async def check_repetition(context: Context, prepared: PreparedInteraction, error: Exception) -> None:
    """Return if `error` says that this very interaction is stored already; raise `Conflict` or `error` otherwise."""
    if not context.store.database.is_duplicate(error):
        raise error
    existing = await context.store.read(stored.find_interaction, prepared.response.completion_id)
    if existing is None:
        raise Unavailable(
            f"The interaction {prepared.response.completion_id} was deleted a moment ago; its words are still being "
            "taken out of the text index.",
            code="just_deleted",
            hint="Send it again after the time that Retry-After gives.",
            retry_after=1,
        ) from None
    if prepared.request_hash is None or existing.request_hash != prepared.request_hash:
        raise Conflict(
            f"The completion_id {prepared.response.completion_id} is taken by an interaction with other content.",
            code="completion_exists",
            param="completion_id",
            hint="Give each interaction its own completion_id; a repetition must be the same in every field. "
            f"Change labels with PATCH /api/v1/interactions/{prepared.response.completion_id}/labels.",
        ) from None


def _rough_size(body: NewInteraction) -> int:
    size = len(body.completion) if isinstance(body.completion, str) else LARGE_PAYLOAD_BYTES
    for message in body.messages:
        content = message.get("content")
        size += len(content) if isinstance(content, str) else LARGE_PAYLOAD_BYTES if content else 0
    return size


def prepared_interaction(
    context: Context, body: NewInteraction, project: ProjectRow, model: int | None
) -> PreparedInteraction:
    """Check an interaction of a known project and model, and make its rows. Raises `Invalid`, `TooLarge`."""
    now = context.now()
    _check_parent(body)
    labels = preparation.checked_labels(context, body.labels or {})
    # The messages of an exported call are stored as they were sent to the provider, whatever their form.
    as_sent = body.call is not None
    prompt = preparation.new_prompt(
        context,
        project=project,
        source=body.source or "OFFLINE",
        created_at=parse_created_at(body.created_at, param="created_at", now=now),
        messages=body.messages,
        labels=labels,
        texts=_checked_texts(body),
        parent=None if body.parent is None else UUID(body.parent),
        operation=body.operation,
        as_sent=as_sent,
    )
    completion_of = preparation.new_completion_as_sent if as_sent else preparation.new_completion
    completion = completion_of(
        context,
        body.completion,
        usage=body.usage,
        timings=body.timings,
        parameters=body.parameters,
        facts=body.facts or None,
    )
    session = checked_session(project, body.session_id)
    if body.session_id is not None and session[1] is None:
        # The request hash must not depend on how the UUID is written.
        body.session_id = str(session[0])
    requested_id = body.completion_id
    completion_id = requested_id or uuid7()
    request_hash = None if requested_id is None else repetition.request_hash(body, str(project.number))
    row_batch = preparation.new_rows(
        context,
        prompt,
        completion,
        completion_id,
        session=session,
        model=model,
        request_hash=request_hash,
        call=_call_row(completion_id, body),
    )
    feedback_ids = []
    if body.feedbacks:
        feedback_rows = [
            _feedback_row(
                context, project, completion_id, inline_feedback, index, now=now, derive=requested_id is not None
            )
            for index, inline_feedback in enumerate(body.feedbacks)
        ]
        feedback_ids = [row[1] for row in feedback_rows]
        row_batch.rows.append((stored.INSERT["feedback"], feedback_rows))
    response = Recorded(completion_id=completion_id, session_id=session[0] or completion_id, feedback_ids=feedback_ids)
    comparison_key = project.number, prompt.prompt_hash
    return PreparedInteraction(
        response, row_batch.rows, row_batch.size, request_hash, row_batch.new_labels, comparison_key
    )


def _check_parent(body: NewInteraction) -> None:
    if body.parent is not None and body.parent == str(body.completion_id):
        raise Invalid(
            f"parent is {body.parent}, which is the interaction's own completion_id.",
            code="own_parent",
            param="parent",
            hint="Give the completion_id of the interaction that this one is a step of, or leave parent out.",
        )


def _checked_texts(body: NewInteraction) -> dict[str, str | None]:
    texts: dict[str, str | None] = {}
    for field in TEXT_FIELDS:
        text = texts[field.column] = getattr(body, field.name)
        if text is not None:
            check_text(text, param=field.name, max_length=field.max_characters)
    return texts


def _call_row(completion_id: UUID, body: NewInteraction) -> tuple[Any, ...] | None:
    """Return the row of a call that was made elsewhere; None if the body has no facts about it."""
    numbers = preparation.system_metric_values(body.usage, body.timings)
    call = body.call or None
    if call is None:
        return calls.call_row(completion_id, calls.COMPLETE, numbers=numbers) if numbers else None
    for name, value in msgspec.structs.asdict(call).items():
        if isinstance(value, str):
            check_text(value, param=f"call.{name}")
    return calls.call_row(
        completion_id,
        calls.STATES.index(call.state),
        finish_reason=call.finish_reason,
        error=msgspec.json.encode(call.error).decode() if call.error else None,
        origin={name: getattr(call, name) for name in calls.ORIGIN_COLUMNS},
        numbers=numbers,
    )


def _feedback_row(
    context: Context,
    project: ProjectRow,
    completion_id: UUID,
    inline_feedback: InlineFeedback,
    index: int,
    *,
    now: int,
    derive: bool,
) -> tuple[Any, ...]:
    path = f"feedbacks[{index}]"
    metric = context.metric(project.number, inline_feedback.metric, param=f"{path}.metric")
    for name in ("details", "reason", "user"):
        if (text := getattr(inline_feedback, name)) is not None:
            check_text(text, param=f"{path}.{name}")
    return (
        completion_id,
        _inline_feedback_id(completion_id, index) if derive else uuid7(),
        metric.number,
        feedback_value(metric, inline_feedback.value, param=f"{path}.value"),
        inline_feedback.details,
        inline_feedback.reason,
        inline_feedback.user,
        context.actor.number,
        parse_created_at(inline_feedback.created_at, param=f"{path}.created_at", now=now),
        None,
    )


def _inline_feedback_id(completion_id: UUID, index: int) -> UUID:
    """Return the id of inline feedback. It is derived from the caller's completion_id, so that a repetition returns it
    without a read."""
    digest = blake2b(completion_id.bytes + index.to_bytes(4, "big"), digest_size=16).digest()
    return UUID(bytes=digest, version=5)


# ------------------------------------------------------------------------------------------------ one interaction


async def get_interaction(context: Context, completion_id: str, *, query: InteractionQuery) -> Interaction:
    """Show an interaction: messages, completion, labels, and all feedback and preferences on it.

    Images, audio and files are shown as links, or with `media=inline` as they were sent.
    """
    completion_uuid = await resolve_completion_id(context, completion_id, param="completion_id", in_path=True)

    def read(connection: Connection) -> Interaction | None:
        row = stored.find_interaction(connection, completion_uuid)
        if row is None or not context.actor.sees(row.project):
            return None
        [interaction] = serialize_interactions(context, connection, [row], view="full", images=shown_media(query))
        return interaction

    return await context.store.read(read) or raise_completion_not_found(completion_uuid)


async def find_interactions(context: Context, ids: Sequence[UUID], images: Images = "links") -> dict[UUID, Interaction]:
    """Return these interactions in full, except those that do not exist or that the key may not see."""

    def read(connection: Connection) -> dict[UUID, Interaction]:
        rows = [row for row in stored.find_interactions(connection, ids) if context.actor.sees(row.project)]
        return {
            interaction.completion_id: interaction
            for interaction in serialize_interactions(
                context, connection, rows, view="full", images=images, with_outcomes=False
            )
        }

    return await context.store.read(read)


async def update_labels(context: Context, completion_id: str, *, body: LabelChange) -> Labels:
    """Set and remove labels of an interaction, all or nothing.

    `set` adds labels or changes their values, `remove` removes keys; a key in both is set.
    """
    completion_uuid = await resolve_completion_id(context, completion_id, param="completion_id", in_path=True)
    preparation.checked_labels(context, body.set, param="set")
    await _project_of(context, completion_uuid)

    def change(transaction: Transaction) -> dict[str, str] | None:
        try:
            return stored.change_labels(
                transaction, completion_uuid, body.set, body.remove, context.settings.max_labels
            )
        except ValueError as error:
            raise Invalid(
                f"The interaction would have {error} labels; the limit is {context.settings.max_labels}.",
                code="too_many_labels",
                param="set",
                hint="Remove some in the same call.",
            ) from None

    labels = await context.store.write(change)
    context.state.broadcast.publish_changed([completion_uuid])
    return raise_completion_not_found(completion_uuid) if labels is None else Labels(labels=labels)


async def delete_interaction(context: Context, completion_id: str) -> Deleted:
    """Delete an interaction with its feedback, its labels and the images that no other interaction shows.

    A preference stays with the other completion, and still names the deleted one.
    """
    completion_uuid = await resolve_completion_id(context, completion_id, param="completion_id", in_path=True)
    project = await _project_of(context, completion_uuid)

    if not await context.store.write(lambda transaction: erase(transaction, [completion_uuid])):
        raise_completion_not_found(completion_uuid)
    context.state.search_index_worker.wake()
    context.state.broadcast.publish_deleted(project, completion_uuid)
    return Deleted()


async def _project_of(context: Context, completion_id: UUID) -> int:
    """Return the number of an interaction's project. Raises `NotFound` if the key may not see it."""
    row = await context.store.read(stored.find_interaction, completion_id)
    if row is None or not context.actor.sees(row.project):
        return raise_completion_not_found(completion_id)
    return row.project


def raise_completion_not_found(completion_id: UUID) -> NoReturn:
    """Raise `NotFound`."""
    raise completion_not_found(completion_id, "completion_id")
