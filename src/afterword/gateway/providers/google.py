"""Google's Gemini: generateContent as it is, and chat through its endpoint that is compatible with OpenAI's API."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from afterword.gateway.formats.generate_content.requests import PARAMETERS
from afterword.gateway.http import Address
from afterword.gateway.provider import Body, NativeAddress, NativeForm, ProviderSpec
from afterword.gateway.providers.openai import OpenAIAdapter
from afterword.types import Target

CONFIG_NAMES = {word: name for name, word in PARAMETERS.items()}
"""The member of `generationConfig` for each parameter of chat."""


def _native_address(method: str, stream_method: str | None = None) -> NativeAddress:
    def address(target: Target, headers: Mapping[str, str], is_streamed: bool) -> Address:
        base, api_key = (SPEC.find_endpoint(target) or "").rstrip("/"), SPEC.find_api_key(target)
        name = target.model if "/" in target.model else f"models/{target.model}"
        suffix = f"{stream_method}?alt=sse" if is_streamed else method
        url = f"{base.removesuffix('/openai')}/{quote(name, safe='/')}:{suffix}"
        own_headers = {"x-goog-api-key": api_key} if api_key else {}
        return Address.for_target(target, url, api_key, own_headers).with_headers(headers)

    return address


def _native_request(target: Target, body: Body) -> Body:
    """Return a request with the parameters of this model, which it was registered with in chat's words."""
    config = body.get("generationConfig", body.get("generation_config"))
    config = dict(config) if isinstance(config, dict) else {}
    request = {name: value for name, value in body.items() if name != "generation_config"}
    for name, value in target.parameters.items():
        place, key = (config, CONFIG_NAMES[name]) if name in CONFIG_NAMES else (request, name)
        place.pop(key, None)
        if value is not None:
            place[key] = value
    return {**request, "generationConfig": config} if config else request


SPEC = ProviderSpec(
    name="google",
    title="Google",
    adapter=OpenAIAdapter,
    otel_name="gcp.gemini",
    endpoint="https://generativelanguage.googleapis.com/v1beta/openai",
    endpoint_variables=("GOOGLE_BASE_URL", "GEMINI_BASE_URL"),
    api_key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    native_formats={
        "generate_content": NativeForm(_native_address("generateContent", "streamGenerateContent"), _native_request),
        "count_content_tokens": NativeForm(_native_address("countTokens"), lambda _, body: body),
    },
    # It answers 400 to fields that it does not know.
    refused_fields=frozenset({"store", "metadata", "user"}),
    graphql_name="GOOGLE",
    graphql_inputs=("google",),
)
