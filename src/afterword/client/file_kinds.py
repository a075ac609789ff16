"""Recognises a file by its first bytes: compressed lines, or another format, with advice how to convert it."""

from __future__ import annotations

import re
from typing import IO, Any, cast

import msgspec

HEAD_BYTES = 64 << 10
"""The bytes of a file that are examined to recognise it."""
MIN_BAD_LINES = 3
"""With this many lines that are not UTF-8, and no valid line beyond ASCII, a file has another encoding."""

_PANDAS = 'python3 -c \'import pandas; pandas.{read}("FILE").to_json("/dev/stdout", orient="records", lines=True)\''
_CSV = (
    "python3 -c 'import csv, json, sys; [print(json.dumps(row)) for row in csv.DictReader(sys.stdin{dialect})]' < FILE"
)
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", "a Parquet file", _PANDAS.format(read="read_parquet")),
    (b"ARROW1", "an Arrow file", _PANDAS.format(read="read_feather")),
    (b"ORC", "an ORC file", _PANDAS.format(read="read_orc")),
    (b"Obj\x01", "an Avro file", ""),
    (b"PK\x03\x04", "a zip archive, or a document that is one, such as .xlsx", "unzip -p FILE"),
    (b"PK\x05\x06", "an empty zip archive", ""),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so FILE"),
    (b"Rar!", "a RAR archive", "unrar p -inul FILE"),
    (b"SQLite format 3\0", "an SQLite database", ""),
    (b"\x89HDF", "an HDF5 file", ""),
    (b"%PDF", "a PDF document", ""),
    (b"\x80\x04\x95", "a Python pickle", ""),
    (b"\xff\xfe\0\0", "UTF-32", "iconv -f UTF-32 -t UTF-8 FILE"),
    (b"\0\0\xfe\xff", "UTF-32", "iconv -f UTF-32 -t UTF-8 FILE"),
    (b"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE"),
    (b"\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE"),
)
_TAR = (257, b"ustar")


def refusal(head: bytes) -> str | None:
    """Return the format of a file without lines of JSON, and how to convert it; None if it may have such lines."""
    for signature, kind, command in _SIGNATURES:
        if head.startswith(signature):
            return _refusal_with_command(kind, command)
    if head[_TAR[0] :].startswith(_TAR[1]):
        return _refusal_with_command("a tar archive", "tar -xOf FILE")
    if b"\0" in head:
        return "is a binary file of a kind that is not known; give lines of JSON"
    lines = head.splitlines(keepends=True)
    if len(head) >= HEAD_BYTES:
        lines = lines[:-1]
    beyond_ascii = [line for line in lines if not line.isascii()]
    bad_count = sum(not _is_utf8(line) for line in beyond_ascii)
    if bad_count >= MIN_BAD_LINES and bad_count == len(beyond_ascii):
        kind = "not UTF-8, but probably Latin-1 or Windows-1252"
        return _refusal_with_command(kind, "iconv -f WINDOWS-1252 -t UTF-8 FILE")
    nonblank_lines = [line.lstrip() for line in head.splitlines() if line.strip()]
    if not nonblank_lines or any(line.startswith((b"{", b"[")) for line in nonblank_lines):
        return None
    return _refusal_of_text(nonblank_lines[0].decode("utf-8", "replace"))


def _refusal_of_text(first_line: str) -> str:
    """Return the format of a text without JSON, by its first line."""
    excerpt = f"(it begins with {first_line.strip()[:60]!r})"
    if first_line.startswith("version https://git-lfs"):
        return "is a pointer of Git LFS, and not the file itself. Fetch it first: git lfs pull"
    if first_line.startswith("<"):
        return f"is HTML or XML, and no JSON {excerpt}"
    if first_line.startswith("data:"):
        return f"is a stream of events, and no JSON lines {excerpt}"
    if "\t" in first_line:
        return _refusal_with_command(f"a table of tabs (TSV) {excerpt}", _CSV.format(dialect=', dialect="excel-tab"'))
    if ";" in first_line and "," not in first_line:
        return _refusal_with_command(
            f"a table (CSV, with semicolons) {excerpt}", _CSV.format(dialect=', delimiter=";"')
        )
    if "," in first_line:
        return _refusal_with_command(f"a table (CSV) {excerpt}", _CSV.format(dialect=""))
    if first_line.startswith("---") or re.match(r"[\w.-]+:(\s|$)", first_line):
        return f"is YAML, and no JSON {excerpt}"
    return f"has no line of JSON {excerpt}; each line must be one JSON object"


def _refusal_with_command(kind: str, command: str) -> str:
    advice = f" Make lines of it: {command} | afterword import -" if command else " Make lines of JSON of it first."
    return f"is {kind}.{advice}"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def has_multiline_values(head: bytes) -> bool:
    """Tell whether values span several lines."""
    text = head.decode("utf-8", "replace").lstrip()
    first_line, newline, _ = text.partition("\n")
    if not newline or not _breaks_off(first_line.rstrip()):
        return False
    return _breaks_off(text) or _holds_a_value(text)


def _breaks_off(text: str) -> bool:
    """Tell whether a text is the valid start of a JSON value that is not complete."""
    try:
        msgspec.json.decode(text.rstrip().removesuffix(","))
    except msgspec.DecodeError as error:
        # msgspec's error says "truncated" if only the end is missing, and "malformed" for other faults.
        return "truncated" in str(error)
    except (ValueError, RecursionError):
        return False
    return False


def _holds_a_value(text: str) -> bool:
    import json

    try:
        json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return True


# ------------------------------------------------------------------------------------------------ compressed files


def unpacked_stream(stream: IO[bytes]) -> IO[bytes]:
    """Return the stream, decompressed if it is gzip, bzip2, xz or zstd. Raises `ImportError` for zstd without the
    package zstandard."""
    peek = getattr(stream, "peek", None)
    start: bytes = peek(6)[:6] if peek else b""
    if start.startswith(b"\x1f\x8b"):
        import gzip

        return cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    if start.startswith(b"BZh"):
        import bz2

        return cast("IO[bytes]", bz2.BZ2File(stream))
    if start.startswith(b"\xfd7zXZ\0"):
        import lzma

        return cast("IO[bytes]", lzma.LZMAFile(stream))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        import io

        import zstandard

        reader: Any = zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(
            stream, read_across_frames=True, closefd=False
        )
        return cast("IO[bytes]", io.BufferedReader(reader))
    return stream


def is_damage(error: Exception) -> bool:
    """Tell whether a read error means that a compressed file is damaged."""
    import gzip
    import lzma
    import zlib

    kinds = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)
    return isinstance(error, kinds) or type(error).__name__ == "ZstdError" or str(error) == "Invalid data stream"
