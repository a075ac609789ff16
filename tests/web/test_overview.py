"""The overview of a project: what it shows while its figures are being counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

pytestmark = pytest.mark.thorough

BOXES = """() => [...document.querySelectorAll("dl > div, table tr, table th, table td")].map((element) => {
  const { x, y, width, height } = element.getBoundingClientRect();
  return [x, y, width, height].map(Math.round).join(" ");
})"""


@pytest.fixture
def busy(http: httpx.Client, project: str) -> str:
    """A project in which two models answered and were rated lately."""
    http.post("/api/v1/metrics", json={"key": "CSAT", "kind": "scalar", "project": project}).raise_for_status()
    for model, rating in (("heron", 4), ("crane", 2), ("crane", 3)):
        body = {
            "messages": [{"role": "user", "content": "Hello"}],
            "completion": "Hi",
            "project": project,
            "model": model,
            "usage": {"total_tokens": 1_234},
            "feedbacks": [{"metric": "CSAT", "value": rating}],
        }
        http.post("/api/v1/interactions", json=body).raise_for_status()
    return project


def hold_requests(page: Page, address: str) -> Callable[[], None]:
    """Hold the calls of an address back until the function that is returned is called."""
    routes: list[Route] = []
    page.route(address, lambda route: routes.append(route))
    # What is held goes on then.
    return lambda: page.unroute(address)


def test_figures_that_are_counted_say_so_and_nothing_jumps(page: Page, busy: str):
    release = hold_requests(page, "**/api/v1/metrics/*/statistics")
    page.goto(f"/p/{busy}/overview")
    main = page.get_by_role("main")
    expect(main.get_by_role("row")).to_have_count(3)
    tile = main.locator("dl > div").filter(has_text="CSAT")
    expect(tile.get_by_role("img", name="Loading")).to_be_visible()
    expect(tile).not_to_contain_text("–")
    before = page.evaluate(BOXES)
    release()
    expect(tile).to_contain_text("3")
    expect(main.get_by_label("Loading")).to_have_count(0)
    assert page.evaluate(BOXES) == before


def test_no_tile_is_shown_before_it_is_known_which_there_are(page: Page, busy: str):
    release = hold_requests(page, "**/api/v1/interactions/facets")
    page.goto(f"/p/{busy}/overview")
    expect(page.get_by_role("status", name="Loading")).to_be_visible()
    expect(page.locator("dl > div")).to_have_count(0)
    release()
    expect(page.locator("dl > div").filter(has_text="CSAT")).to_contain_text("3")


def test_a_figure_that_cannot_be_counted_is_told_and_asked_for_again(page: Page, busy: str):
    refusal: dict[str, Any] = {"error": {"message": "The statement took too long.", "code": "invalid_request"}}
    page.route("**/api/v1/metrics/CSAT/statistics", lambda route: route.fulfill(status=400, json=refusal))
    page.goto(f"/p/{busy}/overview")
    expect(page.get_by_role("alert")).to_contain_text("The statement took too long.")
    expect(page.locator("dl > div").filter(has_text="CSAT")).to_contain_text("–")
    page.unroute("**/api/v1/metrics/CSAT/statistics")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("dl > div").filter(has_text="CSAT")).to_contain_text("3")
    expect(page.get_by_role("alert")).to_have_count(0)
