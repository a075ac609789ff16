"""What every contender is asked for, how it is installed, and how it is started and stopped."""

from __future__ import annotations

import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import psutil
import psycopg

from benchmarks.load import Target, status

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afterword-bench-peers"


class Ask(NamedTuple):
    """A call over HTTP."""

    path: str
    body: bytes | None = None
    kind: str = "application/json"
    method: str = "POST"
    headers: bytes = b""


class Item(NamedTuple):
    """A finished interaction to log: 2 KB, three labels, one value of feedback."""

    number: int
    id: bytes
    question: str
    answer_text: str
    labels: dict[str, str]
    stars: int
    at: int
    """Nanoseconds since 1970."""


class Contender(ABC):
    """A server to be measured: what it is, and how its API is asked for the same things. Plain values, so that the
    process of the load can have a copy."""

    title: ClassVar[str]
    package: ClassVar[str]
    version: ClassVar[str]
    extra: ClassVar[str] = ""
    extra_packages: ClassVar[tuple[str, ...]] = ()
    """What is installed beside it."""
    logs: ClassVar[bool] = True
    """Whether interactions can be logged with it here."""
    HEALTH: ClassVar[str] = "/health"
    FILE: ClassVar[str] = ""
    """The name of its embedded store, where it has one."""

    def __init__(self, folder: Path, port: int, upstream: int, database_url: str | None = None) -> None:
        self.folder = folder
        self.target = Target(port, "none")
        self.upstream = f"http://127.0.0.1:{upstream}/v1"
        self.database_url = database_url

    # ------------------------------------------------------------------------------------ the server

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the command that starts it."""

    def started_by(self) -> str:
        """Return the command that starts it, with what is set in its environment, as it is shown."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment().items()]
        command = " ".join([*variables, shlex.join(self.command())])
        for path, short in ((str(self.folder), "FOLDER"), (str(CACHE), "CACHE"), (sys.executable, "python")):
            command = command.replace(path, short)
        return command if self.database_url is None else command.replace(self.database_url, "URL")

    def environment(self) -> dict[str, str]:
        """Return what is set in its environment."""
        return {}

    def prepare(self) -> None:  # noqa: B027 - some need nothing
        """Make a project, keys and the like on the running server."""

    @property
    def bin(self) -> Path:
        """Return where its commands are installed."""
        return CACHE / f"{self.package}-{self.version}" / "bin"

    def install(self) -> None:
        """Install it in an environment of its own, outside the tree, unless that was done before."""
        home = self.bin.parent
        done = home / "installed"
        if done.exists():
            return
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        requirements = [f"{self.package}{self.extra}=={self.version}", *self.extra_packages]
        subprocess.run([str(self.bin / "python"), "-m", "pip", "install", "--quiet", *requirements], check=True)
        done.touch()

    # ------------------------------------------------------------------------------------ its API

    @abstractmethod
    def log(self, item: Item) -> Sequence[Ask]:
        """Return the calls that log an interaction with its feedback, one after the other."""

    def handle(self, item: Item, answer: bytes) -> str:
        """Return the id that the interaction is stored under."""
        return item.id.hex()

    @abstractmethod
    def rate(self, handle: str, stars: int) -> Ask | None:
        """Return the call that attaches a value to an interaction; None where nothing is stored."""

    def chat(self) -> Ask | None:
        """Return a call of a model through its gateway; None where it has none."""
        return None

    @abstractmethod
    def lists(self, start: int, end: int) -> dict[str, Ask]:
        """Return the calls for the newest 50 under several filters; the times are milliseconds."""

    # ------------------------------------------------------------------------------------ its store

    @abstractmethod
    def stored(self) -> set[str]:
        """Return the handles of all interactions on disk, read from its database and not by its API."""

    @abstractmethod
    def fill(self, size: int, days: float) -> str:
        """Fill the store up to so many interactions over the last days; say how. The server runs."""

    def rows(self, query: str) -> list[Any]:
        """Return the rows that a query of its database finds."""
        if self.database_url is not None:
            with psycopg.connect(self.database_url) as connection:
                return connection.execute(query.encode()).fetchall()
        connection = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=60)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def run(self, statements: Iterable[str]) -> None:
        """Run statements in its database."""
        if self.database_url is not None:
            with psycopg.connect(self.database_url) as connection:
                for statement in statements:
                    connection.execute(statement.encode())
            return
        with sqlite3.connect(self.file, timeout=60) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    def copying(self, table: str, changes: Mapping[str, str], which: str, *, computed: Sequence[str] = ()) -> str:
        """Return the statement that copies rows of a table with some of their columns changed."""
        columns = [column for column in self._columns(table) if column not in computed]
        names = ", ".join(f'"{column}"' for column in columns)
        values = ", ".join(changes.get(column, f'"{column}"') for column in columns)
        return f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE {which}"

    def _columns(self, table: str) -> list[str]:
        if self.database_url is None:
            return [row[1] for row in self.rows(f"PRAGMA table_info({table})")]
        columns = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = "
        return [row[0] for row in self.rows(f"{columns} '{table}'")]

    @property
    def file(self) -> Path:
        """Return the file of its embedded store."""
        return self.folder / self.FILE

    def size(self) -> int:
        """Return the bytes of its store on disk."""
        if self.database_url is not None:
            return self.rows("SELECT pg_database_size(current_database())")[0][0]
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


class Running:
    """A started contender. `seconds` is the time from the start of its process to its first healthy answer."""

    MAX_START_SECONDS = 600

    def __init__(self, contender: Contender) -> None:
        contender.folder.mkdir(parents=True, exist_ok=True)
        self.contender = contender
        begin = time.perf_counter()
        with (contender.folder.parent / f"{contender.folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                contender.command(),
                env={**os.environ, **contender.environment()},
                cwd=contender.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while True:
            with suppress(OSError):
                if status(contender.target, contender.HEALTH) < 300:
                    break
            if self._process.poll() is not None or time.perf_counter() - begin > self.MAX_START_SECONDS:
                self.stop()
                last = Path(log.name).read_text(errors="replace")[-2_000:]
                raise RuntimeError(f"{contender.title} does not start. It said last:\n{last}")
            time.sleep(0.02)
        self.seconds = time.perf_counter() - begin

    def processes(self) -> list[psutil.Process]:
        """Return its processes."""
        try:
            first = psutil.Process(self._process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    @property
    def memory(self) -> int:
        """Return the bytes of memory that its processes hold; what they share counts once."""
        total_bytes = 0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                total_bytes += process.memory_full_info().pss
        return total_bytes

    def kill(self) -> None:
        """End all its processes at once, without a word."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Stop it in order, and by force where that takes too long."""
        processes = self.processes()
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)
        _, left = psutil.wait_procs(processes, timeout=10)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
