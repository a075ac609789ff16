"""Run the application: in one process, or in several that share a port."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import threading
import time
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import uvicorn

from afterword.api.protocol import Protocol
from afterword.app import make_app
from afterword.config import Settings
from afterword.lifespan import close_state, open_state
from afterword.service.access import new_key
from afterword.service.cluster.status import VERSION
from afterword.service.context import AppState
from afterword.store.engine import StoreError

log = logging.getLogger("afterword.server")

# Least time between two restarts of worker processes: one that fails at its start is not restarted in a tight loop.
RESTART_SECONDS = 2.0


def serve(settings: Settings) -> None:
    """Run the server until it is told to stop. Raises `StoreError` when the store cannot be opened."""
    _configure_logging(settings)
    state = open_state(settings)
    api_key, key_file = administrator_key(settings)
    notices = [] if settings.database_url else [f"Data in {Path(settings.data).resolve()}"]
    if key_file:
        notices += [f"API key of the administrator (shown once, kept in {key_file}):", f"  {api_key}"]
    if settings.workers == 1:
        _Server(state, api_key, notices).run()
        return
    # Opening the store here migrates it once, and reports its errors once. Then each process opens its own.
    state.secrets.make()
    close_state(state)
    try:
        listener = _bound_socket(settings.host, settings.port)
    except OSError as error:
        raise StoreError(f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}.") from None
    notices.append(f"{settings.workers} server processes")
    _print_address(settings.host, listener.getsockname()[1], notices)
    _supervise(settings, api_key, listener)


def administrator_key(settings: Settings) -> tuple[str, Path | None]:
    """Return the administrator's API key, and its file if the key was created by this call.

    A key in the settings takes precedence over the one that the first start left in the data directory.
    """
    if settings.api_key:
        return settings.api_key, None
    file = Path(settings.data) / "admin.key"
    with contextlib.suppress(FileNotFoundError):
        if api_key := file.read_text().strip():
            return api_key, None
    api_key = new_key()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(api_key + "\n")
    return api_key, file


def _configure_logging(settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for logger_name in ("alembic", "uvicorn", "httpx"):
        logging.getLogger(logger_name).setLevel(logging.WARNING)


def _print_address(host: str, port: int, notices: list[str]) -> None:
    print(f"Afterword {VERSION} serves http://{host if ':' not in host else f'[{host}]'}:{port}")
    print(*notices, sep="\n", flush=True)


class _Server(uvicorn.Server):
    """One server process. It prints its address and the `notices` once it accepts requests; with None, nothing."""

    def __init__(self, state: AppState, api_key: str, notices: list[str] | None) -> None:
        # Modules and tables that are loaded by now stay: the garbage collector need not scan them. What is then left
        # is little, so that all of it can be scanned often: SQLAlchemy's queries and GraphQL's visitors are reference
        # cycles. The collection makes the collector forget how much there was before.
        gc.freeze()
        gc.collect()
        gc.set_threshold(20_000, 10, 5)
        settings = state.settings
        config = uvicorn.Config(
            make_app(state, api_key),
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
        super().__init__(config)
        self._state = state
        self._notices = notices

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._notices is not None:
            _print_address(self.config.host, self.servers[0].sockets[0].getsockname()[1], self._notices)

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        # Live streams never end on their own: close them before uvicorn waits for open requests.
        self._state.broadcast.close()
        await super().shutdown(sockets)


# ------------------------------------------------------------------------------------------------ several processes


def _bound_socket(host: str, port: int) -> socket.socket:
    """Return the socket that all worker processes accept connections from. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def _supervise(settings: Settings, api_key: str, listener: socket.socket) -> None:
    """Keep `settings.workers` processes running until this one is told to stop; then stop them together."""
    # Spawned rather than forked: a fork would copy threads and open databases of this process.
    context = get_context("spawn")
    stop_event = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop_event.set())

    def start() -> BaseProcess:
        process = context.Process(target=_worker_main, args=(settings, api_key, listener))
        process.start()
        return process

    workers = [start() for _ in range(settings.workers)]
    last_start = time.monotonic()
    while not stop_event.is_set():
        connection.wait([worker.sentinel for worker in workers], timeout=0.5)
        for index, worker in enumerate(workers):
            if worker.exitcode is not None and not stop_event.wait(
                max(0.0, last_start + RESTART_SECONDS - time.monotonic())
            ):
                log.error("The server process %s ended with %s; another is started.", worker.pid, worker.exitcode)
                workers[index], last_start = start(), time.monotonic()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()


def _worker_main(settings: Settings, api_key: str, listener: socket.socket) -> None:
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    _configure_logging(settings)
    _Server(open_state(settings), api_key, None).run([listener])


def _stop_with_parent() -> None:
    """Stop this process in order when its parent has ended, even if the parent was killed."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
