"""Items of the Responses API as messages of chat.

An answer of the Responses API is several items where chat has one message: reasoning, texts, calls of tools. They
become one message. Where one of them has no form in chat, such as a provider's own web search, all are kept as they
were sent, in the message's `response_items`: for the log, and for a provider of this form that goes on from there.
"""

from __future__ import annotations

from typing import Any

import msgspec

from afterword.gateway.formats.responses.content import TEXT_TYPES, chat_annotation, chat_content, plain_text
from afterword.gateway.formats.responses.sealing import unsealed
from afterword.gateway.provider import Body

RESPONSE_ITEMS = "response_items"
"""The member of a message that keeps items as they were sent."""
INSTRUCTIONS_ID = "instructions"
"""The id of the message that a request's `instructions` become: the next response of a conversation does not inherit
it, unlike other messages of the system."""
_PLAIN_ITEMS = frozenset({"message", "function_call", "custom_tool_call"})
# Members of these items that chat has no word for, and that callers are told to send back.
_SPECIAL_MEMBERS = ("phase", "namespace", "caller")
_CALL_MEMBERS = frozenset({"type", "id", "call_id", "status"})

_encoder = msgspec.json.Encoder()


def chat_messages(instructions: Any, items: Any) -> list[Body]:
    """Return the messages of a request. `items` is its `input`."""
    messages: list[Body] = []
    if isinstance(instructions, str) and instructions:
        messages.append({"role": "system", "content": instructions, "id": INSTRUCTIONS_ID})
    if isinstance(items, str):
        return [*messages, {"role": "user", "content": items}]
    turn = AssistantTurn()
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict):
            messages.append({"role": "user", "content": str(item)})
        elif _is_of_assistant(item):
            if turn.is_followed_by_another(item):
                messages.append(turn.message())
                turn = AssistantTurn()
            turn.add(item)
        else:
            if turn.items:
                messages.append(turn.message())
                turn = AssistantTurn()
            messages.append(_output_message(item) if _is_call_output(item) else _message(item))
    if turn.items:
        messages.append(turn.message())
    return _without_earlier_reasoning(messages)


def _without_earlier_reasoning(messages: list[Body]) -> list[Body]:
    """Return the messages with the reasoning of the current turn alone.

    Models that reason want it back while they call tools. That of earlier turns is refused or ignored by providers of
    chat.
    """
    last_user_position = max((index for index, message in enumerate(messages) if message["role"] == "user"), default=-1)
    return [
        {name: value for name, value in message.items() if name != "reasoning_content"}
        if index < last_user_position
        else message
        for index, message in enumerate(messages)
    ]


def _is_of_assistant(item: Body) -> bool:
    if item.get("type", "message") == "message":
        return item.get("role") == "assistant"
    return not _is_call_output(item)


def _is_call_output(item: Body) -> bool:
    kind = item.get("type")
    return isinstance(kind, str) and kind.endswith("_output") and kind != "program_output" and "call_id" in item


def _message(item: Body) -> Body:
    role = item.get("role")
    # Only OpenAI's models know the role `developer`, and all of them take `system` for it.
    role = "system" if role == "developer" else role
    return {"role": role if isinstance(role, str) else "user", "content": chat_content(item.get("content"))}


def _output_message(item: Body) -> Body:
    output = item.get("output")
    if not isinstance(output, str | list):
        members = {name: value for name, value in item.items() if name not in _CALL_MEMBERS and value is not None}
        output = _json_of(output if output is not None else members)
    return {"role": "tool", "tool_call_id": item.get("call_id") or "", "content": chat_content(output)}


def _json_of(value: Any) -> str:
    return _encoder.encode(value).decode()


