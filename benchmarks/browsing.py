"""Browsing jobs: the web page in a real Chromium, over a store of a million interactions.

The page itself takes the times, from the click to the first frame that shows the result.
"""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from playwright.sync_api import BrowserContext, Page, Request, sync_playwright

from benchmarks import load
from benchmarks.reading import fill
from benchmarks.report import Figure, Section
from benchmarks.server import KEY, Server, running
from benchmarks.workload import COMMON_WORD, METRIC, RARE_WORD
from benchmarks.writing import Submit

LIST_AIM, FILTER_AIM, PANEL_AIM = 300, 300, 150
AIM_FRAMES_PER_SECOND = 60
MAX_REQUEST_COUNT = 3

# Lists that stay open while interactions arrive; most arrivals match one of them.
WATCHED = ("label.environment:production", "label.team:team-1", f"{METRIC}>=3")
ARRIVALS, ARRIVALS_A_SECOND = 100, 4
# Milliseconds after the last arrival, in which the server may still be busy with them.
AFTER_ARRIVALS_MS = 30_000
WATCHED_FACTOR = 2

LIST = "/p/default/interactions"
ROWS_EXPRESSION = "document.querySelectorAll('[role=row][data-id]')"
SCREENS = (
    "Interactions",
    "Compare",
    "Metrics",
    "Ranking",
    "Chat",
    "Models",
    "A/B tests",
    "Datasets",
    "Projects",
    "Keys",
)

# Returns the milliseconds from an action to the frame after the one in which a condition holds.
TIMING_SCRIPT = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const before = %(before)s;
  const start = performance.now();
  (%(act)s);
  while (!(%(shown)s)) {
    if (performance.now() - start > 30000) throw new Error("What was asked for did not appear within 30 s.");
    await frame();
  }
  await frame();
  return performance.now() - start;
}"""
# An empty page does almost nothing: its frame times are the machine's share of the other figures.
EMPTY_PAGE_PATH = "/assets/nothing-here"
# Scrolls a little in each frame, like a hand on a touchpad; returns the milliseconds between frames.
SCROLLING_SCRIPT = """async (seconds) => {
  const list = document.querySelector("[role=grid]");
  const times = [];
  let last = await new Promise(requestAnimationFrame);
  const end = last + seconds * 1000;
  while (last < end) {
    if (list) list.scrollTop += 30;
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times;
}"""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of an action in milliseconds: until the result is shown, and processor time in the page."""

    waited: float
    processor: float


def browsing(size: int, times: int, keep: Path | None = None) -> Iterator[Section]:
    """Fill a store of `size` interactions, or take the one in `keep`, and do each action in its page `times` times."""
    with ExitStack() as stack:
        directory = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="afterword-bench-"))) / "data"
        if not (directory / "afterword.db").exists():
            fill(directory, stack.enter_context(load.generator()), size)
        server = stack.enter_context(running(directory))
        server.settle()
        context = stack.enter_context(_signed_in(server))
        yield Section(
            f"The web page over {size:,} interactions, in Chromium", [*_times(context, times), *_scrolling(context)]
        )
        yield Section("Calls that a screen makes when one goes to it", list(_requests(context)))
        submit = stack.enter_context(load.generator())
        yield Section(
            f"{ARRIVALS} arrivals, {ARRIVALS_A_SECOND} a second, over {size:,} interactions",
            list(_watching(server, context, submit)),
        )


