"""Pairs of completions that wait for a verdict."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.base import Input, Output
from afterword.types.filters import Filter
from afterword.types.interactions import Interaction

MAX_PAIR_COUNT = 20
"""The most pairs that are given at once, and that a sitting keeps."""


class HeldPair(Input):
    """A pair that a sitting was given, by its completions."""

    left: UUID
    right: UUID


class NextPairs(Input):
    """Which pairs to give: of the completions that a filter matches, to be judged under a metric.

    `sitting` is an id of the caller's own. `keep` names the pairs that the sitting still has to judge: they stay with
    it. It gives back all other pairs that it was given.
    """

    metric: str
    sitting: UUID
    project: str | None = None
    filter: Filter | None = None
    limit: Annotated[int, Meta(ge=0, le=MAX_PAIR_COUNT)] = 1
    keep: Annotated[list[HeldPair], Meta(max_length=MAX_PAIR_COUNT)] = msgspec.field(default_factory=list)
    again: bool = False
    cursor: str | None = None


class Pair(Output):
    """Two completions of the same prompt by different models; the sides are drawn by lot."""

    left: Interaction
    right: Interaction


class PairPage(Output):
    """Pairs to judge. Give `next` as `cursor` to go on; null where no pair is left.

    A page may be empty and have a `next`, because one call looks at a limited number of prompts.
    """

    pairs: list[Pair]
    next: str | None
    held: int
    lost: list[HeldPair]
