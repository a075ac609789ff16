"""Text search: what a query means, and what each database's own index is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select

from afterword.store.engine.word_splitting import words_of_query

_TERM = re.compile(r'"((?:[^"\\]|\\.)*)"?|([^\s"]+)', re.S)


@dataclass(frozen=True, slots=True)
class Term:
    """Words of the index that stand next to each other. With `begins` the last is the beginning of one."""

    words: tuple[str, ...]
    begins: bool

    @classmethod
    def find(cls, text: str, *, begins: bool = False) -> Term | None:
        """Return the term that finds a text; None where there is no word in it."""
        words, begins = words_of_query(text, begins=begins)
        return cls(tuple(words), begins) if words else None


@dataclass(frozen=True, slots=True)
class TextQuery:
    """Terms that must all be found. `column` None looks in both."""

    terms: tuple[Term, ...]
    column: str | None = None

    @classmethod
    def words(cls, text: str) -> TextQuery | None:
        """Read words, "phrases in quotes" and begin*; None where there is no word among them."""
        terms: list[Term] = []
        for match in _TERM.finditer(text):
            quoted, bare = match.groups()
            begins = quoted is None and bare.endswith("*")
            term = Term.find(bare if quoted is None else quoted, begins=begins)
            if term is not None:
                terms.append(term)
        return cls(tuple(terms)) if terms else None

    @classmethod
    def phrase(cls, text: str, column: str) -> TextQuery | None:
        """Read words that stand next to each other; None where there is no word."""
        term = Term.find(text)
        return None if term is None else cls((term,), column)


class Texts(Protocol):
    """A database's index of words, as it is asked."""

    def check(self, query: TextQuery, interaction_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return whether the interaction at hand has the words."""
        ...

    def lookup(self, query: TextQuery) -> Select[Any]:
        """Return the ids of the interactions that have the words."""
        ...

    def numbers(self, query: TextQuery) -> Select[Any]:
        """Return what tells, by its number of rows, whether those with the words are few."""
        ...

    def among(self, connection: Connection, query: TextQuery, ids: Sequence[UUID]) -> set[UUID]:
        """Return those of the interactions that have the words."""
        ...


def texts_of(connection: Connection) -> Texts:
    """Return how the database behind a connection is asked."""
    if connection.dialect.name == "sqlite":
        from afterword.store.engine.fts5 import Fts5

        return Fts5()
    from afterword.store.engine.tsvector import Tsvector

    return Tsvector()
