"""Models of Anthropic, called through its Messages API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from afterword import json_text
from afterword.gateway.answers import as_chunk
from afterword.gateway.assembling import assemble
from afterword.gateway.call_format import FormatEvent
from afterword.gateway.events import Event
from afterword.gateway.failures import error_in_answer, hung_up, read_object, unreadable
from afterword.gateway.formats.messages.chat_answers import StreamTranslation, chat_completion
from afterword.gateway.formats.messages.errors import find_error
from afterword.gateway.http import Address, Http
from afterword.gateway.provider import Body, NativeAddress, NativeForm, Operation, ProviderError, ProviderSpec
from afterword.gateway.providers.anthropic_requests import messages_request, native_messages_request
from afterword.gateway.response import ProviderResponse
from afterword.types import Target

VERSION = "2023-06-01"


class AnthropicAdapter:
    """The adapter of the provider `anthropic`."""

    def __init__(self, http: Http, spec: ProviderSpec) -> None:
        self._http = http

    async def answer(self, target: Target, operation: Operation, body: Body, response: ProviderResponse) -> Body:
        """Return the whole answer. Each choice takes a call of its own; the calls are concurrent."""
        address = _address(target, operation)
        request = _request_bytes(target, body, response)
        calls = [self._http.post(address, request, response) for _ in range(_choice_count(target, body))]
        answers = [_answer_in_openai_form(address, message, operation) for message in await _gathered_results(calls)]
        combined_answer = answers[0]
        for index, further_answer in enumerate(answers[1:], 1):
            combined_answer["choices"].append({**further_answer["choices"][0], "index": index})
            for name in ("completion_tokens", "total_tokens"):
                combined_answer["usage"][name] += further_answer["usage"][name]
        return combined_answer

    async def stream(
        self, target: Target, operation: Operation, body: Body, response: ProviderResponse
    ) -> AsyncGenerator[Body, None]:
        """Yield the chunks as they arrive."""
        if _choice_count(target, body) > 1:
            raise ProviderError(
                f"n is {body['n']}, but {target.key!r} streams one choice at a time.",
                status=400,
                code="unsupported_value",
                param="n",
                hint="Leave n out, or call without stream.",
            )
        address = _address(target, operation)
        request = _request_bytes(target, body, response, stream=True)
        translation = StreamTranslation(operation)
        async with aclosing(self._http.events(address, request, _is_last, response)) as events:
            async for event in events:
                if isinstance(event, dict):
                    yield as_chunk(_answer_in_openai_form(address, event, operation))
                    return
                for chunk in _chunks_of_event(translation, address, event.data):
                    yield chunk
        if not translation.is_finished:
            raise hung_up(address)

    async def check(self, target: Target) -> None:
        """Request the model by its name. Raises `ProviderError`."""
        status, _ = await self._http.probe(_address_of_path(target, f"/v1/models/{quote(target.model, safe='')}"))
        if status in (401, 403):
            raise ProviderError(
                f"The provider of {target.key!r} refused the API key.", status=502, code="provider_refused_key"
            )
        if status == 404 or status >= 500:
            raise ProviderError(
                f"The provider of {target.key!r} answered {status}.", status=502, code="provider_failed"
            )

    async def close(self) -> None:
        """Do nothing: the HTTP session owns the connections."""


def _choice_count(target: Target, body: Body) -> int:
    """Return the number of choices that a request asks for. Raises `ProviderError` if `n` is not a positive integer."""
    number = body.get("n") or 1
    if isinstance(number, int) and number > 0:
        return number
    raise ProviderError(
        f"n is {number!r}, but {target.key!r} is asked for a number of choices.",
        status=400,
        code="invalid_value",
        param="n",
        hint="Give a positive integer, or leave n out.",
        sent=False,
    )


def _request_bytes(target: Target, body: Body, response: ProviderResponse, **extra_fields: Any) -> bytes:
    """Return the translated request as JSON. Raises `ProviderError` if it does not follow OpenAI's API."""
    try:
        request = messages_request(target, body)
        response.left_out += request.left_out
        return json_text.encode({**request.body, **extra_fields})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProviderError(
            f"The call cannot be put into the form of Anthropic's API: {type(error).__name__}: {error}.",
            status=400,
            code="untranslatable",
            hint="Check messages, tools and response_format against OpenAI's reference.",
            sent=False,
        ) from None


def _answer_in_openai_form(address: Address, message: Body | list[Event], operation: Operation) -> Body:
    """Return an answer in OpenAI's form. Raises `ProviderError` if it is an error, or malformed."""
    if isinstance(message, list):
        translation = StreamTranslation(operation)
        chunks = [chunk for event in message for chunk in _chunks_of_event(translation, address, event.data)]
        if not translation.is_finished:
            raise hung_up(address)
        return assemble(operation, chunks)
    _raise_error_within(address, message)
    try:
        return chat_completion(message, operation)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise unreadable(address, "a message of another form", json_text.encode(message)) from None


def _raise_error_within(address: Address, body: Body) -> None:
    """Raise the `ProviderError` that an answer or an event tells of."""
    if found := find_error(body):
        raise error_in_answer(address, found.error, found.status)


def _chunks_of_event(translation: StreamTranslation, address: Address, data: bytes) -> Iterable[Body]:
    """Return the chunks that an event is translated to. Raises `ProviderError`."""
    event = read_object(address, data)
    _raise_error_within(address, event)
    try:
        return translation.take(FormatEvent("", event))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise unreadable(address, "an event of another form", data) from None


async def _gathered_results(calls: list[Any]) -> list[Body | list[Event]]:
    if len(calls) == 1:
        return [await calls[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


def _is_last(event: Event) -> bool:
    return event.name == b"message_stop"


def _address_of_path(target: Target, path: str, version: str = VERSION) -> Address:
    base, api_key = (SPEC.find_endpoint(target) or "").rstrip("/").removesuffix("/v1"), SPEC.find_api_key(target)
    headers = {"anthropic-version": version, **({"x-api-key": api_key} if api_key else {})}
    return Address.for_target(target, base + path, api_key, headers)


def _address(target: Target, operation: Operation) -> Address:
    if operation == "embeddings":
        raise ProviderError(
            f"The provider of {target.key!r} has no embeddings.", status=400, code="unsupported", param="model"
        )
    return _address_of_path(target, "/v1/messages")


def _native_address(path: str) -> NativeAddress:
    def address(target: Target, headers: Mapping[str, str], _: bool) -> Address:
        return _address_of_path(target, path, headers.get("anthropic-version", VERSION)).with_headers(headers)

    return address


def _token_count_request(target: Target, body: Body) -> Body:
    # The parameters of a model are about its answers.
    return {**body, "model": target.model}


SPEC = ProviderSpec(
    name="anthropic",
    title="Anthropic",
    adapter=AnthropicAdapter,
    otel_name="anthropic",
    endpoint="https://api.anthropic.com",
    endpoint_variables=("ANTHROPIC_BASE_URL",),
    api_key_variables=("ANTHROPIC_API_KEY",),
    native_formats={
        "messages": NativeForm(_native_address("/v1/messages"), native_messages_request),
        "count_tokens": NativeForm(_native_address("/v1/messages/count_tokens"), _token_count_request),
    },
    graphql_name="ANTHROPIC",
    graphql_inputs=("anthropic",),
)
