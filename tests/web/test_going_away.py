"""A page that stays open: many tabs, a server that goes and comes, what arrives meanwhile, another project."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Dialog, Page, Request, Response, Route, expect

pytestmark = pytest.mark.thorough

Visitor = Callable[..., BrowserContext]
HIDE = """state => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def proxy(server: Any) -> Iterator[Any]:
    """A proxy before the shared server, which goes and comes as it is told."""
    spec = importlib.util.spec_from_file_location("proxy", Path(__file__).parent / "proxy.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    running = module.Proxy(server.port)
    yield running
    running.close()


@pytest.fixture
def log(http: httpx.Client, project: str) -> Callable[..., str]:
    """Log an interaction in the test's own project."""

    def logged(prompt: Any = "Hello", completion: str = "Hi", **more: Any) -> str:
        body = {"messages": [{"role": "user", "content": prompt}], "completion": completion, "project": project, **more}
        answer = http.post("/api/v1/interactions", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["completion_id"]

    return logged


def rows(page: Page) -> Any:
    return page.locator("[role=row][data-id]")


def is_live(page: Page) -> Any:
    return page.locator("[data-on=true]")


def test_a_browser_of_seven_tabs_is_live_in_all_and_takes_a_rating(
    visitor: Visitor, server: Any, http: httpx.Client, project: str, log: Any
):
    http.post("/api/v1/metrics", json={"key": "CSAT", "project": project}).raise_for_status()
    first = log("The first", labels={"n": "0"})
    context = visitor(server.api_key)
    tabs = [context.new_page() for _ in range(7)]
    for number, tab in enumerate(tabs):
        tab.goto(f"/p/{project}/interactions?q=-label.n:{number + 1}")
        expect(rows(tab)).to_have_count(1)
        expect(is_live(tab)).to_be_visible()
    log("For all but the third", labels={"n": "3"})
    for number, tab in enumerate(tabs):
        expect(rows(tab)).to_have_count(1 if number == 2 else 2)
    last = tabs[-1]
    last.locator(f"[data-id='{first}']").click()
    with last.expect_response(lambda answer: answer.url.endswith("/feedback")) as given:
        last.get_by_role("button", name="CSAT: 4").click()
    assert given.value.status == 201
    for tab in tabs:
        expect(tab.locator(f"[data-id='{first}']")).to_contain_text("CSAT 4")


def test_page_survives_lost_server_and_sends_pending_feedback_later(
    visitor: Visitor, server: Any, http: httpx.Client, proxy: Any, project: str, log: Any
):
    http.post("/api/v1/metrics", json={"key": "CSAT", "project": project}).raise_for_status()
    logged = log("What stays")
    page = visitor(server.api_key).new_page()
    page.goto(f"{proxy.url}/p/{project}/interactions?open={logged}")
    conversation = page.get_by_role("region", name="Conversation").first
    expect(conversation).to_contain_text("What stays")
    expect(is_live(page)).to_be_visible()

    proxy.go()
    connection = page.get_by_role("status", name="Connection")
    expect(connection).to_contain_text("cannot be reached")
    expect(page.get_by_role("button", name=": pause")).to_contain_text("Connecting")
    page.get_by_role("button", name="CSAT: 4").click()
    expect(connection).to_contain_text("1 change is kept")
    expect(conversation).to_contain_text("What stays")
    expect(rows(page)).to_have_count(1)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", stay)
    page.close(run_before_unload=True)
    while not asked:
        page.wait_for_timeout(20)
    assert asked == ["beforeunload"]

    log("What came meanwhile")
    with page.expect_response(lambda answer: answer.url.endswith("/feedback")):
        proxy.come()
    expect(connection).not_to_contain_text("cannot be reached")
    expect(connection).to_be_empty()
    [given] = http.get(f"/api/v1/interactions/{logged}").json()["feedback"]
    assert (given["metric"], given["value"]) == ("CSAT", 4)
    expect(rows(page)).to_have_count(2)
    expect(is_live(page)).to_be_visible()

    # A screen that was not opened before is code that has to be fetched.
    proxy.go()
    expect(connection).to_contain_text("cannot be reached")
    page.get_by_role("link", name="Ranking").click()
    expect(rows(page)).to_have_count(2)
    proxy.come()
    expect(page.get_by_role("heading", name="Ranking")).to_be_visible()


def test_verdicts_on_pairs_outlive_a_server_that_is_away(
    visitor: Visitor, server: Any, http: httpx.Client, proxy: Any, project: str, log: Any
):
    http.post("/api/v1/metrics", json={"key": "better", "kind": "bool", "project": project}).raise_for_status()
    for prompt in range(3):
        for model in ("one", "two"):
            log(f"Question {prompt}", f"Answer {prompt} of {model}", model=model)
    page = visitor(server.api_key).new_page()
    page.goto(f"{proxy.url}/p/{project}/compare?metric=better")
    page.get_by_role("button", name="Start").click()
    verdict = page.get_by_role("group", name="Verdict")
    expect(verdict).to_be_visible()
    page.wait_for_load_state("networkidle")

    proxy.go()
    for judged in (1, 2):
        page.keyboard.press("1")
        expect(page.get_by_role("status").filter(has_text="judged")).to_contain_text(f"{judged} judged")
        expect(verdict).to_be_visible()
    connection = page.get_by_role("status", name="Connection")
    expect(connection).to_contain_text("2 changes are kept")
    with page.expect_response("**/api/v1/comparison"), page.expect_response("**/api/v1/comparison"):
        proxy.come()
    expect(connection).to_be_empty()
    # What a reload sends again counts once.
    page.reload()
    expect(page.get_by_role("status").filter(has_text="judged")).to_contain_text("2 judged")
    page.wait_for_load_state("networkidle")
    listed = http.get("/api/v1/interactions", params={"project": project}).json()["interactions"]
    assert len({one["comparison_id"] for row in listed for one in row["preferences"]}) == 2


def test_a_proxy_that_answers_502_once_ends_nothing(visitor: Visitor, server: Any, proxy: Any, project: str, log: Any):
    log("The first")
    page = visitor(server.api_key).new_page()
    for path in ("/api/v1/session", "/api/v1/projects", "/api/v1/interactions/search", "/api/v1/interactions/live"):
        proxy.fail(path)
    page.goto(f"{proxy.url}/p/{project}/interactions")
    expect(rows(page)).to_have_count(1)
    expect(is_live(page)).to_be_visible()
    assert not proxy.failing
    log("The second")
    expect(rows(page)).to_have_count(2)


def test_what_arrives_is_counted_on_the_page_and_not_by_the_server(
    page: Page, http: httpx.Client, project: str, log: Any
):
    for _ in range(3):
        log(labels={"env": "prod"})
    searches: list[Any] = []

    def note(request: Request) -> None:
        if request.url.endswith("/search"):
            searches.append(request.post_data_json)

    page.on("request", note)
    page.goto(f"/p/{project}/interactions?q=label.env:prod")
    expect(is_live(page)).to_be_visible()
    count = page.locator("header [role=status]").first
    expect(count).to_have_text("3")
    begun = time.monotonic()
    for number in range(20):
        log(labels={"env": "prod" if number % 2 else "test"})
    expect(count).to_have_text("13")
    rated = log(labels={"env": "prod"})
    http.delete(f"/api/v1/interactions/{rated}").raise_for_status()
    expect(count).to_have_text("13")
    # The server counts once, and once more every 20 seconds at most, where the number is not sure.
    assert sum(body.get("count", False) for body in searches) <= 1 + (time.monotonic() - begun) // 20
    assert sum(not body.get("count", False) for body in searches) <= 2

    # A tab that nobody sees asks for nothing, and has caught up when it is seen.
    page.evaluate(HIDE, "hidden")
    expect(is_live(page)).to_have_count(0)
    hidden = len(searches)
    for _ in range(5):
        log(labels={"env": "prod"})
    assert len(searches) == hidden
    page.evaluate(HIDE, "visible")
    expect(count).to_have_text("18")
    expect(rows(page)).to_have_count(18)


def test_only_thumbnails_of_rows_that_are_seen_are_loaded(page: Page, http: httpx.Client, project: str):
    noise = Image.effect_noise((1_200, 900), 60)

    def part(number: int) -> dict[str, Any]:
        jpeg = BytesIO()
        noise.point(lambda grey: grey + number).save(jpeg, "JPEG", quality=60)
        # A damaged one has no thumbnail, and is not loaded as a whole in its place.
        content = jpeg.getvalue() if number else jpeg.getvalue()[:100_000]
        uri = f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"
        return {"type": "image_url", "image_url": {"url": uri}}

    lines = [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": f"Row {n}"}, part(n)]}], "completion": "-"}
        for n in reversed(range(50))
    ]
    content = "\n".join(map(json.dumps, lines))
    assert len(content) > 10_000_000
    http.post("/api/v1/interactions/batch", params={"project": project}, content=content).raise_for_status()
    loaded: list[Response] = []
    page.on("response", lambda answer: loaded.append(answer) if "/images/" in answer.url else None)
    page.goto(f"/p/{project}/interactions")
    expect(rows(page).first).to_be_visible()
    seen = page.evaluate(
        "[...document.querySelectorAll('[role=row][data-id]')]"
        ".filter(row => row.getBoundingClientRect().top < innerHeight - 8).length"
    )
    assert seen < rows(page).count() < 50
    expect(page.locator("[role=row] img")).to_have_count(seen - 1)
    expect(rows(page).first.locator("svg.lucide-image-off")).to_be_visible()
    for image in page.locator("[role=row] img").all():
        expect(image).to_have_js_property("naturalWidth", 96)
    assert len(loaded) == seen
    assert sum(len(answer.body()) for answer in loaded) < seen * 5_000


def test_after_a_change_of_project_nothing_of_the_old_one_is_shown(
    page: Page, http: httpx.Client, project: str, log: Any
):
    other = f"other-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": other, "name": f"The other {other}"}).raise_for_status()
    old = log("Of the old project")
    log("Of the other project", project=other)
    page.goto(f"/p/{project}/interactions?q=Of")
    expect(rows(page)).to_have_count(1)
    rows(page).get_by_role("checkbox").check()
    expect(page.get_by_text("1 selected")).to_be_visible()

    held: list[Route] = []
    page.route("**/interactions/search", lambda route: held.append(route))
    page.get_by_role("button", name=f"Project {project}").click()
    page.get_by_role("menuitem", name=f"The other {other}").click()
    expect(page.get_by_role("button", name=f"Project The other {other}")).to_be_visible()
    expect(page.locator("[role=grid] [role=status][aria-label=Loading]").first).to_be_visible()
    expect(rows(page)).to_have_count(0)
    expect(page.get_by_text("1 selected")).to_have_count(0)
    expect(page.get_by_role("combobox", name="Filter")).to_have_value("")
    # What is held goes on.
    page.unroute("**/interactions/search")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("Of the other project")

    # Rows of the same project's old filter stand until the new ones have come, and that is said.
    page.route("**/interactions/search", lambda route: held.append(route))
    page.get_by_role("combobox", name="Filter").fill("nothing")
    page.keyboard.press("Enter")
    expect(page.locator("header [role=status]").first).to_have_text("Loading…")
    expect(page.get_by_role("grid")).to_have_attribute("aria-busy", "true")
    page.unroute("**/interactions/search")
    expect(page.get_by_text("Nothing matches this filter")).to_be_visible()

    # An address that names one project and an interaction of another shows it where it belongs.
    page.goto(f"/p/{other}/interactions/{old}")
    expect(page).to_have_url(re.compile(f"/p/{project}/interactions/{old}$"))
    page.goto(f"/p/{other}/interactions?open={old}")
    expect(page.get_by_text("This interaction is of another project")).to_be_visible()
    expect(page.get_by_role("main")).not_to_contain_text("Of the old project")
