"""What Anthropic's Messages API refuses, by its published reference (version 2023-06-01)."""

from __future__ import annotations

import re
from typing import Any

FIELDS = {
    "model", "messages", "max_tokens", "system", "metadata", "stop_sequences", "stream", "temperature", "top_k",
    "top_p", "tools", "tool_choice", "thinking", "output_config", "container", "context_management", "mcp_servers",
    "service_tier", "cache_control", "inference_geo", "speed",
}  # fmt: skip
BLOCK_FIELDS = {
    "text": {"text", "citations"},
    "image": {"source"},
    "document": {"source", "title", "context", "citations"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "tool_use": {"id", "name", "input", "caller"},
    "tool_result": {"tool_use_id", "content", "is_error"},
    "server_tool_use": {"id", "name", "input", "caller"},
    "web_search_tool_result": {"tool_use_id", "content", "caller"},
}
EFFORTS = {"low", "medium", "high", "max", "xhigh"}


def complaint(body: dict[str, Any]) -> str | None:
    """Return why a request is refused with 400; None where it is not."""
    if extra := sorted(body.keys() - FIELDS):
        return f"{extra[0]}: Extra inputs are not permitted"
    if not body["messages"]:
        return "messages: at least one message is required"
    for number, message in enumerate(body["messages"]):
        if extra := sorted(message.keys() - {"role", "content"}):
            return f"messages.{number}.{extra[0]}: Extra inputs are not permitted"
        for block in message["content"] if isinstance(message["content"], list) else ():
            if why := _of_block(block):
                return f"messages.{number}.content: {why}"
    if not set(body.get("metadata") or {}) <= {"user_id"}:
        return "metadata: Extra inputs are not permitted"
    return _of_thinking(body) or _of_sampling(body)


def _of_block(block: dict[str, Any]) -> str | None:
    kind = block.get("type")
    if kind not in BLOCK_FIELDS:
        return f"Input tag {kind!r} does not match any of the expected tags"
    if extra := sorted(block.keys() - BLOCK_FIELDS[kind] - {"type", "cache_control"}):
        return f"{kind}.{extra[0]}: Extra inputs are not permitted"
    if kind == "text" and not block["text"]:
        return "text content blocks must be non-empty"
    if kind == "thinking" and ("cache_control" in block or not block.get("signature")):
        return "thinking.signature: Field required"
    if kind == "tool_use" and not (isinstance(block["input"], dict) and re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"])):
        return "tool_use.input: Input should be a valid dictionary, and id match ^[a-zA-Z0-9_-]+$"
    return None


def _version(body: dict[str, Any]) -> tuple[int, ...]:
    """Return the version that the model's name tells: `claude-sonnet-4-5-20250929` is (4, 5). Others are as 4.6."""
    name = body["model"].rpartition(":")[2]
    return tuple(int(part) for part in re.findall(r"(?<=-)\d{1,2}(?=-|$)", name)[:2]) or (4, 6)


def _of_thinking(body: dict[str, Any]) -> str | None:
    version, thinking = _version(body), body.get("thinking") or {}
    kind = thinking.get("type")
    effort = (body.get("output_config") or {}).get("effort")
    if kind == "enabled" and version >= (4, 7):
        return '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".'
    if kind == "adaptive" and version < (4, 6):
        return "adaptive thinking is not supported on this model"
    if kind and version < (3, 7):
        return "thinking: this model does not support thinking"
    if effort and (effort not in EFFORTS or (effort == "xhigh" and version < (4, 7)) or version < (4, 5)):
        return f"output_config.effort: {effort!r} is not supported on this model"
    if not kind or kind == "disabled":
        return None
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        return "Thinking may not be enabled when tool_choice forces tool use."
    if kind == "enabled":
        if thinking["budget_tokens"] < 1024:
            return "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        if thinking["budget_tokens"] >= body["max_tokens"]:
            return "`max_tokens` must be greater than `thinking.budget_tokens`."
        answers = [message["content"] for message in body["messages"] if message["role"] == "assistant"]
        first = answers[-1][0]["type"] if answers and isinstance(answers[-1], list) else "thinking"
        calls = answers and any(block["type"] == "tool_use" for block in answers[-1])
        if calls and first not in ("thinking", "redacted_thinking"):
            return "Expected `thinking` or `redacted_thinking`, but found `tool_use`."
    return None


def _of_sampling(body: dict[str, Any]) -> str | None:
    version = _version(body)
    names = [name for name in ("temperature", "top_p", "top_k") if name in body]
    if names and version >= (4, 7):
        return f"`{names[0]}` is deprecated for this model."
    if wrong := [name for name in names if isinstance(body[name], bool) or not isinstance(body[name], int | float)]:
        return f"{wrong[0]}: Input should be a valid number"
    if "temperature" in names and not 0 <= body["temperature"] <= 1:
        return "temperature: range: 0..1"
    if {"temperature", "top_p"} <= set(names) and version >= (4, 1):
        return "`temperature` and `top_p` cannot both be specified for this model."
    thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    if thinks and (body.get("temperature", 1) != 1 or "top_k" in names or not 0.95 <= body.get("top_p", 1) <= 1):
        return "`temperature` may only be set to 1 when thinking is enabled."
    return None
