"""Conversations are stored once: their turns are packed against each other, and read and deleted as if not."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from afterword.config import load
from afterword.errors import Unavailable
from afterword.ids import uuid7
from afterword.lifespan import open_state
from afterword.service import projects
from afterword.service.access import ADMINISTRATOR_ACTOR
from afterword.service.context import Context
from afterword.service.interactions import recording
from afterword.store import calls
from afterword.store.background import packing as packing_worker
from afterword.store.background.packing import PackingWorker
from afterword.store.background.search_index import SearchIndexWorker
from afterword.store.deletion import erase, forget
from afterword.store.engine import Store
from afterword.store.schema import packing_backfill, packing_pending, payloads
from afterword.types import NewInteraction, NewProject

WORDS = [f"{letter}{number}" for letter in "bcdfghklmnprst" for number in range(300)]


class Conversations:
    """A store with conversations in it, and the worker that packs them."""

    def __init__(self, directory: Path, database_url: str | None) -> None:
        self.database_url = database_url
        self._settings = load({"data": str(directory), "database_url": database_url}, {})
        self.open()
        asyncio.run(projects.create_project(self.context, body=NewProject(key="talk")))

    def open(self) -> None:
        """Open the store, as a server would."""
        state = open_state(self._settings)
        self.store: Store = state.store
        self.store.in_charge_until = math.inf
        self.context = Context(state, ADMINISTRATOR_ACTOR)
        self.worker = PackingWorker(self.store, quiet_seconds=0)

    def log(self, messages: list[Any], completion: str, session_id: Any = None, **fields: Any) -> UUID:
        """Log a turn; return its id."""
        body = NewInteraction(
            project="talk", messages=list(messages), completion=completion,
            session_id=None if session_id is None else str(session_id), **fields,
        )  # fmt: skip
        return asyncio.run(recording.record(self.context, body=body)).completion_id

    def converse(self, random: Random, turn_count: int, words: int = 60, session_id: UUID | None = None) -> list[UUID]:
        """Log a conversation of which each turn repeats the turns before it; return its ids."""
        messages: list[Any] = [{"role": "system", "content": words_of(random, words)}]
        ids: list[UUID] = []
        for _ in range(turn_count):
            messages.append({"role": "user", "content": words_of(random, words)})
            completion = words_of(random, words)
            ids.append(self.log(messages, completion, session_id or (ids[0] if ids else None)))
            messages.append({"role": "assistant", "content": completion})
        return ids

    def pack(self) -> None:
        """Run the worker until it finds nothing more to do."""
        while self.worker.step():
            pass
        assert self.count(packing_pending) == 0

    def shown(self, ids: list[UUID]) -> dict[UUID, bytes]:
        """Return the JSON of interactions as the API shows them."""
        found = asyncio.run(recording.find_interactions(self.context, ids))
        return {interaction_id: msgspec.json.encode(interaction) for interaction_id, interaction in found.items()}

    def bases(self) -> dict[UUID, UUID | None]:
        """Return the base of each payload."""
        query = select(payloads.c.interaction_id, payloads.c.base)
        return dict(self.store.read_now(lambda connection: [tuple(row) for row in connection.execute(query)]))

    def stored_bytes(self) -> int:
        """Return the bytes of all payloads."""
        query = select(func.sum(func.length(payloads.c.payload)))
        return self.store.read_now(lambda connection: connection.execute(query).scalar_one())

    def count(self, table: Any) -> int:
        """Return the number of rows of a table."""
        query = select(func.count()).select_from(table)
        return self.store.read_now(lambda connection: connection.execute(query).scalar_one())

    def delete(self, how: Callable[..., int], ids: list[UUID]) -> int:
        """Delete interactions, or their texts."""
        return self.store.queue.write_from_thread(lambda transaction: how(transaction, ids))

    def check_bases(self) -> None:
        """Check that each base is there and stored in full."""
        bases = self.bases()
        assert all(base is None or bases[base] is None for base in bases.values())


def words_of(random: Random, number: int) -> str:
    return " ".join(random.choices(WORDS, k=number))


@pytest.fixture
def talk(tmp_path: Path, database: Callable[[], str | None]) -> Iterator[Conversations]:
    opened = Conversations(tmp_path / "data", database())
    yield opened
    opened.store.close()


def test_sixty_turns_take_less_than_twice_their_distinct_text(talk: Conversations):
    ids = talk.converse(Random(1), 60, words=250)
    before, unpacked_bytes = talk.shown(ids), talk.stored_bytes()
    distinct_bytes = 121 * 250 * 5
    assert unpacked_bytes > 5 * distinct_bytes
    talk.pack()
    assert talk.stored_bytes() < distinct_bytes
    talk.check_bases()
    assert sum(base is None for base in talk.bases().values()) <= 6
    assert talk.shown(ids) == before


def test_a_slow_conversation_is_packed_turn_by_turn(talk: Conversations):
    random, session_id = Random(2), uuid7()
    messages: list[Any] = []
    ids = []
    for _ in range(40):
        messages.append({"role": "user", "content": words_of(random, 100)})
        ids.append(talk.log(messages, "So.", session_id))
        talk.pack()
    talk.check_bases()
    assert sum(base is None for base in talk.bases().values()) <= 10
    assert set(talk.shown(ids)) == set(ids)


def test_conversations_of_one_session_are_told_apart(talk: Conversations):
    session_id = uuid7()
    turns = [talk.converse(Random(seed), 10, session_id=session_id) for seed in range(3)]
    talk.pack()
    bases = talk.bases()
    for ids in turns:
        assert {bases[turn] for turn in ids} <= {None, *ids}
        assert sum(bases[turn] is None for turn in ids) <= 3


def test_of_interactions_without_a_session_nothing_is_queued(talk: Conversations):
    talk.log([{"role": "user", "content": "Hi"}], "Ho")
    assert talk.count(packing_pending) == 0


def test_turns_of_two_projects_are_not_packed_together(talk: Conversations):
    asyncio.run(projects.create_project(talk.context, body=NewProject(key="other")))
    session_id, content = uuid7(), words_of(Random(3), 300)
    body: dict[str, Any] = {"messages": [{"role": "user", "content": content}], "completion": "Ho"}
    for project in ("talk", "other"):
        new = NewInteraction(project=project, session_id=str(session_id), **body)
        asyncio.run(recording.record(talk.context, body=new))
    talk.pack()
    assert set(talk.bases().values()) == {None}


def test_a_call_whose_end_may_come_is_not_packed(talk: Conversations):
    ids = talk.converse(Random(4), 3)
    for state, turn in ((calls.OPEN, ids[1]), (calls.INTERRUPTED, ids[2])):
        talk.store.queue.write_from_thread([(calls.INSERT, [calls.call_row(turn, state, numbers={})])])
    talk.pack()
    assert set(talk.bases().values()) == {None}


@given(seed=st.integers(0, 1 << 30), data=st.data())
def test_what_remains_after_any_deletions_answers_the_same(
    tmp_path_factory: pytest.TempPathFactory, database: Callable[[], str | None], seed: int, data: st.DataObject
):
    talk = Conversations(tmp_path_factory.mktemp("talk") / "data", database())
    random = Random(seed)
    left: dict[UUID, bytes] = {}
    for _ in range(data.draw(st.integers(1, 3))):
        session_id = random.choice([None, uuid7(), uuid4()])
        for _ in range(data.draw(st.integers(1, 2))):
            ids = talk.converse(random, data.draw(st.integers(1, 12)), random.choice([5, 60]), session_id)
            left |= talk.shown(ids)
        if data.draw(st.booleans()):
            talk.pack()
        gone = random.sample(sorted(left), random.randint(0, len(left)))[:8]
        if gone:
            how = random.choice([erase, forget])
            assert talk.delete(how, gone) == len(gone)
            left = {turn: shown for turn, shown in left.items() if turn not in gone}
        assert talk.shown([*left]) == left
        talk.check_bases()
    talk.pack()
    assert talk.shown([*left]) == left
    indexer, index = SearchIndexWorker(talk.store), talk.store.database.connect_search()
    while indexer._take_in(index):
        pass
    index.close()
    talk.store.close()


def test_words_of_packed_turns_leave_the_text_index(talk: Conversations):
    ids = talk.converse(Random(5), 8)
    indexer, index = SearchIndexWorker(talk.store), talk.store.database.connect_search()
    while indexer._take_in(index):
        pass
    talk.pack()
    assert talk.delete(erase, ids) == len(ids)
    while indexer._take_in(index):
        pass
    index.close()
    table = "search.documents" if talk.store.database.partitions is None else "search_words"
    count = text(f"SELECT count(*) FROM {table}")
    assert talk.store.read_now(lambda connection: connection.execute(count).scalar_one()) == 0


BEFORE_PACKING = (
    "DROP INDEX ix_payloads_base",
    "ALTER TABLE payloads DROP COLUMN base",
    "DROP TABLE packing_pending",
    "DROP TABLE packing_backfill",
)


def test_a_store_of_the_version_before_is_packed(talk: Conversations, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packing_worker, "QUEUE_TURNS", 7)
    ids = [turn for seed in range(3) for turn in talk.converse(Random(seed), 9)]
    before = talk.shown(ids)
    with talk.store.database.connect_writer() as connection, connection.begin():
        for statement in BEFORE_PACKING:
            connection.exec_driver_sql(statement)
        with Operations.context(MigrationContext.configure(connection)):
            import_module("afterword.store.migrations.versions.0014_packing").upgrade()
    talk.store.close()
    talk.open()
    assert talk.shown(ids) == before
    assert talk.count(packing_backfill) == 1
    talk.pack()
    assert talk.count(packing_backfill) == 0
    assert sum(base is None for base in talk.bases().values()) <= 9
    assert talk.shown(ids) == before


def test_a_damaged_payload_holds_up_no_other_session(talk: Conversations):
    damaged_ids, ids = talk.converse(Random(6), 5), talk.converse(Random(7), 5)

    def damage(transaction: Any) -> None:
        row = payloads.c.interaction_id == damaged_ids[-1]
        transaction.connection.execute(update(payloads).where(row).values(payload=b"(\xb5/\xfdnoise"))

    talk.store.queue.write_from_thread(damage)
    talk.pack()
    assert any(talk.bases()[turn] for turn in ids)
    with pytest.raises(Unavailable, match="the store is damaged"):
        talk.shown(damaged_ids[-1:])
    assert talk.delete(erase, damaged_ids) == len(damaged_ids)


def test_what_is_packed_against_a_damaged_payload_can_be_deleted(talk: Conversations):
    ids = talk.converse(Random(9), 5)
    talk.pack()
    base = next(base for base in talk.bases().values() if base)

    def damage(transaction: Any) -> None:
        row = payloads.c.interaction_id == base
        transaction.connection.execute(update(payloads).where(row).values(payload=b"noise"))

    talk.store.queue.write_from_thread(damage)
    with pytest.raises(Unavailable, match="the store is damaged"):
        talk.shown(ids)
    assert talk.delete(erase, [base]) == 1
    assert talk.delete(erase, ids) == len(ids) - 1


def test_a_payload_that_changed_since_the_plan_is_not_packed(talk: Conversations, monkeypatch: pytest.MonkeyPatch):
    ids = talk.converse(Random(8), 6)
    plan = packing_worker.packing.plan

    def delete_and_plan(*arguments: Any) -> Any:
        monkeypatch.undo()
        changes = plan(*arguments)
        talk.delete(erase, ids[-1:])
        return changes

    monkeypatch.setattr(packing_worker.packing, "plan", delete_and_plan)
    before = talk.shown(ids[:-1])
    talk.worker.step()
    assert set(talk.bases().values()) == {None}
    talk.pack()
    assert len({*talk.bases().values()}) > 1
    assert talk.shown(ids) == before


@pytest.mark.shared
def test_packing_and_deleting_at_once_leaves_each_turn_its_base(talk: Conversations):
    other = PackingWorker(talk.store, quiet_seconds=0)
    for seed in range(6):
        ids = talk.converse(Random(seed), 12, words=30)
        before = talk.shown(ids)
        gone = ids[-2:] if seed % 2 else ids[::3]
        with ThreadPoolExecutor(4) as threads:
            work = [threads.submit(worker.step) for worker in (talk.worker, other)]
            work += [threads.submit(talk.delete, erase, [turn]) for turn in gone]
            for future in work:
                future.result(60)
        talk.check_bases()
        talk.pack()
        assert talk.shown(ids) == {turn: shown for turn, shown in before.items() if turn not in gone}


@pytest.mark.shared
def test_two_servers_that_pack_a_session_at_once_lose_nothing(talk: Conversations, tmp_path: Path):
    other = Store(tmp_path / "other", talk.database_url)
    other.in_charge_until = math.inf
    workers = [talk.worker, PackingWorker(other, quiet_seconds=0)]
    for seed in range(4):
        ids = talk.converse(Random(seed), 12, words=30)
        before = talk.shown(ids)
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(PackingWorker.step, workers))
        assert talk.shown(ids) == before
        talk.pack()
        assert talk.shown(ids) == before
        assert any(talk.bases()[turn] for turn in ids)
        talk.check_bases()
    other.close()
