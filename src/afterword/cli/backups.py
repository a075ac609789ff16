"""`afterword backup` and `afterword restore`: the embedded store as a directory of its own, and back."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from afterword.cli.arguments import Json
from afterword.cli.connection import CommandError, ServerConnection
from afterword.cli.output import note, show_json, unwrapped
from afterword.config import SETTINGS

_BACKUP = """Back up the embedded store, also while a server serves it.

TARGET is made: a directory with everything that was acknowledged before the backup began, and with the keys that lie in
the data directory. It has its name once it is whole and checked. No other user may read it: who can, can read all that
was logged, and call the models with the keys of their providers.

A store in PostgreSQL is backed up with PostgreSQL's own tools: docs/guides/backup.md.

Examples:

  afterword backup --data /var/lib/afterword /backups/2026-11-23
  afterword backup /backups/$(date +%F) --without-keys
"""
_RESTORE = """Restore what `afterword backup` made into a data directory that no server serves.

Examples:

  afterword restore /backups/2026-11-23 --data /var/lib/afterword
  afterword restore /backups/2026-11-23 --replace
"""

Data = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="DIR", help="The data directory (AFTERWORD_DATA; else afterword-data).", show_default=False
    ),
]


def add_backup_commands(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("backup", help=unwrapped(_BACKUP))(backup)
    app.command("restore", help=unwrapped(_RESTORE))(restore)


def backup(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The directory to make.", show_default=False)],
    data: Data = None,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Leave out admin.key and secret.key; keep those apart.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Back up the embedded store."""
    directory = _directory(context, data)
    with _store() as store, _progress() as progress:
        started = time.monotonic()
        manifest = store.back_up(directory, target, keys=not without_keys, progress=progress)
    if as_json:
        show_json(manifest)
    else:
        seconds = time.monotonic() - started
        typer.echo(f"Backed up {_summary(manifest)} to {target} in {seconds:.1f} s.")
    if "secret.key" not in manifest.keys and manifest.rows.get("models"):
        note(
            "The keys of models' providers can be read with the server's secret alone, which is not in it: keep it too."
        )


def restore(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="What was backed up.", show_default=False)],
    data: Data = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in place of the store that is there, which is deleted.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Restore a backup."""
    directory = _directory(context, data)
    with _store() as store, _progress() as progress:
        manifest = store.restore(source, directory, replace=replace, progress=progress)
    if as_json:
        show_json(manifest)
    else:
        typer.echo(f"Restored {_summary(manifest)} of {manifest.created_at:%Y-%m-%d %H:%M} UTC to {directory}.")
        typer.echo("The text index is made anew when the server starts; until then, searches for words find less.")
    if manifest.rows.get("models") and not (directory / "secret.key").exists():
        note(
            "The backup has no secret.key, which the keys of models' providers are encrypted with: put it there, or "
            "set AFTERWORD_SECRET_KEY as it was, before the server starts."
        )


def _directory(context: typer.Context, data: str | None) -> Path:
    """Return the data directory. Raises `CommandError` if the store is in PostgreSQL."""
    root = context.find_root().obj or ServerConnection()
    directory_text = data or root.data
    if directory_text is None and os.environ.get("AFTERWORD_DATABASE_URL"):
        raise CommandError(
            "The store is in PostgreSQL (AFTERWORD_DATABASE_URL): back it up with pg_dump, see docs/guides/backup.md. "
            "For an embedded store, name its directory with --data."
        )
    default = next(str(setting.default) for setting in SETTINGS if setting.name == "data")
    return Path(directory_text or os.environ.get("AFTERWORD_DATA") or default)


@contextlib.contextmanager
def _store() -> Iterator[Any]:
    """Yield the module that backs up the store; its errors become one line."""
    try:
        from afterword.store.engine import StoreError, backup
    except ModuleNotFoundError as error:
        if (error.name or "afterword").partition(".")[0] == "afterword":
            raise
        raise CommandError(
            f"The server's packages are not installed ({error.name} is missing): pip install 'afterword[server]'"
        ) from None
    try:
        yield backup
    except StoreError as error:
        raise CommandError(str(error)) from None


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda phase, done, total: bar.update(task, description=phase, completed=done, total=total or None)


def _summary(manifest: Any) -> str:
    number = manifest.rows.get("interactions", 0)
    return f"{number:,} {'interaction' if number == 1 else 'interactions'} ({manifest.size / 1e6:,.1f} MB)"
