"""Forms of training files: chats, instructions with answers, and comparisons of two answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from afterword.call_forms.turns import Turn, conversation, from_json_text, is_pair, is_turn, kind, transcript
from afterword.cli.forms.parts import ANSWERS, Line, Parts, is_value, split_answer
from afterword.json_text import LineError

PREFERENCE = "preference"
"""The feedback key of a comparison without one."""
DESIRABLE = "desirable"
"""The feedback key for KTO's member `label`."""

Verdict: TypeAlias = Literal["first", "second", "good", "bad"]
"""Which answer is better, or a tie between two good or two bad ones."""


@dataclass(frozen=True)
class Comparison:
    """A form with two answers: their member names, and a function that reads which is better."""

    first_name: str
    second_name: str
    verdict: Callable[[Parts], Verdict | None] = lambda parts: "first"

    def is_in(self, line: Line) -> bool:
        """Tell whether the line has both answers."""
        return self.first_name in line and self.second_name in line


def _by_sign(*names: str) -> Callable[[Parts], Verdict | None]:
    """Return a function for a signed value: below zero the first answer is better, above zero the second."""

    def verdict(parts: Parts) -> Verdict | None:
        value = parts.take(*names)
        return None if not is_value(value) else "good" if value == 0 else "first" if value < 0 else "second"

    return verdict


def _by_word(name: str, first_word: Any, second_word: Any) -> Callable[[Parts], Verdict | None]:
    def verdict(parts: Parts) -> Verdict | None:
        word = parts.take(name)
        if isinstance(word, str) and word.startswith("tie"):
            return "bad" if "bad" in word else "good"
        return "first" if word == first_word else "second" if word == second_word else None

    return verdict


def _by_scores(first_score_name: str, second_score_name: str) -> Callable[[Parts], Verdict | None]:
    def verdict(parts: Parts) -> Verdict | None:
        first_score, second_score = parts.members.get(first_score_name), parts.members.get(second_score_name)
        if first_score is None or second_score is None or not is_value(first_score) or not is_value(second_score):
            return None
        return "good" if first_score == second_score else "first" if first_score > second_score else "second"

    return verdict


def _by_flags(first_flag: str, second_flag: str, tie_flag: str) -> Callable[[Parts], Verdict | None]:
    def verdict(parts: Parts) -> Verdict | None:
        flags = [parts.take(name) for name in (first_flag, second_flag, tie_flag)]
        verdicts: list[Verdict] = ["first", "second", "good"]
        return verdicts[flags.index(1)] if flags.count(1) == 1 else None

    return verdict


def _by_alpaca_eval(parts: Parts) -> Verdict | None:
    value = parts.take("preference")
    # A tie is 1.5, in older results 0.
    return None if not is_value(value) else "good" if value in (0, 1.5) else "first" if value < 1.5 else "second"


COMPARISONS = (
    Comparison("chosen", "rejected"),
    Comparison("preferred_output", "non_preferred_output"),
    Comparison("chosen_response", "rejected_response"),
    Comparison("preferred", "dispreferred"),
    Comparison("accepted", "rejected"),
    Comparison("response_j", "response_k"),
    Comparison("conversation_a", "conversation_b", _by_word("winner", "model_a", "model_b")),
    Comparison("response_a", "response_b", _by_flags("winner_model_a", "winner_model_b", "winner_tie")),
    Comparison("response_0", "response_1", _by_word("better_response_id", 0, 1)),
    Comparison("response1", "response2", _by_sign("overall_preference")),
    Comparison("response_1", "response_2", _by_sign("preference_strength")),
    Comparison("output_1", "output_2", _by_alpaca_eval),
    Comparison("answer_0", "answer_1", _by_scores("score_0", "score_1")),
    Comparison("human_ref_A", "human_ref_B", _by_word("labels", 1, 0)),
)
"""The first form whose two members the line has is used."""

_ANSWER_NAMES = frozenset(
    [
        "chosen",
        "rejected",
        "preferred_output",
        "non_preferred_output",
        "rejected_response",
        "rejected_messages",
        "response",
        "responses",
        "output",
        "outputs",
        "choices",
        "answers",
        "completions",
        "generations",
        "replies",
        "candidates",
        "winner",
        "better_response_id",
        "baseline_output",
        "preferred",
        "dispreferred",
    ]
)
_NUMBERED_ANSWER_NAME = re.compile(r"(response|output|answer|completion|conversation|reply)_?([0-9]|[abjk])", re.I)


def refuse_leftover_answers(members: Line) -> None:
    """Raise `LineError` if a remaining member is an answer or a verdict, because it would be lost."""
    for name, value in members.items():
        is_list = name in ("conversations", "conversation", "contents") and isinstance(value, list)
        if is_list or name in _ANSWER_NAMES or _NUMBERED_ANSWER_NAME.fullmatch(name):
            raise LineError(f"has {name!r} beside its completion, and is of no form that is known with it. {ADVICE}")


