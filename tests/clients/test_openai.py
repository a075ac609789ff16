"""The newest openai client, unmodified, pointed at Afterword."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("openai")]

Run = Callable[..., Any]
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def test_plain_calls_streams_and_several_choices_are_interactions(run_with: Run, gateway: Any):
    said = run_with(
        "openai",
        """
        from openai import OpenAI

        client = OpenAI()
        messages = [{"role": "user", "content": "Hello there"}]
        plain = client.chat.completions.create(
            model=given["model"], messages=messages, metadata={"app": "shop"}, extra_body={"labels": {"lang": "en"}}
        )
        several = client.chat.completions.create(model=given["model"], messages=messages, n=3)
        ids, text, usage = set(), "", None
        options = {"include_usage": True}
        for chunk in client.chat.completions.create(
            model=given["model"], messages=messages, stream=True, stream_options=options
        ):
            for choice in chunk.choices:
                ids.add(choice.completion_id)
                text += choice.delta.content or ""
            usage = chunk.usage or usage
        with client.chat.completions.stream(model=given["model"], messages=messages) as stream:
            for event in stream:
                pass
            final = stream.get_final_completion().choices[0].message
        print(json.dumps({
            "plain": [plain.choices[0].completion_id, plain.choices[0].message.content, plain.usage.total_tokens],
            "several": [choice.completion_id for choice in several.choices],
            "streamed": [sorted(ids), text, usage.total_tokens],
            "helper": [final.role, final.content],
        }))
        """,
        model=gateway.model(),
    )
    assert said["plain"][1:] == ["You said: Hello there", 18]
    assert gateway.logged(said["plain"][0])["labels"] == {"app": "shop", "lang": "en"}
    assert len({gateway.logged(one)["completion_id"] for one in said["several"]}) == 3
    [streamed], text, tokens = said["streamed"]
    assert (text, tokens) == ("You said: Hello there", 18)
    assert gateway.logged(streamed)["completion"] == text
    assert said["helper"] == ["assistant", "You said: Hello there"]


def test_tools_are_called_plain_and_streamed_and_their_results_sent_back(run_with: Run, gateway: Any):
    said = run_with(
        "openai",
        """
        from openai import OpenAI

        client = OpenAI()
        parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        tools = [{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}]
        messages = [{"role": "user", "content": "Weather in Paris?"}]
        plain = client.chat.completions.create(model=given["tools"], messages=messages, tools=tools).choices[0]
        with client.chat.completions.stream(model=given["tools"], messages=messages, tools=tools) as stream:
            for event in stream:
                pass
            streamed = stream.get_final_completion().choices[0]
        result = {"role": "tool", "tool_call_id": plain.message.tool_calls[0].id, "content": "Rain"}
        after = client.chat.completions.create(model=given["good"], messages=[*messages, plain.message, result])
        print(json.dumps({
            "plain": [plain.finish_reason, plain.message.tool_calls[0].function.arguments],
            "streamed": [streamed.finish_reason, streamed.message.tool_calls[0].function.arguments],
            "after": after.choices[0].completion_id,
        }))
        """,
        tools=gateway.model("tools"),
        good=gateway.model(),
    )
    assert said["plain"] == said["streamed"] == ["tool_calls", '{"city":"Paris"}']
    logged = gateway.logged(said["after"])
    assert [message["role"] for message in logged["messages"]] == ["user", "assistant", "tool"]
    assert logged["messages"][1]["tool_calls"][0]["function"]["name"] == "get_weather"


def test_images_and_schemas_go_through(run_with: Run, gateway: Any):
    said = run_with(
        "openai",
        """
        from openai import OpenAI
        from pydantic import BaseModel

        class Answer(BaseModel):
            city: str
            country: str

        client = OpenAI()
        parts = [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": given["image"]}},
        ]
        seen = client.chat.completions.create(
            model=given["good"], messages=[{"role": "user", "content": parts}]
        ).choices[0]
        parsed = client.chat.completions.parse(
            model=given["json"], messages=[{"role": "user", "content": "Where?"}], response_format=Answer
        ).choices[0]
        print(json.dumps({"seen": seen.completion_id, "parsed": parsed.message.parsed.model_dump()}))
        """,
        good=gateway.model(),
        json=gateway.model("json"),
        image=PIXEL,
    )
    link = gateway.logged(said["seen"])["messages"][0]["content"][1]["image_url"]["url"]
    assert gateway.http.get(link).headers["content-type"] == "image/gif"
    assert said["parsed"] == {"city": "x", "country": "x"}


def test_models_embeddings_and_old_completions_answer(run_with: Run, gateway: Any):
    said = run_with(
        "openai",
        """
        from openai import OpenAI

        client = OpenAI()
        print(json.dumps({
            "models": [model.id for model in client.models.list()],
            "model": client.models.retrieve(given["model"]).owned_by,
            "vectors": [one.embedding for one in client.embeddings.create(model=given["model"], input=["a", "b"]).data],
            "text": client.completions.create(model=given["model"], prompt="Once").choices[0].text,
        }))
        """,
        model=(model := gateway.model()),
    )
    assert {model, "default/echo"} <= set(said["models"])
    assert said["model"] == "open_ai"
    assert said["vectors"] == [[0.5, -0.5, 0.25]] * 2
    assert said["text"] == "You said: Once"


def test_sixty_four_at_once_are_sixty_four_interactions(run_with: Run, gateway: Any):
    ids = run_with(
        "openai",
        """
        import asyncio
        from openai import AsyncOpenAI

        async def main():
            client = AsyncOpenAI()

            async def one(number):
                messages = [{"role": "user", "content": f"Question {number}"}]
                answer = await client.chat.completions.create(model=given["model"], messages=messages)
                return answer.choices[0].completion_id

            return await asyncio.gather(*(one(number) for number in range(64)))

        print(json.dumps(asyncio.run(main())))
        """,
        model=gateway.model(),
    )
    assert len(set(ids)) == gateway.count() == 64


def test_errors_are_the_clients_own_with_our_words(run_with: Run, gateway: Any):
    said = run_with(
        "openai",
        """
        import openai

        def error(model, key=None, **more):
            client = openai.OpenAI(api_key=key, max_retries=0) if key else openai.OpenAI(max_retries=0)
            try:
                client.chat.completions.create(model=model, messages=[{"role": "user", "content": "x"}], **more)
            except openai.APIStatusError as error:
                return [type(error).__name__, error.code, error.message, error.response.headers.get("retry-after")]

        def broken(model):
            try:
                for chunk in openai.OpenAI().chat.completions.create(
                    model=model, messages=[{"role": "user", "content": "x"}], stream=True
                ):
                    pass
            except openai.APIError as error:
                return [type(error).__name__, str(error)]

        print(json.dumps({
            "key": error(given["good"], key="aw_wrong"),
            "model": error("default/nobody"),
            "labels": error(given["good"], extra_body={"labels": {"a": 1}}),
            "busy": error(given["busy"]),
            "down": error(given["down"]),
            "broken": broken(given["cut"]),
        }))
        """,
        good=gateway.model(),
        busy=gateway.model("error-429"),
        down=gateway.model("error-500"),
        cut=gateway.model("cut-after-2"),
    )
    assert said["key"][0] == "AuthenticationError"
    assert said["model"][:2] == ["NotFoundError", "model_not_found"]
    assert "default/echo" in said["model"][2] or "nobody" in said["model"][2]
    assert said["labels"][0] == "UnprocessableEntityError"
    assert said["busy"][0] == "RateLimitError"
    assert said["busy"][3] == "7"
    assert said["down"][0] == "InternalServerError"
    assert "The provider says 500." in said["down"][2]
    assert said["broken"][0] == "APIError"
    assert "broke off" in said["broken"][1]
