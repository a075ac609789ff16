"""Calls of operations beside texts (moderations, speech, transcriptions, images), which are passed on as they came.

A whole answer is stored, then sent. Of a stream the call is stored before the head is sent, and completed before the
last part is.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID

import msgspec

from afterword import json_text
from afterword.api.calls import IncomingCall, cancellation_state, server_stopped_error
from afterword.api.chat import ChatRequest
from afterword.api.decoding import to_call
from afterword.api.passed_messages import LOGGED_MEMBERS, AnswerLog, request_messages
from afterword.api.rest import reply
from afterword.api.streams import storable_choice
from afterword.errors import AfterwordError
from afterword.gateway.facts import FactsAccumulator
from afterword.gateway.multipart import read_form
from afterword.gateway.passing import PassedAnswer, PassedCall
from afterword.gateway.provider import Body
from afterword.service.context import Context
from afterword.service.interactions.calls import CallRecorder, CallResult
from afterword.service.models.routing import ModelRoute, get_model_route
from afterword.types import OWN_FIELDS, CallRequest

FORM_OPERATIONS = frozenset({"transcriptions", "translations", "image_edits", "image_variations"})
_encoder = msgspec.json.Encoder()
_JSON_FIELDS = ("labels", "metadata", "store")
"""Fields of a form whose text is JSON."""


class PassedRequest(ChatRequest):
    """A call that is passed on."""

    passed_call: PassedCall
    """The call for the provider, once it is read."""
    begun_answer: PassedAnswer | None = None
    """The answer, if it is a stream whose head was sent."""

    async def read(self, context: Context, raw: bytes | bytearray) -> IncomingCall:
        """Read the body of the call. Raises `BadRequest` or `Invalid`."""
        content_type = self.headers.get(b"content-type", b"")
        if self.operation in FORM_OPERATIONS and b"json" not in content_type:
            form = read_form(content_type, raw)
            storable_body, replacements = json_text.repair({**form.fields})
            fields = {name: _form_value(name, text) for name, text in storable_body.items()}
            known_fields = CallRequest.__struct_fields__
            request = to_call(
                {name: fields[name] for name in known_fields if name in fields and name != "stream"}, CallRequest
            )
            request.model = self.path_parameters.get("model", request.model)
            body = form.without(OWN_FIELDS | {"store"})
        else:
            request, body, storable_body, replacements = await super().read(context, raw)
            assert isinstance(body, dict)
        request.messages = request_messages(body, storable_body)
        # These have no choices, and whether the answer is a stream is seen from the answer.
        request.stream = request.n = None
        parameters = {name: value for name, value in storable_body.items() if name not in LOGGED_MEMBERS | OWN_FIELDS}
        self.passed_call = PassedCall(self.operation, body)
        return IncomingCall(request, {}, parameters, replacements)

    def find_route(self, context: Context, request: CallRequest, first_id: UUID) -> ModelRoute:
        """Return the route of this call: it takes no part in A/B tests."""
        return get_model_route(context, request.model)

    async def _answer_whole(self, call: CallRecorder, model_route: ModelRoute, incoming: IncomingCall) -> None:
        started_at = time.perf_counter()
        outcome = self.outcome(model_route, "complete", started_at)
        log = AnswerLog(self.operation, is_events=False)
        answer: PassedAnswer | None = None
        last_part = b""
        try:
            targets = [target for _, target in model_route.targets]
            answer, position, attempts = await self.app_state.gateway.pass_on(targets, self.passed_call, self.response)
            outcome.model, outcome.attempts = model_route.targets[position][0], attempts
            log = AnswerLog(self.operation, is_events=answer.is_events)
            last_part = await (self._relay(answer, call, log) if answer.is_streamed else self._read_whole(answer, log))
        except asyncio.CancelledError as reason:
            outcome.state = cancellation_state(reason)
        except AfterwordError as failure:
            outcome.state, outcome.error = "failed", failure
        finally:
            if answer is not None:
                await answer.close()
        log.end()
        now = time.perf_counter()
        outcome.latency, outcome.provider_time = now - self.accepted_at, now - started_at
        self._set_result(outcome, log)
        await self._finish(call, outcome, log.answer or {})
        if outcome.error is not None:
            raise outcome.error
        if outcome.state == "interrupted":
            raise server_stopped_error()
        if outcome.state == "complete" and answer is not None:
            await self._send_last(answer, last_part, call, log.answer)

    async def _read_whole(self, answer: PassedAnswer, log: AnswerLog) -> bytes:
        raw = await answer.read()
        if answer.is_object:
            log.take_object(answer.as_object(raw))
        else:
            log.take_text(raw)
        return raw

    async def _send_last(
        self, answer: PassedAnswer, last_part: bytes, call: CallRecorder, answer_object: Body | None
    ) -> None:
        """Send what is left of an answer, now that it is stored: the end of a stream, or the whole."""
        if self.begun_answer is not None:
            await self.send({"type": "http.response.body", "body": last_part})
            return
        if answer_object is not None:
            ids = {"completion_id": call.completion_id(0), "session_id": call.session_id}
            last_part = json_text.encode_for_caller({**answer_object, **ids})
        self.status = 200
        await reply(self.send, 200, answer.kind.encode("latin-1"), last_part, self.answer_headers())

    async def _relay(self, answer: PassedAnswer, call: CallRecorder, log: AnswerLog) -> bytes:
        """Send the parts of a stream as they arrive, but the last ones, which are returned."""
        await call.open(list(call.ids))
        self.status = 200
        headers = [(b"content-type", answer.kind.encode("latin-1")), *self.answer_headers()]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        self.begun_answer = answer
        held = b""
        async for part in answer.parts():
            log.take(part)
            if log.is_ending:
                held += part
            else:
                await self.send({"type": "http.response.body", "body": part, "more_body": True})
        return held

    def _set_result(self, outcome: CallResult, log: AnswerLog) -> None:
        facts = FactsAccumulator(self.app_state.settings.max_facts)
        facts.take(log.facts)
        choice, replacements = storable_choice(0, log.completion, None, facts.choice_facts(0))
        outcome.choices = {0: choice}
        outcome.origin = json_text.repair(facts.origin)[0]
        outcome.usage, usage_replacements = json_text.repair(log.usage, "usage")
        outcome.replacements = json_text.as_rows(replacements + usage_replacements)

    async def refuse(self, error: AfterwordError) -> None:
        """Send an error; if a stream has begun, as its last event. Audio that has begun breaks off."""
        if self.begun_answer is None:
            await super().refuse(error)
            return
        self.span.fail(error)
        if self.begun_answer.is_events:
            event = b"event: error\ndata: %b\n\n" % self.error_body(error)
            await self.send({"type": "http.response.body", "body": event})


def _form_value(name: str, text: str) -> Any:
    """Return the value of a field of a form: JSON for labels, else its text."""
    if name not in _JSON_FIELDS:
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
