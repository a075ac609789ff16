"""A condition of a filter, as plans use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, or_, true

from afterword.store.engine.text_search import TextQuery

# Up to this many alternatives are each read as a page, and the pages merged; more are checked together.
MAX_BRANCH_COUNT = 16


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A condition that must hold. `path` is its place in the filter, such as `filter.and[0].label`."""

    check: ColumnElement[bool]
    """The condition on a row of `interactions`."""
    lookup: Select[Any] | None = None
    """The query for the ids that it matches."""
    label: int | None = None
    """The number of the label, if the condition is one label: its range of the index is in page order."""
    time_check: Callable[[ColumnElement[int]], ColumnElement[bool]] | None = None
    bounds: tuple[int | None, int | None] | None = None
    """Set for a time range: `time_check` applies it to another column, `bounds` are its start (inclusive) and end
    (exclusive) in milliseconds."""
    model_check: Callable[[ColumnElement[int]], ColumnElement[bool]] | None = None
    """Set for a condition on the model: applies it to another column, which holds 0 for no model."""
    text: TextQuery | None = None
    """The words of a text condition, which can be tested for many interactions at once."""
    is_costly: bool = False
    """Whether counting the matches is slow, because no index holds them side by side."""
    branches: list[list[Condition]] | None = None
    """The same condition as a few alternatives, each a list of conditions that must all hold."""
    path: str = ""


def any_branch(branches: list[list[Condition]], path: str) -> Condition:
    """Return the condition that all conditions of at least one branch hold."""
    check = or_(false(), *(and_(true(), *(condition.check for condition in branch)) for branch in branches))
    return Condition(check, branches=branches if len(branches) <= MAX_BRANCH_COUNT else None, path=path)
