"""Afterword itself, on either store."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from afterword.service.cluster.status import VERSION
from benchmarks.load import Target, send, upload
from benchmarks.peers.contender import Ask, Contender, Item
from benchmarks.server import KEY
from benchmarks.workload import METRIC


class Afterword(Contender):
    """`afterword serve`, as it comes."""

    title = "Afterword"
    package = "afterword"
    version = VERSION
    FILE = "afterword.db"

    def __init__(self, folder: Path, port: int, upstream: int, database_url: str | None = None) -> None:
        super().__init__(folder, port, upstream, database_url)
        self.target = Target(port, KEY)

    def install(self) -> None:
        """It is the one of this tree."""

    def command(self) -> Sequence[str]:
        """Return the command that starts it."""
        command = [sys.executable, "-m", "afterword", "serve", "--port", str(self.target.port)]
        command += ["--data", str(self.folder), "--log-level", "warning"]
        return [*command, "--database-url", self.database_url] if self.database_url else command

    def environment(self) -> dict[str, str]:
        """Return what is set in its environment."""
        return {"AFTERWORD_API_KEY": KEY}

    def prepare(self) -> None:
        """Register the feedback key and the model."""
        send(self.target, "POST", "/api/v1/metrics", {"key": METRIC, "kind": "scalar"})
        model = {"key": "bench", "provider": "open_ai", "external_model_id": "bench", "endpoint": self.upstream}
        send(self.target, "POST", "/api/v1/models", {**model, "api_key": "none", "project": "default"})

    def log(self, item: Item) -> Sequence[Ask]:
        """Return the one call that logs an interaction with its feedback."""
        body = {
            "messages": [{"role": "user", "content": item.question}],
            "completion": item.answer_text,
            "model": "bench",
            "labels": item.labels,
            "feedbacks": [{"metric": METRIC, "value": item.stars}],
        }
        return [Ask("/api/v1/interactions", msgspec.json.encode(body))]

    def handle(self, item: Item, answer: bytes) -> str:
        """Return its completion_id."""
        return msgspec.json.decode(answer)["completion_id"].replace("-", "")

    def rate(self, handle: str, stars: int) -> Ask:
        """Return the call that logs a feedback."""
        body = {"completion_id": handle, "metric": METRIC, "value": stars}
        return Ask("/api/v1/feedback", msgspec.json.encode(body))

    def chat(self) -> Ask:
        """Return a call of a model, which is logged."""
        body = {"model": "default/bench", "messages": [{"role": "user", "content": "x" * 1024}]}
        return Ask("/api/v1/chat/completions", msgspec.json.encode(body))

    def lists(self, start: int, end: int) -> dict[str, Ask]:
        """Return the calls for lists."""
        first, last = (
            quote(datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()) for milliseconds in (start, end)
        )
        label = "label=release:2.100"
        queries = {
            "none": "",
            "label": label,
            "label and a day": f"label=environment:production&from={first}&to={last}",
            "feedback value": f"feedback={METRIC}%3E%3D5",
        }
        path = "/api/v1/interactions?limit=50&"
        return {what: Ask(f"{path}{query}", method="GET") for what, query in queries.items()}

    def stored(self) -> set[str]:
        """Return the ids of all interactions."""
        column = "id" if self.database_url else "lower(hex(id))"
        return {
            str(interaction_id).replace("-", "")
            for (interaction_id,) in self.rows(f"SELECT {column} FROM interactions")
        }

    def fill(self, size: int, days: float) -> str:
        """Upload the rest by the API."""
        number = max(0, size - len(self.stored()))
        # Of a million interactions the last so many: those of the last days.
        span = days * 1_000_000 / max(number, 1)
        done = upload(self.target, first=1_000_000 - number, number=number, batch=1_000, in_flight=4, days=span)
        if done.refused:
            raise RuntimeError(f"{done.refused} interactions were refused.")
        while send(self.target, "GET", "/health")["search"]["waiting"]:
            pass
        return f"{number:,} uploaded through its API at {done.rate * 1_000:,.0f}/s"
