"""Interactions: reading single ones, pages and groups; changing labels; deleting."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
from graphql import FieldNode, GraphQLResolveInfo

from afterword.api.graphql.filters import filter_of, project_of, refuse_feedback_filter
from afterword.api.graphql.request_context import RequestContext
from afterword.errors import Invalid, NotFound
from afterword.message_words import message_words
from afterword.service import projects
from afterword.service.access import has_permission_in
from afterword.service.context import Context
from afterword.service.interactions import recording, search
from afterword.service.interactions.completion_ids import resolve_completion_id
from afterword.service.models import models
from afterword.types import (
    MAX_PAGE_ROWS,
    PAGE_ROWS,
    Filter,
    Group,
    Interaction,
    InteractionPage,
    LabelChange,
    Match,
    MetricStatistics,
    Model,
    Order,
    Search,
)

# Bound on the interactions of a selection: each is deleted by a write of its own.
MAX_SELECTED_ROWS = 10_000


class RelayConnection(msgspec.Struct):
    """A page in the form of Relay's connections."""

    nodes: list[Any]
    page_info: dict[str, Any]
    total_count: int | None
    edges: list[dict[str, Any]]
    group_by: str | None = None


class GroupNode(msgspec.Struct):
    """A group of interactions, with the project, grouping and filter that select it."""

    group: Group
    project: str
    group_by: str
    filter: Filter


# ------------------------------------------------------------------------------------------------ lists


async def completions(
    context: Context, info: GraphQLResolveInfo, filter: dict[str, Any], page: dict[str, Any], order: list[Any]
) -> RelayConnection:
    """Return a page of interactions."""
    limit, cursor = _limit_and_cursor(page)
    interaction_page = await search.search(
        context,
        body=Search(
            project=project_of(filter),
            filter=filter_of(filter),
            order=_order(order, "created_at"),
            limit=limit,
            cursor=cursor,
            count=_is_selected(info, "totalCount"),
            view="full",
        ),
    )
    assert isinstance(interaction_page, InteractionPage)
    return _connection(interaction_page, _order(order, "created_at"))


def _connection(interaction_page: InteractionPage, order: Order) -> RelayConnection:
    return RelayConnection(
        nodes=interaction_page.interactions,
        page_info=_page_info(interaction_page.next, interaction_page.previous),
        total_count=interaction_page.count,
        edges=[
            {"node": interaction, "cursor": search.cursor_after(interaction, order)}
            for interaction in interaction_page.interactions
        ],
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
) -> RelayConnection:
    """Return a page of groups."""
    refuse_feedback_filter("feedbackFilter", feedback_filter)
    refuse_feedback_filter("scoreFilter", score_filter)
    limit, cursor = _limit_and_cursor(page)
    _order(order, "group")
    project, tree, kind = project_of(filter), filter_of(filter), group_by.lower()
    body = Search(project=project, filter=tree, limit=limit, cursor=cursor, count=_is_selected(info, "totalCount"))
    group_page = await search.search(context, body=msgspec.structs.replace(body, group_by=kind))
    assert not isinstance(group_page, InteractionPage)
    nodes = [GroupNode(group, project, kind, tree) for group in group_page.groups]
    return RelayConnection(
        nodes=nodes,
        page_info=_page_info(group_page.next, None),
        total_count=group_page.count,
        edges=[{"node": node, "cursor": group_page.next or ""} for node in nodes],
        group_by=group_by,
    )


async def _of_group(
    node: GroupNode, info: GraphQLResolveInfo, page: dict[str, Any], order: list[Any]
) -> RelayConnection:
    """Return a page of a group's interactions. The pages of all groups in the list are read together."""
    request: RequestContext = info.context
    limit, cursor = _limit_and_cursor({name: value for name, value in page.items() if value is not None})
    page_order = _order(order, "created_at")

    async def load(keys: list[Any]) -> dict[Any, InteractionPage]:
        return await search.pages_of_groups(
            request.read_context,
            project=node.project,
            filter=node.filter,
            group_by=node.group_by,
            keys=keys,
            order=page_order,
            limit=limit,
            cursor=search.find_interaction_cursor(cursor),
        )

    loader = request.loader(("groups", *(step for step in info.path.as_list() if isinstance(step, str))), load)
    interaction_page = await loader.get(node.group.key)
    assert interaction_page is not None
    connection = _connection(interaction_page, page_order)
    connection.total_count = node.group.count
    return connection


