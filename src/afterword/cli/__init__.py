"""The command `afterword`. All but `serve`, `db`, `backup` and `restore` speak HTTP to a running server, on this
machine or far away."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, NoReturn

import typer

from afterword.cli import (
    ab_tests,
    backups,
    database,
    datasets,
    exports,
    imports,
    interactions,
    keys,
    metrics,
    models,
    outcomes,
    projects,
    serve,
    sessions,
    status,
)
from afterword.cli.connection import CommandError, with_root_options
from afterword.cli.output import unwrapped
from afterword.errors import AfterwordError

HELP = """A store of what language models said and what people thought of it.

Start a server with [bold]afterword serve[/bold]. The other commands talk to it; on the same machine they find its key
by themselves. For a server elsewhere set AFTERWORD_URL and AFTERWORD_API_KEY.
"""

app = typer.Typer(
    name="afterword",
    help=unwrapped(HELP),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_requested: bool) -> None:
    if is_requested:
        from importlib.metadata import version

        typer.echo(version("afterword"))
        raise typer.Exit


@app.callback()
@with_root_options
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command("serve", help=unwrapped(serve.HELP))(serve.serve_command())
app.command("import", help=unwrapped(imports.HELP))(imports.import_files)
app.command("export", help=unwrapped(exports.HELP))(exports.export)
models.add_model_commands(app)
ab_tests.add_ab_test_commands(app)
datasets.add_dataset_commands(app)
outcomes.add_outcome_commands(app)
interactions.add_interaction_commands(app)
sessions.add_session_commands(app)
projects.add_project_commands(app)
metrics.add_metric_commands(app)
keys.add_key_commands(app)
status.add_status_command(app)
database.add_database_commands(app)
backups.add_backup_commands(app)


def main() -> None:
    """Run the command line. Errors become one line on standard error: exit code 1, for wrong usage 2."""
    try:
        app()
    except (AfterwordError, CommandError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        _discard_standard_output()
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}." if error.filename else f"{error}.")
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _discard_standard_output()


def _fail(message: str) -> NoReturn:
    with contextlib.suppress(OSError):
        print(f"afterword: {message}", file=sys.stderr)
    sys.exit(1)


def _discard_standard_output() -> None:
    """Redirect standard output after its reader has gone, so that the interpreter's final flush does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
