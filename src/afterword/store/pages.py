"""Pages of interactions: the next so many by time, from a cursor, in either direction.

There are three ways to a page, and the quickest depends on how many interactions each condition holds for:

    scan   walk the project's interactions by time and check each; right when most of them match
    label  walk one label's interactions by time (a range of the label index) and check the others
    seek   fetch the few ids that a rare condition holds for, check the others, sort

A probe that stops after `FEW` rows tells rare conditions from frequent ones, whatever the size of the store. Of several
labels, that one is walked whose last `FEW` before the cursor reach back the furthest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, literal, or_, select

from afterword.store.cursors import invalid_cursor, read_cursor, write_cursor
from afterword.store.filters import Leaf, Names, condition, leaves
from afterword.store.schema import interaction_labels, interactions
from afterword.types import Filter, Order

FEW = 2_000


@dataclass(frozen=True, slots=True)
class Found:
    """A page: rows of `interactions` in the order asked for, cursors, the count where it was asked for."""

    rows: Sequence[Row[Any]]
    next: str | None
    previous: str | None
    count: int | None


class Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The row at which a page ended, and which way to go on from it."""

    created_at: int
    id: UUID
    back: bool
    order: Order


def find(
    connection: Connection,
    names: Names,
    filter: Filter | None,
    *,
    order: Order,
    limit: int,
    cursor: str | None,
    count: bool,
) -> Found:
    """Return a page. Raises `Invalid` for a filter or cursor that is none, `NotFound` for an unknown metric."""
    parts = leaves(filter, names)
    at = None if cursor is None else read_cursor(cursor, Cursor)
    if cursor is not None and at is not None and (at.order != order or not -(1 << 62) < at.created_at < 1 << 62):
        raise invalid_cursor(cursor)
    back = at is not None and at.back
    # Walking back from a cursor is walking the other way and turning the page round.
    newest_first = (order == "-created_at") != back
    ids = _ids(connection, names, parts, at, newest_first, limit + 1)
    more, ids = len(ids) > limit, ids[:limit]
    if back:
        ids.reverse()
    rows = {row.id: row for row in connection.execute(select(interactions).where(interactions.c.id.in_(ids)))}
    page = [rows[one] for one in ids]

    def cursor_at(row: Row[Any], back: bool) -> str:
        return write_cursor(Cursor(row.created_at, row.id, back, order))

    before = more if back else at is not None
    after = at is not None if back else more
    return Found(
        page,
        cursor_at(page[-1], False) if page and after else None,
        cursor_at(page[0], True) if page and before else None,
        count_all(connection, names, filter) if count else None,
    )


def count_all(connection: Connection, names: Names, filter: Filter | None) -> int:
    """Count the interactions that match, exactly. It takes as long as there are many."""
    parts = leaves(filter, names)
    rare = _rarest(connection, parts)
    wanted = and_(interactions.c.project == names.project, *(leaf.check for leaf in parts if leaf is not rare))
    if rare is not None and rare.seek is not None:
        wanted = and_(interactions.c.id.in_(rare.seek), wanted)
    elif len(parts) == 1 and parts[0].label is not None:
        one_label = interaction_labels.c.label == parts[0].label
        return connection.execute(select(func.count()).select_from(interaction_labels).where(one_label)).scalar_one()
    return connection.execute(select(func.count()).select_from(interactions).where(wanted)).scalar_one()


def matching(names: Names, filter: Filter | None) -> Select[Any]:
    """Return a query for the ids of all that match."""
    return select(interactions.c.id).where(condition(filter, names))


def _ids(
    connection: Connection, names: Names, parts: list[Leaf], at: Cursor | None, newest_first: bool, limit: int
) -> list[UUID]:
    rare = _rarest(connection, parts)
    walked = None if rare is not None else _label_to_walk(connection, parts, at, newest_first)
    checks = [leaf.check for leaf in parts if leaf is not rare and leaf is not walked]
    if walked is not None:
        time, id = interaction_labels.c.created_at, interaction_labels.c.interaction_id
        query = select(id).where(interaction_labels.c.label == walked.label)
        if checks:
            query = query.join(interactions, interactions.c.id == id).where(*checks)
    else:
        time, id = interactions.c.created_at, interactions.c.id
        query = select(id).where(interactions.c.project == names.project, *checks)
        if rare is not None and rare.seek is not None:
            query = query.where(id.in_(rare.seek))
            # An expression in place of the column: the few are to be sorted, not looked for along the time index.
            time = time + literal(0)
    if at is not None:
        query = query.where(_beyond(time, id, at, newest_first))
    query = query.order_by(*((time.desc(), id.desc()) if newest_first else (time, id))).limit(limit)
    return list(connection.execute(query).scalars())


def _beyond(time: ColumnElement[Any], id: ColumnElement[Any], at: Cursor, newest_first: bool) -> ColumnElement[bool]:
    if newest_first:
        return and_(time <= at.created_at, or_(time < at.created_at, id < at.id))
    return and_(time >= at.created_at, or_(time > at.created_at, id > at.id))


def _rarest(connection: Connection, parts: list[Leaf]) -> Leaf | None:
    """Return the condition that holds for the fewest, if those are few."""
    best, fewest = None, FEW
    for leaf in parts:
        if leaf.seek is not None and leaf.label is None:
            some = leaf.seek.limit(fewest).subquery()
            number = connection.execute(select(func.count()).select_from(some)).scalar_one()
            if number < fewest:
                best, fewest = leaf, number
    return best


def _label_to_walk(connection: Connection, parts: list[Leaf], at: Cursor | None, newest_first: bool) -> Leaf | None:
    labelled = [leaf for leaf in parts if leaf.label is not None]
    if len(labelled) < 2:
        return labelled[0] if labelled else None
    time = interaction_labels.c.created_at
    reach: list[tuple[int, int]] = []
    for place, leaf in enumerate(labelled):
        query = select(time).where(interaction_labels.c.label == leaf.label)
        if at is not None:
            query = query.where(time <= at.created_at if newest_first else time >= at.created_at)
        query = query.order_by(time.desc() if newest_first else time).offset(FEW // 2).limit(1)
        found = connection.execute(query).scalar()
        if found is None:
            return leaf
        reach.append((found if newest_first else -found, place))
    return labelled[min(reach)[1]]
