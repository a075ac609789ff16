"""The environment of an interaction: logged or sent with a call, it is filtered, grouped by and shown everywhere."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from afterword import Afterword

GRAPHQL = """query List($filter: ListCompletionsFilterInput!) {
  completions(filter: $filter, page: { first: 10 }) { nodes { id environment } }
}"""


def test_an_environment_is_filtered_by_in_rest_and_the_client(
    server: Any, http: httpx.Client, project: str, log: Any, show: Any
):
    ids = [log(environment=name)["completion_id"] for name in ("production", "staging", "production", None)]
    assert show(ids[1])["environment"] == "staging"
    assert show(ids[3])["environment"] is None

    def found_ids(**conditions: Any) -> set[str]:
        body = {"project": project, "filter": conditions}
        page = http.post("/api/v1/interactions/search", json=body).raise_for_status().json()
        return {interaction["completion_id"] for interaction in page["interactions"]}

    assert found_ids(environment={"eq": "production"}) == {ids[0], ids[2]}
    assert found_ids(environment={"in": ["staging", "elsewhere"]}) == {ids[1]}
    assert found_ids(environment={"neq": "production"}) == {ids[1], ids[3]}
    with Afterword(server.url, server.api_key, default_project=project) as client:
        page = client.interactions.list(environment=["staging", "production"])
        assert {str(interaction.completion_id) for interaction in page.interactions} == set(ids[:3])
        logged = client.interactions.create(
            messages=[{"role": "user", "content": "Hi"}], completion="Ho", environment="test"
        )
        [interaction] = client.interactions.list(environment="test").interactions
        assert interaction.completion_id == logged.completion_id
        assert interaction.environment == "test"


def test_interactions_are_grouped_by_environment(http: httpx.Client, project: str, log: Any):
    for name in ("b", None, "a", "b"):
        log(environment=name)
    groups: list[tuple[str | None, int]] = []
    query: dict[str, Any] = {"project": project, "group_by": "environment", "limit": 1, "count": True}
    while True:
        page = http.get("/api/v1/interactions", params=query).raise_for_status().json()
        assert page["count"] == 3
        groups += [(group["key"], group["count"]) for group in page["groups"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert groups == [(None, 1), ("a", 1), ("b", 2)]
    facets = http.post("/api/v1/interactions/facets", json={"project": project, "only": "environment"}).json()
    assert [(value["value"], value["count"]) for value in facets["facets"][0]["values"]] == [("b", 2), ("a", 1)]


def test_graphql_filters_by_environment_and_shows_it(http: httpx.Client, project: str, log: Any):
    logged = log(environment="production")
    log(environment="staging")
    for condition in (
        {"environment": ["production"]},
        {"advancedFilter": {"environment": {"eq": "production"}}},
    ):
        body = {"query": GRAPHQL, "variables": {"filter": {"project": project, **condition}}}
        answer = http.post("/api/graphql", json=body).json()
        assert answer["data"]["completions"]["nodes"] == [{"id": logged["completion_id"], "environment": "production"}]


def test_an_environment_leaves_with_an_export_and_comes_in_again(http: httpx.Client, project: str, log: Any, run: Any):
    log(environment="production")
    log(environment="staging")
    [line] = run("--project", project, "export", "--environment", "production").splitlines()
    assert json.loads(line)["environment"] == "production"
    copy = {"messages": [{"role": "user", "content": "Hi"}], "completion": "Ho", "environment": "copied"}
    run("--project", project, "import", "-", lines=json.dumps(copy) + "\n")
    query = {"project": project, "environment": "copied"}
    [interaction] = http.get("/api/v1/interactions", params=query).raise_for_status().json()["interactions"]
    assert interaction["environment"] == "copied"


def test_a_call_carries_its_environment_which_no_provider_gets(gateway: Any):
    body = gateway.ask(gateway.model(), "where-it-ran", environment="production").raise_for_status().json()
    logged = gateway.logged(body["choices"][0]["completion_id"])
    assert logged["environment"] == "production"
    [request] = gateway.upstream.seen("where-it-ran")
    assert "environment" not in request["body"]
    assert not logged["parameters"]


def test_a_call_of_an_environment_that_cannot_be_kept_is_not_refused(gateway: Any):
    body = gateway.ask(gateway.model(), environment="e" * 201).raise_for_status().json()
    logged = gateway.logged(body["choices"][0]["completion_id"])
    assert logged["environment"] is None
    assert logged["parameters"] == {"environment": "e" * 201}


def test_an_environment_of_more_than_200_characters_is_refused(http: httpx.Client, project: str, refused: Any):
    body = {"messages": [{"role": "user", "content": "Hi"}], "completion": "Ho", "project": project}
    answer = http.post("/api/v1/interactions", json={**body, "environment": "e" * 201})
    refused(answer, 422, "invalid_length", "environment")
    assert http.post("/api/v1/interactions", json={**body, "environment": "e" * 200}).status_code == 201


@pytest.mark.parametrize("environment", ["production", None])
def test_a_repetition_has_the_same_environment(http: httpx.Client, project: str, refused: Any, environment: str | None):
    completion_id = "0192d3a4-5b6c-7d8e-9f00-11223344" + ("5566" if environment else "5567")
    body = {"messages": [{"role": "user", "content": "Hi"}], "completion": "Ho", "project": project}
    body |= {"completion_id": completion_id, "environment": environment}
    for _ in range(2):
        assert http.post("/api/v1/interactions", json=body).status_code == 201
    answer = http.post("/api/v1/interactions", json={**body, "environment": "staging"})
    refused(answer, 409, "completion_exists", "completion_id")
