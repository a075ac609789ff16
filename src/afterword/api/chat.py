"""The OpenAI-compatible face: calls of language models, passed on to their provider and logged on the way.

A call is authenticated, read once, sent to its model's provider. A whole answer is stored, then sent. Of a stream the
interaction is stored before the first chunk leaves, so that feedback sent meanwhile finds it, and completed before
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

from afterword.api.auth import Gate
from afterword.api.reading import Lift, read_lifted
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
from afterword.api.streams import Form, Relay, is_usage
from afterword.api.traces import Untraced
from afterword.api.wire import Protocol
from afterword.errors import AfterwordError, Unavailable
from afterword.gateway.provider import Body, Face, ProviderError
from afterword.gateway.relay import Gateway
from afterword.ids import uuid7
from afterword.service.access import allowed
from afterword.service.calls import Call, Choice, Outcome, count, estimated_usage, new_id
from afterword.service.context import Context, Home
from afterword.service.routing import Route, call_route, route
from afterword.types import OWN, CallRequest, State

log = logging.getLogger("afterword")
_encoder = msgspec.json.Encoder()
_request = msgspec.json.Decoder(CallRequest)
_numbers = itertools.count(1)

# What our answers put into a message comes back with the next turn.
OF_OUR_ANSWERS = frozenset({"id", "completion_id", "metadata"})
# The caller hung up before there was an answer: nginx's word for it.
CLOSED = 499
EVENTS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # Proxies shall pass each chunk on as it comes.
    (b"x-accel-buffering", b"no"),
]


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
        self.begun = False
        """Whether the head of the answer has left."""
        self.status = CLOSED
        """The answer's HTTP status."""
        self.own = 0.0
        """The seconds that were added until then."""
        self.form = Form.of(headers.get(b"user-agent", b""))

    async def run(self, receive: Receive) -> None:
        """Read the call, make it, answer it. Raises `AfterwordError` where nothing was answered yet."""
        context = Context(self.home, allowed(self.home.catalog, self.endpoint.gate.actor("POST", self.headers), "call"))
        raw = await read_body(self.headers, receive, self.home.settings.max_body)
        request: CallRequest
        request, raw = read_lifted(_request, raw, self.endpoint.lift)
        body: Body = msgspec.json.decode(raw)
        for name in OWN & body.keys():
            del body[name]
        if not request.stream:
            # adaptive-sdk sends it always; providers refuse it where nothing is streamed.
            body.pop("stream_options", None)
        first_id = new_id(stored=request.store is not False)
        where = self.span.calling(
            route(context, request.model)
            if self.face == "embeddings"
            else call_route(
                context, request.model, session_id=request.session_id or str(first_id), ab_campaign=request.ab_campaign
            )
        )
        if self.face == "embeddings":
            await self._embed(where, body)
            return
        call = Call(context, request, where, body, self.request_id.decode("latin-1"), first_id)
        if request.messages is not None:
            body["messages"] = [_for_provider(message) for message in request.messages]
        answer = self._stream(call, where, request, body) if request.stream else self._whole(call, where, body)
        await self._unless_hung_up(answer)

    async def refuse(self, error: AfterwordError) -> None:
        """Answer an error: as an answer of its own, or as the last event of a stream."""
        self.span.fail(error)
        if self.begun:
            await self._end(b"data: " + _encoder.encode(error.body()) + b"\n\n")
            return
        self.status, kind, body, more = error_answer(error)
        await reply(self.send, self.status, kind, body, [(b"x-request-id", self.request_id), *more])

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
            answered = await self.endpoint.gateway.answer([target for _, target in where.targets], "embeddings", body)
        except ProviderError as error:
            outcome = self._outcome(where, "failed", started, error=error)
            self.span.finish(outcome, {})
            count(self.home, outcome)
            raise
        usage = answered.body.get("usage")
        if isinstance(usage, dict):
            # adaptive-sdk reads it of every call; OpenAI leaves it out here, where it is always zero.
            usage.setdefault("completion_tokens", 0)
        self.own = time.perf_counter() - self.accepted - answered.seconds
        outcome = Outcome(
            face=self.face,
            state="complete",
            model=where.targets[answered.target][0],
            usage=answered.body.get("usage") or {},
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
            answered = await gateway.answer([target for _, target in where.targets], self.face, body)
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
        choices: dict[int, Choice] = {}
        for place, choice in enumerate(answer.get("choices") or []):
            index = choice.setdefault("index", place)
            choice["completion_id"] = call.completion_id(index)
            choice["model"] = model.key
            choices[index] = Choice(_said(choice), choice.get("finish_reason"))
        usage: Any = answer.get("usage")
        if not is_usage(usage):
            texts = [one.said if isinstance(one.said, str) else str(one.said) for one in choices.values()]
            usage = answer["usage"] = estimated_usage(body.get("messages") or [body.get("prompt")], texts)
        latency = time.perf_counter() - self.accepted
        outcome = Outcome(
            face=self.face,
            state="complete",
            choices=choices,
            model=model,
            usage=usage,
            latency=latency,
            provider_time=answered.seconds,
            overhead=latency - answered.seconds,
            attempts=answered.attempts,
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
        try:
            await call.finish(outcome)
        finally:
            # Only now is it sure whether anything is stored under its ids.
            self.span.finish(outcome, answer, call.ids.values() if call.stored else ())

    async def _reply(self, answer: Body) -> None:
        self.status = 200
        await reply(self.send, 200, JSON, _encoder.encode(answer), self._about())

    def _about(self) -> Headers:
        return [(b"x-request-id", self.request_id), (b"x-afterword-overhead-ms", b"%.2f" % (self.own * 1000))]

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
        asked_for_usage = bool((request.stream_options or {}).get("include_usage"))
        relay = Relay(call, where, self.face, self.form, accepted=self.accepted, asked_for_usage=asked_for_usage)
        asked = body.get("messages") or [body.get("prompt")]
        state: State = "complete"
        error: AfterwordError | None = None
        try:
            await relay.open(self.endpoint.gateway, opening, body)
            await self._begin(relay.seconds)
            async with aclosing(relay.chunks(asked)) as chunks:
                async for chunk in chunks:
                    await self._event(chunk)
        except asyncio.CancelledError as reason:
            state = _why(reason)
        except AfterwordError as failed:
            state, error = "failed", failed
        except Exception:
            log.exception("A stream failed (request %s)", self.request_id.decode("latin-1"))
            state, error = "failed", fault(self.request_id)
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
            await self._end(b"data: [DONE]\n\n")

    async def _begin(self, provider_seconds: float) -> None:
        """Send the head of a stream."""
        self.begun, self.status = True, 200
        self.own = time.perf_counter() - self.accepted - provider_seconds
        await self.send({"type": "http.response.start", "status": 200, "headers": [*EVENTS, *self._about()]})

    async def _event(self, chunk: Body) -> None:
        """Send a chunk, on one line."""
        data = b"data: " + _encoder.encode(chunk) + b"\n\n"
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def _end(self, last: bytes) -> None:
        await self.send({"type": "http.response.body", "body": last, "more_body": False})


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


def _for_provider(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as providers take it: images as OpenAI has them, without what only Afterword knows."""
    message = {name: value for name, value in message.items() if name not in OF_OUR_ANSWERS}
    content = message.get("content")
    if isinstance(content, list):
        message["content"] = [_image(part) if isinstance(part, dict) else part for part in content]
    return message


def _image(part: dict[str, Any]) -> dict[str, Any]:
    address = part.get("image_url")
    return {**part, "image_url": {"url": address}} if isinstance(address, str) else part
