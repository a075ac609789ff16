"""Batches: many lines in one call, each on its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

Call = Callable[..., dict[str, Any]]
NDJSON = {"content-type": "application/x-ndjson"}
JSON = {"content-type": "application/json"}


def interaction(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Why?"}], "completion": "So.", **fields}


def ndjson(lines: Iterable[Any]) -> bytes:
    return b"\n".join(json.dumps(line).encode() for line in lines)


def results(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code in (200, 207, 422), answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
def send(http: httpx.Client, project: str) -> Callable[..., list[dict[str, Any]]]:
    """Send a batch of lines, as NDJSON or as an array; return the results."""

    def sent(lines: Iterable[Any], path: str = "interactions", form: str = "ndjson") -> list[dict[str, Any]]:
        content = ndjson(lines) if form == "ndjson" else json.dumps(list(lines)).encode()
        headers = NDJSON if form == "ndjson" else JSON
        url = f"/api/v1/{path}/batch"
        return results(http.post(url, params={"project": project}, content=content, headers=headers))

    return sent


@pytest.fixture
def texts(http: httpx.Client, project: str) -> Callable[[], list[str]]:
    """All completions of the project."""

    def listed() -> list[str]:
        found: list[str] = []
        query = {"project": project, "limit": 500}
        while True:
            page = http.get("/api/v1/interactions", params=query).json()
            found += [one["completion"] for one in page["interactions"]]
            if page["next"] is None:
                return sorted(found)
            query["cursor"] = page["next"]

    return listed


# ------------------------------------------------------------------------------------------------ lines


@pytest.mark.parametrize("form", ["ndjson", "array"])
def test_each_line_is_answered_in_order_and_stored(send: Any, show: Call, register: Call, form: str):
    register("CSAT")
    lines = [interaction(completion=str(n), labels={"n": str(n)}) for n in range(250)]
    lines[7]["feedbacks"] = [{"metric": "CSAT", "value": 7}]
    answered = send(lines, form=form)
    assert [one["line"] for one in answered] == list(range(1, 251))
    assert {one["status"] for one in answered} == {201}
    assert len({one["completion_id"] for one in answered}) == 250
    for n in (0, 7, 99, 100, 249):
        shown = show(answered[n]["completion_id"])
        assert (shown["completion"], shown["labels"]) == (str(n), {"n": str(n)})
        assert answered[n]["session_id"] == shown["session_id"] == shown["completion_id"]
        assert answered[n]["feedback_ids"] == [one["feedback_id"] for one in shown["feedback"]]
    assert len(answered[7]["feedback_ids"]) == 1


BAD_LINES: list[tuple[Any, int, str]] = [
    ("{", 400, "malformed_json"),
    ("nonsense", 400, "malformed_json"),
    ("5", 422, "invalid_value"),
    ("{}", 422, "missing_field"),
    (interaction(extra=1), 422, "unknown_field"),
    (interaction(project="no-such"), 404, "project_not_found"),
    (interaction(messages=[]), 422, "no_messages"),
    (interaction(labels={"k": 5}), 422, "invalid_value"),
    (interaction(feedbacks=[{"metric": "unknown", "value": 1}]), 404, "metric_not_found"),
    (interaction(created_at="now + 2 days"), 422, "future_time"),
    (interaction(completion_id="x"), 422, "invalid_value"),
]


@pytest.mark.parametrize(("bad", "status", "code"), BAD_LINES, ids=[code for *_, code in BAD_LINES])
def test_one_bad_line_hurts_no_other(http: httpx.Client, project: str, texts: Any, bad: Any, status: int, code: str):
    raw = [json.dumps(interaction(completion="one")), bad if isinstance(bad, str) else json.dumps(bad)]
    raw.append(json.dumps(interaction(completion="two")))
    answer = http.post(
        "/api/v1/interactions/batch", params={"project": project}, content="\n".join(raw), headers=NDJSON
    )
    first, second, third = results(answer)
    assert (first["status"], third["status"]) == (201, 201)
    assert (second["line"], second["status"], second["error"]["code"]) == (2, status, code)
    assert set(second) == {"line", "status", "error"}
    assert second["error"]["message"]
    assert texts() == ["one", "two"]


def test_a_line_that_only_the_store_can_refuse_hurts_no_other(send: Any, texts: Any):
    taken = str(uuid4())
    send([interaction(completion="taken", completion_id=taken)])
    lines = [interaction(completion=f"{n:03}") for n in range(150)]
    for n in (0, 63, 64, 120):
        lines[n]["completion_id"] = taken
    answered = send(lines)
    for n, one in enumerate(answered):
        if n in (0, 63, 64, 120):
            assert (one["status"], one["error"]["code"]) == (409, "completion_exists"), n
        else:
            assert one["status"] == 201, n
    assert texts() == [f"{n:03}" for n in range(150) if n not in (0, 63, 64, 120)] + ["taken"]


def test_blank_lines_are_counted_and_passed_over(http: httpx.Client, project: str):
    one = json.dumps(interaction())
    raw = f"\n{one}\n\r\n   \n{one}\r\n\n"
    answer = http.post("/api/v1/interactions/batch", params={"project": project}, content=raw, headers=NDJSON)
    assert [(line["line"], line["status"]) for line in results(answer)] == [(2, 201), (5, 201)]


@pytest.mark.parametrize(("raw", "headers"), [(b"", NDJSON), (b"\n \n", NDJSON), (b"[]", JSON), (b" [ ] ", JSON)])
def test_an_empty_batch_is_answered_with_nothing(http: httpx.Client, raw: bytes, headers: dict[str, str]):
    assert results(http.post("/api/v1/interactions/batch", content=raw, headers=headers)) == []


def test_a_batch_can_be_sent_again(send: Any, texts: Any, register: Call):
    register("CSAT")
    lines = [
        interaction(completion=f"{n:03}", completion_id=str(uuid4()), feedbacks=[{"metric": "CSAT", "value": n}])
        for n in range(120)
    ]
    first = send(lines[:70])
    assert send(lines)[:70] == first
    backwards = send(lines[::-1])[::-1]
    assert [one["feedback_ids"] for one in backwards] == [one["feedback_ids"] for one in send(lines)]
    assert texts() == [f"{n:03}" for n in range(120)]


def test_the_same_id_twice_in_a_batch_is_stored_once(send: Any, texts: Any):
    line = interaction(completion_id=str(uuid4()))
    same, again, other = send([line, line, {**line, "completion": "Other."}])
    assert {**again, "line": 1} == same
    assert (other["status"], other["error"]["code"]) == (409, "completion_exists")
    assert texts() == ["So."]


def test_a_line_may_name_a_project_of_its_own(http: httpx.Client, send: Any, show: Call, project: str):
    other = f"other-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": other}).raise_for_status()
    first, second = send([interaction(), interaction(project=other)])
    assert show(first["completion_id"])["project"] == project
    assert show(second["completion_id"])["project"] == other


# ------------------------------------------------------------------------------------------------ pieces and limits


@pytest.mark.parametrize("form", ["ndjson", "array"])
def test_a_body_in_pieces_is_read_wherever_it_is_cut(http: httpx.Client, project: str, form: str):
    lines = [interaction(completion='a ]["}{,\\ "é🙂\n'), interaction(labels={"[": "]"})]
    raw = ndjson(lines) if form == "ndjson" else json.dumps(lines, ensure_ascii=False).encode()
    expected = [(1, 201), (2, 201)]

    def cut(at: int) -> Iterator[bytes]:
        yield raw[:at]
        yield raw[at:]

    for at in range(1, len(raw)):
        answer = http.post(
            "/api/v1/interactions/batch",
            params={"project": project},
            content=cut(at),
            headers=NDJSON if form == "ndjson" else JSON,
        )
        assert [(one["line"], one["status"]) for one in results(answer)] == expected, at


def test_a_body_byte_by_byte_is_read(http: httpx.Client, project: str, texts: Any):
    raw = json.dumps([interaction(completion=str(n)) for n in range(3)]).encode()
    pieces = (raw[n : n + 1] for n in range(len(raw)))
    answer = http.post("/api/v1/interactions/batch", params={"project": project}, content=pieces, headers=JSON)
    assert [one["status"] for one in results(answer)] == [201, 201, 201]
    assert texts() == ["0", "1", "2"]


def test_an_array_that_breaks_off_keeps_the_lines_before_and_says_where(http: httpx.Client, project: str, texts: Any):
    raw = json.dumps([interaction(completion=str(n)) for n in range(3)])[:-20]
    answer = http.post("/api/v1/interactions/batch", params={"project": project}, content=raw, headers=JSON)
    *before, last = results(answer)
    assert [one["status"] for one in before] == [201, 201]
    assert (last["line"], last["status"], last["error"]["code"]) == (3, 400, "malformed_json")
    assert texts() == ["0", "1"]


@pytest.fixture(scope="module")
def small(server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that takes little."""
    running = type(server)(tmp_path_factory.mktemp("small") / "data", "--max-body", "20KB", "--max-batch-lines", "30")
    yield running
    running.stop()


