"""GraphQL over the services: the same facts as REST's, in the words of its schema, at a bounded cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from graphql import GraphQLObjectType, build_client_schema, get_introspection_query

Ask = Callable[..., dict[str, Any]]

LIST = """query List($filter: ListCompletionsFilterInput!, $page: CursorPageInput!, $order: [OrderPair!]) {
  completions(filter: $filter, page: $page, order: $order) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor }
    nodes { id completion source createdAt labels { key value } chatMessages { role content } model { key }
      directScores { value details metric { key kind } }
      comparisonScores { preferedCompletion { id completion } otherCompletion { id completion } } }
  }
}"""


@pytest.fixture
def ask(http: httpx.Client) -> Ask:
    """Send a query; return its data, which comes without errors."""

    def sent(query: str, **variables: Any) -> dict[str, Any]:
        answer = http.post("/api/graphql", json={"query": query, "variables": variables})
        assert answer.status_code == 200
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]

    return sent


@pytest.fixture
def error(http: httpx.Client) -> Callable[..., dict[str, Any]]:
    """Send a query; return its first error, which comes with HTTP 200."""

    def sent(query: str, **variables: Any) -> dict[str, Any]:
        answer = http.post("/api/graphql", json={"query": query, "variables": variables})
        assert answer.status_code == 200
        return answer.json()["errors"][0]

    return sent


@pytest.fixture
def listed(ask: Ask, project: str) -> Callable[..., dict[str, Any]]:
    """List the interactions of the test's project."""

    def of(filter: dict[str, Any] | None = None, order: list[Any] | None = None, **page: Any) -> dict[str, Any]:
        given = {"filter": {"project": project, **(filter or {})}, "page": page}
        return ask(LIST, **given, **({"order": order} if order else {}))["completions"]

    return of


# ------------------------------------------------------------------------------------------------ interactions


def test_an_interaction_is_the_one_that_rest_logged(log: Any, register: Any, http: Any, listed: Any):
    register("CSAT")
    one = log(labels={"env": "prod"}, model="m1", feedbacks=[{"metric": "CSAT", "value": 5, "details": "Right"}])
    other = log(completion="No.", created_at=1_700_000_000_000)
    both = {"preferred_completion": one["completion_id"], "other_completion": other["completion_id"]}
    http.post("/api/v1/preferences", json={"metric": "CSAT", **both}).raise_for_status()
    found = listed()
    assert found["totalCount"] == 2
    first, second = found["nodes"]
    sides = {"id": one["completion_id"], "completion": "So."}, {"id": other["completion_id"], "completion": "No."}
    assert first == {
        "id": one["completion_id"],
        "completion": "So.",
        "source": "OFFLINE",
        "createdAt": first["createdAt"],
        "labels": [{"key": "env", "value": "prod"}],
        "chatMessages": [{"role": "user", "content": "Why?"}],
        "model": {"key": "m1"},
        "directScores": [{"value": 5.0, "details": "Right", "metric": {"key": "CSAT", "kind": "SCALAR"}}],
        "comparisonScores": [{"preferedCompletion": sides[0], "otherCompletion": sides[1]}],
    }
    assert second["createdAt"] == 1_700_000_000_000
    assert second["comparisonScores"] == first["comparisonScores"]


