"""Word of what was committed, to those who watch interactions: their ids alone, and never waiting for anyone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

# What a listener has not fetched yet. Beyond it, the listener is told how much was missed.
MAX_WAITING_IDS = 1_000


class Deletion(NamedTuple):
    """An interaction that was deleted, and the number of its project."""

    interaction: UUID
    project: int


class Listener:
    """What has happened since a listener last looked. `projects` are the numbers of those that it hears deletions of,
    None for all."""

    def __init__(self, projects: frozenset[int] | None) -> None:
        self.projects = projects
        self.changed: dict[UUID, None] = {}
        self.deleted: list[Deletion] = []
        self.missed = 0
        self.closed = False
        self.awake = asyncio.Event()

    def add_events(self, changed: Iterable[UUID], deleted: Sequence[Deletion] = (), missed: int = 0) -> None:
        """Note what has happened, as far as there is room."""
        if self.projects is not None:
            deleted = [deletion for deletion in deleted if deletion.project in self.projects]
        for interaction_id in changed:
            if len(self.changed) < MAX_WAITING_IDS:
                self.changed[interaction_id] = None
            elif interaction_id not in self.changed:
                missed += 1
        free_slots = MAX_WAITING_IDS - len(self.deleted)
        self.deleted += deleted[:free_slots]
        self.missed += missed + max(0, len(deleted) - free_slots)
        self.awake.set()

    def take(self) -> tuple[list[UUID], list[Deletion], int]:
        """Return what changed, what was deleted and how much was missed, and forget it."""
        events = (list(self.changed), self.deleted, self.missed)
        self.changed, self.deleted, self.missed = {}, [], 0
        self.awake.clear()
        return events


class Broadcast:
    """Tell listeners what was committed. Without listeners it costs next to nothing."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._listeners_and_relays: set[Listener] = set()

    @property
    def listener_count(self) -> int:
        """Return how many listen here."""
        return len(self._listeners)

    def join(self, projects: Iterable[int]) -> Listener:
        """Begin to listen. A deleted interaction can no longer be looked at: those of these projects alone are told."""
        listener = Listener(frozenset(projects))
        self._listeners_and_relays.add(listener)
        self._listeners.add(listener)
        return listener

    def join_as_relay(self) -> Listener:
        """Begin to listen to what happens here, to tell other servers, and not to what they tell."""
        relay = Listener(None)
        self._listeners_and_relays.add(relay)
        return relay

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        self._listeners.discard(listener)
        self._listeners_and_relays.discard(listener)

    def publish_changed(self, ids: Iterable[UUID]) -> None:
        """Say that interactions were logged, completed, labelled or rated."""
        for listener in self._listeners_and_relays:
            listener.add_events(ids)

    def publish_rated(self, ids: Sequence[str]) -> None:
        """The same for ids as callers give them."""
        if self._listeners_and_relays:
            with contextlib.suppress(ValueError):
                self.publish_changed([UUID(text) for text in ids])

    def publish_deleted(self, project: int, interaction: UUID) -> None:
        """Say that an interaction of a project was deleted."""
        for listener in self._listeners_and_relays:
            listener.add_events((), [Deletion(interaction, project)])

    def publish_remote(self, changed: Sequence[UUID], deleted: Sequence[Deletion], missed: int) -> None:
        """Say what happened at another server."""
        for listener in self._listeners:
            listener.add_events(changed, deleted, missed)

    def close(self) -> None:
        """Send all listeners home."""
        for listener in self._listeners:
            listener.closed = True
            listener.awake.set()
