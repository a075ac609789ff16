"""Labels, search texts and images that are meant for something else than a store of texts."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

JSON = {"content-type": "application/json"}
Refused = Callable[..., dict[str, Any]]


def body(project: str, **more: Any) -> dict[str, Any]:
    return {"project": project, "messages": [{"role": "user", "content": "hi"}], "completion": "ho", **more}


# ------------------------------------------------------------------------------------------------ labels

VICIOUS = [
    "'; DROP TABLE interactions; --",
    '" OR 1=1 --',
    "<script>alert(1)</script>",
    "</td><img src=x onerror=alert(1)>",
    "%' OR '1'='1",
    "{{7*7}} ${7*7} #{7*7}",
    "../../etc/passwd",
    "\\x00\\u0000",
    "line\nbreak\ttab\r",
    "a:b:c=d&e=f?g#h",
    "ünïcödé 🙂 \u202eright to left",
    "NULL",
    "*",
    '"quoted" AND NEAR(',
]


@pytest.mark.parametrize("text", VICIOUS, ids=range(len(VICIOUS)))
def test_labels_are_kept_and_found_as_they_were_sent(http: httpx.Client, project: str, text: str):
    key = text.replace(":", "_")[:120]
    labels = {"plain": text, key: "value"}
    answer = http.post("/api/v1/interactions", json=body(project, labels=labels, user=text))
    assert answer.status_code == 201, answer.text
    made = answer.json()["completion_id"]
    http.post("/api/v1/interactions", json=body(project, labels={"plain": "other"})).raise_for_status()
    assert http.get(f"/api/v1/interactions/{made}").json()["labels"] == labels

    def listed(**params: Any) -> list[str]:
        answer = http.get("/api/v1/interactions", params={"project": project, **params}).raise_for_status()
        return [shown["completion_id"] for shown in answer.json()["interactions"]]

    def searched(condition: dict[str, Any]) -> list[str]:
        sent = {"project": project, "filter": condition}
        answer = http.post("/api/v1/interactions/search", json=sent).raise_for_status()
        return [shown["completion_id"] for shown in answer.json()["interactions"]]

    assert listed(label=f"plain:{text}") == [made]
    assert listed(label=key) == [made]
    assert listed(user=text) == [made]
    assert searched({"label": {"key": "plain", "value": {"eq": text}}}) == [made]
    assert searched({"label": {"key": key}}) == [made]
    facets = http.get("/api/v1/labels", params={"project": project}).json()["labels"]
    assert {text, "other"} == {
        value["value"] for facet in facets if facet["key"] == "plain" for value in facet["values"]
    }


@pytest.mark.parametrize(
    "text", [*VICIOUS, '"', '"""', "(", "a AND", "NOT", "^", "-", "prompt:x", "a*b", "\0", "é" * 5000]
)
def test_no_search_text_breaks_the_search(refused: Refused, http: httpx.Client, project: str, text: str):
    http.post("/api/v1/interactions", json=body(project, completion=text or "x")).raise_for_status()
    for answer in (
        http.get("/api/v1/interactions", params={"project": project, "q": text}),
        http.post("/api/v1/interactions/search", json={"project": project, "filter": {"text": text}}),
        http.post(
            "/api/v1/interactions/search", json={"project": project, "filter": {"completion": {"contains": text}}}
        ),
    ):
        if answer.status_code != 200:
            refused(answer, (400, 422))


def test_ten_thousand_labels_are_refused(refused: Refused, http: httpx.Client, project: str):
    labels = {f"key-{n}": "value" for n in range(10_000)}
    error = refused(http.post("/api/v1/interactions", json=body(project, labels=labels)), 422, "labels")
    assert "10000" in error["message"].replace(",", "")


@pytest.mark.parametrize("labels", [{"k" * 129: "v"}, {"k": "v" * 1025}, {"": "v"}, {"k": "é" * 513}])
def test_a_label_beyond_the_limits_is_refused(
    refused: Refused, http: httpx.Client, project: str, labels: dict[str, str]
):
    refused(http.post("/api/v1/interactions", json=body(project, labels=labels)), 422)


# ------------------------------------------------------------------------------------------------ images


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "data:",
        "data:image/png",
        "data:image/png;base64,",
        "data:image/png;base64,!!!!",
        "data:image/png;base64,AAAA",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:text/html;base64,PGgxPg==",
        "data:image/png;base64," + base64.b64encode(b"GIF89a").decode(),
        5,
        None,
        [],
        {},
        {"url": 5},
        {"url": {"url": "x"}},
    ],
    ids=range(15),
)
def test_what_is_no_image_is_refused(refused: Refused, http: httpx.Client, project: str, url: Any):
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]
    error = refused(http.post("/api/v1/interactions", json=body(project, messages=messages)), 422)
    assert error["param"].startswith("messages[0].content[0]")


def test_an_image_beyond_the_limit_is_refused(refused: Refused, http: httpx.Client, project: str):
    large = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * (11 << 20)).decode()
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": f"data:image/png;base64,{large}"}]}]
    refused(http.post("/api/v1/interactions", json=body(project, messages=messages)), (413, 422))
