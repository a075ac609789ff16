"""PostgreSQL 14 and newer: how a database is opened and what only PostgreSQL says.

Several servers may work over one database. Nothing here needs an extension, a session's lock or LISTEN/NOTIFY, and no
statement is prepared on the server, so that managed databases and poolers of connections in transaction mode will do.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.string import StrDumper
from sqlalchemy import Connection, Engine, UpdateBase, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.pool import NullPool, QueuePool

from afterword.errors import Unavailable
from afterword.store.engine.cancellation import interrupt, leave
from afterword.store.engine.database import Database, StoreError, Writer
from afterword.store.engine.partitions import Partitions
from afterword.store.engine.statements import CATALOG_CHANGED, Row, Statement
from afterword.store.engine.tsvector import TsvectorIndex
from afterword.store.migrations import HEAD, REVISIONS, upgrade
from afterword.store.schema import CACHED_TABLES, metadata

# What the URL does not say. A server that is gone without a word is noticed within some 20 seconds.
CONNECTING: dict[str, Any] = {
    "application_name": "afterword",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
MIN_SERVER_VERSION = 140_000
# Parts for months are made so many milliseconds ahead.
AHEAD_MS = 32 * 86_400_000

# Errors of these classes are the database's, not of what was to be written: connections, resources, an operator's
# doing, the system, and a server that has become a standby.
FAULTS = ("08", "53", "57", "58", "XX", "25")
# Two transactions were in each other's way, or a part of a table was made or dropped meanwhile: the same again will
# do. No table has a check but for what its parts hold.
CONTENTION = ("40001", "40P01", "23514")
# A page or an index that cannot be right.
DAMAGED = ("XX001", "XX002")
GONE_MEANWHILE = "could not open relation with OID"

# A row of `id_claims` is inserted and deleted in one transaction, so that the table is empty to all others: they wait
# at its key. Large tables can have no key over an id that callers choose, for they are parted by the interaction's.
CLAIM = "INSERT INTO id_claims SELECT unnest(%s::uuid[]) ON CONFLICT DO NOTHING"
RELEASE = "DELETE FROM id_claims WHERE id = ANY(%s::uuid[])"


class Stale(psycopg.OperationalError):
    """The other side had closed the connection before anything was sent."""


class Postgresql(Database):
    """The store in a database of PostgreSQL."""

    BEGIN = "BEGIN"
    WRITERS = 2
    SHARED = True

    def __init__(self, url: str, *, readers: int) -> None:
        self._conninfo = _conninfo(url)
        self._migrate()
        self.writer = self._engine(NullPool, {})
        event.listen(self.writer, "before_execute", _note_change)
        self.reader = self._engine(QueuePool, {"pool_size": readers, "max_overflow": 0}, reading=True)
        self.partitions = self._months = Partitions(self.writer)
        with contextlib.suppress(DBAPIError):
            # Where others are at work it may have to wait; it is tried again.
            self._make_months()

    def connect_writer(self) -> Connection:
        """Open a connection for units of work that are functions."""
        return self.writer.connect()

    def start_writer(self) -> PostgresWriter:
        """Open a connection for transactions of rows alone."""
        return PostgresWriter(self._conninfo)

    def connect_search(self) -> TsvectorIndex:
        """Open the text index for writing."""
        return TsvectorIndex(psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None))

    def close(self) -> None:
        """Close all connections."""
        self.reader.dispose()
        self.writer.dispose()

    def claim(self, ids: Sequence[UUID]) -> list[Statement]:
        """Insert the ids in one order, so that two transactions never wait for each other in a ring."""
        return [(CLAIM, (sorted(set(ids)),))] if ids else []

    def release(self, ids: Sequence[UUID]) -> list[Statement]:
        """Delete them before the commit."""
        return [(RELEASE, (sorted(set(ids)),))] if ids else []

    def advance_sequences(self, connection: Connection) -> None:
        """Give numbers beyond those that rows came with from elsewhere."""
        for table in metadata.sorted_tables:
            if table.autoincrement_column is not None and table.autoincrement_column.name == "number":
                connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'number'), "
                    f"(SELECT coalesce(max(number), 0) + 1 FROM {table.name}), false)"
                )

    def run_maintenance(self) -> None:
        """Make parts for the months to come, and have the database see how values are spread."""
        self._make_months()
        self._months.analyze()

    def _make_months(self) -> None:
        now = time.time_ns() // 1_000_000
        self._months.make(now, now + AHEAD_MS)

    def check(self, *, committed: bool = False) -> None:
        """Its files are the database's own."""

    def repair_search(self, error: BaseException | None) -> bool:
        """It is a table like others."""
        return False

    def interrupt(self, connection: Any) -> None:
        """Have the database cancel the statement, and leave the connection."""
        interrupt(connection)

    def is_alive(self) -> bool:
        """Tell whether a new connection is answered."""
        try:
            with psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None) as connection:
                return connection.execute("SELECT 1").fetchone() is not None
        except psycopg.Error:
            return False

    def is_fatal(self, error: BaseException) -> bool:
        """Tell whether the whole transaction is gone: the connection lost, the disk full, a server that was stopped."""
        cause = getattr(error, "orig", None) or error
        if not isinstance(cause, psycopg.Error):
            return False
        state = cause.sqlstate
        if state is None:
            return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        return state in CONTENTION or state.startswith(FAULTS)

    def is_transient(self, error: BaseException) -> bool:
        """Tell whether nothing was committed and the same again will likely do."""
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, Stale):
            return True
        return isinstance(cause, psycopg.Error) and (cause.sqlstate in CONTENTION or GONE_MEANWHILE in str(cause))

    def is_connection_lost(self, error: BaseException) -> bool:
        """Tell whether the database cannot be reached: it is down, full, going down, or has no room for us."""
        if isinstance(error, NoConnectionFree):
            return True
        cause = getattr(error, "orig", None) or error
        if not isinstance(cause, psycopg.Error):
            return False
        if cause.sqlstate is None:
            return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        return cause.sqlstate.startswith(("08", "53", "57P", "58")) or cause.sqlstate in DAMAGED

    def is_duplicate(self, error: BaseException) -> bool:
        """Tell whether a row with this key is there already."""
        return isinstance(getattr(error, "orig", None) or error, psycopg.errors.UniqueViolation)

    def explain(self, error: BaseException, *, committing: bool = False) -> Exception:
        """Say why the database does not do what it should, as the caller shall read it."""
        cause = getattr(error, "orig", None) or error
        if getattr(cause, "sqlstate", None) in DAMAGED:
            return Unavailable(
                f"The database is damaged: {_first_line(cause)}. Nothing was stored.",
                code="store_damaged",
                hint="Tell whoever runs the database: it needs its disk checked, and a backup restored.",
                retry_after=60,
            )
        if committing and self.is_connection_lost(error):
            return Unavailable(
                "The connection to the database was lost. This may have been stored.",
                code="store_interrupted",
                hint="Send it again; with ids of your own, nothing is stored twice.",
                retry_after=1,
            )
        return Unavailable(
            f"The database does not answer as it should: {_first_line(cause)}. Nothing was stored.",
            code="store_unavailable",
            hint="Send it again after the time that Retry-After gives; GET /ready tells when the database is back.",
            retry_after=2,
        )

    # ------------------------------------------------------------------------------------ opening

    def _engine(self, pool: Any, options: dict[str, Any], *, reading: bool = False) -> Engine:
        def connect() -> psycopg.Connection[Any]:
            connection = psycopg.connect(self._conninfo, prepare_threshold=None)
            connection.adapters.register_loader("numeric", _Number)
            if reading:
                # The several reads of a page see one snapshot.
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                connection.adapters.register_dumper(str, _SearchTextDumper)
            return connection

        return create_engine(
            "postgresql+psycopg://",
            creator=connect,
            poolclass=pool,
            paramstyle="format",
            use_native_hstore=False,
            **options,
        )

    def _migrate(self) -> None:
        engine = self._engine(NullPool, {})
        try:
            with engine.connect() as connection:
                with connection.begin():
                    self._check(connection)
                # Servers that are started together upgrade one after the other: who comes later finds nothing to do.
                # A lock within the transaction, which poolers of connections let pass.
                with contextlib.suppress(DBAPIError), connection.begin():
                    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS upgrades (one INTEGER PRIMARY KEY)")
                    connection.exec_driver_sql("INSERT INTO upgrades VALUES (1) ON CONFLICT DO NOTHING")
                with connection.begin():
                    connection.exec_driver_sql("SELECT one FROM upgrades FOR UPDATE")
                    if self._check(connection) != HEAD:
                        upgrade(connection)
        except (psycopg.Error, DBAPIError) as error:
            cause = getattr(error, "orig", None) or error
            raise StoreError(
                f"The database cannot be opened: {_first_line(cause)}. Check --database-url (AFTERWORD_DATABASE_URL)."
            ) from None
        finally:
            engine.dispose()

    def _check(self, connection: Connection) -> str | None:
        """Return the schema's version; None for a database without one. Raises `StoreError`."""
        version = connection.connection.driver_connection.info.server_version  # pyright: ignore
        if version < MIN_SERVER_VERSION:
            raise StoreError(f"The database is PostgreSQL {version // 10_000}; Afterword needs 14 or newer.")
        has_schema = connection.exec_driver_sql("SELECT to_regclass('alembic_version') IS NOT NULL").scalar()
        schema_version = (
            connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if has_schema else None
        )
        if schema_version is not None and schema_version not in REVISIONS:
            raise StoreError(
                f"The database was written by a newer Afterword (schema {schema_version}; this one knows {HEAD}). "
                "It was left untouched. Upgrade Afterword, or give another database with --database-url."
            )
        return schema_version


