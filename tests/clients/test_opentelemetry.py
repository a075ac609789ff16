"""Applications that instrumentors from PyPI instrument, with no other change: their calls are interactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.timeout(900), pytest.mark.thorough]

SCRIPT = """
import importlib

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "true"
server = os.environ["OPENAI_BASE_URL"].removesuffix("/api/v1")
headers = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}

class Evaluating(SpanProcessor):
    def on_start(self, span, parent_context=None):
        score = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.value": 0.75}
        span.add_event("gen_ai.evaluation.result", score)

resource = Resource.create({"afterword.project": given["project"], "service.name": "shop"})
spans, logs = TracerProvider(resource=resource), LoggerProvider(resource=resource)
spans.add_span_processor(Evaluating())
exporter = OTLPSpanExporter(endpoint=f"{server}/v1/traces", headers=headers)
for _ in range(2):  # the second one sends everything once more
    spans.add_span_processor(SimpleSpanProcessor(exporter))
    logs.add_log_record_processor(
        SimpleLogRecordProcessor(OTLPLogExporter(endpoint=f"{server}/v1/logs", headers=headers))
    )
instrumentor = importlib.import_module(given["module"]).OpenAIInstrumentor()
instrumentor.instrument(tracer_provider=spans, logger_provider=logs)

from openai import OpenAI

client = OpenAI(base_url=given["upstream"], api_key="sk-x", max_retries=0)
ask = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello there"}]
client.chat.completions.create(model="good:otel", messages=ask, temperature=0.5)
list(client.chat.completions.create(model="good:otel", messages=ask, stream=True))
client.chat.completions.create(model="tools:otel", messages=ask)
print(json.dumps("done"))
"""


@pytest.mark.parametrize(
    ("environment", "module"),
    [
        ("otel_traceloop", "opentelemetry.instrumentation.openai"),
        ("otel_openinference", "openinference.instrumentation.openai"),
        ("otel_contrib", "opentelemetry.instrumentation.openai_v2"),
    ],
)
def test_calls_of_an_instrumented_application_are_interactions(
    run_with: Callable[..., Any], gateway: Any, environment: str, module: str
):
    run_with(environment, SCRIPT, module=module, project=gateway.project, upstream=gateway.upstream.endpoint)
    query = {"project": gateway.project, "view": "full", "limit": 10}
    listed = gateway.http.get("/api/v1/interactions", params=query).raise_for_status().json()["interactions"]
    plain, streamed, called = sorted(listed, key=lambda interaction: interaction["created_at"])
    for interaction in (plain, streamed, called):
        contents = [(message["role"], message["content"]) for message in interaction["messages"]]
        assert contents == [("system", "Be short."), ("user", "Hello there")]
        assert interaction["labels"]["service.name"] == "shop"
        assert [one["value"] for one in interaction["feedback"]] == [0.75]
        assert interaction["timings"]["latency"] >= 0
    assert plain["completion"] == streamed["completion"] == "You said: Hello there"
    assert plain["usage"]["total_tokens"] > 0
    assert plain["parameters"]["temperature"] == 0.5
    assert called["message"]["tool_calls"][0]["function"]["name"] == "get_weather"