@contextmanager
def _signed_in(server: Server) -> Iterator[BrowserContext]:
    script = Path(__file__).resolve().parents[1] / "scripts" / "browser.py"
    spec = importlib.util.spec_from_file_location("browser", script)
    assert spec is not None
    assert spec.loader is not None
    finder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(finder)
    executable = finder.find()
    if executable is None:
        raise RuntimeError("There is no Chromium or Chrome: install one, or name one in AFTERWORD_BROWSER.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(base_url=server.url, viewport={"width": 1440, "height": 900})
        context.set_default_timeout(60_000)
        answer = context.request.post("/api/v1/session", data={"api_key": KEY})
        if answer.status != 201:
            raise RuntimeError(f"Signing in was answered with {answer.status}: {answer.text()}")
        yield context
        browser.close()


def _times(context: BrowserContext, times: int) -> Iterator[Figure]:
    yield from _figures("list shown after the click, nothing fetched before", _from_elsewhere(context, times), LIST_AIM)
    page = _list(context)
    click = "document.querySelector('nav a[href$=\"/interactions\"]').click()"

    def return_to_list(number: int) -> Cost:
        page.get_by_role("link", name="Projects").click()
        page.wait_for_selector("h1:has-text('Projects')")
        return _timed(page, click, f"{ROWS_EXPRESSION}.length > 20")

    yield from _figures("list shown after the click, seen before", _each(times, return_to_list), LIST_AIM)
    page.goto(LIST)
    page.wait_for_selector("[role=row][data-id]")

    def filter_measurement(query_of: Callable[[int], str]) -> Callable[[int], Cost]:
        def measure(number: int) -> Cost:
            page.get_by_role("combobox", name="Filter").fill(query_of(number))
            enter = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}))"
            shown_condition = f"document.querySelector('[role=grid]')?.dataset.query === {json.dumps(query_of(number))}"
            return _timed(page, enter, f"{shown_condition} && {ROWS_EXPRESSION}.length > 0")

        return measure

    for what, query_of_number in {
        "filter changed to a rare label": lambda number: f"label.release:2.{100 + number}",
        "filter changed to a label, a feedback value and a time": lambda number: (
            f"label.team:team-{number % 8} {METRIC}>={1 + number % 4} from:{10 + number}d"
        ),
        "filter changed to words and a time": lambda number: (
            f"{COMMON_WORD if number % 2 else RARE_WORD} from:{10 + number}d"
        ),
    }.items():
        yield from _figures(what, _each(times, filter_measurement(query_of_number)), FILTER_AIM)

    page.goto(LIST)
    page.wait_for_selector("[role=row][data-id]")
    conversation_condition = (
        "document.querySelector('[aria-label=\"Conversation and facts\"]')?.innerText.includes('customers briefly')"
    )

    def open_panel(number: int) -> Cost:
        # A click by script: no pointer rests on the row first, so nothing is prefetched.
        spent = _timed(page, f"{ROWS_EXPRESSION}[{number % 20}].click()", conversation_condition)
        page.keyboard.press("Escape")
        page.wait_for_selector("[aria-label='Conversation and facts']", state="detached")
        return spent

    yield from _figures("panel with the whole interaction, after the click", _each(times, open_panel), PANEL_AIM)
    page.evaluate(f"{ROWS_EXPRESSION}[0].click()")
    page.wait_for_selector("[role=row][data-open]")

    def step_to_next(number: int) -> Cost:
        step = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'j', bubbles: true}))"
        open_row_id = "document.querySelector('[role=row][data-open]')?.dataset.id"
        return _timed(page, step, f"{open_row_id} !== before && {conversation_condition}", open_row_id)

    yield from _figures("the next one in the panel, after j", _each(times, step_to_next), PANEL_AIM)
    page.close()


def _from_elsewhere(context: BrowserContext, times: int) -> list[Cost]:
    spent: list[Cost] = []
    for _ in range(times):
        page = context.new_page()
        page.goto("/projects")
        page.wait_for_selector("table")
        page.wait_for_load_state("networkidle")
        spent.append(
            _timed(
                page,
                "document.querySelector('nav a[href$=\"/interactions\"]').click()",
                f"{ROWS_EXPRESSION}.length > 20",
            )
        )
        page.close()
    return spent


def _scrolling(context: BrowserContext) -> Iterator[Figure]:
    empty = context.new_page()
    empty.goto(EMPTY_PAGE_PATH)
    yield _frames(
        "frames of an empty page in 3 s: what the machine can do just now", empty.evaluate(SCROLLING_SCRIPT, 3)
    )
    empty.close()
    page = _list(context)
    processor = _Processor(page)
    between = page.evaluate(SCROLLING_SCRIPT, 6)
    spent = processor.spent() / len(between)
    page.close()
    yield _frames("frames while scrolling for 6 s, 30 pixels in each", between, AIM_FRAMES_PER_SECOND)
    yield Figure("... processor time of the page for a frame", spent, "ms", 1000 / AIM_FRAMES_PER_SECOND)


