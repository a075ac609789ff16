"""The resources of the application: opened before the first request, closed in order at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from afterword.api.traces import NoTracer
from afterword.config import Settings
from afterword.errors import Conflict, Unavailable
from afterword.gateway.http import Timeouts
from afterword.gateway.relay import Gateway
from afterword.ids import uuid7
from afterword.service.cluster.pulse import StoreHealth
from afterword.service.cluster.servers import ClusterMember
from afterword.service.context import AppState, Context
from afterword.service.interactions.abandoned_calls import AbandonedCallWorker, close_abandoned_calls
from afterword.service.meters import Meters
from afterword.service.models.secrets import Secrets
from afterword.service.people.key_uses import KeyUses
from afterword.service.projects import retention_periods
from afterword.service.studies.ab_tests import ABTestWorker
from afterword.service.studies.datasets import delete_unfinished
from afterword.service.telemetry.worker import WaitingTelemetryWorker
from afterword.store.background.packing import PackingWorker
from afterword.store.background.retention import Retention
from afterword.store.background.rollups import RollupWorker
from afterword.store.background.search_index import SearchIndexWorker
from afterword.store.background.worker import LoopWorker
from afterword.store.catalog import (
    Catalog,
    CatalogRow,
    ModelRow,
    ProjectModelRow,
    ProjectRow,
    add_project,
    attach_model,
    register_model,
)
from afterword.store.engine import Store, Transaction

# Time for interrupted calls to store what they have received, before the connections to providers are closed.
CALL_SHUTDOWN_SECONDS = 5.0


def open_state(settings: Settings) -> AppState:
    """Open the store, load the catalog and create the services and workers on them. Raises `StoreError`."""
    directory = Path(settings.data)
    store = Store(
        directory,
        settings.database_url,
        max_waiting_units=settings.max_waiting_writes,
        max_waiting_bytes=settings.max_waiting_bytes,
        timeout=settings.store_timeout,
    )
    timeouts = Timeouts(
        connect=settings.provider_connect_timeout,
        first_byte=settings.provider_first_byte_timeout,
        idle=settings.provider_idle_timeout,
    )
    catalog = store.read_now(Catalog.load, store.fetch if store.database.SHARED else None)
    search_index_worker = SearchIndexWorker(store)
    retention = Retention(store, lambda: retention_periods(catalog, settings), erased=search_index_worker.wake)
    return AppState(
        store=store,
        catalog=catalog,
        search_index_worker=search_index_worker,
        rollup_worker=RollupWorker(store),
        packing_worker=PackingWorker(store),
        retention=retention,
        settings=settings,
        gateway=Gateway(timeouts, settings.max_provider_calls),
        meters=Meters(store, retention),
        secrets=Secrets(settings.secret_key, directory),
        store_health=StoreHealth(store),
        key_uses=KeyUses(store),
    )


def close_state(state: AppState) -> None:
    """Stop the background workers, commit the waiting writes and close the store."""
    state.thumbnailer.close()
    state.retention.close()
    state.search_index_worker.close()
    state.rollup_worker.close()
    state.packing_worker.close()
    state.store.close()


@contextlib.asynccontextmanager
async def lifespan(state: AppState, tracer: NoTracer, call_tasks: set[asyncio.Task[Any]]) -> AsyncIterator[None]:
    """Run the background work while the application serves; then stop it in order and close the store."""
    # In a thread, since a project of another server is looked up in the database, and the event loop must not wait.
    if await asyncio.to_thread(state.catalog.find_project, "default") is None:
        # A server that was started at the same time may have added it; then it is read when this one joins the cluster.
        with contextlib.suppress(Conflict):
            for row in await state.store.write(_add_default_project):
                state.catalog.keep(row)
    cluster_member = ClusterMember(state) if state.store.database.SHARED else None
    if cluster_member is None:
        await close_abandoned_calls(state)
        await delete_unfinished(state.store, Context.now())
    else:
        await cluster_member.join()
    loop_workers: list[LoopWorker] = [ABTestWorker(state), AbandonedCallWorker(state), WaitingTelemetryWorker(state)]
    if cluster_member is not None:
        loop_workers.append(cluster_member)
    thread_workers = [state.search_index_worker, state.rollup_worker, state.packing_worker, state.retention]
    workers = [*loop_workers, state.key_uses, *thread_workers]
    for worker in workers:
        worker.start()
    state.meters.watch_workers(workers)
    yield
    for worker in loop_workers:
        await worker.close()
    # Interrupted calls still store what they have received.
    if call_tasks:
        await asyncio.wait(call_tasks, timeout=CALL_SHUTDOWN_SECONDS)
    await state.gateway.close()
    await state.key_uses.close()
    if cluster_member is not None:
        with contextlib.suppress(Unavailable):
            await cluster_member.leave()
    await asyncio.gather(asyncio.to_thread(close_state, state), asyncio.to_thread(tracer.close))


def _add_default_project(transaction: Transaction) -> list[CatalogRow]:
    """Add the project `default` with the model `echo`, so that a first call works without any set-up."""
    now = Context.now()
    project = add_project(
        transaction,
        ProjectRow(number=0, id=uuid7(), key="default", name="default", description="", created_at=now, archived=False),
    )
    model = register_model(
        transaction,
        ModelRow(
            number=0,
            id=uuid7(),
            key="echo",
            created_at=now,
            name="echo",
            provider="echo",
            external_model_id="echo",
        ),
    )
    default_attachment = ProjectModelRow(
        project=project.number, model=model.number, is_default=True, enabled=True, created_at=now
    )
    return [project, model, *attach_model(transaction, default_attachment)]
