"""The snippets of the two founding pages run with their import and their hosts changed, and nothing else."""

from __future__ import annotations

import base64
import os
import re
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from afterword import Adaptive

SEEDS = Path(__file__).parents[3] / "shared" / "seeds"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()

pytestmark = pytest.mark.skipif(not SEEDS.is_dir(), reason="the founding pages lie beside the project, not in it")


@pytest.fixture
def adaptive(server: Any, project: str) -> Adaptive:
    client = Adaptive(base_url=server.url, api_key=server.api_key)
    client.set_default_project(project)
    return client


def snippet(page: str, words: str) -> str:
    """Return the one Python block of a page that contains these words."""
    blocks = re.findall(r"^( *)```python[^\n]*\n(.*?)^\1```", (SEEDS / page).read_text(), flags=re.S | re.M)
    [found] = [textwrap.dedent(code) for _, code in blocks if words in code]
    return found


def run(code: str, **names: Any) -> SimpleNamespace:
    """Run a snippet; return the names that it leaves."""
    exec(compile(code, "snippet", "exec"), names)
    return SimpleNamespace(**names)


def test_the_snippet_of_manual_logging_logs_an_interaction(adaptive: Adaptive) -> None:
    run(snippet("interactions-v0.14.md", "How can I help you today?"), adaptive=adaptive)

    [logged] = adaptive.interactions.list(labels={"source": "external"}, view="full").interactions
    assert logged.model == "model_key"
    assert logged.completion == "Hi there! How can I help you today?"
    assert [message["role"] for message in logged.messages or []] == ["system", "user"]


def test_the_snippet_of_multimodal_logging_keeps_text_and_image_in_order(adaptive: Adaptive) -> None:
    code = snippet("interactions-v0.14.md", "image_url").replace("base64,...", f"base64,{PNG}")
    run(code, adaptive=adaptive)

    [listed] = adaptive.interactions.list(labels={"source": "external"}).interactions
    logged = adaptive.interactions.get(listed.completion_id, images="inline")
    assert logged
    assert logged.messages
    assert logged.messages[0]["content"] == [
        {"type": "text", "text": "What's in this image?"},
        {"type": "image_url", "image_url": f"data:image/png;base64,{PNG}"},
    ]


def test_the_snippet_of_bulk_upload_logs_all_with_thirty_in_flight(
    adaptive: Adaptive, server: Any, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADAPTIVE_URL", server.url)
    monkeypatch.setenv("ADAPTIVE_API_KEY", server.api_key)
    code = snippet("interactions-v0.14.md", "max_concurrency: int = 30")
    code = code.replace("from adaptive_sdk import", "from afterword import").replace("my-project", project)
    # The page shows one record of the data; here there are 300 of its form.
    code = code.replace("asyncio.run(", "data = data * 300\nasyncio.run(")
    run(code, os=os)

    page = adaptive.interactions.list(labels={"dataset": "training-v1"}, count=True)
    assert page.count == 300
    assert page.interactions[0].completion == "Hi there!"


def completions(adaptive: Adaptive) -> list[str]:
    """Log two completions of one prompt; return their ids."""
    messages = [{"role": "user", "content": "Hello!"}]
    return [str(adaptive.interactions.create(messages, text).completion_id) for text in ("Hi!", "Go away.")]


def test_the_snippet_of_metric_feedback_by_sdk_rates_the_completion(adaptive: Adaptive) -> None:
    adaptive.feedback.register_key("CSAT")
    [completion_id, _] = completions(adaptive)
    run(snippet("log-feedback-v0.5.md", "adaptive.feedback.log_metric"), adaptive=adaptive, completion_id=completion_id)

    rated = adaptive.interactions.get(completion_id)
    assert rated
    [given] = rated.feedback
    assert (given.metric, given.value, given.details) == ("CSAT", 5.0, "This answer was perfect")


def test_the_snippet_of_metric_feedback_by_requests_rates_the_completion(adaptive: Adaptive, server: Any) -> None:
    adaptive.feedback.register_key("CSAT")
    [completion_id, _] = completions(adaptive)
    code = snippet("log-feedback-v0.5.md", "requests.post")
    code = code.replace("ADAPTIVE_API_KEY", server.api_key).replace("ADAPTIVE_URL", server.url)
    left = run(code, completion_id=completion_id)

    assert left.response.status_code == 201
    rated = adaptive.interactions.get(completion_id)
    assert rated
    assert [given.value for given in rated.feedback] == [5.0]


def test_the_snippet_of_preference_feedback_is_seen_from_both_completions(adaptive: Adaptive) -> None:
    adaptive.feedback.register_key("acceptance")
    [preferred, other] = completions(adaptive)
    code = snippet("log-feedback-v0.5.md", "log_preference")
    run(code.replace("completion_id_1", preferred).replace("completion_id_2", other), adaptive=adaptive)

    for completion_id in (preferred, other):
        seen = adaptive.interactions.get(completion_id)
        assert seen
        [preference] = seen.preferences
        assert (str(preference.preferred_completion), str(preference.other_completion)) == (preferred, other)


def test_automatic_logging_snippets_return_a_logged_completion_id(adaptive: Adaptive, server: Any) -> None:
    attach_echo(adaptive, server)
    left = run(snippet("interactions-v0.14.md", "adaptive.chat.create"), adaptive=adaptive)
    code = snippet("interactions-v0.14.md", "completion_id = response.choices[0].completion_id")
    completion_id = run(code, response=left.response).completion_id

    [logged] = adaptive.interactions.list(labels={"project": "support-bot", "version": "v2"}).interactions
    assert logged.completion_id == completion_id
    assert (logged.source, logged.completion) == ("LIVE", "Hello!")


def test_the_snippets_on_the_completion_id_read_plain_answers_and_streams(adaptive: Adaptive, server: Any) -> None:
    import requests

    attach_echo(adaptive, server)
    messages = [{"role": "user", "content": "Hello!"}]
    url, headers = f"{server.url}/api/v1/chat/completions", {"Authorization": f"Bearer {server.api_key}"}
    plain = requests.post(url, json={"model": adaptive.default_project, "messages": messages}, headers=headers)
    by_requests = run(snippet("log-feedback-v0.5.md", "response.json()["), response=plain).completion_id
    by_client = run(
        snippet("log-feedback-v0.5.md", "completion_id = response.choices[0].completion_id"),
        response=adaptive.chat.create(messages=messages),
    ).completion_id
    streamed = run(
        snippet("log-feedback-v0.5.md", "for chunk in streaming_response"),
        streaming_response=adaptive.chat.create(messages=messages, stream=True),
    ).completion_id

    for completion_id in (by_requests, by_client, streamed):
        logged = adaptive.interactions.get(completion_id)
        assert logged
        assert logged.completion == "Hello!"


def attach_echo(adaptive: Adaptive, server: Any) -> None:
    """Make the model `echo` the default of the client's project."""
    with server.client() as http:
        http.post(f"/api/v1/projects/{adaptive.default_project}/models", json={"model": "echo"}).raise_for_status()
