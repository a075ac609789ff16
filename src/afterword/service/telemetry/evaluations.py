"""Evaluations that were sent by OpenTelemetry become feedback, at once or when the call that they are about comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from afterword.call_forms.evaluations import Evaluation
from afterword.errors import AfterwordError, Forbidden, Invalid
from afterword.ids import find_uuid_of_answer, id_of_text
from afterword.service.access import has_permission
from afterword.service.context import Context
from afterword.service.feedback import metrics
from afterword.service.feedback.feedback import feedback_unit
from afterword.service.telemetry.results import ExportResult
from afterword.service.telemetry.waiting import WaitingEvaluation, waiting_row
from afterword.service.validation import feedback_value
from afterword.store import interactions as stored
from afterword.store import telemetry
from afterword.store.catalog import MetricRow, ProjectRow
from afterword.store.engine import Owned, Transaction
from afterword.types import NewFeedback, NewMetric

MAX_REASON_CHARACTERS = 200


async def record_evaluations(context: Context, evaluations: Sequence[Evaluation], result: ExportResult) -> None:
    """Log evaluations as feedback. One whose call is not stored yet waits on the disk.

    The name is the feedback key. An unknown one is registered if the key may edit, else the evaluation is rejected.
    """
    units: list[tuple[Evaluation, Owned]] = []
    for evaluation in evaluations:
        try:
            units.append((evaluation, await _evaluation_unit(context, evaluation)))
        except AfterwordError as error:
            result.reject("evaluations", error, _place(evaluation))
    if not units:
        return
    outcomes = await context.store.write_many([unit for _, unit in units])
    for (evaluation, _), outcome in zip(units, outcomes, strict=True):
        if isinstance(outcome, Exception):
            result.reject("evaluations", outcome, _place(evaluation))
        elif outcome is None:
            result.add("evaluations", "waiting")
        else:
            result.add("evaluations", "stored")
            context.state.broadcast.publish_rated([str(outcome)])
    context.state.search_index_worker.wake()


def _place(evaluation: Evaluation) -> str:
    return f"evaluation {evaluation.name[:80]!r} of {evaluation.response_id or evaluation.span_key or 'no call'}"


async def _evaluation_unit(context: Context, evaluation: Evaluation) -> Owned:
    """Return the unit of work that stores an evaluation. Its result is the completion; None if that is yet to come."""
    project = context.project(evaluation.project, writing=True)
    target = evaluation.response_id or evaluation.span_key
    if target is None:
        raise Invalid(
            "It names no call.",
            code="evaluation_without_call",
            param="gen_ai.response.id",
            hint="Send the event in the context of the call's span, or with its gen_ai.response.id.",
        )
    metric = await _metric_of(context, project, evaluation)
    if evaluation.value is None:
        raise Invalid(
            f"It has no score; its label is {evaluation.label!r:.80}.",
            code="evaluation_without_value",
            param="gen_ai.evaluation.score.value",
            hint="Send gen_ai.evaluation.score.value, or a label such as pass or fail.",
        )
    feedback_value(metric, _value(metric, evaluation), param="gen_ai.evaluation.score.value")
    target_id = id_of_text(project.key, target)
    row = waiting_row(context, project, target_id, evaluation)
    waiting = WaitingEvaluation(target_id, row[1], context.actor.number, evaluation)

    def write(transaction: Transaction) -> UUID | None:
        completion_id = find_completion(transaction, project.number, target_id, evaluation.response_id)
        if completion_id is None:
            transaction.put(telemetry.INSERT_WAITING, [row])
        else:
            apply_evaluation(context, transaction, waiting, completion_id)
        return completion_id

    return Owned(write, target_id)


def find_completion(transaction: Transaction, project: int, target_id: UUID, response_id: str | None) -> UUID | None:
    """Return the completion that an evaluation is about, if it is stored."""
    connection = transaction.connection
    # The id of Afterword's own answer tells its completion. Some providers make ids of the same form.
    completion_id = target_id if response_id is None else find_uuid_of_answer(response_id)
    row = None if completion_id is None else stored.find_interaction(connection, completion_id)
    if row is not None and row.project == project:
        return completion_id
    return None if response_id is None else telemetry.find_completion_of_response(connection, project, response_id)


def apply_evaluation(
    context: Context, transaction: Transaction, waiting: WaitingEvaluation, completion_id: UUID
) -> None:
    """Store an evaluation as feedback by the key that sent it, and let it wait no longer."""
    evaluation = waiting.evaluation
    sender = Context(context.state, replace(context.actor, number=waiting.actor))
    project = stored.find_interaction(transaction.connection, completion_id).project
    metric = context.metric(project, evaluation.name)
    body = NewFeedback(
        completion_id=str(completion_id),
        metric=evaluation.name,
        value=_value(metric, evaluation),
        details=evaluation.explanation,
        reason=None if evaluation.label is None else evaluation.label[:MAX_REASON_CHARACTERS],
        created_at=evaluation.time or None,
        feedback_id=waiting.id,
    )
    feedback_unit(sender, body)(transaction)
    transaction.put(telemetry.DELETE_WAITING, [(waiting.target_id, waiting.id)])


def _value(metric: MetricRow, evaluation: Evaluation) -> Any:
    """Return the value as the metric takes it: true and false are 1 and 0 under a scalar key."""
    value = evaluation.value
    return int(value) if isinstance(value, bool) and metric.kind == "scalar" else value


async def _metric_of(context: Context, project: ProjectRow, evaluation: Evaluation) -> MetricRow:
    """Return the metric that an evaluation names; register it if it is unknown and the key may edit."""
    metric = context.catalog.find_metric(project.number, evaluation.name)
    if metric is not None:
        return metric
    if not has_permission(context.catalog, context.actor, "edit", project.number):
        raise Forbidden(
            f"The feedback key {evaluation.name[:80]!r} is not registered in {project.key!r}, and this API key may not "
            "register it.",
            code="metric_not_found",
            param="gen_ai.evaluation.name",
            hint=f"Register it once: afterword metrics register KEY --project {project.key}.",
        )
    kind = "bool" if isinstance(evaluation.value, bool) else "scalar"
    await metrics.register(context, body=NewMetric(key=evaluation.name, project=project.key, kind=kind))
    return context.metric(project.number, evaluation.name)
