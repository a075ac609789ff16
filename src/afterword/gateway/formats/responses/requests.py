"""Requests of the Responses API in the form of chat.

What chat has no word for stays under its own name for the log, and is left out for providers of chat.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from afterword.errors import BadRequest, Invalid
from afterword.gateway.call_format import ChatProviderRequest
from afterword.gateway.formats.responses.conversations import without_own_id
from afterword.gateway.formats.responses.input_items import RESPONSE_ITEMS, chat_messages
from afterword.gateway.formats.responses.output_items import is_own_id
from afterword.gateway.formats.responses.sealing import is_sealed
from afterword.gateway.provider import Body

LOG_FIELDS = frozenset(
    {
        "access_programs", "background", "client_metadata", "context_management", "conversation", "include",
        "max_tool_calls", "moderation", "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options",
        "prompt_cache_retention", "reasoning", "safety_identifier", "truncation",
    }
)  # fmt: skip
"""The fields that providers of chat do not know, and that are left out for them."""
_LOST_FIELDS = LOG_FIELDS - {
    "background", "client_metadata", "conversation", "include", "previous_response_id", "reasoning",
    "safety_identifier", "truncation",
}  # fmt: skip
"""Those of them whose meaning is lost with them."""
# Fields whose word in chat is another, or that only tell how the answer is sent.
_TRANSLATED_FIELDS = frozenset(
    {"input", "instructions", "max_output_tokens", "stream_options", "text", "tool_choice", "tools"}
)
_TOOL_FIELDS = frozenset({"parallel_tool_calls", "tool_choice"})
"""Fields that providers of chat refuse in a request without tools."""
_FUNCTION_MEMBERS = ("name", "description", "parameters", "strict")
_CUSTOM_TOOL_PARAMETERS: Body = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Items that mean something to the provider alone that made them.
_FOREIGN_ITEMS = frozenset({"compaction", "item_reference", "mcp_approval_request", "mcp_approval_response"})


def chat_request(body: Body) -> Body:
    """Return a request in the form of chat; see `CallFormat.chat_request`. Raises `Invalid`."""
    _check_form(body)
    request = {name: value for name, value in body.items() if value is not None and name not in _TRANSLATED_FIELDS}
    request["messages"] = chat_messages(body.get("instructions"), body.get("input"))
    if tools := [_chat_tool(tool) for tool in _objects(body.get("tools"))]:
        request["tools"] = tools
        if (choice := body.get("tool_choice")) is not None:
            request["tool_choice"] = _chat_tool_choice(choice)
    else:
        request = {name: value for name, value in request.items() if name not in _TOOL_FIELDS}
    _translate_text(request, body.get("text"))
    if isinstance(effort := _member(body.get("reasoning"), "effort"), str):
        request["reasoning_effort"] = effort
    if (limit := body.get("max_output_tokens")) is not None:
        # Not max_completion_tokens: Ollama and DeepSeek ignore it, and Mistral refuses it.
        request["max_tokens"] = limit
    if body.get("top_logprobs") is not None or "message.output_text.logprobs" in (body.get("include") or ()):
        request["logprobs"] = True
    if "user" not in request and isinstance(identifier := body.get("safety_identifier"), str):
        request["user"] = identifier
    if session := session_of_request(body):
        request["session_id"] = session
    return request


def _check_form(body: Body) -> None:
    """Raise `Invalid` for a request without a readable `input`, or one that Afterword does not serve."""
    if body.get("background"):
        raise Invalid(
            "background is true, but Afterword does not run calls in the background.",
            code="unsupported_parameter",
            param="background",
            hint="Leave it out, and read the answer as a stream: stream=true.",
        )
    input_ = body.get("input")
    if not isinstance(input_, str | list | None):
        raise Invalid(
            f"input is {input_!r:.80}, but must be a string or an array of items.", code="invalid_value", param="input"
        )
    if not (input_ or body.get("instructions") or body.get("prompt")):
        raise Invalid(
            "The call has no input.",
            code="no_messages",
            param="input",
            hint="Give at least what to answer: input='...'.",
        )


def provider_request(body: Body, chat_request: Body) -> ChatProviderRequest:
    """Return the request for a provider of chat; see `CallFormat.provider_request`. Raises `Invalid`."""
    _check_for_chat(body)
    request = {name: value for name, value in chat_request.items() if name not in LOG_FIELDS}
    request["messages"] = [
        {name: value for name, value in message.items() if name != RESPONSE_ITEMS} for message in request["messages"]
    ]
    return ChatProviderRequest(request, [name for name in chat_request if name in _LOST_FIELDS])


def _check_for_chat(body: Body) -> None:
    """Raise `Invalid` that names what a model whose provider speaks chat alone cannot do."""
    previous_id = body.get("previous_response_id")
    if previous_id and not is_own_id(previous_id):
        raise previous_response_not_found(previous_id)
    for index, tool in enumerate(_objects(body.get("tools"))):
        if tool.get("type") not in ("function", "custom"):
            raise _unsupported(f"tools[{index}]", f"a tool of the type {tool.get('type')!r}", "Give it as a function.")
    for name, remedy in (
        ("prompt", "Give its text as instructions."),
        ("conversation", "Give previous_response_id, or the whole conversation as input."),
    ):
        if body.get(name):
            raise _unsupported(name, f"a {name} that is kept by OpenAI", remedy)
    items = body.get("input")
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if not isinstance(item, dict):
            continue
        if item.get("type") in _FOREIGN_ITEMS:
            problem = f"an item of the type {item['type']!r}, which only the provider that made it can read"
            raise _unsupported(f"input[{index}]", problem, "Give the item that it stands for, or leave it out.")
        for position, part in enumerate(_objects(item.get("content"))):
            if part.get("file_url"):
                param = f"input[{index}].content[{position}].file_url"
                raise _unsupported(param, "a file by its address", "Send the file itself as file_data.")


def native_request(body: Body) -> Body:
    """Return a request for a provider that speaks this form: without the items and ids that are Afterword's own."""
    if is_own_id(body.get("previous_response_id")):
        # The conversation stands in `input`.
        body = {name: value for name, value in body.items() if name != "previous_response_id"}
    items = body.get("input")
    if not isinstance(items, list):
        return body
    return {**body, "input": [_native_item(item) if isinstance(item, dict) else item for item in items]}


