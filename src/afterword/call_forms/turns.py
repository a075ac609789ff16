"""Converts the turns of common conversation formats to OpenAI's messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from afterword.json_text import LineError

Turn = dict[str, Any]

ROLES = {
    **dict.fromkeys(("human", "prompter", "humanmessage"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "bard", "bing", "claude", "model", "bot", "ai", "chatbot"), "assistant"),
    **dict.fromkeys(("aimessage", "aimessagechunk", "function_call", "tool_call"), "assistant"),
    **dict.fromkeys(("observation", "function_response", "tool_response", "ipython", "toolmessage"), "tool"),
    **dict.fromkeys(("systemmessage",), "system"),
}
"""Other names of roles, in lower case. A role that is not listed stays as it is."""
_STANDARD = {"system", "developer", "user", "assistant", "tool", "function"}
_CALLS = ("function_call", "tool_call")
_RESPONSES_TEXTS = frozenset({"input_text", "output_text"})
# Types of parts and items that only OpenAI's Responses API has.
_RESPONSES_PARTS = _RESPONSES_TEXTS | {"input_image", "input_file"}
_RESPONSES_ITEMS = frozenset({"function_call", "function_call_output", "reasoning"})
_TRANSCRIPT = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")


def conversation(turns: list[Any], path: str) -> list[Turn]:
    """Return turns as messages. Raises `LineError` with the path of a turn that cannot be read."""
    messages: list[Turn] = []
    for index, turn in enumerate(turns):
        message = _message(turn, f"{path}[{index}]")
        calls = messages[-1].get("tool_calls") if messages else None
        if "from" in turn and message.get("role") == "tool" and calls:
            # An observation belongs to the call before it, but does not name it.
            message["tool_call_id"] = calls[0]["id"]
        messages.append(message)
    return messages


def transcript(text: str) -> list[Turn]:
    """Return the messages of a transcript of `\\n\\nHuman: ` and `\\n\\nAssistant: `; [] for any other text."""
    if not text.lstrip("\n").startswith("Human: "):
        return []
    _, *parts = _TRANSCRIPT.split(text)  # the text before the first speaker is empty
    roles = {"Human": "user", "Assistant": "assistant"}
    return [
        {"role": roles[role], "content": text_part.strip()}
        for role, text_part in zip(parts[::2], parts[1::2], strict=True)
    ]


def is_turn(value: Any) -> bool:
    """Tell whether this is an object that looks like a turn of a conversation."""
    return isinstance(value, dict) and any(
        names <= value.keys()
        for names in (
            {"role", "content"}, {"from", "value"}, {"role", "parts"}, {"role", "tool_calls"}, {"lc", "kwargs"},
            {"message.role"}, {"type", "data"}, {"message"}, {"role", "function_call"},
        )
    )  # fmt: skip


def is_conversation(value: Any) -> bool:
    """Tell whether this is a list of turns."""
    return isinstance(value, list) and bool(value) and all(is_turn(turn) or is_pair(turn) for turn in value)


def text_of_parts(parts: list[Any]) -> str | None:
    """Return the joined text of parts; None if they hold more than texts."""
    texts = [part.get("text") if isinstance(part, dict) and len(part) <= 2 else None for part in parts]
    return "".join(text for text in texts if text) if all(isinstance(text, str) for text in texts) else None


def is_pair(value: Any) -> bool:
    """Tell whether this is a list of a role and a text."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(text, str) for text in value)
        and role_of(value[0]) in _STANDARD
    )


