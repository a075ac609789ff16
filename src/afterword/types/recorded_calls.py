"""Calls of models that went straight to a provider, as they went over the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from msgspec import Meta

from afterword.types.base import HAPPENED_AT, PROJECT, Input, Moment
from afterword.types.interactions import PROVIDER_REQUEST_ID, Identifier

Seconds: TypeAlias = Annotated[float, Meta(ge=0)]


class RecordedCall(Input):
    """One call of a provider's API: its request, and its answer, the events of its stream, or its error.

    The server reads messages, completions, usage and parameters from these, as the gateway does for calls that pass
    through it. The fields that the gateway takes (`labels`, `session_id`, `user`, ...) stand in `request`.
    """

    completion_id: Annotated[
        UUID,
        Meta(
            description="The id of the first choice. Sending the same call again stores nothing twice. Further choices "
            "have the ids that follow it."
        ),
    ]
    operation: Annotated[
        Literal["chat", "completions", "responses", "messages"],
        Meta(
            description="The API: OpenAI's `chat`, `completions` or `responses`, or Anthropic's `messages`. It says "
            "how request and answer are read."
        ),
    ]
    request: Annotated[dict[str, Any], Meta(description="The body of the request.")]
    answer: Annotated[dict[str, Any] | None, Meta(description="The body of the answer, if it was not streamed.")] = None
    events: Annotated[
        list[dict[str, Any]] | None, Meta(description="The data of the stream's events, in their order.")
    ] = None
    state: Annotated[
        Literal["complete", "failed", "cancelled", "interrupted"],
        Meta(description="How the call ended: `cancelled` if the application closed the stream."),
    ] = "complete"
    error: Annotated[dict[str, Any] | None, Meta(description="Why it failed: any JSON object, kept as sent.")] = None
    streamed: Annotated[bool, Meta(description="Whether the answer was streamed.")] = False
    project: Annotated[str | None, PROJECT] = None
    created_at: Annotated[Moment | None, HAPPENED_AT] = None
    latency: Annotated[Seconds | None, Meta(description="Seconds from the request to the end of the answer.")] = None
    ttft: Annotated[Seconds | None, Meta(description="Seconds from the request to the first event.")] = None
    provider_request_id: Annotated[Identifier | None, PROVIDER_REQUEST_ID] = None
