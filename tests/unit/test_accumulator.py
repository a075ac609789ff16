"""What a stream said is put together as the whole answer would have had it, whichever provider cut it into pieces."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from afterword.gateway import accumulator
from afterword.gateway.accumulator import MessageAccumulator
from afterword.gateway.provider import ProviderError

Delta = dict[str, Any]


def accumulated(*deltas: Delta, finish_reason: str | None = "stop") -> MessageAccumulator:
    """Take in the deltas of one choice, and then its end."""
    message = MessageAccumulator()
    for delta in deltas:
        message.take({"index": 0, "delta": delta})
    message.take({"index": 0, "delta": {}, "finish_reason": finish_reason})
    return message


def call(id_: str | None, name: str, arguments: str, **more: Any) -> Delta:
    """Return a whole tool call, as answers that are not streamed have it."""
    head = {} if id_ is None else {"id": id_}
    return {**head, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def calls(*pieces: Delta) -> Delta:
    return {"tool_calls": list(pieces)}


def joined_by_index(pieces: list[Delta]) -> list[tuple[str, str, str]]:
    """Put calls together as OpenAI's own clients do: by the index alone, every text joined to the one before."""
    joined: list[list[str]] = []
    for piece in pieces:
        if piece["index"] == len(joined):
            joined.append(["", "", ""])
        texts = (piece.get("id"), piece["function"].get("name"), piece["function"].get("arguments"))
        for place, text in enumerate(texts):
            joined[piece["index"]][place] += text or ""
    return [(id_, name, arguments) for id_, name, arguments in joined]


ROME, LIMA = call("c1", "weather", '{"in": "Rome"}'), call("c2", "weather", '{"in": "Lima"}')

