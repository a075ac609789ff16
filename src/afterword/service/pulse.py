"""Whether the store answers, asked without waiting for it."""

from __future__ import annotations

import asyncio
import contextlib

from afterword.errors import Unavailable
from afterword.store.engine import Store
from afterword.store.search import Indexer


class Pulse:
    """What the store answers when it is asked how it is: one read at a time, however many ask and however long it
    takes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reading: asyncio.Task[None] | None = None
        self._waiting: int | None = None
        self._committed = 0

    async def read(self, seconds: float) -> None:
        """Read the store, or join the read that is under way; return after so many seconds in any case."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        await asyncio.wait((self._reading,), timeout=seconds)

    async def _read(self) -> None:
        committed = self._store.queue.committed
        with contextlib.suppress(Unavailable):
            self._waiting, self._committed = await self._store.read(Indexer.waiting), committed

    @property
    def waiting(self) -> int | None:
        """Return how many interactions the text index has yet to take in: as last read, and what was committed since
        if a read is still under way. None while the store cannot be read."""
        if self._waiting is None or self._store.fault is not None:
            return None
        is_late = self._reading is not None and not self._reading.done()
        return self._waiting + (self._store.queue.committed - self._committed if is_late else 0)
