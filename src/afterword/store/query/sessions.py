"""Sessions: those that match a filter, by their newest activity, their sums, and their turns in order.

A list scans the interactions that match, newest first, and takes a session at its newest match. It scans at most
`MAX_SCANNED_TURNS` of them for a page, so that a page is bounded whatever the filter and the length of sessions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Float, Row, and_, case, cast, func, or_, select

from afterword.store.calls import FAILED
from afterword.store.engine.dialect import any_of, without_index
from afterword.store.query.cursors import invalid_cursor, read_cursor, write_cursor
from afterword.store.query.matches import Matches
from afterword.store.query.scan import Cursor, PageReader
from afterword.store.schema import calls, interactions
from afterword.types.transcripts import ParentPage

MAX_SCANNED_TURNS = 20_000
# The number of matches scanned at once doubles from a page's rows to this.
MAX_CHUNK_TURNS = 2_000
# A page of turns ends early at this size, because each turn may repeat the whole conversation.
MAX_PAGE_BYTES = 8 << 20
MAX_TOKEN_SUM = (1 << 63) - 1
_TIME_RANGE_END = 1 << 62
_TOKENS = (
    calls.c.prompt_tokens,
    calls.c.completion_tokens,
    func.coalesce(
        calls.c.total_tokens, func.coalesce(calls.c.prompt_tokens, 0) + func.coalesce(calls.c.completion_tokens, 0)
    ),
)


@dataclass(slots=True)
class SessionTotals:
    """The sums of a session's turns. Times are in milliseconds, `models` are numbers."""

    id: UUID
    name: str | None = None
    first: int = _TIME_RANGE_END
    last: int = -_TIME_RANGE_END
    turn_count: int = 0
    step_count: int = 0
    failed_turn_count: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    users: set[str] = field(default_factory=set)
    models: set[int] = field(default_factory=set)

    def add(self, row: Any) -> None:
        """Add the turns of one model and user."""
        self.name = self.name or row.session
        self.first, self.last = min(self.first, row.first), max(self.last, row.last)
        self.turn_count += row.turns
        self.step_count += row.steps
        self.failed_turn_count += row.failed
        self.prompt_tokens = _token_sum(self.prompt_tokens, row.prompt_tokens)
        self.completion_tokens = _token_sum(self.completion_tokens, row.completion_tokens)
        self.total_tokens = _token_sum(self.total_tokens, row.total_tokens)
        if row.user is not None:
            self.users.add(row.user)
        if row.model is not None:
            self.models.add(row.model)


def find_sessions(
    matches: Matches, *, limit: int, cursor: str | None, min_turns: int
) -> tuple[list[SessionTotals], str | None]:
    """Return a page of the sessions that have a match and at least `min_turns` turns, by their newest match, and the
    cursor of the next page. Raises `Invalid` for an invalid cursor."""
    start = position = None if cursor is None else _read_cursor(cursor, "-created_at")
    page: list[tuple[SessionTotals, Cursor]] = []
    examined: set[UUID] = set()
    scanned, chunk_turns = 0, limit + 1
    while True:
        chunk = _rows_after(matches, position, chunk_turns)
        newest = {row.session_id or row.id: row for row in reversed(chunk)}
        candidates = newest.keys() - examined
        examined |= candidates
        if start is not None:
            candidates = candidates - _listed_before(matches, start, candidates)
        sums = totals(matches.connection, matches.names.project, candidates)
        for row in sorted((newest[id] for id in candidates), key=lambda row: (row.created_at, row.id), reverse=True):
            session = sums[row.session_id or row.id]
            if session.turn_count >= min_turns:
                page.append((session, _cursor_at(row, "-created_at")))
        if len(page) > limit:
            return [session for session, _ in page[:limit]], write_cursor(page[limit - 1][1])
        scanned += len(chunk)
        if len(chunk) < chunk_turns:
            return [session for session, _ in page], None
        position = _cursor_at(chunk[-1], "-created_at")
        if scanned >= MAX_SCANNED_TURNS:
            return [session for session, _ in page], write_cursor(position)
        chunk_turns = min(2 * chunk_turns, MAX_CHUNK_TURNS)


