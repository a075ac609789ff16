"""Every page for everyone: with a screen reader, in the dark, on a telephone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.thorough

PAGES = {
    "interactions": "/p/{project}/interactions",
    "an interaction": "/p/{project}/interactions?open={id}",
    "its own page": "/p/{project}/interactions/{id}",
    "sessions": "/p/{project}/sessions?all=1",
    "a session": "/p/{project}/sessions/{session}",
    "groups": "/p/{project}/interactions?group=model",
    "compare": "/p/{project}/compare?left={id}&right={other}&metric=better",
    "pairs": "/p/{project}/compare",
    "metrics": "/p/{project}/metrics?metric=CSAT",
    "ranking": "/p/{project}/ranking?metric=better",
    "chat": "/p/default/chat",
    "models": "/p/default/models",
    "A/B tests": "/p/{project}/ab-tests",
    "datasets": "/p/{project}/datasets",
    "a new dataset": "/p/{project}/datasets?new=1",
    "projects": "/projects",
    "keys": "/keys",
    "first steps": "/p/{project}/start",
    "overview": "/p/{project}/overview",
}
AGENT_PAGES = {
    "sessions found by a filter": "/p/{project}/sessions?q=session.solved%3Dtrue%20user%3Aann%20details%3Abooked",
    "no session found": "/p/{project}/sessions?q=details%3Anowhere",
    "a thread of steps": "/p/{project}/sessions/trip%207",
    "an A/B test by sessions": "/p/{project}/ab-tests",
}
ROUTER = Path(__file__).resolve().parents[2] / "web" / "src" / "router.tsx"


def test_every_screen_of_the_router_is_looked_at():
    inside_projects, others = set(), set()
    for parent, path in re.findall(
        r'getParentRoute: \(\) => (\w+),\s+path: "([^"]+)"', ROUTER.read_text(encoding="utf-8")
    ):
        (inside_projects if parent == "project" else others).add(path)
    # The frame of a project and the way to one are no screens; the other two are looked at below and in the journeys.
    screens = {f"/p/$project{path}" for path in inside_projects} | others - {
        "/",
        "/p/$project",
        "/sign-in",
        "/nothing-to-read",
    }
    looked_at = {re.sub(r"/p/[^/]+", "/p/$project", page.partition("?")[0]) for page in PAGES.values()}
    assert screens == {page.replace("{id}", "$completionId").replace("{session}", "$sessionId") for page in looked_at}


def opened(page: Page, filled: str, http: Any, name: str) -> None:
    query = {"project": filled, "limit": 2}
    shown = http.get("/api/v1/interactions", params=query).json()["interactions"]
    ids = [one["completion_id"] for one in shown]
    page.goto(PAGES[name].format(project=filled, id=ids[0], other=ids[1], session=shown[0]["session_id"]))
    expect(page.get_by_role("heading").first).to_be_visible()
    page.wait_for_load_state("load")
    expect(page.locator("[aria-label=Loading]")).to_have_count(0)


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious_and_a_page_fits_a_telephone(
    visitor: Callable[..., BrowserContext], server: Any, http: Any, filled: str, serious: Any, name: str
):
    page = visitor(server.api_key, color_scheme="light", reduced_motion="reduce").new_page()
    look_everywhere(page, serious, lambda: opened(page, filled, http, name))


@pytest.mark.parametrize("name", AGENT_PAGES)
def test_axe_finds_nothing_serious_on_the_pages_of_agents(
    visitor: Callable[..., BrowserContext], server: Any, agents: str, serious: Any, name: str
):
    page = visitor(server.api_key, color_scheme="light", reduced_motion="reduce").new_page()

    def open_page() -> None:
        page.goto(AGENT_PAGES[name].format(project=agents))
        expect(page.get_by_role("heading").first).to_be_visible()
        expect(page.locator("[aria-label=Loading]")).to_have_count(0)
        shown = {
            "sessions found by a filter": page.get_by_role("link", name="trip 79"),
            "no session found": page.get_by_role("heading", name="No session fits"),
            "a thread of steps": page.get_by_role("listitem", name="Step search"),
            "an A/B test by sessions": page.get_by_role("img", name=re.compile("^between")).first,
        }
        expect(shown[name]).to_be_visible()

    look_everywhere(page, serious, open_page)
    if name == "a thread of steps":
        page.keyboard.press("j")
        expect(page.get_by_role("listitem", name="Turn 1")).to_have_attribute("aria-current", "true")
        page.get_by_role("button", name="3 steps").click()
        page.get_by_role("button", name="Give an outcome").click()
        assert serious(page) == []
    if name == "sessions found by a filter":
        page.get_by_role("combobox", name="Filter").fill("mod")
        expect(page.get_by_role("listbox")).to_be_visible()
        assert serious(page) == []


def look_everywhere(page: Page, serious: Callable[[Page], list[str]], open_page: Callable[[], None]) -> None:
    """Look at a page in the light, in the dark and on a telephone: axe finds nothing serious, and it fits."""
    open_page()
    found = {"light": serious(page)}
    page.emulate_media(color_scheme="dark")
    found["dark"] = serious(page)
    page.set_viewport_size({"width": 390, "height": 800})
    open_page()
    found["on a telephone"] = serious(page)
    assert found == {"light": [], "dark": [], "on a telephone": []}
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.getElementById('content').scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_where_one_signs_in(
    visitor: Callable[..., BrowserContext], serious: Any, scheme: str
):
    page = visitor(color_scheme=scheme, reduced_motion="reduce").new_page()
    page.goto("/sign-in")
    expect(page.get_by_role("heading").first).to_be_visible()
    assert serious(page) == []
