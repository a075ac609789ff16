"""Events of OpenTelemetry that belong to a call, but came apart from its span: they wait for it, or complete it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, exists, func, or_, select

from afterword.store import packing
from afterword.store.compression import compress_in_full
from afterword.store.engine import Delete, DeleteByKey, Find, Insert, Transaction, Update
from afterword.store.engine.dialect import any_of
from afterword.store.payloads import Payload, read_json, read_payloads
from afterword.store.schema import calls, interaction_labels, interactions, payloads, search_pending, waiting_telemetry

INSERT_WAITING = Insert(waiting_telemetry, ignore_existing=True)
FIND_WAITING = Find(waiting_telemetry.c.target_id, waiting_telemetry.c.id)
DELETE_WAITING = DeleteByKey(waiting_telemetry)

REPLACE_INTERACTION = Update(
    interactions, "id", "prompt_hash", "prompt_text_hash", "completion_text_hash", "size", "preview", "contents"
)
SET_FINISH_REASON = Update(calls, "interaction_id", "finish_reason")
INSERT_LABEL_ROW = Insert(interaction_labels, ignore_existing=True)
_DEQUEUE_FROM_SEARCH = Delete(search_pending, "interaction_id", search_pending.c.erased.is_(None))
_QUEUE_REMOVAL = Insert(search_pending, ignore_existing=True)


def waiting_of(connection: Connection, targets: Sequence[UUID]) -> Sequence[Row[Any]]:
    """Return the rows that wait for these targets, or that completed them."""
    columns = waiting_telemetry.c
    query = select(waiting_telemetry).where(columns.target_id.in_(targets))
    return connection.execute(query.order_by(columns.target_id, columns.id)).all()


def find_completion_of_response(connection: Connection, project: int, response_id: str) -> UUID | None:
    """Return the first completion of the call that a provider answered under this id."""
    query = (
        select(calls.c.interaction_id)
        .join(interactions, interactions.c.id == calls.c.interaction_id)
        .where(calls.c.response_id == response_id, interactions.c.project == project)
        # The tokens of a call are counted with its first choice.
        .order_by(calls.c.total_tokens.is_(None), interactions.c.created_at, interactions.c.id)
        .limit(1)
    )
    return connection.execute(query).scalar()


def lock_content(transaction: Transaction, completion_id: UUID) -> Payload | None:
    """Return the payload of an interaction, which no other transaction replaces before this one ends; None if it has
    none."""
    packing.lock_payloads(transaction, [completion_id])
    return read_payloads(transaction.connection, [completion_id]).get(completion_id)


def note_replacement(transaction: Transaction, completion_id: UUID) -> None:
    """Prepare the replacement of a locked payload.

    What is packed against it is stored anew, since it would be unreadable with another base. Its words are queued for
    removal from the text index, which then adds those of the new payload.
    """
    packing.release(transaction, payloads.c.base == completion_id, payloads.c.interaction_id != completion_id)
    transaction.put(_DEQUEUE_FROM_SEARCH, [(completion_id,)])
    raw_payloads = list(read_json(transaction.connection, [completion_id]))
    # The row of an earlier replacement stays: the index has the words of its payload.
    transaction.put(_QUEUE_REMOVAL, [(interaction_id, compress_in_full(raw)) for interaction_id, raw in raw_payloads])


def arrived_evaluations(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """Return waiting evaluations whose completion is stored by now, however it came."""
    columns = waiting_telemetry.c
    by_id = exists().where(interactions.c.id == columns.target_id)
    by_response = exists().where(calls.c.response_id == columns.response_id)
    query = select(waiting_telemetry).where(columns.is_evaluation, or_(by_id, by_response))
    return connection.execute(query.order_by(columns.received_at).limit(limit)).all()


def expire(transaction: Transaction, before: int, max_rows: int) -> int:
    """Delete what was received before a time, in milliseconds, and the oldest beyond a number of rows; return how many
    rows were deleted."""
    columns = waiting_telemetry.c
    connection = transaction.connection
    deleted = connection.execute(delete(waiting_telemetry).where(columns.received_at < before)).rowcount
    surplus = connection.execute(select(func.count()).select_from(waiting_telemetry)).scalar_one() - max_rows
    if surplus > 0:
        oldest = select(columns.id).order_by(columns.received_at).limit(surplus)
        ids = list(connection.execute(oldest).scalars())
        deleted += connection.execute(delete(waiting_telemetry).where(any_of(columns.id, ids))).rowcount
    return deleted
