"""LiteLLM's proxy, without its database.

It reaches its database by Prisma, whose engines are programs that an install step fetches from a server of their own;
no package registry has them. So that pip and npm alone install what is measured, the proxy runs without a store here,
and its calls are not logged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.load import Target
from benchmarks.peers.contender import Ask, Contender, Item
from benchmarks.server import KEY


class Litellm(Contender):
    """`litellm --config`, one worker."""

    title = "LiteLLM's proxy, without a store"
    package = "litellm"
    extra = "[proxy]"
    version = "1.106.0"
    logs = False
    HEALTH = "/health/liveliness"

    def __init__(self, folder: Path, port: int, upstream: int, database_url: str | None = None) -> None:
        super().__init__(folder, port, upstream, database_url)
        self.target = Target(port, f"sk-{KEY}")

    def command(self) -> Sequence[str]:
        """Write its file of settings; return the command that starts it."""
        model = {"model": "openai/bench", "api_base": self.upstream, "api_key": "none"}
        settings = {
            "model_list": [{"model_name": "bench", "litellm_params": model}],
            "general_settings": {"master_key": self.target.key},
        }
        # JSON is YAML, too.
        file = self.folder / "settings.yaml"
        file.write_text(json.dumps(settings))
        command = [str(self.bin / "litellm"), "--config", str(file), "--host", "127.0.0.1"]
        return [*command, "--port", str(self.target.port)]

    def environment(self) -> dict[str, str]:
        """Return what keeps it from fetching a list of prices."""
        return {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}

    def log(self, item: Item) -> Sequence[Ask]:
        """It stores nothing."""
        return []

    def rate(self, handle: str, stars: int) -> None:
        """It stores nothing."""

    def chat(self) -> Ask:
        """Return a call of a model."""
        body = {"model": "bench", "messages": [{"role": "user", "content": "x" * 1024}]}
        return Ask("/v1/chat/completions", msgspec.json.encode(body))

    def lists(self, start: int, end: int) -> dict[str, Ask]:
        """It stores nothing."""
        return {}

    def stored(self) -> set[str]:
        """It stores nothing."""
        return set()

    def fill(self, size: int, days: float) -> str:
        """It stores nothing."""
        return "nothing stored"
