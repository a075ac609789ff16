"""Every route is called with what its description allows, with what it does not, and with values that programs trip
over: never a fault of the server, and every answer is one that the description promises.

AFTERWORD_FUZZ_EXAMPLES raises the number of calls for each route and kind of input.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from afterword.api import openapi
from afterword.api.routes import MODEL_CALL_ROUTES, ROUTES, Route

EXAMPLES = int(os.environ.get("AFTERWORD_FUZZ_EXAMPLES", "12" if "AFTERWORD_TEST_ALL" in os.environ else "2"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def load(name: str) -> Any:
    """Load a module that stands beside the hostile tests."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "hostile" / f"{name}.py")
    assert spec
    assert spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


values, calls = load("hostile_values"), load("hostile_calls")


@schemathesis.serializer("application/x-ndjson")
def write_lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Send a list as one JSON document a line, and what is no list as it is."""
    lines = value if isinstance(value, list) else [value]
    return b"\n".join(json.dumps(line).encode() for line in lines)


@schemathesis.deserializer("application/x-ndjson")
def read_lines(_: schemathesis.DeserializationContext, answer: schemathesis.Response) -> Any:
    """Read one JSON document a line."""
    return [json.loads(line) for line in answer.content.splitlines()]


SCHEMA = schemathesis.openapi.from_dict(openapi.document("fuzzed"))


@pytest.fixture(scope="module")
def fuzzed(server, database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of its own: what the calls leave behind shall disturb no other test."""
    running = type(server)(tmp_path_factory.mktemp("fuzz") / "data", database_url=database())
    yield running
    running.stop()
    assert "Traceback" not in running.log.read_text()


@pytest.fixture
def real(fuzzed) -> Iterator[Real]:
    """Make things that exist, and return their ids by the names that paths and bodies use."""
    with fuzzed.client() as client:
        yield lambda: make_things(client)


def make_things(client: httpx.Client) -> dict[str, str]:
    """Make one of each thing in a project of its own; return their ids by the names that paths and bodies use."""

    def post(path: str, **body: Any) -> dict[str, Any]:
        return client.post(f"/api/v1/{path}", json=body).raise_for_status().json()

    project = f"fuzz-{uuid4().hex[:12]}"
    post("projects", key=project)
    post("metrics", key="score", project=project)
    post("models", key=project, provider="echo")
    post(f"projects/{project}/models", model=project)
    post("teams", name=project)
    user = f"{project}@example.com"
    post("users", name=project, email=user, teams=[{"team": project, "role": "read-only"}])
    line = b'{"messages": [{"role": "user", "content": "Hi"}]}'
    query = {"project": project, "key": "lines"}
    dataset = client.post("/api/v1/datasets", params=query, content=line).raise_for_status().json()["id"]
    models = [project, post("models", key=f"{project}-2", provider="echo", project=project)["key"]]
    test = post("ab-tests", key=project, metric="score", models=models, project=project)
    image = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": image}]
    interaction = {"messages": [{"role": "user", "content": parts}], "completion": "A dot.", "project": project}
    ids = [post("interactions", **interaction)["completion_id"] for _ in range(2)]
    compared = {"preferred_completion": ids[0], "other_completion": ids[1]}
    shown = client.get(f"/api/v1/interactions/{ids[0]}").json()
    session = shown["session_id"]
    return {
        "project": project,
        "metric": "score",
        "model": project,
        "team": project,
        "user": user,
        "role": "read-only",
        "dataset": dataset,
        "test": test["key"],
        "ab_campaign": test["id"],
        "completion_id": ids[0],
        "response_id": ids[0],
        "preferred_completion": ids[0],
        "other_completion": ids[1],
        "session_id": session,
        "outcome_id": post("outcomes", session_id=session, metric="score", value=1)["outcome_id"],
        "feedback_id": post("feedback", completion_id=ids[0], metric="score", value=1)["feedback_id"],
        "comparison_id": post("preferences", metric="score", **compared)["comparison_id"],
        "view_id": post(f"projects/{project}/views", name="fuzz", search="")["id"],
        "key_id": post("keys", name="fuzz", role="viewer")["id"],
        "file": shown["messages"][0]["content"][1]["image_url"].rpartition("/")[2],
    }


