"""The text index holds each message of a session once: words are found where they first stood, and later on request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text

from afterword.config import load
from afterword.ids import uuid7
from afterword.lifespan import open_state
from afterword.service import projects
from afterword.service.access import ADMINISTRATOR_ACTOR
from afterword.service.context import Context
from afterword.service.interactions import recording
from afterword.store.background import search_index
from afterword.store.background.search_index import SearchIndexWorker
from afterword.store.deletion import erase, forget
from afterword.store.query.matches import Matches
from afterword.store.query.pages import find_page, matching
from afterword.types import Filter, NewInteraction, NewProject


class Sessions:
    """A store with sessions in it, and the worker that indexes their words."""

    def __init__(self, directory: Path, database_url: str | None) -> None:
        state = open_state(load({"data": str(directory), "database_url": database_url}, {}))
        self.store = state.store
        self.store.in_charge_until = math.inf
        self.context = Context(state, ADMINISTRATOR_ACTOR)
        self.worker = SearchIndexWorker(self.store)
        self.texts: dict[UUID, dict[str, list[str]]] = {}
        asyncio.run(projects.create_project(self.context, body=NewProject(key="talk")))

    def log(self, messages: list[str], completion: Any, session_id: Any = None, **fields: Any) -> UUID:
        """Log a turn whose messages are by turns the user's and the assistant's; return its id."""
        body = NewInteraction(
            project="talk",
            messages=[
                {"role": ("user", "assistant")[index % 2], "content": content} for index, content in enumerate(messages)
            ],
            completion=completion,
            session_id=None if session_id is None else str(session_id),
            **fields,
        )
        completion_id = asyncio.run(recording.record(self.context, body=body)).completion_id
        self.texts[completion_id] = {"prompt": messages, "completion": [completion]}
        return completion_id

    def converse(self, messages: list[str], session_id: Any = None) -> list[UUID]:
        """Log the turns of a conversation, each after the one before is indexed; return their ids."""
        ids: list[UUID] = []
        for end in range(1, len(messages), 2):
            ids.append(self.log(messages[:end], messages[end], session_id or (ids[0] if ids else None)))
            self.index()
        return ids

    def delete(self, how: Callable[..., int], ids: list[UUID]) -> None:
        """Delete interactions, or their texts."""
        assert self.store.queue.write_from_thread(lambda transaction: how(transaction, ids)) == len(ids)
        for completion_id in ids:
            del self.texts[completion_id]

    def index(self) -> None:
        """Bring the text index up to date."""
        while self.worker.step() or self.store.read_now(SearchIndexWorker.waiting):
            pass

    def find(self, words: str, *, repeats: bool = False, column: str | None = None) -> list[UUID]:
        """Return the ids of the interactions with words, the oldest first: by all ways to search for them."""
        tree = {"text": words} if column is None else {column: {"contains": words}}
        filter = msgspec.convert(tree, Filter)
        if repeats:
            filter = Filter(repeats=filter)
        names = self.context.names(self.context.project("talk"))

        def read(connection: Any) -> list[UUID]:
            page = find_page(Matches(connection, names, filter), order="created_at", limit=500, cursor=None, count=True)
            ids = [row.id for row in page.rows]
            assert page.count == len(ids)
            everything = find_page(Matches(connection, names, None), order="created_at", limit=500, cursor=None)
            checked = matching(connection, names, filter, [row.id for row in everything.rows])
            assert {row.id for row in checked} == set(ids)
            [condition] = Matches(connection, names, filter).conditions
            assert condition.lookup is not None
            looked_up = set(connection.execute(condition.lookup).scalars())
            assert looked_up == set(ids)
            return ids

        return self.store.read_now(read)

    def holding(self, word: str, *columns: str) -> set[UUID]:
        """Return the ids of the interactions whose whole texts have a word."""
        return {
            completion_id
            for completion_id, texts in self.texts.items()
            if any(word in text.split() for column in columns for text in texts[column])
        }


@pytest.fixture
def sessions(tmp_path: Path, database: Callable[[], str | None]) -> Iterator[Sessions]:
    opened = Sessions(tmp_path / "data", database())
    yield opened
    opened.worker.close()
    opened.store.close()


def test_a_word_is_found_in_the_turn_in_which_it_first_stood(sessions: Sessions):
    ids = sessions.converse(["alpha", "beta", "gamma", "delta", "epsilon beta", "zeta"])
    other = sessions.log(["alpha"], "beta")
    sessions.index()
    assert sessions.find("alpha") == [ids[0], other]
    assert sessions.find("beta") == [ids[0], ids[2], other]
    assert sessions.find("delta") == sessions.find("gamma delta") == [ids[1]]
    assert sessions.find("beta", column="prompt") == [ids[2]]
    assert sessions.find("alpha gamma") == []
    assert sessions.find("alpha", repeats=True) == [*ids, other]
    assert sessions.find("beta", repeats=True, column="prompt") == ids[1:]
    assert sessions.find("beta", repeats=True, column="completion") == [ids[0], other]
    assert sessions.find("alpha gamma", repeats=True) == ids[1:]
    assert sessions.find("delt* epsilon", repeats=True) == ids[2:]


def test_other_answers_to_one_prompt_are_found_apart(sessions: Sessions):
    session_id = uuid7()
    first, second = (sessions.log(["alpha"], answer, session_id) for answer in ("beta", "gamma"))
    after = sessions.log(["alpha", "gamma", "delta"], "epsilon", session_id)
    edited = sessions.log(["alpha", "changed", "delta"], "epsilon", session_id)
    sessions.index()
    assert sessions.find("alpha") == [first]
    assert sessions.find("gamma") == [second]
    assert sessions.find("delta") == [after, edited]
    assert sessions.find("gamma", repeats=True) == [second, after]
    assert sessions.find("beta", repeats=True) == [first]
    assert sessions.find("alpha", repeats=True) == [first, second, after, edited]


def test_reasoning_that_is_not_sent_again_hides_no_answer(sessions: Sessions):
    session_id = uuid7()
    answers = [{"content": "beta", "reasoning_content": "pondered"}, {"content": "delta"}]
    first = sessions.log(["alpha"], answers[0], session_id)
    second = sessions.log(["alpha", "beta", "gamma"], answers[1], session_id)
    sessions.index()
    assert sessions.find("beta") == [first]
    assert sessions.find("pondered") == sessions.find("pondered", repeats=True) == [first]
    assert sessions.find("beta", repeats=True) == [first, second]


def test_words_of_a_deleted_turn_are_found_in_the_turn_after_it(sessions: Sessions):
    ids = sessions.converse(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"])
    sessions.index()
    sessions.delete(forget, ids[:1])
    sessions.index()
    assert sessions.find("alpha") == sessions.find("beta") == [ids[1]]
    sessions.delete(erase, ids[1:3])
    sessions.index()
    assert sessions.find("alpha") == sessions.find("zeta") == sessions.find("eta") == [ids[3]]
    sessions.delete(erase, ids[3:])
    sessions.index()
    assert sessions.find("alpha", repeats=True) == []


def test_turns_that_come_in_any_order_are_indexed_once(sessions: Sessions):
    messages = [f"word{number}" for number in range(12)]
    session_id = uuid7()
    made: dict[int, UUID] = {}
    for end in (7, 3, 11, 1, 9, 5):
        made[end] = sessions.log(messages[:end], messages[end], session_id, created_at=1_700_000_000_000 + end)
        sessions.index()
    ids = [made[end] for end in sorted(made)]
    for number, word in enumerate(messages):
        assert sessions.find(word) == [ids[number // 2]], word
        assert sessions.find(word, repeats=True) == ids[number // 2 :], word


def test_turns_without_a_session_are_indexed_whole(sessions: Sessions):
    ids = [sessions.log(messages, "beta") for messages in (["alpha"], ["alpha", "beta", "gamma"])]
    sessions.index()
    assert sessions.find("alpha") == ids
    table = "search.documents" if sessions.store.database.partitions is None else "search_words"
    count = text(f"SELECT count(conversation) FROM {table}")
    assert sessions.store.read_now(lambda connection: connection.execute(count).scalar_one()) == 0


def test_a_batch_of_texts_without_a_session_takes_one_query(sessions: Sessions):
    sessions.index()
    ids = [sessions.log(["alpha"], f"beta{number}") for number in range(40)]
    queries: list[str] = []
    event.listen(sessions.store.database.reader, "before_cursor_execute", lambda *given: queries.append(given[2]))
    assert sessions.worker.step()
    assert len([query for query in queries if "interactions" in query or "feedback" in query]) == 1, queries
    sessions.index()
    assert sessions.find("alpha") == ids
    assert sessions.find("beta7") == [ids[7]]


def test_one_batch_takes_in_turns_and_texts_without_a_session(sessions: Sessions):
    sessions.index()
    opener = sessions.log(["alpha"], "beta")
    alone = sessions.log(["alpha"], "gamma")
    later = sessions.log(["alpha", "beta", "delta"], "epsilon", opener)
    sessions.index()
    assert sessions.find("alpha") == [opener, alone]
    assert sessions.find("delta") == [later]
    assert sessions.find("beta", repeats=True) == [opener, later]


WORDS = ["red", "green", "blue", "black"]


@given(seed=st.integers(0, 1 << 30))
def test_no_word_is_lost_whatever_comes_and_goes(
    tmp_path_factory: pytest.TempPathFactory, database: Callable[[], str | None], seed: int
):
    sessions, random = Sessions(tmp_path_factory.mktemp("talk") / "data", database()), Random(seed)
    batch_rows, search_index.BATCH_ROWS = search_index.BATCH_ROWS, random.choice([1, 3, 200])
    session_ids = [uuid7(), uuid7(), None]
    for _ in range(random.randint(1, 4)):
        for _ in range(random.randint(1, 8)):
            messages: list[str] = random.choices(WORDS, k=random.choice([1, 1, 2]))
            if sessions.texts and random.random() < 0.8:
                earlier = random.choice([*sessions.texts.values()])
                answer = random.choice([earlier["completion"], earlier["completion"], random.choices(WORDS)])
                messages = random.choice([[*earlier["prompt"], *answer, *messages], earlier["prompt"]])
            sessions.log(
                messages, random.choice(WORDS), random.choice([*session_ids, *list(sessions.texts)[:1]]),
                created_at=1_700_000_000_000 + random.randint(0, 9),
                completion_id=random.choice([uuid7, uuid7, uuid4])(),
            )  # fmt: skip
        if random.random() < 0.7:
            sessions.index()
        gone = random.sample(sorted(sessions.texts), random.randint(0, len(sessions.texts) // 2))
        if gone:
            sessions.delete(random.choice([erase, forget]), gone)
    sessions.index()
    for word in WORDS:
        assert set(sessions.find(word, repeats=True)) == sessions.holding(word, "prompt", "completion")
        assert set(sessions.find(word, repeats=True, column="prompt")) == sessions.holding(word, "prompt")
        for column in ("prompt", "completion"):
            held = sessions.holding(word, column)
            assert set(sessions.find(word, column=column)) <= held
        assert bool(sessions.find(word)) == bool(sessions.holding(word, "prompt", "completion"))
    search_index.BATCH_ROWS = batch_rows
    sessions.worker.close()
    sessions.store.close()
