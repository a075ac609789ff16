"""Models of Anthropic, called as OpenAI's: what they get, and what comes back."""

from __future__ import annotations

from typing import Any

import pytest

PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Weather", "parameters": PARAMETERS}}]


def sent(gateway: Any, marker: str) -> dict[str, Any]:
    """Return the request that the provider got."""
    [seen] = gateway.upstream.seen(marker)
    assert seen["path"] == "/v1/messages"
    assert seen["headers"]["x-api-key"] == "sk-of-the-provider"
    assert seen["headers"]["anthropic-version"] == "2023-06-01"
    return seen["body"]


def test_an_answer_plain_and_streamed_is_in_openais_form(gateway):
    model = gateway.model(provider="anthropic")
    whole = gateway.ask(model).raise_for_status().json()
    assert whole["object"] == "chat.completion"
    assert whole["usage"]["prompt_tokens"] == 14
    assert whole["usage"]["prompt_tokens_details"]["cached_tokens"] == 4
    [choice] = whole["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("You said: Hello there", "stop")
    chunks, done = gateway.stream(model, stream_options={"include_usage": True})
    assert done
    said = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
    assert said.strip() == "You said: Hello there"
    assert chunks[-1]["usage"]["total_tokens"] == 19
    for one in (choice["completion_id"], chunks[0]["choices"][0]["completion_id"]):
        logged = gateway.logged(one)
        assert logged["completion"].strip() == "You said: Hello there"
        assert logged["call"]["finish_reason"] == "stop"
        assert logged["usage"]["completion_tokens"] == 5


def test_conversation_with_tools_images_and_system_prompt_is_translated(gateway):
    call = {"id": "t1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'}}
    image = {"type": "image_url", "image_url": f"data:image/gif;base64,{PIXEL}"}
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "tools-to-anthropic"}, image]},
        {"role": "assistant", "content": "Let me look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "Rain"},
        {"role": "user", "content": "And then?"},
    ]
    body = {
        "model": gateway.model(provider="anthropic"),
        "messages": messages,
        "tools": TOOLS,
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "stop": "END",
        "temperature": 0.5,
        "seed": 7,
        "max_completion_tokens": 99,
    }
    gateway.http.post("/api/v1/chat/completions", json=body).raise_for_status()
    request = sent(gateway, "tools-to-anthropic")
    assert request["system"] == [{"type": "text", "text": "Be kind."}]
    assert request["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "tools-to-anthropic"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": PIXEL}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Paris"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "Rain"}]},
                {"type": "text", "text": "And then?"},
            ],
        },
    ]
    assert request["tools"] == [{"name": "get_weather", "description": "Weather", "input_schema": PARAMETERS}]
    assert request["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert request["stop_sequences"] == ["END"]
    assert (request["temperature"], request["max_tokens"]) == (0.5, 99)
    assert "seed" not in request


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_tool_calls_come_back_as_openais(gateway, streamed: bool):
    model = gateway.model("tools", provider="anthropic")
    if streamed:
        chunks, _ = gateway.stream(model, tools=TOOLS)
        completion_id = chunks[0]["choices"][0]["completion_id"]
    else:
        completion_id = gateway.ask(model, tools=TOOLS).json()["choices"][0]["completion_id"]
    logged = gateway.logged(completion_id)
    [call] = logged["message"]["tool_calls"]
    assert (call["id"], call["type"], call["function"]["name"]) == ("toolu_1", "function", "get_weather")
    assert call["function"]["arguments"].replace(" ", "") == '{"city":"Paris"}'
    assert logged["call"]["finish_reason"] == "tool_calls"


def test_reasoning_effort_requests_thinking_and_sends_signature_back(gateway):
    model = gateway.model(provider="anthropic", external_model_id="good:claude-sonnet-4-5")
    chunks, _ = gateway.stream(model, "thinking-one", reasoning_effort="low", max_tokens=100)
    request = sent(gateway, "thinking-one")
    assert request["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert request["max_tokens"] == 2148
    message = gateway.logged(chunks[0]["choices"][0]["completion_id"])["message"]
    assert message["reasoning_content"] == "Let me think."
    assert message["thinking_blocks"] == [{"type": "thinking", "thinking": "Let me think.", "signature": "sig"}]
    messages = [{"role": "user", "content": "x"}, message, {"role": "user", "content": "thinking-two"}]
    gateway.http.post("/api/v1/chat/completions", json={"model": model, "messages": messages}).raise_for_status()
    assert sent(gateway, "thinking-two")["messages"][1]["content"][0] == message["thinking_blocks"][0]


def test_schemas_and_several_choices_are_asked_for_its_way(gateway):
    model = gateway.model(provider="anthropic")
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": PARAMETERS}}
    answer = gateway.ask(model, "schema-to-anthropic", response_format=form, n=1).raise_for_status()
    assert answer.json()["choices"]
    request = sent(gateway, "schema-to-anthropic")
    assert request["output_config"] == {"format": {"type": "json_schema", "schema": PARAMETERS}}
    three = gateway.ask(model, n=3).raise_for_status().json()
    assert [choice["index"] for choice in three["choices"]] == [0, 1, 2]
    assert len({choice["completion_id"] for choice in three["choices"]}) == 3
    assert three["usage"]["completion_tokens"] == 15


def test_failures_are_told_as_those_of_other_providers(gateway):
    busy = gateway.ask(gateway.model("error-529", provider="anthropic"))
    assert (busy.status_code, busy.json()["error"]["code"]) == (503, "overloaded_error")
    chunks, done = gateway.stream(gateway.model("error-in-stream", provider="anthropic"))
    assert not done
    assert "Overloaded" in chunks[-1]["error"]["message"]
    chunks, done = gateway.stream(gateway.model("cut-after-1", provider="anthropic"))
    assert not done
    assert chunks[-1]["error"]["code"] == "provider_hung_up"
    none = gateway.http.post("/api/v1/embeddings", json={"model": gateway.model(provider="anthropic"), "input": "x"})
    assert (none.status_code, none.json()["error"]["code"]) == (400, "unsupported")


def test_old_completions_are_translated_too(gateway):
    body = {"model": gateway.model(provider="anthropic"), "prompt": "Once"}
    answer = gateway.http.post("/api/v1/completions", json=body).raise_for_status().json()
    assert answer["choices"][0]["text"] == "You said: Once"


# ------------------------------------------------------------------------------------------------ generations of Claude

GENERATIONS = {
    "claude-3-5-haiku-20241022": None,
    "claude-3-7-sonnet-20250219": "enabled",
    "claude-sonnet-4-20250514": "enabled",
    "claude-opus-4-5-20251101": "enabled",
    "claude-sonnet-4-6": "adaptive",
    "claude-opus-4-7": "adaptive",
    "claude-sonnet-5": "adaptive",
}
LOOKED_UP = {"id": "call|1", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
CONTINUED = [
    {"role": "user", "content": "Weather?"},
    {"role": "assistant", "content": None, "tool_calls": [LOOKED_UP]},
    {"role": "tool", "tool_call_id": "call|1", "content": "Rain"},
]
BODIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "within a bound": {"max_completion_tokens": 3000},
    "within a tight bound": {"max_completion_tokens": 200},
    "with sampling": {"temperature": 0.2, "top_p": 0.9, "top_k": 5},
    "with a forced tool": {"tools": TOOLS, "tool_choice": "required"},
    "in the middle of a turn": {"messages": CONTINUED, "tools": TOOLS},
    "with all of OpenAI's fields": {
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "safety_identifier": "s",
        "logit_bias": {"1": 1},
        "verbosity": "low",
        "seed": 1,
        "service_tier": "flex",
        "a_field_of_next_year": True,
    },
}


@pytest.mark.parametrize("effort", ["none", "minimal", "low", "high", "xhigh"])
@pytest.mark.parametrize("name", GENERATIONS)
def test_every_effort_is_accepted_by_every_generation_of_claude(gateway, name: str, effort: str):
    model = gateway.model(provider="anthropic", external_model_id=f"good:{name}")
    for about, more in BODIES.items():
        gateway.upstream.forget()
        answer = gateway.ask(model, "which effort", **{"reasoning_effort": effort, **more})
        assert answer.status_code == 200, (about, answer.text)
        [request] = [seen["body"] for seen in gateway.upstream.seen(name)]
        kind = (request.get("thinking") or {}).get("type")
        if about == "plain":
            assert kind == (None if effort == "none" else GENERATIONS[name])
        assert request["max_tokens"] <= more.get("max_completion_tokens", request["max_tokens"])


@pytest.mark.parametrize(
    ("name", "effort", "thinking", "level"),
    [
        ("claude-sonnet-4-5", "medium", {"type": "enabled", "budget_tokens": 8192}, None),
        ("claude-opus-4-6", "minimal", {"type": "adaptive"}, "low"),
        ("claude-opus-4-6", "xhigh", {"type": "adaptive"}, "high"),
        ("claude-opus-4-8", "xhigh", {"type": "adaptive", "display": "summarized"}, "xhigh"),
        ("a-name-that-tells-no-version", "high", {"type": "adaptive", "display": "summarized"}, "high"),
    ],
)
def test_effort_becomes_a_budget_or_adaptive_thinking(gateway, name, effort, thinking, level):
    model = gateway.model(provider="anthropic", external_model_id=f"good:{name}")
    gateway.ask(model, "effort-of-the-model", reasoning_effort=effort).raise_for_status()
    request = sent(gateway, "effort-of-the-model")
    assert request["thinking"] == thinking
    assert request.get("output_config", {}).get("effort") == level


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_the_answer_names_the_fields_that_were_left_out(gateway, streamed: bool):
    model = gateway.model(provider="anthropic", external_model_id="good:claude-opus-4-7")
    messages = [{"role": "user", "content": "hello"}]
    more = {"seed": 1, "prompt_cache_key": "k", "temperature": 0.3}
    body = {"model": model, "messages": messages, "stream": streamed, **more}
    answer = gateway.http.post("/api/v1/chat/completions", json=body).raise_for_status()
    assert answer.headers["x-afterword-left-out"] == "seed, prompt_cache_key, temperature"
    plain = gateway.ask(model)
    assert "x-afterword-left-out" not in plain.headers