def totals(connection: Connection, project: int, session_ids: Collection[UUID]) -> dict[UUID, SessionTotals]:
    """Return the sums of sessions by id; a session without turns in the project is left out."""
    sums: dict[UUID, SessionTotals] = {}
    if not session_ids:
        return sums
    columns = interactions.c
    prompt_tokens, completion_tokens, total_tokens = (
        # As floats: SQLite fails where a sum of integers exceeds 64 bits.
        func.coalesce(func.sum(cast(tokens, Float)), 0)
        for tokens in _TOKENS
    )
    for key, which in _members(session_ids):
        query = (
            select(
                key.label("id"),
                columns.model,
                columns.user,
                func.max(columns.session).label("session"),
                func.min(columns.created_at).label("first"),
                func.max(columns.created_at).label("last"),
                func.count().label("turns"),
                func.count(columns.parent).label("steps"),
                func.sum(case((calls.c.state == FAILED, 1), else_=0)).label("failed"),
                prompt_tokens.label("prompt_tokens"),
                completion_tokens.label("completion_tokens"),
                total_tokens.label("total_tokens"),
            )
            .select_from(interactions.outerjoin(calls, calls.c.interaction_id == columns.id))
            .where(which, without_index(columns.project) == project)
            .group_by(key, columns.model, columns.user)
        )
        for row in connection.execute(query):
            sums.setdefault(row.id, SessionTotals(row.id)).add(row)
    return sums


@dataclass(frozen=True, slots=True)
class TurnPage:
    """A page of the turns of a session, the oldest first.

    `before` maps the id of a turn to the row of the turn that it goes on from: the one before it with the same parent,
    or else its parent, if that is an earlier turn of the session. `parents` tells where the parents are that exist.
    """

    rows: list[Row[Any]]
    before: dict[UUID, Row[Any]]
    parents: dict[UUID, ParentPage]
    next: str | None


def page_of_turns(
    connection: Connection, project: int, session_id: UUID, *, limit: int, cursor: str | None
) -> TurnPage:
    """Return a page of turns. It ends early at `MAX_PAGE_BYTES`, but has one turn at least.

    Raises `Invalid` for an invalid cursor.
    """
    at = None if cursor is None else _read_cursor(cursor, "created_at")
    # Expressions in place of the columns: the rows of the session are sorted, the time index is not scanned.
    time, id = without_index(interactions.c.created_at), interactions.c.id
    turns = select(interactions).where(_is_turn(session_id), without_index(interactions.c.project) == project)
    beyond = None if at is None else or_(time > at.created_at, and_(time == at.created_at, id > at.id))
    if beyond is not None:
        turns = turns.where(beyond)
    rows = list(connection.execute(turns.order_by(time, id).limit(limit + 1)))
    page: list[Row[Any]] = []
    size = 0
    for row in rows[:limit]:
        size += row.size
        if page and size > MAX_PAGE_BYTES:
            break
        page.append(row)
    next_cursor = write_cursor(_cursor_at(page[-1], "created_at")) if len(page) < len(rows) else None
    parents = _find_parents(connection, project, page)
    earlier = (
        [] if beyond is None else _newest_by_parent(connection, and_(_is_turn(session_id), ~beyond), project, page)
    )
    pages: dict[UUID, ParentPage] = {parent.id: _parent_page(parent, session_id, page) for parent in parents}
    turns_before = _turns_before(page, earlier, [parent for parent in parents if pages[parent.id] != "other_session"])
    return TurnPage(page, turns_before, pages, next_cursor)


def _parent_page(parent: Row[Any], session_id: UUID, page: Sequence[Row[Any]]) -> ParentPage:
    """Return which page of a session's turns has a parent, as seen from this page."""
    if (parent.session_id or parent.id) != session_id:
        return "other_session"
    first, last, position = ((row.created_at, row.id) for row in (page[0], page[-1], parent))
    return "earlier" if position < first else "later" if position > last else "this"


