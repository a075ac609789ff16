"""The context of every service function: the actor, the store, the clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID
from weakref import WeakSet

from afterword.config import Settings
from afterword.errors import Conflict, Invalid, NotFound
from afterword.gateway.relay import Gateway
from afterword.ids import find_uuid, id_of_text, is_unstored
from afterword.service.cluster.broadcast import Broadcast
from afterword.service.cluster.pulse import StoreHealth
from afterword.service.interactions.thumbnails import Thumbnailer
from afterword.service.meters import Meters
from afterword.service.models.secrets import Secrets
from afterword.service.people.key_uses import KeyUses
from afterword.service.timestamps import parse_timestamp
from afterword.store import calls
from afterword.store.background.packing import PackingWorker
from afterword.store.background.retention import Retention
from afterword.store.background.rollups import RollupWorker
from afterword.store.background.search_index import SearchIndexWorker
from afterword.store.catalog import Catalog, MetricRow, ModelRow, ProjectRow
from afterword.store.engine import Store
from afterword.types import Moment, Role, Target

ADMINISTRATOR_NUMBER = 0
"""The number under which the administrator's key gives feedback."""


@dataclass(frozen=True, slots=True)
class WebSession:
    """A web session: the token that its changing calls must carry, and its expiry in milliseconds."""

    token: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Actor:
    """The holder of an API key. `projects` are numbers, None for all."""

    number: int
    name: str
    role: Role
    projects: frozenset[int] | None
    user: int | None = None
    """The number of the user whose key it is."""
    web_session: WebSession | None = None
    """The session that the call was made in; None if it sent the key itself."""

    def sees(self, project: int) -> bool:
        """Tell whether the key is for this project."""
        return self.projects is None or project in self.projects


@dataclass(frozen=True, slots=True)
class AppState:
    """State shared by all calls of a server process."""

    store: Store
    catalog: Catalog
    search_index_worker: SearchIndexWorker
    rollup_worker: RollupWorker
    packing_worker: PackingWorker
    retention: Retention
    settings: Settings
    gateway: Gateway
    secrets: Secrets
    store_health: StoreHealth
    key_uses: KeyUses
    meters: Meters
    broadcast: Broadcast = field(default_factory=Broadcast)
    thumbnailer: Thumbnailer = field(default_factory=Thumbnailer)
    administrator_digest: bytes = b""
    """The digest of the administrator's key, the one that is not in the store."""
    targets: dict[int, tuple[ModelRow, Target]] = field(default_factory=dict)
    """Cached targets of models by their number, each with the row that it was made from."""
    calls: WeakSet[Any] = field(default_factory=WeakSet)
    """The model calls under way."""


@dataclass(frozen=True, slots=True)
class Context:
    """The state and the actor, as a service function receives them."""

    state: AppState
    actor: Actor

    @property
    def store(self) -> Store:
        return self.state.store

    @property
    def catalog(self) -> Catalog:
        return self.state.catalog

    @property
    def settings(self) -> Settings:
        return self.state.settings

    @staticmethod
    def now() -> int:
        """Return the time in milliseconds."""
        return time.time_ns() // 1_000_000

    def project(self, id_or_key: str | None, *, writing: bool = False) -> ProjectRow:
        """Return the project that a call is about: the named one, else the key's own, else `default`.

        Raises `NotFound` if it does not exist or the key may not see it; `Conflict` for writing to an archived project.
        """
        if id_or_key is None:
            own_projects = self.actor.projects
            row = self.catalog.projects[next(iter(own_projects))] if own_projects and len(own_projects) == 1 else None
            id_or_key = "default"
        else:
            row = None
        row = row or self.find_project(id_or_key)
        if row is None:
            raise NotFound(
                f"{id_or_key[:200]!r} does not exist, or this key may not see it.",
                noun="project",
                code="project_not_found",
                param="project",
                hint="List the projects with GET /api/v1/projects; create one with POST /api/v1/projects.",
            )
        if writing and row.archived:
            raise Conflict(
                f"The project {row.key!r} is archived and takes nothing new.",
                code="project_archived",
                param="project",
                hint=f'Bring it back with PATCH /api/v1/projects/{row.key} {{"archived": false}}.',
            )
        return row

    def find_project(self, id_or_key: str) -> ProjectRow | None:
        """Return the project of that key or id, if the actor may see it."""
        row = self.catalog.find_project(id_or_key)
        return row if row is not None and self.actor.sees(row.number) else None

    def metric(self, project: int, id_or_key: str, *, param: str = "metric") -> MetricRow:
        """Return a metric of a project by key or id. Raises `NotFound`."""
        row = self.catalog.find_metric(project, id_or_key)
        if row is None and id_or_key in calls.SYSTEM_METRICS:
            raise Invalid(
                f"{id_or_key!r} is a system metric: the server measures it for each call.",
                code="metric_is_measured",
                param=param,
                hint="Register a feedback key of your own. System metrics are for filters and group statistics.",
            )
        if row is None:
            raise NotFound(
                f"{id_or_key[:200]!r} is not registered in {self.catalog.projects[project].key!r}.",
                noun="metric",
                code="metric_not_found",
                param=param,
                hint="Register the feedback key first: POST /api/v1/metrics, or feedback.register_key(...).",
            )
        return row

    def names(self, project: ProjectRow) -> ProjectNames:
        """Return the translation of a project's names into numbers, for filters."""
        return ProjectNames(self, project.number, self.now())

    def actor_name(self, number: int) -> str:
        """Return the name of the key that gave a feedback."""
        if number == ADMINISTRATOR_NUMBER:
            return "administrator"
        row = self.catalog.api_keys.get(number)
        return row.name if row else f"key {number}"


