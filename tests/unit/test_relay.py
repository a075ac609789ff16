"""What a stream said is put together as the whole answer would have had it."""

from __future__ import annotations

from typing import Any

from afterword.gateway.relay import Said


def said(*deltas: dict[str, Any], finish_reason: str | None = "stop") -> Said:
    """Take in the deltas of one choice, and then its end."""
    one = Said()
    for delta in deltas:
        one.take({"index": 0, "delta": delta})
    one.take({"index": 0, "delta": {}, "finish_reason": finish_reason})
    return one


def test_a_text_is_the_sum_of_its_pieces_and_needs_no_message():
    one = said({"role": "assistant", "content": ""}, {"content": "Good "}, {"content": "day"})
    assert one.text == "Good day"
    assert one.message() is None
    assert one.finish_reason == "stop"


def test_tool_calls_are_put_together_by_their_index_each_with_its_arguments():
    one = said(
        {"role": "assistant", "content": None},
        {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "add", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "mul", "arguments": "{"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}, {"index": 1, "function": {"arguments": "}"}}]},
        finish_reason="tool_calls",
    )
    assert one.message() == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "add", "arguments": '{"x":1}'}},
            {"id": "b", "type": "function", "function": {"name": "mul", "arguments": "{}"}},
        ],
    }
    assert one.text == ""


def test_reasoning_and_refusals_are_kept_beside_the_text():
    one = said({"reasoning_content": "Let me "}, {"reasoning_content": "see."}, {"content": "4"}, {"refusal": None})
    assert one.message() == {"role": "assistant", "reasoning_content": "Let me see.", "content": "4"}


def test_members_that_nobody_knows_are_kept_the_last_one_counts():
    one = said(
        {"content": "x", "mood": "calm"}, {"mood": "merry", "sources": [{"url": "a"}]}, {"sources": [{"url": "b"}]}
    )
    assert one.message() == {
        "role": "assistant",
        "content": "x",
        "mood": "merry",
        "sources": [{"url": "a"}, {"url": "b"}],
    }


def test_an_old_completion_has_its_text_on_the_choice():
    one = Said()
    assert one.take({"index": 0, "text": "once "})
    assert one.take({"index": 0, "text": "more", "finish_reason": "length"})
    assert one.text == "once more"
    assert one.finish_reason == "length"


def test_only_what_the_model_says_counts_as_its_first_word():
    one = Said()
    assert not one.take({"index": 0, "delta": {"role": "assistant", "content": ""}})
    assert not one.take({"index": 0, "delta": {"role": "assistant", "content": None}})
    assert one.take({"index": 0, "delta": {"content": "Hi"}})
