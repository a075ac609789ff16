"""Datasets made of interactions: what stands in the rows, what is left out and counted, and which sample."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
WHY = [{"role": "user", "content": "Why?"}]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
Create = Callable[..., "tuple[dict[str, Any], list[dict[str, Any]]]"]


def calling(place: str) -> dict[str, Any]:
    """Return a message that calls a tool."""
    function = {"name": "weather", "arguments": json.dumps({"place": place})}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": f"call-{place}", "type": "function", "function": function}],
    }


@pytest.fixture
def create(http: httpx.Client, project: str) -> Create:
    """Make a dataset of the interactions of the test's project; return what is shown of it, and its rows without
    where they come from."""

    def created(kind: str, **body: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        body = {"project": project, "kind": kind, "key": f"made-{kind}", "filter": {"and": []}, **body}
        answer = http.post("/api/v1/datasets/from-interactions", json={k: v for k, v in body.items() if v is not None})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        query = {"format": "original"}
        content = http.get(made["download_url"], params=query).raise_for_status().content
        recipe = http.get(made["download_url"]).raise_for_status().content
        rows = [json.loads(line) for line in content.splitlines()]
        # What goes out can come in, and says the same.
        assert [json.loads(line) for line in recipe.splitlines()] == rows
        # Times of interactions are no part of what these tests compare.
        for row in rows:
            for name in ("created_at", "preferred_created_at", "other_created_at"):
                row["metadata"].pop(name, None)
        assert made == http.get(f"/api/v1/datasets/{made['id']}").json()
        http.delete(f"/api/v1/datasets/{made['id']}").raise_for_status()
        return made, rows

    return created


def without_origin(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "metadata"} for row in rows]


# ------------------------------------------------------------------------------------------------ rows


def test_interactions_become_rows_of_each_kind(
    log: Any, register: Any, http: Any, create: Create, refused: Any, project: str
):
    register("stars")
    register("tone")
    image = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    seen = log(messages=[{"role": "user", "content": image}], completion="A dot.", labels={"env": "prod"})[
        "completion_id"
    ]
    feedbacks = [{"metric": "stars", "value": 3}, {"metric": "tone", "value": 1}]
    good_answer = log(completion="Good", feedbacks=feedbacks, created_at=1_700_000_000_000)
    good = good_answer["completion_id"]
    bad = log(completion="Bad", created_at=1_600_000_000_000)["completion_id"]
    for other, tied in ((bad, None), (seen, None), (bad, "good")):
        body = {"metric": "stars", "preferred_completion": good, "other_completion": other, "tied": tied}
        http.post("/api/v1/preferences", json=body).raise_for_status()
    shown = [{"type": "text", "text": "What?"}, {"type": "image", "url": PIXEL}]
    assert create("prompt")[1] == [
        {
            "messages": [{"role": "user", "content": shown}],
            "labels": {"env": "prod"},
            "metadata": {"completion_id": seen},
        },
        {"messages": WHY, "metadata": {"completion_id": good}},
        {"messages": WHY, "metadata": {"completion_id": bad}},
    ]
    assert [row["completion"] for row in create("completion")[1]] == ["A dot.", "Good", "Bad"]
    made, [row] = create("feedback")
    origin = {"completion_id": good, "feedback_ids": row["metadata"]["feedback_ids"]}
    assert sorted(origin["feedback_ids"]) == sorted(good_answer["feedback_ids"])
    both = {"stars": 3.0, "tone": 1.0}
    assert row == {"messages": WHY, "completion": "Good", "feedbacks": both, "metadata": origin}
    assert made["left_out"] == {"no_feedback": 2}
    assert create("feedback", metrics=["tone"])[1][0]["feedbacks"] == {"tone": 1.0}
    made, [row] = create("preference")
    pair = {"preferred_completion": "Good", "other_completion": "Bad", "feedback_key": "stars"}
    assert without_origin([row]) == [{"messages": WHY, **pair}]
    origin = {"preferred_completion_id": good, "other_completion_id": bad}
    assert origin.items() < row["metadata"].items() >= {"comparison_id": row["metadata"]["comparison_id"]}.items()
    assert made["left_out"] == {"tie": 1, "prompt_mismatch": 1}
    named = create("completion", filter=None, completion_ids=[bad, good], exclude=[good])[1]
    assert [row["completion"] for row in named] == ["Bad"]
    by_label = create("completion", filter={"label": {"key": "env"}})[1]
    assert [row["completion"] for row in by_label] == ["A dot."]
    answer = http.post("/api/v1/datasets/from-interactions", json={"project": project, "kind": "prompt", "key": "x"})
    refused(answer, 422, "invalid_selection")


def test_rows_are_downloaded_in_a_format_with_or_without_provenance(log: Any, http: Any, project: str, refused: Any):
    logged = log(completion="So.", model="m-1")
    body = {"project": project, "kind": "completion", "key": "so", "filter": {"and": []}}
    address = http.post("/api/v1/datasets/from-interactions", json=body).raise_for_status().json()["download_url"]
    chat = {"messages": [*WHY, {"role": "assistant", "content": "So."}]}
    [row] = http.get(address, params={"format": "trl"}).text.splitlines()
    origin = json.loads(row)["metadata"]
    assert (origin["completion_id"], origin["model"]) == (logged["completion_id"], "m-1")
    assert origin["created_at"]
    for form in ("openai", "trl"):
        content = http.get(address, params={"format": form, "provenance": False}).text
        assert [json.loads(row) for row in content.splitlines()] == [chat]
    refused(http.get(address, params={"format": "alpaca"}), 422)


@pytest.mark.parametrize("kind", ["completion", "feedback", "preference"])
def test_tool_calls_reasoning_and_tools_stand_in_the_rows(
    log: Any, register: Any, http: Any, create: Create, kind: str
):
    register("good", "bool")
    parameters = {"tools": TOOLS, "parallel_tool_calls": False, "temperature": 0.5}
    thinking = {**calling("Bergen"), "reasoning_content": "Rain, I think.", "annotations": [], "refusal": None}
    rated = {"parameters": parameters, "feedbacks": [{"metric": "good", "value": True}]}
    oslo = log(completion=calling("Oslo"), created_at=1_700_000_000_000, **rated)["completion_id"]
    bergen = log(completion=thinking, created_at=1_600_000_000_000, **rated)["completion_id"]
    body = {"metric": "good", "preferred_completion": oslo, "other_completion": bergen}
    http.post("/api/v1/preferences", json=body).raise_for_status()
    plainly_thinking = {**calling("Bergen"), "reasoning_content": "Rain, I think."}
    _, rows = create(kind)
    assert all(row["tools"] == TOOLS and row["parallel_tool_calls"] is False for row in rows)
    if kind == "preference":
        sides = [(row["preferred_completion"], row["other_completion"]) for row in rows]
        assert sides == [([calling("Oslo")], [plainly_thinking])]
    else:
        assert [row["completion"] for row in rows] == [calling("Oslo"), plainly_thinking]


def test_a_message_that_is_nothing_but_a_text_is_a_text(log: Any, create: Create):
    log(completion={"role": "assistant", "content": "Yes.", "refusal": None, "annotations": []})
    log(completion={"role": "assistant", "content": None, "refusal": "I cannot."})
    texts = [row["completion"] for row in create("completion")[1]]
    assert texts == [{"role": "assistant", "content": None, "refusal": "I cannot."}, "Yes."]


def test_thumbs_are_true_and_false_and_can_be_uploaded_again(
    log: Any, register: Any, http: Any, project: str, create: Create
):
    register("accepted", "bool")
    register("CSAT")
    for n in range(2):
        values = [{"metric": "accepted", "value": n > 0}, {"metric": "CSAT", "value": n + 0.5}]
        log(completion=f"Answer {n}", feedbacks=values)
    _, rows = create("feedback")
    assert [row["feedbacks"] for row in rows] == [{"accepted": True, "CSAT": 1.5}, {"accepted": False, "CSAT": 0.5}]
    assert all(isinstance(row["feedbacks"]["accepted"], bool) for row in rows)
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    for number in range(2):
        query = {"project": project, "key": f"again-{number}"}
        assert http.post("/api/v1/datasets", params=query, content=content).status_code == 201
    only_up = {"feedback": {"metric": "accepted", "value": {"eq": True}}}
    assert [row["completion"] for row in create("feedback", filter=only_up)[1]] == ["Answer 1"]


# ------------------------------------------------------------------------------------------------ what is left out


UNFINISHED = {
    "ends-content_filter": "cut_off",
    "error-500": "failed",
    "error-after-2": "failed",
    "no-done": "interrupted",
}


def test_unfinished_answers_are_counted_and_no_rows_unless_asked_for(gateway: Any, http: Any):
    def make_dataset(**body: Any) -> dict[str, Any]:
        body = {"project": gateway.project, "kind": "completion", "filter": {"and": []}, **body}
        return http.post("/api/v1/datasets/from-interactions", json=body).raise_for_status().json()

    for behaviour in UNFINISHED:
        if behaviour in ("no-done", "error-after-2"):
            gateway.stream(gateway.model(behaviour))
        else:
            gateway.ask(gateway.model(behaviour))
    assert gateway.ask(gateway.model()).status_code == 200
    empty = {"project": gateway.project, "messages": WHY, "completion": " "}
    http.post("/api/v1/interactions", json=empty).raise_for_status()
    gateway.wait_until_quiet()
    shown = make_dataset(key="finished")
    assert shown["lines"] == 1
    assert sum(shown["left_out"].values()) == len(UNFINISHED) + 1
    assert shown["left_out"]["cut_off"] == 1
    assert shown["left_out"]["empty"] == 1
    assert shown["left_out"]["failed"] >= 2
    shown = make_dataset(key="all", include=["failed", "interrupted", "cancelled", "cut_off", "empty"])
    assert (shown["lines"], shown["left_out"]) == (len(UNFINISHED) + 2, {})
    # What is asked for is a prompt, whatever became of the answer that was cut off.
    assert make_dataset(key="prompts", kind="prompt")["lines"] == 3


def test_an_answer_at_its_limit_is_a_row_that_names_the_reason(gateway: Any, http: Any):
    gateway.ask(gateway.model("ends-length"))
    body = {"project": gateway.project, "kind": "completion", "key": "limited", "filter": {"and": []}}
    made = http.post("/api/v1/datasets/from-interactions", json=body).raise_for_status().json()
    [row] = http.get(made["download_url"]).text.splitlines()
    assert json.loads(row)["metadata"]["finish_reason"] == "length"


def test_what_leaves_nothing_says_what_was_left_out(log: Any, http: Any, project: str, refused: Any):
    log(completion="")
    body = {"project": project, "kind": "completion", "key": "none", "filter": {"and": []}}
    error = refused(http.post("/api/v1/datasets/from-interactions", json=body), 422, "empty_dataset", "filter")
    assert "1 empty" in error["message"]


def test_thumbs_that_disagree_are_no_value(log: Any, register: Any, http: Any, create: Create):
    register("good", "bool")
    turned, disputed = log(completion="A")["completion_id"], log(completion="B")["completion_id"]
    for completion_id, user, value in (
        (turned, "ann", True), (turned, "ann", False), (disputed, "ann", True), (disputed, "bob", False),
    ):  # fmt: skip
        body = {"completion_id": completion_id, "metric": "good", "value": value, "user": user}
        http.post("/api/v1/feedback", json=body).raise_for_status()
    made, rows = create("feedback")
    assert [(row["completion"], row["feedbacks"]) for row in rows] == [("A", {"good": False})]
    assert made["left_out"] == {"conflicting_feedback": 1}


def test_votes_thresholds_and_ties_decide_what_is_true(log: Any, register: Any, http: Any, create: Create):
    register("good", "bool")
    register("stars")
    answers = {text: log(completion=text)["completion_id"] for text in "ABCD"}
    for text, metric, *values in (("A", "good", 1, 1, 0), ("B", "good", 1, 0), ("C", "stars", 5), ("D", "stars", 3)):
        for user, value in enumerate(values):
            body = {"completion_id": answers[text], "metric": metric, "value": value, "user": f"u{user}"}
            http.post("/api/v1/feedback", json=body).raise_for_status()
    rules = {"votes": "majority", "thresholds": {"stars": {"true_from": 4, "false_to": 2}}}
    made, rows = create("feedback", **rules)
    assert {row["completion"]: row["feedbacks"] for row in rows} == {"A": {"good": True}, "C": {"stars": True}}
    assert made["left_out"] == {"conflicting_feedback": 1, "between_thresholds": 1}
    body = {"metric": "stars", "preferred_completion": answers["B"], "other_completion": answers["D"], "tied": "bad"}
    http.post("/api/v1/preferences", json=body).raise_for_status()
    rows = create("feedback", **rules, ties=True)[1]
    by_answer = {row["completion"]: row["feedbacks"] for row in rows}
    assert by_answer == {text: {"stars": False} for text in "BD"} | {"A": {"good": True}, "C": {"stars": True}}


def test_with_all_votes_each_persons_values_make_lines_and_pairs(log: Any, register: Any, http: Any, create: Create):
    register("good", "bool")
    register("stars")
    answers = {text: log(completion=text)["completion_id"] for text in "AB"}
    given = [
        ("ann", "A", "good", False), ("ann", "A", "good", True), ("ann", "A", "stars", 5), ("ann", "B", "good", False),
        ("bob", "A", "good", False), ("bob", "B", "good", True), ("cid", "A", "good", True), ("cid", "A", "stars", 4),
    ]  # fmt: skip
    for user, text, metric, value in given:
        body = {"completion_id": answers[text], "metric": metric, "value": value, "user": user}
        http.post("/api/v1/feedback", json=body).raise_for_status()
    made, rows = create("feedback", votes="all")
    values = [(row["completion"], row["feedbacks"]["good"], row["feedbacks"].get("stars", 0)) for row in rows]
    expected = [("A", True, 5), ("A", False, 0), ("A", True, 4), ("B", False, 0), ("B", True, 0)]
    assert sorted(values) == sorted(expected)
    assert (made["left_out"], len({tuple(row["metadata"]["feedback_ids"]) for row in rows})) == ({}, 5)
    # A person's thumbs make pairs of their own; what Ann and Bob prefer is no contradiction.
    made, rows = create("preference", votes="all")
    assert sorted(row["preferred_completion"] for row in rows) == ["A", "B"]
    assert made["left_out"] == {}
    pair = {"metric": "good", "preferred_completion": answers["B"], "other_completion": answers["A"], "user": "ann"}
    http.post("/api/v1/preferences", json=pair).raise_for_status()
    made, rows = create("preference", votes="all")
    assert [row["preferred_completion"] for row in rows] == ["B"]
    assert made["left_out"] == {"contradictory": 2}
    # Lines are sampled, not interactions.
    assert len(create("feedback", votes="all", sample={"type": "last", "size": 3})[1]) == 3
    assert len(create("feedback", votes="all", sample={"type": "random", "size": 4}, seed=1)[1]) == 4


def test_splits_are_downloaded_apart_and_duplicates_left_out(log: Any, http: Any, project: str, refused: Any):
    long = " ".join(f"word{n}" for n in range(100))
    for n in range(40):
        log(completion=f"Answer {n}")
    for completion in ("Answer 1", long, long.replace("word50", "other")):
        log(completion=completion)
    body: dict[str, Any] = {"project": project, "kind": "completion", "key": "parts", "filter": {"and": []}}
    body |= {"split": {"validation": 0.3, "test": 0.3}, "duplicates": "near", "seed": 3}
    made = http.post("/api/v1/datasets/from-interactions", json=body).raise_for_status().json()
    assert (made["lines"], made["left_out"]) == (41, {"duplicate": 1, "near_duplicate": 1})
    parts = [
        http.get(made["download_url"], params={"split": part}).text.splitlines()
        for part in ("train", "validation", "test")
    ]
    assert all(parts)
    assert sorted(row for part in parts for row in part) == sorted(http.get(made["download_url"]).text.splitlines())
    for change, param in (
        ({"split": {"validation": 0.6, "test": 0.6}}, "split"),
        ({"thresholds": {"stars": {"true_from": 2, "false_to": 4}}}, "thresholds.stars"),
    ):
        http.post("/api/v1/metrics", json={"key": "stars", "project": project})
        refused(http.post("/api/v1/datasets/from-interactions", json={**body, **change}), 422, "invalid_value", param)


def test_a_preview_shows_rows_and_counts_and_makes_nothing(log: Any, http: Any, project: str, create: Create):
    for n in range(12):
        log(completion=f"Answer {n}" if n else "")
    body = {"project": project, "kind": "completion", "filter": {"and": []}, "split": {}}
    shown = http.post("/api/v1/datasets/preview", json=body).raise_for_status().json()
    assert (shown["lines"], shown["left_out"], shown["is_partial"]) == (11, {"empty": 1}, False)
    assert http.get("/api/v1/datasets", params={"project": project}).json()["datasets"] == []
    rows = create("completion", split={})[1]
    assert without_origin(shown["rows"]) == without_origin(rows[:10])
    assert [row["metadata"]["split"] for row in shown["rows"]] == [row["metadata"]["split"] for row in rows[:10]]
    in_format = http.post("/api/v1/datasets/preview", params={"format": "trl"}, json=body).raise_for_status().json()
    assert [row["messages"][-1]["content"] for row in in_format["rows"]] == [row["completion"] for row in shown["rows"]]
    nothing = {**body, "kind": "feedback"}
    shown = http.post("/api/v1/datasets/preview", json=nothing).raise_for_status().json()
    assert (shown["rows"], shown["lines"]) == ([], 0)


# ------------------------------------------------------------------------------------------------ pairs


@pytest.fixture
def prefer(http: httpx.Client) -> Callable[..., str]:
    """Log a preference."""

    def preferred(one: dict[str, Any], other: dict[str, Any], metric: str = "better") -> str:
        sides = {"preferred_completion": one["completion_id"], "other_completion": other["completion_id"]}
        answer = http.post("/api/v1/preferences", json={"metric": metric, **sides}).raise_for_status()
        return answer.json()["comparison_id"]

    return preferred


def sides_of(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((row["preferred_completion"], row["other_completion"]) for row in rows)


def test_equal_and_contradictory_pairs_are_left_out_and_counted(
    log: Any, register: Any, http: Any, create: Create, prefer: Any
):
    register("better")
    register("shorter")
    answers = {text: log(completion=text) for text in "ABCDE"}
    again = {text: log(completion=f" {text}\n") for text in "ABCDE"}
    prefer(answers["A"], again["A"])
    prefer(answers["A"], answers["B"])
    # The other way round, by other completions that say the same.
    prefer(again["B"], again["A"])
    # Under another key that is no contradiction.
    prefer(answers["B"], answers["A"], "shorter")
    kept = prefer(answers["C"], answers["D"])
    prefer(answers["D"], answers["E"])
    empty = log(completion="")
    prefer(answers["C"], empty)
    http.delete(f"/api/v1/interactions/{answers['E']['completion_id']}").raise_for_status()
    made, rows = create("preference")
    assert sides_of(rows) == [("B", "A"), ("C", "D")]
    assert made["left_out"] == {"equal": 1, "contradictory": 2, "missing": 1, "empty": 1}
    assert kept in [row["metadata"]["comparison_id"] for row in rows]
    assert sides_of(create("preference", metrics=["better"])[1]) == [("C", "D")]


def test_pairs_are_derived_from_thumbs_on_the_same_prompt(log: Any, register: Any, create: Create, prefer: Any):
    register("good", "bool")

    def rated(text: str, *values: bool, **more: Any) -> dict[str, Any]:
        return log(completion=text, feedbacks=[{"metric": "good", "value": value} for value in values], **more)

    up, down = rated("Up", True), rated("Down", False)
    rated("Both", True)
    rated("Both", False)
    rated("Unpaired", True)
    rated("Elsewhere", False, messages=[{"role": "user", "content": "How?"}])
    made, [row] = create("preference", completion_ids=[up["completion_id"], down["completion_id"]], filter=None)
    assert sides_of([row]) == [("Up", "Down")]
    assert row["metadata"] == {
        "feedback_ids": [*up["feedback_ids"], *down["feedback_ids"]],
        "preferred_completion_id": up["completion_id"],
        "other_completion_id": down["completion_id"],
    }
    assert row["feedback_key"] == "good"
    made, rows = create("preference")
    assert len(rows) == 1
    assert rows[0]["other_completion"] == "Down"
    assert made["left_out"] == {"contradictory": 1}
    recorded = prefer(up, down, "good")
    _, rows = create("preference", derive_pairs=False)
    assert [row["metadata"]["comparison_id"] for row in rows] == [recorded]


# ------------------------------------------------------------------------------------------------ samples


def test_a_seed_draws_the_same_sample_again(log: Any, create: Create):
    for n in range(30):
        log(completion=f"Answer {n}", created_at=1_700_000_000_000 + n)
    newest = create("completion", sample={"type": "last", "size": 2})[1]
    assert [row["completion"] for row in newest] == ["Answer 29", "Answer 28"]
    random = {"sample": {"type": "random", "size": 10}}
    first = create("completion", **random, seed=7)
    assert first[0]["seed"] == 7
    assert len(first[1]) == 10
    assert create("completion", **random, seed=7)[1] == first[1]
    assert create("completion", **random, seed=8)[1] != first[1]
    unseeded, rows = create("completion", **random)
    assert create("completion", **random, seed=unseeded["seed"])[1] == rows


def test_a_sample_counts_lines_and_not_what_was_left_out(log: Any, register: Any, create: Create):
    register("stars")
    for n in range(6):
        feedbacks = [{"metric": "stars", "value": n}] if n % 2 else []
        log(completion=f"Answer {n}", feedbacks=feedbacks, created_at=1_700_000_000_000 + n)
    for kind in ("last", "random"):
        assert len(create("feedback", sample={"type": kind, "size": 2})[1]) == 2


# ------------------------------------------------------------------------------------------------ versions


def test_a_key_made_again_keeps_each_version_with_the_hash_of_its_lines(
    log: Any, http: Any, project: str, refused: Any
):
    body = {"project": project, "kind": "completion", "key": "nightly", "filter": {"and": []}}
    where = {"project": project}

    def make(**change: Any) -> dict[str, Any]:
        return http.post("/api/v1/datasets/from-interactions", json={**body, **change}).raise_for_status().json()

    def versions() -> list[int]:
        return [made["version"] for made in http.get("/api/v1/datasets", params=where).json()["datasets"]]

    def completions(**query: Any) -> list[str]:
        address = "/api/v1/datasets/nightly/download"
        content = http.get(address, params={**where, **query}).raise_for_status().content
        return [json.loads(line)["completion"] for line in content.splitlines()]

    log(completion="One.")
    first, again = make(), make()
    assert (first["version"], first["is_unchanged"]) == (1, False)
    assert again == {**first, "is_unchanged": True}
    log(completion="Two.")
    with ThreadPoolExecutor() as pool:
        made_at_once = list(pool.map(lambda _: make(name="Of today"), range(4)))
    [second] = [made for made in made_at_once if not made["is_unchanged"]]
    assert {made["id"] for made in made_at_once} == {second["id"]}
    assert (second["key"], second["name"]) == ("nightly", "Of today")
    assert versions() == [second["version"], 1]
    assert completions() == ["Two.", "One."]
    assert completions(version=1) == ["One."]
    for made in (first, second):
        recipe = http.get(made["download_url"]).content
        assert hashlib.sha256(recipe).hexdigest() == made["content_hash"]
        by_version = {**where, "version": made["version"]}
        assert http.get("/api/v1/datasets/nightly", params=by_version).json() == made
    refused(http.get("/api/v1/datasets/nightly", params={**where, "version": 9}), 404, "dataset_not_found")
    refused(http.get("/api/v1/datasets/nightly", params={**where, "version": 0}), 422, param="version")
    # The number of a version that was deleted is not given again, but where all are deleted.
    http.delete("/api/v1/datasets/nightly", params={**where, "version": second["version"]}).raise_for_status()
    refused(http.delete(f"/api/v1/datasets/{second['id']}"), 404, "dataset_not_found")
    assert completions() == ["One."]
    assert make()["version"] > second["version"]
    http.delete("/api/v1/datasets/nightly", params=where).raise_for_status()
    assert versions() == []
    assert make()["version"] == 1


def test_an_uploaded_key_has_one_version(log: Any, http: Any, project: str, refused: Any):
    log(completion="So.")
    line = json.dumps({"messages": WHY})
    of_interactions = {"project": project, "kind": "prompt", "filter": {"and": []}}
    http.post("/api/v1/datasets", params={"project": project, "key": "sent"}, content=line).raise_for_status()
    again = http.post("/api/v1/datasets/from-interactions", json={**of_interactions, "key": "sent"})
    refused(again, 409, "dataset_exists", "key")
    http.post("/api/v1/datasets/from-interactions", json={**of_interactions, "key": "made"}).raise_for_status()
    upload = http.post("/api/v1/datasets", params={"project": project, "key": "made"}, content=line)
    refused(upload, 409, "dataset_exists", "key")
