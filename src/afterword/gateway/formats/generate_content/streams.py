"""Streams in the form of Google's generateContent: each event is an answer with the next parts of its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afterword.errors import AfterwordError
from afterword.gateway.call_format import AnswerIds, FormatEvent
from afterword.gateway.formats.generate_content import answers
from afterword.gateway.formats.generate_content.errors import error_body
from afterword.gateway.provider import Body


class GenerateContentWriter:
    """Writes one stream from the chunks of chat. A call of a tool is sent once its arguments are complete."""

    def __init__(self, request: Body, ids: AnswerIds) -> None:
        self._request = request
        self._ids = ids
        self._head: Body = {}
        self._calls: dict[int, dict[int, Body]] = {}
        self._finish_reasons: dict[int, str] = {}

    def take(self, chunk: Body) -> Sequence[FormatEvent]:
        """Return the event with the texts of a chunk."""
        self._head = self._head or {"model": chunk.get("model")}
        candidates = []
        for choice in chunk.get("choices") or ():
            index, delta = choice.get("index", 0), choice.get("delta") or {}
            for call in delta.get("tool_calls") or ():
                self._add_call(index, call)
            parts = answers.message_parts({**delta, "tool_calls": None})
            if reason := choice.get("finish_reason"):
                self._finish_reasons[index] = reason
            if parts:
                candidates.append(answers.candidate(index, parts, None))
        return [self._event(candidates)] if candidates else []

    def end(self, usage: Body | None) -> Sequence[FormatEvent]:
        """Return the last event: the calls of tools, the finish reasons and the usage."""
        indexes = sorted({*self._calls, *self._finish_reasons} or {0})
        candidates = [
            answers.candidate(
                index,
                [answers.function_call_part(call) for _, call in sorted(self._calls.get(index, {}).items())],
                self._finish_reasons.get(index, "stop"),
            )
            for index in indexes
        ]
        return [self._event(candidates, usage or {})]

    def fail(self, error: AfterwordError) -> Sequence[FormatEvent]:
        """Return the event that tells of an error."""
        return [FormatEvent("", error_body(error, error.status))]

    def _event(self, candidates: list[Body], usage: Body | None = None) -> FormatEvent:
        return FormatEvent("", answers.answer_of(candidates, self._head, self._request, self._ids, usage))

    def _add_call(self, index: int, fragment: Body) -> None:
        calls = self._calls.setdefault(index, {})
        call = calls.setdefault(fragment.get("index", len(calls)), {"function": {"name": "", "arguments": ""}})
        if fragment.get("id"):
            call["id"] = fragment["id"]
        function: Any = fragment.get("function") or {}
        for name in ("name", "arguments"):
            call["function"][name] += function.get(name) or ""


class GenerateContentLog:
    """Reads one stream of Google's into chunks of chat."""

    def __init__(self) -> None:
        self.is_finished = False
        """Whether each candidate that has begun has a finish reason."""
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._call_counts: dict[int, int] = {}

    def take(self, event: FormatEvent) -> Sequence[Body]:
        """Return an event as a chunk."""
        chunk = answers.chat_answer(event.body, self._call_counts)
        for choice in chunk["choices"]:
            index, message = choice["index"], choice.pop("message")
            calls = message.get("tool_calls") or []
            first = self._call_counts.get(index, 0)
            for number, call in enumerate(calls, first):
                call["index"] = number
            self._call_counts[index] = first + len(calls)
            choice["delta"] = message
            self._begun.add(index)
            if choice["finish_reason"]:
                self._ended.add(index)
        self.is_finished = bool(self._begun) and self._begun <= self._ended
        return [chunk]

    def fail(self, error: AfterwordError) -> Sequence[FormatEvent]:
        """Return the event that tells of an error."""
        return [FormatEvent("", error_body(error, error.status))]
