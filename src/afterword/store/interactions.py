"""Interactions with their payloads, calls, feedback, labels and images: read by id. deletion.py deletes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, exists, func, select, update

from afterword.store import outcomes
from afterword.store.engine import Insert, Prepared, Transaction
from afterword.store.engine.dialect import any_of
from afterword.store.payloads import Payload, read_payloads
from afterword.store.schema import (
    ab_interactions,
    calls,
    feedback,
    images,
    interaction_images,
    interaction_labels,
    interactions,
    label_number,
    labels,
    metadata,
    preferences,
)

INSERT = {table.name: Insert(table) for table in metadata.sorted_tables}
INSERT_LABEL = Insert(labels, ignore_existing=True)
INSERT_IMAGE = Insert(images, row_lock=True)
INSERT_IMAGE_USE = Insert(interaction_images, ignore_existing=True)

FIND = Prepared(
    select(interactions.c.project, interactions.c.created_at, interactions.c.prompt_hash).where(
        interactions.c.id == bindparam("id")
    ),
    "id",
)


class InteractionFacts(NamedTuple):
    """The rows of one interaction.

    `payload` is None if it was deleted, or if the preview is enough. `call` is None if the interaction was only logged.
    `outcomes` (those of its session) and `ab_test` (a number) are read only `with_outcomes`.
    """

    row: Row[Any]
    payload: Payload | None
    call: Row[Any] | None
    feedback: Sequence[Row[Any]]
    preferences: Sequence[Row[Any]]
    outcomes: Sequence[Row[Any]]
    ab_test: int | None


def read_facts(
    connection: Connection, rows: Sequence[Row[Any]], *, with_payloads: bool, with_outcomes: bool
) -> list[InteractionFacts]:
    """Read the facts of these rows of `interactions`, in at most seven queries.

    All payloads are read `with_payloads`, otherwise only those of rows without a preview. Outcomes and A/B tests are
    read only `with_outcomes`.
    """
    ids = [row.id for row in rows]
    payload_ids = ids if with_payloads else [row.id for row in rows if row.preview is None]
    payload_by_id = read_payloads(connection, payload_ids)
    call_by_id = {row.interaction_id: row for row in _rows_of(connection, calls, ids)}
    feedback_by_id, preferences_by_id = defaultdict(list), defaultdict(list)
    for row in _rows_of(connection, feedback, ids):
        feedback_by_id[row.interaction_id].append(row)
    for row in _rows_of(connection, preferences, ids):
        preferences_by_id[row.interaction_id].append(row)
    sessions = (
        outcomes.of_sessions(connection, {row.session_id or row.id for row in rows}) if with_outcomes and rows else {}
    )
    tests = (
        {row.interaction_id: row.test for row in _rows_of(connection, ab_interactions, ids)} if with_outcomes else {}
    )
    return [
        InteractionFacts(
            row,
            payload_by_id.get(row.id),
            call_by_id.get(row.id),
            sorted(feedback_by_id[row.id], key=lambda entry: (entry.created_at, entry.id), reverse=True),
            sorted(preferences_by_id[row.id], key=lambda entry: (entry.created_at, entry.id), reverse=True),
            sessions.get((row.project, row.session_id or row.id), ()),
            tests.get(row.id),
        )
        for row in rows
    ]


def _rows_of(connection: Connection, table: Any, ids: Sequence[UUID]) -> Iterable[Any]:
    return connection.execute(select(table).where(any_of(table.c.interaction_id, ids))) if ids else ()


def find_interaction(connection: Connection, completion_id: UUID, *, row_lock: bool = False) -> Any:
    """Return the row of an interaction. With `row_lock` no other transaction changes it before this one has ended."""
    query = select(interactions).where(interactions.c.id == completion_id)
    return connection.execute(query.with_for_update() if row_lock else query).first()


def find_interactions(connection: Connection, ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """Return the rows of these interactions; ids that do not exist are skipped."""
    return connection.execute(select(interactions).where(any_of(interactions.c.id, ids))).all()


def projects_of_session(connection: Connection, session_id: UUID) -> set[int]:
    """Return the numbers of the projects that have interactions in a session.

    Callers choose the ids, so two projects may have a session of the same id.
    """
    own = select(interactions.c.project).where(interactions.c.id == session_id, interactions.c.session_id.is_(None))
    turns = select(interactions.c.project).where(interactions.c.session_id == session_id)
    return set(connection.execute(own.union(turns)).scalars())


def image(connection: Connection, digest: bytes, project: int) -> Any:
    """Return the extension and the content of an image that an interaction of the project shows."""
    in_project = exists().where(interaction_images.c.hash == digest, interaction_images.c.project == project)
    return connection.execute(
        select(images.c.extension, images.c.content).where(images.c.hash == digest, in_project)
    ).first()


def image_contents(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return the bytes of images by their hash."""
    rows = connection.execute(select(images.c.hash, images.c.content).where(any_of(images.c.hash, digests)))
    return {row.hash: row.content for row in rows}


