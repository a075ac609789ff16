"""The house rule of what is written: all that REST writes can be read by REST, and is exported or says why not.

Generated from the routes and tables.
"""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest

from afterword import types as t
from afterword.api.routes import ROUTES, Route
from afterword.store.calls import SYSTEM_METRICS
from afterword.store.schema import metadata

# Which struct shows the rows of a table.
SHOWN: dict[str, type[msgspec.Struct]] = {
    "ab_tests": t.ABTest,
    "api_keys": t.ApiKey,
    "calls": t.Call,
    "datasets": t.Dataset,
    "feedback": t.Feedback,
    "interactions": t.Interaction,
    "labels": t.LabelKey,
    "metrics": t.Metric,
    "models": t.Model,
    "outcomes": t.Outcome,
    "preferences": t.Preference,
    "project_models": t.ProjectModel,
    "project_shares": t.Share,
    "projects": t.Project,
    "roles": t.TeamRole,
    "team_members": t.Membership,
    "teams": t.Team,
    "uploads": t.UploadStatus,
    "users": t.User,
    "views": t.SavedView,
}
# Tables whose rows stand in a field of something else.
IN_A_FIELD: dict[str, tuple[type[msgspec.Struct], str]] = {
    "ab_interactions": (t.Interaction, "ab_campaign"),
    "ab_test_models": (t.ABTest, "models"),
    "images": (t.Interaction, "image_urls"),
    "interaction_images": (t.Interaction, "image_urls"),
    "interaction_labels": (t.Interaction, "labels"),
    "key_uses": (t.ApiKey, "last_used_at"),
    "metric_links": (t.MetricList, "metrics"),
    "payloads": (t.Interaction, "messages"),
    "rollup_values": (t.MetricSummary, "distribution"),
    "rollups": (t.Trend, "series"),
}
# Tables that nobody writes to by a call of their own.
INTERNAL = {
    "details_pending",
    "dictionaries",
    "leases",
    "news",
    "packing_backfill",
    "packing_pending",
    "rollup_marks",
    "search_pending",
    "servers",
    "versions",
    "waiting_telemetry",
}
# The bytes of files, which are downloaded.
FILES = {"dataset_parts": "/api/v1/datasets/{dataset}/download", "upload_parts": "/api/v1/upload/status"}

# Columns that are shown under another name.
RENAMED = {
    "calls.interaction_id": "state",
    "feedback.id": "feedback_id",
    "feedback.interaction_id": "completion_id",
    "interactions.id": "completion_id",
    "labels.project": "values",
    "labels.value": "values",
    "outcomes.id": "outcome_id",
    "preferences.id": "comparison_id",
    "preferences.interaction_id": "preferred_completion",
    "preferences.other_id": "other_completion",
    "preferences.side": "preferred_completion",
    "project_shares.project": "team",
    "team_members.user": "role",
    "uploads.parts": "total_parts_count",
    "users.is_system": "kind",
    "views.actor": "by",
}
# The numbers of a call stand in `usage` and `timings` of its interaction.
MEASURED = set(SYSTEM_METRICS)
# Columns that are the store's own: numbers, hashes, marks of what is gone or under way, and secrets.
OWN = {"number", "request_hash", "deleted_at", "server", "hash", "secret", "preview"}
OWN_OF_A_TABLE = {
    "datasets.status", "datasets.error", "interactions.prompt_text_hash", "interactions.completion_text_hash",
    "interactions.contents", "outcomes.turn", "uploads.actor", "uploads.id",
}  # fmt: skip


READ_ELSEWHERE = {
    "/api/v1/upload/abort": "/api/v1/upload/status",
    "/api/v1/teams/{team}/members/{user}": "/api/v1/users",
}

