"""Datasets made of interactions: selecting them, sampling, and writing the lines."""

from __future__ import annotations

import heapq
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from hashlib import blake2b
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from afterword.errors import Invalid
from afterword.service.context import Context
from afterword.service.interactions import recording, search
from afterword.service.interactions.completion_ids import resolve_completion_id
from afterword.service.studies import datasets
from afterword.service.studies.dataset_formats import FORMATS
from afterword.service.studies.dataset_lines import read_line
from afterword.service.studies.dataset_pairs import PairCollector, PreferencePair
from afterword.service.studies.dataset_rows import (
    LIMIT_FINISH_REASONS,
    CompletionRow,
    FeedbackReader,
    answer_of,
    finish_reason_of,
    prompt_row,
    unfit_reason,
)
from afterword.service.studies.dataset_rules import MAX_NEAR_ROWS, DuplicateFinder, split_of
from afterword.store.catalog import ProjectRow
from afterword.store.datasets import FILTERED
from afterword.types import (
    Dataset,
    DatasetOfInteractions,
    DatasetPreview,
    Filter,
    Interaction,
    InteractionPage,
    Match,
    Message,
    Search,
)
from afterword.types.queries import DatasetPreviewQuery

PAGE_ROWS = 200
# Ids are held in memory while a dataset is made.
MAX_DATASET_INTERACTION_COUNT = 1_000_000
PREVIEW_ROWS = 10
MAX_PREVIEW_INTERACTION_COUNT = 2_000
MAX_SEED = 1 << 53
_encoder = msgspec.json.Encoder()
DatasetRow: TypeAlias = CompletionRow | PreferencePair
T = TypeVar("T", CompletionRow, PreferencePair)


async def create_of_interactions(context: Context, *, body: DatasetOfInteractions) -> Dataset:
    """Make a dataset of interactions.

    Each line names in its `metadata` the completion, feedback or preference that it comes from. Interactions that are
    unfit as examples are left out, and counted by reason under `left_out`. Under a key that was made of interactions
    before, this is its next version; if its lines are those of the newest version, that one is answered.
    """
    project = context.project(body.project, writing=True)
    await _check_selection(context, body)
    seed = body.seed
    if seed is None and body.sample.type == "random":
        seed = secrets.randbelow(MAX_SEED)
    builder = DatasetBuilder(context, project, body, seed)
    lines = await builder.lines()
    return await datasets.store_dataset(
        context, project, body.key, body.name, lines, source=FILTERED, left_out=builder.left_out, seed=seed
    )


async def _check_selection(context: Context, body: DatasetOfInteractions) -> None:
    """Raise `Invalid` for a selection that is none; replace the ids of answers by those of their completions."""
    if (body.filter is None) == (body.completion_ids is None):
        raise Invalid(
            "Give either a filter or completion_ids.",
            code="invalid_selection",
            param="filter",
            hint='All interactions are the filter {"and": []}.',
        )
    if body.sample.type != "all" and body.sample.size is None:
        raise Invalid("sample.size is missing.", code="missing_field", param="sample.size", hint="Say how many.")
    for name in ("completion_ids", "exclude"):
        ids: list[str] = getattr(body, name) or []
        for position, text in enumerate(ids):
            ids[position] = str(await resolve_completion_id(context, text, param=f"{name}[{position}]"))


async def preview_of_interactions(
    context: Context, *, body: DatasetOfInteractions, query: DatasetPreviewQuery
) -> DatasetPreview:
    """Show the first rows that a dataset of interactions would have, and what it would leave out; make nothing.

    Only the newest 2,000 interactions are read. If there are more, `is_partial` is true: the counts are of a part.
    """
    project = context.project(body.project, writing=True)
    await _check_selection(context, body)
    builder = DatasetBuilder(context, project, body, body.seed, max_interactions=MAX_PREVIEW_INTERACTION_COUNT)
    lines, line_count = await builder.preview(PREVIEW_ROWS)
    rows = [row for line in lines for row in FORMATS[query.format](read_line(line))]
    return DatasetPreview(
        rows=rows[:PREVIEW_ROWS],
        lines=line_count,
        left_out=dict(builder.left_out),  # pyright: ignore[reportArgumentType]
        is_partial=builder.is_partial,
    )


