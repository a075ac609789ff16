"""Calls in another form than OpenAI's chat, each described by a `CallFormat`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any

from afterword import json_text
from afterword.api.calls import IncomingCall, ModelRequest
from afterword.api.decoding import read_object, to_call
from afterword.api.outgoing import native_body, outgoing_body
from afterword.api.rest import Headers
from afterword.api.streams import DeltaForm, Relay
from afterword.errors import AfterwordError
from afterword.gateway.call_format import AnswerIds, CallFormat, EventLog, EventWriter, FormatCall, FormatEvent
from afterword.gateway.native import NativeEvent
from afterword.gateway.provider import Body
from afterword.gateway.relay import GatewayAnswer
from afterword.service.context import Context
from afterword.service.interactions.calls import CallRecorder, estimated_usage
from afterword.service.models.routing import ModelRoute, get_model_route
from afterword.types import CallRequest

# Writers get chunks as providers send them, without what some clients of chat need in each delta.
PLAIN_DELTAS = DeltaForm(joins_texts=True, needs_whole_deltas=False)


class FormatRequest(ModelRequest):
    """A call in the form of its route."""

    @property
    def format(self) -> CallFormat:
        """The form of the call."""
        call_format = self.endpoint.route.format
        assert call_format is not None
        return call_format

    @property
    def statuses(self) -> Mapping[int, int]:
        """HTTP statuses of errors for which the form has others."""
        return self.format.statuses

    async def read(self, context: Context, raw: bytes | bytearray) -> IncomingCall:
        """Read the body of the call. Raises `BadRequest` or `Invalid`."""
        call_format = self.format
        body = self.read_body(raw)
        if prepare := self.endpoint.route.prepare:
            body = await prepare(context, body)
        chat_request = call_format.chat_request(body)
        if chat_request.get("session_id") is None and (session := self._session_of_headers()):
            chat_request["session_id"] = session
        storable_request, replacements = json_text.repair(chat_request)
        request: CallRequest = to_call(storable_request, CallRequest)
        if call_format.store_is_providers:
            request.store = None
        user_agent = self.headers.get(b"user-agent", b"")
        outgoing_request = outgoing_body(request, chat_request, user_agent)
        storable = outgoing_body(request, storable_request, user_agent) if replacements else outgoing_request
        names = call_format.forwarded_headers
        headers = {
            name: value.decode("latin-1")
            for raw_name, value in self.headers.items()
            if (name := raw_name.decode("latin-1")) in names
        }
        outgoing = FormatCall(call_format, native_body(body), outgoing_request, headers)
        return IncomingCall(request, outgoing, storable, replacements)

    def _session_of_headers(self) -> str | None:
        """Return the session that coding agents name in a header of their own, unless Afterword's header names one."""
        if b"x-afterword-session" in self.headers:
            return None
        values = (self.headers.get(name) for name in self.endpoint.route.session_headers)
        return next((value.decode("latin-1") for value in values if value), None)

    def read_body(self, raw: bytes | bytearray) -> Body:
        """Return the body of the call. Raises `BadRequest`."""
        return read_object(raw)

    def new_relay(self, call: CallRecorder, model_route: ModelRoute, incoming: IncomingCall) -> Relay:
        """Return what forwards the stream of this call."""
        outgoing = incoming.outgoing
        assert isinstance(outgoing, FormatCall)
        return FormatRelay(
            call,
            model_route,
            self.operation,
            PLAIN_DELTAS,
            accepted_at=self.accepted_at,
            asked_for_usage=True,
            format_call=outgoing,
        )

    def answer_body(self, answer: GatewayAnswer, incoming: IncomingCall, call: CallRecorder, model_key: str) -> Body:
        """Return a whole answer: the provider's own with Afterword's ids, or one that is translated from chat."""
        ids = AnswerIds(call.session_id, call.completion_id)
        if answer.native is not None:
            self.format.put_ids(answer.native, ids)
            return answer.native
        assert isinstance(incoming.outgoing, FormatCall)
        return self.format.answer(answer.body, incoming.outgoing.body, ids)

    def error_body(self, error: AfterwordError) -> bytes:
        """Return an error as the form's clients read it."""
        request_id = self.request_id.decode("latin-1")
        return json_text.encode_for_caller(self.format.error(error, self.status, request_id))

    def own_headers(self) -> Headers:
        """Return Afterword's headers of every answer."""
        headers = super().own_headers()
        if name := self.format.request_id_header:
            headers.append((name.encode(), self.request_id))
        return headers


