"""Providers that speak OpenAI's API: OpenAI itself, Azure, Google's compatible endpoint, vLLM, Ollama, llama.cpp and
all the others."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from afterword.gateway.http import Http, error_in_stream, hung_up, read_object
from afterword.gateway.provider import Body, Face, ProviderError
from afterword.types import Target

PATHS: dict[Face, str] = {"chat": "/chat/completions", "completions": "/completions", "embeddings": "/embeddings"}
ENDPOINTS = {
    "open_ai": (("OPENAI_BASE_URL",), "https://api.openai.com/v1"),
    "google": (
        ("GOOGLE_BASE_URL", "GEMINI_BASE_URL"),
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ),
    "azure": (("AZURE_OPENAI_ENDPOINT",), ""),
}
KEYS = {
    "open_ai": ("OPENAI_API_KEY",),
    "google": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "azure": ("AZURE_OPENAI_API_KEY",),
}
AZURE_VERSION = "2024-10-21"

_encoder = msgspec.json.Encoder()


class OpenAI:
    """The providers `open_ai`, `azure` and `google`."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def answer(self, target: Target, face: Face, body: Body) -> Body:
        """Return the whole answer."""
        url, headers = _address(target, PATHS[face])
        answer = await self._http.post(target.key, url, headers, _encoder.encode(fitted(target, body)))
        # Some providers tell of an error with status 200.
        if "error" in answer and "choices" not in answer and "data" not in answer:
            raise error_in_stream(target.key, answer["error"])
        return answer

    async def stream(self, target: Target, face: Face, body: Body) -> AsyncGenerator[Body, None]:
        """Yield the chunks as they come."""
        url, headers = _address(target, PATHS[face])
        # Without being asked, OpenAI tells no usage of a stream.
        options = {**(body.get("stream_options") or {}), "include_usage": True}
        request = _encoder.encode(fitted(target, {**body, "stream": True, "stream_options": options}))
        ended = False
        async with aclosing(self._http.events(target.key, url, headers, request)) as events:
            async for event in events:
                if isinstance(event, dict):
                    if "error" in event and "choices" not in event:
                        raise error_in_stream(target.key, event["error"])
                    yield as_chunk(event)
                    return
                if event.data == b"[DONE]":
                    return
                chunk = read_object(target.key, event.data)
                if "error" in chunk and not chunk.get("choices"):
                    raise error_in_stream(target.key, chunk["error"])
                ended = ended or any(choice.get("finish_reason") for choice in chunk.get("choices") or ())
                yield chunk
        if not ended:
            raise hung_up(target.key)

    async def check(self, target: Target) -> None:
        """Ask for the model, as cheaply as the API allows."""
        url, headers = _address(target, "" if target.provider == "azure" else "/models")
        status, raw = await self._http.look(target.key, url, headers)
        if status in (401, 403):
            raise ProviderError(
                f"The provider of {target.key!r} refused the API key.", status=502, code="provider_refused_key"
            )
        if status >= 500:
            raise ProviderError(
                f"The provider of {target.key!r} answered {status}: {raw[:200].decode('utf-8', 'replace')!r}.",
                status=502,
                code="provider_failed",
            )

    async def close(self) -> None:
        """The connections are the session's."""


def fitted(target: Target, body: Mapping[str, Any]) -> Body:
    """Return a request as this model gets it: under its own name, with its parameters; null takes a field away."""
    fit = {**body, "model": target.model, **target.parameters}
    for name, value in target.parameters.items():
        if value is None:
            del fit[name]
    return fit


def as_chunk(answer: Body) -> Body:
    """Return a whole answer as the one chunk of a stream."""
    choices = []
    for choice in answer.get("choices") or []:
        message = choice.get("message")
        if isinstance(message, dict) and (calls := message.get("tool_calls")):
            message = {**message, "tool_calls": [{"index": place, **one} for place, one in enumerate(calls)]}
        rest = {name: value for name, value in choice.items() if name != "message"}
        choices.append({**rest, "delta": message} if message is not None else rest)
    kind = "chat.completion.chunk" if answer.get("object") == "chat.completion" else answer.get("object")
    return {**answer, "object": kind, "choices": choices}


def _address(target: Target, path: str) -> tuple[str, dict[str, str]]:
    """Return where to send a request, and with which headers. The environment counts at each call."""
    names, default = ENDPOINTS[target.provider]
    endpoint = target.endpoint or next((os.environ[name] for name in names if os.environ.get(name)), default)
    key = target.api_key or next((os.environ[name] for name in KEYS[target.provider] if os.environ.get(name)), None)
    headers = dict(target.headers)
    if target.provider == "azure":
        if key:
            headers.setdefault("api-key", key)
        return _azure(target, endpoint, path), headers
    if key:
        headers.setdefault("Authorization", f"Bearer {key}")
    return endpoint.rstrip("/") + path, headers


def _azure(target: Target, endpoint: str, path: str) -> str:
    """Azure names the model's deployment in the path and the API's version in the query."""
    parts = urlsplit(endpoint)
    base = parts.path.rstrip("/")
    query = parts.query
    if "/openai/v1" not in base:
        if "/openai/deployments/" not in base:
            base = f"{base}/openai/deployments/{target.model}"
        if "api-version=" not in query:
            version = f"api-version={os.environ.get('OPENAI_API_VERSION') or AZURE_VERSION}"
            query = f"{query}&{version}" if query else version
    return urlunsplit((parts.scheme, parts.netloc, base + path, query, ""))