# The deltas of a stream, and the members that the whole message has beside its role.
TOOL_CALLS: dict[str, tuple[list[Delta], list[Delta]]] = {
    "OpenAI: by index, arguments in pieces": (
        [
            calls({"index": 0, **call("c1", "weather", "")}),
            calls({"index": 1, **call("c2", "weather", '{"in": ')}),
            calls({"index": 0, "function": {"arguments": '{"in": '}}),
            calls(
                {"index": 0, "function": {"arguments": '"Rome"}'}}, {"index": 1, "function": {"arguments": '"Lima"}'}}
            ),
        ],
        [ROME, LIMA],
    ),
    "indexes with a gap, from 1": (
        [
            calls({"index": 1, **call("c1", "weather", '{"in": ')}),
            calls({"index": 4, **LIMA}),
            calls({"index": 1, "function": {"arguments": '"Rome"}'}}),
        ],
        [ROME, LIMA],
    ),
    "Ollama: whole, all of index 0, in one chunk": ([calls({"index": 0, **ROME}, {"index": 0, **LIMA})], [ROME, LIMA]),
    "Gemini: whole, no index, a signature beside": (
        [calls({**ROME, "extra_content": {"google": {"thought_signature": "EjQK"}}}), calls(LIMA)],
        [{**ROME, "extra_content": {"google": {"thought_signature": "EjQK"}}}, LIMA],
    ),
    "Gemini: the signature in a chunk of its own": (
        [calls(ROME), calls({"extra_content": {"google": {"thought_signature": "EjQK"}}})],
        [{**ROME, "extra_content": {"google": {"thought_signature": "EjQK"}}}],
    ),
    "Gemini of old: whole, every id empty": (
        [
            calls({"index": 0, **call("", "weather", '{"in": "Rome"}')}),
            calls({"index": 0, **call("", "weather", "{}")}),
        ],
        [call("", "weather", '{"in": "Rome"}'), call("", "weather", "{}")],
    ),
    "no index, arguments in pieces": (
        [
            calls(call("c1", "weather", "")),
            calls({"function": {"arguments": '{"in": "Rome"}'}}),
            calls(call("c2", "weather", "")),
            calls({"function": {"arguments": '{"in": '}}),
            calls({"function": {"arguments": '"Lima"}'}}),
        ],
        [ROME, LIMA],
    ),
    "the second call begins at index 0 and goes on at 1": (
        [
            calls({"index": 0, **ROME}),
            calls({"index": 0, **call("c2", "weather", "")}),
            calls({"index": 1, "function": {"arguments": '{"in": "Lima"}'}}),
        ],
        [ROME, LIMA],
    ),
    "pieces that know their id, and a wrong index": (
        [
            calls({"index": 0, **call("c1", "weather", "")}),
            calls({"index": 1, **LIMA}),
            calls({"index": 7, "id": "c1", "function": {"arguments": '{"in": "Rome"}'}}),
        ],
        [ROME, LIMA],
    ),
    "one id for all calls of a function": (
        [
            calls({"index": 0, **call("weather", "weather", '{"in": "Rome"}')}),
            calls({"index": 1, **call("weather", "weather", '{"in": "Rome"}')}),
            calls({"index": 2, **call("weather", "weather", "")}),
            calls({"index": 2, "function": {"arguments": '{"in": "Lima"}'}}),
        ],
        [
            call("weather", "weather", '{"in": "Rome"}'),
            call("weather", "weather", '{"in": "Rome"}'),
            call("weather", "weather", '{"in": "Lima"}'),
        ],
    ),
    "DashScope, vLLM: id, type and name empty in later pieces": (
        [
            calls({"index": 0, **call("c1", "weather", "")}),
            calls({"index": 0, "id": "", "type": "", "function": {"name": "", "arguments": '{"in":'}}),
            calls({"index": 0, "id": None, "type": None, "function": {"name": None, "arguments": ' "Rome"}'}}),
        ],
        [ROME],
    ),
    "Qwen: id and name again in each piece": (
        [
            calls({"index": 0, **call("c1", "weather", "")}),
            calls({"index": 0, **call("c1", "weather", '{"in":')}),
            calls({"index": 0, **call("c1", "weather", ' "Rome"}')}),
        ],
        [ROME],
    ),
    "id and name only with the second piece": (
        [
            calls({"index": 0, "id": "", "type": "function", "function": {"name": "", "arguments": ""}}),
            calls({"index": 0, **call("c1", "weather", '{"in": "Rome"}')}),
        ],
        [ROME],
    ),
    "a name in pieces": (
        [
            calls({"index": 0, **call("c1", "wea", "")}),
            calls({"index": 0, "function": {"name": "ther"}}),
            calls({"index": 0, "function": {"arguments": '{"in": "Rome"}'}}),
        ],
        [ROME],
    ),
    "all arguments again at the end": (
        [
            calls({"index": 0, **call("c1", "weather", '{"in": ')}),
            calls({"index": 0, "function": {"arguments": '"Rome"}'}}),
            calls({"index": 0, **ROME}),
        ],
        [ROME],
    ),
    "arguments that are an object": (
        [calls({"index": 0, "id": "c1", "type": "function", "function": {**ROME["function"], "arguments": {"in": 1}}})],
        [call("c1", "weather", '{"in":1}')],
    ),
    "no function at first, an index that is a text": (
        [
            calls({"index": "0", "id": "c1", "type": "function", "function": None}),
            calls({"index": "0", "function": {"name": "weather", "arguments": '{"in": "Rome"}'}}),
        ],
        [ROME],
    ),
    "pieces of nameless arguments before a call": (
        [calls({"index": 0, "function": {"arguments": '{"q": 1}'}}), calls({"index": 0, **LIMA})],
        [{"function": {"arguments": '{"q": 1}'}}, LIMA],
    ),
    "one call that is no list": ([{"tool_calls": ROME}], [ROME]),
}  # fmt: skip


@pytest.mark.parametrize("shape", TOOL_CALLS)
def test_tool_calls_are_whole_here_and_with_clients_that_go_by_index(shape: str):
    deltas, whole = TOOL_CALLS[shape]
    message, pieces = MessageAccumulator(), []
    for delta in deltas:
        choice = {"index": 0, "delta": {"role": "assistant", **delta}}
        assert message.take(choice)
        pieces += choice["delta"]["tool_calls"]
    assert message.message() == {"role": "assistant", "content": None, "tool_calls": whole}
    expected = [(one.get("id", ""), one["function"].get("name", ""), one["function"]["arguments"]) for one in whole]
    assert joined_by_index(pieces) == expected


THOUGHT = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
SUMMARY = {"type": "reasoning.summary", "format": "openai-responses-v1", "index": 0}
SEALED = {"type": "reasoning.encrypted", "id": "rs_1", "data": "gAAA", "format": "openai-responses-v1", "index": 0}
HALVES = [base64.b64encode(part).decode() for part in (b"half a", b" sound")]

