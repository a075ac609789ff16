"""The lines of datasets: the shapes that they come in, and the one that they are given out in.

A prompt is `messages` or `input` (messages), or `prompt` ([[role, text], ...] or a text). `completion` is a text,
[role, text], an assistant's message or a list of messages; so are both sides of a preference, which has
`preferred_completion`, `other_completion` and `feedback_key`. `feedbacks` are values by key. Any line may have `tools`,
`parallel_tool_calls`, `labels` and `metadata`.

Given out, a completion that is nothing but a text is that text; else `completion` is the message (a list of them where
there are several), and the sides of a preference are lists of messages.
"""

from __future__ import annotations

from typing import Any

import msgspec

from afterword import json_text
from afterword.json_text import LineError
from afterword.types import DatasetKind

KINDS: tuple[DatasetKind, ...] = ("prompt", "completion", "feedback", "preference")
SIDES = ("preferred_completion", "other_completion")
MEMBERS = (
    *("tools", "parallel_tool_calls", "functions", "completion", "feedbacks"),
    *(*SIDES, "feedback_key", "labels", "metadata"),
)
SPEAKING = ("content", "tool_calls", "function_call", "refusal", "audio")
"""Members of which an assistant's message has at least one."""


class DatasetLine(msgspec.Struct):
    """What a line has: its kind, the values by feedback key, and the line in its normal shape."""

    kind: DatasetKind
    values: dict[str, bool | float]
    preference: str | None
    normal: dict[str, Any]


def read_line(raw: bytes) -> DatasetLine:
    """Read a line. Raises `LineError`."""
    try:
        said = json_text.read_line(raw)
    except LineError as error:
        raise LineError(f"it {error}") from None
    if not isinstance(said, dict):
        raise LineError("it must be an object")
    normal: dict[str, Any] = {"messages": _messages(said)}
    normal |= {name: said[name] for name in MEMBERS if said.get(name) is not None}
    for name in ("completion", *SIDES):
        if name in normal:
            normal[name] = _answer(normal[name], name)
    if not isinstance(normal.get("parallel_tool_calls", True), bool):
        raise LineError("parallel_tool_calls must be true or false")
    for name in ("tools", "functions"):
        if name in normal and not (isinstance(normal[name], list) and all(isinstance(x, dict) for x in normal[name])):
            raise LineError(f"{name} must be a list of objects")
    if "labels" in normal:
        normal["labels"] = _labels(normal["labels"])
    if not isinstance(normal.get("metadata", {}), dict):
        raise LineError("metadata must be an object")
    values = _values(normal.get("feedbacks", {}))
    if "preferred_completion" in normal or "other_completion" in normal:
        for name in (*SIDES, "feedback_key"):
            if not normal.get(name) or (name == "feedback_key" and not isinstance(normal[name], str)):
                shape = "a text" if name == "feedback_key" else "a text, a message or a list of messages"
                raise LineError(
                    f"{name} must be {shape}: a preference has all three of preferred_completion, other_completion and "
                    "feedback_key"
                )
            if isinstance(normal[name], dict):
                normal[name] = [normal[name]]
        return DatasetLine("preference", values, normal["feedback_key"], normal)
    if values and "completion" not in normal:
        raise LineError("it has feedbacks, and no completion that they are about")
    kind: DatasetKind = "feedback" if values else "completion" if "completion" in normal else "prompt"
    return DatasetLine(kind, values, None, normal)


def _messages(said: dict[str, Any]) -> list[dict[str, Any]]:
    given = next((said[name] for name in ("messages", "input", "prompt") if said.get(name) is not None), None)
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise LineError("it has no messages (nor input, nor prompt): a list of {role, content}")
    return [_message(one, index) for index, one in enumerate(given)]


def _message(given: Any, index: int) -> dict[str, Any]:
    if isinstance(given, list) and len(given) == 2 and isinstance(given[0], str):
        return {"role": given[0], "content": given[1]}
    if not isinstance(given, dict) or not isinstance(given.get("role"), str):
        raise LineError(f"messages[{index}] must be a message with role and content")
    return given


def _answer(given: Any, name: str) -> str | dict[str, Any] | list[dict[str, Any]]:
    """Return a completion in its normal shape: a text, a message that is more than a text, or several messages."""
    if isinstance(given, str):
        return given
    if isinstance(given, list) and len(given) == 2 and all(isinstance(item, str) for item in given):
        return given[1]
    messages = [_answer_message(message, name) for message in (given if isinstance(given, list) else [given])]
    if len(messages) != 1:
        if not messages:
            raise LineError(f"{name} is an empty list")
        return messages
    [message] = messages
    return message["content"] if message.keys() == {"role", "content"} and _is_text(message) else message


def _answer_message(given: Any, name: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise LineError(f"{name} must be a text, [role, text], a message or a list of messages")
    message = {"role": "assistant", **given}
    if not isinstance(message["role"], str):
        raise LineError(f"{name} has a role that is not a text")
    if not isinstance(message.get("content"), str | list | None):
        raise LineError(f"{name} has content that is neither a text, nor a list of parts, nor null")
    if all(message.get(member) in (None, []) for member in SPEAKING):
        raise LineError(f"{name} must be a text or a message with one of {', '.join(SPEAKING)}")
    return message


def _is_text(message: dict[str, Any]) -> bool:
    return message["role"] == "assistant" and isinstance(message["content"], str)


def _labels(given: Any) -> dict[str, str]:
    pairs: list[Any] = list(given.items()) if isinstance(given, dict) else given
    labels: dict[str, str] = {}
    for pair in pairs if isinstance(pairs, list) else [None]:
        key, value = (pair.get("key"), pair.get("value")) if isinstance(pair, dict) else _pair(pair)
        if not isinstance(key, str) or not isinstance(value, str):
            raise LineError("labels must be texts by key, or a list of {key, value}")
        labels[key] = value
    return labels


def _pair(given: Any) -> tuple[Any, Any]:
    return (given[0], given[1]) if isinstance(given, list | tuple) and len(given) == 2 else (None, None)


def _values(given: Any) -> dict[str, bool | float]:
    if not isinstance(given, dict):
        raise LineError("feedbacks must be values by feedback key")
    for key, value in given.items():
        if not key or not isinstance(value, bool | int | float):
            raise LineError(f"feedbacks.{key[:80]} must be a number, or true or false")
    return given
