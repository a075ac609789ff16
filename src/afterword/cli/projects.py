"""`afterword projects`: create, list, show, update and archive projects."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from afterword.cli.arguments import Json, Key
from afterword.cli.connection import CommandError, ServerConnection, with_connection
from afterword.cli.metrics import show_metrics
from afterword.cli.output import show_json, show_table
from afterword.types import Project

RetentionDays = Annotated[
    str | None,
    typer.Option(
        "--retention-days", metavar="DAYS", help="Delete interactions after so many days; 0: never; default: as the "
        "server's settings say.", show_default=False,
    ),
]  # fmt: skip
PayloadRetentionDays = Annotated[
    str | None,
    typer.Option(
        "--payload-retention-days", metavar="DAYS", help="Delete what was said in them after so many days, and keep "
        "labels, feedback and numbers; likewise.", show_default=False,
    ),
]  # fmt: skip


_projects = typer.Typer(help="Projects: create, list, show, update, archive.", no_args_is_help=True)


def add_project_commands(app: typer.Typer) -> None:
    """Add `projects` with its commands."""
    app.add_typer(_projects, name="projects")


@_projects.command("create")
@with_connection
def create_project(
    connection: ServerConnection,
    key: Key,
    name: Annotated[str | None, typer.Option("--name", help="What people see; the default is the key.")] = None,
    description: Annotated[str, typer.Option("--description", help="What it is for.", show_default=False)] = "",
    retention_days: RetentionDays = None,
    payload_retention_days: PayloadRetentionDays = None,
    as_json: Json = False,
) -> None:
    """Create a project."""
    with connection.open() as client:
        project = client.projects.create(
            key,
            name=name,
            description=description,
            retention_days=_days(retention_days, "--retention-days"),
            payload_retention_days=_days(payload_retention_days, "--payload-retention-days"),
        )
    if as_json:
        show_json(project)
    else:
        typer.echo(f"Created the project {project.key} ({project.id}).")


@_projects.command("list")
@with_connection
def list_projects(
    connection: ServerConnection,
    archived: Annotated[bool, typer.Option("--archived", help="Archived ones too.")] = False,
    as_json: Json = False,
) -> None:
    """List the projects that the key may see."""
    with connection.open() as client:
        projects = client.projects.list(archived=archived)
    if as_json:
        show_json(projects)
        return
    show_table(
        ("project", "name", "description", "created", "archived"),
        (
            (project.key, project.name, project.description, project.created_at, project.archived)
            for project in projects
        ),
        empty="This key sees no projects.",
    )


@_projects.command("show")
@with_connection
def show_project(connection: ServerConnection, key: Key, as_json: Json = False) -> None:
    """Show a project with its metrics and labels."""
    with connection.open() as client:
        project = client.projects.get(key)
        if project is None:
            raise CommandError(f"There is no project {key!r} that this key may see. See: afterword projects list")
        if as_json:
            show_json(project)
            return
        metrics = client.feedback.list_keys(project=key)
        labels = client.labels.list(project=key)
    typer.echo(f"{project.name} ({project.key}){', archived' if project.archived else ''}")
    if project.description:
        typer.echo(project.description)
    typer.echo(_retention_text(project).capitalize() + ".")
    typer.echo("")
    show_metrics(metrics)
    typer.echo("")
    show_table(
        ("label", "interactions", "values", "last used"),
        ((label.key, label.count, [value.value for value in label.values[:5]], label.last_used) for label in labels),
        empty="No labels yet.",
    )


@_projects.command("update")
@with_connection
def update_project(
    connection: ServerConnection,
    key: Key,
    name: Annotated[str | None, typer.Option("--name", help="What people see.")] = None,
    description: Annotated[str | None, typer.Option("--description", help="What it is for.")] = None,
    retention_days: RetentionDays = None,
    payload_retention_days: PayloadRetentionDays = None,
    as_json: Json = False,
) -> None:
    """Change a project. What is older than a new number of days is deleted from then on."""
    changes: dict[str, Any] = {"name": name, "description": description}
    changes = {field: value for field, value in changes.items() if value is not None}
    if retention_days is not None:
        changes["retention_days"] = _days(retention_days, "--retention-days")
    if payload_retention_days is not None:
        changes["payload_retention_days"] = _days(payload_retention_days, "--payload-retention-days")
    if not changes:
        raise typer.BadParameter("Name what to change, such as --payload-retention-days 90.")
    with connection.open() as client:
        changed = client.projects.update(key, **changes)
    if as_json:
        show_json(changed)
    else:
        typer.echo(f"Changed the project {changed.key}: {_retention_text(changed)}.")


def _days(text: str | None, option: str) -> int | None:
    """Return a number of days; None for `default`."""
    if text is None or text == "default":
        return None
    if not text.isascii() or not text.isdigit():
        raise typer.BadParameter(f"{text!r} is neither a number of days nor 'default'.", param_hint=option)
    return int(text)


def _retention_text(project: Project) -> str:
    """Return how long a project keeps its interactions and their texts, as part of a sentence."""

    def duration_text(days: int | None) -> str:
        return "as the server's settings say" if days is None else f"for {days} days" if days else "for ever"

    interactions, texts = duration_text(project.retention_days), duration_text(project.payload_retention_days)
    return f"keeps interactions {interactions}, texts {texts}"


@_projects.command("archive")
@with_connection
def archive_project(connection: ServerConnection, key: Key) -> None:
    """Archive a project: it can be read, but takes nothing new."""
    with connection.open() as client:
        client.projects.archive(key)
    typer.echo(f"Archived the project {key}.")
