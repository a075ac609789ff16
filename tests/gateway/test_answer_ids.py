"""The ids that frameworks keep: by the id of an answer, its completion is rated, compared, shown and found."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

HELLO = [{"role": "user", "content": "Hello there"}]
PREFIXES = ("chatcmpl-", "cmpl-", "resp_", "msg_")


@pytest.fixture
def metric(gateway: Any) -> str:
    """A feedback key of the test's project."""
    body = {"key": "CSAT", "kind": "scalar", "project": gateway.project}
    return gateway.http.post("/api/v1/metrics", json=body).raise_for_status().json()["key"]


@pytest.fixture
def rate(gateway: Any, metric: str) -> Callable[[str], Any]:
    return lambda named: gateway.http.post(
        "/api/v1/feedback", json={"completion_id": named, "metric": metric, "value": 5}
    )


def statuses(answer: Any) -> list[int]:
    """Return the statuses of a batch's lines."""
    return [json.loads(line)["status"] for line in answer.text.splitlines()]


def completion_ids(gateway: Any, **fields: Any) -> list[str]:
    answer = gateway.ask(gateway.model(), "Hello there", **fields).raise_for_status().json()
    return [choice["completion_id"] for choice in answer["choices"]]


def test_the_id_of_an_answer_is_its_completion_id_with_a_prefix(gateway: Any, rate: Any):
    model = gateway.model()
    whole = gateway.ask(model).raise_for_status()
    [choice] = whole.json()["choices"]
    assert whole.json()["id"] == f"chatcmpl-{choice['completion_id']}"
    assert choice["message"]["id"] == choice["completion_id"]
    assert whole.headers["x-afterword-completion-id"] == choice["completion_id"]
    assert whole.headers["x-afterword-session-id"] == whole.json()["session_id"]
    assert rate(whole.json()["id"]).status_code == 201
    legacy = gateway.http.post("/api/v1/completions", json={"model": model, "prompt": "Once"}).json()
    assert legacy["id"] == f"cmpl-{legacy['choices'][0]['completion_id']}"
    assert rate(legacy["id"]).status_code == 201
    logged = gateway.logged(legacy["id"])
    assert logged["call"]["response_id"] not in (None, legacy["id"])


def test_each_chunk_of_a_stream_carries_the_ids(gateway: Any, rate: Any):
    body = {"model": gateway.model(), "messages": HELLO, "stream": True, "n": 2}
    body["stream_options"] = {"include_usage": True}
    with gateway.http.stream("POST", "/api/v1/chat/completions", json=body) as answer:
        first_id = answer.headers["x-afterword-completion-id"]
        session_id = answer.headers["x-afterword-session-id"]
        chunks = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
    assert {chunk["id"] for chunk in chunks} == {f"chatcmpl-{first_id}"}
    assert {chunk["session_id"] for chunk in chunks} == {session_id}
    ids = {0: first_id, 1: str(UUID(int=UUID(first_id).int + 1))}
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert {choice["index"] for choice in choices} == {0, 1}
    assert all(choice["delta"]["id"] == choice["completion_id"] == ids[choice["index"]] for choice in choices)
    assert rate(ids[1]).status_code == 201


def test_a_failed_call_names_its_interaction_in_a_header(gateway: Any):
    failed = gateway.ask(gateway.model("garbage"))
    assert failed.status_code >= 500
    assert gateway.logged(failed.headers["x-afterword-completion-id"])["call"]["state"] == "failed"


def test_feedback_takes_the_id_of_an_answer_with_and_without_hyphens(gateway: Any, rate: Any):
    [completion_id] = completion_ids(gateway)
    names = [prefix + text for prefix in PREFIXES for text in (completion_id, completion_id.replace("-", ""))]
    for name in names:
        assert rate(name).status_code == 201, name
    assert len(gateway.logged(completion_id)["feedback"]) == len(names)


