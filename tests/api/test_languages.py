"""Words of all languages are found by one rule, and an index that was made by an older rule is made again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

pytestmark = pytest.mark.thorough

# What is written, what finds it, and what does not.
WRITTEN: list[tuple[str, list[str], list[str]]] = [
    ("明日は図書館へ行きます。", ["図書館", "書館", "明日", "行", "館"], ["館書", "図館"]),
    ("ﾌﾟﾛｸﾞﾗﾑを書く", ["プログラム", "ログ", "ﾌﾟﾛ"], ["フロ"]),
    ("我想修改API文档，谢谢", ["修改", "api", "API文档", "文", "谢谢"], ["改修", "档谢"]),
    ("ฉันอยากกินข้าวผัด", ["ข้าว", "กินข้าว", "ผัด"], ["ขาว"]),
    ("ຂ້ອຍຢາກກິນເຂົ້າ", ["ກິນ", "ເຂົ້າ"], []),
    ("ខ្ញុំចង់ទៅផ្សារ", ["ផ្សារ"], []),
    ("ကျွန်တော်ထမင်းစားချင်တယ်", ["ထမင်း"], []),
    ("도서관에서 공부했습니다", ["도서관", "공부", "도"], ["관도"]),
    ("도서관 밖", ["\u1103\u1169\u1109\u1165\u1100\u116a\u11ab"], []),
    ("Ὁ Ὀδυσσεὺς τῆς θαλάσσης", ["ΟΔΥΣΣΕΥΣ", "οδυσσευς", "θαλασσης", "ΘΑΛΑΣΣΗΣ"], []),
    ("Weißbier auf der STRASSE", ["weissbier", "WEISSBIER", "Weißbier", "straße"], ["weis"]),
    ("ISPARTA ve İzmir'de ırmak", ["isparta", "ısparta", "izmir", "IRMAK"], []),
    ("ＦＵＬＬ ｗｉｄｔｈ ２０２６", ["full", "width", "2026"], []),
    ("Đường phố Hà Nội, cafe\u0301 Łódź, Ærøskøbing", ["duong", "hà nội", "ha noi", "CAFÉ", "lodz", "ærøskøbing"], []),
    ("أهلاً بِكُم في المدرسة", ["اهلا", "بكم", "المدرسة"], []),
    ("שָׁלוֹם לכולם", ["שלום"], []),
    ("मैं किताब पढ़ता हूँ", ["किताब", "पढ़ता"], ["कताब"]),
    ("ﬁnal ef\u00adfort, re\u200bad m² №", ["final", "effort", "read", "m2"], []),
    ("call parse_url(2) of v2.10 by ann@example.org 🎉", ["parse_url", "v2.10", "ann@example.org"], ["parse_id"]),
]


def logged(http: httpx.Client, project: str, text: str) -> str:
    body = {"project": project, "messages": [{"role": "user", "content": text}], "completion": "ok"}
    return http.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"]


def found_ids(http: httpx.Client, project: str, **search: Any) -> list[str]:
    body = {"project": project, **search}
    page = http.post("/api/v1/interactions/search", json=body).raise_for_status().json()
    return [one["completion_id"] for one in page["interactions"]]


@pytest.fixture(scope="module")
def library(server: Any) -> tuple[str, list[str]]:
    """A project with all the texts, and their ids."""
    with server.client() as http:
        http.post("/api/v1/projects", json={"key": "languages"}).raise_for_status()
        ids = [logged(http, "languages", text) for text, _, _ in WRITTEN]
        while http.get("/health").json()["search"]["waiting"]:
            pass
    return "languages", ids


@pytest.mark.parametrize("number", range(len(WRITTEN)), ids=lambda number: WRITTEN[number][0][:12])
def test_words_of_any_language_are_found(http: httpx.Client, library: tuple[str, list[str]], number: int):
    project, ids = library
    _, finding, failing = WRITTEN[number]
    for words in finding:
        assert ids[number] in found_ids(http, project, filter={"text": words}), words
        assert ids[number] in found_ids(http, project, filter={"prompt": {"contains": words}}), words
    for words in failing:
        assert ids[number] not in found_ids(http, project, filter={"text": words}), words


def made_by_an_older_rule(running: Any, texts: dict[str, str]) -> None:
    """Put an index in place that splits at spaces alone."""
    if running.database_url is not None:
        with psycopg.connect(running.database_url, autocommit=True) as connection:
            connection.execute("UPDATE versions SET number = 1 WHERE name = 'words'")
            for completion_id, text in texts.items():
                connection.execute(
                    "UPDATE search_words SET words = array_to_tsvector(%s) WHERE interaction_id = %s",
                    (text.split(), completion_id),
                )
        return
    directory: Path = running.directory
    for file in directory.glob("search.db*"):
        file.unlink()
    with closing(sqlite3.connect(directory / "search.db", isolation_level=None)) as index:
        index.execute(
            "CREATE TABLE documents (number INTEGER PRIMARY KEY AUTOINCREMENT, interaction_id BLOB NOT NULL UNIQUE)"
        )
        index.execute("CREATE VIRTUAL TABLE words USING fts5(prompt, completion, content='', tokenize='unicode61')")
        index.execute("CREATE TABLE is_new (yes INTEGER)")
        for number, (completion_id, text) in enumerate(texts.items(), 1):
            index.execute("INSERT INTO documents VALUES (?, ?)", (number, UUID(completion_id).bytes))
            index.execute("INSERT INTO words (rowid, prompt) VALUES (?, ?)", (number, text))
        index.execute("PRAGMA user_version=1")


def test_an_index_of_an_older_rule_is_made_again_and_answers_on(new_server: Any):
    running = new_server()
    texts = {}
    with running.client() as http:
        for number in range(450):
            text = f"common 北京的天气 {number}"
            texts[logged(http, "default", text)] = text
        while http.get("/health").json()["search"]["waiting"]:
            pass
    running.stop()
    made_by_an_older_rule(running, texts)
    running.start()
    newest_first = list(texts)[::-1]
    deleted, kept = newest_first[0], newest_first[1:]
    with running.client() as http:
        assert found_ids(http, "default", filter={"text": "common"}, limit=500) == newest_first
        for part in ("reasoning", "details"):
            found = found_ids(http, "default", filter={part: {"contains": "common"}})
            assert not found or running.database_url is not None
        http.delete(f"/api/v1/interactions/{deleted}").raise_for_status()
        added = logged(http, "default", "common too")
        while found_ids(http, "default", filter={"text": "天气"}, limit=500) != kept:
            assert set(kept) <= set(found_ids(http, "default", filter={"text": "common"}, limit=500))
        while http.get("/health").json()["search"]["waiting"]:
            pass
        assert found_ids(http, "default", filter={"text": "common"}, limit=500) == [added, *kept]
        http.delete(f"/api/v1/interactions/{added}").raise_for_status()
        while http.get("/health").json()["search"]["waiting"]:
            pass
        assert found_ids(http, "default", filter={"text": "too"}) == []
    running.stop()
    running.start()
    with running.client() as http:
        assert found_ids(http, "default", filter={"text": "天气"}, limit=500) == kept
