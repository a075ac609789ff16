"""Calls in the form of Anthropic's Messages API: passed on to models of Anthropic's, translated for all others."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

MESSAGES = "/api/v1/messages"
PROVIDERS = ["anthropic", "open_ai"]
SEARCH_TOOL = {"type": "web_search_20250305", "name": "web_search"}
MARK = {"type": "ephemeral"}


def ask(gateway: Any, model: str, content: Any = "Hello there", headers: Any = None, **fields: Any) -> httpx.Response:
    body = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": content}], **fields}
    return gateway.http.post(MESSAGES, json=body, headers=headers)


def stream(gateway: Any, model: str, **fields: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of a streamed call, each with its name."""
    content = [{"role": "user", "content": "Hello there"}]
    body = {"model": model, "max_tokens": 64, "messages": content, "stream": True, **fields}
    events, name = [], ""
    with gateway.http.stream("POST", MESSAGES, json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                event = json.loads(line[6:])
                assert event["type"] == name
                events.append((name, event))
    return events


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_message_is_an_interaction_under_the_id_that_it_carries(gateway, provider: str):
    answer = ask(gateway, gateway.model(provider=provider), labels={"app": "shop"}, session_id="s-1").raise_for_status()
    message = answer.json()
    assert message["id"] == f"msg_{message['completion_id']}"
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    row = gateway.logged(message["id"])
    assert row["completion_id"] == message["completion_id"]
    assert row["completion"].strip() == message["content"][0]["text"].strip() == "You said: Hello there"
    assert (row["labels"], row["session"], row["session_id"]) == ({"app": "shop"}, "s-1", message["session_id"])
    assert row["messages"] == [{"role": "user", "content": "Hello there"}]
    assert row["parameters"]["max_tokens"] == 64
    assert (row["call"]["state"], row["call"]["finish_reason"]) == ("complete", "stop")
    assert row["call"]["response_id"] == ("msg_up" if provider == "anthropic" else "chatcmpl-up")
    assert row["usage"]["total_tokens"] == (19 if provider == "anthropic" else 18)


def test_a_call_reaches_anthropic_unchanged(gateway):
    tools = [{"name": "look", "input_schema": {"type": "object"}, "cache_control": MARK}, SEARCH_TOOL]
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    body = {
        "system": [{"type": "text", "text": "Be kind.", "cache_control": MARK}],
        "messages": [
            {"role": "user", "content": "unchanged"},
            {"role": "assistant", "content": [thought, search, found, {"type": "text", "text": "Yes."}]},
            {"role": "user", "content": [{"type": "text", "text": "And?", "cache_control": MARK}]},
        ],
        "tools": tools,
        "metadata": {"user_id": "ann"},
        "context_management": {"edits": []},
        "top_k": 5,
        "max_tokens": 64,
    }
    own = {"labels": {"app": "shop"}, "session_id": "s-1", "user": "bob"}
    headers = {"anthropic-version": "2024-01-01", "anthropic-beta": "context-management-2025-06-27"}
    call = {"model": gateway.model(provider="anthropic"), **body, **own}
    message = gateway.http.post(MESSAGES, json=call, headers=headers).raise_for_status().json()
    [seen] = gateway.upstream.seen("unchanged")
    assert {name: seen["headers"][name] for name in headers} == headers
    assert seen["headers"]["x-api-key"] == "sk-of-the-provider"
    assert seen["body"] == {**body, "model": gateway.external[0]}
    row = gateway.logged(message["id"])
    assert (row["user"], row["labels"]) == ("bob", {"app": "shop"})
    assert [one["role"] for one in row["messages"]] == ["system", "user", "assistant", "user"]
    assert row["messages"][2]["thinking_blocks"] == [thought]
    assert row["messages"][2]["provider_blocks"] == [search, found]


def test_a_models_own_parameters_reach_anthropic_in_its_words(gateway):
    parameters = {"stop": "END", "temperature": 0.5, "max_tokens": 7, "top_k": None}
    ask(
        gateway, gateway.model(provider="anthropic", extra_params=parameters), "in its words", top_k=3
    ).raise_for_status()
    [seen] = gateway.upstream.seen("in its words")
    assert seen["body"]["stop_sequences"] == ["END"]
    assert (seen["body"]["temperature"], seen["body"]["max_tokens"]) == (0.5, 7)
    assert not {"stop", "top_k"} & seen["body"].keys()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_events_of_a_stream_come_in_anthropics_order(gateway, provider: str):
    events = stream(gateway, gateway.model(provider=provider))
    names = [name for name, _ in events if name != "content_block_delta"]
    assert names == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    message = events[0][1]["message"]
    assert message["id"] == f"msg_{message['completion_id']}"
    text = "".join(event["delta"]["text"] for name, event in events if name == "content_block_delta")
    assert text.strip() == "You said: Hello there"
    end = events[-2][1]
    assert (end["delta"]["stop_reason"], end["usage"]["output_tokens"]) == (
        "end_turn",
        5 if provider == "anthropic" else 7,
    )
    row = gateway.logged(message["id"])
    assert (row["completion"], row["call"]["state"]) == (text, "complete")
    assert row["usage"]["completion_tokens"] == end["usage"]["output_tokens"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_provider_of_chat_gets_a_call_of_chat(gateway, streamed: bool):
    fields = {
        "system": "Be kind.",
        "stop_sequences": ["END"],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "context_management": {"edits": []},
        "tools": [{"name": "get_weather", "input_schema": {"type": "object"}, "cache_control": MARK}],
        "tool_choice": {"type": "any"},
    }
    answer = ask(gateway, gateway.model("strict-tools"), "translated to chat", **fields, stream=streamed)
    assert answer.raise_for_status().headers["x-afterword-left-out"] == "context_management"
    assert "tool_use" in answer.text
    [seen] = gateway.upstream.seen("translated to chat")
    assert seen["path"] == "/v1/chat/completions"
    sent = {name: value for name, value in seen["body"].items() if name not in ("model", "stream", "stream_options")}
    assert sent == {
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "translated to chat"}],
        "max_tokens": 64,
        "stop": ["END"],
        "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}],
        "tool_choice": "required",
    }
    row = gateway.newest()
    assert row["parameters"]["tools"][0]["cache_control"] == MARK
    assert row["parameters"]["context_management"] == {"edits": []}