# Each with its role and content left out where it has none.
MESSAGES: dict[str, tuple[list[Delta], Delta]] = {
    "DeepSeek, vLLM, SGLang: reasoning beside the text": (
        [
            {"role": "assistant", "content": None, "reasoning_content": "Let me "},
            {"content": None, "reasoning_content": "see."},
            {"content": "4", "reasoning_content": None, "refusal": None, "tool_calls": []},
        ],
        {"reasoning_content": "Let me see.", "content": "4"},
    ),
    "vLLM of today, Groq: reasoning": (
        [{"reasoning": "Let me "}, {"reasoning": "see."}, {"content": "4"}],
        {"reasoning": "Let me see.", "content": "4"},
    ),
    "a member that nobody knows": (
        [{"musings": "Let me "}, {"musings": "see."}, {"content": "4", "mood_type": "calm"}, {"mood_type": "merry"}],
        {"musings": "Let me see.", "content": "4", "mood_type": "merry"},
    ),
    "OpenRouter: a signed thought in pieces": (
        [
            {"reasoning": "Let ", "reasoning_details": [{**THOUGHT, "text": "Let "}]},
            {"reasoning": "me see.", "reasoning_details": [{**THOUGHT, "text": "me see.", "signature": None}]},
            {"reasoning_details": [{**THOUGHT, "signature": "Et8B"}]},
            {"content": "4"},
        ],
        {
            "reasoning": "Let me see.",
            "reasoning_details": [{**THOUGHT, "text": "Let me see.", "signature": "Et8B"}],
            "content": "4",
        },
    ),
    "OpenRouter: summaries and what is sealed, all of index 0": (
        [
            {"reasoning_details": [{**SUMMARY, "summary": "**Adding"}]},
            {"reasoning_details": [{**SUMMARY, "summary": " up**"}]},
            {"reasoning_details": [SEALED]},
            {"reasoning_details": [{**SUMMARY, "summary": "Once "}]},
            {"reasoning_details": [{**SUMMARY, "summary": "more."}]},
        ],
        {
            "reasoning_details": [
                {**SUMMARY, "summary": "**Adding up**"},
                SEALED,
                {**SUMMARY, "summary": "Once more."},
            ]
        },
    ),
    "two images of one index": (
        [
            {
                "content": "4",
                "images": [{"type": "image_url", "index": 0, "image_url": {"url": "data:image/png;base64,AA=="}}],
            },
            {"images": [{"type": "image_url", "index": 0, "image_url": {"url": "data:image/png;base64,AB=="}}]},
        ],
        {
            "content": "4",
            "images": [
                {"type": "image_url", "index": 0, "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "image_url", "index": 0, "image_url": {"url": "data:image/png;base64,AB=="}},
            ],
        },
    ),
    "Anthropic's thoughts as they are translated": (
        [
            {"thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "Let "}]},
            {"thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "me see."}]},
            {"thinking_blocks": [{"index": 0, "signature": "Et8B"}]},
            {"thinking_blocks": [{"index": 1, "type": "redacted_thinking", "data": "Eo0"}]},
        ],
        {
            "thinking_blocks": [
                {"type": "thinking", "thinking": "Let me see.", "signature": "Et8B"},
                {"type": "redacted_thinking", "data": "Eo0"},
            ]
        },
    ),
    "Mistral: thoughts in parts, then a text": (
        [
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Let me "}]}]},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "see."}], "closed": True}]},
            {"content": "It is "},
            {"content": "4."},
        ],
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Let me see."}], "closed": True},
                {"type": "text", "text": "It is 4."},
            ]
        },
    ),
    "a text, then parts": (
        [{"content": "See "}, {"content": "this: "}, {"content": [{"type": "image_url", "image_url": {"url": "u"}}]}],
        {"content": [{"type": "text", "text": "See this: "}, {"type": "image_url", "image_url": {"url": "u"}}]},
    ),
    "Azure: a context beside the text": (
        [
            {"role": "assistant", "context": {"citations": [{"title": "A", "url": "u"}], "intent": '["a"]'}},
            {"content": "So it "},
            {"content": "is."},
        ],
        {"content": "So it is.", "context": {"citations": [{"title": "A", "url": "u"}], "intent": '["a"]'}},
    ),
    "OpenAI: a sound": (
        [
            {"audio": {"id": "audio_1", "transcript": "Half "}},
            {"audio": {"data": HALVES[0]}},
            {"audio": {"transcript": "a sound", "data": HALVES[1]}},
            {"audio": {"expires_at": 1790000000}},
        ],
        {
            "audio": {
                "id": "audio_1",
                "transcript": "Half a sound",
                "data": base64.b64encode(b"half a sound").decode(),
                "expires_at": 1790000000,
            }
        },
    ),
    "OpenAI of old: a function call": (
        [
            {"function_call": {"name": "weather", "arguments": ""}},
            {"function_call": {"arguments": '{"in":'}},
            {"function_call": {"name": "weather", "arguments": "1}"}},
        ],
        {"function_call": {"name": "weather", "arguments": '{"in":1}'}},
    ),
    "OpenAI: sources, one after the other": (
        [
            {"content": "So ", "annotations": [{"type": "url_citation", "url_citation": {"url": "a", "title": "A"}}]},
            {"content": "so", "annotations": [{"type": "url_citation", "url_citation": {"url": "b", "title": "B"}}]},
        ],
        {
            "content": "So so",
            "annotations": [
                {"type": "url_citation", "url_citation": {"url": "a", "title": "A"}},
                {"type": "url_citation", "url_citation": {"url": "b", "title": "B"}},
            ],
        },
    ),
    "all sources so far in each chunk": (
        [{"citations": ["a"]}, {"citations": ["a", "b"]}, {"content": "So"}, {"citations": ["a", "b"]}],
        {"content": "So", "citations": ["a", "b"]},
    ),
    "LiteLLM: a source in each chunk": (
        [
            {"content": "So ", "provider_specific_fields": {"citation": {"url": "a", "cited_text": "A is."}}},
            {"content": "so", "provider_specific_fields": {"citation": {"url": "b", "cited_text": "B is."}}},
        ],
        {
            "content": "So so",
            "provider_specific_fields": {
                "citation": [{"url": "a", "cited_text": "A is."}, {"url": "b", "cited_text": "B is."}]
            },
        },
    ),
    "a member that changes its form": (
        [{"notes": "One"}, {"notes": {"kind": 2}}, {"notes": "three"}],
        {"notes": [{"type": "text", "text": "One"}, {"kind": 2}, {"type": "text", "text": "three"}]},
    ),
}


@pytest.mark.parametrize("shape", MESSAGES)
def test_of_what_stands_beside_the_text_nothing_is_lost(shape: str):
    deltas, whole = MESSAGES[shape]
    assert accumulated(*deltas).message() == {"role": "assistant", "content": None, **whole}


def test_a_text_is_the_sum_of_its_pieces_and_needs_no_message():
    message = accumulated({"role": "assistant", "content": ""}, {"content": "Good "}, {"content": "day", "refusal": ""})
    assert message.text == "Good day"
    assert message.message() is None
    assert message.finish_reason == "stop"


def test_the_text_of_parts_is_theirs_alone():
    deltas, _ = MESSAGES["Mistral: thoughts in parts, then a text"]
    assert accumulated(*deltas).text == "It is 4."


def test_an_old_completion_has_its_text_on_the_choice():
    message = MessageAccumulator()
    assert message.take({"index": 0, "text": "once "})
    assert message.take({"index": 0, "text": "more", "finish_reason": "length"})
    assert message.text == "once more"
    assert message.finish_reason == "length"


def test_only_what_the_model_says_counts_as_its_first_word():
    message = MessageAccumulator()
    assert not message.take({"index": 0, "delta": {"role": "assistant", "content": ""}})
    assert not message.take({"index": 0, "delta": {"role": "assistant", "content": None}})
    assert message.take({"index": 0, "delta": {"content": "Hi"}})


@pytest.mark.parametrize(
    ("bound", "delta"),
    [
        ("MAX_PARTS", calls(*({"index": index, "id": f"c{index}"} for index in range(11)))),
        ("MAX_PARTS", {"content": [{"type": f"part{index}", "text": "x"} for index in range(11)]}),
        ("MAX_VALUES", {"tokens": list(range(11))}),
        ("MAX_VALUES", {"scores": {str(index): index for index in range(11)}}),
        ("MAX_CHARACTERS", {"content": "x" * 11}),
        ("MAX_CHARACTERS", {"reasoning": "x" * 11}),
    ],
)
def test_a_message_beyond_the_bounds_is_an_error(bound: str, delta: Delta, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(accumulator, bound, 10)
    with pytest.raises(ProviderError, match="more than 10 "):
        accumulated(delta)
