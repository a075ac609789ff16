"""Arguments and options that several commands share, and the parsing of their texts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from afterword.types import Value
from afterword.types.fields import PARAMETERS
from afterword.types.quoting import split_label

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The key, such as support-bot.", show_default=False)]


def option(name: str, kind: Any, option: Any, default: Any = None) -> inspect.Parameter:
    """Return an option of a command whose signature is built."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def filter_options() -> list[inspect.Parameter]:
    """Return an option for each plain filter of a list, for commands whose signature is built."""
    return [
        option(
            parameter.argument or parameter.name,
            bool | None if parameter.is_flag else list[str] | None if parameter.is_list else str | None,
            typer.Option(parameter.option, metavar=parameter.metavar, help=parameter.help),
        )
        for parameter in PARAMETERS
    ]


def chosen_filters(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters that were given on the command line."""
    return {name: value for name, value in filters.items() if value is not None and value != []}


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
