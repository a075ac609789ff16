"""Answers of Anthropic's Messages API, whole and streamed, translated to chat.

Two members of the message keep what OpenAI's form lacks: `thinking_blocks` (thoughts with their signatures) and
`provider_blocks` (the provider's own tools and their results). Callers send both back with the next turn.
Source: Anthropic's API reference (Messages, Streaming, Citations), version 2023-06-01.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from afterword.errors import AfterwordError
from afterword.gateway.call_format import FormatEvent
from afterword.gateway.formats.messages.errors import error_event
from afterword.gateway.provider import Body, Operation

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
# Stop reasons that OpenAI's word expresses fully. The others are also returned as `stop_reason`.
PLAIN_REASONS = frozenset({"end_turn", "max_tokens", "tool_use"})
TOKEN_COUNTS = frozenset(
    {"input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "service_tier"}
)
MESSAGE_FIELDS = frozenset({"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"})
# What a `message_delta` has under these names stands elsewhere; all else, such as `container`, is of the message.
DELTA_FIELDS = frozenset({"type", "delta", "usage", "stop_reason", "stop_sequence", "stop_details"})

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


def chat_completion(message: Body, operation: Operation) -> Body:
    """Translate a whole answer. Raises `AttributeError`, `KeyError`, `TypeError` or `ValueError` for another form."""
    blocks = AnswerBlocks()
    assistant_message: Body = {"role": "assistant", "content": None}
    for index, block in enumerate(message.get("content", ())):
        for delta in (*blocks.start(index, block), *blocks.stop(index)):
            for name, piece in delta.items():
                if name == "tool_calls" and "id" not in piece[0]:
                    assistant_message[name][-1]["function"] = {
                        **assistant_message[name][-1]["function"],
                        **piece[0]["function"],
                    }
                else:
                    assistant_message[name] = assistant_message[name] + piece if assistant_message.get(name) else piece
    for name in ("tool_calls", "thinking_blocks"):
        for part in assistant_message.get(name, ()):
            del part["index"]
    text = assistant_message["content"] or ""
    choice: Body = {"index": 0, **_finish(message)}
    choice |= {"text": text} if operation == "completions" else {"message": assistant_message}
    return {**_head(message, operation), "choices": [choice], "usage": _usage(message.get("usage") or {})}


def _head(message: Body, operation: Operation, *, is_chunk: bool = False) -> Body:
    kind = "text_completion" if operation == "completions" else f"chat.completion{'.chunk' if is_chunk else ''}"
    head = {
        "id": message.get("id", ""),
        "object": kind,
        "created": int(time.time()),
        "model": message.get("model", ""),
    }
    if tier := (message.get("usage") or {}).get("service_tier"):
        head["service_tier"] = tier
    return head | {name: value for name, value in message.items() if name not in MESSAGE_FIELDS and value is not None}


def _finish(message: Body) -> Body:
    """Return a choice's finish reason in OpenAI's words, and the provider's own reason where it says more."""
    reason = message.get("stop_reason")
    if reason is not None and not isinstance(reason, str):
        reason = str(reason)[:100]
    finish: Body = {"finish_reason": FINISH_REASONS.get(reason or "", reason)}
    if reason and reason not in PLAIN_REASONS:
        finish["stop_reason"] = reason
        finish |= {name: message[name] for name in ("stop_sequence", "stop_details") if message.get(name)}
    return finish


def _usage(usage: Body) -> Body:
    cached_tokens, written_tokens = (
        usage.get("cache_read_input_tokens") or 0,
        usage.get("cache_creation_input_tokens") or 0,
    )
    prompt = (usage.get("input_tokens") or 0) + cached_tokens + written_tokens
    completion = usage.get("output_tokens") or 0
    details = {name: value for name, value in usage.items() if name not in TOKEN_COUNTS and value is not None}
    translated: Body = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if cached_tokens or written_tokens:
        translated["prompt_tokens_details"] = {"cached_tokens": cached_tokens, "cache_creation_tokens": written_tokens}
    return {**details, **translated}


