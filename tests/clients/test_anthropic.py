"""The newest anthropic client, and LangChain over it, unmodified and pointed at Afterword: at models of Anthropic's,
whose calls are passed on, and at models of OpenAI's, whose calls are translated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("anthropic")]

Run = Callable[..., Any]
PROVIDERS = ["anthropic", "open_ai"]
PIXEL = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_messages_whole_and_streamed_are_interactions(run_with: Run, gateway: Any, provider: str):
    gateway.http.post("/api/v1/metrics", json={"key": "liked", "project": gateway.project}).raise_for_status()
    said = run_with(
        "anthropic",
        """
        from anthropic import Anthropic

        client = Anthropic()
        call = {"model": given["model"], "max_tokens": 64, "messages": [{"role": "user", "content": "Hello there"}]}
        whole = client.messages.create(**call, system="Be kind.", metadata={"user_id": "ann"})
        with client.messages.stream(**call, extra_body={"labels": {"app": "shop"}}) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        print(json.dumps({
            "whole": [whole.id, whole.completion_id, whole.session_id, whole.content[0].text, whole.stop_reason],
            "usage": [whole.usage.input_tokens, whole.usage.output_tokens],
            "stream": [final.completion_id, text, final.content[0].text, final.stop_reason, final.usage.output_tokens],
            "request_id": whole._request_id,
        }))
        """,
        model=gateway.model(provider=provider),
    )
    id_, completion_id, session_id, text, reason = said["whole"]
    assert (id_, text.strip(), reason) == (f"msg_{completion_id}", "You said: Hello there", "end_turn")
    assert said["usage"] == ([10, 5] if provider == "anthropic" else [11, 7])
    row = gateway.logged(completion_id)
    assert row["messages"][0] == {"role": "system", "content": "Be kind."}
    assert (row["completion"], row["user"], row["session_id"]) == (text, "ann", session_id)
    assert row["call"]["request_id"] == said["request_id"]
    feedback = {"completion_id": id_, "metric": "liked", "value": 1}
    gateway.http.post("/api/v1/feedback", json=feedback).raise_for_status()
    row = gateway.logged(id_)
    assert [given["value"] for given in row["feedback"]] == [1.0]
    streamed_id, *texts, reason, tokens = said["stream"]
    assert [text.strip() for text in texts] == ["You said: Hello there"] * 2
    assert (reason, tokens) == ("end_turn", said["usage"][1])
    streamed = gateway.logged(streamed_id)
    assert (streamed["completion"], streamed["call"]["state"]) == (texts[1], "complete")
    assert streamed["labels"] == {"app": "shop"}
    assert streamed["usage"]["total_tokens"] > 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_tools_are_called_whole_and_streamed_and_get_their_results(run_with: Run, gateway: Any, provider: str):
    said = run_with(
        "anthropic",
        """
        from anthropic import Anthropic

        client = Anthropic()
        schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        tools = [{"name": "get_weather", "description": "Weather", "input_schema": schema}]
        question = [{"role": "user", "content": "Weather in Paris?"}]
        call = {"model": given["tools"], "max_tokens": 64, "tools": tools, "messages": question}
        whole = client.messages.create(**call, tool_choice={"type": "any"})
        with client.messages.stream(**call) as stream:
            final = stream.get_final_message()
        messages = (whole, final)
        uses = [[block.name, block.input, message.stop_reason] for message in messages for block in message.content]
        results = [{"type": "tool_result", "tool_use_id": block.id, "content": "Rain"} for block in whole.content]
        after = client.messages.create(
            model=given["good"],
            max_tokens=64,
            tools=tools,
            messages=[*question, {"role": "assistant", "content": whole.content},
                      {"role": "user", "content": [*results, {"type": "text", "text": "And now?"}]}],
        )
        print(json.dumps({"uses": uses, "after": [after.content[0].text, after.completion_id]}))
        """,
        tools=gateway.model("tools", provider=provider),
        good=gateway.model(provider=provider),
    )
    assert said["uses"] == [["get_weather", {"city": "Paris"}, "tool_use"]] * 2
    text, completion_id = said["after"]
    assert text.strip() == "You said: And now?"
    messages = gateway.logged(completion_id)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "user"]
    assert messages[1]["tool_calls"][0]["function"]["name"] == "get_weather"
    assert messages[2]["content"] == "Rain"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_images_and_structured_output_arrive(run_with: Run, gateway: Any, provider: str):
    said = run_with(
        "anthropic",
        """
        from anthropic import Anthropic
        from pydantic import BaseModel

        class City(BaseModel):
            name: str

        client = Anthropic()
        source = {"type": "base64", "media_type": "image/gif", "data": given["pixel"]}
        content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
        image = client.messages.create(
            model=given["good"], max_tokens=64, messages=[{"role": "user", "content": content}]
        )
        parsed = None
        if given["json"]:
            parsed = client.messages.parse(
                model=given["json"], max_tokens=64, output_format=City, messages=[{"role": "user", "content": "Paris"}]
            ).parsed_output.name
        print(json.dumps({"image": image.completion_id, "parsed": parsed}))
        """,
        good=gateway.model(provider=provider),
        json=gateway.model("json") if provider == "open_ai" else None,
        pixel=PIXEL,
    )
    [message] = gateway.logged(said["image"])["messages"]
    assert [part["type"] for part in message["content"]] == ["image_url", "text"]
    assert said["parsed"] == ("x" if provider == "open_ai" else None)


def test_thoughts_are_streamed_from_either_provider_and_sent_back(run_with: Run, gateway: Any):
    said = run_with(
        "anthropic",
        """
        from anthropic import Anthropic

        client = Anthropic()
        found = {}
        for provider, model in given.items():
            question = [{"role": "user", "content": "Hello there"}]
            call = {"model": model, "max_tokens": 2048, "thinking": {"type": "enabled", "budget_tokens": 1024}}
            with client.messages.stream(**call, messages=question) as stream:
                final = stream.get_final_message()
            thought, text = final.content
            back = client.messages.create(
                **call,
                messages=[
                    *question, {"role": "assistant", "content": final.content}, {"role": "user", "content": "So?"}
                ],
            )
            found[provider] = [thought.thinking, thought.signature, text.text.strip(), back.content[1].text.strip()]
        print(json.dumps(found))
        """,
        anthropic=gateway.model(provider="anthropic", external_model_id="claude-sonnet-4-5"),
        open_ai=gateway.model("reasoning"),
    )
    assert said["anthropic"] == ["Let me think.", "sig", "You said: Hello there", "You said: So?"]
    assert said["open_ai"] == ["Let me think.", "", "You said: Hello there", "You said: So?"]
    [_, assistant, _] = gateway.newest()["messages"]
    assert assistant["reasoning_content"] == "Let me think."


def test_a_search_with_its_citations_is_passed_on_and_logged(run_with: Run, gateway: Any):
    said = run_with(
        "anthropic",
        """
        from anthropic import Anthropic

        client = Anthropic(default_headers={"anthropic-beta": "files-api-2025-04-14"})
        call = {
            "model": given["model"],
            "max_tokens": 64,
            "messages": [{"role": "user", "content": "Herons?"}],
            "tools": [{"type": "web_search_20250305", "name": "web_search"}],
        }
        whole = client.messages.create(**call)
        with client.messages.stream(**call) as stream:
            final = stream.get_final_message()
        print(json.dumps([[message.completion_id, message.to_dict()] for message in (whole, final)]))
        """,
        model=gateway.model("search", provider="anthropic"),
    )
    for completion_id, message in said:
        search, found, text = message["content"]
        assert (search["type"], search["input"]) == ("server_tool_use", {"query": "heron"})
        assert found["content"][0]["url"] == "https://birds.example"
        assert text["citations"][0]["cited_text"] == "Herons wade."
        assert message["usage"]["server_tool_use"]["web_search_requests"] == 1
        row = gateway.logged(completion_id)
        assert [block["type"] for block in row["message"]["provider_blocks"]] == [
            "server_tool_use",
            "web_search_tool_result",
        ]
        assert row["message"]["annotations"][0]["url_citation"]["url"] == "https://birds.example"
    for seen in gateway.upstream.seen("Herons?"):
        assert seen["headers"]["anthropic-beta"] == "files-api-2025-04-14"
        assert seen["body"]["tools"] == [{"type": "web_search_20250305", "name": "web_search"}]


ERRORS = {
    "error-400": "BadRequestError",
    "error-403": "PermissionDeniedError",
    "error-404": "NotFoundError",
    "error-429": "RateLimitError",
    "error-500": "InternalServerError",
    "error-529": "OverloadedError",
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_errors_raise_the_clients_classes(run_with: Run, gateway: Any, provider: str):
    said = run_with(
        "anthropic",
        """
        import anthropic

        def failure(client, **call):
            try:
                body = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}], **call}
                client.post("/v1/messages", body=body, cast_to=object)
            except anthropic.APIStatusError as error:
                body = error.body
                return [type(error).__name__, error.type, body["type"], error.request_id == body["request_id"]]

        client = anthropic.Anthropic(max_retries=0)
        found = {name: failure(client, model=model) for name, model in given["models"].items()}
        found["no model"] = failure(client, model=given["project"] + "/none")
        found["no max_tokens"] = failure(client, model=given["models"]["error-400"], max_tokens=None)
        found["wrong key"] = failure(anthropic.Anthropic(api_key="aw_wrong", max_retries=0), model="m")
        try:
            call = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hello there, all"}]}
            with client.messages.stream(model=given["cut"], **call) as stream:
                stream.until_done()
        except anthropic.APIStatusError as error:
            found["stream"] = [error.body["type"], error.body["error"]["type"]]
        print(json.dumps(found))
        """,
        models={name: gateway.model(name, provider=provider) for name in ERRORS},
        cut=gateway.model("error-in-stream", provider=provider),
        project=gateway.project,
    )
    for name, class_name in ERRORS.items():
        if (provider, name) == ("open_ai", "error-529"):
            class_name = "OverloadedError"
        assert said[name][0] == class_name, (name, said[name])
        assert said[name][2:] == ["error", True]
    assert said["no model"][:2] == ["NotFoundError", "not_found_error"]
    assert said["no max_tokens"][:2] == ["BadRequestError", "invalid_request_error"]
    assert said["wrong key"][:2] == ["AuthenticationError", "authentication_error"]
    assert said["stream"] == ["error", "overloaded_error" if provider == "anthropic" else "api_error"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_tokens_are_counted_and_nothing_is_logged(run_with: Run, gateway: Any, provider: str):
    said = run_with(
        "anthropic",
        """
        from anthropic import Anthropic

        count = Anthropic().messages.count_tokens(
            model=given["model"], messages=[{"role": "user", "content": "Hello there"}], system="Be kind."
        )
        print(json.dumps(count.input_tokens))
        """,
        model=gateway.model(provider=provider),
    )
    assert said > 0
    assert gateway.count() == 0


@pytest.mark.thorough
@pytest.mark.parametrize("provider", PROVIDERS)
def test_langchain_calls_tools_streams_and_reads_the_id(run_with: Run, gateway: Any, provider: str):
    said = run_with(
        "anthropic",
        """
        from langchain_anthropic import ChatAnthropic
        from langchain_core.tools import tool

        @tool
        def get_weather(city: str) -> str:
            "Tell the weather of a city."
            return f"Rain in {city}"

        answer = ChatAnthropic(model=given["tools"]).bind_tools([get_weather]).invoke("Weather in Paris?")
        [call] = answer.tool_calls
        result = get_weather.invoke(call)
        good = ChatAnthropic(model=given["good"])
        after = good.invoke([("user", "Weather in Paris?"), answer, result, ("user", "And?")])
        whole = None
        for part in good.stream("Hello there"):
            whole = part if whole is None else whole + part
        print(json.dumps({
            "call": [call["name"], call["args"], result.content],
            "after": [after.text.strip(), after.response_metadata["id"]],
            "stream": [whole.text.strip(), whole.usage_metadata["output_tokens"]],
        }))
        """,
        tools=gateway.model("tools", provider=provider),
        good=gateway.model(provider=provider),
    )
    assert said["call"] == ["get_weather", {"city": "Paris"}, "Rain in Paris"]
    text, id_ = said["after"]
    assert text == "You said: And?"
    assert gateway.logged(id_)["completion"].strip() == text
    assert said["stream"] == ["You said: Hello there", 5 if provider == "anthropic" else 7]
    assert gateway.count() == 3
