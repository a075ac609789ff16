"""Spans of OpenTelemetry become interactions: each once, however often an exporter repeats it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from afterword.call_forms.content import CallContent
from afterword.call_forms.conventions import EVALUATION_EVENT
from afterword.call_forms.evaluations import Evaluation, read_evaluation
from afterword.call_forms.limits import fit_to_limits
from afterword.call_forms.spans import ReceivedSpan, SpanCall, is_id, read_call
from afterword.config import Settings
from afterword.errors import AfterwordError, Invalid
from afterword.ids import find_uuid_of_answer, id_of_text
from afterword.service.context import Context
from afterword.service.interactions.recording import (
    PreparedInteraction,
    check_repetition,
    prepare_interaction,
    prepared_interaction,
)
from afterword.service.models.models import model_number
from afterword.service.telemetry.evaluations import apply_evaluation, record_evaluations
from afterword.service.telemetry.results import ExportResult
from afterword.service.telemetry.waiting import content_of, evaluations_of
from afterword.store import interactions as stored
from afterword.store import telemetry
from afterword.store.catalog import ProjectRow
from afterword.store.engine import ConditionalWrite, Owned, Rows, Transaction
from afterword.store.feedback import FIND_COMPLETION
from afterword.types import NewInteraction

# Calls in a commit, as lines of a batch.
MAX_COMMIT_CALLS = 200


class EventsWait(Exception):
    """Events that belong to the call came before it: they are to be joined with it."""


class _PreparedCall(NamedTuple):
    """A call that is ready to be written."""

    call: SpanCall
    project: ProjectRow
    parent: UUID | None
    prepared: list[PreparedInteraction]

    @property
    def completion_id(self) -> UUID:
        return self.prepared[0].response.completion_id

    @property
    def stored_ids(self) -> list[UUID]:
        """The ids under which it may be stored: its own, and that by which Afterword itself answered the call."""
        answered = find_uuid_of_answer(self.call.response_id or "")
        return [self.completion_id, *([answered] if answered else [])]

    @property
    def targets(self) -> list[UUID]:
        """The ids under which events wait for it."""
        ids = [self.completion_id]
        if self.call.response_id is not None:
            ids.append(id_of_text(self.project.key, self.call.response_id))
        return ids


async def record_spans(context: Context, spans: Sequence[ReceivedSpan]) -> ExportResult:
    """Log the calls of models among spans, and the evaluations that are events of spans. Other spans are counted.

    A span that is stored already changes nothing. Raises `Unavailable` if not all could be stored: then the exporter
    is to send all of them again.
    """
    result = ExportResult(context.state.meters)
    spans_by_key = {span.key: span for span in spans}
    calls_by_key: dict[str, tuple[SpanCall, ProjectRow]] = {}
    for span in spans:
        try:
            call = _read_call(span)
            if call is None:
                result.add("spans", "ignored")
            else:
                calls_by_key[span.key] = call, context.project(call.interaction.project, writing=True)
        except AfterwordError as error:
            result.reject("spans", error, f"span {span.key}")
    parents = await _parents(context, calls_by_key, spans_by_key)
    calls = [(call, project, parents.get(key)) for key, (call, project) in calls_by_key.items()]
    for start in range(0, len(calls), MAX_COMMIT_CALLS):
        await _record_calls(context, calls[start : start + MAX_COMMIT_CALLS], result)
    await record_evaluations(context, _evaluations(spans, calls_by_key), result)
    return result


def _read_call(span: ReceivedSpan) -> SpanCall | None:
    """Return the call that a span is; None for any other span. Raises `Invalid` for a span without an id."""
    if not is_id(span.trace_id) or not is_id(span.span_id):
        raise Invalid(
            f"trace_id is {span.trace_id!r:.40} and span_id {span.span_id!r:.40}, but neither may be empty or zero.",
            code="invalid_span",
            param="span_id",
        )
    return read_call(span)


def _evaluations(
    spans: Iterable[ReceivedSpan], calls_by_key: Mapping[str, tuple[SpanCall, ProjectRow]]
) -> list[Evaluation]:
    """Return the evaluations that are events of spans. On a span that is no call, they are about the call that it links
    to, or that it is part of."""
    evaluations: list[Evaluation] = []
    for span in spans:
        if not any(event.name == EVALUATION_EVENT for event in span.events):
            continue
        others = [*span.links, *([span.parent_key] if span.parent_key else [])]
        key = span.key if span.key in calls_by_key or not others else others[0]
        read = [
            read_evaluation(event, span_key=key, resource=span.resource)
            for event in span.events
            if event.name == EVALUATION_EVENT
        ]
        response_id = calls_by_key[key][0].response_id if key in calls_by_key else None
        if response_id is not None and find_uuid_of_answer(response_id):
            # The call went through Afterword, and is stored under the id of its answer.
            read = [
                msgspec.structs.replace(evaluation, response_id=evaluation.response_id or response_id)
                for evaluation in read
            ]
        evaluations += read
    return evaluations


async def _parents(
    context: Context, calls_by_key: Mapping[str, tuple[SpanCall, ProjectRow]], spans_by_key: Mapping[str, ReceivedSpan]
) -> dict[str, UUID]:
    """Return the completion that each call is a step of, by the keys of the calls: that of the nearest span around it
    that is a call. Of spans that came before, only the one next to those of the request is looked up."""
    parents: dict[str, UUID] = {}
    earlier: dict[str, UUID] = {}
    for key, (_, project) in calls_by_key.items():
        above, below = spans_by_key[key].parent_key, {key}
        while above is not None and above in spans_by_key and above not in calls_by_key and above not in below:
            below.add(above)
            above = spans_by_key[above].parent_key
        if above is None or above in below:
            continue
        (parents if above in calls_by_key else earlier)[key] = id_of_text(project.key, above)
    if earlier:

        def existing(connection: Connection) -> set[UUID]:
            return {row.id for row in stored.find_interactions(connection, list(set(earlier.values())))}

        existing_ids = await context.store.read(existing)
        parents |= {key: parent for key, parent in earlier.items() if parent in existing_ids}
    return parents


async def _record_calls(
    context: Context, calls: Sequence[tuple[SpanCall, ProjectRow, UUID | None]], result: ExportResult
) -> None:
    ready: list[_PreparedCall] = []
    for call, project, parent in calls:
        try:
            bodies = _bodies(context.settings, call, call.content, project, parent)
            prepared = [await prepare_interaction(context, body) for body in bodies]
            ready.append(_PreparedCall(call, project, parent, prepared))
        except Exception as error:
            result.reject("spans", error, f"span {call.key}")
    units = [_call_unit(prepared_call) for prepared_call in ready]
    outcomes: list[Any] = await context.store.write_many(units, _size(ready)) if units else []
    joined: list[_PreparedCall] = []
    for prepared_call, outcome in zip(ready, outcomes, strict=True):
        if isinstance(outcome, EventsWait):
            joined.append(prepared_call)
        else:
            await _note(context, prepared_call, outcome, result)
    if joined:
        joining = [await _joining_unit(context, prepared_call) for prepared_call in joined]
        joined_outcomes = await context.store.write_many(joining, _size(joined))
        for prepared_call, outcome in zip(joined, joined_outcomes, strict=True):
            await _note(context, prepared_call, outcome, result)


def _size(calls: Iterable[_PreparedCall]) -> int:
    return sum(prepared.size for prepared_call in calls for prepared in prepared_call.prepared)


async def _note(context: Context, call: _PreparedCall, outcome: Any, result: ExportResult) -> None:
    """Count what became of a call, and tell who watches."""
    if isinstance(outcome, Exception):
        try:
            await check_repetition(context, call.prepared[0], outcome)
            outcome = False
        except Exception as error:
            result.reject("spans", error, f"span {call.call.key}")
            return
    if outcome:
        for prepared in call.prepared:
            prepared.note_commit(context)
    result.add("spans", "stored" if outcome else "repeated")


def _bodies(
    settings: Settings, call: SpanCall, content: CallContent, project: ProjectRow, parent: UUID | None
) -> list[NewInteraction]:
    return [
        msgspec.structs.replace(fit_to_limits(body, settings), parent=parent and str(parent))
        for body in call.interactions(content, project.key)
    ]


def _call_unit(call: _PreparedCall) -> ConditionalWrite:
    """Return the unit of work that stores a call. Its result is whether it is new; raises `EventsWait`."""
    rows: Rows = [pair for prepared in call.prepared for pair in prepared.rows]

    stored_keys = [(FIND_COMPLETION, stored_id) for stored_id in call.stored_ids]
    waiting_keys = [(telemetry.FIND_WAITING, target) for target in call.targets]

    def write(*found_rows: Any) -> tuple[Rows, bool]:
        if any(row is not None for row in found_rows[: len(stored_keys)]):
            return [], False
        if any(row is not None for row in found_rows[len(stored_keys) :]):
            raise EventsWait
        return rows, True

    return ConditionalWrite([*stored_keys, *waiting_keys], write, own=call.completion_id)


async def _joining_unit(context: Context, call: _PreparedCall) -> Owned:
    """Return the unit of work that stores a call with the content and the evaluations that came before it."""
    model = call.call.interaction.model
    number = None if model is None else await model_number(context, model)

    def write(transaction: Transaction) -> bool:
        if stored.find_interactions(transaction.connection, call.stored_ids):
            return False
        rows = telemetry.waiting_of(transaction.connection, call.targets)
        content = call.call.content.completed_by(content_of(rows))
        bodies = _bodies(context.settings, call.call, content, call.project, call.parent)
        call.prepared[:] = [prepared_interaction(context, body, call.project, number) for body in bodies]
        transaction.put_all([prepared.rows for prepared in call.prepared])
        for evaluation in evaluations_of(rows):
            # One whose feedback key is gone by now waits on, and must not keep the call away.
            with contextlib.suppress(AfterwordError):
                apply_evaluation(context, transaction, evaluation, call.completion_id)
        return True

    return Owned(write, call.completion_id)
