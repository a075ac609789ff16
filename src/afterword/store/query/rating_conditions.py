"""Conditions on what was said of interactions and their sessions, and on what was measured of their calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, exists, func, select

from afterword.errors import Invalid
from afterword.store.engine.dialect import without_index
from afterword.store.query.condition import Condition
from afterword.store.schema import calls, interactions, outcomes
from afterword.types import NumberCondition

_SIGNS: dict[str, Callable[[Any, float], ColumnElement[bool]]] = {
    "eq": lambda column, number: column == number,
    "neq": lambda column, number: column != number,
    "gt": lambda column, number: column > number,
    "gte": lambda column, number: column >= number,
    "lt": lambda column, number: column < number,
    "lte": lambda column, number: column <= number,
}


def comparisons(column: ColumnElement[Any], value: NumberCondition | None, path: str) -> list[ColumnElement[bool]]:
    """Return the comparisons of a column with numbers. Raises `Invalid` if `value` names none."""
    if value is None:
        return []
    signed_numbers = [
        (sign, number) for sign in value.__struct_fields__ if (number := getattr(value, sign)) is not None
    ]
    if not signed_numbers:
        raise Invalid(
            f"{path}.value names no comparison.",
            code="empty_condition",
            param=f"{path}.value",
            hint="Give at least one of eq, neq, gt, gte, lt, lte; or leave value out.",
        )
    return [_SIGNS[sign](column, float(number)) for sign, number in signed_numbers]


def exists_for_interaction(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that there is a row for which all conditions hold, beside that of `interactions`."""
    # Correlate with `interactions` only: the enclosing query of a label scan or of group statistics may have other
    # tables of the same names.
    return exists().where(*conditions).correlate(interactions)


def metric_condition(table: Table, metric: int, *parts: ColumnElement[bool]) -> Condition:
    """Return the condition that an interaction has a row in `table` under this metric for which all parts hold."""
    # An expression in place of the column keeps SQLite from the index by metric and value, which would read all
    # feedback of the store for each interaction: only the few rows of the interaction are read.
    of_the_metric = without_index(table.c.metric) == metric
    return Condition(
        exists_for_interaction(table.c.interaction_id == interactions.c.id, of_the_metric, *parts),
        select(table.c.interaction_id).where(table.c.metric == metric, *parts),
    )


def outcome_condition(project: int, metric: int, *parts: ColumnElement[bool]) -> Condition:
    """Return the condition that an interaction's session has an outcome under this metric for which all parts hold.

    The check reads the few outcomes of the session. The lookup reads the sessions from the index by metric and value,
    then the interactions of each.
    """
    id, session_id = interactions.c.id, interactions.c.session_id
    # An interaction whose session_id is null is in a session of its own, named by its completion_id.
    check = exists_for_interaction(
        outcomes.c.session_id == func.coalesce(session_id, id),
        without_index(outcomes.c.project) == project,
        without_index(outcomes.c.metric) == metric,
        *parts,
    )
    of_project = without_index(interactions.c.project) == project
    # Joins, which a probe can stop early; SQLite would read the sessions of a subquery to the last.
    members, openers = (
        select(id).select_from(outcomes.join(interactions, which)).where(of_project, outcomes.c.project == project)
        for which in (
            session_id == outcomes.c.session_id,
            and_(id == outcomes.c.session_id, session_id.is_(None)),
        )
    )
    of_metric = (outcomes.c.metric == metric, *parts)
    return Condition(check, members.where(*of_metric).union_all(openers.where(*of_metric)))  # pyright: ignore


def call_condition(*parts: ColumnElement[bool]) -> Condition:
    """Return the condition that an interaction has a call for which all parts hold.

    Its lookup reads all calls, whose rows are short: a million in about 0.1 s.
    """
    return Condition(
        exists_for_interaction(calls.c.interaction_id == interactions.c.id, *parts),
        select(calls.c.interaction_id).where(*parts),
        is_costly=True,
    )
