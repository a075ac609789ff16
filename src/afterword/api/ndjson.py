"""Splits a batch, NDJSON or one JSON array, into its lines while it arrives."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from afterword.errors import BadRequest, TooLarge

_STRUCTURE = re.compile(rb'["\[\]{},]')
_STRING_END = re.compile(rb'["\\]')


async def lines(chunks: AsyncIterator[bytes], *, array: bool | None, most_bytes: int) -> AsyncIterator[bytes]:
    """Yield the raw JSON of each line (blank ones too) or of each element.

    With `array` None the first character decides. Raises `TooLarge` beyond `most_bytes` in total, `BadRequest` for a
    malformed array.
    """
    total_bytes = 0
    splitter: _Lines | _Elements | None = None
    async for chunk in chunks:
        total_bytes += len(chunk)
        if total_bytes > most_bytes:
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
    """Splits NDJSON."""

    def __init__(self) -> None:
        self._unfinished_chunks: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        if b"\n" not in chunk:
            self._unfinished_chunks.append(chunk)
            return []
        line_end, *further_lines = chunk.split(b"\n")
        self._unfinished_chunks.append(line_end)
        finished_lines = [b"".join(self._unfinished_chunks), *further_lines[:-1]]
        self._unfinished_chunks = [further_lines[-1]]
        return finished_lines

    def end(self) -> list[bytes]:
        last_line = b"".join(self._unfinished_chunks)
        return [last_line] if last_line.strip() else []


class _Elements:
    """Splits a JSON array. It recognises only strings, brackets and commas; the caller parses the elements."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = 0
        self._depth = 0
        self._in_string = False
        self._is_ended = False

    def feed(self, chunk: bytes) -> list[bytes]:
        self._buffer += chunk
        buffer, elements = self._buffer, []
        start = 0
        while True:
            if self._in_string and not self._pass_string():
                break
            token_match = _STRUCTURE.search(buffer, self._position)
            if token_match is None:
                self._position = len(buffer)
                break
            self._position = token_match.end()
            mark = buffer[token_match.start() : token_match.end()]
            if self._is_ended:
                raise _not_an_array()
            if mark == b'"':
                self._in_string = True
            elif mark in (b"[", b"{"):
                self._depth += 1
                if self._depth == 1:
                    if mark != b"[" or buffer[start : token_match.start()].strip(b" \t\r\n\xef\xbb\xbf"):
                        raise _not_an_array()
                    start = token_match.end()
            elif mark == b"," and self._depth == 1:
                elements.append(bytes(buffer[start : token_match.start()]))
                start = token_match.end()
            elif mark != b",":
                self._depth -= 1
                if self._depth == 0:
                    if mark != b"]":
                        raise _not_an_array()
                    if buffer[start : token_match.start()].strip():
                        elements.append(bytes(buffer[start : token_match.start()]))
                    start, self._is_ended = token_match.end(), True
            if self._depth == 0 and not self._is_ended:
                raise _not_an_array()
        del buffer[:start]
        self._position -= start
        return elements

    def _pass_string(self) -> bool:
        """Move past the end of the current string; return False if the end has not arrived yet."""
        buffer = self._buffer
        while (token_match := _STRING_END.search(buffer, self._position)) is not None:
            if buffer[token_match.start()] != 0x5C:
                self._in_string, self._position = False, token_match.end()
                return True
            # A backslash escapes the next character.
            if token_match.end() == len(buffer):
                self._position = token_match.start()
                return False
            self._position = token_match.end() + 1
        self._position = len(buffer)
        return False

    def end(self) -> list[bytes]:
        if not self._is_ended or self._buffer.strip():
            raise _not_an_array()
        return []


def _not_an_array() -> BadRequest:
    return BadRequest(
        "The body is not a complete JSON array.",
        code="malformed_json",
        hint="Send a JSON array of objects, or one object a line with Content-Type: application/x-ndjson.",
    )
