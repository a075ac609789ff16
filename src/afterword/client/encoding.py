"""From Python's values to JSON: numbers of numpy and pandas, Decimal, enums, dataclasses, models of pydantic, images.

Nothing is imported for it: a value is known by what it can do. What JSON would lose is refused by its field: NaN and
the infinities, which an encoder writes as null, and what has no form in JSON at all.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import math
import os
from collections import deque
from collections.abc import Iterator, KeysView, Mapping, ValuesView
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any
from uuid import UUID

import msgspec

from afterword.errors import Invalid

_encoder = msgspec.json.Encoder()
_AS_THEY_ARE = frozenset((str, int, bool, type(None), UUID))
_TIMES = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)
_IMAGES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"))
_MISSING = frozenset(("NAType", "NaTType"))
"""What pandas calls a value that is not there."""
MOST_DEPTH = 200


def encode_value(value: Any) -> bytes:
    """Encode a value as JSON. Raises `Invalid` naming the field for what JSON would lose."""
    made = to_plain(value, "")
    try:
        return _encoder.encode(made)
    except UnicodeEncodeError:
        # Half of a surrogate pair, of an emoji that was cut in two.
        return _encoder.encode(_without_half_surrogates(made))


def to_plain(value: Any, place: str, depth: int = 0) -> Any:
    """Return a value of what JSON has. `place` is the field, for errors. Raises `Invalid`."""
    kind = type(value)
    if kind in _AS_THEY_ARE or kind in _TIMES:
        return value
    if kind is float:
        return value if math.isfinite(value) else _refuse(place, repr(value), "JSON has no such number")
    if depth > MOST_DEPTH:
        _refuse(place, "nested too deeply", f"at most {MOST_DEPTH} levels are sent")
    if isinstance(value, Mapping):
        return {_key(key, place): to_plain(one, _inside(place, key), depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(one, f"{place}[{index}]", depth + 1) for index, one in enumerate(value)]
    return to_plain(_simpler(value, place), place, depth + 1)


def _simpler(value: Any, place: str) -> Any:
    """Return a value that stands for one of a kind that JSON does not have."""
    kind = type(value)
    if kind.__name__ in _MISSING:
        _refuse(place, repr(value), "a value that is missing has no form in JSON")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Decimal | Fraction):
        if isinstance(value, Decimal) and not value.is_finite():
            _refuse(place, str(value), "JSON has no such number")
        return int(value) if value == int(value) else float(value)
    if isinstance(value, datetime.datetime):
        # Also pandas' Timestamp, which has nanoseconds.
        return value.isoformat()
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return str(value)
    if kind.__name__ == "datetime64":
        text = str(value)
        return _refuse(place, text, "a value that is missing has no form in JSON") if text == "NaT" else text
    if isinstance(value, bytes | bytearray | memoryview):
        return _image(bytes(value), place)
    if getattr(getattr(value, "dtype", None), "kind", None) == "M":
        return [to_plain(one, place) for one in value]
    if callable(tolist := getattr(value, "tolist", None)):
        # Scalars and arrays of numpy, tensors, columns of pandas: numbers of Python, or lists of them.
        return tolist()
    if isinstance(value, float):
        return float(value)
    if isinstance(value, msgspec.Struct):
        fields = {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
        return {name: one for name, one in fields.items() if one is not msgspec.UNSET}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
        # Pydantic's; of a message of the openai client, what its provider sent.
        return dump(exclude_unset=True)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Iterator | KeysView | ValuesView | deque):
        return list(value)
    return _refuse(place, f"{value!r:.60} ({kind.__name__})", "it has no form in JSON")


def _image(content: bytes, place: str) -> str:
    kind = next((kind for magic, kind in _IMAGES if content.startswith(magic)), None)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        kind = "webp"
    if kind is None:
        _refuse(place, f"{len(content):,} bytes", "bytes can only be an image (PNG, JPEG, GIF or WebP)")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _key(key: Any, place: str) -> str:
    if type(key) is str:
        return key
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, str | int | UUID):
        return str.__str__(key) if isinstance(key, str) else str(key)
    if callable(item := getattr(key, "item", None)):
        return _key(item(), place)
    return _refuse(place, f"an object with the key {key!r:.60}", "keys are texts")


def _inside(place: str, key: Any) -> str:
    return f"{place}.{key}" if place else str(key)


def _refuse(place: str, what: str, why: str) -> Any:
    where = place[:200] or "The value"
    raise Invalid(
        f"{where} is {what}, but {why}.",
        code="invalid_value",
        param=place[:200] or None,
        hint="Leave the field out where there is no value.",
    )


def _without_half_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_without_half_surrogates(key): _without_half_surrogates(one) for key, one in value.items()}
    return [_without_half_surrogates(one) for one in value] if isinstance(value, list) else value
