"""Datasets: every shape of lines, whole files and parts, and out again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

HI = [{"role": "user", "content": "Hi"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
}
Upload = Callable[..., httpx.Response]


def file_of(*lines: Any) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.fixture
def upload(http: httpx.Client, project: str) -> Upload:
    """Upload a file as a dataset of the test's project."""

    def sent(content: bytes, key: str = "lines", **more: Any) -> httpx.Response:
        return http.post("/api/v1/datasets", params={"project": project, "key": key, **more}, content=content)

    return sent


@pytest.fixture
def download(http: httpx.Client, project: str) -> Callable[..., bytes]:
    """Download a dataset."""

    def got(key: str = "lines", **query: str) -> bytes:
        query = {"project": project, **query}
        return http.get(f"/api/v1/datasets/{key}/download", params=query).raise_for_status().content

    return got


# ------------------------------------------------------------------------------------------------ shapes

SHAPES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "messages": ({"messages": HI}, "prompt", {"messages": HI}),
    "input": ({"input": HI, "metadata": {"a": 1}}, "prompt", {"messages": HI, "metadata": {"a": 1}}),
    "pairs": ({"prompt": [["user", "Hi"]], "completion": ["assistant", "Ho"]}, "completion",
              {"messages": HI, "completion": "Ho"}),
    "a text": ({"prompt": "Hi", "completion": "Ho"}, "completion", {"messages": HI, "completion": "Ho"}),
    "a document": ({"messages": [{"role": "document", "content": "D"}, *HI], "completion": "Ho"}, "completion",
                   {"messages": [{"role": "document", "content": "D"}, *HI], "completion": "Ho"}),
    "feedbacks": ({"input": HI, "completion": "Ho", "feedbacks": {"good": True, "stars": 4.5}}, "feedback",
                  {"messages": HI, "completion": "Ho", "feedbacks": {"good": True, "stars": 4.5}}),
    "a preference": ({"input": HI, "preferred_completion": "A", "other_completion": "B", "feedback_key": "better"},
                     "preference", {"messages": HI, "preferred_completion": "A", "other_completion": "B",
                                    "feedback_key": "better"}),
    "a tool call": ({"messages": HI, "completion": CALL, "tools": TOOLS, "parallel_tool_calls": False}, "completion",
                    {"messages": HI, "completion": CALL, "tools": TOOLS, "parallel_tool_calls": False}),
    "messages that are texts": ({"messages": HI, "completion": [{"role": "assistant", "content": "Ho"}]}, "completion",
                                {"messages": HI, "completion": "Ho"}),
    "a refusal": ({"messages": HI, "completion": {"refusal": "No."}}, "completion",
                  {"messages": HI, "completion": {"role": "assistant", "refusal": "No."}}),
    "a preference of messages": ({"messages": HI, "preferred_completion": CALL, "other_completion": [CALL, CALL],
                                  "feedback_key": "better"}, "preference",
                                 {"messages": HI, "preferred_completion": [CALL], "other_completion": [CALL, CALL],
                                  "feedback_key": "better"}),
    "labels": ({"messages": HI, "labels": [{"key": "a", "value": "b"}]}, "prompt",
               {"messages": HI, "labels": {"a": "b"}}),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_line_is_read_in_every_shape_and_given_out_in_one(upload: Upload, download: Any, shape: str):
    line, kind, normal = SHAPES[shape]
    content = file_of(line, line).rstrip(b"\n").replace(b"\n", b"\r\n\n")
    made = upload(content)
    assert made.status_code == 201, made.text
    assert (made.json()["kind"], made.json()["lines"], made.json()["size"]) == (kind, 2, len(content))
    assert download(format="original") == content
    assert [json.loads(one) for one in download().splitlines()] == [normal, normal]


def test_the_kind_is_what_all_lines_have(upload: Upload, refused: Any):
    assert upload(file_of({"messages": HI, "completion": "Ho"}, {"messages": HI})).json()["kind"] == "prompt"
    preference = SHAPES["a preference"][0]
    refused(upload(file_of(preference, {"messages": HI}), "mixed"), 422, "mixed_dataset")


