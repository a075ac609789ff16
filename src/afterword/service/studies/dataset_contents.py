"""The contents of a dataset's file: lines that are read, counted and hashed, and written in parts."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from hashlib import sha256

import msgspec

from afterword.errors import Invalid, TooLarge
from afterword.json_text import LineError
from afterword.service.context import Context
from afterword.service.studies.dataset_lines import KINDS, DatasetLine, read_line, side_of
from afterword.store import datasets as stored
from afterword.types import DatasetKind, SplitName

# Lines are written in parts of about this size.
PART_BYTES = 1 << 20
# A line is held in memory as a whole; images make it long.
MAX_LINE_BYTES = 64 << 20


class DatasetContents:
    """Splits a file into lines, reads each, and writes the file in parts."""

    def __init__(self, context: Context, dataset: int) -> None:
        self._context = context
        self._dataset = dataset
        self._unread_bytes = bytearray()
        self._part = bytearray()
        self._part_count = 0
        self._line_number = 0
        self._hash = sha256()
        self.lines = 0
        self.size = 0
        self.kinds: set[DatasetKind] = set()
        self.split_lines: Counter[SplitName] = Counter()
        self.values: dict[str, int] = defaultdict(int)
        self.preferences: dict[str, int] = defaultdict(int)
        self.is_bool: dict[str, bool] = {}
        """Whether all values under a key are true or false; if so, an unknown key is registered as bool."""
        self.is_number: dict[str, bool] = {}
        """Whether a value under a key is neither true, false, 1 nor 0."""

    async def add(self, chunk: bytes) -> None:
        """Take more bytes."""
        self.size += len(chunk)
        if self.size > self._context.settings.max_dataset:
            raise TooLarge(
                f"The file has more than {self._context.settings.max_dataset:,} bytes.",
                code="dataset_too_large",
                hint="Split it, or raise AFTERWORD_MAX_DATASET.",
            )
        self._part += chunk
        self._unread_bytes += chunk
        *lines, remaining_bytes = self._unread_bytes.split(b"\n")
        self._unread_bytes = remaining_bytes
        for line in lines:
            self._read_line(bytes(line))
        if len(self._unread_bytes) > MAX_LINE_BYTES:
            raise self._line_error(f"it has more than {MAX_LINE_BYTES >> 20} MiB", self._line_number + 1)
        if len(self._part) >= PART_BYTES:
            await self._write()
            # Let other tasks run between two parts.
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Read the last line, which may lack a line break."""
        self._read_line(bytes(self._unread_bytes))
        if self._part:
            await self._write()
        if not self.lines:
            raise Invalid("The file has no lines.", code="empty_dataset", hint="Send a JSON object a line.")

    def content_hash(self) -> str:
        """Return the SHA-256 of the lines in their normal shape, which a download as `recipe` gives."""
        return self._hash.hexdigest()

    def kind(self) -> DatasetKind:
        """Return the richest kind that all lines satisfy. Raises `Invalid` if only some are preferences."""
        if "preference" in self.kinds and len(self.kinds) > 1:
            raise Invalid(
                "Some lines are preferences and others are not.",
                code="mixed_dataset",
                hint="Make a dataset of the preferences, and another of the other lines.",
            )
        return min(self.kinds, key=KINDS.index)

    def _read_line(self, raw: bytes) -> None:
        self._line_number += 1
        if not raw.strip():
            return
        try:
            line = read_line(raw)
        except LineError as error:
            raise self._line_error(str(error), self._line_number) from None
        self.lines += 1
        self._hash.update(msgspec.json.encode(line.normalized_line) + b"\n")
        self.kinds.add(line.kind)
        self._count(line)

    def _count(self, line: DatasetLine) -> None:
        if (side := side_of(line)) is not None:
            self.split_lines[side] += 1
        for key, value in line.values.items():
            self.values[key] += 1
            self.is_bool[key] = self.is_bool.get(key, True) and isinstance(value, bool)
            self.is_number[key] = self.is_number.get(key, False) or value not in (0, 1)
        if line.preference is not None:
            self.preferences[line.preference] += 1
            self.is_bool.setdefault(line.preference, False)

    def _line_error(self, reason: str, number: int) -> Invalid:
        return Invalid(
            f"Line {number} cannot be read: {reason}.",
            code="invalid_line",
            param=f"line {number}",
            hint="Mend the line and send the file again; nothing of it was kept.",
        )

    async def _write(self) -> None:
        number, content, self._part = self._part_count, bytes(self._part), bytearray()
        self._part_count += 1
        await self._context.store.write(
            lambda transaction: stored.add_part(transaction, self._dataset, number, self.lines, content), len(content)
        )
