"""Finding interactions again: plain parameters, trees, pages, groups, labels, words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import fmean, stdev
from typing import Any
from uuid import uuid4

import httpx
import pytest

NDJSON = {"content-type": "application/x-ndjson"}
HOUR = 3_600_000
START = 1_700_000_000_000


class Shelf:
    """A project filled once, whose interactions are known by short names: their completions."""

    def __init__(self, http: httpx.Client, project: str) -> None:
        self.http = http
        self.project = project
        self.ids: dict[str, str] = {}

    def fill(self, lines: dict[str, dict[str, Any]]) -> None:
        bodies = [
            {"messages": [{"role": "user", "content": "Why?"}], "completion": name, **fields}
            for name, fields in lines.items()
        ]
        content = "\n".join(map(json.dumps, bodies))
        url = "/api/v1/interactions/batch"
        answer = self.http.post(url, params={"project": self.project}, content=content, headers=NDJSON)
        for name, line in zip(lines, answer.text.splitlines(), strict=True):
            self.ids[name] = json.loads(line)["completion_id"]

    def page(self, **query: Any) -> dict[str, Any]:
        answer = self.http.get("/api/v1/interactions", params={"project": self.project, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def list(self, **query: Any) -> list[str]:
        return [one["completion"] for one in self.page(**query)["interactions"]]

    def search(self, filter: dict[str, Any] | None, **fields: Any) -> list[str]:
        body = {"project": self.project, "filter": filter, **fields}
        answer = self.http.post("/api/v1/interactions/search", json=body)
        assert answer.status_code == 200, answer.text
        return [one["completion"] for one in answer.json()["interactions"]]

    def caught_up(self) -> None:
        """Wait until all that was logged can be found by its words."""
        while self.http.get("/health").json()["search"]["waiting"]:
            pass


def made(http: httpx.Client) -> Shelf:
    project = f"finding-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": project}).raise_for_status()
    return Shelf(http, project)


@pytest.fixture(scope="module")
def shelf(server) -> Iterator[Shelf]:
    """Six interactions, a to f, an hour apart, f the newest."""
    session = str(uuid4())
    with server.client() as http:
        shelf = made(http)
        for key, kind in (("CSAT", "scalar"), ("good", "bool")):
            body = {"key": key, "kind": kind, "project": shelf.project}
            http.post("/api/v1/metrics", json=body).raise_for_status()
        rated = {
            "a": [("CSAT", 5), ("CSAT", 1)], "b": [("CSAT", 3.5), ("good", True)], "c": [("good", False)],
            "d": [], "e": [("CSAT", 4)], "f": [],
        }  # fmt: skip
        fields: dict[str, dict[str, Any]] = {
            "a": {"model": "m1", "labels": {"env": "prod", "lang": "en"}, "user": "ann"},
            "b": {"model": "m1", "labels": {"env": "test", "lang": "en"}, "session_id": session},
            "c": {"model": "m2", "labels": {"env": "prod", "note": "a:b"}, "session_id": session},
            "d": {"model": "m2", "labels": {"lang": "de", "empty": ""}, "user": "bob"},
            "e": {"labels": {"env": "dev"}, "messages": [{"role": "user", "content": "The quick brown Fox."}]},
            "f": {"messages": [{"role": "system", "content": "Hé!"}, {"role": "user", "content": "brown quick"}]},
        }
        for n, (name, feedback) in enumerate(rated.items()):
            fields[name]["created_at"] = START + n * HOUR
            fields[name]["feedbacks"] = [
                {"metric": metric, "value": value, "reason": "Style" if value == 4 else None, "user": f"u{value}"}
                for metric, value in feedback
            ]
        shelf.fill(fields)
        body = {"metric": "CSAT", "preferred_completion": shelf.ids["a"], "other_completion": shelf.ids["d"]}
        http.post("/api/v1/preferences", json=body).raise_for_status()
        for session_id, metric, value in ((session, "CSAT", 2), (session, "CSAT", 5), (shelf.ids["a"], "good", True)):
            body = {"session_id": session_id, "metric": metric, "value": value, "user": f"s{value}"}
            http.post("/api/v1/outcomes", json={"project": shelf.project, **body}).raise_for_status()
        shelf.caught_up()
        shelf.session = session  # type: ignore[attr-defined]
        yield shelf


# ------------------------------------------------------------------------------------------------ plain parameters

PLAIN: list[tuple[dict[str, Any], str]] = [
    ({}, "fedcba"),
    ({"order": "created_at"}, "abcdef"),
    ({"label": "env"}, "ecba"),
    ({"label": "env:prod"}, "ca"),
    ({"label": ["env:prod", "env:test"]}, "cba"),
    ({"label": ["env:prod", "lang:en"]}, "a"),
    ({"label": ["env", "lang:en"]}, "ba"),
    ({"label": "note:a:b"}, "c"),
    ({"label": "empty:"}, "d"),
    ({"label": "env:PROD"}, ""),
    ({"label": "none"}, ""),
    ({"model": "m1"}, "ba"),
    ({"model": ["m1", "m2"]}, "dcba"),
    ({"model": "never seen"}, ""),
    ({"source": "OFFLINE"}, "fedcba"),
    ({"source": ["LIVE", "DATASET"]}, ""),
    ({"user": "ann"}, "a"),
    ({"from": START + HOUR}, "fedcb"),
    ({"to": START + HOUR}, "a"),
    ({"from": START + HOUR, "to": START + 3 * HOUR}, "cb"),
    ({"from": "2023-11-14T23:13:20Z", "to": "2023-11-15 | Asia/Tokyo"}, ""),
    ({"feedback": "CSAT"}, "eba"),
    ({"feedback": "CSAT>=4"}, "ea"),
    ({"feedback": "CSAT > 4"}, "a"),
    ({"feedback": "CSAT<3.5"}, "a"),
    ({"feedback": "CSAT<=3.5"}, "ba"),
    ({"feedback": "CSAT=4"}, "e"),
    ({"feedback": "CSAT!=5"}, "eba"),
    ({"feedback": "good=true"}, "b"),
    ({"feedback": "good=false"}, "c"),
    ({"feedback": ["CSAT<2", "CSAT>4"]}, "a"),
    ({"has_feedback": "good"}, "cb"),
    ({"has_feedback": ["good", "CSAT"]}, "b"),
    ({"has_no_feedback": "CSAT"}, "fdc"),
    ({"has_no_feedback": ["CSAT", "good"]}, "fd"),
    ({"preference": "CSAT"}, "da"),
    ({"preference": "good"}, ""),
    ({"outcome": "CSAT"}, "cb"),
    ({"outcome": "CSAT>=4"}, "cb"),
    ({"outcome": "CSAT>5"}, ""),
    ({"outcome": ["CSAT<3", "CSAT>4"]}, "cb"),
    ({"outcome": "good=true"}, "a"),
    ({"outcome": "good=false"}, ""),
    ({"session.good": "true"}, "a"),
    ({"session.good": ""}, "a"),
    ({"session.CSAT>": "4"}, "cb"),
    ({"session.CSAT>5": ""}, ""),
    ({"session.CSAT": ["2", "5"], "session.CSAT!": "4"}, "cb"),
    ({'session."CSAT"<': "3", "outcome": "CSAT>4"}, "cb"),
    ({"has_outcome": "good"}, "a"),
    ({"has_no_outcome": "CSAT"}, "feda"),
    ({"outcome": "CSAT>=4", "feedback": "good=true"}, "b"),
    ({"q": "quick fox"}, "e"),
    ({"q": "QUICK"}, "fe"),
    ({"q": '"quick brown"'}, "e"),
    ({"q": "bro*"}, "fe"),
    ({"q": "he"}, "f"),
    ({"model": "m1", "label": "lang:en", "feedback": "CSAT>=4", "from": START, "limit": 10}, "a"),
]


@pytest.mark.parametrize(("query", "expected"), PLAIN, ids=[json.dumps(query) for query, _ in PLAIN])
def test_plain_parameters_must_all_hold(shelf: Shelf, query: dict[str, Any], expected: str):
    assert "".join(shelf.list(**query)) == expected
    assert shelf.page(**query, count=True)["count"] == len(expected)


def test_a_session_is_found_by_its_id_and_by_that_of_its_opener(shelf: Shelf):
    assert shelf.list(session_id=shelf.session) == ["c", "b"]  # type: ignore[attr-defined]
    assert shelf.list(session_id=shelf.ids["a"]) == ["a"]
    assert shelf.list(session_id=shelf.ids["b"]) == []


def test_the_same_prompt_is_found_by_its_hash(shelf: Shelf):
    hashes = {one["completion"]: one["prompt_hash"] for one in shelf.page()["interactions"]}
    assert shelf.list(prompt_hash=hashes["a"]) == ["d", "c", "b", "a"]
    assert shelf.list(prompt_hash=hashes["e"]) == ["e"]
    assert shelf.list(prompt_hash="0" * 16) == []


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ({"labels": "a"}, "unknown_parameter", "labels"),
        ({"label": ":x"}, "invalid_label", "label"),
        ({"from": "soon"}, "invalid_time", "from"),
        ({"feedback": "CSAT>=high"}, "invalid_feedback_filter", "feedback"),
        ({"outcome": "CSAT>=high"}, "invalid_feedback_filter", "outcome"),
        ({"session.CSAT>": "high"}, "invalid_feedback_filter", "outcome"),
        ({"session.": "true"}, "unknown_parameter", "session."),
        ({"limit": 0}, "invalid_value", "limit"),
        ({"limit": 501}, "invalid_value", "limit"),
        ({"order": "id"}, "invalid_value", "order"),
        ({"source": "LOCAL"}, "invalid_value", "source"),
        ({"cursor": "abc"}, "invalid_cursor", "cursor"),
        ({"q": "..."}, "no_words", "q"),
        ({"user": ["a", "b"]}, "repeated_parameter", "user"),
        ({"group_by": "user"}, "invalid_group_by", "group_by"),
    ],
    ids=str,
)
def test_a_parameter_that_says_nothing_is_refused_by_its_name(
    shelf: Shelf, refused: Any, query: dict[str, Any], code: str, param: str
):
    answer = shelf.http.get("/api/v1/interactions", params={"project": shelf.project, **query})
    error = refused(answer, 422, code)
    assert error["param"].startswith(param)


def test_an_unknown_metric_in_a_filter_is_told(shelf: Shelf, refused: Any):
    answer = shelf.http.get("/api/v1/interactions", params={"project": shelf.project, "feedback": "CSTA>4"})
    assert "CSTA" in refused(answer, 404, "metric_not_found")["message"]


# ------------------------------------------------------------------------------------------------ trees

ENV = {"label": {"key": "env"}}
PROD = {"label": {"key": "env", "value": {"eq": "prod"}}}
TREES: list[tuple[dict[str, Any] | None, str]] = [
    (None, "fedcba"),
    ({"and": []}, "fedcba"),
    ({"or": []}, ""),
    ({"not": {"and": []}}, ""),
    ({"not": PROD}, "fedb"),
    ({"label": {"key": "env", "value": {"neq": "prod"}}}, "fedb"),
    ({"label": {"key": "env", "value": {"in": ["prod", "dev"]}}}, "eca"),
    ({"label": {"key": "env", "value": {"in": []}}}, ""),
    ({"or": [PROD, {"user": {"eq": "bob"}}]}, "dca"),
    ({"and": [ENV, {"not": PROD}, {"not": {"model": {"eq": "m1"}}}]}, "e"),
    ({"model": {"neq": "m1"}}, "fedc"),
    ({"user": {"neq": "ann"}}, "fedcb"),
    ({"timerange": {"from": START + HOUR, "to": START + 2 * HOUR}}, "b"),
    ({"feedback": {"metric": "CSAT", "value": {"gt": 1, "lt": 5}}}, "eb"),
    ({"feedback": {"metric": "CSAT", "reasons": ["Style", "Toxicity"]}}, "e"),
    ({"feedback": {"metric": "CSAT", "user": "u5", "value": {"lt": 5}}}, ""),
    ({"not": {"feedback": {"metric": "CSAT", "value": {"eq": 1}}}}, "fedcb"),
    ({"preference": {"metric": "CSAT"}}, "da"),
    ({"outcome": {"metric": "CSAT", "value": {"gt": 2, "lt": 5}}}, ""),
    ({"outcome": {"metric": "CSAT", "user": "s5", "value": {"gte": 5}}}, "cb"),
    ({"outcome": {"metric": "CSAT", "user": "s2", "value": {"gte": 5}}}, ""),
    ({"not": {"outcome": {"metric": "CSAT"}}}, "feda"),
    ({"or": [{"outcome": {"metric": "good"}}, {"not": {"outcome": {"metric": "CSAT", "value": {"lte": 2}}}}]}, "feda"),
    ({"source": {"neq": "OFFLINE"}}, ""),
    ({"prompt": {"eq": "brown quick"}}, "f"),
    ({"prompt": {"contains": "QUICK brown"}}, "e"),
    ({"completion": {"contains": "brown"}}, ""),
    ({"completion": {"eq": "d"}}, "d"),
    ({"text": "brown"}, "fe"),
    ({"or": [{"text": "fox"}, {"completion": {"eq": "a"}}]}, "ea"),
    ({"not": {"text": "brown"}}, "dcba"),
]


@pytest.mark.parametrize(("tree", "expected"), TREES, ids=[json.dumps(tree) for tree, _ in TREES])
def test_a_tree_finds_what_it_says(shelf: Shelf, tree: dict[str, Any] | None, expected: str):
    assert "".join(shelf.search(tree)) == expected
    assert "".join(shelf.search(tree, order="created_at")) == expected[::-1]


def test_completions_are_found_by_their_ids(shelf: Shelf):
    wanted = [shelf.ids["b"], shelf.ids["e"], str(uuid4())]
    assert shelf.search({"completion_id": {"in": wanted}}) == ["e", "b"]
    assert shelf.search({"completion_id": {"neq": wanted[0]}}) == ["f", "e", "d", "c", "a"]


@pytest.mark.parametrize(
    ("tree", "code", "param"),
    [
        ({}, "empty_condition", "filter"),
        ({"and": [ENV, {}]}, "empty_condition", "filter.and[1]"),
        ({**ENV, "text": "x"}, "several_conditions", "filter"),
        ({"not": {"or": [{"model": {}}]}}, "invalid_condition", "filter.not.or[0].model"),
        ({"model": {"eq": "a", "in": ["b"]}}, "invalid_condition", "filter.model"),
        ({"feedback": {"metric": "CSAT", "value": {}}}, "empty_condition", "filter.feedback.value"),
        ({"outcome": {"metric": "CSAT", "value": {}}}, "empty_condition", "filter.outcome.value"),
        ({"colour": {"eq": "red"}}, "unknown_field", "filter.colour"),
        ({"timerange": {"from": "soon"}}, "invalid_time", "filter.timerange.from"),
        ({"text": "!"}, "no_words", "filter.text"),
        ({"prompt": {}}, "invalid_condition", "filter.prompt"),
        ({"source": {"eq": "LOCAL"}}, "unknown_source", "filter.source"),
    ],
    ids=str,
)
def test_a_tree_that_says_nothing_is_refused_by_its_place(
    shelf: Shelf, refused: Any, tree: dict[str, Any], code: str, param: str
):
    answer = shelf.http.post("/api/v1/interactions/search", json={"project": shelf.project, "filter": tree})
    refused(answer, 422, code, param)


# ------------------------------------------------------------------------------------------------ what a list shows


def test_a_list_shows_long_texts_in_short_and_whole_when_asked(http: httpx.Client):
    shelf = made(http)
    long = {"messages": [{"role": "user", "content": "p" * 100_000}], "parameters": {"a": 1}}
    shelf.fill({"c" * 90_000: long})
    [short] = shelf.page()["interactions"]
    assert (short["prompt"], short["completion"]) == ("p" * 300, "c" * 300)
    assert (short["messages"], short["parameters"]) == (None, None)
    [full] = shelf.page(view="full")["interactions"]
    assert (full["messages"], full["completion"]) == (long["messages"], "c" * 90_000)
    assert full["parameters"] == {"a": 1}
    assert full["size"] == short["size"] > 190_000


def test_labels_are_listed_with_their_values_counts_and_last_use(shelf: Shelf):
    facets = shelf.http.get("/api/v1/labels", params={"project": shelf.project}).json()["labels"]
    assert [(key["key"], key["count"]) for key in facets] == [("empty", 1), ("env", 4), ("lang", 3), ("note", 1)]
    env = facets[1]
    assert [(value["value"], value["count"]) for value in env["values"]] == [("prod", 2), ("dev", 1), ("test", 1)]
    times = {one["completion"]: one["created_at"] for one in shelf.page()["interactions"]}
    assert [value["last_used"] for value in env["values"]] == [times["c"], times["e"], times["b"]]
    assert env["last_used"] == times["e"]


# ------------------------------------------------------------------------------------------------ groups


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        ("model", {None: "ef", "m1": "ab", "m2": "cd"}),
        ("label:env", {None: "df", "dev": "e", "prod": "ac", "test": "b"}),
        ("label:none", {None: "abcdef"}),
    ],
)
def test_groups_have_counts_and_statistics(shelf: Shelf, group_by: str, expected: dict[str | None, str]):
    values = {
        "CSAT": {"a": [5, 1], "b": [3.5], "e": [4]},
        "good": {"b": [1], "c": [0]},
    }
    page = shelf.page(group_by=group_by, count=True)
    assert [(group["key"], group["count"]) for group in page["groups"]] == [
        (key, len(names)) for key, names in expected.items()
    ]
    assert (page["count"], page["next"]) == (len(expected), None)
    for group in page["groups"]:
        names = expected[group["key"]]
        held = {metric: [v for name in names for v in its.get(name, [])] for metric, its in values.items()}
        assert {one["metric"]: one for one in group["metrics"]} == {
            metric: {
                "metric": metric, "count": len(all_), "mean": pytest.approx(fmean(all_)), "min": min(all_),
                "max": max(all_), "stddev": pytest.approx(stdev(all_)) if len(all_) > 1 else None,
            }
            for metric, all_ in held.items() if all_
        }  # fmt: skip


def test_groups_by_prompt_show_it_and_by_session_name_it(shelf: Shelf):
    prompts = {group["prompt"]: group["count"] for group in shelf.page(group_by="prompt")["groups"]}
    assert prompts == {"Why?": 4, "The quick brown Fox.": 1, "brown quick": 1}
    sessions = {group["key"]: group["count"] for group in shelf.page(group_by="session")["groups"]}
    own = {shelf.ids[name]: 1 for name in "adef"}
    assert sessions == {**own, shelf.session: 2}  # type: ignore[attr-defined]


def test_groups_are_paged_and_filtered(shelf: Shelf):
    found: list[Any] = []
    query: dict[str, Any] = {"group_by": "label:env", "limit": 1, "label": "env"}
    while True:
        page = shelf.page(**query)
        found += [(group["key"], group["count"]) for group in page["groups"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == [("dev", 1), ("prod", 2), ("test", 1)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"group_by": "model", "feedback": "CSAT>=4"}, {None: (1, 4.0), "m1": (1, 3.0)}),
        ({"group_by": "label:lang", "preference": "CSAT"}, {"de": (1, None), "en": (1, 3.0)}),
        ({"group_by": "label:env", "label": ["env:prod", "lang:en"]}, {"prod": (1, 3.0)}),
    ],
    ids=str,
)
def test_groups_are_of_what_the_filters_leave(shelf: Shelf, query: dict[str, Any], expected: dict[Any, Any]):
    means = {
        group["key"]: (group["count"], next((m["mean"] for m in group["metrics"] if m["metric"] == "CSAT"), None))
        for group in shelf.page(**query)["groups"]
    }
    assert means == expected
