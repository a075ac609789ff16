"""`has` and `tool`: what an interaction holds beside plain text, by every way to filter."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)


def log(http: httpx.Client, project: str, completion: Any, content: Any = "hello") -> str:
    body = {"project": project, "messages": [{"role": "user", "content": content}], "completion": completion}
    answer = http.post("/api/v1/interactions", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["completion_id"]


def call(name: str) -> dict[str, Any]:
    return {
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}}],
    }


def test_interactions_are_found_by_what_they_hold(http: httpx.Client, project: str):
    def listed(**query: Any) -> set[str]:
        answer = http.get("/api/v1/interactions", params={"project": project, "count": "true", **query})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["count"] == len(page["interactions"])
        return {row["completion_id"] for row in page["interactions"]}

    def searched(filter: dict[str, Any]) -> set[str]:
        answer = http.post("/api/v1/interactions/search", json={"project": project, "filter": filter})
        assert answer.status_code == 200, answer.text
        return {row["completion_id"] for row in answer.json()["interactions"]}

    ids = {
        "plain": log(http, project, "yes"),
        "weather": log(http, project, call("weather")),
        "clock": log(http, project, call("clock")),
        "refusal": log(http, project, {"content": None, "refusal": "No."}),
        "reasoning": log(http, project, {"content": "yes", "reasoning_content": "hm"}),
        "audio": log(http, project, {"content": None, "audio": {"data": "AA"}}),
        "files": log(http, project, "yes", [{"type": "file", "file": {"filename": "a.pdf"}}]),
        "images": log(http, project, "yes", [{"type": "image_url", "image_url": {"url": PNG}}]),
    }
    for what in ("refusal", "reasoning", "audio", "files", "images"):
        assert listed(has=what) == searched({"has": {"eq": what}}) == {ids[what]}, what
    assert listed(has="tools") == {ids["weather"], ids["clock"]}
    assert listed(tool="weather") == searched({"tool": {"eq": "weather"}}) == {ids["weather"]}
    assert listed(tool=["weather", "clock"], has="tools") == {ids["weather"], ids["clock"]}
    assert listed(tool="nobody") == set()
    assert searched({"has": {"neq": "tools"}}) == set(ids.values()) - {ids["weather"], ids["clock"]}
    assert http.get("/api/v1/labels", params={"project": project}).json() == {"labels": []}
    refused = http.get("/api/v1/interactions", params={"project": project, "has": "weather"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "has")
    http.delete(f"/api/v1/interactions/{ids['weather']}")
    assert listed(tool="weather") == set()
    assert listed(has="tools") == {ids["clock"]}


@pytest.mark.embedded
def test_what_older_interactions_hold_is_noted_with_the_new_index(new_server):
    running = new_server()
    with running.client() as http:
        weather, _ = log(http, "default", call("weather"), "x" * 40_000), log(http, "default", "yes")
    running.stop()
    with closing(sqlite3.connect(running.directory / "afterword.db")) as store, store:
        older_preview = '{"prompt":"xxx","completion":""}'
        store.execute("UPDATE interactions SET contents = NULL")
        store.execute("UPDATE interactions SET preview = ? WHERE preview IS NOT NULL", (older_preview,))
        store.execute("DELETE FROM interaction_labels")
    for file in running.directory.glob("search.db*"):
        file.unlink()
    running.start()
    with running.client() as http:
        found: list[dict[str, Any]] = []
        while not found:
            found = http.get("/api/v1/interactions", params={"tool": "weather"}).json()["interactions"]
        assert [(row["completion_id"], row["completion"]) for row in found] == [(weather, "weather()")]
        assert http.get("/api/v1/interactions", params={"has": "tools", "count": "true"}).json()["count"] == 1
