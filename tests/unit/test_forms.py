"""The forms of training files and logs: each is imported as what it says, or refused in words."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterword.cli.forms.training import COMPARISONS
from afterword.cli.import_lines import ImportLine, Options, Shaper
from afterword.json_text import LineError

ASKED = {"role": "user", "content": "Name a bird."}
GOOD, BAD = {"role": "assistant", "content": "A wren."}, {"role": "assistant", "content": "A bat."}
SYSTEM = {"role": "system", "content": "Be brief."}
CALL = {"id": "call_0", "type": "function", "function": {"name": "look", "arguments": '{"at":"sky"}'}}
CHOICES = {"choices": [{"index": 0, "message": GOOD, "finish_reason": "stop"}]}


def shaped(line: dict[str, Any]) -> ImportLine:
    return Shaper(Options()).line_of(json.dumps(line).encode())


def human(text: str) -> dict[str, str]:
    return {"from": "human", "value": text}


def gpt(text: str) -> dict[str, str]:
    return {"from": "gpt", "value": text}


BIRD, WREN, BAT = ASKED["content"], GOOD["content"], BAD["content"]
ANSWERED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "instruction": ({"instruction": BIRD, "input": "", "output": WREN}, {}),
    "instruction with a system prompt and turns before": (
        {"instruction": BIRD, "output": WREN, "system": "Be brief.", "history": [["Hi", "Hello"]]},
        {"messages": [SYSTEM, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, ASKED]},
    ),
    "instruction with context": (
        {"instruction": BIRD, "context": "Small.", "response": WREN, "category": "open_qa"},
        {"messages": [{"role": "user", "content": "Name a bird.\n\nSmall."}]},
    ),
    "question and answer": ({"system_prompt": "Be brief.", "question": BIRD, "response": WREN},
                            {"messages": [SYSTEM, ASKED]}),
    "input and output": ({"input": BIRD, "output": WREN}, {}),
    "conversations": ({"conversations": [human(BIRD), gpt(WREN)], "system": "Be brief."},
                      {"messages": [SYSTEM, ASKED]}),
    "conversations with a call": (
        {"conversations": [human(BIRD),
                           {"from": "function_call", "value": '{"name": "look", "arguments": {"at": "sky"}}'},
                           {"from": "observation", "value": "wren"}, gpt(WREN)], "tools": '[{"name": "look"}]'},
        {"messages": [ASKED, {"role": "assistant", "content": None, "tool_calls": [CALL]},
                      {"role": "tool", "content": "wren", "tool_call_id": "call_0"}],
         "parameters": {"tools": [{"name": "look"}]}},
    ),
    "a conversation in sides": ({"conversation": [{"system": "Be brief.", "input": BIRD, "output": WREN}]},
                                {"messages": [SYSTEM, ASKED]}),
    "a weight": ({"conversations": [human(BIRD), {**gpt(WREN), "weight": 0}]}, {"completion": {**GOOD, "weight": 0}}),
    "other words for roles": (
        {"messages": [{"role": "User", "content": BIRD}, {"role": "Chatbot", "content": WREN}]}, {},
    ),
    "parts without a type": (
        {"system": [{"text": "Be brief."}], "messages": [{"role": "user", "content": [{"text": BIRD}]},
                                                         {"role": "assistant", "content": [{"text": WREN}]}]},
        {"messages": [SYSTEM, ASKED]},
    ),
    "contents": (
        {"systemInstruction": {"parts": [{"text": "Be brief."}]},
         "contents": [{"role": "user", "parts": [{"text": BIRD}]}, {"role": "model", "parts": [{"text": WREN}]}]},
        {"messages": [SYSTEM, ASKED]},
    ),
    "contents with a call": (
        {"contents": [{"role": "user", "parts": [{"text": BIRD}]},
                      {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {"at": "sky"}}}]}]},
        {"completion": {"role": "assistant", "content": None, "tool_calls": [CALL]}},
    ),
    "thumbs on messages": ({"messages": [ASKED, GOOD], "label": False},
                           {"feedbacks": [{"metric": "desirable", "value": False}]}),
    "thumbs on lists": ({"prompt": [ASKED], "completion": [GOOD], "label": True},
                        {"feedbacks": [{"metric": "desirable", "value": True}]}),
    "thumbs on an instruction": ({"instruction": BIRD, "output": WREN, "kto_tag": True},
                                 {"feedbacks": [{"metric": "desirable", "value": True}]}),
    "ratings": ({"prompt": BIRD, "response": WREN, "helpfulness": 3, "verbosity": 1},
                {"feedbacks": [{"metric": "helpfulness", "value": 3}, {"metric": "verbosity", "value": 1}]}),
    "a request and its answer": (
        {"request": {"model": "m", "messages": [ASKED], "temperature": 0},
         "response": {"status_code": 200, "body": CHOICES}},
        {"model": "m", "parameters": {"temperature": 0}},
    ),
    "an answer in blocks": (
        {"request": {"system": "Be brief.", "messages": [ASKED]},
         "response": {"type": "message", "role": "assistant", "content": [{"type": "text", "text": WREN}]}},
        {"messages": [SYSTEM, ASKED]},
    ),
    "an answer in items": (
        {"request": {"input": BIRD, "instructions": "Be brief."},
         "response": {"object": "response", "output": [{"type": "message", "content": [{"text": WREN}]}]}},
        {"messages": [SYSTEM, ASKED]},
    ),
    "an answer beside its beginning": (
        {"request_id": "1", "messages": [ASKED, {"role": "assistant", "content": "A"}], "response": CHOICES},
        {"messages": [ASKED, {"role": "assistant", "content": "A"}]},
    ),
    "an observation": (
        {"type": "GENERATION", "startTime": "2026-01-01T00:00:00Z", "input": [ASKED], "output": GOOD, "userId": "u",
         "scores": [{"name": "CSAT", "value": 4, "comment": "ok"}], "usage": {"input": 9}},
        {"created_at": "2026-01-01T00:00:00Z", "user": "u", "usage": {"input": 9},
         "feedbacks": [{"metric": "CSAT", "value": 4, "details": "ok"}]},
    ),
    "a log with its tokens beside the call": (
        {"request_id": "1", "messages": [ASKED], "response": CHOICES, "prompt_tokens": 3, "completion_tokens": 2,
         "total_tokens": 5},
        {"usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
    ),
    "a span": (
        {"attributes": {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": BIRD,
                        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": WREN,
                        "gen_ai.request.model": "m"}},
        {"model": "m"},
    ),
    "a span of nested attributes": (
        {"attributes": {"llm": {"input_messages": [{"message": ASKED}], "output_messages": [{"message": GOOD}]}}}, {},
    ),
    "a stored completion": ({"object": "chat.completion", "created": 1764000000, "messages": [ASKED], **CHOICES},
                            {"created_at": 1764000000}),
    "a logged prompt": (
        {"prompt": BIRD, "system": "Be brief.", "response": WREN, "datetime_utc": "2026-01-01T00:00:00", "model": "m"},
        {"messages": [SYSTEM, ASKED], "created_at": "2026-01-01T00:00:00", "model": "m"},
    ),
    "a record of people's answers": (
        {"fields": {"prompt": BIRD, "response": WREN}, "responses": {"rating": [{"value": 4, "user_id": "u"}]}},
        {"feedbacks": [{"metric": "rating", "value": 4, "user": "u"}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "told"), ANSWERED.values(), ids=ANSWERED)
def test_a_line_is_imported_as_what_it_says(line: dict[str, Any], told: dict[str, Any]):
    [made] = shaped(line).interactions
    expected = {"messages": [ASKED], "completion": WREN, **told}
    parameters = expected.pop("parameters", {})
    assert made | expected == made, made
    assert made.get("parameters", {}) | parameters == made.get("parameters", {})
    assert ("feedbacks" in made) == ("feedbacks" in told)


SIDES = {
    "texts": {"prompt": BIRD, "chosen": WREN, "rejected": BAT},
    "messages": {"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]},
    "whole conversations": {"chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
    "prompt and whole conversations": {"prompt": BIRD, "chosen": [ASKED, GOOD], "rejected": [ASKED, BAD]},
    "transcripts": {"chosen": f"\n\nHuman: {BIRD}\n\nAssistant: {WREN}",
                    "rejected": f"\n\nHuman: {BIRD}\n\nAssistant: {BAT}"},
    "a transcript as the prompt": {"prompt": f"\n\nHuman: {BIRD}\n\nAssistant:", "chosen": WREN, "rejected": BAT},
    "messages that end with the better": {"prompt": BIRD, "messages": [ASKED, GOOD], "chosen": WREN, "rejected": BAT},
    "turns": {"conversations": [human(BIRD)], "chosen": gpt(WREN), "rejected": gpt(BAT)},
    "question": {"question": BIRD, "chosen": WREN, "rejected": BAT},
    "outputs": {"input": {"messages": [ASKED]}, "preferred_output": [GOOD], "non_preferred_output": [BAD]},
    "a rejected response": {"messages": [ASKED, GOOD], "rejected_response": BAT},
    "rejected messages": {"messages": [ASKED, GOOD], "rejected_messages": [ASKED, BAD]},
    "two battles": {"conversation_a": [ASKED, BAD], "conversation_b": [ASKED, GOOD], "winner": "model_b"},
    "battle flags": {"prompt": json.dumps([BIRD]), "response_a": json.dumps([WREN]), "response_b": json.dumps([BAT]),
                     "winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0},
    "a better id": {"prompt": BIRD, "response_0": BAT, "response_1": WREN, "better_response_id": 1},
    "a strength": {"prompt": BIRD, "response_1": WREN, "response_2": BAT, "preference_strength": -2},
    "an overall preference": {"context": [ASKED], "response1": BAT, "response2": WREN, "overall_preference": 1},
    "two scores": {"question": BIRD, "answer_0": BAT, "answer_1": WREN, "score_0": -1, "score_1": 1},
    "two references": {"history": BIRD, "human_ref_A": WREN, "human_ref_B": BAT, "labels": 1},
    "responses j and k": {"question": BIRD, "response_j": WREN, "response_k": BAT},
}  # fmt: skip


@pytest.mark.parametrize("line", SIDES.values(), ids=SIDES)
def test_a_comparison_says_which_answer_is_better(line: dict[str, Any]):
    made = shaped(line)
    preferred, other = made.interactions
    assert (preferred["completion"], other["completion"]) == (WREN, BAT)
    assert preferred["messages"] == other["messages"] == [ASKED]
    [preference] = made.preferences
    assert preference["preferred_completion"] == preferred["completion_id"]
    assert preference["other_completion"] == other["completion_id"]
    assert (preference["metric"], preference.get("tied")) == ("preference", None)


def test_each_side_of_a_comparison_has_its_own_model_and_score():
    line = {
        "prompt": BIRD,
        "chosen": WREN,
        "rejected": BAT,
        "chosen_model": "m1",
        "score_rejected": 2,
        "score_chosen": 8.5,
    }
    preferred, other = shaped(line).interactions
    assert (preferred["model"], preferred["feedbacks"]) == ("m1", [{"metric": "score", "value": 8.5}])
    assert other["feedbacks"] == [{"metric": "score", "value": 2}]
    assert "model" not in other


@pytest.mark.parametrize(("winner", "tied"), [("tie", "good"), ("tie (bothbad)", "bad")])
def test_a_tie_is_a_tie(winner: str, tied: str):
    line = {"conversation_a": [ASKED, GOOD], "conversation_b": [ASKED, BAD], "winner": winner, "model_b": "m"}
    made = shaped(line)
    assert made.preferences[0]["tied"] == tied
    assert made.interactions[1]["model"] == "m"


def test_several_answers_with_their_scores_are_so_many_interactions():
    completions = [{"model": "m1", "response": WREN, "overall_score": 8}, {"model": "m2", "response": BAT}]
    first, second = shaped({"instruction": BIRD, "models": ["m1", "m2"], "completions": completions}).interactions
    assert (first["model"], first["completion"], second["model"]) == ("m1", WREN, "m2")
    assert first["feedbacks"] == [{"metric": "overall_score", "value": 8}]
    assert first["completion_id"] != second["completion_id"]


REFUSED = [
    ({"custom_id": "1", "response": {"status_code": 200, "body": CHOICES}}, "without the request"),
    ({"custom_id": "1", "result": {"type": "succeeded", "message": GOOD}}, "without the request"),
    ({"custom_id": "1", "body": {"messages": [ASKED]}}, "without an answer"),
    ({"message_id": "1", "message_tree_id": "1", "text": "Hi", "role": "prompter"}, "OASST"),
    ({"text": "### Human: Hi### Assistant: Hello"}, "does not say which part is the answer"),
    ({"prompt": BIRD, "completions": ["a", "b"], "labels": [True, False]}, "several completions"),
    ({"instruction": BIRD, "output": [WREN, BAT]}, "an array of strings"),
    ({"question": BIRD, "choices": ["a", "b"], "answer": 1}, "answer that is a number"),
    ({"question": BIRD, "choices": ["a", "b"], "answer": "a"}, "has 'choices' beside"),
    ({"instruction": BIRD, "output": WREN, "baseline_output": BAT, "preference": 1.2}, "has 'baseline_output' beside"),
    ({"messages": [ASKED, GOOD], "completion": WREN, "rejected": BAT}, "has 'rejected' beside"),
    ({"prompt": BIRD, "completion": WREN, "response_b": BAT}, "has 'response_b' beside"),
    ({"chosen": WREN, "rejected": BAT}, "has no prompt"),
    ({"prompt": BIRD, "chosen": WREN, "rejected": WREN}, "are the same"),
    ({"conversation_a": [ASKED, GOOD], "conversation_b": [ASKED, BAD]}, "does not say which"),
    ({"conversations": [human(BIRD)]}, "has no messages"),
    ({"messages": [ASKED], "startTime": "x", "status": "failure", "response": {"choices": []}}, "without an answer"),
    ({"type": "SPAN", "traceId": "1", "input": "a", "output": "b"}, "is a span"),
    ({"data": [{"messages": [ASKED, GOOD]}], "next": None}, "jq -c '.data[]'"),
]


@pytest.mark.parametrize(("line", "words"), REFUSED, ids=range(len(REFUSED)))
def test_what_would_be_misread_is_refused_in_words(line: dict[str, Any], words: str):
    with pytest.raises(LineError) as refused:
        shaped(line)
    assert words in str(refused.value)


WORDS = """
prompt messages conversations instruction input output request response completion label completions scores fields
responses attributes contents role content from value parts choices message text name tools history system winner labels
score custom_id body
"""
NAMES = st.sampled_from(
    sorted({*WORDS.split(), *(one for form in COMPARISONS for one in (form.first_name, form.second_name))})
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "user", "gpt", "tie", "{", "[]", '{"a":1}'])
)
LINES = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
    ),
    max_size=6,
)


@settings(max_examples=400, deadline=None, database=None)
@given(LINES)
def test_no_line_is_more_than_refused(line: dict[str, Any]):
    with contextlib.suppress(LineError):
        shaped(line)
