"""`afterword metrics`: register, list, update and delete feedback keys."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from afterword.cli.arguments import Json, Key
from afterword.cli.connection import ServerConnection, with_connection
from afterword.cli.output import show_json, show_table
from afterword.types import Kind, Metric, ScoringType

_metrics = typer.Typer(help="Metrics, the feedback keys: register, list, update, delete.", no_args_is_help=True)


def add_metric_commands(app: typer.Typer) -> None:
    """Add `metrics` with its commands."""
    app.add_typer(_metrics, name="metrics")


@_metrics.command("register")
@with_connection
def register_metric(
    connection: ServerConnection,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The feedback key, such as CSAT.", show_default=False)],
    kind: Annotated[Kind, typer.Option("--kind", help="Numbers, or true and false.")] = "scalar",
    scoring_type: Annotated[ScoringType, typer.Option("--scoring-type", help="Which way is better.")] = (
        "higher_is_better"
    ),
    name: Annotated[str | None, typer.Option("--name", help="What people see; the default is the key.")] = None,
    description: Annotated[str, typer.Option("--description", help="What is measured.", show_default=False)] = "",
    unit: Annotated[str, typer.Option("--unit", help="What the numbers count.", show_default=False)] = "",
    as_json: Json = False,
) -> None:
    """Register a feedback key. Once more with the same definition it changes nothing."""
    with connection.open() as client:
        registered = client.feedback.register_key(
            key, kind=kind, scoring_type=scoring_type, name=name, description=description, unit=unit
        )
    if as_json:
        show_json(registered)
    else:
        typer.echo(
            f"Registered {registered.key} in the project {registered.project}: "
            f"{registered.kind}, {registered.scoring_type}."
        )


@_metrics.command("list")
@with_connection
def list_metrics(connection: ServerConnection, as_json: Json = False) -> None:
    """List the feedback keys of a project."""
    with connection.open() as client:
        metrics = client.feedback.list_keys()
    if as_json:
        show_json(metrics)
    else:
        show_metrics(metrics)


@_metrics.command("update")
@with_connection
def update_metric(
    connection: ServerConnection,
    key: Key,
    name: Annotated[str | None, typer.Option("--name", help="What people see.")] = None,
    scoring_type: Annotated[ScoringType | None, typer.Option("--scoring-type", help="Which way is better.")] = None,
    description: Annotated[str | None, typer.Option("--description", help="What is measured.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="What the numbers count.")] = None,
) -> None:
    """Change a feedback key; its kind stays."""
    arguments = {"name": name, "scoring_type": scoring_type, "description": description, "unit": unit}
    changes: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    if not changes:
        raise typer.BadParameter("give at least one of --name, --scoring-type, --description, --unit.")
    with connection.open() as client:
        updated_metric = client.feedback.update_key(key, **changes)
    typer.echo(f"Changed {updated_metric.key}.")


@_metrics.command("delete")
@with_connection
def delete_metric(connection: ServerConnection, key: Key) -> None:
    """Delete a feedback key: no more feedback is taken under it, what was given stays."""
    with connection.open() as client:
        client.feedback.delete_key(key)
    typer.echo(f"Deleted {key}.")


def show_metrics(metrics: list[Metric]) -> None:
    """Print a table of feedback keys."""
    show_table(
        ("metric", "kind", "better", "unit", "description"),
        (
            (metric.key, metric.kind, metric.scoring_type.partition("_")[0], metric.unit, metric.description)
            for metric in metrics
        ),
        empty="No metrics yet. Register one: afterword metrics register CSAT",
    )
