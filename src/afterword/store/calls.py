"""Calls of language models: how each went, opened before the first word leaves and finished when the last has come."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, or_, select, update

from afterword.store.engine import Insert, Transaction, Update
from afterword.store.schema import calls, interactions, payloads, search_pending

STATES = ("open", "complete", "failed", "cancelled", "interrupted")
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

INSERT = Insert(calls)
# What becomes known only at the end.
FINISH_INTERACTION = Update(interactions, "id", "model", "completion_text_hash", "size", "preview")
FINISH_PAYLOAD = Update(payloads, "interaction_id", "payload")
FINISH_CALL = Update(calls, "interaction_id", "state", "finish_reason", "error", "request_id", *NUMBERS, "server")
# It is there already where the interaction was deleted meanwhile: its words are to be taken out.
QUEUE_FOR_SEARCH = Insert(search_pending, ignore_existing=True)


def call_row(
    completion_id: UUID,
    state: int,
    *,
    finish_reason: str | None = None,
    error: str | None = None,
    request_id: str | None = None,
    numbers: Mapping[str, Any],
    server: int | None = None,
) -> tuple[Any, ...]:
    """Return a row of `calls`, for INSERT and FINISH_CALL alike. `server` makes a call that is under way."""
    return (completion_id, state, finish_reason, error, request_id, *map(numbers.get, NUMBERS), server)


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
