"""Pairs to judge: each comes to one person at a time, and all come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

Call = Callable[..., dict[str, Any]]
Pair = frozenset[str]


@pytest.fixture
def logged(log: Call, register: Call) -> Callable[[int, int], set[Pair]]:
    """Log prompts with an answer of each of several models; return all pairs that they make."""
    register("better", "bool")

    def made(prompts: int, models: int) -> set[Pair]:
        pairs: set[Pair] = set()
        for number in range(prompts):
            messages = [{"role": "user", "content": f"Question {number}"}]
            ids = [log(messages=messages, model=f"m{model}")["completion_id"] for model in range(models)]
            # A second answer of a model is no pair with its first.
            log(messages=[{"role": "user", "content": f"Alone {number}"}], model="m0")
            pairs |= {frozenset((one, other)) for one in ids for other in ids if one != other}
        return pairs

    return made


class Sitting:
    """Someone who judges pairs until none is left."""

    def __init__(self, http: httpx.Client, project: str, **body: Any) -> None:
        self.http = http
        self.body = {"project": project, "metric": "better", "sitting": str(uuid4()), **body}
        self.cursor: str | None = None
        self.ended = False
        self.pairs: list[dict[str, str]] = []

    def ask(self, *, keep: list[dict[str, str]] | None = None, **body: Any) -> dict[str, Any]:
        """Ask for pairs; return the answer."""
        body = {**self.body, "keep": keep or [], "cursor": self.cursor, **body}
        answer = self.http.post("/api/v1/preferences/next", json=body)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        if body.get("limit", 1):
            self.cursor, self.ended = page["next"], page["next"] is None
        self.pairs += [{side: one[side]["completion_id"] for side in ("left", "right")} for one in page["pairs"]]
        return page

    def judge(self, pair: dict[str, str]) -> None:
        """Prefer the left."""
        body = {"metric": "better", "preferred_completion": pair["left"], "other_completion": pair["right"]}
        self.http.post("/api/v1/preferences", json=body).raise_for_status()

    def judge_all(self) -> None:
        """Judge pair after pair, until none is left."""
        while not self.ended:
            before = len(self.pairs)
            self.ask()
            for pair in self.pairs[before:]:
                self.judge(pair)


def of(pairs: list[dict[str, str]]) -> list[Pair]:
    return [frozenset(pair.values()) for pair in pairs]


def test_all_pairs_come_once_and_first_one_of_each_prompt(http: httpx.Client, project: str, logged: Any):
    expected = logged(3, 5)
    sitting = Sitting(http, project, limit=3)
    sitting.judge_all()
    found = of(sitting.pairs)
    assert len(found) == len(set(found)) == 30
    assert set(found) == expected
    prompts = [http.get(f"/api/v1/interactions/{pair['left']}").json()["prompt"] for pair in sitting.pairs[:3]]
    assert len(set(prompts)) == 3
    # Judged pairs do not come again, unless they are asked for.
    assert Sitting(http, project).ask()["pairs"] == []
    again = Sitting(http, project, again=True, limit=20)
    while not again.ended:
        again.ask(keep=again.pairs[-20:])
    assert set(of(again.pairs)) == expected


def test_all_pairs_of_thirty_models_come(http: httpx.Client, project: str, logged: Any):
    expected = logged(1, 30)
    sitting = Sitting(http, project, again=True, limit=20)
    while not sitting.ended:
        sitting.ask()
    assert len(sitting.pairs) == len(expected) == 435
    assert set(of(sitting.pairs)) == expected
    sides = [pair["left"] for pair in sitting.pairs]
    assert len(set(sides)) > 25, "the sides are drawn by lot"


def test_two_sittings_at_once_never_have_the_same_pair(server: Any, project: str, logged: Any):
    expected = logged(8, 3)
    with server.client() as one, server.client() as other:
        sittings = [Sitting(one, project, limit=2), Sitting(other, project, limit=2)]
        threads = [threading.Thread(target=sitting.judge_all) for sitting in sittings]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [pair for sitting in sittings for pair in of(sitting.pairs)]
        assert len(found) == len(set(found)), "a pair came to both"
        # What the other had when a sitting came by may be left over.
        last = Sitting(one, project)
        last.judge_all()
        assert {*found, *of(last.pairs)} == expected


def test_what_a_sitting_keeps_is_its_own_and_what_it_leaves_is_free(http: httpx.Client, project: str, logged: Any):
    logged(1, 2)
    one, other = Sitting(http, project), Sitting(http, project)
    [kept] = one.ask()["pairs"] and one.pairs
    page = other.ask()
    assert (page["pairs"], page["held"], page["next"]) == ([], 1, None)
    # A reload asks anew, and has its pair still.
    assert one.ask(keep=[kept], limit=0)["lost"] == []
    assert Sitting(http, project).ask()["held"] == 1
    one.ask(limit=0)
    third = Sitting(http, project)
    [pair] = third.ask()["pairs"] and third.pairs
    assert frozenset(pair.values()) == frozenset(kept.values())
    assert one.ask(keep=[kept], limit=0)["lost"] == [kept]
    third.judge(pair)
    third.ask(limit=0)
    assert one.ask(keep=[kept], limit=0)["lost"] == [kept], "it is judged"


def test_who_may_not_both_read_and_rate_is_given_no_pairs(
    server: Any, http: httpx.Client, project: str, register: Call, refused: Call
):
    register("better", "bool")
    body = {"project": project, "metric": "better", "sitting": str(uuid4())}
    for role in ("viewer", "ingest", "inference"):
        key = http.post("/api/v1/keys", json={"name": role, "role": role}).json()["api_key"]
        with server.client(key) as client:
            refused(client.post("/api/v1/preferences/next", json=body), 403, "role_not_allowed")
    refused(http.post("/api/v1/preferences/next", json={**body, "limit": 21}), 422, param="limit")
    refused(http.post("/api/v1/preferences/next", json={**body, "cursor": "x"}), 422, param="cursor")
