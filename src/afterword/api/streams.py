"""Forwards a stream from the provider to the caller: adds ids, and assembles the answer for the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

import msgspec

from afterword import json_text
from afterword.errors import AfterwordError
from afterword.gateway.accumulator import MessageAccumulator
from afterword.gateway.call_format import FormatCall
from afterword.gateway.facts import FactsAccumulator
from afterword.gateway.provider import Body, Operation
from afterword.gateway.relay import Gateway, GatewayStream
from afterword.gateway.response import ProviderResponse
from afterword.service.interactions.calls import CallRecorder, CallResult, Choice, estimated_usage
from afterword.service.models.routing import ModelRoute
from afterword.types import State

_encoder = msgspec.json.Encoder()
MAX_REASON_CHARACTERS = 200
"""The same limit as for the finish reason of a call that was made elsewhere."""


class DeltaForm(NamedTuple):
    """How a client treats the deltas of a stream.

    OpenAI's client `joins_texts`: it concatenates every text member of the deltas, so that an id in each would become
    one long text. adaptive-sdk `needs_whole_deltas`: role and content in each.
    """

    joins_texts: bool
    needs_whole_deltas: bool

    @classmethod
    def of(cls, agent: bytes) -> DeltaForm:
        """Return the form for a client with this User-Agent."""
        return cls(b"OpenAI/" in agent, agent.startswith(b"adaptive_sdk"))


class Opening:
    """The storing of a call's interaction before its first chunk is sent: at once, or only when the answer begins."""

    def __init__(self, call: CallRecorder) -> None:
        self._call = call
        self._future: asyncio.Future[None] | None = None

    def start(self) -> asyncio.Future[None]:
        """Start it, if it was not started yet. The future is done once the interaction is on disk."""
        if self._future is None:
            self._future = asyncio.ensure_future(self._call.open(list(self._call.ids)))
        return self._future

    async def wait(self) -> None:
        """Wait until it is done, if it was started. A cancellation during the wait takes effect afterwards."""
        if self._future is None:
            return
        try:
            await asyncio.shield(self._future)
        except asyncio.CancelledError:
            await asyncio.wait([self._future])
            raise


