"""How the server is."""

from __future__ import annotations

from importlib.metadata import version

from afterword.errors import Unavailable
from afterword.service.context import AppState
from afterword.types import Health, SearchHealth

VERSION = version("afterword")
# Seconds for which an answer waits for the store.
HEALTH_SECONDS = 0.05
READY_SECONDS = 1.5


async def health(state: AppState) -> Health:
    """Tell how the server is: it runs, whatever its store does.

    `degraded` means that the last commit or read failed or has waited for long: calls that need the store are refused
    with 503 until it is back, or has room again. `search.waiting` counts what the text index has yet to take in; null
    while the store does not answer. The answer does not wait for the store.
    """
    await state.store_health.read(HEALTH_SECONDS)
    is_well = state.store.fault is None
    return Health(
        status="ok" if is_well else "degraded", version=VERSION, search=SearchHealth(waiting=state.store_health.waiting)
    )


async def ready(state: AppState) -> Health:
    """Tell whether the server can do its work, as a load balancer asks: 503 while its store cannot be read or written
    to, or has not answered for some seconds."""
    await state.store_health.read(READY_SECONDS)
    if isinstance(state.store.fault, Unavailable):
        raise state.store.fault
    return await health(state)
