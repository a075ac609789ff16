"""Calls in the form of Google's generateContent, with the members that Afterword reads or adds."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.base import COMPLETION_ID, SESSION_ID

CONTENTS = Meta(description="The conversation: contents with `role` (`user` or `model`) and `parts`.")


class ContentTokenCountRequest(msgspec.Struct, kw_only=True, rename="camel"):
    """A request of Google's generateContent, as far as it has tokens to count."""

    contents: Annotated[list[dict[str, Any]], CONTENTS]


class ContentRequest(ContentTokenCountRequest, kw_only=True, rename="camel"):
    """A request of Google's generateContent. Fields that are not listed here go to Google unchanged.

    `labels`, `session_id` and the other fields of Afterword mean here what they mean in chat.
    """

    system_instruction: Annotated[
        dict[str, Any] | None, Meta(description="The system prompt: a content with `parts`.")
    ] = None
    tools: Annotated[
        list[dict[str, Any]] | None,
        Meta(description="`functionDeclarations`. Google's own tools work at models of Google alone."),
    ] = None
    tool_config: Annotated[dict[str, Any] | None, Meta(description="Which functions the model may call.")] = None
    generation_config: Annotated[
        dict[str, Any] | None,
        Meta(description="The parameters, such as `temperature` and `maxOutputTokens`."),
    ] = None


class ContentTokenCount(msgspec.Struct, kw_only=True, rename="camel"):
    """The tokens of a request. They are estimated if the model is not Google's."""

    total_tokens: Annotated[int, Meta(description="How many tokens the prompt has.")]


class Candidate(msgspec.Struct, kw_only=True, rename="camel"):
    """One completion, or the next parts of it. Feedback refers to its `completion_id`."""

    content: Annotated[dict[str, Any], Meta(description="The parts: texts, thoughts, calls of functions.")]
    index: Annotated[int, Meta(description="Its place among the candidates.")]
    finish_reason: Annotated[str | None, Meta(description="Why the model ended, such as `STOP`; null before that.")] = (
        None
    )
    completion_id: Annotated[UUID, COMPLETION_ID] = msgspec.field(name="completion_id")


class ContentAnswer(msgspec.Struct, kw_only=True, rename="camel"):
    """A whole answer, or a part of a streamed one."""

    candidates: Annotated[list[Candidate], Meta(description="The completions.")]
    response_id: Annotated[UUID, Meta(description="The completion_id of the first candidate.")]
    session_id: Annotated[UUID, SESSION_ID] = msgspec.field(name="session_id")
    model_version: Annotated[str | None, Meta(description="The model, as its provider names it.")] = None
    usage_metadata: Annotated[
        dict[str, Any] | None, Meta(description="The tokens: `promptTokenCount`, `candidatesTokenCount` ...")
    ] = None
