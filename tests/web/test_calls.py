"""The calls of the API that a screen makes when it is opened: how many, and in which order."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import Page, Request, Route, expect

SEARCH, FACETS, OVER_TIME = (f"POST /interactions/{name}" for name in ("search", "facets", "timeseries"))
# The calls that the frame makes once for all screens.
FRAME = {"GET /session", "GET /projects", "GET /metrics"}
# Before a call may be added here, look for one that answers the question already.
CALLS_OF_SCREENS: dict[str, dict[str, int]] = {
    "interactions": {SEARCH: 2, FACETS: 1, OVER_TIME: 1},
    # Each figure of this time and of the time before.
    "overview": {
        FACETS: 1,
        OVER_TIME: 2,
        "POST /metrics/latency/statistics": 2,
        "POST /metrics/total_tokens/statistics": 2,
        "POST /metrics/CSAT/statistics": 2,
    },
    "compare": {},
    "metrics": {"POST /metrics/CSAT/statistics": 1, "POST /metrics/CSAT/timeseries": 1},
    "ranking": {"POST /preferences/ranking": 1},
    "chat": {"GET /projects/PROJECT/models": 1},
    # The models of the project once more with their status, for which providers are asked.
    "models": {"GET /models": 1, "GET /projects/PROJECT/models": 2},
    "ab-tests": {"GET /ab-tests": 1},
    "datasets": {"GET /datasets": 1},
    "projects": {},
    "keys": {"GET /keys": 1},
}
# Resolves two frames later: what an answer leads to has been rendered, and requested.
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def busy(server: Any) -> str:
    """A project with something on every screen: calls that failed, feedback, and three models that can be called."""
    project = f"busy-{uuid4().hex[:8]}"
    with server.client() as http:
        http.post("/api/v1/projects", json={"key": project}).raise_for_status()
        http.post("/api/v1/metrics", json={"key": "CSAT", "kind": "scalar", "project": project}).raise_for_status()
        for number in range(3):
            model = {"provider": "echo", "name": f"{project}-{number}", "project": project}
            http.post("/api/v1/models", json=model).raise_for_status()
        lines = [
            {
                "messages": [{"role": "user", "content": f"Question {number}"}],
                "completion": f"Answer {number}",
                "model": "logged-only",
                "feedbacks": [{"metric": "CSAT", "value": number % 5}],
                "call": None if number % 10 else {"state": "failed", "error": {"message": "The provider hung up."}},
            }
            for number in range(100)
        ]
        content = "\n".join(map(json.dumps, lines))
        http.post("/api/v1/interactions/batch", params={"project": project}, content=content).raise_for_status()
    return project


class Calls:
    """The calls of the API that a page makes, apart from those of the frame."""

    def __init__(self, page: Page) -> None:
        self.counts: Counter[str] = Counter()
        self.pending: set[Request] = set()
        self._page = page
        page.on("request", self._begin)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, and two frames longer."""
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, dict(self.counts)
            self._page.evaluate(TWO_FRAMES)
        self._page.evaluate(TWO_FRAMES)

    def settled(self, expected: int) -> dict[str, int]:
        """Wait until at least so many calls were made, and all that they led to; return the number of each."""
        total = -1
        while total != self.counts.total():
            total = self.counts.total()
            self.wait_until(lambda: self.counts.total() >= expected and not self.pending)
        return dict(self.counts)

    def _begin(self, request: Request) -> None:
        path = urlsplit(request.url).path
        if not path.startswith("/api/v1/"):
            return
        self.pending.add(request)
        path = re.sub("^projects/[^/]+", "projects/PROJECT", path.removeprefix("/api/v1/"))
        call = f"{request.method} /{path}"
        if call not in FRAME:
            self.counts[call] += 1

    def _end(self, request: Request) -> None:
        self.pending.discard(request)


def test_facets_and_chart_are_asked_for_once_the_list_is_shown(page: Page, busy: str):
    calls = Calls(page)
    held: list[Route] = []
    page.route("**/api/v1/interactions/search", lambda route: route.fallback() if held else held.append(route))
    page.goto(f"/p/{busy}/interactions")
    facets = page.get_by_role("complementary", name="Facets")
    chart = page.get_by_role("region", name="Over time").get_by_role("img")
    for state, count in (None, 100), ("failed", 10):
        if state:
            calls.settled(1)
            calls.counts.clear()
            held.clear()
            facets.get_by_role("list", name="State").get_by_role("button", name=re.compile(f"^{state}")).click()
        # Whatever the page asks for beside the list is answered by now.
        calls.wait_until(lambda: bool(held) and calls.pending == {held[0].request})
        assert calls.counts[FACETS] == calls.counts[OVER_TIME] == 0, dict(calls.counts)
        held[0].continue_()
        expect(facets).to_contain_text("logged-only")
        expect(chart).to_have_attribute("aria-label", re.compile(f"^{count} interactions"))


@pytest.mark.thorough
@pytest.mark.parametrize("name", CALLS_OF_SCREENS)
def test_a_screen_makes_these_calls_and_no_more(page: Page, busy: str, name: str):
    calls = Calls(page)
    page.goto(f"/{name}" if name in ("projects", "keys") else f"/p/{busy}/{name}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expected = CALLS_OF_SCREENS[name]
    assert calls.settled(sum(expected.values())) == expected
