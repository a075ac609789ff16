"""What LiteLLM tells its generic logger, logged by one route: whole, once, and found by the id of the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

pytestmark = pytest.mark.any_store

PATH = "/api/v1/ingest/litellm"
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
NO_ERROR = {"error_code": "", "error_class": "", "llm_provider": "", "traceback": "", "error_message": ""}


def message(text: str | None = "In Paris.", **members: Any) -> dict[str, Any]:
    """Return a message with the members that LiteLLM adds empty."""
    return {
        "content": text,
        "role": "assistant",
        "tool_calls": None,
        "function_call": None,
        "annotations": [],
        "refusal": None,
        "provider_specific_fields": {"citations": None, "thinking_blocks": None},
        **members,
    }


def payload(*messages: dict[str, Any], response_id: str | None = None, **members: Any) -> dict[str, Any]:
    """Return a standard logging payload, as LiteLLM 1.110 makes it."""
    response_id = response_id or f"chatcmpl-{uuid4()}"
    choices = [
        {"finish_reason": "stop", "index": index, "message": one, "provider_specific_fields": {}, "logprobs": None}
        for index, one in enumerate(messages or (message(),))
    ]
    return {
        "id": response_id,
        "litellm_call_id": str(uuid4()),
        "trace_id": str(uuid4()),
        "session_id": "",
        "call_type": "acompletion",
        "cache_hit": None,
        "stream": None,
        "status": "success",
        "status_fields": {"llm_api_status": "success", "guardrail_status": "not_run"},
        "custom_llm_provider": "openai",
        "startTime": 1796072709.468194,
        "endTime": 1796072709.908194,
        "completionStartTime": 1796072709.908194,
        "model": "gpt-4o",
        "metadata": {"user_api_key_hash": None, "usage_object": {**USAGE, "prompt_tokens_details": None}},
        "response_cost": 0.25,
        **USAGE,
        "request_tags": [],
        "end_user": None,
        "api_base": "https://api.openai.com/v1",
        "model_group": "",
        "model_id": "",
        "messages": [{"role": "user", "content": "Where is the Louvre?"}],
        "response": {
            "id": response_id,
            "created": 1796072709,
            "model": "gpt-4o-2024-08-06",
            "object": "chat.completion",
            "system_fingerprint": "fp_1",
            "choices": choices,
            "usage": USAGE,
        },
        "model_parameters": {"temperature": 0.5, "stream": False},
        "hidden_params": {"additional_headers": {"llm_provider-x-request-id": "req_1"}},
        "error_str": None,
        "error_information": NO_ERROR,
        "model_map_information": {"model_map_key": "gpt-4o", "model_map_value": None},
        **members,
    }


Send = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def send(http: httpx.Client, project: str) -> Send:
    """Send payloads in one of LiteLLM's three forms; return the results of the lines."""

    def sent(*payloads: Any, form: str = "json_array", status: int = 200) -> list[dict[str, Any]]:
        lines = [json.dumps(one) for one in payloads]
        content = json.dumps(payloads) if form == "json_array" else "\n".join(lines)
        # LiteLLM says so for each of its forms.
        headers = {"content-type": "application/json"}
        answer = http.post(PATH, params={"project": project}, content=content, headers=headers)
        assert answer.status_code == status, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    return sent


