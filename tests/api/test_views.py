"""Saved views: filters of the page under a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

Refused = Callable[..., dict[str, Any]]


@pytest.fixture
def path(project: str) -> str:
    return f"/api/v1/projects/{project}/views"


def save(http: httpx.Client, path: str, name: str = "Unhappy", search: str = "?q=CSAT<3") -> dict[str, Any]:
    answer = http.post(path, json={"name": name, "search": search})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_view_is_kept_changed_and_deleted(http: httpx.Client, path: str, project: str):
    view = save(http, path)
    assert (view["name"], view["search"], view["project"], view["by"]) == (
        "Unhappy",
        "?q=CSAT<3",
        project,
        "administrator",
    )
    first = save(http, path, "A first one")
    assert [one["name"] for one in http.get(path).json()["views"]] == ["A first one", "Unhappy"]
    changed = http.patch(f"{path}/{view['id']}", json={"name": "Sad", "search": "?q=CSAT<2"}).json()
    assert changed == {**view, "name": "Sad", "search": "?q=CSAT<2"}
    assert http.delete(f"{path}/{first['id']}").json() == {"deleted": True}
    assert http.get(path).json()["views"] == [changed]


def test_a_name_is_taken_once_in_a_project(http: httpx.Client, path: str, refused: Refused):
    first, second = save(http, path), save(http, path, "Other")
    refused(http.post(path, json={"name": "Unhappy", "search": ""}), 409, "view_exists", "name")
    refused(http.patch(f"{path}/{second['id']}", json={"name": "Unhappy"}), 409, "view_exists", "name")
    assert http.patch(f"{path}/{first['id']}", json={"name": "Unhappy"}).status_code == 200


@pytest.mark.parametrize("body", [{"name": " ", "search": ""}, {"name": "x", "search": "y" * 8001}, {"name": "x"}])
def test_what_is_no_view_is_refused(http: httpx.Client, path: str, refused: Refused, body: dict[str, str]):
    refused(http.post(path, json=body), 422)


def test_a_view_of_another_project_is_not_there(http: httpx.Client, path: str, refused: Refused):
    view = save(http, path)
    other = f"other-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": other}).raise_for_status()
    for method, body in (("PATCH", {"name": "x"}), ("DELETE", None)):
        answer = http.request(method, f"/api/v1/projects/{other}/views/{view['id']}", json=body)
        refused(answer, 404, "view_not_found", "view_id")


def test_who_may_only_read_sees_views_and_makes_none(server, http: httpx.Client, path: str, refused: Refused):
    view = save(http, path)
    key = http.post("/api/v1/keys", json={"name": "eye", "role": "viewer"}).json()["api_key"]
    with server.client(key) as viewer:
        assert viewer.get(path).json()["views"] == [view]
        refused(viewer.post(path, json={"name": "mine", "search": ""}), 403)
