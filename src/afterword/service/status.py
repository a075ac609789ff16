"""How the server is."""

from __future__ import annotations

from importlib.metadata import version

from afterword.errors import Unavailable
from afterword.service.context import Home
from afterword.types import Health, SearchHealth

VERSION = version("afterword")
# Seconds for which an answer waits for the store.
HEALTH_SECONDS = 0.05
READY_SECONDS = 1.5


async def health(home: Home) -> Health:
    """Tell how the server is: it runs, whatever its store does.

    `degraded` means that the last commit or read failed or has waited for long: calls that need the store are refused
    with 503 until it is back, or has room again. `search.waiting` counts what the text index has yet to take in; null
    while the store does not answer. The answer does not wait for the store.
    """
    await home.pulse.read(HEALTH_SECONDS)
    well = home.store.fault is None
    return Health(status="ok" if well else "degraded", version=VERSION, search=SearchHealth(waiting=home.pulse.waiting))


async def ready(home: Home) -> Health:
    """Tell whether the server can do its work, as a load balancer asks: 503 while its store cannot be read or written
    to, or has not answered for some seconds."""
    await home.pulse.read(READY_SECONDS)
    if isinstance(home.store.fault, Unavailable):
        raise home.store.fault
    return await health(home)
