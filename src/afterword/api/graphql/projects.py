"""Projects, which old clients know as use cases."""

from __future__ import annotations

import re
from typing import Any

from graphql import GraphQLResolveInfo

from afterword.api.graphql.models import default_of, services_of
from afterword.service import projects
from afterword.service.context import Context
from afterword.service.feedback import metrics
from afterword.service.interactions import search
from afterword.types import Metric, NewProject, Project, ProjectChange
from afterword.types.queries import ProjectQuery, ProjectsQuery


async def all_projects(context: Context, filter: dict[str, Any]) -> list[Project]:
    """Return the projects that the key may see."""
    project_list = await projects.list_projects(context, query=ProjectsQuery(archived=True))
    is_archived = filter.get("isArchived")
    return [project for project in project_list.projects if is_archived in (None, project.archived)]


async def project(context: Context, id_or_key: str) -> Project | None:
    """Return a project; null if it does not exist or may not be seen."""
    return projects.find_project(context, id_or_key)


async def create_project(context: Context, input: dict[str, Any]) -> Project:
    """Create a project."""
    return await projects.create_project(
        context,
        body=NewProject(
            key=input.get("key") or re.sub(r"[^A-Za-z0-9._-]+", "-", input["name"]).strip("-"),
            name=input["name"],
            description=input.get("description", ""),
            team=input.get("team"),
            default_metric=input.get("settings", {}).get("defaultMetric"),
        ),
    )


async def update_project(context: Context, id_or_key: str, input: dict[str, Any]) -> Project:
    """Change a project."""
    names = {"name": "name", "description": "description", "isArchived": "archived"}
    values = {names[name]: value for name, value in input.items() if name in names}
    if "defaultMetric" in input.get("settings", {}):
        values["default_metric"] = input["settings"]["defaultMetric"]
    return await projects.update_project(context, id_or_key, body=ProjectChange(**values))


# ------------------------------------------------------------------------------------------------ members


def _project_metrics(project: Project, info: GraphQLResolveInfo, filter: Any = None) -> list[Metric]:
    return metrics.metrics_of_project(info.context.read_context, project.key)


def _project_metric(project: Project, info: GraphQLResolveInfo, metric: str) -> Metric | None:
    return metrics.find_metric(info.context.read_context, project.key, metric)


def _service(project: Project, info: GraphQLResolveInfo, idOrKey: str) -> Any:
    return next(iter(services_of(project, info, {"model": idOrKey})), None)


def _settings(project: Project, info: GraphQLResolveInfo) -> dict[str, Any]:
    return {"default_metric": projects.find_default_metric(info.context.actor_context, project.key)}


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
    "isArchived": lambda project, info: project.archived,
    "metrics": _project_metrics,
    "modelServices": services_of,
    "modelService": _service,
    "defaultModelService": default_of,
    "settings": _settings,
    "labelUsage": lambda project, info: {"project": project.key},
}

MEMBERS: dict[str, dict[str, Any]] = {
    "UseCase": _PROJECT,
    "Project": {
        **_PROJECT,
        "metric": _project_metric,
        "models": lambda project, info, filter=None: [service.model for service in services_of(project, info)],
    },
    "LabelUsage": {"keys": _label_keys},
}
