"""The HTTP endpoints of OTLP, OpenTelemetry's protocol, for traces and logs: protobuf or JSON, compressed or not.

Bodies are read by the library `opentelemetry-proto`, which is loaded with the first request. What this server itself
sends to a collector is in traces.py.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import itertools
import logging
import sys
import time
from typing import Any

import msgspec

from afterword.api.auth import Authenticator
from afterword.api.rest import (
    JSON,
    SERVER_START_ID,
    Headers,
    Receive,
    Scope,
    Send,
    error_answer,
    fault,
    read_body,
    reply,
)
from afterword.api.routes import TelemetryRoute
from afterword.errors import AfterwordError, BadRequest
from afterword.service.access import get_permitted_context
from afterword.service.context import AppState
from afterword.service.telemetry.events import record_log_records
from afterword.service.telemetry.results import ExportResult
from afterword.service.telemetry.spans import record_spans

log = logging.getLogger("afterword")
_encoder = msgspec.json.Encoder()
_request_numbers = itertools.count(1)
PROTOBUF = b"application/x-protobuf"
INLINE_BYTES = 64 << 10
"""Larger bodies are decoded in a thread, so that they do not block the event loop."""
_DECODING_MODULE = "afterword.api.otlp_decoding"
_CODE_OF_STATUS = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 413: 8, 422: 3, 429: 8, 503: 14}
"""The codes of google.rpc.Status; 13 (internal) for all others."""


class OTLPEndpoint:
    """A path of OTLP as an ASGI application."""

    def __init__(self, route: TelemetryRoute, state: AppState, authenticator: Authenticator) -> None:
        self._signal = route.signal
        self._template = f"POST {route.path}"
        self._state = state
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_at = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", b"")[:100] or b"%s-o%x" % (SERVER_START_ID, next(_request_numbers))
        content_type = headers.get(b"content-type", PROTOBUF).partition(b";")[0].strip().lower()
        is_json = content_type == JSON
        status, error_headers = 200, list[tuple[bytes, bytes]]()
        try:
            if not is_json and content_type != PROTOBUF:
                raise _unknown_content_type(content_type)
            body = await self._answer(headers, receive, is_json=is_json)
        except AfterwordError as error:
            status, error_headers, body = _error_response(error, is_json=is_json)
        except Exception:
            log.exception("%s failed (request %s)", self._template, request_id.decode("latin-1"))
            status, error_headers, body = _error_response(fault(request_id), is_json=is_json)
        answer_headers = [(b"x-request-id", request_id), *error_headers]
        await reply(send, status, JSON if is_json else PROTOBUF, body, answer_headers)
        self._state.meters.count_answer(self._template, status, time.perf_counter() - started_at)

    async def _answer(self, headers: dict[bytes, bytes], receive: Receive, *, is_json: bool) -> bytes:
        actor = self._authenticator.actor("POST", _with_bearer(headers))
        context = get_permitted_context(self._state, actor, "write")
        raw = bytes(await read_body(headers, receive, self._state.settings.max_body))
        arguments = (self._signal, raw, is_json)
        is_quick = len(raw) <= INLINE_BYTES and _DECODING_MODULE in sys.modules
        sent = _decode(*arguments) if is_quick else await asyncio.to_thread(_decode, *arguments)
        result = await (record_spans if self._signal == "traces" else record_log_records)(context, sent)
        return _success(result, self._signal, is_json=is_json)


def _decode(signal: str, raw: bytes, is_json: bool) -> list[Any]:
    """Return the spans or log records of a body. Raises `BadRequest`."""
    # Imported on first use: the import takes a tenth of a second.
    from afterword.api.otlp_decoding import decode

    return decode(signal, raw, is_json=is_json)


def _with_bearer(headers: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return headers in which the password of Basic authentication is the key: Langfuse's SDK sends its secret key so.

    No other route takes it, since browsers may send it by themselves.
    """
    scheme, _, credentials = headers.get(b"authorization", b"").strip().partition(b" ")
    if scheme.lower() != b"basic":
        return headers
    try:
        key = base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return headers
    return {**headers, b"authorization": b"Bearer " + key}


def _unknown_content_type(content_type: bytes) -> BadRequest:
    return BadRequest(
        f"Content-Type is {content_type.decode('latin-1')[:80]!r}.",
        code="unsupported_content_type",
        hint="OTLP over HTTP is application/x-protobuf (http/protobuf) or application/json (http/json).",
    )


def _success(result: ExportResult, signal: str, *, is_json: bool) -> bytes:
    """Return the answer to a request that was read: with a partial success if something was rejected."""
    rejected_name = "rejectedSpans" if signal == "traces" else "rejectedLogRecords"
    # Of evaluations on spans, OTLP counts none as rejected spans: then the message alone tells of them.
    rejected = result.rejected["spans"] if signal == "traces" else result.rejected.total()
    message = result.message
    if is_json:
        partial = {"partialSuccess": {rejected_name: str(rejected), "errorMessage": message}} if message else {}
        return _encoder.encode(partial)
    return _member(1, (_number(1, rejected) if rejected else b"") + _member(2, message.encode())) if message else b""


def _error_response(error: AfterwordError, *, is_json: bool) -> tuple[int, Headers, bytes]:
    """Return the status, headers and body of an error: a google.rpc.Status, as OTLP has it."""
    status, _, _, headers = error_answer(error)
    # OTLP has no 422: a body that cannot be taken is not to be sent again.
    status = 400 if status == 422 else status
    code, message = _CODE_OF_STATUS.get(status, 13), str(error)
    if is_json:
        return status, headers, _encoder.encode({"code": code, "message": message})
    return status, headers, _number(1, code) + _member(2, message.encode())


# These few answers are encoded by hand, so that errors need no library. A field of protobuf begins with its number and
# its type: 0 for a number, 2 for bytes, which their length precedes.


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _member(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
