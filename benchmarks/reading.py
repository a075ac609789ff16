"""Reading jobs: pages over stores of several sizes, alone and while interactions arrive; memory, start, disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import msgspec

from afterword.types import Filter, LabelCondition, Match, NewTrend, Search, TimeRange
from benchmarks import load
from benchmarks.report import Figure, Section, of_calls, of_pages
from benchmarks.server import Server, running
from benchmarks.workload import COMMON_WORD, METRIC, RARE_WORD
from benchmarks.writing import Submit

MILLION_ROWS = 1_000_000
# The days that a million interactions span.
DAYS = 30.0
ARRIVALS_PER_SECOND = 2_000

PAGE_AIM_MS = 20
ARRIVING_AIM_MS = 100
IDLE_AIM, FULL_AIM = 120, 300
START_AIM_SECONDS = 1.5
DISK_AIM_BYTES = 1_000

TRIPLE = "label + time + feedback value"


Call: TypeAlias = tuple[str, bytes | None]
"""A path, and the body of a POST; None for a GET."""


def pages(server: Server, size: int, began: datetime) -> dict[str, Call]:
    """Return the calls to measure, by description."""
    rare, broad, good = "label=release:2.100", "label=environment:production", f"feedback={METRIC}%3E%3D4"
    # A thirtieth of the store, from its middle.
    span = timedelta(days=DAYS * size / MILLION_ROWS)
    start = began - timedelta(days=DAYS) + span / 2
    day = "&".join(
        f"{name}={quote(moment.isoformat(timespec='milliseconds'))}"
        for name, moment in (("from", start), ("to", start + span / 30))
    )
    # A cursor is a position that works with any filter; this one is in the middle of the store.
    deep = load.send(server.target, "GET", f"/api/v1/interactions?limit=50&{day}")["next"]
    no_production = Filter(not_=Filter(label=LabelCondition(key="environment", value=Match(eq="production"))))
    queries = {
        "newest 50": "",
        "one label, rare (1 in 300)": rare,
        "one label, broad (60 %)": broad,
        "label AND label": f"{broad}&label=team:team-3",
        "feedback value": good,
        "feedback value AND rare label": f"{rare}&{good}",
        TRIPLE: f"{broad}&{day}&{good}",
        f"{TRIPLE}, the label rare": f"{rare}&{day}&{good}",
        "text, a rare word (1 in 2,000)": f"q={RARE_WORD}",
        "text, a common word (1 in 4)": f"q={COMMON_WORD}",
        "text, a common word, AND rare label": f"{rare}&q={COMMON_WORD}",
        "deep in a cursor": f"cursor={deep}",
    }
    calls: dict[str, Call] = {what: (f"/api/v1/interactions?limit=50&{query}", None) for what, query in queries.items()}
    calls["NOT label"] = ("/api/v1/interactions/search", query_body(Search(filter=no_production)))
    return calls


LONG_CALLS: dict[str, Call] = {
    "count of a broad label": ("/api/v1/interactions?limit=1&label=environment:production&count=true", None),
    "count of two broad labels": (
        "/api/v1/interactions?limit=1&label=environment:production&label=team:team-3&count=true",
        None,
    ),
    "group_by=model": ("/api/v1/interactions?group_by=model", None),
    "group_by=model, of a rare label": ("/api/v1/interactions?group_by=model&label=release:2.100", None),
}


# A condition that always holds, but that rollups do not support, so that the rows are scanned.
ROWS_ONLY_FILTER = Filter(or_=[Filter(and_=[])])


def sums(began: datetime) -> dict[str, tuple[str, NewTrend]]:
    """Return the calls of the metrics page: paths and bodies."""
    week = TimeRange(from_=(began - timedelta(days=8)).isoformat(), to=(began - timedelta(days=1)).isoformat())
    return {
        "statistics of a metric": (f"/api/v1/metrics/{METRIC}/statistics", NewTrend()),
        "statistics of a metric, by model": (f"/api/v1/metrics/{METRIC}/statistics", NewTrend(split_by="model")),
        "a metric by day, by model": (f"/api/v1/metrics/{METRIC}/timeseries", NewTrend(split_by="model")),
        "a metric by hour, a week": (
            f"/api/v1/metrics/{METRIC}/timeseries",
            NewTrend(interval="hour", filter=Filter(timerange=week)),
        ),
        "interactions by day": ("/api/v1/interactions/timeseries", NewTrend()),
    }


def _sums(server: Server, size: int, began: datetime, seconds: float) -> Section:
    """Request sums from rollups and from rows; both must give the same answer."""
    figures = []
    for what, (path, trend) in sums(began).items():
        by_rows = ROWS_ONLY_FILTER if trend.filter is None else Filter(and_=[trend.filter, ROWS_ONLY_FILTER])
        answers = []
        for how, filter in (("", trend.filter), (": from the rows", by_rows)):
            body = query_body(msgspec.structs.replace(trend, filter=filter), statistics=path.endswith("statistics"))
            timings, answer = load.read(server.target, path, body=body, times=50, most_seconds=seconds)
            figures.append(of_pages(what + how, timings))
            answers.append(msgspec.json.decode(answer))
        if _rounded(answers[0]) != _rounded(answers[1]):
            raise RuntimeError(f"Rollups and rows answer {path} differently.")
    return Section(f"Statistics and trends at {size:,}", figures)


def query_body(query: Search | NewTrend, *, statistics: bool = False) -> bytes:
    """Return the body of a request without fields that have their defaults, which another version may not know.

    With `statistics`, the fields that ask for a trend are left out.
    """

    def without_nulls(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without_nulls(field) for name, field in value.items() if field is not None}
        return [without_nulls(part) for part in value] if isinstance(value, list) else value

    defaults = {field.name: field.default for field in msgspec.structs.fields(query)}
    fields = {
        name: without_nulls(value)
        for name, value in msgspec.to_builtins(query).items()
        if value is not None and value != defaults[name]
    }
    if statistics:
        fields = {name: fields[name] for name in ("filter", "split_by") if name in fields}
    return msgspec.json.encode(fields)


def _rounded(answer: Any) -> Any:
    """Return an answer with numbers rounded to nine digits, because sums depend slightly on the order of addition."""
    if isinstance(answer, dict):
        return {name: _rounded(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [_rounded(value) for value in answer]
    return float(f"{answer:.9g}") if isinstance(answer, float) else answer


def reading(size: int, seconds: float, arriving_seconds: float) -> Iterator[Section]:
    """Fill a store of `size` interactions, then read it in every way; `seconds` is the time for each page."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="afterword-bench-"))
        directory = Path(folder) / "data"
        submit = stack.enter_context(load.generator())
        began, figures = fill(directory, submit, size)
        with running(directory) as server:
            figures.append(
                Figure(f"start to first healthy answer, {size:,}", server.seconds_to_start, "s", START_AIM_SECONDS)
            )
            server.settle()
            figures.append(Figure("resident memory after a restart, idle", server.memory / 1e6, "MB", FULL_AIM))
            yield Section(f"A store of {size:,} interactions", figures)
            calls = pages(server, size, began)
            figures = [
                of_pages(what, read_page(server, call, seconds), aim=PAGE_AIM_MS if what == TRIPLE else None)
                for what, call in calls.items()
            ]
            yield Section(f"Pages of 50 at {size:,}, one call in flight", figures)
            figures = [of_pages(what, read_page(server, call, seconds)) for what, call in LONG_CALLS.items()]
            figures.append(Figure("resident memory after all that", server.memory / 1e6, "MB", FULL_AIM))
            yield Section(f"Counts and groups at {size:,}", figures)
            server.wait_for_rollups()
            yield _sums(server, size, began, seconds)
            yield Section(
                f"The same pages at {size:,} while {ARRIVALS_PER_SECOND:,} interactions/s arrive",
                read_meanwhile(server, calls, submit, arriving_seconds),
            )


