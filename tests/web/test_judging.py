"""People who judge and rate at once: no pair comes twice, nothing that was typed is lost, each has their own votes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Request, expect

pytestmark = pytest.mark.thorough

Visitor = Callable[..., BrowserContext]


@pytest.fixture
def log(http: httpx.Client, project: str) -> Callable[..., str]:
    """Log an interaction in the test's own project."""

    def logged(prompt: Any = "Hello", completion: str = "Hi", **more: Any) -> str:
        body = {"messages": [{"role": "user", "content": prompt}], "completion": completion, "project": project, **more}
        return http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"]

    return logged


@pytest.fixture
def annotator(http: httpx.Client, project: str, visitor: Visitor) -> Callable[[str], Page]:
    """Open a page of someone who may read and rate in the test's project, and nothing else."""
    team = http.post("/api/v1/teams", json={"key": f"t-{uuid4().hex[:8]}", "name": "Annotators"}).json()["key"]
    shares = {"shares": [{"team": team, "role": "annotator"}]}
    http.put(f"/api/v1/projects/{project}/shares", json=shares).raise_for_status()

    def come(name: str) -> Page:
        teams = [{"team": team, "role": "annotator"}]
        body = {"name": name, "email": f"{uuid4().hex}@example.com", "teams": teams, "generate_api_key": True}
        return visitor(http.post("/api/v1/users", json=body).raise_for_status().json()["api_key"]).new_page()

    return come


def key(http: httpx.Client, project: str, name: str, kind: str = "scalar") -> None:
    http.post("/api/v1/metrics", json={"key": name, "kind": kind, "project": project}).raise_for_status()


def verdicts(http: httpx.Client, project: str) -> list[dict[str, Any]]:
    """Return all preferences of a project."""
    listed = http.get("/api/v1/interactions", params={"project": project, "limit": 200}).json()["interactions"]
    return list({one["comparison_id"]: one for row in listed for one in row["preferences"]}.values())


def pair_on(page: Page) -> frozenset[str]:
    """Return the two texts that are to be judged."""
    sides = [page.get_by_role("region", name=name, exact=True) for name in ("Left", "Right")]
    return frozenset(re.findall(r"Answer \w+", " ".join(side.inner_text() for side in sides)))


def judge(page: Page, digit: str, number: int) -> None:
    """Judge a pair by key, and wait until it counts."""
    expect(page.get_by_role("region", name="Left", exact=True)).to_be_visible()
    page.keyboard.press(digit)
    expect(page.get_by_role("status").first).to_contain_text(f"{number} judged")


# ------------------------------------------------------------------------------------------------ pairs


def test_two_people_at_once_judge_all_pairs_and_none_twice(
    http: httpx.Client, project: str, log: Any, annotator: Callable[[str], Page]
):
    key(http, project, "better", "bool")
    for prompt in range(3):
        for model in range(3):
            log(f"Question {prompt}", f"Answer {prompt}x{model}", model=f"secret-{model}")
    ada, bob = annotator("Ada"), annotator("Bob")
    for page in (ada, bob):
        page.goto(f"/p/{project}/compare?metric=better")
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_role("group", name="Verdict")).to_be_visible()
    assert pair_on(ada) != pair_on(bob)
    judge(ada, "1", 1)
    judge(bob, "2", 1)
    with ada.expect_response("**/api/v1/comparison"):
        judge(ada, "4", 2)
    ada.wait_for_load_state("networkidle")
    # A reload in the midst of it loses neither the count nor the way back.
    before = pair_on(ada)
    ada.reload()
    expect(ada.get_by_role("status").first).to_contain_text("2 judged")
    assert pair_on(ada) == before
    ada.keyboard.press("b")
    expect(ada.get_by_role("button", name="Both bad")).to_have_attribute("aria-pressed", "true")
    ada.keyboard.press("w")
    ada.get_by_label("Comment").press_sequentially("3 of them are right")
    with ada.expect_response(lambda answer: "/api/v1/preferences/" in answer.url and answer.request.method == "PATCH"):
        ada.keyboard.press("Enter")
    with ada.expect_response(lambda answer: answer.request.method == "PATCH" and answer.ok):
        ada.keyboard.press("3")
    assert pair_on(ada) == before
    assert Counter((one["tied"], one["details"]) for one in verdicts(http, project))["good", "3 of them are right"] == 1
    counts = {ada: 2, bob: 1}
    for page in (bob, ada):
        over = page.get_by_role("heading", name="That was the last pair")
        while True:
            expect(page.get_by_role("region", name="Left", exact=True).or_(over)).to_be_visible()
            if over.is_visible():
                break
            assert "secret-" not in page.locator("main").inner_text()
            counts[page] += 1
            judge(page, "1", counts[page])
        if page is bob:
            # Ada has some open, which are not given to anybody else.
            expect(page.get_by_text("Other people have some pairs open")).to_be_visible()
    ada.wait_for_load_state("networkidle")
    said = verdicts(http, project)
    pairs = {frozenset((one["preferred_completion"], one["other_completion"])) for one in said}
    assert len(said) == len(pairs) == 9 == sum(counts.values())
    assert {one["actor"] for one in said} == {"Ada", "Bob"}
    ada.get_by_role("button", name="End the sitting").click()
    expect(ada.get_by_role("table").first.locator("tbody tr")).to_have_count(3)
    expect(ada.get_by_role("table").first).to_contain_text("secret-0")
    # Names are seen: what was said stands.
    expect(ada.get_by_role("group", name="Verdict")).to_have_count(0)
    ada.reload()
    expect(ada.get_by_role("heading", name="The sitting is over")).to_be_visible()