def put_in(ids: dict[str, str], value: Any, *, own: frozenset[str] = frozenset()) -> Any:
    """Put real ids where a body or its lines speak of things, but for the ids that the caller may choose."""
    if isinstance(value, list):
        return [put_in(ids, each, own=own) for each in value]
    if not isinstance(value, dict):
        return value
    changed = {name: ids[name] for name in value if name in ids and name not in own}
    return {**value, **changed, **({"project": ids["project"]} if "project" in value else {})}


# The ids that a call gives to what it makes.
CHOSEN = {
    "interactions.record": frozenset({"completion_id", "session_id"}),
    "batches.record_interactions": frozenset({"completion_id", "session_id"}),
    "feedback.record": frozenset({"feedback_id"}),
    "batches.record_feedback": frozenset({"feedback_id"}),
    "outcomes.record": frozenset({"outcome_id"}),
    "batches.record_outcomes": frozenset({"outcome_id"}),
}

# The calls after which a thing may not be what it was, under the name that it had.
CHANGES = frozenset(
    {
        "metrics.change",
        "projects.change",
        "models.change",
        "models.change_in_project",
        "abtests.cancel",
        "views.change",
        "outcomes.change",
    }
)


def fits_as_sent(operation: Any, url: str) -> bool:
    """Tell whether the query of a call, as the text that was sent, is one that the description allows."""
    sent = parse_qs(urlsplit(url).query, keep_blank_values=True)
    described = {one["name"]: one["schema"] for one in operation.definition.raw.get("parameters", [])}

    def fits(name: str, values: list[str]) -> bool:
        schema = described.get(name)
        if schema is None:
            return False
        is_list = schema.get("type") == "array"
        validator = Draft202012Validator(schema["items"] if is_list else schema)
        read = all(any(map(validator.is_valid, readings(value))) for value in values)
        return read and (is_list or len(values) == 1)

    return all(fits(name, values) for name, values in sent.items())


def readings(value: str) -> list[Any]:
    """Return what a text may stand for: itself, a number, a truth value."""
    try:
        return [value, json.loads(value)]
    except ValueError:
        return [value]


Real = Callable[[], dict[str, str]]

# Of events there is no end.
ENDING = [
    pytest.param(route, id=id) for route, id in zip(ROUTES, openapi.operation_ids(), strict=True) if not route.events
]


@pytest.mark.parametrize("route", ENDING)
def test_what_the_description_allows_is_no_fault_and_answered_as_described(fuzzed: Any, real: Real, route: Route):
    call_often(fuzzed, real, route, schemathesis.GenerationMode.POSITIVE)


# It is refused before any store is asked.
@pytest.mark.any_store
@pytest.mark.parametrize("route", ENDING)
def test_what_the_description_forbids_is_refused_as_described(fuzzed: Any, real: Real, route: Route):
    try:
        call_often(fuzzed, real, route, schemathesis.GenerationMode.NEGATIVE)
    except Unsatisfiable:
        pytest.skip("nothing that the description forbids can be sent to it")


