"""Datasets by the command line and by the client: small ones in one call, large ones in parts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from afterword import Afterword, AsyncAfterword, Conflict, Invalid, NotFound
from afterword.client.aio.datasets import MAX_WHOLE_FILE_BYTES

pytestmark = pytest.mark.thorough

LINE = {"messages": [{"role": "user", "content": "Why?"}], "completion": "So."}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small file of lines."""
    made = tmp_path / "lines.jsonl"
    made.write_text(json.dumps(LINE) + "\n" + json.dumps(LINE))
    return made


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that goes in parts."""
    made = tmp_path / "large.jsonl"
    line = json.dumps({**LINE, "completion": "Ü" * 5000}, ensure_ascii=False)
    with made.open("w", encoding="utf-8") as opened:
        for _ in range(1200):
            opened.write(line + "\n")
    assert made.stat().st_size > 2 * MAX_WHOLE_FILE_BYTES
    return made


def test_a_dataset_by_the_command_line(afterword: Any, file: Path, tmp_path: Path, one_line: Any):
    assert afterword("datasets", "upload", str(file)).stdout == "Made lines: 2 lines of the kind completion.\n"
    made = json.loads(afterword("datasets", "upload", str(file), "--key", "again", "--json").stdout)
    assert (made["key"], made["lines"]) == ("again", 2)
    assert [one["key"] for one in json.loads(afterword("datasets", "list", "--json").stdout)] == ["again", "lines"]
    assert "again" in afterword("datasets", "list").stdout
    assert "completion" in afterword("datasets", "show", "lines").stdout
    assert json.loads(afterword("datasets", "show", "again", "--json").stdout) == made
    afterword("datasets", "download", "again")
    assert [json.loads(line) for line in (tmp_path / "again.jsonl").read_text().splitlines()] == [LINE, LINE]
    target = tmp_path / "original"
    afterword("datasets", "download", "again", "--output", str(target), "--format", "original")
    assert target.read_bytes() == file.read_bytes()
    assert afterword("datasets", "delete", "again").stdout == "Deleted again.\n"
    one_line(afterword("datasets", "show", "again", code=1).stderr, "no dataset 'again'")
    one_line(afterword("datasets", "download", "again", code=1).stderr, "EntityNotFound: dataset 'again'")
    assert not (tmp_path / "again.jsonl.part").exists()


def test_a_preview_by_the_command_line_makes_no_dataset(afterword: Any):
    afterword("log", "Why?", "So.")
    rules = ("--votes", "majority", "--split", "prompt:0.2:0.2", "--duplicates", "near", "--ties")
    shown = afterword("datasets", "create", "looked-at", "--preview", *rules)
    assert json.loads(shown.stdout.splitlines()[0])["metadata"]["split"] in ("train", "validation", "test")
    assert "It would have 1 line" in shown.stderr
    shown = afterword("datasets", "create", "looked-at", "--preview", "--format", "trl", *rules)
    assert [message["role"] for message in json.loads(shown.stdout)["messages"]] == ["user", "assistant"]
    assert json.loads(afterword("datasets", "list", "--json").stdout) == []
    refused = afterword("datasets", "create", "looked-at", "--format", "trl", code=2)
    assert "--preview" in refused.stderr
    afterword("datasets", "create", "made", *rules)
    afterword("datasets", "download", "made", "--format", "trl", "--no-provenance")


def test_rows_are_downloaded_as_parquet_by_the_files_name(afterword: Any, one_line: Any, tmp_path: Path):
    afterword("log", "Why?", "So.")
    afterword("datasets", "create", "made")
    afterword("datasets", "download", "made", "-o", "made.parquet", "--format", "trl", "--no-provenance")
    [row] = pyarrow.parquet.read_table(tmp_path / "made.parquet").to_pylist()
    assert row == {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}
    refused = afterword("datasets", "download", "made", "--split", "test", code=1)
    one_line(refused.stderr, "the dataset 'made' was not split")


def test_a_dataset_of_interactions_by_the_command_line(afterword: Any, one_line: Any, tmp_path: Path):
    afterword("log", "Why?", "So.", "--label", "env=prod")
    afterword("log", "Why?", "Indeed.")
    tree = '{"label": {"key": "env"}}'
    assert "1 line of the kind completion" in afterword("datasets", "create", "some", "--filter", tree).stdout
    done = afterword("datasets", "create", "last", "--kind", "prompt", "--sample", "last", "--size", "2", "--json")
    assert json.loads(done.stdout)["lines"] == 2
    assert "version" not in afterword("datasets", "create", "nightly", "--filter", tree).stdout
    assert "Unchanged nightly: 1 line" in afterword("datasets", "create", "nightly", "--filter", tree).stdout
    assert "Made nightly, version 2: 2 lines" in afterword("datasets", "create", "nightly").stdout
    newest = json.loads(afterword("datasets", "show", "nightly", "--json").stdout)
    assert newest["content_hash"][:12] in afterword("datasets", "list").stdout
    afterword("datasets", "download", "nightly", "--version", "1")
    assert json.loads((tmp_path / "nightly.jsonl").read_text())["completion"] == "So."
    assert afterword("datasets", "delete", "nightly", "--version", "2").stdout == "Deleted nightly, version 2.\n"
    one_line(afterword("datasets", "show", "nightly", "--version", "2", code=1).stderr, "with the version 2")
    assert "not JSON" in afterword("datasets", "create", "bad", "--filter", "{", code=2).stderr


def test_a_large_file_goes_in_parts(server: Any, project: str, large: Path, tmp_path: Path):
    heard: list[tuple[int, int]] = []
    with Afterword(server.url, server.api_key, default_project=project) as client:
        made = client.datasets.upload(large, "large", name="Large", progress=lambda *sent: heard.append(sent))
        size = large.stat().st_size
        assert (made.key, made.name, made.lines, made.size) == ("large", "Large", 1200, size)
        assert heard == [(MAX_WHOLE_FILE_BYTES, size), (2 * MAX_WHOLE_FILE_BYTES, size), (size, size)]
        target = tmp_path / "back.jsonl"
        assert client.datasets.download("large", target, format="original") == size
        assert target.read_bytes() == large.read_bytes()
        with pytest.raises(Conflict):
            client.datasets.upload(large, "large")
        client.datasets.delete("large")
        assert client.datasets.get("large") is None
        with pytest.raises(NotFound):
            client.datasets.download("large", target)
        assert target.read_bytes() == large.read_bytes()
        with large.open("a") as opened:
            opened.write("{}\n")
        with pytest.raises(Invalid, match=r"Line 1,?201"):
            client.datasets.upload(large, "large")
        assert client.datasets.list() == []


def test_the_async_client_does_the_same(server: Any, project: str, large: Path, file: Path, tmp_path: Path):
    async def all_of_it() -> None:
        async with AsyncAfterword(server.url, server.api_key, default_project=project) as client:
            assert (await client.datasets.upload(large, "large")).lines == 1200
            assert (await client.datasets.upload(file, "small")).lines == 2
            assert [one.key for one in await client.datasets.list()] == ["small", "large"]
            await client.interactions.create(LINE["messages"], "So.")  # pyright: ignore[reportArgumentType]
            assert (await client.datasets.create_from_interactions("made", "completion")).source == "filtered"
            await client.datasets.download("made", tmp_path / "made.jsonl")
            assert json.loads((tmp_path / "made.jsonl").read_text())["completion"] == "So."
            await client.datasets.delete("made")

    asyncio.run(all_of_it())
