"""Datasets: uploaded whole or in parts, or made of interactions; listed, deleted.

A dataset becomes visible when its file is complete and every line was read. Datasets that a crash left unfinished are
deleted at the next start.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, NoReturn
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row

from afterword.errors import Invalid, NotFound, TooLarge, Unavailable
from afterword.ids import uuid7
from afterword.service.context import Context, parse_id
from afterword.service.feedback import metrics
from afterword.service.studies.dataset_contents import PART_BYTES, DatasetContents
from afterword.service.studies.dataset_parquet import has_parquet
from afterword.service.timestamps import to_datetime
from afterword.service.validation import check_text
from afterword.store import datasets as stored
from afterword.store.catalog import ProjectRow
from afterword.store.datasets import DatasetRow
from afterword.store.engine import Store, Transaction
from afterword.types import (
    Dataset,
    DatasetFile,
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
from afterword.types.queries import DatasetQuery, NewDatasetQuery, PartQuery, ProjectQuery, UploadQuery

MAX_UPLOAD_COUNT = 100
# Uploads that were not ended are deleted after a day.
ABANDONED_UPLOAD_MS = 24 * 60 * 60 * 1000


# ------------------------------------------------------------------------------------------------ files


async def create_dataset(context: Context, *, query: NewDatasetQuery, chunks: AsyncIterator[bytes]) -> Dataset:
    """Make a dataset of a file of JSON lines, which is the body.

    A line has a prompt (`messages`), and may have a `completion`, a `completion` with `feedbacks` by feedback key, or
    `preferred_completion`, `other_completion` and `feedback_key`. Unknown feedback keys are registered. If a line
    cannot be read, the whole file is refused.
    """
    project = context.project(query.project, writing=True)
    return await store_dataset(context, project, query.key, query.name, chunks)


async def store_dataset(
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
    """Make a dataset of the bytes of a file; if a line cannot be read, nothing is stored.

    `left_out` is read after the last chunk. If the newest version of the key has the same lines, that one is returned.
    """
    row = DatasetRow(
        server=context.store.server,
        id=uuid7(),
        project=project.number,
        key=_dataset_key(key, name),
        name=check_text(name or key or "", param="name", max_length=1000, min_length=1),
        source=source,
        created_at=context.now(),
    )
    row = await context.store.write(lambda transaction: stored.begin(transaction, row))
    try:
        contents = DatasetContents(context, row.number)
        async for chunk in chunks:
            await contents.add(chunk)
        await contents.end()
        metric_counts = await _register(context, project, contents)
        finished_row = msgspec.structs.replace(
            row,
            kind=contents.kind(),
            lines=contents.lines,
            size=contents.size,
            metrics=metric_counts,
            left_out=dict(left_out or {}),
            seed=seed,
            content_hash=contents.content_hash(),
            split_lines=dict(contents.split_lines),
        )
        stored_row = await context.store.write(lambda transaction: stored.complete(transaction, finished_row))
        if stored_row is None:
            raise Unavailable(
                "The store was out of reach for so long that the dataset was given up; nothing of it was stored.",
                code="store_interrupted",
                hint="Send it again.",
                retry_after=1,
            )
        return _serialized_dataset(context, stored_row, is_unchanged=stored_row.number != row.number)
    except BaseException:
        await asyncio.shield(context.store.write(lambda transaction: stored.erase(transaction, row.number)))
        raise


async def _register(context: Context, project: ProjectRow, contents: DatasetContents) -> dict[int, tuple[int, int]]:
    """Register the feedback keys of a file that are not known yet; return how often each was used."""
    metric_counts = {}
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
        metric_counts[row.number] = (contents.values[key], contents.preferences[key])
    return metric_counts


def _dataset_key(key: str | None, name: str | None) -> str:
    dataset_key = key or re.sub(r"[^A-Za-z0-9._-]+", "-", name or "").strip("-")
    if not dataset_key:
        raise Invalid(
            f"The dataset has no key{f', and none can be made of the name {name!r}' if name else ' and no name'}.",
            code="missing_field",
            param="key",
            hint="Give one, such as ?key=preferred where the body is the file itself.",
        )
    check_text(dataset_key, param="key", max_length=200, min_length=1)
    if (
        dataset_key != dataset_key.strip()
        or not dataset_key.isprintable()
        or "/" in dataset_key
        or dataset_key in (".", "..")
    ):
        raise Invalid(
            f"key is {dataset_key!r}; a key has no slashes, no control characters and no spaces at its ends.",
            code="invalid_key",
            param="key",
            hint="Choose a key such as hh-preference-training.",
        )
    return dataset_key


# ------------------------------------------------------------------------------------------------ in parts


async def begin_upload(context: Context, *, body: NewUpload) -> UploadBegun:
    """Begin the upload of a file in parts."""
    content_type = check_text(body.content_type or "", param="content_type")
    if await context.store.read(stored.upload_count) >= MAX_UPLOAD_COUNT:
        raise Unavailable(
            f"{MAX_UPLOAD_COUNT} uploads are under way already.",
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


async def put_part(context: Context, *, query: PartQuery, chunks: AsyncIterator[bytes]) -> UploadStatus:
    """Send a part of a file as the body. Parts count from 1; sending a part again replaces it."""
    row = await _get_upload_row(context, query.session_id)
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
        raise _upload_not_found(query.session_id)
    return await upload_status(context, query=query)


async def upload_status(context: Context, *, query: UploadQuery) -> UploadStatus:
    """Show which parts of an upload have arrived."""
    row = await _get_upload_row(context, query.session_id)
    received_parts = await context.store.read(stored.parts_of_upload, row.number)
    return UploadStatus(
        completed_parts=received_parts,
        total_parts_count=row.parts,
        content_type=row.content_type,
        created_at=to_datetime(row.created_at),
    )


async def abort_upload(context: Context, *, body: UploadId) -> Deleted:
    """Abort an upload and delete its parts. A dataset that was made of it stays."""
    row = await _get_upload_row(context, body.session_id)
    if not await context.store.write(lambda transaction: stored.erase_uploads(transaction, number=row.number)):
        raise _upload_not_found(body.session_id)
    return Deleted()


async def create_of_upload(context: Context, *, body: DatasetOfUpload) -> Dataset:
    """Make a dataset of an upload whose parts have all arrived."""
    project = context.project(body.project, writing=True)
    row = await _get_upload_row(context, body.session_id)
    received_parts = await context.store.read(stored.parts_of_upload, row.number)
    if len(received_parts) < row.parts:
        missing = sorted(set(range(1, row.parts + 1)) - set(received_parts))
        raise Invalid(
            f"{len(missing)} of {row.parts} parts have not come, the first of them {missing[0]}.",
            code="incomplete_upload",
            param="session_id",
            hint="Send them with POST /api/v1/upload/part.",
        )

    async def chunks() -> AsyncIterator[bytes]:
        for number in received_parts:
            content = await context.store.read(stored.upload_part, row.number, number)
            if content is None:
                raise _upload_not_found(body.session_id)
            for start in range(0, len(content), PART_BYTES):
                yield content[start : start + PART_BYTES]

    dataset = await store_dataset(context, project, body.key, body.name, chunks())
    await context.store.write(lambda transaction: stored.erase_uploads(transaction, number=row.number))
    return dataset


async def _get_upload_row(context: Context, session_id: str) -> Row[Any]:
    upload_id = parse_id(session_id, noun="upload", param="session_id")
    row = await context.store.read(stored.upload, upload_id)
    if row is None or row.actor != context.actor.number:
        raise _upload_not_found(session_id)
    return row


def _upload_not_found(session_id: str) -> NotFound:
    return NotFound(
        f"{session_id[:80]} does not exist, or is another key's.",
        noun="upload",
        code="upload_not_found",
        param="session_id",
        hint="Begin one with POST /api/v1/upload/init. An upload ends with its dataset.",
    )


async def delete_unfinished(store: Store, now: int, running_servers: Collection[int] = ()) -> None:
    """Delete abandoned uploads, and the datasets that a crash left unfinished; those of running servers stay."""
    await store.write(lambda transaction: stored.erase_pending(transaction, running_servers))
    await store.write(lambda transaction: stored.erase_uploads(transaction, before=now - ABANDONED_UPLOAD_MS))


# ------------------------------------------------------------------------------------------------ reading and deleting


async def list_datasets(context: Context, *, query: ProjectQuery) -> DatasetList:
    """List the datasets of a project, newest first: each version of a key is one."""
    project = context.project(query.project)
    rows = await context.store.read(stored.of_project, project.number)
    files: list[DatasetFile] = ["jsonl", "parquet"] if has_parquet() else ["jsonl"]
    return DatasetList(datasets=[_serialized_dataset(context, row) for row in rows], files=files)


async def get_dataset(context: Context, dataset: str, *, query: DatasetQuery) -> Dataset:
    """Show a dataset, by key or id; of a key the newest version, or the given one."""
    return _serialized_dataset(context, await get_dataset_row(context, dataset, query))


async def delete_dataset(context: Context, dataset: str, *, query: DatasetQuery) -> Deleted:
    """Delete a dataset with its file. By its id or with a `version`, that version alone; by its key, all versions."""
    row = await get_dataset_row(context, dataset, query)

    def erase(transaction: Transaction) -> bool:
        if dataset == row.key and query.version is None:
            return stored.erase_key(transaction, row)
        return stored.erase_version(transaction, row, context.now())

    if not await context.store.write(erase):
        _raise_dataset_not_found(dataset)
    return Deleted()


async def get_dataset_row(context: Context, dataset: str, query: DatasetQuery) -> DatasetRow:
    """Return a dataset by key, or by id from any project that the key may see. Raises `NotFound`."""

    def find(connection: Connection) -> DatasetRow | None:
        try:
            row = stored.find_dataset_in_any_project(connection, UUID(dataset), query.version)
        except ValueError:
            project = context.project(query.project)
            return stored.find_dataset(connection, project.number, dataset, query.version)
        return row if row is not None and context.actor.sees(row.project) else None

    return await context.store.read(find) or _raise_dataset_not_found(dataset)


def _raise_dataset_not_found(dataset: str) -> NoReturn:
    raise NotFound(
        f"{dataset[:200]!r} does not exist, or this key may not see it.",
        noun="dataset",
        code="dataset_not_found",
        param="dataset",
        hint="List them with GET /api/v1/datasets.",
    )


def _serialized_dataset(context: Context, row: DatasetRow, *, is_unchanged: bool = False) -> Dataset:
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
        created_at=to_datetime(row.created_at),
        download_url=f"/api/v1/datasets/{row.id}/download",
        left_out=row.left_out,  # pyright: ignore[reportArgumentType]
        seed=row.seed,
        version=row.version,
        content_hash=row.content_hash,
        split_lines=row.split_lines,  # pyright: ignore[reportArgumentType]
        is_unchanged=is_unchanged,
    )
