"""The forms of training files: chats, instructions with their answers, and which of two answers is better."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from afterword.cli.forms.parts import ANSWERS, Line, Parts, is_value, split_answer
from afterword.cli.forms.turns import Turn, conversation, from_json_text, is_pair, is_turn, kind, transcript
from afterword.json_text import LineError

PREFERENCE = "preference"
"""The feedback key of a comparison that names none."""
DESIRABLE = "desirable"
"""The feedback key of what KTO calls `label`."""

Verdict: TypeAlias = Literal["first", "second", "good", "bad"]
"""Which answer is better, or a tie between two good or two bad ones."""


@dataclass(frozen=True)
class Comparison:
    """A form with two answers: the names of both, and how the line tells which is better."""

    first: str
    second: str
    verdict: Callable[[Parts], Verdict | None] = lambda parts: "first"

    def is_in(self, line: Line) -> bool:
        """Tell whether the line has both answers."""
        return self.first in line and self.second in line


def _by_sign(*names: str) -> Callable[[Parts], Verdict | None]:
    """Below zero the first is better, above it the second."""

    def verdict(parts: Parts) -> Verdict | None:
        value = parts.take(*names)
        return None if not is_value(value) else "good" if value == 0 else "first" if value < 0 else "second"

    return verdict


def _by_word(name: str, first: Any, second: Any) -> Callable[[Parts], Verdict | None]:
    def verdict(parts: Parts) -> Verdict | None:
        word = parts.take(name)
        if isinstance(word, str) and word.startswith("tie"):
            return "bad" if "bad" in word else "good"
        return "first" if word == first else "second" if word == second else None

    return verdict


def _by_scores(first: str, second: str) -> Callable[[Parts], Verdict | None]:
    def verdict(parts: Parts) -> Verdict | None:
        one, two = parts.rest.get(first), parts.rest.get(second)
        if one is None or two is None or not is_value(one) or not is_value(two):
            return None
        return "good" if one == two else "first" if one > two else "second"

    return verdict


def _by_flags(first: str, second: str, tie: str) -> Callable[[Parts], Verdict | None]:
    def verdict(parts: Parts) -> Verdict | None:
        flags = [parts.take(name) for name in (first, second, tie)]
        told: list[Verdict] = ["first", "second", "good"]
        return told[flags.index(1)] if flags.count(1) == 1 else None

    return verdict


def _by_alpaca_eval(parts: Parts) -> Verdict | None:
    value = parts.take("preference")
    # A draw is 1.5, in older results 0.
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
"""The first that fits is taken."""

_SPOKEN = frozenset(
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
_SPOKEN_NUMBERED = re.compile(r"(response|output|answer|completion|conversation|reply)_?([0-9]|[abjk])", re.I)


def refuse_spoken(rest: Line) -> None:
    """Raise `LineError` where what is left of a line is an answer, or tells which is better: it would be lost."""
    for name, value in rest.items():
        is_list = name in ("conversations", "conversation", "contents") and isinstance(value, list)
        if is_list or name in _SPOKEN or _SPOKEN_NUMBERED.fullmatch(name):
            raise LineError(f"has {name!r} beside its completion, and is of no form that is known with it. {ADVICE}")


ADVICE = "Rename or leave out what is not to be imported; 'afterword import --help' shows the forms."


def comparison(line: Line) -> list[Line] | None:
    """Read a line that says which of two answers is better; None where it does not have two."""
    form = next((one for one in COMPARISONS if one.is_in(line)), None)
    if form is None:
        return _with_a_rejected_answer(line)
    parts = Parts(line)
    verdict = form.verdict(parts)
    if verdict is None:
        raise LineError(f"does not say which of {form.first} and {form.second} is better")
    values = [_turns(parts.take(name), name) for name in (form.first, form.second)]
    tools = parts.rest.get("input")
    if isinstance(tools, dict) and isinstance(tools.get("messages"), list):
        parts.rest |= parts.rest.pop("input")
    if "history" in parts.rest and "human_ref_A" in line:
        parts.rest["prompt"] = parts.take("history")
    prompt = _interleaved(parts, values) or _asked(parts, values)
    return [_compared(parts, form, verdict, prompt, values)]


def _compared(parts: Parts, form: Comparison, verdict: Verdict, prompt: list[Turn], values: list[list[Turn]]) -> Line:
    if not prompt:
        shared = 0
        while shared < min(map(len, values)) - 1 and values[0][shared] == values[1][shared]:
            shared += 1
        prompt = values[0][:shared]
    sides: list[Line] = []
    for name, messages in zip((form.first, form.second), values, strict=True):
        own = messages[len(prompt) :] if messages[: len(prompt)] == prompt else messages
        before, answer = split_answer(own)
        if answer is None:
            raise LineError(f"has {name} that does not end with an answer of the assistant")
        if not prompt and not before:
            raise LineError(f"has no prompt that {form.first} and {form.second} answer")
        side: Line = {"completion": answer, "messages": [*prompt, *before]}
        sides.append(side | _about_side(parts, name))
    if sides[0]["messages"] == sides[1]["messages"] and sides[0]["completion"] == sides[1]["completion"]:
        raise LineError(f"has {form.first} and {form.second} that are the same")
    if verdict == "second":
        sides.reverse()
    made = {**parts.rest, "preferred_completion": sides[0], "other_completion": sides[1]}
    made.setdefault("metric", PREFERENCE)
    if verdict in ("good", "bad"):
        made["tied"] = verdict
    made["messages"] = sides[0]["messages"]
    return made


def _about_side(parts: Parts, name: str) -> Line:
    """Take what the line says of one side: its model, its score."""
    token = name.rpartition("_")[2]
    side: Line = {}
    member = parts.find((f"{name}_model", f"{name}-model", f"model_{token}", f"generator_{token}"))
    if member is not None and isinstance(parts.rest[member], str):
        side["model"] = parts.take(member)
    for word in ("score", "rating", "reward"):
        member = parts.find((f"{word}_{name}", f"{name}_{word}", f"{name}-{word}", f"{word}_{token}"))
        if member is not None and is_value(parts.rest[member]):
            side["feedbacks"] = {**side.get("feedbacks", {}), word: parts.take(member)}
    return side


def _asked(parts: Parts, values: list[list[Turn]]) -> list[Turn]:
    """Take the prompt; what of it stands in both answers, too, is not asked twice."""
    messages = parts.take("messages") if all(len(one) > 1 for one in values) and "prompt" in parts.rest else None
    prompt = parts.prompt()
    if len(prompt) > 1 and any(one == prompt[-1:] for one in values):
        # Messages that end with one of the two answers.
        prompt = prompt[:-1]
    starts = [one[: len(prompt)] for one in values]
    if messages is not None and starts != [prompt, prompt]:
        parts.rest["messages"] = messages
    spoken = [turn for turn in prompt if turn.get("role") != "system"]
    if prompt and starts != [prompt, prompt] and all(one[: len(spoken)] == spoken for one in values):
        for one in values:
            one[: len(spoken)] = prompt
    return prompt


def _interleaved(parts: Parts, values: list[list[Turn]]) -> list[Turn]:
    """Read prompts and answers that are lists of texts, one for each turn; [] where they are not."""
    prompts = from_json_text(parts.rest.get("prompt"))
    answers = [from_json_text(one[0].get("content")) if len(one) == 1 else None for one in values]
    if not isinstance(prompts, list) or not all(isinstance(one, str) for one in prompts):
        return []
    for index, texts in enumerate(answers):
        if not isinstance(texts, list) or len(texts) != len(prompts):
            return []
        values[index][:] = [
            turn
            for asked, said in zip(prompts, texts, strict=True)
            for turn in ({"role": "user", "content": asked}, {"role": "assistant", "content": said or ""})
        ]
    del parts.rest["prompt"]
    return values[0][:1]


def _turns(value: Any, name: str) -> list[Turn]:
    """Return an answer as messages: a text, a transcript, a message or a list of them."""
    if isinstance(value, str):
        return transcript(value) or [{"role": "assistant", "content": value}]
    if is_turn(value):
        return conversation([value], name)
    if isinstance(value, list) and value:
        return conversation(value, name)
    raise LineError(f"has {name} that is {kind(value)}, but must be a text or a list of messages")


def _with_a_rejected_answer(line: Line) -> list[Line] | None:
    """ms-swift's: messages that end with the better answer, and the worse one apart."""
    name = next((one for one in ("rejected_response", "rejected_messages") if one in line), None)
    messages = line.get("messages")
    if name is None or not isinstance(messages, list):
        return None
    asked, answer = split_answer(conversation(messages, "messages"))
    if answer is None:
        raise LineError("has messages that do not end with an answer of the assistant")
    rest = {one: value for one, value in line.items() if one not in ("messages", name)}
    rejected = _turns(line[name], name)
    return comparison({**rest, "prompt": asked, "chosen": [answer], "rejected": rejected})


