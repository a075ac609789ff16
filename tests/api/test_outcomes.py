"""Outcomes: values on whole sessions, from the first call to the statistics over them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def conclude(http: httpx.Client) -> Callable[..., httpx.Response]:
    """Log an outcome, whatever comes of it."""
    return lambda session_id, value=True, metric="solved", **fields: http.post(
        "/api/v1/outcomes", json={"session_id": session_id, "metric": metric, "value": value, **fields}
    )


@pytest.fixture
def listed(http: httpx.Client, project: str) -> Callable[..., list[dict[str, Any]]]:
    """List outcomes, page after page."""

    def list_outcomes(**query: Any) -> list[dict[str, Any]]:
        outcomes, cursor = [], ""
        while cursor is not None:
            asked = {"project": project, **query, **({"cursor": cursor} if cursor else {})}
            page = http.get("/api/v1/outcomes", params=asked).raise_for_status().json()
            outcomes += page["outcomes"]
            cursor = page["next"]
        return outcomes

    return list_outcomes


def test_an_outcome_is_a_value_on_a_session(http: httpx.Client, log: Call, show: Call, register: Call, refused: Call):
    register("solved", "bool")
    own = log()
    joined = log(session_id=str(uuid4()))

    def outcome(session_id: str, value: Any = True, **fields: Any) -> httpx.Response:
        return http.post(
            "/api/v1/outcome", json={"session_id": session_id, "metric": "solved", "value": value, **fields}
        )

    for session_id in (own["session_id"], joined["session_id"]):
        answer = outcome(session_id, details="d", user="u", created_at="2024-02-21")
        assert answer.status_code == 201, answer.text
        assert set(answer.json()) == {"outcome_id"}
    refused(outcome(str(uuid4())), 404, "session_not_found", "session_id")
    refused(outcome(joined["completion_id"]), 404, "session_not_found", "session_id")
    refused(outcome(own["session_id"], project="default"), 404, "session_not_found", "session_id")
    refused(outcome(own["session_id"], 7), 422, "invalid_value", "value")
    refused(outcome(own["session_id"], metric="unknown"), 404, "metric_not_found")
    # It says something of the session, not of its completions.
    assert show(own["completion_id"])["feedback"] == []


def test_a_session_of_the_same_id_elsewhere_takes_no_outcome_away(http: httpx.Client, log: Call, project: str):
    elsewhere, session_id = f"elsewhere-{uuid4().hex[:8]}", str(uuid4())
    http.post("/api/v1/projects", json={"key": elsewhere}).raise_for_status()
    for where in (elsewhere, project):
        http.post("/api/v1/metrics", json={"key": "solved", "kind": "bool", "project": where}).raise_for_status()
        log(project=where, session_id=session_id)
    body = {"session_id": session_id, "metric": "solved", "value": True}
    for where in (project, elsewhere):
        assert http.post("/api/v1/outcome", json={**body, "project": where}).status_code == 201


def test_what_was_logged_is_read_changed_and_deleted(
    http: httpx.Client, log: Call, show: Call, register: Call, conclude: Any, listed: Any, refused: Call, project: str
):
    register("solved", "bool")
    first = log()
    second = log(session_id=first["session_id"])
    elsewhere = log()
    outcome_id = conclude(first["session_id"], details="d", user="ann", created_at="2024-02-21").json()["outcome_id"]
    path = f"/api/v1/outcomes/{outcome_id}"
    outcome = http.get(path).json()
    assert outcome == {
        "outcome_id": outcome_id, "session_id": first["session_id"], "project": project, "metric": "solved",
        "value": 1.0, "details": "d", "user": "ann", "actor": "administrator", "created_at": "2024-02-21T00:00:00Z",
        "mine": True,
    }  # fmt: skip
    assert listed() == [outcome]
    # Whoever opens an interaction of the session sees it.
    for turn in (first, second):
        assert show(turn["completion_id"])["outcomes"] == [outcome]
    assert show(elsewhere["completion_id"])["outcomes"] == []
    turned = http.patch(path, json={"value": False, "details": None}).json()
    assert turned == {**outcome, "value": 0.0, "details": None}
    assert http.patch(path, json={}).json() == turned == http.get(path).json()
    refused(http.patch(path, json={"value": 7}), 422, "invalid_value", "value")
    assert http.delete(path).json() == {"deleted": True}
    for answer in (http.get(path), http.patch(path, json={"value": True}), http.delete(path)):
        refused(answer, 404, "outcome_not_found", "outcome_id")
    assert (listed(), show(first["completion_id"])["outcomes"]) == ([], [])


def test_outcomes_are_listed_by_session_metric_user_and_time(
    http: httpx.Client, log: Call, register: Call, conclude: Any, listed: Any, project: str, refused: Call
):
    register("solved", "bool")
    register("stars")
    sessions = [log()["session_id"] for _ in range(2)]
    for n in range(9):
        fields = {"user": f"user-{n % 3}", "details": str(n), "created_at": f"2024-02-{n // 2 + 1:02}"}
        conclude(sessions[n % 2], n % 2, "solved" if n < 6 else "stars", **fields).raise_for_status()

    def numbers(**query: Any) -> list[int]:
        return [int(one["details"]) for one in listed(**query)]

    newest_first = numbers()
    assert sorted(newest_first) == list(range(9))
    assert numbers(limit=2) == newest_first
    assert numbers(limit=2, order="created_at") == newest_first[::-1]
    assert sorted(numbers(session_id=sessions[0])) == [0, 2, 4, 6, 8]
    assert sorted(numbers(metric="stars")) == [6, 7, 8]
    assert sorted(numbers(user="user-1", metric="solved")) == [1, 4]
    assert sorted(numbers(**{"from": "2024-02-02", "to": "2024-02-04"})) == [2, 3, 4, 5]
    page = http.get("/api/v1/outcomes", params={"project": project, "limit": 1, "count": "true"}).json()
    assert page["count"] == 9
    refused(http.get("/api/v1/outcomes", params={"project": project, "cursor": "x"}), 422, "invalid_cursor", "cursor")
    assert numbers(session_id=str(uuid4())) == []


def test_an_outcome_id_makes_an_outcome_repeatable(
    http: httpx.Client, log: Call, register: Call, conclude: Any, listed: Any, refused: Call
):
    register("solved", "bool")
    session_id, given = log()["session_id"], {"outcome_id": str(uuid4()), "user": "ann"}
    for _ in range(2):
        answer = conclude(session_id, **given)
        assert (answer.status_code, answer.json()) == (201, {"outcome_id": given["outcome_id"]})
    error = refused(conclude(session_id, False, **given), 409, "outcome_exists", "outcome_id")
    assert f"PATCH /api/v1/outcomes/{given['outcome_id']}" in error["hint"]
    http.patch(f"/api/v1/outcomes/{given['outcome_id']}", json={"value": False}).raise_for_status()
    error = refused(conclude(session_id, True, **given), 409, "outcome_exists")
    assert "value false under 'solved'" in error["message"]
    assert conclude(session_id, False, **given).status_code == 201
    assert [one["value"] for one in listed()] == [0.0]


def test_many_outcomes_are_logged_each_on_its_own(
    http: httpx.Client, log: Call, register: Call, listed: Any, project: str
):
    register("solved", "bool")
    known, unknown, outcome_id = log()["session_id"], str(uuid4()), str(uuid4())
    lines = [
        {"session_id": known, "metric": "solved", "value": True, "outcome_id": outcome_id},
        {"session_id": unknown, "metric": "solved", "value": True},
        {"session_id": known, "metric": "solved", "value": 7},
    ]
    for _ in range(2):
        content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        answer = http.post("/api/v1/outcomes/batch", params={"project": project}, content=content)
        results = [json.loads(line) for line in answer.text.splitlines()]
        assert [result["status"] for result in results] == [201, 404, 422]
        assert results[0]["outcome_id"] == outcome_id
    assert [one["outcome_id"] for one in listed()] == [outcome_id]


def test_an_outcome_of_another_project_is_not_seen(
    server: Any, http: httpx.Client, log: Call, register: Call, conclude: Any, refused: Call
):
    register("solved", "bool")
    outcome_id = conclude(log()["session_id"]).json()["outcome_id"]
    body = {"name": "stranger", "role": "admin", "projects": ["default"]}
    with server.client(http.post("/api/v1/keys", json=body).json()["api_key"]) as stranger:
        path = f"/api/v1/outcomes/{outcome_id}"
        for answer in (stranger.get(path), stranger.patch(path, json={"value": False}), stranger.delete(path)):
            refused(answer, 404, "outcome_not_found")
        assert stranger.get("/api/v1/outcomes").json()["outcomes"] == []


def test_outcomes_go_with_the_last_interaction_of_their_session(
    http: httpx.Client, log: Call, register: Call, conclude: Any, listed: Any
):
    register("solved", "bool")
    turns = [log()]
    turns.append(log(session_id=turns[0]["session_id"]))
    conclude(turns[0]["session_id"]).raise_for_status()
    for turn, left in zip(turns, (1, 0), strict=True):
        http.delete(f"/api/v1/interactions/{turn['completion_id']}").raise_for_status()
        assert len(listed()) == left


# ------------------------------------------------------------------------------------------------ details


@pytest.fixture
def found(http: httpx.Client, project: str) -> Callable[[str], list[str]]:
    """Find interactions by words of details, once all are in the index."""

    def find(words: str) -> list[str]:
        while http.get("/health").json()["search"]["waiting"]:
            pass
        body = {"project": project, "filter": {"details": {"contains": words}}}
        page = http.post("/api/v1/interactions/search", json=body).raise_for_status().json()
        ids = [row["completion_id"] for row in page["interactions"]]
        plain_page = http.get("/api/v1/interactions", params={"project": project, "q": f'"{words}"'}).json()
        assert [row["completion_id"] for row in plain_page["interactions"]] == ids
        sessions = http.post("/api/v1/sessions/search", json=body).raise_for_status().json()["sessions"]
        assert {row["session_id"] for row in sessions} == {row["session_id"] for row in page["interactions"]}
        return ids

    return find


@pytest.mark.parametrize("session", ["named", None], ids=["a session with a name", "a session that a turn opened"])
def test_details_of_an_outcome_are_found_with_the_newest_turn_of_then(
    http: httpx.Client, log: Call, register: Call, conclude: Any, found: Any, session: str | None, project: str
):
    register("solved", "bool")
    opened = log(session_id=session, created_at="2024-02-21")
    session_id, first = opened["session_id"], opened["completion_id"]
    second = log(session_id=session_id, created_at="2024-02-22")["completion_id"]
    elsewhere = f"{project}-2"
    http.post("/api/v1/projects", json={"key": elsewhere}).raise_for_status()
    log(session_id=session_id, project=elsewhere, created_at="2024-02-24")
    outcome_id = conclude(session_id, details="paid très late").json()["outcome_id"]
    silent_id = conclude(session_id).json()["outcome_id"]
    third = log(session_id=session_id, created_at="2024-02-23")["completion_id"]
    conclude(session_id, details="came back").raise_for_status()
    assert (found("tres late"), found("came back")) == ([second], [third])

    http.patch(f"/api/v1/outcomes/{outcome_id}", json={"details": "never paid"}).raise_for_status()
    http.patch(f"/api/v1/outcomes/{silent_id}", json={"details": "said later"}).raise_for_status()
    assert (found("late"), found("never paid"), found("said later")) == ([], [second], [second])
    http.delete(f"/api/v1/outcomes/{silent_id}").raise_for_status()
    assert found("said") == []
    # They outlive the turn, and go with the outcome.
    http.delete(f"/api/v1/interactions/{third}").raise_for_status()
    assert (found("never paid"), found("came back")) == ([second], [second])
    http.delete(f"/api/v1/interactions/{second}").raise_for_status()
    assert (found("never paid"), found("came back")) == ([first], [first])
    http.delete(f"/api/v1/outcomes/{outcome_id}").raise_for_status()
    assert (found("never paid"), found("came back")) == ([], [first])
    http.delete(f"/api/v1/interactions/{first}").raise_for_status()
    assert found("came back") == []


# ------------------------------------------------------------------------------------------------ statistics


def test_statistics_of_sessions_sum_up_outcomes(
    http: httpx.Client, log: Call, register: Call, conclude: Any, project: str, refused: Call
):
    register("stars")
    days = {"a": "2024-02-21", "b": "2024-02-22"}
    for env, values in (("a", (1, 2)), ("b", (5,))):
        opened = log(labels={"env": env}, model=f"model-{env}")
        log(session_id=opened["session_id"], labels={"env": env}, model="model-of-all")
        for value in values:
            conclude(opened["session_id"], value, "stars", created_at=days[env]).raise_for_status()
    log(feedbacks=[{"metric": "stars", "value": 4}])

    def summary(**query: Any) -> dict[str, Any]:
        query = {"project": project, "level": "session", **query}
        return http.get("/api/v1/metrics/stars/statistics", params=query).raise_for_status().json()

    assert summary(level="interaction")["count"] == 1
    whole = summary()
    assert (whole["count"], whole["min"], whole["max"]) == (3, 1.0, 5.0)
    assert whole["mean"] == pytest.approx(8 / 3)
    assert [(one["start"], one["count"]) for one in whole["distribution"]] == [(1.0, 1), (2.0, 1), (5.0, 1)]
    assert summary(label="env:a")["mean"] == 1.5
    by_label = {one["key"]: (one["count"], one["mean"]) for one in summary(split_by="label:env")["splits"]}
    assert by_label == {"a": (2, 1.5), "b": (1, 5.0)}
    by_model = {one["key"]: one["count"] for one in summary(split_by="model")["splits"]}
    assert by_model == {"model-a": 2, "model-b": 1, "model-of-all": 3}
    tree = {"project": project, "level": "session", "filter": {"label": {"key": "env", "value": {"eq": "b"}}}}
    assert http.post("/api/v1/metrics/stars/statistics", json=tree).json()["mean"] == 5.0
    query = {"project": project, "level": "session"}
    trend = http.get("/api/v1/metrics/stars/timeseries", params=query).raise_for_status().json()
    points = [(point["start"][:10], point["count"], point["mean"]) for point in trend["series"][0]["points"]]
    assert points == [("2024-02-21", 2, 1.5), ("2024-02-22", 1, 5.0)]
    refused(http.get("/api/v1/metrics/latency/statistics", params=query), 422, "invalid_level", "level")
    refused(http.get("/api/v1/interactions/timeseries", params=query), 422, "invalid_level", "level")
