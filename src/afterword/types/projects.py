"""Projects, and the metrics (feedback keys) of each."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from msgspec import UNSET, UnsetType

from afterword.types.base import Days, Input, Key, Kind, Output, ScoringType

Category: TypeAlias = Literal["user", "system"]


class Project(Output):
    """A space of its own: its interactions, metrics and labels are seen from no other.

    What is older than `retention_days` is deleted; what was said in it already after `payload_retention_days`. 0 is for
    ever, null what the server's settings say. `permissions` says what the key that asks may in the project.
    """

    id: UUID
    key: str
    name: str
    description: str
    created_at: datetime
    archived: bool
    permissions: list[str]
    default_metric: str | None = None
    retention_days: int | None = None
    payload_retention_days: int | None = None


class NewProject(Input):
    """A project to create. `name` defaults to the key. With `team` it is shared with that team, as its owner."""

    key: Key
    name: str | None = None
    description: str = ""
    team: str | None = None
    default_metric: str | None = None
    retention_days: Days | None = None
    payload_retention_days: Days | None = None


class ProjectChange(Input):
    """What to change of a project; the key stays."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    default_metric: str | UnsetType | None = UNSET
    retention_days: Days | UnsetType | None = UNSET
    payload_retention_days: Days | UnsetType | None = UNSET


class ProjectList(Output):
    """Projects that the key may see, by key."""

    projects: list[Project]


class Metric(Output):
    """A feedback key: what is measured, bool or scalar, and which way is better.

    The values of a `system` metric are measured by the server, for each call of a model.
    """

    id: UUID
    key: str
    name: str
    project: str | None
    kind: Kind
    scoring_type: ScoringType
    description: str
    unit: str
    created_at: datetime
    category: Category = "user"


class NewMetric(Input):
    """A feedback key to register. `name` defaults to the key, `project` as for interactions.

    A `shared` one belongs to no project, and counts in those that are linked to it.
    """

    key: Key
    name: str | None = None
    kind: Kind = "scalar"
    scoring_type: ScoringType = "higher_is_better"
    description: str = ""
    unit: str = ""
    project: str | None = None
    shared: bool = False


class LinkedMetric(Input):
    """A metric that a project shall use."""

    metric: str


class MetricChange(Input):
    """What to change of a feedback key. Its key and kind stay."""

    name: str | UnsetType = UNSET
    scoring_type: ScoringType | UnsetType = UNSET
    description: str | UnsetType = UNSET
    unit: str | UnsetType = UNSET


class MetricList(Output):
    """The feedback keys of a project, by key."""

    metrics: list[Metric]
