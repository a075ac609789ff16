"""Recognizing a provider's error that says that the prompt is too long for the model."""

from __future__ import annotations

import re

CONTEXT_OVERFLOW = "context_length_exceeded"
"""OpenAI's code for a prompt that the model's context cannot hold. Agents that read it shorten their history."""
# Matches the messages of OpenAI, Anthropic, Google, Mistral, xAI, Cohere, Groq, Together, Fireworks, Bedrock, GitHub,
# vLLM, SGLang, TGI, llama.cpp, Ollama and LM Studio.
_CONTEXT_OVERFLOW = re.compile(
    r"context[ _-]?(length|window|size|limit)s?\b.{0,60}\b(exceed|overflow|too (long|small))"
    r"|(exceed|overflow|larger than|longer than|too large for|greater than|beyond).{0,80}"
    r"\b(context[ _-]?(length|window|size|limit)?\b|model length|token limit|max(imum)? (number of )?(input )?tokens)"
    r"|maximum (context|prompt|model|input) length"
    r"|(prompt|input|inputs|message|messages|conversation|request)\W+(is|are|was) too (long|large)\b"
    r"|prompt too long|prompt exceeds max|input length and .?max_tokens"
    r"|too many (input |prompt |total )?tokens"
    r"|token count.{0,60}exceeds|reduce the length of (the|your) (messages|prompt|input)"
    r"|inputs.{0,40}max_new_tokens.{0,20}must be|must have less than \d+ tokens"
    r"|max size: \d+ tokens|when context the overflows|context the overflows",
    re.I | re.S,
)
_OVERFLOW_CODES = frozenset(
    {
        CONTEXT_OVERFLOW, "context_window_exceeded", "context_length_error", "exceed_context_size_error",
        "model_max_prompt_tokens_exceeded", "tokens_limit_reached", "string_above_max_length_tokens",
        "max_context_length_exceeded", "context_size_exceeded",
    }
)  # fmt: skip
# Rate limit errors may have similar words, but a limit on tokens per minute is not a limit of the context.
_RATE = re.compile(r"per (minute|second|hour|day)|\b[tr]p[md]\b|quota|rate.?limit", re.I)


def is_context_overflow(message: str, code: str | None) -> bool:
    """Tell whether an error says that the prompt is too long for the model."""
    if code in _OVERFLOW_CODES:
        return True
    return bool(_CONTEXT_OVERFLOW.search(message[:4000])) and not _RATE.search(message[:4000])
