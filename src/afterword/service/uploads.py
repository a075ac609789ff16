"""Files that come in parts, until they are whole and become a dataset."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from afterword.errors import Conflict, Invalid, TooLarge
from afterword.ids import uuid7
from afterword.service.context import Context
from afterword.service.datasets import present
from afterword.service.loading import A_DAY, as_id, end_upload, load, patiently
from afterword.service.values import check_text
from afterword.store import datasets as stored
from afterword.store.engine import Transaction
from afterword.types import (
    Dataset,
    DatasetFromUpload,
    Deleted,
    NewUpload,
    UploadAbort,
    UploadPart,
    UploadSession,
    UploadStatus,
)

MOST_A_PART = 100 << 20
PIECE = 512 << 10

# Two arrivals of one part at the same time would mix their pieces.
_arriving: set[tuple[UUID, int]] = set()


async def init(context: Context, *, body: NewUpload) -> UploadSession:
    """Begin to upload a file in parts.

    Send each part with `POST /api/v1/upload/part`, then make the dataset with `POST /api/v1/datasets/from-upload`. An
    upload that comes to no end is deleted after a day.
    """
    now = context.now()
    for number in await context.store.read(stored.abandoned, now - A_DAY):
        await end_upload(context.store, number)
    content_type = check_text(body.content_type or "application/jsonl", param="content_type", most=200)
    values = {"id": uuid7(), "actor": context.actor.number, "content_type": content_type, "created_at": now}
    values["parts"] = body.total_parts_count
    most = context.settings.max_uploads
    await context.store.write(lambda transaction: stored.begin_upload(transaction, most, **values))
    return UploadSession(session_id=values["id"])


async def part(context: Context, *, query: Any, chunks: AsyncIterator[bytes]) -> UploadPart:
    """Send a part of a file: the body is its bytes, up to 100 MiB.

    Parts count from 1, may come in any order, and are cut anywhere. A part that is sent again is replaced.
    """
    upload = await _found(context, query.session_id)
    number = query.part_number
    if not 1 <= number <= upload.parts:
        raise Invalid(
            f"part_number is {number}, but the upload has the parts 1 to {upload.parts:,}.",
            code="invalid_part_number",
            param="part_number",
            hint="Parts count from 1; total_parts_count was given when the upload began.",
        )
    if (upload.id, number) in _arriving:
        raise Conflict(
            f"Part {number} of this upload is coming already.",
            code="part_arriving",
            param="part_number",
            hint="Send it again when that has ended.",
        )
    _arriving.add((upload.id, number))
    try:
        return UploadPart(part_number=number, size=await _keep(context, upload, number, chunks))
    finally:
        _arriving.discard((upload.id, number))


async def _keep(context: Context, upload: Any, number: int, chunks: AsyncIterator[bytes]) -> int:
    await context.store.write(lambda transaction: stored.clear_part(transaction, upload.number, number))
    sizes = await context.store.read(stored.parts_of_upload, upload.number)
    room = context.settings.max_dataset - sum(sizes.values())
    size, piece = 0, 0
    held = bytearray()

    async def put(raw: bytes, its_size: int, place: int) -> None:
        content = stored.compress(raw)

        def unit(transaction: Transaction) -> None:
            stored.add_piece(transaction, upload, number, place, its_size, content)

        await patiently(context, unit, len(content))

    async for chunk in chunks:
        size += len(chunk)
        held += chunk
        if size > MOST_A_PART:
            raise TooLarge(
                f"Part {number} has more than {MOST_A_PART:,} bytes.",
                code="part_too_large",
                hint="Begin the upload anew, with more parts.",
            )
        if size > room:
            raise TooLarge(
                f"The parts have more than {context.settings.max_dataset:,} bytes together.",
                code="dataset_too_large",
                hint="Split the file into several datasets, or raise AFTERWORD_MAX_DATASET.",
            )
        if len(held) >= PIECE:
            piece += 1
            await put(bytes(held), len(held), piece)
            held.clear()
    if held:
        await put(bytes(held), len(held), piece + 1)
    await put(b"", size, 0)
    return size


async def status(context: Context, *, query: Any) -> UploadStatus:
    """Tell which parts of a file have come."""
    upload = await _found(context, query.session_id)
    sizes = await context.store.read(stored.parts_of_upload, upload.number)
    return UploadStatus(completed_parts=list(sizes), total_parts_count=upload.parts)


async def abort(context: Context, *, body: UploadAbort) -> Deleted:
    """Give up an upload and delete its parts. A dataset that was made of it stays."""
    upload = await _found(context, body.session_id)
    await end_upload(context.store, upload.number)
    return Deleted()


async def create(context: Context, *, body: DatasetFromUpload) -> Dataset:
    """Make a dataset of a file whose parts have all come.

    Everything is as for `POST /api/v1/datasets`. The upload ends with it; where a line cannot be read it stays, so that
    a part can be sent again.
    """
    project = context.project(body.project, writing=True)
    upload = await _found(context, body.session_id)
    sizes = await context.store.read(stored.parts_of_upload, upload.number)
    missing = [number for number in range(1, upload.parts + 1) if number not in sizes]
    if missing:
        shown = ", ".join(map(str, missing[:10])) + (" ..." if len(missing) > 10 else "")
        raise Invalid(
            f"{len(missing):,} of {upload.parts:,} parts are missing: {shown}.",
            code="parts_missing",
            param="session_id",
            hint="Send them with POST /api/v1/upload/part.",
        )
    row = await load(
        context, project, _file(context, upload.number, sizes), key=body.key, name=body.name, source="uploaded"
    )
    await end_upload(context.store, upload.number)
    return present(context, row)


async def _file(context: Context, upload: int, sizes: dict[int, int]) -> AsyncIterator[bytes]:
    for number, size in sorted(sizes.items()):
        taken, piece = 0, 1
        while taken < size:
            raw = await context.store.read(stored.piece, upload, number, piece)
            if raw is None:
                raise Conflict(
                    f"Part {number} was sent anew, or the upload aborted, while the dataset was made of it.",
                    code="upload_changed",
                    param="session_id",
                    hint="Make the dataset when all parts have come.",
                )
            taken, piece = taken + len(raw), piece + 1
            yield raw


async def _found(context: Context, session_id: str) -> Any:
    wanted = as_id(session_id)
    row = None if wanted is None else await context.store.read(stored.find_upload, wanted)
    if row is None or row.actor != context.actor.number:
        raise stored.no_upload(session_id)
    return row
