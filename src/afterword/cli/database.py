"""`afterword db`: operations on a whole store while no server uses it."""

from __future__ import annotations

from typing import Annotated

import typer

from afterword.cli.connection import CommandError
from afterword.cli.output import unwrapped

COPY = """Copy a store: from the embedded one to PostgreSQL, or back.

Give a data directory or the URL of a database for each. No server may work over either. What was copied is checked row
by row at the end. A copy that was broken off goes on where it was: give the same command again. The text index is made
by the server that opens the target, in the background.

The keys beside the store are not in it: copy admin.key and secret.key of the data directory, or set AFTERWORD_API_KEY
and AFTERWORD_SECRET_KEY.

Examples:

  afterword db copy --from afterword-data --to postgresql://afterword@db.internal/afterword
  afterword db copy --from postgresql://afterword@db.internal/afterword --to /var/lib/afterword
"""

DISTRIBUTE = """Refused: a database that is spread over a cluster is not supported.

Use one PostgreSQL. To leave a database that an earlier version has spread: `afterword db copy` to an empty one.
"""

_stores = typer.Typer(help="Copy a whole store.", no_args_is_help=True)


def add_database_commands(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(_stores, name="db")


@_stores.command("copy", help=unwrapped(COPY))
def copy(
    from_: Annotated[str, typer.Option("--from", metavar="DIR|URL", help="The store to copy.")],
    to: Annotated[str, typer.Option("--to", metavar="DIR|URL", help="Where to: an empty directory or database.")],
) -> None:
    """Copy a store."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from afterword.store import database_copy

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress_display:
        bars: dict[str, TaskID] = {}

        def report(phase: str) -> database_copy.Progress:
            def progress(table: str, done: int, number: int) -> None:
                name = f"{phase} {table}"
                if name not in bars:
                    bars[name] = progress_display.add_task(name, total=number)
                progress_display.update(bars[name], completed=done)

            return progress

        try:
            with database_copy.open_store(from_) as source, database_copy.open_store(to) as target:
                database_copy.copy(source, target, report("copying"))
                table_checks = database_copy.check(source, target, report("checking"))
        except database_copy.StoreError as error:
            raise CommandError(str(error)) from None
    for table_check in table_checks:
        if table_check.rows:
            typer.echo(f"{table_check.table:20} {table_check.rows:>12,}  {table_check.digest}")
    typer.echo(f"Copied and checked, row by row: {sum(table_check.rows for table_check in table_checks):,} rows.")


@_stores.command("distribute", help=unwrapped(DISTRIBUTE))
def distribute(
    database_url: Annotated[
        str, typer.Option("--database-url", envvar="AFTERWORD_DATABASE_URL", metavar="URL", help="The database.")
    ] = "",
) -> None:
    """Refuse to distribute a database."""
    raise CommandError(
        "A database spread over a cluster is not supported: it was found to be slow, and some calls fail on it. "
        "Use one PostgreSQL; `afterword db copy --from DATABASE --to EMPTY_DATABASE` takes a store out of a cluster."
    )
