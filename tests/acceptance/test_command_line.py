"""The command `afterword`, run as a person runs it, against a real server."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
HI = [{"role": "user", "content": "Hi"}]
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ONE, TWO = "0192d3a4-5b6c-7d8e-9f00-00000000000a", "0192d3a4-5b6c-7d8e-9f00-00000000000b"

Run = Callable[..., subprocess.CompletedProcess[str]]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "afterword", *arguments]


def environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AFTERWORD", "ADAPTIVE"))}
    return {**clean, "COLUMNS": "100", "NO_COLOR": "1", **more}


@pytest.fixture
def anywhere(tmp_path: Path) -> Run:
    """Run a command that knows of no server."""

    def run(*arguments: str, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(*arguments),
            input=given,
            env=environment(**more),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def afterword(anywhere: Run, server: Any, project: str) -> Run:
    """Run a command as the administrator, in the test's own project."""

    def run(*arguments: str, given: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        done = anywhere(
            "--project", project, *arguments, given=given, AFTERWORD_URL=server.url, AFTERWORD_API_KEY=server.api_key
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def found(http: httpx.Client, project: str) -> Callable[..., list[dict[str, Any]]]:
    """Return the interactions of the test's project, the oldest first."""

    def find(**query: Any) -> list[dict[str, Any]]:
        told = {"project": project, "order": "created_at", "view": "full", "limit": 500, **query}
        return http.get("/api/v1/interactions", params=told).raise_for_status().json()["interactions"]

    return find


def jsonl(*lines: Any) -> str:
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)


def one_line(text: str, *words: str) -> None:
    assert len(text.splitlines()) == 1, text
    assert [word for word in words if word not in text] == []


# ------------------------------------------------------------------------------------------------ help and errors


COMMANDS = [
    (), ("serve",), ("import",), ("export",), ("log",), ("rate",), ("health",), ("projects",), ("projects", "create"),
    ("projects", "list"), ("projects", "show"), ("projects", "archive"), ("metrics",), ("metrics", "register"),
    ("metrics", "list"), ("metrics", "update"), ("metrics", "delete"), ("keys",), ("keys", "create"),
    ("keys", "list"), ("keys", "revoke"),
]  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "afterword")
def test_every_command_has_help(anywhere: Run, path: tuple[str, ...]):
    done = anywhere(*path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout


def test_the_command_starts_without_loading_the_server():
    loaded = subprocess.run(
        [sys.executable, "-c", "import afterword.cli, sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert {"sqlalchemy", "starlette", "uvicorn", "alembic", "zstandard", "rich.table"} & set(loaded) == set()


def test_serve_without_the_servers_packages_says_so_in_one_line(tmp_path: Path):
    without = "import sys; sys.modules['uvicorn'] = None; from afterword.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", without, "serve"], capture_output=True, text=True, env=environment(), cwd=tmp_path
    )
    assert done.returncode == 2
    one_line(done.stderr, "pip install 'afterword[server]'", "uvicorn")


def test_serve_refuses_a_bad_setting_in_one_line(anywhere: Run):
    done = anywhere("serve", "--port", "http")
    assert done.returncode == 2
    one_line(done.stderr, "--port is 'http'", "whole number")
    done = anywhere("serve", AFTERWORD_MAX_BODY="huge")
    assert done.returncode == 2
    one_line(done.stderr, "AFTERWORD_MAX_BODY is 'huge'")


def test_serve_on_a_directory_in_use_says_so_in_one_line(anywhere: Run, server: Any):
    done = anywhere("serve", "--port", "0", "--data", str(server.directory))
    assert done.returncode == 1
    one_line(done.stderr, str(server.directory))


def test_without_a_server_the_error_is_one_line_with_advice(anywhere: Run):
    done = anywhere("projects", "list", "--url", "http://127.0.0.1:9", "--api-key", "aw_x")
    assert done.returncode == 1
    one_line(done.stderr, "http://127.0.0.1:9", "afterword serve")


def test_without_a_key_the_error_says_where_one_was_looked_for(anywhere: Run):
    done = anywhere("projects", "list")
    assert done.returncode == 1
    one_line(done.stderr, str(Path("afterword-data") / "admin.key"), "--api-key", "AFTERWORD_API_KEY", "--data")
    done = anywhere("projects", "list", "--url", "https://afterword.example")
    assert done.returncode == 1
    one_line(done.stderr, "afterword.example", "AFTERWORD_API_KEY")


def test_a_wrong_key_is_one_line(anywhere: Run, server: Any):
    done = anywhere("projects", "list", "--url", server.url, "--api-key", "aw_wrong")
    assert done.returncode == 1
    one_line(done.stderr, "key")


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("import",),
        ("import", "x.jsonl", "--label", "novalue"),
        ("import", "x.jsonl", "--label", "a=1", "--label", "a=2"),
        ("import", "x.jsonl", "--create-project"),
        ("export", "--images", "sideways"),
        ("metrics", "register", "k", "--kind", "colour"),
        ("metrics", "update", "k"),
        ("rate", ONE, "CSAT", "great"),
    ],
)
def test_wrong_usage_ends_with_exit_code_2(anywhere: Run, arguments: tuple[str, ...]):
    done = anywhere(*arguments, AFTERWORD_API_KEY="aw_x", AFTERWORD_URL="http://127.0.0.1:9")
    assert done.returncode == 2


