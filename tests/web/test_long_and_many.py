"""What stays quick and in its place: long texts and long lists."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

pytestmark = pytest.mark.thorough

MIDDLE = 500
SCROLL_UNTIL = """([wanted, by]) => {
  document.querySelector("[role=grid]").scrollBy(0, by);
  return [...document.querySelectorAll("[role=row][data-id]")].some((row) => row.textContent.includes(wanted));
}"""

IS_FIRST_IN_SIGHT = """(id) => {
  const head = document.querySelector("[role=columnheader]").getBoundingClientRect().bottom;
  const rows = [...document.querySelectorAll("[role=row][data-id]")];
  const inSight = rows.filter((row) => row.getBoundingClientRect().top >= head - 1);
  inSight.sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top);
  return inSight[0]?.dataset.id === id;
}"""


@pytest.fixture(scope="module")
def many(server: Any) -> str:
    """A project with a thousand interactions, one a minute."""
    project = f"many-{uuid4().hex[:8]}"
    begin = datetime(2026, 5, 1, tzinfo=UTC)
    lines = [
        {
            "messages": [{"role": "user", "content": f"Question {number}"}],
            "completion": f"Answer {number}",
            "created_at": (begin + timedelta(minutes=number)).isoformat(),
        }
        for number in range(1_000)
    ]
    with server.client() as http:
        http.post("/api/v1/projects", json={"key": project}).raise_for_status()
        content = "\n".join(map(json.dumps, lines))
        http.post("/api/v1/interactions/batch", params={"project": project}, content=content).raise_for_status()
        while http.get("/health").json()["search"]["waiting"]:
            pass
    return project


def rows(page: Page) -> Any:
    return page.locator("[role=row][data-id]")


def test_a_list_begins_at_an_interaction_and_goes_on_in_both_directions(page: Page, many: str, http: httpx.Client):
    query = {"project": many, "q": f"Question {MIDDLE}", "limit": 1}
    [middle] = http.get("/api/v1/interactions", params=query).json()["interactions"]
    page.goto(f"/p/{many}/interactions/{middle['completion_id']}")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name=re.compile("Show in the list")).click()
    row = page.locator(f"[data-id='{middle['completion_id']}']")
    expect(row).to_be_in_viewport()
    # It stands first, and not below the head of the table.
    page.wait_for_function(IS_FIRST_IN_SIGHT, arg=middle["completion_id"])
    for wanted, by in ((f"Question {MIDDLE + 150}", -600), (f"Question {MIDDLE - 150}", 600)):
        page.wait_for_function(SCROLL_UNTIL, arg=[wanted, by], polling=100)
    page.get_by_role("button", name="To the newest").click()
    expect(rows(page).first).to_contain_text("Question 999")


def test_a_list_begins_at_the_oldest_interaction_too(page: Page, many: str, http: httpx.Client):
    query = {"project": many, "order": "created_at", "limit": 1}
    [oldest] = http.get("/api/v1/interactions", params=query).json()["interactions"]
    page.goto(f"/p/{many}/interactions/{oldest['completion_id']}")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name=re.compile("Show in the list")).click()
    expect(page.locator(f"[data-id='{oldest['completion_id']}']")).to_be_in_viewport()
    page.wait_for_function(SCROLL_UNTIL, arg=["Question 150", -600], polling=100)
    for row in rows(page).all():
        expect(page.locator(f"[data-id='{row.get_attribute('data-id')}']")).to_have_count(1)


def test_what_arrives_does_not_move_what_one_reads(page: Page, many: str, http: httpx.Client):
    page.goto(f"/p/{many}/interactions")
    expect(page.locator("[data-on=true]")).to_be_visible()
    expect(page.get_by_role("region", name="Over time").get_by_role("img")).to_be_visible()
    grid = page.get_by_role("grid")
    grid.evaluate("element => element.scrollTo(0, 40 * 36)")
    read = rows(page).filter(has_text="Question 950")
    expect(read).to_be_in_viewport()
    before = read.bounding_box()
    body = {"messages": [{"role": "user", "content": "A new one"}], "completion": "Yes", "project": many}
    its_id = http.post("/api/v1/interactions", json=body).json()["completion_id"]
    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    place = [read.get_attribute("data-id"), (before or {})["y"]]
    page.wait_for_function(
        "([id, y]) => document.querySelector(`[data-id='${id}']`)?.getBoundingClientRect().y === y", arg=place
    )
    page.get_by_role("button", name="1 new").click()
    expect(rows(page).first).to_contain_text("A new one")
    http.delete(f"/api/v1/interactions/{its_id}").raise_for_status()
    expect(rows(page).first).not_to_contain_text("A new one")


def test_what_is_deleted_while_a_page_is_fetched_stays_deleted(page: Page, many: str, http: httpx.Client):
    body = {"messages": [{"role": "user", "content": "A short-lived one"}], "completion": "Yes", "project": many}
    logged = http.post("/api/v1/interactions", json=body).json()["completion_id"]
    other = page.context.new_page()
    for tab in (other, page):
        tab.goto(f"/p/{many}/interactions")
        expect(tab.locator("[data-on=true]")).to_be_visible()
        expect(rows(tab).first).to_contain_text("A short-lived one")
    routes: list[Route] = []
    page.route(
        "**/interactions/search",
        lambda route: routes.append(route) if route.request.post_data_json.get("cursor") else route.continue_(),
    )
    grid = page.get_by_role("grid")
    with page.expect_request(lambda request: "cursor" in (request.post_data or "") and "/search" in request.url):
        grid.evaluate("element => element.scrollTo(0, 60 * 36)")
    http.delete(f"/api/v1/interactions/{logged}").raise_for_status()
    # Both tabs hear of it from one stream, at once.
    expect(rows(other).first).to_contain_text("Question 999")
    # What is held goes on.
    page.unroute("**/interactions/search")
    page.wait_for_function("() => document.querySelector('[role=grid]').scrollHeight > 150 * 36")
    grid.evaluate("element => element.scrollTo(0, 0)")
    expect(rows(page).first).to_contain_text("Question 999")


@pytest.mark.timeout(180)
def test_a_prompt_of_ten_megabytes_opens_and_does_not_freeze(page: Page, project: str, http: httpx.Client):
    text = "".join(f"Line {number}: the quick brown fox jumps over the lazy dog.\n" for number in range(170_000))
    assert len(text) > 9_000_000
    body = {"messages": [{"role": "user", "content": text}], "completion": "Read.", "project": project}
    answer = http.post("/api/v1/interactions", json=body, timeout=120)
    assert answer.status_code == 201, answer.text
    page.goto(f"/p/{project}/interactions/{answer.json()['completion_id']}")
    shown = page.get_by_role("region", name="Conversation")
    expect(shown).to_contain_text("Line 0:")
    expect(shown).to_contain_text("Read.")
    # What stands in the page is a part of it: the rest is unfolded on demand.
    assert page.evaluate("document.body.innerText.length") < 1_000_000
    page.get_by_role("button", name="Raw").click()
    expect(shown).to_contain_text("Line 0:")


def test_on_a_telephone_rows_have_two_lines_and_open(visitor: Callable[..., BrowserContext], server: Any, filled: str):
    page = visitor(server.api_key, viewport={"width": 390, "height": 800}).new_page()
    page.goto(f"/p/{filled}/interactions")
    expect(rows(page).first).to_be_visible()
    assert (rows(page).first.bounding_box() or {})["height"] == 60
    rows(page).first.click()
    expect(page.get_by_role("region", name="Conversation")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("region", name="Conversation")).to_have_count(0)


@pytest.fixture(scope="module")
def many_keys(server: Any) -> str:
    """A project with 40 feedback keys, all of them given, and a model with a long name."""
    project = f"keys-{uuid4().hex[:8]}"
    keys = [f"rubric-{number}" for number in range(40)]
    with server.client() as http:
        http.post("/api/v1/projects", json={"key": project}).raise_for_status()
        for key in keys:
            http.post("/api/v1/metrics", json={"key": key, "kind": "scalar", "project": project}).raise_for_status()
        body = {
            "project": project,
            "messages": [{"role": "user", "content": "Question"}],
            "completion": "Answer",
            "model": "a-model-with-a-name-that-is-longer-than-the-panel-of-facets-is-wide",
            "feedbacks": [{"metric": key, "value": 3} for key in keys],
        }
        http.post("/api/v1/interactions", json=body).raise_for_status()
    return project


@pytest.mark.parametrize("width", [1280, 390])
def test_groups_of_many_feedback_keys_leave_the_controls_in_the_window(
    visitor: Callable[..., BrowserContext], server: Any, many_keys: str, width: int
):
    page = visitor(server.api_key, viewport={"width": width, "height": 800}).new_page()
    page.goto(f"/p/{many_keys}/interactions?group=model")
    expect(page.get_by_role("columnheader", name="rubric-39")).to_be_attached()
    expect(page.get_by_role("button", name="By model")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="Export these")).to_be_in_viewport(ratio=1)


def test_facets_fit_their_panel_and_on_a_telephone_lead_back_to_the_list(
    visitor: Callable[..., BrowserContext], server: Any, many_keys: str
):
    context = visitor(server.api_key)
    page = context.new_page()
    page.goto(f"/p/{many_keys}/interactions")
    value = page.get_by_role("complementary", name="Facets").get_by_role("button", name=re.compile("^a-model")).first
    expect(value).to_be_in_viewport(ratio=1)
    panel, box = page.get_by_role("complementary", name="Facets").bounding_box(), value.bounding_box()
    assert panel
    assert box
    assert box["x"] + box["width"] <= panel["x"] + panel["width"]
    page.set_viewport_size({"width": 390, "height": 800})
    page.reload()
    page.get_by_role("button", name="Facets").click()
    page.get_by_role("button", name="Show 1 interaction").click()
    expect(rows(page)).to_be_in_viewport()
    page.get_by_role("button", name="Facets").click()
    page.reload()
    rows(page).click()
    expect(page.get_by_role("button", name="Close (Esc)")).to_be_in_viewport(ratio=1)
