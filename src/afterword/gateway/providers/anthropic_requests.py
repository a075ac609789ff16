"""Requests in OpenAI's form, translated to Anthropic's Messages API.

Source: Anthropic's API reference (Messages, Extended thinking, Adaptive thinking, Effort, Structured
outputs), version 2023-06-01.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from afterword.gateway.formats.messages.native_requests import is_signed, tool_id
from afterword.gateway.provider import Body, request_for_target
from afterword.types import Target

# The API requires a bound; callers who give none get this one.
DEFAULT_MAX_TOKEN_COUNT = 4096
MIN_BUDGET_TOKEN_COUNT = 1024
# The budget of thinking tokens for each `reasoning_effort`, on models that take a budget.
BUDGET_TOKENS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
# Anthropic's effort for each `reasoning_effort`, on models that decide themselves how much they think.
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}

FIRST_THINKING_VERSION = (3, 7)
FIRST_ONE_SAMPLING_PARAMETER_VERSION = (4, 1)
FIRST_ADAPTIVE_VERSION = (4, 6)
# From this version on the API refuses temperature, top_p and top_k, accepts the effort `xhigh`, and hides the thinking
# unless the request asks for a summary.
FIRST_NO_SAMPLING_VERSION = (4, 7)
NEWEST_VERSION = (99, 0)

# OpenAI's fields that have a counterpart. A model's own parameters of these names are translated, too.
TRANSLATED_FIELDS = frozenset(
    {
        "messages", "prompt", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "max_completion_tokens",
        "stop", "response_format", "reasoning_effort", "reasoning", "user", "service_tier",
    }
)  # fmt: skip
# Fields without a counterpart that the gateway handles itself: leaving them out loses nothing.
GATEWAY_FIELDS = frozenset({"model", "stream", "stream_options", "n", "store", "metadata"})
# Anthropic's own fields, which callers may send beside OpenAI's.
ACCEPTED_FIELDS = frozenset(
    {
        "cache_control", "container", "context_management", "inference_geo", "mcp_servers", "output_config", "speed",
        "stop_sequences", "system", "temperature", "thinking", "top_k", "top_p",
    }
)  # fmt: skip
SERVICE_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
# The first characters of images in base64: callers often name a wrong type, which the API refuses.
IMAGE_TYPES = {"/9j/": "image/jpeg", "iVBORw": "image/png", "R0lGOD": "image/gif", "UklGR": "image/webp"}

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)")
_decoder = msgspec.json.Decoder()


class MessagesRequest(NamedTuple):
    """A request to the Messages API, and the names of the caller's fields that it cannot carry."""

    body: Body
    left_out: list[str]


