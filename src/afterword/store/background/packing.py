"""Pack conversations in the background, from the queue `packing_pending`, which is committed with their turns.

A turn is packed once its conversation is quiet, or long enough. No answer waits for it, and a crash loses nothing: a
row stays queued until the transaction that writes what it led to. Packing twice has no effect.

A plan (store/packing.py) is made from a snapshot, without a lock. Its transaction writes only if all payloads that the
plan read are still the same, and holds them until its commit, so that none of them is deleted meanwhile. Servers that
pack the same session wait for each other.

A call that runs, or that was cut off, is not packed: its end may still be written.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, literal, or_, select, tuple_

from afterword.store import packing
from afterword.store.background.worker import ThreadWorker
from afterword.store.calls import COMPLETE, INTERRUPTED, OPEN
from afterword.store.compression import Damaged
from afterword.store.engine import ConditionalWrite, DeleteByKey, Find, Insert, Rows, Store, Transaction
from afterword.store.engine.dialect import any_of
from afterword.store.engine.partitions import partition_key
from afterword.store.payloads import StoredPayload, stored_payload
from afterword.store.schema import Id, calls, interactions, packing_backfill, packing_pending, payloads

log = logging.getLogger("afterword.packing")

# Debounce: pack a session once it had no new turn for so many seconds, or has so many turns queued.
QUIET_SECONDS = 10.0
FULL_TURNS = 32
# Sessions packed in one step, and turns of one session.
BATCH_SESSIONS = 20
BATCH_TURNS = 256
# The newest turns of a session that a step looks at beside the queued ones.
RECENT_TURNS = 16
# Turns queued at once from before the store had the queue.
QUEUE_TURNS = 2_000

QUEUE = Insert(packing_pending, ignore_existing=True)
DEQUEUE = DeleteByKey(packing_pending)
LOCK_PAYLOAD = Find(payloads.c.interaction_id, payloads.c.payload, payloads.c.base, row_lock=True)


def queue_turn(project: int, session_id: UUID | None, interaction_id: UUID) -> Rows:
    """Return the rows to write with a turn whose answer is complete. An interaction without a session is alone, or
    opens one: it is packed with the next turn."""
    if session_id is None:
        return []
    return [(QUEUE, [(project, session_id, interaction_id, time.time_ns() // 1_000_000)])]


class QueuedSession(NamedTuple):
    """A session with queued turns, at most `BATCH_TURNS` of them."""

    project: int
    session_id: UUID
    interaction_ids: list[UUID]


class PackingWorker(ThreadWorker):
    """A worker that packs queued conversations. Where several servers share a database, the one in charge packs."""

    name = "packing"
    log = log
    failure_text = "Conversations could not be packed"
    poll_seconds = 1.0
    rest_factor = 1.0
    yield_factor = 9.0

    def __init__(self, store: Store, *, quiet_seconds: float = QUIET_SECONDS) -> None:
        super().__init__(store)
        self._quiet_seconds = quiet_seconds

    def step(self) -> bool:
        """Pack some sessions. If there are none, queue turns from before the store had the queue."""
        if not self._store.in_charge:
            return False
        quiet_since = time.time_ns() // 1_000_000 - int(1000 * self._quiet_seconds)
        sessions = self._store.read_now(_queued_sessions, quiet_since)
        for session in sessions:
            if self.is_stopping:
                return False
            self._pack(session)
        return bool(sessions) or self._queue_older()

    def _pack(self, session: QueuedSession) -> None:
        rows = self._store.read_now(_payloads_of, session)
        changes = _changes(rows, session)
        changed_ids = {change.interaction_id for change in changes}
        used_ids = changed_ids | {change.base for change in changes}
        used = [row for row in rows if row.interaction_id in used_ids]
        keys = [(session.project, session.session_id, interaction_id) for interaction_id in session.interaction_ids]
        dequeued: Rows = [(DEQUEUE, keys)]

        def write(*stored: Sequence[Any] | None) -> tuple[Rows, None]:
            if not all(map(_is_same, used, stored)):
                # The session stays queued.
                return [], None
            return [*([(packing.REPACK, changes)] if changes else []), *dequeued], None

        lookups = [(LOCK_PAYLOAD, row.interaction_id) for row in used]
        self._store.queue.write_from_thread(ConditionalWrite(lookups, write, own=session.session_id))

    def _queue_older(self) -> bool:
        """Queue some of the turns from before the store had the queue; return whether there may be more."""
        if self._store.read_now(_backfill_position) is None:
            return False
        self._store.queue.write_from_thread(_queue_older_turns)
        return True


def _changes(rows: Sequence[StoredPayload], session: QueuedSession) -> list[StoredPayload]:
    new_ids = set(session.interaction_ids)
    try:
        return [change for group in _by_partition(rows) for change in packing.plan(group, new_ids)]
    except Damaged:
        # Other sessions do not wait for one that cannot be read.
        return []


def _is_same(row: StoredPayload, stored: Sequence[Any] | None) -> bool:
    """Return whether a row as the database's driver returns it is the row that was read."""
    return stored is not None and stored_payload(row.interaction_id, stored) == row


