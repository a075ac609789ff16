"""Answers of providers that speak the Responses API, whole and streamed, in the form of chat for the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from afterword.errors import AfterwordError
from afterword.gateway.call_format import FormatEvent
from afterword.gateway.formats.responses.answers import FINISH_REASONS, chat_usage
from afterword.gateway.formats.responses.content import chat_annotation, plain_text
from afterword.gateway.formats.responses.errors import failure_events
from afterword.gateway.formats.responses.input_items import (
    RESPONSE_ITEMS,
    SEPARATOR,
    AssistantTurn,
    chat_call,
    is_special,
    kept_item,
    reasoning_texts,
)
from afterword.gateway.provider import Body

# Members of a response that repeat the request, or are stored elsewhere.
_KNOWN_MEMBERS = frozenset(
    {
        "background", "completed_at", "completion_id", "conversation", "created_at", "error",
        "frequency_penalty", "id", "include", "input", "instructions", "max_output_tokens", "max_tool_calls",
        "metadata", "model", "object", "output", "output_text", "parallel_tool_calls", "presence_penalty",
        "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_retention", "reasoning",
        "safety_identifier", "session_id", "status", "store", "temperature", "text", "tool_choice", "tools",
        "top_logprobs", "top_p", "truncation", "usage", "user",
    }
)  # fmt: skip


def chat_answer(response: Body) -> Body:
    """Return a whole response as an answer of chat; see `CallFormat.chat_answer`."""
    items = response["output"]
    turn = AssistantTurn()
    for item in items:
        turn.add(item)
    choice: Body = {"index": 0, "message": turn.message(), "finish_reason": _finish_reason(response, items)}
    parts = [part for item in items if item.get("type") == "message" for part in item.get("content") or ()]
    if refusals := [part["refusal"] for part in parts if part.get("type") == "refusal"]:
        choice["message"] |= {"content": plain_text(parts) or None, "refusal": "".join(refusals)}
    if tokens := [token for part in parts for token in part.get("logprobs") or ()]:
        choice["logprobs"] = {"content": tokens}
    answer = {**_head(response), "object": "chat.completion", "choices": [choice]}
    usage = chat_usage(response.get("usage"))
    return answer if usage is None else {**answer, "usage": usage}


def _head(response: Body) -> Body:
    facts = {name: value for name, value in response.items() if name not in _KNOWN_MEMBERS and value is not None}
    head = {"id": response.get("id"), "created": response.get("created_at"), "model": response.get("model")}
    return {**facts, **{name: value for name, value in head.items() if value is not None}}


def _finish_reason(response: Body, items: list[Body]) -> str:
    if response.get("status") == "incomplete":
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return FINISH_REASONS.get(str(reason), str(reason or "incomplete"))
    return "tool_calls" if any(item.get("call_id") for item in items) else "stop"


class ResponseEventLog:
    """Reads the events of a stream into chunks of chat."""

    def __init__(self) -> None:
        self.is_finished = False
        """Whether the response was completed, or ended incomplete."""
        self._head: Body = {}
        self._response: Body = {}
        """The response as the newest event has it."""
        self._sequence = 0
        """The number of the next event."""
        self._items: list[Body] = []
        """The items that are complete."""
        self._kept_count = 0
        """How many of them were written among the items that are kept as they were sent."""
        self._call_indexes: dict[Any, int] = {}
        """The index of each call in chat, by the index of its item."""
        self._calls_with_arguments: set[Any] = set()
        self._text_item: Any = None
        self._characters = 0
        """The number of characters of text so far, and before the newest message."""
        self._characters_before = 0
        self._reasoning_place: Any = None
        self._reasoned_items: set[Any] = set()

    def take(self, event: FormatEvent) -> Sequence[Body]:
        """Return the chunks of chat that an event stands for; see `EventLog.take`."""
        body = event.body
        kind = body["type"].removeprefix("response.")
        if isinstance(sequence := body.get("sequence_number"), int):
            self._sequence = sequence + 1
        if isinstance(response := body.get("response"), dict):
            self._response = response
        match kind:
            case "created" | "in_progress" | "queued":
                if self._head:
                    return []
                self._head = {**_head(body["response"]), "object": "chat.completion.chunk"}
                return [self._chunk({"role": "assistant"})]
            case "completed" | "incomplete":
                return list(self._end(body["response"]))
        return [self._chunk(*delta) for delta in self._deltas(kind, body)]

    def fail(self, error: AfterwordError) -> Sequence[FormatEvent]:
        """Return the events that tell of an error after the events that were taken."""
        response = {**self._response, "output": self._items} if self._response else None
        return failure_events(error, response, self._sequence)

    def _chunk(self, delta: Body, choice: Body | None = None) -> Body:
        return {**self._head, "choices": [{"index": 0, "delta": delta, "finish_reason": None, **(choice or {})}]}

    def _deltas(self, kind: str, body: Body) -> Iterator[tuple[Body, Body]]:
        """Yield the deltas of an event, each with further members of the choice."""
        item_index = body.get("output_index")
        match kind:
            case "output_item.added" if body["item"].get("type") == "function_call":
                self._call_indexes[item_index] = index = len(self._call_indexes)
                call = chat_call(body["item"])
                if call["function"]["arguments"]:
                    self._calls_with_arguments.add(item_index)
                yield {"tool_calls": [{"index": index, **call}]}, {}
            case "output_text.delta":
                logprobs = {"logprobs": {"content": body["logprobs"]}} if body.get("logprobs") else {}
                yield {"content": self._separated(item_index, body["delta"])}, logprobs
            case "refusal.delta":
                yield {"refusal": body["delta"]}, {}
            case "reasoning_summary_text.delta" | "reasoning_text.delta":
                self._reasoned_items.add(item_index)
                part = (item_index, kind, body.get("summary_index"), body.get("content_index"))
                is_next = self._reasoning_place not in (None, part)
                self._reasoning_place = part
                yield {"reasoning_content": SEPARATOR * is_next + body["delta"]}, {}
            case "function_call_arguments.delta" if item_index in self._call_indexes:
                self._calls_with_arguments.add(item_index)
                function = {"arguments": body["delta"]}
                yield {"tool_calls": [{"index": self._call_indexes[item_index], "function": function}]}, {}
            case "output_item.done":
                yield from ((delta, {}) for delta in self._done(item_index, body["item"]))

    def _separated(self, item_index: Any, text: str) -> str:
        """Return a piece of text, after a separator if a further message begins with it."""
        if item_index != self._text_item:
            if self._characters:
                text = SEPARATOR + text
            self._characters_before = self._characters + (len(SEPARATOR) if self._characters else 0)
            self._text_item = item_index
        self._characters += len(text)
        return text

    def _done(self, item_index: Any, item: Body) -> Iterator[Body]:
        """Yield what is known of an item only at its end."""
        kind = item.get("type")
        self._items.append(item)
        if kind == "message":
            parts = [part for part in item.get("content") or () if isinstance(part, dict)]
            text = plain_text(parts)
            if text and item_index != self._text_item:
                yield {"content": self._separated(item_index, text)}
            annotations = [
                chat_annotation(annotation, self._characters_before)
                for part in parts
                for annotation in part.get("annotations") or ()
            ]
            if annotations:
                yield {"annotations": annotations}
        elif kind == "reasoning" and item_index not in self._reasoned_items and (texts := reasoning_texts(item)):
            yield {"reasoning_content": SEPARATOR.join(texts)}
        elif (
            kind == "function_call"
            and item_index in self._call_indexes
            and item_index not in self._calls_with_arguments
        ):
            function = {"arguments": item.get("arguments") or ""}
            yield {"tool_calls": [{"index": self._call_indexes[item_index], "function": function}]}
        elif kind != "function_call" or item_index not in self._call_indexes:
            turn = AssistantTurn()
            turn.add(item)
            message = turn.message()
            for call in message.get("tool_calls") or ():
                self._call_indexes[item_index] = len(self._call_indexes)
                yield {"tool_calls": [{"index": self._call_indexes[item_index], **call}]}
            if images := message.get("images"):
                yield {"images": images}
        if self._kept_count or is_special(item):
            kept_items = [kept_item(each) for each in self._items[self._kept_count :]]
            yield {RESPONSE_ITEMS: kept_items}
            self._kept_count = len(self._items)

    def _end(self, response: Body) -> Iterator[Body]:
        self.is_finished = True
        self._head = {**self._head, **_head(response)}
        yield self._chunk({}, {"finish_reason": _finish_reason(response, response.get("output") or self._items)})
        usage = chat_usage(response.get("usage"))
        if usage is not None:
            yield {**self._head, "choices": [], "usage": usage}
