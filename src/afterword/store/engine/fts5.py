"""Text search by SQLite's FTS5.

The index has a row for each interaction, with its words in a column for each field of `IndexedTexts`. The table
`documents` maps rows to interactions. Texts and queries are split into words by Afterword's own
rule (word_splitting.py). The words of a query are quoted, so that FTS5 reads none of them as an operator.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Select,
    case,
    column,
    exists,
    literal,
    literal_column,
    select,
    table,
)

from afterword.store.engine.database import Index
from afterword.store.engine.dialect import any_of
from afterword.store.engine.sqlite_writer_main import WriteAheadLog
from afterword.store.engine.text_search import IndexedTexts, TextQuery, Texts
from afterword.store.engine.turns import COLUMNS as TURN_COLUMNS
from afterword.store.engine.turns import Change, Turns, in_order
from afterword.store.engine.word_splitting import VERSION, spaced
from afterword.store.schema import Id

documents = table(
    "documents",
    column("number"),
    column("interaction_id", Id),
    column("earlier_id", Id),
    column("resends_answer", Boolean),
    schema="search",
)
words = table("words", column("rowid"), schema="search")
tables = table("sqlite_master", column("name"), schema="search")

# How these columns are searched in an index of an older rule, which may lack them: FTS5 refuses a query that names a
# column that does not exist, but lets a query exclude columns. An empty phrase matches nothing.
_OLDER_EXPRESSIONS = {"reasoning": "- {{prompt completion}} : ({})", "details": '""'}

# Rows whose numbers differ by less than this are searched as one range.
MAX_GAP_ROWS = 1_000


class Fts5(Texts):
    """Queries the index."""

    turns = documents

    def check(self, query: TextQuery, interaction_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the condition that an interaction has the words."""
        return exists(
            select(literal(1))
            .select_from(documents.join(words, words.c.rowid == documents.c.number))
            .where(documents.c.interaction_id == interaction_id, _matches(query))
            .correlate_except(documents, words)
        )

    def lookup(self, query: TextQuery) -> Select[Any]:
        """Return the query for the ids of the interactions with the words."""
        return (
            select(documents.c.interaction_id)
            .select_from(words.join(documents, documents.c.number == words.c.rowid))
            .where(_matches(query))
        )

    def numbers(self, query: TextQuery) -> Select[Any]:
        """Return the query for the numbers of rows with the words, which is the fastest way to count a few of them."""
        return select(words.c.rowid).where(_matches(query))

    def among(self, connection: Connection, query: TextQuery, ids: Sequence[UUID]) -> set[UUID]:
        """Return the ids of the interactions with the words, among `ids`.

        The rows of a page mostly have neighbouring numbers, and FTS5 searches a range of numbers at once. It takes
        0.3 ms for each single number. For words in a thousand of a million texts, a page took 470 ms row by row, and
        takes 30 ms by ranges.
        """
        rows = connection.execute(
            select(documents.c.number, documents.c.interaction_id)
            .where(any_of(documents.c.interaction_id, ids))
            .order_by(documents.c.number)
        )
        by_number = {row.number: row.interaction_id for row in rows}
        runs: list[list[int]] = []
        for number in by_number:
            if runs and number - runs[-1][1] < MAX_GAP_ROWS:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        matching_ids: set[UUID] = set()
        for first, last in runs:
            numbers = select(words.c.rowid).where(_matches(query), words.c.rowid.between(first, last))
            matching_ids.update(
                by_number[rowid] for rowid in connection.execute(numbers).scalars() if rowid in by_number
            )
        return matching_ids


def _matches(query: TextQuery) -> ColumnElement[bool]:
    phrases = ['"{}"{}'.format(" ".join(term.words), "*" if term.begins else "") for term in query.terms]
    together = " AND ".join(phrases)
    expression: ColumnElement[Any] = literal(f"{query.column} : ({together})" if query.column else together)
    if older_expression := _OLDER_EXPRESSIONS.get(query.column or ""):
        is_older = exists().where(tables.c.name == "next_words")
        expression = case((is_older, literal(older_expression.format(together))), else_=expression)
    return literal_column("words").op("MATCH", is_comparison=True)(expression)


