"""Sessions on a store filled at random: pages and sums are those of a plain computation over what was logged."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID

import pytest

from afterword.store.query import sessions
from afterword.store.query.matches import Matches
from afterword.types import FeedbackCondition as Rated
from afterword.types import Filter, LabelCondition, Match, NumberCondition

FILTERS = {
    "everything": (None, lambda one: True),
    "a model": (Filter(model=Match(eq="m1")), lambda one: one.model == "m1"),
    "a label": (Filter(label=LabelCondition(key="env")), lambda one: "env" in one.labels),
    "a rating": (
        Filter(feedback=Rated(metric="CSAT", value=NumberCondition(gte=2))),
        lambda one: any(metric == "CSAT" and value >= 2 for metric, value, *_ in one.feedback),
    ),
    "a word": (Filter(text="red"), lambda one: "red" in [*one.prompt_words, *one.completion.split()]),
    "a session": (
        Filter(session_id=Match(in_=[str(UUID(int=1))])),
        lambda one: one.session == UUID(int=1),
    ),
}


def grouped(shelf: Any) -> dict[UUID, list[Any]]:
    turns: dict[UUID, list[Any]] = defaultdict(list)
    for one in shelf.logged:
        turns[one.session].append(one)
    return turns


def pages(shelf: Any, filter: Filter | None, limit: int, min_turns: int) -> list[Any]:
    """Return the sessions of all pages."""
    found, cursor = [], None
    while True:
        page, cursor = shelf.store.read_now(
            lambda connection, at: sessions.find_sessions(
                Matches(connection, shelf.names, filter), limit=limit, cursor=at, min_turns=min_turns
            ),
            cursor,
        )
        assert len(page) <= limit
        found += page
        if cursor is None:
            return found


@pytest.mark.parametrize("scanned", [sessions.MAX_SCANNED_TURNS, 3], ids=["whole pages", "short pages"])
@pytest.mark.parametrize("name", FILTERS)
def test_sessions_are_listed_by_their_newest_match(
    shelf: Any, name: str, scanned: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sessions, "MAX_SCANNED_TURNS", scanned)
    filter, is_match = FILTERS[name]
    turns = grouped(shelf)
    newest = {
        id: max((one.created_at, one.id) for one in of_session if is_match(one))
        for id, of_session in turns.items()
        if any(map(is_match, of_session))
    }
    for limit, min_turns in ((1, 1), (7, 1), (100, 1), (1, 2)):
        expected = [id for id in sorted(newest, key=newest.__getitem__, reverse=True) if len(turns[id]) >= min_turns]
        assert [one.id for one in pages(shelf, filter, limit, min_turns)] == expected


def test_the_sums_of_a_session_are_those_of_all_its_turns(shelf: Any):
    turns = grouped(shelf)
    for one in pages(shelf, None, 50, 1):
        of_session = turns[one.id]
        times = [turn.created_at for turn in of_session]
        assert (one.first, one.last, one.turn_count) == (min(times), max(times), len(of_session))
        assert one.users == {turn.user for turn in of_session} - {None}
        assert len(one.models) == len({turn.model for turn in of_session} - {None})
        assert one.failed_turn_count == sum(turn.state == "failed" for turn in of_session)
        assert one.prompt_tokens == sum(turn.measured.get("prompt_tokens", 0) for turn in of_session)


def test_the_turns_of_a_session_come_in_order_page_after_page(shelf: Any, monkeypatch: pytest.MonkeyPatch):
    for id, of_session in grouped(shelf).items():
        expected = [turn.id for turn in sorted(of_session, key=lambda turn: (turn.created_at, turn.id))]
        for limit, most_bytes in ((2, 8 << 20), (100, 1), (100, 8 << 20)):
            monkeypatch.setattr(sessions, "MAX_PAGE_BYTES", most_bytes)
            found: list[UUID] = []
            cursor = None
            while True:
                page = shelf.store.read_now(sessions.page_of_turns, shelf.names.project, id, limit=limit, cursor=cursor)
                first, cursor = page.rows[0].id, page.next
                assert (page.before[first].id if first in page.before else None) == (found[-1] if found else None)
                found += [row.id for row in page.rows]
                if cursor is None:
                    break
            assert found == expected
        assert set(shelf.store.read_now(sessions.turn_ids, shelf.names.project, id, 500)) == set(expected)
