"""Payloads: the messages and the completion of an interaction, as compressed JSON.

Messages hold references to images (service/interactions/content.py extracts the images), so that a payload is text.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import zstandard

from afterword.errors import Unavailable
from afterword.types import Message

COMPRESSION_LEVEL = 3
DICTIONARY_BYTES = 112 << 10


class Payload(msgspec.Struct, omit_defaults=True):
    """The messages, the completion, and what was logged about the call.

    `message` is the whole assistant message if more than its text was logged.
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
_per_thread = threading.local()
_dictionaries: dict[int, zstandard.ZstdCompressionDict] = {}
_learning: list[Callable[[], None]] = []


def encode(payload: Payload) -> bytes:
    """Return the payload as JSON."""
    return _encoder.encode(payload)


def unpack(stored: bytes) -> Payload:
    """Return a stored payload. Raises `Unavailable` if it is damaged."""
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
    """Return the JSON of a stored payload. Its zstandard frame names the dictionary it needs."""
    dictionary_id = zstandard.get_frame_parameters(stored).dict_id
    decompressors: dict[int, zstandard.ZstdDecompressor] = _per_thread.__dict__.setdefault("decompressors", {})
    decompressor = decompressors.get(dictionary_id)
    if decompressor is None:
        if dictionary_id and dictionary_id not in _dictionaries:
            # Another server may have just trained this dictionary.
            for learn in _learning:
                learn()
        dictionary = _dictionaries[dictionary_id] if dictionary_id else None
        decompressor = decompressors[dictionary_id] = zstandard.ZstdDecompressor(dict_data=dictionary)
    return decompressor.decompress(stored)


class Compression:
    """How a store compresses payloads: with its newest dictionary, once it has one.

    Texts of one store are alike: system prompts recur, and so does the JSON around them. Real prompts and answers of
    1.8 KB were compressed 2.1 to 1 without a dictionary, and 2.8 to 1 with one trained on some of them.
    """

    def __init__(self, learn: Callable[[], None]) -> None:
        """`learn` calls `add` for each dictionary in the store."""
        _learning.append(learn)
        self.dictionaries = 0
        self._newest: zstandard.ZstdCompressionDict | None = None

    def add(self, dictionary: bytes) -> None:
        """Compress with this dictionary from now on; older ones are kept to decompress existing payloads."""
        loaded = zstandard.ZstdCompressionDict(dictionary)
        if loaded.dict_id() in _dictionaries and self._newest is not None:
            return
        loaded.precompute_compress(level=COMPRESSION_LEVEL)
        _dictionaries[loaded.dict_id()] = loaded
        self._newest = loaded
        self.dictionaries += 1

    def compress(self, raw: bytes) -> bytes:
        """Compress a payload's JSON."""
        newest = self._newest
        cached = getattr(_per_thread, "compressor", None)
        if cached is None or cached[0] is not newest:
            compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, dict_data=newest)
            cached = _per_thread.compressor = (newest, compressor)
        return cached[1].compress(raw)


def message_text(message: Message) -> str:
    """Return the text of a message: its content, or the texts of its parts line by line."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return ""


def prompt_text(messages: list[Message]) -> str:
    """Return the `prompt`: the text of the user's last message, or of the last message if none is the user's."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return message_text(message)
    return message_text(messages[-1]) if messages else ""


def searchable_texts(payload: Payload) -> tuple[str, str]:
    """Return the texts to index: that of all messages, and that of the completion.

    To remove words from the index, the same text is passed again: a change here needs a new index version.
    """
    return "\n\n".join(filter(None, map(message_text, payload.messages))), payload.completion


def train(samples: list[bytes]) -> bytes:
    """Train a dictionary on the JSON of payloads.

    Fixed lengths of segments (k) and words (d) save the library's search for them: 0.1 s instead of 0.6 s for 4 MB of
    real texts, at the same compression ratio.
    """
    return zstandard.train_dictionary(DICTIONARY_BYTES, samples, k=1000, d=8).as_bytes()  # pyright: ignore[reportArgumentType]
