"""Datasets: JSON lines under a key, uploaded or made of interactions, and given out again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from afterword.errors import Conflict, NotFound, ServerError
from afterword.service.context import Context
from afterword.service.lines import encode, read_line
from afterword.service.loading import as_id, empty, load
from afterword.service.moments import shown
from afterword.store import datasets as stored
from afterword.types import Dataset, DatasetList, DatasetMetric, Deleted


class Download(NamedTuple):
    """A file on its way out. `size` is None where it is not known before."""

    chunks: AsyncIterator[bytes]
    media_type: str
    size: int | None


async def upload(context: Context, *, query: Any, chunks: AsyncIterator[bytes]) -> Dataset:
    """Upload a dataset: the body is the JSONL file itself.

    The prompt of a line is `messages` or `input` (messages), or `prompt` (a text, or `[[role, text], ...]`). It may
    have a `completion`, `feedbacks` ({key: value}), `preferred_completion` with `other_completion` and
    `feedback_key`, `labels` and `metadata`. The dataset's kind is what all lines have. Feedback keys that are not
    registered are: bool where all values are true or false, scalar otherwise. A line that cannot be read is named in
    the error, and nothing is kept. Large files come in parts: see `POST /api/v1/upload/init`.
    """
    project = context.project(query.project, writing=True)
    return present(context, await load(context, project, chunks, key=query.key, name=query.name, source="uploaded"))


async def list_datasets(context: Context, *, query: Any) -> DatasetList:
    """List the datasets of a project, the newest first."""
    project = context.project(query.project)
    rows = await context.store.read(stored.of_project, project.number)
    return DatasetList(datasets=[present(context, row) for row in rows])


async def get(context: Context, dataset: str, *, query: Any) -> Dataset:
    """Show a dataset, by key or id."""
    return present(context, await _found(context, dataset, query.project))


async def delete(context: Context, dataset: str, *, query: Any) -> Deleted:
    """Delete a dataset. Its key can be used anew; the interactions that it was made of stay."""
    row = _ready(await _found(context, dataset, query.project))
    await context.store.write(lambda transaction: stored.mark_deleted(transaction, row.number, context.now()))
    await empty(context.store, row.number)
    return Deleted()


async def download(context: Context, dataset: str, *, query: Any) -> Download:
    """Download a dataset as JSONL.

    `format=recipe` gives each line in its normal shape: `messages`, `completion`, `feedbacks`, `preferred_completion`,
    `other_completion`, `feedback_key`, `labels`, `metadata`, as far as it has them. `format=original` gives exactly the
    bytes that came.
    """
    row = _ready(await _found(context, dataset, query.project))
    original = query.format == "original"
    return Download(_chunks(context, row, original), "application/jsonl", row.size if original else None)


async def _chunks(context: Context, row: Any, original: bool) -> AsyncIterator[bytes]:
    size, number = 0, 0
    while size < row.size:
        read = await context.store.read(_part if original else _recipe, row.number, number)
        if read is None:
            # Deleted meanwhile: whoever reads must not take this for the end.
            raise ServerError(f"The dataset {row.key!r} was deleted while it was read.", code="dataset_deleted")
        taken, chunk = read
        size, number = size + taken, number + 1
        if chunk:
            yield chunk


def _part(connection: Connection, dataset: int, number: int) -> tuple[int, bytes] | None:
    raw = stored.part(connection, dataset, number)
    return None if raw is None else (len(raw), raw)


def _recipe(connection: Connection, dataset: int, number: int) -> tuple[int, bytes] | None:
    raw = stored.part(connection, dataset, number)
    if raw is None:
        return None
    return len(raw), b"".join(encode(read_line(text)) + b"\n" for text in raw.split(b"\n") if text.strip())


def present(context: Context, row: Any) -> Dataset:
    """Turn a row of `datasets` into what the wire shows."""
    counts: dict[str, list[int]] = msgspec.json.decode(row.metrics)
    metrics = [
        DatasetMetric(metric=context.catalog.metrics[int(number)].key, values=values, preferences=preferences)
        for number, (values, preferences) in counts.items()
    ]
    return Dataset(
        id=row.id,
        key=row.key,
        name=row.name,
        project=context.catalog.projects[row.project].key,
        kind=row.kind,
        source=row.source,
        status=row.status,
        error=row.error,
        lines=row.lines,
        size=row.size,
        metrics=sorted(metrics, key=lambda one: one.metric),
        created_at=shown(row.created_at),
        download_url=f"/api/v1/datasets/{row.id}/download",
    )


async def _found(context: Context, dataset: str, project: str | None) -> Any:
    """Return the row of a dataset by its id, or by its key in a project. Raises `NotFound`."""
    wanted = as_id(dataset)
    row = None if wanted is None else await context.store.read(stored.find, id=wanted)
    if row is not None and project is not None and context.project(project).number != row.project:
        row = None
    if row is None:
        row = await context.store.read(stored.find, project=context.project(project).number, key=dataset)
    if row is None or not context.actor.sees(row.project):
        raise NotFound(
            f"EntityNotFound: dataset {dataset[:200]!r} does not exist, or this key may not see it.",
            code="dataset_not_found",
            param="dataset",
            hint="List the datasets with GET /api/v1/datasets; name another project with ?project=.",
        )
    return row


def _ready(row: Any) -> Any:
    if row.status != "ready":
        raise Conflict(
            f"The dataset {row.key!r} is still being filled.",
            code="dataset_pending",
            param="dataset",
            hint="Try again when the call that makes it has been answered.",
        )
    return row
