"""The labels of a line of a file."""

from __future__ import annotations

from typing import Any

import msgspec

from afterword.call_forms.limits import is_label
from afterword.call_forms.turns import kind
from afterword.config import load
from afterword.json_text import LineError

DEFAULTS = load(environment={})
"""The settings of a server that sets none: an import knows no others."""


def labels_of(labels_value: Any) -> dict[str, str]:
    """Return the labels of a line: an object, or an array of {key, value}. Raises `LineError`."""
    if isinstance(labels_value, dict):
        pairs = list(labels_value.items())
    elif isinstance(labels_value, list):
        pairs = [(pair.get("key"), pair.get("value")) if isinstance(pair, dict) else pair for pair in labels_value]
    else:
        raise LineError(f"has labels that are {kind(labels_value)}, but must be an object")
    labels: dict[str, str] = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not isinstance(pair[0], str):
            raise LineError("has labels that are neither an object nor an array of {key, value}")
        key, value = str(pair[0]), pair[1]
        if not isinstance(value, str | int | float | None):
            raise LineError(f"has the label {key!r} with {kind(value)} as its value, but it must be a string")
        if key in labels:
            raise LineError(f"has the label {key!r} twice; an interaction has one value a label")
        if value is not None:
            labels[key] = _label_text(value)
    return labels


def labels_of_metadata(metadata: Any, labels: dict[str, str], option_label_count: int) -> tuple[dict[str, str], Any]:
    """Split metadata into members that can be labels beside `labels`, and the rest."""
    if not isinstance(metadata, dict):
        return {}, metadata
    metadata_labels: dict[str, str] = {}
    remaining_members: dict[str, Any] = {}
    for key, value in metadata.items():
        text = _label_text(value) if isinstance(value, str | int | float) else None
        fits = (
            text is not None
            and is_label(key, text, DEFAULTS)
            and labels.get(key, text) == text
            and len(metadata_labels) + len(labels) + option_label_count < DEFAULTS.max_labels
        )
        if fits and text is not None:
            metadata_labels[key] = text
        else:
            remaining_members[key] = value
    return metadata_labels, remaining_members


def _label_text(value: str | int | float) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
