"""Pairs of completions, one preferred: from preferences, and from thumbs up and down on answers to the same prompt."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from typing import TypeAlias
from uuid import UUID

import msgspec

from afterword.service.studies.dataset_rows import FeedbackReader, answer_digest, answer_of, unfit_reason
from afterword.types import Interaction, Preference


class PreferencePair(msgspec.Struct, frozen=True):
    """One completion over another under a feedback key: by a preference, or by feedback on each of them."""

    metric: str
    preferred: UUID
    other: UUID
    comparison_id: UUID | None = None
    feedback_ids: tuple[UUID, ...] = ()
    position: int = 0
    """The position of the newer of its interactions in the order of the search."""
    person: str | None = None
    """Whose judgement it is, where each person's count by themselves."""

    @property
    def identity(self) -> bytes:
        """Return the bytes that identify the pair when a sample is drawn."""
        if self.comparison_id:
            return self.comparison_id.bytes
        return self.preferred.bytes + self.other.bytes + (self.person or "").encode()


class RatedAnswer(msgspec.Struct, frozen=True):
    """An answer with the feedback that rates it under a bool key."""

    completion_id: UUID
    feedback_ids: tuple[UUID, ...]
    position: int


PairKey: TypeAlias = tuple[str, str, str | None, bytes, bytes]
"""The metric, the prompt, the person, and both answers of a pair, the preferred one first: what identifies its content.
"""


class PairCollector:
    """Collects pairs from interactions in their short view, and keeps those that a model can learn from.

    The others are counted by reason: ties, pairs of different prompts, pairs with a missing or unfit side, pairs with
    the same answer on both sides, and pairs that another one contradicts.
    """

    def __init__(
        self, reader: FeedbackReader, include: Collection[str], left_out: Counter[str], with_thumbs: bool
    ) -> None:
        self._reader = reader
        self._include = include
        self._left_out = left_out
        self._with_thumbs = with_thumbs
        self._seen_comparison_ids: set[UUID] = set()
        self._compared_pairs: list[PreferencePair] = []
        self._thumbs: dict[tuple[str, str, str | None], dict[bool, list[RatedAnswer]]] = defaultdict(
            lambda: {True: [], False: []}
        )
        self._position = 0
        self._answers: dict[UUID, tuple[str, bytes]] = {}
        """The prompt's hash and the answer's digest for each completion that is fit for a pair."""
        self._unfit_reasons: dict[UUID, str] = {}

    def add(self, interaction: Interaction) -> None:
        """Collect the preferences of an interaction, and its thumbs if pairs are derived from them."""
        self._position += 1
        for preference in interaction.preferences:
            self._add_preference(preference)
        if not self._with_thumbs or unfit_reason(interaction, self._include) is not None:
            return
        for thumb in self._reader.thumbs(interaction):
            answer = RatedAnswer(interaction.completion_id, thumb.feedback_ids, self._position)
            self._thumbs[thumb.metric, interaction.prompt_hash, thumb.person][thumb.is_up].append(answer)

    def _add_preference(self, preference: Preference) -> None:
        # Both completions of a preference show it.
        if preference.comparison_id in self._seen_comparison_ids or not self._reader.counts(preference.metric):
            return
        self._seen_comparison_ids.add(preference.comparison_id)
        if preference.tied is not None:
            self._left_out["tie"] += 1
        elif preference.prompt_mismatch:
            self._left_out["prompt_mismatch"] += 1
        else:
            self._compared_pairs.append(
                PreferencePair(
                    preference.metric,
                    preference.preferred_completion,
                    preference.other_completion,
                    preference.comparison_id,
                    position=self._position,
                    person=self._reader.person_of(preference),
                )
            )

    def completions_to_load(self) -> list[UUID]:
        """Return the completions that must be passed to `add_answer`."""
        thumbs = [
            thumb for sides in self._thumbs.values() if all(sides.values()) for side in sides.values() for thumb in side
        ]
        ids = [side for pair in self._compared_pairs for side in (pair.preferred, pair.other)]
        return list(dict.fromkeys([*ids, *(thumb.completion_id for thumb in thumbs)]))

    def add_answer(self, interaction: Interaction) -> None:
        """Collect the answer of an interaction in its full view."""
        reason = unfit_reason(interaction, self._include)
        answer = answer_of(interaction)
        if reason is None and answer is not None:
            self._answers[interaction.completion_id] = (interaction.prompt_hash, answer_digest(answer))
        else:
            self._unfit_reasons[interaction.completion_id] = reason or "empty"

    def pairs(self, exclude: Collection[UUID]) -> list[PreferencePair]:
        """Return the pairs that become rows, in the order in which their interactions were found."""
        compared_pairs = [pair for pair in self._compared_pairs if not {pair.preferred, pair.other} & set(exclude)]
        keyed_pairs = [(key, pair) for pair in compared_pairs if (key := self._answers_key(pair)) is not None]
        recorded_keys = {key for key, _ in keyed_pairs}
        keyed_pairs += [
            (key, pair)
            for pair in self._thumb_pairs()
            if (key := self._answers_key(pair, count=False)) is not None and key not in recorded_keys
        ]
        keys = {key for key, _ in keyed_pairs}
        rows: list[PreferencePair] = []
        for (metric, prompt, person, preferred, other), pair in keyed_pairs:
            if (metric, prompt, person, other, preferred) in keys:
                self._left_out["contradictory"] += 1
            else:
                rows.append(pair)
        return sorted(rows, key=lambda pair: pair.position)

    def _answers_key(self, pair: PreferencePair, *, count: bool = True) -> PairKey | None:
        """Return what identifies the content of a pair; None if it is left out."""
        preferred, other = self._answers.get(pair.preferred), self._answers.get(pair.other)
        if preferred is not None and other is not None and preferred[1] != other[1]:
            return (pair.metric, preferred[0], pair.person, preferred[1], other[1])
        if count and preferred is not None and other is not None:
            self._left_out["equal"] += 1
        elif count:
            self._left_out[self._unfit_reasons.get(pair.other if preferred else pair.preferred, "missing")] += 1
        return None

    def _thumb_pairs(self) -> list[PreferencePair]:
        """Return pairs of a liked and a disliked answer: each answer is in one at most, or in one of each person."""
        pairs: list[PreferencePair] = []
        for (metric, _, person), sides in self._thumbs.items():
            ups, downs = (self._by_answer(sides[is_up]) for is_up in (True, False))
            for digest in ups.keys() & downs.keys():
                # The same answer to the same prompt was liked and not liked.
                self._left_out["contradictory"] += 1
                del ups[digest], downs[digest]
            for up, down in zip(ups.values(), downs.values(), strict=False):
                ids = (*up.feedback_ids, *down.feedback_ids)
                position = min(up.position, down.position)
                pairs.append(PreferencePair(metric, up.completion_id, down.completion_id, None, ids, position, person))
        return pairs

    def _by_answer(self, thumbs: list[RatedAnswer]) -> dict[bytes, RatedAnswer]:
        by_answer: dict[bytes, RatedAnswer] = {}
        for thumb in thumbs:
            if (answer := self._answers.get(thumb.completion_id)) is not None:
                by_answer.setdefault(answer[1], thumb)
        return by_answer
