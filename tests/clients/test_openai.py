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


def test_feedback_on_first_chunk_finds_interaction_while_streaming(run_with: Run, gateway: Any):
    gateway.http.post("/api/v1/metrics", json={"key": "liked", "project": gateway.project}).raise_for_status()
    said = run_with(
        "openai",
        """
        from openai import OpenAI

        client = OpenAI()
        stream = client.chat.completions.create(
            model=given["model"], messages=[{"role": "user", "content": "Hello there"}], stream=True
        )
        completion_id = next(stream).choices[0].completion_id
        feedback = {"completion_id": completion_id, "metric": "liked", "value": 1}
        client.post("/feedback", body=feedback, cast_to=object)
        state = client.get(f"/interactions/{completion_id}", cast_to=object)["call"]["state"]
        rest = [chunk.choices[0].completion_id for chunk in stream]
        print(json.dumps({"completion_id": completion_id, "state": state, "rest": rest}))
        """,
        model=gateway.model("slow-100"),
    )
    assert said["state"] == "open"
    assert {said["completion_id"]} == set(said["rest"])
    logged = gateway.logged(said["completion_id"])
    assert [given["value"] for given in logged["feedback"]] == [1.0]
    assert (logged["call"]["state"], logged["completion"]) == ("complete", "You said: Hello there")


def test_labels_and_session_are_for_the_log_and_openais_fields_for_both(run_with: Run, gateway: Any):
    gateway.http.post("/api/v1/metrics", json={"key": "liked", "project": gateway.project}).raise_for_status()
    session = "0192d3a4-5b6c-7d8e-9f00-112233445566"
    said = run_with(
        "openai",
        """
        import openai

        client = openai.OpenAI()
        messages = [{"role": "user", "content": "own-fields-of-openai"}]
        kept = client.chat.completions.create(
            model=given["model"], messages=messages, user="ann", metadata={"app": "shop"}, store=True, seed=7,
            extra_body={"session_id": given["session"], "labels": {"lang": "en"}, "unheard_of": [1]},
        )
        unkept = client.chat.completions.create(model=given["model"], messages=messages, store=False)
        completion_id = unkept.choices[0].completion_id
        try:
            feedback = {"completion_id": completion_id, "metric": "liked", "value": 1}
            client.post("/feedback", body=feedback, cast_to=object)
        except openai.NotFoundError as error:
            refusal = [error.code, error.message]
        print(json.dumps({"kept": [kept.choices[0].completion_id, kept.session_id], "refusal": refusal}))
        """,
        model=gateway.model(),
        session=session,
    )
    completion_id, session_id = said["kept"]
    logged = gateway.logged(completion_id)
    assert logged["labels"] == {"app": "shop", "lang": "en"}
    assert (logged["user"], logged["session_id"], session_id) == ("ann", session, session)
    assert said["refusal"][0] == "completion_not_stored"
    assert "store: false" in said["refusal"][1]
    assert gateway.count() == 1
    first, second = gateway.upstream.seen(gateway.external[0])
    assert (first["body"]["seed"], first["body"]["unheard_of"]) == (7, [1])
    assert (first["body"]["user"], first["body"]["metadata"], first["body"]["store"]) == ("ann", {"app": "shop"}, True)
    assert second["body"]["store"] is False
    assert not {"session_id", "labels"} & {*first["body"], *second["body"]}
    assert gateway.server.api_key not in str([first, second])


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
        def seen(address):
            parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": address}]
            messages = [{"role": "user", "content": parts}]
            return client.chat.completions.create(model=given["good"], messages=messages).choices[0].completion_id

        asked = [{"role": "user", "content": "Where?"}]
        parsed = client.chat.completions.parse(model=given["json"], messages=asked, response_format=Answer).choices[0]
        with client.chat.completions.stream(model=given["json"], messages=asked, response_format=Answer) as stream:
            streamed = stream.get_final_completion().choices[0]
        print(json.dumps({
            "seen": [seen({"url": given["image"]}), seen(given["image"])],
            "parsed": [one.message.parsed.model_dump() for one in (parsed, streamed)],
        }))
        """,
        good=gateway.model(),
        json=gateway.model("json"),
        image=PIXEL,
    )
    nested, flat = (gateway.logged(one)["messages"][0]["content"][1]["image_url"] for one in said["seen"])
    for link in (nested["url"], flat):
        assert gateway.http.get(link).headers["content-type"] == "image/gif"
    for sent in gateway.upstream.seen(gateway.external[0]):
        assert sent["body"]["messages"][0]["content"][1] == {"type": "image_url", "image_url": {"url": PIXEL}}
    assert said["parsed"] == [{"city": "x", "country": "x"}] * 2


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
            "streamed": "".join(
                chunk.choices[0].text
                for chunk in client.completions.create(model=given["model"], prompt="Twice", stream=True)
            ),
        }))
        """,
        model=(model := gateway.model()),
    )
    assert {model, "default/echo"} <= set(said["models"])
    assert said["model"] == "open_ai"
    assert said["vectors"] == [[0.5, -0.5, 0.25]] * 2
    assert (said["text"], said["streamed"]) == ("You said: Once", "You said: Twice")
    assert gateway.newest()["completion"] == "You said: Twice"


