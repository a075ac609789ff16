"""A batch's body is cut into its lines, however it arrives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterword.api.ndjson import lines
from afterword.errors import BadRequest, TooLarge


def split(chunks: Sequence[bytes], array: bool | None = None, most_bytes: int = 1_000_000) -> list[bytes]:
    async def arriving() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def collect() -> list[bytes]:
        return [line async for line in lines(arriving(), array=array, most_bytes=most_bytes)]

    return asyncio.run(collect())


def cut(raw: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut at these places, some of which may be the same: empty chunks arrive, too."""
    ends = sorted(min(place, len(raw)) for place in places)
    return [raw[start:end] for start, end in zip([0, *ends], [*ends, len(raw)], strict=True)]


HARD = ['a ]["}{,\\', '"', "\\\\", '\\"', "\n\r\t", "é🙂", "[", "]", "{", "}", ",", ""]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(HARD),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(HARD) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
PLACES = st.lists(st.integers(0, 300), max_size=8)


@settings(deadline=None, database=None)
@given(elements=st.lists(JSON, max_size=5), places=PLACES, indent=st.sampled_from([None, 1]), ascii_=st.booleans())
def test_an_array_gives_its_elements_wherever_it_is_cut(
    elements: list[Any], places: list[int], indent: int | None, ascii_: bool
):
    raw = json.dumps(elements, indent=indent, ensure_ascii=ascii_).encode()
    assert [json.loads(one) for one in split(cut(raw, places))] == elements


@settings(deadline=None, database=None)
@given(elements=st.lists(JSON, max_size=5), places=PLACES, ending=st.sampled_from(["\n", "\r\n"]), last=st.booleans())
def test_lines_are_given_wherever_they_are_cut(elements: list[Any], places: list[int], ending: str, last: bool):
    raw = (ending.join(map(json.dumps, elements)) + (ending if last and elements else "")).encode()
    assert [json.loads(one) for one in split(cut(raw, places), array=False)] == elements


def test_byte_by_byte_is_the_same():
    elements = [{"a": '\\"]', "b": [1, [2, {}]]}, "x", 5]
    raw = f" \n{json.dumps(elements)}\n ".encode()
    assert [json.loads(one) for one in split([raw[n : n + 1] for n in range(len(raw))])] == elements


@pytest.mark.parametrize(
    ("raw", "array", "expected"),
    [
        (b"", None, []),
        (b"\n\n", None, []),
        (b"  \r\n\t", None, []),
        (b"[]", None, []),
        (b"[\n]", None, []),
        (b'{"a": 1}', None, [b'{"a": 1}']),
        (b"\n1\n\n2", None, [b"", b"1", b"", b"2"]),
        (b"1\n2\n  ", None, [b"1", b"2"]),
        (b" [1, 2] ", None, [b"1", b" 2"]),
        (b"[1]\n[2]", False, [b"[1]", b"[2]"]),
        (b"\xef\xbb\xbf[1]", None, [b"1"]),
        (b'["]"]', None, [b'"]"']),
    ],
    ids=str,
)
def test_a_body_is_lines_unless_it_begins_as_an_array(raw: bytes, array: bool | None, expected: list[bytes]):
    assert split([raw], array) == expected
    assert split([b"", raw, b""], array) == expected


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"[", b"[1", b"[1,", b"[1}", b"[1]]", b"[1] 2", b"[1][2]"),
        *(b'["', b'["a\\', b"x[1]", b'"a"', b"{}", b"1", b"]"),
    ],
)
def test_what_is_no_array_is_refused_wherever_it_is_cut(raw: bytes):
    for at in range(len(raw) + 1):
        with pytest.raises(BadRequest):
            split([raw[:at], raw[at:]], array=True)


def test_the_elements_before_a_fault_are_given():
    async def arriving() -> AsyncIterator[bytes]:
        yield b"[1, 2, 3"

    async def collect(found: list[bytes]) -> None:
        async for line in lines(arriving(), array=None, most_bytes=100):
            found.append(line)  # noqa: PERF401

    found: list[bytes] = []
    with pytest.raises(BadRequest):
        asyncio.run(collect(found))
    assert found == [b"1", b" 2"]


@pytest.mark.parametrize("array", [True, False])
def test_beyond_the_most_bytes_it_stops(array: bool):
    raw = b"[1,2]" if array else b"1\n2\n3"
    assert len(split([raw], array, most_bytes=5)) >= 2
    with pytest.raises(TooLarge, match="4 bytes"):
        split([raw[:3], raw[3:]], array, most_bytes=4)
