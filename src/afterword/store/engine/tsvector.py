"""Text search by PostgreSQL's tsvector and GIN.

Texts are split into words by Afterword's own rule (word_splitting.py), so that a query means the same as on SQLite.
`search_words` holds the words with their positions. Words of the prompt have the weight A, those of the completion B,
those of the reasoning C, and those of details D.

PostgreSQL stores no position beyond 16,383 and at most 255 positions of a word, so that long texts have several rows.
Each row begins with the last words of the row before, for phrases that cross the boundary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    and_,
    cast,
    column,
    exists,
    literal,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from afterword.store.engine.cancellation import interrupt
from afterword.store.engine.database import Index
from afterword.store.engine.text_search import IndexedTexts, Term, TextQuery, Texts
from afterword.store.engine.turns import COLUMNS as TURN_COLUMNS
from afterword.store.engine.turns import Change, Repetition, Turns, in_order
from afterword.store.engine.word_splitting import VERSION, words
from afterword.store.schema import Id

search_words = table(
    "search_words",
    column("interaction_id", Id),
    column("part"),
    column("words"),
    column("earlier_id", Id),
    column("resends_answer", Boolean),
)

WORDS_VERSION = "words"
"""The name in `versions` under which the version of the splitting rule is stored."""

_WEIGHTS = {None: "", "prompt": "A", "completion": "B", "reasoning": "C", "details": "D"}

MAX_POSITION_NUMBER = 16_000
MAX_WORD_COUNT = 250
# PostgreSQL allows a megabyte for a tsvector, and 2,046 bytes for a word.
MAX_PART_CHARACTERS = 200_000
MAX_WORD_CHARACTERS = 500
OVERLAP_WORDS = 200
INSERT_WORDS = (
    f"INSERT INTO search_words (interaction_id, part, words, {', '.join(TURN_COLUMNS)}) "
    f"VALUES (%s, %s, %s::tsvector, {', '.join(['%s'] * len(TURN_COLUMNS))}) "
    "ON CONFLICT (interaction_id, part) DO UPDATE SET words = excluded.words"
).encode()
NO_TURN = (None,) * len(TURN_COLUMNS)

# The rows of one interaction. They hold the first 5 million words of a usual text.
MAX_INTERACTION_PARTS = 1_000


def vectors(texts: IndexedTexts) -> Iterator[str]:
    """Yield the tsvectors of an interaction in PostgreSQL's syntax; at least one."""
    part = _Part()
    for name, text in zip(texts._fields, texts, strict=True):
        weight, tokens = _WEIGHTS[name], _cut(words(text))
        # The last word of the prompt and the first word of the completion form no phrase.
        part.position += 2
        start = 0
        for index, word in enumerate(tokens):
            if part.is_full(word):
                yield part.text()
                # At most half of the part is repeated, so that each part makes progress, however often a word occurs.
                overlap = tokens[max(start, index - OVERLAP_WORDS, (start + index) // 2) : index]
                start = index
                part = _Part()
                for repeated in overlap:
                    part.add(repeated, weight)
            part.add(word, weight)
    yield part.text()


def _cut(tokens: Iterable[str]) -> list[str]:
    return [word[:MAX_WORD_CHARACTERS] for word in tokens]


class _Part:
    """The words of a row and their positions."""

    def __init__(self) -> None:
        self.position = 0
        self._characters = 0
        self._positions: dict[str, list[str]] = {}

    def is_full(self, word: str) -> bool:
        return (
            self.position >= MAX_POSITION_NUMBER
            or self._characters > MAX_PART_CHARACTERS
            or len(self._positions.get(word, ())) >= MAX_WORD_COUNT
        )

    def add(self, word: str, weight: str) -> None:
        self.position += 1
        positions = self._positions.get(word)
        if positions is None:
            self._characters += len(word)
            positions = self._positions[word] = []
        positions.append(f"{self.position}{weight}")

    def text(self) -> str:
        return " ".join(f"'{word}':{','.join(positions)}" for word, positions in self._positions.items())


class Tsvector(Texts):
    """Queries the index. The terms of a query may be in different rows of a long text, so that each has a condition."""

    turns = search_words

    def check(self, query: TextQuery, interaction_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the condition that an interaction has the words."""
        same_interaction = search_words.c.interaction_id == interaction_id
        return and_(
            *(
                exists(
                    select(literal(1))
                    .where(same_interaction, _holds(search_words, term))
                    .correlate_except(search_words)
                )
                for term in _terms(query)
            )
        )

    def lookup(self, query: TextQuery) -> Select[Any]:
        """Return the query for the ids of the interactions with the words."""
        first, *others = _terms(query)
        query_ids = select(search_words.c.interaction_id).where(_holds(search_words, first))
        for term in others:
            other_words = search_words.alias()
            query_ids = query_ids.where(
                search_words.c.interaction_id.in_(select(other_words.c.interaction_id).where(_holds(other_words, term)))
            )
        return query_ids.distinct()

    def numbers(self, query: TextQuery) -> Select[Any]:
        """Return a query with as many rows as there are interactions with the words."""
        return self.lookup(query)

    def among(self, connection: Connection, query: TextQuery, ids: Sequence[UUID]) -> set[UUID]:
        """Return the ids of the interactions with the words, among `ids`."""
        having = set(ids)
        for term in _terms(query):
            of_these = search_words.c.interaction_id.in_(having)
            having = set(
                connection.execute(
                    select(search_words.c.interaction_id).where(of_these, _holds(search_words, term))
                ).scalars()
            )
        return having


def _terms(query: TextQuery) -> list[str]:
    """Return the terms of a query in the syntax of tsquery."""
    return [_term(term, _WEIGHTS[query.column]) for term in query.terms]


def _term(term: Term, weight: str) -> str:
    *tokens, last = _cut(term.words)
    ending = ("*" if term.begins else "") + weight
    marked = [*((word, weight) for word in tokens), (last, ending)]
    return " <-> ".join(f"'{word}':{mark}" if mark else f"'{word}'" for word, mark in marked)


def _holds(source: FromClause, term: str) -> ColumnElement[bool]:
    return source.c.words.bool_op("@@")(cast(literal(term, Text), TSQUERY))


def _rows(change: Change, repetition: Repetition) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of an interaction. The first one has its place in a conversation."""
    assert change.texts is not None
    place = (*change.turn.place, *repetition) if change.turn else NO_TURN
    texts = change.texts.indexed(repetition.repeated)
    for number, vector in enumerate(islice(vectors(texts), MAX_INTERACTION_PARTS)):
        yield (change.interaction_id, number, vector, *(NO_TURN if number else place))


def _insert(cursor: psycopg.Cursor[Any], rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        cursor.executemany(INSERT_WORDS, rows)


class TsvectorIndex(Index):
    """The index, for writing."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def is_new(self) -> bool:
        """Return whether the stored words were split by another version of the rule, and are to be indexed again."""
        version_row = self._connection.execute(
            "SELECT number FROM versions WHERE name = %s", (WORDS_VERSION,)
        ).fetchone()
        return version_row != (VERSION,)

    def note_complete(self) -> None:
        """Note that all interactions are queued."""
        self._connection.execute(
            "INSERT INTO versions VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET number = excluded.number",
            (WORDS_VERSION, VERSION),
        )

    def note_caught_up(self) -> None:
        """Do nothing: new rows replace those of an older rule one by one."""

    def size(self) -> int:
        """Return the number of indexed interactions, counted up to 200,000."""
        counted = "SELECT count(*) FROM (SELECT 1 FROM search_words WHERE part = 0 LIMIT 200000) AS counted"
        [size] = self._connection.execute(counted).fetchone() or (0,)
        return size

    @property
    def turns(self) -> Turns:
        """Return the turns that the index holds."""
        # The first of the rows of a turn has its columns.
        return Turns(self._run, "(SELECT * FROM search_words WHERE part = 0) AS turns")

    def _run(self, query: str, values: Sequence[Any]) -> psycopg.Cursor[Any]:
        return self._connection.execute(query.replace("?", "%s").encode(), values)

    def apply(self, changes: Sequence[Change]) -> None:
        """Add the texts of interactions, or remove them, in one transaction."""
        ordered = in_order(changes)
        if not ordered:
            return
        with self._connection.transaction(), self._connection.cursor() as cursor:
            # Rows of an interaction that is indexed again go first: it may need fewer of them now.
            changed_ids = [change.interaction_id for change in ordered]
            cursor.execute("DELETE FROM search_words WHERE interaction_id = ANY(%s)", (changed_ids,))
            rows: list[tuple[Any, ...]] = []
            for change in ordered:
                if change.turn is not None:
                    # It may repeat one of the turns before.
                    _insert(cursor, rows)
                    rows.clear()
                if not change.is_removed:
                    rows += _rows(change, self.turns.repetition(change))
            _insert(cursor, rows)

    def detach(self, ids: Sequence[UUID]) -> None:
        """Note that these turns, which are about to be removed, repeat no other turn."""
        self._connection.execute(
            "UPDATE search_words SET earlier_id = NULL WHERE interaction_id = ANY(%s)", (list(ids),)
        )

    def interrupt(self) -> None:
        """Interrupt the running statement."""
        interrupt(self._connection)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
