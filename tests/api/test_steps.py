"""Steps within a turn: each names its parent and itself; they are filtered, exported, and shown as a tree."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from afterword import Afterword

Call = Callable[..., dict[str, Any]]
USER, MORE, PLAN, TOOL = (
    {"role": "user", "content": text} for text in ("Which flights?", "And back?", "Make a plan.", "No seat.")
)
ANSWER = {"role": "assistant", "content": "So."}
GRAPHQL = """query List($filter: ListCompletionsFilterInput!) {
  completions(filter: $filter, page: { first: 10 }) { nodes { id parent step } }
}"""


@pytest.fixture
def transcript(http: httpx.Client, project: str) -> Callable[..., dict[str, dict[str, Any]]]:
    """Return the turns of a session by id, read in pages of a size."""

    def read(session_id: str, limit: int = 50) -> dict[str, dict[str, Any]]:
        turns: dict[str, dict[str, Any]] = {}
        query: dict[str, Any] = {"project": project, "limit": limit}
        while True:
            page = http.get(f"/api/v1/sessions/{session_id}", params=query).raise_for_status().json()
            turns |= {turn["completion_id"]: turn for turn in page["turns"]}
            if page["next"] is None:
                return turns
            query["cursor"] = page["next"]

    return read


def agent(log: Call) -> list[str]:
    """Log a turn with two steps, of which the second has a step of its own, and a turn after it; return their ids."""
    ids: list[str] = []
    for second, (parent, step, messages) in enumerate(
        [
            (None, None, [USER]),
            (0, "plan", [USER, PLAN]),
            (0, "search", [USER, PLAN, ANSWER, TOOL]),
            (2, "retry", [USER, PLAN, ANSWER, TOOL]),
            (None, None, [USER, ANSWER, MORE]),
        ]
    ):
        logged = log(
            session_id="agent",
            parent=None if parent is None else ids[parent],
            step=step,
            messages=messages,
            created_at=f"2024-02-01T00:00:{second:02}Z",
        )
        ids.append(logged["completion_id"])
    return ids


def test_steps_are_filtered_and_grouped_in_every_face(server: Any, http: httpx.Client, project: str, log: Call):
    ids = agent(log)

    def found_ids(**conditions: Any) -> list[str]:
        body = {"project": project, "filter": conditions, "order": "created_at"}
        page = http.post("/api/v1/interactions/search", json=body).raise_for_status().json()
        return [interaction["completion_id"] for interaction in page["interactions"]]

    assert found_ids(parent={"eq": ids[0]}) == ids[1:3]
    assert found_ids(parent={"in": [ids[0], ids[2].upper()]}) == ids[1:4]
    assert found_ids(parent={"neq": ids[0]}) == [ids[0], *ids[3:]]
    assert found_ids(step={"in": ["plan", "retry"]}) == [ids[1], ids[3]]
    with Afterword(server.url, server.api_key, default_project=project) as client:
        logged = client.interactions.create([USER], "So.", parent=ids[2], step="plan")
        [retry, newest] = client.interactions.list(parent=ids[2], order="created_at").interactions
        assert (str(retry.completion_id), retry.step, str(retry.parent)) == (ids[3], "retry", ids[2])
        assert newest.completion_id == logged.completion_id
    groups = http.get("/api/v1/interactions", params={"project": project, "group_by": "step"}).json()["groups"]
    assert [(group["key"], group["count"]) for group in groups] == [(None, 2), ("plan", 2), ("retry", 1), ("search", 1)]
    for condition in ({"parent": [ids[2]], "step": ["retry"]}, {"advancedFilter": {"step": {"eq": "retry"}}}):
        body = {"query": GRAPHQL, "variables": {"filter": {"project": project, **condition}}}
        nodes = http.post("/api/graphql", json=body).json()["data"]["completions"]["nodes"]
        assert nodes == [{"id": ids[3], "parent": ids[2], "step": "retry"}]


def test_a_parent_that_cannot_be_is_refused(http: httpx.Client, project: str, refused: Any):
    own_id = str(uuid4())
    body = {"messages": [USER], "completion": "So.", "project": project, "completion_id": own_id}
    refused(http.post("/api/v1/interactions", json={**body, "parent": own_id.upper()}), 422, "own_parent", "parent")
    refused(http.post("/api/v1/interactions", json={**body, "parent": "first"}), 422, param="parent")
    refused(http.post("/api/v1/interactions", json={**body, "step": "s" * 201}), 422, "invalid_length", "step")
    answer = http.get("/api/v1/interactions", params={"project": project, "parent": "first"})
    refused(answer, 422, "invalid_id", "parent")


def test_steps_stay_below_their_parents_under_new_ids(
    http: httpx.Client, project: str, log: Call, run: Any, transcript: Any
):
    agent(log)
    lines = run("--project", project, "export")
    run("--project", f"{project}-copy", "import", "-", "--create-project", "--new-ids", lines=lines)
    query = {"project": f"{project}-copy", "order": "created_at"}
    copied = http.get("/api/v1/interactions", params=query).json()["interactions"]
    positions = {interaction["completion_id"]: index for index, interaction in enumerate(copied)}
    assert not positions.keys() & transcript("agent").keys()
    assert [positions.get(interaction["parent"]) for interaction in copied] == [None, 0, 0, 2, None]
    assert [interaction["step"] for interaction in copied] == [None, "plan", "search", "retry", None]


def test_a_line_names_its_parent_by_an_id_of_another_system(http: httpx.Client, project: str, run: Any):
    lines = [
        {"messages": [USER], "completion": "So.", "completion_id": "run-1/2", "parent": "run-1/1", "step": 2},
        {"messages": [USER], "completion": "So.", "completion_id": "run-1/1"},
    ]
    run("--project", project, "import", "-", lines="\n".join(map(json.dumps, lines)))
    [step] = http.get("/api/v1/interactions", params={"project": project, "step": "2"}).json()["interactions"]
    assert http.get(f"/api/v1/interactions/{step['parent']}").json()["parameters"] == {"completion_id": "run-1/1"}


def test_a_call_is_a_step_of_which_no_provider_hears(gateway: Any):
    parent = gateway.ask(gateway.model()).raise_for_status().json()["choices"][0]["completion_id"]
    body = gateway.ask(gateway.model(), "what-step", parent=parent, step="plan").raise_for_status().json()
    logged = gateway.logged(body["choices"][0]["completion_id"])
    assert (logged["parent"], logged["step"], logged["parameters"]) == (parent, "plan", None)
    [request] = gateway.upstream.seen("what-step")
    assert not {"parent", "step"} & request["body"].keys()
    body = gateway.ask(gateway.model(), parent="first").raise_for_status().json()
    logged = gateway.logged(body["choices"][0]["completion_id"])
    assert (logged["parent"], logged["parameters"]) == (None, {"parent": "first"})


@pytest.mark.parametrize(
    ("limit", "pages"),
    [(50, ["this", None, "this", "other_session", None]), (2, ["this", None, "earlier", "other_session", None]),
     (1, ["later", None, "earlier", "other_session", None])],
)  # fmt: skip
def test_a_turn_tells_which_page_has_its_parent(log: Call, transcript: Any, limit: int, pages: list[str | None]):
    parent, stranger = str(uuid4()), log(session_id="another agent")["completion_id"]
    turns = [{"parent": parent}, {"completion_id": parent}, {"parent": parent}, {"parent": stranger},
             {"parent": str(uuid4())}]  # fmt: skip
    for second, turn in enumerate(turns):
        log(session_id="agent", created_at=f"2024-02-01T00:00:{second:02}Z", **turn)
    shown = list(transcript("agent", limit).values())
    assert [turn["parent_page"] for turn in shown] == pages
    assert [turn["parent_missing"] for turn in shown] == [False, False, False, False, True]


@pytest.mark.parametrize("limit", [50, 1, 2])
def test_a_transcript_compares_a_step_with_the_one_before(log: Call, transcript: Any, limit: int):
    ids = agent(log)
    turns = transcript("agent", limit)
    assert list(turns) == ids
    assert [turn["parent"] for turn in turns.values()] == [None, ids[0], ids[0], ids[2], None]
    assert [turn["step"] for turn in turns.values()] == [None, "plan", "search", "retry", None]
    assert [turn["messages"] for turn in turns.values()] == [[USER], [PLAN], [TOOL], [], [MORE]]
    assert not any(turn["parent_missing"] for turn in turns.values())


def test_a_step_may_come_before_its_parent_and_outlive_it(
    http: httpx.Client, project: str, log: Call, show: Call, transcript: Any
):
    parent, elsewhere = str(uuid4()), f"{project}-elsewhere"
    step = log(session_id="agent", parent=parent, step="plan", messages=[USER])["completion_id"]
    assert transcript("agent")[step]["parent_missing"]
    http.post("/api/v1/projects", json={"key": elsewhere}).raise_for_status()
    stranger = log(project=elsewhere)["completion_id"]
    foreign = log(session_id="agent", parent=stranger)["completion_id"]
    batch = [{"messages": [USER], "completion": "So.", "session_id": "agent", "completion_id": parent}]
    http.post("/api/v1/interactions/batch", params={"project": project}, json=batch).raise_for_status()
    turns = transcript("agent")
    assert [turns[step]["parent_missing"], turns[foreign]["parent_missing"]] == [False, True]
    [session] = http.get("/api/v1/sessions", params={"project": project}).json()["sessions"]
    assert (session["turn_count"], session["step_count"]) == (3, 2)
    http.delete(f"/api/v1/interactions/{parent}").raise_for_status()
    assert show(step)["parent"] == parent
    [*_, turn] = [turn for turn in transcript("agent").values() if turn["completion_id"] == step]
    assert (turn["messages"], turn["completion"], turn["parent_missing"]) == ([USER], "So.", True)


def test_the_command_line_shows_steps_below_their_parents(project: str, log: Call, run: Any):
    ids = agent(log)
    first, second = str(uuid4()), str(uuid4())
    for own_id, parent in ((first, second), (second, first)):
        log(session_id="agent", completion_id=own_id, parent=parent, created_at="2024-02-02")
    lost = log(session_id="agent", parent=str(uuid4()), step="lost")["completion_id"]
    log(session_id="agent", parent=ids[0], step="late", created_at="2024-02-03")
    shown = run("--project", project, "sessions", "show", "agent")
    headings = [line for line in shown.splitlines() if line.lstrip().startswith("---")]
    indentations = [(line.index("-") // 2, line.rpartition("  ")[2]) for line in headings]
    assert indentations[:5] == [(0, ids[0]), (1, "plan"), (1, "search"), (2, "retry"), (1, "late")]
    assert indentations[5] == (0, ids[4])
    assert lost in headings[6]
    assert "is missing" in headings[6]
    assert [indentation for indentation, _ in indentations[7:]] == [0, 1]
