"""Metrics (the feedback keys), and the values given under them."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from graphql import GraphQLResolveInfo

from afterword.api.graphql.asked import Asked, Gathered
from afterword.errors import Invalid, NotFound
from afterword.service import feedback, interactions, metrics
from afterword.service.context import Context, MetricRow, ProjectRow
from afterword.types import FeedbackChange, LinkedMetric, MetricChange, NewFeedback, NewMetric


async def add_direct_score(context: Context, completion_id: UUID, metric_id: str, input: dict[str, Any]) -> Any:
    """Log a value on a completion."""
    value = _value(input.get("value"))
    user = input.get("userId")
    made = await feedback.record(
        context,
        body=NewFeedback(
            completion_id=str(completion_id),
            metric=metric_id,
            value=value,
            details=input.get("details"),
            reason=input.get("reason"),
            user=None if user is None else str(user),
        ),
    )
    return {
        "id": made.feedback_id,
        "value": float(value),
        "of": completion_id,
        "named": metric_id,
        "reason": input.get("reason"),
        "details": input.get("details"),
        "created_at": context.now(),
        "source": "USER",
        "can_edit": True,
    }


async def update_direct_score(context: Context, score_id: UUID, input: dict[str, Any]) -> Any:
    """Change a value, its details or its reason."""
    changes = {**input, "value": _value(input["value"])} if "value" in input else input
    changed = await feedback.change(context, str(score_id), body=FeedbackChange(**changes))
    return {
        "id": changed.feedback_id,
        "value": changed.value,
        "of": changed.completion_id,
        "named": changed.metric,
        "reason": changed.reason,
        "details": changed.details,
        "created_at": changed.created_at,
        "source": "USER",
        "can_edit": True,
    }


async def delete_direct_score(context: Context, score_id: UUID) -> bool:
    """Delete a value."""
    await feedback.delete(context, str(score_id))
    return True


async def delete_comparison_score(context: Context, comparison_id: UUID) -> bool:
    """Delete a preference."""
    await feedback.withdraw(context, str(comparison_id))
    return True


def _value(value: Any) -> float:
    if not isinstance(value, int | float):
        raise Invalid(
            f"value is {value!r:.80}, which is neither a number nor true or false.",
            code="invalid_value",
            param="input.value",
            hint="Give a number, or true or false under a bool metric.",
        )
    return value


# ------------------------------------------------------------------------------------------------ metrics


async def all_metrics(context: Context, filter: dict[str, Any] | None = None) -> list[MetricRow]:
    """Return the metrics of all projects that the key may see."""
    categories = (filter or {}).get("categories")
    return [] if categories is not None and "user" not in categories else metrics.visible(context)


async def metric(
    context: Context,
    id_or_key: str | None = None,
    project_id_or_key: str | None = None,
    metric_id_or_key: str | None = None,
) -> MetricRow | None:
    """Return a metric: of a project, or the only one of that key."""
    name = metric_id_or_key or id_or_key
    if name is None:
        return None
    if project_id_or_key is None:
        try:
            return metrics.named(context, name)
        except NotFound:
            return None
    return context.catalog.find_metric(context.project(project_id_or_key).number, name)


async def create_metric(context: Context, input: dict[str, Any], project: str | None = None) -> MetricRow | None:
    """Register a metric: in a project, or shared, for projects to be linked to it."""
    key = input.get("key") or re.sub(r"[^A-Za-z0-9._-]+", "-", input["name"]).strip("-")
    made = await metrics.register(
        context,
        body=NewMetric(
            key=key,
            name=input["name"],
            kind=input["kind"],
            scoring_type=input["scoringType"],
            description=input.get("description", ""),
            unit=input.get("unit", ""),
            project=project,
            shared=project is None,
        ),
    )
    return metrics.named(context, str(made.id))


async def update_metric(context: Context, project: str, metric: str, input: dict[str, Any]) -> MetricRow | None:
    """Change a metric."""
    names = {"name": "name", "description": "description", "scoringType": "scoring_type"}
    body = MetricChange(**{names[name]: value for name, value in input.items()})
    changed = await metrics.change(context, metric, query=_Of(project), body=body)
    return metrics.named(context, str(changed.id))


async def delete_metric(context: Context, project: str, metric: str) -> bool:
    """Delete a metric."""
    await metrics.delete(context, metric, query=_Of(project))
    return True


async def link_metric(context: Context, input: dict[str, Any]) -> MetricRow:
    """Let a project use a metric."""
    made = await metrics.link(context, input["useCase"], body=LinkedMetric(metric=input["metric"]))
    return metrics.named(context, str(made.id))


async def unlink_metric(context: Context, input: dict[str, Any]) -> str:
    """Take a metric out of a project."""
    await metrics.unlink(context, input["useCase"], input["metric"])
    return "OK"


class _Of:
    """What the routes of metrics take as their query."""

    def __init__(self, project: str) -> None:
        self.project = project


# ------------------------------------------------------------------------------------------------ members


async def _metric_of(given: dict[str, Any], info: GraphQLResolveInfo) -> MetricRow | None:
    """Return the metric of a value: known where it was read, looked up where it was just given.

    The lookup is made as the one who gave it, who may not be allowed to read.
    """
    if "metric" in given:
        return given["metric"]
    asked: Asked = info.context
    interaction = (await interactions.several(asked.context("write"), [given["of"]])).get(given["of"])
    project = interaction and asked.home.catalog.find_project(interaction.project)
    return asked.home.catalog.find_metric(project.number, given["named"]) if project else None


def _used(place: int) -> Any:
    """Return the resolver that tells whether there is feedback (0) or are preferences (1) under a metric."""

    async def resolve(row: MetricRow, info: GraphQLResolveInfo) -> bool:
        asked: Asked = info.context
        if "used" not in asked.gathered:

            async def load(numbers: list[int]) -> dict[int, tuple[bool, bool]]:
                return await metrics.used(asked.reading, numbers)

            asked.gathered["used"] = Gathered(load)
        found = await asked.gathered["used"].get(row.number)
        return bool(found and found[place])

    return resolve


def _counted(place: int) -> Any:
    """Return the resolver that counts the feedback (0) or the preferences (1) under a metric."""

    async def resolve(row: MetricRow, info: GraphQLResolveInfo, timerange: dict[str, Any] | None = None) -> int:
        given = timerange or {}
        return (await metrics.counted(info.context.reading, row, given.get("from"), given.get("to")))[place]

    return resolve


def _projects(row: MetricRow, info: GraphQLResolveInfo, filter: dict[str, Any] | None = None) -> list[ProjectRow]:
    archived = (filter or {}).get("isArchived")
    found = metrics.projects_of(info.context.reading, row)
    return [one for one in found if archived is None or one.archived == archived]


def _project(row: MetricRow, info: GraphQLResolveInfo) -> ProjectRow | None:
    return metrics.owner_of(info.context.reading, row)


QUERY = {"metrics": ("read", all_metrics), "metric": ("read", metric)}

MUTATION = {
    "addDirectScore": ("write", add_direct_score),
    "addDirectFeedback": ("write", add_direct_score),
    "updateDirectScore": ("amend", update_direct_score),
    "deleteDirectScore": ("amend", delete_direct_score),
    "deleteComparisonScore": ("amend", delete_comparison_score),
    "createMetric": ("edit", create_metric),
    "updateMetric": ("edit", update_metric),
    "deleteMetric": ("edit", delete_metric),
    "linkMetric": ("edit", link_metric),
    "unlinkMetric": ("edit", unlink_metric),
}

_BOTH = {
    "category": lambda row, info: "user",
    "hasDirectFeedbacks": _used(0),
    "hasComparisonFeedbacks": _used(1),
    "hasDirectScores": _used(0),
    "hasComparisonScores": _used(1),
}

MEMBERS: dict[str, dict[str, Any]] = {
    "DirectScore": {"metric": _metric_of},
    "Metric": {**_BOTH, "useCases": _projects, "projects": _projects, "project": _project},
    "MetricWithContext": {
        **_BOTH,
        "feedbackCount": _counted(0),
        "scoreCount": _counted(0),
        "comparisonCount": _counted(1),
    },
}
