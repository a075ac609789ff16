"""Calls of language models: the members that Afterword reads from a request, and its target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from afterword.types.base import Message
from afterword.types.fields import TEXT_FIELDS

_LABELS = Meta(extra_json_schema={"type": "object", "additionalProperties": {"type": "string"}})


class CallRequest(msgspec.Struct, kw_only=True):
    """A request in OpenAI's form. Fields that are not listed here go to the provider unchanged.

    `model` is PROJECT/MODEL, PROJECT for its default model, or MODEL in the key's own project. Without it, the default
    model of the key's project is called. `labels`, `session_id` and `ab_campaign` are Afterword's own and are not
    forwarded. `user`, `store` and `metadata` (an alias of `labels`) are also OpenAI's: they go to providers that take
    them. `store: false` logs nothing. A field of an unexpected form is left to the provider; the call is not refused.
    """

    model: Annotated[
        str | None,
        Meta(
            description="`PROJECT/MODEL`, or `MODEL` with a key of one project. `PROJECT` alone stands for its "
            "default model, or those of its A/B test."
        ),
    ] = None
    messages: Annotated[
        list[Message] | None,
        Meta(description="The conversation. Images are `image_url` parts, or Adaptive's `image` parts."),
    ] = None
    prompt: Annotated[Any, Meta(description="The text to go on with, or a list of texts.")] = None
    input: Annotated[Any, Meta(description="The texts to turn into vectors.")] = None
    stream: Annotated[bool | None, Meta(description="Answer as a stream of events.")] = None
    stream_options: Annotated[
        Any,
        Meta(extra_json_schema={"type": "object"}),
        Meta(description="`include_usage`: end with a chunk that holds the usage."),
    ] = None
    n: Annotated[
        Any, Meta(extra_json_schema={"type": "integer", "minimum": 1}), Meta(description="How many completions.")
    ] = None
    labels: Annotated[Any, _LABELS, Meta(description="Labels for the interactions. Not sent to the provider.")] = None
    metadata: Annotated[Any, _LABELS, Meta(description="The same as `labels`, by OpenAI's name.")] = None
    session_id: Annotated[
        Any,
        Meta(extra_json_schema={"type": "string"}),
        Meta(
            description="The session that the call belongs to: a UUID, or any text of up to 200 characters. Made "
            "when none is given. Not sent on."
        ),
    ] = None
    user: Annotated[
        Any,
        Meta(extra_json_schema={"type": "string"}),
        Meta(description="The end user of your product: any string. Not sent on."),
    ] = None
    environment: Annotated[
        Any,
        Meta(extra_json_schema={"type": "string"}),
        Meta(description="Where your product ran, such as `production`: up to 200 characters. Not sent on."),
    ] = None
    step: Annotated[
        Any,
        Meta(extra_json_schema={"type": "string"}),
        Meta(description="The name of the step of an agent's turn, such as `plan`: up to 200 characters. Not sent on."),
    ] = None
    parent: Annotated[
        Any,
        Meta(extra_json_schema={"type": "string", "format": "uuid"}),
        Meta(description="The completion_id of the interaction that the call is a step of. Not sent on."),
    ] = None
    store: Annotated[
        Any, Meta(extra_json_schema={"type": "boolean"}), Meta(description="False: keep nothing of the call.")
    ] = None
    ab_campaign: Annotated[
        str | None, Meta(description="The A/B test that the call surely takes part in, by key or id. Not sent on.")
    ] = None


SHARED_FIELDS = frozenset({"metadata", "user", "store"})
"""The fields that mean something to Afterword and to OpenAI."""
OWN_FIELDS = frozenset(
    {"labels", "session_id", "parent", "ab_campaign", *(field.name for field in TEXT_FIELDS)} - SHARED_FIELDS
)
"""The fields that are never sent to a provider."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its provider knows it.

    `endpoint` is the base URL without a trailing slash; None stands for the provider's own. `parameters` override the
    fields of every request; null removes a field. `key` is the model's key in Afterword: it is used in messages and
    never sent.
    """

    provider: str
    key: str
    model: str
    endpoint: str | None = None
    api_key: str | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    parameters: Mapping[str, Any] = msgspec.field(default_factory=dict)
