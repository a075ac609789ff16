"""What the machine can do now, without Afterword: a baseline for figures of a shared machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks import load
from benchmarks.report import Section, of_calls

# Figures of a quiet machine with two cores.
QUIET_CALLS, QUIET_SYNCS = 20_000, 2_300


async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Read a body and answer 201: the least that a server can do."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


def yardstick(seconds: float) -> Section:
    """Measure calls to an empty server, and writes that wait for the disk."""
    calls = of_calls("calls to an empty server (uvicorn), 30 in flight", _calls(seconds), aim=QUIET_CALLS)
    syncs = of_calls("4 KB appended to a file and on disk, one after the other", _syncs(seconds), aim=QUIET_SYNCS)
    return Section("Yardstick: this machine just now; the aim is a quiet machine", [calls, syncs])


def _calls(seconds: float) -> load.Timings:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        target = load.Target(probe.getsockname()[1], "none")
    options = ("--port", str(target.port), "--log-level", "critical", "--lifespan", "off", "--no-access-log")
    server = subprocess.Popen([sys.executable, "-m", "uvicorn", "benchmarks.yardstick:app", *options])
    try:
        while True:
            try:
                load.send(target, "POST", "/", {})
                break
            except OSError:
                if server.poll() is not None:
                    raise RuntimeError(f"The empty server ended with status {server.returncode}.") from None
                time.sleep(0.01)
        with load.generator() as submit:
            return submit(load.write, target, "interaction", in_flight=30, seconds=seconds).result()
    finally:
        server.terminate()
        server.wait(20)


def _syncs(seconds: float) -> load.Timings:
    timings = load.Timings()
    block = b"x" * 4096
    with tempfile.TemporaryFile() as file:
        begin = time.perf_counter()
        while (start := time.perf_counter()) < begin + seconds:
            os.write(file.fileno(), block)
            os.fdatasync(file.fileno())
            timings.each.append(time.perf_counter() - start)
        timings.seconds = time.perf_counter() - begin
    return timings
