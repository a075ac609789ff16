"""Decompresses request bodies (gzip, deflate, zstd) up to the largest allowed body."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import zstandard

from afterword.errors import BadRequest, TooLarge

INLINE_BYTES = 64 << 10
"""Larger bodies are decompressed in a thread, so that they do not block the event loop."""
SLICE_BYTES = 1 << 10
"""Input bytes per step. zstandard cannot limit its output: 4 bytes may give 128 KiB, so a slice at most 32 MiB."""
MAX_WINDOW_BYTES = 128 << 20


async def decompress(raw: bytes | bytearray, encoding: str, max_bytes: int) -> bytes | bytearray:
    """Return a body without its Content-Encoding. Raises `BadRequest`, and `TooLarge` beyond `max_bytes`."""
    for name in reversed([part.strip() for part in encoding.lower().split(",") if part.strip()]):
        if name == "identity":
            continue
        inflate = _DECODERS.get(name)
        if inflate is None:
            raise BadRequest(
                f"Content-Encoding is {name[:80]!r}, which is not known.",
                code="unsupported_encoding",
                hint="Compress with gzip, deflate or zstd, or send the body as it is.",
            )
        try:
            raw = (
                inflate(raw, max_bytes)
                if len(raw) <= INLINE_BYTES
                else await asyncio.to_thread(inflate, raw, max_bytes)
            )
        except (zlib.error, zstandard.ZstdError, EOFError) as error:
            raise BadRequest(
                f"The body is not valid {name}: {error}.",
                code="malformed_encoding",
                hint="Send the header Content-Encoding only with a body that is compressed so.",
            ) from None
    return raw


def too_large(max_bytes: int) -> TooLarge:
    """Return the error for a body that is too large."""
    return TooLarge(
        f"The body has more than {max_bytes:,} bytes.",
        code="body_too_large",
        hint="Send less at once, or raise AFTERWORD_MAX_BODY.",
    )


def _inflate(raw: bytes | bytearray, max_bytes: int, wbits: int) -> bytearray:
    body = bytearray()
    while True:
        decoder = zlib.decompressobj(wbits)
        body += decoder.decompress(raw, max_bytes + 1 - len(body))
        if len(body) > max_bytes:
            raise too_large(max_bytes)
        if not decoder.eof:
            raise EOFError("it ends before it is complete")
        # A gzip file may consist of several members, followed by zeros.
        raw = decoder.unused_data.lstrip(b"\0")
        if not raw:
            return body


def _deflate(raw: bytes | bytearray, max_bytes: int) -> bytearray:
    try:
        return _inflate(raw, max_bytes, zlib.MAX_WBITS)
    except zlib.error:
        # Some clients send deflate without zlib's header.
        return _inflate(raw, max_bytes, -zlib.MAX_WBITS)


def _gunzip(raw: bytes | bytearray, max_bytes: int) -> bytearray:
    return _inflate(raw, max_bytes, zlib.MAX_WBITS | 16)


def _unzstd(raw: bytes | bytearray, max_bytes: int) -> bytearray:
    body = bytearray()
    decoder: Any = None
    for part in _slices(raw):
        while part:
            if decoder is None:
                decoder = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()
            body += decoder.decompress(part)
            if len(body) > max_bytes:
                raise too_large(max_bytes)
            # A frame may be followed by another one.
            part, decoder = (decoder.unused_data, None) if decoder.eof else (b"", decoder)
    if decoder is not None:
        raise EOFError("it ends before it is complete")
    return body


def _slices(raw: bytes | bytearray) -> Iterator[bytes]:
    for start in range(0, len(raw), SLICE_BYTES):
        yield bytes(raw[start : start + SLICE_BYTES])


_DECODERS: dict[str, Callable[[bytes | bytearray, int], bytearray]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _deflate,
    "zstd": _unzstd,
}
