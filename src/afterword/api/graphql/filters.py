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

_SIGNS = ("eq", "neq", "gt", "gte", "lt", "lte")


def filter_of(given: dict[str, Any]) -> Filter:
    """Return the tree that a filter means. Raises `Invalid`."""
    if "advancedFilter" in given:
        return _node(given["advancedFilter"], "advancedFilter")
    if given.get("tags"):
        raise Invalid(
            "tags are not kept: interactions have labels.",
            code="no_tags",
            param="filter.tags",
            hint="Filter by labels.",
        )
    return Filter(and_=[_simple(name, value) for name, value in given.items() if name in _SIMPLE])


def project_of(given: dict[str, Any]) -> str:
    """Return the project that an input names, as `project` or `useCase`. Raises `Invalid`."""
    project = given.get("project", given.get("useCase"))
    if project is None:
        raise Invalid(
            "EntityNotFound: project (use_case): none is named.",
            code="missing_field",
            param="project",
            hint="Name the project by key or id.",
        )
    return project


def refuse_feedback_filter(name: str, given: Any) -> None:
    """Raise `Invalid` for a filter of what feedback counts: leaving it out would answer something else."""
    if given and given.get("labels"):
        raise Invalid(
            f"{name} is not served: feedback has no labels of its own.",
            code="not_served",
            param=name,
            hint="Filter the interactions by their labels, in the filter.",
        )


# ------------------------------------------------------------------------------------------------ plain members


def _simple(name: str, value: Any) -> Filter:
    conditions = _SIMPLE[name](value)
    return conditions[0] if len(conditions) == 1 else Filter(and_=conditions)


def _one(**condition: Any) -> list[Filter]:
    return [Filter(**condition)]


_SIMPLE: dict[str, Any] = {
    "models": lambda value: _one(model=Match(in_=value)),
    "timerange": lambda value: _one(timerange=_times(value)),
    "sessionId": lambda value: _one(session_id=Match(eq=str(value))),
    "completionId": lambda value: _one(completion_id=Match(eq=str(value))),
    "userId": lambda value: _one(user=Match(eq=str(value))),
    "createdBy": lambda value: _one(user=Match(eq=value)),
    "promptHash": lambda value: _one(prompt_hash=Match(eq=value)),
    "source": lambda value: _one(source=Match(in_=value)),
    "prompt": lambda value: _one(prompt=TextCondition(contains=value)),
    "completion": lambda value: _one(completion=TextCondition(contains=value)),
    "feedbacks": lambda value: [Filter(feedback=_feedback(one)) for one in value],
    "scores": lambda value: [Filter(feedback=_feedback(one)) for one in value],
    "comparisons": lambda value: [Filter(preference=PreferenceCondition(metric=one["metric"])) for one in value],
    "labels": lambda value: [
        Filter(label=LabelCondition(key=one["key"], value=Match(in_=one["value"]) if "value" in one else None))
        for one in value
    ],
}


def _times(given: dict[str, Any]) -> TimeRange:
    return TimeRange(from_=given.get("from"), to=given.get("to"))


def _feedback(given: dict[str, Any]) -> FeedbackCondition:
    numbers = given.get("value", given)
    signs = {sign: numbers[sign] for sign in _SIGNS if sign in numbers}
    user = given.get("user")
    return FeedbackCondition(
        metric=given["metric"],
        value=NumberCondition(**signs) if signs else None,
        reasons=given.get("reasons"),
        user=None if user is None else str(user),
    )


# ------------------------------------------------------------------------------------------------ trees


def _lost(place: str) -> Invalid:
    return Invalid(
        f"{place} is an empty condition: the client has lost a filter. adaptive-sdk from 0.13.0 on drops "
        "`feedbacks`, `comparisons` and `user_id`, and would get everything.",
        code="lost_condition",
        param=place,
        hint="Filter by labels, models, time, source, session, completion or prompt_hash with this client; by "
        "feedback with POST /api/v1/interactions/search, or with Afterword's own client.",
    )


def _node(given: dict[str, Any], place: str) -> Filter:
    if not given:
        raise _lost(place)
    if len(given) > 1:
        raise Invalid(
            f"{place} has the conditions {', '.join(sorted(given))}; a condition is one of them.",
            code="ambiguous_condition",
            param=place,
            hint="Put them into a list under `and`.",
        )
    [(name, value)] = given.items()
    match name:
        case "and":
            return Filter(and_=_all_of(value, f"{place}.and"))
        case "or":
            return Filter(or_=[_node(one, f"{place}.or[{index}]") for index, one in enumerate(value)])
        case "not":
            return Filter(not_=_node(value, f"{place}.not"))
        case "timerange":
            return Filter(timerange=_times(value))
        case "label":
            if value.get("value") == {}:
                raise _lost(f"{place}.label.value")
            match = _match(value["value"]) if "value" in value else None
            return Filter(label=LabelCondition(key=value["key"], value=match))
        case "feedbacks" | "scores":
            return Filter(feedback=_feedback(value))
        case "source":
            return Filter(source=Match(eq=value))
        case "prompt" | "completion":
            return msgspec.structs.replace(Filter(), **{name: TextCondition(**value)})
    column = {"userId": "user", "createdBy": "user", "promptHash": "prompt_hash"}
    column |= {"sessionId": "session_id", "completionId": "completion_id"}
    match = _match(value) if isinstance(value, dict) else Match(eq=str(value))
    return msgspec.structs.replace(Filter(), **{column.get(name, name): match})


def _all_of(given: list[dict[str, Any]], place: str) -> list[Filter]:
    """Return what must all hold. Several sources beside each other mean any of them: an interaction has but one, and
    clients put a list of sources like that."""
    sources = [one["source"] for one in given if one.keys() == {"source"}]
    rest = [_node(one, f"{place}[{index}]") for index, one in enumerate(given) if one.keys() != {"source"}]
    return [*rest, Filter(source=Match(in_=sources))] if sources else rest


def _match(given: dict[str, Any]) -> Match:
    return Match(eq=given.get("eq"), in_=given.get("in"), neq=given.get("neq"))
