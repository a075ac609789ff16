"""Interactions: one, pages, groups; their labels changed, themselves deleted."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
from graphql import FieldNode, GraphQLResolveInfo

from afterword.api.graphql.asked import Asked, Gathered
from afterword.api.graphql.filters import filter_of, project_of, refuse_feedback_filter
from afterword.errors import Invalid, NotFound
from afterword.service import finding, interactions
from afterword.service.access import may
from afterword.service.context import Context, MetricRow, ModelRow
from afterword.service.models import find_as_seen
from afterword.types import (
    MAX_PAGE_ROWS,
    PAGE_ROWS,
    Feedback,
    Filter,
    Group,
    Interaction,
    InteractionPage,
    LabelChange,
    Match,
    MetricStatistics,
    Order,
    Preference,
    Search,
)

# Deleted in one call; each is a write of its own.
MOST_SELECTED = 10_000


class Connection(msgspec.Struct):
    """A page as Relay's clients read it."""

    nodes: list[Any]
    page_info: dict[str, Any]
    total_count: int | None
    edges: list[dict[str, Any]]
    group_by: str | None = None


class GroupNode(msgspec.Struct):
    """A group of interactions, and what leads to them."""

    group: Group
    project: str
    group_by: str
    filter: Filter


# ------------------------------------------------------------------------------------------------ lists


async def completions(
    context: Context, info: GraphQLResolveInfo, filter: dict[str, Any], page: dict[str, Any], order: list[Any]
) -> Connection:
    """Return a page of interactions."""
    limit, cursor = _paging(page)
    found = await finding.search(
        context,
        body=Search(
            project=project_of(filter),
            filter=filter_of(filter),
            order=_order(order, "created_at"),
            limit=limit,
            cursor=cursor,
            count=_wants(info, "totalCount"),
            view="full",
        ),
    )
    assert isinstance(found, InteractionPage)
    return _connection(found, _order(order, "created_at"))


def _connection(found: InteractionPage, order: Order) -> Connection:
    return Connection(
        nodes=found.interactions,
        page_info=_page_info(found.next, found.previous),
        total_count=found.count,
        edges=[{"node": one, "cursor": finding.cursor_after(one, order)} for one in found.interactions],
    )


async def completions_grouped(
    context: Context,
    info: GraphQLResolveInfo,
    filter: dict[str, Any],
    group_by: str,
    page: dict[str, Any],
    order: list[Any],
    feedback_filter: Any = None,
    score_filter: Any = None,
) -> Connection:
    """Return a page of groups."""
    refuse_feedback_filter("feedbackFilter", feedback_filter)
    refuse_feedback_filter("scoreFilter", score_filter)
    limit, cursor = _paging(page)
    _order(order, "group")
    project, tree, kind = project_of(filter), filter_of(filter), group_by.lower()
    body = Search(project=project, filter=tree, limit=limit, cursor=cursor, count=_wants(info, "totalCount"))
    found = await finding.search(context, body=msgspec.structs.replace(body, group_by=kind))
    assert not isinstance(found, InteractionPage)
    nodes = [GroupNode(one, project, kind, tree) for one in found.groups]
    return Connection(
        nodes=nodes,
        page_info=_page_info(found.next, None),
        total_count=found.count,
        edges=[{"node": one, "cursor": found.next or ""} for one in nodes],
        group_by=group_by,
    )


async def _of_group(node: GroupNode, info: GraphQLResolveInfo, page: dict[str, Any], order: list[Any]) -> Connection:
    """Return a page of a group's interactions; those of all groups of the list are read together."""
    asked: Asked = info.context
    limit, cursor = _paging({name: value for name, value in page.items() if value is not None})
    wanted = _order(order, "created_at")
    place = ("groups", *(step for step in info.path.as_list() if isinstance(step, str)))
    if place not in asked.gathered:

        async def load(keys: list[Any]) -> dict[Any, InteractionPage]:
            return await finding.pages_of_groups(
                asked.reading,
                project=node.project,
                filter=node.filter,
                group_by=node.group_by,
                keys=keys,
                order=wanted,
                limit=limit,
                cursor=finding.of_pages(cursor),
            )

        asked.gathered[place] = Gathered(load)
    found = await asked.gathered[place].get(node.group.key)
    assert found is not None
    connection = _connection(found, wanted)
    connection.total_count = node.group.count
    return connection


