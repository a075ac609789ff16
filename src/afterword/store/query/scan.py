"""Runs the plans of a page: the statements that read its ids in order, from a cursor in either direction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, and_, or_, select

from afterword.store.engine.dialect import any_of, in_index_order, without_index
from afterword.store.engine.text_search import texts_of
from afterword.store.query.condition import Condition
from afterword.store.query.matches import Matches, lookup_clauses, times_within
from afterword.store.query.plan import (
    LabelScan,
    Lookup,
    Merge,
    PagePlan,
    Probe,
    RowPlan,
    TextSearch,
    TimeScan,
    plan_page,
)
from afterword.store.schema import interaction_labels, interactions
from afterword.types import Order

# How many interactions of a label a probe skips: see `PageReader._label_reach`.
LABEL_PROBE_ROWS = 1_000
# The number of interactions searched for words at once doubles from the first to the maximum. The parameters of one
# statement allow no more.
FIRST_CHUNK_ROWS = 100
MAX_CHUNK_ROWS = 10_000

LABEL_ORDER = (interaction_labels.c.created_at, interaction_labels.c.interaction_id)


class Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The row at which a page ended, and the direction of the next page."""

    created_at: int
    id: UUID
    back: bool
    order: Order


class PageReader:
    """Reads the ids of a page: up to `limit` matches beyond the cursor, in the order of the scan."""

    def __init__(self, matches: Matches, cursor: Cursor | None, newest_first: bool, limit: int) -> None:
        self._matches = matches
        self._connection = matches.connection
        self._cursor = cursor
        self._newest_first = newest_first
        self._limit = limit

    def ids(self) -> list[UUID]:
        """Return the ids of the page."""
        return self._read(self._plans(self._matches.conditions))

    def _plans(self, conditions: Sequence[Condition], **options: Any) -> Iterator[PagePlan]:
        return plan_page(conditions, self._matches.count_rows, partial(self._label_reach, conditions), **options)

    def _label_reach(self, conditions: Sequence[Condition], label: Condition) -> int | None:
        """Return the time that `LABEL_PROBE_ROWS` interactions of a label reach, negated if the scan goes back in time.

        Return None if the label has no more interactions than these.
        """
        time = interaction_labels.c.created_at
        query = select(time).where(interaction_labels.c.label == label.label, *times_within(time, conditions))
        if (cursor := self._cursor) is not None:
            query = query.where(time <= cursor.created_at if self._newest_first else time >= cursor.created_at)
        query = query.order_by(time.desc() if self._newest_first else time).offset(LABEL_PROBE_ROWS).limit(1)
        with self._matches.step("plan", Probe(label, LABEL_PROBE_ROWS)):
            reached_time = self._connection.execute(query).scalar()
        return None if reached_time is None else -reached_time if self._newest_first else reached_time

    def _read(self, plans: Iterator[PagePlan], branch: int | None = None) -> list[UUID]:
        """Run plans until one fills the page, or finds that there are no more rows."""
        ids: list[UUID] = []
        for plan in plans:
            with self._matches.step("page", plan, branch) as step:
                ids, is_whole = (self._merged(plan), True) if isinstance(plan, Merge) else self._run(plan)
                step.found_count = len(ids)
            if is_whole:
                break
        return ids

    def _merged(self, plan: Merge) -> list[UUID]:
        candidates: set[UUID] = set()
        for index, conditions in enumerate(plan.branches):
            branch_plans = self._plans(conditions, frequent=plan.frequent, is_branch=True)
            candidates.update(self._read(branch_plans, index))
        return self._ordered(candidates)

    def _run(self, plan: RowPlan | TextSearch) -> tuple[list[UUID], bool]:
        """Return the ids that a plan finds, and whether they are the whole page."""
        rows, texts = (plan.rows, plan.texts) if isinstance(plan, TextSearch) else (plan, ())
        query, time, id = self._query(rows)
        end_time = None if isinstance(rows, Lookup) or rows.max_rows is None else self._time_after(rows, rows.max_rows)
        if end_time is not None:
            query = query.where(time >= end_time if self._newest_first else time <= end_time)
        query = self._in_order(query, time, id)
        # A scan returns rows in page order; the result of a lookup is sorted.
        with nullcontext() if isinstance(rows, Lookup) else in_index_order(self._connection):
            if texts:
                ids = self._ids_with_words(query, texts)
            else:
                ids = list(self._connection.execute(query.limit(self._limit)).scalars())
        return ids, end_time is None or len(ids) == self._limit

    def _query(self, plan: RowPlan) -> tuple[Select[Any], ColumnElement[int], ColumnElement[UUID]]:
        """Return the query for the ids of a plan, in any order, and its columns of time and id."""
        time, id = interactions.c.created_at, interactions.c.id
        project = interactions.c.project == self._matches.names.project
        checks = [condition.check for condition in plan.checks]
        match plan:
            case TimeScan():
                return select(id).where(project, *checks), time, id
            case Lookup():
                query = select(id).where(*lookup_clauses(plan, self._matches.names), *checks)
                # An expression in place of the column makes the database sort the few rows, not scan the time index.
                return query, without_index(time), id
            case LabelScan():
                time, id = LABEL_ORDER
                query = select(id).where(interaction_labels.c.label == plan.label.label)
                query = query.where(*times_within(time, plan.checks))
                if checks := [condition.check for condition in plan.checks if condition.time_check is None]:
                    query = query.join(interactions, interactions.c.id == id).where(*checks)
                return query, time, id

    def _time_after(self, plan: TimeScan | LabelScan, row_count: int) -> int | None:
        """Return the time of the row after `row_count` rows of a scan, regardless of the checks; None if there are
        fewer."""
        if isinstance(plan, LabelScan):
            time, id = LABEL_ORDER
            scanned_range = interaction_labels.c.label == plan.label.label
        else:
            time, id = interactions.c.created_at, interactions.c.id
            scanned_range = interactions.c.project == self._matches.names.project
        query = select(time).where(scanned_range, *times_within(time, plan.checks))
        with in_index_order(self._connection):
            return self._connection.execute(self._in_order(query, time, id).offset(row_count).limit(1)).scalar()

    def _ordered(self, ids: Collection[UUID]) -> list[UUID]:
        """Sort these ids into the order of the scan; return at most a page of them."""
        time, id = without_index(interactions.c.created_at), interactions.c.id
        query = self._in_order(select(id).where(any_of(id, ids)), time, id, is_beyond=True)
        return list(self._connection.execute(query.limit(self._limit)).scalars())

    def _in_order(
        self, query: Select[Any], time: ColumnElement[Any], id: ColumnElement[Any], *, is_beyond: bool = False
    ) -> Select[Any]:
        """Return the query in the order of the scan, for the rows beyond the cursor unless it `is_beyond` already."""
        if not is_beyond and self._cursor is not None:
            query = query.where(_beyond(time, id, self._cursor, self._newest_first))
        return query.order_by(*((time.desc(), id.desc()) if self._newest_first else (time, id)))

    def _ids_with_words(self, query: Select[Any], texts: Sequence[Condition]) -> list[UUID]:
        """Search chunks of the query's interactions for words, until the page is full."""
        ids: list[UUID] = []
        texts_index = texts_of(self._connection)
        # Stream the rows: otherwise PostgreSQL computes all of them before it returns the first.
        rows = self._connection.execute(query, execution_options={"stream_results": True}).scalars()
        chunk_rows = FIRST_CHUNK_ROWS
        while chunk := rows.fetchmany(min(chunk_rows, MAX_CHUNK_ROWS)):
            chunk_rows *= 2
            matching_ids = set(chunk)
            for condition in texts:
                assert condition.text is not None
                matching_ids &= texts_index.among(self._connection, condition.text, list(matching_ids))
            ids += [id for id in chunk if id in matching_ids]
            if len(ids) >= self._limit:
                break
        rows.close()
        return ids[: self._limit]


def _beyond(time: ColumnElement[Any], id: ColumnElement[Any], at: Cursor, newest_first: bool) -> ColumnElement[bool]:
    if newest_first:
        return and_(time <= at.created_at, or_(time < at.created_at, id < at.id))
    return and_(time >= at.created_at, or_(time > at.created_at, id > at.id))