def test_what_only_anthropic_can_do_is_refused_and_logged_as_failed(gateway):
    answer = ask(gateway, gateway.model(), tools=[SEARCH_TOOL])
    error = answer.json()
    assert (answer.status_code, error["type"], error["error"]["type"]) == (400, "error", "invalid_request_error")
    assert error["error"]["param"] == "tools[0]"
    assert "web_search_20250305" in error["error"]["message"]
    assert gateway.newest()["call"]["state"] == "failed"


def test_claude_codes_session_is_the_calls_session(gateway):
    session = "b4e5aaaa-9a3e-47c4-84ad-3a70f38c676e"
    ids = {"device_id": "d1", "account_uuid": "a1", "session_id": session}
    model = gateway.model(provider="anthropic")
    for user_id, user in ((json.dumps(ids), "a1"), (f"user_1_account__session_{session}", "user_1_account")):
        message = ask(gateway, model, metadata={"user_id": user_id}).raise_for_status().json()
        assert message["session_id"] == session
        assert gateway.logged(message["id"])["user"] == user


@pytest.mark.parametrize("name", ["max_tokens", "messages"])
def test_a_missing_field_is_named_in_anthropics_form(gateway, name: str):
    body = {"model": gateway.model(), "max_tokens": 9, "messages": []}
    del body[name]
    answer = gateway.http.post(MESSAGES, json=body)
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": f"{name}: Field required.",
            "code": "missing_field",
            "param": name,
            "hint": "Anthropic's Messages API requires model, max_tokens and messages.",
        },
        "request_id": answer.headers["request-id"],
    }


def test_a_call_that_is_not_stored_leaves_nothing(gateway):
    model = gateway.model(provider="anthropic")
    for fields, headers in (({"store": False}, {}), ({}, {"x-afterword-store": "false"})):
        ask(gateway, model, "secret", headers=headers, **fields).raise_for_status()
    assert gateway.count() == 0
    assert all("store" not in seen["body"] for seen in gateway.upstream.seen("secret"))


