"""Answers of the Responses API, with the members that Afterword itself sets or reads."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.base import COMPLETION_ID, SESSION_ID, Output

_ID = Meta(description="`resp_` and the completion_id.")
_EVENT_TYPE = Meta(description="Such as `response.output_text.delta`; the event's name is the same.")


_OBJECT = Meta(extra_json_schema={"type": "object"})


class ResponseRequest(msgspec.Struct, kw_only=True):
    """A request of OpenAI's Responses API, with the fields that Afterword reads. Others go on as for chat.

    `labels`, `session_id`, `environment`, `step`, `parent` and `ab_campaign` are Afterword's own, as in calls of chat.
    """

    model: Annotated[str | None, Meta(description="`PROJECT/MODEL`, or `MODEL`, as for chat.")] = None
    input: Annotated[
        Any, Meta(description="A text, or items: messages, calls of tools and their outputs, reasoning.")
    ] = None
    instructions: Annotated[str | None, Meta(description="The message of the system, for this call alone.")] = None
    previous_response_id: Annotated[
        str | None, Meta(description="The response that it continues: its conversation is sent before `input`.")
    ] = None
    tools: Annotated[
        list[dict[str, Any]] | None,
        Meta(description="Functions and custom tools; a provider's own tools only where it speaks this API."),
    ] = None
    tool_choice: Annotated[Any, Meta(description="Which tools may be called.")] = None
    text: Annotated[Any, _OBJECT, Meta(description="`format`: a JSON schema of the answer; `verbosity`.")] = None
    reasoning: Annotated[Any, _OBJECT, Meta(description="`effort`, and the `summary` that is asked for.")] = None
    max_output_tokens: Annotated[int | None, Meta(description="How many tokens the answer may have.")] = None
    stream: Annotated[bool | None, Meta(description="Answer as a stream of events.")] = None
    metadata: Annotated[Any, _OBJECT, Meta(description="Labels of the interaction.")] = None
    store: Annotated[
        bool | None, Meta(description="Whether the provider keeps the response. The call is logged whatever it says.")
    ] = None
    conversation: Annotated[Any, Meta(description="The provider's conversation, and the session here.")] = None
    prompt_cache_key: Annotated[
        str | None, Meta(description="For the provider. A UUID, as coding agents send it, is the session, too.")
    ] = None
    safety_identifier: Annotated[str | None, Meta(description="The end user, where `user` names none.")] = None
    background: Annotated[bool | None, Meta(description="Not served: true is refused.")] = None


class ResponseUsage(Output):
    """Tokens of a call."""

    input_tokens: Annotated[int, Meta(description="Tokens of the input.")]
    output_tokens: Annotated[int, Meta(description="Tokens of the output.")]
    total_tokens: Annotated[int, Meta(description="Both together.")]
    input_tokens_details: Annotated[dict[str, Any], Meta(description="`cached_tokens` among those of the input.")]
    output_tokens_details: Annotated[dict[str, Any], Meta(description="`reasoning_tokens` among those of the output.")]


class ResponseObject(Output):
    """A response, in the form of OpenAI's API. Further members repeat the request."""

    id: Annotated[str, _ID]
    completion_id: Annotated[UUID, COMPLETION_ID]
    session_id: Annotated[UUID, SESSION_ID]
    created_at: Annotated[float, Meta(description="When it was made, in seconds since 1970.")]
    model: Annotated[str, Meta(description="The model, as its provider names it.")]
    status: Annotated[
        Literal["completed", "incomplete", "failed", "in_progress", "cancelled"],
        Meta(description="`incomplete` where a limit or a filter cut it short: `incomplete_details` says which."),
    ]
    output: Annotated[
        list[dict[str, Any]],
        Meta(description="Items: `reasoning`, `message`, `function_call` and others, each with an id of its own."),
    ]
    usage: Annotated[ResponseUsage | None, Meta(description="Tokens of the call; null until its end.")]
    incomplete_details: Annotated[dict[str, Any] | None, Meta(description="`reason`: what cut it short.")] = None
    error: Annotated[dict[str, Any] | None, Meta(description="`code` and `message`, where it failed.")] = None
    previous_response_id: Annotated[str | None, Meta(description="The response that it continues.")] = None
    object: Annotated[Literal["response"], Meta(description="Always `response`.")] = "response"


class ResponseEvent(Output):
    """An event of a streamed response. What else it holds depends on its type."""

    type: Annotated[str, _EVENT_TYPE]
    sequence_number: Annotated[int, Meta(description="Its place in the stream.")]
    response: Annotated[
        ResponseObject | None, Meta(description="The response so far, in the events that begin and end a stream.")
    ] = None


class InputItems(Output):
    """The items that a response answers."""

    data: Annotated[list[dict[str, Any]], Meta(description="The items, each with an id.")]
    first_id: Annotated[str | None, Meta(description="The id of the first item.")]
    last_id: Annotated[str | None, Meta(description="The id of the last item.")]
    has_more: Annotated[bool, Meta(description="Whether more items follow: give `last_id` as `after`.")]
    object: Annotated[Literal["list"], Meta(description="Always `list`.")] = "list"


class DeletedResponse(Output):
    """A response was deleted, with its interaction and the feedback on it."""

    id: Annotated[str, _ID]
    deleted: Annotated[bool, Meta(description="Always true.")] = True
    object: Annotated[Literal["response"], Meta(description="Always `response`.")] = "response"