ADVICE = "Rename or leave out what is not to be imported; 'afterword import --help' shows the forms."


def comparison(line: Line) -> list[Line] | None:
    """Read a line that compares two answers; None if it does not have two."""
    form = next((candidate for candidate in COMPARISONS if candidate.is_in(line)), None)
    if form is None:
        return _rejected_answer_lines(line)
    parts = Parts(line)
    verdict = form.verdict(parts)
    if verdict is None:
        raise LineError(f"does not say which of {form.first_name} and {form.second_name} is better")
    values = [_turns(parts.take(name), name) for name in (form.first_name, form.second_name)]
    tools = parts.members.get("input")
    if isinstance(tools, dict) and isinstance(tools.get("messages"), list):
        parts.members |= parts.members.pop("input")
    if "history" in parts.members and "human_ref_A" in line:
        parts.members["prompt"] = parts.take("history")
    prompt = _interleaved_prompt(parts, values) or _shared_prompt(parts, values)
    return [_preference_line(parts, form, verdict, prompt, values)]


def _preference_line(
    parts: Parts, form: Comparison, verdict: Verdict, prompt: list[Turn], values: list[list[Turn]]
) -> Line:
    if not prompt:
        shared = 0
        while shared < min(map(len, values)) - 1 and values[0][shared] == values[1][shared]:
            shared += 1
        prompt = values[0][:shared]
    sides: list[Line] = []
    for name, messages in zip((form.first_name, form.second_name), values, strict=True):
        side_messages = messages[len(prompt) :] if messages[: len(prompt)] == prompt else messages
        earlier_messages, answer = split_answer(side_messages)
        if answer is None:
            raise LineError(f"has {name} that does not end with an answer of the assistant")
        if not prompt and not earlier_messages:
            raise LineError(f"has no prompt that {form.first_name} and {form.second_name} answer")
        side: Line = {"completion": answer, "messages": [*prompt, *earlier_messages]}
        sides.append(side | _side_members(parts, name))
    if sides[0]["messages"] == sides[1]["messages"] and sides[0]["completion"] == sides[1]["completion"]:
        raise LineError(f"has {form.first_name} and {form.second_name} that are the same")
    if verdict == "second":
        sides.reverse()
    preference_line = {**parts.members, "preferred_completion": sides[0], "other_completion": sides[1]}
    preference_line.setdefault("metric", PREFERENCE)
    if verdict in ("good", "bad"):
        preference_line["tied"] = verdict
    preference_line["messages"] = sides[0]["messages"]
    return preference_line


def _side_members(parts: Parts, name: str) -> Line:
    """Take the model and the scores of one side."""
    token = name.rpartition("_")[2]
    side: Line = {}
    member = parts.find((f"{name}_model", f"{name}-model", f"model_{token}", f"generator_{token}"))
    if member is not None and isinstance(parts.members[member], str):
        side["model"] = parts.take(member)
    for word in ("score", "rating", "reward"):
        member = parts.find((f"{word}_{name}", f"{name}_{word}", f"{name}-{word}", f"{word}_{token}"))
        if member is not None and is_value(parts.members[member]):
            side["feedbacks"] = {**side.get("feedbacks", {}), word: parts.take(member)}
    return side


def _shared_prompt(parts: Parts, values: list[list[Turn]]) -> list[Turn]:
    """Take the prompt. Messages that both answers repeat are not added twice."""
    messages = (
        parts.take("messages")
        if all(len(side_messages) > 1 for side_messages in values) and "prompt" in parts.members
        else None
    )
    prompt = parts.prompt()
    if len(prompt) > 1 and any(side_messages == prompt[-1:] for side_messages in values):
        # The prompt ends with one of the two answers.
        prompt = prompt[:-1]
    starts = [side_messages[: len(prompt)] for side_messages in values]
    if messages is not None and starts != [prompt, prompt]:
        parts.members["messages"] = messages
    turns_without_system = [turn for turn in prompt if turn.get("role") != "system"]
    if (
        prompt
        and starts != [prompt, prompt]
        and all(side_messages[: len(turns_without_system)] == turns_without_system for side_messages in values)
    ):
        for side_messages in values:
            side_messages[: len(turns_without_system)] = prompt
    return prompt


