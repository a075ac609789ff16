"""The rows of datasets that are made of interactions: which interactions are fit, and what a row contains."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from afterword.service.context import Context
from afterword.service.studies.dataset_lines import ANSWER_FIELDS
from afterword.store.catalog import ProjectRow
from afterword.types import Feedback, Interaction, LeftOut, Message, Preference, Threshold, Votes

CUT_OFF_FINISH_REASONS = frozenset(
    {
        "content_filter",
        "content_filtered",
        "safety",
        "recitation",
        "error",
        "insufficient_system_resource",
        "pause_turn",
    }
)
"""The finish reasons, in lower case, of answers that something stopped. An answer that reached a token limit counts as
whole; its row names the reason."""

LIMIT_FINISH_REASONS = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
"""The finish reasons, in lower case, of answers that reached a token limit."""

NON_ANSWER_FIELDS = frozenset(
    {"annotations", "citations", "search_results", "logprobs", "id", "completion_id", "provider_specific_fields"}
)
"""Members of an assistant's message that are facts about it, not content to learn from."""

TOOL_PARAMETERS = ("tools", "parallel_tool_calls", "functions")
"""The parameters of a call that its row keeps."""

_sorted_encoder = msgspec.json.Encoder(order="sorted")


def unfit_reason(interaction: Interaction, include: Collection[str], *, needs_answer: bool = True) -> LeftOut | None:
    """Return why an interaction is unfit as an example; None if it is fit, or if `include` names the reason.

    The short view is enough: `answer_of` judges empty answers. Without `needs_answer` only the prompt matters.
    """
    call = interaction.call
    if call is not None and call.state != "complete" and call.state not in include:
        return call.state
    if interaction.expired:
        return "expired"
    if (
        needs_answer
        and finish_reason_of(interaction) in CUT_OFF_FINISH_REASONS
        and "cut_off" not in include
        and (call is None or call.state not in include)
    ):
        return "cut_off"
    return None


def finish_reason_of(interaction: Interaction) -> str:
    """Return why an answer ended, in lower case; an empty text if that is unknown."""
    call = interaction.call
    return (call.finish_reason or "").lower() if call is not None else ""


def answer_of(interaction: Interaction) -> str | Message | None:
    """Return the answer of an interaction in the full view: its text, or the message if it is more than a text; None if
    it is empty."""
    if interaction.message is None:
        return interaction.completion if interaction.completion.strip() else None
    members = {
        name: value
        for name, value in interaction.message.items()
        if name not in NON_ANSWER_FIELDS and value not in (None, "", [], {})
    }
    content = members.get("content")
    if isinstance(content, str) and not content.strip():
        content = members.pop("content")
    if not any(name in members for name in ANSWER_FIELDS):
        return None
    if members.keys() <= {"role", "content"} and isinstance(content, str):
        return content
    return _dataset_message({"role": "assistant", "content": None, **members})


def answer_digest(answer: str | Message) -> bytes:
    """Return a digest of an answer that ignores spaces around its text, and the ids of tool calls."""
    if isinstance(answer, dict):
        answer = dict(answer)
        if isinstance(content := answer.get("content"), str):
            answer["content"] = content.strip()
        if isinstance(calls := answer.get("tool_calls"), list):
            answer["tool_calls"] = [
                {name: value for name, value in call.items() if name not in ("id", "index")}
                if isinstance(call, dict)
                else call
                for call in calls
            ]
    else:
        answer = answer.strip()
    return blake2b(_sorted_encoder.encode(answer), digest_size=16).digest()


def prompt_row(interaction: Interaction) -> dict[str, Any]:
    """Return the fields of all kinds of rows: the messages, and the tools that the model could call."""
    row: dict[str, Any] = {"messages": [_dataset_message(message) for message in interaction.messages or ()]}
    parameters = interaction.parameters or {}
    if any(parameters.get(name) for name in ("tools", "functions")):
        row |= {name: parameters[name] for name in TOOL_PARAMETERS if parameters.get(name) not in (None, [])}
    return row


def _dataset_message(message: Message) -> Message:
    """Return a message as datasets have it: images are parts {type: image, url}."""
    content = message.get("content")
    if not isinstance(content, list):
        return message

    def part_of(part: Any) -> Any:
        if not isinstance(part, dict) or part.get("type") != "image_url":
            return part
        image = part.get("image_url")
        return {"type": "image", "url": image.get("url") if isinstance(image, dict) else image}

    return {**message, "content": [part_of(part) for part in content]}


class CompletionRow(msgspec.Struct, frozen=True):
    """A completion that becomes a line; with `person`, a line of the values that this person gave."""

    completion_id: UUID
    person: str | None = None

    @property
    def identity(self) -> bytes:
        """Return the bytes that identify the line when a sample is drawn."""
        return self.completion_id.bytes + (self.person or "").encode()


class Thumb(msgspec.Struct, frozen=True):
    """True or false for an answer under a key, and the feedback that it comes from."""

    metric: str
    is_up: bool
    feedback_ids: tuple[UUID, ...]
    person: str | None = None


