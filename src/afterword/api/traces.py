"""Traces: model calls as OpenTelemetry spans, switched on by the usual OTEL_ environment variables.

Without them the opentelemetry packages are not loaded, and a call costs nothing more. Spans never contain messages or
completions.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from afterword.errors import AfterwordError
from afterword.gateway.provider import PASSED_PATHS, Operation
from afterword.gateway.providers import SPECS
from afterword.service.cluster.status import VERSION
from afterword.service.interactions.calls import CallResult
from afterword.service.meters import MAX_CALL_TOKENS
from afterword.service.models.routing import ModelRoute

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

log = logging.getLogger("afterword.traces")

# Seconds to wait for the last spans to be exported when the server stops.
TRACE_SHUTDOWN_SECONDS = 5.0
# Values of `gen_ai.operation.name` in OpenTelemetry's conventions for generative AI.
OPERATIONS: dict[Operation, str] = {
    "chat": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "responses": "chat",
    "messages": "chat",
    "generate_content": "generate_content",
    "count_content_tokens": "count_tokens",
    **{operation: operation for operation in PASSED_PATHS},
}
MAX_ATTRIBUTE_CHARACTERS = 200

_CODE = re.compile(r"[\w.:-]{1,80}", re.ASCII)


def create_tracer(environ: Mapping[str, str] = os.environ) -> NoTracer:
    """Return a tracer, or one that makes no spans if the environment asks for no traces."""
    exporter_names = _exporter_names(environ)
    if not exporter_names:
        return NoTracer()
    try:
        exporters = [_exporter(name, environ) for name in exporter_names]
        return Tracer(exporters, environ)
    except ImportError as error:
        log.warning("Traces are asked for, but %s is missing: pip install 'afterword[telemetry]'.", error.name)
        return NoTracer()


def _exporter_names(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the exporters that the environment asks for."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    exporters_text = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if not exporters_text:
        endpoint_variables = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
        return ["otlp"] if any(environ.get(name, "").strip() for name in endpoint_variables) else []
    names = [name.strip() for name in exporters_text.split(",")]
    for name in names:
        if name not in ("otlp", "console", "none", ""):
            log.warning("OTEL_TRACES_EXPORTER is %r; Afterword knows otlp, console and none.", name)
    return [name for name in names if name in ("otlp", "console")]


def _exporter(name: str, environ: Mapping[str, str]) -> SpanExporter:
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    names = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((environ[name] for name in names if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        log.warning("Traces leave as http/protobuf; the protocol %r is not supported.", protocol)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


class NoSpan:
    """A call that is not traced."""

    def start_provider_call(self, model_route: ModelRoute) -> ModelRoute:
        """Note where the call goes; return the route with the trace headers for its provider."""
        return model_route

    def finish(self, outcome: CallResult, answer: Mapping[str, Any], completions: Collection[UUID] = ()) -> None:
        """Note how the call ended. `answer` is the provider's, or the first chunk of its stream."""

    def fail(self, error: AfterwordError) -> None:
        """Note the error that the caller gets."""

    def end(self, status: int) -> None:
        """Note the status of the answer, and that it is over. Call it once, in any case."""


class NoTracer:
    """A tracer that makes no spans."""

    _no_span = NoSpan()

    def start(self, operation: Operation, path: str, headers: Mapping[bytes, bytes], request_id: str) -> NoSpan:
        """Start the span of a call; `headers` may name the trace that it belongs to."""
        return self._no_span

    def close(self) -> None:
        """Send the remaining spans."""


