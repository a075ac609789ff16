"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec


def show_json(value: Any) -> None:
    """Print a value as one JSON document."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def show_table(heads: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Print a table; where there are no rows, say on standard error what to do."""
    rows = list(rows)
    if not rows:
        print(empty, file=sys.stderr)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # What is not a terminal has no width: nothing is cut or folded for it.
    console = Console() if sys.stdout.isatty() else Console(width=100_000)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    console.print(table)


def unwrapped(text: str) -> str:
    """Join the lines of each paragraph, so that a terminal of any width can break it; indented lines stay."""
    parts = text.strip().split("\n\n")
    return "\n\n".join(part if part.startswith(" ") else part.replace("\n", " ") for part in parts)


def note(message: str) -> None:
    """Say something on standard error, where it does not mix with what is printed for programs."""
    print(message, file=sys.stderr)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
