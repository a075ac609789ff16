"""Bare ASGI applications on uvicorn: what the machine can do without Afterword."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import msgspec

from benchmarks.load import Target, send
from benchmarks.server import free_port

_decoder, _encoder = msgspec.json.Decoder(), msgspec.json.Encoder()


class BareServer(NamedTuple):
    """A running application."""

    target: Target
    process_id: int


async def empty(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Read a body and answer 201: the least that a server can do."""
    await _answer(await _read(receive) and b"{}", send)


async def echo(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Read a JSON body, decode it, encode it again and answer it: the least that a server can do with content."""
    await _answer(_encoder.encode(_decoder.decode(await _read(receive))), send)


async def _read(receive: Callable[[], Awaitable[Any]]) -> bytes:
    message = await receive()
    body = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    return body


async def _answer(body: bytes, send: Callable[[Any], Awaitable[None]]) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def running_bare(app: Literal["empty", "echo"]) -> Iterator[BareServer]:
    """Run one of the applications with the event loop and the parser that Afterword uses; stop it at the end."""
    target = Target(free_port(), "none")
    options = ("--port", str(target.port), "--log-level", "critical", "--lifespan", "off", "--no-access-log")
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", f"benchmarks.bare:{app}", "--loop", "uvloop", "--http", "httptools", *options]
    )
    try:
        while True:
            try:
                send(target, "POST", "/", {})
                break
            except OSError:
                if server.poll() is not None:
                    raise RuntimeError(f"The bare server ended with status {server.returncode}.") from None
                time.sleep(0.01)
        yield BareServer(target, server.pid)
    finally:
        server.terminate()
        server.wait(20)