def _page_info(next: str | None, previous: str | None) -> dict[str, Any]:
    return {
        "has_next_page": next is not None,
        "has_previous_page": previous is not None,
        "start_cursor": previous,
        "end_cursor": next,
    }


def _limit_and_cursor(page: dict[str, Any]) -> tuple[int, str | None]:
    if page.get("offset"):
        raise _bad_page("page.offset", page["offset"], "Give `endCursor` of one page as `after` of the next.")
    if "last" in page and "before" not in page:
        raise _bad_page("page.last", page["last"], "Give `before` too; or ask for the other order, and `first`.")
    limit = page.get("last" if "before" in page else "first", PAGE_ROWS)
    if not 1 <= limit <= MAX_PAGE_ROWS:
        raise _bad_page("page.first", limit, f"A page holds 1 to {MAX_PAGE_ROWS}.")
    return limit, page.get("before", page.get("after"))


def _order(order: list[dict[str, str]], allowed_field: str) -> Any:
    """Return the order of a list. Ids increase with time, so ordering by `id` is ordering by `created_at`."""
    directions = set()
    for ordering in order:
        if ordering["field"] not in ({"group"} if allowed_field == "group" else {"created_at", "id"}):
            raise _bad_page("order.field", ordering["field"], f"Order by {allowed_field}.")
        directions.add(ordering["order"])
    if allowed_field == "group" and directions - {"ASC"}:
        raise _bad_page("order.order", "DESC", "Groups are in the order of their keys, ascending.")
    return "created_at" if directions == {"ASC"} else "-created_at"


def _bad_page(param: str, value: Any, hint: str) -> Invalid:
    return Invalid(f"{param} is {value!r:.80}.", code="invalid_page", param=param, hint=hint)


def _is_selected(info: GraphQLResolveInfo, name: str) -> bool:
    """Tell whether the query selects a member. A fragment counts as selecting it."""
    for node in info.field_nodes:
        for selection in node.selection_set.selections if node.selection_set else ():
            if not isinstance(selection, FieldNode) or selection.name.value == name:
                return True
    return False


# ------------------------------------------------------------------------------------------------ single interactions


async def completion(
    context: Context, request: RequestContext, id: UUID | str, project: str | None = None, use_case: str | None = None
) -> Interaction | None:
    """Return an interaction; null if the project has none with that id."""
    named_project = {"project": project} if project else {"useCase": use_case} if use_case else {}
    named_project_key = (await projects.get_project(context, project_of(named_project))).key
    completion_id = await resolve_completion_id(context, str(id), param="id")
    interaction = await request.interaction_loader.get(completion_id)
    return interaction if interaction is not None and interaction.project == named_project_key else None


async def update_completion(context: Context, request: RequestContext, input: dict[str, Any]) -> Interaction:
    """Change the labels of an interaction. The key needs permission to read, too: the answer has the interaction."""
    request.context("read")
    completion_id = await resolve_completion_id(context, str(input["id"]), param="id")
    interaction = await request.interaction_loader.get(completion_id)
    if interaction is None:
        recording.raise_completion_not_found(completion_id)
    labels = dict(interaction.labels)
    if "setLabels" in input:
        labels = {}
    for label in input.get("removeLabels", []):
        if labels.get(label["key"]) == label["value"]:
            del labels[label["key"]]
    for label in [*input.get("addLabels", []), *input.get("setLabels", [])]:
        labels[label["key"]] = label["value"]
    body = LabelChange(set=labels, remove=[key for key in interaction.labels if key not in labels])
    await recording.update_labels(context, str(interaction.completion_id), body=body)
    return msgspec.structs.replace(interaction, labels=labels)


async def delete_completion(context: Context, id: UUID | str) -> bool:
    """Delete an interaction."""
    await recording.delete_interaction(context, str(id))
    return True


async def delete_completion_selection(context: Context, project: str, selection: dict[str, Any]) -> int:
    """Delete the selected interactions; return how many were deleted."""
    ids = await selected_ids(context, project, selection)
    deleted_count = 0
    for start in range(0, len(ids), 50):
        deletions = [
            recording.delete_interaction(context, str(completion_id)) for completion_id in ids[start : start + 50]
        ]
        for outcome in await asyncio.gather(*deletions, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, NotFound):
                raise outcome
            deleted_count += not isinstance(outcome, BaseException)
    return deleted_count