@pytest.mark.parametrize("form", ["ndjson", "array"])
def test_beyond_the_most_lines_the_rest_is_refused(small, form: str):
    lines = [interaction(completion=str(n)) for n in range(33)]
    content = ndjson(lines) if form == "ndjson" else json.dumps(lines).encode()
    with small.client() as http:
        headers = NDJSON if form == "ndjson" else JSON
        answered = results(http.post("/api/v1/interactions/batch", content=content, headers=headers))
        assert [one["status"] for one in answered] == [201] * 30 + [413]
        assert (answered[-1]["line"], answered[-1]["error"]["code"]) == (31, "too_many_lines")
        answered = results(http.post("/api/v1/interactions/batch", content=ndjson(lines[:30]), headers=NDJSON))
        assert [one["status"] for one in answered] == [201] * 30


def test_beyond_the_most_bytes_a_batch_is_refused(small, refused: Call):
    lines = [interaction(completion="x" * 3_000) for _ in range(10)]

    def pieces() -> Iterator[bytes]:
        yield from (ndjson([line]) + b"\n" for line in lines)

    with small.client() as http:
        # Where the length is told beforehand, nothing of it is taken.
        answer = http.post("/api/v1/interactions/batch", content=ndjson(lines), headers=NDJSON)
        refused(answer, 413, "body_too_large")
        # Else the lines that came before it was seen are taken, and the answer says up to where.
        *before, last = results(http.post("/api/v1/interactions/batch", content=pieces(), headers=NDJSON))
        assert {one["status"] for one in before} <= {201}
        assert (last["line"], last["status"], last["error"]["code"]) == (len(before) + 1, 413, "body_too_large")
        assert len(before) <= 6


