"""Progress of an import, and its report at the end."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from afterword.cli.output import note
from afterword.errors import AfterwordError

if TYPE_CHECKING:
    from afterword.cli.import_lines import ImportLine
    from afterword.client.line_files import LineSource, RawLine

MAX_SHOWN_LINES = 10
NOUNS = ("interactions", "feedback", "preferences", "outcomes", "metrics")


class Report:
    """Counts what was sent, shows the first errors, and writes all bad lines to `file`, each with its error."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self.file = file
        self.lines = 0
        self.failed = 0
        self.unread = 0
        self.present = 0
        self.sent: Counter[str] = Counter()

    def count_sent(self, line: ImportLine, *, present: bool = False) -> None:
        """Count a line that was imported; `present` says that all or part of it existed already."""
        self.lines += 1
        self.present += present
        for noun in NOUNS:
            self.sent[noun] += len(getattr(line, noun))
        # Feedback that is part of its interaction.
        self.sent["feedback"] += sum(len(interaction.get("feedbacks", ())) for interaction in line.interactions)

    def count_failed(self, raw: RawLine, error: AfterwordError | str) -> None:
        """Count a line that failed, and add it to the report. Line number 0 stands for the whole file."""
        self.lines += raw.number > 0
        self.unread += raw.number == 0
        self.failed += 1
        location = f"{raw.file}:{raw.number}" if raw.number else raw.file
        message = f"the line {error}" if isinstance(error, str) and raw.number else str(error)
        if self.failed <= MAX_SHOWN_LINES:
            note(f"{location}: {message}" if raw.number else message)
        elif self.failed == MAX_SHOWN_LINES + 1:
            report_hint = "" if self.file else " --report FILE keeps them all."
            note(f"... more errors are not shown.{report_hint}")
        if self.file:
            detail: dict[str, Any] = {"message": message}
            if isinstance(error, AfterwordError):
                detail = {"message": error.message, "code": error.code, "param": error.param, "hint": error.hint}
            self.file.write(
                msgspec.json.encode(
                    {
                        "file": raw.file,
                        "line": raw.number or None,
                        "error": detail,
                        "content": _line_content(raw.content),
                    }
                )
                + b"\n"
            )

    def show(self, seconds: float, *, dry_run: bool = False) -> None:
        """Print the totals."""
        sent_text = ", ".join(
            f"{self.sent[noun]:,} {_counted_noun(noun, self.sent[noun])}" for noun in NOUNS if self.sent[noun]
        )
        rate = f" in {seconds:.1f} s ({self.lines / max(seconds, 0.001):,.0f} lines/s)" if not dry_run else ""
        print(f"{'Would import' if dry_run else 'Imported'} {sent_text or 'nothing'}{rate}.")
        if self.present:
            print(f"{self.present:,} {'line was' if self.present == 1 else 'lines were'} there already, left as it is.")
        report_hint = f"; see {Path(self.file.name)}" if self.file else ""
        if self.unread:
            print(
                f"{self.unread:,} {'file was' if self.unread == 1 else 'files were'} not read to the end{report_hint}."
            )
        if failed_lines := self.failed - self.unread:
            print(f"{failed_lines:,} of {self.lines:,} {'line' if self.lines == 1 else 'lines'} failed{report_hint}.")


class ImportProgress:
    """A progress bar on standard error if that is a terminal."""

    def __init__(self, files: Sequence[str]) -> None:
        self._bar: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            sizes = [os.path.getsize(name) if os.path.isfile(name) else None for name in files]
            total = None if None in sizes else sum(size or 0 for size in sizes)
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[lines]:,} lines"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("importing", total=total, lines=0)
        self._before = 0
        self._current: LineSource | None = None

    def __enter__(self) -> ImportProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, source: LineSource, lines: int) -> None:
        """Update the bar with the position in the file."""
        if self._bar is None:
            return
        if self._current is not None and self._current is not source:
            self._before += self._current.size or 0
        self._current = source
        self._bar.update(self._task, completed=self._before + source.position(), lines=lines, description=source.name)


def _counted_noun(noun: str, count: int) -> str:
    return noun if count != 1 or noun == "feedback" else noun.removesuffix("s")


def _line_content(raw: bytes) -> Any:
    """Return a line as JSON if it is JSON, else as text."""
    try:
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return raw.decode("utf-8", "replace").rstrip("\r\n")
    return msgspec.Raw(raw.strip())
