"""How the server is."""

from __future__ import annotations

from importlib.metadata import version

from afterword.service.context import Home
from afterword.types import Health, SearchHealth

VERSION = version("afterword")


async def health(home: Home) -> Health:
    """Tell how the server is.

    `degraded` means that the last commit failed: reading works, writing is refused with 503 until there is room again.
    """
    return Health(
        status="degraded" if home.store.queue.fault else "ok",
        version=VERSION,
        search=SearchHealth(waiting=await home.store.read(lambda connection: home.indexer.waiting(connection))),
    )
