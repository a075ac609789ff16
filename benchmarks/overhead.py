"""The processor time of an operation, as a multiple of what a bare server takes for the same body, and by thread.

Both servers work in one run and by turns, so that other load on the machine affects both. Other than a rate or a
latency, the ratio is nearly the same on a busy machine as on a quiet one.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil

from benchmarks import load
from benchmarks.bare import running_bare
from benchmarks.calling import PATH, register, request_body, upstream
from benchmarks.load import Target
from benchmarks.report import Figure, Section
from benchmarks.server import Server, running
from benchmarks.workload import Kind
from benchmarks.writing import Submit, check

THREAD_NAMES = {"writer-0": "write queue", "search-index": "text index"}
MAX_TURN_SECONDS = 60.0
# Threads that take less of an operation are summed up.
LEAST_SHARE = 0.02


class Operation(NamedTuple):
    """An operation: `drive` makes a server do it many times, and returns how many times that was."""

    what: str
    drive: Callable[[Target], int]
    aim: float | None = None
    """The aimed multiple of the bare server's processor time."""


class Turn(NamedTuple):
    """The processor time of one operation in a turn: on the bare server, and on Afterword by thread. Microseconds."""

    bare: float
    by_thread: dict[str, float]

    @property
    def total(self) -> float:
        """Return the processor time of all threads and processes of Afterword."""
        return sum(self.by_thread.values())


def overhead(operation_count: int, turn_count: int) -> Section:
    """Measure operations that write, in `turn_count` turns of `operation_count` on each server."""
    figures: list[Figure] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="afterword-bench-")))
        port = stack.enter_context(upstream())
        submit = stack.enter_context(load.generator())
        bare = stack.enter_context(running_bare("echo"))
        server = stack.enter_context(running(folder, module="benchmarks.named_threads"))
        server.register_metric()
        register(server, port)
        for operation in _operations(server, submit, operation_count):
            for target in (bare.target, server.target):
                operation.drive(target)
            server.wait_for_texts()
            server.wait_for_rollups()
            turns = [_turn(operation, bare.target, bare.process_id, server) for _ in range(turn_count)]
            figures += _figures(operation, turns)
    return Section("Processor time of an operation, beside a bare server that decodes and answers its body", figures)


def _operations(server: Server, submit: Submit, count: int) -> Iterator[Operation]:
    limits: dict[str, Any] = {"most_calls": count, "seconds": MAX_TURN_SECONDS, "warm_up": 0.0}

    def call(in_flight: int, *, stream: bool = False) -> Callable[[Target], int]:
        body = request_body({"labels": {"bench": "yes", "version": "7"}}, "default/fast", stream)
        arguments: dict[str, Any] = {**limits, "in_flight": in_flight, "statuses": (200, 201)}
        return lambda target: submit(load.call, target, PATH, body, **arguments).result().answered

    def write(kind: Kind, completions: list[str]) -> Callable[[Target], int]:
        def drive(target: Target) -> int:
            arguments: dict[str, Any] = {**limits, "in_flight": 30, "completions": completions}
            timings: load.Timings = submit(load.write, target, kind, **arguments).result()
            check(timings)
            return len(timings.each)

        return drive

    yield Operation("logged call, 1 in flight", call(1), 24.0)
    yield Operation("logged call, 16 in flight", call(16), 18.0)
    yield Operation("logged call, 64 in flight", call(64), 16.0)
    yield Operation("logged call, streamed, 16 in flight", call(16, stream=True), 38.0)
    yield Operation("interaction, 30 in flight", write("interaction", []), 12.5)
    yield Operation("feedback, 30 in flight", write("feedback", server.completions(1_000)), 4.5)


def _turn(operation: Operation, bare: Target, bare_process_id: int, server: Server) -> Turn:
    """Drive the bare server, then Afterword, whose work in the background belongs to its operations."""
    bare_before = _nanoseconds_by_thread(bare_process_id)
    bare_count = operation.drive(bare)
    bare_used = _nanoseconds_by_thread(bare_process_id) - bare_before
    before = _nanoseconds_by_thread(server.process_id)
    count = operation.drive(server.target)
    server.wait_for_texts()
    used = _nanoseconds_by_thread(server.process_id) - before
    microseconds_by_thread = {name: nanoseconds / 1000 / count for name, nanoseconds in used.items()}
    return Turn(bare_used.total() / 1000 / bare_count, microseconds_by_thread)


def _nanoseconds_by_thread(process_id: int) -> Counter[str]:
    """Return the processor time so far of a process's threads, and of its child processes."""
    process = psutil.Process(process_id)
    nanoseconds: Counter[str] = Counter()
    for folder in Path(f"/proc/{process_id}/task").iterdir():
        # A thread may end meanwhile.
        with suppress(FileNotFoundError, ProcessLookupError):
            name = "event loop" if folder.name == str(process_id) else (folder / "comm").read_text().strip()
            nanoseconds[THREAD_NAMES.get(name, name)] += _nanoseconds(folder)
    for child in process.children(recursive=True):
        nanoseconds["writer process"] += sum(map(_nanoseconds, Path(f"/proc/{child.pid}/task").iterdir()))
    return nanoseconds


def _nanoseconds(folder: Path) -> int:
    # `stat` counts in steps of 10 ms.
    return int((folder / "schedstat").read_text().split()[0])


def _figures(operation: Operation, turns: list[Turn]) -> list[Figure]:
    total = median(turn.total for turn in turns)
    names = {name for turn in turns for name in turn.by_thread}
    medians = {name: median(turn.by_thread.get(name, 0.0) for turn in turns) for name in names}
    large = {name: time for name, time in medians.items() if time >= LEAST_SHARE * total}
    others = sum(medians.values()) - sum(large.values())
    ratio = median(turn.total / turn.bare for turn in turns)
    return [
        Figure(f"{operation.what}: times the bare server", ratio, "", operation.aim),
        Figure("... the bare server", median(turn.bare for turn in turns), "µs"),
        Figure("... Afterword", total, "µs"),
        *(
            Figure(f"... ... {name}", time, "µs")
            for name, time in sorted(large.items(), key=lambda named_time: -named_time[1])
        ),
        Figure("... ... other threads", others, "µs"),
    ]
