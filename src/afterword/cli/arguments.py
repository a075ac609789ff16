"""Arguments and options that several commands share, and the parsing of their texts."""

from __future__ import annotations

from typing import Annotated

import typer

from afterword.types import Value
from afterword.types.quoting import split_label

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The key, such as support-bot.", show_default=False)]


def parse_labels(texts: list[str]) -> dict[str, str]:
    """Return labels given as KEY=VALUE. Raises `BadParameter`."""
    labels: dict[str, str] = {}
    for text in texts:
        key, value = split_label(text) or ("", "")
        if not key:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE.", param_hint="--label")
        if labels.get(key, value) != value:
            raise typer.BadParameter(f"{key!r} is given twice, as {labels[key]!r} and {value!r}.", param_hint="--label")
        labels[key] = value
    return labels


def feedback_value(text: str) -> Value:
    """Return a feedback value given as a number, true or false. Raises `BadParameter`."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number nor true or false.", param_hint="VALUE") from None
