"""The published adaptive-sdk, unmodified: what its users do against their own server, they do here.

`adaptive_driver.py` runs in the environment of a release, once for its sync and once for its async client; the tests
look at what it saw (`seen`, in conftest.py). Errors that are the client's own are asserted as such, so that a release
that mends them is noticed.
"""

from __future__ import annotations

import json
from array import array
from base64 import b64decode
from typing import Any

import pytest

WITH_PROJECTS, WITHOUT_FILTERS, OLDEST = "0.13.0", "0.12.4", "0.1.1"
Seen = Any
SIMPLE_FILTERS = (
    *("by label", "by model", "by completion", "by session", "by user", "by time", "by source", "by feedback"),
    *("by preference", "by prompt"),
)
pytestmark = pytest.mark.timeout(600)


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
    if seen.from_(WITH_PROJECTS):
        assert seen("project by its old word")["id"] == made["id"]


def test_teams_roles_and_permissions_are_there(seen: Seen):
    assert seen("team")["key"] in {one["key"] for one in seen("teams")}
    assert "default" in {one["key"] for one in seen("teams")}
    assert seen("role")["permissions"] == ["project:read"]
    assert seen("role")["key"] in {one["key"] for one in seen("roles")}
    assert "project:read" in seen("permissions")
    assert seen("me")["name"] == "administrator"


# ------------------------------------------------------------------------------------------------ metrics, models


def test_metrics_are_registered_linked_and_listed(seen: Seen):
    made = seen("metric")
    assert (made["key"], made["kind"], made["description"]) == (f"{seen.prefix}-m", "SCALAR", "How good")
    assert made["scoring_type"] == "HIGHER_IS_BETTER"
    assert seen("bool metric")["kind"] == "BOOL"
    costs = seen("metric of costs")
    assert (costs["name"], costs["scoring_type"]) == ("Costs", "LOWER_IS_BETTER")
    assert seen("metric by key")["id"] == made["id"]
    assert seen("no metric") is None
    [listed] = [one for one in seen("metrics") if one["id"] == made["id"]]
    assert [one["key"] for one in listed["projects"]] == [f"{seen.prefix}-p"]
    assert ("link" in seen) == (not seen.from_(WITH_PROJECTS))
    if "link" in seen:
        assert seen("link")["id"] == seen("link again")["id"] == made["id"]


def test_models_are_listed_registered_and_attached(seen: Seen):
    providers = {one["key"]: one["provider_name"] for one in seen("models")}
    assert providers["echo"] == providers[f"{seen.prefix}-echo"] == "HARMONY"
    # A word that a release does not know would make it refuse the whole list.
    assert providers[f"{seen.prefix}-azure"] == "OPEN_AI"
    assert providers[f"{seen.prefix}-anthropic"] == "ANTHROPIC"
    assert seen("model by key")["online"] == "ONLINE"
    assert (seen("attach")["key"], seen("attach")["is_default"]) == ("echo", True)
    made = seen("external") if seen.from_("0.1.14") else seen("external by old word")
    assert (made["key"], made["provider_name"], made["online"]) == (f"{seen.prefix}-gpt", "OPEN_AI", "ONLINE")
    if not seen.from_("0.1.14"):
        assert "gpt-4o-mini" in seen.error("external")


def test_models_are_deployed_by_attaching_them(seen: Seen):
    if "deploy" in seen:
        deployed = seen("deploy")
        if seen.between(OLDEST, "0.1.12"):
            assert deployed == "OK"
        else:
            assert (deployed["key"], deployed["model"]["online"]) == ("echo", "ONLINE")
    if "add to project" in seen:
        assert seen("add to project") is True
    assert "providers do" in seen.error("compute config")


def test_a_model_that_is_switched_off_is_not_called(seen: Seen):
    assert seen("switch off")["desired_online"] is False
    assert "is not one that can be called here" in seen.error("chat of what is off")
    assert seen("switch on")["desired_online"] is True


def test_models_are_taken_out_of_projects_again(seen: Seen):
    assert seen("default")["is_default"]
    detached = seen("detach")
    if seen.mode == "async" and seen.from_("0.1.14"):
        # The client sends a change of nothing.
        assert detached["is_default"]
    else:
        assert detached is True or not detached["attached"]
    assert seen("terminate") == "OK"
    assert seen("terminated")["online"] == "OFFLINE"


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