# The noun that each POST or PUT makes or changes.
WRITTEN: dict[str, type[msgspec.Struct]] = {
    "/api/v1/interactions": t.Interaction,
    "/api/v1/interactions/batch": t.Interaction,
    "/api/v1/ingest/calls": t.Interaction,
    "/api/v1/ingest/litellm": t.Interaction,
    "/api/v1/feedback": t.Feedback,
    "/api/v1/feedback/batch": t.Feedback,
    "/api/v1/comparison": t.Preference,
    "/api/v1/preferences": t.Preference,
    "/api/v1/preferences/batch": t.Preference,
    "/api/v1/outcome": t.Outcome,
    "/api/v1/outcomes": t.Outcome,
    "/api/v1/outcomes/batch": t.Outcome,
    "/api/v1/metrics": t.Metric,
    "/api/v1/projects/{project}/metrics": t.Metric,
    "/api/v1/projects": t.Project,
    "/api/v1/projects/{project}/views": t.SavedView,
    "/api/v1/projects/{project}/models": t.ProjectModel,
    "/api/v1/projects/{project}/shares": t.Share,
    "/api/v1/models": t.Model,
    "/api/v1/ab-tests": t.ABTest,
    "/api/v1/ab-tests/{test}/cancel": t.ABTest,
    "/api/v1/keys": t.ApiKey,
    "/api/v1/datasets": t.Dataset,
    "/api/v1/datasets/from-interactions": t.Dataset,
    "/api/v1/datasets/from-upload": t.Dataset,
    "/api/v1/upload/init": t.UploadStatus,
    "/api/v1/upload/part": t.UploadStatus,
    "/api/v1/teams": t.Team,
    "/api/v1/teams/{team}/members": t.Membership,
    "/api/v1/roles": t.TeamRole,
    "/api/v1/users": t.User,
}
# POSTs that write nothing of their own.
ONLY_READING = {
    "/api/v1/interactions/search", "/api/v1/interactions/facets", "/api/v1/interactions/timeseries",
    "/api/v1/interactions/live", "/api/v1/sessions/search", "/api/v1/preferences/next", "/api/v1/preferences/ranking",
    "/api/v1/metrics/{metric}/statistics", "/api/v1/metrics/{metric}/timeseries", "/api/v1/datasets/preview",
    # Refuses each call.
    "/api/v1/responses/{response_id}/cancel",
    # Signs in: it sets a cookie.
    "/api/v1/session",
}  # fmt: skip
DOWNLOADED = {t.Dataset: "/api/v1/datasets/{dataset}/download"}
# A line of `afterword export` is a whole `Interaction`. These are in none; a backup and `db copy` have all of them.
NOT_EXPORTED = {
    t.Metric: "An import registers the keys of the feedback in its lines, with their kind.",
    t.Project: "The one who imports names the project.",
    t.ABTest: "An interaction names its test, ab_campaign; the report is computed, and the models stay here.",
    t.SavedView: "A view is the address of a page of this server.",
    t.Model: "It is called with a secret, which leaves no server.",
    t.ProjectModel: "It attaches a model of this server.",
    t.ApiKey: "It is a secret.",
    t.UploadStatus: "It is on its way to be a dataset.",
    t.Team: "People and their rights belong to a server.",
    t.Membership: "People and their rights belong to a server.",
    t.TeamRole: "People and their rights belong to a server.",
    t.User: "People and their rights belong to a server.",
    t.Share: "People and their rights belong to a server.",
}


def structs_in(kind: Any, seen: set[Any]) -> set[Any]:
    """Return the structs that an answer of this kind holds."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind in seen:
            return seen
        seen.add(kind)
        for field in msgspec.structs.fields(kind):
            structs_in(field.type, seen)
    for argument in typing.get_args(kind):
        structs_in(argument, seen)
    return seen


READ: set[Any] = set()
for _route in ROUTES:
    if _route.method == "GET":
        structs_in(_route.answer, READ)
TABLES = [table.name for table in metadata.sorted_tables]


def names_of(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def test_every_table_is_said_to_be_shown_or_internal():
    said = [*SHOWN, *IN_A_FIELD, *INTERNAL, *FILES]
    assert sorted(said) == sorted(TABLES)
    assert {route.path for route in ROUTES if route.method == "GET"} >= set(FILES.values())


@pytest.mark.parametrize("table", SHOWN)
def test_every_column_is_shown_by_a_route_that_reads(table: str):
    kind = SHOWN[table]
    assert kind in READ, f"no GET route answers {kind.__name__}"
    shown = names_of(kind)
    hidden = []
    for column in metadata.tables[table].c:
        place = f"{table}.{column.name}"
        measured = table == "calls" and column.name in MEASURED and {"usage", "timings"} <= names_of(t.Interaction)
        if column.name in OWN or place in OWN_OF_A_TABLE or measured:
            continue
        if RENAMED.get(place, column.name) not in shown:
            hidden.append(place)
    assert not hidden, f"written, and never read: {hidden}"


@pytest.mark.parametrize("table", IN_A_FIELD)
def test_rows_without_a_struct_stand_in_a_field(table: str):
    kind, field = IN_A_FIELD[table]
    assert kind in READ
    assert field in names_of(kind)


def test_every_id_that_a_call_answers_can_be_read():
    shown = {name for kind in READ for name in names_of(kind)}
    answered = {
        name
        for route in ROUTES
        if route.method == "POST" and route.answer is not None
        for kind in structs_in(route.answer, set())
        for name in names_of(kind)
        if name == "id" or name.endswith("_id")
    }
    # A session shows the file that comes in parts; the feedback's ids are those of the feedback itself.
    assert answered - shown == set()


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.method in ("DELETE", "PATCH")], ids=lambda r: f"{r.method} {r.path}"
)
def test_what_can_be_changed_or_deleted_can_be_read(route: Route):
    read = {other.path for other in ROUTES if other.method == "GET"}
    parents = {route.path.rsplit("/", depth)[0] for depth in range(3)}
    assert (parents | {READ_ELSEWHERE.get(route.path, "")}) & read


def test_each_post_says_which_noun_it_writes_or_that_it_only_reads():
    paths = {route.path for route in ROUTES if route.method in ("POST", "PUT")}
    assert sorted([*WRITTEN, *ONLY_READING]) == sorted(paths)


@pytest.mark.parametrize("noun", sorted(set(WRITTEN.values()), key=lambda kind: kind.__name__))
def test_each_noun_with_a_post_is_shown_and_exported_or_says_why_not(noun: type[msgspec.Struct]):
    assert noun in READ, f"no GET route shows {noun.__name__}"
    is_downloaded = DOWNLOADED.get(noun) in {route.path for route in ROUTES if route.method == "GET"}
    is_exported = is_downloaded or noun in structs_in(t.Interaction, set())
    assert is_exported != (noun in NOT_EXPORTED), f"say how {noun.__name__} leaves a server, or why it does not"
