"""The load generator: keep-alive HTTP/1.1 on bare sockets, in its own process.

A connection has one call in flight. A call costs the generator a few tens of microseconds, so the figures are the
server's, although both share the machine.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, TypeVar

import httptools
import msgspec
import uvloop

from benchmarks.workload import Kind, Workload

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """A server to load."""

    port: int
    key: str


@dataclass(slots=True)
class Timings:
    """The result of many calls: the seconds of each, the total duration, and the number of refused calls."""

    each: list[float] = field(default_factory=list)
    seconds: float = 0.0
    refused: int = 0

    @property
    def rate(self) -> float:
        """Return the answered calls a second."""
        return len(self.each) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Return the time, in milliseconds, that `share` of the calls did not exceed."""
        ordered = sorted(self.each)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


@dataclass(slots=True)
class Calls:
    """The result of many calls that may be streams: the times of whole answers, and of their first parts."""

    whole_answers: Timings = field(default_factory=Timings)
    first_chunks: Timings = field(default_factory=Timings)
    answered: int = 0


class Connection(asyncio.Protocol):
    """A connection to a server. Raises `ConnectionError` when it is lost within a call."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._head = f"Host: 127.0.0.1:{target.port}\r\nAuthorization: Bearer {target.key}\r\n".encode()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._parser: Any = None
        self._body: list[bytes] = []
        self.first_at = 0.0
        """When the first part of the body arrived."""

    async def open(self) -> None:
        """Connect."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._target.port)

    async def call(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json", *, headers: bytes = b""
    ) -> tuple[int, bytes]:
        """Make a call; return the status and the body of its answer. `headers` holds further header lines."""
        if self._transport is None or self._transport.is_closing():
            await self.open()
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._body = []
        self._answer = asyncio.get_running_loop().create_future()
        about = b"" if body is None else f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n".encode()
        self._transport.write(
            b"%s %s HTTP/1.1\r\n%s%s%s\r\n" % (method.encode(), path.encode(), self._head, headers, about)
        )
        if body:
            self._transport.write(body)
        return await self._answer

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    # ------------------------------------------------------------ called by asyncio and httptools

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("The server hung up."))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        if not self._body:
            self.first_at = time.perf_counter()
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), b"".join(self._body)))


@asynccontextmanager
async def connections(target: Target, number: int) -> AsyncIterator[list[Connection]]:
    """Open `number` connections, and close them at the end."""
    pool = [Connection(target) for _ in range(number)]
    await asyncio.gather(*(connection.open() for connection in pool))
    try:
        yield pool
    finally:
        for connection in pool:
            connection.close()


def run(work: Awaitable[T]) -> T:
    """Run a coroutine on uvloop in this process."""

    async def main() -> T:
        return await work

    return uvloop.run(main())


