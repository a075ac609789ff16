"""Files of lines: JSONL, gzipped or not, from a path or standard input; JSON arrays, an element a line."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple, cast

from afterword.cli.connecting import CommandError

MOST_BYTES = 64 << 20
"""The longest line, as the server takes no larger body."""
_CHUNK = 1 << 20
_SPACE = b" \t\r\n"


class LineError(ValueError):
    """A line that cannot be imported, and why."""


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
    size: int | None

    def position(self) -> int:
        """Return how many bytes of the file were read (of a gzipped one: as it is stored)."""
        return self.outer.tell() if self.size is not None else 0

    def lines(self) -> Iterator[Raw]:
        """Yield the lines that are not blank, or the elements of an array. Raises `CommandError`."""
        try:
            start = self.stream.read(3)
            if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                raise CommandError(f"{self.name} is UTF-16. Save it as UTF-8.")
            rest = b"" if start == codecs.BOM_UTF8 else start
            while rest.strip(_SPACE) == b"" and (more := self.stream.read(1)):
                rest += more
            if rest.lstrip(_SPACE).startswith(b"["):
                yield from self._elements(rest)
            else:
                yield from self._lines(rest)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise CommandError(f"{self.name} is damaged: {error}. The lines before that were read.") from None

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
                yield Raw(self.name, number, line)

    def _elements(self, start: bytes) -> Iterator[Raw]:
        text = codecs.getincrementaldecoder("utf-8")()
        parse = json.JSONDecoder().raw_decode
        number, at, wanted, ended = 0, 0, _CHUNK, False
        try:
            held = text.decode(start).lstrip()[1:]
            while True:
                while at < len(held) and held[at] in " \t\r\n,":
                    at += 1
                if held[at : at + 1] == "]":
                    return
                try:
                    _, end = parse(held, at)
                except json.JSONDecodeError as error:
                    if ended or len(held) - at > MOST_BYTES:
                        yield Raw(self.name, number + 1, b"", f"is not JSON, nor what follows it: {error.msg}")
                        return
                    held, at = held[at:], 0
                    more = self.stream.read(wanted)
                    ended = not more
                    held += text.decode(more, final=ended)
                    # An element longer than what is held is parsed again from its start: read twice as much each time.
                    wanted = max(_CHUNK, len(held))
                    continue
                number += 1
                yield Raw(self.name, number, held[at:end].encode("utf-8", "surrogatepass"))
                at = end
        except UnicodeDecodeError as error:
            raise CommandError(f"{self.name} is not UTF-8 ({error.reason}). Save it as UTF-8.") from None


def open_source(name: str) -> Source:
    """Open a file, or standard input for `-`; what is gzipped is seen by its first bytes. Raises `CommandError`."""
    if name == "-":
        outer, size, shown = sys.stdin.buffer, None, "standard input"
    else:
        shown = name
        try:
            outer = Path(name).open("rb")  # noqa: SIM115  (who reads it closes it)
        except OSError as error:
            raise CommandError(f"{name} cannot be read: {error.strerror}.") from None
        size = os.fstat(outer.fileno()).st_size if outer.seekable() else None
    peek = getattr(outer, "peek", None)
    stream = outer
    if peek and peek(2)[:2] == b"\x1f\x8b":
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=outer))
    return Source(shown, stream, outer, size)
