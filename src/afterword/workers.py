"""Several server processes on one port: started together, replaced when one dies, stopped together."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any

log = logging.getLogger("afterword.workers")

# Seconds that must lie between two starts of a process that dies again and again.
RESTART_SECONDS = 2.0


def listen(host: str, port: int) -> socket.socket:
    """Open the port for all of them. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def supervise(process_count: int, run: Callable[..., None], *arguments: Any) -> None:
    """Keep so many processes running `run(*arguments)` until this one is told to stop; then stop them in order."""
    # Each starts from nothing: what a fork would copy, threads and open databases, is of no use to it.
    context = get_context("spawn")
    stop_event = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop_event.set())

    def start() -> BaseProcess:
        process = context.Process(target=_worker_main, args=(run, arguments))
        process.start()
        return process

    workers = [start() for _ in range(process_count)]
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


def _worker_main(run: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    run(*arguments)


def _end_with_parent() -> None:
    """End in order when the process that started this one is no more, however that ended."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
