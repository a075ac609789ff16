"""Views: filters of the web page that have a name."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from afterword.types.base import Input, Key, Output

SearchText = Annotated[str, Meta(max_length=8_000)]


class SavedView(Output):
    """A filter with its columns and grouping, as the query string of the page's address."""

    id: UUID
    project: str
    name: str
    search: str
    by: str
    created_at: datetime


class NewSavedView(Input):
    """A view to keep under a name that is free in the project."""

    name: Key
    search: SearchText


class SavedViewChange(Input):
    """What to change of a view."""

    name: Key | UnsetType = UNSET
    search: SearchText | UnsetType = UNSET


class SavedViewList(Output):
    """The views of a project, by name."""

    views: list[SavedView]
