"""Small commands: keys, projects, metrics; to log and rate one interaction; to ask how the server is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from afterword.cli.connecting import CommandError, Connection, connected
from afterword.cli.showing import note, show_json, show_table
from afterword.types import Kind, Project, Role, ScoringType, Value
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


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("log", help=_LOG)(log)
    app.command("rate", help=_RATE)(rate)
    app.add_typer(_projects, name="projects")
    app.add_typer(_metrics, name="metrics")
    app.add_typer(_keys, name="keys")
    app.command("health")(health)


def pairs(given: list[str]) -> dict[str, str]:
    """Read KEY=VALUE options. Raises a usage error for what is none."""
    labels: dict[str, str] = {}
    for text in given:
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


@connected
def log(
    connection: Connection,
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
    labels = pairs(label or [])
    with connection.open() as client:
        made = client.interactions.create(
            messages=messages, completion=completion, model=model, labels=labels or None, user=user
        )
    typer.echo(made.completion_id)


@connected
def rate(
    connection: Connection,
    completion_id: Annotated[str, typer.Argument(help="The completion.", show_default=False)],
    metric: Annotated[str, typer.Argument(help="The feedback key, such as CSAT.", show_default=False)],
    value: Annotated[str, typer.Argument(help="A number, true or false.", show_default=False)],
    details: Annotated[str | None, typer.Option("--details", help="Why, in words.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Who rates.")] = None,
) -> None:
    """Rate one completion."""
    with connection.open() as client:
        made = client.feedback.log_metric(
            value=feedback_value(value), completion_id=completion_id, feedback_key=metric, details=details, user=user
        )
    typer.echo(made.feedback_id)


def feedback_value(text: str) -> Value:
    """Read a value of feedback: a number, true or false. Raises `BadParameter`."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number nor true or false.", param_hint="VALUE") from None


@connected
def health(connection: Connection, as_json: Json = False) -> None:
    """Ask how the server is."""
    with connection.open() as client:
        found = client.health()
    if as_json:
        show_json(found)
    else:
        typer.echo(f"{found.status}, version {found.version}, {found.search.waiting:,} waiting to be searchable")
    if found.status != "ok":
        raise typer.Exit(1)


# ------------------------------------------------------------------------------------------------ projects


@_projects.command("create")
@connected
def create_project(
    connection: Connection,
    key: Key,
    name: Annotated[str | None, typer.Option("--name", help="What people see; the default is the key.")] = None,
    description: Annotated[str, typer.Option("--description", help="What it is for.", show_default=False)] = "",
    retention_days: RetentionDays = None,
    payload_retention_days: PayloadRetentionDays = None,
    as_json: Json = False,
) -> None:
    """Create a project."""
    with connection.open() as client:
        made = client.projects.create(
            key,
            name=name,
            description=description,
            retention_days=_days(retention_days, "--retention-days"),
            payload_retention_days=_days(payload_retention_days, "--payload-retention-days"),
        )
    if as_json:
        show_json(made)
    else:
        typer.echo(f"Created the project {made.key} ({made.id}).")


@_projects.command("list")
@connected
def list_projects(
    connection: Connection,
    archived: Annotated[bool, typer.Option("--archived", help="Archived ones too.")] = False,
    as_json: Json = False,
) -> None:
    """List the projects that the key may see."""
    with connection.open() as client:
        found = client.projects.list(archived=archived)
    if as_json:
        show_json(found)
        return
    show_table(
        ("project", "name", "description", "created", "archived"),
        ((one.key, one.name, one.description, one.created_at, one.archived) for one in found),
        empty="This key sees no projects.",
    )


@_projects.command("show")
@connected
def show_project(connection: Connection, key: Key, as_json: Json = False) -> None:
    """Show a project with its metrics and labels."""
    with connection.open() as client:
        found = client.projects.get(key)
        if found is None:
            raise CommandError(f"There is no project {key!r} that this key may see. See: afterword projects list")
        if as_json:
            show_json(found)
            return
        metrics = client.feedback.list_keys(project=key)
        labels = client.labels.list(project=key)
    typer.echo(f"{found.name} ({found.key}){', archived' if found.archived else ''}")
    if found.description:
        typer.echo(found.description)
    typer.echo(_kept(found).capitalize() + ".")
    typer.echo("")
    _show_metrics(metrics)
    typer.echo("")
    show_table(
        ("label", "interactions", "values", "last used"),
        ((one.key, one.count, [value.value for value in one.values[:5]], one.last_used) for one in labels),
        empty="No labels yet.",
    )


