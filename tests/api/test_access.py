"""Who may do what: each role against each route, keys of some projects, keys that end."""

from __future__ import annotations

import asyncio
import re
import stat
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from afterword.api.routes import ROUTES, Route
from afterword.store.engine import Store
from afterword.store.key_uses import read_key_uses, write_key_uses

Call = Callable[..., dict[str, Any]]
NONE = "0192d3a4-5b6c-7d8e-9f00-112233445566"
ROLES = {
    "admin": {
        "read", "list_models", "call", "write", "amend", "judge", "edit", "share", "administer", "administer_server",
    },
    "member": {"read", "list_models", "call", "write", "amend", "judge", "edit"},
    "inference": {"list_models", "call", "write", "amend"},
    "ingest": {"write", "amend"},
    "viewer": {"read", "list_models"},
}  # fmt: skip


@pytest.fixture
def new_key(http: httpx.Client) -> Callable[..., dict[str, Any]]:
    """Create an API key; return the answer."""

    def created(**fields: Any) -> dict[str, Any]:
        answer = http.post("/api/v1/keys", json={"name": "of a test", **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    return created


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def call(client: httpx.Client, route: Route) -> httpx.Response:
    """Call a route about things that are not there, so that who may call it changes nothing."""
    path = re.sub(r"\{[^}]*\}", NONE, route.path)
    if route.events:
        # Of events there is no end: who may see them has got them begun.
        with client.stream(route.method, path) as answer:
            if answer.status_code != 200:
                answer.read()
            return answer
    return client.request(route.method, path, json=None if route.body is None else {})


# ------------------------------------------------------------------------------------------------ roles


@pytest.fixture(scope="module")
def callers(server) -> Iterator[dict[str, httpx.Client]]:
    """A client for each role."""
    with server.client() as http:
        keys = {role: http.post("/api/v1/keys", json={"name": role, "role": role}).json() for role in ROLES}
        clients = {role: server.client(key["api_key"]) for role, key in keys.items()}
        yield clients
        for client in clients.values():
            client.close()
        for key in keys.values():
            http.delete(f"/api/v1/keys/{key['id']}")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_role_may_what_it_is_for_and_nothing_else(
    callers: dict[str, httpx.Client], refused: Call, role: str, route: Route
):
    answer = call(callers[role], route)
    if route.needs in ("open", "key") or route.needs in ROLES[role]:
        assert answer.status_code not in (401, 403, 500), answer.text
    else:
        error = refused(answer, 403, "role_not_allowed")
        assert role in error["message"]
        for one in re.findall(r"\w+", error["hint"].partition("role ")[2].replace(" or ", " ")):
            assert route.needs in ROLES[one]


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_without_a_key_only_what_is_open_is_answered(server, refused: Call, route: Route):
    with httpx.Client(base_url=server.url) as nobody:
        answer = call(nobody, route)
    if route.needs == "open":
        # One signs in with what the body holds, of which there is nothing here.
        assert answer.status_code == (422 if route.name == "sessions.sign_in" else 200)
    else:
        refused(answer, 401, "invalid_api_key")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Bearer aw_wrong", "Bearer", "Basic eDp5", "aw_wrong", ""])
def test_a_wrong_key_is_refused(server, refused: Call, header: str):
    with httpx.Client(base_url=server.url, headers={"Authorization": header}) as somebody:
        refused(somebody.get("/api/v1/projects"), 401, "invalid_api_key")


def test_the_scheme_is_read_whatever_its_case(server):
    with httpx.Client(base_url=server.url, headers={"authorization": f"bEARER {server.api_key}"}) as somebody:
        assert somebody.get("/api/v1/projects").status_code == 200


# ------------------------------------------------------------------------------------------------ projects of a key


@pytest.fixture
def others(http: httpx.Client) -> dict[str, str]:
    """A project that the test's key is not for, with one thing of each kind."""
    project = f"others-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": project}).raise_for_status()
    http.post("/api/v1/metrics", json={"key": "theirs", "project": project}).raise_for_status()
    body = {
        "project": project, "messages": [{"role": "user", "content": "?"}], "completion": "!",
        "session_id": str(uuid4()), "labels": {"a": "b"}, "feedbacks": [{"metric": "theirs", "value": 1}],
    }  # fmt: skip
    made = http.post("/api/v1/interactions", json=body).json()
    return {**made, "project": project, "feedback_id": made["feedback_ids"][0]}


