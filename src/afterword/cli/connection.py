"""The server's address and the key: from options before or after the command, the environment, or defaults."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import urlsplit

import typer

from afterword.config import SETTINGS

if TYPE_CHECKING:
    from afterword.client import Afterword

DEFAULT_URL = "http://127.0.0.1:7400"
LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}
OPTIONS_PANEL = "Connection"

T = TypeVar("T")


class CommandError(Exception):
    """Stops a command with one line that says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class ServerConnection:
    """The server that a command talks to. A field that is None comes from the environment or the default."""

    url: str | None = None
    api_key: str | None = None
    data: str | None = None
    project: str | None = None

    def completed_by(self, other: ServerConnection) -> ServerConnection:
        """Return this connection with missing fields taken from `other`."""
        return replace(
            other,
            **{name: value for name in self.__slots__ if (value := getattr(self, name)) is not None},
        )

    def open(self) -> Afterword:
        """Return a client. Raises `CommandError` if no key is found."""
        from afterword.client import Afterword

        url = self.url or _first_environment_value("AFTERWORD_URL", "ADAPTIVE_URL") or DEFAULT_URL
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise CommandError(f"--url is {url!r}. Give it as http://HOST:PORT or https://HOST.")
        key = (
            self.api_key
            or _first_environment_value("AFTERWORD_API_KEY", "ADAPTIVE_API_KEY")
            or self._local_admin_key(address.hostname)
        )
        return Afterword(url, key, default_project=self.project)

    def _local_admin_key(self, host: str) -> str:
        if host not in LOCAL_HOSTS:
            raise CommandError(f"There is no API key for {host}. Give --api-key, or set AFTERWORD_API_KEY.")
        directory = self.data or os.environ.get("AFTERWORD_DATA") or _default_setting("data")
        file = Path(directory) / "admin.key"
        try:
            key = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            reason = "is not there" if isinstance(error, FileNotFoundError) else "cannot be read"
            raise CommandError(
                f"There is no API key: {file} {reason}. Give --api-key, set AFTERWORD_API_KEY, or name the server's "
                "data directory with --data."
            ) from None
        if not key:
            raise CommandError(f"{file} is empty. Give --api-key, or set AFTERWORD_API_KEY.")
        return key


_OPTIONS: dict[str, Any] = {
    "url": Annotated[
        str | None,
        typer.Option(
            "--url", metavar="URL", help=f"The server (AFTERWORD_URL; else {DEFAULT_URL}).",
            show_default=False, rich_help_panel=OPTIONS_PANEL,
        ),
    ],
    "api_key": Annotated[
        str | None,
        typer.Option(
            "--api-key", metavar="KEY", help="The key to call it with (AFTERWORD_API_KEY).",
            show_default=False, rich_help_panel=OPTIONS_PANEL,
        ),
    ],
    "data": Annotated[
        str | None,
        typer.Option(
            "--data", metavar="DIR", help="Without a key: the data directory of a server on this machine, which "
            "holds the administrator's (AFTERWORD_DATA; else afterword-data).",
            show_default=False, rich_help_panel=OPTIONS_PANEL,
        ),
    ],
    "project": Annotated[
        str | None,
        typer.Option(
            "--project", metavar="PROJECT", help="The project, by key or id. The default is the key's own, else "
            "'default'.",
            show_default=False, rich_help_panel=OPTIONS_PANEL,
        ),
    ],
}  # fmt: skip
_PARAMETERS = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
    for name, annotation in _OPTIONS.items()
]


def with_connection(function: Callable[..., T]) -> Callable[..., T]:
    """Add the connection's options to a command. Its first argument becomes a `ServerConnection`."""
    signature = inspect.signature(function, eval_str=True)
    own_parameters = list(signature.parameters.values())[1:]

    @wraps(function)
    def command(context: typer.Context, **arguments: Any) -> T:
        command_connection = ServerConnection(**{name: arguments.pop(name) for name in _OPTIONS})
        return function(command_connection.completed_by(context.find_root().obj or ServerConnection()), **arguments)

    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    command_parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own_parameters]
    return _with_parameters(command, [context, *command_parameters, *_PARAMETERS])


def with_root_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add the same options to the root command, for users who write them before the command."""
    own_parameters = list(inspect.signature(function, eval_str=True).parameters.values())

    @wraps(function)
    def callback(context: typer.Context, **arguments: Any) -> None:
        context.obj = ServerConnection(**{name: arguments.pop(name) for name in _OPTIONS})
        function(**arguments)

    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    callback_parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own_parameters]
    return _with_parameters(callback, [context, *callback_parameters, *_PARAMETERS])


def _with_parameters(function: Any, parameters: list[inspect.Parameter]) -> Any:
    """Set the function's signature to these parameters, because Typer reads the options from it."""
    del function.__wrapped__
    function.__signature__ = inspect.Signature(parameters)
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return function


def _first_environment_value(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def _default_setting(name: str) -> str:
    return next(str(setting.default) for setting in SETTINGS if setting.name == name)
