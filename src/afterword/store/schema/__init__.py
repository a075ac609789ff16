"""The tables and their indexes, with the reason for each.

Small tables (projects, metrics, models, api_keys) have a `number` that large tables refer to. The catalog holds them in
memory. The primary key of a large table begins with the interaction's id. Times are integers: milliseconds since 1970,
UTC. Ids are UUIDs, made by Afterword (version 7) or chosen by the caller.

The number of a label is a 63-bit hash of project, key and value (`label_number`), so that neither a write nor a filter
has to look it up. The table `labels` holds the label for each number.

The text index is not here, because each database has its own, in store/engine/. `search_pending` is the queue of texts
that are not in it yet, `details_pending` that of changed details. `packing_pending` is the queue of turns whose
conversations are to be packed. `waiting_telemetry` holds what came before the call that it is about.
"""

from __future__ import annotations

from afterword.store.schema.catalog import (
    api_keys,
    key_uses,
    metric_links,
    metrics,
    models,
    project_models,
    project_shares,
    projects,
    roles,
    team_members,
    teams,
    users,
    views,
)
from afterword.store.schema.interactions import (
    LATER_TEXTS,
    calls,
    content_number,
    details_pending,
    dictionaries,
    feedback,
    hash63,
    images,
    interaction_images,
    interaction_labels,
    interactions,
    label_number,
    labels,
    outcomes,
    packing_backfill,
    packing_pending,
    payloads,
    preferences,
    search_pending,
    waiting_telemetry,
)

from .ab_tests import ab_interactions, ab_test_models, ab_tests
from .base import CLUSTERED, Id, metadata
from .datasets import dataset_parts, datasets, upload_parts, uploads
from .rollups import rollup_marks, rollup_values, rollups
from .servers import leases, news, servers, versions

CACHED_TABLES = {
    table.name
    for table in (
        *(ab_test_models, ab_tests, api_keys, metric_links, metrics, models, project_models, project_shares, projects),
        *(roles, team_members, teams, users),
    )
}
"""The tables that each server holds in memory."""

__all__ = [
    "CACHED_TABLES",
    "CLUSTERED",
    "LATER_TEXTS",
    "Id",
    "ab_interactions",
    "ab_test_models",
    "ab_tests",
    "api_keys",
    "calls",
    "content_number",
    "dataset_parts",
    "datasets",
    "details_pending",
    "dictionaries",
    "feedback",
    "hash63",
    "images",
    "interaction_images",
    "interaction_labels",
    "interactions",
    "key_uses",
    "label_number",
    "labels",
    "leases",
    "metadata",
    "metric_links",
    "metrics",
    "models",
    "news",
    "outcomes",
    "packing_backfill",
    "packing_pending",
    "payloads",
    "preferences",
    "project_models",
    "project_shares",
    "projects",
    "roles",
    "rollup_marks",
    "rollup_values",
    "rollups",
    "search_pending",
    "servers",
    "team_members",
    "teams",
    "upload_parts",
    "uploads",
    "users",
    "versions",
    "views",
    "waiting_telemetry",
]