def _by_partition(rows: Sequence[StoredPayload]) -> Iterator[list[StoredPayload]]:
    """Yield the rows of each partition: one that is dropped must not hold the base of a row in another."""
    rows_by_partition: dict[Any, list[StoredPayload]] = defaultdict(list)
    for row in rows:
        rows_by_partition[partition_key(row.interaction_id)].append(row)
    yield from rows_by_partition.values()


def _queued_sessions(connection: Connection, quiet_since: int) -> list[QueuedSession]:
    """Return some sessions to pack: those whose last turn was queued before `quiet_since`, or that have many turns."""
    c = packing_pending.c
    is_due = or_(func.max(c.queued_at) <= quiet_since, func.count() >= FULL_TURNS)
    due = select(c.project, c.session_id).group_by(c.project, c.session_id).having(is_due).limit(BATCH_SESSIONS)
    sessions: list[QueuedSession] = []
    for row in connection.execute(due).all():
        turns = select(c.interaction_id).where(c.project == row.project, c.session_id == row.session_id)
        ids = list(connection.execute(turns.order_by(c.interaction_id).limit(BATCH_TURNS)).scalars())
        sessions.append(QueuedSession(row.project, row.session_id, ids))
    return sessions


def _payloads_of(connection: Connection, session: QueuedSession) -> list[StoredPayload]:
    """Return the payloads of a session's queued and newest turns that are stored in full, and all that is packed
    against these."""
    c = interactions.c
    newest = select(c.id).where(c.session_id == session.session_id, c.project == session.project)
    ids = set(connection.execute(newest.order_by(c.id.desc()).limit(RECENT_TURNS)).scalars())
    ids.update(session.interaction_ids)
    # The opener, if it is in the same project.
    ids.add(session.session_id)
    is_turn = (c.project == session.project) & (func.coalesce(c.session_id, c.id) == session.session_id)
    is_finished = func.coalesce(calls.c.state, COMPLETE).not_in((OPEN, INTERRUPTED))
    turns = interactions.outerjoin(calls, calls.c.interaction_id == c.id)
    finished = select(c.id).select_from(turns).where(any_of(c.id, ids), is_turn, is_finished)
    finished_ids = list(connection.execute(finished).scalars())
    columns = select(payloads.c.interaction_id, payloads.c.payload, payloads.c.base)
    full = connection.execute(columns.where(any_of(payloads.c.interaction_id, finished_ids), payloads.c.base.is_(None)))
    rows = [StoredPayload(*row) for row in full]
    packed = connection.execute(columns.where(any_of(payloads.c.base, [row.interaction_id for row in rows])))
    return rows + [StoredPayload(*row) for row in packed]


# ------------------------------------------------------------------------------------------------ older turns


def _backfill_position(connection: Connection) -> Any:
    return connection.execute(select(packing_backfill)).first()


def _queue_older_turns(transaction: Transaction) -> None:
    """Queue the next turns from before the store had the queue, and note how far that went."""
    connection = transaction.connection
    position = connection.execute(select(packing_backfill).with_for_update()).first()
    if position is None:
        return
    c = interactions.c
    # The first condition, which follows from the second, is what an index answers.
    query = select(c.id, c.session_id, c.project).where(c.session_id >= position.session_id)
    last = tuple_(literal(position.session_id, Id()), literal(position.interaction_id, Id()))
    query = query.where(tuple_(c.session_id, c.id) > last)
    rows = connection.execute(query.order_by(c.session_id, c.id).limit(QUEUE_TURNS)).all()
    transaction.put(QUEUE, [(row.project, row.session_id, row.id, 0) for row in rows])
    connection.execute(delete(packing_backfill))
    if len(rows) == QUEUE_TURNS:
        connection.execute(insert(packing_backfill).values(session_id=rows[-1].session_id, interaction_id=rows[-1].id))
