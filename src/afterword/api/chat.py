"""Calls of OpenAI's API: chat, and the older completions."""

from __future__ import annotations

import time

import msgspec

from afterword.api.calls import IncomingCall, ModelRequest
from afterword.api.decoding import read_call
from afterword.api.outgoing import outgoing_body
from afterword.api.streams import DeltaForm, Relay, answer_id
from afterword.errors import AfterwordError
from afterword.gateway.provider import Body
from afterword.gateway.relay import GatewayAnswer
from afterword.service.context import Context
from afterword.service.interactions.calls import CallRecorder
from afterword.service.models.routing import ModelRoute
from afterword.types import CallRequest

_encoder = msgspec.json.Encoder()
_request_decoder = msgspec.json.Decoder(CallRequest)


class ChatRequest(ModelRequest):
    """A call of /chat/completions or /completions."""

    async def read(self, context: Context, raw: bytes | bytearray) -> IncomingCall:
        """Read the body of the call. Raises `BadRequest` or `Invalid`."""
        request, body, storable_body, replacements = read_call(_request_decoder, raw, self.endpoint.lift)
        # Azure's clients name the model in the path. What they say in the body is not sent to any provider.
        request.model = self.path_parameters.get("model", request.model)
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
