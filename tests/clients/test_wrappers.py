"""Calls that go straight to a provider, by the clients and frameworks that Afterword wraps, and their log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("wrappers")]

SOURCE = Path(__file__).parents[2] / "src"
HEAD = """
import json, os, sys
from afterword.call_log import CallLog, default_log
up = os.environ["UPSTREAM"]
messages = [{"role": "user", "content": "Hello there"}]
"""


@pytest.fixture
def run_straight(
    server: Any, project: str, upstream: Any, python_with: Callable[[str], Path], tmp_path: Path
) -> Callable[..., Any]:
    """Run a script with a client installed, which calls the provider itself; return what it prints as JSON."""

    def run(name: str, script: str, *, url: str = server.url, status: int = 0) -> Any:
        done = subprocess.run(
            [str(python_with(name)), "-c", HEAD + textwrap.dedent(script)],
            env={
                **os.environ,
                "PYTHONPATH": str(SOURCE),
                "UPSTREAM": upstream.url,
                "AFTERWORD_URL": url,
                "AFTERWORD_API_KEY": server.api_key,
                "AFTERWORD_SPOOL": str(tmp_path / "spool"),
                "PROJECT": project,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            },
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_openai_client_calls_the_provider_and_logs_each_choice(
    run_straight: Any, http: Any, upstream: Any, project: str
):
    http.post("/api/v1/metrics", json={"key": "liked", "kind": "bool", "project": project}).raise_for_status()
    printed = run_straight(
        "wrappers",
        """
        import asyncio
        from afterword.openai import AsyncOpenAI, OpenAI

        log = CallLog(project=os.environ["PROJECT"], labels={"app": "shop"})
        client = OpenAI(base_url=f"{up}/v1", api_key="k", afterword=log)
        plain = client.chat.completions.create(
            model="good", messages=messages, extra_body={"labels": {"lang": "en"}, "session_id": "visit"},
            extra_headers={"x-afterword-label-team": "red"},
        )
        several = client.with_options(max_retries=0).chat.completions.create(model="good", messages=messages, n=3)
        streamed = {
            choice.completion_id
            for chunk in client.chat.completions.create(model="good", messages=messages, stream=True)
            for choice in chunk.choices
        }
        with client.chat.completions.stream(model="good", messages=messages) as stream:
            *_, _ = stream
            helper = stream.get_final_completion().choices[0].completion_id

        async def call():
            client = AsyncOpenAI(base_url=f"{up}/v1", api_key="k", afterword=log)
            answer = await client.chat.completions.create(model="good", messages=messages)
            return answer.choices[0].completion_id

        first = plain.choices[0].completion_id
        client.afterword.feedback(first, "liked", True, details="right")
        print(json.dumps({
            "first": first, "several": [choice.completion_id for choice in several.choices],
            "others": [*streamed, helper, asyncio.run(call())], "sent": log.flush(), "refused": log.refused,
        }))
        """,
    )
    assert (printed["sent"], printed["refused"]) == (True, 0)
    first = http.get(f"/api/v1/interactions/{printed['first']}").json()
    assert first["completion"] == "You said: Hello there"
    assert first["labels"] == {"app": "shop", "lang": "en", "team": "red"}
    assert (first["session"], first["source"], first["model"]) == ("visit", "LIVE", "good")
    assert [value["details"] for value in first["feedback"]] == ["right"]
    assert first["usage"]["total_tokens"] == 18
    assert not first["parameters"]
    assert len(set(printed["several"])) == 3
    for completion_id in [*printed["several"], *printed["others"]]:
        logged = http.get(f"/api/v1/interactions/{completion_id}").json()
        assert logged["completion"] == "You said: Hello there"
        assert logged["call"]["state"] == "complete"
    sent = upstream.seen("visit") + upstream.seen("shop")
    assert not sent, "what is for the log alone went to the provider"


def test_failed_and_abandoned_calls_are_logged_as_such(run_straight: Any, http: Any, project: str):
    run_straight(
        "wrappers",
        """
        import openai
        from afterword.openai import OpenAI

        log = CallLog(project=os.environ["PROJECT"])
        client = OpenAI(base_url=f"{up}/v1", api_key="k", afterword=log, max_retries=0)
        try:
            client.chat.completions.create(model="error-401", messages=messages)
        except openai.APIStatusError:
            pass
        stream = client.chat.completions.create(model="slow-50", messages=messages, stream=True)
        next(iter(stream))
        stream.close()
        try:
            OpenAI(base_url="http://127.0.0.1:9", api_key="k", afterword=log, max_retries=0).models.list()
        except openai.APIConnectionError:
            pass
        print(json.dumps(log.flush()))
        """,
    )
    found = http.get("/api/v1/interactions", params={"project": project, "view": "full"}).json()["interactions"]
    assert sorted(interaction["call"]["state"] for interaction in found) == ["cancelled", "failed"]


def test_calls_logged_while_the_server_is_away_are_sent_later(run_straight: Any, server: Any, http: Any, project: str):
    call = """
        from afterword.openai import OpenAI
        import signal

        log = CallLog(%s project=os.environ["PROJECT"], directory=os.environ["AFTERWORD_SPOOL"])
        client = OpenAI(base_url=f"{up}/v1", api_key="k", afterword=log)
        answer = client.chat.completions.create(model="good", messages=messages)
        print(json.dumps(answer.choices[0].completion_id), flush=True)
        %s
        """
    away = run_straight(
        "wrappers", call % ('"http://127.0.0.1:9",', "os.kill(os.getpid(), signal.SIGKILL)"), status=-signal.SIGKILL
    )
    assert http.get(f"/api/v1/interactions/{away}").status_code == 404
    run_straight("wrappers", call % ("", "assert log.flush()\n        print('0')"))
    assert http.get(f"/api/v1/interactions/{away}").json()["completion"] == "You said: Hello there"


def test_decorated_functions_are_logged_with_their_steps(run_straight: Any, http: Any, project: str):
    printed = run_straight(
        "wrappers",
        """
        import asyncio
        import afterword
        from openai import OpenAI

        log = CallLog(project=os.environ["PROJECT"])
        client = OpenAI(base_url=f"{up}/v1", api_key="k")

        @afterword.log(model="finder", call_log=log)
        def find(query, *, limit=3):
            return client.chat.completions.create(model="good", messages=[{"role": "user", "content": query}])

        @afterword.log(model="agent", labels={"app": "shop"}, call_log=log)
        def answer(question):
            return find(question, limit=5).choices[0].message.content + "!"

        @afterword.log(model="teller", call_log=log)
        async def tell(messages):
            for word in ("Once ", "upon"):
                yield word

        @afterword.log(call_log=log)
        def fail(prompt):
            raise ValueError("no answer")

        async def told():
            words = [word async for word in tell([{"role": "user", "content": "Tell"}])]
            return words, str(afterword.last_completion_id())

        answer("Where?")
        ids = {"answer": str(afterword.last_completion_id())}
        words, ids["tell"] = asyncio.run(told())
        try:
            fail("Why?")
        except ValueError:
            ids["fail"] = str(afterword.last_completion_id())
        print(json.dumps({**ids, "sent": log.flush(), "refused": log.refused}))
        """,
    )
    assert (printed.pop("sent"), printed.pop("refused")) == (True, 0)
    logged = {name: http.get(f"/api/v1/interactions/{id}").json() for name, id in printed.items()}
    assert logged["answer"]["prompt"] == "Where?"
    assert logged["answer"]["completion"] == "You said: Where?!"
    assert logged["answer"]["labels"] == {"app": "shop"}
    assert logged["tell"]["completion"] == "Once upon"
    assert logged["fail"]["call"]["state"] == "failed"
    assert logged["fail"]["call"]["error"] == {"type": "ValueError", "message": "no answer"}
    [step] = http.get("/api/v1/interactions", params={"project": project, "parent": printed["answer"]}).json()[
        "interactions"
    ]
    step = http.get(f"/api/v1/interactions/{step['completion_id']}").json()
    assert (step["step"], step["parameters"], step["usage"]["total_tokens"]) == ("find", {"limit": 5}, 18)


@pytest.mark.thorough
def test_langchain_handler_logs_calls_under_the_id_of_the_message(run_straight: Any, http: Any, project: str):
    printed = run_straight(
        "langchain",
        """
        import asyncio
        from langchain_openai import ChatOpenAI
        from afterword.langchain import AfterwordCallbackHandler, completion_id

        log = CallLog(project=os.environ["PROJECT"])
        model = ChatOpenAI(
            base_url=f"{up}/v1", api_key="k", model="good", callbacks=[AfterwordCallbackHandler(log)], temperature=0.5
        )
        plain = model.invoke("Hello there", config={"metadata": {"thread_id": "t1", "lang": "en"}, "tags": ["x"]})
        *_, last = model.stream("Hello there")
        awaited = asyncio.run(model.ainvoke("Hello there"))
        ids = [str(completion_id(message)) for message in (plain, last, awaited)]
        print(json.dumps({"ids": ids, "sent": log.flush(), "refused": log.refused}))
        """,
    )
    assert (printed["sent"], printed["refused"]) == (True, 0)
    logged = [http.get(f"/api/v1/interactions/{completion_id}").json() for completion_id in printed["ids"]]
    assert [interaction["completion"] for interaction in logged] == ["You said: Hello there"] * 3
    assert (logged[0]["session"], logged[0]["labels"]) == ("t1", {"lang": "en", "tags": "x"})
    assert logged[0]["parameters"]["temperature"] == 0.5
    assert logged[0]["usage"]["total_tokens"] == 18


@pytest.mark.thorough
@pytest.mark.xdist_group("litellm")
def test_litellm_callback_logs_calls_found_by_the_id_of_the_response(run_straight: Any, http: Any, project: str):
    http.post("/api/v1/metrics", json={"key": "liked", "kind": "bool", "project": project}).raise_for_status()
    printed = run_straight(
        "litellm",
        """
        import asyncio, queue
        import litellm
        from afterword.litellm import AfterwordLogger

        log = CallLog(project=os.environ["PROJECT"])
        logged = queue.Queue()

        class Logger(AfterwordLogger):
            def _append(self, kwargs):
                super()._append(kwargs)
                logged.put(kwargs)

        litellm.callbacks = [Logger(log)]
        good = dict(model="openai/good", api_base=f"{up}/v1", api_key="k", messages=messages)
        mocked = dict(model="openai/mocked", messages=messages, mock_response="Said for a test")
        plain = litellm.completion(**good, metadata={"tags": ["shop"], "session_id": "visit"}, user="ann")
        ids = [litellm.completion(**mocked).id, [part.id for part in litellm.completion(**mocked, stream=True)][-1]]
        try:
            litellm.completion(**{**good, "model": "openai/error-401"}, max_retries=0)
        except litellm.AuthenticationError:
            pass

        async def call():
            ids.append((await litellm.acompletion(**mocked)).id)
            ids.append([part.id async for part in await litellm.acompletion(**mocked, stream=True)][-1])
            try:
                await litellm.acompletion(**{**good, "model": "openai/error-500"}, max_retries=0)
            except litellm.InternalServerError:
                pass
            await asyncio.to_thread(wait_for, 7)

        def wait_for(number):
            for _ in range(number):
                logged.get(timeout=60)

        asyncio.run(call())
        for response_id in ids:
            log.feedback(response_id, "liked", True)
        print(json.dumps({"ids": ids, "sent": log.flush(), "refused": log.refused, "more": logged.qsize()}))
        """,
    )
    assert (printed["sent"], printed["refused"], printed["more"]) == (True, 0, 0)
    query = {"project": project, "view": "full", "limit": 50}
    found = http.get("/api/v1/interactions", params=query).json()["interactions"]
    assert len(found) == 7
    [plain] = [one for one in found if one["completion"] == "You said: Hello there"]
    assert (plain["session"], plain["user"], plain["source"]) == ("visit", "ann", "LIVE")
    assert plain["labels"] == {"provider": "openai", "tag.shop": "true"}
    assert plain["usage"]["total_tokens"] == 18
    mocked = {one["call"]["response_id"]: one for one in found if one["completion"] == "Said for a test"}
    assert mocked.keys() == set(printed["ids"])
    for response_id in printed["ids"]:
        shown = http.get(f"/api/v1/interactions/{response_id}").json()
        assert [value["value"] for value in shown["feedback"]] == [1.0]
    failed = sorted(one["call"]["error"]["code"] for one in found if one["call"]["state"] == "failed")
    assert failed == ["AuthenticationError", "InternalServerError"]


def test_anthropic_client_calls_the_provider_and_logs_messages(
    run_straight: Any, http: Any, upstream: Any, project: str
):
    printed = run_straight(
        "wrappers",
        """
        import anthropic
        from afterword.anthropic import Anthropic

        log = CallLog(project=os.environ["PROJECT"])
        client = Anthropic(base_url=up, api_key="k", afterword=log, max_retries=0)
        ask = dict(model="good", max_tokens=64, messages=messages)
        plain = client.messages.create(**ask, extra_body={"labels": {"lang": "en"}})
        with client.messages.stream(**ask) as stream:
            text = "".join(stream.text_stream)
            streamed = stream.get_final_message()
        tool = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
        called = client.messages.create(**{**ask, "model": "tools"}, tools=[tool])
        try:
            client.messages.create(**{**ask, "model": "error-in-stream"}, stream=False)
        except anthropic.APIError:
            pass
        try:
            list(client.messages.create(**{**ask, "model": "error-in-stream"}, stream=True))
        except anthropic.APIError:
            pass
        ids = [answer.completion_id for answer in (plain, streamed, called)]
        print(json.dumps({"ids": ids, "text": text, "sent": log.flush(), "refused": log.refused}))
        """,
    )
    assert (printed["sent"], printed["refused"], printed["text"].rstrip()) == (True, 0, "You said: Hello there")
    plain, streamed, called = (http.get(f"/api/v1/interactions/{one}").json() for one in printed["ids"])
    for shown in (plain, streamed):
        assert (shown["completion"].rstrip(), shown["message"]) == ("You said: Hello there", None)
        assert shown["model"] == "good"
        assert shown["call"]["state"] == "complete"
        assert shown["usage"]["completion_tokens"] > 0
    assert (plain["labels"], streamed["call"]["streamed"]) == ({"lang": "en"}, True)
    assert called["message"]["tool_calls"][0]["function"]["name"] == "get_weather"
    assert not upstream.seen("lang")
    found = http.get("/api/v1/interactions", params={"project": project, "view": "full"}).json()["interactions"]
    assert sorted(one["call"]["state"] for one in found) == ["complete"] * 3 + ["failed"] * 2


def test_openai_client_logs_responses(run_straight: Any, http: Any, project: str):
    printed = run_straight(
        "wrappers",
        """
        from afterword.openai import OpenAI

        log = CallLog(project=os.environ["PROJECT"])
        client = OpenAI(base_url=f"{up}/v1", api_key="k", afterword=log, max_retries=0)
        plain = client.responses.create(model="good", input="Hello there", instructions="Be brief.")
        with client.responses.stream(model="good", input=messages) as stream:
            *_, _ = stream
            streamed = stream.get_final_response()
        ids = [plain.completion_id, streamed.completion_id]
        print(json.dumps({"ids": ids, "sent": log.flush(), "refused": log.refused}))
        """,
    )
    assert (printed["sent"], printed["refused"]) == (True, 0)
    plain, streamed = (http.get(f"/api/v1/interactions/{one}").json() for one in printed["ids"])
    assert [message["role"] for message in plain["messages"]] == ["system", "user"]
    for shown in (plain, streamed):
        assert (shown["completion"], shown["call"]["state"]) == ("You said: Hello there", "complete")
        assert shown["usage"]["completion_tokens"] > 0