def _annotation(citation: Body, start: int, end: int) -> Body:
    """Return a citation as an annotation of the text between two positions, in characters of the whole content."""
    span = {"start_index": start, "end_index": end}
    url = citation.get("url") or citation.get("source")
    if isinstance(url, str) and url:
        source = {"url": url, "title": citation.get("title") or "", "content": citation.get("cited_text") or ""}
        return {"type": "url_citation", "url_citation": {**span, **source}}
    return {"type": "file_citation", "file_citation": {**span, **citation}}


class _Block:
    """An open block of an answer: the block, the pieces that arrived since, and the position where its text starts."""

    def __init__(self, block: Body, start: int) -> None:
        self.block = block
        self.kind = str(block.get("type"))
        self.start = start
        self.call_index: int | None = None
        self.json_pieces: list[str] = []
        self.citations: list[Body] = list(block.get("citations") or ())

    @property
    def is_the_providers_own(self) -> bool:
        """Whether OpenAI's form has no counterpart of this block."""
        return self.kind not in ("text", "tool_use", "thinking", "redacted_thinking")

    def add(self, delta: Body) -> None:
        """Add a piece of another type, such as a compaction: texts are joined, other values are replaced."""
        for name, value in delta.items():
            before = self.block.get(name)
            if name != "type" and value is not None:
                self.block[name] = before + value if isinstance(before, str) and isinstance(value, str) else value


class AnswerBlocks:
    """Translates the blocks of one answer to OpenAI's deltas. Only the caller's own tools become tool calls."""

    def __init__(self) -> None:
        self._open: dict[int, _Block] = {}
        self._calls = 0
        self._characters = 0
        """The number of characters of text so far."""

    def start(self, index: int, block: Body) -> Iterator[Body]:
        """Yield the deltas of a block that begins, with the content that it begins with."""
        open_block = self._open[index] = _Block(block, self._characters)
        match open_block.kind:
            case "tool_use":
                open_block.call_index, self._calls = self._calls, self._calls + 1
                function = {"name": block.get("name"), "arguments": ""}
                call = {"index": open_block.call_index, "id": block.get("id"), "type": "function", "function": function}
                yield {"tool_calls": [call]}
            case "thinking":
                if block.get("thinking") or block.get("signature"):
                    yield from self._thought(index, block.get("thinking") or "", block.get("signature"))
            case "redacted_thinking":
                yield {"thinking_blocks": [{"index": index, **block}]}
            case "text":
                if block.get("text"):
                    yield from self._text(block["text"])

    def take(self, index: int, delta: Body) -> Iterator[Body]:
        """Yield the deltas of a further piece of a block."""
        block = self._open.get(index)
        match delta.get("type"):
            case "text_delta":
                yield from self._text(delta.get("text", ""))
            case "thinking_delta":
                yield from self._thought(index, delta.get("thinking", ""), None)
            case "signature_delta":
                # A hidden thought has a signature and no text.
                signature = delta.get("signature", "")
                yield {
                    "thinking_blocks": [{"index": index, "type": "thinking", "thinking": "", "signature": signature}]
                }
            case "citations_delta" if block:
                block.citations.append(delta["citation"])
            case "input_json_delta" if block:
                if piece := delta.get("partial_json"):
                    block.json_pieces.append(piece)
                    if block.call_index is not None:
                        yield {"tool_calls": [{"index": block.call_index, "function": {"arguments": piece}}]}

            case _ if block and block.is_the_providers_own:
                block.add(delta)

    def stop(self, index: int) -> Iterator[Body]:
        """Yield the deltas at a block's end: arguments that did not arrive in pieces, citations, provider blocks."""
        block = self._open.pop(index, None)
        if block is None:
            return
        if block.call_index is not None:
            if not block.json_pieces:
                arguments = _encoder.encode(block.block.get("input") or {}).decode()
                yield {"tool_calls": [{"index": block.call_index, "function": {"arguments": arguments}}]}
        elif block.kind == "text":
            if block.citations:
                annotations = [_annotation(citation, block.start, self._characters) for citation in block.citations]
                yield {"annotations": annotations}
        elif block.is_the_providers_own:
            if block.json_pieces:
                block.block["input"] = _parsed_json("".join(block.json_pieces))
            yield {"provider_blocks": [block.block]}

    def end(self) -> Iterator[Body]:
        """Yield the last deltas of blocks that are still open."""
        for index in list(self._open):
            yield from self.stop(index)

    def _text(self, text: str) -> Iterator[Body]:
        self._characters += len(text)
        yield {"content": text}

    def _thought(self, index: int, text: str, signature: str | None) -> Iterator[Body]:
        block = {"index": index, "type": "thinking", "thinking": text}
        if signature:
            block["signature"] = signature
        yield {"reasoning_content": text, "thinking_blocks": [block]}


