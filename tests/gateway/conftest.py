"""A provider in the test's own process, which answers as the test scripts it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, NamedTuple

import pytest

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
STREAM = [
    {**CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Good "}, "finish_reason": None}]},
    {**CHUNK, "choices": [{"index": 0, "delta": {"content": "day"}, "finish_reason": None}]},
    {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
]
WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Good day"}, "finish_reason": "stop"}],
}


class Reply(NamedTuple):
    """What the scripted provider answers. Bytes of `parts` are sent as they are; an event is waited for."""

    status: int
    headers: dict[str, str]
    parts: list[bytes | Event]


def events(*chunks: Any) -> list[bytes]:
    return [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]


def good(body: dict[str, Any]) -> Reply:
    """Answer as any provider would."""
    if body.get("stream"):
        return Reply(200, {"Content-Type": "text/event-stream"}, list(events(*STREAM)))
    return Reply(200, {"Content-Type": "application/json"}, [json.dumps(WHOLE).encode()])


def refusing(status: int, error: Any, **headers: str) -> Reply:
    return Reply(status, {"Content-Type": "application/json", **headers}, [json.dumps(error).encode()])


class Scripted:
    """A provider that does what a function of the request's body says, and keeps the requests."""

    Reply = Reply
    good = staticmethod(good)
    refusing = staticmethod(refusing)
    events = staticmethod(lambda: events(*STREAM))
    whole = staticmethod(lambda: json.dumps(WHOLE).encode())

    def __init__(self) -> None:
        self.script: Callable[[dict[str, Any]], Reply] = good
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                provider.bodies.append(body)
                provider.paths.append(self.path)
                provider.headers.append({name.lower(): value for name, value in self.headers.items()})
                reply = provider.script(body)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for part in reply.parts:
                    if isinstance(part, Event):
                        part.wait(30)
                    else:
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
                        self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def provider() -> Iterator[Scripted]:
    """A provider in the test's own process."""
    running = Scripted()
    yield running
    running.stop()


@pytest.fixture
def model(gateway: Any, provider: Scripted) -> str:
    """A model at the scripted provider, to be called by this name."""
    return gateway.model(endpoint=f"http://127.0.0.1:{provider.port}/v1")


class ResponsesFace:
    """Calls of the Responses API through a gateway."""

    def __init__(self, gateway: Any, kind: str) -> None:
        self.gateway = gateway
        self.kind = kind

    def model(self, behaviour: str = "good") -> str:
        """Register a model whose provider speaks the Responses API, or chat alone."""
        more = {} if self.kind == "native" else {"endpoint": f"{self.gateway.upstream.url}/chat-only/v1"}
        return self.gateway.model(behaviour, **more)

    def ask(self, model: str, input_: Any = "Hello there", **more: Any) -> Any:
        """Make a call that is not streamed; return the response."""
        answer = self.gateway.http.post("/api/v1/responses", json={"model": model, "input": input_, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stream(self, model: str, input_: Any = "Hello there", **more: Any) -> list[dict[str, Any]]:
        """Make a streamed call; return its events."""
        body = {"model": model, "input": input_, "stream": True, **more}
        events: list[dict[str, Any]] = []
        with self.gateway.http.stream("POST", "/api/v1/responses", json=body) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
            name = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    events.append(json.loads(line[6:]))
                    assert events[-1]["type"] == name
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        return events

    def logged(self, response: dict[str, Any]) -> dict[str, Any]:
        """Return the interaction of a response."""
        assert response["id"] == f"resp_{response['completion_id']}"
        return self.gateway.logged(response["completion_id"])


@pytest.fixture(params=["native", "chat"])
def face(request: pytest.FixtureRequest, gateway: Any) -> ResponsesFace:
    """The Responses API, for each kind of provider: one that speaks it, and one of chat."""
    return ResponsesFace(gateway, request.param)


@pytest.fixture
def native(gateway: Any) -> ResponsesFace:
    """The Responses API for providers that speak it."""
    return ResponsesFace(gateway, "native")


@pytest.fixture
def translated(gateway: Any) -> ResponsesFace:
    """The Responses API for providers of chat."""
    return ResponsesFace(gateway, "chat")
