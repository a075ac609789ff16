"""In-process publish/subscribe of the ids of committed interactions. Publishing never waits for a listener."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

# Upper bound on the unread ids of a listener. Further ones are only counted as missed.
MAX_WAITING_IDS = 1_000


class Deletion(NamedTuple):
    """An interaction that was deleted, and the number of its project."""

    interaction: UUID
    project: int


class Listener:
    """The events that a listener has not read yet. `projects` are the numbers of the projects whose deletions it
    receives, None for all."""

    def __init__(self, projects: frozenset[int] | None) -> None:
        self.projects = projects
        self.changed: dict[UUID, None] = {}
        self.deleted: list[Deletion] = []
        self.missed = 0
        self.closed = False
        self.awake = asyncio.Event()

    def add_events(self, changed: Iterable[UUID], deleted: Sequence[Deletion] = (), missed: int = 0) -> None:
        """Add events while there is room, and count the others as missed."""
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
        """Return the changed ids, the deletions and the number of missed events, and clear them."""
        events = (list(self.changed), self.deleted, self.missed)
        self.changed, self.deleted, self.missed = {}, [], 0
        self.awake.clear()
        return events


class Broadcast:
    """Publishes committed changes to listeners. Without listeners it costs next to nothing."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._listeners_and_relays: set[Listener] = set()

    @property
    def listener_count(self) -> int:
        """Return the number of listeners at this server."""
        return len(self._listeners)

    def join(self, projects: Iterable[int]) -> Listener:
        """Add a listener. It receives the deletions of these projects only: a deleted interaction cannot be checked any
        more."""
        listener = Listener(frozenset(projects))
        self._listeners_and_relays.add(listener)
        self._listeners.add(listener)
        return listener

    def join_as_relay(self) -> Listener:
        """Add a listener for this server's own events, which relays them to other servers."""
        relay = Listener(None)
        self._listeners_and_relays.add(relay)
        return relay

    def leave(self, listener: Listener) -> None:
        """Remove a listener."""
        self._listeners.discard(listener)
        self._listeners_and_relays.discard(listener)

    def publish_changed(self, ids: Iterable[UUID]) -> None:
        """Publish that interactions were logged, completed, labelled or rated."""
        for listener in self._listeners_and_relays:
            listener.add_events(ids)

    def publish_rated(self, ids: Sequence[str]) -> None:
        """Publish that interactions were rated, by the ids that callers sent."""
        if self._listeners_and_relays:
            with contextlib.suppress(ValueError):
                self.publish_changed([UUID(text) for text in ids])

    def publish_deleted(self, project: int, interaction: UUID) -> None:
        """Publish that an interaction of a project was deleted."""
        for listener in self._listeners_and_relays:
            listener.add_events((), [Deletion(interaction, project)])

    def publish_remote(self, changed: Sequence[UUID], deleted: Sequence[Deletion], missed: int) -> None:
        """Publish the events of another server."""
        for listener in self._listeners:
            listener.add_events(changed, deleted, missed)

    def close(self) -> None:
        """Close all listeners, which ends their streams."""
        for listener in self._listeners:
            listener.closed = True
            listener.awake.set()
