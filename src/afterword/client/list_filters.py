"""The plain filters of `list`, `groups` and `iterate`, and how to page: what they are called and how they are sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict

from afterword.client.core import query
from afterword.errors import Invalid
from afterword.types import Images, Order, View
from afterword.types.queries import PlainFilters
from afterword.types.quoting import quoted


class Paging(TypedDict, total=False):
    """How to page through what is found, and how to show it."""

    order: Order
    limit: int
    cursor: str | None
    count: bool
    view: View
    images: Images


class Filters(Paging, PlainFilters, total=False):
    """Plain filters, and how to page through what they find."""

    project: str | None


def filter_query(filters: Mapping[str, Any], **parameters: Any) -> list[tuple[str, str]]:
    """Return filters and paging as query parameters. Raises `TypeError` for unknown ones, `Invalid` for a label without
    values."""
    check_known(filters, Filters.__optional_keys__)
    values = {name: _time_text(value) for name, value in filters.items() if name != "labels"}
    return query(label=_label_parameters(filters.get("labels")), **values, **parameters)


def check_known(arguments: Mapping[str, Any], known_names: frozenset[str]) -> None:
    """Raise `TypeError` for a parameter that there is not: as Python does where they stand in the signature."""
    unknown = sorted(arguments.keys() - known_names)
    if unknown:
        raise TypeError(f"There is no parameter {unknown[0]!r}. Known are {', '.join(sorted(known_names))}.")


def _label_parameters(labels: Mapping[str, str | Sequence[str] | None] | Sequence[str] | None) -> list[str]:
    if not isinstance(labels, Mapping):
        return [labels] if isinstance(labels, str) else list(labels or [])
    label_parameters: list[str] = []
    for key, value in labels.items():
        if value is None:
            label_parameters.append(_quoted_if_ambiguous(key))
            continue
        values = [value] if isinstance(value, str) else list(value)
        if not values:
            # Left out, it would find everything in place of nothing.
            raise Invalid(
                f"labels has no values for {key!r:.80}.",
                code="invalid_label",
                param="labels",
                hint="Give one or more, or None for all that have the key.",
            )
        label_parameters += [
            f"{_quoted_if_ambiguous(key)}:{_quoted_if_ambiguous(label_value)}" for label_value in values
        ]
    return label_parameters


def _quoted_if_ambiguous(text: str) -> str:
    """Return a key or value as it stands in a plain filter: in quotes where it could be read otherwise."""
    return quoted(text) if re.search('[:="]', text) else text


def _time_text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