class TokenCountCall(FormatRequest):
    """A request to count tokens. No model answers it, and nothing is logged."""

    async def serve(self, context: Context, incoming: IncomingCall) -> None:
        """Ask the model's provider for the count, or estimate it if that has none."""
        model_route = self.span.start_provider_call(get_model_route(context, incoming.request.model))
        outgoing = incoming.outgoing
        assert isinstance(outgoing, FormatCall)
        _, target = model_route.targets[0]
        count = await self.app_state.gateway.find_native_answer(target, outgoing, self.response)
        if count is None:
            usage = estimated_usage(incoming.storable_body["messages"], [])
            count = self.count_body(usage["prompt_tokens"])
        await self.reply(count)

    def count_body(self, tokens: int) -> Body:
        """Return an estimate as the form's clients read it."""
        return {"input_tokens": tokens, "estimated": True}


class FormatRelay(Relay):
    """Forwards one stream in the form of the call: a provider's own events, or events written from chunks of chat.

    The events that end a stream are kept for `end`: they are sent once the interaction is complete.
    """

    def __init__(self, *arguments: Any, format_call: FormatCall, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._format_call = format_call
        self._writer: EventWriter | None = None
        self._log: EventLog | None = None
        self._last_native_event: FormatEvent | None = None

    async def events(self, prompt_messages: list[Any]) -> AsyncGenerator[bytes, None]:
        """Yield the events for the caller, apart from those that end the stream."""
        assert self.stream is not None
        try:
            async for part in self.stream:
                events = await self._pass_on(part) if self.stream.is_native else await self._translate(part)
                if events:
                    yield _encoded(events)
        finally:
            await self.stream.close()
        if self.usage is None:
            self.usage = self.estimated_usage(prompt_messages)

    async def _pass_on(self, native_event: NativeEvent) -> list[FormatEvent]:
        self._log = native_event.log
        for chunk in native_event.chunks:
            await self.take(chunk)
        self._format_call.format.put_ids(native_event.event.body, self._ids)
        if native_event.log.is_finished:
            self._last_native_event = native_event.event
            return []
        return [native_event.event]

    async def _translate(self, chunk: Body) -> Sequence[FormatEvent]:
        await self.take(chunk)
        return self._event_writer().take(chunk)

    def end(self) -> bytes:
        """Return the events that end a complete stream."""
        if self._last_native_event is not None:
            return _encoded([self._last_native_event])
        return _encoded(self._event_writer().end(self.usage))

    def fail(self, error: AfterwordError) -> bytes:
        """Return the events that tell of an error after the stream has begun."""
        return _encoded((self._log or self._event_writer()).fail(error))

    @property
    def _ids(self) -> AnswerIds:
        return AnswerIds(self.call.session_id, self.call.completion_id)

    def _event_writer(self) -> EventWriter:
        if self._writer is None:
            self._writer = self._format_call.format.event_writer(self._format_call.body, self._ids)
        return self._writer


def _encoded(events: Iterable[FormatEvent]) -> bytes:
    """Return server-sent events as bytes."""
    parts: list[bytes] = []
    for name, body in events:
        if name:
            parts.append(b"event: %b\n" % name.encode())
        parts.append(b"data: %b\n\n" % json_text.encode_for_caller(body))
    return b"".join(parts)
