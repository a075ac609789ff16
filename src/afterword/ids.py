"""Ids: UUIDs of version 7, which sort by the time at which they were made (Python has them from 3.14 on).

What was deliberately not stored has an id of version 8, so that it can be told from one that never was.
"""

from __future__ import annotations

import os
import threading
import time
from random import Random
from uuid import NAMESPACE_URL, UUID, uuid5

# Ids are no secrets, but must differ: a generator of our own, which no caller seeds and no two processes share. It
# costs a tenth of asking the system for each id.
_random = Random(os.urandom(32))
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))
_lock = threading.Lock()
_last = 0


def uuid7() -> UUID:
    """Return a UUIDv7: 48 bits of milliseconds, 12 bits that make it grow within one, 62 random bits.

    Ids made in one process are strictly increasing, so that an index takes them at its end.
    """
    global _last
    with _lock:
        # Milliseconds and their 4,096ths in one number, which never stands still.
        ticks = _last = max(time.time_ns() * 4096 // 1_000_000, _last + 1)
        random = _random.getrandbits(62)
    return UUID(int=(ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0x2 << 62 | random)


def unstored_id() -> UUID:
    """Return the id of an interaction that is not stored: a UUID of version 8, made like the others."""
    return UUID(int=uuid7().int ^ (0x7 ^ 0x8) << 76)


def id_of_text(project: str, text: str) -> UUID:
    """Return the id that stands for another system's id within a project, which is given by its key."""
    return uuid5(uuid5(NAMESPACE_URL, f"afterword:{project}"), text)


def is_unstored(given: UUID) -> bool:
    """Tell whether this is the id of an interaction that was not stored."""
    return given.version == 8
