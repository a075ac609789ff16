"""Where the server is and who asks: options that stand before or after the command, the environment, the defaults."""

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
LOCAL = {"127.0.0.1", "localhost", "::1"}
PANEL = "Connection"

T = TypeVar("T")


class CommandError(Exception):
    """What stops a command: one line that says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A server to talk to. What is None comes from the environment or the default."""

    url: str | None = None
    api_key: str | None = None
    data: str | None = None
    project: str | None = None

    def over(self, other: Connection) -> Connection:
        """Return this one, completed by the other."""
        return replace(
            other,
            **{name: value for name in self.__slots__ if (value := getattr(self, name)) is not None},
        )

    def open(self) -> Afterword:
        """Return a client. Raises `CommandError` where no key is to be found."""
        from afterword.client import Afterword

        url = self.url or _first("AFTERWORD_URL", "ADAPTIVE_URL") or DEFAULT_URL
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise CommandError(f"--url is {url!r}. Give it as http://HOST:PORT or https://HOST.")
        key = self.api_key or _first("AFTERWORD_API_KEY", "ADAPTIVE_API_KEY") or self._key_of_local(address.hostname)
        return Afterword(url, key, default_project=self.project)

    def _key_of_local(self, host: str) -> str:
        if host not in LOCAL:
            raise CommandError(f"There is no API key for {host}. Give --api-key, or set AFTERWORD_API_KEY.")
        directory = self.data or os.environ.get("AFTERWORD_DATA") or _default("data")
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
            show_default=False, rich_help_panel=PANEL,
        ),
    ],
    "api_key": Annotated[
        str | None,
        typer.Option(
            "--api-key", metavar="KEY", help="The key to call it with (AFTERWORD_API_KEY).",
            show_default=False, rich_help_panel=PANEL,
        ),
    ],
    "data": Annotated[
        str | None,
        typer.Option(
            "--data", metavar="DIR", help="Without a key: the data directory of a server on this machine, which "
            "holds the administrator's (AFTERWORD_DATA; else afterword-data).",
            show_default=False, rich_help_panel=PANEL,
        ),
    ],
    "project": Annotated[
        str | None,
        typer.Option(
            "--project", metavar="PROJECT", help="The project, by key or id. The default is the key's own, else "
            "'default'.",
            show_default=False, rich_help_panel=PANEL,
        ),
    ],
}  # fmt: skip
_PARAMETERS = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
    for name, annotation in _OPTIONS.items()
]


def connected(function: Callable[..., T]) -> Callable[..., T]:
    """Give a command the connection's options; it is called with a `Connection` first."""
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]

    @wraps(function)
    def command(context: typer.Context, **given: Any) -> T:
        mine = Connection(**{name: given.pop(name) for name in _OPTIONS})
        return function(mine.over(context.find_root().obj or Connection()), **given)

    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    mine = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    return _with_parameters(command, [context, *mine, *_PARAMETERS])


def before_the_command(function: Callable[..., None]) -> Callable[..., None]:
    """Give the root the same options, for whoever writes them before the command."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())

    @wraps(function)
    def callback(context: typer.Context, **given: Any) -> None:
        context.obj = Connection(**{name: given.pop(name) for name in _OPTIONS})
        function(**given)

    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    mine = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    return _with_parameters(callback, [context, *mine, *_PARAMETERS])


def _with_parameters(function: Any, parameters: list[inspect.Parameter]) -> Any:
    """Make a function look as if it had these parameters: Typer reads them from there."""
    del function.__wrapped__
    function.__signature__ = inspect.Signature(parameters)
    function.__annotations__ = {one.name: one.annotation for one in parameters}
    return function


def _first(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def _default(name: str) -> str:
    return next(str(setting.default) for setting in SETTINGS if setting.name == name)
