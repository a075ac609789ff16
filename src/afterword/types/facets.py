"""Facets: values of the interactions that match a filter, with counts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

from msgspec import Meta

from afterword.types.base import CONDITION_TREE, PROJECT, Input, Output
from afterword.types.field import FacetKind
from afterword.types.filters import Filter

FacetLimit: TypeAlias = Annotated[int, Meta(ge=1, le=1_000)]


class NewFacets(Input):
    """A request for the facets of the interactions that match a filter. `project` defaults as for interactions.

    `only` is one facet: a kind such as `model`, or a kind with its key, such as `label:env`.
    """

    project: Annotated[str | None, PROJECT] = None
    filter: Annotated[Filter | None, CONDITION_TREE] = None
    limit: Annotated[FacetLimit, Meta(description="How many values a facet has at most.")] = 10
    only: Annotated[
        str | None, Meta(description="One facet: a kind such as `model`, or a kind with its key, such as `label:env`.")
    ] = None


class FacetValue(Output):
    """A value, and the number of interactions with it. Feedback values are numbers; bool values are 0 or 1."""

    value: Annotated[str | float, Meta(description="The value.")]
    count: Annotated[int, Meta(description="On how many interactions it is.")]


class Facet(Output):
    """A property of interactions, with its values: a model, a label key, feedback under a key, and so on.

    `count` is the number of interactions with any value. `key` is the label key or the feedback key; null for the
    other kinds. `values` are the most frequent ones.
    """

    kind: Annotated[FacetKind, Meta(description="What the values are.")]
    key: Annotated[str | None, Meta(description="The label key or the feedback key; null for the other kinds.")]
    count: Annotated[int, Meta(description="How many interactions have any value.")]
    values: Annotated[list[FacetValue], Meta(description="The most frequent values.")]
    values_left_out: Annotated[int, Meta(description="How many further values there are.")]


class Facets(Output):
    """The facets of the newest interactions that match a filter.

    `interactions` is how many were counted. If more interactions match, `complete` is false, and `since` is the time
    of the oldest one counted.
    """

    interactions: Annotated[int, Meta(description="How many interactions were counted.")]
    complete: Annotated[
        bool, Meta(description="Whether these are all that the filter finds; false where only the newest were counted.")
    ]
    since: Annotated[
        datetime | None,
        Meta(description="When the oldest of those that were counted was made; null where there are none."),
    ]
    facets: Annotated[list[Facet], Meta(description="The facets, by kind, then by how many interactions have them.")]
    facets_left_out: Annotated[int, Meta(description="How many further facets there are.")]
