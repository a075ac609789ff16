"""The OpenAI-compatible API: forwards calls of language models to their provider, and logs them.

A call is authenticated, read once and sent to its model's provider. An answer that is not streamed is stored, then
sent. The interaction of a stream is stored before the head is sent, so that early feedback finds it. It is completed
before `[DONE]` is sent, and also when the caller hangs up, the provider fails, or the server stops.
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
from afterword.api.auth import Authenticator
from afterword.api.decoding import Lift, read_call
from afterword.api.event_stream import EventStream
from afterword.api.outgoing import outgoing_body
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
from afterword.api.streams import DeltaForm, Relay, is_usage, storable_choice
from afterword.api.traces import NoTracer
from afterword.errors import AfterwordError, Unavailable
from afterword.gateway.facts import FactsAccumulator, trace_id_of
from afterword.gateway.provider import Body, Operation, ProviderError
from afterword.gateway.response import ProviderResponse
from afterword.ids import uuid7
from afterword.service.access import get_permitted_context
from afterword.service.context import AppState
from afterword.service.interactions.calls import (
    CallRecorder,
    CallResult,
    Choice,
    count_call,
    estimated_usage,
    new_id,
    readable_session,
)
from afterword.service.models.routing import ModelRoute, get_call_route, get_model_route
from afterword.types import CallRequest, State

log = logging.getLogger("afterword")
_encoder = msgspec.json.Encoder()
_request_decoder = msgspec.json.Decoder(CallRequest)
_object = msgspec.json.Decoder(dict[str, Any])
_request_numbers = itertools.count(1)

# The caller hung up before the answer; nginx introduced this status.
CLIENT_CLOSED_STATUS = 499


class CallEndpoint:
    """An operation as an ASGI application. `call_tasks` holds the calls in flight of all operations."""

    def __init__(
        self,
        operation: Operation,
        app_state: AppState,
        authenticator: Authenticator,
        tracer: NoTracer,
        call_tasks: set[asyncio.Task[Any]],
        lift: Lift | None = None,
    ) -> None:
        self.operation: Operation = operation
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
        model_request = ModelRequest(self, scope, headers, request_id, accepted_at, send)
        try:
            await model_request.run(receive)
        except AfterwordError as error:
            await model_request.refuse(error)
        except Exception:
            log.exception("%s %s failed (request %s)", scope["method"], scope["path"], request_id.decode("latin-1"))
            await model_request.refuse(fault(request_id))
        finally:
            model_request.span.end(model_request.status)
            self.app_state.meters.count_answer(
                f"POST {scope['path']}", model_request.status, time.perf_counter() - accepted_at
            )
            self.call_tasks.discard(task)
            self.app_state.meters.streams.dec()


class ModelRequest:
    """One call, from its request to the end of its answer."""

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
        self.operation: Operation = endpoint.operation
        self.connection: Protocol = scope["connection"]
        self.headers = headers
        self.request_id = request_id
        self.accepted_at = accepted_at
        self.send = send
        self.span = endpoint.tracer.start(self.operation, scope["path"], headers, request_id.decode("latin-1"))
        self.stream: EventStream | None = None
        """The answer, if it is streamed."""
        self.response = ProviderResponse(self._note_activity)
        self.status = CLIENT_CLOSED_STATUS
        """The answer's HTTP status."""
        self.own_seconds = 0.0
        """Seconds that Afterword itself added to the call."""
        self.prompt_messages: list[Any] = []
        """The messages from which usage is estimated if the provider reports none."""
        self.delta_form = DeltaForm.of(headers.get(b"user-agent", b""))

    async def run(self, receive: Receive) -> None:
        """Read the call, make it and answer it. Raises `AfterwordError` if no part of the answer was sent yet."""
        actor = self.endpoint.authenticator.actor("POST", self.headers)
        context = get_permitted_context(self.app_state, actor, "call")
        raw = await read_body(self.headers, receive, self.app_state.settings.max_body)
        request: CallRequest
        # `storable_body` differs from `body` only where the store cannot hold it, such as half a surrogate pair.
        request, body, storable_body, replacements = read_call(_request_decoder, raw, self.endpoint.lift)
        user_agent = self.headers.get(b"user-agent", b"")
        body, storable_body = (
            outgoing_body(request, body, user_agent),
            outgoing_body(request, storable_body, user_agent),
        )
        first_id = new_id(stored=request.store is not False)
        model_route = self.span.start_provider_call(
            get_model_route(context, request.model)
            if self.operation == "embeddings"
            else get_call_route(
                context,
                request.model,
                session_id=readable_session(request.session_id) or str(first_id),
                ab_campaign=request.ab_campaign,
            )
        )
        if self.operation == "embeddings":
            await self._embed(model_route, body)
            return
        request_id = self.request_id.decode("latin-1")
        trace_id = trace_id_of(self.headers.get(b"traceparent", b"").decode("latin-1"))
        call = CallRecorder(
            context,
            request,
            model_route,
            storable_body,
            request_id,
            first_id,
            trace_id,
            json_text.as_rows(replacements),
        )
        self.prompt_messages = request.messages or [storable_body.get("prompt")]
        answer = (
            self._stream(call, model_route, request, body)
            if request.stream
            else self._answer_whole(call, model_route, body)
        )
        await self._unless_hung_up(answer)

    async def refuse(self, error: AfterwordError) -> None:
        """Send an error: as the whole answer, or as the last event of a stream that has begun."""
        self.span.fail(error)
        if self.stream is not None and self.stream.is_begun:
            await self.stream.end(_encoder.encode(error.body()))
            return
        self.status, content_type, body, error_headers = error_answer(error)
        if self.status == 422 and not getattr(error, "sent", False):
            # Afterword itself refused the call: OpenAI's API uses 400 where Afterword's own API uses 422.
            self.status = 400
        answer_headers = [(b"x-request-id", self.request_id), *error_headers, *self.response.forwarded_headers()]
        await reply(self.send, self.status, content_type, body, answer_headers)

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
            _cancellation_state(reason)
        finally:
            self.connection.on_lost = None

    # ------------------------------------------------------------------------------------ whole answers

    async def _embed(self, model_route: ModelRoute, body: Body) -> None:
        if isinstance(body.get("encoding_format"), str):
            body["encoding_format"] = body["encoding_format"].lower()
        started_at = time.perf_counter()
        try:
            targets = [target for _, target in model_route.targets]
            provider_answer = await self.endpoint.app_state.gateway.answer(targets, "embeddings", body, self.response)
        except ProviderError as error:
            outcome = self._outcome(model_route, "failed", started_at, error=error)
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
        await self._reply(provider_answer.body)

    async def _answer_whole(self, call: CallRecorder, model_route: ModelRoute, body: Body) -> None:
        gateway, started_at = self.endpoint.app_state.gateway, time.perf_counter()
        try:
            provider_answer = await gateway.answer(
                [target for _, target in model_route.targets], self.operation, body, self.response
            )
        except ProviderError as error:
            await self._finish(call, self._outcome(model_route, "failed", started_at, error=error), {})
            raise
        except asyncio.CancelledError as reason:
            state = _cancellation_state(reason)
            await self._finish(call, self._outcome(model_route, state, started_at), {})
            if state == "interrupted":
                raise _server_stopped_error() from None
            return
        answer, model = provider_answer.body, model_route.targets[provider_answer.target][0]
        facts = FactsAccumulator(self.app_state.settings.max_facts)
        facts.take(answer)
        for position, choice in enumerate(answer.get("choices") or []):
            choice["completion_id"] = call.completion_id(choice.setdefault("index", position))
            choice["model"] = model.key
        choices, replacements = _storable_choices(answer, facts)
        usage: Any = answer.get("usage")
        if not is_usage(usage):
            texts = [
                stored_choice.content if isinstance(stored_choice.content, str) else str(stored_choice.content)
                for stored_choice in choices.values()
            ]
            usage = answer["usage"] = estimated_usage(self.prompt_messages, texts)
        stored_usage, usage_replacements = json_text.repair(usage, "usage")
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
            origin=json_text.repair(facts.origin)[0],
            replacements=json_text.as_rows(replacements + usage_replacements),
        )
        await self._finish(call, outcome, answer)
        # The ids have changed if the store could not write and the call went on without it.
        for choice in answer.get("choices") or []:
            choice["completion_id"] = call.completion_id(choice["index"])
        answer["session_id"] = call.session_id
        self._complete_answer(answer)
        self.own_seconds = time.perf_counter() - self.accepted_at - provider_answer.seconds
        await self._reply(answer)

    def _complete_answer(self, answer: Body) -> None:
        """Add members that OpenAI's clients expect and some providers leave out."""
        answer.setdefault("id", f"chatcmpl-{uuid7().hex}")
        answer.setdefault("created", int(time.time()))
        if self.operation != "chat":
            return
        for choice in answer.get("choices") or []:
            message = choice.setdefault("message", {})
            message.setdefault("id", f"{answer['id']}-{choice['index']}")
            message.setdefault("role", "assistant")
            if self.delta_form.needs_whole_deltas and message.get("content") is None:
                message["content"] = ""

    async def _finish(self, call: CallRecorder, outcome: CallResult, answer: Body) -> None:
        """Store how the call ended, and note it in its span."""
        if self.response.request_id:
            outcome.origin["provider_request_id"] = self.response.request_id
        try:
            await call.finish(outcome)
        finally:
            # Only now is it known whether anything is stored under the call's ids.
            self.span.finish(outcome, answer, call.ids.values() if call.stored else ())

    async def _reply(self, answer: Body) -> None:
        self.status = 200
        await reply(self.send, 200, JSON, json_text.encode_for_caller(answer), self._answer_headers())

    def _answer_headers(self) -> Headers:
        own_milliseconds = b"%.2f" % (self.own_seconds * 1000)
        return [
            (b"x-request-id", self.request_id),
            (b"x-afterword-overhead-ms", own_milliseconds),
            *self.response.forwarded_headers(),
        ]

    def _outcome(
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

    async def _stream(self, call: CallRecorder, model_route: ModelRoute, request: CallRequest, body: Body) -> None:
        started_at = time.perf_counter()
        # Store the interaction while the provider works: this adds no latency. It is done before the first chunk.
        opening_future = asyncio.ensure_future(call.open(list(call.ids)))
        options = request.stream_options
        asked_for_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        relay = Relay(
            call,
            model_route,
            self.operation,
            self.delta_form,
            accepted_at=self.accepted_at,
            asked_for_usage=asked_for_usage,
        )
        prompt_messages = self.prompt_messages
        state: State = "complete"
        error: AfterwordError | None = None

        def head() -> Headers:
            self.status = 200
            now = time.perf_counter()
            self.own_seconds = now - self.accepted_at - (relay.seconds or now - started_at)
            return self._answer_headers()

        settings = self.app_state.settings
        stream = self.stream = EventStream(
            self.send,
            head,
            head_seconds=settings.stream_head_delay,
            comment_seconds=settings.stream_comment_interval,
        )
        stream.start(opening_future)
        try:
            await relay.open(self.endpoint.app_state.gateway, opening_future, body, self.response)
            async with aclosing(relay.chunks(prompt_messages)) as chunks:
                async for chunk in chunks:
                    await stream.event(json_text.encode_for_caller(chunk))
        except asyncio.CancelledError as reason:
            state = _cancellation_state(reason)
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
            raise _server_stopped_error()
        if state == "complete":
            await stream.end(b"[DONE]")


# ------------------------------------------------------------------------------------------------ hanging up


HUNG_UP_REASON = "the caller hung up"


def _cancellation_state(reason: asyncio.CancelledError) -> State:
    """Return the state of a cancelled call: the caller hung up, or the server stopped."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    return "cancelled" if reason.args == (HUNG_UP_REASON,) else "interrupted"


def _server_stopped_error() -> Unavailable:
    return Unavailable(
        "The server was stopped before the answer was complete.",
        code="interrupted",
        hint="Call again after the time that Retry-After gives.",
        retry_after=2,
    )


# ------------------------------------------------------------------------------------------------ forms


def _storable_choices(answer: Body, facts: FactsAccumulator) -> tuple[dict[int, Choice], list[json_text.Replacement]]:
    """Return the choices of an answer in storable form, by index, and the replacements that this took."""
    choices: dict[int, Choice] = {}
    replacements: list[json_text.Replacement] = []
    for choice in answer.get("choices") or []:
        index = choice["index"]
        choices[index], choice_replacements = storable_choice(
            index, _choice_message(choice), choice.get("finish_reason"), facts.choice_facts(index)
        )
        replacements += choice_replacements
    if not choices:
        # An answer without choices may say why, for example in the results of a filter.
        choices[0], replacements = storable_choice(0, "", None, facts.choice_facts(0))
    return choices, replacements


def _choice_message(choice: Body) -> Any:
    """Return the message of a choice, or only its text if the message holds nothing else."""
    message = choice.get("message")
    if not isinstance(message, dict):
        return choice.get("text") or ""
    other_members = {
        name: value
        for name, value in message.items()
        if value not in (None, [], {}) and name not in ("role", "content", "id")
    }
    content = message.get("content")
    return (
        {"role": "assistant", "content": content, **other_members}
        if other_members or isinstance(content, list)
        else content or ""
    )
