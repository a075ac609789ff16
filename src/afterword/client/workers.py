"""Bounded concurrency over a long iterable, with tasks or with threads: the only code that is written twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

T = TypeVar("T")


async def async_each(things: Iterable[T], function: Callable[[T], Coroutine[Any, Any, None]], *, at_once: int) -> None:
    """Await `function(thing)` for each thing, `at_once` at a time. The iterable is advanced only when a slot is free.

    When one call raises, the others are cancelled and have ended before this raises.
    """
    running: set[asyncio.Task[None]] = set()
    try:
        for thing in things:
            running.add(asyncio.create_task(function(thing)))
            if len(running) >= at_once:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                running -= done
        await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def each(things: Iterable[T], function: Callable[[T], None], *, at_once: int) -> None:
    """Call `function(thing)` for each thing, `at_once` at a time in threads. The iterable is advanced only when a slot
    is free.

    When one call raises, no more are started, and running ones end before this raises.
    """
    with ThreadPoolExecutor(at_once, thread_name_prefix="afterword-upload") as threads:
        running: set[Future[None]] = set()
        for thing in things:
            running.add(threads.submit(function, thing))
            if len(running) >= at_once:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        for future in running:
            future.result()
