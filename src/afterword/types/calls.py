"""Calls of language models: what Afterword itself reads of a request, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from afterword.types.base import Message

_LABELS = Meta(extra_json_schema={"type": "object", "additionalProperties": {"type": "string"}})


class CallRequest(msgspec.Struct, kw_only=True):
    """A request in OpenAI's form. Fields that are not named here go to the provider as they are.

    `model` is PROJECT/MODEL, PROJECT for its default model, MODEL in the key's own project, or left out for the default
    of that. `labels`, `session_id` and `ab_campaign` are Afterword's own, and not sent on. `user`, `store` and
    `metadata` (an alias of `labels`) are also OpenAI's: they go to providers that take them. `store: false` logs
    nothing. What is of another form than expected is the provider's matter, and never a reason to refuse a call.
    """

    model: str | None = None
    messages: list[Message] | None = None
    prompt: Any = None
    input: Any = None
    stream: bool | None = None
    stream_options: Annotated[Any, Meta(extra_json_schema={"type": "object"})] = None
    n: Annotated[Any, Meta(extra_json_schema={"type": "integer", "minimum": 1})] = None
    labels: Annotated[Any, _LABELS] = None
    metadata: Annotated[Any, _LABELS] = None
    session_id: Annotated[Any, Meta(extra_json_schema={"type": "string"})] = None
    user: Annotated[Any, Meta(extra_json_schema={"type": "string"})] = None
    store: Annotated[Any, Meta(extra_json_schema={"type": "boolean"})] = None
    ab_campaign: str | None = None


OWN_FIELDS = frozenset({"labels", "session_id", "ab_campaign"})
"""The fields that no provider gets to see."""
SHARED_FIELDS = frozenset({"metadata", "user", "store"})
"""The fields that mean something to Afterword and to OpenAI."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A model as its provider knows it.

    `endpoint` is the base URL without a slash at its end; None stands for the provider's own. `parameters` are laid
    over every request, null taking a field away. `key` is the model's key here: for messages, never sent.
    """

    provider: str
    key: str
    model: str
    endpoint: str | None = None
    api_key: str | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    parameters: Mapping[str, Any] = msgspec.field(default_factory=dict)
