"""What resolvers are given: who asks, and what was asked for already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar
from uuid import UUID

from afterword.service.access import get_permitted_actor, restricted_actor
from afterword.service.context import Actor, AppState, Context
from afterword.service.interactions import recording
from afterword.types import Interaction

K = TypeVar("K")
V = TypeVar("V")


class DataLoader(Generic[K, V]):
    """Ask for many at once what is asked for one by one: all that is wanted within a turn of the event loop."""

    def __init__(self, load: Callable[[list[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._load = load
        self._futures: dict[K, asyncio.Future[V | None]] = {}
        self._pending_keys: list[K] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """Return what belongs to a key; None where nothing does."""
        future = self._futures.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            if not self._pending_keys:
                loop.call_soon(self._start_load)
            future = self._futures[key] = loop.create_future()
            self._pending_keys.append(key)
        return await future

    def _start_load(self) -> None:
        pending_keys, self._pending_keys = self._pending_keys, []
        task = asyncio.ensure_future(self._load_pending(pending_keys))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load_pending(self, pending_keys: list[K]) -> None:
        try:
            values_by_key = await self._load(pending_keys)
        except Exception as error:
            for future in self._waiting(pending_keys):
                future.set_exception(error)
        else:
            for key in pending_keys:
                for future in self._waiting([key]):
                    future.set_result(values_by_key.get(key))

    def _waiting(self, keys: list[K]) -> list[asyncio.Future[V | None]]:
        """Return the futures of keys that are still waited for: where a member of an answer fails, graphql-core cancels
        what it waits for beside it."""
        return [self._futures[key] for key in keys if not self._futures[key].done()]


class RequestContext:
    """One request: who asks, and what its resolvers share."""

    def __init__(self, state: AppState, actor: Actor, lift_model: Callable[[str], str]) -> None:
        self.state = state
        self.actor = actor
        self.lift_model = lift_model
        """Turns an old word for a provider's model into the provider's own."""
        self.read_context = Context(state, restricted_actor(state.catalog, actor, "read"))
        """What members are read with: where the key may not read, they are not there."""
        self.actor_context = Context(state, actor)
        """The actor as they are, for what they may where."""
        self.interaction_loader: DataLoader[UUID, Interaction] = DataLoader(self._load_interactions)
        self.loaders: dict[Any, DataLoader[Any, Any]] = {}
        """What else is asked for many at once, by what it is asked for."""

    def context(self, permission: str) -> Context:
        """Return the context of a service function. Raises `Forbidden` where the key may not."""
        return Context(self.state, get_permitted_actor(self.state.catalog, self.actor, permission))

    async def _load_interactions(self, ids: list[UUID]) -> dict[UUID, Interaction]:
        return await recording.find_interactions(self.read_context, ids)
