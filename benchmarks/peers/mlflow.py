"""MLflow's tracking server: traces with tags and assessments, and its gateway to models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from benchmarks.load import send
from benchmarks.peers import otlp
from benchmarks.peers.contender import Ask, Contender, Item
from benchmarks.workload import METRIC

TRACES = "/api/3.0/mlflow/traces"


class Mlflow(Contender):
    """`mlflow server` with its usual settings."""

    title = "MLflow"
    package = "mlflow"
    version = "3.17.2"
    FILE = "mlflow.db"
    extra_packages = ("psycopg2-binary",)

    experiment = ""

    def command(self) -> Sequence[str]:
        """Return the command that starts it."""
        return [
            str(self.bin / "mlflow"),
            *("server", "--host", "127.0.0.1", "--port", str(self.target.port)),
            *("--backend-store-uri", self.database_url or f"sqlite:///{self.file}"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]

    def environment(self) -> dict[str, str]:
        """Return what lets its gateway call a provider on this machine, and keeps it from telling anyone."""
        return {
            "MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES": "http,https",
            "MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS": "true",
            "MLFLOW_CRYPTO_KEK_PASSPHRASE": "a passphrase of the benchmarks",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
        }

    def prepare(self) -> None:
        """Make an experiment, and an endpoint whose calls are traced."""
        experiment = send(self.target, "POST", "/api/2.0/mlflow/experiments/create", {"name": "bench"})
        self.experiment = experiment["experiment_id"]
        gateway = "/api/3.0/mlflow/gateway"
        secret = {"secret_name": "bench", "secret_value": {"api_key": "none"}, "provider": "openai"}
        secret["auth_config"] = {"api_base": self.upstream}
        secret_id = send(self.target, "POST", f"{gateway}/secrets/create", secret)["secret"]["secret_id"]
        model = {"name": "bench", "secret_id": secret_id, "provider": "openai", "model_name": "bench"}
        definition = send(self.target, "POST", f"{gateway}/model-definitions/create", model)
        definition_id = definition["model_definition"]["model_definition_id"]
        config = {"model_definition_id": definition_id, "linkage_type": "PRIMARY", "weight": 1.0}
        endpoint = {"name": "bench", "usage_tracking": True, "model_configs": [config]}
        send(self.target, "POST", f"{gateway}/endpoints/create", endpoint)

    def log(self, item: Item) -> Sequence[Ask]:
        """Return the two calls that its own client makes for a finished trace: the span, then the trace with its tags
        and assessments."""
        handle = self.handle(item, b"")
        span_attributes = {
            "mlflow.traceRequestId": json.dumps(handle),
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.spanInputs": json.dumps(
                {"messages": [{"role": "user", "content": item.question}], "model": "bench"}
            ),
            "mlflow.spanOutputs": json.dumps(
                {"choices": [{"message": {"role": "assistant", "content": item.answer_text}}]}
            ),
        }
        trace = {
            "trace_id": handle,
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": self.experiment},
            },
            "request_preview": item.question[:1000],
            "response_preview": item.answer_text[:1000],
            "request_time": _moment(item.at),
            "execution_duration": "1.5s",
            "state": "OK",
            "trace_metadata": {"mlflow.trace_schema.version": "3"},
            "tags": {"mlflow.traceName": "chat", **item.labels},
            "assessments": [self._assessment(handle, item.stars, item.at)],
        }
        experiment = f"x-mlflow-experiment-id: {self.experiment}\r\n".encode()
        return [
            Ask("/v1/traces", otlp.span(item, span_attributes, {}), otlp.KIND, headers=experiment),
            Ask(TRACES, msgspec.json.encode({"trace": {"trace_info": trace}})),
        ]

    def handle(self, item: Item, answer: bytes) -> str:
        """Return the trace's id."""
        return f"tr-{item.id.hex()}"

    def rate(self, handle: str, stars: int) -> Ask:
        """Return the call that adds an assessment."""
        assessment = self._assessment(handle, stars, int(datetime.now(UTC).timestamp() * 1e9))
        return Ask(f"{TRACES}/{handle}/assessments", msgspec.json.encode({"assessment": assessment}))

    def chat(self) -> Ask:
        """Return a call of a model, which is traced."""
        body = {"model": "bench", "messages": [{"role": "user", "content": "x" * 1024}]}
        return Ask("/gateway/mlflow/v1/chat/completions", msgspec.json.encode(body))

    def lists(self, start: int, end: int) -> dict[str, Ask]:
        """Return the calls for lists."""
        day = f"timestamp_ms > {start} and timestamp_ms < {end}"
        filters = {
            "none": None,
            "label": "tag.release = '2.100'",
            "label and a day": f"tag.environment = 'production' and {day}",
            "feedback value": f"feedback.{METRIC} >= 5",
        }
        return {what: self._list(filter) for what, filter in filters.items()}

    def _list(self, filter: str | None) -> Ask:
        location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": self.experiment}}
        body: dict[str, Any] = {"locations": [location], "max_results": 50, "order_by": ["timestamp_ms DESC"]}
        if filter is not None:
            body["filter"] = filter
        return Ask(f"{TRACES}/search", msgspec.json.encode(body))

    @staticmethod
    def _assessment(handle: str, stars: int, at: int) -> dict[str, Any]:
        return {
            "assessment_name": METRIC,
            "trace_id": handle,
            "source": {"source_type": "HUMAN", "source_id": "bench"},
            "create_time": _moment(at),
            "last_update_time": _moment(at),
            "feedback": {"value": stars},
            "valid": True,
        }

    def stored(self) -> set[str]:
        """Return the ids of all traces."""
        return {row[0] for row in self.rows("SELECT request_id FROM trace_info")}

    def fill(self, size: int, days: float) -> str:
        """Copy the rows of the traces that were logged, under other ids and times."""
        logged_count = len(self.stored())
        copies = max(0, -(-size // logged_count) - 1)
        step = int(days * 86_400_000 / (copies + 1))
        self.run(["CREATE TABLE bench_logged AS SELECT request_id AS id FROM trace_info"])
        for copy in range(1, copies + 1):
            self.run(self._copying(f"{copy:06x}", f"- {copy * step}"))
        self.run(["DROP TABLE bench_logged"])
        return f"the rows of {logged_count:,} logged traces copied {copies} times in its database"

    def _copying(self, mark: str, past: str) -> list[str]:
        def renamed(column: str) -> str:
            return f"substr({column}, 1, 29) || '{mark}'"

        changes = {
            "trace_info": {"request_id": renamed("request_id"), "timestamp_ms": f"timestamp_ms {past}"},
            "trace_tags": {"request_id": renamed("request_id")},
            "trace_request_metadata": {"request_id": renamed("request_id")},
            "spans": {
                "trace_id": renamed("trace_id"),
                "start_time_unix_nano": f"start_time_unix_nano {past}000000",
                "end_time_unix_nano": f"end_time_unix_nano {past}000000",
            },
            "assessments": {
                "assessment_id": renamed("assessment_id"),
                "trace_id": renamed("trace_id"),
                "created_timestamp": f"created_timestamp {past}",
            },
        }
        return [
            self.copying(
                table,
                column_changes,
                f"{'trace_id' if 'trace_id' in column_changes else 'request_id'} IN (SELECT id FROM bench_logged)",
                computed=("duration_ns",),
            )
            for table, column_changes in changes.items()
        ]


def _moment(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