def test_the_key_of_a_server_on_this_machine_is_found_in_its_directory(anywhere: Run, new_server: Any):
    started = new_server(AFTERWORD_API_KEY="")
    done = anywhere("--url", started.url, "projects", "list", "--data", str(started.directory))
    assert done.returncode == 0, done.stderr
    assert "default" in done.stdout
    assert anywhere("projects", "list", "--url", started.url, AFTERWORD_DATA=str(started.directory)).returncode == 0


# ------------------------------------------------------------------------------------------------ small commands


def test_log_rate_and_find_one_interaction(afterword: Run, found: Any):
    completion_id = afterword(
        "log", "How do I reset it?", "Hold the button.", "--model", "support-1", "--label", "channel=mail"
    ).stdout.strip()
    afterword("metrics", "register", "CSAT")
    afterword("rate", completion_id, "CSAT", "5", "--details", "Solved it")
    [line] = afterword("export", "--label", "channel=mail", "--feedback", "CSAT>=5").stdout.splitlines()
    exported = json.loads(line)
    assert (exported["completion_id"], exported["completion"]) == (completion_id, "Hold the button.")
    assert [(one["value"], one["details"]) for one in exported["feedback"]] == [(5.0, "Solved it")]
    assert [one["completion_id"] for one in found()] == [completion_id]


def test_projects_are_created_listed_shown_and_archived(afterword: Run, project: str):
    made = json.loads(afterword("projects", "create", f"{project}-2", "--name", "Second", "--json").stdout)
    listed = json.loads(afterword("projects", "list", "--json").stdout)
    assert made in listed
    afterword("metrics", "register", "CSAT", "--project", f"{project}-2")
    shown = afterword("projects", "show", f"{project}-2").stdout
    assert "Second" in shown
    assert "CSAT" in shown
    afterword("projects", "archive", f"{project}-2")
    assert f"{project}-2" not in afterword("projects", "list").stdout
    assert f"{project}-2" in afterword("projects", "list", "--archived").stdout
    one_line(afterword("projects", "show", "nowhere", code=1).stderr, "nowhere")


def test_metrics_are_registered_listed_updated_and_deleted(afterword: Run):
    afterword("metrics", "register", "ok", "--kind", "bool", "--description", "Was it right?")
    afterword("metrics", "register", "ok", "--kind", "bool", "--description", "Was it right?")
    one_line(afterword("metrics", "register", "ok", code=1).stderr, "ok", "bool")
    afterword("metrics", "update", "ok", "--unit", "%")
    [listed] = json.loads(afterword("metrics", "list", "--json").stdout)
    assert (listed["key"], listed["kind"], listed["unit"]) == ("ok", "bool", "%")
    assert "Was it right?" in afterword("metrics", "list").stdout
    afterword("metrics", "delete", "ok")
    assert "No metrics yet" in afterword("metrics", "list").stderr


def test_a_key_is_printed_alone_works_and_is_revoked(afterword: Run, anywhere: Run, server: Any, project: str):
    key = afterword("keys", "create", f"ci-{project}", "--role", "ingest", "--expires", "now + 1 day").stdout.strip()
    assert " " not in key
    logged = anywhere("log", "Hi", "Hello!", "--url", server.url, "--api-key", key)
    assert logged.returncode == 0, logged.stderr
    [listed] = [one for one in json.loads(afterword("keys", "list", "--json").stdout) if one["name"] == f"ci-{project}"]
    assert (listed["role"], listed["projects"]) == ("ingest", [project])
    assert listed["id"] in afterword("keys", "list").stdout
    afterword("keys", "revoke", listed["id"])
    refused = anywhere("log", "Hi", "Hello!", "--url", server.url, "--api-key", key)
    assert refused.returncode == 1
    one_line(refused.stderr)


def test_health_is_one_line(afterword: Run):
    one_line(afterword("health").stdout, "ok")
    assert json.loads(afterword("health", "--json").stdout)["status"] == "ok"