def _native_item(item: Body) -> Body:
    if item.get("type") == "reasoning" and is_sealed(item.get("encrypted_content")):
        item = {name: value for name, value in item.items() if name != "encrypted_content"}
    return without_own_id(item)


def previous_response_not_found(response_id: Any) -> BadRequest:
    """Return the error for a conversation that cannot be continued, as OpenAI's API has it."""
    return BadRequest(
        f"Previous response with id {response_id!r:.100} not found.",
        code="previous_response_not_found",
        param="previous_response_id",
        hint="Give the id of a response that was logged here and that this key may see, or send the whole "
        "conversation as input.",
    )


def _unsupported(param: str, problem: str, remedy: str) -> Invalid:
    return Invalid(
        f"{param} is {problem}: the provider of this model speaks chat, which has no word for it.",
        code="unsupported_parameter",
        param=param,
        hint=f"{remedy} Or call a model whose provider speaks the Responses API.",
    )


def _chat_tool(tool: Body) -> Body:
    kind = tool.get("type")
    if kind == "function" and "function" not in tool:
        function = {name: tool[name] for name in _FUNCTION_MEMBERS if tool.get(name) is not None}
        return {"type": "function", "function": function}
    if kind == "custom" and "custom" not in tool:
        description = "\n\n".join(text for text in (tool.get("description"), _grammar_text(tool.get("format"))) if text)
        function = {"name": tool.get("name"), "parameters": _CUSTOM_TOOL_PARAMETERS}
        return {"type": "function", "function": {**function, **({"description": description} if description else {})}}
    return tool


def _grammar_text(format_: Any) -> str | None:
    if _member(format_, "type") != "grammar":
        return None
    return f"The input follows this {format_.get('syntax') or 'grammar'}:\n{format_.get('definition')}"


def _chat_tool_choice(choice: Any) -> Any:
    kind = _member(choice, "type")
    if kind in ("function", "custom") and "name" in choice:
        return {"type": "function", "function": {"name": choice["name"]}}
    if kind == "allowed_tools" and "tools" in choice:
        tools = [_chat_tool_choice(tool) for tool in _objects(choice["tools"])]
        return {"type": kind, kind: {"mode": choice.get("mode") or "auto", "tools": tools}}
    return choice


def _translate_text(request: Body, text: Any) -> None:
    format_ = _member(text, "format")
    kind = _member(format_, "type")
    if kind == "json_schema":
        members = {name: value for name, value in format_.items() if name != "type" and value is not None}
        request["response_format"] = {"type": kind, kind: members}
    elif kind is not None and kind != "text":
        request["response_format"] = format_
    if (verbosity := _member(text, "verbosity")) is not None:
        request["verbosity"] = verbosity


def session_of_request(body: Body) -> Any:
    """Return the caller's name for the session: that which was given, or that of the conversation, if it has one.

    Coding agents send their session's id as the key of the prompt cache. Other keys than ids are usually one for all
    conversations of an application.
    """
    if body.get("session_id") is not None:
        return body["session_id"]
    conversation = body.get("conversation")
    conversation_id = _member(conversation, "id") if isinstance(conversation, dict) else conversation
    if isinstance(conversation_id, str) and conversation_id:
        return conversation_id
    key = body.get("prompt_cache_key")
    return key if isinstance(key, str) and _UUID.fullmatch(key) else None


def _member(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else None


def _objects(values: Any) -> Iterable[Body]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
