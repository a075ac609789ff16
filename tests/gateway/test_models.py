"""The registry of models: registered, attached, switched off, deleted; and what a call of each then is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

Refused = Callable[..., dict[str, Any]]


@pytest.fixture
def key() -> str:
    return f"model-{uuid4().hex[:8]}"


@pytest.fixture
def bound(gateway) -> Iterator[httpx.Client]:
    """A member of the test's project alone."""
    made = gateway.http.post("/api/v1/keys", json={"name": "bound", "role": "admin", "projects": [gateway.project]})
    with gateway.server.client(made.json()["api_key"]) as client:
        yield client


def post(gateway: Any, path: str, **body: Any) -> httpx.Response:
    return gateway.http.post(f"/api/v1/{path}", json=body)


# ------------------------------------------------------------------------------------------------ the registry


def test_a_model_is_registered_with_defaults(gateway, key: str):
    made = post(gateway, "models", key=key, provider="echo")
    assert made.status_code == 201
    assert made.json() | {"id": 0, "created_at": 0, "created": 0} == {
        "id": 0, "key": key, "name": key, "provider": "echo", "external_model_id": key, "endpoint": None,
        "has_api_key": False, "headers": [], "extra_params": {}, "fallback": None, "projects": [], "created_at": 0,
        "object": "model", "created": 0, "owned_by": "echo",
    }  # fmt: skip
    for name in (key, made.json()["id"]):
        assert gateway.http.get(f"/api/v1/models/{name}").json() == made.json()


def test_a_key_is_made_of_the_name(gateway):
    name = f"GPT Mini {uuid4().hex[:8]}"
    assert post(gateway, "models", name=name, provider="echo").json()["key"] == name.lower().replace(" ", "-")


def test_registering_model_twice_is_idempotent_and_difference_conflicts(gateway, key: str, refused: Refused):
    body = {
        "key": key,
        "provider": "open_ai",
        "endpoint": "http://127.0.0.1:9/v1",
        "api_key": "sk-1",
        "headers": {"a": "b"},
    }
    first = post(gateway, "models", **body)
    assert post(gateway, "models", **body).json() == first.json()
    for changed in ({"api_key": "sk-2"}, {"headers": {"a": "c"}}):
        refused(post(gateway, "models", **body | changed), 409, "model_exists", "api_key")
    for param, value in {"endpoint": None, "name": "Other", "extra_params": {"top_p": 1}, "provider": "google"}.items():
        refused(post(gateway, "models", **body | {param: value}), 409, "model_exists", param)


def test_the_providers_key_is_kept_and_never_shown(gateway, key: str):
    secrets = [uuid4().hex, uuid4().hex]
    made = post(gateway, "models", key=key, provider="open_ai", api_key=secrets[0], headers={"X-Team": secrets[1]})
    changed = gateway.http.patch(f"/api/v1/models/{key}", json={"name": "Other"})
    listed = gateway.http.get("/api/v1/models")
    for answer in (made, changed, listed, gateway.http.get(f"/api/v1/models/{key}")):
        assert not [secret for secret in secrets if secret in answer.text]
    assert changed.json()["has_api_key"]
    assert changed.json()["headers"] == ["X-Team"]
    taken = gateway.http.patch(f"/api/v1/models/{key}", json={"api_key": None, "headers": None}).json()
    assert (taken["has_api_key"], taken["headers"]) == (False, [])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"provider": "azure"}, "endpoint"),
        ({"provider": "open_ai", "endpoint": "ftp://somewhere"}, "endpoint"),
        ({"provider": "open_ai", "endpoint": "https://user:secret@somewhere"}, "endpoint"),
        ({"provider": "open_ai", "headers": {"Host": "x"}}, "headers.Host"),
        ({"provider": "open_ai", "api_key": "a\nb"}, "api_key"),
        ({"provider": "echo", "fallback": "nobody"}, "fallback"),
        ({"provider": "echo", "project": "nowhere"}, "project"),
        ({"provider": "echo", "key": "a//b"}, "key"),
        ({"provider": "skynet"}, "provider"),
        ({"provider": "echo", "modle": "x"}, "modle"),
    ],
)
def test_what_cannot_be_a_model_is_refused_by_its_field(gateway, key: str, refused: Refused, body: Any, param: str):
    answer = post(gateway, "models", **{"key": key} | body)
    error = refused(answer, answer.status_code, param=param)
    assert answer.status_code in (404, 422), answer.text
    assert "a\nb" not in error["message"]