def _interleaved_prompt(parts: Parts, values: list[list[Turn]]) -> list[Turn]:
    """Read prompts and answers that are lists of texts, one per turn; [] for other forms."""
    prompts = from_json_text(parts.members.get("prompt"))
    answers = [
        from_json_text(side_messages[0].get("content")) if len(side_messages) == 1 else None for side_messages in values
    ]
    if not isinstance(prompts, list) or not all(isinstance(text, str) for text in prompts):
        return []
    for index, texts in enumerate(answers):
        if not isinstance(texts, list) or len(texts) != len(prompts):
            return []
        values[index][:] = [
            turn
            for prompt_text, answer_text in zip(prompts, texts, strict=True)
            for turn in ({"role": "user", "content": prompt_text}, {"role": "assistant", "content": answer_text or ""})
        ]
    del parts.members["prompt"]
    return values[0][:1]


def _turns(value: Any, name: str) -> list[Turn]:
    """Return an answer as messages: a text, a transcript, a message or a list of them."""
    if isinstance(value, str):
        return transcript(value) or [{"role": "assistant", "content": value}]
    if is_turn(value):
        return conversation([value], name)
    if isinstance(value, list) and value:
        return conversation(value, name)
    raise LineError(f"has {name} that is {kind(value)}, but must be a string or an array of messages")


def _rejected_answer_lines(line: Line) -> list[Line] | None:
    """Read ms-swift's form: messages that end with the better answer, and the worse one in its own member."""
    name = next(
        (member_name for member_name in ("rejected_response", "rejected_messages") if member_name in line), None
    )
    messages = line.get("messages")
    if name is None or not isinstance(messages, list):
        return None
    prompt, answer = split_answer(conversation(messages, "messages"))
    if answer is None:
        raise LineError("has messages that do not end with an answer of the assistant")
    members = {member_name: value for member_name, value in line.items() if member_name not in ("messages", name)}
    rejected = _turns(line[name], name)
    return comparison({**members, "prompt": prompt, "chosen": [answer], "rejected": rejected})


def answered(line: Line) -> list[Line] | None:
    """Read a line with a prompt and an answer under any of their names; None without an answer."""
    parts = Parts(line)
    tools = from_json_text(parts.members.get("tools"))
    if isinstance(tools, list):
        parts.members["tools"] = tools
    if isinstance(line.get("completions"), list):
        return _lines_of_completions(parts)
    name = parts.find(ANSWERS)
    if (
        name == "completion"
        and isinstance(parts.members["completion"], dict | str)
        and parts.members.keys() & {"messages"}
    ):
        return None
    answer = None if name is None else parts.take(name)
    prompt = parts.prompt()
    if answer is None:
        prompt, answer = split_answer(prompt)
        if answer is None:
            return None
    elif isinstance(answer, list) and all(isinstance(element, str) for element in answer) and not is_pair(answer):
        raise LineError(f"has {name} that is an array of strings; which of them is meant, it does not say")
    elif isinstance(answer, list) and not is_pair(answer):
        context_messages, answer = split_answer(_turns(answer, str(name)))
        if answer is None:
            raise LineError(f"has {name} that does not end with an answer of the assistant")
        prompt += context_messages
    elif is_turn(answer):
        [answer] = conversation([answer], str(name))
    if not prompt:
        raise LineError(f"has no messages (nor input, nor prompt) that its {name or 'last message'} answers")
    if not isinstance(answer, str | dict | list):
        raise LineError(f"has {name} that is {kind(answer)}, but must be a string or a message")
    return [with_rating_feedback({**parts.members, "messages": prompt, "completion": answer})]


def _lines_of_completions(parts: Parts) -> list[Line]:
    """Read UltraFeedback's form: several answers to one instruction, each with its model and scores."""
    completions = parts.take("completions")
    prompt = parts.prompt()
    parts.take("models")
    if not prompt or not all(
        isinstance(completion, dict) and isinstance(completion.get("response"), str) for completion in completions
    ):
        raise LineError(
            "has several completions without a model and a response each; which of them is meant, it does not say"
        )
    lines: list[Line] = []
    for completion in completions:
        inner = Parts(completion)
        answer = inner.take("response")
        model = {"model": inner.take("model")} if isinstance(completion.get("model"), str) else {}
        lines.append(
            with_rating_feedback({**parts.members, **inner.members, **model, "messages": prompt, "completion": answer})
        )
    return lines


def with_rating_feedback(line: Line) -> Line:
    """Turn the ratings of a line into feedback on its completion."""
    parts = Parts(line)
    ratings = parts.ratings()
    for name in ("label", "kto_tag"):
        value = parts.members.get(name)
        if isinstance(value, bool) or (name in parts.members and value in (0, 1)):
            ratings.append({"metric": DESIRABLE, "value": bool(parts.take(name))})
    if not ratings:
        return line
    existing_feedback = parts.members.get("feedbacks")
    if isinstance(existing_feedback, dict):
        ratings = [
            {"metric": key, "value": value} for key, value in existing_feedback.items() if value is not None
        ] + ratings
    elif isinstance(existing_feedback, list):
        ratings = [*existing_feedback, *ratings]
    return {**parts.members, "feedbacks": ratings}
