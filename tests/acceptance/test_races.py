"""Two callers at once: of those who make or delete one thing one wins, and the others hear what they come too late for.

On PostgreSQL they are at two servers, which hear of each other a moment later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

CALLERS = 6
ROUNDS = 5
GONE = {404, 409, 422}
Sent = tuple[str, str, dict[str, Any]]
Race = Callable[["Crowd", str], Sent]


class Crowd:
    """Several callers, at all servers of a store in turn."""

    def __init__(self, servers: list[Any]) -> None:
        self.servers = servers
        self.clients = [servers[place % len(servers)].client() for place in range(CALLERS)]
        self._start = threading.Barrier(CALLERS)
        self._pool = ThreadPoolExecutor(CALLERS)

    def make(self, path: str, **body: Any) -> dict[str, Any]:
        """Make a thing; return the answer."""
        return self.clients[0].post(f"/api/v1/{path}", json=body).raise_for_status().json()

    def at_once(self, *calls: Sent) -> list[int]:
        """Make these calls in turn by all callers at the same time; return the statuses."""

        def send_call(place: int) -> int:
            method, path, more = calls[place % len(calls)]
            self._start.wait()
            answer = self.clients[place].request(method, f"/api/v1/{path}", **more)
            assert answer.status_code < 500, answer.text
            return answer.status_code

        return list(self._pool.map(send_call, range(CALLERS)))

    def close(self) -> None:
        """Close all connections."""
        self._pool.shutdown()
        for client in self.clients:
            client.close()


@pytest.fixture(scope="module")
def crowd(server: Any, database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    """Callers at one server, or at two over one database."""
    directory, url, secret = tmp_path_factory.mktemp("races"), database(), {"AFTERWORD_SECRET_KEY": "of both"}
    names = ("first", "second") if url else ("only",)
    servers = [type(server)(directory / name, environment=secret, database_url=url) for name in names]
    made = Crowd(servers)
    yield made
    made.close()
    for one in servers:
        one.stop()
        assert "Traceback" not in one.log.read_text()


def post(path: str, **body: Any) -> Sent:
    return "POST", path, {"json": body}


def delete(path: str, **params: Any) -> Sent:
    return "DELETE", path, {"params": params}


MADE: dict[str, Callable[[str], Sent]] = {
    "project": lambda key: post("projects", key=key),
    "metric of another kind": lambda key: post("metrics", key=key, description=uuid4().hex),
    "model of another kind": lambda key: post("models", key=key, provider="echo", name=uuid4().hex),
    "team": lambda key: post("teams", key=key, name=key),
    "role": lambda key: post("roles", key=key, name=key, permissions=["project:read"]),
    "user": lambda key: post("users", name=key, email=f"{key}@example.com"),
    "view": lambda key: post("projects/default/views", name=key, search=""),
    "dataset": lambda key: (
        "POST", "datasets",
        {"params": {"key": key}, "content": b'{"messages": [{"role": "user", "content": "Hi"}]}'},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MADE)
def test_of_those_who_make_one_thing_one_wins(crowd: Crowd, what: str):
    for _ in range(ROUNDS):
        key = f"race-{uuid4().hex[:12]}"
        # What is told apart by its content is another thing for each caller.
        statuses = crowd.at_once(*(MADE[what](key) for _ in range(CALLERS)))
        assert sorted(statuses) == [201] + [409] * (CALLERS - 1)


def _line(crowd: Crowd) -> str:
    sent = {"params": {"key": uuid4().hex}, "content": b'{"messages": [{"role": "user", "content": "Hi"}]}'}
    return crowd.clients[0].post("/api/v1/datasets", **sent).raise_for_status().json()["id"]


def _interaction(crowd: Crowd, **fields: Any) -> dict[str, Any]:
    said = {"messages": [{"role": "user", "content": "Hi"}], "completion": "Ho", **fields}
    return crowd.make("interactions", **said)


def _of_feedback(crowd: Crowd, key: str) -> Sent:
    crowd.make("metrics", key=key)
    completion_id = _interaction(crowd)["completion_id"]
    given = crowd.make("feedback", completion_id=completion_id, metric=key, value=1)
    return delete(f"feedback/{given['feedback_id']}")


def _of_model(crowd: Crowd, key: str) -> Sent:
    return delete(f"models/{crowd.make('models', key=key, provider='echo')['id']}")


def _of_attachment(crowd: Crowd, key: str) -> Sent:
    crowd.make("models", key=key, provider="echo", project="default")
    return delete(f"projects/default/models/{key}")


def _of_upload(crowd: Crowd, key: str) -> Sent:
    begun = crowd.make("upload/init", total_parts_count=1, content_type="text/plain")
    return "DELETE", "upload/abort", {"json": {"session_id": begun["session_id"]}}


DELETED: dict[str, Race] = {
    "interaction": lambda crowd, key: delete(f"interactions/{_interaction(crowd)['completion_id']}"),
    "feedback": _of_feedback,
    "metric": lambda crowd, key: delete(f"metrics/{crowd.make('metrics', key=key)['id']}"),
    "model": _of_model,
    "model of a project": _of_attachment,
    "user": lambda crowd, key: delete(f"users/{crowd.make('users', name=key, email=f'{key}@example.com')['id']}"),
    "view": lambda crowd, key: delete(
        f"projects/default/views/{crowd.make('projects/default/views', name=key, search='')['id']}"
    ),
    "dataset": lambda crowd, key: delete(f"datasets/{_line(crowd)}"),
    "upload": _of_upload,
}


@pytest.mark.parametrize("what", DELETED)
def test_of_those_who_delete_one_thing_one_wins(crowd: Crowd, what: str):
    for _ in range(ROUNDS):
        deletion = DELETED[what](crowd, f"race-{uuid4().hex[:12]}")
        statuses = crowd.at_once(deletion)
        # A server that has not heard of the thing yet knows none of that name.
        assert statuses.count(200) <= 1
        assert set(statuses) <= {200} | GONE
        if len(crowd.servers) == 1:
            assert statuses.count(200) == 1


def test_an_upload_that_is_aborted_meanwhile_makes_no_dataset_and_no_fault(crowd: Crowd):
    line = b'{"messages": [{"role": "user", "content": "%s"}]}\n'
    for _ in range(ROUNDS * 4):
        begun = crowd.make("upload/init", total_parts_count=2, content_type="text/plain")
        its = {"session_id": begun["session_id"]}
        for number in (1, 2):
            part = {"params": {**its, "part_number": number}, "content": line % (b"x" * 200_000)}
            crowd.clients[0].post("/api/v1/upload/part", **part).raise_for_status()
        key = uuid4().hex
        statuses = crowd.at_once(
            post("datasets/from-upload", **its, key=key),
            ("DELETE", "upload/abort", {"json": its}),
            ("POST", "upload/part", {"params": {**its, "part_number": 2}, "content": line % b"y"}),
        )
        assert set(statuses) <= {200, 201} | GONE
        listed = crowd.clients[0].get("/api/v1/datasets").json()["datasets"]
        assert [one["key"] for one in listed].count(key) == statuses.count(201)


def test_what_is_deleted_meanwhile_is_rated_and_changed_without_a_fault(crowd: Crowd):
    for _ in range(ROUNDS):
        key = f"race-{uuid4().hex[:12]}"
        crowd.make("metrics", key=key)
        crowd.make("models", key=key, provider="echo", project="default")
        completion_id = _interaction(crowd)["completion_id"]
        given = crowd.make("feedback", completion_id=completion_id, metric=key, value=1)["feedback_id"]
        crowd.at_once(
            delete(f"interactions/{completion_id}"),
            post("feedback", completion_id=completion_id, metric=key, value=1),
            ("PATCH", f"feedback/{given}", {"json": {"value": 2}}),
            ("PATCH", f"interactions/{completion_id}/labels", {"json": {"set": {"a": "b"}}}),
            ("GET", f"feedback/{given}", {}),
            delete(f"feedback/{given}"),
        )
        crowd.at_once(
            delete(f"models/{key}"),
            ("PATCH", f"models/{key}", {"json": {"name": "x"}}),
            ("PATCH", f"projects/default/models/{key}", {"json": {"enabled": False}}),
            post("projects/default/models", model=key),
            post("chat/completions", model=f"default/{key}", messages=[{"role": "user", "content": "Hi"}]),
            ("GET", "models", {}),
        )
        assert crowd.clients[0].get("/api/v1/models").status_code == 200
        crowd.at_once(
            delete(f"metrics/{key}"),
            ("PATCH", f"metrics/{key}", {"json": {"name": "x"}}),
            post("metrics", key=key),
            ("GET", f"metrics/{key}/statistics", {}),
            post("projects/default/metrics", metric=key),
            ("GET", "metrics", {}),
        )


CHANGED: dict[str, tuple[str, dict[str, Any]]] = {
    "project": ("projects/{key}", {"name": "N", "description": "D", "retention_days": 40}),
    "metric": ("metrics/{key}?project={key}", {"name": "N", "description": "D", "unit": "s"}),
    "model": ("models/{key}", {"name": "N", "external_model_id": "m-2", "extra_params": {"top_k": 4}}),
}


@pytest.mark.parametrize("kind", list(CHANGED))
def test_changes_of_several_members_at_once_all_stay(crowd: Crowd, kind: str):
    path, changes = CHANGED[kind]
    for _ in range(ROUNDS):
        key = f"k{uuid4().hex}"
        crowd.make("projects", key=key)
        crowd.make("metrics", key=key, project=key)
        crowd.make("models", key=key, provider="echo", external_model_id="m")
        place = path.format(key=key)
        calls: list[Sent] = [("PATCH", place, {"json": {name: value}}) for name, value in changes.items()]
        while 404 in (statuses := crowd.at_once(*calls)):
            pass  # The other server has not heard of it yet.
        assert set(statuses) == {200}
        shown = crowd.clients[0].patch(f"/api/v1/{place}", json={"name": "N"}).json()
        assert {name: shown[name] for name in changes} == changes
