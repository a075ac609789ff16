"""Calls in the form of Anthropic's Messages API, with the members that Afterword reads or adds."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.base import COMPLETION_ID, SESSION_ID, Message, Output

MODEL_NAME = Meta(description="`PROJECT/MODEL`, or `MODEL` with a key of one project.")
SYSTEM = Meta(
    description="The system prompt: a text, or blocks of text.", extra_json_schema={"type": ["string", "array"]}
)
TOOLS = Meta(
    description="The tools that the model may call. Anthropic's own tools work at models of Anthropic's alone."
)
CONTENT = Meta(description="The blocks: text, thinking, calls of tools.")


class TokenCountRequest(msgspec.Struct, kw_only=True):
    """A request of Anthropic's Messages API, as far as it has tokens to count."""

    model: Annotated[str | None, MODEL_NAME] = None
    messages: Annotated[list[Message], Meta(description="The conversation, in Anthropic's form.")]
    system: Annotated[Any, SYSTEM] = None
    tools: Annotated[list[dict[str, Any]] | None, TOOLS] = None


class MessageRequest(TokenCountRequest, kw_only=True):
    """A request of Anthropic's Messages API. Fields that are not listed here go to Anthropic unchanged.

    `labels`, `session_id` and the other fields of Afterword mean here what they mean in chat.
    """

    max_tokens: Annotated[int, Meta(description="The largest number of tokens of the answer.")]
    stream: Annotated[bool | None, Meta(description="Answer as a stream of events.")] = None
    metadata: Annotated[
        dict[str, Any] | None,
        Meta(description="`user_id` is the end user of your product; Claude Code puts its session there, too."),
    ] = None


class TokenCount(Output):
    """The tokens of a request."""

    input_tokens: Annotated[int, Meta(description="How many tokens the prompt has.")]
    estimated: Annotated[
        bool, Meta(description="True where the provider counts none and these were counted from the text.")
    ] = False


class MessageUsage(Output):
    """Tokens of a call in Anthropic's words."""

    input_tokens: Annotated[int, Meta(description="Tokens of the prompt, without those of the cache.")] = 0
    output_tokens: Annotated[int, Meta(description="Tokens of the answer.")] = 0
    cache_read_input_tokens: Annotated[int | None, Meta(description="Tokens that were read from the cache.")] = None
    cache_creation_input_tokens: Annotated[int | None, Meta(description="Tokens that were written to it.")] = None


class MessageAnswer(Output):
    """A whole answer in the form of Anthropic's Messages API."""

    id: Annotated[str, Meta(description="`msg_` and the `completion_id`.")]
    completion_id: Annotated[UUID, COMPLETION_ID]
    session_id: Annotated[UUID, SESSION_ID]
    model: Annotated[str, Meta(description="The model, as the provider names it.")]
    content: Annotated[list[dict[str, Any]], CONTENT]
    usage: Annotated[MessageUsage, Meta(description="Tokens of the call.")]
    type: Annotated[str, Meta(description="`message`")] = "message"
    role: Annotated[str, Meta(description="`assistant`")] = "assistant"
    stop_reason: Annotated[
        str | None, Meta(description="Why the model ended, such as `end_turn`, `max_tokens` or `tool_use`.")
    ] = None
    stop_sequence: Annotated[str | None, Meta(description="The text that it stopped at.")] = None


class MessageEvent(Output):
    """An event of a streamed answer, such as `content_block_delta`. `message_start` has the message with its ids."""

    type: Annotated[str, Meta(description="The event's name.")]
    message: Annotated[MessageAnswer | None, Meta(description="In `message_start`: the message, still empty.")] = None
    index: Annotated[int | None, Meta(description="The position of the block that it is about.")] = None
    content_block: Annotated[dict[str, Any] | None, Meta(description="The block that starts.")] = None
    delta: Annotated[dict[str, Any] | None, Meta(description="What is added.")] = None
    usage: Annotated[MessageUsage | None, Meta(description="In `message_delta`: the tokens of the call.")] = None
