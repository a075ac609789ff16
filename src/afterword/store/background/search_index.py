"""Fill the text index in the background, from its queues: `search_pending`, whose rows are committed with the
interactions, and `details_pending`, whose rows are committed with the details of feedback, preferences and outcomes.

No acknowledgement waits for the index, and a crash loses nothing: a row stays queued until its text is in the index.
Indexing a text twice has no effect.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, exists, func, select, union_all

from afterword.message_words import message_contents
from afterword.store.background.contents import backfill_contents
from afterword.store.background.worker import ThreadWorker
from afterword.store.calls import OPEN
from afterword.store.compression import decompress, train
from afterword.store.engine import Delete, DeleteByKey, Index, Insert, Store, Transaction
from afterword.store.engine.dialect import any_of
from afterword.store.engine.turns import Change, Turn
from afterword.store.feedback import has_details, read_details
from afterword.store.payloads import (
    completion_message,
    preview,
    read_json,
    read_undamaged_json,
    searchable_texts,
    unpack,
)
from afterword.store.schema import calls, details_pending, dictionaries, interactions, payloads, search_pending

log = logging.getLogger("afterword.search")

# An interaction may be deleted between the read of its row in `search_pending` and the commit of its words: its row is
# then another, which asks for the words to be taken out, and stays.
TAKEN_IN = Delete(search_pending, "interaction_id", search_pending.c.erased.is_(None))
TAKEN_OUT = Delete(search_pending, "interaction_id", search_pending.c.erased.is_not(None))
QUEUE = Insert(search_pending, ignore_existing=True)

# A change of details has a row of its own, so that one which is committed meanwhile stays.
DETAILS_TAKEN_IN = DeleteByKey(details_pending)

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
        """Return the number of texts and of changes of details that are queued."""
        counts = [select(func.count()).select_from(queue) for queue in (search_pending, details_pending)]
        return sum(connection.execute(union_all(*counts)).scalars())

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
        batch = self._store.read_now(_next_batch)
        rows = batch.texts
        if not rows and not batch.details_changes:
            index.note_caught_up()
            return 0
        self._samples += [row.sample for row in rows if row.sample][: SAMPLE_COUNT - len(self._samples)]
        with self._store.operations.under_way(index.interrupt, is_long=True):
            self._apply(index, [row.change for row in rows])
        number = max(len(batch.added) + len(batch.erased), len(batch.details_changes))
        if number < BATCH_ROWS:
            index.note_caught_up()
        backfill_contents(
            self._store, {row.change.interaction_id: (row.contents, row.preview) for row in rows if row.contents}
        )
        self._store.queue.write_from_thread(
            [
                (TAKEN_IN, [(interaction_id,) for interaction_id in batch.added]),
                (TAKEN_OUT, [(interaction_id,) for interaction_id in batch.erased]),
                (QUEUE, [(interaction_id, None) for interaction_id in batch.replaced]),
                (DETAILS_TAKEN_IN, batch.details_changes),
            ]
        )
        if len(self._samples) == SAMPLE_COUNT:
            self._train(index.size())
        return number

    def _apply(self, index: Index, changes: list[Change]) -> None:
        """Apply changes to the index, and to the turns that repeat others than before because of them."""
        session_ids = {change.turn.session_id for change in changes if change.turn}
        openers = index.turns.openers(list(session_ids - {change.interaction_id for change in changes}))
        if openers:
            changes = [*changes, *self._store.read_now(_indexed_changes, openers)]
        index.apply(changes)
        turns = [change for change in changes if change.turn]
        improved = {interaction_id for change in turns for interaction_id in index.turns.improved_by(change)}
        if improved:
            index.apply(self._store.read_now(_indexed_changes, list(improved)))
        removed_ids = [change.interaction_id for change in changes if change.is_removed]
        while repeating := index.turns.repeating(removed_ids):
            placed = self._store.read_now(_indexed_changes, repeating)
            index.apply(placed)
            # What is deleted by now is about to be removed.
            index.detach(list(set(repeating) - {change.interaction_id for change in placed}))

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
            query = select(interactions.c.id).where(interactions.c.id > after, ~_is_running(interactions.c.id))
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
    """What a row of the queue stands for. `sample` is empty if the interaction was deleted meanwhile."""

    change: Change
    sample: bytes = b""
    contents: list[str] | None = None
    preview: str | None = None


class _Batch(NamedTuple):
    """What is taken in at once: the texts, and the rows of both queues that stand for them."""

    texts: Sequence[_QueuedText]
    added: Sequence[UUID]
    erased: Sequence[UUID]
    replaced: Sequence[UUID]
    """Those of `erased` that have another payload by now, whose words are to be added next."""
    details_changes: Sequence[tuple[UUID, UUID]]


def _is_running(interaction_id: ColumnElement[UUID]) -> ColumnElement[bool]:
    return exists().where(calls.c.interaction_id == interaction_id, calls.c.state == OPEN)


class _TurnRow(NamedTuple):
    """The row of an interaction that is a turn of a session."""

    project: int
    session_id: UUID
    created_at: int


def _turn_rows(connection: Connection, ids: Collection[UUID]) -> dict[UUID, _TurnRow]:
    """Return the rows of those of these interactions that are turns of a session, or opened one."""
    c = interactions.c
    rows = select(c.id, c.project, c.session_id, c.created_at)
    # Most interactions are no turns: none of their columns is read.
    turns = list(connection.execute(rows.where(any_of(c.id, ids), c.session_id.is_not(None))))
    sessionless = list(set(ids).difference(row.id for row in turns))
    if sessionless:
        opened = connection.execute(select(c.session_id).where(any_of(c.session_id, sessionless)).distinct())
        if opened_ids := list(opened.scalars()):
            turns += connection.execute(rows.where(any_of(c.id, opened_ids))).all()
    return {row.id: _TurnRow(row.project, row.session_id or row.id, row.created_at) for row in turns}


def _added_text(interaction_id: UUID, raw: bytes, details: str = "", row: _TurnRow | None = None) -> _QueuedText:
    payload = unpack(raw)
    contents = message_contents(payload.messages, completion_message(payload.completion, payload.message))
    texts, words = searchable_texts(payload, details), preview(payload, len(raw)) if contents else None
    turn = None
    if row is not None:
        roles = [str(message.get("role")) for message in payload.messages]
        turn = Turn.of(texts, roles, interaction_id=interaction_id, **row._asdict())
    return _QueuedText(Change(interaction_id, texts, turn=turn), raw[:MAX_SAMPLE_BYTES], contents, words)


def _added_texts(
    connection: Connection, ids: Collection[UUID], raw_payloads: Iterable[tuple[UUID, bytes]]
) -> dict[UUID, _QueuedText]:
    if not ids:
        return {}
    details, turn_rows = read_details(connection, ids), _turn_rows(connection, ids)
    return {
        interaction_id: _added_text(interaction_id, raw, details.get(interaction_id, ""), turn_rows.get(interaction_id))
        for interaction_id, raw in raw_payloads
    }


def _indexed_changes(connection: Connection, ids: Collection[UUID]) -> list[Change]:
    """Return the changes that index these interactions again, without those that are deleted or damaged."""
    return [text.change for text in _added_texts(connection, ids, read_undamaged_json(connection, ids)).values()]


def _queued_texts() -> Select[Any]:
    """Return the query for the next rows of `search_pending`, each with the payload if nothing else is needed to index
    it.

    Most interactions are alone: they are no turns, and there are no details. A batch of them takes one query. Others
    take several, with 200 ids as parameters, which take longer than the queries themselves.
    """
    queued = (
        select(search_pending.c.interaction_id, search_pending.c.erased)
        # Newest first: while older interactions are queued for a new index, new ones are still found at once.
        .order_by(search_pending.c.interaction_id.desc())
        .limit(bindparam("row_count"))
        .subquery()
    )
    interaction_id = queued.c.interaction_id
    later_turns = interactions.alias()
    is_alone = and_(
        payloads.c.base.is_(None),
        interactions.c.session_id.is_(None),
        ~exists().where(later_turns.c.session_id == interaction_id),
        ~has_details(interaction_id),
    )
    with_payloads = queued.outerjoin(payloads, payloads.c.interaction_id == interaction_id)
    return select(queued, case((is_alone, payloads.c.payload)).label("payload")).select_from(
        with_payloads.outerjoin(interactions, interactions.c.id == interaction_id)
    )


QUEUED_TEXTS = _queued_texts()
CHANGED_DETAILS = select(*details_pending.c, _is_running(details_pending.c.interaction_id).label("is_running")).limit(
    bindparam("row_count")
)


def _next_batch(connection: Connection) -> _Batch:
    queued, changed = (
        connection.execute(query, {"row_count": BATCH_ROWS}).all() for query in (QUEUED_TEXTS, CHANGED_DETAILS)
    )
    erased = {row.interaction_id: row.erased for row in queued if row.erased is not None}
    added = [row.interaction_id for row in queued if row.erased is None]
    # The details of a running call are read when it ends.
    indexed_again = {row.interaction_id for row in changed if not row.is_running} - erased.keys() - set(added)
    alone = {row.interaction_id: row.payload for row in queued if row.payload is not None and row.erased is None}
    ids = [*(interaction_id for interaction_id in added if interaction_id not in alone), *indexed_again]
    texts = _added_texts(connection, ids, read_json(connection, ids))
    having_payload = select(payloads.c.interaction_id).where(any_of(payloads.c.interaction_id, list(erased)))
    return _Batch(
        [
            *(_added_text(interaction_id, decompress(payload)) for interaction_id, payload in alone.items()),
            *(texts.get(interaction_id) or _QueuedText(Change(interaction_id, None)) for interaction_id in ids),
            *(
                _QueuedText(Change(interaction_id, searchable_texts(unpack(decompress(raw))), is_removed=True))
                for interaction_id, raw in erased.items()
            ),
        ],
        added,
        list(erased),
        list(connection.execute(having_payload).scalars()) if erased else [],
        [(row.interaction_id, row.change_id) for row in changed],
    )