# ------------------------------------------------------------------------------------------------ ratings


def test_ones_own_rating_is_known_changed_and_had_back(
    http: httpx.Client, project: str, log: Any, annotator: Callable[[str], Page]
):
    key(http, project, "CSAT")
    logged = log()

    def stored_feedback() -> list[tuple[float, str | None, str]]:
        given = http.get(f"/api/v1/interactions/{logged}").json()["feedback"]
        return [(one["value"], one["details"], one["feedback_id"]) for one in given]

    ada, bob = annotator("Ada"), annotator("Bob")
    ada.goto(f"/p/{project}/interactions/{logged}")
    with ada.expect_response("**/api/v1/feedback"):
        ada.get_by_role("button", name="CSAT: 3").click()
    # A reason that comes after the value goes to it, by Enter or by leaving the box.
    ada.get_by_label("Comment").fill("Well said")
    with ada.expect_response("**/api/v1/feedback/*"):
        ada.keyboard.press("Enter")
    [(value, details, first)] = stored_feedback()
    assert (value, details) == (3, "Well said")
    ada.get_by_label("Comment").fill("Said well")
    with ada.expect_response("**/api/v1/feedback/*"):
        ada.get_by_role("region", name="Conversation").click()
    assert stored_feedback() == [(3, "Said well", first)]
    bob.goto(f"/p/{project}/interactions/{logged}")
    expect(bob.get_by_text("Said well")).to_be_visible()
    expect(bob.get_by_role("button", name="CSAT: 3")).to_have_attribute("aria-pressed", "false")
    expect(bob.get_by_role("button", name="Delete this feedback")).to_have_count(0)
    with bob.expect_response("**/api/v1/feedback"):
        bob.get_by_role("button", name="CSAT: 1").click()
    ada.reload()
    expect(ada.get_by_role("button", name="CSAT: 3")).to_have_attribute("aria-pressed", "true")
    expect(ada.get_by_label("Comment")).to_have_value("Said well")
    # Two keys in one breath are one vote.
    ada.get_by_role("heading", level=1).click()
    with ada.expect_response(lambda answer: answer.request.method == "PATCH" and '"value":5' in answer.text()):
        ada.evaluate(
            "for (const key of '45') document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))"
        )
    assert sorted(stored_feedback())[1:] == [(5, "Said well", first)]
    ada.get_by_role("button", name="CSAT: 5").click()
    expect(ada.get_by_role("button", name="CSAT: 5")).to_have_attribute("aria-pressed", "false")
    ada.get_by_role("button", name="Undo").click()
    expect(ada.get_by_role("button", name="CSAT: 5")).to_have_attribute("aria-pressed", "true")
    assert sorted(stored_feedback())[1:] == [(5, "Said well", first)]
    # Whoever leaves the page has meant it.
    ada.get_by_role("button", name="CSAT: 5").click()
    expect(ada.get_by_role("button", name="Undo")).to_be_visible()
    ada.goto("about:blank")
    while len(stored_feedback()) > 1:
        bob.wait_for_timeout(50)
    assert [value for value, _, _ in stored_feedback()] == [1]


def test_what_was_typed_stays_with_what_it_is_about(page: Page, http: httpx.Client, project: str, log: Any):
    key(http, project, "CSAT")
    ids = [log(f"Question {number}") for number in range(2)]
    page.goto(f"/p/{project}/interactions?open={ids[1]}")
    page.get_by_label("Comment").fill("Not sure yet")
    page.locator(f"[data-id='{ids[0]}']").click()
    expect(page.get_by_role("region", name="Conversation")).to_contain_text("Question 0")
    expect(page.get_by_label("Comment")).to_have_value("")
    page.get_by_role("button", name="Label", exact=True).click()
    page.get_by_role("combobox", name="Key").fill("quality")
    page.keyboard.press("Escape")
    page.reload()
    page.locator(f"[data-id='{ids[1]}']").click()
    expect(page.get_by_label("Comment")).to_have_value("Not sure yet")
    with page.expect_response("**/api/v1/feedback"):
        page.get_by_role("button", name="CSAT: 2").click()
    expect(page.get_by_label("Comment")).to_have_value("Not sure yet")
    assert [one["details"] for one in http.get(f"/api/v1/interactions/{ids[1]}").json()["feedback"]] == ["Not sure yet"]
    page.locator(f"[data-id='{ids[0]}']").click()
    page.get_by_role("button", name="Label", exact=True).click()
    expect(page.get_by_role("combobox", name="Key")).to_have_value("quality")


