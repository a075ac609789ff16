"""What the store asks of a database: the port that sqlite.py and postgresql.py fill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Connection, Engine

from afterword.store.engine.partitions import Partitions
from afterword.store.engine.statements import Row, Statement


class StoreError(Exception):
    """The store cannot be opened."""


class Writer(Protocol):
    """What transactions of rows are sent to, many statements at once."""

    def run(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run statements; return the rows of each that finds some.

        Where one fails, what they did is rolled back, with all of a transaction that was begun before. Raises the
        driver's error.
        """
        ...

    def interrupt(self, *, committing: bool) -> None:
        """End what it is at, called by another thread: `run` then raises. `committing`: it has sent a COMMIT."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class Index(Protocol):
    """The text index as it is written: by one thread of one server."""

    def is_new(self) -> bool:
        """Tell whether interactions from before it was made are still to be queued."""
        ...

    def note_complete(self) -> None:
        """Note that all of them are queued."""
        ...

    def note_caught_up(self) -> None:
        """Note that all that was queued is taken in."""
        ...

    def size(self) -> int:
        """Return about how many interactions were taken in so far."""
        ...

    def apply(self, changes: Sequence[tuple[Any, tuple[str, str] | None, bool]]) -> None:
        """Take in (or where the last is True, take out) the texts of interactions, in one transaction.

        What is in already and what is out already stay so. No texts: the interaction was deleted meanwhile.
        """
        ...

    def interrupt(self) -> None:
        """End what it is at, called by another thread: that raises."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Database(Protocol):
    """An open database: how it is written and read, and what its errors mean."""

    BEGIN: str
    """How the writers begin."""
    WRITERS: int
    """How many transactions may be written at once."""
    SHARED: bool
    """Whether several servers may work over it."""
    writer: Engine
    reader: Engine
    partitions: Partitions | None
    """The parts of the large tables; None where each is one whole."""

    def connect_writer(self) -> Connection:
        """Open a connection for units of work that are functions."""
        ...

    def start_writer(self) -> Writer:
        """Open what transactions of rows alone are sent to."""
        ...

    def connect_search(self) -> Index:
        """Open the text index for writing."""
        ...

    def claim(self, ids: Sequence[UUID]) -> list[Statement]:
        """Return the statements that begin a transaction which may give these ids: another one, of any server, that
        may give one of them waits there until this one has ended, and then sees what it wrote."""
        ...

    def release(self, ids: Sequence[UUID]) -> list[Statement]:
        """Return the statements that end such a transaction."""
        ...

    def advance_sequences(self, connection: Connection) -> None:
        """Give numbers beyond those that rows came with from elsewhere."""
        ...

    def run_maintenance(self) -> None:
        """Do what it needs once a day."""
        ...

    def check(self, *, committed: bool = False) -> None:
        """Raise an error where the files are not those that were opened. `committed`: something was, just now."""
        ...

    def repair_search(self, error: BaseException | None) -> bool:
        """Make the text index anew where an error, or a search before, says that it is damaged; tell whether it was."""
        ...

    def interrupt(self, connection: Any) -> None:
        """End what a connection of the driver's is at, called by another thread: that raises."""
        ...

    def is_alive(self) -> bool:
        """Tell whether the database answers others: a commit that waits, for a standby say, is better waited for."""
        ...

    def is_fatal(self, error: BaseException) -> bool:
        """Tell whether an error ended the whole transaction, and not just the unit of work that met it."""
        ...

    def is_transient(self, error: BaseException) -> bool:
        """Tell whether nothing was committed, and the same again will likely do."""
        ...

    def is_connection_lost(self, error: BaseException) -> bool:
        """Tell whether an error says that the database cannot be reached or read, and not that a query is wrong."""
        ...

    def is_duplicate(self, error: BaseException) -> bool:
        """Tell whether a row with this key is there already."""
        ...

    def explain(self, error: BaseException, *, committing: bool = False) -> Exception:
        """Say why the database failed, as the caller shall read it. `committing`: it had come to the COMMIT."""
        ...

    def close(self) -> None:
        """Close all connections, and let other servers in."""
        ...
