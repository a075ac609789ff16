"""What all attacks share: after each the server is well, and a refusal is the one error object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest


@pytest.fixture(autouse=True)
def healthy(server) -> Iterator[None]:
    """After each attack the server is well, and no fault stands in its log."""
    before = server.log.read_text().count("Traceback")
    yield
    assert httpx.get(f"{server.url}/health", timeout=10).json()["status"] == "ok"
    assert server.log.read_text().count("Traceback") == before


def check_refused(answer: httpx.Response, status: int | tuple[int, ...], param: str | None = None) -> dict[str, Any]:
    """Check that an answer is the one error object with this status, and return what it says."""
    expected = status if isinstance(status, tuple) else (status,)
    assert answer.status_code in expected, f"{answer.status_code}: {answer.text[:500]}"
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    error = body["error"]
    assert set(error) == {"message", "type", "code", "param", "hint"}
    assert error["message"]
    assert error["type"]
    assert error["code"]
    assert len(answer.content) < 5_000
    if param is not None:
        assert error["param"] == param, error
    return error


@pytest.fixture
def refused() -> Callable[..., dict[str, Any]]:
    """How a refusal is checked: the answer, the status or statuses, the field that it names."""
    return check_refused
