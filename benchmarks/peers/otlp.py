"""Finished interactions as OpenTelemetry's spans, which the tracing peers take in."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from benchmarks.peers.contender import Item

KIND = "application/x-protobuf"
DURATION_NANOSECONDS = 1_500_000_000  # nanoseconds


def span(item: Item, attributes: Mapping[str, str], resource: Mapping[str, str]) -> bytes:
    """Return a request with one span: a call of a model. Its id is the end of the trace's."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add()
    for key, value in resource.items():
        spans.resource.attributes.add(key=key).value.string_value = value
    model_span = spans.scope_spans.add().spans.add(
        trace_id=item.id,
        span_id=item.id[8:],
        name="chat",
        start_time_unix_nano=item.at,
        end_time_unix_nano=item.at + DURATION_NANOSECONDS,
        status=Status(code=Status.STATUS_CODE_OK),
    )
    for key, value in attributes.items():
        model_span.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()