@_projects.command("update")
@connected
def update_project(
    connection: Connection,
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
        typer.echo(f"Changed the project {changed.key}: {_kept(changed)}.")


def _days(text: str | None, option: str) -> int | None:
    """Read a number of days; None for `default`."""
    if text is None or text == "default":
        return None
    if not text.isascii() or not text.isdigit():
        raise typer.BadParameter(f"{text!r} is neither a number of days nor 'default'.", param_hint=option)
    return int(text)


def _kept(project: Project) -> str:
    """Say how long a project keeps what it has."""

    def told(days: int | None) -> str:
        return "as the server's settings say" if days is None else f"for {days} days" if days else "for ever"

    return f"keeps interactions {told(project.retention_days)}, texts {told(project.payload_retention_days)}"


@_projects.command("archive")
@connected
def archive_project(connection: Connection, key: Key) -> None:
    """Archive a project: it can be read, but takes nothing new."""
    with connection.open() as client:
        client.projects.archive(key)
    typer.echo(f"Archived the project {key}.")


# ------------------------------------------------------------------------------------------------ metrics


@_metrics.command("register")
@connected
def register_metric(
    connection: Connection,
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
        made = client.feedback.register_key(
            key, kind=kind, scoring_type=scoring_type, name=name, description=description, unit=unit
        )
    if as_json:
        show_json(made)
    else:
        typer.echo(f"Registered {made.key} in the project {made.project}: {made.kind}, {made.scoring_type}.")


@_metrics.command("list")
@connected
def list_metrics(connection: Connection, as_json: Json = False) -> None:
    """List the feedback keys of a project."""
    with connection.open() as client:
        found = client.feedback.list_keys()
    if as_json:
        show_json(found)
    else:
        _show_metrics(found)


@_metrics.command("update")
@connected
def update_metric(
    connection: Connection,
    key: Key,
    name: Annotated[str | None, typer.Option("--name", help="What people see.")] = None,
    scoring_type: Annotated[ScoringType | None, typer.Option("--scoring-type", help="Which way is better.")] = None,
    description: Annotated[str | None, typer.Option("--description", help="What is measured.")] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="What the numbers count.")] = None,
) -> None:
    """Change a feedback key; its kind stays."""
    given = {"name": name, "scoring_type": scoring_type, "description": description, "unit": unit}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("give at least one of --name, --scoring-type, --description, --unit.")
    with connection.open() as client:
        made = client.feedback.update_key(key, **changes)
    typer.echo(f"Changed {made.key}.")


@_metrics.command("delete")
@connected
def delete_metric(connection: Connection, key: Key) -> None:
    """Delete a feedback key: no more feedback is taken under it, what was given stays."""
    with connection.open() as client:
        client.feedback.delete_key(key)
    typer.echo(f"Deleted {key}.")


def _show_metrics(metrics: list[Any]) -> None:
    show_table(
        ("metric", "kind", "better", "unit", "description"),
        ((one.key, one.kind, one.scoring_type.partition("_")[0], one.unit, one.description) for one in metrics),
        empty="No metrics yet. Register one: afterword metrics register CSAT",
    )


# ------------------------------------------------------------------------------------------------ keys


@_keys.command("create")
@connected
def create_key(
    connection: Connection,
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
        made = client.keys.create(name, role=role, projects=projects, expires_at=expires)
    if as_json:
        show_json(made)
        return
    note(f"Key for {made.name}, {made.role}, {_where(made.projects)}. It is shown this once:")
    typer.echo(made.api_key)


@_keys.command("list")
@connected
def list_keys(connection: Connection, as_json: Json = False) -> None:
    """List all keys, without the keys themselves."""
    with connection.open() as client:
        found = client.keys.list()
    if as_json:
        show_json(found)
        return
    show_table(
        ("id", "name", "begins with", "role", "for", "made by", "created", "last used", "expires", "revoked"),
        (
            (
                str(one.id), one.name, one.prefix, one.role, _where(one.projects), one.created_by, one.created_at,
                one.last_used_at, one.expires_at,
                one.revoked_at,
            )
            for one in found
        ),
        empty="No keys yet but the administrator's. Create one: afterword keys create NAME",
    )  # fmt: skip


@_keys.command("revoke")
@connected
def revoke_key(
    connection: Connection,
    key_id: Annotated[str, typer.Argument(help="Its id, as the list shows it.", show_default=False)],
) -> None:
    """Revoke a key: calls with it are refused from now on."""
    with connection.open() as client:
        made = client.keys.revoke(key_id)
    typer.echo(f"Revoked the key {made.name}.")


def _where(projects: list[str] | None) -> str:
    return "all projects" if projects is None else ", ".join(projects)
