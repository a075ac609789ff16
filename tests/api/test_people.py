"""Users, teams, roles and shares: what a user's key may where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest

User = Callable[..., httpx.Client]


@pytest.fixture
def team(http: httpx.Client) -> str:
    """A team of the test's own."""
    key = f"team-{uuid4().hex[:8]}"
    http.post("/api/v1/teams", json={"name": key}).raise_for_status()
    return key


@pytest.fixture
def user(server: Any, http: httpx.Client) -> Iterator[User]:
    """Create a user in teams ({team: role}); return their client. The address is in `headers["x-user"]`."""
    with ExitStack() as stack:

        def created(**teams: str) -> httpx.Client:
            address = f"{uuid4().hex[:8]}@example.com"
            its = [{"team": name, "role": role} for name, role in teams.items()]
            body = {"name": "Ada", "email": address, "teams": its, "generate_api_key": True}
            made = http.post("/api/v1/users", json=body).raise_for_status().json()
            client = stack.enter_context(server.client(made["api_key"]))
            client.headers["x-user"] = address
            return client

        yield created


@pytest.fixture
def share(http: httpx.Client, project: str) -> Callable[..., httpx.Response]:
    """Share the test's project with teams ({team: role}), and with no other."""

    def shared(**teams: str) -> httpx.Response:
        shares = [{"team": name, "role": role} for name, role in teams.items()]
        return http.put(f"/api/v1/projects/{project}/shares", json={"shares": shares}).raise_for_status()

    return shared


def may(client: httpx.Client, project: str, completion_id: str) -> set[str]:
    """Return what a client may in a project, by trying it."""
    said = {"messages": [{"role": "user", "content": "Hi"}]}
    tries = {
        "read": client.get(f"/api/v1/interactions/{completion_id}"),
        "call": client.post("/api/v1/chat/completions", json={"model": f"{project}/echo", **said}),
        "write": client.post("/api/v1/interactions", json={"project": project, "completion": "Ho", **said}),
        "edit": client.post("/api/v1/metrics", json={"project": project, "key": f"m-{uuid4().hex[:8]}"}),
        "administer": client.post("/api/v1/keys", json={"name": "x"}),
    }
    assert {answer.status_code for answer in tries.values()} <= {200, 201, 403, 404}
    return {name for name, answer in tries.items() if answer.status_code < 300}


# ------------------------------------------------------------------------------------------------ what a user may


@pytest.mark.parametrize(
    ("of_share", "of_member", "expected"),
    [
        ("admin", "admin", {"read", "call", "write", "edit"}),
        ("power_user", "admin", {"read", "call", "write", "edit"}),
        ("power_user", "read-only", {"read"}),
        ("read-only", "admin", {"read"}),
        ("annotator", "power_user", {"read", "write"}),
        ("inference", "inference", {"call", "write"}),
        ("inference", "read-only", set()),
    ],
)  # fmt: skip
def test_a_user_may_what_both_the_share_and_his_role_allow(
    http: Any, user: User, share: Any, log: Any, team: str, project: str, of_share: str, of_member: str, expected: set
):
    http.post(f"/api/v1/projects/{project}/models", json={"model": "echo"}).raise_for_status()
    one = log()["completion_id"]
    client = user(**{team: of_member})
    assert may(client, project, one) == set()
    share(**{team: of_share})
    assert may(client, project, one) == expected
    [key] = [key for key in http.get("/api/v1/keys").json()["keys"] if key["user"] == client.headers["x-user"]]
    assert set(key["permissions"].get(project, ())) - {"share"} == expected
    if "read" in expected:
        assert client.get(f"/api/v1/projects/{project}").json()["permissions"] == key["permissions"][project]


def test_a_member_of_the_administrators_may_everywhere(user: User, log: Any, http: Any, project: str):
    http.post(f"/api/v1/projects/{project}/models", json={"model": "echo"}).raise_for_status()
    one = log()["completion_id"]
    assert may(user(admin="admin"), project, one) == {"read", "call", "write", "edit", "administer"}
    assert may(user(admin="read-only"), project, one) == {"read"}


def test_what_a_user_may_ends_at_once(
    http: Any, user: User, share: Any, log: Any, team: str, project: str, refused: Any
):
    one = log()["completion_id"]
    client = user(**{team: "power_user"})
    share(**{team: "power_user"})
    assert client.get(f"/api/v1/interactions/{one}").status_code == 200
    share()
    assert client.get(f"/api/v1/interactions/{one}").status_code in (403, 404)
    share(**{team: "power_user"})
    http.delete(f"/api/v1/teams/{team}/members/{client.headers['x-user']}").raise_for_status()
    refused(client.get(f"/api/v1/interactions/{one}"), 403, "role_not_allowed")
    member = {"user": client.headers["x-user"], "role": "power_user"}
    http.put(f"/api/v1/teams/{team}/members", json=member).raise_for_status()
    assert client.get(f"/api/v1/interactions/{one}").status_code == 200
    http.delete(f"/api/v1/users/{client.headers['x-user']}").raise_for_status()
    refused(client.get(f"/api/v1/interactions/{one}"), 401, "invalid_api_key")


