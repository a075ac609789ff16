"""A real browser on a real server's page.

A page with a live list has a shared worker, whose script Playwright never sees arrive: do not wait for "networkidle"
there, but for what is to be seen.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "data" / "alpaca_eval"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Slow machines are slow; a page that is right answers long before.
expect.set_options(timeout=20_000)


def _module(name: str, file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def openai_python() -> Path:
    """The interpreter of an environment in which the openai client is installed."""
    return _module("environments", ROOT / "tests" / "clients" / "environments.py").python_with("openai")


@pytest.fixture(scope="session")
def browser_executable() -> str:
    """Return the Chromium that tests run in."""
    found = _module("browser", ROOT / "scripts" / "browser.py").find()
    assert found, "There is no Chromium: run `make test`, which installs one, or name one in AFTERWORD_BROWSER."
    return str(found)


@pytest.fixture(scope="module")
def browser(browser_executable: str) -> Iterator[Browser]:
    """One browser for the tests of a file.

    While it runs, a loop of Playwright's runs in this thread, so that no other can: it must be gone before other tests.
    """
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser_executable, args=list(QUIET))
        yield running
        running.close()


@pytest.fixture
def visitor(browser: Browser, server: Any) -> Iterator[Callable[..., BrowserContext]]:
    """Open windows of people who have nothing in common; what the page complains about fails the test."""
    opened: list[BrowserContext] = []
    complaints: list[str] = []

    def come(key: str | None = None, **options: Any) -> BrowserContext:
        context = browser.new_context(base_url=server.url, **{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(20_000)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        # A refused call is shown by the browser, too. What the page may not load or run is what matters here.
        context.on(
            "console",
            lambda line: "Content Security Policy" in line.text and complaints.append(line.text),
        )
        if key:
            answer = context.request.post("/api/v1/session", data={"api_key": key})
            assert answer.status == 201, answer.text()
        opened.append(context)
        return context

    yield come
    for context in opened:
        context.close()
    assert not complaints, complaints


@pytest.fixture
def page(visitor: Callable[..., BrowserContext], server: Any) -> Page:
    """A page of the administrator's, signed in."""
    return visitor(server.api_key).new_page()


@pytest.fixture
def serious(request: pytest.FixtureRequest) -> Callable[[Page], list[str]]:
    """Return what axe finds serious or critical on a page, with the places."""
    axe = (ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")

    def look(page: Page) -> list[str]:
        # By the debugger, not as a script of the page, which its content security policy would refuse.
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {one['help']}: {[json.dumps(node['target']) for node in one['nodes'][:5]]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]

    return look


def real_answers(number: int) -> list[dict[str, Any]]:
    """Return real instructions with two models' real answers; made-up ones where the data is not at hand."""
    file = next(iter(sorted(REAL.glob("*.jsonl.gz"))), None)
    if file is None:
        return [
            {"instruction": f"Question {n}", "model": "one", "output": f"Answer {n}", "baseline_model": "two",
             "baseline_output": f"Another answer {n}", "preference": 1.0 + n % 2}
            for n in range(number)
        ]  # fmt: skip
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(number), strict=False)]


@pytest.fixture(scope="session")
def filled(server: Any) -> str:
    """A project with real interactions, labels, feedback and preferences."""
    project = f"web-{uuid4().hex[:8]}"
    with server.client() as http:
        http.post("/api/v1/projects", json={"key": project, "name": "Web page"}).raise_for_status()
        for key, kind in (("CSAT", "scalar"), ("better", "bool")):
            http.post("/api/v1/metrics", json={"key": key, "kind": kind, "project": project}).raise_for_status()
        lines, preferences = [], []
        for place, real in enumerate(real_answers(60)):
            ids = [str(uuid4()), str(uuid4())]
            sides = ((real["model"], real["output"]), (real["baseline_model"], real["baseline_output"]))
            for completion_id, (model, text) in zip(ids, sides, strict=True):
                lines.append(
                    {
                        "completion_id": completion_id,
                        "messages": [{"role": "user", "content": real["instruction"]}],
                        "completion": text or "-",
                        "model": model,
                        "labels": {"env": "prod" if place % 3 else "test"},
                        "created_at": 1_790_000_000_000 + place * 3_600_000,
                        "feedbacks": [{"metric": "CSAT", "value": 1 + place % 5}],
                    }
                )
            if place % 2:
                better, worse = ids if real["preference"] > 1.5 else ids[::-1]
                preferences.append({"metric": "better", "preferred_completion": better, "other_completion": worse})
        for path, bodies in (("interactions", lines), ("preferences", preferences)):
            content = "\n".join(map(json.dumps, bodies))
            answer = http.post(f"/api/v1/{path}/batch", params={"project": project}, content=content)
            assert all(json.loads(line)["status"] == 201 for line in answer.text.splitlines())
    return project