def fill(directory: Path, submit: Submit, size: int) -> tuple[datetime, list[Figure]]:
    """Fill a new store; return when that began, and its figures."""
    with running(directory) as server:
        start = server.seconds_to_start
        server.register_metric()
        server.settle()
        idle = server.memory
        arguments = {"first": 0, "number": size, "batch": 1_000, "in_flight": 4, "days": DAYS}
        began = datetime.now(UTC)
        loaded: load.Timings = submit(load.upload, server.target, **arguments).result()
        if loaded.refused:
            raise RuntimeError(f"The server refused {loaded.refused} interactions.")
        waited = server.wait_for_texts() + loaded.seconds
        full = server.memory
    return began, [
        of_calls(f"load {size:,} in batches of 1,000, 4 in flight", loaded, each=1_000),
        Figure("the same until all texts can be found", size / waited, "/s"),
        Figure("afterword.db, an interaction", server.size("afterword.db") / size, "bytes", DISK_AIM_BYTES),
        Figure("search.db, an interaction", server.size("search.db") / size, "bytes"),
        Figure("resident memory, empty and idle", idle / 1e6, "MB", IDLE_AIM),
        Figure(f"resident memory after loading {size:,}", full / 1e6, "MB", FULL_AIM),
        Figure("start to first healthy answer, empty", start, "s", START_AIM_SECONDS),
    ]


def read_page(server: Server, call: Call, seconds: float) -> load.Timings:
    """Make the same call repeatedly."""
    path, body = call
    timings, _ = load.read(server.target, path, body=body, times=300, most_seconds=seconds)
    return timings


def read_meanwhile(
    server: Server, calls: dict[str, Call], submit: Submit, seconds: float, rate: int = ARRIVALS_PER_SECOND
) -> list[Figure]:
    """Read pages in turn while interactions arrive; all calls of a page give one figure."""
    arriving = submit(load.arrive, server.target, rate=rate, seconds=seconds)
    while server.newest_seconds_ago() > 1 and not arriving.done():
        pass
    read: dict[str, load.Timings] = {what: load.Timings() for what in calls}
    while not arriving.done():
        for what, call in calls.items():
            timings, _ = load.read(server.target, call[0], body=call[1], times=5, most_seconds=0.5)
            read[what].each += timings.each
    arrived: load.Timings = arriving.result()
    if arrived.refused:
        raise RuntimeError(f"The server refused {arrived.refused} interactions.")
    figures = [of_pages(what, timings, aim=ARRIVING_AIM_MS) for what, timings in read.items()]
    return [*figures, of_calls("interactions that arrived meanwhile", arrived, aim=rate)]
