"""The OpenAPI document is valid and true, and the page that shows it loads nothing from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib.metadata import version
from urllib.parse import urljoin

import httpx
import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from afterword.api import openapi
from afterword.api.routes import MODEL_CALL_ROUTES, ROUTES, TELEMETRY_ROUTES

DOCUMENT = openapi.document(version("afterword"))


def test_the_document_is_valid_openapi_3_1():
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


def test_the_document_has_an_operation_for_each_route_and_no_other():
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    called = {("POST", face.path) for face in (*MODEL_CALL_ROUTES, *TELEMETRY_ROUTES)}
    assert described == called | {(route.method, route.path) for route in ROUTES}
    assert len(set(openapi.operation_ids())) == len(ROUTES)


def test_every_example_fits_its_schema():
    for operation in (operation for methods in DOCUMENT["paths"].values() for operation in methods.values()):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = content["schema"] | {"components": DOCUMENT["components"]}
            jsonschema.Draft202012Validator(schema).validate(content["example"])
            assert content["example"], operation["operationId"]


def test_the_served_document_is_the_generated_one(http: httpx.Client):
    answer = http.get("/openapi.json", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DOCUMENT


class Loaded(HTMLParser):
    """Collects what a page loads, and what it holds inline."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name in ("src", "srcset", "data", "poster", "action"):
            if given.get(name):
                self.addresses.append(str(given[name]))
        if tag == "link" and given.get("href"):
            self.addresses.append(str(given["href"]))
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [name for name, _ in attrs if name.startswith("on") or name == "style"]


def test_the_page_loads_nothing_from_outside(http: httpx.Client):
    page = http.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    found = Loaded()
    found.feed(page.text)
    assert not found.inline
    assert len(found.addresses) >= 2
    for address in found.addresses:
        absolute = urljoin(str(page.url), address)
        assert absolute.startswith(str(http.base_url)), address
        assert http.get(absolute).status_code == 200
        text = http.get(absolute).text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|\burl\(", text), address


@pytest.mark.parametrize("path", ["/docs", "/docs/docs.js", "/docs/docs.css", "/docs/icon.svg"])
def test_no_browser_lets_the_page_reach_outside(http: httpx.Client, path: str):
    answer = http.get(path)
    policy = dict(part.split(" ", 1) for part in re.split(r";\s*", answer.headers["content-security-policy"]))
    assert policy["default-src"] == "'none'"
    assert set(policy.values()) <= {"'none'", "'self'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
