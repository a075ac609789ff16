"""What goes out comes in: an export that was imported elsewhere is exported as the same."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.thorough

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
ADDRESS = "https://example.com/a%20b.png?x=1#y"

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(WORDS, JSON, max_size=4)
TIMES = st.datetimes().map(lambda moment: moment.replace(year=2000 + moment.year % 20).isoformat() + "Z")
CALLS = st.lists(
    st.builds(
        lambda name, arguments: {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}},
        WORDS,
        TEXTS,
    ),
    min_size=1,
    max_size=2,
)
PARTS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
    | st.sampled_from([PIXEL, ADDRESS]).map(
        lambda url: {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    )
    | st.just({"type": "image_url", "image_url": ADDRESS}),
    max_size=3,
)
# A sound without a sample, and a text, in the forms in which they are sent.
AUDIO = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA="
FILE = "data:text/plain;base64,TGVhc2UgYWdyZWVtZW50Lg=="
MEDIA_PARTS = [
    {"type": "input_audio", "input_audio": {"data": AUDIO, "format": "wav"}},
    {"type": "file", "file": {"filename": "lease é.txt", "file_data": FILE}},
    {"type": "file", "file": {"file_id": "file-1"}},
]
MEDIA = st.lists(st.sampled_from(MEDIA_PARTS), min_size=1, max_size=2)
MESSAGES = st.one_of(
    st.fixed_dictionaries({"role": st.just("user"), "content": MEDIA}),
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": TEXTS | PARTS}),
    st.fixed_dictionaries({"role": st.just("user"), "content": TEXTS}, optional={"name": WORDS, "cache": OBJECTS}),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": st.none() | TEXTS, "tool_calls": CALLS}),
    st.fixed_dictionaries({"role": st.just("tool"), "content": TEXTS, "tool_call_id": st.just("c1")}),
)
ANSWERS = TEXTS | st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.none() | TEXTS | PARTS},
    optional={
        "tool_calls": CALLS,
        "refusal": TEXTS,
        "reasoning_content": TEXTS,
        "audio": st.just({"id": "audio_1", "data": AUDIO, "transcript": "Hello"}),
        "annotations": st.lists(OBJECTS, max_size=2),
    },
)
FEEDBACK = st.fixed_dictionaries(
    {"metric": st.just("score"), "value": st.floats(-1e9, 1e9)} | {},
    optional={"details": TEXTS, "reason": WORDS, "user": WORDS, "created_at": TIMES},
) | st.fixed_dictionaries({"metric": st.just("thumb"), "value": st.booleans()})
INTERACTIONS = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGES, min_size=1, max_size=4), "completion": ANSWERS},
    optional={
        "model": st.sampled_from(["m1", "team/m2:latest"]),
        "labels": st.dictionaries(WORDS, TEXTS, max_size=8),
        "feedbacks": st.lists(FEEDBACK, max_size=3),
        "user": WORDS,
        "environment": WORDS,
        "session_id": st.sampled_from([str(uuid4()), str(uuid4()), "chat 7", "ticket/12 é"]),
        "created_at": TIMES,
        "usage": OBJECTS,
        "timings": OBJECTS,
        "parameters": OBJECTS,
        "facts": st.fixed_dictionaries({}, optional={"answer": OBJECTS, "choice": OBJECTS}),
        "source": st.sampled_from(["LIVE", "OFFLINE", "AUTOMATION"]),
        "call": st.fixed_dictionaries(
            {"state": st.sampled_from(["complete", "failed", "cancelled", "interrupted"])},
            optional={
                "finish_reason": WORDS,
                "error": st.dictionaries(WORDS, JSON, min_size=1, max_size=3),
                "request_id": WORDS,
                "provider_request_id": WORDS,
                "response_id": WORDS,
                "provider_model": WORDS,
                "trace_id": WORDS,
                "streamed": st.booleans(),
            },
        ),
    },
)

SESSIONS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.none() | WORDS,
            "turns": st.lists(st.tuples(MESSAGES, ANSWERS), min_size=4, max_size=9),
            # Messages that the turns after do not send again, as a client does that keeps its context short.
            "dropped": st.integers(0, 3),
            "seed": st.integers(0, 1 << 32),
            "gone_before": st.sets(st.integers(0, 2), max_size=2),
            "gone_after": st.sets(st.integers(0, 9), max_size=3),
        }
    ),
    min_size=2,
    max_size=4,
)


def without_actors(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line without who imported it: that is another actor than who logged it."""
    for one in (*line["feedback"], *line["preferences"], *(line["outcomes"] or ())):
        del one["actor"]
    line["feedback"].sort(key=lambda one: one["feedback_id"])
    line["preferences"].sort(key=lambda one: one["comparison_id"])
    return line


