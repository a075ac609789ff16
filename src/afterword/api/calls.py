"""Calls of language models, forwarded to their provider and logged: what calls in all forms share.

A call is authenticated, read once and sent to its model's provider. An answer that is not streamed is stored, then
sent. The interaction of a stream is stored before the head is sent, so that early feedback finds it. It is completed
before its last event is sent, and also when the caller hangs up, the provider fails, or the server stops.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple
from uuid import UUID

from afterword import json_text
from afterword.api.auth import Authenticator
from afterword.api.call_headers import NO_CALL_HEADERS, read_call_headers
from afterword.api.decoding import Lift
from afterword.api.event_stream import EventStream
from afterword.api.protocol import Protocol
from afterword.api.rest import (
    JSON,
    SERVER_START_ID,
    Headers,
    Receive,
    Scope,
    Send,
    error_answer,
    fault,
    read_body,
    reply,
)
from afterword.api.routes import ModelCallRoute
from afterword.api.streams import Opening, Relay, is_usage, storable_choice
from afterword.api.traces import NoTracer
from afterword.errors import AfterwordError, Unavailable
from afterword.gateway.answers import choice_message
from afterword.gateway.call_format import FormatCall
from afterword.gateway.facts import FactsAccumulator, trace_id_of
from afterword.gateway.provider import Body, Operation
from afterword.gateway.relay import GatewayAnswer
from afterword.gateway.response import ProviderResponse
from afterword.service.access import get_permitted_context
from afterword.service.context import AppState, Context
from afterword.service.interactions.calls import (
    CallRecorder,
    CallResult,
    Choice,
    check_is_free,
    estimated_usage,
    new_id,
    readable_session,
)
from afterword.service.models.routing import ModelRoute, get_call_route
from afterword.types import CallRequest, State

log = logging.getLogger("afterword")
_request_numbers = itertools.count(1)

# The caller hung up before the answer; nginx introduced this status.
CLIENT_CLOSED_STATUS = 499


class CallEndpoint:
    """An operation as an ASGI application: each call becomes a `request_class`.

    `call_tasks` holds the calls in flight of all operations.
    """

    def __init__(
        self,
        route: ModelCallRoute,
        request_class: type[ModelRequest],
        app_state: AppState,
        authenticator: Authenticator,
        tracer: NoTracer,
        call_tasks: set[asyncio.Task[Any]],
        lift: Lift | None = None,
    ) -> None:
        self.route = route
        self.request_class = request_class
        self.app_state = app_state
        self.authenticator = authenticator
        self.tracer = tracer
        self.call_tasks = call_tasks
        self.lift = lift

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted_at = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", b"")[:100] or b"%s-c%x" % (SERVER_START_ID, next(_request_numbers))
        task = asyncio.current_task()
        assert task is not None
        self.call_tasks.add(task)
        self.app_state.meters.streams.inc()
        model_request = self.request_class(self, scope, headers, request_id, accepted_at, send)
        try:
            await model_request.run(receive)
        except AfterwordError as error:
            await model_request.refuse(error)
        except Exception:
            log.exception("%s %s failed (request %s)", scope["method"], scope["path"], request_id.decode("latin-1"))
            await model_request.refuse(fault(request_id))
        finally:
            model_request.span.end(model_request.status)
            # A path with a parameter would make a series of measurements for each of its values.
            path = self.route.path if scope["path_params"] else scope["path"]
            self.app_state.meters.count_answer(f"POST {path}", model_request.status, time.perf_counter() - accepted_at)
            self.call_tasks.discard(task)
            self.app_state.meters.streams.dec()


class IncomingCall(NamedTuple):
    """A call as it was read: the members that Afterword reads, and what is sent to the provider.

    `storable_body` is the request in OpenAI's form, for the log. It differs from what is sent only where the store
    cannot hold that, such as half a surrogate pair; `replacements` tells where.
    """

    request: CallRequest
    outgoing: Body | FormatCall
    storable_body: Body
    replacements: list[json_text.Replacement]


class StorableAnswer(NamedTuple):
    """What is stored of an answer: its choices by index, the replacements that this took, and who answered, by the
    store's column names."""

    choices: dict[int, Choice]
    replacements: list[json_text.Replacement]
    origin: dict[str, Any]