def test_pages_are_walked_forth_and_back(log: Any, listed: Any):
    ids = [log(created_at=1_700_000_000_000 + n)["completion_id"] for n in range(5)]
    first = listed(first=2)
    assert [one["id"] for one in first["nodes"]] == ids[4:2:-1]
    assert first["pageInfo"]["hasNextPage"]
    second = listed(first=2, after=first["pageInfo"]["endCursor"])
    assert [one["id"] for one in second["nodes"]] == ids[2:0:-1]
    assert [one["id"] for one in listed(first=2, after=first["edges"][0]["cursor"])["nodes"]] == ids[3:1:-1]
    back = listed(last=2, before=second["pageInfo"]["startCursor"])
    assert back["nodes"] == first["nodes"]
    oldest = listed(order=[{"field": "created_at", "order": "ASC"}], first=1)
    assert [one["id"] for one in oldest["nodes"]] == ids[:1]


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({}, "abc"),
    ({"advancedFilter": {"and": []}}, "abc"),
    ({"labels": [{"key": "env", "value": ["prod", "test"]}]}, "ab"),
    ({"labels": [{"key": "env"}, {"key": "team"}]}, "b"),
    ({"models": ["m1"]}, "a"),
    ({"source": ["LIVE", "OFFLINE"]}, "abc"),
    ({"source": ["LIVE"]}, ""),
    ({"feedbacks": [{"metric": "CSAT", "gte": 4}]}, "a"),
    ({"scores": [{"metric": "CSAT", "lt": 4}]}, "b"),
    ({"comparisons": [{"metric": "CSAT"}]}, "ac"),
    ({"userId": "0192d3a4-5b6c-7d8e-9f00-00000000000a"}, "c"),
    ({"prompt": "why"}, "abc"),
    ({"completion": "b"}, "b"),
    ({"timerange": {"from": "2023-11-14", "to": 1_700_000_000_001}}, "c"),
    ({"advancedFilter": {"and": [{"source": "LIVE"}, {"source": "OFFLINE"}]}}, "abc"),
    ({"advancedFilter": {"and": [{"label": {"key": "env", "value": {"eq": "prod"}}}, {"source": "OFFLINE"}]}}, "a"),
    ({"advancedFilter": {"or": [{"model": {"eq": "m1"}}, {"completion": {"eq": "b"}}]}}, "ab"),
    ({"advancedFilter": {"not": {"scores": {"metric": "CSAT", "value": {"eq": 5}}}}}, "bc"),
    ({"advancedFilter": {"feedbacks": {"metric": "CSAT", "reasons": ["Style"]}}}, "b"),
    ({"labels": None, "advancedFilter": {"and": []}, "models": ["nobody"]}, "abc"),
]


@pytest.fixture(scope="module")
def filtered(server: Any) -> tuple[str, Callable[[dict[str, Any]], set[str]]]:
    """Three interactions to filter."""
    project = f"graphql-{uuid4().hex[:8]}"
    client = server.client()
    client.post("/api/v1/projects", json={"key": project}).raise_for_status()
    client.post("/api/v1/metrics", json={"key": "CSAT", "project": project}).raise_for_status()
    more: dict[str, dict[str, Any]] = {
        "a": {"labels": {"env": "prod"}, "model": "m1", "feedbacks": [{"metric": "CSAT", "value": 5}]},
        "b": {"labels": {"env": "test", "team": "x"}, "feedbacks": [{"metric": "CSAT", "value": 2, "reason": "Style"}]},
        "c": {"user": "0192d3a4-5b6c-7d8e-9f00-00000000000a", "created_at": 1_700_000_000_000},
    }
    ids = {}
    for text, fields in more.items():
        body = {"project": project, "messages": [{"role": "user", "content": "Why?"}], "completion": text, **fields}
        ids[text] = client.post("/api/v1/interactions", json=body).raise_for_status().json()["completion_id"]
    both = {"preferred_completion": ids["a"], "other_completion": ids["c"]}
    client.post("/api/v1/preferences", json={"metric": "CSAT", **both}).raise_for_status()
    while client.get("/health").json()["search"]["waiting"]:
        pass

    def find(filter: dict[str, Any]) -> set[str]:
        variables = {"filter": {"project": project, **filter}, "page": {}}
        answer = client.post("/api/graphql", json={"query": LIST, "variables": variables}).json()
        assert "errors" not in answer, answer
        return {one["completion"] for one in answer["data"]["completions"]["nodes"]}

    return project, find


@pytest.mark.parametrize(("filter", "expected"), FILTERS, ids=lambda one: str(one)[:70])
def test_a_filter_finds_what_its_words_say(filtered: Any, filter: dict[str, Any], expected: str):
    assert filtered[1](filter) == set(expected)


def test_a_condition_that_the_client_lost_is_refused_with_the_way_round(error: Any, project: str):
    lost_values = {"label": {"key": "env", "value": {}}}
    for place in ({"and": [{"source": "LIVE"}, {}]}, {"not": {}}, {}, lost_values):
        filter = {"project": project, "advancedFilter": place}
        refused = error(LIST, filter=filter, page={})
        assert "empty condition" in refused["message"]
        assert "adaptive-sdk" in refused["message"]
        assert "/api/v1/interactions/search" in refused["message"]
        assert refused["extensions"]["code"] == "lost_condition"


