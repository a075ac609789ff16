"""Calls in the form of Google's generateContent: passed on to models of Google's, translated for all others."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

PROVIDERS = ["google", "open_ai"]
DECLARATION = {"name": "get_weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}
# How the provider behaves, and what a call is answered with, whole or streamed.
FAILS = [
    ("error-400", 400, "INVALID_ARGUMENT"),
    ("error-401", 502, "INTERNAL"),
    ("error-429", 429, "RESOURCE_EXHAUSTED"),
    ("error-500", 500, "INTERNAL"),
    ("error-503", 503, "UNAVAILABLE"),
    ("garbage", 502, "INTERNAL"),
    ("drop", 502, "INTERNAL"),
    ("empty", 502, "INTERNAL"),
]


def url(model: str, method: str) -> str:
    return f"/v1beta/models/{model}:{method}"


def body_of(text: str = "Hello there", **fields: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **fields}


def ask(gateway: Any, model: str, **fields: Any) -> httpx.Response:
    return gateway.http.post(url(model, "generateContent"), json=body_of(**fields))


def stream(gateway: Any, model: str, **fields: Any) -> list[dict[str, Any]]:
    """Return the events of a streamed call."""
    request = gateway.http.stream("POST", url(model, "streamGenerateContent?alt=sse"), json=body_of(**fields))
    with request as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
        return [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]


def text_of(events: list[dict[str, Any]]) -> str:
    parts = [part for event in events for one in event.get("candidates", ()) for part in one["content"]["parts"]]
    return "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))


@pytest.fixture(autouse=True)
def nothing_is_left_behind(gateway: Any):
    """After each test no call is under way, neither here nor at the provider."""
    yield
    gateway.wait_until_quiet()


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_is_an_interaction_under_the_id_that_it_carries(gateway, provider: str):
    fields = {"labels": {"app": "shop"}, "session_id": "s-1", "generationConfig": {"maxOutputTokens": 64}}
    answer = ask(gateway, gateway.model(provider=provider), **fields).raise_for_status().json()
    [candidate] = answer["candidates"]
    assert answer["responseId"] == candidate["completion_id"]
    assert candidate["content"]["parts"] == [{"text": "You said: Hello there"}]
    assert candidate["finishReason"] == "STOP"
    assert answer["usageMetadata"]["totalTokenCount"] == 18
    row = gateway.logged(answer["responseId"])
    assert row["completion"] == "You said: Hello there"
    assert (row["labels"], row["session"], row["session_id"]) == ({"app": "shop"}, "s-1", answer["session_id"])
    assert row["messages"] == [{"role": "user", "content": "Hello there"}]
    assert row["parameters"]["max_tokens"] == 64
    assert (row["call"]["state"], row["call"]["finish_reason"]) == ("complete", "stop")
    assert row["call"]["response_id"] == ("resp-up" if provider == "google" else "chatcmpl-up")
    assert row["usage"]["total_tokens"] == 18


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_is_an_interaction_from_its_first_event(gateway, provider: str):
    events = stream(gateway, gateway.model(provider=provider))
    assert text_of(events) == "You said: Hello there"
    assert len({event["responseId"] for event in events}) == 1
    assert len(events) > 3
    assert events[-1]["candidates"][0]["finishReason"] == "STOP"
    row = gateway.logged(events[0]["responseId"])
    assert row["completion"] == "You said: Hello there"
    assert (row["call"]["state"], row["call"]["streamed"]) == ("complete", True)
    assert row["usage"]["total_tokens"] == events[-1]["usageMetadata"]["totalTokenCount"] == 18


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stream_without_events_is_one_array(gateway, provider: str):
    model = gateway.model(provider=provider)
    [answer] = gateway.http.post(url(model, "streamGenerateContent"), json=body_of()).raise_for_status().json()
    assert text_of([answer]) == "You said: Hello there"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_calls_of_functions_come_whole_and_are_logged(gateway, provider: str, streamed: bool):
    model = gateway.model("tools", provider=provider)
    tools = {"tools": [{"functionDeclarations": [DECLARATION]}]}
    events = stream(gateway, model, **tools) if streamed else [ask(gateway, model, **tools).json()]
    calls = [
        part["functionCall"]
        for event in events
        for part in event["candidates"][0]["content"]["parts"]
        if "functionCall" in part
    ]
    assert calls[0]["name"] == "get_weather"
    assert calls[0]["args"]["city"] == "Paris"
    row = gateway.logged(events[0]["responseId"])
    logged = row["message"]["tool_calls"][0]["function"]
    assert (logged["name"], json.loads(logged["arguments"])["city"]) == ("get_weather", "Paris")
    assert row["call"]["finish_reason"] == "tool_calls"
    found = gateway.http.get("/api/v1/interactions", params={"project": gateway.project, "tool": "get_weather"})
    assert len(found.json()["interactions"]) == 1


def test_thoughts_are_told_apart_from_the_answer(gateway):
    answer = ask(gateway, gateway.model("reasoning", provider="google")).json()
    assert answer["candidates"][0]["content"]["parts"][0]["thought"]
    row = gateway.logged(answer["responseId"])
    assert (row["completion"], row["message"]["reasoning_content"]) == ("You said: Hello there", "Hm.")
    assert row["usage"]["completion_tokens_details"] == {"reasoning_tokens": 2}


def test_a_call_reaches_google_unchanged(gateway):
    fields = {
        "tools": [{"functionDeclarations": [DECLARATION]}, {"googleSearch": {}}],
        "generationConfig": {"temperature": 0.5, "thinkingConfig": {"thinkingBudget": 0}},
        "safetySettings": [{"category": "X", "threshold": "Y"}],
    }
    model = gateway.model(provider="google", extra_params={"top_p": 0.25})
    ask(gateway, model, text="unchanged", **fields, labels={"a": "b"}, user="ann").raise_for_status()
    [sent] = gateway.upstream.seen("unchanged")
    expected = body_of("unchanged", **fields)
    expected["generationConfig"] = {"temperature": 0.5, "thinkingConfig": {"thinkingBudget": 0}, "topP": 0.25}
    assert {name: value for name, value in sent["body"].items() if name != "model"} == expected
    assert sent["headers"]["x-goog-api-key"] == "sk-of-the-provider"
    assert gateway.newest()["user"] == "ann"


def test_what_only_google_has_is_refused_by_name_for_other_models(gateway):
    refusal = ask(gateway, gateway.model(), tools=[{"googleSearch": {}}])
    error = refusal.json()["error"]
    assert (refusal.status_code, error["status"]) == (400, "INVALID_ARGUMENT")
    assert "googleSearch" in error["message"]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("behaviour", "status", "name"), FAILS, ids=[one[0] for one in FAILS])
def test_a_call_that_fails_before_its_first_word_is_googles_error(
    gateway, behaviour: str, status: int, name: str, streamed: bool, provider: str
):
    method = "streamGenerateContent?alt=sse" if streamed else "generateContent"
    answer = gateway.http.post(url(gateway.model(behaviour, provider=provider), method), json=body_of())
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (status, status, name)
    row = gateway.newest()
    assert (row["call"]["state"], row["completion"]) == ("failed", "")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("behaviour", ["cut-after-2", "no-done", "error-in-stream", "garbage-in-stream"])
def test_a_stream_that_breaks_off_ends_in_an_error(gateway, behaviour: str, provider: str):
    *events, last = stream(gateway, gateway.model(behaviour, provider=provider))
    assert last["error"]["code"] >= 500
    row = gateway.logged(events[0]["responseId"])
    assert row["completion"] == text_of(events) != ""
    assert row["call"]["state"] == "failed"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_caller_who_hangs_up_leaves_what_was_heard(gateway, provider: str):
    model = gateway.model("hang-after-4" if provider == "open_ai" else "hang-after-3", provider=provider)
    heard: list[dict[str, Any]] = []
    with (
        gateway.server.client() as http,
        http.stream("POST", url(model, "streamGenerateContent?alt=sse"), json=body_of()) as answer,
    ):
        lines = (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: "))
        while "Hello" not in text_of(heard):
            heard.append(next(lines))
    gateway.wait_until_quiet()
    row = gateway.logged(heard[0]["responseId"])
    assert (row["completion"], row["call"]["state"]) == ("You said: Hello", "cancelled")


def test_tokens_are_counted_by_google_or_estimated(gateway):
    asked = {"contents": body_of()["contents"]}
    expected = {"google": len(json.dumps(asked["contents"])), "open_ai": 11}
    for provider, tokens in expected.items():
        for body in (asked, {"generateContentRequest": asked}) if provider == "open_ai" else (asked,):
            answer = gateway.http.post(url(gateway.model(provider=provider), "countTokens"), json=body)
            assert answer.raise_for_status().json()["totalTokens"] == tokens
    assert gateway.count() == 0


@pytest.mark.parametrize("method", ["embedContent", "batchGenerateContent"])
def test_a_method_that_is_not_served_says_so(gateway, method: str):
    answer = gateway.http.post(url(gateway.model(), method), json=body_of())
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert method in answer.json()["error"]["message"]


def test_a_path_that_is_not_filled_in_is_no_fault_of_the_server(gateway):
    answer = gateway.http.post("/v1beta/models/{model}:{method}", json=body_of())
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")
