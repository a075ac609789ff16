"""Fill the text index in the background, from the queue `search_pending`, which is committed with the interactions.

No acknowledgement waits for the index, and a crash loses nothing: a row stays queued until its text is in the index.
Indexing a text twice has no effect.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, exists, func, select

from afterword.store.background.faults import FaultLog
from afterword.store.calls import OPEN
from afterword.store.engine import Delete, Index, Store, Transaction
from afterword.store.payloads import decompress, searchable_texts, train, unpack
from afterword.store.schema import calls, dictionaries, interactions, payloads, search_pending

log = logging.getLogger("afterword.search")

# An interaction may be deleted between the read of its row in `search_pending` and the commit of its words: its row is
# then another, which asks for the words to be taken out, and stays.
TAKEN_IN = Delete(search_pending, "interaction_id", search_pending.c.erased.is_(None))
TAKEN_OUT = Delete(search_pending, "interaction_id", search_pending.c.erased.is_not(None))

# Interactions indexed at once. A crash repeats no more than these.
BATCH_ROWS = 200
# The texts that pass by train the dictionaries that payloads are compressed with: when the store holds so many
# interactions, on so many of them.
TRAIN_AT = (2_000, 100_000)
SAMPLES = 2_000
LONGEST_SAMPLE = 16 << 10
# After a batch with more commits by others than this, the worker rests for YIELD_FACTOR times the batch's duration.
BUSY_COMMIT_COUNT = 20
YIELD_FACTOR = 4.0
# After a batch that was not full it lets some gather: a batch costs two commits, however small. With interactions
# logged one after the other, two fifths less is written so.
GATHER_SECONDS = 0.05
# Seconds between two polls when nothing wakes the worker: after a failure, or for what other servers have written.
POLL_SECONDS = 5.0
SHARED_POLL_SECONDS = 0.5


class SearchIndexWorker:
    """A thread that adds queued texts to the text index."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._samples: list[bytes] = []
        self._faults = FaultLog(log, store, "The text index could not be brought up to date")
        self._thread = threading.Thread(target=self._work, name="afterword-indexer", daemon=True)

    def start(self) -> None:
        """Start taking in."""
        self._thread.start()

    def wake(self) -> None:
        """Tell that there is something pending."""
        self._wake.set()

    def close(self) -> None:
        """Finish the batch at hand and stop; the rest stays pending."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(self._store.operations.patience)

    @staticmethod
    def waiting(connection: Connection) -> int:
        """Return how many interactions are pending."""
        return connection.execute(select(func.count()).select_from(search_pending)).scalar_one()

    def _work(self) -> None:
        index: Index | None = None
        all_queued = False
        while not self._stop.is_set():
            self._wake.clear()
            try:
                if index is None:
                    index = self._store.database.connect_search()
                    all_queued = False
                while not self._stop.is_set() and self._store.in_charge:
                    if not all_queued:
                        self._queue_all(index)
                        all_queued = True
                    if not self._take_in_politely(index):
                        break
            except Exception as error:
                self._faults.log_error(error)
                if index is not None:
                    index.close()
                index = None
                self._repair(error)
            if self._repair(None) and index is not None:
                index.close()
                index = None
            self._wake.wait(SHARED_POLL_SECONDS if self._store.database.SHARED else POLL_SECONDS)
        if index is not None:
            index.close()

    def _repair(self, error: Exception | None) -> bool:
        """Make the index anew where it is damaged: it is derived. Tell whether it was."""
        try:
            repaired = self._store.database.repair_search(error)
        except Exception as other:
            self._faults.log_error(other)
            return False
        if repaired:
            log.warning("The text index was damaged. It is made anew; until then searches for words find less.")
            self._wake.set()
        return repaired

    def _take_in_politely(self, index: Index) -> bool:
        """Take in a batch. While others write a lot, leave most of the time to them: they wait for their answers."""
        started, committed = time.monotonic(), self._store.queue.committed
        number = self._take_in(index)
        if self._store.queue.committed - committed > BUSY_COMMIT_COUNT:
            self._stop.wait((time.monotonic() - started) * YIELD_FACTOR)
        if 0 < number < BATCH_ROWS:
            self._stop.wait(GATHER_SECONDS)
        return number > 0

    def _take_in(self, index: Index) -> int:
        """Take in a batch; return of how many."""
        rows = self._store.read_now(_pending)
        if not rows:
            index.note_caught_up()
            return 0
        changes = []
        for row in rows:
            if row.payload and len(self._samples) < SAMPLES:
                self._samples.append(decompress(row.payload)[:LONGEST_SAMPLE])
            compressed = row.erased or row.payload
            texts = None if compressed is None else searchable_texts(unpack(compressed))
            changes.append((row.interaction_id, texts, row.erased is not None))
        with self._store.operations.under_way(index.interrupt, is_long=True):
            index.apply(changes)
        if len(rows) < BATCH_ROWS:
            index.note_caught_up()
        taken_in = [(row.interaction_id,) for row in rows if row.erased is None]
        taken_out = [(row.interaction_id,) for row in rows if row.erased is not None]
        self._store.queue.write_from_thread([(TAKEN_IN, taken_in), (TAKEN_OUT, taken_out)])
        if len(self._samples) == SAMPLES:
            self._train(index.size())
        return len(rows)

    def _train(self, size: int) -> None:
        """Train a dictionary where the store has grown enough since the last one."""
        trained = self._store.compression.dictionaries
        if trained < len(TRAIN_AT) and size >= TRAIN_AT[trained]:
            content = train(self._samples)
            now = time.time_ns() // 1_000_000

            def keep(transaction: Transaction) -> None:
                transaction.connection.execute(dictionaries.insert().values(content=content, created_at=now))

            self._store.queue.write_from_thread(keep)
            self._store.compression.add(content)
        self._samples.clear()

    def _queue_all(self, index: Index) -> None:
        """Queue all interactions for an index that is made again, some at a time, so that no other write waits."""
        after = UUID(int=0)
        while index.is_new() and not self._stop.is_set():

            def queue_batch(transaction: Transaction, after: UUID = after) -> UUID | None:
                connection = transaction.connection
                # A call under way is queued when it ends: its text is not yet what it will be.
                under_way = exists().where(calls.c.interaction_id == interactions.c.id, calls.c.state == OPEN)
                query = select(interactions.c.id).where(interactions.c.id > after, ~under_way)
                ids = list(connection.execute(query.order_by(interactions.c.id).limit(5_000)).scalars())
                waiting = set(
                    connection.execute(
                        select(search_pending.c.interaction_id).where(search_pending.c.interaction_id.in_(ids))
                    ).scalars()
                )
                unqueued = [{"interaction_id": id} for id in ids if id not in waiting]
                if unqueued:
                    connection.execute(search_pending.insert(), unqueued)
                return ids[-1] if ids else None

            last = self._store.queue.write_from_thread(queue_batch)
            if last is None:
                index.note_complete()
            else:
                after = last


def _pending(connection: Connection) -> Sequence[Any]:
    return connection.execute(
        select(search_pending.c.interaction_id, search_pending.c.erased, payloads.c.payload)
        .select_from(search_pending.outerjoin(payloads, payloads.c.interaction_id == search_pending.c.interaction_id))
        # Newest first: while all is queued again, what is logged now is found as soon as ever.
        .order_by(search_pending.c.interaction_id.desc())
        .limit(BATCH_ROWS)
    ).all()
