"""The client at the wire: what it sends, what it makes of answers, when it tries again."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import afterword
from afterword import Afterword
from afterword.client import core

RECORDED = {"completion_id": str(uuid4()), "session_id": str(uuid4()), "feedback_ids": []}


def created(body: bytes) -> Any:
    return 201, {}, {**RECORDED, "completion_id": json.loads(body)["completion_id"]}


def create(client: Afterword) -> Any:
    return client.interactions.create([{"role": "user", "content": "Hello!"}], "Hi!")


def test_the_key_and_the_client_are_named_in_each_call(client: Afterword, player: Player) -> None:
    player.answers = [created]
    create(client)
    [(method, path, headers, _)] = player.seen
    assert (method, path) == ("POST", "/api/v1/interactions")
    assert headers["Authorization"] == "Bearer key"
    assert headers["User-Agent"] == f"afterword/{afterword.__version__}"


def test_a_lost_answer_is_asked_for_again_under_the_same_id(client: Afterword, player: Player) -> None:
    player.answers = [None, created]
    create(client)
    first, second = (json.loads(body)["completion_id"] for *_, body in player.seen)
    assert first == second


def test_a_busy_server_is_asked_again_after_the_time_it_names(
    client: Afterword, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    player.answers = [(503, {"retry-after": "7"}, {"error": {"message": "full"}}), created]
    create(client)
    assert waited == [7.0]


def test_what_cannot_be_repeated_safely_is_sent_once(client: Afterword, player: Player) -> None:
    player.answers = [None]
    with pytest.raises(afterword.ConnectionFailed):
        client.keys.create("ci")
    assert len(player.seen) == 1


def test_after_the_last_try_the_servers_own_words_are_raised(client: Afterword, player: Player) -> None:
    error = {"error": {"message": "Too many.", "code": "overloaded", "param": None, "hint": "Wait."}}
    player.answers = [(503, {}, error)] * 5
    with pytest.raises(afterword.Unavailable, match=r"Too many\. Wait\.") as raised:
        create(client)
    assert raised.value.code == "overloaded"
    assert len(player.seen) == 5


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, afterword.BadRequest),
        (401, afterword.Unauthorized),
        (403, afterword.Forbidden),
        (404, afterword.NotFound),
        (409, afterword.Conflict),
        (413, afterword.TooLarge),
        (422, afterword.Invalid),
        (418, afterword.Invalid),
        (500, afterword.ServerError),
        (502, afterword.ServerError),
    ],
)
def test_errors_are_named_by_their_status(client: Afterword, player: Player, status: int, kind: Any) -> None:
    detail = {"message": "No.", "type": "x", "code": "c", "param": "p", "hint": "h"}
    player.answers = [(status, {"x-request-id": "abc"}, {"error": detail})]
    with pytest.raises(kind) as raised:
        create(client)
    error = raised.value
    assert (error.message, error.code, error.param, error.hint, error.request_id) == ("No.", "c", "p", "h", "abc")


def test_an_answer_of_some_other_server_says_so(client: Afterword, player: Player) -> None:
    player.answers = [(502, {}, b"<html>Bad gateway</html>"), (200, {}, b"<html>Welcome</html>")]
    with pytest.raises(afterword.ServerError, match="Is this an Afterword server"):
        create(client)
    with pytest.raises(afterword.AfterwordError, match="Is this an Afterword server"):
        create(client)


def test_a_server_that_is_not_there_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Afterword("http://127.0.0.1:1", "key", max_retries=0)
    with pytest.raises(afterword.ConnectionFailed, match=r"127\.0\.0\.1:1 .*afterword serve"):
        client.health()


def test_what_is_unknown_is_none(client: Afterword, player: Player) -> None:
    player.answers = [(404, {}, {"error": {"message": "EntityNotFound: completion"}})]
    assert client.interactions.get(uuid4()) is None


def test_url_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AFTERWORD_API_KEY", raising=False)
    monkeypatch.setenv("ADAPTIVE_URL", "http://elsewhere:1/")
    monkeypatch.setenv("ADAPTIVE_API_KEY", "k")
    assert Afterword().base_url == "http://elsewhere:1"
    monkeypatch.setenv("AFTERWORD_URL", "http://here:2")
    assert Afterword().base_url == "http://here:2"


def test_a_client_without_a_key_says_where_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AFTERWORD_API_KEY", "ADAPTIVE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(afterword.Unauthorized, match=r"admin\.key"):
        Afterword()