class ModelRequest(ABC):
    """One call, from its request to the end of its answer. A subclass knows the form of the call."""

    def __init__(
        self,
        endpoint: CallEndpoint,
        scope: Scope,
        headers: dict[bytes, bytes],
        request_id: bytes,
        accepted_at: float,
        send: Send,
    ) -> None:
        self.endpoint = endpoint
        self.app_state = endpoint.app_state
        self.operation: Operation = endpoint.route.name
        self.connection: Protocol = scope["connection"]
        self.path_parameters: dict[str, str] = scope["path_params"]
        self.headers = headers
        # A list may stand in several headers, of which `headers` has the last.
        self.baggage = b",".join(value for name, value in scope["headers"] if name == b"baggage")
        self.request_id = request_id
        self.accepted_at = accepted_at
        self.send = send
        self.span = endpoint.tracer.start(self.operation, scope["path"], headers, request_id.decode("latin-1"))
        self.call_headers = NO_CALL_HEADERS
        self.call: CallRecorder | None = None
        """What stores the call, once it is known where it goes."""
        self.stream: EventStream | None = None
        """The answer, if it is streamed."""
        self.relay: Relay | None = None
        """What forwards the stream."""
        self.response = ProviderResponse(self._note_activity)
        self.status = CLIENT_CLOSED_STATUS
        """The answer's HTTP status."""
        self.own_seconds = 0.0
        """Seconds that Afterword itself added to the call."""
        self.prompt_messages: list[Any] = []
        """The messages from which usage is estimated if the provider reports none."""

    # ------------------------------------------------------------------------------------ the form of the call

    @property
    def statuses(self) -> Mapping[int, int]:
        """HTTP statuses of errors for which the form has others."""
        return {}

    @abstractmethod
    async def read(self, context: Context, raw: bytes | bytearray) -> IncomingCall:
        """Read the body of the call. Raises `BadRequest` or `Invalid`."""

    def find_route(self, context: Context, request: CallRequest, first_id: UUID) -> ModelRoute:
        """Return the route of this call. Raises as `get_call_route` does."""
        session_id = readable_session(request.session_id) or str(first_id)
        return get_call_route(context, request.model, session_id=session_id, ab_campaign=request.ab_campaign)

    @abstractmethod
    def new_relay(self, call: CallRecorder, model_route: ModelRoute, incoming: IncomingCall) -> Relay:
        """Return what forwards the stream of this call."""

    def storable_answer(self, answer: Body, call: CallRecorder) -> StorableAnswer:
        """Return what is stored of a whole answer. An answer without usage gets an estimate, in place."""
        facts = FactsAccumulator(self.app_state.settings.max_facts)
        facts.take(answer)
        for position, choice in enumerate(answer.get("choices") or []):
            call.completion_id(choice.setdefault("index", position))
        choices, replacements = _storable_choices(answer, facts)
        if not is_usage(answer.get("usage")):
            texts = [
                choice.content if isinstance(choice.content, str) else str(choice.content)
                for choice in choices.values()
            ]
            answer["usage"] = estimated_usage(self.prompt_messages, texts)
        return StorableAnswer(choices, replacements, json_text.repair(facts.origin)[0])

    @abstractmethod
    def answer_body(self, answer: GatewayAnswer, incoming: IncomingCall, call: CallRecorder, model_key: str) -> Body:
        """Return a whole answer for the caller, with its ids."""

    @abstractmethod
    def error_body(self, error: AfterwordError) -> bytes:
        """Return an error for the caller, whose status is `self.status`."""

    # ------------------------------------------------------------------------------------ the call

    async def run(self, receive: Receive) -> None:
        """Read the call, make it and answer it. Raises `AfterwordError` if no part of the answer was sent yet."""
        actor = self.endpoint.authenticator.actor("POST", self.headers)
        context = get_permitted_context(self.app_state, actor, "call")
        raw = await read_body(self.headers, receive, self.app_state.settings.max_body)
        incoming = await self.read(context, raw)
        self.call_headers = read_call_headers(self.headers, self.baggage)
        self.call_headers.fill(incoming.request)
        await self.serve(context, incoming)

    async def serve(self, context: Context, incoming: IncomingCall) -> None:
        """Route the call, make it, log it and answer it."""
        request, _, storable_body, replacements = incoming
        if self.endpoint.route.logged_as in self.app_state.settings.unlogged_operations:
            request.store = False
        own_id = self.call_headers.completion_id if request.store is not False else None
        first_id = own_id or new_id(stored=request.store is not False)
        model_route = self.span.start_provider_call(self.find_route(context, request, first_id))
        if own_id is not None:
            await check_is_free(context, own_id)
        call = self.call = CallRecorder(
            context,
            request,
            model_route,
            storable_body,
            self.request_id.decode("latin-1"),
            first_id,
            trace_id_of(self.headers.get(b"traceparent", b"").decode("latin-1")),
            json_text.as_rows(replacements),
            self.call_headers.labels,
            operation=self.endpoint.route.logged_as,
            is_id_of_caller=own_id is not None,
        )
        self.prompt_messages = request.messages or [storable_body.get("prompt")]
        answer = (
            self._stream(call, model_route, incoming)
            if request.stream
            else self._answer_whole(call, model_route, incoming)
        )
        await self._unless_hung_up(answer)

    async def refuse(self, error: AfterwordError) -> None:
        """Send an error: as the whole answer, or as the last event of a stream that has begun."""
        self.span.fail(error)
        if self.stream is not None and self.relay is not None and self.stream.is_begun:
            await self.stream.send(self.relay.fail(error), is_last=True)
            return
        self.status, content_type, _, error_headers = error_answer(error)
        if self.status == 422 and not getattr(error, "sent", False):
            # Afterword itself refused the call: OpenAI's API uses 400 where Afterword's own API uses 422.
            self.status = 400
        self.status = self.statuses.get(self.status, self.status)
        answer_headers = [*self.own_headers(), *error_headers, *self.response.forwarded_headers()]
        await reply(self.send, self.status, content_type, self.error_body(error), answer_headers)

    def _note_activity(self) -> None:
        if self.stream is not None:
            self.stream.note_activity()

    async def _unless_hung_up(self, answer: Coroutine[Any, Any, None]) -> None:
        """Run the answer; cancel it when the caller hangs up."""
        answer_task = asyncio.current_task()
        assert answer_task is not None
        self.connection.on_lost = lambda: answer_task.cancel(HUNG_UP_REASON)
        try:
            await answer
        except asyncio.CancelledError as reason:
            # The caller is gone, so no answer is sent. Writes that the store has accepted are still committed.
            cancellation_state(reason)
        finally:
            self.connection.on_lost = None

    # ------------------------------------------------------------------------------------ whole answers

    async def _answer_whole(self, call: CallRecorder, model_route: ModelRoute, incoming: IncomingCall) -> None:
        gateway, started_at = self.endpoint.app_state.gateway, time.perf_counter()
        try:
            provider_answer = await gateway.answer(
                [target for _, target in model_route.targets], self.operation, incoming.outgoing, self.response
            )
        except AfterwordError as error:
            await self._finish(call, self.outcome(model_route, "failed", started_at, error=error), {})
            raise
        except asyncio.CancelledError as reason:
            state = cancellation_state(reason)
            await self._finish(call, self.outcome(model_route, state, started_at), {})
            if state == "interrupted":
                raise server_stopped_error() from None
            return
        answer, model = provider_answer.body, model_route.targets[provider_answer.target][0]
        choices, replacements, origin = self.storable_answer(answer, call)
        usage = answer.get("usage")
        # What some providers send in place of the usage of embeddings goes on to the caller alone.
        stored_usage, usage_replacements = json_text.repair(usage if isinstance(usage, dict) else {}, "usage")
        latency = time.perf_counter() - self.accepted_at
        outcome = CallResult(
            operation=self.operation,
            state="complete",
            choices=choices,
            model=model,
            usage=stored_usage,
            latency=latency,
            provider_time=provider_answer.seconds,
            overhead=latency - provider_answer.seconds,
            attempts=provider_answer.attempts,
            origin=origin,
            replacements=json_text.as_rows(replacements + usage_replacements),
        )
        await self._finish(call, outcome, answer)
        # Only now are the ids certain: they change if the store cannot write and the call goes on without it.
        body = self.answer_body(provider_answer, incoming, call, model.key)
        self.own_seconds = time.perf_counter() - self.accepted_at - provider_answer.seconds
        await self.reply(body)

    async def _finish(self, call: CallRecorder, outcome: CallResult, answer: Body) -> None:
        """Store how the call ended, and note it in its span."""
        if self.response.request_id:
            outcome.origin["provider_request_id"] = self.response.request_id
        try:
            await call.finish(outcome)
        finally:
            # Only now is it known whether anything is stored under the call's ids.
            self.span.finish(outcome, answer, call.ids.values() if call.stored else ())

    async def reply(self, answer: Body | list[Body]) -> None:
        """Send a whole answer."""
        self.status = 200
        await reply(self.send, 200, JSON, json_text.encode_for_caller(answer), self.answer_headers())

    def answer_headers(self) -> Headers:
        """Return the headers of an answer that is not an error."""
        own_milliseconds = b"%.2f" % (self.own_seconds * 1000)
        return [
            *self.own_headers(),
            (b"x-afterword-overhead-ms", own_milliseconds),
            *self.response.forwarded_headers(),
        ]

    def own_headers(self) -> Headers:
        """Return Afterword's headers of every answer, also of an error."""
        headers: Headers = [(b"x-request-id", self.request_id)]
        if self.call is not None:
            headers.append((b"x-afterword-completion-id", str(self.call.ids[0]).encode()))
            headers.append((b"x-afterword-session-id", str(self.call.session_id).encode()))
        return headers

    def outcome(
        self, model_route: ModelRoute, state: State, started_at: float, error: AfterwordError | None = None
    ) -> CallResult:
        """Return the result of a call that got no answer."""
        now = time.perf_counter()
        return CallResult(
            operation=self.operation,
            state=state,
            model=model_route.model,
            latency=now - self.accepted_at,
            provider_time=now - started_at,
            overhead=started_at - self.accepted_at,
            error=error,
        )

    # ------------------------------------------------------------------------------------ streams

    async def _stream(self, call: CallRecorder, model_route: ModelRoute, incoming: IncomingCall) -> None:
        started_at = time.perf_counter()
        opening = Opening(call)
        if not call.is_id_of_caller:
            # Store the interaction while the provider works: this adds no latency. It is done before the first chunk.
            opening.start()
        relay = self.relay = self.new_relay(call, model_route, incoming)
        prompt_messages = self.prompt_messages
        state: State = "complete"
        error: AfterwordError | None = None

        def head() -> Headers:
            self.status = 200
            now = time.perf_counter()
            self.own_seconds = now - self.accepted_at - (relay.seconds or now - started_at)
            return self.answer_headers()

        settings = self.app_state.settings
        stream = self.stream = EventStream(
            self.send,
            head,
            head_seconds=settings.stream_head_delay,
            comment_seconds=settings.stream_comment_interval,
        )
        stream.start(opening.start)
        try:
            await relay.open(self.endpoint.app_state.gateway, opening, incoming.outgoing, self.response)
            async with aclosing(relay.events(prompt_messages)) as events:
                async for event in events:
                    await stream.send(event)
        except asyncio.CancelledError as reason:
            state = cancellation_state(reason)
        except AfterwordError as failure:
            state, error = "failed", failure
        except Exception:
            log.exception("A stream failed (request %s)", self.request_id.decode("latin-1"))
            state, error = "failed", fault(self.request_id)
        await stream.stop()
        try:
            outcome = relay.outcome(
                state, error, prompt_messages=prompt_messages, started_at=started_at, overhead=self.own_seconds
            )
            await self._finish(call, outcome, relay.head)
        except AfterwordError as write_error:
            error = error or write_error
        if error is not None:
            raise error
        if state == "interrupted":
            raise server_stopped_error()
        if state == "complete":
            await stream.send(relay.end(), is_last=True)


