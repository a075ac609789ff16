"""Addresses and keys as clients guess them, models in the form of the asking client, and paths that are not served."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

BASES = ("/api/v1", "/v1", "/openai/v1", "/openai")
HELLO = [{"role": "user", "content": "Hello there"}]
ANTHROPIC = {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize("base", BASES)
def test_models_are_called_and_listed_under_each_base_address(gateway: Any, base: str):
    model = gateway.model()
    answer = gateway.http.post(f"{base}/chat/completions", json={"model": model, "messages": HELLO})
    assert gateway.logged(answer.json()["choices"][0]["completion_id"])["completion"] == "You said: Hello there"
    assert gateway.http.post(f"{base}/completions", json={"model": model, "prompt": "Once"}).status_code == 200
    listed = gateway.http.get(f"{base}/models").raise_for_status().json()
    assert model in [one["id"] for one in listed["data"]]
    assert gateway.http.get(f"{base}/models/{model}").json()["id"] == model


def test_streams_work_under_each_base_address(gateway: Any):
    body = {"model": gateway.model(), "messages": HELLO, "stream": True}
    for base in BASES:
        assert "data: [DONE]" in gateway.http.post(f"{base}/chat/completions", json=body).text


def test_azures_paths_call_the_model_that_the_deployment_names(gateway: Any, refused: Any):
    model, other = gateway.model(), gateway.model("error-500")
    base, query = f"/openai/deployments/{model}", {"api-version": "2024-10-21"}
    for body in ({"messages": HELLO}, {"messages": HELLO, "model": other, "stream": True}):
        answer = gateway.http.post(f"{base}/chat/completions", params=query, json=body).raise_for_status()
        logged = gateway.logged(answer.headers["x-afterword-completion-id"])
        assert (logged["model"], logged["completion"]) == (model.partition("/")[2], "You said: Hello there")
    whole = gateway.http.post(f"{base}/completions", params=query, json={"prompt": "Once"}).raise_for_status()
    assert gateway.logged(whole.json()["choices"][0]["completion_id"])["completion"] == "You said: Once"
    embedded = gateway.http.post(f"{base}/embeddings", params=query, json={"input": "a"}).raise_for_status()
    assert len(embedded.json()["data"]) == 1
    painted = gateway.http.post(f"{base}/images/generations", params=query, json={"prompt": "x"}).raise_for_status()
    assert gateway.logged(painted.json()["completion_id"])["operation"] == "image_generations"
    files = {"file": ("a.wav", b"RIFF")}
    written = gateway.http.post(f"{base}/audio/transcriptions", params=query, files=files).raise_for_status()
    assert gateway.logged(written.json()["completion_id"])["completion"] == "Good day."
    bare = model.partition("/")[2]
    plain = gateway.http.post(f"/openai/deployments/{bare}/chat/completions", json={"messages": HELLO})
    refused(plain, 404, "model_not_found")
    refused(gateway.http.post(f"{base}/videos", json={}), 404, "not_served")
    measured = gateway.http.get("/metrics").text
    assert 'route="POST /api/v1/chat/completions"' in measured
    assert "/openai/deployments/" not in measured


@pytest.mark.parametrize("header", ["x-api-key", "x-goog-api-key", "api-key", "authorization"])
def test_a_key_is_taken_from_the_header_of_each_client(gateway: Any, refused: Any, header: str):
    made = {"name": "x", "role": "member", "projects": [gateway.project]}
    key = gateway.http.post("/api/v1/keys", json=made).raise_for_status().json()["api_key"]
    body = {"model": gateway.model(), "messages": HELLO}
    before = "Bearer " if header == "authorization" else ""
    with httpx.Client(base_url=gateway.http.base_url, headers={header: before + key}) as http:
        assert http.post("/v1/chat/completions", json=body).status_code == 200
        assert http.get("/api/v1/interactions", params={"project": gateway.project}).status_code == 200
    with httpx.Client(base_url=gateway.http.base_url, headers={header: before + "wrong"}) as http:
        refused(http.post("/v1/chat/completions", json=body), 401, "invalid_api_key")


def test_models_are_listed_in_pages_as_anthropics_clients_read_them(gateway: Any):
    names = {gateway.model() for _ in range(3)}
    key = (
        gateway.http.post("/api/v1/keys", json={"name": "x", "role": "member", "projects": [gateway.project]})
        .raise_for_status()
        .json()["api_key"]
    )
    with httpx.Client(base_url=gateway.http.base_url, headers={**ANTHROPIC, "x-api-key": key}) as http:
        seen: list[str] = []
        query: dict[str, Any] = {"limit": 2}
        while True:
            page = http.get("/v1/models", params=query).raise_for_status().json()
            assert {one["type"] for one in page["data"]} == {"model"}
            assert all({"id", "display_name", "created_at"} <= set(one) for one in page["data"])
            seen += [one["id"] for one in page["data"]]
            assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
            if not page["has_more"]:
                break
            query["after_id"] = page["last_id"]
        assert set(seen) == names
        assert len(seen) == 3
        before = http.get("/v1/models", params={"limit": 1, "before_id": seen[2]}).json()
        assert ([one["id"] for one in before["data"]], before["has_more"]) == ([seen[1]], True)
        name = seen[0]
        assert http.get(f"/v1/models/{name}").json()["id"] == name
        error = http.get("/v1/models/nobody")
        assert (error.status_code, error.json()["type"], error.json()["error"]["type"]) == (
            404,
            "error",
            "not_found_error",
        )
        assert http.get("/v1/models?limit=0").status_code == 400


def test_models_are_listed_as_googles_clients_read_them(gateway: Any):
    model = gateway.model()
    made = {"name": "x", "role": "member", "projects": [gateway.project]}
    key = gateway.http.post("/api/v1/keys", json=made).raise_for_status().json()["api_key"]
    with httpx.Client(base_url=gateway.http.base_url) as http:
        [listed] = http.get("/v1beta/models", params={"key": key, "pageSize": 50}).raise_for_status().json()["models"]
        assert listed["name"] == f"models/{model}"
        shown = http.get(f"/v1beta/models/{model}", headers={"x-goog-api-key": key}).raise_for_status().json()
        assert shown == listed
        error = http.get("/v1beta/models", params={"key": "wrong"})
        assert (error.status_code, error.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
        error = http.get("/v1beta/models/nobody", params={"key": key})
        assert (error.status_code, error.json()["error"]["status"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "path", ["files", "batches", "assistants", "threads/t1/runs", "vector_stores", "fine_tuning/jobs"]
)
def test_a_path_that_is_not_served_says_so(gateway: Any, refused: Any, base: str, path: str):
    for method in ("GET", "POST"):
        error = refused(
            gateway.http.request(method, f"{base}/{path}", headers={"accept": "text/html"}), 404, "not_served"
        )
        assert "Afterword does not serve" in error["message"]


def test_a_path_that_is_not_served_is_refused_in_the_clients_form(gateway: Any):
    for path in ("messages/batches", "files", "nothing/at/all"):
        error = gateway.http.post(f"/v1/{path}", headers=ANTHROPIC)
        assert (error.status_code, error.json()["type"]) == (404, "error")
        assert error.json()["error"]["type"] == "not_found_error"
    error = gateway.http.get("/v1beta/cachedContents").json()["error"]
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    assert "caches of contents" in error["message"]


def test_calls_are_not_open_to_pages_of_other_sites(gateway: Any):
    asked = {"origin": "https://elsewhere.example", "access-control-request-method": "POST"}
    for base in BASES:
        answer = gateway.http.options(f"{base}/chat/completions", headers=asked)
        assert not [name for name in answer.headers if name.startswith("access-control")]
