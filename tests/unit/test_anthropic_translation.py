"""Anthropic's forms and OpenAI's: what is marked for caching, and what the provider's own tools bring."""

from __future__ import annotations

import json
from typing import Any

import pytest

from afterword.gateway.accumulator import MessageAccumulator
from afterword.gateway.call_format import FormatEvent
from afterword.gateway.formats.messages.chat_answers import StreamTranslation, chat_completion
from afterword.gateway.providers.anthropic_requests import messages_request, version_of
from afterword.types import Target

TARGET = Target(provider="anthropic", key="claude", model="claude-sonnet-4-6")
MARK = {"type": "ephemeral", "ttl": "1h"}
PAGE = {
    "type": "web_search_result_location",
    "url": "https://birds.example/heron",
    "title": "Heron",
    "cited_text": "H.",
}
PASSAGE = {"type": "char_location", "document_index": 0, "document_title": "Birds", "cited_text": "Waders."}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "heron"}}
RESULT = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "note", "input": {"bird": "heron"}}
CALL_WITHOUT_ARGUMENTS = {"type": "tool_use", "id": "toolu_2", "name": "stop", "input": {}}
THOUGHT = {"type": "thinking", "thinking": "Let me look.", "signature": "sig"}
UNSHOWN_THOUGHT = {"type": "thinking", "thinking": "", "signature": "sig"}
HIDDEN_THOUGHT = {"type": "redacted_thinking", "data": "x"}
COMPACTION = {"type": "compaction", "content": "They spoke of herons."}


def request(messages: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return messages_request(TARGET, {"messages": messages, **more}).body


# ------------------------------------------------------------------------------------------------ requests

FUNCTION = {"name": "look", "parameters": {"type": "object", "properties": {}}}
LOOKED = {"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("messages", "tools", "path"),
    [
        ([{"role": "system", "content": "long", "cache_control": MARK}], [], ("system", -1)),
        ([{"role": "system", "content": [{"type": "text", "text": "a", "cache_control": MARK}]}], [], ("system", 0)),
        ([{"role": "user", "content": "hi", "cache_control": MARK}], [], ("messages", 0, "content", -1)),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": "https://a/b.png", "cache_control": MARK}],
                }
            ],
            [],
            ("messages", 0, "content", 0),
        ),
        (
            [{"role": "tool", "tool_call_id": "t1", "content": "x", "cache_control": MARK}],
            [],
            ("messages", 0, "content", 0),
        ),
        (
            [{"role": "assistant", "content": None, "tool_calls": [LOOKED], "cache_control": MARK}],
            [],
            ("messages", 0, "content", -1),
        ),
        ([], [{"type": "function", "function": FUNCTION, "cache_control": MARK}], ("tools", 0)),
        ([], [{"type": "function", "function": {**FUNCTION, "cache_control": MARK}}], ("tools", 0)),
    ],
)
def test_cache_marks_reach_anthropic_wherever_they_stand(messages, tools, path):
    found: Any = request(messages, tools=tools)
    for step in path:
        found = found[step]
    assert found["cache_control"] == MARK


def test_a_cache_mark_never_lands_on_a_thought():
    message = {"role": "assistant", "content": "Yes.", "thinking_blocks": [THOUGHT], "cache_control": MARK}
    thought, text = request([message])["messages"][0]["content"]
    assert thought == THOUGHT
    assert text["cache_control"] == MARK


def test_thoughts_and_ids_of_other_providers_are_made_acceptable():
    messages = [
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Wait."}],
            "thinking_blocks": [{"type": "thinking", "thinking": "unsigned"}, HIDDEN_THOUGHT],
            "tool_calls": [{"id": "a|b", "function": {"name": "f", "arguments": "[1]"}}],
        },
        {"role": "tool", "tool_call_id": "a|b", "content": ""},
    ]
    answer, result = request(messages)["messages"]
    assert answer["content"] == [
        HIDDEN_THOUGHT,
        {"type": "text", "text": "Wait."},
        {"type": "tool_use", "id": "a_b", "name": "f", "input": {"arguments": "[1]"}},
    ]
    assert result["content"] == [{"type": "tool_result", "tool_use_id": "a_b"}]


def test_thoughts_come_back_from_where_litellm_moves_them():
    moved = {"thinking_blocks": [THOUGHT], "provider_blocks": [SEARCH]}
    message = {"role": "assistant", "content": "Yes.", "provider_specific_fields": moved}
    body = request([message])
    assert body["messages"][0]["content"] == [THOUGHT, SEARCH, {"type": "text", "text": "Yes."}]


@pytest.mark.parametrize(
    ("field", "value"),
    [("reasoning", {"max_tokens": 2000}), ("reasoning", {"enabled": True}), ("reasoning_effort", "huge")],
)
def test_reasoning_that_has_no_counterpart_is_named_as_left_out(field: str, value: object):
    body, left_out = messages_request(TARGET, {"messages": [{"role": "user", "content": "?"}], field: value})
    assert "thinking" not in body
    assert left_out == [field]


def test_images_are_sent_under_the_type_that_they_have():
    part = {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,iVBORw0KGgo="}}
    [block] = request([{"role": "user", "content": [part]}])["messages"][0]["content"]
    assert block["source"]["media_type"] == "image/png"


def test_a_models_own_parameters_are_translated_or_laid_over():
    target = Target(
        provider="anthropic",
        key="claude",
        model="claude-sonnet-4-5",
        parameters={"reasoning_effort": "low", "top_k": None, "a_beta_field": 1, "max_tokens": 500},
    )
    body, left_out = messages_request(target, {"messages": [{"role": "user", "content": "x"}], "top_k": 3})
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert (body["max_tokens"], body["a_beta_field"]) == (2548, 1)
    assert "top_k" not in body
    assert not left_out


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("claude-3-opus-20240229", (3, 0)),
        ("claude-3-7-sonnet-latest", (3, 7)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-haiku-4-5@20251001", (4, 5)),
        ("anthropic.claude-opus-4-6-v1", (4, 6)),
        ("claude-4.7-opus", (4, 7)),
        ("claude-fable-5", (5, 0)),
        ("my-own-deployment", None),
    ],
)
def test_the_name_of_a_model_tells_its_version(model, version):
    assert version_of(model) == version


