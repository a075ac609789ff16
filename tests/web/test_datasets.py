"""Datasets and outcomes on the page: what was left out and why, and what came of a session."""

from __future__ import annotations

import json
import re
from hashlib import sha256

import httpx
import pyarrow.parquet
from playwright.sync_api import Page, Route, expect

HELLO = [{"role": "user", "content": "Hello"}]


def test_the_page_says_what_a_dataset_left_out(page: Page, http: httpx.Client, project: str):
    for completion in ("Hi", "Hi", "", " "):
        body = {"messages": HELLO, "completion": completion, "project": project}
        http.post("/api/v1/interactions", json=body).raise_for_status()
    page.goto(f"/p/{project}/datasets?new=1")
    page.get_by_role("textbox", name="Name").fill("mostly empty")
    page.get_by_text("Rules", exact=True).click()
    page.get_by_label("Duplicates").select_option("exact")
    page.get_by_role("button", name="Make it").click()
    row = page.get_by_role("row", name=re.compile("mostly empty"))
    row.get_by_text("3 left out").click()
    expect(row).to_contain_text("2 with an empty answer")
    expect(row).to_contain_text("1 the same as another")


def test_a_dataset_is_looked_at_then_made_then_downloaded(page: Page, http: httpx.Client, project: str):
    http.post("/api/v1/metrics", json={"key": "stars", "kind": "scalar", "project": project}).raise_for_status()
    for number, env in enumerate(("prod", "prod", "prod", "test")):
        body = {"messages": HELLO, "completion": f"Answer {number}", "labels": {"env": env}, "project": project}
        body["feedbacks"] = [{"metric": "stars", "value": 1 + 2 * number}]
        http.post("/api/v1/interactions", json=body).raise_for_status()
    page.goto(f"/p/{project}/datasets?q=label.env:prod")
    preview = page.get_by_role("region", name="Preview")
    counts, rows = preview.get_by_role("status"), preview.get_by_role("article")
    expect(counts).to_have_text("3 lines")
    expect(rows.first).to_contain_text("Answer 2")
    expect(rows.first.get_by_role("definition").first).to_have_text("Hello")
    page.get_by_role("radio", name=re.compile("Feedback")).check()
    page.get_by_text("Rules", exact=True).click()
    page.get_by_label("Which lines").select_option("last")
    page.get_by_label("How many lines").fill("0")
    refusal = page.get_by_role("group", name="Lines", exact=True).get_by_role("alert")
    expect(refusal).to_have_text("Size is 0, but must be an integer, at least 1.")
    expect(page.get_by_label("How many lines")).to_be_focused()
    page.get_by_label("How many lines").fill("2")
    expect(counts).to_have_text("2 lines")
    expect(refusal).to_have_count(0)
    page.get_by_label("Add a feedback key").select_option("stars")
    page.get_by_label("yes from").fill("4")
    page.get_by_label("no up to").fill("2")
    expect(counts).to_have_text("2 linesLeft out: 1 between the thresholds")
    expect(rows.first).to_contain_text("stars yes")
    preview.get_by_role("button", name="JSON").click()
    expect(rows.first).to_contain_text('"label": true')
    page.get_by_role("textbox", name="Name").fill("rated")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("row", name=re.compile("rated")).get_by_role("button", name="Download").click()
    page.get_by_role("dialog").get_by_label("Format").select_option("trl")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as TRL").click()
    lines = [json.loads(line) for line in download.value.path().read_text(encoding="utf-8").splitlines()]
    assert [(line["completion"][0]["content"], line["label"]) for line in lines] == [
        ("Answer 2", True),
        ("Answer 0", False),
    ]


