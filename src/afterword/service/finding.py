"""Finding interactions: plain parameters and filter trees, pages and groups, labels in use."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from afterword.errors import Invalid
from afterword.service.context import Context
from afterword.service.moments import shown
from afterword.service.presenting import SHORT, present
from afterword.store import groups, pages
from afterword.store import interactions as stored
from afterword.store.cursors import read_cursor, write_cursor
from afterword.types import (
    FeedbackCondition,
    Filter,
    Group,
    GroupPage,
    Interaction,
    InteractionPage,
    LabelCondition,
    LabelKey,
    LabelList,
    LabelValue,
    Match,
    MetricStatistics,
    NumberCondition,
    Order,
    PreferenceCondition,
    Search,
    TimeRange,
)

_COMPARISON = re.compile(r"(?P<metric>.+?)\s*(?P<sign>>=|<=|!=|>|<|=)\s*(?P<value>[^<>=!]+)")
_SIGNS = {">=": "gte", "<=": "lte", "!=": "neq", ">": "gt", "<": "lt", "=": "eq"}


async def list_interactions(context: Context, *, query: Any) -> InteractionPage | GroupPage:
    """List interactions, newest first.

    All filters must hold. `label` is KEY or KEY:VALUE, repeated; several values of one key mean any of them.
    `feedback` is METRIC or a comparison such as `CSAT>=4`, repeated. `q` finds words in prompt or completion. Pages
    are walked with `next` and `previous`, stable while more arrive. `count=true` adds the exact number. With
    `group_by` (model, prompt, session or label:KEY) the answer is groups with their counts and each metric's
    statistics.
    """
    conditions = plain_conditions(query)
    wanted = Search(
        project=query.project,
        filter=Filter(and_=[condition for _, condition in conditions]) if conditions else None,
        **{name: getattr(query, name) for name in ("order", "limit", "cursor", "count", "view", "images", "group_by")},
    )
    try:
        return await _find(context, wanted)
    except Invalid as error:
        raise _of_parameter(error, [name for name, _ in conditions]) from None


async def search(context: Context, *, body: Search) -> InteractionPage | GroupPage:
    """Search interactions with a filter tree.

    `and`, `or` and `not` over conditions on time, model, label, feedback, preference, source, prompt_hash, session,
    user, completion_id and the texts of prompt and completion. Each node carries exactly one condition. Pages,
    counts and groups are as for the list.
    """
    return await _find(context, body)


async def _find(context: Context, wanted: Search) -> InteractionPage | GroupPage:
    project = context.project(wanted.project)
    names = context.names(project)
    paging = {"limit": wanted.limit, "cursor": wanted.cursor, "count": wanted.count}

    def page(connection: Connection) -> InteractionPage:
        found = pages.find(connection, names, wanted.filter, order=wanted.order, **paging)
        return InteractionPage(
            interactions=present(context, connection, found.rows, view=wanted.view, images=wanted.images),
            next=found.next,
            previous=found.previous,
            count=found.count,
        )

    def grouped(connection: Connection) -> GroupPage:
        found = groups.find(connection, names, wanted.filter, group_by=wanted.group_by or "", **paging)
        examples = [group.example for group in found.groups] if wanted.group_by == "prompt" else []
        prompts = _prompts(context, connection, examples)
        return GroupPage(
            groups=[_group(context, group, prompts.get(group.example)) for group in found.groups],
            next=found.next,
            count=found.count,
        )

    if wanted.group_by is not None:
        return await context.store.read_long(grouped)
    return await (context.store.read_long if wanted.count else context.store.read)(page)


async def pages_of_groups(
    context: Context,
    *,
    project: str,
    filter: Filter,
    group_by: str,
    keys: Sequence[str | None],
    order: Order,
    limit: int,
    cursor: str | None,
) -> dict[str | None, InteractionPage]:
    """Return a page of interactions, whole, for each of these groups by model or prompt."""
    its_project = context.project(project)
    names = context.names(its_project)

    def within(key: str | None) -> Filter:
        if key is None:
            return Filter(not_=Filter(model=Match(in_=[row.key for row in context.catalog.models.values()])))
        return of_group(group_by, key)

    def read(connection: Connection) -> dict[str | None, InteractionPage]:
        paging = {"order": order, "limit": limit, "cursor": cursor, "count": False}
        found = {key: pages.find(connection, names, Filter(and_=[filter, within(key)]), **paging) for key in keys}
        rows = [row for page in found.values() for row in page.rows]
        shown_rows = present(context, connection, rows, view="full", images="links")
        by_id = {one.completion_id: one for one in shown_rows}
        return {
            key: InteractionPage([by_id[row.id] for row in page.rows], page.next, page.previous)
            for key, page in found.items()
        }

    return await context.store.read_long(read)


def of_group(group_by: str, key: str) -> Filter:
    """Return the condition of a group by model or prompt."""
    return Filter(prompt_hash=Match(eq=key)) if group_by == "prompt" else Filter(model=Match(eq=key))


def cursor_after(interaction: Interaction, order: Order) -> str:
    """Return the cursor with which a list goes on after an interaction."""
    created_at = round(interaction.created_at.timestamp() * 1000)
    return write_cursor(pages.Cursor(created_at, interaction.completion_id, False, order))


def of_pages(cursor: str | None) -> str | None:
    """Return a cursor if it is one of a list of interactions; None for those of other lists."""
    try:
        return cursor and (read_cursor(cursor, pages.Cursor) and cursor)
    except Invalid:
        return None


def _prompts(context: Context, connection: Connection, ids: list[UUID]) -> dict[UUID, str]:
    """Return the beginnings of the prompts of interactions, by id."""
    if not ids:
        return {}
    rows = stored.find_all(connection, ids)
    shown = present(context, connection, rows, view="short", images="links")
    return {one.completion_id: one.prompt[:SHORT] for one in shown}


def _group(context: Context, group: Any, prompt: str | None) -> Group:
    return Group(
        key=group.key,
        count=group.count,
        metrics=[
            MetricStatistics(
                metric=one.metric if isinstance(one.metric, str) else context.catalog.metrics[one.metric].key,
                count=one.count,
                mean=one.mean,
                min=one.min,
                max=one.max,
                stddev=one.stddev,
            )
            for one in group.metrics
        ],
        prompt=prompt,
        session=group.session,
    )


def plain_filter(query: Any) -> Filter | None:
    """Return what plain parameters mean, as one tree; None for no conditions."""
    conditions = plain_conditions(query)
    return Filter(and_=[condition for _, condition in conditions]) if conditions else None


def plain_conditions(query: Any) -> list[tuple[str, Filter]]:
    """Return the conditions that plain parameters mean, each with its parameter."""
    conditions: list[tuple[str, Filter]] = []
    by_key: dict[str, list[str] | None] = {}
    for text in query.label:
        key, colon, value = text.partition(":")
        if not key:
            raise Invalid(
                f"label is {text!r:.80}.", code="invalid_label", param="label", hint="Give KEY, or KEY:VALUE."
            )
        if colon:
            values = by_key.setdefault(key, [])
            if values is not None:
                values.append(value)
        else:
            by_key[key] = None
    conditions += [
        ("label", Filter(label=LabelCondition(key=key, value=None if values is None else Match(in_=values))))
        for key, values in by_key.items()
    ]
    if query.model:
        conditions.append(("model", Filter(model=Match(in_=query.model))))
    if query.source:
        conditions.append(("source", Filter(source=Match(in_=list(query.source)))))
    for name in ("state", "finish_reason"):
        if words := getattr(query, name):
            conditions.append((name, msgspec.structs.replace(Filter(), **{name: Match(in_=list(words))})))
    for name in ("session_id", "user", "prompt_hash"):
        if (value := getattr(query, name)) is not None:
            conditions.append((name, msgspec.structs.replace(Filter(), **{name: Match(eq=value)})))
    if query.from_ is not None:
        conditions.append(("from", Filter(timerange=TimeRange(from_=query.from_))))
    if query.to is not None:
        conditions.append(("to", Filter(timerange=TimeRange(to=query.to))))
    conditions += [("feedback", Filter(feedback=_feedback_condition(text))) for text in query.feedback]
    conditions += [("has_feedback", Filter(feedback=FeedbackCondition(metric=key))) for key in query.has_feedback]
    conditions += [
        ("has_no_feedback", Filter(not_=Filter(feedback=FeedbackCondition(metric=key))))
        for key in query.has_no_feedback
    ]
    conditions += [("preference", Filter(preference=PreferenceCondition(metric=key))) for key in query.preference]
    if query.q is not None:
        conditions.append(("q", Filter(text=query.q)))
    return conditions


def _of_parameter(error: Invalid, names: list[str]) -> Invalid:
    """Say of the parameter what an error says of its condition in the tree."""
    place = error.param or ""
    found = re.match(r"filter\.and\[(\d+)\]", place)
    if found is None:
        return error
    name = names[int(found[1])]
    return Invalid(error.message.replace(place, name), code=error.code, param=name, hint=error.hint)


def _feedback_condition(text: str) -> FeedbackCondition:
    found = _COMPARISON.fullmatch(text)
    if found is None:
        return FeedbackCondition(metric=text)
    value = found["value"].strip().lower()
    try:
        number = {"true": 1.0, "false": 0.0}.get(value)
        number = float(value) if number is None else number
        if not math.isfinite(number):
            raise ValueError
    except ValueError:
        raise Invalid(
            f"feedback is {text!r:.80}, but {value!r:.80} is neither a number nor true or false.",
            code="invalid_feedback_filter",
            param="feedback",
            hint="Give METRIC, or a comparison such as CSAT>=4, accepted=true, score!=0.5.",
        ) from None
    return FeedbackCondition(metric=found["metric"], value=NumberCondition(**{_SIGNS[found["sign"]]: number}))


async def list_labels(context: Context, *, query: Any) -> LabelList:
    """List the labels in use: each key with its values, on how many interactions, and when last."""
    project = context.project(query.project)
    values: dict[str, list[LabelValue]] = defaultdict(list)
    for row in await context.store.read_long(stored.label_usage, project.number):
        values[row.key].append(LabelValue(value=row.value, count=row.number, last_used=shown(row.last_used)))
    return LabelList(
        labels=[
            LabelKey(
                key=key,
                count=sum(one.count for one in its),
                last_used=max(one.last_used for one in its),
                values=sorted(its, key=lambda one: (-one.count, one.value)),
            )
            for key, its in sorted(values.items())
        ]
    )
