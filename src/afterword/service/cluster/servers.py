"""One of several servers over one database: it polls the changes of the others, and publishes its own.

With the embedded store nothing of this runs: its one server does all background work.
"""

from __future__ import annotations

import logging
import math
import time

from afterword.service.cluster.broadcast import Deletion, Listener
from afterword.service.context import AppState, Context
from afterword.service.studies.datasets import delete_unfinished
from afterword.store import servers as stored
from afterword.store.background.worker import LoopWorker
from afterword.store.catalog import Catalog

log = logging.getLogger("afterword.servers")

# Seconds between two heartbeats: a third of the duration of a lease.
BEAT_INTERVAL_SECONDS = 2.0
# Seconds between two searches for datasets that a dead server was building.
SWEEP_INTERVAL_SECONDS = 10.0


class ClusterMember(LoopWorker):
    """A worker that keeps a server in touch with the others. While the database is unavailable, it does nothing."""

    name = "cluster"
    log = log
    failure_text = "The other servers cannot be heard"
    # Upper bound on the delay until changes by others are known here.
    poll_seconds = 0.25
    retry_seconds = 1.25

    def __init__(self, state: AppState) -> None:
        super().__init__(state.store)
        self._state = state
        self._last_sweep = -math.inf
        self._relay: Listener | None = None
        self._read_positions: dict[int, int] | None = None
        # The version of the small tables, and the number of changes here, when the tables were last read.
        self._adopted = (-1, -1)
        self._news_number = 0
        self._last_beat = 0.0
        self._listening = False

    async def join(self) -> None:
        """Register this server, get its number, read the changes of the others, and take over the background work if no
        other server does it."""
        self._state.store.server = await self._state.store.write(stored.join)
        await self._beat()
        await self._catch_up()

    async def step(self) -> bool:
        """Send a heartbeat if it is due, read the changes of others, and publish this server's own."""
        await self._beat()
        await self._catch_up()
        await self._publish_news()
        if time.monotonic() - self._last_sweep >= SWEEP_INTERVAL_SECONDS and self._state.store.in_charge:
            await self._delete_unfinished()
            self._last_sweep = time.monotonic()
        return False

    async def _delete_unfinished(self) -> None:
        """Delete the datasets that dead servers left half built."""
        store = self._state.store
        running_servers = await store.read(stored.alive_servers)
        await delete_unfinished(store, Context.now(), running_servers)

    async def leave(self) -> None:
        """Unregister this server, so that another one takes over the background work."""
        store = self._state.store
        if store.server is not None:
            await store.write(lambda transaction: stored.leave(transaction, self._server_number))

    @property
    def _server_number(self) -> int:
        assert self._state.store.server is not None
        return self._state.store.server

    async def _beat(self) -> None:
        now, listening = time.monotonic(), self._state.broadcast.listener_count > 0
        if now - self._last_beat < BEAT_INTERVAL_SECONDS and listening == self._listening:
            return
        in_charge = await self._state.store.write(
            lambda transaction: stored.send_heartbeat(transaction, self._server_number, listening=listening)
        )
        # Counted from before the request: the lease began later than that.
        self._state.store.in_charge_until = now + stored.LEASE_MS / 1000 if in_charge else 0.0
        self._last_beat, self._listening = now, listening

    async def _catch_up(self) -> None:
        broadcast, catalog = self._state.broadcast, self._state.catalog
        if broadcast.listener_count == 0:
            self._read_positions = None
        elif self._read_positions is None:
            self._read_positions = {}
        changes = catalog.changes
        update = await self._state.store.read(stored.read_cluster_state, self._server_number, self._read_positions)
        if self._read_positions is not None:
            for news_row in update.news:
                deleted = [Deletion(*pair) for pair in zip(news_row.deleted, news_row.projects, strict=False)]
                broadcast.publish_remote(news_row.changed, deleted, news_row.missed)
            self._read_positions = update.read
        if update.others_listen != (self._relay is not None):
            if self._relay is None:
                self._relay = broadcast.join_as_relay()
            else:
                broadcast.leave(self._relay)
                self._relay = None
        # Rows stored in memory since then may be older than those of the database.
        if (update.version, changes) != self._adopted:
            loaded_catalog = await self._state.store.read(Catalog.load, self._state.store.fetch)
            # A change made here meanwhile may be missing in the loaded catalog: then the next step loads it again.
            if catalog.changes == changes:
                catalog.adopt(loaded_catalog)
                self._adopted = (update.version, catalog.changes)

    async def _publish_news(self) -> None:
        if self._relay is None or not self._relay.awake.is_set():
            return
        changed, deleted, missed = self._relay.take()
        self._news_number += 1
        interactions, projects = (
            [deletion.interaction for deletion in deleted],
            [deletion.project for deletion in deleted],
        )
        news = stored.News(changed, interactions, missed, projects)
        await self._state.store.write(
            lambda transaction: stored.publish(transaction, self._server_number, self._news_number, news)
        )