# ------------------------------------------------------------------------------------------------ import


def test_every_shape_of_line_is_imported(afterword: Run, found: Any):
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


def test_importing_the_same_again_stores_nothing_twice(afterword: Run, found: Any):
    lines = jsonl(
        {"messages": HI, "completion": "1", "feedbacks": {"CSAT": 4}},
        {"messages": HI, "completion": "1", "feedbacks": {"CSAT": 4}},
        {"messages": HI, "preferred_completion": "2", "other_completion": "3", "feedback_key": "best"},
    )
    afterword("import", "-", given=lines)
    first = found()
    assert [one["completion"] for one in first] == ["1", "1", "2", "3"]
    afterword("import", "-", given=lines)
    assert found() == first
    afterword("import", "-", "--label", "again=yes", given=lines)
    assert len(found()) == 8


def test_bad_lines_hurt_no_others_and_are_reported(afterword: Run, found: Any, tmp_path: Path):
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


def test_only_the_first_errors_are_shown(afterword: Run):
    done = afterword("import", "-", given="{\n" * 50, code=1)
    assert len(done.stderr.splitlines()) == 11
    assert "--report" in done.stderr


def test_unknown_feedback_keys_are_errors_where_none_shall_be_registered(afterword: Run, found: Any):
    line = jsonl({"messages": HI, "completion": "1", "feedbacks": {"CSAT": 4}})
    assert "CSAT" in afterword("import", "-", "--no-register", given=line, code=1).stderr
    assert found() == []


def test_a_key_with_booleans_and_numbers_is_scalar(afterword: Run, found: Any):
    lines = jsonl(*({"messages": HI, "completion": "1", "feedbacks": {"mixed": value}} for value in (True, 0.5, False)))
    afterword("import", "-", given=lines)
    assert sorted(one["feedback"][0]["value"] for one in found()) == [0.0, 0.5, 1.0]


def test_a_dry_run_needs_no_server(anywhere: Run, tmp_path: Path):
    (tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress(jsonl({"messages": HI, "completion": "1"}).encode()))
    done = anywhere("import", "lines.jsonl.gz", "--dry-run")
    assert (done.returncode, done.stdout) == (0, "Would import 1 interaction.\n")
    assert anywhere("import", "-", "--dry-run", given="{}").returncode == 1


def test_a_project_is_created_when_asked_for(anywhere: Run, server: Any, project: str, http: httpx.Client):
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


def test_a_key_that_may_read_nothing_can_import(afterword: Run, anywhere: Run, server: Any, found: Any):
    key = afterword("keys", "create", "importer", "--role", "ingest").stdout.strip()
    afterword("metrics", "register", "CSAT")
    line = jsonl({"messages": HI, "completion": "1", "feedbacks": {"CSAT": 4}})
    done = anywhere("import", "-", given=line, AFTERWORD_URL=server.url, AFTERWORD_API_KEY=key)
    assert done.returncode == 0, done.stderr
    assert [one["feedback"][0]["value"] for one in found()] == [4.0]


def test_a_file_that_is_not_there_is_named_and_the_others_are_imported(afterword: Run, found: Any, tmp_path: Path):
    (tmp_path / "there.json").write_text(json.dumps([{"messages": HI, "completion": "1"}]))
    assert "nowhere.jsonl cannot be read" in afterword("import", "nowhere.jsonl", "there.json", code=1).stderr
    assert len(found()) == 1