class DatasetBuilder:
    """Selects the interactions or pairs that become lines, counts the others by reason, and writes the lines."""

    def __init__(
        self,
        context: Context,
        project: ProjectRow,
        body: DatasetOfInteractions,
        seed: int | None,
        *,
        max_interactions: int | None = None,
    ) -> None:
        self.is_partial = False
        """Whether there are more interactions than `max_interactions`, which were not read."""
        self._max_interactions = max_interactions
        self.left_out: Counter[str] = Counter()
        self._context = context
        self._project = project
        self._body = body
        self._seed = seed or 0
        # The seed of a sample may be drawn; that of a split must be the same for the next dataset.
        self._split_seed = body.seed or 0
        metrics = None if body.metrics is None else {context.metric(project.number, key).key for key in body.metrics}
        _check_rules(context, project, body)
        self._reader = FeedbackReader(
            context,
            project,
            metrics,
            votes=body.votes,
            thresholds=body.thresholds,
            with_ties=body.ties and body.kind == "feedback",
        )
        self._exclude = frozenset(map(UUID, body.exclude))

    async def lines(self) -> AsyncIterator[bytes]:
        """Select what becomes a line, and return an iterator that writes the lines. Raises `Invalid` if there are
        none."""
        if self._body.kind == "preference":
            pairs = await self._selected_pairs()
            self._check_not_empty(pairs)
            return self._lines(pairs, _pair_sides, self._pair_line)
        rows = await self._selected_completions()
        self._check_not_empty(rows)
        return self._lines(rows, _completion_sides, self._line)

    async def preview(self, row_count: int) -> tuple[list[bytes], int]:
        """Return the first lines, and how many there are in all."""
        if self._body.kind == "preference":
            pairs = await self._selected_pairs()
            lines, line_count = self._lines(pairs[:row_count], _pair_sides, self._pair_line), len(pairs)
        else:
            rows = await self._selected_completions()
            lines, line_count = self._lines(rows[:row_count], _completion_sides, self._line), len(rows)
        content = b"".join([chunk async for chunk in lines])
        return content.split(b"\n")[:-1], line_count

    async def _selected_pairs(self) -> list[PreferencePair]:
        pairs = await self._distinct_rows(await self._pairs(), _pair_sides)
        return self._sampled_rows(pairs)

    async def _selected_completions(self) -> list[CompletionRow]:
        rows = await self._distinct_rows(await self._completions(), _completion_sides)
        return self._sampled_rows(rows)

    async def _interaction_pages(self) -> AsyncIterator[list[Interaction]]:
        """Yield pages of the requested interactions in their short view, newest first."""
        ids = self._body.completion_ids
        tree = self._body.filter or Filter(completion_id=Match(in_=ids or []))
        query = Search(project=self._project.key, filter=tree, limit=500)
        interaction_count = 0
        while True:
            page = await search.search(self._context, body=query)
            assert isinstance(page, InteractionPage)
            interaction_count += len(page.interactions)
            if interaction_count > MAX_DATASET_INTERACTION_COUNT:
                raise Invalid(
                    f"The filter finds more than {MAX_DATASET_INTERACTION_COUNT:,} interactions.",
                    code="too_many_interactions",
                    param="filter",
                    hint="Choose fewer, such as by a timerange.",
                )
            yield [interaction for interaction in page.interactions if interaction.completion_id not in self._exclude]
            if page.next is None:
                break
            if self._max_interactions is not None and interaction_count >= self._max_interactions:
                self.is_partial = True
                return
            query = msgspec.structs.replace(query, cursor=page.next)
        if ids is not None and interaction_count < len(set(ids)):
            self.left_out["missing"] += len(set(ids)) - interaction_count

    async def _completions(self) -> list[CompletionRow]:
        """Return the interactions that become lines, newest first."""
        fit_rows: list[CompletionRow] = []
        # Rows that repeat others are found later, and a sample counts none of them.
        takes_newest = self._body.sample.type == "last" and self._body.duplicates == "keep"
        sample_size = self._body.sample.size if takes_newest else None
        async for page in self._interaction_pages():
            silent_ids = await self._silent_ids(page)
            for interaction in page:
                if sample_size is not None and len(fit_rows) >= sample_size:
                    return fit_rows[:sample_size]
                if (reason := self._reason(interaction, silent_ids)) is None:
                    people = self._reader.people(interaction) if self._body.kind == "feedback" else [None]
                    fit_rows += [CompletionRow(interaction.completion_id, person) for person in people]
                else:
                    self.left_out[reason] += 1
        return fit_rows

    async def _silent_ids(self, page: list[Interaction]) -> set[UUID]:
        """Return the interactions of a page without an answer: neither a text, nor a tool call, nor a refusal."""
        textless_ids = [
            interaction.completion_id
            for interaction in page
            if not interaction.completion.strip() and not interaction.expired
        ]
        if not textless_ids or self._body.kind == "prompt":
            return set()
        full_interactions = await recording.find_interactions(self._context, textless_ids)
        return {
            interaction.completion_id for interaction in full_interactions.values() if answer_of(interaction) is None
        }

    def _reason(self, interaction: Interaction, silent_ids: Collection[UUID]) -> str | None:
        include = self._body.include
        needs_answer = self._body.kind != "prompt"
        if (reason := unfit_reason(interaction, include, needs_answer=needs_answer)) is not None:
            return reason
        if interaction.completion_id in silent_ids and "empty" not in include:
            # A failed or cancelled call that `include` names may have an empty answer.
            call = interaction.call
            if call is None or call.state not in include:
                return "empty"
        if self._body.kind == "feedback" and not self._reader.people(interaction):
            if self._reader.values(interaction)[2]:
                return "conflicting_feedback"
            return "between_thresholds" if self._reader.is_between_thresholds(interaction) else "no_feedback"
        return None

    async def _pairs(self) -> list[PreferencePair]:
        """Return the pairs that become lines, the newest first."""
        collector = PairCollector(self._reader, self._body.include, self.left_out, self._body.derive_pairs)
        async for page in self._interaction_pages():
            for interaction in page:
                collector.add(interaction)
        completion_ids = collector.completions_to_load()
        for start in range(0, len(completion_ids), PAGE_ROWS):
            full_interactions = await recording.find_interactions(
                self._context, completion_ids[start : start + PAGE_ROWS]
            )
            for interaction in full_interactions.values():
                collector.add_answer(interaction)
        return collector.pairs(self._exclude)

    async def _distinct_rows(self, rows: list[T], sides: Callable[[T], Sequence[UUID]]) -> list[T]:
        """Return the rows that repeat no earlier one, and whose sides are on one side of the split."""
        split, duplicates = self._body.split, self._body.duplicates
        if duplicates == "keep" and (split is None or self._body.kind != "preference"):
            return rows
        if duplicates == "near" and len(rows) > MAX_NEAR_ROWS:
            raise Invalid(
                f"Near duplicates are looked for in up to {MAX_NEAR_ROWS:,} rows, and there are {len(rows):,}.",
                code="too_many_interactions",
                param="duplicates",
                hint="Choose fewer, such as by a timerange, or duplicates=exact.",
            )
        finder = DuplicateFinder(duplicates)
        distinct_rows: list[T] = []
        for start in range(0, len(rows), PAGE_ROWS):
            page = rows[start : start + PAGE_ROWS]
            ids = list(dict.fromkeys(side for row in page for side in sides(row)))
            full_interactions = await recording.find_interactions(self._context, ids)
            for row in page:
                interactions = [full_interactions[side] for side in sides(row) if side in full_interactions]
                reason = "missing" if len(interactions) < len(sides(row)) else None
                if (
                    reason is None
                    and split
                    and len({split_of(side, split, self._split_seed) for side in interactions}) > 1
                ):
                    reason = "split_conflict"
                if reason is None and duplicates != "keep":
                    reason = finder.find(*self._row_texts(row, interactions))
                if reason is None:
                    distinct_rows.append(row)
                else:
                    self.left_out[reason] += 1
        return distinct_rows

    def _row_texts(self, row: DatasetRow, sides: Sequence[Interaction]) -> tuple[str, str]:
        """Return the prompt and what is said of it, by which rows are compared."""
        answers = [] if self._body.kind == "prompt" else [answer_of(side) for side in sides]
        values = self._reader.values(sides[0], row.person)[0] if self._body.kind == "feedback" else {}
        # Rows that say the same and are rated differently are no duplicates.
        rating = [f"{key}={value}" for key, value in sorted(values.items())]
        texts = [prompt_row(sides[0]), [*answers, *rating]]
        prompt, answer = (msgspec.json.encode(text).decode() for text in texts)
        return prompt, answer

    def _sampled_rows(self, rows: list[T]) -> list[T]:
        """Return the requested sample, in the order of `rows`.

        A random sample has the rows with the smallest hashes under the seed, so that new rows change it little.
        """
        sample = self._body.sample
        if sample.type == "all" or sample.size is None or sample.size >= len(rows):
            return rows
        if sample.type == "last":
            return rows[: sample.size]
        key = self._seed.to_bytes(8, "big")
        hashes = [(blake2b(row.identity, key=key, digest_size=8).digest(), index) for index, row in enumerate(rows)]
        return [rows[index] for index in sorted(index for _, index in heapq.nsmallest(sample.size, hashes))]

    def _check_not_empty(self, rows: Sequence[Any]) -> None:
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
        line_of: Callable[[T, Sequence[Interaction]], dict[str, Any] | None],
    ) -> AsyncIterator[bytes]:
        for start in range(0, len(rows), PAGE_ROWS):
            page = rows[start : start + PAGE_ROWS]
            ids = list(dict.fromkeys(side for row in page for side in sides(row)))
            full_interactions = await recording.find_interactions(self._context, ids, images="inline")
            lines: list[bytes] = []
            for row in page:
                side_interactions = [
                    full_interactions[side]
                    for side in sides(row)
                    if side in full_interactions and not full_interactions[side].expired
                ]
                line_fields = line_of(row, side_interactions) if len(side_interactions) == len(sides(row)) else None
                if line_fields is None:
                    # It was deleted or changed since it was selected.
                    self.left_out["missing"] += 1
                else:
                    lines.append(_encoder.encode(line_fields) + b"\n")
            if lines:
                yield b"".join(lines)

    def _line(self, row: CompletionRow, sides: Sequence[Interaction]) -> dict[str, Any] | None:
        [interaction] = sides
        line = prompt_row(interaction)
        metadata: dict[str, Any] = {
            "completion_id": row.completion_id,
            **_call_facts(interaction),
            **self._split_field(interaction),
        }
        if self._body.kind != "prompt":
            line["completion"] = answer_of(interaction) or ""
            if (reason := finish_reason_of(interaction)) in LIMIT_FINISH_REASONS:
                metadata["finish_reason"] = reason
        if self._body.kind == "feedback":
            line["feedbacks"], metadata["feedback_ids"], _ = self._reader.values(interaction, row.person)
            if not line["feedbacks"]:
                return None
        if interaction.labels:
            line["labels"] = interaction.labels
        return {**line, "metadata": metadata}

    def _split_field(self, interaction: Interaction) -> dict[str, str]:
        split = self._body.split
        return {} if split is None else {"split": split_of(interaction, split, self._split_seed)}

    def _pair_line(self, pair: PreferencePair, sides: Sequence[Interaction]) -> dict[str, Any] | None:
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
                **self._split_field(sides[0]),
                **{f"preferred_{name}": value for name, value in _call_facts(sides[0]).items()},
                **{f"other_{name}": value for name, value in _call_facts(sides[1]).items()},
            },
        }


