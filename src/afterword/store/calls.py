"""Calls of language models: how each went, opened before the first word leaves and finished when the last has come."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, get_args
from uuid import UUID

from sqlalchemy import Connection, or_, select, update

from afterword.store.engine import Insert, Transaction, Update
from afterword.store.schema import calls, interactions, payloads, search_pending
from afterword.types import State

STATES: tuple[State, ...] = get_args(State)
"""The words of `state`; the store holds their places."""
OPEN, COMPLETE, FAILED, CANCELLED, INTERRUPTED = range(5)

NUMBERS = (
    "latency",
    "ttft",
    "provider_time",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "tokens_per_second",
)
"""The system metrics: the columns that hold what was measured."""

ORIGIN = ("request_id", "provider_request_id", "response_id", "provider_model", "trace_id", "streamed")
"""The columns that tell who answered, and under which ids others know the call. They outlive the text."""

INSERT = Insert(calls)
# What becomes known only at the end.
FINISH_INTERACTION = Update(interactions, "id", "model", "completion_text_hash", "size", "preview")
FINISH_PAYLOAD = Update(payloads, "interaction_id", "payload")
FINISH_CALL = Update(calls, "interaction_id", *(column.name for column in calls.columns if not column.primary_key))
# It is there already where the interaction was deleted meanwhile: its words are to be taken out.
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
    """Return a row of `calls`, for INSERT and FINISH_CALL alike. `origin` and `numbers` are by the names of their
    columns. `server` is the one that makes a call which is under way."""
    values = {**(origin or {}), **numbers, "state": state, "finish_reason": finish_reason, "error": error}
    values |= {"interaction_id": completion_id, "server": server}
    return tuple(values.get(column.name) for column in calls.columns)


def find(connection: Connection, completion_id: UUID) -> Any:
    """Return the row of a call."""
    return connection.execute(select(calls).where(calls.c.interaction_id == completion_id)).first()


def left_open(connection: Connection, own: int | None, alive: Collection[int]) -> list[tuple[UUID, bool]]:
    """Return the open calls that no other server which is there has, and of each whether it is one of this server's."""
    open_ = (calls.c.state == OPEN, calls.c.state != COMPLETE)
    of_others = calls.c.server.in_(set(alive) - {own})
    query = select(calls.c.interaction_id, calls.c.server).where(*open_, or_(calls.c.server.is_(None), ~of_others))
    return [(row.interaction_id, row.server == own) for row in connection.execute(query)]


def interrupt(transaction: Transaction, ids: Collection[UUID]) -> int:
    """Close those of these calls that are still open, as interrupted; return how many."""
    number = 0
    for one in ids:
        number += transaction.connection.execute(
            update(calls)
            .where(calls.c.interaction_id == one, calls.c.state == OPEN)
            .values(state=INTERRUPTED, finish_reason=STATES[INTERRUPTED], server=None)
        ).rowcount
    transaction.put(QUEUE_FOR_SEARCH, [(one, None) for one in ids])
    return number
