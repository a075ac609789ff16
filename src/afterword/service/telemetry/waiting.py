"""Rows of `waiting_telemetry`: events and evaluations as they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import msgspec

from afterword.call_forms.content import CallContent, SpanEvent, read_events
from afterword.call_forms.evaluations import Evaluation
from afterword.service.context import Context
from afterword.store.catalog import ProjectRow

_encoder = msgspec.json.Encoder(order="sorted")
_event_decoder = msgspec.json.Decoder(SpanEvent)
_evaluation_decoder = msgspec.json.Decoder(Evaluation)


class WaitingEvaluation(NamedTuple):
    """An evaluation as it is stored, with the key of its row."""

    target_id: UUID
    id: UUID
    actor: int
    evaluation: Evaluation


def waiting_row(
    context: Context, project: ProjectRow, target_id: UUID, event: SpanEvent | Evaluation
) -> tuple[Any, ...]:
    """Return the row of an event or an evaluation. Its id is made of what it tells: a repetition has the same."""
    content = _encoder.encode(event)
    return (
        target_id,
        uuid5(target_id, content.decode()),
        project.number,
        context.actor.number,
        context.now(),
        isinstance(event, Evaluation),
        event.response_id if isinstance(event, Evaluation) else None,
        content,
    )


def content_of(rows: Iterable[Any]) -> CallContent:
    """Return what the events among these rows tell."""
    return read_events([_event_decoder.decode(row.content) for row in rows if not row.is_evaluation])


def evaluations_of(rows: Iterable[Any]) -> Iterator[WaitingEvaluation]:
    """Yield the evaluations among these rows."""
    for row in rows:
        if row.is_evaluation:
            yield WaitingEvaluation(row.target_id, row.id, row.actor, _evaluation_decoder.decode(row.content))
