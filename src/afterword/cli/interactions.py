"""`afterword log` and `afterword rate`: one interaction, and one piece of feedback on it."""

from __future__ import annotations

from typing import Annotated

import typer

from afterword.cli.arguments import feedback_value, parse_labels
from afterword.cli.connection import ServerConnection, with_connection

_LOG = """Log one interaction, and print its completion_id.

Example:

  afterword log "How do I reset it?" "Hold the button for 10 seconds." --model support-1 --label channel=mail
"""
_RATE = """Rate one completion under a registered feedback key, and print the feedback_id.

Example:

  afterword rate 0192d3a4-5b6c-7d8e-9f00-112233445566 CSAT 5 --details "Solved it"
"""


def add_interaction_commands(app: typer.Typer) -> None:
    """Add `log` and `rate`."""
    app.command("log", help=_LOG)(log)
    app.command("rate", help=_RATE)(rate)


@with_connection
def log(
    connection: ServerConnection,
    prompt: Annotated[str, typer.Argument(help="What the user asked.", show_default=False)],
    completion: Annotated[str, typer.Argument(help="What the model answered.", show_default=False)],
    model: Annotated[str | None, typer.Option("--model", help="The model that answered.")] = None,
    system: Annotated[str | None, typer.Option("--system", help="The system message before the prompt.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label; may be repeated.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", help="The end user.")] = None,
) -> None:
    """Log one interaction."""
    messages = [{"role": "user", "content": prompt}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    labels = parse_labels(label or [])
    with connection.open() as client:
        interaction = client.interactions.create(
            messages=messages, completion=completion, model=model, labels=labels or None, user=user
        )
    typer.echo(interaction.completion_id)


@with_connection
def rate(
    connection: ServerConnection,
    completion_id: Annotated[str, typer.Argument(help="The completion.", show_default=False)],
    metric: Annotated[str, typer.Argument(help="The feedback key, such as CSAT.", show_default=False)],
    value: Annotated[str, typer.Argument(help="A number, true or false.", show_default=False)],
    details: Annotated[str | None, typer.Option("--details", help="Why, in words.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Who rates.")] = None,
) -> None:
    """Rate one completion."""
    with connection.open() as client:
        feedback = client.feedback.log_metric(
            value=feedback_value(value), completion_id=completion_id, feedback_key=metric, details=details, user=user
        )
    typer.echo(feedback.feedback_id)
