"""Datasets made of interactions: which of them, which sample, and the lines."""

from __future__ import annotations

import heapq
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from hashlib import blake2b
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from afterword.errors import Invalid
from afterword.service import datasets, finding, interactions
from afterword.service.context import Context
from afterword.service.dataset_pairs import Pair, PairCollector
from afterword.service.dataset_rows import (
    AT_A_LIMIT,
    FeedbackReader,
    answer_of,
    finish_reason_of,
    prompt_row,
    unfitness,
)
from afterword.store.catalog import ProjectRow
from afterword.types import (
    Dataset,
    DatasetOfInteractions,
    Filter,
    Interaction,
    InteractionPage,
    Match,
    Message,
    Search,
)

PAGE = 200
# Ids are held in memory while a dataset is made.
MAX_INTERACTIONS = 1_000_000
MAX_SEED = 1 << 53
_encoder = msgspec.json.Encoder()
T = TypeVar("T")


async def create_of_interactions(context: Context, *, body: DatasetOfInteractions) -> Dataset:
    """Make a dataset of interactions.

    Each line says in its `metadata` which completion, feedback or preference it comes from. What is no example is left
    out, and counted by its reason under `left_out`.
    """
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
    seed = body.seed
    if seed is None and body.sample.type == "random":
        seed = secrets.randbelow(MAX_SEED)
    builder = DatasetBuilder(context, project, body, seed)
    lines = await builder.lines()
    return await datasets.make(
        context, project, body.key, body.name, lines, source="filtered", left_out=builder.left_out, seed=seed
    )


