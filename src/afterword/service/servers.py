"""One of several servers over one database: it keeps up with what the others change, and tells them what it does.

On the embedded store there is one server: nothing of this runs, and it does all the chores.
"""

from __future__ import annotations

import asyncio
import logging
import time

from afterword.service.broadcast import Deletion, Listener
from afterword.service.context import Context, Home
from afterword.service.datasets import clear_away
from afterword.store import servers as stored
from afterword.store.catalog import Catalog
from afterword.store.faults import FaultLog

log = logging.getLogger("afterword.servers")

# Seconds between two looks: what others change is known here so much later, and a read.
PACE = 0.25
# Seconds between two signs of life; a third of what a lease holds.
BEAT = 2.0
# Looks between two searches for calls that a server which is no more has left open.
SWEEP = 40


class Together:
    """What a server does because there are others."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._faults = FaultLog(log, home.store, "The other servers cannot be heard")
        self._relay: Listener | None = None
        self._read: dict[int, int] | None = None
        self._version = -1
        self._told = 0
        self._beaten = 0.0
        self._listening = False

    async def join(self) -> None:
        """Say that this server is there, learn its number and what the others have changed, and do the chores if
        nobody else does."""
        self._home.store.server = await self._home.store.write(stored.join)
        await self._beat()
        await self._look()

    async def run(self) -> None:
        """Look and tell until cancelled. While the database is away, nothing is known and nothing done."""
        looks = 0
        while True:
            try:
                await self._beat()
                await self._look()
                await self._tell()
                looks += 1
                if looks % SWEEP == 1 and self._home.store.in_charge:
                    await self._clear_away()
            except Exception as error:
                self._faults.tell(error)
                await asyncio.sleep(1)
            await asyncio.sleep(PACE)

    async def _clear_away(self) -> None:
        """End what servers that are no more have left half done."""
        store = self._home.store
        alive = await store.read(stored.alive)
        await clear_away(store, Context.now(), alive)

    async def leave(self) -> None:
        """Let another server do the chores."""
        store = self._home.store
        if store.server is not None:
            await store.write(lambda transaction: stored.leave(transaction, self._own))

    @property
    def _own(self) -> int:
        assert self._home.store.server is not None
        return self._home.store.server

    async def _beat(self) -> None:
        now, listening = time.monotonic(), self._home.live.listeners > 0
        if now - self._beaten < BEAT and listening == self._listening:
            return
        in_charge = await self._home.store.write(lambda one: stored.beat(one, self._own, listening=listening))
        # From before it was asked for: the lease began later than that.
        self._home.store.in_charge_until = now + stored.LEASE / 1000 if in_charge else 0.0
        self._beaten, self._listening = now, listening

    async def _look(self) -> None:
        live, catalog = self._home.live, self._home.catalog
        if live.listeners == 0:
            self._read = None
        elif self._read is None:
            self._read = {}
        changes = catalog.changes
        seen = await self._home.store.read(stored.look, self._own, self._read)
        if self._read is not None:
            for one in seen.news:
                deleted = [Deletion(*pair) for pair in zip(one.deleted, one.projects, strict=False)]
                live.told(one.changed, deleted, one.missed)
            self._read = seen.read
        if seen.others_listen != (self._relay is not None):
            if self._relay is None:
                self._relay = live.join_as_relay()
            else:
                live.leave(self._relay)
                self._relay = None
        if seen.version != self._version:
            anew = await self._home.store.read(Catalog.load, self._home.store.fetch)
            # What was changed here meanwhile may be missing in what was read: it is read once more then.
            if catalog.changes == changes:
                catalog.adopt(anew)
                self._version = seen.version

    async def _tell(self) -> None:
        if self._relay is None or not self._relay.awake.is_set():
            return
        changed, deleted, missed = self._relay.take()
        self._told += 1
        interactions, projects = [one.interaction for one in deleted], [one.project for one in deleted]
        news = stored.News(changed, interactions, missed, projects)
        await self._home.store.write(lambda one: stored.tell(one, self._own, self._told, news))
