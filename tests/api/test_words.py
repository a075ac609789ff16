"""Search for words: found once it is caught up, never lost, gone with what was deleted."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any
from uuid import uuid4

import httpx
import pytest


def log(http: httpx.Client, prompt: str, completion: str = "x", **fields: Any) -> str:
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
