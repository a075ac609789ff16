"""Translates calls as LiteLLM logs them (its standard logging payload) to interactions.

A call is one interaction for each of its choices. The id of the first is that of the text `ID-STARTTIME`
(`ids.id_of_text`): the `id` alone is not unique, because failed attempts share that of their call, and some providers
give each answer the same. The ids of further choices follow it (`ids.id_of_choice`).
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from afterword.call_forms import conventions
from afterword.call_forms.content import LoggedChoice, as_text, bare_completion, choices_of_value, messages_of_value
from afterword.call_forms.spans import find_identifier
from afterword.call_forms.timings import call_timings
from afterword.ids import id_of_choice, id_of_text
from afterword.message_words import vectors_in_words
from afterword.types import LiteLLMCall, LoggedOperation, NewCall, NewInteraction

OPERATIONS: dict[str, LoggedOperation] = {
    **dict.fromkeys(("", "completion", "acompletion", "responses", "aresponses", "anthropic_messages"), "chat"),
    **dict.fromkeys(("generate_content", "agenerate_content"), "chat"),
    **dict.fromkeys(("generate_content_stream", "agenerate_content_stream"), "chat"),
    **dict.fromkeys(("text_completion", "atext_completion"), "completions"),
    **dict.fromkeys(("embedding", "aembedding"), "embeddings"),
}
"""The operations of LiteLLM's functions. Calls of others are kept if their answer has choices."""
LITELLM_MEMBERS = frozenset({"id", "call_type", "status", "startTime", "endTime", "model_parameters"})
"""Members by which a logged call of LiteLLM is recognized."""

NON_PARAMETERS = conventions.NON_PARAMETERS - {"tools"} | {"instructions"}
API_KEY_PREFIX = "user_api_key_"
UNLABELLED_KEY_FACTS = frozenset({"user_api_key_hash", "user_api_key_request_route", "user_api_key_end_user_id"})
OWN_TAG_PREFIX = "User-Agent: "
"""The beginning of tags that LiteLLM adds itself."""
CALLER_METADATA = ("spend_logs_metadata", "requester_metadata")
KEPT_MEMBERS = (
    "call_type",
    "litellm_call_id",
    "model_id",
    "api_base",
    "cache_hit",
    "cost_breakdown",
    "guardrail_information",
)
"""Members without a place of their own, which are kept in `parameters.litellm`."""
REQUEST_ID_HEADERS = ("llm_provider-x-request-id", "llm_provider-request-id", "x-request-id")
_STORED_ELSEWHERE = frozenset({"id", "object", "created", "model", "choices", "usage"})
_CHOICE_STORED_ELSEWHERE = frozenset({"index", "message", "text", "finish_reason"})


def interactions_of_litellm(call: LiteLLMCall, project_key: str) -> list[NewInteraction]:
    """Return the interaction of each choice of a call; none for a call of a function that is no operation."""
    response = call.response if isinstance(call.response, dict) else {}
    raw_choices = response.get("choices")
    raw_choices = raw_choices if isinstance(raw_choices, list) else []
    operation = OPERATIONS.get(call.call_type or "", "chat" if raw_choices else None)
    if operation is None:
        return []
    first_id = id_of_text(project_key, f"{call.id}-{call.start!r}")
    shared = _shared_interaction(call, response)
    if operation == "embeddings":
        vectors = response.get("data")
        choices = [LoggedChoice(vectors_in_words(vectors))] if isinstance(vectors, list) else []
    else:
        choices = [choice for raw in raw_choices for choice in _choices({"choices": [raw]})] or _choices(call.response)
    assert shared.call is not None
    answer_facts = _without_empty(response, _STORED_ELSEWHERE) if raw_choices else {}
    interactions: list[NewInteraction] = []
    for index, choice in enumerate(choices or [LoggedChoice()]):
        raw = raw_choices[index] if index < len(raw_choices) else None
        choice_facts = _without_empty(raw, _CHOICE_STORED_ELSEWHERE) if isinstance(raw, dict) else {}
        facts = {"answer": answer_facts, "choice": choice_facts}
        reason = choice.finish_reason or ("error" if shared.call.state == "failed" else None)
        interactions.append(
            replace(
                shared,
                completion_id=id_of_choice(first_id, index),
                completion=choice.completion,
                operation=operation,
                # The choices of an answer stand together, even if nothing names their session.
                session_id=shared.session_id or (str(first_id) if len(choices) > 1 else None),
                # The tokens of a call are counted once, however many completions it made.
                usage=None if index else shared.usage,
                facts={name: members for name, members in facts.items() if members} or None,
                call=replace(shared.call, finish_reason=reason),
            )
        )
    return interactions