GROUPED = """query Grouped($filter: ListCompletionsFilterInput!, $by: CompletionGroupBy!, $page: CursorPageInput!) {
  completionsGrouped(filter: $filter, groupBy: $by, page: $page) {
    totalCount groupBy pageInfo { hasNextPage endCursor }
    nodes { key count directScoresStats { metric { key } scores average min max sum }
      completions(page: $page, order: [{field: "created_at", order: DESC}]) { totalCount nodes { completion } } }
  }
}"""


def test_groups_have_their_statistics_and_interactions_on_every_page(log: Any, register: Any, ask: Ask, project: str):
    register("CSAT")
    for model, value in (("m1", 1), ("m1", 3), ("m2", 5)):
        log(model=model, completion=f"{model} {value}", feedbacks=[{"metric": "CSAT", "value": value}])
    log(completion="none")
    found, page = [], {"first": 1}
    while page:
        groups = ask(GROUPED, filter={"project": project}, by="MODEL", page=page)["completionsGrouped"]
        assert groups["totalCount"] == 3
        found += groups["nodes"]
        info = groups["pageInfo"]
        # The cursor of the groups reaches the lists within them as well, and is none of theirs.
        page = {"first": 1, "after": info["endCursor"]} if info["hasNextPage"] else {}
    assert [(one["key"], one["count"], one["completions"]["totalCount"]) for one in found] == [
        (None, 1, 1), ("m1", 2, 2), ("m2", 1, 1),
    ]  # fmt: skip
    assert [one["completions"]["nodes"] for one in found] == [
        [{"completion": text}] for text in ("none", "m1 3", "m2 5")
    ]
    assert found[1]["directScoresStats"] == [
        {"metric": {"key": "CSAT"}, "scores": 2, "average": 2.0, "min": 1.0, "max": 3.0, "sum": 4.0}
    ]
    by_prompt = ask(GROUPED, filter={"project": project}, by="PROMPT", page={})["completionsGrouped"]
    assert [(one["count"], len(one["completions"]["nodes"])) for one in by_prompt["nodes"]] == [(4, 4)]


def test_score_filter_of_grouped_counts_is_refused_as_not_served(error: Any, project: str):
    query = GROUPED.replace(
        "page: $page) {\n    totalCount", 'page: $page, scoreFilter: {labels: [{key: "a"}]}) {\n    totalCount'
    )
    given = error(query, filter={"project": project}, by="MODEL", page={})
    assert "scoreFilter" in given["message"]
    assert given["extensions"]["code"] == "not_served"


def test_labels_are_changed_and_interactions_deleted(log: Any, ask: Ask, http: Any, project: str):
    one = log(labels={"a": "1", "b": "2"})["completion_id"]
    change = "mutation($input: UpdateCompletion!) { updateCompletion(input: $input) { labels { key value } } }"
    pairs = [{"key": "c", "value": "3"}], [{"key": "a", "value": "1"}]
    changed = ask(change, input={"id": one, "addLabels": pairs[0], "removeLabels": pairs[1]})
    labels = [{"key": "b", "value": "2"}, {"key": "c", "value": "3"}]
    assert sorted(changed["updateCompletion"]["labels"], key=lambda pair: pair["key"]) == labels
    assert http.get(f"/api/v1/interactions/{one}").json()["labels"] == {"b": "2", "c": "3"}
    delete = """mutation($project: IdOrKey!, $selection: CompletionSelectionQuery!) {
      deleteCompletionSelection(project: $project, selection: $selection) }"""
    kept = log()["completion_id"]
    selection = {"fromFilters": {"filters": {"project": project}, "exclude": [kept]}}
    assert ask(delete, project=project, selection=selection) == {"deleteCompletionSelection": 1}
    assert http.get(f"/api/v1/interactions/{one}").status_code == 404
    assert http.get(f"/api/v1/interactions/{kept}").status_code == 200


def test_a_selection_of_nothing_is_not_one_of_everything(log: Any, error: Any, http: Any, project: str):
    kept = log()["completion_id"]
    delete = """mutation($project: IdOrKey!, $selection: CompletionSelectionQuery!) {
      deleteCompletionSelection(project: $project, selection: $selection) }"""
    for selection in ({}, {"fromFilters": None}):
        assert error(delete, project=project, selection=selection)["extensions"]["code"] == "invalid_selection"
    assert http.get(f"/api/v1/interactions/{kept}").status_code == 200


