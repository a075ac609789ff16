"""OTLP in: log records tell what was said in a call or how good it was, before its span comes or after."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)


@pytest.fixture
def exporter_to(otlp: Any) -> Callable[[Any], Any]:
    """Return an exporter to the project `default` of another server."""

    def made(server: Any) -> Any:
        exporter = type(otlp)(server.client(), "default")
        exporter.resource["afterword.project"] = "default"
        return exporter

    return made


def bare(otlp: Any, **attributes: Any) -> dict[str, Any]:
    """Return the span of a call that does not tell what was said."""
    return otlp.span({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", **attributes})


def dialogue(otlp: Any, span: dict[str, Any]) -> list[dict[str, Any]]:
    """Return log records of the previous convention: a system's and a user's message, and a choice."""
    picture = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PNG}}]
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A dot."}}
    return [
        otlp.record(span, "gen_ai.system.message", body={"content": "Be short."}, time=1),
        otlp.record(span, "gen_ai.user.message", body={"content": picture}, time=2),
        otlp.record(span, "gen_ai.choice", body=choice, time=3),
    ]


def orders() -> list[Any]:
    """Return the orders in which a span `s` and three records can come, each apart or together."""
    return [*itertools.permutations(["s", "0", "1", "2"]), ("s", "012"), ("012", "s"), ("01", "s", "2")]


@pytest.mark.parametrize("order", [pytest.param(order, id="-".join(order)) for order in orders()])
def test_messages_and_span_come_in_any_order(otlp: Any, order: tuple[str, ...]):
    span = bare(otlp)
    records = dialogue(otlp, span)
    for step in order:
        if step == "s":
            otlp.send(span).raise_for_status()
        else:
            otlp.send_records(*(records[int(number)] for number in step)).raise_for_status()
        # The exporter did not hear the answer, and repeats.
        if step != "s":
            otlp.send_records(*(records[int(number)] for number in step)).raise_for_status()
    logged = otlp.logged(span)
    assert [message["role"] for message in logged["messages"]] == ["system", "user"]
    assert logged["messages"][1]["content"][1]["image_url"]["url"].startswith("/images/")
    assert (logged["completion"], logged["call"]["finish_reason"]) == ("A dot.", "stop")
    assert otlp.count() == 1


def test_words_of_completed_content_are_found_and_those_of_deleted_are_not(otlp: Any):
    asked, answered = (f"word{uuid4().hex}" for _ in range(2))
    span = bare(otlp)

    def found(word: str) -> bool:
        query = {"project": otlp.project, "q": word}
        return bool(otlp.http.get("/api/v1/interactions", params=query).json()["interactions"])

    def wait_until(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, "the text index is not up to date"
            time.sleep(0.02)

    otlp.send(span)
    choice = {"index": 0, "message": {"role": "assistant", "content": f"It is {answered}."}}
    otlp.send_records(otlp.record(span, "gen_ai.user.message", body={"content": asked}, time=1))
    wait_until(lambda: found(asked))
    otlp.send_records(otlp.record(span, "gen_ai.choice", body=choice, time=2))
    wait_until(lambda: found(asked) and found(answered))
    search = {"project": otlp.project, "filter": {"completion": {"eq": f"It is {answered}."}}, "count": True}
    assert otlp.http.post("/api/v1/interactions/search", json=search).json()["count"] == 1
    otlp.http.delete(f"/api/v1/interactions/{otlp.completion_id(span)}").raise_for_status()
    wait_until(lambda: not found(asked) and not found(answered))


def test_the_details_event_tells_the_content(otlp: Any):
    texts = {"gen_ai.input.messages": ("user", "Why?"), "gen_ai.output.messages": ("assistant", "So.")}
    content = {
        name: [{"role": role, "parts": [{"type": "text", "content": text}]}] for name, (role, text) in texts.items()
    }
    name = "gen_ai.client.inference.operation.details"
    by_record, by_event = bare(otlp), bare(otlp)
    by_event["events"] = [
        {
            "name": name,
            "timeUnixNano": "1",
            "attributes": otlp.attributes({key: json.dumps(value) for key, value in content.items()}),
        }
    ]
    otlp.send_records(otlp.record(by_record, name, attributes=content))
    otlp.send(by_record, by_event)
    for span in (by_record, by_event):
        logged = otlp.logged(span)
        assert (logged["messages"], logged["completion"]) == ([{"role": "user", "content": "Why?"}], "So.")


def test_what_the_span_tells_is_not_replaced(otlp: Any):
    span = otlp.chat("Said in the span", "Answered in the span")
    records = dialogue(otlp, span)
    otlp.send_records(records[0])
    otlp.send(span)
    otlp.send_records(*records[1:])
    logged = otlp.logged(span)
    assert logged["messages"] == [{"role": "user", "content": "Said in the span"}]
    assert logged["completion"] == "Answered in the span"


def test_a_deleted_interaction_leaves_no_text_behind(otlp: Any):
    span = bare(otlp)
    otlp.send(span)
    records = dialogue(otlp, span)
    otlp.send_records(*records)
    otlp.http.delete(f"/api/v1/interactions/{otlp.completion_id(span)}").raise_for_status()
    otlp.send_records(otlp.record(span, "gen_ai.user.message", body={"content": "Later"}, time=9))
    end = time.monotonic() + 20
    # Its words are taken out of the text index first: until then the exporter is told to wait.
    while (answer := otlp.send(span)).status_code == 503:
        assert answer.headers["retry-after"]
        assert time.monotonic() < end
        time.sleep(0.02)
    assert otlp.logged(span)["messages"] == [{"role": "user", "content": "Later"}]


def test_other_log_records_are_taken_and_not_kept(otlp: Any):
    assert otlp.send_records(otlp.record(None, "http.request"), otlp.record(otlp.chat(), "")).json() == {}


# ------------------------------------------------------------------------------------------------ evaluations


def test_an_evaluation_is_feedback_before_and_after_the_span(otlp: Any, register: Any):
    register("relevance")
    early, late, span = otlp.chat(), otlp.chat(), None
    for span in (early, late):
        record = otlp.evaluation(
            span,
            "relevance",
            0.75,
            **{"gen_ai.evaluation.score.label": "good", "gen_ai.evaluation.explanation": "Apt."},
        )
        steps = [lambda record=record: otlp.send_records(record), lambda span=span: otlp.send(span)]
        for step in steps if span is early else reversed(steps):
            assert step().json() == {}
            assert step().json() == {}
        [feedback] = otlp.logged(span)["feedback"]
        assert (feedback["metric"], feedback["value"]) == ("relevance", 0.75)
        assert (feedback["reason"], feedback["details"]) == ("good", "Apt.")
        assert feedback["created_at"] == "2026-09-21T14:13:20Z"


@pytest.mark.parametrize("is_early", [False, True])
def test_an_evaluation_finds_its_call_by_the_response(otlp: Any, register: Any, is_early: bool):
    register("relevance")
    response_id = f"chatcmpl-{uuid4().hex}"
    span = otlp.chat(attributes={"gen_ai.response.id": response_id})
    record = otlp.evaluation(otlp.chat(), "relevance", 1.0, **{"gen_ai.response.id": response_id})
    for step in (lambda: otlp.send(span), lambda: otlp.send_records(record))[:: -1 if is_early else 1]:
        assert step().json() == {}
    assert [feedback["value"] for feedback in otlp.logged(span)["feedback"]] == [1.0]


def test_an_evaluation_may_be_an_event_of_a_span(otlp: Any, register: Any):
    register("relevance")
    attributes = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.5}
    event = {"name": "gen_ai.evaluation.result", "timeUnixNano": "1790000000000000001", "attributes": attributes}
    own, judged, linked = otlp.chat(events=[event]), otlp.chat(), otlp.chat()
    around = {"traceId": judged["traceId"], "parentSpanId": judged["spanId"]}
    below = otlp.span({"gen_ai.operation.name": "evaluate"}, events=[event], **around)
    links = [{"traceId": linked["traceId"], "spanId": linked["spanId"]}]
    beside = otlp.span({"gen_ai.operation.name": "evaluate"}, events=[event], links=links)
    assert otlp.send(own, judged, linked, below, beside).json() == {}
    for span in (own, judged, linked):
        assert [feedback["value"] for feedback in otlp.logged(span)["feedback"]] == [0.5]


def test_an_unknown_feedback_key_is_registered_by_a_key_that_may_edit(otlp: Any, server: Any):
    span = otlp.chat()
    otlp.send(span)
    label = {"gen_ai.evaluation.score.label": "pass"}
    assert otlp.send_records(otlp.evaluation(span, "score", 2.5), otlp.evaluation(span, "safe", **label)).json() == {}
    listed = otlp.http.get("/api/v1/metrics", params={"project": otlp.project}).json()["metrics"]
    kinds = {metric["key"]: metric["kind"] for metric in listed if metric["key"] in ("score", "safe")}
    assert kinds == {"score": "scalar", "safe": "bool"}
    assert {one["metric"]: one["value"] for one in otlp.logged(span)["feedback"]} == {"score": 2.5, "safe": 1.0}

    body = {"name": f"i-{uuid4()}", "role": "ingest", "projects": [otlp.project]}
    key = otlp.http.post("/api/v1/keys", json=body).json()["api_key"]
    with server.client(key) as client:
        otlp.http = client
        partial = otlp.send_records(otlp.evaluation(span, "unheard-of", 1.0)).json()["partialSuccess"]
        assert partial["rejectedLogRecords"] == "1"
        assert "'unheard-of' is not registered" in partial["errorMessage"]
        assert otlp.send_records(otlp.evaluation(span, "score", 3.5)).json() == {}


@pytest.mark.parametrize(
    ("name", "value", "label", "told"),
    [
        ("flag", 0.5, None, "the metric 'flag' is bool"),
        ("flag", None, "purple", "It has no score"),
        ("", 1.0, None, "characters"),
    ],
)
def test_an_evaluation_that_cannot_be_feedback_is_told(
    otlp: Any, register: Any, name: str, value: float | None, label: str | None, told: str
):
    register("flag", "bool")
    members = {} if label is None else {"gen_ai.evaluation.score.label": label}
    answer = otlp.send_records(otlp.evaluation(otlp.chat(), name, value, **members))
    assert told in answer.json()["partialSuccess"]["errorMessage"]


def test_an_evaluation_finds_a_call_of_the_gateway(otlp: Any, register: Any, gateway: Any):
    register("relevance")
    [choice] = gateway.ask(gateway.model("good")).json()["choices"]
    response_id = gateway.logged(choice["completion_id"])["call"]["response_id"]
    record = otlp.evaluation(None, "relevance", 1.0, **{"gen_ai.response.id": response_id})
    assert otlp.send_records(record).json() == {}
    assert [one["value"] for one in gateway.logged(choice["completion_id"])["feedback"]] == [1.0]


# ------------------------------------------------------------------------------------------------ on the disk


def test_what_waits_survives_a_kill(new_server: Callable[..., Any], exporter_to: Callable[[Any], Any]):
    server = new_server()
    otlp = exporter_to(server)
    span = bare(otlp)
    otlp.send_records(*dialogue(otlp, span), otlp.evaluation(span, "score", 2.5)).raise_for_status()
    server.kill()
    server.start()
    with server.client() as client:
        otlp.http = client
        otlp.send(span).raise_for_status()
        server.kill()
        server.start()
    with server.client() as client:
        otlp.http = client
        logged = otlp.logged(span)
    assert (logged["completion"], [one["value"] for one in logged["feedback"]]) == ("A dot.", [2.5])


def test_an_evaluation_that_waits_finds_a_call_that_was_logged_otherwise(
    new_server: Callable[..., Any], exporter_to: Callable[[Any], Any]
):
    server = new_server()
    otlp = exporter_to(server)
    record = otlp.evaluation(None, "score", 2.5, **{"gen_ai.response.id": "resp-7"})
    assert otlp.send_records(record).json() == {}
    body = {"messages": [{"role": "user", "content": "Why?"}], "completion": "So.", "call": {"response_id": "resp-7"}}
    completion_id = otlp.http.post("/api/v1/interactions", json=body).json()["completion_id"]
    end = time.monotonic() + 60
    while not (feedback := otlp.http.get(f"/api/v1/interactions/{completion_id}").json()["feedback"]):
        assert time.monotonic() < end, "the evaluation still waits"
        time.sleep(0.1)
    assert [one["value"] for one in feedback] == [2.5]


def test_only_so_much_waits(new_server: Callable[..., Any], exporter_to: Callable[[Any], Any]):
    server = new_server("--max-waiting-telemetry", "2")
    otlp = exporter_to(server)
    spans = [otlp.chat() for _ in range(4)]
    for span in spans:
        otlp.send_records(otlp.evaluation(span, "score", 2.5)).raise_for_status()
    server.stop()
    server.start()
    with server.client() as client:
        otlp.http = client
        # The worker deletes the oldest in its first step.
        end = time.monotonic() + 60
        seconds = 'afterword_background_seconds_total{worker="waiting-telemetry"} 0.0\n'
        while seconds in client.get("/metrics").text:
            assert time.monotonic() < end
            time.sleep(0.02)
        otlp.send(*spans)
        assert [bool(otlp.logged(span)["feedback"]) for span in spans] == [False, False, True, True]
