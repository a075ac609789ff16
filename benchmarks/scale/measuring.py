"""A server over millions of interactions: load, pages, sums, export, retention, start, disk, memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from benchmarks import load
from benchmarks.reading import DISK_AIM, FULL_AIM, START_AIM, read_meanwhile, read_page
from benchmarks.report import Figure, Section, of_pages
from benchmarks.scale import asking
from benchmarks.scale.loading import Loaded, Place
from benchmarks.server import KEY, Server

StoreName: TypeAlias = Literal["sqlite", "postgresql"]

ARRIVING = 1_000
PAGE_AIM = 50
LOAD_AIM = 15_000
LOADED = "loaded.json"


def scale(size: int, store: StoreName, keep: Path | None, seconds: float, arriving_seconds: float) -> Iterator[Section]:
    """Load a store, or take the one that an earlier run has kept in `keep`, and measure a server over it; `seconds` are
    for each page."""
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="afterword-scale-")))
        folder.mkdir(parents=True, exist_ok=True)
        place = stack.enter_context(_opened(store, folder))
        loaded = _loaded(place, folder, size)
        server = place.start()
        try:
            yield _store(place, server, loaded)
            end = asking.end_of(server)
            calls = asking.pages(server, end)
            figures = [
                of_pages(
                    what, read_page(server, call, seconds), aim=PAGE_AIM if what.startswith(asking.TRIPLE) else None
                )
                for what, call in calls.items()
            ]
            yield Section(f"Pages of 50 at {loaded.size:,} on {place.name}, one call in flight", figures)
            figures = [of_pages(what, read_page(server, call, seconds)) for what, call in asking.sums(end).items()]
            figures.append(Figure("memory after all that", place.memory(server) / 1e6, "MB", FULL_AIM))
            yield Section(f"Counts, groups and statistics at {loaded.size:,} on {place.name}", figures)
            yield Section(f"Export at {loaded.size:,} on {place.name}", _exported(server, folder))
            submit = stack.enter_context(load.generator())
            yield Section(
                f"The same pages at {loaded.size:,} on {place.name} while {ARRIVING:,} interactions/s arrive",
                read_meanwhile(server, calls, submit, arriving_seconds, ARRIVING),
            )
        finally:
            server.stop()


def _opened(store: StoreName, folder: Path) -> AbstractContextManager[Place]:
    if store == "sqlite":
        from benchmarks.scale.sqlite import opened
    else:
        from benchmarks.scale.postgresql import opened
    return opened(folder)


def _loaded(place: Place, folder: Path, size: int) -> Loaded:
    """Load the store, unless that was done before."""
    note = folder / LOADED
    if note.exists():
        return msgspec.json.decode(note.read_bytes(), type=Loaded)
    begin = time.perf_counter()

    def tell(done: int) -> None:
        print(f"{done:,} loaded, {done / (time.perf_counter() - begin):,.0f}/s", file=sys.stderr, flush=True)

    loaded = place.load(size, tell)
    note.write_bytes(msgspec.json.encode(loaded))
    return loaded


def _store(place: Place, server: Server, loaded: Loaded) -> Section:
    size = loaded.size
    figures = [
        Figure("loaded in bulk, without the server", size / loaded.all, "/s", LOAD_AIM),
        Figure("... in all", loaded.all, "s"),
        Figure("... the processor's time for each", loaded.processor / size * 1e6, "µs"),
        *(
            Figure(f"{what}, an interaction", bytes / size, "bytes", DISK_AIM if main else None)
            for what, bytes, main in place.sizes()
        ),
        Figure("start to first healthy answer", server.seconds_to_start, "s", START_AIM),
    ]
    server.settle()
    figures.append(Figure("memory after the start, idle", place.memory(server) / 1e6, "MB", FULL_AIM))
    return Section(f"A store of {size:,} on {place.name}", figures)


EXPORTS = {
    "of a label of two days": ("--label", "release=3.9"),
    "of a rare label": ("--label", "customer=customer-3000"),
}
MOST_EXPORTED = 50_000


def _exported(server: Server, folder: Path) -> list[Figure]:
    """Run `afterword export`, as a user would."""
    figures: list[Figure] = []
    for what, options in EXPORTS.items():
        file = folder / "exported.jsonl"
        begin = time.perf_counter()
        subprocess.run(
            [
                *(sys.executable, "-m", "afterword", "--url", server.url, "export", *options),
                *("--limit", str(MOST_EXPORTED), "--output", str(file)),
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
