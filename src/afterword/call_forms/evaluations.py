"""Translates evaluations that were sent as events of OpenTelemetry, `gen_ai.evaluation.result`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from afterword.call_forms.content import SpanEvent, as_text

PASSING_LABELS = frozenset({"pass", "passed", "true", "yes", "good", "correct"})
FAILING_LABELS = frozenset({"fail", "failed", "false", "no", "bad", "incorrect"})


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A value on the completion of a call, which is known by its span or by the id of the provider's answer."""

    name: str
    value: bool | int | float | None = None
    """None: only a label was given, and it is neither a passing nor a failing one."""
    label: str | None = None
    explanation: str | None = None
    time: int = 0
    """In nanoseconds since 1970; 0: not known."""
    project: str | None = None
    span_key: str | None = None
    response_id: str | None = None
    choice: int = 0


def read_evaluation(event: SpanEvent, *, span_key: str | None, resource: Mapping[str, Any]) -> Evaluation:
    """Return the evaluation that an event holds. `span_key` is that of the span that it is on."""
    body = event.body if isinstance(event.body, dict) else {}

    def member(name: str) -> Any:
        return event.attributes.get(f"gen_ai.{name}", body.get(f"gen_ai.{name}", resource.get(name)))

    label, value = member("evaluation.score.label"), member("evaluation.score.value")
    word = as_text(label).strip().lower()
    if not isinstance(value, bool | int | float):
        value = True if word in PASSING_LABELS else False if word in FAILING_LABELS else None
    explanation, response_id = member("evaluation.explanation"), member("response.id")
    return Evaluation(
        name=as_text(member("evaluation.name")),
        value=value,
        label=as_text(label) or None,
        explanation=as_text(explanation) or None,
        time=event.time,
        project=resource.get("afterword.project"),
        span_key=span_key,
        response_id=as_text(response_id) or None,
    )
