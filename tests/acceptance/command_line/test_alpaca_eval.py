"""The example that imports alpaca_eval."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The results of alpaca_eval; where they are not beside the project, made-up ones of the same form."""
    folder = ROOT.parent / "shared" / "data" / "alpaca_eval"
    if not folder.is_dir():
        folder = tmp_path / "alpaca_eval"
        folder.mkdir()
        for model in ("claude-2", "gemma-7b-it", "gpt-3.5-turbo-1106_verbose", "phi-2-sft", "vicuna-13b"):
            with gzip.open(folder / f"{model}.jsonl.gz", "wt") as file:
                for number in range(805):
                    result = {
                        "instruction": f"Question {number}?", "dataset": f"part{number % 5}",
                        "baseline_model": "gpt4_1106_preview", "baseline_output": f"Answer {number}.",
                        "model": model, "output": f"{model} says {number}.",
                        "preference": 1.5 if number < 2 else 2.0 if number % 6 == 0 else 1.0001,
                    }  # fmt: skip
                    file.write(json.dumps(result) + "\n")
    return folder


def test_alpaca_eval_is_imported_and_gives_its_win_rates(
    afterword: Any, results: Path, project: str, http: httpx.Client, tmp_path: Path
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


def test_alpaca_evals_own_files_are_taken_whole(afterword: Any, project: str, http: httpx.Client, tmp_path: Path):
    """Its folders hold outputs and annotations, among them empty answers, draws and judgements that failed."""

    def write(name: str, content: Any) -> None:
        (tmp_path / "results" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / name).write_text(json.dumps(content), encoding="utf-8")

    outputs = ["A bird.", "", "Tall.", "Blue.", "Late."]
    preferences = [2.0, 1.0, 0, None, 1.2]
    asked = [{"instruction": f"Question {number}?", "dataset": "helpful_base"} for number in range(5)]
    write(
        "m/model_outputs.json",
        [{**one, "output": text, "generator": "m"} for one, text in zip(asked, outputs, strict=True)],
    )
    for judge in ("alpaca_eval_gpt4", "claude"):
        annotations = [
            {**one, "output_1": f"Base {number}.", "generator_1": "base", "output_2": outputs[number],
             "generator_2": "m", "annotator": judge, "preference": preferences[number], "raw_completion": None}
            for number, one in enumerate(asked)
        ]  # fmt: skip
        write(f"m/{judge}/annotations.json", annotations)
    write("m/prices.json", {"price": 1})
    script = [sys.executable, str(ROOT / "examples" / "alpaca_eval.py"), "results"]
    run = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stderr.count("1 in results/m/") == 3
    assert "judgements without a preference" in run.stderr
    (tmp_path / "alpaca.jsonl").write_text(run.stdout, encoding="utf-8")
    assert "10 interactions, 8 feedback, 8 preferences" in afterword("import", "alpaca.jsonl").stdout

    body = {"name": "pairs", "kind": "preference", "project": project, "filter": {"and": []}, "derive_pairs": False}
    made = http.post("/api/v1/datasets/from-interactions", json=body).raise_for_status().json()
    # A pair by each judge of the answers that are no draw, and of which both say something.
    assert (made["lines"], made["left_out"]) == (4, {"tie": 2, "empty": 2})
