"""Parts of statements that each database says in its own way, and how it is told to take them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, ColumnElement, Connection, SelectBase
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from afterword.store.schema import Id

# How PostgreSQL is made to run along an index.
_IN_ORDER = {
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "max_parallel_workers_per_gather": "0",
}


class least_id(GenericFunction[UUID]):
    """The least of the ids in a group."""

    type = Id()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)


@compiles(least_id)
def _usual(element: Any, compiler: Any, **options: Any) -> str:
    return f"min({compiler.process(element.clauses, **options)})"


@compiles(least_id, "postgresql")
def _postgresql(element: Any, compiler: Any, **options: Any) -> str:
    # It has no min() of UUIDs. As texts they have the same order.
    return f"CAST(min(CAST({compiler.process(element.clauses, **options)} AS TEXT)) AS UUID)"


class clock(GenericFunction[int]):
    """The database's own time, in milliseconds since 1970."""

    type = BigInteger()
    inherit_cache = True


@compiles(clock)
def _sqlites_clock(element: Any, compiler: Any, **options: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(clock, "postgresql")
def _clock(element: Any, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


class among(GenericFunction[bool]):
    """Whether a column is among what a query finds, which is run first: its rows are then looked up one by one.

    PostgreSQL would join both, by a guess of how many the query finds.
    """

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], query: SelectBase) -> None:
        super().__init__(column, query.scalar_subquery())

    def self_group(self, against: Any = None) -> Any:
        """Return it as it stands. SQLAlchemy would write `= 1` after it, and SQLite then finds no index for it."""
        return self


@compiles(among)
def _in(element: Any, compiler: Any, **options: Any) -> str:
    column, query = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN {query}"


@compiles(among, "postgresql")
def _any(element: Any, compiler: Any, **options: Any) -> str:
    column, query = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY (ARRAY{query})"


@contextmanager
def in_order(connection: Connection) -> Iterator[None]:
    """Run statements along the indexes whose order they name.

    So SQLite does by itself. PostgreSQL guesses for how many rows several conditions hold together; where it takes many
    for few, it reads and sorts whole tables for a page that the first thousand entries of an index hold.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    connection.exec_driver_sql("; ".join(f"SET LOCAL {name} = {value}" for name, value in _IN_ORDER.items()))
    yield
    connection.exec_driver_sql("; ".join(f"SET LOCAL {name} TO DEFAULT" for name in _IN_ORDER))
