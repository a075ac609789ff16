"""Statements compiled once from the tables and run by the driver itself.

SQLAlchemy's own execution costs some 100 microseconds a statement; a hot write runs seven. What the statement means is
still written in Core: only its text is kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Connection, Dialect, Table, bindparam, select
from sqlalchemy.sql.expression import ClauseElement

Row: TypeAlias = Sequence[Any]


class Prepared:
    """A statement with named parameters, given in the order in which `params` lists them."""

    def __init__(self, statement: ClauseElement, *params: str) -> None:
        self.statement = statement
        self.params = params
        self._texts: dict[str, tuple[str, tuple[int, ...]]] = {}

    def text(self, dialect: Dialect) -> tuple[str, tuple[int, ...]]:
        """Return the driver's text and which parameter stands at each of its places."""
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
    """A query for columns of the row with an id; many ids are looked up in one statement.

    With `row_lock` others cannot delete the rows before the transaction ends.
    """

    MOST_IDS = 64

    def __init__(self, key: Column[UUID], *columns: Column[Any], row_lock: bool = False) -> None:
        self.query = select(key, *columns).where(key == bindparam("id"))
        self.row_lock = row_lock
        self._texts: dict[tuple[str, int], str] = {}

    def text(self, dialect: Dialect, ids: int) -> str:
        """Return the driver's text for so many ids."""
        text = self._texts.get((dialect.name, ids))
        if text is None:
            # SQLite has one writer: nobody else deletes meanwhile.
            lock = " FOR KEY SHARE" if self.row_lock and dialect.name == "postgresql" else ""
            text = self._texts[dialect.name, ids] = _one_of(self.query, dialect, ids) + lock
        return text


class Insert:
    """An INSERT of whole rows of a table, in the order of its columns.

    Many rows go in one statement. The driver lets other threads run at each statement and then waits to go on; with a
    statement for each row that waiting alone took a third of the server's time.

    Where a row is refused, the rows before it are not taken back by the statement but by the transaction or the
    savepoint around it: SQLite need not keep what each page held before.

    Of rows that are the same but for their first column, `once` puts one for all that is written together. Of rows that
    exist already, by their first column, none can be deleted by others before the transaction ends, with `row_lock`.
    """

    MOST_ROWS = 64

    def __init__(
        self, table: Table, *, ignore_existing: bool = False, once: bool = False, row_lock: bool = False
    ) -> None:
        self.table = table
        self.ignore_existing = ignore_existing or row_lock
        self.once = once
        self.row_lock = row_lock
        self.ending = " ON CONFLICT DO NOTHING" if self.ignore_existing else ""
        self._texts: dict[tuple[str, int], str] = {}

    def text(self, dialect: Dialect, rows: int) -> str:
        """Return the driver's text for so many rows."""
        text = self._texts.get((dialect.name, rows))
        if text is None:
            head, _, values = str(self.table.insert().compile(dialect=dialect)).partition(" VALUES ")
            if dialect.name == "sqlite" and not self.ending:
                head = head.replace("INSERT", "INSERT OR FAIL", 1)
            ending = self.ending
            if self.row_lock and dialect.name == "postgresql":
                # What is ignored is not locked; what is written is.
                key = self.table.columns[0].name
                ending = f" ON CONFLICT ({key}) DO UPDATE SET {key} = excluded.{key}"
            text = f"{head} VALUES {', '.join([values] * rows)}{ending}"
            self._texts[dialect.name, rows] = text
        return text


class Update:
    """An UPDATE of some columns of a table's rows, found by one column. A row is that column's value, then theirs.

    Many rows go in one statement, as for `Insert`. Rows that are no more are passed over.
    """

    MOST_ROWS = 64

    def __init__(self, table: Table, by: str, *columns: str) -> None:
        self.table = table
        self.by = by
        self.columns = columns
        self._texts: dict[tuple[str, int], str] = {}

    def text(self, dialect: Dialect, rows: int) -> str:
        """Return the driver's text for so many rows."""
        text = self._texts.get((dialect.name, rows))
        if text is None:
            quote = dialect.identifier_preparer.quote
            inserted = self.table.insert().compile(dialect=dialect, column_keys=[self.by, *self.columns])
            values = str(inserted).partition(" VALUES ")[2]
            # In both databases the columns of a list of values are column1, column2 and so on. PostgreSQL takes those
            # that hold nothing but nulls for texts.
            types = [self.table.c[name].type.compile(dialect=dialect) for name in self.columns]
            new = ", ".join(
                f"{quote(name)} = CAST(given.column{position} AS {type_name})"
                for position, (name, type_name) in enumerate(zip(self.columns, types, strict=True), 2)
            )
            text = (
                f"UPDATE {self.table.name} SET {new} FROM (VALUES {', '.join([values] * rows)}) AS given "
                f"WHERE {self.table.name}.{quote(self.by)} = given.column1"
            )
            self._texts[dialect.name, rows] = text
        return text


