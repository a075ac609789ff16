"""Runs within the environment of a release of adaptive-sdk, and does what its users do; prints what it saw as JSON.

    python adaptive_driver.py sync|async BASE_URL API_KEY PREFIX MODEL

What differs between releases is said in the words of the newest; arguments that a method does not have are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import sys
import tempfile
from typing import Any

import adaptive_sdk

ALIASES = {"project": "use_case", "user": "user_id", "model": "model_key", "idx": "id"}


def shown(value: Any) -> Any:
    """Return an answer as JSON."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [shown(one) for one in value]
    return value if isinstance(value, str | int | float | bool | dict | None) else str(value)


class Driver:
    """A client, and what its calls answered, by the names of the steps."""

    def __init__(self, mode: str, url: str, key: str) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        kind = adaptive_sdk.Adaptive if mode == "sync" else adaptive_sdk.AsyncAdaptive
        self.client = kind(base_url=url, api_key=key)
        self.steps: dict[str, Any] = {}
        self.projects = getattr(self.client, "projects", None) or self.client.use_cases
        self.old = not hasattr(self.client, "projects")

    def do(self, step: str, method: Any, *arguments: Any, **given: Any) -> Any:
        """Call a method; note its answer, or what it raised."""
        try:
            answer = self._called(method, *arguments, **given)
        except Exception as error:
            self.steps[step] = {"error": type(error).__name__, "text": str(error)}
            return None
        self.steps[step] = {"value": shown(answer)}
        return answer

    def _called(self, method: Any, *arguments: Any, **given: Any) -> Any:
        known = inspect.signature(method).parameters
        named = {}
        for name, value in given.items():
            if name in known:
                named[name] = value
            elif ALIASES.get(name) in known:
                named[ALIASES[name]] = value
        answer = method(*arguments, **named)
        if inspect.isawaitable(answer):
            answer = self.loop.run_until_complete(answer)
        if inspect.isasyncgen(answer):
            return self.loop.run_until_complete(_all(answer))
        return list(answer) if inspect.isgenerator(answer) else answer


async def _all(chunks: Any) -> list[Any]:
    return [chunk async for chunk in chunks]


def main(mode: str, url: str, key: str, prefix: str, model: str) -> None:
    """Do it all, and print what was seen."""
    driver = Driver(mode, url, key)
    work(driver, prefix, model)
    print(json.dumps(driver.steps))


