"""Interactions as they come and change, for those who watch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from afterword.errors import AfterwordError, Invalid, Unavailable
from afterword.service.access import allowed, renewed
from afterword.service.broadcast import Listener
from afterword.service.context import Context, ProjectNames
from afterword.service.plain_filters import plain_filter
from afterword.service.presenting import present
from afterword.store import pages
from afterword.types import Filter, Interaction, Match

# Seconds for which changes are gathered, so that a burst of them is one read.
GATHERED = 0.2
MOST_AT_ONCE = 200
# Seconds after which a word is sent where nothing else was: proxies end what is silent.
HEARTBEAT = 15.0

_encoder = msgspec.json.Encoder()
_filters = msgspec.json.Decoder(Filter)


@dataclass(frozen=True, slots=True)
class Events:
    """Server-sent events, as they happen."""

    chunks: AsyncGenerator[bytes]


async def watch(context: Context, *, query: Any) -> Events:
    """Watch interactions as server-sent events.

    `interaction` carries an interaction in the short view, with its completion_id as the event's id: it was logged, its
    call has ended, or its labels, feedback or preferences have changed. Only those are sent that match: the same plain
    filters as for the list, or `filter`, a tree of conditions as JSON. `deleted` names the completion_id of one that is
    no more, `missed` a count of changes that came too fast to be sent: read the list anew.
    """
    project = context.project(query.project)
    names = context.names(project)
    conditions = (await plain_filter(context, query), _tree(query.filter))
    wanted = Filter(and_=[condition for condition in conditions if condition])
    # What is wrong with the filter is said at once, not in the stream.
    await context.store.read(_matching, names, context, wanted, [])
    broadcast = context.home.live
    if broadcast.listeners >= context.settings.max_live:
        raise Unavailable(
            f"{broadcast.listeners} watch already, which is the limit.",
            code="too_many_watch",
            hint="Try again later, or raise AFTERWORD_MAX_LIVE.",
            retry_after=10,
        )
    return Events(_events(context, names, wanted))


async def _events(context: Context, names: ProjectNames, wanted: Filter) -> AsyncGenerator[bytes]:
    broadcast = context.home.live
    listener = broadcast.join(names.project)
    try:
        yield b": ready\nretry: 2000\n\n"
        sent = time.monotonic()
        while not listener.closed:
            with suppress(TimeoutError):
                await asyncio.wait_for(listener.awake.wait(), sent + HEARTBEAT - time.monotonic())
                await asyncio.sleep(GATHERED)
            _check(context, names.project)
            events = await _round(context, names, wanted, listener)
            # Much may happen of which nothing matches.
            if not events and time.monotonic() - sent >= HEARTBEAT:
                events = [b": still here\n\n"]
            for event in events:
                yield event
                sent = time.monotonic()
    except AfterwordError as error:
        # The key was revoked, say: the last word, and the end.
        yield b"event: error\ndata: " + _encoder.encode(error.body()) + b"\n\n"
    finally:
        broadcast.leave(listener)


async def _round(context: Context, names: ProjectNames, wanted: Filter, listener: Listener) -> list[bytes]:
    changed, deleted, missed = listener.take()
    missed += max(0, len(changed) - MOST_AT_ONCE)
    found: list[Interaction] = []
    if changed:
        found = await context.store.read(_matching, names, context, wanted, changed[-MOST_AT_ONCE:])
    events = [_event("interaction", one, id=one.completion_id) for one in reversed(found)]
    events += [_event("deleted", {"completion_id": one.interaction}) for one in deleted]
    if missed:
        events.append(_event("missed", {"count": missed}))
    return events


def _matching(
    connection: Connection, names: ProjectNames, context: Context, wanted: Filter, ids: list[UUID]
) -> list[Interaction]:
    these = Filter(completion_id=Match(in_=[str(one) for one in ids]))
    both = Filter(and_=[these, wanted])
    now = ProjectNames(context, names.project, context.now())
    found = pages.find(connection, now, both, order="-created_at", limit=MOST_AT_ONCE, cursor=None, count=False)
    return present(context, connection, found.rows, view="short", images="links")


def _check(context: Context, project: int) -> None:
    """Raise `Unauthorized` or `Forbidden` where the key, or its right to read the project, has ended."""
    actor = allowed(context.catalog, renewed(context.catalog, context.actor, context.now()), "read")
    Context(context.home, actor).project(context.catalog.projects[project].key)


def _tree(text: str | None) -> Filter | None:
    if text is None:
        return None
    try:
        return _filters.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Invalid(
            f"filter is no tree of conditions: {error}.",
            code="invalid_filter",
            param="filter",
            hint='Give JSON such as {"label": {"key": "env", "value": {"eq": "prod"}}}.',
        ) from None


def _event(name: str, shown: Any, id: UUID | None = None) -> bytes:
    head = f"id: {id}\n" if id else ""
    return f"{head}event: {name}\ndata: ".encode() + _encoder.encode(shown) + b"\n\n"
