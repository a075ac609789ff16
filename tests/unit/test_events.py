"""Server-sent events are read the same, wherever their bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword.gateway import events
from afterword.gateway.events import Event, EventReader, EventTooLarge

STREAM = (
    b'\xef\xbb\xbfdata: {"a": 1}\n\n'
    b": a comment\n\n"
    b"event: named\r\ndata: first\r\ndata:second\r\n\r\n"
    b"id: 7\rretry: 5\rdata: by cr\r\r"
    b"data\n\n"
    b"data: caf\xc3\xa9\n\n"
    b'data: {"a": 2}\ndata: {"a":\ndata: {"b": 3}\ndata: }\ndata: [DONE]\n\n'
    b"data: [DONE]"
)
EVENTS = [
    Event(b"", b'{"a": 1}'),
    Event(b"named", b"first\nsecond"),
    Event(b"", b"by cr"),
    Event(b"", "café".encode()),
    Event(b"", b'{"a": 2}'),
    Event(b"", b'{"a":\n{"b": 3}\n}'),
    Event(b"", b"[DONE]"),
    Event(b"", b"[DONE]"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_events_are_the_same_wherever_they_are_cut(cuts: list[int]):
    reader, found = EventReader(), []
    for start, end in pairwise([0, *sorted(cuts), len(STREAM)]):
        found += reader.take(STREAM[start:end])
    assert [*found, *reader.end()] == EVENTS


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "MAX_EVENT_BYTES", 1000)
    reader = EventReader()
    assert not reader.take(b"data: " + b"x" * 900)
    with pytest.raises(EventTooLarge):
        reader.take(b"x" * 200)
