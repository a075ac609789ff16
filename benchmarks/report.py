"""The figures, their aims, and the table that shows both."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from rich.console import Console
from rich.table import Table

from benchmarks.load import Timings

Unit: TypeAlias = Literal["/s", "ms", "µs", "s", "MB", "bytes", ""]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure. `aim` is its target in the same unit: a minimum for rates, a maximum for all others.

    `p50`, `p95` and `p99` are milliseconds of single calls.
    """

    what: str
    value: float
    unit: Unit
    aim: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None

    @property
    def ratio(self) -> float | None:
        """Return figure / aim."""
        return None if self.aim is None else self.value / self.aim

    @property
    def reached(self) -> bool | None:
        """Tell whether the aim was reached; None without an aim."""
        if self.ratio is None:
            return None
        return self.ratio >= 1 if self.unit == "/s" else self.ratio <= 1


def of_calls(what: str, timings: Timings, *, each: int = 1, aim: float | None = None) -> Figure:
    """Return the rate of many calls, with the times of single ones; `each` is how many interactions a call carries."""
    return Figure(
        what,
        timings.rate * each,
        "/s",
        aim,
        timings.percentile(0.5),
        timings.percentile(0.95),
        timings.percentile(0.99),
    )


def of_pages(what: str, timings: Timings, *, aim: float | None = None) -> Figure:
    """Return the p95 of a page, with the other times."""
    p95 = timings.percentile(0.95)
    return Figure(what, p95, "ms", aim, timings.percentile(0.5), p95, timings.percentile(0.99))


HEADS = ("job", "figure", "p50 ms", "p95 ms", "p99 ms", "aim", "figure / aim")


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of a job."""

    name: str
    figures: list[Figure]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the cells of the table."""
        return [
            (
                figure.what,
                f"{_number(figure.value)} {figure.unit}".strip(),
                *("" if time is None else _number(time) for time in (figure.p50, figure.p95, figure.p99)),
                "" if figure.aim is None else f"{_number(figure.aim)} {figure.unit}",
                "" if figure.ratio is None else f"{figure.ratio:.2f} {'reached' if figure.reached else 'missed'}",
            )
            for figure in self.figures
        ]

    def show(self, console: Console) -> None:
        """Print the table."""
        table = Table(title=self.name, title_justify="left", title_style="bold")
        for column_index, head in enumerate(HEADS):
            table.add_column(head, justify="right" if column_index else "left", overflow="fold")
        for row, figure in zip(self.rows(), self.figures, strict=True):
            table.add_row(*row, style=None if figure.reached is None else "green" if figure.reached else "red")
        console.print(table)

    def markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [f"## {self.name}", "", _line(HEADS), _line(["---"] + ["--:"] * (len(HEADS) - 1))]
        return "\n".join([*lines, *map(_line, self.rows()), ""])


def machine() -> str:
    """Describe the machine of the measurement."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB of memory, {platform.system()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}. "
        "Server and load share the cores; all over loopback."
    )


class MarkdownTable(Protocol):
    """An object that can be written as Markdown."""

    def markdown(self) -> str:
        """Return its table."""
        ...


def markdown(sections: Iterable[MarkdownTable]) -> str:
    """Return all tables as one Markdown text."""
    return "\n".join([machine(), "", *(section.markdown() for section in sections)])


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
