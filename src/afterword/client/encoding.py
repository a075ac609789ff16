"""Encodes Python values as JSON: numbers of numpy and pandas, Decimal, enums, dataclasses, pydantic models, images.

No such library is imported: a value is recognised by its attributes. Values that JSON would lose are refused, with the
name of their field: NaN and infinities, which an encoder writes as null, and values without a JSON form.
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
_JSON_TYPES = frozenset((str, int, bool, type(None), UUID))
_TIME_TYPES = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)
_IMAGE_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"))
_MISSING_TYPE_NAMES = frozenset(("NAType", "NaTType"))
"""pandas' types of missing values."""
MAX_DEPTH = 200


def encode_value(value: Any) -> bytes:
    """Encode a value as JSON. Raises `Invalid` with the name of a field whose value JSON would lose."""
    json_value = to_json_value(value, "")
    try:
        return _encoder.encode(json_value)
    except UnicodeEncodeError:
        # The value has half of a surrogate pair, from an emoji that was cut in two.
        return _encoder.encode(_without_half_surrogates(json_value))


def to_json_value(value: Any, path: str, depth: int = 0) -> Any:
    """Convert a value to JSON's types. `path` is the field, for errors. Raises `Invalid`."""
    kind = type(value)
    if kind in _JSON_TYPES or kind in _TIME_TYPES:
        return value
    if kind is float:
        return value if math.isfinite(value) else _refuse(path, repr(value), "JSON has no such number")
    if depth > MAX_DEPTH:
        _refuse(path, "nested too deeply", f"at most {MAX_DEPTH} levels are sent")
    if isinstance(value, Mapping):
        return {
            _member_name(key, path): to_json_value(member, _member_path(path, key), depth + 1)
            for key, member in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json_value(element, f"{path}[{index}]", depth + 1) for index, element in enumerate(value)]
    return to_json_value(_simpler_value(value, path), path, depth + 1)


def _simpler_value(value: Any, path: str) -> Any:
    """Convert a value of a type that JSON does not have to a simpler one."""
    kind = type(value)
    if kind.__name__ in _MISSING_TYPE_NAMES:
        _refuse(path, repr(value), "a value that is missing has no form in JSON")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int | Decimal | Fraction):
        return _simpler_number(value, path)
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        # This includes a pandas Timestamp, which is a datetime with nanoseconds.
        return value.isoformat() if isinstance(value, datetime.datetime) else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _image_address(bytes(value), path)
    if kind.__name__ == "datetime64" or hasattr(value, "dtype") or callable(getattr(value, "tolist", None)):
        return _simpler_array(value, path)
    if isinstance(value, float):
        return float(value)
    return _simpler_object(value, path)


def _simpler_number(value: int | Decimal | Fraction, path: str) -> int | float:
    if isinstance(value, bool | int):
        return bool(value) if isinstance(value, bool) else int(value)
    if isinstance(value, Decimal) and not value.is_finite():
        _refuse(path, str(value), "JSON has no such number")
    return int(value) if value == int(value) else float(value)


def _simpler_array(value: Any, path: str) -> Any:
    """Convert numpy scalars and arrays, tensors and pandas columns to Python numbers or lists."""
    if type(value).__name__ == "datetime64":
        text = str(value)
        return _refuse(path, text, "a value that is missing has no form in JSON") if text == "NaT" else text
    if getattr(getattr(value, "dtype", None), "kind", None) == "M":
        return [to_json_value(element, path) for element in value]
    if callable(tolist := getattr(value, "tolist", None)):
        return tolist()
    return float(value) if isinstance(value, float) else _simpler_object(value, path)


def _simpler_object(value: Any, path: str) -> Any:
    """Return the fields of a struct, dataclass or pydantic model as a dict, the elements of an iterator as a list."""
    if isinstance(value, msgspec.Struct):
        fields = {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
        return {name: member for name, member in fields.items() if member is not msgspec.UNSET}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
        # A pydantic model. For a message of the openai client, this gives only what the provider sent.
        return dump(exclude_unset=True)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Iterator | KeysView | ValuesView | deque):
        return list(value)
    return _refuse(path, f"{value!r:.60} ({type(value).__name__})", "it has no form in JSON")


def _image_address(content: bytes, path: str) -> str:
    kind = next((kind for magic, kind in _IMAGE_SIGNATURES if content.startswith(magic)), None)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        kind = "webp"
    if kind is None:
        _refuse(path, f"{len(content):,} bytes", "bytes can only be an image (PNG, JPEG, GIF or WebP)")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _member_name(key: Any, path: str) -> str:
    if type(key) is str:
        return key
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, str | int | UUID):
        return str.__str__(key) if isinstance(key, str) else str(key)
    if callable(item := getattr(key, "item", None)):
        return _member_name(item(), path)
    return _refuse(path, f"an object with the key {key!r:.60}", "keys are texts")


def _member_path(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _refuse(path: str, value_text: str, reason: str) -> Any:
    subject = path[:200] or "The value"
    raise Invalid(
        f"{subject} is {value_text}, but {reason}.",
        code="invalid_value",
        param=path[:200] or None,
        hint="Leave the field out where there is no value.",
    )


def _without_half_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_without_half_surrogates(key): _without_half_surrogates(member) for key, member in value.items()}
    return [_without_half_surrogates(element) for element in value] if isinstance(value, list) else value
