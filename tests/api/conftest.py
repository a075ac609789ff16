"""What the tests of the calls share: to log an interaction in few words, and to check a refusal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from afterword.ids import id_of_text


@pytest.fixture
def log(http: httpx.Client, project: str) -> Callable[..., dict[str, Any]]:
    """Log an interaction in the test's project, with these fields; return the answer."""

    def logged(**fields: Any) -> dict[str, Any]:
        body = {"project": project, "messages": [{"role": "user", "content": "Why?"}], "completion": "So.", **fields}
        answer = http.post("/api/v1/interactions", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return logged


@pytest.fixture
def show(http: httpx.Client) -> Callable[..., dict[str, Any]]:
    """Show an interaction."""

    def shown(completion_id: str, **query: Any) -> dict[str, Any]:
        answer = http.get(f"/api/v1/interactions/{completion_id}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return shown


@pytest.fixture
def register(http: httpx.Client, project: str) -> Callable[..., dict[str, Any]]:
    """Register a feedback key in the test's project."""

    def registered(key: str, kind: str = "scalar", **fields: Any) -> dict[str, Any]:
        answer = http.post("/api/v1/metrics", json={"key": key, "kind": kind, "project": project, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    return registered


@pytest.fixture
def run(server: Any) -> Callable[..., str]:
    """Run the command line; return what it printed."""

    def ran(*arguments: str, lines: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "afterword", *arguments],
            input=lines,
            env={**os.environ, "AFTERWORD_URL": server.url, "AFTERWORD_API_KEY": server.api_key},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return ran


class Exporter:
    """Sends spans and log records by OTLP as JSON, for one project."""

    def __init__(self, http: httpx.Client, project: str) -> None:
        self.http = http
        self.resource = {"afterword.project": project, "service.name": "shop", "deployment.environment.name": "test"}
        self.project = project

    @staticmethod
    def value(value: Any) -> dict[str, Any]:
        """Return an attribute's value as OTLP has it in JSON."""
        if isinstance(value, dict):
            return {"kvlistValue": {"values": Exporter.attributes(value)}}
        if isinstance(value, list):
            return {"arrayValue": {"values": [Exporter.value(element) for element in value]}}
        kind = {bool: "boolValue", int: "intValue", float: "doubleValue"}.get(type(value), "stringValue")
        return {kind: str(value) if kind == "intValue" else value}

    @staticmethod
    def attributes(members: dict[str, Any]) -> list[dict[str, Any]]:
        """Return attributes as OTLP has them in JSON."""
        return [{"key": key, "value": Exporter.value(value)} for key, value in members.items()]

    def span(self, attributes: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Return a span that took 1.5 seconds, with ids of its own."""
        events = [
            {**event, "attributes": self.attributes(event.get("attributes", {}))} for event in fields.pop("events", ())
        ]
        return {
            "traceId": uuid4().hex,
            "spanId": uuid4().hex[:16],
            "name": "chat m",
            "startTimeUnixNano": "1790000000000000000",
            "endTimeUnixNano": "1790000001500000000",
            "attributes": self.attributes(attributes),
            "events": events,
            **fields,
        }

    def chat(self, text: str = "Why?", answer: str = "So.", **fields: Any) -> dict[str, Any]:
        """Return the span of a call of the model `m`, by the current convention."""
        turns = {"user": ("gen_ai.input.messages", text), "assistant": ("gen_ai.output.messages", answer)}
        content = {
            name: json.dumps([{"role": role, "parts": [{"type": "text", "content": said}]}])
            for role, (name, said) in turns.items()
        }
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", **content}
        return self.span({**attributes, **fields.pop("attributes", {})}, **fields)

    def record(self, span: dict[str, Any] | None, name: str, **fields: Any) -> dict[str, Any]:
        """Return a log record in the context of a span."""
        body = fields.pop("body", None)
        return {
            **({"traceId": span["traceId"], "spanId": span["spanId"]} if span else {}),
            "eventName": name,
            "timeUnixNano": str(fields.pop("time", 1790000000000000001)),
            "attributes": self.attributes(fields.pop("attributes", {})),
            **({"body": self.value(body)} if body is not None else {}),
        }

    def evaluation(self, span: dict[str, Any] | None, name: str, value: Any = None, **members: Any) -> dict[str, Any]:
        """Return a log record that evaluates a call."""
        score = {} if value is None else {"gen_ai.evaluation.score.value": value}
        attributes = {"gen_ai.evaluation.name": name, **score, **members}
        return self.record(span, "gen_ai.evaluation.result", attributes=attributes)

    def send(self, *spans: dict[str, Any], path: str = "/v1/traces", **request: Any) -> httpx.Response:
        """Send spans."""
        resource = {"attributes": self.attributes(self.resource)}
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}
        return self.http.post(path, json=body, **request)

    def send_records(self, *records: dict[str, Any], **request: Any) -> httpx.Response:
        """Send log records."""
        resource = {"attributes": self.attributes(self.resource)}
        body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": list(records)}]}]}
        return self.http.post("/v1/logs", json=body, **request)

    def completion_id(self, span: dict[str, Any]) -> str:
        """Return the id that follows from a span."""
        return str(id_of_text(self.project, f"{span['traceId']}-{span['spanId']}"))

    def logged(self, span: dict[str, Any]) -> dict[str, Any]:
        """Return the interaction of a span."""
        return self.http.get(f"/api/v1/interactions/{self.completion_id(span)}").raise_for_status().json()

    def count(self) -> int:
        """Return how many interactions the project has."""
        query = {"project": self.project, "limit": 1, "count": True}
        return self.http.get("/api/v1/interactions", params=query).raise_for_status().json()["count"]


@pytest.fixture
def otlp(http: httpx.Client, project: str) -> Exporter:
    """An exporter of OpenTelemetry to the test's project."""
    return Exporter(http, project)
