"""What of a turn is new against the turn before."""

from __future__ import annotations

from typing import Any

import pytest

from afterword.service.interactions.sessions import new_messages_of

SYSTEM, CLOCK = {"role": "system", "content": "Be kind. 9:00"}, {"role": "system", "content": "Be kind. 9:01"}
ASK, MORE, YES = ({"role": "user", "content": text} for text in ("Why?", "More.", "yes"))
ANSWER, THEN = {"role": "assistant", "content": "So."}, {"role": "assistant", "content": "Then."}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "7"}

CASES = {
    "the whole conversation again": ([SYSTEM, ASK, ANSWER, MORE], [SYSTEM, ASK, ANSWER], [MORE]),
    "only the new message": ([MORE], [SYSTEM, ASK, ANSWER], [MORE]),
    "another system prompt": ([CLOCK, ASK, ANSWER, MORE], [SYSTEM, ASK, ANSWER], [CLOCK, MORE]),
    "the last messages alone": ([SYSTEM, MORE, THEN, YES], [SYSTEM, ASK, ANSWER, MORE, THEN], [YES]),
    "the same words again": ([YES, ANSWER, YES], [YES, ANSWER], [YES]),
    "another answer to the same": ([SYSTEM, ASK], [SYSTEM, ASK, ANSWER], []),
    "another conversation": ([SYSTEM, MORE], [ASK, ANSWER], [SYSTEM, MORE]),
    "the result of a tool": ([ASK, CALLED, RESULT], [ASK, {**CALLED, "refusal": None, "annotations": []}], [RESULT]),
    "an edited answer": ([ASK, THEN, MORE], [ASK, ANSWER], [THEN, MORE]),
    "a text as a list of parts": (
        [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}, {**ANSWER, "content": "So.\n"}, MORE],
        [ASK, ANSWER],
        [MORE],
    ),
    "an image beside the same text": (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/b.png"}}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_turn_shows_only_what_the_turn_before_had_not(name: str):
    messages, conversation, expected = CASES[name]
    assert new_messages_of(messages, conversation) == expected


def test_a_long_conversation_is_compared_in_one_pass():
    conversation: list[dict[str, Any]] = [{"role": "user", "content": str(number)} for number in range(20_000)]
    assert new_messages_of([*conversation, ASK], conversation) == [ASK]
