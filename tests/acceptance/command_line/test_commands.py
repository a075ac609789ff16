"""The commands: their help, their errors, and the small ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from afterword.cli import app

ONE, TWO = "0192d3a4-5b6c-7d8e-9f00-00000000000a", "0192d3a4-5b6c-7d8e-9f00-00000000000b"


COMMANDS = [
    (), ("serve",), ("import",), ("export",), ("log",), ("rate",), ("health",), ("projects",), ("projects", "create"),
    ("projects", "list"), ("projects", "show"), ("projects", "archive"), ("projects", "update"),
    ("backup",), ("restore",), ("metrics",), ("metrics", "register"),
    ("metrics", "list"), ("metrics", "update"), ("metrics", "delete"), ("keys",), ("keys", "create"),
    ("keys", "list"), ("keys", "revoke"), ("chat",), ("models",), ("models", "add"), ("models", "list"),
    ("models", "show"), ("models", "change"), ("models", "attach"), ("models", "detach"), ("models", "delete"),
    ("ab-tests",), ("ab-tests", "create"), ("ab-tests", "list"), ("ab-tests", "show"), ("ab-tests", "cancel"),
]  # fmt: skip


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "afterword")
def test_every_command_has_help(path: tuple[str, ...]):
    done = CliRunner().invoke(app, [*path, "--help"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert "Usage:" in done.stdout


def test_the_command_starts_without_loading_the_server():
    loaded = subprocess.run(
        [sys.executable, "-c", "import afterword.cli, sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert {"sqlalchemy", "starlette", "uvicorn", "alembic"} & set(loaded) == set()


def test_serve_without_the_servers_packages_says_so_in_one_line(tmp_path: Path, one_line: Any):
    without = "import sys; sys.modules['uvicorn'] = None; from afterword.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", without, "serve"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    one_line(done.stderr, "pip install 'afterword[server]'", "uvicorn")


def test_serve_refuses_a_bad_setting_in_one_line(anywhere: Any, one_line: Any):
    done = anywhere("serve", "--port", "http")
    assert done.returncode == 2
    one_line(done.stderr, "--port is 'http'", "whole number")
    done = anywhere("serve", AFTERWORD_MAX_BODY="huge")
    assert done.returncode == 2
    one_line(done.stderr, "AFTERWORD_MAX_BODY is 'huge'")


@pytest.mark.embedded
def test_serve_on_a_directory_in_use_says_so_in_one_line(anywhere: Any, server: Any, one_line: Any):
    done = anywhere("serve", "--port", "0", "--data", str(server.directory))
    assert done.returncode == 1
    one_line(done.stderr, str(server.directory))


def test_without_a_server_the_error_is_one_line_with_advice(anywhere: Any, one_line: Any):
    done = anywhere("projects", "list", "--url", "http://127.0.0.1:9", "--api-key", "aw_x")
    assert done.returncode == 1
    one_line(done.stderr, "http://127.0.0.1:9", "afterword serve")


def test_without_a_key_the_error_says_where_one_was_looked_for(anywhere: Any, one_line: Any):
    done = anywhere("projects", "list")
    assert done.returncode == 1
    one_line(done.stderr, str(Path("afterword-data") / "admin.key"), "--api-key", "AFTERWORD_API_KEY", "--data")
    done = anywhere("projects", "list", "--url", "https://afterword.example")
    assert done.returncode == 1
    one_line(done.stderr, "afterword.example", "AFTERWORD_API_KEY")


def test_a_wrong_key_is_one_line(anywhere: Any, server: Any, one_line: Any):
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
def test_wrong_usage_ends_with_exit_code_2(anywhere: Any, arguments: tuple[str, ...]):
    done = anywhere(*arguments, AFTERWORD_API_KEY="aw_x", AFTERWORD_URL="http://127.0.0.1:9")
    assert done.returncode == 2


def test_the_key_of_a_server_on_this_machine_is_found_in_its_directory(anywhere: Any, new_server: Any):
    started = new_server(AFTERWORD_API_KEY="")
    done = anywhere("--url", started.url, "projects", "list", "--data", str(started.directory))
    assert done.returncode == 0, done.stderr
    assert "default" in done.stdout
    assert anywhere("projects", "list", "--url", started.url, AFTERWORD_DATA=str(started.directory)).returncode == 0


def test_log_rate_and_find_one_interaction(afterword: Any, found: Any):
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


def test_projects_are_created_listed_shown_and_archived(afterword: Any, project: str, one_line: Any):
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


def test_metrics_are_registered_listed_updated_and_deleted(afterword: Any, one_line: Any):
    afterword("metrics", "register", "ok", "--kind", "bool", "--description", "Was it right?")
    afterword("metrics", "register", "ok", "--kind", "bool", "--description", "Was it right?")
    one_line(afterword("metrics", "register", "ok", code=1).stderr, "ok", "bool")
    afterword("metrics", "update", "ok", "--unit", "%")
    [listed] = json.loads(afterword("metrics", "list", "--json").stdout)
    assert (listed["key"], listed["kind"], listed["unit"]) == ("ok", "bool", "%")
    assert "Was it right?" in afterword("metrics", "list").stdout
    afterword("metrics", "delete", "ok")
    assert "No metrics yet" in afterword("metrics", "list").stderr


def test_the_list_of_keys_shows_what_the_key_of_a_user_may(afterword: Any, http: httpx.Client, project: str):
    team = http.post("/api/v1/teams", json={"name": f"team-{project}"}).raise_for_status().json()["key"]
    address = f"{uuid4().hex[:8]}@example.com"
    user = {"name": "Ada", "email": address, "generate_api_key": True, "teams": [{"team": team, "role": "power_user"}]}
    http.post("/api/v1/users", json=user).raise_for_status()

    def listed() -> str:
        [line] = [line for line in afterword("keys", "list").stdout.splitlines() if f"of {address}" in line]
        return line

    assert "no project yet" in listed()
    shares = {"shares": [{"team": team, "role": "annotator"}]}
    http.put(f"/api/v1/projects/{project}/shares", json=shares).raise_for_status()
    assert f"{project}: read, write" in listed()
    assert "member" not in listed()


def test_a_key_is_printed_alone_works_and_is_revoked(
    afterword: Any, anywhere: Any, server: Any, project: str, one_line: Any
):
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


def test_health_is_one_line(afterword: Any, one_line: Any):
    one_line(afterword("health").stdout, "ok")
    assert json.loads(afterword("health", "--json").stdout)["status"] == "ok"


def test_models_are_registered_called_changed_and_deleted(afterword: Any, found: Any, project: str, one_line: Any):
    key = f"{project[-8:]}-echo"
    assert f"call it as {project}/{key}" in afterword("models", "add", key, "--provider", "echo", "--default").stdout
    made = json.loads(afterword("models", "show", key).stdout)
    assert (made["key"], made["provider"], made["projects"]) == (key, "echo", [project])
    said = afterword("chat", "Hello there", "--system", "Be brief.", "--label", "origin=shell")
    [logged] = found()
    assert said.stdout.strip() == logged["completion"]
    assert said.stderr.strip() == logged["completion_id"]
    assert (logged["labels"], logged["model"]) == ({"origin": "shell"}, key)
    assert key in afterword("models", "list").stdout
    afterword("models", "change", key, "--id", "echo-2")
    assert json.loads(afterword("models", "show", key).stdout)["external_model_id"] == "echo-2"
    afterword("models", "detach", key)
    one_line(afterword("chat", "Hello", "--model", key, code=1).stderr, key)
    assert f"{project}/{key}" in afterword("models", "attach", key).stdout
    afterword("models", "delete", key)
    one_line(afterword("chat", "Hello", "--model", key, code=1).stderr, key)


def test_ab_tests_are_started_listed_shown_and_cancelled(afterword: Any, project: str, one_line: Any):
    afterword("metrics", "register", "CSAT")
    models = [f"{name}-{project[-8:]}" for name in ("one", "two")]
    for model in models:
        afterword("models", "add", model, "--provider", "echo")
    test = f"test-{project[-8:]}"
    assert "No A/B tests" in afterword("ab-tests", "list").stderr
    assert test in afterword("ab-tests", "create", test, "CSAT", *models, "--split", "0.5", "--level", "session").stdout
    [listed] = json.loads(afterword("ab-tests", "list", "--active", "--json").stdout)
    assert (listed["models"], listed["traffic_split"], listed["status"]) == (models, 0.5, "warmup")
    assert listed["level"] == "session"
    shown = afterword("ab-tests", "show", test)
    assert [model for model in models if model not in shown.stdout] == []
    one_line(shown.stderr, "warmup", "0 sessions", "too little")
    assert json.loads(afterword("ab-tests", "show", test, "--json").stdout)["report"]["p_value"] is None
    assert test in afterword("ab-tests", "cancel", test).stdout
    assert afterword("ab-tests", "list", "--active").stdout == ""
    one_line(afterword("ab-tests", "cancel", test, code=1).stderr, test, "ended")
    one_line(afterword("ab-tests", "show", "nothing", code=1).stderr, "nothing", "ab-tests list")
