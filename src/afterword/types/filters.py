"""Filter trees, and searches with them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from afterword.types.base import (
    CURSOR,
    IMAGES,
    MEDIA,
    METRIC,
    MOMENT_FORMS,
    ORDER,
    PAGE_LIMIT,
    PAGE_ROWS,
    PROJECT,
    VIEW,
    Input,
    Moment,
    PageRows,
)
from afterword.types.fields import GROUP_BY, described

SEARCHED_INTERACTIONS = Meta(description="Which interactions; all where it is left out.")


class TimeRange(Input, rename={"from_": "from"}):
    """A range of the interaction's `created_at`: `from` (inclusive) to `to` (exclusive). Both are optional."""

    from_: Annotated[Moment | None, Meta(description=f"The earliest time, inclusive. {MOMENT_FORMS}")] = None
    to: Annotated[Moment | None, Meta(description=f"The latest time, exclusive. {MOMENT_FORMS}")] = None


class Match(Input):
    """One of `eq`, `in`, `neq`. `neq` is the negation of `eq`, so it also matches interactions without a value."""

    eq: str | None = None
    in_: list[str] | None = msgspec.field(name="in", default=None)
    neq: str | None = None


class LabelCondition(Input):
    """Matches interactions with this label key; with `value`, also its value must match. `neq` also matches
    interactions without the key."""

    key: str
    value: Match | None = None


class NumberCondition(Input):
    """Comparisons with numbers; all of them must hold. Under a bool key, true is 1 and false is 0."""

    eq: float | bool | None = None
    neq: float | bool | None = None
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


class FeedbackCondition(Input):
    """Matches interactions with feedback under this metric. With `value`, `reasons` or `user`, one feedback must match
    all of them.

    A system metric (such as `latency`) is compared in the same way; it has neither reasons nor users.
    """

    metric: Annotated[str, METRIC]
    value: Annotated[NumberCondition | None, Meta(description="A feedback whose value meets all of these.")] = None
    reasons: Annotated[list[str] | None, Meta(description="At least one of these reasons.")] = None
    user: Annotated[str | None, Meta(description="Given by this user.")] = None


class PreferenceCondition(Input):
    """Matches interactions that take part in a preference under this metric."""

    metric: Annotated[str, METRIC]


class OutcomeCondition(Input):
    """Matches interactions whose session has an outcome under this metric. With `value` or `user`, one outcome must
    match both."""

    metric: Annotated[str, METRIC]
    value: Annotated[NumberCondition | None, Meta(description="An outcome whose value meets all of these.")] = None
    user: Annotated[str | None, Meta(description="Given by this user.")] = None


class TextCondition(Input):
    """`eq`: exactly this text. `contains`: these words next to each other, in any case."""

    eq: str | None = None
    contains: str | None = None


class Filter(Input, rename={"and_": "and", "or_": "or", "not_": "not"}):
    """A tree of conditions. Each node has exactly one; `{"and": []}` matches everything, `{"or": []}` nothing."""

    and_: list[Filter] | None = None
    or_: list[Filter] | None = None
    not_: Filter | None = None
    repeats: Annotated[
        Filter | None,
        Meta(
            description="This condition, where words are found also in later turns of a session, which send them again."
        ),
    ] = None
    timerange: TimeRange | None = None
    model: Annotated[Match | None, described("model")] = None
    label: LabelCondition | None = None
    feedback: FeedbackCondition | None = None
    preference: PreferenceCondition | None = None
    outcome: OutcomeCondition | None = None
    source: Annotated[Match | None, described("source")] = None
    operation: Annotated[Match | None, described("operation")] = None
    state: Annotated[Match | None, described("state")] = None
    finish_reason: Annotated[Match | None, described("finish_reason")] = None
    prompt_hash: Annotated[Match | None, described("prompt_hash")] = None
    session_id: Annotated[Match | None, described("session_id")] = None
    user: Annotated[Match | None, described("user")] = None
    environment: Annotated[Match | None, described("environment")] = None
    step: Annotated[Match | None, described("step")] = None
    parent: Annotated[Match | None, described("parent")] = None
    request_id: Annotated[Match | None, described("request_id")] = None
    trace_id: Annotated[Match | None, described("trace_id")] = None
    completion_id: Annotated[Match | None, described("completion_id")] = None
    prompt: Annotated[TextCondition | None, described("prompt")] = None
    completion: Annotated[TextCondition | None, described("completion")] = None
    reasoning: Annotated[TextCondition | None, described("reasoning")] = None
    details: Annotated[TextCondition | None, described("details")] = None
    has: Annotated[Match | None, described("has")] = None
    tool: Annotated[Match | None, described("tool")] = None
    text: Annotated[str | None, described("text")] = None


Order: TypeAlias = Literal["-created_at", "created_at"]
View: TypeAlias = Literal["short", "full"]
Images: TypeAlias = Literal["links", "inline"]


class Watch(Input):
    """A filter to watch, with a name that its events repeat."""

    name: Annotated[str, Meta(description="Any text. Events name the watches that they belong to.")]
    project: Annotated[str | None, PROJECT] = None
    filter: Annotated[Filter | None, SEARCHED_INTERACTIONS] = None


class Watches(Input):
    """The watches of one connection."""

    watches: Annotated[list[Watch], Meta(description="What to watch: 1 to 50 of them.")]


MIN_TURNS = Meta(description="Only sessions of at least so many interactions.")


class SessionSearch(Input):
    """A filter tree for sessions, with paging options. A session is found if one of its interactions matches."""

    project: Annotated[str | None, PROJECT] = None
    filter: Annotated[Filter | None, SEARCHED_INTERACTIONS] = None
    min_turns: Annotated[int, Meta(ge=1), MIN_TURNS] = 1
    limit: Annotated[PageRows, PAGE_LIMIT] = PAGE_ROWS
    cursor: Annotated[str | None, CURSOR] = None


class Search(Input):
    """A filter tree with paging options. `project` defaults as for interactions."""

    project: Annotated[str | None, PROJECT] = None
    filter: Annotated[Filter | None, SEARCHED_INTERACTIONS] = None
    order: Annotated[Order, ORDER] = "-created_at"
    limit: Annotated[PageRows, PAGE_LIMIT] = PAGE_ROWS
    cursor: Annotated[str | None, CURSOR] = None
    count: Annotated[bool, Meta(description="Count the whole set exactly.")] = False
    view: Annotated[View, VIEW] = "short"
    images: Annotated[Images, IMAGES] = "links"
    media: Annotated[Images, MEDIA] = "links"
    group_by: Annotated[str | None, GROUP_BY] = None
