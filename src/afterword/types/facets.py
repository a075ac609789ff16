"""Facets: the values that the interactions of a filter have, with counts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from afterword.types.base import Input, Output
from afterword.types.filters import Filter

FacetKind: TypeAlias = Literal["model", "label", "feedback", "preference", "state", "finish_reason", "source", "user"]
FacetLimit: TypeAlias = Annotated[int, Meta(ge=1, le=1_000)]


class NewFacets(Input):
    """Whose values to count: those of the interactions that a filter finds. `project` defaults as for interactions.

    `only` is one facet: a kind such as `model`, or a kind with its key, such as `label:env`.
    """

    project: str | None = None
    filter: Filter | None = None
    limit: FacetLimit = 10
    only: str | None = None


class FacetValue(Output):
    """A value, and on how many interactions it is. Values of feedback are numbers; a bool one is 0 or 1."""

    value: str | float
    count: int


class Facet(Output):
    """What interactions can have: a model, a label key, feedback under a key, and so on.

    `count` is how many have any. `key` is the label key, or the feedback key; null for the other kinds. `values` are
    the most frequent ones.
    """

    kind: FacetKind
    key: str | None
    count: int
    values: list[FacetValue]
    values_left_out: int


class Facets(Output):
    """The facets of the newest interactions that a filter finds.

    `interactions` is how many were counted. Where there are more of them, `complete` is false, and `since` is when the
    oldest that was counted was made.
    """

    interactions: int
    complete: bool
    since: datetime | None
    facets: list[Facet]
    facets_left_out: int
