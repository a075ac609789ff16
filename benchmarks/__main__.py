"""Command line of the benchmarks: runs jobs and prints their tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import browsing, calling, lifting, overhead, reading, report, sessions, writing, yardstick
from benchmarks.peers.racing import CONTENDERS, Comparison, race
from benchmarks.scale.measuring import StoreName, scale
from benchmarks.soak import soak
from benchmarks.versions import versions

JOBS = ("yardstick", "logging", "uploading", "calling", "overhead", "lifting", "reading", "browsing")
# These take long and run only if they are named.
PEERS = ",".join(CONTENDERS)
LONG_JOBS = ("scale", "peers", "soak", "versions", "sessions")
# Calls of the soak.
SOAK_CALL_COUNT = 100_000
# Default numbers of interactions in the stores that are read.
SIZES = {"scale": "10000000", "peers": "100000", "versions": "20000"}


def main(
    jobs: Annotated[
        list[str] | None,
        typer.Argument(help=f"Which jobs: {', '.join(JOBS)} (all of these, if none is named), {', '.join(LONG_JOBS)}."),
    ] = None,
    quick: Annotated[bool, typer.Option(help="Fewer seconds and smaller stores: to see that all works.")] = False,
    size: Annotated[str, typer.Option(help="Interactions in the stores to read, one size after the other.")] = "",
    store: Annotated[StoreName, typer.Option(help="scale: which store to load and measure.")] = "sqlite",
    keep: Annotated[
        Path | None, typer.Option(help="scale, browsing: a directory for the store: filled if it is empty, and kept.")
    ] = None,
    contenders: Annotated[
        str, typer.Option(help=f"peers: which, the first of them being what the others are compared with: {PEERS}.")
    ] = PEERS,
    other: Annotated[
        Path | None,
        typer.Option(help="versions: the Python of the environment in which the version to compare with is installed."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="A file to write the tables to, as Markdown.")] = None,
) -> None:
    """Measure what a server on this machine does, beside what it is meant to do.

    Stores are made in the directory that TMPDIR names, and taken away. Nothing is asserted: figures of a shared machine
    vary, ratios of one run less so.
    """
    chosen = jobs or list(JOBS)
    for job in chosen:
        if job not in (*JOBS, *LONG_JOBS):
            raise typer.BadParameter(
                f"{job!r} is no job. Jobs are {', '.join((*JOBS, *LONG_JOBS))}.", param_hint="jobs"
            )
    try:
        usual = "20000" if quick else SIZES.get(chosen[0], "100000,1000000")
        sizes = [int(number) for number in (size or usual).split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"{size!r} is not a list of numbers such as 100000,1000000.", param_hint="size"
        ) from None
    names = contenders.split(",")
    for name in names:
        if name not in CONTENDERS:
            raise typer.BadParameter(f"{name!r} is none of {PEERS}.", param_hint="contenders")
    if "versions" in chosen and other is None:
        raise typer.BadParameter("The job versions compares with the version that --other names.", param_hint="other")
    console = Console()
    if not console.is_terminal:
        console.width = 130
    console.print(report.machine(), highlight=False)
    sections: dict[str, report.Section | Comparison] = {}
    for section in run(chosen, sizes, quick, store, keep, names, other):
        section.show(console)
        sections[section.name] = section
        if output:
            # Written after each job, so that its figures are kept if a later job fails.
            output.write_text(report.markdown(sections.values()))


def run(
    jobs: list[str],
    sizes: list[int],
    quick: bool,
    store: StoreName,
    keep: Path | None,
    contenders: list[str],
    other: Path | None,
) -> Iterator[report.Section | Comparison]:
    """Run jobs; yield the table of each when it is done."""
    if "yardstick" in jobs:
        yield yardstick.yardstick(1 if quick else 3)
    if "logging" in jobs:
        yield writing.logging(1 if quick else 4)
    if "uploading" in jobs:
        yield writing.uploading(10_000 if quick else 50_000)
    if "calling" in jobs:
        yield from calling.calling(1 if quick else 4)
    if "overhead" in jobs:
        yield overhead.overhead(500 if quick else 1_500, 3 if quick else 9)
    if "lifting" in jobs:
        yield lifting.lifting(50 if quick else 500)
    if "reading" in jobs:
        for size in sizes:
            yield from reading.reading(size, 0.5 if quick else 3, 5 if quick else 20)
    if "browsing" in jobs:
        yield from browsing.browsing(sizes[-1], 3 if quick else 15, keep)
    if "scale" in jobs:
        for size in sizes:
            yield from scale(size, store, keep, 0.5 if quick else 3, 5 if quick else 60)
    if "soak" in jobs:
        yield soak(SOAK_CALL_COUNT // 10 if quick else SOAK_CALL_COUNT)
    if "sessions" in jobs:
        yield sessions.sessions(2 if quick else 20)
    if "versions" in jobs and other:
        yield versions(other, sizes[0], 0.3 if quick else 1.0, 3 if quick else 7)
    if "peers" in jobs:
        for size in sizes:
            yield from race(contenders, size, 1 if quick else 3, 1 if quick else 3)


if __name__ == "__main__":
    typer.run(main)
