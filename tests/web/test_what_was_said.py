"""The page shows what was said, to the last digit and line; and it works where it came by plain HTTP."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

pytestmark = pytest.mark.thorough

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


WRITTEN = "Rules:\nfirst, 2*3*4, **all** of it\n    second, 5~7\n<sea>\n\\(a_1\\) and &lt;"


def test_texts_of_people_are_plain_until_one_chooses_markdown(page: Page, project: str, log: Any):
    system = {"role": "system", "content": "# No title\n* no list"}
    body = {"messages": [system, {"role": "user", "content": WRITTEN}]}
    logged = log(completion=WRITTEN, **body)
    page.goto(f"/p/{project}/interactions/{logged}")
    answer, user = (page.get_by_role("region", name=name) for name in ("completion", "user"))
    expect(page.get_by_role("region", name="system")).to_contain_text("# No title\n* no list")
    expect(answer.locator("strong")).to_have_text("all")
    assert WRITTEN in user.inner_text()
    for lines in ("first, 2*3*4, all of it\n    second, 5~7\n<sea>\n", " and &lt;"):
        assert lines in answer.inner_text()
    user.hover()
    user.get_by_role("button", name="Markdown").click()
    expect(user.locator("strong")).to_have_text("all")
    page.get_by_role("button", name="Raw").click()
    page.goto(f"/p/{project}/interactions/{log('**Another**', 'Hi')}")
    expect(page.get_by_role("button", name="Raw")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Rendered").click()
    expect(user.locator("strong")).to_have_text("Another")


def test_audio_has_a_player_and_files_are_saved_by_name(page: Page, project: str, log: Any):
    sound, pdf = b"RIFF\x24\0\0\0WAVEfmt " + bytes(3000), b"%PDF-1.7 of " + project.encode()
    parts = [
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(sound).decode(), "format": "wav"}},
        {"type": "file", "file": {"filename": "bill.pdf", "file_data": base64.b64encode(pdf).decode()}},
    ]
    page.goto(f"/p/{project}/interactions/{log(parts)}")
    user = page.get_by_role("region", name="user")
    expect(user.locator("audio")).to_have_attribute("src", re.compile(r"^/media/.*\.wav$"))
    expect(user).to_contain_text("bill.pdf")
    expect(user.locator("small").first).to_be_visible()
    with page.expect_download() as saving:
        user.get_by_role("link", name="Download").last.click()
    assert saving.value.suggested_filename == "bill.pdf"
    assert saving.value.path().read_bytes() == pdf


def test_maths_is_drawn_with_the_servers_own_files_and_money_is_not(page: Page, project: str, log: Any):
    answer = "It costs $5 or $6.\n\n\\[\n\\vec{x}\n= \\frac{1}{2}\n- y\n\\]\n\nSo $x^2$ and \\(\\nonsense{\\)."
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/p/{project}/interactions/{log(completion='No maths for $5.')}")
    expect(page.get_by_text("No maths for $5.")).to_be_visible()
    assert not [url for url in asked if "drawFormula" in url or "KaTeX" in url]
    page.goto(f"/p/{project}/interactions/{log(completion=answer)}")
    shown = page.get_by_role("region", name="completion")
    expect(shown.locator(".katex")).to_have_count(2)
    expect(shown.locator(".katex-display .mfrac").first).to_be_visible()
    expect(shown).to_contain_text("It costs $5 or $6.")
    expect(shown).to_contain_text("\\(\\nonsense{\\)")
    assert shown.locator("li").count() == 0
    # The arrow over x has its size in a style, which the content security policy allows to scripts alone.
    assert shown.locator(".accent-body svg").first.evaluate("arrow => arrow.getBoundingClientRect().width") > 3


CODE = "f(x, y) = [1, 2]; // x"
X_OF_EACH_CHARACTER = """code => {
  const text = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
  const places = [];
  for (let node = text.nextNode(); node; node = text.nextNode()) {
    for (let at = 0; at < node.length; at += 1) {
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const box = range.getBoundingClientRect();
      if (box.width) places.push([box.left, box.top]);
    }
  }
  return places;
}"""


def test_code_in_an_arabic_answer_reads_from_left_to_right(page: Page, project: str, log: Any):
    arabic = "استخدم الدالة"
    answer = (
        f"{arabic} `{CODE}` هنا:\n\n```js\n{CODE}\n```\n\n1. {arabic} `{CODE}`\n\n| {arabic} |\n|---|\n| `{CODE}` |"
    )
    page.goto(f"/p/{project}/interactions/{log(arabic, answer)}")
    codes = page.get_by_role("region", name="completion").locator("code")
    expect(codes).to_have_count(4)
    for code in codes.all():
        places = code.evaluate(X_OF_EACH_CHARACTER)
        assert [x for x, _ in places] == sorted(x for x, _ in places), code.inner_text()
    paragraph = page.get_by_role("region", name="completion").locator("p").first
    first = paragraph.evaluate(X_OF_EACH_CHARACTER)
    assert first[0][0] > first[-1][0], "an Arabic paragraph begins at the right"


def test_a_no_that_is_good_is_no_thumb_down(page: Page, http: httpx.Client, project: str, log: Any):
    for key, better in (("hallucinated", "lower_is_better"), ("helpful", "higher_is_better")):
        metric = {"key": key, "kind": "bool", "scoring_type": better, "project": project}
        http.post("/api/v1/metrics", json=metric).raise_for_status()
    for metric in ("hallucinated", "helpful"):
        log(feedbacks=[{"metric": metric, "value": 0}])
    page.goto(f"/p/{project}/interactions")
    rows = page.locator("[role=row][data-id]")
    row = rows.filter(has_text="hallucinated")
    expect(row).to_contain_text("hallucinated no")
    expect(rows.get_by_label("no")).to_have_count(1)
    row.click()
    panel = page.get_by_role("article", name="Interaction")
    expect(panel.locator("li", has_text="hallucinated")).to_contain_text("no")
    for answer in ("yes", "no"):
        expect(panel.get_by_role("button", name=f"hallucinated: {answer}")).to_have_text(answer)


def test_numbers_of_feedback_and_parameters_keep_all_digits(page: Page, http: httpx.Client, project: str, log: Any):
    http.post("/api/v1/metrics", json={"key": "score", "kind": "scalar", "project": project}).raise_for_status()
    logged = log(
        feedbacks=[{"metric": "score", "value": 12345.678}], parameters={"temperature": 0.123456, "seed": 1727271111}
    )
    page.goto(f"/p/{project}/interactions/{logged}")
    for digits in ("12345.678", "0.123456", "1727271111"):
        expect(page.locator("main")).to_contain_text(digits)


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
