"""Logging interactions, and changing what may change about them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from afterword.errors import Conflict, Invalid, Unavailable
from afterword.ids import uuid7
from afterword.service import drafts, repetition
from afterword.service.context import Context, no_completion, parse_id
from afterword.service.models import model_number
from afterword.service.moments import parse_created_at
from afterword.service.presenting import present
from afterword.service.routing import check_model_of, running_test
from afterword.service.values import check_text, checked_session, feedback_value
from afterword.store import calls
from afterword.store import interactions as stored
from afterword.store.abtests import INSERT_INTERACTION
from afterword.store.catalog import ProjectRow
from afterword.store.engine import Rows, Transaction
from afterword.store.erasing import erase
from afterword.types import (
    Deleted,
    Images,
    InlineFeedback,
    Interaction,
    LabelChange,
    Labels,
    NewInteraction,
    Recorded,
    Source,
)

# Above this a payload is compressed in a thread, so that other calls go on meanwhile.
LARGE = 256 << 10


class Draft(msgspec.Struct):
    """An interaction that is ready to be written: its ids, its rows, and about how many bytes they take."""

    recorded: Recorded
    rows: Rows
    size: int
    request_hash: int | None
    fresh_labels: list[int]
    compared: tuple[int, int]
    """Its project and the hash of its prompt: what a preference compares."""

    def committed(self, context: Context) -> None:
        """Note that it is on disk."""
        context.catalog.keep_labels(self.fresh_labels)
        context.home.indexer.wake()
        context.home.live.changed([self.recorded.completion_id])


async def record(context: Context, *, body: NewInteraction) -> Recorded:
    """Log an interaction.

    A completion made elsewhere, with the messages that it answers, labels, and feedback on it: all or nothing. The
    answer is sent once it is on disk. A `completion_id` of the caller's own makes the call repeatable: the same again
    is answered as the first time, other content under it is refused with 409.
    """
    draft = await drafted(context, body)
    try:
        await context.store.write(draft.rows, draft.size)
    except Exception as error:
        await repeated(context, draft, error)
    draft.committed(context)
    return draft.recorded


async def drafted(context: Context, body: NewInteraction, source: Source = "OFFLINE") -> Draft:
    """Check an interaction and make its rows. Raises `NotFound`, `Invalid`, `TooLarge`."""
    test = running_test(context, body.ab_campaign) if body.ab_campaign else None
    named = context.catalog.projects[test.project].key if test and body.project is None else body.project
    project = context.project(named, writing=True)
    if test is not None:
        check_model_of(context, test, context.catalog.find_model(body.model or ""), project)
    model = None if body.model is None else await model_number(context, body.model)
    if _rough_size(body) > LARGE:
        draft = await asyncio.to_thread(_draft, context, body, project, model, source)
    else:
        draft = _draft(context, body, project, model, source)
    if test is not None:
        draft.rows.append((INSERT_INTERACTION, [(draft.recorded.completion_id, test.number, model)]))
    return draft


async def repeated(context: Context, draft: Draft, error: Exception) -> None:
    """Return if `error` says that this very interaction is stored already; raise `Conflict` or `error` otherwise."""
    if not context.store.database.is_duplicate(error):
        raise error
    there = await context.store.read(stored.find, draft.recorded.completion_id)
    if there is None:
        raise Unavailable(
            f"The interaction {draft.recorded.completion_id} was deleted a moment ago; its words are still being "
            "taken out of the text index.",
            code="just_deleted",
            hint="Send it again after the time that Retry-After gives.",
            retry_after=1,
        ) from None
    if draft.request_hash is None or there.request_hash != draft.request_hash:
        raise Conflict(
            f"The completion_id {draft.recorded.completion_id} is taken by an interaction with other content.",
            code="completion_exists",
            param="completion_id",
            hint="Give each interaction its own completion_id; a repetition must be the same in every field. "
            f"Change labels with PATCH /api/v1/interactions/{draft.recorded.completion_id}/labels.",
        ) from None


def _rough_size(body: NewInteraction) -> int:
    size = len(body.completion) if isinstance(body.completion, str) else LARGE
    for message in body.messages:
        said = message.get("content")
        size += len(said) if isinstance(said, str) else LARGE if said else 0
    return size


def _draft(context: Context, body: NewInteraction, project: ProjectRow, model: int | None, source: Source) -> Draft:
    now = context.now()
    labels = drafts.checked_labels(context, body.labels or {})
    if body.user is not None:
        check_text(body.user, param="user", most=1024)
    # What a provider was sent is kept as it was sent: an export of a call comes in whatever its form.
    as_sent = body.call is not None
    asked = drafts.question(
        context,
        project=project,
        source=body.source or source,
        created_at=parse_created_at(body.created_at, param="created_at", now=now),
        messages=body.messages,
        labels=labels,
        user=body.user,
        as_sent=as_sent,
    )
    answer = drafts.answer_as_sent if as_sent else drafts.answer
    said = answer(
        context,
        body.completion,
        usage=body.usage,
        timings=body.timings,
        parameters=body.parameters,
        facts=body.facts or None,
    )
    session = checked_session(project, body.session_id)
    if body.session_id is not None and session[1] is None:
        # However a UUID is written, the request is the same.
        body.session_id = str(session[0])
    given = body.completion_id
    completion_id = given or uuid7()
    request_hash = None if given is None else repetition.request_hash(body, str(project.number))
    written = drafts.new_rows(
        context,
        asked,
        said,
        completion_id,
        session=session,
        model=model,
        request_hash=request_hash,
        call=_call_row(completion_id, body),
    )
    feedback_ids = []
    if body.feedbacks:
        given_rows = [
            _feedback_row(context, project, completion_id, one, index, now=now, derive=given is not None)
            for index, one in enumerate(body.feedbacks)
        ]
        feedback_ids = [row[1] for row in given_rows]
        written.rows.append((stored.INSERT["feedback"], given_rows))
    recorded = Recorded(completion_id=completion_id, session_id=session[0] or completion_id, feedback_ids=feedback_ids)
    compared = project.number, asked.prompt_hash
    return Draft(recorded, written.rows, written.size, request_hash, written.fresh_labels, compared)


def _call_row(completion_id: UUID, body: NewInteraction) -> tuple[Any, ...] | None:
    """Return the row of a call that was made elsewhere; None where nothing was told of it."""
    numbers = drafts.measured(body.usage, body.timings)
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
        origin={name: getattr(call, name) for name in calls.ORIGIN},
        numbers=numbers,
    )


def _feedback_row(
    context: Context,
    project: ProjectRow,
    completion_id: UUID,
    one: InlineFeedback,
    index: int,
    *,
    now: int,
    derive: bool,
) -> tuple[Any, ...]:
    place = f"feedbacks[{index}]"
    metric = context.metric(project.number, one.metric, param=f"{place}.metric")
    for name in ("details", "reason", "user"):
        if (text := getattr(one, name)) is not None:
            check_text(text, param=f"{place}.{name}")
    return (
        completion_id,
        _derived_id(completion_id, index) if derive else uuid7(),
        metric.number,
        feedback_value(metric, one.value, param=f"{place}.value"),
        one.details,
        one.reason,
        one.user,
        context.actor.number,
        parse_created_at(one.created_at, param=f"{place}.created_at", now=now),
        None,
    )


def _derived_id(completion_id: UUID, index: int) -> UUID:
    """The id of a feedback given inline: it follows from the caller's completion_id, so that a repetition answers it
    again without looking."""
    digest = blake2b(completion_id.bytes + index.to_bytes(4, "big"), digest_size=16).digest()
    return UUID(bytes=digest, version=5)


# ------------------------------------------------------------------------------------------------ one interaction


async def get(context: Context, completion_id: str, *, query: Any) -> Interaction:
    """Show an interaction: messages, completion, labels, and all feedback and preferences on it.

    Images stand in their places as links, or with `images=inline` as the data URIs that were sent.
    """
    wanted = parse_id(completion_id, what="completion", param="completion_id")

    def read(connection: Any) -> Interaction | None:
        row = stored.find(connection, wanted)
        if row is None or not context.actor.sees(row.project):
            return None
        [shown] = present(context, connection, [row], view="full", images=query.images)
        return shown

    return await context.store.read(read) or missing(wanted)


async def several(context: Context, ids: Sequence[UUID], images: Images = "links") -> dict[UUID, Interaction]:
    """Return those of these interactions that are there and that the key may see, whole."""

    def read(connection: Any) -> dict[UUID, Interaction]:
        rows = [row for row in stored.find_all(connection, ids) if context.actor.sees(row.project)]
        return {
            one.completion_id: one
            for one in present(context, connection, rows, view="full", images=images, with_outcomes=False)
        }

    return await context.store.read(read)


async def change_labels(context: Context, completion_id: str, *, body: LabelChange) -> Labels:
    """Set and remove labels of an interaction, all or nothing.

    `set` adds labels or gives them a new value, `remove` takes keys away; a key in both is set.
    """
    wanted = parse_id(completion_id, what="completion", param="completion_id")
    drafts.checked_labels(context, body.set, param="set")
    await _project_of(context, wanted)

    def change(transaction: Transaction) -> dict[str, str] | None:
        try:
            return stored.change_labels(transaction, wanted, body.set, body.remove, context.settings.max_labels)
        except ValueError as error:
            raise Invalid(
                f"The interaction would have {error} labels; the limit is {context.settings.max_labels}.",
                code="too_many_labels",
                param="set",
                hint="Remove some in the same call.",
            ) from None

    labels = await context.store.write(change)
    context.home.live.changed([wanted])
    return missing(wanted) if labels is None else Labels(labels=labels)


async def delete(context: Context, completion_id: str) -> Deleted:
    """Delete an interaction with its feedback, its labels and the images that no other shows.

    A preference stays with the other completion, which then names one that is no more.
    """
    wanted = parse_id(completion_id, what="completion", param="completion_id")
    project = await _project_of(context, wanted)

    if not await context.store.write(lambda transaction: erase(transaction, [wanted])):
        missing(wanted)
    context.home.indexer.wake()
    context.home.live.deleted(project, wanted)
    return Deleted()


async def _project_of(context: Context, completion_id: UUID) -> int:
    """Return the number of an interaction's project. Raises `NotFound` where the key may not see it."""
    row = await context.store.read(stored.find, completion_id)
    if row is None or not context.actor.sees(row.project):
        return missing(completion_id)
    return row.project


def missing(completion_id: UUID) -> Any:
    """Raise `NotFound`."""
    raise no_completion(completion_id, "completion_id")
