# Generated from aio/interactions.py by scripts/unasync.py: change that one.
"""Interactions: log, find, change, upload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from afterword.client.core import Request, encode, label_parameters, moment, path, query, several
from afterword.client.uploading import Source as UploadSource
from afterword.client.uploading import Upload, UploadReport, given_id
from afterword.types import (
    Deleted,
    Filter,
    GroupPage,
    Images,
    Interaction,
    InteractionPage,
    Message,
    Moment,
    Order,
    Recorded,
    Source,
    View,
)
from afterword.types import Labels as WornLabels

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
    ) -> Recorded:
        """Log a completion with the messages that it answers; the answer means that it is on disk.

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
            "completion_id": given_id(completion_id),
            "usage": usage,
            "timings": timings,
            "parameters": parameters,
        }
        request = Request(method="POST", path=path("interactions"), body=encode(body), repeatable=True)
        return self._client.call(request, Recorded)

    def get(self, completion_id: str | UUID, *, images: Images = "links") -> Interaction | None:
        """Return an interaction whole; None where there is none that the key may see.

        >>> interaction = client.interactions.get(completion_id)
        >>> interaction.completion
        """
        request = Request(
            method="GET", path=path("interactions", str(completion_id)), query=query(images=images), repeatable=True
        )
        return self._client.find(request, Interaction)

    def list(
        self,
        *,
        labels: Mapping[str, str | Sequence[str] | None] | None = None,
        model: str | Sequence[str] | None = None,
        source: Source | Sequence[Source] | None = None,
        session_id: str | UUID | None = None,
        user: str | None = None,
        prompt_hash: str | None = None,
        from_: Moment | datetime | None = None,
        to: Moment | datetime | None = None,
        feedback: str | Sequence[str] | None = None,
        has_feedback: str | Sequence[str] | None = None,
        has_no_feedback: str | Sequence[str] | None = None,
        preference: str | Sequence[str] | None = None,
        q: str | None = None,
        order: Order = "-created_at",
        limit: int = 50,
        cursor: str | None = None,
        count: bool = False,
        view: View = "short",
        images: Images = "links",
        project: str | None = None,
    ) -> InteractionPage:
        """List a page of interactions, newest first, that meet all filters.

        `labels` maps a key to a value, to several (any of them), or to None (has the key). `feedback` is a metric or a
        comparison. `next` and `previous` of the page are the cursors to go on with.

        >>> page = client.interactions.list(labels={"env": "prod"}, from_="now - 7 days", feedback=["CSAT>=4"])
        >>> [interaction.prompt for interaction in page.interactions]
        """
        pairs = query(
            label=label_parameters(labels),
            model=several(model),
            source=several(source),
            session_id=session_id,
            user=user,
            prompt_hash=prompt_hash,
            from_=moment(from_),
            to=moment(to),
            feedback=several(feedback),
            has_feedback=several(has_feedback),
            has_no_feedback=several(has_no_feedback),
            preference=several(preference),
            q=q,
            order=order,
            limit=limit,
            cursor=cursor,
            count=count or None,
            view=view,
            images=images,
            project=self._client.project_or_default(project),
        )
        request = Request(method="GET", path=path("interactions"), query=pairs, repeatable=True)
        return self._client.call(request, InteractionPage)

    def search(
        self, filter: Filter | Mapping[str, Any] | None = None, *, project: str | None = None, **paging: Any
    ) -> InteractionPage:
        """Return a page of interactions that meet a tree of conditions; `paging` is as for `list`.

        >>> page = client.interactions.search(
        ...     {"not": {"label": {"key": "env", "value": {"eq": "test"}}}}, limit=10, count=True
        ... )
        """
        return self._client.call(self._search(filter, project, paging), InteractionPage)

    def groups(
        self,
        group_by: str,
        filter: Filter | Mapping[str, Any] | None = None,
        *,
        project: str | None = None,
        **paging: Any,
    ) -> GroupPage:
        """Group interactions by `model`, `prompt`, `session` or `label:KEY`, with the statistics of each metric.

        >>> groups = client.interactions.groups("model", {"label": {"key": "env"}})
        >>> [(group.key, group.count, [(one.metric, one.mean) for one in group.metrics]) for group in groups.groups]
        """
        return self._client.call(self._search(filter, project, {**paging, "group_by": group_by}), GroupPage)

    def _search(self, filter: Any, project: str | None, paging: dict[str, Any]) -> Request:
        body = {"filter": filter, "project": self._client.project_or_default(project), **paging}
        return Request(method="POST", path=path("interactions", "search"), body=encode(body), repeatable=True)

    def iterate(self, *, limit: int = 200, view: View = "full", **filters: Any) -> Iterator[Interaction]:
        """Go through all interactions that meet the filters of `list`, page by page.

        >>> for interaction in client.interactions.iterate(labels={"env": "prod"}):
        ...     print(interaction.completion_id)
        """
        cursor: str | None = None
        while True:
            page = self.list(limit=limit, view=view, cursor=cursor, **filters)
            for interaction in page.interactions:
                yield interaction
            cursor = page.next
            if cursor is None:
                return

    def change_labels(
        self, completion_id: str | UUID, *, set: Mapping[str, str] | None = None, remove: Sequence[str] | None = None
    ) -> dict[str, str]:
        """Set and remove labels of an interaction, all or nothing; return all that it has then.

        >>> client.interactions.change_labels(completion_id, set={"reviewed": "yes"}, remove=["todo"])
        """
        request = Request(
            method="PATCH",
            path=path("interactions", str(completion_id), "labels"),
            body=encode({"set": set, "remove": remove}),
            repeatable=True,
        )
        return (self._client.call(request, WornLabels)).labels

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
        """Log many interactions: any iterable of dicts as for `create`, or a file of JSON lines (also .gz).

        Sends batches, again where that may help: each record is stored once. Tells what failed and why. Raises what no
        record can get past, such as `Unauthorized`.

        >>> report = client.interactions.upload(
        ...     [{"messages": [{"role": "user", "content": "Hello!"}], "completion": "Hi!"}], labels={"dataset": "v1"}
        ... )
        >>> report.stored, report.failed
        """
        upload = Upload(records, id_field="completion_id", labels=labels, batch_size=batch_size, progress=progress)
        return self._client.upload(upload, path("interactions", "batch"), project, max_concurrency)
