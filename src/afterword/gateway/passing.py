"""Calls of operations beside texts: speech, images and the like. They go to providers that have the operation as they
came, but for the model, and their answers come back as they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import NamedTuple

from afterword import json_text
from afterword.gateway.events import EVENT_STREAM
from afterword.gateway.failures import MAX_ANSWER_BYTES, error_in_answer, read_object, too_large
from afterword.gateway.http import Address, Http
from afterword.gateway.multipart import Form
from afterword.gateway.provider import PASSED_PATHS, Body, Operation, ProviderError, request_for_target
from afterword.gateway.providers import SPECS
from afterword.gateway.response import ProviderResponse
from afterword.types import Target


class PassedCall(NamedTuple):
    """A call that is passed on: a JSON object or a form, without Afterword's own fields."""

    operation: Operation
    body: Body | Form

    def content_for(self, target: Target) -> tuple[str, bytes]:
        """Return the content type and the body for a model."""
        if isinstance(self.body, Form):
            return self.body.content_type, self.body.for_target(target)
        return "application/json", json_text.encode(request_for_target(target, self.body))


class PassedAnswer:
    """An answer that has begun. Close it in any case."""

    def __init__(self, address: Address, operation: Operation, kind: str, parts: AsyncGenerator[bytes, None]) -> None:
        self.address = address
        self.kind = kind
        """Its content type."""
        self.is_events = kind.startswith(EVENT_STREAM)
        self.is_object = "json" in kind
        self.is_streamed = self.is_events or (operation == "speech" and not self.is_object)
        self._parts = parts

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """Yield its bytes as they arrive. Raises `ProviderError` above MAX_ANSWER_BYTES, and if it breaks off."""
        size = 0
        async for part in self._parts:
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise too_large(self.address)
            yield part

    async def read(self) -> bytes:
        """Return the whole of it."""
        return b"".join([part async for part in self.parts()])

    def as_object(self, raw: bytes) -> Body:
        """Return a whole answer as an object. Raises `ProviderError` if it is none, or an error."""
        answer = read_object(self.address, raw, self.kind)
        if answer.get("error"):
            raise error_in_answer(self.address, answer)
        return answer

    async def close(self) -> None:
        """Close the connection to the provider."""
        await self._parts.aclose()


async def begin_answer(http: Http, target: Target, call: PassedCall, response: ProviderResponse) -> PassedAnswer:
    """Pass a call on to a model and return its answer, which has begun. Raises `ProviderError`."""
    address_of = SPECS[target.provider].passed_address
    if address_of is None:
        raise ProviderError(
            f"The provider of {target.key!r} has no {call.operation.replace('_', ' ')}.",
            status=400,
            code="unsupported",
            param="model",
            hint="Models of OpenAI, of Azure and of servers with OpenAI's API may have them.",
            retryable=True,
        )
    kind, content = call.content_for(target)
    address = address_of(target, PASSED_PATHS[call.operation])
    address = address._replace(headers={**address.headers, "Content-Type": kind})
    parts = http.parts(address, content, response)
    try:
        answer_kind = await anext(parts)
    except BaseException:
        await parts.aclose()
        raise
    return PassedAnswer(address, call.operation, answer_kind.decode("latin-1"), parts)
