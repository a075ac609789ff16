"""Saved views: filters of a project under a name."""

from __future__ import annotations

from typing import Any, NoReturn

from msgspec import UNSET
from sqlalchemy import Row

from afterword.errors import NotFound
from afterword.ids import uuid7
from afterword.service.context import Context, parse_id
from afterword.service.timestamps import to_datetime
from afterword.service.validation import check_text
from afterword.store import views as stored
from afterword.store.catalog import ProjectRow
from afterword.types import Deleted, NewSavedView, SavedView, SavedViewChange, SavedViewList


async def list_views(context: Context, project: str) -> SavedViewList:
    """List the saved views of a project."""
    project_row = context.project(project)
    rows = await context.store.read(stored.of_project, project_row.number)
    return SavedViewList(views=[_serialized_view(context, project_row, row) for row in rows])


async def create_view(context: Context, project: str, *, body: NewSavedView) -> SavedView:
    """Save a view: a filter with its columns and grouping, under a name."""
    project_row = context.project(project, writing=True)
    values = {
        "id": uuid7(),
        "project": project_row.number,
        "name": check_text(body.name.strip(), param="name", max_length=200, min_length=1),
        "search": check_text(body.search, param="search", max_length=8_000),
        "actor": context.actor.number,
        "created_at": context.now(),
    }
    await context.store.write(lambda transaction: stored.add(transaction, values))
    return _serialized_view(context, project_row, await _view_row(context, project_row, str(values["id"])))


async def update_view(context: Context, project: str, view_id: str, *, body: SavedViewChange) -> SavedView:
    """Change the name of a view, or the search that it saves."""
    project_row = context.project(project, writing=True)
    row = await _view_row(context, project_row, view_id)
    values: dict[str, Any] = {}
    if body.name is not UNSET:
        values["name"] = check_text(body.name.strip(), param="name", max_length=200, min_length=1)
    if body.search is not UNSET:
        values["search"] = check_text(body.search, param="search", max_length=8_000)
    if values:
        await context.store.write(lambda transaction: stored.change(transaction, project_row.number, row.id, values))
    return _serialized_view(context, project_row, await _view_row(context, project_row, view_id))


async def delete_view(context: Context, project: str, view_id: str) -> Deleted:
    """Delete a saved view."""
    project_row = context.project(project, writing=True)
    row = await _view_row(context, project_row, view_id)
    if not await context.store.write(lambda transaction: stored.remove(transaction, row.id)):
        _raise_view_not_found(project_row, view_id)
    return Deleted()


async def _view_row(context: Context, project: ProjectRow, view_id: str) -> Row[Any]:
    view_uuid = parse_id(view_id, noun="view", param="view_id")
    return await context.store.read(stored.find_view, project.number, view_uuid) or _raise_view_not_found(
        project, view_id
    )


def _raise_view_not_found(project: ProjectRow, view_id: str) -> NoReturn:
    raise NotFound(
        f"{view_id:.80} does not exist in {project.key!r}.",
        noun="view",
        code="view_not_found",
        param="view_id",
        hint=f"List them with GET /api/v1/projects/{project.key}/views.",
    )


def _serialized_view(context: Context, project: ProjectRow, row: Row[Any]) -> SavedView:
    return SavedView(
        id=row.id,
        project=project.key,
        name=row.name,
        search=row.search,
        by=context.actor_name(row.actor),
        created_at=to_datetime(row.created_at),
    )
