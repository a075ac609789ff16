"""Streams of chat, written as the events of the Messages API.

The order is the one that the accumulators of Anthropic's SDKs demand: `message_start`; each block from its
`content_block_start` over its deltas to its `content_block_stop`, blocks numbered in the order in which they start;
`message_delta` with the stop reason and the whole usage; `message_stop`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from afterword.errors import AfterwordError
from afterword.gateway.call_format import AnswerIds, FormatEvent
from afterword.gateway.formats.messages.answers import (
    citation,
    content_texts,
    message_annotations,
    message_head,
    message_usage,
    reasoning_text,
    stop_members,
    tool_use_id,
    without_index,
)
from afterword.gateway.formats.messages.errors import error_event
from afterword.gateway.provider import Body

_decoder = msgspec.json.Decoder()


class _ToolCall:
    """A call that is streamed: the position of its block, once it has begun, and its arguments so far."""

    def __init__(self) -> None:
        self.block: int | None = None
        self.is_open = True
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []

    @property
    def is_whole(self) -> bool:
        """Whether the arguments so far are complete JSON."""
        try:
            _decoder.decode("".join(self.pieces))
        except msgspec.DecodeError:
            return False
        return True


class MessageEventWriter:
    """Writes the events of one stream. Only the first choice of a chunk counts: a message has no others."""

    def __init__(self, request: Body, ids: AnswerIds) -> None:
        self._request = request
        self._ids = ids
        self._is_begun = False
        self._blocks = 0
        self._open_block: tuple[str, int] | None = None
        """Type and position of the block of text or thinking that is open."""
        self._calls: dict[int, _ToolCall] = {}
        self._has_refusal = False
        self._end: Body = {}
        """The members of the choice that told of its end."""
        self._service_tier: Any = None

    def take(self, chunk: Body) -> Sequence[FormatEvent]:
        """Return the events that a chunk of chat adds; the first call also returns those that open a stream."""
        return list(self._events_of_chunk(chunk))

    def end(self, usage: Body | None) -> Sequence[FormatEvent]:
        """Return the events that end a complete stream. `usage` is in the form of chat."""
        return list(self._last_events(usage or {}))

    def fail(self, error: AfterwordError) -> Sequence[FormatEvent]:
        """Return the event that tells of an error after the stream has begun."""
        return [error_event(error)]

    def _events_of_chunk(self, chunk: Body) -> Iterator[FormatEvent]:
        yield from self._opening_events(chunk)
        self._service_tier = chunk.get("service_tier") or self._service_tier
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            if isinstance(delta := choice.get("delta"), dict):
                yield from self._events_of_delta(delta)
            if choice.get("finish_reason"):
                self._end = choice

    def _opening_events(self, chunk: Body) -> Iterator[FormatEvent]:
        if self._is_begun:
            return
        self._is_begun = True
        message = {
            **message_head(chunk, self._request, self._ids),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            # Providers of chat tell the tokens at the end: `message_delta` has them all.
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        yield _event("message_start", message=message)
        yield _event("ping")

    def _last_events(self, usage: Body) -> Iterator[FormatEvent]:
        yield from self._opening_events({})
        for call in self._calls.values():
            yield from self._begin_call(call)
        yield from self._close_blocks()
        delta = stop_members(self._end, self._request, has_calls=bool(self._calls), has_refusal=self._has_refusal)
        yield _event("message_delta", delta=delta, usage=message_usage(usage, self._service_tier))
        yield _event("message_stop")

    # -------------------------------------------------------------------------------------------- blocks

    def _events_of_delta(self, delta: Body) -> Iterator[FormatEvent]:
        thoughts = delta.get("thinking_blocks")
        if isinstance(thoughts, list) and thoughts:
            # They hold what `reasoning_content` beside them repeats.
            for thought in thoughts:
                if isinstance(thought, dict):
                    yield from self._thought(thought)
        elif reasoning := reasoning_text(delta):
            yield from self._piece(
                "thinking", {"thinking": "", "signature": ""}, "thinking_delta", "thinking", reasoning
            )
        for block in delta.get("provider_blocks") or ():
            yield from self._whole_block(block)
        for text in content_texts(delta):
            yield from self._piece("text", {"text": ""}, "text_delta", "text", text)
        self._has_refusal = self._has_refusal or bool(delta.get("refusal"))
        for annotation in message_annotations(delta):
            # A source without a text that it stands for has no place in the form.
            if self._open_block is not None and self._open_block[0] == "text":
                yield self._delta(self._open_block[1], {"type": "citations_delta", "citation": citation(annotation)})
        for position, piece in enumerate(delta.get("tool_calls") or ()):
            if isinstance(piece, dict):
                yield from self._call_piece(piece, piece.get("index", position))
        if isinstance(function := delta.get("function_call"), dict):
            yield from self._call_piece({"function": function}, 0)

    def _thought(self, thought: Body) -> Iterator[FormatEvent]:
        if thought.get("type") == "redacted_thinking":
            yield from self._whole_block(without_index(thought))
            return
        start = {"thinking": "", "signature": ""}
        if text := thought.get("thinking"):
            yield from self._piece("thinking", start, "thinking_delta", "thinking", text)
        if signature := thought.get("signature"):
            yield from self._piece("thinking", start, "signature_delta", "signature", signature)
            # What follows a signature is another thought.
            yield from self._close_blocks()

    def _piece(self, block_type: str, start: Body, delta_type: str, name: str, piece: str) -> Iterator[FormatEvent]:
        """Yield a piece of the open block of a type; where another is open, a new block begins."""
        if self._open_block is None or self._open_block[0] != block_type:
            yield from self._close_blocks()
            self._open_block = (block_type, self._blocks)
            yield self._start({"type": block_type, **start})
        yield self._delta(self._open_block[1], {"type": delta_type, name: piece})

    def _whole_block(self, block: Body) -> Iterator[FormatEvent]:
        yield from self._close_blocks()
        position = self._blocks
        yield self._start(block)
        yield _event("content_block_stop", index=position)

    def _call_piece(self, piece: Body, index: Any) -> Iterator[FormatEvent]:
        """Yield the events of a piece of a call. Its block begins once its name is known."""
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        call = self._calls.get(index)
        if call is None:
            call = self._calls[index] = _ToolCall()
        call.id = call.id or piece.get("id") or ""
        arguments = function.get("arguments")
        if call.block is None:
            call.name += function.get("name") or ""
            call.pieces += [arguments] if arguments else []
            if call.name and (arguments or call.id):
                yield from self._begin_call(call)
        elif arguments and call.is_open:
            call.pieces.append(arguments)
            yield self._delta(call.block, {"type": "input_json_delta", "partial_json": arguments})

    def _begin_call(self, call: _ToolCall) -> Iterator[FormatEvent]:
        if call.block is not None:
            return
        yield from self._close_blocks(only_whole_calls=True)
        call.block = self._blocks
        yield self._start({"type": "tool_use", "id": tool_use_id({"id": call.id}), "name": call.name, "input": {}})
        if call.pieces:
            yield self._delta(call.block, {"type": "input_json_delta", "partial_json": "".join(call.pieces)})

    def _close_blocks(self, *, only_whole_calls: bool = False) -> Iterator[FormatEvent]:
        """Yield the ends of all open blocks. Calls whose arguments still arrive may stay open beside each other."""
        if self._open_block is not None:
            yield _event("content_block_stop", index=self._open_block[1])
            self._open_block = None
        for call in self._calls.values():
            if call.block is not None and call.is_open and (not only_whole_calls or call.is_whole):
                call.is_open = False
                yield _event("content_block_stop", index=call.block)

    def _start(self, block: Body) -> FormatEvent:
        position, self._blocks = self._blocks, self._blocks + 1
        return _event("content_block_start", index=position, content_block=block)

    def _delta(self, index: int, delta: Body) -> FormatEvent:
        return _event("content_block_delta", index=index, delta=delta)


def _event(event_type: str, **members: Any) -> FormatEvent:
    return FormatEvent(event_type, {"type": event_type, **members})
