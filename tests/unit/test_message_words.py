"""A message in words: the same rule as the page's, which web/src/rules/words.test.ts holds to the same table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from afterword.message_words import message_words
from afterword.store.payloads import Payload, searchable_texts

CASES = json.loads((Path(__file__).parent.parent / "message_words.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["words"].replace("\n", " / ")[:60] for case in CASES])
def test_message_is_said_in_words(case: dict[str, Any]):
    assert message_words(case["message"]) == case["words"]


def test_searchable_texts_keep_reasoning_apart():
    call = {"function": {"name": "weather", "arguments": '{"note": "line\\nbreak caf\\u00e9"}'}}
    messages = [
        {
            "role": "user",
            "content": [{"type": "file", "file": {"filename": "menu.pdf"}}, {"type": "image", "url": "x"}],
        },
        {"role": "assistant", "content": None, "reasoning_content": "ponder", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "sunny"},
    ]
    answer = {"role": "assistant", "content": "<think>mull</think>warm", "audio": {"transcript": "spoken"}}
    texts = searchable_texts(Payload(messages=messages, completion="<think>mull</think>warm", message=answer))
    assert texts.indexed() == (
        'menu.pdf\n\nweather(note: "line\nbreak café")\n\nsunny',
        "warm\n\nspoken",
        "ponder\n\nmull",
        "",
    )


def test_deep_and_broken_arguments_are_said_too():
    def call(arguments: str) -> dict[str, Any]:
        return {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}

    assert message_words(call("[" * 3000 + "]" * 3000)).startswith('f("[[')
    assert message_words(call("[" * 60 + "]" * 60)).count("…") == 1
    assert message_words(call('{"a": ')) == 'f("{"a": ")'
