"""JSON as it comes in files and bodies: half surrogates are mended, and what is no JSON is refused with its place."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec


class LineError(ValueError):
    """A line that cannot be imported, and why."""


MAX_DEPTH = 200
"""How many levels of arrays and objects JSON may have here: at five times as many Python's own bound is met, wherever
in the server that happens to be."""
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.S)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}()"))

# An escape of JSON: a whole surrogate pair, half of one, or any other.
_ESCAPE = re.compile(
    rb"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.S
)


def read_line(raw: bytes) -> Any:
    """Read a line of JSON. Raises `LineError` that names what is wrong, and where.

    Half of a surrogate pair, which JavaScript leaves where it cuts an emoji in two, becomes U+FFFD.
    """
    try:
        if is_nested_too_deeply(raw):
            raise RecursionError
        return msgspec.json.decode(raw)
    except RecursionError:
        raise LineError(f"is nested too deeply: at most {MAX_DEPTH} levels can be read") from None
    except (msgspec.MsgspecError, ValueError) as error:
        first = error
    mended = mend_surrogates(raw)
    if mended != raw:
        try:
            return msgspec.json.decode(mended)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raw = mended
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise LineError(
            f"is not UTF-8: byte {error.start + 1} is 0x{raw[error.start]:02x}. Save the file as UTF-8, such as by "
            "iconv -f LATIN1 -t UTF-8"
        ) from None
    if place := place_of_no_number(raw):
        raise LineError(f"has {place}, but JSON has no such number. Leave the member out, or give null") from None
    raise LineError(f"is not JSON: {first}")


def is_nested_too_deeply(raw: bytes | bytearray) -> bool:
    """Tell whether JSON, or a document of GraphQL, has more than MAX_DEPTH levels of brackets."""
    # What has no more brackets than that is not looked at any closer: nearly all bodies.
    if raw.count(b"[") + raw.count(b"{") + raw.count(b"(") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _STRING.sub(b"", raw).translate(None, delete=_NO_BRACKETS):
        depth += 1 if bracket in b"[{(" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def mend_surrogates(raw: bytes) -> bytes:
    """Return JSON with U+FFFD in place of each half of a surrogate pair."""
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found[2] else found[0], raw)


def place_of_no_number(raw: bytes) -> str | None:
    """Return where NaN or an infinity stands in a text that is JSON but for it, such as `NaN at usage.cost`; None
    where it is none for other reasons."""
    try:
        return _place_in(json.loads(raw), "")
    except (ValueError, RecursionError):
        return None


def _place_in(value: Any, place: str) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return f"{name} at {place}" if place else name
    if isinstance(value, dict):
        inner = [(f"{place}.{key}" if place else str(key), one) for key, one in value.items()]
    elif isinstance(value, list):
        inner = [(f"{place}[{index}]", one) for index, one in enumerate(value)]
    else:
        return None
    return next((found for where, one in inner if (found := _place_in(one, where))), None)
