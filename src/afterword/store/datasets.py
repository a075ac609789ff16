"""Datasets and uploads, stored in parts that fit into memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import msgspec
import zstandard
from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from afterword.errors import Conflict
from afterword.store.engine import Transaction
from afterword.store.schema import dataset_parts, datasets, upload_parts, uploads

_compressor = zstandard.ZstdCompressor(level=3)
_decompressor = zstandard.ZstdDecompressor()
PENDING, READY = "pending", "ready"
FILTERED = "filtered"
"""The source of datasets that are made of interactions."""


class DatasetRow(msgspec.Struct, frozen=True):
    """A row of `datasets`; `metrics` are the counts of values and of preferences by the number of the metric."""

    id: UUID
    project: int
    key: str
    name: str
    source: str
    created_at: int
    number: int = 0
    kind: str = "prompt"
    status: str = PENDING
    error: str | None = None
    lines: int = 0
    size: int = 0
    metrics: dict[int, tuple[int, int]] = msgspec.field(default_factory=dict)
    deleted_at: int | None = None
    server: int | None = None
    """The server that builds a pending dataset, if several servers share the database."""
    left_out: dict[str, int] = msgspec.field(default_factory=dict)
    """How many interactions or pairs did not become lines, by the reason."""
    seed: int | None = None
    """The seed of the random sample that the dataset is made of."""
    version: int = 1
    content_hash: str | None = None
    split_lines: dict[str, int] | None = None
    """How many lines are on each side of the split; None for datasets of older servers."""


# ------------------------------------------------------------------------------------------------ reads


def find_dataset(connection: Connection, project: int, key: str, version: int | None = None) -> DatasetRow | None:
    """Return a complete version of the dataset with that key, by default the newest."""
    of_key = (datasets.c.project == project, datasets.c.key == key)
    return _newest(connection, *of_key, *(() if version is None else (datasets.c.version == version,)))


def find_dataset_in_any_project(
    connection: Connection, dataset_id: UUID, version: int | None = None
) -> DatasetRow | None:
    """Return the dataset of that id, if it is complete, and of that version if one is given."""
    is_version = () if version is None else (datasets.c.version == version,)
    return _newest(connection, datasets.c.id == dataset_id, *is_version)


def of_project(connection: Connection, project: int) -> list[DatasetRow]:
    """Return the complete datasets of a project, the newest first."""
    query = select(datasets).where(datasets.c.project == project, *_COMPLETE).order_by(datasets.c.number.desc())
    return [_row(row) for row in connection.execute(query)]


_COMPLETE = (datasets.c.status == READY, datasets.c.deleted_at.is_(None))


def _newest(connection: Connection, *conditions: Any) -> DatasetRow | None:
    query = select(datasets).where(*conditions, *_COMPLETE).order_by(datasets.c.version.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _row(row)


def part(connection: Connection, dataset: int, after: int) -> tuple[int, bytes] | None:
    """Return the number and the content of the part of a dataset's file that follows part `after`; None at the end."""
    row = connection.execute(
        select(dataset_parts.c.part, dataset_parts.c.content)
        .where(dataset_parts.c.dataset == dataset, dataset_parts.c.part > after)
        .order_by(dataset_parts.c.part)
        .limit(1)
    ).first()
    return None if row is None else (row.part, _decompressor.decompress(row.content))


def upload(connection: Connection, upload_id: UUID) -> Row[Any] | None:
    """Return the row of an upload."""
    return connection.execute(select(uploads).where(uploads.c.id == upload_id)).first()


def upload_count(connection: Connection) -> int:
    """Count the uploads under way."""
    return connection.execute(select(func.count()).select_from(uploads)).scalar_one()


def parts_of_upload(connection: Connection, number: int) -> list[int]:
    """Return the numbers of the parts that were received."""
    query = select(upload_parts.c.part).where(upload_parts.c.upload == number).order_by(upload_parts.c.part)
    return list(connection.execute(query).scalars())


def upload_part(connection: Connection, number: int, part_number: int) -> bytes | None:
    """Return a part of an upload; None if it was deleted."""
    return connection.execute(
        select(upload_parts.c.content).where(upload_parts.c.upload == number, upload_parts.c.part == part_number)
    ).scalar()


# ------------------------------------------------------------------------------------------------ units of work


def begin(transaction: Transaction, row: DatasetRow) -> DatasetRow:
    """Insert a pending dataset, as the next version of its key.

    Raises `Conflict` if the project has a dataset with its key, unless both are made of interactions.
    """
    transaction.lock_catalog()
    of_key = (datasets.c.project == row.project, datasets.c.key == row.key)
    if row.source == FILTERED:
        taken = (*of_key, datasets.c.deleted_at.is_(None), datasets.c.source != FILTERED)
    else:
        taken = (*of_key, datasets.c.deleted_at.is_(None))
    if transaction.connection.execute(select(datasets.c.number).where(*taken)).first():
        raise Conflict(
            f"The project has a dataset with the key {row.key!r} already.",
            code="dataset_exists",
            param="key",
            hint="Choose another key, or delete that one.",
        )
    last_version = transaction.connection.execute(select(func.max(datasets.c.version)).where(*of_key)).scalar()
    row = msgspec.structs.replace(row, version=(last_version or 0) + 1)
    result = transaction.connection.execute(insert(datasets).values(**_values(row)))
    return msgspec.structs.replace(row, number=result.inserted_primary_key[0])  # pyright: ignore


