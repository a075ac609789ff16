"""Statements that are compiled once by SQLAlchemy and run by the driver.

SQLAlchemy's execution costs about 100 microseconds for each statement, and logging an interaction runs seven. The
statements are still written in SQLAlchemy Core; only their texts are cached.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Connection, Dialect, Table, bindparam, select
from sqlalchemy.sql.expression import ClauseElement

from afterword.store.engine.dialect import dialect_of

T = TypeVar("T")
Row: TypeAlias = Sequence[Any]

# The numbers of rows or ids that a statement takes, largest first: all others are split into these. A driver keeps each
# text that it compiled: with a text for each number up to 64, the caches of the two processes grew for hours.
STATEMENT_ROWS = (64, 48, 32, 24, 16, 12, 8, 7, 6, 5, 4, 3, 2, 1)


class Prepared:
    """A statement with named parameters. `params` lists their names in the order of the values that callers pass."""

    def __init__(self, statement: ClauseElement, *params: str) -> None:
        self.statement = statement
        self.params = params
        self._texts: dict[str, tuple[str, tuple[int, ...]]] = {}

    def text(self, dialect: Dialect) -> tuple[str, tuple[int, ...]]:
        """Return the SQL, and for each of its placeholders the index of the parameter."""
        text_and_positions = self._texts.get(dialect.name)
        if text_and_positions is None:
            compiled = self.statement.compile(dialect=dialect)
            names = compiled.positiontup  # pyright: ignore[reportAttributeAccessIssue]
            text_and_positions = self._texts[dialect.name] = (
                str(compiled),
                tuple(self.params.index(name) for name in names),
            )
        return text_and_positions


class Find:
    """A lookup of columns by id, of many ids in one statement.

    With `row_lock`, no other transaction can delete the rows before this one ends.
    """

    def __init__(self, key: Column[UUID], *columns: Column[Any], row_lock: bool = False) -> None:
        self.query = select(key, *columns).where(key == bindparam("id"))
        self.row_lock = row_lock
        self._texts: dict[tuple[str, int], str] = {}

    def text(self, dialect: Dialect, ids: int) -> str:
        """Return the SQL for a number of ids."""
        text = self._texts.get((dialect.name, ids))
        if text is None:
            lock = dialect_of(dialect).LOOKUP_LOCK if self.row_lock else ""
            text = self._texts[dialect.name, ids] = _sql_with_in(self.query, dialect, ids) + lock
        return text


class Insert:
    """An INSERT of whole rows of a table, in the order of its columns; many rows in one statement.

    The driver releases the interpreter's lock at each statement and waits to get it back. With a statement for each
    row, this took a third of the server's time.

    - `ignore_existing` skips rows whose key exists.
    - `once` inserts only one of the rows in a commit that differ only in their first column.
    - `row_lock` skips rows whose first column exists, and no other transaction can delete those before this one ends.
    """

    def __init__(
        self, table: Table, *, ignore_existing: bool = False, once: bool = False, row_lock: bool = False
    ) -> None:
        self.table = table
        self.ignore_existing = ignore_existing
        self.once = once
        self.row_lock = row_lock
        self._texts: dict[tuple[str, int], str] = {}

    def text(self, dialect: Dialect, rows: int) -> str:
        """Return the SQL for a number of rows."""
        text = self._texts.get((dialect.name, rows))
        if text is None:
            head, _, values = str(self.table.insert().compile(dialect=dialect)).partition(" VALUES ")
            if self.row_lock:
                ending = dialect_of(dialect).lock_existing_rows(self.table.columns[0].name)
            elif self.ignore_existing:
                ending = " ON CONFLICT DO NOTHING"
            else:
                head, ending = head.replace("INSERT", dialect_of(dialect).INSERT, 1), ""
            text = f"{head} VALUES {', '.join([values] * rows)}{ending}"
            self._texts[dialect.name, rows] = text
        return text


class Update:
    """An UPDATE of `columns` where the column `by` has a value; many rows in one statement.

    A row holds the value of `by`, then those of `columns`. Values that no row has are skipped.
    """

    def __init__(self, table: Table, by: str, *columns: str) -> None:
        self.table = table
        self.by = by
        self.columns = columns
        self._texts: dict[tuple[str, int], str] = {}

    def text(self, dialect: Dialect, rows: int) -> str:
        """Return the SQL for a number of rows."""
        text = self._texts.get((dialect.name, rows))
        if text is None:
            quote = dialect.identifier_preparer.quote
            inserted = self.table.insert().compile(dialect=dialect, column_keys=[self.by, *self.columns])
            values = str(inserted).partition(" VALUES ")[2]
            # Both databases name the columns of a VALUES list column1, column2 and so on. PostgreSQL takes a column
            # that has only nulls for text, so that each is cast.
            types = [self.table.c[name].type.compile(dialect=dialect) for name in self.columns]
            assignments = ", ".join(
                f"{quote(name)} = CAST(new_rows.column{position} AS {type_name})"
                for position, (name, type_name) in enumerate(zip(self.columns, types, strict=True), 2)
            )
            text = (
                f"UPDATE {self.table.name} SET {assignments} FROM (VALUES {', '.join([values] * rows)}) AS new_rows "
                f"WHERE {self.table.name}.{quote(self.by)} = new_rows.column1"
            )
            self._texts[dialect.name, rows] = text
        return text


class Delete:
    """A DELETE of rows where the column `by` has a value and all `conditions` hold; many rows in one statement.

    A row holds the value of `by`.
    """

    def __init__(self, table: Table, by: str, *conditions: ColumnElement[bool]) -> None:
        self.table = table
        self.query = table.delete().where(*conditions, table.c[by] == bindparam("by"))
        self._texts: dict[tuple[str, int], str] = {}

    def text(self, dialect: Dialect, rows: int) -> str:
        """Return the SQL for a number of rows."""
        text = self._texts.get((dialect.name, rows))
        if text is None:
            text = self._texts[dialect.name, rows] = _sql_with_in(self.query, dialect, rows)
        return text


class DeleteByKey(Delete):
    """A DELETE of rows by their primary key of several columns; many rows in one statement. A row holds the key."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._texts: dict[tuple[str, int], str] = {}

    def text(self, dialect: Dialect, rows: int) -> str:
        """Return the SQL for a number of rows."""
        text = self._texts.get((dialect.name, rows))
        if text is None:
            names = [column.name for column in self.table.primary_key.columns]
            inserted = str(self.table.insert().compile(dialect=dialect, column_keys=names))
            values = inserted.partition(" VALUES ")[2]
            text = f"DELETE FROM {self.table.name} WHERE ({', '.join(names)}) IN (VALUES {', '.join([values] * rows)})"
            self._texts[dialect.name, rows] = text
        return text