def test_a_selection_is_made_of_groups(log: Any, ask: Ask, http: Any, project: str):
    one, other, third = (log(model="m1")["completion_id"] for _ in range(3))
    two, four = (log(model="m2")["completion_id"] for _ in range(2))
    kept = log(model="m3")["completion_id"]
    groups = [
        {"groupId": "m1", "selection": {"exclude": [third]}},
        {"groupId": "m2", "selection": {"selectOnly": [two, kept]}},
    ]
    selection = {"fromGroups": {"filters": {"project": project}, "grouping": "MODEL", "groups": groups}}
    make = (
        """mutation($input: DatasetCreateFromFilters!) { createDatasetFromFilters(input: $input) { records source } }"""
    )
    given = {"project": project, "name": "g", "kind": "PROMPT_COMPLETION", "completionQuery": selection}
    made = ask(make, input=given)["createDatasetFromFilters"]
    assert made == {"records": 3, "source": "FILTERED"}
    assert ask(make, input={**given, "name": "h", "sampleConfig": {"selectionType": "LAST", "sampleSize": 2}}) == {
        "createDatasetFromFilters": {"records": 2, "source": "FILTERED"}
    }
    delete = """mutation($project: IdOrKey!, $selection: CompletionSelectionQuery!) {
      deleteCompletionSelection(project: $project, selection: $selection) }"""
    assert ask(delete, project=project, selection=selection) == {"deleteCompletionSelection": 3}
    for gone in (one, other, two):
        assert http.get(f"/api/v1/interactions/{gone}").status_code == 404
    for there in (third, four, kept):
        assert http.get(f"/api/v1/interactions/{there}").status_code == 200


def test_a_dataset_is_made_by_rules_and_versions(ask: Ask, error: Any, log: Any, http: Any, project: str):
    http.post("/api/v1/metrics", json={"key": "stars", "project": project}).raise_for_status()
    completion_id = log(messages=[{"role": "user", "content": "Why?"}], completion="So.")["completion_id"]
    for user, value in (("ann", 5), ("bob", 1), ("cid", 4), ("dan", 3)):
        body = {"completion_id": completion_id, "metric": "stars", "value": value, "user": user}
        http.post("/api/v1/feedback", json=body).raise_for_status()
    make = """mutation($input: DatasetCreateFromFilters!) {
      createDatasetFromFilters(input: $input) { records version contentHash isUnchanged downloadUrl } }"""
    everything = {"fromFilters": {"filters": {"project": project}, "exclude": []}}
    body = {"project": project, "name": "rated", "kind": "PROMPT_COMPLETION_SCORE", "completionQuery": everything}
    rules = {
        "votes": "ALL", "thresholds": [{"metric": "stars", "trueFrom": 4, "falseTo": 2}], "ties": True, "seed": 2**40,
        "split": {"by": "PROMPT", "validation": 0.0, "test": 1.0}, "include": ["CUT_OFF"], "derivePairs": False,
    }  # fmt: skip
    made = ask(make, input={**body, **rules})["createDatasetFromFilters"]
    rows = [json.loads(line) for line in http.get(made["downloadUrl"]).text.splitlines()]
    assert sorted(row["feedbacks"]["stars"] for row in rows) == [False, True, True]
    assert {row["metadata"]["split"] for row in rows} == {"test"}
    again = ask(make, input={**body, **rules, "duplicates": "EXACT"})["createDatasetFromFilters"]
    assert [(one["version"], one["records"]) for one in (made, again)] == [(1, 3), (2, 2)]
    assert made["contentHash"] != again["contentHash"]
    assert ask(make, input={**body, **rules, "duplicates": "EXACT"})["createDatasetFromFilters"]["isUnchanged"]
    show = (
        'query($project: IdOrKey!, $n: Int) { dataset(idOrKey: "rated", project: $project, version: $n) { records } }'
    )
    assert [ask(show, project=project, n=n)["dataset"]["records"] for n in (1, None)] == [3, 2]
    for change in (
        {"seed": 1.5},
        {"seed": -1},
        {"split": {"test": 2}},
        {"thresholds": [{**rules["thresholds"][0], "metric": "no"}]},
    ):
        refusal = error(make, input={**body, **rules, **change})
        assert refusal["extensions"]["code"] in ("invalid_value", "metric_not_found"), refusal


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ({}, True),
        ({"online": ["ONLINE"], "available": True}, True),
        ({"online": ["OFFLINE", "ERROR"]}, False),
        ({"kind": ["Generation"]}, True),
        ({"kind": ["Embedding"]}, False),
        ({"capabilities": {"any": ["TextGeneration", "Reasoning"]}}, True),
        ({"capabilities": {"all": ["TextGeneration", "Reasoning"]}}, False),
        ({"inStorage": True}, False),
        ({"trainable": True}, False),
        ({"published": False}, True),
        ({"size": {"gte": 1}}, False),
    ],
    ids=str,
)
def test_models_are_filtered(ask: Ask, http: Any, filter: dict[str, Any], found: bool):
    key = f"filtered-{uuid4().hex[:8]}"
    http.post("/api/v1/models", json={"key": key, "provider": "open_ai", "external_model_id": "x", "api_key": "sk"})
    models = ask("query($filter: ModelFilter!) { models(filter: $filter) { key } }", filter=filter)["models"]
    assert ({"key": key} in models) == found


