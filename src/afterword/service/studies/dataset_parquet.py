"""Datasets as Parquet files: the columns that rows need, and a writer that holds one row group in memory.

Arrow gives each column one type, while the members of JSON vary from row to row. So the rows are read twice: `RowShape`
sees all of them and decides the types, `ParquetFile` writes them. pyarrow is an extra, loaded by the first file.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import msgspec

from afterword.errors import Invalid
from afterword.service.studies.dataset_formats import Row, answer_messages

BATCH_BYTES = 1 << 20
"""Rows become columns of Arrow in batches of about so many bytes of JSON: as objects of Python they take ten times
that."""
ROW_GROUP_BYTES = 32 << 20
"""A row group holds about so many bytes of JSON, and a file that is written holds one row group in memory."""

JSON_TEXT_FIELDS = frozenset({"arguments", "parameters", "input_schema"})
"""Arguments of calls and schemas of tools, whose members differ from tool to tool: JSON in a string."""
ANSWER_COLUMNS = ("completion", "preferred_completion", "other_completion")
"""What an answer is called in a row. It is a list of messages in each row: some answers are more than a text."""
MAX_LEVELS = 8
MAX_MEMBERS = 64
MAX_COLUMNS = 1000
"""Beyond these limits an object is JSON in a string, so that no file has more columns than its readers take."""
MAX_EXACT_INTEGER = 1 << 53
"""Up to here a double is exact, so that integers can stand in a column of floats."""


def has_parquet() -> bool:
    """Tell whether this server can write Parquet files."""
    return importlib.util.find_spec("pyarrow") is not None


def load_pyarrow() -> Any:
    """Return the package pyarrow. Raises `Invalid` if it is not installed."""
    try:
        importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise Invalid(
            "This server writes no Parquet files, because it has no pyarrow.",
            code="parquet_unavailable",
            param="file",
            hint="Install it where the server runs: pip install 'afterword[server,parquet]'. Or download file=jsonl.",
        ) from None
    return importlib.import_module("pyarrow")


class Column:
    """What was seen at a path of the rows, and the Arrow type that holds all of it."""

    def __init__(self, shape: RowShape, name: str, level: int) -> None:
        self._shape = shape
        self._name = name
        self._level = level
        self._types: set[str] = set()
        self._members: dict[str, Column] = {}
        self._items: Column | None = None

    def see(self, value: Any) -> None:
        """Take a value into account."""
        if value is None or "json" in self._types:
            return
        if self._name in JSON_TEXT_FIELDS and self._level:
            self._types.add("text")
        elif isinstance(value, dict):
            self._types.add("object")
            for name, member in value.items():
                self._see_member(name, member)
        elif isinstance(value, list):
            self._types.add("list")
            if self._items is None:
                self._items = Column(self._shape, "", self._level + 1)
            for item in value:
                self._items.see(item)
        elif isinstance(value, int) and not isinstance(value, bool):
            exact = abs(value) <= MAX_EXACT_INTEGER
            self._types.add("int" if exact else "long" if -(1 << 63) <= value < 1 << 63 else "json")
        else:
            self._types.add(type(value).__name__)

    def _see_member(self, name: str, member: Any) -> None:
        if name not in self._members:
            if (
                len(self._members) >= MAX_MEMBERS
                or self._level >= MAX_LEVELS
                or self._shape.column_count >= MAX_COLUMNS
            ):
                self._types.add("json")
                self._members.clear()
                return
            self._shape.column_count += 1
            self._members[name] = Column(self._shape, name, self._level + 1)
        self._members[name].see(member)

    def close(self) -> None:
        """Decide the type: nothing more will be seen."""
        if self._types == {"str", "list"} and self._name == "content":
            self._types = {"list"}
            assert self._items is not None
            self._items.see(_text_part(""))
        for column in (*self._members.values(), *([self._items] if self._items else [])):
            column.close()
        is_object = self._types == {"object"} and self._members
        if len(self._types) > 1 and not self._types <= {"int", "float"} and not self._types <= {"int", "long"}:
            self._types = {"json"}
        elif self._types == {"object"} and not is_object:
            # Parquet has no objects without members.
            self._types = {"json"}

    def arrow_type(self, pyarrow: Any) -> Any:
        """Return the Arrow type. A column in which nothing was seen is one of strings."""
        if self._types == {"object"}:
            return pyarrow.struct([(name, column.arrow_type(pyarrow)) for name, column in self._members.items()])
        if self._types == {"list"} and self._items is not None:
            return pyarrow.list_(self._items.arrow_type(pyarrow))
        if "float" in self._types:
            return pyarrow.float64()
        if self._types & {"int", "long"}:
            return pyarrow.int64()
        return pyarrow.bool_() if self._types == {"bool"} else pyarrow.string()

    def value(self, value: Any) -> Any:
        """Return a value as the column holds it."""
        if value is None:
            return None
        if "json" in self._types:
            return _json(value)
        if "text" in self._types:
            return value if isinstance(value, str) else _json(value)
        if isinstance(value, dict):
            return {name: self._members[name].value(member) for name, member in value.items()}
        if self._items is not None:
            items = [_text_part(value)] if isinstance(value, str) else value
            return [self._items.value(item) for item in items]
        return float(value) if "float" in self._types else value


class RowShape:
    """The columns of rows, in the order in which they were seen."""

    def __init__(self) -> None:
        self.column_count = 0
        self._columns: dict[str, Column] = {}

    def see(self, row: Row) -> None:
        """Take a row into account."""
        for name, value in _parquet_row(row).items():
            if name not in self._columns:
                self.column_count += 1
                self._columns[name] = Column(self, name, 0)
            self._columns[name].see(value)

    def close(self) -> None:
        """Decide the types: all rows were seen."""
        for column in self._columns.values():
            column.close()

    def schema(self, pyarrow: Any) -> Any:
        """Return the Arrow schema."""
        return pyarrow.schema([(name, column.arrow_type(pyarrow)) for name, column in self._columns.items()])

    def values(self, row: Row) -> Row:
        """Return a row as its columns hold it."""
        return {name: self._columns[name].value(value) for name, value in _parquet_row(row).items()}


class ParquetFile:
    """Writes rows as a Parquet file, of which `take` returns what is finished.

    Where row groups end depends on the rows alone, so that the same rows are the same bytes.
    """

    def __init__(self, shape: RowShape) -> None:
        self._pyarrow = load_pyarrow()
        self._shape = shape
        self._schema = shape.schema(self._pyarrow)
        self._sink = _Sink()
        self._writer = self._pyarrow.parquet.ParquetWriter(
            self._pyarrow.PythonFile(self._sink, mode="w"), self._schema, compression="zstd"
        )
        self._rows: list[Row] = []
        self._row_bytes = 0
        self._batches: list[Any] = []
        self._batch_bytes = 0

    def add(self, row: Row, size: int) -> None:
        """Add a row that comes of `size` bytes of JSON."""
        self._rows.append(self._shape.values(row))
        self._row_bytes += size
        if self._row_bytes >= BATCH_BYTES:
            self._end_batch()
        if self._batch_bytes >= ROW_GROUP_BYTES:
            self._end_row_group()

    def close(self) -> None:
        """Write the last rows and the footer."""
        self._end_batch()
        self._end_row_group()
        self._writer.close()

    def take(self) -> bytes:
        """Return the bytes that were written since the last call."""
        content, self._sink.content = bytes(self._sink.content), bytearray()
        return content

    def _end_batch(self) -> None:
        self._batches.append(self._pyarrow.RecordBatch.from_pylist(self._rows, self._schema))
        self._batch_bytes += self._row_bytes
        self._rows, self._row_bytes = [], 0

    def _end_row_group(self) -> None:
        table = self._pyarrow.Table.from_batches(self._batches, self._schema)
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._batches, self._batch_bytes = [], 0


class _Sink:
    """A file that pyarrow writes and that is emptied meanwhile."""

    closed = False

    def __init__(self) -> None:
        self.content = bytearray()
        self._size = 0

    def write(self, content: bytes) -> int:
        self.content += content
        self._size += len(content)
        return len(content)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Do nothing: what was written is in memory."""

    def close(self) -> None:
        self.closed = True


def _parquet_row(row: Row) -> Row:
    answers = {name: answer_messages(row[name]) for name in ANSWER_COLUMNS if name in row}
    return row | answers


def _text_part(text: str) -> Row:
    return {"type": "text", "text": text}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
