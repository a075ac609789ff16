"""Groups of interactions by model, prompt, session or a label's values, with what was thought of each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from afterword.errors import Invalid
from afterword.store.cursors import invalid_cursor, read_cursor, write_cursor
from afterword.store.filters import Names, condition
from afterword.store.schema import feedback, interaction_labels, interactions, labels, metrics, models
from afterword.types import Filter


@dataclass(frozen=True, slots=True)
class Statistics:
    """The values under one metric, over a group."""

    metric: int
    count: int
    mean: float
    min: float
    max: float
    stddev: float | None


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """A group. `key` is a model's key, a prompt_hash or session_id as text, or a label's value; None where there is
    none. `example` is an interaction of the group."""

    key: Any
    count: int
    example: UUID
    metrics: list[Statistics]


@dataclass(frozen=True, slots=True)
class FoundGroups:
    """A page of groups by key, those without one first."""

    groups: list[FoundGroup]
    next: str | None
    count: int | None


class GroupCursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The key at which a page of groups ended. `key` is null for the group without one."""

    group_by: str
    key: str | int | None


def find(
    connection: Connection,
    names: Names,
    filter: Filter | None,
    *,
    group_by: str,
    limit: int,
    cursor: str | None,
    count: bool,
) -> FoundGroups:
    """Return a page of groups. Raises `Invalid` for an unknown grouping or a cursor of another list."""
    key, source = _key(group_by, names)
    wanted = condition(filter, names)
    query = (
        select(key.label("key"), func.count().label("number"), func.min(interactions.c.id).label("example"))
        .select_from(source)
        .where(wanted)
        .group_by(key)
    )
    page = query.order_by(key.is_not(None), key).limit(limit + 1)
    if cursor is not None:
        page = page.where(_beyond(key, _read(cursor, group_by)))
    rows = connection.execute(page).all()
    more, rows = len(rows) > limit, rows[:limit]
    said = _statistics(connection, key, source, wanted, [row.key for row in rows])
    total = None
    if count:
        total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    return FoundGroups(
        [FoundGroup(_shown(group_by, row.key), row.number, row.example, said[row.key]) for row in rows],
        write_cursor(GroupCursor(group_by, _plain(rows[-1].key))) if more else None,
        total,
    )


def _key(group_by: str, names: Names) -> tuple[ColumnElement[Any], Any]:
    if group_by == "model":
        return models.c.key, interactions.outerjoin(models, models.c.number == interactions.c.model)
    if group_by == "prompt":
        return interactions.c.prompt_hash, interactions
    if group_by == "session":
        return func.coalesce(interactions.c.session_id, interactions.c.id, type_=interactions.c.id.type), interactions
    kind, _, label_key = group_by.partition(":")
    if kind != "label" or not label_key:
        raise Invalid(
            f"group_by is {group_by!r:.80}.",
            code="invalid_group_by",
            param="group_by",
            hint="Group by model, prompt, session or label:KEY.",
        )
    # An interaction has one value for each key, so that the join gives each row once.
    with_key = (
        select(interaction_labels.c.interaction_id, labels.c.value)
        .join(labels, labels.c.number == interaction_labels.c.label)
        .where(labels.c.project == names.project, labels.c.key == label_key)
        .subquery()
    )
    return with_key.c.value, interactions.outerjoin(with_key, with_key.c.interaction_id == interactions.c.id)


def _statistics(
    connection: Connection, key: ColumnElement[Any], source: Any, wanted: ColumnElement[bool], keys: list[Any]
) -> dict[Any, list[Statistics]]:
    """Return the statistics of the page's groups alone, by key; values under deleted metrics are left out."""
    found: dict[Any, list[Statistics]] = defaultdict(list)
    present = [one for one in keys if one is not None]
    value = feedback.c.value
    query = (
        select(
            key.label("key"),
            feedback.c.metric,
            func.count().label("number"),
            func.avg(value).label("mean"),
            func.min(value).label("min"),
            func.max(value).label("max"),
            func.stddev_samp(value).label("stddev"),
        )
        .select_from(source.join(feedback, feedback.c.interaction_id == interactions.c.id))
        .where(wanted, or_(key.in_(present), key.is_(None)) if None in keys else key.in_(present))
        .where(feedback.c.metric.in_(select(metrics.c.number).where(metrics.c.deleted_at.is_(None))))
        .group_by(key, feedback.c.metric)
        .order_by(feedback.c.metric)
    )
    for row in connection.execute(query):
        found[row.key].append(Statistics(row.metric, row.number, row.mean, row.min, row.max, row.stddev))
    return found


def _beyond(key: ColumnElement[Any], at: Any) -> ColumnElement[bool]:
    return key.is_not(None) if at is None else and_(key.is_not(None), key > at)


def _read(cursor: str, group_by: str) -> Any:
    at = read_cursor(cursor, GroupCursor)
    is_number = group_by == "prompt"
    if at.group_by != group_by or (at.key is not None and isinstance(at.key, int) != is_number):
        raise invalid_cursor(cursor)
    try:
        return UUID(at.key) if group_by == "session" and isinstance(at.key, str) else at.key
    except ValueError:
        raise invalid_cursor(cursor) from None


def _plain(key: Any) -> str | int | None:
    return str(key) if isinstance(key, UUID) else key


def _shown(group_by: str, key: Any) -> Any:
    return format(key, "016x") if group_by == "prompt" else _plain(key)
