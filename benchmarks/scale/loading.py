"""The parts of a bulk load that all stores share: worker processes that make rows, in order, a few batches ahead."""

from __future__ import annotations

import resource
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import msgspec

from afterword.ids import uuid7
from afterword.store.background.rollups import HOUR_MS
from benchmarks.load import send
from benchmarks.scale.population import BLOCK_ROWS, METRICS, MODELS, Population
from benchmarks.scale.rows import Batch, Names, Rows, dictionary_of
from benchmarks.server import Server

T = TypeVar("T")
ReportProgress: TypeAlias = Callable[[int], None]
"""Called now and then with the number of interactions that are loaded."""

BATCH_ROWS = 125 * BLOCK_ROWS
WORKER_COUNT = 2
# Batches that are being made, or wait to be written: some 6 MB each.
BATCHES_AHEAD_COUNT = 6


class Plan(NamedTuple):
    """All that a worker needs to make its part of the interactions."""

    size: int
    end: int
    dictionary: bytes
    names: Names = Names(0, {}, {})


class Loaded(msgspec.Struct):
    """The seconds of a load: until the rows were written, until the texts were too, and until all was on disk; and the
    processor's seconds, which depend less on what else the machine does."""

    size: int
    rows: float
    texts: float
    all: float
    processor: float


class LoadTarget(Protocol):
    """A store to load and to run a server over."""

    name: str
    """Its database and version."""

    def load(self, size: int, tell: ReportProgress) -> Loaded:
        """Fill the empty store."""
        ...

    def start(self) -> Server:
        """Start a server over it."""
        ...

    def sizes(self) -> list[tuple[str, int, bool]]:
        """Return what it takes on disk: names, bytes, and whether that is all but the text index."""
        ...

    def memory(self, server: Server) -> int:
        """Return the bytes of memory that the server and its database hold."""
        ...


class Clock:
    """Times a load."""

    def __init__(self) -> None:
        self._begin, self._used = time.perf_counter(), _processor()

    @property
    def seconds(self) -> float:
        """Return the seconds since the load began."""
        return time.perf_counter() - self._begin

    def loaded(self, size: int, rows: float, texts: float) -> Loaded:
        """Return what the load took, all of which has ended."""
        return Loaded(size, rows, texts, self.seconds, _processor() - self._used)


def _processor() -> float:
    each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in each)


def prepare(server: Server, size: int) -> Plan:
    """Register metrics and models with an empty server, as a user would; return what to load into its store."""
    for key, kind in METRICS.items():
        send(server.target, "POST", "/api/v1/metrics", {"key": key, "kind": kind})
    for key in MODELS:
        send(server.target, "POST", "/api/v1/models", {"provider": "echo", "key": key})
    end = time.time_ns() // 1_000_000
    return Plan(size, end, dictionary_of(Population(size, end=end)))


def mark(plan: Plan) -> tuple[bytes, int, int, int]:
    """Return the row that says that the project's hours are still to be added up, as after an upgrade."""
    first = Population(plan.size, end=plan.end).created_at(0)
    return uuid7().bytes, plan.names.project, first // HOUR_MS, plan.end // HOUR_MS


def batches(plan: Plan, form: Callable[[Batch], T]) -> Iterator[T]:
    """Yield all batches in the order of their interactions, made and brought into their form in worker processes."""
    starts = iter(range(0, plan.size, BATCH_ROWS))
    with ProcessPoolExecutor(WORKER_COUNT, get_context("spawn"), _begin, (plan,)) as workers:
        ahead: deque[Future[T]] = deque()

        def submit_next() -> None:
            if (start := next(starts, None)) is not None:
                ahead.append(workers.submit(_make, start, form))

        for _ in range(BATCHES_AHEAD_COUNT):
            submit_next()
        while ahead:
            batch = ahead.popleft().result()
            submit_next()
            yield batch


class _Maker:
    """What a worker process makes batches with."""

    def __init__(self, plan: Plan) -> None:
        self.population = Population(plan.size, end=plan.end)
        self.rows = Rows(plan.names, plan.dictionary)


_maker: _Maker | None = None


def _begin(plan: Plan) -> None:
    global _maker
    _maker = _Maker(plan)


def _make(first: int, form: Callable[[Batch], T]) -> T:
    assert _maker is not None
    return form(_maker.rows.batch(_maker.population.interactions(first, BATCH_ROWS)))
