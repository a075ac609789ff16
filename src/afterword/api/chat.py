"""The OpenAI-compatible face: calls of language models, passed on to their provider and logged on the way.

A call is authenticated, read once, sent to its model's provider. A whole answer is stored, then sent. Of a stream the
interaction is stored before its head leaves, so that feedback sent meanwhile finds it, and completed before
`[DONE]` does; also where the caller hangs up, the provider fails, or the server stops.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

import msgspec

from afterword import json_text
from afterword.api.auth import Gate
from afterword.api.event_stream import EventStream
from afterword.api.outgoing import outgoing_body
from afterword.api.reading import Lift, read_call
from afterword.api.rest import (
    JSON,
    STARTED,
    Headers,
    Receive,
    Scope,
    Send,
    error_answer,
    fault,
    read_body,
    reply,
)
from afterword.api.streams import Form, Relay, is_usage, storable_choice
from afterword.api.traces import Untraced
from afterword.api.wire import Protocol
from afterword.errors import AfterwordError, Unavailable
from afterword.gateway.facts import FactsAccumulator, trace_id_of
from afterword.gateway.provider import Body, Face, ProviderError
from afterword.gateway.relay import Gateway
from afterword.gateway.response import ProviderResponse
from afterword.ids import uuid7
from afterword.service.access import allowed
from afterword.service.calls import Call, Choice, Outcome, count, estimated_usage, new_id, readable_session
from afterword.service.context import Context, Home
from afterword.service.routing import Route, call_route, route
from afterword.types import CallRequest, State

log = logging.getLogger("afterword")
_encoder = msgspec.json.Encoder()
_request = msgspec.json.Decoder(CallRequest)
_object = msgspec.json.Decoder(dict[str, Any])
_numbers = itertools.count(1)

# The caller hung up before there was an answer: nginx's word for it.
CLOSED = 499


class CallEndpoint:
    """One of the faces as an ASGI application. `running` holds the calls under way, of all faces together."""

    def __init__(
        self,
        face: Face,
        home: Home,
        gateway: Gateway,
        gate: Gate,
        tracing: Untraced,
        running: set[asyncio.Task[Any]],
        lift: Lift | None = None,
    ) -> None:
        self.face: Face = face
        self.home = home
        self.gateway = gateway
        self.gate = gate
        self.tracing = tracing
        self.running = running
        self.lift = lift

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", b"")[:100] or b"%s-c%x" % (STARTED, next(_numbers))
        task = asyncio.current_task()
        assert task is not None
        self.running.add(task)
        self.home.meters.streams.inc()
        exchange = Exchange(self, scope, headers, request_id, accepted, send)
        try:
            await exchange.run(receive)
        except AfterwordError as error:
            await exchange.refuse(error)
        except Exception:
            log.exception("%s %s failed (request %s)", scope["method"], scope["path"], request_id.decode("latin-1"))
            await exchange.refuse(fault(request_id))
        finally:
            exchange.span.end(exchange.status)
            self.home.meters.answered(f"POST {scope['path']}", exchange.status, time.perf_counter() - accepted)
            self.running.discard(task)
            self.home.meters.streams.dec()


class Exchange:
    """One call, from its request to the end of its answer."""

    def __init__(
        self,
        endpoint: CallEndpoint,
        scope: Scope,
        headers: dict[bytes, bytes],
        request_id: bytes,
        accepted: float,
        send: Send,
    ) -> None:
        self.endpoint = endpoint
        self.home = endpoint.home
        self.face: Face = endpoint.face
        self.connection: Protocol = scope["connection"]
        self.headers = headers
        self.request_id = request_id
        self.accepted = accepted
        self.send = send
        self.span = endpoint.tracing.start(self.face, scope["path"], headers, request_id.decode("latin-1"))
        self.stream: EventStream | None = None
        """The answer where it is streamed."""
        self.response = ProviderResponse(self._heard)
        self.status = CLOSED
        """The answer's HTTP status."""
        self.own = 0.0
        """The seconds that were added until then."""
        self.asked: list[Any] = []
        """What the usage is estimated of, where the provider tells none."""
        self.form = Form.of(headers.get(b"user-agent", b""))

    async def run(self, receive: Receive) -> None:
        """Read the call, make it, answer it. Raises `AfterwordError` where nothing was answered yet."""
        context = Context(self.home, allowed(self.home.catalog, self.endpoint.gate.actor("POST", self.headers), "call"))
        raw = await read_body(self.headers, receive, self.home.settings.max_body)
        request: CallRequest
        # `kept` is the body as it can be stored: the same one, but for half surrogate pairs and the like.
        request, body, kept, replaced = read_call(_request, raw, self.endpoint.lift)
        user_agent = self.headers.get(b"user-agent", b"")
        body, kept = outgoing_body(request, body, user_agent), outgoing_body(request, kept, user_agent)
        first_id = new_id(stored=request.store is not False)
        where = self.span.calling(
            route(context, request.model)
            if self.face == "embeddings"
            else call_route(
                context,
                request.model,
                session_id=readable_session(request.session_id) or str(first_id),
                ab_campaign=request.ab_campaign,
            )
        )
        if self.face == "embeddings":
            await self._embed(where, body)
            return
        request_id = self.request_id.decode("latin-1")
        trace_id = trace_id_of(self.headers.get(b"traceparent", b"").decode("latin-1"))
        call = Call(context, request, where, kept, request_id, first_id, trace_id, json_text.as_rows(replaced))
        self.asked = request.messages or [kept.get("prompt")]
        answer = self._stream(call, where, request, body) if request.stream else self._whole(call, where, body)
        await self._unless_hung_up(answer)

    async def refuse(self, error: AfterwordError) -> None:
        """Answer an error: as an answer of its own, or as the last event of a stream."""
        self.span.fail(error)
        if self.stream is not None and self.stream.begun:
            await self.stream.end(_encoder.encode(error.body()))
            return
        self.status, kind, body, more = error_answer(error)
        if self.status == 422 and not getattr(error, "sent", False):
            # A refusal of ours: OpenAI's API answers 400 where Afterword's own answers 422.
            self.status = 400
        about = [(b"x-request-id", self.request_id), *more, *self.response.forwarded()]
        await reply(self.send, self.status, kind, body, about)

    def _heard(self) -> None:
        if self.stream is not None:
            self.stream.heard()

    async def _unless_hung_up(self, answer: Coroutine[Any, Any, None]) -> None:
        """Run the answer; cancel it when the caller hangs up."""
        answering = asyncio.current_task()
        assert answering is not None
        self.connection.on_lost = lambda: answering.cancel(HUNG_UP)
        try:
            await answer
        except asyncio.CancelledError as reason:
            # Nobody hears the end of it any more. What was handed to the store is written all the same.
            _why(reason)
        finally:
            self.connection.on_lost = None

    # ------------------------------------------------------------------------------------ whole answers

    async def _embed(self, where: Route, body: Body) -> None:
        if isinstance(body.get("encoding_format"), str):
            body["encoding_format"] = body["encoding_format"].lower()
        started = time.perf_counter()
        try:
            targets = [target for _, target in where.targets]
            answered = await self.endpoint.gateway.answer(targets, "embeddings", body, self.response)
        except ProviderError as error:
            outcome = self._outcome(where, "failed", started, error=error)
            self.span.finish(outcome, {})
            count(self.home, outcome)
            raise
        usage = answered.body.get("usage")
        if isinstance(usage, dict):
            # adaptive-sdk reads it of every call; OpenAI leaves it out here, where it is always zero.
            usage.setdefault("completion_tokens", 0)
        else:
            usage = {}
        self.own = time.perf_counter() - self.accepted - answered.seconds
        outcome = Outcome(
            face=self.face,
            state="complete",
            model=where.targets[answered.target][0],
            usage=usage,
            latency=time.perf_counter() - self.accepted,
            provider_time=answered.seconds,
            overhead=self.own,
        )
        self.span.finish(outcome, answered.body)
        count(self.home, outcome)
        await self._reply(answered.body)

    async def _whole(self, call: Call, where: Route, body: Body) -> None:
        gateway, started = self.endpoint.gateway, time.perf_counter()
        try:
            answered = await gateway.answer([target for _, target in where.targets], self.face, body, self.response)
        except ProviderError as error:
            await self._finish(call, self._outcome(where, "failed", started, error=error), {})
            raise
        except asyncio.CancelledError as reason:
            state = _why(reason)
            await self._finish(call, self._outcome(where, state, started), {})
            if state == "interrupted":
                raise _stopped() from None
            return
        answer, model = answered.body, where.targets[answered.target][0]
        facts = FactsAccumulator(self.home.settings.max_facts)
        facts.take(answer)
        choices: dict[int, Choice] = {}
        replaced: list[json_text.Replacement] = []
        for place, choice in enumerate(answer.get("choices") or []):
            index = choice.setdefault("index", place)
            choice["completion_id"] = call.completion_id(index)
            choice["model"] = model.key
            said, finish_reason = _said(choice), choice.get("finish_reason")
            choices[index], in_choice = storable_choice(index, said, finish_reason, facts.of_choice(index))
            replaced += in_choice
        usage: Any = answer.get("usage")
        if not is_usage(usage):
            texts = [one.said if isinstance(one.said, str) else str(one.said) for one in choices.values()]
            usage = answer["usage"] = estimated_usage(self.asked, texts)
        stored_usage, in_usage = json_text.repair(usage, "usage")
        latency = time.perf_counter() - self.accepted
        outcome = Outcome(
            face=self.face,
            state="complete",
            choices=choices,
            model=model,
            usage=stored_usage,
            latency=latency,
            provider_time=answered.seconds,
            overhead=latency - answered.seconds,
            attempts=answered.attempts,
            origin=json_text.repair(facts.origin)[0],
            replaced=json_text.as_rows(replaced + in_usage),
        )
        await self._finish(call, outcome, answer)
        # Where the store could not write and the call went on, its ids are others now.
        for choice in answer.get("choices") or []:
            choice["completion_id"] = call.completion_id(choice["index"])
        answer["session_id"] = call.session_id
        answer.setdefault("id", f"chatcmpl-{uuid7().hex}")
        answer.setdefault("created", int(time.time()))
        if self.face == "chat":
            for choice in answer.get("choices") or []:
                message = choice.setdefault("message", {})
                message.setdefault("id", f"{answer['id']}-{choice['index']}")
                message.setdefault("role", "assistant")
                if self.form.whole and message.get("content") is None:
                    message["content"] = ""
        self.own = time.perf_counter() - self.accepted - answered.seconds
        await self._reply(answer)

    async def _finish(self, call: Call, outcome: Outcome, answer: Body) -> None:
        """Store how the call ended, and note it in its span."""
        if self.response.request_id:
            outcome.origin["provider_request_id"] = self.response.request_id
        try:
            await call.finish(outcome)
        finally:
            # Only now is it sure whether anything is stored under its ids.
            self.span.finish(outcome, answer, call.ids.values() if call.stored else ())

    async def _reply(self, answer: Body) -> None:
        self.status = 200
        await reply(self.send, 200, JSON, json_text.encode_for_caller(answer), self._about())

    def _about(self) -> Headers:
        own = b"%.2f" % (self.own * 1000)
        return [
            (b"x-request-id", self.request_id),
            (b"x-afterword-overhead-ms", own),
            *self.response.forwarded(),
        ]

    def _outcome(self, where: Route, state: State, started: float, error: AfterwordError | None = None) -> Outcome:
        """Return how a call ended that brought nothing."""
        now = time.perf_counter()
        return Outcome(
            face=self.face,
            state=state,
            model=where.model,
            latency=now - self.accepted,
            provider_time=now - started,
            overhead=started - self.accepted,
            error=error,
        )

    # ------------------------------------------------------------------------------------ streams

    async def _stream(self, call: Call, where: Route, request: CallRequest, body: Body) -> None:
        started = time.perf_counter()
        # Stored while the provider thinks: it is there before the first chunk leaves, and costs no time of its own.
        opening = asyncio.ensure_future(call.open(list(call.ids)))
        options = request.stream_options
        asked_for_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        relay = Relay(call, where, self.face, self.form, accepted=self.accepted, asked_for_usage=asked_for_usage)
        asked = self.asked
        state: State = "complete"
        error: AfterwordError | None = None

        def head() -> Headers:
            self.status = 200
            now = time.perf_counter()
            self.own = now - self.accepted - (relay.seconds or now - started)
            return self._about()

        settings = self.home.settings
        stream = self.stream = EventStream(
            self.send,
            head,
            head_seconds=settings.stream_head_delay,
            comment_seconds=settings.stream_comment_interval,
        )
        stream.start(opening)
        try:
            await relay.open(self.endpoint.gateway, opening, body, self.response)
            async with aclosing(relay.chunks(asked)) as chunks:
                async for chunk in chunks:
                    await stream.event(json_text.encode_for_caller(chunk))
        except asyncio.CancelledError as reason:
            state = _why(reason)
        except AfterwordError as failed:
            state, error = "failed", failed
        except Exception:
            log.exception("A stream failed (request %s)", self.request_id.decode("latin-1"))
            state, error = "failed", fault(self.request_id)
        await stream.stop()
        try:
            outcome = relay.outcome(state, error, asked=asked, started=started, overhead=self.own)
            await self._finish(call, outcome, relay.head)
        except AfterwordError as unwritten:
            error = error or unwritten
        if error is not None:
            raise error
        if state == "interrupted":
            raise _stopped()
        if state == "complete":
            await stream.end(b"[DONE]")


# ------------------------------------------------------------------------------------------------ hanging up


HUNG_UP = "the caller hung up"


def _why(reason: asyncio.CancelledError) -> State:
    """Return the state of a call that was cancelled: by its caller, or by the server's end."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    return "cancelled" if reason.args == (HUNG_UP,) else "interrupted"


def _stopped() -> Unavailable:
    return Unavailable(
        "The server was stopped before the answer was complete.",
        code="interrupted",
        hint="Call again after the time that Retry-After gives.",
        retry_after=2,
    )


# ------------------------------------------------------------------------------------------------ forms


def _said(choice: Body) -> Any:
    """Return what a choice of a whole answer says: its text where that is all."""
    message = choice.get("message")
    if not isinstance(message, dict):
        return choice.get("text") or ""
    more = {k: v for k, v in message.items() if v not in (None, [], {}) and k not in ("role", "content", "id")}
    content = message.get("content")
    return {"role": "assistant", "content": content, **more} if more or isinstance(content, list) else content or ""
