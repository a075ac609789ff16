"""Datasets and outcomes on the page: what was left out and why, and what came of a session."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import Page, expect

HELLO = [{"role": "user", "content": "Hello"}]


def test_the_page_says_what_a_dataset_left_out(page: Page, http: httpx.Client, project: str):
    for completion in ("Hi", "Hi", "", " "):
        body = {"messages": HELLO, "completion": completion, "project": project}
        http.post("/api/v1/interactions", json=body).raise_for_status()
    page.goto(f"/p/{project}/datasets?new=1")
    page.get_by_role("textbox", name="Name").fill("mostly empty")
    page.get_by_label("Duplicates").select_option("exact")
    page.get_by_label("A tenth each for validation and test").select_option("session")
    page.get_by_role("button", name="Make it").click()
    row = page.get_by_role("row", name=re.compile("mostly empty"))
    row.get_by_text("3 left out").click()
    expect(row).to_contain_text("2 say nothing")
    expect(row).to_contain_text("1 the same as another")


def test_pairs_of_which_some_say_nothing_become_a_dataset(page: Page, http: httpx.Client, project: str):
    """As the public results of AlpacaEval have them: a model that said nothing lost."""
    http.post("/api/v1/metrics", json={"key": "judge", "kind": "bool", "project": project}).raise_for_status()
    sides = [("A heron.", "A bird."), ("A crane.", ""), ("", " ")]
    for number, (preferred, other) in enumerate(sides):
        ids = []
        for model, completion in (("good", preferred), ("bad", other)):
            messages = [{"role": "user", "content": f"Question {number}"}]
            body = {"messages": messages, "completion": completion, "model": model, "project": project}
            ids.append(http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"])
        body = {"metric": "judge", "preferred_completion": ids[0], "other_completion": ids[1]}
        http.post("/api/v1/comparison", json=body).raise_for_status()
    page.goto(f"/p/{project}/datasets?new=1")
    page.get_by_role("textbox", name="Name").fill("pairs")
    page.get_by_role("radio", name=re.compile("Preferences")).check()
    page.get_by_role("button", name="Make it").click()
    row = page.get_by_role("row", name=re.compile("pairs"))
    row.get_by_text("2 left out").click()
    expect(row).to_contain_text("2 say nothing")


def test_an_interaction_shows_the_outcomes_of_its_session(page: Page, http: httpx.Client, project: str):
    http.post("/api/v1/metrics", json={"key": "solved", "kind": "bool", "project": project}).raise_for_status()
    body = {"messages": HELLO, "completion": "Hi", "project": project}
    logged = http.post("/api/v1/interactions", json=body).raise_for_status().json()
    outcome = {"session_id": logged["session_id"], "metric": "solved", "value": True, "details": "Paid at once."}
    http.post("/api/v1/outcomes", json=outcome).raise_for_status()
    page.goto(f"/p/{project}/interactions/{logged['completion_id']}")
    expect(page.get_by_role("heading", name="Outcomes of the session")).to_be_visible()
    expect(page.get_by_text("Paid at once.")).to_be_visible()
    page.get_by_role("button", name="Delete this outcome").click()
    expect(page.get_by_role("heading", name="Outcomes of the session")).to_have_count(0)
    # It is deleted when there is no way back any more.
    page.goto("about:blank")
    while http.get("/api/v1/outcomes", params={"project": project}).json()["outcomes"]:
        page.wait_for_timeout(50)
