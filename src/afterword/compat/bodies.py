"""Old bodies of REST calls: renamed members, prompts in place of messages, JSON that was encoded twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec


def _renamed_body(names: dict[str, str], raw: bytes | bytearray) -> bytes | None:
    """Return a body with its members renamed; None if it has none of the old names."""
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(body, dict) or not names.keys() & body.keys():
        return None
    lifted_body: dict[str, Any] = {name: value for name, value in body.items() if name not in names}
    for old_name, new_name in names.items():
        if old_name in body and lifted_body.get(new_name) is None:
            lifted_body[new_name] = _prompt_messages(body[old_name]) if old_name == "prompt" else body[old_name]
    return msgspec.json.encode(lifted_body)


def _prompt_messages(prompt: Any) -> Any:
    """Return a prompt as messages: a text becomes one message of the user."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def _decoded_twice(raw: bytes | bytearray) -> bytes | None:
    """Return the JSON within a body that is a JSON string; None for any other body."""
    try:
        decoded_text = msgspec.json.decode(raw, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return decoded_text.encode()


_USE_CASE = {"use_case": "project"}
_PROMPT = {"prompt": "messages"}
_USER = {"user_id": "user"}

LIFTS: dict[str, Callable[[bytes | bytearray], bytes | None]] = {
    # adaptive-sdk up to 0.12.4 calls projects use cases; 0.1.1 sends prompts; all versions call models model services.
    "interactions.record": partial(_renamed_body, {**_USE_CASE, **_PROMPT, "model_service": "model"}),
    "feedback.record": partial(_renamed_body, _USER),
    "feedback.prefer": partial(_renamed_body, {**_USE_CASE, **_PROMPT, **_USER}),
    "outcomes.record": partial(_renamed_body, {"project_id": "project", **_USER}),
    # 0.12.2 to 0.14.0 encode the body of embeddings twice.
    "embeddings": _decoded_twice,
}
