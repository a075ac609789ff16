"""What a caller waited for ends with the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from afterword.store.engine import LONG_READER_THREADS, READER_THREADS, Store

ENDLESS = text("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")


@pytest.fixture
def store(tmp_path: Path, database: Callable[[], str | None]) -> Iterator[Store]:
    opened = Store(tmp_path, database())
    yield opened
    opened.close()


@pytest.mark.parametrize(("lane", "threads"), [("read", READER_THREADS), ("read_long", LONG_READER_THREADS)])
def test_a_read_ends_with_the_call_that_waits_for_it(store: Store, lane: str, threads: int):
    begun: list[int] = []

    def count_without_end(connection: Connection, tell: Callable[[], Any]) -> None:
        begun.append(1)
        if len(begun) == threads:
            tell()
        connection.execute(ENDLESS)

    def answer(connection: Connection) -> Any:
        return connection.execute(text("SELECT 1")).scalar()

    async def run() -> None:
        read = getattr(store, lane)
        loop, all_are_busy = asyncio.get_running_loop(), asyncio.Event()
        tell = partial(loop.call_soon_threadsafe, all_are_busy.set)
        calls = [asyncio.create_task(read(count_without_end, tell)) for _ in range(2 * threads)]
        await asyncio.wait_for(all_are_busy.wait(), 60)
        for call in calls:
            call.cancel()
        assert await asyncio.wait_for(read(answer), 60) == 1
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}

    asyncio.run(run())
    # Nobody is to blame, the database least of all.
    assert store.fault is None
    # Closing the store waits for all threads: none reads on.