def test_an_interrupted_import_ends_quietly(server: Any, project: str):
    known = environment(AFTERWORD_URL=server.url, AFTERWORD_API_KEY=server.api_key)
    importing = subprocess.Popen(
        command("import", "-", "--project", project),
        env=known, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert importing.stdin is not None
    # More than what is read at once: it is at work when this returns.
    importing.stdin.write(jsonl({"messages": HI, "completion": "x" * 1000}).encode() * 20_000)
    importing.stdin.flush()
    importing.send_signal(signal.SIGINT)
    _, told = importing.communicate(timeout=60)
    assert importing.returncode == 130
    assert b"Traceback" not in told
    assert b"nothing is stored twice" in told


# ------------------------------------------------------------------------------------------------ export


def exported(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_export_imported_elsewhere_is_the_same(afterword: Run, anywhere: Run, new_server: Any, tmp_path: Path):
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]}
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}
    common = {"user": "u", "usage": {"total_tokens": 3}, "timings": {"ttft": 1.5}, "parameters": {"top_p": 0.5}}
    lines = [
        {"messages": HI, "completion": str(number), "labels": {"n": str(number)}, "feedbacks": {"CSAT": number}}
        for number in range(120)
    ]
    lines += [
        {"messages": [picture], "completion": "A dot.", "session_id": ONE, **common},
        {"messages": HI, "completion": call, "created_at": "2020-01-01", "model": "m"},
        {"messages": HI, "preferred_completion": "a", "other_completion": "b", "feedback_key": "best", "tied": "bad"},
    ]
    afterword("import", "-", given=jsonl(*lines))
    afterword("export", "-o", "all.jsonl.gz")
    assert not (tmp_path / "all.jsonl.gz.part").exists()
    there = [json.loads(line) for line in gzip.open(tmp_path / "all.jsonl.gz", "rt")]
    assert len(there) == 124
    assert [one["created_at"] for one in there] == sorted(one["created_at"] for one in there)

    other = new_server()
    known = {"AFTERWORD_URL": other.url, "AFTERWORD_API_KEY": other.api_key}
    project = ("--project", there[0]["project"])
    done = anywhere("import", "all.jsonl.gz", *project, "--create-project", **known)
    assert done.returncode == 0, done.stderr
    back = exported(anywhere("export", *project, **known))
    assert sorted(back, key=lambda one: one["completion_id"]) == sorted(there, key=lambda one: one["completion_id"])
    # Once more, onto what has changed meanwhile: all is there already, and nothing is overwritten.
    again = anywhere("import", "all.jsonl.gz", *project, **known)
    assert again.returncode == 0, again.stderr
    assert len(exported(anywhere("export", *project, **known))) == 124


def test_an_export_imported_where_it_came_from_leaves_all_as_it_is(afterword: Run):
    completion_id = afterword("log", "Hi", "Hello!").stdout.strip()
    afterword("metrics", "register", "CSAT")
    afterword("rate", completion_id, "CSAT", "5")
    before = afterword("export").stdout
    assert "1 line was there already" in afterword("import", "-", given=before).stdout
    assert afterword("export").stdout == before


def test_an_export_can_be_copied_into_another_project(afterword: Run, project: str):
    afterword("import", "-", given=jsonl(
        {"messages": HI, "preferred_completion": "a", "other_completion": "b", "feedback_key": "best"},
        {"messages": HI, "completion": "c", "feedbacks": {"CSAT": 3}},
    ))  # fmt: skip
    told = afterword("export").stdout
    copying = ("import", "-", "--project", f"{project}-copy", "--create-project", "--new-ids")
    afterword(*copying, given=told)
    afterword(*copying, given=told)
    copies = exported(afterword("export", "--project", f"{project}-copy"))
    assert sorted(one["completion"] for one in copies) == ["a", "b", "c"]
    preferred = next(one for one in copies if one["completion"] == "a")
    assert preferred["preferences"][0]["preferred_completion"] == preferred["completion_id"]


def test_metrics_move_with_their_definitions(afterword: Run, project: str):
    afterword("metrics", "register", "ok", "--kind", "bool", "--scoring-type", "lower_is_better", "--unit", "%")
    told = afterword("metrics", "list", "--json").stdout
    afterword("import", "-", "--project", f"{project}-copy", "--create-project", given=told)
    [copied] = json.loads(afterword("metrics", "list", "--json", "--project", f"{project}-copy").stdout)
    [original] = json.loads(told)
    names = ("key", "kind", "scoring_type", "unit")
    assert [copied[name] for name in names] == [original[name] for name in names]


def test_exports_are_filtered(afterword: Run):
    lines = [
        {
            "messages": HI, "completion": f"answer {number}", "model": f"m{number % 2}", "created_at": f"2024-01-0{number}",
            "labels": {"lang": "en" if number < 5 else "fr", "n": str(number)}, "feedbacks": {"CSAT": number},
            **({"user": "u"} if number == 3 else {}),
        }
        for number in range(1, 9)
    ]  # fmt: skip
    afterword("import", "-", given=jsonl(*lines))

    def numbers(*options: str) -> list[int]:
        return [int(one["labels"]["n"]) for one in exported(afterword("export", *options))]

    assert numbers() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert numbers("--label", "lang=fr") == [5, 6, 7, 8]
    assert numbers("--label", "n=1", "--label", "n=8", "--label", "lang") == [1, 8]
    assert numbers("--feedback", "CSAT>=7") == [7, 8]
    assert numbers("--model", "m1", "--from", "2024-01-03", "--to", "2024-01-07") == [3, 5]
    assert numbers("--user", "u") == [3]
    assert numbers("--has-no-feedback", "CSAT") == []
    assert numbers("--limit", "3") == [1, 2, 3]
    one_line(afterword("export", "--feedback", "nothing>=1", code=1).stderr, "nothing")


