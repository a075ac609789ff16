"""Filters, pages and groups against the plain meaning of the same words, over the same rows, whatever way is taken."""

from __future__ import annotations

import math
import re
import statistics
from collections import defaultdict
from dataclasses import replace
from operator import eq, ge, gt, le, lt, ne
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from afterword.ids import uuid7
from afterword.store import interactions as stored
from afterword.store.calls import SYSTEM_METRICS
from afterword.store.query import groups, pages, plan, scan
from afterword.store.query import matches as query_matches
from afterword.store.query.conditions import SOURCES
from afterword.store.query.matches import Matches
from afterword.store.query.statistics import ValueSelection, summarize
from afterword.store.schema import LATER_TEXTS
from afterword.types import Filter

# ------------------------------------------------------------------------------------------------ the plain meaning


def matches(match: dict[str, Any], value: str | None) -> bool:
    if "neq" in match:
        return value != match["neq"]
    return value is not None and (value == match["eq"] if "eq" in match else value in match["in"])


def compares(number: float, given: dict[str, float]) -> bool:
    signs = {"eq": eq, "neq": ne, "gt": gt, "gte": ge, "lt": lt, "lte": le}
    return all(signs[sign](number, other) for sign, other in given.items())


def adjacent(words: list[str], within: list[str]) -> bool:
    return any(within[n : n + len(words)] == words for n in range(len(within)))


def has_term(term: str, words: list[str]) -> bool:
    if term.startswith('"'):
        return adjacent(term.strip('"').lower().split(), words)
    return any(word.startswith(term[:-1].lower()) if term.endswith("*") else word == term.lower() for word in words)


def holds(tree: dict[str, Any], one: Any) -> bool:
    """Say whether a condition holds, in plain Python."""
    [(name, value)] = tree.items()
    match name:
        case "and":
            return all(holds(part, one) for part in value)
        case "or":
            return any(holds(part, one) for part in value)
        case "not":
            return not holds(value, one)
        case "timerange":
            return value.get("from", 0) <= one.created_at < value.get("to", math.inf)
        case "label":
            if "value" not in value:
                return value["key"] in one.labels
            return matches(value["value"], one.labels.get(value["key"]))
        case "feedback" if value["metric"] in SYSTEM_METRICS:
            number = one.measured.get(value["metric"])
            return number is not None and compares(number, value.get("value", {}))
        case "feedback":
            return any(
                metric == value["metric"]
                and compares(number, value.get("value", {}))
                and ("reasons" not in value or reason in value["reasons"])
                and ("user" not in value or user == value["user"])
                for metric, number, reason, user in one.feedback
            )
        case "preference":
            return value["metric"] in one.preferences
        case "outcome":
            return any(
                metric == value["metric"]
                and compares(number, value.get("value", {}))
                and ("user" not in value or user == value["user"])
                for metric, number, user in one.outcomes
            )
        case "session_id":
            return matches(value, str(one.session))
        case "completion_id":
            return matches(value, str(one.id))
        case "model" | "user" | "source" | "prompt_hash" | "state" | "finish_reason":
            return matches(value, getattr(one, name))
        case "text":
            return all(
                has_term(term, one.prompt_words) or has_term(term, one.completion.split())
                for term in ([value] if value.startswith('"') else value.split())
            )
        case "prompt" | "completion":
            if "eq" in value:
                return value["eq"] == getattr(one, name)
            words = one.prompt_words if name == "prompt" else one.completion.split()
            return adjacent(value["contains"].lower().split(), words)
    raise AssertionError(name)


# ------------------------------------------------------------------------------------------------ random trees


def match(values: list[str], unknown: str) -> st.SearchStrategy[dict[str, Any]]:
    one = st.sampled_from([*values, unknown])
    return st.one_of(
        st.fixed_dictionaries({"eq": one}),
        st.fixed_dictionaries({"in": st.lists(one, max_size=3)}),
        st.fixed_dictionaries({"neq": one}),
    )


def optional(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name.rstrip("_"): part for name, part in parts.items()})