def exported(done: Any) -> dict[str, dict[str, Any]]:
    lines = [without_actors(json.loads(line)) for line in done.stdout.strip("\n").split("\n")]
    return {line["completion_id"]: line for line in lines}


@pytest.fixture
def copied(afterword: Any, anywhere: Any, new_server: Callable[..., Any], http: httpx.Client):
    """Move a project's interactions and outcomes to another server; return what both export."""
    other = new_server()
    known = {"AFTERWORD_URL": other.url, "AFTERWORD_API_KEY": other.api_key}

    def copy(project: str) -> tuple[Any, Any]:
        here = {"AFTERWORD_URL": str(http.base_url), "AFTERWORD_API_KEY": http.headers["authorization"].split()[1]}
        out = anywhere("export", "--project", project, **here)
        done = anywhere("import", "-", "--project", project, "--create-project", given=out.stdout, **known)
        assert done.returncode == 0, done.stderr
        kinds = json.loads(anywhere("metrics", "list", "--json", "--project", project, **known).stdout)
        assert {one["key"]: one["kind"] for one in kinds}.items() <= {
            "score": "scalar",
            "thumb": "bool",
            "best": "scalar",
        }.items()
        outcomes = anywhere("outcomes", "export", "--project", project, **here)
        if outcomes.stdout:
            done = anywhere("import", "-", "--project", project, given=outcomes.stdout, **known)
            assert done.returncode == 0, done.stderr
        return (
            (exported(out), outcomes.stdout),
            (
                exported(anywhere("export", "--project", project, **known)),
                anywhere("outcomes", "export", "--project", project, **known).stdout,
            ),
        )

    return copy


@pytest.fixture
def here_and_there(new_server: Callable[..., Any]) -> tuple[Any, Any]:
    """Two servers, each with a store of its own."""
    return new_server(directory="here"), new_server(directory="there")


# Each example runs the command line three times: to shrink one that fails would take too long.
@pytest.mark.every_store
@settings(
    max_examples=3,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(INTERACTIONS, min_size=2, max_size=15), st.sampled_from([None, "good", "bad"]), TEXTS)
def test_an_export_survives_its_import(
    http: httpx.Client, copied: Any, lines: list[dict[str, Any]], tied: str | None, details: str
):
    project = http.post("/api/v1/projects", json={"key": f"p-{uuid4().hex}"}).raise_for_status().json()["key"]
    for key, kind in (("score", "scalar"), ("thumb", "bool"), ("best", "scalar")):
        http.post("/api/v1/metrics", json={"project": project, "key": key, "kind": kind}).raise_for_status()
    ids = []
    for line in lines:
        answer = http.post("/api/v1/interactions", json={**line, "project": project})
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["completion_id"])
    sides = {"preferred_completion": ids[0], "other_completion": ids[1], "tied": tied, "details": details}
    http.post("/api/v1/preferences", json={"metric": "best", "created_at": "2020-01-02", **sides}).raise_for_status()
    for one in ids[:2]:
        session = http.get(f"/api/v1/interactions/{one}").json()["session_id"]
        outcome = {"session_id": session, "metric": "score", "value": 0.5, "details": details, "project": project}
        http.post("/api/v1/outcomes", json=outcome).raise_for_status()
    here, there = copied(project)
    assert len(here[0]) == len(lines)
    assert there == here


def packing(server: Any) -> tuple[int, int]:
    """Return the numbers of turns that wait to be packed and of those that are packed, from the server's database."""
    queries = ("SELECT count(*) FROM packing_pending", "SELECT count(*) FROM payloads WHERE base IS NOT NULL")
    file = f"file:{server.directory / 'afterword.db'}?mode=ro"
    connection = psycopg.connect(server.database_url) if server.database_url else sqlite3.connect(file, uri=True)
    with closing(connection):
        [waiting], [packed] = (connection.execute(query).fetchone() or () for query in queries)
    return waiting, packed


