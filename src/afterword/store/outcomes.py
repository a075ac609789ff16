"""Outcomes: values on whole sessions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, or_, select, update

from afterword.store.engine import Insert, Transaction
from afterword.store.engine.dialect import any_of, without_index
from afterword.store.feedback import pending_details
from afterword.store.query.cursors import invalid_cursor, read_cursor, write_cursor
from afterword.store.schema import interactions, outcomes

INSERT = Insert(outcomes)


class OutcomeCursor(msgspec.Struct, frozen=True):
    """The last outcome of a page."""

    created_at: int
    outcome_id: UUID


class OutcomeFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which outcomes of a project to read; a field that is None does not filter.

    Times are milliseconds, the end is exclusive.
    """

    project: int
    session_id: UUID | None = None
    metric: int | None = None
    user: str | None = None
    start: int | None = None
    end: int | None = None

    def conditions(self) -> list[Any]:
        """Return the conditions that must hold."""
        columns = outcomes.c
        conditions: list[Any] = [columns.project == self.project]
        for column, value in (
            (columns.session_id, self.session_id),
            (columns.metric, self.metric),
            (columns.user, self.user),
        ):
            if value is not None:
                conditions.append(column == value)
        if self.start is not None:
            conditions.append(columns.created_at >= self.start)
        if self.end is not None:
            conditions.append(columns.created_at < self.end)
        return conditions


def find_outcome(connection: Connection, outcome_id: UUID) -> Row[Any] | None:
    """Return an outcome."""
    return connection.execute(select(outcomes).where(outcomes.c.id == outcome_id)).first()


def page(
    connection: Connection, filter: OutcomeFilter, *, newest_first: bool, limit: int, cursor: str | None
) -> tuple[Sequence[Row[Any]], str | None]:
    """Return a page of outcomes by their time, and the cursor of the next one. Raises `Invalid` for a bad cursor."""
    time, id = outcomes.c.created_at, outcomes.c.id
    query = select(outcomes).where(*filter.conditions())
    if cursor is not None:
        last = read_cursor(cursor, OutcomeCursor)
        if not 0 <= last.created_at < 1 << 62:
            raise invalid_cursor(cursor)
        beyond = (
            (time < last.created_at) | ((time == last.created_at) & (id < last.outcome_id))
            if newest_first
            else (time > last.created_at) | ((time == last.created_at) & (id > last.outcome_id))
        )
        query = query.where(beyond)
    order = (time.desc(), id.desc()) if newest_first else (time, id)
    rows = connection.execute(query.order_by(*order).limit(limit + 1)).all()
    if len(rows) <= limit:
        return rows, None
    rows = rows[:limit]
    return rows, write_cursor(OutcomeCursor(rows[-1].created_at, rows[-1].id))


def count(connection: Connection, filter: OutcomeFilter) -> int:
    """Count outcomes."""
    return connection.execute(select(func.count()).select_from(outcomes).where(*filter.conditions())).scalar_one()


def of_sessions(connection: Connection, session_ids: Iterable[UUID]) -> dict[tuple[int, UUID], list[Row[Any]]]:
    """Return the outcomes of sessions by project and session, the newest first."""
    by_session: dict[tuple[int, UUID], list[Row[Any]]] = defaultdict(list)
    query = select(outcomes).where(any_of(outcomes.c.session_id, session_ids))
    for row in connection.execute(query.order_by(outcomes.c.created_at.desc(), outcomes.c.id.desc())):
        by_session[row.project, row.session_id].append(row)
    return by_session


# ------------------------------------------------------------------------------------------------ units of work


def insert(transaction: Transaction, row: Sequence[Any]) -> None:
    """Insert an outcome, given all its columns but the last one, with the newest turn of its session."""
    named = dict(zip(outcomes.c.keys(), row, strict=False))
    turn = _newest_turn(transaction.connection, named["project"], named["session_id"])
    transaction.put(INSERT, [(*row, turn)])
    if named["details"] is not None:
        _queue_details(transaction, turn)


def change(transaction: Transaction, outcome_id: UUID, values: dict[str, Any]) -> bool:
    """Change columns of an outcome; return whether it exists."""
    if "details" in values:
        _queue_details(transaction, _turn_of(transaction.connection, outcome_id))
    changed = update(outcomes).where(outcomes.c.id == outcome_id).values(**values)
    return transaction.connection.execute(changed).rowcount > 0


def remove(transaction: Transaction, outcome_id: UUID) -> bool:
    """Delete an outcome; return whether it existed."""
    _queue_details(transaction, _turn_of(transaction.connection, outcome_id))
    return transaction.connection.execute(delete(outcomes).where(outcomes.c.id == outcome_id)).rowcount > 0


def leave_turns(transaction: Transaction, is_left: ColumnElement[bool], *stays: ColumnElement[bool]) -> None:
    """Give the outcomes for which `is_left` holds another turn: the newest of their session for which `stays` holds."""
    columns = (outcomes.c.id, outcomes.c.project, outcomes.c.session_id, outcomes.c.details)
    for row in transaction.connection.execute(select(*columns).where(is_left)).all():
        turn = _newest_turn(transaction.connection, row.project, row.session_id, *stays)
        transaction.connection.execute(update(outcomes).where(outcomes.c.id == row.id).values(turn=turn))
        if row.details is not None:
            _queue_details(transaction, turn)


def _newest_turn(connection: Connection, project: int, session_id: UUID, *stays: ColumnElement[bool]) -> UUID | None:
    c = interactions.c
    is_turn = or_(c.session_id == session_id, and_(c.id == session_id, c.session_id.is_(None)))
    # Not by the index of the project's interactions in time, which might be read to its end.
    query = select(c.id).where(without_index(c.project) == project, is_turn, *stays)
    newest = query.order_by(c.created_at.desc(), c.id.desc()).limit(1)
    # It is not deleted before the outcome that names it is there.
    return connection.execute(newest.with_for_update(read=True, key_share=True)).scalar()


def _turn_of(connection: Connection, outcome_id: UUID) -> UUID | None:
    return connection.execute(select(outcomes.c.turn).where(outcomes.c.id == outcome_id)).scalar()


def _queue_details(transaction: Transaction, turn: UUID | None) -> None:
    """Queue the details of a turn for the text index."""
    if turn is not None:
        transaction.put_all([pending_details(turn)])
