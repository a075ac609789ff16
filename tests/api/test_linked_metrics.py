"""Metrics that several projects use: shared ones, and those of another project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest


@pytest.fixture
def key() -> str:
    return f"shared-{uuid4().hex[:8]}"


@pytest.fixture
def other(http: httpx.Client) -> str:
    """Another project."""
    name = f"other-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": name}).raise_for_status()
    return name


@pytest.fixture
def link(http: httpx.Client) -> Callable[[str, str], httpx.Response]:
    """Link a metric to a project."""
    return lambda project, metric: http.post(f"/api/v1/projects/{project}/metrics", json={"metric": metric})


@pytest.fixture
def bound(server: Any, http: httpx.Client, project: str) -> Iterator[httpx.Client]:
    """A member of the test's project alone."""
    made = http.post("/api/v1/keys", json={"name": "bound", "role": "member", "projects": [project]})
    with server.client(made.json()["api_key"]) as client:
        yield client


def keys_of(http: httpx.Client, project: str) -> list[str]:
    return [one["key"] for one in http.get("/api/v1/metrics", params={"project": project}).json()["metrics"]]


def test_a_shared_metric_counts_where_it_is_linked(
    http: httpx.Client, log: Any, show: Any, refused: Any, link: Any, key: str, project: str, other: str
):
    made = http.post("/api/v1/metrics", json={"key": key, "shared": True})
    assert made.status_code == 201
    assert made.json()["project"] is None
    one = log()["completion_id"]
    value = {"completion_id": one, "metric": key, "value": 3}
    refused(http.post("/api/v1/feedback", json=value), 404, "metric_not_found")
    assert link(project, key).json() == made.json()
    assert link(project, made.json()["id"]).json() == made.json()
    http.post("/api/v1/feedback", json=value).raise_for_status()
    assert show(one)["feedback"][0]["metric"] == key
    assert (keys_of(http, project), keys_of(http, other)) == ([key], [])
    filters = {"project": project, "feedback": f"{key}>=3", "group_by": "model"}
    [group] = http.get("/api/v1/interactions", params=filters).json()["groups"]
    assert [(one["metric"], one["mean"]) for one in group["metrics"]] == [(key, 3.0)]


def test_what_was_given_stays_when_a_metric_is_unlinked(
    http: httpx.Client, log: Any, show: Any, refused: Any, link: Any, key: str, project: str
):
    http.post("/api/v1/metrics", json={"key": key, "shared": True}).raise_for_status()
    link(project, key)
    one = log(feedbacks=[{"metric": key, "value": 1}])["completion_id"]
    assert http.delete(f"/api/v1/projects/{project}/metrics/{key}").json() == {"deleted": True}
    refused(http.post("/api/v1/feedback", json={"completion_id": one, "metric": key, "value": 1}), 404)
    assert len(show(one)["feedback"]) == 1
    assert link(project, key).status_code == 201
    assert keys_of(http, project) == [key]


def test_linked_metric_is_used_here_and_changed_only_in_its_project(
    http: httpx.Client, register: Any, refused: Any, link: Any, key: str, project: str, other: str
):
    made = register(key)
    assert link(other, made["id"]).status_code == 201
    assert http.get(f"/api/v1/metrics/{key}", params={"project": other}).json()["project"] == project
    change = {"description": "Anew"}
    refused(http.patch(f"/api/v1/metrics/{key}", params={"project": other}, json=change), 409, "metric_is_linked")
    http.patch(f"/api/v1/metrics/{key}", params={"project": project}, json=change).raise_for_status()
    assert http.get(f"/api/v1/metrics/{key}", params={"project": other}).json()["description"] == "Anew"
    refused(http.delete(f"/api/v1/projects/{project}/metrics/{key}"), 409, "metric_not_linked")
    http.delete(f"/api/v1/metrics/{key}", params={"project": project}).raise_for_status()
    assert keys_of(http, other) == []


def test_a_project_has_no_two_metrics_of_one_key(
    http: httpx.Client, register: Any, refused: Any, link: Any, key: str, project: str, other: str
):
    register(key)
    second = http.post("/api/v1/metrics", json={"key": key, "project": other}).json()
    refused(link(project, second["id"]), 409, "metric_exists")
    refused(link(project, key), 409, "ambiguous_metric")
    refused(link(project, "nobody"), 404, "metric_not_found")


def test_a_key_of_some_projects_sees_shared_metrics_where_they_are_linked(
    http: httpx.Client, bound: httpx.Client, refused: Any, link: Any, key: str, project: str
):
    http.post("/api/v1/metrics", json={"key": key, "shared": True}).raise_for_status()
    refused(bound.post("/api/v1/metrics", json={"key": "x", "shared": True}), 403, "key_of_some_projects")
    refused(bound.post(f"/api/v1/projects/{project}/metrics", json={"metric": key}), 404, "metric_not_found")
    link(project, key)
    assert keys_of(bound, project) == [key]


def test_links_are_there_after_a_restart(new_server: Any, key: str):
    running = new_server()
    with running.client() as http:
        http.post("/api/v1/metrics", json={"key": key, "shared": True}).raise_for_status()
        http.post("/api/v1/projects/default/metrics", json={"metric": key}).raise_for_status()
    running.stop()
    running.start()
    with running.client() as http:
        assert keys_of(http, "default") == [key]