class AssistantTurn:
    """Collects the items of one answer of a model into one message."""

    def __init__(self) -> None:
        self.items: list[Body] = []
        self._contents: list[Any] = []
        self._calls: list[Body] = []
        self._reasoning: list[str] = []
        self._members: Body = {}
        self._characters = 0

    def is_followed_by_another(self, item: Body) -> bool:
        """Tell whether this item begins the next answer: one ends with its text, or with the last of its calls."""
        return bool(self._contents) and not self._calls and item.get("type", "message") in ("message", "reasoning")

    def add(self, item: Body) -> None:
        """Add an item of the answer."""
        self.items.append(item)
        kind = item.get("type", "message")
        if kind == "message":
            self._add_message(item)
        elif kind == "reasoning":
            self._reasoning += reasoning_texts(item)
            for name, blocks in unsealed(item.get("encrypted_content")).items():
                self._list_of(name).extend(blocks)
        elif kind == "image_generation_call" and isinstance(item.get("result"), str):
            address = f"data:image/{item.get('output_format') or 'png'};base64,{item['result']}"
            self._list_of("images").append({"type": "image_url", "image_url": {"url": address}})
        elif item.get("call_id") and kind != "program":
            self._calls.append(chat_call(item))

    def _add_message(self, item: Body) -> None:
        content = item.get("content")
        offset = self._characters + (len(SEPARATOR) if self._contents else 0)
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and isinstance(annotations := part.get("annotations"), list):
                self._list_of("annotations").extend(
                    chat_annotation(annotation, offset) for annotation in annotations if isinstance(annotation, dict)
                )
            if isinstance(part, dict):
                offset += len(part.get("text") or "") if part.get("type") in TEXT_TYPES else 0
        self._characters = offset
        self._contents.append(chat_content(content))

    def _list_of(self, name: str) -> list[Body]:
        return self._members.setdefault(name, [])

    def message(self) -> Body:
        """Return the message."""
        message: Body = {"role": "assistant", "content": _joined(self._contents)}
        if self._reasoning:
            message["reasoning_content"] = SEPARATOR.join(self._reasoning)
        if self._calls:
            message["tool_calls"] = self._calls
            message["content"] = message["content"] or None
        message |= {name: value for name, value in self._members.items() if value}
        if any(is_special(item) for item in self.items):
            message[RESPONSE_ITEMS] = [kept_item(item) for item in self.items]
        return message


SEPARATOR = "\n\n"
"""What stands between the texts of two items in one message."""


def _joined(contents: list[Any]) -> Any:
    """Return contents as one: text if all are texts."""
    contents = [content for content in contents if content]
    if all(isinstance(content, str) for content in contents):
        return SEPARATOR.join(contents)
    return [
        part
        for content in contents
        for part in (content if isinstance(content, list) else [{"type": "text", "text": str(content)}])
    ]


def reasoning_texts(item: Body) -> list[str]:
    """Return the texts of a reasoning item: those of its summary, and its own."""
    parts = [part for name in ("summary", "content") for part in item.get(name) or () if isinstance(part, dict)]
    return [text for part in parts if (text := plain_text([part]))]


def chat_call(item: Body) -> Body:
    """Return the call of a tool in chat's form.

    A custom tool, which takes a text, is a function with the one argument `input`. A tool of the provider's that the
    caller runs, such as a shell, is a function of that name.
    """
    kind = item["type"]
    if kind == "function_call":
        function = {"name": item.get("name") or "", "arguments": item.get("arguments") or ""}
    elif kind == "custom_tool_call":
        function = {"name": item.get("name") or "", "arguments": _json_of({"input": item.get("input") or ""})}
    else:
        members = {name: value for name, value in item.items() if name not in _CALL_MEMBERS}
        function = {"name": kind.removesuffix("_call"), "arguments": _json_of(members)}
    return {"id": item.get("call_id") or item.get("id") or "", "type": "function", "function": function}


def is_special(item: Body) -> bool:
    """Tell whether an item holds more than chat's message does."""
    kind = item.get("type", "message")
    if kind == "reasoning":
        return bool(item.get("encrypted_content")) and not unsealed(item["encrypted_content"])
    return kind not in _PLAIN_ITEMS or any(item.get(name) for name in _SPECIAL_MEMBERS)


def kept_item(item: Body) -> Body:
    """Return an item as it is kept: a picture stands among the message's `images` alone."""
    is_picture = item.get("type") == "image_generation_call"
    return {name: value for name, value in item.items() if not (is_picture and name == "result")}
