"""Facets: the models, labels, states, feedback and outcomes of the interactions that match a filter, with counts.

Only the newest `MAX_COUNTED_ROWS` of them are counted, so that counting takes no longer over a hundred million
interactions than over ten thousand.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, select

from afterword.store.calls import COMPLETE, STATES
from afterword.store.engine.dialect import any_of
from afterword.store.query import pages
from afterword.store.query.conditions import CHAT, SOURCES
from afterword.store.query.matches import Matches
from afterword.store.schema import calls, feedback, interactions, outcomes, preferences
from afterword.types.fields import TEXT_FIELDS

MAX_COUNTED_ROWS = 10_000
# Each id is a parameter of the statement, which SQLAlchemy writes out: several short lists are faster than a long one.
MAX_STATEMENT_IDS = 2_000
_TEXT_FACETS = tuple(field for field in TEXT_FIELDS if field.is_facet)


@dataclass(frozen=True, slots=True)
class FacetCounts:
    """The number of interactions with each value of each facet.

    `interactions` is the number of interactions counted, and `since` the creation time of the oldest of them.
    `is_complete` tells whether they are all that the filter matches. The keys of `values` and `totals` are (kind, label
    key or metric number). `totals` holds the number of interactions that have any value. Models and metrics are
    numbers.
    """

    interactions: int = 0
    since: int | None = None
    is_complete: bool = True
    values: dict[tuple[str, Any], Counter[Any]] = field(default_factory=dict)
    totals: Counter[tuple[str, Any]] = field(default_factory=Counter)

    def add(self, kind: str, key: Any, value: Any, number: int = 1) -> None:
        """Count a value of a facet."""
        self.values.setdefault((kind, key), Counter())[value] += number


def count(matches: Matches) -> FacetCounts:
    """Count the values of all facets."""
    connection = matches.connection
    ids = pages.newest(matches, MAX_COUNTED_ROWS + 1)
    if not ids:
        return FacetCounts()
    is_complete, ids = len(ids) <= MAX_COUNTED_ROWS, ids[:MAX_COUNTED_ROWS]
    texts = [interactions.c[text_field.column] for text_field in _TEXT_FACETS]
    ids_and_time = (interactions.c.id, interactions.c.session_id, interactions.c.created_at)
    columns = (interactions.c.model, interactions.c.source, interactions.c.operation, interactions.c.labels, *texts)
    rows = list(_rows(connection, interactions.c.id, ids, *ids_and_time, *columns))
    counts = FacetCounts(len(rows), min(row.created_at for row in rows), is_complete)
    _count_columns(counts, rows)
    _count_calls(counts, _rows(connection, calls.c.interaction_id, ids, calls.c.state, calls.c.finish_reason))
    live_metrics = set(matches.names.metrics())
    for kind, table, value in (("feedback", feedback, feedback.c.value), ("preference", preferences, None)):
        rating_columns = [table.c.interaction_id, table.c.metric, *([] if value is None else [value])]
        ratings = {tuple(row) for row in _rows(connection, table.c.interaction_id, ids, *rating_columns)}
        _count_ratings(counts, kind, {rating for rating in ratings if rating[1] in live_metrics})
    outcomes_by_session = _outcomes_by_session(matches, {row.session_id or row.id for row in rows})
    outcomes_of_rows = {
        (row.id, metric, value)
        for row in rows
        for metric, value in outcomes_by_session.get(row.session_id or row.id, ())
        if metric in live_metrics
    }
    _count_ratings(counts, "outcome", outcomes_of_rows)
    return counts


def _outcomes_by_session(matches: Matches, session_ids: Collection[UUID]) -> dict[UUID, set[tuple[int, float]]]:
    """Return the metric and value of each outcome of sessions."""
    ratings: dict[UUID, set[tuple[int, float]]] = defaultdict(set)
    c = outcomes.c
    # Most projects have none: one look at an index tells, in place of one for each of up to 10,000 sessions.
    if matches.connection.execute(select(c.id).where(c.project == matches.names.project).limit(1)).first() is None:
        return ratings
    for row in _rows(matches.connection, c.session_id, list(session_ids), c.project, c.session_id, c.metric, c.value):
        if row.project == matches.names.project:
            ratings[row.session_id].add((row.metric, row.value))
    return ratings


def _count_ratings(counts: FacetCounts, kind: str, ratings: Collection[tuple[Any, ...]]) -> None:
    """Count distinct ratings, each the id of an interaction, the number of a metric, and a value if it has one."""
    for _, metric, *values in ratings:
        for value in values:
            counts.add(kind, metric, value)
    counts.totals.update((kind, metric) for _, metric in {rating[:2] for rating in ratings})


def _rows(connection: Connection, id: Any, ids: Sequence[UUID], *columns: Any) -> Iterator[Any]:
    for start in range(0, len(ids), MAX_STATEMENT_IDS):
        batch = ids[start : start + MAX_STATEMENT_IDS]
        yield from connection.execute(select(*columns).where(any_of(id, batch)))


def _count_columns(counts: FacetCounts, rows: Sequence[Row[Any]]) -> None:
    counts_by_column: dict[str, Counter[Any]] = {
        "model": Counter(row.model for row in rows if row.model is not None),
        "source": Counter(SOURCES[row.source] for row in rows),
        "operation": Counter(row.operation or CHAT for row in rows),
    }
    for text_field in _TEXT_FACETS:
        texts = (getattr(row, text_field.column) for row in rows)
        counts_by_column[text_field.name] = Counter(text for text in texts if text is not None)
    for kind, values in counts_by_column.items():
        if values:
            counts.values[kind, None] = values
            counts.totals[kind, None] = values.total()
    # Many interactions carry the same labels: each distinct JSON text is decoded once.
    for text, number in Counter(row.labels for row in rows if row.labels).items():
        for key, value in msgspec.json.decode(text).items():
            counts.add("label", key, value, number)
            counts.totals["label", key] += number


def _count_calls(counts: FacetCounts, rows: Iterator[Row[Any]]) -> None:
    states: Counter[str] = Counter()
    for row in rows:
        if row.state != COMPLETE:
            states[STATES[row.state]] += 1
        if row.finish_reason is not None:
            counts.add("finish_reason", None, row.finish_reason)
            counts.totals["finish_reason", None] += 1
    # An interaction that was only logged has no call, and is complete.
    if complete := counts.interactions - states.total():
        states[STATES[COMPLETE]] = complete
    counts.values["state", None] = states
    counts.totals["state", None] = counts.interactions
