"""Providers of language models. To add one, write its module, name it here and in `ProviderName` of types/models.py."""

from __future__ import annotations

from afterword.gateway.provider import ProviderSpec
from afterword.gateway.providers import anthropic, azure, echo, google, openai

SPECS: dict[str, ProviderSpec] = {
    spec.name: spec for spec in (openai.SPEC, anthropic.SPEC, google.SPEC, azure.SPEC, echo.SPEC)
}
"""The specification of each provider, by its name."""
