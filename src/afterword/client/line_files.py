"""Reads JSONL, compressed or not, from a path or standard input. JSON arrays, and objects that span several lines, are
split into one value a line."""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from afterword.client.file_kinds import HEAD_BYTES, has_multiline_values, is_damage, refusal, unpacked_stream
from afterword.errors import Invalid

MAX_LINE_BYTES = 64 << 20
"""The longest line in bytes: the server's largest body."""
_CHUNK_BYTES = 1 << 20
_SPACE = b" \t\r\n"


class UnreadableFile(Invalid):
    """The file has no lines of JSON. The message says what it is and what to do."""


class RawLine(NamedTuple):
    """A line of a file, unparsed. `problem` says why its content cannot be read."""

    file: str
    number: int
    content: bytes
    problem: str | None = None


@dataclass(slots=True)
class LineSource:
    """An open file. `size` is None if it is unknown."""

    name: str
    stream: IO[bytes]
    outer: IO[bytes]
    size: int | None = None

    def position(self) -> int:
        """Return how many bytes of the file were read; for a compressed file, of its compressed bytes."""
        return self.outer.tell() if self.size is not None else 0

    def lines(self) -> Iterator[RawLine]:
        """Yield the lines that are not blank, or the values of an array. Raises `UnreadableFile`."""
        try:
            head = self.stream.read(HEAD_BYTES)
            if reason := refusal(head.removeprefix(codecs.BOM_UTF8)):
                command = reason.replace("FILE", self.name if self.outer is not sys.stdin.buffer else "FILE")
                raise UnreadableFile(f"{self.name} {command}", code="unreadable_file")
            head = head.removeprefix(codecs.BOM_UTF8)
            start = head.lstrip(_SPACE)
            if start.startswith(b"["):
                yield from self._values(start[1:], "]")
            elif start.startswith(b"{") and has_multiline_values(start):
                yield from self._values(start, "")
            else:
                yield from self._lines(head)
        except Exception as error:
            if not is_damage(error):
                raise
            raise UnreadableFile(
                f"{self.name} is damaged: {error}. The lines before that were read.", code="damaged_file"
            ) from None

    def _lines(self, start: bytes) -> Iterator[RawLine]:
        read = self.stream.readline
        head = start if start.endswith(b"\n") else start + read(MAX_LINE_BYTES)
        lines = chain(re.findall(rb"[^\n]*\n|[^\n]+", head), iter(lambda: read(MAX_LINE_BYTES), b""))
        for number, line in enumerate(lines, 1):
            if len(line) >= MAX_LINE_BYTES and not line.endswith(b"\n"):
                while (chunk := read(_CHUNK_BYTES)) and not chunk.endswith(b"\n"):
                    pass
                yield RawLine(self.name, number, b"", f"is longer than {MAX_LINE_BYTES:,} bytes")
            elif not line.isspace():
                # An array that was cut into lines still has its commas.
                value_bytes = line.rstrip().removesuffix(b",")
                yield RawLine(self.name, number, value_bytes if line.lstrip().startswith(b"{") else line)

    def _values(self, start: bytes, closing: str) -> Iterator[RawLine]:
        """Yield consecutive values, up to a closing bracket or the end of the file. Bytes that are not UTF-8 are passed
        on, so that only the value with them is bad."""
        text = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        parse = json.JSONDecoder().raw_decode
        number, position, read_size, is_at_end = 0, 0, _CHUNK_BYTES, False
        buffer = text.decode(start)
        while True:
            while position < len(buffer) and buffer[position] in " \t\r\n,":
                position += 1
            if closing and buffer[position : position + 1] == closing:
                return
            if is_at_end and not closing and position >= len(buffer):
                return
            try:
                _, end = parse(buffer, position)
            except RecursionError:
                yield RawLine(self.name, number + 1, b"", "is nested too deeply; what follows it is not read")
                return
            except json.JSONDecodeError as error:
                if is_at_end or len(buffer) - position > MAX_LINE_BYTES:
                    yield RawLine(self.name, number + 1, b"", f"is not JSON, nor what follows it: {error.msg}")
                    return
                buffer, position = buffer[position:], 0
                chunk = self.stream.read(read_size)
                is_at_end = not chunk
                buffer += text.decode(chunk, final=is_at_end)
                # An incomplete value is parsed again from its start, so each read doubles the buffer.
                read_size = max(_CHUNK_BYTES, len(buffer))
                continue
            number += 1
            yield RawLine(self.name, number, buffer[position:end].encode("utf-8", "surrogateescape"))
            position = end


def open_source(name: str) -> LineSource:
    """Open a file, or standard input for `-`. Its first bytes tell its compression. Raises `UnreadableFile`."""
    if name == "-":
        return _source(sys.stdin.buffer, "standard input", None)
    try:
        outer = Path(name).open("rb")  # noqa: SIM115  (who reads it closes it)
    except OSError as error:
        raise UnreadableFile(f"{name} cannot be read: {error.strerror}.", code="unreadable_file") from None
    return _source(outer, name, os.fstat(outer.fileno()).st_size if outer.seekable() else None)


def source_of(stream: IO[bytes]) -> LineSource:
    """Return an open file as a source of lines. Raises `UnreadableFile`."""
    name: Any = getattr(stream, "name", None)
    return _source(stream, name if isinstance(name, str) else "the file", None)


def _source(outer: IO[bytes], name: str, size: int | None) -> LineSource:
    try:
        return LineSource(name, unpacked_stream(outer), outer, size)
    except ImportError:
        raise UnreadableFile(
            f"{name} is packed by zstd, which needs the package zstandard (pip install zstandard). "
            f"Or unpack it: zstd -dc FILE | afterword import -",
            code="unreadable_file",
        ) from None
