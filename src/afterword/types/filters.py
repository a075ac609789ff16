"""Trees of conditions, and how to search with them."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from afterword.types.base import PAGE_ROWS, Input, Moment, PageRows


class TimeRange(Input, rename={"from_": "from"}):
    """From (inclusive) to (exclusive), over the interaction's created_at. Either may be left out."""

    from_: Moment | None = None
    to: Moment | None = None


class Match(Input):
    """One of `eq`, `in`, `neq`. `neq` is the negation of `eq`: what has no value at all matches it too."""

    eq: str | None = None
    in_: list[str] | None = msgspec.field(name="in", default=None)
    neq: str | None = None


class LabelCondition(Input):
    """Has this label key; with `value`, has it with such a value. `neq` matches what has no such key, too."""

    key: str
    value: Match | None = None


class NumberCondition(Input):
    """Comparisons with numbers; all that are given must hold. Under a bool key true is 1 and false is 0."""

    eq: float | bool | None = None
    neq: float | bool | None = None
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


class FeedbackCondition(Input):
    """Has feedback under this metric; with `value`, `reasons` or `user`, at least one feedback that meets them all.

    A system metric (such as `latency`) is compared in the same way; it has neither reasons nor users.
    """

    metric: str
    value: NumberCondition | None = None
    reasons: list[str] | None = None
    user: str | None = None


class PreferenceCondition(Input):
    """Takes part in a preference under this metric."""

    metric: str


class TextCondition(Input):
    """`eq`: exactly this text. `contains`: these words next to each other, whatever their case."""

    eq: str | None = None
    contains: str | None = None


class Filter(Input, rename={"and_": "and", "or_": "or", "not_": "not"}):
    """A tree of conditions. Each node carries exactly one; `{"and": []}` is everything, `{"or": []}` nothing."""

    and_: list[Filter] | None = None
    or_: list[Filter] | None = None
    not_: Filter | None = None
    timerange: TimeRange | None = None
    model: Match | None = None
    label: LabelCondition | None = None
    feedback: FeedbackCondition | None = None
    preference: PreferenceCondition | None = None
    source: Match | None = None
    state: Match | None = None
    finish_reason: Match | None = None
    prompt_hash: Match | None = None
    session_id: Match | None = None
    user: Match | None = None
    request_id: Match | None = None
    trace_id: Match | None = None
    completion_id: Match | None = None
    prompt: TextCondition | None = None
    completion: TextCondition | None = None
    text: str | None = None
    """Words to find in prompt or completion: all of them; "in quotes" next to each other; with * their beginnings."""


Order: TypeAlias = Literal["-created_at", "created_at"]
View: TypeAlias = Literal["short", "full"]
Images: TypeAlias = Literal["links", "inline"]


class Watch(Input):
    """Interactions to watch, under a name that the events repeat."""

    name: str
    project: str | None = None
    filter: Filter | None = None


class Watches(Input):
    """What to watch over one connection."""

    watches: list[Watch]


class Search(Input):
    """A filter tree with how to page through it. `project` defaults as for interactions."""

    project: str | None = None
    filter: Filter | None = None
    order: Order = "-created_at"
    limit: PageRows = PAGE_ROWS
    cursor: str | None = None
    count: bool = False
    view: View = "short"
    images: Images = "links"
    group_by: str | None = None
    """`model`, `prompt`, `session` or `label:KEY`: answers groups in place of interactions."""
