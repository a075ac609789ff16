"""Sessions on the page: found in the list, read as one thread, rated and judged, reached by link, deleted."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.thorough

ALONE = {"messages": [{"role": "user", "content": "Hello"}], "completion": "Hi"}


@pytest.fixture
def talk(http: httpx.Client, project: str) -> list[str]:
    """The ids of three turns of the session `chat 42`, of which each sends the conversation again."""
    for key in ("solved", "helpful"):
        http.post("/api/v1/metrics", json={"key": key, "kind": "bool", "project": project}).raise_for_status()
    questions = ["My lamp does not light.", "It has a new bulb.", "Now it does, thanks!"]
    answers = ["Is the bulb **broken**?", "Then press the switch twice.", "You are welcome."]
    messages: list[dict[str, str]] = [{"role": "system", "content": "You repair lamps."}]
    ids = []
    for question, answer in zip(questions, answers, strict=True):
        messages = [*messages, {"role": "user", "content": question}]
        body = {
            "project": project, "session_id": "chat 42", "messages": messages, "completion": answer, "model": "lamp-1",
            "user": "ann", "usage": {"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500},
        }  # fmt: skip
        ids.append(http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"])
        messages = [*messages, {"role": "assistant", "content": answer}]
    http.post("/api/v1/interactions", json={**ALONE, "project": project}).raise_for_status()
    return ids


def test_a_session_is_read_rated_and_judged_as_one_thread(
    page: Page, http: httpx.Client, project: str, talk: list[str]
):
    page.goto(f"/p/{project}/interactions")
    page.get_by_role("link", name="Sessions").click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("lamp-1")
    page.get_by_label("Single interactions, too").check()
    expect(rows).to_have_count(2)
    bar = page.get_by_role("combobox", name="Filter")
    bar.fill("-has:session.solved model:lamp-1 OR text:nowhere")
    bar.press("Enter")
    expect(rows).to_have_count(1)
    bar.fill("has:session.solved")
    bar.press("Enter")
    expect(page.get_by_role("heading", name="No session fits")).to_be_visible()
    outcome = {"project": project, "session_id": "chat 42", "metric": "solved", "value": True}
    logged = http.post("/api/v1/outcomes", json=outcome).raise_for_status().json()
    page.reload()
    expect(rows).to_have_count(1)
    _pictures(page, "sessions")
    http.delete(f"/api/v1/outcomes/{logged['outcome_id']}").raise_for_status()
    page.get_by_role("button", name="Clear the filter").click()
    expect(rows).to_have_count(2)
    page.get_by_role("link", name="chat 42").click()
    turns = page.get_by_role("list", name="Turns").locator("> li")
    expect(turns).to_have_count(3)
    for text in ("You repair lamps.", "My lamp does not light.", "It has a new bulb.", "Then press the switch twice."):
        expect(page.get_by_text(text)).to_have_count(1)

    turns.nth(1).get_by_text("Rate", exact=True).click()
    turns.nth(1).get_by_role("button", name="helpful: yes").click()
    expect(turns.nth(1).locator("summary").first).to_contain_text("helpful")
    [feedback] = _until(lambda: http.get(f"/api/v1/interactions/{talk[1]}").json()["feedback"])
    assert (feedback["metric"], feedback["value"]) == ("helpful", 1.0)

    outcome = page.get_by_role("region", name="Outcome")
    outcome.get_by_role("button", name="Give an outcome").click()
    page.get_by_label("Feedback key").select_option("solved")
    page.get_by_label("Details").fill("It shines.")
    page.get_by_role("button", name="Save").click()
    expect(outcome.get_by_text("It shines.")).to_be_visible()
    outcome.get_by_role("button", name="Change this outcome").click()
    page.get_by_label("Value").select_option("0")
    page.get_by_role("button", name="Save").click()
    expect(outcome.get_by_label("no", exact=True)).to_be_visible()
    _pictures(page, "session")
    outcome.get_by_role("button", name="Delete this outcome").click()
    expect(outcome.get_by_text("It shines.")).to_have_count(0)

    turns.nth(2).get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(talk[2]))
    page.get_by_text("Session", exact=True).click()
    page.get_by_role("link", name="Read the session as one thread").click()
    expect(turns).to_have_count(3)
    page.goto(f"/p/{project}/sessions/chat%2042")
    expect(turns).to_have_count(3)
    page.get_by_role("button", name="Delete this session").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("heading", name="No session of several turns yet")).to_be_visible()
    assert http.get(f"/api/v1/interactions/{talk[0]}").status_code == 404
    page.goto(f"/p/{project}/sessions/chat%2042")
    expect(page.get_by_role("heading", name="There is no such session")).to_be_visible()


def test_steps_stand_below_their_turn_and_keys_rate_them(page: Page, http: httpx.Client, project: str):
    ids: list[str] = []
    for key in ("helpful", "solved"):
        http.post("/api/v1/metrics", json={"key": key, "kind": "bool", "project": project}).raise_for_status()
    steps = [(None, None), (0, "plan"), (1, "search"), (0, "book"), (None, None), ("0" * 32, "lost")]
    for second, (parent, step) in enumerate(steps):
        body = {
            "project": project, "session_id": "agent", "step": step, "completion": f"Answer {second}",
            "messages": [{"role": "user", "content": f"Prompt {second}"}], "created_at": f"2024-02-01T00:00:0{second}Z",
            "parent": ids[parent] if isinstance(parent, int) else parent,
        }  # fmt: skip
        ids.append(http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"])
    page.goto(f"/p/{project}/sessions/agent")
    turns = page.get_by_role("list", name="Turns").locator("> li")
    expect(turns).to_have_count(6)
    names = ["Turn 1", "Step plan", "Step search", "Step book", "Turn 2", "Turn 3"]
    assert [turn.get_attribute("aria-label") for turn in turns.all()] == names
    lefts = [turn.bounding_box()["x"] for turn in turns.all()]  # pyright: ignore[reportOptionalSubscript]
    assert lefts[0] < lefts[1] < lefts[2] > lefts[3] > lefts[4] == lefts[0]
    expect(turns.nth(5)).to_contain_text("whose parent is missing")
    turns.nth(1).get_by_role("button", name="1 step").click()
    expect(turns).to_have_count(5)
    turns.nth(0).get_by_role("button", name="3 steps").click()
    expect(turns).to_have_count(3)
    turns.nth(0).get_by_role("button", name="3 steps").click()
    expect(turns).to_have_count(5)

    for key in ("j", "ArrowDown", "j", "k"):
        page.keyboard.press(key)
    expect(turns.nth(1)).to_have_attribute("aria-current", "true")
    expect(turns.nth(1).get_by_role("button", name="helpful: yes")).to_be_visible()
    page.keyboard.press("1")
    expect(turns.nth(1).get_by_role("button", name="helpful: yes")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("m")
    page.keyboard.press("0")
    expect(turns.nth(1).get_by_role("button", name="solved: no")).to_have_attribute("aria-pressed", "true")
    _pictures(page, "steps")
    page.keyboard.press("j")
    expect(turns.nth(2)).to_have_attribute("aria-current", "true")
    expect(turns.nth(2).get_by_role("button", name="helpful: yes")).to_be_visible()
    page.keyboard.press("0")
    expect(turns.nth(2).get_by_role("button", name="helpful: no")).to_have_attribute("aria-pressed", "true")
    values = [_until(lambda id=id, count=count: _given(http, id, count)) for id, count in ((ids[1], 2), (ids[3], 1))]
    assert values == [{"helpful": 1.0, "solved": 0.0}, {"helpful": 0.0}]
    page.get_by_role("region", name="Outcome").get_by_role("button", name="Give an outcome").click()
    page.goto(f"/p/{project}/interactions/{ids[5]}")
    expect(page.get_by_text("(missing)")).to_be_visible()


def test_a_step_before_its_parent_moves_below_it_once_that_is_shown(page: Page, http: httpx.Client, project: str):
    parent = str(uuid4())
    elsewhere = http.post("/api/v1/interactions", json={**ALONE, "project": project}).raise_for_status().json()
    turns = [
        {"parent": parent, "step": "early"},
        {"parent": elsewhere["completion_id"], "step": "guest"},
        *[{} for _ in range(30)],
        {"completion_id": parent, "completion": "The parent"},
        {"parent": parent, "step": "late"},
    ]
    lines = [
        {**ALONE, "session_id": "long", "created_at": f"2024-02-01T00:00:{second:02}Z", **turn}
        for second, turn in enumerate(turns)
    ]
    http.post("/api/v1/interactions/batch", params={"project": project}, json=lines).raise_for_status()
    page.goto(f"/p/{project}/sessions/long")
    items = page.get_by_role("list", name="Turns").locator("> li")
    expect(items).to_have_count(30)
    expect(items.nth(0)).to_have_accessible_name("Step early")
    expect(items.nth(0).get_by_role("link", name="a step of a turn further down")).to_be_visible()
    expect(items.nth(1)).to_have_accessible_name("Turn 1")
    expect(items.nth(1).get_by_role("link", name="a step of a turn in another session")).to_be_visible()
    page.get_by_role("button", name="Show more of the 34 turns").click()
    expect(items).to_have_count(34)
    expect(items.nth(31)).to_contain_text("The parent")
    expect(items.nth(31)).to_have_accessible_name("Turn 32")
    expect(items.nth(32)).to_have_accessible_name("Step early")
    expect(items.nth(33)).to_have_accessible_name("Step late")
    expect(page.get_by_role("link", name="a step of a turn further down")).to_have_count(0)


def test_words_that_turns_repeat_and_details_are_found_on_the_page(
    page: Page, http: httpx.Client, project: str, talk: list[str]
):
    for completion_id, details in ((talk[0], "far too curt"), (talk[1], "helped at once")):
        body = {"completion_id": completion_id, "metric": "helpful", "value": True, "details": details}
        http.post("/api/v1/feedback", json=body).raise_for_status()
    outcome = {"project": project, "session_id": "chat 42", "metric": "solved", "value": True, "details": "It shone"}
    http.post("/api/v1/outcomes", json=outcome).raise_for_status()
    _until(lambda: not http.get("/health").json()["search"]["waiting"])
    page.goto(f"/p/{project}/interactions")
    bar = page.get_by_role("combobox", name="Filter")
    rows = page.get_by_role("row").filter(has=page.get_by_text("lamp-1"))
    for query, shown in (
        ("light", ["My lamp does not light."]),
        ("light repeats:true", ["You are welcome.", "Then press the switch twice.", "My lamp does not light."]),
        ("details:curt", ["My lamp does not light."]),
        ('details:"at once"', ["Then press the switch twice."]),
        ("details:shone", ["You are welcome."]),
    ):
        bar.fill(query)
        bar.press("Enter")
        expect(rows).to_have_count(len(shown))
        for row, text in zip(rows.all(), shown, strict=True):
            expect(row).to_contain_text(text)


def _given(http: httpx.Client, completion_id: str, count: int) -> dict[str, float] | None:
    """Return the values of an interaction by feedback key, once there are so many."""
    feedback = http.get(f"/api/v1/interactions/{completion_id}").json()["feedback"]
    return {given["metric"]: given["value"] for given in feedback} if len(feedback) == count else None


def _until(read: Any) -> Any:
    while not (found := read()):
        pass
    return found


def _pictures(page: Page, name: str) -> None:
    """Take a picture at each width, in both schemes, where a directory for them is named."""
    if directory := os.environ.get("AFTERWORD_TEST_PICTURES"):
        for scheme in ("light", "dark"):
            for width in (1440, 1280, 390):
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({"width": width, "height": 900})
                page.screenshot(path=str(Path(directory) / f"{name}-{width}-{scheme}.png"), full_page=True)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1440, "height": 900})
