"""SQLite: the files of a data directory, how they are opened, and the meaning of SQLite's errors.

DIR/afterword.db   all facts: WAL, synchronous=FULL, so that a commit is on disk before it is acknowledged
DIR/search.db      the text index: derived, rebuilt if missing; a file of its own, so that it never delays a commit
DIR/lock           locked while a server runs, like the directory and afterword.db: one process writes (files.py)
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.pool import NullPool, QueuePool

from afterword.errors import Unavailable
from afterword.store.engine.database import Database, StoreError
from afterword.store.engine.files import FileReplaced, Identity, Locks, being_rebuilt, damaged, is_damage, replaced
from afterword.store.engine.fts5 import Fts5Index
from afterword.store.engine.sqlite_writer import WriterGone, WriterProcess
from afterword.store.engine.statements import Statement
from afterword.store.migrations import HEAD, REVISIONS, upgrade

# Some systems build SQLite with secure_delete, which overwrites each freed page with zeros. The text index frees pages
# all the time, as it merges its parts, and a fifth more is written so. FAST overwrites only what costs no further
# write.
LAZY_DELETE = "PRAGMA secure_delete=FAST"

# The settings of a connection that writes.
WRITING = (
    # 8 KB pages hold compressed rows better than 4 KB ones.
    "PRAGMA page_size=8192",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    # A checkpoint every 128 MB: the same index pages change again and again, and each checkpoint writes them all (every
    # 32 MB, commits took up to twice as long).
    "PRAGMA wal_autocheckpoint=16000",
    # Keep the data for undoing a statement or a savepoint in memory. Otherwise each commit creates a file for it,
    # writes nearly as much to it as to the log, and deletes it.
    "PRAGMA temp_store=MEMORY",
    LAZY_DELETE,
)

# The page caches of connections in KB: of the writer's process, of the server's own writer, of each reader. They are
# small because a connection never shrinks its cache, and the file is also in the system's cache.
WRITER_CACHE, OWN_CACHE, READER_CACHE = (f"PRAGMA cache_size=-{size}" for size in (8_000, 4_000, 4_000))

# The errors of reading a file that cannot be read, or whose disk fails.
UNREADABLE = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL}

sqlite3.register_adapter(UUID, lambda value: value.bytes)


class Sqlite(Database):
    """The embedded store in a directory."""

    BEGIN = "BEGIN IMMEDIATE"
    WRITERS = 1
    SHARED = False

    def __init__(self, directory: Path, *, readers: int) -> None:
        self.directory = directory
        self.file = directory / "afterword.db"
        self.search_file = directory / "search.db"
        # SQLite sorts large results in temporary files. The data directory is writable and has space.
        os.environ.setdefault("SQLITE_TMPDIR", str(directory.absolute()))
        self._locks = Locks(directory)
        try:
            self._migrate()
            self._prepare_search()
            self._locks.lock_database(self.file)
        except BaseException:
            self._locks.release()
            raise
        self._identity = Identity(self.file)
        self._search_damaged = False
        self.writer = self._engine("rw", NullPool, {})
        self.reader = self._engine("ro", QueuePool, {"pool_size": readers, "max_overflow": 0})
        self.partitions = None

    def connect_writer(self) -> Connection:
        """Open the one connection of this process that writes."""
        return self.writer.connect()

    def start_writer(self) -> WriterProcess:
        """Start the writer's process. It and the connection of `connect_writer` never write at the same time."""
        self._identity.forget_log()
        return WriterProcess(f"{self.file.absolute().as_uri()}?mode=rw", (*WRITING, WRITER_CACHE))

    def close(self) -> None:
        """Close all connections and release the locks."""
        self.reader.dispose()
        self.writer.dispose()
        # The last connection to close a file moves its log into it. For the text index that was a read-only connection,
        # which cannot, so that it is opened for writing once more.
        with contextlib.suppress(sqlite3.Error):
            self._open_search().close()
        self._locks.release()

    def claim(self, ids: Sequence[UUID]) -> list[Statement]:
        """Return no statements: there is one writer."""
        return []

    def release(self, ids: Sequence[UUID]) -> list[Statement]:
        """Return no statements: nothing was claimed."""
        return []

    def advance_sequences(self, connection: Connection) -> None:
        """Do nothing: SQLite derives the next number from the rows."""

    def run_maintenance(self) -> None:
        """Do nothing: SQLite needs no maintenance."""

    def check(self, *, committed: bool = False) -> None:
        """Raise an error if the files were replaced since they were opened."""
        self._identity.check(committed=committed)

    def repair_search(self, error: BaseException | None) -> bool:
        """Make a new text index if `error` or an earlier search says that it is damaged; return whether it was."""
        if not self._search_damaged and not (error is not None and is_damage(getattr(error, "orig", None) or error)):
            return False
        self._remove_search()
        self._open_search().close()
        self._search_damaged = False
        # Readers have the removed file open.
        self.reader.dispose()
        return True

    def interrupt(self, connection: Any) -> None:
        """Interrupt the running statement."""
        connection.interrupt()

    def is_alive(self) -> bool:
        """Return False: a commit waits only for the disk, and it is best to restart the writer's process."""
        return False

    def is_fatal(self, error: BaseException) -> bool:
        """Return whether the whole transaction is lost: disk full, I/O error, read-only file, damaged file."""
        cause = getattr(error, "orig", None) or error
        return isinstance(cause, sqlite3.OperationalError) or type(cause) is sqlite3.DatabaseError

    def is_transient(self, error: BaseException) -> bool:
        """Return False: there is one writer, so that no transactions conflict."""
        return False

    def is_connection_lost(self, error: BaseException) -> bool:
        """Return whether the file cannot be read: the disk fails, or the writer was killed."""
        if isinstance(error, NoConnectionFree):
            return True
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, FileReplaced) or is_damage(cause) or self._is_of_search(error):
            return True
        return isinstance(cause, sqlite3.OperationalError) and getattr(cause, "sqlite_errorcode", None) in UNREADABLE

    def _is_of_search(self, error: BaseException) -> bool:
        """Return whether an error comes from the text index: the statement names it, or it could not be attached."""
        cause = getattr(error, "orig", None) or error
        statement = getattr(error, "statement", None) or ""
        if "search." not in statement or not isinstance(cause, sqlite3.DatabaseError):
            return False
        return is_damage(cause) or (self._search_damaged and "no such table: search." in str(cause))

    def is_duplicate(self, error: BaseException) -> bool:
        """Return whether an error means that a row with the same key exists."""
        return isinstance(getattr(error, "orig", None) or error, sqlite3.IntegrityError)

    def explain(self, error: BaseException, *, committing: bool = False) -> Exception:
        """Return the error that tells the caller why the store failed."""
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, FileReplaced):
            return replaced(cause)
        if self._is_of_search(error):
            self._search_damaged = True
            return being_rebuilt()
        if is_damage(cause):
            return damaged(self.file, cause)
        if isinstance(cause, WriterGone):
            return Unavailable(
                "The server's writing process ended. This may have been stored.",
                code="store_interrupted",
                hint="Send it again; with ids of your own, nothing is stored twice.",
                retry_after=1,
            )
        return Unavailable(
            f"The store cannot write: {cause}. Nothing was stored.",
            code="store_unavailable",
            hint="Free space on the data directory's disk or check its permissions; then send it again.",
            retry_after=5,
        )

    # ------------------------------------------------------------------------------------ opening

    def _migrate(self) -> None:
        version = version_of(self.file)
        if version == HEAD:
            return
        if version is not None and version not in REVISIONS:
            raise StoreError(
                f"The data directory {self.directory} was written by a newer Afterword (schema {version}; this one "
                f"knows {HEAD}). It was left untouched. Upgrade Afterword, or give another directory with --data."
            )
        engine = self._engine("rwc", NullPool, {})
        try:
            with engine.connect() as connection:
                upgrade(connection)
        except (sqlite3.Error, DBAPIError, OSError) as error:
            raise StoreError(f"The data directory {self.directory} cannot be prepared: {error}.") from None
        finally:
            engine.dispose()

    def _engine(self, mode: str, pool: Any, options: dict[str, Any]) -> Engine:
        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(
                f"{self.file.absolute().as_uri()}?mode={mode}",
                uri=True,
                check_same_thread=False,
                isolation_level=None,
                timeout=10,
                cached_statements=512,  # of all tables, in each of STATEMENT_ROWS
            )
            if mode == "ro":
                # Large intermediate results of GROUP BY and DISTINCT go to files: in memory, sums over ten million
                # interactions took 2.4 GB.
                _execute(connection, "PRAGMA query_only=1", READER_CACHE, "PRAGMA temp_store=FILE")
                try:
                    _execute(connection, f"ATTACH '{self.search_file.absolute().as_uri()}?mode=ro' AS search")
                except sqlite3.Error:
                    # Everything but searches works without the text index.
                    self._search_damaged = True
            else:
                _execute(connection, *WRITING, OWN_CACHE)
            return connection

        engine = create_engine("sqlite://", creator=connect, poolclass=pool, **options)
        # The driver would begin a transaction only before a write. Begin it where SQLAlchemy does, so that all reads of
        # a page see the same snapshot.
        begin = "BEGIN" if mode == "ro" else self.BEGIN
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    # ------------------------------------------------------------------------------------ the text index

    def _prepare_search(self) -> None:
        """Create the text index if it is missing, damaged or of another version. It is derived from the payloads."""
        try:
            self._open_search().close()
        except sqlite3.DatabaseError:
            self._remove_search()
            self._open_search().close()

    def _remove_search(self) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(f"{self.search_file}{ending}").unlink(missing_ok=True)

    def connect_search(self) -> Fts5Index:
        """Open the text index for writing; create its tables if they do not exist."""
        return Fts5Index(self._open_search())

    def _open_search(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.search_file, check_same_thread=False, isolation_level=None, timeout=10)
        try:
            _execute(connection, "PRAGMA page_size=8192", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL")
            _execute(connection, "PRAGMA wal_autocheckpoint=8000", LAZY_DELETE)
            Fts5Index.make(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _execute(connection: sqlite3.Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement)


def version_of(file: Path) -> str | None:
    """Return the version of a store's schema, or None for an empty or missing store. Writes nothing. Raises
    `StoreError`."""
    if not file.exists() or file.stat().st_size == 0:
        return None
    # A store that was closed in order has no WAL file. `immutable` keeps SQLite from creating one.
    mode = "mode=ro" if Path(f"{file}-wal").exists() else "immutable=1"
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?{mode}", uri=True)
        try:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if tables and "alembic_version" not in tables:
                raise sqlite3.DatabaseError(f"it holds the table {min(tables)} of another program")
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if tables else None
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        raise StoreError(f"{file} cannot be opened: {error}.") from None
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{file} is not an Afterword store: {error}.") from None
    return row[0] if row else None
