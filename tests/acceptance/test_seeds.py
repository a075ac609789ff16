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
