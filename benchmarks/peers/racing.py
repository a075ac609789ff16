"""The jobs, one contender after the other, and the table of all."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import load
from benchmarks.calling import upstream
from benchmarks.load import Target
from benchmarks.peers.afterword import Afterword
from benchmarks.peers.contender import Ask, Contender, Running
from benchmarks.peers.driving import LoadResult, directly, drive
from benchmarks.peers.litellm import Litellm
from benchmarks.peers.mlflow import Mlflow
from benchmarks.peers.phoenix import Phoenix
from benchmarks.postgresql import Database, database
from benchmarks.server import free_port

CONTENDERS: dict[str, tuple[type[Contender], bool]] = {
    "afterword": (Afterword, False),
    "afterword-postgresql": (Afterword, True),
    "mlflow": (Mlflow, False),
    "mlflow-postgresql": (Mlflow, True),
    "phoenix": (Phoenix, False),
    "phoenix-postgresql": (Phoenix, True),
    "litellm": (Litellm, False),
}
"""By name: which, and whether over PostgreSQL in place of its embedded store."""

IN_FLIGHT = (1, 30, 128)
CALLING = (1, 16)
DAYS = 30
# What is still on its way to the store is waited for so long.
STORE_WAIT_SECONDS = 60.0

Submit = Callable[..., Future[Any]]


@dataclass(slots=True)
class Result:
    """What was measured of a contender, by the words of the table; None where it cannot do it."""

    title: str
    command: str
    figures: dict[str, float | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RaceSettings:
    """How long and how large."""

    seconds: float
    size: int
    starts: int


class Race:
    """One contender's way through the jobs."""

    def __init__(self, contender: Contender, settings: RaceSettings, submit: Submit, database: Database | None) -> None:
        self.contender = contender
        self.settings = settings
        store = f", PostgreSQL {database.version}" if database else ""
        self.result = Result(f"{contender.title} {contender.version}{store}", contender.started_by())
        self._submit = submit
        self._database = database

    def run(self, direct: load.Timings) -> None:
        """Do all jobs. `direct` are calls of the provider itself."""
        running = Running(self.contender)
        try:
            self.contender.prepare()
            handles = self._log() if self.contender.logs else []
            if handles:
                self._rate(handles)
            self._call(direct)
            self._note("memory after that, MB", self._memory(running))
        finally:
            running.stop()
        self._start()
        if self.contender.logs:
            self._kill()
            self._list()

    def _note(self, what: str, value: float | str | None) -> None:
        self.result.figures[what] = value
        print(f"{self.result.title}: {what}: {value}", file=sys.stderr, flush=True)

    def _drive(self, job: str, in_flight: int, **options: Any) -> LoadResult:
        arguments = {"in_flight": in_flight, "seconds": self.settings.seconds, **options}
        return self._submit(drive, self.contender, job, **arguments).result()

    def _log(self) -> list[str]:
        handles: list[str] = []
        for in_flight in IN_FLIGHT:
            begin = time.perf_counter()
            driven = self._drive("log", in_flight, seed=in_flight)
            stored_count, waited = self._wait_for(driven.handles, begin)
            handles += driven.handles
            self._rates(f"log, {in_flight} in flight", driven.timings)
            if in_flight == 30:
                self._note("... of them on disk, /s", stored_count / waited)
        return handles

    def _wait_for(self, handles: list[str], begin: float) -> tuple[int, float]:
        """Wait until all that was acknowledged is on disk; return how much is, and the seconds since the beginning."""
        expected_handles = set(handles)
        end = time.perf_counter() + STORE_WAIT_SECONDS
        while True:
            stored_count = len(expected_handles & self.contender.stored())
            if stored_count == len(expected_handles) or time.perf_counter() > end:
                return stored_count, time.perf_counter() - begin
            time.sleep(0.2)

    def _rate(self, handles: list[str]) -> None:
        stored = self.contender.stored()
        stored_handles = [handle for handle in handles if handle in stored]
        for in_flight in IN_FLIGHT:
            driven = self._drive("rate", in_flight, handles=stored_handles[:5_000])
            self._rates(f"feedback, {in_flight} in flight", driven.timings)

    def _rates(self, what: str, timings: load.Timings) -> None:
        self._note(f"{what}, /s", timings.rate)
        self._note(f"{what}: p50, ms", timings.percentile(0.5))
        self._note(f"{what}: p99, ms", timings.percentile(0.99))
        if timings.refused:
            self._note(f"{what}: refused", timings.refused)

    def _call(self, direct: load.Timings) -> None:
        if self.contender.chat() is None:
            return
        for in_flight in CALLING:
            timings = self._drive("chat", in_flight).timings
            if in_flight == 1:
                for share, name in ((0.5, "p50"), (0.99, "p99")):
                    added = timings.percentile(share) - direct.percentile(share)
                    self._note(f"gateway, added at the {name}, ms", added)
            self._note(f"gateway, {in_flight} in flight, /s", timings.rate)

    def _start(self) -> None:
        seconds, memory = [], []
        for _ in range(self.settings.starts):
            running = Running(self.contender)
            seconds.append(running.seconds)
            time.sleep(2)  # what a server does right after its start is no rest
            memory.append(self._memory(running))
            running.stop()
        self._note("start, s", sorted(seconds)[len(seconds) // 2])
        self._note("memory, idle, MB", sorted(memory)[len(memory) // 2])

    def _memory(self, running: Running) -> float:
        database = 0 if self._database is None else self._database.memory
        return (running.memory + database) / 1e6

    def _kill(self) -> None:
        running = Running(self.contender)
        before = len(self.contender.stored())
        loading = self._submit(drive, self.contender, "log", in_flight=30, seconds=60.0, seed=97)
        while len(self.contender.stored()) == before and not loading.done():
            time.sleep(0.05)
        time.sleep(self.settings.seconds)
        running.kill()
        driven: LoadResult = loading.result()
        restarted = Running(self.contender)
        time.sleep(2)  # what it may still have to write
        survived = len(set(driven.handles) & self.contender.stored())
        restarted.stop()
        self._note("acknowledged before kill -9", len(driven.handles))
        self._note("... of them there afterwards", survived)

    def _list(self) -> None:
        running = Running(self.contender)
        try:
            self._note("loaded for the lists", self.contender.fill(self.settings.size, DAYS))
        finally:
            running.stop()
        size = len(self.contender.stored())
        self._note("interactions in the lists", size)
        running = Running(self.contender)
        try:
            now = int(time.time() * 1000)
            middle = now - DAYS * 43_200_000
            for what, ask in self.contender.lists(middle, middle + 86_400_000).items():
                timings = self._list_timings(self.contender.target, ask)
                self._note(f"newest 50, filter {what}: p50, ms", timings.percentile(0.5))
            self._note("memory after the lists, MB", self._memory(running))
        finally:
            running.stop()
        self._note("disk, bytes an interaction", self.contender.size() / size)

    def _list_timings(self, target: Target, ask: Ask) -> load.Timings:
        timings, _ = load.read(target, ask.path, body=ask.body, times=30, most_seconds=4 * self.settings.seconds)
        return timings


def race(names: list[str], size: int, seconds: float, starts: int) -> Iterator[Comparison]:
    """Run the named contenders one after the other; yield the comparison, as far as it has come, after each."""
    results: list[Result] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="afterword-peers-")))
        settings = RaceSettings(seconds, size, starts)
        port = stack.enter_context(upstream())
        submit = stack.enter_context(load.generator())
        postgresql: Database | None = None
        if any(CONTENDERS[name][1] for name in names):
            postgresql = stack.enter_context(database(folder / "postgresql", {}))
        for name in names:
            kind, on_postgresql = CONTENDERS[name]
            url = postgresql.new(name.replace("-", "_")) if postgresql and on_postgresql else None
            contender = kind(folder / name, free_port(), port, url)
            contender.folder.mkdir()
            contender.install()
            # What the machine gives changes by the minute: the same calls made directly stand right beside.
            direct: load.Timings = submit(directly, port, seconds).result()
            race = Race(contender, settings, submit, postgresql if url else None)
            try:
                race.run(direct)
            except Exception as error:
                race.result.figures["broke off"] = f"{type(error).__name__}: {error}"[:200].replace("|", "/")
            results.append(race.result)
            yield Comparison(f"Afterword and its peers, {size:,} interactions in the lists", list(results))


@dataclass(frozen=True, slots=True)
class Comparison:
    """The figures of all contenders side by side. Ratios are to the first of them."""

    name: str
    results: list[Result]

    def rows(self) -> list[list[str]]:
        """Return the cells of the table."""
        table_rows = []
        for what in dict.fromkeys(what for result in self.results for what in result.figures):
            values = [result.figures.get(what) for result in self.results]
            table_rows.append(
                [what, *(_cell(value, values[0], column_index) for column_index, value in enumerate(values))]
            )
        return table_rows

    def show(self, console: Console) -> None:
        """Print the table."""
        table = Table(title=self.name, title_justify="left", title_style="bold")
        for column_index, head in enumerate(["job", *(result.title for result in self.results)]):
            table.add_column(head, justify="right" if column_index else "left", overflow="fold")
        for row in self.rows():
            table.add_row(*row)
        console.print(table)

    def markdown(self) -> str:
        """Return the table as Markdown, with the command that each was started by."""
        lines = [f"## {self.name}", "", _line(["job", *(result.title for result in self.results)])]
        lines.append(_line(["---"] + ["--:"] * len(self.results)))
        commands = [f"- {result.title}: `{result.command}`" for result in self.results]
        return "\n".join([*lines, *map(_line, self.rows()), "", *commands, ""])


def _cell(value: float | str | None, first: float | str | None, column_index: int) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    if not column_index or not isinstance(first, float | int) or not first:
        return text
    ratio = value / first
    return f"{text} (×{ratio:.2g})" if abs(ratio) < 10 else f"{text} (×{ratio:,.0f})"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
