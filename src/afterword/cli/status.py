"""`afterword health`: whether the server works."""

from __future__ import annotations

import typer

from afterword.cli.arguments import Json
from afterword.cli.connection import ServerConnection, with_connection
from afterword.cli.output import show_json


def add_status_command(app: typer.Typer) -> None:
    """Add `health`."""
    app.command("health")(health)


@with_connection
def health(connection: ServerConnection, as_json: Json = False) -> None:
    """Ask how the server is."""
    with connection.open() as client:
        server_health = client.health()
    if as_json:
        show_json(server_health)
    else:
        typer.echo(
            f"{server_health.status}, version {server_health.version}, "
            f"{server_health.search.waiting:,} waiting to be searchable"
        )
    if server_health.status != "ok":
        raise typer.Exit(1)
