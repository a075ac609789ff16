"""Stored conversations in the form of the Responses API: what a next request goes on from, and requests of the past."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from afterword.gateway.formats.responses.content import response_content
from afterword.gateway.formats.responses.input_items import INSTRUCTIONS_ID
from afterword.gateway.formats.responses.output_items import ItemIds, is_own_id, output_items
from afterword.gateway.provider import Body


def conversation_items(messages: Iterable[Body], custom_tools: Collection[str] = ()) -> list[Body]:
    """Return messages of chat as items, without the `instructions` and without ids that no provider knows."""
    items: list[Body] = []
    for message in messages:
        if message.get("id") != INSTRUCTIONS_ID:
            items += _message_items(message, custom_tools, items)
    return items


def _message_items(message: Body, custom_tools: Collection[str], earlier_items: Iterable[Body]) -> list[Body]:
    role = message.get("role")
    if role == "assistant":
        items = output_items(message, ItemIds(UUID(int=0)), custom_tools=custom_tools)
        return [without_own_id(item) for item in items]
    if role == "tool":
        call_id = message.get("tool_call_id") or ""
        kind = next((item["type"] for item in earlier_items if item.get("call_id") == call_id), "function_call")
        output = message.get("content")
        output = output if isinstance(output, str) else response_content(output, "tool")
        return [{"type": f"{kind}_output", "call_id": call_id, "output": output}]
    return [{"type": "message", "role": role, "content": response_content(message.get("content"), str(role))}]


def without_own_id(item: Body) -> Body:
    """Return an item without an id that is Afterword's own, which no provider knows."""
    return {name: value for name, value in item.items() if name != "id"} if is_own_id(item.get("id")) else item


def as_items(input_: Any) -> list[Any]:
    """Return a request's `input` as items."""
    if isinstance(input_, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": input_}]}]
    return list(input_) if isinstance(input_, list) else []


def request_of_chat(parameters: Body, messages: Iterable[Body]) -> Body:
    """Return the fields of a request that its response repeats, from those of chat."""
    request: Body = {name: value for name, value in parameters.items() if name not in _FIELDS_OF_CHAT}
    instructions = next((message for message in messages if message.get("id") == INSTRUCTIONS_ID), {})
    request["instructions"] = instructions.get("content")
    request["max_output_tokens"] = parameters.get("max_tokens")
    request["tools"] = [_response_tool(tool) for tool in parameters.get("tools") or () if isinstance(tool, dict)]
    choice = parameters.get("tool_choice")
    request["tool_choice"] = _flat(choice) if isinstance(choice, dict) else choice
    if isinstance(format_ := parameters.get("response_format"), dict):
        request["text"] = {"format": _flat(format_)}
    if verbosity := parameters.get("verbosity"):
        request["text"] = {**request.get("text", {}), "verbosity": verbosity}
    return request


_FIELDS_OF_CHAT = frozenset(
    {
        "logprobs", "max_completion_tokens", "max_tokens", "reasoning_effort", "response_format", "tool_choice",
        "tools", "verbosity",
    }
)  # fmt: skip


def _response_tool(tool: Body) -> Body:
    flat = _flat(tool)
    return {"parameters": None, "strict": None, **flat} if flat.get("type") == "function" else flat


def _flat(holder: Body) -> Body:
    """Return an object without the level that chat has under the name of its type."""
    kind = holder.get("type")
    members = holder.get(kind) if isinstance(kind, str) else None
    return {"type": kind, **members} if isinstance(members, dict) else holder
