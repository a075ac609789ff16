"""OpenAI's Responses API: for providers that speak it, and for those of chat."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}
RESPONSE_USAGE = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}


def text_of(response: dict[str, Any]) -> str:
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


def test_a_response_is_answered_and_logged_whole(face: Any):
    response = face.ask(face.model(), instructions="Be short.", temperature=0.5, metadata={"topic": "sky"}, user="ann")
    assert text_of(response) == "You said: Hello there"
    assert (response["object"], response["status"]) == ("response", "completed")
    assert {name: response["usage"][name] for name in RESPONSE_USAGE} == RESPONSE_USAGE
    row = face.logged(response)
    assert [(message["role"], message["content"]) for message in row["messages"]] == [
        ("system", "Be short."),
        ("user", "Hello there"),
    ]
    assert row["completion"] == "You said: Hello there"
    assert row["session_id"] == response["session_id"]
    assert (row["labels"], row["user"], row["usage"]["total_tokens"]) == ({"topic": "sky"}, "ann", 18)
    assert row["parameters"]["temperature"] == 0.5
    assert (row["call"]["state"], row["call"]["finish_reason"]) == ("complete", "stop")


def test_a_streamed_response_is_the_same_and_logged_whole(face: Any):
    events = face.stream(face.model())
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert "".join(event["delta"] for event in events if event["type"].endswith("delta")) == "You said: Hello there"
    first, last = events[0]["response"], events[-1]["response"]
    assert first["id"] == last["id"]
    assert text_of(last) == "You said: Hello there"
    row = face.logged(last)
    assert row["completion"] == "You said: Hello there"
    assert (row["call"]["state"], row["usage"]["total_tokens"]) == ("complete", 18)
    assert row["call"]["streamed"]
    assert row["timings"]["ttft"] >= 0


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_loop_of_tools_is_called_and_continued(face: Any, streamed: bool):
    model = face.model("tools")
    question = [{"role": "user", "content": "Weather?"}]
    response = (
        face.stream(model, question, tools=[WEATHER])[-1]["response"]
        if streamed
        else face.ask(model, question, tools=[WEATHER])
    )
    [call] = response["output"]
    assert (call["type"], call["name"], json.loads(call["arguments"])) == (
        "function_call",
        "get_weather",
        {"city": "Paris"},
    )
    row = face.logged(response)
    assert row["message"]["tool_calls"][0]["function"]["name"] == "get_weather"
    assert row["call"]["finish_reason"] == "tool_calls"
    assert row["parameters"]["tools"][0]["function"]["name"] == "get_weather"
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    again = face.ask(model, [*question, call, output], tools=[WEATHER])
    messages = face.logged(again)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"] == call["call_id"]


def test_a_response_is_continued_by_its_id(face: Any):
    model = face.model()
    first = face.ask(model, "My name is Ann.", instructions="Be short.")
    second = face.ask(model, "Who am I?", previous_response_id=first["id"])
    row = face.logged(second)
    assert [(message["role"], message["content"]) for message in row["messages"]] == [
        ("user", "My name is Ann."),
        ("assistant", "You said: My name is Ann."),
        ("user", "Who am I?"),
    ]
    assert second["session_id"] == first["session_id"] == row["session_id"]
    assert row["parameters"]["previous_response_id"] == first["id"]
    third = face.stream(model, "And now?", previous_response_id=second["id"])[-1]["response"]
    assert len(face.logged(third)["messages"]) == 5
    [sent] = face.gateway.upstream.seen("And now?")
    assert str(first["completion_id"]) not in json.dumps(sent["body"])
    assert "Who am I?" in json.dumps(sent["body"])


def test_a_named_session_is_that_of_the_continuation(face: Any):
    model = face.model()
    first = face.ask(model, "One", session_id="support-7")
    second = face.ask(model, "Two", previous_response_id=first["id"])
    assert face.logged(second)["session"] == "support-7"


def test_a_call_of_a_tool_is_continued_by_the_responses_id(face: Any):
    model = face.model("tools")
    first = face.ask(model, "Weather?", tools=[WEATHER])
    output = {"type": "function_call_output", "call_id": first["output"][0]["call_id"], "output": "sunny"}
    second = face.ask(model, [output], tools=[WEATHER], previous_response_id=first["id"])
    assert [message["role"] for message in face.logged(second)["messages"]] == ["user", "assistant", "tool"]


def test_a_picture_is_sent_again_when_its_conversation_goes_on(face: Any):
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{pixel}", "detail": "auto"}
    model, words = face.model(), uuid4().hex
    first = face.ask(model, [{"role": "user", "content": [{"type": "input_text", "text": "Look"}, picture]}])
    face.ask(model, words, previous_response_id=first["id"])
    [sent] = face.gateway.upstream.seen(words)
    assert pixel in json.dumps(sent["body"])


def test_an_unknown_response_is_not_continued(face: Any):
    body = {"model": face.model(), "input": "Hi", "previous_response_id": f"resp_{uuid4()}"}
    answer = face.gateway.http.post("/api/v1/responses", json=body)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["code"], error["param"]) == ("previous_response_not_found", "previous_response_id")
    assert f"Previous response with id '{body['previous_response_id']}' not found." in error["message"]


def test_a_response_of_the_providers_is_its_own_to_continue(native: Any, translated: Any):
    for face in (native, translated):
        body = {"model": face.model(), "input": "Hi", "previous_response_id": "resp_gone"}
        answer = face.gateway.http.post("/api/v1/responses", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "previous_response_not_found")


def test_references_to_items_are_resolved(face: Any):
    model = face.model()
    first = face.ask(model, "My name is Ann.")
    own_id = f"msg_{first['completion_id']}"
    if face.kind == "chat":
        assert first["output"][0]["id"] == own_id
        input_ = [{"type": "item_reference", "id": own_id}, {"role": "user", "content": "Who am I?"}]
        second = face.ask(model, input_)
        assert face.logged(second)["messages"][0] == {"role": "assistant", "content": "You said: My name is Ann."}
    else:
        # The provider knows its own ids.
        face.ask(model, [{"type": "item_reference", "id": "msg_up"}, {"role": "user", "content": "Who am I?"}])


def test_a_provider_of_the_form_gets_nothing_of_afterwords(native: Any, translated: Any):
    chat_model = translated.model("reasoning")
    first = translated.ask(chat_model, "Hi", reasoning={"effort": "low"})
    input_ = [{"role": "user", "content": "Hi"}, *first["output"], {"role": "user", "content": "Go on"}]
    strict = native.model("native-strict")
    response = native.ask(strict, input_, labels={"a": "b"}, session_id="s-1", store=False, include=["x"])
    assert text_of(response) == "You said: Go on"
    native.ask(strict, "And now?", previous_response_id=response["id"])


def test_reasoning_and_the_providers_own_tools_are_logged_and_sent_again(native: Any):
    response = native.ask(native.model("reasoning"))
    message = native.logged(response)["message"]
    assert message["reasoning_content"] == "Let me think."
    assert message["content"] == "You said: Hello there"
    assert message["response_items"] == response["output"]
    model = native.model("search")
    response = native.stream(model, tools=[{"type": "web_search"}])[-1]["response"]
    row = native.logged(response)
    assert row["message"]["response_items"] == response["output"]
    [annotation] = row["message"]["annotations"]
    assert annotation["url_citation"]["url"] == "https://rain.example"
    words = uuid4().hex
    native.ask(model, words, previous_response_id=response["id"])
    [sent] = native.gateway.upstream.seen(words)
    assert response["output"][0] in sent["body"]["input"]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_reasoning_of_a_model_of_chat_is_an_item(translated: Any, streamed: bool):
    model, body = translated.model("reasoning"), {"reasoning": {"effort": "low", "summary": "auto"}}
    response = translated.stream(model, **body)[-1]["response"] if streamed else translated.ask(model, **body)
    assert [item["type"] for item in response["output"]] == ["reasoning", "message"]
    assert response["output"][0]["summary"] == [{"type": "summary_text", "text": "Let me think."}]
    assert translated.logged(response)["message"]["reasoning_content"] == "Let me think."


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_signed_thoughts_of_anthropic_go_back_with_the_reasoning_item(gateway: Any, translated: Any, streamed: bool):
    model = gateway.model("tools", provider="anthropic", external_model_id=f"tools:claude-sonnet-4-5-{uuid4().hex[:8]}")
    question, body = {"role": "user", "content": "Weather?"}, {"tools": [WEATHER], "reasoning": {"effort": "low"}}
    response = (
        translated.stream(model, [question], **body)[-1]["response"]
        if streamed
        else translated.ask(model, [question], **body)
    )
    assert [item["type"] for item in response["output"]] == ["reasoning", "function_call"]
    words = uuid4().hex
    output = {"type": "function_call_output", "call_id": response["output"][1]["call_id"], "output": words}
    translated.ask(model, [question, *response["output"], output], **body)
    [sent] = gateway.upstream.seen(words)
    thought = sent["body"]["messages"][1]["content"][0]
    assert (thought["type"], thought["thinking"], thought["signature"]) == ("thinking", "Let me think.", "sig")


def test_structured_output_is_asked_for_in_the_providers_words(face: Any):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    response = face.ask(face.model("json"), text={"format": {"type": "json_schema", "name": "place", "schema": schema}})
    assert json.loads(text_of(response)) == {"city": "x"}
    assert face.logged(response)["parameters"]["response_format"]["json_schema"]["name"] == "place"


@pytest.mark.parametrize(("behaviour", "reason"), [("ends-length", "max_output_tokens")])
def test_a_cut_answer_is_incomplete(translated: Any, behaviour: str, reason: str):
    response = translated.ask(translated.model(behaviour))
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert translated.stream(translated.model(behaviour))[-1]["type"] == "response.incomplete"


def test_a_cut_answer_of_a_provider_of_the_form_is_logged_as_cut(native: Any):
    response = native.ask(native.model("ends-max_output_tokens"))
    assert response["status"] == "incomplete"
    assert native.logged(response)["call"]["finish_reason"] == "length"


def test_tools_without_a_word_in_chat_are_refused_by_name(translated: Any):
    body = {"model": translated.model(), "input": "Hi", "tools": [WEATHER, {"type": "web_search"}]}
    answer = translated.gateway.http.post("/api/v1/responses", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "tools[1]")
    assert "web_search" in error["message"]


def test_background_is_not_served(face: Any):
    body = {"model": face.model(), "input": "Hi", "background": True}
    answer = face.gateway.http.post("/api/v1/responses", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "background")


def test_store_is_the_providers_and_the_call_is_logged(native: Any):
    words = uuid4().hex
    response = native.ask(native.model(), words, store=False)
    assert native.logged(response)["call"]["state"] == "complete"
    [sent] = native.gateway.upstream.seen(words)
    assert sent["body"]["store"] is False


def test_session_headers_of_coding_agents_name_the_session(face: Any):
    session = str(uuid4())
    for header in ("session_id", "session-id", "conversation_id", "thread-id"):
        body = {"model": face.model(), "input": "Hi"}
        answer = face.gateway.http.post("/api/v1/responses", json=body, headers={header: session})
        assert answer.json()["session_id"] == session, header


def test_a_stored_response_is_shown_listed_and_deleted(face: Any):
    http = face.gateway.http
    model = face.model("tools")
    response = face.ask(model, "Weather?", tools=[WEATHER], instructions="Be short.", temperature=0.5)
    path = f"/api/v1/responses/{response['id']}"
    shown = http.get(path, params={"include[]": "message.output_text.logprobs"}).json()
    for name in ("id", "status", "usage", "completion_id", "session_id", "instructions", "temperature"):
        assert shown[name] == response[name], name
    assert shown["tools"][0]["name"] == "get_weather"
    [call] = shown["output"]
    assert (call["name"], call["call_id"]) == ("get_weather", response["output"][0]["call_id"])
    items = http.get(f"{path}/input_items").json()
    assert [item["content"][0]["text"] for item in items["data"]] == ["Weather?"]
    assert not items["has_more"]
    assert http.post(f"{path}/cancel").status_code == 400
    assert http.delete(path).json() == {"id": response["id"], "object": "response", "deleted": True}
    gone = http.get(path)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "response_not_found")


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
def test_responses_are_served_at_the_addresses_that_clients_guess(face: Any, base: str):
    http = face.gateway.http
    response = http.post(f"{base}/responses", json={"model": face.model(), "input": "Hi"}).json()
    assert http.get(f"{base}/responses/{response['id']}").json()["id"] == response["id"]
    assert http.get(f"{base}/responses/{response['id']}/input_items").json()["data"]


def test_input_items_are_paged(face: Any):
    model = face.model()
    response = face.ask(model, [{"role": "user", "content": str(number)} for number in range(5)])
    path, seen, after = f"/api/v1/responses/{response['id']}/input_items", [], None
    while True:
        query = {"limit": 2, "order": "asc", **({"after": after} if after else {})}
        page = face.gateway.http.get(path, params=query).json()
        seen += [item["content"][0]["text"] for item in page["data"]]
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert seen == ["0", "1", "2", "3", "4"]


def test_feedback_takes_the_id_of_a_response(face: Any):
    http = face.gateway.http
    metric = http.post("/api/v1/metrics", json={"key": f"m{uuid4().hex[:8]}", "kind": "scalar"}).json()["key"]
    http.put(f"/api/v1/projects/{face.gateway.project}/metrics/{metric}")
    http.post(f"/api/v1/projects/{face.gateway.project}/metrics", json={"metric": metric})
    response = face.ask(face.model())
    body = {"completion_id": response["id"], "metric": metric, "value": 4}
    assert http.post("/api/v1/feedback", json=body).status_code == 201
    assert face.logged(response)["feedback"][0]["value"] == 4
