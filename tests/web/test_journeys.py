"""What people do with the page, in a real browser on a real server, with real texts."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGNgGAWjYBSMAkgBAAeeAAFSxuqMAAAA"
    "AElFTkSuQmCC"
)
Visitor = Callable[..., BrowserContext]


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
    """Return the rows of the list."""
    return page.locator("[role=row][data-id]")


def filter_by(page: Page, query: str) -> None:
    """Type a filter and apply it."""
    page.get_by_role("combobox", name="Filter").fill(query)
    page.keyboard.press("Enter")


# ------------------------------------------------------------------------------------------------ coming and going


def test_who_comes_for_the_first_time_signs_in_with_the_key_once(visitor: Visitor, server: Any):
    context = visitor()
    page = context.new_page()
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in"))
    page.get_by_label("API key").fill("aw_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not known here")
    page.get_by_label("API key").fill(server.api_key)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/p/default/interactions"))
    again = context.new_page()
    again.goto("/")
    expect(again.get_by_role("navigation", name="Main")).to_be_visible()
    assert server.api_key not in json.dumps(again.evaluate("({...localStorage})")) + again.evaluate("document.cookie")
    again.get_by_role("button", name="Sign out").click()
    expect(again).to_have_url(re.compile("/sign-in"))


@pytest.mark.timeout(600)
@pytest.mark.xdist_group("openai")
@pytest.mark.thorough
def test_a_new_project_shows_how_to_begin_and_then_its_first_interaction(page: Page, project: str, openai_python: Path):
    page.goto(f"/p/{project}/interactions")
    expect(page.get_by_role("heading", name="Log the first interaction")).to_be_visible()
    page.get_by_role("button", name="Attach echo").click()
    page.get_by_role("button", name="Create a key for this").click()
    code = page.locator("pre")
    expect(code).to_contain_text('api_key="aw_')
    snippet = code.inner_text()
    for number in (1, 2):
        # As it stands there, with the openai client as it is published; the second time the list stands already.
        done = subprocess.run([str(openai_python), "-c", snippet], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        expect(rows(page)).to_have_count(number)
        expect(rows(page).first).to_contain_text("Good day")
        expect(page.locator("[data-on=true]")).to_be_visible()


@pytest.mark.thorough
def test_read_only_key_of_one_project_sees_it_and_no_forbidden_actions(
    visitor: Visitor, http: httpx.Client, project: str, log: Any
):
    logged = log("Something to read")
    body = {"name": "reader", "role": "viewer", "projects": [project]}
    key = http.post("/api/v1/keys", json=body).json()["api_key"]
    page = visitor(key).new_page()
    page.goto("/")
    expect(page).to_have_url(re.compile(f"/p/{project}/interactions"))
    rows(page).first.click()
    expect(page.get_by_role("region", name="Conversation")).to_contain_text("Something to read")
    expect(page.get_by_role("button", name="Label", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="Keys")).to_have_count(0)
    expect(page.get_by_role("region", name="Rate")).to_have_count(0)
    page.goto(f"/p/default/interactions/{logged}")
    page.goto("/p/default/interactions")
    expect(page.get_by_role("alert").first).to_contain_text("does not exist")


# ------------------------------------------------------------------------------------------------ the list


@pytest.mark.thorough
def test_a_call_made_elsewhere_appears_live_at_the_top(page: Page, gateway: Any):
    gateway.ask(gateway.model(), "The first one").raise_for_status()
    page.goto(f"/p/{gateway.project}/interactions")
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("button", name="Live: pause")).to_be_visible()
    expect(page.locator("[data-on=true]")).to_be_visible()
    gateway.ask(gateway.model(), "And one more").raise_for_status()
    expect(rows(page).first).to_contain_text("And one more")
    expect(rows(page)).to_have_count(2)


def test_known_rows_are_found_by_label_time_and_feedback_value_together(page: Page, filled: str, http: httpx.Client):
    query = {
        "project": filled,
        "label": "env:prod",
        "feedback": "CSAT>=4",
        "from": "2026-09-21T20:00:00Z",
        "count": True,
    }
    wanted = http.get("/api/v1/interactions", params={**query, "limit": 500}).json()
    assert 5 < wanted["count"] < 60
    page.goto(f"/p/{filled}/interactions")
    filter_by(page, "label.env:prod CSAT>=4 from:2026-09-21T20:00:00Z")
    expect(page.get_by_role("status").first).to_have_text(str(wanted["count"]))
    expect(rows(page).first).to_have_attribute("data-id", wanted["interactions"][0]["completion_id"])
    assert "q=label.env" in page.url
    page.get_by_role("button", name="Remove CSAT>=4").click()
    expect(page.get_by_role("status").first).not_to_have_text(str(wanted["count"]))
    page.go_back()
    expect(page.get_by_role("status").first).to_have_text(str(wanted["count"]))


@pytest.mark.thorough
def test_filters_can_be_chosen_by_mouse(page: Page, filled: str):
    page.goto(f"/p/{filled}/interactions")
    page.get_by_role("button", name="Add filter").click()
    choice = page.get_by_role("dialog", name="Add a filter")
    choice.get_by_role("button", name=re.compile("^env")).click()
    choice.get_by_role("button", name=re.compile("^test")).click()
    expect(page.get_by_role("combobox", name="Filter")).to_have_value("label.env:test")
    expect(page.get_by_role("status").first).to_have_text("40")


@pytest.mark.thorough
def test_what_is_wrong_with_a_filter_is_said_where_it_is_typed(page: Page, filled: str):
    page.goto(f"/p/{filled}/interactions")
    page.get_by_role("combobox", name="Filter").fill("CSAT>=good")
    expect(page.get_by_role("alert")).to_contain_text("comes a number")
    filter_by(page, "has:nothing")
    expect(page.get_by_role("alert").first).to_contain_text("not registered")


@pytest.mark.thorough
def test_a_link_shows_the_same_in_another_browser(visitor: Visitor, server: Any, filled: str):
    page = visitor(server.api_key).new_page()
    page.goto(f"/p/{filled}/interactions")
    filter_by(page, "label.env:test")
    rows(page).nth(2).click()
    # Which is drawn anew once what renders Markdown has come.
    expect(page.get_by_role("region", name="Conversation").get_by_role("heading").first).to_be_visible()
    expect(page.locator("[class*=unrendered]")).to_have_count(0)
    shown = page.get_by_role("region", name="Conversation").inner_text()
    other = visitor(server.api_key).new_page()
    other.goto(page.url)
    expect(other.get_by_role("region", name="Conversation")).to_have_text(shown, use_inner_text=True)
    expect(other.get_by_role("combobox", name="Filter")).to_have_value("label.env:test")


@pytest.mark.thorough
def test_the_list_is_walked_to_its_end_by_scrolling(page: Page, filled: str):
    page.goto(f"/p/{filled}/interactions")
    expect(rows(page).first).to_be_visible()
    grid = page.get_by_role("grid")
    last = page.locator("[aria-rowindex='121']")
    for _ in range(40):
        grid.evaluate("element => element.scrollTo(0, element.scrollHeight)")
        if last.count():
            break
        page.wait_for_function("() => document.querySelectorAll('[role=row][data-id]').length > 0")
    expect(last).to_be_visible()


@pytest.mark.thorough
def test_interactions_are_grouped_and_views_saved(page: Page, filled: str):
    page.goto(f"/p/{filled}/interactions?group=model")
    expect(page.get_by_role("columnheader", name="CSAT")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(2)
    name = f"By model {uuid4().hex[:6]}"
    page.get_by_role("button", name="Views").click()
    page.get_by_label("Save what is shown as").fill(name)
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"/p/{filled}/interactions")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name=name, exact=True).click()
    expect(page).to_have_url(re.compile("group=model"))


# ------------------------------------------------------------------------------------------------ one of them


def test_an_interaction_is_opened_with_its_image_rated_and_the_row_changes(
    page: Page, http: httpx.Client, project: str, log: Any
):
    http.post("/api/v1/metrics", json={"key": "CSAT", "project": project}).raise_for_status()
    log("Another")
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    logged = log(parts, "A small square.")
    page.goto(f"/p/{project}/interactions")
    row = page.locator(f"[data-id='{logged}']")
    row.click()
    picture = page.get_by_role("region", name="Conversation").get_by_role("img", name="In this message")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") == 10
    page.get_by_label("Comment").fill("Right")
    page.get_by_role("button", name="CSAT: 4").click()
    expect(row).to_contain_text("CSAT 4")
    expect(page.get_by_role("region", name="Conversation")).to_contain_text("Right")
    with page.expect_response(lambda answer: "/feedback/" in answer.url and answer.ok):
        page.locator("body").press("5")
    expect(row).to_contain_text("CSAT 5")
    # Who thinks again within a sitting has changed their mind, not said two things.
    [said] = http.get(f"/api/v1/interactions/{logged}").json()["feedback"]
    assert (said["value"], said["details"]) == (5, "Right")


@pytest.mark.thorough
def test_the_keyboard_is_enough(page: Page, project: str, log: Any):
    for name in ("first", "second", "third"):
        log(f"The {name}")
    page.goto(f"/p/{project}/interactions")
    expect(rows(page)).to_have_count(3)
    for key in ("j", "j", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("region", name="Conversation")).to_contain_text("The second")
    page.keyboard.press("j")
    expect(page.get_by_role("region", name="Conversation")).to_contain_text("The first")
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Conversation")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Filter")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


@pytest.mark.thorough
def test_labels_are_added_and_an_interaction_deleted(page: Page, http: httpx.Client, project: str, log: Any):
    logged = log()
    page.goto(f"/p/{project}/interactions/{logged}")
    page.get_by_role("button", name="Label", exact=True).click()
    page.get_by_role("combobox", name="Key").fill("quality")
    page.get_by_role("combobox", name="Value").fill("gold")
    # The page shows it before the server has answered.
    with page.expect_response(lambda answer: answer.url.endswith("/labels") and answer.ok):
        page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("link", name="quality gold")).to_be_visible()
    assert http.get(f"/api/v1/interactions/{logged}").json()["labels"] == {"quality": "gold"}
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile(f"/p/{project}/interactions$"))
    assert http.get(f"/api/v1/interactions/{logged}").status_code == 404


HOSTILE = (
    "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'><svg onload='window.hacked=3'></svg>\n\n"
    "[a link](javascript:window.hacked=4) [data](data:text/html,<script>window.hacked=5</script>) "
    "![remote](https://example.com/track.png) ![svg](data:image/svg+xml;base64,PHN2Zy8+) \u202egnp.exe "
)


def test_hostile_texts_do_nothing(page: Page, project: str, log: Any):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    logged = log(HOSTILE + "a" * 1_000_000, HOSTILE, labels={"<b>x": "<script>window.hacked=6</script>"})
    for path in (f"/p/{project}/interactions?open={logged}", f"/p/{project}/interactions/{logged}"):
        page.goto(path)
        shown = page.get_by_role("region", name="Conversation")
        expect(shown).to_contain_text("<script>window.hacked=1</script>")
        for link in shown.get_by_role("link").all():
            assert re.match(r"(https?:|mailto:|/)", link.get_attribute("href") or "/")
        page.get_by_role("button", name="Raw").click()
        expect(shown).to_contain_text("U+202E")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("window.hacked") is None
    assert not [url for url in asked if "example.com" in url]


# ------------------------------------------------------------------------------------------------ judging


def test_ten_pairs_are_judged_by_keyboard_and_the_ranking_knows(page: Page, filled: str, http: httpx.Client):
    def counted() -> int:
        ranking = http.get("/api/v1/preferences/ranking", params={"project": filled, "metric": "better"}).json()
        return sum(pair[name] for pair in ranking["pairs"] for name in ("wins", "losses", "good_ties", "bad_ties"))

    before = counted()
    page.goto(f"/p/{filled}/compare?metric=better")
    page.get_by_role("button", name="Start").click()
    verdict = page.get_by_role("group", name="Verdict")
    for number, key in enumerate("1234123412", 1):
        expect(verdict).to_be_visible()
        expect(page.get_by_role("heading", name="Left", exact=True)).to_be_visible()
        page.keyboard.press(key)
        expect(page.get_by_role("status").first).to_contain_text(f"{number} judged")
    # The last verdict may still be on its way.
    while counted() < before + 10:
        page.wait_for_timeout(50)
    assert counted() == before + 10
    page.goto(f"/p/{filled}/ranking?metric=better")
    expect(page.locator("table").first.locator("tbody tr")).to_have_count(2)
    expect(page.get_by_role("table").nth(1)).to_contain_text("%")


@pytest.mark.thorough
def test_a_verdict_given_by_mistake_is_given_again(page: Page, http: httpx.Client, project: str, log: Any):
    http.post("/api/v1/metrics", json={"key": "better", "kind": "bool", "project": project}).raise_for_status()
    ids = [log(f"Question {number}", f"{model}!", model=model) for number in (1, 2) for model in "ab"]

    def stored_feedback() -> list[tuple[str | None, str | None]]:
        found = [http.get(f"/api/v1/interactions/{one}").json()["preferences"] for one in ids]
        return [
            (one["tied"], one["details"])
            for one in {one["comparison_id"]: one for all in found for one in all}.values()
        ]

    page.goto(f"/p/{project}/compare?metric=better")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("group", name="Verdict")).to_be_visible()
    page.keyboard.press("4")
    expect(page.get_by_role("status").first).to_contain_text("1 judged")
    page.keyboard.press("b")
    expect(page.get_by_role("button", name="Both bad")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("w")
    page.get_by_label("Comment").press_sequentially("Both right 4 me")
    page.keyboard.press("Enter")
    # Arrows scroll, and judge nothing.
    page.keyboard.press("ArrowDown")
    with page.expect_response(lambda answer: answer.request.method == "PATCH" and '"good"' in answer.text()):
        page.keyboard.press("3")
    expect(page.get_by_role("status").first).to_contain_text("1 judged")
    assert stored_feedback() == [("good", "Both right 4 me")]


@pytest.mark.thorough
def test_two_completions_are_compared_word_by_word(page: Page, project: str, log: Any, http: httpx.Client):
    http.post("/api/v1/metrics", json={"key": "better", "kind": "bool", "project": project}).raise_for_status()
    left = log("Why?", "Because it is blue.", model="a")
    right = log("Why?", "Because it is green.", model="b")
    page.goto(f"/p/{project}/compare?left={left}")
    page.get_by_role("button", name=re.compile("^b ")).click()
    page.get_by_role("button", name="Differences").click()
    expect(page.locator("del")).to_have_text("blue")
    expect(page.locator("ins")).to_have_text("green")
    # The page shows it before the server has answered.
    with page.expect_response(lambda answer: answer.url.endswith("/comparison")):
        page.keyboard.press("2")
    expect(page.get_by_text("better: right is better")).to_be_visible()
    [said] = http.get(f"/api/v1/interactions/{right}").json()["preferences"]
    assert said["preferred_completion"] == right


@pytest.mark.thorough
def test_the_trend_of_a_metric_leads_to_its_interactions(page: Page, filled: str):
    page.goto(f"/p/{filled}/metrics?metric=CSAT")
    expect(page.locator("dd").first).to_have_text("120")
    expect(page.locator("canvas").first).to_be_visible()
    page.get_by_role("button", name="Table").click()
    expect(page.get_by_role("columnheader", name="Mean")).to_be_visible()
    page.get_by_role("button", name=re.compile("^5 ")).click()
    expect(page).to_have_url(re.compile(r"interactions\?q=CSAT%3D5"))
    expect(page.get_by_role("status").first).to_have_text("24")


# ------------------------------------------------------------------------------------------------ the rest


@pytest.mark.thorough
def test_one_chats_with_a_model_and_rates_what_comes(page: Page, http: httpx.Client, project: str):
    http.post("/api/v1/metrics", json={"key": "good", "kind": "bool", "project": project}).raise_for_status()
    http.post(f"/api/v1/projects/{project}/models", json={"model": "echo"}).raise_for_status()
    page.goto(f"/p/{project}/chat")
    page.get_by_label("Message").fill("Say **this** again")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="completion")).to_contain_text("Say this again")
    with page.expect_response("**/api/v1/feedback"):
        page.get_by_role("button", name="good: yes").click()
    [logged] = http.get("/api/v1/interactions", params={"project": project}).json()["interactions"]
    assert [one["value"] for one in logged["feedback"]] == [1]


@pytest.mark.thorough
def test_one_writes_to_a_model_once_the_models_are_known(page: Page, http: httpx.Client, project: str):
    http.post(f"/api/v1/projects/{project}/models", json={"model": "echo"}).raise_for_status()
    held: list[Route] = []
    models = f"**/api/v1/projects/{project}/models"
    page.route(models, lambda route: held.append(route))
    with page.expect_request(models):
        page.goto(f"/p/{project}/chat")
    expect(page.get_by_role("heading", name="Chat")).to_be_visible()
    expect(page.get_by_label("Message")).to_have_count(0)
    for route in held:
        route.continue_()
    page.get_by_label("Message").fill("Hello")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="completion")).to_contain_text("Hello")


@pytest.mark.thorough
def test_projects_keys_models_and_feedback_keys_are_made_on_the_page(page: Page, http: httpx.Client):
    name = f"made-{uuid4().hex[:8]}"
    page.goto("/projects")
    page.get_by_role("button", name="New project").click()
    page.get_by_role("textbox", name="Key").fill(name)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_role("link", name="Models").click()
    page.get_by_role("button", name="Register a model").click()
    page.get_by_role("combobox", name="Provider").select_option("echo")
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("cell", name=f"{name}/{name}")).to_be_visible()
    expect(page.get_by_text("online")).to_be_visible()
    page.get_by_role("link", name="Metrics").click()
    page.get_by_role("button", name="Register a key").click()
    page.get_by_role("textbox", name="Key").fill("helpful")
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_role("heading", name="helpful")).to_be_visible()
    page.get_by_role("link", name="Keys").click()
    page.get_by_role("button", name="New key").click()
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_role("button", name="Create", exact=True).click()
    made = page.get_by_label("API key").input_value()
    with httpx.Client(base_url=str(http.base_url), headers={"Authorization": f"Bearer {made}"}) as own:
        assert own.get("/api/v1/metrics", params={"project": name}).json()["metrics"][0]["key"] == "helpful"


@pytest.mark.thorough
def test_a_filter_is_exported_and_made_a_dataset(page: Page, filled: str, http: httpx.Client):
    page.goto(f"/p/{filled}/interactions?q=label.env%3Atest")
    page.get_by_role("button", name="Export these").click()
    with page.expect_download() as download:
        page.get_by_role("dialog").get_by_role("button", name="Export").click()
    lines = [json.loads(line) for line in Path(download.value.path()).read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 40
    assert {line["labels"]["env"] for line in lines} == {"test"}
    page.goto(f"/p/{filled}/datasets?q=label.env%3Atest")
    name = f"good {uuid4().hex[:6]}"
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("row", name=re.compile(name))).to_contain_text("40")


@pytest.mark.thorough
def test_an_ab_test_is_started_watched_and_ended(page: Page, http: httpx.Client, project: str):
    http.post("/api/v1/metrics", json={"key": "good", "kind": "bool", "project": project}).raise_for_status()
    for letter in "ab":
        body = {"key": f"{project}-{letter}", "provider": "echo", "project": project}
        http.post("/api/v1/models", json=body).raise_for_status()
    page.goto(f"/p/{project}/ab-tests")
    page.get_by_role("button", name="New test").click()
    page.get_by_role("textbox", name="Name").fill(f"test-{project}")
    for letter in "ab":
        page.get_by_label(f"{project}-{letter}").check()
    page.get_by_label("What counts").select_option("outcomes of sessions under the key")
    page.get_by_role("button", name="Start").click()
    report = page.get_by_role("region", name=f"test-{project}")
    expect(report).to_contain_text("30 sessions with an outcome")
    for letter in "ab":
        turn = {"project": project, "model": f"{project}-{letter}", "ab_campaign": f"test-{project}", "session_id": "s"}
        body = {"messages": [{"role": "user", "content": "Hi"}], "completion": "Ho", **turn}
        http.post("/api/v1/interactions", json=body).raise_for_status()
    outcome = {"project": project, "session_id": "s", "metric": "good", "value": True}
    http.post("/api/v1/outcomes", json=outcome).raise_for_status()
    page.reload()
    expect(report).to_contain_text("1 session that was answered by several of the models")
    report.get_by_role("button", name="End it").click()
    page.get_by_role("dialog").get_by_role("button", name="End the test").click()
    expect(page.get_by_text("cancelled")).to_be_visible()
