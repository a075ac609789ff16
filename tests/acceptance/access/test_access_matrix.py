"""Every call of every face, made by everyone about another project: nothing of it is told, changed or betrayed.

A caller who names a thing of another project hears, to the letter, what they hear of one that does not exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from afterword.api.graphql.resolving import MODULES
from afterword.api.routes import MODEL_CALL_ROUTES, ROUTES
from afterword.service.access import PERMISSIONS_OF_ROLE

pytestmark = [pytest.mark.any_store, pytest.mark.thorough]
EVENTS = "text/event-stream"
# What would take their project away from the callers.
ENDS = {"people.share", "shareProject", "shareUseCase"}
FIELDS = [
    pytest.param(root, name, permission, id=f"{root}.{name}")
    for module in MODULES
    for root, table in (("Query", module.QUERY), ("Mutation", module.MUTATION))
    for name, (permission, _) in table.items()
]
Answer = tuple[int, str]

_REQUEST_ID = re.compile(r'(?<="request_id":")[^"]+')


def text_of(sent: dict[str, Any]) -> str:
    """Return a request as text."""
    return json.dumps({name: str(value) for name, value in sent.items()})


def answer_to(client: httpx.Client, sent: dict[str, Any]) -> Answer:
    """Return the status and the body of an answer; of events, which do not end, the status alone."""
    with client.stream(**sent) as answer:
        return answer.status_code, "" if answer.headers["content-type"].startswith(EVENTS) else answer.read().decode(
            errors="replace"
        )


def unnamed(answer: Answer, names: dict[str, str]) -> Answer:
    """Return an answer with what a call named in place of the names."""
    status, text = answer
    for what, name in sorted(names.items(), key=lambda pair: -len(pair[1])):
        text = text.replace(name, f"<{what}>")
    # Errors in Anthropic's form name the request.
    text = _REQUEST_ID.sub("<request id>", text)
    if text.startswith('{"data"'):
        text = json.dumps(json.loads(text).get("errors", ""))
    return status, text if status >= 400 or "error" in text else ""


def check_silent(
    make: Any, client: httpx.Client, who: str, request: Any, ours: Any, theirs: Any, *, ends: bool
) -> None:
    """Call about one's own things, about those of another project, and about such that nothing is."""

    def heard(names: dict[str, str], *, whole: bool) -> Answer:
        sent = request(names, whole)
        answer = answer_to(client, sent)
        told = [mark for mark in theirs.marks if mark in answer[1] and mark not in text_of(sent)]
        assert not told, f"{who} hears of {told}: {answer[1][:2000]}"
        # The providers of these models cannot be reached.
        assert answer[0] < 500 or answer[0] == 502, f"{who}: {answer[1]}"
        return unnamed(answer, names)

    if not ends:
        heard(make.with_new(ours.names), whole=False)
    own = {"project": ours.names["project"]}
    for more in ({}, own):
        foreign = make.with_new({**theirs.names, **more}, "new-foreign")
        nothing = make.with_new({**make.absent(theirs.names), **more}, "new-nothing")
        assert heard(foreign, whole=True) == heard(nothing, whole=True), who


@pytest.fixture(scope="module", autouse=True)
def unchanged(ours: Any, theirs: Any, callers: Any, strangers: Any) -> Iterator[None]:
    """After all calls the other project, and who there is, are what they were."""
    before = theirs.everything()
    yield
    assert theirs.everything() == before


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_tells_nothing_of_another_project(callers: Any, ours: Any, theirs: Any, make: Any, route: Any):
    for who, client in callers.items():

        def request(names: dict[str, str], whole: bool) -> dict[str, Any]:
            return make.request_of(route, names, whole=whole)

        check_silent(make, client, who, request, ours, theirs, ends=route.name in ENDS)
        status, _ = answer_to(client, request(make.with_new(make.absent(theirs.names)), False))
        is_allowed = route.needs in ("open", "key") or route.needs in PERMISSIONS_OF_ROLE.get(who, {route.needs})
        if route.needs == "administer_server" or not is_allowed:
            assert status == 403, who


@pytest.mark.parametrize("face", MODEL_CALL_ROUTES, ids=lambda face: face.name)
@pytest.mark.parametrize("form", ["{project}/{model}", "{model}", "{project}", "{project}/{dataset}", None])
def test_a_model_call_tells_nothing_of_another_project(
    callers: Any, ours: Any, theirs: Any, make: Any, face: Any, form: str | None
):
    def request(names: dict[str, str], whole: bool) -> dict[str, Any]:
        body = {**make.CALLS[face.name][2], "model": form and form.format(**names)}
        more = {what: names[what] for what in ("ab_campaign", "session_id") if whole}
        return {"method": "POST", "url": make.path_of(face, body["model"] or ""), "json": {**body, **more}}

    for who, client in callers.items():
        check_silent(make, client, who, request, ours, theirs, ends=False)


@pytest.mark.parametrize(("root", "field", "permission"), FIELDS)
def test_a_graphql_field_tells_nothing_of_another_project(
    callers: Any, ours: Any, theirs: Any, make: Any, root: str, field: str, permission: str
):
    def request(names: dict[str, str], whole: bool) -> dict[str, Any]:
        return make.post_of(make.query_of(make.SCHEMA.type_map[root], field, names, whole=whole))

    for who, client in callers.items():
        check_silent(make, client, who, request, ours, theirs, ends=field in ENDS)
        _, text = answer_to(client, request(make.with_new(make.absent(theirs.names)), False))
        if permission == "administer_server" or permission not in PERMISSIONS_OF_ROLE.get(who, {permission}):
            [error] = json.loads(text)["errors"]
            assert error["extensions"]["code"] in ("role_not_allowed", "key_of_some_projects"), who


def test_every_field_of_the_schema_is_called_or_not_served(make: Any):
    served = {(root, name) for root, name, _ in (one.values for one in FIELDS)}
    of_schema = {(root, name) for root in ("Query", "Mutation") for name in make.SCHEMA.type_map[root].fields}
    assert served == of_schema


def test_figures_are_for_keys_of_all_projects(callers: Any):
    for who, client in callers.items():
        assert client.get("/metrics").status_code == 403, who


def test_a_key_that_has_ended_opens_nothing(strangers: Any, ours: Any, make: Any):
    names = make.with_new(ours.names)
    for who, client in strangers.items():
        for route in ROUTES:
            if route.needs != "open":
                status, text = answer_to(client, make.request_of(route, names, whole=False))
                assert (status, "invalid_api_key" in text) == (401, True), (who, route)
        for one in FIELDS:
            root, field, _ = one.values
            body = make.query_of(make.SCHEMA.type_map[root], field, names, whole=False)
            assert "invalid_api_key" in answer_to(client, make.post_of(body))[1], (who, field)
        for face in MODEL_CALL_ROUTES:
            assert client.post(make.path_of(face), json=make.CALLS[face.name][2]).status_code == 401


def test_a_cookie_without_its_token_changes_nothing(callers: Any, ours: Any, make: Any):
    browser, names = callers["browser"], make.with_new(ours.names)
    token = browser.headers.pop("X-CSRF-Token")
    try:
        for route in ROUTES:
            if route.needs == "open" or route.method == "GET":
                continue
            status, text = answer_to(browser, make.request_of(route, names, whole=False))
            assert (status, "csrf_token_missing" in text) == (403, True), route
        for path in (make.GRAPHQL, *(make.path_of(face) for face in MODEL_CALL_ROUTES)):
            assert "csrf_token_missing" in browser.post(path, json={"query": "{ me { name } }"}).text
    finally:
        browser.headers["X-CSRF-Token"] = token
