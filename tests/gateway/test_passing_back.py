"""What a provider answers reaches the caller: streams of any type, limits, errors; and comments while it is silent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

HELLO = [{"role": "user", "content": "Hello there"}]


def call(gateway: Any, body: dict[str, Any]) -> Any:
    return gateway.http.post("/api/v1/chat/completions", json=body)


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/json", "application/octet-stream", "Text/Event-Stream"]
)
@pytest.mark.parametrize(
    "head", [b"", b"\xef\xbb\xbf", b"\r\n", b": hello\n\n"], ids=["plain", "mark", "line", "comment"]
)
def test_a_stream_is_known_by_its_first_bytes_not_its_type(gateway, provider, model, kind: str, head: bytes):
    headers = {"Content-Type": kind} if kind else {}
    parts = [bytes([byte]) for byte in head] + provider.events()
    provider.script = lambda body: provider.Reply(200, headers, list(parts))
    answer = call(gateway, {"model": model, "messages": HELLO, "stream": True})
    assert "data: [DONE]" in answer.text, answer.text
    assert gateway.newest()["completion"] == "Good day"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_whole_answer_under_the_type_of_a_stream_is_read(gateway, provider, model, streamed: bool):
    provider.script = lambda body: provider.Reply(200, {"Content-Type": "text/event-stream"}, [provider.whole()])
    call(gateway, {"model": model, "messages": HELLO, "stream": streamed}).raise_for_status()
    assert gateway.newest()["completion"] == "Good day"


OF_ANTHROPIC = [
    {"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 3}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Good "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "day"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]


@pytest.mark.parametrize("kind", ["open_ai", "anthropic"])
def test_a_stream_that_nobody_asked_for_is_put_together(gateway, provider, kind: str):
    parts = provider.events()
    if kind == "anthropic":
        parts = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in OF_ANTHROPIC]
    provider.script = lambda body: provider.Reply(200, {"Content-Type": "text/event-stream"}, list(parts))
    endpoint = f"http://127.0.0.1:{provider.port}/v1"
    answer = call(gateway, {"model": gateway.model(provider=kind, endpoint=endpoint), "messages": HELLO})
    assert answer.status_code == 200, answer.text
    [choice] = answer.json()["choices"]
    assert answer.json()["object"] == "chat.completion"
    assert choice["message"]["content"] == "Good day"
    assert choice["finish_reason"] == "stop"
    shown = gateway.newest()
    assert (shown["completion"], shown["completion_id"]) == ("Good day", choice["completion_id"])


def test_a_stream_that_nobody_asked_for_and_that_breaks_off_is_a_failure(gateway, provider, model):
    provider.script = lambda body: provider.Reply(200, {"Content-Type": "text/event-stream"}, provider.events()[:-2])
    answer = call(gateway, {"model": model, "messages": HELLO})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_answer_unfinished")
    assert gateway.newest()["call"]["state"] == "failed"


TOLD = {
    "x-ratelimit-remaining-requests": "497",
    "anthropic-ratelimit-tokens-reset": "2030-01-01T00:00:00Z",
    "openai-processing-ms": "300",
    "retry-after-ms": "7250",
    "x-should-retry": "true",
}


@pytest.mark.parametrize("how", ["whole", "streamed", "refused"])
def test_limits_and_request_id_of_the_provider_reach_the_caller(gateway, provider, model, how: str):
    more = {**TOLD, "X-Request-Id": "req_of_theirs", "set-cookie": "a=b", "openai-organization": "org"}

    def script(body: dict[str, Any]) -> Any:
        reply = provider.refusing(429, {"error": {"message": "slow down"}}) if how == "refused" else provider.good(body)
        return reply._replace(headers={**reply.headers, **more})

    provider.script = script
    answer = call(gateway, {"model": model, "messages": HELLO, "stream": how == "streamed"})
    assert {name: answer.headers.get(name) for name in TOLD} == TOLD
    assert answer.headers["x-provider-request-id"] == "req_of_theirs"
    assert answer.headers["x-request-id"] != "req_of_theirs"
    assert not {"set-cookie", "openai-organization"} & answer.headers.keys()
    assert how != "refused" or answer.headers["retry-after"] == "7"


OVERFLOWS = [
    (
        400,
        {
            "error": {
                "message": "This model's maximum context length is 8192 tokens. However, you requested 9000.",
                "code": None,
            }
        },
    ),
    (
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"},
        },
    ),
    (
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
            },
        },
    ),
    (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
    ),
    (
        400,
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
            "code": 3051,
        },
    ),
    (
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
            }
        },
    ),
    (
        413,
        {
            "error": {
                "code": "tokens_limit_reached",
                "message": "Request body too large for the model. Max size: 8000 tokens.",
            }
        },
    ),
    (400, {"error": {"message": "The input (9000 tokens) is longer than the model's context length (8192 tokens)."}}),
    (400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081"}),
    (400, {"error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens."}),
    (400, {"message": "Input is too long for requested model."}),
    (
        422,
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000",
            "error_type": "validation",
        },
    ),
    (
        400,
        {
            "error": {
                "message": "Please reduce the length of the messages or completion.",
                "code": "context_length_exceeded",
            }
        },
    ),
    (500, {"error": "input length exceeds maximum context length"}),
]


@pytest.mark.parametrize(("status", "error"), OVERFLOWS)
def test_a_prompt_too_long_has_openais_code_in_all_words(gateway, provider, model, status: int, error: Any):
    provider.script = lambda body: provider.refusing(status, error)
    answer = call(gateway, {"model": model, "messages": HELLO})
    found = answer.json()["error"]
    assert (answer.status_code, found["code"]) == (400, "context_length_exceeded"), found
    assert found["type"] == "invalid_request_error"


ERRORS: list[tuple[int, Any, int, str, str, str | None]] = [
    (
        400,
        {"error": {"message": "m", "type": "invalid_request_error", "code": "bad", "param": "top_p"}},
        400,
        "invalid_request_error",
        "bad",
        "top_p",
    ),
    (
        403,
        {"error": {"message": "m", "type": "unsupported_region", "code": "no_access"}},
        403,
        "unsupported_region",
        "no_access",
        None,
    ),
    (404, {"error": {"message": "m", "type": "not_found_error"}}, 404, "not_found_error", "not_found_error", None),
    (
        400,
        [{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}],
        400,
        "provider_error",
        "INVALID_ARGUMENT",
        None,
    ),
    (
        422,
        {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "m"}]},
        422,
        "provider_error",
        "provider_refused",
        "messages.0.role",
    ),
    (
        429,
        {
            "error": {
                "message": "Request too large: exceeds the maximum tokens per minute",
                "code": "rate_limit_exceeded",
            }
        },
        429,
        "provider_error",
        "rate_limit_exceeded",
        None,
    ),
    (
        400,
        {"object": "error", "message": "m", "type": "invalid_model", "code": 1500},
        400,
        "invalid_model",
        "1500",
        None,
    ),
]


@pytest.mark.parametrize(("status", "error", "shown", "kind", "code", "param"), ERRORS)
def test_an_error_keeps_the_providers_type_code_and_param(
    gateway, provider, model, status, error, shown, kind, code, param
):
    provider.script = lambda body: provider.refusing(status, error)
    answer = call(gateway, {"model": model, "messages": HELLO})
    found = answer.json()["error"]
    assert (answer.status_code, found["type"], found["code"], found["param"]) == (shown, kind, code, param)


# ------------------------------------------------------------------------------------------------ silence


def register(http: Any, endpoint: str) -> None:
    """Register the model default/far at an endpoint."""
    body = {"key": "far", "provider": "open_ai", "endpoint": endpoint, "project": "default"}
    http.post("/api/v1/models", json=body).raise_for_status()


def lines_of(server: Any) -> Iterator[str]:
    body = {"model": "default/far", "messages": HELLO, "stream": True}
    with server.client() as http, http.stream("POST", "/api/v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200, answer.read()
        yield from (line for line in answer.iter_lines() if line)


@pytest.mark.parametrize("when", ["before its head", "before the first word", "between two words"])
def test_a_silent_stream_sends_comments(new_server, provider, when: str):
    server = new_server("--stream-head-delay", "1", "--stream-comment-interval", "1")
    more = Event()

    def script(body: dict[str, Any]) -> Any:
        if when == "before its head":
            more.wait(30)
        parts: list[bytes | Event] = provider.events()
        parts.insert(0 if when == "before the first word" else 1, more)
        return provider.Reply(200, {"Content-Type": "text/event-stream"}, parts)

    provider.script = script
    with server.client() as http:
        register(http, f"http://127.0.0.1:{provider.port}")
    lines = lines_of(server)
    seen = [next(lines)]
    while seen[-2:] != [": waiting"] * 2:
        seen.append(next(lines))
    more.set()
    seen += lines
    assert seen[-1] == "data: [DONE]"
    words = [json.loads(line[6:]) for line in seen[:-1] if line.startswith("data: ")]
    assert "".join(one["choices"][0]["delta"].get("content") or "" for one in words) == "Good day"


def test_an_error_after_the_head_is_the_last_event(new_server, provider):
    server = new_server("--stream-head-delay", "1")
    more = Event()

    def script(body: dict[str, Any]) -> Any:
        more.wait(30)
        return provider.refusing(500, {"error": {"message": "It fell over.", "code": "fell_over"}})

    provider.script = script
    with server.client() as http:
        register(http, f"http://127.0.0.1:{provider.port}")
        lines = lines_of(server)
        assert next(lines) == ": waiting"
        # It is on disk before its head has left.
        query = {"project": "default", "state": "open"}
        assert len(http.get("/api/v1/interactions", params=query).json()["interactions"]) == 1
        more.set()
        *_, last = lines
        assert json.loads(last[6:])["error"]["code"] == "fell_over"


# ------------------------------------------------------------------------------------------------ proxies


@pytest.mark.parametrize(
    ("variables", "goes"),
    [
        ({"HTTP_PROXY": "http://ann:s%40cret@127.0.0.1:{port}"}, "through"),
        ({"http_proxy": "127.0.0.1:{port}", "HTTP_PROXY": "http://127.0.0.1:9"}, "through"),
        ({"ALL_PROXY": "http://127.0.0.1:{port}", "NO_PROXY": "other.invalid,10.0.0.0/8,far.invalid:81"}, "through"),
        ({"HTTP_PROXY": "http://127.0.0.1:{port}", "NO_PROXY": "far.invalid"}, "past"),
        ({"HTTP_PROXY": "http://ann:s%40cret@127.0.0.1:9"}, "to a proxy that is not there"),
        ({"HTTP_PROXY": "socks5://127.0.0.1:9"}, "to a proxy of another kind"),
    ],
)
def test_the_environments_proxy_is_used(new_server, provider, variables: dict[str, str], goes: str):
    unset = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"), "")
    given = {name: value.replace("{port}", str(provider.port)) for name, value in variables.items()}
    server = new_server(**{**unset, **given})
    with server.client() as http:
        register(http, "http://far.invalid/v1")
        answer = http.post("/api/v1/chat/completions", json={"model": "default/far", "messages": HELLO})
    if goes == "through":
        assert answer.status_code == 200, answer.text
        assert provider.paths == ["http://far.invalid/v1/chat/completions"]
        credentials = "Basic " + base64.b64encode(b"ann:s@cret").decode() if "@" in str(variables) else None
        assert provider.headers[0].get("proxy-authorization") == credentials
    else:
        assert answer.status_code == 502
        assert not provider.paths
        assert ("proxy" in answer.json()["error"]["message"]) == (goes != "past")
        assert "cret" not in answer.text
