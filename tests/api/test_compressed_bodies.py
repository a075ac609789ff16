"""Bodies may come compressed, wherever a body is taken; none becomes larger than the bound."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import zstandard

DEFLATE = zlib.compressobj(wbits=-zlib.MAX_WBITS)
FORMS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip of two members": ("GZIP", lambda raw: gzip.compress(raw[:5]) + gzip.compress(raw[5:])),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without a header": ("deflate", lambda raw: (flow := DEFLATE.copy()).compress(raw) + flow.flush()),
    "zstd": ("zstd", zstandard.compress),
    "zstd of two frames": ("zstd", lambda raw: zstandard.compress(raw[:5]) + zstandard.compress(raw[5:])),
    "one within the other": ("gzip, zstd", lambda raw: zstandard.compress(gzip.compress(raw))),
    "identity": ("identity", bytes),
}


def post(http: httpx.Client, path: str, raw: bytes, encoding: str, **query: Any) -> httpx.Response:
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    return http.post(f"/api/v1/{path}", params=query, content=raw, headers=headers)


@pytest.mark.parametrize("form", FORMS)
def test_a_compressed_body_is_read_by_every_kind_of_route(http: httpx.Client, project: str, form: str):
    encoding, compress = FORMS[form]
    messages = [{"role": "user", "content": "Good day " * 1000}]
    one = {"project": project, "messages": messages, "completion": "x"}
    call = {"model": "default/echo", "messages": messages, "labels": {"form": "x"}}
    bodies: list[tuple[str, Any]] = [
        ("interactions", one),
        ("interactions/batch", [one, one]),
        ("chat/completions", call),
        ("chat/completions", {**call, "stream": True}),
    ]
    for path, body in bodies:
        answer = post(http, path, compress(json.dumps(body).encode()), encoding)
        assert answer.status_code in (200, 201), f"{path}: {answer.text[:300]}"
        assert '"error":{' not in answer.text
    lines = b'{"prompt": "a", "completion": "b"}\n' * 1000
    made = post(http, "datasets", compress(lines), encoding, project=project, key="lines")
    assert made.status_code == 201, made.text
    graphql = compress(b'{"query": "{ __typename }"}')
    answer = http.post("/api/graphql", content=graphql, headers={"Content-Encoding": encoding})
    assert answer.status_code == 200, answer.text


BOMB = b" " * (200 << 20)


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
@pytest.mark.parametrize("path", ["interactions", "interactions/batch", "chat/completions"])
def test_a_bomb_is_too_large(http: httpx.Client, refused: Any, path: str, encoding: str, compress: Any):
    refused(post(http, path, compress(BOMB), encoding), 413, "body_too_large")


@pytest.mark.parametrize(
    ("encoding", "raw", "code"),
    [
        ("gzip", b'{"messages": []}', "malformed_encoding"),
        ("zstd", b'{"messages": []}', "malformed_encoding"),
        ("gzip", gzip.compress(b"x" * 1000)[:-9], "malformed_encoding"),
        ("zstd", zstandard.compress(bytes(range(256)) * 9)[:-9], "malformed_encoding"),
        ("br", b"x", "unsupported_encoding"),
    ],
    ids=["no gzip", "no zstd", "half a gzip", "half a zstd", "another"],
)
def test_what_is_not_compressed_so_is_refused(http: httpx.Client, refused: Any, encoding: str, raw: bytes, code: str):
    for path in ("interactions", "interactions/batch", "chat/completions"):
        refused(post(http, path, raw, encoding), 400, code)
