"""Pages of interactions: the next so many by time, from a cursor, in either direction.

There are three ways to a page, and the quickest depends on how many interactions each condition holds for:

    scan   walk the project's interactions by time and check each; right when most of them match
    label  walk one label's interactions by time (a range of the label index) and check the others
    seek   fetch the few ids that a rare condition holds for, check the others, sort

A probe that stops after `FEW` rows tells rare conditions from frequent ones, whatever the size of the store. Where even
that takes long (words, and figures of calls), the first rows of the walk are checked before: they often fill the page.
Of several labels, that one is walked whose last `REACH` before the cursor reach back the furthest. A page of a few
alternatives is merged of a page of each: what is rare among them is then sought, and what is a label walked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, func, literal, or_, select

from afterword.store.cursors import invalid_cursor, read_cursor, write_cursor
from afterword.store.engine.fragments import among, in_order
from afterword.store.engine.text import TextQuery, texts_of
from afterword.store.filters import Leaf, Names, leaves
from afterword.store.schema import interaction_labels, interactions
from afterword.types import Filter, Order

FEW = 10_000
REACH = 1_000
# A walk goes so far before it is asked whether seeking what holds for many (up to `MANY`) is quicker after all: that
# may lie together far off, such as the values of a metric that is no longer used. Where asking takes seconds, it goes
# `FAR`; and it goes through what is `HERE` before it is asked anything.
HERE = 1_000
NEAR = 20_000
FAR = 200_000
# Counts and groups want all that match: a condition is sought even where it holds for so many.
MANY = 400_000
# So many interactions are searched for words at once, and then each time twice as many, up to what a statement has room
# for.
CHUNK = 100
MOST_CHUNK = 10_000

LABEL_ORDER = (interaction_labels.c.created_at, interaction_labels.c.interaction_id)


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


def matching(connection: Connection, names: Names, filter: Filter | None, ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """Return those of a few interactions that match. Conditions are checked on them alone, and nothing is probed.

    Raises `Invalid` and `NotFound` as `find` does.
    """
    checks = [leaf.check for leaf in leaves(connection, filter, names)]
    query = select(interactions).where(interactions.c.id.in_(ids), interactions.c.project + literal(0) == names.project)
    return connection.execute(query.where(*checks)).fetchall()


def newest(connection: Connection, names: Names, filter: Filter | None, limit: int) -> list[UUID]:
    """Return the ids of the newest so many that match, newest first. Raises `Invalid` and `NotFound`, as `find`."""
    return _ids(connection, names, leaves(connection, filter, names), None, True, limit)


def count_all(connection: Connection, names: Names, filter: Filter | None) -> int:
    """Count the interactions that match, exactly. It takes as long as there are many."""
    parts = leaves(connection, filter, names)
    labelled = [leaf for leaf in parts if leaf.label is not None]
    if labelled and all(leaf.label is not None or leaf.times is not None for leaf in parts):
        # The label index alone answers: the rarest label is walked, the others are looked up.
        one, time, id = interaction_labels.c.label, interaction_labels.c.created_at, interaction_labels.c.interaction_id
        rare = _rarest(connection, labelled, MANY)
        walked = labelled[0] if rare is None else rare.leaf
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
    # A range of time is one of the index already.
    sought = None if rare is None or rare.leaf.times is not None else rare
    found = _sought(names, sought)
    if another and rare is None:
        found = [interactions.c.project + literal(0) == names.project]
    rest = [leaf.check for leaf in parts if sought is None or leaf is not sought.leaf]
    return and_(*found, *rest), rare is not None


def _ids(
    connection: Connection,
    names: Names,
    parts: list[Leaf],
    at: Cursor | None,
    newest_first: bool,
    limit: int,
    *,
    frequent: Sequence[Leaf] = (),
    branching: bool = True,
) -> list[UUID]:
    """Return the ids of a page. `frequent` are conditions that are known to hold for many."""
    walk = _Walk(connection, names, parts, at, newest_first, limit)
    # Along a label or a range of time one walks: there even the few need not be sorted.
    sought = [leaf for leaf in parts if leaf.label is None and leaf.times is None and leaf.seek is not None]
    costly = any(leaf.costly for leaf in sought)
    if costly and (ids := walk.within(HERE)) is not None:
        return ids
    rare = _rarest(connection, [leaf for leaf in sought if leaf not in frequent], FEW)
    if rare is not None:
        return walk.ids(rare)
    either = next((leaf for leaf in parts if leaf.branches is not None), None) if branching else None
    if either is not None and either.branches is not None:
        # The page of an alternative is merged of the pages of its branches.
        others = [leaf for leaf in parts if leaf is not either]
        found: set[UUID] = set()
        for branch in either.branches:
            its = [*branch, *others]
            found.update(_ids(connection, names, its, at, newest_first, limit, frequent=sought, branching=False))
        return walk.ordered(found)
    if sought:
        # What holds for many may yet hold for none of those near by.
        for reach in (NEAR, FAR) if costly else (NEAR,):
            if (ids := walk.within(reach)) is not None:
                return ids
    return walk.ids(_rarest(connection, sought, MANY))


class Rare(NamedTuple):
    """A condition that holds for few, and for how many."""

    leaf: Leaf
    number: int


class _Walk:
    """A way to a page: along the project's interactions, along a label's, or over the few of a rare condition."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        parts: list[Leaf],
        at: Cursor | None,
        newest_first: bool,
        limit: int,
    ) -> None:
        self._connection = connection
        self._names = names
        self._parts = parts
        self._at = at
        self._newest_first = newest_first
        self._limit = limit
        self._label: Leaf | None = None
        self._labels_read = False

    def within(self, reach: int) -> list[UUID] | None:
        """Return the ids of the page if so many rows of the walk fill it, or are all there are."""
        near = self._reached(reach)
        ids = self.ids(None, near)
        return ids if near is None or len(ids) == self._limit else None

    def _reached(self, reach: int) -> int | None:
        """Return the time that so many rows of the walk reach to, whatever the conditions; None where there are not so
        many."""
        label = self._label_to_walk()
        table = interactions if label is None else interaction_labels
        its = (
            interactions.c.project == self._names.project
            if label is None
            else interaction_labels.c.label == label.label
        )
        time, id = (interactions.c.created_at, interactions.c.id) if label is None else LABEL_ORDER
        query = select(time).select_from(table).where(its, *_within(time, self._parts))
        with in_order(self._connection):
            return self._connection.execute(self._in_order(query, time, id).offset(reach).limit(1)).scalar()

    def ids(self, rare: Rare | None, near: int | None = None) -> list[UUID]:
        """Return the ids of the page, or those of it that are no further than `near`."""
        walked = None if rare is not None else self._label_to_walk()
        parts = [leaf for leaf in self._parts if leaf is not walked and (rare is None or leaf is not rare.leaf)]
        texts = [leaf.text for leaf in parts if leaf.text is not None]
        rest = [leaf for leaf in parts if leaf.text is None]
        if walked is not None:
            time, id = LABEL_ORDER
            query = select(id).where(interaction_labels.c.label == walked.label, *_within(time, rest))
            if checks := [leaf.check for leaf in rest if leaf.times is None]:
                query = query.join(interactions, interactions.c.id == id).where(*checks)
        else:
            time, id = interactions.c.created_at, interactions.c.id
            query = select(id).where(*_sought(self._names, rare), *(leaf.check for leaf in rest))
            if rare is not None:
                # An expression in place of the column: the few are to be sorted, not looked for along the time index.
                time = time + literal(0)
        if near is not None:
            query = query.where(time >= near if self._newest_first else time <= near)
        query = self._in_order(query, time, id)
        # What is walked is in order; the few have to be sorted.
        with in_order(self._connection) if rare is None else nullcontext():
            if not texts:
                return list(self._connection.execute(query.limit(self._limit)).scalars())
            return self._having(query, texts)

    def ordered(self, found: Collection[UUID]) -> list[UUID]:
        """Return the first of these in the order of the page."""
        time, id = interactions.c.created_at + literal(0), interactions.c.id
        query = self._in_order(select(id).where(id.in_(list(found))), time, id, beyond=False)
        return list(self._connection.execute(query.limit(self._limit)).scalars())

    def _in_order(self, query: Select[Any], time: Any, id: Any, *, beyond: bool = True) -> Select[Any]:
        if beyond and self._at is not None:
            query = query.where(_beyond(time, id, self._at, self._newest_first))
        return query.order_by(*((time.desc(), id.desc()) if self._newest_first else (time, id)))

    def _label_to_walk(self) -> Leaf | None:
        if not self._labels_read:
            self._label = _label_to_walk(self._connection, self._parts, self._at, self._newest_first)
            self._labels_read = True
        return self._label

    def _having(self, query: Select[Any], texts: list[TextQuery]) -> list[UUID]:
        """Look for words in many interactions at once, until the page is full."""
        ids: list[UUID] = []
        searched = texts_of(self._connection)
        # As a stream: else PostgreSQL would find all rows before it gives the first.
        walk = self._connection.execute(query, execution_options={"stream_results": True}).scalars()
        chunk = CHUNK
        while some := walk.fetchmany(min(chunk, MOST_CHUNK)):
            chunk *= 2
            having = set(some)
            for text in texts:
                having &= searched.among(self._connection, text, list(having))
            ids += [one for one in some if one in having]
            if len(ids) >= self._limit:
                break
        walk.close()
        return ids[: self._limit]


