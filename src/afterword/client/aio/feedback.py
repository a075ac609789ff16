"""Feedback keys, feedback, preferences and outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Unpack
from uuid import UUID

from afterword.client.core import Request, encode, encode_changes, path, query
from afterword.client.list_filters import PlainFilters, filter_query
from afterword.client.uploading import Source as UploadSource
from afterword.client.uploading import Upload, UploadReport, id_or_new
from afterword.types import (
    Deleted,
    FeedbackRecorded,
    Filter,
    Interval,
    Kind,
    Level,
    Message,
    Metric,
    MetricList,
    MetricSummary,
    Moment,
    Order,
    Outcome,
    OutcomePage,
    OutcomeRecorded,
    Preference,
    PreferenceRecorded,
    Ranking,
    ScoringType,
    Tie,
    Trend,
    Value,
)
from afterword.types import Feedback as FeedbackGiven

if TYPE_CHECKING:
    from afterword.client.aio import AsyncAfterword


class AsyncFeedback:
    """Feedback keys, feedback, preferences: `client.feedback`."""

    def __init__(self, client: AsyncAfterword) -> None:
        self._client = client

    async def register_key(
        self,
        key: str,
        kind: Kind = "scalar",
        scoring_type: ScoringType = "higher_is_better",
        name: str | None = None,
        description: str | None = None,
        *,
        unit: str | None = None,
        project: str | None = None,
        shared: bool = False,
    ) -> Metric:
        """Register a feedback key. The same definition again changes nothing, another one raises `Conflict`.

        A `shared` key belongs to no project; every project that is linked to it can use it.

        >>> await client.feedback.register_key("CSAT")
        >>> await client.feedback.register_key("accepted", kind="bool")
        """
        body = {
            "key": key,
            "kind": kind,
            "scoring_type": scoring_type,
            "name": name,
            "description": description,
            "unit": unit,
            "project": self._client.project_or_default(project),
            "shared": shared or None,
        }
        request = Request(method="POST", path=path("metrics"), body=encode(body), repeatable=True)
        return await self._client.call(request, Metric)

    async def list_keys(
        self, *, project: str | None = None, category: Literal["user", "system", "all"] = "user"
    ) -> list[Metric]:
        """List the feedback keys of a project; the `category` "system" or "all" includes the server's own metrics.

        >>> await client.feedback.list_keys()
        """
        pairs = query(project=self._client.project_or_default(project), category=category)
        request = Request(method="GET", path=path("metrics"), query=pairs, repeatable=True)
        return (await self._client.call(request, MetricList)).metrics

    async def get_key(self, feedback_key: str, *, project: str | None = None) -> Metric | None:
        """Return a feedback key, by key or id; None if it does not exist.

        >>> await client.feedback.get_key("CSAT")
        """
        return await self._client.find(self._key_request("GET", feedback_key, project), Metric)

    async def update_key(self, feedback_key: str, *, project: str | None = None, **changes: Any) -> Metric:
        """Change `name`, `scoring_type`, `description` or `unit` of a feedback key.

        >>> await client.feedback.update_key("CSAT", description="Customer satisfaction, 1 to 5")
        """
        request = self._key_request("PATCH", feedback_key, project, encode_changes(changes))
        return await self._client.call(request, Metric)

    async def delete_key(self, feedback_key: str, *, project: str | None = None) -> None:
        """Delete a feedback key: it takes no new feedback. Existing feedback stays with the completions.

        >>> await client.feedback.delete_key("accepted")
        """
        await self._client.call(self._key_request("DELETE", feedback_key, project), Deleted)

    def _key_request(self, method: str, key: str | None, project: str | None, body: bytes | None = None) -> Request:
        request_path = path("metrics") if key is None else path("metrics", key)
        pairs = query(project=self._client.project_or_default(project))
        return Request(method=method, path=request_path, query=pairs, body=body, repeatable=method != "DELETE")

    async def log_metric(
        self,
        value: Value,
        completion_id: str | UUID,
        feedback_key: str,
        user: str | UUID | None = None,
        details: str | None = None,
        *,
        reason: str | None = None,
        created_at: Moment | datetime | None = None,
        feedback_id: str | UUID | None = None,
    ) -> FeedbackRecorded:
        """Log a value on a completion under a feedback key.

        >>> await client.feedback.log_metric(
        ...     value=5, feedback_key="CSAT", completion_id=completion_id, details="This answer was perfect"
        ... )
        """
        body = {
            "value": value,
            "completion_id": str(completion_id),
            "metric": feedback_key,
            "user": None if user is None else str(user),
            "details": details,
            "reason": reason,
            "created_at": created_at,
            "feedback_id": id_or_new(feedback_id),
        }
        request = Request(method="POST", path=path("feedback"), body=encode(body), repeatable=True)
        return await self._client.call(request, FeedbackRecorded)

    async def log_preference(
        self,
        feedback_key: str,
        preferred_completion: str | UUID | Mapping[str, Any],
        other_completion: str | UUID | Mapping[str, Any],
        user: str | UUID | None = None,
        messages: Sequence[Message] | None = None,
        tied: Tie | None = None,
        project: str | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        details: str | None = None,
        created_at: Moment | datetime | None = None,
        comparison_id: str | UUID | None = None,
    ) -> PreferenceRecorded:
        """Log that one completion is preferred over another, or that both are tied as "good" or "bad".

        A completion is given by its completion_id, or as `{"text", "model"}` with the `messages` that both answer.

        >>> await client.feedback.log_preference(
        ...     feedback_key="CSAT", preferred_completion=completion_id, other_completion=other_completion_id
        ... )
        """
        body = {
            "metric": feedback_key,
            "preferred_completion": preferred_completion,
            "other_completion": other_completion,
            "user": None if user is None else str(user),
            "messages": messages,
            "tied": tied,
            "project": self._client.project_or_default(project),
            "labels": labels,
            "details": details,
            "created_at": created_at,
            "comparison_id": id_or_new(comparison_id),
        }
        request = Request(method="POST", path=path("preferences"), body=encode(body), repeatable=True)
        return await self._client.call(request, PreferenceRecorded)

    async def log_outcome(
        self,
        value: Value,
        session_id: str | UUID,
        feedback_key: str,
        user: str | UUID | None = None,
        details: str | None = None,
        *,
        project: str | None = None,
        created_at: Moment | datetime | None = None,
        outcome_id: str | UUID | None = None,
    ) -> OutcomeRecorded:
        """Log a value on a whole session.

        >>> await client.feedback.log_outcome(value=4, session_id=session_id, feedback_key="CSAT")
        """
        body = {
            "value": value,
            "session_id": session_id,
            "metric": feedback_key,
            "user": None if user is None else str(user),
            "details": details,
            "project": self._client.project_or_default(project),
            "created_at": created_at,
            "outcome_id": id_or_new(outcome_id),
        }
        request = Request(method="POST", path=path("outcomes"), body=encode(body), repeatable=True)
        return await self._client.call(request, OutcomeRecorded)

    async def list_outcomes(
        self,
        *,
        session_id: str | UUID | None = None,
        feedback_key: str | None = None,
        user: str | None = None,
        from_: Moment | datetime | None = None,
        to: Moment | datetime | None = None,
        order: Order = "-created_at",
        limit: int = 50,
        cursor: str | None = None,
        count: bool = False,
        project: str | None = None,
    ) -> OutcomePage:
        """List a page of outcomes; give its `next` as `cursor` to go on. Times are those at which outcomes were given.

        >>> page = await client.feedback.list_outcomes(feedback_key="CSAT", from_="now - 30 days")
        >>> [(outcome.session_id, outcome.value) for outcome in page.outcomes]
        """
        pairs = filter_query(
            {"session_id": session_id, "user": user, "from_": from_, "to": to},
            project=self._client.project_or_default(project),
            metric=feedback_key,
            order=order,
            limit=str(limit),
            cursor=cursor,
            count="true" if count else None,
        )
        request = Request(method="GET", path=path("outcomes"), query=pairs, repeatable=True)
        return await self._client.call(request, OutcomePage)

    async def get_outcome(self, outcome_id: str | UUID) -> Outcome | None:
        """Return an outcome; None if the key can see no such outcome.

        >>> logged = await client.feedback.log_outcome(value=4, session_id=session_id, feedback_key="CSAT")
        >>> await client.feedback.get_outcome(logged.outcome_id)
        """
        request = Request(method="GET", path=path("outcomes", str(outcome_id)), repeatable=True)
        return await self._client.find(request, Outcome)

    async def update_outcome(self, outcome_id: str | UUID, **changes: Any) -> Outcome:
        """Change `value` or `details` of an outcome; None clears `details`. Raises `NotFound`.

        >>> logged = await client.feedback.log_outcome(value=4, session_id=session_id, feedback_key="CSAT")
        >>> await client.feedback.update_outcome(logged.outcome_id, value=5)
        """
        request = Request(
            method="PATCH", path=path("outcomes", str(outcome_id)), body=encode_changes(changes), repeatable=True
        )
        return await self._client.call(request, Outcome)

    async def delete_outcome(self, outcome_id: str | UUID) -> None:
        """Delete an outcome. Raises `NotFound`.

        >>> logged = await client.feedback.log_outcome(value=4, session_id=session_id, feedback_key="CSAT")
        >>> await client.feedback.delete_outcome(logged.outcome_id)
        """
        await self._client.call(Request(method="DELETE", path=path("outcomes", str(outcome_id))), Deleted)

    async def link(self, feedback_key: str, project: str | None = None) -> Metric:
        """Let a project use a shared feedback key, or one of another project. Raises `NotFound`, `Conflict`.

        >>> await client.feedback.register_key("tone", shared=True)
        >>> await client.feedback.link("tone", project="default")
        """
        request = Request(
            method="POST", path=self._links_path(project), body=encode({"metric": feedback_key}), repeatable=True
        )
        return await self._client.call(request, Metric)

    async def unlink(self, feedback_key: str, project: str | None = None) -> None:
        """Remove the link between a project and a feedback key. Raises `NotFound`, `Conflict`.

        >>> await client.feedback.unlink("tone", project="default")
        """
        await self._client.call(Request(method="DELETE", path=self._links_path(project, feedback_key)), Deleted)

    def _links_path(self, project: str | None, *key: str) -> str:
        return path("projects", self._client.project_or_default(project) or "default", "metrics", *key)

    async def get(self, feedback_id: str | UUID) -> FeedbackGiven | None:
        """Return a feedback; None if the key can see no such feedback.

        >>> await client.feedback.get(feedback_id)
        """
        request = Request(method="GET", path=path("feedback", str(feedback_id)), repeatable=True)
        return await self._client.find(request, FeedbackGiven)

    async def update(self, feedback_id: str | UUID, **changes: Any) -> FeedbackGiven:
        """Change `value`, `details` or `reason` of a feedback; None clears `details` or `reason`. Raises `NotFound`.

        >>> await client.feedback.update(feedback_id, value=4)
        """
        request = Request(
            method="PATCH", path=path("feedback", str(feedback_id)), body=encode_changes(changes), repeatable=True
        )
        return await self._client.call(request, FeedbackGiven)

    async def delete(self, feedback_id: str | UUID) -> None:
        """Delete a feedback. Raises `NotFound`.

        >>> await client.feedback.delete(feedback_id)
        """
        await self._client.call(Request(method="DELETE", path=path("feedback", str(feedback_id))), Deleted)

    async def get_preference(self, comparison_id: str | UUID) -> Preference | None:
        """Return a preference; None if the key can see no such preference.

        >>> logged = await client.feedback.log_preference(
        ...     feedback_key="CSAT", preferred_completion=completion_id, other_completion=other_completion_id
        ... )
        >>> await client.feedback.get_preference(logged.comparison_id)
        """
        request = Request(method="GET", path=path("preferences", str(comparison_id)), repeatable=True)
        return await self._client.find(request, Preference)

    async def update_preference(self, comparison_id: str | UUID, **changes: Any) -> Preference:
        """Change `preferred_completion`, `tied` or `details` of a preference; None clears `tied` or `details`.

        Raises `NotFound`, and `Forbidden` if another key gave it and this key may not edit.

        >>> logged = await client.feedback.log_preference(
        ...     feedback_key="CSAT", preferred_completion=completion_id, other_completion=other_completion_id
        ... )
        >>> await client.feedback.update_preference(logged.comparison_id, tied="good")
        """
        request_path = path("preferences", str(comparison_id))
        request = Request(method="PATCH", path=request_path, body=encode_changes(changes), repeatable=True)
        return await self._client.call(request, Preference)

    async def delete_preference(self, comparison_id: str | UUID) -> None:
        """Delete a preference. Raises `NotFound`.

        >>> logged = await client.feedback.log_preference(
        ...     feedback_key="CSAT", preferred_completion=completion_id, other_completion=other_completion_id
        ... )
        >>> await client.feedback.delete_preference(logged.comparison_id)
        """
        await self._client.call(Request(method="DELETE", path=path("preferences", str(comparison_id))), Deleted)

    async def statistics(
        self,
        feedback_key: str,
        filter: Filter | Mapping[str, Any] | None = None,
        *,
        split_by: str | None = None,
        level: Level = "interaction",
        project: str | None = None,
        **conditions: Unpack[PlainFilters],
    ) -> MetricSummary:
        """Summarise the values of a feedback key or system metric: count, mean, minimum, maximum, distribution.

        The interactions are selected by the plain filters of `interactions.list`, or by a filter tree as in
        `interactions.search`. `split_by` ("model" or "label:KEY") adds a summary for each model or label value. At the
        `level` "session", the values are the outcomes of these interactions' sessions.

        >>> summary = await client.feedback.statistics("CSAT", labels={"env": "prod"}, split_by="model")
        >>> summary.count, summary.mean, [(one.key, one.mean) for one in summary.splits]
        """
        request_path = path("metrics", feedback_key, "statistics")
        return await self._client.call(
            self._analysis_request(request_path, filter, conditions, project, split_by=split_by, level=level),
            MetricSummary,
        )

    async def timeseries(
        self,
        feedback_key: str,
        filter: Filter | Mapping[str, Any] | None = None,
        *,
        interval: Interval = "day",
        timezone: str = "UTC",
        split_by: str | None = None,
        level: Level = "interaction",
        project: str | None = None,
        **conditions: Unpack[PlainFilters],
    ) -> Trend:
        """Return the count and mean of a metric's values by "hour", "day" or "week" of a time zone.

        Filters, `split_by` and `level` are as for `statistics`. Times are those of the interactions or outcomes.

        >>> trend = await client.feedback.timeseries("CSAT", from_="now - 30 days", timezone="Europe/Paris")
        >>> [(point.start, point.count, point.mean) for series in trend.series for point in series.points]
        """
        parameters = {"split_by": split_by, "interval": interval, "timezone": timezone, "level": level}
        request_path = path("metrics", feedback_key, "timeseries")
        return await self._client.call(
            self._analysis_request(request_path, filter, conditions, project, **parameters), Trend
        )

    async def ranking(
        self,
        feedback_key: str,
        filter: Filter | Mapping[str, Any] | None = None,
        *,
        project: str | None = None,
        **conditions: Unpack[PlainFilters],
    ) -> Ranking:
        """Rank models by the preferences under a feedback key: ratings and win rates with their 95 % intervals.

        A preference counts if both its interactions match the filters, which are as for `statistics`.

        >>> ranking = await client.feedback.ranking("CSAT")
        >>> [(one.rank, one.model, one.rating, one.low, one.high) for one in ranking.models]
        """
        request_path = path("preferences", "ranking")
        return await self._client.call(
            self._analysis_request(request_path, filter, conditions, project, metric=feedback_key), Ranking
        )

    def _analysis_request(
        self,
        request_path: str,
        filter: Any,
        conditions: Mapping[str, Any],
        project: str | None,
        **parameters: str | None,
    ) -> Request:
        project = self._client.project_or_default(project)
        if filter is None:
            return Request(
                method="GET",
                path=request_path,
                query=filter_query(conditions, project=project, **parameters),
                repeatable=True,
            )
        if conditions:
            raise TypeError(f"{min(conditions)!r} stands beside a tree of conditions: put it into the tree.")
        body = encode({"filter": filter, "project": project, **parameters})
        return Request(method="POST", path=request_path, body=body, repeatable=True)

    async def upload(
        self, records: UploadSource, *, batch_size: int = 500, max_concurrency: int = 4, progress: bool = True
    ) -> UploadReport:
        """Log feedback in bulk: dicts of completion_id, metric, value, or a file of JSON lines, as for interactions.

        >>> await client.feedback.upload([{"completion_id": str(completion_id), "metric": "CSAT", "value": 3}])
        """
        upload = Upload(
            records, id_field="feedback_id", batch_size=batch_size, at_once=max_concurrency, progress=progress
        )
        return await self._client.upload(upload, path("feedback", "batch"))

    async def upload_preferences(
        self,
        records: UploadSource,
        project: str | None = None,
        *,
        batch_size: int = 500,
        max_concurrency: int = 4,
        progress: bool = True,
    ) -> UploadReport:
        """Log preferences in bulk: dicts in the form of the REST route, or a file of JSON lines; as for interactions.

        >>> await client.feedback.upload_preferences([])
        """
        upload = Upload(
            records, id_field="comparison_id", batch_size=batch_size, at_once=max_concurrency, progress=progress
        )
        project = self._client.project_or_default(project)
        return await self._client.upload(upload, path("preferences", "batch"), project)

    async def upload_outcomes(
        self,
        records: UploadSource,
        project: str | None = None,
        *,
        batch_size: int = 500,
        max_concurrency: int = 4,
        progress: bool = True,
    ) -> UploadReport:
        """Log outcomes in bulk: dicts with session_id, metric and value, or a file of JSON lines; as for interactions.

        >>> await client.feedback.upload_outcomes([{"session_id": str(session_id), "metric": "CSAT", "value": 3}])
        """
        upload = Upload(
            records, id_field="outcome_id", batch_size=batch_size, at_once=max_concurrency, progress=progress
        )
        project = self._client.project_or_default(project)
        return await self._client.upload(upload, path("outcomes", "batch"), project)
