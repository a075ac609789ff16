"""Runs within the environment of a release of adaptive-sdk, and does what its users do; prints what it saw as JSON.

    python adaptive_driver.py sync|async < GIVEN

GIVEN is JSON: the `url` and `key` of a server, the `prefix` of what is made there, a `model` that answers, and the
`guest_key` of a user PREFIX@example.com. What differs between releases is said in the words of the newest; arguments
that a method does not have are left out.
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
import pydantic

USER, SESSION = "0192d3a4-5b6c-7d8e-9f00-00000000000a", "0192d3a4-5b6c-7d8e-9f00-00000000000b"
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
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
        self.kind = adaptive_sdk.Adaptive if mode == "sync" else adaptive_sdk.AsyncAdaptive
        self.url = url
        self.client = self.kind(base_url=url, api_key=key)
        self.steps: dict[str, Any] = {}
        self.projects = getattr(self.client, "projects", None) or self.client.use_cases
        self.old = not hasattr(self.client, "projects")

    def do(self, step: str, method: Any, *arguments: Any, **given: Any) -> Any:
        """Call a method, where the release has it; note its answer, or what it raised."""
        if method is None:
            return None
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


def main(mode: str) -> None:
    """Do it all, and print what was seen."""
    given = json.load(sys.stdin)
    driver = Driver(mode, given["url"], given["key"])
    work(driver, given["prefix"], given["model"], given["guest_key"])
    print(json.dumps(driver.steps))


def has(thing: Any, *path: str) -> Any:
    """Return what is under a path of names; None where a release has no such thing."""
    for name in path:
        thing = getattr(thing, name, None)
    return thing


def work(driver: Driver, prefix: str, model: str, guest_key: str) -> None:
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
    if not driver.old:
        do("project by its old word", client.use_cases.get, project=project)

    do("metric", client.feedback.register_key, key=metric, kind="scalar", project=project, description="How good")
    do("bool metric", client.feedback.register_key, key=other, kind="bool", project=project)
    do(
        "metric of costs", client.feedback.register_key, key=f"{prefix}-cost", kind="scalar", project=project,
        scoring_type="lower_is_better", name="Costs",
    )  # fmt: skip
    if hasattr(client.feedback, "link"):
        do("link", client.feedback.link, feedback_key=metric)
        do("unlink", client.feedback.unlink, feedback_key=metric)
        do("link again", client.feedback.link, feedback_key=metric)
        do("link bool", client.feedback.link, feedback_key=other)
        do("link costs", client.feedback.link, feedback_key=f"{prefix}-cost")
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

    do("deploy", has(client.models, "deploy"), model=model, wait=True)
    add = has(client.models, "add_to_project") or has(client.models, "add_to_use_case")
    do("add to project", add, model=f"{prefix}-echo", project=project)
    do("compute config", client.models.update_compute_config, model=model, compute_config={"tp": 1})

    said = [{"role": "user", "content": "Hello there"}]
    labels = {"test": "local", "project": "x"}
    chat = do("chat", client.chat.create, messages=said, labels=labels, n=2)
    do("chat by model", client.chat.create, messages=said, model=model, labels={"test": "named"})
    do("chat of no model", client.chat.create, messages=said, model=f"{prefix}-nothing")
    do("stream", client.chat.create, messages=said, stream=True, stream_include_usage=True, labels={"test": "stream"})
    do("embeddings", client.embeddings.create, input="sky", model=model)
    do("embeddings as text", client.embeddings.create, input="sky", model=model, encoding_format="Base64", user=USER)
    tuned = {"max_tokens": 20, "temperature": 0.5, "top_p": 0.9, "stop": ["|"]}
    in_session = do(
        "chat in a session", client.chat.create, messages=said, session_id=SESSION, user=USER, **tuned,
    )  # fmt: skip
    if "store" in inspect.signature(client.chat.create).parameters:
        unkept = do("chat unkept", client.chat.create, messages=said, store=False)
        do("get unkept", client.interactions.get, completion_id=str(unkept.choices[0].completion_id))
    if "response_format" in inspect.signature(client.chat.create).parameters:
        form = pydantic.create_model("Answer", answer=(str, ...))
        formed = do("chat in a form", client.chat.create, messages=said, response_format=form)
        do("get formed", client.interactions.get, completion_id=str(formed.choices[0].completion_id))
    if hasattr(client, "completions"):
        do("completion", client.completions.create, prompt="Once", labels={"test": "text"}, user=USER, n=2)

    one = do(
        "log", client.interactions.create, messages=said, completion="Well", labels={"env": "prod"}, model=model,
        feedbacks=[{"feedback_key": metric, "value": 4, "details": "Fine"}], created_at="2024-02-21T09:51:03Z",
    )  # fmt: skip
    two = do("log another", client.interactions.create, messages=said, completion="Hm", labels={"env": "test"})
    later = [*said, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "And then?"}]
    do("log a later turn", client.interactions.create, messages=later, completion="Later")
    if one is None or two is None or chat is None:
        return
    first, second = str(one.completion_id), str(two.completion_id)
    do("rate", client.feedback.log_metric, value=5, completion_id=first, feedback_key=metric, details="Good", user=USER)
    do("rate bool", client.feedback.log_metric, value=True, completion_id=second, feedback_key=other)
    do("rate under nothing", client.feedback.log_metric, value=5, completion_id=first, feedback_key=f"{prefix}-nothing")
    do("rate wrongly", client.feedback.log_metric, value=5, completion_id=second, feedback_key=other)
    both = {"preferred_completion": first, "other_completion": second}
    do("prefer", client.feedback.log_preference, feedback_key=metric, project=project, **both)
    texts = {"preferred_completion": {"text": "A", "model": model}, "other_completion": {"text": "B", "model": model}}
    do("prefer texts", client.feedback.log_preference, feedback_key=metric, messages=said, project=project, **texts)
    do("tie", client.feedback.log_preference, feedback_key=metric, tied="good", project=project, **both)

    images(driver)
    if in_session is not None:
        do("get in session", client.interactions.get, completion_id=str(in_session.choices[0].completion_id))
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
    do("by session", find, filters={"session_id": SESSION})
    do("by user", find, filters={"user_id": USER})
    do("by time", find, filters={"timerange": {"from_": "2024-02-01", "to": "2024-03-01"}})
    do("by source", find, filters={"source": ["LIVE"]})
    do("by sources", find, filters={"source": ["LIVE", "OFFLINE"]})
    do("by feedback", find, filters={"feedbacks": [{"feedback_key": metric, "metric": metric, "gte": 5}]})
    do("by preference", find, filters={"comparisons": [{"feedback_key": metric, "metric": metric}]})
    do("grouped by prompt", find, group_by="prompt", filters={"labels": [{"key": "test", "value": ["local"]}]})
    do("grouped by model", find, group_by="model")
    groups = do("first groups", find, group_by="prompt", page={"first": 1})
    if groups is not None:
        do("by prompt", find, filters={"prompt_hash": groups.nodes[0].key})
        do("second groups", find, group_by="prompt", page={"first": 1, "after": groups.page_info.end_cursor})
    do("in no order", find, order=[{"field": "weight", "order": "ASC"}])

    people(driver, prefix, guest_key, first)
    compare(driver, prefix, model)
    upload(driver, prefix)
    elsewhere(driver)
    do("switch off", client.models.update, model=f"{prefix}-echo", desired_online=False, project=project)
    do("chat of what is off", client.chat.create, messages=said, model=f"{prefix}-echo")
    do("switch on", client.models.update, model=f"{prefix}-echo", desired_online=True, project=project)
    do("default", client.models.update, model=model, is_default=True, project=project)
    do("detach", client.models.detach, model=model, project=project)
    do("terminate", client.models.terminate, model=f"{prefix}-gpt", force=True)
    do("terminated", client.models.get, model=f"{prefix}-gpt")


def images(driver: Driver) -> None:
    """Send and log images, in both of the ways that clients write them."""
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    flat = [parts[0], {"type": "image_url", "image_url": PIXEL}]
    chat, interactions = driver.client.chat, driver.client.interactions
    driver.do("chat with an image", chat.create, messages=[{"role": "user", "content": parts}], labels={"seen": "yes"})
    driver.do("chat with a flat image", chat.create, messages=[{"role": "user", "content": flat}])
    made = driver.do("log an image", interactions.create, messages=[{"role": "user", "content": parts}], completion="I")
    if made is not None:
        driver.do("get image", interactions.get, completion_id=str(made.completion_id))


def people(driver: Driver, prefix: str, guest_key: str, completion: str) -> None:
    """Make users; let a guest into the project by a role and out again, who tries what they may."""
    client, do = driver.client, driver.do
    project, team, email = f"{prefix}-p", f"{prefix}-g", f"{prefix}@example.com"
    guest = driver.kind(base_url=driver.url, api_key=guest_key)
    (guest.set_default_use_case if driver.old else guest.set_default_project)(project)
    hers = guest.use_cases if driver.old else guest.projects
    rating = {"value": 3, "completion_id": completion, "feedback_key": f"{prefix}-cost"}

    def tries(when: str) -> None:
        do(f"{when}: projects", hers.list)
        do(f"{when}: get", guest.interactions.get, completion_id=completion)
        do(f"{when}: rate", guest.feedback.log_metric, **rating)
        do(f"{when}: register", guest.feedback.register_key, key=f"{prefix}-{when[:6]}", kind="bool", project=project)

    do("team of guests", client.teams.create, key=team)
    if has(driver.projects, "share"):
        do("share", driver.projects.share, project, team=team, role="read-only")
    else:
        team = f"{prefix}-t"
    do("join", client.users.add_to_team, email=email, team=team, role="annotator")
    tries("reader" if "share" in driver.steps else "annotator")
    if "share" in driver.steps:
        do("share more", driver.projects.share, project, team=team, role="annotator")
        tries("annotator")
        do("unshare", driver.projects.unshare, project, team=team)
        tries("nobody")
    do("guest", guest.users.me)
    do("users", client.users.list)
    do("leave", client.users.remove_from_team, email=email, team=team)
    tries("stranger")
    do("user", has(client.users, "create"), f"{prefix}-ada@example.com", "Ada", [("default", "annotator")])
    account = do(
        "account", has(client.users, "create_service_account"), f"{prefix}-bot", [(f"{prefix}-t", "inference")]
    )
    if account is not None:
        bot = driver.kind(base_url=driver.url, api_key=account.api_key)
        bot.set_default_project(project)
        do("account calls", bot.chat.create, messages=[{"role": "user", "content": "Bot"}])
        do("account reads", bot.interactions.list)
    do("delete user", has(client.users, "delete"), f"{prefix}-ada@example.com")
    do("users then", client.users.list)


def compare(driver: Driver, prefix: str, model: str) -> None:
    """Start an A/B test, look at it, cancel it."""
    tests, do = driver.client.ab_tests, driver.do
    given = {"ab_test_key": f"{prefix}-ab", "feedback_key": f"{prefix}-m", "models": [model, f"{prefix}-gpt"]}
    do("attach external", driver.client.models.update, model=f"{prefix}-gpt", is_default=False, project=f"{prefix}-p")
    made = do("ab test", tests.create, traffic_split=0.5, **given)
    do("ab test by key", tests.get, key=f"{prefix}-ab")
    do("ab test by id", tests.get, key=str(made.id) if made else "")
    do("no ab test", tests.get, key=f"{prefix}-nothing")
    do("ab tests", tests.list, active=True)
    do("cancel", tests.cancel, key=f"{prefix}-ab")
    do("ab tests then", tests.list, active=True)
    do("ab tests by status", tests.list, status="cancelled")
    shared_out(driver, prefix, model)


def shared_out(driver: Driver, prefix: str, model: str) -> None:
    """Let two models answer by turns, rate what they said, prefer one; look at both reports."""
    client, do = driver.client, driver.do
    said, models = [{"role": "user", "content": "Which?"}], [model, f"{prefix}-echo"]
    for kind, metric in (("metric", f"{prefix}-m"), ("preference", f"{prefix}-ok")):
        key = f"{prefix}-{kind}"
        do(f"attach for {kind}", client.models.update, model=models[1], is_default=False, project=f"{prefix}-p")
        do(f"{kind} test", client.ab_tests.create, key, metric, models, feedback_type=kind)
        named = {"ab_campaign": key} if "ab_campaign" in inspect.signature(client.chat.create).parameters else {}
        answers: dict[str, str] = {}
        count = dict.fromkeys(models, 0)
        for _ in range(40):
            choice = driver._called(client.chat.create, messages=said, **named).choices[0]
            count[choice.model.rpartition("/")[2]] += 1
            answers[choice.model.rpartition("/")[2]] = str(choice.completion_id)
            if kind == "metric":
                value = 2 if choice.model.endswith("-echo") else 4
                driver._called(
                    client.feedback.log_metric,
                    value=value,
                    completion_id=str(choice.completion_id),
                    feedback_key=metric,
                )
            if min(count.values()) >= 2:
                break
        both = {"preferred_completion": answers[models[0]], "other_completion": answers[models[1]]}
        do(f"prefer in {kind} test", client.feedback.log_preference, feedback_key=metric, **both)
        if "ab_campaign" in inspect.signature(client.interactions.create).parameters:
            given = {"messages": said, "completion": "Elsewhere", "model": models[0], "ab_campaign": key}
            do(
                f"log in {kind} test",
                client.interactions.create,
                **given,
                feedbacks=[{"feedback_key": metric, "value": 1}],
            )
        driver.steps[f"{kind} count"] = {"value": count}
        do(f"{kind} report", client.ab_tests.get, key=key)
        do(f"cancel {kind} test", client.ab_tests.cancel, key=key)


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
            for form in ("original", "recipe"):
                path = f"{directory}/{form}.jsonl"
                do(f"download {form}", datasets.download, key=f"{prefix}.small", destination_path=path, format=form)
                with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
                    driver.steps[f"downloaded {form}"] = {"value": file.read()}
        if hasattr(datasets, "delete"):
            do("delete dataset", datasets.delete, key=f"{prefix}.large")
            do("datasets then", datasets.list)


def elsewhere(driver: Driver) -> None:
    """Ask for what is not done here."""
    client = driver.client
    asked: list[tuple[tuple[str, str], tuple[Any, ...]]] = [
        (("compute_pools", "list"), ()),
        (("jobs", "list"), ()),
        (("recipes", "list"), ()),
        (("graders", "list"), ()),
        (("integrations", "list"), ("default",)),
        (("judges", "list"), ()),
        (("reward_servers", "list"), ()),
        (("custom_recipes", "list"), ()),
        (("evaluation", "jobs", "list"), ()),
        (("training", "jobs", "list"), ()),
        (("artifacts", "download"), ("0192d3a4-5b6c-7d8e-9f00-112233445566", "/dev/null")),
    ]  # fmt: skip
    for path, arguments in asked:
        driver.do(f"elsewhere {'.'.join(path)}", has(client, *path), *arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