def test_a_broken_export_leaves_no_file_behind(afterword: Run, tmp_path: Path):
    afterword("export", "--from", "not a time", "-o", "out.jsonl", code=1)
    assert list(tmp_path.iterdir()) == []
    one_line(afterword("export", "-o", "nowhere/out.jsonl", code=1).stderr, "nowhere")


def test_a_reader_that_stops_reading_is_no_error_to_complain_of(afterword: Run, server: Any, project: str):
    afterword("import", "-", given=jsonl(*({"messages": HI, "completion": "x" * 2000} for _ in range(500))))
    exporting = subprocess.Popen(
        command("export", "--project", project),
        env=environment(AFTERWORD_URL=server.url, AFTERWORD_API_KEY=server.api_key),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert exporting.stdout is not None
    assert exporting.stderr is not None
    exporting.stdout.readline()
    exporting.stdout.close()
    assert exporting.stderr.read() == b""
    exporting.wait(60)


# ------------------------------------------------------------------------------------------------ alpaca_eval


@pytest.fixture
def results(tmp_path: Path) -> Iterator[Path]:
    """The results of alpaca_eval; where they are not beside the project, made-up ones of the same form."""
    folder = ROOT.parent / "shared" / "data" / "alpaca_eval"
    if not folder.is_dir():
        folder = tmp_path / "alpaca_eval"
        folder.mkdir()
        for model in ("claude-2", "gemma-7b-it", "gpt-3.5-turbo-1106_verbose", "phi-2-sft", "vicuna-13b"):
            with gzip.open(folder / f"{model}.jsonl.gz", "wt") as file:
                # 144 of 805 certain wins beside 661 losses and ties make 0.1789; the mean below is taken from them.
                for number in range(805):
                    result = {
                        "instruction": f"Question {number}?", "dataset": f"part{number % 5}",
                        "baseline_model": "gpt4_1106_preview", "baseline_output": f"Answer {number}.",
                        "model": model, "output": f"{model} says {number}.",
                        "preference": 1.5 if number < 2 else 2.0 if number % 6 == 0 else 1.0001,
                    }  # fmt: skip
                    file.write(json.dumps(result) + "\n")
    yield folder


def test_alpaca_eval_is_imported_and_gives_its_win_rates(
    afterword: Run, results: Path, project: str, http: httpx.Client, tmp_path: Path
):
    with (tmp_path / "alpaca.jsonl").open("wb") as out:
        subprocess.run([sys.executable, ROOT / "examples" / "alpaca_eval.py", results], stdout=out, check=True)
    done = afterword("import", "alpaca.jsonl")
    assert "4,830 interactions, 4,025 feedback, 4,025 preferences" in done.stdout
    afterword("import", "alpaca.jsonl")

    def groups(by: str, **query: Any) -> dict[str, dict[str, Any]]:
        told = {"project": project, "group_by": by, "limit": 500, **query}
        return {one["key"]: one for one in http.get("/api/v1/interactions", params=told).json()["groups"]}

    by_model = groups("model")
    assert {key: one["count"] for key, one in by_model.items()} == dict.fromkeys(
        ["claude-2", "gemma-7b-it", "gpt-3.5-turbo-1106_verbose", "gpt4_1106_preview", "phi-2-sft", "vicuna-13b"], 805
    )
    for file in sorted(results.iterdir()):
        with gzip.open(file, "rt") as lines:
            values = [json.loads(line)["preference"] - 1 for line in lines]
        [judge] = by_model[file.name.removesuffix(".jsonl.gz")]["metrics"]
        assert (judge["metric"], judge["count"]) == ("judge", 805)
        assert judge["mean"] == pytest.approx(sum(values) / len(values))
    if results.is_relative_to(ROOT.parent / "shared"):
        assert round(by_model["claude-2"]["metrics"][0]["mean"], 4) == 0.1719
    assert {key: one["count"] for key, one in groups("label:role").items() if key} == {"baseline": 805, "model": 4025}
    prompts = http.get(
        "/api/v1/interactions", params={"project": project, "group_by": "prompt", "limit": 1, "count": "true"}
    )
    assert prompts.json()["count"] == 805
    preferred = http.get(
        "/api/v1/interactions",
        params={"project": project, "preference": "judge_preference", "limit": 1, "count": "true", "view": "full"},
    ).json()
    assert preferred["count"] == 4830
    baselines = http.get(
        "/api/v1/interactions",
        params={"project": project, "model": "gpt4_1106_preview", "limit": 500, "view": "full"},
    ).json()["interactions"]
    assert [len(one["preferences"]) for one in baselines] == [5] * 500
