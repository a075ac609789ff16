"""Downloads of datasets: files of Parquet, and sides of a split."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow.parquet
import pytest

TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": {"properties": {"city": {"type": "string"}}}}},
    {"type": "function", "function": {"name": "book", "parameters": {"properties": {"nights": {"minimum": 1}}}}},
]
PROMPT = [{"role": "user", "content": "Ten days in Norway?"}]
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}],
}
LINES: dict[str, list[dict[str, Any]]] = {
    "prompt": [{"messages": PROMPT}, {"messages": PROMPT, "tools": TOOLS}],
    "completion": [{"messages": PROMPT, "completion": "Go."}, {"messages": PROMPT, "completion": CALL, "tools": TOOLS}],
    "feedback": [
        {"messages": PROMPT, "completion": "Go.", "feedbacks": {"good": True, "stars": 4}},
        {"messages": PROMPT, "completion": CALL, "tools": TOOLS, "feedbacks": {"good": False, "stars": 2.5}},
    ],
    "preference": [
        {"messages": PROMPT, "preferred_completion": [CALL], "other_completion": "Stay.", "feedback_key": "good",
         "tools": TOOLS, "metadata": {"completion_ids": ["1", "2"]}},
    ],
}  # fmt: skip
Upload = Callable[..., dict[str, Any]]


@pytest.fixture
def upload(http: httpx.Client, project: str) -> Upload:
    """Upload lines as a dataset of the test's project."""

    def uploaded(*lines: dict[str, Any], key: str = "lines") -> dict[str, Any]:
        content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        query = {"project": project, "key": key}
        return http.post("/api/v1/datasets", params=query, content=content).raise_for_status().json()

    return uploaded


def read(answer: httpx.Response) -> list[dict[str, Any]]:
    """Return the rows of a Parquet file."""
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    return pyarrow.parquet.read_table(io.BytesIO(answer.raise_for_status().content)).to_pylist()


def without_nulls(value: Any) -> Any:
    """Return a value without members that are null: a column has a value, or null, for each row."""
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def as_columns(value: Any, name: str = "") -> Any:
    """Return a row of JSON as Parquet has it: schemas of tools are JSON in strings, answers are lists of messages."""
    if name == "parameters":
        return json.dumps(value, separators=(",", ":"))
    if name in ("completion", "preferred_completion", "other_completion"):
        value = [{"role": "assistant", "content": value}] if isinstance(value, str) else value
        value = value if isinstance(value, list) else [value]
    if isinstance(value, dict):
        return {key: as_columns(part, key) for key, part in value.items()}
    return [as_columns(part) for part in value] if isinstance(value, list) else value


@pytest.mark.any_store
@pytest.mark.parametrize("form", ["recipe", "openai", "trl", "sharegpt"])
@pytest.mark.parametrize("kind", LINES)
def test_a_parquet_file_has_the_rows_of_each_format(upload: Upload, http: Any, kind: str, form: str):
    address = upload(*LINES[kind])["download_url"]
    rows = [json.loads(line) for line in http.get(address, params={"format": form}).text.splitlines()]
    answer = http.get(address, params={"format": form, "file": "parquet"})
    assert [without_nulls(row) for row in read(answer)] == [without_nulls(as_columns(row)) for row in rows]
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''lines.parquet"
    again = http.get(address, params={"format": form, "file": "parquet"})
    assert again.content == answer.content


def test_rows_of_parquet_are_chosen_as_those_of_json(upload: Upload, http: Any, refused: Any):
    sides = ("train", "test", "train")
    lines = [{"messages": PROMPT, "completion": str(n), "metadata": {"split": side}} for n, side in enumerate(sides)]
    address = upload(*lines)["download_url"]
    rows = read(http.get(address, params={"file": "parquet", "split": "train", "provenance": False}))
    assert [list(row) for row in rows] == [["messages", "completion"]] * 2
    assert [row["completion"][0]["content"] for row in rows] == ["0", "2"]
    for query in ({"file": "parquet"}, {"split": "train"}):
        refusal = refused(http.get(address, params={"format": "original", **query}), 422, "invalid_value")
        assert refusal["param"] in query


