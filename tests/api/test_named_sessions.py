"""Sessions by the names of other systems: one id for a name, found by either, kept on the way out and in."""

from __future__ import annotations

import json
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import httpx
import pytest

from afterword import Afterword

NAMES = [
    "7",
    "thread:9/user=ann",
    ' "so" ',
    "Fragen, Antworten",
    "会话-1",
    "{0192d3a4-5b6c-7d8e-9f00-112233445566}",
    "n" * 200,
]


def expected(project: str, name: str) -> str:
    return str(uuid5(uuid5(NAMESPACE_URL, f"afterword:{project}"), name))


@pytest.mark.parametrize("name", NAMES)
def test_a_named_session_is_found_by_its_name_everywhere(
    server: Any, http: httpx.Client, project: str, log: Any, name: str
):
    session_id = expected(project, name)
    message = {"role": "user", "content": "Why?"}
    ids: list[str] = []

    logged = log(session_id=name)
    assert logged["session_id"] == session_id
    ids.append(logged["completion_id"])
    line = {"messages": [message], "completion": "So.", "session_id": name}
    query = {"project": project}
    [told] = http.post("/api/v1/interactions/batch", params=query, json=[line]).text.splitlines()
    assert json.loads(told)["session_id"] == session_id
    echo = {"key": f"echo-{uuid4().hex[:8]}", "provider": "echo", "project": project}
    http.post("/api/v1/models", json=echo).raise_for_status()
    answer = http.post(
        "/api/v1/chat/completions",
        json={"model": f"{project}/{echo['key']}", "messages": [message], "session_id": name},
    ).json()
    assert answer["session_id"] == session_id
    log(session_id=name + "x" if len(name) < 200 else "x")
    log()

    with Afterword(server.url, api_key=server.api_key) as client:
        ids.append(str(client.interactions.create([message], "So.", session_id=name, project=project).completion_id))
        found = client.interactions.list(session_id=name, project=project).interactions
        every_id = {str(one.completion_id) for one in found}
        assert len(every_id) == 4
        assert set(ids) <= every_id
        assert {(one.session, str(one.session_id)) for one in found} == {(name, session_id)}
        groups = client.interactions.groups("session", session_id=name, project=project).groups
        assert [(one.key, one.session, one.count) for one in groups] == [(session_id, name, 4)]

    def by(**search: Any) -> set[str]:
        page = http.post("/api/v1/interactions/search", json={"project": project, **search}).json()
        return {one["completion_id"] for one in page["interactions"]}

    assert by(filter={"session_id": {"eq": name}}) == by(filter={"session_id": {"eq": session_id}}) == every_id
    assert by(filter={"session_id": {"in": [name, str(uuid4())]}}) == every_id
    assert len(by(filter={"session_id": {"neq": name}})) == 2
    nodes = "nodes { id session { id name turns { id } } }"
    query = (
        f"query Q($f: ListCompletionsFilterInput!) {{ completions(filter: $f, page: {{ first: 9 }}) {{ {nodes} }} }}"
    )
    filter = {"project": project, "sessionId": name}
    answer = http.post("/api/graphql", json={"query": query, "variables": {"f": filter}}).json()
    completions = answer["data"]["completions"]["nodes"]
    assert {one["id"] for one in completions} == every_id
    assert {(one["session"]["id"], one["session"]["name"], len(one["session"]["turns"])) for one in completions} == {
        (session_id, name, 4)
    }


@pytest.mark.parametrize("mode", [[], ["--new-ids"]], ids=["with its ids", "with new ids"])
def test_a_sessions_name_comes_through_export_and_import(
    http: httpx.Client, project: str, log: Any, run: Any, mode: list[str]
):
    for name in NAMES:
        log(session_id=name)
    [line, *others] = run("export", "--project", project, "--session", NAMES[1]).splitlines()
    assert (json.loads(line)["session"], others) == (NAMES[1], [])
    exported = run("export", "--project", project)
    elsewhere = f"{project}-2"
    http.post("/api/v1/projects", json={"key": elsewhere}).raise_for_status()
    for exported_line in exported.splitlines():
        http.delete(f"/api/v1/interactions/{json.loads(exported_line)['completion_id']}").raise_for_status()
    while http.get("/health").json()["search"]["waiting"]:
        pass
    run("import", "-", "--project", elsewhere, *mode, lines=exported)
    page = http.get("/api/v1/interactions", params={"project": elsewhere}).json()["interactions"]
    assert {one["session"]: one["session_id"] for one in page} == {one: expected(elsewhere, one) for one in NAMES}


def test_an_outcome_is_given_on_a_named_session(
    http: httpx.Client, project: str, log: Any, register: Any, refused: Any
):
    register("solved", "bool")
    log(session_id="ticket 5")
    outcome = {"session_id": "ticket 5", "metric": "solved", "value": True}
    assert UUID(http.post("/api/v1/outcome", json={**outcome, "project": project}).json()["outcome_id"])
    refused(http.post("/api/v1/outcome", json=outcome), 404, "session_not_found", "session_id")


@pytest.mark.parametrize("name", ["", "n" * 201, "a\0b"])
def test_a_name_that_cannot_be_kept_is_refused(http: httpx.Client, project: str, refused: Any, name: str):
    message = {"role": "user", "content": "Why?"}
    body = {"project": project, "messages": [message], "completion": "So.", "session_id": name}
    refused(http.post("/api/v1/interactions", json=body), 422, param="session_id")


def test_a_uuid_is_the_same_session_however_it_is_written(log: Any, show: Any):
    given = UUID("0192d3a4-5b6c-7d8e-9f00-112233445566")
    completion_id = str(uuid4())
    for text in (str(given), given.hex, str(given).upper()):
        # A repetition is the same request, too.
        logged = log(session_id=text, completion_id=completion_id)
        assert logged["session_id"] == str(given)
    assert show(completion_id)["session"] is None
