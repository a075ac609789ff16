"""Labels and feedback keys of any characters are reached by every way there is.

The tests of the page's language read the same table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from afterword import Afterword
from afterword.types.quoting import quoted

pytestmark = pytest.mark.thorough

TABLE = json.loads((Path(__file__).parent.parent / "odd_names.json").read_text(encoding="utf-8"))
LABELS: list[list[str]] = TABLE["labels"]
METRICS: list[str] = TABLE["metrics"]
PROJECT = "odd-names"


@pytest.fixture(scope="module")
def logged(server: Any) -> list[str]:
    """The interactions with these labels and, one after the other, a feedback of 3 under these keys."""
    ids = []
    with server.client() as http:
        http.post("/api/v1/projects", json={"key": PROJECT}).raise_for_status()
        for key in METRICS:
            body = {"key": key, "kind": "scalar", "project": PROJECT}
            http.post("/api/v1/metrics", json=body).raise_for_status()
        for index, (key, value) in enumerate(LABELS):
            body: dict[str, Any] = {
                "project": PROJECT,
                "messages": [{"role": "user", "content": str(index)}],
                "completion": "x",
                "labels": {key: value},
            }
            if index < len(METRICS):
                body["feedbacks"] = [{"metric": METRICS[index], "value": 3}]
            ids.append(http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"])
            if index < len(METRICS):
                outcome = {"project": PROJECT, "session_id": ids[-1], "metric": METRICS[index], "value": 4}
                http.post("/api/v1/outcomes", json=outcome).raise_for_status()
    return ids


@pytest.fixture
def client(server: Any) -> Any:
    with Afterword(server.url, api_key=server.api_key) as client:
        yield client


def listed(http: httpx.Client, **query: Any) -> list[str]:
    page = http.get("/api/v1/interactions", params={"project": PROJECT, **query}).raise_for_status().json()
    return [one["completion_id"] for one in page["interactions"]]


def searched(http: httpx.Client, **filter: Any) -> list[str]:
    body = {"project": PROJECT, "filter": filter}
    page = http.post("/api/v1/interactions/search", json=body).raise_for_status().json()
    return [one["completion_id"] for one in page["interactions"]]


def graphql(http: httpx.Client, **filter: Any) -> list[str]:
    query = "query Q($f: ListCompletionsFilterInput!) { completions(filter: $f, page: {first: 9}) { nodes { id } } }"
    variables = {"f": {"project": PROJECT, **filter}}
    answer = http.post("/api/graphql", json={"query": query, "variables": variables}).json()
    return [one["id"] for one in answer["data"]["completions"]["nodes"]]


def of_client(client: Any, **filters: Any) -> list[str]:
    return [str(one.completion_id) for one in client.interactions.list(project=PROJECT, **filters).interactions]


def exported(server: Any, *options: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "afterword", "--project", PROJECT, "export", *options],
        env={**os.environ, "AFTERWORD_URL": server.url, "AFTERWORD_API_KEY": server.api_key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["completion_id"] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("index", range(len(LABELS)), ids=lambda index: LABELS[index][0].encode().hex()[:24])
def test_any_label_is_found_by_every_way(server: Any, http: httpx.Client, client: Any, logged: list[str], index: int):
    [key, value] = LABELS[index]
    its = [logged[index]]
    exact = f"{quoted(key)}:{quoted(value)}"
    ways: dict[str, Callable[[], list[str]]] = {
        "in quotes": lambda: listed(http, label=exact),
        "in quotes, with =": lambda: listed(http, label=f"{quoted(key)}={quoted(value)}"),
        "key in quotes": lambda: listed(http, label=quoted(key)),
        "value as it is": lambda: listed(http, label=f"{quoted(key)}:{value}"),
        "twice": lambda: listed(http, label=[exact, exact]),
        "tree": lambda: searched(http, label={"key": key, "value": {"eq": value}}),
        "tree with its key": lambda: searched(http, label={"key": key}),
        "graphql": lambda: graphql(http, labels=[{"key": key, "value": [value]}]),
        "client": lambda: of_client(client, labels={key: value}),
        "client, any of several": lambda: of_client(client, labels={key: [value, "none"]}),
        "client with its key": lambda: of_client(client, labels={key: None}),
    }
    # The same text as a:b and c.
    if (key, value) != ("a:b", "c"):
        ways["as it is"] = lambda: listed(http, label=f"{key}:{value}")
        ways["as it is, with ="] = lambda: listed(http, label=f"{key}={value}")
    if key not in (":", "a"):
        ways["key as it is"] = lambda: listed(http, label=key)
    if index % 4 == 1 and server.database_url is None:
        ways["command line"] = lambda: exported(server, "--label", exact)
        ways["command line, with ="] = lambda: exported(server, "--label", f"{quoted(key)}={quoted(value)}")
    wrong = {way: found for way, find in ways.items() if (found := find()) != its}
    assert not wrong
    for group in http.get("/api/v1/interactions", params={"project": PROJECT, "group_by": f"label:{key}"}).json()[
        "groups"
    ]:
        assert group["key"] in (value, None)
        assert group["count"] == (1 if group["key"] == value else len(LABELS) - 1)


@pytest.mark.parametrize("index", range(len(METRICS)), ids=lambda index: METRICS[index].encode().hex()[:24])
def test_any_feedback_key_is_found_by_every_way(
    server: Any, http: httpx.Client, client: Any, logged: list[str], index: int
):
    key = METRICS[index]
    its = [logged[index]]
    others = sorted(set(logged) - set(its))
    ways: dict[str, Callable[[], list[str]]] = {
        "in quotes": lambda: listed(http, feedback=f"{quoted(key)}>=3"),
        "in quotes, with spaces": lambda: listed(http, feedback=f"{quoted(key)} = 3"),
        "as it is": lambda: listed(http, feedback=f"{key}>=3"),
        "key in quotes": lambda: listed(http, feedback=quoted(key)),
        "key as it is": lambda: listed(http, feedback=key),
        "has": lambda: listed(http, has_feedback=key),
        "has, in quotes": lambda: listed(http, has_feedback=quoted(key)),
        "tree": lambda: searched(http, feedback={"metric": key, "value": {"eq": 3}}),
        "client": lambda: of_client(client, feedback=f"{quoted(key)}>2"),
        "outcome in quotes": lambda: listed(http, outcome=f"{quoted(key)}>=4"),
        "outcome as it is": lambda: listed(http, outcome=f"{key}>=4"),
        "outcome key": lambda: listed(http, outcome=key),
        "has outcome": lambda: listed(http, has_outcome=key),
        "outcome in a tree": lambda: searched(http, outcome={"metric": key, "value": {"eq": 4}}),
        "outcome in graphql": lambda: graphql(http, outcomes=[{"metric": key, "gte": 4}]),
        "outcome of the client": lambda: of_client(client, outcome=f"{quoted(key)}>3"),
    }
    if index % 4 == 1 and server.database_url is None:
        ways["command line"] = lambda: exported(server, "--feedback", f"{quoted(key)}>2")
        ways["outcome on the command line"] = lambda: exported(server, "--outcome", f"{quoted(key)}>3")
    wrong = {way: found for way, find in ways.items() if (found := find()) != its}
    assert not wrong
    assert sorted(listed(http, has_no_feedback=quoted(key))) == others
    assert sorted(listed(http, has_no_outcome=quoted(key))) == others
    assert listed(http, feedback=f"{quoted(key)}>3") == []
    summary = http.get(f"/api/v1/metrics/{quote(key, safe='')}/statistics", params={"project": PROJECT}).json()
    assert summary["count"] == 1


def test_a_label_without_quotes_is_read_the_likeliest_way(http: httpx.Client, project: str, log: Any):
    by_value, by_key = log(labels={"a": "b:c"}), log(labels={"a:b": "c"})
    find = lambda text: listed(http, project=project, label=text)  # noqa: E731
    assert find("a:b:c") == [by_value["completion_id"]]
    assert find('"a:b":c') == [by_key["completion_id"]]
    assert find("a:b") == [by_key["completion_id"]]
    # Of what there is none, nothing is found; and not everything.
    assert find("a:x:y") == find('"a:x":y') == find("none") == []


@pytest.mark.parametrize("text", ["", ":value", "a\0b"])
def test_a_label_without_a_key_is_refused(http: httpx.Client, refused: Any, text: str):
    refused(http.get("/api/v1/interactions", params={"label": text}), 422, param="label")