async def selected_ids(context: Context, project: str, selection: dict[str, Any]) -> list[UUID]:
    """Return the ids of a selection: those it names, or those that its filter or groups match, without excluded ids."""
    if len(selection) != 1:
        raise Invalid(
            f"The selection has {len(selection)} members; it takes exactly one.",
            code="invalid_selection",
            param="selection",
            hint="Give fromSelection, fromFilters or fromGroups.",
        )
    [(kind, selection_fields)] = selection.items()
    excluded_ids = {
        await resolve_completion_id(context, str(text), param="exclude") for text in selection_fields.get("exclude", ())
    }
    if kind == "fromSelection":
        tree = _id_filter(selection_fields["include"])
    elif kind == "fromFilters":
        tree = filter_of(selection_fields["filters"])
    else:
        tree = Filter(
            and_=[
                filter_of(selection_fields["filters"]),
                Filter(or_=[_group_filter(group, selection_fields) for group in selection_fields["groups"]]),
            ]
        )
    body = Search(project=project, filter=tree, limit=MAX_PAGE_ROWS)
    ids: list[UUID] = []
    while True:
        page = await search.search(context, body=body)
        assert isinstance(page, InteractionPage)
        ids += [
            interaction.completion_id
            for interaction in page.interactions
            if interaction.completion_id not in excluded_ids
        ]
        if len(ids) > MAX_SELECTED_ROWS:
            raise _bad_page(
                "selection", len(ids), f"At most {MAX_SELECTED_ROWS:,} at once: choose by a narrower filter."
            )
        if page.next is None:
            return ids
        body = msgspec.structs.replace(body, cursor=page.next)


def _group_filter(group: dict[str, Any], selection_fields: dict[str, Any]) -> Filter:
    """Return the filter for the selected interactions of a group."""
    conditions = [search.group_filter(selection_fields["grouping"].lower(), group["groupId"])]
    group_selection = group["selection"]
    if "selectOnly" in group_selection:
        conditions.append(_id_filter(group_selection["selectOnly"]))
    if "exclude" in group_selection:
        conditions.append(Filter(not_=_id_filter(group_selection["exclude"])))
    return Filter(and_=conditions)


def _id_filter(ids: list[UUID | str]) -> Filter:
    return Filter(completion_id=Match(in_=[str(completion_id) for completion_id in ids]))


async def interaction_options(context: Context, filter: dict[str, Any]) -> dict[str, Any]:
    """Return the values that interactions of a project can be filtered by."""
    project = await projects.get_project(context, filter["projectId"])
    project_models = [model for model, _ in models.models_of_project(context, project.key)]
    return {"users": [], "models": project_models, "labels": {"project": project.key}}


# ------------------------------------------------------------------------------------------------ members


def _message_text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if not content:
        return message_words(message)
    if isinstance(content, str):
        return content
    texts = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            image = part.get("image_url") or part.get("url")
            address = image.get("url") if isinstance(image, dict) else image
            texts.append(str(part["text"]) if "text" in part else f"[{part.get('type', 'part')}: {address or '...'}]")
    return "\n".join(texts)


def _chat_messages(interaction: Interaction, info: GraphQLResolveInfo) -> list[dict[str, str]]:
    return [
        {"role": str(message.get("role")), "content": _message_text(message)} for message in interaction.messages or ()
    ]


def _prompt(interaction: Interaction, info: GraphQLResolveInfo, maxLength: int | None = None) -> str:
    return "\n\n".join(message["content"] for message in _chat_messages(interaction, info))[:maxLength]


def _completion_text(interaction: Interaction, info: GraphQLResolveInfo, maxLength: int | None = None) -> str:
    words = interaction.completion or (message_words(interaction.message) if interaction.message else "")
    return words[:maxLength]


def _interaction_model(interaction: Interaction, info: GraphQLResolveInfo) -> Model | None:
    return None if interaction.model is None else info.context.find_model(interaction.model)