class DatasetBuilder:
    """Chooses what becomes a line, counts what does not, and writes the lines."""

    def __init__(self, context: Context, project: ProjectRow, body: DatasetOfInteractions, seed: int | None) -> None:
        self.left_out: Counter[str] = Counter()
        self._context = context
        self._project = project
        self._body = body
        self._seed = seed or 0
        metrics = None if body.metrics is None else {context.metric(project.number, key).key for key in body.metrics}
        self._reader = FeedbackReader(context, project, metrics)
        self._exclude = frozenset(body.exclude)

    async def lines(self) -> AsyncIterator[bytes]:
        """Choose, and return the lines as they are written. Raises `Invalid` where nothing becomes a line."""
        if self._body.kind == "preference":
            pairs = self._sampled(await self._pairs(), lambda pair: pair.identity)
            self._check_any(pairs)
            return self._lines(pairs, lambda pair: (pair.preferred, pair.other), self._pair_line)
        ids = self._sampled(await self._completions(), lambda completion_id: completion_id.bytes)
        self._check_any(ids)
        return self._lines(ids, lambda completion_id: (completion_id,), self._line)

    async def _found(self) -> AsyncIterator[list[Interaction]]:
        """Yield the interactions that were asked for in pages, in their short view and the newest first."""
        ids = self._body.completion_ids
        tree = self._body.filter or Filter(completion_id=Match(in_=[str(completion_id) for completion_id in ids or []]))
        search = Search(project=self._project.key, filter=tree, limit=500)
        number = 0
        while True:
            page = await finding.search(self._context, body=search)
            assert isinstance(page, InteractionPage)
            number += len(page.interactions)
            if number > MAX_INTERACTIONS:
                raise Invalid(
                    f"The filter finds more than {MAX_INTERACTIONS:,} interactions.",
                    code="too_many_interactions",
                    param="filter",
                    hint="Choose fewer, such as by a timerange.",
                )
            yield [one for one in page.interactions if one.completion_id not in self._exclude]
            if page.next is None:
                break
            search = msgspec.structs.replace(search, cursor=page.next)
        if ids is not None and number < len(set(ids)):
            self.left_out["missing"] += len(set(ids)) - number

    async def _completions(self) -> list[UUID]:
        """Return the interactions that become lines, the newest first."""
        fit: list[UUID] = []
        wanted = self._body.sample.size if self._body.sample.type == "last" else None
        async for page in self._found():
            silent = await self._silent(page)
            for interaction in page:
                if len(fit) == wanted:
                    return fit
                if (reason := self._reason(interaction, silent)) is None:
                    fit.append(interaction.completion_id)
                else:
                    self.left_out[reason] += 1
        return fit

    async def _silent(self, page: list[Interaction]) -> set[UUID]:
        """Return those of a page that answer nothing: neither a text, nor a tool call, nor a refusal."""
        textless = [one.completion_id for one in page if not one.completion.strip() and not one.expired]
        if not textless or self._body.kind == "prompt":
            return set()
        whole = await interactions.several(self._context, textless)
        return {one.completion_id for one in whole.values() if answer_of(one) is None}

    def _reason(self, interaction: Interaction, silent: Collection[UUID]) -> str | None:
        include = self._body.include
        answered = self._body.kind != "prompt"
        if (reason := unfitness(interaction, include, answered=answered)) is not None:
            return reason
        if interaction.completion_id in silent and "empty" not in include:
            # A call that failed or was cancelled and was asked for may well have said nothing.
            call = interaction.call
            if call is None or call.state not in include:
                return "empty"
        if self._body.kind == "feedback":
            values, _, conflicting = self._reader.values(interaction)
            if not values:
                return "conflicting_feedback" if conflicting else "no_feedback"
        return None

    async def _pairs(self) -> list[Pair]:
        """Return the pairs that become lines, the newest first."""
        collector = PairCollector(self._reader, self._body.include, self.left_out, self._body.derive_pairs)
        async for page in self._found():
            for interaction in page:
                collector.add(interaction)
        wanted = collector.wanted()
        for start in range(0, len(wanted), PAGE):
            whole = await interactions.several(self._context, wanted[start : start + PAGE])
            for interaction in whole.values():
                collector.show(interaction)
        return collector.pairs(self._exclude)

    def _sampled(self, rows: list[T], identity: Callable[[T], bytes]) -> list[T]:
        """Return the sample that was asked for, in the order of `rows`.

        A random one has the rows whose hashes with the seed are the least: the same rows as long as they are there,
        whatever comes beside them.
        """
        sample = self._body.sample
        if sample.type == "all" or sample.size is None or sample.size >= len(rows):
            return rows
        if sample.type == "last":
            return rows[: sample.size]
        key = self._seed.to_bytes(8, "big")
        hashes = [(blake2b(identity(row), key=key, digest_size=8).digest(), index) for index, row in enumerate(rows)]
        return [rows[index] for index in sorted(index for _, index in heapq.nsmallest(sample.size, hashes))]

    def _check_any(self, rows: Sequence[Any]) -> None:
        if rows:
            return
        counts = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.most_common())
        raise Invalid(
            f"Nothing that was found makes a line{f'; left out were: {counts}' if counts else ''}.",
            code="empty_dataset",
            param="filter" if self._body.completion_ids is None else "completion_ids",
            hint="Choose other interactions, or name in include what shall be a line all the same.",
        )

    async def _lines(
        self,
        rows: list[T],
        sides: Callable[[T], Sequence[UUID]],
        line: Callable[[T, Sequence[Interaction]], dict[str, Any] | None],
    ) -> AsyncIterator[bytes]:
        for start in range(0, len(rows), PAGE):
            page = rows[start : start + PAGE]
            ids = list(dict.fromkeys(side for row in page for side in sides(row)))
            whole = await interactions.several(self._context, ids, images="inline")
            lines: list[bytes] = []
            for row in page:
                its_sides = [whole[side] for side in sides(row) if side in whole and not whole[side].expired]
                made = line(row, its_sides) if len(its_sides) == len(sides(row)) else None
                if made is None:
                    # It was deleted or changed since it was chosen.
                    self.left_out["missing"] += 1
                else:
                    lines.append(_encoder.encode(made) + b"\n")
            if lines:
                yield b"".join(lines)

    def _line(self, completion_id: UUID, sides: Sequence[Interaction]) -> dict[str, Any] | None:
        [interaction] = sides
        line = prompt_row(interaction)
        metadata: dict[str, Any] = {"completion_id": completion_id}
        if self._body.kind != "prompt":
            line["completion"] = answer_of(interaction) or ""
            if (reason := finish_reason_of(interaction)) in AT_A_LIMIT:
                metadata["finish_reason"] = reason
        if self._body.kind == "feedback":
            line["feedbacks"], metadata["feedback_ids"], _ = self._reader.values(interaction)
            if not line["feedbacks"]:
                return None
        if interaction.labels:
            line["labels"] = interaction.labels
        return {**line, "metadata": metadata}

    def _pair_line(self, pair: Pair, sides: Sequence[Interaction]) -> dict[str, Any] | None:
        preferred, other = (answer_of(side) for side in sides)
        if preferred is None or other is None:
            return None
        origin: dict[str, Any] = (
            {"comparison_id": pair.comparison_id} if pair.comparison_id else {"feedback_ids": pair.feedback_ids}
        )
        return {
            **prompt_row(sides[0]),
            "preferred_completion": _side(preferred),
            "other_completion": _side(other),
            "feedback_key": pair.metric,
            "metadata": {
                **origin,
                "preferred_completion_id": pair.preferred,
                "other_completion_id": pair.other,
            },
        }


def _side(answer: str | Message) -> str | list[Message]:
    """Return a side of a pair: a text, or a list of messages where it is more than a text."""
    return answer if isinstance(answer, str) else [answer]