class Delete:
    """A DELETE of a table's rows, found by one column, where also all of `conditions` hold. A row is that column's
    value."""

    MOST_ROWS = 64

    def __init__(self, table: Table, by: str, *conditions: ColumnElement[bool]) -> None:
        self.table = table
        self.query = table.delete().where(*conditions, table.c[by] == bindparam("by"))
        self._texts: dict[tuple[str, int], str] = {}

    def text(self, dialect: Dialect, rows: int) -> str:
        """Return the driver's text for so many rows."""
        text = self._texts.get((dialect.name, rows))
        if text is None:
            text = self._texts[dialect.name, rows] = _one_of(self.query, dialect, rows)
        return text


def _one_of(query: ClauseElement, dialect: Dialect, number: int) -> str:
    """Return the text of a query that ends in `= value` for any of so many values."""
    head, _, mark = str(query.compile(dialect=dialect)).rpartition(" = ")
    return f"{head} IN ({', '.join([mark] * number)})"


Change: TypeAlias = Insert | Update | Delete
Rows: TypeAlias = list[tuple[Change, Sequence[Row]]]


RowKey: TypeAlias = tuple[Find, UUID]
FoundRows: TypeAlias = dict[RowKey, Row]
Statement: TypeAlias = tuple[str, Sequence[Any]]
"""The driver's text and its values."""


# Its row is locked by that.
CATALOG_CHANGED = "UPDATE versions SET number = number + 1 WHERE name = 'catalog'"


class Transaction:
    """What a unit of work writes with: prepared statements for the hot ones, `connection` for all others."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.inserted: dict[str, int] = {}
        """How many rows were put into which table."""
        self._before: dict[str, int] = {}
        self._cursor = connection.connection.cursor()

    def put(self, statement: Change, rows: Sequence[Row]) -> None:
        """Insert, update or delete rows."""
        for text, values in _of_rows(self.connection.dialect, statement, rows):
            self._cursor.execute(text, values)
        if isinstance(statement, Insert):
            name = statement.table.name
            self.inserted[name] = self.inserted.get(name, 0) + len(rows)

    def put_all(self, units: Sequence[Rows]) -> None:
        """Write the rows of many units, table by table."""
        for statement, rows in joined(units).items():
            self.put(statement, rows)

    def find_all(self, keys: Sequence[RowKey]) -> FoundRows:
        """Look up many rows."""
        lookup = RowLookup(self.connection.dialect, keys)
        return lookup.rows_by_key([self._cursor.execute(*statement).fetchall() for statement in lookup.statements])

    def lock_catalog(self) -> None:
        """Lock the small tables against other transactions until this one ends, and tell the other servers that they
        have changed. On SQLite this does nothing: it has one writer and one server."""
        if self.connection.dialect.name == "postgresql":
            self._cursor.execute(CATALOG_CHANGED)

    def run(self, statement: Prepared, *values: Any) -> int:
        """Run a statement; return the number of rows it changed."""
        text, positions = statement.text(self.connection.dialect)
        self._cursor.execute(text, tuple(values[position] for position in positions))
        return self._cursor.rowcount

    def fetch_one(self, statement: Prepared, *values: Any) -> Row | None:
        """Return the first row that a query finds, in the driver's own types."""
        text, positions = statement.text(self.connection.dialect)
        self._cursor.execute(text, tuple(values[position] for position in positions))
        return self._cursor.fetchone()

    def savepoint(self) -> None:
        """Start a part that can be taken back on its own."""
        self._before = self.inserted.copy()
        self._cursor.execute("SAVEPOINT unit")

    def release(self) -> None:
        """Keep what was done since the savepoint."""
        self._cursor.execute("RELEASE SAVEPOINT unit")

    def take_back(self) -> None:
        """Undo what was done since the savepoint."""
        self.inserted = self._before
        self._cursor.execute("ROLLBACK TO SAVEPOINT unit")
        self._cursor.execute("RELEASE SAVEPOINT unit")

    def execute(self, statements: Iterable[Statement]) -> None:
        """Run the driver's statements."""
        for text, values in statements:
            self._cursor.execute(text, values)

    def close(self) -> None:
        """Give the driver's cursor back."""
        self._cursor.close()


