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
PACE = 2.0


def listen(host: str, port: int) -> socket.socket:
    """Open the port for all of them. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((host, port))
    return opened


def supervise(number: int, run: Callable[..., None], *arguments: Any) -> None:
    """Keep so many processes running `run(*arguments)` until this one is told to stop; then stop them in order."""
    # Each starts from nothing: what a fork would copy, threads and open databases, is of no use to it.
    context = get_context("spawn")
    stopping = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stopping.set())

    def start() -> BaseProcess:
        process = context.Process(target=_run, args=(run, arguments))
        process.start()
        return process

    running = [start() for _ in range(number)]
    last = time.monotonic()
    while not stopping.is_set():
        connection.wait([one.sentinel for one in running], timeout=0.5)
        for place, one in enumerate(running):
            if one.exitcode is not None and not stopping.wait(max(0.0, last + PACE - time.monotonic())):
                log.error("The server process %s ended with %s; another is started.", one.pid, one.exitcode)
                running[place], last = start(), time.monotonic()
    for one in running:
        one.terminate()
    for one in running:
        one.join()


def _run(run: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    run(*arguments)


def _end_with_parent() -> None:
    """End in order when the process that started this one is no more, however that ended."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
