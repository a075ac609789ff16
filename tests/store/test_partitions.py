"""On PostgreSQL each month has parts of the large tables: what is logged lies in them; retention drops them whole."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, select, text

from afterword.ids import uuid7
from afterword.store import interactions as stored
from afterword.store import packing
from afterword.store.background.retention import Periods, Retention
from afterword.store.engine import Store
from afterword.store.engine.partitions import PARTITIONED, TEXT_TABLES, Month
from afterword.store.engine.postgresql import PARTITION_LEAD_MS
from afterword.store.payloads import Payload, encode, read_json
from afterword.store.schema import (
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
    payloads,
    preferences,
    rollup_marks,
    search_pending,
)

pytestmark = pytest.mark.shared
DAY = 86_400_000
MARCH, APRIL, MAY = (Month.of(ms) for ms in (1_709_500_000_000, 1_712_500_000_000, 1_715_000_000_000))


@pytest.fixture
def store(tmp_path: Path, database: Callable[[], str | None]) -> Iterator[Store]:
    opened = Store(tmp_path, database())
    opened.in_charge_until = math.inf
    yield opened
    opened.close()


def write(store: Store, *rows: Any) -> None:
    store.queue.write_from_thread(lambda transaction: transaction.put_all([list(rows)]))


def of(month: Month) -> UUID:
    """Return an id that was given within the month."""
    return UUID(int=(month.start + 5 * DAY << 80) | (uuid7().int & (1 << 80) - 1))


def log(
    store: Store, its_id: UUID, *, created_at: int, project: int = 1, image: bytes | None = None,
    session_id: UUID | None = None,
) -> UUID:  # fmt: skip
    """Write an interaction with a label, feedback and, if named, an image."""
    payload = Payload(messages=[{"role": "user", "content": "Hi"}], completion="Ho")
    put = stored.INSERT
    columns: dict[str, Any] = {
        "id": its_id, "project": project, "created_at": created_at, "source": 0, "session_id": session_id, "user": "u",
        "labels": '{"key":"value"}', "prompt_hash": 5, "prompt_text_hash": 6, "completion_text_hash": 7, "size": 8,
        "preview": "{}", "contents": '["images"]' if image else None,
    }  # fmt: skip
    numbers = [label_number(project, "key", "value"), *([content_number(project, "images")] if image else [])]
    write(
        store,
        (put["interactions"], [tuple(columns.get(column.name) for column in interactions.c)]),
        (put["payloads"], [(its_id, store.compression.compress(encode(payload)), None)]),
        (put["interaction_labels"], [(number, created_at, its_id) for number in numbers]),
        (put["feedback"], [(its_id, uuid7(), 1, 1.0, None, None, None, 0, created_at, None)]),
        *([(stored.INSERT_IMAGE, [(image, "png", b"content")])] if image else []),
        *([(stored.INSERT_IMAGE_USE, [(image, project, its_id)])] if image else []),
    )
    return its_id


def parts(store: Store, table: str) -> dict[str, int]:
    """Return how many rows lie in which part of a table; those that have some."""

    def count(connection: Connection) -> dict[str, int]:
        query = f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1"
        return {name.removeprefix(f"{table}_"): number for name, number in connection.execute(text(query)).all()}

    return store.read_now(count)


def count(store: Store, table: Any) -> int:
    return store.read_now(lambda connection: len(connection.execute(select(table)).all()))


@contextmanager
def retention(store: Store, periods: dict[int, Periods]) -> Iterator[Retention]:
    """Run it over the store until the end of the block."""
    running = Retention(store, lambda: periods)
    running.start()
    try:
        yield running
    finally:
        running.close()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it does not come to hold"
        time.sleep(0.02)


def days_since(ms: int) -> int:
    return (time.time_ns() // 1_000_000 - ms) // DAY


def test_a_month_is_named_and_ends_where_the_next_begins():
    assert [month.name for month in (MARCH, APRIL, MAY)] == ["2024_03", "2024_04", "2024_05"]
    assert (MARCH.end, APRIL.end) == (APRIL.start, MAY.start)
    december = Month.of(1_733_100_000_000)
    assert (december.name, Month.of(december.end).name) == ("2024_12", "2025_01")


def test_rows_go_to_this_months_partition_and_timeless_ids_to_others(store: Store):
    now = time.time_ns() // 1_000_000
    assert store.database.partitions
    this, following = Month.of(now), Month.of(Month.of(now).end)
    # The lead is longer than a month: at the end of November it reaches January.
    made = (this, following, Month.of(now + PARTITION_LEAD_MS))
    assert store.database.partitions.existing_months() == {month: set(PARTITIONED) for month in made}
    log(store, uuid7(), created_at=now - 400 * DAY)
    for version_4 in ("f47ac10b-58cc-4372-a567-0e02b2c3d479", "00000000-0000-4000-8000-000000000000"):
        log(store, UUID(version_4), created_at=now)
    log(store, of(MARCH), created_at=now)
    for table in ("interactions", "payloads", "interaction_labels", "feedback"):
        assert parts(store, table) == {this.name: 1, "after": 1, "before": 1, "others": 1}


def test_a_part_that_is_made_later_takes_the_rows_of_its_month(store: Store):
    months = store.database.partitions
    assert months
    ids = {log(store, of(month), created_at=month.start) for month in (MARCH, MARCH, MAY)}
    months.make(MARCH.start, APRIL.start)
    months.make(MARCH.start, APRIL.start)
    assert parts(store, "interactions") == {MARCH.name: 2, "others": 1}
    assert set(months.existing_months()) > {MARCH, APRIL}
    assert {row.id for row in store.read_now(lambda c: c.execute(select(interactions.c.id)).all())} == ids
    indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = :table"
    numbers = {
        part: store.read_now(lambda c, part=part: c.execute(text(indexes), {"table": part}).scalar_one())
        for part in (f"interactions_{MARCH.name}", "interactions_others")
    }
    assert len(set(numbers.values())) == 1


def test_parts_are_made_while_others_write(store: Store):
    months = store.database.partitions
    assert months
    logged = [log(store, of(MARCH), created_at=MARCH.start) for _ in range(20)]
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            logged.append(log(store, of(APRIL), created_at=APRIL.start))

    writer = threading.Thread(target=go_on)
    writer.start()
    try:
        until(lambda: len(logged) > 40)
        months.make(MARCH.start, MAY.start)
        made = len(logged)
        until(lambda: len(logged) > made + 20)
    finally:
        stop.set()
        writer.join()
    assert count(store, interactions) == len(logged)
    assert parts(store, "payloads") == {MARCH.name: 20, APRIL.name: len(logged) - 20}


def test_a_month_that_is_too_old_is_dropped_with_all_that_hangs_on_it(store: Store):
    months = store.database.partitions
    assert months
    months.make(MARCH.start, MAY.start)
    now = time.time_ns() // 1_000_000
    shared, own = b"s" * 32, b"o" * 32
    gone = [log(store, of(MARCH), created_at=MARCH.start + n, image=own if n else shared) for n in range(30)]
    # Its id is of the month, as a random one may be; its time is not.
    stays = [log(store, of(MARCH), created_at=now, image=shared), log(store, of(MAY), created_at=MAY.start)]
    its_id, rest = uuid7(), (None, 1, False, None, None, 0, 1, None)
    sides = [(gone[0], its_id, stays[1], 1, *rest), (stays[1], its_id, gone[0], 2, *rest)]
    write(store, (stored.INSERT["preferences"], sides))
    given = [(one, uuid7(), 1, 1, 1.0, None, None, 0, 1, None, one) for one in (gone[1], stays[0])]
    write(store, (stored.INSERT["outcomes"], given))
    later = log(store, of(MAY), created_at=MAY.start, session_id=gone[2])
    write(store, (stored.INSERT["outcomes"], [(gone[2], uuid7(), 1, 1, 1.0, "late", None, 0, 1, None, gone[2])]))
    write(store, (stored.INSERT["search_pending"], [(gone[3], None)]))

    with retention(store, {1: Periods(days_since(APRIL.end), None)}) as running:
        until(lambda: running.interactions == 30)
    assert MARCH not in months.existing_months()
    assert MAY in months.existing_months()
    assert parts(store, "interactions") == {"others": 1, MAY.name: 2}
    for table, number in (
        (interactions, 3), (payloads, 3), (feedback, 3), (interaction_labels, 4), (images, 1),
        (interaction_images, 1), (preferences, 1), (outcomes, 2),
    ):  # fmt: skip
        assert count(store, table) == number, table.name
    turns = store.read_now(lambda c: set(c.execute(select(outcomes.c.turn)).scalars()))
    assert turns == {stays[0], later}
    # The details of the outcome whose turn is gone are taken in with another one.
    assert store.read_now(lambda c: list(c.execute(select(details_pending.c.interaction_id)).scalars())) == [later]
    # What stays has lost its words, and is taken in again.
    assert store.read_now(lambda c: c.execute(select(search_pending.c.interaction_id)).scalars().all()) == [stays[0]]
    marked = store.read_now(lambda c: c.execute(select(rollup_marks.c.project, rollup_marks.c.first)).all())
    assert (1, MARCH.start // 3_600_000) in [tuple(row) for row in marked]


def test_a_month_of_which_a_project_keeps_something_is_not_dropped(store: Store):
    months = store.database.partitions
    assert months
    months.make(MARCH.start, MARCH.start)
    for project in (1, 2):
        for _ in range(5):
            log(store, of(MARCH), created_at=MARCH.start, project=project)
    limit = days_since(APRIL.end)
    with pytest.MonkeyPatch.context() as few:
        few.setattr("afterword.store.deletion.MAX_STAYING_ROWS", 3)
        few.setattr("afterword.store.background.retention.MAX_STAYING_ROWS", 3)
        with retention(store, {1: Periods(limit, None), 2: Periods(None, None)}) as running:
            until(lambda: running.interactions == 5)
    assert MARCH in months.existing_months()
    assert parts(store, "interactions") == {MARCH.name: 5}
    assert store.read_now(lambda c: set(c.execute(select(interactions.c.project)).scalars())) == {2}


def test_texts_of_a_month_are_dropped_while_the_rest_is_kept(store: Store):
    months = store.database.partitions
    assert months
    months.make(MARCH.start, MARCH.start)
    now = time.time_ns() // 1_000_000
    for _ in range(10):
        log(store, of(MARCH), created_at=MARCH.start, image=b"i" * 32)
    stays = log(store, of(MARCH), created_at=now)
    with retention(store, {1: Periods(None, days_since(APRIL.end))}) as running:
        until(lambda: running.payloads == 10)
    assert months.existing_months()[MARCH] == set(PARTITIONED) - TEXT_TABLES
    assert parts(store, "interactions") == {MARCH.name: 11}
    assert parts(store, "payloads") == {"others": 1}
    assert count(store, images) == 0
    assert count(store, feedback) == 11
    # Nothing says any more that they held images.
    assert count(store, interaction_labels) == 11
    left = store.read_now(lambda c: c.execute(select(interactions).where(interactions.c.preview.is_not(None))).one())
    assert (left.id, left.prompt_text_hash) == (stays, 6)
    with retention(store, {1: Periods(days_since(APRIL.end), None)}) as running:
        until(lambda: running.interactions == 10)
    assert MARCH not in months.existing_months()
    assert parts(store, "payloads") == parts(store, "interactions") == {"others": 1}


def test_a_month_that_is_read_is_dropped_afterwards(store: Store, monkeypatch: pytest.MonkeyPatch):
    months = store.database.partitions
    assert months
    monkeypatch.setattr("afterword.store.background.retention.PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(Retention, "retry_seconds", 0.2)
    months.make(MARCH.start, MARCH.start)
    for _ in range(3):
        log(store, of(MARCH), created_at=MARCH.start)
    with store.database.reader.connect() as reader:
        assert len(reader.execute(select(interactions)).all()) == 3
        with retention(store, {1: Periods(days_since(APRIL.end), None)}) as running:
            # It gives the way to the batches, which no reader is in the way of.
            until(lambda: running.interactions == 3)
            assert MARCH in months.existing_months()
    with retention(store, {1: Periods(days_since(APRIL.end), None)}):
        until(lambda: MARCH not in months.existing_months())
    assert count(store, interactions) == 0


def test_every_table_of_interactions_that_grows_has_parts():
    large = {"interactions", "payloads", "calls", "interaction_labels", "feedback", "preferences"}
    assert set(PARTITIONED) == {*large, "search_words"}
    assert large < set(metadata.tables)


def test_what_stays_of_a_dropped_month_keeps_its_text(store: Store):
    now = time.time_ns() // 1_000_000
    ids = sorted(of(MARCH) for _ in range(4))
    for place, its_id in enumerate(ids):
        log(store, its_id, created_at=now if place < 2 else MARCH.start)
    raw = dict(store.read_now(lambda connection: list(read_json(connection, ids))))
    against = packing.packing_compressor(raw[ids[3]])
    packed = [(its_id, against.compress(raw[its_id]), ids[3]) for its_id in ids[:3]]
    write(store, (packing.REPACK, packed))
    store.database.run_maintenance()
    assert store.database.partitions
    store.database.partitions.make(MARCH.start, MARCH.start)
    with retention(store, {1: Periods(interactions=days_since(MARCH.end) - 1, payloads=None)}):
        until(lambda: count(store, payloads) == 2)
    assert dict(store.read_now(lambda connection: list(read_json(connection, ids)))) == {
        its_id: raw[its_id] for its_id in ids[:2]
    }
