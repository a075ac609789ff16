"""Search for words: found once it is caught up, never lost, gone with what was deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any
from uuid import uuid4

import httpx
import pytest


def log(http: httpx.Client, prompt: str, completion: Any = "x", **fields: Any) -> str:
    body = {"messages": [{"role": "user", "content": prompt}], "completion": completion, **fields}
    answer = http.post("/api/v1/interactions", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["completion_id"]


def find(http: httpx.Client, words: str, **query: Any) -> list[str]:
    """The completion ids, once all that was logged and deleted is in the index."""
    while http.get("/health").json()["search"]["waiting"]:
        pass
    page = http.get("/api/v1/interactions", params={"q": words, **query}).json()
    return [one["completion_id"] for one in page["interactions"]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("lazy dog", True), ("DOG Lazy", True), ("dog fox", True), ('"lazy dog"', True), ('"dog lazy"', False),
        ("jump*", True), ("jump", False), ("naive", True), ("NAÏVE", True), ("日本", True), ("日本*", True),
        ("42", True), ("dog cat", False), ("dog AND cat", False), ("dog's", True), ("-dog", True), ("3.14", True),
    ],
)  # fmt: skip
def test_words_are_found_whatever_their_case_and_order(http: httpx.Client, project: str, words: str, found: bool):
    made = log(http, "The quick fox jumped", "over the lazy dog's naïve 日本語 42 3.14", project=project)
    assert find(http, words, project=project) == ([made] if found else [])


def test_words_of_all_messages_and_of_tool_calls_texts_are_found(http: httpx.Client, project: str):
    messages = [
        {"role": "system", "content": "alpha"},
        {"role": "user", "content": [{"type": "text", "text": "beta"}, {"type": "text", "text": "gamma"}]},
        {"role": "assistant", "content": "delta"},
        {"role": "user", "content": "epsilon"},
    ]
    made = log(http, "", "zeta", messages=messages, project=project)
    for word in ("alpha", "beta", "gamma", "delta", "epsilon", "zeta"):
        assert find(http, word, project=project) == [made], word


def part_of_call(name: str, arguments: str) -> dict[str, Any]:
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}}


def test_words_of_all_that_a_message_says_are_found(http: httpx.Client, project: str):
    messages = [
        {
            "role": "user",
            "content": [{"type": "file", "file": {"filename": "menu.pdf", "file_data": "data:x;base64,AA"}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [part_of_call("forecast", '{"town": "caf\\u00e9\\nnoir"}')],
        },
        {"role": "tool", "tool_call_id": "c", "content": "sunshine"},
    ]
    called = {"content": None, "tool_calls": [part_of_call("weather", '{"city": "Paris"}')]}
    answers = {
        "tool": called, "refusal": {"content": None, "refusal": "declined"},
        "audio": {"content": None, "audio": {"data": "AA", "transcript": "spoken"}},
        "thought": {"content": "yes", "reasoning_content": "pondering"},
    }  # fmt: skip
    ids = {
        name: log(http, "", messages=messages, completion=answer, project=project) for name, answer in answers.items()
    }
    for word in ("menu", "forecast", "town", "café", "noir", "sunshine"):
        assert set(find(http, word, project=project)) == set(ids.values()), word
    found = {"weather": "tool", "city": "tool", "paris": "tool", "declined": "refusal", "spoken": "audio"}
    for word, name in {**found, "pondering": "thought"}.items():
        assert find(http, word, project=project) == [ids[name]], word

    def search(**filter: Any) -> list[str]:
        answer = http.post("/api/v1/interactions/search", json={"project": project, "filter": filter})
        assert answer.status_code == 200, answer.text
        return [one["completion_id"] for one in answer.json()["interactions"]]

    assert search(reasoning={"contains": "pondering"}) == [ids["thought"]]
    assert search(completion={"contains": "pondering"}) == search(reasoning={"contains": "yes"}) == []
    refused = http.post("/api/v1/interactions/search", json={"project": project, "filter": {"reasoning": {"eq": "x"}}})
    assert refused.status_code == 422
    assert refused.json()["error"]["param"] == "filter.reasoning.eq"
    http.delete(f"/api/v1/interactions/{ids['tool']}")
    assert find(http, "weather", project=project) == []


def test_details_of_feedback_are_found_as_they_are_now(http: httpx.Client, project: str, register: Callable[..., Any]):
    register("rude", "bool")
    register("better", "bool")
    first, second = (log(http, f"question {n}", "answer answer", project=project) for n in range(2))
    inline = log(http, "q", project=project, feedbacks=[{"metric": "rude", "value": True, "details": "naïve inline"}])

    def call(method: str, path: str, **body: Any) -> Any:
        answer = http.request(method, f"/api/v1{path}", json=body or None)
        assert answer.is_success, answer.text
        return answer.json()

    def search(**filter: Any) -> list[str]:
        find(http, "x", project=project)
        page = call("POST", "/interactions/search", project=project, filter=filter)
        return [row["completion_id"] for row in page["interactions"]]

    given = call("POST", "/feedback", completion_id=first, metric="rude", value=True, details="curt answer")
    other = call("POST", "/feedback", completion_id=first, metric="rude", value=False, details="second opinion")
    compared = call("POST", "/preferences", metric="better", preferred_completion=first, other_completion=second,
                    details="clearer")  # fmt: skip
    assert find(http, "naive", project=project) == search(details={"contains": "naïve"}) == [inline]
    assert find(http, "curt question second", project=project) == [first]
    assert search(details={"contains": "answer"}) == [first]
    assert search(completion={"contains": "curt"}) == search(reasoning={"contains": "curt"}) == []
    assert search(prompt={"contains": "curt"}) == []
    assert search(details={"contains": "clearer"}) == [second, first]

    call("PATCH", f"/feedback/{given['feedback_id']}", details="harsh")
    call("DELETE", f"/feedback/{other['feedback_id']}")
    call("PATCH", f"/preferences/{compared['comparison_id']}", details="briefer")
    assert find(http, "curt", project=project) == find(http, "opinion", project=project) == []
    assert find(http, "harsh briefer answer", project=project) == [first]
    assert find(http, "briefer", project=project) == [second, first]
    call("DELETE", f"/preferences/{compared['comparison_id']}")
    assert find(http, "briefer", project=project) == []
    # What was found by its words before still is, and goes with the interaction.
    assert find(http, "answer question", project=project) == [second, first]
    call("DELETE", f"/interactions/{first}")
    assert find(http, "harsh", project=project) == []
    assert find(http, "answer", project=project) == [second]


def test_words_that_a_turn_repeats_are_found_on_request(http: httpx.Client, project: str):
    first = log(http, "alpha", "beta", project=project)
    messages = [
        {"role": role, "content": word} for role, word in (("user", "alpha"), ("assistant", "beta"), ("user", "x"))
    ]
    second = log(http, "", "gamma", messages=messages, session_id=first, project=project)
    assert find(http, "alpha", project=project) == find(http, "beta", project=project, repeats="false") == [first]
    assert find(http, "beta", project=project, repeats="true") == [second, first]
    assert find(http, "alpha gamma", project=project, repeats="true") == [second]

    def graphql(**filter: Any) -> list[str]:
        query = """query ($filter: ListCompletionsFilterInput!) {
            completions(filter: $filter, page: {first: 10}) { nodes { id } } }"""
        answer = http.post(
            "/api/graphql", json={"query": query, "variables": {"filter": {"project": project, **filter}}}
        ).json()
        return [node["id"] for node in answer["data"]["completions"]["nodes"]]

    assert graphql(prompt="beta") == []
    for filter in (
        {"prompt": "beta", "repeats": True},
        {"advancedFilter": {"repeats": {"prompt": {"contains": "beta"}}}},
    ):
        assert graphql(**filter) == [second], filter
    tree = {"and": [{"repeats": {"not": {"completion": {"contains": "gamma"}}}}, {"repeats": {"text": "alpha"}}]}
    answer = http.post("/api/v1/interactions/search", json={"project": project, "filter": tree})
    assert [one["completion_id"] for one in answer.json()["interactions"]] == [first]


def test_no_completion_is_empty_in_the_short_view(http: httpx.Client, project: str):
    long_prompt = "x" * 40_000
    for answer, words in (
        ({"content": None, "tool_calls": [part_of_call("weather", '{"city": "Paris"}')]}, 'weather(city: "Paris")'),
        ({"content": None, "refusal": "No."}, "No."),
        ({"content": None, "audio": {"data": "AA"}}, "[audio]"),
        ({"content": None, "reasoning_content": "hm"}, "[reasoning] hm"),
    ):
        for prompt in ("hello", long_prompt):
            made = log(http, prompt, completion=answer, project=project)
            [row] = http.get("/api/v1/interactions", params={"project": project, "limit": 1}).json()["interactions"]
            assert (row["completion_id"], row["completion"], row["prompt"]) == (made, words, prompt[:300])
            assert http.get(f"/api/v1/interactions/{made}").json()["completion"] == ""


def test_words_are_found_in_their_own_project_only(http: httpx.Client, project: str):
    log(http, "elsewhere unheard")
    assert find(http, "unheard", project=project) == []


def test_what_is_written_as_markup_is_found_as_words(http: httpx.Client, project: str):
    made = log(http, 'say "NEAR(a b)" AND col:umn ^x', project=project)
    assert find(http, "NEAR(a b)", project=project) == [made]
    assert find(http, "col:umn", project=project) == [made]


@pytest.mark.embedded
def test_deleted_words_are_found_no_more_and_stand_in_no_file(new_server):
    running = new_server()
    secret = f"secret{uuid4().hex}"
    with running.client() as http:
        gone, kept = log(http, f"my {secret} word"), log(http, "my other word")
        assert find(http, secret) == [gone]
        http.delete(f"/api/v1/interactions/{gone}").raise_for_status()
        assert find(http, secret) == []
        assert find(http, "word") == [kept]
    running.stop()
    with closing(sqlite3.connect(running.directory / "search.db")) as index:
        vocabulary = "CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, words, row)"
        index.execute(vocabulary)
        terms = {term for (term,) in index.execute("SELECT term FROM temp.vocabulary")}
    assert {"my", "other", "word"} <= terms
    assert secret not in terms


def test_what_was_just_logged_and_deleted_is_not_found(http: httpx.Client, project: str):
    made = [log(http, "ephemeral", project=project) for _ in range(20)]
    for one in made:
        http.delete(f"/api/v1/interactions/{one}").raise_for_status()
    assert find(http, "ephemeral", project=project) == []


@pytest.mark.parametrize("ending", ["in order", "killed"])
def test_the_index_is_not_lost_over_a_restart(new_server, ending: str):
    running = new_server()
    with running.client() as http:
        made = [log(http, f"word{n} common") for n in range(300)]
    running.stop() if ending == "in order" else running.kill()
    running.start()
    with running.client() as http:
        assert find(http, "common", limit=500) == made[::-1]
        assert find(http, "word7") == [made[7]]
        assert find(http, "common", label="none") == []


@pytest.mark.embedded
@pytest.mark.parametrize("damage", ["deleted", "overwritten", "of another version"])
def test_the_index_is_made_anew_where_it_is_gone(new_server, damage: str):
    running = new_server()
    with running.client() as http:
        made = [log(http, f"word{n} common") for n in range(50)]
        http.delete(f"/api/v1/interactions/{made.pop()}").raise_for_status()
        assert find(http, "common") == made[::-1]
    running.stop()
    index = running.directory / "search.db"
    if damage == "of another version":
        with closing(sqlite3.connect(index)) as connection:
            connection.execute("PRAGMA user_version=99")
            connection.commit()
    elif damage == "overwritten":
        index.write_bytes(b"no index at all" * 1000)
    else:
        for file in running.directory.glob("search.db*"):
            file.unlink()
    running.start()
    with running.client() as http:
        later = log(http, "common too")
        assert find(http, "common") == [later, *made[::-1]]
        assert find(http, "word7") == [made[7]]
