"""Requests that came in the form of the Messages API, as providers of chat take them.

What only Anthropic knows is left out where the call is the same without it, put into words where a model can read
them, and refused by name where the caller would get something else than they asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from afterword.errors import Invalid
from afterword.gateway.call_format import ChatProviderRequest
from afterword.gateway.formats.messages.native_requests import is_signed
from afterword.gateway.provider import Body

# Anthropic's fields without which a call means the same: caching, limits on context, billing.
LEFT_OUT_FIELDS = (
    "betas", "billing_policy", "cache_control", "compaction", "container", "context_management", "diagnostics",
    "fallback_credit_token", "fallbacks", "inference_geo", "speed", "thread", "user_profile_id",
)  # fmt: skip
MESSAGE_MEMBERS = frozenset({"role", "content", "name", "refusal", "tool_calls", "tool_call_id"})
CALL_MEMBERS = ("id", "type", "function")
# Members of parts that chat has, by the type of part.
PART_MEMBERS = {"text": ("type", "text"), "image_url": ("type", "image_url"), "file": ("type", "file")}
ONLY_ANTHROPIC_HINT = "Call a model of the provider anthropic, which gets the request as it is, or leave it out."


def chat_provider_request(chat_request: Body) -> ChatProviderRequest:
    """Return a translated request in what OpenAI's API knows. Raises `Invalid` for what it has no counterpart of."""
    if chat_request.get("mcp_servers"):
        raise _only_anthropic("mcp_servers", "mcp_servers")
    left_out = [name for name in LEFT_OUT_FIELDS if chat_request.get(name) is not None]
    body = {name: value for name, value in chat_request.items() if name not in LEFT_OUT_FIELDS}
    body["messages"] = list(_with_tool_media_after(map(_provider_message, body["messages"])))
    if isinstance(tools := body.get("tools"), list):
        body["tools"] = [_tool(position, tool) for position, tool in enumerate(tools)]
    return ChatProviderRequest(body, left_out)


def _only_anthropic(description: str, param: str) -> Invalid:
    return Invalid(
        f"{param}: {description} works only at a provider that has Anthropic's Messages API, and this model's has not.",
        code="unsupported_value",
        param=param,
        hint=ONLY_ANTHROPIC_HINT,
    )


def _tool(position: int, tool: Any) -> Any:
    if not isinstance(tool, dict):
        return tool
    if tool.get("type") != "function":
        raise _only_anthropic(f"the tool {str(tool.get('type'))[:80]!r}", f"tools[{position}]")
    return {"type": "function", "function": tool.get("function")}


# ------------------------------------------------------------------------------------------------ messages


def _provider_message(message: Body) -> Body:
    outgoing = {name: value for name, value in message.items() if name in MESSAGE_MEMBERS}
    if isinstance(content := message.get("content"), list):
        outgoing["content"] = [part for block in content for part in _provider_parts(block)]
    if calls := message.get("tool_calls"):
        outgoing["tool_calls"] = [{name: call[name] for name in CALL_MEMBERS} for call in calls]
    elif message.get("role") == "assistant" and outgoing.get("content") is None:
        outgoing["content"] = ""
    thoughts = message.get("thinking_blocks") or ()
    if thoughts and not any(map(is_signed, thoughts)):
        # Thoughts without a signature are those of a model of chat, some of which want them back. Claude's own are
        # of no use to another model.
        outgoing["reasoning_content"] = message.get("reasoning_content", "")
    if message.get("is_error"):
        outgoing["content"] = _marked_as_error(outgoing.get("content"))
    return outgoing


def _marked_as_error(content: Any) -> Any:
    """Return a tool's result with the word that tells a model that the tool failed: chat has no member for it."""
    if isinstance(content, list):
        return [{"type": "text", "text": "Error:"}, *content]
    return content if str(content).casefold().startswith("error") else f"Error: {content}"


def _with_tool_media_after(messages: Iterator[Body]) -> Iterator[Body]:
    """Yield messages with the images and files of tool results in a user's message after them.

    OpenAI's API takes nothing but text from a tool. The results of one turn must not be interrupted.
    """
    for is_result, run in groupby(messages, lambda message: message.get("role") == "tool"):
        if not is_result:
            yield from run
            continue
        media: list[Body] = []
        for message in run:
            content = message.get("content")
            if isinstance(content, list):
                found = [part for part in content if part.get("type") != "text"]
                texts = [part for part in content if part.get("type") == "text"]
                if found:
                    media += [{"type": "text", "text": f"From the tool call {message['tool_call_id']}:"}, *found]
                message = {**message, "content": texts or "Its result is in the next message of the user."}
            yield message
        if media:
            yield {"role": "user", "content": media}


def _provider_parts(block: Any) -> Iterator[Any]:
    """Yield the parts of chat that a block stands for."""
    if not isinstance(block, dict):
        yield block
        return
    kind = str(block.get("type"))
    if members := PART_MEMBERS.get(kind):
        yield {name: block[name] for name in members if name in block}
    elif kind == "search_result":
        heading = f"{block.get('title') or ''} ({block.get('source') or ''})"
        yield {"type": "text", "text": heading}
        yield from _inner_parts(block.get("content"))
    elif kind == "document":
        yield from _document_parts(block)
    else:
        source = block.get("source")
        source_type = f" with a source of the type {source.get('type')!r}" if isinstance(source, dict) else ""
        raise _only_anthropic(f"a block of the type {kind[:80]!r}{source_type}", "messages")


def _document_parts(block: Body) -> Iterator[Body]:
    """Yield a document's title and context, then its text. Documents in base64 are files of chat already."""
    source = block.get("source")
    kind = source.get("type") if isinstance(source, dict) else None
    if not isinstance(source, dict) or kind not in ("text", "content"):
        raise _only_anthropic(f"a document with a source of the type {kind!r}", "messages")
    if heading := "\n".join(str(block[name]) for name in ("title", "context") if block.get(name)):
        yield {"type": "text", "text": heading}
    yield from _inner_parts(source.get("data") if kind == "text" else source.get("content"))


def _inner_parts(content: Any) -> Iterator[Any]:
    if isinstance(content, list):
        for block in content:
            yield from _provider_parts(block)
    else:
        yield {"type": "text", "text": str(content or "")}
