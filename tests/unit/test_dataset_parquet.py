"""Rows as columns of Parquet: one type for each column, and nothing lost."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow.parquet
import pytest

from afterword.service.studies import dataset_parquet
from afterword.service.studies.dataset_parquet import MAX_COLUMNS, MAX_MEMBERS, ParquetFile, RowShape


def written(rows: list[dict[str, Any]]) -> bytes:
    """Return a Parquet file of rows."""
    shape = RowShape()
    for row in rows:
        shape.see(row)
    shape.close()
    file = ParquetFile(shape)
    content = b""
    for row in rows:
        file.add(row, len(json.dumps(row)))
        content += file.take()
    file.close()
    return content + file.take()


def columns_of(*rows: dict[str, Any]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return the types of the columns of rows, and the rows as a Parquet file holds them."""
    table = pyarrow.parquet.read_table(io.BytesIO(written(list(rows))))
    return {field.name: str(field.type) for field in table.schema}, table.to_pylist()


@pytest.mark.parametrize(
    ("values", "column_type", "stored"),
    [
        (["a", None], "string", ["a", None]),
        ([True, False], "bool", [True, False]),
        ([1, 2**53 + 1], "int64", [1, 2**53 + 1]),
        ([1, 2.5], "double", [1.0, 2.5]),
        ([2**53 + 1, 2.5], "string", ["9007199254740993", "2.5"]),
        ([2**70], "string", ["1180591620717411303424"]),
        ([True, 1], "string", ["true", "1"]),
        (["a", 1], "string", ['"a"', "1"]),
        (["a", ["b"]], "string", ['"a"', '["b"]']),
        ([[], [1]], "list<element: int64>", [[], [1]]),
        ([[]], "list<element: string>", [[]]),
        ([[1, "a"], None], "list<element: string>", [["1", '"a"'], None]),
        ([{}, None], "string", ["{}", None]),
        ([{"a": 1}, {"b": "x"}], "struct<a: int64, b: string>", [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
        ([{"a": 1}, []], "string", ['{"a":1}', "[]"]),
        ([None], "string", [None]),
        (["\0 ☃ 𝄞"], "string", ["\0 ☃ 𝄞"]),
    ],
)
def test_a_column_has_the_one_type_that_holds_all_values(values: list[Any], column_type: str, stored: list[Any]):
    types, rows = columns_of(*({"x": value} for value in values))
    assert types == {"x": column_type}
    assert [row["x"] for row in rows] == stored


def test_schemas_of_tools_and_arguments_of_calls_are_json_in_strings():
    tools = [
        {"type": "function", "function": {"name": "a", "parameters": {"properties": {"city": {"type": "string"}}}}},
        {"type": "function", "function": {"name": "b", "parameters": {}}},
    ]
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": '{"city": "Oslo"}'}}]}
    types, [row] = columns_of({"messages": [call], "tools": tools, "parameters": 3})
    assert types["tools"] == ("list<element: struct<type: string, function: struct<name: string, parameters: string>>>")
    assert [json.loads(tool["function"]["parameters"]) for tool in row["tools"]] == [
        tool["function"]["parameters"] for tool in tools
    ]
    assert row["messages"][0]["tool_calls"][0]["function"]["arguments"] == '{"city": "Oslo"}'
    # Only within a row's objects: a column of this name is as any other.
    assert row["parameters"] == 3


def test_texts_beside_parts_are_parts_and_answers_are_messages():
    image = [{"type": "image", "url": "data:,x"}]
    types, rows = columns_of(
        {"messages": [{"role": "user", "content": image}], "completion": "So."},
        {"messages": [{"role": "user", "content": "Why?"}], "completion": {"role": "assistant", "content": "Because."}},
    )
    assert types["messages"] == (
        "list<element: struct<role: string, content: list<element: struct<type: string, url: string, text: string>>>>"
    )
    assert rows[0]["messages"][0]["content"] == [{"type": "image", "url": "data:,x", "text": None}]
    assert rows[1]["messages"][0]["content"] == [{"type": "text", "url": None, "text": "Why?"}]
    assert [row["completion"] for row in rows] == [
        [{"role": "assistant", "content": "So."}],
        [{"role": "assistant", "content": "Because."}],
    ]


def test_objects_with_very_many_members_are_json_in_strings():
    wide = {f"key {n}": n for n in range(MAX_MEMBERS + 1)}
    deep: Any = "end"
    for _ in range(30):
        deep = {"deeper": deep}
    types, [row] = columns_of({"wide": wide, "deep": deep})
    assert types["wide"] == "string"
    assert json.loads(row["wide"]) == wide
    while isinstance(row["deep"], dict):
        row, deep = {"deep": row["deep"]["deeper"]}, deep["deeper"]
    assert json.loads(row["deep"]) == deep
    many = [{f"row {n}": {f"member {m}": m for m in range(50)}} for n in range(50)]
    assert sum(field_type.count(": ") + 1 for field_type in columns_of(*many)[0].values()) <= MAX_COLUMNS + 50


def test_row_groups_are_bounded_and_the_same_rows_are_the_same_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dataset_parquet, "BATCH_BYTES", 1000)
    monkeypatch.setattr(dataset_parquet, "ROW_GROUP_BYTES", 10_000)
    rows = [{"number": n, "text": "word " * 20} for n in range(1000)]
    content = written(rows)
    file = pyarrow.parquet.ParquetFile(io.BytesIO(content))
    sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    assert sum(sizes) == 1000
    assert 8 < len(sizes) < 20
    assert max(sizes) < 150
    assert file.read().to_pylist() == rows
    assert written(rows) == content
