"""Calls in the form of OpenAI's API: chat, the older completions, and embeddings."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from afterword.api.calls import IncomingCall, ModelRequest
from afterword.api.decoding import read_call
from afterword.api.outgoing import outgoing_body
from afterword.api.streams import DeltaForm, Relay, answer_id
from afterword.errors import AfterwordError
from afterword.gateway.provider import Body, ProviderError
from afterword.gateway.relay import GatewayAnswer
from afterword.service.context import Context
from afterword.service.interactions.calls import CallRecorder, CallResult, count_call
from afterword.service.models.routing import ModelRoute, get_model_route
from afterword.types import CallRequest

_encoder = msgspec.json.Encoder()
_request_decoder = msgspec.json.Decoder(CallRequest)


class ChatRequest(ModelRequest):
    """A call of /chat/completions or /completions."""

    async def read(self, context: Context, raw: bytes | bytearray) -> IncomingCall:
        """Read the body of the call. Raises `BadRequest` or `Invalid`."""
        request, body, storable_body, replacements = read_call(_request_decoder, raw, self.endpoint.lift)
        user_agent = self.headers.get(b"user-agent", b"")
        outgoing = outgoing_body(request, body, user_agent)
        storable = outgoing if storable_body is body else outgoing_body(request, storable_body, user_agent)
        return IncomingCall(request, outgoing, storable, replacements)

    def new_relay(self, call: CallRecorder, model_route: ModelRoute, incoming: IncomingCall) -> Relay:
        """Return what forwards the stream of this call."""
        options = incoming.request.stream_options
        return Relay(
            call,
            model_route,
            self.operation,
            self._delta_form(),
            accepted_at=self.accepted_at,
            asked_for_usage=isinstance(options, dict) and bool(options.get("include_usage")),
        )

    def answer_body(self, answer: GatewayAnswer, incoming: IncomingCall, call: CallRecorder, model_key: str) -> Body:
        """Return a whole answer with its ids, and members that OpenAI's clients expect and some providers leave out."""
        body = answer.body
        body["session_id"] = call.session_id
        body["id"] = answer_id(call, self.operation)
        body.setdefault("created", int(time.time()))
        needs_content = self.operation == "chat" and self._delta_form().needs_whole_deltas
        for choice in body.get("choices") or []:
            choice["completion_id"] = call.completion_id(choice["index"])
            choice["model"] = model_key
            if self.operation != "chat":
                continue
            message = choice.setdefault("message", {})
            message["id"] = str(choice["completion_id"])
            message.setdefault("role", "assistant")
            if needs_content and message.get("content") is None:
                message["content"] = ""
        return body

    def error_body(self, error: AfterwordError) -> bytes:
        """Return an error as OpenAI's clients read it."""
        return _encoder.encode(error.body())

    def _delta_form(self) -> DeltaForm:
        return DeltaForm.of(self.headers.get(b"user-agent", b""))


class EmbeddingsRequest(ChatRequest):
    """A call of /embeddings. It is counted, but not logged."""

    async def serve(self, context: Context, incoming: IncomingCall) -> None:
        """Route the call, make it and answer it."""
        model_route = self.span.start_provider_call(get_model_route(context, incoming.request.model))
        body: Any = incoming.outgoing
        if isinstance(body.get("encoding_format"), str):
            body["encoding_format"] = body["encoding_format"].lower()
        started_at = time.perf_counter()
        try:
            targets = [target for _, target in model_route.targets]
            provider_answer = await self.app_state.gateway.answer(targets, "embeddings", body, self.response)
        except ProviderError as error:
            outcome = self.outcome(model_route, "failed", started_at, error=error)
            self.span.finish(outcome, {})
            count_call(self.app_state, outcome)
            raise
        usage = provider_answer.body.get("usage")
        if isinstance(usage, dict):
            # adaptive-sdk reads it in every answer; OpenAI leaves it out for embeddings, where it is always zero.
            usage.setdefault("completion_tokens", 0)
        else:
            usage = {}
        self.own_seconds = time.perf_counter() - self.accepted_at - provider_answer.seconds
        outcome = CallResult(
            operation=self.operation,
            state="complete",
            model=model_route.targets[provider_answer.target][0],
            usage=usage,
            latency=time.perf_counter() - self.accepted_at,
            provider_time=provider_answer.seconds,
            overhead=self.own_seconds,
        )
        self.span.finish(outcome, provider_answer.body)
        count_call(self.app_state, outcome)
        await self.reply(provider_answer.body)
