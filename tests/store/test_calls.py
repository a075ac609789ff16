"""Calls are opened, finished, and closed after a crash; what was deleted meanwhile stays so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from afterword.ids import uuid7
from afterword.service.interactions.calls import unit_of
from afterword.store import calls, deletion
from afterword.store import interactions as stored
from afterword.store.engine import Store, Transaction
from afterword.store.schema import LATER_TEXTS, interaction_labels, payloads, search_pending


@pytest.fixture
def store(tmp_path: Path, database: Callable[[], str | None]) -> Iterator[Store]:
    opened = Store(tmp_path, database())
    yield opened
    opened.close()


def write(store: Store, unit: Any) -> Any:
    """Commit a unit, in the calling thread."""
    if callable(unit):
        return store.queue.write_from_thread(unit)

    def put(transaction: Transaction) -> None:
        for statement, rows in unit:
            transaction.put(statement, rows)

    return store.queue.write_from_thread(put)


def opened(store: Store) -> UUID:
    """Write an interaction whose answer is still to come; return its id."""
    one = uuid7()
    row = (one, 1, 1_700_000_000_000, None, 0, None, None, None, 5, 6, 7, 8, *(None,) * (6 + len(LATER_TEXTS)))
    write(
        store,
        [
            (stored.INSERT["interactions"], [row]),
            (stored.INSERT["payloads"], [(one, b"asked", None)]),
            (calls.INSERT, [calls.call_row(one, calls.OPEN, origin={"request_id": "r"}, numbers={})]),
        ],
    )
    return one


def finish(store: Store, *ids: UUID) -> None:
    """Complete interactions, all in one statement for each table."""
    write(
        store,
        [
            (calls.FINISH_INTERACTION, [(one, 3, 70, 80, None, None) for one in ids]),
            (calls.FINISH_PAYLOAD, [(one, b"answered") for one in ids]),
            (
                calls.FINISH_CALL,
                [
                    calls.call_row(
                        one, calls.COMPLETE, finish_reason="stop", origin={"request_id": "r"}, numbers={"latency": 12}
                    )
                    for one in ids
                ],
            ),
            (calls.QUEUE_FOR_SEARCH, [(one, None) for one in ids]),
        ],
    )


def pending(store: Store) -> set[UUID]:
    return set(store.read_now(lambda connection: connection.execute(search_pending.select()).scalars().all()))


def test_what_is_finished_is_complete_in_every_table(store: Store):
    ids = [opened(store) for _ in range(150)]
    assert not pending(store)
    finish(store, *ids[:149])
    rows = [store.read_now(stored.find_interaction, one) for one in ids]
    assert {(row.model, row.completion_text_hash, row.size) for row in rows[:149]} == {(3, 70, 80)}
    assert rows[149].model is None
    call = store.read_now(calls.find_call, ids[0])
    assert (call.state, call.finish_reason, call.latency, call.ttft) == (calls.COMPLETE, "stop", 12, None)
    said = store.read_now(lambda connection: connection.execute(payloads.select()).all())
    assert sorted(row.payload for row in said) == [b"answered"] * 149 + [b"asked"]
    assert pending(store) == set(ids[:149])


def test_an_interaction_that_was_deleted_in_mid_stream_stays_deleted(store: Store):
    one, other = opened(store), opened(store)
    assert write(store, lambda transaction: deletion.erase(transaction, [one]))
    finish(store, one, other)
    assert store.read_now(stored.find_interaction, one) is None
    assert store.read_now(calls.find_call, one) is None
    assert store.read_now(stored.find_interaction, other).model == 3


def test_no_rows_are_added_to_what_was_deleted_in_mid_stream(store: Store):
    one, other = opened(store), opened(store)
    write(store, lambda transaction: deletion.erase(transaction, [one]))
    added = {turn: [(stored.INSERT["interaction_labels"], [(9, 1_700_000_000_000, turn)])] for turn in (one, other)}
    write(store, unit_of([], list(added.items())))
    query = select(interaction_labels.c.interaction_id)
    assert store.read_now(lambda connection: connection.execute(query).scalars().all()) == [other]


def test_what_a_crash_left_open_is_closed_as_interrupted_and_can_be_found(store: Store):
    done, left = opened(store), [opened(store) for _ in range(3)]
    finish(store, done)
    assert interrupted(store) == 3
    assert {store.read_now(calls.find_call, one).state for one in left} == {calls.INTERRUPTED}
    assert store.read_now(calls.find_call, done).state == calls.COMPLETE
    assert pending(store) == {done, *left}
    assert interrupted(store) == 0


def interrupted(store: Store) -> int:
    ids = [one for one, _ in store.read_now(calls.orphaned_calls, None, ())]
    return write(store, lambda transaction: calls.interrupt(transaction, ids))
