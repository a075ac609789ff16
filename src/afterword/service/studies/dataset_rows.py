"""The rows of datasets that are made of interactions: which interactions are fit, and what a row contains."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec

from afterword.service.context import Context
from afterword.service.studies.dataset_lines import ANSWER_FIELDS
from afterword.store.catalog import ProjectRow
from afterword.types import Feedback, Interaction, LeftOut, Message

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


class FeedbackReader:
    """Reads the feedback values that count: those under all keys of the project, or under `metrics`."""

    def __init__(self, context: Context, project: ProjectRow, metrics: Collection[str] | None) -> None:
        keys = {row.key: row.kind for row in context.catalog.metrics_of(project.number)}
        self._kinds = {key: kind for key, kind in keys.items() if metrics is None or key in metrics}

    def counts(self, metric: str) -> bool:
        """Tell whether a key counts."""
        return metric in self._kinds

    def values(self, interaction: Interaction) -> tuple[dict[str, bool | float], list[UUID], bool]:
        """Return the values by key, the ids of the feedback that they come from, and whether thumbs disagreed.

        The newest value counts. Under a bool key, the newest value of each person counts; if two people disagree, there
        is no value.
        """
        values: dict[str, bool | float] = {}
        ids: list[UUID] = []
        has_conflict = False
        for key, key_feedback in self._by_key(interaction).items():
            newest = {(feedback.user or feedback.actor): feedback for feedback in reversed(key_feedback)}
            if self._kinds[key] == "scalar":
                values[key] = key_feedback[0].value
                ids.append(key_feedback[0].feedback_id)
            elif len({feedback.value for feedback in newest.values()}) == 1:
                values[key] = key_feedback[0].value == 1.0
                ids += [feedback.feedback_id for feedback in newest.values()]
            else:
                has_conflict = True
        return values, ids, has_conflict

    def thumbs(self, interaction: Interaction) -> Mapping[str, bool]:
        """Return the values under bool keys."""
        return {key: value for key, value in self.values(interaction)[0].items() if isinstance(value, bool)}

    def _by_key(self, interaction: Interaction) -> dict[str, list[Feedback]]:
        """Return the feedback by key, the newest first, as interactions show it."""
        by_key: dict[str, list[Feedback]] = {}
        for feedback in interaction.feedback:
            if feedback.metric in self._kinds:
                by_key.setdefault(feedback.metric, []).append(feedback)
        return by_key
