"""Recognises a repeated call by the hash of its body, which is stored with the rows that the call wrote."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import NODEFAULT

from afterword.store.schema import hash63
from afterword.types import InlineFeedback, NewFeedback, NewInteraction, NewPreference, NewText

_sorted_encoder = msgspec.json.Encoder(order="sorted")

FIRST_FIELDS: dict[type[msgspec.Struct], frozenset[str]] = {
    InlineFeedback: frozenset({"metric", "value", "details", "reason", "user", "created_at"}),
    NewFeedback: frozenset(
        {"completion_id", "metric", "value", "details", "reason", "user", "created_at", "feedback_id"}
    ),
    NewInteraction: frozenset(
        {"messages", "completion", "project", "model", "labels", "feedbacks", "user", "session_id", "created_at"}
        | {"usage", "timings", "parameters", "completion_id"}
    ),
    NewPreference: frozenset(
        {"metric", "preferred_completion", "other_completion", "tied", "messages", "project", "labels", "details"}
        | {"user", "created_at", "comparison_id"}
    ),
    NewText: frozenset({"text", "model"}),
}
"""The fields that each body had when its hashes were first stored. These are always hashed, even if they are unset;
never add to them. Any other field is hashed only if it is set, so that a new optional field changes no stored hash."""


def request_hash(body: msgspec.Struct, *parts: str) -> int:
    """Return the hash of a body, which is the same in every version of Afterword. `parts` are hashed with it."""
    return hash63(*parts, _sorted_encoder.encode(_hashed_content(body)))


def _hashed_content(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], msgspec.Struct):
        return [_hashed_content(element) for element in value]
    if not isinstance(value, msgspec.Struct):
        return value
    content: dict[str, Any] = {}
    for name, encode_name, is_always_hashed, default in _fields(type(value)):
        field_value = getattr(value, name)
        if is_always_hashed or field_value != default:
            content[encode_name] = _hashed_content(field_value)
    return content


@lru_cache
def _fields(kind: type[msgspec.Struct]) -> list[tuple[str, str, bool, Any]]:
    """Return (name, name in JSON, whether it is hashed even if it is unset, default) of each field."""
    always_hashed = next((FIRST_FIELDS[base] for base in kind.__mro__ if base in FIRST_FIELDS), frozenset[str]())
    return [
        (
            field.name,
            field.encode_name,
            field.name in always_hashed,
            field.default_factory() if field.default_factory is not NODEFAULT else field.default,
        )
        for field in msgspec.structs.fields(kind)
    ]
