"""Runs within the environment of adaptive-sdk 0.1.1: the core of the client's own end-to-end test, in our words.

python adaptive_e2e.py sync|async BASE_URL API_KEY PREFIX DIRECTORY
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from adaptive_driver import Driver

HI = [{"role": "user", "content": "Hi"}]
LINES: dict[str, dict[str, Any]] = {
    "prompts": {"input": HI},
    "messages": {"messages": HI, "completion": "Ho"},
    "completions": {"input": HI, "completion": "Ho"},
    "legacy": {"prompt": [["user", "Hi"]], "completion": ["assistant", "Ho"]},
    "documents": {"input": [{"role": "document", "content": "D"}, *HI], "completion": "Ho", "metadata": {}},
    "scaryLetter.dataset": {"input": HI, "completion": "Ho", "feedbacks": {"letters": 3}},
    "accepted": {"input": HI, "completion": "Ho", "feedbacks": {"accepted": True, "letters": 2.5}},
    "hh-preference-training-200": {
        "input": HI, "preferred_completion": "A", "other_completion": "B", "feedback_key": "helpful",
    },
}  # fmt: skip


def main(mode: str, url: str, key: str, prefix: str, directory: str) -> None:
    """Do the steps, and print what was seen."""
    driver = Driver(mode, url, key)
    steps(driver, prefix, Path(directory))
    print(json.dumps(driver.steps))


def steps(driver: Driver, prefix: str, directory: Path) -> None:
    """Administer, call, rate, find, compare, upload."""
    client, do = driver.client, driver.do
    use_case, metric = f"{prefix}-uc", f"{prefix}-m"
    do("models at start", client.models.list)
    do("use case", client.use_cases.create, key=use_case, team="default")
    client.set_default_use_case(use_case)
    do("metric", client.feedback.register_key, key=metric, kind="scalar")
    for step in ("link", "unlink", "link"):
        do(step, getattr(client.feedback, step), feedback_key=metric)

    external = {
        "openai": {"provider": "open_ai", "external_model_id": "GPT4O_MINI"},
        "azure": {"provider": "azure", "external_model_id": "mine", "endpoint": "http://127.0.0.1:9/"},
        "google": {"provider": "google", "external_model_id": "gemini-1.5-flash-8b"},
    }
    for name, given in external.items():
        made = do(f"external {name}", client.models.add_external, name=f"{prefix}-{name}", api_key="sk", **given)
        do(f"attach {name}", client.models.attach, model=str(made.id), make_default=False)
    do("attach local", client.models.attach, model="qwen_25_500M", wait=True, make_default=True)
    do("local", client.models.get, model="qwen_25_500M")

    for name in ("openai", "google"):
        do(f"chat {name}", client.chat.create, messages=HI, model=f"{prefix}-{name}", labels={"test": "ext"})
    chat = do("chat", client.chat.create, messages=HI, n=2, labels={"test": "local"})
    first, second = (str(choice.completion_id) for choice in chat.choices)
    do("rate", client.feedback.log_metric, value=1, completion_id=first, feedback_key=metric, details="Good")
    both = {"preferred_completion": first, "other_completion": second}
    do("prefer", client.feedback.log_preference, feedback_key=metric, **both)
    do("rated", client.interactions.get, completion_id=first)
    do("log", client.interactions.create, messages=HI, completion="Ho")
    do("log by model", client.interactions.create, messages=HI, completion="Ho", model="qwen_25_500M")
    local = {"labels": [{"key": "test", "value": ["local"]}]}
    do("local ones", client.interactions.list, filters=local)
    do("local prompts", client.interactions.list, filters=local, group_by="prompt")

    models = ["qwen_25_500M", f"{prefix}-openai"]
    made = do("ab", client.ab_tests.create, ab_test_key=f"{prefix}-ab", feedback_key=metric, models=models)
    do("ab by key", client.ab_tests.get, key=f"{prefix}-ab")
    do("ab by id", client.ab_tests.get, key=str(made.id))
    do("active", client.ab_tests.list, active=True)
    do("cancel", client.ab_tests.cancel, key=f"{prefix}-ab")

    for name, line in LINES.items():
        path = directory / f"{name}.jsonl"
        path.write_text("\n".join([json.dumps(line)] * 3), encoding="utf-8")
        made = do(f"upload {name}", client.datasets.upload, file_path=str(path), dataset_key=f"{prefix}-{name}")
        do(f"dataset {name}", client.datasets.get, key=str(made.id) if made else "")
    do("datasets", client.datasets.list)


if __name__ == "__main__":
    main(*sys.argv[1:])
