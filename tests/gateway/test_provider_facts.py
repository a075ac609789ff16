"""What a provider tells beside the text is kept with the interaction, shown, found by, and outlives what it may."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
VECTOR = "data:image/svg+xml;base64,PHN2Zy8+"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ORDER = 107505301260286111

FACTS = {
    "answer": {"system_fingerprint": "fp", "citations": ["https://a.example"], "order": ORDER},
    "choice": {"logprobs": {"content": [{"token": "Grey", "logprob": -0.25}]}},
}


@contextmanager
def provider(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[str]:
    """Run a provider that gives this answer, as a stream of one chunk where one is asked for; yield its endpoint."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = answer(body)
            raw = json.dumps(found).encode()
            if body.get("stream"):
                choices = [{**one, "delta": one["message"]} for one in found["choices"]]
                raw = b"data: " + json.dumps({**found, "choices": choices}).encode() + b"\n\ndata: [DONE]\n\n"
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if body.get("stream") else "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.send_header("x-request-id", f"req-of-{found['id']}")
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answering(message: dict[str, Any], id: str = "chatcmpl-1", **more: Any) -> Callable[[Any], dict[str, Any]]:
    """Return a provider's answer with this message and all its facts."""
    return lambda body: {
        "id": id,
        "object": "chat.completion",
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **FACTS["choice"]}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        **FACTS["answer"],
        **more,
    }


def called(gateway: Any, endpoint: str, *, streamed: bool = False, **headers: str) -> dict[str, Any]:
    """Call a model at this endpoint; return the interaction."""
    body = {"model": gateway.model(endpoint=endpoint), "messages": [{"role": "user", "content": "Which bird?"}]}
    answer = gateway.http.post("/api/v1/chat/completions", json={**body, "stream": streamed}, headers=headers)
    answer.raise_for_status()
    completion_id = answer.text.partition('"completion_id":"')[2][:36]
    return gateway.logged(completion_id)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_facts_beside_the_text_are_kept_shown_and_found_by(gateway, streamed: bool):
    response_id = f"chatcmpl-{uuid4()}"
    with provider(answering({"role": "assistant", "content": "Grey herons."}, response_id)) as endpoint:
        request_id = f"req-{uuid4()}"
        trace = uuid4().hex
        logged = called(
            gateway,
            endpoint,
            streamed=streamed,
            traceparent=f"00-{trace}-00f067aa0ba902b7-01",
            **{"x-request-id": request_id},
        )
    assert logged["facts"] == FACTS
    assert logged["call"] == {
        "state": "complete",
        "finish_reason": "stop",
        "error": None,
        "request_id": request_id,
        "provider_request_id": f"req-of-{response_id}",
        "response_id": response_id,
        "provider_model": "gpt-4o-2024-08-06",
        "trace_id": trace,
        "streamed": streamed,
    }

    called(gateway, _other(gateway), streamed=streamed)
    ways = {"request_id": [request_id, f"req-of-{response_id}", response_id], "trace_id": [trace]}
    for name, ids in ways.items():
        for one in ids:
            for found in (
                gateway.http.get("/api/v1/interactions", params={"project": gateway.project, name: one}),
                gateway.http.post(
                    "/api/v1/interactions/search", json={"project": gateway.project, "filter": {name: {"eq": one}}}
                ),
            ):
                assert [it["completion_id"] for it in found.json()["interactions"]] == [logged["completion_id"]]
        other = gateway.http.post(
            "/api/v1/interactions/search", json={"project": gateway.project, "filter": {name: {"neq": ids[0]}}}
        )
        assert logged["completion_id"] not in [it["completion_id"] for it in other.json()["interactions"]]
        assert len(other.json()["interactions"]) == 1
    # A list does not carry them.
    [listed] = gateway.http.get("/api/v1/interactions", params={"project": gateway.project, "trace_id": trace}).json()[
        "interactions"
    ]
    assert listed["facts"] is None


def _other(gateway: Any) -> str:
    """Return the endpoint of another provider, whose calls are not looked for."""
    return gateway.upstream.endpoint


def test_facts_of_an_interaction_can_be_logged_again_as_they_are_shown(gateway):
    with provider(answering({"role": "assistant", "content": "Grey herons."})) as endpoint:
        shown = called(gateway, endpoint, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    again = {name: shown[name] for name in ("project", "messages", "completion", "usage", "timings", "call", "facts")}
    recorded = gateway.http.post("/api/v1/interactions", json=again).raise_for_status().json()
    copy = gateway.logged(recorded["completion_id"])
    assert {name: copy[name] for name in again} == again
    wrong = gateway.http.post("/api/v1/interactions", json={**again, "call": {"state": "lost"}})
    assert wrong.status_code == 422
    assert wrong.json()["error"]["param"] == "call.state"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_images_of_an_answer_are_kept_by_their_hash(gateway, streamed: bool):
    images = [{"type": "image_url", "image_url": {"url": PIXEL}}]
    with provider(answering({"role": "assistant", "content": "A heron.", "images": images})) as endpoint:
        logged = called(gateway, endpoint, streamed=streamed)
    [address] = logged["image_urls"]
    assert logged["message"]["images"][0]["image_url"]["url"] == address
    assert gateway.http.get(address).content.startswith(b"GIF89a")
    inline = gateway.http.get(f"/api/v1/interactions/{logged['completion_id']}", params={"images": "inline"}).json()
    assert inline["message"]["images"][0]["image_url"]["url"] == PIXEL


def test_an_image_of_no_known_kind_in_an_answer_loses_nothing_of_it(gateway):
    content = [{"type": "text", "text": "A heron."}, {"type": "image_url", "image_url": {"url": VECTOR}}]
    with provider(answering({"role": "assistant", "content": content})) as endpoint:
        logged = called(gateway, endpoint)
    assert logged["completion"] == "A heron."
    assert logged["message"]["content"] == content


def test_facts_beyond_the_setting_are_left_out_and_named(new_server):
    logprobs = {"content": [{"token": "x" * 50, "logprob": -0.25}] * 50}

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        found = answering({"role": "assistant", "content": "Grey herons."})(body)
        found["choices"][0]["logprobs"] = logprobs
        return found

    with provider(answer) as endpoint, new_server("--max-facts", "1KB").client() as http:
        model = {
            "key": "m",
            "provider": "open_ai",
            "external_model_id": "m",
            "endpoint": endpoint,
            "project": "default",
        }
        http.post("/api/v1/models", json=model).raise_for_status()
        body = {"model": "default/m", "messages": [{"role": "user", "content": "Which bird?"}]}
        choice = http.post("/api/v1/chat/completions", json=body).raise_for_status().json()["choices"][0]
        assert choice["logprobs"] == logprobs
        facts = http.get(f"/api/v1/interactions/{choice['completion_id']}").json()["facts"]
    assert facts["answer"] == FACTS["answer"]
    assert "choice" not in facts
    assert facts["left_out"]["choice.logprobs"] > 1000
