"""Text search: the meaning of a query, and the protocol for querying each database's text index."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select

from afterword.store.engine.dialect import dialect_of
from afterword.store.engine.word_splitting import words_of_query

_TERM = re.compile(r'"((?:[^"\\]|\\.)*)"?|([^\s"]+)', re.S)


class IndexedTexts(NamedTuple):
    """The texts by which the words of an interaction are found."""

    prompt: str
    """All messages, without reasoning."""
    completion: str
    reasoning: str
    """What the model thought, in the messages and the completion."""
    details: str
    """The details of the feedback on it and of its preferences."""


@dataclass(frozen=True, slots=True)
class Term:
    """Words of the index that are next to each other. With `begins`, the last one is the beginning of a word."""

    words: tuple[str, ...]
    begins: bool

    @classmethod
    def find(cls, text: str, *, begins: bool = False) -> Term | None:
        """Return the term for a text, or None if it has no words."""
        words, begins = words_of_query(text, begins=begins)
        return cls(tuple(words), begins) if words else None


@dataclass(frozen=True, slots=True)
class TextQuery:
    """Terms that must all occur. `column` is a field of `IndexedTexts`, or None for all of them."""

    terms: tuple[Term, ...]
    column: str | None = None

    @classmethod
    def words(cls, text: str) -> TextQuery | None:
        """Parse words, "quoted phrases" and prefixes*; return None if there is no word."""
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
        """Return the query for words that are next to each other, or None if there is no word."""
        term = Term.find(text)
        return None if term is None else cls((term,), column)


class Texts(Protocol):
    """Queries a database's text index."""

    def check(self, query: TextQuery, interaction_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the condition that an interaction has the words."""
        ...

    def lookup(self, query: TextQuery) -> Select[Any]:
        """Return the query for the ids of the interactions with the words."""
        ...

    def numbers(self, query: TextQuery) -> Select[Any]:
        """Return a query with as many rows as there are interactions with the words."""
        ...

    def among(self, connection: Connection, query: TextQuery, ids: Sequence[UUID]) -> set[UUID]:
        """Return the ids of the interactions with the words, among `ids`."""
        ...


def texts_of(connection: Connection) -> Texts:
    """Return the text search of a connection's database."""
    return dialect_of(connection.dialect).text_search()