def test_feedback_keys_are_registered_by_what_is_given_under_them(
    upload: Upload, http: Any, project: str, refused: Any
):
    lines = [{"input": HI, "completion": "Ho", "feedbacks": {"good": value, "stars": value}} for value in (True, False)]
    lines[1]["feedbacks"]["stars"] = 3
    used = upload(file_of(*lines, SHAPES["a text"][0])).json()
    counts = {one["metric"]: (one["values"], one["preferences"]) for one in used["metrics"]}
    assert (used["kind"], counts) == ("completion", {"good": (2, 0), "stars": (2, 0)})
    kinds = {
        one["key"]: one["kind"] for one in http.get("/api/v1/metrics", params={"project": project}).json()["metrics"]
    }
    assert kinds == {"good": "bool", "stars": "scalar"}
    preference = SHAPES["a preference"][0]
    assert upload(file_of(preference), "pairs").json()["metrics"] == [
        {"metric": "better", "values": 0, "preferences": 1}
    ]
    numbers = [{"input": HI, "completion": "Ho", "feedbacks": {"good": value}} for value in (1, 0.0)]
    assert upload(file_of(*numbers), "numbers").status_code == 201
    wrong = {"input": HI, "completion": "Ho", "feedbacks": {"good": 7}}
    refused(upload(file_of(wrong), "wrong"), 422, "invalid_value")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "must be an object"),
        (b'{"completion": "x"}', "no messages"),
        (b'{"messages": [{"content": "x"}]}', "messages[0]"),
        (b'{"messages": "Hi", "completion": 7}', "completion must be"),
        (b'{"messages": "Hi", "completion": "Ho", "feedbacks": {"a": "b"}}', "feedbacks.a"),
        (b'{"messages": "Hi", "preferred_completion": "A"}', "other_completion"),
        (b'{"messages": "Hi", "labels": {"a": 1}}', "labels"),
        (b'{"messages": "Hi", "metadata": 1}', "metadata"),
        (b'{"messages": "Hi", "completion": {"role": "assistant", "content": null}}', "completion must be"),
        (b'{"messages": "Hi", "completion": {"content": 7}}', "completion has content"),
        (b'{"messages": "Hi", "completion": []}', "completion is an empty list"),
        (b'{"messages": "Hi", "preferred_completion": "A", "other_completion": [7], "feedback_key": "k"}', "other_com"),
        (b'{"messages": "Hi", "tools": {}}', "tools must be"),
        (b'{"messages": "Hi", "parallel_tool_calls": 1}', "parallel_tool_calls must be"),
    ],
)
def test_a_line_that_cannot_be_read_refuses_the_file_and_keeps_nothing(
    upload: Upload, http: Any, project: str, refused: Any, line: bytes, words: str
):
    error = refused(upload(file_of({"messages": HI}) + b"\n" + line + b"\n"), 422, "invalid_line", "line 3")
    assert words in error["message"]
    assert http.get("/api/v1/datasets", params={"project": project}).json()["datasets"] == []


# ------------------------------------------------------------------------------------------------ files


def test_datasets_are_listed_shown_and_deleted(upload: Upload, http: Any, project: str, refused: Any):
    keys = ["hh-preference-training-200", "scaryLetter.dataset"]
    made = [upload(file_of({"messages": HI}), key, name=f"The {key}").json() for key in keys]
    query = {"project": project}
    assert http.get("/api/v1/datasets", params=query).json()["datasets"] == made[::-1]
    for name in (keys[1], made[1]["id"]):
        assert http.get(f"/api/v1/datasets/{name}", params=query).json() == made[1]
    assert made[1]["name"] == "The scaryLetter.dataset"
    refused(upload(file_of({"messages": HI}), keys[0]), 409, "dataset_exists", "key")
    assert http.delete(f"/api/v1/datasets/{keys[0]}", params=query).json() == {"deleted": True}
    refused(http.get(f"/api/v1/datasets/{keys[0]}", params=query), 404, "dataset_not_found")
    assert upload(file_of({"messages": HI}), keys[0]).status_code == 201
    refused(upload(b"\n\n", "empty"), 422, "empty_dataset")
    refused(upload(file_of({"messages": HI}), "a/b"), 422, "invalid_key", "key")
    error = refused(upload(file_of({"messages": HI}), "", name="###"), 422, "missing_field", "key")
    assert "'###'" in error["message"]
    assert "?key=" in error["hint"]


def test_a_file_comes_in_parts(http: Any, project: str, download: Any, refused: Any):
    content = file_of(
        *({"messages": [{"role": "user", "content": "x" * 1000}], "metadata": {"n": n}} for n in range(50))
    )
    parts = [content[:20_000], content[20_000:40_000], content[40_000:]]
    unkept = {"total_parts_count": 3, "content_type": "text/\0"}
    refused(http.post("/api/v1/upload/init", json=unkept), 422, "invalid_character", "content_type")
    session = http.post("/api/v1/upload/init", json={"total_parts_count": 3, "metadata": None}).json()["session_id"]

    def send(number: int, part: bytes) -> httpx.Response:
        query = {"session_id": session, "part_number": number}
        return http.post("/api/v1/upload/part", params=query, content=part)

    assert send(3, parts[2]).raise_for_status().json()["content_type"] == ""
    send(1, b"wrong").raise_for_status()
    body = {"session_id": session, "key": "lines", "project": project}
    refused(http.post("/api/v1/datasets/from-upload", json=body), 422, "incomplete_upload")
    refused(send(4, b""), 422, "invalid_part", "part_number")
    send(1, parts[0]).raise_for_status()
    status = send(2, parts[1]).json()
    assert (status["completed_parts"], status["total_parts_count"]) == ([1, 2, 3], 3)
    made = http.post("/api/v1/datasets/from-upload", json=body)
    assert (made.status_code, made.json()["lines"]) == (201, 50)
    assert download(format="original") == content
    refused(http.request("DELETE", "/api/v1/upload/abort", json={"session_id": session}), 404, "upload_not_found")
    assert http.get("/api/v1/datasets/lines", params={"project": project}).status_code == 200
    other = http.post("/api/v1/upload/init", json={"total_parts_count": 1}).json()["session_id"]
    assert http.request("DELETE", "/api/v1/upload/abort", json={"session_id": other}).json() == {"deleted": True}
    refused(http.get("/api/v1/upload/status", params={"session_id": other}), 404)


