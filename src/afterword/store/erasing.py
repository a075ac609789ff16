"""Taking interactions away: whole, or only what was said in them. Whatever deletes does it here.

Some hundred at once, in a few statements whatever their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, exists, insert, select, update

from afterword.store import rollups
from afterword.store.engine import Transaction
from afterword.store.schema import (
    ab_interactions,
    calls,
    feedback,
    images,
    interaction_images,
    interaction_labels,
    interactions,
    label_number,
    outcomes,
    payloads,
    preferences,
    search_pending,
)

# In one statement, which has room for 32,766 values.
MOST_LABELS = 10_000
# What the hash of a text becomes when the text is gone: nobody shall find by it what it was.
NO_TEXT = 0


def erase(transaction: Transaction, ids: Sequence[UUID]) -> int:
    """Delete interactions with their labels, feedback, preferences (their side), outcomes of sessions that end with
    them, and images that no other shows; return how many were there.

    The other side of a preference stays and names an interaction that is no more. The words are taken out of the
    text index in the background.
    """
    connection = transaction.connection
    columns = (interactions.c.id, interactions.c.project, interactions.c.created_at, interactions.c.session_id)
    kept = select(*columns, interactions.c.labels).where(interactions.c.id.in_(ids)).with_for_update()
    rows = connection.execute(kept.order_by(interactions.c.id)).all()
    there = [row.id for row in rows]
    if not there:
        return 0
    _take_text(transaction, there)
    _take_labels(transaction, rows)
    for table in (feedback, preferences, calls, ab_interactions):
        connection.execute(delete(table).where(table.c.interaction_id.in_(there)))
    connection.execute(delete(interactions).where(interactions.c.id.in_(there)))
    sessions = {row.session_id or row.id for row in rows}
    turn = interactions.alias()
    goes_on = (turn.c.session_id == outcomes.c.session_id) & (turn.c.project == outcomes.c.project)
    opened = (turn.c.id == outcomes.c.session_id) & turn.c.session_id.is_(None)
    connection.execute(
        delete(outcomes).where(
            outcomes.c.session_id.in_(sessions),
            ~exists().where(goes_on),
            ~exists().where(opened, turn.c.project == outcomes.c.project),
        )
    )
    transaction.put_all([rollups.marks(row.project, row.created_at) for row in rows])
    return len(there)


def forget(transaction: Transaction, ids: Sequence[UUID]) -> int:
    """Delete what was said in interactions: messages, completion, images, all that was logged as text of the call.
    Return of how many it was there.

    The row stays, with its labels, its feedback and the numbers of its call.
    """
    connection = transaction.connection
    kept = select(interactions.c.id).where(interactions.c.id.in_(ids)).order_by(interactions.c.id).with_for_update()
    there = list(connection.execute(kept).scalars())
    texts = select(payloads.c.interaction_id).where(payloads.c.interaction_id.in_(there))
    said = list(connection.execute(texts).scalars())
    if not said:
        return 0
    _take_text(transaction, said)
    connection.execute(
        update(interactions)
        .where(interactions.c.id.in_(said))
        .values(preview=None, prompt_text_hash=NO_TEXT, completion_text_hash=NO_TEXT)
    )
    failed = select(calls.c.interaction_id, calls.c.error).where(
        calls.c.interaction_id.in_(said), calls.c.error.is_not(None)
    )
    for row in connection.execute(failed).all():
        # Providers may repeat in it what was said.
        error = msgspec.json.encode({**msgspec.json.decode(row.error), "message": ""}).decode()
        connection.execute(update(calls).where(calls.c.interaction_id == row.interaction_id).values(error=error))
    return len(said)


def _take_text(transaction: Transaction, ids: Sequence[UUID]) -> None:
    """Delete payloads and images, and have the words taken out of the text index.

    That wants the text once more, so that payloads wait in the list of what is pending. An interaction whose payload
    went before may wait there still, and stays.
    """
    connection = transaction.connection
    said = select(payloads.c.interaction_id).where(payloads.c.interaction_id.in_(ids))
    connection.execute(delete(search_pending).where(search_pending.c.interaction_id.in_(said)))
    connection.execute(
        insert(search_pending).from_select(
            ["interaction_id", "erased"],
            select(payloads.c.interaction_id, payloads.c.payload).where(payloads.c.interaction_id.in_(ids)),
        )
    )
    connection.execute(delete(payloads).where(payloads.c.interaction_id.in_(ids)))
    shown = interaction_images.c.interaction_id.in_(ids)
    digests = set(connection.execute(select(interaction_images.c.hash).where(shown)).scalars())
    if digests:
        connection.execute(delete(interaction_images).where(shown))
        unused = ~exists().where(interaction_images.c.hash == images.c.hash)
        connection.execute(delete(images).where(images.c.hash.in_(digests), unused))


def _take_labels(transaction: Transaction, rows: Sequence[Any]) -> None:
    """Delete what these interactions have in the index over labels: for each label a range of it. Interactions that are
    deleted together mostly lie side by side."""
    worn = sorted(
        {
            label_number(row.project, key, value)
            for row in rows
            if row.labels
            for key, value in msgspec.json.decode(row.labels).items()
        }
    )
    times = [row.created_at for row in rows]
    index = interaction_labels.c
    for start in range(0, len(worn), MOST_LABELS):
        transaction.connection.execute(
            delete(interaction_labels).where(
                index.label.in_(worn[start : start + MOST_LABELS]),
                index.created_at.between(min(times), max(times)),
                index.interaction_id.in_([row.id for row in rows]),
            )
        )
