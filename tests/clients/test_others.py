"""LangChain in front of Afterword, and a provider that others wrote behind it: LiteLLM's proxy."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

pytestmark = [pytest.mark.timeout(900), pytest.mark.thorough]

Run = Callable[..., Any]


@pytest.mark.xdist_group("requests")
def test_requests_alone_calls_streams_and_rates(run_with: Run, gateway: Any):
    gateway.http.post("/api/v1/metrics", json={"key": "liked", "project": gateway.project}).raise_for_status()
    said = run_with(
        "requests",
        """
        import requests

        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {os.environ['OPENAI_API_KEY']}"
        url = os.environ["OPENAI_BASE_URL"]

        def call(**more):
            body = {"model": given["model"], "messages": [{"role": "user", "content": "Hello there"}], **more}
            answer = session.post(f"{url}/chat/completions", json=body, stream=bool(more))
            answer.raise_for_status()
            return answer

        plain = call().json()["choices"][0]
        lines = (line for line in call(stream=True).iter_lines(decode_unicode=True) if line)
        completion_id = json.loads(next(lines)[6:])["choices"][0]["completion_id"]
        feedback = {"completion_id": completion_id, "metric": "liked", "value": 1}
        rated = requests.post(f"{url}/feedback", json=feedback, headers=session.headers).status_code
        *_, last = lines
        print(json.dumps({"plain": plain, "streamed": completion_id, "rated": rated, "last": last}))
        """,
        model=gateway.model("slow-50"),
    )
    assert said["plain"]["message"]["content"] == "You said: Hello there"
    assert (said["rated"], said["last"]) == (201, "data: [DONE]")
    logged = gateway.logged(said["streamed"])
    assert [given["value"] for given in logged["feedback"]] == [1.0]
    for one in (said["plain"]["completion_id"], said["streamed"]):
        assert gateway.logged(one)["completion"] == "You said: Hello there"


@pytest.mark.xdist_group("langchain")
def test_langchain_calls_a_tool_and_streams(run_with: Run, gateway: Any):
    said = run_with(
        "langchain",
        """
        from langchain_core.tools import tool
        from langchain_openai import ChatOpenAI

        @tool
        def get_weather(city: str) -> str:
            "Tell the weather of a city."
            return f"Rain in {city}"

        answer = ChatOpenAI(model=given["tools"]).bind_tools([get_weather]).invoke("Weather in Paris?")
        [call] = answer.tool_calls
        result = get_weather.invoke(call)
        good = ChatOpenAI(model=given["good"])
        after = good.invoke([("user", "Weather in Paris?"), answer, result]).content
        text = "".join(part.content for part in good.stream("Hello there"))
        said = {"call": [call["name"], call["args"]], "result": result.content, "after": after, "text": text}
        print(json.dumps(said))
        """,
        tools=gateway.model("tools"),
        good=gateway.model(),
    )
    assert said == {
        "call": ["get_weather", {"city": "Paris"}],
        "result": "Rain in Paris",
        "after": "You said: Weather in Paris?",
        "text": "You said: Hello there",
    }
    assert gateway.count() == 3
    assert gateway.newest()["completion"] == "You said: Hello there"


@pytest.fixture
def log_of_proxy(http: httpx.Client) -> str:
    """The project to which LiteLLM's proxy sends its log."""
    return http.post("/api/v1/projects", json={"key": f"proxy-{uuid4()}"}).raise_for_status().json()["key"]


