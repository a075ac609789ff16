"""What the server measures of calls comes out of the same filters and group statistics as what people said."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from afterword.store.query.conditions import MAX_DEPTH, MAX_TEXT_CHARACTERS, MAX_VALUE_COUNT


@pytest.fixture
def log(http: httpx.Client, project: str) -> Any:
    def log(**fields: Any) -> str:
        body = {"messages": [{"role": "user", "content": "Hi"}], "completion": "Hello", "project": project, **fields}
        return http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"]

    return log


@pytest.fixture
def search(http: httpx.Client, project: str) -> Any:
    def search(filter: dict[str, Any]) -> set[str]:
        answer = http.post("/api/v1/interactions/search", json={"project": project, "filter": filter})
        return {one["completion_id"] for one in answer.raise_for_status().json()["interactions"]}

    return search


def test_usage_and_timings_of_what_was_logged_are_compared_as_feedback_is(log: Any, search: Any, http, project: str):
    quick = log(timings={"latency": 120, "ttft": 30.4}, usage={"prompt_tokens": 10, "completion_tokens": 5})
    slow = log(timings={"latency": 2500.6, "note": "kept"}, usage={"completion_tokens": -3, "total_tokens": "many"})
    bare = log()
    assert search({"feedback": {"metric": "latency", "value": {"gt": 2500}}}) == {slow}
    assert search({"feedback": {"metric": "ttft"}}) == {quick}
    assert search({"not": {"feedback": {"metric": "latency"}}}) == {bare}
    assert search({"feedback": {"metric": "completion_tokens"}}) == {quick}
    query = {"project": project, "feedback": "latency<=120", "has_no_feedback": "total_tokens"}
    listed = http.get("/api/v1/interactions", params=query).json()["interactions"]
    assert [one["completion_id"] for one in listed] == [quick]


def test_states_and_finish_reasons_of_calls_are_filters(gateway: Any):
    gateway.ask(gateway.model("error-500"))
    gateway.ask(gateway.model("good"))
    gateway.ask(gateway.model("tools"))

    def finish_reasons(**query: Any) -> list[str]:
        answer = gateway.http.get("/api/v1/interactions", params={"project": gateway.project, **query})
        return [one["call"]["finish_reason"] for one in answer.raise_for_status().json()["interactions"]]

    assert finish_reasons(state="failed") == ["error"]
    assert finish_reasons(state="complete") == ["tool_calls", "stop"]
    assert finish_reasons(state=["failed", "complete"], finish_reason=["stop", "error"]) == ["stop", "error"]
    assert finish_reasons(state="interrupted") == []
    assert finish_reasons(feedback="completion_tokens=7") == ["tool_calls", "stop"]


def test_groups_measure_complete_calls_beside_what_people_said(log: Any, http: httpx.Client, project: str):
    http.post("/api/v1/metrics", json={"key": "CSAT", "project": project}).raise_for_status()
    for latency in (100, 300):
        log(model="a", timings={"latency": latency}, feedbacks=[{"metric": "CSAT", "value": 4}])
    log(model="b")
    query = {"project": project, "group_by": "model"}
    groups = http.get("/api/v1/interactions", params=query).raise_for_status().json()["groups"]
    assert [group["key"] for group in groups] == ["a", "b"]
    csat, latency = groups[0]["metrics"]
    assert (csat["metric"], csat["mean"], csat["count"]) == ("CSAT", 4.0, 2)
    deviation = latency.pop("stddev")
    assert latency == {"metric": "latency", "count": 2, "mean": 200.0, "min": 100.0, "max": 300.0}
    assert deviation == pytest.approx(141.421356)
    assert groups[1]["metrics"] == []


def test_system_metrics_are_listed_when_asked_for_and_shown(http: httpx.Client, project: str):
    def keys(**query: str) -> list[str]:
        answer = http.get("/api/v1/metrics", params={"project": project, **query})
        return [one["key"] for one in answer.raise_for_status().json()["metrics"]]

    http.post("/api/v1/metrics", json={"key": "CSAT", "project": project}).raise_for_status()
    assert keys() == ["CSAT"]
    assert "ttft" in keys(category="system")
    assert keys(category="all") == ["CSAT", *keys(category="system")]
    shown = http.get("/api/v1/metrics/latency", params={"project": project}).json()
    assert (shown["category"], shown["unit"], shown["scoring_type"]) == ("system", "ms", "lower_is_better")
    assert shown["id"] == http.get("/api/v1/metrics/latency", params={"project": project}).json()["id"]


def test_nobody_registers_gives_changes_or_deletes_them(http: httpx.Client, project: str, log: Any):
    query = {"project": project}
    completion_id = log()
    taken = http.post("/api/v1/metrics", json={"key": "latency", **query})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "metric_is_measured")
    for answer in (
        http.post("/api/v1/feedback", json={"completion_id": completion_id, "metric": "ttft", "value": 1}),
        http.patch("/api/v1/metrics/ttft", params=query, json={"name": "x"}),
        http.delete("/api/v1/metrics/ttft", params=query),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "metric_is_measured")


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ({"feedback": {"metric": "latency", "user": "ann"}}, "invalid_condition"),
        ({"feedback": {"metric": "latency", "reasons": ["x"]}}, "invalid_condition"),
        ({"feedback": {"metric": "latency", "value": {}}}, "empty_condition"),
        ({"state": {"eq": "done"}}, "invalid_state"),
        ({"preference": {"metric": "latency"}}, "metric_is_measured"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(http: httpx.Client, project: str, condition: Any, code: str):
    answer = http.post("/api/v1/interactions/search", json={"project": project, "filter": condition})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def nested(depth: int) -> dict[str, Any]:
    return {"and": []} if depth == 1 else {"or": [nested(depth - 1)]}


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        (nested(MAX_DEPTH), nested(MAX_DEPTH + 1)),
        ({"user": {"in": ["x"] * MAX_VALUE_COUNT}}, {"user": {"in": ["x"] * (MAX_VALUE_COUNT + 1)}}),
        (
            {"prompt": {"contains": "x" * MAX_TEXT_CHARACTERS}},
            {"prompt": {"contains": "x" * (MAX_TEXT_CHARACTERS + 1)}},
        ),
    ],
    ids=["levels", "values", "characters"],
)
def test_filters_may_be_so_large_and_no_larger(http: httpx.Client, project: str, within: Any, beyond: Any):
    def searched(filter: dict[str, Any]) -> httpx.Response:
        return http.post("/api/v1/interactions/search", json={"project": project, "filter": filter})

    assert searched(within).status_code == 200
    refused = searched(beyond)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "filter_too_large")
