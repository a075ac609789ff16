"""`afterword export`: interactions as JSON lines, by the filters of the list."""

from __future__ import annotations

import contextlib
import gzip
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec
import typer

from afterword.cli.arguments import chosen_filters, filter_options, option
from afterword.cli.connection import CommandError, ServerConnection, with_connection
from afterword.cli.output import note
from afterword.types import Images

if TYPE_CHECKING:
    from afterword.client import Afterword

# Limits of a page. Pages of large interactions have fewer rows, because the server holds a page in memory.
MAX_PAGE_ROWS = 500
MAX_PAGE_BYTES = 8 << 20
FIRST_PAGE_ROWS = 20

HELP = """Export interactions with their labels, feedback and preferences, one JSON object a line, the oldest first.

Images stand in the lines as the data URIs that were sent, so that `afterword import` makes the same of them elsewhere;
with --images links as links to this server. All filters given must hold. Interactions whose text was deleted
(payload_retention_days) are left out, and counted.

Examples:

  afterword export -o all.jsonl.gz
  afterword export --label lang=en --feedback 'CSAT>=4' --from 2026-11-01 > good.jsonl
  afterword export --q '"reset code"' --limit 20 --images links | jq .completion
  afterword export | afterword --url https://other.example --api-key KEY import -
"""


def _export_command() -> Any:
    """Build the command: an option for each plain filter of a list, then the export's own options."""

    def export(
        connection: ServerConnection,
        *,
        output: Path | None,
        images: Images,
        limit: int | None,
        format: str,
        **filters: Any,
    ) -> None:
        """Export interactions."""
        if format != "interactions":
            raise typer.BadParameter(f"{format!r} is no format; there is 'interactions'.", param_hint="--format")
        _write_export(connection, output, chosen_filters(filters), images, limit)

    own_options = [
        inspect.Parameter("connection", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=ServerConnection),
        option("output", Path | None, _OUTPUT),
        *filter_options(),
        option("images", Images, typer.Option("--images", help="As data URIs, or as links."), "inline"),
        option("limit", int | None, typer.Option("--limit", min=1, help="At most so many.", show_default=False)),
        option("format", str, typer.Option("--format", help="interactions: as the API shows them."), "interactions"),
    ]
    export.__signature__ = inspect.Signature(own_options)  # pyright: ignore[reportFunctionMemberAccess]
    return with_connection(export)


_OUTPUT = typer.Option(
    "--output", "-o", metavar="FILE", help="Write there, gzipped if it ends in .gz.", show_default=False
)


def _write_export(
    connection: ServerConnection, output: Path | None, filters: dict[str, Any], images: Images, limit: int | None
) -> None:
    left_out = 0
    with connection.open() as client, open_output(output) as out, _Counter() as counter:
        for lines, expired in _page_lines(client, filters, images, limit):
            out.write(b"".join(lines))
            counter.add(len(lines))
            left_out += expired
    if output:
        note(f"Exported {counter.count:,} {'interaction' if counter.count == 1 else 'interactions'} to {output}.")
    if left_out:
        note(f"Left out {left_out:,} whose text was deleted, as the project's payload_retention_days says.")


def _page_lines(
    client: Afterword, filters: dict[str, Any], images: Images, row_limit: int | None
) -> Iterator[tuple[list[bytes], int]]:
    """Yield the lines of each page, and how many of its interactions were left out because their text was deleted."""
    encode = msgspec.json.Encoder().encode
    cursor, size, remaining_rows = None, FIRST_PAGE_ROWS, row_limit
    while remaining_rows is None or remaining_rows > 0:
        page = client.interactions.list(
            **filters,
            order="created_at",
            view="full",
            images=images,
            limit=size if remaining_rows is None else min(size, remaining_rows),
            cursor=cursor,
        )
        lines = [encode(interaction) + b"\n" for interaction in page.interactions if not interaction.expired]
        yield lines, len(page.interactions) - len(lines)
        if lines:
            size = max(1, min(MAX_PAGE_ROWS, 2 * size, MAX_PAGE_BYTES * len(lines) // sum(map(len, lines))))
            remaining_rows = None if remaining_rows is None else remaining_rows - len(lines)
        cursor = page.next
        if cursor is None:
            return


@contextlib.contextmanager
def open_output(output: Path | None) -> Iterator[IO[bytes]]:
    """Open the output. A file gets its name when it is complete, so that a partial file is not taken for an export."""
    if output is None:
        yield sys.stdout.buffer
        return
    part = output.with_name(output.name + ".part")
    try:
        file: Any = gzip.open(part, "wb", 6) if output.suffix == ".gz" else part.open("wb")  # noqa: SIM115
    except OSError as error:
        raise CommandError(f"{output} cannot be written: {error.strerror}.") from None
    try:
        with file as out:
            yield out
        part.replace(output)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


class _Counter:
    """Shows a count on standard error if that is a terminal."""

    def __init__(self) -> None:
        self.count = 0
        self._status: Any = None
        if sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True).status("exporting")

    def __enter__(self) -> _Counter:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def add(self, count: int) -> None:
        self.count += count
        if self._status:
            self._status.update(f"exporting, {self.count:,} so far")


export = _export_command()
