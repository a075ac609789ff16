"""OpenAI's models in Azure: the same API, with the deployment in the path and the API's version in the query."""

from __future__ import annotations

import os
from urllib.parse import quote, urlsplit, urlunsplit

from afterword.gateway.http import Address
from afterword.gateway.provider import ProviderSpec
from afterword.gateway.providers.openai import OpenAIAdapter
from afterword.types import Target

API_VERSION = "2024-10-21"


class Azure(OpenAIAdapter):
    """The adapter of the provider `azure`."""

    probe_path = ""

    def address(self, target: Target, path: str) -> Address:
        """Return the URL for a path of the API, with the headers that authorize a request."""
        return _deployment_address(target, path)


def _deployment_address(target: Target, path: str) -> Address:
    api_key = SPEC.find_api_key(target)
    url = _url(target, SPEC.find_endpoint(target) or "", path)
    return Address.for_target(target, url, api_key, {"api-key": api_key} if api_key else {})


def _url(target: Target, endpoint: str, path: str) -> str:
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        # The HTTP layer refuses it, and tells the caller why.
        return endpoint
    base = parts.path.rstrip("/")
    query = parts.query
    if "/openai/v1" not in base:
        if "/openai/deployments/" not in base:
            base = f"{base.removesuffix('/openai')}/openai/deployments/{quote(target.model, safe='')}"
        if "api-version=" not in query:
            version = f"api-version={os.environ.get('OPENAI_API_VERSION') or API_VERSION}"
            query = f"{query}&{version}" if query else version
    return urlunsplit((parts.scheme, parts.netloc, base + path, query, ""))


SPEC = ProviderSpec(
    name="azure",
    title="Azure OpenAI",
    adapter=Azure,
    otel_name="azure.ai.openai",
    example_endpoint="https://RESOURCE.openai.azure.com",
    endpoint_variables=("AZURE_OPENAI_ENDPOINT",),
    api_key_variables=("AZURE_OPENAI_API_KEY",),
    required_fields=("endpoint",),
    passed_address=_deployment_address,
    graphql_name="OPEN_AI",
    graphql_inputs=("azure",),
)