def messages_request(target: Target, body: Body) -> MessagesRequest:
    """Translate a request in OpenAI's form.

    Raises `AttributeError`, `KeyError`, `TypeError` or `ValueError` for a request that is not in that form.
    """
    model_parameters = {name: value for name, value in target.parameters.items() if name not in TRANSLATED_FIELDS}
    body = request_for_target(target, body)
    messages = body.get("messages")
    if messages is None:
        prompt = body.get("prompt")
        messages = [{"role": "user", "content": prompt if isinstance(prompt, str) else str(prompt)}]
    system, turns = _turns(messages)
    request: Body = {name: value for name, value in body.items() if name in ACCEPTED_FIELDS}
    handled_names = TRANSLATED_FIELDS | GATEWAY_FIELDS | ACCEPTED_FIELDS | target.parameters.keys()
    left_out = [name for name, value in body.items() if name not in handled_names and value is not None]
    request["model"] = target.model
    request["messages"] = turns
    request["max_tokens"] = body.get("max_completion_tokens") or body.get("max_tokens") or DEFAULT_MAX_TOKEN_COUNT
    _translate_response_format(request, system, body.get("response_format"), left_out)
    if system:
        request["system"] = [*_blocks(request.get("system")), *system]
    if stop := body.get("stop"):
        request["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if tools := body.get("tools"):
        choice = body.get("tool_choice")
        if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
            # The API has no such choice, so the other tools are left out.
            allowed = choice["allowed_tools"]
            names = {tool.get("function", {}).get("name") for tool in allowed["tools"]}
            tools = [tool for tool in tools if tool.get("function", {}).get("name") in names]
            choice = allowed.get("mode", "auto")
        request["tools"] = [_tool(tool) for tool in tools]
        if choice := _tool_choice(choice, body.get("parallel_tool_calls")):
            request["tool_choice"] = choice
    if isinstance(user := body.get("user"), str) and user:
        request["metadata"] = {"user_id": user}
    if tier := body.get("service_tier"):
        if tier in SERVICE_TIERS:
            request["service_tier"] = SERVICE_TIERS[tier]
        else:
            left_out.append("service_tier")
    version = version_of(target.model)
    _translate_effort(request, body, version or NEWEST_VERSION, left_out)
    _drop_refused_sampling(request, version, left_out)
    # The model's registered parameters override translated fields, too; null removes a field.
    request |= model_parameters
    request = {name: value for name, value in request.items() if not (value is None and name in model_parameters)}
    return MessagesRequest(request, left_out)


def native_messages_request(target: Target, body: Body) -> Body:
    """Return a request that came in the form of the Messages API, with the name and the parameters of this model.

    Parameters in OpenAI's words are translated, as for a call of chat.
    """
    translated = messages_request(target, {"messages": []}).body
    if not {"max_tokens", "max_completion_tokens"} & target.parameters.keys():
        del translated["max_tokens"]
    del translated["messages"]
    request = {**body, **translated}
    return {name: value for name, value in request.items() if target.parameters.get(name, value) is not None}


def version_of(model: str) -> tuple[int, int] | None:
    """Return the version of a Claude model by its name; None if the name has none."""
    match = _VERSION.search(model)
    return (int(match[1]), int(match[2] or 0)) if match else None


# ------------------------------------------------------------------------------------------------ parameters


def _translate_effort(request: Body, body: Body, version: tuple[int, int], left_out: list[str]) -> None:
    """Request the thinking that `reasoning_effort` means, in the form that this version of Claude accepts."""
    name = "reasoning_effort" if body.get("reasoning_effort") else "reasoning"
    effort = body.get(name)
    if name == "reasoning" and isinstance(effort, dict):
        effort = effort.get("effort") or effort
    if not effort or effort == "none":
        return
    if not isinstance(effort, str) or effort not in BUDGET_TOKENS or "thinking" in request:
        left_out.append(name)
        return
    is_tool_forced = request.get("tool_choice", {}).get("type") in ("any", "tool")
    budget = BUDGET_TOKENS[effort]
    if body.get("max_completion_tokens"):
        # This bound of OpenAI's includes the thinking, as Anthropic's does. One quarter is left for the answer.
        budget = min(budget, request["max_tokens"] - max(1, request["max_tokens"] // 4))
    budget = max(budget, MIN_BUDGET_TOKEN_COUNT)
    is_adaptive = version >= FIRST_ADAPTIVE_VERSION
    has_room = is_adaptive or not body.get("max_completion_tokens") or budget < request["max_tokens"]
    lacks_thoughts = not is_adaptive and _continues_without_thoughts(request["messages"])
    if version < FIRST_THINKING_VERSION or is_tool_forced or not has_room or lacks_thoughts:
        left_out.append(name)
        return
    if is_adaptive:
        display = {"display": "summarized"} if version >= FIRST_NO_SAMPLING_VERSION else {}
        request["thinking"] = {"type": "adaptive", **display}
        level = EFFORTS[effort]
        if level == "xhigh" and version < FIRST_NO_SAMPLING_VERSION:
            level = "high"
        request["output_config"] = {"effort": level, **request.get("output_config", {})}
    else:
        request["thinking"] = {"type": "enabled", "budget_tokens": budget}
    if not body.get("max_completion_tokens"):
        # OpenAI's older bound, `max_tokens`, is for the visible answer alone.
        request["max_tokens"] += budget


def _continues_without_thoughts(turns: list[Body]) -> bool:
    """Tell whether the last answer called tools without the thinking that came before the calls.

    With a budget for thinking, the API refuses to continue such a turn.
    """
    last_blocks = next((turn["content"] for turn in reversed(turns) if turn["role"] == "assistant"), [])
    calls = any(block.get("type") == "tool_use" for block in last_blocks)
    return calls and last_blocks[0].get("type") not in ("thinking", "redacted_thinking")


def _drop_refused_sampling(request: Body, version: tuple[int, int] | None, left_out: list[str]) -> None:
    """Leave out the sampling parameters that this version refuses, or refuses together with thinking.

    A model whose version is unknown gets what the caller sent, unless that contradicts the thinking.
    """
    sampling = {name: request.pop(name) for name in ("temperature", "top_p", "top_k") if name in request}
    sampling = {name: value for name, value in sampling.items() if value is not None}
    if version and version >= FIRST_NO_SAMPLING_VERSION:
        accepted = set[str]()
    elif request.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        minimums = {"temperature": 1, "top_p": 0.95}
        accepted = {name for name in minimums if minimums[name] <= sampling.get(name, 0) <= 1}
    elif version and version >= FIRST_ONE_SAMPLING_PARAMETER_VERSION and "temperature" in sampling:
        accepted = {"temperature", "top_k"}
    else:
        accepted = sampling.keys()
    request |= {name: value for name, value in sampling.items() if name in accepted}
    left_out += [name for name in sampling if name not in accepted]


def _translate_response_format(request: Body, system: list[Body], form: Any, left_out: list[str]) -> None:
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "json_schema":
        schema = form.get("json_schema", {}).get("schema", {})
        request["output_config"] = {**request.get("output_config", {}), "format": {"type": kind, "schema": schema}}
    elif kind == "json_object":
        system.append({"type": "text", "text": "Answer with one JSON object and nothing else."})
    elif form is not None and kind != "text":
        left_out.append("response_format")


# ------------------------------------------------------------------------------------------------ messages


def _turns(messages: Iterable[Body]) -> tuple[list[Body], list[Body]]:
    """Return the system blocks and the turns. Consecutive messages of one role are one turn."""
    system: list[Body] = []
    turns: list[Body] = []
    for message in messages:
        role, blocks = message.get("role"), _blocks(message.get("content"))
        mark = message.get("cache_control")
        if role in ("system", "developer"):
            system += _with_cache_control(blocks, mark)
            continue
        if role == "tool":
            role = "user"
            result: Body = {"type": "tool_result", "tool_use_id": tool_id(message.get("tool_call_id"))}
            if message.get("is_error"):
                result["is_error"] = True
            blocks = [{**result, "content": blocks} if blocks else result]
        elif role == "assistant":
            thoughts = [block for block in _blocks_beside(message, "thinking_blocks") if is_signed(block)]
            provider_blocks = _blocks_beside(message, "provider_blocks")
            blocks = [*thoughts, *provider_blocks, *blocks, *map(_tool_use, message.get("tool_calls") or [])]
        else:
            # Messages of roles such as `document` are material from the user.
            role = "user"
        if not blocks:
            continue
        blocks = _with_cache_control(blocks, mark)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return system, turns


def _with_cache_control(blocks: list[Body], mark: Any) -> list[Body]:
    """Return a message's blocks with the message's `cache_control` on the last block that may carry it."""
    if mark:
        for position in reversed(range(len(blocks))):
            if blocks[position].get("type") not in ("thinking", "redacted_thinking"):
                blocks[position] = {**blocks[position], "cache_control": mark}
                break
    return blocks


def _blocks_beside(message: Body, name: str) -> list[Body]:
    """Return blocks that Afterword's answers have beside the content, also from where LiteLLM moves them."""
    moved = message.get("provider_specific_fields")
    return message.get(name) or (moved.get(name) if isinstance(moved, dict) else None) or []


def _blocks(content: Any) -> list[Body]:
    if not content:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    blocks = [_block(part) if isinstance(part, dict) else {"type": "text", "text": str(part)} for part in content]
    return [block for block in blocks if block is not None and (block.get("type") != "text" or block.get("text"))]


def _block(part: Body) -> Body | None:
    """Return a content part as a block; None for another provider's thoughts, which the API would refuse."""
    mark = {"cache_control": part["cache_control"]} if part.get("cache_control") else {}
    match part.get("type"):
        case "text":
            return {"type": "text", "text": part.get("text", ""), **mark}
        case "refusal":
            return {"type": "text", "text": part.get("refusal", ""), **mark}
        case "image_url":
            address = part["image_url"]
            source = _source(address["url"] if isinstance(address, dict) else address)
            return {"type": "image", "source": source, **mark}
        case "file" if isinstance(file := part.get("file"), dict) and (file.get("file_data") or file.get("file_id")):
            others = {name: part[name] for name in ("context", "citations") if part.get(name)} | mark
            if file.get("filename"):
                others["title"] = file["filename"]
            if file.get("file_data"):
                return {"type": "document", "source": _document_source(file["file_data"]), **others}
            return {"type": "document", "source": {"type": "file", "file_id": file["file_id"]}, **others}
        case "thinking" | "reasoning" if not is_signed(part):
            return None
    return part


def _source(address: str) -> Body:
    head, comma, data = address.partition(",")
    if comma and head.startswith("data:"):
        declared_type = head[5:].partition(";")[0]
        media_type = next((kind for start, kind in IMAGE_TYPES.items() if data.startswith(start)), declared_type)
        return {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "url", "url": address}


def _document_source(address: str) -> Body:
    source = _source(address)
    if source.get("media_type") == "text/plain":
        text = base64.b64decode(source["data"]).decode("utf-8", "replace")
        return {"type": "text", "media_type": "text/plain", "data": text}
    return source


# ------------------------------------------------------------------------------------------------ tools


def _tool_use(call: Body) -> Body:
    function = call.get("function", {})
    mark = {"cache_control": call["cache_control"]} if call.get("cache_control") else {}
    text = function.get("arguments")
    try:
        arguments = _decoder.decode(text) if isinstance(text, str) and text.strip() else text or {}
    except msgspec.DecodeError:
        arguments = text
    if not isinstance(arguments, dict):
        arguments = {"arguments": text}
    return {
        "type": "tool_use",
        "id": tool_id(call.get("id")),
        "name": function.get("name", ""),
        "input": arguments,
        **mark,
    }


def _tool(tool: Body) -> Body:
    if tool.get("type") != "function":
        # One of the provider's own tools.
        return tool
    function = tool.get("function", {})
    schema = {"type": "object", **(function.get("parameters") or {"properties": {}})}
    translated = {"name": function.get("name"), "input_schema": schema}
    if function.get("description"):
        translated["description"] = function["description"]
    if function.get("strict") is not None:
        translated["strict"] = function["strict"]
    if mark := tool.get("cache_control") or function.get("cache_control"):
        translated["cache_control"] = mark
    return translated


def _tool_choice(choice: Any, parallel: bool | None) -> Body | None:
    translated: Body | None = None
    if isinstance(choice, str):
        translated = {"type": {"required": "any"}.get(choice, choice)}
    elif isinstance(choice, dict):
        translated = {"type": "tool", "name": choice.get("function", {}).get("name")}
    if parallel is False:
        translated = {**(translated or {"type": "auto"})}
        if translated["type"] != "none":
            translated["disable_parallel_tool_use"] = True
    return translated