def _sql_with_in(query: ClauseElement, dialect: Dialect, number: int) -> str:
    """Return the SQL of a query that ends in `= value`, changed to `IN (...)` for a number of values."""
    head, _, mark = str(query.compile(dialect=dialect)).rpartition(" = ")
    return f"{head} IN ({', '.join([mark] * number)})"


Change: TypeAlias = Insert | Update | Delete
Rows: TypeAlias = list[tuple[Change, Sequence[Row]]]


RowKey: TypeAlias = tuple[Find, UUID]
FoundRows: TypeAlias = dict[RowKey, Row]
Statement: TypeAlias = tuple[str, Sequence[Any]]
"""SQL and the values of its placeholders."""


class Transaction:
    """A transaction, as a unit of work sees it: methods for compiled statements, `connection` for all others."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.inserted: dict[str, int] = {}
        """The number of inserted rows by table."""
        self._before: dict[str, int] = {}
        self._cursor = connection.connection.cursor()

    def put(self, statement: Change, rows: Sequence[Row]) -> None:
        """Insert, update or delete rows."""
        for text, values in _driver_statements(self.connection.dialect, statement, rows):
            self._cursor.execute(text, values)
        if isinstance(statement, Insert):
            name = statement.table.name
            self.inserted[name] = self.inserted.get(name, 0) + len(rows)

    def put_all(self, units: Sequence[Rows]) -> None:
        """Write the rows of many units of work, table by table."""
        for statement, rows in group_by_statement(units).items():
            self.put(statement, rows)

    def find_all(self, keys: Sequence[RowKey]) -> FoundRows:
        """Look up many rows."""
        lookup = RowLookup(self.connection.dialect, keys)
        return lookup.rows_by_key([self._cursor.execute(*statement).fetchall() for statement in lookup.statements])

    def lock_catalog(self) -> None:
        """Lock the small tables against other transactions until this one ends, and tell the other servers that they
        have changed. Does nothing on SQLite, which has one writer and one server."""
        if statement := dialect_of(self.connection.dialect).LOCK_CATALOG:
            self._cursor.execute(statement)

    def run(self, statement: Prepared, *values: Any) -> int:
        """Run a statement; return the number of changed rows."""
        text, positions = statement.text(self.connection.dialect)
        self._cursor.execute(text, tuple(values[position] for position in positions))
        return self._cursor.rowcount

    def savepoint(self) -> None:
        """Start a part of the transaction that can be rolled back on its own."""
        self._before = self.inserted.copy()
        self._cursor.execute("SAVEPOINT unit")

    def release(self) -> None:
        """Keep the changes since the savepoint."""
        self._cursor.execute("RELEASE SAVEPOINT unit")

    def roll_back(self) -> None:
        """Undo the changes since the savepoint."""
        self.inserted = self._before
        self._cursor.execute("ROLLBACK TO SAVEPOINT unit")
        self._cursor.execute("RELEASE SAVEPOINT unit")

    def execute(self, statements: Iterable[Statement]) -> None:
        """Run statements."""
        for text, values in statements:
            self._cursor.execute(text, values)

    def close(self) -> None:
        """Close the driver's cursor."""
        self._cursor.close()


