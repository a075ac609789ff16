"""Logging an interaction, and what may change about it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from dateutil.relativedelta import relativedelta

Call = Callable[..., dict[str, Any]]
WHOLE: dict[str, Any] = {
    "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "How are you?"}],
    "completion": "Well, thank you.",
    "model": "a-model-of-mine",
    "labels": {"env": "prod", "version": "2", "project": "no reserved word"},
    "user": "customer 7 (no UUID)",
    "session_id": "0192d3a4-5b6c-7d8e-9f00-112233445566",
    "created_at": "2024-02-21T09:51:03.250Z",
    "usage": {"prompt_tokens": 11, "completion_tokens": 4},
    "timings": {"ttft": 120, "phases": [1.5, None, True]},
    "parameters": {"temperature": 0.7, "stop": ["\n"], "ünïcode": "🙂"},
}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


# ------------------------------------------------------------------------------------------------ logging


def test_an_interaction_is_shown_as_it_was_logged(http: httpx.Client, log: Call, show: Call, project: str):
    http.post("/api/v1/metrics", json={"key": "CSAT", "project": project}).raise_for_status()
    answer = log(
        **WHOLE, feedbacks=[{"metric": "CSAT", "value": 4, "details": "quick", "reason": "Style", "user": "u"}]
    )
    shown = show(answer["completion_id"])

    assert answer["session_id"] == WHOLE["session_id"] == shown["session_id"]
    for name in ("messages", "completion", "model", "labels", "user", "usage", "timings", "parameters"):
        assert shown[name] == WHOLE[name], name
    assert shown["completion_id"] == answer["completion_id"]
    assert shown["project"] == project
    assert shown["prompt"] == "How are you?"
    assert shown["message"] is None
    assert shown["source"] == "OFFLINE"
    assert moment(shown["created_at"]) == moment(WHOLE["created_at"])
    assert len(shown["prompt_hash"]) == 16
    assert shown["size"] > 100
    assert shown["preferences"] == []
    [feedback] = shown["feedback"]
    assert [feedback["feedback_id"]] == answer["feedback_ids"]
    assert [feedback[name] for name in ("metric", "value", "details", "reason", "user", "actor")] == [
        "CSAT", 4.0, "quick", "Style", "u", "administrator",
    ]  # fmt: skip


def test_what_was_not_given_is_shown_as_empty(log: Call, show: Call):
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    shown = show(log()["completion_id"])
    assert before <= moment(shown["created_at"]) <= datetime.now(UTC)
    assert [shown[name] for name in ("model", "user", "usage", "timings", "parameters")] == [None] * 5
    assert (shown["labels"], shown["feedback"]) == ({}, [])


def test_ids_are_uuids_that_grow(log: Call):
    made = [log()["completion_id"] for _ in range(5)]
    assert made == sorted(made)
    assert {UUID(one).version for one in made} == {7}


def test_the_same_logged_twice_without_an_id_is_two_interactions(log: Call):
    assert log()["completion_id"] != log()["completion_id"]


def test_tool_calls_and_unknown_members_are_kept_as_sent(log: Call, show: Call):
    calls = [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}]
    messages = [
        {"role": "user", "content": "And the weather?", "name": "ann", "cache_control": {"type": "ephemeral"}},
        {"role": "assistant", "content": None, "tool_calls": calls, "completion_id": str(uuid4())},
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [{"type": "text", "text": "21 C"}, {"type": "odd", "x": [1]}],
        },
        {"role": "document", "content": "", "metadata": {"deep": [{"n": 1e-9}]}},
    ]
    shown = show(log(messages=messages)["completion_id"])
    assert shown["messages"] == messages
    assert shown["prompt"] == "And the weather?"


def test_a_completion_may_be_a_whole_message(log: Call, show: Call):
    message = {
        "role": "assistant",
        "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}],
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        "refusal": None,
    }
    shown = show(log(completion=message)["completion_id"])
    assert shown["message"] == message
    assert shown["completion"] == "One\ntwo"
    silent = show(log(completion={"content": None, "tool_calls": message["tool_calls"]})["completion_id"])
    assert silent["message"]["role"] == "assistant"
    assert silent["completion"] == ""


def test_an_empty_completion_is_a_completion(log: Call, show: Call):
    assert show(log(completion="")["completion_id"])["completion"] == ""


def test_a_model_not_seen_before_is_registered(http: httpx.Client, log: Call, show: Call, project: str):
    key = f"model/{uuid4()}:latest"
    made = [log(model=key)["completion_id"] for _ in range(2)]
    assert {show(one)["model"] for one in made} == {key}
    page = http.get("/api/v1/interactions", params={"project": project, "model": key}).json()
    assert [one["completion_id"] for one in page["interactions"]] == made[::-1]


def test_without_a_session_an_interaction_opens_its_own_and_others_join_it(log: Call, show: Call):
    first = log()
    assert first["session_id"] == first["completion_id"]
    second = log(session_id=first["session_id"])
    assert second["session_id"] == first["session_id"] != second["completion_id"]
    assert show(second["completion_id"])["session_id"] == first["session_id"]
    assert log(session_id=str(uuid4()))["session_id"] not in (first["session_id"], second["completion_id"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"complettion": "x"}, "complettion"),
        ({"feedback": []}, "feedback"),
        ({"feedbacks": [{"metric": "m", "value": 1, "score": 1}]}, "feedbacks[0].score"),
    ],
)
def test_an_unknown_field_is_refused_by_its_name(
    http: httpx.Client, project: str, refused: Call, fields: dict[str, Any], param: str
):
    body = {"project": project, "messages": [{"role": "user", "content": "?"}], "completion": "!", **fields}
    error = refused(http.post("/api/v1/interactions", json=body), 422, "unknown_field", param)
    assert param.split(".")[-1] in error["message"]


@pytest.mark.parametrize("name", ["messages", "completion"])
def test_a_missing_field_is_named(http: httpx.Client, project: str, refused: Call, name: str):
    body = {"project": project, "messages": [{"role": "user", "content": "?"}], "completion": "!"}
    del body[name]
    refused(http.post("/api/v1/interactions", json=body), 422, "missing_field", name)


# ------------------------------------------------------------------------------------------------ created_at


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2024-02-21T09:51:03Z", "2024-02-21T09:51:03+00:00"),
        ("2024-02-21T09:51:03.123456+02:00", "2024-02-21T07:51:03.123+00:00"),
        ("2024-02-21 09:51:03", "2024-02-21T09:51:03+00:00"),
        ("2024-02-21T09:51:03 | Europe/Paris", "2024-02-21T08:51:03+00:00"),
        ("2024-02-21", "2024-02-21T00:00:00+00:00"),
        ("2024-07-01 | America/New_York", "2024-07-01T04:00:00+00:00"),
        (1708509063250, "2024-02-21T09:51:03.250+00:00"),
        ("1708509063250", "2024-02-21T09:51:03.250+00:00"),
        (1708509063, "2024-02-21T09:51:03+00:00"),
    ],
)
def test_a_time_is_read_in_each_of_its_forms(log: Call, show: Call, given: Any, expected: str):
    assert moment(show(log(created_at=given)["completion_id"])["created_at"]) == moment(expected)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Pacific/Auckland"])
def test_a_time_may_be_told_from_now(log: Call, show: Call, zone: str):
    def a_month_ago() -> datetime:
        return datetime.now(ZoneInfo(zone)) - relativedelta(months=1)

    before = a_month_ago() - timedelta(milliseconds=1)
    logged = log(created_at="now - 1 month" + (f" | {zone}" if zone != "UTC" else ""))
    assert before <= moment(show(logged["completion_id"])["created_at"]) <= a_month_ago()


def test_a_time_more_than_a_day_ahead_is_refused(http: httpx.Client, project: str, log: Call, refused: Call):
    log(created_at="now + 23 hours")
    body = {"project": project, "messages": [{"role": "user", "content": "?"}], "completion": "!"}
    for given in ("now + 25 hours", (datetime.now(UTC) + timedelta(days=2)).isoformat()):
        refused(http.post("/api/v1/interactions", json={**body, "created_at": given}), 422, "future_time", "created_at")


# ------------------------------------------------------------------------------------------------ repetition


def test_repeated_request_gets_the_first_answer_and_stores_nothing_twice(
    http: httpx.Client, log: Call, show: Call, register: Call, project: str
):
    register("CSAT")
    fields = {**WHOLE, "completion_id": str(uuid4()), "feedbacks": [{"metric": "CSAT", "value": n} for n in (1, 2)]}
    first = log(**fields)
    assert first["completion_id"] == fields["completion_id"]
    assert len(set(first["feedback_ids"])) == 2
    assert log(**fields) == first
    assert log(**dict(reversed(fields.items()))) == first
    shown = {one["feedback_id"] for one in show(first["completion_id"])["feedback"]}
    assert shown == set(first["feedback_ids"])
    assert http.get("/api/v1/interactions", params={"project": project, "count": True}).json()["count"] == 1


@pytest.mark.parametrize(
    "other",
    [
        {"completion": "Other."},
        {"labels": {"env": "test"}},
        {"user": "someone else"},
        {"feedbacks": []},
        {"model": "m"},
    ],
)
def test_other_content_under_the_same_id_is_refused(
    http: httpx.Client, log: Call, show: Call, project: str, refused: Call, other: dict[str, Any]
):
    given = {"project": project, **WHOLE, "completion_id": str(uuid4())}
    log(**given)
    before = show(given["completion_id"])
    refused(http.post("/api/v1/interactions", json={**given, **other}), 409, "completion_exists", "completion_id")
    assert show(given["completion_id"]) == before


def test_an_id_of_an_interaction_that_named_none_is_taken_too(
    http: httpx.Client, log: Call, project: str, refused: Call
):
    taken = log()["completion_id"]
    body = {"project": project, "messages": [{"role": "user", "content": "Why?"}], "completion": "So."}
    refused(http.post("/api/v1/interactions", json={**body, "completion_id": taken}), 409, "completion_exists")


# ------------------------------------------------------------------------------------------------ inline feedback


@pytest.mark.parametrize(
    ("second", "status", "param"),
    [
        ({"metric": "unknown", "value": 1}, 404, "feedbacks[1].metric"),
        ({"metric": "good", "value": 5}, 422, "feedbacks[1].value"),
        ({"metric": "CSAT", "value": True}, 422, "feedbacks[1].value"),
        ({"metric": "CSAT", "value": 1, "created_at": "soon"}, 422, "feedbacks[1].created_at"),
    ],
)
def test_an_interaction_with_bad_feedback_is_not_stored_at_all(
    http: httpx.Client, project: str, register: Call, refused: Call, second: dict[str, Any], status: int, param: str
):
    register("CSAT")
    register("good", "bool")
    completion_id = str(uuid4())
    body = {
        "project": project, "messages": [{"role": "user", "content": "?"}], "completion": "!",
        "labels": {"all": "or nothing"}, "completion_id": completion_id,
        "feedbacks": [{"metric": "CSAT", "value": 1}, second],
    }  # fmt: skip
    refused(http.post("/api/v1/interactions", json=body), status, param=param)
    refused(http.get(f"/api/v1/interactions/{completion_id}"), 404)
    assert http.get("/api/v1/labels", params={"project": project}).json()["labels"] == []


# ------------------------------------------------------------------------------------------------ labels


def test_labels_are_set_and_removed_in_one_go(http: httpx.Client, log: Call, show: Call, project: str):
    made = log(labels={"keep": "1", "change": "old", "drop": "x"})["completion_id"]
    change = {"set": {"change": "new", "add": "2"}, "remove": ["drop", "never there"]}
    answer = http.patch(f"/api/v1/interactions/{made}/labels", json=change)
    expected = {"keep": "1", "change": "new", "add": "2"}
    assert answer.json() == {"labels": expected}
    assert show(made)["labels"] == expected

    def is_found_by(label: str) -> bool:
        page = http.get("/api/v1/interactions", params={"project": project, "label": label}).json()
        return [one["completion_id"] for one in page["interactions"]] == [made]

    assert all(is_found_by(label) for label in ("keep:1", "change:new", "add:2", "change"))
    assert not any(is_found_by(label) for label in ("change:old", "drop:x", "drop"))


def test_a_label_that_is_both_set_and_removed_is_set(http: httpx.Client, log: Call):
    made = log(labels={"a": "1"})["completion_id"]
    answer = http.patch(f"/api/v1/interactions/{made}/labels", json={"set": {"a": "2"}, "remove": ["a"]})
    assert answer.json()["labels"] == {"a": "2"}


def test_a_bad_change_of_labels_changes_none(http: httpx.Client, log: Call, show: Call, refused: Call):
    before = {f"k{n}": "v" for n in range(64)}
    made = log(labels=before)["completion_id"]
    path = f"/api/v1/interactions/{made}/labels"
    refused(http.patch(path, json={"set": {"one": "more"}}), 422, "too_many_labels", "set")
    refused(http.patch(path, json={"set": {"k0": "x" * 1025}, "remove": ["k1"]}), 422, "label_too_long", "set.k0")
    refused(http.patch(path, json={"set": {"k0": 1}, "remove": ["k1"]}), 422, None, "set.k0")
    assert show(made)["labels"] == before
    swapped = http.patch(path, json={"set": {"one": "more"}, "remove": ["k0"]})
    assert len(swapped.json()["labels"]) == 64


# ------------------------------------------------------------------------------------------------ deletion


def test_a_deleted_interaction_is_gone_with_all_that_hung_on_it(
    http: httpx.Client, log: Call, register: Call, project: str, refused: Call
):
    register("CSAT")
    made = log(labels={"a": "1"}, feedbacks=[{"metric": "CSAT", "value": 1}])
    later = http.post("/api/v1/feedback", json={"completion_id": made["completion_id"], "metric": "CSAT", "value": 2})
    path = f"/api/v1/interactions/{made['completion_id']}"
    assert http.delete(path).json() == {"deleted": True}
    refused(http.get(path), 404, "completion_not_found")
    refused(http.delete(path), 404, "completion_not_found")
    refused(http.patch(f"{path}/labels", json={"set": {"a": "2"}}), 404, "completion_not_found")
    for feedback_id in (*made["feedback_ids"], later.json()["feedback_id"]):
        refused(http.get(f"/api/v1/feedback/{feedback_id}"), 404, "feedback_not_found")
    assert http.get("/api/v1/interactions", params={"project": project}).json()["interactions"] == []
    assert http.get("/api/v1/labels", params={"project": project}).json()["labels"] == []
    again = {"completion_id": made["completion_id"], "metric": "CSAT", "value": 2}
    refused(http.post("/api/v1/feedback", json=again), 404, "completion_not_found", "completion_id")


def test_what_was_deleted_can_be_logged_anew(http: httpx.Client, show: Call, project: str):
    body = {
        "project": project, "messages": [{"role": "user", "content": "?"}], "completion": "first",
        "completion_id": str(uuid4()),
    }  # fmt: skip
    http.post("/api/v1/interactions", json=body).raise_for_status()
    http.delete(f"/api/v1/interactions/{body['completion_id']}").raise_for_status()
    # Its words may still be on their way out of the text index: the server then asks to be called again.
    while (answer := http.post("/api/v1/interactions", json={**body, "completion": "second"})).status_code == 503:
        assert answer.headers["retry-after"]
    assert answer.status_code == 201, answer.text
    assert show(body["completion_id"])["completion"] == "second"


# ------------------------------------------------------------------------------------------------ which project


def test_without_a_project_it_is_the_default_one(http: httpx.Client, show: Call):
    body = {"messages": [{"role": "user", "content": "?"}], "completion": "!"}
    made = http.post("/api/v1/interactions", json=body).json()["completion_id"]
    assert show(made)["project"] == "default"
    http.delete(f"/api/v1/interactions/{made}").raise_for_status()


def test_a_project_is_named_by_key_or_id(http: httpx.Client, log: Call, show: Call, project: str):
    its_id = http.get(f"/api/v1/projects/{project}").json()["id"]
    assert show(log(project=its_id)["completion_id"])["project"] == project


def test_a_key_of_one_project_needs_not_name_it(server, http: httpx.Client, show: Call, project: str, refused: Call):
    made = http.post("/api/v1/keys", json={"name": "one", "projects": [project]}).json()
    body = {"messages": [{"role": "user", "content": "?"}], "completion": "!"}
    with server.client(made["api_key"]) as own:
        answer = own.post("/api/v1/interactions", json=body)
        refused(own.post("/api/v1/interactions", json={**body, "project": "default"}), 404, "project_not_found")
    assert show(answer.json()["completion_id"])["project"] == project


def test_an_unknown_project_is_refused(http: httpx.Client, refused: Call):
    body = {"project": "no-such", "messages": [{"role": "user", "content": "?"}], "completion": "!"}
    error = refused(http.post("/api/v1/interactions", json=body), 404, "project_not_found", "project")
    assert error["message"].startswith("EntityNotFound: project")
