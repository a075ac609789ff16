"""The forms that things are created and changed with: refusals stand beside their field, and nothing is sent twice."""

from __future__ import annotations

import re
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

pytestmark = pytest.mark.thorough


NOT_ALLOWED = {"error": {"message": "This key may not do that.", "code": "role_not_allowed", "param": None}}


FORMS = {
    "/projects": "New project",
    "/keys": "New key",
    "/p/default/metrics": "Register a key",
    "/p/default/models": "Register a model",
    "/p/default/ab-tests": "New test",
    "/p/default/datasets": "New from interactions",
}
WRONGLY_MARKED = """dialog => [...dialog.querySelectorAll("input, textarea")]
  .filter(({type}) => !["checkbox", "radio", "range", "search"].includes(type))
  .map(control => {
    const names = [...control.labels].map(label => label.textContent);
    for (let group = control.closest("fieldset"); group; group = group.parentElement.closest("fieldset"))
      names.push(group.querySelector("legend").textContent);
    return [names.join(" in "), control.required];
  })
  .filter(([name, isRequired]) => name.includes("(optional)") === isRequired)"""


def refuse(route: Route) -> None:
    if route.request.method == "POST":
        route.fulfill(status=403, json=NOT_ALLOWED)
    else:
        route.continue_()


def test_what_the_server_refuses_is_told_beside_the_field(page: Page, http: httpx.Client, project: str):
    http.post("/api/v1/metrics", json={"key": "CSAT", "project": project}).raise_for_status()
    page.goto(f"/p/{project}/metrics")
    page.get_by_role("button", name="Register a key").click()
    dialog = page.get_by_role("dialog")
    key = dialog.get_by_role("textbox", name="Key")
    key.fill("CSAT")
    dialog.get_by_role("textbox", name="Unit").fill("stars")
    dialog.get_by_role("button", name="Register", exact=True).click()
    field = dialog.locator("[data-wrong]")
    expect(field.get_by_role("alert")).to_contain_text("registered already, with kind 'scalar'")
    expect(field.get_by_role("combobox", name="Kind")).to_be_focused()
    expect(page.get_by_role("alert")).to_have_count(1)
    key.fill("other")
    dialog.get_by_role("button", name="Register", exact=True).click()
    expect(dialog).to_have_count(0)
    listed = http.get("/api/v1/metrics", params={"project": project}).json()["metrics"]
    assert {one["key"]: one["unit"] for one in listed if one["category"] == "user"} == {"CSAT": "", "other": "stars"}


def test_fields_that_may_stay_empty_say_that_they_are_optional(page: Page):
    for path, button in FORMS.items():
        page.goto(path)
        page.get_by_role("button", name=button).first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("textbox").first).to_be_visible()
        assert dialog.evaluate(WRONGLY_MARKED) == [], path


def test_what_belongs_to_no_field_is_told_above_the_button(page: Page):
    page.route("**/api/v1/projects", refuse)
    page.goto("/projects")
    page.get_by_role("button", name="New project").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Key").fill("new")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("This key may not do that.")
    expect(dialog.get_by_role("textbox", name="Key")).to_have_value("new")


def test_a_key_that_is_slow_to_come_is_not_lost_by_closing_the_form(page: Page, http: httpx.Client):
    name = f"slow-{uuid4().hex[:8]}"
    routes: list[Route] = []
    page.route(
        "**/api/v1/keys",
        lambda route: routes.append(route) if route.request.method == "POST" else route.continue_(),
    )
    page.goto("/keys")
    page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name").fill(name)
    with page.expect_request("**/api/v1/keys"):
        dialog.get_by_role("button", name="Create").click()
    # While it is under way the form is busy: no key, cross or click beside it closes it, and nothing is sent again.
    expect(dialog.get_by_role("button", name="Create")).to_be_disabled()
    expect(dialog.get_by_role("button", name="Cancel")).to_be_disabled()
    dialog.get_by_role("textbox", name="Name").press("Enter")
    page.keyboard.press("Escape")
    dialog.get_by_role("button", name="Close").click()
    page.mouse.click(5, 5)
    expect(dialog.get_by_role("textbox", name="Name")).to_have_value(name)
    for route in routes:
        route.continue_()
    made = page.get_by_label("API key")
    expect(made).to_have_value(re.compile("^aw_"))
    assert len(routes) == 1
    # Whoever leaves before they have kept it is asked.
    asked: list[str] = []
    page.once("dialog", lambda one: (asked.append(one.type), one.dismiss()))
    page.close(run_before_unload=True)
    while not asked:
        page.wait_for_timeout(20)
    assert asked == ["beforeunload"]
    expect(made).to_have_value(re.compile("^aw_"))
    page.get_by_role("button", name="I have kept it").click()
    assert [one["name"] for one in http.get("/api/v1/keys").json()["keys"]].count(name) == 1
