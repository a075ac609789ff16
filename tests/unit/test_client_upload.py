"""Bulk upload: batches, what is sent again, what the report tells."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import afterword
from afterword import Afterword

RECORDED = {"completion_id": str(uuid4()), "session_id": str(uuid4()), "feedback_ids": []}


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
