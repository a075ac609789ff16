"""Calls of /embeddings: the texts are logged, and the vectors told in words."""

from __future__ import annotations

from uuid import UUID

from afterword import json_text
from afterword.api.calls import IncomingCall, StorableAnswer
from afterword.api.chat import ChatRequest
from afterword.gateway.facts import FactsAccumulator
from afterword.gateway.provider import Body
from afterword.gateway.relay import GatewayAnswer
from afterword.message_words import vectors_in_words
from afterword.service.context import Context
from afterword.service.interactions.calls import CallRecorder, Choice, text_messages
from afterword.service.models.routing import ModelRoute, get_model_route
from afterword.types import CallRequest


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
        choice = Choice(content=vectors_in_words(answer["data"]), facts=json_text.repair(facts.choice_facts(0))[0])
        return StorableAnswer({0: choice}, [], json_text.repair(facts.origin)[0])

    def answer_body(self, answer: GatewayAnswer, incoming: IncomingCall, call: CallRecorder, model_key: str) -> Body:
        """Return the provider's answer with its ids."""
        return {**answer.body, "completion_id": call.completion_id(0), "session_id": call.session_id}
