"""Statements compiled once from the tables and run by the driver itself.

SQLAlchemy's own execution costs some 100 microseconds a statement; a hot write runs seven. What the statement means is
still written in Core: only its text is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.sql.expression import ClauseElement

Row = Sequence[Any]


class Prepared:
    """A statement with named parameters, given in the order in which `params` lists them."""

    def __init__(self, statement: ClauseElement, *params: str) -> None:
        self.statement = statement
        self.params = params
        self._texts: dict[str, tuple[str, tuple[int, ...]]] = {}

    def text(self, dialect: Dialect) -> tuple[str, tuple[int, ...]]:
        """Return the driver's text and which parameter stands at each of its places."""
        known = self._texts.get(dialect.name)
        if known is None:
            compiled = self.statement.compile(dialect=dialect)
            names = compiled.positiontup  # pyright: ignore[reportAttributeAccessIssue]
            known = self._texts[dialect.name] = (str(compiled), tuple(self.params.index(name) for name in names))
        return known


class Insert:
    """An INSERT of whole rows of a table, in the order of its columns.

    Many rows go in one statement. The driver lets other threads run at each statement and then waits to go on; with a
    statement for each row that waiting alone took a third of the server's time.
    """

    MOST_ROWS = 64

    def __init__(self, table: Table, *, ignore_existing: bool = False) -> None:
        self.table = table
        self.ending = " ON CONFLICT DO NOTHING" if ignore_existing else ""
        self._texts: dict[tuple[str, int], str] = {}

    def text(self, dialect: Dialect, rows: int) -> str:
        """Return the driver's text for so many rows."""
        known = self._texts.get((dialect.name, rows))
        if known is None:
            head, _, values = str(self.table.insert().compile(dialect=dialect)).partition(" VALUES ")
            known = f"{head} VALUES {', '.join([values] * rows)}{self.ending}"
            self._texts[dialect.name, rows] = known
        return known


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
        known = self._texts.get((dialect.name, rows))
        if known is None:
            quote = dialect.identifier_preparer.quote
            inserted = self.table.insert().compile(dialect=dialect, column_keys=[self.by, *self.columns])
            values = str(inserted).partition(" VALUES ")[2]
            # In both databases the columns of a list of values are column1, column2 and so on.
            new = ", ".join(f"{quote(name)} = given.column{place}" for place, name in enumerate(self.columns, 2))
            known = (
                f"UPDATE {self.table.name} SET {new} FROM (VALUES {', '.join([values] * rows)}) AS given "
                f"WHERE {self.table.name}.{quote(self.by)} = given.column1"
            )
            self._texts[dialect.name, rows] = known
        return known


class Transaction:
    """What a unit of work writes with: prepared statements for the hot ones, `connection` for all others."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.inserted: dict[str, int] = {}
        """How many rows were put into which table."""
        self._before: dict[str, int] = {}
        self._cursor = connection.connection.cursor()

    def put(self, statement: Insert | Update, rows: Sequence[Row]) -> None:
        """Insert or update rows."""
        for start in range(0, len(rows), statement.MOST_ROWS):
            some = rows[start : start + statement.MOST_ROWS]
            text = statement.text(self.connection.dialect, len(some))
            self._cursor.execute(text, tuple(chain.from_iterable(some)))
        if isinstance(statement, Insert):
            name = statement.table.name
            self.inserted[name] = self.inserted.get(name, 0) + len(rows)

    def run(self, statement: Prepared, *values: Any) -> int:
        """Run a statement; return the number of rows it changed."""
        text, places = statement.text(self.connection.dialect)
        self._cursor.execute(text, tuple(values[place] for place in places))
        return self._cursor.rowcount

    def one(self, statement: Prepared, *values: Any) -> Row | None:
        """Return the first row that a query finds, in the driver's own types."""
        text, places = statement.text(self.connection.dialect)
        self._cursor.execute(text, tuple(values[place] for place in places))
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

    def close(self) -> None:
        """Give the driver's cursor back."""
        self._cursor.close()