# ------------------------------------------------------------------------------------------------ keys


def test_a_key_acts_only_where_it_can_be_meant(page: Page, http: httpx.Client, project: str, log: Any):
    key(http, project, "better", "bool")
    key(http, project, "CSAT")
    code = "```\n" + "a long line of code " * 40 + "\n```"
    ids = [log("Write code", code, model=model) for model in "ab"]
    sent: list[str] = []

    def note(request: Request) -> None:
        if re.search(r"/api/v1/(feedback|comparison)", request.url):
            sent.append(request.url)

    page.on("request", note)
    page.goto(f"/p/{project}/compare?metric=better")
    page.get_by_role("button", name="Start").click()
    block = page.get_by_role("region", name="Left", exact=True).locator("pre")
    block.click(position={"x": 40, "y": 20})
    for _ in range(3):
        page.keyboard.press("ArrowRight")

    def elsewhere(*places: Locator) -> None:
        for place in places:
            place.focus()
            for digit in "15":
                page.keyboard.press(digit)

    elsewhere(page.get_by_role("link", name="Metrics"), page.get_by_role("button", name="Sign out"))
    assert verdicts(http, project) == []
    assert sent == []
    page.goto(f"/p/{project}/interactions?open={ids[0]}")
    expect(page.get_by_role("region", name="Rate")).to_be_visible()
    elsewhere(page.get_by_role("link", name="Metrics"), page.get_by_role("button", name="Views"))
    assert sent == []
    # Held down, a key is pressed once.
    page.get_by_role("grid").focus()
    # Read again once all that was pressed has been sent.
    with page.expect_response(lambda answer: answer.url.endswith(f"/api/v1/interactions/{ids[0]}")):
        for _ in range(4):
            page.keyboard.down("1")
    page.keyboard.up("1")
    assert len(sent) == 1


# ------------------------------------------------------------------------------------------------ ways back


def test_what_is_deleted_or_archived_can_be_had_back(page: Page, http: httpx.Client, project: str, log: Any):
    key(http, project, "CSAT")
    logged = log(labels={"env": "prod"})
    app = http.post("/api/v1/keys", json={"name": "the app", "role": "ingest"}).json()["api_key"]
    with httpx.Client(base_url=str(http.base_url), headers={"Authorization": f"Bearer {app}"}) as client:
        body = {"completion_id": logged, "metric": "CSAT", "value": 2, "user": "customer", "created_at": "2026-01-02"}
        client.post("/api/v1/feedback", json=body).raise_for_status()
    view = {"name": "Mine", "search": "?q=CSAT%3C3"}
    http.post(f"/api/v1/projects/{project}/views", json=view).raise_for_status()

    def state() -> str:
        shown = http.get(f"/api/v1/interactions/{logged}").json()
        views = http.get(f"/api/v1/projects/{project}/views").json()
        archived = http.get(f"/api/v1/projects/{project}").json()["archived"]
        return json.dumps([shown["feedback"], shown["labels"], views, archived])

    before = state()
    page.goto(f"/p/{project}/interactions/{logged}")
    page.get_by_role("button", name="Delete this feedback").click()
    expect(page.get_by_text("Nobody has rated this completion yet")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Delete this feedback")).to_be_visible()
    with page.expect_response("**/labels"):
        page.get_by_role("button", name="Remove env").click()
    expect(page.get_by_role("link", name="env prod")).to_have_count(0)
    with page.expect_response("**/labels"):
        page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="env prod")).to_be_visible()
    page.goto(f"/p/{project}/interactions")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Delete Mine").click()
    expect(page.get_by_role("button", name="Mine", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    page.goto("/projects")
    row = page.get_by_role("row").filter(has=page.get_by_text(project, exact=True))
    with page.expect_response(f"**/projects/{project}"):
        row.get_by_role("button", name="Archive").click()
    with page.expect_response(f"**/projects/{project}"):
        page.get_by_role("button", name="Undo").click()
    assert state() == before


def test_a_key_is_made_once_and_shown_until_it_is_kept(page: Page, http: httpx.Client):
    name = f"once-{uuid4().hex[:8]}"
    page.goto("/keys")
    page.get_by_role("button", name="New key").click()
    page.get_by_role("textbox", name="Name").fill(name)
    # What was typed is not lost by a click beside it.
    page.mouse.click(5, 5)
    expect(page.get_by_role("textbox", name="Name")).to_have_value(name)
    page.evaluate("for (const form of [1, 2, 3]) document.querySelector('form').requestSubmit()")
    expect(page.get_by_label("API key")).to_have_value(re.compile("^aw_"))
    page.mouse.click(5, 5)
    page.keyboard.press("Escape")
    expect(page.get_by_label("API key")).to_have_value(re.compile("^aw_"))
    page.get_by_role("button", name="I have kept it").click()
    expect(page.get_by_label("API key")).to_have_count(0)
    assert [one["name"] for one in http.get("/api/v1/keys").json()["keys"]].count(name) == 1
