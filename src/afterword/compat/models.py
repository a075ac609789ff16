"""The names of OpenAI's models in adaptive-sdk up to 0.1.13."""

from __future__ import annotations

PROVIDER_MODELS = {
    "GPT3_5_TURBO": "gpt-3.5-turbo",
    "GPT4": "gpt-4",
    "GPT4_TURBO": "gpt-4-turbo",
    "GPT4O": "gpt-4o",
    "GPT4O_MINI": "gpt-4o-mini",
    "GPT4_1": "gpt-4.1",
    "GPT4_1_MINI": "gpt-4.1-mini",
    "GPT4_1_NANO": "gpt-4.1-nano",
    "O1": "o1",
    "O1_MINI": "o1-mini",
    "O3": "o3",
    "O3_MINI": "o3-mini",
    "O4_MINI": "o4-mini",
}


def provider_model(word: str) -> str:
    """Return OpenAI's own name of a model; any other word unchanged."""
    return PROVIDER_MODELS.get(word, word)
