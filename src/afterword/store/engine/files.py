"""The files of the embedded store: their locks, and the errors for files that were replaced or damaged."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import sys
from pathlib import Path

from afterword.errors import Unavailable
from afterword.store.engine.database import StoreError

# Errors of a damaged page, and of a file that is not a database. The writer's process reports only the text of an
# error.
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
DAMAGED_TEXTS = ("database disk image is malformed", "file is not a database")


class FileReplaced(sqlite3.OperationalError):
    """The database file or its log was deleted or replaced after it was opened."""


class Identity:
    """Tells whether files are still the ones that were opened. A check takes some microseconds."""

    def __init__(self, file: Path) -> None:
        self._file = os.fspath(file)
        self._log = f"{self._file}-wal"
        self._file_number = _number(self._file)
        self._log_number: tuple[int, int] | None = None

    def forget_log(self) -> None:
        """Accept the log that exists at the next check: the last process that closes the database deletes its log."""
        self._log_number = None

    def check(self, *, committed: bool = False) -> None:
        """Raise `FileReplaced` if one was deleted or replaced. `committed`: after a commit, the log must exist."""
        if _number(self._file) != self._file_number:
            raise FileReplaced(self._file)
        if committed or self._log_number is not None:
            log = _number(self._log)
            if log is None or (self._log_number is not None and log != self._log_number):
                raise FileReplaced(self._log)
            self._log_number = log


def _number(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_damage(error: BaseException) -> bool:
    """Return whether an error of the driver means that the file is damaged."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in DAMAGED
    return isinstance(error, sqlite3.DatabaseError) and str(error).startswith(DAMAGED_TEXTS)


def damaged(file: Path, why: BaseException) -> Unavailable:
    """Return the error for a damaged file."""
    return Unavailable(
        f"The store is damaged: {file} cannot be read ({why}). Nothing is stored in it any more.",
        code="store_damaged",
        hint="Stop the server, keep a copy of the data directory, check its disk, and put the last backup back: "
        "`afterword restore BACKUP --data DIR --replace`. What can still be read can be taken out before, with "
        "`afterword export`.",
        retry_after=60,
    )


def replaced(why: BaseException) -> Unavailable:
    """Return the error for a file that was deleted or replaced."""
    return Unavailable(
        f"The file {why} was deleted or replaced while the server runs. Nothing is stored in the one that is gone.",
        code="store_replaced",
        hint="Put the same file back. Or stop the server, put a backup in its place with `afterword restore`, and "
        "start again. Restore and copy while no server runs.",
        retry_after=60,
    )


def being_rebuilt() -> Unavailable:
    """Return the error for a search while the text index is damaged."""
    return Unavailable(
        "The text index is damaged and is being rebuilt.",
        code="search_rebuilding",
        hint="Send it again after the time that Retry-After gives. Until GET /health says that nothing waits, searches "
        "for words find less. Nothing else is concerned.",
        retry_after=5,
    )


class Locks:
    """The locks that keep other servers out of a data directory. Raises `StoreError`.

    Three files are locked: the lock file, which holds the process id; the directory, which stays locked if someone
    deletes the lock file; and the database file, which may be in two directories by links.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptors: list[int] = []
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            self._descriptors = [file, os.open(directory, os.O_RDONLY)]
        except OSError as error:
            self.release()
            raise StoreError(
                f"The data directory {directory} cannot be used: {error.strerror}. "
                "Give a directory that this user may write, with --data or AFTERWORD_DATA."
            ) from None
        for descriptor in self._descriptors:
            self._lock(descriptor)
        os.ftruncate(file, 0)
        os.write(file, str(os.getpid()).encode())

    def lock_database(self, file: Path) -> None:
        """Lock the database file. Only on Linux, where this lock is independent of SQLite's own locks.

        SQLite loses its locks when the process closes any descriptor of the file, so that this one is closed last.
        """
        if sys.platform == "linux":
            self._descriptors.append(os.open(file, os.O_RDONLY))
            self._lock(self._descriptors[-1])

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._descriptors[0], 20, 0).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise StoreError(
                f"Another Afterword server (process {holder}) has the data directory {self._directory} open. "
                "Stop it, or give another directory with --data."
            ) from None

    def release(self) -> None:
        """Release all locks."""
        while self._descriptors:
            os.close(self._descriptors.pop())
