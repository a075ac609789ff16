"""Embeddings are logged: their texts, how many vectors came, and not the vectors."""

from __future__ import annotations

from typing import Any

import pytest


def embed(gateway: Any, model: str, **body: Any) -> dict[str, Any]:
    return gateway.http.post("/api/v1/embeddings", json={"model": model, **body}).raise_for_status().json()


def only_interaction(gateway: Any, **query: Any) -> dict[str, Any]:
    page = gateway.http.get("/api/v1/interactions", params={"project": gateway.project, **query}).raise_for_status()
    [interaction] = page.json()["interactions"]
    return interaction


def test_embeddings_are_logged_with_their_texts(gateway):
    model = gateway.model()
    answer = embed(
        gateway, model, input=["a", "b"], encoding_format="Float", labels={"index": "docs"}, session_id="s-1"
    )
    assert [one["embedding"] for one in answer["data"]] == [[0.5, -0.5, 0.25]] * 2
    assert answer["usage"]["completion_tokens"] == 0
    logged = gateway.logged(answer["completion_id"])
    assert logged["operation"] == "embeddings"
    assert logged["messages"] == [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    assert logged["completion"] == "2 embeddings of 3 dimensions"
    assert logged["labels"] == {"index": "docs"}
    assert logged["session"] == "s-1"
    assert (logged["session_id"], logged["source"]) == (answer["session_id"], "LIVE")
    assert logged["usage"]["prompt_tokens"] == 3
    assert logged["parameters"] == {"encoding_format": "float"}
    assert (logged["call"]["state"], logged["call"]["provider_model"]) == ("complete", "upstream-1")
    assert "0.25" not in str(logged["facts"])


def test_base64_vectors_of_token_arrays_are_counted(gateway):
    model = gateway.model()
    answer = embed(gateway, model, input=[[1, 2], [3]], encoding_format="base64")
    logged = gateway.logged(answer["completion_id"])
    assert [message["content"] for message in logged["messages"]] == ["[1,2]", "[3]"]
    assert logged["completion"] == "2 embeddings of 3 dimensions"
    one = embed(gateway, "default/echo", input=[1, 2, 3], dimensions=1536)
    logged = gateway.logged(one["completion_id"])
    assert [message["content"] for message in logged["messages"]] == ["[1,2,3]"]
    assert logged["completion"] == "1 embedding of 1,536 dimensions"


def test_failed_embeddings_are_logged_as_failed(gateway):
    model = gateway.model("error-400")
    answer = gateway.http.post("/api/v1/embeddings", json={"model": model, "input": "x"})
    assert answer.status_code == 400
    logged = only_interaction(gateway)
    assert (logged["operation"], logged["call"]["state"], logged["prompt"]) == ("embeddings", "failed", "x")


def test_store_false_logs_no_embeddings(gateway):
    model = gateway.model()
    answer = embed(gateway, model, input="x", store=False)
    assert answer["data"]
    assert gateway.count() == 0


def test_interactions_are_found_counted_and_grouped_by_operation(gateway):
    model = gateway.model()
    vectors = embed(gateway, model, input="x")["completion_id"]
    chat = gateway.ask(model).raise_for_status().json()["choices"][0]["completion_id"]
    text = gateway.http.post("/api/v1/completions", json={"model": model, "prompt": "Once"}).raise_for_status().json()
    old = text["choices"][0]["completion_id"]
    assert only_interaction(gateway, operation="embeddings")["completion_id"] == vectors
    assert only_interaction(gateway, operation="chat")["completion_id"] == chat
    assert only_interaction(gateway, operation="completions")["completion_id"] == old

    def found(condition: dict[str, Any]) -> set[str]:
        body = {"project": gateway.project, "filter": condition}
        answer = gateway.http.post("/api/v1/interactions/search", json=body).raise_for_status().json()
        return {one["completion_id"] for one in answer["interactions"]}

    assert found({"operation": {"in": ["embeddings", "completions"]}}) == {vectors, old}
    assert found({"operation": {"neq": "embeddings"}}) == {chat, old}
    assert found({"operation": {"neq": "chat"}}) == {vectors, old}
    assert found({"not": {"operation": {"in": ["chat", "completions"]}}}) == {vectors}
    body = {"project": gateway.project}
    facets = gateway.http.post("/api/v1/interactions/facets", json=body).raise_for_status().json()["facets"]
    [facet] = [facet for facet in facets if facet["kind"] == "operation"]
    counts = {value["value"]: value["count"] for value in facet["values"]}
    assert counts == {"chat": 1, "completions": 1, "embeddings": 1}
    query = {"project": gateway.project, "group_by": "operation"}
    groups = gateway.http.get("/api/v1/interactions", params=query).raise_for_status().json()["groups"]
    assert [(group["key"], group["count"]) for group in groups] == [("chat", 1), ("completions", 1), ("embeddings", 1)]
    refused = gateway.http.post("/api/v1/interactions/search", json={"filter": {"operation": {"eq": "cooking"}}})
    assert refused.json()["error"]["code"] == "unknown_operation"


def test_an_interaction_is_logged_with_its_operation(gateway):
    body = {
        "project": gateway.project,
        "messages": [{"role": "user", "content": "x"}],
        "completion": "1 embedding",
        "operation": "embeddings",
    }
    recorded = gateway.http.post("/api/v1/interactions", json=body).raise_for_status().json()
    assert gateway.logged(recorded["completion_id"])["operation"] == "embeddings"
    refused = gateway.http.post("/api/v1/interactions", json={**body, "operation": "cooking"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "operation")


@pytest.mark.parametrize("unlogged", ["embeddings", "moderations, embeddings"])
def test_embeddings_are_not_logged_if_the_setting_names_them(new_server: Any, unlogged: str):
    with new_server("--unlogged-operations", unlogged).client() as http:
        answer = http.post("/api/v1/embeddings", json={"model": "default/echo", "input": "x"}).raise_for_status()
        assert answer.json()["data"]
        hello = {"model": "default/echo", "messages": [{"role": "user", "content": "x"}]}
        http.post("/api/v1/chat/completions", json=hello).raise_for_status()
        page = http.get("/api/v1/interactions", params={"project": "default"}).raise_for_status().json()
        assert [one["operation"] for one in page["interactions"]] == ["chat"]
