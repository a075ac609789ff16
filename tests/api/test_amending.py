"""Feedback belongs to whoever gave it: they change and withdraw it, whatever their role; others only with `edit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest

Call = Callable[..., dict[str, Any]]
KINDS = {
    "feedback": ("feedback", "feedback_id", {"value": 0, "details": "On second thoughts"}),
    "preference": ("preferences", "comparison_id", {"tied": "bad", "details": "On second thoughts"}),
    "outcome": ("outcomes", "outcome_id", {"value": 0, "details": "On second thoughts"}),
}
"""By kind: where it is, the name of its id, and a change."""
GRAPHQL = {
    "feedback": (
        'mutation($id: UUID!) { updateDirectScore(scoreId: $id, input: {value: 0, details: "x"}) { value canEdit } }',
        "mutation($id: UUID!) { deleteDirectScore(scoreId: $id) }",
    ),
    "preference": (None, "mutation($id: UUID!) { deleteComparisonScore(comparisonId: $id) }"),
}
GIVERS = ("admin", "member", "inference", "ingest", "annotator")
EDITORS = ("admin", "member")


@pytest.fixture
def people(server: Any, http: httpx.Client, project: str) -> Iterator[dict[str, httpx.Client]]:
    """Clients of keys of each role that may rate, of a viewer, and of a user who is an annotator, with two keys."""
    with ExitStack() as stack:
        roles = ("admin", "member", "inference", "ingest", "viewer")
        keys = {role: http.post("/api/v1/keys", json={"name": "same name", "role": role}).json() for role in roles}
        team = http.post("/api/v1/teams", json={"key": f"t-{uuid4().hex[:8]}", "name": "Raters"}).json()["key"]
        shares = {"shares": [{"team": team, "role": "annotator"}]}
        http.put(f"/api/v1/projects/{project}/shares", json=shares).raise_for_status()
        email = f"{uuid4().hex}@example.com"
        user = {"name": "Ada", "email": email, "teams": [{"team": team, "role": "annotator"}]}
        keys["annotator"] = http.post("/api/v1/users", json={**user, "generate_api_key": True}).json()
        keys["annotator at home"] = http.post("/api/v1/keys", json={"name": "at home", "user": email}).json()
        yield {who: stack.enter_context(server.client(key["api_key"])) for who, key in keys.items()}


@pytest.fixture
def give(project: str, log: Call, register: Call) -> Callable[[str, httpx.Client], str]:
    """Give something of a kind with a client; return its id."""
    register("liked", "bool")
    left, right = log(model="a"), log(model="b")
    bodies: dict[str, dict[str, Any]] = {
        "feedback": {"completion_id": left["completion_id"], "value": 1},
        "preference": {"preferred_completion": left["completion_id"], "other_completion": right["completion_id"]},
        "outcome": {"session_id": left["session_id"], "value": 1},
    }

    def send_and_return_id(kind: str, client: httpx.Client) -> str:
        path, id_name, _ = KINDS[kind]
        answer = client.post(f"/api/v1/{path}", json={"metric": "liked", **bodies[kind]})
        assert answer.status_code == 201, answer.text
        return answer.json()[id_name]

    return send_and_return_id


@pytest.mark.parametrize("kind", KINDS)
def test_who_gave_it_may_change_and_withdraw_it_and_others_may_not(
    http: httpx.Client, people: dict[str, httpx.Client], give: Any, refused: Call, kind: str
):
    path, _, change = KINDS[kind]
    for giver in GIVERS:
        place = f"/api/v1/{path}/{give(kind, people[giver])}"
        for other in GIVERS:
            if other not in (giver, *EDITORS):
                for method, body in (("PATCH", change), ("DELETE", None)):
                    answer = people[other].request(method, place, json=body)
                    refused(answer, 403, "given_by_another")
        refused(people["viewer"].patch(place, json=change), 403, "role_not_allowed")
        changed = people[giver].patch(place, json=change)
        assert changed.status_code == 200, (giver, changed.text)
        assert changed.json().items() >= change.items()
        assert http.get(place).json().items() >= change.items()
        assert people[giver].delete(place).status_code == 200, giver
        assert http.get(place).status_code == 404
        for editor in EDITORS:
            place = f"/api/v1/{path}/{give(kind, people[giver])}"
            assert people[editor].patch(place, json=change).status_code == 200
            assert people[editor].delete(place).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_mine_goes_by_the_key_or_its_user_and_not_by_a_name(people: dict[str, httpx.Client], give: Any, kind: str):
    path = KINDS[kind][0]
    place = f"/api/v1/{path}/{give(kind, people['annotator'])}"
    readers = ("admin", "member", "viewer", "annotator", "annotator at home")
    mine = {who for who in readers if people[who].get(place).json()["mine"]}
    assert mine == {"annotator", "annotator at home"}
    # The other keys have one name.
    place = f"/api/v1/{path}/{give(kind, people['admin'])}"
    assert {who for who in readers if people[who].get(place).json()["mine"]} == {"admin"}
    assert people["annotator at home"].delete(place).status_code == 403


@pytest.mark.parametrize("kind", GRAPHQL)
def test_graphql_goes_by_the_same_rule(people: dict[str, httpx.Client], give: Any, kind: str):
    change, remove = GRAPHQL[kind]

    def answer(who: str, query: str, id: str) -> Any:
        body = people[who].post("/api/graphql", json={"query": query, "variables": {"id": id}}).json()
        return body["errors"][0]["extensions"]["code"] if "errors" in body else body["data"]

    for giver in GIVERS:
        id = give(kind, people[giver])
        for query in filter(None, (change, remove)):
            for other in set(GIVERS) - {giver, *EDITORS}:
                assert answer(other, query, id) == "given_by_another"
            assert answer("viewer", query, id) == "role_not_allowed"
        if change:
            assert answer(giver, change, id) == {"updateDirectScore": {"value": 0, "canEdit": True}}
        assert list(answer(giver, remove, id).values()) == [True]


def test_a_verdict_is_turned_round_in_place(http: httpx.Client, people: Any, give: Any, refused: Call):
    place = f"/api/v1/preferences/{give('preference', people['annotator'])}"
    before = http.get(place).json()
    body = {"preferred_completion": before["other_completion"]}
    after = people["annotator"].patch(place, json=body).json()
    swapped = {"preferred_completion": before["other_completion"], "other_completion": before["preferred_completion"]}
    assert after == {**before, **swapped, "mine": True}
    for completion_id in swapped.values():
        [shown] = http.get(f"/api/v1/interactions/{completion_id}").json()["preferences"]
        assert shown["preferred_completion"] == swapped["preferred_completion"]
    refused(http.patch(place, json={"preferred_completion": str(uuid4())}), 422, "not_compared", "preferred_completion")
