"""Parsing server-sent events from chunks that may end anywhere."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_EVENT_BYTES = 64 << 20
# The byte order mark, with which a stream may begin.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
EVENT_STREAM = "text/event-stream"
# The names of events that only keep a connection open.
PING_NAMES = (b"ping",)
# The start of a line in a stream of events.
_FIELD = re.compile(rb"(data|event|id|retry|error)?:")
LONGEST_FIELD_BYTES = len(b"retry:")


class Event(NamedTuple):
    """An event: its name (empty for the usual one) and its data."""

    name: bytes
    data: bytes


class EventTooLarge(ValueError):
    """An event has more than MAX_EVENT_BYTES."""


class EventReader:
    """Parses the bytes of a stream into events.

    Lines end in LF, CRLF or CR. Comments and events without data are skipped. Several data lines are one event, joined
    by LF, unless each is a JSON object of its own: some servers leave out the empty lines. Two forms of errors outside
    the standard are events, too: a field `error:` (llama.cpp), and JSON without any field, up to the next empty line.
    """

    def __init__(self) -> None:
        self._begun = False
        self._partial_line: list[bytes] = []
        self._partial_line_bytes = 0
        self._after_return = False
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0
        self._in_bare_json = False

    def take(self, raw: bytes) -> list[Event]:
        """Return the events that these bytes complete. Raises `EventTooLarge`."""
        events: list[Event] = []
        for line in self._whole_lines(raw):
            self._take_line(line, events)
        if self._size + self._partial_line_bytes > MAX_EVENT_BYTES:
            raise EventTooLarge(f"An event has more than {MAX_EVENT_BYTES:,} bytes.")
        return events

    def _whole_lines(self, raw: bytes) -> list[bytes]:
        """Return the lines that these bytes complete, without line ends; keep the beginning of the next."""
        if not self._begun:
            raw = b"".join(self._partial_line) + raw
            self._partial_line, self._partial_line_bytes = [], 0
            if len(raw) < len(BYTE_ORDER_MARK) and BYTE_ORDER_MARK.startswith(raw):
                self._partial_line = [raw]
                return []
            self._begun = True
            raw = raw.removeprefix(BYTE_ORDER_MARK)
        if self._after_return and raw:
            # A CR ends a line at once: the LF of a CRLF may arrive much later, with the next event.
            raw = raw.removeprefix(b"\n")
            self._after_return = False
        if b"\r" in raw:
            self._after_return = raw.endswith(b"\r")
            raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = raw.split(b"\n")
        if self._partial_line:
            # Joined once the line is complete: joining at each part takes a minute for a line of 64 MiB.
            self._partial_line.append(lines[0])
            if len(lines) > 1:
                lines[0] = b"".join(self._partial_line)
                self._partial_line, self._partial_line_bytes = [], 0
            else:
                self._partial_line_bytes += len(lines.pop())
        if lines and (remainder := lines.pop()):
            self._partial_line, self._partial_line_bytes = [remainder], len(remainder)
        return lines

    def _take_line(self, line: bytes, events: list[Event]) -> None:
        if not line:
            if self._data:
                self._finish(events)
            self._name = b""
            self._in_bare_json = False
        elif self._in_bare_json:
            self._add(line)
        elif line.startswith(b"data:"):
            data = line[6:] if line[5:6] == b" " else line[5:]
            if self._data and data.startswith((b"{", b"[DONE]")) and self._is_whole_object():
                self._finish(events)
            self._add(data)
        elif line.startswith(b"event:"):
            self._name = line[6:].strip()
        elif line.startswith(b"error:"):
            self._name = b"error"
            self._add(line[6:].strip())
        elif line.startswith((b"{", b"[{")) and not self._data:
            self._in_bare_json = True
            self._add(line)

    def end(self) -> list[Event]:
        """Return the last event if the stream ended without the empty line after it."""
        # Bytes that were held back as a possible byte order mark are part of an ordinary line now.
        self._begun = True
        return self.take(b"\n\n")

    def _is_whole_object(self) -> bool:
        """Tell whether the data so far is a complete JSON object."""
        return self._data[0].startswith(b"{") and self._data[-1].endswith(b"}")

    def _add(self, data: bytes) -> None:
        self._data.append(data)
        self._size += len(data)

    def _finish(self, events: list[Event]) -> None:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data.clear()
        self._size = 0
        if data:
            events.append(Event(self._name, data))


def is_event_stream(head: bytes, kind: str) -> bool | None:
    """Tell from its first bytes whether an answer is a stream of events; None if more bytes are needed.

    Relays send events under any content type, and whole answers as `text/event-stream`. So the bytes decide, and the
    content type (`kind`) only if they do not.
    """
    if BYTE_ORDER_MARK.startswith(head):
        return None
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if not text:
        return None
    if _FIELD.match(text):
        return True
    if text.startswith((b"{", b"[")):
        return False
    if kind == EVENT_STREAM:
        return True
    return None if len(text) < LONGEST_FIELD_BYTES else False
