"""What a call sends reaches the provider: nothing is refused for the log's sake, and nothing is added that a provider
does not take."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from typing import Any

import pytest

HELLO = [{"role": "user", "content": "Hello there"}]


def call(gateway: Any, body: dict[str, Any], agent: str = "some-client/1") -> Any:
    return gateway.http.post("/api/v1/chat/completions", json=body, headers={"User-Agent": agent})


# ------------------------------------------------------------------------------------------------ the way there


def png() -> bytes:
    def part(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(b"\0\x7f")) + part(b"IEND", b"")


PNG = base64.b64encode(png()).decode()
IMAGES = {
    "another type": f"data:image/webp;base64,{PNG}",
    "no image type": f"data:application/octet-stream;base64,{PNG}",
    "more in the header": f"data:image/png;name=a.png;base64,{PNG}",
    "line breaks": f"data:image/png;base64,{PNG[:20]}\n{PNG[20:]}",
    "no padding": f"data:image/png;base64,{PNG.rstrip('=')}",
    "no base64 at all": "data:image/svg+xml,<svg/>",
    "a type that is not kept": "data:image/avif;base64,AAAA",
    "an address of a cloud": "gs://bucket/a.png",
    "a path": "file:///a.png",
    "an id": "file-abc123",
    "nothing": "",
    "larger than is kept": "data:image/png;base64," + "A" * (15 << 20),
}
MESSAGES: dict[str, Any] = {
    "an unknown role": {"role": "moderator", "content": "x"},
    "no role": {"content": "x"},
    "a role that is no text": {"role": 5, "content": "x"},
    "content that is an object": {"role": "user", "content": {"type": "text", "text": "x"}},
    "content that is a number": {"role": "user", "content": 5},
    "parts that are texts": {"role": "user", "content": ["x", None, 5]},
    "a part without a type": {"role": "user", "content": [{"text": "x"}]},
    "a file": {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]},
    "an image without an address": {"role": "user", "content": [{"type": "image_url"}]},
    "an image that is a number": {"role": "user", "content": [{"type": "image_url", "image_url": {"url": 5}}]},
    "more fields": {"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}, "weight": 1},
} | {
    name: {"role": "user", "content": [{"type": "image_url", "image_url": {"url": uri}}]}
    for name, uri in IMAGES.items()
}


@pytest.mark.parametrize("what", MESSAGES)
def test_a_message_that_the_log_does_not_know_reaches_the_provider(gateway, provider, model, what: str):
    messages = [MESSAGES[what], *HELLO]
    answer = call(gateway, {"model": model, "messages": messages}).raise_for_status().json()
    assert provider.bodies[-1]["messages"] == messages
    completion_id = answer["choices"][0]["completion_id"]
    path = f"/api/v1/interactions/{completion_id}?images=inline"
    logged = gateway.http.get(path).raise_for_status().json()["messages"]
    if what != "larger than is kept":
        assert logged == messages
    else:
        assert "left out: 15,728,662 characters" in logged[0]["content"][0]["image_url"]["url"]
    listed = gateway.http.get("/api/v1/interactions", params={"project": gateway.project, "view": "full"})
    assert [one["completion_id"] for one in listed.raise_for_status().json()["interactions"]] == [completion_id]
    grouped = {"project": gateway.project, "group_by": "prompt"}
    assert gateway.http.get("/api/v1/interactions", params=grouped).status_code == 200


def test_no_caller_can_name_a_stored_image_to_see_it(gateway, provider, model):
    reference = f"afterword-image:{'0' * 64}.png;data:image/png;base64"
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": reference}}]}
    answer = call(gateway, {"model": model, "messages": [message]}).raise_for_status().json()
    logged = gateway.logged(answer["choices"][0]["completion_id"])
    assert logged["messages"][0]["content"][0]["image_url"]["url"] == f"unresolved:{reference}"


OWN_FIELDS: list[tuple[dict[str, Any], dict[str, str], str | None, dict[str, Any]]] = [
    ({"labels": {"a": 1, "b": True, "c": "x"}}, {"a": "1", "b": "true", "c": "x"}, None, {}),
    ({"metadata": {"a": "x", "tags": ["y"]}}, {"a": "x"}, None, {"metadata": {"tags": ["y"]}}),
    ({"labels": ["a"]}, {}, None, {"labels": ["a"]}),
    ({"labels": {"a": "x" * 2000}}, {}, None, {"labels": {"a": "x" * 2000}}),
    ({"labels": {"": "x", "a\0": "x"}}, {}, None, {"labels": {"": "x", "a\0": "x"}}),
    ({"labels": {"a": "label"}, "metadata": {"a": "metadata"}}, {"a": "label"}, None, {}),
    ({"user": 17}, {}, "17", {}),
    ({"user": {"id": 17}}, {}, None, {"user": {"id": 17}}),
    ({"user": "x" * 2000}, {}, None, {"user": "x" * 2000}),
    ({"session_id": {"id": 1}}, {}, None, {"session_id": {"id": 1}}),
    ({"n": "two"}, {}, None, {"n": "two"}),
    ({"stream_options": "all"}, {}, None, {}),
]


@pytest.mark.parametrize(("sent", "labels", "user", "parameters"), OWN_FIELDS)
def test_what_is_no_label_user_or_session_is_kept_beside_them(gateway, provider, model, sent, labels, user, parameters):
    answer = call(gateway, {"model": model, "messages": HELLO, **sent}).raise_for_status().json()
    logged = gateway.logged(answer["choices"][0]["completion_id"])
    assert logged["labels"] == labels
    assert logged["user"] == user
    assert (logged["parameters"] or {}) == parameters


def test_a_session_of_any_text_is_the_same_session_each_time(gateway, provider, model):
    answers = [
        call(gateway, {"model": model, "messages": HELLO, "session_id": one}) for one in ("chat-42", "chat-42", 7)
    ]
    first, second, other = (answer.raise_for_status().json()["session_id"] for answer in answers)
    assert first == second != other


SHARED = {"store", "metadata", "user"}


@pytest.mark.parametrize(
    ("agent", "sent", "reaches"),
    [
        ("OpenAI/Python 2", {"user": "ann"}, {"user": "ann"}),
        ("OpenAI/Python 2", {"metadata": {"a": "b"}}, {}),
        ("OpenAI/Python 2", {"store": True, "metadata": {"a": "b"}}, {"store": True, "metadata": {"a": "b"}}),
        ("OpenAI/Python 2", {"store": False, "metadata": {"a": "b"}}, {"store": False}),
        ("OpenAI/Python 2", {"store": None, "user": None, "metadata": None}, {}),
        ("adaptive_sdk/0.14", {"store": True, "user": "ann"}, {"user": "ann"}),
        ("afterword/0.1", {"store": True, "metadata": {"a": "b"}}, {}),
    ],
)
def test_store_metadata_and_user_reach_openai_where_they_are_meant(gateway, provider, model, agent, sent, reaches):
    call(gateway, {"model": model, "messages": HELLO, **sent}, agent).raise_for_status()
    assert {
        name: provider.bodies[-1][name] for name in ("store", "metadata", "user") if name in provider.bodies[-1]
    } == reaches
    google = gateway.model(provider="google", endpoint=f"http://127.0.0.1:{provider.port}/v1")
    call(gateway, {"model": google, "messages": HELLO, **sent}, agent).raise_for_status()
    assert not SHARED & provider.bodies[-1].keys()


REFUSALS: dict[str, tuple[int, Callable[[str], Any]]] = {
    "OpenAI": (
        400,
        lambda name: {"error": {"message": f"Unrecognized request argument supplied: {name}", "param": None}},
    ),
    "param": (
        400,
        lambda name: {"error": {"message": "Unknown parameter.", "param": name, "code": "unknown_parameter"}},
    ),
    "FastAPI": (
        422,
        lambda name: {
            "detail": [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}]
        },
    ),
    "Groq": (400, lambda name: {"error": {"message": f"property '{name}' is unsupported, did you mean 'stream'?"}}),
    "Google": (
        400,
        lambda name: [
            {
                "error": {
                    "code": 400,
                    "message": f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.',
                }
            }
        ],
    ),
    "text": (400, lambda name: f"{name}: Extra inputs are not permitted"),
}


@pytest.mark.parametrize("form", REFUSALS)
@pytest.mark.parametrize("name", ["stream_options", "user", "store", "metadata"])
def test_a_field_that_a_provider_refuses_is_left_out_and_remembered(gateway, provider, model, name: str, form: str):
    status, error = REFUSALS[form]
    provider.script = lambda body: provider.refusing(status, error(name)) if name in body else provider.good(body)
    sent = {"model": model, "messages": HELLO, "user": "ann", "store": True, "metadata": {"a": "b"}, "stream": True}
    for requests in (2, 1):
        provider.bodies.clear()
        answer = call(gateway, sent)
        assert "data: [DONE]" in answer.text, answer.text
        assert len(provider.bodies) == requests
        assert name == "stream_options" or answer.headers["x-afterword-left-out"] == name


def test_options_refused_without_a_word_are_left_out(gateway, provider, model):
    provider.script = lambda body: (
        provider.Reply(400, {}, [b"Bad Request"]) if "stream_options" in body else provider.good(body)
    )
    assert "data: [DONE]" in call(gateway, {"model": model, "messages": HELLO, "stream": True}).text
    # A model that took them is not asked twice.
    taking = gateway.model(endpoint=f"http://127.0.0.1:{provider.port}/v1")
    provider.script = provider.good
    call(gateway, {"model": taking, "messages": HELLO, "stream": True}).raise_for_status()
    provider.script = lambda body: provider.Reply(400, {}, [b"Bad Request"])
    provider.bodies.clear()
    assert call(gateway, {"model": taking, "messages": HELLO, "stream": True}).status_code == 400
    assert len(provider.bodies) == 1


def test_what_we_add_to_a_message_is_taken_off_wherever_it_comes_back(gateway, provider, model):
    ours = {"id": "c-0", "completion_id": "x", "session_id": "y"}
    tool_call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answers = [
        {"role": "assistant", "content": "x", **ours, "metadata": {}},
        {"role": "assistant", "content": "x", "provider_specific_fields": {**ours, "refusal": None}},
        {"role": "assistant", "content": "x", "additional_kwargs": ours, "response_metadata": ours},
        {"role": "assistant", "content": None, "tool_calls": [{**tool_call, "provider_specific_fields": ours}]},
        {"role": "assistant", "content": "x", "provider_specific_fields": {**ours, "thought_signature": "z"}},
    ]
    call(gateway, {"model": model, "messages": [*answers, *HELLO]}).raise_for_status()
    plain = {"role": "assistant", "content": "x"}
    called = {"role": "assistant", "content": None, "tool_calls": [tool_call]}
    signed = {**plain, "provider_specific_fields": {"thought_signature": "z"}}
    assert provider.bodies[-1]["messages"] == [plain, plain, plain, called, signed, *HELLO]