def test_a_failing_model_of_anthropic_is_stood_in_for_by_one_of_openais(gateway):
    second = gateway.model().partition("/")[2]
    model = gateway.model("error-529", provider="anthropic", fallback=second)
    message = ask(gateway, model).raise_for_status().json()
    assert message["content"][0]["text"] == "You said: Hello there"
    events = stream(gateway, model)
    assert events[-1][0] == "message_stop"
    for id_ in (message["id"], events[0][1]["message"]["id"]):
        assert gateway.logged(id_)["model"] == second


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_stand_in_that_cannot_take_the_call_does_not_hide_the_failure(gateway, streamed: bool):
    second = gateway.model().partition("/")[2]
    model = gateway.model("error-500", provider="anthropic", fallback=second)
    answer = ask(gateway, model, stream=streamed, tools=[SEARCH_TOOL])
    assert answer.status_code == 500
    assert "500" in answer.json()["error"]["message"]
    assert "web_search" not in answer.text


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_model_that_wants_max_completion_tokens_gets_them(gateway, provider, model: str, streamed: bool):
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    error = {"error": {"message": message, "param": "max_tokens", "code": "unsupported_parameter"}}
    provider.script = lambda body: provider.refusing(400, error) if "max_tokens" in body else provider.good(body)
    for _ in range(2):
        answer = ask(gateway, model, stream=streamed).raise_for_status()
        assert "x-afterword-left-out" not in answer.headers
    assert [body.get("max_completion_tokens") for body in provider.bodies] == [None, 64, 64]


def test_a_run_of_claude_code_is_a_session_unless_another_is_named(gateway):
    run, own = str(uuid4()), str(uuid4())
    body = {"model": gateway.model(), "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"x-claude-code-session-id": run}
    for more, expected in (({}, run), ({"x-afterword-session": own}, own)):
        answer = gateway.http.post(MESSAGES, json=body, headers={**headers, **more}).raise_for_status()
        assert gateway.logged(answer.json()["id"])["session_id"] == expected
    answer = gateway.http.post(MESSAGES, json={**body, "session_id": own}, headers=headers).raise_for_status()
    assert gateway.logged(answer.json()["id"])["session_id"] == own


# ------------------------------------------------------------------------------------------------ counting tokens


def test_anthropic_counts_the_tokens_of_its_models(gateway):
    messages = [{"role": "user", "content": "count these"}]
    body = {"model": gateway.model(provider="anthropic", extra_params={"temperature": 0}), "messages": messages}
    answer = gateway.http.post(f"{MESSAGES}/count_tokens", json=body).raise_for_status()
    [seen] = gateway.upstream.seen("count these")
    assert seen["path"] == "/v1/messages/count_tokens"
    assert seen["body"] == {"model": gateway.external[0], "messages": messages}
    assert answer.json() == {"input_tokens": len(json.dumps(messages))}
    assert gateway.count() == 0


def test_tokens_of_other_models_are_estimated_as_usage_is(gateway):
    body = {"messages": [{"role": "user", "content": "x" * 400}], "system": "y" * 400}
    model = gateway.model("no-usage")
    answer = gateway.http.post(f"{MESSAGES}/count_tokens", json={"model": model, **body}).raise_for_status()
    assert gateway.upstream.seen("xxx") == []
    usage = gateway.http.post(MESSAGES, json={"model": model, "max_tokens": 9, **body}).json()["usage"]
    assert answer.json() == {"input_tokens": usage["input_tokens"], "estimated": True}
    assert 200 < usage["input_tokens"] < 250
    assert gateway.count() == 1


def test_counting_tokens_refuses_as_anthropic_does(gateway):
    answer = gateway.http.post(f"{MESSAGES}/count_tokens", json={"model": gateway.model()})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "messages: Field required.")
    answer = gateway.http.post(f"{MESSAGES}/count_tokens", json={"model": f"{gateway.project}/none", "messages": []})
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_error_carries_the_id_of_its_request(gateway, provider: str):
    answer = ask(gateway, gateway.model("error-503", provider=provider))
    assert answer.status_code == 529
    assert answer.json()["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]
