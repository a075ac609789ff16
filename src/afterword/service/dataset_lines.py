"""The lines of datasets: the shapes that they come in, and the one that they are given out in.

A prompt is `messages` or `input` (messages), or `prompt` ([[role, text], ...] or a text). `completion` is a text,
[role, text] or an assistant's message. `feedbacks` are values by key. A preference has `preferred_completion`,
`other_completion` and `feedback_key`. Any line may have `labels` and `metadata`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from afterword.types import DatasetKind

KINDS: tuple[DatasetKind, ...] = ("prompt", "completion", "feedback", "preference")
MEMBERS = ("completion", "feedbacks", "preferred_completion", "other_completion", "feedback_key", "labels", "metadata")


class LineError(ValueError):
    """What is wrong with a line: the member, and what it must be."""


class DatasetLine(msgspec.Struct):
    """What a line has: its kind, the values by feedback key, and the line in its normal shape."""

    kind: DatasetKind
    values: dict[str, bool | float]
    preference: str | None
    normal: dict[str, Any]


def read_line(raw: bytes) -> DatasetLine:
    """Read a line. Raises `LineError`."""
    try:
        said = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LineError(f"it is not JSON: {error}") from None
    if not isinstance(said, dict):
        raise LineError("it must be an object")
    normal: dict[str, Any] = {"messages": _messages(said)}
    normal |= {name: said[name] for name in MEMBERS if said.get(name) is not None}
    for name in ("completion", "preferred_completion", "other_completion"):
        if name in normal:
            normal[name] = _text(normal[name], name)
    if "labels" in normal:
        normal["labels"] = _labels(normal["labels"])
    if not isinstance(normal.get("metadata", {}), dict):
        raise LineError("metadata must be an object")
    values = _values(normal.get("feedbacks", {}))
    if "preferred_completion" in normal or "other_completion" in normal:
        for name in ("preferred_completion", "other_completion", "feedback_key"):
            if not isinstance(normal.get(name), str) or not normal[name]:
                raise LineError(f"{name} must be a text: a preference has all three of preferred_completion, "
                                "other_completion and feedback_key")  # fmt: skip
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


def _text(given: Any, name: str) -> str:
    if isinstance(given, list) and len(given) == 2:
        given = given[1]
    if isinstance(given, dict):
        given = given.get("content")
    if not isinstance(given, str):
        raise LineError(f"{name} must be a text, [role, text] or a message with a text")
    return given


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
