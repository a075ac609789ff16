"""The tables and their indexes, and why each is there.

Small tables (projects, metrics, models, api_keys) have a `number` that the big ones refer to; they are held in memory
by the catalog. Big tables lead with the interaction's id, so that they can be distributed by it. Times are integers:
milliseconds since 1970 in UTC. Ids are made by us (UUIDv7, or the caller's own).

A label is known by a 63-bit hash of project, key and value (`label_number`), so that neither a write nor a filter has
to look its number up; the dictionary `labels` says what the number stands for.

The text index is not here: each dialect has its own (engine.py); `search_pending` is what it still has to take in.
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
    payloads,
    preferences,
    search_pending,
)

from .base import CLUSTERED, Id, metadata
from .rollups import rollup_marks, rollup_values, rollups
from .servers import leases, news, servers, versions
from .studies import ab_interactions, ab_test_models, ab_tests, dataset_parts, datasets, upload_parts, uploads

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
    "dataset_parts",
    "datasets",
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
]
