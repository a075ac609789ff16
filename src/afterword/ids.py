"""Ids: UUIDs of version 7, which sort by the time at which they were made (Python has them from 3.14 on).

What was deliberately not stored has an id of version 8, so that it can be told from one that never was.

Other systems name their sessions and completions by any text: such a text has an id of version 5, the same for ever.
"""

from __future__ import annotations

import os
import re
import threading
import time
from random import Random
from uuid import NAMESPACE_URL, UUID, uuid5

_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# Ids are no secrets, but must differ: a generator of our own, which no caller seeds and no two processes share. It
# costs a tenth of asking the system for each id.
_random = Random(os.urandom(32))
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))
_lock = threading.Lock()
_last_ticks = 0


def uuid7() -> UUID:
    """Return a UUIDv7: 48 bits of milliseconds, 12 bits that make it grow within one, 62 random bits.

    Ids made in one process are strictly increasing, so that an index takes them at its end.
    """
    global _last_ticks
    with _lock:
        # Milliseconds and their 4,096ths in one number, which never stands still.
        ticks = _last_ticks = max(time.time_ns() * 4096 // 1_000_000, _last_ticks + 1)
        random = _random.getrandbits(62)
    return UUID(int=(ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0x2 << 62 | random)


def unstored_id() -> UUID:
    """Return the id of an interaction that is not stored: a UUID of version 8, made like the others."""
    return UUID(int=uuid7().int ^ (0x7 ^ 0x8) << 76)


def is_unstored(interaction_id: UUID) -> bool:
    """Tell whether this is the id of an interaction that was not stored."""
    return interaction_id.version == 8


def find_uuid(text: str) -> UUID | None:
    """Return the UUID that a text is, with hyphens or as 32 digits; None for any other text."""
    return UUID(text) if _UUID.fullmatch(text) else None


def id_of_text(project_key: str, text: str) -> UUID:
    """Return the id that stands in a project for what another system calls by this text: a UUID of version 5 (RFC 9562)
    in the namespace of the project, which is that of the URL `afterword:PROJECT`."""
    return uuid5(uuid5(NAMESPACE_URL, f"afterword:{project_key}"), text)


def session_of(project_key: str, text: str | None) -> tuple[UUID | None, str | None]:
    """Return a session's id, and its text where that is no UUID."""
    if text is None:
        return None, None
    session_uuid = find_uuid(text)
    return (id_of_text(project_key, text), text) if session_uuid is None else (session_uuid, None)
