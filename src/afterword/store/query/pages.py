"""Pages of interactions, ordered by time, from a cursor in either direction.

A page is read in one of three ways. Which is the fastest depends on how many interactions each condition matches:

    scan    scan the project's interactions by time and check each; best when most of them match
    label   scan the interactions of one label by time (a range of the label index) and check the other conditions
    lookup  fetch the few ids that a selective condition matches, check the other conditions, sort

A probe that stops after `SELECTIVE_ROWS` rows tells selective conditions from frequent ones, whatever the size of the
store. Where even the probe is slow (words, and metrics of calls), the first rows of the scan are checked before it:
they often fill the page. Of several labels, the scan takes the one whose last `LABEL_PROBE_ROWS` interactions before
the cursor reach back the furthest. A page of a few alternatives is merged from a page of each, so that each alternative
is read in the way that is best for it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, literal, or_, select

from afterword.store.engine.fragments import among, in_order
from afterword.store.engine.text_search import TextQuery, texts_of
from afterword.store.query.conditions import Condition, Names, compile_filter
from afterword.store.query.cursors import invalid_cursor, read_cursor, write_cursor
from afterword.store.schema import interaction_labels, interactions
from afterword.types import Filter, Order

SELECTIVE_ROWS = 10_000
LABEL_PROBE_ROWS = 1_000
# Rows to scan before counting whether a lookup of up to `MAX_LOOKUP_ROWS` ids is faster: the matches may all lie far
# away, such as the values of a metric that is no longer used. `LONG_SCAN_ROWS` applies where counting takes seconds;
# then `FIRST_SCAN_ROWS` are scanned before any probe.
FIRST_SCAN_ROWS = 1_000
SCAN_ROWS = 20_000
LONG_SCAN_ROWS = 200_000
# Counts and groups need all matches: they look up a condition that matches up to this many interactions.
MAX_LOOKUP_ROWS = 400_000
# The number of interactions searched for words at once doubles from the first to the maximum, which is what the
# parameters of one statement allow.
FIRST_CHUNK_ROWS = 100
MAX_CHUNK_ROWS = 10_000

LABEL_ORDER = (interaction_labels.c.created_at, interaction_labels.c.interaction_id)


@dataclass(frozen=True, slots=True)
class RowPage:
    """A page: rows of `interactions` in the requested order, cursors, and the count if it was requested."""

    rows: Sequence[Row[Any]]
    next: str | None
    previous: str | None
    count: int | None


class Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The row at which a page ended, and the direction of the next page."""

    created_at: int
    id: UUID
    back: bool
    order: Order


def find_page(
    connection: Connection,
    names: Names,
    filter: Filter | None,
    *,
    order: Order,
    limit: int,
    cursor: str | None,
    count: bool,
) -> RowPage:
    """Return a page. Raises `Invalid` for an invalid filter or cursor, `NotFound` for an unknown metric."""
    conditions = compile_filter(connection, filter, names)
    at = None if cursor is None else read_cursor(cursor, Cursor)
    if cursor is not None and at is not None and (at.order != order or not -(1 << 62) < at.created_at < 1 << 62):
        raise invalid_cursor(cursor)
    back = at is not None and at.back
    # To page backwards, scan in the opposite order and reverse the page.
    newest_first = (order == "-created_at") != back
    ids = _ids(connection, names, conditions, at, newest_first, limit + 1)
    has_more, ids = len(ids) > limit, ids[:limit]
    if back:
        ids.reverse()
    rows = {row.id: row for row in connection.execute(select(interactions).where(interactions.c.id.in_(ids)))}
    page = [rows[id] for id in ids]

    def cursor_at(row: Row[Any], back: bool) -> str:
        return write_cursor(Cursor(row.created_at, row.id, back, order))

    before = has_more if back else at is not None
    after = at is not None if back else has_more
    return RowPage(
        page,
        cursor_at(page[-1], False) if page and after else None,
        cursor_at(page[0], True) if page and before else None,
        count_all(connection, names, filter) if count else None,
    )


