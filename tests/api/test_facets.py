"""Facets: what the interactions of a filter have, counted."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

Counted = dict[tuple[str, str | None], dict[Any, int]]


@pytest.fixture
def filled(http: httpx.Client, project: str) -> str:
    """Six interactions of two models, labelled and rated; one of them failed."""
    for key, kind in (("CSAT", "scalar"), ("good", "bool")):
        http.post("/api/v1/metrics", json={"key": key, "kind": kind, "project": project}).raise_for_status()
    lines = [
        {
            "messages": [{"role": "user", "content": "Why is it so?"}],
            "completion": f"Answer {number}",
            "model": "m1" if number < 4 else "m2",
            "labels": {"env": "prod" if number % 2 else "test", f"run-{number}": "x"},
            "user": "ann" if number == 1 else None,
            "session_id": "joined" if number < 2 else None,
            "created_at": 1_700_000_000_000 + number,
            "feedbacks": [
                {"metric": "CSAT", "value": number % 3},
                {"metric": "CSAT", "value": number % 3},
                {"metric": "good", "value": number > 2},
            ],
            "call": {"state": "failed" if number == 5 else "complete", "finish_reason": "length"}
            if number > 3
            else None,
        }
        for number in range(6)
    ]
    url = "/api/v1/interactions/batch"
    answer = http.post(url, params={"project": project}, content="\n".join(map(json.dumps, lines)))
    assert answer.status_code == 200, answer.text
    for value in (0, 1, 1):
        body = {"project": project, "session_id": "joined", "metric": "good", "value": value}
        http.post("/api/v1/outcomes", json=body).raise_for_status()
    return project


def facets(http: httpx.Client, project: str, filter: Any = None, **more: Any) -> dict[str, Any]:
    body = {"project": project, "filter": filter, **more}
    answer = http.post("/api/v1/interactions/facets", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def counts(answer: dict[str, Any]) -> Counted:
    return {
        (one["kind"], one["key"]): {value["value"]: value["count"] for value in one["values"]}
        for one in answer["facets"]
    }


def test_facets_count_each_interaction_once_for_each_value(http: httpx.Client, filled: str):
    answer = facets(http, filled)
    assert (answer["interactions"], answer["complete"], answer["facets_left_out"]) == (6, True, 0)
    assert answer["since"] == "2023-11-14T22:13:20Z"
    found = counts(answer)
    assert found["model", None] == {"m1": 4, "m2": 2}
    assert found["label", "env"] == {"test": 3, "prod": 3}
    assert found["feedback", "CSAT"] == {0: 2, 1: 2, 2: 2}
    assert found["feedback", "good"] == {0: 3, 1: 3}
    assert found["outcome", "good"] == {0: 2, 1: 2}
    assert found["state", None] == {"complete": 5, "failed": 1}
    assert found["finish_reason", None] == {"length": 2}
    assert found["source", None] == {"OFFLINE": 6}
    assert found["user", None] == {"ann": 1}
    assert next(one["key"] for one in answer["facets"] if one["kind"] == "label") == "env"


@pytest.mark.parametrize(
    "filter",
    [
        {"model": {"eq": "m1"}},
        {"label": {"key": "env", "value": {"eq": "prod"}}},
        {"feedback": {"metric": "good", "value": {"eq": 1}}},
        {"not": {"state": {"eq": "failed"}}},
        {"or": [{"user": {"eq": "ann"}}, {"model": {"eq": "m2"}}]},
        {"model": {"eq": "nobody's"}},
    ],
    ids=str,
)
def test_each_value_of_a_facet_is_a_filter_that_finds_as_many(http: httpx.Client, filled: str, filter: dict[str, Any]):
    conditions = {
        "model": lambda key, value: {"model": {"eq": value}},
        "label": lambda key, value: {"label": {"key": key, "value": {"eq": value}}},
        "feedback": lambda key, value: {"feedback": {"metric": key, "value": {"eq": value}}},
        "outcome": lambda key, value: {"outcome": {"metric": key, "value": {"eq": value}}},
        "operation": lambda key, value: {"operation": {"eq": value}},
        "state": lambda key, value: {"state": {"eq": value}},
        "finish_reason": lambda key, value: {"finish_reason": {"eq": value}},
        "source": lambda key, value: {"source": {"eq": value}},
        "user": lambda key, value: {"user": {"eq": value}},
    }
    for (kind, key), values in counts(facets(http, filled, filter)).items():
        for value, number in values.items():
            both = {"and": [filter, conditions[kind](key, value)]}
            body = {"project": filled, "filter": both, "count": True, "limit": 1}
            assert http.post("/api/v1/interactions/search", json=body).json()["count"] == number, (kind, key, value)


def test_facets_say_what_they_leave_out(http: httpx.Client, filled: str):
    answer = facets(http, filled, limit=1, only="feedback:CSAT")
    [facet] = answer["facets"]
    assert (facet["count"], len(facet["values"]), facet["values_left_out"]) == (6, 1, 2)
    labels = {f"key-{number}": "x" for number in range(60)}
    for start in (0, 60):
        more = {key.replace("key", f"key-{start}"): value for key, value in labels.items()}
        body = {"messages": [{"role": "user", "content": "Hi"}], "completion": "Ho", "labels": more, "project": filled}
        http.post("/api/v1/interactions", json=body).raise_for_status()
    answer = facets(http, filled)
    assert len(answer["facets"]) == 100
    assert answer["facets_left_out"] > 20
    assert counts(answer)["label", "env"] == {"test": 3, "prod": 3}


def test_a_filter_that_is_none_is_refused_in_words(http: httpx.Client, filled: str, refused: Any):
    url, body = "/api/v1/interactions/facets", {"project": filled, "filter": {"feedback": {"metric": "unheard"}}}
    refused(http.post(url, json=body), 404, "metric_not_found")
    refused(http.post(url, json={"project": filled, "limit": 0}), 422)