def add_part(transaction: Transaction, dataset: int, number: int, lines: int, content: bytes) -> None:
    """Write a part of a dataset's file."""
    values = {"dataset": dataset, "part": number, "lines": lines, "content": _compressor.compress(content)}
    transaction.connection.execute(insert(dataset_parts).values(**values))


def complete(transaction: Transaction, row: DatasetRow) -> DatasetRow | None:
    """Write a dataset's row as complete; return it.

    If the newest version of its key has the same lines, nothing is kept, and that version's row is returned. Return
    None if another server deleted it meanwhile, because this server seemed to be gone.
    """
    # Two that are made at once see each other.
    transaction.lock_catalog()
    newest = find_dataset(transaction.connection, row.project, row.key)
    if newest is not None and newest.content_hash == row.content_hash:
        erase(transaction, row.number)
        return newest
    ready = msgspec.structs.replace(row, status=READY, server=None)
    completed = update(datasets).where(datasets.c.number == row.number).values(**_values(ready))
    return ready if transaction.connection.execute(completed).rowcount else None


def erase(transaction: Transaction, number: int) -> bool:
    """Delete a dataset with its file; return whether it existed."""
    transaction.connection.execute(delete(dataset_parts).where(dataset_parts.c.dataset == number))
    return transaction.connection.execute(delete(datasets).where(datasets.c.number == number)).rowcount > 0


def erase_version(transaction: Transaction, row: DatasetRow, deleted_at: int) -> bool:
    """Delete one version of a dataset with its file; return whether it existed.

    Its row stays while its key has other versions.
    """
    transaction.lock_catalog()
    transaction.connection.execute(delete(dataset_parts).where(dataset_parts.c.dataset == row.number))
    is_row = (datasets.c.number == row.number, datasets.c.deleted_at.is_(None))
    deleted = update(datasets).where(*is_row).values(deleted_at=deleted_at)
    was_there = transaction.connection.execute(deleted).rowcount > 0
    of_key = (datasets.c.project == row.project, datasets.c.key == row.key)
    others = select(datasets.c.number).where(*of_key, datasets.c.deleted_at.is_(None)).limit(1)
    if transaction.connection.execute(others).first() is None:
        transaction.connection.execute(delete(datasets).where(*of_key))
    return was_there


def erase_key(transaction: Transaction, row: DatasetRow) -> bool:
    """Delete all complete versions of a dataset's key with their files; return whether there were any."""
    transaction.lock_catalog()
    of_key = (datasets.c.project == row.project, datasets.c.key == row.key, datasets.c.status == READY)
    numbers = list(transaction.connection.execute(select(datasets.c.number).where(*of_key)).scalars())
    for number in numbers:
        erase(transaction, number)
    return bool(numbers)


def erase_pending(transaction: Transaction, alive: Collection[int] = ()) -> None:
    """Delete the pending datasets that a crash left behind, except those that an alive server is building."""
    left = or_(datasets.c.server.is_(None), datasets.c.server.not_in(alive))
    pending = select(datasets.c.number).where(datasets.c.status == PENDING, left)
    for number in list(transaction.connection.execute(pending).scalars()):
        erase(transaction, number)


def begin_upload(transaction: Transaction, **values: Any) -> None:
    """Insert an upload."""
    transaction.connection.execute(insert(uploads).values(**values))


def put_upload_part(transaction: Transaction, number: int, part_number: int, content: bytes) -> bool:
    """Write or replace a part of an upload; return whether the upload exists."""
    # The row lock serializes two callers that send the same part, and one that aborts the upload.
    upload = select(uploads.c.number).where(uploads.c.number == number).with_for_update()
    if transaction.connection.execute(upload).first() is None:
        return False
    condition = (upload_parts.c.upload == number, upload_parts.c.part == part_number)
    transaction.connection.execute(delete(upload_parts).where(*condition))
    transaction.connection.execute(insert(upload_parts).values(upload=number, part=part_number, content=content))
    return True


def erase_uploads(transaction: Transaction, *, number: int | None = None, before: int = 0) -> bool:
    """Delete an upload with its parts, or all uploads that began before a time; return whether there were any."""
    which = uploads.c.created_at < before if number is None else uploads.c.number == number
    chosen = select(uploads.c.number).where(which).order_by(uploads.c.number).with_for_update()
    numbers: Sequence[int] = list(transaction.connection.execute(chosen).scalars())
    transaction.connection.execute(delete(upload_parts).where(upload_parts.c.upload.in_(numbers)))
    transaction.connection.execute(delete(uploads).where(uploads.c.number.in_(numbers)))
    return bool(numbers)


def _values(row: DatasetRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in row.__struct_fields__ if name != "number"}
    values["metrics"] = msgspec.json.encode(row.metrics).decode()
    values["split_lines"] = msgspec.json.encode(row.split_lines).decode()
    values["left_out"] = msgspec.json.encode(row.left_out).decode() if row.left_out else None
    return values


def _row(row: Row[Any]) -> DatasetRow:
    values = dict(row._mapping)
    values["metrics"] = msgspec.json.decode(values["metrics"], type=dict[int, tuple[int, int]])
    values["split_lines"] = msgspec.json.decode(values["split_lines"] or "null", type=dict[str, int] | None)
    values["left_out"] = msgspec.json.decode(values["left_out"] or "{}", type=dict[str, int])
    return DatasetRow(**values)
