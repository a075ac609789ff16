"""From a model to its provider, or to the next of them, and back."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from afterword.gateway.anthropic import Anthropic
from afterword.gateway.echo import Echo
from afterword.gateway.http import Http, Timeouts
from afterword.gateway.openai import OpenAI
from afterword.gateway.provider import Body, Face, Provider, ProviderError, Target
from afterword.gateway.response import ProviderResponse

CHECK_HOLDS = 30.0


class Attempt(NamedTuple):
    """A model that was called and failed, before another was."""

    model: str
    error: ProviderError


class Answered(NamedTuple):
    """A whole answer: by which of the targets, after which failed ones, how many seconds the provider took."""

    body: Body
    target: int
    attempts: list[Attempt]
    seconds: float


class Gateway:
    """The way to all providers. One for each server process; `close` it at the end."""

    def __init__(self, timeouts: Timeouts, most_calls: int) -> None:
        http = Http(timeouts, most_calls)
        compatible = OpenAI(http)
        self._http = http
        self._checked: dict[str, tuple[Target, float, ProviderError | None]] = {}
        self._providers: dict[str, Provider] = {
            "echo": Echo(),
            "open_ai": compatible,
            "azure": compatible,
            "google": compatible,
            "anthropic": Anthropic(http),
        }

    async def answer(self, targets: Sequence[Target], face: Face, body: Body, response: ProviderResponse) -> Answered:
        """Return the answer of the first target that gives one. Raises the last one's `ProviderError`.

        `response` then tells of that target's answer, or of the last one's that was called.
        """
        attempts: list[Attempt] = []
        for place, target in enumerate(targets):
            started = time.perf_counter()
            response.reset()
            try:
                answer = await self._providers[target.provider].answer(target, face, body, response)
                return Answered(answer, place, attempts, time.perf_counter() - started)
            except ProviderError as error:
                _go_on(error, place, targets, attempts)
        raise AssertionError("there is at least one target")

    async def stream(self, targets: Sequence[Target], face: Face, body: Body, response: ProviderResponse) -> Streamed:
        """Return the stream of the first target that begins one. Raises the last one's `ProviderError`."""
        attempts: list[Attempt] = []
        for place, target in enumerate(targets):
            started = time.perf_counter()
            response.reset()
            chunks = self._providers[target.provider].stream(target, face, body, response)
            try:
                first = await anext(chunks, None)
                if first is None:
                    raise ProviderError(
                        f"The provider of {target.key!r} answered with an empty stream.",
                        status=502,
                        code="provider_hung_up",
                        retryable=True,
                    )
                return Streamed(first, chunks, place, attempts, started)
            except ProviderError as error:
                await chunks.aclose()
                _go_on(error, place, targets, attempts)
            except BaseException:
                await chunks.aclose()
                raise
        raise AssertionError("there is at least one target")

    async def check(self, target: Target) -> float:
        """Return when the target was last found to be there, in seconds since 1970. Raises `ProviderError`.

        What was found holds for CHECK_HOLDS seconds.
        """
        checked = self.last_check(target)
        if checked is not None:
            return checked
        failure = None
        try:
            await self._providers[target.provider].check(target)
        except ProviderError as error:
            failure = error
        checked = time.time()
        self._checked[target.key] = (target, checked, failure)
        if failure is not None:
            raise failure
        return checked

    def last_check(self, target: Target) -> float | None:
        """Return when the target was found to be there, in the last CHECK_HOLDS seconds; None where nobody looked.

        Raises the `ProviderError` that was found.
        """
        held = self._checked.get(target.key)
        if held is None or held[0] != target or time.time() - held[1] > CHECK_HOLDS:
            return None
        if held[2] is not None:
            raise held[2]
        return held[1]

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()


def _go_on(error: ProviderError, place: int, targets: Sequence[Target], attempts: list[Attempt]) -> None:
    """Note that a target failed; raise its error where no other may be tried."""
    if not error.retryable or place + 1 == len(targets):
        raise error
    attempts.append(Attempt(targets[place].key, error))


class Streamed:
    """A stream that has begun: iterate over its chunks, the first among them. Close it in any case."""

    def __init__(
        self, first: Body, rest: AsyncGenerator[Body, None], target: int, attempts: list[Attempt], started: float
    ) -> None:
        self.target = target
        self.attempts = attempts
        self.started = started
        self.first_at = time.perf_counter()
        self._first = first
        self._rest = rest

    async def __aiter__(self) -> AsyncGenerator[Body, None]:
        async with aclosing(self._rest) as rest:
            yield self._first
            async for chunk in rest:
                yield chunk

    async def close(self) -> None:
        """Hang up on the provider."""
        await self._rest.aclose()
