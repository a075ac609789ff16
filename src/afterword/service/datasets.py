"""Datasets: uploaded whole or in parts, or made of interactions; listed, given out, deleted.

A dataset becomes visible when its file is complete and every line was read. What a crash leaves half done is deleted at
the next start.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from afterword.errors import Invalid, NotFound, TooLarge, Unavailable
from afterword.ids import uuid7
from afterword.json_text import LineError
from afterword.service import metrics
from afterword.service.context import Context, parse_id
from afterword.service.dataset_lines import KINDS, DatasetLine, read_line
from afterword.service.moments import shown
from afterword.service.values import check_text
from afterword.store import datasets as stored
from afterword.store.catalog import ProjectRow
from afterword.store.datasets import DatasetRow
from afterword.store.engine import Store
from afterword.types import (
    Dataset,
    DatasetForm,
    DatasetKind,
    DatasetList,
    DatasetMetric,
    DatasetOfUpload,
    Deleted,
    NewMetric,
    NewUpload,
    UploadBegun,
    UploadId,
    UploadStatus,
)

# So many bytes of lines are written together.
PART = 1 << 20
# A line is held whole; images make it long.
LONGEST_LINE = 64 << 20
MOST_UPLOADS = 100
# Uploads that nobody ended are deleted after a day.
ABANDONED = 24 * 60 * 60 * 1000


class Download(msgspec.Struct):
    """A file that is sent as it is read."""

    name: str
    chunks: AsyncGenerator[bytes]


# ------------------------------------------------------------------------------------------------ files


async def create(context: Context, *, query: Any, chunks: AsyncIterator[bytes]) -> Dataset:
    """Make a dataset of a file of JSON lines, which is the body.

    Lines are prompts (`messages`), with a `completion`, with `feedbacks` by feedback key, or with
    `preferred_completion`, `other_completion` and `feedback_key`. Feedback keys not seen before are registered. A line
    that cannot be read refuses the whole file.
    """
    project = context.project(query.project, writing=True)
    return await make(context, project, query.key, query.name, chunks)


async def make(
    context: Context,
    project: ProjectRow,
    key: str | None,
    name: str | None,
    chunks: AsyncIterator[bytes],
    source: str = "uploaded",
    *,
    left_out: Mapping[str, int] | None = None,
    seed: int | None = None,
) -> Dataset:
    """Make a dataset of the bytes of a file; nothing of it stays where a line cannot be read.

    `left_out` is read when the last of the bytes has come.
    """
    row = DatasetRow(
        server=context.store.server,
        id=uuid7(),
        project=project.number,
        key=_key(key, name),
        name=check_text(name or key or "", param="name", most=1000, least=1),
        source=source,
        created_at=context.now(),
    )
    row = await context.store.write(lambda transaction: stored.begin(transaction, row))
    try:
        contents = _Contents(context, row.number)
        async for chunk in chunks:
            await contents.add(chunk)
        await contents.end()
        used = await _register(context, project, contents)
        complete = msgspec.structs.replace(
            row,
            kind=contents.kind(),
            lines=contents.lines,
            size=contents.size,
            metrics=used,
            left_out=dict(left_out or {}),
            seed=seed,
        )
        made = await context.store.write(lambda transaction: stored.complete(transaction, complete))
        if made is None:
            raise Unavailable(
                "The store was out of reach for so long that the dataset was given up; nothing of it was stored.",
                code="store_interrupted",
                hint="Send it again.",
                retry_after=1,
            )
        return _shown(context, made)
    except BaseException:
        await asyncio.shield(context.store.write(lambda transaction: stored.erase(transaction, row.number)))
        raise


class _Contents:
    """Takes a file apart into lines, reads each, and writes it in parts."""

    def __init__(self, context: Context, dataset: int) -> None:
        self._context = context
        self._dataset = dataset
        self._rest = bytearray()
        self._part = bytearray()
        self._parts = 0
        self._number = 0
        self.lines = 0
        self.size = 0
        self.kinds: set[DatasetKind] = set()
        self.values: dict[str, int] = defaultdict(int)
        self.preferences: dict[str, int] = defaultdict(int)
        self.is_bool: dict[str, bool] = {}
        """Whether all values under a key are true or false; a key that is not known yet is registered so."""
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
        self._rest += chunk
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        for line in lines:
            self._read(bytes(line))
        if len(self._rest) > LONGEST_LINE:
            raise self._refused(f"it has more than {LONGEST_LINE >> 20} MiB", self._number + 1)
        if len(self._part) >= PART:
            await self._write()
            # Others have their turn between two parts.
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Take the last line, which may end without a line break."""
        self._read(bytes(self._rest))
        if self._part:
            await self._write()
        if not self.lines:
            raise Invalid("The file has no lines.", code="empty_dataset", hint="Send a JSON object a line.")

    def kind(self) -> DatasetKind:
        """Return what all lines have."""
        if "preference" in self.kinds and len(self.kinds) > 1:
            raise Invalid(
                "Some lines are preferences and others are not.",
                code="mixed_dataset",
                hint="Make a dataset of the preferences, and another of the other lines.",
            )
        return min(self.kinds, key=KINDS.index)

    def _read(self, raw: bytes) -> None:
        self._number += 1
        if not raw.strip():
            return
        try:
            line = read_line(raw)
        except LineError as error:
            raise self._refused(str(error), self._number) from None
        self.lines += 1
        self.kinds.add(line.kind)
        self._count(line)

    def _count(self, line: DatasetLine) -> None:
        for key, value in line.values.items():
            self.values[key] += 1
            self.is_bool[key] = self.is_bool.get(key, True) and isinstance(value, bool)
            self.is_number[key] = self.is_number.get(key, False) or value not in (0, 1)
        if line.preference is not None:
            self.preferences[line.preference] += 1
            self.is_bool.setdefault(line.preference, False)

    def _refused(self, why: str, number: int) -> Invalid:
        return Invalid(
            f"Line {number} cannot be read: {why}.",
            code="invalid_line",
            param=f"line {number}",
            hint="Mend the line and send the file again; nothing of it was kept.",
        )

    async def _write(self) -> None:
        number, content, self._part = self._parts, bytes(self._part), bytearray()
        self._parts += 1
        await self._context.store.write(
            lambda transaction: stored.add_part(transaction, self._dataset, number, self.lines, content), len(content)
        )


