"""Projects and the feedback keys in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def key() -> str:
    """A key that no project has."""
    return f"Key of a test-{uuid4().hex[:8]}"


def keys(http: httpx.Client, **query: Any) -> list[str]:
    return [one["key"] for one in http.get("/api/v1/projects", params=query).json()["projects"]]


# ------------------------------------------------------------------------------------------------ projects


def test_a_project_is_created_listed_and_shown_by_key_or_id(http: httpx.Client, key: str):
    answer = http.post("/api/v1/projects", json={"key": key, "name": "A name", "description": "What it is for."})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["key"], made["name"], made["description"], made["archived"]) == (
        key, "A name", "What it is for.", False,
    )  # fmt: skip
    assert http.get(f"/api/v1/projects/{key}").json() == made
    assert http.get(f"/api/v1/projects/{made['id']}").json() == made
    assert keys(http).count(key) == 1
    assert keys(http) == sorted(keys(http))


def test_a_name_defaults_to_the_key(http: httpx.Client, key: str):
    assert http.post("/api/v1/projects", json={"key": key}).json()["name"] == key


def test_a_taken_key_is_refused(http: httpx.Client, key: str, refused: Call):
    http.post("/api/v1/projects", json={"key": key}).raise_for_status()
    refused(http.post("/api/v1/projects", json={"key": key}), 409, "project_exists", "key")
    refused(http.post("/api/v1/projects", json={"key": "default"}), 409, "project_exists", "key")
    assert http.post("/api/v1/projects", json={"key": key.upper()}).status_code == 201


@pytest.mark.parametrize("bad", ["", "a/b", " a", "a ", ".", "..", "a\nb", "x" * 201, "\u0000"])
def test_a_key_that_no_path_can_carry_is_refused(http: httpx.Client, refused: Call, bad: str):
    for path in ("projects", "metrics"):
        refused(http.post(f"/api/v1/{path}", json={"key": bad}), 422, param="key")


def test_a_project_is_changed_where_it_is_named(http: httpx.Client, key: str, refused: Call):
    made = http.post("/api/v1/projects", json={"key": key, "description": "d"}).json()
    path = f"/api/v1/projects/{key}"
    assert http.patch(path, json={}).json() == made
    changed = {**made, "name": "Other", "description": ""}
    assert http.patch(path, json={"name": "Other", "description": ""}).json() == changed
    refused(http.patch(path, json={"key": "x"}), 422, "unknown_field", "key")
    refused(http.patch(path, json={"name": ""}), 422, "invalid_length", "name")
    refused(http.patch(path, json={"name": None}), 422, param="name")
    assert http.get(path).json() == changed
    refused(http.patch("/api/v1/projects/no-such", json={}), 404, "project_not_found")


def test_archived_project_is_read_only_until_restored(
    http: httpx.Client, log: Call, show: Call, register: Call, project: str, refused: Call
):
    register("CSAT")
    made = log()["completion_id"]
    path = f"/api/v1/projects/{project}"
    assert http.patch(path, json={"archived": True}).json()["archived"] is True
    assert project not in keys(http)
    assert project in keys(http, archived=True)
    assert show(made)["project"] == project
    assert len(http.get("/api/v1/interactions", params={"project": project}).json()["interactions"]) == 1
    body = {"project": project, "messages": [{"role": "user", "content": "?"}], "completion": "!"}
    refused(http.post("/api/v1/interactions", json=body), 409, "project_archived", "project")
    metric = {"project": project, "key": "new"}
    refused(http.post("/api/v1/metrics", json=metric), 409, "project_archived", "project")
    assert http.post("/api/v1/interactions/batch", json=[body]).json()["status"] == 409
    http.patch(path, json={"archived": False}).raise_for_status()
    assert http.post("/api/v1/interactions", json=body).status_code == 201


def test_projects_and_metrics_outlive_a_restart(new_server, key: str):
    running = new_server()
    with running.client() as http:
        project = http.post("/api/v1/projects", json={"key": key, "name": "N"}).json()
        project = http.patch(f"/api/v1/projects/{key}", json={"archived": True}).json()
        kept = http.post("/api/v1/metrics", json={"key": "kept", "kind": "bool", "unit": "%"}).json()
        kept = http.patch("/api/v1/metrics/kept", json={"description": "D"}).json()
        http.post("/api/v1/metrics", json={"key": "gone"}).raise_for_status()
        http.delete("/api/v1/metrics/gone").raise_for_status()
    running.kill()
    running.start()
    with running.client() as http:
        assert http.get(f"/api/v1/projects/{key}").json() == project
        assert http.get("/api/v1/metrics").json() == {"metrics": [kept]}
        assert keys(http, archived=True) == sorted([key, "default"])


# ------------------------------------------------------------------------------------------------ metrics

WHOLE = {
    "name": "Satisfaction", "kind": "scalar", "scoring_type": "lower_is_better", "description": "1 to 5", "unit": "pt",
}  # fmt: skip


def test_a_metric_is_registered_listed_and_shown_by_key_or_id(http: httpx.Client, register: Call, project: str):
    made = register("CSAT", **WHOLE)
    plain = register("a-plain one")
    assert {name: made[name] for name in WHOLE} == WHOLE
    assert (made["key"], made["project"]) == ("CSAT", project)
    assert (plain["name"], plain["kind"], plain["scoring_type"], plain["description"], plain["unit"]) == (
        "a-plain one", "scalar", "higher_is_better", "", "",
    )  # fmt: skip
    where = {"project": project}
    assert http.get("/api/v1/metrics", params=where).json() == {"metrics": [made, plain]}
    assert http.get("/api/v1/metrics/CSAT", params=where).json() == made
    assert http.get(f"/api/v1/metrics/{made['id']}", params=where).json() == made


def test_the_same_definition_again_is_answered_the_same(register: Call):
    assert register("CSAT", **WHOLE) == register("CSAT", **WHOLE)


@pytest.mark.parametrize(
    "other",
    [{"kind": "bool"}, {"scoring_type": "higher_is_better"}, {"name": "Other"}, {"unit": ""}, {"description": "x"}],
)
def test_another_definition_under_the_same_key_is_refused(
    http: httpx.Client, register: Call, project: str, refused: Call, other: dict[str, str]
):
    made = register("CSAT", **WHOLE)
    body = {"key": "CSAT", "project": project, **WHOLE, **other}
    [param] = other
    refused(http.post("/api/v1/metrics", json=body), 409, "metric_exists", param)
    assert http.get("/api/v1/metrics/CSAT", params={"project": project}).json() == made


def test_each_project_has_metrics_of_its_own(http: httpx.Client, register: Call, key: str, refused: Call):
    register("CSAT")
    http.post("/api/v1/projects", json={"key": key}).raise_for_status()
    refused(http.get("/api/v1/metrics/CSAT", params={"project": key}), 404, "metric_not_found")
    assert http.post("/api/v1/metrics", json={"key": "CSAT", "project": key, "kind": "bool"}).status_code == 201


def test_a_metric_is_changed_but_not_its_kind(http: httpx.Client, register: Call, project: str, refused: Call):
    made = register("CSAT", **WHOLE)
    path, where = "/api/v1/metrics/CSAT", {"project": project}
    change = {"name": "N", "scoring_type": "higher_is_better", "description": "", "unit": "%"}
    assert http.patch(path, params=where, json={}).json() == made
    assert http.patch(path, params=where, json=change).json() == {**made, **change}
    refused(http.patch(path, params=where, json={"kind": "bool"}), 422, "unknown_field", "kind")
    refused(http.patch(path, params=where, json={"key": "x"}), 422, "unknown_field", "key")
    refused(http.patch(path, params=where, json={"scoring_type": "best"}), 422, param="scoring_type")
    refused(http.patch("/api/v1/metrics/none", params=where, json={}), 404, "metric_not_found")
    assert http.get(path, params=where).json() == {**made, **change}


def test_a_deleted_metric_takes_no_more_and_what_was_given_stays(
    http: httpx.Client, log: Call, show: Call, register: Call, project: str, refused: Call
):
    register("CSAT")
    made = log(feedbacks=[{"metric": "CSAT", "value": 3}])["completion_id"]
    path, where = "/api/v1/metrics/CSAT", {"project": project}
    assert http.delete(path, params=where).json() == {"deleted": True}
    for answer in (http.get(path, params=where), http.delete(path, params=where)):
        refused(answer, 404, "metric_not_found")
    assert http.get("/api/v1/metrics", params=where).json() == {"metrics": []}
    body = {"completion_id": made, "metric": "CSAT", "value": 4}
    refused(http.post("/api/v1/feedback", json=body), 404, "metric_not_found")
    assert [(one["metric"], one["value"]) for one in show(made)["feedback"]] == [("CSAT", 3.0)]


def test_a_deleted_key_can_be_registered_anew_with_another_kind(
    http: httpx.Client, log: Call, show: Call, register: Call, project: str
):
    old = register("CSAT")
    made = log(feedbacks=[{"metric": "CSAT", "value": 3}])["completion_id"]
    http.delete("/api/v1/metrics/CSAT", params={"project": project}).raise_for_status()
    new = register("CSAT", "bool")
    assert new["id"] != old["id"]
    answer = http.post("/api/v1/feedback", json={"completion_id": made, "metric": "CSAT", "value": True})
    assert answer.status_code == 201
    assert [one["value"] for one in show(made)["feedback"]] == [1.0, 3.0]
    page = http.get("/api/v1/interactions", params={"project": project, "feedback": "CSAT=3"}).json()
    assert page["interactions"] == []
