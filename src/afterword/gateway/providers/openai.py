"""Providers that speak OpenAI's API: OpenAI itself, Azure, Google's compatible endpoint, vLLM, Ollama, llama.cpp and
all the others."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from afterword import json_text
from afterword.gateway.answers import ChunkReader, as_chunk, check_answer
from afterword.gateway.assembling import assemble
from afterword.gateway.events import Event
from afterword.gateway.failures import hung_up, unfinished
from afterword.gateway.http import Address, Http
from afterword.gateway.provider import Body, Operation, ProviderError
from afterword.gateway.refused_fields import OPTIONAL_FIELDS, RefusedFields
from afterword.gateway.response import ProviderResponse
from afterword.types import Target

PATHS: dict[Operation, str] = {"chat": "/chat/completions", "completions": "/completions", "embeddings": "/embeddings"}
ENDPOINTS = {
    "open_ai": (("OPENAI_BASE_URL",), "https://api.openai.com/v1"),
    "google": (
        ("GOOGLE_BASE_URL", "GEMINI_BASE_URL"),
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ),
    "azure": (("AZURE_OPENAI_ENDPOINT",), ""),
}
KEY_VARIABLES = {
    "open_ai": ("OPENAI_API_KEY",),
    "google": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "azure": ("AZURE_OPENAI_API_KEY",),
}
AZURE_VERSION = "2024-10-21"
# Google's endpoint answers 400 to fields that it does not know.
UNKNOWN_FIELDS = {"google": frozenset({"store", "metadata", "user"})}


class OpenAI:
    """The providers `open_ai`, `azure` and `google`."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._refused_fields = RefusedFields()

    async def answer(self, target: Target, operation: Operation, body: Body, response: ProviderResponse) -> Body:
        """Return the whole answer."""
        address = _address(target, PATHS[operation])
        request = self._request(target, body, response)
        refused: set[str] = set()
        while True:
            try:
                answer = await self._http.post(address, json_text.encode(request), response)
                break
            except ProviderError as error:
                refused |= self._without_refused(error, target, request, {}, response)
        if refused:
            self._refused_fields.remember(target, refused)
        if isinstance(answer, list):
            answer = assemble(operation, _chunks(address, body, answer))
        return check_answer(address, operation, answer, body)

    def _request(self, target: Target, body: Body, response: ProviderResponse) -> Body:
        """Return the request as this target gets it, without the fields that it is known to refuse."""
        request = request_for_target(target, body)
        left_out = {name for name in UNKNOWN_FIELDS.get(target.provider, ()) if name in request}
        left_out |= {name for name in self._refused_fields.fields_to_leave_out(target) if name in request}
        for name in left_out:
            del request[name]
        if not request.get("stream"):
            # extra_params may have switched streaming off.
            request.pop("stream_options", None)
        response.left_out += [name for name in OPTIONAL_FIELDS if name in left_out and name != "stream_options"]
        return request

    def _without_refused(
        self, error: ProviderError, target: Target, request: Body, own_options: Body, response: ProviderResponse
    ) -> set[str]:
        """Take out of a request the fields that the provider's error complains of, and return them. Raises the error
        where there are none. `own_options` are the stream options of the caller."""
        options = request.get("stream_options")
        refused = self._refused_fields.find_refused_names(
            error, target, request, has_added_options=options != own_options
        )
        if "stream_options" in refused and options == own_options and own_options.keys() - {"include_usage"}:
            # They are the caller's own, and say more than what the gateway can make up for.
            refused.discard("stream_options")
        if not refused:
            raise error
        for name in refused:
            del request[name]
        if "stream_options" in refused and own_options.keys() - {"include_usage"} and options != own_options:
            request["stream_options"] = own_options
        response.left_out += [name for name in OPTIONAL_FIELDS if name in refused and name != "stream_options"]
        return refused

    async def _first_event_and_others(
        self, target: Target, address: Address, body: Body, response: ProviderResponse
    ) -> tuple[Event | Body | None, AsyncGenerator[Event | Body, None]]:
        """Return the first event of a stream and the generator of the others."""
        own_options = body.get("stream_options")
        own_options = own_options if isinstance(own_options, dict) else {}
        # Without being asked, OpenAI tells no usage of a stream.
        options = {**own_options, "include_usage": True}
        request = self._request(target, {**body, "stream": True, "stream_options": options}, response)
        refused: set[str] = set()
        while True:
            events = self._http.events(address, json_text.encode(request), _is_last, response)
            try:
                first_event = await anext(events, None)
                break
            except ProviderError as error:
                await events.aclose()
                refused |= self._without_refused(error, target, request, own_options, response)
        if refused:
            self._refused_fields.remember(target, refused)
        elif "stream_options" in request:
            self._refused_fields.remember_options_accepted(target)
        return first_event, events

    async def stream(
        self, target: Target, operation: Operation, body: Body, response: ProviderResponse
    ) -> AsyncGenerator[Body, None]:
        """Yield the chunks as they come."""
        address = _address(target, PATHS[operation])
        first_event, following_events = await self._first_event_and_others(target, address, body, response)
        reader, is_done = ChunkReader(address, body), False
        async with aclosing(following_events) as events:
            async for event in _events_from_first(first_event, events):
                if isinstance(event, dict):
                    yield as_chunk(check_answer(address, operation, event, body))
                    return
                if _is_last(event):
                    is_done = True
                    continue
                yield reader.read(event)
        if not reader.is_finished:
            # [DONE] alone is no proof: proxies end a stream with it that was cut off.
            raise unfinished(address, reader.unfinished) if is_done else hung_up(address)

    async def check(self, target: Target) -> None:
        """Ask for the models, as cheaply as the API allows."""
        address = _address(target, "" if target.provider == "azure" else "/models")
        status, text = await self._http.probe(address)
        if status in (401, 403):
            raise ProviderError(
                f"The provider of {target.key!r} refused the API key.", status=502, code="provider_refused_key"
            )
        if status >= 500:
            raise ProviderError(
                f"The provider of {target.key!r} answered {status}: {text[:200]!r}.",
                status=502,
                code="provider_failed",
            )

    async def close(self) -> None:
        """The connections are the session's."""


