"""Fill the text index in the background, from the queue `search_pending`, which is committed with the interactions.

No acknowledgement waits for the index, and a crash loses nothing: a row stays queued until its text is in the index.
Indexing a text twice has no effect.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, exists, func, select

from afterword.message_words import message_contents
from afterword.store.background.contents import backfill_contents
from afterword.store.background.worker import ThreadWorker
from afterword.store.calls import OPEN
from afterword.store.compression import decompress, train
from afterword.store.engine import Delete, Index, Store, Transaction
from afterword.store.engine.dialect import any_of
from afterword.store.engine.text_search import IndexedTexts
from afterword.store.payloads import completion_message, read_json, searchable_texts, unpack
from afterword.store.schema import calls, dictionaries, interactions, search_pending

log = logging.getLogger("afterword.search")

# An interaction may be deleted between the read of its row in `search_pending` and the commit of its words: its row is
# then another, which asks for the words to be taken out, and stays.
TAKEN_IN = Delete(search_pending, "interaction_id", search_pending.c.erased.is_(None))
TAKEN_OUT = Delete(search_pending, "interaction_id", search_pending.c.erased.is_not(None))

# Interactions indexed at once. A crash repeats no more than these.
BATCH_ROWS = 200
# Interactions queued at once for a new index.
QUEUE_ROWS = 5_000
# The worker trains the dictionaries that payloads are compressed with, on texts that it indexes: the first one when the
# store holds as many interactions as the first number says, and so on.
TRAIN_AT_ROWS = (2_000, 100_000)
SAMPLE_COUNT = 2_000
MAX_SAMPLE_BYTES = 16 << 10
# A pause after a batch that was not full, for more texts to gather: a batch costs two commits, however small. When
# interactions are logged one after the other, this saves two fifths of what is written.
GATHER_SECONDS = 0.05
# Seconds between two polls where other servers write: nothing wakes the worker for their texts.
SHARED_POLL_SECONDS = 0.5


class SearchIndexWorker(ThreadWorker):
    """A worker that adds queued texts to the text index, and removes deleted ones from it."""

    name = "search-index"
    log = log
    failure_text = "The text index could not be brought up to date"
    poll_seconds = 5.0
    yield_factor = 4.0

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        if store.database.SHARED:
            self.poll_seconds = SHARED_POLL_SECONDS
        self._samples: list[bytes] = []
        self._index: Index | None = None
        self._are_all_queued = False
        self._queued_to = UUID(int=0)

    @staticmethod
    def waiting(connection: Connection) -> int:
        """Return the number of interactions whose texts are queued."""
        return connection.execute(select(func.count()).select_from(search_pending)).scalar_one()

    def step(self) -> bool:
        """Take in a batch of queued texts, at the server in charge. Interactions from before the index are queued
        first."""
        # A search may have found the index damaged.
        self._repair(None)
        if not self._store.in_charge:
            return False
        try:
            if self._index is None:
                self._index = self._store.database.connect_search()
                self._are_all_queued, self._queued_to = False, UUID(int=0)
            if not self._are_all_queued and self._index.is_new():
                self._queue_batch(self._index)
                return True
            self._are_all_queued = True
            number = self._take_in(self._index)
        except Exception as error:
            self.finish()
            if self._repair(error):
                return True
            raise
        if 0 < number < BATCH_ROWS:
            self.pause(GATHER_SECONDS)
        return number > 0

    def finish(self) -> None:
        """Close the index."""
        if self._index is not None:
            self._index.close()
        self._index = None

    def _repair(self, error: Exception | None) -> bool:
        """Make a new index, which is derived, if `error` or a search before says that the old one is damaged; return
        whether it was."""
        is_repaired = self._store.database.repair_search(error)
        if is_repaired:
            self.finish()
            log.warning("The text index was damaged. It is rebuilt; until then searches for words find less.")
        return is_repaired

    def _take_in(self, index: Index) -> int:
        """Take in a batch; return its number of interactions."""
        rows = self._store.read_now(_pending)
        if not rows:
            index.note_caught_up()
            return 0
        self._samples += [row.sample for row in rows if row.sample][: SAMPLE_COUNT - len(self._samples)]
        changes = [(row.interaction_id, row.texts, row.is_erased) for row in rows]
        with self._store.operations.under_way(index.interrupt, is_long=True):
            index.apply(changes)
        if len(rows) < BATCH_ROWS:
            index.note_caught_up()
        taken_in = [(row.interaction_id,) for row in rows if not row.is_erased]
        taken_out = [(row.interaction_id,) for row in rows if row.is_erased]
        backfill_contents(self._store, {row.interaction_id: row.contents for row in rows if row.contents})
        self._store.queue.write_from_thread([(TAKEN_IN, taken_in), (TAKEN_OUT, taken_out)])
        if len(self._samples) == SAMPLE_COUNT:
            self._train(index.size())
        return len(rows)

    def _train(self, size: int) -> None:
        """Train a dictionary where the store has grown enough since the last one."""
        trained = self._store.compression.dictionaries
        if trained < len(TRAIN_AT_ROWS) and size >= TRAIN_AT_ROWS[trained]:
            content = train(self._samples)
            now = time.time_ns() // 1_000_000

            def keep(transaction: Transaction) -> None:
                transaction.connection.execute(dictionaries.insert().values(content=content, created_at=now))

            self._store.queue.write_from_thread(keep)
            self._store.compression.add(content)
        self._samples.clear()

    def _queue_batch(self, index: Index) -> None:
        """Queue some of the interactions from before the index was made: no other write waits for all of them."""
        after = self._queued_to

        def queue(transaction: Transaction) -> UUID | None:
            connection = transaction.connection
            # A running call is queued when it ends: its text is not complete yet.
            is_running = exists().where(calls.c.interaction_id == interactions.c.id, calls.c.state == OPEN)
            query = select(interactions.c.id).where(interactions.c.id > after, ~is_running)
            ids = list(connection.execute(query.order_by(interactions.c.id).limit(QUEUE_ROWS)).scalars())
            is_queued = any_of(search_pending.c.interaction_id, ids)
            queued = set(connection.execute(select(search_pending.c.interaction_id).where(is_queued)).scalars())
            unqueued = [{"interaction_id": id} for id in ids if id not in queued]
            if unqueued:
                connection.execute(search_pending.insert(), unqueued)
            return ids[-1] if ids else None

        last = self._store.queue.write_from_thread(queue)
        if last is None:
            index.note_complete()
        else:
            self._queued_to = last


class _QueuedText(NamedTuple):
    """A row of the queue. `texts` are None, and `sample` is empty, if the interaction was deleted meanwhile."""

    interaction_id: UUID
    texts: IndexedTexts | None
    is_erased: bool
    sample: bytes
    contents: list[str]


def _added_text(interaction_id: UUID, raw: bytes) -> _QueuedText:
    payload = unpack(raw)
    contents = message_contents(payload.messages, completion_message(payload.completion, payload.message))
    return _QueuedText(interaction_id, searchable_texts(payload), False, raw[:MAX_SAMPLE_BYTES], contents)


def _pending(connection: Connection) -> Sequence[_QueuedText]:
    rows = connection.execute(
        select(search_pending.c.interaction_id, search_pending.c.erased)
        # Newest first: while older interactions are queued for a new index, new ones are still found at once.
        .order_by(search_pending.c.interaction_id.desc())
        .limit(BATCH_ROWS)
    ).all()
    added = {
        interaction_id: _added_text(interaction_id, raw)
        for interaction_id, raw in read_json(connection, [row.interaction_id for row in rows if row.erased is None])
    }
    return [
        added.get(row.interaction_id) or _QueuedText(row.interaction_id, None, False, b"", [])
        if row.erased is None
        else _QueuedText(row.interaction_id, searchable_texts(unpack(decompress(row.erased))), True, b"", [])
        for row in rows
    ]
