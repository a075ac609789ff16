"""`afterword export`, and its way back through `afterword import`."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.thorough

HI = [{"role": "user", "content": "Hi"}]
PIXEL = "data:image/png;base64,iVBORw0KGgo="
ONE, TWO = "0192d3a4-5b6c-7d8e-9f00-00000000000a", "0192d3a4-5b6c-7d8e-9f00-00000000000b"


def jsonl(*lines: Any) -> str:
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)


def exported(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_export_imported_elsewhere_is_the_same(afterword: Any, anywhere: Any, new_server: Any, tmp_path: Path):
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
    there = [json.loads(line) for line in gzip.decompress((tmp_path / "all.jsonl.gz").read_bytes()).splitlines()]
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


def test_an_export_imported_where_it_came_from_leaves_all_as_it_is(afterword: Any):
    completion_id = afterword("log", "Hi", "Hello!").stdout.strip()
    afterword("metrics", "register", "CSAT")
    afterword("rate", completion_id, "CSAT", "5")
    before = afterword("export").stdout
    assert "1 line was there already" in afterword("import", "-", given=before).stdout
    assert afterword("export").stdout == before


def test_an_export_can_be_copied_into_another_project(afterword: Any, project: str):
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


def test_an_export_is_not_taken_for_present_in_another_project(afterword: Any, project: str, one_line: Any):
    afterword("log", "Hi", "Hello!")
    told = afterword("export").stdout
    refused = afterword("import", "-", "--project", f"{project}-copy", "--create-project", given=told, code=1)
    assert "is not in this project. Give --new-ids" in refused.stderr
    assert "Imported nothing" in refused.stdout
    assert afterword("export", "--project", f"{project}-copy").stdout == ""


def test_metrics_move_with_their_definitions(afterword: Any, project: str):
    afterword("metrics", "register", "ok", "--kind", "bool", "--scoring-type", "lower_is_better", "--unit", "%")
    told = afterword("metrics", "list", "--json").stdout
    afterword("import", "-", "--project", f"{project}-copy", "--create-project", given=told)
    [copied] = json.loads(afterword("metrics", "list", "--json", "--project", f"{project}-copy").stdout)
    [original] = json.loads(told)
    names = ("key", "kind", "scoring_type", "unit")
    assert [copied[name] for name in names] == [original[name] for name in names]


def test_exports_are_filtered(afterword: Any, one_line: Any):
    lines = [
        {
            "messages": HI, "completion": f"answer {number}", "model": f"m{number % 2}",
            "created_at": f"2024-01-0{number}",
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


def test_what_has_no_text_any_more_is_left_out_and_counted(afterword: Any, http: Any, project: str):
    old = {"messages": HI, "completion": "old", "created_at": "2024-01-01"}
    afterword("import", "-", given=jsonl(old, old, {"messages": HI, "completion": "young"}))
    said = afterword("projects", "update", project, "--payload-retention-days", "30", "--retention-days", "0").stdout
    assert said == f"Changed the project {project}: keeps interactions for ever, texts for 30 days.\n"
    query = {"project": project, "to": "2025-01-01"}
    while not all(one["expired"] for one in http.get("/api/v1/interactions", params=query).json()["interactions"]):
        pass
    done = afterword("export")
    assert [one["completion"] for one in exported(done)] == ["young"]
    assert "Left out 2" in done.stderr
    afterword("projects", "update", project, "--payload-retention-days", "default")
    assert (
        "Keeps interactions for ever, texts as the server's settings say."
        in afterword("projects", "show", project).stdout
    )
    wrong = afterword("projects", "update", project, "--retention-days", "a week", code=2)
    assert "'a week'" in wrong.stderr
    afterword("projects", "update", project, code=2)


def test_a_broken_export_leaves_no_file_behind(afterword: Any, tmp_path: Path, one_line: Any):
    afterword("export", "--from", "not a time", "-o", "out.jsonl", code=1)
    assert list(tmp_path.iterdir()) == []
    one_line(afterword("export", "-o", "nowhere/out.jsonl", code=1).stderr, "nowhere")


def test_a_reader_that_stops_reading_is_no_error_to_complain_of(afterword: Any, begin: Any):
    afterword("import", "-", given=jsonl(*({"messages": HI, "completion": "x" * 2000} for _ in range(500))))
    exporting = begin("export")
    exporting.stdout.readline()
    exporting.stdout.close()
    assert exporting.stderr.read() == b""
    exporting.wait(60)
