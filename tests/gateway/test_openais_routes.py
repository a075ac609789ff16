"""OpenAI's routes as OpenAI's clients expect them: who may list models, what names them, what is refused with 400."""

from __future__ import annotations

from typing import Any

import pytest

HELLO = [{"role": "user", "content": "Hello there"}]


def key_of(gateway: Any, role: str) -> str:
    made = {"name": role, "role": role, "projects": [gateway.project]}
    return gateway.http.post("/api/v1/keys", json=made).raise_for_status().json()["api_key"]


@pytest.mark.parametrize(
    ("role", "lists", "reads"),
    [
        ("admin", True, True),
        ("member", True, True),
        ("viewer", True, True),
        ("inference", True, False),
        ("ingest", False, False),
    ],
)
def test_a_key_that_may_call_models_lists_and_retrieves_them(gateway, role: str, lists: bool, reads: bool):
    name = gateway.model()
    with gateway.server.client(key_of(gateway, role)) as http:
        listed = http.get("/api/v1/models")
        assert listed.status_code == (200 if lists else 403), listed.text
        if lists:
            assert [one["id"] for one in listed.json()["data"]] == [name]
            assert bool(listed.json()["models"]) == reads
            retrieved = http.get(f"/api/v1/models/{name}").raise_for_status().json()
            assert (retrieved["id"], retrieved["object"]) == (name, "model")
            assert bool(retrieved["endpoint"]) == reads


def test_a_model_is_named_with_a_colon_where_a_slash_will_not_do(gateway):
    project, _, key = gateway.model("good").partition("/")
    tagged = f"{key}:8b"
    gateway.model("good", key=tagged)
    for name in (f"{project}:{key}", f"{project}/{tagged}", f"{project}:{tagged}"):
        answer = gateway.ask(name).raise_for_status().json()
        assert answer["choices"][0]["model"] == name.removeprefix(project)[1:]
        assert gateway.http.get(f"/api/v1/models/{name}").json()["id"] == f"{project}/{name.removeprefix(project)[1:]}"
    refused = gateway.ask(f"{project}:nobody")
    assert refused.status_code == 404
    assert f"{project}/{key}" in refused.json()["error"]["hint"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "chat/completions", {"messages": "x"}),
        ("POST", "chat/completions", {"messages": HELLO, "model": 5}),
        ("POST", "completions", {"model": "default/echo"}),
        ("POST", "embeddings", {"model": "default/echo", "input": []}),
        ("GET", "models?unheard_of=1", None),
    ],
)
def test_what_is_wrong_on_openais_routes_is_a_400(gateway, method: str, path: str, body: Any):
    answer = gateway.http.request(method, f"/api/v1/{path}", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) in [
        (400, "invalid_request_error"),
        (400, "provider_error"),
    ]


GOOD = {"messages": HELLO, "completion": "x"}
BAD = {"messages": HELLO}


@pytest.mark.parametrize(
    ("lines", "status"),
    [([GOOD], 200), ([], 200), ([GOOD, BAD], 207), ([BAD, GOOD], 207), ([BAD, BAD], 422)],
)
def test_a_batch_says_in_its_status_that_lines_were_refused(gateway, lines: list[Any], status: int):
    query = {"project": gateway.project}
    answer = gateway.http.post("/api/v1/interactions/batch", json=lines, params=query)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert len(answer.text.splitlines()) == len(lines)


def test_the_client_reports_a_batch_of_refused_lines_line_by_line(gateway):
    from afterword import Afterword

    with Afterword(base_url=gateway.server.url, api_key=gateway.server.api_key) as client:
        report = client.interactions.upload([BAD, BAD], project=gateway.project, progress=False)
    assert report.stored == 0
    assert [(failure.index, failure.error.status) for failure in report.failed] == [(0, 422), (1, 422)]
