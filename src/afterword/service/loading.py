"""Filling a dataset: bytes in as they come, compressed parts out, and at the end one commit that makes it a dataset."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec

from afterword.errors import AfterwordError, Invalid, TooLarge, Unavailable
from afterword.ids import uuid7
from afterword.service.context import Context
from afterword.service.lines import kinds_of, read_line
from afterword.service.metrics import SYSTEM
from afterword.service.values import check_key, check_text, feedback_value
from afterword.store import datasets as stored
from afterword.store.catalog import MetricRow, ProjectRow, add_metric
from afterword.store.engine import Store, Transaction, Unit
from afterword.types import DatasetKind, DatasetLine, DatasetSource

# Lines are compressed together until they are so many bytes.
PART = 512 << 10
PATIENCE = 30.0
# The kinds from what says most of a line to what says least.
_KINDS: tuple[DatasetKind, ...] = ("preference", "feedback", "completion", "prompt")


async def load(
    context: Context,
    project: ProjectRow,
    chunks: AsyncIterator[bytes],
    *,
    key: str | None,
    name: str | None,
    source: DatasetSource,
) -> Any:
    """Make a dataset of the bytes of a file; return its row. Nothing of it is kept where a line cannot be read.

    Raises `Invalid` naming the line, `Conflict` where the key is taken, `TooLarge`.
    """
    key, name = names(key, name)
    values = {"id": uuid7(), "project": project.number, "key": key, "name": name, "kind": "prompt"}
    values |= {"source": source, "created_at": context.now()}
    number = await context.store.write(lambda transaction: stored.begin(transaction, **values))
    loading = _Loading(context, project, number)
    try:
        async for chunk in chunks:
            await loading.take(chunk)
        await loading.end()
    except BaseException:
        await _drop(context.store, number)
        raise
    return await context.store.read(stored.find, id=values["id"])


def names(key: str | None, name: str | None) -> tuple[str, str]:
    """Return key and name of a dataset: each follows from the other. Raises `Invalid`."""
    if not key:
        key = re.sub(r"[^\w.-]+", "-", name or "").strip("-.")[:200]
    if not key:
        raise Invalid(
            "The dataset has neither key nor name.",
            code="missing_field",
            param="key",
            hint="Give a key such as support-2026-11: calls name the dataset by it.",
        )
    return check_key(key), check_text(name or key, param="name", most=1000, least=1)


async def patiently(context: Context, unit: Unit, size: int) -> None:
    """Commit a unit; where the queue is full, wait for room: a long upload shall not break off over that."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            await context.store.write(unit, size)
            return
        except Unavailable as error:
            if error.code != "overloaded" or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)


async def clear_what_was_left(store: Store, now: int) -> None:
    """Delete the datasets that a crash kept from being filled, and what is left of deleted ones and old uploads."""
    pending, deleted = await store.read(stored.left_behind)
    for number in deleted:
        await empty(store, number)
    for number in pending:
        await _drop(store, number)
    for upload in await store.read(stored.abandoned, now - A_DAY):
        await end_upload(store, upload)


A_DAY = 24 * 60 * 60 * 1000


async def empty(store: Store, number: int) -> None:
    """Delete the parts of a dataset, some at a time."""
    while await store.write(lambda transaction: stored.remove_parts(transaction, number)):
        pass


async def end_upload(store: Store, number: int) -> None:
    """Delete an upload with its parts, one at a time."""
    while not await store.write(lambda transaction: stored.remove_upload(transaction, number)):
        pass


async def _drop(store: Store, number: int) -> None:
    # What cannot be deleted now, over a full disk perhaps, is at the next start.
    with suppress(Unavailable):
        await empty(store, number)
        await store.write(lambda transaction: stored.drop(transaction, number))


class _Usage(msgspec.Struct):
    """What the lines hold under a feedback key."""

    values: int = 0
    preferences: int = 0
    is_bool: bool = True