def test_sharing_takes_a_role_that_may(http: Any, user: User, share: Any, team: str, project: str):
    role = f"editor-{uuid4().hex[:8]}"
    words = {"name": role, "permissions": ["use_case:read", "project:edit"]}
    assert http.post("/api/v1/roles", json=words).json()["permissions"] == ["project:edit", "project:read"]
    editor, owner = user(**{team: role}), user(**{team: "power_user"})
    share(**{team: "power_user"})
    body = {"shares": [{"team": team, "role": "power_user", "is_owner": True}]}
    assert editor.put(f"/api/v1/projects/{project}/shares", json=body).status_code == 403
    assert owner.put(f"/api/v1/projects/{project}/shares", json=body).json() == body
    assert editor.get(f"/api/v1/projects/{project}/shares").json() == body


def test_a_project_is_created_for_its_team(http: Any, user: User, team: str):
    client = user(**{team: "power_user"})
    key = f"theirs-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": key, "team": team}).raise_for_status()
    assert [one["key"] for one in client.get("/api/v1/projects").json()["projects"]] == [key]


# ------------------------------------------------------------------------------------------------ who there is


def test_the_first_teams_and_roles_are_there(http: httpx.Client):
    teams = {one["key"] for one in http.get("/api/v1/teams").json()["teams"]}
    roles = {one["key"] for one in http.get("/api/v1/roles").json()["roles"]}
    assert {"default", "admin"} <= teams
    assert {"admin", "power_user", "annotator", "inference", "read-only"} <= roles
    assert "project:read" in http.get("/api/v1/permissions").json()["permissions"]


def test_a_user_is_shown_with_their_teams_and_their_key_once(http: Any, user: User, team: str):
    client = user(**{team: "annotator"})
    http.put(f"/api/v1/teams/{team}/members", json={"user": client.headers["x-user"], "role": "power_user"})
    [shown] = [one for one in http.get("/api/v1/users").json()["users"] if one["email"] == client.headers["x-user"]]
    assert shown["teams"] == [{"team": team, "role": "power_user"}]
    assert shown["api_key"] is None
    [key] = [one for one in http.get("/api/v1/keys").json()["keys"] if one["user"] == client.headers["x-user"]]
    assert key["name"] == "Ada"
    second = http.post("/api/v1/keys", json={"name": "second", "user": client.headers["x-user"]}).json()["api_key"]
    headers = {"Authorization": f"Bearer {second}"}
    assert http.get("/api/v1/users/me", headers=headers).status_code == 403


def test_the_administrator_is_somebody(http: httpx.Client):
    me = http.get("/api/v1/users/me").json()
    assert (me["name"], me["kind"]) == ("administrator", "system")


def test_what_cannot_be_is_refused_by_its_field(http: Any, refused: Any, team: str):
    refused(http.post("/api/v1/teams", json={"name": team}), 409, "key_taken", "key")
    words = {"name": "x", "permissions": ["project:fly"]}
    assert "project:read" in refused(http.post("/api/v1/roles", json=words), 422, "unknown_permission")["hint"]
    refused(http.post("/api/v1/users", json={"name": "x"}), 422, "missing_field", "email")
    refused(http.post("/api/v1/users", json={"name": "x", "email": "x"}), 422, "invalid_email", "email")
    teams = [{"team": "nobody", "role": "admin"}]
    refused(http.post("/api/v1/users", json={"name": "x", "email": "a@b", "teams": teams}), 404, "team_not_found")
    refused(http.delete("/api/v1/users/nobody"), 404, "user_not_found")
    refused(http.delete(f"/api/v1/teams/{team}/members/nobody"), 404, "user_not_found")
    refused(http.post("/api/v1/projects", json={"key": "x", "team": "nobody"}), 404, "team_not_found")


def test_people_are_there_after_a_restart(new_server: Any):
    running = new_server()
    with running.client() as http:
        body = {
            "name": "bot",
            "kind": "system",
            "teams": [{"team": "default", "role": "admin"}],
            "generate_api_key": True,
        }
        made = http.post("/api/v1/users", json=body).raise_for_status().json()
        shares = {"shares": [{"team": "default", "role": "read-only"}]}
        http.put("/api/v1/projects/default/shares", json=shares).raise_for_status()
    running.stop()
    running.start()
    with running.client(made["api_key"]) as client:
        assert client.get("/api/v1/users/me").json()["email"] == made["email"] == "bot@system.afterword.local"
        assert [one["key"] for one in client.get("/api/v1/projects").json()["projects"]] == ["default"]
