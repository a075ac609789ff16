"""Pages of interactions, ordered by time, from a cursor in either direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from afterword.store.engine.dialect import any_of, without_index
from afterword.store.engine.text_search import texts_of
from afterword.store.query.conditions import Names, compile_filter
from afterword.store.query.cursors import invalid_cursor, read_cursor, write_cursor
from afterword.store.query.matches import Matches
from afterword.store.query.scan import Cursor, PageReader
from afterword.store.schema import interactions
from afterword.types import Filter, Order


@dataclass(frozen=True, slots=True)
class RowPage:
    """A page: rows of `interactions` in the requested order, cursors, and the count if it was requested."""

    rows: Sequence[Row[Any]]
    next: str | None
    previous: str | None
    count: int | None


def find_page(matches: Matches, *, order: Order, limit: int, cursor: str | None, count: bool = False) -> RowPage:
    """Return a page. Raises `Invalid` for an invalid cursor."""
    at = None if cursor is None else read_cursor(cursor, Cursor)
    if cursor is not None and at is not None and (at.order != order or not -(1 << 62) < at.created_at < 1 << 62):
        raise invalid_cursor(cursor)
    back = at is not None and at.back
    # To page backwards, scan in the opposite order and reverse the page.
    newest_first = (order == "-created_at") != back
    ids = PageReader(matches, at, newest_first, limit + 1).ids()
    has_more, ids = len(ids) > limit, ids[:limit]
    if back:
        ids.reverse()
    row_query = select(interactions).where(any_of(interactions.c.id, ids))
    rows = {row.id: row for row in matches.connection.execute(row_query)}
    page = [rows[id] for id in ids]

    def cursor_at(row: Row[Any], back: bool) -> str:
        return write_cursor(Cursor(row.created_at, row.id, back, order))

    before = has_more if back else at is not None
    after = at is not None if back else has_more
    return RowPage(
        page,
        cursor_at(page[-1], False) if page and after else None,
        cursor_at(page[0], True) if page and before else None,
        matches.count() if count else None,
    )


def newest(matches: Matches, limit: int) -> list[UUID]:
    """Return the ids of the newest `limit` matches, newest first."""
    return PageReader(matches, None, True, limit).ids()


def matching(connection: Connection, names: Names, filter: Filter | None, ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """Return the rows of those of a few interactions that match, by checking the conditions on them alone.

    Raises `Invalid` for an invalid filter, `NotFound` for an unknown metric.
    """
    checks = [condition.check for condition in compile_filter(filter, names, texts_of(connection))]
    query = select(interactions).where(
        any_of(interactions.c.id, ids), without_index(interactions.c.project) == names.project
    )
    return connection.execute(query.where(*checks)).fetchall()