def _frames(what: str, between: list[float], aim: float | None = None) -> Figure:
    ordered = sorted(between)
    at = {share: ordered[int(share * len(ordered))] for share in (0.5, 0.95, 0.99)}
    return Figure(what, 1000 * len(between) / sum(between), "/s", aim, at[0.5], at[0.95], at[0.99])


def _requests(context: BrowserContext) -> Iterator[Figure]:
    page = context.new_page()
    page.goto("/p/default/start")
    page.wait_for_selector("h1")
    page.wait_for_timeout(2_000)
    requested_urls: list[str] = []

    def heard(request: Request) -> None:
        if "/api/" in request.url:
            requested_urls.append(request.url)

    page.on("request", heard)
    for name in SCREENS:
        requested_urls.clear()
        page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
        page.wait_for_selector("h1")
        page.wait_for_timeout(3_000)
        yield Figure(name, len(requested_urls), "", MAX_REQUEST_COUNT)
    page.close()


def _watching(server: Server, context: BrowserContext, submit: Submit) -> Iterator[Figure]:
    """Compare the server's cost of arriving interactions with and without lists that watch them."""
    waiting = context.new_page()

    def spent() -> float:
        # Playwright's loop runs in this thread, so calls are made in another process.
        while submit(load.send, server.target, "GET", "/health").result()["search"]["waiting"]:
            waiting.wait_for_timeout(200)
        server.wait_for_rollups()
        begun = server.processor_seconds()
        arguments = {"rate": ARRIVALS_A_SECOND, "seconds": ARRIVALS / ARRIVALS_A_SECOND}
        submit(load.arrive, server.target, **arguments).result()
        waiting.wait_for_timeout(AFTER_ARRIVALS_MS)
        return server.processor_seconds() - begun

    alone = spent()
    yield Figure("processor time of the server, no page open", alone, "s")
    lists = [context.new_page() for _ in WATCHED]
    for page, query in zip(lists, WATCHED, strict=True):
        page.goto(f"{LIST}?{urlencode({'q': query})}")
        page.wait_for_selector("[role=row][data-id]")
        page.wait_for_selector("[data-on=true]")
        # Once its facets and its chart are there, too, only arrivals are work.
        page.wait_for_selector("aside[aria-label=Facets] [aria-busy=false]")
        page.wait_for_selector("[aria-label='Over time'] rect", state="attached")
    waiting.wait_for_timeout(AFTER_ARRIVALS_MS / 10)
    yield Figure(f"... {len(lists)} filtered lists open", spent(), "s", WATCHED_FACTOR * alone)


def _list(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto(LIST)
    page.wait_for_selector("[role=row][data-id]")
    return page


def _each(times: int, measure: Callable[[int], Cost]) -> list[Cost]:
    # The first run also loads data for the later ones, so it is not counted.
    return [measure(number) for number in range(times + 1)][1:]


def _timed(page: Page, act: str, condition: str, before: str = "null") -> Cost:
    processor = _Processor(page)
    waited = page.evaluate(TIMING_SCRIPT % {"act": act, "shown": condition, "before": before})
    return Cost(waited, processor.spent())


class _Processor:
    """Measures the processor time of the page's main thread from now on, in milliseconds."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self._begun = self._now()

    def spent(self) -> float:
        spent = self._now() - self._begun
        self._session.detach()
        return spent

    def _now(self) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def _figures(what: str, spent: list[Cost], aim: float) -> list[Figure]:
    ordered = sorted(cost.waited for cost in spent)
    p95, p99 = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.95, 0.99))
    return [
        Figure(what, median(ordered), "ms", aim, median(ordered), p95, p99),
        Figure("... processor time of the page for it", median(cost.processor for cost in spent), "ms"),
    ]
