"""A/B tests: how calls are shared out, what counts, and how a test ends."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

Refused = Callable[..., dict[str, Any]]


class Arena:
    """A project with two echo models that stand in an A/B test, and a third that is its default."""

    def __init__(self, http: httpx.Client, project: str) -> None:
        self.http = http
        self.project = project
        self.default, *self.models = (f"{name}-{uuid4().hex[:8]}" for name in ("plain", "a", "b"))
        for model in (self.default, *self.models):
            self.post("models", key=model, provider="echo", project=project).raise_for_status()
        self.post("metrics", key="good", kind="bool", project=project).raise_for_status()
        self.post("metrics", key="seconds", scoring_type="lower_is_better", project=project).raise_for_status()
        self.key = f"test-{uuid4().hex[:8]}"

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(f"/api/v1/{path}", json=body)

    def start(self, **more: Any) -> httpx.Response:
        """Start a test."""
        body = {"key": self.key, "project": self.project, "metric": "good", "models": self.models}
        return self.post("ab-tests", **{**body, **more})

    def show(self) -> dict[str, Any]:
        """Return the test."""
        return self.http.get(f"/api/v1/ab-tests/{self.key}").raise_for_status().json()

    def ask(self, model: str | None = None, **more: Any) -> httpx.Response:
        """Call a model: by default none, in the project."""
        messages = [{"role": "user", "content": "Hello"}]
        return self.post("chat/completions", model=model or self.project, messages=messages, **more)

    def asked(self, number: int, **more: Any) -> list[tuple[str, str]]:
        """Make calls; return the model and the completion_id of each."""
        choices = [self.ask(**more).raise_for_status().json()["choices"][0] for _ in range(number)]
        return [(choice["model"], choice["completion_id"]) for choice in choices]

    def logged(self, model: str, number: int, values: list[Any], metric: str = "good") -> list[str]:
        """Log interactions of the test with a value on each, these in turn; return their ids."""
        lines = [
            {
                "messages": [{"role": "user", "content": "Hello"}], "completion": "Hi", "project": self.project,
                "model": model, "ab_campaign": self.key, "completion_id": str(uuid4()),
                "feedbacks": [{"metric": metric, "value": values[place % len(values)]}] if values else [],
            }
            for place in range(number)
        ]  # fmt: skip
        body = b"\n".join(httpx.Request("POST", "http://x", json=line).content for line in lines)
        answer = self.http.post("/api/v1/interactions/batch", content=body)
        assert {line["status"] for line in map(_line, answer.text.splitlines())} == {201}, answer.text
        return [line["completion_id"] for line in lines]

    def judged(self, sessions: list[tuple[list[str], list[Any]]], metric: str = "good") -> list[str]:
        """Log sessions, each of turns by these models with these outcomes; return their ids."""
        ids = [str(uuid4()) for _ in sessions]
        turn = {"messages": [{"role": "user", "content": "Hello"}], "completion": "Hi", "project": self.project}
        turns = [
            {**turn, "session_id": id, "model": model, "ab_campaign": None if model == self.default else self.key}
            for id, (models, _) in zip(ids, sessions, strict=True)
            for model in models
        ]
        outcomes = [
            {"project": self.project, "session_id": id, "metric": metric, "value": value}
            for id, (_, values) in zip(ids, sessions, strict=True)
            for value in values
        ]
        for path, lines in (("interactions", turns), ("outcomes", outcomes)):
            answer = self.http.post(f"/api/v1/{path}/batch", json=lines)
            assert {_line(line)["status"] for line in answer.text.splitlines()} <= {201}, answer.text
        return ids

    def default_model(self) -> str:
        """Return what is called where no model is named."""
        models = self.http.get(f"/api/v1/projects/{self.project}/models").json()["models"]
        return next(one["model"] for one in models if one["is_default"])


def _line(text: str) -> dict[str, Any]:
    return httpx.Response(200, text=text).json()


@pytest.fixture
def arena(http: httpx.Client, project: str) -> Arena:
    return Arena(http, project)


# ------------------------------------------------------------------------------------------------ starting


def test_a_test_starts_with_defaults(arena: Arena):
    made = arena.start()
    assert made.status_code == 201
    test = made.json()
    assert test | {"id": 0, "created_at": 0, "report": 0} == {
        "id": 0, "key": arena.key, "name": arena.key, "project": arena.project, "metric": "good",
        "models": arena.models, "feedback_type": "metric", "level": "interaction", "traffic_split": 1.0,
        "auto_deploy": False, "alpha": 0.05, "status": "warmup",
        "created_at": 0, "ended_at": None, "winner": None, "feedbacks": 0, "has_enough_feedbacks": False, "report": 0,
    }  # fmt: skip
    nothing = {"feedbacks": 0, "mean": None, "interval": None, "comparisons": None}
    variants = [{"model": model, **nothing} for model in arena.models]
    assert test["report"] == {"p_value": None, "variants": variants, "mixed_sessions": None}
    assert arena.http.get(f"/api/v1/ab-tests/{test['id']}").json() == arena.show() == test


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        ({"models": ["nobody", "echo"]}, 422, "model_not_callable", "models[0]"),
        ({"models": ["one"]}, 422, None, "models"),
        ({"metric": "unknown"}, 404, "metric_not_found", "metric"),
        ({"project": "nowhere"}, 404, "project_not_found", "project"),
        ({"traffic_split": 1.5}, 422, None, "traffic_split"),
        ({"feedback_type": "stars"}, 422, None, "feedback_type"),
        ({"key": "a/b"}, 422, "invalid_key", "key"),
        ({"level": "project"}, 422, None, "level"),
        ({"level": "session", "feedback_type": "preference"}, 422, "no_session_preferences", "level"),
    ],
)
def test_what_cannot_be_tested_is_refused_by_its_field(
    arena: Arena, refused: Refused, change: Any, status: int, code: str | None, param: str
):
    refused(arena.start(**change), status, code, param)


def test_a_model_stands_in_a_test_once(arena: Arena, refused: Refused):
    model = arena.models[0]
    refused(arena.start(models=[model, f"{arena.project}/{model}"]), 422, "same_model", "models[1]")


def test_a_project_has_one_test_at_a_time_and_keys_are_unique_over_all(
    arena: Arena, http: httpx.Client, refused: Refused
):
    arena.start().raise_for_status()
    refused(arena.start(key=f"{arena.key}-2"), 409, "ab_test_under_way", "project")
    arena.post(f"ab-tests/{arena.key}/cancel").raise_for_status()
    refused(arena.start(), 409, "ab_test_exists", "key")
    assert arena.start(key=f"{arena.key}-2").status_code == 201
    query = {"project": arena.project}

    def keys(**more: Any) -> list[str]:
        listed = http.get("/api/v1/ab-tests", params=query | more).raise_for_status().json()["ab_tests"]
        assert all(one["report"] is None for one in listed)
        return [one["key"] for one in listed]

    assert keys() == [f"{arena.key}-2", arena.key]
    assert keys(active=True) == keys(status="warmup") == [f"{arena.key}-2"]
    assert keys(active=False) == keys(status="cancelled") == [arena.key]
    assert keys(status="done") == []


def test_keys_of_other_projects_see_nothing_of_it(arena: Arena, server: Any, refused: Refused):
    arena.start().raise_for_status()
    made = arena.post("keys", name="other", role="admin", projects=["default"]).json()
    with server.client(made["api_key"]) as other:
        assert arena.key not in other.get("/api/v1/ab-tests").text
        refused(other.get(f"/api/v1/ab-tests/{arena.key}"), 404, "ab_test_not_found", "test")
        refused(other.post(f"/api/v1/ab-tests/{arena.key}/cancel", json={}), 404, "ab_test_not_found", "test")
        body = {"messages": [{"role": "user", "content": "x"}], "ab_campaign": arena.key}
        refused(other.post("/api/v1/chat/completions", json=body), 404, "ab_test_not_found", "ab_campaign")


# ------------------------------------------------------------------------------------------------ sharing out


def test_calls_that_name_no_model_are_shared_out_equally(arena: Arena):
    arena.start().raise_for_status()
    shares = Counter(model for model, _ in arena.asked(60))
    assert set(shares) == set(arena.models)
    # Fewer than 12 of 60 come once in half a million times.
    assert min(shares.values()) >= 12
    assert arena.ask(f"{arena.project}/{arena.default}").json()["choices"][0]["model"] == arena.default


def test_the_split_is_the_share_of_the_calls_that_take_part(arena: Arena):
    arena.start(traffic_split=0).raise_for_status()
    assert {model for model, _ in arena.asked(5)} == {arena.default}
    assert {model for model, _ in arena.asked(20, ab_campaign=arena.key)} == set(arena.models)
    arena.post(f"ab-tests/{arena.key}/cancel").raise_for_status()
    arena.start(key=f"{arena.key}-half", traffic_split=0.5).raise_for_status()
    shares = Counter(model == arena.default for model, _ in arena.asked(60))
    assert min(shares[True], shares[False]) >= 12


def test_a_session_stays_with_its_model_from_its_first_turn(arena: Arena):
    arena.start(traffic_split=0.7).raise_for_status()
    seen = set()
    for _ in range(8):
        first = arena.ask().json()
        model = first["choices"][0]["model"]
        seen.add(model)
        assert {one for one, _ in arena.asked(2, session_id=first["session_id"])} == {model}
    assert len(seen) > 1


def test_streams_and_old_completions_take_part(arena: Arena):
    arena.start().raise_for_status()
    body = {"model": arena.project, "messages": [{"role": "user", "content": "x"}], "stream": True}
    with arena.http.stream("POST", "/api/v1/chat/completions", json=body) as answer:
        line, *_ = [line for line in answer.iter_lines() if line.startswith("data: {")]
    ids = [_line(line[6:])["choices"][0]["completion_id"]]
    text = arena.post("completions", model=arena.project, prompt=["x", "y"], n=2).raise_for_status().json()
    ids += [choice["completion_id"] for choice in text["choices"]]
    assert {choice["model"] for choice in text["choices"]} <= set(arena.models)
    assert len(ids) == 5
    for completion_id in ids:
        arena.post("feedback", completion_id=completion_id, metric="good", value=True).raise_for_status()
    assert arena.show()["feedbacks"] == 5
    embedded = arena.post("embeddings", model=arena.project, input="x").raise_for_status().json()
    assert embedded["data"]


def test_a_call_may_name_the_test_and_one_of_its_models(arena: Arena, refused: Refused):
    arena.start().raise_for_status()
    model = arena.models[1]
    [(called, completion_id)] = arena.asked(1, model=f"{arena.project}/{model}", ab_campaign=arena.key)
    assert called == model
    assert arena.http.get(f"/api/v1/interactions/{completion_id}").json()["ab_campaign"] == arena.key
    arena.post("feedback", completion_id=completion_id, metric="good", value=True).raise_for_status()
    assert [one["feedbacks"] for one in arena.show()["report"]["variants"]] == [0, 1]
    wrong = arena.ask(f"{arena.project}/{arena.default}", ab_campaign=arena.key)
    assert arena.models[0] in refused(wrong, 400, "model_not_in_ab_test", "model")["hint"]
    refused(arena.ask("default", ab_campaign=arena.key), 404, "ab_test_not_found", "ab_campaign")
    refused(arena.ask(ab_campaign="nothing"), 404, "ab_test_not_found", "ab_campaign")
    messages = [{"role": "user", "content": "x"}]
    # Without any model: the test says where.
    answer = arena.post("chat/completions", messages=messages, ab_campaign=arena.show()["id"]).json()
    assert answer["choices"][0]["model"] in arena.models


def test_a_model_that_cannot_be_called_is_passed_over(arena: Arena, refused: Refused):
    arena.start().raise_for_status()
    gone, left = arena.models
    sessions = [str(uuid4()) for _ in range(8)]
    before = {one: arena.asked(1, session_id=one)[0][0] for one in sessions}
    place = f"/api/v1/projects/{arena.project}/models"
    arena.http.patch(f"{place}/{gone}", json={"enabled": False}).raise_for_status()
    assert {model for model, _ in arena.asked(5)} == {left}
    arena.http.patch(f"{place}/{gone}", json={"enabled": True}).raise_for_status()
    assert {one: arena.asked(1, session_id=one)[0][0] for one in sessions} == before
    for model in (gone, left):
        arena.http.delete(f"/api/v1/models/{model}").raise_for_status()
    assert {model for model, _ in arena.asked(2)} == {arena.default}
    refused(arena.ask(ab_campaign=arena.key), 409, "no_model_of_ab_test", "ab_campaign")
    assert arena.show()["models"] == arena.models


def test_what_is_not_stored_is_routed_and_counts_nothing(arena: Arena, refused: Refused):
    arena.start().raise_for_status()
    [(model, completion_id)] = arena.asked(1, store=False)
    assert model in arena.models
    rated = arena.post("feedback", completion_id=completion_id, metric="good", value=True)
    refused(rated, 404, "completion_not_stored")
    assert arena.show()["feedbacks"] == 0


def test_the_fallback_answers_for_the_model_that_was_drawn(gateway: Any, http: httpx.Client):
    arena = Arena(http, gateway.project)
    broken = gateway.model("error-503", fallback=arena.default).partition("/")[2]
    arena.start(models=[broken, arena.models[0]]).raise_for_status()
    answer = arena.ask(f"{arena.project}/{broken}", ab_campaign=arena.key).raise_for_status().json()
    [choice] = answer["choices"]
    assert choice["model"] == arena.default
    arena.post("feedback", completion_id=choice["completion_id"], metric="good", value=True).raise_for_status()
    assert [one["feedbacks"] for one in arena.show()["report"]["variants"]] == [1, 0]


# ------------------------------------------------------------------------------------------------ counting


def test_the_report_is_exact_also_after_changes_and_deletions(arena: Arena):
    arena.start(metric="seconds").raise_for_status()
    ids = arena.logged(arena.models[0], 4, [1, 2, 3, 6], "seconds")
    arena.logged(arena.models[1], 2, [1], "good")
    arena.post("feedback", completion_id=ids[0], metric="seconds", value=8).raise_for_status()
    arena.post("feedback", completion_id=ids[0], metric="good", value=True).raise_for_status()
    outside = arena.post(
        "interactions", messages=[{"role": "user", "content": "x"}], completion="y", project=arena.project,
        model=arena.models[0], feedbacks=[{"metric": "seconds", "value": 1000}],
    )  # fmt: skip
    outside.raise_for_status()

    def report_numbers() -> tuple[Any, ...]:
        test = arena.show()
        first, second = test["report"]["variants"]
        return test["feedbacks"], first["feedbacks"], first["mean"], second["feedbacks"], second["mean"]

    assert report_numbers() == (5, 5, 4, 0, None)
    arena.http.delete(f"/api/v1/interactions/{ids[0]}").raise_for_status()
    assert report_numbers() == (3, 3, pytest.approx(11 / 3), 0, None)


def test_a_test_of_sessions_counts_each_session_once(arena: Arena):
    arena.start(metric="seconds", level="session").raise_for_status()
    first, second = arena.models
    of_one_model, of_both, *_ = arena.judged(
        [
            ([first, arena.default, first, first], [8]),
            ([first, second], [1000]),
            ([first, first], [2, 4]),
            ([second], [5]),
            ([second, second], []),
            ([arena.default, arena.default], [1000]),
        ],
        "seconds",
    )
    # An interaction without a session_id is a session of its own. Feedback on interactions does not count.
    [opener, _] = arena.logged(second, 2, [1000], "seconds")
    arena.post("outcomes", project=arena.project, session_id=opener, metric="seconds", value=7).raise_for_status()

    def report_numbers() -> tuple[Any, ...]:
        test = arena.show()
        variants = [(one["feedbacks"], one["mean"]) for one in test["report"]["variants"]]
        return test["level"], test["feedbacks"], variants, test["report"]["mixed_sessions"]

    assert report_numbers() == ("session", 4, [(2, 5.5), (2, 6)], 1)
    arena.http.delete(f"/api/v1/sessions/{of_both}", params={"project": arena.project}).raise_for_status()
    arena.post("outcomes", project=arena.project, session_id=of_one_model, metric="seconds", value=1e200)
    test = arena.show()
    assert (test["report"]["variants"][0]["feedbacks"], test["report"]["mixed_sessions"]) == (2, 0)


def test_a_preference_test_counts_preferences_between_its_models_alone(arena: Arena):
    arena.start(feedback_type="preference").raise_for_status()
    first, second = (arena.logged(model, 3, [True]) for model in arena.models)

    def prefer(one: str, other: str, **more: Any) -> str:
        body = {"metric": "good", "preferred_completion": one, "other_completion": other, **more}
        return arena.post("comparison", **body).raise_for_status().json()["comparison_id"]

    prefer(first[0], second[0])
    prefer(first[1], second[1])
    prefer(second[2], first[2])
    prefer(second[0], first[1], tied="good")
    prefer(first[0], second[1], tied="bad")
    prefer(first[0], first[1])
    prefer(first[0], second[0], metric="seconds")
    test = arena.show()
    assert test["feedbacks"] == 5
    one, other = test["report"]["variants"]
    counts = {"feedbacks": 5, "ties_good": 1, "ties_bad": 1}
    assert one["comparisons"] == [{"model": arena.models[1], "wins": 2, "losses": 1, **counts}]
    assert other["comparisons"] == [{"model": arena.models[0], "wins": 1, "losses": 2, **counts}]
    assert (one["mean"], other["mean"]) == (0.6, 0.4)
    arena.http.delete(f"/api/v1/interactions/{second[2]}").raise_for_status()
    assert arena.show()["report"]["variants"][0]["comparisons"][0]["losses"] == 0


def test_a_logged_interaction_names_the_test_and_one_of_its_models(arena: Arena, refused: Refused):
    body = {"messages": [{"role": "user", "content": "x"}], "completion": "y", "ab_campaign": arena.key}
    refused(arena.post("interactions", **body), 404, "ab_test_not_found", "ab_campaign")
    arena.start().raise_for_status()
    refused(arena.post("interactions", **body), 422, "model_not_in_ab_test", "model")
    refused(arena.post("interactions", **body, model=arena.default), 422, "model_not_in_ab_test", "model")
    elsewhere = {**body, "model": arena.models[0], "project": "default"}
    refused(arena.post("interactions", **elsewhere), 422, "model_not_in_ab_test", "model")
    logged = {**body, "model": arena.models[0], "completion_id": str(uuid4())}
    # Once more it is the same, and counts once.
    for _ in range(2):
        assert arena.post("interactions", **logged).status_code == 201
    arena.post("feedback", completion_id=logged["completion_id"], metric="good", value=False).raise_for_status()
    assert arena.show()["report"]["variants"][0]["mean"] == 0
    arena.post(f"ab-tests/{arena.key}/cancel").raise_for_status()
    refused(arena.post("interactions", **{**body, "model": arena.models[0]}), 409, "ab_test_ended", "ab_campaign")


# ------------------------------------------------------------------------------------------------ ending


def test_a_test_warms_up_runs_and_ends_by_itself(arena: Arena):
    arena.start(auto_deploy=True).raise_for_status()
    worse, better = arena.models
    arena.logged(worse, 30, [True, False, False])
    arena.logged(better, 29, [False, True, True])
    assert arena.show()["status"] == "warmup"
    arena.logged(better, 1, [False])
    test = arena.show()
    assert (test["status"], test["has_enough_feedbacks"]) == ("in_progress", True)
    assert 0.05 < test["report"]["p_value"] < 1
    for variant in test["report"]["variants"]:
        assert variant["interval"]["start"] < variant["interval"]["middle"] < variant["interval"]["end"]
    assert arena.default_model() == arena.default
    arena.logged(worse, 100, [True, False, False, False])
    arena.logged(better, 100, [True, True, True, False])
    test = arena.show()
    assert (test["status"], test["winner"]) == ("done", better)
    assert test["report"]["p_value"] <= 0.05
    assert test["ended_at"]
    assert arena.default_model() == better
    assert {model for model, _ in arena.asked(5)} == {better}


def test_graphql_starts_and_shows_a_test_of_sessions(arena: Arena):
    mutation = "mutation M($i: AbcampaignCreate!) { createAbCampaign(input: $i) { level report { mixedSessions } } }"
    fields = {"key": arena.key, "metric": "good", "project": arena.project, "modelServices": arena.models}
    created = {**fields, "autoDeploy": False, "trafficSplit": 1.0, "level": "SESSION"}
    answer = arena.http.post("/api/graphql", json={"query": mutation, "variables": {"i": created}}).json()
    assert answer == {"data": {"createAbCampaign": {"level": "SESSION", "report": {"mixedSessions": 0}}}}


def test_a_test_of_sessions_ends_by_outcomes_without_anyone_looking(arena: Arena):
    arena.start(level="session", auto_deploy=True).raise_for_status()
    worse, better = arena.models
    # Many turns are no more evidence than one.
    arena.judged([([worse] * 4, [place % 3 == 0]) for place in range(30)])
    arena.judged([([better] * 4, [place % 3 != 0]) for place in range(29)])
    assert arena.show()["status"] == "warmup"
    arena.judged([([better], [True])])
    assert arena.show()["status"] == "in_progress"
    arena.judged([([worse], [False]) for _ in range(60)])
    arena.judged([([better], [True]) for _ in range(60)])
    end = time.monotonic() + 20
    while arena.default_model() != better:
        assert time.monotonic() < end, "the server did not end the test by itself"
    assert arena.show()["winner"] == better


def test_the_better_model_is_the_one_that_the_metric_says(arena: Arena):
    arena.start(metric="seconds").raise_for_status()
    slow, fast = arena.models
    arena.logged(slow, 60, [4, 5, 6], "seconds")
    arena.logged(fast, 60, [1, 2, 3], "seconds")
    assert arena.show()["winner"] == fast
    assert arena.default_model() == arena.default


def test_a_preference_test_ends(arena: Arena):
    arena.start(feedback_type="preference").raise_for_status()
    first, second = (arena.logged(model, 60, []) for model in arena.models)
    for place, (one, other) in enumerate(zip(first, second, strict=True)):
        sides = (one, other) if place % 6 == 0 else (other, one)
        body = {"metric": "good", "preferred_completion": sides[0], "other_completion": sides[1]}
        arena.post("comparison", **body).raise_for_status()
    assert arena.show()["winner"] == arena.models[1]


def test_a_cancelled_test_takes_no_more_calls_and_keeps_what_was_counted(arena: Arena, refused: Refused):
    arena.start().raise_for_status()
    [completion_id] = arena.logged(arena.models[0], 1, [True])
    cancelled = arena.post(f"ab-tests/{arena.key}/cancel").raise_for_status().json()
    assert (cancelled["status"], cancelled["winner"], cancelled["feedbacks"]) == ("cancelled", None, 1)
    refused(arena.post(f"ab-tests/{arena.key}/cancel"), 409, "ab_test_ended", "test")
    refused(arena.ask(ab_campaign=arena.key), 409, "ab_test_ended", "ab_campaign")
    assert {model for model, _ in arena.asked(5)} == {arena.default}
    arena.post("feedback", completion_id=completion_id, metric="good", value=True).raise_for_status()
    assert arena.show()["feedbacks"] == 2


def test_a_test_goes_on_after_a_restart_and_ends_without_anyone_looking(new_server: Any):
    server = new_server()
    with server.client() as http:
        http.post("/api/v1/projects", json={"key": "p"}).raise_for_status()
        arena = Arena(http, "p")
        arena.start(auto_deploy=True).raise_for_status()
        arena.logged(arena.models[0], 5, [True])
    server.stop()
    server.start()
    with server.client() as http:
        arena.http = http
        assert {model for model, _ in arena.asked(20)} == set(arena.models)
        arena.logged(arena.models[0], 60, [True])
        arena.logged(arena.models[1], 60, [False])
        end = time.monotonic() + 20
        while arena.default_model() != arena.models[0]:
            assert time.monotonic() < end, "the server did not end the test by itself"
        assert arena.show()["status"] == "done"