def test_a_side_of_a_split_is_downloaded_as_parquet(page: Page, http: httpx.Client, project: str):
    whole = {"project": project, "key": "whole"}
    http.post("/api/v1/datasets", params=whole, json={"messages": HELLO}).raise_for_status()
    lines = [{"messages": HELLO, "metadata": {"split": side}} for side in ("train", "train", "test")]
    content = "\n".join(json.dumps(line) for line in lines)
    http.post("/api/v1/datasets", params={"project": project, "key": "parts"}, content=content).raise_for_status()
    page.goto(f"/p/{project}/datasets")
    page.get_by_role("row", name=re.compile("whole")).get_by_role("button", name="Download").click()
    expect(page.get_by_role("dialog").get_by_label("File")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_label("Rows")).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_role("row", name=re.compile("parts")).get_by_role("button", name="Download").click()
    options = page.get_by_role("dialog").get_by_label("Rows").get_by_role("option")
    expect(options).to_have_text(["all", "training, 2 lines", "test, 1 line"])
    page.get_by_role("dialog").get_by_label("Rows").select_option("train")
    page.get_by_role("dialog").get_by_label("File").select_option("parquet")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as Recipe").click()
    assert download.value.suggested_filename == "parts.parquet"
    table = pyarrow.parquet.read_table(download.value.path())
    assert [row["metadata"]["split"] for row in table.to_pylist()] == ["train", "train"]
    page.get_by_role("dialog").get_by_label("Format").select_option("original")
    expect(page.get_by_role("dialog").get_by_label("File")).to_have_count(0)


def test_a_server_without_pyarrow_says_what_to_install(page: Page, http: httpx.Client, project: str):
    http.post("/api/v1/datasets", params={"project": project, "key": "a"}, json={"messages": HELLO}).raise_for_status()

    def without_parquet(route: Route) -> None:
        route.fulfill(json={**route.fetch().json(), "files": ["jsonl"]})

    page.route("**/api/v1/datasets?*", without_parquet)
    page.goto(f"/p/{project}/datasets")
    page.get_by_role("button", name="Download").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("link")).to_be_visible()
    dialog.get_by_label("File").select_option("parquet")
    expect(dialog).to_contain_text("afterword[server,parquet]")
    expect(dialog.get_by_role("link")).to_have_count(0)


def test_versions_and_the_hash_of_their_lines_are_shown(page: Page, http: httpx.Client, project: str):
    def log(completion: str) -> None:
        body = {"messages": HELLO, "completion": completion, "project": project}
        http.post("/api/v1/interactions", json=body).raise_for_status()

    def make() -> None:
        page.get_by_role("button", name="New from interactions").click()
        page.get_by_role("textbox", name="Name").fill("nightly")
        page.get_by_role("button", name="Make it").click()

    log("First")
    page.goto(f"/p/{project}/datasets")
    make()
    rows = page.get_by_role("row", name=re.compile("nightly"))
    expect(rows).to_have_count(1)
    expect(rows).not_to_contain_text("version")
    make()
    expect(page.get_by_text("nightly: the same lines as version 1, so nothing was stored")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(rows).to_have_count(1)
    log("Second")
    make()
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("version 2")
    listed = http.get("/api/v1/datasets", params={"project": project}).json()["datasets"]
    for row, dataset in zip(rows.all(), listed, strict=True):
        with page.expect_download() as download:
            row.get_by_role("button", name="Download").click()
            page.get_by_role("link", name="Download as Recipe").click()
        page.keyboard.press("Escape")
        content_hash = sha256(download.value.path().read_bytes()).hexdigest()
        assert content_hash == dataset["content_hash"]
        expect(row.get_by_title(f"SHA-256 {content_hash}")).to_have_text(content_hash[:12])
    rows.first.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete nightly, version 2?").get_by_role("button", name="Delete").click()
    expect(rows).to_have_count(1)
    expect(rows).not_to_contain_text("version 2")


def test_the_preview_of_the_last_choices_is_shown(page: Page, http: httpx.Client, project: str):
    """Although the answer to earlier choices comes later."""
    for number in range(3):
        body = {"messages": HELLO, "completion": f"Answer {number}", "project": project}
        http.post("/api/v1/interactions", json=body).raise_for_status()
    page.goto(f"/p/{project}/datasets?new=1")
    counts = page.get_by_role("region", name="Preview").get_by_role("status")
    expect(counts).to_have_text("3 lines")
    page.get_by_text("Rules", exact=True).click()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/v1/datasets/preview*", hold)
    with page.expect_request("**/api/v1/datasets/preview*"):
        page.get_by_label("Which lines").select_option("last")
    page.unroute("**/api/v1/datasets/preview*")
    page.get_by_label("How many lines").fill("1")
    expect(counts).to_have_text("1 line")
    for route in held:
        route.fulfill(json={"rows": [], "lines": 99, "left_out": {}, "is_partial": False})
    expect(page.get_by_role("region", name="Preview")).to_have_attribute("aria-busy", "false")
    expect(counts).to_have_text("1 line")


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
    expect(row).to_contain_text("2 with an empty answer")


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
