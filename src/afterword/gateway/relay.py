"""The gateway: calls a model's provider, and the fallback models if that fails."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

from afterword.errors import Invalid
from afterword.gateway.call_format import FormatCall
from afterword.gateway.http import Http, Timeouts
from afterword.gateway.native import NativeAnswer, NativeCalls, NativeEvent
from afterword.gateway.passing import PassedAnswer, PassedCall, begin_answer
from afterword.gateway.provider import Body, Operation, Provider, ProviderError
from afterword.gateway.providers import SPECS
from afterword.gateway.response import ProviderResponse
from afterword.types import Target

CHECK_VALID_SECONDS = 30.0


class Attempt(NamedTuple):
    """A model that failed before another one was called."""

    model: str
    error: ProviderError


class GatewayAnswer(NamedTuple):
    """A whole answer: the index of the target that gave it, the failed attempts before, and the provider's seconds.

    `body` is in the form of OpenAI's API. `native` is the provider's own answer if it is in the form of the call.
    """

    body: Body
    target: int
    attempts: list[Attempt]
    seconds: float
    native: Body | None


class Gateway:
    """All providers behind one object. Each server process has one, and closes it at the end.

    A call is a request in OpenAI's form, or a `FormatCall`. Of the latter, targets that speak its form get the caller's
    own request, and others its translation to chat. `Invalid` is raised if that is impossible.
    """

    def __init__(self, timeouts: Timeouts, max_calls: int) -> None:
        self._http = Http(timeouts, max_calls)
        self._check_results: dict[str, tuple[Target, float, ProviderError | None]] = {}
        self._providers: dict[str, Provider] = {name: spec.adapter(self._http, spec) for name, spec in SPECS.items()}
        self._native_calls = NativeCalls(self._http)

    async def answer(
        self, targets: Sequence[Target], operation: Operation, call: Body | FormatCall, response: ProviderResponse
    ) -> GatewayAnswer:
        """Return the answer of the first target that gives one. Raises the `ProviderError` of the last target.

        `response` then describes the answer of that target, or of the last target that was called.
        """
        attempts: list[Attempt] = []
        for position, target in enumerate(targets):
            started = time.perf_counter()
            response.reset()
            try:
                if isinstance(call, FormatCall):
                    body, native = await self._answer_in_form(target, call, response)
                else:
                    body = await self._providers[target.provider].answer(target, operation, call, response)
                    native = None
                return GatewayAnswer(body, position, attempts, time.perf_counter() - started, native)
            except ProviderError as error:
                _note_failure(error, position, targets, attempts)
            except Invalid:
                _raise_earlier_failure(attempts)
                raise
        raise AssertionError("there is at least one target")

    async def find_native_answer(self, target: Target, call: FormatCall, response: ProviderResponse) -> Body | None:
        """Return a target's whole answer in the call's own form; None if its API does not speak that.

        Raises `ProviderError`.
        """
        if not self._native_calls.takes(target, call):
            return None
        try:
            return (await self._native_calls.answer(target, call, response)).native
        except ProviderError as error:
            if not self._native_calls.remember_missing_path(target, call, error):
                raise
            response.reset()
            return None

    async def _answer_in_form(self, target: Target, call: FormatCall, response: ProviderResponse) -> NativeAnswer:
        if self._native_calls.takes(target, call):
            try:
                return await self._native_calls.answer(target, call, response)
            except ProviderError as error:
                if not self._native_calls.remember_missing_path(target, call, error):
                    raise
                response.reset()
        body = _chat_request(call, response)
        return NativeAnswer(await self._providers[target.provider].answer(target, "chat", body, response), None)

    async def stream(
        self, targets: Sequence[Target], operation: Operation, call: Body | FormatCall, response: ProviderResponse
    ) -> GatewayStream:
        """Return the stream of the first target that begins one. Raises the `ProviderError` of the last target."""
        attempts: list[Attempt] = []
        for position, target in enumerate(targets):
            started = time.perf_counter()
            response.reset()
            chunks = (
                self._stream_in_form(target, call, response)
                if isinstance(call, FormatCall)
                else self._providers[target.provider].stream(target, operation, call, response)
            )
            try:
                first_chunk = await anext(chunks, None)
                if first_chunk is None:
                    raise ProviderError(
                        f"The provider of {target.key!r} answered with an empty stream.",
                        status=502,
                        code="provider_hung_up",
                        retryable=True,
                    )
                return GatewayStream(first_chunk, chunks, position, attempts, started)
            except ProviderError as error:
                await chunks.aclose()
                _note_failure(error, position, targets, attempts)
            except Invalid:
                _raise_earlier_failure(attempts)
                raise
            except BaseException:
                await chunks.aclose()
                raise
        raise AssertionError("there is at least one target")

    async def _stream_in_form(
        self, target: Target, call: FormatCall, response: ProviderResponse
    ) -> AsyncGenerator[Body | NativeEvent, None]:
        if self._native_calls.takes(target, call):
            has_begun = False
            try:
                async with aclosing(self._native_calls.stream(target, call, response)) as events:
                    async for event in events:
                        has_begun = True
                        yield event
                return
            except ProviderError as error:
                if has_begun or not self._native_calls.remember_missing_path(target, call, error):
                    raise
                response.reset()
        body = _chat_request(call, response)
        async with aclosing(self._providers[target.provider].stream(target, "chat", body, response)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def pass_on(
        self, targets: Sequence[Target], call: PassedCall, response: ProviderResponse
    ) -> tuple[PassedAnswer, int, list[Attempt]]:
        """Return the answer of the first target that begins one, the target's index, and the failed attempts before.

        Raises the `ProviderError` of the last target.
        """
        attempts: list[Attempt] = []
        for position, target in enumerate(targets):
            response.reset()
            try:
                return await begin_answer(self._http, target, call, response), position, attempts
            except ProviderError as error:
                _note_failure(error, position, targets, attempts)
        raise AssertionError("there is at least one target")

    async def check(self, target: Target) -> float:
        """Return when the target was last reachable, in seconds since 1970. Raises `ProviderError`.

        A result is reused for CHECK_VALID_SECONDS.
        """
        checked_at = self.find_last_check(target)
        if checked_at is not None:
            return checked_at
        failure = None
        try:
            await self._providers[target.provider].check(target)
        except ProviderError as error:
            failure = error
        checked_at = time.time()
        self._check_results[target.key] = (target, checked_at, failure)
        if failure is not None:
            raise failure
        return checked_at

    def find_last_check(self, target: Target) -> float | None:
        """Return when a check of the last CHECK_VALID_SECONDS reached the target; None if there was none.

        Raises that check's `ProviderError`.
        """
        check_result = self._check_results.get(target.key)
        if check_result is None or check_result[0] != target or time.time() - check_result[1] > CHECK_VALID_SECONDS:
            return None
        if check_result[2] is not None:
            raise check_result[2]
        return check_result[1]

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()


def _chat_request(call: FormatCall, response: ProviderResponse) -> Body:
    """Return the request for a provider of chat. Raises `Invalid` for what no provider of chat can do."""
    request = call.format.provider_request(call.body, call.chat_request)
    response.left_out += request.left_out
    return request.body


def _note_failure(error: ProviderError, position: int, targets: Sequence[Target], attempts: list[Attempt]) -> None:
    """Record that a target failed; raise its error if no other target may be tried."""
    if not error.retryable or position + 1 == len(targets):
        raise error
    attempts.append(Attempt(targets[position].key, error))


def _raise_earlier_failure(attempts: Sequence[Attempt]) -> None:
    """Raise the error of the target that failed last, if there is one. That a fallback cannot take the call is no
    reason why it failed."""
    if attempts:
        raise attempts[-1].error from None


class GatewayStream:
    """A stream that has begun. Iterate over its chunks, and close it in any case.

    They are chunks of OpenAI's form, or events of the call's own form if the provider speaks that (`is_native`).
    """

    def __init__(
        self,
        first_chunk: Body | NativeEvent,
        following_chunks: AsyncGenerator[Body, None] | AsyncGenerator[Body | NativeEvent, None],
        target: int,
        attempts: list[Attempt],
        started: float,
    ) -> None:
        self.target = target
        self.attempts = attempts
        self.started = started
        self.first_at = time.perf_counter()
        self.is_native = isinstance(first_chunk, NativeEvent)
        self._first_chunk = first_chunk
        self._following_chunks = following_chunks

    async def __aiter__(self) -> AsyncGenerator[Any, None]:
        async with aclosing(self._following_chunks) as following_chunks:
            yield self._first_chunk
            async for chunk in following_chunks:
                yield chunk

    async def close(self) -> None:
        """Close the connection to the provider."""
        await self._following_chunks.aclose()
