"""Downloads of datasets: as they came, or as rows in a format, in a file of JSON lines or of Parquet."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping

import msgspec

from afterword.errors import Invalid
from afterword.service.context import Context
from afterword.service.studies.dataset_formats import FORMATS, Row
from afterword.service.studies.dataset_lines import read_line, side_of
from afterword.service.studies.dataset_parquet import ParquetFile, RowShape, load_pyarrow
from afterword.service.studies.datasets import get_dataset_row
from afterword.store import datasets as stored
from afterword.store.datasets import DatasetRow
from afterword.types import DatasetFile
from afterword.types.queries import DownloadQuery

MEDIA_TYPES: Mapping[DatasetFile, str] = {
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}


class Download(msgspec.Struct):
    """A file that is sent as it is read."""

    name: str
    media_type: str
    chunks: AsyncGenerator[bytes]


async def download(context: Context, dataset: str, *, query: DownloadQuery) -> Download:
    """Download the file of a dataset: `original` as it was sent, or rows in one of the formats for training.

    Rows are JSON lines, or a Parquet file with `file=parquet`, which the server needs `afterword[parquet]` for.
    """
    row = await get_dataset_row(context, dataset, query)
    if query.format == "original":
        _check_original(query)
    elif query.split is not None:
        await _check_side(context, row, query.split)
    if query.file == "parquet":
        # Refused before anything is sent.
        load_pyarrow()
        chunks = _parquet_chunks(context, row.number, query)
    else:
        chunks = _json_chunks(context, row.number, query)
    return Download(f"{row.key}.{query.file}", MEDIA_TYPES[query.file], chunks)


def _check_original(query: DownloadQuery) -> None:
    for param, value in (("file", query.file), ("split", query.split)):
        if value not in ("jsonl", None):
            raise Invalid(
                f"{param} is {value!r}, and format=original gives the bytes as they came.",
                code="invalid_value",
                param=param,
                hint=f"Leave {param} out, or choose another format, such as recipe.",
            )


async def _check_side(context: Context, row: DatasetRow, side: str) -> None:
    split_lines = row.split_lines
    if split_lines is None:
        split_lines = Counter[str]()
        async for lines in _line_batches(context, row.number):
            sides = await asyncio.to_thread(lambda lines=lines: [side_of(read_line(line)) for line in lines])
            split_lines.update(line_side for line_side in sides if line_side is not None)
    if side in split_lines:
        return
    if split_lines:
        counts = ", ".join(f"{count:,} {name}" for name, count in split_lines.items())
        raise Invalid(
            f"split is {side!r}, and no line of the dataset {row.key!r} is on this side. It has {counts}.",
            code="empty_side",
            param="split",
            hint="Choose another side, or make the dataset with a share for this one.",
        )
    raise Invalid(
        f"split is {side!r}, and the dataset {row.key!r} was not split.",
        code="dataset_not_split",
        param="split",
        hint='Leave split out, or make the dataset with a split, such as {"by": "session", "test": 0.1}.',
    )


async def _json_chunks(context: Context, number: int, query: DownloadQuery) -> AsyncGenerator[bytes]:
    if query.format == "original":
        async for content in _parts(context, number):
            yield content
        return
    async for lines in _line_batches(context, number):
        yield b"".join(msgspec.json.encode(row) + b"\n" for row, _ in _formatted_rows(lines, query))


async def _parquet_chunks(context: Context, number: int, query: DownloadQuery) -> AsyncGenerator[bytes]:
    shape = RowShape()

    def see(lines: list[bytes]) -> None:
        for row, _ in _formatted_rows(lines, query):
            shape.see(row)

    async for lines in _line_batches(context, number):
        await asyncio.to_thread(see, lines)
    shape.close()
    file = ParquetFile(shape)

    def write(lines: list[bytes]) -> bytes:
        for row, size in _formatted_rows(lines, query):
            file.add(row, size)
        return file.take()

    async for lines in _line_batches(context, number):
        if content := await asyncio.to_thread(write, lines):
            yield content
    await asyncio.to_thread(file.close)
    yield file.take()


async def _parts(context: Context, number: int) -> AsyncIterator[bytes]:
    last_part_number = -1
    while (part := await context.store.read(stored.part, number, last_part_number)) is not None:
        last_part_number, content = part
        yield content


async def _line_batches(context: Context, number: int) -> AsyncIterator[list[bytes]]:
    """Yield the whole lines of each part of a file."""
    remaining_bytes = b""
    async for content in _parts(context, number):
        *lines, remaining_bytes = (remaining_bytes + content).split(b"\n")
        yield [line for line in lines if line.strip()]
    if remaining_bytes.strip():
        yield [remaining_bytes]


def _formatted_rows(lines: list[bytes], query: DownloadQuery) -> Iterator[tuple[Row, int]]:
    """Yield the rows of lines, each with the size of its line."""
    assert query.format != "original"
    for raw in lines:
        line = read_line(raw)
        if query.split is not None and side_of(line) != query.split:
            continue
        if not query.provenance:
            line.normalized_line.pop("metadata", None)
        for row in FORMATS[query.format](line):
            yield row, len(raw)
