"""When API keys were last used: noted in memory by each call, and written in the background."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from afterword.errors import Unavailable
from afterword.store.background.faults import FaultLog
from afterword.store.engine import Store
from afterword.store.key_uses import read_key_uses, write_key_uses

log = logging.getLogger("afterword")
# A key's last use is known by the minute, and so is written once a minute at most.
PRECISION_MILLISECONDS = 60_000
WRITE_SECONDS = 10.0


class KeyUses:
    """The last use of each API key. What a server that crashes has noted in its last seconds is lost."""

    def __init__(self, store: Store) -> None:
        self._store = store
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

    async def write(self) -> None:
        """Write what was noted since the last time. Raises `Unavailable`."""
        times, self._unwritten = self._unwritten, {}
        if not times:
            return
        try:
            await self._store.write(lambda transaction: write_key_uses(transaction, times))
        except BaseException:
            self._unwritten = times | self._unwritten
            raise

    async def run(self) -> None:
        """Write every few seconds until cancelled, and once more then."""
        faults = FaultLog(log, self._store, "The last uses of API keys could not be written")
        try:
            while True:
                await asyncio.sleep(WRITE_SECONDS)
                try:
                    await self.write()
                except Exception as error:
                    faults.log_error(error)
        finally:
            with suppress(Unavailable):
                await self.write()
