"""Turn results of alpaca_eval into lines for `afterword import`.

    python examples/alpaca_eval.py PATH | afterword import - --project alpaca --create-project

PATH is a file, or a folder of files, MODEL.jsonl or MODEL.jsonl.gz. Each line holds an instruction, the answers of a
baseline model and of MODEL to it, and a judge's preference between 1.0 (the baseline's answer is better) and 2.0
(MODEL's is). It becomes

    both answers as interactions (the baseline's once for each instruction, however many models stand against it),
        with the labels eval=alpaca, dataset=PART_OF_THE_SET and role=baseline or role=model
    the judge's value on MODEL's answer under the metric `judge`: preference - 1, so that the mean is MODEL's win rate
    the judge's choice under the metric `judge_preference`: one answer over the other, or where it is 1.5 a good tie

All ids follow from models and instructions: whoever imports it again stores nothing twice. Then, for instance,

    curl -H "Authorization: Bearer $AFTERWORD_API_KEY" \
        "$AFTERWORD_URL/api/v1/interactions?project=alpaca&group_by=model"

shows the win rate of each model as the mean of `judge`.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

SPACE = uuid5(NAMESPACE_URL, "https://github.com/tatsu-lab/alpaca_eval")
METRICS = [
    {
        "key": "judge",
        "kind": "scalar",
        "scoring_type": "higher_is_better",
        "description": "How surely the judge prefers the answer to the baseline's: 0 to 1. The mean is the win rate.",
    },
    {
        "key": "judge_preference",
        "kind": "scalar",
        "scoring_type": "higher_is_better",
        "description": "Which of the two answers the judge prefers.",
    },
]


def files(path: Path) -> list[Path]:
    """Return the file, or the files of a folder, by name."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.name.endswith((".jsonl", ".jsonl.gz")))
    return [path]


def lines(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Yield the lines to import."""
    yield from METRICS
    baselines: set[UUID] = set()
    for path in paths:
        opened: Any = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as file:
            for result in map(json.loads, file):
                baseline, judged = interaction(result, "baseline"), interaction(result, "model")
                if (its_id := UUID(baseline["completion_id"])) not in baselines:
                    baselines.add(its_id)
                    yield baseline
                yield {**judged, "feedbacks": {"judge": result["preference"] - 1}}
                yield preference(judged, baseline, result["preference"])


def interaction(result: dict[str, Any], role: str) -> dict[str, Any]:
    """Return the answer of the baseline or of the model."""
    model, output = ("baseline_model", "baseline_output") if role == "baseline" else ("model", "output")
    return {
        "completion_id": str(uuid5(SPACE, f"{result[model]}\n{result['instruction']}")),
        "model": result[model],
        "messages": [{"role": "user", "content": result["instruction"]}],
        "completion": result[output],
        "labels": {"eval": "alpaca", "dataset": result["dataset"], "role": role},
    }


def preference(judged: dict[str, Any], baseline: dict[str, Any], value: float) -> dict[str, Any]:
    """Return which of the two the judge prefers."""
    sides = [judged["completion_id"], baseline["completion_id"]]
    preferred, other = sides if value >= 1.5 else reversed(sides)
    return {
        "comparison_id": str(uuid5(SPACE, " over ".join(sides))),
        "feedback_key": "judge_preference",
        "preferred_completion": preferred,
        "other_completion": other,
        **({"tied": "good"} if value == 1.5 else {}),
    }


def main() -> None:
    """Write the lines of the files that are named to standard output."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    for line in lines(file for name in sys.argv[1:] for file in files(Path(name))):
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
