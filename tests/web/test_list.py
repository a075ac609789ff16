"""What people do every hour with the list: narrow it, select in it, come back to it; and what each may do there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

pytestmark = pytest.mark.thorough

Visitor = Callable[..., BrowserContext]
KEYS = 300
ROWS = 300
START = 1_790_000_000_000
HOUR = 3_600_000


@pytest.fixture(scope="module")
def shop(server: Any) -> str:
    """A project of three hundred interactions, an hour apart, under three hundred label keys; one in ten failed."""
    project = f"shop-{uuid4().hex[:8]}"
    with server.client() as http:
        http.post("/api/v1/projects", json={"key": project, "name": "Shop"}).raise_for_status()
        for key, kind in (("CSAT", "scalar"), ("helpful", "bool")):
            http.post("/api/v1/metrics", json={"key": key, "kind": kind, "project": project}).raise_for_status()
        lines = [
            {
                "messages": [{"role": "user", "content": f"Question {number}"}],
                "completion": f"Answer {number}",
                "model": f"model-{number % 12}",
                "labels": {"env": "prod" if number % 4 else "test", f"key-{number % KEYS}": "x"}
                | ({"row": str(number)} if number > 200 else {}),
                "usage": {"total_tokens": number},
                "parameters": {"temperature": number / 100},
                "created_at": START + number * HOUR,
                "call": None if number % 10 else {"state": "failed", "error": {"message": "The provider hung up."}},
                "feedbacks": [{"metric": "CSAT", "value": 1 + number % 5}],
            }
            for number in range(ROWS)
        ]
        content = "\n".join(map(json.dumps, lines))
        http.post("/api/v1/interactions/batch", params={"project": project}, content=content).raise_for_status()
    return project


def rows(page: Page) -> Any:
    return page.locator("[role=row][data-id]")


def number(page: Page) -> Any:
    """Return where it says how many interactions the filter finds."""
    return page.get_by_role("status").first


def query(page: Page) -> Any:
    return page.get_by_role("combobox", name="Filter")


# ------------------------------------------------------------------------------------------------ who may what


def test_each_project_offers_what_one_may_there(visitor: Visitor, http: httpx.Client, shop: str, project: str):
    body = {"messages": [{"role": "user", "content": "Hi"}], "completion": "Ho", "project": project, "model": "own"}
    http.post("/api/v1/interactions", json=body).raise_for_status()
    teams = {role: f"team-{uuid4().hex[:8]}" for role in ("annotator", "read-only")}
    for role, one in ((shop, "read-only"), (project, "annotator")):
        http.post("/api/v1/teams", json={"name": teams[one]}).raise_for_status()
        shares = {"shares": [{"team": teams[one], "role": one}]}
        http.put(f"/api/v1/projects/{role}/shares", json=shares).raise_for_status()
    address = f"{uuid4().hex[:8]}@example.com"
    memberships = [{"team": team, "role": role} for role, team in teams.items()]
    new = {"name": "Ann", "email": address, "teams": memberships, "generate_api_key": True}
    key = http.post("/api/v1/users", json=new).raise_for_status().json()["api_key"]
    page = visitor(key).new_page()
    for name, may_write in ((project, True), (shop, False)):
        page.goto(f"/p/{name}/interactions")
        rows(page).first.click()
        expect(page.get_by_role("region", name="Conversation")).to_be_visible()
        expect(page.get_by_role("button", name="Label", exact=True)).to_have_count(int(may_write))
        page.get_by_role("button", name="Close").click()
        page.keyboard.press("x")
        expect(page.get_by_role("button", name="Export…")).to_be_visible()
        expect(page.get_by_role("button", name="Label…")).to_have_count(int(may_write))
        expect(page.get_by_role("button", name="Delete…")).to_have_count(0)
    # The models of the project stand in its filter, whoever looks; those of others do not.
    page.goto(f"/p/{project}/interactions")
    query(page).fill("model:")
    expect(page.get_by_role("listbox").get_by_role("option")).to_have_text(["model:own"])
    # An administrator sees what the key may, and not the role that it was made with.
    page = visitor(http.headers["authorization"].removeprefix("Bearer ")).new_page()
    page.goto("/keys")
    row = page.get_by_role("row", name=re.compile(address))
    expect(row).to_contain_text(f"{project} read, write")
    expect(row).not_to_contain_text("member")


def test_an_administrator_of_one_project_is_not_offered_the_server(visitor: Visitor, http: httpx.Client, shop: str):
    body = {"name": "bound", "role": "admin", "projects": [shop]}
    page = visitor(http.post("/api/v1/keys", json=body).json()["api_key"]).new_page()
    page.goto("/projects")
    expect(page.get_by_role("button", name="Archive")).to_be_visible()
    expect(page.get_by_role("button", name="New project")).to_have_count(0)
    page.goto(f"/p/{shop}/models")
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    expect(page.get_by_role("button", name="Register a model")).to_have_count(0)


def test_a_key_that_reads_nothing_is_told_so_and_can_sign_out(visitor: Visitor, http: httpx.Client, shop: str):
    key = http.post("/api/v1/keys", json={"name": "robot", "role": "ingest"}).json()["api_key"]
    page = visitor().new_page()
    page.goto(f"/p/{shop}/interactions")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="This key reads nothing")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("log interactions and give feedback")
    page.get_by_role("button", name=re.compile("Sign out")).click()
    expect(page.get_by_label("API key")).to_be_visible()


# ------------------------------------------------------------------------------------------------ narrowing


def test_facets_time_and_chart_narrow_the_list_and_back_finds_it_again(page: Page, shop: str):
    page.goto(f"/p/{shop}/interactions")
    expect(number(page)).to_have_text("300")
    facets = page.get_by_role("complementary", name="Facets")
    env = facets.get_by_role("list", name="env")
    expect(env.get_by_role("button", name=re.compile("^prod"))).to_contain_text("225")
    env.get_by_role("button", name=re.compile("^prod")).click()
    expect(query(page)).to_have_value("label.env:prod")
    expect(number(page)).to_have_text("225")
    facets.get_by_role("list", name="State").get_by_role("button", name="Without failed").click()
    expect(query(page)).to_have_value("label.env:prod -state:failed")
    expect(number(page)).to_have_text("210")
    # The place in the list comes back with the filter, from another filter and from another screen.
    grid = page.get_by_role("grid")
    grid.evaluate("element => element.scrollTo(0, 60 * 36)")
    top = grid.evaluate("element => element.scrollTop")
    assert top > 1_000
    chart = page.get_by_role("region", name="Over time").get_by_role("img")
    expect(chart).to_have_attribute("aria-label", re.compile("^210 interactions by day"))
    box = chart.bounding_box() or {}
    page.mouse.move(box["x"] + 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20, steps=4)
    page.mouse.up()
    expect(query(page)).to_have_value(re.compile('^label.env:prod -state:failed from:".*Z" to:".*Z"$'))
    expect(number(page)).not_to_have_text("210")
    expect(page.get_by_role("button", name=re.compile("Time range: .* – "))).to_be_visible()
    page.go_back()
    expect(number(page)).to_have_text("210")
    page.wait_for_function("top => document.querySelector('[role=grid]').scrollTop === top", arg=top)
    page.keyboard.press("g")
    page.keyboard.press("m")
    expect(page).to_have_url(re.compile("/metrics"))
    page.go_back()
    expect(query(page)).to_have_value("label.env:prod -state:failed")
    page.wait_for_function("top => document.querySelector('[role=grid]')?.scrollTop === top", arg=top)
    page.get_by_role("button", name=re.compile("Time range")).click()
    page.get_by_role("button", name="Last 7 days").click()
    expect(query(page)).to_have_value("label.env:prod -state:failed from:7d")
    page.get_by_role("button", name="Time range: Last 7 days").click()
    page.get_by_role("button", name="Any time").click()
    expect(query(page)).to_have_value("label.env:prod -state:failed")


def test_a_cell_keeps_to_its_value_or_leaves_it_out(page: Page, shop: str):
    page.goto(f"/p/{shop}/interactions")
    rows(page).nth(1).locator("[data-column=model] [data-condition]").hover()
    page.get_by_role("button", name="Without model:model-10").click()
    expect(query(page)).to_have_value("-model:model-10")
    expect(number(page)).to_have_text("275")
    page.goto(f"/p/{shop}/interactions?columns=prompt,feedback:CSAT")
    rows(page).first.locator("[data-column='feedback:CSAT'] [data-condition]").hover()
    page.get_by_role("button", name="Only CSAT=5").click()
    expect(query(page)).to_have_value("CSAT=5")
    expect(number(page)).to_have_text("60")


def test_of_three_hundred_label_keys_none_is_hidden(page: Page, shop: str):
    page.goto(f"/p/{shop}/interactions")
    query(page).fill("label.")
    listed = page.get_by_role("listbox")
    # The most used one comes first, and how many are left out is said.
    expect(listed.get_by_role("option").first).to_contain_text("label.env:")
    expect(listed).to_contain_text(re.compile(r"\d+ more: type on"))
    query(page).fill("label.key-29")
    expect(listed.get_by_role("option")).to_have_count(11)
    query(page).fill("")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Add filter").click()
    expect(page.get_by_role("dialog")).to_contain_text(re.compile(r"252 more: type"))
    page.get_by_role("searchbox", name="Search label keys").fill("key-299")
    choice = page.get_by_role("dialog", name="Add a filter")
    choice.get_by_role("button", name=re.compile("^key-299")).click()
    choice.get_by_role("button", name=re.compile("^x")).click()
    expect(query(page)).to_have_value("label.key-299:x")
    expect(number(page)).to_have_text("1")
    page.get_by_role("button", name="Clear the filter").click()
    page.get_by_role("searchbox", name="Search facets").fill("key-298")
    facet = page.get_by_role("complementary", name="Facets").get_by_role("group").filter(has_text="key-298")
    expect(facet).to_be_visible()
    page.get_by_role("button", name="Group", exact=True).click()
    page.get_by_role("searchbox", name="Search label keys").fill("key-299")
    page.get_by_role("dialog", name="Group by").get_by_role("button", name=re.compile("^key-299")).click()
    expect(page.get_by_role("table")).to_contain_text("299")
    # Of twelve models eight are drawn, and which, one chooses.
    page.goto(f"/p/{shop}/metrics?metric=CSAT&split=model")
    series = page.get_by_role("group", name="Series")
    expect(series).to_contain_text("8 of 12 are drawn")
    expect(page.get_by_role("columnheader", name="Std. deviation")).to_be_visible()
    hidden = series.get_by_role("button", pressed=False).first
    name = hidden.inner_text()
    hidden.click()
    expect(series.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")
    assert "series=" in page.url


def test_closed_facets_of_three_hundred_label_keys_ask_for_nothing(page: Page, shop: str):
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/interactions/facets") and request.post_data_json.get("only"):
            asked.append(request.post_data_json["only"])

    page.on("request", note)
    page.goto(f"/p/{shop}/interactions")
    facets = page.get_by_role("complementary", name="Facets")
    expect(facets.get_by_role("list", name="env")).to_be_visible()
    page.get_by_role("searchbox", name="Search facets").fill("key-2")
    closed = facets.locator("details:not([open])")
    expect(closed).to_have_count(10)
    assert asked == []
    with page.expect_response("**/interactions/facets"):
        closed.last.locator("summary").click()
    assert len(asked) == 1


# ------------------------------------------------------------------------------------------------ selecting


def test_all_that_match_are_labelled_and_it_is_undone(page: Page, http: httpx.Client, shop: str):
    def labelled() -> int:
        query = {"project": shop, "label": "checked:yes", "count": True, "limit": 1}
        return http.get("/api/v1/interactions", params=query).json()["count"]

    page.goto(f"/p/{shop}/interactions?q=label.env:prod")
    expect(rows(page).first).to_be_visible()
    bar = page.get_by_role("region", name="Selection")
    rows(page).nth(1).get_by_role("checkbox").click()
    rows(page).nth(4).click(modifiers=["Shift"])
    rows(page).nth(6).click(modifiers=["ControlOrMeta"])
    expect(bar).to_contain_text("5 selected")
    expect(page.get_by_role("region", name="Conversation")).to_have_count(0)
    page.get_by_role("checkbox", name="Select all that are loaded").click()
    bar.get_by_role("button", name="Select all 225 that match").click()
    expect(bar).to_contain_text("225 selected")
    bar.get_by_role("button", name="Label…").click()
    dialog = page.get_by_role("dialog", name="Label 225 interactions")
    dialog.get_by_label("Key").fill("checked")
    dialog.get_by_label("Value").fill("yes")
    dialog.get_by_role("button", name="Label 225 interactions").click()
    expect(page.get_by_text("225 interactions are labelled checked: yes")).to_be_visible(timeout=60_000)
    assert labelled() == 225
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("It is taken back")).to_be_visible(timeout=60_000)
    assert labelled() == 0
    bar.get_by_role("button", name="Clear selection").click()
    expect(bar).to_have_count(0)


def test_what_is_selected_is_rated_exported_and_deleted(page: Page, http: httpx.Client, project: str):
    http.post("/api/v1/metrics", json={"key": "helpful", "kind": "bool", "project": project}).raise_for_status()
    for number_ in range(3):
        body = {"messages": [{"role": "user", "content": "Hi"}], "completion": f"Ho {number_}", "project": project}
        http.post("/api/v1/interactions", json=body).raise_for_status()
    page.goto(f"/p/{project}/interactions")
    expect(rows(page)).to_have_count(3)
    for key in ("j", "x", "j", "X"):
        page.keyboard.press(key)
    bar = page.get_by_role("region", name="Selection")
    expect(bar).to_contain_text("2 selected")
    bar.get_by_role("button", name="Rate…").click()
    page.get_by_role("combobox", name="Value").select_option("yes")
    page.get_by_role("button", name="Rate 2 interactions").click()
    expect(page.get_by_text("2 interactions are rated")).to_be_visible()
    bar.get_by_role("button", name="Export…").click()
    expect(page.get_by_role("dialog", name="Export")).to_contain_text("2 interactions")
    page.get_by_role("dialog", name="Export").get_by_role("button", name="Close").click()
    bar.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 2 interactions").click()
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).not_to_contain_text("helpful")

    def logged() -> int:
        return len(http.get("/api/v1/interactions", params={"project": project}).json()["interactions"])

    # Until the notice goes nothing is deleted, and it can be undone.
    assert logged() == 3
    page.get_by_text("2 interactions are deleted").locator("..").get_by_role("button", name="Undo").click()
    expect(rows(page)).to_have_count(3)
    rows(page).first.get_by_role("checkbox").check()
    bar.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 1 interaction").click()
    expect(rows(page)).to_have_count(2)
    assert logged() == 3
    # Whoever leaves the page has not changed their mind.
    page.goto("/keys")
    while logged() != 2:
        pass


def test_rows_are_selected_by_thumb_on_a_telephone(visitor: Visitor, server: Any, http: httpx.Client, project: str):
    for number_ in range(30):
        body = {"messages": [{"role": "user", "content": f"Hi {number_}"}], "completion": "Ho", "project": project}
        http.post("/api/v1/interactions", json=body).raise_for_status()
    page = visitor(server.api_key, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True).new_page()
    page.goto(f"/p/{project}/interactions")
    bar = page.get_by_role("region", name="Selection")
    page.get_by_role("button", name="Select", exact=True).tap()
    expect(bar).to_contain_text("0 selected")
    for place in (0, 2, 3, 2):
        rows(page).nth(place).tap()
    expect(bar).to_contain_text("2 selected")
    expect(rows(page).nth(3).get_by_role("checkbox")).to_be_checked()
    expect(page.get_by_role("region", name="Conversation")).to_have_count(0)
    # All acts are in sight, in reach of the thumb, and large enough for it; the last row is not covered.
    for act in bar.get_by_role("button").all():
        expect(act).to_be_in_viewport(ratio=1)
        box = act.bounding_box() or {}
        assert min(box["width"], box["height"]) >= 40
        assert box["y"] > 600
    grid = page.get_by_role("grid")
    grid.evaluate("element => element.scrollTo(0, element.scrollHeight)")
    last = rows(page).filter(has_text="Hi 0")
    expect(last).to_be_visible()
    assert (last.bounding_box() or {})["y"] + 60 <= (bar.bounding_box() or {})["y"]
    bar.get_by_role("button", name="Select all 30 that match").tap()
    expect(bar).to_contain_text("30 selected")
    bar.get_by_role("button", name="Label…").tap()
    dialog = page.get_by_role("dialog", name="Label 30 interactions")
    dialog.get_by_label("Key").fill("seen")
    dialog.get_by_label("Value").fill("yes")
    dialog.get_by_role("button", name="Label 30 interactions").tap()
    expect(page.get_by_text("30 interactions are labelled seen: yes")).to_be_visible()
    bar.get_by_role("button", name="Clear selection").tap()
    expect(bar).to_have_count(0)
    rows(page).last.tap()
    expect(page.get_by_role("region", name="Conversation")).to_be_visible()


# ------------------------------------------------------------------------------------------------ columns and rows


def test_columns_of_labels_and_paths_are_added_drawn_and_sorted(page: Page, shop: str):
    page.goto(f"/p/{shop}/interactions")
    expect(rows(page).first).to_contain_text("Question 299")
    # What does not fit is counted, and what failed says why.
    expect(rows(page).first.locator("[data-column=labels]")).to_contain_text(re.compile(r"\+[12]"))
    expect(rows(page).nth(9)).to_contain_text("The provider hung up.")
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("combobox", name="Another column").select_option("json")
    page.get_by_label("Path").fill("parameters.temperature")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("combobox", name="Another column").select_option("label")
    page.get_by_role("searchbox", name="Search label keys").fill("row")
    page.get_by_role("dialog").get_by_role("button", name=re.compile("^row")).click()
    page.keyboard.press("Escape")
    expect(rows(page).first).to_contain_text("2.99")
    page.get_by_role("columnheader", name="Time").get_by_role("button").click()
    expect(rows(page).first).to_contain_text("Question 0")
    expect(page).to_have_url(re.compile("order=created_at"))
    head = page.get_by_role("columnheader", name="Model")
    width = (head.bounding_box() or {})["width"]
    page.get_by_role("separator", name="Width of Model").press("ArrowRight")
    page.wait_for_function(
        "width => document.querySelector('[data-key=model]').getBoundingClientRect().width > width + 8", arg=width
    )
    page.reload()
    expect(rows(page).first).to_contain_text("Question 0")
    expect(page.get_by_role("columnheader", name="parameters.temperature")).to_be_visible()


def test_an_environment_is_a_column_a_filter_a_group_and_a_fact(page: Page, http: httpx.Client, project: str):
    for name in ("production", "staging"):
        body = {"messages": [{"role": "user", "content": f"In {name}"}], "completion": "Yes", "environment": name}
        http.post("/api/v1/interactions", json={"project": project, **body}).raise_for_status()
    page.goto(f"/p/{project}/interactions?q=environment:staging&columns=prompt,environment")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).first.locator("[data-column=environment]")).to_have_text("staging")
    page.goto(f"/p/{project}/interactions?group=environment")
    page.get_by_role("link", name="production").click()
    expect(page).to_have_url(re.compile("q=environment%3Aproduction|q=environment:production"))
    rows(page).first.click()
    expect(page.get_by_title("Show all of these").filter(has_text="production")).to_be_visible()


def test_rows_are_links_and_windows_have_names(page: Page, shop: str):
    page.goto(f"/p/{shop}/interactions?q=label.env:test")
    expect(page).to_have_title("label.env:test · Interactions · Shop · Afterword")
    with page.context.expect_page() as opened:
        rows(page).first.click(button="middle")
    other = opened.value
    expect(other.get_by_role("region", name="Conversation")).to_contain_text("Question 296")
    expect(other).to_have_title("Question 296 · Shop · Afterword")
    expect(query(other)).to_have_value("label.env:test")
    other.close()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Go to").fill("rank")
    page.keyboard.press("Enter")
    expect(page).to_have_title("Ranking · Shop · Afterword")
    page.keyboard.press("g")
    page.keyboard.press("d")
    expect(page.get_by_role("heading", name="Datasets")).to_be_visible()


def test_errors_are_told_for_people(page: Page):
    page.goto("/p/nowhere/interactions")
    told = page.get_by_role("alert").first
    expect(told).to_contain_text("Project 'nowhere' does not exist")
    expect(told).to_contain_text("Choose another project")
    assert not re.search("EntityNotFound|/api/|GET ", told.inner_text())
