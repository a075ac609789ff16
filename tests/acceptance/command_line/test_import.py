"""`afterword import`."""

from __future__ import annotations

import gzip
import json
import signal
from pathlib import Path
from typing import Any

import httpx

HI = [{"role": "user", "content": "Hi"}]
PIXEL = "data:image/png;base64,iVBORw0KGgo="
ONE, TWO = "0192d3a4-5b6c-7d8e-9f00-00000000000a", "0192d3a4-5b6c-7d8e-9f00-00000000000b"


def jsonl(*lines: Any) -> str:
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)


def test_every_shape_of_line_is_imported(afterword: Any, found: Any):
    picture = {"role": "user", "content": [{"type": "text", "text": "What?"}, {"type": "image", "url": PIXEL}]}
    lines = jsonl(
        {"messages": HI, "completion": "1", "feedbacks": {"CSAT": 4, "ok": True}, "labels": {"lang": "en"}},
        {"input": HI, "completion": "2", "feedbacks": {"ok": False}, "metadata": {"turn": 2, "deep": {"a": 1}}},
        {"prompt": [["system", "Be brief."], ["user", "Hi"]], "completion": ["assistant", "3"]},
        {"messages": [*HI, {"role": "assistant", "content": "4"}], "tools": [{"type": "function"}]},
        {"messages": [picture], "completion": "5", "created_at": "2024-02-21T09:51:03Z"},
        {"messages": HI, "preferred_completion": "6", "other_completion": "7", "feedback_key": "best"},
        {"messages": HI, "completion": "8", "completion_id": ONE, "feedbacks": [{"metric": "CSAT", "value": 1}]},
        {"completion_id": ONE, "feedback_key": "CSAT", "value": 2, "details": "changed my mind"},
        {"preferred_completion": ONE, "other_completion": TWO, "feedback_key": "best", "tied": "good"},
        {"messages": HI, "completion": "9", "completion_id": TWO},
    )
    done = afterword("import", "-", "--label", "set=v1", "--model", "m1", given=lines)
    assert "9 interactions, 5 feedback, 2 preferences" in done.stdout
    there = {one["completion"]: one for one in found(images="inline")}
    assert sorted(there) == list("123456789")
    assert all(one["labels"]["set"] == "v1" and one["model"] == "m1" for one in there.values())
    assert {one["metric"]: one["value"] for one in there["1"]["feedback"]} == {"CSAT": 4.0, "ok": 1.0}
    assert there["1"]["labels"] == {"set": "v1", "lang": "en"}
    assert there["2"]["labels"] == {"set": "v1", "turn": "2"}
    assert there["2"]["parameters"] == {"metadata": {"deep": {"a": 1}}}
    assert [one["role"] for one in there["3"]["messages"]] == ["system", "user"]
    assert (there["4"]["messages"], there["4"]["parameters"]) == (HI, {"tools": [{"type": "function"}]})
    assert there["5"]["messages"][0]["content"][1] == {"type": "image_url", "image_url": PIXEL}
    assert there["5"]["created_at"].startswith("2024-02-21T09:51:03")
    [preference] = there["6"]["preferences"]
    assert preference["preferred_completion"] == there["6"]["completion_id"]
    assert preference["other_completion"] == there["7"]["completion_id"]
    assert sorted(one["value"] for one in there["8"]["feedback"]) == [1.0, 2.0]
    assert there["8"]["preferences"] == there["9"]["preferences"]
    kinds = {one["key"]: one["kind"] for one in json.loads(afterword("metrics", "list", "--json").stdout)}
    assert kinds == {"CSAT": "scalar", "ok": "bool", "best": "scalar"}


def test_importing_the_same_again_stores_nothing_twice(afterword: Any, found: Any):
    lines = jsonl(
        {"messages": HI, "completion": "1", "feedbacks": {"CSAT": 4}},
        {"messages": HI, "completion": "1", "feedbacks": {"CSAT": 4}},
        {"messages": HI, "preferred_completion": "2", "other_completion": "3", "feedback_key": "best"},
    )
    afterword("import", "-", given=lines)
    first = found()
    assert sorted(one["completion"] for one in first) == ["1", "1", "2", "3"]
    afterword("import", "-", given=lines)
    assert found() == first
    afterword("import", "-", "--label", "again=yes", given=lines)
    assert len(found()) == 8


def test_bad_lines_hurt_no_others_and_are_reported(afterword: Any, found: Any, tmp_path: Path):
    lines = jsonl(
        {"messages": HI, "completion": "good"},
        "{not json",
        {"messages": HI},
        {"messages": HI, "completion": "bad time", "created_at": "yesterday-ish"},
        {"completion_id": ONE.replace("0a", "0c"), "feedback_key": "CSAT", "value": 1},
        {"messages": HI, "completion": "good too"},
    )
    done = afterword("import", "-", "--report", "bad.jsonl", given=lines, code=1)
    assert "4 of 6 lines failed" in done.stdout
    assert "standard input:3: the line has no completion" in done.stderr
    report = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert {one["line"]: one["error"].get("code") for one in report} == {
        2: None, 3: None, 4: "invalid_time", 5: "completion_not_found",
    }  # fmt: skip
    assert next(one for one in report if one["line"] == 2)["content"] == "{not json"
    assert next(one for one in report if one["line"] == 3)["content"] == {"messages": HI}
    assert sorted(one["completion"] for one in found()) == ["good", "good too"]