def _shared_interaction(call: LiteLLMCall, response: dict[str, Any]) -> NewInteraction:
    """Return what the interactions of all choices share."""
    metadata = call.metadata or {}
    parameters = call.model_parameters or {}
    usage = _tokens_and_cost(call, metadata)
    is_streamed = bool(call.stream or parameters.get("stream"))
    labels, unfit_metadata = _labels_and_metadata(call, metadata)
    kept_members = {name: value for name in KEPT_MEMBERS if (value := getattr(call, name)) not in (None, "", False)}
    kept_parameters = {
        **{name: value for name, value in parameters.items() if name not in NON_PARAMETERS and value is not None},
        **({"metadata": unfit_metadata} if unfit_metadata else {}),
        "litellm": kept_members,
    }
    provider_model = response.get("model")
    if call.model_group and provider_model in (None, "", call.model_group):
        # The router names the model as the caller did.
        provider_model = call.model
    error = _failure(call)
    return NewInteraction(
        messages=_messages(call, parameters),
        completion="",
        model=find_identifier(call.model_group or call.model),
        labels=labels or None,
        user=call.end_user or _optional_text(parameters.get("user")),
        session_id=find_identifier(call.session_id or call.trace_id),
        created_at=call.start or None,
        usage=usage or None,
        timings=_timings(call, usage, is_streamed=is_streamed) or None,
        parameters=kept_parameters,
        source="LIVE",
        call=NewCall(
            state="failed" if error else "complete",
            error=error,
            response_id=find_identifier(response.get("id") or (None if error else call.id)),
            provider_model=find_identifier(provider_model),
            provider_request_id=_provider_request_id(call),
            trace_id=find_identifier(call.trace_id),
            streamed=is_streamed,
        ),
    )


def _messages(call: LiteLLMCall, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    messages = messages_of_value(call.messages)
    if isinstance(call.messages, list) and all(isinstance(text, str) for text in call.messages):
        messages = [{"role": "user", "content": text} for text in call.messages]
    instructions = parameters.get("instructions")
    return [{"role": "system", "content": instructions}, *messages] if isinstance(instructions, str) else messages


def _choices(response: Any) -> list[LoggedChoice]:
    """Return the completions of an answer, without the members of messages that LiteLLM adds empty."""
    choices = choices_of_value(response)
    for choice in choices:
        if isinstance(choice.completion, dict):
            provider_fields = choice.completion.get("provider_specific_fields")
            if isinstance(provider_fields, dict):
                choice.completion["provider_specific_fields"] = _without_empty(provider_fields)
                choice.completion = bare_completion(choice.completion)
    return choices


def _tokens_and_cost(call: LiteLLMCall, metadata: dict[str, Any]) -> dict[str, Any]:
    counts = {name: getattr(call, name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    usage_object = metadata.get("usage_object")
    usage = _without_empty({**counts, **(usage_object if isinstance(usage_object, dict) else {})})
    usage = {name: _without_empty(value) if isinstance(value, dict) else value for name, value in usage.items()}
    if not any(usage.values()):
        return {}
    if call.response_cost:
        usage.setdefault("cost", call.response_cost)
    return usage


def _timings(call: LiteLLMCall, usage: dict[str, Any], *, is_streamed: bool) -> dict[str, Any]:
    if call.end is None:
        return {}
    # LiteLLM tells the end for an answer that was not streamed.
    first_token = call.first_token if is_streamed else None
    return call_timings(
        (call.end - call.start) * 1000,
        None if first_token is None else (first_token - call.start) * 1000,
        usage.get("completion_tokens"),
    )


def _labels_and_metadata(call: LiteLLMCall, metadata: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the labels of a call, and the caller's metadata that is no text, number or truth value."""
    labels: dict[str, str] = {}
    unfit: dict[str, Any] = {}
    if call.custom_llm_provider:
        labels["provider"] = call.custom_llm_provider
    if call.cache_hit:
        labels["cache_hit"] = "true"
    labels |= {
        name: value
        for name, value in metadata.items()
        if name.startswith(API_KEY_PREFIX) and name not in UNLABELLED_KEY_FACTS and isinstance(value, str) and value
    }
    for tag in call.request_tags or ():
        if not as_text(tag).startswith(OWN_TAG_PREFIX):
            labels[f"tag.{as_text(tag)}"] = "true"
    for source in CALLER_METADATA:
        members = metadata.get(source)
        for name, value in members.items() if isinstance(members, dict) else ():
            if isinstance(value, str | int | float):
                labels[name] = as_text(value)
            elif value is not None and name != "tags":
                unfit[name] = value
    return labels, unfit


def _failure(call: LiteLLMCall) -> dict[str, Any] | None:
    """Return why a call failed; None if it did not."""
    if call.status != "failure":
        return None
    facts = call.error_information or {}
    status = str(facts.get("error_code") or "")
    return {
        **({"status": int(status)} if status.isascii() and status.isdigit() else {}),
        "type": "provider_error",
        "code": facts.get("error_class") or status or "error",
        "message": facts.get("error_message") or call.error_str or "",
    }


def _provider_request_id(call: LiteLLMCall) -> str | None:
    headers = (call.hidden_params or {}).get("additional_headers")
    headers = headers if isinstance(headers, dict) else {}
    ids = [(call.error_information or {}).get("error_provider_request_id"), *map(headers.get, REQUEST_ID_HEADERS)]
    return find_identifier(next(filter(None, ids), None))


def _optional_text(value: Any) -> str | None:
    return None if value is None else as_text(value)


def _without_empty(members: dict[str, Any], left_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", [], {}) and name not in left_out}
