"""Cursors: opaque text that encodes where a page ended."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from afterword.errors import Invalid

C = TypeVar("C", bound=msgspec.Struct)


def write_cursor(cursor: msgspec.Struct) -> str:
    """Return a cursor as text for a query string."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def read_cursor(text: str, kind: type[C]) -> C:
    """Read a cursor of this kind. Raises `Invalid`."""
    try:
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise invalid_cursor(text) from None


def invalid_cursor(text: str) -> Invalid:
    """Return the error for a cursor that does not fit the list."""
    return Invalid(
        f"cursor is {text[:60]!r}, which is not a cursor of this list.",
        code="invalid_cursor",
        param="cursor",
        hint="Give `next` or `previous` of a page of the same list, with the same order.",
    )
