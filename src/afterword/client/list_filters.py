"""Plain filters and paging arguments of `list`, `groups` and `iterate`, and how they are encoded as a query string."""

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
    """Paging arguments, and how interactions are shown."""

    order: Order
    limit: int
    cursor: str | None
    count: bool
    view: View
    images: Images
    media: Images


class Filters(Paging, PlainFilters, total=False):
    """Plain filters together with paging arguments."""

    project: str | None


def filter_query(filters: Mapping[str, Any], **parameters: Any) -> list[tuple[str, str]]:
    """Return filters and paging as query parameters. Raises `TypeError` for unknown names, `Invalid` for a label
    without values."""
    check_known(filters, Filters.__optional_keys__)
    values = {name: _time_text(value) for name, value in filters.items() if name != "labels"}
    return query(label=_label_parameters(filters.get("labels")), **values, **parameters)


def check_known(arguments: Mapping[str, Any], known_names: frozenset[str]) -> None:
    """Raise `TypeError` for an unknown keyword argument, as Python does for a function with a fixed signature."""
    unknown = sorted(arguments.keys() - known_names)
    if unknown:
        raise TypeError(f"Unknown parameter {unknown[0]!r}. Known parameters: {', '.join(sorted(known_names))}.")


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
            # An empty list would be left out of the query, and everything would match instead of nothing.
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
    """Return a key or value for a plain filter, in quotes if it would be ambiguous without them."""
    return quoted(text) if re.search('[:="]', text) else text


def _time_text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
