"""Pairs of completions to be judged."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.base import CONDITION_TREE, CURSOR, METRIC, NEXT_CURSOR, PROJECT, Input, Output
from afterword.types.filters import Filter
from afterword.types.interactions import Interaction

MAX_PAIR_COUNT = 20
"""The most pairs in one answer, and the most that a sitting holds."""


class HeldPair(Input):
    """A pair that a sitting holds, named by its completions."""

    left: Annotated[UUID, Meta(description="The completion on one side.")]
    right: Annotated[UUID, Meta(description="The completion on the other side.")]


class NextPairs(Input):
    """A request for pairs of completions that match a filter, to be judged under a metric.

    `sitting` is an id that the caller chooses. `keep` names the pairs that the sitting still has to judge: they stay
    reserved for it. All its other pairs are released.
    """

    metric: Annotated[str, METRIC]
    sitting: Annotated[
        UUID, Meta(description="An id of your own. A pair that one sitting has is given to no other sitting.")
    ]
    project: Annotated[str | None, PROJECT] = None
    filter: Annotated[Filter | None, CONDITION_TREE] = None
    limit: Annotated[
        int,
        Meta(ge=0, le=MAX_PAIR_COUNT),
        Meta(description="How many new pairs are wanted. With 0 the sitting only renews its leases."),
    ] = 1
    keep: Annotated[
        list[HeldPair],
        Meta(max_length=MAX_PAIR_COUNT),
        Meta(description="The pairs that the sitting still has to judge. It gives back all others."),
    ] = msgspec.field(default_factory=list)
    again: Annotated[bool, Meta(description="Whether pairs that were judged under the metric are given, too.")] = False
    cursor: Annotated[str | None, CURSOR] = None


class Pair(Output):
    """Two completions of the same prompt by different models; the sides are random."""

    left: Annotated[Interaction, Meta(description="The completion on the left.")]
    right: Annotated[Interaction, Meta(description="The completion on the right.")]


class PairPage(Output):
    """Pairs to judge. Pass `next` as `cursor` for more; null if no pair is left.

    A page may be empty and have a `next`, because one call looks at a limited number of prompts.
    """

    pairs: Annotated[list[Pair], Meta(description="The new pairs of the sitting.")]
    next: Annotated[str | None, NEXT_CURSOR]
    held: Annotated[int, Meta(description="How many pairs were left out because another sitting has them.")]
    lost: Annotated[
        list[HeldPair], Meta(description="Those of `keep` that another sitting has, or that were judged meanwhile.")
    ]