def _sought(names: Names, rare: Rare | None) -> list[ColumnElement[bool]]:
    """Return conditions for the project's interactions, the rare condition's alone if there is one."""
    if rare is None or rare.leaf.seek is None:
        return [interactions.c.project == names.project]
    # An expression in place of the column: SQLite would go through the project's index and look for each of its
    # interactions among the rare ones (500 of a million: 285 ms so, 5 ms like this).
    # Of more than a few it is for the database to say whether it looks them up or joins them.
    id, seek = interactions.c.id, rare.leaf.seek
    its = among(id, seek) if rare.number < FEW else id.in_(seek)
    return [its, interactions.c.project + literal(0) == names.project]


def _within(time: ColumnElement[Any], parts: list[Leaf]) -> list[ColumnElement[bool]]:
    return [leaf.times(time) for leaf in parts if leaf.times is not None]


def _beyond(time: ColumnElement[Any], id: ColumnElement[Any], at: Cursor, newest_first: bool) -> ColumnElement[bool]:
    if newest_first:
        return and_(time <= at.created_at, or_(time < at.created_at, id < at.id))
    return and_(time >= at.created_at, or_(time > at.created_at, id > at.id))


def _rarest(connection: Connection, parts: list[Leaf], fewest: int) -> Rare | None:
    """Return the condition that holds for the fewest, if those are fewer than `fewest`."""
    best: Rare | None = None
    for leaf in parts:
        if leaf.seek is not None:
            some = (
                (leaf.seek if leaf.text is None else texts_of(connection).numbers(leaf.text)).limit(fewest).subquery()
            )
            number = connection.execute(select(func.count()).select_from(some)).scalar_one()
            if number < fewest:
                best, fewest = Rare(leaf, number), number
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
