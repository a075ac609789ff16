"""A real browser on a real server's page."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
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


def _script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a worker."""
    found = _script("browser").find()
    assert found, "There is no Chromium: run `make test`, which installs one, or name one in AFTERWORD_BROWSER."
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=list(QUIET))
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
