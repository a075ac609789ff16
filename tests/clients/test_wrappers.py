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
