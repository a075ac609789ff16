"""Parts of the large tables on PostgreSQL: one for each month in which ids were given.

Ids of our own begin with the time, so that all that is logged in a month lies in parts of its own, which are dropped at
once; to delete it row by row takes hours, and leaves holes. Ids that callers choose may be any. Those of a time that no
month was made for stand in the part `others`, those of before 2020 and of after 2100, nearly all of random ids, in
`before` and `after`: so `others` stays small, which is read whole whenever a month is made.
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
"""The tables that have parts."""
# The tables that hold what was said.
TEXT_TABLES = {"payloads", WORDS}
# Whoever waits for a lock on a whole table has all others wait behind: so it is waited for briefly, and some times.
PATIENCE = "200ms"
ATTEMPTS = 10
PAUSE_SECONDS = 0.2


class Month(NamedTuple):
    """A month, UTC: its first millisecond, and the first of the next."""

    start: int
    end: int

    @classmethod
    def of(cls, ms: int) -> Month:
        """Return the month of a time in milliseconds."""
        first = datetime.fromtimestamp(ms / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
        return cls(_ms(first), _ms(following))

    @property
    def name(self) -> str:
        """Return how its parts are named: 2026_11."""
        return datetime.fromtimestamp(self.start / 1000, UTC).strftime("%Y_%m")

    @property
    def ids(self) -> tuple[UUID, UUID]:
        """Return the least id that was given in it, and the least of after it."""
        return UUID(int=self.start << 80), UUID(int=self.end << 80)


class Partitions:
    """Makes parts and drops them. Each does it in a transaction of its own, one at a time over all servers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def make(self, first: int, last: int) -> None:
        """Make the parts of the months from one time to another, milliseconds, that are not there yet.

        Raises `OperationalError` where others are in the way for long.
        """
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
        """Return the months that have parts, the oldest first, with the tables that have one."""
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
        """Let nobody write into parts of a month until the transaction ends; they may still be read."""
        with self._locked() as connection:
            parts = ", ".join(_parts(month, tables))
            connection.exec_driver_sql(f"LOCK TABLE {parts} IN SHARE ROW EXCLUSIVE MODE")
            transaction = Transaction(connection)
            yield ClosedPartitions(transaction, month, tables)
            transaction.close()

    def analyze(self) -> None:
        """Let the database see how values are spread over the parts together, unless it has within a day: by itself it
        looks at each part alone."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            analyzed = connection.exec_driver_sql(
                "SELECT relname FROM pg_stat_user_tables WHERE last_analyze > now() - interval '20 hours'"
            )
            for table in set(PARTITIONED) - set(analyzed.scalars()):
                connection.exec_driver_sql(f"ANALYZE {table}")

    @contextmanager
    def _locked(self) -> Iterator[Connection]:
        with self._engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("SELECT one FROM upgrades FOR UPDATE")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            yield connection


class ClosedPartitions:
    """Parts that nobody writes into, and the transaction that sees to it."""

    def __init__(self, transaction: Transaction, month: Month, tables: set[str]) -> None:
        self.transaction = transaction
        self.tables = tables
        self._month = month

    def drop(self) -> None:
        """Drop them. Raises `OperationalError` where someone reads them for long."""
        parts = ", ".join(_parts(self._month, self.tables))
        self.transaction.connection.exec_driver_sql(f"DROP TABLE {parts}")


def _parts(month: Month, tables: set[str]) -> list[str]:
    return [f"{table}_{month.name}" for table in PARTITIONED if table in tables]


def _make(connection: Connection, table: str, month: Month) -> None:
    """Make a part, with the rows that stand elsewhere for want of it."""
    part, others = f"{table}_{month.name}", f"{table}_others"
    key = "id" if table == "interactions" else "interaction_id"
    first, end = month.ids
    run = connection.exec_driver_sql
    run(f"CREATE TABLE {part} (LIKE {table} INCLUDING ALL)")
    id_range = f"{key} >= '{first}' AND {key} < '{end}'"
    run(f"WITH its AS (DELETE FROM {others} WHERE {id_range} RETURNING *) INSERT INTO {part} SELECT * FROM its")
    run(f"ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES FROM ('{first}') TO ('{end}')")


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