@contextmanager
def generator() -> Iterator[Callable[..., Future[Any]]]:
    """Yield a function that runs `function(*args)` in another process; `.result()` waits for it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        yield process.submit


# ------------------------------------------------------------------------------------------------ loads


def write(
    target: Target,
    kind: Kind,
    *,
    in_flight: int,
    seconds: float,
    completions: list[str] | None = None,
    seed: int = 1,
    warm_up: float = 0.5,
    most_calls: int | None = None,
) -> Timings:
    """Log as fast as the server answers, for `seconds` after those of the warm-up, or until `most_calls` were made."""
    workload = Workload(seed)
    bodies = workload.bodies(kind, completions or [])
    path = PATHS[kind]
    timings = Timings()
    numbers = _numbers(most_calls)

    async def log_until_end(connection: Connection, begin: float, end: float) -> None:
        while (start := time.perf_counter()) < end and next(numbers, None) is not None:
            status, answer = await connection.call("POST", path, next(bodies))
            if start >= begin:
                timings.each.append(time.perf_counter() - start)
                timings.refused += status != (200 if kind == "score" else 201) or b'"errors"' in answer

    async def all_of_them() -> None:
        async with connections(target, in_flight) as pool:
            begin = time.perf_counter() + min(warm_up, seconds / 4)
            end = begin + seconds
            await asyncio.gather(*(log_until_end(connection, begin, end) for connection in pool))
            timings.seconds = time.perf_counter() - begin

    run(all_of_them())
    return timings


def _numbers(most: int | None) -> Iterator[int]:
    return itertools.count() if most is None else iter(range(most))


PATHS: dict[Kind, str] = {
    "interaction": "/api/v1/interactions",
    "feedback": "/api/v1/feedback",
    "score": "/api/graphql",
}


def arrive(target: Target, *, rate: int, seconds: float, seed: int = 2) -> Timings:
    """Log interactions at a steady rate, even if the server lags. With 256 calls in flight, new ones are skipped."""
    workload = Workload(seed)
    bodies = workload.bodies("interaction", [])
    timings = Timings()

    async def log_once(connection: Connection, free: asyncio.Queue[Connection]) -> None:
        start = time.perf_counter()
        status, _ = await connection.call("POST", PATHS["interaction"], next(bodies))
        timings.each.append(time.perf_counter() - start)
        timings.refused += status != 201
        free.put_nowait(connection)

    async def all_of_them() -> None:
        async with connections(target, 256) as pool, asyncio.TaskGroup() as calls:
            free: asyncio.Queue[Connection] = asyncio.Queue()
            for connection in pool:
                free.put_nowait(connection)
            begin, due = time.perf_counter(), 0
            while (now := time.perf_counter() - begin) < seconds:
                while due < now * rate:
                    due += 1
                    if not free.empty():
                        calls.create_task(log_once(free.get_nowait(), free))
                await asyncio.sleep(0.005)
            timings.seconds = time.perf_counter() - begin

    run(all_of_them())
    return timings


def call(
    target: Target,
    path: str,
    body: bytes,
    *,
    seconds: float,
    in_flight: int | None = None,
    rate: int | None = None,
    warm_up: float = 0.5,
    statuses: Collection[int] = (200,),
    most_calls: int | None = None,
) -> Calls:
    """Post the same body repeatedly: `in_flight` calls at a time, or `rate` a second even if the server lags.

    Of calls in flight there are at most `most_calls` in all.
    """
    calls = Calls()
    numbers = _numbers(most_calls)

    async def once(connection: Connection, begin: float, start: float) -> None:
        status, _ = await connection.call("POST", path, body)
        calls.answered += status in statuses
        if start >= begin:
            calls.whole_answers.each.append(time.perf_counter() - start)
            calls.first_chunks.each.append(connection.first_at - start)
            calls.whole_answers.refused += status not in statuses

    async def flight(connection: Connection, begin: float, end: float) -> None:
        while (start := time.perf_counter()) < end and next(numbers, None) is not None:
            await once(connection, begin, start)

    async def arrivals(pool: list[Connection], begin: float, end: float) -> None:
        assert rate is not None
        free, due, start = list(pool), time.perf_counter(), 0.0
        async with asyncio.TaskGroup() as tasks:

            async def call_and_return(connection: Connection, start: float) -> None:
                await once(connection, begin, start)
                free.append(connection)

            while due < end:
                await asyncio.sleep(due - time.perf_counter())
                start = time.perf_counter()
                if free:
                    tasks.create_task(call_and_return(free.pop(), start))
                due += 1 / rate

    async def all_of_them() -> None:
        async with connections(target, in_flight or 256) as pool:
            begin = time.perf_counter() + warm_up
            end = begin + seconds
            if rate:
                await arrivals(pool, begin, end)
            else:
                await asyncio.gather(*(flight(connection, begin, end) for connection in pool))
            calls.whole_answers.seconds = calls.first_chunks.seconds = time.perf_counter() - begin

    run(all_of_them())
    if calls.whole_answers.refused:
        raise RuntimeError(f"{calls.whole_answers.refused} of {len(calls.whole_answers.each)} calls were refused.")
    return calls


def upload(
    target: Target, *, first: int, number: int, batch: int, in_flight: int, days: float, seed: int = 3
) -> Timings:
    """Log the interactions `first` to `first + number` of a workload in NDJSON batches; times are those of batches."""
    workload = Workload(seed, days=days)
    timings = Timings()
    starts = iter(range(first, first + number, batch))

    async def upload_batches(connection: Connection) -> None:
        for start in starts:
            body = b"\n".join(workload.interaction(n) for n in range(start, min(start + batch, first + number)))
            begin = time.perf_counter()
            status, answer = await connection.call(
                "POST", f"{PATHS['interaction']}/batch", body, "application/x-ndjson"
            )
            timings.each.append(time.perf_counter() - begin)
            timings.refused += answer.count(b'"error"') if status == 200 else batch

    async def all_of_them() -> None:
        async with connections(target, in_flight) as pool:
            begin = time.perf_counter()
            await asyncio.gather(*(upload_batches(connection) for connection in pool))
            timings.seconds = time.perf_counter() - begin

    run(all_of_them())
    return timings


def read(
    target: Target, path: str, *, times: int, most_seconds: float, body: bytes | None = None
) -> tuple[Timings, bytes]:
    """Get the same path repeatedly, one call in flight; return also the last answer. The first call is not timed.

    With a body, the calls are POSTs.
    """
    timings = Timings()
    method = "GET" if body is None else "POST"

    async def get_repeatedly() -> bytes:
        async with connections(target, 1) as [connection]:
            begin = time.perf_counter()
            status, answer = await connection.call(method, path, body)
            while len(timings.each) < times and (not timings.each or time.perf_counter() - begin < most_seconds):
                start = time.perf_counter()
                status, answer = await connection.call(method, path, body)
                timings.each.append(time.perf_counter() - start)
                if status != 200:
                    raise RuntimeError(f"{method} {path} answered {status}: {answer[:300]!r}")
            timings.seconds = time.perf_counter() - begin
        return answer

    return timings, run(get_repeatedly())


def status(target: Target, path: str) -> int:
    """Get a path; return the status of the answer, also of an error."""

    async def once() -> int:
        async with connections(target, 1) as [connection]:
            return (await connection.call("GET", path))[0]

    return run(once())


def send(target: Target, method: str, path: str, body: Any = None) -> Any:
    """Make one call and return its answer, decoded. Raises `RuntimeError` for a status of 300 and above."""

    async def once() -> tuple[int, bytes]:
        async with connections(target, 1) as [connection]:
            return await connection.call(method, path, None if body is None else msgspec.json.encode(body))

    status, answer = run(once())
    if status >= 300:
        raise RuntimeError(f"{method} {path} answered {status}: {answer[:300]!r}")
    return msgspec.json.decode(answer)
