"""Feedback and preferences: rows on interactions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Table, case, delete, exists, func, or_, select, union_all, update

from afterword.ids import uuid7
from afterword.store.background import rollups
from afterword.store.engine import Find, Insert, Rows, Transaction
from afterword.store.engine.dialect import any_of
from afterword.store.schema import details_pending, feedback, interactions, metrics, outcomes, preferences

INSERT_FEEDBACK = Insert(feedback)
INSERT_PREFERENCE = Insert(preferences)
_INSERT_PENDING = Insert(details_pending)

FIND_COMPLETION = Find(interactions.c.id, interactions.c.project, interactions.c.created_at, row_lock=True)
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
FIND_SIDE = Find(interactions.c.id, interactions.c.project, interactions.c.prompt_hash, row_lock=True)
FIND_PREFERENCE = Find(preferences.c.id, preferences.c.request_hash)


class FeedbackContent(NamedTuple):
    """A row of FIND_FEEDBACK, without its id, in the driver's types."""

    request_hash: int | None
    interaction_id: Any
    metric: int
    value: float
    details: str | None
    reason: str | None
    user: str | None
    created_at: int

    def is_on(self, completion_id: UUID) -> bool:
        """Return whether the feedback is on this completion."""
        return self.interaction_id in (completion_id, completion_id.bytes)


def find_feedback(connection: Connection, feedback_id: UUID) -> tuple[Row[Any], int] | None:
    """Return the row of a feedback and the number of its interaction's project."""
    row = connection.execute(select(feedback).where(feedback.c.id == feedback_id)).first()
    if row is None:
        return None
    project = select(interactions.c.project).where(interactions.c.id == row.interaction_id)
    project_number = connection.execute(project).scalar()
    return None if project_number is None else (row, project_number)


def pending_details(*completion_ids: UUID) -> Rows:
    """Return the rows that queue the details of interactions for the text index."""
    return [(_INSERT_PENDING, [(completion_id, uuid7()) for completion_id in completion_ids])]


DETAILS = (
    (feedback.c.interaction_id, feedback.c.id, feedback.c.details),
    (preferences.c.interaction_id, preferences.c.id, preferences.c.details),
    (outcomes.c.turn, outcomes.c.id, outcomes.c.details),
)
"""Where details are: columns of the interaction with which they are found, their id, and their text."""


def has_details(interaction_id: ColumnElement[UUID]) -> ColumnElement[bool]:
    """Return the condition that details are found with an interaction (`read_details`)."""
    return or_(*(exists().where(column == interaction_id, details.is_not(None)) for column, _, details in DETAILS))


def read_details(connection: Connection, ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the details of the feedback on interactions, of their preferences, and of the outcomes that are found with
    them, one below the other."""
    queries = [
        select(interaction_id, details_id, details).where(any_of(interaction_id, ids), details.is_not(None))
        for interaction_id, details_id, details in DETAILS
    ]
    rows = sorted(connection.execute(union_all(*queries)).all())
    return {
        interaction_id: "\n\n".join(details for _, _, details in of_interaction)
        for interaction_id, of_interaction in groupby(rows, key=lambda row: row[0])
    }


def change(transaction: Transaction, row: Row[Any], values: dict[str, Any]) -> bool:
    """Change columns of a feedback; return whether it exists."""
    _mark_hour(transaction, row.id)
    if "details" in values:
        transaction.put_all([pending_details(row.interaction_id)])
    changed = update(feedback).where(feedback.c.id == row.id).values(**values)
    return transaction.connection.execute(changed).rowcount > 0


def remove(transaction: Transaction, row: Row[Any]) -> bool:
    """Delete a feedback; return whether it existed."""
    _mark_hour(transaction, row.id)
    transaction.put_all([pending_details(row.interaction_id)])
    return transaction.connection.execute(delete(feedback).where(feedback.c.id == row.id)).rowcount > 0


def _mark_hour(transaction: Transaction, feedback_id: UUID) -> None:
    """Mark the hour of a feedback's interaction as dirty."""
    source = interactions.join(feedback, feedback.c.interaction_id == interactions.c.id)
    query = select(interactions.c.project, interactions.c.created_at).select_from(source)
    for project, created_at in transaction.connection.execute(query.where(feedback.c.id == feedback_id)):
        transaction.put_all([rollups.dirty_hour(project, created_at)])


def find_preference(connection: Connection, comparison_id: UUID) -> tuple[Row[Any], int] | None:
    """Return the row of a preference for one side that still exists, and the number of its project."""
    query = select(preferences).where(preferences.c.id == comparison_id).order_by(preferences.c.side).limit(1)
    row = connection.execute(query).first()
    if row is None:
        return None
    project = select(interactions.c.project).where(interactions.c.id == row.interaction_id)
    return row, connection.execute(project).scalar_one()


def change_preference(transaction: Transaction, row: Row[Any], preferred: UUID | None, values: dict[str, Any]) -> bool:
    """Change columns of both rows of a preference; return whether it exists.

    `preferred` is the interaction that is preferred from now on; None changes nothing.
    """
    if "details" in values:
        transaction.put_all([pending_details(row.interaction_id, row.other_id)])
    side = {} if preferred is None else {"side": case((preferences.c.interaction_id == preferred, 1), else_=2)}
    changed = update(preferences).where(preferences.c.id == row.id).values(**values, **side)
    return transaction.connection.execute(changed).rowcount > 0


def remove_preference(transaction: Transaction, row: Row[Any]) -> bool:
    """Delete both rows of a preference; return whether it existed."""
    transaction.put_all([pending_details(row.interaction_id, row.other_id)])
    return transaction.connection.execute(delete(preferences).where(preferences.c.id == row.id)).rowcount > 0


def metric_usage(
    connection: Connection, numbers: Sequence[int], projects: Collection[int] | None = None
) -> dict[int, tuple[bool, bool]]:
    """Return for each of these metrics whether it has feedback, and whether it has preferences.

    Only interactions of `projects` count; None counts all.
    """
    with_feedback, with_preferences = (
        set(connection.execute(select(metrics.c.number).where(metrics.c.number.in_(numbers), has_rows)).scalars())
        for has_rows in (
            exists().where(table.c.metric == metrics.c.number, *_project_condition(table, projects))
            for table in (feedback, preferences)
        )
    )
    return {number: (number in with_feedback, number in with_preferences) for number in numbers}


def _project_condition(table: Table, projects: Collection[int] | None) -> list[ColumnElement[bool]]:
    """Return the conditions that a row's interaction is of one of these projects; none if `projects` is None."""
    if projects is None:
        return []
    return [interactions.c.id == table.c.interaction_id, interactions.c.project.in_(projects)]


def count_values(
    connection: Connection, metric: int, from_: int, to: int, projects: Collection[int] | None = None
) -> tuple[int, int]:
    """Count the feedback and the preferences under a metric, given from `from_` (inclusive) to `to` (exclusive).

    Only interactions of `projects` count; None counts all.
    """
    value_count, preference_count = (
        connection.execute(
            select(func.count(table.c.id)).where(
                table.c.metric == metric,
                table.c.created_at >= from_,
                table.c.created_at < to,
                *_project_condition(table, projects),
                *conditions,
            )
        ).scalar_one()
        for table, conditions in ((feedback, ()), (preferences, (preferences.c.side == 1,)))
    )
    return value_count, preference_count
