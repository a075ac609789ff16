"""The client's chat: whole, streamed, asynchronous, and what goes wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from afterword import (
    Afterword,
    AsyncAfterword,
    ConnectionFailed,
    NotFound,
    RateLimited,
    ServerError,
)

ASK = [{"role": "user", "content": "Hello there"}]


@pytest.fixture
def client(gateway: Any) -> Afterword:
    return Afterword(gateway.server.url, gateway.server.api_key, default_project=gateway.project, max_retries=0)


def key_of(model: str) -> str:
    return model.partition("/")[2]


def test_a_whole_answer_is_read_by_its_attributes(client: Afterword, gateway: Any):
    key = key_of(gateway.model())
    answer = client.chat.create(ASK, key, labels={"app": "demo"}, session_id=None, temperature=0.5, n=2)
    assert [choice.message.content for choice in answer.choices] == ["You said: Hello there"] * 2
    assert answer.usage.total_tokens == 18
    logged = gateway.logged(answer.choices[1].completion_id)
    assert logged["labels"] == {"app": "demo"}
    assert logged["parameters"] == {"temperature": 0.5, "n": 2}
    client.feedback.register_key("liked")
    assert client.feedback.log_metric(1, answer.choices[0].completion_id, "liked")


def test_a_stream_is_a_generator_and_closing_it_hangs_up(client: Afterword, gateway: Any):
    stream = client.chat.create(ASK, key_of(gateway.model()), stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    said = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert said == "You said: Hello there"
    assert len({choice.completion_id for chunk in chunks for choice in chunk.choices}) == 1
    assert chunks[-1].usage
    assert chunks[-1].usage.total_tokens == 18
    key = key_of(gateway.model("hang-after-2"))
    stream = client.chat.create(ASK, key, stream=True)
    next(stream)
    stream.close()
    gateway.upstream.wait_until_idle(f"hang-after-2:{key}")


def test_a_stream_that_breaks_off_raises_what_the_server_tells(client: Afterword, gateway: Any):
    stream = client.chat.create(ASK, key_of(gateway.model("cut-after-2")), stream=True)
    assert next(stream)
    with pytest.raises(ServerError, match="broke off"):
        list(stream)


def test_errors_before_the_first_word_are_named_by_their_status(client: Afterword, gateway: Any):
    with pytest.raises(NotFound):
        client.chat.create(ASK, "nobody")
    with pytest.raises(RateLimited) as busy:
        list(client.chat.create(ASK, key_of(gateway.model("error-429")), stream=True))
    assert busy.value.retry_after == 7
    with pytest.raises(ConnectionFailed):
        Afterword("http://127.0.0.1:9", "k", max_retries=0).chat.create(ASK)


def test_the_async_client_does_the_same(gateway: Any):
    key = key_of(gateway.model())

    async def main() -> tuple[str | None, str, int]:
        async with AsyncAfterword(
            gateway.server.url, gateway.server.api_key, default_project=gateway.project
        ) as client:
            whole = await client.chat.create(ASK, key)
            said = ""
            async for chunk in await client.chat.create(ASK, key, stream=True):
                said += "".join(choice.delta.content or "" for choice in chunk.choices)
            vectors = await client.embeddings.create(["a", "b"], key)
            return whole.choices[0].message.content, said, len(vectors.data)

    assert asyncio.run(main()) == ("You said: Hello there", "You said: Hello there", 2)


def test_without_a_model_the_projects_default_is_called(client: Afterword, gateway: Any):
    first = gateway.model()
    assert client.chat.create(ASK).choices[0].model == key_of(first)
    second = gateway.model("tools", make_default=True)
    assert client.chat.create(ASK).choices[0].model == key_of(second)
