"""What the browser loads before the first page stands."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from afterword.api.pages import Pages
from afterword.errors import NotFound

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


def test_a_file_that_another_version_took_away_is_not_found(tmp_path: Path):
    (tmp_path / "assets").mkdir()
    file = tmp_path / "assets" / "screen.js"
    file.write_text("export {}")
    (tmp_path / "assets" / "other.js").write_text("export {}")
    served = Pages(tmp_path)

    def ask(name: str) -> Response:
        return served.asset(Request({"type": "http", "path_params": {"file": name}, "headers": []}))

    assert ask("other.js").status_code == 200
    file.unlink()
    with pytest.raises(NotFound):
        ask("screen.js")