def _message(turn: Any, path: str) -> Turn:
    if is_pair(turn):
        return {"role": role_of(turn[0]), "content": turn[1]}
    if not isinstance(turn, dict):
        raise LineError(f"has {path} that is {kind(turn)}, but must be a message with role and content")
    if isinstance(turn.get("message"), dict):
        turn = turn["message"]
    if "lc" in turn and isinstance(turn.get("kwargs"), dict):
        name = turn.get("id")
        return _message_of_langchain(str(name[-1]) if isinstance(name, list) and name else "", turn["kwargs"])
    if isinstance(turn.get("data"), dict) and isinstance(turn.get("type"), str) and "role" not in turn:
        return _message_of_langchain(turn["type"], turn["data"])
    if any(name.startswith("message.") for name in turn):
        turn = {name.removeprefix("message."): value for name, value in turn.items()}
    if "from" in turn and "value" in turn and "role" not in turn:
        other_members = {name: value for name, value in turn.items() if name not in ("from", "value")}
        return {**_message_of_sharegpt(turn["from"], turn["value"], path), **other_members}
    if isinstance(turn.get("parts"), list) and "content" not in turn:
        return _message_of_gemini(turn)
    role = turn.get("role")
    if isinstance(role, str) and role not in _STANDARD:
        turn = {**turn, "role": role_of(role)}
    content = turn.get("content")
    if isinstance(content, list) and any(isinstance(part, dict) and "type" not in part for part in content):
        # Bedrock's parts have no type: a part that is not a text gets its member's name as its type.
        parts = [
            {"type": next(iter(part), "text"), **part} if isinstance(part, dict) and "type" not in part else part
            for part in content
        ]
        turn = {**turn, "content": text if (text := text_of_parts(parts)) is not None else parts}
    return turn


def role_of(role: str) -> str:
    """Return OpenAI's role for another name of it."""
    return ROLES.get(role.lower(), role.lower() if role.lower() in _STANDARD else role)


def _message_of_sharegpt(speaker: Any, value: Any, path: str) -> Turn:
    if not isinstance(speaker, str):
        raise LineError(f"has {path}.from that is {kind(speaker)}, but must be a string")
    if speaker in _CALLS:
        calls = tool_calls(value)
        if calls:
            return {"role": "assistant", "content": None, "tool_calls": calls}
    if speaker == "function":
        speaker = "observation"
    if not isinstance(value, str):
        value = msgspec.json.encode(value).decode()
    return {"role": role_of(speaker), "content": value}


def tool_calls(value: Any) -> list[dict[str, Any]]:
    """Return tool calls given as JSON {name, arguments}, or as a list of such objects; [] for any other value."""
    value = from_json_text(value)
    calls = value if isinstance(value, list) else [value]
    openai_calls: list[dict[str, Any]] = []
    for index, call in enumerate(calls):
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            return []
        arguments = next((call[name] for name in ("arguments", "parameters", "args", "input") if name in call), {})
        if not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        function = {"name": call["name"], "arguments": arguments}
        openai_calls.append({"id": call.get("id") or f"call_{index}", "type": "function", "function": function})
    return openai_calls


def _message_of_langchain(name: str, fields: dict[str, Any]) -> Turn:
    message: Turn = {"role": role_of(name), "content": fields.get("content", "")}
    if fields.get("role") and name.lower().startswith("chat"):
        message["role"] = role_of(str(fields["role"]))
    extra_fields = fields.get("additional_kwargs")
    if isinstance(extra_fields, dict) and extra_fields.get("tool_calls"):
        message["tool_calls"] = extra_fields["tool_calls"]
    elif fields.get("tool_calls"):
        message["tool_calls"] = tool_calls(fields["tool_calls"]) or fields["tool_calls"]
    if fields.get("tool_call_id"):
        message["tool_call_id"] = fields["tool_call_id"]
    return message


def _message_of_gemini(turn: Turn) -> Turn:
    role = role_of(str(turn.get("role", "user")))
    if (text := text_of_parts(turn["parts"])) is not None:
        return {"role": role, "content": text}
    parts: list[dict[str, Any]] = []
    calls: list[Any] = []
    for part in turn["parts"]:
        if not isinstance(part, dict):
            raise LineError(f"has a part that is {kind(part)}, but must be an object")
        call = part.get("functionCall") or part.get("function_call")
        image = part.get("inlineData") or part.get("inline_data")
        answer = part.get("functionResponse") or part.get("function_response")
        if isinstance(call, dict):
            calls.append(call)
        elif isinstance(answer, dict):
            content = msgspec.json.encode(answer.get("response")).decode()
            return {"role": "tool", "name": answer.get("name"), "content": content}
        elif isinstance(image, dict):
            address = f"data:{image.get('mimeType') or image.get('mime_type')};base64,{image.get('data')}"
            parts.append({"type": "image_url", "image_url": {"url": address}})
        else:
            parts.append({"type": "text" if "text" in part else next(iter(part), "text"), **part})
    message: Turn = {"role": role, "content": parts or None}
    if calls:
        message["tool_calls"] = tool_calls(calls)
    return message


