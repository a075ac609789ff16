"""Batches come as NDJSON or as one JSON array: cut either into its lines while it arrives."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from afterword.errors import BadRequest, TooLarge

_STRUCTURE = re.compile(rb'["\[\]{},]')
_STRING_END = re.compile(rb'["\\]')


async def lines(chunks: AsyncIterator[bytes], *, array: bool | None, most_bytes: int) -> AsyncIterator[bytes]:
    """Yield the raw JSON of each line (blank ones too) or of each element.

    `array` None decides by the first character. Raises `TooLarge` beyond `most_bytes` in all, `BadRequest` for an array
    that is none.
    """
    taken = 0
    splitter: _Lines | _Elements | None = None
    async for chunk in chunks:
        taken += len(chunk)
        if taken > most_bytes:
            raise TooLarge(
                f"The batch has more than {most_bytes:,} bytes.",
                code="body_too_large",
                hint="Send it in several batches, or raise AFTERWORD_MAX_BODY.",
            )
        if splitter is None:
            start = chunk.lstrip(b" \t\r\n\xef\xbb\xbf")
            if not start and array is None:
                continue
            is_array = start.startswith(b"[") if array is None else array
            splitter = _Elements() if is_array else _Lines()
        for line in splitter.feed(chunk):
            yield line
    if splitter is not None:
        for line in splitter.end():
            yield line


class _Lines:
    """NDJSON."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        if b"\n" not in chunk:
            self._rest.append(chunk)
            return []
        first, *others = chunk.split(b"\n")
        self._rest.append(first)
        found = [b"".join(self._rest), *others[:-1]]
        self._rest = [others[-1]]
        return found

    def end(self) -> list[bytes]:
        last = b"".join(self._rest)
        return [last] if last.strip() else []


class _Elements:
    """The elements of a JSON array. Only strings and brackets are told apart; what an element is, its parser says."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._at = 0
        self._depth = 0
        self._in_string = False
        self._ended = False

    def feed(self, chunk: bytes) -> list[bytes]:
        self._held += chunk
        held, found = self._held, []
        start = 0
        while True:
            if self._in_string:
                hit = _STRING_END.search(held, self._at)
                if hit is None:
                    self._at = len(held)
                    break
                if held[hit.start()] == 0x5C:  # a backslash takes the next character with it
                    if hit.end() == len(held):
                        self._at = hit.start()
                        break
                    self._at = hit.end() + 1
                    continue
                self._in_string, self._at = False, hit.end()
                continue
            hit = _STRUCTURE.search(held, self._at)
            if hit is None:
                self._at = len(held)
                break
            self._at = hit.end()
            mark = held[hit.start() : hit.end()]
            if self._ended:
                raise _not_an_array()
            if mark == b'"':
                self._in_string = True
            elif mark in (b"[", b"{"):
                self._depth += 1
                if self._depth == 1:
                    if mark != b"[" or held[start : hit.start()].strip(b" \t\r\n\xef\xbb\xbf"):
                        raise _not_an_array()
                    start = hit.end()
            elif mark == b"," and self._depth == 1:
                found.append(bytes(held[start : hit.start()]))
                start = hit.end()
            elif mark != b",":
                self._depth -= 1
                if self._depth == 0:
                    if mark != b"]":
                        raise _not_an_array()
                    if held[start : hit.start()].strip():
                        found.append(bytes(held[start : hit.start()]))
                    start, self._ended = hit.end(), True
            if self._depth == 0 and not self._ended:
                raise _not_an_array()
        del held[:start]
        self._at -= start
        return found

    def end(self) -> list[bytes]:
        if not self._ended or self._held.strip():
            raise _not_an_array()
        return []


def _not_an_array() -> BadRequest:
    return BadRequest(
        "The body is not a complete JSON array.",
        code="malformed_json",
        hint="Send a JSON array of objects, or one object a line with Content-Type: application/x-ndjson.",
    )
