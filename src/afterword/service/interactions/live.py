"""Live streams of interactions that are logged, changed or deleted."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row

from afterword.errors import AfterwordError, Invalid, NotFound, Unavailable
from afterword.service.access import get_permitted_actor, refreshed_actor
from afterword.service.cluster.broadcast import Listener
from afterword.service.context import Context, ProjectNames
from afterword.service.interactions.plain_filters import plain_filter
from afterword.service.interactions.serializing import serialize_interactions
from afterword.store.query import pages
from afterword.types import Filter, Interaction, WatchedInteraction, Watches
from afterword.types.queries import LiveQuery

# Seconds for which changes are collected, so that a burst of them is one read.
GATHER_SECONDS = 0.2
MAX_EVENT_IDS = 200
# Seconds of silence after which a comment is sent, because proxies close silent connections.
HEARTBEAT_SECONDS = 15.0
# Upper bound on the watches of one connection: each change is checked against each of them.
MAX_WATCH_COUNT = 50

_encoder = msgspec.json.Encoder()
_filter_decoder = msgspec.json.Decoder(Filter)


@dataclass(frozen=True, slots=True)
class LiveEvents:
    """Server-sent events, as they happen."""

    chunks: AsyncGenerator[bytes]


@dataclass(frozen=True, slots=True)
class _Watch:
    """The interactions of a project that match a filter, and the caller's name for them."""

    name: str
    project: int
    filter: Filter


async def watch(context: Context, *, query: LiveQuery) -> LiveEvents:
    """Watch interactions as server-sent events.

    An `interaction` event carries an interaction in the short view, with its completion_id as the event's id. It is
    sent when the interaction was logged, its call has ended, or its labels, feedback or preferences have changed.
    Interactions are sent if they match both the plain filters, which are those of the list, and `filter`, a filter tree
    as JSON. A `deleted` event names the completion_id of a deleted interaction. A `missed` event counts the changes
    that came too fast to be sent: reload the list.
    """
    project = context.project(query.project).number
    conditions = (await plain_filter(context, query), _filter_of_json(query.filter))
    watched_filter = Filter(and_=[condition for condition in conditions if condition])
    await context.store.read(_check_filter, context, _Watch("", project, watched_filter))
    return _events(context, [_Watch("", project, watched_filter)], with_names=False)


async def watch_many(context: Context, *, body: Watches) -> LiveEvents:
    """Watch several lists of interactions over one connection.

    The events are those of `GET /api/v1/interactions/live`. Each also carries `watches`, the names of the watches that
    it belongs to: `interaction` has `watches` and `interaction`, `deleted` has `watches` and `completion_id`, `missed`
    has `watches` and `count`.
    """
    if not 1 <= len(body.watches) <= MAX_WATCH_COUNT:
        raise Invalid(
            f"watches has {len(body.watches)} entries.",
            code="invalid_watches",
            param="watches",
            hint=f"Give 1 to {MAX_WATCH_COUNT}.",
        )
    watches: list[_Watch] = []
    for index, watch_request in enumerate(body.watches):
        try:
            project = context.project(watch_request.project).number
            watches.append(_Watch(watch_request.name, project, watch_request.filter or Filter(and_=[])))
            await context.store.read(_check_filter, context, watches[-1])
        except (Invalid, NotFound) as error:
            param = f"watches[{index}].{error.param or 'filter'}"
            raise type(error)(error.message, code=error.code, param=param, hint=error.hint) from None
    return _events(context, watches, with_names=True)


def _check_filter(connection: Connection, context: Context, watch: _Watch) -> None:
    """Raise the error of an invalid filter, so that it is the answer and not an event of the stream."""
    pages.matching(connection, ProjectNames(context, watch.project, context.now()), watch.filter, [])


def _events(context: Context, watches: Sequence[_Watch], *, with_names: bool) -> LiveEvents:
    """Return the events of all watches. Raises `Unavailable` if too many streams are open."""
    listeners = context.state.broadcast.listener_count
    if listeners >= context.settings.max_live:
        raise Unavailable(
            f"{listeners} watch already, which is the limit.",
            code="too_many_watch",
            hint="Try again later, or raise AFTERWORD_MAX_LIVE.",
            retry_after=10,
        )
    return LiveEvents(_stream(context, watches, with_names))


