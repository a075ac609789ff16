"""Whatever is asked for is answered in the documented form or refused, and is never an error of the server's."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote_from_bytes, urlencode
from uuid import uuid4

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterword.types import GroupPage, InteractionPage, MetricSummary, Trend

PROJECT = "fuzz-of-finding"
KEYS = ["env", "a:b", "数", " ", "=", "", "\0", "\ud800", "none", "n" * 300]
METRICS = ["CSAT", "good", "latency", "total_tokens", "tokens_per_second", "none", "\0", ""]
TEXTS = ["prod", "", "\0", "x\0y", "\ud800", "İıſ", "天", "%", "'", "*", '"', "\\", "a" * 5_000, "🎉", "\u200b"]
NUMBERS = [
    0,
    1,
    -1,
    2.5,
    1e308,
    -1e308,
    2**53 + 1,
    2**63,
    2**64,
    -(2**63) - 1,
    10**400,
    True,
    None,
    "1",
    float("1e-320"),
]
TIMES = [
    0,
    -1,
    1e300,
    2**63,
    2**62,
    "2026-11-01",
    "now - 1 month",
    "now - 99999999 years",
    "\0",
    "",
    "9999-12-31",
    1e12,
    None,
]
ORDERS = ["created_at", "-created_at"]
SETTINGS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def filled(server: Any) -> None:
    """A project with labels, feedback and calls, some of them without."""
    with server.client() as http:
        http.post("/api/v1/projects", json={"key": PROJECT}).raise_for_status()
        for key, kind in (("CSAT", "scalar"), ("good", "bool")):
            http.post("/api/v1/metrics", json={"key": key, "kind": kind, "project": PROJECT}).raise_for_status()
        lines: list[dict[str, Any]] = []
        for number in range(40):
            line: dict[str, Any] = {
                "messages": [{"role": "user", "content": f"red {number % 3}"}],
                "completion": "天气 blue",
                "created_at": 1_700_000_000_000 + number // 4 * 1_800_000,
                "labels": {key: f"{number % 3}" for key in KEYS[: number % 5] if key.strip()},
            }
            line |= {"model": f"m{number % 3}"} if number % 4 else {}
            line |= {"session_id": f"s{number % 5}"} if number % 3 else {}
            if number % 2:
                line["feedbacks"] = [{"metric": "CSAT", "value": number}, {"metric": "good", "value": number % 3 == 0}]
                line["timings"] = {"latency": number, "tokens_per_second": number / 3}
                line["usage"] = {"total_tokens": number}
            lines.append(line)
        told = http.post("/api/v1/interactions/batch", params={"project": PROJECT}, json=lines)
        assert {json.loads(line)["status"] for line in told.text.splitlines()} == {201}


def match() -> st.SearchStrategy[Any]:
    text = st.sampled_from([*TEXTS, "m1", "s1", "LIVE", "complete", "stop", str(uuid4()), "0" * 16])
    return st.one_of(
        st.fixed_dictionaries({"eq": text}),
        st.fixed_dictionaries({"in": st.lists(text, max_size=4)}),
        st.fixed_dictionaries({"neq": text}),
        st.none(),
        st.just({}),
    )


def number() -> st.SearchStrategy[Any]:
    signs = st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte"])
    return st.dictionaries(signs, st.sampled_from(NUMBERS), max_size=3)


def condition() -> st.SearchStrategy[Any]:
    matched = ("model", "source", "state", "finish_reason", "prompt_hash", "session_id", "user", "completion_id")
    said = st.dictionaries(st.sampled_from(["eq", "contains"]), st.sampled_from(TEXTS), max_size=2)
    feedback = st.fixed_dictionaries(
        {"metric": st.sampled_from(METRICS)},
        optional={
            "value": number(),
            "reasons": st.lists(st.sampled_from(TEXTS), max_size=2),
            "user": st.sampled_from(TEXTS),
        },
    )
    kinds: dict[str, st.SearchStrategy[Any]] = {
        **{name: match() for name in matched},
        "label": st.fixed_dictionaries({"key": st.sampled_from(KEYS)}, optional={"value": match()}),
        "feedback": feedback,
        "outcome": st.fixed_dictionaries(
            {"metric": st.sampled_from(METRICS)}, optional={"value": number(), "user": st.sampled_from(TEXTS)}
        ),
        "preference": st.fixed_dictionaries({"metric": st.sampled_from(METRICS)}),
        "timerange": st.dictionaries(st.sampled_from(["from", "to"]), st.sampled_from(TIMES), max_size=2),
        "prompt": said,
        "completion": said,
        "text": st.sampled_from(TEXTS),
    }
    return st.sampled_from(list(kinds)).flatmap(lambda name: st.fixed_dictionaries({name: kinds[name]}))


def tree() -> st.SearchStrategy[Any]:
    inner = st.recursive(
        condition(),
        lambda part: st.one_of(
            st.fixed_dictionaries({"not": part}),
            st.fixed_dictionaries({"and": st.lists(part, max_size=3)}),
            st.fixed_dictionaries({"or": st.lists(part, max_size=3)}),
        ),
        max_leaves=4,
    )
    return st.one_of(st.none(), st.just({"and": []}), st.just({"and": []}), inner)


def split() -> st.SearchStrategy[Any]:
    return st.sampled_from([None, "model", "prompt", "session", "label:", "label", *(f"label:{key}" for key in KEYS)])


def cursor() -> st.SearchStrategy[Any]:
    at = st.sampled_from([0, -1, 2**62 - 1, 2**62, 2**63, 2**64, 10**30, 1.5, None, "x"])
    forms = st.one_of(
        st.tuples(
            at, st.sampled_from([str(uuid4()), "x", 1]), st.booleans(), st.sampled_from(["created_at", "-created_at"])
        ),
        st.tuples(split(), st.one_of(st.sampled_from(TEXTS), at)),
        st.sampled_from([[], {}, "", None]),
    )
    forged = forms.map(lambda form: base64.urlsafe_b64encode(json.dumps(form).encode()).decode().rstrip("="))
    return st.one_of(st.none(), st.none(), forged, st.sampled_from(TEXTS))


def sent(http: httpx.Client, path: str, body: Any, kinds: Any) -> Any:
    """Send a body as JSON, and read the answer as the client would; None for a refusal."""
    answer = http.post(f"/api/v1/{path}", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 400, 404, 422), (answer.status_code, body, answer.text)
    if answer.status_code != 200:
        assert answer.json()["error"]["message"]
        return None
    return msgspec.json.decode(answer.content, type=kinds)


@SETTINGS
@given(
    filter=tree(),
    group_by=split(),
    cursor=cursor(),
    count=st.booleans(),
    order=st.sampled_from(["created_at", "-created_at"]),
)
def test_searches_are_answered_or_refused(
    filled: None, http: httpx.Client, filter: Any, group_by: str | None, cursor: str | None, count: bool, order: str
):
    body = {
        "project": PROJECT,
        "filter": filter,
        "group_by": group_by,
        "cursor": cursor,
        "count": count,
        "order": order,
    }
    sent(http, "interactions/search", body, InteractionPage if group_by is None else GroupPage)


@SETTINGS
@given(
    filter=tree(),
    split_by=split(),
    metric=st.sampled_from(["CSAT", "good", "latency", "tokens_per_second", "total_tokens"]),
)
def test_statistics_are_answered_or_refused(
    filled: None, http: httpx.Client, filter: Any, split_by: str | None, metric: str
):
    body = {"project": PROJECT, "filter": filter, "split_by": split_by}
    summary = sent(http, f"metrics/{metric}/statistics", body, MetricSummary)
    if summary is not None and split_by is not None:
        assert sum(one.count for one in summary.splits) == summary.count
    trend = sent(http, f"metrics/{metric}/timeseries", body, Trend)
    if summary is not None and trend is not None:
        assert sum(point.count for series in trend.series for point in series.points) == summary.count


PARAMETERS = ["label", "feedback", "has_feedback", "has_no_feedback", "preference", "user", "session_id", "prompt_hash"]
PARAMETERS += ["outcome", "has_outcome", "has_no_outcome"]
PARAMETERS += ["q", "model", "source", "state", "finish_reason", "from", "to", "limit", "cursor", "group_by", "order"]
RAW = [text.encode("utf-8", "surrogatepass") for text in [*TEXTS, *KEYS, *METRICS]]
RAW += [b"\xff", b"CSAT>=1e309", b"CSAT>=" + b"9" * 400, b"CSAT>=nan", b"a\x00:b", b":" * 3_000, b"=>" * 2_000]
RAW += [b"9" * 30]


@SETTINGS
@given(pairs=st.lists(st.tuples(st.sampled_from(PARAMETERS), st.sampled_from(RAW)), min_size=1, max_size=3))
def test_query_strings_are_answered_or_refused(filled: None, http: httpx.Client, pairs: list[tuple[str, bytes]]):
    query = "&".join(f"{name}={quote_from_bytes(value, safe='')}" for name, value in pairs)
    for path in ("interactions", "metrics/CSAT/statistics", "metrics/latency/timeseries"):
        answer = http.get(f"/api/v1/{path}?project={PROJECT}&{query}")
        assert answer.status_code in (200, 400, 404, 422), (path, pairs, answer.text)


@pytest.mark.parametrize("depth", [21, 300, 969, 1_100, 50_000])
@pytest.mark.parametrize("name", ["not", "and"])
def test_a_tree_that_is_nested_too_deeply_is_refused(http: httpx.Client, name: str, depth: int):
    opening, closing = ('{"not":', "}") if name == "not" else ('{"and":[', "]}")
    tree = opening * depth + '{"user":{"eq":"x"}}' + closing * depth
    body = f'{{"project":"default","filter":{tree}}}'
    json_type = {"Content-Type": "application/json"}
    for path in ("interactions/search", "metrics/latency/statistics", "interactions/timeseries", "views"):
        answer = http.post(f"/api/v1/{path}", content=body, headers=json_type)
        assert answer.status_code in (400, 404, 405, 422), answer.text
    answer = http.get(f"/api/v1/interactions/live?{urlencode({'filter': tree[:9_000]})}")
    assert answer.status_code < 500