def conditions(shelf: Any) -> st.SearchStrategy[dict[str, Any]]:
    """One condition, of any kind, on what the store holds or does not."""
    words = shelf.words
    users, reasons = st.sampled_from([*words.users, "other"]), st.sampled_from([*words.reasons, "other"])
    metric = {"metric": st.sampled_from(words.metrics)}
    number = st.dictionaries(
        st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte"]),
        st.sampled_from([*words.values, 1.5]),
        min_size=1,
        max_size=2,
    )
    phrase = st.lists(st.sampled_from([*words.texts, "RED"]), min_size=1, max_size=3).map(" ".join)
    said = st.one_of(
        st.fixed_dictionaries({"contains": phrase}),
        st.fixed_dictionaries({"eq": st.one_of(phrase, st.just(""))}),
    )
    leaves = {
        "timerange": optional(from_=st.sampled_from(words.times), to=st.sampled_from(words.times)),
        "model": match(words.models, "never seen"),
        "label": st.sampled_from([*words.keys, "none"]).flatmap(
            lambda key: st.fixed_dictionaries(
                {"key": st.just(key)}, optional={"value": match(words.keys.get(key, []), "other")}
            )
        ),
        "feedback": st.fixed_dictionaries(
            metric, optional={"value": number, "reasons": st.lists(reasons, max_size=2), "user": users}
        ),
        "measured": st.fixed_dictionaries(
            {"metric": st.sampled_from(SYSTEM_METRICS)},
            optional={
                "value": st.dictionaries(
                    st.sampled_from(["eq", "gte", "lt"]), st.sampled_from([1, 5, 99.5]), min_size=1
                )
            },
        ),
        "state": match(words.states, "interrupted"),
        "finish_reason": match(words.finish_reasons, "none"),
        "preference": st.fixed_dictionaries(metric),
        "outcome": st.fixed_dictionaries(metric, optional={"value": number, "user": users}),
        "source": match(list(SOURCES[1:]), SOURCES[0]),
        "prompt_hash": match([one.prompt_hash for one in shelf.logged[:20]], "no hash"),
        "session_id": match([str(one.session) for one in shelf.logged[:20]], str(UUID(int=9))),
        "user": match(words.users, "other"),
        "completion_id": match([str(one.id) for one in shelf.logged[:20]], str(UUID(int=9))),
        "prompt": said,
        "completion": said,
        "text": st.one_of(phrase, phrase.map('"{}"'.format), st.sampled_from(["re*", "redde* green", "BLU*", "none"])),
    }
    # What pages are walked by comes more often than the rest.
    names = [*leaves, "label", "label", "feedback", "outcome", "text"]
    kinds = {"measured": "feedback"}
    return st.sampled_from(names).flatmap(lambda name: st.fixed_dictionaries({kinds.get(name, name): leaves[name]}))


