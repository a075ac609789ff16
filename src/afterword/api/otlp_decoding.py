"""Decodes the requests of OTLP, by the library `opentelemetry-proto`."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from afterword.call_forms.content import SpanEvent
from afterword.call_forms.spans import ReceivedSpan, span_key
from afterword.errors import BadRequest
from afterword.service.telemetry.events import LogRecord

_ID_NAMES = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
_CONTAINERS = frozenset(
    {"resourceSpans", "scopeSpans", "spans", "links", "resourceLogs", "scopeLogs", "logRecords"}
    | {"resource_spans", "scope_spans", "resource_logs", "scope_logs", "log_records"}
)


def decode(signal: str, raw: bytes, *, is_json: bool) -> list[Any]:
    """Return the spans of a request for traces, or the records of one for logs. Raises `BadRequest`."""
    request = ExportTraceServiceRequest() if signal == "traces" else ExportLogsServiceRequest()
    try:
        if is_json:
            body = msgspec.json.decode(raw, type=dict[str, Any])
            _encode_ids(body)
            json_format.ParseDict(body, request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(raw)
    except (DecodeError, json_format.ParseError, msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadRequest(
            f"The body is no OTLP request for {signal}: {error!s:.200}",
            code="malformed_otlp",
            hint="Send an Export"
            + ("Trace" if signal == "traces" else "Logs")
            + "ServiceRequest, as protobuf or JSON.",
        ) from None
    return list(_spans(request) if isinstance(request, ExportTraceServiceRequest) else _log_records(request))


def _encode_ids(value: Any) -> None:
    """Replace hexadecimal ids by base64: OTLP has them in JSON as hexadecimal digits, unlike protobuf."""
    for name, member in value.items() if isinstance(value, dict) else ():
        if name in _ID_NAMES and isinstance(member, str):
            value[name] = base64.b64encode(bytes.fromhex(member)).decode()
        elif name in _CONTAINERS and isinstance(member, list):
            for element in member:
                _encode_ids(element)


def _spans(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield ReceivedSpan(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    attributes=_attributes(span.attributes),
                    resource=resource,
                    events=[
                        SpanEvent(event.name, event.time_unix_nano, _attributes(event.attributes))
                        for event in span.events
                    ],
                    links=[span_key(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                    is_error=span.status.code == Status.STATUS_CODE_ERROR,
                    error_message=span.status.message,
                )


def _log_records(request: ExportLogsServiceRequest) -> Iterator[LogRecord]:
    for resource_logs in request.resource_logs:
        resource = _attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                attributes = _attributes(record.attributes)
                # The name was an attribute before it had a field of its own.
                name = record.event_name or str(attributes.pop("event.name", ""))
                event_time = record.time_unix_nano or record.observed_time_unix_nano
                event = SpanEvent(name, event_time, attributes, _value(record.body))
                yield LogRecord(record.trace_id.hex(), record.span_id.hex(), event, resource)


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Message) -> Any:
    """Return an attribute's value; bytes become base64."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    member = getattr(value, kind)
    if kind == "array_value":
        return [_value(element) for element in member.values]
    if kind == "kvlist_value":
        return _attributes(member.values)
    return base64.b64encode(member).decode() if kind == "bytes_value" else member
