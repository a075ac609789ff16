"""What the tests of the calls share: to log an interaction in few words, and to check a refusal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest


@pytest.fixture
def log(http: httpx.Client, project: str) -> Callable[..., dict[str, Any]]:
    """Log an interaction in the test's project, with these fields; return the answer."""

    def logged(**fields: Any) -> dict[str, Any]:
        body = {"project": project, "messages": [{"role": "user", "content": "Why?"}], "completion": "So.", **fields}
        answer = http.post("/api/v1/interactions", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return logged


@pytest.fixture
def show(http: httpx.Client) -> Callable[..., dict[str, Any]]:
    """Show an interaction."""

    def shown(completion_id: str, **query: Any) -> dict[str, Any]:
        answer = http.get(f"/api/v1/interactions/{completion_id}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return shown


@pytest.fixture
def register(http: httpx.Client, project: str) -> Callable[..., dict[str, Any]]:
    """Register a feedback key in the test's project."""

    def registered(key: str, kind: str = "scalar", **fields: Any) -> dict[str, Any]:
        answer = http.post("/api/v1/metrics", json={"key": key, "kind": kind, "project": project, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    return registered


@pytest.fixture
def run(server: Any) -> Callable[..., str]:
    """Run the command line; return what it printed."""

    def ran(*arguments: str, lines: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "afterword", *arguments],
            input=lines,
            env={**os.environ, "AFTERWORD_URL": server.url, "AFTERWORD_API_KEY": server.api_key},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return ran
