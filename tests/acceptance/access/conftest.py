"""Two projects that know nothing of each other, everyone who may call, and how each call is made about either of them.

Requests are made from the tables that the server reads: a new route or field is called by itself, and one that cannot
be called for want of a value fails its test.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    Undefined,
    get_named_type,
    get_nullable_type,
)

from afterword.api.glossary import CALLS as CALLS
from afterword.api.glossary import EXAMPLES
from afterword.api.graphql.resolving import schema
from afterword.api.routes import Route

Names = dict[str, str]
GIF = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
GRAPHQL = "/api/graphql"
LINE = b'{"messages": [{"role": "user", "content": "Hi"}]}'
SCHEMA = schema()


class Things:
    """What a project has: `names` are what calls name it by, `marks` all that no other project's caller may hear."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self._http = http
        self.marks: set[str] = set()
        self.names = names = {}

        def mark(what: str) -> str:
            made = f"{name}-{what}-{uuid4().hex[:12]}"
            self.marks.add(made)
            return made

        names["project"] = self.post("projects", key=mark("project"), name=mark("name"), description=mark("about"))[
            "key"
        ]
        project = names["project"]
        names["metric"] = self.post("metrics", key=mark("metric"), description=mark("m"), project=project)["key"]
        for model in ("model", "model_2"):
            about = {"endpoint": f"http://127.0.0.1:9/{mark('path')}", "external_model_id": mark("external")}
            body = {"key": mark("model"), "provider": "open_ai", "headers": {mark("Header"): "x"}, **about}
            names[model] = self.post("models", **body, project=project)["key"]
        names["role"] = self.post("roles", key=mark("role"), name=mark("role"), permissions=["project:read"])["key"]
        names["team"] = self.post("teams", key=mark("team"), name=mark("team"))["key"]
        membership = {"team": names["team"], "role": names["role"]}
        address = f"{mark('user')}@example.com"
        names["user"] = self.post("users", name=mark("user"), email=address, teams=[membership])["email"]
        http.put(f"/api/v1/projects/{project}/shares", json={"shares": [membership]}).raise_for_status()
        # Another colour makes another image.
        image = f"data:image/gif;base64,{b64encode(GIF[:13] + os.urandom(3) + GIF[16:]).decode()}"
        parts = [{"type": "text", "text": mark("prompt")}, {"type": "image_url", "image_url": image}]
        said = {"messages": [{"role": "user", "content": parts}], "user": mark("end-user"), "project": project}
        labels = {mark("label"): mark("value")}
        ids = [
            self.post("interactions", **said, completion=mark("completion"), labels=labels, model=mark("logged"))
            for _ in range(2)
        ]
        names["completion_id"], names["session_id"] = ids[0]["completion_id"], ids[1]["session_id"]
        names["response_id"] = names["completion_id"]
        names["preferred_completion"], names["other_completion"] = (one["completion_id"] for one in ids)
        given = {"completion_id": names["completion_id"], "metric": names["metric"], "value": 1, "reason": mark("why")}
        names["feedback_id"] = self.post("feedback", **given)["feedback_id"]
        compared = {name: names[name] for name in ("preferred_completion", "other_completion", "metric")}
        names["comparison_id"] = self.post("comparison", **compared, details=mark("details"))["comparison_id"]
        concluded = {"session_id": names["session_id"], "metric": names["metric"], "project": project, "value": 1}
        names["outcome_id"] = self.post("outcome", **concluded, details=mark("outcome"))["outcome_id"]
        names["view_id"] = self.post(f"projects/{project}/views", name=mark("view"), search=mark("search"))["id"]
        names["key_id"] = self.post("keys", name=mark("key"), projects=[project])["id"]
        query = {"project": project, "key": mark("dataset")}
        made = http.post("/api/v1/datasets", params=query, content=LINE).raise_for_status().json()
        names["dataset"] = made["id"]
        models = [names["model"], names["model_2"]]
        test = {"key": mark("test"), "metric": names["metric"], "models": models, "project": project}
        names["test"] = names["ab_campaign"] = self.post("ab-tests", **test)["key"]
        shown = http.get(f"/api/v1/interactions/{names['completion_id']}").json()
        names["file"] = shown["messages"][0]["content"][1]["image_url"].rpartition("/")[2]
        names["upload"] = self.post("upload/init", total_parts_count=1, content_type="text/plain")["session_id"]
        self.marks |= set(names.values())

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Make a thing; return the answer."""
        return self._http.post(f"/api/v1/{path}", json=body).raise_for_status().json()

    def everything(self) -> dict[str, Any]:
        """Return all that an administrator sees of the project, to be compared later."""
        names, its = self.names, {"project": self.names["project"]}
        paths = {
            f"projects/{names['project']}": {}, f"projects/{names['project']}/shares": {}, "datasets": its,
            f"projects/{names['project']}/models": {}, f"projects/{names['project']}/views": {}, "metrics": its,
            "models": its, "interactions": {**its, "view": "full"}, "ab-tests": its, "users": {}, "teams": {},
            "roles": {},
        }  # fmt: skip
        return {path: self._http.get(f"/api/v1/{path}", params=query).json() for path, query in paths.items()}


@pytest.fixture(scope="session")
def make() -> Any:
    """What makes requests."""
    return sys.modules[__name__]


def absent(names: Names) -> Names:
    """Return names of the same form that nothing has."""
    made: Names = {}
    for name in names.values():
        is_id = re.fullmatch(r"[0-9a-f-]{36}", name)
        made[name] = str(uuid4()) if is_id else re.sub(r"[0-9a-f]{12}", uuid4().hex[:12], name)
    return {what: made[name] for what, name in names.items()}


def with_new(names: Names, new: str = "new") -> Names:
    """Return the names, with those of what a call makes: few, so that lists stay short."""
    return {**names, "key": new, "name": new, "email": f"{new}@example.com"}


@pytest.fixture(scope="module")
def things(server: Any) -> Iterator[Callable[[str], Things]]:
    """Make a project with one thing of each kind."""
    with server.client() as http:
        yield lambda name: Things(http, name)


@pytest.fixture(scope="module")
def theirs(things: Callable[[str], Things]) -> Things:
    """The project that no caller may see."""
    return things("theirs")


@pytest.fixture(scope="module")
def ours(things: Callable[[str], Things], theirs: Things) -> Things:
    """The project that callers may see, with a metric, a model and a team that it shares with the other one."""
    made = things("ours")
    metric = made.post("metrics", key=f"shared-{uuid4().hex[:8]}", shared=True)["key"]
    model = made.post("models", key=f"shared-{uuid4().hex[:8]}", provider="echo")["key"]
    for project in (made.names["project"], theirs.names["project"]):
        made.post(f"projects/{project}/metrics", metric=metric)
        made.post(f"projects/{project}/models", model=model)
    # What is linked here is known here; whose it is, is not.
    linked = made.post("metrics", key=f"linked-{uuid4().hex[:8]}", project=theirs.names["project"])["id"]
    made.post(f"projects/{made.names['project']}/metrics", metric=linked)
    in_both = {"user": made.names["user"], "role": "admin"}
    made._http.put(f"/api/v1/teams/{theirs.names['team']}/members", json=in_both).raise_for_status()
    return made


# ------------------------------------------------------------------------------------------------ who calls


ROLES = ("admin", "member", "inference", "ingest", "viewer")
ROLES_OF_TEAMS = ("admin", "power_user", "annotator", "inference", "read-only")


@pytest.fixture(scope="module")
def callers(server: Any, ours: Things) -> Iterator[dict[str, httpx.Client]]:
    """Everyone who may see the one project alone: keys of each role, users by team and share, a browser."""
    project, clients = ours.names["project"], {}
    for role in ROLES:
        clients[role] = server.client(ours.post("keys", name=role, role=role, projects=[project])["api_key"])
    shares = ours._http.get(f"/api/v1/projects/{project}/shares").json()["shares"]
    for role in ROLES_OF_TEAMS:
        team = ours.post("teams", key=f"{role}-{uuid4().hex[:8]}", name=role)["key"]
        shares.append({"team": team, "role": "admin"})
        user = {"name": role, "email": f"{uuid4().hex}@example.com", "teams": [{"team": team, "role": role}]}
        clients[f"user as {role}"] = server.client(ours.post("users", **user, generate_api_key=True)["api_key"])
    ours._http.put(f"/api/v1/projects/{project}/shares", json={"shares": shares}).raise_for_status()
    nobody = {"name": "of no team", "email": f"{uuid4().hex}@example.com", "generate_api_key": True}
    clients["user of no team"] = server.client(ours.post("users", **nobody)["api_key"])
    clients["browser"] = browser = httpx.Client(base_url=server.url, timeout=30)
    key = ours.post("keys", name="browser", role="admin", projects=[project])["api_key"]
    session = browser.post("/api/v1/session", json={"api_key": key}).raise_for_status().json()
    browser.headers["X-CSRF-Token"] = session["csrf_token"]
    # One of the calls takes the cookie away.
    browser.headers["Cookie"] = f"afterword_session={browser.cookies['afterword_session']}"
    browser.cookies.clear()
    for client in clients.values():
        # The call comes from elsewhere: callers on the same machine see /metrics without a key.
        client.headers["X-Forwarded-For"] = "192.0.2.1"
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture(scope="module")
def strangers(server: Any, ours: Things) -> Iterator[dict[str, httpx.Client]]:
    """Everyone whose key is none, or is one no longer."""
    expiring = ours.post("keys", name="expiring", expires_at=int(time.time() * 1000) + 300)["api_key"]
    revoked = ours.post("keys", name="revoked")
    ours._http.delete(f"/api/v1/keys/{revoked['id']}").raise_for_status()
    user = {"name": "x", "email": f"{uuid4().hex}@example.com", "teams": [{"team": "admin", "role": "admin"}]}
    deleted = ours.post("users", **user, generate_api_key=True)
    ours._http.delete(f"/api/v1/users/{deleted['id']}").raise_for_status()
    keys = {"expired": expiring, "revoked": revoked["api_key"], "deleted": deleted["api_key"], "unknown": "aw_x"}
    clients = {what: server.client(key) for what, key in keys.items()}
    while clients["expired"].get("/api/v1/session").status_code == 200:
        pass
    clients["nobody"] = httpx.Client(base_url=server.url, timeout=30)
    yield clients
    for client in clients.values():
        client.close()


# ------------------------------------------------------------------------------------------------ REST


# Bodies in place of the examples, which would put an end to what later calls are about.
BODIES: dict[str, dict[str, Any]] = {
    "projects.change": {"description": "Changed"},
    "models.change_in_project": {"enabled": True},
}
# The ids that a call gives to what it makes. That one is taken is told, and not by what.
CHOSEN = {"interactions.record": {"completion_id", "session_id"}, "feedback.record": {"feedback_id"}}
CHOSEN["batches.record_interactions"] = CHOSEN["recorded_calls.record_calls"] = CHOSEN["interactions.record"]
CHOSEN["batches.record_feedback"] = CHOSEN["feedback.record"]
CHOSEN["outcomes.record"] = CHOSEN["batches.record_outcomes"] = {"outcome_id"}
CHOSEN["feedback.prefer"] = CHOSEN["batches.record_preferences"] = {"comparison_id"}
UPLOADS = ("datasets.create_of_upload", "datasets.put_part", "datasets.upload_status", "datasets.abort_upload")


def path_of(face: Any, model: str = "default/echo") -> str:
    """Return the path at which a model is called."""
    return face.path.replace("{model}", model).replace("{method}", "generateContent")


def named(value: Any, names: Names, own: set[str]) -> Any:
    """Put names where a body speaks of things."""
    if isinstance(value, list):
        return [named(each, names, own) for each in value]
    if not isinstance(value, dict):
        return value
    lists = {"models": [names["model"], names["model_2"]], "projects": [names["project"]]}
    put = {what: names.get(what) or lists[what] for what in value if what in {*names, *lists} - own}
    return {what: named(each, names, own) for what, each in value.items()} | put


def request_of(route: Route, names: Names, *, whole: bool) -> dict[str, Any]:
    """Return what httpx sends for a route about these things; `whole` names them in optional parameters, too."""
    if route.name in UPLOADS:
        names = {**names, "session_id": names["upload"]}
    sent: dict[str, Any] = {"method": route.method}
    sent["url"] = re.sub(r"{(\w+)}", lambda found: names[found[1]], route.path)
    if route.body:
        body = BODIES.get(route.name) or msgspec.to_builtins(EXAMPLES[route.body])
        chosen = CHOSEN.get(route.name, set())
        fields = {field.encode_name for field in msgspec.structs.fields(route.body)} - chosen
        optional = {what: names[what] for what in fields & names.keys()} if whole else {}
        sent["json"] = named({**body, **optional}, names, chosen)
        sent["json"] = [sent["json"]] if route.streams else sent["json"]
    if route.raw:
        sent["content"] = LINE
    if route.query:
        params = {"part_number": 1}
        for field in msgspec.structs.fields(route.query):
            if field.required or (whole and field.name in names):
                sent.setdefault("params", {})[field.name] = {**params, **names}[field.name]
    return sent


# ------------------------------------------------------------------------------------------------ GraphQL


PLACES = {
    "project": "project", "useCase": "project", "projectIdOrKey": "project", "projectId": "project",
    "metric": "metric", "metricId": "metric", "metricIdOrKey": "metric", "defaultMetric": "metric",
    "model": "model", "modelService": "model", "models": "model", "modelServices": "model",
    "team": "team", "role": "role", "user": "user", "id": "completion_id", "completionId": "completion_id",
    "include": "completion_id", "datasetId": "dataset", "uploadSessionId": "upload", "sessionId": "session_id",
    "scoreId": "feedback_id", "comparisonId": "comparison_id",
}  # fmt: skip
# By the field that `idOrKey`, or an input that is only a name, belongs to.
NAMELESS = {
    "useCase": "project", "project": "project", "updateProject": "project", "shareProject": "project",
    "shareUseCase": "project", "model": "model", "updateModelComputeConfig": "model", "terminateModel": "model",
    "deployModelLegacy": "model", "modelService": "model", "abCampaign": "test", "cancelAbCampaign": "test",
    "dataset": "dataset", "deleteDataset": "dataset", "metric": "metric",
}  # fmt: skip
TEXTS = {
    "exclude": str(UUID(int=7)),
    "permissions": "project:read",
    "groupId": "MODEL",
    "externalModelId": "x",
    "apiKey": "x",
}
TEXTS |= {"field": "created_at", "from": "now - 1 day", "to": "now"}
NUMBERS = {"Int": 1, "Float": 0.5, "Boolean": True, "JSON": 1}
# Of members that exclude each other, the one that is given.
ONE_OF = {"CompletionSelectionQuery": "fromFilters", "ModelProviderDataInput": "openAI"}
DEPTH = 2


def value_of(kind: Any, place: str, field: str, names: Names, *, whole: bool) -> Any:
    """Return a value for an argument or a member of an input. Raises `KeyError` where the tables above have none."""
    inner = get_nullable_type(kind)
    if isinstance(inner, GraphQLList):
        return [value_of(inner.of_type, place, field, names, whole=whole)]
    if isinstance(inner, GraphQLEnumType):
        return next(iter(inner.values))
    if isinstance(inner, GraphQLInputObjectType):
        only = ONE_OF.get(inner.name)
        wanted = {
            name: one.type
            for name, one in inner.fields.items()
            if name == only or (only is None and (_is_required(one) or (whole and name in PLACES)))
        }
        return {name: value_of(one, name, field, names, whole=whole) for name, one in wanted.items()}
    if inner.name == "Upload":
        return None
    if place in PLACES:
        return names[PLACES[place]]
    if inner.name == "IdOrKey":
        return names[NAMELESS[field]]
    return NUMBERS[inner.name] if inner.name in NUMBERS else {**names, **TEXTS}[place]


def _is_required(argument: Any) -> bool:
    return isinstance(argument.type, GraphQLNonNull) and argument.default_value is Undefined


def query_of(root: GraphQLObjectType, name: str, names: Names, *, whole: bool) -> dict[str, Any]:
    """Return the body of a query for a field of Query or Mutation that asks for all members, some levels deep."""
    variables: dict[str, Any] = {}
    declared: list[str] = []

    def asked(field: str, described: Any) -> str:
        given = []
        for argument, one in described.args.items():
            if _is_required(one) or (whole and argument in {**PLACES, "idOrKey": ""}):
                variable = f"v{len(variables)}"
                declared.append(f"${variable}: {one.type}")
                variables[variable] = value_of(one.type, argument, field, names, whole=whole)
                given.append(f"{argument}: ${variable}")
        return f"{field}({', '.join(given)})" if given else field

    spread: set[str] = set()

    def selection(kind: Any, depth: int) -> str:
        members = []
        # Whatever way a type is come to, its members are the same: they are followed once.
        depth = 0 if kind.name in spread else depth
        spread.add(kind.name)
        for field, described in kind.fields.items():
            inner = get_named_type(described.type)
            if isinstance(inner, GraphQLScalarType | GraphQLEnumType):
                members.append(asked(field, described))
            elif depth and isinstance(inner, GraphQLObjectType | GraphQLInterfaceType):
                members.append(f"{asked(field, described)} {selection(inner, depth - 1)}")
        return f"{{ {' '.join(members) or '__typename'} }}"

    described = root.fields[name]
    head, kind = asked(name, described), get_named_type(described.type)
    members = f" {selection(kind, DEPTH)}" if isinstance(kind, GraphQLObjectType) else ""
    word = "query" if root is SCHEMA.query_type else "mutation"
    heading = f"({', '.join(declared)})" if declared else ""
    return {"query": f"{word}{heading} {{ {head}{members} }}", "variables": variables}


def post_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return what httpx sends for a query: with a file in the place of a variable that has none."""
    places = [f"variables.{name}" for name, value in body["variables"].items() if value is None]
    if not places:
        return {"method": "POST", "url": GRAPHQL, "json": body}
    parts = {"operations": json.dumps(body), "map": json.dumps({"0": places})}
    return {"method": "POST", "url": GRAPHQL, "data": parts, "files": {"0": ("lines.jsonl", LINE)}}