def logged(http: httpx.Client, completion_id: str) -> dict[str, Any]:
    answer = http.get(f"/api/v1/interactions/{completion_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_payload_of_litellm_is_logged_whole(send: Send, http: httpx.Client):
    metadata = {
        "user_api_key_alias": "shop-key",
        "user_api_key_hash": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05",
        "user_api_key_team_alias": "red",
        "user_api_key_spend": 1.5,
        "requester_metadata": {"lang": "en", "rank": 3, "tags": ["x"], "deep": {"a": 1}},
        "spend_logs_metadata": {"ticket": "T-1"},
        "usage_object": {**USAGE, "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": None}},
    }
    one = payload(
        metadata=metadata,
        request_tags=["shop", "User-Agent: curl"],
        end_user="ann",
        session_id="visit",
        model_group="best",
    )
    [line] = send(one)
    assert line["status"] == 201
    shown = logged(http, line["completion_id"])
    assert shown["messages"] == [{"role": "user", "content": "Where is the Louvre?"}]
    assert (shown["completion"], shown["message"]) == ("In Paris.", None)
    assert (shown["model"], shown["source"], shown["user"], shown["session"]) == ("best", "LIVE", "ann", "visit")
    assert shown["labels"] == {
        "provider": "openai",
        "user_api_key_alias": "shop-key",
        "user_api_key_team_alias": "red",
        "tag.shop": "true",
        "lang": "en",
        "rank": "3",
        "ticket": "T-1",
    }
    assert shown["usage"] == {**USAGE, "completion_tokens_details": {"reasoning_tokens": 2}, "cost": 0.25}
    assert shown["timings"] == {"latency": 440, "tokens_per_second": 15.9}
    assert shown["created_at"].startswith("2026-11-30T21:05:09.468")
    assert shown["parameters"] == {
        "temperature": 0.5,
        "metadata": {"deep": {"a": 1}},
        "litellm": {
            "call_type": "acompletion",
            "litellm_call_id": one["litellm_call_id"],
            "api_base": "https://api.openai.com/v1",
        },
    }
    assert shown["facts"] == {"answer": {"system_fingerprint": "fp_1"}}
    call = shown["call"]
    assert (call["state"], call["finish_reason"], call["streamed"]) == ("complete", "stop", False)
    assert (call["response_id"], call["provider_model"]) == (one["id"], "gpt-4o-2024-08-06")
    assert (call["provider_request_id"], call["trace_id"]) == ("req_1", one["trace_id"])


@pytest.mark.parametrize("form", ["json_array", "ndjson"])
def test_payloads_are_taken_in_the_forms_of_litellm_and_stored_once(send: Send, http: httpx.Client, form: str):
    payloads = [payload(), payload(), payload(call_type="arerank", response={"results": []})]
    first = send(*payloads, form=form)
    assert [line["status"] for line in first] == [201, 201, 204]
    assert "completion_id" not in first[2]
    assert send(*payloads, form=form) == first
    [single] = send(payloads[1], form="single")
    assert single["completion_id"] == first[1]["completion_id"]


def test_feedback_finds_the_completion_by_the_id_of_the_answer(send: Send, http: httpx.Client, project: str):
    http.post("/api/v1/metrics", json={"key": "liked", "project": project}).raise_for_status()
    # LiteLLM makes ids of this form itself, where a provider gives none.
    for response_id in (f"chatcmpl-{uuid4()}", f"chatcmpl-{uuid4().hex}", f"gen-{uuid4()}"):
        [line] = send(payload(response_id=response_id))
        body = {"completion_id": response_id, "metric": "liked", "value": 1}
        http.post("/api/v1/feedback", json=body).raise_for_status()
        assert [value["value"] for value in logged(http, line["completion_id"])["feedback"]] == [1.0]


