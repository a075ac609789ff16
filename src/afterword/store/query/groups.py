"""Groups of interactions by model, prompt, session or a label's values, with statistics of their metrics."""

from __future__ import annotations

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
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
)

from afterword.errors import Invalid
from afterword.store.calls import COMPLETE, SYSTEM_METRICS
from afterword.store.engine.dialect import least_id, without_index
from afterword.store.query.conditions import CHAT, Names
from afterword.store.query.cursors import invalid_cursor, read_cursor, write_cursor
from afterword.store.query.float_sums import deviation, mean, reference, scaled_sum, squarable
from afterword.store.query.matches import Matches, where_clause_of
from afterword.store.schema import calls, feedback, interaction_labels, interactions, labels, metrics, models
from afterword.types.fields import GROUPINGS, TEXT_FIELDS

# Up to this many values of a label are named in the statement, which lets the database plan for them. A statement of
# PostgreSQL has at most 65,535 parameters.
MAX_STATEMENT_LABELS = 1_000
# Each interaction is looked up under each value of a label if there are at most this many values, or this many lookups.
MAX_LOOKUP_LABELS = 16
MAX_LOOKUP_COUNT = 200_000

LABEL_WORDS = (labels.c.number, labels.c.value)
_TEXT_GROUPINGS = {field.group_by: interactions.c[field.column] for field in TEXT_FIELDS if field.group_by}


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of the values of one metric in a group. A system metric has its key in place of a number."""

    metric: int | str
    count: int
    mean: float
    min: float
    max: float
    stddev: float | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group. `key` is a model's key, a prompt_hash or session_id as text, or a label's value; None for interactions
    without one. `example` is the id of an interaction of the group, `session` the callers' name for its session."""

    key: Any
    count: int
    example: UUID
    metrics: list[Statistics]
    session: str | None = None


@dataclass(frozen=True, slots=True)
class GroupRowPage:
    """A page of groups in the order of their keys; the group without a key comes first."""

    groups: list[GroupRow]
    next: str | None
    count: int | None


class GroupCursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The key at which a page of groups ended. `key` is null for the group without a key."""

    group_by: str
    key: str | int | None


def find_groups(matches: Matches, *, group_by: str, limit: int, cursor: str | None, count: bool) -> GroupRowPage:
    """Return a page of groups. Raises `Invalid` for an unknown grouping or a cursor of another list."""
    plan = matches.plan()
    with matches.step("groups", plan) as step:
        page = _group_page(matches, where_clause_of(plan, matches.names), group_by, limit, cursor, count)
        step.found_count = len(page.groups)
    return page


def _group_page(
    matches: Matches, where: ColumnElement[bool], group_by: str, limit: int, cursor: str | None, count: bool
) -> GroupRowPage:
    connection, names = matches.connection, matches.names
    grouping = grouping_of(connection, names, group_by, where)
    groups = (
        select(grouping.key.label("raw"), func.count().label("number"), least_id(interactions.c.id).label("example"))
        .select_from(grouping.source)
        .where(grouping.condition)
        .group_by(grouping.key)
    )
    beyond = true() if cursor is None else _beyond(grouping.word, _read_group_cursor(cursor, group_by))
    rows = _page(connection, grouping, groups, beyond, limit + 1)
    total = connection.execute(select(func.count()).select_from(groups.subquery())).scalar_one() if count else None
    has_more, rows = len(rows) > limit, rows[:limit]
    statistics = _statistics(connection, names, grouping, [raw for _, raw, _, _ in rows])
    session_names = (
        _names_of_sessions(connection, names, [key for key, _, _, _ in rows]) if group_by == "session" else {}
    )
    return GroupRowPage(
        [
            GroupRow(_wire_key(group_by, key), number, example, statistics[raw], session_names.get(key))
            for key, raw, number, example in rows
        ],
        write_cursor(GroupCursor(group_by, _plain(rows[-1][0]))) if has_more else None,
        total,
    )


def _page(
    connection: Connection, grouping: Grouping, groups: Select[Any, int, Any], beyond: ColumnElement[bool], limit: int
) -> list[tuple[Any, Any, int, UUID]]:
    """Return (key, raw key, number of interactions, example) of groups, in order."""
    if grouping.words is None:
        # The group key is also the page order: the database finds the first groups without computing the others.
        order = grouping.key.nulls_first() if grouping.is_optional else grouping.key
        page = groups.where(beyond).order_by(order).limit(limit)
        return [(row.raw, row.raw, row.number, row.example) for row in connection.execute(page)]
    number, word = grouping.words
    all_groups = groups.subquery()
    page = select(word, all_groups.c.raw, all_groups.c.number, all_groups.c.example).select_from(
        all_groups.outerjoin(number.table, number == all_groups.c.raw)
    )
    page = page.where(beyond).order_by(word.is_not(None), word).limit(limit)
    return [(row[0], row[1], row[2], row[3]) for row in connection.execute(page)]


@dataclass(frozen=True, slots=True)
class Grouping:
    """The column of `source` that interactions are grouped by; null for an interaction without a key.

    `condition` selects the interactions. If `key` is a number, `words` are the columns (number, word) that translate
    it.
    """

    key: ColumnElement[Any]
    source: FromClause
    condition: ColumnElement[bool]
    words: tuple[Column[Any], Column[Any]] | None = None
    is_optional: bool = False
    """Whether an interaction may have no key."""

    @property
    def word(self) -> ColumnElement[Any]:
        """Return the column that pages are ordered by."""
        return self.key if self.words is None else self.words[1]


def grouping_of(connection: Connection, names: Names, group_by: str, where: ColumnElement[bool]) -> Grouping:
    """Return the grouping of the interactions that match `where`. Raises `Invalid` for an unknown `group_by`."""
    if group_by == "model":
        return Grouping(interactions.c.model, interactions, where, (models.c.number, models.c.key))
    if group_by == "prompt":
        return Grouping(interactions.c.prompt_hash, interactions, where)
    if group_by == "session":
        session = func.coalesce(interactions.c.session_id, interactions.c.id, type_=interactions.c.id.type)
        return Grouping(session, interactions, where)
    if group_by == "operation":
        # Written out: PostgreSQL takes two parameters, in the columns and in GROUP BY, for different values.
        return Grouping(func.coalesce(interactions.c.operation, literal_column(f"'{CHAT}'")), interactions, where)
    if group_by in _TEXT_GROUPINGS:
        return Grouping(_TEXT_GROUPINGS[group_by], interactions, where, is_optional=True)
    kind, _, label_key = group_by.partition(":")
    if kind != "label" or not label_key:
        raise Invalid(
            f"group_by is {group_by!r:.80}.",
            code="invalid_group_by",
            param="group_by",
            hint=f"Group by {', '.join(GROUPINGS)} or label:KEY.",
        )
    label_condition = and_(labels.c.project == names.project, labels.c.key == label_key)
    numbers = list(
        connection.execute(select(labels.c.number).where(label_condition).limit(MAX_STATEMENT_LABELS + 1)).scalars()
    )
    is_over_limit = len(numbers) > MAX_STATEMENT_LABELS
    if is_over_limit or (
        len(numbers) > MAX_LOOKUP_LABELS and _has_more(connection, where, MAX_LOOKUP_COUNT // len(numbers))
    ):
        return _set_grouping(where, label_condition)
    label = interaction_labels.alias()
    of_interaction = (label.c.created_at == interactions.c.created_at, label.c.interaction_id == interactions.c.id)
    source = interactions.outerjoin(label, and_(label.c.label.in_(numbers), *of_interaction))
    return Grouping(label.c.label, source, where, LABEL_WORDS)


def _has_more(connection: Connection, where: ColumnElement[bool], number: int) -> bool:
    """Return whether more than `number` interactions match `where`."""
    beyond = select(interactions.c.id).where(where).offset(number).limit(1)
    return connection.execute(beyond).first() is not None


def _set_grouping(where: ColumnElement[bool], label_condition: ColumnElement[bool]) -> Grouping:
    """Return the grouping by a label of many values: those of `labels` that match `label_condition`.

    A planner that expects few interactions would execute a join by reading all values for each of them. In place of a
    join, both sets are grouped by the interaction's id, which reads each row once.
    """
    nothing = cast(null(), BigInteger)
    chosen = select(interactions.c.id.label("id"), literal(1).label("wanted"), nothing.label("label")).where(where)
    joined = interaction_labels.join(labels, labels.c.number == interaction_labels.c.label)
    labelled = (
        select(interaction_labels.c.interaction_id, literal(0), labels.c.number)
        .select_from(joined)
        .where(label_condition)
    )
    both = union_all(chosen, labelled).subquery()
    # An interaction has one value for each key.
    keyed = (
        select(both.c.id, func.max(both.c.label).label("label"))
        .group_by(both.c.id)
        .having(func.max(both.c.wanted) == 1)
        .subquery()
    )
    return Grouping(keyed.c.label, keyed.join(interactions, interactions.c.id == keyed.c.id), true(), LABEL_WORDS)


def _names_of_sessions(connection: Connection, names: Names, ids: list[UUID]) -> dict[UUID, str]:
    """Return the names that callers gave to sessions, by session id."""
    session, name = interactions.c.session_id, interactions.c.session
    query = select(session, func.max(name)).where(
        session.in_(ids), name.is_not(None), interactions.c.project == names.project
    )
    return {row[0]: row[1] for row in connection.execute(query.group_by(session))}


def _statistics(
    connection: Connection, names: Names, grouping: Grouping, keys: list[Any]
) -> dict[Any, list[Statistics]]:
    """Return the statistics of the page's groups by raw key, without those of deleted metrics."""
    chosen: ColumnElement[bool] = grouping.key.in_([key for key in keys if key is not None])
    if None in keys:
        chosen = or_(chosen, grouping.key.is_(None))
    which = and_(grouping.condition, chosen)
    statistics = _feedback_statistics(connection, names, grouping, which)
    if connection.execute(select(calls.c.interaction_id).limit(1)).first() is not None:
        _add_system_metrics(connection, names, grouping, which, statistics)
    return statistics


