"""What a line of a dataset may be, and its normal shape.

The prompt is `messages` or `input` (messages), or `prompt` (`[[role, text], ...]` or a text). `completion`,
`preferred_completion` and `other_completion` are a text, `[role, text]` or a message. `feedbacks` is `{key: value}`,
`labels` an object or a list of pairs, `metadata` an object. Null stands for a member that is not there; other members
stay in the file alone.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from afterword.errors import Invalid
from afterword.service.content import check_message
from afterword.types import DatasetKind, DatasetLine, Message

_PROMPTS = ("messages", "input", "prompt")
_FORMS = 'Lines are such as {"messages": [{"role": "user", "content": "..."}], "completion": "..."}.'

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def read_line(raw: bytes) -> DatasetLine:
    """Read a line in any of its forms. Raises `Invalid` naming the field."""
    try:
        said = _decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(
            f"it is not JSON: {error}.",
            code="invalid_line",
            hint="Send JSONL: one JSON object a line, in UTF-8, as the body itself and not as a form.",
        ) from None
    if not isinstance(said, dict):
        raise _wrong("", said, "an object", _FORMS)
    line = DatasetLine(messages=_messages(said))
    for name in ("completion", "preferred_completion", "other_completion"):
        if (given := said.get(name)) is not None:
            setattr(line, name, _completion(given, name))
    if line.preferred_completion is not None or line.other_completion is not None:
        line.feedback_key = _of_preference(said, line)
    if (given := said.get("feedbacks")) is not None:
        line.feedbacks = _feedbacks(given) or None
    if (given := said.get("labels")) is not None:
        line.labels = _labels(given)
    if (given := said.get("metadata")) is not None:
        if not isinstance(given, dict):
            raise _wrong("metadata", given, "an object")
        line.metadata = given
    return line


def kinds_of(line: DatasetLine) -> frozenset[DatasetKind]:
    """Return the kinds that a line fits."""
    kinds: set[DatasetKind] = {"prompt"}
    if line.completion is not None:
        kinds.add("completion")
        if line.feedbacks:
            kinds.add("feedback")
    if line.preferred_completion is not None:
        kinds.add("preference")
    return frozenset(kinds)


def _messages(said: dict[str, Any]) -> list[Message]:
    name = next((name for name in _PROMPTS if said.get(name) is not None), None)
    if name is None:
        raise Invalid(
            "it has no prompt: no messages, no input, no prompt.", code="invalid_line", param="messages", hint=_FORMS
        )
    given = said[name]
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise _wrong(name, given, "a list of messages" if given != [] else "a list with a message at least", _FORMS)
    return [_message(one, f"{name}[{index}]") for index, one in enumerate(given)]


def _message(given: Any, place: str) -> Message:
    if isinstance(given, list) and len(given) == 2:
        given = {"role": given[0], "content": given[1]}
    if not isinstance(given, dict):
        raise _wrong(place, given, 'a message: {"role", "content"} or [role, text]')
    check_message(given, place)
    content = given.get("content")
    if not isinstance(content, list):
        return given
    return {**given, "content": [_part(part, f"{place}.content[{n}]") for n, part in enumerate(content)]}


def _part(part: dict[str, Any], place: str) -> dict[str, Any]:
    """Show an image in the form of datasets, `{"type": "image", "url"}`, whichever of its forms it came in."""
    if part["type"] not in ("image", "image_url"):
        return part
    name = "url" if part["type"] == "image" else "image_url"
    address = part.get(name)
    if isinstance(address, dict):
        address = address.get("url")
    if not isinstance(address, str):
        hint = 'Images are {"type": "image", "url": "data:image/png;base64,..."} or OpenAI\'s image_url parts.'
        raise _wrong(f"{place}.{name}", address, "a data URI", hint)
    return {"type": "image", "url": address}


def _completion(given: Any, name: str) -> str | Message:
    """A message of the assistant that is nothing but a text is that text."""
    if isinstance(given, str):
        return given
    if isinstance(given, dict):
        given = {"role": "assistant", **given}
    elif not isinstance(given, list):
        raise _wrong(name, given, "a text, a message or [role, text]")
    message = _message(given, name)
    is_text = message.keys() == {"role", "content"} and isinstance(message["content"], str)
    return message["content"] if is_text and message["role"] == "assistant" else message


def _of_preference(said: dict[str, Any], line: DatasetLine) -> str:
    for name in ("preferred_completion", "other_completion"):
        if getattr(line, name) is None:
            raise Invalid(
                f"it has no {name}, but the other side of a preference.",
                code="invalid_line",
                param=name,
                hint="A preference has preferred_completion, other_completion and feedback_key.",
            )
    key = said.get("feedback_key", said.get("metric"))
    if not isinstance(key, str):
        raise _wrong("feedback_key", key, "the key of a metric", "Say under which feedback key one is preferred.")
    return key


def _feedbacks(given: Any) -> dict[str, bool | int | float]:
    if not isinstance(given, dict):
        raise _wrong("feedbacks", given, "an object of keys and values")
    for key, value in given.items():
        if value is not None and not _is_value(value):
            raise _wrong(f"feedbacks.{key:.80}", value, "true, false or a finite number")
    return {key: value for key, value in given.items() if value is not None}


def _is_value(value: Any) -> bool:
    try:
        return isinstance(value, bool | int | float) and math.isfinite(value)
    except OverflowError:
        return False


def _labels(given: Any) -> dict[str, str]:
    pairs = list(given.items()) if isinstance(given, dict) else given
    if not isinstance(pairs, list):
        raise _wrong("labels", given, "an object, or a list of pairs")
    labels: dict[str, str] = {}
    for pair in pairs:
        if isinstance(pair, dict):
            pair = (pair.get("key"), pair.get("value"))
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise _wrong("labels", pair, 'an object, or a list of pairs: [key, value] or {"key", "value"}')
        key, value = pair
        if not isinstance(value, str | int | float | None):
            raise _wrong(f"labels.{key:.80}", value, "a text")
        if labels.get(key, value) != value:
            raise Invalid(f"it has the label {key!r:.80} twice.", code="invalid_line", param=f"labels.{key:.80}")
        if value is not None:
            labels[key] = value if isinstance(value, str) else encode(value).decode()
    return labels


def _wrong(place: str, given: Any, wanted: str, hint: str | None = None) -> Invalid:
    shown = "null" if given is None else f"{given!r:.60}" if not isinstance(given, dict | list) else _KINDS[type(given)]
    return Invalid(
        f"{place or 'it'} is {shown}, but must be {wanted}.", code="invalid_line", param=place or None, hint=hint
    )


_KINDS = {dict: "an object", list: "a list"}