class FeedbackReader:
    """Reads the feedback values that count: those under all keys of the project, or under `metrics`."""

    def __init__(
        self,
        context: Context,
        project: ProjectRow,
        metrics: Collection[str] | None,
        *,
        votes: Votes = "agreed",
        thresholds: Mapping[str, Threshold] | None = None,
        with_ties: bool = False,
    ) -> None:
        self._votes = votes
        self._thresholds = thresholds or {}
        self._with_ties = with_ties
        keys = {row.key: row.kind for row in context.catalog.metrics_of(project.number)}
        self._kinds = {key: kind for key, kind in keys.items() if metrics is None or key in metrics}

    def counts(self, metric: str) -> bool:
        """Tell whether a key counts."""
        return metric in self._kinds

    def person_of(self, feedback: Feedback | Preference) -> str | None:
        """Return who gave it where each person's values count by themselves, else None."""
        return (feedback.user or feedback.actor) if self._votes == "all" else None

    def people(self, interaction: Interaction) -> list[str | None]:
        """Return whose values make a line: with `all` each person who gave some, else None for all of them together.

        The list is empty if nobody gave a value that counts.
        """
        feedback_lists = [*self._by_key(interaction).values(), self._ties(interaction)]
        people = dict.fromkeys(
            self.person_of(feedback) for feedback_list in feedback_lists for feedback in feedback_list
        )
        return [person for person in people if self.values(interaction, person)[0]]

    def values(
        self, interaction: Interaction, person: str | None = None
    ) -> tuple[dict[str, bool | float], list[UUID], bool]:
        """Return the values by key, the ids of the feedback that they come from, and whether thumbs disagreed.

        With `person`, only what they gave counts. The newest value counts. Under a bool key, and under a scalar key
        with a threshold, the newest value of each person is a vote. If two people disagree, there is no value, unless
        the majority decides.
        """
        values: dict[str, bool | float] = {}
        ids: list[UUID] = []
        has_conflict = False
        by_key = self._by_key(interaction, person)
        tie_votes = self._tie_votes(interaction, person)
        for key in [*by_key, *(key for key in tie_votes if key not in by_key)]:
            key_feedback = by_key.get(key, [])
            if self._kinds[key] == "scalar" and key not in self._thresholds and key_feedback:
                values[key] = key_feedback[0].value
                ids.append(key_feedback[0].feedback_id)
                continue
            newest = {(feedback.user or feedback.actor): feedback for feedback in reversed(key_feedback)}
            given_votes = {feedback.feedback_id: self._vote(feedback) for feedback in newest.values()}
            votes = [vote for vote in [*given_votes.values(), *tie_votes.get(key, [])] if vote is not None]
            winner = self._winner(votes)
            if winner is not None:
                values[key] = winner
                ids += [feedback_id for feedback_id, vote in given_votes.items() if vote is not None]
            elif votes:
                has_conflict = True
        return values, ids, has_conflict

    def is_between_thresholds(self, interaction: Interaction) -> bool:
        """Tell whether an interaction has feedback, and all of it is neither true nor false by its threshold."""
        key_feedback = [feedback for values in self._by_key(interaction).values() for feedback in values]
        return bool(key_feedback) and all(self._vote(feedback) is None for feedback in key_feedback)

    def _vote(self, feedback: Feedback) -> bool | None:
        threshold = self._thresholds.get(feedback.metric)
        if threshold is None or self._kinds[feedback.metric] == "bool":
            return feedback.value == 1.0
        if feedback.value >= threshold.true_from:
            return True
        return False if feedback.value <= threshold.false_to else None

    def _winner(self, votes: list[bool]) -> bool | None:
        trues = sum(votes)
        if self._votes == "majority":
            return None if 2 * trues == len(votes) else 2 * trues > len(votes)
        return votes[0] if votes and trues in (0, len(votes)) else None

    def _ties(self, interaction: Interaction) -> list[Preference]:
        return [
            preference
            for preference in (interaction.preferences if self._with_ties else ())
            if preference.tied is not None and preference.metric in self._kinds
        ]

    def _tie_votes(self, interaction: Interaction, person: str | None) -> dict[str, list[bool]]:
        """Return the votes by key that ties give: true for a good one, false for a bad one."""
        votes: dict[str, list[bool]] = {}
        for tie in self._ties(interaction):
            if person is None or self.person_of(tie) == person:
                votes.setdefault(tie.metric, []).append(tie.tied == "good")
        return votes

    def thumbs(self, interaction: Interaction) -> Iterator[Thumb]:
        """Yield what is true or false under each key; with `all`, for each person."""
        for person in self.people(interaction):
            values = self.values(interaction, person)[0]
            for key, feedback in self._by_key(interaction, person).items():
                if isinstance(is_up := values.get(key), bool):
                    yield Thumb(key, is_up, tuple(given.feedback_id for given in feedback), person)

    def _by_key(self, interaction: Interaction, person: str | None = None) -> dict[str, list[Feedback]]:
        """Return the feedback by key, the newest first, as interactions show it; with `person`, only theirs."""
        by_key: dict[str, list[Feedback]] = {}
        for feedback in interaction.feedback:
            if feedback.metric in self._kinds and (person is None or self.person_of(feedback) == person):
                by_key.setdefault(feedback.metric, []).append(feedback)
        return by_key
