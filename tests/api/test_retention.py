"""Retention: what is too old goes, all of it and nothing else; what was said may go before the rest."""

from __future__ import annotations

import hashlib
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

pytestmark = pytest.mark.thorough

Call = Callable[..., Any]
OLD = "now - 40 days"
PNG = b"\x89PNG\r\n\x1a\n"


def until(holds: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come to hold"
        time.sleep(0.02)


@pytest.fixture
def keep(http: httpx.Client, project: str) -> Call:
    """Say how long the test's project keeps what it has."""

    def set_retention(**days: int | None) -> dict[str, Any]:
        return http.patch(f"/api/v1/projects/{project}", json=days).raise_for_status().json()

    return set_retention


@pytest.fixture
def listed(http: httpx.Client, project: str) -> Call:
    """List the completion_ids of the test's project."""

    def found_ids(**query: Any) -> set[str]:
        page = http.get("/api/v1/interactions", params={"project": project, "limit": 500, **query})
        return {one["completion_id"] for one in page.raise_for_status().json()["interactions"]}

    return found_ids


def is_deleted(http: httpx.Client, completion_id: str) -> Callable[[], bool]:
    return lambda: http.get(f"/api/v1/interactions/{completion_id}").status_code == 404


def expired(http: httpx.Client, completion_id: str) -> Callable[[], bool]:
    return lambda: http.get(f"/api/v1/interactions/{completion_id}").json()["expired"]


def photographed(content: bytes, text: str = "What is it?") -> list[dict[str, Any]]:
    uri = f"data:image/png;base64,{b64encode(content).decode()}"
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": uri}]
    return [{"role": "user", "content": parts}]


# ------------------------------------------------------------------------------------------------ what is set


def test_a_project_says_how_long_it_keeps_what_it_has_and_takes_it_back(http: httpx.Client, keep: Call, refused: Call):
    assert keep(retention_days=365, payload_retention_days=0)["retention_days"] == 365
    assert keep(retention_days=None)["retention_days"] is None
    assert keep(description="More")["payload_retention_days"] == 0
    made = http.post("/api/v1/projects", json={"key": f"p-{uuid4().hex[:8]}", "payload_retention_days": 30}).json()
    assert (made["retention_days"], made["payload_retention_days"]) == (None, 30)
    path = f"/api/v1/projects/{made['key']}"
    for wrong in (-1, 36_501, "a week", 1.5):
        refused(http.patch(path, json={"retention_days": wrong}), 422, None, "retention_days")
    assert http.get(path).json() == made


def test_a_projects_own_value_wins_over_the_servers(new_server: Call):
    server = new_server(AFTERWORD_RETENTION_DAYS="30")
    with server.client() as http:
        made = {}
        for key, days in (("as-the-server", None), ("longer", 50), ("shorter", 20), ("for-ever", 0)):
            http.post("/api/v1/projects", json={"key": key, "retention_days": days}).raise_for_status()
            for age in (10, 25, 40, 60):
                body = {
                    "project": key, "messages": [{"role": "user", "content": "?"}], "completion": "!",
                    "created_at": f"now - {age} days",
                }  # fmt: skip
                made[key, age] = http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"]
        server.stop()
        server.start()
    with server.client() as http:
        there = {
            ("as-the-server", 10), ("as-the-server", 25), ("longer", 10), ("longer", 25), ("longer", 40),
            ("shorter", 10), *(("for-ever", age) for age in (10, 25, 40, 60)),
        }  # fmt: skip
        for name in made.keys() - there:
            until(is_deleted(http, made[name]))
        for name in there:
            assert not is_deleted(http, made[name])(), name


# ------------------------------------------------------------------------------------------------ interactions


def test_retention_deletes_old_interactions_with_dependents_and_no_others(
    http: httpx.Client, log: Call, register: Call, keep: Call, listed: Call, project: str, refused: Call
):
    register("CSAT")
    register("resolved", "bool")
    word, own, shared = f"word{uuid4().hex[:8]}", PNG + uuid4().bytes, PNG + uuid4().bytes
    more = {"labels": {"a": "old"}, "feedbacks": [{"metric": "CSAT", "value": 1}], "usage": {"total_tokens": 7}}
    old = log(created_at=OLD, messages=photographed(own, word), **more)
    other = log(created_at=OLD, messages=photographed(shared, word))
    young = log(messages=photographed(shared, word), labels={"a": "young"})
    for one in (old, young):
        outcome = {"session_id": one["session_id"], "metric": "resolved", "value": True}
        http.post("/api/v1/outcome", json=outcome).raise_for_status()
    pair = {
        "metric": "CSAT", "preferred_completion": old["completion_id"], "other_completion": young["completion_id"],
    }  # fmt: skip
    comparison = http.post("/api/v1/preferences", json=pair).raise_for_status().json()["comparison_id"]
    until(lambda: len(listed(q=word)) == 3)

    keep(retention_days=30)
    until(is_deleted(http, old["completion_id"]))
    until(is_deleted(http, other["completion_id"]))
    assert listed() == {young["completion_id"]}
    for feedback_id in old["feedback_ids"]:
        refused(http.get(f"/api/v1/feedback/{feedback_id}"), 404, "feedback_not_found")
    assert [one["values"] for one in http.get("/api/v1/labels", params={"project": project}).json()["labels"]] == [
        [{"value": "young", "count": 1, "last_used": http.get(f"/api/v1/interactions/{young['completion_id']}").json()[
            "created_at"]}]
    ]  # fmt: skip
    # The other side of a preference names one that is no more.
    [kept] = http.get(f"/api/v1/interactions/{young['completion_id']}").json()["preferences"]
    assert (kept["comparison_id"], kept["preferred_completion"]) == (comparison, old["completion_id"])
    refused(http.get(f"/images/{project}/{hashlib.sha256(own).hexdigest()}.png"), 404, "image_not_found")
    assert http.get(f"/images/{project}/{hashlib.sha256(shared).hexdigest()}.png").content == shared
    until(lambda: listed(q=word) == {young["completion_id"]})
    # Its words are out of the index: the same id may be used again.
    assert "afterword_retention_deleted_total" in http.get("/metrics").text


def test_an_outcome_stays_while_its_session_has_turns(http: httpx.Client, log: Call, register: Call, keep: Call):
    register("resolved", "bool")
    first = log(created_at=OLD)
    second = log(session_id=first["session_id"])
    outcome = {"session_id": first["session_id"], "metric": "resolved", "value": True}
    http.post("/api/v1/outcome", json=outcome).raise_for_status()
    keep(retention_days=30)
    until(is_deleted(http, first["completion_id"]))
    again = http.post("/api/v1/outcome", json=outcome)
    assert again.status_code == 201, again.text
    assert not is_deleted(http, second["completion_id"])()


def test_retention_during_logging_loses_no_new_interaction(
    http: httpx.Client, keep: Call, listed: Call, project: str, log: Call
):
    lines = [
        {"messages": [{"role": "user", "content": f"old {n}"}], "completion": "x", "created_at": OLD}
        for n in range(1500)
    ]
    answer = http.post("/api/v1/interactions/batch", params={"project": project}, json=lines)
    assert answer.text.count('"status":201') == 1500
    young: set[str] = set()
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            young.add(log()["completion_id"])

    writer = threading.Thread(target=go_on)
    writer.start()
    keep(retention_days=30)
    until(lambda: not listed(to="now - 1 day"))
    stop.set()
    writer.join()
    count = http.get("/api/v1/interactions", params={"project": project, "count": True, "limit": 1}).json()["count"]
    assert count == len(young) > 0


def test_a_server_that_is_killed_in_the_middle_goes_on_after_its_start(new_server: Call):
    server = new_server(AFTERWORD_PAYLOAD_RETENTION_DAYS="30")
    lines = [
        {"messages": [{"role": "user", "content": f"old {n}"}], "completion": "x", "created_at": f"now - {31 + n} days"}
        for n in range(2000)
    ]

    def counted(http: httpx.Client) -> list[bool]:
        found, cursor = [], None
        while True:
            query = {"limit": 500} | ({"cursor": cursor} if cursor else {})
            page = http.get("/api/v1/interactions", params=query).json()
            found += [one["expired"] for one in page["interactions"]]
            cursor = page["next"]
            if cursor is None:
                return found

    with server.client() as http:
        http.post("/api/v1/interactions/batch", json=lines).raise_for_status()
    server.stop()
    server.start()
    with server.client() as http:
        until(lambda: 'afterword_retention_deleted_total{what="payload"} 0' not in http.get("/metrics").text)
        server.kill()
    server.start()
    with server.client() as http:
        assert len(counted(http)) == 2000
        until(lambda: all(counted(http)))


def test_who_takes_a_period_back_loses_no_more(http: httpx.Client, keep: Call, project: str):
    lines = [
        {"messages": [{"role": "user", "content": f"{n}"}], "completion": "x", "created_at": OLD} for n in range(3000)
    ]
    http.post("/api/v1/interactions/batch", params={"project": project}, json=lines).raise_for_status()

    def count() -> int:
        query = {"project": project, "count": True, "limit": 1}
        return http.get("/api/v1/interactions", params=query).json()["count"]

    keep(retention_days=30)
    until(lambda: count() < 3000)
    keep(retention_days=0)
    # The batch that was under way when it was taken back may end; a later one does not begin.
    left = count()
    answer = keep(retention_days=None)
    assert answer["retention_days"] is None
    assert count() >= left - 100 > 0
    # Nor does it stop for good.
    keep(retention_days=30)
    keep(retention_days=0)
    keep(retention_days=30)
    until(lambda: count() == 0)


# ------------------------------------------------------------------------------------------------ what was said


def test_payload_retention_keeps_labels_feedback_and_numbers(
    http: httpx.Client, log: Call, register: Call, keep: Call, listed: Call, project: str, refused: Call
):
    register("CSAT")
    word, image = f"word{uuid4().hex[:8]}", PNG + uuid4().bytes
    old = log(
        created_at=OLD, messages=photographed(image, word), completion={"content": word, "name": "Ada"}, model="m",
        labels={"a": "b"}, feedbacks=[{"metric": "CSAT", "value": 4, "details": "Fine"}], user="u",
        usage={"total_tokens": 7}, timings={"latency": 120}, parameters={"secret": word},
    )["completion_id"]  # fmt: skip
    long = log(created_at=OLD, messages=[{"role": "user", "content": word + " and more" * 9000}])["completion_id"]
    young = log(messages=[{"role": "user", "content": word}])["completion_id"]
    until(lambda: listed(q=word) == {old, long, young})
    before = http.get(f"/api/v1/interactions/{old}").json()
    assert before["expired"] is False

    keep(payload_retention_days=30)
    until(expired(http, old))
    until(expired(http, long))
    until(lambda: listed(q=word) == {young})
    after = http.get(f"/api/v1/interactions/{old}").json()
    emptied = {
        "expired": True, "messages": [], "message": None, "prompt": "", "completion": "", "parameters": None,
        "image_urls": [],
    }  # fmt: skip
    assert after == before | emptied
    assert after["usage"] == {"total_tokens": 7}
    assert after["timings"] == {"latency": 120}
    short = http.get("/api/v1/interactions", params={"project": project}).json()["interactions"]
    assert {one["completion_id"]: (one["expired"], one["messages"]) for one in short} == {
        old: (True, None), long: (True, None), young: (False, None),
    }  # fmt: skip
    refused(http.get(f"/images/{project}/{hashlib.sha256(image).hexdigest()}.png"), 404, "image_not_found")
    # Neither words nor hashes tell any more what it was.
    exactly = {"project": project, "filter": {"prompt": {"eq": word}}}
    found = http.post("/api/v1/interactions/search", json=exactly).raise_for_status().json()["interactions"]
    assert [one["completion_id"] for one in found] == [young]
    # What was measured still counts, and what is rated later does too.
    http.post("/api/v1/feedback", json={"completion_id": old, "metric": "CSAT", "value": 2}).raise_for_status()
    groups = http.get("/api/v1/interactions", params={"project": project, "group_by": "model"}).json()["groups"]
    [rated] = [metric for group in groups for metric in group["metrics"] if metric["metric"] == "CSAT"]
    assert (rated["count"], rated["mean"]) == (2, 3.0)
    assert listed(label="a:b", feedback="CSAT>=4") == {old}
    # Deleted in the end, it leaves nothing behind.
    http.delete(f"/api/v1/interactions/{old}").raise_for_status()
    assert listed() == {long, young}


def test_datasets_leave_out_what_has_no_text_any_more(http: httpx.Client, log: Call, keep: Call, project: str):
    old = log(created_at=OLD)["completion_id"]
    log(messages=[{"role": "user", "content": "young"}])
    keep(payload_retention_days=30)
    until(expired(http, old))
    body = {"key": "both", "kind": "completion", "project": project, "filter": {"and": []}}
    made = http.post("/api/v1/datasets/from-interactions", json=body).raise_for_status().json()
    lines = http.get("/api/v1/datasets/both/download", params={"project": project}).text.splitlines()
    assert made["lines"] == len(lines) == 1
    assert "young" in lines[0]
