"""Datasets made of interactions: which of them, and what a line says of each."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec

from afterword.errors import Invalid
from afterword.service import datasets, finding, interactions
from afterword.service.context import Context
from afterword.types import (
    Dataset,
    DatasetOfInteractions,
    Filter,
    Interaction,
    InteractionPage,
    Match,
    Preference,
    Search,
)

PAGE = 200
# Ids are held in memory while a dataset is made.
MOST = 1_000_000
_encoder = msgspec.json.Encoder()


async def create_of_interactions(context: Context, *, body: DatasetOfInteractions) -> Dataset:
    """Make a dataset of interactions. Those whose text was deleted, by `payload_retention_days`, are left out."""
    project = context.project(body.project, writing=True)
    if (body.filter is None) == (body.completion_ids is None):
        raise Invalid(
            "Give either a filter or completion_ids.",
            code="invalid_selection",
            param="filter",
            hint='All interactions are the filter {"and": []}.',
        )
    if body.sample.type != "all" and body.sample.size is None:
        raise Invalid("sample.size is missing.", code="missing_field", param="sample.size", hint="Say how many.")
    metrics = None if body.metrics is None else {context.metric(project.number, key).key for key in body.metrics}
    chosen = await _chosen(context, project.key, body)
    lines = _lines(context, body, metrics, chosen)
    return await datasets.make(context, project, body.key, body.name, lines, source="filtered")


async def _chosen(context: Context, project: str, body: DatasetOfInteractions) -> list[UUID]:
    """Return the ids of the interactions that are wanted, the newest first."""
    ids = body.completion_ids
    tree = body.filter or Filter(completion_id=Match(in_=[str(one) for one in ids or []]))
    # What failed or was broken off is no example.
    tree = Filter(and_=[tree, Filter(state=Match(eq="complete"))])
    left_out = set(body.exclude)
    wanted = Search(project=project, filter=tree, limit=500)
    found: list[UUID] = []
    while True:
        page = await finding.search(context, body=wanted)
        assert isinstance(page, InteractionPage)
        found += [
            one.completion_id for one in page.interactions if one.completion_id not in left_out and not one.expired
        ]
        if body.sample.type == "last" and len(found) >= (body.sample.size or 0):
            return found[: body.sample.size]
        if len(found) > MOST:
            raise Invalid(
                f"The filter finds more than {MOST:,} interactions.",
                code="too_many_interactions",
                param="filter",
                hint="Choose fewer, such as by a timerange.",
            )
        if page.next is None:
            break
        wanted = msgspec.structs.replace(wanted, cursor=page.next)
    if body.sample.type == "random" and body.sample.size is not None and len(found) > body.sample.size:
        kept = set(random.sample(range(len(found)), body.sample.size))
        found = [one for place, one in enumerate(found) if place in kept]
    return found


async def _lines(
    context: Context, body: DatasetOfInteractions, metrics: set[str] | None, ids: list[UUID]
) -> AsyncIterator[bytes]:
    pairs: set[UUID] = set()
    for start in range(0, len(ids), PAGE):
        some = ids[start : start + PAGE]
        there = await interactions.several(context, some, images="inline")
        ordered = [there[one] for one in some if one in there and not there[one].expired]
        if body.kind == "preference":
            lines = await _preferences(context, ordered, metrics, pairs)
        else:
            lines = [line for one in ordered if (line := _line(one, body.kind, metrics)) is not None]
        if lines:
            yield b"".join(_encoder.encode(line) + b"\n" for line in lines)


def _line(one: Interaction, kind: str, metrics: set[str] | None) -> dict[str, Any] | None:
    line: dict[str, Any] = {"messages": [_message(message) for message in one.messages or ()]}
    if one.labels:
        line["labels"] = one.labels
    if kind == "prompt":
        return line
    line["completion"] = one.completion
    if kind == "feedback":
        # The newest value counts, where there are several under a key.
        values = {given.metric: given.value for given in reversed(one.feedback)}
        line["feedbacks"] = {key: value for key, value in values.items() if metrics is None or key in metrics}
        return line if line["feedbacks"] else None
    return line


async def _preferences(
    context: Context, some: list[Interaction], metrics: set[str] | None, pairs: set[UUID]
) -> list[dict[str, Any]]:
    def counts(given: Preference) -> bool:
        return given.tied is None and not given.prompt_mismatch and (metrics is None or given.metric in metrics)

    wanted = [(one, given) for one in some for given in one.preferences if counts(given)]
    sides = {side for _, given in wanted for side in (given.preferred_completion, given.other_completion)}
    there = await interactions.several(context, list(sides))
    lines = []
    for one, given in wanted:
        preferred, other = there.get(given.preferred_completion), there.get(given.other_completion)
        # Seen from both sides, it is one pair all the same.
        if preferred is None or other is None or preferred.expired or other.expired or given.comparison_id in pairs:
            continue
        pairs.add(given.comparison_id)
        lines.append(
            {
                "messages": [_message(message) for message in one.messages or ()],
                "preferred_completion": preferred.completion,
                "other_completion": other.completion,
                "feedback_key": given.metric,
            }
        )
    return lines


def _message(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as datasets have it: images are parts {type: image, url}."""
    content = message.get("content")
    if not isinstance(content, list):
        return message

    def part(given: Any) -> Any:
        if not isinstance(given, dict) or given.get("type") != "image_url":
            return given
        image = given.get("image_url")
        return {"type": "image", "url": image.get("url") if isinstance(image, dict) else image}

    return {**message, "content": [part(one) for one in content]}