def _parsed_json(text: str) -> Any:
    """Return decoded JSON; a text that was cut off is returned unchanged."""
    try:
        return _decoder.decode(text)
    except msgspec.DecodeError:
        return text


class StreamTranslation:
    """Translates the events of Anthropic's stream to OpenAI's chunks. Errors among them are found by `find_error`."""

    def __init__(self, operation: Operation) -> None:
        self.is_finished = False
        """Whether the event `message_stop`, which ends a stream, has arrived."""
        self._operation: Operation = operation
        self._head: Body = _head({}, operation, is_chunk=True)
        self._usage: Body = {}
        self._blocks = AnswerBlocks()

    def take(self, event: FormatEvent) -> Sequence[Body]:
        """Return the chunks that an event is translated to; none for an event of an unknown type.

        Raises `AttributeError`, `KeyError`, `TypeError` or `ValueError` if it is not an event of the form.
        """
        return list(self._chunks_of_event(event.body))

    def fail(self, error: AfterwordError) -> Sequence[FormatEvent]:
        """Return the event that tells of an error after the events that were taken."""
        return [error_event(error)]

    def _chunks_of_event(self, event: Body) -> Iterator[Body]:
        match event["type"]:
            case "message_start":
                message = event.get("message") or {}
                self._head = _head(message, self._operation, is_chunk=True)
                self._usage = dict(message.get("usage") or {})
                yield self._chunk({"role": "assistant", "content": ""})
            case "content_block_start":
                yield from self._chunks(self._blocks.start(event.get("index", 0), dict(event["content_block"])))
            case "content_block_delta":
                yield from self._chunks(self._blocks.take(event.get("index", 0), event.get("delta") or {}))
            case "content_block_stop":
                yield from self._chunks(self._blocks.stop(event.get("index", 0)))
            case "message_delta":
                self._usage |= {k: v for k, v in (event.get("usage") or {}).items() if v is not None}
                delta = event.get("delta") or {}
                further = {**event, **delta}
                self._head |= {k: v for k, v in further.items() if k not in DELTA_FIELDS and v is not None}
                if delta.get("stop_reason"):
                    yield from self._chunks(self._blocks.end())
                    yield self._chunk({}, _finish(delta))
            case "message_stop":
                yield from self._chunks(self._blocks.end())
                self.is_finished = True
                yield {**self._head, "choices": [], "usage": _usage(self._usage)}

    def _chunks(self, deltas: Iterable[Body]) -> Iterator[Body]:
        for delta in deltas:
            # /completions has nothing but text.
            if self._operation != "completions" or "content" in delta:
                yield self._chunk(delta)

    def _chunk(self, delta: Body, finish: Body | None = None) -> Body:
        choice_content = {"text": delta.get("content", "")} if self._operation == "completions" else {"delta": delta}
        return {**self._head, "choices": [{"index": 0, **choice_content, **(finish or {"finish_reason": None})}]}