def answered(line: Line) -> list[Line] | None:
    """Read a line with a prompt and an answer under any of their names; None where it has no answer."""
    parts = Parts(line)
    tools = from_json_text(parts.rest.get("tools"))
    if isinstance(tools, list):
        parts.rest["tools"] = tools
    if isinstance(line.get("completions"), list):
        return _several(parts)
    name = parts.find(ANSWERS)
    if name == "completion" and isinstance(parts.rest["completion"], dict | str) and parts.rest.keys() & {"messages"}:
        return None
    answer = None if name is None else parts.take(name)
    prompt = parts.prompt()
    if answer is None:
        prompt, answer = split_answer(prompt)
        if answer is None:
            return None
    elif isinstance(answer, list) and all(isinstance(one, str) for one in answer) and not is_pair(answer):
        raise LineError(f"has {name} that is a list of texts; which of them is meant, it does not say")
    elif isinstance(answer, list) and not is_pair(answer):
        more, answer = split_answer(_turns(answer, str(name)))
        if answer is None:
            raise LineError(f"has {name} that does not end with an answer of the assistant")
        prompt += more
    elif is_turn(answer):
        [answer] = conversation([answer], str(name))
    if not prompt:
        raise LineError(f"has no messages (nor input, nor prompt) that its {name or 'last message'} answers")
    if not isinstance(answer, str | dict | list):
        raise LineError(f"has {name} that is {kind(answer)}, but must be a text or a message")
    return [rated({**parts.rest, "messages": prompt, "completion": answer})]


