"""Requests of the Messages API, translated to chat.

The translation loses nothing: members without a counterpart in chat, such as `cache_control`, stay where they were, and
blocks without one stay blocks. So the log holds the whole request. `chat_provider_requests` takes from it what
providers of chat would refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from afterword.errors import Invalid
from afterword.gateway.provider import Body

# Fields of the Messages API that are translated.
TRANSLATED_FIELDS = frozenset(
    {
        "messages", "system", "tools", "tool_choice", "stop_sequences", "thinking", "output_config", "output_format",
        "metadata", "service_tier",
    }
)  # fmt: skip
REQUIRED_FIELDS = ("max_tokens", "messages")
TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
SERVICE_TIERS = {"auto": "auto", "standard_only": "default"}
EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
"""Chat's `reasoning_effort` for each effort of Claude. More than `high` is refused by most models."""
MAX_BUDGET_TOKENS = {"low": 2048, "medium": 8192}
"""The largest budget of thinking tokens that `reasoning_effort` stands for; beyond the last it is `high`."""
THOUGHT_TYPES = frozenset({"thinking", "redacted_thinking"})
# The types of tools that the caller defines with a schema. All others are Anthropic's own.
CALLERS_TOOL_TYPES = (None, "custom")

_CLAUDE_CODE_USER = re.compile(r"(?P<user>.*?)_*session_(?P<session>[0-9a-fA-F-]{36})")
_encoder = msgspec.json.Encoder()
_object_decoder = msgspec.json.Decoder(dict[str, Any])


def chat_request(body: Body) -> Body:
    """Translate a request. Raises `Invalid` if a required field is missing or `messages` is not a list of objects.

    Any other field of an unexpected form is kept as it is: the provider judges it.
    """
    for name in REQUIRED_FIELDS:
        if body.get(name) is None:
            raise Invalid(
                f"{name}: Field required.",
                code="missing_field",
                param=name,
                hint="Anthropic's Messages API requires model, max_tokens and messages.",
            )
    messages = body["messages"]
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise Invalid(
            "messages: Input should be a list of objects.",
            code="invalid_value",
            param="messages",
            hint="Give messages such as {'role': 'user', 'content': 'Hello'}.",
        )
    request: Body = {name: value for name, value in body.items() if name not in TRANSLATED_FIELDS}
    system = body.get("system")
    request["messages"] = [
        *([{"role": "system", "content": _content(system)}] if system else ()),
        *(translated for message in messages for translated in _chat_messages(message)),
    ]
    _translate_tools(request, body)
    _translate_parameters(request, body)
    _translate_metadata(request, body.get("metadata"))
    return request


# ------------------------------------------------------------------------------------------------ messages


def _chat_messages(message: Body) -> Iterable[Body]:
    """Return the messages of chat that a turn stands for: each result of a tool is a message of its own."""
    content = message.get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        return [message]
    if message.get("role") == "assistant":
        return [{**message, **_assistant_members(content)}]
    results = [block for block in content if block.get("type") == "tool_result"]
    others = [block for block in content if block.get("type") != "tool_result"]
    translated = [_tool_message(block) for block in results]
    if others or not results:
        translated.append({**message, "content": _content(others)})
    return translated


def _assistant_members(blocks: list[Body]) -> Body:
    """Return the members of an assistant message, in the form that Afterword's answers of chat have."""
    content: list[Body] = []
    thoughts: list[Body] = []
    calls: list[Body] = []
    provider_blocks: list[Body] = []
    for block in blocks:
        match block.get("type"):
            case "text":
                content.append(block)
            case "tool_use":
                calls.append(_tool_call(block))
            case kind if kind in THOUGHT_TYPES:
                thoughts.append(block)
            case _:
                provider_blocks.append(block)
    members: Body = {"content": _content(content) if content else None}
    if reasoning := "".join(str(thought.get("thinking") or "") for thought in thoughts):
        members["reasoning_content"] = reasoning
    lists = {"thinking_blocks": thoughts, "provider_blocks": provider_blocks, "tool_calls": calls}
    return members | {name: elements for name, elements in lists.items() if elements}


def _tool_call(block: Body) -> Body:
    arguments = _encoder.encode(block.get("input")).decode()
    function = {"name": block.get("name"), "arguments": arguments}
    others = _members_beside(block, "type", "id", "name", "input")
    return {"id": block.get("id"), "type": "function", "function": function, **others}


def _tool_message(block: Body) -> Body:
    others = _members_beside(block, "type", "tool_use_id", "content")
    content = _content(block.get("content") or "")
    return {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": content, **others}


def _content(content: Any) -> Any:
    """Return content in the form of chat: a single text without other members is a string."""
    if not isinstance(content, list):
        return content
    parts = [_part(block) if isinstance(block, dict) else block for block in content]
    if len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"type", "text"}:
        return parts[0]["text"]
    return parts


