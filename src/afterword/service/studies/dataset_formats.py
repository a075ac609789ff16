"""The formats in which datasets are downloaded: a table with one function for each, which returns the rows of a line.

Sources: OpenAI's guides to supervised fine-tuning and to direct preference optimization; TRL's page of dataset formats;
the data/README.md of LLaMA-Factory for ShareGPT with tool calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from afterword.service.studies.dataset_lines import DatasetLine
from afterword.types import DatasetForm

Row = dict[str, Any]

OPENAI_MESSAGE_FIELDS = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "weight"}
)
"""Members of a message that OpenAI's fine-tuning accepts; it refuses a file with others."""

SHAREGPT_SPEAKERS = {"user": "human", "assistant": "gpt", "tool": "observation", "function": "observation"}
SYSTEM_ROLES = ("system", "developer")


def recipe_rows(line: DatasetLine) -> list[Row]:
    """Return a line in its normal shape."""
    return [line.normalized_line]


def openai_rows(line: DatasetLine) -> list[Row]:
    """Return a line for OpenAI's fine-tuning: a chat, or the input of a preference with both outputs."""
    fields = line.normalized_line
    prompt: Row = {"messages": _openai_messages(fields["messages"])}
    prompt |= {name: fields[name] for name in ("tools", "parallel_tool_calls", "functions") if name in fields}
    if line.kind == "preference":
        row: Row = {
            "input": prompt,
            "preferred_output": _openai_messages(answer_messages(fields["preferred_completion"])),
            "non_preferred_output": _openai_messages(answer_messages(fields["other_completion"])),
        }
    else:
        row = prompt
        if "completion" in fields:
            row["messages"] += _openai_messages(answer_messages(fields["completion"]))
    return [row | _provenance(fields)]


def trl_rows(line: DatasetLine) -> list[Row]:
    """Return a line for TRL's trainers: conversations; prompts; pairs; or a row for each thumb, as KTO takes them.

    `tools` is JSON in a string, which TRL decodes. As objects, the schemas of different tools would be merged into one
    Arrow type by `datasets`, with nulls for what a tool does not have. The arguments of calls stay strings for the same
    reason.
    """
    fields = line.normalized_line
    prompt = _text_messages(fields["messages"])
    shared: Row = _provenance(fields)
    if "tools" in fields:
        shared["tools"] = _json(fields["tools"])
    if line.kind == "preference":
        sides = {name: _text_messages(answer_messages(fields[f"{side}_completion"])) for name, side in _TRL_SIDES}
        return [{"prompt": prompt, **sides, **shared}]
    if line.kind == "prompt":
        return [{"prompt": prompt, **shared}]
    answer = _text_messages(answer_messages(fields["completion"]))
    thumbs = [value for value in line.values.values() if isinstance(value, bool)]
    if thumbs:
        return [{"prompt": prompt, "completion": answer, "label": thumb, **shared} for thumb in thumbs]
    return [{"messages": prompt + answer, **shared}]


_TRL_SIDES = (("chosen", "preferred"), ("rejected", "other"))


def sharegpt_rows(line: DatasetLine) -> list[Row]:
    """Return a line as ShareGPT's readers take it, with a row for each thumb.

    System messages become `system`; a call of tools is a turn `function_call` with JSON, and the results that follow it
    are one `observation`, because readers require that both sides alternate.
    """
    fields = line.normalized_line
    conversation = _sharegpt_turns(fields["messages"])
    shared: Row = _provenance(fields)
    system = [_text(message) for message in fields["messages"] if message["role"] in SYSTEM_ROLES]
    if system:
        shared["system"] = "\n\n".join(system)
    if "tools" in fields:
        shared["tools"] = _json([tool.get("function", tool) for tool in fields["tools"]])
    if line.kind == "preference":
        sides = {name: _sharegpt_turns(answer_messages(fields[f"{side}_completion"]))[-1] for name, side in _TRL_SIDES}
        return [{"conversations": conversation, **sides, **shared}]
    if "completion" in fields:
        conversation += _sharegpt_turns(answer_messages(fields["completion"]))
    thumbs = [{"kto_tag": value} for value in line.values.values() if isinstance(value, bool)]
    return [{"conversations": conversation, **thumb, **shared} for thumb in thumbs or [{}]]


FORMATS: dict[DatasetForm, Callable[[DatasetLine], list[Row]]] = {
    "recipe": recipe_rows,
    "openai": openai_rows,
    "trl": trl_rows,
    "sharegpt": sharegpt_rows,
}
"""All formats but `original`, which is the bytes of the file."""


def _provenance(fields: Row) -> Row:
    return {"metadata": fields["metadata"]} if "metadata" in fields else {}


def answer_messages(answer: str | Row | list[Row]) -> list[Row]:
    """Return an answer in any of its normal shapes as messages."""
    if isinstance(answer, str):
        return [{"role": "assistant", "content": answer}]
    return answer if isinstance(answer, list) else [answer]


def _openai_messages(messages: list[Row]) -> list[Row]:
    return [
        {name: value for name, value in message.items() if name in OPENAI_MESSAGE_FIELDS}
        | {"content": _openai_content(message.get("content"))}
        for message in messages
    ]


def _openai_content(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    return [
        {"type": "image_url", "image_url": {"url": part.get("url")}}
        if isinstance(part, dict) and part.get("type") == "image"
        else part
        for part in content
    ]


def _text_messages(messages: list[Row]) -> list[Row]:
    """Return messages whose content is a text where all its parts are texts: a column has one type."""
    return [message | {"content": _joined_text(message.get("content"))} for message in messages]


def _joined_text(content: Any) -> Any:
    if content is None:
        return ""
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "".join(str(part.get("text", "")) for part in content)
    return content


def _text(message: Row) -> str:
    text = _joined_text(message.get("content")) or message.get("refusal") or ""
    return text if isinstance(text, str) else _json(text)


def _sharegpt_turns(messages: list[Row]) -> list[Row]:
    turns: list[Row] = []
    observations: list[str] = []
    for message in messages:
        role = message["role"]
        if role in SYSTEM_ROLES:
            continue
        if role in ("tool", "function"):
            observations.append(_text(message))
            value = observations[0] if len(observations) == 1 else _json(observations)
            if len(observations) > 1:
                turns.pop()
            turns.append({"from": "observation", "value": value})
            continue
        observations = []
        if calls := _calls(message):
            turns.append({"from": "function_call", "value": _json(calls[0] if len(calls) == 1 else calls)})
        else:
            turns.append({"from": SHAREGPT_SPEAKERS.get(role, role), "value": _text(message)})
    return turns


def _calls(message: Row) -> list[Row]:
    """Return the calls of tools in a message as {name, arguments}; arguments that are JSON become values."""
    calls = [call.get("function", call) for call in message.get("tool_calls") or [] if isinstance(call, dict)]
    if isinstance(message.get("function_call"), dict):
        calls.append(message["function_call"])
    return [{"name": call.get("name"), "arguments": _arguments(call.get("arguments"))} for call in calls]


def _arguments(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return msgspec.json.decode(arguments or "{}")
    except msgspec.DecodeError:
        return arguments


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
