"""Logging of calls that went straight to a provider, from what went over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import msgspec

from afterword import json_text
from afterword.errors import Invalid
from afterword.gateway.answers import choice_message, is_error
from afterword.gateway.assembling import assemble
from afterword.gateway.call_format import FormatError, FormatEvent
from afterword.gateway.facts import FactsAccumulator
from afterword.gateway.formats import FORMATS
from afterword.gateway.provider import Body
from afterword.ids import id_of_choice
from afterword.service.context import Context
from afterword.service.interactions.batches import Lines, record_parts_of_lines
from afterword.service.interactions.calls import (
    FINISH_REASON_OF_STATE,
    NON_PARAMETER_FIELDS,
    OwnFields,
    request_message_lists,
)
from afterword.types import OWN_FIELDS, CallRequest, LineResult, NewInteraction, RecordedCall
from afterword.types.fields import TEXT_FIELDS
from afterword.types.queries import BatchQuery

MAX_CHOICE_INDEX = 1 << 16
"""Bound on the index of a choice. One beyond it is replaced by the choice's place in the answer."""


async def record_calls(context: Context, *, query: BatchQuery, lines: Lines[RecordedCall]) -> AsyncIterator[LineResult]:
    """Log calls that went straight to a provider.

    Send one per line as NDJSON, or a JSON array: the request as it went to the provider, and the answer or the events
    that came back. Each choice becomes an interaction. Lines can be sent again safely. `project` applies to lines that
    name none.
    """
    async for result in record_parts_of_lines(
        context, query=query, lines=lines, interactions=lambda call: _interactions(context, call)
    ):
        yield result


def _interactions(context: Context, call: RecordedCall) -> Iterator[NewInteraction]:
    """Yield the interaction of each choice. Raises `Invalid` for a request or an answer of another form."""
    chat_request, chat_answer, answer_error = _in_chat_form(call)
    error = call.error or answer_error
    # A client closes a stream that tells of an error, so that the call seems cancelled.
    state = "failed" if answer_error or (error and call.state == "complete") else call.state
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
        index = choice.get("index")
        if not isinstance(index, int) or not 0 <= index < MAX_CHOICE_INDEX:
            index = position
        interaction = {
            "completion_id": id_of_choice(call.completion_id, index),
            "messages": message_lists[min(index * len(message_lists) // len(choices), len(message_lists) - 1)],
            "completion": choice_message(choice),
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
                "state": state,
                "finish_reason": choice.get("finish_reason") or FINISH_REASON_OF_STATE.get(state),
                "error": error,
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


def _in_chat_form(call: RecordedCall) -> tuple[Body, Body, Body | None]:
    """Return request and answer in the form of chat, and the error that the answer or an event tells of.

    An answer that was cut off holds what came of it, and one with an error what came before that.
    """
    call_format = FORMATS.get(call.operation)
    field = "events" if call.answer is None else "answer"
    bodies, error = _until_error(call, _find_chat_error if call_format is None else call_format.find_error)
    chat_request = call.request if call_format is None else call_format.chat_request(call.request)
    try:
        if call.answer is not None:
            answer = bodies[0] if bodies else {}
            chat_answer = call_format.chat_answer(answer) if call_format and answer else answer
        elif call_format is not None:
            event_log = call_format.event_log()
            events = (FormatEvent(body.get("type", ""), body) for body in bodies)
            chat_answer = assemble("chat", [chunk for event in events for chunk in event_log.take(event)])
        else:
            chat_answer = assemble("completions" if call.operation == "completions" else "chat", bodies)
    except (AttributeError, KeyError, TypeError, ValueError) as reading_error:
        raise _unreadable(call, field, reading_error) from None
    choices = chat_answer.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise _unreadable(call, field, TypeError("a choice is not an object"))
    return chat_request, chat_answer, error


def _until_error(
    call: RecordedCall, find_error: Callable[[Body], FormatError | None]
) -> tuple[list[Body], Body | None]:
    """Return the answer or the events up to the first that tells of an error, and that error."""
    bodies: list[Body] = []
    for body in (call.events or ()) if call.answer is None else (call.answer,):
        if (found := find_error(body)) is not None:
            return bodies, found.error if isinstance(found.error, dict) else {"message": str(found.error)}
        bodies.append(body)
    return bodies, None


def _find_chat_error(body: Body) -> FormatError | None:
    return FormatError(body.get("error") or body) if is_error(body) else None


def _unreadable(call: RecordedCall, field: str, error: Exception) -> Invalid:
    return Invalid(
        f"{field} is not of the form of {call.operation!r}: {type(error).__name__}: {error}.",
        code="unreadable_call",
        param=field,
        hint="Send the bodies as they went over the wire, and name the API that they belong to in `operation`.",
    )
