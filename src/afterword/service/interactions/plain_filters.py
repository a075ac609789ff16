"""Converts plain parameters, such as `label=env:prod`, to conditions of a filter tree."""

from __future__ import annotations

import math
import re

import msgspec

from afterword.errors import Invalid
from afterword.service.context import Context, ProjectNames
from afterword.service.validation import check_text
from afterword.store import interactions as stored
from afterword.store.schema import label_number
from afterword.types import (
    FeedbackCondition,
    Filter,
    LabelCondition,
    Match,
    NumberCondition,
    OutcomeCondition,
    PreferenceCondition,
    TimeRange,
)
from afterword.types.fields import FIELDS
from afterword.types.queries import FilterQuery
from afterword.types.quoting import comparison_readings, label_readings, unquoted

# For each parameter that names values of one field: whether it may be repeated.
_MATCHED = {parameter.name: parameter.is_list for field in FIELDS if field.is_match for parameter in field.parameters}
_OPERATOR_OF_SIGN = {">=": "gte", "<=": "lte", "!=": "neq", ">": "gt", "<": "lt", "=": "eq"}


async def plain_filter(context: Context, query: FilterQuery) -> Filter | None:
    """Return the filter tree of plain parameters; None if they have no conditions."""
    conditions = await plain_conditions(context, query)
    return Filter(and_=[condition for _, condition in conditions]) if conditions else None


async def plain_conditions(context: Context, query: FilterQuery) -> list[tuple[str, Filter]]:
    """Return the conditions of plain parameters, each with the name of its parameter."""
    project = context.project(query.project)
    names = context.names(project)
    conditions = await _label_conditions(context, project.number, query.label)
    for name, is_list in _MATCHED.items():
        value = getattr(query, name)
        if value if is_list else value is not None:
            match = Match(in_=list(value)) if is_list else Match(eq=value)
            conditions.append((name, _filter_on(name, match)))
    if query.from_ is not None:
        conditions.append(("from", Filter(timerange=TimeRange(from_=query.from_))))
    if query.to is not None:
        conditions.append(("to", Filter(timerange=TimeRange(to=query.to))))
    for kind, condition_on in (("feedback", FeedbackCondition), ("outcome", OutcomeCondition)):
        for text in getattr(query, kind):
            metric, value = _metric_comparison(names, text, kind)
            conditions.append((kind, _filter_on(kind, condition_on(metric=metric, value=value))))
        for text in getattr(query, f"has_{kind}"):
            present = _filter_on(kind, condition_on(metric=_metric_key(names, text)))
            conditions.append((f"has_{kind}", present))
        for text in getattr(query, f"has_no_{kind}"):
            present = _filter_on(kind, condition_on(metric=_metric_key(names, text)))
            conditions.append((f"has_no_{kind}", Filter(not_=present)))
    for text in query.preference:
        conditions.append(("preference", Filter(preference=PreferenceCondition(metric=_metric_key(names, text)))))
    if query.q is not None:
        words = Filter(text=query.q)
        conditions.append(("q", Filter(repeats=words) if query.repeats else words))
    return conditions


def _filter_on(name: str, condition: Match | FeedbackCondition | OutcomeCondition) -> Filter:
    return msgspec.structs.replace(Filter(), **{name: condition})


async def _label_conditions(context: Context, project: int, texts: list[str]) -> list[tuple[str, Filter]]:
    """Return one condition for each key: any of the given values, or any value if the key is given alone."""
    values_by_key: dict[str, list[str] | None] = {}
    for text in texts:
        key, value = await _label_reading(context, project, text)
        if value is None:
            values_by_key[key] = None
        elif (values := values_by_key.setdefault(key, [])) is not None:
            values.append(value)
    return [
        ("label", Filter(label=LabelCondition(key=key, value=None if values is None else Match(in_=values))))
        for key, values in values_by_key.items()
    ]


def error_of_parameter(error: Invalid, names: list[str]) -> Invalid:
    """Return an error of a condition in the tree with its parameter in place of the path."""
    path = error.param or ""
    name = parameter_of_path(path, names)
    if name == path:
        return error
    return Invalid(error.message.replace(path, name), code=error.code, param=name, hint=error.hint)


def parameter_of_path(path: str, names: list[str]) -> str:
    """Return the parameter whose condition is at a path in the tree, such as `filter.and[0].label`.

    `names` are the parameters of the tree's conditions. Return any other path as it is.
    """
    path_match = re.match(r"filter\.and\[(\d+)\]", path)
    return path if path_match is None else names[int(path_match[1])]


async def _label_reading(context: Context, project: int, text: str) -> tuple[str, str | None]:
    """Return the key and value of a label: the first reading that is an existing label, else the first reading."""
    check_text(text, param="label")
    readings = label_readings(text)
    reading = readings[0] if readings else ("", None)
    without_key = text.startswith(":")
    if (len(readings) > 1 or without_key) and not _is_known(context, project, *reading):
        known_labels = await context.store.read(stored.find_labels, project, readings)
        context.catalog.keep_labels(
            label_number(project, key, value) for key, value in known_labels if value is not None
        )
        reading = next((candidate for candidate in readings if candidate in known_labels), reading)
        if not known_labels and without_key:
            readings = []
    if not readings:
        raise Invalid(
            f"label is {text!r:.80}.",
            code="invalid_label",
            param="label",
            hint='Give KEY, or KEY:VALUE; in "quotes" where they have colons.',
        )
    return reading


def _is_known(context: Context, project: int, key: str, value: str | None) -> bool:
    return value is not None and context.catalog.knows_label(label_number(project, key, value))


def _metric_key(names: ProjectNames, text: str) -> str:
    """Return a metric's key, which may be quoted."""
    unquoted_text = unquoted(text)
    return text if unquoted_text is None or names.has_metric(text) else unquoted_text


def _metric_comparison(names: ProjectNames, text: str, param: str) -> tuple[str, NumberCondition | None]:
    """Return the metric of a parameter and what its values are compared with: the first reading whose metric exists,
    else the first reading."""
    readings = comparison_readings(text)
    comparisons = [
        (key, NumberCondition(**{_OPERATOR_OF_SIGN[sign]: number}))
        for key, sign, value in readings
        if (number := _comparison_number(value)) is not None
    ]
    for key, comparison in comparisons:
        if names.has_metric(key):
            return key, comparison
    metric_key = _metric_key(names, text)
    if not readings or names.has_metric(metric_key):
        return metric_key, None
    if not comparisons:
        raise Invalid(
            f"{param} is {text!r:.80}, but {readings[0][2]!r:.80} is neither a number nor true or false.",
            code="invalid_feedback_filter",
            param=param,
            hint='Give METRIC, or a comparison such as CSAT>=4, accepted=true, "a metric">0.5.',
        )
    return comparisons[0]


def _comparison_number(text: str) -> float | None:
    """Return the number to compare with; None if the text is neither a finite number nor true or false."""
    truth_value = {"true": 1.0, "false": 0.0}.get(text.lower())
    try:
        number = float(text) if truth_value is None else truth_value
    except ValueError:
        return None
    return number if math.isfinite(number) else None
