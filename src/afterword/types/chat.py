"""Answers of the chat API, with the members that the client reads."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.base import COMPLETION_ID, MODEL, SESSION_ID, USAGE, Output

MADE_AT = Meta(description="When it was made, in seconds since 1970.")
CHOICE_INDEX = Meta(description="Its place among the choices.")
FINISH_REASON = Meta(
    description="Why the model ended, such as `stop`, `length` or `tool_calls`; null in all chunks but the last."
)


class Usage(Output):
    """Tokens of a call; `estimated` is true if the provider reported none."""

    prompt_tokens: Annotated[int, Meta(description="Tokens of the prompt.")] = 0
    completion_tokens: Annotated[int, Meta(description="Tokens of the completion.")] = 0
    total_tokens: Annotated[int, Meta(description="Both together.")] = 0
    estimated: Annotated[
        bool, Meta(description="True where the provider told none and these were counted from the texts.")
    ] = False


class ChatMessage(Output):
    """A message of the model; in a stream, a part of it."""

    role: Annotated[str | None, Meta(description="Who speaks.")] = None
    content: Annotated[str | None, Meta(description="The text.")] = None
    tool_calls: Annotated[
        list[dict[str, Any]] | None,
        Meta(description="The calls of tools that the model asks for, as the provider gave them."),
    ] = None
    refusal: Annotated[str | None, Meta(description="Why the model refused, in its own words.")] = None
    reasoning_content: Annotated[str | None, Meta(description="What the model thought, where the provider tells.")] = (
        None
    )
    id: str | None = None


class ChatChoice(Output):
    """One completion. Feedback refers to its `completion_id`."""

    index: Annotated[int, CHOICE_INDEX]
    completion_id: Annotated[UUID, COMPLETION_ID]
    model: Annotated[str, MODEL]
    message: Annotated[ChatMessage, Meta(description="What the model said.")]
    finish_reason: Annotated[str | None, FINISH_REASON] = None


class ChatCompletion(Output):
    """A whole answer."""

    id: str
    session_id: Annotated[UUID, SESSION_ID]
    choices: Annotated[list[ChatChoice], Meta(description="The completions.")]
    usage: Annotated[Usage, USAGE] = msgspec.field(default_factory=Usage)
    created: Annotated[float, MADE_AT] = 0
    model: Annotated[str | None, MODEL] = None


class ChunkChoice(Output):
    """A part of one completion."""

    index: Annotated[int, CHOICE_INDEX]
    completion_id: Annotated[UUID, COMPLETION_ID]
    model: Annotated[str, MODEL]
    delta: Annotated[ChatMessage, Meta(description="What the model said since the last chunk.")]
    finish_reason: Annotated[str | None, FINISH_REASON] = None


class ChatChunk(Output):
    """A part of a streamed answer. The last one may have the usage and no choices."""

    id: str
    session_id: Annotated[UUID, SESSION_ID]
    choices: Annotated[list[ChunkChoice], Meta(description="The completions.")]
    usage: Annotated[Usage | None, USAGE] = None
    created: Annotated[float, MADE_AT] = 0
    model: Annotated[str | None, MODEL] = None


class TextChoice(Output):
    """One completion of a text, or a part of it. Feedback refers to its `completion_id`."""

    index: Annotated[int, CHOICE_INDEX]
    completion_id: Annotated[UUID, COMPLETION_ID]
    model: Annotated[str, MODEL]
    text: Annotated[str, Meta(description="The text.")]
    finish_reason: Annotated[str | None, FINISH_REASON] = None


class TextCompletion(Output):
    """A whole answer, or a chunk of a streamed answer."""

    id: str
    session_id: Annotated[UUID, SESSION_ID]
    choices: Annotated[list[TextChoice], Meta(description="The completions.")]
    usage: Annotated[Usage | None, USAGE] = None
    created: Annotated[float, MADE_AT] = 0
    model: Annotated[str | None, MODEL] = None


class Embedding(Output):
    """The vector of one text: numbers, or base64 if the request asked for it."""

    index: Annotated[int, CHOICE_INDEX]
    embedding: Annotated[list[float] | str, Meta(description="The vector, or its base64.")]


class EmbeddingList(Output):
    """The vectors, in the order of the texts."""

    data: Annotated[list[Embedding], Meta(description="The vectors, in the order of the texts.")]
    completion_id: Annotated[UUID | None, COMPLETION_ID] = None
    session_id: Annotated[UUID | None, SESSION_ID] = None
    model: Annotated[str | None, MODEL] = None
    usage: Annotated[Usage | None, USAGE] = None
