"""Calls through the gateway: what comes back, what the provider gets to see, and what is kept."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any
from uuid import UUID

import pytest

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def test_a_fresh_project_answers_with_no_key_of_any_provider(new_server):
    with new_server().client() as http:
        body = {"model": "default/echo", "messages": [{"role": "user", "content": "Good day"}]}
        answer = http.post("/api/v1/chat/completions", json=body).raise_for_status().json()
        assert answer["choices"][0]["message"]["content"] == "Good day"
        assert http.post("/api/v1/chat/completions", json={**body, "model": "default"}).status_code == 200
        assert http.post("/api/v1/chat/completions", json={**body, "model": "echo"}).status_code == 200
        assert http.post("/api/v1/chat/completions", json={"messages": body["messages"]}).status_code == 200


def test_an_answer_is_the_providers_own_with_the_ids_of_the_interaction(gateway):
    model = gateway.model()
    answer = gateway.ask(model, "Hello there", temperature=0.5).raise_for_status()
    body = answer.json()
    [choice] = body["choices"]
    assert body["id"] == f"chatcmpl-{choice['completion_id']}"
    assert body["system_fingerprint"] == "fp_1"
    assert body["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    assert choice["message"]["content"] == "You said: Hello there"
    assert choice["message"]["id"] == choice["completion_id"]
    assert choice["model"] == model.partition("/")[2]
    assert UUID(body["session_id"])
    assert float(answer.headers["x-afterword-overhead-ms"]) > 0

    logged = gateway.logged(choice["completion_id"])
    assert logged["source"] == "LIVE"
    assert logged["messages"] == [{"role": "user", "content": "Hello there"}]
    assert logged["completion"] == "You said: Hello there"
    assert logged["model"] == choice["model"]
    assert logged["parameters"] == {"temperature": 0.5}
    assert logged["usage"] == body["usage"]
    assert logged["session_id"] == body["session_id"]
    assert logged["call"] == {
        "state": "complete",
        "finish_reason": "stop",
        "error": None,
        "request_id": answer.headers["x-request-id"],
        "provider_request_id": None,
        "response_id": "chatcmpl-up",
        "provider_model": "upstream-1",
        "trace_id": None,
        "streamed": False,
    }
    timings = logged["timings"]
    assert timings["latency"] >= timings["provider_time"] >= 0
    assert "ttft" not in timings


def test_stream_chunks_carry_one_id_per_index_and_are_stored_whole(gateway):
    chunks, done = gateway.stream(gateway.model(), "Hello there", n=2, stream_options={"include_usage": True})
    assert done
    ids: dict[int, set[str]] = {}
    texts: dict[int, str] = {}
    for chunk in chunks:
        assert UUID(chunk["session_id"])
        for choice in chunk["choices"]:
            ids.setdefault(choice["index"], set()).add(choice["completion_id"])
            texts[choice["index"]] = texts.get(choice["index"], "") + (choice["delta"].get("content") or "")
            assert choice["delta"]["id"]
    assert {index: len(its) for index, its in ids.items()} == {0: 1, 1: 1}
    assert texts == {0: "You said: Hello there", 1: "You said: Hello there"}
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 18
    for index in (0, 1):
        logged = gateway.logged(*ids[index])
        assert logged["completion"] == "You said: Hello there"
        assert logged["call"]["state"] == "complete"
        assert logged["timings"]["latency"] >= logged["timings"]["ttft"] >= 0
        assert logged["session_id"] == chunks[0]["session_id"]


def test_stream_usage_is_stored_even_if_caller_did_not_request_it(gateway):
    chunks, _ = gateway.stream(gateway.model())
    assert all(chunk["choices"] for chunk in chunks)
    assert not [chunk for chunk in chunks if "usage" in chunk]
    assert gateway.logged(chunks[0]["choices"][0]["completion_id"])["usage"]["total_tokens"] == 18


def test_feedback_during_streaming_finds_its_interaction(gateway):
    gateway.http.post("/api/v1/metrics", json={"key": "liked", "project": gateway.project}).raise_for_status()
    body = {"model": gateway.model("hang-after-3"), "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with gateway.server.client() as http, http.stream("POST", "/api/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        first = next(lines)
        completion_id = first.partition('"completion_id":"')[2][:36]
        given = {"completion_id": completion_id, "metric": "liked", "value": 1}
        assert gateway.http.post("/api/v1/feedback", json=given).status_code == 201
        assert gateway.logged(completion_id)["call"]["state"] == "open"


def test_usage_is_estimated_and_marked_where_the_provider_tells_none(gateway):
    model = gateway.model("no-usage")
    answer = gateway.ask(model).json()
    assert answer["usage"]["estimated"]
    assert answer["usage"]["completion_tokens"] == 6
    chunks, _ = gateway.stream(model, stream_options={"include_usage": True})
    assert chunks[-1]["usage"]["estimated"]
    assert gateway.logged(chunks[0]["choices"][0]["completion_id"])["usage"]["estimated"]


def test_tool_calls_and_reasoning_are_kept_streamed_or_not(gateway):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]
    model = gateway.model("tools")
    whole = gateway.ask(model, tools=tools).json()["choices"][0]
    chunks, _ = gateway.stream(model, tools=tools)
    for completion_id in (whole["completion_id"], chunks[0]["choices"][0]["completion_id"]):
        logged = gateway.logged(completion_id)
        assert logged["message"]["tool_calls"] == [call]
        assert logged["call"]["finish_reason"] == "tool_calls"
        assert logged["parameters"]["tools"] == tools
    chunks, _ = gateway.stream(gateway.model("reasoning"))
    assert gateway.logged(chunks[0]["choices"][0]["completion_id"])["message"] == {
        "role": "assistant",
        "reasoning_content": "Let me think.",
        "content": "You said: Hello there",
    }


def test_own_fields_stay_here_and_others_reach_provider_unchanged(gateway):
    theirs = {
        "seed": 7,
        "logprobs": True,
        "reasoning_effort": "low",
        "response_format": {"type": "json_object"},
        "unheard_of": {"a": [1, None]},
        "temperature": 0.25,
    }
    ours = {
        "labels": {"app": "shop", "both": "label"},
        "metadata": {"version": "7", "both": "metadata"},
        "session_id": "0192d3a4-5b6c-7d8e-9f00-112233445566",
        "store": True,
    }
    model = gateway.model()
    agent = {"User-Agent": "afterword/1.0"}
    body = {"model": model, "messages": [{"role": "user", "content": "marker-of-this-test"}], **theirs, **ours}
    sent = gateway.http.post("/api/v1/chat/completions", json={**body, "user": "customer 17"}, headers=agent)
    answer = sent.raise_for_status().json()
    [seen] = gateway.upstream.seen("marker-of-this-test")
    assert {name: seen["body"][name] for name in theirs} == theirs
    assert not ours.keys() & seen["body"].keys()
    assert seen["body"]["user"] == "customer 17"
    assert seen["body"]["model"] == f"good:{model.partition('/')[2]}"
    assert seen["headers"]["authorization"] == "Bearer sk-of-the-provider"
    assert gateway.server.api_key not in str(seen)
    logged = gateway.logged(answer["choices"][0]["completion_id"])
    assert logged["labels"] == {"app": "shop", "version": "7", "both": "label"}
    assert logged["session_id"] == answer["session_id"] == ours["session_id"]
    assert logged["user"] == "customer 17"
    assert "sk-of-the-provider" not in str(logged)


def test_stream_options_are_not_sent_where_nothing_is_streamed(gateway):
    gateway.ask(gateway.model(), "no-options-here", stream_options={}).raise_for_status()
    [seen] = gateway.upstream.seen("no-options-here")
    assert "stream_options" not in seen["body"]


@pytest.mark.parametrize("form", ["flat", "nested"])
def test_both_forms_of_images_are_taken_sent_on_as_openais_and_shown(gateway, form: str):
    address: Any = PIXEL if form == "flat" else {"url": PIXEL, "detail": "low"}
    parts = [{"type": "text", "text": f"What is {form}?"}, {"type": "image_url", "image_url": address}]
    body = {"model": gateway.model(), "messages": [{"role": "user", "content": parts}]}
    answer = gateway.http.post("/api/v1/chat/completions", json=body).raise_for_status().json()
    [seen] = [one for one in gateway.upstream.seen(f"What is {form}?") if gateway.project in str(one) or one]
    assert seen["body"]["messages"][0]["content"][1]["image_url"]["url"] == PIXEL
    logged = gateway.logged(answer["choices"][0]["completion_id"])
    shown = logged["messages"][0]["content"][1]["image_url"]
    link = shown if form == "flat" else shown["url"]
    assert gateway.http.get(link).headers["content-type"] == "image/gif"


def test_sound_and_files_reach_the_provider_as_they_are_and_are_kept(gateway):
    parts = [
        {"type": "text", "text": "sound-and-files"},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "unheard_of", "unheard_of": {"a": [1, None, 2.5]}},
    ]
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": parts, "name": "ann"},
    ]
    body = {"model": gateway.model(), "messages": messages, "modalities": ["text"], "audio": {"voice": "alloy"}}
    answer = gateway.http.post("/api/v1/chat/completions", json=body).raise_for_status().json()
    [seen] = gateway.upstream.seen("sound-and-files")
    assert seen["body"] == {**body, "model": gateway.external[0]}
    address = f"/api/v1/interactions/{answer['choices'][0]['completion_id']}"
    logged = gateway.http.get(address, params={"media": "inline"}).raise_for_status().json()
    assert logged["messages"] == messages


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl_is_enough(gateway):
    body = json.dumps({"model": gateway.model(), "messages": [{"role": "user", "content": "Hello there"}]})
    url = f"{gateway.server.url}/api/v1/chat/completions"
    key = f"Authorization: Bearer {gateway.server.api_key}"
    done = subprocess.run(["curl", "-sS", url, "-H", key, "-d", body], capture_output=True, check=True)
    assert gateway.logged(json.loads(done.stdout)["choices"][0]["completion_id"])["call"]["state"] == "complete"


def test_an_image_on_the_web_is_passed_on_and_never_fetched(gateway):
    address = "http://127.0.0.1:9/cat.png"
    parts = [{"type": "text", "text": "on the web"}, {"type": "image_url", "image_url": {"url": address}}]
    body = {"model": gateway.model(), "messages": [{"role": "user", "content": parts}]}
    answer = gateway.http.post("/api/v1/chat/completions", json=body).raise_for_status().json()
    logged = gateway.logged(answer["choices"][0]["completion_id"])
    assert logged["messages"][0]["content"][1]["image_url"] == {"url": address}


def test_store_false_keeps_nothing_and_feedback_is_refused_with_reason(gateway):
    gateway.http.post("/api/v1/metrics", json={"key": "liked", "project": gateway.project}).raise_for_status()
    model = gateway.model()
    whole = gateway.ask(model, store=False).raise_for_status().json()["choices"][0]["completion_id"]
    chunks, done = gateway.stream(model, store=False)
    assert done
    assert gateway.count() == 0
    for completion_id in (whole, chunks[0]["choices"][0]["completion_id"]):
        given = {"completion_id": completion_id, "metric": "liked", "value": 1}
        refused = gateway.http.post("/api/v1/feedback", json=given)
        assert refused.status_code == 404
        assert refused.json()["error"]["code"] == "completion_not_stored"
        assert "store: false" in refused.json()["error"]["message"]


def test_answer_resent_in_next_turn_loses_our_ids(gateway):
    model = gateway.model()
    message = gateway.ask(model).json()["choices"][0]["message"]
    messages = [{"role": "user", "content": "Hello there"}, message, {"role": "user", "content": "the-next-turn"}]
    gateway.http.post("/api/v1/chat/completions", json={"model": model, "messages": messages}).raise_for_status()
    [seen] = gateway.upstream.seen("the-next-turn")
    assert "id" not in seen["body"]["messages"][1]


def test_old_completions_are_interactions_too_one_for_each_prompt(gateway):
    model = gateway.model()
    one = gateway.http.post("/api/v1/completions", json={"model": model, "prompt": "Once"}).raise_for_status().json()
    assert one["choices"][0]["text"] == "You said: Once"
    logged = gateway.logged(one["choices"][0]["completion_id"])
    assert logged["prompt"] == "Once"
    assert logged["completion"] == "You said: Once"
    body = {"model": "default/echo", "prompt": ["a b", "c"]}
    both = gateway.http.post("/api/v1/completions", json=body).raise_for_status().json()
    assert [gateway.logged(one["completion_id"])["prompt"] for one in both["choices"]] == ["a b", "c"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "default/echo"}, 400, "no_messages"),
        ({"messages": []}, 400, "no_messages"),
        ([], 400, "invalid_value"),
        ({"model": "default/echo", "messages": []}, 400, "no_messages"),
        ({"model": "default/echo", "messages": "hello"}, 400, "invalid_value"),
        ({"model": "default/echo", "messages": ["hello"]}, 400, "invalid_value"),
        ({"model": "default/nobody", "messages": [{"role": "user", "content": "x"}]}, 404, "model_not_found"),
        ({"model": "nowhere", "messages": [{"role": "user", "content": "x"}]}, 404, "model_not_found"),
        ({"model": "default/echo", "messages": [{"role": "user", "content": "x"}], "n": 0}, 400, "invalid_value"),
        (
            {"model": "default", "messages": [{"role": "user", "content": "x"}], "ab_campaign": "none"},
            404,
            "ab_test_not_found",
        ),
    ],
)
def test_a_call_that_cannot_be_made_says_what_is_wrong(gateway, body: dict[str, Any], status: int, code: str):
    answer = gateway.http.post("/api/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_key_for_one_project_calls_its_models_by_their_bare_key(gateway):
    model = gateway.model()
    made = {"name": "bound", "role": "inference", "projects": [gateway.project]}
    key = gateway.http.post("/api/v1/keys", json=made).json()["api_key"]
    with gateway.server.client(key) as http:
        body = {"model": model.partition("/")[2], "messages": [{"role": "user", "content": "x"}]}
        assert http.post("/api/v1/chat/completions", json=body).status_code == 200
        assert http.post("/api/v1/chat/completions", json={**body, "model": "default/echo"}).status_code == 404


def test_a_key_that_may_only_log_calls_no_models(gateway):
    key = gateway.http.post("/api/v1/keys", json={"name": "logs", "role": "ingest"}).json()["api_key"]
    with gateway.server.client(key) as http:
        body = {"model": "default/echo", "messages": [{"role": "user", "content": "x"}]}
        assert http.post("/api/v1/chat/completions", json=body).status_code == 403
