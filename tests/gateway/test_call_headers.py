"""What a caller says of a call in the headers of its request: ids, labels, session, user, and whether it is stored."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

HELLO = [{"role": "user", "content": "Hello there"}]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def call(gateway: Any, headers: dict[str, str], **fields: Any) -> httpx.Response:
    body = {"model": gateway.model(), "messages": HELLO, **fields}
    return gateway.http.post("/api/v1/chat/completions", json=body, headers=headers)


def logged(gateway: Any, headers: dict[str, str], **fields: Any) -> dict[str, Any]:
    answer = call(gateway, headers, **fields)
    assert answer.status_code == 200, answer.text
    return gateway.logged(answer.headers["x-afterword-completion-id"])


@pytest.mark.parametrize("streamed", [False, True])
def test_a_caller_chooses_the_completion_id_in_a_header(gateway: Any, refused: Any, streamed: bool):
    own_id = str(uuid4())
    headers = {"x-afterword-completion-id": own_id.upper()}
    answer = call(gateway, headers, stream=streamed)
    assert answer.headers["x-afterword-completion-id"] == own_id
    assert f'"id":"chatcmpl-{own_id}"' in answer.text
    assert gateway.logged(own_id)["completion"] == "You said: Hello there"
    seen = len(gateway.upstream.seen("Hello there"))
    error = refused(call(gateway, headers, stream=streamed), 409, "completion_exists", "x-afterword-completion-id")
    assert own_id in error["message"]
    assert len(gateway.upstream.seen("Hello there")) == seen, "the provider was called though the id is taken"


def test_of_two_calls_with_one_id_at_once_one_is_refused(gateway: Any):
    headers = {"x-afterword-completion-id": str(uuid4()), **dict(gateway.http.headers)}
    body = {"model": gateway.model(), "messages": HELLO}

    async def both() -> list[int]:
        async with httpx.AsyncClient(base_url=gateway.http.base_url, headers=headers) as http:
            answers = await asyncio.gather(*(http.post("/v1/chat/completions", json=body) for _ in range(2)))
            return sorted(answer.status_code for answer in answers)

    assert asyncio.run(both()) == [200, 409]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_failed_attempt_leaves_the_chosen_id_to_the_next_one(gateway: Any, refused: Any, streamed: bool):
    own_id = str(uuid4())
    headers = {"x-afterword-completion-id": own_id}
    body = {"messages": HELLO, "stream": streamed, "n": 2}
    failed_ids = []
    for behaviour, status in (("error-500", 500), ("error-429", 429), ("drop", 502)):
        failing = {**body, "model": gateway.model(behaviour)}
        answer = gateway.http.post("/api/v1/chat/completions", json=failing, headers=headers)
        assert answer.status_code == status
        failed_ids.append(answer.headers["x-afterword-completion-id"])
        interaction = gateway.logged(failed_ids[-1])
        assert interaction["call"]["state"] == "failed"
        assert interaction["parameters"]["completion_id"] == own_id
        refused(gateway.http.get(f"/api/v1/interactions/{own_id}"), 404)
    assert len({own_id, *failed_ids}) == 4
    answer = call(gateway, headers, stream=streamed, n=2)
    assert answer.status_code == 200
    interaction = gateway.logged(own_id)
    assert (interaction["call"]["state"], interaction["completion"]) == ("complete", "You said: Hello there")
    assert "completion_id" not in interaction["parameters"]
    refused(call(gateway, headers, stream=streamed), 409, "completion_exists")


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_caller_who_waits_no_longer_may_call_again_with_the_id(gateway: Any, streamed: bool):
    own_id = str(uuid4())
    headers = {"x-afterword-completion-id": own_id}
    body = {"model": gateway.model("hang"), "messages": HELLO, "stream": streamed}
    with pytest.raises(httpx.ReadTimeout):
        gateway.http.post("/api/v1/chat/completions", json=body, headers=headers, timeout=0.5)
    gateway.wait_until_quiet()
    assert gateway.newest()["call"]["state"] == "cancelled"
    assert call(gateway, headers, stream=streamed).status_code == 200
    assert gateway.logged(own_id)["call"]["state"] == "complete"
    assert gateway.count() == 2


def test_a_stream_that_breaks_off_keeps_the_chosen_id(gateway: Any, refused: Any):
    own_id = str(uuid4())
    headers = {"x-afterword-completion-id": own_id}
    body = {"model": gateway.model("cut-after-2"), "messages": HELLO, "stream": True}
    assert f'"chatcmpl-{own_id}"' in gateway.http.post("/api/v1/chat/completions", json=body, headers=headers).text
    assert gateway.logged(own_id)["call"]["state"] == "failed"
    refused(call(gateway, headers), 409, "completion_exists")


def test_the_id_of_a_stream_is_taken_once_its_head_has_left(gateway: Any):
    own_id = str(uuid4())
    headers = {"x-afterword-completion-id": own_id}
    body = {"model": gateway.model("hang"), "messages": HELLO, "stream": True}
    with gateway.http.stream("POST", "/api/v1/chat/completions", json=body, headers=headers) as answer:
        assert answer.headers["x-afterword-completion-id"] == own_id
        assert gateway.logged(own_id)["call"]["state"] == "open"
    gateway.wait_until_quiet()
    assert gateway.logged(own_id)["call"]["state"] == "cancelled"


def test_further_choices_get_the_ids_after_the_callers_own(gateway: Any):
    own_id = uuid4()
    answer = call(gateway, {"x-afterword-completion-id": str(own_id)}, n=2).json()
    ids = [UUID(choice["completion_id"]) for choice in answer["choices"]]
    assert ids == [own_id, UUID(int=own_id.int + 1)]


@pytest.mark.parametrize(
    ("header", "value"), [("x-afterword-completion-id", "my-id"), ("x-afterword-store", "perhaps")]
)
def test_a_wrong_header_is_named_with_400(gateway: Any, refused: Any, header: str, value: str):
    error = refused(call(gateway, {header: value}), 400, "invalid_header", header)
    assert header in error["message"]
    assert value in error["message"]


def test_headers_stand_for_the_fields_of_the_body(gateway: Any):
    parent = logged(gateway, {})["completion_id"]
    headers = {
        "x-afterword-session": "conversation-7",
        "x-afterword-user": "customer-17",
        "x-afterword-environment": "staging",
        "x-afterword-parent": f"chatcmpl-{parent}",
        "x-afterword-step": "plan",
        "X-Afterword-Label-Topic": "physics",
        "x-afterword-label-%54eam": "support",
    }
    interaction = logged(gateway, headers)
    assert interaction["session"] == "conversation-7"
    assert (interaction["user"], interaction["environment"]) == ("customer-17", "staging")
    assert (interaction["parent"], interaction["step"]) == (parent, "plan")
    assert interaction["labels"] == {"topic": "physics", "Team": "support"}
    [*_, request] = gateway.upstream.seen("Hello there")
    assert not [name for name in request["headers"] if name.lower().startswith("x-afterword")]


def test_values_are_utf8_and_percent_decoded(gateway: Any):
    body = {"model": gateway.model(), "messages": HELLO}
    headers = {
        b"x-afterword-user": b"Zo%C3%AB",
        b"x-afterword-label-city": "Zürich".encode(),
        b"x-afterword-step": b"100%",
    }
    answer = gateway.http.post("/v1/chat/completions", json=body, headers=headers)
    interaction = gateway.logged(answer.headers["x-afterword-completion-id"])
    assert (interaction["user"], interaction["labels"], interaction["step"]) == ("Zoë", {"city": "Zürich"}, "100%")


def test_the_body_wins_over_headers_and_headers_over_baggage(gateway: Any):
    baggage = (
        "session.id=of-baggage, user.id=Zo%C3%AB;property=1, deployment.environment.name=production, other=x,"
        "afterword.label.Topic=baggage, afterword.label.tier=gold, malformed"
    )
    interaction = logged(gateway, {"baggage": baggage, "traceparent": TRACEPARENT})
    assert (interaction["session"], interaction["user"]) == ("of-baggage", "Zoë")
    assert interaction["environment"] == "production"
    assert interaction["labels"] == {"Topic": "baggage", "tier": "gold"}
    body = {"model": gateway.model(), "messages": HELLO}
    several = [("baggage", "user.id=ann"), ("baggage", "other=x, afterword.label.tier=gold")]
    answer = gateway.http.post("/api/v1/chat/completions", json=body, headers=several)
    interaction = gateway.logged(answer.headers["x-afterword-completion-id"])
    assert (interaction["user"], interaction["labels"]) == ("ann", {"tier": "gold"})
    headers = {
        "baggage": baggage,
        "x-afterword-session": "of-a-header",
        "x-afterword-user": "header",
        "x-afterword-label-tier": "header",
        "x-afterword-label-a": "header",
        "x-afterword-label-b": "header",
    }
    interaction = logged(gateway, headers, user="body", labels={"a": "body"}, metadata={"b": "metadata"})
    assert (interaction["session"], interaction["user"]) == ("of-a-header", "body")
    assert interaction["labels"] == {"Topic": "baggage", "tier": "header", "a": "body", "b": "metadata"}


def test_a_label_that_cannot_be_stored_is_kept_among_the_parameters(gateway: Any):
    interaction = logged(gateway, {"x-afterword-label-a": "x" * 2000, "x-afterword-session": "s" * 201})
    assert interaction["labels"] == {}
    assert interaction["parameters"] == {"header_labels": {"a": "x" * 2000}, "session_id": "s" * 201}


def test_a_call_is_not_stored_by_a_header(gateway: Any, refused: Any):
    for fields in ({}, {"store": True}):
        answer = call(gateway, {"x-afterword-store": "false"}, **fields)
        completion_id = answer.headers["x-afterword-completion-id"]
        refused(gateway.http.get(f"/api/v1/interactions/{completion_id}"), 404, "completion_not_stored")
    assert logged(gateway, {"x-afterword-store": "true"}, store=False)["completion"]


def test_the_calls_of_a_trace_are_a_session_where_none_is_named(gateway: Any):
    session_ids = {logged(gateway, {"traceparent": TRACEPARENT})["session_id"] for _ in range(2)}
    assert session_ids == {str(UUID(TRACE))}
    assert logged(gateway, {"traceparent": TRACEPARENT}, session_id="mine")["session"] == "mine"
    interaction = logged(gateway, {"traceparent": "00-" + "0" * 32 + "-00f067aa0ba902b7-01"})
    assert interaction["session_id"] == interaction["completion_id"]


def test_a_trace_is_assigned_to_one_model_of_an_ab_test(gateway: Any):
    names = [gateway.model().partition("/")[2] for _ in range(2)]
    http, project = gateway.http, gateway.project
    http.post("/api/v1/metrics", json={"key": "CSAT", "project": project}).raise_for_status()
    test = {"key": f"t-{uuid4().hex[:8]}", "metric": "CSAT", "models": names, "project": project}
    http.post("/api/v1/ab-tests", json=test).raise_for_status()
    models: dict[str, set[str]] = {}
    for _ in range(8):
        trace = uuid4().hex
        for _ in range(2):
            body = {"model": project, "messages": HELLO}
            headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
            answer = http.post("/v1/chat/completions", json=body, headers=headers).raise_for_status()
            models.setdefault(answer.headers["x-afterword-session-id"], set()).add(answer.json()["choices"][0]["model"])
    assert len(models) == 8
    assert all(len(assigned) == 1 for assigned in models.values())
