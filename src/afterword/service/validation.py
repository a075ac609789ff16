"""Checks of feedback values, texts and keys."""

from __future__ import annotations

import math
from uuid import UUID

from afterword.errors import Invalid
from afterword.ids import session_of
from afterword.store.catalog import MetricRow, ProjectRow
from afterword.types import Value

MAX_TEXT_CHARACTERS = 100_000


def feedback_value(metric: MetricRow, value: Value, *, param: str = "value") -> float:
    """Return a value as it is stored. Raises `Invalid` if it does not fit the metric's kind."""
    if metric.kind == "bool":
        if isinstance(value, bool) or value in (0, 1):
            return float(value)
        raise Invalid(
            f"{param} is {value!r}, but the metric {metric.key!r} is bool.",
            code="invalid_value",
            param=param,
            hint="Give true, false, 1 or 0.",
        )
    if isinstance(value, bool):
        raise Invalid(
            f"{param} is {str(value).lower()}, but the metric {metric.key!r} is scalar.",
            code="invalid_value",
            param=param,
            hint="Give a number, or register a feedback key of the kind bool.",
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Invalid(
            f"{param} is {str(value)[:80]}, but a value must be a finite number.",
            code="invalid_value",
            param=param,
            hint="Leave the feedback out where there is no value.",
        )
    return number


def value_text(metric: MetricRow, value: float) -> str:
    """Return a stored value as text for messages: true or false under a bool key."""
    return str(value == 1.0).lower() if metric.kind == "bool" else str(value)


def check_text(
    text: str, *, param: str, max_length: int = MAX_TEXT_CHARACTERS, min_length: int = 0, noun: str | None = None
) -> str:
    """Return the text. Raises `Invalid` if its length is not allowed, or if it contains NUL."""
    noun = noun or param
    if not min_length <= len(text) <= max_length:
        raise Invalid(
            f"{noun} has {len(text):,} characters; allowed are {min_length} to {max_length:,}.",
            code="invalid_length",
            param=param,
        )
    if "\0" in text:
        raise Invalid(
            f"{noun} contains the character NUL (U+0000), which no database keeps in a string.",
            code="invalid_character",
            param=param,
            hint="Remove it before sending.",
        )
    return text


def checked_session(
    project: ProjectRow, session_id: str | None, *, param: str = "session_id"
) -> tuple[UUID | None, str | None]:
    """Return the id of a session that a caller names, and the name if it is not a UUID. Raises `Invalid`."""
    if session_id is not None:
        check_text(session_id, param=param, max_length=200, min_length=1)
    return session_of(project.key, session_id)


def check_key(key: str, *, param: str = "key") -> str:
    """Return the key. Raises `Invalid` unless it has 1 to 200 characters that a URL path can carry."""
    check_text(key, param=param, max_length=200, min_length=1)
    if "/" in key or key != key.strip() or key in (".", "..") or not key.isprintable():
        raise Invalid(
            f"{param} is {key!r}; a key has no slash, no control characters and no spaces around it.",
            code="invalid_key",
            param=param,
            hint="Choose a key such as support-bot or CSAT.",
        )
    return key
