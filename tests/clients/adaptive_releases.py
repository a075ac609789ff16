"""Releases of adaptive-sdk, and what one saw that was driven through its whole surface."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

ENDS = ["0.1.1", "0.14.2"]
SOME = ["0.1.1", "0.1.5", "0.1.14", "0.12.4", "0.13.0", "0.14.2"]
ALL = [
    *(f"0.1.{number}" for number in range(1, 15)),
    *("0.12.0", "0.12.2", "0.12.3", "0.12.4", "0.13.0", "0.14.0", "0.14.2"),
]
RELEASES = ALL if "AFTERWORD_ALL_CLIENTS" in os.environ else SOME if "AFTERWORD_TEST_ALL" in os.environ else ENDS
MODES = ("sync", "async")
# The async client of a release is its sync one in other words: between the ends it is driven by `make test-clients`.
CASES = [
    (release, mode)
    for release in RELEASES
    for mode in MODES
    if mode == "sync" or release in ENDS or "AFTERWORD_ALL_CLIENTS" in os.environ
]

# Members that are called feedbacks up to 0.13.0, and use cases up to 0.12.4, are found under their later names.
NAMES = {
    "direct_feedbacks": "direct_scores",
    "comparison_feedbacks": "comparison_scores",
    "feedbacks": "scores",
    "direct_feedbacks_stats": "direct_scores_stats",
    "has_direct_feedbacks": "has_direct_scores",
    "has_comparison_feedbacks": "has_comparison_scores",
    "has_enough_feedbacks": "has_enough_scores",
    "feedback_type": "score_type",
    "feedback_count": "score_count",
    "use_cases": "projects",
}


def version(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


class Seen:
    """What a release saw, by the names of the steps."""

    def __init__(self, release: str, mode: str, prefix: str, steps: dict[str, Any]) -> None:
        self.release = release
        self.mode = mode
        self.prefix = prefix
        self.steps = steps

    def __contains__(self, step: str) -> bool:
        return step in self.steps

    def __call__(self, step: str) -> Any:
        """Return what a step answered."""
        assert "value" in self.steps[step], f"{step}: {self.steps[step]}"
        return _renamed(self.steps[step]["value"])

    def error(self, step: str) -> str:
        """Return the kind and text of the error that a step ended with."""
        assert "error" in self.steps[step], f"{step}: {self.steps[step]}"
        return f"{self.steps[step]['error']}: {self.steps[step]['text']}"

    def from_(self, release: str) -> bool:
        return version(self.release) >= version(release)

    def between(self, first: str, last: str) -> bool:
        return version(first) <= version(self.release) <= version(last)


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {NAMES.get(name, name): _renamed(one) for name, one in value.items()}
    return [_renamed(one) for one in value] if isinstance(value, list) else value


def drive(release: str, mode: str, server: Any, python_with: Callable[[str], Path]) -> Seen:
    """Drive a release through its whole surface; return what it saw.

    The server has a second model that answers, models of other providers, and a user who is in no team yet.
    """
    prefix = f"sdk-{release.replace('.', '-')}-{mode}-{uuid4().hex[:6]}"
    guest = {"name": "Guest", "email": f"{prefix}@example.com", "teams": [], "generate_api_key": True}
    with server.client() as http:
        for provider in ("echo", "azure", "anthropic"):
            model = {"key": f"{prefix}-{provider}", "provider": provider, "external_model_id": "x", "api_key": "sk"}
            if provider == "azure":
                model["endpoint"] = "http://127.0.0.1:9/"
            http.post("/api/v1/models", json=model).raise_for_status()
        guest_key = http.post("/api/v1/users", json=guest).raise_for_status().json()["api_key"]
    given = {"url": server.url, "key": server.api_key, "prefix": prefix, "model": "echo", "guest_key": guest_key}
    done = subprocess.run(
        [python_with(f"adaptive-sdk=={release}"), Path(__file__).with_name("adaptive_driver.py"), mode],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return Seen(release, mode, prefix, json.loads(done.stdout.splitlines()[-1]))
