"""The composition root: settings in, a running server out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.routing import Route as ServedPath

from afterword import compat, workers
from afterword.api import docs, pages, traces
from afterword.api.auth import Authenticator
from afterword.api.chat import CallEndpoint
from afterword.api.graphql import http_endpoint
from afterword.api.prometheus import PrometheusEndpoint
from afterword.api.protocol import Protocol
from afterword.api.rest import Endpoint, Headers, Receive, Scope, Send, error_answer, fault
from afterword.api.routes import MODEL_CALL_ROUTES, ROUTES, Route
from afterword.config import Settings
from afterword.errors import AfterwordError, Conflict, MethodNotAllowed, NotFound, Unavailable, error_for
from afterword.gateway.http import Timeouts
from afterword.gateway.relay import Gateway
from afterword.ids import uuid7
from afterword.service.access import digest, new_key
from afterword.service.cluster.pulse import StoreHealth
from afterword.service.cluster.servers import ClusterMember
from afterword.service.cluster.status import VERSION
from afterword.service.context import AppState, Context
from afterword.service.interactions.calls import close_abandoned_calls, close_abandoned_calls_forever
from afterword.service.meters import Meters
from afterword.service.models.secrets import Secrets
from afterword.service.people.key_uses import KeyUses
from afterword.service.projects import retention_periods
from afterword.service.studies.ab_tests import ABTestWorker
from afterword.service.studies.datasets import delete_unfinished
from afterword.store.background.retention import Retention
from afterword.store.background.rollups import RollupWorker
from afterword.store.background.search_index import SearchIndexWorker
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
from afterword.store.engine import StoreError as StoreError
from afterword.store.engine import backup as backup

log = logging.getLogger("afterword")
# Seconds for calls that were cut off at the end to note how far they came.
CALL_SHUTDOWN_SECONDS = 5.0


def open_state(settings: Settings) -> AppState:
    """Open the store and what stands before it. Raises `StoreError`."""
    directory = Path(settings.data)
    store = Store(
        directory,
        settings.database_url,
        most_waiting=settings.max_waiting_writes,
        most_waiting_bytes=settings.max_waiting_bytes,
        timeout=settings.store_timeout,
    )
    timeouts = Timeouts(
        connect=settings.provider_connect_timeout,
        first_byte=settings.provider_first_byte_timeout,
        idle=settings.provider_idle_timeout,
    )
    catalog = store.read_now(Catalog.load, store.fetch if store.database.SHARED else None)
    indexer = SearchIndexWorker(store)
    retention = Retention(store, lambda: retention_periods(catalog, settings), erased=indexer.wake)
    return AppState(
        store=store,
        catalog=catalog,
        search_index_worker=indexer,
        rollup_worker=RollupWorker(store),
        retention=retention,
        settings=settings,
        gateway=Gateway(timeouts, settings.max_provider_calls),
        meters=Meters(store, retention),
        secrets=Secrets(settings.secret_key, directory),
        store_health=StoreHealth(store),
        key_uses=KeyUses(store),
    )


def close_state(state: AppState) -> None:
    """Finish what is under way, then close."""
    state.retention.close()
    state.search_index_worker.close()
    state.rollup_worker.close()
    state.store.close()


def make_app(state: AppState, administrator_key: str) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Build the ASGI application over an open home."""
    state = replace(state, administrator_digest=digest(administrator_key))
    authenticator = Authenticator(state)
    call_tasks: set[asyncio.Task[Any]] = set()
    gateway = state.gateway
    assert isinstance(gateway, Gateway)
    tracer = traces.create_tracer()
    call_endpoints = {
        call_route.path: CallEndpoint(
            call_route.name, state, gateway, authenticator, tracer, call_tasks, compat.LIFTS.get(call_route.name)
        )
        for call_route in MODEL_CALL_ROUTES
    }
    page = pages.Pages()
    graphql = http_endpoint.GraphQLEndpoint(state, authenticator, compat)
    paths = [
        *(
            ServedPath(_pattern(route), _endpoint(route, state, authenticator), methods=[route.method])
            for route in ROUTES
        ),
        ServedPath(http_endpoint.PATH, graphql, methods=["POST"]),
        *(ServedPath(path, endpoint, methods=["POST"]) for path, endpoint in call_endpoints.items()),
        ServedPath("/metrics", PrometheusEndpoint(state, authenticator), methods=["GET"]),
        *(ServedPath(path, _static_file_endpoint(content, kind)) for path, kind, content in docs.files(VERSION)),
        ServedPath("/assets/{file:path}", _page_endpoint(page.asset), methods=["GET"]),
        ServedPath("/", _page_endpoint(page.page), methods=["GET"]),
    ]

    starlette = Starlette(
        routes=paths,
        lifespan=lambda _: _lifespan(state, gateway, tracer, call_tasks),
        exception_handlers={HTTPException: _http_error_response, Exception: _internal_error_response},
    )
    # Calls without a parameter in their path are found here: Starlette's way to them (two middlewares, a pattern for
    # each route) takes as long as reading and checking the call.
    direct_endpoints: dict[tuple[str, str], Any] = {
        (route.method, route.path): path.endpoint
        for route, path in zip(ROUTES, paths, strict=False)
        if "{" not in route.path
    }
    direct_endpoints |= {
        ("POST", path): endpoint for path, endpoint in (*call_endpoints.items(), (http_endpoint.PATH, graphql))
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = direct_endpoints.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await starlette(scope, receive, send)
        else:
            scope["path_params"] = {}
            await endpoint(scope, receive, send)

    return app


@contextlib.asynccontextmanager
async def _lifespan(
    state: AppState, gateway: Gateway, tracer: traces.NoTracer, call_tasks: set[asyncio.Task[Any]]
) -> AsyncIterator[None]:
    """Start what runs beside the calls; when the server stops, end it in order and close the store."""
    # In a thread, which may wait for longer than the loop's: the project may be another server's, and looked up.
    if await asyncio.to_thread(state.catalog.find_project, "default") is None:
        # Another server that was started at the same time may have added it; then it is read below.
        with contextlib.suppress(Conflict):
            for row in await state.store.write(_add_default_project):
                state.catalog.keep(row)
    cluster_member = ClusterMember(state) if state.store.database.SHARED else None
    if cluster_member is None:
        await close_abandoned_calls(state)
        await delete_unfinished(state.store, Context.now())
    else:
        await cluster_member.join()
    state.search_index_worker.start()
    state.rollup_worker.start()
    state.retention.start()
    background_tasks = [
        asyncio.create_task(ABTestWorker(state).run()),
        asyncio.create_task(close_abandoned_calls_forever(state)),
    ]
    noting = asyncio.create_task(state.key_uses.run())
    if cluster_member is not None:
        background_tasks.append(asyncio.create_task(cluster_member.run()))
    yield
    for task in background_tasks:
        task.cancel()
    # Calls that were cut off by now still note how far they came.
    if call_tasks:
        await asyncio.wait(call_tasks, timeout=CALL_SHUTDOWN_SECONDS)
    await gateway.close()
    noting.cancel()
    await asyncio.wait({noting})
    if cluster_member is not None:
        with contextlib.suppress(Unavailable):
            await cluster_member.leave()
    await asyncio.gather(asyncio.to_thread(close_state, state), asyncio.to_thread(tracer.close))


def _endpoint(route: Route, state: AppState, authenticator: Authenticator) -> Endpoint:
    return Endpoint(route, state, authenticator, compat.LIFTS.get(route.name))


def _pattern(route: Route) -> str:
    """Return a route's path for Starlette. The keys of models may have slashes."""
    return route.path.replace("{model}", "{model:path}")


def serve(settings: Settings) -> None:
    """Run the server until it is told to stop. Raises `StoreError` when the store cannot be opened."""
    _configure_logging(settings)
    state = open_state(settings)
    key, key_file = administrator_key(settings)
    lines = [] if settings.database_url else [f"Data in {Path(settings.data).resolve()}"]
    if key_file:
        lines += [f"API key of the administrator (shown once, kept in {key_file}):", f"  {key}"]
    if settings.workers == 1:
        _run_server(state, key, lines, None)
        return
    # The store was brought up to date once, and what is wrong with it said once; now each process opens it.
    state.secrets.make()
    close_state(state)
    try:
        listener = workers.listen(settings.host, settings.port)
    except OSError as error:
        raise StoreError(f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}.") from None
    _print_address(settings.host, listener.getsockname()[1], [*lines, f"{settings.workers} server processes"])
    workers.supervise(settings.workers, _serve_as_worker, settings, key, listener)


def _serve_as_worker(settings: Settings, key: str, listener: socket.socket) -> None:
    """Be one of several server processes."""
    _configure_logging(settings)
    _run_server(open_state(settings), key, None, listener)


def _configure_logging(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for logger_name in ("alembic", "uvicorn", "httpx"):
        logging.getLogger(logger_name).setLevel(logging.WARNING)


def _run_server(state: AppState, key: str, lines: list[str] | None, listener: socket.socket | None) -> None:
    """Serve until told to stop; `lines` are said once the server can be reached."""
    settings = state.settings
    # What is loaded by now stays. The collector need not look at it again and again, nor after every 700 objects: a
    # call leaves no cycles behind.
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    config = uvicorn.Config(
        make_app(state, key),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.shutdown_grace,
        backlog=2048,
    )
    _Server(config, state, lines).run(None if listener is None else [listener])


def _print_address(host: str, port: int, lines: list[str]) -> None:
    print(f"Afterword {VERSION} serves http://{host if ':' not in host else f'[{host}]'}:{port}")
    print(*lines, sep="\n", flush=True)


class _Server(uvicorn.Server):
    """Says where it is once it can be reached."""

    def __init__(self, config: uvicorn.Config, state: AppState, lines: list[str] | None) -> None:
        super().__init__(config)
        self._state = state
        self._lines = lines

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        # Who watches would do so for ever; all other calls end by themselves.
        self._state.broadcast.close()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._lines is not None:
            _print_address(self.config.host, self.servers[0].sockets[0].getsockname()[1], self._lines)


def administrator_key(settings: Settings) -> tuple[str, Path | None]:
    """Return the administrator's key, and the file where it was put if it was made just now.

    The setting comes first; else the key that was made at the first start is read from the data directory.
    """
    if settings.api_key:
        return settings.api_key, None
    file = Path(settings.data) / "admin.key"
    with contextlib.suppress(FileNotFoundError):
        if key := file.read_text().strip():
            return key, None
    key = new_key()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(key + "\n")
    return key, file


def _add_default_project(transaction: Transaction) -> list[CatalogRow]:
    """Add the project `default`, with the model `echo`, so that a first call needs nothing else."""
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


def _static_file_endpoint(content: bytes, content_type: str) -> Any:
    headers = {
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
    }

    async def serve_file(_: Request) -> Response:
        return Response(content, media_type=content_type, headers=headers)

    return serve_file


def _page_endpoint(serve: Callable[[Request], Response]) -> Any:
    async def serve_file(request: Request) -> Response:
        try:
            return serve(request)
        except AfterwordError as error:
            return _error_response(error, [])

    return serve_file


# Below these, what is not there is an error in words for programs; everywhere else it is an address of the page.
PROGRAM_PATH_PREFIXES = ("/api/", "/images/", "/docs/", "/assets/")


async def _http_error_response(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405, as the one error object, unless someone with a browser is at an address of the
    page."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404 and request.method == "GET" and not path.startswith(PROGRAM_PATH_PREFIXES):
        accepted_types = request.headers.get("accept", "")
        if "text/html" in accepted_types or (path.count("/") == 1 and path.endswith(".svg")):
            return pages.Pages().page(request)
    if error.status_code == 404:
        api_error: AfterwordError = NotFound(
            f"There is nothing at {path[:200]!r}.", code="no_such_path", hint="The calls are listed at /docs."
        )
    elif error.status_code == 405:
        allowed_methods = ", ".join(_methods(request))
        api_error = MethodNotAllowed(
            f"{path[:200]} takes no {request.method}.", code="method_not_allowed", hint=f"It takes {allowed_methods}."
        )
        return _error_response(api_error, [(b"allow", allowed_methods.encode())])
    else:
        api_error = error_for(error.status_code)(str(error.detail))
    return _error_response(api_error, [])


def _methods(request: Request) -> list[str]:
    """Return the methods that a path takes, of all its routes: Starlette names those of the first alone."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes for method in route.methods or ()})


async def _internal_error_response(request: Request, error: Exception) -> Response:
    return _error_response(fault(request.headers.get("x-request-id", "-").encode()), [])


def _error_response(error: AfterwordError, extra_headers: Headers) -> Response:
    status, content_type, body, error_headers = error_answer(error)
    headers = {name.decode(): value.decode() for name, value in [*error_headers, *extra_headers]}
    return Response(body, status, headers, media_type=content_type.decode())