def _page_info(next: str | None, previous: str | None) -> dict[str, Any]:
    return {
        "has_next_page": next is not None,
        "has_previous_page": previous is not None,
        "start_cursor": previous,
        "end_cursor": next,
    }


def _paging(page: dict[str, Any]) -> tuple[int, str | None]:
    if page.get("offset"):
        raise _refused("page.offset", page["offset"], "Walk the pages: give `endCursor` of one as `after` of the next.")
    if "last" in page and "before" not in page:
        raise _refused("page.last", page["last"], "Give `before` too; or ask for the other order, and `first`.")
    limit = page.get("last" if "before" in page else "first", PAGE_ROWS)
    if not 1 <= limit <= MAX_PAGE_ROWS:
        raise _refused("page.first", limit, f"A page holds 1 to {MAX_PAGE_ROWS}.")
    return limit, page.get("before", page.get("after"))


def _order(order: list[dict[str, str]], only: str) -> Any:
    """Return the order of a list. Ids are made in the order of time, so that ordering by them is the same."""
    directions = set()
    for one in order:
        if one["field"] not in ({"group"} if only == "group" else {"created_at", "id"}):
            raise _refused("order.field", one["field"], f"Order by {only}.")
        directions.add(one["order"])
    if only == "group" and directions - {"ASC"}:
        raise _refused("order.order", "DESC", "Groups are in the order of their keys, ascending.")
    return "created_at" if directions == {"ASC"} else "-created_at"


def _refused(param: str, value: Any, hint: str) -> Invalid:
    return Invalid(f"{param} is {value!r:.80}.", code="invalid_page", param=param, hint=hint)


def _wants(info: GraphQLResolveInfo, name: str) -> bool:
    """Tell whether a member is asked for; through fragments it counts as asked for."""
    for node in info.field_nodes:
        for one in node.selection_set.selections if node.selection_set else ():
            if not isinstance(one, FieldNode) or one.name.value == name:
                return True
    return False


# ------------------------------------------------------------------------------------------------ one


async def completion(
    context: Context, asked: Asked, id: UUID, project: str | None = None, use_case: str | None = None
) -> Interaction | None:
    """Return an interaction; null where the project has none of that id."""
    its = context.project(project_of({"project": project} if project else {"useCase": use_case} if use_case else {}))
    found = await asked.completions.get(id)
    return found if found is not None and found.project == its.key else None


async def update_completion(context: Context, asked: Asked, input: dict[str, Any]) -> Interaction:
    """Change the labels of an interaction. It takes a key that may read, too: the answer shows the interaction."""
    asked.context("read")
    there = await asked.completions.get(input["id"]) or interactions.missing(input["id"])
    labels = dict(there.labels)
    if "setLabels" in input:
        labels = {}
    for one in input.get("removeLabels", []):
        if labels.get(one["key"]) == one["value"]:
            del labels[one["key"]]
    for one in [*input.get("addLabels", []), *input.get("setLabels", [])]:
        labels[one["key"]] = one["value"]
    body = LabelChange(set=labels, remove=[key for key in there.labels if key not in labels])
    await interactions.change_labels(context, str(there.completion_id), body=body)
    return msgspec.structs.replace(there, labels=labels)


async def delete_completion(context: Context, id: UUID) -> bool:
    """Delete an interaction."""
    await interactions.delete(context, str(id))
    return True


async def delete_completion_selection(context: Context, project: str, selection: dict[str, Any]) -> int:
    """Delete interactions; return how many there were."""
    ids = await selected(context, project, selection)
    deleted = 0
    for start in range(0, len(ids), 50):
        some = [interactions.delete(context, str(one)) for one in ids[start : start + 50]]
        for outcome in await asyncio.gather(*some, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, NotFound):
                raise outcome
            deleted += not isinstance(outcome, BaseException)
    return deleted