class _Loading:
    """A dataset while it is filled. Lines are read in a thread, so that other calls go on."""

    def __init__(self, context: Context, project: ProjectRow, number: int) -> None:
        self.context = context
        self.project = project
        self.number = number
        self.size = 0
        self.lines = 0
        self._parts = 0
        self._at = 0
        self._kinds: frozenset[DatasetKind] = frozenset(_KINDS)
        self._usage: dict[str, _Usage] = {}
        self._held = bytearray()
        self._whole = 0

    async def take(self, chunk: bytes) -> None:
        """Take the next bytes of the file."""
        settings = self.context.settings
        self.size += len(chunk)
        if self.size > settings.max_dataset:
            raise TooLarge(
                f"The dataset has more than {settings.max_dataset:,} bytes.",
                code="dataset_too_large",
                hint="Split it, or raise AFTERWORD_MAX_DATASET.",
            )
        end = chunk.rfind(b"\n")
        if end >= 0:
            self._whole = len(self._held) + end + 1
        self._held += chunk
        if len(self._held) - self._whole > settings.max_body:
            raise TooLarge(
                f"A line after line {self._at:,} has more than {settings.max_body:,} bytes.",
                code="line_too_large",
                hint="Is it JSONL, one object a line? If so, raise AFTERWORD_MAX_BODY.",
            )
        if self._whole >= PART:
            whole = bytes(memoryview(self._held)[: self._whole])
            del self._held[: self._whole]
            self._whole = 0
            await self._put(whole)

    async def end(self) -> None:
        """Take the rest, which may lack a newline, and make the dataset ready."""
        if self._held:
            await self._put(bytes(self._held))
        if not self.lines:
            raise Invalid(
                "The dataset has no lines.",
                code="empty_dataset",
                hint="Send JSONL, one JSON object a line; or choose interactions that are there and have what the kind "
                "needs.",
            )
        known, new = self._metrics()
        kind = next(kind for kind in _KINDS if kind in self._kinds)

        def finish(transaction: Transaction) -> list[MetricRow]:
            registered = [add_metric(transaction, row) for row in new]
            numbers = known | {row.key: row.number for row in registered}
            counts = {str(numbers[key]): [one.values, one.preferences] for key, one in self._usage.items()}
            metrics = msgspec.json.encode(counts).decode()
            stored.finish(transaction, self.number, kind=kind, lines=self.lines, size=self.size, metrics=metrics)
            return registered

        for row in await self.context.store.write(finish):
            self.context.catalog.keep(row)

    def _metrics(self) -> tuple[dict[str, int], list[MetricRow]]:
        """Return the numbers of the feedback keys that are registered, and those to be."""
        known: dict[str, int] = {}
        new: list[MetricRow] = []
        for key, usage in self._usage.items():
            row = self.context.catalog.find_metric(self.project.number, key)
            if row is not None:
                known[key] = row.number
                continue
            new.append(
                MetricRow(
                    number=0,
                    id=uuid7(),
                    project=self.project.number,
                    key=key,
                    name=key,
                    kind="bool" if usage.values and usage.is_bool else "scalar",
                    scoring_type="higher_is_better",
                    description="",
                    unit="",
                    created_at=self.context.now(),
                    deleted_at=None,
                )
            )
        return known, new

    # ------------------------------------------------------------------------------------ lines

    async def _put(self, raw: bytes) -> None:
        lines, content = await asyncio.to_thread(self._read, raw)
        row = (self.number, self._parts, lines, content)
        self._parts += 1
        await patiently(self.context, [(stored.INSERT_PART, [row])], len(content))

    def _read(self, raw: bytes) -> tuple[int, bytes]:
        before = self.lines
        for text in raw.removesuffix(b"\n").split(b"\n"):
            self._at += 1
            if not text.strip():
                continue
            try:
                self._count(read_line(text))
            except AfterwordError as error:
                raise Invalid(
                    f"Line {self._at:,}: {error.message}",
                    code="invalid_line",
                    param=error.param,
                    hint=f"{error.hint or 'Correct it.'} Nothing of the dataset was kept.",
                ) from None
            self.lines += 1
        return self.lines - before, stored.compress(raw)

    def _count(self, line: DatasetLine) -> None:
        self._kinds &= kinds_of(line)
        for key, value in (line.feedbacks or {}).items():
            usage = self._used(key, f"feedbacks.{key:.80}")
            row = self.context.catalog.find_metric(self.project.number, key)
            if row is not None and row.kind == "bool":
                feedback_value(row, value, param=f"feedbacks.{key:.80}")
            usage.values += 1
            usage.is_bool &= isinstance(value, bool)
        if line.feedback_key is not None:
            self._used(line.feedback_key, "feedback_key").preferences += 1

    def _used(self, key: str, param: str) -> _Usage:
        usage = self._usage.get(key)
        if usage is None:
            row = self.context.catalog.find_metric(self.project.number, check_key(key, param=param))
            if row is None and key in SYSTEM:
                raise Invalid(
                    f"{key!r} is the key of a system metric, which the server measures itself.",
                    code="metric_is_measured",
                    param=param,
                    hint="Give the values another key.",
                )
            usage = self._usage[key] = _Usage()
        return usage


def as_id(text: str) -> UUID | None:
    """Return a text as an id, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None
