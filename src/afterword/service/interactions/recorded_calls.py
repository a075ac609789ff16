"""Logging of calls that went straight to a provider, from what went over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import msgspec

from afterword import json_text
from afterword.errors import AfterwordError, Invalid
from afterword.gateway.assembling import assemble
from afterword.gateway.call_format import CallFormat, FormatEvent
from afterword.gateway.facts import FactsAccumulator
from afterword.gateway.formats import FORMATS
from afterword.gateway.provider import Body
from afterword.ids import id_of_choice
from afterword.service.context import Context
from afterword.service.interactions.batches import Lines, record_interactions
from afterword.service.interactions.calls import NON_PARAMETER_FIELDS, OwnFields, request_message_lists
from afterword.types import OWN_FIELDS, CallRequest, LineResult, NewInteraction, RecordedCall
from afterword.types.fields import TEXT_FIELDS
from afterword.types.queries import BatchQuery


async def record_calls(context: Context, *, query: BatchQuery, lines: Lines[RecordedCall]) -> AsyncIterator[LineResult]:
    """Log calls that went straight to a provider.

    Send one per line as NDJSON, or a JSON array: the request as it went to the provider, and the answer or the events
    that came back. Each choice becomes an interaction. Lines can be sent again safely. `project` applies to lines that
    name none.
    """

    async def interactions() -> AsyncIterator[tuple[int, NewInteraction | AfterwordError]]:
        async for number, call in lines:
            if isinstance(call, AfterwordError):
                yield number, call
                continue
            try:
                for interaction in list(_interactions(context, call)):
                    yield number, interaction
            except AfterwordError as error:
                yield number, error

    line_result: LineResult | None = None
    async for result in record_interactions(context, query=query, lines=interactions()):
        if line_result is None or line_result.line != result.line:
            if line_result is not None:
                yield line_result
            line_result = result
        elif line_result.error is None and result.error is not None:
            # The line of a call with several choices tells of the first one that was refused.
            line_result = result
    if line_result is not None:
        yield line_result


def _interactions(context: Context, call: RecordedCall) -> Iterator[NewInteraction]:
    """Yield the interaction of each choice. Raises `Invalid` for a request or an answer of another form."""
    chat_request, chat_answer = _in_chat_form(call)
    try:
        request = msgspec.convert(chat_request, CallRequest)
    except msgspec.ValidationError as error:
        raise _unreadable(call, "request", error) from None
    own_fields = OwnFields.from_request(request, context.settings)
    message_lists = request_message_lists(request)
    facts = FactsAccumulator(context.settings.max_facts)
    facts.take(chat_answer)
    parameters = {name: value for name, value in chat_request.items() if name not in NON_PARAMETER_FIELDS | OWN_FIELDS}
    parameters |= own_fields.unreadable
    seconds = {"latency": call.latency, "ttft": call.ttft}
    timings = {name: round(value * 1000) for name, value in seconds.items() if value is not None}
    usage = chat_answer.get("usage")
    texts = {field.name: own_fields.texts[field.column] for field in TEXT_FIELDS}
    choices = chat_answer.get("choices") or [{"index": 0}]
    for position, choice in enumerate(choices):
        index = choice.get("index", position)
        interaction = {
            "completion_id": id_of_choice(call.completion_id, index),
            "messages": message_lists[min(index * len(message_lists) // len(choices), len(message_lists) - 1)],
            "completion": choice.get("message") or choice.get("text") or "",
            "project": call.project,
            "model": request.model,
            "labels": own_fields.labels,
            "session_id": own_fields.session or (str(call.completion_id) if len(choices) > 1 else None),
            "parent": own_fields.parent and str(own_fields.parent),
            "created_at": call.created_at,
            # The tokens of a call are counted once, however many completions it made.
            "usage": usage if position == 0 and isinstance(usage, dict) else None,
            "timings": timings or None,
            "parameters": parameters or None,
            "facts": facts.choice_facts(index),
            "source": "LIVE",
            "operation": "completions" if call.operation == "completions" else "chat",
            "call": {
                "state": call.state,
                "finish_reason": choice.get("finish_reason"),
                "error": call.error,
                "provider_request_id": call.provider_request_id,
                "streamed": call.streamed,
                **facts.origin,
            },
            **texts,
        }
        try:
            yield msgspec.convert(json_text.repair(interaction)[0], NewInteraction)
        except msgspec.ValidationError as error:
            raise _unreadable(call, "answer", error) from None


def _in_chat_form(call: RecordedCall) -> tuple[Body, Body]:
    """Return request and answer in the form of chat. An answer that was cut off holds what came of it."""
    call_format: CallFormat | None = FORMATS.get(call.operation)
    if call_format is None:
        operation = "completions" if call.operation == "completions" else "chat"
        try:
            return call.request, call.answer or assemble(operation, call.events or ())
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _unreadable(call, "events", error) from None
    chat_request = call_format.chat_request(call.request)
    field = "answer" if call.answer is not None else "events"
    try:
        if call.answer is not None:
            return chat_request, call_format.chat_answer(call.answer)
        event_log = call_format.event_log()
        chunks = [
            chunk for event in call.events or () for chunk in event_log.take(FormatEvent(event.get("type", ""), event))
        ]
        return chat_request, assemble("chat", chunks)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(call, field, error) from None


def _unreadable(call: RecordedCall, field: str, error: Exception) -> Invalid:
    return Invalid(
        f"{field} is not of the form of {call.operation!r}: {type(error).__name__}: {error}.",
        code="unreadable_call",
        param=field,
        hint="Send the bodies as they went over the wire, and name the API that they belong to in `operation`.",
    )
