"""Provider facts: what each provider tells beside the text, from whole answers and from chunks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from afterword.gateway.facts import FactsAccumulator, trace_id_of
from afterword.gateway.response import ProviderResponse

SAFE = {"filtered": False, "severity": "safe"}
VIOLENT = {"filtered": True, "severity": "high"}
TOKENS = [{"token": word, "logprob": -0.5, "top_logprobs": []} for word in ("Good", " day")]


def chunk(choice: dict[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    """Return a chunk whose one choice has these members."""
    choices = [] if choice is None else [{"index": 0, "delta": {"content": "x"}, "finish_reason": None, **choice}]
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **top}


# What is told in the chunks of an answer, and what is kept of it.
TOLD: dict[str, tuple[list[dict[str, Any]], dict[str, Any] | None]] = {
    "nothing": ([chunk({"logprobs": None}, system_fingerprint=None, usage=None)], None),
    "OpenAI: fingerprint, tier and log probabilities, token by token": (
        [
            chunk({"logprobs": {"content": TOKENS[:1], "refusal": None}}, system_fingerprint="fp", obfuscation="aX3"),
            chunk({"logprobs": {"content": TOKENS[1:], "refusal": None}}, system_fingerprint="fp", obfuscation="b"),
            chunk(None, service_tier="flex", usage={"prompt_tokens": 1}),
        ],
        {
            "answer": {"system_fingerprint": "fp", "service_tier": "flex"},
            "choice": {"logprobs": {"content": TOKENS}},
        },
    ),
    "the old completions: log probabilities as lists side by side": (
        [
            chunk({"logprobs": {"tokens": ["Good"], "token_logprobs": [-0.5], "text_offset": [0]}}),
            chunk({"logprobs": {"tokens": [" day"], "token_logprobs": [-1.5], "text_offset": [4]}}),
        ],
        {"choice": {"logprobs": {"tokens": ["Good", " day"], "token_logprobs": [-0.5, -1.5], "text_offset": [0, 4]}}},
    ),
    "Azure: the filters of the prompt at first, those of the answer as it goes, the strictest stays": (
        [
            chunk(None, id="", model="", prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}]),
            chunk({"content_filter_results": {"hate": SAFE, "violence": VIOLENT}}),
            chunk({"content_filter_results": {}}),
            chunk({"content_filter_results": {"hate": SAFE, "violence": SAFE}, "content_filter_offsets": {"end": 8}}),
        ],
        {
            "answer": {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]},
            "choice": {
                "content_filter_results": {"hate": SAFE, "violence": VIOLENT},
                "content_filter_offsets": {"end": 8},
            },
        },
    ),
    "Perplexity: sources that are told again and grow, beside a message that repeats the text": (
        [
            chunk({"message": {"content": "x"}}, citations=["https://a"], search_results=[{"url": "https://a"}]),
            chunk({"message": {"content": "xx"}}, citations=["https://a", "https://b"], search_results=[]),
        ],
        {"answer": {"citations": ["https://a", "https://b"], "search_results": [{"url": "https://a"}]}},
    ),
    "OpenRouter: who served it, and that provider's own reason": (
        [chunk({"native_finish_reason": "STOP"}, provider="Google"), chunk(None, provider="Google")],
        {"answer": {"provider": "Google"}, "choice": {"native_finish_reason": "STOP"}},
    ),
    "vLLM: ids of tokens in pieces, what stopped it, the prompt's log probabilities": (
        [
            chunk({"token_ids": [1, 2], "stop_reason": None}, prompt_logprobs=[None, {"5": {"logprob": -1}}]),
            chunk({"token_ids": [3], "stop_reason": 128009}, kv_transfer_params={"block": 107505301260286111}),
        ],
        {
            "answer": {
                "prompt_logprobs": [None, {"5": {"logprob": -1}}],
                "kv_transfer_params": {"block": 107505301260286111},
            },
            "choice": {"token_ids": [1, 2, 3], "stop_reason": 128009},
        },
    ),
    "Gemini: grounding and safety": (
        [chunk({"safety_ratings": [{"category": "HATE"}]}), chunk({"grounding_metadata": {"queries": ["herons"]}})],
        {"choice": {"safety_ratings": [{"category": "HATE"}], "grounding_metadata": {"queries": ["herons"]}}},
    ),
    "what nobody knows yet, also where it is false or zero": (
        [chunk({"verdict": 0}, cached=False), chunk({"verdict": None}, cached="")],
        {"answer": {"cached": False}, "choice": {"verdict": 0}},
    ),
}


@pytest.mark.parametrize("case", TOLD)
def test_facts_of_a_stream_are_put_together_by_their_kind(case: str):
    chunks, expected = TOLD[case]
    before = json.dumps(chunks)
    facts = FactsAccumulator(1 << 20)
    for one in chunks:
        facts.take(one)
    assert facts.choice_facts(0) == expected
    assert json.dumps(chunks) == before
    assert facts.origin == {"response_id": "c", "provider_model": "m"}


def test_facts_belong_to_the_choice_on_which_they_stood():
    facts = FactsAccumulator(1 << 20)
    facts.take({"choices": [{"index": 1, "logprobs": {"content": TOKENS}}, {"index": 0}], "service_tier": "default"})
    assert facts.choice_facts(0) == {"answer": {"service_tier": "default"}}
    assert facts.choice_facts(1) == {"answer": {"service_tier": "default"}, "choice": {"logprobs": {"content": TOKENS}}}


@pytest.mark.parametrize("pieces", [1, 50])
def test_facts_beyond_the_limit_are_left_out_and_named(pieces: int):
    facts = FactsAccumulator(2_000)
    for _ in range(pieces):
        tokens = TOKENS * (50 // pieces)
        facts.take(chunk({"logprobs": {"content": tokens}, "stop_reason": "x"}, system_fingerprint="fp"))
    kept = facts.choice_facts(0)
    assert kept
    assert kept["answer"] == {"system_fingerprint": "fp"}
    assert kept["choice"] == {"stop_reason": "x"}
    assert kept["left_out"]["choice.logprobs"] > 2_000


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("traceparent", "trace_id"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", TRACE),
        (f" 00-{TRACE.upper()}-00F067AA0BA902B7-00 ", TRACE),
        (f"01-{TRACE}-00f067aa0ba902b7-01-what-is-to-come", TRACE),
        (f"ff-{TRACE}-00f067aa0ba902b7-01", None),
        (f" FF-{TRACE}-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{TRACE[1:]}-00f067aa0ba902b7-01", None),
        ("", None),
    ],
)
def test_the_trace_of_a_traceparent_is_read_as_w3c_has_it(traceparent: str, trace_id: str | None):
    assert trace_id_of(traceparent) == trace_id


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        ({"x-request-id": "req_1", "cf-ray": "ray"}, "req_1"),
        ({"request-id": "req_2"}, "req_2"),
        ({"apim-request-id": "a", "x-request-id": "x"}, "x"),
        ({"x-request-id": "x" * 1000}, "x" * 200),
        ({"date": "today"}, None),
    ],
)
def test_the_providers_request_id_is_found_whatever_its_header(headers: dict[str, str], request_id: str | None):
    response = ProviderResponse()
    response.headers = headers
    assert response.request_id == request_id
