"""Pages of interactions: the next so many by time, from a cursor, in either direction.

There are three ways to a page, and the quickest depends on how many interactions each condition holds for:

    scan   walk the project's interactions by time and check each; right when most of them match
    label  walk one label's interactions by time (a range of the label index) and check the others
    seek   fetch the few ids that a rare condition holds for, check the others, sort

A probe that stops after `FEW` rows tells rare conditions from frequent ones, whatever the size of the store. Of several
labels, that one is walked whose last `REACH` before the cursor reach back the furthest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, literal, or_, select

from afterword.store.cursors import invalid_cursor, read_cursor, write_cursor
from afterword.store.engine.text import texts_of
from afterword.store.filters import Leaf, Names, leaves
from afterword.store.schema import interaction_labels, interactions
from afterword.types import Filter, Order

FEW = 10_000
REACH = 1_000
# Counts and groups want all that match: a condition is sought even where it holds for so many.
MANY = 400_000
# So many interactions are searched for words at once, and then each time twice as many.
CHUNK = 100


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
    parts = leaves(connection, filter, names)
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
    parts = leaves(connection, filter, names)
    labelled = [leaf for leaf in parts if leaf.label is not None]
    if labelled and all(leaf.label is not None or leaf.times is not None for leaf in parts):
        # The label index alone answers: the rarest label is walked, the others are looked up.
        one, time, id = interaction_labels.c.label, interaction_labels.c.created_at, interaction_labels.c.interaction_id
        walked = _rarest(connection, labelled, MANY) or labelled[0]
        query = select(func.count()).where(one == walked.label, *_within(time, parts))
        for leaf in labelled:
            if leaf is not walked:
                other = interaction_labels.alias()
                there = (other.c.label == leaf.label, other.c.created_at == time, other.c.interaction_id == id)
                query = query.where(exists().where(*there).correlate(interaction_labels))
        return connection.execute(query.select_from(interaction_labels)).scalar_one()
    wanted = narrowed(connection, names, filter)
    return connection.execute(select(func.count()).select_from(interactions).where(wanted)).scalar_one()


def narrowed(connection: Connection, names: Names, filter: Filter | None) -> ColumnElement[bool]:
    """Return the whole filter as one condition that is quick where all that match are wanted.

    The interactions of the rarest condition are sought, the others checked on them; only where every condition holds
    for many is each interaction of the project looked at.
    """
    return narrowed_beside(connection, names, filter)[0]


def narrowed_beside(
    connection: Connection, names: Names, filter: Filter | None, *, times: Leaf | None = None, another: bool = False
) -> tuple[ColumnElement[bool], bool]:
    """The same, and whether it is what interactions are sought by. `times` stand in place of the filter's own. With
    `another` table to come from, which the caller has a condition on, it only checks where it is not rare."""
    parts = leaves(connection, filter, names)
    if times is not None:
        parts = [*(leaf for leaf in parts if leaf.times is None), times]
    rare = _rarest(connection, parts, MANY)
    found = _sought(names, rare)
    if another and rare is None:
        found = [interactions.c.project + literal(0) == names.project]
    return and_(*found, *(leaf.check for leaf in parts if leaf is not rare)), rare is not None


def _ids(
    connection: Connection, names: Names, parts: list[Leaf], at: Cursor | None, newest_first: bool, limit: int
) -> list[UUID]:
    # Along a label or a range of time one walks: there even the few need not be sorted.
    rare = _rarest(connection, [leaf for leaf in parts if leaf.label is None and leaf.times is None], FEW)
    walked = None if rare is not None else _label_to_walk(connection, parts, at, newest_first)
    texts = [leaf.text for leaf in parts if leaf.text is not None and leaf is not rare]
    rest = [leaf for leaf in parts if leaf is not rare and leaf is not walked and leaf.text is None]
    if walked is not None:
        time, id = interaction_labels.c.created_at, interaction_labels.c.interaction_id
        query = select(id).where(interaction_labels.c.label == walked.label, *_within(time, rest))
        if checks := [leaf.check for leaf in rest if leaf.times is None]:
            query = query.join(interactions, interactions.c.id == id).where(*checks)
    else:
        time, id = interactions.c.created_at, interactions.c.id
        query = select(id).where(*_sought(names, rare), *(leaf.check for leaf in rest))
        if rare is not None:
            # An expression in place of the column: the few are to be sorted, not looked for along the time index.
            time = time + literal(0)
    if at is not None:
        query = query.where(_beyond(time, id, at, newest_first))
    query = query.order_by(*((time.desc(), id.desc()) if newest_first else (time, id)))
    if not texts:
        return list(connection.execute(query.limit(limit)).scalars())
    # Words are looked for in many interactions at once, until the page is full.
    ids: list[UUID] = []
    searched = texts_of(connection)
    # As a stream: else PostgreSQL would find all rows before it gives the first.
    walk, chunk = connection.execute(query, execution_options={"stream_results": True}).scalars(), CHUNK
    while some := walk.fetchmany(chunk):
        chunk *= 2
        having = set(some)
        for text in texts:
            having &= searched.among(connection, text, list(having))
        ids += [one for one in some if one in having]
        if len(ids) >= limit:
            break
    walk.close()
    return ids[:limit]


def _sought(names: Names, rare: Leaf | None) -> list[ColumnElement[bool]]:
    """Return conditions for the project's interactions, the rare condition's alone if there is one."""
    if rare is None or rare.seek is None:
        return [interactions.c.project == names.project]
    # An expression in place of the column: SQLite would go through the project's index and look for each of its
    # interactions among the rare ones (500 of a million: 285 ms so, 5 ms like this).
    return [interactions.c.id.in_(rare.seek), interactions.c.project + literal(0) == names.project]


def _within(time: ColumnElement[Any], parts: list[Leaf]) -> list[ColumnElement[bool]]:
    return [leaf.times(time) for leaf in parts if leaf.times is not None]


def _beyond(time: ColumnElement[Any], id: ColumnElement[Any], at: Cursor, newest_first: bool) -> ColumnElement[bool]:
    if newest_first:
        return and_(time <= at.created_at, or_(time < at.created_at, id < at.id))
    return and_(time >= at.created_at, or_(time > at.created_at, id > at.id))


def _rarest(connection: Connection, parts: list[Leaf], fewest: int) -> Leaf | None:
    """Return the condition that holds for the fewest, if those are fewer than `fewest`."""
    best = None
    for leaf in parts:
        if leaf.seek is not None:
            some = (
                (leaf.seek if leaf.text is None else texts_of(connection).numbers(leaf.text)).limit(fewest).subquery()
            )
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
        query = select(time).where(interaction_labels.c.label == leaf.label, *_within(time, parts))
        if at is not None:
            query = query.where(time <= at.created_at if newest_first else time >= at.created_at)
        query = query.order_by(time.desc() if newest_first else time).offset(REACH).limit(1)
        found = connection.execute(query).scalar()
        if found is None:
            return leaf
        reach.append((found if newest_first else -found, place))
    return labelled[min(reach)[1]]