def group_by_statement(units: Iterable[Rows]) -> dict[Change, list[Row]]:
    """Return the rows of many units of work by their statement. Deletions come first: they are of older rows."""
    rows_by_statement: dict[Change, list[Row]] = defaultdict(list)
    for unit in units:
        for statement, rows in unit:
            rows_by_statement[statement].extend(rows)
    for statement, all_rows in rows_by_statement.items():
        if isinstance(statement, Insert) and statement.once:
            rows_by_statement[statement] = list({row[1:]: row for row in all_rows}.values())
    return dict(sorted(rows_by_statement.items(), key=lambda item: not isinstance(item[0], Delete)))


def driver_statements(dialect: Dialect, rows: dict[Change, list[Row]]) -> list[Statement]:
    """Return the driver's statements that write rows."""
    return [
        driver_statement
        for statement, statement_rows in rows.items()
        for driver_statement in _driver_statements(dialect, statement, statement_rows)
    ]


def _statement_batches(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Split rows into batches of the numbers that statements take."""
    start = 0
    for size in STATEMENT_ROWS:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


def _driver_statements(dialect: Dialect, statement: Change, rows: Sequence[Row]) -> Iterator[Statement]:
    if isinstance(statement, Insert):
        if statement.row_lock:
            rows = list({row[0]: row for row in rows}.values())
        # Sorted, so that two transactions that insert the same rows never wait for each other.
        rows = sorted(rows, key=itemgetter(0))
    for batch in _statement_batches(rows):
        yield statement.text(dialect, len(batch)), tuple(chain.from_iterable(batch))


class RowLookup:
    """A lookup of many rows: the driver's statements, and the rows they return."""

    def __init__(self, dialect: Dialect, keys: Iterable[RowKey]) -> None:
        rows_by_statement: dict[Find, dict[UUID, None]] = defaultdict(dict)
        for find, row_id in keys:
            rows_by_statement[find][row_id] = None
        self._finds: list[Find] = []
        self.statements: list[Statement] = []
        for find, distinct in rows_by_statement.items():
            ids = tuple(distinct)
            for batch in _statement_batches(ids):
                self._finds.append(find)
                self.statements.append((find.text(dialect, len(batch)), batch))

    def rows_by_key(self, answers: Sequence[Sequence[Row]]) -> FoundRows:
        """Return the rows by their keys, from the rows that each statement returned."""
        return {
            (find, row_id if isinstance(row_id, UUID) else UUID(bytes=row_id)): row
            for find, answer in zip(self._finds, answers, strict=True)
            for row_id, *row in answer
        }


def find_rows(connection: Connection, keys: Iterable[RowKey]) -> FoundRows:
    """Look up rows in a reader's snapshot, by the driver: for few rows that takes a third of SQLAlchemy's time."""
    lookup = RowLookup(connection.dialect, keys)
    answers = [connection.exec_driver_sql(text, tuple(values)).all() for text, values in lookup.statements]
    return lookup.rows_by_key(answers)


@dataclass(frozen=True, slots=True)
class ConditionalWrite:
    """A unit of work that depends on rows that are looked up by id.

    `write(*rows)` gets a row or None for each of `keys`. It returns the rows to write and the result of the unit, or
    raises the caller's error. Many such units share the statements of their lookups and writes.

    `own` is the id of what the unit writes, if the caller chose it. A unit sees what another unit with the same id
    wrote: units of one server run one after the other, and those of several servers wait for each other
    (`Database.claim`).
    """

    keys: Sequence[RowKey]
    write: Callable[..., tuple[Rows, Any]]
    own: UUID | None = None

    def __call__(self, transaction: Transaction) -> Any:
        """Look up and write, alone."""
        rows, result = self.prepare_write(transaction.find_all(self.keys))
        transaction.put_all([rows])
        return result

    def prepare_write(self, found_rows: FoundRows) -> tuple[Rows, Any]:
        """Return the rows to write, and the result."""
        return self.write(*(found_rows.get(key) for key in self.keys))


@dataclass(frozen=True, slots=True)
class Owned:
    """A unit of work that is a function and writes something with an id, `own`, that the caller chose.

    A unit sees what another unit with the same id wrote, as for `ConditionalWrite`.
    """

    write: Callable[[Transaction], Any]
    own: UUID

    def __call__(self, transaction: Transaction) -> Any:
        """Call the function."""
        return self.write(transaction)
