"""Signing in: a cookie in place of a key, which no other site can use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

Refused = Callable[..., dict[str, Any]]


@pytest.fixture
def visitor(server) -> Iterator[httpx.Client]:
    """Someone with a browser: cookies are kept, and no key is sent."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


def sign_in(visitor: httpx.Client, key: str) -> dict[str, Any]:
    answer = visitor.post("/api/v1/session", json={"api_key": key})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_key_is_exchanged_for_a_cookie_that_no_script_can_read(server, visitor: httpx.Client):
    answer = visitor.post("/api/v1/session", json={"api_key": server.api_key})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("afterword_session=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert server.api_key not in cookie
    assert answer.headers["cache-control"] == "no-store"
    session = answer.json()
    assert session["role"] == "admin"
    assert session["permissions"] == ["read", "call", "write", "edit", "share", "administer", "administer_server"]
    assert visitor.get("/api/v1/session").json() == session
    assert visitor.get("/api/v1/interactions").status_code == 200


def test_behind_https_the_cookie_travels_by_https_alone(server, visitor: httpx.Client):
    headers = {"X-Forwarded-Proto": "https"}
    answer = visitor.post("/api/v1/session", json={"api_key": server.api_key}, headers=headers)
    assert answer.headers["set-cookie"].endswith("; Secure")


def test_a_wrong_key_opens_no_session(visitor: httpx.Client, refused: Refused):
    refused(visitor.post("/api/v1/session", json={"api_key": "aw_nothing"}), 401, "invalid_api_key")
    assert not visitor.cookies
    refused(visitor.get("/api/v1/session"), 401, "invalid_api_key")


def test_a_changing_call_must_carry_the_sessions_token(server, visitor: httpx.Client, project: str, refused: Refused):
    token = sign_in(visitor, server.api_key)["csrf_token"]
    body = {"key": "CSAT", "project": project}
    refused(visitor.post("/api/v1/metrics", json=body), 403, "csrf_token_missing")
    refused(visitor.post("/api/v1/metrics", json=body, headers={"X-CSRF-Token": "x"}), 403, "csrf_token_wrong")
    assert visitor.post("/api/v1/metrics", json=body, headers={"X-CSRF-Token": token}).status_code == 201


@pytest.mark.parametrize("path", ["/api/v1/chat/completions", "/api/graphql"])
def test_all_faces_ask_for_the_token(server, visitor: httpx.Client, path: str):
    token = sign_in(visitor, server.api_key)["csrf_token"]
    message = {"role": "user", "content": "Hi"}
    body = {"model": "default/echo", "messages": [message], "query": "{ me { name } }"}
    if path == "/api/graphql":
        body = {"query": "{ projects { key } }"}
    without = visitor.post(path, json=body)
    assert "token" in without.text
    assert without.status_code == (200 if path == "/api/graphql" else 403)
    assert "csrf" not in visitor.post(path, json=body, headers={"X-CSRF-Token": token}).text


def test_the_token_of_another_session_does_not_do(server, visitor: httpx.Client, refused: Refused, project: str):
    sign_in(visitor, server.api_key)
    with httpx.Client(base_url=server.url) as other:
        foreign = sign_in(other, server.api_key)["csrf_token"]
    body = {"key": "CSAT", "project": project}
    refused(visitor.post("/api/v1/metrics", json=body, headers={"X-CSRF-Token": foreign}), 403, "csrf_token_wrong")


def test_a_session_ends_with_its_key(http: httpx.Client, visitor: httpx.Client, project: str, refused: Refused):
    key = http.post("/api/v1/keys", json={"name": "Anna", "role": "viewer", "projects": [project]}).json()
    session = sign_in(visitor, key["api_key"])
    assert (session["name"], session["project"], session["permissions"]) == ("Anna", project, ["read"])
    http.delete(f"/api/v1/keys/{key['id']}").raise_for_status()
    error = refused(visitor.get("/api/v1/interactions", params={"project": project}), 401)
    assert "revoked" in error["message"]


def test_a_key_that_may_only_log_can_look_at_its_session_and_nothing_else(
    http: httpx.Client, visitor: httpx.Client, refused: Refused
):
    key = http.post("/api/v1/keys", json={"name": "log", "role": "ingest"}).json()["api_key"]
    assert sign_in(visitor, key)["permissions"] == ["write"]
    assert visitor.get("/api/v1/session").json()["name"] == "log"
    refused(visitor.get("/api/v1/interactions"), 403)


def test_signing_out_takes_the_cookie_away(server, visitor: httpx.Client, refused: Refused):
    sign_in(visitor, server.api_key)
    assert visitor.delete("/api/v1/session").json() == {"deleted": True}
    assert not visitor.cookies
    refused(visitor.get("/api/v1/session"), 401)


@pytest.mark.parametrize("cookie", ["nonsense", "gAAAAA", '"', "\\x00"])
def test_a_cookie_that_is_not_ours_is_refused_in_words(server, cookie: str, refused: Refused):
    answer = httpx.get(f"{server.url}/api/v1/session", headers={"Cookie": f"afterword_session={cookie}"})
    assert refused(answer, 401, "invalid_api_key")["hint"] == "Sign in anew."


def test_a_key_in_the_header_wins_over_the_cookie(server, http: httpx.Client, visitor: httpx.Client):
    sign_in(visitor, server.api_key)
    key = http.post("/api/v1/keys", json={"name": "mine", "role": "viewer"}).json()["api_key"]
    session = visitor.get("/api/v1/session", headers={"Authorization": f"Bearer {key}"}).json()
    assert (session["name"], session["csrf_token"], session["expires_at"]) == ("mine", None, None)


def test_a_session_holds_after_a_restart_and_not_on_another_server(new_server, refused: Refused):
    first = new_server()
    with httpx.Client() as visitor:
        visitor.post(f"{first.url}/api/v1/session", json={"api_key": first.api_key}).raise_for_status()
        first.stop()
        first.start()
        assert visitor.get(f"{first.url}/api/v1/session").status_code == 200
        other = new_server(directory="other")
        refused(visitor.get(f"{other.url}/api/v1/session"), 401)


def test_a_session_holds_as_long_as_the_setting_says(new_server):
    running = new_server(AFTERWORD_SESSION_LIFETIME="2")
    answer = httpx.post(f"{running.url}/api/v1/session", json={"api_key": running.api_key})
    assert "Max-Age=7200" in answer.headers["set-cookie"]
    ends = answer.json()["expires_at"]
    assert abs(time.mktime(time.strptime(ends[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone - time.time() - 7200) < 60
