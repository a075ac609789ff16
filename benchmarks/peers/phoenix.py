"""Arize Phoenix: spans of OpenTelemetry with annotations. It answers before it writes: see `stored`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from benchmarks.load import send
from benchmarks.peers import otlp
from benchmarks.peers.contender import Ask, Contender, Item
from benchmarks.server import free_port
from benchmarks.workload import METRIC

LIST = """query($id: ID!, $filter: String, $time: TimeRange) { node(id: $id) { ... on Project {
  spans(first: 50, sort: {col: startTime, dir: desc}, filterCondition: $filter, timeRange: $time) {
    edges { node { id name startTime latencyMs metadata input { truncatedValue } output { truncatedValue }
      spanAnnotations { name score } } } pageInfo { hasNextPage } } } } }"""


class Phoenix(Contender):
    """`phoenix serve` with its usual settings."""

    title = "Phoenix"
    package = "arize-phoenix"
    version = "20.26.1"
    FILE = "phoenix.db"
    HEALTH = "/healthz"

    project = ""

    def command(self) -> Sequence[str]:
        """Return the command that starts it."""
        return [str(self.bin / "phoenix"), "serve"]

    def environment(self) -> dict[str, str]:
        """Return where it works, and what keeps it from telling anyone."""
        variables = {
            "PHOENIX_WORKING_DIR": str(self.folder),
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(self.target.port),
            "PHOENIX_GRPC_PORT": str(free_port()),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        return {**variables, "PHOENIX_SQL_DATABASE_URL": self.database_url} if self.database_url else variables

    def prepare(self) -> None:
        """Make a project."""
        self.project = send(self.target, "POST", "/v1/projects", {"name": "bench"})["data"]["id"]

    def log(self, item: Item) -> Sequence[Ask]:
        """Return the call that sends the span, and the one that annotates it."""
        span_attributes = {
            "openinference.span.kind": "LLM",
            "llm.model_name": "bench",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": item.question,
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": item.answer_text,
            "metadata": json.dumps(item.labels),
        }
        spans = otlp.span(item, span_attributes, {"openinference.project.name": "bench"})
        return [Ask("/v1/traces", spans, otlp.KIND), self._annotate(self.handle(item, b""), item.stars, "")]

    def handle(self, item: Item, answer: bytes) -> str:
        """Return the span's id."""
        return item.id[8:].hex()

    def rate(self, handle: str, stars: int) -> Ask:
        """Return the call that annotates a span, and answers when that is stored."""
        return self._annotate(handle, stars, "?sync=true")

    @staticmethod
    def _annotate(handle: str, stars: int, how: str) -> Ask:
        annotation = {"span_id": handle, "name": METRIC, "annotator_kind": "HUMAN", "result": {"score": stars}}
        return Ask(f"/v1/span_annotations{how}", msgspec.json.encode({"data": [annotation]}))

    def lists(self, start: int, end: int) -> dict[str, Ask]:
        """Return the calls for lists."""
        day = {"start": _moment(start), "end": _moment(end)}
        arguments_by_filter: dict[str, tuple[str | None, Any]] = {
            "none": (None, None),
            "label": ("metadata['release'] == '2.100'", None),
            "label and a day": ("metadata['environment'] == 'production'", day),
            "feedback value": (f"annotations['{METRIC}'].score >= 5", None),
        }
        return {
            what: Ask(
                "/graphql",
                msgspec.json.encode({"query": LIST, "variables": {"id": self.project, "filter": filter, "time": time}}),
            )
            for what, (filter, time) in arguments_by_filter.items()
        }

    def stored(self) -> set[str]:
        """Return the ids of all spans."""
        return {row[0] for row in self.rows("SELECT span_id FROM spans")}

    def fill(self, size: int, days: float) -> str:
        """Copy the rows of the spans that were logged, under other ids and times."""
        [[logged_count, last_trace, last_span]] = self.rows(
            "SELECT (SELECT count(*) FROM spans), (SELECT max(id) FROM traces), (SELECT max(id) FROM spans)"
        )
        copies = max(0, -(-size // logged_count) - 1)
        step = int(days * 86_400 / (copies + 1))
        for copy in range(1, copies + 1):
            mark = f"{copy:06x}"

            def past(column: str, seconds: int = copy * step) -> str:
                if self.database_url:
                    return f"{column} - interval '{seconds} seconds'"
                return f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-{seconds} seconds') || '000'"

            trace_offset, span_offset = f"{copy * last_trace}", f"{copy * last_span}"
            times = {"start_time": past("start_time"), "end_time": past("end_time")}
            trace = {"id": f"id + {trace_offset}", "trace_id": f"substr(trace_id, 1, 26) || '{mark}'"}
            span = {"id": f"id + {span_offset}", "trace_rowid": f"trace_rowid + {trace_offset}"}
            annotation = {"id": f"id + {copy * 1_000_000}", "span_rowid": f"span_rowid + {span_offset}"}
            self.run(
                [
                    self.copying("traces", trace | times, f"id <= {last_trace}"),
                    self.copying(
                        "spans", span | times | {"span_id": f"substr(span_id, 1, 10) || '{mark}'"}, f"id <= {last_span}"
                    ),
                    self.copying("span_annotations", annotation, f"id < 1000000 AND span_rowid <= {last_span}"),
                ]
            )
        return f"the rows of {logged_count:,} logged spans copied {copies} times in its database"


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
