"""A read that is ended, because its caller has hung up, leaves a connection that others can use."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from afterword.store.engine import Store

NUMBERS = (
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {}) SELECT {} FROM numbers"
)


def test_a_read_that_is_ended_between_two_queries_is_rolled_back(
    tmp_path: Path, database: Callable[[], str | None], caplog: pytest.LogCaptureFixture
):
    began, ended = threading.Event(), threading.Event()

    def read(connection: Connection) -> None:
        rows = connection.execute(text(NUMBERS.format(10_000, "n")))
        rows.fetchone()
        began.set()
        try:
            connection.execute(text(NUMBERS.format(1_000_000_000, "count(*)")))
        finally:
            ended.set()

    async def hang_up() -> None:
        reading = asyncio.create_task(store.read_long(read))
        await asyncio.to_thread(began.wait)
        reading.cancel()
        await asyncio.wait([reading])
        await asyncio.to_thread(ended.wait)
        assert await store.read_long(lambda connection: connection.execute(text("SELECT 1")).scalar()) == 1

    with caplog.at_level(logging.ERROR), closing(Store(tmp_path, database())) as store:
        asyncio.run(hang_up())
    assert not caplog.records