def test_parquet_without_pyarrow_names_what_to_install(new_server: Any, refused: Any, tmp_path: Path):
    missing = tmp_path / "missing" / "pyarrow"
    missing.mkdir(parents=True)
    missing.joinpath("__init__.py").write_text("raise ModuleNotFoundError('none here', name='pyarrow')\n")
    with new_server(PYTHONPATH=str(missing.parent)).client() as http:
        content = json.dumps(LINES["prompt"][0])
        made = http.post("/api/v1/datasets", params={"key": "a"}, content=content).raise_for_status().json()
        error = refused(http.get(made["download_url"], params={"file": "parquet"}), 422, "parquet_unavailable", "file")
        assert "afterword[server,parquet]" in error["hint"]


@pytest.mark.thorough
def test_a_parquet_file_of_a_large_dataset_needs_little_memory(new_server: Any):
    running = new_server()
    line = json.dumps({"messages": [{"role": "user", "content": "word " * 4_000}], "completion": "So."}).encode()
    count = 10_000

    def resident_bytes() -> int:
        return psutil.Process(running.process.pid).memory_info().rss

    with running.client() as http:
        small = http.post("/api/v1/datasets", params={"key": "small"}, content=line).raise_for_status().json()
        http.get(small["download_url"], params={"file": "parquet"}).raise_for_status()
        chunks = (b"\n".join([line] * 100) + b"\n" for _ in range(count // 100))
        large = http.post("/api/v1/datasets", params={"key": "large"}, content=chunks).raise_for_status().json()
        assert large["size"] > 200_000_000
        before, peaks, content = resident_bytes(), [], io.BytesIO()
        with http.stream("GET", large["download_url"], params={"file": "parquet"}, timeout=170) as answer:
            for chunk in answer.raise_for_status().iter_bytes():
                content.write(chunk)
                peaks.append(resident_bytes())
    assert pyarrow.parquet.ParquetFile(content).metadata.num_rows == count
    assert len(peaks) > 5
    assert max(peaks) - before < 150 << 20, (max(peaks) - before) >> 20


@pytest.mark.embedded
def test_the_sides_of_a_dataset_of_an_older_server_are_looked_up(new_server: Any, refused: Any):
    running = new_server()
    contents = {"whole": {}, "parts": {"metadata": {"split": "train"}}}
    with running.client() as http:
        for key, fields in contents.items():
            content = json.dumps({"messages": PROMPT, **fields})
            http.post("/api/v1/datasets", params={"key": key}, content=content).raise_for_status()
    running.stop()
    with closing(sqlite3.connect(running.directory / "afterword.db")) as store, store:
        store.execute("UPDATE datasets SET split_lines = NULL")
    running.start()
    with running.client() as http:
        assert [one["split_lines"] for one in http.get("/api/v1/datasets").json()["datasets"]] == [None, None]
        query = {"split": "train"}
        refused(http.get("/api/v1/datasets/whole/download", params=query), 422, "dataset_not_split", "split")
        assert http.get("/api/v1/datasets/parts/download", params=query).text.count("\n") == 1


def test_a_side_without_lines_is_refused_with_what_to_do(upload: Upload, http: Any, project: str, refused: Any):
    whole = upload({"messages": PROMPT}, key="whole")
    assert whole["split_lines"] == {}
    error = refused(http.get(whole["download_url"], params={"split": "test"}), 422, "dataset_not_split", "split")
    assert "'whole' was not split" in error["message"]
    assert "make the dataset with a split" in error["hint"]
    parts = upload(*({"messages": PROMPT, "metadata": {"split": side}} for side in ("train", "train", "test")))
    assert parts["split_lines"] == {"train": 2, "test": 1}
    assert http.get(parts["download_url"], params={"split": "test"}).text.count("\n") == 1
    for file in ("jsonl", "parquet"):
        query = {"split": "validation", "file": file}
        error = refused(http.get(parts["download_url"], params=query), 422, "empty_side", "split")
        assert "2 train, 1 test" in error["message"]