def joined(units: Iterable[Rows]) -> dict[Change, list[Row]]:
    """Return the rows of many units, table by table. Deletions come first: what is deleted was there before."""
    rows_by_statement: dict[Change, list[Row]] = defaultdict(list)
    for unit in units:
        for statement, rows in unit:
            rows_by_statement[statement].extend(rows)
    for statement, all_rows in rows_by_statement.items():
        if isinstance(statement, Insert) and statement.once:
            rows_by_statement[statement] = list({row[1:]: row for row in all_rows}.values())
    return dict(sorted(rows_by_statement.items(), key=lambda item: not isinstance(item[0], Delete)))


def writing(dialect: Dialect, rows: dict[Change, list[Row]]) -> list[Statement]:
    """Return the driver's statements that write these rows."""
    return [
        driver_statement
        for statement, statement_rows in rows.items()
        for driver_statement in _of_rows(dialect, statement, statement_rows)
    ]


def _of_rows(dialect: Dialect, statement: Change, rows: Sequence[Row]) -> Iterator[Statement]:
    if isinstance(statement, Insert):
        if statement.row_lock:
            rows = list({row[0]: row for row in rows}.values())
        # In the same order everywhere: two transactions that put in the same rows never wait for each other in a ring.
        rows = sorted(rows, key=itemgetter(0))
    for start in range(0, len(rows), statement.MOST_ROWS):
        batch = rows[start : start + statement.MOST_ROWS]
        yield statement.text(dialect, len(batch)), tuple(chain.from_iterable(batch))


class RowLookup:
    """Many rows to be looked up: the driver's statements, and what they find."""

    def __init__(self, dialect: Dialect, keys: Iterable[RowKey]) -> None:
        rows_by_statement: dict[Find, dict[UUID, None]] = defaultdict(dict)
        for find, row_id in keys:
            rows_by_statement[find][row_id] = None
        self._finds: list[Find] = []
        self.statements: list[Statement] = []
        for find, distinct in rows_by_statement.items():
            ids = tuple(distinct)
            for start in range(0, len(ids), find.MOST_IDS):
                batch = ids[start : start + find.MOST_IDS]
                self._finds.append(find)
                self.statements.append((find.text(dialect, len(batch)), batch))

    def rows_by_key(self, answers: Sequence[Sequence[Row]]) -> FoundRows:
        """Return the rows by their ids, from the answers to the statements."""
        return {
            (find, row_id if isinstance(row_id, UUID) else UUID(bytes=row_id)): row
            for find, answer in zip(self._finds, answers, strict=True)
            for row_id, *row in answer
        }


@dataclass(frozen=True, slots=True)
class ConditionalWrite:
    """A unit of work that first looks up rows by their ids. `write(*rows)`, where a missing row is None, returns the
    rows to write and the result, or raises the caller's error.

    Many such units are looked up in one statement, and written in one. `own` is the id that the unit gives to what it
    writes, where the caller chose it. Units of the same id see each other: those of one server run one after the other,
    and those of several servers wait for each other (`Database.claim`).
    """

    keys: Sequence[RowKey]
    write: Callable[..., tuple[Rows, Any]]
    own: UUID | None = None

    def __call__(self, transaction: Transaction) -> Any:
        """Do it alone."""
        rows, result = self.prepare_write(transaction.find_all(self.keys))
        transaction.put_all([rows])
        return result

    def prepare_write(self, found_rows: FoundRows) -> tuple[Rows, Any]:
        """Return what to write, and the result."""
        return self.write(*(found_rows.get(key) for key in self.keys))


@dataclass(frozen=True, slots=True)
class Owned:
    """A unit of work that reads and writes as it likes, and gives what it writes an `own` id that the caller chose.

    Units of the same id see each other, as those of `ConditionalWrite` do.
    """

    write: Callable[[Transaction], Any]
    own: UUID

    def __call__(self, transaction: Transaction) -> Any:
        """Do it."""
        return self.write(transaction)
