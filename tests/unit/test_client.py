"""The client at the wire: what it sends, what it makes of answers, when it tries again."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.metadata import PackageNotFoundError
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import httpx
import pytest

import afterword
from afterword import Afterword, AsyncAfterword
from afterword.client import core

RECORDED = {"completion_id": str(uuid4()), "session_id": str(uuid4()), "feedback_ids": []}


def created(body: bytes) -> Any:
    return 201, {}, {**RECORDED, "completion_id": json.loads(body)["completion_id"]}


def create(client: Afterword) -> Any:
    return client.interactions.create([{"role": "user", "content": "Hello!"}], "Hi!")


def test_the_key_and_the_client_are_named_in_each_call(client: Afterword, player: Any) -> None:
    player.answers = [created]
    create(client)
    [(method, path, headers, _)] = player.seen
    assert (method, path) == ("POST", "/api/v1/interactions")
    assert headers["Authorization"] == "Bearer key"
    assert headers["User-Agent"] == f"afterword/{afterword.__version__}"


def test_the_client_works_where_the_package_has_no_metadata(
    client: Afterword, player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_metadata(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", no_metadata)
    core.package_version.cache_clear()
    player.answers = [created]
    try:
        create(client)
    finally:
        core.package_version.cache_clear()
    [(_, _, headers, _)] = player.seen
    assert headers["User-Agent"] == "afterword/unknown"


def test_a_lost_answer_is_asked_for_again_under_the_same_id(client: Afterword, player: Any) -> None:
    player.answers = [None, created]
    create(client)
    first, second = (json.loads(body)["completion_id"] for *_, body in player.seen)
    assert first == second


def test_a_busy_server_is_asked_again_after_the_time_it_names(
    client: Afterword, player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    player.answers = [(503, {"retry-after": "7"}, {"error": {"message": "full"}}), created]
    create(client)
    assert waited == [7.0]


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("7", 7, 7),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("-5", 0, 0),
        ("nan", 0, 0),
        ("soon", 0, 0),
    ],
    ids=["seconds", "a date gone by", "less than nothing", "no number", "words"],
)
def test_the_time_to_wait_may_be_a_number_or_a_date(asked: str, least: float, most: float) -> None:
    assert least <= core.retry_after(httpx.Response(503, headers={"retry-after": asked})) <= most


def test_the_time_to_wait_may_be_up_to_a_moment() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert 3000 <= core.retry_after(httpx.Response(503, headers={"retry-after": moment})) <= 3600


def test_no_server_makes_a_client_wait_for_an_hour(
    client: Afterword, player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    player.answers = [(429, {"retry-after": "3600"}, {"error": {"message": "slow down"}}), created]
    create(client)
    assert waited == [60.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.keys.create("ci"),
        lambda client: client.projects.create("p"),
        lambda client: client.interactions.delete(uuid4()),
    ],
)
def test_what_cannot_be_repeated_safely_is_sent_once(client: Afterword, player: Any, call: Any) -> None:
    player.answers = [None]
    with pytest.raises(afterword.ConnectionFailed, match="was lost before it had answered"):
        call(client)
    assert len(player.seen) == 1


def test_a_server_that_takes_too_long_is_asked_again_under_the_same_id(player: Any) -> None:
    gone_on = threading.Event()

    def slow(_: bytes) -> None:
        gone_on.wait(20)

    def answer(body: bytes) -> Any:
        gone_on.set()
        return created(body)

    player.answers = [slow, answer]
    with Afterword(player.url, "key", timeout=0.2, max_retries=8) as client:
        create(client)
    first, second = (json.loads(body)["completion_id"] for *_, body in player.seen)
    assert first == second


def test_a_server_that_takes_too_long_for_good_is_told_as_such(player: Any) -> None:
    gone_on = threading.Event()
    player.answers = [lambda _: gone_on.wait(20) and None]
    with Afterword(player.url, "key", timeout=0.05, max_retries=0) as client:
        with pytest.raises(afterword.RequestTimedOut, match=r"127\.0\.0\.1:\d+ did not answer in time"):
            client.health()
        gone_on.set()


def test_connect_timeout_is_shorter_than_read_timeout() -> None:
    assert (core.timeouts(90).connect, core.timeouts(90).read) == (10, 90)
    assert core.timeouts(3).connect == 3
    assert core.timeouts(None).connect is None


def test_after_the_last_try_the_servers_own_words_are_raised(client: Afterword, player: Any) -> None:
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
def test_errors_are_named_by_their_status(client: Afterword, player: Any, status: int, kind: Any) -> None:
    detail = {"message": "No.", "type": "x", "code": "c", "param": "p", "hint": "h"}
    player.answers = [(status, {"x-request-id": "abc"}, {"error": detail})]
    with pytest.raises(kind) as raised:
        create(client)
    error = raised.value
    assert (error.message, error.code, error.param, error.hint, error.request_id) == ("No.", "c", "p", "h", "abc")


def test_an_answer_of_some_other_server_says_so(client: Afterword, player: Any) -> None:
    player.answers = [(502, {}, b"<html>Bad gateway</html>"), (200, {}, b"<html>Welcome</html>")]
    with pytest.raises(afterword.ServerError, match="Is this an Afterword server"):
        create(client)
    with pytest.raises(afterword.AfterwordError, match="Is this an Afterword server"):
        create(client)


def test_a_server_that_leads_elsewhere_says_where(client: Afterword, player: Any) -> None:
    player.answers = [(308, {"location": "https://elsewhere.example/health"}, b"")]
    with pytest.raises(afterword.AfterwordError, match=r"308.*elsewhere\.example.*base_url"):
        client.health()


def test_a_packed_answer_that_cannot_be_unpacked_is_an_error_of_ours(player: Any) -> None:
    player.answers = [(200, {"content-encoding": "gzip"}, b"no gzip")]
    with Afterword(player.url, "key", max_retries=0) as client, pytest.raises(afterword.ConnectionFailed):
        client.health()


def test_a_server_that_is_not_there_is_named_with_what_to_do() -> None:
    client = Afterword("http://127.0.0.1:1", "key", max_retries=0)
    with pytest.raises(afterword.ConnectionFailed, match=r"127\.0\.0\.1:1 .*afterword serve"):
        client.health()


def test_what_is_unknown_is_none(client: Afterword, player: Any) -> None:
    player.answers = [(404, {}, {"error": {"message": "EntityNotFound: completion"}})]
    assert client.interactions.get(uuid4()) is None


def test_an_empty_id_is_refused_before_it_names_something_else(client: Afterword, player: Any) -> None:
    with pytest.raises(afterword.Invalid, match="interactions is empty"):
        client.interactions.delete("")
    assert player.seen == []


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


def test_a_key_that_cannot_be_one_is_refused_and_not_shown() -> None:
    with pytest.raises(afterword.Unauthorized) as raised:
        Afterword("http://here:2", "secret\nkey")
    assert "secret" not in str(raised.value)


def test_a_key_read_from_a_file_may_end_in_a_line_break(player: Any) -> None:
    player.answers = [created]
    with Afterword(player.url, "key\n") as client:
        create(client)
    assert player.seen[0][2]["Authorization"] == "Bearer key"


def test_a_change_to_none_clears_what_was_there(client: Afterword, player: Any) -> None:
    player.answers = [(422, {}, {"error": {"message": "No."}})]
    with pytest.raises(afterword.Invalid):
        client.feedback.update(uuid4(), details=None)
    assert json.loads(player.seen[0][3]) == {"details": None}


# ------------------------------------------------------------------------------------------------ finding

EMPTY = (200, {}, {"interactions": [], "next": None, "previous": None})
NO_GROUPS = (200, {}, {"groups": [], "next": None})


def last_query(player: Any) -> list[tuple[str, str]]:
    """Return the query of the last call."""
    return parse_qsl(urlsplit(player.seen[-1][1]).query, keep_blank_values=True)


def test_plain_filters_are_sent_as_the_parameters_of_the_list(client: Afterword, player: Any) -> None:
    player.answers = [EMPTY]
    client.set_default_project("mine")
    client.interactions.list(
        labels={"env": "prod", "lang": ["de", "fr"], "reviewed": None},
        model=["a", "b"],
        source="LIVE",
        from_=datetime(2026, 1, 1, tzinfo=UTC),
        to="now",
        feedback="CSAT>=4",
        count=True,
        user=None,
    )
    assert sorted(last_query(player)) == [
        ("count", "true"),
        ("feedback", "CSAT>=4"),
        ("from", "2026-01-01T00:00:00+00:00"),
        ("label", "env:prod"),
        ("label", "lang:de"),
        ("label", "lang:fr"),
        ("label", "reviewed"),
        ("model", "a"),
        ("model", "b"),
        ("project", "mine"),
        ("source", "LIVE"),
        ("to", "now"),
    ]


def test_a_label_without_values_is_refused(client: Afterword, player: Any) -> None:
    with pytest.raises(afterword.Invalid, match="labels has no values"):
        client.interactions.list(labels={"env": []})
    assert player.seen == []


@pytest.mark.parametrize(
    "call",
    [
        lambda found, wrong: found.list(**wrong),
        lambda found, wrong: found.groups("model", **wrong),
        lambda found, wrong: found.groups("model", {"text": "x"}, labels={"env": "prod"}),
        lambda found, wrong: found.search({"text": "x"}, **wrong),
        lambda found, wrong: list(found.iterate(**wrong)),
    ],
)
def test_a_filter_that_there_is_not_is_a_type_error(client: Afterword, player: Any, call: Any) -> None:
    with pytest.raises(TypeError, match=r"Unknown parameter '(label|labels)'. Known parameters:"):
        call(client.interactions, {"label": "env:prod"})
    assert player.seen == []


def test_groups_are_asked_for_by_plain_filters_or_by_a_tree(client: Afterword, player: Any) -> None:
    player.answers = [NO_GROUPS] * 3
    assert client.interactions.groups("model", labels={"env": "prod"}).groups == []
    assert player.seen[-1][0] == "GET"
    assert sorted(last_query(player)) == [("group_by", "model"), ("label", "env:prod")]

    assert client.interactions.list(group_by="model", labels={"env": "prod"}).groups == []
    assert player.seen[-1] == player.seen[-2]

    client.interactions.groups("model", {"text": "x"}, limit=3, project="p")
    assert player.seen[-1][1] == "/api/v1/interactions/search"
    body = {"filter": {"text": "x"}, "limit": 3, "project": "p", "group_by": "model"}
    assert json.loads(player.seen[-1][3]) == body


def test_iterating_follows_the_cursors_to_the_end(client: Afterword, player: Any) -> None:
    player.answers = [(200, {}, {"interactions": [], "next": "2", "previous": None}), EMPTY]
    assert list(client.interactions.iterate(labels={"env": "prod"}, limit=7)) == []
    pages = [dict(parse_qsl(urlsplit(path).query)) for _, path, *_ in player.seen]
    same = {"label": "env:prod", "limit": "7", "view": "full"}
    assert pages == [same, {**same, "cursor": "2"}]


# ------------------------------------------------------------------------------------------------ async


def test_the_async_client_repeats_what_is_safe_to_repeat(player: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "FIRST_DELAY_SECONDS", 0.001)
    player.answers = [None, (503, {}, {"error": {"message": "full"}}), created]

    async def run() -> None:
        async with AsyncAfterword(player.url, "key") as client:
            await client.interactions.create([{"role": "user", "content": "Hello!"}], "Hi!")

    asyncio.run(run())
    assert len({json.loads(body)["completion_id"] for *_, body in player.seen}) == 1
    assert len(player.seen) == 3
