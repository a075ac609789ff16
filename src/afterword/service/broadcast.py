"""Word of what was committed, to those who watch interactions: their ids alone, and never waiting for anyone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from uuid import UUID

# What a listener has not fetched yet. Beyond it, he is told how much he missed.
MOST_WAITING = 1_000


class Listener:
    """What has happened since a listener last looked."""

    def __init__(self) -> None:
        self.changed: dict[UUID, None] = {}
        self.deleted: list[UUID] = []
        self.missed = 0
        self.closed = False
        self.awake = asyncio.Event()

    def take(self) -> tuple[list[UUID], list[UUID], int]:
        """Return what changed, what was deleted and how much was missed, and forget it."""
        found = (list(self.changed), self.deleted, self.missed)
        self.changed, self.deleted, self.missed = {}, [], 0
        self.awake.clear()
        return found


class Broadcast:
    """Tell listeners what was committed. Without listeners it costs next to nothing."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    @property
    def listeners(self) -> int:
        """Return how many listen."""
        return len(self._listeners)

    def join(self) -> Listener:
        """Begin to listen."""
        listener = Listener()
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        self._listeners.discard(listener)

    def changed(self, ids: Iterable[UUID]) -> None:
        """Say that interactions were logged, completed, labelled or rated."""
        for listener in self._listeners:
            for one in ids:
                if len(listener.changed) < MOST_WAITING:
                    listener.changed[one] = None
                elif one not in listener.changed:
                    listener.missed += 1
            listener.awake.set()

    def rated(self, ids: Sequence[str]) -> None:
        """The same for ids as callers give them."""
        if self._listeners:
            with contextlib.suppress(ValueError):
                self.changed([UUID(one) for one in ids])

    def deleted(self, one: UUID) -> None:
        """Say that an interaction is no more."""
        for listener in self._listeners:
            if len(listener.deleted) < MOST_WAITING:
                listener.deleted.append(one)
            else:
                listener.missed += 1
            listener.awake.set()

    def close(self) -> None:
        """Send all listeners home."""
        for listener in self._listeners:
            listener.closed = True
            listener.awake.set()
