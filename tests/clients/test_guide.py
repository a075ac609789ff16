"""What docs/guides/clients.md tells of each client, done with the client against a provider in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(900)

HERE = Path(__file__).parent
GUIDE = (HERE.parents[1] / "docs" / "guides" / "clients.md").read_text()
ANSWER = "You said: Good day"


def blocks_of(heading: str) -> tuple[str, str]:
    """Return the first block of a section, and the one that tells how streams differ, or nothing."""
    [section] = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", GUIDE, re.DOTALL | re.MULTILINE)
    first, *others = re.findall(r"^```\w+\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return first, "".join(others)


@pytest.fixture
def block_for(gateway: Any) -> Callable[..., str]:
    """Return a client's block with this server, and this model and key, in the places of the guide's."""

    def fill(heading: str, model: str, key: str = "") -> str:
        block, _ = blocks_of(heading)
        for text, value in {
            "http://127.0.0.1:7400": gateway.server.url,
            "aw_...": key or gateway.server.api_key,
            "default/echo": model,
            "default:echo": model.replace("/", ":"),
        }.items():
            block = block.replace(text, value)
        return block

    return fill


def check_logged(gateway: Any, completion_id: str, *, streamed: bool) -> dict[str, Any]:
    """Check that a call was logged whole under an id, and that feedback on that id is found again; return it."""
    feedback = {"completion_id": completion_id, "metric": "liked", "value": 1}
    gateway.http.post("/api/v1/feedback", json=feedback).raise_for_status()
    row = gateway.logged(completion_id)
    assert [value["value"] for value in row["feedback"]] == [1.0]
    assert (row["call"]["state"], row["call"]["streamed"]) == ("complete", streamed)
    assert row["messages"][-1]["role"] == "user"
    assert row["usage"]["total_tokens"] > 0
    assert "estimated" not in row["usage"]
    return row


@pytest.fixture
def run_block(
    tmp_path: Path, python_with: Callable[[str], Path], node_with: Callable[[str], tuple[Path, Path]]
) -> Callable[..., Any]:
    """Run a client's blocks, by what they meet, and what follows them; return what the driver prints."""

    def run(client: Any, blocks: dict[str, str], stream: str, names: dict[str, str]) -> Any:
        given: dict[str, Any] = {}
        if client.node:
            node, packages = node_with(client.environment)
            (tmp_path / "node_modules").symlink_to(packages / "node_modules")
            constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in names.items())
            whole = f"export const whole = [completionId, {client.answer}];\n"
            good = constants + blocks["good"] + whole + stream + client.tool
            for name, text in {**blocks, "good": good}.items():
                (tmp_path / f"{name}.mjs").write_text(text)
            command = [node, shutil.copy(HERE / "guide_driver.mjs", tmp_path)]
        else:
            command = [python_with(client.environment), HERE / "guide_driver.py"]
            given = {"blocks": blocks, "answer": client.answer, "stream": stream, "tool": client.tool, "names": names}
        done = subprocess.run(
            command,
            env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "HAYSTACK_TELEMETRY_ENABLED": "False"},
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_client_of_guide(guide_client: Any, block_for: Callable[..., str], run_block: Callable[..., Any], gateway: Any):
    client = guide_client
    gateway.http.post("/api/v1/metrics", json={"key": "liked", "project": gateway.project}).raise_for_status()
    behaviours = {"good": client.behaviour, "tools": "tools", "busy": "busy"}
    models = {name: gateway.model(kind, provider=client.provider) for name, kind in behaviours.items()}
    blocks = {
        "good": block_for(client.heading, models["good"]),
        "unauthorized": block_for(client.heading, models["good"], key="aw_nobody"),
        "not_found": block_for(client.heading, f"{gateway.project}/nobody"),
        "busy": block_for(client.heading, models["busy"]),
    }
    blocks = {name: block for name, block in blocks.items() if getattr(client, name, "good")}
    names = {"url": gateway.server.url, "key": gateway.server.api_key, **models}
    printed = run_block(client, blocks, blocks_of(client.heading)[1] + client.stream, names)

    completion_id, text = printed["whole"]
    assert text.strip() == ANSWER
    row = check_logged(gateway, completion_id, streamed=client.streamed)
    assert row["completion"].strip() == ANSWER
    if client.stream:
        completion_id, text = printed["streamed"]
        assert text.strip() == ANSWER
        row = check_logged(gateway, completion_id, streamed=True)
        assert row["completion"].strip() == ANSWER
    if client.tool:
        completion_id, name, arguments = printed["called"]
        assert (name, arguments) == ("get_weather", {"city": "Paris"})
        row = check_logged(gateway, completion_id, streamed=False)
        assert row["message"]["tool_calls"][0]["function"]["name"] == "get_weather"
        assert row["parameters"]["tools"]
    for name, error in printed["errors"].items():
        assert getattr(client, name) in error


@pytest.mark.thorough
@pytest.mark.xdist_group("llm")
def test_llm_of_guide(block_for: Callable[..., str], gateway: Any, python_with: Callable[[str], Path], tmp_path: Path):
    gateway.http.post("/api/v1/metrics", json={"key": "liked", "project": gateway.project}).raise_for_status()
    path = f"{python_with('llm').parent}{os.pathsep}{os.environ['PATH']}"

    def run(number: int, *filled: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": path, "LLM_USER_PATH": str(tmp_path / f"llm-{number}")}
        block = block_for("llm", *filled)
        return subprocess.run(["sh", "-ec", block], env=environment, capture_output=True, text=True, timeout=300)

    done = run(0, gateway.model())
    assert done.returncode == 0, done.stderr
    answer, _, logs = done.stdout.partition("\n")
    assert answer == ANSWER
    [call] = json.loads(logs)
    row = check_logged(gateway, call["response_json"]["id"], streamed=True)
    assert row["completion"] == ANSWER
    assert "API key" in run(1, gateway.model(), "aw_nobody").stderr
    assert "nobody" in run(2, f"{gateway.project}/nobody").stderr
    assert "The provider is busy." in run(3, gateway.model("busy")).stderr


def test_every_section_of_the_guide_has_a_test(guide_headings: list[str]):
    sections = re.findall(r"^## (.*)$", GUIDE, re.MULTILINE)
    assert sections == [*guide_headings, "llm"]
    rows = re.findall(r"^\| \[(.*?)\]\(#", GUIDE, re.MULTILINE)
    assert rows == sections
