"""OTLP in: spans of calls of models become interactions, once each, whatever convention they follow."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from afterword.ids import id_of_choice

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}


def protobuf(otlp: Any, span: dict[str, Any]) -> bytes:
    """Return a request with one span, as exporters send it."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    for name, value in otlp.resource.items():
        resource_spans.resource.attributes.add(key=name).value.string_value = value
    encoded = resource_spans.scope_spans.add().spans.add(
        trace_id=bytes.fromhex(span["traceId"]),
        span_id=bytes.fromhex(span["spanId"]),
        name=span["name"],
        start_time_unix_nano=int(span["startTimeUnixNano"]),
        end_time_unix_nano=int(span["endTimeUnixNano"]),
    )
    for attribute in span["attributes"]:
        encoded.attributes.add(key=attribute["key"]).value.string_value = attribute["value"]["stringValue"]
    return request.SerializeToString()


def test_a_span_of_the_current_convention_is_an_interaction(otlp: Any):
    parts = [{"type": "text", "content": "Rain in Paris?"}, {"type": "uri", "modality": "image", "uri": "https://x/y"}]
    inputs = [
        {"role": "user", "parts": parts},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"a": 1}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"rain": True}}]},
    ]
    reasoned = [{"type": "reasoning", "content": "Hm."}, {"type": "text", "content": "Yes."}]
    span = otlp.span(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-x",
            "gen_ai.response.model": "gpt-x-2026",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.stop_sequences": ["."],
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.conversation.id": "talk-1",
            "enduser.id": "customer-17",
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be short."}]),
            "gen_ai.input.messages": json.dumps(inputs),
            "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": reasoned, "finish_reason": "stop"}]),
            "gen_ai.tool.definitions": json.dumps([{"type": "function", **WEATHER["function"]}]),
            "afterword.label.topic": "weather",
            "server.address": "example.com",
        }
    )
    assert otlp.send(span).json() == {}
    logged = otlp.logged(span)
    assert logged["messages"] == [
        {"role": "system", "content": "Be short."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Rain in Paris?"},
                {"type": "image_url", "image_url": {"url": "https://x/y"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{**CALL, "function": {"name": "weather", "arguments": '{"a":1}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"rain":true}'},
    ]
    assert (logged["completion"], logged["message"]["reasoning_content"]) == ("Yes.", "Hm.")
    assert (logged["model"], logged["source"], logged["step"]) == ("gpt-x", "LIVE", "chat m")
    assert (logged["session"], logged["user"], logged["environment"]) == ("talk-1", "customer-17", "test")
    assert logged["labels"] == {"provider": "openai", "service.name": "shop", "topic": "weather"}
    assert logged["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    assert logged["timings"] == {"latency": 1500, "ttft": 250, "tokens_per_second": 4.0}
    assert logged["parameters"] == {
        "temperature": 0.5,
        "stop": ["."],
        "tools": [WEATHER],
        "attributes": {"server.address": "example.com"},
    }
    call = {name: value for name, value in logged["call"].items() if value is not None}
    assert call == {
        "state": "complete",
        "finish_reason": "stop",
        "response_id": "chatcmpl-1",
        "provider_model": "gpt-x-2026",
        "trace_id": span["traceId"],
    }
    assert logged["created_at"] == "2026-09-21T14:13:20Z"


OPENLLMETRY = {
    "llm.request.type": "chat",
    "gen_ai.system": "OpenAI",
    "gen_ai.request.model": "m",
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Be short.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "Rain?",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.finish_reason": "tool_calls",
    "gen_ai.completion.0.tool_calls.0.id": "c1",
    "gen_ai.completion.0.tool_calls.0.name": "weather",
    "gen_ai.completion.0.tool_calls.0.arguments": '{"city":"Paris"}',
    "gen_ai.usage.prompt_tokens": 3,
    "gen_ai.usage.completion_tokens": 2,
    "llm.request.functions.0.name": "weather",
    "llm.request.functions.0.parameters": '{"type": "object"}',
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "m-2026",
    "llm.provider": "OpenAI",
    "llm.invocation_parameters": '{"model": "m", "stream": false}',
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be short.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "Rain?",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "weather",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"city":"Paris"}',
    "llm.token_count.prompt": 3,
    "llm.token_count.completion": 2,
    "llm.tools.0.tool.json_schema": json.dumps(WEATHER),
    "llm.finish_reason": "tool_calls",
}
LANGFUSE = {
    "langfuse.observation.type": "generation",
    "langfuse.observation.model.name": "m",
    "gen_ai.system": "OpenAI",
    "langfuse.observation.input": json.dumps(
        {
            "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Rain?"}],
            "tools": [WEATHER],
        }
    ),
    "langfuse.observation.output": json.dumps({"role": "assistant", "content": None, "tool_calls": [CALL]}),
    "langfuse.observation.usage_details": '{"input": 3, "output": 2}',
    "langfuse.observation.metadata.finish_reason": '"tool_calls"',
}
VERCEL = {
    "ai.operationId": "ai.generateText.doGenerate",
    "gen_ai.system": "OpenAI",
    "gen_ai.request.model": "m",
    "ai.prompt.messages": json.dumps(
        [{"role": "system", "content": "Be short."}, {"role": "user", "content": [{"type": "text", "text": "Rain?"}]}]
    ),
    "ai.prompt.tools": [json.dumps({"type": "function", **WEATHER["function"]})],
    "ai.response.toolCalls": json.dumps([{"toolCallId": "c1", "toolName": "weather", "input": '{"city":"Paris"}'}]),
    "ai.response.finishReason": "tool-calls",
    "gen_ai.usage.input_tokens": 3,
    "gen_ai.usage.output_tokens": 2,
}
MLFLOW = {
    "mlflow.spanType": '"CHAT_MODEL"',
    "mlflow.llm.model": '"m-2026"',
    "mlflow.llm.provider": '"OpenAI"',
    "mlflow.spanInputs": json.dumps(
        {
            "model": "m",
            "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Rain?"}],
            "tools": [WEATHER],
        }
    ),
    "mlflow.spanOutputs": json.dumps(
        {"choices": [{"finish_reason": "tool_calls", "message": {"role": "assistant", "tool_calls": [CALL]}}]}
    ),
    "mlflow.chat.tokenUsage": '{"input_tokens": 3, "output_tokens": 2}',
    "model": '"m"',
}


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param(attributes, id=name)
        for name, attributes in {
            "openllmetry": OPENLLMETRY,
            "openinference": OPENINFERENCE,
            "langfuse": LANGFUSE,
            "vercel": VERCEL,
            "mlflow": MLFLOW,
        }.items()
    ],
)
def test_each_convention_tells_the_same_call(otlp: Any, attributes: dict[str, Any]):
    span = otlp.span(attributes)
    assert otlp.send(span).json() == {}
    logged = otlp.logged(span)
    system, user = logged["messages"]
    assert system == {"role": "system", "content": "Be short."}
    assert user["content"] in ("Rain?", [{"type": "text", "text": "Rain?"}])
    assert logged["message"]["tool_calls"] == [CALL]
    assert logged["model"] == "m"
    assert logged["labels"]["provider"] == "OpenAI"
    assert logged["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert logged["parameters"] == {"tools": [WEATHER]}
    assert logged["call"]["finish_reason"] == "tool_calls"


def test_a_repeated_span_changes_nothing(otlp: Any):
    span = otlp.chat()
    for answer in ("So.", "So.", "Something else"):
        repeated = {**span, "attributes": otlp.chat(answer=answer)["attributes"]}
        assert otlp.send(repeated).json() == {}
    assert otlp.count() == 1
    assert otlp.logged(span)["completion"] == "So."
    # Twice in one request, too.
    other = otlp.chat()
    otlp.send(other, other)
    assert otlp.count() == 2


def test_spans_that_are_no_calls_are_counted_and_not_kept(otlp: Any):
    def ignored() -> float:
        lines = otlp.http.get("/metrics").text.splitlines()
        name = 'afterword_telemetry_total{result="ignored",signal="spans"} '
        return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))

    before = ignored()
    spans = [
        otlp.span({"http.request.method": "GET"}),
        otlp.span({"gen_ai.operation.name": "execute_tool", "gen_ai.request.model": "m"}),
        otlp.span({"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "m"}),
        otlp.span({"openinference.span.kind": "CHAIN", "input.value": "x"}),
    ]
    assert otlp.send(*spans).json() == {}
    assert otlp.count() == 0
    assert ignored() == before + 4


def test_a_session_is_the_trace_if_nothing_names_one(otlp: Any):
    first, second = otlp.chat(), otlp.chat()
    second["traceId"] = first["traceId"]
    otlp.send(first, second)
    assert otlp.logged(first)["session_id"] == otlp.logged(second)["session_id"]
    assert otlp.logged(first)["session_id"].replace("-", "") == first["traceId"]


def test_the_parent_is_the_nearest_call_around_a_span(otlp: Any):
    outer = otlp.chat()
    chain = otlp.span({"openinference.span.kind": "CHAIN"}, traceId=outer["traceId"], parentSpanId=outer["spanId"])
    inner = otlp.chat(traceId=outer["traceId"], parentSpanId=chain["spanId"])
    otlp.send(inner, chain, outer)
    assert otlp.logged(inner)["parent"] == otlp.completion_id(outer)
    assert otlp.logged(outer)["parent"] is None
    # Of an earlier request, if it is stored; a parent that is no call is none.
    later = otlp.chat(traceId=outer["traceId"], parentSpanId=outer["spanId"])
    alone = otlp.chat(parentSpanId="00000000000000aa")
    otlp.send(later, alone)
    assert otlp.logged(later)["parent"] == otlp.completion_id(outer)
    assert otlp.logged(alone)["parent"] is None


def test_each_choice_is_an_interaction_and_tokens_count_once(otlp: Any):
    answers = [
        {"role": "assistant", "parts": [{"type": "text", "content": text}], "finish_reason": reason}
        for text, reason in (("One", "stop"), ("Two", "length"))
    ]
    span = otlp.chat(attributes={"gen_ai.output.messages": json.dumps(answers), "gen_ai.usage.output_tokens": 9})
    otlp.send(span)
    first = otlp.logged(span)
    other_id = id_of_choice(UUID(first["completion_id"]), 1)
    second = otlp.http.get(f"/api/v1/interactions/{other_id}").json()
    assert [first["completion"], second["completion"]] == ["One", "Two"]
    assert [first["call"]["finish_reason"], second["call"]["finish_reason"]] == ["stop", "length"]
    assert (first["usage"], second["usage"]) == ({"completion_tokens": 9}, None)
    otlp.send(span)
    assert otlp.count() == 2


def test_a_failed_call_has_its_error(otlp: Any):
    exception = {"name": "exception", "timeUnixNano": "5", "attributes": {"exception.message": "No more."}}
    span = otlp.chat(attributes={"error.type": "RateLimitError"}, status={"code": 2}, events=[exception])
    otlp.send(span)
    call = otlp.logged(span)["call"]
    assert (call["state"], call["finish_reason"]) == ("failed", "error")
    assert call["error"] == {"type": "provider_error", "code": "RateLimitError", "message": "No more."}


def test_what_labels_and_texts_cannot_hold_stays_in_parameters(otlp: Any):
    attributes = {f"metadata.k{number}": "v" for number in range(80)} | {"metadata.long": "x" * 2000}
    span = otlp.chat(attributes={**attributes, "user.id": "u" * 2000})
    assert otlp.send(span).json() == {}
    logged = otlp.logged(span)
    assert len(logged["labels"]) == 64
    assert logged["user"] is None
    assert logged["parameters"]["user"] == "u" * 2000
    assert logged["parameters"]["labels"]["long"] == "x" * 2000


def test_a_bad_span_is_told_and_hurts_no_other(otlp: Any):
    good, late = otlp.chat(), otlp.chat(startTimeUnixNano="4000000000000000000", endTimeUnixNano="4000000000000000001")
    answer = otlp.send(late, good, otlp.chat(spanId="0000000000000000"))
    partial = answer.json()["partialSuccess"]
    assert (answer.status_code, partial["rejectedSpans"]) == (200, "2")
    assert "more than a day in the future" in partial["errorMessage"]
    assert late["spanId"] in partial["errorMessage"]
    assert otlp.logged(good)["completion"] == "So."
    assert otlp.count() == 1


def test_an_unknown_project_is_told(otlp: Any):
    otlp.resource["afterword.project"] = "none-such"
    assert "'none-such' does not exist" in otlp.send(otlp.chat()).json()["partialSuccess"]["errorMessage"]


def test_protobuf_compressed_is_answered_in_protobuf(otlp: Any):
    span = otlp.chat()
    body = gzip.compress(protobuf(otlp, span))
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    answer = otlp.http.post("/v1/traces", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    assert otlp.logged(span)["completion"] == "So."
    bad = otlp.chat(startTimeUnixNano="4000000000000000000", endTimeUnixNano="4000000000000000001")
    answer = otlp.http.post(
        "/v1/traces", content=protobuf(otlp, bad), headers={"Content-Type": headers["Content-Type"]}
    )
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_spans == 1
    assert "in the future" in partial.error_message


@pytest.mark.parametrize("prefix", ["", "/api/public/otel", "/api/v1/otlp"])
def test_each_path_and_each_form_of_the_key_is_taken(otlp: Any, server: Any, prefix: str):
    basic = base64.b64encode(f"pk-public:{server.api_key}".encode()).decode()
    for headers in (
        {"Authorization": f"Bearer {server.api_key}"},
        {"Authorization": f"Basic {basic}"},
        {"x-api-key": server.api_key},
    ):
        with httpx.Client(base_url=server.url, headers=headers) as client:
            otlp.http = client
            assert otlp.send(otlp.chat(), path=f"{prefix}/v1/traces").status_code == 200
    with server.client() as client:
        otlp.http = client
        assert otlp.count() == 3


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Basic " + base64.b64encode(b"pk:aw_wrong").decode()}, 401),
        ({"Authorization": "Basic ???"}, 401),
        ({"x-api-key": "aw_wrong"}, 401),
    ],
)
def test_a_wrong_key_is_refused(server: Any, headers: dict[str, str], status: int):
    answer = httpx.post(f"{server.url}/v1/traces", json={}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, 16)


def test_a_key_that_may_not_write_is_refused(otlp: Any, server: Any):
    key = otlp.http.post("/api/v1/keys", json={"name": f"v-{uuid4()}", "role": "viewer"}).json()["api_key"]
    with server.client(key) as client:
        otlp.http = client
        answer = otlp.send(otlp.chat())
    assert (answer.status_code, answer.json()["code"]) == (403, 7)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"resourceSpans": 3}', "application/json"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}', "application/json"),
        (b"\xff\xff\xff", "application/x-protobuf"),
        (b"{}", "text/plain"),
    ],
)
def test_a_malformed_body_is_refused_for_good(http: httpx.Client, content: bytes, kind: str):
    answer = http.post("/v1/traces", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 400
    if kind == "application/json":
        assert answer.json()["code"] == 3
        assert "OTLP" in answer.json()["message"]


def test_a_body_over_the_limit_is_refused(new_server: Callable[..., Any]):
    server = new_server("--max-body", "64KiB")
    for body, headers in (
        (b"x" * 70_000, {}),
        (gzip.compress(b"x" * 1_000_000), {"Content-Encoding": "gzip"}),
    ):
        with server.client() as client:
            headers |= {"Content-Type": "application/x-protobuf"}
            assert client.post("/v1/traces", content=body, headers=headers).status_code == 413


def test_a_span_of_a_call_through_the_gateway_is_not_logged_again(otlp: Any, gateway: Any):
    answer = gateway.ask(gateway.model("good")).json()
    [choice] = answer["choices"]
    attributes = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.5}
    event = {"name": "gen_ai.evaluation.result", "timeUnixNano": "1790000000000000001", "attributes": attributes}
    response_id = f"chatcmpl-{choice['completion_id']}"
    assert otlp.send(otlp.chat(attributes={"gen_ai.response.id": response_id}, events=[event])).json() == {}
    assert otlp.count() == 1
    assert [one["value"] for one in gateway.logged(choice["completion_id"])["feedback"]] == [0.5]