def test_only_the_first_errors_are_shown(afterword: Any):
    done = afterword("import", "-", given="{\n" * 50, code=1)
    assert len(done.stderr.splitlines()) == 11
    assert "--report" in done.stderr


def test_unknown_feedback_keys_are_errors_where_none_shall_be_registered(afterword: Any, found: Any):
    line = jsonl({"messages": HI, "completion": "1", "feedbacks": {"CSAT": 4}})
    assert "CSAT" in afterword("import", "-", "--no-register", given=line, code=1).stderr
    assert found() == []


def test_a_key_with_booleans_and_numbers_is_scalar(afterword: Any, found: Any):
    lines = jsonl(*({"messages": HI, "completion": "1", "feedbacks": {"mixed": value}} for value in (True, 0.5, False)))
    afterword("import", "-", given=lines)
    assert sorted(one["feedback"][0]["value"] for one in found()) == [0.0, 0.5, 1.0]


def test_a_dry_run_needs_no_server(anywhere: Any, tmp_path: Path):
    (tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress(jsonl({"messages": HI, "completion": "1"}).encode()))
    done = anywhere("import", "lines.jsonl.gz", "--dry-run")
    assert (done.returncode, done.stdout) == (0, "Would import 1 interaction.\n")
    assert anywhere("import", "-", "--dry-run", given="{}").returncode == 1


def test_a_project_is_created_when_asked_for(
    anywhere: Any, server: Any, project: str, http: httpx.Client, one_line: Any
):
    known = {"AFTERWORD_URL": server.url, "AFTERWORD_API_KEY": server.api_key}
    line = jsonl({"messages": HI, "completion": "1"})
    arguments = ("import", "-", "--project", f"{project}-new")
    refused = anywhere(*arguments, given=line, **known)
    assert refused.returncode == 1
    one_line(refused.stderr, f"{project}-new", "--create-project")
    assert anywhere(*arguments, "--create-project", given=line, **known).returncode == 0
    assert anywhere(*arguments, "--create-project", given=line, **known).returncode == 0
    there = http.get("/api/v1/interactions", params={"project": f"{project}-new"}).json()["interactions"]
    assert len(there) == 1


def test_a_key_that_may_read_nothing_can_import(afterword: Any, anywhere: Any, server: Any, found: Any):
    key = afterword("keys", "create", "importer", "--role", "ingest").stdout.strip()
    afterword("metrics", "register", "CSAT")
    line = jsonl({"messages": HI, "completion": "1", "feedbacks": {"CSAT": 4}})
    done = anywhere("import", "-", given=line, AFTERWORD_URL=server.url, AFTERWORD_API_KEY=key)
    assert done.returncode == 0, done.stderr
    assert [one["feedback"][0]["value"] for one in found()] == [4.0]


def test_a_file_that_is_not_there_is_named_and_the_others_are_imported(afterword: Any, found: Any, tmp_path: Path):
    (tmp_path / "there.json").write_text(json.dumps([{"messages": HI, "completion": "1"}]))
    assert "nowhere.jsonl cannot be read" in afterword("import", "nowhere.jsonl", "there.json", code=1).stderr
    assert len(found()) == 1


def test_an_interrupted_import_ends_quietly(begin: Any):
    importing = begin("import", "-")
    # More than it holds: it is at work when this returns.
    importing.stdin.write(jsonl({"messages": HI, "completion": "x" * 1000}).encode() * 20_000)
    importing.stdin.flush()
    importing.send_signal(signal.SIGINT)
    _, told = importing.communicate(timeout=60)
    assert importing.returncode == 130
    assert b"Traceback" not in told
    assert b"nothing is stored twice" in told


def test_calls_that_litellm_logged_are_imported_as_its_own_route_logs_them(
    afterword: Any, http: Any, project: str, tmp_path: Path
):
    def call(number: int, **members: Any) -> dict[str, Any]:
        choices = [
            {"index": index, "finish_reason": "stop", "message": {"role": "assistant", "content": f"{number}.{index}"}}
            for index in range(2)
        ]
        return {
            "id": f"chatcmpl-litellm-{project}-{number}",
            "call_type": "completion",
            "status": "success",
            "startTime": 1796072709.468194,
            "endTime": 1796072710.25,
            "model": "gpt-4o",
            "model_parameters": {"n": 2},
            "messages": [{"role": "user", "content": "Count"}],
            "response": {"id": f"chatcmpl-litellm-{project}-{number}", "choices": choices},
            "request_tags": ["shop"],
            "metadata": {"requester_metadata": {"long": "x" * 2000}},
            **members,
        }

    sent = http.post("/api/v1/ingest/litellm", params={"project": project}, json=call(1))
    assert sent.status_code == 200
    lines = [call(1), call(2), call(3, call_type="rerank", response={"results": []})]
    path = tmp_path / "calls.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for _ in range(2):
        done = afterword("import", str(path), code=1)
        assert "rerank" in done.stdout + done.stderr
        found = http.get("/api/v1/interactions", params={"project": project, "view": "full"}).json()["interactions"]
        assert sorted(one["completion"] for one in found) == ["1.0", "1.1", "2.0", "2.1"]
    assert {one["source"] for one in found} == {"LIVE"}
    assert {tuple(one["labels"].items()) for one in found} == {(("tag.shop", "true"),)}
    assert all(one["parameters"]["labels"] == {"long": "x" * 2000} for one in found)
    again = http.post("/api/v1/ingest/litellm", params={"project": project}, json=call(2))
    assert again.status_code == 200, again.text