# ------------------------------------------------------------------------------------------------ errors


def test_what_is_not_found_is_named_by_its_word_alone(error: Any, log: Any, project: str):
    missing = error(LIST, filter={"project": "project-metric-model"}, page={})
    assert missing["message"] == "EntityNotFound: project (use_case)"
    assert "project-metric-model" in missing["extensions"]["detail"]
    score = """mutation($id: UUID!, $metric: IdOrKey!) {
      addDirectScore(completionId: $id, metricId: $metric, input: {value: 1}) { id } }"""
    assert error(score, id=log()["completion_id"], metric="of-no-project")["message"] == "EntityNotFound: metric"
    nobody = error(score, id=str(uuid4()), metric="CSAT")["message"]
    assert nobody.startswith("EntityNotFound: completion")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"{", "JSON"),
        (b'{"variables": {}}', "query"),
        (b'{"query": "{ nothing }"}', "Cannot query field 'nothing'"),
        (b'{"query": "{ me"}', "Syntax Error"),
        (b'{"query": "query($a: UUID!) { completion(id: $a) { id } }", "variables": {"a": "x"}}', "not a UUID"),
        (b'{"query": "{ completions(filter: {}, page: {}) { totalCount } }"}', "project"),
        (json.dumps({"query": "{ me { id } }" + " " * 200_000}).encode(), "100,000 characters"),
        (json.dumps({"query": "{" + "me { id } " * 60 + "}"}).encode(), "50 fields at its root"),
        (json.dumps({"query": "{ me " + "{ user " * 30 + "{ id }" + "}" * 31}).encode(), "20 levels"),
        (json.dumps({"query": "{ me { id } " * 5 + "}" * 5 + ":" * 11_000}).encode(), "Syntax Error"),
        (json.dumps({"query": "{ me { id } }" + "(" * 300}).encode(), "200 levels"),
    ],
)  # fmt: skip
def test_what_cannot_be_executed_is_told_in_an_error_with_status_200(http: httpx.Client, body: bytes, words: str):
    answer = http.post("/api/graphql", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert words in answer.json()["errors"][0]["message"]


def test_without_a_key_the_error_says_so(server: Any):
    answer = httpx.post(f"{server.url}/api/graphql", json={"query": "{ me { id } }"})
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["extensions"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(("role", "may"), [("viewer", {"read"}), ("ingest", {"write"}), ("member", {"read", "write"})])
def test_a_role_may_here_what_it_may_elsewhere(
    server: Any, http: Any, log: Any, register: Any, role: str, may: set[str]
):
    register("CSAT")
    one = log()["completion_id"]
    key = http.post("/api/v1/keys", json={"name": role, "role": role}).json()["api_key"]
    queries = {
        "read": "{ metrics { key } }",
        "write": f'mutation {{ addDirectScore(completionId: "{one}", metricId: "CSAT", input: {{value: 1}}) '
        "{ value metric { key } } }",
        "administer": 'mutation { createProject(input: {name: "x"}) { id } }',
    }
    with server.client(key) as client:
        for needs, query in queries.items():
            answer = client.post("/api/graphql", json={"query": query}).json()
            assert ("errors" not in answer) == (needs in may), answer
            if needs not in may:
                assert answer["errors"][0]["extensions"]["code"] == "role_not_allowed"


def test_a_key_of_one_project_sees_no_other(server: Any, http: Any, log: Any, project: str):
    one = log()["completion_id"]
    other = f"other-{uuid4().hex[:8]}"
    http.post("/api/v1/projects", json={"key": other}).raise_for_status()
    body = {"name": "bound", "role": "member", "projects": [other]}
    key = http.post("/api/v1/keys", json=body).json()["api_key"]
    with server.client(key) as client:
        query = f'{{ completion(id: "{one}", project: "{other}") {{ id }} projects {{ key }} }}'
        data = client.post("/api/graphql", json={"query": query}).json()["data"]
        assert data == {"completion": None, "projects": [{"key": other}]}
        variables = {"filter": {"project": project}, "page": {}}
        hidden = client.post("/api/graphql", json={"query": LIST, "variables": variables})
        assert hidden.json()["errors"][0]["message"] == "EntityNotFound: project (use_case)"


# ------------------------------------------------------------------------------------------------ the schema


def test_the_schema_can_be_read_by_introspection_with_its_old_words_marked(ask: Ask):
    schema = build_client_schema(ask(get_introspection_query(input_value_deprecation=True)))  # pyright: ignore
    query = schema.query_type
    assert isinstance(query, GraphQLObjectType)
    assert query.fields["projects"].deprecation_reason is None
    assert "now projects" in str(query.fields["useCases"].deprecation_reason)


MUTATION = """mutation AddDirectScore($id: UUID!, $metric: IdOrKey!, $input: ScoreAddInput!) {
  said: addDirectScore(completionId: $id, metricId: $metric, input: $input) { id of: value details createdAt MORE }
}"""


@pytest.mark.parametrize("more", ["", "metric { key }"], ids=["the short way", "the long way"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, None),
        ({"input": {"value": 2.5}}, None),
        ({"input": {"value": 3, "details": None}}, None),
        ({"id": "nothing"}, "is not a UUID"),
        ({"metric": 5}, "is neither an id nor a key"),
        ({"input": {"details": "x"}}, "value"),
        ({"input": {"value": 3, "nothing": 1}}, "nothing"),
        ({"input": None}, "input"),
        ({"metric": "unknown"}, "EntityNotFound: metric"),
        ({"input": {"value": "good"}}, "neither a number nor true or false"),
    ],
)
def test_a_plain_mutation_is_answered_the_same_by_the_short_way(
    http: Any, log: Any, project: str, more: str, change: dict[str, Any], message: str | None
):
    http.post("/api/v1/metrics", json={"key": "CSAT", "project": project})
    variables = {"id": log()["completion_id"], "metric": "CSAT", "input": {"value": 4, "details": "fine"}, **change}
    answer = http.post("/api/graphql", json={"query": MUTATION.replace("MORE", more), "variables": variables}).json()
    if message is None:
        said = answer["data"]["said"]
        assert said["of"] == float(variables["input"]["value"])
        assert said["details"] == variables["input"].get("details")
        assert isinstance(said["createdAt"], int)
        assert "errors" not in answer
    else:
        [error] = answer["errors"]
        assert message in error["message"]
        assert answer.get("data") is None
        if "EntityNotFound" in message:
            assert error["path"] == ["said"]
            assert error["locations"]


@pytest.mark.parametrize("word", ["LİVE", "ſource", "İ", "ŉ" * 90])
def test_a_word_of_any_letters_is_refused_as_unknown(error: Any, word: str):
    query = "query Q($f: ListCompletionsFilterInput!) { completions(filter: $f, page: {first: 1}) { totalCount } }"
    for filter in ({"source": [word]}, {word: 1}):
        assert word in error(query, f={"project": "default", **filter})["message"]


def test_a_form_that_cannot_be_read_is_refused(http: httpx.Client):
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = http.post("/api/graphql", content=b"no form", headers={"content-type": content_type})
        assert answer.status_code == 200
        [error] = answer.json()["errors"]
        assert error["extensions"]["code"] == "invalid_upload"
