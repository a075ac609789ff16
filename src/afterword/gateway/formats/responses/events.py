"""Events of a response's stream, written from the chunks of a chat stream.

The items of a response open and close one after another: reasoning, texts, pictures. Calls of tools stay open until the
stream ends, because chat may send the pieces of several calls by turns. Source: OpenAI's API reference (Responses,
streaming events), and the accumulator of its client, which refuses events in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afterword.errors import AfterwordError
from afterword.gateway.call_format import AnswerIds, FormatEvent
from afterword.gateway.formats.responses.answers import response_end, response_head, status_of, wants_summary
from afterword.gateway.formats.responses.content import plain_text
from afterword.gateway.formats.responses.errors import failure_events
from afterword.gateway.formats.responses.output_items import (
    ItemIds,
    annotations_of,
    custom_tool_names,
    logprobs_of,
    picture_item,
)
from afterword.gateway.formats.responses.stream_items import StreamedCall, StreamedMessage, StreamedReasoning
from afterword.gateway.provider import Body


class ResponseEventWriter:
    """Writes the events of one stream."""

    def __init__(self, request: Body, ids: AnswerIds) -> None:
        self._request = request
        self._ids = ids
        self._item_ids = ItemIds(ids.completion_id(0))
        self._custom_tools = custom_tool_names(request)
        self._response: Body = {}
        self._output: list[Body] = []
        self._events: list[FormatEvent] = []
        """The events that were written but not returned."""
        self._sequence = 0
        self._open_item: StreamedMessage | StreamedReasoning | None = None
        self._calls: dict[Any, StreamedCall] = {}
        self._nameless_pieces: dict[Any, Body] = {}
        """Calls by their index that wait for the name of their function."""
        self._provider_blocks: list[Body] = []
        self._finish_reason: Any = None

    def take(self, chunk: Body) -> Sequence[FormatEvent]:
        """Return the events that a chunk of chat adds; see `EventWriter.take`."""
        self._begin(chunk)
        for choice in chunk.get("choices") or ():
            # A response has one choice.
            if not choice.get("index"):
                self._finish_reason = choice.get("finish_reason") or self._finish_reason
                if isinstance(delta := choice.get("delta"), dict):
                    self._take_delta(delta, logprobs_of(choice.get("logprobs")))
        return self._written()

    def end(self, usage: Body | None) -> Sequence[FormatEvent]:
        """Return the events that end a complete stream. `usage` is in the form of chat."""
        self._begin({})
        status = status_of(self._finish_reason)
        self._close(status)
        if self._provider_blocks:
            self._reasoning().add_provider_blocks(self._provider_blocks)
            self._close()
        for call in self._calls.values():
            call.close(status)
        self._response |= response_end(status, self._finish_reason, usage)
        self.write(f"response.{status}", response=self._snapshot())
        return self._written()

    def fail(self, error: AfterwordError) -> Sequence[FormatEvent]:
        """Return the events that tell of an error after the stream has begun."""
        self._begin({})
        return [*self._written(), *failure_events(error, self._snapshot(), self._sequence)]

    def write(self, kind: str, **members: Any) -> None:
        """Write an event of this type."""
        self._events.append(FormatEvent(kind, {"type": kind, "sequence_number": self._sequence, **members}))
        self._sequence += 1

    def open_item(self, item: Body) -> int:
        """Write the event that opens an item; return the item's index."""
        position = len(self._output)
        self._output.append(item)
        self.write("response.output_item.added", output_index=position, item=item)
        return position

    def close_item(self, position: int, item: Body) -> None:
        """Write the event that closes an item."""
        self._output[position] = item
        self.write("response.output_item.done", output_index=position, item=item)

    def _written(self) -> Sequence[FormatEvent]:
        events, self._events = self._events, []
        return events

    def _snapshot(self) -> Body:
        return {**self._response, "output": list(self._output)}

    def _begin(self, chunk: Body) -> None:
        if not self._response:
            self._response = response_head(self._request, self._ids, chunk)
            self.write("response.created", response=self._snapshot())
            self.write("response.in_progress", response=self._snapshot())

    def _take_delta(self, delta: Body, logprobs: list[Body]) -> None:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(reasoning, str) and reasoning:
            self._reasoning().add_text(reasoning)
        if blocks := delta.get("thinking_blocks"):
            self._reasoning().add_thinking(blocks)
        if text := plain_text(delta.get("content")):
            self._message().add_text(text, logprobs)
        if isinstance(refusal := delta.get("refusal"), str) and refusal:
            self._message().add_refusal(refusal)
        if annotations := annotations_of(delta.get("annotations")):
            self._message().annotate(annotations)
        for image in delta.get("images") or ():
            self._add_picture(image)
        for piece in delta.get("tool_calls") or ():
            self._add_call(piece)
        self._provider_blocks += delta.get("provider_blocks") or ()

    def _message(self) -> StreamedMessage:
        if not isinstance(self._open_item, StreamedMessage):
            self._close()
            self._open_item = StreamedMessage(self, self._item_ids.new("msg"))
        return self._open_item

    def _reasoning(self) -> StreamedReasoning:
        if not isinstance(self._open_item, StreamedReasoning):
            self._close()
            self._open_item = StreamedReasoning(self, self._item_ids.new("rs"), wants_summary(self._request))
        return self._open_item

    def _add_picture(self, image: Body) -> None:
        self._close()
        item = picture_item(self._item_ids.new("ig"), image)
        self.close_item(self.open_item({**item, "status": "in_progress", "result": None}), item)

    def _add_call(self, piece: Body) -> None:
        index = piece.get("index")
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        if (call := self._calls.get(index)) is not None:
            call.add(function)
            return
        waiting = self._nameless_pieces.pop(index, {"id": "", "arguments": ""})
        call_id = waiting["id"] or piece.get("id") or ""
        arguments = waiting["arguments"] + (function.get("arguments") or "")
        name = function.get("name") or ""
        if not name:
            self._nameless_pieces[index] = {"id": call_id, "arguments": arguments}
            return
        self._close()
        is_custom = name in self._custom_tools
        id_ = self._item_ids.new("ctc" if is_custom else "fc")
        self._calls[index] = StreamedCall(self, id_, call_id or f"call_{id_}", name, is_custom)
        self._calls[index].add({"arguments": arguments})

    def _close(self, status: str = "completed") -> None:
        if self._open_item is not None:
            self._open_item.close(status)
            self._open_item = None
