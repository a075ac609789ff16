"""Small commands: keys, projects, metrics; to log and rate one interaction; to ask how the server is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from afterword.cli.connection import CommandError, ServerConnection, with_connection
from afterword.cli.output import note, show_json, show_table
from afterword.types import ApiKey, Kind, Project, Role, ScoringType, Value
from afterword.types.quoting import split_label

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The key, such as support-bot.", show_default=False)]
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

_keys = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)
_projects = typer.Typer(help="Projects: create, list, show, update, archive.", no_args_is_help=True)
_metrics = typer.Typer(help="Metrics, the feedback keys: register, list, update, delete.", no_args_is_help=True)


def add_key_project_and_metric_commands(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("log", help=_LOG)(log)
    app.command("rate", help=_RATE)(rate)
    app.add_typer(_projects, name="projects")
    app.add_typer(_metrics, name="metrics")
    app.add_typer(_keys, name="keys")
    app.command("health")(health)


def parse_labels(texts: list[str]) -> dict[str, str]:
    """Read KEY=VALUE options. Raises a usage error for what is none."""
    labels: dict[str, str] = {}
    for text in texts:
        key, value = split_label(text) or ("", "")
        if not key:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE.", param_hint="--label")
        if labels.get(key, value) != value:
            raise typer.BadParameter(f"{key!r} is given twice, as {labels[key]!r} and {value!r}.", param_hint="--label")
        labels[key] = value
    return labels


# ------------------------------------------------------------------------------------------------ one interaction

_LOG = """Log one interaction, and print its completion_id.

Example:

  afterword log "How do I reset it?" "Hold the button for 10 seconds." --model support-1 --label channel=mail
"""
_RATE = """Rate one completion under a registered feedback key, and print the feedback_id.

Example:

  afterword rate 0192d3a4-5b6c-7d8e-9f00-112233445566 CSAT 5 --details "Solved it"
"""


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


def feedback_value(text: str) -> Value:
    """Read a value of feedback: a number, true or false. Raises `BadParameter`."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number nor true or false.", param_hint="VALUE") from None


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


# ------------------------------------------------------------------------------------------------ projects


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
    _show_metrics(metrics)
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
    """Read a number of days; None for `default`."""
    if text is None or text == "default":
        return None
    if not text.isascii() or not text.isdigit():
        raise typer.BadParameter(f"{text!r} is neither a number of days nor 'default'.", param_hint=option)
    return int(text)


def _retention_text(project: Project) -> str:
    """Say how long a project keeps what it has."""

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


# ------------------------------------------------------------------------------------------------ metrics


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
        _show_metrics(metrics)


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


def _show_metrics(metrics: list[Any]) -> None:
    show_table(
        ("metric", "kind", "better", "unit", "description"),
        (
            (metric.key, metric.kind, metric.scoring_type.partition("_")[0], metric.unit, metric.description)
            for metric in metrics
        ),
        empty="No metrics yet. Register one: afterword metrics register CSAT",
    )


# ------------------------------------------------------------------------------------------------ keys


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
    """Return the role of a key, and for which projects it is: for the key of a user, what the user's teams may."""
    if api_key.permissions is None:
        return api_key.role, _projects_text(api_key.projects)
    projects = [f"{project}: {', '.join(words)}" for project, words in api_key.permissions.items()]
    return f"of {api_key.user}", "; ".join(projects) or "no project yet"


def _projects_text(projects: list[str] | None) -> str:
    return "all projects" if projects is None else ", ".join(projects)
