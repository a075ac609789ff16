"""Feedback and preferences: what people thought."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def rate(http: httpx.Client) -> Callable[..., httpx.Response]:
    """Log feedback, whatever comes of it."""
    return lambda completion_id, metric, value, **fields: http.post(
        "/api/v1/feedback", json={"completion_id": completion_id, "metric": metric, "value": value, **fields}
    )


@pytest.fixture
def prefer(http: httpx.Client) -> Callable[..., httpx.Response]:
    """Log a preference, whatever comes of it."""
    return lambda preferred, other, metric="quality", **fields: http.post(
        "/api/v1/comparison",
        json={"preferred_completion": preferred, "other_completion": other, "metric": metric, **fields},
    )


# ------------------------------------------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("bool", True, 1.0), ("bool", False, 0.0), ("bool", 1, 1.0), ("bool", 0, 0.0), ("bool", 1.0, 1.0),
        ("scalar", 5, 5.0), ("scalar", -0.25, -0.25), ("scalar", 0, 0.0), ("scalar", 1e300, 1e300),
        ("scalar", 2**53 + 1, float(2**53 + 1)),
    ],
)  # fmt: skip
def test_a_value_that_fits_the_kind_is_kept(
    log: Call, show: Call, register: Call, rate: Any, kind: str, value: Any, kept: float
):
    register("key", kind)
    made = log()["completion_id"]
    answer = rate(made, "key", value, details="why", reason="Style", user="ann", created_at="2024-02-21")
    assert answer.status_code == 201
    [feedback] = show(made)["feedback"]
    assert feedback.pop("created_at").startswith("2024-02-21T00:00:00")
    assert feedback == {
        **answer.json(), "completion_id": made, "metric": "key", "value": kept, "details": "why", "reason": "Style",
        "user": "ann", "actor": "administrator", "kind": kind, "mine": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bool", 5), ("bool", 0.5), ("bool", -1), ("bool", "true"), ("bool", None),
        ("scalar", True), ("scalar", False), ("scalar", "5"), ("scalar", None), ("scalar", [1]), ("scalar", 10**400),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused(
    log: Call, show: Call, register: Call, rate: Any, refused: Call, kind: str, value: Any
):
    register("key", kind)
    made = log()["completion_id"]
    refused(rate(made, "key", value), 422, param="value")
    assert show(made)["feedback"] == []


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(
    http: httpx.Client, log: Call, register: Call, refused: Call, literal: str
):
    register("key")
    raw = f'{{"completion_id": "{log()["completion_id"]}", "metric": "key", "value": {literal}}}'
    answer = http.post("/api/v1/feedback", content=raw, headers={"content-type": "application/json"})
    error = refused(answer, 422 if literal == "1e999" else 400)
    assert "out of range" in error["message"] or error["code"] == "malformed_json"


def test_several_values_stand_side_by_side_the_newest_first(log: Call, show: Call, register: Call, rate: Any):
    register("CSAT")
    made = log()["completion_id"]
    ids = [rate(made, "CSAT", 3, created_at=1_700_000_000_000 + n).json()["feedback_id"] for n in range(3)]
    assert [one["feedback_id"] for one in show(made)["feedback"]] == ids[::-1]


def test_a_metric_is_named_by_key_or_id(log: Call, show: Call, register: Call, rate: Any):
    its_id = register("CSAT")["id"]
    made = log()["completion_id"]
    assert rate(made, its_id, 3).status_code == 201
    assert show(made)["feedback"][0]["metric"] == "CSAT"


def test_feedback_names_the_key_that_gave_it(server, http: httpx.Client, log: Call, show: Call, register: Call):
    register("CSAT")
    made = log()["completion_id"]
    key = http.post("/api/v1/keys", json={"name": "the judge", "role": "ingest"}).json()["api_key"]
    with server.client(key) as judge:
        body = {"completion_id": made, "metric": "CSAT", "value": 1}
        assert judge.post("/api/v1/feedback", json=body).status_code == 201
    assert show(made)["feedback"][0]["actor"] == "the judge"


# ------------------------------------------------------------------------------------------------ wrong ids


def test_an_unknown_completion_is_refused(register: Call, rate: Any, refused: Call):
    register("CSAT")
    error = refused(rate(str(uuid4()), "CSAT", 1), 404, "completion_not_found", "completion_id")
    assert error["message"].startswith("EntityNotFound: completion")


def test_an_unknown_metric_is_refused(log: Call, rate: Any, refused: Call):
    error = refused(rate(log()["completion_id"], "CSAT", 1), 404, "metric_not_found", "metric")
    assert error["message"].startswith("EntityNotFound: metric")
    assert "register" in error["hint"].lower()


def test_who_passes_an_unknown_responses_id_is_told_what_to_give(register: Call, rate: Any, refused: Call):
    register("CSAT")
    error = refused(rate("chatcmpl-9a8b7c", "CSAT", 1), 422, "invalid_completion_id", "completion_id")
    assert "choices[0].completion_id" in error["hint"]
    assert "the id of an answer of Afterword" in error["hint"]


def test_who_passes_the_id_of_something_else_is_told_of_what(
    log: Call, register: Call, rate: Any, prefer: Any, refused: Call
):
    register("CSAT")
    session_id = str(uuid4())
    made = log(session_id=session_id)["completion_id"]
    feedback_id = rate(made, "CSAT", 1).json()["feedback_id"]
    for wrong, name in ((session_id, "session_id"), (feedback_id, "feedback_id")):
        assert f"This is a {name}" in refused(rate(wrong, "CSAT", 1), 404, "completion_not_found")["hint"]
        assert f"This is a {name}" in refused(prefer(made, wrong, "CSAT"), 404, "completion_not_found")["hint"]


# ------------------------------------------------------------------------------------------------ one feedback


def test_a_feedback_is_shown_changed_and_deleted(
    http: httpx.Client, log: Call, show: Call, register: Call, rate: Any, refused: Call
):
    register("CSAT")
    made = log()["completion_id"]
    path = f"/api/v1/feedback/{rate(made, 'CSAT', 3, details='d', reason='r').json()['feedback_id']}"
    before = http.get(path).json()
    assert before == show(made)["feedback"][0]
    assert http.patch(path, json={}).json() == before
    assert http.patch(path, json={"value": 4}).json() == {**before, "value": 4.0}
    after = {**before, "value": 4.0, "details": None, "reason": "other"}
    assert http.patch(path, json={"details": None, "reason": "other"}).json() == after
    assert show(made)["feedback"] == [after]
    refused(http.patch(path, json={"value": True}), 422, "invalid_value", "value")
    refused(http.patch(path, json={"metric": "other"}), 422, "unknown_field", "metric")
    assert http.get(path).json() == after
    assert http.delete(path).json() == {"deleted": True}
    for answer in (http.get(path), http.patch(path, json={"value": 1}), http.delete(path)):
        refused(answer, 404, "feedback_not_found", "feedback_id")
    assert show(made)["feedback"] == []


def test_a_feedback_id_makes_feedback_repeatable(log: Call, show: Call, register: Call, rate: Any, refused: Call):
    register("CSAT")
    made = log()["completion_id"]
    given = {"feedback_id": str(uuid4()), "details": "once"}
    for _ in range(3):
        answer = rate(made, "CSAT", 3, **given)
        assert (answer.status_code, answer.json()) == (201, {"feedback_id": given["feedback_id"]})
    refused(rate(made, "CSAT", 4, **given), 409, "feedback_exists", "feedback_id")
    assert [one["value"] for one in show(made)["feedback"]] == [3.0]


def test_a_repetition_after_a_change_is_told_what_is_stored_now(
    http: httpx.Client, log: Call, show: Call, register: Call, rate: Any, refused: Call
):
    register("thumb", "bool")
    made, feedback_id = log()["completion_id"], str(uuid4())
    given = {"feedback_id": feedback_id, "user": "user-7"}

    def values() -> list[float]:
        return [one["value"] for one in show(made)["feedback"]]

    assert [rate(made, "thumb", True, **given).status_code for _ in range(2)] == [201, 201]
    http.patch(f"/api/v1/feedback/{feedback_id}", json={"value": False, "details": "wrong city"}).raise_for_status()
    error = refused(rate(made, "thumb", True, **given), 409, "feedback_exists", "feedback_id")
    assert "value false under 'thumb'" in error["message"]
    assert f"PATCH /api/v1/feedback/{feedback_id}" in error["hint"]
    assert rate(made, "thumb", False, details="wrong city", **given).status_code == 201
    refused(rate(made, "thumb", False, **given), 409, "feedback_exists")
    assert values() == [0.0]
    http.patch(f"/api/v1/feedback/{feedback_id}", json={"value": True, "details": None}).raise_for_status()
    assert rate(made, "thumb", True, **given).status_code == 201
    assert values() == [1.0]


# ------------------------------------------------------------------------------------------------ preferences


@pytest.mark.parametrize("path", ["comparison", "preferences"])
def test_a_preference_is_seen_from_both_sides(http: httpx.Client, log: Call, show: Call, register: Call, path: str):
    register("quality")
    good, bad = log(completion="Good.")["completion_id"], log(completion="Bad.")["completion_id"]
    body = {"metric": "quality", "preferred_completion": good, "other_completion": bad, "details": "d", "user": "u"}
    answer = http.post(f"/api/v1/{path}", json=body)
    assert answer.status_code == 201
    [seen] = show(good)["preferences"]
    assert show(bad)["preferences"] == [seen]
    assert http.get(f"/api/v1/preferences/{seen['comparison_id']}").json() == seen
    assert datetime.fromisoformat(seen.pop("created_at"))
    whose = {"actor": "administrator", "mine": True}
    assert seen == {**answer.json(), **body, "tied": None, "prompt_mismatch": False, **whose}


@pytest.mark.parametrize("tied", ["good", "bad"])
def test_a_tie_is_good_or_bad(log: Call, show: Call, register: Call, prefer: Any, refused: Call, tied: str):
    register("quality")
    one, two = log()["completion_id"], log()["completion_id"]
    assert prefer(one, two, tied=tied).status_code == 201
    assert show(one)["preferences"][0]["tied"] == tied
    refused(prefer(one, two, tied="draw"), 422, param="tied")


def test_two_texts_are_logged_and_compared(http: httpx.Client, show: Call, register: Call, prefer: Any, project: str):
    register("quality")
    messages = [{"role": "user", "content": "Which?"}]
    sides = [{"text": "This.", "model": "model-a"}, {"text": "That."}]
    fields = {"project": project, "labels": {"from": "arena"}, "user": "u", "created_at": "2024-02-21"}
    answer = prefer(*sides, messages=messages, **fields)
    assert answer.status_code == 201, answer.text
    page = http.get("/api/v1/interactions", params={"project": project, "label": "from:arena"}).json()["interactions"]
    logged = {one["completion"]: one for one in page}
    assert set(logged) == {"This.", "That."}
    assert (logged["This."]["model"], logged["That."]["model"]) == ("model-a", None)
    for one in page:
        assert show(one["completion_id"])["messages"] == messages
        assert (one["user"], one["created_at"][:10]) == ("u", "2024-02-21")
        [preference] = one["preferences"]
        assert preference["preferred_completion"] == logged["This."]["completion_id"]
        assert preference["comparison_id"] == answer.json()["comparison_id"]
        assert preference["prompt_mismatch"] is False


def test_a_logged_completion_is_compared_with_a_text(
    http: httpx.Client, log: Call, show: Call, register: Call, prefer: Any, project: str
):
    register("quality")
    there = log()["completion_id"]
    answer = prefer({"text": "Better."}, there, messages=[{"role": "user", "content": "Why?"}], project=project)
    assert answer.status_code == 201, answer.text
    [preference] = show(there)["preferences"]
    assert preference["prompt_mismatch"] is False
    assert show(preference["preferred_completion"])["completion"] == "Better."


def test_answers_to_different_prompts_are_marked(log: Call, show: Call, register: Call, prefer: Any):
    register("quality")
    one = log()["completion_id"]
    two = log(messages=[{"role": "user", "content": "Something else?"}])["completion_id"]
    assert prefer(one, two).status_code == 201
    assert show(one)["preferences"][0]["prompt_mismatch"] is True
    assert show(two)["preferences"][0]["prompt_mismatch"] is True


def test_what_cannot_be_compared_is_refused_and_logs_nothing(
    http: httpx.Client, log: Call, register: Call, prefer: Any, project: str, refused: Call
):
    register("quality")
    other = f"other-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": other}).raise_for_status()
    here, there = log()["completion_id"], log(project=other)["completion_id"]
    messages = [{"role": "user", "content": "Why?"}]
    refused(prefer(here, here), 422, "same_completion", "other_completion")
    refused(prefer(here, there), 404, "completion_not_found", "other_completion")
    refused(prefer(here, str(uuid4())), 404, "completion_not_found", "other_completion")
    refused(prefer(str(uuid4()), here), 404, "completion_not_found", "preferred_completion")
    refused(prefer(here, "chatcmpl-1"), 422, "invalid_completion_id", "other_completion")
    refused(prefer(here, {"text": "x"}), 422, "missing_messages", "messages")
    refused(prefer(here, {"text": "x"}, "unknown", messages=messages, project=project), 404, "metric_not_found")
    refused(prefer({"text": "x"}, str(uuid4()), messages=messages, project=project), 404, "completion_not_found")
    refused(prefer({"text": "x"}, there, messages=messages, project=project), 404, "completion_not_found")
    page = http.get("/api/v1/interactions", params={"project": project, "count": True}).json()
    assert page["count"] == 1
    assert page["interactions"][0]["preferences"] == []


def test_after_one_side_is_deleted_the_other_still_shows_the_preference(
    http: httpx.Client, log: Call, show: Call, register: Call, prefer: Any
):
    register("quality")
    kept, gone = log()["completion_id"], log()["completion_id"]
    prefer(gone, kept).raise_for_status()
    http.delete(f"/api/v1/interactions/{gone}").raise_for_status()
    [preference] = show(kept)["preferences"]
    assert (preference["preferred_completion"], preference["other_completion"]) == (gone, kept)


def test_a_preference_is_taken_back_from_both_sides(
    http: httpx.Client, log: Call, show: Call, register: Call, prefer: Any, refused: Call
):
    register("quality")
    one, two = log()["completion_id"], log()["completion_id"]
    kept, wrong = (prefer(one, two).json()["comparison_id"] for _ in range(2))
    assert http.delete(f"/api/v1/preferences/{wrong}").status_code == 200
    assert [said["comparison_id"] for side in (one, two) for said in show(side)["preferences"]] == [kept, kept]
    for call in (http.delete, http.get):
        refused(call(f"/api/v1/preferences/{wrong}"), 404, "preference_not_found", "comparison_id")


def test_a_preference_that_a_key_may_not_see_is_not_taken_back(
    server: Any, http: httpx.Client, log: Call, show: Call, register: Call, prefer: Any, refused: Call
):
    register("quality")
    one, two = log()["completion_id"], log()["completion_id"]
    its_id = prefer(one, two).json()["comparison_id"]
    key = http.post("/api/v1/keys", json={"name": "other", "role": "member", "projects": ["default"]}).json()["api_key"]
    with server.client(key) as other:
        refused(other.delete(f"/api/v1/preferences/{its_id}"), 404, "preference_not_found", "comparison_id")
    assert show(one)["preferences"]


def test_one_metric_takes_values_and_preferences(log: Call, show: Call, register: Call, rate: Any, prefer: Any):
    register("quality")
    one, two = log()["completion_id"], log()["completion_id"]
    assert rate(one, "quality", 1).status_code == prefer(one, two).status_code == 201
    assert (len(show(one)["feedback"]), len(show(one)["preferences"])) == (1, 1)


@pytest.mark.parametrize("sides", ["ids", "texts"])
def test_a_comparison_id_makes_a_preference_repeatable(
    http: httpx.Client, log: Call, register: Call, prefer: Any, project: str, refused: Call, sides: str
):
    register("quality")
    given: dict[str, Any] = {"comparison_id": str(uuid4()), "project": project}
    if sides == "ids":
        pair: list[Any] = [log()["completion_id"], log()["completion_id"]]
    else:
        pair = [{"text": "This."}, {"text": "That."}]
        given["messages"] = [{"role": "user", "content": "Which?"}]
    for _ in range(3):
        answer = prefer(*pair, **given)
        assert (answer.status_code, answer.json()) == (201, {"comparison_id": given["comparison_id"]})
    refused(prefer(*pair[::-1], **given), 409, "comparison_exists", "comparison_id")
    page = http.get("/api/v1/interactions", params={"project": project}).json()["interactions"]
    assert [len(one["preferences"]) for one in page] == [1, 1]