@pytest.fixture(scope="session")
def agents(server: Any) -> str:
    """A project with sessions of turns with steps, outcomes on them, and an A/B test that these judge."""
    project = f"agents-{uuid4().hex[:8]}"
    models = [f"{name}-{project}" for name in ("swift", "careful")]
    with server.client() as http:
        http.post("/api/v1/projects", json={"key": project, "name": "Agents"}).raise_for_status()
        http.post("/api/v1/metrics", json={"key": "solved", "kind": "bool", "project": project}).raise_for_status()
        for model in models:
            http.post("/api/v1/models", json={"key": model, "provider": "echo", "project": project}).raise_for_status()
        test = {"key": f"by-sessions-{project}", "project": project, "metric": "solved", "models": models}
        http.post("/api/v1/ab-tests", json={**test, "level": "session"}).raise_for_status()
        turns, outcomes = [], []
        for number in range(80):
            session = {"session_id": f"trip {number}", "model": models[number % 2], "ab_campaign": test["key"]}
            turns += [{**session, **turn} for turn in agent_turns(number)]
            solved = {"value": number % 3 > 0 or number % 2 == 0, "details": "Booked" if number % 3 else "Gave up"}
            outcomes.append({"session_id": session["session_id"], "metric": "solved", **solved})
        for path, bodies in (("interactions", turns), ("outcomes", outcomes)):
            content = "\n".join(map(json.dumps, bodies))
            answer = http.post(f"/api/v1/{path}/batch", params={"project": project}, content=content)
            assert all(json.loads(line)["status"] == 201 for line in answer.text.splitlines()), answer.text
    return project


def agent_turns(number: int) -> list[dict[str, Any]]:
    """Return two turns of a session, the first one with steps: a plan with a search below it, and a call of a tool."""
    ids = [str(uuid4()) for _ in range(5)]
    question = {"role": "user", "content": f"Find me a train to town {number}."}
    answer = "There is one at **9:05**, without a change."
    call = {"id": "c1", "type": "function", "function": {"name": "find_trains", "arguments": '{"to": "town"}'}}
    result = {"role": "tool", "tool_call_id": "c1", "content": '{"leaves": "9:05", "changes": 0}'}
    called = {"role": "assistant", "content": None, "tool_calls": [call]}
    plan = {"role": "user", "content": "Plan the steps."}
    thanks = {"role": "user", "content": "Book it, please."}
    turns: list[dict[str, Any]] = [
        {"messages": [question], "completion": answer},
        {"messages": [question, plan], "completion": "1. Search. 2. Compare.", "parent": ids[0], "step": "plan"},
        {"messages": [question, plan, thanks], "completion": called, "parent": ids[1], "step": "search"},
        {
            "messages": [question, called, result],
            "completion": "The train at 9:05.",
            "parent": ids[0],
            "step": "compare",
        },
        {"messages": [question, {"role": "assistant", "content": answer}, thanks], "completion": "It is booked."},
    ]
    usage = {"prompt_tokens": 400, "completion_tokens": 60, "total_tokens": 460}
    for second, (turn, completion_id) in enumerate(zip(turns, ids, strict=True)):
        created_at = 1_790_000_000_000 + number * 3_600_000 + second * 2_000
        turn |= {"completion_id": completion_id, "created_at": created_at, "user": "ann", "usage": usage}
    return turns