# ------------------------------------------------------------------------------------------------ feedback


@pytest.mark.parametrize("form", ["ndjson", "array"])
def test_feedback_comes_in_batches(send: Any, log: Call, show: Call, register: Call, form: str):
    register("CSAT")
    register("good", "bool")
    made = log()["completion_id"]
    mine = str(uuid4())
    answered = send(
        [
            {"completion_id": made, "metric": "CSAT", "value": 5, "feedback_id": mine},
            {"completion_id": made, "metric": "good", "value": 5},
            {"completion_id": str(uuid4()), "metric": "CSAT", "value": 5},
            {"completion_id": "chatcmpl-of-nobody", "metric": "CSAT", "value": 5},
            {"completion_id": made, "metric": "unknown", "value": 5},
            {"completion_id": made, "value": 5},
            {"completion_id": mine, "metric": "CSAT", "value": 5},
            {"completion_id": made, "metric": "good", "value": True},
            {"completion_id": made, "metric": "CSAT", "value": 5, "feedback_id": mine},
            {"completion_id": made, "metric": "CSAT", "value": 4, "feedback_id": mine},
        ],
        "feedback",
        form,
    )
    assert [one["line"] for one in answered] == list(range(1, 11))
    assert [one["status"] for one in answered] == [201, 422, 404, 422, 404, 422, 404, 201, 201, 409]
    assert answered[0] == {"line": 1, "status": 201, "feedback_id": mine}
    assert answered[8]["feedback_id"] == mine
    assert "This is a feedback_id" in answered[6]["error"]["hint"]
    assert {one["feedback_id"] for one in show(made)["feedback"]} == {mine, answered[7]["feedback_id"]}


def test_feedback_may_follow_its_interactions_at_once(send: Any, show: Call, register: Call):
    register("CSAT")
    ids = [str(uuid4()) for _ in range(150)]
    send([interaction(completion_id=one) for one in ids])
    lines = [{"completion_id": one, "metric": "CSAT", "value": n} for n, one in enumerate(ids)]
    assert {one["status"] for one in send(lines, "feedback")} == {201}
    assert [show(ids[n])["feedback"][0]["value"] for n in (0, 149)] == [0.0, 149.0]


@pytest.mark.parametrize("form", ["ndjson", "array"])
def test_preferences_come_in_batches(send: Any, log: Call, show: Call, register: Call, texts: Any, form: str):
    register("quality")
    one, two = log(completion="one")["completion_id"], log(completion="two")["completion_id"]
    mine = str(uuid4())
    pair = {"metric": "quality", "preferred_completion": one, "other_completion": two}
    texts_pair = {**pair, "preferred_completion": {"text": "three"}, "other_completion": {"text": "four"}}
    messages = [{"role": "user", "content": "Why?"}]
    answered = send(
        [
            {**pair, "comparison_id": mine},
            {**pair, "other_completion": one},
            {**pair, "other_completion": str(uuid4())},
            {**texts_pair, "messages": messages},
            texts_pair,
            {**pair, "comparison_id": mine},
            {**pair, "tied": "bad", "comparison_id": mine},
        ],
        "preferences",
        form,
    )
    assert [line["status"] for line in answered] == [201, 422, 404, 201, 422, 201, 409]
    assert answered[0] == {"line": 1, "status": 201, "comparison_id": mine}
    assert [len(show(each)["preferences"]) for each in (one, two)] == [1, 1]
    assert texts() == ["four", "one", "three", "two"]
