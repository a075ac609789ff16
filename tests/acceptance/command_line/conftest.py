"""The command `afterword`, run as a person runs it, against a real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AFTERWORD", "ADAPTIVE"))}
    return {**clean, "COLUMNS": "100", "NO_COLOR": "1", **more}


@pytest.fixture
def anywhere(tmp_path: Path) -> Run:
    """Run a command that knows of no server."""

    def run(*arguments: str, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "afterword", *arguments],
            input=given,
            env=environment(**more),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def known(server: Any) -> dict[str, str]:
    """The environment of who knows the server."""
    return {"AFTERWORD_URL": server.url, "AFTERWORD_API_KEY": server.api_key}


@pytest.fixture
def afterword(anywhere: Run, known: dict[str, str], project: str) -> Run:
    """Run a command as the administrator, in the test's own project."""

    def run(*arguments: str, given: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        done = anywhere("--project", project, *arguments, given=given, **known)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def begin(known: dict[str, str], project: str) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Begin a command in the test's own project."""
    begun: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        begun.append(
            subprocess.Popen(
                [sys.executable, "-m", "afterword", "--project", project, *arguments],
                env=environment(**known),
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                # Whoever runs the tests in the background may have had Ctrl-C ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        )
        return begun[-1]

    yield run
    for one in begun:
        if one.poll() is None:
            one.kill()
            one.wait()


@pytest.fixture
def found(http: httpx.Client, project: str) -> Callable[..., list[dict[str, Any]]]:
    """Return the interactions of the test's project, the oldest first."""

    def find(**query: Any) -> list[dict[str, Any]]:
        told = {"project": project, "order": "created_at", "view": "full", "limit": 500, **query}
        return http.get("/api/v1/interactions", params=told).raise_for_status().json()["interactions"]

    return find


@pytest.fixture
def one_line() -> Callable[..., None]:
    """Check that a text is one line that holds these words."""

    def check(text: str, *words: str) -> None:
        assert len(text.splitlines()) == 1, text
        assert [word for word in words if word not in text] == []

    return check
