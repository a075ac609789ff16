"""Files of lines: however they are written and packed, and what is refused for what it is."""

from __future__ import annotations

import gzip
import importlib
import json
import re
from pathlib import Path

import pytest

from afterword.cli.import_lines import LineError, Options, Shaper
from afterword.client.line_files import RawLine, UnreadableFile, open_source

HI = [{"role": "user", "content": "Hi"}]


def read(path: Path, content: bytes) -> list[RawLine]:
    path.write_bytes(content)
    return list(open_source(str(path)).lines())


LINES = b'{"a": 1}\n\n  \r\n{"b": "\xc3\xa9]"}\r\n[2]'
ELEMENTS = b'\n [ {"a": 1} ,\n{"b": "\xc3\xa9]"},[2]]\n'


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lines_are_read_with_their_numbers(tmp_path: Path, packed: bool, mark: bytes):
    content = mark + LINES
    found = read(tmp_path / "lines", gzip.compress(content) if packed else content)
    assert [(one.number, one.content.strip()) for one in found] == [
        (1, b'{"a": 1}'),
        (4, b'{"b": "\xc3\xa9]"}'),
        (5, b"[2]"),
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_the_elements_of_an_array_are_its_lines(tmp_path: Path, packed: bool):
    found = read(tmp_path / "array", gzip.compress(ELEMENTS) if packed else ELEMENTS)
    assert [(one.number, one.content) for one in found] == [
        (1, b'{"a": 1}'),
        (2, b'{"b": "\xc3\xa9]"}'),
        (3, b"[2]"),
    ]


def test_a_long_array_is_read_piece_by_piece(tmp_path: Path):
    elements = [{"number": number, "text": "é" * (number % 7 * 1000)} for number in range(3000)]
    found = read(tmp_path / "array", json.dumps(elements, ensure_ascii=False).encode())
    assert [json.loads(one.content) for one in found] == elements


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n \n", b"[]", b" [ ] "])
def test_a_file_may_be_empty(tmp_path: Path, content: bytes):
    assert read(tmp_path / "empty", content) == []


@pytest.mark.parametrize("start", [b"\n", b"\n\n\n", b"1\n", b"1\n2\n", b" \n 1\n", b"{\n"])
def test_numbers_are_right_however_a_file_begins(tmp_path: Path, start: bytes):
    found = read(tmp_path / "lines", start + b'{"last": 1}')
    assert (found[-1].number, found[-1].content) == (start.count(b"\n") + 1, b'{"last": 1}')


def test_an_array_that_breaks_off_gives_what_came_before(tmp_path: Path):
    found = read(tmp_path / "array", b'[{"a": 1}, {"b": ')
    assert (found[0].content, found[1].number) == (b'{"a": 1}', 2)
    assert "is not JSON" in str(found[1].problem)


def test_a_gzipped_file_that_breaks_off_is_named(tmp_path: Path):
    whole = gzip.compress(b'{"a": 1}\n' * 100_000)
    with pytest.raises(UnreadableFile, match="is damaged"):
        read(tmp_path / "cut.gz", whole[: len(whole) // 2])


def test_a_file_in_utf_16_is_refused_with_advice(tmp_path: Path):
    with pytest.raises(UnreadableFile, match=r"is UTF-16.*iconv -f UTF-16 -t UTF-8"):
        read(tmp_path / "utf16", '{"a": 1}'.encode("utf-16"))


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(UnreadableFile, match=r"nowhere\.jsonl cannot be read: No such file"):
        open_source("nowhere.jsonl")


LINE = {"messages": HI, "completion": "Hello!"}
COMPACT = json.dumps(LINE).encode()
PRETTY = json.dumps(LINE, indent=2).encode()


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (COMPACT, 1),
        (b"\r\n".join([COMPACT] * 3), 3),
        (b",\n".join([COMPACT] * 3), 3),
        (PRETTY, 1),
        (b"\n".join([PRETTY] * 3), 3),
        (b"\xef\xbb\xbf" + PRETTY, 1),
        (b"[" + b",\n".join([PRETTY] * 3) + b"]", 3),
        (json.dumps([LINE] * 3, indent=2).encode(), 3),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("packing", ["none", "gzip", "bz2", "lzma", "zstandard"])
def test_lines_are_found_however_they_are_written(tmp_path: Path, content: bytes, number: int, packing: str):
    packed = content if packing == "none" else importlib.import_module(packing).compress(content)
    found = [json.loads(raw.content) for raw in read(tmp_path / "lines", packed)]
    assert found == [LINE] * number


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"prompt,completion\nHi,Hello\n", r"a table \(CSV\).*csv.DictReader"),
        (b"prompt\tcompletion\nHi\tHello\n", "a table of tabs.*excel-tab"),
        (b"prompt;completion\nHi;Hello\n", "with semicolons"),
        (b"PAR1\0\0\0PAR1", "a Parquet file.*read_parquet"),
        (b"ARROW1\0\0", "an Arrow file"),
        (b"PK\x03\x04\0\0", "a zip archive.*unzip -p"),
        (b"7z\xbc\xaf\x27\x1c\0", "a 7z archive"),
        (b"x" * 257 + b"ustar\0", "a tar archive"),
        (b"SQLite format 3\0", "an SQLite database"),
        ('{"a": 1}'.encode("utf-32"), "UTF-32"),
        ('{"a": 1}'.encode("utf-16-be"), "binary"),
        ('{"a": "Größe"}\n'.encode("latin-1") * 5, "Latin-1.*iconv"),
        (b"\x28\xb5\x2f\xfdnonsense", "is damaged"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!doctype html>", "HTML"),
        (b"messages:\n  - role: user\n", "YAML"),
        (b'data: {"a": 1}\n\n', "a stream of events"),
        (b"Hi\nHello\n", "no line of JSON"),
    ],
    ids=range(18),
)
def test_a_file_of_another_kind_is_refused_once_by_what_it_is(tmp_path: Path, content: bytes, words: str):
    with pytest.raises(UnreadableFile) as refused:
        read(tmp_path / "file", content * 300 if content.isascii() and b"\0" not in content else content)
    assert re.search(words, refused.value.message), refused.value.message


def test_one_bad_line_stops_none_of_the_others(tmp_path: Path):
    bad = [rb'{"messages": [], "p": NaN}', b'{"a": "Gr\xf6\xdfe"}', b"{broken", b"5", b"null"]
    path = tmp_path / "lines"
    path.write_bytes(b"\n".join([COMPACT, *bad, COMPACT]))
    problems, good = [], 0
    for raw in open_source(str(path)).lines():
        try:
            good += len(Shaper(Options()).line_of(raw.content).interactions)
        except LineError as error:
            problems.append((raw.number, str(error)))
    assert good == 2
    assert [number for number, _ in problems] == [2, 3, 4, 5, 6]
    assert "NaN at p" in problems[0][1]
    assert "byte 10 is 0xf6" in problems[1][1]
