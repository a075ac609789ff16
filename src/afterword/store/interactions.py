"""Interactions with all that hangs on them: written in one piece, read by id. See erasing.py for the end of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, exists, func, select, update

from afterword.store import outcomes
from afterword.store.engine import Insert, Prepared, Transaction
from afterword.store.payloads import Payload, unpack
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
    payloads,
    preferences,
)

INSERT = {table.name: Insert(table) for table in metadata.sorted_tables}
INSERT_LABEL = Insert(labels, ignore_existing=True)
INSERT_IMAGE = Insert(images, kept=True)
INSERT_IMAGE_USE = Insert(interaction_images, ignore_existing=True)

FIND = Prepared(
    select(interactions.c.project, interactions.c.created_at, interactions.c.prompt_hash).where(
        interactions.c.id == bindparam("id")
    ),
    "id",
)


class Facts(NamedTuple):
    """An interaction as it is stored: its row, its payload (None where the preview is enough), how its call went (None
    where it was only logged), what was said of it; and, where all was read, the
    outcomes of its session and the number of its A/B test."""

    row: Row[Any]
    payload: Payload | None
    call: Row[Any] | None
    feedback: Sequence[Row[Any]]
    preferences: Sequence[Row[Any]]
    outcomes: Sequence[Row[Any]]
    ab_test: int | None


def facts(connection: Connection, rows: Sequence[Row[Any]], *, whole: bool, with_outcomes: bool) -> list[Facts]:
    """Read what hangs on these rows of `interactions`, in six queries at most whatever their number.

    Payloads are read where `whole` is set, and otherwise for those without a preview; outcomes and A/B tests only
    `with_outcomes`.
    """
    ids = [row.id for row in rows]
    wanted = ids if whole else [row.id for row in rows if row.preview is None]
    said = {row.interaction_id: row.payload for row in _in(connection, payloads, wanted)}
    made = {row.interaction_id: row for row in _in(connection, calls, ids)}
    given, compared = defaultdict(list), defaultdict(list)
    for row in _in(connection, feedback, ids):
        given[row.interaction_id].append(row)
    for row in _in(connection, preferences, ids):
        compared[row.interaction_id].append(row)
    sessions = (
        outcomes.of_sessions(connection, {row.session_id or row.id for row in rows}) if with_outcomes and rows else {}
    )
    tests = {row.interaction_id: row.test for row in _in(connection, ab_interactions, ids)} if with_outcomes else {}
    return [
        Facts(
            row,
            unpack(said[row.id]) if row.id in said else None,
            made.get(row.id),
            sorted(given[row.id], key=lambda one: (one.created_at, one.id), reverse=True),
            sorted(compared[row.id], key=lambda one: (one.created_at, one.id), reverse=True),
            sessions.get((row.project, row.session_id or row.id), ()),
            tests.get(row.id),
        )
        for row in rows
    ]


def _in(connection: Connection, table: Any, ids: Sequence[UUID]) -> Iterable[Any]:
    return connection.execute(select(table).where(table.c.interaction_id.in_(ids))) if ids else ()


def find(connection: Connection, completion_id: UUID, *, kept: bool = False) -> Any:
    """Return the row of an interaction. What is `kept` is changed by no other transaction before this one has ended."""
    query = select(interactions).where(interactions.c.id == completion_id)
    return connection.execute(query.with_for_update() if kept else query).first()


def find_all(connection: Connection, ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """Return the rows of those of these interactions that are there."""
    return connection.execute(select(interactions).where(interactions.c.id.in_(ids))).all()


def projects_of_session(connection: Connection, session_id: UUID) -> set[int]:
    """Return the projects that have interactions in a session, the one that opened it among them. Ids are the callers'
    own, so that two projects may have a session of the same id."""
    own = select(interactions.c.project).where(interactions.c.id == session_id, interactions.c.session_id.is_(None))
    turns = select(interactions.c.project).where(interactions.c.session_id == session_id)
    return set(connection.execute(own.union(turns)).scalars())


def image(connection: Connection, digest: bytes, project: int) -> Any:
    """Return extension and content of an image that some interaction of the project shows."""
    shown = exists().where(interaction_images.c.hash == digest, interaction_images.c.project == project)
    return connection.execute(
        select(images.c.extension, images.c.content).where(images.c.hash == digest, shown)
    ).first()


def image_contents(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return the bytes of images by their hash."""
    found = connection.execute(select(images.c.hash, images.c.content).where(images.c.hash.in_(list(digests))))
    return {row.hash: row.content for row in found}


# ------------------------------------------------------------------------------------------------ units of work


def change_labels(
    transaction: Transaction, completion_id: UUID, set_: dict[str, str], remove: list[str], most: int
) -> dict[str, str] | None:
    """Set and remove labels; return all that are there now, or None where there is no such interaction.

    Raises `ValueError` when there would be more than `most`.
    """
    connection = transaction.connection
    row = find(connection, completion_id, kept=True)
    if row is None:
        return None
    old: dict[str, str] = msgspec.json.decode(row.labels) if row.labels else {}
    new = {key: value for key, value in old.items() if key not in remove} | set_
    if len(new) > most:
        raise ValueError(len(new))
    gone = [label_number(row.project, *pair) for pair in old.items() - new.items()]
    if gone:
        connection.execute(
            delete(interaction_labels).where(
                interaction_labels.c.label.in_(gone),
                interaction_labels.c.created_at == row.created_at,
                interaction_labels.c.interaction_id == completion_id,
            )
        )
    come = [(label_number(row.project, *pair), row.project, *pair) for pair in new.items() - old.items()]
    if come:
        transaction.put(INSERT_LABEL, come)
        transaction.put(INSERT["interaction_labels"], [(label[0], row.created_at, completion_id) for label in come])
    text = msgspec.json.encode(new).decode() if new else None
    connection.execute(update(interactions).where(interactions.c.id == completion_id).values(labels=text))
    return new


def find_labels(
    connection: Connection, project: int, wanted: Sequence[tuple[str, str | None]]
) -> set[tuple[str, str | None]]:
    """Return those of these labels that a project has or has had. The value None is any."""
    numbers = {label_number(project, key, value): (key, value) for key, value in wanted if value is not None}
    keys = [key for key, value in wanted if value is None]
    found: set[tuple[str, str | None]] = set()
    for number in connection.execute(select(labels.c.number).where(labels.c.number.in_(numbers))).scalars():
        found.add(numbers[number])
    with_key = select(labels.c.key).where(labels.c.project == project, labels.c.key.in_(keys)).distinct()
    found.update((key, None) for key in connection.execute(with_key).scalars())
    return found


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
