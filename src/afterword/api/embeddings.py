"""Calls of /embeddings: the texts are logged, and the vectors told in words."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from afterword import json_text
from afterword.api.calls import IncomingCall, StorableAnswer
from afterword.api.chat import ChatRequest
from afterword.gateway.facts import FactsAccumulator
from afterword.gateway.provider import Body
from afterword.gateway.relay import GatewayAnswer
from afterword.service.context import Context
from afterword.service.interactions.calls import CallRecorder, Choice, text_messages
from afterword.service.models.routing import ModelRoute, get_model_route
from afterword.types import CallRequest

FLOAT_BYTES = 4
"""The size of a number in a vector that is given as base64."""


class EmbeddingsRequest(ChatRequest):
    """A call of /embeddings."""

    async def read(self, context: Context, raw: bytes | bytearray) -> IncomingCall:
        """Read the body of the call. Raises `BadRequest` or `Invalid`."""
        request, outgoing, storable_body, replacements = await super().read(context, raw)
        assert isinstance(outgoing, dict)
        if isinstance(outgoing.get("encoding_format"), str):
            outgoing["encoding_format"] = outgoing["encoding_format"].lower()
        request.messages = text_messages(storable_body.get("input"))
        # Embeddings have neither streams nor choices. What the caller says of these is left to the provider.
        request.stream = request.n = None
        parameters = {name: value for name, value in storable_body.items() if name != "input"}
        return IncomingCall(request, outgoing, parameters, replacements)

    def find_route(self, context: Context, request: CallRequest, first_id: UUID) -> ModelRoute:
        """Return the route of this call: embeddings take no part in A/B tests."""
        return get_model_route(context, request.model)

    def storable_answer(self, answer: Body, call: CallRecorder) -> StorableAnswer:
        """Return what is stored of an answer: how many vectors it has, and not the vectors themselves."""
        facts = FactsAccumulator(self.app_state.settings.max_facts)
        facts.take({name: value for name, value in answer.items() if name != "data"})
        if isinstance(answer.get("usage"), dict):
            # adaptive-sdk reads it in every answer; OpenAI leaves it out for embeddings, where it is always zero.
            answer["usage"].setdefault("completion_tokens", 0)
        choice = Choice(content=_vectors_in_words(answer["data"]), facts=json_text.repair(facts.choice_facts(0))[0])
        return StorableAnswer({0: choice}, [], json_text.repair(facts.origin)[0])

    def answer_body(self, answer: GatewayAnswer, incoming: IncomingCall, call: CallRecorder, model_key: str) -> Body:
        """Return the provider's answer with its ids."""
        return {**answer.body, "completion_id": call.completion_id(0), "session_id": call.session_id}


def _vectors_in_words(vectors: list[Any]) -> str:
    """Return how many vectors an answer has and how long they are, such as "3 embeddings of 1,536 dimensions"."""
    words = f"{len(vectors):,} embedding{'' if len(vectors) == 1 else 's'}"
    dimensions = {_dimension_count(vector) for vector in vectors}
    if len(dimensions) != 1 or (dimension := dimensions.pop()) is None:
        return words
    return f"{words} of {dimension:,} dimension{'' if dimension == 1 else 's'}"


def _dimension_count(vector: Any) -> int | None:
    """Return how many numbers a vector has: a list, or base64; None for anything else."""
    embedding = vector.get("embedding") if isinstance(vector, dict) else None
    if isinstance(embedding, list):
        return len(embedding)
    return len(embedding) * 3 // 4 // FLOAT_BYTES if isinstance(embedding, str) else None
