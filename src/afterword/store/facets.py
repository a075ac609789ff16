"""Facets: which models, labels, states and feedback the interactions that a filter finds have, and how many of each.

Only the newest `MAX_COUNTED` of them are counted, so that it takes as long over a hundred million interactions as over
some ten thousand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, select

from afterword.store import pages
from afterword.store.calls import COMPLETE, STATES
from afterword.store.filters import SOURCES, Names
from afterword.store.schema import calls, feedback, interactions, preferences
from afterword.types import Filter

MAX_COUNTED = 10_000
# Each id is a parameter of the statement. SQLAlchemy writes them all out: in short lists it is quicker.
IDS_IN_A_STATEMENT = 2_000


@dataclass(frozen=True, slots=True)
class FacetCounts:
    """The counts over so many `interactions`; `since` is when the oldest of them was made, `is_complete` whether they
    are all that the filter finds.

    `values` are by facet (its kind, and the label key or the number of the metric): on how many interactions each value
    is. `totals` tell how many have any. Models and metrics are numbers.
    """

    interactions: int = 0
    since: int | None = None
    is_complete: bool = True
    values: dict[tuple[str, Any], Counter[Any]] = field(default_factory=dict)
    totals: Counter[tuple[str, Any]] = field(default_factory=Counter)

    def add(self, kind: str, key: Any, value: Any, number: int = 1) -> None:
        """Count a value of a facet."""
        self.values.setdefault((kind, key), Counter())[value] += number


def count(connection: Connection, names: Names, filter: Filter | None) -> FacetCounts:
    """Count the values of all facets. Raises `Invalid` and `NotFound` for the filter, as a page does."""
    ids = pages.newest(connection, names, filter, MAX_COUNTED + 1)
    if not ids:
        return FacetCounts()
    is_complete, ids = len(ids) <= MAX_COUNTED, ids[:MAX_COUNTED]
    columns = (interactions.c.model, interactions.c.source, interactions.c.user, interactions.c.labels)
    rows = list(_rows(connection, interactions.c.id, ids, *columns, interactions.c.created_at))
    counts = FacetCounts(len(rows), min(row.created_at for row in rows), is_complete)
    _count_columns(counts, rows)
    _count_calls(counts, _rows(connection, calls.c.interaction_id, ids, calls.c.state, calls.c.finish_reason))
    live = set(names.metrics())
    for kind, table, value in (("feedback", feedback, feedback.c.value), ("preference", preferences, None)):
        found = [table.c.interaction_id, table.c.metric, *([] if value is None else [value])]
        rated = {tuple(row) for row in _rows(connection, table.c.interaction_id, ids, *found) if row.metric in live}
        for metric, *values in (row[1:] for row in rated):
            for one in values:
                counts.add(kind, metric, one)
        counts.totals.update((kind, metric) for _, metric in {row[:2] for row in rated})
    return counts


def _rows(connection: Connection, id: Any, ids: Sequence[UUID], *columns: Any) -> Iterator[Any]:
    for start in range(0, len(ids), IDS_IN_A_STATEMENT):
        some = ids[start : start + IDS_IN_A_STATEMENT]
        yield from connection.execute(select(*columns).where(id.in_(some)))


def _count_columns(counts: FacetCounts, rows: Sequence[Row[Any]]) -> None:
    plain = {
        "model": Counter(row.model for row in rows if row.model is not None),
        "source": Counter(SOURCES[row.source] for row in rows),
        "user": Counter(row.user for row in rows if row.user is not None),
    }
    for kind, values in plain.items():
        if values:
            counts.values[kind, None] = values
            counts.totals[kind, None] = values.total()
    # Many interactions carry the same labels: each text is read once.
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
    # What was only logged has no call, and is complete.
    if complete := counts.interactions - states.total():
        states[STATES[COMPLETE]] = complete
    counts.values["state", None] = states
    counts.totals["state", None] = counts.interactions
