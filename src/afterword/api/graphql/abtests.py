"""A/B tests, which the schema calls campaigns."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLResolveInfo

from afterword.api.graphql.asked import Asked
from afterword.api.graphql.filters import project_of
from afterword.errors import NotFound
from afterword.service import abtests
from afterword.service.context import Context, MetricRow, ModelRow, ProjectRow
from afterword.service.models import find_as_seen
from afterword.types import ABComparison, ABReport, ABTest, ABVariant, NewABTest

KINDS = {"metric": "DIRECT", "preference": "COMPARISON"}


class _Of:
    """What the route of the list takes as its query."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.project: str | None = given.get("project", given.get("useCase"))
        self.active: bool | None = given.get("active")
        status = given.get("status")
        self.status = status and status.lower()


async def all_tests(context: Context, filter: dict[str, Any]) -> list[ABTest]:
    """Return the A/B tests that the key may see."""
    return (await abtests.list_tests(context, query=_Of(filter))).ab_tests


async def test(context: Context, id_or_key: str) -> ABTest | None:
    """Return an A/B test; null for one that is not there."""
    try:
        return await abtests.get(context, id_or_key)
    except NotFound:
        return None


async def create_test(context: Context, input: dict[str, Any]) -> ABTest:
    """Start an A/B test."""
    kind = "preference" if "COMPARISON" in (input["feedbackType"], input["scoreType"]) else "metric"
    return await abtests.create(
        context,
        body=NewABTest(
            key=input["key"],
            name=input.get("name"),
            metric=input["metric"],
            models=input["modelServices"],
            project=project_of(input),
            feedback_type=kind,
            traffic_split=input["trafficSplit"],
            auto_deploy=input["autoDeploy"],
        ),
    )


async def cancel_test(context: Context, input: str) -> str:
    """Cancel an A/B test."""
    await abtests.cancel(context, input)
    return "OK"


# ------------------------------------------------------------------------------------------------ members


def _model(key: str, info: GraphQLResolveInfo) -> ModelRow | None:
    return find_as_seen(info.context.reading, key)


def _metric(one: ABTest, info: GraphQLResolveInfo) -> MetricRow | None:
    project = _project(one, info)
    return project and info.context.home.catalog.find_metric(project.number, one.metric)


def _project(one: ABTest, info: GraphQLResolveInfo) -> ProjectRow | None:
    return info.context.home.catalog.find_project(one.project)


async def _report(one: ABTest, info: GraphQLResolveInfo) -> ABReport | None:
    asked: Asked = info.context
    return one.report or (await abtests.get(asked.reading, one.key)).report


def _of_project(row: ProjectRow, info: GraphQLResolveInfo, filter: dict[str, Any]) -> Any:
    return all_tests(info.context.reading, {**filter, "project": row.key})


def _variant(one: ABVariant | ABComparison, info: GraphQLResolveInfo) -> ModelRow | None:
    return _model(one.model, info)


QUERY = {"abCampaigns": ("read", all_tests), "abCampaign": ("read", test)}

MUTATION = {"createAbCampaign": ("edit", create_test), "cancelAbCampaign": ("edit", cancel_test)}

MEMBERS: dict[str, dict[str, Any]] = {
    "Abcampaign": {
        "status": lambda one, info: one.status.upper(),
        "feedbackType": lambda one, info: KINDS[one.feedback_type],
        "scoreType": lambda one, info: KINDS[one.feedback_type],
        "beginDate": lambda one, info: one.created_at,
        "endDate": lambda one, info: one.ended_at,
        "metric": _metric,
        "project": _project,
        "useCase": _project,
        "models": lambda one, info: [_model(key, info) for key in one.models],
        "scores": lambda one, info: one.feedbacks,
        "hasEnoughScores": lambda one, info: one.has_enough_feedbacks,
        "report": _report,
    },
    "AbVariantReport": {"variant": _variant, "scores": lambda one, info: one.feedbacks},
    "AbVariantReportComparison": {"variant": _variant, "scores": lambda one, info: one.feedbacks},
    "Project": {"abCampaigns": _of_project},
    "UseCase": {"abCampaigns": _of_project},
}
