"""The lines of datasets: the shapes that are accepted, and the normal shape that downloads have.

A prompt is `messages` or `input` (messages), or `prompt` ([[role, text], ...] or a text). `completion` is a text,
[role, text], an assistant's message or a list of messages; so are both sides of a preference, which has
`preferred_completion`, `other_completion` and `feedback_key`. `feedbacks` are values by key. Any line may have `tools`,
`parallel_tool_calls`, `labels` and `metadata`.

In the normal shape, a completion that is only a text is that text. Otherwise `completion` is the message (or a list of
several messages), and the sides of a preference are lists of messages.
"""

from __future__ import annotations

from typing import Any

import msgspec

from afterword import json_text
from afterword.json_text import LineError
from afterword.types import DatasetKind, SplitName

KINDS: tuple[DatasetKind, ...] = ("prompt", "completion", "feedback", "preference")
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "test")
SIDES = ("preferred_completion", "other_completion")
OPTIONAL_FIELDS = (
    *("tools", "parallel_tool_calls", "functions", "completion", "feedbacks"),
    *(*SIDES, "feedback_key", "labels", "metadata"),
)
ANSWER_FIELDS = ("content", "tool_calls", "function_call", "refusal", "audio")
"""An assistant's message has at least one of these members."""


class DatasetLine(msgspec.Struct):
    """A line: its kind, its values by feedback key, the feedback key of its preference, and its normal shape."""

    kind: DatasetKind
    values: dict[str, bool | float]
    preference: str | None
    normalized_line: dict[str, Any]


def read_line(raw: bytes) -> DatasetLine:
    """Read a line. Raises `LineError`."""
    try:
        line = json_text.read_line(raw)
    except LineError as error:
        raise LineError(f"it {error}") from None
    if not isinstance(line, dict):
        raise LineError("it must be an object")
    normalized_line: dict[str, Any] = {"messages": _line_messages(line)}
    normalized_line |= {name: line[name] for name in OPTIONAL_FIELDS if line.get(name) is not None}
    for name in ("completion", *SIDES):
        if name in normalized_line:
            normalized_line[name] = _normalized_completion(normalized_line[name], name)
    if not isinstance(normalized_line.get("parallel_tool_calls", True), bool):
        raise LineError("parallel_tool_calls must be true or false")
    for name in ("tools", "functions"):
        if name in normalized_line and not (
            isinstance(normalized_line[name], list) and all(isinstance(x, dict) for x in normalized_line[name])
        ):
            raise LineError(f"{name} must be an array of objects")
    if "labels" in normalized_line:
        normalized_line["labels"] = _normalized_labels(normalized_line["labels"])
    if not isinstance(normalized_line.get("metadata", {}), dict):
        raise LineError("metadata must be an object")
    values = _feedback_values(normalized_line.get("feedbacks", {}))
    if "preferred_completion" in normalized_line or "other_completion" in normalized_line:
        for name in (*SIDES, "feedback_key"):
            if not normalized_line.get(name) or (name == "feedback_key" and not isinstance(normalized_line[name], str)):
                shape = "a string" if name == "feedback_key" else "a string, a message or an array of messages"
                raise LineError(
                    f"{name} must be {shape}: a preference has all three of preferred_completion, other_completion and "
                    "feedback_key"
                )
            if isinstance(normalized_line[name], dict):
                normalized_line[name] = [normalized_line[name]]
        return DatasetLine("preference", values, normalized_line["feedback_key"], normalized_line)
    if values and "completion" not in normalized_line:
        raise LineError("it has feedbacks, and no completion that they are about")
    kind: DatasetKind = "feedback" if values else "completion" if "completion" in normalized_line else "prompt"
    return DatasetLine(kind, values, None, normalized_line)


def side_of(line: DatasetLine) -> SplitName | None:
    """Return the side of a split that a line names in its metadata; None if it names none."""
    side = line.normalized_line.get("metadata", {}).get("split")
    return side if side in SPLIT_NAMES else None


def _line_messages(line: dict[str, Any]) -> list[dict[str, Any]]:
    prompt = next((line[name] for name in ("messages", "input", "prompt") if line.get(name) is not None), None)
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    if not isinstance(prompt, list) or not prompt:
        raise LineError("it has no messages (nor input, nor prompt): an array of {role, content}")
    return [_prompt_message(message, index) for index, message in enumerate(prompt)]


def _prompt_message(message: Any, index: int) -> dict[str, Any]:
    if isinstance(message, list) and len(message) == 2 and isinstance(message[0], str):
        return {"role": message[0], "content": message[1]}
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise LineError(f"messages[{index}] must be a message with role and content")
    return message


def _normalized_completion(completion: Any, name: str) -> str | dict[str, Any] | list[dict[str, Any]]:
    """Return a completion in its normal shape: a text, a message that is more than a text, or several messages."""
    if isinstance(completion, str):
        return completion
    if isinstance(completion, list) and len(completion) == 2 and all(isinstance(part, str) for part in completion):
        return completion[1]
    messages = [
        _completion_message(message, name) for message in (completion if isinstance(completion, list) else [completion])
    ]
    if len(messages) != 1:
        if not messages:
            raise LineError(f"{name} is an empty list")
        return messages
    [message] = messages
    return message["content"] if message.keys() == {"role", "content"} and _is_text(message) else message


def _completion_message(answer: Any, name: str) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise LineError(f"{name} must be a string, [role, text], a message or an array of messages")
    message = {"role": "assistant", **answer}
    if not isinstance(message["role"], str):
        raise LineError(f"{name} has a role that is not a string")
    if not isinstance(message.get("content"), str | list | None):
        raise LineError(f"{name} has content that is neither a string, nor an array of parts, nor null")
    if all(message.get(member) in (None, []) for member in ANSWER_FIELDS):
        raise LineError(f"{name} must be a string or a message with one of {', '.join(ANSWER_FIELDS)}")
    return message


def _is_text(message: dict[str, Any]) -> bool:
    return message["role"] == "assistant" and isinstance(message["content"], str)


def _normalized_labels(labels_field: Any) -> dict[str, str]:
    pairs: list[Any] = list(labels_field.items()) if isinstance(labels_field, dict) else labels_field
    labels: dict[str, str] = {}
    for pair in pairs if isinstance(pairs, list) else [None]:
        key, value = (pair.get("key"), pair.get("value")) if isinstance(pair, dict) else _key_and_value(pair)
        if not isinstance(key, str) or not isinstance(value, str):
            raise LineError("labels must be strings by key, or an array of {key, value}")
        labels[key] = value
    return labels


def _key_and_value(pair: Any) -> tuple[Any, Any]:
    return (pair[0], pair[1]) if isinstance(pair, list | tuple) and len(pair) == 2 else (None, None)


def _feedback_values(feedbacks: Any) -> dict[str, bool | float]:
    if not isinstance(feedbacks, dict):
        raise LineError("feedbacks must be values by feedback key")
    for key, value in feedbacks.items():
        if not key or not isinstance(value, bool | int | float):
            raise LineError(f"feedbacks.{key[:80]} must be a number, or true or false")
    return feedbacks
