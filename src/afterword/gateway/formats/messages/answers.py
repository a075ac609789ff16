"""Whole answers of chat, translated to messages of the Messages API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeGuard
from uuid import UUID, uuid4

import msgspec

from afterword.gateway.call_format import AnswerIds
from afterword.gateway.provider import Body

ID_PREFIX = "msg_"
STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
OWN_STOP_REASONS = frozenset(
    {"end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"}
)
SERVICE_TIERS = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}

_decoder = msgspec.json.Decoder()


def message_of_answer(chat_answer: Body, request: Body, ids: AnswerIds) -> Body:
    """Return a whole answer of chat as a message. `request` is the caller's, in the form of the Messages API."""
    choices = chat_answer.get("choices") or [{}]
    chat_message = choices[0].get("message") or {}
    usage = chat_answer.get("usage")
    return {
        **message_head(chat_answer, request, ids),
        "content": _blocks(chat_message),
        **stop_members(
            choices[0],
            request,
            has_calls=bool(chat_message.get("tool_calls") or chat_message.get("function_call")),
            has_refusal=bool(chat_message.get("refusal")),
        ),
        "usage": message_usage(usage if isinstance(usage, dict) else {}, chat_answer.get("service_tier")),
    }


def message_head(chat_answer: Body, request: Body, ids: AnswerIds) -> Body:
    """Return the members that a message begins with."""
    completion_id = ids.completion_id(0)
    return {
        "id": message_id(completion_id),
        "type": "message",
        "role": "assistant",
        "model": chat_answer.get("model") or request.get("model") or "",
        "completion_id": completion_id,
        "session_id": ids.session_id,
    }


def message_id(completion_id: UUID) -> str:
    """Return the id of a message, by which feedback on it can be given."""
    return f"{ID_PREFIX}{completion_id}"


# ------------------------------------------------------------------------------------------------ blocks


def _blocks(message: Body) -> list[Body]:
    """Return the blocks of a message, in the order in which Claude writes them."""
    blocks: list[Body] = []
    thoughts = message.get("thinking_blocks")
    if thoughts:
        blocks += [without_index(thought) for thought in thoughts if isinstance(thought, dict)]
    elif reasoning := reasoning_text(message):
        blocks.append(thinking_block(reasoning))
    blocks += [block for block in message.get("provider_blocks") or () if isinstance(block, dict)]
    citations = [citation(annotation) for annotation in message_annotations(message)]
    if text := "".join(content_texts(message)):
        blocks.append({"type": "text", "text": text, "citations": citations or None})
    blocks += [_tool_use(call) for call in message.get("tool_calls") or () if isinstance(call, dict)]
    if isinstance(call := message.get("function_call"), dict):
        blocks.append(_tool_use({"function": call}))
    return blocks


def thinking_block(text: str) -> Body:
    """Return a thought of a model that signs none."""
    return {"type": "thinking", "thinking": text, "signature": ""}


def without_index(block: Body) -> Body:
    """Return a block without the index by which providers of chat number its pieces."""
    return {name: value for name, value in block.items() if name != "index"}


def reasoning_text(message: Body) -> str:
    """Return the reasoning in a message or delta, under either of its names."""
    return next((value for name in ("reasoning_content", "reasoning") if _is_text(value := message.get(name))), "")


def content_texts(message: Body) -> Iterable[str]:
    """Return the texts of a message or delta: its content, which may have parts, and its refusal."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"text": content}]
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return [text for text in (*texts, message.get("refusal")) if _is_text(text)]


def message_annotations(message: Body) -> list[Body]:
    """Return the annotations of a message or delta."""
    values = message.get("annotations")
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def citation(annotation: Body) -> Body:
    """Return an annotation as a citation: the provider's own, if it is translated from one."""
    kind = str(annotation.get("type"))
    inner = annotation.get(kind)
    inner = inner if isinstance(inner, dict) else annotation
    if kind == "url_citation":
        return {
            "type": "web_search_result_location",
            "url": inner.get("url") or "",
            "title": inner.get("title"),
            "cited_text": inner.get("content") or "",
            "encrypted_index": "",
        }
    return {name: value for name, value in inner.items() if name not in ("start_index", "end_index")}


def _tool_use(call: Body) -> Body:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    return {
        "type": "tool_use",
        "id": tool_use_id(call),
        "name": function.get("name") or "",
        "input": _tool_input(function.get("arguments")),
    }


def tool_use_id(call: Body) -> str:
    """Return the id of a call, by which its result is sent; one of our own if the provider gives none."""
    return call.get("id") or f"toolu_{uuid4().hex}"


def _tool_input(arguments: Any) -> Body:
    """Return a call's arguments as an object. Text that is none is put into one, as Anthropic's reference advises."""
    if arguments is None or arguments == "":
        return {}
    value = arguments
    if isinstance(arguments, str):
        try:
            value = _decoder.decode(arguments)
        except msgspec.DecodeError:
            value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value)


# ------------------------------------------------------------------------------------------------ ends


def stop_members(choice: Body, request: Body, *, has_calls: bool, has_refusal: bool) -> Body:
    """Return `stop_reason` and `stop_sequence` for a choice that has ended."""
    finish_reason, own_reason = choice.get("finish_reason"), choice.get("stop_reason")
    reason = STOP_REASONS.get(str(finish_reason), "end_turn")
    sequences = request.get("stop_sequences")
    if has_refusal:
        reason = "refusal"
    elif has_calls and reason == "end_turn":
        # Some providers of chat end calls of tools with "stop".
        reason = "tool_use"
    elif isinstance(own_reason, str) and isinstance(sequences, list) and own_reason in sequences:
        # vLLM names the text that it stopped at.
        return {"stop_reason": "stop_sequence", "stop_sequence": own_reason}
    elif own_reason in OWN_STOP_REASONS:
        reason = own_reason
    return {"stop_reason": reason, "stop_sequence": choice.get("stop_sequence")}


def message_usage(usage: Body, service_tier: Any = None) -> Body:
    """Return usage in Anthropic's words: the input without what was read from the cache or written to it."""
    prompt_details = _object(usage, "prompt_tokens_details")
    cached, written = (_count(prompt_details, name) for name in ("cached_tokens", "cache_creation_tokens"))
    translated: Body = {
        "input_tokens": max(0, _count(usage, "prompt_tokens") - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": _count(usage, "completion_tokens"),
    }
    if thinking := _count(_object(usage, "completion_tokens_details"), "reasoning_tokens"):
        translated["output_tokens_details"] = {"thinking_tokens": thinking}
    if tier := SERVICE_TIERS.get(str(service_tier)):
        translated["service_tier"] = tier
    return translated | ({"estimated": True} if usage.get("estimated") else {})


def _count(values: Body, name: str) -> int:
    value = values.get(name)
    return value if isinstance(value, int) else 0


def _object(values: Body, name: str) -> Body:
    value = values.get(name)
    return value if isinstance(value, dict) else {}
