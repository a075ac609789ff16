"""The figures for Prometheus: what is counted, who may read them, and what they never hold."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from afterword.service.meters import MAX_LABELLED_MODELS, OTHER_MODELS, Meters
from afterword.store.background.retention import Retention
from afterword.store.engine import Store


class Figures(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """The figures of a server at one moment, or what became of them between two."""

    def __init__(self, text: str) -> None:
        super().__init__(
            ((sample.name, frozenset(sample.labels.items())), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        )

    def of(self, name: str, **labels: str) -> float:
        """Return the sum of the series with this name and these labels."""
        wanted = frozenset(labels.items())
        return sum(value for (its, worn), value in self.items() if its == name and wanted <= worn)


def figures(http: httpx.Client) -> Figures:
    """Read the page as Prometheus does, without a key."""
    answer = httpx.get(f"{http.base_url}/metrics")
    assert answer.status_code == 200, answer.text
    return Figures(answer.text)


@pytest.fixture
def grown(http: httpx.Client) -> Callable[..., float]:
    """Return by how much a figure of the shared server has grown since the test began."""
    before = figures(http)
    return lambda name, **labels: figures(http).of(name, **labels) - before.of(name, **labels)


# ------------------------------------------------------------------------------------------------ calls


def test_a_call_is_counted_with_its_times_and_tokens(gateway: Any, grown: Callable[..., float]):
    model = gateway.model("good")
    key = model.partition("/")[2]
    answer = gateway.ask(model).raise_for_status().json()
    labels = {"face": "chat", "model": key, "provider": "open_ai", "state": "complete"}
    assert grown("afterword_calls_total", **labels) == 1
    assert grown("afterword_call_overhead_seconds_count", face="chat") == 1
    assert 0 < grown("afterword_call_overhead_seconds_sum", face="chat") < 5
    assert grown("afterword_provider_seconds_count", model=key) == 1
    assert grown("afterword_time_to_first_token_seconds_count", model=key) == 0
    for kind in ("prompt", "completion"):
        assert grown("afterword_tokens_total", model=key, kind=kind) == answer["usage"][f"{kind}_tokens"] > 0


def test_a_stream_is_counted_with_the_time_to_its_first_word(gateway: Any, grown: Callable[..., float]):
    model = gateway.model("good")
    key = model.partition("/")[2]
    gateway.stream(model)
    assert grown("afterword_calls_total", model=key, state="complete") == 1
    assert grown("afterword_time_to_first_token_seconds_count", model=key) == 1


def test_a_call_that_failed_is_counted_as_failed(gateway: Any, grown: Callable[..., float]):
    model = gateway.model("error-500")
    key = model.partition("/")[2]
    assert gateway.ask(model).status_code == 500
    assert grown("afterword_calls_total", model=key, state="failed") == 1
    assert grown("afterword_calls_total", model=key) == 1


def test_calls_under_way_are_shown_while_they_are(gateway: Any, grown: Callable[..., float]):
    body = {"model": gateway.model("slow-400"), "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    with gateway.http.stream("POST", "/api/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert grown("afterword_streams") == 1
        for _ in lines:
            pass
    # The end of the answer leaves before the call is over, in the same turn of the server's loop.
    gateway.ask("default/echo").raise_for_status()
    assert grown("afterword_streams") == 0


# ------------------------------------------------------------------------------------------------ what is stored


def test_what_is_stored_is_counted_once(
    http: httpx.Client,
    project: str,
    log: Callable[..., dict[str, Any]],
    register: Callable[..., dict[str, Any]],
    gateway: Any,
    grown: Callable[..., float],
):
    register("score")
    given = str(uuid4())
    for _ in range(2):
        log(completion_id=given, feedbacks=[{"metric": "score", "value": 1}])
    other = log()
    lines = [{"messages": [{"role": "user", "content": "Why?"}], "completion": "So."}] * 3
    http.post("/api/v1/interactions/batch", params={"project": project}, json=[*lines, {"completion": 1}])
    gateway.ask("default/echo").raise_for_status()
    gateway.stream("default/echo")
    http.post("/api/v1/feedback", json={"completion_id": given, "metric": "score", "value": 2}).raise_for_status()
    http.post("/api/v1/feedback", json={"completion_id": given, "metric": "score", "value": "much"})
    preference = {"preferred_completion": given, "other_completion": other["completion_id"], "metric": "score"}
    http.post("/api/v1/preferences", json=preference).raise_for_status()
    outcome = {"session_id": given, "metric": "score", "value": 3}
    http.post("/api/v1/outcome", json=outcome).raise_for_status()
    assert grown("afterword_interactions_total") == 2 + 3 + 2
    assert grown("afterword_feedback_total", kind="feedback") == 2
    assert grown("afterword_feedback_total", kind="preference") == 1
    assert grown("afterword_feedback_total", kind="outcome") == 1


def test_commits_are_counted_and_timed(log: Callable[..., dict[str, Any]], http: httpx.Client):
    before = figures(http)
    log()
    # What the server does in the background commits, too: all that is compared is of one page.
    after = figures(http)
    grown = {name: after.of(name) - before.of(name) for name, _ in after if name.startswith("afterword_commit")}
    assert grown["afterword_commit_seconds_count"] >= 1
    assert grown["afterword_commit_seconds_sum"] > 0
    assert grown["afterword_commit_units_sum"] >= grown["afterword_commit_units_count"] >= 1


def test_what_waits_and_what_the_process_takes_is_shown(http: httpx.Client):
    shown = figures(http)
    names = {name for name, _ in shown}
    waiting = ("write_queue_units", "write_queue_bytes", "search_waiting", "rollup_marks")
    assert {f"afterword_{name}" for name in waiting} <= names
    assert shown.of("afterword_store_fault") == 0
    assert shown.of("process_resident_memory_bytes") > 1 << 20
    assert shown.of("process_cpu_seconds_total") > 0


@pytest.mark.embedded
def test_a_store_that_cannot_write_is_shown(new_server: Callable[..., Any]):
    running = new_server(AFTERWORD_ON_STORE_FAILURE="pass")
    with running.client() as http:
        size = (running.directory / "afterword.db-wal").stat().st_size
        body = {"model": "default/echo", "messages": [{"role": "user", "content": "Why? " * 100_000}]}
        with running.files_no_larger_than(size):
            assert http.post("/api/v1/chat/completions", json=body).status_code == 200
            shown = figures(http)
        assert shown.of("afterword_store_fault") == 1
        assert shown.of("afterword_calls_unlogged_total") == 1
        assert shown.of("afterword_interactions_total") == 0
        http.post("/api/v1/chat/completions", json=body).raise_for_status()
        shown = figures(http)
        assert shown.of("afterword_store_fault") == 0
        assert shown.of("afterword_interactions_total") == 1


# ------------------------------------------------------------------------------------------------ answers


def test_answers_are_counted_by_route_and_status(http: httpx.Client, grown: Callable[..., float]):
    route = "GET /api/v1/interactions/{completion_id}"
    assert http.get(f"/api/v1/interactions/{uuid4()}").status_code == 404
    assert httpx.get(f"{http.base_url}/api/v1/interactions/{uuid4()}").status_code == 401
    assert grown("afterword_http_requests_total", route=route, status="404") == 1
    assert grown("afterword_http_requests_total", route=route, status="401") == 1
    assert grown("afterword_http_request_seconds_count", route=route) == 2


# ------------------------------------------------------------------------------------------------ the page


def test_the_page_is_what_prometheus_reads(http: httpx.Client):
    answer = httpx.get(f"{http.base_url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.headers["cache-control"] == "no-store"
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    assert all(family.name.startswith(("afterword_", "process_")) for family in families)


def test_every_figure_stands_in_the_guide(http: httpx.Client, gateway: Any):
    gateway.stream("default/echo")
    guide = Path(__file__).parents[2].joinpath("docs", "guides", "observability.md").read_text(encoding="utf-8")
    page = httpx.get(f"{http.base_url}/metrics").text
    names = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE afterword_")}
    assert len(names) == 22
    assert not [name for name in names if f"`{name}`" not in guide]


def test_the_page_holds_no_secret_no_id_and_no_words_of_users(http: httpx.Client, gateway: Any):
    text = f"hello-{uuid4().hex}"
    model = gateway.model("good", api_key=f"sk-{text}")
    answer = gateway.ask(model, text, user=text, labels={text: text}).json()
    http.get(f"/api/v1/interactions/{text}")
    http.get(f"/{text}")
    gateway.ask(f"{text}/{text}")
    page = httpx.get(f"{http.base_url}/metrics").text
    assert model.partition("/")[2] in page
    for secret in (text, gateway.project, answer["choices"][0]["completion_id"], gateway.server.api_key):
        assert secret not in page


@pytest.mark.parametrize(
    "header",
    [
        {"Host": "afterword.example.org"},
        {"X-Forwarded-For": "192.0.2.7"},
        {"Forwarded": "for=192.0.2.7"},
        {"X-Real-IP": "192.0.2.7"},
        {"Via": "1.1 proxy"},
    ],
    ids=lambda header: next(iter(header)),
)
def test_who_comes_through_a_proxy_needs_a_key(http: httpx.Client, refused: Callable[..., Any], header: dict[str, str]):
    url = f"{http.base_url}/metrics"
    refused(httpx.get(url, headers=header), 401, "invalid_api_key")
    refused(httpx.get(url, headers={**header, "Authorization": "Bearer aw_wrong"}), 401, "invalid_api_key")
    assert http.get("/metrics", headers=header).status_code == 200


@pytest.mark.parametrize(
    ("role", "everywhere", "status"),
    [("viewer", True, 200), ("member", True, 200), ("viewer", False, 403), ("ingest", True, 403)],
)
def test_a_key_must_be_one_that_reads_all_projects(
    http: httpx.Client, project: str, role: str, everywhere: bool, status: int
):
    made = http.post(
        "/api/v1/keys", json={"name": "scraper", "role": role, **({} if everywhere else {"projects": [project]})}
    ).json()
    headers = {"Host": "afterword.example.org", "Authorization": f"Bearer {made['api_key']}"}
    assert httpx.get(f"{http.base_url}/metrics", headers=headers).status_code == status


# ------------------------------------------------------------------------------------------------ bounds


@pytest.fixture
def meters(tmp_path: Path) -> Any:
    """Meters over a store of their own."""
    store = Store(tmp_path)
    yield Meters(store, Retention(store, dict))
    store.close()


def call(meters: Meters, model: str, **usage: Any) -> None:
    meters.count_call(
        operation="chat",
        model=model,
        provider="open_ai",
        state="complete",
        overhead=0.001,
        provider_time=1.0,
        ttft=0.1,
        usage=usage,
    )


def test_beyond_so_many_models_they_are_counted_together(meters: Meters):
    for number in range(MAX_LABELLED_MODELS + 50):
        call(meters, f"model-{number}")
    call(meters, "model-0")
    shown = Figures(asyncio.run(meters.text()).decode())
    models = {dict(labels).get("model") for name, labels in shown if name == "afterword_calls_total"}
    assert len(models) == MAX_LABELLED_MODELS + 1
    assert shown.of("afterword_calls_total", model=OTHER_MODELS) == 50
    assert shown.of("afterword_calls_total", model="model-0") == 2
    assert shown.of("afterword_calls_total") == MAX_LABELLED_MODELS + 51


def test_what_is_no_number_of_tokens_is_not_counted(meters: Meters):
    for number in (None, "many", -1, 10**400, 1.5, math.nan):
        call(meters, "odd", prompt_tokens=number)
    call(meters, "odd", prompt_tokens=7)
    assert Figures(asyncio.run(meters.text()).decode()).of("afterword_tokens_total") == 7


def test_the_page_is_there_when_the_store_cannot_be_read(tmp_path: Path):
    store = Store(tmp_path)
    meters = Meters(store, Retention(store, dict))
    store.close()
    shown = Figures(asyncio.run(meters.text()).decode())
    assert math.isnan(shown.of("afterword_search_waiting"))
    assert math.isnan(shown.of("afterword_rollup_marks"))
    assert ("afterword_store_fault", frozenset()) in shown


# ------------------------------------------------------------------------------------------------ traces, off


LOADED = """
import sys
from pathlib import Path
from afterword.app import make_app
from afterword.config import load
from afterword.lifespan import close_state, open_state
state = open_state(load({"data": sys.argv[1]}))
make_app(state, "aw_key")
close_state(state)
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""


