"""How the server is."""

from __future__ import annotations

import contextlib
from importlib.metadata import version

from afterword.errors import Unavailable
from afterword.service.context import Home
from afterword.types import Health, SearchHealth

VERSION = version("afterword")


async def health(home: Home) -> Health:
    """Tell how the server is: it runs, whatever its store does.

    `degraded` means that the last commit failed, or that the store cannot be read: calls that need it are refused with
    503 until it is back, or has room again. `search.waiting` counts what the text index has yet to take in.
    """
    waiting: int | None = None
    with contextlib.suppress(Unavailable):
        waiting = await home.store.read(home.indexer.waiting)
    well = home.store.queue.fault is None and waiting is not None
    return Health(status="ok" if well else "degraded", version=VERSION, search=SearchHealth(waiting=waiting))


async def ready(home: Home) -> Health:
    """Tell whether the server can do its work, as a load balancer asks: 503 while its store cannot be read or written
    to."""
    await home.store.read(home.indexer.waiting)
    if isinstance(home.store.queue.fault, Unavailable):
        raise home.store.queue.fault
    return await health(home)