# ------------------------------------------------------------------------------------------------ answers

ANSWERS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "a call without arguments": (
        [CALL_WITHOUT_ARGUMENTS],
        {"content": "", "tool_calls": [("toolu_2", "stop", {})]},
    ),
    "a search of the provider's beside a call of the caller's": (
        [SEARCH, RESULT, {"type": "text", "text": "Herons wade.", "citations": [PAGE]}, CALL],
        {
            "content": "Herons wade.",
            "tool_calls": [("toolu_1", "note", {"bird": "heron"})],
            "provider_blocks": [SEARCH, RESULT],
            "urls": ["https://birds.example/heron"],
            "spans": [(0, 12)],
        },
    ),
    "sources of the second of two texts": (
        [{"type": "text", "text": "So: "}, {"type": "text", "text": "waders.", "citations": [PAGE, PASSAGE]}],
        {"content": "So: waders.", "urls": ["https://birds.example/heron"], "spans": [(4, 11), (4, 11)]},
    ),
    "thoughts, open and hidden": (
        [THOUGHT, HIDDEN_THOUGHT, {"type": "text", "text": "Yes."}],
        {"content": "Yes.", "reasoning_content": "Let me look.", "thinking_blocks": [THOUGHT, HIDDEN_THOUGHT]},
    ),
    "a thought that is not shown": (
        [UNSHOWN_THOUGHT, {"type": "text", "text": "Yes."}],
        {"content": "Yes.", "thinking_blocks": [UNSHOWN_THOUGHT]},
    ),
    "a compaction, which comes in pieces of its own kind": (
        [COMPACTION, {"type": "text", "text": "Yes."}],
        {"content": "Yes.", "provider_blocks": [COMPACTION]},
    ),
}


def streamed(blocks: list[dict[str, Any]], *, at_start: bool) -> list[dict[str, Any]]:
    """Return the events of a stream: each block whole at its start, or empty and then in pieces."""
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 3}}}]
    for index, block in enumerate(blocks):
        deltas: list[dict[str, Any]] = []
        start = block
        if not at_start and "input" in block:
            start = {**block, "input": {}}
            text = json.dumps(block["input"]) if block["input"] else ""
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", text[:3], text[3:])]
        elif not at_start and block["type"] == "text":
            start = {"type": "text", "text": ""}
            deltas = [{"type": "citations_delta", "citation": one} for one in block.get("citations", ())]
            deltas += [{"type": "text_delta", "text": piece} for piece in (block["text"][:2], block["text"][2:])]
        elif not at_start and block["type"] == "compaction":
            start = {"type": "compaction", "content": None}
            pieces = block["content"][:5], block["content"][5:]
            deltas = [{"type": "compaction_delta", "content": piece} for piece in pieces]
        elif not at_start and block["type"] == "thinking":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                *(
                    {"type": "thinking_delta", "thinking": piece}
                    for piece in (block["thinking"][:5], block["thinking"][5:])
                    if piece
                ),
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    end = {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}, "usage": {"output_tokens": 4}}
    return [*events, end, {"type": "message_stop"}]


def check(message: dict[str, Any], expected: dict[str, Any]) -> None:
    assert (message.get("content") or "") == expected["content"]
    calls = [
        (one["id"], one["function"]["name"], json.loads(one["function"]["arguments"]))
        for one in message.get("tool_calls", ())
    ]
    assert calls == expected.get("tool_calls", [])
    assert message.get("provider_blocks", []) == expected.get("provider_blocks", [])
    assert message.get("thinking_blocks", []) == expected.get("thinking_blocks", [])
    assert message.get("reasoning_content", "") == expected.get("reasoning_content", "")
    annotations = message.get("annotations", [])
    assert [one["url_citation"]["url"] for one in annotations if "url_citation" in one] == expected.get("urls", [])
    spans = [(one[one["type"]]["start_index"], one[one["type"]]["end_index"]) for one in annotations]
    assert spans == expected.get("spans", [])


@pytest.mark.parametrize("name", ANSWERS)
def test_a_whole_answer_keeps_calls_sources_and_thoughts(name):
    blocks, expected = ANSWERS[name]
    usage = {"input_tokens": 3, "output_tokens": 4, "server_tool_use": {"web_search_requests": 1}}
    message = {"id": "msg_1", "content": blocks, "stop_reason": "pause_turn", "usage": usage}
    answer = chat_completion(message, "chat")
    check(answer["choices"][0]["message"], expected)
    assert (answer["choices"][0]["finish_reason"], answer["choices"][0]["stop_reason"]) == ("stop", "pause_turn")
    assert answer["usage"]["server_tool_use"] == {"web_search_requests": 1}


@pytest.mark.parametrize("at_start", [False, True], ids=["in pieces", "whole at the start"])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_streamed_answer_is_put_together_as_the_whole_one(name, at_start):
    blocks, expected = ANSWERS[name]
    translation = StreamTranslation("chat")
    said = MessageAccumulator()
    for event in streamed(blocks, at_start=at_start):
        for chunk in translation.take(FormatEvent("", json.loads(json.dumps(event)))):
            for choice in chunk["choices"]:
                said.take(choice)
    check(said.message() or {"content": said.text}, expected)
    assert said.finish_reason == "stop"
    assert translation.is_finished
