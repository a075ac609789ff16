"""Requests of the Messages API, as a provider that speaks it takes them."""

from __future__ import annotations

import re
from typing import Any

from afterword.gateway.provider import Body

LOG_FIELDS = frozenset({"user", "store"})
"""Fields of OpenAI's chat that Afterword reads in each form. Labels in `metadata` are of the same kind."""

_FORBIDDEN_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


def native_request(body: Body) -> Body:
    """Return the caller's request as the API takes it.

    Members that mean something to Afterword alone are left out: the API refuses what it does not know. So is what other
    models left in the conversation and the API surely refuses: thoughts that no one signed, and characters of ids that
    it does not allow. All else is as it came.
    """
    request = {name: value for name, value in body.items() if name not in LOG_FIELDS}
    if isinstance(messages := body.get("messages"), list):
        request["messages"] = [_native_message(message) for message in messages]
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        request["metadata"] = {name: value for name, value in metadata.items() if name == "user_id"}
    if isinstance(user := body.get("user"), str) and user:
        request["metadata"] = {"user_id": user, **request.get("metadata", {})}
    return request


def tool_id(call_id: Any) -> str:
    """Return a call's id with the characters that the API allows; other providers' ids may have more."""
    return _FORBIDDEN_IN_IDS.sub("_", call_id or "")


def is_signed(thought: Body) -> bool:
    """Tell whether the API accepts a thought: it needs a signature, or the `data` of a redacted thought."""
    return bool(thought.get("signature") or thought.get("data"))


def _native_message(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    blocks = [_with_allowed_ids(block) for block in content if not _is_foreign_thought(block)]
    return {**message, "content": blocks or content}


def _is_foreign_thought(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "thinking" and not is_signed(block)


def _with_allowed_ids(block: Any) -> Any:
    names = {"tool_use": "id", "tool_result": "tool_use_id"}
    name = names.get(str(block.get("type"))) if isinstance(block, dict) else None
    if name is None or not isinstance(call_id := block.get(name), str) or tool_id(call_id) == call_id:
        return block
    return {**block, name: tool_id(call_id)}
