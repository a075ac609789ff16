"""How an import goes, while it runs and at its end."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from afterword.cli.showing import note
from afterword.errors import AfterwordError

if TYPE_CHECKING:
    from afterword.cli.shapes import Line
    from afterword.client.reading import Raw, Source

MOST_SHOWN = 10
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

    def take(self, line: Line, *, present: bool = False) -> None:
        """Count a line that went well; `present` says that (some of) it was there already."""
        self.lines += 1
        self.present += present
        for noun in NOUNS:
            self.sent[noun] += len(getattr(line, noun))
        # Feedback that stands in its interaction.
        self.sent["feedback"] += sum(len(one.get("feedbacks", ())) for one in line.interactions)

    def refuse(self, raw: Raw, error: AfterwordError | str) -> None:
        """Count a line that failed, and keep it in the report. A number of 0 stands for the file as a whole."""
        self.lines += raw.number > 0
        self.unread += raw.number == 0
        self.failed += 1
        place = f"{raw.file}:{raw.number}" if raw.number else raw.file
        told = f"the line {error}" if isinstance(error, str) and raw.number else str(error)
        if self.failed <= MOST_SHOWN:
            note(f"{place}: {told}" if raw.number else told)
        elif self.failed == MOST_SHOWN + 1:
            more = "" if self.file else " --report FILE keeps them all."
            note(f"... more errors are not shown.{more}")
        if self.file:
            detail: dict[str, Any] = {"message": told}
            if isinstance(error, AfterwordError):
                detail = {"message": error.message, "code": error.code, "param": error.param, "hint": error.hint}
            self.file.write(
                msgspec.json.encode(
                    {"file": raw.file, "line": raw.number or None, "error": detail, "content": _content(raw.content)}
                )
                + b"\n"
            )

    def show(self, seconds: float, *, dry_run: bool = False) -> None:
        """Print the totals."""
        good = ", ".join(f"{self.sent[noun]:,} {_noun(noun, self.sent[noun])}" for noun in NOUNS if self.sent[noun])
        rate = f" in {seconds:.1f} s ({self.lines / max(seconds, 0.001):,.0f} lines/s)" if not dry_run else ""
        print(f"{'Would import' if dry_run else 'Imported'} {good or 'nothing'}{rate}.")
        if self.present:
            print(f"{self.present:,} {'line was' if self.present == 1 else 'lines were'} there already, left as it is.")
        where = f"; see {Path(self.file.name)}" if self.file else ""
        if self.unread:
            print(f"{self.unread:,} {'file was' if self.unread == 1 else 'files were'} not read to the end{where}.")
        if failed := self.failed - self.unread:
            print(f"{failed:,} of {self.lines:,} {'line' if self.lines == 1 else 'lines'} failed{where}.")


class Progress:
    """A bar on standard error where that is a terminal, nothing elsewhere."""

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
        self._current: Source | None = None

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def at(self, source: Source, lines: int) -> None:
        """Say how far the reading is."""
        if self._bar is None:
            return
        if self._current is not None and self._current is not source:
            self._before += self._current.size or 0
        self._current = source
        self._bar.update(self._task, completed=self._before + source.position(), lines=lines, description=source.name)


def _noun(noun: str, count: int) -> str:
    return noun if count != 1 or noun == "feedback" else noun.removesuffix("s")


def _content(raw: bytes) -> Any:
    """A line as it stands: as JSON where it is JSON, else as text."""
    try:
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return raw.decode("utf-8", "replace").rstrip("\r\n")
    return msgspec.Raw(raw.strip())
