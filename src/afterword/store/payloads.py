"""Payloads: what was said, as JSON, compressed.

Images stand in the messages as references (service/content.py takes them out), so that a payload is text.
"""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import zstandard

from afterword.types import Message

LEVEL = 3


class Payload(msgspec.Struct, omit_defaults=True):
    """What was said: messages in, completion out, and what was logged about the call.

    `message` is the whole assistant message where more than a text was logged.
    """

    messages: list[Message]
    completion: str
    message: Message | None = None
    usage: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Payload)
# A compressor serves one thread at a time.
_own = threading.local()


def encode(payload: Payload) -> bytes:
    """Return the payload as JSON."""
    return _encoder.encode(payload)


def compress(raw: bytes) -> bytes:
    """Compress a payload's JSON."""
    compressor = getattr(_own, "compressor", None)
    if compressor is None:
        compressor = _own.compressor = zstandard.ZstdCompressor(level=LEVEL)
    return compressor.compress(raw)


def unpack(stored: bytes) -> Payload:
    """Return the payload that was stored."""
    decompressor = getattr(_own, "decompressor", None)
    if decompressor is None:
        decompressor = _own.decompressor = zstandard.ZstdDecompressor()
    return _decoder.decode(decompressor.decompress(stored))


def message_text(message: Message) -> str:
    """Return the text of a message: its content, or the texts of its parts line by line."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return ""


def asked(messages: list[Message]) -> str:
    """Return the text of the last message of the user, or of the last message where no user speaks: the `prompt`."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return message_text(message)
    return message_text(messages[-1]) if messages else ""


def searchable(payload: Payload) -> tuple[str, str]:
    """Return the texts to index: of all messages, and of the completion.

    Words are taken out of the index by giving the same text again: a change here needs a new index version.
    """
    return "\n\n".join(filter(None, map(message_text, payload.messages))), payload.completion
