"""Feedback and preferences: rows on interactions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Table, case, delete, exists, func, select, update

from afterword.store import rollups
from afterword.store.engine import Find, Insert, Transaction
from afterword.store.schema import feedback, interactions, metrics, preferences

INSERT_FEEDBACK = Insert(feedback)
INSERT_PREFERENCE = Insert(preferences)

FIND_COMPLETION = Find(interactions.c.id, interactions.c.project, interactions.c.created_at, kept=True)
FIND_FEEDBACK = Find(
    feedback.c.id,
    feedback.c.request_hash,
    feedback.c.interaction_id,
    feedback.c.metric,
    feedback.c.value,
    feedback.c.details,
    feedback.c.reason,
    feedback.c.user,
    feedback.c.created_at,
)
FIND_SIDE = Find(interactions.c.id, interactions.c.project, interactions.c.prompt_hash, kept=True)
FIND_PREFERENCE = Find(preferences.c.id, preferences.c.request_hash)


class FeedbackContent(NamedTuple):
    """What FIND_FEEDBACK finds of a feedback, in the driver's own types."""

    request_hash: int | None
    interaction_id: Any
    metric: int
    value: float
    details: str | None
    reason: str | None
    user: str | None
    created_at: int

    def is_on(self, completion_id: UUID) -> bool:
        """Tell whether the feedback is on this completion."""
        return self.interaction_id in (completion_id, completion_id.bytes)


def find(connection: Connection, feedback_id: UUID) -> tuple[Row[Any], int] | None:
    """Return a feedback and the project of its interaction."""
    row = connection.execute(select(feedback).where(feedback.c.id == feedback_id)).first()
    if row is None:
        return None
    project = select(interactions.c.project).where(interactions.c.id == row.interaction_id)
    found = connection.execute(project).scalar()
    return None if found is None else (row, found)


def change(transaction: Transaction, feedback_id: UUID, values: dict[str, Any]) -> bool:
    """Change columns of a feedback; tell whether it was there."""
    _mark(transaction, feedback_id)
    changed = update(feedback).where(feedback.c.id == feedback_id).values(**values)
    return transaction.connection.execute(changed).rowcount > 0


def remove(transaction: Transaction, feedback_id: UUID) -> bool:
    """Delete a feedback; tell whether it was there."""
    _mark(transaction, feedback_id)
    return transaction.connection.execute(delete(feedback).where(feedback.c.id == feedback_id)).rowcount > 0


def _mark(transaction: Transaction, feedback_id: UUID) -> None:
    """Mark the hour of the interaction that a feedback is on."""
    source = interactions.join(feedback, feedback.c.interaction_id == interactions.c.id)
    its = select(interactions.c.project, interactions.c.created_at).select_from(source)
    for project, created_at in transaction.connection.execute(its.where(feedback.c.id == feedback_id)):
        transaction.put_all([rollups.marks(project, created_at)])


def find_preference(connection: Connection, comparison_id: UUID) -> tuple[Row[Any], int] | None:
    """Return a preference, as a side sees it that is still there, and the project of its interaction."""
    query = select(preferences).where(preferences.c.id == comparison_id).order_by(preferences.c.side).limit(1)
    row = connection.execute(query).first()
    if row is None:
        return None
    project = select(interactions.c.project).where(interactions.c.id == row.interaction_id)
    return row, connection.execute(project).scalar_one()


def change_preference(
    transaction: Transaction, comparison_id: UUID, preferred: UUID | None, values: dict[str, Any]
) -> bool:
    """Change columns of a preference, as both its interactions see it, and which of them is preferred, None for the one
    that is; tell whether it was there."""
    side = {} if preferred is None else {"side": case((preferences.c.interaction_id == preferred, 1), else_=2)}
    changed = update(preferences).where(preferences.c.id == comparison_id).values(**values, **side)
    return transaction.connection.execute(changed).rowcount > 0


def remove_preference(transaction: Transaction, comparison_id: UUID) -> bool:
    """Delete a preference, as both its interactions see it; tell whether it was there."""
    return transaction.connection.execute(delete(preferences).where(preferences.c.id == comparison_id)).rowcount > 0


def used(
    connection: Connection, numbers: Sequence[int], projects: Collection[int] | None = None
) -> dict[int, tuple[bool, bool]]:
    """Tell of each of these metrics whether there is feedback, and whether there are preferences under it.

    `projects` are those whose interactions count, None for all.
    """
    given, compared = (
        set(connection.execute(select(metrics.c.number).where(metrics.c.number.in_(numbers), there)).scalars())
        for there in (
            exists().where(table.c.metric == metrics.c.number, *_within(table, projects))
            for table in (feedback, preferences)
        )
    )
    return {number: (number in given, number in compared) for number in numbers}


def _within(table: Table, projects: Collection[int] | None) -> list[ColumnElement[bool]]:
    """Return the condition that a row is on an interaction of one of these projects; none where that is of all."""
    if projects is None:
        return []
    return [interactions.c.id == table.c.interaction_id, interactions.c.project.in_(projects)]


def counted(
    connection: Connection, metric: int, from_: int, to: int, projects: Collection[int] | None = None
) -> tuple[int, int]:
    """Count the feedback and the preferences under a metric, given from (inclusive) to (exclusive) these times.

    `projects` are those whose interactions count, None for all.
    """
    values, pairs = (
        connection.execute(
            select(func.count(table.c.id)).where(
                table.c.metric == metric,
                table.c.created_at >= from_,
                table.c.created_at < to,
                *_within(table, projects),
                *more,
            )
        ).scalar_one()
        for table, more in ((feedback, ()), (preferences, (preferences.c.side == 1,)))
    )
    return values, pairs
