"""Log records of OpenTelemetry that tell what was said in a call, or how good it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from afterword.call_forms import conventions
from afterword.call_forms.content import CallContent, LoggedChoice, SpanEvent
from afterword.call_forms.evaluations import Evaluation, read_evaluation
from afterword.call_forms.spans import is_id, span_key
from afterword.errors import AfterwordError
from afterword.ids import id_of_choice, id_of_text
from afterword.service.context import Context
from afterword.service.interactions import preparation
from afterword.service.interactions.content import extract_images_as_sent
from afterword.service.interactions.media import Media
from afterword.service.telemetry.evaluations import record_evaluations
from afterword.service.telemetry.results import ExportResult
from afterword.service.telemetry.waiting import content_of, waiting_row
from afterword.store import interactions as stored
from afterword.store import telemetry
from afterword.store.catalog import ProjectRow
from afterword.store.engine import Owned, Transaction
from afterword.store.payloads import completion_message, message_text
from afterword.types import Message

MAX_COMMIT_CALLS = 200
_RECORD_BYTES = 1_000
"""About how many bytes a log record holds in memory beside its texts."""


class LogRecord(msgspec.Struct, frozen=True):
    """A log record, with the span in whose context it was sent."""

    trace_id: str
    span_id: str
    event: SpanEvent
    resource: dict[str, Any]

    @property
    def span_key(self) -> str | None:
        """Return the key of the span; None if it was sent outside of any."""
        return span_key(self.trace_id, self.span_id) if is_id(self.trace_id) and is_id(self.span_id) else None


async def record_log_records(context: Context, records: Sequence[LogRecord]) -> ExportResult:
    """Store what log records tell about calls: messages, completions and evaluations. Other records are counted.

    What comes before the span of its call waits on the disk; what comes later completes the stored interaction. Raises
    `Unavailable` if not all could be stored: then the exporter is to send all of them again.
    """
    result = ExportResult(context.state.meters)
    evaluations: list[Evaluation] = []
    events: dict[tuple[str, str | None], list[SpanEvent]] = {}
    for record in records:
        if record.event.name == conventions.EVALUATION_EVENT:
            evaluations.append(read_evaluation(record.event, span_key=record.span_key, resource=record.resource))
        elif record.event.name in conventions.CONTENT_EVENTS and record.span_key is not None:
            key = record.span_key, record.resource.get("afterword.project")
            events.setdefault(key, []).append(record.event)
        else:
            result.add("log_records", "ignored")
    calls = list(events.items())
    for start in range(0, len(calls), MAX_COMMIT_CALLS):
        await _record_events(context, calls[start : start + MAX_COMMIT_CALLS], result)
    await record_evaluations(context, evaluations, result)
    return result


async def _record_events(
    context: Context, calls: Iterable[tuple[tuple[str, str | None], list[SpanEvent]]], result: ExportResult
) -> None:
    units: list[tuple[str, int, Owned]] = []
    for (key, project_key), events in calls:
        try:
            project = context.project(project_key, writing=True)
            units.append((key, len(events), _events_unit(context, project, key, events)))
        except AfterwordError as error:
            result.reject("log_records", error, f"{len(events)} log records of span {key}")
    if not units:
        return
    size = sum(number * _RECORD_BYTES for _, number, _ in units)
    outcomes: list[Any] = await context.store.write_many([unit for *_, unit in units], size)
    for (key, number, _), outcome in zip(units, outcomes, strict=True):
        if isinstance(outcome, Exception):
            result.reject("log_records", outcome, f"{number} log records of span {key}")
            continue
        result.add("log_records", "waiting" if outcome is None else "stored", number)
        context.state.broadcast.publish_changed(outcome or ())
    context.state.search_index_worker.wake()


def _events_unit(context: Context, project: ProjectRow, key: str, events: Sequence[SpanEvent]) -> Owned:
    """Return the unit of work that stores the events of a call, and completes the call if it is stored. Its result are
    the completed interactions; None if the call is yet to come."""
    target_id = id_of_text(project.key, key)
    new_rows = [waiting_row(context, project, target_id, event) for event in events]

    def write(transaction: Transaction) -> list[UUID] | None:
        earlier = telemetry.waiting_of(transaction.connection, [target_id])
        transaction.put(telemetry.INSERT_WAITING, new_rows)
        row = stored.find_interaction(transaction.connection, target_id, row_lock=True)
        if row is None or row.project != project.number:
            return None
        now = telemetry.waiting_of(transaction.connection, [target_id])
        if len(now) == len(earlier):
            return []
        return _complete(context, transaction, project, key, content_of(earlier), content_of(now))

    return Owned(write, target_id)


def _complete(
    context: Context, transaction: Transaction, project: ProjectRow, key: str, before: CallContent, after: CallContent
) -> list[UUID]:
    """Give the interactions of a call the content that its events tell; return those that changed.

    `before` is what the events told that came earlier. Messages and completions that came with the span stay.
    """
    changed_ids: list[UUID] = []
    first_id = id_of_text(project.key, key)
    for index in range(max(1, len(after.choices))):
        completion_id = id_of_choice(first_id, index)
        row = stored.find_interaction(transaction.connection, completion_id, row_lock=True)
        payload = None if row is None else telemetry.lock_content(transaction, completion_id)
        if row is None or payload is None:
            continue
        choice = _choice(after, index)
        answer = completion_message(payload.completion, payload.message)
        messages = _replacement(context, payload.messages, before.messages, after.messages)
        answers = _replacement(
            context,
            [] if answer == completion_message("", None) else [answer],
            _as_messages(_choice(before, index)),
            _as_messages(choice),
        )
        images: list[Media] = []
        if messages is not None:
            payload.messages = messages[0]
            images += messages[1]
        if answers is not None:
            [message] = answers[0]
            payload.completion = message_text(message)
            payload.message = None if isinstance(choice.completion, str) else message
            images += answers[1]
        if messages is None and answers is None:
            continue
        telemetry.note_replacement(transaction, completion_id)
        rows = preparation.replacing_rows(context, row, payload, images, finish_reason=choice.finish_reason)
        transaction.put_all([rows])
        changed_ids.append(completion_id)
    return changed_ids


def _choice(content: CallContent, index: int) -> LoggedChoice:
    return content.choices[index] if index < len(content.choices) else LoggedChoice()


def _as_messages(choice: LoggedChoice) -> list[Message]:
    """Return a completion as a message, as it is stored; none if it is empty."""
    if isinstance(choice.completion, str):
        return [completion_message(choice.completion, None)] if choice.completion else []
    return [{**choice.completion, "role": "assistant"}]


def _replacement(
    context: Context, current: list[Message], before: list[Message], after: list[Message]
) -> tuple[list[Message], list[Media]] | None:
    """Return messages as they are stored, with their images. None: the stored ones stay, because they are the same
    or did not come from events."""
    if after == before or (current and current != extract_images_as_sent(before, context.settings)[0]):
        return None
    return extract_images_as_sent(after, context.settings)
