"""Answers of chat in the form of Google's generateContent, and Google's answers in the form of chat."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from afterword.gateway.call_format import AnswerIds
from afterword.gateway.formats.generate_content.requests import assistant_message, in_camel_case
from afterword.gateway.provider import Body

FINISH_REASONS = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "function_call": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}
"""Google's word for each finish reason of chat."""
CHAT_FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"), "content_filter"
    ),
}
_encoder = msgspec.json.Encoder()


def whole_answer(chat_answer: Body, request: Body, ids: AnswerIds) -> Body:
    """Return a whole answer of chat as Google's clients read it."""
    candidates = [
        candidate(choice.get("index", 0), message_parts(choice.get("message") or {}), choice.get("finish_reason"))
        for choice in chat_answer.get("choices") or ()
    ]
    return answer_of(candidates, chat_answer, request, ids, usage=chat_answer.get("usage"))


def answer_of(
    candidates: list[Body], chat_answer: Body, request: Body, ids: AnswerIds, usage: Body | None = None
) -> Body:
    """Return an answer, or a chunk of one, with these candidates. `chat_answer` has the model's name."""
    answer: Body = {
        "candidates": candidates,
        "modelVersion": chat_answer.get("model") or request.get("model"),
        "responseId": str(ids.completion_id(0)),
    }
    if usage is not None:
        answer["usageMetadata"] = usage_metadata(usage)
    for answer_candidate in candidates:
        answer_candidate["completion_id"] = str(ids.completion_id(answer_candidate["index"]))
    answer["session_id"] = str(ids.session_id)
    return answer


def candidate(index: int, parts: list[Body], finish_reason: str | None) -> Body:
    """Return a candidate. A part of a stream that is not its last has no finish reason."""
    body: Body = {"content": {"parts": parts, "role": "model"}, "index": index}
    if finish_reason is not None:
        body["finishReason"] = FINISH_REASONS.get(finish_reason, "OTHER")
    return body


def message_parts(message: Body) -> list[Body]:
    """Return the parts of an assistant message of chat, or of a delta without tool calls."""
    parts: list[Body] = []
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(reasoning, str) and reasoning:
        parts.append({"text": reasoning, "thought": True})
    content = message.get("content")
    if isinstance(content, list):
        parts += [
            {"text": part["text"]} for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        ]
    elif content:
        parts.append({"text": content})
    if refusal := message.get("refusal"):
        parts.append({"text": refusal})
    for call in message.get("tool_calls") or ():
        parts.append(function_call_part(call))
    return parts


def function_call_part(call: Body) -> Body:
    """Return the call of a tool as a part. Arguments that are no JSON object are its one argument `arguments`."""
    function = call.get("function") or {}
    arguments = function.get("arguments") or "{}"
    try:
        values = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, TypeError):
        values = None
    values = values if isinstance(values, dict) else {"arguments": arguments}
    return {"functionCall": {"id": call.get("id"), "name": function.get("name"), "args": values}}


def usage_metadata(usage: Body) -> Body:
    """Return the tokens of a call in Google's words: its `candidatesTokenCount` is without the tokens of thinking."""
    prompt, completion = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    thoughts = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
    return {
        "promptTokenCount": prompt,
        "candidatesTokenCount": max(0, completion - thoughts),
        "totalTokenCount": usage.get("total_tokens") or prompt + completion,
        **({"thoughtsTokenCount": thoughts} if thoughts else {}),
        **({"cachedContentTokenCount": cached} if cached else {}),
    }


def _detail(usage: Body, group: str, name: str) -> int:
    details = usage.get(group)
    number = details.get(name) if isinstance(details, dict) else None
    return number if isinstance(number, int) else 0


# ------------------------------------------------------------------------------------------------ for the log


def chat_answer(answer: Body, call_counts: Mapping[int, int] | None = None) -> Body:
    """Return Google's answer, or a chunk of its stream, as an answer of chat.

    `call_counts` are the numbers of calls of tools that came in earlier chunks, by the index of their candidate.
    """
    answer = in_camel_case(answer)
    others = {
        name: value
        for name, value in answer.items()
        if name not in ("candidates", "usageMetadata", "modelVersion", "responseId", "createTime")
    }
    body: Body = {
        "id": answer.get("responseId"),
        "model": answer.get("modelVersion"),
        "choices": [
            _choice(in_camel_case(candidate_body), position, call_counts or {})
            for position, candidate_body in enumerate(answer.get("candidates") or ())
        ],
        **others,
    }
    feedback = answer.get("promptFeedback")
    if isinstance(feedback, dict) and feedback.get("blockReason") and not body["choices"]:
        # The prompt was refused: there is no candidate.
        message = {"role": "assistant", "content": ""}
        body["choices"] = [{"index": 0, "message": message, "finish_reason": "content_filter"}]
    if isinstance(metadata := answer.get("usageMetadata"), dict):
        body["usage"] = _usage_of_metadata(metadata)
    return body


def _choice(candidate_body: Body, position: int, call_counts: Mapping[int, int]) -> Body:
    index = candidate_body.get("index", position)
    content = candidate_body.get("content") or {}
    parts = [in_camel_case(part) for part in content.get("parts") or ()]
    message = assistant_message(parts, index, {}, call_counts.get(index, 0))
    reason = candidate_body.get("finishReason")
    finish_reason = CHAT_FINISH_REASONS.get(reason, str(reason).lower()) if reason else None
    if finish_reason == "stop" and message.get("tool_calls"):
        finish_reason = "tool_calls"
    others = {name: value for name, value in candidate_body.items() if name not in ("content", "finishReason", "index")}
    return {"index": index, "message": message, "finish_reason": finish_reason, **others}


def _usage_of_metadata(metadata: Body) -> Body:
    names = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")
    prompt, candidates, thoughts, tool_prompt = (metadata.get(name) or 0 for name in names)
    usage: Body = {
        "prompt_tokens": prompt + tool_prompt,
        "completion_tokens": candidates + thoughts,
        "total_tokens": metadata.get("totalTokenCount") or prompt + tool_prompt + candidates + thoughts,
    }
    if thoughts:
        usage["completion_tokens_details"] = {"reasoning_tokens": thoughts}
    if cached := metadata.get("cachedContentTokenCount"):
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    return usage


def put_ids(answer: Body, ids: AnswerIds) -> None:
    """Put Afterword's ids into Google's answer or chunk, in place."""
    answer["responseId"] = str(ids.completion_id(0))
    answer["session_id"] = str(ids.session_id)
    for position, provider_candidate in enumerate(answer.get("candidates") or ()):
        if isinstance(provider_candidate, dict):
            index = provider_candidate.get("index", position)
            provider_candidate["completion_id"] = str(ids.completion_id(index))
