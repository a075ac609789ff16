"""What the tests of the calls share: to log an interaction in few words, and to check a refusal."""

from __future__ import annotations

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
def refused() -> Callable[..., dict[str, Any]]:
    """Check that an answer is the one error object with this status, code and field; return it."""

    def check(answer: httpx.Response, status: int, code: str | None = None, param: str | None = None) -> dict[str, Any]:
        assert answer.status_code == status, f"{answer.status_code}: {answer.text[:500]}"
        assert answer.headers["content-type"] == "application/json"
        [(name, error)] = answer.json().items()
        assert name == "error"
        assert set(error) == {"message", "type", "code", "param", "hint"}
        assert error["message"]
        assert code is None or error["code"] == code, error
        assert param is None or error["param"] == param, error
        return error

    return check
