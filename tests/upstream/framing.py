"""The events of a stream, and streams whose bytes come in odd pieces, or packed."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any


class Cut(Exception):
    """Ends the process of answering as a broken connection does."""


def event(data: Any) -> bytes:
    """Return an event of a stream."""
    return b"data: %s\n\n" % (data if isinstance(data, bytes) else json.dumps(data).encode())


async def in_threes(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same with CRLF, comments between the events, and three bytes at a time."""
    async for part in parts:
        raw = b": keep-alive\r\n\r\n" + part.replace(b"\n", b"\r\n")
        for at in range(0, len(raw), 3):
            yield raw[at : at + 3]
            await asyncio.sleep(0)


async def compressed(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same in gzip, each part so that it can be read when it comes."""
    packer = zlib.compressobj(wbits=31)
    async for part in parts:
        yield packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
