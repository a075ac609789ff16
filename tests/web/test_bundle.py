"""What the browser loads before the first page stands."""

from __future__ import annotations

import gzip
import re

import httpx
import pytest

BUDGET = 250_000


def test_the_first_page_weighs_at_most_250_kilobytes(server, http: httpx.Client):
    index = http.get("/", headers={"accept": "text/html"})
    files = re.findall(r'(?:src|href)="(/assets/[^"]+)"', index.text)
    assert any(file.endswith(".js") for file in files)
    assert any(file.endswith(".css") for file in files)
    weight = sum(len(gzip.compress(http.get(file).raise_for_status().content)) for file in files)
    assert weight <= BUDGET, f"{weight:,} bytes with gzip"


def test_everything_comes_from_the_server_itself(http: httpx.Client):
    index = http.get("/", headers={"accept": "text/html"})
    policy = dict(part.strip().partition(" ")[::2] for part in index.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "http" not in index.text.lower().replace("httpequiv", "")


@pytest.mark.parametrize("path", ["/assets/nothing.js", "/api/v1/nothing"])
def test_what_is_not_there_is_not_the_page(http: httpx.Client, path: str):
    assert http.get(path, headers={"accept": "*/*"}).status_code == 404
