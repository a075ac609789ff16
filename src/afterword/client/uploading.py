"""Bulk upload without the I/O: makes batches of records, and a report of the answers.

Each record gets its id before it is first sent, so that repeated sending stores it only once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, Any, TypeAlias
from uuid import UUID

import msgspec

from afterword.client.core import BUSY_STATUSES
from afterword.client.encoding import encode_value
from afterword.client.line_files import source_of
from afterword.errors import (
    AfterwordError,
    ConnectionFailed,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
    from_detail,
)
from afterword.ids import uuid7
from afterword.json_text import LineError, read_line
from afterword.types import LineResult

MAX_BATCH_BYTES = 8 << 20

Record: TypeAlias = Mapping[str, Any] | msgspec.Struct
Source: TypeAlias = Iterable[Record] | str | os.PathLike[str] | IO[bytes] | IO[str]
"""Sources of an upload: records, the path of a file of JSON lines (also .gz), or an open file."""

_results = msgspec.json.Decoder(LineResult)


@dataclass(slots=True)
class UploadFailure:
    """A record that was not stored. `index` is its position among the records, or the lines of the file, from 0."""

    index: int
    error: AfterwordError
    record: Any


@dataclass(slots=True)
class UploadReport:
    """The result of an upload."""

    sent: int = 0
    stored: int = 0
    failed: list[UploadFailure] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(slots=True)
class Batch:
    """Lines that are sent together, each with its index in the source. `reason` is the error of the previous try."""

    indexes: list[int]
    lines: list[bytes]
    reason: AfterwordError | None = None

    @property
    def body(self) -> bytes:
        """The lines as NDJSON."""
        return b"\n".join(self.lines)


class Upload:
    """One upload: yields batches, applies their answers, and keeps the report and the progress bar.

    One thread reads the batches; several may apply answers. Raises `ValueError` for sizes below 1.
    """

    def __init__(
        self,
        source: Source,
        *,
        id_field: str,
        batch_size: int,
        at_once: int,
        progress: bool,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        for name, size in (("batch_size", batch_size), ("max_concurrency", at_once)):
            if size < 1:
                raise ValueError(f"{name} is {size}, but must be at least 1.")
        self.at_once = at_once
        self._source = source
        self._id_field = id_field
        self._labels = dict(labels or {})
        self._batch_size = batch_size
        self._bar = _Bar(source) if progress else None
        self._lock = Lock()
        self._started = time.monotonic()
        self.report = UploadReport()

    def batches(self) -> Iterator[Batch]:
        """Yield batches while reading the source; at most one is in memory here."""
        batch, size = Batch([], []), 0
        for index, record in _records(self._source):
            if isinstance(record, bytes) and not record.strip():
                continue
            self.report.sent += 1
            try:
                line = self._line(record)
            except AfterwordError as error:
                self._fail(index, error, record)
                continue
            if batch.lines and (size + len(line) > MAX_BATCH_BYTES or len(batch.lines) >= self._batch_size):
                yield batch
                batch, size = Batch([], []), 0
            batch.indexes.append(index)
            batch.lines.append(line)
            size += len(line) + 1
        if batch.lines:
            yield batch

    def apply_results(self, batch: Batch, answer: bytes) -> Batch:
        """Apply the answer to a batch; return the lines to send again. These are lines for which the server was too
        busy, and lines that it did not reach. Raises `AfterwordError` for a malformed answer."""
        results: dict[int, LineResult] = {}
        for text in answer.splitlines():
            try:
                result = _results.decode(text)
            except msgspec.DecodeError:
                break  # The answer is cut off here: later lines have no result.
            results[result.line - 1] = result
        if not results.keys() & range(len(batch.lines)):
            raise AfterwordError(
                f"The answer to a batch of {len(batch.lines)} lines is {answer[:80]!r}.",
                code="unreadable_answer",
                hint="Is this an Afterword server? Check base_url.",
            )
        resend_batch = Batch([], [])
        with self._lock:
            for line_index, (index, line) in enumerate(zip(batch.indexes, batch.lines, strict=True)):
                result = results.get(line_index)
                if result is not None and result.error is None:
                    self.report.stored += 1
                elif result is None or result.status in BUSY_STATUSES:
                    resend_batch.indexes.append(index)
                    resend_batch.lines.append(line)
                    resend_batch.reason = resend_batch.reason or (
                        from_detail(result.status, result.error or {}) if result else None
                    )
                else:
                    self._fail(index, from_detail(result.status, result.error or {}), line)
            self._advance(len(batch.lines) - len(resend_batch.lines))
        return resend_batch

    def give_up(self, batch: Batch, error: AfterwordError | None = None) -> None:
        """Record that a batch could not be sent, or was not stored after all retries."""
        error = error or batch.reason
        if error is None:
            error = AfterwordError("The server did not answer this line.", code="incomplete_answer")
        with self._lock:
            for index, line in zip(batch.indexes, batch.lines, strict=True):
                self._fail(index, error, line)
            self._advance(len(batch.lines))

    def is_fatal(self, error: AfterwordError) -> bool:
        """Tell whether an error will hit all batches: a bad key, no server, or a wrong server."""
        if isinstance(error, Unauthorized | Forbidden):
            return True
        return self.report.stored == 0 and isinstance(error, ConnectionFailed | NotFound | MethodNotAllowed)

    def finish(self) -> UploadReport:
        """Return the report, with failures in the order of their lines."""
        if self._bar:
            self._bar.close()
        self.report.failed.sort(key=lambda failure: failure.index)
        self.report.seconds = time.monotonic() - self._started
        return self.report

    def _line(self, record: Any) -> bytes:
        if isinstance(record, LineError):
            raise Invalid(f"The line {record}.", code="invalid_record")
        if isinstance(record, bytes):
            record = _decoded_record(record)
        if isinstance(record, msgspec.Struct):
            record = {name: value for name, value in msgspec.structs.asdict(record).items() if value is not None}
        if not isinstance(record, Mapping):
            raise Invalid(f"The record is {record!r:.80}, but must be an object.", code="invalid_record")
        body = dict(record)
        if body.get(self._id_field) is None:
            body[self._id_field] = uuid7()
        record_labels = body.get("labels")
        # Labels of another form are sent unchanged; the server's error says what is wrong.
        if self._labels and (record_labels is None or isinstance(record_labels, Mapping)):
            body["labels"] = {**self._labels, **(record_labels or {})}
        try:
            return encode_value(body)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise Invalid(f"The record cannot be written as JSON: {error}.", code="invalid_record") from None

    def _advance(self, number: int) -> None:
        if self._bar:
            self._bar.advance(number)

    def _fail(self, index: int, error: AfterwordError, record: Any) -> None:
        if isinstance(record, bytes):
            try:
                record = _decoded_record(record)
            except AfterwordError:
                record = record.decode("utf-8", "replace")
        self.report.failed.append(UploadFailure(index, error, record))


def _decoded_record(line: bytes) -> Any:
    try:
        return read_line(line)
    except LineError as error:
        raise Invalid(f"The line {error}.", code="malformed_json", hint="Each line must be one JSON object.") from None


def _records(source: Source) -> Iterator[tuple[int, Any]]:
    """Yield the records with their indexes. Raises `UnreadableFile` for a file without lines of JSON."""
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            yield from _lines(file)
    elif hasattr(source, "read"):
        yield from _lines(source)
    else:
        yield from enumerate(source)  # pyright: ignore[reportArgumentType]


def _lines(file: Any) -> Iterator[tuple[int, Any]]:
    if isinstance(file.read(0), str):
        for index, text in enumerate(file):
            yield index, text.encode("utf-8", "surrogatepass").rstrip(b"\r\n")
        return
    for raw in source_of(file).lines():
        yield raw.number - 1, LineError(raw.problem) if raw.problem else raw.content.rstrip(b"\r\n")


class _Bar:
    """A progress bar, shown only on a terminal."""

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


def id_or_new(value: UUID | str | None) -> UUID | str:
    """Return the caller's id, or a new one. With an id, a request can be repeated safely."""
    return value if value is not None else uuid7()
