"""What resolvers are given: who asks, and what was asked for already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar
from uuid import UUID

from afterword.service import interactions
from afterword.service.access import allowed, narrowed
from afterword.service.context import Actor, Context, Home
from afterword.types import Interaction

K = TypeVar("K")
V = TypeVar("V")


class Gathered(Generic[K, V]):
    """Ask for many at once what is asked for one by one: all that is wanted within a turn of the event loop."""

    def __init__(self, load: Callable[[list[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._load = load
        self._futures: dict[K, asyncio.Future[V | None]] = {}
        self._wanted: list[K] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """Return what belongs to a key; None where nothing does."""
        future = self._futures.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            if not self._wanted:
                loop.call_soon(self._begin)
            future = self._futures[key] = loop.create_future()
            self._wanted.append(key)
        return await future

    def _begin(self) -> None:
        wanted, self._wanted = self._wanted, []
        task = asyncio.ensure_future(self._answer(wanted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, wanted: list[K]) -> None:
        try:
            found = await self._load(wanted)
        except Exception as error:
            for key in wanted:
                self._futures[key].set_exception(error)
        else:
            for key in wanted:
                self._futures[key].set_result(found.get(key))


class Asked:
    """One request: who asks, and what its resolvers share."""

    def __init__(self, home: Home, actor: Actor, lift_model: Callable[[str], str]) -> None:
        self.home = home
        self.actor = actor
        self.lift_model = lift_model
        """Turns an old word for a provider's model into the provider's own."""
        self.reading = Context(home, narrowed(home.catalog, actor, "read"))
        """What members are read with: where the key may not read, they are not there."""
        self.asking = Context(home, actor)
        """The actor as he is, for what he may where."""
        self.completions: Gathered[UUID, Interaction] = Gathered(self._completions)
        self.gathered: dict[Any, Gathered[Any, Any]] = {}
        """What else is asked for many at once, by what it is asked for."""

    def context(self, permission: str) -> Context:
        """Return the context of a service function. Raises `Forbidden` where the key may not."""
        return Context(self.home, allowed(self.home.catalog, self.actor, permission))

    async def _completions(self, ids: list[UUID]) -> dict[UUID, Interaction]:
        return await interactions.several(self.reading, ids)