def trees(shelf: Any, depth: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    leaf = conditions(shelf)
    if depth == 1:
        return leaf
    inner = st.deferred(lambda: trees(shelf, depth - 1))
    several = st.lists(inner, max_size=3)
    return st.one_of(
        leaf,
        st.fixed_dictionaries({"and": several}),
        st.fixed_dictionaries({"and": st.lists(leaf, min_size=2, max_size=3)}),
        st.fixed_dictionaries({"or": several}),
        st.fixed_dictionaries({"not": inner}),
    )


# ------------------------------------------------------------------------------------------------ the comparison

SMALL_LIMIT = st.sampled_from([2_000, 3])
ROW_LIMITS = (
    (plan, "SELECTIVE_ROWS"),
    (query_matches, "SELECTIVE_ROWS"),
    (plan, "MAX_LOOKUP_ROWS"),
    (plan, "FIRST_SCAN_ROWS"),
    (plan, "SCAN_ROWS"),
    (plan, "LONG_SCAN_ROWS"),
    (scan, "LABEL_PROBE_ROWS"),
)


def filter_of(tree: dict[str, Any]) -> Filter:
    """Return the filter of a tree in which words are also those that turns repeat of earlier ones."""
    return msgspec.convert({"repeats": tree}, Filter)


def walk(shelf: Any, tree: Filter, order: Any, limit: int) -> tuple[list[list[UUID]], list[list[UUID]], int | None]:
    """All pages to the end, then back to the start, and the count."""

    def page(cursor: str | None, count: bool = False) -> pages.RowPage:
        return shelf.store.read_now(
            lambda connection: pages.find_page(
                Matches(connection, shelf.names, tree), order=order, limit=limit, cursor=cursor, count=count
            )
        )

    found = page(None, count=True)
    assert found.previous is None
    count = found.count
    forth, back = [[row.id for row in found.rows]], []
    while found.next is not None:
        found = page(found.next)
        forth.append([row.id for row in found.rows])
    while found.previous is not None:
        found = page(found.previous)
        back.append([row.id for row in found.rows])
    return forth, back, count


@given(drawn=st.data())
def test_pages_hold_what_the_tree_says_in_order_and_in_both_directions(shelf: Any, drawn: st.DataObject):
    tree = drawn.draw(trees(shelf), "tree")
    order = drawn.draw(st.sampled_from(["-created_at", "created_at"]), "order")
    limit = drawn.draw(st.sampled_from([2, 9, 30, 500]), "limit")
    expected = sorted(
        (one for one in shelf.logged if holds(tree, one)),
        key=lambda one: (one.created_at, one.id),
        reverse=order == "-created_at",
    )
    with pytest.MonkeyPatch.context() as patch:
        # So that the ways for rare and for frequent conditions are taken over these few rows, too.
        for module, name in ROW_LIMITS:
            patch.setattr(module, name, drawn.draw(SMALL_LIMIT, name))
        patch.setattr(scan, "FIRST_CHUNK_ROWS", drawn.draw(st.sampled_from([1, 3, 100]), "FIRST_CHUNK_ROWS"))
        forth, back, count = walk(shelf, filter_of(tree), order, limit)
    assert [one for page in forth for one in page] == [one.id for one in expected]
    assert all(len(page) == limit for page in forth[:-1])
    assert back[::-1] == forth[:-1]
    assert count == len(expected)


def group_key(one: Any, group_by: str) -> str | None:
    kind, _, label = group_by.partition(":")
    if kind == "label":
        return one.labels.get(label)
    return {"model": one.model, "prompt": one.prompt_hash, "session": str(one.session)}[kind]


@given(drawn=st.data())
def test_groups_count_and_measure_what_the_tree_leaves(shelf: Any, drawn: st.DataObject):
    tree = drawn.draw(st.one_of(st.just({"and": []}), trees(shelf)), "tree")
    kinds = ["model", "prompt", "session", *(f"label:{key}" for key in shelf.words.keys), "label:none"]
    group_by = drawn.draw(st.sampled_from(kinds), "group_by")
    limit = drawn.draw(st.sampled_from([1, 2, 500]), "limit")
    expected: dict[str | None, list[Any]] = defaultdict(list)
    for one in shelf.logged:
        if holds(tree, one):
            expected[group_key(one, group_by)].append(one)

    found: list[groups.GroupRow] = []
    cursor = None
    with pytest.MonkeyPatch.context() as patch:
        # So that a label of few values is taken as one of many, too.
        for name in ("MAX_STATEMENT_LABELS", "MAX_LOOKUP_LABELS", "MAX_LOOKUP_COUNT"):
            patch.setattr(groups, name, drawn.draw(st.sampled_from([0, getattr(groups, name)]), name))
        while cursor is not None or not found:
            paging = {"group_by": group_by, "limit": limit, "cursor": cursor, "count": True}
            page = shelf.store.read_now(
                lambda connection, paging=paging: groups.find_groups(
                    Matches(connection, shelf.names, filter_of(tree)), **paging
                )
            )
            assert page.count == len(expected)
            found += page.groups
            cursor = page.next
            if cursor is None:
                break

    assert [group.key for group in found] == sorted(expected, key=lambda key: (key is not None, key or ""))
    for group in found:
        its = expected[group.key]
        assert group.count == len(its)
        assert group.example in {one.id for one in its}
        values: dict[str, list[float]] = defaultdict(list)
        for one in its:
            for metric, value, *_ in one.feedback:
                if metric != "deleted":
                    values[metric].append(value)
            # What failed or was cut off is left out of averages.
            for metric, value in one.measured.items() if one.state == "complete" else ():
                values[metric].append(value)
        metrics = shelf.context.catalog.metrics
        keys = [said.metric if isinstance(said.metric, str) else metrics[said.metric].key for said in group.metrics]
        assert dict(zip(keys, group.metrics, strict=True)) == {
            metric: groups.Statistics(
                metric=metric if metric in SYSTEM_METRICS else shelf.names.metric(metric),
                count=len(all_),
                mean=pytest.approx(statistics.fmean(all_)),  # type: ignore[arg-type]
                min=min(all_),
                max=max(all_),
                stddev=pytest.approx(statistics.stdev(all_)) if len(all_) > 1 else None,  # type: ignore[arg-type]
            )
            for metric, all_ in values.items()
        }


@pytest.mark.thorough
def test_words_are_looked_for_in_any_number_of_interactions(shelf: Any, monkeypatch: pytest.MonkeyPatch):
    project = shelf.names.project + 1_000
    now = 1_700_000_000_000
    later = (None,) * (6 + len(LATER_TEXTS))
    rows = [(uuid7(), project, now + n, None, 0, None, None, None, 5, 6, 7, 8, *later) for n in range(70_000)]
    for start in range(0, len(rows), 10_000):
        chunk = rows[start : start + 10_000]
        shelf.store.queue.write_from_thread(
            lambda transaction, rows=chunk: transaction.put(stored.INSERT["interactions"], rows)
        )
    monkeypatch.setattr(plan, "SELECTIVE_ROWS", 0)
    monkeypatch.setattr(scan, "FIRST_CHUNK_ROWS", len(rows))
    names = replace(shelf.names, project=project)
    paging = {"order": "-created_at", "limit": 5, "cursor": None}
    page = shelf.store.read_now(
        lambda connection: pages.find_page(Matches(connection, names, Filter(text="red")), **paging)
    )
    assert page.rows == []


@pytest.mark.shared
def test_page_scans_in_index_order_and_leaves_other_queries_to_planner(shelf: Any):
    labels = [{"label": {"key": key, "value": {"eq": value}}} for key, value in (("env", "prod"), ("lang", "en"))]
    plans: list[str] = []

    def explain(connection: Any, _: Any, statement: str, given: Any, *others: Any) -> None:
        if "ORDER BY" in statement and "JOIN" in statement:
            with connection.connection.cursor() as cursor:
                plans.append("\n".join(line for [line] in cursor.execute(f"EXPLAIN {statement}", given).fetchall()))

    def read(connection: Any) -> str:
        event.listen(connection, "before_cursor_execute", explain)
        wanted = msgspec.convert({"and": labels}, Filter)
        pages.find_page(Matches(connection, shelf.names, wanted), order="-created_at", limit=5, cursor=None)
        return connection.exec_driver_sql("SHOW enable_sort").scalar()

    assert shelf.store.read_now(read) == "on"
    assert plans
    assert not re.search(r"(Sort|Gather|Hash Join|Hash Semi Join|Merge Join) +\(cost", "\n".join(plans)), plans


@pytest.mark.embedded
@pytest.mark.parametrize(
    "tree",
    [
        {"label": {"key": "rare", "value": {"eq": "1"}}},
        {"feedback": {"metric": "CSAT", "value": {"gte": 5.0}}},
        {"outcome": {"metric": "CSAT", "value": {"gte": 5.0}}},
        {"text": "red"},
        {"timerange": {"from": 1_700_000_001_000, "to": 1_700_000_002_000}},
    ],
    ids=lambda tree: next(iter(tree)),
)
def test_sums_and_pages_of_what_holds_for_few_read_no_table_whole(shelf: Any, tree: dict[str, Any]):
    wanted = filter_of(tree)
    plans: list[str] = []

    def explain(connection: Any, _: Any, statement: str, given: Any, *others: Any) -> None:
        rows = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", given).fetchall()
        plans.append("\n".join(row[3] for row in rows))

    def read(connection: Any) -> None:
        event.listen(connection, "before_cursor_execute", explain)
        found = Matches(connection, shelf.names, wanted)
        pages.find_page(found, order="-created_at", limit=5, cursor=None, count=True)
        summarize(ValueSelection(found, shelf.names.metric("CSAT")))

    shelf.store.read_now(read)
    assert any("SEARCH feedback USING PRIMARY KEY" in plan for plan in plans)
    assert not re.search(
        r"^SCAN (interactions|feedback|outcomes|interaction_labels)", "\n".join(plans), re.MULTILINE
    ), plans
