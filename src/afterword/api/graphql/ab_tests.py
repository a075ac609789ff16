"""A/B tests, which the schema calls campaigns."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLResolveInfo

from afterword.api.graphql.filters import project_of
from afterword.api.graphql.request_context import RequestContext
from afterword.errors import NotFound
from afterword.service.context import Context
from afterword.service.studies import ab_tests
from afterword.types import ABComparison, ABReport, ABTest, ABVariant, Metric, Model, NewABTest, Project
from afterword.types.queries import ABTestsQuery

KINDS = {"metric": "DIRECT", "preference": "COMPARISON"}


async def all_tests(context: Context, filter: dict[str, Any]) -> list[ABTest]:
    """Return the A/B tests that the key may see."""
    status = filter.get("status")
    query = ABTestsQuery(
        project=filter.get("project", filter.get("useCase")),
        active=filter.get("active"),
        status=status and status.lower(),
    )
    return (await ab_tests.list_tests(context, query=query)).ab_tests


async def test(context: Context, id_or_key: str) -> ABTest | None:
    """Return an A/B test; null if it does not exist."""
    try:
        return await ab_tests.get_test(context, id_or_key)
    except NotFound:
        return None


async def create_test(context: Context, input: dict[str, Any]) -> ABTest:
    """Start an A/B test."""
    kind = "preference" if "COMPARISON" in (input["feedbackType"], input["scoreType"]) else "metric"
    return await ab_tests.create_test(
        context,
        body=NewABTest(
            key=input["key"],
            name=input.get("name"),
            metric=input["metric"],
            models=input["modelServices"],
            project=project_of(input),
            feedback_type=kind,
            level="session" if input["level"] == "SESSION" else "interaction",
            traffic_split=input["trafficSplit"],
            auto_deploy=input["autoDeploy"],
        ),
    )


async def cancel_test(context: Context, input: str) -> str:
    """Cancel an A/B test."""
    await ab_tests.cancel(context, input)
    return "OK"


# ------------------------------------------------------------------------------------------------ members


def _test_metric(ab_test: ABTest, info: GraphQLResolveInfo) -> Metric | None:
    return info.context.find_metric(ab_test.project, ab_test.metric)


def _test_project(ab_test: ABTest, info: GraphQLResolveInfo) -> Project | None:
    return info.context.find_project(ab_test.project)


async def _test_report(ab_test: ABTest, info: GraphQLResolveInfo) -> ABReport | None:
    request: RequestContext = info.context
    return ab_test.report or (await ab_tests.get_test(request.read_context, ab_test.key)).report


def _project_tests(project: Project, info: GraphQLResolveInfo, filter: dict[str, Any]) -> Any:
    return all_tests(info.context.read_context, {**filter, "project": project.key})


def _variant(variant: ABVariant | ABComparison, info: GraphQLResolveInfo) -> Model | None:
    return info.context.find_model(variant.model)


QUERY = {"abCampaigns": ("read", all_tests), "abCampaign": ("read", test)}

MUTATION = {"createAbCampaign": ("edit", create_test), "cancelAbCampaign": ("edit", cancel_test)}

MEMBERS: dict[str, dict[str, Any]] = {
    "Abcampaign": {
        "status": lambda ab_test, info: ab_test.status.upper(),
        "feedbackType": lambda ab_test, info: KINDS[ab_test.feedback_type],
        "scoreType": lambda ab_test, info: KINDS[ab_test.feedback_type],
        "level": lambda ab_test, info: ab_test.level.upper(),
        "beginDate": lambda ab_test, info: ab_test.created_at,
        "endDate": lambda ab_test, info: ab_test.ended_at,
        "metric": _test_metric,
        "project": _test_project,
        "useCase": _test_project,
        "models": lambda ab_test, info: [info.context.find_model(key) for key in ab_test.models],
        "scores": lambda ab_test, info: ab_test.feedbacks,
        "hasEnoughScores": lambda ab_test, info: ab_test.has_enough_feedbacks,
        "report": _test_report,
    },
    "AbVariantReport": {"variant": _variant, "scores": lambda variant, info: variant.feedbacks},
    "AbVariantReportComparison": {"variant": _variant, "scores": lambda comparison, info: comparison.feedbacks},
    "Project": {"abCampaigns": _project_tests},
    "UseCase": {"abCampaigns": _project_tests},
}
