"""Pages: each interaction once, in order, in both directions, also while more arrive."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

NDJSON = {"content-type": "application/x-ndjson"}
START = 1_700_000_000_000


@pytest.fixture
def fill(http: httpx.Client, project: str) -> Callable[..., list[str]]:
    """Log so many interactions with these times and labels; return their ids."""

    def filled(times: list[int], **labels: str) -> list[str]:
        lines = [
            {"messages": [{"role": "user", "content": "?"}], "completion": "!", "created_at": at, "labels": labels}
            for at in times
        ]
        content = "\n".join(map(json.dumps, lines))
        answer = http.post("/api/v1/interactions/batch", params={"project": project}, content=content, headers=NDJSON)
        return [json.loads(line)["completion_id"] for line in answer.text.splitlines()]

    return filled


@pytest.fixture
def page(http: httpx.Client, project: str) -> Callable[..., tuple[list[str], dict[str, Any]]]:
    """Get a page: the ids, and all that it says."""

    def got(**query: Any) -> tuple[list[str], dict[str, Any]]:
        answer = http.get("/api/v1/interactions", params={"project": project, **query})
        assert answer.status_code == 200, answer.text
        return [one["completion_id"] for one in answer.json()["interactions"]], answer.json()

    return got


def walk(page: Any, towards: str, cursor: str | None = None, **query: Any) -> list[list[str]]:
    """All pages in one direction, as they come."""
    pages = []
    while True:
        ids, said = page(**query, **({"cursor": cursor} if cursor else {}))
        pages.append(ids)
        if said[towards] is None:
            return pages
        cursor = said[towards]


@pytest.mark.parametrize("order", ["-created_at", "created_at"])
@pytest.mark.parametrize("query", [{}, {"label": "k:v"}, {"label": ["k:v", "l:w"]}, {"from": START}], ids=str)
@pytest.mark.parametrize("limit", [1, 3, 7, 50])
def test_pages_hold_each_interaction_once_in_order(fill: Any, page: Any, order: str, query: dict[str, Any], limit: int):
    # Times of which some are equal: there the ids decide.
    times = [START + n // 4 * 1000 for n in range(14)]
    made = fill(times, k="v", l="w")
    expected = [one for _, one in sorted(zip(times, made, strict=True), reverse=order.startswith("-"))]
    pages = walk(page, "next", order=order, limit=limit, **query)
    assert [one for ids in pages for one in ids] == expected
    assert [len(ids) for ids in pages[:-1]] == [limit] * (len(pages) - 1)
    # And back again, from the last page to the first.
    _, said = page(order=order, limit=limit, **query)
    for _ in pages[1:]:
        _, said = page(order=order, limit=limit, cursor=said["next"], **query)
    if len(pages) > 1:
        back = walk(page, "previous", said["previous"], order=order, limit=limit, **query)
        assert back[::-1] == pages[:-1]


def test_the_ends_have_no_further_cursor(fill: Any, page: Any):
    assert page() == ([], {"interactions": [], "next": None, "previous": None, "count": None})
    fill([START, START + 1])
    _, first = page(limit=1)
    assert first["previous"] is None
    _, last = page(limit=1, cursor=first["next"])
    assert last["next"] is None
    _, whole = page(limit=2)
    assert (whole["next"], whole["previous"]) == (None, None)


def test_pages_stay_as_they_were_while_more_arrive(fill: Any, page: Any):
    """Even with the very time of the row at which a page ended."""
    made = fill([START] * 9)
    newest_first = sorted(made, reverse=True)
    first, said = page(limit=3)
    assert first == newest_first[:3]
    fill([START - 1, START, START + 1])
    second, said = page(limit=3, cursor=said["next"])
    assert second == newest_first[3:6]
    fill([START - 1, START, START + 1])
    again, back = page(limit=3, cursor=said["previous"])
    assert again == newest_first[:3]
    # What came with the same time has a greater id and stands before the first page now.
    before = [one for ids in walk(page, "previous", back["previous"], limit=3) for one in ids]
    assert len(before) == 4
    third, said = page(limit=3, cursor=said["next"])
    assert third == newest_first[6:]
    rest = [one for ids in walk(page, "next", said["next"], limit=3) for one in ids]
    assert len(rest) == 2


def test_a_page_stays_in_its_place_when_the_row_it_ended_at_is_deleted(http: httpx.Client, fill: Any, page: Any):
    made = fill([START + n for n in range(6)])[::-1]
    first, said = page(limit=2)
    http.delete(f"/api/v1/interactions/{first[-1]}").raise_for_status()
    second, said = page(limit=2, cursor=said["next"])
    assert second == made[2:4]
    before, _ = page(limit=2, cursor=said["previous"])
    assert before == made[:1]


def test_a_cursor_is_good_for_its_own_order_only(fill: Any, page: Any, http: httpx.Client, project: str, refused: Any):
    fill([START] * 3)
    _, said = page(limit=1)
    query = {"project": project, "order": "created_at", "cursor": said["next"]}
    refused(http.get("/api/v1/interactions", params=query), 422, "invalid_cursor", "cursor")


def test_the_count_is_of_all_pages_and_only_when_asked_for(fill: Any, page: Any):
    fill([START] * 7, k="v")
    fill([START] * 5)
    assert page(limit=2)[1]["count"] is None
    assert page(limit=2, count=True)[1]["count"] == 12
    _, first = page(limit=2, label="k:v", count=True)
    assert first["count"] == 7
    assert page(limit=2, label="k:v", count=True, cursor=first["next"])[1]["count"] == 7


def test_a_search_pages_as_the_list_does(fill: Any, http: httpx.Client, project: str):
    made = fill([START + n for n in range(5)], k="v")[::-1]
    body: dict[str, Any] = {"project": project, "filter": {"label": {"key": "k"}}, "limit": 2, "count": True}
    found = []
    while True:
        answer = http.post("/api/v1/interactions/search", json=body).json()
        assert answer["count"] == 5
        found += [one["completion_id"] for one in answer["interactions"]]
        if answer["next"] is None:
            break
        body["cursor"] = answer["next"]
    assert found == made
