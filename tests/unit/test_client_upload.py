"""Bulk upload: batches, what is sent again, what the report tells."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import afterword
from afterword import Afterword, AsyncAfterword
from afterword.client import core, uploading

RECORDED = {"completion_id": str(uuid4()), "session_id": str(uuid4()), "feedback_ids": []}


def stored(body: bytes) -> Any:
    lines = [
        {"line": number, "status": 201, **RECORDED, "completion_id": json.loads(line)["completion_id"]}
        for number, line in enumerate(body.splitlines(), 1)
    ]
    return 200, {}, b"\n".join(json.dumps(line).encode() for line in lines)


RECORD = {"messages": [{"role": "user", "content": "Hello!"}], "completion": "Hi!"}


def test_an_upload_sends_batches_and_gives_each_record_an_id(client: Afterword, player: Any) -> None:
    player.answers = [stored] * 3
    report = client.interactions.upload((RECORD for _ in range(5)), {"set": "a"}, batch_size=2, progress=False)
    assert (report.sent, report.stored, report.failed) == (5, 5, [])
    lines = [json.loads(line) for *_, body in player.seen for line in body.splitlines()]
    assert len({line["completion_id"] for line in lines}) == 5
    assert all(line["labels"] == {"set": "a"} for line in lines)


def test_a_records_own_labels_win_over_those_of_the_upload(client: Afterword, player: Any) -> None:
    player.answers = [stored]
    client.interactions.upload([{**RECORD, "labels": {"set": "b"}}], {"set": "a", "env": "x"}, progress=False)
    assert json.loads(player.seen[0][3])["labels"] == {"set": "b", "env": "x"}


def test_an_upload_repeats_a_lost_batch_as_it_was(client: Afterword, player: Any) -> None:
    player.answers = [None, stored]
    report = client.interactions.upload([RECORD] * 3, progress=False)
    assert report.stored == 3
    assert player.seen[0][3] == player.seen[1][3]


def test_upload_resends_only_lines_refused_by_a_busy_server(
    client: Afterword, player: Any, monkeypatch: pytest.MonkeyPatch
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


def test_an_upload_tells_which_records_failed_and_why(client: Afterword, player: Any) -> None:
    def partly(body: bytes) -> Any:
        first, _ = stored(body)[2].splitlines()
        bad = {"line": 2, "status": 422, "error": {"message": "messages is empty.", "param": "messages"}}
        return 200, {}, b"\n".join([first, json.dumps(bad).encode()])

    player.answers = [partly]
    report = client.interactions.upload([RECORD, {**RECORD, "messages": []}], progress=False)
    [failure] = report.failed
    assert (failure.index, failure.record["messages"], failure.error.param) == (1, [], "messages")
    assert isinstance(failure.error, afterword.Invalid)


def test_an_upload_reads_files_and_tells_lines_that_are_no_json(client: Afterword, player: Any, tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl.gz"
    with gzip.open(file, "wb") as out:
        out.write(json.dumps(RECORD).encode() + b"\n\n{broken\n" + json.dumps(RECORD).encode())
    player.answers = [stored]
    report = client.interactions.upload(file, progress=False)
    assert report.stored == 2
    assert [(failure.index, failure.record) for failure in report.failed] == [(2, "{broken")]


def test_an_upload_that_no_record_can_get_past_raises(client: Afterword, player: Any) -> None:
    player.answers = [(401, {}, {"error": {"message": "No key."}})] * 8
    with pytest.raises(afterword.Unauthorized):
        client.interactions.upload([RECORD] * 4, batch_size=1, progress=False)


def test_an_upload_reads_no_more_than_it_sends(client: Afterword, player: Any) -> None:
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


def test_an_answer_that_was_cut_off_counts_as_far_as_it_goes(client: Afterword, player: Any) -> None:
    def cut(body: bytes) -> Any:
        return 200, {}, stored(body)[2][:-200]

    player.answers = [cut, stored]
    report = client.interactions.upload([RECORD] * 3, progress=False)
    assert (report.sent, report.stored, report.failed) == (3, 3, [])
    first, second = (body.splitlines() for *_, body in player.seen)
    assert second == first[len(first) - len(second) :]
    assert 0 < len(second) < 3


def test_an_answer_that_is_none_fails_each_line_of_its_batch_once(client: Afterword, player: Any) -> None:
    player.answers = [stored, (200, {}, b"<html>Welcome</html>")]
    report = client.interactions.upload([RECORD] * 4, batch_size=2, max_concurrency=1, progress=False)
    assert (report.sent, report.stored, [failure.index for failure in report.failed]) == (4, 2, [2, 3])
    assert "Is this an Afterword server" in str(report.failed[0].error)


def test_lines_that_are_not_taken_for_good_tell_in_the_servers_words_why(client: Afterword, player: Any) -> None:
    full = {"line": 1, "status": 503, "error": {"message": "The disk is full.", "code": "disk_full"}}
    player.answers = [(200, {}, full)] * 5
    [failure] = client.interactions.upload([RECORD], progress=False).failed
    assert isinstance(failure.error, afterword.Unavailable)
    assert (failure.error.message, failure.error.code) == ("The disk is full.", "disk_full")
    assert len(player.seen) == 5


def test_batches_end_where_they_would_get_too_large(
    client: Afterword, player: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "MAX_BATCH_BYTES", 1000)
    player.answers = [stored] * 10
    report = client.interactions.upload([{**RECORD, "completion": "x" * 300}] * 4, progress=False)
    assert report.stored == 4
    assert len(player.seen) == 2
    assert all(len(body) <= 1000 for *_, body in player.seen)


def test_labels_of_a_wrong_form_are_the_servers_to_refuse(client: Afterword, player: Any) -> None:
    player.answers = [stored]
    client.interactions.upload([{**RECORD, "labels": ["a"]}], {"set": "a"}, progress=False)
    assert json.loads(player.seen[0][3])["labels"] == ["a"]


def test_what_cannot_be_written_as_json_hurts_no_other_record(client: Afterword, player: Any) -> None:
    player.answers = [stored]
    records: Any = [object(), RECORD, {**RECORD, "model": object()}]
    report = client.interactions.upload(records, progress=False)
    assert report.stored == 1
    assert [failure.index for failure in report.failed] == [0, 2]


LINES = b"\r\n".join([json.dumps(RECORD).encode()] * 2)


@pytest.mark.parametrize(
    "content", [LINES, b"\xef\xbb\xbf" + LINES, gzip.compress(LINES)], ids=["plain", "with a mark", "packed"]
)
def test_an_upload_reads_what_is_in_a_file_whatever_its_name(
    client: Afterword, player: Any, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "records"
    file.write_bytes(content)
    player.answers = [stored, stored]
    assert client.interactions.upload(file, progress=False).stored == 2
    with file.open("rb") as opened:
        assert client.interactions.upload(opened, progress=False).stored == 2


def test_an_upload_reads_files_opened_as_text_and_files_in_memory(client: Afterword, player: Any) -> None:
    player.answers = [stored, stored]
    assert client.interactions.upload(io.StringIO(LINES.decode()), progress=False).stored == 2
    assert client.interactions.upload(io.BytesIO(LINES), progress=False).stored == 2


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"max_concurrency": 0}])
def test_sizes_that_make_no_sense_are_refused(client: Afterword, wrong: Any) -> None:
    with pytest.raises(ValueError, match="is 0, but must be at least 1"):
        client.interactions.upload([RECORD], **wrong)


def test_a_server_that_is_not_there_is_no_matter_of_the_report() -> None:
    with Afterword("http://127.0.0.1:1", "key", max_retries=0) as client, pytest.raises(afterword.ConnectionFailed):
        client.interactions.upload([RECORD], progress=False)


def test_a_server_that_is_another_one_is_no_matter_of_the_report(client: Afterword, player: Any) -> None:
    player.answers = [(404, {}, b"<html>Nothing here</html>")] * 2
    with pytest.raises(afterword.NotFound, match="Is this an Afterword server"):
        client.interactions.upload([RECORD], progress=False)


def test_upload_that_loses_the_server_reports_what_was_stored(client: Afterword, player: Any) -> None:
    player.answers = [stored, *[None] * 5]
    report = client.interactions.upload([RECORD] * 2, batch_size=1, max_concurrency=1, progress=False)
    assert (report.stored, [failure.index for failure in report.failed]) == (1, [1])
    assert isinstance(report.failed[0].error, afterword.ConnectionFailed)


def test_feedback_and_preferences_are_uploaded_under_ids_of_their_own(client: Afterword, player: Any) -> None:
    client.set_default_project("mine")
    answer = (200, {}, {"line": 1, "status": 201})
    player.answers = [answer, answer]
    assert client.feedback.upload([{"metric": "CSAT", "value": 5}], progress=False).stored == 1
    assert client.feedback.upload_preferences([{"metric": "CSAT"}], progress=False).stored == 1
    (_, first, _, rated), (_, second, _, preferred) = player.seen
    assert first == "/api/v1/feedback/batch"
    assert second == "/api/v1/preferences/batch?project=mine"
    assert "feedback_id" in json.loads(rated)
    assert "comparison_id" in json.loads(preferred)


@pytest.mark.parametrize(("forced", "shown"), [("", False), ("1", True)])
def test_progress_is_shown_on_a_terminal_alone(
    client: Afterword, player: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any, forced: str, shown: bool
) -> None:
    monkeypatch.setenv("FORCE_COLOR", forced)
    player.answers = [stored]
    client.interactions.upload([RECORD])
    written = capfd.readouterr()
    assert written.out == ""
    assert ("Uploading" in written.err) is shown


async def uploaded(url: str, number: int) -> afterword.UploadReport:
    async with AsyncAfterword(url, "key") as client:
        return await client.interactions.upload([RECORD] * number, batch_size=1, max_concurrency=3, progress=False)


def test_the_async_client_uploads_as_the_other_does(player: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "FIRST_DELAY_SECONDS", 0.001)
    player.answers = [None, *[stored] * 10]
    report = asyncio.run(uploaded(player.url, 10))
    assert (report.sent, report.stored, report.failed) == (10, 10, [])


def test_the_async_client_leaves_nothing_running_when_an_upload_raises(player: Any, caplog: Any) -> None:
    player.answers = [(401, {}, {"error": {"message": "No key."}})] * 10
    with pytest.raises(afterword.Unauthorized):
        asyncio.run(uploaded(player.url, 10))
    assert len(player.seen) <= 4
    assert "never retrieved" not in caplog.text
