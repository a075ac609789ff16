"""When API keys were last used: each call notes it in memory, and a background worker writes it."""

from __future__ import annotations

import logging

from afterword.store.background.worker import LoopWorker
from afterword.store.engine import Store
from afterword.store.key_uses import read_key_uses, write_key_uses

log = logging.getLogger("afterword")
# A key's last use is known by the minute, and so is written once a minute at most.
PRECISION_MILLISECONDS = 60_000


class KeyUses(LoopWorker):
    """The last use of each API key. A server that crashes loses what it has noted in its last seconds."""

    name = "key-uses"
    log = log
    failure_text = "The last uses of API keys could not be written"
    poll_seconds = 10.0

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._latest: dict[int, int] = {}
        self._unwritten: dict[int, int] = {}

    def note(self, number: int, now: int) -> None:
        """Note that a key is used now, in milliseconds."""
        time = now - now % PRECISION_MILLISECONDS
        if self._latest.get(number, 0) < time:
            self._latest[number] = self._unwritten[number] = time

    async def read(self) -> dict[int, int]:
        """Return when each key was last used at any server, in milliseconds, by the number of the key."""
        times = await self._store.read(read_key_uses)
        return times | {number: max(time, times.get(number, 0)) for number, time in self._latest.items()}

    async def step(self) -> bool:
        """Write what was noted since the last step."""
        times, self._unwritten = self._unwritten, {}
        if not times:
            return False
        try:
            await self._store.write(lambda transaction: write_key_uses(transaction, times))
        except BaseException:
            self._unwritten = times | self._unwritten
            raise
        return False

    async def finish(self) -> None:
        """Write what was noted since the last step."""
        await self.step()