def _part(block: Body) -> Body:
    """Return a block as a part of chat; a block that chat has no part for stays as it is."""
    source = block.get("source")
    if not isinstance(source, dict):
        return block
    address = _address(source)
    others = _members_beside(block, "type", "source", "title")
    match block.get("type"):
        case "image" if address:
            return {"type": "image_url", "image_url": {"url": address}, **others}
        case "document" if source.get("type") == "base64":
            file = {"filename": block.get("title") or "document.pdf", "file_data": address}
            return {"type": "file", "file": file, **others}
    return block


def _address(source: Body) -> str | None:
    """Return a source as a URL; None if it is no address and no data."""
    match source.get("type"):
        case "base64":
            return f"data:{source.get('media_type')};base64,{source.get('data')}"
        case "url" if isinstance(source.get("url"), str):
            return source["url"]
    return None


def _members_beside(block: Body, *translated_names: str) -> Body:
    return {name: value for name, value in block.items() if name not in translated_names}


# ------------------------------------------------------------------------------------------------ parameters


def _translate_tools(request: Body, body: Body) -> None:
    if isinstance(tools := body.get("tools"), list):
        request["tools"] = [_tool(tool) for tool in tools]
    choice = body.get("tool_choice")
    if not isinstance(choice, dict):
        return
    kind = choice.get("type")
    if kind == "tool":
        request["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    else:
        request["tool_choice"] = TOOL_CHOICES.get(str(kind), choice)
    if choice.get("disable_parallel_tool_use"):
        request["parallel_tool_calls"] = False


def _tool(tool: Any) -> Any:
    """Return a tool of the caller as a function; one of Anthropic's own tools stays as it is."""
    if not isinstance(tool, dict) or tool.get("type") not in CALLERS_TOOL_TYPES:
        return tool
    function: Body = {name: tool[name] for name in ("name", "description", "strict") if tool.get(name) is not None}
    if tool.get("input_schema") is not None:
        function["parameters"] = tool["input_schema"]
    others = _members_beside(tool, "type", "name", "description", "strict", "input_schema")
    return {"type": "function", "function": function, **others}


def _translate_parameters(request: Body, body: Body) -> None:
    if stop := body.get("stop_sequences"):
        request["stop"] = stop
    if tier := body.get("service_tier"):
        request["service_tier"] = SERVICE_TIERS.get(str(tier), tier)
    output = body.get("output_config")
    output = output if isinstance(output, dict) else {}
    form = output.get("format") or body.get("output_format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        request["response_format"] = _response_format(form.get("schema"))
    thinking = body.get("thinking")
    if effort := _reasoning_effort(thinking if isinstance(thinking, dict) else {}, output.get("effort")):
        request["reasoning_effort"] = effort


def _reasoning_effort(thinking: Body, effort: Any) -> str | None:
    """Return chat's word for how much a request lets the model think; None if it leaves that to the model."""
    if thinking.get("type") == "disabled":
        return None
    if isinstance(effort, str):
        return EFFORTS.get(effort, effort)
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int):
        return None
    return next((word for word, limit in MAX_BUDGET_TOKENS.items() if budget <= limit), "high")


def _response_format(schema: Any) -> Body:
    form = {"name": "answer", "schema": schema, "strict": _is_strict(schema)}
    return {"type": "json_schema", "json_schema": form}


def _is_strict(schema: Any) -> bool:
    """Tell whether OpenAI's API takes a schema as `strict`: each object requires all its members, and no others."""
    if isinstance(schema, list):
        return all(_is_strict(element) for element in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        names = set(properties) if isinstance(properties, dict) else set[str]()
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != names:
            return False
    return all(_is_strict(value) for value in schema.values())


def _translate_metadata(request: Body, metadata: Any) -> None:
    """Set user and session. Claude Code puts its session into `user_id`, as text or as JSON, depending on its version.

    Members beside `user_id` are labels, as in chat.
    """
    if not isinstance(metadata, dict):
        return
    labels = {name: value for name, value in metadata.items() if name != "user_id"}
    if labels:
        request["metadata"] = labels
    user, session = _user_and_session(metadata.get("user_id"))
    if user:
        request.setdefault("user", user)
    if session:
        request.setdefault("session_id", session)


def _user_and_session(user_id: Any) -> tuple[Any, str | None]:
    """Return the user and the session that a `user_id` names.

    Claude Code writes `user_HASH_account_UUID_session_UUID`, and from version 2.1.78 on
    `{"device_id": ..., "account_uuid": ..., "session_id": ...}`.
    """
    if not isinstance(user_id, str):
        return user_id, None
    if match := _CLAUDE_CODE_USER.fullmatch(user_id):
        return match["user"], match["session"]
    if user_id.startswith("{"):
        try:
            ids = _object_decoder.decode(user_id)
        except msgspec.DecodeError:
            return user_id, None
        session = ids.get("session_id")
        user = ids.get("account_uuid") or ids.get("device_id")
        if isinstance(session, str) and isinstance(user, str):
            return user, session
    return user_id, None
