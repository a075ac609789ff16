"""Projects, and the metrics (feedback keys) of each."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from afterword.types.base import (
    BETTER_WAY,
    CREATED_AT,
    DEFAULT_NAME,
    METRIC,
    METRIC_KIND,
    PROJECT,
    Days,
    Input,
    Key,
    Kind,
    Output,
    ScoringType,
)

Category: TypeAlias = Literal["user", "system"]


DESCRIPTION = Meta(description="What it is, in words.")
UNIT = Meta(description="What the number counts, such as `ms` or `stars`.")
DEFAULT_METRIC = Meta(description="The metric that the project is judged by first, by key or id.")
RETENTION_DAYS = Meta(
    description="Days after which interactions are deleted, with all that hangs on them; 0: never; null: as "
    "the server's settings say."
)
PAYLOAD_RETENTION_DAYS = Meta(
    description="Days after which what was said in interactions is deleted, while labels, feedback and "
    "numbers stay; 0: never; null: as the server's settings say."
)
ARCHIVED = Meta(description="An archived project is kept and can be read, but takes nothing new.")


class Project(Output):
    """A separate space: other projects do not see its interactions, metrics and labels.

    Interactions are deleted after `retention_days`; their texts earlier, after `payload_retention_days`. 0 means never,
    null the server's setting. `permissions` lists what the calling key may do in the project.
    """

    id: UUID
    key: str
    name: str
    description: Annotated[str, DESCRIPTION]
    created_at: Annotated[datetime, CREATED_AT]
    archived: Annotated[bool, ARCHIVED]
    permissions: Annotated[
        list[str], Meta(description="What the key that asks may in it: read, call, write, edit, share, administer.")
    ]
    default_metric: Annotated[str | None, DEFAULT_METRIC] = None
    retention_days: Annotated[int | None, RETENTION_DAYS] = None
    payload_retention_days: Annotated[int | None, PAYLOAD_RETENTION_DAYS] = None


class NewProject(Input):
    """A project to create. `name` defaults to the key. With `team`, that team becomes its owner."""

    key: Key
    name: Annotated[str | None, DEFAULT_NAME] = None
    description: Annotated[str, DESCRIPTION] = ""
    team: Annotated[str | None, Meta(description="A team to share it with, as its owner.")] = None
    default_metric: Annotated[str | None, DEFAULT_METRIC] = None
    retention_days: Annotated[Days | None, RETENTION_DAYS] = None
    payload_retention_days: Annotated[Days | None, PAYLOAD_RETENTION_DAYS] = None


class ProjectChange(Input):
    """Changes to a project; the key cannot change."""

    name: str | UnsetType = UNSET
    description: Annotated[str | UnsetType, DESCRIPTION] = UNSET
    archived: Annotated[bool | UnsetType, ARCHIVED] = UNSET
    default_metric: Annotated[str | UnsetType | None, DEFAULT_METRIC] = UNSET
    retention_days: Annotated[Days | UnsetType | None, RETENTION_DAYS] = UNSET
    payload_retention_days: Annotated[Days | UnsetType | None, PAYLOAD_RETENTION_DAYS] = UNSET


class ProjectList(Output):
    """Projects that the key may see, by key."""

    projects: list[Project]


class Metric(Output):
    """A feedback key: its kind, bool or scalar, and which direction is better.

    The server measures the values of a `system` metric for each call of a model.
    """

    id: UUID
    key: str
    name: str
    project: Annotated[str | None, Meta(description="The key of its project; null for a shared one.")]
    kind: Annotated[Kind, METRIC_KIND]
    scoring_type: Annotated[ScoringType, BETTER_WAY]
    description: Annotated[str, DESCRIPTION]
    unit: Annotated[str, UNIT]
    created_at: Annotated[datetime, Meta(description="When it was registered.")]
    category: Annotated[
        Category,
        Meta(description="`user`: a feedback key. `system`: measured by the server, for each call of a model."),
    ] = "user"


class NewMetric(Input):
    """A feedback key to register. `name` defaults to the key, `project` as for interactions.

    A `shared` key belongs to no project; every project that is linked to it can use it.
    """

    key: Key
    name: Annotated[str | None, DEFAULT_NAME] = None
    kind: Annotated[Kind, METRIC_KIND] = "scalar"
    scoring_type: Annotated[ScoringType, BETTER_WAY] = "higher_is_better"
    description: Annotated[str, DESCRIPTION] = ""
    unit: Annotated[str, UNIT] = ""
    project: Annotated[str | None, PROJECT] = None
    shared: Annotated[bool, Meta(description="Belong to no project: it counts in those that are linked to it.")] = False


class LinkedMetric(Input):
    """A metric to link to a project."""

    metric: Annotated[str, METRIC]


class MetricChange(Input):
    """Changes to a feedback key. Its key and kind cannot change."""

    name: str | UnsetType = UNSET
    scoring_type: Annotated[ScoringType | UnsetType, BETTER_WAY] = UNSET
    description: Annotated[str | UnsetType, DESCRIPTION] = UNSET
    unit: Annotated[str | UnsetType, UNIT] = UNSET


class MetricList(Output):
    """The feedback keys of a project, by key."""

    metrics: list[Metric]
