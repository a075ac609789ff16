"""JSON that only strict readers refuse passes through as it came; what is kept of it is whole, and says what it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

HALF, OTHER_HALF = r"\ud83d", r"\ude00"
HALF_A_PAIR = "half a surrogate pair"
# As it is sent: where the odd value stands, what the row says of it, what is kept.
SENT: dict[str, tuple[str, str, str, Any]] = {
    "half a pair in a message": ("messages[0].content", f'"We are glad {HALF}"', HALF_A_PAIR, "We are glad �"),
    "the other half": ("messages[0].content", f'"{OTHER_HALF} we are glad"', HALF_A_PAIR, "� we are glad"),
    "half a pair in a parameter": ("stop", f'"x{HALF}"', HALF_A_PAIR, "x�"),
    "half a pair in a label": ("labels.app", f'"demo {HALF}"', HALF_A_PAIR, "demo �"),
    "NaN": ("temperature", "NaN", "NaN", None),
    "Infinity": ("logit_bias.5", "Infinity", "Infinity", None),
    "minus Infinity": ("logit_bias.5", "-Infinity", "-Infinity", None),
    "a number beyond all": ("top_p", "1e999", "Infinity", None),
}  # fmt: skip


def at(value: Any, place: str) -> Any:
    for step in place.replace("[", ".").replace("]", "").split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("what", SENT)
def test_a_call_passes_on_what_the_provider_takes(gateway, what: str, streamed: bool):
    place, odd, was, kept = SENT[what]
    chunk = {"choices": [{"index": 0, "delta": {"content": "ok"}, "finish_reason": "stop"}]}
    answer = {"choices": [{"index": 0, "message": {"content": "ok"}, "finish_reason": "stop"}]}
    says = {"type": "application/json", "body": json.dumps(answer)}
    if streamed:
        says = {"type": "text/event-stream", "body": f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"}
    body: dict[str, Any] = {
        "model": gateway.model("says"),
        "messages": [{"role": "user", "content": "Hello"}],
        "labels": {"app": "demo"},
        "logit_bias": {"5": 1},
        "stream": streamed,
        "says": says,
    }
    parent, _, name = place.replace("[0]", ".0").rpartition(".")
    (at(body, parent) if parent else body)[name] = "@"
    raw = json.dumps(body).replace('"@"', odd)
    sent = gateway.http.post("/api/v1/chat/completions", content=raw.encode())
    assert sent.status_code == 200, sent.text
    row = gateway.newest()
    assert row["call"]["state"] == "complete"
    assert row["parameters"]["replaced"] == [{"at": place, "was": was, "kept": "null" if kept is None else "U+FFFD"}]
    stored = row if place.startswith(("messages", "labels")) else row["parameters"]
    assert at(stored, place) == kept
    if not place.startswith("labels"):
        [seen] = gateway.upstream.seen(body["model"].partition("/")[2])
        received = json.loads(seen["body"]["raw"])
        assert repr(at(received, place)) == repr(json.loads(odd))


def test_an_answer_with_half_a_character_reaches_the_caller_and_is_kept(gateway):
    whole = '{"choices": [{"index": 0, "message": {"content": "Well done @"}, "finish_reason": "stop", "score": NaN}]}'
    says = {"type": "application/json", "body": whole.replace("@", HALF)}
    answer = gateway.ask(gateway.model("says"), says=says).raise_for_status()
    assert HALF in answer.text
    choice = json.loads(answer.text)["choices"][0]
    assert choice["score"] is None
    row = gateway.newest()
    assert row["completion"] == "Well done �"
    replaced = row["parameters"]["replaced"]
    assert {"at": "choices[0].message", "was": "half a surrogate pair", "kept": "U+FFFD"} in replaced
    assert [(one["was"], one["kept"]) for one in replaced[1:]] == [("NaN", "null")]


def test_halves_that_come_in_two_chunks_are_one_character_in_the_log(gateway):
    deltas = [{"content": "Well "}, {"content": "@1"}, {"content": "@2!"}, {"reasoning": "@1"}, {"reasoning": "@2"}]
    events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    says = {"type": "text/event-stream", "body": body.replace("@1", HALF).replace("@2", OTHER_HALF)}
    chunks, done = gateway.stream(gateway.model("says"), says=says)
    assert done
    row = gateway.logged(chunks[0]["choices"][0]["completion_id"])
    assert row["completion"] == "Well 😀!"
    assert row["message"]["reasoning"] == "😀"
    assert "replaced" not in row["parameters"]


LOGGED: dict[str, tuple[str, str | None, str]] = {
    '"completion": "x", "usage": {"cost": NaN}': ("NaN", "usage.cost", "NaN"),
    '"completion": "x", "usage": {"cost": -Infinity}': ("Infinity", "usage.cost", "-Infinity"),
    '\n  "completion" "x"': ("no colon", None, "line 2, column 16"),
}


def test_half_a_character_that_is_logged_is_kept_as_its_replacement(gateway):
    raw = (
        r'{"messages": [{"role": "user", "content": "Hi"}], "completion": "Cut here \ud83d", "labels": {"a": "\udc00"}}'
    )
    raw = raw[:-1] + f', "project": "{gateway.project}"}}'
    gateway.http.post("/api/v1/interactions", content=raw.encode()).raise_for_status()
    row = gateway.newest()
    assert (row["completion"], row["labels"]) == ("Cut here �", {"a": "�"})


@pytest.mark.parametrize("body", LOGGED, ids=[name for name, _, _ in LOGGED.values()])
def test_a_body_that_is_logged_is_refused_with_the_place(gateway, refused, body: str):
    _, param, words = LOGGED[body]
    raw = f'{{"messages": [{{"role": "user", "content": "Hello"}}], {body}}}'
    error = refused(gateway.http.post("/api/v1/interactions", content=raw.encode()), 400, "malformed_json", param)
    assert words in error["message"]
