"""What comes by the doors of OpenAI, Anthropic and Google reads as a chat: calls with results, sources, reasoning."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.thorough

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"properties": {"city": {}}}}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def logged(gateway: Any, path: str, model: str, **body: Any) -> str:
    """Make a call; return the path of its page."""
    answer = gateway.http.post(path, json={"model": model, **body})
    assert answer.status_code == 200, answer.text
    completion_id = answer.headers["x-afterword-completion-id"]
    return f"/p/{gateway.project}/interactions/{completion_id}"


def call_of(page: Page, name: str) -> Any:
    """Return what shows the call of a tool in the completion."""
    return page.get_by_role("region", name="completion").locator("details").filter(has_text=name)


def test_tools_that_anthropic_runs_show_their_results_and_sources(
    page: Page, gateway: Any, serious: Callable[[Page], list[str]]
):
    question = [{"role": "user", "content": "Where do herons wade?"}]
    thinking = {"type": "enabled", "budget_tokens": 1024}
    model = gateway.model("search", "anthropic")
    page.goto(logged(gateway, "/v1/messages", model, max_tokens=2048, messages=question, thinking=thinking))
    call = call_of(page, "web_search")
    expect(call.locator("summary")).to_have_text(re.compile(r'query: "heron".*→ Birds'))
    call.locator("summary").first.click()
    expect(call).to_contain_text("https://birds.example")
    expect(call).not_to_contain_text("encrypted_content")
    completion = page.get_by_role("region", name="completion")
    sources = completion.get_by_role("region", name="Sources")
    expect(sources.get_by_role("link", name="Birds")).to_have_attribute("href", "https://birds.example/")
    expect(sources).to_contain_text("Herons wade.")
    completion.get_by_text("Reasoning").click()
    expect(completion).to_contain_text("Let me think.")
    assert serious(page) == []


def test_tools_that_openai_runs_are_shown_listed_and_found(page: Page, gateway: Any):
    path = logged(gateway, "/api/v1/responses", gateway.model("search"), input="Will it rain?")
    page.goto(path)
    expect(call_of(page, "web_search").locator("summary")).to_contain_text('query: "rain"')
    sources = page.get_by_role("region", name="completion").get_by_role("region", name="Sources")
    expect(sources.get_by_role("link", name="Rain")).to_be_visible()
    page.goto(f"/p/{gateway.project}/interactions?q=tool%3Aweb_search")
    expect(page.get_by_role("row").filter(has_text='web_search(query: "rain")')).to_have_count(1)


def test_a_thread_shows_the_results_of_tools_where_they_were_called(page: Page, gateway: Any):
    model = gateway.model("agent")
    messages: list[dict[str, Any]] = [{"role": "user", "content": "What should I pack?"}]
    for number in range(3):
        answer = gateway.ask(model, messages=messages, tools=[TOOL], session_id="a trip").json()
        message = answer["choices"][0]["message"]
        content = json.dumps({"rain": f"{number} mm"})
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": content}
        messages = [*messages, message, result]
    page.goto(f"/p/{gateway.project}/sessions/a%20trip")
    turns = page.get_by_role("listitem", name=re.compile("^Turn"))
    expect(turns).to_have_count(3)
    for number in (0, 1):
        expect(turns.nth(number).locator("summary").first).to_contain_text(f'→ rain: "{number} mm"')
    expect(turns.nth(2).locator("summary").first).not_to_contain_text("→")
    expect(page.get_by_role("region", name="tool")).to_have_count(0)


def test_results_of_tools_show_images_and_errors(page: Page, http: httpx.Client, project: str):
    calls = [
        {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in ("map", "gone")
    ]
    picture = [
        {"type": "text", "text": "A map"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]
    messages = [
        {"role": "user", "content": "Where is it?"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "map", "content": picture},
        {"role": "tool", "tool_call_id": "gone", "content": "No such place", "is_error": True},
    ]
    body = {"messages": messages, "completion": "Here.", "project": project}
    answer = http.post("/api/v1/interactions", json=body).raise_for_status().json()
    page.goto(f"/p/{project}/interactions/{answer['completion_id']}")
    assistant = page.get_by_role("region", name="assistant")
    found, failed = (assistant.locator("details").nth(number) for number in (0, 1))
    expect(failed.locator("summary")).to_contain_text("error")
    expect(found.locator("summary")).to_contain_text("A map [image]")
    found.locator("summary").click()
    expect(found.locator("img")).to_be_visible()


def test_a_completion_without_text_says_so_in_the_list(page: Page, http: httpx.Client, project: str):
    for reason in ("stop", "malformed_function_call"):
        call = {"state": "complete", "finish_reason": reason}
        body = {"messages": [{"role": "user", "content": reason}], "completion": "", "call": call, "project": project}
        http.post("/api/v1/interactions", json=body).raise_for_status()
    page.goto(f"/p/{project}/interactions")
    rows = page.get_by_role("row")
    expect(rows.filter(has_text="no text: malformed function call")).to_have_count(1)
    expect(rows.filter(has_text=re.compile("no text(?!:)"))).to_have_count(1)


def test_first_steps_tell_the_address_of_each_client(page: Page, project: str, server: Any):
    page.goto(f"/p/{project}/start")
    addresses = page.get_by_role("region", name="Addresses")
    expect(addresses.locator("dd")).to_have_text(
        [
            re.compile(f"OPENAI_BASE_URL.*{re.escape(server.url)}/api/v1$"),
            *(
                re.compile(f"{variable}.*{re.escape(server.url)}$")
                for variable in ("ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT")
            ),
        ]
    )
    expect(addresses.get_by_role("button", name="Copy the address: Google’s clients")).to_be_visible()
