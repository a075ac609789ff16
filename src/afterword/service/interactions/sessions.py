"""Sessions: listed, shown as one transcript, deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from afterword.errors import Invalid, NotFound
from afterword.ids import find_uuid, id_of_text
from afterword.service.context import Context
from afterword.service.interactions.plain_filters import error_of_parameter, plain_conditions
from afterword.service.interactions.serializing import serialize_interactions, serialize_outcome
from afterword.service.timestamps import to_datetime
from afterword.store import interactions as stored_interactions
from afterword.store import outcomes as stored_outcomes
from afterword.store.catalog import ProjectRow
from afterword.store.deletion import erase
from afterword.store.query import sessions as stored
from afterword.store.query.matches import Matches
from afterword.types import (
    Deleted,
    Filter,
    Interaction,
    Message,
    SessionPage,
    SessionSearch,
    SessionSummary,
    SessionTranscript,
    SessionTurn,
)
from afterword.types.queries import ProjectQuery, SessionsQuery, TranscriptQuery
from afterword.types.transcripts import ParentPage

# Interactions deleted in one transaction, as by retention.
DELETED_TURNS = 100


async def list_sessions(context: Context, *, query: SessionsQuery) -> SessionPage:
    """List sessions, the newest activity first.

    The filters are those of the list of interactions: a session is listed if one of its interactions matches, at the
    place of its newest match, with the sums of all its turns. `min_turns=2` leaves out single interactions. A page
    scans up to 20,000 matching interactions; where few sessions are among them, it is short, and `next` goes on.
    """
    conditions = await plain_conditions(context, query)
    tree = Filter(and_=[condition for _, condition in conditions]) if conditions else None
    search = SessionSearch(
        project=query.project, filter=tree, min_turns=query.min_turns, limit=query.limit, cursor=query.cursor
    )
    try:
        return await search_sessions(context, body=search)
    except Invalid as error:
        raise error_of_parameter(error, [name for name, _ in conditions]) from None


async def search_sessions(context: Context, *, body: SessionSearch) -> SessionPage:
    """List sessions of which an interaction matches a filter tree, the newest activity first.

    Otherwise it is like the list of sessions by plain filters.
    """
    project = context.project(body.project)
    names = context.names(project)

    def page(connection: Connection) -> SessionPage:
        matches = Matches(connection, names, body.filter)
        sessions, next_cursor = stored.find_sessions(
            matches, limit=body.limit, cursor=body.cursor, min_turns=body.min_turns
        )
        return SessionPage(sessions=_summaries(context, connection, project, sessions), next=next_cursor)

    return await context.store.read_long(page)


async def get_session(context: Context, session_id: str, *, query: TranscriptQuery) -> SessionTranscript:
    """Show a session as one transcript, by its id or by what the caller named it.

    The turns come in order, the oldest first. Each carries the messages that are new against the turn before, and its
    completion: what a later turn sends again is left out and counted in `resent_count`. A turn with a `parent` is a
    step of that turn, and is compared with the step before it or with its parent. `next` is the cursor of the turns
    after the page, which ends early where its turns are large.
    """
    project, session_uuid = await _find_session(context, session_id, query.project)

    def read(connection: Connection) -> SessionTranscript:
        sums = stored.totals(connection, project.number, [session_uuid])
        if session_uuid not in sums:
            raise _session_not_found(session_id)
        page = stored.page_of_turns(connection, project.number, session_uuid, limit=query.limit, cursor=query.cursor)
        rows = {row.id: row for row in (*page.before.values(), *page.rows)}
        interactions = {
            interaction.completion_id: interaction
            for interaction in serialize_interactions(
                context, connection, list(rows.values()), view="full", images=query.images, with_outcomes=False
            )
        }
        turns = []
        for row in page.rows:
            before = page.before.get(row.id)
            turns.append(
                _turn(
                    interactions[row.id],
                    None if before is None else interactions[before.id],
                    parent_page=None if row.parent is None else page.parents.get(row.parent),
                )
            )
        [summary] = _summaries(context, connection, project, [sums[session_uuid]])
        return SessionTranscript(**msgspec.structs.asdict(summary), turns=turns, next=page.next)

    return await context.store.read_long(read)


async def delete_session(context: Context, session_id: str, *, query: ProjectQuery) -> Deleted:
    """Delete all interactions of a session, as one is deleted, and the outcomes of the session.

    A long session is deleted in several transactions. If that is interrupted, the same call deletes the rest.
    """
    project, session_uuid = await _find_session(context, session_id, query.project)
    is_deleted = False
    while ids := await context.store.read(stored.turn_ids, project.number, session_uuid, DELETED_TURNS):
        is_deleted = await _erase(context, project, ids) or is_deleted
    if not is_deleted:
        raise _session_not_found(session_id)
    return Deleted()


async def _erase(context: Context, project: ProjectRow, ids: list[UUID]) -> bool:
    """Delete interactions; return whether any existed."""
    count = await context.store.write(lambda transaction: erase(transaction, ids))
    context.state.search_index_worker.wake()
    for completion_id in ids:
        context.state.broadcast.publish_deleted(project.number, completion_id)
    return count > 0


async def _find_session(context: Context, session_id: str, project: str | None) -> tuple[ProjectRow, UUID]:
    """Return the project and the id of a session. Without a project, an id is looked for in all that the key sees.

    Raises `NotFound`.
    """
    session_uuid = find_uuid(session_id)
    if session_uuid is None:
        row = context.project(project)
        return row, id_of_text(row.key, session_id)
    if project is not None:
        return context.project(project), session_uuid
    numbers = await context.store.read(stored_interactions.projects_of_session, session_uuid)
    visible = sorted(number for number in numbers if context.actor.sees(number))
    if not visible:
        raise _session_not_found(session_id)
    return context.catalog.projects[visible[0]], session_uuid


def _summaries(
    context: Context, connection: Connection, project: ProjectRow, sessions: Sequence[stored.SessionTotals]
) -> list[SessionSummary]:
    if not sessions:
        return []
    outcomes = stored_outcomes.of_sessions(connection, [session.id for session in sessions])
    models = context.catalog.models
    return [
        SessionSummary(
            session_id=session.id,
            session=session.name,
            project=project.key,
            first_activity=to_datetime(session.first),
            last_activity=to_datetime(session.last),
            turn_count=session.turn_count,
            step_count=session.step_count,
            failed_turn_count=session.failed_turn_count,
            prompt_tokens=session.prompt_tokens,
            completion_tokens=session.completion_tokens,
            total_tokens=session.total_tokens,
            users=sorted(session.users),
            models=sorted(models[number].key for number in session.models),
            outcomes=[serialize_outcome(context, row) for row in outcomes.get((project.number, session.id), ())],
        )
        for session in sessions
    ]


def _turn(interaction: Interaction, previous: Interaction | None, *, parent_page: ParentPage | None) -> SessionTurn:
    messages = interaction.messages or []
    new_messages = messages if previous is None else new_messages_of(messages, _conversation(previous))
    call = interaction.call
    return SessionTurn(
        completion_id=interaction.completion_id,
        created_at=interaction.created_at,
        model=interaction.model,
        user=interaction.user,
        state="complete" if call is None else call.state,
        finish_reason=None if call is None else call.finish_reason,
        error=None if call is None else call.error,
        messages=new_messages,
        resent_count=len(messages) - len(new_messages),
        completion=interaction.completion,
        message=interaction.message,
        labels=interaction.labels,
        usage=interaction.usage,
        feedback=interaction.feedback,
        preferences=interaction.preferences,
        size=interaction.size,
        expired=interaction.expired,
        step=interaction.step,
        parent=interaction.parent,
        parent_missing=interaction.parent is not None and parent_page is None,
        parent_page=parent_page,
    )


def _conversation(interaction: Interaction) -> list[Message]:
    """Return the messages of an interaction, its completion as the last."""
    completion = interaction.message or {"role": "assistant", "content": interaction.completion}
    return [*(interaction.messages or []), completion]


def new_messages_of(messages: Sequence[Message], conversation: Sequence[Message]) -> list[Message]:
    """Return the messages that do not repeat those of a conversation, in its order.

    A message repeats the next equal one of the conversation, so that clients may leave out old messages, and change
    their system prompt with each turn.
    """
    earlier = [_compared(message) for message in conversation]
    position = 0
    new_messages: list[Message] = []
    for message in messages:
        try:
            position = earlier.index(_compared(message), position) + 1
        except ValueError:
            new_messages.append(message)
    return new_messages


def _compared(message: Message) -> tuple[Any, ...]:
    """Return what makes two messages the same: role, content and tool calls, but not how a client writes them.

    A text may be sent again as a list of one part. What providers add to an answer, such as `refusal` and
    `annotations`, is mostly not sent again.
    """
    content = message.get("content")
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str) for part in content
    ):
        content = "\n".join(part["text"] for part in content)
    text = content.strip() if isinstance(content, str) else content or ""
    return message.get("role"), text, message.get("tool_calls") or [], message.get("tool_call_id"), message.get("name")


def _session_not_found(session_id: str) -> NotFound:
    return NotFound(
        f"{session_id[:200]} has no interaction that this key may see.",
        noun="session",
        code="session_not_found",
        param="session_id",
        hint="Give a session_id, or with `project` what the caller named the session; GET /api/v1/sessions lists them.",
    )
