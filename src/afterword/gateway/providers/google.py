"""Google's Gemini, behind its endpoint that is compatible with OpenAI's API."""

from __future__ import annotations

from afterword.gateway.provider import ProviderSpec
from afterword.gateway.providers.openai import OpenAIAdapter

SPEC = ProviderSpec(
    name="google",
    title="Google",
    adapter=OpenAIAdapter,
    otel_name="gcp.gemini",
    endpoint="https://generativelanguage.googleapis.com/v1beta/openai",
    endpoint_variables=("GOOGLE_BASE_URL", "GEMINI_BASE_URL"),
    api_key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    # It answers 400 to fields that it does not know.
    refused_fields=frozenset({"store", "metadata", "user"}),
    graphql_name="GOOGLE",
    graphql_inputs=("google",),
)
