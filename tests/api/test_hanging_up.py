"""A call whose caller has hung up is ended, unless it changes something."""

from __future__ import annotations

import re
import socket
import time
from typing import Any

import httpx
import pytest

from afterword.api.routes import ROUTES


def _hang_up(server: Any, method: str, path: str, body: str) -> None:
    """Make a call and hang up without waiting for its answer."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.api_key}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


def _ended(http: httpx.Client, route: str) -> float:
    """Return how many calls of a route were ended so."""
    pattern = rf'afterword_http_requests_total{{[^}}]*route="{re.escape(route)}"[^}}]*status="499"[^}}]*}} ([\d.]+)'
    found = re.search(pattern, http.get("/metrics").text)
    return float(found[1]) if found else 0.0


@pytest.mark.any_store
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/interactions/search", '{"count": true}'),
        ("POST", "/api/v1/interactions/search", '{"group_by": "model"}'),
        ("POST", "/api/v1/datasets/preview", '{"kind": "preference", "filter": {"and": []}}'),
        ("GET", "/api/v1/interactions", ""),
        ("GET", "/api/v1/labels", ""),
    ],
)
def test_a_read_is_ended_when_its_caller_hangs_up(server: Any, http: httpx.Client, method: str, path: str, body: str):
    route = f"{method} {path}"
    before = _ended(http, route)
    end = time.monotonic() + 20
    # A quick call may have been answered before.
    while _ended(http, route) == before:
        assert time.monotonic() < end
        _hang_up(server, method, path, body)


def test_only_calls_that_change_nothing_are_ended():
    assert {route.name for route in ROUTES if route.only_reads and route.method != "GET"} == {
        "finding.search",
        "sessions.search",
        "facets.count_facets",
        "live.watch_many",
        "dataset_sources.preview_of_interactions",
        "analytics.count_filtered_over_time",
        "analytics.summarise_filtered",
        "analytics.trend_filtered",
        "analytics.rank_filtered",
    }
