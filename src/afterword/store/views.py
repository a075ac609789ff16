"""Saved views."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, delete, insert, select, update

from afterword.errors import Conflict
from afterword.store.engine import Transaction
from afterword.store.schema import views


def of_project(connection: Connection, project: int) -> list[Row[Any]]:
    """Return the views of a project, by name."""
    return list(connection.execute(select(views).where(views.c.project == project).order_by(views.c.name)))


def find_view(connection: Connection, project: int, view_id: UUID) -> Row[Any] | None:
    """Return a view of a project."""
    return connection.execute(select(views).where(views.c.project == project, views.c.id == view_id)).first()


def add(transaction: Transaction, values: dict[str, Any]) -> None:
    """Insert a view. Raises `Conflict` if the project has a view of that name."""
    transaction.lock_catalog()
    _check_name(transaction.connection, values["project"], values["name"], values["id"])
    transaction.connection.execute(insert(views).values(values))


def change(transaction: Transaction, project: int, view_id: UUID, values: dict[str, Any]) -> bool:
    """Change columns of a view; return whether it exists. Raises `Conflict` if another view has the new name."""
    transaction.lock_catalog()
    if "name" in values:
        _check_name(transaction.connection, project, values["name"], view_id)
    return transaction.connection.execute(update(views).where(views.c.id == view_id).values(**values)).rowcount > 0


def remove(transaction: Transaction, view_id: UUID) -> bool:
    """Delete a view; return whether it existed."""
    return transaction.connection.execute(delete(views).where(views.c.id == view_id)).rowcount > 0


def _check_name(connection: Connection, project: int, name: str, view_id: UUID) -> None:
    same_name = select(views.c.id).where(views.c.project == project, views.c.name == name, views.c.id != view_id)
    if connection.execute(same_name).first():
        raise Conflict(
            f"The project has a view with the name {name!r:.80} already.",
            code="view_exists",
            param="name",
            hint="Choose another name, or change that one.",
        )
