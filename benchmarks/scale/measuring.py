"""A server over millions of interactions: load, pages, sums, export, retention, start, disk, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from benchmarks import load
from benchmarks.load import send
from benchmarks.reading import DISK_AIM_BYTES, FULL_AIM, START_AIM_SECONDS, read_meanwhile, read_page
from benchmarks.report import Figure, Section, of_calls, of_pages
from benchmarks.scale import asking
from benchmarks.scale.loading import Loaded, LoadTarget
from benchmarks.scale.population import DAYS
from benchmarks.server import KEY, Server
from benchmarks.writing import Submit

StoreName: TypeAlias = Literal["sqlite", "postgresql"]

ARRIVALS_PER_SECOND = 1_000
PAGE_AIM_MS = 50
AIM_ROWS_PER_SECOND = 15_000
LOAD_FILE_NAME = "loaded.json"


def scale(size: int, store: StoreName, keep: Path | None, seconds: float, arriving_seconds: float) -> Iterator[Section]:
    """Load a store, or take the one that an earlier run has kept in `keep`, and measure a server over it; `seconds` are
    for each page."""
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="afterword-scale-")))
        folder.mkdir(parents=True, exist_ok=True)
        load_target = stack.enter_context(_open_target(store, folder))
        loaded = _loaded(load_target, folder, size)
        server = load_target.start()
        try:
            yield _store(load_target, server, loaded)
            yield Section(f"Sums by hour at {loaded.size:,} on {load_target.name}", [_added_up(server)])
            end = asking.end_of(server)
            calls = asking.pages(server, end)
            figures = [
                of_pages(
                    what, read_page(server, call, seconds), aim=PAGE_AIM_MS if what.startswith(asking.TRIPLE) else None
                )
                for what, call in calls.items()
            ]
            yield Section(f"Pages of 50 at {loaded.size:,} on {load_target.name}, one call in flight", figures)
            figures = [of_pages(what, read_page(server, call, seconds)) for what, call in asking.sums(end).items()]
            figures.append(Figure("memory after all that", load_target.memory(server) / 1e6, "MB", FULL_AIM))
            yield Section(f"Counts, groups and statistics at {loaded.size:,} on {load_target.name}", figures)
            yield Section(f"Export at {loaded.size:,} on {load_target.name}", _exported(server, folder))
            submit = stack.enter_context(load.generator())
            yield Section(
                f"The same pages at {loaded.size:,} on {load_target.name} "
                f"while {ARRIVALS_PER_SECOND:,} interactions/s arrive",
                read_meanwhile(server, calls, submit, arriving_seconds, ARRIVALS_PER_SECOND),
            )
            yield Section(
                f"Retention at {loaded.size:,} on {load_target.name}", _retained(server, submit, arriving_seconds)
            )
        finally:
            server.stop()


def _open_target(store: StoreName, folder: Path) -> AbstractContextManager[LoadTarget]:
    if store == "sqlite":
        from benchmarks.scale.sqlite import open_store
    else:
        from benchmarks.scale.postgresql import open_store
    return open_store(folder)


def _loaded(load_target: LoadTarget, folder: Path, size: int) -> Loaded:
    """Load the store, unless that was done before."""
    note = folder / LOAD_FILE_NAME
    if note.exists():
        return msgspec.json.decode(note.read_bytes(), type=Loaded)
    begin = time.perf_counter()

    def tell(done: int) -> None:
        print(f"{done:,} loaded, {done / (time.perf_counter() - begin):,.0f}/s", file=sys.stderr, flush=True)

    loaded = load_target.load(size, tell)
    note.write_bytes(msgspec.json.encode(loaded))
    return loaded


def _store(load_target: LoadTarget, server: Server, loaded: Loaded) -> Section:
    size = loaded.size
    figures = [
        Figure("loaded in bulk, without the server", size / loaded.all, "/s", AIM_ROWS_PER_SECOND),
        Figure("... in all", loaded.all, "s"),
        Figure("... the processor's time for each", loaded.processor / size * 1e6, "µs"),
        *(
            Figure(f"{what}, an interaction", bytes / size, "bytes", DISK_AIM_BYTES if main else None)
            for what, bytes, main in load_target.sizes()
        ),
        Figure("start to first healthy answer", server.seconds_to_start, "s", START_AIM_SECONDS),
    ]
    server.settle()
    figures.append(Figure("memory after the start, idle", load_target.memory(server) / 1e6, "MB", FULL_AIM))
    return Section(f"A store of {size:,} on {load_target.name}", figures)


def _added_up(server: Server) -> Figure:
    """Wait until all hours are added up; in a store that is kept they mostly are."""
    begin = time.perf_counter()
    while _metric(server, "afterword_rollup_marks"):
        time.sleep(1.0)
    return Figure("added up after the start, in the background", time.perf_counter() - begin, "s")


EXPORTS = {
    "of a label of two days": ("--label", "release=3.9"),
    "of a rare label": ("--label", "customer=customer-3000"),
}
MAX_EXPORTED_ROWS = 50_000


# Of the days that a store spans. What is older is some 5 %, and all of the first month where that is a short one.
KEPT_DAYS = DAYS - 6
# What the first look deletes beyond this was dropped as a whole.
MIN_DROPPED_ROWS = 10_000


def _retained(server: Server, submit: Submit, seconds: float) -> list[Figure]:
    """Let the oldest be deleted, alone and while interactions arrive. What was deleted stays so: the last of all jobs,
    and of a store that is kept the next run finds less to delete."""
    begin = time.perf_counter()
    send(server.target, "PATCH", "/api/v1/projects/default", {"retention_days": KEPT_DAYS})
    while (deleted := _deleted(server)) == 0 and time.perf_counter() - begin < seconds:
        time.sleep(0.02)
    figures: list[Figure] = []
    if deleted > MIN_DROPPED_ROWS:
        figures.append(Figure(f"the part of a month dropped, {deleted:,}", time.perf_counter() - begin, "s"))
    figures.append(Figure("deleted some at a time", _rate(server, lambda: time.sleep(seconds)), "/s"))
    arriving = submit(load.arrive, server.target, rate=ARRIVALS_PER_SECOND, seconds=seconds)
    figures.append(
        Figure(f"... while {ARRIVALS_PER_SECOND:,} interactions/s arrive", _rate(server, arriving.result), "/s")
    )
    figures.append(of_calls("interactions that arrived meanwhile", arriving.result(), aim=ARRIVALS_PER_SECOND))
    send(server.target, "PATCH", "/api/v1/projects/default", {"retention_days": 0})
    return figures


def _rate(server: Server, meanwhile: Callable[[], object]) -> float:
    """Return how many were deleted a second while something was done."""
    before, begin = _deleted(server), time.perf_counter()
    meanwhile()
    return (_deleted(server) - before) / (time.perf_counter() - begin)


def _deleted(server: Server) -> int:
    return _metric(server, 'afterword_retention_deleted_total{what="interaction"}')


def _metric(server: Server, name: str) -> int:
    """Return a figure that the server counts."""
    _, page = load.read(server.target, "/metrics", times=1, most_seconds=1)
    lines = page.decode().splitlines()
    return int(float(next(line for line in lines if line.startswith(f"{name} ")).rpartition(" ")[2]))


def _exported(server: Server, folder: Path) -> list[Figure]:
    """Run `afterword export`, as a user would."""
    figures: list[Figure] = []
    for what, options in EXPORTS.items():
        file = folder / "exported.jsonl"
        begin = time.perf_counter()
        subprocess.run(
            [
                *(sys.executable, "-m", "afterword", "--url", server.url, "export", *options),
                *("--limit", str(MAX_EXPORTED_ROWS), "--output", str(file)),
            ],
            check=True,
            env={**os.environ, "AFTERWORD_API_KEY": KEY},
            stderr=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - begin
        with file.open("rb") as lines:
            number = sum(1 for _ in lines)
        file.unlink()
        figures.append(Figure(f"`afterword export` {what}: {number:,} interactions", number / seconds, "/s"))
        figures.append(Figure("... in all", seconds, "s"))
    return figures
