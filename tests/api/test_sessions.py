"""Sessions: the list with its filters, the transcript page after page, deletion, and what became of the outcome."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from afterword.ids import id_of_text

Call = Callable[..., dict[str, Any]]
USER, MORE, LAST = ({"role": "user", "content": text} for text in ("Why?", "And then?", "Thanks."))
ANSWER = {"role": "assistant", "content": "So."}


@pytest.fixture
def listed(http: httpx.Client, project: str) -> Callable[..., list[dict[str, Any]]]:
    """List sessions, page after page."""

    def list_sessions(**query: Any) -> list[dict[str, Any]]:
        sessions, cursor = [], ""
        while cursor is not None:
            parameters = {"project": project, **query, **({"cursor": cursor} if cursor else {})}
            answer = http.get("/api/v1/sessions", params=parameters)
            assert answer.status_code == 200, answer.text
            sessions += answer.json()["sessions"]
            cursor = answer.json()["next"]
        return sessions

    return list_sessions


@pytest.fixture
def shown(http: httpx.Client, project: str) -> Callable[..., httpx.Response]:
    """Show a session."""
    return lambda session_id, **query: http.get(f"/api/v1/sessions/{session_id}", params={"project": project, **query})


def talk(log: Call, session_id: str, day: int = 1) -> list[str]:
    """Log three turns, of which each sends the conversation again; return their ids."""
    turns = [[USER], [USER, ANSWER, MORE], [USER, ANSWER, MORE, ANSWER, LAST]]
    return [
        log(
            session_id=session_id,
            messages=messages,
            created_at=f"2024-02-{day:02}T00:00:{index:02}Z",
            model=f"model-{index % 2}",
            user="ann",
            usage={"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
            labels={"day": str(day)},
        )["completion_id"]
        for index, messages in enumerate(turns)
    ]


def test_sessions_are_found_by_a_tree_page_after_page(
    http: httpx.Client, log: Call, register: Call, listed: Any, project: str, refused: Call
):
    register("solved", "bool")
    for day in (1, 2, 3):
        talk(log, f"chat-{day}", day)
    log()
    outcome = {"project": project, "session_id": "chat-2", "metric": "solved", "value": True}
    http.post("/api/v1/outcomes", json=outcome).raise_for_status()

    def search(filter: Any, **more: Any) -> dict[str, Any]:
        body = {"project": project, "filter": filter, **more}
        return http.post("/api/v1/sessions/search", json=body).raise_for_status().json()

    solved = {"outcome": {"metric": "solved", "value": {"eq": True}}}
    assert [one["session"] for one in search(solved)["sessions"]] == ["chat-2"]
    assert search(solved)["sessions"] == listed(outcome="solved=true")
    assert search(None) == {"sessions": listed(), "next": None}
    first = search({"not": solved}, min_turns=2, limit=1)
    second = search({"not": solved}, min_turns=2, limit=1, cursor=first["next"])
    assert [page["sessions"][0]["session"] for page in (first, second)] == ["chat-3", "chat-1"]
    wrong = {"project": project, "filter": {"outcome": {"metric": "solved", "value": {}}}}
    refused(http.post("/api/v1/sessions/search", json=wrong), 422, "empty_condition", "filter.outcome.value")
    refused(http.get("/api/v1/sessions", params={"project": project, "outcome": "solved=so"}), 422, None, "outcome")


def test_a_session_is_listed_with_its_sums(http: httpx.Client, log: Call, register: Call, listed: Any, project: str):
    register("solved", "bool")
    alone = log(created_at="2024-02-03")
    call = {"state": "failed", "error": {"message": "Overloaded."}}
    talk(log, "thread 9", day=1)
    log(session_id="thread 9", call=call, messages=[USER], completion="", created_at="2024-02-04", user="bob")
    outcome = {"session_id": "thread 9", "metric": "solved", "value": True, "project": project}
    http.post("/api/v1/outcomes", json=outcome).raise_for_status()
    thread, single = listed()
    [given] = thread.pop("outcomes")
    assert (given["metric"], given["value"]) == ("solved", 1.0)
    assert thread == {
        "session_id": str(id_of_text(project, "thread 9")), "session": "thread 9", "project": project,
        "first_activity": "2024-02-01T00:00:00Z", "last_activity": "2024-02-04T00:00:00Z",
        "turn_count": 4, "step_count": 0, "failed_turn_count": 1,
        "prompt_tokens": 30, "completion_tokens": 6, "total_tokens": 36,
        "users": ["ann", "bob"], "models": ["model-0", "model-1"],
    }  # fmt: skip
    assert (single["session_id"], single["session"], single["turn_count"]) == (alone["session_id"], None, 1)
    assert listed(min_turns=2) == listed(limit=1)[:1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [4, 3, 2, 1]),
        ({"limit": 2}, [4, 3, 2, 1]),
        ({"limit": 1}, [4, 3, 2, 1]),
        ({"label": "day:2"}, [2]),
        ({"from": "2024-02-02", "to": "2024-02-04"}, [3, 2]),
        ({"session_id": "s 3"}, [3]),
        ({"model": "model-1", "limit": 3}, [4, 3, 2, 1]),
        ({"user": "nobody"}, []),
        ({"min_turns": 4}, []),
        ({"q": "thanks"}, [4, 3, 2, 1]),
    ],
)
def test_sessions_are_filtered_as_interactions_are(
    http: httpx.Client, log: Call, listed: Any, query: dict[str, Any], expected: list[int]
):
    for day in (1, 3, 2, 4):
        talk(log, f"s {day}", day)
    while "q" in query and http.get("/health").json()["search"]["waiting"]:
        pass
    assert [one["session"] for one in listed(**query)] == [f"s {day}" for day in expected]


def test_a_transcript_shows_nothing_twice(log: Call, shown: Any):
    ids = talk(log, "s/1 ?#")
    for query in ({}, {"limit": 1}, {"limit": 2}):
        turns, cursor = [], None
        while True:
            page = shown("s%2F1%20%3F%23", **query, **({"cursor": cursor} if cursor else {})).json()
            assert page["session"] == "s/1 ?#"
            turns += page["turns"]
            cursor = page["next"]
            if cursor is None:
                break
        assert [turn["completion_id"] for turn in turns] == ids
        assert [turn["messages"] for turn in turns] == [[USER], [MORE], [LAST]]
        assert [turn["resent_count"] for turn in turns] == [0, 2, 4]
        assert {turn["completion"] for turn in turns} == {"So."}
    [turn, *_] = turns
    assert turn["usage"]["total_tokens"] == 12
    assert (turn["state"], turn["model"], turn["labels"]) == ("complete", "model-0", {"day": "1"})


def test_a_session_is_found_by_id_without_its_project(http: httpx.Client, log: Call, shown: Any, refused: Any):
    opening = log()
    joined = log(session_id=opening["session_id"], messages=[USER, ANSWER, MORE])
    page = http.get(f"/api/v1/sessions/{opening['session_id']}").json()
    assert [turn["completion_id"] for turn in page["turns"]] == [opening["completion_id"], joined["completion_id"]]
    assert page["turns"][1]["messages"] == [MORE]
    for answer in (shown(uuid4()), shown("unknown"), http.get(f"/api/v1/sessions/{joined['completion_id']}")):
        refused(answer, 404, "session_not_found", "session_id")


@pytest.mark.parametrize(
    ("path", "query", "param"),
    [
        ("sessions", {"limit": 0}, "limit"),
        ("sessions", {"min_turns": 0}, "min_turns"),
        ("sessions", {"cursor": "nonsense"}, "cursor"),
        ("sessions", {"feedback": "unknown>=1"}, None),
        ("sessions", {"order": "created_at"}, "order"),
        ("sessions/s", {"cursor": "nonsense"}, "cursor"),
        ("sessions/s", {"limit": 501}, "limit"),
    ],
)
def test_a_wrong_parameter_of_sessions_is_refused(
    http: httpx.Client, log: Call, project: str, refused: Any, path: str, query: dict[str, Any], param: str | None
):
    log(session_id="s")
    answer = http.get(f"/api/v1/{path}", params={"project": project, **query})
    refused(answer, 404 if param is None else 422, param=param)


def test_a_cursor_of_the_list_is_none_of_a_transcript(http: httpx.Client, log: Call, shown: Any, refused: Any):
    for _ in range(2):
        log(session_id="s", messages=[USER])
    cursor = shown("s", limit=1).json()["next"]
    refused(http.get("/api/v1/sessions", params={"cursor": cursor}), 422, "invalid_cursor", "cursor")


def test_a_deleted_session_takes_all_of_it_along(
    http: httpx.Client, log: Call, show: Call, register: Call, listed: Any, shown: Any, project: str, refused: Any
):
    register("solved", "bool")
    elsewhere = f"elsewhere-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": elsewhere}).raise_for_status()
    session_id = str(uuid4())
    kept = [log(project=elsewhere, session_id=session_id), log()]
    deleted = log(session_id=session_id)["completion_id"]
    lines = [{"messages": [USER], "completion": str(number), "session_id": session_id} for number in range(250)]
    http.post("/api/v1/interactions/batch", params={"project": project}, json=lines).raise_for_status()
    outcome = {"session_id": session_id, "metric": "solved", "value": True, "project": project}
    outcome_id = http.post("/api/v1/outcomes", json=outcome).json()["outcome_id"]
    assert http.delete(f"/api/v1/sessions/{session_id}", params={"project": project}).json() == {"deleted": True}
    for path in (f"interactions/{deleted}", f"outcomes/{outcome_id}"):
        assert http.get(f"/api/v1/{path}").status_code == 404
    refused(shown(session_id), 404, "session_not_found", "session_id")
    refused(http.delete(f"/api/v1/sessions/{session_id}", params={"project": project}), 404, "session_not_found")
    assert [one["turn_count"] for one in listed()] == [1]
    for answer in kept:
        show(answer["completion_id"])


def test_who_may_only_read_deletes_no_session(server: Any, http: httpx.Client, log: Call, project: str, refused: Any):
    log(session_id="s")
    made = http.post("/api/v1/keys", json={"name": "reader", "role": "viewer", "projects": [project]}).json()
    with server.client(made["api_key"]) as viewer:
        assert len(viewer.get("/api/v1/sessions").json()["sessions"]) == 1
        assert len(viewer.get("/api/v1/sessions/s").json()["turns"]) == 1
        refused(viewer.delete("/api/v1/sessions/s"), 403)


def test_an_outcome_is_in_session_statistics_and_export_until_deleted(
    http: httpx.Client, log: Call, show: Call, register: Call, listed: Any, shown: Any, project: str
):
    register("solved", "bool")
    [first, *_] = talk(log, "s")
    outcome = {"session_id": "s", "metric": "solved", "value": True, "project": project, "details": "It works."}
    path = f"/api/v1/outcomes/{http.post('/api/v1/outcomes', json=outcome).json()['outcome_id']}"

    def seen() -> dict[str, int]:
        level = {"project": project, "level": "session"}
        summary = http.get("/api/v1/metrics/solved/statistics", params=level).json()
        trend = http.get("/api/v1/metrics/solved/timeseries", params=level).json()
        return {
            "list": len(listed()[0]["outcomes"]),
            "transcript": len(shown("s").json()["outcomes"]),
            "statistics": summary["count"],
            "trend": sum(point["count"] for series in trend["series"] for point in series["points"]),
            "export": len(show(first)["outcomes"]),
            "outcomes": len(http.get("/api/v1/outcomes", params={"project": project}).json()["outcomes"]),
        }

    assert set(seen().values()) == {1}, json.dumps(seen())
    http.delete(path).raise_for_status()
    assert set(seen().values()) == {0}, json.dumps(seen())