class Relay:
    """Forwards one stream: adds ids to each chunk, and keeps the text for the store."""

    def __init__(
        self,
        call: CallRecorder,
        model_route: ModelRoute,
        operation: Operation,
        delta_form: DeltaForm,
        *,
        accepted_at: float,
        asked_for_usage: bool,
    ) -> None:
        self.call = call
        self.operation: Operation = operation
        self.delta_form = delta_form
        self.accepted_at = accepted_at
        self.model_route = model_route
        self.asked_for_usage = asked_for_usage
        self.messages: dict[int, MessageAccumulator] = {}
        self.usage: dict[str, Any] | None = None
        self.facts = FactsAccumulator(call.context.settings.max_facts)
        self.stream: GatewayStream | None = None
        self.first_text_at: float | None = None
        self.head: Body = {}
        self.seconds = 0.0

    async def open(
        self,
        gateway: Gateway,
        opening: Opening,
        outgoing: Body | FormatCall,
        response: ProviderResponse,
    ) -> None:
        """Start the stream while the interaction is stored. `seconds` is then the provider's time to first chunk."""
        targets = [target for _, target in self.model_route.targets]
        try:
            self.stream = await gateway.stream(targets, self.operation, outgoing, response)
            opening.start()
        finally:
            try:
                await opening.wait()
            except BaseException:
                if self.stream:
                    await self.stream.close()
                raise

        self.seconds = self.stream.first_at - self.stream.started

    async def events(self, prompt_messages: list[Any]) -> AsyncGenerator[bytes, None]:
        """Yield the events for the caller. Usage is estimated from `prompt_messages` if the provider sends none."""
        assert self.stream is not None
        try:
            async for chunk in self.stream:
                if await self.take(chunk):
                    yield b"data: " + json_text.encode_for_caller(chunk) + b"\n\n"
        finally:
            await self.stream.close()
        if self.asked_for_usage and self.usage is None:
            self.usage = self.estimated_usage(prompt_messages)
            usage_chunk = {**self.head, "choices": [], "usage": self.usage}
            yield b"data: " + json_text.encode_for_caller(usage_chunk) + b"\n\n"

    def end(self) -> bytes:
        """Return the events that end a complete stream."""
        return b"data: [DONE]\n\n"

    def fail(self, error: AfterwordError) -> bytes:
        """Return the events that tell of an error after the stream has begun."""
        return b"data: " + _encoder.encode(error.body()) + b"\n\n"

    def estimated_usage(self, prompt_messages: list[Any]) -> dict[str, Any]:
        """Estimate the usage from the prompt and what was answered."""
        return estimated_usage(prompt_messages, [message.text for message in self.messages.values()])

    async def take(self, chunk: Body) -> bool:
        """Add the ids to a chunk and record its content. Tell whether to send it to the caller."""
        call, model = self.call, self.model_route.targets[self.stream.target if self.stream else 0][0]
        self.facts.take(chunk)
        chunk["id"] = answer_id(call, self.operation)
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
            if message.take(choice) and self.first_text_at is None:
                self.first_text_at = time.perf_counter()
            choice["completion_id"] = call.ids[index]
            choice["model"] = model.key
            if "text" not in choice:
                self._complete(choice, is_first)
        return True

    def _complete(self, choice: Body, is_first: bool) -> None:
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            delta = choice["delta"] = {}
        if is_first or not self.delta_form.joins_texts:
            delta["id"] = str(choice["completion_id"])
        if self.delta_form.needs_whole_deltas:
            delta.setdefault("role", "assistant")
            if delta.get("content") is None:
                delta["content"] = ""

    def outcome(
        self,
        state: State,
        error: AfterwordError | None,
        *,
        prompt_messages: list[Any],
        started_at: float,
        overhead: float,
    ) -> CallResult:
        """Return how the call ended, with all text that arrived until then."""
        now = time.perf_counter()
        target = self.stream.target if self.stream else 0
        usage = self.usage
        if usage is None:
            usage = self.estimated_usage(prompt_messages) if self.messages else {}
        choices: dict[int, Choice] = {}
        replacements: list[json_text.Replacement] = []
        for index, message in self.messages.items():
            completion, facts = message.message() or message.text, self.facts.choice_facts(index)
            choices[index], choice_replacements = storable_choice(index, completion, message.finish_reason, facts)
            replacements += choice_replacements
        usage, usage_replacements = json_text.repair(usage, "usage")
        return CallResult(
            operation=self.operation,
            state=state,
            choices=choices,
            model=self.model_route.targets[target][0],
            usage=usage,
            latency=now - self.accepted_at,
            provider_time=now - (self.stream.started if self.stream else started_at),
            overhead=overhead,
            ttft=self.first_text_at - self.accepted_at if self.first_text_at else None,
            error=error,
            attempts=self.stream.attempts if self.stream else (),
            origin=json_text.repair(self.facts.origin)[0],
            replacements=json_text.as_rows(replacements + usage_replacements),
        )


def answer_id(call: CallRecorder, operation: Operation) -> str:
    """Return the id of an answer in OpenAI's form, which is all that most frameworks keep of it: see `ids.py`."""
    return f"{'cmpl-' if operation == 'completions' else 'chatcmpl-'}{call.completion_id(0)}"


def storable_choice(
    index: int, completion: Any, finish_reason: str | None, facts: dict[str, Any] | None
) -> tuple[Choice, list[json_text.Replacement]]:
    """Return a choice in storable form, and the replacements that this took."""
    completion, message_replacements = json_text.repair(completion, f"choices[{index}].message")
    facts, facts_replacements = json_text.repair(facts, f"choices[{index}].facts")
    if finish_reason is not None:
        finish_reason = json_text.storable_text(finish_reason)[:MAX_REASON_CHARACTERS]
    return Choice(completion, finish_reason, facts), message_replacements + facts_replacements


def is_usage(usage: Any) -> bool:
    """Tell whether this is a provider's usage object."""
    return isinstance(usage, dict) and isinstance(usage.get("prompt_tokens"), int)
