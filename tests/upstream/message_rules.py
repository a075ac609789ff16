"""What a strict provider takes in messages, as OpenAI's API reference lists it: anything else it refuses."""

from __future__ import annotations

from typing import Any

MESSAGE = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {
        "role", "content", "name", "refusal", "audio", "tool_calls", "function_call", "annotations",
        "reasoning_content",
    },
    "tool": {"role", "content", "tool_call_id", "name"},
}  # fmt: skip
TOOL_CALL = {"id", "type", "function", "index"}


def unknown_fields(body: dict[str, Any]) -> list[str]:
    """Return the places of what no message may have."""
    places = []
    for index, message in enumerate(body.get("messages") or []):
        known = MESSAGE.get(message.get("role"), set())
        places += [f"messages.{index}.{name}" for name in message.keys() - known]
        for number, call in enumerate(message.get("tool_calls") or []):
            places += [f"messages.{index}.tool_calls.{number}.{name}" for name in call.keys() - TOOL_CALL]
    return sorted(places)
