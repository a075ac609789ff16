"""What the chat API answers, as far as the client reads it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from afterword.types.base import Output


class Usage(Output):
    """Tokens of a call; `estimated` where the provider told none."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    estimated: bool = False


class ChatMessage(Output):
    """What the model said. In a stream it is a part of it."""

    role: str | None = None
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    id: str | None = None


class ChatChoice(Output):
    """One completion. `completion_id` is what feedback is given on."""

    index: int
    completion_id: UUID
    model: str
    message: ChatMessage
    finish_reason: str | None = None


class ChatCompletion(Output):
    """A whole answer."""

    id: str
    session_id: UUID
    choices: list[ChatChoice]
    usage: Usage = msgspec.field(default_factory=Usage)
    created: float = 0
    model: str | None = None


class ChunkChoice(Output):
    """A part of one completion."""

    index: int
    completion_id: UUID
    model: str
    delta: ChatMessage
    finish_reason: str | None = None


class ChatChunk(Output):
    """A part of a streamed answer. The last one may have no choices, and the usage."""

    id: str
    session_id: UUID
    choices: list[ChunkChoice]
    usage: Usage | None = None
    created: float = 0
    model: str | None = None


class TextChoice(Output):
    """One completion of a text, or a part of it. `completion_id` is what feedback is given on."""

    index: int
    completion_id: UUID
    model: str
    text: str
    finish_reason: str | None = None


class TextCompletion(Output):
    """A whole answer, or a chunk of a streamed one."""

    id: str
    session_id: UUID
    choices: list[TextChoice]
    usage: Usage | None = None
    created: float = 0
    model: str | None = None


class Embedding(Output):
    """The vector of one text: numbers, or base64 where that was asked for."""

    index: int
    embedding: list[float] | str


class EmbeddingList(Output):
    """The vectors, in the order of the texts."""

    data: list[Embedding]
    model: str | None = None
    usage: Usage | None = None
