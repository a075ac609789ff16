"""Projects, which old clients know as use cases."""

from __future__ import annotations

import re
from typing import Any

from graphql import GraphQLResolveInfo

from afterword.api.graphql.models import default_of, services_of
from afterword.api.graphql.request_context import RequestContext
from afterword.service import projects
from afterword.service.context import Context, MetricRow, ProjectRow
from afterword.service.interactions import search
from afterword.types import NewProject, ProjectChange
from afterword.types.queries import ProjectQuery


async def all_projects(context: Context, filter: dict[str, Any]) -> list[ProjectRow]:
    """Return the projects that the key may see."""
    is_archived = filter.get("isArchived")
    rows = sorted(context.catalog.projects.values(), key=lambda row: row.key)
    visible_rows = [row for row in rows if context.actor.sees(row.number)]
    return [row for row in visible_rows if is_archived is None or bool(row.archived) == is_archived]


async def project(context: Context, id_or_key: str) -> ProjectRow | None:
    """Return a project; null for one that is not there."""
    row = context.catalog.find_project(id_or_key)
    return row if row is not None and context.actor.sees(row.number) else None


async def create_project(context: Context, input: dict[str, Any]) -> ProjectRow:
    """Create a project."""
    created_project = await projects.create_project(
        context,
        body=NewProject(
            key=input.get("key") or re.sub(r"[^A-Za-z0-9._-]+", "-", input["name"]).strip("-"),
            name=input["name"],
            description=input.get("description", ""),
            team=input.get("team"),
            default_metric=input.get("settings", {}).get("defaultMetric"),
        ),
    )
    return context.catalog.find_project(created_project.key)  # pyright: ignore[reportReturnType]


async def update_project(context: Context, id_or_key: str, input: dict[str, Any]) -> ProjectRow:
    """Change a project."""
    names = {"name": "name", "description": "description", "isArchived": "archived"}
    values = {names[name]: value for name, value in input.items() if name in names}
    if "defaultMetric" in input.get("settings", {}):
        values["default_metric"] = input["settings"]["defaultMetric"]
    changed_project = await projects.update_project(context, id_or_key, body=ProjectChange(**values))
    return context.catalog.find_project(changed_project.key)  # pyright: ignore[reportReturnType]


# ------------------------------------------------------------------------------------------------ members


def _project_metrics(row: ProjectRow, info: GraphQLResolveInfo, filter: Any = None) -> list[MetricRow]:
    request: RequestContext = info.context
    return request.state.catalog.metrics_of(row.number) if request.read_context.actor.sees(row.number) else []


def _project_metric(row: ProjectRow, info: GraphQLResolveInfo, metric: str) -> MetricRow | None:
    request: RequestContext = info.context
    return (
        request.state.catalog.find_metric(row.number, metric) if request.read_context.actor.sees(row.number) else None
    )


def _service(row: ProjectRow, info: GraphQLResolveInfo, idOrKey: str) -> Any:
    return next(iter(services_of(row, info, {"model": idOrKey})), None)


def _settings(row: ProjectRow, info: GraphQLResolveInfo) -> dict[str, Any]:
    metric = info.context.state.catalog.metrics.get(row.default_metric)
    return {"default_metric": metric if metric is not None and metric.deleted_at is None else None}


async def _label_keys(usage: dict[str, Any], info: GraphQLResolveInfo) -> Any:
    return (await search.list_labels(info.context.read_context, query=ProjectQuery(project=usage["project"]))).labels


QUERY = {
    "projects": ("read", all_projects),
    "useCases": ("read", all_projects),
    "project": ("read", project),
    "useCase": ("read", project),
}

MUTATION = {
    "createProject": ("administer_server", create_project),
    "createUseCase": ("administer_server", create_project),
    "updateProject": ("administer", update_project),
}

_PROJECT: dict[str, Any] = {
    "isArchived": lambda row, info: row.archived,
    "metrics": _project_metrics,
    "modelServices": services_of,
    "modelService": _service,
    "defaultModelService": default_of,
    "settings": _settings,
    "labelUsage": lambda row, info: {"project": row.key},
}

MEMBERS: dict[str, dict[str, Any]] = {
    "UseCase": _PROJECT,
    "Project": {
        **_PROJECT,
        "metric": _project_metric,
        "models": lambda row, info, filter=None: [service.row for service in services_of(row, info)],
    },
    "LabelUsage": {"keys": _label_keys},
}
