"""Each format of datasets by the shape that its readers document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from afterword.service.studies.dataset_formats import FORMATS
from afterword.service.studies.dataset_lines import read_line

SYSTEM = {"role": "system", "content": "Be short."}
HI = {"role": "user", "content": "Weather in Oslo and Rome?"}
FUNCTION = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
TOOLS = [{"type": "function", "function": FUNCTION}]


def calling(*cities: str) -> dict[str, Any]:
    calls = [
        {"id": city, "type": "function", "function": {"name": "weather", "arguments": json.dumps({"city": city})}}
        for city in cities
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


RESULTS = [{"role": "tool", "tool_call_id": city, "content": text} for city, text in (("Oslo", "4"), ("Rome", "19"))]
AGENT = [SYSTEM, HI, calling("Oslo", "Rome"), *RESULTS]
TEXT = {"role": "assistant", "content": "4 and 19."}
TRL_AGENT = [SYSTEM, HI, {**calling("Oslo", "Rome"), "content": ""}, *RESULTS]
TRL_CALL = {**calling("Rome"), "content": ""}
TURNS = [
    {"from": "human", "value": HI["content"]},
    {
        "from": "function_call",
        "value": '[{"name":"weather","arguments":{"city":"Oslo"}},{"name":"weather","arguments":{"city":"Rome"}}]',
    },
    {"from": "observation", "value": '["4","19"]'},
]
CALL_TURN = {"from": "function_call", "value": '{"name":"weather","arguments":{"city":"Rome"}}'}
TEXT_TURN = {"from": "gpt", "value": "4 and 19."}
ORIGIN = {"metadata": {"completion_id": "c"}}
SHAREGPT = {"system": "Be short.", "tools": json.dumps([FUNCTION], separators=(",", ":"))}
TRL_TOOLS = {"tools": json.dumps(TOOLS, separators=(",", ":"))}

LINES: dict[str, dict[str, Any]] = {
    "prompt": {},
    "completion": {"completion": "4 and 19."},
    "call": {"completion": {**calling("Rome"), "reasoning_content": "Rome is missing."}},
    "thumbs": {"completion": "4 and 19.", "feedbacks": {"good": False, "stars": 2}},
    "preference": {"preferred_completion": "4 and 19.", "other_completion": calling("Rome"), "feedback_key": "k"},
}
ROWS: dict[tuple[str, str], dict[str, Any]] = {
    ("openai", "prompt"): {"messages": AGENT, "tools": TOOLS},
    ("openai", "completion"): {"messages": [*AGENT, TEXT], "tools": TOOLS},
    ("openai", "call"): {"messages": [*AGENT, calling("Rome")], "tools": TOOLS},
    ("openai", "thumbs"): {"messages": [*AGENT, TEXT], "tools": TOOLS},
    ("openai", "preference"): {
        "input": {"messages": AGENT, "tools": TOOLS},
        "preferred_output": [TEXT],
        "non_preferred_output": [calling("Rome")],
    },
    ("trl", "prompt"): {"prompt": TRL_AGENT, **TRL_TOOLS},
    ("trl", "completion"): {"messages": [*TRL_AGENT, TEXT], **TRL_TOOLS},
    ("trl", "call"): {
        "messages": [*TRL_AGENT, {**TRL_CALL, "reasoning_content": "Rome is missing."}],
        **TRL_TOOLS,
    },
    ("trl", "thumbs"): {"prompt": TRL_AGENT, "completion": [TEXT], "label": False, **TRL_TOOLS},
    ("trl", "preference"): {"prompt": TRL_AGENT, "chosen": [TEXT], "rejected": [TRL_CALL], **TRL_TOOLS},
    ("sharegpt", "prompt"): {"conversations": TURNS, **SHAREGPT},
    ("sharegpt", "completion"): {"conversations": [*TURNS, TEXT_TURN], **SHAREGPT},
    ("sharegpt", "call"): {"conversations": [*TURNS, CALL_TURN], **SHAREGPT},
    ("sharegpt", "thumbs"): {"conversations": [*TURNS, TEXT_TURN], "kto_tag": False, **SHAREGPT},
    ("sharegpt", "preference"): {"conversations": TURNS, "chosen": TEXT_TURN, "rejected": CALL_TURN, **SHAREGPT},
}


@pytest.mark.parametrize(("form", "line"), ROWS)
def test_each_format_has_the_shape_its_readers_document(form: Any, line: str):
    raw = json.dumps({"messages": AGENT, "tools": TOOLS, **LINES[line], **ORIGIN}).encode()
    assert FORMATS[form](read_line(raw)) == [{**ROWS[form, line], **ORIGIN}]


def test_images_are_parts_as_each_format_names_them():
    image = {"type": "image", "url": "data:image/png;base64,AA=="}
    line = read_line(json.dumps({"messages": [{"role": "user", "content": [image]}]}).encode())
    [openai], [trl] = FORMATS["openai"](line), FORMATS["trl"](line)
    assert openai["messages"][0]["content"] == [{"type": "image_url", "image_url": {"url": image["url"]}}]
    assert trl["prompt"][0]["content"] == [image]