def request_for_target(target: Target, body: Mapping[str, Any]) -> Body:
    """Return a request as this model gets it: under its own name, with its parameters; null takes a field away."""
    request = {**body, "model": target.model, **target.parameters}
    for name, value in target.parameters.items():
        if value is None:
            del request[name]
    return request


def environment(names: Iterable[str]) -> str | None:
    """Return the first of the environment's variables that is set. The environment counts at each call."""
    return next((value for name in names if (value := os.environ.get(name, "").strip())), None)


async def _events_from_first(
    first_event: Event | Body | None, events: AsyncGenerator[Event | Body, None]
) -> AsyncGenerator[Event | Body, None]:
    if first_event is not None:
        yield first_event
        async for event in events:
            yield event


def _chunks(address: Address, body: Body, events: Iterable[Event]) -> Iterator[Body]:
    """Yield the chunks of a stream that came as a whole. Raises `ProviderError` where it broke off."""
    reader = ChunkReader(address, body)
    yield from (reader.read(event) for event in events if not _is_last(event))
    if not reader.is_finished:
        raise unfinished(address, reader.unfinished)


def _is_last(event: Event) -> bool:
    return event.data.startswith(b"[DONE]")


def _address(target: Target, path: str) -> Address:
    names, default = ENDPOINTS[target.provider]
    endpoint = target.endpoint or environment(names) or default
    key = target.api_key or environment(KEY_VARIABLES[target.provider])
    if target.provider == "azure":
        return Address.for_target(target, _azure_url(target, endpoint, path), key, {"api-key": key} if key else {})
    key_headers = {"Authorization": f"Bearer {key}"} if key else {}
    return Address.for_target(target, _url_below(endpoint, path), key, key_headers)


def _url_below(endpoint: str, path: str) -> str:
    """Return the URL of a path below an endpoint, which may have a query of its own."""
    base, mark, query = endpoint.partition("?")
    return f"{base.rstrip('/')}{path}{mark}{query}"


def _azure_url(target: Target, endpoint: str, path: str) -> str:
    """Azure names the model's deployment in the path and the API's version in the query."""
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        # That it is none is told where it is called.
        return endpoint
    base = parts.path.rstrip("/")
    query = parts.query
    if "/openai/v1" not in base:
        if "/openai/deployments/" not in base:
            base = f"{base.removesuffix('/openai')}/openai/deployments/{quote(target.model, safe='')}"
        if "api-version=" not in query:
            version = f"api-version={os.environ.get('OPENAI_API_VERSION') or AZURE_VERSION}"
            query = f"{query}&{version}" if query else version
    return urlunsplit((parts.scheme, parts.netloc, base + path, query, ""))
