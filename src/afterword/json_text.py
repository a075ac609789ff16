"""Lenient JSON: with unpaired surrogates, NaN and Infinity, which strict decoders refuse.

The encoders of Python and JavaScript produce such JSON, and most providers accept it. It is passed on unchanged. Stored
values are repaired, because no database stores unpaired surrogates and standard JSON has no such numbers.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

import msgspec


class LineError(ValueError):
    """A line of a file is invalid. The message completes a sentence about the line, such as `has no messages`."""


MAX_DEPTH = 200
"""The most levels of objects and arrays from a caller or provider. Beyond five times as many, Python's recursion limit
would stop the server at any place in the code."""
MAX_REPLACEMENT_ROWS = 20
"""Replaced values that are listed one by one; the others are counted."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.S)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}()"))
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class NotANumber(float):
    """NaN, Infinity, or a number too large for a double. msgspec refuses to encode it, so that each is noticed."""

    def __str__(self) -> str:
        return "NaN" if math.isnan(self) else "Infinity" if self > 0 else "-Infinity"


class Replacement(NamedTuple):
    """A value that was replaced: its path, what it was, and what is stored instead."""

    at: str
    was: str
    kept: str


def decode(raw: bytes | bytearray | memoryview, *, lenient_encoding: bool = False) -> Any:
    """Decode JSON that may have unpaired surrogates, NaN and Infinity. Raises `ValueError`.

    With `lenient_encoding`, bytes that are not UTF-8 become U+FFFD, and texts may have control characters.
    """
    try:
        return _decoder.decode(raw)
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        text = bytes(raw).decode("utf-8-sig", "surrogatepass")
    except UnicodeDecodeError:
        if not lenient_encoding:
            raise
        text = bytes(raw).decode("utf-8-sig", "replace")
    try:
        return json.loads(text, parse_constant=NotANumber, parse_float=_parse_float, strict=not lenient_encoding)
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None


def read_line(raw: bytes) -> Any:
    """Decode a line of JSON. Raises `LineError`, which says what is wrong and where.

    An unpaired surrogate, which JavaScript leaves when it cuts an emoji in two, becomes U+FFFD.
    """
    try:
        if is_nested_too_deeply(raw):
            raise RecursionError
        return _decoder.decode(raw)
    except RecursionError:
        raise LineError(f"is nested too deeply: at most {MAX_DEPTH} levels can be read") from None
    except (msgspec.MsgspecError, ValueError) as error:
        first_error = error
    try:
        value, replacements = repair(decode(raw))
    except UnicodeDecodeError as error:
        raise LineError(
            f"is not UTF-8: byte {error.start + 1} is 0x{raw[error.start]:02x}. Save the file as UTF-8, such as by "
            "iconv -f LATIN1 -t UTF-8"
        ) from None
    except ValueError:
        raise LineError(f"is not JSON: {first_error}") from None
    if number_replacement := find_not_a_number(replacements):
        location = f" at {number_replacement.at}" if number_replacement.at else ""
        raise LineError(
            f"has {number_replacement.was}{location}, but JSON has no such number. Leave the member out, or give null"
        )
    return value


def find_not_a_number(replacements: list[Replacement]) -> Replacement | None:
    """Return the first replacement of a number; None if only texts were repaired."""
    return next((replacement for replacement in replacements if replacement.kept == "null"), None)


def is_nested_too_deeply(raw: bytes | bytearray) -> bool:
    """Tell whether JSON, or a document of GraphQL, has more than MAX_DEPTH levels of brackets."""
    # Nearly all bodies have no more brackets than that in total, and need no closer look.
    if raw.count(b"[") + raw.count(b"{") + raw.count(b"(") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", raw).translate(None, delete=_NO_BRACKETS):
        depth += 1 if bracket in b"[{(" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def encode(value: Any) -> bytes:
    """Encode JSON unchanged, with unpaired surrogates as escapes."""
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, TypeError):
        return json.dumps(value, separators=(",", ":")).encode()


def encode_for_caller(value: Any) -> bytes:
    """Encode JSON that every client can read: NaN and Infinity become null, unpaired surrogates become escapes."""
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, TypeError):
        return json.dumps(_without_not_a_number(value), separators=(",", ":"), default=str).encode()


def repair(value: Any, path: str = "") -> tuple[Any, list[Replacement]]:
    """Return a value that can be stored, and the replacements in it.

    Unpaired surrogates become U+FFFD; NaN and Infinity become null.
    """
    try:
        _encoder.encode(value)
    except (UnicodeEncodeError, TypeError):
        replacements: list[Replacement] = []
        return _repaired(value, path, replacements), replacements
    return value, []


def as_rows(replacements: list[Replacement]) -> list[dict[str, str]]:
    """Return replacements as they are stored: the first MAX_REPLACEMENT_ROWS, and the number of the others."""
    rows = [replacement._asdict() for replacement in replacements[:MAX_REPLACEMENT_ROWS]]
    if len(replacements) > MAX_REPLACEMENT_ROWS:
        rows.append({"at": "…", "was": f"{len(replacements) - MAX_REPLACEMENT_ROWS:,} more", "kept": ""})
    return rows


def whole_text(text: str) -> str:
    """Return a text with adjacent halves of a surrogate pair as one character, and unpaired surrogates as U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def storable_text(text: str) -> str:
    """Return a text that every database stores in a text column: without unpaired surrogates and without NUL."""
    return whole_text(text).replace("\0", "\ufffd")


def _parse_float(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else NotANumber(number)


def _without_not_a_number(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_not_a_number(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_not_a_number(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _repaired(value: Any, path: str, replacements: list[Replacement]) -> Any:
    if isinstance(value, str):
        repaired_text = whole_text(value)
        if (number := repaired_text.count("\ufffd") - value.count("\ufffd")) > 0:
            defect = "half a surrogate pair" if number == 1 else f"{number} halves of surrogate pairs"
            replacements.append(Replacement(path, defect, "U+FFFD"))
        return repaired_text
    if isinstance(value, dict):
        return {
            _repaired(key, path, replacements): _repaired(
                inner, f"{path}.{whole_text(key):.80}".lstrip("."), replacements
            )
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_repaired(inner, f"{path}[{index}]", replacements) for index, inner in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        replacements.append(Replacement(path, str(NotANumber(value)), "null"))
        return None
    return value