def test_the_things_of_other_projects_are_not_there(
    server, http: httpx.Client, new_key: Call, log: Call, register: Call, project: str, others: dict[str, str],
    refused: Call,
):  # fmt: skip
    register("ours")
    mine = log()["completion_id"]
    theirs, where = others["completion_id"], {"project": others["project"]}
    interaction = {"messages": [{"role": "user", "content": "?"}], "completion": "!"}
    with server.client(new_key(role="member", projects=[project])["api_key"]) as own:
        assert own.get(f"/api/v1/interactions/{mine}").status_code == 200
        refusals = {
            "interaction": own.get(f"/api/v1/interactions/{theirs}"),
            "labels of it": own.patch(f"/api/v1/interactions/{theirs}/labels", json={"set": {"a": "c"}}),
            "deletion": own.delete(f"/api/v1/interactions/{theirs}"),
            "feedback": own.get(f"/api/v1/feedback/{others['feedback_id']}"),
            "its change": own.patch(f"/api/v1/feedback/{others['feedback_id']}", json={"value": 2}),
            "its deletion": own.delete(f"/api/v1/feedback/{others['feedback_id']}"),
            "rating": own.post("/api/v1/feedback", json={"completion_id": theirs, "metric": "theirs", "value": 1}),
            "outcome": own.post(
                "/api/v1/outcome", json={"session_id": others["session_id"], "metric": "theirs", "value": 1}
            ),
            "logging": own.post("/api/v1/interactions", json={**interaction, **where}),
            "list": own.get("/api/v1/interactions", params=where),
            "search": own.post("/api/v1/interactions/search", json=where),
            "all labels": own.get("/api/v1/labels", params=where),
            "project": own.get(f"/api/v1/projects/{others['project']}"),
            "metrics": own.get("/api/v1/metrics", params=where),
            "metric": own.get("/api/v1/metrics/theirs", params=where),
            "registering": own.post("/api/v1/metrics", json={"key": "k", **where}),
            "default": own.post("/api/v1/interactions", json={**interaction, "project": "default"}),
        }
        for sides in ((mine, theirs), (theirs, mine)):
            pair = {"metric": "ours", "preferred_completion": sides[0], "other_completion": sides[1]}
            refusals[f"preference {sides}"] = own.post("/api/v1/comparison", json=pair)
        for what, answer in refusals.items():
            assert answer.status_code == 404, what
            assert refused(answer, 404)["message"].startswith("EntityNotFound"), what
        batch = own.post("/api/v1/feedback/batch", json=[{"completion_id": theirs, "metric": "theirs", "value": 1}])
        assert batch.json()["status"] == 404
        assert [one["key"] for one in own.get("/api/v1/projects").json()["projects"]] == [project]
    after = http.get(f"/api/v1/interactions/{theirs}").json()
    assert (after["labels"], [one["value"] for one in after["feedback"]]) == ({"a": "b"}, [1.0])


def test_an_id_that_another_project_holds_is_taken_without_telling_of_what(
    server, new_key: Call, project: str, others: dict[str, str], refused: Call
):
    body = {"messages": [{"role": "user", "content": "?"}], "completion": "!", "completion_id": others["completion_id"]}
    with server.client(new_key(projects=[project])["api_key"]) as own:
        error = refused(own.post("/api/v1/interactions", json=body), 409, "completion_exists")
    assert others["project"] not in str(error)


