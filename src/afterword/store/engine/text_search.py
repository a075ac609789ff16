"""Text search: the meaning of a query, and the protocol for querying each database's text index."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, FromClause, Select, select, union, union_all

from afterword.store.engine.dialect import any_of, dialect_of
from afterword.store.engine.word_splitting import words_of_query

# The parameters of one statement allow no more.
MAX_AMONG_IDS = 10_000

_TERM = re.compile(r'"((?:[^"\\]|\\.)*)"?|([^\s"]+)', re.S)


class IndexedTexts(NamedTuple):
    """The texts by which the words of an interaction are found."""

    prompt: str
    """All messages, without reasoning."""
    completion: str
    reasoning: str
    """What the model thought, in the messages and the completion."""
    details: str
    """The details of the feedback on it, of its preferences, and of outcomes of its session (see `outcomes.turn`)."""


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
    """Terms that must all occur. `column` is a field of `IndexedTexts`, or None for all of them.

    A turn of a session has only the words that it does not repeat of an earlier turn; with `repeats` also the others.
    """

    terms: tuple[Term, ...]
    column: str | None = None
    repeats: bool = False

    @classmethod
    def words(cls, text: str, *, repeats: bool = False) -> TextQuery | None:
        """Parse words, "quoted phrases" and prefixes*; return None if there is no word."""
        terms: list[Term] = []
        for match in _TERM.finditer(text):
            quoted, bare = match.groups()
            begins = quoted is None and bare.endswith("*")
            term = Term.find(bare if quoted is None else quoted, begins=begins)
            if term is not None:
                terms.append(term)
        return cls(tuple(terms), repeats=repeats) if terms else None

    @classmethod
    def phrase(cls, text: str, column: str, *, repeats: bool = False) -> TextQuery | None:
        """Return the query for words that are next to each other, or None if there is no word."""
        term = Term.find(text)
        return None if term is None else cls((term,), column, repeats)


class Texts(Protocol):
    """Queries a database's text index."""

    turns: FromClause
    """The table of the turns that it holds: `interaction_id`, `earlier_id`, `resends_answer` (engine/turns.py)."""

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
    return _RepeatedTexts(dialect_of(connection.dialect).text_search())


# ------------------------------------------------------------------------------------------------ repeated words


class _RepeatedTexts(Texts):
    """Queries a text index, with `repeats` also for the words that turns repeat of earlier ones.

    A prompt holds the prompt of the turn that it repeats, and the completion if it resends that. Reasoning and details
    are where they were first.
    """

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self.turns = texts.turns

    def check(self, query: TextQuery, interaction_id: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return the condition that an interaction has the words."""
        return interaction_id.in_(self.lookup(query)) if query.repeats else self._texts.check(query, interaction_id)

    def lookup(self, query: TextQuery) -> Select[Any]:
        """Return the query for the ids of the interactions with the words."""
        if not query.repeats:
            return self._texts.lookup(query)
        first, *others = (self._lookup_of_term(term, query.column).subquery() for term in query.terms)
        query_ids = select(first.c.interaction_id)
        for other in others:
            query_ids = query_ids.where(first.c.interaction_id.in_(select(other.c.interaction_id)))
        return query_ids

    def numbers(self, query: TextQuery) -> Select[Any]:
        """Return a query with about as many rows as there are interactions with the words. With `repeats` it counts
        those that have the first of them for themselves."""
        if not query.repeats:
            return self._texts.numbers(query)
        return self._texts.numbers(TextQuery(query.terms[:1], None if query.column == "prompt" else query.column))

    def among(self, connection: Connection, query: TextQuery, ids: Sequence[UUID]) -> set[UUID]:
        """Return the ids of the interactions with the words, among `ids`."""
        if not query.repeats or query.column not in (None, "prompt"):
            return self._texts.among(connection, query, ids)
        repetitions = self._repetitions(connection, ids)
        earlier_ids = {earlier_id for earlier_id, _ in repetitions.values()}
        having = set(ids)
        for term in query.terms:
            with_prompt = self._among_many(connection, TextQuery((term,), "prompt"), {*ids, *earlier_ids})
            with_answer = self._among_many(connection, TextQuery((term,), "completion"), earlier_ids)
            with_all = set[UUID]()
            if query.column is None:
                with_all = self._among_many(connection, TextQuery((term,)), set(ids))
            having = {
                interaction_id
                for interaction_id in having
                if interaction_id in with_all or _is_resent(interaction_id, repetitions, with_prompt, with_answer)
            }
        return having

    def _lookup_of_term(self, term: Term, name: str | None) -> Select[Any]:
        if name not in (None, "prompt"):
            return self._texts.lookup(TextQuery((term,), name))
        turns = self.turns.c
        answers = self._texts.lookup(TextQuery((term,), "completion")).subquery()
        resent_answers = (
            select(turns.interaction_id)
            .join(answers, turns.earlier_id == answers.c.interaction_id)
            .where(turns.resends_answer)
        )
        prompts = union_all(self._texts.lookup(TextQuery((term,), "prompt")), resent_answers).cte()
        resent = select(prompts.c.interaction_id).cte(recursive=True)
        later = select(turns.interaction_id).join(resent, turns.earlier_id == resent.c.interaction_id)
        query_ids = select(resent.union(later).c.interaction_id)
        if name is None:
            everywhere = union(query_ids, self._texts.lookup(TextQuery((term,)))).subquery()
            return select(everywhere.c.interaction_id)
        return query_ids

    def _repetitions(self, connection: Connection, ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, bool]]:
        """Return, by their ids, which turn these turns and those before them repeat, and whether with its answer."""
        turns = self.turns.c
        columns = (turns.interaction_id, turns.earlier_id, turns.resends_answer)
        query = select(*columns).where(turns.earlier_id.is_not(None))
        chain = query.where(any_of(turns.interaction_id, ids)).cte(recursive=True)
        chain = chain.union(query.join(chain, turns.interaction_id == chain.c.earlier_id))
        rows = connection.execute(select(chain.c.interaction_id, chain.c.earlier_id, chain.c.resends_answer))
        return {interaction_id: (earlier_id, resends_answer) for interaction_id, earlier_id, resends_answer in rows}

    def _among_many(self, connection: Connection, query: TextQuery, ids: Collection[UUID]) -> set[UUID]:
        all_ids, found_ids = list(ids), set[UUID]()
        for start in range(0, len(all_ids), MAX_AMONG_IDS):
            found_ids |= self._texts.among(connection, query, all_ids[start : start + MAX_AMONG_IDS])
        return found_ids


def _is_resent(
    interaction_id: UUID,
    repetitions: Mapping[UUID, tuple[UUID, bool]],
    with_prompt: Collection[UUID],
    with_answer: Collection[UUID],
) -> bool:
    """Return whether a turn has a word in its prompt, or one that it repeats has it."""
    while interaction_id not in with_prompt:
        if interaction_id not in repetitions:
            return False
        interaction_id, resends_answer = repetitions[interaction_id]
        if resends_answer and interaction_id in with_answer:
            return True
    return True
