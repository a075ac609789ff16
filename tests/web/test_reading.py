"""One interaction: how it is read, searched, copied and gone on with; and a project with many feedback keys."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

pytestmark = pytest.mark.thorough

Visitor = Callable[..., BrowserContext]
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGNgGAWjYBSMAkgBAAeeAAFSxuqMAAAA"
    "AElFTkSuQmCC"
)
IMAGE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}
TOOL = {
    "type": "function",
    "function": {
        "name": "find_order",
        "description": "Find an order\nby its number.",
        "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}},
    },
}


@pytest.fixture
def log(http: httpx.Client, project: str) -> Callable[..., str]:
    """Log an interaction in the test's own project."""

    def logged(*messages: Any, completion: Any = "Hi", **more: Any) -> str:
        told = [{"role": "user", "content": one} if isinstance(one, str) else one for one in messages]
        body = {"messages": told, "completion": completion, "project": project, **more}
        return http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"]

    return logged


def copied(page: Page) -> str:
    return page.evaluate("navigator.clipboard.readText()")


def in_menu(page: Page, name: str) -> None:
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name=name).click()


def test_json_is_a_tree_that_is_folded_searched_and_copied_by_path(page: Page, project: str, log: Any):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    parts = [{"type": "text", "text": "Which Heron?"}, {"type": "text", "text": "That one"}]
    page.goto(f"/p/{project}/interactions/{log({'role': 'user', 'content': parts}, parameters={'odd key': [7]})}")
    page.get_by_role("button", name="JSON", exact=True).click()
    tree = page.get_by_role("tree")
    rows = tree.get_by_role("treeitem")
    expect(rows.filter(has_text='"odd key"')).to_be_visible()
    before = rows.count()
    rows.filter(has_text='"parameters"').get_by_role("button", name="Fold", exact=True).click()
    expect(rows.filter(has_text='"odd key"')).to_have_count(0)
    page.get_by_label("Search in the JSON").fill("heron")
    expect(page.get_by_text("2 found")).to_be_visible()
    expect(tree.locator("mark").first).to_have_text("Heron")
    assert rows.count() < before
    rows.filter(has_text='"text": "Which').click()
    page.get_by_role("button", name="Copy the path messages[0].content[0].text").click()
    expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    assert copied(page) == "messages[0].content[0].text"
    # By key: to what is around it, fold it, and open it again.
    row = rows.filter(has_text='"text": "Which')
    row.focus()
    for key in ("ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    expect(row).to_have_count(0)
    page.keyboard.press("ArrowRight")
    expect(row).to_have_count(1)


def test_tools_stand_apart_and_a_call_is_copied_as_code_that_makes_it(
    page: Page, server: Any, http: httpx.Client, project: str, log: Any
):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    http.post(f"/api/v1/projects/{project}/models", json={"model": "echo"}).raise_for_status()
    parameters = {"tools": [TOOL], "temperature": 0.5, "top_k": 3}
    page.goto(f"/p/{project}/interactions/{log(IMAGE, 'It’s “5” $HOME', model='echo', parameters=parameters)}")
    shown = page.get_by_role("region", name="Conversation")
    page.get_by_text("1 tool").click()
    expect(shown).to_contain_text("Find an order\nby its number.")
    expect(shown).to_contain_text('"order"')
    in_menu(page, "Copy as curl")
    expect(page.get_by_text("The command is copied")).to_be_visible()
    command = copied(page)
    body = json.loads(command[command.index("-d '") + 4 : -1].replace("'\\''", "'"))
    assert body["model"] == f"{project}/echo"
    assert body["messages"][0]["content"][0]["image_url"]["url"] == PIXEL
    assert f"{server.url}/api/v1/chat/completions" in command
    answer = http.post("/api/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    in_menu(page, "Copy as Python")
    expect(page.get_by_text("The code is copied")).to_be_visible()
    compile(copied(page), "copied.py", "exec")
    assert "temperature=0.5," in copied(page)


def test_a_long_conversation_opens_at_its_newest_turn_and_is_searched(page: Page, project: str, log: Any):
    said = [
        {"role": "user" if n % 2 else "assistant", "content": f"Turn {n}. " + "Words. " * 120} for n in range(1, 60)
    ]
    said[21]["content"] += "\n" * 80 + "A hidden **needle** here."
    page.goto(f"/p/{project}/interactions/{log(*said, completion='The end.')}")
    newest = page.get_by_role("region", name="user").filter(has_text="Turn 59.")
    expect(newest).to_be_in_viewport()
    expect(page.get_by_role("region", name="user").filter(has_text="Turn 1. ")).not_to_be_in_viewport()
    page.keyboard.press("f")
    expect(page.get_by_label("Search in this conversation", exact=True)).to_be_focused()
    page.keyboard.type("hidden needle")
    expect(page.get_by_text("1 of 1")).to_be_visible()
    expect(page.get_by_text("A hidden")).to_be_in_viewport()
    page.get_by_label("Search in this conversation", exact=True).fill("Turn 3")
    expect(page.get_by_text(re.compile(r"^1 of \d+$"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile(r"^2 of \d+$"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Search in this conversation", exact=True)).to_have_count(0)


def test_an_image_is_enlarged_by_key(page: Page, project: str, log: Any):
    page.goto(f"/p/{project}/interactions/{log(IMAGE)}")
    page.get_by_role("button", name="Enlarge: In this message").press("Enter")
    picture = page.get_by_role("dialog").get_by_role("img")
    expect(picture).to_be_visible()
    expect(page.get_by_role("dialog").locator(":focus")).to_have_count(1)
    page.keyboard.press("1")
    expect(picture).to_have_js_property("clientWidth", 10)
    for _ in range(4):
        page.keyboard.press("+")
    expect(page.get_by_role("dialog")).to_contain_text("244 %")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Enlarge: In this message")).to_be_focused()


def test_arrows_move_an_enlarged_image_both_ways(page: Page, project: str, log: Any):
    url = "data:image/png;base64," + base64.b64encode(white_png(1_200, 900)).decode()
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    page.goto(f"/p/{project}/interactions/{log(image)}")
    page.get_by_role("button", name="Enlarge: In this message").click()
    place = page.get_by_role("dialog").get_by_role("region", name="The image")
    page.keyboard.press("1")
    for key in ("ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    expect(place).to_have_js_property("scrollLeft", 80)
    expect(place).to_have_js_property("scrollTop", 80)
    page.keyboard.press("ArrowLeft")
    expect(place).to_have_js_property("scrollLeft", 0)


def white_png(width: int, height: int) -> bytes:
    """Return a white image."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\xff" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_the_focus_follows_the_eye_and_stepping_is_heard(page: Page, project: str, log: Any):
    for name in ("first", "second"):
        log(f"The {name}", model="m")
    page.goto(f"/p/{project}/interactions")
    expect(page.locator("[role=row][data-id]")).to_have_count(2)
    heard = page.locator("[aria-live=polite]").last
    page.keyboard.press("j")
    expect(heard).to_contain_text("The second")
    page.keyboard.press("Enter")
    panel = page.get_by_role("region", name="Conversation")
    expect(panel).to_be_focused()
    page.keyboard.press("j")
    expect(panel).to_contain_text("The first")
    expect(panel).to_be_focused()
    expect(heard).to_contain_text("The first")
    page.keyboard.press("Escape")
    expect(page.get_by_role("grid")).to_be_focused()


RING = "element => getComputedStyle(element).outlineStyle"


def test_the_focus_has_a_ring_for_keys_and_none_for_a_finger(visitor: Visitor, server: Any, project: str, log: Any):
    log("Hello")
    logged = log("Hello")
    page = visitor(server.api_key, viewport={"width": 390, "height": 800}, has_touch=True).new_page()
    panel = page.get_by_role("region", name="Conversation")
    page.goto(f"/p/{project}/interactions?open={logged}")
    expect(panel).to_be_focused()
    assert panel.evaluate(RING) == "none"
    page.get_by_role("button", name="Close").tap()
    page.locator("[role=row][data-id]").first.tap()
    expect(panel).to_be_focused()
    assert panel.evaluate(RING) == "none"
    page.keyboard.press("j")
    expect(panel).to_be_focused()
    assert panel.evaluate(RING) == "solid"


def test_a_logged_conversation_goes_on_in_chat(page: Page, http: httpx.Client, project: str, log: Any):
    http.post(f"/api/v1/projects/{project}/models", json={"model": "echo"}).raise_for_status()
    system = {"role": "system", "content": "Be brief."}
    logged = log(
        system, "What is a heron?", completion="A bird.", model="echo", parameters={"temperature": 0.5, "tools": [TOOL]}
    )
    page.goto(f"/p/{project}/interactions/{logged}")
    in_menu(page, "Open in Chat")
    talk = page.get_by_role("region", name="echo")
    expect(talk).to_contain_text("What is a heron?")
    expect(talk).to_contain_text("A bird.")
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_label("System prompt")).to_have_value("Be brief.")
    expect(page.get_by_label("Temperature")).to_have_value("0.5")
    page.keyboard.press("Escape")
    page.get_by_role("textbox", name="Message").fill("And a crane?")
    with page.expect_request("**/chat/completions") as sent:
        page.keyboard.press("Enter")
    body = json.loads(sent.value.post_data or "")
    assert [one["content"] for one in body["messages"]] == ["Be brief.", "What is a heron?", "A bird.", "And a crane?"]
    assert (body["temperature"], body["tools"]) == (0.5, [TOOL])
    expect(talk.get_by_role("region", name="completion").last).to_contain_text("And a crane?")
    with page.expect_request("**/chat/completions") as sent:
        page.get_by_role("button", name="Answer again").click()
    assert json.loads(sent.value.post_data or "")["messages"] == body["messages"]


# ------------------------------------------------------------------------------------------------ many feedback keys


def out_of_reach(place: Page | Locator) -> list[str]:
    """Return the controls that lie beyond the right or left edge of the window."""
    return place.locator("button, input, select, textarea, a").evaluate_all(
        """all => all.filter((one) => {
          const box = one.getBoundingClientRect();
          // What is scrolled sideways, such as the list and the menu of a telephone, can be reached.
          let around = one.parentElement;
          while (around && !/auto|scroll/.test(getComputedStyle(around).overflowX)) around = around.parentElement;
          const isScrolled = around && around.id !== "content" && around.scrollWidth > around.clientWidth;
          return box.width > 1 && !isScrolled && (box.right > innerWidth + 1 || box.left < -1);
        }).map((one) => one.outerHTML.slice(0, 120))"""
    )


@pytest.mark.parametrize("width", [1440, 390])
def test_forty_feedback_keys_push_no_control_out_of_the_window(
    visitor: Visitor, server: Any, http: httpx.Client, project: str, log: Any, width: int
):
    for number in range(40):
        metric = {
            "key": f"quality-{number:02}-of-the-answer",
            "kind": "bool" if number % 2 else "scalar",
            "project": project,
        }
        http.post("/api/v1/metrics", json=metric).raise_for_status()
    http.post(f"/api/v1/projects/{project}/models", json={"model": "echo"}).raise_for_status()
    logged = log(
        "Hello",
        model="echo",
        feedbacks=[{"metric": f"quality-{number:02}-of-the-answer", "value": 1} for number in range(40)],
    )
    page = visitor(server.api_key, viewport={"width": width, "height": 800}).new_page()
    places = {
        f"interactions/{logged}": page.get_by_role("region", name="Rate").locator("textarea"),
        f"interactions?open={logged}": page.get_by_role("region", name="Rate").locator("textarea"),
        "datasets?new=1": page.get_by_role("button", name="Make it"),
        f"chat?from={logged}": page.get_by_role("button", name="Send"),
        "compare": page.get_by_role("button", name="Start"),
        "metrics": page.get_by_role("heading", level=1),
        "ranking": page.get_by_role("heading", level=1),
    }
    for path, needed in places.items():
        page.goto(f"/p/{project}/{path}")
        expect(page.locator("[aria-label=Loading]")).to_have_count(0)
        if path.startswith("chat"):
            expect(page.get_by_role("region", name="Rate")).to_be_visible()
        expect(needed).to_be_in_viewport()
        assert out_of_reach(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
