"""Paths, parameters, cursors and headers that nobody would send in earnest."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

pytestmark = pytest.mark.thorough

JSON = {"content-type": "application/json"}
UUID = "0192d3a4-5b6c-7d8e-9f00-112233445566"
Refused = Callable[..., dict[str, Any]]


def body(project: str, **more: Any) -> dict[str, Any]:
    return {"project": project, "messages": [{"role": "user", "content": "hi"}], "completion": "ho", **more}


# ------------------------------------------------------------------------------------------------ queries and cursors


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=" + "9" * 400, "limit"),
        ("limit=5&limit=6", "limit"),
        ("order=random", "order"),
        ("order=created_at%3BDROP", "order"),
        ("view=fullest", "view"),
        ("count=perhaps", "count"),
        ("images=raw", "images"),
        ("group_by=everything", "group_by"),
        ("source=live", "source[0]"),
        ("lable=a:b", "lable"),
        ("offset=10", "offset"),
        ("%F0%9F%99%82=1", "\U0001f642"),
        ("from=garbage", "from"),
        ("to=2024-13-45", "to"),
        ("from=" + "9" * 400, "from"),
        ("feedback=score%3E%3D", "feedback"),
        ("feedback=score%3E%3Dmany", "feedback"),
        ("feedback=score%3E%3DNaN", "feedback"),
        ("feedback=score%3E%3D1e999", "feedback"),
        ("label=", "label"),
        ("q=%2B%2B", "q"),
    ],
    ids=str,
)
def test_a_bad_parameter_is_refused_by_its_name(
    refused: Refused, http: httpx.Client, project: str, query: str, param: str
):
    http.post("/api/v1/metrics", json={"key": "score", "project": project}).raise_for_status()
    answer = http.get(f"/api/v1/interactions?project={quote(project)}&label=a:b&{query}")
    error = refused(answer, 422, param)
    assert param.partition("[")[0] in error["message"]
    assert "filter" not in error["message"]


@pytest.mark.parametrize("query", ["feedback=%3E%3D4", "has_feedback=", "preference=%00"])
def test_a_metric_that_nobody_registered_is_not_found(refused: Refused, http: httpx.Client, project: str, query: str):
    refused(http.get(f"/api/v1/interactions?project={quote(project)}&{query}"), 404, "metric")


@pytest.mark.parametrize("query", ["label=%00", "label=a:%00", "user=%00", "model=%00", "prompt_hash=zz", "user="])
def test_what_nothing_can_have_finds_nothing_or_is_refused(
    refused: Refused, http: httpx.Client, project: str, query: str
):
    http.post("/api/v1/interactions", json=body(project)).raise_for_status()
    answer = http.get(f"/api/v1/interactions?project={quote(project)}&{query}")
    if answer.status_code == 200:
        assert answer.json()["interactions"] == []
    else:
        refused(answer, 422)


def test_a_parameter_of_a_call_that_takes_none_is_refused(refused: Refused, http: httpx.Client):
    refused(http.get("/api/v1/keys?limit=5"), 422, "limit")
    refused(http.get(f"/api/v1/feedback/{UUID}?verbose=1"), 422, "verbose")


@pytest.mark.parametrize("query", ["a=%ff", "project=%c3", "%ff=1", "&".join(f"label=k{n}" for n in range(2_000))])
def test_a_query_that_cannot_be_read_is_refused(refused: Refused, http: httpx.Client, query: str):
    refused(http.get(f"/api/v1/interactions?{query}"), (400, 422))


def test_a_cursor_that_was_not_given_out_is_refused(refused: Refused, http: httpx.Client, project: str):
    for _ in range(3):
        http.post("/api/v1/interactions", json=body(project)).raise_for_status()
    first = http.get("/api/v1/interactions", params={"project": project, "limit": 1}).json()
    good = first["next"]
    forged = [
        "",
        "x",
        "=",
        good[:-3],
        good[3:],
        good + "AAAA",
        good.swapcase(),
        "\0",
        "é",
        "' OR 1=1",
        "A" * 10_000,
        base64.urlsafe_b64encode(b"[]").decode(),
        base64.urlsafe_b64encode(b'{"a": 1}').decode(),
        base64.urlsafe_b64encode(b"\xff" * 24).decode(),
        base64.urlsafe_b64encode(b"\x00" * 24).decode(),
        base64.urlsafe_b64encode(b'["n", 1e999, "x"]').decode(),
    ]
    for cursor in forged:
        for answer in (
            http.get("/api/v1/interactions", params={"project": project, "limit": 1, "cursor": cursor}),
            http.post("/api/v1/interactions/search", json={"project": project, "limit": 1, "cursor": cursor}),
        ):
            # A few bytes more or less may still say a place in the list.
            if answer.status_code != 200:
                refused(answer, (400, 422), "cursor")
    grouped = http.get(
        "/api/v1/interactions", params={"project": project, "limit": 1, "cursor": good, "group_by": "model"}
    )
    refused(grouped, (400, 422), "cursor")
    other_order = http.get(
        "/api/v1/interactions", params={"project": project, "limit": 1, "cursor": good, "order": "created_at"}
    )
    if other_order.status_code != 200:
        refused(other_order, (400, 422), "cursor")


# ------------------------------------------------------------------------------------------------ paths and headers


@pytest.mark.parametrize(
    "path",
    [
        "/images/../../etc/passwd",
        "/images/default/../../../etc/passwd",
        "/images/default/%2e%2e%2f%2e%2e%2fadmin.key",
        "/images/default/..%2fadmin.key",
        "/images/default/%2e%2e/admin.key",
        "/images/default/..%5cadmin.key",
        "/images/default//etc/passwd",
        "/images//etc/passwd",
        "/images/%2fetc/passwd",
        "/images/default/%00",
        "/images/default/" + "a" * 64 + "%00.png",
        "/images/default/" + "a" * 64 + ".png%00.txt",
        "/images/default/" + "a" * 64 + ".svg",
        "/images/default/" + "a" * 64 + ".png",
        "/images/default/" + "g" * 64 + ".png",
        "/images/default/" + "%c3%a9" * 64 + ".png",
        "/images/default/" + "a" * 10_000 + ".png",
        "/images/default/.png",
        "/images/default/afterword.db",
        "/images/%00/" + "a" * 64 + ".png",
        "/images/" + UUID + "/" + "a" * 64 + ".png",
    ],
)
def test_no_path_leads_out_of_the_images(server, path: str):
    # By hand: a client would tidy the path up before it sends it.
    head, answer = by_hand(server, f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.api_key}\r\n\r\n")
    assert head.startswith("HTTP/1.1 404"), head
    error = json.loads(answer)["error"]
    assert error["message"]
    assert error["code"]
    assert "root:" not in answer


def by_hand(server, text: str) -> tuple[str, str]:
    """Send bytes as they are, and return the answer's head and body."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(text.encode("latin-1"))
        answer = b""
        while b"\r\n\r\n" not in answer:
            chunk = connection.recv(65536)
            if not chunk:
                return answer.decode("latin-1"), ""
            answer += chunk
        head, _, rest = answer.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0
        )
        while len(rest) < length and (chunk := connection.recv(65536)):
            rest += chunk
        return head.decode("latin-1"), rest.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Basic YTpi",
        "Bearer wrong",
        "bearer\twrong",
        "Bearer " + "x" * 5_000,
        "Bearer \xe9",
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/interactions", "/api/v1/keys", "/images/default/x.png"])
def test_a_call_without_a_good_key_is_refused(refused: Refused, server, path: str, authorization: str | None):
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    with httpx.Client(base_url=server.url) as client:
        answer = client.get(path, headers=headers)
    refused(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/interactions", "GET, HEAD, POST"),
        ("DELETE", "/api/v1/interactions", "GET, HEAD, POST"),
        ("POST", "/health", "GET, HEAD"),
        ("PATCH", "/api/v1/feedback", "POST"),
        ("TRACE", "/api/v1/keys", "GET, HEAD, POST"),
        ("PUT", "/api/v1/metrics/a", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/api/v1/chat/completions", "POST"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_refused_with_those_it_takes(
    refused: Refused, http: httpx.Client, method: str, path: str, allowed: str
):
    answer = http.request(method, path)
    refused(answer, 405)
    assert answer.headers["allow"] == allowed
    assert answer.json()["error"]["hint"] == f"It takes {allowed}."


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/api/v2/interactions", "/api/v1/nothing", "/api/v1/%00", "//"]
)
def test_a_path_that_leads_nowhere_is_refused(refused: Refused, http: httpx.Client, method: str, path: str):
    if path == "/" and http.get("/").status_code < 400:
        return
    refused(http.request(method, f"{http.base_url}{path}" if path != "//" else f"{http.base_url}//x"), 404)


