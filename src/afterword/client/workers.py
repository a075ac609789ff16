"""Do a few things at a time over a long iterable, with tasks or with threads. The only thing written twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


async def async_each(things: Iterable[T], function: Callable[[T], Awaitable[None]], *, at_once: int) -> None:
    """Await `function(thing)` for each, so many at once; take the next thing only when there is room for it."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(thing: T) -> None:
        await function(thing)

    try:
        for thing in things:
            tasks.add(asyncio.create_task(run(thing)))
            while len(tasks) >= at_once:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def each(things: Iterable[T], function: Callable[[T], None], *, at_once: int) -> None:
    """Call `function(thing)` for each, so many at once in threads; take the next only when there is room for it."""
    with ThreadPoolExecutor(at_once, thread_name_prefix="afterword-upload") as threads:
        running: set[Future[None]] = set()
        for thing in things:
            running.add(threads.submit(function, thing))
            if len(running) >= at_once:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    one.result()
        for one in running:
            one.result()