def _pair_sides(pair: PreferencePair) -> Sequence[UUID]:
    return (pair.preferred, pair.other)


def _completion_sides(row: CompletionRow) -> Sequence[UUID]:
    return (row.completion_id,)


def _check_rules(context: Context, project: ProjectRow, body: DatasetOfInteractions) -> None:
    for key, threshold in body.thresholds.items():
        if context.metric(project.number, key).kind == "bool" or threshold.true_from <= threshold.false_to:
            raise Invalid(
                f"thresholds.{key} is from {threshold.true_from} and to {threshold.false_to}: a threshold is for a "
                "scalar feedback key, and true_from is greater than false_to.",
                code="invalid_value",
                param=f"thresholds.{key}",
                hint='Such as {"true_from": 4, "false_to": 2}.',
            )
    if body.split is not None and body.split.validation + body.split.test > 1:
        raise Invalid(
            f"split.validation and split.test are {body.split.validation} and {body.split.test}, more than 1 in all.",
            code="invalid_value",
            param="split",
            hint='Such as {"validation": 0.1, "test": 0.1}.',
        )


def _call_facts(interaction: Interaction) -> dict[str, Any]:
    """Return the time of an interaction, and its model if it is known."""
    facts: dict[str, Any] = {"created_at": interaction.created_at}
    return facts if interaction.model is None else {**facts, "model": interaction.model}


def _side(answer: str | Message) -> str | list[Message]:
    """Return a side of a pair: a text, or a list of messages if it is more than a text."""
    return answer if isinstance(answer, str) else [answer]