def work(driver: Driver, prefix: str, model: str) -> None:
    """Work with the client, from nothing to what was found."""
    client, do = driver.client, driver.do
    project, metric, other = f"{prefix}-p", f"{prefix}-m", f"{prefix}-ok"

    do("me", client.users.me)
    do("team", client.teams.create, key=f"{prefix}-t", name=f"{prefix} team")
    do("teams", client.teams.list)
    word = "use_case:read" if driver.old else "project:read"
    do("role", client.roles.create, key=f"{prefix}-r", permissions=[word], name=f"{prefix} role")
    do("roles", client.roles.list)
    do("permissions", client.permissions.list)

    made = do("project", driver.projects.create, key=project, name="A project", team=f"{prefix}-t")
    (client.set_default_use_case if driver.old else client.set_default_project)(project)
    do("project by key", driver.projects.get, project=project)
    do("project by id", driver.projects.get, project=str(made.id) if made else "")
    do("no project", driver.projects.get, project=f"{prefix}-nothing")
    do("projects", driver.projects.list)

    do("metric", client.feedback.register_key, key=metric, kind="scalar", project=project, description="How good")
    do("bool metric", client.feedback.register_key, key=other, kind="bool", project=project)
    if hasattr(client.feedback, "link"):
        do("link", client.feedback.link, feedback_key=metric)
        do("unlink", client.feedback.unlink, feedback_key=metric)
        do("link again", client.feedback.link, feedback_key=metric)
        do("link bool", client.feedback.link, feedback_key=other)
    do("metric by key", client.feedback.get_key, feedback_key=metric, project=project)
    do("no metric", client.feedback.get_key, feedback_key=f"{prefix}-nothing", project=project)
    do("metrics", client.feedback.list_keys)

    do("models", client.models.list)
    do("model by key", client.models.get, model=model)
    provider = {"name": f"{prefix}-gpt", "provider": "open_ai", "api_key": "sk-none"}
    do("external by old word", client.models.add_external, external_model_id="GPT4O_MINI", **provider)
    do("external", client.models.add_external, external_model_id="gpt-4o-mini", **provider)
    if hasattr(client.models, "attach"):
        do("attach", client.models.attach, model=model, wait=True, make_default=True)
    else:
        do("attach", client.models.update, model=model, is_default=True, project=project)

    said = [{"role": "user", "content": "Hello there"}]
    labels = {"test": "local", "project": "x"}
    chat = do("chat", client.chat.create, messages=said, labels=labels, n=2)
    do("chat by model", client.chat.create, messages=said, model=model, labels={"test": "named"})
    do("chat of no model", client.chat.create, messages=said, model=f"{prefix}-nothing")
    do("stream", client.chat.create, messages=said, stream=True, stream_include_usage=True, labels={"test": "stream"})
    do("embeddings", client.embeddings.create, input="sky", model=model)
    if hasattr(client, "completions"):
        do("completion", client.completions.create, prompt="Once", labels={"test": "text"})

    one = do(
        "log", client.interactions.create, messages=said, completion="Well", labels={"env": "prod"}, model=model,
        feedbacks=[{"feedback_key": metric, "value": 4, "details": "Fine"}], created_at="2024-02-21T09:51:03Z",
    )  # fmt: skip
    two = do("log another", client.interactions.create, messages=said, completion="Hm", labels={"env": "test"})
    if one is None or two is None or chat is None:
        return
    first, second = str(one.completion_id), str(two.completion_id)
    do("rate", client.feedback.log_metric, value=5, completion_id=first, feedback_key=metric, details="Good")
    do("rate bool", client.feedback.log_metric, value=True, completion_id=second, feedback_key=other)
    do("rate under nothing", client.feedback.log_metric, value=5, completion_id=first, feedback_key=f"{prefix}-nothing")
    do("rate wrongly", client.feedback.log_metric, value=5, completion_id=second, feedback_key=other)
    both = {"preferred_completion": first, "other_completion": second}
    do("prefer", client.feedback.log_preference, feedback_key=metric, project=project, **both)
    texts = {"preferred_completion": {"text": "A", "model": model}, "other_completion": {"text": "B", "model": model}}
    do("prefer texts", client.feedback.log_preference, feedback_key=metric, messages=said, project=project, **texts)
    do("tie", client.feedback.log_preference, feedback_key=metric, tied="good", project=project, **both)

    do("get", client.interactions.get, completion_id=first)
    do("get other", client.interactions.get, completion_id=second)
    do("get choice", client.interactions.get, completion_id=str(chat.choices[0].completion_id))
    do("get nothing", client.interactions.get, completion_id="0192d3a4-5b6c-7d8e-9f00-112233445566")
    find = client.interactions.list
    do("list", find)
    page = do("first page", find, page={"first": 1})
    if page is not None:
        do("second page", find, page={"first": 1, "after": page.page_info.end_cursor})
    do("oldest", find, order=[{"field": "created_at", "order": "ASC"}], page={"first": 1})
    do("by label", find, filters={"labels": [{"key": "test", "value": ["local", "stream"]}]})
    do("by label key", find, filters={"labels": [{"key": "env"}]})
    do("by model", find, filters={"models": [model]})
    do("by completion", find, filters={"completion_id": first})
    do("by time", find, filters={"timerange": {"from_": "2024-02-01", "to": "2024-03-01"}})
    do("by source", find, filters={"source": ["LIVE"]})
    do("by sources", find, filters={"source": ["LIVE", "OFFLINE"]})
    do("by feedback", find, filters={"feedbacks": [{"feedback_key": metric, "metric": metric, "gte": 5}]})
    do("by preference", find, filters={"comparisons": [{"feedback_key": metric, "metric": metric}]})
    do("grouped by prompt", find, group_by="prompt", filters={"labels": [{"key": "test", "value": ["local"]}]})
    do("grouped by model", find, group_by="model")

    upload(driver, prefix)
    if hasattr(driver.projects, "share"):
        do("share", driver.projects.share, project, team="default", role="admin")
        do("unshare", driver.projects.unshare, project, team="default")
    do("default", client.models.update, model=model, is_default=True, project=project)
    do("detach", client.models.detach, model=model, project=project)
    do("terminate", client.models.terminate, model=f"{prefix}-gpt", force=True)


def upload(driver: Driver, prefix: str) -> None:
    """Upload a small file and a large one, and look at what became of them."""
    datasets, do = driver.client.datasets, driver.do
    line = {"input": [{"role": "user", "content": "Hi"}], "completion": "Ho", "feedbacks": {f"{prefix}-d": 4}}
    with tempfile.TemporaryDirectory() as directory:
        for name, padding, lines in (("small", "", 3), ("large", "x" * 1000, 6000)):
            path = f"{directory}/{name}.jsonl"
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(json.dumps({**line, "metadata": {"padding": padding}}) + "\n" for _ in range(lines))
            key = f"{prefix}.{name}"
            do(f"upload {name}", datasets.upload, file_path=path, dataset_key=key, name=f"The {name}")
        do("datasets", datasets.list)
        do("dataset", datasets.get, key=f"{prefix}.small")
        if hasattr(datasets, "download"):
            do("download", datasets.download, key=f"{prefix}.small", destination_path=f"{directory}/out.jsonl")
            with contextlib.suppress(OSError), open(f"{directory}/out.jsonl", encoding="utf-8") as file:
                driver.steps["downloaded"] = {"value": file.read()}
        if hasattr(datasets, "delete"):
            do("delete dataset", datasets.delete, key=f"{prefix}.large")
            do("datasets then", datasets.list)


if __name__ == "__main__":
    main(*sys.argv[1:])
