"""Commands about A/B tests: start, list, show, cancel."""

from __future__ import annotations

from typing import Annotated

import typer

from afterword.cli.administering import Json, Key
from afterword.cli.connecting import CommandError, Connection, connected
from afterword.cli.showing import note, show_json, show_table
from afterword.types import ABTest, FeedbackType

_tests = typer.Typer(help="A/B tests: create, list, show, cancel.", no_args_is_help=True)

_CREATE = """Start an A/B test: calls of the project that name no model are shared out among these models.

Example:

  afterword ab-tests create mini-or-large CSAT gpt-mini gpt-large --split 0.5
"""


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    _tests.command("create", help=_CREATE)(create_test)
    app.add_typer(_tests, name="ab-tests")


@connected
def create_test(
    connection: Connection,
    key: Key,
    metric: Annotated[str, typer.Argument(help="The metric that counts.", show_default=False)],
    models: Annotated[list[str], typer.Argument(help="The models, two or more.", show_default=False)],
    name: Annotated[str | None, typer.Option("--name", help="The name; the default is the key.")] = None,
    feedback_type: Annotated[
        FeedbackType, typer.Option("--feedback-type", help="What counts under the metric: values or preferences.")
    ] = "metric",
    traffic_split: Annotated[
        float, typer.Option("--split", min=0, max=1, help="The share of the calls that take part.")
    ] = 1.0,
    auto_deploy: Annotated[
        bool, typer.Option("--auto-deploy", help="Make the winner the project's default model.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start an A/B test."""
    with connection.open() as client:
        made = client.ab_tests.create(
            key,
            metric,
            models,
            name=name,
            feedback_type=feedback_type,
            traffic_split=traffic_split,
            auto_deploy=auto_deploy,
        )
    if as_json:
        show_json(made)
    else:
        typer.echo(f"Started {made.key}: {', '.join(made.models)} by {made.metric} in {made.project}.")


@_tests.command("list")
@connected
def list_tests(
    connection: Connection,
    active: Annotated[bool, typer.Option("--active", help="Only those under way.")] = False,
    as_json: Json = False,
) -> None:
    """List the A/B tests, the newest first."""
    with connection.open() as client:
        found = client.ab_tests.list(project=connection.project, active=active or None)
    if as_json:
        show_json(found)
        return
    show_table(
        ("test", "project", "metric", "models", "status", "feedbacks", "winner"),
        ((one.key, one.project, one.metric, one.models, one.status, one.feedbacks, one.winner) for one in found),
        empty="No A/B tests. Start one: afterword ab-tests create KEY METRIC MODEL MODEL",
    )


@_tests.command("show")
@connected
def show_test(connection: Connection, key: Key, as_json: Json = False) -> None:
    """Show an A/B test: each model's mean with its interval, and how sure the lead of the first is."""
    with connection.open() as client:
        found = client.ab_tests.get(key)
    if found is None:
        raise CommandError(f"There is no A/B test {key!r} that this key may see. See: afterword ab-tests list")
    if as_json:
        show_json(found)
        return
    assert found.report is not None
    show_table(
        ("model", "feedbacks", "mean", "from", "to", "winner"),
        (
            (
                one.model,
                one.feedbacks,
                None if one.mean is None else f"{one.mean:.4g}",
                None if one.interval is None else f"{one.interval.start:.4g}",
                None if one.interval is None else f"{one.interval.end:.4g}",
                one.model == found.winner,
            )
            for one in found.report.variants
        ),
        empty="",
    )
    note(_about(found))


@_tests.command("cancel")
@connected
def cancel_test(connection: Connection, key: Key) -> None:
    """Cancel an A/B test: calls go to the project's default model again."""
    with connection.open() as client:
        client.ab_tests.cancel(key)
    typer.echo(f"Cancelled {key}.")


def _about(test: ABTest) -> str:
    assert test.report is not None
    p = "too little feedback for a p-value" if test.report.p_value is None else f"p = {test.report.p_value:.3g}"
    return f"{test.status}: {test.feedbacks:,} feedbacks, {p}"