def _can_edit(interaction: Interaction, info: GraphQLResolveInfo) -> bool:
    return has_permission_in(info.context.actor_context, "edit", interaction.project)


def _metadata(interaction: Interaction, info: GraphQLResolveInfo) -> dict[str, Any]:
    usage = interaction.usage or {}
    tokens = {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    is_complete = all(isinstance(number, int) for number in tokens.values())
    system = msgspec.to_builtins(interaction.call) if interaction.call else {}
    if interaction.facts:
        system["facts"] = interaction.facts
    return {
        "parameters": interaction.parameters,
        "timings": interaction.timings,
        "usage": tokens if is_complete else None,
        "system": system or None,
    }


def _direct_feedback(interaction: Interaction, info: GraphQLResolveInfo, filter: Any = None) -> list[dict[str, Any]]:
    return [
        {
            "id": feedback.feedback_id,
            "value": feedback.value,
            "metric": info.context.find_metric(interaction.project, feedback.metric),
            "reason": feedback.reason,
            "details": feedback.details,
            "created_at": feedback.created_at,
            "source": "USER",
            "can_edit": feedback.mine or _can_edit(interaction, info),
        }
        for feedback in interaction.feedback
    ]


def _preferences(interaction: Interaction, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    project = info.context.find_project(interaction.project)
    return [
        {
            "id": preference.comparison_id,
            "created_at": preference.created_at,
            "project": project,
            "usecase": project,
            "metric": info.context.find_metric(interaction.project, preference.metric),
            "prefered_completion": preference.preferred_completion,
            "other_completion": preference.other_completion,
            "can_edit": preference.mine or _can_edit(interaction, info),
        }
        for preference in interaction.preferences
    ]


def _preference_side(name: str) -> Any:
    async def resolve(preference: dict[str, Any], info: GraphQLResolveInfo) -> Interaction | None:
        return await info.context.interaction_loader.get(preference[name])

    return resolve


def _session(interaction: Interaction, info: GraphQLResolveInfo) -> dict[str, Any]:
    return {"id": interaction.session_id, "name": interaction.session, "project": interaction.project}


async def _session_turns(session: dict[str, Any], info: GraphQLResolveInfo) -> list[Interaction]:
    tree = Filter(session_id=Match(eq=str(session["id"])))
    body = Search(project=session["project"], filter=tree, order="created_at", limit=MAX_PAGE_ROWS, view="full")
    interaction_page = await search.search(info.context.read_context, body=body)
    assert isinstance(interaction_page, InteractionPage)
    return interaction_page.interactions


def _statistics(node: GroupNode, info: GraphQLResolveInfo) -> list[dict[str, Any]]:
    request: RequestContext = info.context

    def statistics_fields(statistics: MetricStatistics) -> dict[str, Any]:
        count = {"feedbacks": statistics.count, "scores": statistics.count, "sum": statistics.mean * statistics.count}
        return {
            **count,
            "average": statistics.mean,
            "min": statistics.min,
            "max": statistics.max,
            "stddev": statistics.stddev,
        }

    return [
        {"metric": metric, **statistics_fields(statistics)}
        for statistics in node.group.metrics
        if (metric := request.find_metric(node.project, statistics.metric)) is not None
    ]


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
        "id": lambda interaction, info: interaction.completion_id,
        "prompt": _prompt,
        "chatMessages": _chat_messages,
        "completion": _completion_text,
        "model": _interaction_model,
        "modelService": _interaction_model,
        "createdBy": lambda interaction, info: None,
        "directFeedbacks": _direct_feedback,
        "directScores": _direct_feedback,
        "comparisonFeedbacks": _preferences,
        "comparisonScores": _preferences,
        "session": _session,
        "labels": lambda interaction, info, **_: [
            {"key": key, "value": value} for key, value in interaction.labels.items()
        ],
        "canEdit": _can_edit,
        "metadata": _metadata,
    },
    "ComparisonScore": {
        "preferedCompletion": _preference_side("prefered_completion"),
        "otherCompletion": _preference_side("other_completion"),
    },
    "Session": {"turns": _session_turns},
    "CompletionGroupData": {
        "key": lambda node, info: node.group.key,
        "count": lambda node, info: node.group.count,
        "directFeedbacksStats": _statistics,
        "directScoresStats": _statistics,
        "completions": _of_group,
    },
}
