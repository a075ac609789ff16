"""The health of the server."""

from __future__ import annotations

from importlib.metadata import version

from afterword.errors import Unavailable
from afterword.service.context import AppState
from afterword.types import Health, SearchHealth

VERSION = version("afterword")
# Seconds that an answer waits for the store.
HEALTH_SECONDS = 0.05
READY_SECONDS = 1.5


async def health(state: AppState) -> Health:
    """Show the health of the server. It answers with 200 whatever its store does.

    `degraded` means that the last commit or read failed or has waited for long: calls that need the store get 503 until
    it is back, or has room again. `search.waiting` is the number of interactions that are not in the text index yet;
    null while the store does not answer. The answer does not wait for the store.
    """
    await state.store_health.read(HEALTH_SECONDS)
    is_well = state.store.fault is None
    return Health(
        status="ok" if is_well else "degraded", version=VERSION, search=SearchHealth(waiting=state.store_health.waiting)
    )


async def ready(state: AppState) -> Health:
    """Tell a load balancer whether the server can work: 503 while its store cannot be read or written to, or has not
    answered for some seconds."""
    await state.store_health.read(READY_SECONDS)
    if isinstance(state.store.fault, Unavailable):
        raise state.store.fault
    return await health(state)