def test_a_session_of_another_project_shows_nothing_of_it(server, new_key: Call, project: str, others: dict[str, str]):
    body = {"messages": [{"role": "user", "content": "?"}], "completion": "!", "session_id": others["session_id"]}
    with server.client(new_key(projects=[project])["api_key"]) as own:
        made = own.post("/api/v1/interactions", json=body).json()["completion_id"]
        page = own.get("/api/v1/interactions", params={"session_id": others["session_id"]}).json()
        assert [one["completion_id"] for one in page["interactions"]] == [made]


def test_a_key_of_several_projects_must_say_which(
    server, new_key: Call, project: str, others: dict[str, str], refused: Call
):
    body = {"messages": [{"role": "user", "content": "?"}], "completion": "!"}
    with server.client(new_key(projects=[project, others["project"]])["api_key"]) as own:
        refused(own.post("/api/v1/interactions", json=body), 404, "project_not_found")
        for one in (project, others["project"]):
            assert own.post("/api/v1/interactions", json={**body, "project": one}).status_code == 201


def test_an_administrator_of_some_projects_gives_away_no_more_than_these(
    server, http: httpx.Client, new_key: Call, project: str, others: dict[str, str], refused: Call
):
    everywhere, elsewhere = new_key(role="viewer"), new_key(projects=[others["project"]])
    with server.client(new_key(role="admin", projects=[project])["api_key"]) as own:
        made = own.post("/api/v1/keys", json={"name": "mine"}).json()
        assert made["projects"] == [project]
        refused(own.post("/api/v1/keys", json={"name": "x", "projects": [others["project"]]}), 404, "project_not_found")
        refused(own.post("/api/v1/projects", json={"key": f"new-{uuid4().hex}"}), 403)
        refused(own.patch(f"/api/v1/projects/{others['project']}", json={"archived": True}), 404)
        seen = {one["id"] for one in own.get("/api/v1/keys").json()["keys"]}
        assert made["id"] in seen
        for foreign in (everywhere, elsewhere):
            assert foreign["id"] not in seen
            refused(own.delete(f"/api/v1/keys/{foreign['id']}"), 404, "key_not_found")
        assert own.delete(f"/api/v1/keys/{made['id']}").status_code == 200


# ------------------------------------------------------------------------------------------------ keys


@pytest.mark.embedded
def test_a_key_is_shown_once_and_listed_without_itself(server, http: httpx.Client, new_key: Call, project: str):
    made = new_key(name="a name", role="viewer", projects=[project], expires_at="now + 1 year")
    key = made.pop("api_key")
    assert re.fullmatch(r"aw_[A-Za-z0-9]{32}", key)
    assert key.startswith(made["prefix"])
    assert len(made["prefix"]) == 8
    listed = http.get("/api/v1/keys")
    assert listed.json()["keys"][0] == made or made in listed.json()["keys"]
    assert key not in listed.text
    for file in server.directory.iterdir():
        assert key.encode() not in file.read_bytes(), file.name


def test_a_revoked_key_is_refused_at_once_and_for_good(server, http: httpx.Client, new_key: Call, refused: Call):
    made = new_key()
    with server.client(made["api_key"]) as own:
        assert own.get("/api/v1/projects").status_code == 200
        revoked = http.delete(f"/api/v1/keys/{made['id']}").json()
        assert revoked["revoked_at"]
        error = refused(own.get("/api/v1/projects"), 401, "invalid_api_key")
        assert "revoked" in error["message"]
    assert http.delete(f"/api/v1/keys/{made['id']}").json() == revoked
    assert revoked in http.get("/api/v1/keys").json()["keys"]