def wait_until_packed(server: Any) -> int:
    """Wait until no turn waits to be packed; return how many are."""
    end = time.monotonic() + 60
    while (numbers := packing(server))[0]:
        assert time.monotonic() < end, numbers
        time.sleep(0.1)
    return numbers[1]


def log_session(http: httpx.Client, project: str, session: dict[str, Any]) -> dict[int, str]:
    """Log turns of which each sends the conversation again; return their ids."""
    system = " ".join(f"{Random(session['seed'] + n).getrandbits(40):x}" for n in range(150))
    messages: list[Any] = [{"role": "system", "content": system}]
    session_id, ids = session["name"], {}
    for number, (message, answer) in enumerate(session["turns"]):
        messages.append(message)
        body = {"project": project, "messages": messages, "completion": answer, "session_id": session_id}
        logged = http.post("/api/v1/interactions", json=body)
        assert logged.status_code == 201, logged.text
        ids[number], session_id = logged.json()["completion_id"], logged.json()["session_id"]
        messages.append(answer if isinstance(answer, dict) else {"role": "assistant", "content": answer})
        if number == len(session["turns"]) // 2:
            del messages[1 : 1 + session["dropped"]]
    outcome = {"project": project, "session_id": session_id, "metric": "score", "value": 1, "details": "At its end"}
    http.post("/api/v1/outcomes", json=outcome).raise_for_status()
    return ids


@pytest.mark.every_store
@settings(
    max_examples=2,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(SESSIONS)
def test_packed_sessions_survive_export_and_import_byte_for_byte(
    here_and_there: tuple[Any, Any], anywhere: Any, sessions: list[dict[str, Any]]
):
    here, there = here_and_there
    project = f"p-{uuid4().hex}"
    known = [{"AFTERWORD_URL": server.url, "AFTERWORD_API_KEY": server.api_key} for server in here_and_there]
    packed_before = [packing(server)[1] for server in here_and_there]
    with here.client() as http:
        http.post("/api/v1/projects", json={"key": project}).raise_for_status()
        http.post("/api/v1/metrics", json={"project": project, "key": "score"}).raise_for_status()
        logged = [log_session(http, project, session) for session in sessions]

        def delete(which: str) -> None:
            for session, ids in zip(sessions, logged, strict=True):
                for number in session[which] & ids.keys():
                    if len(ids) > 2:
                        http.delete(f"/api/v1/interactions/{ids.pop(number)}").raise_for_status()

        delete("gone_before")
        assert wait_until_packed(here) > packed_before[0]
        delete("gone_after")
    exported_here = anywhere("export", "--project", project, **known[0]).stdout
    done = anywhere("import", "-", "--project", project, "--create-project", given=exported_here, **known[1])
    assert done.returncode == 0, done.stderr
    assert wait_until_packed(there) > packed_before[1]
    exported_there = anywhere("export", "--project", project, **known[1]).stdout
    lines = [json.loads(line) for line in exported_there.strip("\n").split("\n")]
    assert sorted(line["completion_id"] for line in lines) == sorted(id for ids in logged for id in ids.values())
    assert exported_there == exported_here


def test_calls_of_the_gateway_survive_their_export(gateway: Any, copied: Any):
    project = gateway.project
    name = gateway.model()
    parts = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": ADDRESS}}]
    gateway.ask(name, parts, labels={"a": "b"}, user="u").raise_for_status()
    gateway.ask(name, "twice", n=2, temperature=0.5).raise_for_status()
    gateway.stream(name, "streamed")
    gateway.stream(gateway.model("tools"), "called")
    gateway.ask(gateway.model("reasoning"), "thought").raise_for_status()
    gateway.stream(gateway.model("cut-after-2"), "cut off in the middle")
    for url in (PIXEL.replace("gif", "jpeg"), PIXEL.replace("image/gif", "application/octet-stream"), "file:///a.png"):
        gateway.ask(name, [{"type": "image_url", "image_url": {"url": url}}, {"type": "of no kind"}]).raise_for_status()
    gateway.ask(name, "in a session", session_id="chat 7").raise_for_status()
    gateway.ask(name, MEDIA_PARTS).raise_for_status()
    here, there = copied(project)
    assert len(here[0]) == 12
    assert AUDIO in (exported_text := json.dumps(there[0]))
    assert FILE in exported_text
    assert {one["call"]["state"] for one in here[0].values()} == {"complete", "failed"}
    assert there == here
