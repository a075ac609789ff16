"""Bodies that are too large, and batches with bad lines in them."""

from __future__ import annotations

import contextlib
import json
import select
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

DEEP = 100_000
JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}
Refused = Callable[..., dict[str, Any]]


def body(project: str, **more: Any) -> dict[str, Any]:
    return {"project": project, "messages": [{"role": "user", "content": "hi"}], "completion": "ho", **more}


def post(http: httpx.Client, path: str, raw: str | bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    content = raw.encode() if isinstance(raw, str) else raw
    return http.post(f"/api/v1/{path}", content=content, headers=headers or JSON)


@pytest.fixture(scope="module")
def small(server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that takes little."""
    running = type(server)(tmp_path_factory.mktemp("small") / "data", "--max-body", "100KB", "--max-batch-lines", "50")
    yield running
    running.stop()
    assert "Traceback" not in running.log.read_text()


def chunks(size: int) -> Iterator[bytes]:
    yield b'{"messages": [{"role": "user", "content": "'
    for _ in range(size // 1000):
        yield b"x" * 1000
    yield b'"}], "completion": "x"}'


@pytest.mark.parametrize("sending", ["with its length", "in chunks"])
def test_a_body_beyond_the_limit_is_refused(refused: Refused, small, sending: str):
    content: Any = chunks(300_000) if sending == "in chunks" else b"".join(chunks(300_000))
    with small.client() as client:
        refused(client.post("/api/v1/interactions", content=content, headers=JSON), 413)
        assert client.post("/api/v1/interactions", content=b"".join(chunks(50_000)), headers=JSON).status_code == 201


def test_chunks_without_end_are_refused_while_they_still_come(small):
    with socket.create_connection(("127.0.0.1", small.port), timeout=20) as connection:
        connection.sendall(
            b"POST /api/v1/interactions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Authorization: Bearer " + small.api_key.encode() + b"\r\n\r\n"
        )
        answered, sent = False, 0
        while not answered and sent < 50_000_000:
            connection.sendall(b"2710\r\n" + b"[" * 10_000 + b"\r\n")
            sent += 10_000
            answered = bool(select.select([connection], [], [], 0)[0])
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "head",
    [b"GET /health HTTP/1.1\r\nX-Endless: ", b"GET /", b"GET /health HTTP/1.1\r\n"],
    ids=["value", "path", "many"],
)
def test_a_head_without_end_is_refused_while_it_still_comes(small, head: bytes):
    part = b"x-one: more\r\n" * 1_000 if head.endswith(b"\n") else b"x" * 10_000
    with socket.create_connection(("127.0.0.1", small.port), timeout=20) as connection:
        connection.sendall(head)
        answered, sent = False, 0
        # What is under way when the server hangs up may take its answer with it.
        with contextlib.suppress(ConnectionError):
            while not answered and sent < 50_000_000:
                connection.sendall(part)
                sent += len(part)
                answered = bool(select.select([connection], [], [], 0)[0])
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
        assert sent < 20_000_000


def test_a_head_that_is_large_is_read(small):
    with small.client() as client:
        for _ in range(4):
            assert client.get("/health", headers={"x-large": "x" * 200_000}).status_code == 200


@pytest.mark.parametrize("form", ["lines", "array"])
def test_a_batch_beyond_the_limits_says_at_which_line_it_stopped(refused: Refused, small, form: str):
    line = json.dumps({"messages": [{"role": "user", "content": "hi"}], "completion": "x" * 1_000})
    for count in (60, 300):
        raw = "\n".join([line] * count) if form == "lines" else f"[{','.join([line] * count)}]"
        with small.client() as client:
            answer = client.post(
                "/api/v1/interactions/batch", content=chunked(raw), headers=NDJSON if form == "lines" else JSON
            )
        if answer.status_code != 207:
            refused(answer, 413)
            continue
        results = [json.loads(each) for each in answer.text.splitlines()]
        assert {each["status"] for each in results[:-1]} == {201}
        assert results[-1]["status"] == 413
        assert len(results) <= 51


def chunked(raw: str) -> Iterator[bytes]:
    content = raw.encode()
    yield from (content[at : at + 700] for at in range(0, len(content), 700))


HOSTILE_LINES: dict[str, Callable[[], str]] = {
    "no JSON": lambda: "{",
    "no object": lambda: "5",
    "an unknown field": lambda: '{"text": "x"}',
    "deep": lambda: "[" * DEEP,
    "no number": lambda: '{"messages": [], "completion": NaN}',
    "nothing in it": lambda: "{}",
}


@pytest.mark.parametrize("case", HOSTILE_LINES)
def test_a_hostile_line_hurts_no_other(http: httpx.Client, project: str, case: str):
    good = json.dumps(body(project))
    raw = "\n".join([good, HOSTILE_LINES[case](), good])
    answer = post(http, "interactions/batch", raw, NDJSON)
    assert answer.status_code == 207, answer.text[:300]
    results = [json.loads(line) for line in answer.text.splitlines()]
    assert [result["line"] for result in results] == [1, 2, 3]
    assert [results[0]["status"], results[2]["status"]] == [201, 201]
    assert results[1]["status"] in (400, 422)
    assert results[1]["error"]["message"]
    assert len(http.get("/api/v1/interactions", params={"project": project}).json()["interactions"]) == 2


@pytest.mark.parametrize(
    "raw", [b"", b"\n\n\n", b"[]", b" [ ] ", b"[", b"]", b"[1,", b'{"a"', b"\xff\xfe\x00", b"null", b"[[]]", b'["']
)
@pytest.mark.parametrize("headers", [JSON, NDJSON], ids=["json", "ndjson"])
@pytest.mark.parametrize("path", ["interactions/batch", "feedback/batch", "preferences/batch"])
def test_no_batch_breaks_the_server(
    refused: Refused, http: httpx.Client, path: str, headers: dict[str, str], raw: bytes
):
    answer = post(http, path, raw, headers)
    if answer.headers["content-type"] == "application/x-ndjson":
        assert answer.status_code == (422 if answer.text else 200)
        for line in answer.text.splitlines():
            result = json.loads(line)
            assert 400 <= result["status"] < 500
            assert result["error"]["message"]
    else:
        refused(answer, (400, 413, 422))