@pytest.mark.parametrize("id_", ["x", "1", "null", "%00", "..", "' OR 1=1", "é", "0" * 5_000, UUID, UUID.upper()])
@pytest.mark.parametrize("path", ["interactions", "feedback", "projects", "metrics"])
def test_an_id_of_nothing_is_404(refused: Refused, http: httpx.Client, path: str, id_: str):
    refused(http.get(f"/api/v1/{path}/{quote(id_, safe='%.')}".replace("/..", "/%2e%2e")), 404)


@pytest.mark.parametrize("length", ["abc", "-5", "1e3", "99999999999999999999999", "5, 6"])
def test_a_content_length_that_is_none_is_refused(refused: Refused, server, length: str):
    head, _ = by_hand(
        server,
        "POST /api/v1/interactions HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {server.api_key}\r\nContent-Length: {length}\r\n\r\n",
    )
    assert head.startswith(("HTTP/1.1 400", "HTTP/1.1 413")), head


@pytest.mark.parametrize("path", ["interactions", "interactions/batch"])
def test_a_body_that_ends_too_early_stores_nothing(server, http: httpx.Client, project: str, path: str):
    whole = json.dumps(body(project)).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(
            f"POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.api_key}\r\n"
            f"Content-Length: {len(whole) + 50}\r\n\r\n".encode()
            + whole
        )
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        while connection.recv(65536):
            pass
    assert http.get("/api/v1/interactions", params={"project": project}).json()["interactions"] == []


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml; charset=\xff", ""]
)
def test_json_is_read_whatever_it_is_declared_as(refused: Refused, http: httpx.Client, project: str, kind: str):
    raw = json.dumps(body(project)).encode()
    answer = http.post("/api/v1/interactions", content=raw, headers={b"content-type": kind.encode("latin-1")})  # type: ignore
    if answer.status_code != 201:
        refused(answer, (400, 415, 422))