async def _register(context: Context, project: ProjectRow, contents: _Contents) -> dict[int, tuple[int, int]]:
    """Register the feedback keys of a file that are not known yet; return how often each was used."""
    used = {}
    for key, is_bool in contents.is_bool.items():
        row = context.catalog.find_metric(project.number, key)
        if row is None:
            body = NewMetric(key=key, kind="bool" if is_bool else "scalar", project=project.key)
            await metrics.register(context, body=body)
            row = context.metric(project.number, key)
        elif row.kind == "bool" and contents.is_number.get(key):
            raise Invalid(
                f"The metric {key!r} is bool, and the file has other numbers under it than 0 and 1.",
                code="invalid_value",
                param=f"feedbacks.{key}",
                hint="Give true, false, 1 or 0, or name another feedback key.",
            )
        used[row.number] = (contents.values[key], contents.preferences[key])
    return used


def _key(key: str | None, name: str | None) -> str:
    made = key or re.sub(r"[^A-Za-z0-9._-]+", "-", name or "").strip("-")
    check_text(made, param="key", most=200, least=1)
    if made != made.strip() or not made.isprintable() or "/" in made or made in (".", ".."):
        raise Invalid(
            f"key is {made!r}; a key has no slashes, no control characters and no spaces at its ends.",
            code="invalid_key",
            param="key",
            hint="Choose a key such as hh-preference-training.",
        )
    return made


