"""What happens in the middle of a stream, as the behaviours of serving.py say."""

from __future__ import annotations

import asyncio

from framing import Cut, event


async def disturbed(behaviour: str, sent: int, error: bytes) -> bytes | None:
    """Do what is done once so many chunks were sent; return what then ends the stream."""
    name, _, number = behaviour.rpartition("-")
    if name in ("hang-after", "cut-after", "error-after") and number == str(sent):
        if name == "cut-after":
            raise Cut
        if name == "hang-after":
            await asyncio.sleep(3600)
        return error
    if name == "slow":
        await asyncio.sleep(int(number) / 1000)
    if sent == 2 and behaviour == "error-in-stream":
        return error
    if sent == 2 and behaviour == "garbage-in-stream":
        return event(b"{this is no JSON")
    return None
