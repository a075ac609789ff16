"""Calls of language models: what Afterword itself reads of a request, and where it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from afterword.types.base import Message, SessionId


class CallRequest(msgspec.Struct, kw_only=True):
    """A request in OpenAI's form. Fields that are not named here go to the provider as they are.

    `model` is PROJECT/MODEL, PROJECT for its default model, MODEL in the key's own project, or left out for the default
    of that. `labels` (or `metadata`, its alias), `session_id`, `user`, `store` and `ab_campaign` are Afterword's own,
    and not sent on. `store: false` logs nothing.
    """

    model: str | None = None
    messages: list[Message] | None = None
    prompt: str | list[Any] | None = None
    input: Any = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    labels: dict[str, str] | None = None
    metadata: dict[str, str] | None = None
    session_id: SessionId | None = None
    user: str | None = None
    store: bool | None = None
    ab_campaign: str | None = None


OWN = frozenset({"labels", "metadata", "session_id", "user", "store", "ab_campaign"})
"""The fields that no provider gets to see."""


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
