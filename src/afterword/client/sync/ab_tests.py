# Generated from aio/ab_tests.py by scripts/unasync.py: change that one.
"""A/B tests: start, list, show and cancel them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from afterword.client.core import Request, encode, path, query
from afterword.types import ABTest, ABTestList, ABTestStatus, FeedbackType, Level

if TYPE_CHECKING:
    from afterword.client.sync import Afterword


class ABTests:
    """A/B tests, which find the model that people prefer: `client.ab_tests`."""

    def __init__(self, client: Afterword) -> None:
        self._client = client

    def create(
        self,
        key: str,
        metric: str,
        models: Sequence[str],
        *,
        name: str | None = None,
        project: str | None = None,
        feedback_type: FeedbackType = "metric",
        level: Level = "interaction",
        traffic_split: float = 1.0,
        auto_deploy: bool = False,
    ) -> ABTest:
        """Start a test: calls of the project that name no model are divided among these models.

        `metric` decides: its values or, with `feedback_type` "preference", the preferences under it. With `level`
        "session" the values are the outcomes of sessions. `traffic_split` is the share of calls that take part. The
        test ends on its own once a model is better than all others; with `auto_deploy` that model becomes the
        project's default. Raises `Conflict` while another test is active.

        >>> parrot = client.models.register("parrot", "echo", project="default")
        >>> test = client.ab_tests.create("echo-or-parrot", "CSAT", ["echo", "parrot"])
        >>> test.status
        """
        body = encode(
            {
                "key": key,
                "metric": metric,
                "models": models,
                "name": name,
                "project": self._client.project_or_default(project),
                "feedback_type": feedback_type,
                "level": level,
                "traffic_split": traffic_split,
                "auto_deploy": auto_deploy,
            }
        )
        return self._client.call(Request(method="POST", path=path("ab-tests"), body=body), ABTest)

    def list(
        self, *, project: str | None = None, active: bool | None = None, status: ABTestStatus | None = None
    ) -> list[ABTest]:
        """List the tests that the key may see, the newest first, without their reports.

        >>> client.ab_tests.list(active=True)
        """
        parameters = query(project=project, active=active, status=status)
        request = Request(method="GET", path=path("ab-tests"), query=parameters, repeatable=True)
        return (self._client.call(request, ABTestList)).ab_tests

    def get(self, test: str) -> ABTest | None:
        """Return a test by key or id, with its report; None if the key can see no such test.

        >>> test = client.ab_tests.get("echo-or-parrot")
        >>> [(variant.model, variant.mean, variant.interval) for variant in test.report.variants], test.report.p_value
        """
        return self._client.find(Request(method="GET", path=path("ab-tests", test), repeatable=True), ABTest)

    def cancel(self, test: str) -> ABTest:
        """Cancel a test: calls go to the default model again. Raises `Conflict` if it has ended.

        >>> (client.ab_tests.cancel("echo-or-parrot")).status
        """
        return self._client.call(Request(method="POST", path=path("ab-tests", test) + "/cancel"), ABTest)