def test_a_model_that_was_only_logged_becomes_callable(gateway, key: str, refused: Refused):
    logged = {
        "messages": [{"role": "user", "content": "Hi"}],
        "completion": "Ho",
        "project": gateway.project,
        "model": key,
    }
    post(gateway, "interactions", **logged).raise_for_status()
    before = gateway.http.get(f"/api/v1/models/{key}").json()
    assert before["provider"] is None
    assert gateway.http.get(f"/api/v1/models/{key}/status").json()["status"] == "unknown"
    refused(post(gateway, f"projects/{gateway.project}/models", model=key), 422, "model_logged_only")
    post(gateway, "models", key=key, provider="echo", project=gateway.project).raise_for_status()
    assert gateway.http.get(f"/api/v1/models/{key}").json()["id"] == before["id"]
    assert gateway.ask(f"{gateway.project}/{key}").status_code == 200


def test_a_change_counts_for_the_next_call(gateway):
    model = gateway.model("error-500")
    assert gateway.ask(model).status_code == 500
    key = model.partition("/")[2]
    changes = {
        "external_model_id": f"good:{key}",
        "extra_params": {"seed": 7, "temperature": None},
        "api_key": "sk-other",
    }
    gateway.http.patch(f"/api/v1/models/{key}", json=changes).raise_for_status()
    assert gateway.ask(model, temperature=1).status_code == 200
    [*_, seen] = gateway.upstream.seen(f"good:{key}")
    assert seen["body"]["seed"] == 7
    assert "temperature" not in seen["body"]
    assert "sk-other" in str(seen["headers"])


def test_a_deleted_model_is_called_no_more_and_its_interactions_stay(gateway, refused: Refused):
    model = gateway.model()
    completion_id = gateway.ask(model).json()["choices"][0]["completion_id"]
    key = model.partition("/")[2]
    assert gateway.http.delete(f"/api/v1/models/{key}").json() == {"deleted": True}
    refused(gateway.ask(model), 400, "model_logged_only")
    assert gateway.logged(completion_id)["model"] == key
    assert gateway.http.get(f"/api/v1/models/{key}").json()["provider"] is None


def test_models_of_providers_that_answer_are_online(gateway, key: str):
    online = gateway.http.get(f"/api/v1/models/{gateway.model().partition('/')[2]}/status").json()
    assert (online["status"], online["error"]) == ("online", None)
    post(gateway, "models", key=key, provider="open_ai", endpoint="http://127.0.0.1:9/v1").raise_for_status()
    offline = gateway.http.get(f"/api/v1/models/{key}/status").json()
    post(gateway, f"projects/{gateway.project}/models", model=key).raise_for_status()
    listed = gateway.http.get(f"/api/v1/projects/{gateway.project}/models", params={"status": True}).json()["models"]
    assert {one["model"]: one["status"]["status"] for one in listed}[key] == "offline"
    assert {one["status"]["status"] for one in listed} == {"online", "offline"}
    plain = gateway.http.get(f"/api/v1/projects/{gateway.project}/models").json()["models"]
    assert all("status" not in one for one in plain)
    assert offline["status"] == "offline"
    assert "127.0.0.1:9" in offline["error"]


# ------------------------------------------------------------------------------------------------ in a project


def test_first_model_of_project_is_default_until_another_replaces_it(gateway):
    first, second = gateway.model(), gateway.model()
    answer = gateway.ask(gateway.project)
    assert answer.json()["choices"][0]["model"] == first.partition("/")[2]
    its = f"projects/{gateway.project}/models"
    gateway.http.patch(f"/api/v1/{its}/{second.partition('/')[2]}", json={"is_default": True}).raise_for_status()
    assert gateway.ask(gateway.project).json()["choices"][0]["model"] == second.partition("/")[2]
    listed = gateway.http.get(f"/api/v1/{its}").json()["models"]
    assert [(f"{one['project']}/{one['model']}", one["is_default"]) for one in listed] == [
        (second, True),
        (first, False),
    ]


def test_disabled_or_detached_model_is_refused_only_in_its_project(gateway, refused: Refused):
    model = gateway.model()
    key = model.partition("/")[2]
    its = f"/api/v1/projects/{gateway.project}/models/{key}"
    gateway.http.patch(its, json={"enabled": False}).raise_for_status()
    assert key in refused(gateway.ask(model), 404, "model_not_found")["message"]
    gateway.http.patch(its, json={"enabled": True}).raise_for_status()
    assert gateway.ask(model).status_code == 200
    gateway.http.delete(its).raise_for_status()
    assert key in refused(gateway.ask(model), 404)["message"]
    refused(gateway.http.delete(its), 404, "model_not_found")
    assert gateway.http.get(f"/api/v1/models/{key}").json()["projects"] == []


def test_openais_clients_see_what_they_can_call(gateway, bound: httpx.Client):
    off, on = gateway.model(), gateway.model()
    gateway.http.patch(f"/api/v1/projects/{gateway.project}/models/{off.partition('/')[2]}", json={"enabled": False})
    listed = bound.get("/api/v1/models").json()
    assert listed["object"] == "list"
    assert [(one["id"], one["object"]) for one in listed["data"]] == [(on, "model")]
    assert {one["key"] for one in listed["models"]} == {off.partition("/")[2], on.partition("/")[2]}
    assert bound.get(f"/api/v1/models/{on}").json()["key"] == on.partition("/")[2]