@pytest.fixture
def proxy(python_with: Callable[[str], Path], server: Any, log_of_proxy: str, tmp_path: Path) -> Iterator[str]:
    """LiteLLM's proxy with a mocked answer and our server as its log; return the base URL of its API."""
    config = tmp_path / "config.yaml"
    answer = "A mocked answer of several words"
    parameters = {"model": "openai/mocked", "api_key": "none", "mock_response": answer}
    model = {"model_name": "mocked", "litellm_params": parameters}
    callback = {
        "callback_type": "generic_api",
        "endpoint": f"{server.url}/api/v1/ingest/litellm?project={log_of_proxy}",
        "headers": {"Authorization": f"Bearer {server.api_key}"},
    }
    settings = {
        "model_list": [model],
        "general_settings": {"master_key": "sk-lite"},
        "litellm_settings": {"callbacks": ["afterword"]},
        "callback_settings": {"afterword": callback},
    }
    config.write_text(json.dumps(settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = python_with("litellm").with_name("litellm")
    with (tmp_path / "proxy.log").open("wb") as log:
        process = subprocess.Popen(
            [str(command), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)],
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            env={**os.environ, "DEFAULT_FLUSH_INTERVAL_SECONDS": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        )
    try:
        end = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health/liveliness").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert process.poll() is None, (tmp_path / "proxy.log").read_text()
            assert time.monotonic() < end, (tmp_path / "proxy.log").read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.xdist_group("litellm")
def test_a_server_that_others_wrote_answers_plain_and_streamed(gateway: Any, proxy: str):
    model = gateway.model("good", endpoint=proxy, api_key="sk-lite", external_model_id="mocked")
    whole = gateway.ask(model).raise_for_status().json()["choices"][0]
    assert whole["message"]["content"] == "A mocked answer of several words"
    chunks, done = gateway.stream(model, stream_options={"include_usage": True})
    assert done
    [completion_id] = {choice["completion_id"] for chunk in chunks for choice in chunk["choices"]}
    for one in (whole["completion_id"], completion_id):
        logged = gateway.logged(one)
        assert logged["completion"] == "A mocked answer of several words"
        assert logged["call"]["state"] == "complete"
        assert logged["usage"]["total_tokens"] > 0
    refused = gateway.ask(gateway.model("good", endpoint=proxy, api_key="sk-lite", external_model_id="unknown"))
    assert refused.status_code == 400
    assert "unknown" in refused.json()["error"]["message"]
    assert gateway.newest()["call"]["state"] == "failed"


@pytest.mark.xdist_group("litellm")
def test_the_log_of_a_litellm_proxy_becomes_interactions(http: httpx.Client, proxy: str, log_of_proxy: str):
    http.post("/api/v1/metrics", json={"key": "liked", "project": log_of_proxy}).raise_for_status()
    body = {"model": "mocked", "messages": [{"role": "user", "content": "Hello there"}], "user": "ann"}
    headers = {"Authorization": "Bearer sk-lite"}
    ids = []
    for more in ({"metadata": {"lang": "en", "tags": ["shop"]}}, {"stream": True}):
        answer = httpx.post(f"{proxy}/chat/completions", json={**body, **more}, headers=headers, timeout=60)
        lines = [answer.text] if "stream" not in more else [line[6:] for line in answer.text.split("\n\n")]
        ids.append(json.loads(lines[0])["id"])
    end = time.monotonic() + 60
    found: list[dict[str, Any]] = []
    while len(found) < 2:
        assert time.monotonic() < end, found
        query = {"project": log_of_proxy, "view": "full", "order": "created_at"}
        found = http.get("/api/v1/interactions", params=query).raise_for_status().json()["interactions"]
    assert [one["completion"] for one in found] == ["A mocked answer of several words"] * 2
    assert [one["call"]["response_id"] for one in found] == ids
    assert [(one["model"], one["user"], one["source"]) for one in found] == [("mocked", "ann", "LIVE")] * 2
    assert (found[0]["labels"]["lang"], found[0]["labels"]["tag.shop"]) == ("en", "true")
    assert [one["call"]["streamed"] for one in found] == [False, True]
    for response_id, one in zip(ids, found, strict=True):
        body = {"completion_id": response_id, "metric": "liked", "value": 1}
        http.post("/api/v1/feedback", json=body).raise_for_status()
        shown = http.get(f"/api/v1/interactions/{one['completion_id']}").json()
        assert len(shown["feedback"]) == 1
