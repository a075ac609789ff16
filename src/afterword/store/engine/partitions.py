"""Partitions of the large tables on PostgreSQL, by the month of an interaction's id.

Ids made by Afterword begin with the time, so that each month has its own partitions, which are dropped at once. To
delete a month row by row takes hours and leaves holes in the tables.

Callers may choose any ids. Ids of a month without a partition are in the partition `others`. Ids from before 2020 and
after 2100, which most random ids are, are in `before` and `after`. So `others` stays small: it is read whole whenever a
partition is created.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from afterword.store.engine.statements import Transaction
from afterword.store.schema import metadata

WORDS = "search_words"
PARTITIONED = (
    *(table.name for table in metadata.sorted_tables if table.dialect_options["postgresql"]["partition_by"]),
    WORDS,
)
"""The names of the partitioned tables."""
# The tables that hold texts.
TEXT_TABLES = {"payloads", WORDS}
# The months that may have partitions: from 2020 to 2099, by their milliseconds since 1970.
FIRST_MONTH_MS, LAST_MONTH_MS = 1_577_836_800_000, 4_102_444_800_000
# A transaction that waits for a lock on a whole table makes all others wait behind it. So it waits briefly, several
# times.
LOCK_TIMEOUT = "200ms"
ATTEMPTS = 10
PAUSE_SECONDS = 0.2


class PartitionsBusy(Exception):
    """Others used the partitions for too long, or the connection was lost. The text is the database's message."""


class Month(NamedTuple):
    """A month in UTC: its first millisecond, and the first one of the next month."""

    start: int
    end: int

    @classmethod
    def of(cls, ms: int) -> Month:
        """Return the month of a time in milliseconds since 1970."""
        first = datetime.fromtimestamp(ms / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
        return cls(_ms(first), _ms(following))

    @property
    def name(self) -> str:
        """Return the ending of the names of its partitions: 2026_11."""
        return datetime.fromtimestamp(self.start / 1000, UTC).strftime("%Y_%m")

    @property
    def ids(self) -> tuple[UUID, UUID]:
        """Return the least id of the month, and the least id of the next month."""
        return UUID(int=self.start << 80), UUID(int=self.end << 80)


def partition_key(interaction_id: UUID) -> Month | bool:
    """Return a key that two ids share only if their rows are in the same partition."""
    ms = interaction_id.int >> 80
    return Month.of(ms) if FIRST_MONTH_MS <= ms < LAST_MONTH_MS else ms < FIRST_MONTH_MS


class Partitions:
    """Creates and drops partitions. Each method runs its own transactions, one at a time over all servers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def make(self, first: int, last: int) -> None:
        """Create the missing partitions of the months from `first` to `last`, milliseconds since 1970. Raises
        `PartitionsBusy`."""
        with _busy_errors():
            existing, month = self.existing_months(), Month.of(first)
            while month.start <= last:
                if missing := [table for table in PARTITIONED if table not in existing.get(month, ())]:
                    self._make(month, missing)
                month = Month.of(month.end)

    def _make(self, month: Month, tables: list[str]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                with self._locked() as connection:
                    others = ", ".join(f"{table}_others" for table in tables)
                    connection.exec_driver_sql(f"LOCK TABLE {others} IN ACCESS EXCLUSIVE MODE")
                    for table in tables:
                        _make(connection, table, month)
                return
            except OperationalError:
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(PAUSE_SECONDS)

    def existing_months(self) -> dict[Month, set[str]]:
        """Return the months with partitions, the oldest first, and the names of their partitioned tables."""
        tables_by_month: dict[Month, set[str]] = defaultdict(set)
        with self._engine.connect() as connection:
            rows = connection.exec_driver_sql(
                "SELECT parent.relname, part.relname FROM pg_inherits "
                "JOIN pg_class part ON part.oid = inhrelid JOIN pg_class parent ON parent.oid = inhparent "
                "WHERE parent.relkind = 'p' AND pg_table_is_visible(parent.oid)"
            ).all()
        for table, part in rows:
            name = part.removeprefix(f"{table}_")
            if table in PARTITIONED and name[:1].isdigit():
                tables_by_month[Month.of(_ms(datetime.strptime(f"{name}+0000", "%Y_%m%z")))].add(table)
        return dict(sorted(tables_by_month.items()))

    @contextmanager
    def closed(self, month: Month, tables: set[str]) -> Iterator[ClosedPartitions]:
        """Lock partitions of a month against writes until the end of the `with` block, which is a transaction.

        They can still be read. Raises `PartitionsBusy`, also for an error of the database within the block.
        """
        with _busy_errors(), self._locked() as connection:
            parts = ", ".join(_parts(month, tables))
            connection.exec_driver_sql(f"LOCK TABLE {parts} IN SHARE ROW EXCLUSIVE MODE")
            transaction = Transaction(connection)
            yield ClosedPartitions(transaction, month, tables)
            transaction.close()

    def analyze(self) -> None:
        """Analyze the partitioned tables as a whole, unless that was done within a day: PostgreSQL's autovacuum
        analyzes only each partition. Raises `PartitionsBusy`."""
        with _busy_errors(), self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            analyzed = connection.exec_driver_sql(
                "SELECT relname FROM pg_stat_user_tables WHERE last_analyze > now() - interval '20 hours'"
            )
            for table in set(PARTITIONED) - set(analyzed.scalars()):
                connection.exec_driver_sql(f"ANALYZE {table}")

    @contextmanager
    def _locked(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("SELECT one FROM upgrades FOR UPDATE")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            yield connection


class ClosedPartitions:
    """Partitions that are locked against writes, and the transaction that holds the lock."""

    def __init__(self, transaction: Transaction, month: Month, tables: set[str]) -> None:
        self.transaction = transaction
        self.tables = tables
        self._month = month

    def drop(self) -> None:
        """Drop them. `Partitions.closed` raises `PartitionsBusy` if someone reads them for too long."""
        parts = ", ".join(_parts(self._month, self.tables))
        self.transaction.connection.exec_driver_sql(f"DROP TABLE {parts}")


@contextmanager
def _busy_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise PartitionsBusy(str(error.orig)) from error


def _parts(month: Month, tables: set[str]) -> list[str]:
    return [f"{table}_{month.name}" for table in PARTITIONED if table in tables]


def _make(connection: Connection, table: str, month: Month) -> None:
    """Create a partition, and move the rows of its month from `others`."""
    part, others = f"{table}_{month.name}", f"{table}_others"
    key = "id" if table == "interactions" else "interaction_id"
    first, end = month.ids
    run = connection.exec_driver_sql
    run(f"CREATE TABLE {part} (LIKE {table} INCLUDING ALL)")
    id_range = f"{key} >= '{first}' AND {key} < '{end}'"
    run(f"WITH moved AS (DELETE FROM {others} WHERE {id_range} RETURNING *) INSERT INTO {part} SELECT * FROM moved")
    run(f"ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES FROM ('{first}') TO ('{end}')")


def _ms(time: datetime) -> int:
    return int(time.timestamp()) * 1000
