"""The server to measure, in its own process and directory."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.load import Target, read, send
from benchmarks.workload import METRIC

KEY = "aw_the-administrators-key-of-the-benchmarks"


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A running server. `seconds_to_start` is the time from the start of the process to its first healthy answer."""

    def __init__(
        self,
        directory: Path,
        *,
        database_url: str | None = None,
        python: Path | None = None,
        module: str = "afterword",
    ) -> None:
        self.directory = directory
        self.target = Target(free_port(), KEY)
        begin = time.perf_counter()
        self._process = subprocess.Popen(
            [
                *(str(python or sys.executable), "-m", module, "serve", "--host", "127.0.0.1"),
                *("--port", str(self.target.port), "--data", str(directory), "--log-level", "warning"),
                *(("--database-url", database_url) if database_url else ()),
            ],
            env={**os.environ, "AFTERWORD_API_KEY": KEY},
            stdout=subprocess.DEVNULL,
        )
        while True:
            try:
                send(self.target, "GET", "/health")
                break
            except (OSError, RuntimeError):
                if self._process.poll() is not None:
                    raise RuntimeError(f"The server ended with status {self._process.returncode}.") from None
                time.sleep(0.005)
        self.seconds_to_start = time.perf_counter() - begin

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.target.port}"

    @property
    def process_id(self) -> int:
        """Return the id of its main process."""
        return self._process.pid

    def processor_seconds(self) -> float:
        """Return the processor time of the server and its writer process, in seconds."""
        server_process = psutil.Process(self._process.pid)
        return sum(
            process.cpu_times().user + process.cpu_times().system
            for process in (server_process, *server_process.children())
        )

    @property
    def memory(self) -> int:
        """Return the memory of the server and its writer process, in bytes."""
        server_process = psutil.Process(self._process.pid)
        return sum(process.memory_info().rss for process in (server_process, *server_process.children()))

    def register_metric(self) -> None:
        """Register the feedback key of the workload."""
        send(self.target, "POST", "/api/v1/metrics", {"key": METRIC, "kind": "scalar"})

    def completions(self, number: int = 5_000) -> list[str]:
        """Return the ids of the newest completions."""
        completion_ids: list[str] = []
        cursor_parameter = ""
        while len(completion_ids) < number:
            page = send(self.target, "GET", f"/api/v1/interactions?limit=500{cursor_parameter}")
            completion_ids += [interaction["completion_id"] for interaction in page["interactions"]]
            if page["next"] is None:
                break
            cursor_parameter = f"&cursor={page['next']}"
        return completion_ids

    def newest_seconds_ago(self) -> float:
        """Return how long ago the newest interaction was logged."""
        [newest] = send(self.target, "GET", "/api/v1/interactions?limit=1")["interactions"]
        return (datetime.now(UTC) - datetime.fromisoformat(newest["created_at"])).total_seconds()

    def waiting_texts(self) -> int:
        """Return how many interactions are not in the text index yet."""
        return send(self.target, "GET", "/health")["search"]["waiting"]

    def wait_for_texts(self) -> float:
        """Wait until all texts are indexed; return the seconds that this took."""
        begin = time.perf_counter()
        while self.waiting_texts():
            time.sleep(0.2)
        return time.perf_counter() - begin

    def wait_for_rollups(self) -> None:
        """Wait until all rollups are up to date."""
        with closing(sqlite3.connect(f"file:{self.directory / 'afterword.db'}?mode=ro", uri=True)) as store:
            while store.execute("SELECT EXISTS (SELECT 1 FROM rollup_marks)").fetchone()[0]:
                time.sleep(0.2)

    def settle(self) -> None:
        """Make some calls, so that the setup in the first call is not measured."""
        read(self.target, "/api/v1/interactions", times=20, most_seconds=2)

    def stop(self) -> None:
        """Stop it cleanly, so that it checkpoints its write-ahead log."""
        self._process.terminate()
        self._process.wait(60)

    def size(self, file: str) -> int:
        """Return the size of a file of its directory, in bytes."""
        return (self.directory / file).stat().st_size


@contextmanager
def running(
    directory: Path, *, database_url: str | None = None, python: Path | None = None, module: str = "afterword"
) -> Iterator[Server]:
    """Run a server and stop it at the end. Without a URL it uses the embedded store.

    `python` is the interpreter that it runs with: the one of another environment runs the version installed there.
    `module` is what it runs as the command `afterword`.
    """
    server = Server(directory, database_url=database_url, python=python, module=module)
    try:
        yield server
    finally:
        server.stop()
