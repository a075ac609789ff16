"""What the lines of files become on the wire."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any
from uuid import UUID

import pytest

from afterword.cli.import_lines import ImportLine, LineError, Options, Shaper
from afterword.cli.occurrences import Occurrences
from afterword.ids import id_of_text
from afterword.types import Call, Interaction, NewCall, NewInteraction

HI = [{"role": "user", "content": "Hi"}]
PIXEL = "data:image/png;base64,iVBORw0KGgo="
ONE, TWO = "0192d3a4-5b6c-7d8e-9f00-000000000001", "0192d3a4-5b6c-7d8e-9f00-000000000002"


def shaped(said: Any, **options: Any) -> ImportLine:
    return Shaper(Options(**options)).line_of(json.dumps(said).encode())


def interaction(said: Any, **options: Any) -> dict[str, Any]:
    line = shaped(said, **options)
    assert (len(line.interactions), line.feedback, line.preferences) == (1, [], [])
    made = dict(line.interactions[0])
    assert UUID(made.pop("completion_id"))
    return made


# ------------------------------------------------------------------------------------------------ prompts


@pytest.mark.parametrize(
    "prompt",
    [
        {"messages": HI},
        {"input": HI},
        {"input": "Hi"},
        {"prompt": "Hi"},
        {"prompt": [["user", "Hi"]]},
        {"messages": [["user", "Hi"]]},
        {"messages": HI, "input": None},
    ],
)
@pytest.mark.parametrize("completion", ["Hello!", ["assistant", "Hello!"], {"role": "assistant", "content": "Hello!"}])
def test_every_form_of_prompt_and_completion_comes_to_the_same(prompt: dict[str, Any], completion: Any):
    assert interaction({**prompt, "completion": completion}) == {"messages": HI, "completion": "Hello!"}


def test_messages_are_kept_as_they_are():
    messages = [
        {"role": "system", "content": "Be brief.", "name": "setup"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "4"},
    ]
    assert interaction({"messages": messages, "completion": "Four."})["messages"] == messages


def test_the_images_of_datasets_become_image_parts():
    content = [{"type": "text", "text": "What is it?"}, {"type": "image", "url": PIXEL, "detail": "low"}]
    made = interaction({"messages": [{"role": "user", "content": content}], "completion": "A dot."})
    assert made["messages"][0]["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": PIXEL, "detail": "low"},
    ]


def test_a_fine_tuning_line_ends_with_its_completion():
    answer = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]}
    tools = [{"type": "function", "function": {"name": "weather"}}]
    made = interaction({"messages": [*HI, answer], "tools": tools, "parallel_tool_calls": False})
    assert made == {
        "messages": HI,
        "completion": answer,
        "parameters": {"tools": tools, "parallel_tool_calls": False},
    }
    assert interaction({"messages": [*HI, {"role": "assistant", "content": "Hello!"}]}) == {
        "messages": HI,
        "completion": "Hello!",
    }


def test_a_weight_of_a_fine_tuning_message_is_not_lost():
    answer = {"role": "assistant", "content": "Hello!", "weight": 0}
    assert interaction({"messages": [*HI, answer]})["completion"] == answer


def test_a_completion_given_as_such_leaves_all_messages_in_place():
    messages = [*HI, {"role": "assistant", "content": "Hel"}]
    assert interaction({"messages": messages, "completion": "lo!"})["messages"] == messages


# ------------------------------------------------------------------------------------------------ what goes with them


def test_feedbacks_are_an_object_or_a_list():
    expected = [{"metric": "CSAT", "value": 5}, {"metric": "ok", "value": True}]
    line = {"messages": HI, "completion": "Hello!"}
    assert interaction({**line, "feedbacks": {"CSAT": 5, "ok": True, "none": None}})["feedbacks"] == expected
    told = [{"feedback_key": "CSAT", "value": 5}, {"metric": "ok", "value": True}]
    assert interaction({**line, "feedbacks": told})["feedbacks"] == expected


def test_labels_are_an_object_or_a_list_and_numbers_become_texts():
    expected = {"lang": "en", "version": "2", "beta": "true", "ratio": "0.5"}
    line = {"messages": HI, "completion": "Hello!"}
    given = {"lang": "en", "version": 2, "beta": True, "ratio": 0.5, "none": None}
    assert interaction({**line, "labels": given})["labels"] == expected
    pairs = [{"key": key, "value": value} for key, value in given.items()]
    assert interaction({**line, "labels": pairs})["labels"] == expected


def test_a_lines_own_labels_and_model_win_over_those_of_the_command():
    line = {"messages": HI, "completion": "Hello!", "labels": {"lang": "en"}, "model": "own"}
    made = interaction(line, labels={"lang": "?", "set": "v1"}, model="default")
    assert (made["labels"], made["model"]) == ({"lang": "en", "set": "v1"}, "own")
    del line["labels"], line["model"]
    made = interaction(line, labels={"set": "v1"}, model="default")
    assert (made["labels"], made["model"]) == ({"set": "v1"}, "default")


def test_metadata_becomes_labels_where_it_can_and_the_rest_is_kept():
    metadata = {"lang": "en", "turn": 3, "answer": {"gold": "42"}, "long": "x" * 2000, "": "no key", "nul": "a\0b"}
    made = interaction({"messages": HI, "completion": "Hello!", "metadata": metadata, "labels": {"own": "1"}})
    assert made["labels"] == {"lang": "en", "turn": "3", "own": "1"}
    assert made["parameters"] == {"metadata": {name: metadata[name] for name in ("answer", "long", "", "nul")}}


def test_metadata_that_a_label_contradicts_is_kept_beside_it():
    line = {"messages": HI, "completion": "Hello!", "metadata": {"lang": "fr"}, "labels": {"lang": "en"}}
    made = interaction(line)
    assert (made["labels"], made["parameters"]) == ({"lang": "en"}, {"metadata": {"lang": "fr"}})


def test_metadata_beyond_the_limit_of_labels_is_kept():
    metadata = {f"key{number}": "x" for number in range(100)}
    made = interaction({"messages": HI, "completion": "Hello!", "metadata": metadata})
    assert len(made["labels"]) == 64
    assert made["labels"] | made["parameters"]["metadata"] == metadata


def test_what_has_no_place_of_its_own_is_kept_under_parameters():
    line = {"messages": HI, "completion": "Hello!", "id": 7, "source": {"file": "a"}, "parameters": {"top_p": 0.5}}
    assert interaction(line)["parameters"] == {"top_p": 0.5, "unmapped": {"id": 7, "source": {"file": "a"}}}


def test_old_names_become_todays():
    made = interaction({"messages": HI, "completion": "Hello!", "user_id": "u", "use_case": "p", "model_service": "m"})
    assert (made["user"], made["project"], made["model"]) == ("u", "p", "m")


def test_the_commands_project_wins_over_the_lines():
    line = {"messages": HI, "completion": "Hello!", "project": "own"}
    assert interaction(line)["project"] == "own"
    assert "project" not in interaction(line, project="here")


# ------------------------------------------------------------------------------------------------ other lines


def test_a_preference_between_texts_is_two_interactions_and_a_preference():
    line = shaped(
        {
            "messages": HI,
            "preferred_completion": "Hello!",
            "other_completion": {"text": "Hm.", "model": "m2"},
            "feedback_key": "acceptance",
            "labels": {"set": "v1"},
            "created_at": "2026-01-02",
            "details": "warmer",
        },
        model="m1",
    )
    preferred, other = line.interactions
    assert (preferred["completion"], preferred["model"]) == ("Hello!", "m1")
    assert (other["completion"], other["model"]) == ("Hm.", "m2")
    for one in line.interactions:
        assert (one["messages"], one["labels"], one["created_at"]) == (HI, {"set": "v1"}, "2026-01-02")
        assert "parameters" not in one
    [made] = line.preferences
    assert UUID(made.pop("comparison_id"))
    assert made == {
        "metric": "acceptance",
        "preferred_completion": preferred["completion_id"],
        "other_completion": other["completion_id"],
        "details": "warmer",
        "created_at": "2026-01-02",
    }
    assert preferred["completion_id"] != other["completion_id"]


def test_a_preference_between_ids_is_just_that():
    line = shaped({"preferred_completion": ONE, "other_completion": TWO, "metric": "acceptance", "tied": "bad"})
    [made] = line.preferences
    assert line.interactions == []
    assert (made["preferred_completion"], made["other_completion"], made["tied"]) == (ONE, TWO, "bad")


def test_feedback_names_its_completion():
    [made] = shaped({"completion_id": ONE, "feedback_key": "CSAT", "value": 4, "details": "good"}).feedback
    assert UUID(made.pop("feedback_id"))
    assert made == {"completion_id": ONE, "metric": "CSAT", "value": 4, "details": "good"}


def test_a_metric_is_registered_as_it_was_listed():
    listed = {"key": "ok", "kind": "bool", "scoring_type": "higher_is_better", "id": ONE, "unit": "", "project": "p"}
    assert shaped(listed, project="q").metrics == [
        {"key": "ok", "kind": "bool", "scoring_type": "higher_is_better", "unit": ""}
    ]


EXPORTED = {
    "completion_id": ONE, "project": "p", "model": "m", "source": "OFFLINE", "prompt": "Hi", "messages": HI,
    "completion": "Hello!", "message": None, "labels": {"lang": "en"}, "session_id": ONE, "user": None,
    "created_at": "2026-01-02T03:04:05.678Z", "prompt_hash": "00", "size": 60, "usage": {"total": 3}, "timings": None,
    "parameters": None,
    "feedback": [{"feedback_id": TWO, "completion_id": ONE, "metric": "CSAT", "value": 4.0, "details": None,
                  "reason": None, "user": "u", "actor": "administrator", "created_at": "2026-01-02T03:04:05.678Z"}],
    "preferences": [{"comparison_id": TWO, "metric": "best", "preferred_completion": ONE, "other_completion": TWO,
                     "tied": None, "prompt_mismatch": False, "details": None, "user": None, "actor": "administrator",
                     "created_at": "2026-01-02T03:04:05.678Z"}],
}  # fmt: skip


def test_an_exported_interaction_comes_back_with_its_ids():
    line = shaped(EXPORTED)
    assert line.exported
    assert line.interactions == [
        {
            "completion_id": ONE, "project": "p", "model": "m", "messages": HI, "completion": "Hello!",
            "labels": {"lang": "en"}, "created_at": "2026-01-02T03:04:05.678Z", "usage": {"total": 3},
            "source": "OFFLINE",
        }
    ]  # fmt: skip
    assert line.feedback == [
        {
            "feedback_id": TWO, "completion_id": ONE, "metric": "CSAT", "value": 4.0, "user": "u",
            "created_at": "2026-01-02T03:04:05.678Z",
        }
    ]  # fmt: skip
    assert line.preferences == [
        {
            "comparison_id": TWO, "metric": "best", "preferred_completion": ONE, "other_completion": TWO,
            "created_at": "2026-01-02T03:04:05.678Z",
        }
    ]  # fmt: skip


def test_new_ids_keep_what_belongs_together_together():
    line = shaped({**EXPORTED, "session_id": TWO}, new_ids=True, project="copy")
    its_id = line.interactions[0]["completion_id"]
    assert its_id != ONE
    assert line.feedback[0]["completion_id"] == line.preferences[0]["preferred_completion"] == its_id
    again = shaped({"completion_id": ONE, "metric": "CSAT", "value": 1}, new_ids=True, project="copy", model="m")
    assert again.feedback[0]["completion_id"] == its_id
    assert shaped(EXPORTED, new_ids=True, project="other").interactions[0]["completion_id"] != its_id


# ------------------------------------------------------------------------------------------------ ids


def ids(lines: list[dict[str, Any]], **options: Any) -> list[str]:
    shaper = Shaper(Options(**options))
    return [shaper.line_of(json.dumps(line).encode()).interactions[0]["completion_id"] for line in lines]


def test_the_same_lines_have_the_same_ids_every_time_and_in_any_order():
    lines = [{"messages": HI, "completion": f"Hello {number % 3}"} for number in range(7)]
    assert len(set(ids(lines))) == 7
    assert ids(lines) == ids(lines)
    assert set(ids(lines[::-1])) == set(ids(lines))
    assert set(ids(lines[:4])) < set(ids(lines))


def test_other_options_make_other_ids():
    line = [{"messages": HI, "completion": "Hello!"}]
    kinds = [{}, {"project": "p"}, {"model": "m"}, {"labels": {"a": "b"}}]
    assert len({ids(line, **options)[0] for options in kinds}) == len(kinds)


def test_space_around_a_line_changes_no_id():
    line = b'{"messages": [["user", "Hi"]], "completion": "Hello!"}'
    told = [Shaper(Options()).line_of(text).interactions for text in (line, b" " + line + b"\r\n")]
    assert told[0] == told[1]


def test_occurrences_are_counted_over_many_things():
    counted = Occurrences(initial_capacity=64)
    digests = [blake2b(number.to_bytes(2, "big"), digest_size=16).digest() for number in range(5000)]
    repeated = sum(counted.add(digest) != 0 for digest in digests)
    assert repeated <= 5
    assert all(counted.add(digest) for digest in digests)
    assert counted.add(digests[0]) in (2, 3)


# ------------------------------------------------------------------------------------------------ bad lines


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "is not JSON"),
        (b'{"messages": "\xff"}', "is not UTF-8: byte 15 is 0xff"),
        (b'{"a":' * 100_000, "is nested too deeply"),
        (b"[1]", "is an array"),
        (b"5", "is a number"),
        (b'{"messages": [{"role": "user", "content": "Hi"}]}', "has no completion"),
        (b'{"messages": [{"role": "user", "content": "Hi"}], "completion": null}', "has no completion"),
        (b'{"completion": "Hello!"}', "has no messages"),
        (b'{"messages": {"a": 1}, "completion": "x"}', "messages that are an object"),
        (b'{"messages": ["user", "Hi"], "completion": "x"}', "messages[0] that is a string"),
        (b'{"prompt": "Hi", "completion": 5}', "completion that is a number"),
        (b'{"prompt": "Hi", "completion": "x", "labels": {"a": {"b": 1}}}', "the label 'a' with an object"),
        (b'{"prompt": "Hi", "completion": "x", "labels": "a"}', "labels that are a string"),
        (b'{"prompt": "Hi", "completion": "x", "labels": [1]}', "neither an object nor an array of"),
        (b'{"prompt": "Hi", "completion": "x", "labels": [["a", "b"], ["a", "c"]]}', "the label 'a' twice"),
        (b'{"prompt": "Hi", "completion": "x", "feedbacks": 5}', "feedbacks that are a number"),
        (b'{"prompt": "Hi", "completion": "x", "parameters": 5}', "parameters that are a number"),
        (b'{"prompt": "Hi", "preferred_completion": "x", "feedback_key": "k"}', "has no other_completion"),
        (b'{"prompt": "Hi", "preferred_completion": "x", "other_completion": "y"}', "has no feedback_key"),
        (b'{"preferred_completion": "A text.", "other_completion": "y", "metric": "k"}', "which is no completion_id"),
        (b'{"completion_id": "x", "value": 5}', "has no feedback_key"),
        (b'{"completion_id": "x", "value": 5, "metric": "k", "colour": 1}', "unknown member 'colour'"),
        (b'{"completion_id": "x", "prompt_hash": "0", "messages": null}', "short view"),
    ],
)
def test_a_bad_line_says_what_is_wrong(line: bytes, words: str):
    with pytest.raises(LineError) as refused:
        Shaper(Options()).line_of(line)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 300


# ------------------------------------------------------------------------------------------------ exports

LINE = {"messages": HI, "completion": "Hello!"}


def test_an_id_of_another_system_stands_for_the_same_everywhere():
    line = shaped({**LINE, "completion_id": "chatcmpl-1"}, project="p")
    [made] = line.interactions
    assert made["completion_id"] == str(id_of_text("p", "chatcmpl-1"))
    assert made["parameters"] == {"completion_id": "chatcmpl-1"}
    rated = shaped({"completion_id": "chatcmpl-1", "metric": "CSAT", "value": 4}, project="p")
    assert rated.feedback[0]["completion_id"] == made["completion_id"]
    sides = {"preferred_completion": "chatcmpl-1", "other_completion": ONE, "metric": "best"}
    assert shaped(sides, project="p").preferences[0]["preferred_completion"] == made["completion_id"]
    new = [
        shaped({**one, "completion_id": "chatcmpl-1"}, project="p", new_ids=True)
        for one in (LINE, {"metric": "k", "value": 1})
    ]
    assert new[0].interactions[0]["completion_id"] == new[1].feedback[0]["completion_id"] != made["completion_id"]
    with pytest.raises(LineError, match="1 to 200 characters"):
        shaped({**LINE, "completion_id": "x" * 201})


def test_every_field_of_an_export_is_taken_back_or_derived():
    derived = {"prompt", "prompt_hash", "size", "feedback", "preferences", "message", "image_urls", "expired"}
    derived |= {"outcomes", "session"}
    logged = set(NewInteraction.__struct_fields__)
    assert set(Interaction.__struct_fields__) - logged == derived
    assert set(Call.__struct_fields__) == set(NewCall.__struct_fields__)