async def _stream(context: Context, watches: Sequence[_Watch], with_names: bool) -> AsyncGenerator[bytes]:
    broadcast = context.state.broadcast
    listener = broadcast.join(watch.project for watch in watches)
    try:
        yield b": ready\nretry: 2000\n\n"
        sent_at = time.monotonic()
        while not listener.closed:
            with suppress(TimeoutError):
                await asyncio.wait_for(listener.awake.wait(), sent_at + HEARTBEAT_SECONDS - time.monotonic())
                await asyncio.sleep(GATHER_SECONDS)
            _check_rights(context, watches)
            events = await _new_events(context, watches, listener, with_names)
            # Many changes may match no watch.
            if not events and time.monotonic() - sent_at >= HEARTBEAT_SECONDS:
                events = [b": still here\n\n"]
            for event in events:
                yield event
                sent_at = time.monotonic()
    except AfterwordError as error:
        # For example, the key was revoked: the error is the last event.
        yield b"event: error\ndata: " + _encoder.encode(error.body()) + b"\n\n"
    finally:
        broadcast.leave(listener)


async def _new_events(context: Context, watches: Sequence[_Watch], listener: Listener, with_names: bool) -> list[bytes]:
    """Return the events since the last round, with one read for all watches."""
    changed, deleted, missed = listener.take()
    missed += max(0, len(changed) - MAX_EVENT_IDS)
    matches: list[tuple[list[str], Interaction]] = []
    if changed:
        matches = await context.store.read(_matching, context, watches, changed[-MAX_EVENT_IDS:])
    events = [
        _event(
            "interaction",
            WatchedInteraction(names, interaction) if with_names else interaction,
            id=interaction.completion_id,
        )
        for names, interaction in matches
    ]
    for deletion in deleted:
        names = [watch.name for watch in watches if watch.project == deletion.project]
        events.append(_event("deleted", {**_watch_names(names, with_names), "completion_id": deletion.interaction}))
    if missed:
        names = [watch.name for watch in watches]
        events.append(_event("missed", {**_watch_names(names, with_names), "count": missed}))
    return events


def _watch_names(names: list[str], with_names: bool) -> dict[str, Any]:
    return {"watches": names} if with_names else {}


def _matching(
    connection: Connection, context: Context, watches: Sequence[_Watch], ids: list[UUID]
) -> list[tuple[list[str], Interaction]]:
    """Return the interactions that match any watch, oldest first, each with the names of its watches."""
    now = context.now()
    rows: dict[UUID, Row[Any]] = {}
    names: defaultdict[UUID, list[str]] = defaultdict(list)
    for watch in watches:
        for row in pages.matching(connection, ProjectNames(context, watch.project, now), watch.filter, ids):
            rows[row.id] = row
            names[row.id].append(watch.name)
    sorted_rows = sorted(rows.values(), key=lambda row: (row.created_at, row.id))
    interactions = serialize_interactions(context, connection, sorted_rows, view="short", images="links")
    return [(names[interaction.completion_id], interaction) for interaction in interactions]


def _check_rights(context: Context, watches: Sequence[_Watch]) -> None:
    """Raise `Unauthorized`, `Forbidden` or `NotFound` if the key, or its right to read a project, has ended."""
    actor = get_permitted_actor(context.catalog, refreshed_actor(context.catalog, context.actor, context.now()), "read")
    for project in {watch.project for watch in watches}:
        Context(context.state, actor).project(context.catalog.projects[project].key)


def _filter_of_json(text: str | None) -> Filter | None:
    if text is None:
        return None
    try:
        return _filter_decoder.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Invalid(
            f"filter is no tree of conditions: {error}.",
            code="invalid_filter",
            param="filter",
            hint='Give JSON such as {"label": {"key": "env", "value": {"eq": "prod"}}}.',
        ) from None


def _event(name: str, event_body: Any, id: UUID | None = None) -> bytes:
    head = f"id: {id}\n" if id else ""
    return f"{head}event: {name}\ndata: ".encode() + _encoder.encode(event_body) + b"\n\n"
