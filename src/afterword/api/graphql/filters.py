"""Filters of interactions: translating inputs of the schema to a tree of conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from afterword.errors import Invalid, NotFound
from afterword.types import (
    FeedbackCondition,
    Filter,
    LabelCondition,
    Match,
    NumberCondition,
    OutcomeCondition,
    PreferenceCondition,
    TextCondition,
    TimeRange,
)
from afterword.types.field import Comparison, Field
from afterword.types.fields import FIELDS

_COMPARISONS = ("eq", "neq", "gt", "gte", "lt", "lte")


def filter_of(filter_input: dict[str, Any]) -> Filter:
    """Return the condition tree of a filter input. Raises `Invalid`."""
    if "advancedFilter" in filter_input:
        return _filter_node(filter_input["advancedFilter"], "advancedFilter")
    if filter_input.get("tags"):
        raise Invalid(
            "tags are not kept: interactions have labels.",
            code="no_tags",
            param="filter.tags",
            hint="Filter by labels.",
        )
    plain = Filter(and_=[_plain_filter(name, value) for name, value in filter_input.items() if name in _FIELDS])
    return Filter(repeats=plain) if filter_input.get("repeats") else plain


def project_of(input_fields: dict[str, Any]) -> str:
    """Return the project that an input names, as `project` or `useCase`. Raises `NotFound`."""
    project = input_fields.get("project", input_fields.get("useCase"))
    if project is None:
        raise NotFound(
            "is not named.",
            noun="project",
            code="missing_field",
            param="project",
            hint="Name the project by key or id.",
        )
    return project


def refuse_feedback_filter(name: str, feedback_filter: Any) -> None:
    """Raise `Invalid` for a filter by labels of feedback: ignoring it would return other results."""
    if feedback_filter and feedback_filter.get("labels"):
        raise Invalid(
            f"{name} is not served: feedback has no labels of its own.",
            code="not_served",
            param=name,
            hint="Filter the interactions by their labels, in the filter.",
        )


# ------------------------------------------------------------------------------------------------ plain members


def _plain_filter(name: str, value: Any) -> Filter:
    field = _FIELDS[name]
    if field.compared_as in _CONVERTERS:
        conditions = _CONVERTERS[field.compared_as](value)
        return conditions[0] if len(conditions) == 1 else Filter(and_=conditions)
    if field.compared_as == "phrase":
        return _filter_on(field, TextCondition(contains=value))
    return _filter_on(field, Match(in_=list(map(str, value))) if isinstance(value, list) else Match(eq=str(value)))


def _filter_on(field: Field, condition: Match | TextCondition) -> Filter:
    return msgspec.structs.replace(Filter(), **{field.name: condition})


_CONVERTERS: dict[Comparison, Callable[[Any], list[Filter]]] = {
    "timerange": lambda value: [Filter(timerange=_time_range(value))],
    "label": lambda value: [
        Filter(label=LabelCondition(key=label["key"], value=Match(in_=label["value"]) if "value" in label else None))
        for label in value
    ],
    "feedback": lambda value: [Filter(feedback=_feedback_condition(condition)) for condition in value],
    "preference": lambda value: [
        Filter(preference=PreferenceCondition(metric=condition["metric"])) for condition in value
    ],
    "outcome": lambda value: [Filter(outcome=_outcome_condition(condition)) for condition in value],
    "words": lambda value: [Filter(text=value)],
}
_FIELDS = {member: field for field in FIELDS for member in field.graphql}


def _time_range(bounds: dict[str, Any]) -> TimeRange:
    return TimeRange(from_=bounds.get("from"), to=bounds.get("to"))


def _feedback_condition(condition: dict[str, Any]) -> FeedbackCondition:
    user = condition.get("user")
    return FeedbackCondition(
        metric=condition["metric"],
        value=_number_condition(condition),
        reasons=condition.get("reasons"),
        user=None if user is None else str(user),
    )


def _outcome_condition(condition: dict[str, Any]) -> OutcomeCondition:
    value = _number_condition(condition)
    return OutcomeCondition(metric=condition["metric"], value=value, user=condition.get("user"))


def _number_condition(condition: dict[str, Any]) -> NumberCondition | None:
    numbers = condition.get("value", condition)
    comparisons = {sign: numbers[sign] for sign in _COMPARISONS if sign in numbers}
    return NumberCondition(**comparisons) if comparisons else None


# ------------------------------------------------------------------------------------------------ trees


def _lost_condition(path: str) -> Invalid:
    return Invalid(
        f"{path} is an empty condition: the client has lost a filter. adaptive-sdk from 0.13.0 on drops "
        "`feedbacks`, `comparisons` and `user_id`, and would get everything.",
        code="lost_condition",
        param=path,
        hint="Filter by labels, models, time, source, session, completion or prompt_hash with this client; by "
        "feedback with POST /api/v1/interactions/search, or with Afterword's own client.",
    )


def _filter_node(condition: dict[str, Any], path: str) -> Filter:
    if not condition:
        raise _lost_condition(path)
    if len(condition) > 1:
        raise Invalid(
            f"{path} has the conditions {', '.join(sorted(condition))}; a condition is one of them.",
            code="ambiguous_condition",
            param=path,
            hint="Put them into a list under `and`.",
        )
    [(name, value)] = condition.items()
    match name:
        case "and":
            return Filter(and_=_joined_filters(value, f"{path}.and"))
        case "or":
            return Filter(or_=[_filter_node(operand, f"{path}.or[{index}]") for index, operand in enumerate(value)])
        case "not":
            return Filter(not_=_filter_node(value, f"{path}.not"))
        case "repeats":
            return Filter(repeats=_filter_node(value, f"{path}.repeats"))
        case "timerange":
            return Filter(timerange=_time_range(value))
        case "label":
            if value.get("value") == {}:
                raise _lost_condition(f"{path}.label.value")
            match = _match(value["value"]) if "value" in value else None
            return Filter(label=LabelCondition(key=value["key"], value=match))
        case "feedbacks" | "scores":
            return Filter(feedback=_feedback_condition(value))
        case "comparisons":
            return Filter(preference=PreferenceCondition(metric=value["metric"]))
        case "outcomes":
            return Filter(outcome=_outcome_condition(value))
        case "text":
            return Filter(text=value)
        case "prompt" | "completion":
            return _filter_on(_FIELDS[name], TextCondition(**value))
    return _filter_on(_FIELDS[name], _match(value) if isinstance(value, dict) else Match(eq=str(value)))


def _joined_filters(conditions: list[dict[str, Any]], path: str) -> list[Filter]:
    """Return the filters that must all hold.

    Several `source` conditions mean any of them: an interaction has one source, and clients send lists of sources so.
    """
    sources = [condition["source"] for condition in conditions if condition.keys() == {"source"}]
    other_filters = [
        _filter_node(condition, f"{path}[{index}]")
        for index, condition in enumerate(conditions)
        if condition.keys() != {"source"}
    ]
    return [*other_filters, Filter(source=Match(in_=sources))] if sources else other_filters


def _match(comparison: dict[str, Any]) -> Match:
    return Match(eq=comparison.get("eq"), in_=comparison.get("in"), neq=comparison.get("neq"))