def matching(connection: Connection, names: Names, filter: Filter | None, ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """Return the rows of those of a few interactions that match, by checking the conditions on them alone.

    Raises `Invalid` and `NotFound` as `find_page` does.
    """
    checks = [condition.check for condition in compile_filter(connection, filter, names)]
    query = select(interactions).where(interactions.c.id.in_(ids), interactions.c.project + literal(0) == names.project)
    return connection.execute(query.where(*checks)).fetchall()


def newest(connection: Connection, names: Names, filter: Filter | None, limit: int) -> list[UUID]:
    """Return the ids of the newest `limit` matches, newest first.

    Raises `Invalid` and `NotFound` as `find_page` does.
    """
    return _ids(connection, names, compile_filter(connection, filter, names), None, True, limit)


def count_all(connection: Connection, names: Names, filter: Filter | None) -> int:
    """Return the exact number of matches. The time it takes grows with that number."""
    conditions = compile_filter(connection, filter, names)
    labelled = [condition for condition in conditions if condition.label is not None]
    if labelled and all(condition.label is not None or condition.time_check is not None for condition in conditions):
        # The label index alone answers: scan the label with the fewest interactions, look up the others.
        label = interaction_labels.c.label
        time, id = LABEL_ORDER
        selective = _most_selective(connection, labelled, MAX_LOOKUP_ROWS)
        scanned = labelled[0] if selective is None else selective.condition
        query = select(func.count()).where(label == scanned.label, *_within(time, conditions))
        for condition in labelled:
            if condition is not scanned:
                other = interaction_labels.alias()
                same_interaction = (
                    other.c.label == condition.label,
                    other.c.created_at == time,
                    other.c.interaction_id == id,
                )
                query = query.where(exists().where(*same_interaction).correlate(interaction_labels))
        return connection.execute(query.select_from(interaction_labels)).scalar_one()
    condition_on_all = where_clause(connection, names, filter)
    return connection.execute(select(func.count()).select_from(interactions).where(condition_on_all)).scalar_one()


def where_clause(connection: Connection, names: Names, filter: Filter | None) -> ColumnElement[bool]:
    """Return the filter as one WHERE clause that is fast for a query of all matches.

    It looks up the interactions of the most selective condition and checks the others on them. Only if no condition is
    selective does it check each interaction of the project.
    """
    return where_clause_for_join(connection, names, filter)[0]


def where_clause_for_join(
    connection: Connection,
    names: Names,
    filter: Filter | None,
    *,
    times: Condition | None = None,
    is_joined: bool = False,
) -> tuple[ColumnElement[bool], bool]:
    """Return the WHERE clause for `filter`, and whether it drives the query by an id lookup.

    `times` replaces the filter's time range. `is_joined` says that the caller joins a table on which it has a condition
    of its own: unless the filter is selective, the clause then only checks the rows of the join.
    """
    conditions = compile_filter(connection, filter, names)
    if times is not None:
        conditions = [*(condition for condition in conditions if condition.time_check is None), times]
    selective = _most_selective(connection, conditions, MAX_LOOKUP_ROWS)
    # A time range is a range of the index already.
    lookup = None if selective is None or selective.condition.time_check is not None else selective
    clauses = _lookup_clauses(names, lookup)
    if is_joined and selective is None:
        clauses = [interactions.c.project + literal(0) == names.project]
    checks = [condition.check for condition in conditions if lookup is None or condition is not lookup.condition]
    return and_(*clauses, *checks), selective is not None


def _ids(
    connection: Connection,
    names: Names,
    conditions: list[Condition],
    at: Cursor | None,
    newest_first: bool,
    limit: int,
    *,
    frequent: Sequence[Condition] = (),
    branching: bool = True,
) -> list[UUID]:
    """Return the ids of a page. `frequent` are conditions that are known not to be selective."""
    scan = _IndexScan(connection, names, conditions, at, newest_first, limit)
    # Labels and time ranges are scanned in page order: even a few matches need no sorting.
    lookup_conditions = [
        condition
        for condition in conditions
        if condition.label is None and condition.time_check is None and condition.lookup is not None
    ]
    costly = any(condition.is_costly for condition in lookup_conditions)
    if costly and (ids := scan.within(FIRST_SCAN_ROWS)) is not None:
        return ids
    unprobed = [condition for condition in lookup_conditions if condition not in frequent]
    selective = _most_selective(connection, unprobed, SELECTIVE_ROWS)
    if selective is not None:
        return scan.ids(selective)
    alternatives = [condition for condition in conditions if condition.branches is not None] if branching else []
    if alternatives and (branches := alternatives[0].branches) is not None:
        # The page of an alternative is merged from the pages of its branches.
        others = [condition for condition in conditions if condition is not alternatives[0]]
        candidates: set[UUID] = set()
        for branch in branches:
            branch_page = (connection, names, [*branch, *others], at, newest_first, limit)
            candidates.update(_ids(*branch_page, frequent=lookup_conditions, branching=False))
        return scan.ordered(candidates)
    if lookup_conditions:
        # A frequent condition may still match none of the interactions near the cursor.
        for scan_rows in (SCAN_ROWS, LONG_SCAN_ROWS) if costly else (SCAN_ROWS,):
            if (ids := scan.within(scan_rows)) is not None:
                return ids
    return scan.ids(_most_selective(connection, lookup_conditions, MAX_LOOKUP_ROWS))


class SelectiveCondition(NamedTuple):
    """A condition and the number of interactions that it matches."""

    condition: Condition
    row_count: int


class _IndexScan:
    """Reads a page: along the project's interactions, along those of a label, or by a lookup of a selective
    condition."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        conditions: list[Condition],
        at: Cursor | None,
        newest_first: bool,
        limit: int,
    ) -> None:
        self._connection = connection
        self._names = names
        self._parts = conditions
        self._at = at
        self._newest_first = newest_first
        self._limit = limit
        self._label: Condition | None = None
        self._labels_read = False

    def within(self, scan_rows: int) -> list[UUID] | None:
        """Return the ids of the page if the first `scan_rows` rows of the scan fill it, or if there are no more
        rows."""
        end_time = self._time_after(scan_rows)
        ids = self.ids(None, end_time)
        return ids if end_time is None or len(ids) == self._limit else None

    def _time_after(self, scan_rows: int) -> int | None:
        """Return the time of the row after `scan_rows` rows of the scan, regardless of the conditions; None if there
        are fewer."""
        label = self._label_to_scan()
        table = interactions if label is None else interaction_labels
        scanned_range = (
            interactions.c.project == self._names.project
            if label is None
            else interaction_labels.c.label == label.label
        )
        time, id = (interactions.c.created_at, interactions.c.id) if label is None else LABEL_ORDER
        query = select(time).select_from(table).where(scanned_range, *_within(time, self._parts))
        with in_order(self._connection):
            return self._connection.execute(self._in_order(query, time, id).offset(scan_rows).limit(1)).scalar()

    def ids(self, selective: SelectiveCondition | None, end_time: int | None = None) -> list[UUID]:
        """Return the ids of the page, those up to `end_time` if it is set."""
        scanned = None if selective is not None else self._label_to_scan()
        conditions = [
            condition
            for condition in self._parts
            if condition is not scanned and (selective is None or condition is not selective.condition)
        ]
        texts = [condition.text for condition in conditions if condition.text is not None]
        checked = [condition for condition in conditions if condition.text is None]
        if scanned is not None:
            time, id = LABEL_ORDER
            query = select(id).where(interaction_labels.c.label == scanned.label, *_within(time, checked))
            if checks := [condition.check for condition in checked if condition.time_check is None]:
                query = query.join(interactions, interactions.c.id == id).where(*checks)
        else:
            time, id = interactions.c.created_at, interactions.c.id
            query = select(id).where(
                *_lookup_clauses(self._names, selective), *(condition.check for condition in checked)
            )
            if selective is not None:
                # An expression in place of the column makes the database sort the few rows, not scan the time index.
                time = time + literal(0)
        if end_time is not None:
            query = query.where(time >= end_time if self._newest_first else time <= end_time)
        query = self._in_order(query, time, id)
        # A scan returns rows in page order; the result of a lookup is sorted.
        with in_order(self._connection) if selective is None else nullcontext():
            if not texts:
                return list(self._connection.execute(query.limit(self._limit)).scalars())
            return self._ids_with_words(query, texts)

    def ordered(self, ids: Collection[UUID]) -> list[UUID]:
        """Return the ids of the page that these ids make, in its order."""
        time, id = interactions.c.created_at + literal(0), interactions.c.id
        query = self._in_order(select(id).where(id.in_(list(ids))), time, id, beyond=False)
        return list(self._connection.execute(query.limit(self._limit)).scalars())

    def _in_order(self, query: Select[Any], time: Any, id: Any, *, beyond: bool = True) -> Select[Any]:
        if beyond and self._at is not None:
            query = query.where(_beyond(time, id, self._at, self._newest_first))
        return query.order_by(*((time.desc(), id.desc()) if self._newest_first else (time, id)))

    def _label_to_scan(self) -> Condition | None:
        if not self._labels_read:
            self._label = _label_to_scan(self._connection, self._parts, self._at, self._newest_first)
            self._labels_read = True
        return self._label

    def _ids_with_words(self, query: Select[Any], texts: list[TextQuery]) -> list[UUID]:
        """Search chunks of the query's interactions for words, until the page is full."""
        ids: list[UUID] = []
        texts_index = texts_of(self._connection)
        # Stream the rows: otherwise PostgreSQL computes all of them before it returns the first.
        rows = self._connection.execute(query, execution_options={"stream_results": True}).scalars()
        chunk_rows = FIRST_CHUNK_ROWS
        while chunk := rows.fetchmany(min(chunk_rows, MAX_CHUNK_ROWS)):
            chunk_rows *= 2
            matching_ids = set(chunk)
            for text in texts:
                matching_ids &= texts_index.among(self._connection, text, list(matching_ids))
            ids += [id for id in chunk if id in matching_ids]
            if len(ids) >= self._limit:
                break
        rows.close()
        return ids[: self._limit]


def _lookup_clauses(names: Names, selective: SelectiveCondition | None) -> list[ColumnElement[bool]]:
    """Return the clauses for the project's interactions, only those of the selective condition if there is one."""
    if selective is None or selective.condition.lookup is None:
        return [interactions.c.project == names.project]
    # An expression in place of the column keeps SQLite from scanning the project's index and looking up each of its
    # interactions among the selected ones (500 of a million: 285 ms, and 5 ms with the expression). Beyond
    # `SELECTIVE_ROWS` the database chooses between a lookup and a join.
    id, lookup = interactions.c.id, selective.condition.lookup
    id_clause = among(id, lookup) if selective.row_count < SELECTIVE_ROWS else id.in_(lookup)
    return [id_clause, interactions.c.project + literal(0) == names.project]


def _within(time: ColumnElement[Any], conditions: list[Condition]) -> list[ColumnElement[bool]]:
    return [condition.time_check(time) for condition in conditions if condition.time_check is not None]


def _beyond(time: ColumnElement[Any], id: ColumnElement[Any], at: Cursor, newest_first: bool) -> ColumnElement[bool]:
    if newest_first:
        return and_(time <= at.created_at, or_(time < at.created_at, id < at.id))
    return and_(time >= at.created_at, or_(time > at.created_at, id > at.id))


def _most_selective(connection: Connection, conditions: list[Condition], max_rows: int) -> SelectiveCondition | None:
    """Return the condition that matches the fewest interactions, if they are fewer than `max_rows`."""
    best: SelectiveCondition | None = None
    for condition in conditions:
        if condition.lookup is not None:
            sample = (
                (condition.lookup if condition.text is None else texts_of(connection).numbers(condition.text))
                .limit(max_rows)
                .subquery()
            )
            row_count = connection.execute(select(func.count()).select_from(sample)).scalar_one()
            if row_count < max_rows:
                best, max_rows = SelectiveCondition(condition, row_count), row_count
    return best


def _label_to_scan(
    connection: Connection, conditions: list[Condition], at: Cursor | None, newest_first: bool
) -> Condition | None:
    labelled = [condition for condition in conditions if condition.label is not None]
    if len(labelled) < 2:
        return labelled[0] if labelled else None
    time = interaction_labels.c.created_at
    reached_times: list[tuple[int, int]] = []
    for position, condition in enumerate(labelled):
        query = select(time).where(interaction_labels.c.label == condition.label, *_within(time, conditions))
        if at is not None:
            query = query.where(time <= at.created_at if newest_first else time >= at.created_at)
        query = query.order_by(time.desc() if newest_first else time).offset(LABEL_PROBE_ROWS).limit(1)
        reached_time = connection.execute(query).scalar()
        if reached_time is None:
            return condition
        reached_times.append((reached_time if newest_first else -reached_time, position))
    return labelled[min(reached_times)[1]]
