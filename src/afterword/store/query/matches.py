"""The interactions that match one filter: conditions, count, and the WHERE clause for other queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, exists, func, select

from afterword.store.engine.dialect import among, without_index
from afterword.store.engine.text_search import texts_of
from afterword.store.query.condition import Condition
from afterword.store.query.conditions import Names, compile_filter, time_condition
from afterword.store.query.plan import (
    SELECTIVE_ROWS,
    JoinedRows,
    LabelScan,
    Lookup,
    MatchPlan,
    Plan,
    Probe,
    TimeScan,
    plan_count,
    plan_matches,
)
from afterword.store.schema import interaction_labels, interactions
from afterword.types import Filter

Purpose: TypeAlias = Literal["page", "count", "groups", "plan"]


@dataclass(slots=True)
class Step:
    """A plan that was run for a page, a count or groups, or a probe that was run to choose such a plan.

    `branch` is the index of the branch of a merge that it read. `found_count` is the number of interactions or groups
    found.
    """

    purpose: Purpose
    plan: Plan
    branch: int | None = None
    found_count: int | None = None
    milliseconds: float = 0.0

    def explain(self) -> dict[str, Any]:
        """Return the step as plain JSON."""
        return {
            "purpose": self.purpose,
            **self.plan.explain(),
            "branch": self.branch,
            "found_count": self.found_count,
            "milliseconds": round(self.milliseconds, 3),
        }


class Matches:
    """The matches of a filter, for one request over one connection.

    The filter is compiled once, and no condition is counted twice. `steps` are the plans that were run.
    """

    def __init__(self, connection: Connection, names: Names, filter: Filter | None) -> None:
        """Compile the filter. Raises `Invalid` for an invalid one, `NotFound` for an unknown metric."""
        self.connection = connection
        self.names = names
        self.conditions = compile_filter(filter, names, texts_of(connection))
        self.steps: list[Step] = []
        self._times: dict[tuple[int, int], Condition] = {}
        self._counts: dict[Condition, tuple[int, int]] = {}

    def narrowed(self, filter: Filter) -> Matches:
        """Return the matches that also match another filter."""
        narrowed = Matches(self.connection, self.names, filter)
        narrowed.conditions = [*self.conditions, *narrowed.conditions]
        narrowed._counts = self._counts
        return narrowed

    def count_rows(self, condition: Condition, max_rows: int) -> int:
        """Return how many interactions a condition matches, of all projects together, but at most `max_rows`."""
        limit, row_count = self._counts.get(condition, (-1, -1))
        # A count below its limit is exact.
        if row_count == limit and limit < max_rows:
            lookup = condition.lookup
            if condition.text is not None:
                lookup = texts_of(self.connection).numbers(condition.text)
            assert lookup is not None
            sample = lookup.limit(max_rows).subquery()
            with self.step("plan", Probe(condition, max_rows)) as step:
                row_count = self.connection.execute(select(func.count()).select_from(sample)).scalar_one()
                step.found_count = row_count
            self._counts[condition] = (max_rows, row_count)
        return min(row_count, max_rows)

    def count(self) -> int:
        """Return the exact number of matches. The time it takes grows with that number."""
        plan = plan_count(self.conditions, self.count_rows)
        with self.step("count", plan) as step:
            if isinstance(plan, LabelScan):
                query = _label_count(plan)
            else:
                query = select(func.count()).select_from(interactions).where(where_clause_of(plan, self.names))
            step.found_count = self.connection.execute(query).scalar_one()
        return step.found_count

    def plan(self) -> MatchPlan:
        """Return the plan to read all matches."""
        return plan_matches(self.conditions, self.count_rows)

    def where_clause(self) -> ColumnElement[bool]:
        """Return the filter as one WHERE clause that is fast for a query of all matches.

        It looks up the interactions of the most selective condition and checks the others on them. Only if no condition
        is selective does it check each interaction of the project.
        """
        return where_clause_of(self.plan(), self.names)

    def where_clause_for_join(
        self, *, between: tuple[int, int] | None, is_joined: bool
    ) -> tuple[ColumnElement[bool], bool]:
        """Return the WHERE clause, and whether it drives the query; otherwise the caller's join does.

        `between` replaces the filter's time range: start (inclusive) and end (exclusive) in milliseconds. `is_joined`
        says that the caller joins a table on which it has a condition of its own: unless the filter is selective, the
        clause then only checks the rows of the join.
        """
        conditions = self.conditions
        if between is not None:
            times = self._times.get(between)
            if times is None:
                times = self._times[between] = time_condition(self.names, *between)
            conditions = [*(condition for condition in conditions if condition.time_check is None), times]
        plan = plan_matches(conditions, self.count_rows, is_joined=is_joined)
        return where_clause_of(plan, self.names), not isinstance(plan, JoinedRows)

    @contextmanager
    def step(self, purpose: Purpose, plan: Plan, branch: int | None = None) -> Iterator[Step]:
        """Record a plan that is run, and its duration."""
        step = Step(purpose, plan, branch)
        self.steps.append(step)
        start = perf_counter()
        yield step
        step.milliseconds = (perf_counter() - start) * 1000


def where_clause_of(plan: MatchPlan, names: Names) -> ColumnElement[bool]:
    """Return the WHERE clause that a plan stands for."""
    match plan:
        case Lookup():
            clauses = lookup_clauses(plan, names)
        case TimeScan():
            clauses = [interactions.c.project == names.project]
        case JoinedRows():
            clauses = [without_index(interactions.c.project) == names.project]
    return and_(*clauses, *(condition.check for condition in plan.checks))


def lookup_clauses(plan: Lookup, names: Names) -> list[ColumnElement[bool]]:
    """Return the clauses for the interactions of the project that the condition of a lookup matches."""
    # An expression in place of the column keeps SQLite from scanning the project's index and looking up each of its
    # interactions among the selected ones (500 of a million: 285 ms, and 5 ms with the expression). Beyond
    # `SELECTIVE_ROWS` the database chooses between a lookup and a join.
    id, lookup = interactions.c.id, plan.condition.lookup
    assert lookup is not None
    id_clause = among(id, lookup) if plan.row_count < SELECTIVE_ROWS else id.in_(lookup)
    return [id_clause, without_index(interactions.c.project) == names.project]


def times_within(time: ColumnElement[Any], conditions: Sequence[Condition]) -> list[ColumnElement[bool]]:
    """Return the time ranges among the conditions, as conditions on another column."""
    return [condition.time_check(time) for condition in conditions if condition.time_check is not None]


def _label_count(plan: LabelScan) -> Any:
    """Return the query that counts in the label index: it scans one label, and looks up the others."""
    columns = interaction_labels.c
    query = select(func.count()).where(columns.label == plan.label.label)
    query = query.where(*times_within(columns.created_at, plan.checks))
    for condition in plan.checks:
        if condition.label is not None:
            other = interaction_labels.alias()
            same_interaction = (
                other.c.label == condition.label,
                other.c.created_at == columns.created_at,
                other.c.interaction_id == columns.interaction_id,
            )
            query = query.where(exists().where(*same_interaction).correlate(interaction_labels))
    return query.select_from(interaction_labels)
