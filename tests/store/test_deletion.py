"""What deletes leaves nothing half there: of the interactions that go, and of those that stay, and of their texts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import func, select, text

from afterword.ids import uuid7
from afterword.store import calls
from afterword.store import interactions as stored
from afterword.store.background.retention import MAX_PENDING_ROWS, Periods, Retention, is_removal_backlogged
from afterword.store.background.search_index import SearchIndexWorker
from afterword.store.deletion import erase, forget
from afterword.store.engine import Store, Transaction
from afterword.store.engine.text_search import TextQuery, texts_of
from afterword.store.payloads import Payload, encode
from afterword.store.schema import (
    LATER_TEXTS,
    ab_interactions,
    content_number,
    details_pending,
    feedback,
    images,
    interaction_images,
    interaction_labels,
    interactions,
    label_number,
    metadata,
    outcomes,
    packing_backfill,
    packing_pending,
    payloads,
    preferences,
    search_pending,
)

NOW = 1_700_000_000_000


@pytest.fixture
def store(tmp_path: Path, database: Callable[[], str | None]) -> Iterator[Store]:
    opened = Store(tmp_path, database())
    yield opened
    opened.close()


def write(store: Store, rows: Any) -> None:
    store.queue.write_from_thread(lambda transaction: transaction.put_all([rows]))


def counts(store: Store) -> dict[str, int]:
    """Count the rows of all tables but those of what servers tell each other, and of what is derived."""
    others = ("versions", "labels", "servers", "leases", "rollup_marks", "rollups", "rollup_values")
    names = [table for table in metadata.sorted_tables if table.name not in others]
    return {
        table.name: number
        for table in names
        if (number := store.read_now(lambda connection, table=table: _count(connection, table)))
    }


def _count(connection: Any, table: Any) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def written(store: Store, *, session_id: UUID | None = None, image: bytes = b"i" * 32, pending: bool = False) -> UUID:
    """Write an interaction with something of everything; return its id."""
    one = uuid7()
    worn = {f"key{n}": "value" for n in range(3)}
    text = msgspec.json.encode(worn).decode()
    said = store.compression.compress(encode(Payload(messages=[{"role": "user", "content": "Hi"}], completion="Ho")))
    error = '{"status":500,"code":"fell_over","message":"You said Hi"}'
    contents = ["tool:weather", "tools"]
    put, later = stored.INSERT, [*(None,) * (2 + len(LATER_TEXTS)), msgspec.json.encode(contents).decode(), None, None]
    label_numbers = [
        *(label_number(1, *pair) for pair in worn.items()),
        *(content_number(1, what) for what in contents),
    ]
    write(
        store,
        [
            (put["interactions"], [(one, 1, NOW, None, 0, session_id, "u", text, 5, 6, 7, 8, "{}", *later)]),
            (put["payloads"], [(one, said, None)]),
            (calls.INSERT, [calls.call_row(one, calls.FAILED, error=error, numbers={"latency": 9})]),
            (put["interaction_labels"], [(number, NOW, one) for number in label_numbers]),
            (put["feedback"], [(one, uuid7(), 1, 1.0, None, None, None, 0, NOW, None) for _ in range(2)]),
            (put["ab_interactions"], [(one, 1, 1)]),
            (stored.INSERT_IMAGE, [(image, "png", b"content")]),
            (stored.INSERT_IMAGE_USE, [(image, 1, one)]),
            (put["outcomes"], [(session_id or one, uuid7(), 1, 1, 1.0, None, None, 0, NOW, None, one)]),
            *([(put["search_pending"], [(one, None)])] if pending else []),
        ],
    )
    return one


def deleted(store: Store, how: Any, *ids: UUID) -> int:
    return store.queue.write_from_thread(lambda transaction: how(transaction, ids))


def test_of_what_is_deleted_only_the_text_that_leaves_the_index_remains(store: Store):
    empty = counts(store)
    ids = [written(store, image=bytes([n]) * 32, pending=n % 2 == 0) for n in range(5)]
    assert deleted(store, erase, *ids, uuid7()) == 5
    pending = store.read_now(lambda connection: connection.execute(select(search_pending)).all())
    assert {row.interaction_id for row in pending} == set(ids)
    assert all(row.erased for row in pending)
    assert counts(store) == {**empty, "search_pending": 5}
    assert deleted(store, erase, *ids) == 0


def test_words_of_what_is_deleted_while_they_are_taken_in_are_taken_out(store: Store):
    one = written(store, pending=True)
    indexer, index = SearchIndexWorker(store), store.database.connect_search()

    def apply_and_delete(changes: Any) -> None:
        index.apply(changes)
        if changes:
            deleted(store, erase, one)

    between: Any = SimpleNamespace(
        apply=apply_and_delete, interrupt=index.interrupt, note_caught_up=index.note_caught_up, turns=index.turns
    )
    assert indexer._take_in(between) == 1
    words = TextQuery.words("Ho")
    assert words
    assert store.read_now(lambda connection: connection.execute(texts_of(connection).lookup(words)).all())
    assert indexer._take_in(index) == 1
    assert not store.read_now(lambda connection: connection.execute(texts_of(connection).lookup(words)).all())
    assert store.read_now(SearchIndexWorker.waiting) == 0
    index.close()


@pytest.mark.shared
def test_an_image_that_is_logged_while_all_that_show_it_are_deleted_stays(store: Store):
    shown = b"i" * 32
    gone = [written(store, image=shown) for _ in range(2)]
    stays = uuid7()
    with store.database.connect_writer() as connection, ThreadPoolExecutor(1) as threads:
        with connection.begin():
            logging = Transaction(connection)
            image, use = (shown, "png", b"content"), (shown, 1, stays)
            logging.put_all([[(stored.INSERT_IMAGE, [image, image]), (stored.INSERT_IMAGE_USE, [use])]])
            deleting = threads.submit(deleted, store, erase, *gone)
            until_someone_waits(store)
        assert deleting.result(60) == 2
    assert store.read_now(lambda connection: connection.execute(select(images.c.hash)).scalars().all()) == [shown]


def until_someone_waits(store: Store) -> None:
    """Wait until a transaction waits for another."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while not store.read_now(lambda connection: connection.execute(waiting).scalar_one()):
        pass


