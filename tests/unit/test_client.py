"""The client at the wire: what it sends, what it makes of answers, when it tries again.

The server is a small real one that plays answers and keeps what it was sent.
"""

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


class Player(ThreadingHTTPServer):
    """Plays answers in order: (status, headers, body), or None to hang up."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.seen: list[Any] = []
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Player  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        answer = self.server.answers.pop(0)
        if callable(answer):
            answer = answer(body)
        if answer is None:
            self.close_connection = True
            return
        status, headers, content = answer
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_PATCH = do_DELETE = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def player() -> Iterator[Player]:
    with Player() as playing:
        thread = threading.Thread(target=playing.serve_forever, args=(0.01,))
        thread.start()
        yield playing
        playing.shutdown()
        thread.join()


@pytest.fixture
def client(player: Player, monkeypatch: pytest.MonkeyPatch) -> Iterator[Afterword]:
    monkeypatch.setattr(core, "FIRST_DELAY", 0.001)
    with Afterword(player.url, "key") as made:
        yield made


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


def stored(body: bytes) -> Any:
    lines = [
        {"line": number, "status": 201, **RECORDED, "completion_id": json.loads(line)["completion_id"]}
        for number, line in enumerate(body.splitlines(), 1)
    ]
    return 200, {}, b"\n".join(json.dumps(line).encode() for line in lines)


RECORD = {"messages": [{"role": "user", "content": "Hello!"}], "completion": "Hi!"}


def test_an_upload_sends_batches_and_gives_each_record_an_id(client: Afterword, player: Player) -> None:
    player.answers = [stored] * 3
    report = client.interactions.upload((RECORD for _ in range(5)), {"set": "a"}, batch_size=2, progress=False)
    assert (report.sent, report.stored, report.failed) == (5, 5, [])
    lines = [json.loads(line) for *_, body in player.seen for line in body.splitlines()]
    assert len({line["completion_id"] for line in lines}) == 5
    assert all(line["labels"] == {"set": "a"} for line in lines)


def test_a_records_own_labels_win_over_those_of_the_upload(client: Afterword, player: Player) -> None:
    player.answers = [stored]
    client.interactions.upload([{**RECORD, "labels": {"set": "b"}}], {"set": "a", "env": "x"}, progress=False)
    assert json.loads(player.seen[0][3])["labels"] == {"set": "b", "env": "x"}


def test_an_upload_repeats_a_lost_batch_as_it_was(client: Afterword, player: Player) -> None:
    player.answers = [None, stored]
    report = client.interactions.upload([RECORD] * 3, progress=False)
    assert report.stored == 3
    assert player.seen[0][3] == player.seen[1][3]


def test_an_upload_sends_again_only_the_lines_that_the_server_was_too_busy_for(
    client: Afterword, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    busy = {"line": 2, "status": 503, "error": {"message": "full"}}

    def partly(body: bytes) -> Any:
        first, _, third = stored(body)[2].splitlines()
        return 200, {}, b"\n".join([first, json.dumps(busy).encode(), third])

    player.answers = [partly, stored]
    report = client.interactions.upload([RECORD] * 3, progress=False)
    assert (report.stored, report.failed) == (3, [])
    assert player.seen[1][3] == player.seen[0][3].splitlines()[1]


def test_an_upload_tells_which_records_failed_and_why(client: Afterword, player: Player) -> None:
    def partly(body: bytes) -> Any:
        first, _ = stored(body)[2].splitlines()
        bad = {"line": 2, "status": 422, "error": {"message": "messages is empty.", "param": "messages"}}
        return 200, {}, b"\n".join([first, json.dumps(bad).encode()])

    player.answers = [partly]
    report = client.interactions.upload([RECORD, {**RECORD, "messages": []}], progress=False)
    [failure] = report.failed
    assert (failure.index, failure.record["messages"], failure.error.param) == (1, [], "messages")
    assert isinstance(failure.error, afterword.Invalid)


def test_an_upload_reads_files_and_tells_lines_that_are_no_json(
    client: Afterword, player: Player, tmp_path: Path
) -> None:
    file = tmp_path / "records.jsonl.gz"
    with gzip.open(file, "wb") as out:
        out.write(json.dumps(RECORD).encode() + b"\n\n{broken\n" + json.dumps(RECORD).encode())
    player.answers = [stored]
    report = client.interactions.upload(file, progress=False)
    assert report.stored == 2
    assert [(failure.index, failure.record) for failure in report.failed] == [(2, "{broken")]


def test_an_upload_that_no_record_can_get_past_raises(client: Afterword, player: Player) -> None:
    player.answers = [(401, {}, {"error": {"message": "No key."}})] * 8
    with pytest.raises(afterword.Unauthorized):
        client.interactions.upload([RECORD] * 4, batch_size=1, progress=False)


def test_an_upload_reads_no_more_than_it_sends(client: Afterword, player: Player) -> None:
    taken = 0

    def records() -> Iterator[Any]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield RECORD

    def refused(body: bytes) -> Any:
        return 403, {}, {"error": {"message": "Not allowed."}}

    player.answers = [refused] * 1000
    with pytest.raises(afterword.Forbidden):
        client.interactions.upload(records(), batch_size=10, max_concurrency=2, progress=False)
    assert taken < 100
