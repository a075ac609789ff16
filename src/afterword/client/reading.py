"""Files of lines: JSONL, packed or not, from a path or standard input; JSON arrays and objects over several lines, a
value a line."""

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

from afterword.client.file_kinds import HEAD_BYTES, is_damage, is_spread, refusal, unpacked
from afterword.errors import Invalid

MOST_BYTES = 64 << 20
"""The longest line, as the server takes no larger body."""
_CHUNK = 1 << 20
_SPACE = b" \t\r\n"


class UnreadableFile(Invalid):
    """A file that has no lines of JSON: what it is, and what to do."""


class Raw(NamedTuple):
    """A line as it stands in its file. `problem` says why it has no content that could be read."""

    file: str
    number: int
    content: bytes
    problem: str | None = None


@dataclass(slots=True)
class Source:
    """An open file. `size` is None where it cannot be known."""

    name: str
    stream: IO[bytes]
    outer: IO[bytes]
    size: int | None = None

    def position(self) -> int:
        """Return how many bytes of the file were read (of a packed one: as it is stored)."""
        return self.outer.tell() if self.size is not None else 0

    def lines(self) -> Iterator[Raw]:
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
            elif start.startswith(b"{") and is_spread(start):
                yield from self._values(start, "")
            else:
                yield from self._lines(head)
        except Exception as error:
            if not is_damage(error):
                raise
            raise UnreadableFile(
                f"{self.name} is damaged: {error}. The lines before that were read.", code="damaged_file"
            ) from None

    def _lines(self, start: bytes) -> Iterator[Raw]:
        read = self.stream.readline
        head = start if start.endswith(b"\n") else start + read(MOST_BYTES)
        lines = chain(re.findall(rb"[^\n]*\n|[^\n]+", head), iter(lambda: read(MOST_BYTES), b""))
        for number, line in enumerate(lines, 1):
            if len(line) >= MOST_BYTES and not line.endswith(b"\n"):
                while (more := read(_CHUNK)) and not more.endswith(b"\n"):
                    pass
                yield Raw(self.name, number, b"", f"is longer than {MOST_BYTES:,} bytes")
            elif not line.isspace():
                # Whoever cut an array into its lines has left the commas.
                bare = line.rstrip().removesuffix(b",")
                yield Raw(self.name, number, bare if line.lstrip().startswith(b"{") else line)

    def _values(self, start: bytes, closing: str) -> Iterator[Raw]:
        """Yield values that follow one another, up to a closing bracket or to the end. Bytes that are not UTF-8 are
        handed on: only the value that has them is bad."""
        text = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        parse = json.JSONDecoder().raw_decode
        number, at, wanted, ended = 0, 0, _CHUNK, False
        held = text.decode(start)
        while True:
            while at < len(held) and held[at] in " \t\r\n,":
                at += 1
            if closing and held[at : at + 1] == closing:
                return
            if ended and not closing and at >= len(held):
                return
            try:
                _, end = parse(held, at)
            except RecursionError:
                yield Raw(self.name, number + 1, b"", "is nested too deeply; what follows it is not read")
                return
            except json.JSONDecodeError as error:
                if ended or len(held) - at > MOST_BYTES:
                    yield Raw(self.name, number + 1, b"", f"is not JSON, nor what follows it: {error.msg}")
                    return
                held, at = held[at:], 0
                more = self.stream.read(wanted)
                ended = not more
                held += text.decode(more, final=ended)
                # A value longer than what is held is parsed again from its start: read twice as much each time.
                wanted = max(_CHUNK, len(held))
                continue
            number += 1
            yield Raw(self.name, number, held[at:end].encode("utf-8", "surrogateescape"))
            at = end


def open_source(name: str) -> Source:
    """Open a file, or standard input for `-`; what is packed is seen by its first bytes. Raises `UnreadableFile`."""
    if name == "-":
        return _source(sys.stdin.buffer, "standard input", None)
    try:
        outer = Path(name).open("rb")  # noqa: SIM115  (who reads it closes it)
    except OSError as error:
        raise UnreadableFile(f"{name} cannot be read: {error.strerror}.", code="unreadable_file") from None
    return _source(outer, name, os.fstat(outer.fileno()).st_size if outer.seekable() else None)


def source_of(stream: IO[bytes]) -> Source:
    """Return an open file as a source of lines. Raises `UnreadableFile`."""
    name: Any = getattr(stream, "name", None)
    return _source(stream, name if isinstance(name, str) else "the file", None)


def _source(outer: IO[bytes], name: str, size: int | None) -> Source:
    try:
        return Source(name, unpacked(outer), outer, size)
    except ImportError:
        raise UnreadableFile(
            f"{name} is packed by zstd, which needs the package zstandard (pip install zstandard). "
            f"Or unpack it: zstd -dc FILE | afterword import -",
            code="unreadable_file",
        ) from None
