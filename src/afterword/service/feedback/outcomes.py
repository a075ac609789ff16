"""Outcomes: values on whole sessions, logged, read, changed and deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn
from uuid import UUID

from msgspec import UNSET
from sqlalchemy import Connection, Row

from afterword.errors import Conflict, NotFound
from afterword.ids import find_uuid, id_of_text, session_of, uuid7
from afterword.service import repetition
from afterword.service.access import check_amends
from afterword.service.context import Context, parse_id
from afterword.service.interactions.serializing import serialize_outcome
from afterword.service.timestamps import parse_created_at, parse_timestamp
from afterword.service.validation import check_text, feedback_value, value_text
from afterword.store import interactions as stored_interactions
from afterword.store import outcomes as stored
from afterword.store.engine import Owned, Transaction
from afterword.types import Deleted, NewOutcome, Outcome, OutcomeChange, OutcomePage, OutcomeRecorded
from afterword.types.queries import OutcomesQuery

SIZE = 500
"""Approximate size of an outcome in the store, in bytes."""


async def record(context: Context, *, body: NewOutcome) -> OutcomeRecorded:
    """Log an outcome: a value on a whole session under a feedback key.

    Every interaction of the session shows it. With an `outcome_id` of your own, you can repeat the call safely.
    """
    return await context.store.write(outcome_unit(context, body), SIZE)


def outcome_unit(context: Context, body: NewOutcome) -> Callable[[Transaction], OutcomeRecorded]:
    """Return the unit of work that logs an outcome. Raises the errors that need no read of the store."""
    created_at = parse_created_at(body.created_at, param="created_at", now=context.now())
    _check_texts(body.details, body.user)
    outcome_id = body.outcome_id or uuid7()
    request_hash = repetition.request_hash(body) if body.outcome_id else None

    session_id = find_uuid(body.session_id)
    project = None if session_id and body.project is None else context.project(body.project)
    if session_id is None:
        assert project
        session_id = id_of_text(project.key, body.session_id)

    def write(transaction: Transaction) -> OutcomeRecorded:
        if body.outcome_id and (existing := stored.find_outcome(transaction.connection, outcome_id)):
            _check_repetition(context, existing, body, request_hash, created_at)
            return OutcomeRecorded(outcome_id=outcome_id)
        project_number = None if project is None else project.number
        project_numbers = stored_interactions.projects_of_session(transaction.connection, session_id)
        visible_numbers = [
            number
            for number in sorted(project_numbers)
            if context.actor.sees(number) and project_number in (None, number)
        ]
        if not visible_numbers:
            raise NotFound(
                f"{body.session_id[:80]} has no interaction that this key may see.",
                noun="session",
                code="session_not_found",
                param="session_id",
                hint="Use the session_id that logging an interaction answered.",
            )
        [number, *_] = visible_numbers
        metric = context.metric(number, body.metric)
        row = (
            session_id,
            outcome_id,
            number,
            metric.number,
            feedback_value(metric, body.value),
            body.details,
            body.user,
            context.actor.number,
            created_at,
            request_hash,
        )
        stored.insert(transaction, row)
        return OutcomeRecorded(outcome_id=outcome_id)

    return Owned(write, own=body.outcome_id) if body.outcome_id else write


async def list_outcomes(context: Context, *, query: OutcomesQuery) -> OutcomePage:
    """List the outcomes of a project, newest first: all, or those of a session, metric, user or time range."""
    project = context.project(query.project)
    now = context.now()
    filter = stored.OutcomeFilter(
        project=project.number,
        session_id=session_of(project.key, query.session_id)[0],
        metric=None if query.metric is None else context.metric(project.number, query.metric).number,
        user=query.user,
        start=None if query.from_ is None else parse_timestamp(query.from_, param="from", now=now),
        end=None if query.to is None else parse_timestamp(query.to, param="to", now=now),
    )

    def read(connection: Connection) -> OutcomePage:
        rows, next_cursor = stored.page(
            connection,
            filter,
            newest_first=query.order == "-created_at",
            limit=query.limit,
            cursor=query.cursor,
        )
        return OutcomePage(
            outcomes=[serialize_outcome(context, row) for row in rows],
            next=next_cursor,
            count=stored.count(connection, filter) if query.count else None,
        )

    return await (context.store.read_long if query.count else context.store.read)(read)


async def get_outcome(context: Context, outcome_id: str) -> Outcome:
    """Show an outcome."""
    return serialize_outcome(context, await _outcome_row(context, outcome_id))


async def update_outcome(context: Context, outcome_id: str, *, body: OutcomeChange) -> Outcome:
    """Change the value or details of an outcome; omitted fields stay.

    Allowed for the user or key that gave it, and for keys that may edit.
    """
    row = await _amendable_outcome(context, outcome_id)
    values: dict[str, Any] = {}
    if body.details is not UNSET:
        _check_texts(body.details, None)
        values["details"] = body.details
    if body.value is not UNSET:
        values["value"] = feedback_value(context.catalog.metrics[row.metric], body.value)
    if values and not await context.store.write(lambda transaction: stored.change(transaction, row.id, values)):
        _raise_outcome_not_found(outcome_id)
    return serialize_outcome(context, await _outcome_row(context, outcome_id))


async def delete_outcome(context: Context, outcome_id: str) -> Deleted:
    """Delete an outcome. The interactions of its session stay.

    Allowed for the user or key that gave it, and for keys that may edit.
    """
    row = await _amendable_outcome(context, outcome_id)
    if not await context.store.write(lambda transaction: stored.remove(transaction, row.id)):
        _raise_outcome_not_found(outcome_id)
    return Deleted()


async def _amendable_outcome(context: Context, outcome_id: str) -> Row[Any]:
    """Return the row of an outcome that the actor may change. Raises `NotFound` and `Forbidden`."""
    row = await _outcome_row(context, outcome_id)
    check_amends(context, row.project, row.actor, noun=f"outcome {row.id}", param="outcome_id")
    return row


async def _outcome_row(context: Context, outcome_id: str) -> Row[Any]:
    row = await context.store.read(stored.find_outcome, parse_id(outcome_id, noun="outcome", param="outcome_id"))
    if row is None or not context.actor.sees(row.project):
        _raise_outcome_not_found(outcome_id)
    return row


def _check_repetition(
    context: Context, existing: Row[Any], body: NewOutcome, request_hash: int | None, created_at: int
) -> None:
    """Raise `Conflict` unless a body repeats the stored outcome."""
    try:
        value = float(body.value)
    except OverflowError:
        value = None
    is_same_outcome = existing.request_hash == request_hash or _matches_outcome(context, existing, body, created_at)
    if is_same_outcome and (value, body.details) == (existing.value, existing.details):
        return
    stored_value_text = ""
    if context.actor.sees(existing.project):
        metric = context.catalog.metrics[existing.metric]
        stored_value_text = f" Stored now is the value {value_text(metric, existing.value)} under {metric.key!r}."
    raise Conflict(
        f"The outcome_id {existing.id} is taken with other content.{stored_value_text}",
        code="outcome_exists",
        param="outcome_id",
        hint=f"To change it, send value or details to PATCH /api/v1/outcomes/{existing.id}; "
        "to log another, give it an outcome_id of its own.",
    )


def _matches_outcome(context: Context, existing: Row[Any], body: NewOutcome, created_at: int) -> bool:
    """Tell whether a body names session, metric and user of an outcome, and no other project or time."""
    project = None if body.project is None else context.catalog.find_project(body.project)
    session_id, _ = session_of(context.catalog.projects[existing.project].key, body.session_id)
    metric = context.catalog.find_metric(existing.project, body.metric)
    return (
        context.actor.sees(existing.project)
        and metric is not None
        and metric.number == existing.metric
        and (session_id, body.user) == (existing.session_id, existing.user)
        and (body.project is None or (project is not None and project.number == existing.project))
        and (body.created_at is None or created_at == existing.created_at)
    )


def _check_texts(details: str | None, user: str | None) -> None:
    for param, text in (("details", details), ("user", user)):
        if text is not None:
            check_text(text, param=param)


def _raise_outcome_not_found(outcome_id: str | UUID) -> NoReturn:
    raise NotFound(
        f"{outcome_id} does not exist, or this key may not see it.",
        noun="outcome",
        code="outcome_not_found",
        param="outcome_id",
        hint="List them with GET /api/v1/outcomes.",
    )
