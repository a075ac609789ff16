"""Calls as LiteLLM tells its loggers of them: the members of its standard logging payload that are read.

See https://docs.litellm.ai/docs/proxy/logging_spec. Its other members are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta


class LiteLLMCall(
    msgspec.Struct, kw_only=True, rename={"start": "startTime", "end": "endTime", "first_token": "completionStartTime"}
):
    """One call, as LiteLLM's generic logger sends it. Members that are not listed here are ignored."""

    id: Annotated[
        str,
        Meta(
            min_length=1,
            description="The id of the answer, or of a failed call. With `startTime` it identifies the call.",
        ),
    ]
    start: Annotated[float, Meta(description="When the call began, in seconds since 1970.")]
    end: Annotated[float | None, Meta(description="When it ended.")] = None
    first_token: Annotated[float | None, Meta(description="When the first token of a stream came.")] = None
    call_type: Annotated[
        str | None,
        Meta(
            description="LiteLLM's function, such as `acompletion`. Chat, Responses, Messages, texts and embeddings "
            "are logged, other functions only if the answer has choices."
        ),
    ] = None
    status: Annotated[str | None, Meta(description="`success` or `failure`.")] = None
    error_str: Annotated[str | None, Meta(description="Why it failed.")] = None
    error_information: Annotated[dict[str, Any] | None, Meta(description="The class and code of the error.")] = None
    model: Annotated[str | None, Meta(description="The model that was called.")] = None
    model_group: Annotated[
        str | None, Meta(description="What the caller named the model, at LiteLLM's router and proxy.")
    ] = None
    custom_llm_provider: Annotated[str | None, Meta(description="The provider: becomes the label `provider`.")] = None
    messages: Annotated[Any, Meta(description="The messages, or a text.")] = None
    response: Annotated[Any, Meta(description="The whole answer, in the form of OpenAI's API, or a text.")] = None
    stream: Annotated[bool | None, Meta(description="Whether the answer was streamed.")] = None
    model_parameters: Annotated[dict[str, Any] | None, Meta(description="The parameters of the request.")] = None
    metadata: Annotated[
        dict[str, Any] | None,
        Meta(
            description="`usage_object`; and `user_api_key_...`, `requester_metadata` and `spend_logs_metadata`, which "
            "become labels."
        ),
    ] = None
    hidden_params: Annotated[dict[str, Any] | None, Meta(description="The headers of the provider's answer.")] = None
    prompt_tokens: Annotated[int | None, Meta(description="Tokens of the request.")] = None
    completion_tokens: Annotated[int | None, Meta(description="Tokens of the answer.")] = None
    total_tokens: Annotated[int | None, Meta(description="Tokens of both.")] = None
    response_cost: Annotated[float | None, Meta(description="In US dollars: becomes `usage.cost`.")] = None
    cost_breakdown: Annotated[dict[str, Any] | None, Meta(description="The parts of the cost.")] = None
    request_tags: Annotated[list[Any] | None, Meta(description="Each becomes a label `tag.NAME`.")] = None
    end_user: Annotated[str | None, Meta(description="The end user of your product.")] = None
    session_id: Annotated[str | None, Meta(description="The session.")] = None
    trace_id: Annotated[str | None, Meta(description="The session, where `session_id` is empty.")] = None
    litellm_call_id: Annotated[str | None, Meta(description="LiteLLM's own id of the call.")] = None
    cache_hit: Annotated[bool | None, Meta(description="Whether LiteLLM's cache answered.")] = None
    model_id: Annotated[str | None, Meta(description="The deployment, at LiteLLM's router and proxy.")] = None
    api_base: Annotated[str | None, Meta(description="The address of the provider.")] = None
    guardrail_information: Annotated[Any, Meta(description="What LiteLLM's guardrails said.")] = None