def call_often(fuzzed: Any, real: Real, route: Route, mode: schemathesis.GenerationMode) -> None:
    """Call a route with what is made up from its description, and check each answer."""
    operation = SCHEMA[route.path][route.method]
    things = real()
    session = requests.Session()
    session.trust_env = False

    @seed(0)
    @settings(
        max_examples=EXAMPLES // 2 if fuzzed.database_url else EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), existing=st.booleans())
    def call(case: schemathesis.Case, existing: bool) -> None:
        nonlocal things
        if existing:
            if route.method == "DELETE" or route.name in CHANGES:
                things = real()
            own = CHOSEN.get(route.name, frozenset())
            for name in case.path_parameters or {}:
                case.path_parameters[name] = things[name]
            case.body = put_in(things, case.body, own=own)
            case.query = put_in(things, case.query)
        answer = case.call(
            base_url=fuzzed.url,
            session=session,
            headers={"Authorization": f"Bearer {fuzzed.api_key}"},
            timeout=30,
        )
        # A real id may mend what was wrong with a call; a batch answers for its lines one by one; and a query is text,
        # in which null is the label "null".
        mended = existing or route.streams or (case.body is NOT_SET and fits_as_sent(operation, answer.request.url))
        case.validate_response(answer, checks=CHECKS if mended else [*CHECKS, negative_data_rejection])

    call()
    assert httpx.get(f"{fuzzed.url}/health").json()["status"] == "ok"


# ------------------------------------------------------------------------------------------------ hostile values

HOSTILE_EXAMPLES = max(2, EXAMPLES // 4)
DRAWN = settings(
    max_examples=HOSTILE_EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# What is stored before: numbers that overflow when they are added up, labels and sessions of all kinds.
STORED = [
    {
        "messages": [{"role": "user", "content": "red"}],
        "completion": "blue",
        "usage": {"total_tokens": number, "prompt_tokens": number},
        "timings": {"latency": number, "tokens_per_second": number},
        "labels": dict.fromkeys(("a", "a:b", "İ", "k" * 128), f"{index}"),
        "feedbacks": [{"metric": "score", "value": number}],
        "created_at": time,
        "session_id": text,
    }
    for index, (number, time, text) in enumerate(
        [
            (1.7e308, 10**8, "İ"),
            (1.7e308, 10**11, "s" * 200),
            (-1.7e308, "1970-01-01", "0"),
            (-1.7e308, "now", "-"),
            (5e-324, "now", "x"),
            (2**63, "now - 1 day", "x"),
            (2**53 + 1, "now - 9 years", "x"),
        ]
    )
]


class Hostile:
    """A server that is called with hostile values, and what stood in it before."""

    def __init__(self, server: Any, upstream: Any) -> None:
        self.client = server.client()
        self.server = server
        self.upstream = upstream
        self.lasting = self.make()
        self.passing = self.make()
        """What a call may delete or change. It is made anew after some of these."""
        self.changes = 0
        project = self.lasting["project"]
        lines = self.client.post("/api/v1/interactions/batch", params={"project": project}, json=STORED)
        assert lines.status_code == 200, lines.text
        probe = {**STORED[-1], "feedbacks": [], "project": self.make()["project"]}
        self.probe_id = self.client.post("/api/v1/interactions", json=probe).raise_for_status().json()["completion_id"]
        self.probe = self.client.get(f"/api/v1/interactions/{self.probe_id}").json()
        self.models = {provider: self.model(provider) for provider in ("open_ai", "anthropic", "google", "echo")}

    def make(self) -> dict[str, str]:
        """Make one of each thing."""
        return {**make_things(self.client), "upload": self.make_upload()}

    def note_change(self) -> None:
        """Make the things anew that calls may have deleted or changed, once there were some of these."""
        self.changes += 1
        if self.changes % 4:
            return
        self.client.request("DELETE", "/api/v1/upload/abort", json={"session_id": self.passing["upload"]})
        self.passing = self.make()

    def make_upload(self) -> str:
        """Begin an upload of two parts; return its id."""
        body = {"total_parts_count": 2}
        return self.client.post("/api/v1/upload/init", json=body).raise_for_status().json()["session_id"]

    def model(self, provider: str) -> str:
        """Register a model whose provider answers as it is told; return the name to call it by."""
        project, key = self.lasting["project"], f"{provider}-{uuid4().hex[:8]}"
        endpoint = f"{self.upstream.url}/scripted/{key}" + ("" if provider == "anthropic" else "/v1")
        body = {"key": key, "provider": provider, "project": project, "external_model_id": key, "api_key": "sk-x"}
        more = {} if provider == "echo" else {"endpoint": endpoint}
        self.client.post("/api/v1/models", json={**body, **more}).raise_for_status()
        return f"{project}/{key}"

    def check_well(self) -> None:
        """Check that the server is well, and that what was stored before is what it was."""
        for path in ("/health", "/ready"):
            assert self.client.get(path).status_code == 200
        assert self.client.get(f"/api/v1/interactions/{self.probe_id}").json() == self.probe

    def call_route(self, route: Route, call: Any) -> None:
        """Make a call of a route, and check the answer."""
        is_lasting = (
            route.method != "DELETE" and route.name not in CHANGES and route.name != "datasets.create_of_upload"
        )
        answer = call.send(self.client, self.lasting if is_lasting else self.passing, is_endless=bool(route.events))
        if not is_lasting and answer.status_code < 300:
            self.note_change()
        calls.check(answer, calls.documented_statuses(route))

    def call_field(self, kind: str, call: Any) -> None:
        """Make a call of GraphQL, and check the answer."""
        answer = call.send(self.client, self.lasting if kind == "query" else self.passing)
        if kind == "mutation" and '"errors"' not in answer.text:
            self.note_change()
        calls.check_graphql(answer)

    def call_model(self, route: Any, provider: str, call: Any, scripted: Any) -> None:
        """Call a model whose provider answers so, and check the answer."""
        model = self.models[provider]
        status, content_type, content = scripted
        self.upstream.script(model.partition("/")[2], content, status=status, content_type=content_type)
        last_step = route.path.rpartition("/")[2].replace("{method}", "generateContent")
        called = {"called_model": model, "called_path": last_step.replace("{model}", model)}
        answer = call.send(self.client, {**self.lasting, **called})
        calls.check(answer, {502, 503, 504, 529}, needs_code=False)


@pytest.fixture(scope="module")
def hostile(fuzzed: Any, upstream: Any) -> Iterator[Hostile]:
    """The server to be called with hostile values."""
    made = Hostile(fuzzed, upstream)
    yield made
    made.client.close()


@pytest.fixture
def well(hostile: Hostile) -> Iterator[Hostile]:
    """The same, which is well afterwards."""
    yield hostile
    hostile.check_well()


@pytest.mark.parametrize(
    "route", [pytest.param(route, id=id) for route, id in zip(ROUTES, openapi.operation_ids(), strict=True)]
)
def test_no_hostile_value_makes_a_route_fail(well: Hostile, route: Route):
    @seed(0)
    @DRAWN
    @given(call=calls.rest_calls(route))
    def run(call: Any) -> None:
        well.call_route(route, call)

    run()


@pytest.mark.parametrize(("kind", "name"), calls.graphql_fields())
def test_no_hostile_variable_makes_graphql_fail(well: Hostile, kind: str, name: str):
    @seed(0)
    @DRAWN
    @given(call=calls.graphql_calls(kind, name))
    def run(call: Any) -> None:
        well.call_field(kind, call)

    run()


@pytest.mark.parametrize("provider", ["open_ai", "anthropic", "google", "echo"])
@pytest.mark.parametrize("route", MODEL_CALL_ROUTES, ids=lambda route: route.name)
def test_no_hostile_request_or_answer_makes_the_gateway_fail(well: Hostile, route: Any, provider: str):
    @seed(0)
    @settings(DRAWN, max_examples=4 * HOSTILE_EXAMPLES)
    @given(call=calls.model_calls(route.name, route.path), scripted=calls.provider_answers(provider, route.name))
    def run(call: Any, scripted: Any) -> None:
        well.call_model(route, provider, call, scripted)

    run()


def test_no_upload_that_is_aborted_meanwhile_makes_a_call_fail(well: Hostile):
    @seed(0)
    @DRAWN
    @given(steps=st.lists(st.sampled_from(["part 1", "part 2", "abort", "dataset", "status"]), min_size=2, max_size=8))
    def run(steps: list[str]) -> None:
        session = {"session_id": well.make_upload()}
        with ThreadPoolExecutor(len(steps)) as threads:
            for answer in threads.map(lambda step: upload_step(well.client, session, step), steps):
                calls.check(answer)
        upload_step(well.client, session, "abort")

    run()


def upload_step(client: httpx.Client, session: dict[str, str], step: str) -> httpx.Response:
    """Make one of the calls that an upload consists of."""
    if step.startswith("part"):
        line = b'{"messages": [{"role": "user", "content": "Hi"}]}\n'
        return client.post("/api/v1/upload/part", params={**session, "part_number": step[-1]}, content=line)
    if step == "status":
        return client.get("/api/v1/upload/status", params=session)
    if step == "abort":
        return client.request("DELETE", "/api/v1/upload/abort", json=session)
    body = {**session, "key": f"of-upload-{uuid4().hex[:8]}"}
    return client.post("/api/v1/datasets/from-upload", json=body)
