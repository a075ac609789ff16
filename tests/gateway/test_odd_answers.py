"""Texts of a provider that no database or no JSON takes as they are: the call is answered, and kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.every_store

HALF, NUL = "\ud83d", "\0"
# Where an odd value stands in an answer, the value, and what the row has of it, where that is more than nothing.
ODD: dict[str, tuple[str, Any, Any]] = {
    "a reason with NUL": ("finish_reason", NUL, "\ufffd"),
    "a reason with NUL in it": ("finish_reason", f"stop{NUL}", "stop\ufffd"),
    "half a character as a reason": ("finish_reason", HALF, "\ufffd"),
    "a very long reason": ("finish_reason", "".join(map(chr, range(300, 9_000))), "".join(map(chr, range(300, 500)))),
    "a number as a reason": ("finish_reason", 10**30, str(10**30)),
    "true as a reason": ("finish_reason", True, "True"),
    "a list as a reason": ("finish_reason", [NUL, HALF], ...),
    "NUL as an id": ("id", NUL, ...),
    "half a character as an id": ("id", HALF, ...),
    "NUL as the model": ("model", f"a{NUL}b", ...),
    "half a character in the facts": ("system_fingerprint", {HALF: [NUL, HALF, 10**400]}, ...),
    "half a character as usage": ("usage", {"prompt_tokens": 2**70, "completion_tokens": 1, HALF: NUL}, ...),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("what", ODD)
def test_an_odd_text_of_a_provider_is_kept_as_it_can_be(gateway, what: str, streamed: bool):
    place, odd, kept = ODD[what]
    part = {"delta" if streamed else "message": {"role": "assistant", "content": f"Well{NUL} done {HALF}"}}
    choice = {"index": 0, "finish_reason": "stop", **part}
    answer = {"id": "x", "model": "m", "choices": [choice]}
    (choice if place == "finish_reason" else answer)[place] = odd
    says = {"type": "application/json", "body": json.dumps(answer)}
    if streamed:
        says = {"type": "text/event-stream", "body": f"data: {json.dumps(answer)}\n\ndata: [DONE]\n\n"}
    sent = gateway.ask(gateway.model("says"), says=says, stream=streamed)
    assert sent.status_code == 200, sent.text
    assert "internal_error" not in sent.text
    row = gateway.newest()
    assert row["completion"].startswith("Well")
    assert row["call"]["state"] == "complete"
    if kept is not ...:
        assert row["call"]["finish_reason"] == kept
        found = gateway.http.get("/api/v1/interactions", params={"project": gateway.project, "finish_reason": kept})
        assert len(found.json()["interactions"]) == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("odd", [HALF, NUL, f"x{NUL}{HALF}" * 500, 10**400, {HALF: NUL}, [1e308], None, True])
@pytest.mark.parametrize("place", ["message", "type", "code", "param", "more"])
def test_an_odd_error_of_a_provider_is_kept_as_it_can_be(gateway, place: str, odd: Any, streamed: bool):
    error = {"message": "No.", "type": "some_error", "code": "some_code", place: odd}
    says = {"type": "application/json", "status": 400, "body": json.dumps({"error": error})}
    sent = gateway.ask(gateway.model("says"), says=says, stream=streamed)
    assert sent.status_code == 400, sent.text
    assert sent.json()["error"]["message"]
    assert gateway.newest()["call"]["state"] == "failed"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("odd", [True, 5, {"a": 1}, ["a"], NUL, HALF])
def test_an_odd_reason_of_anthropic_is_kept_as_a_text(gateway, provider: Any, odd: Any, streamed: bool):
    usage = {"input_tokens": 1, "output_tokens": 1}
    body = {"type": "message", "content": [{"type": "text", "text": "Ho"}], "stop_reason": odd, "usage": usage}
    events = [
        {"type": "message_start", "message": {"id": "x", "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Ho"}},
        {"type": "message_delta", "delta": {"stop_reason": odd}, "usage": usage},
        {"type": "message_stop"},
    ]
    parts = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    kind = "text/event-stream" if streamed else "application/json"
    parts = parts if streamed else [json.dumps(body).encode()]
    provider.script = lambda _: provider.Reply(200, {"Content-Type": kind}, parts)
    model = gateway.model(provider="anthropic", endpoint=f"http://127.0.0.1:{provider.port}")
    sent = gateway.ask(model, stream=streamed)
    assert sent.status_code == 200, sent.text
    assert "internal_error" not in sent.text
    row = gateway.newest()
    assert (row["completion"], row["call"]["state"]) == ("Ho", "complete")
    assert isinstance(row["call"]["finish_reason"], str)