def test_each_choice_is_an_interaction_and_tokens_count_once(send: Send, http: httpx.Client, project: str):
    called = message(None, tool_calls=[{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}])
    one = payload(message(), called, trace_id=None)
    [line] = send(one)
    query = {"project": project, "view": "full", "order": "created_at"}
    first, second = sorted(
        http.get("/api/v1/interactions", params=query).json()["interactions"], key=lambda row: row["completion_id"]
    )
    assert first["completion_id"] == line["completion_id"]
    assert first["session_id"] == second["session_id"]
    assert (first["usage"]["total_tokens"], second["usage"]) == (18, None)
    assert second["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert "annotations" not in second["message"]
    refused = http.post("/api/v1/feedback", json={"completion_id": one["id"], "metric": "liked", "value": 1})
    assert refused.json()["error"]["code"] == "several_choices"
    assert second["completion_id"] in refused.text


def test_a_failed_call_keeps_its_error_and_each_attempt(send: Send, http: httpx.Client):
    call_id = str(uuid4())
    failed = {
        "status": "failure",
        "response": {},
        "response_cost": 0.0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "total_tokens": 0,
        "metadata": {"usage_object": {}},
        "error_str": "litellm.RateLimitError: slow down",
        "error_information": {
            "error_code": "429",
            "error_class": "RateLimitError",
            "error_message": "litellm.RateLimitError: slow down",
            "traceback": "File ...",
        },
    }
    attempts = [payload(response_id=call_id, **failed, startTime=1796072709.0 + number) for number in range(2)]
    lines = send(*attempts)
    assert [line["status"] for line in lines] == [201, 201]
    assert len({line["completion_id"] for line in lines}) == 2
    shown = logged(http, lines[0]["completion_id"])
    assert (shown["completion"], shown["usage"], shown["call"]["state"]) == ("", None, "failed")
    assert shown["call"]["error"] == {
        "status": 429,
        "type": "provider_error",
        "code": "RateLimitError",
        "message": "litellm.RateLimitError: slow down",
    }
    assert (shown["call"]["finish_reason"], shown["call"]["response_id"]) == ("error", None)


def test_streamed_cached_and_redacted_calls(send: Send, http: httpx.Client):
    streamed = payload(stream=True, completionStartTime=1796072709.568194)
    cached = payload(cache_hit=True)
    redacted = payload(messages="redacted-by-litellm", response={"text": "redacted-by-litellm"})
    shown = [logged(http, line["completion_id"]) for line in send(streamed, cached, redacted)]
    assert shown[0]["timings"] == {"latency": 440, "ttft": 100, "tokens_per_second": 20.6}
    assert shown[0]["call"]["streamed"] is True
    assert shown[1]["labels"]["cache_hit"] == "true"
    assert (shown[2]["prompt"], shown[2]["completion"]) == ("redacted-by-litellm", "redacted-by-litellm")


def test_responses_messages_and_texts_are_read_in_their_own_forms(send: Send, http: httpx.Client):
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "Rain"},
    ]
    output = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It rains."}]}]
    responses = payload(
        call_type="aresponses",
        messages=items,
        model_parameters={"instructions": "Be brief."},
        response={"id": "resp_1", "object": "response", "model": "gpt-4o", "output": output},
    )
    anthropic = payload(
        call_type="anthropic_messages",
        response={
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": "Rain."}],
            "stop_reason": "end_turn",
        },
    )
    text = payload(call_type="atext_completion", messages="Once", response={"choices": [{"index": 0, "text": " upon"}]})
    vectors = [{"index": 0, "embedding": [0.5, 0.25]}]
    embedding = payload(call_type="aembedding", messages=["Once", "upon"], response={"object": "list", "data": vectors})
    shown = [logged(http, line["completion_id"]) for line in send(responses, anthropic, text, embedding)]
    assert [one["role"] for one in shown[0]["messages"]] == ["system", "user", "assistant", "tool"]
    assert shown[0]["messages"][1]["content"] == "Weather?"
    assert shown[0]["messages"][2]["tool_calls"][0]["id"] == shown[0]["messages"][3]["tool_call_id"] == "c1"
    assert [one["completion"] for one in shown] == ["It rains.", "Rain.", " upon", "1 embedding of 2 dimensions"]
    assert [one["operation"] for one in shown] == ["chat", "chat", "completions", "embeddings"]
    assert [one["content"] for one in shown[3]["messages"]] == ["Once", "upon"]
    assert shown[0]["call"]["response_id"] == "resp_1"
    assert shown[2]["messages"] == [{"role": "user", "content": "Once"}]


def test_what_does_not_fit_is_kept_or_refused_alone(send: Send, http: httpx.Client):
    metadata = {"requester_metadata": {"long": "x" * 2000, "bad\0": "y", "good": "z"}}
    lines = send(payload(metadata=metadata), {"id": "x"}, payload(), status=207)
    assert [line["status"] for line in lines] == [201, 422, 201]
    assert "startTime" in lines[1]["error"]["message"]
    shown = logged(http, lines[0]["completion_id"])
    assert shown["labels"] == {"provider": "openai", "good": "z"}
    assert shown["parameters"]["labels"] == {"long": "x" * 2000, "bad\0": "y"}