# ------------------------------------------------------------------------------------------------ hanging up


HUNG_UP_REASON = "the caller hung up"


def cancellation_state(reason: asyncio.CancelledError) -> State:
    """Return the state of a cancelled call: the caller hung up, or the server stopped."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    return "cancelled" if reason.args == (HUNG_UP_REASON,) else "interrupted"


def server_stopped_error() -> Unavailable:
    """Return the error for a call that ended because the server stopped."""
    return Unavailable(
        "The server was stopped before the answer was complete.",
        code="interrupted",
        hint="Call again after the time that Retry-After gives.",
        retry_after=2,
    )


# ------------------------------------------------------------------------------------------------ answers


def _storable_choices(answer: Body, facts: FactsAccumulator) -> tuple[dict[int, Choice], list[json_text.Replacement]]:
    """Return the choices of an answer in storable form, by index, and the replacements that this took."""
    choices: dict[int, Choice] = {}
    replacements: list[json_text.Replacement] = []
    for choice in answer.get("choices") or []:
        index = choice["index"]
        choices[index], choice_replacements = storable_choice(
            index, choice_message(choice), choice.get("finish_reason"), facts.choice_facts(index)
        )
        replacements += choice_replacements
    if not choices:
        # An answer without choices may say why, for example in the results of a filter.
        choices[0], replacements = storable_choice(0, "", None, facts.choice_facts(0))
    return choices, replacements
