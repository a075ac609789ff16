"""The health of the store, without waiting for it."""

from __future__ import annotations

import asyncio
import contextlib

from afterword.errors import Unavailable
from afterword.store.background.search_index import SearchIndexWorker
from afterword.store.engine import Store


class StoreHealth:
    """Reads the health of the store: one read at a time, however many callers there are and however long it takes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read_task: asyncio.Task[None] | None = None
        self._waiting_count: int | None = None
        self._committed_count = 0

    async def read(self, seconds: float) -> None:
        """Read the store, or join the read that is under way; return after `seconds` at the latest."""
        if self._read_task is None or self._read_task.done():
            self._read_task = asyncio.create_task(self._read())
        await asyncio.wait((self._read_task,), timeout=seconds)

    async def _read(self) -> None:
        committed = self._store.queue.committed
        with contextlib.suppress(Unavailable):
            self._waiting_count, self._committed_count = await self._store.read(SearchIndexWorker.waiting), committed

    @property
    def waiting(self) -> int | None:
        """Return the number of interactions that are not in the text index yet; None while the store cannot be read.
        While a read is under way, it is the last number plus the commits since then."""
        if self._waiting_count is None or self._store.fault is not None:
            return None
        is_late = self._read_task is not None and not self._read_task.done()
        return self._waiting_count + (self._store.queue.committed - self._committed_count if is_late else 0)
