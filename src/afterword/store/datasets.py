"""Datasets and the uploads that they come of: rows, and their bytes in compressed parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import zstandard
from sqlalchemy import Connection, Row, delete, exists, func, select, update

from afterword.errors import Conflict, NotFound
from afterword.store.catalog import add
from afterword.store.engine import Insert, Transaction
from afterword.store.filters import Names
from afterword.store.pages import narrowed
from afterword.store.schema import dataset_parts, datasets, interactions, preferences, upload_parts, uploads
from afterword.types import Filter

INSERT_PART = Insert(dataset_parts)
# So many parts are deleted in one commit: others wait for no more than that.
MOST_PARTS = 100


def compress(raw: bytes) -> bytes:
    """Return bytes as a part keeps them."""
    return zstandard.ZstdCompressor(level=3).compress(raw)


def decompress(content: bytes) -> bytes:
    """Return the bytes that a part was made of."""
    return zstandard.ZstdDecompressor().decompress(content)


# ------------------------------------------------------------------------------------------------ datasets


def find(connection: Connection, *, id: UUID | None = None, project: int | None = None, key: str = "") -> Any:
    """Return the row of a dataset by its id, or by its key in a project, unless it was deleted."""
    which = datasets.c.id == id if id else (datasets.c.project == project) & (datasets.c.key == key)
    return connection.execute(select(datasets).where(which, datasets.c.deleted_at.is_(None))).first()


def of_project(connection: Connection, project: int) -> Sequence[Row[Any]]:
    """Return the datasets of a project, the newest first."""
    query = select(datasets).where(datasets.c.project == project, datasets.c.deleted_at.is_(None))
    return connection.execute(query.order_by(datasets.c.number.desc())).all()


def part(connection: Connection, dataset: int, number: int) -> bytes | None:
    """Return the bytes of one part; None where there is none."""
    its = (dataset_parts.c.dataset == dataset, dataset_parts.c.part == number)
    content = connection.execute(select(dataset_parts.c.content).where(*its)).scalar()
    return None if content is None else decompress(content)


def begin(transaction: Transaction, **values: Any) -> int:
    """Insert a dataset that is still to be filled; return its number. Raises `Conflict` when its key is taken."""
    if find(transaction.connection, project=values["project"], key=values["key"]):
        raise Conflict(
            f"A dataset with the key {values['key']!r} exists already.",
            code="dataset_exists",
            param="key",
            hint="Choose another key, or delete that dataset first.",
        )
    rest = {"status": "pending", "error": None, "lines": 0, "size": 0, "metrics": "{}", "deleted_at": None}
    return add(transaction, datasets, **rest, **values)


def finish(transaction: Transaction, number: int, **values: Any) -> None:
    """Write what a dataset turned out to be."""
    changed = update(datasets).where(datasets.c.number == number)
    transaction.connection.execute(changed.values(status="ready", **values))


def mark_deleted(transaction: Transaction, number: int, now: int) -> None:
    """Note that a dataset is no more."""
    transaction.connection.execute(update(datasets).where(datasets.c.number == number).values(deleted_at=now))


def remove_parts(transaction: Transaction, number: int) -> int:
    """Delete some parts of a dataset; return how many."""
    its = dataset_parts.c.dataset == number
    some = select(dataset_parts.c.part).where(its).order_by(dataset_parts.c.part).limit(MOST_PARTS)
    return transaction.connection.execute(delete(dataset_parts).where(its, dataset_parts.c.part.in_(some))).rowcount


def drop(transaction: Transaction, number: int) -> None:
    """Delete the row of a dataset that was never filled."""
    transaction.connection.execute(delete(datasets).where(datasets.c.number == number))


def left_behind(connection: Connection) -> tuple[list[int], list[int]]:
    """Return the datasets that were never filled, and those that were deleted but still have parts."""
    pending = select(datasets.c.number).where(datasets.c.status == "pending")
    has_parts = exists().where(dataset_parts.c.dataset == datasets.c.number)
    gone = select(datasets.c.number).where(datasets.c.deleted_at.is_not(None), has_parts)
    return list(connection.execute(pending).scalars()), list(connection.execute(gone).scalars())


def sampled(
    connection: Connection, names: Names, filter: Filter, *, size: int, preferred: Sequence[int] | None
) -> list[tuple[UUID, int]]:
    """Return id and size of so many interactions that match, by chance; with `preferred` only those that were
    preferred under one of these metrics."""
    query = select(interactions.c.id, interactions.c.size).where(narrowed(connection, names, filter))
    if preferred is not None:
        query = query.where(
            exists().where(
                preferences.c.interaction_id == interactions.c.id,
                preferences.c.metric.in_(preferred),
                preferences.c.side == 1,
                preferences.c.tied.is_(None),
                preferences.c.prompt_mismatch.is_(False),
            )
        )
    return [(row.id, row.size) for row in connection.execute(query.order_by(func.random()).limit(size))]


def rows(connection: Connection, ids: Sequence[UUID]) -> list[Row[Any]]:
    """Return the rows of these interactions, in this order; those that are no more are left out."""
    found = {row.id: row for row in connection.execute(select(interactions).where(interactions.c.id.in_(ids)))}
    return [found[one] for one in ids if one in found]


# ------------------------------------------------------------------------------------------------ uploads


def find_upload(connection: Connection, id: UUID) -> Any:
    """Return the row of an upload."""
    return connection.execute(select(uploads).where(uploads.c.id == id)).first()


def begin_upload(transaction: Transaction, most: int, **values: Any) -> None:
    """Insert an upload. Raises `Conflict` where there are `most` already."""
    if transaction.connection.execute(select(func.count()).select_from(uploads)).scalar_one() >= most:
        raise Conflict(
            f"{most} files are coming in parts already.",
            code="too_many_uploads",
            hint="Abort uploads that will not be finished, or raise AFTERWORD_MAX_UPLOADS.",
        )
    add(transaction, uploads, **values)


def parts_of_upload(connection: Connection, upload: int) -> dict[int, int]:
    """Return the size of each part that has wholly come, by its number."""
    query = select(upload_parts.c.part, upload_parts.c.size).where(
        upload_parts.c.upload == upload, upload_parts.c.piece == 0
    )
    return {row.part: row.size for row in connection.execute(query.order_by(upload_parts.c.part))}


def add_piece(transaction: Transaction, upload: Row[Any], part: int, piece: int, size: int, content: bytes) -> None:
    """Keep a piece of a part. Raises `NotFound` when the upload has ended meanwhile."""
    if find_upload(transaction.connection, upload.id) is None:
        raise no_upload(str(upload.id))
    add_one = upload_parts.insert().values(upload=upload.number, part=part, piece=piece, size=size, content=content)
    transaction.connection.execute(add_one)


def clear_part(transaction: Transaction, upload: int, part: int) -> None:
    """Delete what is there of a part."""
    transaction.connection.execute(
        delete(upload_parts).where(upload_parts.c.upload == upload, upload_parts.c.part == part)
    )


def piece(connection: Connection, upload: int, part: int, number: int) -> bytes | None:
    """Return the bytes of one piece of a part; None where there is none."""
    its = (upload_parts.c.upload == upload, upload_parts.c.part == part, upload_parts.c.piece == number)
    content = connection.execute(select(upload_parts.c.content).where(*its)).scalar()
    return None if content is None else decompress(content)


def remove_upload(transaction: Transaction, upload: int) -> bool:
    """Delete one part of an upload, or at last the upload; tell whether it is gone."""
    part = transaction.connection.execute(
        select(func.min(upload_parts.c.part)).where(upload_parts.c.upload == upload)
    ).scalar()
    if part is None:
        transaction.connection.execute(delete(uploads).where(uploads.c.number == upload))
        return True
    clear_part(transaction, upload, part)
    return False


def abandoned(connection: Connection, before: int) -> list[int]:
    """Return the uploads that were begun before that time."""
    return list(connection.execute(select(uploads.c.number).where(uploads.c.created_at < before)).scalars())


def no_upload(session_id: str) -> NotFound:
    """Return the error for an upload that is not there, or not this key's."""
    return NotFound(
        f"EntityNotFound: upload {session_id[:80]!r} does not exist, has ended, or was begun with another key.",
        code="upload_not_found",
        param="session_id",
        hint="Begin one with POST /api/v1/upload/init. It ends when its dataset is made, when it is aborted, or after "
        "a day.",
    )
