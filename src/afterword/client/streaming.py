"""Decodes streamed answers for both clients, without I/O."""

from __future__ import annotations

import msgspec

from afterword.errors import AfterwordError, ConnectionFailed, from_detail
from afterword.types import ChatChunk

_chunks = msgspec.json.Decoder(ChatChunk)
DONE = b"[DONE]"


class EventDecoder:
    """Decodes the server's events, each on one line, from bytes as they arrive.

    `done` tells whether the stream ended with `[DONE]`.
    """

    def __init__(self) -> None:
        self.done = False
        self._partial_line = b""

    def take(self, raw: bytes) -> list[bytes]:
        """Add bytes; return the data of the events that are now complete."""
        *lines, self._partial_line = (self._partial_line + raw).split(b"\n")
        event_texts = [line[6:].rstrip(b"\r") for line in lines if line.startswith(b"data: ")]
        if DONE in event_texts:
            self.done = True
            event_texts.remove(DONE)
        return event_texts

    def check_complete(self) -> None:
        """Raise `ConnectionFailed` for a stream that broke off."""
        if not self.done:
            raise ConnectionFailed(
                "The answer broke off before it was complete.",
                code="stream_cut",
                hint="What came so far is logged; call again.",
            )


def read_chunk(data: bytes) -> ChatChunk:
    """Decode a chunk. Raises the error if the event is an error."""
    if data.startswith(b'{"error":'):
        detail = msgspec.json.decode(data)["error"]
        raise from_detail(502, detail)
    try:
        return _chunks.decode(data)
    except msgspec.DecodeError as error:
        raise AfterwordError(f"A chunk of the answer cannot be read: {error}.", code="unreadable_answer") from None
