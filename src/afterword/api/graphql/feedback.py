"""Metrics (the feedback keys), and feedback."""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from uuid import UUID

from graphql import GraphQLResolveInfo

from afterword.api.graphql.request_context import RequestContext, projects_of_keys
from afterword.errors import Invalid, NotFound
from afterword.service import projects
from afterword.service.context import Context
from afterword.service.feedback import feedback, metrics
from afterword.service.interactions import recording
from afterword.types import FeedbackChange, LinkedMetric, Metric, MetricChange, NewFeedback, NewMetric, Project
from afterword.types.queries import ProjectQuery


async def add_direct_score(context: Context, completion_id: UUID | str, metric_id: str, input: dict[str, Any]) -> Any:
    """Log a value on a completion."""
    value = _value(input.get("value"))
    user = input.get("userId")
    body = NewFeedback(
        completion_id=str(completion_id),
        metric=metric_id,
        value=value,
        details=input.get("details"),
        reason=input.get("reason"),
        user=None if user is None else str(user),
    )
    recorded_feedback = await feedback.record(context, body=body)
    return {
        "id": recorded_feedback.feedback_id,
        "value": float(value),
        "of": UUID(body.completion_id),
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
    changed_feedback = await feedback.update_feedback(context, str(score_id), body=FeedbackChange(**changes))
    return {
        "id": changed_feedback.feedback_id,
        "value": changed_feedback.value,
        "of": changed_feedback.completion_id,
        "named": changed_feedback.metric,
        "reason": changed_feedback.reason,
        "details": changed_feedback.details,
        "created_at": changed_feedback.created_at,
        "source": "USER",
        "can_edit": True,
    }


async def delete_direct_score(context: Context, score_id: UUID) -> bool:
    """Delete a value."""
    await feedback.delete_feedback(context, str(score_id))
    return True


async def delete_comparison_score(context: Context, comparison_id: UUID) -> bool:
    """Delete a preference."""
    await feedback.delete_preference(context, str(comparison_id))
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


async def all_metrics(context: Context, filter: dict[str, Any] | None = None) -> list[Metric]:
    """Return the metrics of all projects that the key may see."""
    categories = (filter or {}).get("categories")
    return [] if categories is not None and "user" not in categories else metrics.visible_metrics(context)


async def metric(
    context: Context,
    id_or_key: str | None = None,
    project_id_or_key: str | None = None,
    metric_id_or_key: str | None = None,
) -> Metric | None:
    """Return a metric: that of a project, or the only one with that key."""
    name = metric_id_or_key or id_or_key
    if name is None:
        return None
    if project_id_or_key is None:
        try:
            return metrics.get_metric_of_any_project(context, name)
        except NotFound:
            return None
    project = await projects.get_project(context, project_id_or_key)
    return metrics.find_metric(context, project.key, name)


async def create_metric(context: Context, input: dict[str, Any], project: str | None = None) -> Metric:
    """Register a metric in a project, or a shared metric that projects can be linked to."""
    key = input.get("key") or re.sub(r"[^A-Za-z0-9._-]+", "-", input["name"]).strip("-")
    return await metrics.register(
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


async def update_metric(context: Context, project: str, metric: str, input: dict[str, Any]) -> Metric:
    """Change a metric."""
    names = {"name": "name", "description": "description", "scoringType": "scoring_type"}
    body = MetricChange(**{names[name]: value for name, value in input.items()})
    return await metrics.update_metric(context, metric, query=ProjectQuery(project=project), body=body)


async def delete_metric(context: Context, project: str, metric: str) -> bool:
    """Delete a metric."""
    await metrics.delete_metric(context, metric, query=ProjectQuery(project=project))
    return True


async def link_metric(context: Context, input: dict[str, Any]) -> Metric:
    """Let a project use a metric."""
    return await metrics.link(context, input["useCase"], body=LinkedMetric(metric=input["metric"]))


async def unlink_metric(context: Context, input: dict[str, Any]) -> str:
    """Take a metric out of a project."""
    await metrics.unlink(context, input["useCase"], input["metric"])
    return "OK"


# ------------------------------------------------------------------------------------------------ members


async def _score_metric(score: dict[str, Any], info: GraphQLResolveInfo) -> Metric | None:
    """Return the metric of a value.

    For a value that this request has just logged, its interaction is read with the permission to write: the key may not
    have the permission to read.
    """
    if "metric" in score:
        return score["metric"]
    request: RequestContext = info.context
    interaction = (await recording.find_interactions(request.context("write"), [score["of"]])).get(score["of"])
    return request.find_metric(interaction.project, score["named"]) if interaction else None


def _usage_resolver(index: int) -> Any:
    """Return the resolver that tells whether a metric has feedback (0) or preferences (1)."""

    async def resolve(metric: Metric, info: GraphQLResolveInfo) -> bool:
        request: RequestContext = info.context
        loader = request.loader("metric usage", partial(metrics.metric_usage, request.read_context))
        usage = await loader.get(metric.id)
        return bool(usage and usage[index])

    return resolve


def _count_resolver(index: int) -> Any:
    """Return the resolver that counts the feedback (0) or the preferences (1) of a metric."""

    async def resolve(metric: Metric, info: GraphQLResolveInfo, timerange: dict[str, Any] | None = None) -> int:
        bounds, context = timerange or {}, info.context.read_context
        return (await metrics.count_feedback(context, metric.id, bounds.get("from"), bounds.get("to")))[index]

    return resolve


async def _metric_projects(
    metric: Metric, info: GraphQLResolveInfo, filter: dict[str, Any] | None = None
) -> list[Project]:
    request: RequestContext = info.context
    loader = request.loader("projects of metrics", partial(metrics.projects_of_metrics, request.read_context))
    return projects_of_keys(request, await loader.get(metric.id) or [], filter)


def _metric_owner(metric: Metric, info: GraphQLResolveInfo) -> Project | None:
    return None if metric.project is None else projects.find_project(info.context.read_context, metric.project)


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

_SHARED_METRIC_MEMBERS = {
    "hasDirectFeedbacks": _usage_resolver(0),
    "hasComparisonFeedbacks": _usage_resolver(1),
    "hasDirectScores": _usage_resolver(0),
    "hasComparisonScores": _usage_resolver(1),
}

MEMBERS: dict[str, dict[str, Any]] = {
    "DirectScore": {"metric": _score_metric},
    "Metric": {
        **_SHARED_METRIC_MEMBERS,
        "useCases": _metric_projects,
        "projects": _metric_projects,
        "project": _metric_owner,
    },
    "MetricWithContext": {
        **_SHARED_METRIC_MEMBERS,
        "feedbackCount": _count_resolver(0),
        "scoreCount": _count_resolver(0),
        "comparisonCount": _count_resolver(1),
    },
}
