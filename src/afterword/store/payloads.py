"""Payloads: what was said, as JSON, compressed.

Images stand in the messages as references (service/content.py takes them out), so that a payload is text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import zstandard

from afterword.errors import Unavailable
from afterword.types import Message

LEVEL = 3
DICTIONARY_BYTES = 112 << 10


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
    facts: dict[str, Any] | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Payload)
# A compressor serves one thread at a time.
_own = threading.local()
_dictionaries: dict[int, zstandard.ZstdCompressionDict] = {}
_learning: list[Callable[[], None]] = []


def encode(payload: Payload) -> bytes:
    """Return the payload as JSON."""
    return _encoder.encode(payload)


def unpack(stored: bytes) -> Payload:
    """Return the payload that was stored. Raises `Unavailable` where it is damaged."""
    try:
        return _decoder.decode(decompress(stored))
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise Unavailable(
            f"The messages of an interaction cannot be read ({error}): the store is damaged.",
            code="store_damaged",
            hint="Check the disk, and put the last backup back: `afterword restore`. Other interactions may be read.",
            retry_after=60,
        ) from None


def decompress(stored: bytes) -> bytes:
    """Return the JSON of a payload that was stored. Its frame says which dictionary it needs."""
    number = zstandard.get_frame_parameters(stored).dict_id
    decompressors: dict[int, zstandard.ZstdDecompressor] = _own.__dict__.setdefault("decompressors", {})
    decompressor = decompressors.get(number)
    if decompressor is None:
        if number and number not in _dictionaries:
            # Another server has trained it a moment ago.
            for learn in _learning:
                learn()
        dictionary = _dictionaries[number] if number else None
        decompressor = decompressors[number] = zstandard.ZstdDecompressor(dict_data=dictionary)
    return decompressor.decompress(stored)


class Compression:
    """How a store compresses payloads: with its newest dictionary, once it has one.

    Texts of one store are alike: system prompts recur, and so does the JSON around them. Real prompts and answers of
    1.8 KB were compressed 2.1 to 1 without a dictionary, and 2.8 to 1 with one trained on some of them.
    """

    def __init__(self, learn: Callable[[], None]) -> None:
        """`learn` adds the dictionaries that are in the store by now."""
        _learning.append(learn)
        self.dictionaries = 0
        self._newest: zstandard.ZstdCompressionDict | None = None

    def add(self, dictionary: bytes) -> None:
        """Use this dictionary from now on; older ones stay for what they compressed."""
        made = zstandard.ZstdCompressionDict(dictionary)
        if made.dict_id() in _dictionaries and self._newest is not None:
            return
        made.precompute_compress(level=LEVEL)
        _dictionaries[made.dict_id()] = made
        self._newest = made
        self.dictionaries += 1

    def compress(self, raw: bytes) -> bytes:
        """Compress a payload's JSON."""
        newest = self._newest
        held = getattr(_own, "compressor", None)
        if held is None or held[0] is not newest:
            held = _own.compressor = (newest, zstandard.ZstdCompressor(level=LEVEL, dict_data=newest))
        return held[1].compress(raw)


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


def train(samples: list[bytes]) -> bytes:
    """Train a dictionary on the JSON of payloads.

    With the length of segments and words given, the library need not try out many: 0.1 s in place of 0.6 s for 4 MB of
    real texts, which it then compresses as well.
    """
    return zstandard.train_dictionary(DICTIONARY_BYTES, samples, k=1000, d=8).as_bytes()  # pyright: ignore[reportArgumentType]
