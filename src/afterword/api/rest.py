"""Turns each route of the table into an ASGI endpoint.

A call is authenticated, authorized, parsed once, run, and encoded once. This is plain ASGI because it is the hot path:
Starlette only routes; its Request and Response would double the cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any
from urllib.parse import quote

import msgspec

from afterword.api.auth import Authenticator, set_cookie
from afterword.api.decoding import Lift, read_json, read_lifted, read_query
from afterword.api.decompression import decompress, too_large
from afterword.api.error_forms import ErrorForm, openais_error
from afterword.api.ndjson import lines
from afterword.api.protocol import Protocol
from afterword.api.routes import Route
from afterword.errors import AfterwordError, BadRequest, ServerError, TooLarge
from afterword.ids import uuid7
from afterword.service.access import get_permitted_context
from afterword.service.context import AppState, Context
from afterword.service.interactions.images import ServedImage
from afterword.service.interactions.live import LiveEvents
from afterword.service.people.web_sessions import AnswerWithCookie
from afterword.service.studies.dataset_downloads import Download

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

log = logging.getLogger("afterword")
_encoder = msgspec.json.Encoder()
# A request id is the server's start and the number of the call: cheap, and unique in every log.
SERVER_START_ID = uuid7().hex[:12].encode()
_request_numbers = itertools.count(1)
JSON = b"application/json"
NDJSON = b"application/x-ndjson"
EVENTS = b"text/event-stream"
NO_STORE = (b"cache-control", b"no-store")
# Counted for a caller who hung up before the answer was complete.
HUNG_UP_STATUS = 499


class Endpoint:
    """A route as an ASGI application."""

    def __init__(
        self,
        route: Route,
        state: AppState,
        authenticator: Authenticator,
        lift: Lift | None = None,
        error_form: ErrorForm = openais_error,
    ) -> None:
        self.route = route
        self.error_form = error_form
        self.lift = lift
        self.template = f"{route.method} {route.path}"
        self.state = state
        self.authenticator = authenticator
        self.decoder = msgspec.json.Decoder(route.body) if route.body is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_at = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", b"")[:100] or b"%s-%x" % (SERVER_START_ID, next(_request_numbers))
        try:
            status = await self._serve(scope, headers, receive, send, request_id)
        except HungUp:
            status = HUNG_UP_STATUS
        self.state.meters.count_answer(self.template, status, time.perf_counter() - started_at)

    async def _serve(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send, request_id: bytes
    ) -> int:
        """Answer a call; return the status. Raises `HungUp`."""
        try:
            status, content_type, body, answer_headers = await self._answer(scope, headers, receive)
        except AfterwordError as error:
            status, content_type, body, answer_headers = error_answer(error, self.error_form)
            if self.route.is_openais and status == 422:
                status = 400
        except HungUp:
            raise
        except Exception:
            log.exception("%s %s failed (request %s)", scope["method"], scope["path"], request_id.decode("latin-1"))
            status, content_type, body, answer_headers = error_answer(fault(request_id), self.error_form)
        answer_headers = [(b"x-request-id", request_id), *answer_headers]
        if isinstance(body, bytes):
            await reply(send, status, content_type, body, answer_headers)
        else:
            with until_hung_up(scope):
                await _send_chunks(send, status, content_type, body, answer_headers)
        return status

    async def _answer(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive
    ) -> tuple[int, bytes, bytes | AsyncGenerator[bytes], Headers]:
        route = self.route
        arguments: dict[str, Any] = scope["path_params"]
        context: Context | AppState = self.state
        if route.needs != "open":
            actor = self.authenticator.actor(scope["method"], headers)
            if route.needs != "key":
                context = get_permitted_context(self.state, actor, route.needs)
            else:
                context = Context(self.state, actor)
        if route.query is not None:
            arguments["query"] = read_query(route.query, scope["query_string"])
        elif scope["query_string"]:
            read_query(_NoQuery, scope["query_string"])
        if route.streams:
            assert isinstance(context, Context)
            return await self._batch(context, arguments, headers, receive)
        if route.raw:
            settings = self.state.settings
            arguments["chunks"] = await _chunks(headers, receive, max(settings.max_body, settings.max_upload_part))
        if self.decoder is not None:
            raw = await read_body(headers, receive, self.state.settings.max_body)
            arguments["body"], _ = read_lifted(self.decoder, raw, self.lift)
        with until_hung_up(scope) if route.only_reads else contextlib.nullcontext():
            answer = await route.run(context, **arguments)
        if isinstance(answer, AnswerWithCookie):
            cookie = set_cookie(answer.cookie, answer.seconds, headers, scope["scheme"])
            return route.status, JSON, _encoder.encode(answer.answer), [(b"set-cookie", cookie), NO_STORE]
        if isinstance(answer, ServedImage):
            # Without a name, so that the page's links say what a file is saved as.
            download_headers: Headers = [(b"content-disposition", b"attachment")] if answer.is_download else []
            return route.status, answer.media_type.encode(), answer.content, [*PICTURE_HEADERS, *download_headers]
        if isinstance(answer, Download):
            name = quote(answer.name)
            disposition = f"attachment; filename*=UTF-8''{name}".encode()
            return route.status, answer.media_type.encode(), answer.chunks, [(b"content-disposition", disposition)]
        if isinstance(answer, LiveEvents):
            return route.status, EVENTS, answer.chunks, [NO_STORE, (b"x-accel-buffering", b"no")]
        return route.status, JSON, _encoder.encode(answer), []

    async def _batch(
        self, context: Context, arguments: dict[str, Any], headers: dict[bytes, bytes], receive: Receive
    ) -> tuple[int, bytes, bytes, Headers]:
        """Read the batch while it arrives; keep only the answer's lines.

        They are sent once the whole batch is read. Most clients read no answer before they have sent everything, so
        that sending earlier could leave both sides waiting for each other.
        """
        check_length(headers, self.state.settings.max_body)
        arguments["lines"] = self._lines(headers, await _chunks(headers, receive, self.state.settings.max_body))
        answer = bytearray()
        statuses: set[int] = set()
        async for result in self.route.run(context, **arguments):
            statuses.add(result.status)
            _encoder.encode_into(result, answer, len(answer))
            answer += b"\n"
        return _batch_status(statuses), NDJSON, bytes(answer), []

    async def _lines(self, headers: dict[bytes, bytes], chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, Any]]:
        assert self.decoder is not None
        settings = self.state.settings
        content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        line_number = 0
        # With this content type it is NDJSON, even if the first line starts with a bracket.
        array = False if content_type in (NDJSON, b"application/jsonl") else None
        try:
            async for raw in lines(chunks, array=array, most_bytes=settings.max_body):
                if line_number == settings.max_batch_lines:
                    raise TooLarge(
                        f"The batch has more than {settings.max_batch_lines:,} lines; those before were taken.",
                        code="too_many_lines",
                        hint="Send the rest in another batch, or raise AFTERWORD_MAX_BATCH_LINES.",
                    )
                line_number += 1
                if not raw.strip():
                    continue
                try:
                    yield line_number, read_json(self.decoder, raw)
                except AfterwordError as error:
                    yield line_number, error
        except AfterwordError as error:
            yield line_number + 1, error


def _batch_status(statuses: set[int]) -> int:
    """Return the status of a batch from those of its lines: 207 if some were refused; 422 if all were, or 5xx if
    that was the server's fault."""
    refused_statuses = {status for status in statuses if status >= 400}
    if not refused_statuses:
        return 200
    if refused_statuses != statuses:
        return 207
    return min(refused_statuses) if min(refused_statuses) >= 500 else 422