@dataclass(frozen=True, slots=True)
class ProjectNames:
    """Translates the names of a project into numbers. Relative times count from `now`, in milliseconds."""

    context: Context
    project: int
    now: int

    def metric(self, key: str) -> int:
        """Return the metric's number. Raises `NotFound`."""
        return self.context.metric(self.project, key).number

    def metrics(self) -> list[int]:
        """Return the numbers of the project's metrics, including linked ones."""
        return [row.number for row in self.context.catalog.metrics_of(self.project)]

    def has_metric(self, key: str) -> bool:
        """Tell whether the key is that of a metric of the project, or of a system metric."""
        return key in calls.SYSTEM_METRICS or self.context.catalog.find_metric(self.project, key) is not None

    def measured(self, key: str) -> bool:
        """Tell whether a key is that of a system metric, and not of one that the project has registered."""
        return key in calls.SYSTEM_METRICS and self.context.catalog.find_metric(self.project, key) is None

    def model(self, key: str) -> int | None:
        """Return the model's number; None for an unknown model."""
        row = self.context.catalog.find_model(key)
        return row.number if row else None

    def session(self, text: str) -> UUID:
        """Return the id of a session, from the id as text or from the name that callers gave it."""
        return find_uuid(text) or id_of_text(self.context.catalog.projects[self.project].key, text)

    def moment(self, value: Moment, param: str) -> int:
        """Return a time in milliseconds. Raises `Invalid`."""
        return parse_timestamp(value, param=param, now=self.now)


def parse_id(value: str, *, noun: str, param: str) -> UUID:
    """Parse an id in a path. Raises `NotFound` if it is not a UUID, because then no object has it."""
    try:
        return UUID(value)
    except ValueError:
        raise NotFound(
            f"{value[:80]!r} is not an id.",
            noun=noun,
            code=f"{noun}_not_found",
            param=param,
            hint="An id is a UUID, such as 0192d3a4-5b6c-7d8e-9f00-112233445566.",
        ) from None


def completion_not_found(completion_id: UUID, param: str, where: str = "") -> NotFound:
    """Return the error for a completion that does not exist, or that the key may not see."""
    if is_unstored(completion_id):
        return NotFound(
            f"{completion_id} was not stored: its call asked for that with store: false, or "
            "the store could not be written to.",
            noun="completion",
            code="completion_not_stored",
            param=param,
            hint="Leave store out of the calls whose completions are to be rated.",
        )
    return NotFound(
        f"{completion_id} does not exist{where}, or this key may not see it.",
        noun="completion",
        code="completion_not_found",
        param=param,
        hint="Use the completion_id of the choice (choices[0].completion_id), or the id of Afterword's answer.",
    )
