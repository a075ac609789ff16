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
