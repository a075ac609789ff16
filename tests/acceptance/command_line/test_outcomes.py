"""Outcomes by the command line: logged, listed, changed, exported, imported elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from afterword import Afterword, NotFound

pytestmark = pytest.mark.thorough


@pytest.fixture
def session_id(http: Any, project: str) -> str:
    """The session of an interaction in the test's project, which has the feedback key solved."""
    http.post("/api/v1/metrics", json={"key": "solved", "kind": "bool", "project": project}).raise_for_status()
    body = {"project": project, "messages": [{"role": "user", "content": "Why?"}], "completion": "So."}
    return http.post("/api/v1/interactions", json=body).raise_for_status().json()["session_id"]


def outcomes_of(afterword: Any, *filters: str) -> list[dict[str, Any]]:
    return json.loads(afterword("outcomes", "list", "--json", *filters).stdout)


def test_outcomes_by_the_command_line(afterword: Any, session_id: str, one_line: Any, http: Any, project: str):
    logged = afterword(
        "outcomes", "log", session_id, "solved", "true", "--details", "d", "--user", "ann"
    ).stdout.strip()
    afterword("outcomes", "log", session_id, "solved", "false")
    assert [one["outcome_id"] for one in outcomes_of(afterword, "--user", "ann")] == [logged]
    assert len(outcomes_of(afterword, "--metric", "solved", "--session", session_id)) == 2
    assert len(outcomes_of(afterword, "--limit", "1")) == 1
    assert outcomes_of(afterword, "--to", "2020-01-01") == []
    assert "ann" in afterword("outcomes", "list").stdout
    afterword("outcomes", "change", logged, "--value", "false", "--details", "turned")
    [turned] = outcomes_of(afterword, "--user", "ann")
    assert (turned["value"], turned["details"]) == (0.0, "turned")
    assert afterword("outcomes", "delete", logged).stdout == f"Deleted {logged}.\n"
    one_line(afterword("outcomes", "delete", logged, code=1).stderr, f"outcome {logged} does not exist")


def test_outcomes_go_out_and_come_in_again(
    afterword: Any, anywhere: Any, known: dict[str, str], session_id: str, project: str, http: Any, tmp_path: Path
):
    for details in ("first", "second"):
        afterword("outcomes", "log", session_id, "solved", "true", "--details", details, "--user", "ann")
    before = outcomes_of(afterword)
    interactions, lines = tmp_path / "interactions.jsonl", tmp_path / "outcomes.jsonl"
    afterword("export", "-o", str(interactions))
    afterword("outcomes", "export", "-o", str(lines))
    exported = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [line["details"] for line in exported] == ["first", "second"]
    names = {"id", "session_id", "project", "metric", "value", "details", "user", "created_at"}
    assert exported[0].keys() == names
    # Where they came from, nothing is stored twice.
    for file in (interactions, lines):
        afterword("import", str(file))
        assert outcomes_of(afterword) == before
    for one in before:
        afterword("outcomes", "delete", one["outcome_id"])
    afterword("import", str(lines))
    assert outcomes_of(afterword) == before
    copy = f"{project}-copy"
    for file in (interactions, interactions):
        arguments = ("--project", copy, "import", "--create-project", "--new-ids", str(file))
        done = anywhere(*arguments, **known)
        assert done.returncode == 0, done.stderr
    copied = http.get("/api/v1/outcomes", params={"project": copy}).json()["outcomes"]
    seen = [(one["metric"], one["value"], one["details"], one["user"], one["created_at"]) for one in copied]
    assert seen == [(one["metric"], one["value"], one["details"], one["user"], one["created_at"]) for one in before]


def test_outcomes_by_the_client(server: Any, session_id: str, project: str):
    with Afterword(server.url, server.api_key, default_project=project) as client:
        feedback = client.feedback
        report = feedback.upload_outcomes(
            [{"session_id": session_id, "metric": "solved", "value": value} for value in (True, False)], progress=False
        )
        assert report.stored == 2
        page = feedback.list_outcomes(session_id=session_id, limit=1, count=True)
        assert (len(page.outcomes), page.count) == (1, 2)
        rest = feedback.list_outcomes(session_id=session_id, cursor=page.next)
        assert rest.next is None
        summary = feedback.statistics("solved", level="session")
        assert (summary.count, summary.mean) == (2, 0.5)
        feedback.delete_outcome(rest.outcomes[0].outcome_id)
        assert feedback.get_outcome(rest.outcomes[0].outcome_id) is None
        with pytest.raises(NotFound):
            feedback.update_outcome(rest.outcomes[0].outcome_id, value=True)