# ------------------------------------------------------------------------------------------------ units of work


def change_labels(
    transaction: Transaction, completion_id: UUID, set_: dict[str, str], remove: list[str], max_labels: int
) -> dict[str, str] | None:
    """Set and remove labels; return all labels that the interaction now has, or None if it does not exist.

    Raises `ValueError` if it would have more than `max_labels`.
    """
    connection = transaction.connection
    row = find_interaction(connection, completion_id, row_lock=True)
    if row is None:
        return None
    old: dict[str, str] = msgspec.json.decode(row.labels) if row.labels else {}
    new = {key: value for key, value in old.items() if key not in remove} | set_
    if len(new) > max_labels:
        raise ValueError(len(new))
    removed_labels = [label_number(row.project, *pair) for pair in old.items() - new.items()]
    if removed_labels:
        connection.execute(
            delete(interaction_labels).where(
                interaction_labels.c.label.in_(removed_labels),
                interaction_labels.c.created_at == row.created_at,
                interaction_labels.c.interaction_id == completion_id,
            )
        )
    added_labels = [(label_number(row.project, *pair), row.project, *pair) for pair in new.items() - old.items()]
    if added_labels:
        transaction.put(INSERT_LABEL, added_labels)
        transaction.put(
            INSERT["interaction_labels"], [(label[0], row.created_at, completion_id) for label in added_labels]
        )
    text = msgspec.json.encode(new).decode() if new else None
    connection.execute(update(interactions).where(interactions.c.id == completion_id).values(labels=text))
    return new


def find_labels(
    connection: Connection, project: int, pairs: Sequence[tuple[str, str | None]]
) -> set[tuple[str, str | None]]:
    """Return the (key, value) pairs that are or were labels of a project. The value None matches any value."""
    numbers = {label_number(project, key, value): (key, value) for key, value in pairs if value is not None}
    keys = [key for key, value in pairs if value is None]
    existing: set[tuple[str, str | None]] = set()
    for number in connection.execute(select(labels.c.number).where(labels.c.number.in_(numbers))).scalars():
        existing.add(numbers[number])
    with_key = select(labels.c.key).where(labels.c.project == project, labels.c.key.in_(keys)).distinct()
    existing.update((key, None) for key in connection.execute(with_key).scalars())
    return existing


def label_usage(connection: Connection, project: int) -> Sequence[Any]:
    """Return key, value, number and the newest created_at of each label of a project that is in use."""
    return connection.execute(
        select(
            labels.c.key,
            labels.c.value,
            func.count().label("number"),
            func.max(interaction_labels.c.created_at).label("last_used"),
        )
        .join(interaction_labels, interaction_labels.c.label == labels.c.number)
        .where(labels.c.project == project)
        .group_by(labels.c.number, labels.c.key, labels.c.value)
    ).all()