def _add_system_metrics(
    connection: Connection,
    names: Names,
    grouping: Grouping,
    which: ColumnElement[bool],
    statistics: dict[Any, list[Statistics]],
) -> None:
    """Add the statistics of the system metrics, over complete calls, in one query."""
    keys = [key for key in SYSTEM_METRICS if names.measured(key)]
    columns = [calls.c[key] for key in keys]
    # Deviations are summed from a reference value of each metric, as for feedback.
    sample = connection.execute(select(*columns).where(calls.c.state == COMPLETE).limit(1)).first()
    if sample is None:
        return
    parts: list[ColumnElement[Any]] = []
    for column, nearby_value in zip(columns, sample, strict=True):
        above = squarable(column - literal(reference(nearby_value)))
        parts += [
            func.count(column),
            scaled_sum(column),
            func.min(column),
            func.max(column),
            func.sum(above),
            func.sum(above * above),
        ]
    query = (
        select(grouping.key.label("key"), *parts)
        .select_from(grouping.source.join(calls, calls.c.interaction_id == interactions.c.id))
        .where(which, without_index(calls.c.state) == COMPLETE)
        .group_by(grouping.key)
    )
    for row in connection.execute(query):
        for position, metric in enumerate(keys):
            count, scaled_total, minimum, maximum, above, squares = row[1 + 6 * position : 7 + 6 * position]
            if count:
                average = mean(count, scaled_total, minimum, maximum)
                spread = deviation(count, above, squares)
                statistics[row[0]].append(Statistics(metric, count, average, minimum, maximum, spread))


def _feedback_statistics(
    connection: Connection, names: Names, grouping: Grouping, which: ColumnElement[bool]
) -> dict[Any, list[Statistics]]:
    statistics: dict[Any, list[Statistics]] = defaultdict(list)
    least_value = select(func.min(feedback.c.value)).where(feedback.c.metric == metrics.c.number).scalar_subquery()
    live = select(metrics.c.number, least_value).where(metrics.c.number.in_(names.metrics()))
    # Deviations are summed from the metric's minimum, not from 0: squares of large values lose the small differences
    # between them.
    minimums = {number: reference(value) for number, value in connection.execute(live) if value is not None}
    if not minimums:
        return statistics
    value = feedback.c.value
    above = squarable(value - case(minimums, value=feedback.c.metric, else_=0.0))
    query = (
        select(
            grouping.key.label("key"),
            feedback.c.metric,
            func.count().label("number"),
            scaled_sum(value).label("scaled_total"),
            func.min(value).label("min"),
            func.max(value).label("max"),
            func.sum(above).label("above"),
            func.sum(above * above).label("squares"),
        )
        .select_from(grouping.source.join(feedback, feedback.c.interaction_id == interactions.c.id))
        # An expression in place of the column makes the database read the feedback of each interaction, not of each
        # metric.
        .where(which, without_index(feedback.c.metric).in_(list(minimums)))
        .group_by(grouping.key, feedback.c.metric)
        .order_by(feedback.c.metric)
    )
    for row in connection.execute(query):
        spread = deviation(row.number, row.above, row.squares)
        average = mean(row.number, row.scaled_total, row.min, row.max)
        statistics[row.key].append(Statistics(row.metric, row.number, average, row.min, row.max, spread))
    return statistics


def _beyond(key: ColumnElement[Any], at: Any) -> ColumnElement[bool]:
    return key.is_not(None) if at is None else and_(key.is_not(None), key > at)


def _read_group_cursor(cursor: str, group_by: str) -> Any:
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


def _wire_key(group_by: str, key: Any) -> Any:
    return format(key, "016x") if group_by == "prompt" else _plain(key)