def _several(parts: Parts) -> list[Line]:
    """UltraFeedback's: several answers to one instruction, each with its model and its scores."""
    completions = parts.take("completions")
    prompt = parts.prompt()
    parts.take("models")
    if not prompt or not all(isinstance(one, dict) and isinstance(one.get("response"), str) for one in completions):
        raise LineError(
            "has several completions without a model and a response each; which of them is meant, it does not say"
        )
    made: list[Line] = []
    for one in completions:
        inner = Parts(one)
        answer = inner.take("response")
        model = {"model": inner.take("model")} if isinstance(one.get("model"), str) else {}
        made.append(rated({**parts.rest, **inner.rest, **model, "messages": prompt, "completion": answer}))
    return made


def rated(line: Line) -> Line:
    """Turn the ratings of a line into feedback on its completion."""
    parts = Parts(line)
    ratings = parts.ratings()
    for name in ("label", "kto_tag"):
        value = parts.rest.get(name)
        if isinstance(value, bool) or (name in parts.rest and value in (0, 1)):
            ratings.append({"metric": DESIRABLE, "value": bool(parts.take(name))})
    if not ratings:
        return line
    given = parts.rest.get("feedbacks")
    if isinstance(given, dict):
        ratings = [{"metric": key, "value": value} for key, value in given.items() if value is not None] + ratings
    elif isinstance(given, list):
        ratings = [*given, *ratings]
    return {**parts.rest, "feedbacks": ratings}
