"""Finds the prompt, answer and ratings of a line under any of their common names. All forms use it."""

from __future__ import annotations

from typing import Any, TypeGuard

from afterword.call_forms.turns import (
    Turn,
    conversation,
    from_json_text,
    is_conversation,
    is_turn,
    kind,
    role_of,
    text_of_content,
    transcript,
)
from afterword.json_text import LineError

Line = dict[str, Any]

SYSTEM = ("system", "system_prompt", "systemInstruction", "system_instruction", "instructions")
CONVERSATIONS = ("messages", "conversations", "conversation", "contents", "dialog", "dialogue", "chat")
QUESTIONS = ("prompt", "instruction", "question", "query", "input", "inputs", "text_input", "input_text")
"""Members that may hold a prompt, as a string or an array of messages."""
CONTEXT_NAMES = {"instruction": ("input", "context"), "question": ("context",), "query": ("context",)}
"""Members that are appended to the text of the question under the name on the left."""
ANSWERS = ("completion", "response", "output", "answer", "output_text", "model_output", "generated_text", "generation")
RATINGS = frozenset(
    [
        "score",
        "rating",
        "reward",
        "stars",
        "quality",
        "thumbs_up",
        "overall_score",
        "fine-grained_score",
        "helpfulness",
        "correctness",
        "coherence",
        "complexity",
        "verbosity",
        "helpful",
        "harmless",
        "honesty",
        "truthfulness",
        "instruction_following",
        "quality_score",
        "reward_score",
        "human_rating",
        "user_rating",
    ]
)
"""Members that rate the answer; each becomes feedback under a key of the same name."""
RATING_GROUPS = ("ratings", "scores", "feedback_scores")


class Parts:
    """A line that is being read. `members` holds the members that were not taken yet."""

    def __init__(self, line: Line) -> None:
        self.members = dict(line)

    def take(self, *names: str) -> Any:
        """Remove the first of these members that the line has, and return its value; None without one."""
        for name in names:
            if name in self.members:
                return self.members.pop(name)
        return None

    def find(self, names: tuple[str, ...]) -> str | None:
        """Return the first of these names that the line has."""
        return next((name for name in names if name in self.members), None)

    def prompt(self) -> list[Turn]:
        """Take the messages of the prompt; [] if the line has none. Raises `LineError`."""
        messages: list[Turn] = []
        name = next(
            (member for member in CONVERSATIONS if isinstance(self.members.get(member), list) and self.members[member]),
            None,
        )
        if name is not None:
            messages = turns_of(self.members.pop(name), name)
        elif is_conversation(self.members.get("context")):
            messages = turns_of(self.members.pop("context"), "context")
        elif question := self.find(QUESTIONS):
            messages = self._question_messages(question)
        system = self.take(*SYSTEM) if messages else None
        if (text := text_of_content(system)) and messages[0].get("role") != "system":
            messages = [{"role": "system", "content": text}, *messages]
        return messages

    def _question_messages(self, name: str) -> list[Turn]:
        value = from_json_text(self.members.pop(name)) if name in ("input", "inputs") else self.members.pop(name)
        if isinstance(value, list):
            return turns_of(value, name)
        if isinstance(value, dict):
            return [*Parts(value).prompt()] or _refuse_prompt(name, value)
        if not isinstance(value, str):
            _refuse_prompt(name, value)
        context_texts = [self.members.get(context_name) for context_name in CONTEXT_NAMES.get(name, ())]
        for context_name, text in zip(CONTEXT_NAMES.get(name, ()), context_texts, strict=True):
            if isinstance(text, str):
                del self.members[context_name]
        if turns := transcript(value) if value.startswith("\n\n") else []:
            # The transcript ends with the next speaker's name and an empty text.
            return turns[:-1] if len(turns) > 1 and not turns[-1]["content"] else turns
        text = "\n\n".join(
            [value, *(context_text for context_text in context_texts if isinstance(context_text, str) and context_text)]
        )
        return [*self._history_messages(), {"role": "user", "content": text}]

    def _history_messages(self) -> list[Turn]:
        history = self.members.get("history")
        if not isinstance(history, list) or not all(
            isinstance(exchange, list) and len(exchange) == 2 for exchange in history
        ):
            return []
        del self.members["history"]
        return [
            {"role": role, "content": text}
            for pair in history
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ]

    def ratings(self) -> list[dict[str, Any]]:
        """Take the line's ratings of its answer, as feedback."""
        names = [name for name, value in self.members.items() if name in RATINGS and is_value(value)]
        feedback_rows = [{"metric": name, "value": self.members.pop(name)} for name in names]
        for name in RATING_GROUPS:
            if name in self.members and (group_rows := ratings_of(self.members[name])):
                feedback_rows += group_rows
                del self.members[name]
        return feedback_rows


def turns_of(value: list[Any], name: str) -> list[Turn]:
    """Return the messages of a list of turns, which may be nested one level deeper. Raises `LineError`."""
    if len(value) == 1 and is_conversation(value[0]) and not is_turn(value[0]) and isinstance(value[0][0], dict):
        value = value[0]
    if value and all(isinstance(element, dict) and {"input", "output"} <= element.keys() for element in value):
        # XTuner: each turn has an input and an output.
        messages: list[Turn] = []
        for turn in value:
            if turn.get("system"):
                messages.append({"role": "system", "content": turn["system"]})
            messages.append({"role": "user", "content": turn["input"]})
            messages.append({"role": "assistant", "content": turn["output"]})
        return messages
    return conversation(value, name)


def split_answer(messages: list[Turn]) -> tuple[list[Turn], Turn | None]:
    """Split messages into the prompt and the answer, which is the last message if it is the assistant's."""
    if messages and role_of(str(messages[-1].get("role"))) == "assistant":
        return messages[:-1], messages[-1]
    return messages, None


def ratings_of(value: Any) -> list[dict[str, Any]]:
    """Return feedback given as {key: value} or as a list of {name, value, comment}; [] for any other value."""
    feedback_rows: list[dict[str, Any]] = []
    if isinstance(value, dict):
        feedback_rows = [{"metric": str(key), "value": rating} for key, rating in value.items() if is_value(rating)]
        return feedback_rows if len(feedback_rows) == len(value) else []
    for rating in value if isinstance(value, list) else ():
        if not isinstance(rating, dict):
            return []
        key = rating.get("name") or rating.get("key") or rating.get("metric")
        number = next((rating[name] for name in ("value", "score") if is_value(rating.get(name))), None)
        if not isinstance(key, str) or number is None:
            return []
        comment = rating.get("comment") or rating.get("details")
        feedback_row = {"metric": key, "value": bool(number) if rating.get("dataType") == "BOOLEAN" else number}
        feedback_rows.append({**feedback_row, "details": comment} if isinstance(comment, str) else feedback_row)
    return feedback_rows


def is_value(value: Any) -> TypeGuard[float]:
    """Tell whether this can be the value of feedback."""
    return isinstance(value, bool | int | float)


def _refuse_prompt(name: str, value: Any) -> list[Turn]:
    raise LineError(f"has {name} that is {kind(value)}, but must be a string or an array of messages")
