"""Adds what interactions hold beside plain text, for interactions that were stored before it was noted."""

from __future__ import annotations

from uuid import UUID

import msgspec
from sqlalchemy import Connection, Select, insert, select, update

from afterword.store.engine import Store, Transaction
from afterword.store.engine.dialect import any_of
from afterword.store.schema import content_number, interaction_labels, interactions, payloads


def backfill_contents(store: Store, contents: dict[UUID, tuple[list[str], str | None]]) -> None:
    """Note what these interactions hold, and their previews, where that is not noted yet: a preview from before did not
    say in words what has no text."""
    if not contents or not store.read_now(lambda connection: connection.execute(_missing(list(contents))).first()):
        return

    def note(transaction: Transaction) -> None:
        _note(transaction.connection, contents)

    store.queue.write_from_thread(note)


def _missing(ids: list[UUID]) -> Select[UUID, int, int]:
    """Return the query for those of these interactions whose contents are not noted."""
    columns = (interactions.c.id, interactions.c.project, interactions.c.created_at)
    # The text of an interaction without payload is deleted.
    joined = interactions.join(payloads, payloads.c.interaction_id == interactions.c.id)
    is_missing = interactions.c.contents.is_(None)
    return select(*columns).select_from(joined).where(any_of(interactions.c.id, ids), is_missing)


def _note(connection: Connection, contents: dict[UUID, tuple[list[str], str | None]]) -> None:
    query = _missing(list(contents)).order_by(interactions.c.id).with_for_update(of=interactions)
    for row in connection.execute(query).all():
        held, preview = contents[row.id]
        values = {"contents": msgspec.json.encode(held).decode(), "preview": preview}
        connection.execute(update(interactions).where(interactions.c.id == row.id).values(**values))
        connection.execute(
            insert(interaction_labels),
            [
                {
                    "label": content_number(row.project, content),
                    "created_at": row.created_at,
                    "interaction_id": row.id,
                }
                for content in held
            ],
        )
