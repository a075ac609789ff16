"""Text search by PostgreSQL's tsvector and GIN.

A text is split into words by our own rule (words.py), so that a query means what it means on SQLite. `search_words`
holds them with their places; the words of the prompt have the weight A, those of the completion B.

PostgreSQL keeps no place beyond 16,383 and no more than 255 of one word, so that long texts have several rows. Each
begins with the last words of the one before, for phrases that stand across.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import (
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
from afterword.store.engine.text_search import Term, TextQuery, Texts
from afterword.store.engine.word_splitting import VERSION, words
from afterword.store.schema import Id

search_words = table("search_words", column("interaction_id", Id), column("part"), column("words"))

WORDS_VERSION = "words"
"""The name in `versions` of the rule that all texts are split by."""

MAX_POSITION_NUMBER = 16_000
MAX_WORD_COUNT = 250
# PostgreSQL takes a megabyte for a row, and 2,046 bytes for a word.
MAX_PART_CHARACTERS = 200_000
MAX_WORD_CHARACTERS = 500
OVERLAP_WORDS = 200
# Of one interaction; so many have the first 5 million words, of usual texts.
MAX_INTERACTION_PARTS = 1_000


def vectors(prompt: str, completion: str) -> Iterator[str]:
    """Return the tsvectors of an interaction, as PostgreSQL reads them; at least one."""
    part = _Part()
    for weight, tokens in (("A", _cut(words(prompt))), ("B", _cut(words(completion)))):
        # What stands last in the prompt and what stands first in the completion are no phrase.
        part.position += 2
        start = 0
        for index, word in enumerate(tokens):
            if part.full(word):
                yield part.text()
                # However often a word stands there, a new part comes further than the one before it.
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
    """A row's words and their places."""

    def __init__(self) -> None:
        self.position = 0
        self._characters = 0
        self._places: dict[str, list[str]] = {}

    def full(self, word: str) -> bool:
        return (
            self.position >= MAX_POSITION_NUMBER
            or self._characters > MAX_PART_CHARACTERS
            or len(self._places.get(word, ())) >= MAX_WORD_COUNT
        )

    def add(self, word: str, weight: str) -> None:
        self.position += 1
        places = self._places.get(word)
        if places is None:
            self._characters += len(word)
            places = self._places[word] = []
        places.append(f"{self.position}{weight}")

    def text(self) -> str:
        return " ".join(f"'{word}':{','.join(places)}" for word, places in self._places.items())


class Tsvector(Texts):
    """Asks PostgreSQL. Of a long text each term may stand in another row, so that each is asked for by itself."""

    def check(self, query: TextQuery, interaction_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return whether the interaction at hand has the words."""
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
        """Return the ids of the interactions that have the words."""
        first, *others = _terms(query)
        query_ids = select(search_words.c.interaction_id).where(_holds(search_words, first))
        for term in others:
            other_words = search_words.alias()
            query_ids = query_ids.where(
                search_words.c.interaction_id.in_(select(other_words.c.interaction_id).where(_holds(other_words, term)))
            )
        return query_ids.distinct()

    def numbers(self, query: TextQuery) -> Select[Any]:
        """Return what tells, by its number of rows, whether those with the words are few."""
        return self.lookup(query)

    def among(self, connection: Connection, query: TextQuery, ids: Sequence[UUID]) -> set[UUID]:
        """Return those of the interactions that have the words."""
        having = set(ids)
        for term in _terms(query):
            of_these = search_words.c.interaction_id.in_(having)
            having = set(
                connection.execute(
                    select(search_words.c.interaction_id).where(of_these, _holds(search_words, term))
                ).scalars()
            )
        return having


_WEIGHTS = {None: "", "prompt": "A", "completion": "B"}


def _terms(query: TextQuery) -> list[str]:
    """Return each term in the language of tsquery."""
    return [_term(term, _WEIGHTS[query.column]) for term in query.terms]


def _term(term: Term, weight: str) -> str:
    *tokens, last = _cut(term.words)
    ending = ("*" if term.begins else "") + weight
    marked = [*((word, weight) for word in tokens), (last, ending)]
    return " <-> ".join(f"'{word}':{mark}" if mark else f"'{word}'" for word, mark in marked)


def _holds(source: FromClause, term: str) -> ColumnElement[bool]:
    return source.c.words.bool_op("@@")(cast(literal(term, Text), TSQUERY))


class TsvectorIndex(Index):
    """The index as it is written."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def is_new(self) -> bool:
        """Tell whether interactions are still to be queued for it: those that were split into words by another rule."""
        version_row = self._connection.execute(
            "SELECT number FROM versions WHERE name = %s", (WORDS_VERSION,)
        ).fetchone()
        return version_row != (VERSION,)

    def note_complete(self) -> None:
        """Note that all of them are queued."""
        self._connection.execute(
            "INSERT INTO versions VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET number = excluded.number",
            (WORDS_VERSION, VERSION),
        )

    def note_caught_up(self) -> None:
        """Nothing has to be put in its place: rows take the place of those of another rule one by one."""

    def size(self) -> int:
        """Return how many interactions were taken in so far, up to some hundred thousand."""
        counted = "SELECT count(*) FROM (SELECT 1 FROM search_words WHERE part = 0 LIMIT 200000) AS counted"
        [size] = self._connection.execute(counted).fetchone() or (0,)
        return size

    def apply(self, changes: Sequence[tuple[UUID, tuple[str, str] | None, bool]]) -> None:
        """Take in (or where the last is True, take out) the texts of interactions, in one transaction."""
        removed_ids = [interaction_id for interaction_id, texts, out in changes if texts is not None and out]
        rows = [
            (interaction_id, number, vector)
            for interaction_id, texts, out in changes
            if texts is not None and not out
            for number, vector in enumerate(islice(vectors(*texts), MAX_INTERACTION_PARTS))
        ]
        with self._connection.transaction(), self._connection.cursor() as cursor:
            if removed_ids:
                cursor.execute("DELETE FROM search_words WHERE interaction_id = ANY(%s)", (removed_ids,))
            if rows:
                insert = (
                    "INSERT INTO search_words VALUES (%s, %s, %s::tsvector) "
                    "ON CONFLICT (interaction_id, part) DO UPDATE SET words = excluded.words"
                )
                cursor.executemany(insert, rows)

    def interrupt(self) -> None:
        """End the statement that is run."""
        interrupt(self._connection)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
