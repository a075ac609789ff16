"""`afterword keys`: create, list and revoke API keys."""

from __future__ import annotations

from typing import Annotated

import typer

from afterword.cli.arguments import Json
from afterword.cli.connection import ServerConnection, with_connection
from afterword.cli.output import note, show_json, show_table
from afterword.types import ApiKey, Role

_keys = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)


def add_key_commands(app: typer.Typer) -> None:
    """Add `keys` with its commands."""
    app.add_typer(_keys, name="keys")


@_keys.command("create")
@with_connection
def create_key(
    connection: ServerConnection,
    name: Annotated[str, typer.Argument(help="What the key is for, such as website.", show_default=False)],
    role: Annotated[
        Role,
        typer.Option(
            "--role",
            help="admin: everything; member: read, call models, log, rate, register; inference: call models, log and "
            "rate alone; ingest: log and rate alone; viewer: read.",
        ),
    ] = "member",
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="TIME", help="When it ends: 2027-01-31, or 'now + 90 days'.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a key and print it: the only time that it is shown. With --project it is for that project alone."""
    projects = None if connection.project is None else [connection.project]
    with connection.open() as client:
        created_key = client.keys.create(name, role=role, projects=projects, expires_at=expires)
    if as_json:
        show_json(created_key)
        return
    note(
        f"Key for {created_key.name}, {created_key.role}, {_projects_text(created_key.projects)}. "
        "It is shown this once:"
    )
    typer.echo(created_key.api_key)


@_keys.command("list")
@with_connection
def list_keys(connection: ServerConnection, as_json: Json = False) -> None:
    """List all keys, without the keys themselves."""
    with connection.open() as client:
        api_keys = client.keys.list()
    if as_json:
        show_json(api_keys)
        return
    show_table(
        ("id", "name", "begins with", "role", "for", "made by", "created", "last used", "expires", "revoked"),
        (
            (
                str(api_key.id),
                api_key.name,
                api_key.prefix,
                *_rights(api_key),
                api_key.created_by,
                api_key.created_at,
                api_key.last_used_at,
                api_key.expires_at,
                api_key.revoked_at,
            )
            for api_key in api_keys
        ),
        empty="No keys yet but the administrator's. Create one: afterword keys create NAME",
    )  # fmt: skip


@_keys.command("revoke")
@with_connection
def revoke_key(
    connection: ServerConnection,
    key_id: Annotated[str, typer.Argument(help="Its id, as the list shows it.", show_default=False)],
) -> None:
    """Revoke a key: calls with it are refused from now on."""
    with connection.open() as client:
        revoked_key = client.keys.revoke(key_id)
    typer.echo(f"Revoked the key {revoked_key.name}.")


def _rights(api_key: ApiKey) -> tuple[str, str]:
    """Return the columns `role` and `for` of a key. The key of a user has the permissions of the user's teams."""
    if api_key.permissions is None:
        return api_key.role, _projects_text(api_key.projects)
    projects = [f"{project}: {', '.join(words)}" for project, words in api_key.permissions.items()]
    return f"of {api_key.user}", "; ".join(projects) or "no project yet"


def _projects_text(projects: list[str] | None) -> str:
    return "all projects" if projects is None else ", ".join(projects)
