"""Commands about sessions: list, show, delete."""

from __future__ import annotations

import inspect
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
import typer

from afterword.cli.arguments import Json, chosen_filters, filter_options, option
from afterword.cli.connection import ServerConnection, with_connection
from afterword.cli.output import show_json, show_table

if TYPE_CHECKING:
    from afterword.client import Afterword
    from afterword.types import Message, Outcome, SessionSummary, SessionTurn

_sessions = typer.Typer(
    help="Sessions: list, show as one transcript, delete.", no_args_is_help=True, rich_markup_mode=None
)
DEFAULT_LIST_ROWS = 50
MAX_PAGE_ROWS = 500
MAX_SHOWN_DEPTH = 8

SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="Its id, or what it was named.", show_default=False)]


def add_session_commands(app: typer.Typer) -> None:
    """Add these commands."""
    _sessions.command("list")(_list_command())
    app.add_typer(_sessions, name="sessions")


def _list_command() -> Any:
    """Build the command `list`: an option for each plain filter, then its own options."""

    def list_sessions(
        connection: ServerConnection, *, min_turns: int, limit: int, as_json: bool, **filters: Any
    ) -> None:
        """List sessions, the newest activity first. A session is listed if one of its interactions matches."""
        with connection.open() as client:
            sessions = list(_read_sessions(client, {"min_turns": min_turns, **chosen_filters(filters)}, limit))
        if as_json:
            show_json(sessions)
            return
        show_table(
            ("session", "turns", "failed", "last activity", "tokens", "models", "users", "outcomes"),
            (
                (
                    session.session or session.session_id,
                    session.turn_count,
                    session.failed_turn_count,
                    session.last_activity,
                    session.total_tokens,
                    session.models,
                    session.users,
                    _outcome_texts(session.outcomes),
                )
                for session in sessions
            ),
            empty="There are no such sessions.",
        )

    list_sessions.__signature__ = inspect.Signature(  # pyright: ignore[reportFunctionMemberAccess]
        [
            inspect.Parameter("connection", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=ServerConnection),
            *filter_options(),
            option("min_turns", int, typer.Option("--min-turns", min=1, help="Of at least so many turns."), 1),
            option("limit", int, typer.Option("--limit", min=1, help="At most so many."), DEFAULT_LIST_ROWS),
            inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json),
        ]
    )
    return with_connection(list_sessions)


@_sessions.command("show")
@with_connection
def show_session(connection: ServerConnection, session_id: SessionId, as_json: Json = False) -> None:
    """Show a session as one transcript.

    What a turn sends again is not shown twice, and steps stand below their parent.
    """
    with connection.open() as client:
        session = client.sessions.get(session_id)
        turns = list(client.sessions.turns(session_id))
    if as_json:
        show_json(msgspec.structs.replace(session, turns=turns, next=None))
        return
    typer.echo(f"{session.session or session.session_id}: {session.turn_count} turns, {session.total_tokens:,} tokens")
    for turn, depth in _steps_below_parents(turns):
        indentation = "  " * min(depth, MAX_SHOWN_DEPTH)
        typer.echo(f"\n{indentation}--- {_turn_heading(turn)}")
        for line in _turn_lines(turn):
            typer.echo(textwrap.indent(line, indentation))
    for text in _outcome_texts(session.outcomes):
        typer.echo(f"\noutcome {text}")


@_sessions.command("delete")
@with_connection
def delete_session(connection: ServerConnection, session_id: SessionId) -> None:
    """Delete all interactions of a session, and its outcomes."""
    with connection.open() as client:
        client.sessions.delete(session_id)
    typer.echo(f"Deleted {session_id}.")


def _read_sessions(client: Afterword, filters: dict[str, Any], limit: int) -> Iterator[SessionSummary]:
    cursor = None
    while limit > 0:
        page = client.sessions.list(**filters, limit=min(limit, MAX_PAGE_ROWS), cursor=cursor)
        yield from page.sessions
        limit -= len(page.sessions)
        cursor = page.next
        if cursor is None:
            return


def _steps_below_parents(turns: Sequence[SessionTurn]) -> Iterator[tuple[SessionTurn, int]]:
    """Return each turn with its depth, a step below its parent. Turns whose parents form a circle come last."""
    ids = {turn.completion_id for turn in turns}
    steps_by_parent: dict[UUID | None, list[SessionTurn]] = defaultdict(list)
    for turn in turns:
        steps_by_parent[turn.parent if turn.parent in ids else None].append(turn)
    shown: set[UUID] = set()
    for first in (*steps_by_parent[None], *turns):
        waiting = [(first, 0)]
        while waiting:
            turn, depth = waiting.pop()
            if turn.completion_id not in shown:
                shown.add(turn.completion_id)
                yield turn, depth
                waiting += [(step, depth + 1) for step in reversed(steps_by_parent[turn.completion_id])]


def _turn_heading(turn: SessionTurn) -> str:
    parts = [f"{turn.created_at:%Y-%m-%d %H:%M:%S}", turn.model or "-", str(turn.completion_id)]
    if turn.step is not None:
        parts.append(turn.step)
    if turn.parent_missing:
        parts.append(f"(its parent {turn.parent} is missing)")
    if turn.parent_page == "other_session":
        parts.append(f"(its parent {turn.parent} is in another session)")
    return "  ".join(parts)


def _turn_lines(turn: SessionTurn) -> Iterator[str]:
    if turn.expired:
        yield "(its texts were deleted)"
        return
    for message in turn.messages:
        yield f"{message.get('role')}: {_message_text(message)}"
    if turn.error:
        yield f"{turn.state}: {turn.error.get('message') or ''}"
    else:
        yield f"assistant: {_message_text(turn.message) if turn.message else turn.completion}"
    for feedback in turn.feedback:
        yield f"  {feedback.metric} {feedback.value:g}"


def _message_text(message: Message) -> str:
    """Return a message's texts, with what is no text as JSON."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [] if content is None else [content]
    texts = [
        part if isinstance(part, str) else part["text"] if isinstance(part, dict) and "text" in part else _json(part)
        for part in parts
    ]
    texts += [_json(call) for call in message.get("tool_calls") or []]
    return "\n".join(map(str, texts))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _outcome_texts(outcomes: list[Outcome]) -> list[str]:
    return [f"{outcome.metric} {outcome.value:g}" for outcome in outcomes]
