"""Bodies that are no JSON, or JSON of another kind than a call takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

DEEP = 100_000
JSON = {"content-type": "application/json"}
UUID = "0192d3a4-5b6c-7d8e-9f00-112233445566"
Refused = Callable[..., dict[str, Any]]


def body(project: str, **more: Any) -> dict[str, Any]:
    return {"project": project, "messages": [{"role": "user", "content": "hi"}], "completion": "ho", **more}


def post(http: httpx.Client, path: str, raw: str | bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    content = raw.encode() if isinstance(raw, str) else raw
    return http.post(f"/api/v1/{path}", content=content, headers=headers or JSON)


# ------------------------------------------------------------------------------------------------ no JSON


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"   ",
        b"{",
        b"nonsense",
        b"messages=hello&completion=world",
        b'{"messages": [], "completion": "\xff\xfe"}',
        b'{"messages": [{"role": "user", "content": "a\xc3"}], "completion": "x"}',
        b'{"messages": [{"role": "user", "content": "hi"}], "completion": "x"} trailing',
        b'{"messages": [{"role": "user", "content": "hi\x00"}], "completion": "x"}',
        '{"messages": []}'.encode("utf-16"),
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
        b"\x00" * 1000,
    ],
    ids=range(12),
)
@pytest.mark.parametrize("path", ["interactions", "interactions/search", "feedback"])
def test_what_is_no_json_is_refused(refused: Refused, http: httpx.Client, path: str, raw: bytes):
    # Of two things that are wrong with a body, the first to be met is told: another call's fields, or no JSON.
    error = refused(post(http, path, raw), 400 if path == "interactions" else (400, 422))
    assert error["code"] in ("malformed_json", "empty_body", "unknown_field")


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (rb'"\ud800"', "\ufffd"),
        (rb'"\udc00\ud800"', "\ufffd\ufffd"),
        (b'"\xed\xa0\x80"', "\ufffd"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
    ],
)
def test_half_a_character_is_kept_as_its_replacement(http: httpx.Client, project: str, raw: bytes, kept: str):
    sent = json.dumps(body(project, completion="?")).encode().replace(b'"?"', raw)
    answer = http.post("/api/v1/interactions", content=sent, headers=JSON)
    assert answer.status_code == 201, answer.text
    assert http.get(f"/api/v1/interactions/{answer.json()['completion_id']}").json()["completion"] == kept


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "nan", "+1", "0x10", ".5", "1."])
def test_numbers_that_json_does_not_have_are_refused(refused: Refused, http: httpx.Client, project: str, literal: str):
    raw = json.dumps(body(project, usage={"n": "?"})).replace('"?"', literal)
    refused(post(http, "interactions", raw), 400)


def deep(project: str) -> dict[str, str]:
    lists = "[" * DEEP + "]" * DEEP
    objects = '{"a":' * DEEP + "1" + "}" * DEEP
    nots = '{"not":' * DEEP + '{"and": []}' + "}" * DEEP
    start = json.dumps(body(project))[:-1]
    return {
        "a body of lists": lists,
        "a body of objects": objects,
        "usage": f'{start}, "usage": {objects}}}',
        "content": f'{start}, "messages": [{{"role": "user", "content": {lists}}}]}}',
        "an unknown field": f'{start}, "more": {lists}}}',
        "labels": f'{start}, "labels": {objects}}}',
        "filter": f'{{"project": "{project}", "filter": {nots}}}',
        "only opened": "[" * DEEP,
    }


@pytest.mark.parametrize("case", list(deep("")))
@pytest.mark.parametrize("path", ["interactions", "interactions/search"])
def test_deep_nesting_is_refused(refused: Refused, http: httpx.Client, project: str, path: str, case: str):
    refused(post(http, path, deep(project)[case]), (400, 422))


@pytest.mark.parametrize("depth", [50, 200, 450, 900])
def test_what_is_nested_less_deeply_is_stored_and_shown_or_refused(
    refused: Refused, http: httpx.Client, project: str, depth: int
):
    usage = json.loads('{"a":' * depth + "1" + "}" * depth)
    answer = http.post("/api/v1/interactions", json=body(project, usage=usage))
    if answer.status_code == 201:
        shown = http.get(f"/api/v1/interactions/{answer.json()['completion_id']}")
        assert shown.json()["usage"] == usage
        assert http.get("/api/v1/interactions", params={"project": project, "view": "full"}).status_code == 200
    else:
        refused(answer, (400, 422))


@pytest.mark.parametrize("depth", [10, 60, 300, 900])
def test_a_deep_filter_is_answered_or_refused(refused: Refused, http: httpx.Client, project: str, depth: int):
    tree = '{"and": [{"not": ' * depth + '{"and": []}' + "}]}" * depth
    answer = post(http, "interactions/search", f'{{"project": "{project}", "filter": {tree}}}')
    if answer.status_code != 200:
        refused(answer, (400, 422))


def test_a_wide_filter_is_answered_or_refused(refused: Refused, http: httpx.Client, project: str):
    one = {"label": {"key": "k", "value": {"in": [str(n) for n in range(100)]}}}
    for tree in ({"or": [one] * 1_000}, {"label": {"key": "k", "value": {"in": [str(n) for n in range(50_000)]}}}):
        answer = http.post("/api/v1/interactions/search", json={"project": project, "filter": tree})
        if answer.status_code != 200:
            refused(answer, (400, 422))


# ------------------------------------------------------------------------------------------------ wrong values

WRONG_TYPES = [
    ("messages", "hello", "messages"),
    ("messages", None, "messages"),
    ("messages", ["hello"], "messages[0]"),
    ("messages", [], "messages"),
    ("completion", 5, "completion"),
    ("completion", ["x"], "completion"),
    ("labels", {"k": 1}, "labels.k"),
    ("labels", {"k": None}, "labels.k"),
    ("labels", {"k": {"a": "b"}}, "labels.k"),
    ("labels", ["k"], "labels"),
    ("model", 7, "model"),
    ("model", "", "model"),
    ("model", "m" * 201, "model"),
    ("user", 7, "user"),
    ("session_id", "", "session_id"),
    ("session_id", "x" * 201, "session_id"),
    ("completion_id", "no-uuid", "completion_id"),
    ("completion_id", 12, "completion_id"),
    ("created_at", "yesterday-ish", "created_at"),
    ("created_at", [1], "created_at"),
    ("created_at", -1, "created_at"),
    ("created_at", 10**30, "created_at"),
    ("created_at", 1e308, "created_at"),
    ("created_at", "9999-12-31T23:59:59Z", "created_at"),
    ("created_at", "0000-00-00", "created_at"),
    ("created_at", "now + 999999999999 years", "created_at"),
    ("created_at", "x" * 100_000, "created_at"),
    ("session_id", "x" * 100_000, "session_id"),
    ("completion_id", "x" * 100_000, "completion_id"),
    ("model", "x" * 100_000, "model"),
    ("source" * 20_000, 1, None),
    ("labels", {"k" * 100_000: 1}, None),
    ("labels", {"k" * 100_000: "v"}, None),
    ("usage", [1], "usage"),
    ("feedbacks", {"score": 1}, "feedbacks"),
    ("feedbacks", [{"metric": "score"}], "feedbacks[0].value"),
    ("feedbacks", [{"metric": "score", "value": "5"}], "feedbacks[0].value"),
    ("feedbacks", [{"metric": "score", "value": 1, "extra": 1}], "feedbacks[0].extra"),
]


@pytest.mark.parametrize(
    ("field", "value", "param"), WRONG_TYPES, ids=[f"{f}-{n}" for n, (f, *_) in enumerate(WRONG_TYPES)]
)
def test_a_wrong_value_is_refused_by_its_place(
    refused: Refused, http: httpx.Client, project: str, field: str, value: Any, param: str
):
    refused(http.post("/api/v1/interactions", json=body(project, **{field: value})), 422, param)


@pytest.mark.parametrize(
    ("path", "sent", "param"),
    [
        ("interactions", {"complettion": "x"}, "complettion"),
        ("interactions/search", {"filters": {}}, "filters"),
        ("interactions/search", {"filter": {"and": [{"labels": {}}]}}, "filter.and[0].labels"),
        ("feedback", {"completion_id": UUID, "metric": "m", "value": 1, "comment": "x"}, "comment"),
        ("comparison", {"winner": UUID}, "winner"),
        ("outcome", {"session": UUID}, "session"),
        ("metrics", {"key": "k", "type": "bool"}, "type"),
        ("projects", {"key": "k", "owner": "me"}, "owner"),
        ("keys", {"name": "k", "scope": "all"}, "scope"),
    ],
)
def test_an_unknown_field_is_refused_by_its_name(
    refused: Refused, http: httpx.Client, path: str, sent: dict[str, Any], param: str
):
    error = refused(http.post(f"/api/v1/{path}", json=sent), 422, param)
    assert repr(param.rpartition(".")[2]) in error["message"]


@pytest.mark.parametrize("sent", [None, True, 5, "text", [], [{}]])
@pytest.mark.parametrize("path", ["interactions", "interactions/search", "feedback", "metrics", "projects", "keys"])
def test_a_body_that_is_no_object_is_refused(refused: Refused, http: httpx.Client, path: str, sent: Any):
    refused(post(http, path, json.dumps(sent)), 422)


@pytest.mark.parametrize(
    "literal", ["1e999", "-1e999", "9" * 400, "-" + "9" * 400, "1" + "0" * 5000, '"NaN"', "null", "[1]"]
)
def test_a_value_that_is_no_finite_number_is_refused(refused: Refused, http: httpx.Client, project: str, literal: str):
    http.post("/api/v1/metrics", json={"key": "score", "project": project}).raise_for_status()
    made = http.post("/api/v1/interactions", json=body(project)).json()["completion_id"]
    raw = f'{{"completion_id": "{made}", "metric": "score", "value": {literal}}}'
    refused(post(http, "feedback", raw), (400, 422))
    assert http.get(f"/api/v1/interactions/{made}").json()["feedback"] == []


@pytest.mark.parametrize(
    "literal", ["1e999", "9" * 400, "-" + "9" * 400, str(2**64), str(-(2**63) - 1), str(2**53 + 1)]
)
@pytest.mark.parametrize("field", ["usage", "timings", "parameters"])
def test_huge_numbers_among_what_is_kept_as_sent_are_shown_or_refused(
    refused: Refused, http: httpx.Client, project: str, field: str, literal: str
):
    raw = json.dumps(body(project, **{field: {"n": "?"}})).replace('"?"', literal)
    answer = post(http, "interactions", raw)
    if answer.status_code != 201:
        refused(answer, (400, 422))
        return
    shown = http.get(f"/api/v1/interactions/{answer.json()['completion_id']}")
    assert shown.status_code == 200
    assert shown.json()[field]["n"] == json.loads(literal)


def test_of_a_key_given_twice_the_last_holds(http: httpx.Client, project: str):
    raw = json.dumps(body(project))[:-1] + ', "completion": "second", "labels": {"a": "1", "a": "2"}}'
    answer = post(http, "interactions", raw)
    assert answer.status_code == 201
    shown = http.get(f"/api/v1/interactions/{answer.json()['completion_id']}").json()
    assert shown["completion"] == "second"
    assert shown["labels"] == {"a": "2"}


@pytest.mark.parametrize("field", ["user", "labels", "key", "model"])
def test_a_nul_character_is_refused_where_a_text_is_looked_up(
    refused: Refused, http: httpx.Client, project: str, field: str
):
    value: Any = {"labels": {"k": "a\0b"}, "key": {"a\0b": "v"}}.get(field, "a\0b")
    answer = http.post("/api/v1/interactions", json=body(project, **{"labels" if field == "key" else field: value}))
    refused(answer, 422)


def test_a_nul_character_in_a_message_is_stored_or_refused(refused: Refused, http: httpx.Client, project: str):
    messages = [{"role": "user", "content": "a\0b"}]
    answer = http.post("/api/v1/interactions", json=body(project, messages=messages, completion="c\0d"))
    if answer.status_code == 201:
        shown = http.get(f"/api/v1/interactions/{answer.json()['completion_id']}").json()
        assert (shown["messages"], shown["completion"]) == (messages, "c\0d")
    else:
        refused(answer, 422)


@pytest.mark.parametrize("key", ["", " ", "a/b", "a\0b", "k" * 201, "new\nline"])
@pytest.mark.parametrize("path", ["projects", "metrics"])
def test_a_key_that_no_path_could_hold_is_refused(
    refused: Refused, http: httpx.Client, project: str, path: str, key: str
):
    more = {"project": project} if path == "metrics" else {}
    refused(http.post(f"/api/v1/{path}", json={"key": key, **more}), 422, "key")
