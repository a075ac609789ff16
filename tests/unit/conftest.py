"""A small real server that plays answers and keeps what it was sent, for the tests of the client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from afterword import Afterword
from afterword.client import core


class Player(ThreadingHTTPServer):
    """Plays answers in order: (status, headers, body), None to hang up, or what a function makes of the body."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.seen: list[Any] = []
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Player  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        answer: Any = self.server.answers.pop(0)
        if callable(answer):
            answer = answer(body)
        if answer is None:
            self.close_connection = True
            return
        status, headers, content = answer
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(raw))}.items():
            self.send_header(name, value)
        with suppress(OSError):  # The client may be gone: it had no time left.
            self.end_headers()
            self.wfile.write(raw)

    do_GET = do_PATCH = do_DELETE = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def player() -> Iterator[Player]:
    """A server that plays `answers` and keeps (method, path, headers, body) of each call in `seen`."""
    with Player() as playing:
        thread = threading.Thread(target=playing.serve_forever, args=(0.01,))
        thread.start()
        yield playing
        playing.shutdown()
        thread.join()


@pytest.fixture
def client(player: Player, monkeypatch: pytest.MonkeyPatch) -> Iterator[Afterword]:
    """A client of the player, which hardly waits between two tries."""
    monkeypatch.setattr(core, "FIRST_DELAY_SECONDS", 0.001)
    with Afterword(player.url, "key") as made:
        yield made
