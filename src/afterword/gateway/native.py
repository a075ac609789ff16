"""Calls in the caller's own form, passed on unchanged to providers that speak it, and read for the log."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from afterword import json_text
from afterword.gateway.answers import as_chunk
from afterword.gateway.assembling import assemble
from afterword.gateway.call_format import CallFormat, EventLog, FormatCall, FormatEvent
from afterword.gateway.events import Event
from afterword.gateway.failures import error_in_answer, hung_up, read_object, unreadable
from afterword.gateway.http import Address, Http
from afterword.gateway.provider import Body, NativeForm, Operation, ProviderError
from afterword.gateway.providers import SPECS
from afterword.gateway.response import ProviderResponse
from afterword.types import Target

REMEMBERED_SECONDS = 3600.0
# What an answer with status 404 names if the path exists, and the model or another object of the request does not.
_NAMED_OBJECT = re.compile(
    rb"model|deployment|previous_response|response with id|resp_|conversation|prompt|file_", re.I
)
# What some servers say of a path that they do not have, also with other statuses.
_UNKNOWN_PATH = re.compile(r"unexpected endpoint|unknown request url|invalid url|no route", re.I)


class NativeEvent(NamedTuple):
    """An event of a provider in the caller's own form, the chunks of chat that it stands for, and the log that read
    it."""

    event: FormatEvent
    chunks: Sequence[Body]
    log: EventLog


class NativeAnswer(NamedTuple):
    """A whole answer in the form of chat, and as the provider sent it in the caller's own form, if it did."""

    body: Body
    native: Body | None


class NativeCalls:
    """Makes calls in the caller's own form, and remembers targets whose server has no such path."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._missing_paths: dict[tuple[str, Operation], tuple[Target, float]] = {}

    def takes(self, target: Target, call: FormatCall) -> bool:
        """Tell whether a target is called in the call's own form."""
        operation = call.format.operation
        if operation not in SPECS[target.provider].native_formats:
            return False
        missing_path = self._missing_paths.get((target.key, operation))
        if missing_path is None or missing_path[0] != target:
            return True
        return time.monotonic() - missing_path[1] >= REMEMBERED_SECONDS

    def remember_missing_path(self, target: Target, call: FormatCall, error: ProviderError) -> bool:
        """Tell whether an error means that the target's server lacks the form's path, and remember it for an hour."""
        if not _is_missing_path(error, target):
            return False
        self._missing_paths[target.key, call.format.operation] = (target, time.monotonic())
        return True

    async def answer(self, target: Target, call: FormatCall, response: ProviderResponse) -> NativeAnswer:
        """Return the whole answer. Raises `ProviderError`."""
        address = _native_address(target, call, is_streamed=False)
        answer = await self._http.post(address, _request_bytes(target, call), response)
        if isinstance(answer, dict):
            return NativeAnswer(_chat_answer(address, call.format, answer), answer)
        log = call.format.event_log()
        answer = assemble("chat", _chunks(address, call.format, log, answer))
        if not log.is_finished:
            raise hung_up(address)
        return NativeAnswer(answer, None)

    async def stream(
        self, target: Target, call: FormatCall, response: ProviderResponse
    ) -> AsyncGenerator[Body | NativeEvent, None]:
        """Yield the events as they arrive; an answer that is not streamed as the one chunk of a stream of chat.

        Raises `ProviderError` if the answer is cut off.
        """
        address = _native_address(target, call, is_streamed=True)
        log = call.format.event_log()
        request = _request_bytes(target, call)
        async with aclosing(self._http.events(address, request, lambda _: log.is_finished, response)) as events:
            async for event in events:
                if isinstance(event, dict):
                    yield as_chunk(_chat_answer(address, call.format, event))
                    return
                if not event.data.startswith(b"[DONE]"):
                    yield _read(address, call.format, log, event)
        if not log.is_finished:
            raise hung_up(address)


def _is_missing_path(error: ProviderError, target: Target) -> bool:
    if error.status in (405, 501) or _UNKNOWN_PATH.search(error.message):
        return True
    names_object = _NAMED_OBJECT.search(error.raw) or target.model.encode() in error.raw
    return error.status == 404 and not names_object and not error.param


def _native_address(target: Target, call: FormatCall, *, is_streamed: bool) -> Address:
    return _native_form(target, call).address(target, call.headers, is_streamed)


def _request_bytes(target: Target, call: FormatCall) -> bytes:
    return json_text.encode(_native_form(target, call).request(target, call.format.native_request(call.body)))


def _native_form(target: Target, call: FormatCall) -> NativeForm:
    return SPECS[target.provider].native_formats[call.format.operation]


def _chat_answer(address: Address, call_format: CallFormat, answer: Body) -> Body:
    """Return a whole answer as one of chat. Raises `ProviderError` if it is an error, or malformed."""
    _check_error(address, call_format, answer)
    try:
        return call_format.chat_answer(answer)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise unreadable(address, "an answer of another form", json_text.encode(answer)) from None


def _read(address: Address, call_format: CallFormat, log: EventLog, event: Event) -> NativeEvent:
    """Return an event with the chunks that it stands for. Raises `ProviderError` if it is an error, or malformed."""
    try:
        body = read_object(address, event.data)
    except ProviderError:
        if event.name != b"error":
            raise
        raise error_in_answer(address, event.data.decode("utf-8", "replace")) from None
    _check_error(address, call_format, body)
    if event.name == b"error":
        raise error_in_answer(address, body)
    format_event = FormatEvent(event.name.decode("utf-8", "replace"), body)
    try:
        chunks = log.take(format_event)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise unreadable(address, "an event of another form", event.data) from None
    return NativeEvent(format_event, chunks, log)


def _chunks(address: Address, call_format: CallFormat, log: EventLog, events: Sequence[Event]) -> Iterator[Body]:
    """Yield the chunks of a stream that was read as a whole."""
    for event in events:
        if not event.data.startswith(b"[DONE]"):
            yield from _read(address, call_format, log, event).chunks


def _check_error(address: Address, call_format: CallFormat, body: Body) -> None:
    if (error := call_format.find_error(body)) is not None:
        raise error_in_answer(address, error.error, error.status)
