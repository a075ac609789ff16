"""Finding interactions: plain parameters and filter trees, pages and groups, labels in use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection

from afterword.errors import Forbidden, Invalid
from afterword.service.access import has_permission
from afterword.service.context import Context
from afterword.service.interactions.plain_filters import error_of_parameter, parameter_of_path, plain_conditions
from afterword.service.interactions.serializing import SHORT_CHARACTERS, serialize_interactions, shown_media
from afterword.service.timestamps import to_datetime
from afterword.store import interactions as stored
from afterword.store.query import groups, pages
from afterword.store.query.cursors import read_cursor, write_cursor
from afterword.store.query.matches import Matches
from afterword.store.query.scan import Cursor
from afterword.types import (
    Filter,
    Group,
    GroupPage,
    Interaction,
    InteractionPage,
    LabelKey,
    LabelList,
    LabelValue,
    Match,
    MetricStatistics,
    Order,
    PlanStep,
    Search,
)
from afterword.types.queries import ExplainQuery, ListQuery, ProjectQuery


async def list_interactions(context: Context, *, query: ListQuery) -> InteractionPage | GroupPage:
    """List interactions, newest first.

    All filters must hold. `label` is KEY or KEY:VALUE, repeated; several values of one key mean any of them. `feedback`
    is METRIC or a comparison such as `CSAT>=4`, repeated. Put keys and values that contain colons or comparison signs
    in "quotes". `q` finds words in prompt or completion. `next` and `previous` are the cursors of the other pages,
    which stay stable while more interactions arrive. `count=true` adds the exact number. With `group_by` (model,
    prompt, session or label:KEY) the answer is groups with their counts and each metric's statistics. `explain=true`
    adds the query plans, for administrators of the whole server.
    """
    conditions = await plain_conditions(context, query)
    search_request = Search(
        project=query.project,
        filter=Filter(and_=[condition for _, condition in conditions]) if conditions else None,
        **{
            name: getattr(query, name)
            for name in ("order", "limit", "cursor", "count", "view", "images", "media", "group_by")
        },
    )
    names = [name for name, _ in conditions]
    try:
        page = await _find_page(context, search_request, explain=query.explain)
    except Invalid as error:
        raise error_of_parameter(error, names) from None
    if page.explain is not UNSET:
        page.explain = [_with_parameters(step, names) for step in page.explain]
    return page


async def search(context: Context, *, body: Search, query: ExplainQuery | None = None) -> InteractionPage | GroupPage:
    """Search interactions with a filter tree.

    A tree of `and`, `or` and `not` combines conditions on time, model, label, feedback, preference, source,
    prompt_hash, session, user, completion_id and the texts of prompt and completion. Each node carries exactly one
    condition. Pages, counts, groups and `explain` are as for the list.
    """
    return await _find_page(context, body, explain=query is not None and query.explain)


async def _find_page(context: Context, search_request: Search, *, explain: bool) -> InteractionPage | GroupPage:
    if explain:
        _check_explains(context)
    project = context.project(search_request.project)
    names = context.names(project)
    paging = {"limit": search_request.limit, "cursor": search_request.cursor, "count": search_request.count}

    def page(connection: Connection) -> InteractionPage:
        matches = Matches(connection, names, search_request.filter)
        result = pages.find_page(matches, order=search_request.order, **paging)
        return InteractionPage(
            interactions=serialize_interactions(
                context, connection, result.rows, view=search_request.view, images=shown_media(search_request)
            ),
            next=result.next,
            previous=result.previous,
            count=result.count,
            explain=_plan_steps(matches) if explain else UNSET,
        )

    def group_page(connection: Connection) -> GroupPage:
        matches = Matches(connection, names, search_request.filter)
        result = groups.find_groups(matches, group_by=search_request.group_by or "", **paging)
        examples = [group.example for group in result.groups] if search_request.group_by == "prompt" else []
        prompts = _prompt_previews(context, connection, examples)
        return GroupPage(
            groups=[_group(context, group, prompts.get(group.example)) for group in result.groups],
            next=result.next,
            count=result.count,
            explain=_plan_steps(matches) if explain else UNSET,
        )

    if search_request.group_by is not None:
        return await context.store.read_long(group_page)
    return await (context.store.read_long if search_request.count else context.store.read)(page)


def _check_explains(context: Context) -> None:
    """Raise `Forbidden` unless the actor administers the whole server: plans count interactions of all projects."""
    actor = context.actor
    if not has_permission(context.catalog, actor, "administer_server"):
        raise Forbidden(
            f"explain is true, but {actor.name!r} does not administer the whole server: how a filter is read tells "
            "how many interactions of all projects match.",
            code="explain_not_allowed",
            param="explain",
            hint="Leave explain out, or use a key with the role admin that is for all projects.",
        )


def _plan_steps(matches: Matches) -> list[PlanStep]:
    return [msgspec.convert(step.explain(), PlanStep) for step in matches.steps]


def _with_parameters(step: PlanStep, names: list[str]) -> PlanStep:
    """Return a step with the names of parameters in place of paths."""
    return msgspec.structs.replace(
        step,
        condition=step.condition and parameter_of_path(step.condition, names),
        checks=[parameter_of_path(path, names) for path in step.checks],
        texts=[parameter_of_path(path, names) for path in step.texts],
    )


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
    """Return a page of interactions in full for each of these groups by model or prompt."""
    project_row = context.project(project)
    names = context.names(project_row)

    def group_condition(key: str | None) -> Filter:
        if key is None:
            return Filter(not_=Filter(model=Match(in_=[row.key for row in context.catalog.models.values()])))
        return group_filter(group_by, key)

    def read(connection: Connection) -> dict[str | None, InteractionPage]:
        matches = Matches(connection, names, filter)
        page_of_group = {
            key: pages.find_page(matches.narrowed(group_condition(key)), order=order, limit=limit, cursor=cursor)
            for key in keys
        }
        rows = [row for page in page_of_group.values() for row in page.rows]
        interactions = serialize_interactions(
            context, connection, rows, view="full", images="links", with_outcomes=False
        )
        by_id = {interaction.completion_id: interaction for interaction in interactions}
        return {
            key: InteractionPage([by_id[row.id] for row in page.rows], page.next, page.previous)
            for key, page in page_of_group.items()
        }

    return await context.store.read_long(read)


def group_filter(group_by: str, key: str) -> Filter:
    """Return the condition of a group by model or prompt."""
    return Filter(prompt_hash=Match(eq=key)) if group_by == "prompt" else Filter(model=Match(eq=key))


def cursor_after(interaction: Interaction, order: Order) -> str:
    """Return the cursor at which a list continues after an interaction."""
    created_at = round(interaction.created_at.timestamp() * 1000)
    return write_cursor(Cursor(created_at, interaction.completion_id, False, order))


def find_interaction_cursor(cursor: str | None) -> str | None:
    """Return a cursor if it is one of a list of interactions; None for those of other lists."""
    try:
        return cursor and (read_cursor(cursor, Cursor) and cursor)
    except Invalid:
        return None


def _prompt_previews(context: Context, connection: Connection, ids: list[UUID]) -> dict[UUID, str]:
    """Return the beginnings of the prompts of interactions, by id."""
    if not ids:
        return {}
    rows = stored.find_interactions(connection, ids)
    interactions = serialize_interactions(context, connection, rows, view="short", images="links")
    return {interaction.completion_id: interaction.prompt[:SHORT_CHARACTERS] for interaction in interactions}


def _group(context: Context, group: groups.GroupRow, prompt: str | None) -> Group:
    return Group(
        key=group.key,
        count=group.count,
        metrics=[
            MetricStatistics(
                metric=statistics.metric
                if isinstance(statistics.metric, str)
                else context.catalog.metrics[statistics.metric].key,
                count=statistics.count,
                mean=statistics.mean,
                min=statistics.min,
                max=statistics.max,
                stddev=statistics.stddev,
            )
            for statistics in group.metrics
        ],
        prompt=prompt,
        session=group.session,
    )


async def list_labels(context: Context, *, query: ProjectQuery) -> LabelList:
    """List the labels in use: each key with its values, their number of interactions and their last use."""
    project = context.project(query.project)
    values: dict[str, list[LabelValue]] = defaultdict(list)
    for row in await context.store.read_long(stored.label_usage, project.number):
        values[row.key].append(LabelValue(value=row.value, count=row.number, last_used=to_datetime(row.last_used)))
    return LabelList(
        labels=[
            LabelKey(
                key=key,
                count=sum(label_value.count for label_value in label_values),
                last_used=max(label_value.last_used for label_value in label_values),
                values=sorted(label_values, key=lambda label_value: (-label_value.count, label_value.value)),
            )
            for key, label_values in sorted(values.items())
        ]
    )
