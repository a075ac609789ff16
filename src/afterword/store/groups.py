"""Groups of interactions by model, prompt, session or a label's values, with what was thought of each."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union_all,
)

from afterword.errors import Invalid
from afterword.store.calls import COMPLETE, SYSTEM_METRICS
from afterword.store.cursors import invalid_cursor, read_cursor, write_cursor
from afterword.store.engine.fragments import least_id
from afterword.store.filters import Names
from afterword.store.pages import narrowed
from afterword.store.schema import calls, feedback, interaction_labels, interactions, labels, metrics, models
from afterword.types import Filter

# The values of a label are named in the statement, which lets the database plan for them, unless they are more than
# these. A statement of PostgreSQL has at most 65,535 parameters.
MOST_NUMBERS = 1_000
MAX_SQUARED, MIN_SQUARED = 1e150, 1e-150
# Each interaction is looked up under each value where the values are so few, or where these lookups are.
FEW_NUMBERS = 16
MOST_LOOKUPS = 200_000

LABEL_WORDS = (labels.c.number, labels.c.value)


@dataclass(frozen=True, slots=True)
class Statistics:
    """The values under one metric, over a group. A system metric has its key in place of a number."""

    metric: int | str
    count: int
    mean: float
    min: float
    max: float
    stddev: float | None


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """A group. `key` is a model's key, a prompt_hash or session_id as text, or a label's value; None where there is
    none. `example` is an interaction of the group, `session` what callers named its session."""

    key: Any
    count: int
    example: UUID
    metrics: list[Statistics]
    session: str | None = None


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
    grouping = grouped_by(connection, names, group_by, narrowed(connection, names, filter))
    groups = (
        select(grouping.key.label("raw"), func.count().label("number"), least_id(interactions.c.id).label("example"))
        .select_from(grouping.source)
        .where(grouping.condition)
        .group_by(grouping.key)
    )
    beyond = true() if cursor is None else _beyond(grouping.word, _read(cursor, group_by))
    rows = _page(connection, grouping, groups, beyond, limit + 1)
    total = connection.execute(select(func.count()).select_from(groups.subquery())).scalar_one() if count else None
    more, rows = len(rows) > limit, rows[:limit]
    statistics = _statistics(connection, names, grouping, [raw for _, raw, _, _ in rows])
    named = _names_of_sessions(connection, names, [key for key, _, _, _ in rows]) if group_by == "session" else {}
    return FoundGroups(
        [
            FoundGroup(_shown(group_by, key), number, example, statistics[raw], named.get(key))
            for key, raw, number, example in rows
        ],
        write_cursor(GroupCursor(group_by, _plain(rows[-1][0]))) if more else None,
        total,
    )


def _page(
    connection: Connection, grouping: Grouping, groups: Select[Any, int, Any], beyond: ColumnElement[bool], limit: int
) -> list[tuple[Any, Any, int, UUID]]:
    """Return key, raw key, number and example of groups, in order."""
    if grouping.words is None:
        # Grouped by what pages are ordered by: the first groups are found without making the others.
        page = groups.where(beyond).order_by(grouping.key).limit(limit)
        return [(row.raw, row.raw, row.number, row.example) for row in connection.execute(page)]
    number, word = grouping.words
    made = groups.subquery()
    page = select(word, made.c.raw, made.c.number, made.c.example).select_from(
        made.outerjoin(number.table, number == made.c.raw)
    )
    page = page.where(beyond).order_by(word.is_not(None), word).limit(limit)
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(page)]


@dataclass(frozen=True, slots=True)
class Grouping:
    """What interactions are grouped by: a column of `source`, null where an interaction has no key.

    `condition` chooses the interactions. Where the column is a number, `words` are the columns that say which word it
    stands for.
    """

    key: ColumnElement[Any]
    source: FromClause
    condition: ColumnElement[bool]
    words: tuple[Column[Any], Column[Any]] | None = None

    @property
    def word(self) -> ColumnElement[Any]:
        """Return what pages are ordered by."""
        return self.key if self.words is None else self.words[1]


def grouped_by(connection: Connection, names: Names, group_by: str, wanted: ColumnElement[bool]) -> Grouping:
    """Return how the `wanted` interactions are grouped by these words. Raises `Invalid`."""
    if group_by == "model":
        return Grouping(interactions.c.model, interactions, wanted, (models.c.number, models.c.key))
    if group_by == "prompt":
        return Grouping(interactions.c.prompt_hash, interactions, wanted)
    if group_by == "session":
        session = func.coalesce(interactions.c.session_id, interactions.c.id, type_=interactions.c.id.type)
        return Grouping(session, interactions, wanted)
    kind, _, label_key = group_by.partition(":")
    if kind != "label" or not label_key:
        raise Invalid(
            f"group_by is {group_by!r:.80}.",
            code="invalid_group_by",
            param="group_by",
            hint="Group by model, prompt, session or label:KEY.",
        )
    named = and_(labels.c.project == names.project, labels.c.key == label_key)
    numbers = list(connection.execute(select(labels.c.number).where(named).limit(MOST_NUMBERS + 1)).scalars())
    many = len(numbers) > MOST_NUMBERS
    if many or (len(numbers) > FEW_NUMBERS and _has_more(connection, wanted, MOST_LOOKUPS // len(numbers))):
        return _grouped_as_sets(wanted, named)
    worn = interaction_labels.alias()
    of_interaction = (worn.c.created_at == interactions.c.created_at, worn.c.interaction_id == interactions.c.id)
    source = interactions.outerjoin(worn, and_(worn.c.label.in_(numbers), *of_interaction))
    return Grouping(worn.c.label, source, wanted, LABEL_WORDS)


def _has_more(connection: Connection, wanted: ColumnElement[bool], number: int) -> bool:
    """Tell whether more interactions than `number` are wanted."""
    beyond = select(interactions.c.id).where(wanted).offset(number).limit(1)
    return connection.execute(beyond).first() is not None


def _grouped_as_sets(wanted: ColumnElement[bool], named: ColumnElement[bool]) -> Grouping:
    """Return the grouping by a label of many values: those of `labels` that `named` holds for.

    A join would leave it to the planner to go through all values for each interaction, as it does where it expects few
    of these. Both sets are grouped by the interaction's id in place of it, which takes each row once.
    """
    nothing = cast(null(), BigInteger)
    chosen = select(interactions.c.id.label("id"), literal(1).label("wanted"), nothing.label("label")).where(wanted)
    joined = interaction_labels.join(labels, labels.c.number == interaction_labels.c.label)
    worn = select(interaction_labels.c.interaction_id, literal(0), labels.c.number).select_from(joined).where(named)
    both = union_all(chosen, worn).subquery()
    # An interaction has one value for each key.
    keyed = (
        select(both.c.id, func.max(both.c.label).label("label"))
        .group_by(both.c.id)
        .having(func.max(both.c.wanted) == 1)
        .subquery()
    )
    return Grouping(keyed.c.label, keyed.join(interactions, interactions.c.id == keyed.c.id), true(), LABEL_WORDS)


def _names_of_sessions(connection: Connection, names: Names, ids: list[UUID]) -> dict[UUID, str]:
    """Return what callers named these sessions, for those that they did."""
    session, name = interactions.c.session_id, interactions.c.session
    named = select(session, func.max(name)).where(
        session.in_(ids), name.is_not(None), interactions.c.project == names.project
    )
    return {row[0]: row[1] for row in connection.execute(named.group_by(session))}


def _statistics(
    connection: Connection, names: Names, grouping: Grouping, keys: list[Any]
) -> dict[Any, list[Statistics]]:
    """Return the statistics of the page's groups alone, by raw key; values under deleted metrics are left out."""
    chosen: ColumnElement[bool] = grouping.key.in_([key for key in keys if key is not None])
    if None in keys:
        chosen = or_(chosen, grouping.key.is_(None))
    which = and_(grouping.condition, chosen)
    statistics = _measured(connection, names, grouping, which)
    if connection.execute(select(calls.c.interaction_id).limit(1)).first() is not None:
        _add_called(connection, names, grouping, which, statistics)
    return statistics


