"""What the machine can do now, without Afterword: a baseline for figures of a shared machine."""

from __future__ import annotations

import os
import tempfile
import time

from benchmarks import load
from benchmarks.bare import running_bare
from benchmarks.report import Section, of_calls

# Figures of a quiet machine with two cores.
QUIET_CALLS, QUIET_SYNCS = 20_000, 2_300


def yardstick(seconds: float) -> Section:
    """Measure calls to an empty server, and writes that wait for the disk."""
    calls = of_calls("calls to an empty server (uvicorn), 30 in flight", _calls(seconds), aim=QUIET_CALLS)
    syncs = of_calls("4 KB appended to a file and on disk, one after the other", _syncs(seconds), aim=QUIET_SYNCS)
    return Section("Yardstick: this machine just now; the aim is a quiet machine", [calls, syncs])


def _calls(seconds: float) -> load.Timings:
    with running_bare("empty") as server, load.generator() as submit:
        return submit(load.write, server.target, "interaction", in_flight=30, seconds=seconds).result()


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
