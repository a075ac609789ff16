"""Text search: what a query means, and what each database's own index is asked for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select

_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')


@dataclass(frozen=True, slots=True)
class TextQuery:
    """Terms that must all be found: each a phrase, or with True the beginning of one. `column` None looks in both."""

    terms: tuple[tuple[str, bool], ...]
    column: str | None = None

    @classmethod
    def words(cls, text: str) -> TextQuery | None:
        """Read words, "phrases in quotes" and begin*; None where there is no word among them."""
        terms = []
        for found in _TERM.finditer(text.replace("\0", " ")):
            quoted, bare = found.groups()
            term = bare if quoted is None else quoted
            if _has_word(term):
                terms.append((term.rstrip("*"), quoted is None and term.endswith("*")))
        return cls(tuple(terms)) if terms else None

    @classmethod
    def phrase(cls, text: str, column: str) -> TextQuery | None:
        """Read words that stand next to each other; None where there is no word."""
        return cls(((text.replace("\0", " "), False),), column) if _has_word(text) else None


class Texts(Protocol):
    """A database's index of words, as it is asked."""

    def check(self, query: TextQuery, interaction_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return whether the interaction at hand has the words."""
        ...

    def seek(self, query: TextQuery) -> Select[Any]:
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
        from .fts5 import Fts5

        return Fts5()
    from .tsvector import Tsvector

    return Tsvector()


def _has_word(text: str) -> bool:
    return any(unicodedata.category(character)[0] in "LN" for character in text)
