"""Traces: calls of models as OpenTelemetry's spans, where its usual environment variables ask for them.

Where they do not, nothing of opentelemetry is loaded and a call costs nothing more. What was said is in no span.
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
from afterword.gateway.provider import Face
from afterword.service.calls import Outcome
from afterword.service.meters import MOST_TOKENS
from afterword.service.routing import Route
from afterword.service.status import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

log = logging.getLogger("afterword.traces")

# Seconds for the last spans to leave when the server stops.
LAST_WORDS = 5.0
# The words of OpenTelemetry's conventions for generative AI.
OPERATIONS: dict[Face, str] = {"chat": "chat", "completions": "text_completion", "embeddings": "embeddings"}
PROVIDERS = {"open_ai": "openai", "azure": "azure.ai.openai", "google": "gcp.gemini"}
LONGEST = 200

_CODE = re.compile(r"[\w.:-]{1,80}", re.ASCII)


def open(environ: Mapping[str, str] = os.environ) -> Untraced:
    """Return what makes spans, or what makes none: as the environment has it."""
    wanted = _wanted(environ)
    if not wanted:
        return Untraced()
    try:
        exporters = [_exporter(name, environ) for name in wanted]
        return Tracing(exporters, environ)
    except ImportError as error:
        log.warning("Traces are asked for, but %s is missing: pip install 'afterword[telemetry]'.", error.name)
        return Untraced()


def _wanted(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the exporters that the environment asks for."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    given = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if not given:
        places = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
        return ["otlp"] if any(environ.get(name, "").strip() for name in places) else []
    names = [name.strip() for name in given.split(",")]
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

    def calling(self, where: Route) -> Route:
        """Note where the call goes; return the same with what is to be told its provider of the trace."""
        return where

    def finish(self, outcome: Outcome, answer: Mapping[str, Any], completions: Collection[UUID] = ()) -> None:
        """Note how the call ended. `answer` is the provider's, or the first chunk of its stream."""

    def fail(self, error: AfterwordError) -> None:
        """Note the error that the caller gets."""

    def end(self, status: int) -> None:
        """Note the status of the answer, and that it is over. Call it once, in any case."""


class Untraced:
    """What makes no spans."""

    _none = NoSpan()

    def start(self, face: Face, path: str, headers: Mapping[bytes, bytes], request_id: str) -> NoSpan:
        """Start the span of a call; `headers` may name the trace that it belongs to."""
        return self._none

    def close(self) -> None:
        """Send what is still here."""


