"""Filters of interactions: from the words of the schema to a tree of conditions."""

from __future__ import annotations

from typing import Any

import msgspec

from afterword.errors import Invalid
from afterword.types import (
    FeedbackCondition,
    Filter,
    LabelCondition,
    Match,
    NumberCondition,
    PreferenceCondition,
    TextCondition,
    TimeRange,
)

_COMPARISONS = ("eq", "neq", "gt", "gte", "lt", "lte")


def filter_of(filter_input: dict[str, Any]) -> Filter:
    """Return the tree that a filter means. Raises `Invalid`."""
    if "advancedFilter" in filter_input:
        return _filter_node(filter_input["advancedFilter"], "advancedFilter")
    if filter_input.get("tags"):
        raise Invalid(
            "tags are not kept: interactions have labels.",
            code="no_tags",
            param="filter.tags",
            hint="Filter by labels.",
        )
    return Filter(and_=[_plain_filter(name, value) for name, value in filter_input.items() if name in _PLAIN_MEMBERS])


def project_of(input_fields: dict[str, Any]) -> str:
    """Return the project that an input names, as `project` or `useCase`. Raises `Invalid`."""
    project = input_fields.get("project", input_fields.get("useCase"))
    if project is None:
        raise Invalid(
            "EntityNotFound: project (use_case): none is named.",
            code="missing_field",
            param="project",
            hint="Name the project by key or id.",
        )
    return project


def refuse_feedback_filter(name: str, feedback_filter: Any) -> None:
    """Raise `Invalid` for a filter of what feedback counts: leaving it out would answer something else."""
    if feedback_filter and feedback_filter.get("labels"):
        raise Invalid(
            f"{name} is not served: feedback has no labels of its own.",
            code="not_served",
            param=name,
            hint="Filter the interactions by their labels, in the filter.",
        )


# ------------------------------------------------------------------------------------------------ plain members


def _plain_filter(name: str, value: Any) -> Filter:
    conditions = _PLAIN_MEMBERS[name](value)
    return conditions[0] if len(conditions) == 1 else Filter(and_=conditions)


def _single_filter(**condition: Any) -> list[Filter]:
    return [Filter(**condition)]


_PLAIN_MEMBERS: dict[str, Any] = {
    "models": lambda value: _single_filter(model=Match(in_=value)),
    "timerange": lambda value: _single_filter(timerange=_time_range(value)),
    "sessionId": lambda value: _single_filter(session_id=Match(eq=str(value))),
    "completionId": lambda value: _single_filter(completion_id=Match(eq=str(value))),
    "userId": lambda value: _single_filter(user=Match(eq=str(value))),
    "createdBy": lambda value: _single_filter(user=Match(eq=value)),
    "promptHash": lambda value: _single_filter(prompt_hash=Match(eq=value)),
    "source": lambda value: _single_filter(source=Match(in_=value)),
    "prompt": lambda value: _single_filter(prompt=TextCondition(contains=value)),
    "completion": lambda value: _single_filter(completion=TextCondition(contains=value)),
    "feedbacks": lambda value: [Filter(feedback=_feedback_condition(condition)) for condition in value],
    "scores": lambda value: [Filter(feedback=_feedback_condition(condition)) for condition in value],
    "comparisons": lambda value: [
        Filter(preference=PreferenceCondition(metric=condition["metric"])) for condition in value
    ],
    "labels": lambda value: [
        Filter(label=LabelCondition(key=label["key"], value=Match(in_=label["value"]) if "value" in label else None))
        for label in value
    ],
}


def _time_range(bounds: dict[str, Any]) -> TimeRange:
    return TimeRange(from_=bounds.get("from"), to=bounds.get("to"))


def _feedback_condition(condition: dict[str, Any]) -> FeedbackCondition:
    numbers = condition.get("value", condition)
    comparisons = {sign: numbers[sign] for sign in _COMPARISONS if sign in numbers}
    user = condition.get("user")
    return FeedbackCondition(
        metric=condition["metric"],
        value=NumberCondition(**comparisons) if comparisons else None,
        reasons=condition.get("reasons"),
        user=None if user is None else str(user),
    )


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
        case "timerange":
            return Filter(timerange=_time_range(value))
        case "label":
            if value.get("value") == {}:
                raise _lost_condition(f"{path}.label.value")
            match = _match(value["value"]) if "value" in value else None
            return Filter(label=LabelCondition(key=value["key"], value=match))
        case "feedbacks" | "scores":
            return Filter(feedback=_feedback_condition(value))
        case "source":
            return Filter(source=Match(eq=value))
        case "prompt" | "completion":
            return msgspec.structs.replace(Filter(), **{name: TextCondition(**value)})
    column = {"userId": "user", "createdBy": "user", "promptHash": "prompt_hash"}
    column |= {"sessionId": "session_id", "completionId": "completion_id"}
    match = _match(value) if isinstance(value, dict) else Match(eq=str(value))
    return msgspec.structs.replace(Filter(), **{column.get(name, name): match})


def _joined_filters(conditions: list[dict[str, Any]], path: str) -> list[Filter]:
    """Return what must all hold. Several sources beside each other mean any of them: an interaction has but one, and
    clients put a list of sources like that."""
    sources = [condition["source"] for condition in conditions if condition.keys() == {"source"}]
    other_filters = [
        _filter_node(condition, f"{path}[{index}]")
        for index, condition in enumerate(conditions)
        if condition.keys() != {"source"}
    ]
    return [*other_filters, Filter(source=Match(in_=sources))] if sources else other_filters


def _match(comparison: dict[str, Any]) -> Match:
    return Match(eq=comparison.get("eq"), in_=comparison.get("in"), neq=comparison.get("neq"))