def _add_called(
    connection: Connection,
    names: Names,
    grouping: Grouping,
    which: ColumnElement[bool],
    found: dict[Any, list[Statistics]],
) -> None:
    """Add the statistics of the system metrics, in one query: of calls that are complete."""
    keys = [key for key in SYSTEM_METRICS if names.measured(key)]
    columns = [calls.c[key] for key in keys]
    # Deviations are summed from some value of each, as for feedback.
    some = connection.execute(select(*columns).where(calls.c.state == COMPLETE).limit(1)).first()
    if some is None:
        return
    parts: list[ColumnElement[Any]] = []
    for column, near in zip(columns, some, strict=True):
        above = column - literal(float(near or 0))
        parts += [
            func.count(column),
            func.avg(column),
            func.min(column),
            func.max(column),
            func.sum(above),
            func.sum(above * above),
        ]
    query = (
        select(grouping.key.label("key"), *parts)
        .select_from(grouping.source.join(calls, calls.c.interaction_id == interactions.c.id))
        .where(which, calls.c.state + literal(0) == COMPLETE)
        .group_by(grouping.key)
    )
    for row in connection.execute(query):
        for place, metric in enumerate(keys):
            count, mean, least, most, above, squares = row[1 + 6 * place : 7 + 6 * place]
            if count:
                spread = deviation(count, above, squares)
                found[row[0]].append(Statistics(metric, count, mean, least, most, spread))