def test_a_key_expires(server, new_key: Call, refused: Call):
    made = new_key(expires_at=int(time.time() * 1000) + 1_500)
    with server.client(made["api_key"]) as own:
        assert own.get("/api/v1/projects").status_code == 200
        while (answer := own.get("/api/v1/projects")).status_code == 200:
            pass
        assert "expired" in refused(answer, 401, "invalid_api_key")["message"]


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"role": "owner"}, 422, "role"),
        ({"projects": []}, 422, "projects"),
        ({"projects": ["no-such"]}, 404, "project"),
        ({"name": ""}, 422, "name"),
        ({"expires_at": "soon"}, 422, "expires_at"),
        ({"expires_at": "2024-01-01"}, 422, "expires_at"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    http: httpx.Client, refused: Call, fields: dict[str, Any], status: int, param: str
):
    refused(http.post("/api/v1/keys", json={"name": "x", **fields}), status, param=param)


def test_keys_outlive_a_restart_and_so_does_their_revocation(new_server, refused: Call):
    running = new_server()
    with running.client() as http:
        kept, gone = (http.post("/api/v1/keys", json={"name": "x", "projects": ["default"]}).json() for _ in "ab")
        http.delete(f"/api/v1/keys/{gone['id']}").raise_for_status()
    running.kill()
    running.start()
    with running.client(kept["api_key"]) as http:
        assert [one["key"] for one in http.get("/api/v1/projects").json()["projects"]] == ["default"]
    with running.client(gone["api_key"]) as http:
        refused(http.get("/api/v1/projects"), 401)


def test_the_last_use_of_a_key_and_who_made_it_outlive_a_restart(new_server):
    running = new_server()
    began = int(time.time() * 1000) // 60_000 * 60_000
    with running.client() as http:
        maker = http.post("/api/v1/keys", json={"name": "Amal", "role": "admin"}).json()
        assert (maker["created_by"], maker["last_used_at"]) == ("administrator", None)
        with running.client(maker["api_key"]) as client:
            made = client.post("/api/v1/keys", json={"name": "robot"}).json()
        assert made["created_by"] == "Amal"

    def last_uses() -> dict[str, str | None]:
        with running.client() as http:
            return {key["name"]: key["last_used_at"] for key in http.get("/api/v1/keys").json()["keys"]}

    noted = last_uses()
    assert noted["robot"] is None
    assert noted["Amal"] is not None
    assert datetime.fromisoformat(noted["Amal"]).timestamp() * 1000 >= began
    running.stop()
    running.start()
    assert last_uses() == noted


def test_the_latest_use_of_a_key_counts_of_what_several_servers_note(
    tmp_path: Path, database: Callable[[], str | None]
):
    store = Store(tmp_path, database())
    try:
        for times in ({1: 60_000, 2: 120_000}, {2: 60_000, 3: 60_000}, {1: 180_000}):
            asyncio.run(store.write(lambda transaction, times=times: write_key_uses(transaction, times)))
        assert store.read_now(read_key_uses) == {1: 180_000, 2: 120_000, 3: 60_000}
    finally:
        store.close()


# ------------------------------------------------------------------------------------------------ the administrator's


def test_admin_key_is_created_and_printed_once_and_owner_readable_only(new_server):
    running = new_server(AFTERWORD_API_KEY="")
    file = running.directory / "admin.key"
    key = file.read_text().strip()
    assert re.fullmatch(r"aw_[A-Za-z0-9]{32}", key)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(running.directory.stat().st_mode) == 0o700
    with running.client(key) as http:
        assert http.get("/api/v1/keys").status_code == 200
    running.stop()
    assert running.log.read_text().count(key) == 1
    running.start()
    with running.client(key) as http:
        assert http.get("/api/v1/keys").status_code == 200
    assert running.log.read_text().count(key) == 1
    assert file.read_text().strip() == key


def test_the_key_of_the_environment_comes_first_and_is_written_nowhere(new_server, refused: Call):
    running = new_server()
    with running.client() as http:
        assert http.get("/api/v1/keys").status_code == 200
        assert http.get("/api/v1/keys").json() == {"keys": []}
    assert not (running.directory / "admin.key").exists()
    assert running.api_key not in running.log.read_text()