def test_interactions_are_shown_labeled_and_deleted_by_the_id_of_an_answer(gateway: Any):
    [completion_id] = completion_ids(gateway)
    path = f"/api/v1/interactions/chatcmpl-{completion_id}"
    assert gateway.http.get(path).json()["completion_id"] == completion_id
    assert gateway.http.patch(f"{path}/labels", json={"set": {"a": "b"}}).json() == {"labels": {"a": "b"}}
    assert gateway.http.delete(path).status_code == 200
    assert gateway.http.get(path).status_code == 404


def test_preferences_take_the_ids_of_answers_on_both_sides(gateway: Any, metric: str):
    sides = [completion_ids(gateway)[0] for _ in range(2)]
    body = {
        "metric": metric,
        "preferred_completion": f"chatcmpl-{sides[0]}",
        "other_completion": f"msg_{sides[1]}",
    }
    made = gateway.http.post("/api/v1/preferences", json=body).raise_for_status().json()
    path = f"/api/v1/preferences/{made['comparison_id']}"
    changed = gateway.http.patch(path, json={"preferred_completion": f"resp_{sides[1]}"}).raise_for_status().json()
    assert changed["preferred_completion"] == sides[1]


def test_batches_take_the_ids_of_answers(gateway: Any, metric: str):
    one, other = completion_ids(gateway)[0], completion_ids(gateway)[0]
    feedback = [{"completion_id": f"chatcmpl-{text}", "metric": metric, "value": 1} for text in (one, uuid4(), "x")]
    answer = gateway.http.post("/api/v1/feedback/batch", json=feedback)
    assert statuses(answer) == [201, 404, 422]
    sides = {"preferred_completion": f"chatcmpl-{one}", "other_completion": f"resp_{other}"}
    unknown = {"preferred_completion": f"chatcmpl-{uuid4()}", "other_completion": f"resp_{other}"}
    preferences = [{"metric": metric, **pair} for pair in (sides, unknown)]
    query = {"project": gateway.project}
    answer = gateway.http.post("/api/v1/preferences/batch", json=preferences, params=query)
    assert statuses(answer) == [201, 404]


def test_parents_filters_and_datasets_take_the_ids_of_answers(gateway: Any):
    [parent] = completion_ids(gateway)
    body = {"project": gateway.project, "messages": [{"role": "user", "content": "x"}], "completion": "y"}
    step = {**body, "parent": f"chatcmpl-{parent}", "completion_id": str(uuid4())}
    for parent_text in (f"chatcmpl-{parent}", parent, parent.upper()):
        made = gateway.http.post("/api/v1/interactions", json={**step, "parent": parent_text})
        assert made.status_code == 201, made.text
    assert gateway.logged(step["completion_id"])["parent"] == parent
    [called_step] = completion_ids(gateway, parent=f"chatcmpl-{parent}")
    assert gateway.logged(called_step)["parent"] == parent

    def found(filter: Any) -> set[str]:
        search = {"project": gateway.project, "filter": filter}
        page = gateway.http.post("/api/v1/interactions/search", json=search).raise_for_status().json()
        return {interaction["completion_id"] for interaction in page["interactions"]}

    assert found({"parent": {"eq": f"chatcmpl-{parent}"}}) == {step["completion_id"], called_step}
    assert found({"completion_id": {"in": [f"resp_{parent}"]}}) == {parent}
    chosen = {"kind": "completion", "project": gateway.project, "completion_ids": [f"chatcmpl-{parent}"]}
    assert gateway.http.post("/api/v1/datasets/preview", json=chosen).raise_for_status().json()["lines"] == 1