# ------------------------------------------------------------------------------------------------ in parts


async def begin_upload(context: Context, *, body: NewUpload) -> UploadBegun:
    """Begin a file that is sent in parts."""
    content_type = check_text(body.content_type or "", param="content_type")
    if await context.store.read(stored.upload_count) >= MOST_UPLOADS:
        raise Unavailable(
            f"{MOST_UPLOADS} uploads are under way already.",
            code="too_many_uploads",
            hint="End or abort one; abandoned ones are deleted after a day.",
            retry_after=60,
        )
    upload_id = uuid7()
    await context.store.write(
        lambda transaction: stored.begin_upload(
            transaction,
            id=upload_id,
            actor=context.actor.number,
            content_type=content_type,
            parts=body.total_parts_count,
            created_at=context.now(),
        )
    )
    return UploadBegun(session_id=upload_id)


async def put_part(context: Context, *, query: Any, chunks: AsyncIterator[bytes]) -> UploadStatus:
    """Send a part of a file: the bytes are the body. Parts count from 1; the same again replaces it."""
    row = await _upload(context, query.session_id)
    if not 1 <= query.part_number <= row.parts:
        raise Invalid(
            f"part_number is {query.part_number}; this upload has the parts 1 to {row.parts}.",
            code="invalid_part",
            param="part_number",
            hint="Parts count from 1 to the total_parts_count that the upload began with.",
        )
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > context.settings.max_upload_part:
            raise TooLarge(
                f"The part has more than {context.settings.max_upload_part:,} bytes.",
                code="part_too_large",
                hint="Send smaller parts, or raise AFTERWORD_MAX_UPLOAD_PART.",
            )
    is_there = await context.store.write(
        lambda transaction: stored.put_upload_part(transaction, row.number, query.part_number, bytes(content)),
        len(content),
    )
    if not is_there:
        raise _no_upload(query.session_id)
    return await upload_status(context, query=query)


async def upload_status(context: Context, *, query: Any) -> UploadStatus:
    """Tell which parts of a file have come."""
    row = await _upload(context, query.session_id)
    came = await context.store.read(stored.parts_of_upload, row.number)
    return UploadStatus(
        completed_parts=came,
        total_parts_count=row.parts,
        content_type=row.content_type,
        created_at=shown(row.created_at),
    )


async def abort_upload(context: Context, *, body: UploadId) -> Deleted:
    """Throw away the parts of a file. A dataset that was made of it stays."""
    row = await _upload(context, body.session_id)
    if not await context.store.write(lambda transaction: stored.erase_uploads(transaction, number=row.number)):
        raise _no_upload(body.session_id)
    return Deleted()


async def create_of_upload(context: Context, *, body: DatasetOfUpload) -> Dataset:
    """Make a dataset of a file whose parts have all come."""
    project = context.project(body.project, writing=True)
    row = await _upload(context, body.session_id)
    came = await context.store.read(stored.parts_of_upload, row.number)
    if len(came) < row.parts:
        missing = sorted(set(range(1, row.parts + 1)) - set(came))
        raise Invalid(
            f"{len(missing)} of {row.parts} parts have not come, the first of them {missing[0]}.",
            code="incomplete_upload",
            param="session_id",
            hint="Send them with POST /api/v1/upload/part.",
        )

    async def chunks() -> AsyncIterator[bytes]:
        for number in came:
            content = await context.store.read(stored.upload_part, row.number, number)
            if content is None:
                raise _no_upload(body.session_id)
            for start in range(0, len(content), PART):
                yield content[start : start + PART]

    made = await make(context, project, body.key, body.name, chunks())
    await context.store.write(lambda transaction: stored.erase_uploads(transaction, number=row.number))
    return made


async def _upload(context: Context, session_id: str) -> Any:
    upload_id = parse_id(session_id, what="upload", param="session_id")
    row = await context.store.read(stored.upload, upload_id)
    if row is None or row.actor != context.actor.number:
        raise _no_upload(session_id)
    return row


