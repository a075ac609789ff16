"""Facets: the values of the interactions that match a filter, with counts."""

from __future__ import annotations

from collections import Counter
from typing import Any, get_args

from sqlalchemy import Connection

from afterword.service.context import Context
from afterword.service.timestamps import to_datetime
from afterword.store.query import facets as stored
from afterword.store.query.matches import Matches
from afterword.types import Facet, FacetKind, Facets, FacetValue, NewFacets

FACET_KINDS: tuple[FacetKind, ...] = get_args(FacetKind)
"""The kinds of facets, in the order of the answer."""
MAX_FACET_COUNT = 100


async def count_facets(context: Context, *, body: NewFacets) -> Facets:
    """Count the values of the interactions that match a filter: models, labels, states, feedback, users.

    The newest 10,000 are counted; `complete` is false if there are more. Each facet has its `limit` most frequent
    values, and the answer has the 100 most frequent facets. The values and facets left out are counted. `only` selects
    one facet, such as `model` or `label:env`.
    """
    project = context.project(body.project)
    names = context.names(project)

    def read(connection: Connection) -> stored.FacetCounts:
        return stored.count(Matches(connection, names, body.filter))

    counts = await context.store.read_long(read)
    facets = [_facet(context, kind, key, counts, body.limit) for kind, key in counts.totals]
    if body.only is not None:
        facets = [facet for facet in facets if body.only in (facet.kind, f"{facet.kind}:{facet.key}")]
    facets.sort(key=lambda facet: (FACET_KINDS.index(facet.kind), -facet.count, facet.key or ""))
    left_out = sorted(facets, key=lambda facet: -facet.count)[MAX_FACET_COUNT:]
    return Facets(
        interactions=counts.interactions,
        complete=counts.is_complete,
        since=None if counts.since is None else to_datetime(counts.since),
        facets=[facet for facet in facets if facet not in left_out] if left_out else facets,
        facets_left_out=len(left_out),
    )


def _facet(context: Context, kind: Any, key: Any, counts: stored.FacetCounts, limit: int) -> Facet:
    values: Counter[Any] = counts.values.get((kind, key), Counter())
    frequent_values = sorted(values.items(), key=lambda pair: (-pair[1], str(pair[0])))
    facet_key = context.catalog.metrics[key].key if kind in ("feedback", "preference", "outcome") else key
    models = context.catalog.models
    return Facet(
        kind=kind,
        key=facet_key,
        count=counts.totals[kind, key],
        values=[
            FacetValue(value=models[value].key if kind == "model" else value, count=number)
            for value, number in frequent_values[:limit]
        ],
        values_left_out=max(0, len(frequent_values) - limit),
    )