def _note_change(connection: Connection, statement: Any, *_: Any) -> None:
    """Tell the other servers of changes to the small tables, which they hold in memory."""
    if isinstance(statement, UpdateBase) and getattr(statement.table, "name", None) in CACHED_TABLES:
        connection.exec_driver_sql(CATALOG_CHANGED)


class PostgresWriter(Writer):
    """A connection that transactions of rows are sent over, each in one go: many statements, one answer to wait for."""

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)

    def run(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run statements; return the rows of each that finds some.

        Where one fails, what they did is rolled back, with all of a transaction that was begun before. Raises the
        driver's error, or `Stale`.
        """
        connection = self._connection
        try:
            connection.pgconn.consume_input()
        except psycopg.OperationalError as error:
            raise Stale(_first_line(error)) from None
        try:
            with connection.pipeline():
                cursors = [connection.execute(cast("Any", text), values) for text, values in statements]
            return [list(cursor.fetchall()) for cursor in cursors if cursor.description]
        except psycopg.Error:
            with contextlib.suppress(psycopg.Error):
                connection.rollback()
            raise

    def interrupt(self, *, committing: bool) -> None:
        """Leave the connection. A COMMIT is not cancelled: where it waits for a standby, PostgreSQL would report it as
        made."""
        if committing:
            leave(self._connection)
        else:
            interrupt(self._connection)

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(psycopg.Error):
            self._connection.close()


class _SearchTextDumper(StrDumper):
    """A text that is looked for. No text here holds a NUL, and the database refuses even to be asked for one."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd"))


class _Number(Loader):
    """Sums and means of whole numbers are numeric here: read as Python's own numbers, as from SQLite."""

    def load(self, data: Any) -> int | float:
        text = bytes(data)
        return float(text) if b"." in text or b"N" in text else int(text)


def _conninfo(url: str) -> str:
    try:
        url_parameters = conninfo_to_dict(url)
    except psycopg.Error as error:
        raise StoreError(f"The database's URL cannot be read: {_first_line(error)}.") from None
    return make_conninfo(url, **{name: value for name, value in CONNECTING.items() if name not in url_parameters})


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
