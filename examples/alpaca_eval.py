"""Turn results of AlpacaEval into lines for `afterword import`.

    python examples/alpaca_eval.py PATH... | afterword import - --project alpaca --create-project

PATH is a file of https://github.com/tatsu-lab/alpaca_eval, or a folder that is searched with all that is below it:

    annotations.json, annotation_*.json   a judge's preferences between the answers of a baseline and of a model
    model_outputs.json                    a model's answers
    *.jsonl                               a judgement a line, with the members of an annotation, or these:
            instruction, dataset, baseline_model, baseline_output, model, output, preference

each as it is or compressed (.gz). Other JSON files of a folder, such as prices and configurations, are passed over. A
preference lies between 1.0 (the baseline's answer is better) and 2.0 (the model's is); 1.5 and 0 are ties. It becomes

    both answers as interactions (each once, however many judgements it stands in), with the labels eval=alpaca,
        dataset=PART_OF_THE_SET and role=baseline or role=model
    the judge's value on the model's answer under the metric `judge`: preference - 1, so that the mean is the win rate
    the judge's choice under the metric `judge_preference`: one answer over the other, or a good tie

Answers may be empty: models say nothing at times. Judgements without a preference, which some judges failed to give,
leave the answers alone. What was passed over is told on standard error. All ids follow from models, instructions and
judges: whoever imports it again stores nothing twice. Then, for instance,

    curl -H "Authorization: Bearer $AFTERWORD_API_KEY" \
        "$AFTERWORD_URL/api/v1/interactions?project=alpaca&group_by=model"

shows the win rate of each model as the mean of `judge`.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

SPACE = uuid5(NAMESPACE_URL, "https://github.com/tatsu-lab/alpaca_eval")
ENDINGS = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
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


class Answer(NamedTuple):
    """What a model answered."""

    model: str
    instruction: str
    output: str
    dataset: str

    @property
    def completion_id(self) -> str:
        """Return the id that follows from the model and the instruction."""
        return str(uuid5(SPACE, f"{self.model}\n{self.instruction}"))

    def interaction(self, role: str) -> dict[str, Any]:
        """Return the answer as a line to import."""
        return {
            "completion_id": self.completion_id,
            "model": self.model,
            "messages": [{"role": "user", "content": self.instruction}],
            "completion": self.output,
            "labels": {"eval": "alpaca", "dataset": self.dataset, "role": role},
        }


class Judgement(NamedTuple):
    """A model's answer, and what a judge thought of it beside the baseline's; without a baseline the answer alone."""

    answer: Answer
    baseline: Answer | None = None
    preference: float | None = None
    judge: str = ""


def files(path: Path) -> list[Path]:
    """Return the file, or the files in and below a folder, by name."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.name.endswith(ENDINGS))
    return [path]


def read(path: Path) -> Iterator[Any]:
    """Yield the results in a file: a list of them, or one a line."""
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        if ".jsonl" in path.name:
            yield from (json.loads(line) for line in file if line.strip())
        else:
            content = json.load(file)
            yield from content if isinstance(content, list) else [content]


def judgement(result: Any) -> Judgement | None:
    """Return what a result says, whichever file it stands in; None where it is no result."""
    if not isinstance(result, dict) or not isinstance(result.get("instruction"), str):
        return None
    dataset = str(result.get("dataset") or "alpaca_eval")

    def answer(model: str, output: str) -> Answer | None:
        if not isinstance(result.get(model), str) or output not in result:
            return None
        return Answer(result[model], result["instruction"], result[output] or "", dataset)

    for sides in ((("generator_1", "output_1"), ("generator_2", "output_2")),
                  (("baseline_model", "baseline_output"), ("model", "output"))):  # fmt: skip
        baseline, judged = (answer(*side) for side in sides)
        if baseline and judged:
            # Older results have 0 for a draw.
            preference = 1.5 if result.get("preference") == 0 else result.get("preference")
            is_known = isinstance(preference, int | float) and 1 <= preference <= 2
            return Judgement(judged, baseline, preference if is_known else None, str(result.get("annotator") or ""))
    alone = answer("generator", "output")
    return Judgement(alone) if alone else None


def lines(paths: Iterable[Path], passed_over: Counter[str]) -> Iterator[dict[str, Any]]:
    """Yield the lines to import; count what is none in `passed_over`."""
    yield from METRICS
    written: set[str] = set()

    def once(identity: str, line: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if identity not in written:
            written.add(identity)
            yield line

    for path in paths:
        for result in read(path):
            if (judged := judgement(result)) is None:
                passed_over[f"{path}: no results"] += 1
                continue
            answer, baseline, value, judge = judged
            if baseline is not None:
                yield from once(baseline.completion_id, baseline.interaction("baseline"))
            yield from once(answer.completion_id, answer.interaction("model"))
            if baseline is None:
                continue
            if value is None:
                passed_over[f"{path}: judgements without a preference"] += 1
                continue
            # The results that came without the judge's name have one judge.
            pair = " over ".join((answer.completion_id, baseline.completion_id, *([judge] if judge else [])))
            details = {"details": judge} if judge else {}
            yield from once(
                f"judge {pair}",
                {
                    "feedback_id": str(uuid5(SPACE, f"judge {pair}")),
                    "completion_id": answer.completion_id,
                    "metric": "judge",
                    "value": value - 1,
                    **details,
                },
            )
            yield from once(
                pair, {**preference(answer, baseline, value), "comparison_id": str(uuid5(SPACE, pair)), **details}
            )


def preference(judged: Answer, baseline: Answer, value: float) -> dict[str, Any]:
    """Return which of the two the judge prefers."""
    preferred, other = (judged, baseline) if value >= 1.5 else (baseline, judged)
    return {
        "feedback_key": "judge_preference",
        "preferred_completion": preferred.completion_id,
        "other_completion": other.completion_id,
        **({"tied": "good"} if value == 1.5 else {}),
    }


def main() -> None:
    """Write the lines of the files that are named to standard output."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    passed_over: Counter[str] = Counter()
    for line in lines((file for name in sys.argv[1:] for file in files(Path(name))), passed_over):
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    for what, count in passed_over.items():
        print(f"Passed over: {count:,} in {what}", file=sys.stderr)


if __name__ == "__main__":
    main()