def loaded(tmp_path: Path, **environment: str) -> str:
    """Return which modules of opentelemetry a server has loaded that was put together in this environment."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", LOADED, str(tmp_path / "data")]
    done = subprocess.run(command, env={**rest, **environment}, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
    ],
    ids=["nothing", "none", "disabled"],
)
def test_without_being_asked_for_traces_nothing_of_them_is_loaded(tmp_path: Path, environment: dict[str, str]):
    assert loaded(tmp_path, **environment) == "[]"


def test_traces_that_are_asked_for_are_loaded(tmp_path: Path):
    assert "opentelemetry.sdk.trace" in loaded(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")


def test_without_the_extra_one_line_says_what_to_install(new_server: Callable[..., Any], tmp_path: Path):
    missing = tmp_path / "missing" / "opentelemetry"
    missing.mkdir(parents=True)
    missing.joinpath("__init__.py").write_text("raise ModuleNotFoundError('none here', name='opentelemetry')\n")
    running = new_server(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", PYTHONPATH=str(missing.parent))
    with running.client() as http:
        body = {"model": "default/echo", "messages": [{"role": "user", "content": "Hello"}]}
        assert http.post("/api/v1/chat/completions", json=body).status_code == 200
    [line] = [line for line in running.log.read_text().splitlines() if "Traces" in line]
    assert "pip install 'afterword[telemetry]'" in line


def test_an_exporter_that_is_not_known_is_named(new_server: Callable[..., Any]):
    running = new_server(OTEL_TRACES_EXPORTER="zipkin")
    assert "OTEL_TRACES_EXPORTER is 'zipkin'; Afterword knows otlp, console and none." in running.log.read_text()
