"""`afterword serve`, with an option for each setting of the table."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from afterword.config import SETTINGS, Setting, SettingError, load

HELP = """Run the server, on the embedded store.

At the first start it makes the administrator's API key, prints it once and keeps it in DIR/admin.key, where the other
commands on this machine find it. Each setting is an option here, else a variable of the environment (AFTERWORD_PORT
for --port), else the default.

Examples:

  afterword serve
  afterword serve --port 8080 --data /var/lib/afterword
  AFTERWORD_API_KEY=... afterword serve --host 0.0.0.0
"""
USAGE_EXIT_STATUS = 2


def serve_command() -> Callable[..., None]:
    """Return the function of the command, with parameters built from the table of settings."""

    def serve(**flags: Any) -> None:
        try:
            settings = load(flags)
        except SettingError as error:
            _stop(str(error), USAGE_EXIT_STATUS)
        try:
            from afterword.server import StoreError, serve
        except ModuleNotFoundError as error:
            if (error.name or "afterword").partition(".")[0] == "afterword":
                raise
            _stop(
                f"The server's packages are not installed ({error.name} is missing): pip install 'afterword[server]'",
                USAGE_EXIT_STATUS,
            )
        try:
            serve(settings)
        except StoreError as error:
            _stop(str(error), 1)

    parameters = [
        inspect.Parameter(
            setting.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=_option(setting),
        )
        for setting in SETTINGS
        if not setting.secret
    ]
    serve.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    serve.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return serve


def default_text(setting: Setting) -> str | None:
    """Return a default as a person would write it: sizes in the largest unit that divides them."""
    value = setting.default
    if setting.kind != "size" or not isinstance(value, int):
        return None if value is None else str(value)
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= size and value % size == 0:
            return f"{value // size}{unit}"
    return str(value)


def _option(setting: Setting) -> Any:
    default = default_text(setting)
    kinds = {"integer": "NUMBER", "size": "SIZE"}
    metavar = "DIR" if setting.name == "data" else kinds.get(setting.kind, setting.name.rpartition("_")[2].upper())
    details = [", ".join(setting.choices), f"default {default}" if default else ""]
    details_text = "; ".join(part for part in details if part)
    option = typer.Option(
        setting.flag,
        metavar=metavar,
        help=f"{setting.help} ({details_text})" if details_text else setting.help,
        show_default=False,
    )
    return Annotated[str | None, option]


def _stop(message: str, status: int) -> NoReturn:
    typer.echo(f"afterword: {message}", err=True)
    raise typer.Exit(status)
