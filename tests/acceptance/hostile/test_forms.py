"""Forms that JSON allows and that programs trip over, in each place of each body: never a fault of the server.

The bodies are the examples of the tables, so that a new route is tried by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from afterword.api.glossary import CALLS, EXAMPLES
from afterword.api.routes import MODEL_CALL_ROUTES, ROUTES
from afterword.json_text import MAX_DEPTH

pytestmark = pytest.mark.thorough

NOTHING = "0192d3a4-5b6c-7d8e-9f00-112233445566"
DEEP = 969
FORMS = {
    "beyond 64 bits": b"18446744073709551616",
    "far beyond": b"1" + b"0" * 400,
    "negative beyond 64 bits": b"-9223372036854775809",
    "beyond all numbers": b"1e309",
    "beyond all negative numbers": b"-1e309",
    "lists in lists": b"[" * DEEP + b"]" * DEEP,
    "objects in objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a letter that grows": '"OFFLİNE"'.encode(),
    "a letter that grows as a key": '{"İ": 1}'.encode(),
    "no UTF-8": b'"\xff\xfe"',
    "no UTF-8 as a key": b'{"\xed\xa0\x80": 1}',
    "half a surrogate": b'"\\ud83d"',
    "half a surrogate as a key": b'{"\\ud83d": "\\udc00"}',
    "NUL": b'"\\u0000"',
    "null": b"null",
}
HERE = "\x1b"
DOCUMENTS: dict[str, tuple[str, Any]] = {
    "source": (
        "query($s: [CompletionSource!]) { completions(filter: {project: \"default\", source: $s}, page: {first: 1}) "
        "{ totalCount } }",
        {"s": [HERE]},
    ),
    "tree": (
        "query($f: ListCompletionsFilterInput!) { completions(filter: $f, page: {first: 1}) { totalCount } }",
        {"f": {"project": "default", "advancedFilter": HERE}},
    ),
    "member of an input": (
        "mutation($i: MetricCreate!) { createMetric(project: \"default\", input: $i) { id } }",
        {"i": {"name": "form", "kind": HERE}},
    ),
    "any JSON": (
        "mutation($id: UUID!, $i: ScoreAddInput!) { addDirectScore(completionId: $id, metricId: \"m\", input: $i) "
        "{ id } }",
        {"id": NOTHING, "i": {"value": HERE}},
    ),
    "page": (
        'query($p: CursorPageInput!) { completions(filter: {project: "default"}, page: $p) { totalCount } }',
        {"p": {"first": HERE}},
    ),
    "what is not asked for": ("{ me { name } }", {"more": HERE}),
}  # fmt: skip


def places(value: Any) -> Iterator[Any]:
    """Yield a body once for each place in it, with a mark there, and once with a field too many."""
    yield HERE
    if isinstance(value, dict):
        yield {**value, "more": HERE}
        for name, inner in value.items():
            for each in places(inner):
                yield {**value, name: each}
    elif isinstance(value, list) and value:
        for each in places(value[0]):
            yield [each, *value[1:]]


def bodies(body: Any, form: bytes) -> Iterator[bytes]:
    """Yield the body with the form in each of its places."""
    for each in places(body):
        yield json.dumps(each).encode().replace(json.dumps(HERE).encode(), form)


def check_no_fault(answer: httpx.Response, what: object = "") -> None:
    """Check that an answer, and each line of one, is no fault of the server."""
    assert answer.status_code < 500, (what, answer.text)
    assert "internal_error" not in answer.text, (what, answer.text)


WITH_BODY = [route for route in ROUTES if route.body]


@pytest.mark.parametrize("route", WITH_BODY, ids=lambda route: f"{route.method} {route.path}")
def test_no_form_in_a_body_is_a_fault(http: httpx.Client, route: Any):
    path = re.sub(r"{project}", "default", route.path)
    path = re.sub(r"{\w+}", NOTHING, path)
    for what, form in FORMS.items():
        for content in bodies(msgspec.to_builtins(EXAMPLES[route.body]), form):
            check_no_fault(http.request(route.method, path, content=content), what)


@pytest.mark.parametrize("face", MODEL_CALL_ROUTES, ids=lambda face: face.name)
def test_no_form_in_a_call_is_a_fault(server: Any, http: httpx.Client, project: str, face: Any):
    http.post(f"/api/v1/projects/{project}/models", json={"model": "echo"}).raise_for_status()
    key = http.post("/api/v1/keys", json={"name": "forms", "projects": [project]}).json()["api_key"]
    example = {**CALLS[face.name][2], "model": f"{project}/echo"}
    more = {"seed": 1, "tools": [], "n": 1, "parallel_tool_calls": True}
    with server.client(key) as caller:
        for what, form in FORMS.items():
            for content in bodies({**example, **more}, form):
                for stream in (b"false", b"true") if content.startswith(b"{") else ():
                    sent = b'{"stream": ' + stream + b", " + content[1:]
                    check_no_fault(caller.post(face.path, content=sent), what)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_form_in_a_variable_is_a_fault(http: httpx.Client, document: str):
    query, variables = DOCUMENTS[document]
    content = json.dumps({"query": query, "variables": variables}).encode()
    for what, form in FORMS.items():
        sent = content.replace(json.dumps(HERE).encode(), form)
        check_no_fault(http.post("/api/graphql", content=sent), what)


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\xe9", "İ".encode(), b"\xed\xa0\x80", b"%ff", b"%ED%A0%80"])
def test_no_bytes_in_a_path_or_a_header_are_a_fault(server: Any, http: httpx.Client, raw: bytes):
    path = b"/api/v1/projects/" + raw if raw.startswith(b"%") else b"/api/v1/projects/" + raw.hex().encode()
    check_no_fault(http.request("GET", httpx.URL(server.url).copy_with(raw_path=path)))
    for name in ("Authorization", "Cookie", "X-CSRF-Token", "X-Request-ID", "User-Agent", "traceparent"):
        value = {"Authorization": b"Bearer " + raw, "Cookie": b"afterword_session=" + raw}.get(name, raw)
        headers = {name.encode(): value}
        check_no_fault(http.get("/api/v1/projects", headers=headers))
        check_no_fault(http.post("/api/v1/chat/completions", headers=headers, json=CALLS["chat"][2]))


@pytest.mark.parametrize("path", ["interactions", "chat/completions", "graphql"])
def test_the_bound_of_nesting_is_named(http: httpx.Client, path: str):
    value = json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    body = {"messages": [{"role": "user", "content": "Hi", "more": value}], "completion": "Ho"}
    body = {"query": "{ me { name } }", "variables": {"a": value}} if path == "graphql" else body
    answer = http.post("/api/graphql" if path == "graphql" else f"/api/v1/{path}", json=body)
    assert answer.status_code == {"interactions": 422, "chat/completions": 400, "graphql": 200}[path]
    assert f"more than {MAX_DEPTH} levels" in answer.text
    assert "nested_too_deeply" in answer.text
