"""State shared by the resolvers of one request: the actor, and data loaders that read many objects at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar
from uuid import UUID

from afterword.service import projects
from afterword.service.access import get_permitted_context, restricted_context
from afterword.service.context import Actor, AppState, Context
from afterword.service.feedback import metrics
from afterword.service.interactions import recording
from afterword.service.models import models
from afterword.types import Interaction, Metric, Model, Project

K = TypeVar("K")
V = TypeVar("V")


class DataLoader(Generic[K, V]):
    """Loads all keys that are requested within one iteration of the event loop together, and each key once."""

    def __init__(self, load: Callable[[list[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._load = load
        self._futures: dict[K, asyncio.Future[V | None]] = {}
        self._pending_keys: list[K] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """Return the value of a key; None if it has none."""
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
        """Return the futures of these keys that are still pending.

        When a resolver fails, graphql-core cancels those beside it.
        """
        return [self._futures[key] for key in keys if not self._futures[key].done()]


class RequestContext:
    """One GraphQL request. Objects that an answer names by key are looked up once."""

    def __init__(self, state: AppState, actor: Actor, lift_model: Callable[[str], str]) -> None:
        self.state = state
        self.actor = actor
        self.lift_model = lift_model
        """Turns an old name of a provider's model into the provider's own."""
        self.read_context = restricted_context(state, actor, "read")
        """For fields that need the permission `read`: what the key may not read is absent."""
        self.actor_context = Context(state, actor)
        """For objects that a visible object names, and for the actor's permissions."""
        self.interaction_loader: DataLoader[UUID, Interaction] = DataLoader(self._load_interactions)
        self._loaders: dict[Any, DataLoader[Any, Any]] = {}
        self._projects: dict[str, Project | None] = {}
        self._models: dict[str, Model | None] = {}

    def context(self, permission: str) -> Context:
        """Return the context of a service function. Raises `Forbidden` if the key lacks the permission."""
        return get_permitted_context(self.state, self.actor, permission)

    def loader(self, name: Any, load: Callable[[list[Any]], Awaitable[Mapping[Any, Any]]]) -> DataLoader[Any, Any]:
        """Return the loader of this name; the first call creates it from `load`."""
        return self._loaders.setdefault(name, DataLoader(load))

    def find_project(self, key: str) -> Project | None:
        """Return the project that an object of the answer names."""
        if key not in self._projects:
            self._projects[key] = projects.find_project(self.actor_context, key)
        return self._projects[key]

    def find_metric(self, project: str, key: str) -> Metric | None:
        """Return the metric that an object of the answer names."""
        return metrics.find_metric(self.actor_context, project, key)

    def find_model(self, key: str) -> Model | None:
        """Return the model that an object of the answer names: its key and id alone if it may not be seen."""
        if key not in self._models:
            self._models[key] = models.find_as_seen(self.read_context, key)
        return self._models[key]

    async def _load_interactions(self, ids: list[UUID]) -> dict[UUID, Interaction]:
        return await recording.find_interactions(self.read_context, ids)


def projects_of_keys(request: RequestContext, keys: Iterable[str], filter: Mapping[str, Any] | None) -> list[Project]:
    """Return the projects of these keys that pass a filter of the schema."""
    is_archived = (filter or {}).get("isArchived")
    found_projects = (request.find_project(key) for key in keys)
    return [project for project in found_projects if project and is_archived in (None, project.archived)]