class Tracer(NoTracer):
    """Makes spans, and sends them in the background."""

    def __init__(self, exporters: list[SpanExporter], environ: Mapping[str, str]) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        resource_attributes = {"service.version": VERSION}
        if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
            resource_attributes["service.name"] = "afterword"
        self._exporters = exporters
        self._provider: TracerProvider = TracerProvider(
            resource=Resource.create(resource_attributes), shutdown_on_exit=False
        )
        for exporter in exporters:
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("afterword", VERSION)
        self._extract = TraceContextTextMapPropagator().extract

    def start(self, operation: Operation, path: str, headers: Mapping[bytes, bytes], request_id: str) -> NoSpan:
        """Start the span of a call; `headers` may name the trace that it belongs to."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind

        trace_headers = {
            name: headers[name.encode()].decode("latin-1") for name in _TRACE_HEADERS if name.encode() in headers
        }
        span = self._tracer.start_span(
            f"POST {path}",
            self._extract(trace_headers, Context()),
            SpanKind.SERVER,
            {
                "http.request.method": "POST",
                "http.route": path,
                "gen_ai.operation.name": OPERATIONS[operation],
                "afterword.request_id": request_id,
            },
        )
        return Span(self._tracer, span, OPERATIONS[operation])

    def close(self) -> None:
        """Send the remaining spans; give up after TRACE_SHUTDOWN_SECONDS."""
        shutdown_thread = threading.Thread(target=self._provider.shutdown, name="afterword-last-spans", daemon=True)
        shutdown_thread.start()
        shutdown_thread.join(TRACE_SHUTDOWN_SECONDS)
        if shutdown_thread.is_alive():
            log.warning("Some spans could not be sent within %g s.", TRACE_SHUTDOWN_SECONDS)
            for exporter in self._exporters:
                exporter.shutdown()


_TRACE_HEADERS = ("traceparent", "tracestate")


class Span(NoSpan):
    """A call as two spans: a server span for the whole call, and in it a client span for the provider's part.

    Only the server span has the tokens, so that sums do not count them twice.
    """

    def __init__(self, tracer: Any, span: Any, operation: str) -> None:
        self._tracer = tracer
        self._span = span
        self._operation = operation
        self._provider_span: Any = None
        self._provider_start_ns = 0

    def start_provider_call(self, model_route: ModelRoute) -> ModelRoute:
        """Start the provider's span; return the route with `traceparent` among its headers."""
        from opentelemetry.trace import SpanKind, set_span_in_context

        row, target = model_route.targets[0]
        provider = SPECS[target.provider].otel_name
        self._span.update_name(f"{self._operation} {row.key}")
        self._span.set_attributes(
            {
                "gen_ai.provider.name": provider,
                "gen_ai.request.model": row.key,
                "afterword.project": model_route.project.key,
            }
        )
        self._provider_start_ns = time.time_ns()
        self._provider_span = self._tracer.start_span(
            f"{self._operation} {target.model}",
            set_span_in_context(self._span),
            SpanKind.CLIENT,
            {
                "gen_ai.operation.name": self._operation,
                "gen_ai.provider.name": provider,
                "gen_ai.request.model": target.model,
                **_server_attributes(target.endpoint),
            },
            start_time=self._provider_start_ns,
        )
        span_context = self._provider_span.get_span_context()
        header = {
            "traceparent": f"00-{span_context.trace_id:032x}-{span_context.span_id:016x}-{span_context.trace_flags:02x}"
        }
        targets = tuple(
            (row, msgspec.structs.replace(target, headers={**target.headers, **header}))
            for row, target in model_route.targets
        )
        return msgspec.structs.replace(model_route, targets=targets)

    def finish(self, outcome: CallResult, answer: Mapping[str, Any], completions: Collection[UUID] = ()) -> None:
        """Note how the call ended. `answer` is the provider's, or the first chunk of its stream."""
        attributes: dict[str, Any] = {"afterword.state": outcome.state}
        # The id is the provider's own, which the caller's answer does not have.
        identifiers = {"id": outcome.origin.get("response_id", answer.get("id")), "model": answer.get("model")}
        for name, text in identifiers.items():
            if isinstance(text, str):
                attributes[f"gen_ai.response.{name}"] = _attribute_text(text)
        for name, kind in (("prompt_tokens", "input"), ("completion_tokens", "output")):
            if isinstance(number := outcome.usage.get(name), int) and 0 <= number <= MAX_CALL_TOKENS:
                attributes[f"gen_ai.usage.{kind}_tokens"] = number
        if outcome.usage.get("estimated"):
            attributes["afterword.usage_estimated"] = True
        reasons = [choice.finish_reason for choice in outcome.choices.values() if isinstance(choice.finish_reason, str)]
        if reasons:
            attributes["gen_ai.response.finish_reasons"] = [_attribute_text(reason) for reason in reasons]
        if outcome.ttft is not None:
            attributes["gen_ai.response.time_to_first_chunk"] = outcome.ttft
        if completions:
            attributes["afterword.completion_ids"] = [str(completion_id) for completion_id in completions]
        if outcome.model.provider:
            # Differs from the requested provider if a fallback answered.
            attributes["gen_ai.provider.name"] = SPECS[outcome.model.provider].otel_name
        self._span.set_attributes(attributes)
        if self._provider_span is None:
            return
        for attempt in outcome.attempts:
            event_attributes = {"gen_ai.request.model": attempt.model, "error.type": _error_type(attempt.error)}
            self._provider_span.add_event("afterword.attempt_failed", event_attributes)
        if outcome.error is not None:
            _set_error(self._provider_span, _error_type(outcome.error))
        elif outcome.state in ("failed", "interrupted"):
            _set_error(self._provider_span, outcome.state)
        # Time after the answer, such as for the commit, is not the provider's.
        end_ns = None if outcome.attempts else self._provider_start_ns + round(outcome.provider_time * 1e9)
        self._provider_span.end(end_ns)
        self._provider_span = None

    def fail(self, error: AfterwordError) -> None:
        """Note the code of the error that the caller gets. The message may quote the call, so it is left out."""
        if error.status >= 500:
            _set_error(self._span, _error_type(error))
        else:
            # The caller's mistake is not an error of the server's span.
            self._span.set_attribute("error.type", _error_type(error))

    def end(self, status: int) -> None:
        """End the spans that are still open."""
        if self._provider_span is not None:
            self._provider_span.end()
        self._span.set_attribute("http.response.status_code", status)
        self._span.end()


def _server_attributes(endpoint: str | None) -> dict[str, Any]:
    """Return the host and port of a provider's address, without its other parts."""
    try:
        parts = urlsplit(endpoint or "")
        port = parts.port
    except ValueError:
        return {}
    attributes: dict[str, Any] = {"server.address": parts.hostname} if parts.hostname else {}
    return {**attributes, "server.port": port} if port else attributes


def _set_error(span: Any, kind: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, kind))


def _error_type(error: AfterwordError) -> str:
    """Return the kind of an error. Providers choose their codes freely, so only codes of _CODE's form are used."""
    return error.code if error.code and _CODE.fullmatch(error.code) else str(error.status)


def _attribute_text(text: str) -> str:
    """Return a provider's text in a form that a span can hold. One bad character would fail the whole batch."""
    return text[:MAX_ATTRIBUTE_CHARACTERS].encode("utf-8", "replace").decode()