def test_what_a_call_is_made_with_is_kept_with_it(seen: Seen):
    assert seen("chat in a session")["session_id"] == "0192d3a4-5b6c-7d8e-9f00-00000000000b"
    assert seen("get in session")["metadata"]["parameters"] == {
        "max_tokens": 20, "temperature": 0.5, "top_p": 0.9, "stop": ["|"],
    }  # fmt: skip
    if "chat unkept" in seen:
        assert seen("chat unkept")["choices"][0]["message"]["content"] == "Hello there"
        assert seen("get unkept") is None
    if "chat in a form" in seen:
        form = seen("get formed")["metadata"]["parameters"]["response_format"]
        assert form["json_schema"]["schema"]["properties"]["answer"]["type"] == "string"


def test_images_are_sent_and_logged_where_the_client_can(seen: Seen):
    for step in ("chat with an image", "chat with a flat image", "log an image"):
        if not seen.from_("0.14.0"):
            # Up to 0.13.0 the client refuses them, or cannot encode them.
            assert "error" in seen.steps[step]
    if seen.from_("0.14.0"):
        assert seen("chat with an image")["choices"]
        assert seen("chat with a flat image")["choices"]
        [message] = seen("get image")["chat_messages"]
        assert message["content"].startswith("What?\n[image_url: /images/")


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
    [text] = seen("embeddings as text")["data"]
    assert list(array("f", b64decode(text["embedding"]))) == pytest.approx(one["embedding"])


def test_old_completions_are_served_to_those_who_ask_for_them(seen: Seen):
    if "completion" in seen:
        assert [one["text"] for one in seen("completion")["choices"]] == ["Once", "Once"]


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


def test_a_list_in_an_order_that_is_none_is_refused_readably(seen: Seen):
    assert "order.field is 'weight'. Order by created_at." in seen.error("in no order")


def test_the_user_that_rates_is_kept_where_the_client_sends_him(seen: Seen, http: Any):
    logged = http.get(f"/api/v1/interactions/{seen('log')['completion_id']}").raise_for_status().json()
    [rated] = [one for one in logged["feedback"] if one["details"] == "Good"]
    assert rated["user"] == (None if seen.from_(WITH_PROJECTS) else "0192d3a4-5b6c-7d8e-9f00-00000000000a")


def test_filters_mean_what_their_words_say_where_the_client_sends_them(seen: Seen):
    everything = seen("list")["total_count"]
    if seen.between("0.1.14", WITHOUT_FILTERS):
        # These releases lose every filter on the way.
        for step in SIMPLE_FILTERS:
            assert seen(step)["total_count"] == everything, step
        return
    called = len(seen("chat")["choices"])
    assert seen("by label")["total_count"] == called + 1
    assert sorted(nodes(seen("by label key"))) == ["Hm", "Well"]
    assert set(nodes(seen("by model"))) >= {"Well", "A", "B"}
    assert "Hm" not in nodes(seen("by model"))
    assert nodes(seen("by completion")) == ["Well"]
    assert [one["id"] for one in seen("by session")["nodes"]] == [seen("get in session")["id"]]
    assert seen("by prompt")["total_count"] == seen("first groups")["nodes"][0]["count"]
    assert nodes(seen("by time")) == (["Well"] if seen.mode == "sync" else [])
    assert {one["source"] for one in seen("by source")["nodes"]} == {"LIVE"}
    assert seen("by sources")["total_count"] == everything
    if not seen.from_(WITH_PROJECTS):
        assert nodes(seen("by feedback")) == ["Well"]
        assert sorted(nodes(seen("by preference"))) == ["A", "B", "Hm", "Well"]
        chats = seen("by user")["total_count"]
        # The oldest release names its user with embeddings, too.
        assert chats == (4 if seen.release == OLDEST else 1)


