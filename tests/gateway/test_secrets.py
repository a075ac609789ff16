"""Keys stay where they belong: the provider's with the provider, the caller's with the server."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest

TELLING = [
    *("tells-key-400", "tells-key-401", "tells-key-500"),
    *("escapes-key-400", "escapes-key-401", "escapes-key-500", "escapes-key-200"),
]
BEHAVIOURS = ["good", *TELLING, "cut-after-2", "html", "strange"]


def everything_of(gateway: Any) -> str:
    """Return all that can be read of a project's calls and models, and of the server."""
    paths = [f"/api/v1/interactions?project={gateway.project}&limit=500&view=full", "/api/v1/models", "/metrics"]
    answers = [gateway.http.get(path).raise_for_status().text for path in paths]
    return "\n".join([*answers, gateway.server.log.read_text()])


def unescaped(text: str) -> str:
    """Return a text without the escapes of JSON and URLs."""
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text)
    return unquote(text.replace("\\/", "/").replace("\\\\", "\\"))


@pytest.mark.parametrize("provider", ["open_ai", "anthropic"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_the_providers_key_is_in_no_answer_no_interaction_and_no_log(
    gateway, behaviour: str, streamed: bool, provider: str
):
    key, header = f"sk-{uuid4().hex}", f"sk/{uuid4().hex}+="
    model = gateway.model(behaviour, provider=provider, api_key=key, headers={"X-Second-Key": header})
    answer = gateway.ask(model, stream=streamed)
    seen = gateway.upstream.seen(model.partition("/")[2])[0]
    assert key in str(seen["headers"])
    assert seen["headers"]["x-second-key"] == header
    assert gateway.count() == 1
    for text in (answer.text, str(answer.headers), everything_of(gateway)):
        # However it is escaped: once more for JSON within JSON.
        for plain in (text, unescaped(text), unescaped(unescaped(text))):
            assert key not in plain
            assert header not in plain
    if behaviour in TELLING:
        assert "[hidden]" in answer.text
    if behaviour == "tells-key-400":
        assert "Incorrect API key provided" in answer.json()["error"]["message"]


def test_the_callers_key_reaches_no_provider_no_interaction_and_no_log(gateway):
    made = gateway.http.post("/api/v1/keys", json={"name": "caller", "role": "member"}).raise_for_status()
    key = made.json()["api_key"]
    model = gateway.model("error-500")
    with gateway.server.client(key) as http:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello there"}]}
        assert http.post("/api/v1/chat/completions", json=body, headers={"X-Api-Key": key}).status_code == 500
        assert http.post("/api/v1/chat/completions", json=body, headers={"Cookie": f"a={key}"}).status_code == 500
    assert len(seen := gateway.upstream.seen(model.partition("/")[2])) == 2
    assert key not in str(seen)
    assert key not in everything_of(gateway)


def test_keys_of_the_environment_are_used_and_shown_nowhere(new_server, gateway):
    key = f"sk-{uuid4().hex}"
    running = new_server(
        OPENAI_API_KEY=key,
        OPENAI_BASE_URL=gateway.upstream.endpoint,
        ANTHROPIC_API_KEY=key,
        ANTHROPIC_BASE_URL=gateway.upstream.url,
        GEMINI_API_KEY=key,
        GEMINI_BASE_URL=gateway.upstream.endpoint,
    )
    other = type(gateway)(running, "default", gateway.upstream)
    for provider in ("open_ai", "anthropic", "google"):
        for behaviour, status in (("good", 200), ("tells-key-401", 502)):
            model = other.model(behaviour, provider=provider, endpoint=None, api_key=None)
            answer = other.ask(model)
            assert answer.status_code == status
            assert key not in answer.text
            [seen] = other.upstream.seen(model.partition("/")[2])
            assert key in str(seen["headers"])
    assert key not in everything_of(other)


def test_keys_are_encrypted_on_the_disk(new_server, gateway):
    key = f"sk-{uuid4().hex}"
    running = new_server()
    other = type(gateway)(running, "default", gateway.upstream)
    assert other.ask(other.model(api_key=key)).status_code == 200
    running.stop()
    files = [file for file in running.directory.rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if key.encode() in file.read_bytes()]
    running.start()
    other.server, other.http = running, running.client()
    assert other.ask(other.newest()["model"]).status_code == 200
