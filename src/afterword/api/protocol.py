"""uvicorn's HTTP protocol with three additions: one write per turn of the event loop, a limit on the head of a request,
and a callback when the caller hangs up.

uvicorn writes the head and the body of an answer separately, and uvloop turns each write into a system call and a
packet. With joined writes a small answer takes one of each; for logging, this gave 15 % more calls/s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from afterword.errors import BadRequest

# uvicorn has no limit here: an endless head would take fourteen times its size in memory.
MAX_HEAD_BYTES = 256 << 10
"""The largest path with its headers, in bytes; it can be exceeded by the size of one read."""


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol over a transport that joins writes.

    The ASGI scope holds it as `connection`. `on_lost`, if a call sets it, is called once when the caller hangs up.
    ASGI's own way, a task that waits for the disconnect, would add a tenth to the time of a model call.
    """

    on_lost: Callable[[], Any] | None = None
    is_lost = False
    """Whether the caller has hung up."""
    _in_head = True
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(JoinedWrites(transport, self.loop))  # pyright: ignore[reportArgumentType]

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self.send_400_response(f"Its path and headers have more than {MAX_HEAD_BYTES:,} bytes.")

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        # The bytes that were read may already contain the start of the next request.
        self._in_head, self._head_bytes = True, 0

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["connection"] = self  # pyright: ignore[reportGeneralTypeIssues]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.is_lost = True
        if self.on_lost is not None:
            self.on_lost()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is not HTTP with Afterword's error object, and close the connection."""
        error = BadRequest("The request is not valid HTTP/1.1.", code="malformed_request", hint=msg)
        body = msgspec.json.encode(error.body())
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: "
        self.transport.write(head + str(len(body)).encode() + b"\r\n\r\n" + body)
        self.transport.close()


class JoinedWrites:
    """A transport that collects writes until the end of the event loop's turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending_writes: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data` together with all other writes of this turn."""
        if not self._pending_writes:
            self._loop.call_soon(self.flush)
        self._pending_writes.append(data)

    def flush(self) -> None:
        """Send the collected bytes."""
        pending_writes, self._pending_writes = self._pending_writes, []
        if pending_writes:
            self._transport.write(b"".join(pending_writes))

    def close(self) -> None:
        """Send the collected bytes, then close."""
        self.flush()
        self._transport.close()