class Fts5Index(Index):
    """The index, for writing: one connection, used by one thread.

    An index that was made by an older rule still answers queries while the new one, `next_words`, is filled. Then the
    new one replaces it. Until then texts are added to both. A deleted text leaves `documents` of the older index, but
    not its words: removing them requires the older rule. They go when the index is replaced.
    """

    # The index stores words and no texts (content=''), since the payloads hold the texts. FTS5 needs the same text to
    # remove it, so that a change of `payloads.searchable_texts` requires a new VERSION in word_splitting.py. The
    # tokenizer splits at ASCII characters that are neither letters nor digits, as `spaced` expects.
    TABLES = (
        # `details` as they were indexed. Unlike the payload they change. The columns after it are null for interactions
        # that are no turn of a session.
        "CREATE TABLE {}documents ("
        "number INTEGER PRIMARY KEY AUTOINCREMENT, interaction_id BLOB NOT NULL UNIQUE, details TEXT, "
        "conversation INTEGER, created_at INTEGER, message_count INTEGER, prompt_hash INTEGER, answer_hash INTEGER, "
        "bare_answer_hash INTEGER, earlier_id BLOB, repeated INTEGER, resends_answer INTEGER)",
        # A renamed table keeps its indexes, under their names.
        f"CREATE INDEX conversations_{VERSION} ON {{}}documents (conversation, message_count) "
        "WHERE conversation IS NOT NULL",
        f"CREATE INDEX earlier_{VERSION} ON {{}}documents (earlier_id) WHERE earlier_id IS NOT NULL",
        "CREATE VIRTUAL TABLE {}words USING fts5(prompt, completion, reasoning, details, content='', tokenize='ascii')",
        # Holds a row while interactions that are older than the index are still to be queued for it.
        "CREATE TABLE IF NOT EXISTS is_new (yes INTEGER)",
        "INSERT INTO is_new VALUES (1)",
        f"PRAGMA user_version={VERSION}",
    )

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._log = WriteAheadLog(connection)
        self._is_remade = _has_next(connection)

    @classmethod
    def make(cls, connection: sqlite3.Connection) -> None:
        """Create the tables in an empty file, and the tables of the new index in a file of an older rule. Raises
        `sqlite3.DatabaseError` for a file of a newer version."""
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if version == VERSION:
            return
        if version > VERSION:
            raise sqlite3.DatabaseError(f"the text index has version {version}")
        connection.execute("BEGIN IMMEDIATE")
        if _has_next(connection):
            connection.execute("DROP TABLE next_documents")
            connection.execute("DROP TABLE next_words")
        for statement in cls.TABLES:
            connection.execute(statement.format("next_" if version else ""))
        if version and "earlier_id" not in _columns(connection, "documents"):
            # Searches name these columns.
            connection.execute("ALTER TABLE documents ADD COLUMN earlier_id BLOB")
            connection.execute("ALTER TABLE documents ADD COLUMN resends_answer INTEGER")
        connection.execute("COMMIT")

    def size(self) -> int:
        """Return about how many interactions the index holds."""
        return self._connection.execute("SELECT max(number) FROM documents").fetchone()[0] or 0

    def is_new(self) -> bool:
        """Return whether interactions that are older than the index are still to be queued for it."""
        return self._connection.execute("SELECT 1 FROM is_new").fetchone() is not None

    def note_complete(self) -> None:
        """Note that all older interactions are queued."""
        self._connection.execute("DELETE FROM is_new")

    def note_caught_up(self) -> None:
        """Replace the index of an older rule by the new one, which is complete now."""
        if not self._is_remade or self.is_new():
            return
        with self._transaction() as run:
            for name in ("documents", "words"):
                run(f"DROP TABLE {name}")
                run(f"ALTER TABLE next_{name} RENAME TO {name}")
        self._is_remade = False

    @property
    def turns(self) -> Turns:
        """Return the turns that the index holds."""
        return Turns(self._connection.execute, f"{self._prefix}documents")

    @property
    def _prefix(self) -> str:
        return "next_" if self._is_remade else ""

    def apply(self, changes: Sequence[Change]) -> None:
        """Add the texts of interactions, or remove them, in one transaction.

        Adding or removing a text twice has no effect. Of an interaction that is in the index, only `details` and what
        it repeats of an earlier turn may have changed.
        """
        with self._transaction() as run:
            if self._is_remade:
                _apply_to_older(run, changes)
            turns = self.turns
            for change in in_order(self._add_new(changes)):
                _apply(run, change, turns, self._prefix)

    def _add_new(self, changes: Iterable[Change]) -> list[Change]:
        """Add the texts of interactions that are new and no turns, which most are, with few statements; return the
        other changes."""
        run = self._connection.execute
        documents, words = f"{self._prefix}documents", f"{self._prefix}words"
        new: dict[bytes, Change] = {}
        others: list[Change] = []
        for change in changes:
            if change.is_alone:
                new[change.interaction_id.bytes] = change
            else:
                others.append(change)
        numbers = f"SELECT interaction_id, number FROM {documents} WHERE interaction_id IN ({{}})"
        others += [new.pop(key) for key, _ in run(numbers.format(", ".join("?" * len(new))), list(new)).fetchall()]
        # FTS5 gathers rows in memory as long as their numbers ascend.
        texts = {key: change.texts.indexed() for key, change in sorted(new.items()) if change.texts}
        self._connection.executemany(
            f"INSERT INTO {documents} (interaction_id, details) VALUES (?, ?)",
            [(key, indexed.details) for key, indexed in texts.items()],
        )
        rows = sorted(run(numbers.format(", ".join("?" * len(new))), list(new)).fetchall(), key=itemgetter(1))
        self._connection.executemany(
            f"INSERT INTO {words} (rowid, {_TEXTS}) VALUES (?, {_TEXT_MARKS})",
            [(number, *_split(texts[key])) for key, number in rows],
        )
        return others

    def detach(self, ids: Sequence[UUID]) -> None:
        """Note that these turns, which are about to be removed, repeat no other turn."""
        with self._transaction() as run:
            for interaction_id in ids:
                run(f"UPDATE {self._prefix}documents SET earlier_id = NULL WHERE interaction_id = ?", (interaction_id,))

    @contextmanager
    def _transaction(self) -> Iterator[Callable[..., sqlite3.Cursor]]:
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        try:
            yield run
            run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                run("ROLLBACK")
            raise
        self._log.restart_if_large()

    def interrupt(self) -> None:
        """Interrupt the running statement."""
        self._connection.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _has_next(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'next_words'").fetchone() is not None


def _columns(connection: sqlite3.Connection, name: str) -> list[str]:
    return [column_name for _, column_name, *_ in connection.execute(f"PRAGMA table_info({name})")]


_Run: TypeAlias = Callable[..., sqlite3.Cursor]
_SAVED = ", ".join(("details", *TURN_COLUMNS))
_SAVED_MARKS = ", ".join("?" * (1 + len(TURN_COLUMNS)))
_TEXTS, _TEXT_MARKS = ", ".join(IndexedTexts._fields), ", ".join("?" * len(IndexedTexts._fields))


def _apply(run: _Run, change: Change, turns: Turns, prefix: str) -> None:
    documents, words = f"{prefix}documents", f"{prefix}words"
    interaction_id, texts = change.interaction_id, change.texts
    assert texts is not None
    found = f"SELECT number, details, coalesce(repeated, 0) FROM {documents} WHERE interaction_id = ?"
    number, details, repeated = run(found, (interaction_id,)).fetchone() or (None, None, 0)
    repetition = turns.repetition(change)
    is_same = number is not None and (details, repeated) == (texts.details, repetition.repeated)
    if number is not None and (change.is_removed or not is_same):
        removed = _split(texts.indexed(repeated)._replace(details=details))
        run(f"INSERT INTO {words} ({words}, rowid, {_TEXTS}) VALUES ('delete', ?, {_TEXT_MARKS})", (number, *removed))
    if change.is_removed:
        run(f"DELETE FROM {documents} WHERE interaction_id = ?", (interaction_id,))
        return
    place = (*change.turn.place, *repetition) if change.turn else (None,) * len(TURN_COLUMNS)
    saved = (texts.details, *place, interaction_id)
    if number is None:
        number = run(f"INSERT INTO {documents} ({_SAVED}, interaction_id) VALUES ({_SAVED_MARKS}, ?)", saved).lastrowid
    else:
        run(f"UPDATE {documents} SET ({_SAVED}) = ({_SAVED_MARKS}) WHERE interaction_id = ?", saved)
    if not is_same:
        added = _split(texts.indexed(repetition.repeated))
        run(f"INSERT INTO {words} (rowid, {_TEXTS}) VALUES (?, {_TEXT_MARKS})", (number, *added))


def _apply_to_older(run: _Run, changes: Iterable[Change]) -> None:
    """Add texts to an index of an older rule, which has the first columns only, and take removed ones from its
    `documents`."""
    columns = [name for _, name, *_ in run("PRAGMA table_info(words)")]
    marks = ", ".join("?" * len(columns))
    for interaction_id, texts, is_removed, _ in changes:
        document = run("SELECT number FROM documents WHERE interaction_id = ?", (interaction_id,)).fetchone()
        if texts is None or bool(document) != is_removed:
            continue
        if is_removed:
            run("DELETE FROM documents WHERE number = ?", document)
            continue
        number = run("INSERT INTO documents (interaction_id) VALUES (?)", (interaction_id,)).lastrowid
        values = (number, *_split(texts.indexed())[: len(columns)])
        run(f"INSERT INTO words (rowid, {', '.join(columns)}) VALUES (?, {marks})", values)


def _split(texts: IndexedTexts) -> IndexedTexts:
    return IndexedTexts(*map(spaced, texts))
