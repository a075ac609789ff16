"""Calls of language models: a row is opened before the first chunk is sent, and finished after the last."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, get_args
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, or_, select, update

from afterword.ids import id_of_choice
from afterword.store.engine import Find, Insert, Transaction, Update
from afterword.store.engine.dialect import any_of
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

MAX_FOUND_CHOICES = 128
"""Upper bound on the choices of one answer that are looked up by its id. It is OpenAI's bound on n."""

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


class FoundCompletion(NamedTuple):
    """A completion that was looked up, with its project and the request id of its call."""

    id: UUID
    project: int
    request_id: str | None


def find_choices(connection: Connection, first_id: UUID) -> list[FoundCompletion]:
    """Return the choices of the gateway's answer whose first choice has this id, in their order.

    The ids of further choices follow that of the first. The request id tells them from another call's, because callers
    may choose ids that follow each other, too.
    """
    rows = _completions(connection, any_of(interactions.c.id, [first_id, id_of_choice(first_id, 1)]))
    if len(rows) == 2 and rows[0].request_id == rows[1].request_id is not None:
        ids = [id_of_choice(first_id, index) for index in range(MAX_FOUND_CHOICES)]
        siblings = _completions(connection, any_of(interactions.c.id, ids))
        return [row for row in siblings if row.request_id == rows[0].request_id]
    return [row for row in rows if row.id == first_id]


def find_completions_of_response(connection: Connection, response_id: str) -> list[FoundCompletion]:
    """Return the completions in a provider's answer with this id, at most MAX_FOUND_CHOICES."""
    return _completions(connection, calls.c.response_id == response_id)


def _completions(connection: Connection, condition: ColumnElement[bool]) -> list[FoundCompletion]:
    query = select(interactions.c.id, interactions.c.project, calls.c.request_id)
    joined = query.outerjoin(calls, calls.c.interaction_id == interactions.c.id)
    # Sorted here: in the order of the ids, PostgreSQL might walk through all interactions up to the limit.
    rows = connection.execute(joined.where(condition).limit(MAX_FOUND_CHOICES))
    return sorted((FoundCompletion(*row) for row in rows), key=lambda row: row.id)


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
