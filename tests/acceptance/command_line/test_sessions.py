"""Sessions by the command line: listed by filters, shown as one transcript, deleted."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.thorough


def test_sessions_by_the_command_line(afterword: Any, one_line: Any, http: Any, project: str):
    http.post("/api/v1/metrics", json={"key": "solved", "kind": "bool", "project": project}).raise_for_status()
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    answers = [{"role": "assistant", "content": None, "tool_calls": [call]}, "Blue."]
    messages: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": "Which colour?"}]}]
    for answer in answers:
        body = {"project": project, "session_id": "chat 7", "messages": messages, "completion": answer, "model": "m"}
        http.post("/api/v1/interactions", json=body).raise_for_status()
        messages = [*messages, answer, {"role": "tool", "tool_call_id": "c1", "content": "It is blue."}]
    http.post("/api/v1/interactions", json={**body, "session_id": None}).raise_for_status()
    afterword("outcomes", "log", "chat 7", "solved", "true")
    assert len(json.loads(afterword("sessions", "list", "--json").stdout)) == 2
    [listed] = json.loads(afterword("sessions", "list", "--json", "--min-turns", "2", "--model", "m").stdout)
    assert (listed["session"], listed["turn_count"]) == ("chat 7", 2)
    assert "chat 7" in afterword("sessions", "list", "--limit", "2").stdout
    assert "no such sessions" in afterword("sessions", "list", "--user", "nobody").stderr
    shown = afterword("sessions", "show", "chat 7").stdout
    for text in ("Which colour?", '"name":"look"', "It is blue.", "assistant: Blue.", "outcome solved 1"):
        assert shown.count(text) == 1, shown
    transcript = json.loads(afterword("sessions", "show", "chat 7", "--json").stdout)
    assert [turn["resent_count"] for turn in transcript["turns"]] == [0, 2]
    assert afterword("sessions", "delete", "chat 7").stdout == "Deleted chat 7.\n"
    one_line(afterword("sessions", "show", "chat 7", code=1).stderr, "session chat 7 has no interaction")