def test_a_key_of_some_projects_attaches_models_but_changes_none(
    gateway, bound: httpx.Client, key: str, refused: Refused
):
    post(gateway, "models", key=key, provider="echo").raise_for_status()
    refused(bound.post("/api/v1/models", json={"key": "x", "provider": "echo"}), 403, "key_of_some_projects")
    refused(bound.patch(f"/api/v1/models/{key}", json={"name": "x"}), 403, "key_of_some_projects")
    refused(bound.get(f"/api/v1/models/{key}"), 404, "model_not_found")
    bound.post(f"/api/v1/projects/{gateway.project}/models", json={"model": key}).raise_for_status()
    assert bound.get(f"/api/v1/models/{key}").json()["projects"] == [gateway.project]
    bare = {"model": key, "messages": [{"role": "user", "content": "Hi"}]}
    assert bound.post("/api/v1/chat/completions", json=bare).json()["choices"][0]["model"] == key


# ------------------------------------------------------------------------------------------------ secrets


def test_with_another_secret_a_model_says_so_and_takes_a_new_key(new_server, gateway, refused: Refused):
    running = new_server(AFTERWORD_SECRET_KEY="the first")
    other = type(gateway)(running, "default", gateway.upstream)
    model = other.model()
    assert other.ask(model).status_code == 200
    assert not (running.directory / "secret.key").exists()
    running.stop()
    running.environment["AFTERWORD_SECRET_KEY"] = "the second"
    running.start()
    other.http = running.client()
    assert "AFTERWORD_SECRET_KEY" in str(refused(other.ask(model), 400, "secret_changed")["hint"])
    assert other.http.get(f"/api/v1/models/{model.partition('/')[2]}").json()["has_api_key"]
    new = {"api_key": "sk-new", "headers": None}
    other.http.patch(f"/api/v1/models/{model.partition('/')[2]}", json=new).raise_for_status()
    assert other.ask(model).status_code == 200


def test_the_servers_own_secret_is_for_its_user_alone(new_server, gateway):
    running = new_server()
    type(gateway)(running, "default", gateway.upstream).model()
    assert (running.directory / "secret.key").stat().st_mode & 0o777 == 0o600
    assert json.loads(running.client().get("/api/v1/models/echo").text)["provider"] == "echo"


@pytest.mark.parametrize(
    ("below", "path", "query"),
    [
        ("", "/openai/deployments/{}", "api-version=2024-10-21"),
        ("/openai/", "/openai/deployments/{}", "api-version=2024-10-21"),
        ("/?api-version=2025-01-01", "/openai/deployments/{}", "api-version=2025-01-01"),
        ("/openai/deployments/mine", "/openai/deployments/mine", "api-version=2024-10-21"),
        ("/openai/v1", "/openai/v1", ""),
        ("/openai/v1/?api-version=preview", "/openai/v1", "api-version=preview"),
    ],
)
def test_azure_is_called_where_its_deployments_are(gateway, below: str, path: str, query: str):
    model = gateway.model("good", provider="azure", endpoint=gateway.upstream.url + below)
    deployment = gateway.external[-1]
    path = path.format(deployment)
    assert gateway.ask(model).json()["choices"][0]["message"]["content"] == "You said: Hello there"
    assert gateway.stream(model)[1]
    vector = {"model": model, "input": "Hello"}
    gateway.http.post("/api/v1/embeddings", json=vector).raise_for_status()
    whole, streamed, embedded = gateway.upstream.seen(deployment)
    assert [one["path"] for one in (whole, streamed, embedded)] == [
        f"{path}/chat/completions",
        f"{path}/chat/completions",
        f"{path}/embeddings",
    ]
    for seen in (whole, streamed, embedded):
        assert (seen["query"], seen["headers"]["api-key"]) == (query, "sk-of-the-provider")
        assert "authorization" not in seen["headers"]


def test_azure_takes_endpoint_key_and_version_of_the_environment(new_server, gateway):
    running = new_server(
        AZURE_OPENAI_ENDPOINT=gateway.upstream.url, AZURE_OPENAI_API_KEY="sk-azure", OPENAI_API_VERSION="2025-02-02"
    )
    other = type(gateway)(running, "default", gateway.upstream)
    model = other.model("good", provider="azure", endpoint=None, api_key=None)
    other.ask(model).raise_for_status()
    [seen] = gateway.upstream.seen(other.external[-1])
    assert seen["path"] == f"/openai/deployments/{other.external[-1]}/chat/completions"
    assert (seen["query"], seen["headers"]["api-key"]) == ("api-version=2025-02-02", "sk-azure")
    other.http.close()