async def selected(context: Context, project: str, selection: dict[str, Any]) -> list[UUID]:
    """Return the ids of a selection: those that are named, or all that a filter or groups of it find but those left
    out."""
    if len(selection) != 1:
        raise Invalid(
            f"The selection has {len(selection)} members; it takes exactly one.",
            code="invalid_selection",
            param="selection",
            hint="Give fromSelection, fromFilters or fromGroups.",
        )
    [(kind, chosen)] = selection.items()
    left_out: set[UUID] = set(chosen.get("exclude", ()))
    if kind == "fromSelection":
        tree = _among(chosen["include"])
    elif kind == "fromFilters":
        tree = filter_of(chosen["filters"])
    else:
        tree = Filter(and_=[filter_of(chosen["filters"]), Filter(or_=[_of(one, chosen) for one in chosen["groups"]])])
    body = Search(project=project, filter=tree, limit=MAX_PAGE_ROWS)
    found: list[UUID] = []
    while True:
        page = await finding.search(context, body=body)
        assert isinstance(page, InteractionPage)
        found += [one.completion_id for one in page.interactions if one.completion_id not in left_out]
        if page.next is None:
            return found
        if len(found) > MOST_SELECTED:
            raise _refused("selection", len(found), f"At most {MOST_SELECTED:,} at once: choose by a narrower filter.")
        body = msgspec.structs.replace(body, cursor=page.next)


def _of(group: dict[str, Any], chosen: dict[str, Any]) -> Filter:
    """Return what is chosen of a group."""
    conditions = [finding.of_group(chosen["grouping"].lower(), group["groupId"])]
    its = group["selection"]
    if "selectOnly" in its:
        conditions.append(_among(its["selectOnly"]))
    if "exclude" in its:
        conditions.append(Filter(not_=_among(its["exclude"])))
    return Filter(and_=conditions)


def _among(ids: list[UUID]) -> Filter:
    return Filter(completion_id=Match(in_=[str(one) for one in ids]))


async def interaction_options(context: Context, filter: dict[str, Any]) -> dict[str, Any]:
    """Return what interactions of a project can be filtered by."""
    project = context.project(filter["projectId"])
    rows = [context.catalog.models[one.model] for one in context.catalog.models_of(project.number)]
    return {"users": [], "models": rows, "labels": {"project": project.key}}


# ------------------------------------------------------------------------------------------------ members


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    texts = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            image = part.get("image_url") or part.get("url")
            address = image.get("url") if isinstance(image, dict) else image
            texts.append(str(part["text"]) if "text" in part else f"[{part.get('type', 'part')}: {address or '...'}]")
    return "\n".join(texts)


def _messages(one: Interaction, info: GraphQLResolveInfo) -> list[dict[str, str]]:
    return [{"role": str(said.get("role")), "content": _text(said.get("content"))} for said in one.messages or ()]


def _prompt(one: Interaction, info: GraphQLResolveInfo, maxLength: int | None = None) -> str:
    return "\n\n".join(said["content"] for said in _messages(one, info))[:maxLength]


def _said(one: Interaction, info: GraphQLResolveInfo, maxLength: int | None = None) -> str:
    return one.completion[:maxLength]


def _model(one: Interaction, info: GraphQLResolveInfo) -> ModelRow | None:
    return None if one.model is None else find_as_seen(info.context.reading, one.model)


def _can_edit(one: Interaction, info: GraphQLResolveInfo) -> bool:
    asked: Asked = info.context
    project = asked.home.catalog.find_project(one.project)
    return project is not None and may(asked.home.catalog, asked.actor, "edit", project.number)


