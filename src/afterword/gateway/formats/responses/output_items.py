"""Messages of chat as items of the Responses API."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import Any
from uuid import UUID

import msgspec

from afterword.gateway.formats.responses.content import response_annotation, response_content
from afterword.gateway.formats.responses.input_items import RESPONSE_ITEMS
from afterword.gateway.formats.responses.sealing import sealed
from afterword.gateway.provider import Body

_OWN_ID = re.compile(r"(?:resp|msg|rs|fc|ctc|ig)_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:_\w+)?")


class ItemIds:
    """Gives the items of one answer their ids, the same in a stream and afterwards: a prefix and the completion_id."""

    def __init__(self, completion_id: UUID) -> None:
        self._completion_id = completion_id
        self._counts: Counter[str] = Counter()

    def new(self, prefix: str) -> str:
        """Return the next id of items with this prefix, such as `msg`."""
        self._counts[prefix] += 1
        number = self._counts[prefix]
        return f"{prefix}_{self._completion_id}{f'_{number}' if number > 1 else ''}"


def custom_tool_names(request: Body) -> set[str]:
    """Return the names of a request's custom tools, whose calls have a text in place of arguments."""
    tools = request.get("tools")
    return {
        tool["name"]
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, dict) and tool.get("type") == "custom" and isinstance(tool.get("name"), str)
    }


def output_items(
    message: Body,
    ids: ItemIds,
    *,
    custom_tools: Collection[str] = (),
    summarizes: bool = False,
    logprobs: Any = None,
    status: str = "completed",
) -> list[Body]:
    """Return the items of an answer in chat's form. `summarizes` tells that reasoning stands in the summary."""
    if isinstance(items := message.get(RESPONSE_ITEMS), list):
        return _with_pictures(items, message)
    output_items: list[Body] = []
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    reasoning = reasoning if isinstance(reasoning, str) else ""
    if reasoning or sealed(message):
        output_items.append(
            reasoning_item(ids.new("rs"), [reasoning] if reasoning else [], summarizes, sealed(message))
        )
    parts = message_parts(message, logprobs)
    if parts:
        output_items.append({"id": ids.new("msg"), **_ITEM_OF_MESSAGE, "status": status, "content": parts})
    output_items += [picture_item(ids.new("ig"), image) for image in _objects(message.get("images"))]
    for call in _objects(message.get("tool_calls")):
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        is_custom = function.get("name") in custom_tools
        item_id = ids.new("ctc" if is_custom else "fc")
        output_items.append(call_item(item_id, call.get("id") or "", function, is_custom, status))
    return output_items


_ITEM_OF_MESSAGE: Body = {"type": "message", "role": "assistant"}


def _objects(values: Any) -> list[Body]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _with_pictures(items: list[Any], message: Body) -> list[Body]:
    """Return items that were kept, each picture with its content."""
    pictures = iter(_objects(message.get("images")))
    return [
        {**item, "result": picture_result(next(pictures, {}))} if item.get("type") == "image_generation_call" else item
        for item in _objects(items)
    ]


def message_parts(message: Body, logprobs: Any = None) -> list[Body]:
    """Return the parts of a message's item: its texts, and a refusal."""
    parts = [part for part in response_content(message.get("content"), "assistant") if isinstance(part, dict)]
    first_text = next((part for part in parts if part.get("type") == "output_text"), None)
    if first_text is not None:
        first_text["annotations"] = annotations_of(message.get("annotations"))
        if tokens := logprobs_of(logprobs):
            first_text["logprobs"] = tokens
    if message.get("refusal"):
        parts.append({"type": "refusal", "refusal": message["refusal"]})
    return parts


def annotations_of(annotations: Any) -> list[Body]:
    """Return the citations of a message that the Responses API has a form for."""
    translated = (response_annotation(annotation) for annotation in _objects(annotations))
    return [annotation for annotation in translated if annotation is not None]


def logprobs_of(logprobs: Any) -> list[Body]:
    """Return log probabilities of chat as those of an output text."""
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    return [{"bytes": [], "top_logprobs": [], **token} for token in _objects(tokens)]


def reasoning_item(id_: str, texts: list[str], summarizes: bool, encrypted_content: str | None) -> Body:
    """Return a reasoning item."""
    item: Body = {
        "id": id_,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in texts] if summarizes else [],
    }
    if texts and not summarizes:
        item["content"] = [{"type": "reasoning_text", "text": text} for text in texts]
    if encrypted_content:
        item["encrypted_content"] = encrypted_content
    return {**item, "status": "completed"}


def call_item(id_: str, call_id: str, function: Body, is_custom: bool, status: str = "completed") -> Body:
    """Return the call of a tool."""
    name, arguments = function.get("name") or "", function.get("arguments")
    if not isinstance(arguments, str):
        arguments = "" if arguments is None else msgspec.json.encode(arguments).decode()
    head = {"id": id_, "call_id": call_id, "name": name, "status": status}
    if is_custom:
        return {**head, "type": "custom_tool_call", "input": custom_input(arguments)}
    return {**head, "type": "function_call", "arguments": arguments}


def custom_input(arguments: str) -> str:
    """Return the text that a custom tool is called with."""
    try:
        members = msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return arguments
    text = members.get("input") if isinstance(members, dict) else None
    return text if isinstance(text, str) else arguments


def picture_item(id_: str, image: Body) -> Body:
    """Return a picture of an answer."""
    return {"id": id_, "type": "image_generation_call", "status": "completed", "result": picture_result(image)}


def picture_result(image: Body) -> str | None:
    """Return a picture in base64; None if only its address is known."""
    address = image.get("image_url")
    address = address.get("url") if isinstance(address, dict) else address
    return address.partition(",")[2] if isinstance(address, str) and address.startswith("data:") else None


def is_own_id(id_: Any) -> bool:
    """Tell whether this is an id of `ItemIds`."""
    return completion_of(id_) is not None


def completion_of(id_: Any) -> UUID | None:
    """Return the completion that an item or a response belongs to, by its id; None for a provider's id."""
    match = _OWN_ID.fullmatch(id_) if isinstance(id_, str) else None
    return UUID(match[1]) if match else None
