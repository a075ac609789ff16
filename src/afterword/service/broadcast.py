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

    def hear(self, changed: Iterable[UUID], deleted: Sequence[UUID] = (), missed: int = 0) -> None:
        """Note what has happened, as far as there is room."""
        for one in changed:
            if len(self.changed) < MOST_WAITING:
                self.changed[one] = None
            elif one not in self.changed:
                missed += 1
        room = MOST_WAITING - len(self.deleted)
        self.deleted += deleted[:room]
        self.missed += missed + max(0, len(deleted) - room)
        self.awake.set()

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
        self._all: set[Listener] = set()

    @property
    def listeners(self) -> int:
        """Return how many listen here."""
        return len(self._listeners)

    def join(self, *, relay: bool = False) -> Listener:
        """Begin to listen. A relay hears what happens here, to tell other servers, and not what they tell."""
        listener = Listener()
        self._all.add(listener)
        if not relay:
            self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        self._listeners.discard(listener)
        self._all.discard(listener)

    def changed(self, ids: Iterable[UUID]) -> None:
        """Say that interactions were logged, completed, labelled or rated."""
        for listener in self._all:
            listener.hear(ids)

    def rated(self, ids: Sequence[str]) -> None:
        """The same for ids as callers give them."""
        if self._all:
            with contextlib.suppress(ValueError):
                self.changed([UUID(one) for one in ids])

    def deleted(self, one: UUID) -> None:
        """Say that an interaction is no more."""
        for listener in self._all:
            listener.hear((), [one])

    def told(self, changed: Sequence[UUID], deleted: Sequence[UUID], missed: int) -> None:
        """Say what happened at another server."""
        for listener in self._listeners:
            listener.hear(changed, deleted, missed)

    def close(self) -> None:
        """Send all listeners home."""
        for listener in self._listeners:
            listener.closed = True
            listener.awake.set()
