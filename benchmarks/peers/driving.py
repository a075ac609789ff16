"""The load on a contender, in a process of its own: the same loop for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Literal, TypeAlias
from uuid import UUID

import msgspec

from benchmarks.load import Connection, Target, Timings, call, connections, run
from benchmarks.peers.contender import Ask, Contender, Item
from benchmarks.workload import Workload

Job: TypeAlias = Literal["log", "rate", "chat"]


@dataclass(slots=True)
class LoadResult:
    """What came of a load. `handles` are the interactions whose logging was acknowledged."""

    timings: Timings = field(default_factory=Timings)
    handles: list[str] = field(default_factory=list)
    first_refusal: str = ""


def items(seed: int) -> Iterator[Item]:
    """Return interactions without end. Their texts are made beforehand."""
    workload = Workload(seed)
    interactions = [msgspec.json.decode(workload.interaction(number)) for number in range(2_000)]
    return _items(interactions, Random(seed))


def _items(interactions: list[Any], random: Random) -> Iterator[Item]:
    for number in count():
        interaction = interactions[number % len(interactions)]
        item_id = UUID(int=random.getrandbits(128), version=4).bytes
        question, stars = interaction["messages"][-1]["content"], interaction["feedbacks"][0]["value"]
        yield Item(number, item_id, question, interaction["completion"], interaction["labels"], stars, time.time_ns())


def drive(
    contender: Contender,
    job: Job,
    *,
    in_flight: int,
    seconds: float,
    handles: list[str] | None = None,
    seed: int = 1,
) -> LoadResult:
    """Do a job as fast as the server answers, for so many seconds: after a first call, and half a second of warming up.
    Ends where the server goes away."""
    driven = LoadResult()
    item_iterator, numbers = items(seed), count()
    chat = contender.chat() if job == "chat" else None

    async def once(connection: Connection) -> str | None:
        if job == "rate":
            assert handles
            number = next(numbers)
            rate_call = contender.rate(handles[number % len(handles)], 1 + number % 5)
            assert rate_call
            await ask(connection, rate_call)
            return None
        if job == "chat":
            assert chat
            await ask(connection, chat)
            return None
        item = next(item_iterator)
        answer = b""
        for log_call in contender.log(item):
            answer = await ask(connection, log_call)
        return contender.handle(item, answer)

    async def ask(connection: Connection, request: Ask) -> bytes:
        status, answer = await connection.call(
            request.method, request.path, request.body, request.kind, headers=request.headers
        )
        if status >= 300:
            raise _Refused(f"{request.path} answered {status}: {answer[:300]!r}")
        return answer

    async def flight(connection: Connection, begin: float, end: float) -> None:
        # One timed call at least, however slow.
        timed = False
        while (start := time.perf_counter()) < end or not timed:
            try:
                handle = await once(connection)
            except OSError:
                return
            except _Refused as refusal:
                driven.timings.refused += 1
                driven.first_refusal = driven.first_refusal or str(refusal)
                timed = time.perf_counter() > end
                continue
            if handle is not None:
                driven.handles.append(handle)
            if start >= begin:
                timed = True
                driven.timings.each.append(time.perf_counter() - start)

    async def all_of_them() -> None:
        async with connections(contender.target, in_flight) as pool:
            # Some load for seconds what they need for their first call.
            with suppress(_Refused):
                if (handle := await once(pool[0])) is not None:
                    driven.handles.append(handle)
            begin = time.perf_counter() + min(0.5, seconds / 4)
            end = begin + seconds
            await asyncio.gather(*(flight(connection, begin, end) for connection in pool))
            driven.timings.seconds = time.perf_counter() - begin

    run(all_of_them())
    if driven.timings.refused and not driven.timings.each:
        raise RuntimeError(f"{contender.title} refused every call: {driven.first_refusal}")
    return driven


class _Refused(Exception):
    """The server answered that it did not do what it was asked."""


def directly(port: int, seconds: float) -> Timings:
    """Call the provider itself, one call in flight."""
    body = {"model": "bench", "messages": [{"role": "user", "content": "x" * 1024}]}
    target = Target(port, "none")
    return call(target, "/v1/chat/completions", msgspec.json.encode(body), in_flight=1, seconds=seconds).whole_answers
