"""A stream on its way from the provider to the caller: given its ids, and put together to be kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

from afterword import json_text
from afterword.errors import AfterwordError
from afterword.gateway.accumulator import MessageAccumulator
from afterword.gateway.facts import FactsAccumulator
from afterword.gateway.provider import Body, Face
from afterword.gateway.relay import Gateway, Streamed
from afterword.gateway.response import ProviderResponse
from afterword.ids import uuid7
from afterword.service.calls import Call, Choice, Outcome, estimated_usage
from afterword.service.routing import Route
from afterword.types import State


class Form(NamedTuple):
    """What a caller makes of deltas.

    OpenAI's own client `joins` every text of them, also those that stand for themselves: an id in each would become one
    long text. adaptive-sdk wants them `whole`: role and content in each.
    """

    joins: bool
    whole: bool

    @classmethod
    def of(cls, agent: bytes) -> Form:
        """Return what the caller with this User-Agent does."""
        return cls(b"OpenAI/" in agent, agent.startswith(b"adaptive_sdk"))


class Relay:
    """A stream on its way through: each chunk gets its ids and leaves; what was said is kept."""

    def __init__(
        self, call: Call, where: Route, face: Face, form: Form, *, accepted: float, asked_for_usage: bool
    ) -> None:
        self.call = call
        self.face: Face = face
        self.form = form
        self.accepted = accepted
        self.where = where
        self.asked_for_usage = asked_for_usage
        self.messages: dict[int, MessageAccumulator] = {}
        self.usage: dict[str, Any] | None = None
        self.facts = FactsAccumulator(call.context.settings.max_facts)
        self.stream: Streamed | None = None
        self.first_word: float | None = None
        self.head: Body = {}
        self.seconds = 0.0

    async def open(
        self, gateway: Gateway, opening: asyncio.Future[None], body: Body, response: ProviderResponse
    ) -> None:
        """Have the stream begin, and the interaction stored meanwhile; `seconds` is then what the provider took."""
        targets = [target for _, target in self.where.targets]
        try:
            self.stream = await gateway.stream(targets, self.face, body, response)
        finally:
            try:
                await in_any_case(opening)
            except BaseException:
                if self.stream:
                    await self.stream.close()
                raise

        self.seconds = self.stream.first_at - self.stream.started

    async def chunks(self, asked: list[Any]) -> AsyncGenerator[Body, None]:
        """Yield the chunks as the caller is to get them. `asked` is what usage is estimated of, where none comes."""
        assert self.stream is not None
        try:
            async for chunk in self.stream:
                if await self._mark(chunk):
                    yield chunk
        finally:
            await self.stream.close()
        if self.asked_for_usage and self.usage is None:
            self.usage = self._estimated(asked)
            yield {**self.head, "choices": [], "usage": self.usage}

    def _estimated(self, asked: list[Any]) -> dict[str, Any]:
        return estimated_usage(asked, [message.text for message in self.messages.values()])

    async def _mark(self, chunk: Body) -> bool:
        """Give a chunk its ids and note what it says. Tell whether the caller is to see it."""
        call, model = self.call, self.where.targets[self.stream.target if self.stream else 0][0]
        self.facts.take(chunk)
        chunk.setdefault("id", self.head.get("id") or f"chatcmpl-{uuid7().hex}")
        chunk.setdefault("created", int(time.time()))
        chunk["session_id"] = call.session_id
        if not self.head:
            self.head = {name: value for name, value in chunk.items() if name not in ("choices", "usage")}
        if is_usage(usage := chunk.get("usage")):
            self.usage = usage
        if not self.asked_for_usage:
            chunk.pop("usage", None)
        choices = chunk.get("choices")
        if not choices:
            chunk.setdefault("choices", [])
            return "usage" in chunk or usage is None
        for choice in choices:
            index = choice.setdefault("index", 0)
            message = self.messages.get(index)
            is_first = message is None
            if message is None:
                message = self.messages[index] = MessageAccumulator()
                if index not in call.ids:
                    call.completion_id(index)
                    await call.open([index])
            if message.take(choice) and self.first_word is None:
                self.first_word = time.perf_counter()
            choice["completion_id"] = call.ids[index]
            choice["model"] = model.key
            if "text" not in choice:
                self._complete(choice, chunk, is_first)
        return True

    def _complete(self, choice: Body, chunk: Body, is_first: bool) -> None:
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice["delta"] = {}
        if is_first or not self.form.joins:
            delta.setdefault("id", f"{chunk['id']}-{choice['index']}")
        if self.form.whole:
            delta.setdefault("role", "assistant")
            if delta.get("content") is None:
                delta["content"] = ""

    def outcome(
        self, state: State, error: AfterwordError | None, *, asked: list[Any], started: float, overhead: float
    ) -> Outcome:
        """Return how the call ended, with all that was said until then."""
        now = time.perf_counter()
        target = self.stream.target if self.stream else 0
        usage = self.usage
        if usage is None:
            usage = self._estimated(asked) if self.messages else {}
        choices: dict[int, Choice] = {}
        replaced: list[json_text.Replacement] = []
        for index, message in self.messages.items():
            said, facts = message.message() or message.text, self.facts.of_choice(index)
            choices[index], in_choice = storable_choice(index, said, message.finish_reason, facts)
            replaced += in_choice
        usage, in_usage = json_text.repair(usage, "usage")
        return Outcome(
            face=self.face,
            state=state,
            choices=choices,
            model=self.where.targets[target][0],
            usage=usage,
            latency=now - self.accepted,
            provider_time=now - (self.stream.started if self.stream else started),
            overhead=overhead,
            ttft=self.first_word - self.accepted if self.first_word else None,
            error=error,
            attempts=self.stream.attempts if self.stream else (),
            origin=json_text.repair(self.facts.origin)[0],
            replaced=json_text.as_rows(replaced + in_usage),
        )


async def in_any_case(work: asyncio.Future[None]) -> None:
    """Wait for work that must not be cut off; a cancellation that comes meanwhile takes effect after it."""
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def storable_choice(
    index: int, said: Any, finish_reason: str | None, facts: dict[str, Any] | None
) -> tuple[Choice, list[json_text.Replacement]]:
    """Return a choice as it can be stored, and what was replaced in it."""
    said, in_message = json_text.repair(said, f"choices[{index}].message")
    facts, in_facts = json_text.repair(facts, f"choices[{index}].facts")
    return Choice(said, finish_reason, facts), in_message + in_facts


def is_usage(usage: Any) -> bool:
    """Tell whether this is what a provider says of tokens."""
    return isinstance(usage, dict) and isinstance(usage.get("prompt_tokens"), int)