def anthropic_message(blocks: list[Any]) -> Turn:
    """Convert Anthropic's content blocks to an assistant message."""
    calls = [block for block in blocks if isinstance(block, dict) and block.get("type") == "tool_use"]
    texts = [block["text"] for block in blocks if isinstance(block, dict) and isinstance(block.get("text"), str)]
    message: Turn = {"role": "assistant", "content": "".join(texts) or None}
    if calls:
        message["tool_calls"] = tool_calls(calls)
    thinking = [block["thinking"] for block in blocks if isinstance(block, dict) and block.get("thinking")]
    if thinking:
        message["reasoning_content"] = "".join(thinking)
    return message


def text_of_content(value: Any) -> str:
    """Return the text of a system prompt, or of any other content, in any of its forms."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return text_of_content(value.get("parts") or value.get("content") or value.get("text"))
    if isinstance(value, list):
        return "\n".join(filter(None, map(text_of_content, value)))
    return ""


def message_of_responses(items: list[Any]) -> Turn:
    """Convert the output items of OpenAI's Responses API to one message."""
    texts: list[str] = []
    calls: list[Any] = []
    for item in items:
        if isinstance(item, dict) and item.get("type") == "message":
            texts.append(text_of_content(item.get("content")))
        elif isinstance(item, dict) and item.get("type") == "function_call":
            calls.append({**item, "id": item.get("call_id")})
    message: Turn = {"role": "assistant", "content": "".join(texts) or None}
    return {**message, "tool_calls": tool_calls(calls)} if calls else message


def messages_of_responses(items: list[Any]) -> list[Turn]:
    """Convert the input items of OpenAI's Responses API to messages."""
    messages: list[Turn] = []
    for item in items:
        item_type = item.get("type", "message") if isinstance(item, dict) else None
        if item_type == "function_call":
            calls = tool_calls({**item, "id": item.get("call_id")})
            if messages and messages[-1].get("tool_calls"):
                messages[-1]["tool_calls"] += calls
            else:
                messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        elif item_type == "function_call_output":
            messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")})
        elif item_type == "message":
            content = item.get("content")
            text = text_of_content(content) if _holds_only(content, _RESPONSES_TEXTS) else None
            messages.append({"role": role_of(str(item.get("role"))), "content": content if text is None else text})
        elif item_type != "reasoning":
            messages.append({"role": "user", "content": [item]})
    return messages


def is_responses_input(value: Any) -> bool:
    """Tell whether this is a list of input items of OpenAI's Responses API."""
    return isinstance(value, list) and any(
        isinstance(item, dict)
        and (item.get("type") in _RESPONSES_ITEMS or _holds_only(item.get("content"), _RESPONSES_PARTS))
        for item in value
    )


def _holds_only(content: Any, types: frozenset[str]) -> bool:
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(part, dict) and part.get("type") in types for part in content)
    )


def from_json_text(value: Any) -> Any:
    """Decode a text that holds a JSON object or array; return any other value unchanged."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return msgspec.json.decode(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return value
    return value


def iterate_numbered(members: dict[str, Any], prefix: str) -> Iterator[dict[str, Any]]:
    """Yield the objects that are flattened as `prefix.0.NAME`, `prefix.1.NAME`, in order."""
    members_by_number: dict[int, dict[str, Any]] = {}
    for name, value in members.items():
        if name.startswith(prefix + "."):
            number, _, member_name = name.removeprefix(prefix + ".").partition(".")
            if number.isdigit() and member_name:
                members_by_number.setdefault(int(number), {})[member_name] = value
    for number in sorted(members_by_number):
        yield members_by_number[number]


def kind(value: Any) -> str:
    """Return the type of a value, in words."""
    if value is None:
        return "null"
    kinds = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return kinds.get(type(value), "of another kind")
