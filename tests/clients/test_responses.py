"""Clients of OpenAI's Responses API, unmodified, pointed at Afterword: the openai client and the OpenAI Agents SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("openai")]

Run = Callable[..., Any]


@pytest.fixture(params=["native", "chat"])
def endpoint(request: pytest.FixtureRequest, gateway: Any) -> dict[str, str]:
    """What a model is registered with whose provider speaks the Responses API, or chat alone."""
    return {} if request.param == "native" else {"endpoint": f"{gateway.upstream.url}/chat-only/v1"}


def test_openais_client_creates_streams_parses_and_continues(run_with: Run, gateway: Any, endpoint: dict[str, str]):
    said = run_with(
        "openai",
        """
        from openai import OpenAI
        from pydantic import BaseModel

        class Place(BaseModel):
            city: str

        client = OpenAI()
        tool = {"type": "function", "name": "get_weather", "strict": True, "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
            "additionalProperties": False}}
        plain = client.responses.create(model=given["good"], input="Hello there", metadata={"app": "shop"})
        with client.responses.stream(model=given["good"], input="Hello there") as stream:
            text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
            final = stream.get_final_response()
        parsed = client.responses.parse(model=given["json"], input="Where?", text_format=Place)
        with client.responses.stream(model=given["tools"], input="Weather?", tools=[tool]) as stream:
            for event in stream:
                pass
            [call] = stream.get_final_response().output
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        first = client.responses.create(model=given["tools"], input="Weather?", tools=[tool])
        second = client.responses.create(
            model=given["good"], input=[output], tools=[tool], previous_response_id=first.id
        )
        shown = client.responses.retrieve(second.id, include=["message.output_text.logprobs"])
        items = list(client.responses.input_items.list(second.id, limit=2, order="asc"))
        client.responses.delete(plain.id)
        print(json.dumps({
            "plain": [plain.output_text, plain.usage.total_tokens, plain.completion_id],
            "streamed": [text, final.output_text, final.id, final.completion_id],
            "parsed": parsed.output_parsed.city,
            "call": [call.name, call.arguments],
            "continued": [second.completion_id, second.session_id, first.session_id],
            "shown": [shown.id == second.id, shown.output_text == second.output_text],
            "items": [item.type for item in items],
        }))
        """,
        **{behaviour: gateway.model(behaviour, **endpoint) for behaviour in ("good", "json", "tools")},
    )
    assert said["plain"][:2] == ["You said: Hello there", 18]
    assert gateway.http.get(f"/api/v1/interactions/{said['plain'][2]}").status_code == 404
    text, final_text, id_, completion_id = said["streamed"]
    assert text == final_text == "You said: Hello there"
    assert id_ == f"resp_{completion_id}"
    assert gateway.logged(completion_id)["completion"] == text
    assert said["parsed"] == "x"
    assert said["call"] == ["get_weather", '{"city":"Paris"}']
    completion_id, session_id, first_session_id = said["continued"]
    assert session_id == first_session_id
    assert [message["role"] for message in gateway.logged(completion_id)["messages"]] == ["user", "assistant", "tool"]
    assert said["shown"] == [True, True]
    assert said["items"] == ["message", "function_call", "function_call_output"]


def test_openais_client_raises_the_classes_of_errors(run_with: Run, gateway: Any, endpoint: dict[str, str]):
    behaviours = ("error-400", "error-429", "error-500", "cut-after-2", "error-in-stream")
    said = run_with(
        "openai",
        """
        import openai

        client = openai.OpenAI(max_retries=0)
        def fails(**body):
            try:
                answer = client.responses.create(**{"input": "Hi", **body})
                return [event.type for event in answer] if body.get("stream") else "no error"
            except openai.APIError as error:
                return [type(error).__name__, error.code]
        models = given["models"]
        print(json.dumps({
            **{name: fails(model=models[name]) for name in ("error-400", "error-429", "error-500")},
            **{name: fails(model=models[name], stream=True) for name in ("cut-after-2", "error-in-stream")},
            "unknown": fails(model="nobody"),
            "previous": fails(model=models["error-400"], previous_response_id="resp_" + given["other_id"]),
        }))
        """,
        models={behaviour: gateway.model(behaviour, **endpoint) for behaviour in behaviours},
        other_id="0192d3a4-5b6c-7d8e-9f00-112233445566",
    )
    assert said["error-400"] == ["BadRequestError", "some_code"]
    assert said["error-429"][0] == "RateLimitError"
    assert said["error-500"][0] == "InternalServerError"
    assert said["cut-after-2"] == ["APIError", "provider_hung_up"]
    assert said["error-in-stream"] == ["APIError", "fell_over"]
    assert said["unknown"][0] == "NotFoundError"
    assert said["previous"] == ["BadRequestError", "previous_response_not_found"]


@pytest.mark.thorough
def test_the_agents_sdk_runs_in_its_default_mode(run_with: Run, gateway: Any, endpoint: dict[str, str]):
    said = run_with(
        "agents",
        """
        import asyncio
        from agents import Agent, OpenAIProvider, RunConfig, Runner, function_tool
        from pydantic import BaseModel

        # The default provider takes what stands before a slash in a model's name as the name of a provider.
        config = RunConfig(model_provider=OpenAIProvider(), tracing_disabled=True)

        @function_tool
        def get_weather(city: str) -> str:
            return "sunny"

        class Place(BaseModel):
            city: str

        async def main():
            agent = Agent(name="a", instructions="Be short.", model=given["tools"], tools=[get_weather])
            looped = await Runner.run(agent, "Weather?", run_config=config, max_turns=12)
            good, reasoning = Agent(name="b", model=given["good"]), Agent(name="e", model=given["reasoning"])
            streamed = Runner.run_streamed(good, "Hello there", run_config=config)
            kinds = {event.type async for event in streamed.stream_events()}
            place = Agent(name="c", model=given["json"], output_type=Place)
            typed = await Runner.run(place, "Where?", run_config=config)
            first = await Runner.run(good, "My name is Ann.", run_config=config)
            second = await Runner.run(
                good, "Who am I?", previous_response_id=first.last_response_id, run_config=config
            )
            thought = await Runner.run(reasoning, "Hi", run_config=config)
            input_ = [*thought.to_input_list(), {"role": "user", "content": "And now?"}]
            again = await Runner.run(reasoning, input_, run_config=config)
            return {
                "looped": [looped.final_output, looped.last_response_id],
                "streamed": [streamed.final_output, sorted(kinds)],
                "typed": typed.final_output.city,
                "continued": [first.last_response_id, second.last_response_id],
                "again": again.final_output,
            }
        print(json.dumps(asyncio.run(main())))
        """,
        # The provider's model of chat that stops calling tools has another name.
        tools=gateway.model("agent" if endpoint else "tools", **endpoint),
        **{behaviour: gateway.model(behaviour, **endpoint) for behaviour in ("good", "json", "reasoning")},
    )
    final, response_id = said["looped"]
    assert final == ("Pack a raincoat." if endpoint else "You said: Weather?")
    row = gateway.logged(response_id)
    assert [message["role"] for message in row["messages"]][:4] == ["system", "user", "assistant", "tool"]
    assert said["streamed"][0] == "You said: Hello there"
    assert "raw_response_event" in said["streamed"][1]
    assert said["typed"] == "x"
    first, second = (gateway.logged(response_id) for response_id in said["continued"])
    assert second["session_id"] == first["session_id"]
    assert len(second["messages"]) == 3
    assert said["again"] == "You said: And now?"
