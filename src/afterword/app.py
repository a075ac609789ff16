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
from afterword.api.auth import Gate
from afterword.api.chat import CallEndpoint
from afterword.api.graphql import serving
from afterword.api.prometheus import Figures
from afterword.api.rest import Endpoint, Headers, Receive, Scope, Send, error_answer, fault
from afterword.api.routes import FACES, ROUTES, Route
from afterword.api.wire import Protocol
from afterword.config import Settings
from afterword.errors import AfterwordError, Conflict, MethodNotAllowed, NotFound, Unavailable, error_for
from afterword.gateway.http import Timeouts
from afterword.gateway.relay import Gateway
from afterword.ids import uuid7
from afterword.service.abtests import Referee
from afterword.service.access import digest, new_key
from afterword.service.calls import close_what_was_left_open, sweep
from afterword.service.context import Context, Home
from afterword.service.datasets import clear_away
from afterword.service.key_uses import KeyUses
from afterword.service.meters import Meters
from afterword.service.projects import periods
from afterword.service.pulse import Pulse
from afterword.service.secrets import Secrets
from afterword.service.servers import Together
from afterword.service.status import VERSION
from afterword.store import copying as copying
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
from afterword.store.retention import Retention
from afterword.store.rollups import Roller
from afterword.store.search import Indexer

log = logging.getLogger("afterword")
# Seconds for calls that were cut off at the end to note how far they came.
LAST_WORDS = 5.0


def open_home(settings: Settings) -> Home:
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
    indexer = Indexer(store)
    retention = Retention(store, lambda: periods(catalog, settings), erased=indexer.wake)
    return Home(
        store=store,
        catalog=catalog,
        indexer=indexer,
        roller=Roller(store),
        retention=retention,
        settings=settings,
        gateway=Gateway(timeouts, settings.max_provider_calls),
        meters=Meters(store, retention),
        secrets=Secrets(settings.secret_key, directory),
        pulse=Pulse(store),
        key_uses=KeyUses(store),
    )


def close_home(home: Home) -> None:
    """Finish what is under way, then close."""
    home.retention.close()
    home.indexer.close()
    home.roller.close()
    home.store.close()


def make_app(home: Home, administrator_key: str) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Build the ASGI application over an open home."""
    home = replace(home, administrator=digest(administrator_key))
    gate = Gate(home)
    running: set[asyncio.Task[Any]] = set()
    gateway = home.gateway
    assert isinstance(gateway, Gateway)
    tracing = traces.open()
    calls = {
        face.path: CallEndpoint(face.name, home, gateway, gate, tracing, running, compat.LIFTS.get(face.name))
        for face in FACES
    }
    page = pages.Pages()
    graphql = serving.GraphQLEndpoint(home, gate, compat)
    paths = [
        *(ServedPath(_pattern(route), _endpoint(route, home, gate), methods=[route.method]) for route in ROUTES),
        ServedPath(serving.PATH, graphql, methods=["POST"]),
        *(ServedPath(path, endpoint, methods=["POST"]) for path, endpoint in calls.items()),
        ServedPath("/metrics", Figures(home, gate), methods=["GET"]),
        *(ServedPath(path, _served(content, kind)) for path, kind, content in docs.files(VERSION)),
        ServedPath("/assets/{file:path}", _file(page.asset), methods=["GET"]),
        ServedPath("/", _file(page.page), methods=["GET"]),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        # In a thread, which may wait for longer than the loop's: the project may be another server's, and looked up.
        if await asyncio.to_thread(home.catalog.find_project, "default") is None:
            # Another server that was started at the same time may have added it; then it is read below.
            with contextlib.suppress(Conflict):
                for row in await home.store.write(_add_default_project):
                    home.catalog.keep(row)
        together = Together(home) if home.store.database.SHARED else None
        if together is None:
            await close_what_was_left_open(home)
            await clear_away(home.store, Context.now())
        else:
            await together.join()
        home.indexer.start()
        home.roller.start()
        home.retention.start()
        watching = [asyncio.create_task(Referee(home).watch()), asyncio.create_task(sweep(home))]
        noting = asyncio.create_task(home.key_uses.run())
        if together is not None:
            watching.append(asyncio.create_task(together.run()))
        yield
        for task in watching:
            task.cancel()
        # Calls that were cut off by now still note how far they came.
        if running:
            await asyncio.wait(running, timeout=LAST_WORDS)
        await gateway.close()
        noting.cancel()
        await asyncio.wait({noting})
        if together is not None:
            with contextlib.suppress(Unavailable):
                await together.leave()
        await asyncio.gather(asyncio.to_thread(close_home, home), asyncio.to_thread(tracing.close))

    starlette = Starlette(
        routes=paths,
        lifespan=lifespan,
        exception_handlers={HTTPException: _no_such_call, Exception: _failed},
    )
    # Calls without a parameter in their path are found here: Starlette's way to them (two middlewares, a pattern for
    # each route) takes as long as reading and checking the call.
    direct: dict[tuple[str, str], Any] = {
        (route.method, route.path): path.endpoint
        for route, path in zip(ROUTES, paths, strict=False)
        if "{" not in route.path
    }
    direct |= {("POST", path): endpoint for path, endpoint in (*calls.items(), (serving.PATH, graphql))}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = direct.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await starlette(scope, receive, send)
        else:
            scope["path_params"] = {}
            await endpoint(scope, receive, send)

    return app


def _endpoint(route: Route, home: Home, gate: Gate) -> Endpoint:
    return Endpoint(route, home, gate, compat.LIFTS.get(route.name))


def _pattern(route: Route) -> str:
    """Return a route's path for Starlette. The keys of models may have slashes."""
    return route.path.replace("{model}", "{model:path}")


