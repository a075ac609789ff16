"""What SQLite and PostgreSQL write differently in a statement: one class for each, with the same methods.

Statements are written once, in SQLAlchemy Core. Where the databases differ, a statement holds one of the constructs at
the end of this module, and the construct asks `dialect_of` for its text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, ColumnElement, Connection, Dialect, SelectBase, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from afterword.store.schema import Id

if TYPE_CHECKING:
    from afterword.store.engine.text_search import Texts

T = TypeVar("T")

# `any_of` pads lists to powers of two up to this length, and to multiples of it beyond.
PADDED_VALUES = 1024

LOCK_CATALOG = "UPDATE versions SET number = number + 1 WHERE name = 'catalog'"
"""Locks the row of `versions` that all changes of the catalog update, and tells the other servers of the change."""

# These settings make PostgreSQL's planner walk along an index.
_INDEX_ORDER_SETTINGS = {
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "max_parallel_workers_per_gather": "0",
}


class DatabaseDialect(Protocol):
    """The parts of statements that depend on the database. What is typed `str` is SQL."""

    INSERT: str
    """The verb of an INSERT that fails for a row with an existing key, and need not undo its earlier rows then: the
    transaction or the savepoint around it does."""
    LOOKUP_LOCK: str
    """Ends a SELECT of rows that nobody may delete before the transaction ends."""
    LOCK_CATALOG: str | None
    """Locks the catalog against other transactions until this one ends; None where no other can write."""

    def lock_existing_rows(self, key: str) -> str:
        """End an INSERT that skips rows whose `key` exists, and lock those until the transaction ends."""
        ...

    def least_id(self, column: str) -> str:
        """Return the least of the ids in a group."""
        ...

    def clock(self) -> str:
        """Return the database's own time, in milliseconds since 1970."""
        ...

    def among(self, column: str, query: str) -> str:
        """Return whether a column is among the results of a query, which runs first."""
        ...

    def in_index_order(self, connection: Connection) -> AbstractContextManager[None]:
        """Run the statements of a `with` block along the indexes whose order they name."""
        ...

    def text_search(self) -> Texts:
        """Return how the text index is queried."""
        ...


class SqliteDialect(DatabaseDialect):
    """SQLite. It has one writer, so that locks are not needed."""

    INSERT = "INSERT OR FAIL"
    LOOKUP_LOCK = ""
    LOCK_CATALOG = None

    def lock_existing_rows(self, key: str) -> str:
        """Skip the rows without a lock: nobody else writes."""
        return " ON CONFLICT DO NOTHING"

    def least_id(self, column: str) -> str:
        """Compare the bytes."""
        return f"min({column})"

    def clock(self) -> str:
        """Convert days to milliseconds."""
        return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

    def among(self, column: str, query: str) -> str:
        """Use IN, which SQLite runs as a lookup for each result."""
        return f"{column} IN {query}"

    def in_index_order(self, connection: Connection) -> AbstractContextManager[None]:
        """Do nothing: SQLite prefers the index by itself."""
        return nullcontext()

    def text_search(self) -> Texts:
        """Return FTS5's."""
        from afterword.store.engine.fts5 import Fts5

        return Fts5()


class PostgresqlDialect(DatabaseDialect):
    """PostgreSQL. Several transactions write at the same time."""

    INSERT = "INSERT"
    LOOKUP_LOCK = " FOR KEY SHARE"
    LOCK_CATALOG = LOCK_CATALOG

    def lock_existing_rows(self, key: str) -> str:
        """Update the rows to what they are: DO NOTHING would not lock them."""
        return f" ON CONFLICT ({key}) DO UPDATE SET {key} = excluded.{key}"

    def least_id(self, column: str) -> str:
        """Compare texts, which have the same order: PostgreSQL has no min() of UUIDs."""
        return f"CAST(min(CAST({column} AS TEXT)) AS UUID)"

    def clock(self) -> str:
        """Convert seconds to milliseconds."""
        return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"

    def among(self, column: str, query: str) -> str:
        """Compare with an array. PostgreSQL would join a subquery, by a guess of how many rows it returns."""
        return f"{column} = ANY (ARRAY{query})"

    @contextmanager
    def in_index_order(self, connection: Connection) -> Iterator[None]:
        """Switch off the planner's other ways.

        PostgreSQL guesses for how many rows several conditions hold together. Where it expects many and there are few,
        it reads and sorts whole tables for a page that the first thousand entries of an index hold.
        """
        settings = _INDEX_ORDER_SETTINGS
        connection.exec_driver_sql("; ".join(f"SET LOCAL {name} = {value}" for name, value in settings.items()))
        yield
        connection.exec_driver_sql("; ".join(f"SET LOCAL {name} TO DEFAULT" for name in settings))

    def text_search(self) -> Texts:
        """Return tsvector's."""
        from afterword.store.engine.tsvector import Tsvector

        return Tsvector()


_DIALECTS: dict[str, DatabaseDialect] = {"sqlite": SqliteDialect(), "postgresql": PostgresqlDialect()}


def dialect_of(dialect: Dialect) -> DatabaseDialect:
    """Return our dialect for one of SQLAlchemy's: `connection.dialect` or `compiler.dialect`."""
    return _DIALECTS[dialect.name]


def in_index_order(connection: Connection) -> AbstractContextManager[None]:
    """Run the statements of a `with` block along the indexes whose order they name."""
    return dialect_of(connection.dialect).in_index_order(connection)


# ------------------------------------------------------------------------------------------------ constructs


class least_id(GenericFunction[UUID]):
    """The least of the ids in a group."""

    type = Id()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)


class clock(GenericFunction[int]):
    """The database's own time, in milliseconds since 1970."""

    type = BigInteger()
    inherit_cache = True


class among(GenericFunction[bool]):
    """Whether a column is among the results of a query, which runs first: its rows are then looked up one by one."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], query: SelectBase) -> None:
        super().__init__(column, query.scalar_subquery())

    def self_group(self, against: Any = None) -> Any:
        """Return it unchanged. SQLAlchemy would write `= 1` after it, and SQLite then finds no index for it."""
        return self


def _compile_by(construct: type[GenericFunction[Any]], text: Callable[[DatabaseDialect], Callable[..., str]]) -> None:
    """Have our dialect write a construct: `text` picks its method, which gets the text of each argument."""

    @compiles(construct)
    def compile_construct(element: Any, compiler: Any, **options: Any) -> str:
        arguments = (compiler.process(clause, **options) for clause in element.clauses)
        return text(dialect_of(compiler.dialect))(*arguments)


_compile_by(least_id, lambda dialect: dialect.least_id)
_compile_by(clock, lambda dialect: dialect.clock)
_compile_by(among, lambda dialect: dialect.among)


def any_of(column: ColumnElement[T], values: Iterable[T]) -> ColumnElement[bool]:
    """Return `column IN (values)`, with the list padded by its last value to one of few lengths.

    Each length makes another statement, and a driver keeps the statements that it compiled. The lengths are powers of
    two up to PADDED_VALUES, and multiples of that beyond.
    """
    padded = list(values)
    length = 1 << (len(padded) - 1).bit_length()
    if length > PADDED_VALUES:
        length = -(-len(padded) // PADDED_VALUES) * PADDED_VALUES
    padded += padded[-1:] * (length - len(padded))
    return column.in_(padded)


def without_index(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return an expression equal to a numeric column. Neither database uses an index for it."""
    return column + literal(0)