def _find_parents(connection: Connection, project: int, page: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Return the rows of the parents that exist in the project."""
    ids = {row.parent for row in page if row.parent is not None}
    query = select(interactions).where(any_of(interactions.c.id, ids), interactions.c.project == project)
    return list(connection.execute(query)) if ids else []


def _newest_by_parent(
    connection: Connection, which: ColumnElement[bool], project: int, page: Sequence[Row[Any]]
) -> list[Row[Any]]:
    """Return the newest of the turns `which` for each parent that a turn of the page has. None counts as a parent."""
    columns = interactions.c
    parents = {row.parent for row in page}
    has_parent = any_of(columns.parent, parents - {None})
    rank = func.row_number().over(partition_by=columns.parent, order_by=(columns.created_at.desc(), columns.id.desc()))
    ranked = (
        select(columns.id, rank.label("rank"))
        .where(
            which,
            without_index(columns.project) == project,
            or_(has_parent, columns.parent.is_(None)) if None in parents else has_parent,
        )
        .subquery()
    )
    newest_ids = connection.execute(select(ranked.c.id).where(ranked.c.rank == 1)).scalars().all()
    return list(connection.execute(select(interactions).where(any_of(columns.id, newest_ids)))) if newest_ids else []


def _turns_before(
    page: Sequence[Row[Any]], earlier: Iterable[Row[Any]], parents: Iterable[Row[Any]]
) -> dict[UUID, Row[Any]]:
    """Return `TurnPage.before`. Turns of other pages have `MAX_PAGE_BYTES` at most, or are one turn."""
    newest = {row.id: row for row in parents} | {row.parent: row for row in earlier}
    read_ids = {row.id for row in page}
    before: dict[UUID, Row[Any]] = {}
    size = 0
    for row in page:
        turn = newest.get(row.parent)
        newest[row.parent] = row
        if turn is None or (turn.created_at, turn.id) > (row.created_at, row.id):
            continue
        if turn.id not in read_ids:
            if size and size + turn.size > MAX_PAGE_BYTES:
                continue
            size += turn.size
            read_ids.add(turn.id)
        before[row.id] = turn
    return before


def turn_ids(connection: Connection, project: int, session_id: UUID, limit: int) -> list[UUID]:
    """Return the ids of some turns of a session."""
    query = select(interactions.c.id).where(_is_turn(session_id), without_index(interactions.c.project) == project)
    return list(connection.execute(query.limit(limit)).scalars())


def _rows_after(matches: Matches, position: Cursor | None, limit: int) -> list[Any]:
    """Return the next matches after a position, newest first."""
    ids = PageReader(matches, position, True, limit).ids()
    if not ids:
        return []
    columns = (interactions.c.id, interactions.c.created_at, interactions.c.session_id)
    rows = {row.id: row for row in matches.connection.execute(select(*columns).where(any_of(columns[0], ids)))}
    return [rows[id] for id in ids]


def _listed_before(matches: Matches, start: Cursor, session_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the sessions that have a match before the page, on which they are listed already."""
    columns = interactions.c
    time = without_index(columns.created_at)
    newer = or_(time > start.created_at, and_(time == start.created_at, columns.id >= start.id))
    checks = [condition.check for condition in matches.conditions]
    listed: set[UUID] = set()
    for key, which in _members(session_ids) if session_ids else ():
        of_project = without_index(columns.project) == matches.names.project
        query = select(key).where(which, newer, of_project, *checks).distinct()
        listed.update(matches.connection.execute(query).scalars())
    return listed


def _members(session_ids: Collection[UUID]) -> Sequence[tuple[ColumnElement[UUID], ColumnElement[bool]]]:
    """Return, for joined and for opening interactions, the column of the session's id and the condition on it."""
    columns = interactions.c
    opens = and_(any_of(columns.id, session_ids), columns.session_id.is_(None))
    return (columns.session_id, any_of(columns.session_id, session_ids)), (columns.id, opens)


def _is_turn(session_id: UUID) -> ColumnElement[bool]:
    columns = interactions.c
    return or_(columns.session_id == session_id, and_(columns.id == session_id, columns.session_id.is_(None)))


def _read_cursor(cursor: str, order: str) -> Cursor:
    at = read_cursor(cursor, Cursor)
    if at.order != order or at.back or not -_TIME_RANGE_END < at.created_at < _TIME_RANGE_END:
        raise invalid_cursor(cursor)
    return at


def _cursor_at(row: Row[Any], order: Any) -> Cursor:
    return Cursor(row.created_at, row.id, False, order)


def _token_sum(tokens: int, more: float) -> int:
    return min(tokens + round(more), MAX_TOKEN_SUM)
