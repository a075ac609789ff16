"""Two versions of the server by turns: the processor time that each takes for the same operation."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks import load
from benchmarks.calling import PATH, register, request_body, upstream
from benchmarks.reading import DAYS, LONG_CALLS, Call, pages, query_body, sums
from benchmarks.report import Figure, Section
from benchmarks.server import Server, running
from benchmarks.workload import Kind
from benchmarks.writing import Submit, check

IN_FLIGHT = 30
# A version that takes more than this share longer than the other is slower.
RATIO_AIM = 1.03

Operation: TypeAlias = Callable[[Server], int]
"""Drives a server for a while; returns how many operations that were."""


def versions(other_python: Path, size: int, seconds: float, turn_count: int) -> Section:
    """Compare this version with another one over stores of the same `size` interactions.

    `other_python` is the interpreter of the environment that the other version is installed in. Each operation runs
    for `seconds` on one server, then on the other, `turn_count` times, so that other load on the machine affects both.
    A figure is the processor time of all turns, background work included, divided by the number of operations.
    """
    figures: list[Figure] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="afterword-bench-")))
        port = stack.enter_context(upstream())
        submit = stack.enter_context(load.generator())
        servers = [
            stack.enter_context(running(folder / name, python=python))
            for name, python in (("this", None), ("other", other_python))
        ]
        for server in servers:
            server.register_metric()
            register(server, port)
        # The reads come before the writes that take a fixed time, after which the faster version has more to read.
        operations = chain([_upload(submit, size)], _reads(servers[0], size, seconds), _writes(submit, seconds))
        for what, operation in operations:
            this, other = _processor_seconds(operation, servers, turn_count)
            figures.append(Figure(f"{what}: this version", 1e6 * this, "µs"))
            figures.append(Figure(f"{what}: the other version", 1e6 * other, "µs"))
            # A few fast calls may take less processor time than the 10 ms in which it is counted.
            ratio = this / other if other else float("nan")
            figures.append(Figure("... this version takes, of the other", ratio, "", RATIO_AIM))
    return Section(f"Processor time of an operation, by turns with {other_python}", figures)


def _processor_seconds(operation: Operation, servers: list[Server], turn_count: int) -> list[float]:
    """Return the processor time of one operation on each server; which one begins changes with each turn."""
    before = [server.processor_seconds() for server in servers]
    numbers = [0 for _ in servers]
    for turn in range(turn_count):
        for index in (0, 1) if turn % 2 else (1, 0):
            numbers[index] += operation(servers[index])
            servers[index].wait_for_texts()
    for server in servers:
        server.wait_for_rollups()
    return [
        (server.processor_seconds() - start) / number
        for server, start, number in zip(servers, before, numbers, strict=True)
    ]


def _upload(submit: Submit, size: int) -> tuple[str, Operation]:
    """Return the operation that fills the store, with its description."""

    def upload(server: Server) -> int:
        arguments: dict[str, Any] = {"first": 0, "number": size, "batch": 1_000, "in_flight": 4, "days": DAYS}
        check(submit(load.upload, server.target, **arguments).result())
        return size

    return "upload, an interaction", upload


def _writes(submit: Submit, seconds: float) -> Iterator[tuple[str, Operation]]:
    """Yield the operations that write, by description."""

    def write(kind: Kind, *, in_flight: int = IN_FLIGHT) -> Operation:
        def operation(server: Server) -> int:
            completions = [] if kind == "interaction" else server.completions(1_000)
            arguments: dict[str, Any] = {"in_flight": in_flight, "seconds": seconds, "completions": completions}
            timings: load.Timings = submit(load.write, server.target, kind, **arguments).result()
            check(timings)
            return len(timings.each)

        return operation

    def call(*, stream: bool) -> Operation:
        def operation(server: Server) -> int:
            body = request_body({"labels": {"bench": "yes"}}, "default/fast", stream)
            arguments: dict[str, Any] = {"seconds": seconds, "in_flight": IN_FLIGHT, "warm_up": 0.0}
            return submit(load.call, server.target, PATH, body, **arguments).result().answered

        return operation

    yield "log an interaction", write("interaction")
    yield "log an interaction, 1 in flight", write("interaction", in_flight=1)
    yield "log a feedback", write("feedback")
    yield "log a feedback by GraphQL", write("score")
    yield "call a model", call(stream=False)
    yield "call a model, streamed", call(stream=True)


def _reads(server: Server, size: int, seconds: float) -> Iterator[tuple[str, Operation]]:
    """Yield the operations that read, by description. `server` has what they look for; both have the same."""
    began = datetime.now(UTC)

    @cache
    def calls(server: Server) -> dict[str, Call]:
        [newest] = server.completions(1)[:1]
        trends = {
            what: (path, query_body(trend, statistics=path.endswith("statistics")))
            for what, (path, trend) in sums(began).items()
        }
        one_interaction = {"one interaction": (f"/api/v1/interactions/{newest}", None)}
        return {**one_interaction, **pages(server, size, began), **LONG_CALLS, **trends}

    def read(what: str) -> Operation:
        def operation(server: Server) -> int:
            path, body = calls(server)[what]
            timings, _ = load.read(server.target, path, body=body, times=100_000, most_seconds=seconds)
            return len(timings.each) + 1

        return operation

    for what in calls(server):
        yield what, read(what)
