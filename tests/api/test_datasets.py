"""Datasets: every shape of a line, whole uploads and uploads in parts, downloads, and datasets made of interactions."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

Call = Callable[..., dict[str, Any]]
ASKED = [{"role": "user", "content": "Why is the sky blue?"}]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
URI = "data:image/png;base64," + base64.b64encode(PNG).decode()


def jsonl(*lines: Any) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.fixture
def upload(http: httpx.Client, project: str) -> Call:
    """Upload lines, or bytes, to the test's project; return the answer."""

    def uploaded(*lines: Any, key: str | None = None, status: int = 201, **query: Any) -> Any:
        content = lines[0] if lines and isinstance(lines[0], bytes) else jsonl(*lines)
        query = {"project": project, "key": key or f"set-{uuid4().hex[:8]}", **query}
        answer = http.post("/api/v1/datasets", params=query, content=content)
        assert answer.status_code == status, answer.text
        return answer if status != 201 else answer.json()

    return uploaded


@pytest.fixture
def lines(http: httpx.Client) -> Callable[..., list[dict[str, Any]]]:
    """Download the lines of a dataset."""

    def downloaded(dataset: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
        answer = http.get(dataset["download_url"], params=query)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/jsonl"
        return [json.loads(line) for line in answer.text.splitlines()]

    return downloaded


# ------------------------------------------------------------------------------------------------ shapes


@pytest.mark.parametrize(
    ("line", "kind", "shown"),
    [
        ({"messages": ASKED}, "prompt", {"messages": ASKED}),
        ({"input": ASKED}, "prompt", {"messages": ASKED}),
        ({"prompt": "Why?"}, "prompt", {"messages": [{"role": "user", "content": "Why?"}]}),
        (
            {"prompt": [["system", "Be brief."], ["user", "Why?"]], "completion": ["assistant", "So."]},
            "completion",
            {
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
                "completion": "So.",
            },
        ),
        ({"input": ASKED, "completion": "So."}, "completion", {"messages": ASKED, "completion": "So."}),
        (
            {"messages": ASKED, "completion": {"role": "assistant", "content": "So."}, "feedbacks": None},
            "completion",
            {"messages": ASKED, "completion": "So."},
        ),
        (
            {"messages": ASKED, "completion": {"content": None, "tool_calls": [{"id": "a"}]}},
            "completion",
            {"messages": ASKED, "completion": {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]}},
        ),
        (
            {"input": ASKED, "completion": "So.", "feedbacks": {"ok": True, "score": 0.5, "none": None}},
            "feedback",
            {"messages": ASKED, "completion": "So.", "feedbacks": {"ok": True, "score": 0.5}},
        ),
        (
            {"input": ASKED, "preferred_completion": "A", "other_completion": ["assistant", "B"], "feedback_key": "k"},
            "preference",
            {"messages": ASKED, "preferred_completion": "A", "other_completion": "B", "feedback_key": "k"},
        ),
        (
            {"messages": ASKED, "labels": [["a", "1"], {"key": "b", "value": 2}], "metadata": {"x": [1]}, "more": 1},
            "prompt",
            {"messages": ASKED, "labels": {"a": "1", "b": "2"}, "metadata": {"x": [1]}},
        ),
        (
            {"messages": [{"role": "document", "content": "Text."}, *ASKED], "labels": {"a": "1"}},
            "prompt",
            {"messages": [{"role": "document", "content": "Text."}, *ASKED], "labels": {"a": "1"}},
        ),
    ],
)
def test_every_shape_of_a_line_is_read(upload: Call, lines: Any, line: Any, kind: str, shown: Any):
    made = upload(line)
    assert (made["kind"], made["lines"], made["status"], made["source"]) == (kind, 1, "ready", "uploaded")
    assert lines(made) == [shown]
    assert lines(made, format="original") == [line]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "url": URI},
        {"type": "image_url", "image_url": URI},
        {"type": "image_url", "image_url": {"url": URI}},
    ],
)
def test_images_come_in_every_form_and_leave_in_one(upload: Call, lines: Any, part: Any):
    made = upload({"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, part]}]})
    [line] = lines(made)
    assert line["messages"][0]["content"] == [{"type": "text", "text": "What?"}, {"type": "image", "url": URI}]


def test_the_original_is_given_back_byte_for_byte(upload: Call, http: httpx.Client):
    raw = b'\xef\xbb\xbf{"prompt": "a"}\r\n\r\n  \n{ "prompt":"b", "completion": null }\n{"prompt": "\xc3\xa9"}'
    made = upload(raw)
    assert (made["lines"], made["size"], made["kind"]) == (3, len(raw), "prompt")
    answer = http.get(made["download_url"], params={"format": "original"})
    assert answer.content == raw
    assert answer.headers["content-length"] == str(len(raw))
    texts = [line["messages"][0]["content"] for line in map(json.loads, http.get(made["download_url"]).text.split())]
    assert texts == ["a", "b", "é"]


def test_the_kind_is_what_all_lines_have(upload: Call):
    full = {"messages": ASKED, "completion": "So.", "feedbacks": {"ok": True}}
    pair = {"messages": ASKED, "preferred_completion": "A", "other_completion": "B", "feedback_key": "ok"}
    assert upload(full, full)["kind"] == "feedback"
    assert upload(full, {"messages": ASKED, "completion": "So."})["kind"] == "completion"
    assert upload(full, {"messages": ASKED})["kind"] == "prompt"
    assert upload(pair, pair)["kind"] == "preference"
    assert upload(pair, full)["kind"] == "prompt"


def test_feedback_keys_are_registered_with_the_kind_of_their_values(upload: Call, http: httpx.Client, project: str):
    line = {"messages": ASKED, "completion": "So."}
    pair = {"messages": ASKED, "preferred_completion": "A", "other_completion": "B", "feedback_key": "better"}
    made = upload(
        {**line, "feedbacks": {"yes": True, "mixed": True, "number": 1}},
        {**line, "feedbacks": {"yes": False, "mixed": 0.5}},
        pair,
    )
    assert made["metrics"] == [
        {"metric": "better", "values": 0, "preferences": 1},
        {"metric": "mixed", "values": 2, "preferences": 0},
        {"metric": "number", "values": 1, "preferences": 0},
        {"metric": "yes", "values": 2, "preferences": 0},
    ]
    metrics = http.get("/api/v1/metrics", params={"project": project}).json()["metrics"]
    assert {one["key"]: one["kind"] for one in metrics} == {
        "better": "scalar", "mixed": "scalar", "number": "scalar", "yes": "bool",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "param", "says"),
    [
        (b"{", None, "not JSON"),
        (b"[1]", None, "a list, but must be an object"),
        (b'{"completion": "a"}', "messages", "no prompt"),
        (b'{"messages": []}', "messages", "a message at least"),
        (b'{"messages": [{"content": "a"}]}', "messages[0].role", "None"),
        (b'{"messages": [{"role": "user", "content": 5}]}', "messages[0].content", "int"),
        (b'{"prompt": ["a"]}', "prompt[0]", "'a'"),
        (b'{"prompt": "a", "completion": 5}', "completion", "5"),
        (b'{"prompt": "a", "feedbacks": [1]}', "feedbacks", "an object of keys"),
        (b'{"prompt": "a", "feedbacks": {"k": "5"}}', "feedbacks.k", "'5'"),
        (b'{"prompt": "a", "feedbacks": {"k": 1e400}}', None, "not JSON"),
        (b'{"prompt": "a", "feedbacks": {"latency": 5}}', "feedbacks.latency", "system metric"),
        (b'{"prompt": "a", "feedbacks": {"known": 5}}', "feedbacks.known", "is bool"),
        (b'{"prompt": "a", "feedbacks": {"a/b": 5}}', "feedbacks.a/b", "no slash"),
        (b'{"prompt": "a", "preferred_completion": "b"}', "other_completion", "no other_completion"),
        (b'{"prompt": "a", "preferred_completion": "b", "other_completion": "c"}', "feedback_key", "null"),
        (b'{"prompt": "a", "labels": ["a"]}', "labels", "'a'"),
        (b'{"prompt": "a", "labels": [["a", "1"], ["a", "2"]]}', "labels.a", "twice"),
        (b'{"prompt": "a", "metadata": 5}', "metadata", "5"),
        (
            b'{"messages": [{"role": "user", "content": [{"type": "image"}]}]}',
            "messages[0].content[0].url",
            "a data URI",
        ),
        (b'{"prompt": "\xff"}', None, "not JSON"),
        (b"[" * 100_000, None, "not JSON"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_nothing_is_kept(
    upload: Call, refused: Call, register: Call, http: httpx.Client, project: str, line: bytes, param: str, says: str
):
    register("known", kind="bool")
    start = b'{"prompt": "good", "feedbacks": {"fresh": 1}}\n\n'
    error = refused(upload(start + line + b"\n", key="k", status=422), 422, "invalid_line", param)
    assert error["message"].startswith("Line 3: ")
    assert says in error["message"]
    assert error["hint"].endswith("Nothing of the dataset was kept.")
    assert http.get("/api/v1/datasets", params={"project": project}).json() == {"datasets": []}
    metrics = http.get("/api/v1/metrics", params={"project": project}).json()["metrics"]
    assert [one["key"] for one in metrics] == ["known"]
    upload({"prompt": "a"}, key="k")


@pytest.mark.parametrize("raw", [b"", b"\n\r\n  \n"])
def test_a_dataset_has_lines(upload: Call, refused: Call, raw: bytes):
    refused(upload(raw, status=422), 422, "empty_dataset")


# ------------------------------------------------------------------------------------------------ keys, projects, roles


@pytest.mark.parametrize("key", ["hh-preference-training-200", "scaryLetter.dataset", "Ein Schlüssel"])
def test_a_dataset_is_found_by_key_and_id_until_it_is_deleted(
    upload: Call, http: httpx.Client, refused: Call, project: str, key: str
):
    made = upload({"prompt": "a"}, key=key, name="A name")
    assert (made["key"], made["name"], made["project"]) == (key, "A name", project)
    assert made["download_url"] == f"/api/v1/datasets/{made['id']}/download"
    query = {"project": project}
    assert http.get(f"/api/v1/datasets/{key}", params=query).json() == made
    assert http.get(f"/api/v1/datasets/{made['id']}").json() == made
    assert http.get(f"/api/v1/datasets/{key}/download", params=query).status_code == 200
    assert http.get("/api/v1/datasets", params=query).json() == {"datasets": [made]}
    refused(upload({"prompt": "b"}, key=key, status=409), 409, "dataset_exists", "key")
    refused(http.get(f"/api/v1/datasets/{key}"), 404, "dataset_not_found", "dataset")
    refused(http.get(f"/api/v1/datasets/{made['id']}", params={"project": "default"}), 404, "dataset_not_found")
    assert http.delete(f"/api/v1/datasets/{key}", params=query).json() == {"deleted": True}
    for path in (f"/api/v1/datasets/{key}", f"/api/v1/datasets/{made['id']}"):
        refused(http.get(path, params=query), 404, "dataset_not_found", "dataset")
    refused(http.get(made["download_url"]), 404, "dataset_not_found", "dataset")
    assert upload({"prompt": "a"}, key=key)["id"] != made["id"]


def test_key_and_name_follow_from_each_other(upload: Call, refused: Call, http: httpx.Client, project: str):
    assert upload({"prompt": "a"}, key="one")["name"] == "one"
    path = "/api/v1/datasets"
    made = http.post(path, params={"project": project, "name": "Two: of them!"}, content=b'{"prompt": "a"}').json()
    assert (made["key"], made["name"]) == ("Two-of-them", "Two: of them!")
    refused(http.post(path, params={"project": project}, content=b'{"prompt": "a"}'), 422, "missing_field", "key")
    refused(upload({"prompt": "a"}, key="a/b", status=422), 422, "invalid_key", "key")
    refused(upload({"prompt": "a"}, key="k", project="nowhere", status=404), 404, "project_not_found", "project")


def test_viewers_read_members_create_and_others_do_neither(
    server: Any, http: httpx.Client, upload: Call, refused: Call, project: str
):
    made = upload({"prompt": "a"}, key="k")
    query = {"project": project}
    for role, reads, creates in (("viewer", True, False), ("member", True, True), ("ingest", False, False)):
        body = {"name": role, "role": role, "projects": [project]}
        with server.client(http.post("/api/v1/keys", json=body).json()["api_key"]) as client:
            for path in ("/api/v1/datasets", "/api/v1/datasets/k", made["download_url"]):
                assert client.get(path, params=query).status_code == (200 if reads else 403), (role, path)
            new = client.post("/api/v1/datasets", params={"key": role, **query}, content=b'{"prompt": "a"}')
            assert new.status_code == (201 if creates else 403)
            body = {"kind": "prompt", "key": f"{role}-2", **query}
            assert client.post("/api/v1/datasets/from-interactions", json=body).status_code == (422 if creates else 403)
            begun = client.post("/api/v1/upload/init", json={"total_parts_count": 1})
            assert begun.status_code == (201 if creates else 403)
            assert client.delete(f"/api/v1/datasets/{role}", params=query).status_code == (200 if creates else 403)
    body = {"name": "elsewhere", "role": "admin", "projects": ["default"]}
    with server.client(http.post("/api/v1/keys", json=body).json()["api_key"]) as client:
        for path in (f"/api/v1/datasets/{made['id']}", made["download_url"]):
            refused(client.get(path), 404, "dataset_not_found")
        refused(client.delete(f"/api/v1/datasets/{made['id']}"), 404, "dataset_not_found")
        refused(client.get("/api/v1/datasets", params=query), 404, "project_not_found")


# ------------------------------------------------------------------------------------------------ in parts


@pytest.fixture
def begin(http: httpx.Client) -> Callable[[int], str]:
    """Begin an upload in so many parts; return its session_id."""

    def begun(parts: int, **more: Any) -> str:
        body = {"total_parts_count": parts, "content_type": "application/jsonl", "metadata": None, **more}
        answer = http.post("/api/v1/upload/init", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["session_id"]

    return begun


def send(http: httpx.Client, session_id: str, number: int, content: bytes) -> httpx.Response:
    query = {"session_id": session_id, "part_number": number}
    return http.post("/api/v1/upload/part", params=query, content=content)


def test_parts_cut_anywhere_and_in_any_order_become_the_file(
    http: httpx.Client, begin: Any, project: str, refused: Call
):
    raw = jsonl(*({"prompt": f"Ünïcode {n}", "completion": "x" * 300} for n in range(5000)))[:-1]
    third = len(raw) // 3 + 1
    parts = [raw[:third], raw[third : 2 * third], raw[2 * third :]]
    session = begin(3)
    send(http, session, 2, b"another").raise_for_status()
    send(http, session, 3, parts[2]).raise_for_status()
    assert send(http, session, 2, parts[1]).json() == {"part_number": 2, "size": third}
    status = http.post("/api/v1/upload/status", params={"session_id": session}).json()
    assert status == {"completed_parts": [2, 3], "total_parts_count": 3}
    body = {"session_id": session, "key": "parts", "project": project}
    error = refused(http.post("/api/v1/datasets/from-upload", json=body), 422, "parts_missing", "session_id")
    assert "1 of 3 parts are missing: 1." in error["message"]
    send(http, session, 1, parts[0]).raise_for_status()
    answer = http.post("/api/v1/datasets/from-upload", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["lines"], made["size"], made["kind"], made["status"]) == (5000, len(raw), "completion", "ready")
    assert http.get(made["download_url"], params={"format": "original"}).content == raw
    # Clients abort after whatever failed: the dataset stays.
    for path in ("upload/status", "upload/part"):
        query = {"session_id": session} | ({"part_number": 1} if path == "upload/part" else {})
        refused(http.post(f"/api/v1/{path}", params=query), 404, "upload_not_found", "session_id")
    refused(http.request("DELETE", "/api/v1/upload/abort", json={"session_id": session}), 404, "upload_not_found")
    assert http.get(f"/api/v1/datasets/{made['id']}").json() == made


def test_a_bad_line_leaves_the_upload_so_that_a_part_can_be_sent_again(
    http: httpx.Client, begin: Any, project: str, refused: Call
):
    session = begin(2)
    send(http, session, 1, b'{"prompt": "a"}\n')
    send(http, session, 2, b'{"prompt": 5}\n')
    body = {"session_id": session, "key": "again", "project": project}
    error = refused(http.post("/api/v1/datasets/from-upload", json=body), 422, "invalid_line", "prompt")
    assert error["message"].startswith("Line 2: ")
    send(http, session, 2, b'{"prompt": "b"}\n')
    assert http.post("/api/v1/datasets/from-upload", json=body).json()["lines"] == 2


def test_an_aborted_upload_is_gone_and_unknown_ones_are_refused(http: httpx.Client, begin: Any, refused: Call):
    session = begin(1)
    send(http, session, 1, b"x")
    abort = {"method": "DELETE", "url": "/api/v1/upload/abort", "json": {"session_id": session}}
    assert http.request(**abort).json() == {"deleted": True}
    refused(http.request(**abort), 404, "upload_not_found", "session_id")
    refused(send(http, session, 1, b"x"), 404, "upload_not_found", "session_id")
    refused(send(http, "nonsense", 1, b"x"), 404, "upload_not_found", "session_id")
    session = begin(1)
    for number in (0, 2):
        refused(send(http, session, number, b"x"), 422, "invalid_part_number", "part_number")
    for parts in (0, 10_001):
        refused(http.post("/api/v1/upload/init", json={"total_parts_count": parts}), 422, None, "total_parts_count")


def test_an_upload_is_its_own_keys(server: Any, http: httpx.Client, begin: Any, refused: Call):
    session = begin(1)
    key = http.post("/api/v1/keys", json={"name": "another", "role": "member"}).json()["api_key"]
    with server.client(key) as client:
        refused(send(client, session, 1, b"x"), 404, "upload_not_found", "session_id")


def test_uploads_and_datasets_are_bounded(new_server: Any, refused: Call):
    running = new_server(AFTERWORD_MAX_DATASET="2000", AFTERWORD_MAX_UPLOADS="2", AFTERWORD_MAX_BODY="1024")
    with running.client() as http:
        path = "/api/v1/datasets?key=k"
        refused(http.post(path, content=jsonl({"prompt": "a"}) * 200), 413, "dataset_too_large")
        refused(http.post(path, content=jsonl({"prompt": "a" * 1500})), 413, "line_too_large")
        begin = {"total_parts_count": 2}
        sessions = [http.post("/api/v1/upload/init", json=begin).json()["session_id"] for _ in range(2)]
        refused(http.post("/api/v1/upload/init", json=begin), 409, "too_many_uploads")
        assert send(http, sessions[0], 1, b"x" * 1500).status_code == 200
        assert send(http, sessions[0], 1, b"x" * 1900).status_code == 200
        refused(send(http, sessions[0], 2, b"x" * 101), 413, "dataset_too_large")
        http.request("DELETE", "/api/v1/upload/abort", json={"session_id": sessions[0]}).raise_for_status()
        assert http.post("/api/v1/upload/init", json=begin).status_code == 201
        assert http.get("/api/v1/datasets").json() == {"datasets": []}


# ------------------------------------------------------------------------------------------------ large ones, crashes


def test_a_large_dataset_passes_through_little_memory(new_server: Any):
    running = new_server()
    line = json.dumps({"messages": ASKED, "completion": "Because air scatters short waves. " * 28}).encode() + b"\n"
    block = line * 1000
    process = psutil.Process(running.process.pid)

    def memory() -> int:
        return process.memory_info().rss >> 20

    with running.client() as http:
        http.post("/api/v1/datasets?key=warm", content=block * 10).raise_for_status()
        before = memory()
        highest = before

        def blocks() -> Iterator[bytes]:
            nonlocal highest
            for _ in range(200):
                yield block
                highest = max(highest, memory())

        made = http.post("/api/v1/datasets?key=large", content=blocks(), timeout=300).raise_for_status().json()
        assert (made["lines"], made["size"]) == (200_000, 200 * len(block))
        assert made["size"] > 190_000_000
        size = 0
        with http.stream("GET", made["download_url"]) as answer:
            for chunk in answer.iter_raw():
                size += len(chunk)
        highest = max(highest, memory())
        assert size == made["size"] - 200_000 * 4  # The spaces that json.dumps puts in.
    assert highest - before < 60


def test_a_kill_in_the_middle_leaves_no_half_dataset(new_server: Any):
    running = new_server()
    block = jsonl({"prompt": "a" * 1000, "feedbacks": {"fresh": 1}}) * 2000

    def blocks() -> Iterator[bytes]:
        yield block
        yield block
        with running.client() as other:
            while not other.get("/api/v1/datasets").json()["datasets"]:
                pass
            assert other.get("/api/v1/datasets/k").json()["status"] == "pending"
            assert other.get("/api/v1/datasets/k/download").status_code == 409
        running.kill()
        yield block

    with running.client() as http, pytest.raises(httpx.TransportError):
        http.post("/api/v1/datasets?key=k", content=blocks())
    running.start()
    with running.client() as http:
        assert http.get("/api/v1/datasets").json() == {"datasets": []}
        assert http.get("/api/v1/metrics").json() == {"metrics": []}
        made = http.post("/api/v1/datasets?key=k", content=jsonl({"prompt": "b"})).json()
        assert http.get(made["download_url"]).text == '{"messages":[{"role":"user","content":"b"}]}\n'


def test_a_caller_who_hangs_up_leaves_nothing(http: httpx.Client, project: str):
    def blocks() -> Iterator[bytes]:
        yield jsonl({"prompt": "a"}) * 50_000
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        http.post("/api/v1/datasets", params={"key": "k", "project": project}, content=blocks())
    while http.get("/api/v1/datasets", params={"project": project}).json()["datasets"]:
        pass


# ------------------------------------------------------------------------------------------------ of interactions


@pytest.fixture
def choose(http: httpx.Client, project: str) -> Call:
    """Make a dataset of the interactions of the test's project; return the answer."""

    def chosen(status: int = 201, **body: Any) -> Any:
        body = {"project": project, "key": f"set-{uuid4().hex[:8]}", **body}
        answer = http.post("/api/v1/datasets/from-interactions", json=body)
        assert answer.status_code == status, answer.text
        return answer if status != 201 else answer.json()

    return chosen


def test_a_dataset_is_made_of_interactions_by_filter_ids_and_exclusion(log: Call, choose: Call, lines: Any):
    ids = [
        log(completion=f"Answer {n}", labels={"half": str(n % 2)}, model="m", created_at=f"2026-01-01T00:00:0{n}Z")[
            "completion_id"
        ]
        for n in range(4)
    ]
    whole = choose(kind="completion")
    assert (whole["source"], whole["kind"], whole["lines"]) == ("filtered", "completion", 4)
    assert [line["completion"] for line in lines(whole)] == ["Answer 3", "Answer 2", "Answer 1", "Answer 0"]
    assert lines(whole)[3] == {
        "messages": [{"role": "user", "content": "Why?"}],
        "completion": "Answer 0",
        "labels": {"half": "0"},
        "metadata": {"completion_id": ids[0], "model": "m"},
    }
    assert lines(whole) == lines(whole, format="original")
    prompts = choose(kind="prompt", filter={"label": {"key": "half", "value": {"eq": "1"}}}, exclude=[ids[3]])
    assert prompts["kind"] == "prompt"
    assert [(line["metadata"]["completion_id"], "completion" in line) for line in lines(prompts)] == [(ids[1], False)]
    some = choose(kind="completion", completion_ids=[ids[0], ids[2], ids[3]], exclude=[ids[3].upper()])
    assert {line["completion"] for line in lines(some)} == {"Answer 0", "Answer 2"}


def test_a_sample_is_the_last_ones_or_some_by_chance(log: Call, choose: Call, lines: Any, refused: Call):
    for n in range(12):
        log(completion=str(n), created_at=f"2026-01-01T00:00:{n:02}Z")
    last = choose(kind="completion", sample={"type": "last", "size": 3})
    assert [line["completion"] for line in lines(last)] == ["11", "10", "9"]
    samples = {
        frozenset(line["completion"] for line in lines(choose(kind="completion", sample={"type": "random", "size": 5})))
        for _ in range(4)
    }
    assert all(len(sample) == 5 for sample in samples)
    assert len(samples) > 1
    assert choose(kind="completion", sample={"type": "random", "size": 100})["lines"] == 12
    refused(choose(kind="prompt", sample={"type": "last"}, status=422), 422, "missing_field", "sample.size")


def test_feedback_lines_have_the_newest_value_of_each_metric_that_counts(
    log: Call, http: httpx.Client, choose: Call, register: Call, lines: Any, refused: Call
):
    register("ok", kind="bool")
    register("CSAT")
    first, second, _ = (log(completion=text)["completion_id"] for text in ("A", "B", "unrated"))
    for completion_id, metric, value in (
        (first, "ok", True), (first, "CSAT", 2), (first, "CSAT", 4.5), (second, "ok", False),
    ):  # fmt: skip
        body = {"completion_id": completion_id, "metric": metric, "value": value}
        http.post("/api/v1/feedback", json=body).raise_for_status()
    made = choose(kind="feedback")
    assert made["kind"] == "feedback"
    assert {line["completion"]: line["feedbacks"] for line in lines(made)} == {
        "A": {"ok": True, "CSAT": 4.5}, "B": {"ok": False},
    }  # fmt: skip
    assert made["metrics"] == [
        {"metric": "CSAT", "values": 1, "preferences": 0},
        {"metric": "ok", "values": 2, "preferences": 0},
    ]
    only = choose(kind="feedback", metrics=["CSAT"])
    assert [line["feedbacks"] for line in lines(only)] == [{"CSAT": 4.5}]
    refused(choose(kind="feedback", metrics=["no"], status=404), 404, "metric_not_found", "metrics[0]")
    refused(choose(kind="preference", status=422), 422, "empty_dataset")


@pytest.mark.parametrize("sample", [{"type": "all"}, {"type": "random", "size": 9}, {"type": "last", "size": 9}])
def test_preference_lines_have_both_sides_without_ties_and_different_prompts(
    log: Call, http: httpx.Client, choose: Call, register: Call, lines: Any, sample: Any
):
    register("better")
    good, bad, other = (
        log(completion=text, messages=[{"role": "user", "content": prompt}])["completion_id"]
        for text, prompt in (("good", "Why?"), ("bad", "Why?"), ("other", "How?"))
    )
    for preferred, dispreferred, more in ((good, bad, {}), (good, bad, {"tied": "good"}), (good, other, {})):
        body = {"metric": "better", "preferred_completion": preferred, "other_completion": dispreferred, **more}
        http.post("/api/v1/preferences", json=body).raise_for_status()
    made = choose(kind="preference", sample=sample)
    assert (made["kind"], made["lines"]) == ("preference", 1)
    assert made["metrics"] == [{"metric": "better", "values": 0, "preferences": 1}]
    [line] = lines(made)
    assert (line["preferred_completion"], line["other_completion"], line["feedback_key"]) == ("good", "bad", "better")
    assert line["messages"] == [{"role": "user", "content": "Why?"}]
    assert (line["metadata"]["completion_id"], line["metadata"]["other_completion_id"]) == (good, bad)


def test_images_of_interactions_stand_in_the_lines_as_they_were_sent(log: Call, choose: Call, lines: Any):
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": URI}}]
    log(messages=[{"role": "user", "content": parts}])
    [line] = lines(choose(kind="prompt"))
    assert line["messages"][0]["content"] == [{"type": "text", "text": "What?"}, {"type": "image", "url": URI}]


def test_failed_calls_stay_out_unless_the_filter_speaks_of_state(gateway: Any, choose: Call, lines: Any):
    assert gateway.ask(gateway.model()).status_code == 200
    assert gateway.ask(gateway.model("500")).status_code >= 500
    assert choose(kind="completion")["lines"] == 1
    failed = choose(kind="prompt", filter={"state": {"in": ["failed"]}})
    assert [line["messages"] for line in lines(failed)] == [[{"role": "user", "content": "Hello there"}]]


def test_errors_in_the_choice_name_its_place(choose: Call, refused: Call):
    refused(choose(kind="prompt", filter={"label": {}}, status=422), 422, None, "filter.label.key")
    refused(choose(kind="prompt", filter={}, status=422), 422, "empty_condition", "filter")
    refused(choose(kind="prompt", completion_ids=["x"], status=422), 422, "invalid_id", "completion_ids.in")
    refused(choose(kind="story", status=422), 422, None, "kind")
    refused(choose(kind="prompt", status=422), 422, "empty_dataset")