def test_operations_beside_texts_answer_and_are_logged(run_with: Run, gateway: Any):
    said = run_with(
        "openai",
        """
        from openai import OpenAI

        client, model = OpenAI(), given["model"]
        wav, png = ("a.wav", b"RIFF" + bytes(40)), ("a.png", bytes.fromhex("89504e470d0a1a0a") + bytes(40))
        raw = client.audio.with_raw_response.speech.create(model=model, voice="alloy", input="Good day")
        edited = client.images.edit(model=model, image=png, prompt="More clouds")
        print(json.dumps({
            "embeddings": client.embeddings.create(model=model, input="a").completion_id,
            "moderations": client.moderations.create(model=model, input="I will kill").completion_id,
            "speech": raw.headers["x-afterword-completion-id"],
            "transcriptions": client.audio.transcriptions.create(model=model, file=wav).completion_id,
            "translations": client.audio.translations.create(model=model, file=wav).completion_id,
            "image_generations": client.images.generate(model=model, prompt="A sky").completion_id,
            "image_edits": edited.completion_id,
            "image_variations": client.images.create_variation(model=model, image=png).completion_id,
        }))
        with client.audio.speech.with_streaming_response.create(model=model, voice="alloy", input="x") as audio:
            assert audio.read()[:3] == b"ID3"
        events = client.audio.transcriptions.create(model=model, file=wav, stream=True)
        assert [event.type for event in events][-1] == "transcript.text.done"
        events = client.images.generate(model=model, prompt="A sky", stream=True)
        assert [event.type for event in events][-1] == "image_generation.completed"
        """,
        model=gateway.model(),
    )
    assert {operation: gateway.logged(completion_id)["operation"] for operation, completion_id in said.items()} == {
        operation: operation for operation in said
    }
    assert len(said) == 8


def test_sixty_four_at_once_are_sixty_four_interactions(run_with: Run, gateway: Any):
    texts = run_with(
        "openai",
        """
        import asyncio
        from openai import AsyncOpenAI

        async def main():
            client = AsyncOpenAI()
            texts = {}

            async def one(number):
                asked = {"model": given["model"], "messages": [{"role": "user", "content": f"Question {number}"}]}
                if number % 2:
                    [choice] = (await client.chat.completions.create(**asked)).choices
                    texts[choice.completion_id] = choice.message.content
                    return
                async for chunk in await client.chat.completions.create(**asked, stream=True):
                    [choice] = chunk.choices
                    texts[choice.completion_id] = texts.get(choice.completion_id, "") + (choice.delta.content or "")

            await asyncio.gather(*(one(number) for number in range(64)))
            return texts

        print(json.dumps(asyncio.run(main())))
        """,
        model=gateway.model(),
    )
    assert sorted(texts.values()) == sorted(f"You said: Question {number}" for number in range(64))
    query: dict[str, Any] = {"project": gateway.project, "limit": 500, "view": "full"}
    rows = gateway.http.get("/api/v1/interactions", params=query).json()["interactions"]
    assert {row["completion_id"]: row["completion"] for row in rows} == texts


def test_errors_are_the_clients_own_with_our_words(run_with: Run, gateway: Any):
    key = gateway.http.post("/api/v1/keys", json={"name": "logs", "role": "ingest"}).json()["api_key"]
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
            "role": error(given["good"], key=given["key"]),
            "refused": error(given["refused"]),
            "labels": error(given["good"], extra_body={"labels": {"a": 1}}),
            "busy": error(given["busy"]),
            "down": error(given["down"]),
            "overloaded": error(given["overloaded"]),
            "unreadable": error(given["unreadable"]),
            "broken": broken(given["cut"]),
        }))
        """,
        good=gateway.model(),
        key=key,
        refused=gateway.model("error-400"),
        overloaded=gateway.model("error-529"),
        unreadable=gateway.model("html"),
        busy=gateway.model("error-429"),
        down=gateway.model("error-500"),
        cut=gateway.model("cut-after-2"),
    )
    assert said["key"][0] == "AuthenticationError"
    assert said["model"][:2] == ["NotFoundError", "model_not_found"]
    assert "nobody" in said["model"][2]
    assert said["role"][0] == "PermissionDeniedError"
    assert said["refused"][0] == "BadRequestError"
    assert "The provider says 400." in said["refused"][2]
    assert said["labels"] is None
    assert said["busy"][0] == "RateLimitError"
    assert said["busy"][3] == "7"
    assert said["overloaded"][0] == "InternalServerError"
    assert said["unreadable"][:2] == ["InternalServerError", "provider_answer_unreadable"]
    assert said["down"][0] == "InternalServerError"
    assert "The provider says 500." in said["down"][2]
    assert said["broken"][0] == "APIError"
    assert "broke off" in said["broken"][1]
