"""The page shows what was said, to the last digit and line; and it works where it came by plain HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

Visitor = Callable[..., BrowserContext]
ORDER = 107505301260286111
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def log(http: httpx.Client, project: str) -> Callable[..., str]:
    """Log an interaction in the test's own project."""

    def logged(prompt: Any = "Hello", completion: Any = "Hi", **more: Any) -> str:
        body = {"messages": [{"role": "user", "content": prompt}], "completion": completion, "project": project, **more}
        answer = http.post("/api/v1/interactions", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["completion_id"]

    return logged


def test_lines_marks_and_tags_of_a_text_stay_on_the_page(page: Page, project: str, log: Any):
    written = "Rules:\nfirst, 2*3*4\n    second, 5~7\n<sea>\n\\(a_1\\) and &lt;"
    page.goto(f"/p/{project}/interactions/{log(written, 'ok')}")
    shown = page.get_by_role("region", name="user")
    expect(shown.locator("p", has_text="first")).to_be_visible()
    assert written in shown.inner_text()


def test_long_numbers_keep_their_digits_on_the_page_and_when_copied(page: Page, project: str, log: Any):
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "find_order", "arguments": json.dumps({"order": ORDER})},
    }
    logged = log(
        completion={"role": "assistant", "content": None, "tool_calls": [call]},
        parameters={"seed": ORDER, "stop": [ORDER]},
        usage={"chat": ORDER},
        facts={"answer": {"order": ORDER}},
    )
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/p/{project}/interactions/{logged}")
    expect(page.get_by_text("find_order")).to_be_visible()
    page.get_by_text("find_order").click()
    shown = page.locator("main").inner_text()
    assert shown.count(str(ORDER)) >= 6
    assert str(ORDER - 1) not in shown
    page.get_by_role("button", name="JSON").click()
    expect(page.get_by_role("region", name="Conversation")).to_contain_text(f'"seed": {ORDER}')
    page.get_by_role("button", name="Copy as JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["parameters"] == {"seed": ORDER, "stop": [ORDER]}


def test_the_page_shows_who_answered_and_finds_a_call_by_it(page: Page, project: str, log: Any):
    call = {"provider_model": "gpt-4o-2024-08-06", "provider_request_id": "req_7", "trace_id": TRACE, "streamed": True}
    facts = {
        "answer": {"citations": ["https://herons.example"], "system_fingerprint": "fp_1"},
        "choice": {"logprobs": {"content": [{"token": "Hi", "logprob": -0.25}] * 50}},
    }
    logged = log("Which bird?", call=call, facts=facts)
    log("Which other bird?", call={"trace_id": "another", "provider_request_id": "req_8"})
    page.goto(f"/p/{project}/interactions/{logged}")
    shown = page.locator("main")
    for text in ("gpt-4o-2024-08-06", "req_7", "fp_1", "https://herons.example"):
        expect(shown).to_contain_text(text)
    page.get_by_text('"logprob":-0.25').first.click()
    expect(shown).to_contain_text('"logprob": -0.25')
    page.get_by_role("link", name=TRACE).click()
    rows = page.locator("[role=row][data-id]")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Which bird?")
    page.get_by_role("combobox", name="Filter").fill("request:req_8")
    page.keyboard.press("Enter")
    expect(rows).to_contain_text("Which other bird?")
    expect(rows).to_have_count(1)


def test_a_day_in_the_filter_is_a_day_of_the_viewers_zone(visitor: Visitor, server: Any, project: str, log: Any):
    for time, text in (("03:00", "evening before"), ("20:00", "noon"), ("29:00", "evening")):
        day, hour = divmod(int(time[:2]), 24)
        log(text, created_at=f"2025-06-{10 + day}T{hour:02}:00:00Z")
    page = visitor(server.api_key, timezone_id="America/Los_Angeles").new_page()
    page.goto(f"/p/{project}/interactions?{urlencode({'q': 'from:2025-06-10 to:2025-06-11'})}")
    rows = page.locator("[role=row][data-id]")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("evening")
    expect(rows.last).to_contain_text("noon")
    assert "evening before" not in page.locator("main").inner_text()


def test_judging_copying_and_live_lists_work_over_plain_http(
    browser: Browser, browser_executable: str, server: Any, http: httpx.Client, project: str, log: Any
):
    """From another machine and without https a browser keeps crypto.randomUUID and the clipboard from a page."""
    http.post("/api/v1/metrics", json={"key": "better", "kind": "bool", "project": project}).raise_for_status()
    ids = [log("Question", f"{model}!", model=model) for model in "ab"]
    url = server.url.replace("127.0.0.1", "afterword.test")
    args = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP afterword.test 127.0.0.1"]
    elsewhere = browser.browser_type.launch(executable_path=browser_executable, args=args)
    try:
        page = elsewhere.new_page(base_url=url)
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto("/")
        assert page.evaluate("[isSecureContext, typeof crypto.randomUUID, typeof navigator.clipboard]") == [
            False,
            "undefined",
            "undefined",
        ]
        page.get_by_label("API key").fill(server.api_key)
        page.keyboard.press("Enter")
        expect(page.get_by_role("navigation").first).to_be_visible()

        page.goto(f"/p/{project}/interactions")
        expect(page.locator("[data-on=true]")).to_be_visible()
        log("Something that arrives")
        expect(page.locator("[role=row][data-id]")).to_have_count(3)

        page.goto(f"/p/{project}/compare?metric=better")
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_role("group", name="Verdict")).to_be_visible()
        with page.expect_response(lambda answer: answer.url.endswith("/comparison")) as given:
            page.keyboard.press("1")
            page.keyboard.press("ArrowRight")
        assert given.value.status == 201

        page.goto(f"/p/{project}/interactions/{ids[0]}")
        page.get_by_role("button", name="Copy this message").first.click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        page.get_by_role("button", name="More").click()
        page.get_by_role("menuitem", name="Copy the link").click()
        expect(page.get_by_text("The link is copied")).to_be_visible()
        page.locator("body").evaluate("body => { const area = document.createElement('textarea'); area.id = 'pasted';"
                                      " body.append(area); area.focus(); }")  # fmt: skip
        page.keyboard.press("Control+V")
        assert page.locator("#pasted").input_value() == f"{url}/p/{project}/interactions/{ids[0]}"
        assert not problems
        page.evaluate("void Promise.reject(new Error('A thing broke'))")
        expect(page.get_by_text("Something went wrong on this page: A thing broke").first).to_be_visible()
    finally:
        elsewhere.close()