def _metadata(one: Interaction, info: GraphQLResolveInfo) -> dict[str, Any]:
    usage = one.usage or {}
    tokens = {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    whole = all(isinstance(number, int) for number in tokens.values())
    system = msgspec.to_builtins(one.call) if one.call else {}
    if one.facts:
        system["facts"] = one.facts
    return {
        "parameters": one.parameters,
        "timings": one.timings,
        "usage": tokens if whole else None,
        "system": system or None,
    }


def _metric_of(one: Feedback | Preference, info: GraphQLResolveInfo, project: str) -> MetricRow | None:
    catalog = info.context.home.catalog
    row = catalog.find_project(project)
    return None if row is None else catalog.find_metric(row.number, one.metric)


def _feedback(one: Interaction, info: GraphQLResolveInfo, filter: Any = None) -> list[dict[str, Any]]:
    return [
        {
            "id": given.feedback_id,
            "value": given.value,
            "metric": _metric_of(given, info, one.project),
            "reason": given.reason,
            "details": given.details,
            "created_at": given.created_at,
            "source": "USER",
            "can_edit": given.mine or _can_edit(one, info),
        }
        for given in one.feedback
    ]


def _preferences(one: Interaction, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    project = info.context.home.catalog.find_project(one.project)
    return [
        {
            "id": given.comparison_id,
            "created_at": given.created_at,
            "project": project,
            "usecase": project,
            "metric": _metric_of(given, info, one.project),
            "prefered_completion": given.preferred_completion,
            "other_completion": given.other_completion,
            "can_edit": given.mine or _can_edit(one, info),
        }
        for given in one.preferences
    ]


def _side(name: str) -> Any:
    async def resolve(given: dict[str, Any], info: GraphQLResolveInfo) -> Interaction | None:
        return await info.context.completions.get(given[name])

    return resolve


def _session(one: Interaction, info: GraphQLResolveInfo) -> dict[str, Any]:
    return {"id": one.session_id, "name": one.session, "project": one.project}


async def _turns(session: dict[str, Any], info: GraphQLResolveInfo) -> list[Interaction]:
    tree = Filter(session_id=Match(eq=str(session["id"])))
    body = Search(project=session["project"], filter=tree, order="created_at", limit=MAX_PAGE_ROWS, view="full")
    found = await finding.search(info.context.reading, body=body)
    assert isinstance(found, InteractionPage)
    return found.interactions


def _statistics(node: GroupNode, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    catalog = info.context.home.catalog
    project = catalog.find_project(node.project)

    def shown(one: MetricStatistics) -> dict[str, Any]:
        count = {"feedbacks": one.count, "scores": one.count, "sum": one.mean * one.count}
        return {**count, "average": one.mean, "min": one.min, "max": one.max, "stddev": one.stddev}

    known = [(project and catalog.find_metric(project.number, one.metric), one) for one in node.group.metrics]
    return [{"metric": metric, **shown(one)} for metric, one in known if metric is not None]


QUERY = {
    "completions": ("read", completions),
    "completionsGrouped": ("read", completions_grouped),
    "completion": ("read", completion),
    "interactionOptions": ("read", interaction_options),
}

MUTATION = {
    "updateCompletion": ("write", update_completion),
    "deleteCompletion": ("edit", delete_completion),
    "deleteCompletionSelection": ("edit", delete_completion_selection),
}

MEMBERS: dict[str, dict[str, Any]] = {
    "Completion": {
        "id": lambda one, info: one.completion_id,
        "prompt": _prompt,
        "chatMessages": _messages,
        "completion": _said,
        "model": _model,
        "modelService": _model,
        "createdBy": lambda one, info: None,
        "directFeedbacks": _feedback,
        "directScores": _feedback,
        "comparisonFeedbacks": _preferences,
        "comparisonScores": _preferences,
        "session": _session,
        "labels": lambda one, info, **_: [{"key": key, "value": value} for key, value in one.labels.items()],
        "canEdit": _can_edit,
        "metadata": _metadata,
    },
    "ComparisonScore": {
        "preferedCompletion": _side("prefered_completion"),
        "otherCompletion": _side("other_completion"),
    },
    "Session": {"turns": _turns},
    "CompletionGroupData": {
        "key": lambda node, info: node.group.key,
        "count": lambda node, info: node.group.count,
        "directFeedbacksStats": _statistics,
        "directScoresStats": _statistics,
        "completions": _of_group,
    },
}
