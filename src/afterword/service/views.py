"""Saved views: filters that a project's people come back to."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from sqlalchemy import Row

from afterword.errors import NotFound
from afterword.ids import uuid7
from afterword.service.context import Context, parse_id
from afterword.service.moments import shown
from afterword.service.values import check_text
from afterword.store import views as stored
from afterword.store.catalog import ProjectRow
from afterword.types import Deleted, NewSavedView, SavedView, SavedViewChange, SavedViewList


async def list_views(context: Context, project: str) -> SavedViewList:
    """List the saved views of a project."""
    its = context.project(project)
    rows = await context.store.read(stored.of_project, its.number)
    return SavedViewList(views=[_shown(context, its, row) for row in rows])


async def create(context: Context, project: str, *, body: NewSavedView) -> SavedView:
    """Save a view: a filter with its columns and grouping, under a name."""
    its = context.project(project, writing=True)
    values = {
        "id": uuid7(),
        "project": its.number,
        "name": check_text(body.name.strip(), param="name", most=200, least=1),
        "search": check_text(body.search, param="search", most=8_000),
        "actor": context.actor.number,
        "created_at": context.now(),
    }
    await context.store.write(lambda transaction: stored.add(transaction, values))
    return _shown(context, its, await _row(context, its, str(values["id"])))


async def change(context: Context, project: str, view_id: str, *, body: SavedViewChange) -> SavedView:
    """Change the name of a view, or what it shows."""
    its = context.project(project, writing=True)
    row = await _row(context, its, view_id)
    values: dict[str, Any] = {}
    if body.name is not UNSET:
        values["name"] = check_text(body.name.strip(), param="name", most=200, least=1)
    if body.search is not UNSET:
        values["search"] = check_text(body.search, param="search", most=8_000)
    if values:
        await context.store.write(lambda transaction: stored.change(transaction, its.number, row.id, values))
    return _shown(context, its, await _row(context, its, view_id))


async def delete(context: Context, project: str, view_id: str) -> Deleted:
    """Delete a saved view."""
    its = context.project(project, writing=True)
    row = await _row(context, its, view_id)
    if not await context.store.write(lambda transaction: stored.remove(transaction, row.id)):
        _no_view(its, view_id)
    return Deleted()


async def _row(context: Context, project: ProjectRow, view_id: str) -> Row[Any]:
    wanted = parse_id(view_id, what="view", param="view_id")
    return await context.store.read(stored.find, project.number, wanted) or _no_view(project, view_id)


def _no_view(project: ProjectRow, view_id: str) -> Any:
    raise NotFound(
        f"EntityNotFound: view {view_id:.80} does not exist in {project.key!r}.",
        code="view_not_found",
        param="view_id",
        hint=f"List them with GET /api/v1/projects/{project.key}/views.",
    )


def _shown(context: Context, project: ProjectRow, row: Row[Any]) -> SavedView:
    return SavedView(
        id=row.id,
        project=project.key,
        name=row.name,
        search=row.search,
        by=context.actor_name(row.actor),
        created_at=shown(row.created_at),
    )
