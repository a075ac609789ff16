"""Sums by split against the plain meaning of the same words, whatever filter, metric and split."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword.store import interactions as stored
from afterword.store.calls import SYSTEM_METRICS
from afterword.store.query import groups, rollup_statistics
from afterword.store.query.matches import Matches
from afterword.store.query.statistics import TrendParts, ValueSelection, ValueSummary
from afterword.store.schema import label_number

from .test_conditions import filter_of, group_key, holds, trees


@given(drawn=st.data())
def test_splits_sum_and_count_what_the_tree_leaves(shelf: Any, drawn: st.DataObject):
    tree = drawn.draw(st.one_of(st.just({"and": []}), trees(shelf)), "tree")
    splits = [None, "model", *(f"label:{key}" for key in shelf.words.keys), "label:none"]
    split_by = drawn.draw(st.sampled_from(splits), "split_by")
    metric = drawn.draw(st.sampled_from([None, *shelf.words.metrics, *SYSTEM_METRICS]), "metric")
    expected: dict[str | None, list[float]] = defaultdict(list)
    for one in shelf.logged:
        if holds(tree, one):
            key = split_by and group_key(one, split_by)
            if metric is None:
                expected[key].append(1)
            elif metric in SYSTEM_METRICS:
                # What failed or was cut off is left out of sums.
                complete = one.state == "complete" and metric in one.measured
                expected[key] += [one.measured[metric]] if complete else []
            else:
                expected[key] += [value for its, value, *_ in one.feedback if its == metric]
    number = metric if metric is None or metric in SYSTEM_METRICS else shelf.names.metric(metric)

    def values(connection: Any) -> ValueSelection:
        matches = Matches(connection, shelf.names, filter_of(tree))
        return ValueSelection(matches, number, split_by)

    counts = {key: len(its) for key, its in expected.items() if its}

    def over_time(connection: Any) -> dict[str | None, int]:
        found: dict[str | None, int] = defaultdict(int)
        for (key, _), part in rollup_statistics.over_time(values(connection), 3_600_000).items():
            found[key] += part.count
        return found

    def summarize(connection: Any) -> list[ValueSummary]:
        return rollup_statistics.summarize(values(connection))

    with pytest.MonkeyPatch.context() as patch:
        # So that a label of few values is taken as one of many, too.
        for name in ("MAX_STATEMENT_LABELS", "MAX_LOOKUP_LABELS", "MAX_LOOKUP_COUNT"):
            patch.setattr(groups, name, drawn.draw(st.sampled_from([0, getattr(groups, name)]), name))
        assert shelf.store.read_now(over_time) == counts
        found = [] if metric is None else shelf.store.read_now(summarize)
    if metric is not None:
        order = sorted(counts, key=lambda key: (-counts[key], key is not None, key or ""))
        assert [(one.key, one.count) for one in found] == [(key, counts[key]) for key in order]
        for one in found:
            its = expected[one.key]
            assert (one.min, one.max) == (min(its), max(its))
            assert one.mean == pytest.approx(statistics.fmean(its))
            assert one.stddev == (pytest.approx(statistics.stdev(its)) if len(its) > 1 else None)


@pytest.mark.thorough
def test_a_label_may_have_more_values_than_a_statement_has_room_for(shelf: Any):
    numbers = [(label_number(shelf.names.project, "id", str(n)), n) for n in range(66_000)]

    def put(transaction: Any) -> None:
        rows = [(number, shelf.names.project, "id", str(n)) for number, n in numbers]
        transaction.put(stored.INSERT_LABEL, rows)
        worn = [(number, one.created_at, one.id) for (number, _), one in zip(numbers, shelf.logged, strict=False)]
        transaction.put(stored.INSERT["interaction_labels"], worn)

    shelf.store.queue.write_from_thread(put)
    paging = {"group_by": "label:id", "limit": 3, "cursor": None, "count": True}

    def read(connection: Any) -> tuple[groups.GroupRowPage, TrendParts]:
        everything = Matches(connection, shelf.names, None)
        values = ValueSelection(everything, None, "label:id")
        return groups.find_groups(everything, **paging), rollup_statistics.over_time(values, 3_600_000)

    found, over_time = shelf.store.read_now(read)
    assert ([one.key for one in found.groups], found.count) == (["0", "1", "10"], len(shelf.logged))
    assert sum(part.count for part in over_time.values()) == len(shelf.logged)
