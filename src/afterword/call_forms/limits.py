"""Limits on labels and texts: what is beyond them in the logs of other systems is kept among the parameters."""

from __future__ import annotations

from typing import Any, Protocol

from msgspec.structs import replace

from afterword.types import NewInteraction
from afterword.types.fields import TEXT_FIELDS


class LabelLimits(Protocol):
    """The settings of a server that limit labels."""

    @property
    def max_labels(self) -> int: ...
    @property
    def max_label_key(self) -> int: ...
    @property
    def max_label_value(self) -> int: ...


def is_label(key: str, value: str, limits: LabelLimits) -> bool:
    """Tell whether a label is within the limits."""
    is_within_limits = 1 <= len(key) <= limits.max_label_key and len(value.encode()) <= limits.max_label_value
    return is_within_limits and "\0" not in key and "\0" not in value


def fit_to_limits(body: NewInteraction, limits: LabelLimits) -> NewInteraction:
    """Return a body whose labels and texts are within the limits; what is beyond them moves to the parameters."""
    labels: dict[str, str] = {}
    unfit: dict[str, Any] = {}
    for key, value in (body.labels or {}).items():
        if is_label(key, value, limits) and len(labels) < limits.max_labels:
            labels[key] = value
        else:
            unfit.setdefault("labels", {})[key] = value
    texts: dict[str, None] = {}
    for field in TEXT_FIELDS:
        text = getattr(body, field.name)
        if text is not None and (len(text) > field.max_characters or "\0" in text):
            unfit[field.name] = text
            texts[field.name] = None
    if not unfit:
        return body
    return replace(body, labels=labels or None, parameters={**(body.parameters or {}), **unfit}, **texts)
