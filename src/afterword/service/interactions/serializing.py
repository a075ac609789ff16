"""Converts stored rows to interactions, feedback and preferences as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from sqlalchemy import Connection, Row

from afterword.message_words import message_words
from afterword.service.access import is_own
from afterword.service.context import Context
from afterword.service.interactions import content, media
from afterword.service.timestamps import to_datetime
from afterword.store import interactions as stored
from afterword.store.calls import COMPLETE, ORIGIN_COLUMNS, STATES, SYSTEM_METRICS
from afterword.store.payloads import completion_message, prompt_message, prompt_text
from afterword.store.query.conditions import CHAT, SOURCES
from afterword.types import Call, Feedback, Images, Interaction, Message, Outcome, Preference, Search, View
from afterword.types.fields import TEXT_FIELDS
from afterword.types.queries import InteractionQuery, ListQuery

SHORT_CHARACTERS = 300
USAGE_METRICS = tuple(name for name in SYSTEM_METRICS if name.endswith("_tokens"))
TIMING_METRICS = tuple(name for name in SYSTEM_METRICS if name not in USAGE_METRICS)


def shown_media(query: InteractionQuery | ListQuery | Search) -> Images:
    """Return how a query asks for images, audio and files."""
    return "inline" if "inline" in (query.images, query.media) else "links"


def serialize_interactions(
    context: Context,
    connection: Connection,
    rows: Sequence[Row[Any]],
    *,
    view: View,
    images: Images,
    with_outcomes: bool = True,
) -> list[Interaction]:
    """Convert rows of `interactions` to interactions as the API shows them. Call it in a reader's thread.

    Without `with_outcomes`, the session's outcomes and the A/B test are not read, for callers that do not show them.
    """
    is_full = view == "full"
    all_facts = stored.read_facts(connection, rows, with_payloads=is_full, with_outcomes=is_full and with_outcomes)
    contents: dict[bytes, bytes] = {}
    if is_full and images == "inline":
        image_hashes: set[bytes] = set()
        for facts in all_facts:
            if facts.payload:
                stored_messages = [*facts.payload.messages, facts.payload.message or {}]
                image_hashes |= content.image_hashes(stored_messages) | media.media_hashes(stored_messages)
        contents = stored.image_contents(connection, image_hashes)
    return [
        _serialized_interaction(context, facts, is_full, contents if images == "inline" else None)
        for facts in all_facts
    ]


def _serialized_interaction(
    context: Context, facts: stored.InteractionFacts, is_full: bool, contents: dict[bytes, bytes] | None
) -> Interaction:
    row, payload = facts.row, facts.payload
    project = context.catalog.projects[row.project].key
    # Without payload and preview, retention has deleted the text.
    expired = False
    if payload is not None and is_full:
        prompt, completion = prompt_text(payload.messages), payload.completion
    elif payload is not None:
        prompt = message_words(prompt_message(payload.messages))
        completion = message_words(completion_message(payload.completion, payload.message))
    elif row.preview is not None:
        preview = msgspec.json.decode(row.preview)
        prompt, completion = preview["prompt"], preview["completion"]
    else:
        expired, prompt, completion = True, "", ""
    image_address = partial(_address, "images", project, contents)
    messages: list[Message] | None = [] if is_full else None
    message: Message | None = None
    urls: dict[str, None] = {}
    if payload is not None:
        content.restore_images([*payload.messages, payload.message or {}], partial(_noted_image_url, urls, project))
    if is_full and payload is not None:
        media_address = partial(_address, "media", project, contents)
        restored = media.restore_media([*payload.messages, payload.message or {}], media_address)
        *messages, message = content.restore_images(restored, image_address)
        message = message or None
    return Interaction(
        completion_id=row.id,
        project=project,
        model=None if row.model is None else context.catalog.models[row.model].key,
        source=SOURCES[row.source],
        prompt=prompt if is_full else prompt[:SHORT_CHARACTERS],
        messages=messages,
        completion=completion if is_full else completion[:SHORT_CHARACTERS],
        message=message,
        labels=msgspec.json.decode(row.labels) if row.labels else {},
        session_id=row.session_id or row.id,
        created_at=to_datetime(row.created_at),
        prompt_hash=format(row.prompt_hash, "016x"),
        size=row.size,
        usage=payload.usage if payload else _call_numbers(facts.call, USAGE_METRICS) if expired else None,
        timings=payload.timings if payload else _call_numbers(facts.call, TIMING_METRICS) if expired else None,
        parameters=payload.parameters if payload and is_full else None,
        call=_serialized_call(facts.call) if facts.call is not None and _has_call_facts(facts.call) else None,
        facts=payload.facts if payload and is_full else None,
        feedback=[serialize_feedback(context, feedback_row) for feedback_row in facts.feedback],
        preferences=[serialize_preference(context, preference_row) for preference_row in facts.preferences],
        image_urls=list(urls),
        expired=expired,
        ab_campaign=None if facts.ab_test is None else context.catalog.tests.all[facts.ab_test].key,
        outcomes=[serialize_outcome(context, row) for row in facts.outcomes] if is_full else None,
        session=row.session,
        parent=row.parent,
        operation=row.operation or CHAT,
        **{field.name: getattr(row, field.column) for field in TEXT_FIELDS},
    )


def _call_numbers(call: Row[Any] | None, names: Sequence[str]) -> dict[str, Any] | None:
    """Return the measurements of a call, which are kept when its text is deleted."""
    measured = {} if call is None else {name: value for name in names if (value := getattr(call, name)) is not None}
    return measured or None


def _has_call_facts(row: Row[Any]) -> bool:
    """Return whether a row tells how a call went, and not only its numbers."""
    return row.state != COMPLETE or any(
        getattr(row, name) is not None for name in ("finish_reason", "error", *ORIGIN_COLUMNS)
    )


def _serialized_call(row: Row[Any]) -> Call:
    return Call(
        state=STATES[row.state],
        finish_reason=row.finish_reason,
        error=msgspec.json.decode(row.error) if row.error else None,
        **{name: getattr(row, name) for name in ORIGIN_COLUMNS},
    )


def _noted_image_url(urls: dict[str, None], project: str, digest: str, extension: str, header: str) -> str:
    url = _address("images", project, None, digest, extension, header)
    urls[url] = None
    return url


def _address(
    folder: Literal["images", "media"],
    project: str,
    contents: dict[bytes, bytes] | None,
    digest: str,
    extension: str,
    header: str,
) -> str:
    """Return what stands for an image, audio or a file: its link, or, with `contents`, the text that was sent."""
    if contents is None:
        return f"/{folder}/{quote(project, safe='')}/{digest}.{extension}"
    return media.media_text(header, contents[bytes.fromhex(digest)])


def serialize_feedback(context: Context, row: Row[Any]) -> Feedback:
    """Convert a row of `feedback` to feedback as the API shows it."""
    metric = context.catalog.metrics[row.metric]
    return Feedback(
        feedback_id=row.id,
        completion_id=row.interaction_id,
        metric=metric.key,
        value=row.value,
        details=row.details,
        reason=row.reason,
        user=row.user,
        actor=context.actor_name(row.actor),
        created_at=to_datetime(row.created_at),
        kind=metric.kind,
        mine=is_own(context.catalog, context.actor, row.actor),
    )


def serialize_outcome(context: Context, row: Row[Any]) -> Outcome:
    """Convert a row of `outcomes` to an outcome as the API shows it."""
    return Outcome(
        outcome_id=row.id,
        session_id=row.session_id,
        project=context.catalog.projects[row.project].key,
        metric=context.catalog.metrics[row.metric].key,
        value=row.value,
        details=row.details,
        user=row.user,
        actor=context.actor_name(row.actor),
        created_at=to_datetime(row.created_at),
        mine=is_own(context.catalog, context.actor, row.actor),
    )


def serialize_preference(context: Context, row: Row[Any]) -> Preference:
    """Convert a row of `preferences` to a preference as the API shows it. Both sides give the same result."""
    preferred, other = (row.interaction_id, row.other_id) if row.side == 1 else (row.other_id, row.interaction_id)
    return Preference(
        comparison_id=row.id,
        metric=context.catalog.metrics[row.metric].key,
        preferred_completion=preferred,
        other_completion=other,
        tied=row.tied,
        prompt_mismatch=bool(row.prompt_mismatch),
        details=row.details,
        user=row.user,
        actor=context.actor_name(row.actor),
        created_at=to_datetime(row.created_at),
        mine=is_own(context.catalog, context.actor, row.actor),
    )
