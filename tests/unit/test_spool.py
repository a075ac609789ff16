"""The queue on disk of lines that wait to be sent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from afterword.call_log.exchange import EventRewriter, Exchange, find_operation
from afterword.call_log.spool import SEGMENT_BYTES, Spool


def read_all(spool: Spool) -> list[tuple[str, list[bytes]]]:
    found = []
    while (lines := spool.read(100, 1 << 20)) is not None:
        found.append((lines.kind, lines.bodies))
        spool.discard(lines)
    return found


def test_lines_come_out_in_order_and_batches_are_of_one_kind(tmp_path: Path):
    spool = Spool(tmp_path, 1 << 20)
    for kind, body in [("calls", b"1"), ("calls", b"2"), ("feedback", b"3"), ("calls", b"4\r")]:
        assert spool.append(kind, body)
    assert read_all(spool) == [("calls", [b"1", b"2"]), ("feedback", [b"3"]), ("calls", [b"4\r"])]
    assert spool.waiting_bytes == 0


def test_lines_stay_until_they_are_discarded(tmp_path: Path):
    spool = Spool(tmp_path, 1 << 20)
    spool.append("calls", b"1")
    assert spool.read(10, 100) == spool.read(10, 100)


def test_a_line_beyond_the_bound_is_refused_until_there_is_room(tmp_path: Path):
    spool = Spool(tmp_path, 100)
    assert spool.append("calls", b"x" * 80)
    assert not spool.append("calls", b"y" * 80)
    read_all(spool)
    assert spool.append("calls", b"y" * 80)


def test_a_line_larger_than_a_batch_is_read_whole(tmp_path: Path):
    spool = Spool(tmp_path, 1 << 20)
    spool.append("calls", b"x" * 5000)
    spool.append("calls", b"y")
    lines = spool.read(10, 1000)
    assert lines is not None
    assert lines.bodies[0] == b"x" * 5000


def test_sent_segments_are_deleted(tmp_path: Path):
    spool = Spool(tmp_path, 1 << 30)
    for _ in range(3):
        spool.append("calls", b"x" * (SEGMENT_BYTES + 1))
    assert len(list(tmp_path.iterdir())) == 3
    assert len(read_all(spool)) == 3
    spool.close()
    assert not list(tmp_path.iterdir())


def test_whole_lines_of_a_killed_process_are_adopted(tmp_path: Path):
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom afterword.call_log.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]), 1 << 20)\nspool.append('calls', b'1')\nspool.append('calls', b'2')\n"
        "[path] = Path(sys.argv[1]).iterdir()\npath.open('ab').write(b'calls\\thalf a li')\n"
        "print('written', flush=True)\n"
        "sys.stdin.read()\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "written\n"
    spool = Spool(tmp_path, 1 << 20)
    spool.adopt_orphans()
    assert read_all(spool) == [], "the files of a living process are its own"
    writer.kill()
    writer.communicate()
    spool.adopt_orphans()
    assert read_all(spool) == [("calls", [b"1", b"2"])]
    assert not list(tmp_path.iterdir())


def test_a_forked_process_writes_files_of_its_own(tmp_path: Path):
    spool = Spool(tmp_path, 1 << 20)
    spool.append("calls", b"parent")
    child = os.fork()
    if child == 0:
        spool.append("calls", b"child")
        os._exit(0)
    os.waitpid(child, 0)
    assert read_all(spool) == [("calls", [b"parent"])]
    spool.adopt_orphans()
    assert read_all(spool) == [("calls", [b"child"])]


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/chat/completions", "chat"),
        ("/openai/deployments/gpt/chat/completions", "chat"),
        ("/v1/completions", "completions"),
        ("/v1/responses", "responses"),
        ("/v1/messages", "messages"),
        ("/v1/messages/count_tokens", None),
        ("/v1/responses/resp_1/cancel", None),
        ("/v1/models", None),
    ],
)
def test_calls_of_models_are_known_by_their_path(path: str, operation: str | None):
    assert find_operation("POST", path) == operation
    assert find_operation("GET", path) is None


class Appended:
    """A log that keeps what is appended to it."""

    def __init__(self) -> None:
        self.labels: dict[str, str] = {}
        self.lines: list[tuple[str, bytes]] = []

    def append(self, kind: str, body: bytes) -> None:
        self.lines.append((kind, body))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_events_are_passed_on_whole_wherever_the_bytes_are_cut(size: int):
    stream = (
        b'event: a\r\ndata: {"choices":[{"index":0,"delta":{"content":"h\xc3\xa9"}}]}\r\n\r\n'
        b": comment\n\ndata: no json\n\ndata: [DONE]\n\n"
    )
    exchange = Exchange(Appended(), "chat", b'{"model":"m"}', [])  # pyright: ignore[reportArgumentType]
    rewriter = EventRewriter(exchange)
    passed = b"".join(rewriter.take(stream[start : start + size]) for start in range(0, len(stream), size))
    passed += rewriter.end()
    added = b'"completion_id":"%s"' % str(exchange.first_id).encode()
    assert added in passed
    assert passed.replace(b"," + added, b"").replace(b"\r", b"") == stream.replace(b"\r", b"")


@pytest.mark.parametrize("content", [b'{"choices":5}', b'{"choices":[3]}', b'{"a":"\xff"}', b'{"a":NaN}', b"[1]", b""])
def test_an_answer_of_any_form_reaches_the_application_and_is_logged(content: bytes):
    log = Appended()
    exchange = Exchange(log, "chat", b'{"model":"m"}', [])  # pyright: ignore[reportArgumentType]
    assert exchange.take_event(content) == content
    assert exchange.finish_answer(200, {}, content) == content
    assert len(log.lines) == 1
