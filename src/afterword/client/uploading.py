"""Bulk upload, apart from the sending: records into batches, answers into a report.

Each record gets an id before it is first sent, so that it can be sent again and is stored once.
"""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias
from uuid import UUID

import msgspec

from afterword.errors import AfterwordError, Invalid, Unavailable, from_detail
from afterword.ids import uuid7
from afterword.types import LineResult

MOST_BYTES = 8 << 20

Record: TypeAlias = Mapping[str, Any] | msgspec.Struct
Source: TypeAlias = Iterable[Record] | str | os.PathLike[str] | IO[bytes] | IO[str]
"""What can be uploaded: records, the path of a file of JSON lines (also .gz), or an open one."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
_results = msgspec.json.Decoder(LineResult)


@dataclass(slots=True)
class UploadFailure:
    """A record that was not stored. `index` is its place among the records, or the file's lines, from 0."""

    index: int
    error: AfterwordError
    record: Any


@dataclass(slots=True)
class UploadReport:
    """What came of an upload."""

    sent: int = 0
    stored: int = 0
    failed: list[UploadFailure] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(slots=True)
class Batch:
    """Lines that are sent together."""

    places: list[int]
    lines: list[bytes]

    @property
    def body(self) -> bytes:
        """The lines as NDJSON."""
        return b"\n".join(self.lines)


class Upload:
    """One upload: gives batches, takes their answers, keeps the report and the progress bar."""

    def __init__(
        self, source: Source, *, id_field: str, labels: Mapping[str, str] | None, batch_size: int, progress: bool
    ) -> None:
        self._source = source
        self._id_field = id_field
        self._labels = dict(labels or {})
        self._batch_size = batch_size
        self._bar = _Bar(source) if progress else None
        self._started = time.monotonic()
        self.report = UploadReport()

    def batches(self) -> Iterator[Batch]:
        """Yield batches while the source is read; keep no more than one."""
        batch, size = Batch([], []), 0
        for index, record in enumerate(_records(self._source)):
            if isinstance(record, bytes) and not record.strip():
                continue
            self.report.sent += 1
            try:
                line = self._line(record)
            except AfterwordError as error:
                self._fail(index, error, record)
                continue
            if batch.lines and (size + len(line) > MOST_BYTES or len(batch.lines) >= self._batch_size):
                yield batch
                batch, size = Batch([], []), 0
            batch.places.append(index)
            batch.lines.append(line)
            size += len(line) + 1
        if batch.lines:
            yield batch

    def settle(self, batch: Batch, answer: bytes) -> tuple[Batch, float]:
        """Take the answer to a batch; return what of it is to be sent again and after how many seconds."""
        again = Batch([], [])
        answered = 0
        for text in answer.splitlines():
            result = _results.decode(text)
            place = result.line - 1
            if place >= len(batch.lines):
                continue
            answered += 1
            if result.error is None:
                self.report.stored += 1
            elif result.status in (429, 503):
                again.places.append(batch.places[place])
                again.lines.append(batch.lines[place])
            else:
                self._fail(batch.places[place], from_detail(result.status, result.error), batch.lines[place])
        if answered < len(batch.lines):
            raise AfterwordError(
                f"The server answered {answered} of {len(batch.lines)} lines.", code="incomplete_answer"
            )
        if self._bar:
            self._bar.advance(answered - len(again.lines))
        return again, 0.5 if again.lines else 0.0

    def give_up(self, batch: Batch, error: AfterwordError) -> None:
        """Note that a batch could not be sent."""
        for index, line in zip(batch.places, batch.lines, strict=True):
            self._fail(index, error, line)
        if self._bar:
            self._bar.advance(len(batch.lines))

    @staticmethod
    def busy() -> AfterwordError:
        """Return the error for lines that the server was too busy for, again and again."""
        return Unavailable("The server was too busy for this line.", code="overloaded", hint="Upload it again later.")

    def done(self) -> UploadReport:
        """Return the report; failures in the order of their lines."""
        if self._bar:
            self._bar.close()
        self.report.failed.sort(key=lambda failure: failure.index)
        self.report.seconds = time.monotonic() - self._started
        return self.report

    def _line(self, record: Any) -> bytes:
        if isinstance(record, bytes):
            record = _decoded(record)
        if isinstance(record, msgspec.Struct):
            record = {name: value for name, value in msgspec.structs.asdict(record).items() if value is not None}
        if not isinstance(record, Mapping):
            raise Invalid(f"The record is {record!r:.80}, but must be an object.", code="invalid_record")
        body = dict(record)
        if body.get(self._id_field) is None:
            body[self._id_field] = uuid7()
        if self._labels:
            body["labels"] = self._labels | dict(body.get("labels") or {})
        try:
            return _encoder.encode(body)
        except (TypeError, ValueError, RecursionError) as error:
            raise Invalid(f"The record cannot be written as JSON: {error}.", code="invalid_record") from None

    def _fail(self, index: int, error: AfterwordError, record: Any) -> None:
        if isinstance(record, bytes):
            try:
                record = _decoded(record)
            except AfterwordError:
                record = record.decode("utf-8", "replace")
        self.report.failed.append(UploadFailure(index, error, record))


def _decoded(line: bytes) -> Any:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(
            f"The line is not JSON: {error}.", code="malformed_json", hint="Each line must be one JSON object."
        ) from None


def _records(source: Source) -> Iterator[Any]:
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            yield from _lines(lines)
    elif hasattr(source, "read"):
        yield from _lines(source)
    else:
        yield from source  # pyright: ignore[reportReturnType]


def _lines(lines: Iterable[Any]) -> Iterator[bytes]:
    for line in lines:
        raw = line.encode() if isinstance(line, str) else line
        yield raw.rstrip(b"\r\n")


class _Bar:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, source: Source) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        total = len(source) if isinstance(source, list | tuple) else None
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("Uploading"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("upload", total=total)
        self._progress.start()

    def advance(self, number: int) -> None:
        self._progress.advance(self._task, number)

    def close(self) -> None:
        self._progress.stop()


def given_id(value: UUID | str | None) -> UUID | str:
    """Return the caller's id, or a new one: with an id a request can be sent again safely."""
    return value if value is not None else uuid7()