def test_what_others_have_is_not_touched(store: Store):
    stays = written(store)
    before = counts(store)
    goes = written(store)
    pair = (uuid7(), 1, None, 1, False, None, None, 0, NOW, None)
    rows = [(goes, pair[0], stays, 1, *pair[2:]), (stays, pair[0], goes, 2, *pair[2:])]
    write(store, [(stored.INSERT["preferences"], rows)])
    assert deleted(store, erase, goes) == 1
    after = counts(store)
    assert after.pop("search_pending") == 1
    assert after.pop("preferences") == 1
    assert after == before
    left = store.read_now(lambda connection: connection.execute(select(preferences)).one())
    assert (left.interaction_id, left.other_id) == (stays, goes)
    shown = store.read_now(lambda connection: connection.execute(select(interaction_images)).one())
    assert shown.interaction_id == stays
    assert store.read_now(_count, images) == 1


def test_an_outcome_goes_with_the_last_interaction_of_its_session(store: Store):
    opener = written(store)
    turns = [written(store, session_id=opener) for _ in range(2)]
    for number, one in enumerate((opener, *turns)):
        assert store.read_now(_count, outcomes) == 3, number
        deleted(store, erase, one)
    assert store.read_now(_count, outcomes) == 0


def test_forgetting_payload_keeps_row_labels_feedback_and_call_numbers(store: Store):
    one, other = written(store, image=b"1" * 32), written(store, image=b"2" * 32)
    before = counts(store)
    assert deleted(store, forget, one, uuid7()) == 1
    assert deleted(store, forget, one) == 0
    after = counts(store)
    assert {name: before[name] - after.get(name, 0) for name in before if before[name] != after.get(name)} == {
        "payloads": 1, "images": 1, "interaction_images": 1, "interaction_labels": 2,
    }  # fmt: skip
    row = store.read_now(stored.find_interaction, one)
    assert (row.preview, row.prompt_text_hash, row.completion_text_hash, row.prompt_hash) == (None, 0, 0, 5)
    assert row.contents is None
    call = store.read_now(calls.find_call, one)
    assert msgspec.json.decode(call.error) == {"status": 500, "code": "fell_over", "message": ""}
    assert call.latency == 9
    assert store.read_now(stored.find_interaction, other).preview == "{}"


@pytest.mark.parametrize("taken_in", [False, True], ids=["its words still to leave", "its words gone"])
def test_what_was_forgotten_is_deleted_whole(store: Store, taken_in: bool):
    empty = counts(store)
    one = written(store)
    deleted(store, forget, one)
    if taken_in:
        write(store, [(stored_taken_out(), [(one,)])])
    assert deleted(store, erase, one) == 1
    left = counts(store)
    # The text that must leave the index is in the list only: nobody else has it any more.
    assert left == (empty if taken_in else {**empty, "search_pending": 1})
    if not taken_in:
        assert store.read_now(lambda connection: connection.execute(select(search_pending.c.erased)).scalar_one())


def test_the_old_is_deleted_however_many_new_texts_wait_for_the_index(store: Store):
    written(store)
    write(store, [(calls.QUEUE_FOR_SEARCH, [(uuid7(), None) for _ in range(MAX_PENDING_ROWS + 1)])])
    store.in_charge_until = math.inf
    retention = Retention(store, lambda: {1: Periods(interactions=30, payloads=None)})
    retention.start()
    try:
        end = time.monotonic() + 60
        while not retention.interactions:
            assert time.monotonic() < end, "it is not deleted"
            time.sleep(0.01)
    finally:
        retention.close()
    assert "interactions" not in counts(store)


def test_deletion_waits_while_search_index_removals_are_backlogged(store: Store):
    waiting = [(uuid7(), b"words") for _ in range(MAX_PENDING_ROWS + 1)]
    write(store, [(calls.QUEUE_FOR_SEARCH, waiting)])
    assert store.read_now(is_removal_backlogged)
    write(store, [(stored_taken_out(), [(waiting[0][0],)])])
    assert not store.read_now(is_removal_backlogged)


def stored_taken_out() -> Any:
    from afterword.store.background.search_index import TAKEN_OUT

    return TAKEN_OUT


def test_every_table_that_names_an_interaction_is_known_here():
    """Who adds one must say what becomes of its rows when interactions are deleted."""
    known = {
        ab_interactions, calls.calls, feedback, interaction_images, interaction_labels, payloads, preferences,
        search_pending,
        # Whose rows are deleted by the background, whatever became of the interaction.
        details_pending, packing_backfill, packing_pending,
    }  # fmt: skip
    named = {table for table in metadata.sorted_tables if "interaction_id" in table.c}
    assert named == known
    assert interactions not in named
