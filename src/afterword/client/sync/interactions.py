# Generated from aio/interactions.py by scripts/unasync.py: change that one.
"""Interactions: log, find, change, upload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack, overload
from uuid import UUID

from afterword.client.core import Request, encode, path, query
from afterword.client.list_filters import Filters, Paging, check_known, filter_query
from afterword.client.uploading import Source as UploadSource
from afterword.client.uploading import Upload, UploadReport, id_or_new
from afterword.types import (
    Deleted,
    Facets,
    Filter,
    GroupPage,
    Images,
    Interaction,
    InteractionPage,
    LoggedOperation,
    Message,
    Moment,
    PlanStep,
    Recorded,
)
from afterword.types import Labels as InteractionLabels

if TYPE_CHECKING:
    from afterword.client.sync import Afterword


class Interactions:
    """Interactions: `client.interactions`."""

    def __init__(self, client: Afterword) -> None:
        self._client = client

    def create(
        self,
        messages: Sequence[Message],
        completion: str | Message,
        model: str | None = None,
        feedbacks: Sequence[Mapping[str, Any]] | None = None,
        user: str | UUID | None = None,
        session_id: str | UUID | None = None,
        project: str | None = None,
        labels: Mapping[str, str] | None = None,
        created_at: Moment | datetime | None = None,
        *,
        completion_id: str | UUID | None = None,
        usage: Mapping[str, Any] | None = None,
        timings: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        ab_campaign: str | None = None,
        call: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
        environment: str | None = None,
        step: str | None = None,
        parent: str | UUID | None = None,
        operation: LoggedOperation | None = None,
    ) -> Recorded:
        """Log a completion with the messages that it answers. It is on disk when this returns.

        `ab_campaign` is the A/B test in which its feedback counts; `model` must then be one of the test's. `call`
        describes a call that was made elsewhere, such as `{"finish_reason": "stop", "request_id": "req_1"}`. `facts`
        holds further data of its provider, such as `{"choice": {"logprobs": ...}}`. `parent` is the completion_id of
        the interaction that this one is a step of, and `step` the step's name. `operation` is what the model was asked
        for, if it was not chat.

        >>> logged = client.interactions.create(
        ...     messages=[{"role": "user", "content": "What is the capital of France?"}],
        ...     completion="Paris.",
        ...     model="my-model",
        ...     labels={"env": "prod"},
        ... )
        >>> logged.completion_id
        """
        body = {
            "messages": messages,
            "completion": completion,
            "model": model,
            "feedbacks": feedbacks,
            "user": None if user is None else str(user),
            "session_id": session_id,
            "project": self._client.project_or_default(project),
            "labels": labels,
            "created_at": created_at,
            "completion_id": id_or_new(completion_id),
            "usage": usage,
            "timings": timings,
            "parameters": parameters,
            "ab_campaign": ab_campaign,
            "call": call,
            "facts": facts,
            "environment": environment,
            "step": step,
            "parent": parent,
            "operation": operation,
        }
        request = Request(method="POST", path=path("interactions"), body=encode(body), repeatable=True)
        return self._client.call(request, Recorded)

    def get(
        self, completion_id: str | UUID, *, images: Images = "links", media: Images | None = None
    ) -> Interaction | None:
        """Return an interaction in full; None if the key can see no such interaction.

        `images="inline"` or `media="inline"` gives images, audio and files as they were sent.

        >>> interaction = client.interactions.get(completion_id)
        >>> interaction.completion
        """
        request = Request(
            method="GET",
            path=path("interactions", str(completion_id)),
            query=query(images=images, media=media),
            repeatable=True,
        )
        return self._client.find(request, Interaction)

    @overload
    def list(self, *, group_by: None = None, **filters: Unpack[Filters]) -> InteractionPage:
        """List a page of interactions."""

    @overload
    def list(self, *, group_by: str, **filters: Unpack[Filters]) -> GroupPage:
        """List a page of groups."""

    def list(self, *, group_by: str | None = None, **filters: Unpack[Filters]) -> InteractionPage | GroupPage:
        """List a page of interactions that match all filters, newest first; with `group_by`, their groups.

        `labels` maps a key to a value, to several (any of them), or to None (has the key). `model`, `source`,
        `operation`, `state`, `finish_reason`, `environment`, `step` and `parent` take one value or several (any of
        them); `session_id`, `user`, `trace_id` and `prompt_hash` take exactly one; `request_id` is Afterword's, the
        provider's, or the id of the provider's answer. `from_` (inclusive) and `to` (exclusive) are times. `feedback`
        is one or several metrics, or comparisons with their values such as `CSAT>=4`; `has_feedback`, `has_no_feedback`
        and `preference` are metrics. `outcome`, `has_outcome` and `has_no_outcome` are the same for the outcomes of the
        interaction's session. `q` finds words in prompt and completion.

        `order` is "-created_at" or "created_at", `limit` up to 500, `view` "short" or "full", `images` and `media`
        "links" or "inline". Pass `next` or `previous` of a page as `cursor` for another page; `count=True` counts all
        matches.

        >>> page = client.interactions.list(labels={"env": "prod"}, from_="now - 7 days", feedback=["CSAT>=4"])
        >>> [interaction.prompt for interaction in page.interactions]
        """
        request = self._list_request(group_by, False, **filters)
        return self._client.call(request, InteractionPage if group_by is None else GroupPage)

    def search(
        self, filter: Filter | Mapping[str, Any] | None = None, *, project: str | None = None, **paging: Unpack[Paging]
    ) -> InteractionPage:
        """Return a page of interactions that match a filter tree; `paging` is as for `list`.

        >>> page = client.interactions.search(
        ...     {"not": {"label": {"key": "env", "value": {"eq": "test"}}}}, limit=10, count=True
        ... )
        """
        return self._client.call(self._search_request(filter, project, paging), InteractionPage)

    def groups(
        self, group_by: str, filter: Filter | Mapping[str, Any] | None = None, **filters: Unpack[Filters]
    ) -> GroupPage:
        """Group interactions by `model`, `prompt`, `session` or `label:KEY`, with the statistics of each metric.

        They are selected by the filters of `list`, or by a filter tree as in `search`.

        >>> groups = client.interactions.groups("model", labels={"env": "prod"})
        >>> [(group.key, group.count, [(one.metric, one.mean) for one in group.metrics]) for group in groups.groups]
        >>> client.interactions.groups("label:env", {"text": "capital"}, limit=10)
        """
        if filter is None:
            return self.list(group_by=group_by, **filters)
        project = filters.pop("project", None)
        return self._client.call(self._search_request(filter, project, filters, group_by), GroupPage)

    def explain(
        self,
        filter: Filter | Mapping[str, Any] | None = None,
        *,
        group_by: str | None = None,
        **filters: Unpack[Filters],
    ) -> Sequence[PlanStep]:
        """Return how a page is read: the plans that run, what each finds and how long it takes.

        Use it to report a slow filter. The filters are those of `list`, or a filter tree as in `search`. The key must
        be allowed to administer the whole server.

        >>> steps = client.interactions.explain(labels={"env": "prod"}, q="refund", count=True)
        >>> [(step.purpose, step.plan, step.condition, step.found_count, step.milliseconds) for step in steps]
        """
        if filter is None:
            request = self._list_request(group_by, True, **filters)
        else:
            project = filters.pop("project", None)
            request = self._search_request(filter, project, filters, group_by, explain=True)
        page = self._client.call(request, InteractionPage if group_by is None else GroupPage)
        return page.explain or []

    def facets(
        self,
        filter: Filter | Mapping[str, Any] | None = None,
        *,
        project: str | None = None,
        limit: int = 10,
        only: str | None = None,
    ) -> Facets:
        """Count the models, labels, states and feedback of the interactions that match a filter tree.

        Only the newest 10,000 interactions are counted. Each facet has its `limit` most frequent values; `only` selects
        one facet, such as `model` or `label:env`.

        >>> found = client.interactions.facets({"timerange": {"from": "now - 7 days"}}, limit=5)
        >>> [(facet.kind, facet.key, facet.count) for facet in found.facets]
        """
        target_project = self._client.project_or_default(project)
        body = encode({"filter": filter, "project": target_project, "limit": limit, "only": only})
        request = Request(method="POST", path=path("interactions", "facets"), body=body, repeatable=True)
        return self._client.call(request, Facets)

    def _list_request(self, group_by: str | None, explain: bool, /, **filters: Unpack[Filters]) -> Request:
        project = self._client.project_or_default(filters.pop("project", None))
        pairs = filter_query(filters, project=project, group_by=group_by, explain=explain or None)
        return Request(method="GET", path=path("interactions"), query=pairs, repeatable=True)

    def _search_request(
        self,
        filter: Any,
        project: str | None,
        paging: Mapping[str, Any],
        group_by: str | None = None,
        *,
        explain: bool = False,
    ) -> Request:
        check_known(paging, Paging.__optional_keys__)
        target_project = self._client.project_or_default(project)
        body = encode({"filter": filter, "project": target_project, "group_by": group_by, **paging})
        pairs = query(explain=explain or None)
        return Request(method="POST", path=path("interactions", "search"), query=pairs, body=body, repeatable=True)

    def iterate(self, **filters: Unpack[Filters]) -> Iterator[Interaction]:
        """Iterate over all interactions that match the filters of `list`, in pages of `limit`; `view` is "full".

        >>> for interaction in client.interactions.iterate(labels={"env": "prod"}):
        ...     print(interaction.completion_id)
        """
        pages: Filters = {"limit": 200, "view": "full", **filters}
        while True:
            page = self.list(**pages)
            for interaction in page.interactions:
                yield interaction
            if page.next is None:
                return
            pages["cursor"] = page.next

    def change_labels(
        self, completion_id: str | UUID, *, set: Mapping[str, str] | None = None, remove: Sequence[str] | None = None
    ) -> dict[str, str]:
        """Set and remove labels of an interaction, all or nothing; return all its labels.

        >>> client.interactions.change_labels(completion_id, set={"reviewed": "yes"}, remove=["todo"])
        """
        request = Request(
            method="PATCH",
            path=path("interactions", str(completion_id), "labels"),
            body=encode({"set": set, "remove": remove}),
            repeatable=True,
        )
        return (self._client.call(request, InteractionLabels)).labels

    def delete(self, completion_id: str | UUID) -> None:
        """Delete an interaction with its feedback and labels. Raises `NotFound`.

        >>> client.interactions.delete(other_completion_id)
        """
        self._client.call(Request(method="DELETE", path=path("interactions", str(completion_id))), Deleted)

    def upload(
        self,
        records: UploadSource,
        labels: Mapping[str, str] | None = None,
        project: str | None = None,
        *,
        batch_size: int = 500,
        max_concurrency: int = 4,
        progress: bool = True,
    ) -> UploadReport:
        """Log interactions in bulk: any iterable of dicts as for `create`, or a file of JSON lines (also .gz).

        Batches are sent again if that may help; each record is stored once. The report says which records failed and
        why. Raises errors that would hit all records, such as `Unauthorized`.

        >>> report = client.interactions.upload(
        ...     [{"messages": [{"role": "user", "content": "Hello!"}], "completion": "Hi!"}], labels={"dataset": "v1"}
        ... )
        >>> report.stored, report.failed
        """
        upload = Upload(
            records,
            id_field="completion_id",
            labels=labels,
            batch_size=batch_size,
            at_once=max_concurrency,
            progress=progress,
        )
        project = self._client.project_or_default(project)
        return self._client.upload(upload, path("interactions", "batch"), project)