def test_graphql_takes_the_ids_of_answers(gateway: Any, metric: str):
    [completion_id] = completion_ids(gateway)
    document = """mutation M($id: UUID!, $metric: IdOrKey!) {
        addDirectScore(completionId: $id, metricId: $metric, input: {value: 4}) { value }
        updateCompletion(input: {id: $id, setLabels: [{key: "a", value: "b"}]}) { id labels { key value } }
    }"""
    variables = {"id": f"chatcmpl-{completion_id}", "metric": metric}
    answer = gateway.http.post("/api/graphql", json={"query": document, "variables": variables}).json()
    assert "errors" not in answer, answer
    assert answer["data"]["updateCompletion"]["id"] == completion_id
    document = "query Q($id: UUID!, $project: IdOrKey!) { completion(id: $id, project: $project) { id } }"
    variables = {"id": f"msg_{completion_id}", "project": gateway.project}
    answer = gateway.http.post("/api/graphql", json={"query": document, "variables": variables}).json()
    assert answer["data"]["completion"]["id"] == completion_id


@pytest.mark.parametrize("streamed", [False, True])
def test_the_id_of_several_choices_is_refused_by_naming_each(gateway: Any, rate: Any, refused: Any, streamed: bool):
    model = gateway.model()
    if streamed:
        chunks, _ = gateway.stream(model, "Hello there", n=3)
        choices = {choice["index"]: choice["completion_id"] for chunk in chunks for choice in chunk["choices"]}
        ids = [choices[index] for index in range(3)]
    else:
        ids = completion_ids(gateway, n=3)
    error = refused(rate(f"chatcmpl-{ids[0]}"), 422, "several_choices", "completion_id")
    assert all(completion_id in error["hint"] for completion_id in ids)
    refused(gateway.http.get(f"/api/v1/interactions/chatcmpl-{ids[0]}"), 422, "several_choices", "completion_id")
    for completion_id in ids:
        assert rate(completion_id).status_code == 201


def test_ids_of_callers_that_follow_each_other_are_not_choices(gateway: Any, rate: Any):
    body = {"project": gateway.project, "messages": [{"role": "user", "content": "x"}], "completion": "y"}
    first = uuid4()
    ids = [first, UUID(int=first.int + 1)]
    for completion_id in ids:
        made = gateway.http.post("/api/v1/interactions", json={**body, "completion_id": str(completion_id)})
        assert made.status_code == 201
    assert rate(f"chatcmpl-{ids[0]}").status_code == 201


def test_the_providers_own_id_of_a_response_is_taken_too(gateway: Any, rate: Any, refused: Any):
    body = {"project": gateway.project, "messages": [{"role": "user", "content": "x"}], "completion": "y"}
    response_id = f"chatcmpl-{uuid4().hex}"
    made = gateway.http.post("/api/v1/interactions", json={**body, "call": {"response_id": response_id}})
    assert rate(response_id).status_code == 201
    assert len(gateway.logged(made.json()["completion_id"])["feedback"]) == 1
    for unknown in ("gen-of-nobody", "x" * 5000, "nul\0"):
        error = refused(rate(unknown), 422, "invalid_completion_id", "completion_id")
        assert "completion_id of the choice" in error["hint"]


def test_another_projects_answers_are_not_told_of(gateway: Any, metric: str, refused: Any):
    [completion_id, _] = completion_ids(gateway, n=2)
    other = gateway.http.post("/api/v1/projects", json={"key": f"other-{uuid4().hex[:8]}"}).json()["key"]
    key = gateway.http.post("/api/v1/keys", json={"name": "x", "role": "member", "projects": [other]}).json()["api_key"]
    with gateway.server.client(key) as http:
        body = {"completion_id": f"chatcmpl-{completion_id}", "metric": metric, "value": 1}
        refused(http.post("/api/v1/feedback", json=body), 404, "completion_not_found", "completion_id")
        refused(http.get(f"/api/v1/interactions/chatcmpl-{completion_id}"), 404, "completion_not_found")


def test_an_answer_that_was_not_stored_says_so_by_its_id(gateway: Any, rate: Any, refused: Any):
    [completion_id, _] = completion_ids(gateway, store=False, n=2)
    refused(rate(f"chatcmpl-{completion_id}"), 404, "completion_not_stored", "completion_id")