def squarable(above: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a difference whose square is finite and not lost: PostgreSQL refuses to compute any other."""
    return case(
        (above > MAX_SQUARED, MAX_SQUARED),
        (above < -MAX_SQUARED, -MAX_SQUARED),
        (func.abs(above) < MIN_SQUARED, 0.0),
        else_=above,
    )


def deviation(count: int, above: float, squares: float) -> float | None:
    """Return the sample standard deviation, from the sums of what values are above some number, and of its squares."""
    if count < 2:
        return None
    return math.sqrt(max(0.0, squares - above * above / count) / (count - 1))


def _measured(
    connection: Connection, names: Names, grouping: Grouping, which: ColumnElement[bool]
) -> dict[Any, list[Statistics]]:
    found: dict[Any, list[Statistics]] = defaultdict(list)
    of_metric = select(func.min(feedback.c.value)).where(feedback.c.metric == metrics.c.number).scalar_subquery()
    live = select(metrics.c.number, of_metric).where(metrics.c.number.in_(names.metrics()))
    # Deviations are summed from the metric's least value, not from 0: the squares of large values lose the small
    # differences between them.
    least = {number: value for number, value in connection.execute(live) if value is not None}
    if not least:
        return found
    value = feedback.c.value
    above = squarable(value - case(least, value=feedback.c.metric, else_=0.0))
    query = (
        select(
            grouping.key.label("key"),
            feedback.c.metric,
            func.count().label("number"),
            func.sum(value).label("total"),
            func.min(value).label("min"),
            func.max(value).label("max"),
            func.sum(above).label("above"),
            func.sum(above * above).label("squares"),
        )
        .select_from(grouping.source.join(feedback, feedback.c.interaction_id == interactions.c.id))
        # An expression in place of the column: the feedback of each interaction is wanted, not that of each metric.
        .where(which, (feedback.c.metric + literal(0)).in_(list(least)))
        .group_by(grouping.key, feedback.c.metric)
        .order_by(feedback.c.metric)
    )
    for row in connection.execute(query):
        spread = deviation(row.number, row.above, row.squares)
        found[row.key].append(Statistics(row.metric, row.number, row.total / row.number, row.min, row.max, spread))
    return found


def _beyond(key: ColumnElement[Any], at: Any) -> ColumnElement[bool]:
    return key.is_not(None) if at is None else and_(key.is_not(None), key > at)


def _read(cursor: str, group_by: str) -> Any:
    at = read_cursor(cursor, GroupCursor)
    is_number = group_by == "prompt"
    if at.group_by != group_by or (at.key is not None and isinstance(at.key, int) != is_number):
        raise invalid_cursor(cursor)
    if isinstance(at.key, int) and not 0 <= at.key < 1 << 63:
        raise invalid_cursor(cursor)
    try:
        return UUID(at.key) if group_by == "session" and isinstance(at.key, str) else at.key
    except ValueError:
        raise invalid_cursor(cursor) from None


def _plain(key: Any) -> str | int | None:
    return str(key) if isinstance(key, UUID) else key


def _shown(group_by: str, key: Any) -> Any:
    return format(key, "016x") if group_by == "prompt" else _plain(key)
