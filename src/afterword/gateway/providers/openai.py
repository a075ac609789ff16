"""OpenAI, and other providers with its API: vLLM, Ollama, llama.cpp, Groq, OpenRouter and others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing

from afterword import json_text
from afterword.gateway.answers import ChunkReader, as_chunk, check_answer
from afterword.gateway.assembling import assemble
from afterword.gateway.events import Event
from afterword.gateway.failures import hung_up, unfinished
from afterword.gateway.http import Address, Http
from afterword.gateway.provider import Body, NativeForm, Operation, ProviderError, ProviderSpec, request_for_target
from afterword.gateway.refused_fields import OPTIONAL_FIELDS, RefusedFields, leave_out
from afterword.gateway.response import ProviderResponse
from afterword.types import Target

PATHS: dict[Operation, str] = {"chat": "/chat/completions", "completions": "/completions", "embeddings": "/embeddings"}


class OpenAIAdapter:
    """The adapter of providers that speak OpenAI's API."""

    probe_path = "/models"

    def __init__(self, http: Http, spec: ProviderSpec) -> None:
        self.spec = spec
        self._http = http
        self._refused_fields = RefusedFields()

    async def answer(self, target: Target, operation: Operation, body: Body, response: ProviderResponse) -> Body:
        """Return the whole answer."""
        address = self.address(target, PATHS[operation])
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
        """Return the request for this target, without the fields that it is known to refuse."""
        request = request_for_target(target, body)
        left_out = {name for name in self.spec.refused_fields if name in request}
        left_out |= {name for name in self._refused_fields.fields_to_leave_out(target) if name in request}
        leave_out(request, left_out)
        if not request.get("stream"):
            # extra_params may have switched streaming off.
            request.pop("stream_options", None)
        response.left_out += [name for name in OPTIONAL_FIELDS if name in left_out and name != "stream_options"]
        return request

    def _without_refused(
        self, error: ProviderError, target: Target, request: Body, own_options: Body, response: ProviderResponse
    ) -> set[str]:
        """Remove from a request the fields that the provider's error complains about, and return their names.

        Raises the error if there are none. `own_options` are the caller's stream options.
        """
        options = request.get("stream_options")
        refused = self._refused_fields.find_refused_names(
            error, target, request, has_added_options=options != own_options
        )
        if "stream_options" in refused and options == own_options and own_options.keys() - {"include_usage"}:
            # These are the caller's own options, and have members that the gateway cannot make up for.
            refused.discard("stream_options")
        if not refused:
            raise error
        leave_out(request, refused)
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
        # OpenAI sends the usage of a stream only on request.
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
        """Yield the chunks as they arrive."""
        address = self.address(target, PATHS[operation])
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
            # [DONE] alone is no proof: proxies also send it after a stream that was cut off.
            raise unfinished(address, reader.unfinished) if is_done else hung_up(address)

    async def check(self, target: Target) -> None:
        """Send the cheapest request that the API has, usually for the list of models. Raises `ProviderError`."""
        address = self.address(target, self.probe_path)
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
        """Do nothing: the HTTP session owns the connections."""

    def address(self, target: Target, path: str) -> Address:
        """Return the URL for a path of the API, with the headers that authorize a request."""
        return _api_address(self.spec, target, path)


def _api_address(spec: ProviderSpec, target: Target, path: str) -> Address:
    api_key = spec.find_api_key(target)
    base, mark, query = (spec.find_endpoint(target) or "").partition("?")
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return Address.for_target(target, f"{base.rstrip('/')}{path}{mark}{query}", api_key, headers)


def _responses_address(target: Target, headers: Mapping[str, str], _: bool) -> Address:
    return _api_address(SPEC, target, "/responses").with_headers(headers)


async def _events_from_first(
    first_event: Event | Body | None, events: AsyncGenerator[Event | Body, None]
) -> AsyncGenerator[Event | Body, None]:
    if first_event is not None:
        yield first_event
        async for event in events:
            yield event


def _chunks(address: Address, body: Body, events: Iterable[Event]) -> Iterator[Body]:
    """Yield the chunks of a stream that was read as a whole. Raises `ProviderError` if it was cut off."""
    reader = ChunkReader(address, body)
    yield from (reader.read(event) for event in events if not _is_last(event))
    if not reader.is_finished:
        raise unfinished(address, reader.unfinished)


def _is_last(event: Event) -> bool:
    return event.data.startswith(b"[DONE]")


SPEC = ProviderSpec(
    name="open_ai",
    title="OpenAI, or what speaks its API",
    adapter=OpenAIAdapter,
    otel_name="openai",
    endpoint="https://api.openai.com/v1",
    endpoint_variables=("OPENAI_BASE_URL",),
    api_key_variables=("OPENAI_API_KEY",),
    native_formats={"responses": NativeForm(_responses_address)},
    passed_address=lambda target, path: _api_address(SPEC, target, path),
    graphql_name="OPEN_AI",
    graphql_inputs=("openAI", "legacyOpenAI", "nvidia"),
)
