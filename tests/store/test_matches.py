"""What one request reads more than once it compiles and counts only once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from afterword.service.interactions import facets, search
from afterword.service.studies import analytics
from afterword.store.query import matches
from afterword.store.query.matches import Matches
from afterword.types import Filter, NewFacets, NewSummary, NewTrend, Search

TREE = msgspec.convert(
    {"and": [{"label": {"key": "env"}}, {"user": {"eq": "ada"}}, {"timerange": {"from": 0}}]}, Filter
)
PROJECT = {"project": "shelf", "filter": TREE}

REQUESTS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "a page and its count": lambda context: search.search(context, body=Search(**PROJECT, count=True)),
    "groups": lambda context: search.search(context, body=Search(**PROJECT, group_by="model", count=True)),
    "pages of groups": lambda context: search.pages_of_groups(
        context,
        **PROJECT,
        group_by="model",
        keys=["m1", "m2", None],
        order="-created_at",
        limit=5,
        cursor=None,
    ),
    "facets": lambda context: facets.count_facets(context, body=NewFacets(**PROJECT)),
    "a summary with splits": lambda context: analytics.summarise_filtered(
        context, "CSAT", body=NewSummary(**PROJECT, split_by="label:lang")
    ),
    "a trend": lambda context: analytics.trend_filtered(context, "CSAT", body=NewTrend(**PROJECT, split_by="model")),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_compiles_its_filter_once(shelf: Any, monkeypatch: pytest.MonkeyPatch, name: str):
    compiled: list[Filter | None] = []
    compile_filter = matches.compile_filter

    def counting(filter: Filter | None, *others: Any) -> Any:
        compiled.append(filter)
        return compile_filter(filter, *others)

    monkeypatch.setattr(matches, "compile_filter", counting)
    asyncio.run(REQUESTS[name](shelf.context))
    assert compiled.count(TREE) == 1


def test_a_condition_is_counted_again_only_up_to_a_higher_limit(shelf: Any):
    user = msgspec.convert({"user": {"in": list(shelf.words.users)}}, Filter)

    def read(connection: Any) -> tuple[list[int], int]:
        counted = Matches(connection, shelf.names, user)
        [condition] = counted.conditions
        return [counted.count_rows(condition, limit) for limit in (2, 1, 2, 1_000, 10_000, 3)], len(counted.steps)

    counts, probe_count = shelf.store.read_now(read)
    total = sum(one.user is not None for one in shelf.logged)
    assert counts == [2, 1, 2, total, total, 3]
    assert probe_count == 2
