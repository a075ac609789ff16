"""Commands about models: register, attach, call them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from afterword.cli.arguments import Json, Key, parse_labels
from afterword.cli.connection import CommandError, ServerConnection, with_connection
from afterword.cli.output import note, show_json, show_table
from afterword.types import ProviderName

_models = typer.Typer(help="Models: add, list, show, change, attach, detach, delete.", no_args_is_help=True)

_CHAT = """Ask a model, and show its answer as it comes; the completion_id goes to standard error.

Example:

  afterword chat "What is the capital of France?" --model gpt-mini
"""


def add_model_commands(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("chat", help=_CHAT)(chat)
    app.add_typer(_models, name="models")


@with_connection
def chat(
    connection: ServerConnection,
    message: Annotated[str, typer.Argument(help="What to ask.", show_default=False)],
    model: Annotated[str | None, typer.Option("--model", help="The model; the default is the project's.")] = None,
    system: Annotated[str | None, typer.Option("--system", help="The system message before it.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label; may be repeated.")
    ] = None,
) -> None:
    """Ask a model."""
    messages = [{"role": "user", "content": message}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    completion_id = None
    with connection.open() as client:
        for chunk in client.chat.create(messages, model, stream=True, labels=parse_labels(label or []) or None):
            for choice in chunk.choices:
                completion_id = choice.completion_id
                typer.echo(choice.delta.content or "", nl=False)
    typer.echo("")
    note(str(completion_id))


@_models.command("add")
@with_connection
def add_model(
    connection: ServerConnection,
    key: Key,
    provider: Annotated[ProviderName, typer.Option("--provider", help="Whose API it speaks.")] = "open_ai",
    external_model_id: Annotated[
        str | None, typer.Option("--id", help="What the provider calls it; the default is the key.")
    ] = None,
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="The base URL of the API.")] = None,
    provider_key: Annotated[
        str | None,
        typer.Option("--provider-key", envvar="PROVIDER_API_KEY", help="Its API key, best by PROVIDER_API_KEY."),
    ] = None,
    fallback: Annotated[str | None, typer.Option("--fallback", help="The model to call where this one fails.")] = None,
    default: Annotated[bool, typer.Option("--default", help="Make it the project's default.")] = False,
    as_json: Json = False,
) -> None:
    """Register a model and attach it to the project. Once more with the same definition it changes nothing."""
    with connection.open() as client:
        registered_model = client.models.register(
            key,
            provider,
            external_model_id=external_model_id,
            endpoint=endpoint,
            api_key=provider_key,
            fallback=fallback,
            project=connection.project or "default",
            make_default=default,
        )
    if as_json:
        show_json(registered_model)
    else:
        typer.echo(
            f"Registered {registered_model.key} ({registered_model.provider}); "
            f"call it as {connection.project or 'default'}/{registered_model.key}."
        )


@_models.command("list")
@with_connection
def list_models(connection: ServerConnection, as_json: Json = False) -> None:
    """List the models, those that are logged-only too."""
    with connection.open() as client:
        models = client.models.list(project=connection.project)
    if as_json:
        show_json(models)
        return
    show_table(
        ("model", "provider", "known there as", "endpoint", "projects", "fallback"),
        (
            (
                model.key,
                model.provider or "logged-only",
                model.external_model_id,
                model.endpoint,
                model.projects,
                model.fallback,
            )
            for model in models
        ),
        empty="No models yet. Register one: afterword models add KEY --provider open_ai",
    )


@_models.command("show")
@with_connection
def show_model(connection: ServerConnection, key: Key) -> None:
    """Show a model, and whether it can be called right now."""
    with connection.open() as client:
        model = client.models.get(key)
        if model is None:
            raise CommandError(f"There is no model {key!r} that this key may see. See: afterword models list")
        show_json(model)
        status = client.models.status(key)
    note(status.status if status.error is None else f"{status.status}: {status.error}")


@_models.command("change")
@with_connection
def change_model(
    connection: ServerConnection,
    key: Key,
    external_model_id: Annotated[str | None, typer.Option("--id", help="What the provider calls it.")] = None,
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="The base URL of the API.")] = None,
    provider_key: Annotated[
        str | None, typer.Option("--provider-key", envvar="PROVIDER_API_KEY", help="The provider's API key.")
    ] = None,
    fallback: Annotated[str | None, typer.Option("--fallback", help="The model to call where this one fails.")] = None,
) -> None:
    """Change how a model is called."""
    arguments = {
        "external_model_id": external_model_id,
        "endpoint": endpoint,
        "api_key": provider_key,
        "fallback": fallback,
    }
    changes: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    if not changes:
        raise typer.BadParameter("give at least one of --id, --endpoint, --provider-key, --fallback.")
    with connection.open() as client:
        client.models.update(key, **changes)
    typer.echo(f"Changed {key}.")


@_models.command("attach")
@with_connection
def attach_model(
    connection: ServerConnection,
    key: Key,
    default: Annotated[bool, typer.Option("--default", help="Make it the project's default.")] = False,
) -> None:
    """Let the project call a model."""
    with connection.open() as client:
        attachment = client.models.attach(key, project=connection.project, make_default=default)
    typer.echo(
        f"Call it as {attachment.project}/{attachment.model}"
        f"{', or by the project alone' if attachment.is_default else ''}."
    )


@_models.command("detach")
@with_connection
def detach_model(connection: ServerConnection, key: Key) -> None:
    """Take a model out of the project."""
    with connection.open() as client:
        client.models.detach(key, project=connection.project)
    typer.echo(f"Detached {key}.")


@_models.command("delete")
@with_connection
def delete_model(connection: ServerConnection, key: Key) -> None:
    """Delete a model: it can be called no more. Its interactions stay."""
    with connection.open() as client:
        client.models.delete(key)
    typer.echo(f"Deleted {key}.")
