"""Views: saved filters of the web page."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from afterword.types.base import PROJECT, Input, Key, Output

SearchText = Annotated[str, Meta(max_length=8_000)]


VIEW_SEARCH = Meta(description="The query string of the page's address: filter, columns and grouping.")


class SavedView(Output):
    """A filter with its columns and grouping, as the query string of the page's address."""

    id: UUID
    project: Annotated[str, PROJECT]
    name: str
    search: Annotated[str, VIEW_SEARCH]
    by: Annotated[str, Meta(description="The name of the key that it was made with.")]
    created_at: Annotated[datetime, Meta(description="When it was made.")]


class NewSavedView(Input):
    """A view to save. Its name must be free in the project."""

    name: Key
    search: Annotated[SearchText, VIEW_SEARCH]


class SavedViewChange(Input):
    """Changes to a view."""

    name: Key | UnsetType = UNSET
    search: Annotated[SearchText | UnsetType, VIEW_SEARCH] = UNSET


class SavedViewList(Output):
    """The views of a project, by name."""

    views: list[SavedView]
