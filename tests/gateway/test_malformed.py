"""Requests that nobody can answer: their caller's mistake, or the provider's matter; never a failure of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

ASKED = {"role": "user", "content": "Hello there"}
REQUESTS: dict[str, dict[str, Any]] = {
    "a text part without its text": {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
    "a text part of a number": {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
    "an image without its address": {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
    "a file that is a text": {"messages": [{"role": "user", "content": [{"type": "file", "file": "x"}]}]},
    "a tool call that is a text": {"messages": [ASKED, {"role": "assistant", "tool_calls": ["x"]}, ASKED]},
    "tool calls that are an object": {"messages": [ASKED, {"role": "assistant", "tool_calls": {"a": 1}}, ASKED]},
    "a tool call of nothing": {"messages": [ASKED, {"role": "assistant", "tool_calls": [{}]}, ASKED]},
    "a tool's answer to nothing": {"messages": [ASKED, {"role": "tool", "content": "x"}]},
    "thoughts that are a text": {"messages": [ASKED, {"role": "assistant", "thinking_blocks": "x"}, ASKED]},
    "no question": {"messages": [{"role": "system", "content": "Be kind."}]},
    "an unknown role": {"messages": [{"role": "metadata", "content": "x"}, ASKED]},
    "a tool that is a text": {"messages": [ASKED], "tools": ["x"]},
    "tools that are an object": {"messages": [ASKED], "tools": {"a": 1}},
    "a function of no name": {"messages": [ASKED], "tools": [{"type": "function"}]},
    "a choice of tool that is a number": {"messages": [ASKED], "tool_choice": 5},
    "a choice of no function": {"messages": [ASKED], "tool_choice": {"type": "function", "function": "x"}},
    "a form that is a text": {"messages": [ASKED], "response_format": "json"},
    "a schema that is a number": {
        "messages": [ASKED],
        "response_format": {"type": "json_schema", "json_schema": 5},
    },
    "a stop that is a number": {"messages": [ASKED], "stop": 5},
    "an effort that is a number": {"messages": [ASKED], "reasoning_effort": 5},
    "an effort and a bound that is a text": {"messages": [ASKED], "reasoning_effort": "low", "max_tokens": "x"},
    "a temperature that is a text": {"messages": [ASKED], "temperature": "hot"},
    "options of a wrong kind": {"messages": [ASKED], "stream_options": {"include_usage": "yes"}},
}


@pytest.mark.parametrize("provider", ["open_ai", "anthropic", "echo"])
@pytest.mark.parametrize("what", REQUESTS)
def test_what_is_malformed_is_the_callers_mistake_or_the_providers_matter(gateway, what: str, provider: str):
    model = gateway.model(provider=provider)
    for streamed in (False, True):
        before = gateway.count()
        answer = gateway.http.post(
            "/api/v1/chat/completions", json={"model": model, **REQUESTS[what], "stream": streamed}
        )
        assert answer.status_code < 500, answer.text
        assert '"error":{' not in answer.text or answer.status_code != 200
        if answer.status_code == 200:
            assert gateway.count() == before + 1


@pytest.mark.parametrize("provider", ["open_ai", "echo"])
@pytest.mark.parametrize("asked", [5, None, [], [None], [[1, 2]], {"a": 1}, ["a", 5]], ids=json.dumps)
def test_whatever_is_to_be_embedded_no_failure_is_ours(gateway, asked: Any, provider: str):
    model = gateway.model(provider=provider)
    answer = gateway.http.post("/api/v1/embeddings", json={"model": model, "input": asked})
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize("asked", ["", [1, 2], [[1, 2], [3]], ["a", "b"]], ids=json.dumps)
def test_old_completions_have_an_interaction_for_each_choice(gateway, asked: Any):
    for provider in ("open_ai", "echo"):
        model = gateway.model(provider=provider)
        before = gateway.count()
        answer = gateway.http.post("/api/v1/completions", json={"model": model, "prompt": asked}).raise_for_status()
        choices = answer.json()["choices"]
        assert gateway.count() == before + len(choices)
        for choice in choices:
            assert gateway.logged(choice["completion_id"])["completion"] == choice["text"]
