"""The core of adaptive-sdk's own end-to-end test, on 0.1.1, against a server whose models answer over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.every_store,
    pytest.mark.thorough,
    pytest.mark.xdist_group("0.1.1-sync"),
]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_the_core_steps_run_as_they_are(
    new_server: Any, upstream: Any, python_with: Callable[[str], Path], tmp_path: Path, mode: str
):
    running = new_server(OPENAI_BASE_URL=upstream.endpoint, GEMINI_BASE_URL=upstream.endpoint)
    with running.client() as http:
        http.post("/api/v1/models", json={"key": "qwen_25_500M", "provider": "echo"}).raise_for_status()
    script = Path(__file__).with_name("adaptive_e2e.py")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(python_with("adaptive-sdk==0.1.1")), str(script), mode, running.url, running.api_key, mode, str(tmp_path)],
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert {step: answer for step, answer in seen.items() if "error" in answer} == {}
    value = {step: answer["value"] for step, answer in seen.items()}
    assert value["models at start"]
    assert value["local"]["online"] == "ONLINE"
    for name in ("openai", "google"):
        assert value[f"chat {name}"]["choices"][0]["message"]["content"]
    assert len({choice["completion_id"] for choice in value["chat"]["choices"]}) == 2
    rated = value["rated"]
    assert (len(rated["direct_feedbacks"]), len(rated["comparison_feedbacks"])) == (1, 1)
    assert value["local ones"]["total_count"] == 2
    assert value["local prompts"]["total_count"] == 1
    assert value["ab by key"]["id"] == value["ab by id"]["id"]
    assert len(value["active"]) == 1
    uploaded = {step.removeprefix("upload "): one for step, one in value.items() if step.startswith("upload ")}
    assert len(uploaded) == len(value["datasets"]) == 8
    for name, one in uploaded.items():
        assert value[f"dataset {name}"]["id"] == one["id"]
    assert {one["kind"] for one in value["datasets"]} == {
        "PROMPT", "PROMPT_COMPLETION", "PROMPT_COMPLETION_FEEDBACK", "PREFERENCE",
    }  # fmt: skip
