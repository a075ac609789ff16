"""Datasets made of interactions: those that match a filter, or some of them, as lines of one kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from afterword.errors import Invalid
from afterword.service.context import Context
from afterword.service.datasets import present as present_dataset
from afterword.service.lines import encode, read_line
from afterword.service.loading import as_id, load
from afterword.service.presenting import present
from afterword.store import datasets as stored
from afterword.store import pages
from afterword.store.catalog import MetricRow, ProjectRow
from afterword.types import (
    Dataset,
    DatasetFromInteractions,
    FeedbackCondition,
    Filter,
    Interaction,
    Match,
    Preference,
    PreferenceCondition,
)

PAGE = 500
# Interactions are read together until they have so many bytes, images among them.
MOST_BYTES = 8 << 20


async def create(context: Context, *, body: DatasetFromInteractions) -> Dataset:
    """Make a dataset of interactions.

    Of those that match `filter` or are named by `completion_ids`, without those in `exclude`: all, `random` ones, or
    the `last` ones. `kind` says what of them makes a line: the prompt; with the completion; with the newest value
    under each metric too; or, for each preference of the completion over another, both. `metrics` are the feedback keys
    that count, all by default. Images stand in the lines as data URIs. Calls that failed, were cancelled or are open
    stay out unless the filter speaks of `state`; so do ties, and preferences between answers to different messages.
    """
    project = context.project(body.project, writing=True)
    if body.sample.type != "all" and body.sample.size is None:
        raise Invalid(
            f"sample.type is {body.sample.type!r}, but sample.size is missing.",
            code="missing_field",
            param="sample.size",
            hint="Say how many lines, or leave sample out for all.",
        )
    choice = _Choice(context, project, body)
    row = await load(context, project, choice.lines(), key=body.key, name=body.name, source="filtered")
    return present_dataset(context, row)


class _Choice:
    """Which interactions, and what of them."""

    def __init__(self, context: Context, project: ProjectRow, body: DatasetFromInteractions) -> None:
        self.context = context
        self.project = project
        self.body = body
        if body.metrics is None:
            self.metrics = context.catalog.metrics_of(project.number)
        else:
            self.metrics = [
                context.metric(project.number, key, param=f"metrics[{index}]") for index, key in enumerate(body.metrics)
            ]
        self.by_key: dict[str, MetricRow] = {row.key: row for row in self.metrics}
        self.filter = self._filter()

    def _filter(self) -> Filter:
        body = self.body
        # The caller's own comes first: errors name its place.
        parts = [body.filter or Filter(and_=[])]
        if body.completion_ids is not None:
            parts.append(Filter(completion_id=Match(in_=body.completion_ids)))
        if body.exclude:
            parts.append(Filter(not_=Filter(completion_id=Match(in_=body.exclude))))
        if body.filter is None or not _speaks_of_state(body.filter):
            parts.append(Filter(state=Match(eq="complete")))
        keys = list(self.by_key)
        if body.kind == "feedback":
            parts.append(Filter(or_=[Filter(feedback=FeedbackCondition(metric=key)) for key in keys]))
        elif body.kind == "preference":
            parts.append(Filter(or_=[Filter(preference=PreferenceCondition(metric=key)) for key in keys]))
        return Filter(and_=parts)

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield the lines, some at a time."""
        most = self.body.sample.size
        async for ids in self._ids():
            lines = await self.context.store.read_long(self._lines_of, ids)
            if most is not None:
                lines = lines[:most]
                most -= len(lines)
            if lines:
                yield b"".join(lines)
            if most == 0:
                return

    async def _ids(self) -> AsyncIterator[list[UUID]]:
        """Yield ids, in groups that can be in memory together, the newest first or by chance."""
        store, names = self.context.store, self.context.names(self.project)
        sample = self.body.sample
        if sample.type == "random":
            preferred = [row.number for row in self.metrics] if self.body.kind == "preference" else None
            chosen = await self._said(
                store.read_long(stored.sampled, names, self.filter, size=sample.size or 0, preferred=preferred)
            )
            for group in _groups(chosen):
                yield group
            return
        cursor = None
        while True:
            page = await self._said(
                store.read_long(
                    pages.find, names, self.filter, order="-created_at", limit=PAGE, cursor=cursor, count=False
                )
            )
            for group in _groups([(row.id, row.size) for row in page.rows]):
                yield group
            cursor = page.next
            if cursor is None:
                return

    async def _said(self, reading: Any) -> Any:
        """Await a read with the filter; name the places of its conditions as the caller gave them."""
        try:
            return await reading
        except Invalid as error:
            for ours, theirs in (("filter.and[0]", "filter"), ("filter.and[1].completion_id", "completion_ids")):
                if (error.param or "").startswith(ours):
                    param = (error.param or "").replace(ours, theirs, 1)
                    message = error.message.replace(ours, theirs)
                    raise Invalid(message, code=error.code, param=param, hint=error.hint) from None
            raise

    # ------------------------------------------------------------------------------------ lines

    def _lines_of(self, connection: Connection, ids: list[UUID]) -> list[bytes]:
        found = self._shown(connection, ids)
        kind = self.body.kind
        lines: list[dict[str, Any]] = []
        if kind == "preference":
            lines = self._preferences(connection, found)
        for one in found if kind != "preference" else ():
            line = _start(one)
            if kind != "prompt":
                line["completion"] = one.message or one.completion
            if kind == "feedback":
                line["feedbacks"] = self._feedbacks(one)
            if kind != "feedback" or line["feedbacks"]:
                lines.append(line)
        # As they will be read again: in the normal shape.
        return [encode(read_line(encode(line))) + b"\n" for line in lines]

    def _shown(self, connection: Connection, ids: Sequence[UUID]) -> list[Interaction]:
        rows = stored.rows(connection, ids)
        return present(self.context, connection, rows, view="full", images="inline")

    def _feedbacks(self, one: Interaction) -> dict[str, bool | float]:
        """Return the newest value under each metric that counts."""
        values: dict[str, bool | float] = {}
        for given in one.feedback:
            metric = self.by_key.get(given.metric)
            if metric is not None and given.metric not in values:
                values[given.metric] = bool(given.value) if metric.kind == "bool" else given.value
        return values

    def _preferences(self, connection: Connection, found: list[Interaction]) -> list[dict[str, Any]]:
        wanted: list[tuple[Interaction, Preference]] = [
            (one, preference)
            for one in found
            for preference in one.preferences
            if preference.metric in self.by_key
            and preference.preferred_completion == one.completion_id
            and preference.tied is None
            and not preference.prompt_mismatch
        ]
        excluded = {as_id(one) for one in self.body.exclude}
        others = {
            one.completion_id: one
            for one in self._shown(connection, list({preference.other_completion for _, preference in wanted}))
            if one.completion_id not in excluded and (one.call is None or one.call.state == "complete")
        }
        lines = []
        for one, preference in wanted:
            other = others.get(preference.other_completion)
            if other is not None:
                line = _start(one)
                line["preferred_completion"] = one.message or one.completion
                line["other_completion"] = other.message or other.completion
                line["feedback_key"] = preference.metric
                line["metadata"] |= {"other_completion_id": other.completion_id, "other_model": other.model}
                lines.append(line)
        return lines


def _start(one: Interaction) -> dict[str, Any]:
    """Return what every line has: the prompt, the labels, and where it comes from."""
    line: dict[str, Any] = {"messages": one.messages, "metadata": {"completion_id": one.completion_id}}
    line["metadata"]["model"] = one.model
    if one.labels:
        line["labels"] = one.labels
    return line


def _groups(chosen: Sequence[tuple[UUID, int]]) -> list[list[UUID]]:
    """Part interactions into groups that are not too large together."""
    groups: list[list[UUID]] = []
    room = 0
    for its_id, size in chosen:
        if not groups or size > room or len(groups[-1]) >= PAGE:
            groups.append([])
            room = max(MOST_BYTES, size)
        groups[-1].append(its_id)
        room -= size
    return groups


def _speaks_of_state(node: Filter) -> bool:
    children = [*(node.and_ or ()), *(node.or_ or ()), *([node.not_] if node.not_ else [])]
    return node.state is not None or any(map(_speaks_of_state, children))
