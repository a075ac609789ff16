"""Projects: separate spaces, each with its own interactions and settings."""

from __future__ import annotations

from msgspec import UNSET

from afterword.config import Settings
from afterword.ids import uuid7
from afterword.service.access import permissions_in
from afterword.service.context import Context
from afterword.service.feedback import metrics
from afterword.service.people import people
from afterword.service.timestamps import to_datetime
from afterword.service.validation import check_key, check_text
from afterword.store.background.retention import Periods
from afterword.store.catalog import Catalog, ProjectRow, add_project, change_project
from afterword.types import (
    LinkedMetric,
    Metric,
    NewProject,
    NewShare,
    NewShareList,
    Project,
    ProjectChange,
    ProjectList,
)
from afterword.types.queries import ProjectsQuery


async def create_project(context: Context, *, body: NewProject) -> Project:
    """Create a project. An API key bound to projects may not create one, because it could not see it."""
    if body.team is not None:
        people.get_team_row(context, body.team)
    metric = None if body.default_metric is None else metrics.get_metric_row(context, body.default_metric)
    row = ProjectRow(
        number=0,
        id=uuid7(),
        key=check_key(body.key),
        name=check_text(body.key if body.name is None else body.name, param="name", max_length=1000, min_length=1),
        description=check_text(body.description, param="description"),
        created_at=context.now(),
        archived=False,
        retention_days=body.retention_days,
        payload_retention_days=body.payload_retention_days,
    )
    row = await context.store.write(lambda transaction: add_project(transaction, row))
    context.catalog.keep(row)
    if body.team is not None:
        owner = NewShare(team=body.team, role="admin", is_owner=True)
        await people.share(context, row.key, body=NewShareList(shares=[owner]))
    if metric is not None:
        await metrics.link(context, row.key, body=LinkedMetric(metric=str(metric.id)))
        return await update_project(context, row.key, body=ProjectChange(default_metric=str(metric.id)))
    return _serialized_project(context, row)


async def list_projects(context: Context, *, query: ProjectsQuery) -> ProjectList:
    """List the projects that the key may see; with `archived`, also the archived ones."""
    rows = [
        row
        for row in sorted(context.catalog.projects.values(), key=lambda row: row.key)
        if context.actor.sees(row.number) and (query.archived or not row.archived)
    ]
    permissions = permissions_in(context.catalog, context.actor, [row.number for row in rows])
    return ProjectList(projects=[_serialized_project(context, row, permissions[row.number]) for row in rows])


def find_project(context: Context, id_or_key: str) -> Project | None:
    """Return a project; None if it does not exist, or if the key may not see it."""
    row = context.find_project(id_or_key)
    return row and _serialized_project(context, row)


def find_default_metric(context: Context, project: str) -> Metric | None:
    """Return the default metric of a project, unless it was deleted."""
    row = context.find_project(project)
    metric = context.catalog.metrics.get(row.default_metric) if row and row.default_metric is not None else None
    return None if metric is None or metric.deleted_at is not None else metrics.serialized_metric(context, metric)


async def get_project(context: Context, project: str) -> Project:
    """Show a project, by key or id."""
    return _serialized_project(context, context.project(project))


async def update_project(context: Context, project: str, *, body: ProjectChange) -> Project:
    """Change a project's name, description, default metric or retention periods; archive it or bring it back.

    An archived project can be read, but accepts nothing new. Data older than a new `retention_days` or
    `payload_retention_days` is deleted permanently.
    """
    row = context.project(project)
    values = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    if values.get("default_metric") is not None:
        values["default_metric"] = context.metric(row.number, values["default_metric"], param="default_metric").number
    for param in values.keys() & {"name", "description"}:
        check_text(values[param], param=param, min_length=1 if param == "name" else 0)
    changed_row = await context.store.write(lambda transaction: change_project(transaction, row.number, values))
    context.catalog.keep(changed_row)
    return _serialized_project(context, changed_row)


def _serialized_project(context: Context, row: ProjectRow, permissions: list[str] | None = None) -> Project:
    if permissions is None:
        permissions = permissions_in(context.catalog, context.actor, [row.number])[row.number]
    return Project(
        id=row.id,
        key=row.key,
        name=row.name,
        description=row.description,
        created_at=to_datetime(row.created_at),
        archived=bool(row.archived),
        default_metric=None if row.default_metric is None else context.catalog.metrics[row.default_metric].key,
        retention_days=row.retention_days,
        payload_retention_days=row.payload_retention_days,
        permissions=permissions,
    )


def retention_periods(catalog: Catalog, settings: Settings) -> dict[int, Periods]:
    """Return the retention periods of each project: its own, or those of the server's settings."""

    def days(project_days: int | None, server_days: int) -> int | None:
        return (server_days if project_days is None else project_days) or None

    return {
        row.number: Periods(
            days(row.retention_days, settings.retention_days),
            days(row.payload_retention_days, settings.payload_retention_days),
        )
        for row in list(catalog.projects.values())
    }
