"""Which plan is made for which filter, without a database: the counts are handed in."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import pytest

from afterword.store.engine.fts5 import Fts5
from afterword.store.query.condition import Condition
from afterword.store.query.conditions import compile_filter
from afterword.store.query.plan import plan_count, plan_matches, plan_page
from afterword.types import Filter, Moment

MANY = 1_000_000
ENV = {"label": {"key": "env", "value": {"eq": "prod"}}}
LANG = {"label": {"key": "lang", "value": {"eq": "en"}}}
USER = {"user": {"eq": "ada"}}
TEXT = {"text": "refund"}
OUTCOME = {"outcome": {"metric": "solved", "value": {"gte": 4}}}
TIMES = {"timerange": {"from": 1_700_000_000_000}}
EITHER_MODEL = {"model": {"in": ["m1", "m2"]}}


class ProjectNames:
    """The words of a project that knows every word."""

    project = 1

    def metric(self, key: str) -> int:
        return 7

    def metrics(self) -> list[int]:
        return [7]

    def measured(self, key: str) -> bool:
        return key == "latency"

    def model(self, key: str) -> int:
        return int(key.removeprefix("m"))

    def session(self, text: str) -> UUID:
        return UUID(text)

    def moment(self, value: Moment, param: str) -> int:
        return int(value)


class Store:
    """A store of which only the counts are known: how many interactions match the condition at a path, else `MANY`."""

    def __init__(self, tree: Any, counts: dict[str, int] | None = None, reaches: dict[str, int | None] | None = None):
        self.conditions = compile_filter(msgspec.convert(tree, Filter), ProjectNames(), Fts5())
        self.counts = counts or {}
        self.reaches = reaches or {}
        self.counted: list[str] = []

    def count_rows(self, condition: Condition, max_rows: int) -> int:
        self.counted.append(condition.path)
        return min(self.counts.get(condition.path, MANY), max_rows)

    def label_reach(self, label: Condition) -> int | None:
        return self.reaches[label.path]

    def page_plans(self) -> Any:
        return plan_page(self.conditions, self.count_rows, self.label_reach)


def text_of(plan: Any) -> str:
    """Return a plan in short, such as `lookup user=5, check label`."""
    facts = plan.explain()
    words = facts["plan"]
    if facts.get("max_rows"):
        words += f"<{facts['max_rows']}"
    words += "".join(f" {facts[name]}" for name in ("condition", "branch_count") if name in facts)
    words += f"={facts['row_count']}" if "row_count" in facts else ""
    for name, paths in (("check", facts.get("checks")), ("search", facts.get("texts"))):
        words += f", {name} {' '.join(paths)}" if paths else ""
    return words.replace("filter.", "")


# Filter, counts by path, and the plans for a page in the order in which they are tried.
PAGE_PLANS: dict[str, tuple[Any, dict[str, int], list[str]]] = {
    "everything": ({"and": []}, {}, ["time_scan"]),
    "few": (USER, {"filter.user": 5}, ["lookup user=5"]),
    "hardly few": (USER, {"filter.user": 9_999}, ["lookup user=9999"]),
    "not quite few": (USER, {"filter.user": 10_000}, ["time_scan<20000, check user", "lookup user=10000"]),
    "many": (USER, {"filter.user": 400_000}, ["time_scan<20000, check user", "time_scan, check user"]),
    "the fewest": (
        {"and": [USER, {"prompt_hash": {"eq": "00000000000000ab"}}]},
        {"filter.and[0].user": 9, "filter.and[1].prompt_hash": 2},
        ["lookup and[1].prompt_hash=2, check and[0].user"],
    ),
    "what is excluded": ({"not": USER}, {}, ["time_scan, check not.user"]),
    "a time range": (TIMES, {"filter.timerange": 1}, ["time_scan, check timerange"]),
    "few in a time range": (
        {"and": [TIMES, USER]},
        {"filter.and[0].timerange": 1, "filter.and[1].user": 5},
        ["lookup and[1].user=5, check and[0].timerange"],
    ),
    "a label": (ENV, {"filter.label": 1}, ["label_scan label"]),
    "a label of few": (
        {"and": [ENV, USER]},
        {"filter.and[1].user": 5},
        ["lookup and[1].user=5, check and[0].label"],
    ),
    "a label of many": (
        {"and": [ENV, USER]},
        {},
        ["label_scan<20000 and[0].label, check and[1].user", "label_scan and[0].label, check and[1].user"],
    ),
    "rare words": (TEXT, {"filter.text": 3}, ["time_scan<1000, search text", "lookup text=3"]),
    "frequent words": (
        TEXT,
        {},
        [f"time_scan{limit}, search text" for limit in ("<1000", "<20000", "<200000", "")],
    ),
    "words of a few": (
        {"and": [TEXT, USER]},
        {"filter.and[1].user": 4},
        [
            "time_scan<1000, check and[1].user, search and[0].text",
            "lookup and[1].user=4, search and[0].text",
        ],
    ),
    "words under a label": (
        {"and": [ENV, TEXT]},
        {"filter.and[1].text": 20_000},
        [
            *(f"label_scan<{rows} and[0].label, search and[1].text" for rows in (1_000, 20_000, 200_000)),
            "lookup and[1].text=20000, check and[0].label",
        ],
    ),
    "a metric of calls": (
        {"feedback": {"metric": "latency", "value": {"gt": 2000}}},
        {},
        [f"time_scan{limit}, check feedback" for limit in ("<1000", "<20000", "<200000", "")],
    ),
    "outcomes of few sessions": (OUTCOME, {"filter.outcome": 40}, ["lookup outcome=40"]),
    "outcomes of many sessions": (OUTCOME, {}, ["time_scan<20000, check outcome", "time_scan, check outcome"]),
    "a session without the outcome": ({"not": OUTCOME}, {}, ["time_scan, check not.outcome"]),
    "alternatives": ({"and": [{"or": [USER, ENV]}]}, {}, ["merge and[0] 2"]),
    "alternatives of a few": (
        {"and": [{"or": [USER, ENV]}, {"user": {"eq": "bob"}}]},
        {"filter.and[1].user": 8},
        ["lookup and[1].user=8, check and[0]"],
    ),
    "several values": (EITHER_MODEL, {}, ["merge model 2"]),
    "several values of few": (EITHER_MODEL, {"filter.model": 80}, ["lookup model=80"]),
}


@pytest.mark.parametrize("name", PAGE_PLANS)
def test_the_plans_for_a_page_follow_from_the_counts(name: str):
    tree, counts, expected = PAGE_PLANS[name]
    assert [text_of(plan) for plan in Store(tree, counts).page_plans()] == expected


@pytest.mark.parametrize(
    ("reaches", "scanned"), [((500, 900), 1), ((900, 500), 0), ((500, None), 1), ((None, 900), 0), ((500, 500), 0)]
)
def test_of_two_labels_the_one_that_reaches_the_furthest_is_scanned(reaches: Any, scanned: int):
    paths = ["filter.and[0].label", "filter.and[1].label"]
    store = Store({"and": [ENV, LANG]}, reaches=dict(zip(paths, reaches, strict=True)))
    [plan] = store.page_plans()
    assert text_of(plan) == f"label_scan and[{scanned}].label, check and[{1 - scanned}].label"


def test_words_are_counted_only_after_the_first_rows():
    store = Store({"and": [TEXT, USER]})
    plans = store.page_plans()
    next(plans)
    assert store.counted == []
    next(plans)
    assert store.counted == ["filter.and[0].text", "filter.and[1].user"]


def test_a_branch_is_planned_without_counting_frequent_conditions_again():
    store = Store({"and": [{"or": [USER, {"and": [ENV, TEXT]}]}, {"prompt_hash": {"eq": "00000000000000ab"}}]})
    [merge] = store.page_plans()
    assert store.counted == ["filter.and[1].prompt_hash"]
    store.counted.clear()
    first, second = (
        plan_page(branch, store.count_rows, store.label_reach, frequent=merge.frequent, is_branch=True)
        for branch in merge.branches
    )
    path = "and[0].or[0].user"
    assert text_of(next(first)) == f"time_scan<20000, check {path} and[1].prompt_hash"
    assert store.counted == [f"filter.{path}"]
    label, text = "and[0].or[1].and[0].label", "and[0].or[1].and[1].text"
    assert text_of(next(second)) == f"label_scan<1000 {label}, check and[1].prompt_hash, search {text}"


@pytest.mark.parametrize("name", PAGE_PLANS)
def test_every_plan_uses_every_condition_once(name: str):
    tree, counts, _ = PAGE_PLANS[name]
    store = Store(tree, counts)
    for plan in store.page_plans():
        facts = plan.explain()
        if facts["plan"] != "merge":
            paths = [*facts["checks"], *facts.get("texts", []), *([facts["condition"]] if "condition" in facts else [])]
            assert sorted(paths) == sorted(condition.path for condition in store.conditions)


@pytest.mark.parametrize("name", PAGE_PLANS)
def test_only_the_last_plan_reads_to_the_end(name: str):
    tree, counts, _ = PAGE_PLANS[name]
    limits = [plan.explain().get("max_rows") for plan in Store(tree, counts).page_plans()]
    assert limits[-1] is None
    assert all(limit is not None for limit in limits[:-1])
    assert all(limit < after for limit, after in pairwise(limits[:-1]))


# Filter, counts by path, whether a table is joined, and the plan for all matches.
MATCH_PLANS: dict[str, tuple[Any, dict[str, int], bool, str]] = {
    "everything": ({"and": []}, {}, False, "time_scan"),
    "everything of a join": ({"and": []}, {}, True, "joined_rows"),
    "few": (USER, {"filter.user": 399_999}, False, "lookup user=399999"),
    "few of a join": (USER, {"filter.user": 5}, True, "lookup user=5"),
    "many": (USER, {}, False, "time_scan, check user"),
    "many of a join": (USER, {}, True, "joined_rows, check user"),
    "a short time": (
        {"and": [TIMES, USER]},
        {"filter.and[0].timerange": 3, "filter.and[1].user": 5},
        True,
        "time_scan, check and[0].timerange and[1].user",
    ),
    "words": ({"and": [TEXT, ENV]}, {"filter.and[0].text": 3}, False, "lookup and[0].text=3, check and[1].label"),
    "a label": (ENV, {"filter.label": 3}, False, "lookup label=3"),
}


@pytest.mark.parametrize("name", MATCH_PLANS)
def test_the_plan_for_all_matches_follows_from_the_counts(name: str):
    tree, counts, is_joined, expected = MATCH_PLANS[name]
    store = Store(tree, counts)
    assert text_of(plan_matches(store.conditions, store.count_rows, is_joined=is_joined)) == expected


# Filter, counts by path, and the plan for the count.
COUNT_PLANS: dict[str, tuple[Any, dict[str, int], str]] = {
    "everything": ({"and": []}, {}, "time_scan"),
    "a label": (ENV, {}, "label_scan label"),
    "the rarest label": (
        {"and": [ENV, LANG, TIMES]},
        {"filter.and[1].label": 40},
        "label_scan and[1].label, check and[0].label and[2].timerange",
    ),
    "a label and more": ({"and": [ENV, USER]}, {"filter.and[1].user": 4}, "lookup and[1].user=4, check and[0].label"),
    "a time range": (TIMES, {}, "time_scan, check timerange"),
}


@pytest.mark.parametrize("name", COUNT_PLANS)
def test_the_plan_for_a_count_follows_from_the_counts(name: str):
    tree, counts, expected = COUNT_PLANS[name]
    store = Store(tree, counts)
    assert text_of(plan_count(store.conditions, store.count_rows)) == expected
