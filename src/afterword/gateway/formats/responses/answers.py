"""Answers of chat as responses, whole: the object, its status and its usage."""

from __future__ import annotations

import time
from typing import Any

from afterword.gateway.call_format import AnswerIds
from afterword.gateway.formats.responses.output_items import ItemIds, custom_tool_names, output_items
from afterword.gateway.provider import Body

ID_PREFIX = "resp_"
INCOMPLETE_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""The reason of an incomplete response for each finish reason of chat that has one."""
FINISH_REASONS = {reason: finish_reason for finish_reason, reason in INCOMPLETE_REASONS.items()}

_ECHOED_FIELDS: Body = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": None,
    "store": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": None,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""Fields of a request that its response repeats, with the values of those that were not given."""


def whole_response(chat_answer: Body, request: Body, ids: AnswerIds) -> Body:
    """Return a whole answer of chat as a response."""
    choice = next(iter(chat_answer.get("choices") or ()), {})
    message, reason = choice.get("message") or {}, choice.get("finish_reason")
    status = status_of(reason)
    items = output_items(
        message,
        ItemIds(ids.completion_id(0)),
        custom_tools=custom_tool_names(request),
        summarizes=wants_summary(request),
        logprobs=choice.get("logprobs"),
        status=status,
    )
    return {
        **response_head(request, ids, chat_answer),
        **response_end(status, reason, chat_answer.get("usage")),
        "output": items,
    }


def response_head(request: Body, ids: AnswerIds, chat_answer: Body) -> Body:
    """Return a response that has just begun. `chat_answer` is the answer, or the first chunk of it."""
    echoed = {name: default if request.get(name) is None else request[name] for name, default in _ECHOED_FIELDS.items()}
    if isinstance(text := request.get("text"), dict):
        echoed["text"] = {**_ECHOED_FIELDS["text"], **text}
    if chat_answer.get("service_tier"):
        echoed["service_tier"] = chat_answer["service_tier"]
    completion_id = ids.completion_id(0)
    return {
        "id": f"{ID_PREFIX}{completion_id}",
        "object": "response",
        "created_at": chat_answer.get("created") or int(time.time()),
        "status": "in_progress",
        "model": chat_answer.get("model") or request.get("model") or "",
        "output": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
        **echoed,
        "completion_id": str(completion_id),
        "session_id": str(ids.session_id),
    }


def response_end(status: str, finish_reason: Any, usage: Body | None) -> Body:
    """Return the members that a response has at its end."""
    reason = INCOMPLETE_REASONS.get(str(finish_reason)) if status == "incomplete" else None
    return {
        "status": status,
        "completed_at": int(time.time()) if status == "completed" else None,
        "incomplete_details": {"reason": reason} if reason else None,
        "usage": response_usage(usage),
    }


def status_of(finish_reason: Any) -> str:
    """Return the status of a response that ended for this reason."""
    return "incomplete" if finish_reason in INCOMPLETE_REASONS else "completed"


def wants_summary(request: Body) -> bool:
    """Tell whether a request asks for a summary of the reasoning. If not, reasoning is shown as the model's own."""
    reasoning = request.get("reasoning")
    return isinstance(reasoning, dict) and bool(reasoning.get("summary") or reasoning.get("generate_summary"))


def response_usage(usage: Any) -> Body | None:
    """Return usage of chat as that of a response."""
    if not isinstance(usage, dict) or not isinstance(usage.get("prompt_tokens"), int):
        return None
    prompt, completion = usage["prompt_tokens"], usage.get("completion_tokens") or 0
    prompt_details, completion_details = (
        details if isinstance(details := usage.get(name), dict) else {}
        for name in ("prompt_tokens_details", "completion_tokens_details")
    )
    return {
        "input_tokens": prompt,
        "input_tokens_details": {
            **prompt_details,
            "cached_tokens": prompt_details.get("cached_tokens") or 0,
            "cache_write_tokens": prompt_details.get("cache_creation_tokens") or 0,
        },
        "output_tokens": completion,
        "output_tokens_details": {
            **completion_details,
            "reasoning_tokens": completion_details.get("reasoning_tokens") or 0,
        },
        "total_tokens": usage.get("total_tokens") or prompt + completion,
    }


def chat_usage(usage: Any) -> Body | None:
    """Return the usage of a response as that of chat."""
    if not isinstance(usage, dict) or not isinstance(usage.get("input_tokens"), int):
        return None
    completion = usage.get("output_tokens") or 0
    details = {
        chat_name: usage[name]
        for name, chat_name in (
            ("input_tokens_details", "prompt_tokens_details"),
            ("output_tokens_details", "completion_tokens_details"),
        )
        if isinstance(usage.get(name), dict)
    }
    known_names = {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input_tokens_details",
        "output_tokens_details",
    }
    return {
        **{name: value for name, value in usage.items() if name not in known_names},
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": completion,
        "total_tokens": usage.get("total_tokens") or usage["input_tokens"] + completion,
        **details,
    }