class _NoQuery(msgspec.Struct, forbid_unknown_fields=True):
    """The query of a route without query parameters."""


async def read_body(headers: dict[bytes, bytes], receive: Receive, max_bytes: int) -> bytes | bytearray:
    """Read a whole body, decompressed. Raises `TooLarge` beyond `max_bytes`, `BadRequest` if it breaks off."""
    check_length(headers, max_bytes)
    message = await receive()
    body = message.get("body", b"")
    if message.get("more_body"):
        body = bytearray(body)
        async for chunk in _body_chunks(receive):
            body += chunk
            if len(body) > max_bytes:
                raise too_large(max_bytes)
    encoding = headers.get(b"content-encoding")
    return body if encoding is None else await decompress(body, encoding.decode("latin-1"), max_bytes)


def check_length(headers: dict[bytes, bytes], max_bytes: int) -> None:
    """Raise `TooLarge` if the Content-Length is beyond `max_bytes`."""
    length = headers.get(b"content-length", b"0")
    if not length.isdigit():
        raise BadRequest(f"Content-Length is {length.decode('latin-1')!r}.", code="invalid_header")
    if int(length) > max_bytes:
        raise too_large(max_bytes)


async def _chunks(headers: dict[bytes, bytes], receive: Receive, max_bytes: int) -> AsyncIterator[bytes]:
    """Return the chunks of a body: as they arrive, or all at once if it is compressed. Raises as `read_body` does."""
    if b"content-encoding" in headers:
        return _single_chunk(bytes(await read_body(headers, receive, max_bytes)))
    return _body_chunks(receive)


async def _single_chunk(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _body_chunks(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The body ended before it was complete.", code="incomplete_body")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


def fault(request_id: bytes) -> ServerError:
    """Return the error for an internal fault; the log has the details."""
    return ServerError(
        "The server failed on this call.",
        code="internal_error",
        hint=f"The server's log says more under the request id {request_id.decode('latin-1')}.",
    )


def error_answer(error: AfterwordError, form: ErrorForm = openais_error) -> tuple[int, bytes, bytes, Headers]:
    """Return an error as status, content type, body and headers."""
    headers: Headers = []
    if error.retry_after is not None:
        headers.append((b"retry-after", str(max(1, round(error.retry_after))).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return error.status, JSON, _encoder.encode(form(error)), headers


async def _send_chunks(
    send: Send, status: int, content_type: bytes, chunks: AsyncGenerator[bytes], extra_headers: Headers
) -> None:
    """Send an answer while it is read. A failure closes the connection, so that the caller sees an incomplete file."""
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type), *extra_headers]}
    )
    async with contextlib.aclosing(chunks):
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


class HungUp(Exception):
    """The caller has hung up, so the answer cannot be sent."""


@contextlib.contextmanager
def until_hung_up(scope: Scope) -> Iterator[None]:
    """Cancel the block when the caller hangs up, and raise `HungUp`."""
    task = asyncio.current_task()
    assert task is not None
    connection: Protocol = scope["connection"]
    if connection.is_lost:
        raise HungUp
    connection.on_lost = task.cancel
    try:
        yield
    except asyncio.CancelledError:
        # Otherwise the server itself is stopping.
        if not connection.is_lost:
            raise
        task.uncancel()
        raise HungUp from None
    finally:
        connection.on_lost = None


async def reply(send: Send, status: int, content_type: bytes, body: bytes, extra_headers: Headers) -> None:
    """Send a whole answer."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *extra_headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


# The address of an image holds its hash, so it never changes. No browser may run its bytes as a script.
PICTURE_HEADERS: Headers = [
    (b"cache-control", b"private, max-age=31536000, immutable"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
]
