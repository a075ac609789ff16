"""The published adaptive-sdk, unmodified: what its users do against their own server, they do here.

`adaptive_driver.py` runs in the environment of a release, once for its sync and once for its async client; the tests
look at what it saw. Errors that are the client's own are asserted as such, so that a release that mends them is
noticed.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

NEWEST, WITH_PROJECTS, WITHOUT_FILTERS, OLDEST = "0.14.2", "0.13.0", "0.12.4", "0.1.1"
SOME = [OLDEST, "0.1.5", "0.1.14", WITHOUT_FILTERS, WITH_PROJECTS, NEWEST]
ALL = [
    *(f"0.1.{number}" for number in range(1, 15)),
    *("0.12.0", "0.12.2", "0.12.3", "0.12.4", "0.13.0", "0.14.0", "0.14.2"),
]
RELEASES = ALL if os.environ.get("AFTERWORD_ALL_CLIENTS") else SOME
CASES = [
    pytest.param((release, mode), id=f"{release}-{mode}", marks=pytest.mark.xdist_group(f"adaptive-{release}-{mode}"))
    for release in RELEASES
    for mode in ("sync", "async")
]
pytestmark = [pytest.mark.timeout(600), pytest.mark.parametrize("seen", CASES, indirect=True)]


def version(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


class Seen:
    """What a release saw. Members that are called feedbacks up to 0.13.0 are found under their later name, scores."""

    def __init__(self, release: str, mode: str, prefix: str, steps: dict[str, Any]) -> None:
        self.release = release
        self.mode = mode
        self.prefix = prefix
        self.steps = steps

    def __contains__(self, step: str) -> bool:
        return step in self.steps

    def __call__(self, step: str) -> Any:
        """Return what a step answered."""
        assert "value" in self.steps[step], f"{step}: {self.steps[step]}"
        return _renamed(self.steps[step]["value"])

    def error(self, step: str) -> str:
        """Return the kind and text of the error that a step ended with."""
        assert "error" in self.steps[step], f"{step}: {self.steps[step]}"
        return f"{self.steps[step]['error']}: {self.steps[step]['text']}"

    def from_(self, release: str) -> bool:
        return version(self.release) >= version(release)


def _renamed(value: Any) -> Any:
    names = {"direct_feedbacks": "direct_scores", "comparison_feedbacks": "comparison_scores", "feedbacks": "scores"}
    names |= {"direct_feedbacks_stats": "direct_scores_stats", "use_cases": "projects"}
    names |= {"has_direct_feedbacks": "has_direct_scores", "has_comparison_feedbacks": "has_comparison_scores"}
    if isinstance(value, dict):
        return {names.get(name, name): _renamed(one) for name, one in value.items()}
    return [_renamed(one) for one in value] if isinstance(value, list) else value


_seen: dict[tuple[str, str], Seen] = {}


@pytest.fixture
def seen(request: pytest.FixtureRequest, server: Any, python_with: Callable[[str], Path]) -> Seen:
    """Drive a release, once for all tests."""
    release, mode = request.param
    if (release, mode) not in _seen:
        prefix = f"sdk-{release.replace('.', '-')}-{mode}-{uuid4().hex[:6]}"
        python = python_with(f"adaptive-sdk=={release}")
        driver = Path(__file__).with_name("adaptive_driver.py")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [str(python), str(driver), mode, server.url, server.api_key, prefix, "echo"],
            env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        _seen[release, mode] = Seen(release, mode, prefix, json.loads(done.stdout.splitlines()[-1]))
    return _seen[release, mode]


def nodes(page: Any) -> list[str]:
    return [one["completion"] for one in page["nodes"]]


# ------------------------------------------------------------------------------------------------ projects and people


def test_projects_are_created_found_and_listed(seen: Seen):
    made = seen("project")
    assert (made["key"], made["name"], made["description"]) == (f"{seen.prefix}-p", "A project", "")
    assert seen("project by key")["id"] == seen("project by id")["id"] == made["id"]
    if seen.release == OLDEST:
        # Its default use case wins over the one that is named.
        assert seen("no project")["id"] == made["id"]
    else:
        assert seen("no project") is None
    assert made["key"] in {one["key"] for one in seen("projects")}
    assert isinstance(made["created_at"], int)


def test_teams_roles_and_permissions_are_there(seen: Seen):
    assert seen("team")["key"] in {one["key"] for one in seen("teams")}
    assert "default" in {one["key"] for one in seen("teams")}
    assert seen("role")["permissions"] == ["project:read"]
    assert seen("role")["key"] in {one["key"] for one in seen("roles")}
    assert "project:read" in seen("permissions")
    assert seen("me")["name"] == "administrator"


def test_projects_are_shared_with_teams(seen: Seen):
    if "share" in seen:
        owner = (f"{seen.prefix}-t", "admin", True)
        keys = [[(one["team"]["key"], one["role"]["key"], one["is_owner"]) for one in seen(step)["shares"]]
                for step in ("share", "unshare")]  # fmt: skip
        assert sorted(keys[0]) == sorted([owner, ("default", "admin", False)])
        assert keys[1] == [owner]


# ------------------------------------------------------------------------------------------------ metrics, models


def test_metrics_are_registered_linked_and_listed(seen: Seen):
    made = seen("metric")
    assert (made["key"], made["kind"], made["description"]) == (f"{seen.prefix}-m", "SCALAR", "How good")
    assert made["scoring_type"] == "HIGHER_IS_BETTER"
    assert seen("bool metric")["kind"] == "BOOL"
    assert seen("metric by key")["id"] == made["id"]
    assert seen("no metric") is None
    [listed] = [one for one in seen("metrics") if one["id"] == made["id"]]
    assert [one["key"] for one in listed["projects"]] == [f"{seen.prefix}-p"]
    assert ("link" in seen) == (not seen.from_(WITH_PROJECTS))
    if "link" in seen:
        assert seen("link")["id"] == seen("link again")["id"] == made["id"]


def test_models_are_listed_registered_and_attached(seen: Seen):
    assert "echo" in {one["key"] for one in seen("models")}
    assert seen("model by key")["online"] == "ONLINE"
    assert (seen("attach")["key"], seen("attach")["is_default"]) == ("echo", True)
    made = seen("external") if seen.from_("0.1.14") else seen("external by old word")
    assert (made["key"], made["provider_name"], made["online"]) == (f"{seen.prefix}-gpt", "OPEN_AI", "ONLINE")
    if not seen.from_("0.1.14"):
        assert "gpt-4o-mini" in seen.error("external")


def test_models_are_taken_out_of_projects_again(seen: Seen):
    assert seen("default")["is_default"]
    detached = seen("detach")
    if seen.mode == "async" and seen.from_("0.1.14"):
        # The client sends a change of nothing.
        assert detached["is_default"]
    else:
        assert detached is True or not detached["attached"]
    assert seen("terminate") == "OK"


# ------------------------------------------------------------------------------------------------ calls


def test_chat_answers_with_ids_of_its_own_and_is_logged(seen: Seen):
    answer = seen("chat")
    takes_n = not seen.from_("0.14.0")
    ids = {choice["completion_id"] for choice in answer["choices"]}
    assert len(ids) == len(answer["choices"]) == (2 if takes_n else 1)
    assert answer["id"] not in ids
    assert {choice["message"]["content"] for choice in answer["choices"]} == {"Hello there"}
    assert answer["usage"]["total_tokens"] > 0
    logged = seen("get choice")
    assert (logged["id"], logged["completion"], logged["source"]) == (
        answer["choices"][0]["completion_id"], "Hello there", "LIVE",
    )  # fmt: skip
    assert {(one["key"], one["value"]) for one in logged["labels"]} == {("test", "local"), ("project", "x")}
    assert logged["model"]["key"] == "echo"
    assert logged["metadata"]["usage"]["total_tokens"] > 0
    assert "is not one that can be called here" in seen.error("chat of no model")


def test_streams_carry_one_completion_id_and_end_with_the_usage(seen: Seen):
    chunks = seen("stream")
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert len({choice["completion_id"] for choice in choices}) == 1
    assert "".join(choice["delta"]["content"] for choice in choices) == "Hello there"
    assert {choice["delta"]["role"] for choice in choices} == {"assistant"}
    assert [chunk["usage"]["total_tokens"] > 0 for chunk in chunks if not chunk["choices"]] in ([], [True])


def test_embeddings_come_also_from_a_body_that_is_encoded_twice(seen: Seen):
    [one] = seen("embeddings")["data"]
    assert all(isinstance(number, float) for number in one["embedding"])


def test_old_completions_are_served_to_those_who_ask_for_them(seen: Seen):
    if "completion" in seen:
        assert seen("completion")["choices"][0]["text"] == "Once"


# ------------------------------------------------------------------------------------------------ interactions


def test_what_was_logged_and_rated_is_found_whole(seen: Seen):
    one = seen("get")
    assert (one["completion"], one["source"], one["model"]["key"]) == ("Well", "OFFLINE", "echo")
    assert one["chat_messages"] == [{"role": "user", "content": "Hello there"}]
    assert one["labels"] == [{"key": "env", "value": "prod"}]
    scores = {(given["value"], given["details"], given["metric"]["key"]) for given in one["direct_scores"]}
    assert scores == {(4.0, "Fine", f"{seen.prefix}-m"), (5.0, "Good", f"{seen.prefix}-m")}
    assert one["id"] == seen("log")["completion_id"]
    assert len(seen("log")["feedback_ids"]) == 1
    if seen.mode == "sync":
        assert one["created_at"] == 1_708_509_063_000
    if seen.release == OLDEST:
        assert one["prompt"] == "Hello there"
    assert seen("get nothing") is None


def test_a_preference_is_seen_from_both_completions(seen: Seen):
    first, second = (seen(step)["completion_id"] for step in ("log", "log another"))
    for step in ("get", "get other"):
        [given] = seen(step)["comparison_scores"]
        assert (given["prefered_completion"]["id"], given["other_completion"]["id"]) == (first, second)
        assert given["metric"]["key"] == f"{seen.prefix}-m"
    assert seen("prefer texts")["comparison_id"]
    # No release can send a tie.
    assert "not JSON serializable" in seen.error("tie")


def test_feedback_that_cannot_be_is_refused_readably(seen: Seen):
    unknown, wrong = seen.error("rate under nothing"), seen.error("rate wrongly")
    if seen.from_(WITH_PROJECTS):
        assert unknown.startswith("AdaptiveEntityNotFoundError: Feedback key does not exist")
    else:
        assert "EntityNotFound: metric" in unknown
    assert "is bool" in wrong
    assert seen("get other")["direct_scores"][0]["value"] == 1.0


def test_lists_are_paged_ordered_and_counted(seen: Seen):
    everything = seen("list")
    assert everything["total_count"] == len(everything["nodes"])
    first, second = seen("first page"), seen("second page")
    assert first["page_info"]["has_next_page"]
    assert [one["id"] for one in (*first["nodes"], *second["nodes"])] == [one["id"] for one in everything["nodes"][:2]]
    assert first["total_count"] == everything["total_count"]
    assert seen("oldest")["nodes"][0]["id"] == everything["nodes"][-1]["id"]


def test_filters_mean_what_their_words_say_where_the_client_sends_them(seen: Seen):
    everything = seen("list")["total_count"]
    if version("0.1.14") <= version(seen.release) <= version(WITHOUT_FILTERS):
        # These releases lose every filter on the way.
        for step in ("by label", "by model", "by completion", "by time", "by source"):
            assert seen(step)["total_count"] == everything
        return
    called = len(seen("chat")["choices"])
    assert seen("by label")["total_count"] == called + 1
    assert sorted(nodes(seen("by label key"))) == ["Hm", "Well"]
    assert set(nodes(seen("by model"))) >= {"Well", "A", "B"}
    assert "Hm" not in nodes(seen("by model"))
    assert nodes(seen("by completion")) == ["Well"]
    assert nodes(seen("by time")) == (["Well"] if seen.mode == "sync" else [])
    assert {one["source"] for one in seen("by source")["nodes"]} == {"LIVE"}
    assert seen("by sources")["total_count"] == everything


def test_filters_that_the_client_loses_are_refused_with_the_way_round(seen: Seen):
    if seen.from_("0.14.0"):
        for step in ("by feedback", "by preference"):
            assert "empty condition" in seen.error(step)
            assert "/api/v1/interactions/search" in seen.error(step)
    elif seen.from_(WITH_PROJECTS):
        assert "empty condition" in seen.error("by preference")


def test_groups_have_their_counts_and_interactions(seen: Seen):
    by_model = {one["key"]: one for one in seen("grouped by model")["nodes"]}
    assert seen("grouped by model")["total_count"] == len(by_model)
    assert nodes(by_model[None]["completions"]) == ["Hm"]
    [stats] = [one for one in by_model["echo"]["direct_scores_stats"] if one["metric"]["key"] == f"{seen.prefix}-m"]
    assert (stats["scores"], stats["average"], stats["min"], stats["max"], stats["sum"]) == (2, 4.5, 4.0, 5.0, 9.0)
    by_prompt = seen("grouped by prompt")
    assert (by_prompt["total_count"], by_prompt["group_by"]) == (len(by_prompt["nodes"]), "PROMPT")


# ------------------------------------------------------------------------------------------------ A/B tests


def test_ab_tests_are_started_shown_and_cancelled(seen: Seen):
    assert (seen("ab test")["key"], seen("ab test")["status"]) == (f"{seen.prefix}-ab", "WARMUP")
    made = seen("ab test by key")
    assert (made["id"], made["traffic_split"]) == (seen("ab test")["id"], 0.5)
    assert {one["key"] for one in made["models"]} == {"echo", f"{seen.prefix}-gpt"}
    assert made["metric"]["key"] == f"{seen.prefix}-m"
    assert made.get("score_type", made.get("feedback_type")) == "DIRECT"
    assert isinstance(made["begin_date"], int)
    report = seen("ab test by key")["report"]
    assert report["p_value"] is None
    assert [(one["variant"]["key"], one["scores"]) for one in report["variants"]] == [
        ("echo", 0), (f"{seen.prefix}-gpt", 0),
    ]  # fmt: skip
    assert seen("ab test by id")["id"] == made["id"]
    assert seen("no ab test") is None
    assert [one["key"] for one in seen("ab tests")] == [f"{seen.prefix}-ab"]
    assert isinstance(seen("cancel"), str)
    assert seen("ab tests then") == []
    assert [one["status"] for one in seen("ab tests by status")] == ["CANCELLED"]


# ------------------------------------------------------------------------------------------------ datasets


def test_datasets_are_uploaded_whole_and_in_parts_and_listed(seen: Seen):
    small = seen("upload small")
    feedback = "PROMPT_COMPLETION_SCORE" if seen.from_("0.14.0") else "PROMPT_COMPLETION_FEEDBACK"
    assert (small["key"], small["name"], small["records"], small["kind"]) == (
        f"{seen.prefix}.small", "The small", 3, feedback,
    )  # fmt: skip
    [used] = small["metrics_usage"]
    assert used["metric"]["key"] == f"{seen.prefix}-d"
    assert used.get("score_count", used.get("feedback_count")) == 3
    assert seen("dataset")["id"] == small["id"]
    listed = {one["key"]: one["records"] for one in seen("datasets")}
    if seen.release == "0.1.6":
        # It sends the parts, and then asks for what is made of them in words of which its own server knows none.
        assert "error" in seen.steps["upload large"]
        assert f"{seen.prefix}.large" not in listed
    elif version("0.1.7") <= version(seen.release) <= version("0.1.8"):
        # They send it in parts, and cannot read the answer.
        assert "error" in seen.steps["upload large"]
        assert listed[f"{seen.prefix}.large"] == 6000
    else:
        assert listed[f"{seen.prefix}.large"] == seen("upload large")["records"] == 6000


def test_datasets_are_downloaded_and_deleted(seen: Seen):
    if "download" in seen:
        assert [json.loads(line)["completion"] for line in seen("downloaded").splitlines()] == ["Ho"] * 3
    if "delete dataset" in seen:
        if seen.release != "0.1.6":
            assert seen("delete dataset") is True
        assert {one["key"] for one in seen("datasets then")} == {f"{seen.prefix}.small"}