class Tracing(Untraced):
    """What makes spans, and sends them in the background."""

    def __init__(self, exporters: list[SpanExporter], environ: Mapping[str, str]) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        about = {"service.version": VERSION}
        if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
            about["service.name"] = "afterword"
        self._exporters = exporters
        self._provider: TracerProvider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        for exporter in exporters:
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("afterword", VERSION)
        self._extract = TraceContextTextMapPropagator().extract

    def start(self, face: Face, path: str, headers: Mapping[bytes, bytes], request_id: str) -> NoSpan:
        """Start the span of a call; `headers` may name the trace that it belongs to."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind

        told = {name: headers[name.encode()].decode("latin-1") for name in _TRACE if name.encode() in headers}
        span = self._tracer.start_span(
            f"POST {path}",
            self._extract(told, Context()),
            SpanKind.SERVER,
            {
                "http.request.method": "POST",
                "http.route": path,
                "gen_ai.operation.name": OPERATIONS[face],
                "afterword.request_id": request_id,
            },
        )
        return Span(self._tracer, span, OPERATIONS[face])

    def close(self) -> None:
        """Send what is still here; give up after LAST_WORDS seconds."""
        sending = threading.Thread(target=self._provider.shutdown, name="afterword-last-spans", daemon=True)
        sending.start()
        sending.join(LAST_WORDS)
        if sending.is_alive():
            log.warning("Some spans could not be sent within %g s.", LAST_WORDS)
            for exporter in self._exporters:
                exporter.shutdown()


_TRACE = ("traceparent", "tracestate")


class Span(NoSpan):
    """A call as two spans: the server's for all of it, and within it the client's for the provider's part.

    The tokens are told on the first alone: who adds them up shall not count them twice.
    """

    def __init__(self, tracer: Any, span: Any, operation: str) -> None:
        self._tracer = tracer
        self._span = span
        self._operation = operation
        self._part: Any = None
        self._began = 0

    def calling(self, where: Route) -> Route:
        """Start the provider's part; return the same way with `traceparent` among the headers to send."""
        from opentelemetry.trace import SpanKind, set_span_in_context

        row, target = where.targets[0]
        provider = PROVIDERS.get(target.provider, target.provider)
        self._span.update_name(f"{self._operation} {row.key}")
        self._span.set_attributes(
            {
                "gen_ai.provider.name": provider,
                "gen_ai.request.model": row.key,
                "afterword.project": where.project.key,
            }
        )
        self._began = time.time_ns()
        self._part = self._tracer.start_span(
            f"{self._operation} {target.model}",
            set_span_in_context(self._span),
            SpanKind.CLIENT,
            {
                "gen_ai.operation.name": self._operation,
                "gen_ai.provider.name": provider,
                "gen_ai.request.model": target.model,
                **_place(target.endpoint),
            },
            start_time=self._began,
        )
        told = self._part.get_span_context()
        header = {"traceparent": f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}"}
        targets = tuple(
            (row, msgspec.structs.replace(target, headers={**target.headers, **header}))
            for row, target in where.targets
        )
        return msgspec.structs.replace(where, targets=targets)

    def finish(self, outcome: Outcome, answer: Mapping[str, Any], completions: Collection[UUID] = ()) -> None:
        """Note how the call ended. `answer` is the provider's, or the first chunk of its stream."""
        facts: dict[str, Any] = {"afterword.state": outcome.state}
        for name in ("id", "model"):
            if isinstance(text := answer.get(name), str):
                facts[f"gen_ai.response.{name}"] = _plain(text)
        for name, kind in (("prompt_tokens", "input"), ("completion_tokens", "output")):
            if isinstance(number := outcome.usage.get(name), int) and 0 <= number <= MOST_TOKENS:
                facts[f"gen_ai.usage.{kind}_tokens"] = number
        if outcome.usage.get("estimated"):
            facts["afterword.usage_estimated"] = True
        reasons = [one.finish_reason for one in outcome.choices.values() if isinstance(one.finish_reason, str)]
        if reasons:
            facts["gen_ai.response.finish_reasons"] = [_plain(one) for one in reasons]
        if outcome.ttft is not None:
            facts["gen_ai.response.time_to_first_chunk"] = outcome.ttft
        if completions:
            facts["afterword.completion_ids"] = [str(one) for one in completions]
        if outcome.model.provider:
            # Another than was named where a fallback answered.
            facts["gen_ai.provider.name"] = PROVIDERS.get(outcome.model.provider, outcome.model.provider)
        self._span.set_attributes(facts)
        if self._part is None:
            return
        for attempt in outcome.attempts:
            about = {"gen_ai.request.model": attempt.model, "error.type": _type(attempt.error)}
            self._part.add_event("afterword.attempt_failed", about)
        if outcome.error is not None:
            _mark(self._part, _type(outcome.error))
        elif outcome.state in ("failed", "interrupted"):
            _mark(self._part, outcome.state)
        # What came after it, the commit for one, is not the provider's.
        took = None if outcome.attempts else self._began + round(outcome.provider_time * 1e9)
        self._part.end(took)
        self._part = None

    def fail(self, error: AfterwordError) -> None:
        """Note the error that the caller gets: its code, for its message may hold words of the call."""
        if error.status >= 500:
            _mark(self._span, _type(error))
        else:
            # It is the caller's mistake, not the server's.
            self._span.set_attribute("error.type", _type(error))

    def end(self, status: int) -> None:
        """End what has not ended yet."""
        if self._part is not None:
            self._part.end()
        self._span.set_attribute("http.response.status_code", status)
        self._span.end()


def _place(endpoint: str | None) -> dict[str, Any]:
    """Return where a provider is, without what its address may hold beside that."""
    try:
        parts = urlsplit(endpoint or "")
        port = parts.port
    except ValueError:
        return {}
    place: dict[str, Any] = {"server.address": parts.hostname} if parts.hostname else {}
    return {**place, "server.port": port} if port else place


def _mark(span: Any, kind: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, kind))


def _type(error: AfterwordError) -> str:
    """Return an error's kind. Codes of providers are theirs to choose: what is no word is not passed on."""
    return error.code if error.code and _CODE.fullmatch(error.code) else str(error.status)


def _plain(text: str) -> str:
    """Return a text of a provider as a span can hold it: a bad character would cost the whole batch."""
    return text[:LONGEST].encode("utf-8", "replace").decode()
