"""Deletion of interactions, or only of their texts. All deletion is done here.

It deletes about a hundred interactions in a few statements or, on PostgreSQL, a month's partitions at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Table, and_, delete, exists, func, insert, not_, select, update

from afterword.store import outcomes as stored_outcomes
from afterword.store import packing
from afterword.store.background import rollups
from afterword.store.compression import compress_in_full
from afterword.store.engine import Insert, Transaction
from afterword.store.engine.dialect import any_of
from afterword.store.engine.partitions import PARTITIONED, ClosedPartitions, Month
from afterword.store.payloads import read_undamaged_json
from afterword.store.schema import (
    ab_interactions,
    calls,
    content_number,
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
    search_pending,
    waiting_telemetry,
)

# Labels named in one statement, which takes up to 32,766 parameters.
MAX_STATEMENT_LABELS = 10_000
# Replaces the hash of a deleted text, so that the text cannot be found by it.
NO_TEXT_HASH_CODE = 0
# The members of a call's error that hold no text of the call.
TEXTLESS_ERROR_MEMBERS = ("status", "type", "code")
# Upper bound on the rows of a dropped month that stay; they move to another partition.
MAX_STAYING_ROWS = 1_000

_PUT_PENDING = Insert(search_pending, ignore_existing=True)


def erase(transaction: Transaction, ids: Sequence[UUID]) -> int:
    """Delete interactions with their labels, feedback and preferences; return the number of interactions that existed.

    Also deletes images that no other interaction shows, and the outcomes of sessions of which no turn is left; other
    outcomes are found by their details with another turn. The other side of a preference stays, with the id of the
    deleted interaction. The background removes the words from the text index.
    """
    connection = transaction.connection
    columns = (interactions.c.id, interactions.c.project, interactions.c.created_at, interactions.c.session_id)
    query = (
        select(*columns, interactions.c.labels, interactions.c.contents)
        .where(any_of(interactions.c.id, ids))
        .with_for_update()
    )
    rows = connection.execute(query.order_by(interactions.c.id)).all()
    existing = [row.id for row in rows]
    if not existing:
        return 0
    _take_text(transaction, existing)
    _take_labels(transaction, rows)
    for table in (feedback, preferences, calls, ab_interactions):
        connection.execute(delete(table).where(any_of(table.c.interaction_id, existing)))
    connection.execute(delete(interactions).where(any_of(interactions.c.id, existing)))
    sessions = {row.session_id or row.id for row in rows}
    turn = interactions.alias()
    goes_on = (turn.c.session_id == outcomes.c.session_id) & (turn.c.project == outcomes.c.project)
    is_opener = (turn.c.id == outcomes.c.session_id) & turn.c.session_id.is_(None)
    connection.execute(
        delete(outcomes).where(
            outcomes.c.session_id.in_(sessions),
            ~exists().where(goes_on),
            ~exists().where(is_opener, turn.c.project == outcomes.c.project),
        )
    )
    stored_outcomes.leave_turns(transaction, any_of(outcomes.c.turn, existing))
    transaction.put_all([rollups.dirty_hour(row.project, row.created_at) for row in rows])
    return len(existing)


def forget(transaction: Transaction, ids: Sequence[UUID]) -> int:
    """Delete the texts of interactions: messages, completion, images, and the texts of the call. Return the number of
    interactions that had a text.

    The row stays, with its labels, its feedback and the numbers of its call.
    """
    connection = transaction.connection
    query = (
        select(interactions.c.id).where(any_of(interactions.c.id, ids)).order_by(interactions.c.id).with_for_update()
    )
    existing = list(connection.execute(query).scalars())
    texts = select(payloads.c.interaction_id).where(any_of(payloads.c.interaction_id, existing))
    with_text = list(connection.execute(texts).scalars())
    if not with_text:
        return 0
    _take_text(transaction, with_text)
    scrub(transaction, with_text)
    return len(with_text)


def scrub(transaction: Transaction, ids: Sequence[UUID]) -> int:
    """Delete the parts of texts that interactions hold outside their payloads; return the number of ids."""
    connection = transaction.connection
    columns = (interactions.c.id, interactions.c.project, interactions.c.created_at, interactions.c.contents)
    with_contents = connection.execute(
        select(*columns).where(any_of(interactions.c.id, ids), interactions.c.contents.is_not(None))
    ).all()
    if with_contents:
        _take_index_rows(transaction, with_contents, _content_numbers(with_contents))
    connection.execute(
        update(interactions)
        .where(any_of(interactions.c.id, ids))
        .values(contents=None, preview=None, prompt_text_hash=NO_TEXT_HASH_CODE, completion_text_hash=NO_TEXT_HASH_CODE)
    )
    failed = select(calls.c.interaction_id, calls.c.error).where(
        any_of(calls.c.interaction_id, ids), calls.c.error.is_not(None)
    )
    for row in connection.execute(failed).all():
        # A provider may repeat the prompt in its error.
        details = msgspec.json.decode(row.error)
        error = msgspec.json.encode(
            {**{name: details[name] for name in TEXTLESS_ERROR_MEMBERS if name in details}, "message": ""}
        ).decode()
        connection.execute(update(calls).where(calls.c.interaction_id == row.interaction_id).values(error=error))
    return len(ids)


def unscrubbed() -> ColumnElement[bool]:
    """Return the condition that an interaction holds parts of its texts outside its payload."""
    columns = interactions.c
    return (
        columns.preview.is_not(None)
        | columns.contents.is_not(None)
        | (columns.prompt_text_hash != NO_TEXT_HASH_CODE)
        | (columns.completion_text_hash != NO_TEXT_HASH_CODE)
    )


def erase_month(closed: ClosedPartitions, month: Month, stays: ColumnElement[bool]) -> int | None:
    """Delete all interactions of a month, as `erase` does, except those for which `stays` holds. Return their number;
    None, with nothing deleted, if more than `MAX_STAYING_ROWS` stay."""
    connection = closed.transaction.connection
    staying = list(connection.execute(staying_of(month, stays)).scalars())
    if len(staying) > MAX_STAYING_ROWS:
        return None
    is_dropped = _is_dropped(month, staying)
    columns = interactions.c
    sums = select(columns.project, func.count(), func.min(columns.created_at), func.max(columns.created_at)).where(
        is_dropped(columns.id)
    )
    number = 0
    for project, count, first, last in connection.execute(sums.group_by(columns.project)).all():
        rollups.mark_hours_dirty(closed.transaction, project, first, last)
        number += count
    _take_outcomes_of(closed.transaction, is_dropped)
    connection.execute(delete(ab_interactions).where(is_dropped(ab_interactions.c.interaction_id)))
    _take_hidden_of(closed.transaction, is_dropped)
    _drop(closed, is_dropped, staying)
    return number


def forget_month(closed: ClosedPartitions, month: Month, stays: ColumnElement[bool]) -> int | None:
    """Delete the payloads of a month's interactions, which are scrubbed already, except those for which `stays` holds.
    Return their number; None, with nothing deleted, if more than `MAX_STAYING_ROWS` stay."""
    connection = closed.transaction.connection
    staying = list(connection.execute(staying_of(month, stays)).scalars())
    if len(staying) > MAX_STAYING_ROWS:
        return None
    is_dropped = _is_dropped(month, staying)
    number = connection.execute(
        select(func.count()).select_from(payloads).where(is_dropped(payloads.c.interaction_id))
    ).scalar_one()
    _take_hidden_of(closed.transaction, is_dropped)
    _drop(closed, is_dropped, staying)
    return number


def staying_of(month: Month, stays: ColumnElement[bool]) -> Any:
    """Return the query for the ids of a month that stay. It returns at most `MAX_STAYING_ROWS` + 1."""
    first, end = month.ids
    return (
        select(interactions.c.id)
        .where(interactions.c.id >= first, interactions.c.id < end, stays)
        .limit(MAX_STAYING_ROWS + 1)
    )


IsDropped = Callable[[ColumnElement[UUID]], ColumnElement[bool]]
"""Returns the condition that a column holds the id of an interaction that is dropped with its month."""


def _is_dropped(month: Month, staying: Sequence[UUID]) -> IsDropped:
    first, end = month.ids
    return lambda column: and_(column >= first, column < end, column.not_in(staying))


def _drop(closed: ClosedPartitions, is_dropped: IsDropped, staying: Sequence[UUID]) -> None:
    """Drop the partitions of a month; move the rows that stay to other partitions."""
    connection = closed.transaction.connection
    packing.lock_payloads(closed.transaction, staying)
    packing.release(closed.transaction, is_dropped(payloads.c.base), payloads.c.interaction_id.in_(staying))
    partitioned = [table for table in metadata.sorted_tables if table.name in PARTITIONED]
    stays: dict[Table, Sequence[Any]] = {}
    for table in partitioned:
        id_column = table.c.id if table is interactions else table.c.interaction_id
        if table.name in closed.tables:
            stays[table] = connection.execute(select(table).where(id_column.in_(staying))).mappings().all()
        elif interactions.name in closed.tables:
            # The partition of this table was dropped before. Rows that were inserted since are in another one.
            connection.execute(delete(table).where(is_dropped(id_column)))
    closed.drop()
    for table, rows in stays.items():
        if rows:
            connection.execute(insert(table), [dict(row) for row in rows])
    # The partition held their words, too: they are indexed again.
    closed.transaction.put(_PUT_PENDING, [(row["interaction_id"], None) for row in stays.get(payloads, ())])


def _take_hidden_of(transaction: Transaction, is_dropped: IsDropped) -> None:
    """Delete images that no other interaction shows, rows that are queued for the text index, and events that were kept
    to complete a text."""
    connection = transaction.connection
    image_use, other = interaction_images.alias(), interaction_images.alias()
    is_dropped_image = exists().where(image_use.c.hash == images.c.hash, is_dropped(image_use.c.interaction_id))
    connection.execute(_locked(is_dropped_image))
    connection.execute(
        delete(images).where(
            is_dropped_image,
            ~exists().where(other.c.hash == images.c.hash, ~is_dropped(other.c.interaction_id)),
        )
    )
    connection.execute(delete(interaction_images).where(is_dropped(interaction_images.c.interaction_id)))
    connection.execute(delete(search_pending).where(is_dropped(search_pending.c.interaction_id)))
    connection.execute(delete(waiting_telemetry).where(is_dropped(waiting_telemetry.c.target_id)))


def _locked(which: ColumnElement[bool]) -> Any:
    return select(images.c.hash).where(which).order_by(images.c.hash).with_for_update()


def _take_outcomes_of(transaction: Transaction, is_dropped: IsDropped) -> None:
    """Delete the outcomes of sessions of which no turn is left."""
    turn, left = interactions.alias(), interactions.alias()

    def has(turn_alias: Any) -> ColumnElement[bool]:
        joined = turn_alias.c.session_id == outcomes.c.session_id
        is_opener = (turn_alias.c.id == outcomes.c.session_id) & turn_alias.c.session_id.is_(None)
        return (turn_alias.c.project == outcomes.c.project) & (joined | is_opener)

    transaction.connection.execute(
        delete(outcomes).where(
            exists().where(has(turn), is_dropped(turn.c.id)),
            ~exists().where(has(left), ~is_dropped(left.c.id)),
        )
    )
    stored_outcomes.leave_turns(transaction, is_dropped(outcomes.c.turn), ~is_dropped(interactions.c.id))


def _take_text(transaction: Transaction, ids: Sequence[UUID]) -> None:
    """Delete payloads, images and events that were kept to complete a text; queue the words for removal from the text
    index.

    The removal needs the text, so that the payload moves to the queue. An interaction whose payload was deleted before
    may still be queued, and stays queued.
    """
    connection = transaction.connection
    packed = packing.lock_payloads(transaction, ids)
    packing.release(transaction, any_of(payloads.c.base, ids), not_(any_of(payloads.c.interaction_id, ids)))
    with_payload = select(payloads.c.interaction_id).where(any_of(payloads.c.interaction_id, ids))
    queued = search_pending.c
    connection.execute(delete(search_pending).where(queued.interaction_id.in_(with_payload), queued.erased.is_(None)))
    connection.execute(
        insert(search_pending).from_select(
            ["interaction_id", "erased"],
            select(payloads.c.interaction_id, payloads.c.payload).where(
                any_of(payloads.c.interaction_id, ids),
                payloads.c.base.is_(None),
                # The index still has the words of a payload that was replaced: these are to be removed.
                ~exists().where(queued.interaction_id == payloads.c.interaction_id),
            ),
        )
    )
    # The queue has no bases: what was packed is stored in full there.
    raw_payloads = read_undamaged_json(connection, packed)
    transaction.put(_PUT_PENDING, [(id, compress_in_full(raw)) for id, raw in raw_payloads])
    connection.execute(delete(payloads).where(any_of(payloads.c.interaction_id, ids)))
    connection.execute(delete(waiting_telemetry).where(any_of(waiting_telemetry.c.target_id, ids)))
    uses = any_of(interaction_images.c.interaction_id, ids)
    digests = set(connection.execute(select(interaction_images.c.hash).where(uses)).scalars())
    if digests:
        connection.execute(delete(interaction_images).where(uses))
        # Wait for transactions that log one of these images at this moment.
        connection.execute(_locked(any_of(images.c.hash, digests)))
        unused = ~exists().where(interaction_images.c.hash == images.c.hash)
        connection.execute(delete(images).where(any_of(images.c.hash, digests), unused))


def _take_labels(transaction: Transaction, rows: Sequence[Any]) -> None:
    """Delete the rows of interactions from the label index: a range for each label. Interactions that are deleted
    together are mostly of the same time."""
    label_numbers = {
        label_number(row.project, key, value)
        for row in rows
        if row.labels
        for key, value in msgspec.json.decode(row.labels).items()
    }
    _take_index_rows(transaction, rows, label_numbers | _content_numbers(rows))


def _content_numbers(rows: Sequence[Any]) -> set[int]:
    return {
        content_number(row.project, content)
        for row in rows
        if row.contents
        for content in msgspec.json.decode(row.contents)
    }


def _take_index_rows(transaction: Transaction, rows: Sequence[Any], numbers: set[int]) -> None:
    label_numbers = sorted(numbers)
    times = [row.created_at for row in rows]
    index = interaction_labels.c
    for start in range(0, len(label_numbers), MAX_STATEMENT_LABELS):
        transaction.connection.execute(
            delete(interaction_labels).where(
                index.label.in_(label_numbers[start : start + MAX_STATEMENT_LABELS]),
                index.created_at.between(min(times), max(times)),
                index.interaction_id.in_([row.id for row in rows]),
            )
        )