def _no_upload(session_id: str) -> NotFound:
    return NotFound(
        f"EntityNotFound: upload {session_id[:80]} does not exist, or is another key's.",
        code="upload_not_found",
        param="session_id",
        hint="Begin one with POST /api/v1/upload/init. An upload ends with its dataset.",
    )


async def clear_away(store: Store, now: int, alive: Collection[int] = ()) -> None:
    """Delete what a crash left half done, but for what servers that are there are at, and uploads that nobody ended."""
    await store.write(lambda transaction: stored.erase_pending(transaction, alive))
    await store.write(lambda transaction: stored.erase_uploads(transaction, before=now - ABANDONED))


# ------------------------------------------------------------------------------------------------ as they are


async def list_datasets(context: Context, *, query: Any) -> DatasetList:
    """List the datasets of a project, the newest first."""
    project = context.project(query.project)
    rows = await context.store.read(stored.of_project, project.number)
    return DatasetList(datasets=[_shown(context, row) for row in rows])


async def get(context: Context, dataset: str, *, query: Any) -> Dataset:
    """Show a dataset, by key or id."""
    return _shown(context, await found(context, dataset, query.project))


async def delete(context: Context, dataset: str, *, query: Any) -> Deleted:
    """Delete a dataset with its file."""
    row = await found(context, dataset, query.project)
    if not await context.store.write(lambda transaction: stored.erase(transaction, row.number)):
        _no_dataset(dataset)
    return Deleted()


async def download(context: Context, dataset: str, *, query: Any) -> Download:
    """Give out the file of a dataset: `original`, as it came; or `recipe`, each line in the normal shape."""
    row = await found(context, dataset, query.project)
    return Download(f"{row.key}.jsonl", _file(context, row.number, query.format))


async def _file(context: Context, number: int, form: DatasetForm) -> AsyncGenerator[bytes]:
    after, rest = -1, b""
    while (there := await context.store.read(stored.part, number, after)) is not None:
        after, content = there
        if form == "original":
            yield content
            continue
        *lines, rest = (rest + content).split(b"\n")
        yield b"".join(map(_normal, lines))
    if rest:
        yield _normal(rest)


def _normal(raw: bytes) -> bytes:
    return msgspec.json.encode(read_line(raw).normal) + b"\n" if raw.strip() else b""


async def found(context: Context, dataset: str, project: str | None) -> DatasetRow:
    """Return a dataset by key or id; by its id in any project that the key may see. Raises `NotFound`."""

    def find(connection: Connection) -> DatasetRow | None:
        try:
            row = stored.find_anywhere(connection, UUID(dataset))
        except ValueError:
            return stored.find(connection, context.project(project).number, dataset)
        return row if row is not None and context.actor.sees(row.project) else None

    return await context.store.read(find) or _no_dataset(dataset)


def _no_dataset(dataset: str) -> Any:
    raise NotFound(
        f"EntityNotFound: dataset {dataset[:200]!r} does not exist, or this key may not see it.",
        code="dataset_not_found",
        param="dataset",
        hint="List them with GET /api/v1/datasets.",
    )


def _shown(context: Context, row: DatasetRow) -> Dataset:
    return Dataset(
        id=row.id,
        key=row.key,
        name=row.name,
        project=context.catalog.projects[row.project].key,
        kind=row.kind,  # pyright: ignore[reportArgumentType]
        source=row.source,  # pyright: ignore[reportArgumentType]
        lines=row.lines,
        size=row.size,
        metrics=[
            DatasetMetric(metric=context.catalog.metrics[number].key, values=values, preferences=preferences)
            for number, (values, preferences) in row.metrics.items()
        ],
        created_at=shown(row.created_at),
        download_url=f"/api/v1/datasets/{row.id}/download",
        left_out=row.left_out,  # pyright: ignore[reportArgumentType]
        seed=row.seed,
    )
