"""PostgreSQL 14 and newer: how a database is opened, and the meaning of its errors.

Several servers may use one database. This module needs no extension, no session lock and no LISTEN/NOTIFY, and prepares
no statement on the server, so that it works with managed databases and with connection poolers in transaction mode.
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
from afterword.store.engine.cancellation import interrupt, shut_down
from afterword.store.engine.database import Database, StoreError, Writer
from afterword.store.engine.dialect import LOCK_CATALOG
from afterword.store.engine.partitions import Partitions, PartitionsBusy
from afterword.store.engine.statements import Row, Statement
from afterword.store.engine.tsvector import TsvectorIndex
from afterword.store.migrations import HEAD, REVISIONS, upgrade
from afterword.store.schema import CACHED_TABLES, metadata

# The defaults of parameters that the URL does not set. With them, the loss of the database's machine is noticed within
# 20 seconds.
CONNECTION_DEFAULTS: dict[str, Any] = {
    "application_name": "afterword",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
MIN_SERVER_VERSION = 140_000
# Partitions of a month are created this long before it begins.
PARTITION_LEAD_MS = 32 * 86_400_000

# SQLSTATE classes of errors that are not caused by the statement: connection, resources, operator intervention, system,
# internal, and a server that has become a standby.
FAULT_CLASSES = ("08", "53", "57", "58", "XX", "25")
# Two transactions conflicted, or a partition was created or dropped meanwhile: another attempt will succeed. 23514 is a
# failed check, and no table has one except for the bounds of its partitions.
CONTENTION = ("40001", "40P01", "23514")
# A damaged page or index.
DAMAGED = ("XX001", "XX002")
GONE_MEANWHILE = "could not open relation with OID"

# A row of `id_claims` is inserted and deleted in the same transaction: others never see it, but wait for its key. The
# large tables cannot have a unique key over ids that callers choose, because they are partitioned by another id.
CLAIM = "INSERT INTO id_claims SELECT unnest(%s::uuid[]) ON CONFLICT DO NOTHING"
RELEASE = "DELETE FROM id_claims WHERE id = ANY(%s::uuid[])"


class StaleConnection(psycopg.OperationalError):
    """The connection was closed by the other side before anything was sent."""


class Postgresql(Database):
    """The store in a PostgreSQL database."""

    BEGIN = "BEGIN"
    WRITERS = 2
    SHARED = True

    def __init__(self, url: str, *, readers: int) -> None:
        self._conninfo = _conninfo(url)
        self._migrate()
        self.writer = self._engine(NullPool, {})
        event.listen(self.writer, "before_execute", _note_change)
        self.reader = self._engine(QueuePool, {"pool_size": readers, "max_overflow": 0}, reading=True)
        self.partitions = self._partitions = Partitions(self.writer)
        with contextlib.suppress(DBAPIError, PartitionsBusy):
            # Others may hold locks. The maintenance tries again.
            self._make_partitions()

    def connect_writer(self) -> Connection:
        """Open a connection for units of work that are functions."""
        return self.writer.connect()

    def start_writer(self) -> PostgresWriter:
        """Open a connection for transactions that consist of rows."""
        return PostgresWriter(self._conninfo)

    def connect_search(self) -> TsvectorIndex:
        """Open the text index for writing."""
        return TsvectorIndex(psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None))

    def close(self) -> None:
        """Close all connections."""
        self.reader.dispose()
        self.writer.dispose()

    def claim(self, ids: Sequence[UUID]) -> list[Statement]:
        """Insert the ids, sorted: two transactions never wait for each other."""
        return [(CLAIM, (sorted(set(ids)),))] if ids else []

    def release(self, ids: Sequence[UUID]) -> list[Statement]:
        """Delete the ids before the commit."""
        return [(RELEASE, (sorted(set(ids)),))] if ids else []

    def advance_sequences(self, connection: Connection) -> None:
        """Move the sequences beyond the numbers of rows that were copied from another database."""
        for table in metadata.sorted_tables:
            if table.autoincrement_column is not None and table.autoincrement_column.name == "number":
                connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'number'), "
                    f"(SELECT coalesce(max(number), 0) + 1 FROM {table.name}), false)"
                )

    def run_maintenance(self) -> None:
        """Create the partitions of this and the next month, and analyze the tables."""
        self._make_partitions()
        self._partitions.analyze()

    def _make_partitions(self) -> None:
        now = time.time_ns() // 1_000_000
        self._partitions.make(now, now + PARTITION_LEAD_MS)

    def check(self, *, committed: bool = False) -> None:
        """Do nothing: the database looks after its files."""

    def repair_search(self, error: BaseException | None) -> bool:
        """Return False: the index is an ordinary table."""
        return False

    def interrupt(self, connection: Any) -> None:
        """Have the database cancel the statement, and shut the connection down."""
        interrupt(connection)

    def is_alive(self) -> bool:
        """Return whether a new connection gets an answer."""
        try:
            with psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None) as connection:
                return connection.execute("SELECT 1").fetchone() is not None
        except psycopg.Error:
            return False

    def is_fatal(self, error: BaseException) -> bool:
        """Return whether the whole transaction is lost: connection lost, disk full, database stopped."""
        cause = getattr(error, "orig", None) or error
        if not isinstance(cause, psycopg.Error):
            return False
        state = cause.sqlstate
        if state is None:
            return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        return state in CONTENTION or state.startswith(FAULT_CLASSES)

    def is_transient(self, error: BaseException) -> bool:
        """Return whether nothing was committed and another attempt will likely succeed."""
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, StaleConnection):
            return True
        return isinstance(cause, psycopg.Error) and (cause.sqlstate in CONTENTION or GONE_MEANWHILE in str(cause))

    def is_connection_lost(self, error: BaseException) -> bool:
        """Return whether the database cannot be reached: it is down, shutting down, full, or has no free connection."""
        if isinstance(error, NoConnectionFree):
            return True
        cause = getattr(error, "orig", None) or error
        if not isinstance(cause, psycopg.Error):
            return False
        if cause.sqlstate is None:
            return isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
        return cause.sqlstate.startswith(("08", "53", "57P", "58")) or cause.sqlstate in DAMAGED

    def is_duplicate(self, error: BaseException) -> bool:
        """Return whether an error means that a row with the same key exists."""
        return isinstance(getattr(error, "orig", None) or error, psycopg.errors.UniqueViolation)

    def explain(self, error: BaseException, *, committing: bool = False) -> Exception:
        """Return the error that tells the caller why the database failed."""
        cause = getattr(error, "orig", None) or error
        if getattr(cause, "sqlstate", None) in DAMAGED:
            return Unavailable(
                f"The database is damaged: {_first_line(cause)}. Nothing was stored.",
                code="store_damaged",
                hint="Tell the administrator of the database: its disk must be checked and a backup restored.",
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
            f"The database failed: {_first_line(cause)}. Nothing was stored.",
            code="store_unavailable",
            hint="Send it again after the time that Retry-After gives; GET /ready tells when the database is back.",
            retry_after=2,
        )

    # ------------------------------------------------------------------------------------ opening

    def _engine(self, pool: Any, options: dict[str, Any], *, reading: bool = False) -> Engine:
        def connect() -> psycopg.Connection[Any]:
            connection = psycopg.connect(self._conninfo, prepare_threshold=None)
            connection.adapters.register_loader("numeric", _NumericLoader)
            if reading:
                # All reads of a page see the same snapshot.
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
                # Servers that start at the same time upgrade one after the other; later ones find nothing to do. The
                # lock is a row lock, which works with connection poolers.
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
    """Tell the other servers that a table changed which they hold in memory."""
    if isinstance(statement, UpdateBase) and getattr(statement.table, "name", None) in CACHED_TABLES:
        connection.exec_driver_sql(LOCK_CATALOG)


class PostgresWriter(Writer):
    """A connection that sends all statements of a transaction together, and waits only once."""

    def __init__(self, conninfo: str) -> None:
        self._connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)

    def run(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run statements; return the rows of each query among them.

        If one fails, the whole transaction is rolled back, also what was run before in it. Raises the driver's error,
        or `StaleConnection`.
        """
        connection = self._connection
        try:
            connection.pgconn.consume_input()
        except psycopg.OperationalError as error:
            raise StaleConnection(_first_line(error)) from None
        try:
            with connection.pipeline():
                cursors = [connection.execute(cast("Any", text), values) for text, values in statements]
            return [list(cursor.fetchall()) for cursor in cursors if cursor.description]
        except psycopg.Error:
            with contextlib.suppress(psycopg.Error):
                connection.rollback()
            raise

    def interrupt(self, *, committing: bool) -> None:
        """Shut the connection down. A COMMIT is not cancelled: if it waits for a standby, PostgreSQL would report it as
        successful."""
        if committing:
            shut_down(self._connection)
        else:
            interrupt(self._connection)

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(psycopg.Error):
            self._connection.close()


class _SearchTextDumper(StrDumper):
    """Replaces NUL in a text that is searched for. No stored text has one, and the database refuses it as a
    parameter."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd"))


class _NumericLoader(Loader):
    """Loads `numeric`, the type of sums and means of integers, as int or float, as SQLite returns them."""

    def load(self, data: Any) -> int | float:
        text = bytes(data)
        return float(text) if b"." in text or b"N" in text else int(text)


def _conninfo(url: str) -> str:
    try:
        url_parameters = conninfo_to_dict(url)
    except psycopg.Error as error:
        raise StoreError(f"The database's URL cannot be read: {_first_line(error)}.") from None
    return make_conninfo(
        url, **{name: value for name, value in CONNECTION_DEFAULTS.items() if name not in url_parameters}
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
