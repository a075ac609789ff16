"""What is committed together: a bad unit spoils no other, units of one id see each other."""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from sqlalchemy import select

from afterword.errors import Unavailable
from afterword.ids import uuid7
from afterword.store import calls
from afterword.store import interactions as stored
from afterword.store.engine import ConditionalWrite, Delete, Store, Transaction
from afterword.store.engine.sqlite_writer import SCRIPT
from afterword.store.engine.sqlite_writer_main import HEADER_BYTES
from afterword.store.feedback import FIND_COMPLETION, FIND_FEEDBACK, INSERT_FEEDBACK
from afterword.store.schema import LATER_TEXTS, feedback, interactions, search_pending


@pytest.fixture
def store(tmp_path: Path, database: Callable[[], str | None]) -> Iterator[Store]:
    opened = Store(tmp_path, database())
    yield opened
    opened.close()


def interaction(one: UUID, project: int = 1) -> Any:
    row = (one, project, 1_700_000_000_000, None, 0, None, None, None, 5, 6, 7, 8, *(None,) * (6 + len(LATER_TEXTS)))
    return [(stored.INSERT["interactions"], [row])]


def rating(completion_id: UUID, feedback_id: UUID | None = None, request_hash: int | None = None) -> ConditionalWrite:
    """Rate a completion; tell its project, or the hash that the feedback of this id has already."""

    def write(found: Sequence[Any] | None, there: Sequence[Any] | None = None) -> Any:
        if there is not None:
            return [], ("there", there[0])
        if found is None:
            raise LookupError(completion_id)
        row = (completion_id, feedback_id or uuid7(), 1, 1.0, None, None, None, 0, 1, request_hash)
        return [(INSERT_FEEDBACK, [row])], found[0]

    wanted = [(FIND_COMPLETION, completion_id)]
    if feedback_id:
        wanted.append((FIND_FEEDBACK, feedback_id))
    return ConditionalWrite(wanted, write, own=feedback_id)


def commit(store: Store, *units: Any) -> list[Any]:
    return asyncio.run(store.write_many(units))


def rated(store: Store) -> set[UUID]:
    return set(store.read_now(lambda connection: connection.execute(select(feedback.c.interaction_id)).scalars().all()))


def stored_ids(store: Store) -> set[UUID]:
    return set(store.read_now(lambda connection: connection.execute(select(interactions.c.id)).scalars().all()))


@pytest.mark.parametrize("answers", [1, 3])
def test_the_writer_of_a_killed_server_ends_without_a_traceback(tmp_path: Path, answers: int):
    program = [sys.executable, "-I", "-S", str(SCRIPT), f"file:{tmp_path / 'store.db'}"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdout.close()
        question = marshal.dumps([("SELECT 1", ())])
        with contextlib.suppress(BrokenPipeError):
            for _ in range(answers):
                writer.stdin.write(len(question).to_bytes(HEADER_BYTES, "little") + question)
        _, errors = writer.communicate(timeout=30)
    assert errors == b""


def test_what_depends_on_rows_of_the_same_commit_finds_them(store: Store):
    one, two = uuid7(), uuid7()
    assert commit(store, rating(one), interaction(one, 3), rating(two), interaction(two, 4)) == [3, None, 4, None]
    assert rated(store) == {one, two}


def test_many_are_looked_up_and_written_in_one_commit(store: Store):
    ids = [uuid7() for _ in range(200)]
    commit(store, *map(interaction, ids))
    assert commit(store, *map(rating, ids)) == [1] * 200
    assert rated(store) == set(ids)
    assert (store.queue.inserted["interactions"], store.queue.inserted["feedback"]) == (200, 200)


def test_a_unit_that_finds_nothing_spoils_no_other(store: Store):
    one, missing = uuid7(), uuid7()
    commit(store, interaction(one))
    failed, done = commit(store, rating(missing), rating(one))
    assert isinstance(failed, LookupError)
    assert done == 1
    assert rated(store) == {one}


def test_a_row_that_is_refused_spoils_no_other(store: Store):
    ids = [uuid7() for _ in range(5)]
    commit(store, interaction(ids[2]))
    results = commit(store, *map(interaction, ids), rating(ids[4]))
    assert [isinstance(one, Exception) for one in results] == [False, False, True, False, False, False]
    assert store.database.is_duplicate(results[2])
    assert stored_ids(store) == set(ids)
    assert rated(store) == {ids[4]}


def test_units_of_the_same_id_see_each_other(store: Store):
    one, two, its_id = uuid7(), uuid7(), uuid7()
    commit(store, interaction(one), interaction(two))
    assert commit(store, rating(one, its_id, 7), rating(two, its_id, 8)) == [1, ("there", 7)]
    assert commit(store, rating(two, its_id, 9)) == [("there", 7)]
    assert rated(store) == {one}


def test_what_is_queued_anew_while_it_is_taken_off_stays_queued(store: Store):
    one = uuid7()
    queue, take_off = [(calls.QUEUE_FOR_SEARCH, [(one, None)])], [(Delete(search_pending, "interaction_id"), [(one,)])]
    commit(store, queue)
    commit(store, queue, take_off)

    def waiting(connection: Any) -> Any:
        return connection.execute(select(search_pending.c.interaction_id)).scalars().all()

    assert store.read_now(waiting) == [one]


def test_functions_and_rows_are_committed_in_turn(store: Store):
    one, two, three = uuid7(), uuid7(), uuid7()

    def count_rows(transaction: Transaction) -> int:
        return len(transaction.connection.execute(select(interactions.c.id)).all())

    assert commit(store, interaction(one), count_rows, interaction(two), interaction(three), count_rows) == [
        None,
        1,
        None,
        None,
        3,
    ]


@pytest.mark.shared
@pytest.mark.parametrize("state", ["40001", "40P01", "23514"])
def test_what_was_in_anothers_way_is_done_again(store: Store, state: str):
    attempts: list[int] = []

    def unit(transaction: Transaction) -> int:
        attempts.append(len(attempts))
        if len(attempts) < 3:
            raised = f"DO $$ BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = '{state}'; END $$"
            transaction.connection.exec_driver_sql(raised)
        return len(attempts)

    one, two = uuid7(), uuid7()
    assert commit(store, interaction(one), unit, interaction(two)) == [None, 3, None]
    assert stored_ids(store) == {one, two}


@pytest.mark.embedded
def test_the_writers_process_may_die(store: Store):
    one, two, three = uuid7(), uuid7(), uuid7()
    commit(store, interaction(one))
    [process] = [child for child in psutil.Process().children() if "sqlite_writer_main.py" in " ".join(child.cmdline())]
    process.kill()
    process.wait()
    [failed] = commit(store, interaction(two))
    assert isinstance(failed, Unavailable)
    assert "may have been stored" in failed.message
    assert commit(store, interaction(three)) == [None]
    assert {one, three} <= stored_ids(store)
