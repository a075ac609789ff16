"""How a filter is read can be asked for, by administrators of the whole server alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from afterword import Afterword

LIST = "/api/v1/interactions"
SEARCH = "/api/v1/interactions/search"


@pytest.fixture
def listed(http: httpx.Client, project: str) -> Callable[..., dict[str, Any]]:
    """List interactions, explained."""

    def get(**query: Any) -> dict[str, Any]:
        answer = http.get(LIST, params={"project": project, "explain": True, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get


@pytest.fixture
def searched(http: httpx.Client, project: str) -> Callable[..., dict[str, Any]]:
    """Search interactions, explained."""

    def post(filter: Any, **body: Any) -> dict[str, Any]:
        answer = http.post(
            SEARCH, params={"explain": True}, json={"project": project, "filter": filter, "view": "short", **body}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post


def plans(page: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    return [(step["purpose"], step["plan"], step["condition"]) for step in page["explain"]]


def test_an_explained_list_holds_the_page_and_its_plan(http: httpx.Client, project: str, log: Any, listed: Any):
    log(user="ada", labels={"env": "prod"})
    log(user="bob", labels={"env": "prod"})
    page = listed(user="ada", label="env:prod")
    assert plans(page) == [("plan", "probe", "user"), ("page", "lookup", "user")]
    lookup = page["explain"][-1]
    assert (lookup["row_count"], lookup["checks"], lookup["found_count"]) == (1, ["label"], 1)
    assert all(step["milliseconds"] > 0 for step in page["explain"])
    plain = http.get(LIST, params={"project": project, "user": "ada", "label": "env:prod"}).json()
    assert page == {**plain, "explain": page["explain"]}


def test_a_page_that_need_not_be_explained_does_not_tell_its_plan(http: httpx.Client, project: str):
    for query in ({}, {"explain": False}, {"group_by": "model"}):
        assert "explain" not in http.get(LIST, params={"project": project, **query}).json()
    assert "explain" not in http.post(SEARCH, json={"project": project}).json()


def test_a_search_names_conditions_by_their_place_in_the_tree(log: Any, searched: Any):
    log(user="ada", labels={"env": "prod"})
    page = searched({"and": [{"label": {"key": "env"}}, {"or": [{"user": {"eq": "ada"}}, {"model": {"eq": "m"}}]}]})
    steps = [step for step in page["explain"] if step["purpose"] == "page"]
    label = "filter.and[0].label"
    assert plans({"explain": steps}) == [("page", "lookup", label)]
    assert steps[0]["checks"] == ["filter.and[1]"]


def test_words_are_searched_along_the_time_index_first(log: Any, listed: Any):
    log(completion="A refund.")
    page = listed(q="refund")
    assert plans(page) == [("page", "time_scan", None)]
    assert page["explain"][0]["texts"] == ["q"]
    assert page["explain"][0]["max_rows"] == 1_000


def test_a_count_and_groups_are_explained_as_well(log: Any, listed: Any, searched: Any):
    log(labels={"env": "prod"})
    counted = listed(label="env:prod", count=True)
    assert plans(counted)[0] == ("page", "label_scan", "label")
    assert plans(counted)[-1] == ("count", "label_scan", "label")
    assert counted["explain"][-1]["found_count"] == 1
    grouped = searched({"label": {"key": "env", "value": {"eq": "prod"}}}, group_by="model")
    assert plans(grouped)[-1] == ("groups", "lookup", "filter.label")
    assert grouped["explain"][-1]["found_count"] == len(grouped["groups"]) == 1


def test_alternatives_are_merged_and_each_is_explained(log: Any, searched: Any):
    for model in ("m1", "m2"):
        log(labels={"env": model})
    tree = {"or": [{"label": {"key": "env", "value": {"eq": key}}} for key in ("m1", "m2")]}
    page = searched(tree)
    assert plans(page) == [
        ("page", "merge", "filter"),
        ("page", "label_scan", "filter.or[0].label"),
        ("page", "label_scan", "filter.or[1].label"),
    ]
    assert [step["branch"] for step in page["explain"]] == [None, 0, 1]
    assert page["explain"][0]["branch_count"] == 2
    assert len(page["interactions"]) == 2


def test_only_who_administers_the_whole_server_may_ask(
    http: httpx.Client, server: Any, project: str, refused: Callable[..., dict[str, Any]]
):
    keys = [{"role": "member"}, {"role": "viewer"}, {"role": "admin", "projects": [project]}]
    for fields in keys:
        key = http.post("/api/v1/keys", json={"name": "of a test", **fields}).json()["api_key"]
        with server.client(key) as client:
            for answer in (
                client.get(LIST, params={"project": project, "explain": True}),
                client.post(SEARCH, params={"explain": True}, json={"project": project}),
            ):
                error = refused(answer, 403, "explain_not_allowed", "explain")
                assert "administer the whole server" in error["message"]
            assert client.get(LIST, params={"project": project}).status_code == 200
    key = http.post("/api/v1/keys", json={"name": "of a test", "role": "admin"}).json()["api_key"]
    with server.client(key) as client:
        assert client.get(LIST, params={"project": project, "explain": True}).json()["explain"]


def test_a_plan_tells_no_value_of_the_filter_or_of_a_project(log: Any, http: httpx.Client, project: str, searched: Any):
    other = f"{project[:40]}-other"
    http.post("/api/v1/projects", json={"key": other}).raise_for_status()
    log(project=other, completion="zebra", user="ada", labels={"secret": "apricot"})
    log(completion="zebra", user="ada")
    page = searched({"and": [{"text": "zebra"}, {"user": {"eq": "ada"}}, {"not": {"label": {"key": "secret"}}}]})
    assert page["explain"]
    told = str(page["explain"])
    for value in ("zebra", "ada", "secret", "apricot", other):
        assert value not in told


def test_the_client_explains_filters_and_trees(server: Any, project: str, log: Any):
    log(user="ada")
    with Afterword(server.url, server.api_key, default_project=project) as client:
        steps = client.interactions.explain(user="ada")
        assert [(step.plan, step.condition) for step in steps] == [("probe", "user"), ("lookup", "user")]
        steps = client.interactions.explain({"user": {"eq": "ada"}}, count=True)
        assert [step.purpose for step in steps][-1] == "count"
        assert client.interactions.explain(group_by="model")[-1].purpose == "groups"
