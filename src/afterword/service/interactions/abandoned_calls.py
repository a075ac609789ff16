"""Calls that nobody makes any more: they were cut off, and are marked as interrupted."""

from __future__ import annotations

import logging
from collections.abc import Collection

from afterword.service.context import AppState
from afterword.store import calls as stored
from afterword.store.background.worker import LoopWorker
from afterword.store.servers import alive_servers

log = logging.getLogger("afterword.calls")


async def close_abandoned_calls(state: AppState, running_servers: Collection[int] = ()) -> int:
    """Mark abandoned calls as interrupted; return how many. These are calls of servers that are gone, and calls of this
    server whose end could not be written. `running_servers` are the numbers of the running servers."""
    store = state.store
    open_calls = await store.read(stored.orphaned_calls, store.server, running_servers)
    # A call is in `state.calls` before it is written, so each open call that still runs here is among these.
    running_ids = {completion_id for call in list(state.calls) for completion_id in call.ids.values()}
    ids = [completion_id for completion_id, is_own in open_calls if not (is_own and completion_id in running_ids)]
    if not ids:
        return 0
    interrupted_count = await store.write(lambda transaction: stored.interrupt(transaction, ids))
    if interrupted_count:
        log.warning("%d calls were cut off; they are marked as interrupted.", interrupted_count)
        state.search_index_worker.wake()
    return interrupted_count


class AbandonedCallWorker(LoopWorker):
    """A worker that closes calls which were cut off."""

    name = "abandoned-calls"
    log = log
    failure_text = "Calls that were cut off could not be marked"
    poll_seconds = 10.0

    def __init__(self, state: AppState) -> None:
        super().__init__(state.store)
        self._state = state

    async def step(self) -> bool:
        """Close the abandoned calls of this server, and those of servers that are gone."""
        store = self._state.store
        running_servers = await store.read(alive_servers) if store.database.SHARED else ()
        await close_abandoned_calls(self._state, running_servers)
        return False
