"""Commands about A/B tests: start, list, show, cancel."""

from __future__ import annotations

from typing import Annotated

import typer

from afterword.cli.arguments import Json, Key
from afterword.cli.connection import CommandError, ServerConnection, with_connection
from afterword.cli.output import note, show_json, show_table
from afterword.types import ABTest, FeedbackType, Level

_tests = typer.Typer(help="A/B tests: create, list, show, cancel.", no_args_is_help=True)

_CREATE = """Start an A/B test: calls of the project that name no model are shared out among these models.

Example:

  afterword ab-tests create mini-or-large CSAT gpt-mini gpt-large --split 0.5
"""


def add_ab_test_commands(app: typer.Typer) -> None:
    """Add these commands."""
    _tests.command("create", help=_CREATE)(create_test)
    app.add_typer(_tests, name="ab-tests")


@with_connection
def create_test(
    connection: ServerConnection,
    key: Key,
    metric: Annotated[str, typer.Argument(help="The metric that counts.", show_default=False)],
    models: Annotated[list[str], typer.Argument(help="The models, two or more.", show_default=False)],
    name: Annotated[str | None, typer.Option("--name", help="The name; the default is the key.")] = None,
    feedback_type: Annotated[
        FeedbackType, typer.Option("--feedback-type", help="What counts under the metric: values or preferences.")
    ] = "metric",
    level: Annotated[
        Level, typer.Option("--level", help="Whose values count: of interactions, or the outcomes of sessions.")
    ] = "interaction",
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
        ab_test = client.ab_tests.create(
            key,
            metric,
            models,
            name=name,
            feedback_type=feedback_type,
            level=level,
            traffic_split=traffic_split,
            auto_deploy=auto_deploy,
        )
    if as_json:
        show_json(ab_test)
    else:
        typer.echo(f"Started {ab_test.key}: {', '.join(ab_test.models)} by {ab_test.metric} in {ab_test.project}.")


@_tests.command("list")
@with_connection
def list_tests(
    connection: ServerConnection,
    active: Annotated[bool, typer.Option("--active", help="Only those under way.")] = False,
    as_json: Json = False,
) -> None:
    """List the A/B tests, the newest first."""
    with connection.open() as client:
        ab_tests = client.ab_tests.list(project=connection.project, active=active or None)
    if as_json:
        show_json(ab_tests)
        return
    show_table(
        ("test", "project", "metric", "models", "status", "feedbacks", "winner"),
        (
            (
                ab_test.key,
                ab_test.project,
                ab_test.metric,
                ab_test.models,
                ab_test.status,
                ab_test.feedbacks,
                ab_test.winner,
            )
            for ab_test in ab_tests
        ),
        empty="No A/B tests. Start one: afterword ab-tests create KEY METRIC MODEL MODEL",
    )


@_tests.command("show")
@with_connection
def show_test(connection: ServerConnection, key: Key, as_json: Json = False) -> None:
    """Show an A/B test: each model's mean with its interval, and how sure the lead of the first is."""
    with connection.open() as client:
        ab_test = client.ab_tests.get(key)
    if ab_test is None:
        raise CommandError(f"There is no A/B test {key!r} that this key may see. See: afterword ab-tests list")
    if as_json:
        show_json(ab_test)
        return
    assert ab_test.report is not None
    show_table(
        ("model", "feedbacks", "mean", "from", "to", "winner"),
        (
            (
                variant.model,
                variant.feedbacks,
                None if variant.mean is None else f"{variant.mean:.4g}",
                None if variant.interval is None else f"{variant.interval.start:.4g}",
                None if variant.interval is None else f"{variant.interval.end:.4g}",
                variant.model == ab_test.winner,
            )
            for variant in ab_test.report.variants
        ),
        empty="",
    )
    note(_status_text(ab_test))


@_tests.command("cancel")
@with_connection
def cancel_test(connection: ServerConnection, key: Key) -> None:
    """Cancel an A/B test: calls go to the project's default model again."""
    with connection.open() as client:
        client.ab_tests.cancel(key)
    typer.echo(f"Cancelled {key}.")


def _status_text(test: ABTest) -> str:
    assert test.report is not None
    p = "too little feedback for a p-value" if test.report.p_value is None else f"p = {test.report.p_value:.3g}"
    counted = "feedbacks" if test.level == "interaction" else "sessions"
    mixed_sessions = test.report.mixed_sessions
    left_out = f"; {mixed_sessions:,} answered by several models are left out" if mixed_sessions else ""
    return f"{test.status}: {test.feedbacks:,} {counted}{left_out}, {p}"
