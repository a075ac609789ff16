"""Ids: UUIDs of version 7, which sort by the time of their creation (Python has them from 3.14 on).

An interaction that is deliberately not stored has an id of version 8, to distinguish it from one that never existed.

Other systems identify sessions and completions by any text. Such a text always maps to the same id of version 5.

The `id` of an answer is the completion_id of its first choice after a prefix, as clients expect one: `chatcmpl-UUID`.
"""

from __future__ import annotations

import os
import re
import threading
import time
from random import Random
from uuid import NAMESPACE_URL, UUID, uuid5

_UUID_PATTERN = "[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_UUID = re.compile(_UUID_PATTERN)
_ANSWER_ID = re.compile(rf"(?:chatcmpl-|cmpl-|resp_|msg_)({_UUID_PATTERN})")

# Ids are not secret, but must be unique: this generator is seeded by no caller and shared by no two processes. It takes
# a tenth of the time of asking the operating system for each id.
_random = Random(os.urandom(32))
os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))
_lock = threading.Lock()
_last_ticks = 0


def uuid7() -> UUID:
    """Return a UUIDv7: 48 bits of milliseconds, 12 bits that increase within one, 62 random bits.

    Ids made in one process are strictly increasing, so that an index appends them at its end.
    """
    global _last_ticks
    with _lock:
        # Milliseconds and their 4,096ths in one number, which grows with each call.
        ticks = _last_ticks = max(time.time_ns() * 4096 // 1_000_000, _last_ticks + 1)
        random = _random.getrandbits(62)
    return UUID(int=(ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0x2 << 62 | random)


def unstored_id() -> UUID:
    """Return the id of an interaction that is not stored: a UUID of version 8, otherwise like a UUIDv7."""
    return UUID(int=uuid7().int ^ (0x7 ^ 0x8) << 76)


def is_unstored(interaction_id: UUID) -> bool:
    """Tell whether this is the id of an interaction that was not stored."""
    return interaction_id.version == 8


def find_uuid(text: str) -> UUID | None:
    """Return the UUID that a text denotes, with hyphens or as 32 hex digits; None for any other text."""
    return UUID(text) if _UUID.fullmatch(text) else None


def find_uuid_of_answer(answer_id: str) -> UUID | None:
    """Return the UUID in the id of an answer, such as `chatcmpl-UUID`; None for any other text."""
    match = _ANSWER_ID.fullmatch(answer_id)
    return UUID(match[1]) if match else None


def id_of_choice(first_id: UUID, index: int) -> UUID:
    """Return the id of a further choice of the answer whose first choice has `first_id`: the `index`-th id after it.

    So the choices of an answer can be found by its id. The 62 random bits of a UUIDv7 keep these ids unique.
    """
    return UUID(int=(first_id.int + index) % (1 << 128))


def id_of_text(project_key: str, text: str) -> UUID:
    """Return the id in a project for an identifier of another system: a UUID of version 5 (RFC 9562).

    Its namespace is the version 5 UUID of the URL `afterword:PROJECT`.
    """
    return uuid5(uuid5(NAMESPACE_URL, f"afterword:{project_key}"), text)


def session_of(project_key: str, text: str | None) -> tuple[UUID | None, str | None]:
    """Return a session's id, and its text unless that is a UUID."""
    if text is None:
        return None, None
    session_uuid = find_uuid(text)
    return (id_of_text(project_key, text), text) if session_uuid is None else (session_uuid, None)
