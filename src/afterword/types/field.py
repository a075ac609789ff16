"""A field of an interaction by which one can filter, list and group, as a row of the table in fields.py."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from msgspec import Meta

Comparison: TypeAlias = Literal[
    "text",
    "call_text",
    "call_id",
    "model",
    "source",
    "operation",
    "state",
    "prompt_hash",
    "session",
    "id",
    "timerange",
    "label",
    "feedback",
    "preference",
    "outcome",
    "phrase",
    "words",
    "has",
    "tool",
]
"""How a condition is compiled: the method of the filter compiler."""
FacetKind: TypeAlias = Literal[
    "model", "label", "feedback", "preference", "outcome", "operation", "state", "finish_reason", "source", "user",
    "environment", "step",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A plain parameter of a list, such as `user=anna`, with the option of the command line."""

    name: str
    option: str
    help: str
    metavar: str | None = None
    is_list: bool = False
    """Whether it may be given several times."""
    is_flag: bool = False
    argument: str = ""
    """The client's name of the parameter, if it differs."""
    prefix: str = ""
    """What may stand before a value in place of the parameter: `session.solved=true` is `outcome=solved=true`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryWord:
    """The word before the colon for a field in the page's typed query."""

    name: str
    example: str
    means: str


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of an interaction."""

    name: str
    """The name of its condition in a filter tree."""
    compared_as: Comparison
    title: str
    """The heading of its values on the page."""
    description: Meta | None = None
    """Its meaning in a filter tree, unless its condition has its own description."""
    columns: tuple[str, ...] = ()
    """The columns of the store, as TABLE.COLUMN."""
    parameters: tuple[Parameter, ...] = ()
    words: tuple[QueryWord, ...] = ()
    graphql: tuple[str, ...] = ()
    """Its members in GraphQL's filters."""
    max_characters: int = 0
    """The longest value of a plain text that the caller logs, in characters."""
    is_facet: bool = False
    group_by: str = ""
    """Its name in `group_by`, if interactions can be grouped by it."""

    @property
    def is_match(self) -> bool:
        """Whether its condition is a `Match`: equal to a value, one of several, or not equal."""
        return self.compared_as not in ("timerange", "label", "feedback", "preference", "outcome", "phrase", "words")

    @cached_property
    def column(self) -> str:
        """Its column, without the table."""
        return self.columns[0].partition(".")[2]
