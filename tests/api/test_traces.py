"""Traces of calls: sent to a real receiver of OTLP, told on to a real provider."""

from __future__ import annotations

import http.server
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SERVER, CLIENT = Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT
FAILED = 2


class Collector:
    """A receiver of OTLP over HTTP. `raw` is all that came."""

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self.clear()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take(self.path, body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def clear(self) -> None:
        """Forget what came."""
        self.raw = b""
        self.paths: set[str] = set()
        self.services: set[str] = set()
        self.spans: list[Span] = []

    def take(self, path: str, body: bytes) -> None:
        with self._arrived:
            self.raw += body
            self.paths.add(path)
            for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.services.add(attributes(part.resource)["service.name"])
                self.spans += [span for scope in part.scope_spans for span in scope.spans]
            self._arrived.notify_all()

    def wait(self, number: int) -> list[Span]:
        """Return the spans once so many have come."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.spans) >= number, 20), self.spans
            assert len(self.spans) == number
            return self.spans

    def pair(self) -> tuple[Span, Span]:
        """Return the two spans of the one call that was traced."""
        spans = self.wait(2)
        [server] = [span for span in spans if span.kind == SERVER]
        [client] = [span for span in spans if span.kind == CLIENT]
        return server, client

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def attributes(of: Any) -> dict[str, Any]:
    """Return attributes as plain values."""
    found: dict[str, Any] = {}
    for one in of.attributes:
        kind = one.value.WhichOneof("value")
        value = getattr(one.value, kind)
        found[one.key] = [part.string_value for part in value.values] if kind == "array_value" else value
    return found


@pytest.fixture(scope="module")
def receiver() -> Iterator[Collector]:
    """A receiver for all tests of this file."""
    running = Collector()
    yield running
    running.close()


@pytest.fixture(scope="module")
def sender(server: Any, receiver: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that sends its spans there, as soon as they are over."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "20"}
    running = type(server)(tmp_path_factory.mktemp("traced") / "data", environment=environment)
    yield running
    running.stop()


@pytest.fixture
def collector(receiver: Collector) -> Collector:
    """The receiver, before anything has come."""
    receiver.clear()
    return receiver


@pytest.fixture
def traced(sender: Any, gateway: Any, upstream: Any, collector: Collector) -> Iterator[Any]:
    """The server that sends spans, with models of the upstream behind it."""
    made = type(gateway)(sender, "default", upstream)
    yield made
    made.http.close()


def test_a_call_is_a_span_with_the_providers_part_in_it(traced: Any, collector: Collector):
    name = traced.model("good")
    key = name.partition("/")[2]
    answer = traced.ask(name).raise_for_status()
    server, client = collector.pair()
    assert server.name == f"chat {key}"
    facts = attributes(server)
    body = answer.json()
    assert facts.pop("gen_ai.response.model") == body["model"]
    assert facts == {
        "http.request.method": "POST",
        "http.route": "/api/v1/chat/completions",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": key,
        "gen_ai.response.id": "chatcmpl-up",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": body["usage"]["prompt_tokens"],
        "gen_ai.usage.output_tokens": body["usage"]["completion_tokens"],
        "afterword.project": "default",
        "afterword.state": "complete",
        "afterword.request_id": answer.headers["x-request-id"],
        "afterword.completion_ids": [body["choices"][0]["completion_id"]],
    }
    assert attributes(client) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": f"good:{key}",
        "server.address": "127.0.0.1",
        "server.port": httpx.URL(traced.upstream.url).port,
    }
    assert client.parent_span_id == server.span_id
    assert client.trace_id == server.trace_id
    assert not server.parent_span_id
    assert server.start_time_unix_nano <= client.start_time_unix_nano
    assert client.start_time_unix_nano < client.end_time_unix_nano <= server.end_time_unix_nano
    assert collector.paths == {"/v1/traces"}
    assert collector.services == {"afterword"}


def test_nothing_that_was_said_and_no_key_is_in_a_span(traced: Any, collector: Collector):
    text = uuid4().hex
    name = traced.model("good", api_key=f"sk-{text}", headers={"x-secret": text})
    traced.ask(name, text, user=text, labels={"a": text}).raise_for_status()
    traced.stream(traced.model("good"), text)
    traced.ask(traced.model("error-400"), text)
    collector.wait(6)
    assert text.encode() not in collector.raw
    assert traced.server.api_key.encode() not in collector.raw


@pytest.mark.parametrize("flags", ["01", "00"], ids=["sampled", "not sampled"])
def test_the_callers_trace_goes_on_at_the_provider(traced: Any, collector: Collector, flags: str):
    trace, parent, text = secrets.token_hex(16), secrets.token_hex(8), uuid4().hex
    traced.http.headers["traceparent"] = f"00-{trace}-{parent}-{flags}"
    traced.ask(traced.model("good"), text).raise_for_status()
    [seen] = traced.upstream.seen(text)
    version, its_trace, its_parent, its_flags = seen["headers"]["traceparent"].split("-")
    assert (version, its_trace, its_flags) == ("00", trace, flags)
    assert its_parent != parent
    # The first spans to come are those of a call that is sampled.
    if flags == "00":
        del traced.http.headers["traceparent"]
        traced.ask("default/echo").raise_for_status()
    server, client = collector.pair()
    if flags == "00":
        assert server.trace_id.hex() != trace
    else:
        assert server.trace_id.hex() == trace
        assert server.parent_span_id.hex() == parent
        assert client.span_id.hex() == its_parent


@pytest.mark.parametrize("given", ["", "nonsense", "00-0-0-01", f"00-{'0' * 32}-{'0' * 16}-01", "\xff" * 60])
def test_a_traceparent_that_is_none_starts_a_trace_of_its_own(traced: Any, collector: Collector, given: str):
    body = {"model": "default/echo", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"traceparent": given.encode("latin-1")}
    assert traced.http.post("/api/v1/chat/completions", json=body, headers=headers).status_code == 200
    server, _ = collector.pair()
    assert not server.parent_span_id


def test_a_stream_tells_when_it_began_to_speak(traced: Any, collector: Collector):
    chunks, done = traced.stream(traced.model("good"))
    assert done
    server, client = collector.pair()
    facts = attributes(server)
    assert facts["gen_ai.response.id"] == "chatcmpl-up"
    assert facts["gen_ai.response.finish_reasons"] == ["stop"]
    assert facts["gen_ai.usage.output_tokens"] > 0
    assert 0 < facts["gen_ai.response.time_to_first_chunk"] < 10
    assert facts["afterword.completion_ids"] == [chunks[0]["choices"][0]["completion_id"]]
    assert client.end_time_unix_nano <= server.end_time_unix_nano


@pytest.mark.parametrize(
    ("behaviour", "streamed", "status", "kind"),
    [
        ("error-500", False, 500, None),
        ("error-500", True, 500, None),
        ("cut-after-2", True, 200, "provider_hung_up"),
        ("garbage", False, 502, "provider_answer_unreadable"),
    ],
)
def test_a_call_that_fails_says_how(
    traced: Any, collector: Collector, behaviour: str, streamed: bool, status: int, kind: str | None
):
    body = {"model": traced.model(behaviour), "messages": [{"role": "user", "content": "Hello"}], "stream": streamed}
    answer = traced.http.post("/api/v1/chat/completions", json=body)
    assert answer.status_code == status
    for span in collector.pair():
        assert span.status.code == FAILED
        assert attributes(span)["error.type"] == span.status.message
        assert kind in (None, span.status.message)
    server, _ = collector.pair()
    assert attributes(server)["http.response.status_code"] == status
    assert attributes(server)["afterword.state"] == "failed"


def test_a_fallback_that_answers_is_told_with_the_one_that_failed(traced: Any, collector: Collector):
    good = traced.model("good", provider="anthropic").partition("/")[2]
    bad = traced.model("error-503", fallback=good)
    answer = traced.ask(bad).raise_for_status().json()
    assert answer["choices"][0]["model"] == good
    server, client = collector.pair()
    assert attributes(server)["gen_ai.provider.name"] == "anthropic"
    assert attributes(server)["gen_ai.request.model"] == bad.partition("/")[2]
    [event] = client.events
    assert event.name == "afterword.attempt_failed"
    assert attributes(event)["gen_ai.request.model"] == bad.partition("/")[2]
    assert server.status.code != FAILED


def test_a_call_that_is_refused_has_a_span_of_its_own(traced: Any, collector: Collector):
    answer = traced.ask("default/none")
    assert answer.status_code == 404
    [server] = collector.wait(1)
    assert server.name == "POST /api/v1/chat/completions"
    facts = attributes(server)
    assert (facts["http.response.status_code"], facts["error.type"]) == (404, "model_not_found")
    # It is the caller's mistake, not the server's.
    assert server.status.code != FAILED


def test_embeddings_and_completions_are_traced_too(traced: Any, collector: Collector):
    traced.http.post("/api/v1/embeddings", json={"model": "default/echo", "input": "Hello"}).raise_for_status()
    traced.http.post("/api/v1/completions", json={"model": "default/echo", "prompt": "Hello"}).raise_for_status()
    spans = collector.wait(4)
    assert {span.name for span in spans} == {"embeddings echo", "text_completion echo"}
    assert {attributes(span)["gen_ai.provider.name"] for span in spans} == {"echo"}


def test_a_caller_who_hangs_up_ends_the_spans(traced: Any, collector: Collector):
    model = traced.model("slow-50")
    body = {"model": model, "messages": [{"role": "user", "content": "Hello " * 50}], "stream": True}
    with traced.http.stream("POST", "/api/v1/chat/completions", json=body) as answer:
        next(answer.iter_lines())
    traced.upstream.wait_until_idle(f"slow-50:{model.partition('/')[2]}")
    server, _ = collector.pair()
    assert attributes(server)["afterword.state"] == "cancelled"


def test_what_has_not_left_yet_leaves_when_the_server_stops(
    new_server: Callable[..., Any], gateway: Any, collector: Collector
):
    running = new_server(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="600000")
    type(gateway)(running, "default", None).ask("default/echo").raise_for_status()
    assert not collector.spans
    running.stop()
    assert len(collector.spans) == 2


def test_a_server_has_the_name_that_it_is_given(new_server: Callable[..., Any], gateway: Any, collector: Collector):
    running = new_server(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/here", OTEL_SERVICE_NAME="gateway-eu")
    type(gateway)(running, "default", None).ask("default/echo").raise_for_status()
    running.stop()
    assert collector.services == {"gateway-eu"}
    assert collector.paths == {"/here"}


def test_a_collector_that_is_not_there_holds_nothing_up(new_server: Callable[..., Any], gateway: Any):
    with socket.socket() as silent:
        # It takes connections and never answers.
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        running = new_server(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}")
        type(gateway)(running, "default", None).ask("default/echo").raise_for_status()
        began = time.monotonic()
        running.stop()
        assert time.monotonic() - began < 9
    assert "Some spans could not be sent" in running.log.read_text()
