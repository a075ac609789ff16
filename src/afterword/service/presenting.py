"""Interactions as the wire shows them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec
from sqlalchemy import Connection, Row

from afterword.service import content
from afterword.service.access import is_own
from afterword.service.context import Context
from afterword.service.moments import shown
from afterword.store import interactions as stored
from afterword.store.calls import COMPLETE, NUMBERS, ORIGIN, STATES
from afterword.store.filters import SOURCES
from afterword.store.payloads import asked
from afterword.types import Call, Feedback, Images, Interaction, Message, Outcome, Preference, View

SHORT = 300
USAGE = tuple(name for name in NUMBERS if name.endswith("_tokens"))
TIMINGS = tuple(name for name in NUMBERS if name not in USAGE)


def present(
    context: Context,
    connection: Connection,
    rows: Sequence[Row[Any]],
    *,
    view: View,
    images: Images,
    with_outcomes: bool = True,
) -> list[Interaction]:
    """Turn rows of `interactions` into what the wire shows. Call it in a reader's thread.

    Without `with_outcomes` those of the session and the A/B test are not read, for faces that do not show them.
    """
    whole = view == "full"
    all_facts = stored.facts(connection, rows, whole=whole, with_outcomes=whole and with_outcomes)
    contents: dict[bytes, bytes] = {}
    if whole and images == "inline":
        wanted: set[bytes] = set()
        for facts in all_facts:
            if facts.payload:
                wanted |= content.references([*facts.payload.messages, facts.payload.message or {}])
        contents = stored.image_contents(connection, wanted)
    return [_interaction(context, facts, whole, contents if images == "inline" else None) for facts in all_facts]


def _interaction(
    context: Context, facts: stored.Facts, whole: bool, contents: dict[bytes, bytes] | None
) -> Interaction:
    row, said = facts.row, facts.payload
    project = context.catalog.projects[row.project].key
    # What was said is gone where there is neither: see retention.
    expired = False
    if said is not None:
        prompt, completion = asked(said.messages), said.completion
    elif row.preview is not None:
        preview = msgspec.json.decode(row.preview)
        prompt, completion = preview["prompt"], preview["completion"]
    else:
        expired, prompt, completion = True, "", ""
    show = partial(_image, project, contents)
    messages: list[Message] | None = [] if whole else None
    message: Message | None = None
    urls: dict[str, None] = {}
    if said is not None:
        content.give_out([*said.messages, said.message or {}], partial(_note, urls, project))
    if whole and said is not None:
        messages = content.give_out(said.messages, show)
        message = content.give_out([said.message], show)[0] if said.message else None
    return Interaction(
        completion_id=row.id,
        project=project,
        model=None if row.model is None else context.catalog.models[row.model].key,
        source=SOURCES[row.source],
        prompt=prompt if whole else prompt[:SHORT],
        messages=messages,
        completion=completion if whole else completion[:SHORT],
        message=message,
        labels=msgspec.json.decode(row.labels) if row.labels else {},
        session_id=row.session_id or row.id,
        user=row.user,
        created_at=shown(row.created_at),
        prompt_hash=format(row.prompt_hash, "016x"),
        size=row.size,
        usage=said.usage if said else _numbers(facts.call, USAGE) if expired else None,
        timings=said.timings if said else _numbers(facts.call, TIMINGS) if expired else None,
        parameters=said.parameters if said and whole else None,
        call=_call(facts.call) if facts.call is not None and _is_told(facts.call) else None,
        facts=said.facts if said and whole else None,
        feedback=[present_feedback(context, one) for one in facts.feedback],
        preferences=[present_preference(context, one) for one in facts.preferences],
        image_urls=list(urls),
        expired=expired,
        ab_campaign=None if facts.ab_test is None else context.catalog.tests.all[facts.ab_test].key,
        outcomes=[present_outcome(context, row) for row in facts.outcomes] if whole else None,
        session=row.session,
    )


def _numbers(call: Row[Any] | None, names: Sequence[str]) -> dict[str, Any] | None:
    """Return what was measured of a call: it stays when what was said is gone."""
    measured = {} if call is None else {name: value for name in names if (value := getattr(call, name)) is not None}
    return measured or None


def _is_told(row: Row[Any]) -> bool:
    """Return whether a row tells how a call went, and not only its numbers."""
    return row.state != COMPLETE or any(getattr(row, name) is not None for name in ("finish_reason", "error", *ORIGIN))


def _call(row: Row[Any]) -> Call:
    return Call(
        state=STATES[row.state],
        finish_reason=row.finish_reason,
        error=msgspec.json.decode(row.error) if row.error else None,
        **{name: getattr(row, name) for name in ORIGIN},
    )


def _note(urls: dict[str, None], project: str, digest: str, extension: str, header: str) -> str:
    url = _image(project, None, digest, extension, header)
    urls[url] = None
    return url


def _image(project: str, contents: dict[bytes, bytes] | None, digest: str, extension: str, header: str) -> str:
    if contents is None:
        return f"/images/{quote(project, safe='')}/{digest}.{extension}"
    return content.data_uri(header, contents[bytes.fromhex(digest)])


def present_feedback(context: Context, row: Row[Any]) -> Feedback:
    """Turn a row of `feedback` into what the wire shows."""
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
        created_at=shown(row.created_at),
        kind=metric.kind,
        mine=is_own(context.catalog, context.actor, row.actor),
    )


def present_outcome(context: Context, row: Row[Any]) -> Outcome:
    """Turn a row of `outcomes` into what the wire shows."""
    return Outcome(
        outcome_id=row.id,
        session_id=row.session_id,
        project=context.catalog.projects[row.project].key,
        metric=context.catalog.metrics[row.metric].key,
        value=row.value,
        details=row.details,
        user=row.user,
        actor=context.actor_name(row.actor),
        created_at=shown(row.created_at),
        mine=is_own(context.catalog, context.actor, row.actor),
    )


def present_preference(context: Context, row: Row[Any]) -> Preference:
    """Turn a row of `preferences` into what the wire shows; the same from both sides."""
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
        created_at=shown(row.created_at),
        mine=is_own(context.catalog, context.actor, row.actor),
    )