def test_large_dataset_upload_needs_little_memory_and_half_leaves_nothing(new_server: Any):
    psutil = pytest.importorskip("psutil")
    running = new_server()
    line = file_of({"messages": [{"role": "user", "content": "x" * 100_000}]})

    def chunks(number: int) -> Any:
        for _ in range(number):
            yield line

    with running.client() as http:
        http.post("/api/v1/datasets", params={"key": "small"}, content=line).raise_for_status()
        before = psutil.Process(running.process.pid).memory_info().rss
        made = http.post("/api/v1/datasets", params={"key": "large"}, content=chunks(1000)).raise_for_status().json()
        assert (made["lines"], made["size"]) == (1000, 1000 * len(line))
        assert psutil.Process(running.process.pid).memory_info().rss - before < 60 << 20

        def broken() -> Any:
            yield from chunks(100)
            running.kill()
            yield line

        with pytest.raises(httpx.TransportError):
            http.post("/api/v1/datasets", params={"key": "half"}, content=broken())
    running.start()
    with running.client() as http:
        assert [one["key"] for one in http.get("/api/v1/datasets").json()["datasets"]] == ["large", "small"]
        # Where there may be other servers, it takes a while to see that the one which made it is no more.
        end = time.monotonic() + 60
        while (answer := http.post("/api/v1/datasets", params={"key": "half"}, content=line)).status_code == 409:
            assert running.database_url, answer.text
            assert time.monotonic() < end
            time.sleep(0.5)
        answer.raise_for_status()


def test_who_may_read_downloads_and_who_may_edit_makes(
    server: Any, http: Any, upload: Upload, project: str, refused: Any
):
    made = upload(file_of({"messages": HI})).json()
    keys = {
        name: http.post("/api/v1/keys", json={"name": name, "role": role, "projects": projects}).json()["api_key"]
        for name, role, projects in (("viewer", "viewer", [project]), ("stranger", "admin", ["default"]))
    }
    with server.client(keys["viewer"]) as viewer, server.client(keys["stranger"]) as stranger:
        assert viewer.get(made["download_url"]).status_code == 200
        refused(viewer.delete(f"/api/v1/datasets/{made['id']}"), 403)
        refused(stranger.get(made["download_url"]), 404, "dataset_not_found")
        refused(stranger.delete(f"/api/v1/datasets/{made['id']}"), 404, "dataset_not_found")


# ------------------------------------------------------------------------------------------------ files in forms

UPLOAD = """mutation($input: DatasetCreate!, $file: Upload!) {
  createDataset(input: $input, file: $file) { key records kind metricsUsage { metric { key } feedbackCount } }
}"""
FEEDBACK_LINE = {"input": HI, "completion": "Ho", "feedbacks": {"stars": 4}}


def form_of(project: str, content: bytes, **change: Any) -> dict[str, Any]:
    """Return the parts of a form as the GraphQL multipart request specification has it."""
    variables = {"input": {"useCase": project, "name": "By form", "key": "by-form"}, "file": None}
    parts: dict[str, Any] = {
        "operations": (None, json.dumps({"query": UPLOAD, "variables": variables})),
        "map": (None, json.dumps({"0": ["variables.file"]})),
        "0": ("by-form", content, "application/jsonl"),
    }
    return {name: part for name, part in (parts | change).items() if part is not None}


def test_a_file_comes_in_a_form_of_graphql(http: Any, project: str, download: Any):
    content = file_of(FEEDBACK_LINE, FEEDBACK_LINE).rstrip(b"\n")
    answer = http.post("/api/graphql", files=form_of(project, content)).json()
    assert answer["data"]["createDataset"] == {
        "key": "by-form", "records": 2, "kind": "PROMPT_COMPLETION_FEEDBACK",
        "metricsUsage": [{"metric": {"key": "stars"}, "feedbackCount": 2}],
    }  # fmt: skip
    assert download("by-form", format="original") == content


@pytest.mark.parametrize(
    "change",
    [
        {"operations": None},
        {"map": None},
        {"0": None},
        {"map": (None, "[]")},
        {"map": (None, json.dumps({"0": ["variables.input.nothing.file"]}))},
        {"map": (None, json.dumps({"0": ["query"]}))},
        {"map": (None, "{}")},
        {"0": (None, "not a file")},
    ],
    ids=str,
)
def test_a_form_that_is_no_upload_is_told_in_an_error_with_status_200(http: Any, project: str, change: Any):
    answer = http.post("/api/graphql", files=form_of(project, file_of(FEEDBACK_LINE), **change))
    assert answer.status_code == 200
    [error] = answer.json()["errors"]
    assert error["message"]
    assert "The server failed" not in error["message"]
    assert http.get("/api/v1/datasets", params={"project": project}).json()["datasets"] == []
