"""Calls of language models: a row is opened before the first chunk is sent, and finished after the last."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, get_args
from uuid import UUID

from sqlalchemy import Connection, or_, select, update

from afterword.store.engine import Find, Insert, Transaction, Update
from afterword.store.schema import calls, interactions, payloads, search_pending
from afterword.types import State

STATES: tuple[State, ...] = get_args(State)
"""The words of `state`; the store holds their indexes in this tuple."""
OPEN, COMPLETE, FAILED, CANCELLED, INTERRUPTED = range(5)

SYSTEM_METRICS = (
    "latency",
    "ttft",
    "provider_time",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "tokens_per_second",
)
"""The system metrics: the columns that hold measurements."""

ORIGIN_COLUMNS = ("request_id", "provider_request_id", "response_id", "provider_model", "trace_id", "streamed")
"""The columns that tell which model answered, and the call's ids in other systems. They are kept when the text is
deleted."""

INSERT = Insert(calls)
FIND_OPENED = Find(interactions.c.id, interactions.c.project, row_lock=True)
# Columns whose values are known only at the end of a call.
FINISH_INTERACTION = Update(interactions, "id", "model", "completion_text_hash", "size", "preview", "contents")
FINISH_PAYLOAD = Update(payloads, "interaction_id", "payload")
FINISH_CALL = Update(calls, "interaction_id", *(column.name for column in calls.columns if not column.primary_key))
# A row exists already if the interaction was deleted meanwhile: its words are to be removed from the index.
QUEUE_FOR_SEARCH = Insert(search_pending, ignore_existing=True)


def call_row(
    completion_id: UUID,
    state: int,
    *,
    finish_reason: str | None = None,
    error: str | None = None,
    origin: Mapping[str, Any] | None = None,
    numbers: Mapping[str, Any],
    server: int | None = None,
) -> tuple[Any, ...]:
    """Return a row of `calls`, for both INSERT and FINISH_CALL.

    The keys of `origin` and `numbers` are column names. `server` is the number of the server that makes an open call.
    """
    values = {**(origin or {}), **numbers, "state": state, "finish_reason": finish_reason, "error": error}
    values |= {"interaction_id": completion_id, "server": server}
    return tuple(values.get(column.name) for column in calls.columns)


def find_call(connection: Connection, completion_id: UUID) -> Any:
    """Return the row of a call."""
    return connection.execute(select(calls).where(calls.c.interaction_id == completion_id)).first()


def orphaned_calls(connection: Connection, own: int | None, alive: Collection[int]) -> list[tuple[UUID, bool]]:
    """Return the ids of open calls that no other alive server makes, each with whether this server made it."""
    open_ = (calls.c.state == OPEN, calls.c.state != COMPLETE)
    of_others = calls.c.server.in_(set(alive) - {own})
    query = select(calls.c.interaction_id, calls.c.server).where(*open_, or_(calls.c.server.is_(None), ~of_others))
    return [(row.interaction_id, row.server == own) for row in connection.execute(query)]


def interrupt(transaction: Transaction, ids: Collection[UUID]) -> int:
    """Mark these calls as interrupted if they are still open; return how many were."""
    number = 0
    for call_id in ids:
        number += transaction.connection.execute(
            update(calls)
            .where(calls.c.interaction_id == call_id, calls.c.state == OPEN)
            .values(state=INTERRUPTED, finish_reason=STATES[INTERRUPTED], server=None)
        ).rowcount
    transaction.put(QUEUE_FOR_SEARCH, [(call_id, None) for call_id in ids])
    return number