def test_filters_that_the_client_loses_are_refused_with_the_way_round(seen: Seen):
    if seen.from_("0.14.0"):
        for step in ("by feedback", "by preference", "by user"):
            assert "empty condition" in seen.error(step)
            assert "/api/v1/interactions/search" in seen.error(step)
    elif seen.from_(WITH_PROJECTS):
        assert "ValidationError" in seen.error("by feedback")
        for step in ("by preference", "by user"):
            assert "empty condition" in seen.error(step)


def test_groups_have_their_counts_and_interactions(seen: Seen):
    by_model = {one["key"]: one for one in seen("grouped by model")["nodes"]}
    assert seen("grouped by model")["total_count"] == len(by_model)
    of_no_model = ["Hm", "I", "Later"] if seen.from_("0.14.0") else ["Hm", "Later"]
    assert sorted(nodes(by_model[None]["completions"])) == of_no_model
    [stats] = [one for one in by_model["echo"]["direct_scores_stats"] if one["metric"]["key"] == f"{seen.prefix}-m"]
    assert (stats["scores"], stats["average"], stats["min"], stats["max"], stats["sum"]) == (2, 4.5, 4.0, 5.0, 9.0)
    by_prompt = seen("grouped by prompt")
    assert by_prompt["group_by"] == "PROMPT"
    if not seen.between("0.1.14", WITHOUT_FILTERS):
        [group] = by_prompt["nodes"]
        assert (by_prompt["total_count"], group["count"]) == (1, len(seen("chat")["choices"]))


def test_groups_are_walked_though_their_cursor_reaches_the_lists_within(seen: Seen):
    first, second = seen("first groups"), seen("second groups")
    assert first["total_count"] == second["total_count"] > 1
    assert first["nodes"][0]["key"] != second["nodes"][0]["key"]
    for page in (first, second):
        [group] = page["nodes"]
        assert group["count"] >= len(group["completions"]["nodes"]) == 1


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


def test_ab_tests_share_calls_out_and_count_what_is_said_of_them(seen: Seen):
    count = seen("metric count")
    report = seen("metric report")
    logged = "log in metric test" in seen
    assert (report["scores"], report["has_enough_scores"]) == (sum(count.values()) + logged, False)
    first, second = report["report"]["variants"]
    models = [first["variant"]["key"], second["variant"]["key"]]
    assert models == ["echo", f"{seen.prefix}-echo"]
    assert [one["scores"] for one in (first, second)] == [count[models[0]] + logged, count[models[1]]]
    # What has been preferred meanwhile is no part of a test of values.
    assert first["comparisons"] is second["comparisons"] is None
    assert report["report"]["p_value"] is None


def test_preference_tests_count_preferences(seen: Seen):
    report = seen("preference report")
    assert (report["score_type"], report["scores"]) == ("COMPARISON", 1)
    [[first], [second]] = [one["comparisons"] for one in report["report"]["variants"]]
    words = ("wins", "losses", "ties_good", "ties_bad", "scores")
    assert tuple(first[word] for word in words) == (1, 0, 0, 0, 1)
    assert tuple(second[word] for word in words) == (0, 1, 0, 0, 1)
    assert first["variant"]["key"] == f"{seen.prefix}-echo"


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
    elif seen.between("0.1.7", "0.1.8"):
        # They send it in parts, and cannot read the answer.
        assert "error" in seen.steps["upload large"]
        assert listed[f"{seen.prefix}.large"] == 6000
    else:
        assert listed[f"{seen.prefix}.large"] == seen("upload large")["records"] == 6000


def test_datasets_are_downloaded_and_deleted(seen: Seen):
    if "download original" in seen:
        original, recipe = (seen(f"downloaded {form}").splitlines() for form in ("original", "recipe"))
        line = {"input": [{"role": "user", "content": "Hi"}], "completion": "Ho"}
        line |= {"feedbacks": {f"{seen.prefix}-d": 4}, "metadata": {"padding": ""}}
        normal = {"messages": line.pop("input"), **line}
        assert [json.loads(one) for one in original] == [{"input": normal["messages"], **line}] * 3
        assert [json.loads(one) for one in recipe] == [normal] * 3
    if "delete dataset" in seen:
        if seen.release != "0.1.6":
            assert seen("delete dataset") is True
        assert {one["key"] for one in seen("datasets then")} == {f"{seen.prefix}.small"}