def serve(settings: Settings) -> None:
    """Run the server until it is told to stop. Raises `StoreError` when the store cannot be opened."""
    _log(settings)
    home = open_home(settings)
    key, made = administrator_key(settings)
    lines = [] if settings.database_url else [f"Data in {Path(settings.data).resolve()}"]
    if made:
        lines += [f"API key of the administrator (shown once, kept in {made}):", f"  {key}"]
    if settings.workers == 1:
        _run(home, key, lines, None)
        return
    # The store was brought up to date once, and what is wrong with it said once; now each process opens it.
    home.secrets.make()
    close_home(home)
    try:
        opened = workers.listen(settings.host, settings.port)
    except OSError as error:
        raise StoreError(f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}.") from None
    _say(settings.host, opened.getsockname()[1], [*lines, f"{settings.workers} server processes"])
    workers.supervise(settings.workers, _work, settings, key, opened)


def _work(settings: Settings, key: str, opened: socket.socket) -> None:
    """Be one of several server processes."""
    _log(settings)
    _run(open_home(settings), key, None, opened)


def _log(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for quiet in ("alembic", "uvicorn", "httpx"):
        logging.getLogger(quiet).setLevel(logging.WARNING)


def _run(home: Home, key: str, lines: list[str] | None, opened: socket.socket | None) -> None:
    """Serve until told to stop; `lines` are said once the server can be reached."""
    settings = home.settings
    # What is loaded by now stays. The collector need not look at it again and again, nor after every 700 objects: a
    # call leaves no cycles behind.
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    config = uvicorn.Config(
        make_app(home, key),
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
    _Server(config, home, lines).run(None if opened is None else [opened])


def _say(host: str, port: int, lines: list[str]) -> None:
    print(f"Afterword {VERSION} serves http://{host if ':' not in host else f'[{host}]'}:{port}")
    print(*lines, sep="\n", flush=True)


class _Server(uvicorn.Server):
    """Says where it is once it can be reached."""

    def __init__(self, config: uvicorn.Config, home: Home, lines: list[str] | None) -> None:
        super().__init__(config)
        self._home = home
        self._lines = lines

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        # Who watches would do so for ever; all other calls end by themselves.
        self._home.live.close()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._lines is not None:
            _say(self.config.host, self.servers[0].sockets[0].getsockname()[1], self._lines)


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
    attached = ProjectModelRow(
        project=project.number, model=model.number, is_default=True, enabled=True, created_at=now
    )
    return [project, model, *attach_model(transaction, attached)]


def _served(content: bytes, kind: str) -> Any:
    headers = {
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
    }

    async def serve_file(_: Request) -> Response:
        return Response(content, media_type=kind, headers=headers)

    return serve_file


def _file(serve: Callable[[Request], Response]) -> Any:
    async def serve_file(request: Request) -> Response:
        try:
            return serve(request)
        except AfterwordError as error:
            return _response(error, [])

    return serve_file


# Below these, what is not there is an error in words for programs; everywhere else it is an address of the page.
FOR_PROGRAMS = ("/api/", "/images/", "/docs/", "/assets/")


async def _no_such_call(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405, as the one error object, unless someone with a browser is at an address of the
    page."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404 and request.method == "GET" and not path.startswith(FOR_PROGRAMS):
        wanted = request.headers.get("accept", "")
        if "text/html" in wanted or (path.count("/") == 1 and path.endswith(".svg")):
            return pages.Pages().page(request)
    if error.status_code == 404:
        known: AfterwordError = NotFound(
            f"There is nothing at {path[:200]!r}.", code="no_such_path", hint="The calls are listed at /docs."
        )
    elif error.status_code == 405:
        allowed = ", ".join(_methods(request))
        known = MethodNotAllowed(
            f"{path[:200]} takes no {request.method}.", code="method_not_allowed", hint=f"It takes {allowed}."
        )
        return _response(known, [(b"allow", allowed.encode())])
    else:
        known = error_for(error.status_code)(str(error.detail))
    return _response(known, [])


def _methods(request: Request) -> list[str]:
    """Return the methods that a path takes, of all its routes: Starlette names those of the first alone."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes for method in route.methods or ()})


async def _failed(request: Request, error: Exception) -> Response:
    return _response(fault(request.headers.get("x-request-id", "-").encode()), [])


def _response(error: AfterwordError, more: Headers) -> Response:
    status, kind, body, its = error_answer(error)
    headers = {name.decode(): value.decode() for name, value in [*its, *more]}
    return Response(body, status, headers, media_type=kind.decode())
