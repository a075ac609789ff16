"""Reading server-sent events from bytes that are cut anywhere."""

from __future__ import annotations

from typing import NamedTuple

MOST_BYTES = 64 << 20
# The byte order mark, with which a stream may begin.
MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """An event: its name (empty for the usual one) and its data."""

    name: bytes
    data: bytes


class EventTooLarge(ValueError):
    """An event has more than MOST_BYTES."""


class EventReader:
    """Take in bytes as they come, give out the events that are complete.

    Lines may end in LF, CRLF or CR; comments are passed over; several data lines are one, joined by LF.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0
        self._begun = False

    def take(self, raw: bytes) -> list[Event]:
        """Return the events that these bytes complete. Raises `EventTooLarge`."""
        if not self._begun:
            raw, self._rest = self._rest + raw, b""
            if len(raw) < len(MARK) and MARK.startswith(raw):
                self._rest = raw
                return []
            self._begun = True
            raw = raw.removeprefix(MARK)
        if b"\r" in raw or self._rest.endswith(b"\r"):
            raw = self._rest + raw
            # A CR at the very end may be the first half of a CRLF.
            held = b"\r" if raw.endswith(b"\r") else b""
            raw = raw.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        elif self._rest:
            raw = self._rest + raw
        *lines, self._rest = raw.split(b"\n")
        events: list[Event] = []
        for line in lines:
            if not line:
                if self._data:
                    events.append(self._event())
                self._name = b""
            elif line.startswith(b"data:"):
                self._data.append(line[6:] if line[5:6] == b" " else line[5:])
                self._size += len(line)
            elif line.startswith(b"event:"):
                self._name = line[6:].strip()
        if self._size + len(self._rest) > MOST_BYTES:
            raise EventTooLarge(f"An event has more than {MOST_BYTES:,} bytes.")
        return events

    def end(self) -> list[Event]:
        """Return the last event, where the stream ended without the line that completes it."""
        events = self.take(b"\n") if self._rest else []
        return [*events, self._event()] if self._data else events

    def _event(self) -> Event:
        event = Event(self._name, b"\n".join(self._data))
        self._data.clear()
        self._size = 0
        return event
