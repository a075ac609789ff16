"""What the store needs from a database: the protocols that sqlite.py and postgresql.py implement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Connection, Engine

from afterword.store.engine.partitions import Partitions
from afterword.store.engine.statements import Row, Statement
from afterword.store.engine.turns import Change, Turns


class StoreError(Exception):
    """The store cannot be opened."""


class Writer(Protocol):
    """Runs transactions that consist of rows, many statements at once."""

    def run(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run statements; return the rows of each query among them.

        If one fails, the whole transaction is rolled back, also what was run before in it. Raises the driver's error.
        """
        ...

    def interrupt(self, *, committing: bool) -> None:
        """Interrupt `run`, which then raises. Called by another thread. `committing`: a COMMIT was sent."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Index(Protocol):
    """The text index, for writing: by one thread of one server."""

    def is_new(self) -> bool:
        """Return whether interactions that are older than the index are still to be queued for it."""
        ...

    def note_complete(self) -> None:
        """Note that all older interactions are queued."""
        ...

    def note_caught_up(self) -> None:
        """Note that the queue is empty."""
        ...

    def size(self) -> int:
        """Return about how many interactions the index holds."""
        ...

    @property
    def turns(self) -> Turns:
        """The turns that the index holds."""
        ...

    def apply(self, changes: Sequence[Change]) -> None:
        """Add the texts of interactions, or remove them, in one transaction.

        Adding or removing a text twice has no effect. Of an interaction that is in the index, only `details` and what
        it repeats of an earlier turn may have changed.
        """
        ...

    def detach(self, ids: Sequence[UUID]) -> None:
        """Note that these turns, which are about to be removed, repeat no other turn."""
        ...

    def interrupt(self) -> None:
        """Interrupt the running statement, which then raises. Called by another thread."""
        ...

    def close(self) -> None:
        """Close the index."""
        ...


class Database(Protocol):
    """An open database: its connections, and the meaning of its errors."""

    BEGIN: str
    """The statement that begins a transaction of a writer."""
    WRITERS: int
    """The number of transactions that may write at once."""
    SHARED: bool
    """Whether several servers may use it at once."""
    writer: Engine
    reader: Engine
    partitions: Partitions | None
    """The partitions of the large tables; None if they are not partitioned."""

    def connect_writer(self) -> Connection:
        """Open a connection for units of work that are functions."""
        ...

    def start_writer(self) -> Writer:
        """Open the writer for transactions that consist of rows."""
        ...

    def connect_search(self) -> Index:
        """Open the text index for writing."""
        ...

    def claim(self, ids: Sequence[UUID]) -> list[Statement]:
        """Return the statements that lock ids which a transaction may insert.

        A transaction of any server that claims one of them waits for the end of this one, and then sees its rows.
        """
        ...

    def release(self, ids: Sequence[UUID]) -> list[Statement]:
        """Return the statements that release claimed ids before the commit."""
        ...

    def advance_sequences(self, connection: Connection) -> None:
        """Move the sequences beyond the numbers of rows that were copied from another database."""
        ...

    def run_maintenance(self) -> None:
        """Do the daily maintenance. Raises `PartitionsBusy`."""
        ...

    def check(self, *, committed: bool = False) -> None:
        """Raise an error if the files were replaced since they were opened. `committed`: called after a commit."""
        ...

    def repair_search(self, error: BaseException | None) -> bool:
        """Make a new text index if `error` or an earlier search says that it is damaged; return whether it was."""
        ...

    def interrupt(self, connection: Any) -> None:
        """Interrupt a driver's connection: its statement then raises. Called by another thread."""
        ...

    def is_alive(self) -> bool:
        """Return whether the database answers a new connection. A commit may then be waiting for a standby, and it is
        better to wait for it."""
        ...

    def is_fatal(self, error: BaseException) -> bool:
        """Return whether an error ended the whole transaction, and not just the unit of work that raised it."""
        ...

    def is_transient(self, error: BaseException) -> bool:
        """Return whether nothing was committed and another attempt will likely succeed."""
        ...

    def is_connection_lost(self, error: BaseException) -> bool:
        """Return whether an error means that the database cannot be reached or read, not that a query is wrong."""
        ...

    def is_duplicate(self, error: BaseException) -> bool:
        """Return whether an error means that a row with the same key exists."""
        ...

    def explain(self, error: BaseException, *, committing: bool = False) -> Exception:
        """Return the error that tells the caller why the database failed. `committing`: a COMMIT was sent."""
        ...

    def close(self) -> None:
        """Close all connections and release all locks."""
        ...
