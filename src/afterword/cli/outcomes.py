"""Commands about outcomes: log, list, export, change, delete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from afterword.cli.arguments import Json, feedback_value
from afterword.cli.connection import ServerConnection, with_connection
from afterword.cli.exports import open_output
from afterword.cli.output import note, show_json, show_table

if TYPE_CHECKING:
    from afterword.client import Afterword
    from afterword.types import Outcome

_outcomes = typer.Typer(
    help="Outcomes of sessions: log, list, export, change, delete.", no_args_is_help=True, rich_markup_mode=None
)
DEFAULT_LIST_ROWS = 50
PAGE_ROWS = 500

OutcomeId = Annotated[str, typer.Argument(metavar="OUTCOME_ID", help="Its id.", show_default=False)]
Session = Annotated[str | None, typer.Option("--session", help="Of this session.")]
Metric = Annotated[str | None, typer.Option("--metric", help="Under this feedback key.")]
User = Annotated[str | None, typer.Option("--user", help="Of this end user.")]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Given from then on.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Given before then.")]


def add_outcome_commands(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(_outcomes, name="outcomes")


@_outcomes.command("log")
@with_connection
def log_outcome(
    connection: ServerConnection,
    session_id: Annotated[str, typer.Argument(help="The session.", show_default=False)],
    metric: Annotated[str, typer.Argument(help="The feedback key, such as solved.", show_default=False)],
    value: Annotated[str, typer.Argument(help="A number, true or false.", show_default=False)],
    details: Annotated[str | None, typer.Option("--details", help="Why, in words.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Who says so.")] = None,
) -> None:
    """Log the outcome of a session."""
    with connection.open() as client:
        logged = client.feedback.log_outcome(feedback_value(value), session_id, metric, user, details)
    typer.echo(logged.outcome_id)


@_outcomes.command("list")
@with_connection
def list_outcomes(
    connection: ServerConnection,
    session_id: Session = None,
    metric: Metric = None,
    user: User = None,
    from_: From = None,
    to: To = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = DEFAULT_LIST_ROWS,
    as_json: Json = False,
) -> None:
    """List the outcomes of the project, the newest first."""
    filters = {"session_id": session_id, "feedback_key": metric, "user": user, "from_": from_, "to": to}
    with connection.open() as client:
        outcomes = [outcome for page in _outcome_pages(client, filters, "-created_at", limit) for outcome in page]
    if as_json:
        show_json(outcomes)
        return
    show_table(
        ("outcome", "session", "metric", "value", "details", "user", "by", "given"),
        (
            (
                outcome.outcome_id,
                outcome.session_id,
                outcome.metric,
                outcome.value,
                outcome.details,
                outcome.user,
                outcome.actor,
                outcome.created_at,
            )
            for outcome in outcomes
        ),
        empty="There are no such outcomes. Log one with: afterword outcomes log SESSION METRIC VALUE",
    )


@_outcomes.command("export")
@with_connection
def export_outcomes(
    connection: ServerConnection,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write there, gzipped if it ends in .gz.", show_default=False
        ),
    ] = None,
    session_id: Session = None,
    metric: Metric = None,
    user: User = None,
    from_: From = None,
    to: To = None,
) -> None:
    """Export outcomes, one JSON object a line, the oldest first; `afterword import` takes them."""
    filters = {"session_id": session_id, "feedback_key": metric, "user": user, "from_": from_, "to": to}
    encode = msgspec.json.Encoder().encode
    count = 0
    with connection.open() as client, open_output(output) as out:
        for page in _outcome_pages(client, filters, "created_at", None):
            out.write(b"".join(encode(_import_line(outcome)) + b"\n" for outcome in page))
            count += len(page)
    if output:
        note(f"Exported {count:,} {'outcome' if count == 1 else 'outcomes'} to {output}.")


@_outcomes.command("change")
@with_connection
def change_outcome(
    connection: ServerConnection,
    outcome_id: OutcomeId,
    value: Annotated[str | None, typer.Option("--value", help="A number, true or false.")] = None,
    details: Annotated[str | None, typer.Option("--details", help="Why, in words.")] = None,
) -> None:
    """Change the value or the details of an outcome."""
    changes: dict[str, Any] = {} if value is None else {"value": feedback_value(value)}
    if details is not None:
        changes["details"] = details
    with connection.open() as client:
        changed = client.feedback.update_outcome(outcome_id, **changes)
    typer.echo(f"{changed.metric} of session {changed.session_id} is {changed.value:g}.")


@_outcomes.command("delete")
@with_connection
def delete_outcome(connection: ServerConnection, outcome_id: OutcomeId) -> None:
    """Delete an outcome. The interactions of its session stay."""
    with connection.open() as client:
        client.feedback.delete_outcome(outcome_id)
    typer.echo(f"Deleted {outcome_id}.")


def _outcome_pages(
    client: Afterword, filters: dict[str, Any], order: Any, row_limit: int | None
) -> Iterator[list[Outcome]]:
    cursor, remaining_rows = None, row_limit
    while remaining_rows is None or remaining_rows > 0:
        limit = PAGE_ROWS if remaining_rows is None else min(PAGE_ROWS, remaining_rows)
        page = client.feedback.list_outcomes(**filters, order=order, limit=limit, cursor=cursor)
        yield page.outcomes
        remaining_rows = None if remaining_rows is None else remaining_rows - len(page.outcomes)
        cursor = page.next
        if cursor is None:
            return


def _import_line(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a line of an export."""
    line = msgspec.structs.asdict(outcome)
    id = line.pop("outcome_id")
    return {"id": id, **{name: value for name, value in line.items() if name not in ("actor", "mine")}}
